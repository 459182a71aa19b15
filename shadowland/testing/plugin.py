"""The pytest fixture `network`."""
import os

import pytest

from shadowland.testing.simulated import Network


@pytest.fixture
def network() -> Network:
    """A perfect Network of this test's own; its seed is 1, or what the environment variable SHADOWLAND_SEED says."""
    return Network(seed=int(os.environ.get("SHADOWLAND_SEED", "1")))
