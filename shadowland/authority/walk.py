"""Walk: the step that `shadowland.prediction` calls on the client, for a game whose server calls `Movers.steer`.

    walk = Walk(Player, Movement(speed=5), tick_hz=30, map=town, message=Move)
    me = Prediction(walk, walk.state(place), inputs=walk.inputs, dt=walk.dt)
"""
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shadowland.authority.map import Map
from shadowland.authority.movement import Movement, Movers
from shadowland.errors import ConfigError, UsageError
from shadowland.schema.classes import Entity, Message, contract_of
from shadowland.schema.fields import Field
from shadowland.schema.values import column_from_quanta, column_to_quanta

Floats = NDArray[np.float64]


def _vector(cls: type[Entity] | type[Message], name: str, lanes: tuple[int, ...]) -> Field:
    field = contract_of(cls).fields.get(name)
    if field is None or field.dtype.kind != "f" or field.lanes not in lanes or field.most:
        raise ConfigError(f"Walk: {cls.__name__}.{name} must be {' or '.join(f'an sl.Vec{n}' for n in lanes)}")
    return field


class Walk:
    """walk(states (n, lanes), inputs (n, inputs), dt) → states: one tick of `Movers.steer`, to the last bit.

    entity      the class of avatars; its fields `position` and `velocity` make a state, in this order. They are rounded
                after every tick as the server's columns are.
    movement    the rules, as the server has them; map: likewise.
    tick_hz     the server's ticks: an input is one.
    message     the class of inputs, its field `direction` is one: then inputs are rounded as they are on the way to the
                server, and may be given as they come from a stick or key.

    dt, inputs, lanes   what Prediction wants to know: seconds, numbers in an input and in a state.
    scale       factor of the speed, to be written when the game says so: what `Movers.scale` is on the server.

    Budgets are the server's: who sends more inputs than ticks, or is cut off for long, is corrected. ConfigError for
    classes without such fields; UsageError for another dt.
    """

    def __init__(self, entity: type[Entity], movement: Movement, *, tick_hz: float, map: Map | None = None,
                 position: str = "position", velocity: str = "velocity", message: type[Message] | None = None,
                 direction: str = "direction") -> None:
        self._position, self._velocity = _vector(entity, position, (2, 3)), _vector(entity, velocity, (2, 3))
        self._axes = self._position.lanes
        self._wish = None if message is None else _vector(message, direction, (2, 3))
        self._movers = Movers(movement, capacity=1, tick_hz=tick_hz, map=map)
        self.dt, self.scale = 1.0 / tick_hz, 1.0
        self.inputs = self._wish.lanes if self._wish else 3 if movement.fly and self._axes == 3 else 2
        self.lanes = self._axes + self._velocity.lanes

    def state(self, position: ArrayLike, velocity: ArrayLike = 0.0) -> Floats:
        """The state of who is at `position`, (axes,) or (n, axes)."""
        place = np.asarray(position, np.float64)
        return np.concatenate((place, np.broadcast_to(velocity, (*place.shape[:-1], self._velocity.lanes))), axis=-1)

    def __call__(self, states: Any, inputs: Any, dt: float) -> Floats:
        if dt != self.dt:
            raise UsageError(f"Walk: an input lasts {self.dt} s and not {dt}; make the Prediction with dt=walk.dt")
        place = states[:, :self._axes].astype(self._position.dtype, order="C")
        speed = states[:, self._axes:].astype(self._velocity.dtype, order="C")
        if self._wish is not None:
            inputs = column_from_quanta(self._wish, column_to_quanta(self._wish, inputs, len(states)))
        self._movers.simulate(place, speed, inputs, scale=np.float32(self.scale))
        return np.concatenate((place, speed), axis=1, dtype=np.float64)
