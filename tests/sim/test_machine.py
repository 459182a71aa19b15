"""Invariant: whatever is said and whatever befalls them, each channel keeps its promise and all memory returns."""
import os
import random
import resource
import time

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.sim.machine import Everything

NIGHTLY = settings.get_current_profile_name() == "nightly"
EXAMPLES = 10_000 if NIGHTLY else 300
PORTION = 500
MUST_HAPPEN = [
    "AUTH_FAILED", "BAD_CRC", "DUPLICATE", "INBOX_FULL", "REPLAYED", "STALE", "TRUNCATED", "UNKNOWN_CONNECTION",
    "client CLIENT_LEFT", "client CONNECT_TIMEOUT", "client IDLE_TIMEOUT", "client KICKED", "server CLIENT_LEFT",
    "migrations", "network unreachable", "network corrupted", "network cut",
    "network duplicated", "network lost", "network queue_full", "said again", "rekeys", "rekeys wanted",
]


@pytest.fixture(scope="module")
def went_through() -> dict[str, int]:
    """All examples run; what they went through. In portions: hypothesis remembers every example of a run."""
    begin = time.process_time()
    first = int(os.environ.get("SHADOWLAND_SEED") or (0 if "CI" in os.environ else random.randrange(1 << 30)))
    for portion in range(0, EXAMPLES, PORTION):
        print(f"SEED={first}, portion {portion // PORTION}")
        run_state_machine_as_test(seed(first * 1_000 + portion // PORTION)(Everything), settings=settings(
            max_examples=min(PORTION, EXAMPLES - portion), stateful_step_count=40, derandomize=False, database=None,
            phases=[Phase.explicit, Phase.generate, Phase.shrink], report_multiple_bugs=False,
            suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]))
    resident = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return {**Everything.went_through, "seed": first, "processor seconds": round(time.process_time() - begin),
            "MiB resident at most": resident}


def test_every_channel_keeps_its_promise_whatever_happens(went_through: dict[str, int]) -> None:
    print(*(f"{name:32} {count:>12,}" for name, count in sorted(went_through.items())), sep="\n")
    assert went_through["examples"] >= EXAMPLES


def test_there_was_enough_to_get_wrong(went_through: dict[str, int]) -> None:
    """Else the test above would pass for want of trouble."""
    # Whether a late packet meets no key is rare enough to be chance in a few hundred.
    expected = MUST_HAPPEN + (["NO_KEYS"] if EXAMPLES >= 1000 else [])
    assert not [name for name in expected if went_through.get(name, 0) < EXAMPLES // 100]
    for channel in (0, 1, 3, 4, 5):
        assert went_through[f"heard on channel {channel}"] > 10 * EXAMPLES
    assert went_through["network lost"] > 0.05 * went_through["network sent"]
    assert went_through["sessions"] > 2 * EXAMPLES
    assert went_through["rekeys"] > 3 * EXAMPLES
