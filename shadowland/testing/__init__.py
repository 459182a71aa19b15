"""A simulated network in virtual time, for the tests of everything that speaks through a socket.

`Network` hands out ports with the shape of a UdpSocket. In a pytest suite, `pytest_plugins = ["shadowland.testing"]` in
the top conftest.py gives every test that asks for `network` one of its own.
"""
from contextlib import suppress

from shadowland._core.base.batch import DatagramBatch
from shadowland.testing.link import Lane, Link, Spread, normal, pareto, uniform
from shadowland.testing.simulated import Network, Port

with suppress(ModuleNotFoundError):             # pytest is a need of test suites alone
    from shadowland.testing.plugin import network

__all__ = ["DatagramBatch", "Lane", "Link", "Network", "Port", "Spread", "network", "normal", "pareto", "uniform"]
