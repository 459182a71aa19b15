"""The server that cheats play against: python -m tests.cheats.arena SEED CAPACITY [lax]

Prints one JSON line (url, key), answers each line of stdin with one of its counters, ends with stdin. With `lax` it
believes what it is told: then those who watch must see it.
"""
import enum
import json
import select
import sys
from typing import Annotated as A
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.loop import Frozen, Loop
from shadowland.authority import Action, Actions, Conduct, Map, Movement, Movers, Outcome, Scores, Verdict
from shadowland.errors import CapacityError
from shadowland.rewind import History

HZ: Final = 20
HALF: Final = 160                       # metres from the middle to the edge
RADIUS: Final = 20.0
SEEN: Final = 14                        # fighters that one sees at the start, about
STEP: Final = 0.01                      # metres: what a claim's place is rounded to
RULE: Final = Movement(speed=5.0, turn_rate=2.0, step_height=0.3, velocity_step=0.05, tolerance=3 * STEP,
                       claim_step=STEP)
MOST_MANA: Final = 50                   # one comes back each tick
COST: Final = 40
BOLT: Final = Action(cooldown_ms=1000, grace_ms=60, range=10.0, needs_sight=True, forbidden=1, cost={"mana": COST})
STUN_TICKS: Final = 30
LAX_RULE: Final = Movement(speed=1e5, blocked_by=0, step_height=1e4, fly=True, allowance_s=10)


class Status(enum.IntFlag):
    STUNNED = 1


class Fighter(sl.Entity):
    position: A[sl.Vec3, sl.Quantized(step=STEP), sl.Range(-HALF, HALF), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05), sl.Range(-200, 200)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    status: Status = Status(0)
    mana: A[int, sl.Range(0, MOST_MANA)] = MOST_MANA
    strikes: A[int, sl.Range(0, 65535)] = 0
    aim: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-HALF, HALF)] = (0, 0)
    back: A[int, sl.Range(0, 255)] = 0      # ticks that its last strike was judged in the past


class Wish(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)
    position: A[sl.Vec2, sl.Quantized(step=STEP), sl.Range(-HALF, HALF)] = (0, 0)
    facing: sl.Angle = 0.0


class Claim(sl.Message, channel="input"):
    position: A[sl.Vec3, sl.Quantized(step=STEP), sl.Range(-1000, 1000)] = (0, 0, 0)
    facing: sl.Angle = 0.0


class Raw(sl.Message, channel="input"):
    position: sl.Vec3 = (0, 0, 0)       # 32-bit floats: any bytes can stand in them
    facing: float = 0.0


class Bolt(sl.Message, channel="unreliable"):
    action: A[int, sl.Range(0, 255)] = 0
    target: A[sl.Vec2, sl.Quantized(step=0.01), sl.Range(-HALF, HALF)] = (0, 0)
    seen: A[float, sl.Quantized(step=0.0625), sl.Range(-2**20, 2**20)] = 0.0     # tick that it says it was shown


class Welcome(sl.Message, channel="reliable"):
    slot: A[int, sl.Range(0, 65535)] = 0
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-HALF, HALF)] = (0, 0, 0)


class Correction(sl.Message, channel="latest"):
    number: A[int, sl.Range(0, 2**31 - 1)] = 0
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Range(-1000, 1000)] = (0, 0, 0)


SCHEMA: Final = sl.Schema([Fighter], [Wish, Claim, Raw, Bolt, Welcome, Correction])


