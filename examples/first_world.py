"""A world in fifty lines: players walk, chat and see who is near. `shadowland-server run examples/first_world.py`"""
from typing import Annotated as A

import shadowland as sl


class Player(sl.Entity):                                        # the class body is the wire contract
    position: A[sl.Vec3, sl.Quantized(step=0.01), sl.Predicted(by="velocity")] = (0, 0, 0)
    velocity: A[sl.Vec3, sl.Quantized(step=0.05)] = (0, 0, 0)
    yaw: sl.Angle = 0.0
    health: A[int, sl.Range(0, 100), sl.Rate(hz=5)] = 100
    gold: A[int, sl.OwnerOnly] = 0
    anger: A[float, sl.Local] = 0.0                             # never leaves the server


class Move(sl.Message, channel="input"):
    direction: A[sl.Vec2, sl.Unit(bits=8)] = (0, 0)             # at most length 1, checked


class Chat(sl.Message, channel="reliable", per_second=2):
    text: A[str, sl.MaxLen(200)] = ""


app = sl.Server(tick_hz=60, aoi=sl.Grid(cell=32, radius=96))


@app.on_join
def join(session: sl.Session) -> None:
    session.avatar = app.world.spawn(Player(), owner=session)


@app.on_leave
def leave(session: sl.Session, reason: sl.DisconnectReason) -> None:
    app.world.despawn(session.avatar)


@app.on(Chat)                                                   # rare messages: one call each
def chat(session: sl.Session, message: Chat) -> None:
    app.world.broadcast(message, near=session.avatar, radius=30)


@app.tick                                                       # hot path: one call a tick, columns
def step(t: sl.Tick) -> None:
    players, moves = app.world[Player], t[Move]
    players.velocity[moves.rows, :2] = 7 * moves.direction
    players.position += players.velocity * t.dt


if __name__ == "__main__":
    app.run()
