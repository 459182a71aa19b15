"""A simulated network in virtual time, for the tests of everything that speaks through a socket (docs/testing.md).

`Network` hands out ports with the shape of a UdpSocket. In a pytest suite, `pytest_plugins =
["shadowland.testing.plugin"]` in the top conftest.py gives every test that asks for `network` one of its own.
"""
from shadowland._core.base.batch import DatagramBatch
from shadowland.testing.link import Fate, Lane, Link, Spread, flip, normal, pareto, uniform
from shadowland.testing.simulated import Network, Port

__all__ = [
    "DatagramBatch", "Fate", "Lane", "Link", "Network", "Port", "Spread", "flip", "normal", "pareto", "uniform",
]