def town(seed: int) -> tuple[Map, NDArray[np.uint8], NDArray[np.float64]]:
    """A map of walls, low steps and cliffs; its blocked cells and its heights."""
    rng = np.random.default_rng(seed)
    side = 2 * HALF
    blocked = (rng.random((side, side)) < 0.04).astype(np.uint8)
    for _ in range(200):                                            # walls a dozen cells long
        y, x = rng.integers(4, side - 16, 2)
        blocked[y, x:x + 12] = 1
    heights = np.repeat(np.repeat(rng.choice([0.0, 0.0, 0.25, 0.5, 2.0], (side // 8, side // 8)), 8, 0), 8, 1)
    return Map(low=(-HALF, -HALF, -10), high=(HALF, HALF, 60), blocked=blocked, heights=heights), blocked, heights


class Arena:
    """The game: fighters who run and throw bolts, each stunned for a while now and then."""

    def __init__(self, seed: int, capacity: int, *, lax: bool) -> None:
        self.lax = lax
        self.map, self._blocked, self._heights = town(seed)
        self.app = sl.Server(tick_hz=HZ, aoi=sl.Grid(cell=8, radius=RADIUS), schema=SCHEMA, capacity=capacity,
                             entities=2 * capacity)
        self.history = History(self.app.world, Fighter)
        self.movers = Movers(LAX_RULE if lax else RULE, capacity=capacity, tick_hz=HZ, map=None if lax else self.map)
        self.actions = Actions({"bolt": Action() if lax else BOLT}, capacity=capacity, map=self.map)
        # Nobody has to go: what cheats do is to be seen until the end.
        self.scores = Scores(Conduct(warn=0, kick=0, moves={"blocked": 1, "outside": 1}), capacity=capacity)
        self.deeds: dict[str, int] = {"bolts": 0, "thrown": 0, "corrections": 0}
        self._rng = np.random.default_rng(seed + 1)
        self.verdicts = np.zeros((capacity, len(Verdict)), np.int64)      # how often each was given
        self.outcomes = np.zeros((capacity, len(Outcome)), np.int64)
        self._spread = min(HALF, max(8, round(0.5 * (capacity * np.pi * RADIUS**2 / SEEN) ** 0.5)))
        self.app.on_join(self.join)
        self.app.on_leave(self.leave)
        self.app.tick(self.step)

    def join(self, session: sl.Session) -> None:
        while True:
            x, y = self._rng.integers(-self._spread, self._spread, 2).tolist()
            if not self._blocked[y + HALF, x + HALF] and self._heights[y + HALF, x + HALF] < 2:
                break
        place = x + 0.5, y + 0.5, float(self._heights[y + HALF, x + HALF])
        self.movers.reset(session.slot, self.app.now_us)
        self.actions.reset(session.slot)
        self.scores.reset(session.slot)
        session.avatar = self.app.world.spawn(Fighter(position=place), owner=session)
        session.send(Welcome(slot=session.slot, position=place))

    def leave(self, session: sl.Session, reason: sl.DisconnectReason) -> None:
        self.app.world.despawn(session.avatar)

    def step(self, t: sl.Tick) -> None:
        fighters = self.app.world[Fighter]
        turn = (t.number // STUN_TICKS + (fighters.handles & np.uint64(0xFFFF)).astype(np.int64)) % 4
        fighters.status[:] = np.where(turn == 0, Status.STUNNED, 0)
        np.minimum(fighters.mana + 1, MOST_MANA, out=fighters.mana)
        for cls in (Wish, Claim, Raw):
            self._move(t, cls, fighters)
        bolts = t[Bolt]
        self.deeds["bolts"] += len(bolts)
        sources = fighters.position[bolts.rows]
        height = self.map.ground(bolts.target) if len(bolts) else np.zeros(0)
        done = self.actions.run(bolts.action, slots=bolts.slots, times_us=bolts.times_us, sources=sources,
                                targets=np.column_stack((bolts.target, height)), flags=fighters.status[bolts.rows],
                                rows=bolts.rows, resources={"mana": fighters.mana})
        trips = [session.rtt_ms if (session := self.app.sessions.get(int(one))) else 0.0 for one in bolts.sessions]
        judged = bolts.seen if self.lax else self.history.when(bolts.seen, trips)
        back = np.clip(np.ceil(t.number - 1 - judged), 0, 255)
        self.scores.actions(bolts.slots, done, t.now_us)
        np.add.at(self.outcomes, (bolts.slots, done), 1)
        for index in np.flatnonzero(done == 0).tolist():
            row = bolts.rows[index]
            fighters.strikes[row] = (fighters.strikes[row] + 1) % 65536
            fighters.aim[row], fighters.back[row] = bolts.target[index], back[index]
            self.deeds["thrown"] += 1
        self.scores.judge(self.app)

    def _move(self, t: sl.Tick, cls: type[Any], fighters: Any) -> None:
        moves = t[cls]
        if len(moves) == 0:
            return
        columns: dict[str, Any] = {"rows": moves.rows, "slots": moves.slots, "numbers": moves.numbers,
                                   "times_us": moves.times_us, "facings": moves.facing}
        position, velocity, yaw = fighters.position, fighters.velocity, fighters.yaw
        if cls is Wish:
            verdicts = self.movers.steer(position, velocity, yaw, directions=moves.direction, **columns)
            verdicts &= ~np.uint16(Verdict.BLOCKED | Verdict.OUTSIDE)       # one may wish to go through walls
        else:
            verdicts = self.movers.claim(position, velocity, yaw, positions=moves.position, **columns)
        self.scores.moves(moves.slots, verdicts, t.now_us)
        for bit, verdict in enumerate(Verdict):
            np.add.at(self.verdicts[:, bit], moves.slots[(verdicts & verdict) != 0], 1)
        for index in self.movers.wrong(position, moves.position, rows=moves.rows, slots=moves.slots,
                                       now_us=t.now_us).tolist():
            session = self.app.sessions.get(int(moves.sessions[index]))
            if session is None:
                continue
            x, y, z = position[moves.rows[index]].tolist()
            try:
                session.send(Correction(number=int(moves.numbers[index]) & 0x7FFFFFFF, position=(x, y, z)))
                self.deeds["corrections"] += 1
            except CapacityError:
                continue                                            # its next wrong claim brings the next one


def main() -> None:
    arena = Arena(int(sys.argv[1]), int(sys.argv[2]), lax=sys.argv[3:] == ["lax"])
    arena.app.open("127.0.0.1", 0)
    url, key = arena.app.connect_line.split()
    print(json.dumps({"url": url, "key": key}), flush=True)
    loop = Loop(HZ, arena.app.drain, arena.app.step)
    with arena.app.closing(), Frozen():
        while True:
            loop.turn()
            if select.select([sys.stdin], [], [], 0)[0]:
                if not sys.stdin.readline():
                    return
                stats = arena.app.stats()
                p50, p99 = loop.times.milliseconds(50, 99)
                print(json.dumps({"ticks": loop.ticks, "skipped": loop.skipped, "tick_p50_ms": p50, "tick_p99_ms": p99,
                                  "sessions": stats.sessions, "handler_errors": stats.handler_errors,
                                  "message_drops": stats.message_drops, "scores": arena.scores.scores.round(2).tolist(),
                                  "verdicts": arena.verdicts.tolist(), "outcomes": arena.outcomes.tolist(),
                                  **arena.deeds}), flush=True)


if __name__ == "__main__":
    main()
