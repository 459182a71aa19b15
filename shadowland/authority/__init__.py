"""Authority: what players do, held against rules as data, in batches, by the server's clock (docs/authority.md).

    town = Map.load("town.toml")
    movers = Movers(Movement(speed=5, step_height=0.4), capacity=app.capacity, tick_hz=app.tick_hz, map=town)

    @app.on_join
    def join(session):
        movers.reset(session.slot, app.now_us)

    @app.tick
    def step(t):
        players, moves = app.world[Player], t[Move]
        verdicts = movers.steer(players.position, players.velocity, rows=moves.rows, slots=moves.slots,
                                directions=moves.direction, numbers=moves.numbers, times_us=moves.times_us)
"""
from shadowland.authority.actions import Action, Actions, Outcome
from shadowland.authority.conduct import Conduct, Level, Scores
from shadowland.authority.map import Map
from shadowland.authority.movement import Movement, Movers, Verdict
from shadowland.authority.rules import Rules
from shadowland.authority.walk import Walk

__all__ = [
    "Action", "Actions", "Conduct", "Level", "Map", "Movement", "Movers", "Outcome", "Rules", "Scores", "Verdict",
    "Walk",
]
