"""The truth ring: what the server writes, other processes read, and views are held against it."""
from pathlib import Path

import pytest

from shadowland._core.base.records import SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland._core.world.truth import Truth
from shadowland._core.world.view import Views
from tests.parity.worlds import ADAPTIVE, HZ, KINDS, Both, kind_table
from tests.reference.world_records import Kind


class Scene:
    """One observer, its avatar and a few walkers, all delivered at once."""

    def __init__(self, path: Path, kinds: tuple[Kind, ...] = KINDS) -> None:
        self.both = Both(reference=False, seats=20, kinds=kinds)
        self.views = Views(kind_table(kinds), 1, 20, 16)
        self.both.join(0, 1)
        self.avatar = self.walker(0.0, owner=0)
        self.both.watch(0, self.avatar)
        self.others = [self.walker(float(place)) for place in (3, 6, 9)]
        self.writer = Truth(str(path), kind_table(kinds), self.both.world)
        self.reader = Truth(str(path), kind_table(kinds))

    def walker(self, x: float, owner: int = -1) -> int:
        return self.both.spawn(0, [x, 0, 0, 0, 0, 0, 0, 50, 7, 0, 0], owner)

    def step(self, deliver: bool = True) -> int:
        self.both.publish()
        self.writer.write(self.both.tick)
        for token, payload in self.both.replicate({0: 4000})[0]:
            assert not deliver or self.views.apply(payload) == 0
            self.both.event(0, SNAPSHOT_ACKED if deliver else SNAPSHOT_LOST, token)
        return self.reader.verify(self.views)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path / "truth")


def test_a_right_view_has_no_mismatch(scene: Scene) -> None:
    for tick in range(100):
        for handle in scene.others:
            scene.both.values[handle][3] = 2.0 if tick % 30 < 15 else -2.0
            scene.both.values[handle][0] += scene.both.values[handle][3] / HZ
        assert scene.step() == 0
    assert scene.reader.stats["checked"] == 400


