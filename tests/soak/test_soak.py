"""The soak holds for a moment with few sessions, and says so when something does not hold."""
import pytest

from tests.sim.ledger import HEAD, LATEST, RELIABLE, UNORDERED, UNRELIABLE, Way
from tests.soak import soak
from tests.soak.town import Town


def never() -> bool:
    return False


def test_a_moment_over_the_simulated_network() -> None:
    found = soak.simulated(3, 1.0, never, sessions=12)
    assert found["joined"] >= 24 and found["heard on channel 1"] > 50 and found["its_seconds"] > 3
    assert found["network"]["lost"] > 0 and found["migrations"] > 0 and found["rekeys"] >= 10


def test_memory_that_does_not_come_back_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "REST_S", 30)
    monkeypatch.setattr(Town, "held", {"server blocks_used": 1})
    with pytest.raises(AssertionError, match="memory that does not come back"):
        soak.simulated(3, 0.3, never, sessions=4)


def test_what_is_never_delivered_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(soak, "REST_S", 3)
    monkeypatch.setattr(Town, "owed", 1)
    with pytest.raises(AssertionError, match="does not deliver"):
        soak.simulated(3, 0.3, never, sessions=4)


def test_the_ledger_holds_each_channel_to_its_promise() -> None:
    way = Way(5)
    said: dict[int, list[bytes]] = {}
    for channel in (UNRELIABLE, RELIABLE, UNORDERED, LATEST):
        for _ in range(3):
            said.setdefault(channel, []).append(way.next(channel, 7))
            way.add(channel)
    assert way.owed == 6
    for channel, order in ((UNRELIABLE, [2, 0]), (RELIABLE, [0, 1, 2]), (UNORDERED, [1, 2, 0]), (LATEST, [0, 2])):
        for number in order:
            way.hear(channel, said[channel][number])
    assert way.owed == 0 and way.floor[UNORDERED * 8] == 3 and not way.seen[UNORDERED * 8]
    wrong = [
        (UNRELIABLE, said[UNRELIABLE][2]), (RELIABLE, said[RELIABLE][1]), (UNORDERED, said[UNORDERED][0]),
        (LATEST, said[LATEST][1]), (LATEST, said[LATEST][2]), (RELIABLE, said[UNRELIABLE][1]),
        (RELIABLE, way.next(RELIABLE, 7)),
        (UNRELIABLE, said[UNRELIABLE][1][:-1]), (UNRELIABLE, said[UNRELIABLE][1][:-1] + b"x"),
        (UNRELIABLE, HEAD.pack(1, 6, 0, 0)),
    ]
    for channel, payload in wrong:
        with pytest.raises(AssertionError):
            way.hear(channel, payload)
    way.hear(UNRELIABLE, said[UNRELIABLE][1])
