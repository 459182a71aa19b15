"""The demo's server: spawns what lives in its world, moves it once a tick, answers claims that are wrong."""
import logging
import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

import shadowland as sl
from server_app.config import Settings, limits
from server_app.demo.ailments import POISON, Ailments
from server_app.demo.bolts import Bolts
from server_app.demo.bonds import Bonds
from server_app.demo.combat import GRUDGES, Combat
from server_app.demo.creatures import BITE, decide_until, face, hunt, walk, wander
from server_app.demo.deeds import Deeds
from server_app.demo.items import Items
from server_app.demo.movement import walkers
from server_app.demo.schema import (
    SCHEMA,
    WORLD_LIMIT,
    Chat,
    Correction,
    Monster,
    Move,
    Npc,
    Player,
    Status,
    Welcome,
)
from server_app.demo.zones import FIGHTS, HEALS, POISONS, SPEEDS, zone_of
from shadowland.errors import CapacityError
from shadowland.relations import Relations, Stance
from shadowland.standing import Feed

logger = logging.getLogger("shadowland.demo")

GOLD_WALK: Final = 20.0         # metres to the next piece of gold
QUIET_S: Final = 0.25           # without input for so long, a player stands
ITEMS_PER_BOT: Final = 0.25
EARSHOT: Final = 30.0          # metres
FACTIONS: Final = ("nobody", "red", "blue", "beasts")
HYSTERESIS: Final = 0.1         # of the radius


def seen_on_average(entities: float, edge: float, radius: float) -> float:
    """How many of `entities`, evenly spread over a square of that edge, somebody in it sees within `radius`.

    The mean area of a disc around a point of the square that lies inside it, for radius <= edge.
    """
    inside = math.pi * radius**2 - 8 / 3 * radius**3 / edge + radius**4 / (2 * edge**2)
    return entities * inside / edge**2


def world_bound(entities: float, radius: float, visible: float) -> float:
    """Half the edge of the square world in which `visible` of `entities` are seen on average, in metres."""
    low, high = radius, 2 * WORLD_LIMIT
    for _ in range(60):                             # seen_on_average falls with the edge
        middle = (low + high) / 2
        if seen_on_average(entities, middle, radius * (1 + HYSTERESIS / 2)) > visible:
            low = middle
        else:
            high = middle
    return round(high / 2, 2)


def grid(radius: float) -> sl.Grid:
    """The demo's area of interest."""
    return sl.Grid(cell=radius / 3, radius=radius, hysteresis=radius * HYSTERESIS)


