"""A simulated network in virtual time, for the tests of everything that speaks through a socket.

`Network` hands out ports with the shape of a UdpSocket. In a pytest suite, `pytest_plugins = ["shadowland.testing"]` in
the top conftest.py gives every test that asks for `network` one of its own.
"""
from contextlib import suppress

from shadowland._core.base.batch import DatagramBatch
from shadowland.testing.simulated import Link, Network, Port

with suppress(ModuleNotFoundError):             # pytest is a need of test suites alone
    from shadowland.testing.plugin import network

__all__ = ["DatagramBatch", "Link", "Network", "Port", "network"]
