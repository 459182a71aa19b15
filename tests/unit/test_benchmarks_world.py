"""The books of benchmarks.world are exact: every bit of every payload stands under one part, every record under one
cause, and views that differ from what was published are noticed."""
import json

import numpy as np
import pytest

from benchmarks.world_scale import exponent
from benchmarks.world_scenes import SCENES, edge_for
from benchmarks.world_traffic import Traffic
from tests.unit.test_benchmarks import run


def traffic(scene: str, ticks: int, loss: float = 0.1) -> Traffic:
    made = Traffic(scene, people=40, observers=5, visible=12, hz=30, delay_ms=50.0, loss=loss, seed=3)
    for _ in range(ticks):
        made.step()
    return made


@pytest.mark.parametrize("scene", SCENES)
def test_parts_add_up_to_the_payloads_and_causes_to_the_records(scene: str) -> None:
    made = traffic(scene, 200)
    books, stats = made.ledger, made.world.core.stats
    assert stats["payload_bytes"] > 0
    assert sum(books.bits.values()) == 8 * books.payload_bytes == 8 * stats["payload_bytes"]
    assert sum(books.causes.values()) == books.records == stats["records"]
    assert sum(books.cause_bits.values()) == 8 * stats["record_bytes"]
    assert books.causes["leave"] + books.causes["leave again"] == stats["leaves"]
    assert not made.errors.wrong.total()
    assert max(len(seat.states) for seat in books.seats.values()) < 10      # what nobody refers to is forgotten


def test_what_happens_decides_the_causes() -> None:
    moving = {"enter", "changed", "after loss", "leave", "leave again"}
    assert moving | {"enter again"} <= traffic("battle", 300).ledger.causes.keys()
    assert moving | {"strayed", "refresh"} <= traffic("walk", 300).ledger.causes.keys()


def test_an_idle_place_only_repeats() -> None:
    resting = traffic("idle", 30, loss=0.0)
    resting.clear()
    for _ in range(320):
        resting.step()
    assert resting.ledger.causes.keys() == {"repeat"}
    assert resting.ledger.records == 2 * sum(len(resting.views.known(observer)) for observer in range(5))


def test_a_view_that_shows_something_else_is_wrong() -> None:
    made = traffic("walk", 60, loss=0.0)
    assert not made.errors.wrong.total()
    true = made.published
    made.published = lambda handle: (true(handle)[0] + 4, *true(handle)[1:])     # type: ignore[method-assign]
    made.look({handle & 0xFFFFFFFF: (handle >> 32, 0, made.published(handle)) for handle in made.world})
    assert made.errors.wrong[0, 0] > 0


def test_the_square_is_so_large_that_each_sees_as_many_as_asked() -> None:
    places = np.random.default_rng(1).uniform(0, edge_for(2000, 28), (2000, 2))
    apart = np.linalg.norm(places[:, None] - places[None], axis=2)
    assert (apart <= 30).sum() / 2000 - 1 == pytest.approx(28, rel=0.05)


def test_the_program_prints_its_tables_and_fails_only_for_what_is_wrong_or_missed() -> None:
    done = run("benchmarks.world", "--json", "--part", "bytes", "--scene", "idle", "--seconds", "1")
    assert done.returncode == 0, done.stderr
    documents = {document["benchmark"]: document for document in map(json.loads, done.stdout.splitlines())}
    assert [row["scene"] for row in documents["world, scenes"]["rows"]] == ["idle"]
    assert sum(row["bytes %"] for row in documents["world, fields"]["rows"]) == pytest.approx(100, abs=0.1)
    assert {row["max"] for row in documents["world, errors"]["rows"]} == {0}


def test_costs_are_measured_at_every_size_with_their_exponent_and_ratio() -> None:
    done = run("benchmarks.world", "--json", "--part", "scale", "--smaller", "50")
    assert done.returncode == 0, done.stderr
    documents = {document["benchmark"]: document["rows"] for document in map(json.loads, done.stdout.splitlines())}
    players, entities = documents["world, players"], documents["world, entities"]
    assert [row["players"] for row in players] == 2 * ["20", "100", "200", "exponent"]
    assert [row["entities"] for row in entities] == 2 * [20, 200, 2000]
    assert all(row["ratio"] == 1 for row in entities if row["entities"] == 20)
    assert documents["world, crowd"][0]["shown"] == 39      # everybody but oneself
    assert documents["world, effects"][0]["step_ms"] > 0


def test_the_exponent_is_that_of_the_costs() -> None:
    assert exponent([1000, 5000, 10000], [7 * 1000**1.3, 7 * 5000**1.3, 7 * 10000**1.3]) == 1.3
