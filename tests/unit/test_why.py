"""Invariant: asked why an observer is told of an entity or is not, the world says what is so, whatever the reason."""
from dataclasses import dataclass
from typing import Annotated as A

import numpy as np
import pytest

import shadowland as sl
from shadowland._core.base.records import EVENT_DTYPE, JOINED, LEFT, SNAPSHOT_ACKED, SNAPSHOT_LOST
from shadowland.schema import GroupOnly
from shadowland.why import Verdict, Why, why
from shadowland.world import World


class Wolf(sl.Entity):
    position: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)
    velocity: A[sl.Vec2, sl.Quantized(step=0.01)] = (0, 0)
    hunger: A[int, sl.OwnerOnly] = 0
    pack: A[int, GroupOnly("pack")] = 0
    mood: A[int, sl.Local] = 0


@dataclass
class Player:
    handle: int = 1 << 32


class Stage:
    """A player with an avatar in the middle, and a wolf."""

    def __init__(self, x: float = 5, wolves: int = 1) -> None:
        self.world = World(sl.Schema([Wolf]), tick_hz=20, aoi=sl.Grid(cell=30, radius=100, far=0.5), capacity=600,
                           observers=2)
        self.player, self.tick = Player(), 0
        self.event(JOINED)
        self.avatar = self.world.spawn(Wolf(), owner=self.player)
        self.world.set_avatar(0, self.avatar)
        self.wolves = [self.world.spawn(Wolf(position=(x + i / 10, 0))) for i in range(wolves)]
        self.wolf = self.wolves[0]

    def event(self, kind: int, token: int = 0) -> None:
        events = np.zeros(1, EVENT_DTYPE)
        events["connection"], events["kind"], events["token"] = self.player.handle, kind, token
        self.world.events(events)

    def step(self, budget: int = 4000, verdict: int | None = SNAPSHOT_ACKED, ticks: int = 1) -> Why:
        for _ in range(ticks):
            self.tick += 1
            self.world.publish(self.tick)
            records, _ = self.world.replicate(np.zeros(1, np.uint32), 0, np.array([budget], np.uint32))
            for token in records["number"].tolist() if verdict else ():
                self.event(verdict or 0, token)
        return self.why()

    def why(self, entity: int = 0) -> Why:
        return why(self.world, self.player, entity or self.wolf)


def test_what_was_acknowledged_is_known_and_its_fields_are_named() -> None:
    stage = Stage()
    unborn = "not shown: it was spawned in this tick and is there from its end on"
    assert stage.why() == Why(Verdict.UNBORN, unborn, False)
    known = stage.step()
    assert (known.verdict, known.shown, known.distance, known.acknowledged) == (Verdict.KNOWN, True, 5.0, 1)
    assert known.fields == ("position", "velocity") and str(known) == "shown: acknowledged as of 0 ticks ago"
    assert stage.why(stage.avatar).fields == ("position", "velocity", "hunger", "pack")
    stage.world.set_group("pack", [stage.avatar, stage.wolf], 3)
    assert stage.step().fields == ("position", "velocity", "pack")


def test_what_is_on_its_way_is_in_flight_until_it_is_known_or_lost() -> None:
    stage = Stage()
    flying = stage.step(verdict=None)
    assert flying.verdict is Verdict.IN_FLIGHT and not flying.shown and flying.sent == 1
    assert "told 0 ticks ago, not acknowledged yet" in flying.text
    lost = Stage().step(verdict=SNAPSHOT_LOST)
    assert not lost.shown and lost.sent == 0


def test_too_far_says_both_distances_and_hysteresis_counts_for_who_is_in_view() -> None:
    stage = Stage(x=105)
    assert stage.step().text == "not shown: 105.0 away, it comes into view within 100"
    inside = Stage(x=99)
    inside.step()
    inside.world[Wolf].position[1, 0] = 105
    assert inside.step().verdict is Verdict.KNOWN
    assert "being far, it is told at some ticks only" in inside.why().text
    inside.world[Wolf].position[1, 0] = 111
    inside.world.publish(inside.tick + 1)
    assert inside.why().text == "shown: 111.0 away, it stays in view up to 110"


def test_leaving_until_the_client_knows_and_then_gone() -> None:
    stage = Stage()
    stage.step()
    stage.world.despawn(stage.wolf)
    assert stage.step(verdict=None).verdict is Verdict.LEAVING and stage.why().shown
    assert stage.step().verdict is Verdict.GONE and not stage.why().shown
    assert stage.why(2**64 - 1).verdict is Verdict.GONE


def test_masks_avatar_and_session() -> None:
    stage = Stage()
    stage.world.set_visible_to(stage.wolf, 0)
    assert stage.step().verdict is Verdict.HIDDEN
    stage.world.set_avatar(0, 0)
    assert stage.step().verdict is Verdict.NO_AVATAR
    stage.event(LEFT)
    assert stage.why().verdict is Verdict.NO_SESSION
    assert why(stage.world, 1, stage.wolf).verdict is Verdict.NO_SESSION
    stage.player = Player(2 << 32)
    stage.event(JOINED)
    assert why(stage.world, Player(), stage.wolf).verdict is Verdict.NO_SESSION      # the slot is another's
    assert why(stage.world, 0, stage.wolf).verdict is Verdict.NO_AVATAR
    for slot in (-1, 2):
        with pytest.raises(sl.UsageError, match="no observer slot"):
            why(stage.world, slot, stage.wolf)


def test_a_crowd_waits_for_bytes_and_for_seats() -> None:
    stage = Stage(wolves=300)
    waiting = stage.step(budget=40, ticks=5)
    crowd = [stage.why(wolf) for wolf in stage.wolves]
    assert {answer.verdict for answer in crowd} <= {Verdict.WAITING, Verdict.KNOWN, Verdict.NO_SEAT}
    late = [answer for answer in crowd if answer.verdict is Verdict.WAITING]
    assert waiting.verdict is Verdict.KNOWN and late[0].waiting_ticks == 4
    assert "a record waits since 200 ms" in late[0].text
    assert stage.world.unsent_ms(0) == stage.world.oldest_unsent_ms == 200
    assert crowd[-1].text == "not shown: all 256 seats are taken, and seats go to the nearest first"
    assert crowd[-1].verdict is Verdict.NO_SEAT


def test_a_silent_client_is_stalled_and_what_just_came_is_new() -> None:
    stage = Stage()
    stage.step(verdict=None, ticks=12)
    assert stage.why().verdict is Verdict.STALLED
    fresh = Stage()
    fresh.step()
    late = fresh.world.spawn(Wolf(position=(7, 0)))
    fresh.world.publish(fresh.tick + 1)
    assert fresh.why(late).verdict is Verdict.NEW