class DemoWorld:
    """A `shadowland.Server` (`app`) with the demo's systems; `bound` is half the edge of its world in metres."""

    def __init__(self, settings: Settings, identity: sl.Identity) -> None:
        npcs, monsters = round(settings.bots * settings.npcs_per_bot), round(settings.bots * settings.monsters_per_bot)
        items = max(2, round(settings.bots * ITEMS_PER_BOT))
        entities = settings.bots + npcs + monsters + items
        self.app = sl.Server(
            tick_hz=settings.hz, aoi=grid(settings.radius), schema=SCHEMA, capacity=settings.capacity,
            entities=npcs + 2 * (monsters + items + settings.capacity) + settings.capacity // 8 + 16,
            identity=identity, **limits(settings))
        self.bound = world_bound(entities, settings.radius, settings.visible)
        self.authority = walkers(self.app.capacity, settings.hz, self.bound)
        self._hz = settings.hz
        self._rng = np.random.default_rng(settings.seed)
        self.deeds = Deeds()
        self.relations = Relations(self.app.world, factions=FACTIONS, words=GRUDGES * settings.capacity)
        self.relations.declare("red", "blue", Stance.ENEMY)
        for faction in ("red", "blue"):
            self.relations.declare("beasts", faction, Stance.ENEMY)
        self._feed = Feed(self.app, self.relations)
        self._ailments = Ailments(self.app, self.deeds)
        self._combat = Combat(self.app, self._ailments, self.relations, self.deeds, bound=self.bound,
                              most=settings.capacity)
        self._bolts = Bolts(self.app, self._ailments, self.relations, self.deeds, bound=self.bound)
        self._bonds = Bonds(self.app, self.relations, self.deeds)
        self._items = Items(self.app, self._ailments, self.deeds, self._somewhere, items)
        self._populate(npcs, monsters)
        self.app.on_join(self.join)
        self.app.on_leave(self.leave)
        self.app.on(Chat)(self.chat)
        self.app.tick(self.step)

    def _somewhere(self) -> tuple[float, float, float]:
        x, y = np.round(self._rng.uniform(-self.bound, self.bound, 2), 2).tolist()
        return x, y, 0.0

    def _populate(self, npcs: int, monsters: int) -> None:
        # Their first decisions are spread: all at once would stay all at once.
        first = decide_until(self._rng, npcs + monsters, 0, self._hz).tolist()
        for until in first[:npcs]:
            self.app.world.spawn(Npc(position=self._somewhere(), until=until))
        for until in first[npcs:]:
            self._spawn_monster(until)

    def _spawn_monster(self, until: int) -> None:
        monster = self.app.world.spawn(Monster(position=self._somewhere(), until=until))
        self.relations.place(monster, faction="beasts")

    def join(self, session: sl.Session) -> None:
        """A player enters at a random place."""
        place = self._somewhere()
        self.authority.reset(session.slot, self.app.now_us)
        session.avatar = self.app.world.spawn(Player(position=place), owner=session)
        self._bonds.join(session.avatar, session.slot)
        self.app.world.set_sees(session.slot, 1 << self.relations.places_of(session.avatar)[0][0])
        session.send(Welcome(position=place[:2], bound=self.bound))

    def leave(self, session: sl.Session, reason: sl.DisconnectReason) -> None:
        """Its avatar goes with the player."""
        logger.debug("session %#x left: %s", session.handle, reason.name)
        if session.avatar in self.app.world:
            self.app.world.despawn(session.avatar)

    def chat(self, session: sl.Session, message: Chat) -> None:
        """Who is near hears it."""
        if session.avatar in self.app.world:
            self.deeds.chats += 1
            self.deeds.heard += self.app.world.broadcast(message, near=session.avatar, radius=EARSHOT)

    def step(self, t: sl.Tick) -> None:
        """One tick of everything."""
        self._move_players(t)
        self._move_npcs(t)
        self._move_monsters(t)
        self._combat.shoot(t)
        self._bolts.step(t)
        self._bury(self._combat.fly(t), t)
        self._items.step(t)
        self._ailments.step(t)
        self._live(t)
        self._bonds.step(t)
        self._rise()
        players = self.app.world[Player]
        players.faction[:], players.guild[:] = self.relations.places_of(players.handles)
        self.deeds.standings += self._feed.step()

    def _move_players(self, t: sl.Tick) -> None:
        players, moves = self.app.world[Player], t[Move]
        position, velocity, quiet, rows = players.position, players.velocity, players.quiet, moves.rows
        quiet += 1
        quiet[rows] = 0
        velocity[quiet > QUIET_S * self._hz] = 0.0
        before = velocity[rows, :2]
        self.authority.scale[moves.slots] = SPEEDS[zone_of(position[rows, :2], self.bound)]
        self.authority.steer(position, velocity, rows=rows, slots=moves.slots, directions=moves.direction,
                             numbers=moves.numbers, times_us=moves.times_us)
        turned = rows[(velocity[rows, :2] != before).any(axis=1)]
        face(players.yaw, velocity, turned)
        for index in self.authority.wrong(position, moves.position, rows=rows, slots=moves.slots, now_us=t.now_us):
            session = self.app.sessions.get(int(moves.sessions[index]))
            if session is None:
                continue
            x, y = position[rows[index], :2].tolist()
            try:
                session.send(Correction(number=int(moves.numbers[index]) & 0x7FFFFFFF, position=(x, y)))
            except CapacityError as error:
                logger.debug("correction: %s", error)       # its next wrong claim brings the next one

    def _move_npcs(self, t: sl.Tick) -> None:
        npcs = self.app.world[Npc]
        velocity, yaw = npcs.velocity, npcs.yaw
        face(yaw, velocity, wander(self._rng, t.number, self._hz, velocity, npcs.until))
        face(yaw, velocity, walk(npcs.position, velocity, t.dt, self.bound))

    def _move_monsters(self, t: sl.Tick) -> None:
        monsters, players = self.app.world[Monster], self.app.world[Player]
        position, velocity, yaw, until = monsters.position, monsters.velocity, monsters.yaw, monsters.until
        stunned = monsters.status & Status.STUNNED != 0
        velocity[stunned] = 0.0
        until[stunned] = np.maximum(until[stunned], t.number + 1)
        decided, bitten = hunt(self._rng, t.number, self._hz, position, velocity, until, monsters.anger,
                               players.position[:, :2])
        face(yaw, velocity, decided)
        face(yaw, velocity, walk(position, velocity, t.dt, self.bound))
        bitten = bitten[FIGHTS[zone_of(players.position[bitten, :2], self.bound)]]
        np.subtract.at(players.health, bitten, BITE)
        self.deeds.bites += len(bitten)

    def _bury(self, dead: NDArray[np.intp], t: sl.Tick) -> None:
        """Monsters without health are gone, leave something, and come back elsewhere."""
        monsters = self.app.world[Monster]
        for row in dead.tolist():
            x, y = monsters.position[row, :2].tolist()
            self.app.world.despawn(int(monsters.handles[row]))
            self._items.drop((round(x, 2), round(y, 2), 0.0))
            self._spawn_monster(t.number + self._hz)
        self.deeds.kills += len(dead)

    def _rise(self) -> None:
        """Players without health get up again, poorer."""
        players = self.app.world[Player]
        fallen = np.flatnonzero(players.health <= 0)
        if len(fallen):
            players.health[fallen] = 100
            players.gold[fallen] //= 2
            self._ailments.cure(players.handles[fallen])
            self.deeds.falls += len(fallen)

    def _live(self, t: sl.Tick) -> None:
        """What zones do, and gold that is found: once a second for each player, not for all in the same tick."""
        players = self.app.world[Player]
        turn = slice(t.number % self._hz, None, self._hz)
        health, walked, velocity = players.health[turn], players.walked[turn], players.velocity[turn]
        zones = zone_of(players.position[turn, :2], self.bound)
        health[:] = np.minimum(health + HEALS[zones] * (health > 0), 100)
        self._ailments.put(POISON, players.handles[turn][POISONS[zones]])
        walked += np.hypot(velocity[:, 0], velocity[:, 1])
        rich = walked >= GOLD_WALK
        players.gold[turn][rich] += 1
        walked[rich] -= GOLD_WALK