def test_what_a_view_has_wrong_lacks_or_shows_too_long_counts_once_after_half_a_second(scene: Scene) -> None:
    far = scene.walker(1000.0)
    for _ in range(5):
        scene.step()
    assert len(scene.views.known()) == 4

    # In truth alone one is half a metre off, one is far away, one came near: nothing of it is ever published.
    lies = {scene.others[0]: 3.5, scene.others[1]: 1000.0, far: 5.0}
    for tick in range(2 * HZ):
        scene.both.publish()
        for handle, place in lies.items():
            scene.both.columns[0][0][scene.both.world.row_of(handle), 0] = place
        scene.writer.write(scene.both.tick)
        for token, payload in scene.both.replicate({0: 4000})[0]:
            assert scene.views.apply(payload) == 0
            scene.both.event(0, SNAPSHOT_ACKED, token)
        assert scene.reader.verify(scene.views) == (3 if tick > HZ // 2 else 0)
    assert [scene.reader.stats[name] for name in ("off", "ghosts", "missing")] == [1, 1, 1]

    for _ in range(2 * HZ):                         # right again, and wrong again: that is another episode
        assert scene.step() == 3
    assert [scene.reader.stats[name] for name in ("off", "ghosts", "missing")] == [0, 0, 0]


def test_a_view_without_an_avatar_or_of_a_tick_long_gone_is_not_checked(scene: Scene) -> None:
    scene.step()
    for _ in range(70):
        scene.step(deliver=False)
    assert scene.reader.stats["unchecked"] == 7       # from the tick on at which the ring came round
    scene.views.reset()
    scene.reader.verify(scene.views)
    assert scene.reader.stats["unchecked"] == 8


def test_truth_is_read_by_tick_and_handle(scene: Scene) -> None:
    scene.step()
    assert scene.reader.read(1, scene.others[0]) == scene.both.world.published(scene.others[0])
    assert scene.reader.read(2, scene.others[0]) is None
    assert scene.reader.read(1, scene.others[0] + (1 << 32)) is None
    assert scene.reader.read(1, 999) is None


def test_a_number_that_is_none_leaves_the_truth_as_it_was(scene: Scene) -> None:
    scene.step()
    scene.both.values[scene.others[0]][0] = float("nan")
    scene.step()
    assert scene.reader.read(2, scene.others[0]) == scene.reader.read(1, scene.others[0])


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    (tmp_path / "other").write_bytes(bytes(4096))
    for name in ("short", "other"):
        with pytest.raises(ValueError, match="ring of truth"):
            Truth(str(tmp_path / name), kind_table())
    with pytest.raises(ValueError, match="only read"):
        Scene(tmp_path / "truth").reader.write(1)


def test_truth_is_written_apart_from_replication(scene: Scene) -> None:
    """Written before anything is published: what publishing does to its own state cannot show in it."""
    scene.both.columns[0][0][scene.both.world.row_of(scene.others[0])] = [1.5, 0, 0]
    scene.writer.write(77)
    state = scene.reader.read(77, scene.others[0])
    assert state is not None and state[:3] == [150, 0, 0]
    assert scene.both.world.published(scene.others[0]) is None


def test_who_is_hidden_by_masks_is_not_missing_and_seen_it_is_a_leak(scene: Scene) -> None:
    world, hidden = scene.both.world, scene.others[0]
    for _ in range(3):
        scene.step()
    world.set_sees(0, 1 << 2)
    world.set_visible_to([hidden], 1 << 1)
    for _ in range(2 * HZ):
        assert scene.step() == 0
    assert len(scene.views.known()) == 3 and scene.reader.stats["hidden"] == 2 * HZ
    world.set_visible_to([hidden], 1 << 1 | 1 << 2)
    scene.step()
    assert len(scene.views.known()) == 4
    # In truth alone it is hidden: each look at it counts, from the first.
    for looks in range(1, 4):
        scene.both.publish()
        world.set_visible_to([hidden], 1 << 1)
        scene.writer.write(scene.both.tick)
        world.set_visible_to([hidden], 1 << 1 | 1 << 2)
        for token, payload in scene.both.replicate({0: 4000})[0]:
            scene.views.apply(payload)
            scene.both.event(0, SNAPSHOT_ACKED, token)
        assert scene.reader.verify(scene.views) == scene.reader.stats["leaked"] == looks


def truth_of(scene: Scene, ticks: int = HZ) -> list[int]:
    """What is off, missing and a ghost when the next ticks are over; none of it was before they began to be wrong."""
    for _ in range(ticks):
        scene.step()
    return [scene.reader.stats[name] for name in ("off", "missing", "ghosts")]


def test_truth_knows_what_is_seen_at_any_distance_and_what_masks_hide(scene: Scene) -> None:
    own, boss, hidden = scene.walker(900.0, owner=0), scene.walker(-900.0), scene.walker(4.0)
    scene.both.set_always(boss, True)
    scene.both.set_visible_to(hidden, 0)
    assert truth_of(scene) == [0, 0, 0]
    assert {own, boss} < set(scene.views.known()["handle"].tolist())
    assert hidden not in scene.views.known()["handle"]
    scene.both.watch(0, 0)                          # only what is seen at any distance is left
    assert truth_of(scene) == [0, 0, 0]
    assert sorted(scene.views.known()["handle"].tolist()) == sorted([scene.avatar, own, boss])
    scene.both.watch(0, scene.others[0])            # the centre is the avatar, not the first that is one's own
    scene.both.values[scene.others[0]][0] = 899.0
    assert truth_of(scene) == [0, 0, 0]
    assert scene.reader.stats["mismatches"] == 0


def test_what_replication_would_have_wrong_of_it_is_a_mismatch(scene: Scene) -> None:
    """The truth is told other owners and chosen ones than the world has when it replicates."""
    own, boss = scene.walker(900.0, owner=0), scene.walker(-900.0)
    scene.both.set_always(boss, True)
    for tick in range(HZ):
        scene.both.publish()
        lie = tick >= 5
        if lie:
            scene.both.world.give(own, 0)           # in view far away, and not one's own: a ghost
            scene.both.world.set_always(boss, False)                            # a ghost
            scene.both.world.set_always(scene.others[2], True)                  # seen anyhow
        scene.writer.write(scene.both.tick)
        if lie:
            scene.both.world.give(own, scene.both.connections[0])
            scene.both.world.set_always(boss, True)
            scene.both.world.set_always(scene.others[2], False)
        for token, payload in scene.both.replicate({0: 4000})[0]:
            assert scene.views.apply(payload) == 0
            scene.both.event(0, SNAPSHOT_ACKED, token)
        scene.reader.verify(scene.views)
    assert [scene.reader.stats[name] for name in ("off", "missing", "ghosts", "mismatches")] == [0, 0, 2, 2]


def test_what_is_chosen_and_not_shown_is_missing(scene: Scene) -> None:
    boss = scene.walker(-900.0)
    for _ in range(HZ):
        scene.both.publish()
        scene.both.world.set_always(boss, True)
        scene.writer.write(scene.both.tick)
        scene.both.world.set_always(boss, False)
        for token, payload in scene.both.replicate({0: 4000})[0]:
            assert scene.views.apply(payload) == 0
            scene.both.event(0, SNAPSHOT_ACKED, token)
        scene.reader.verify(scene.views)
    assert [scene.reader.stats[name] for name in ("off", "missing", "ghosts", "mismatches")] == [0, 1, 0, 1]


def test_what_is_far_is_held_against_the_tick_at_which_it_was_told(tmp_path: Path) -> None:
    scene = Scene(tmp_path / "truth", ADAPTIVE)
    far, readers = scene.walker(0.8 * ADAPTIVE[0].radius), [
        Truth(str(tmp_path / "truth"), kind_table(ADAPTIVE)) for _ in range(3)]
    for tick in range(3 * HZ):                          # off at two ticks of three: at each look of two readers
        scene.both.values[far][0] = 0.8 * ADAPTIVE[0].radius + tick % 3
        scene.step()
        assert readers[tick % 3].verify(scene.views) == 0
    for _ in range(2 * HZ):                             # and elsewhere in truth alone, it is wrong at every tick
        scene.both.publish()
        scene.both.columns[0][0][scene.both.world.row_of(far), 0] += 1.0
        scene.writer.write(scene.both.tick)
        scene.both.columns[0][0][scene.both.world.row_of(far), 0] -= 1.0
        for token, payload in scene.both.replicate({0: 4000})[0]:
            scene.views.apply(payload)
            scene.both.event(0, SNAPSHOT_ACKED, token)
        scene.reader.verify(scene.views)
    assert scene.reader.stats["mismatches"] == 1
