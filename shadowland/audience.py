"""The world of a server: it knows who looks at it."""
import logging
from typing import TYPE_CHECKING

from shadowland._core.endpoint.endpoint import SNAPSHOT_LIMIT
from shadowland.errors import CapacityError
from shadowland.schema import Message
from shadowland.world import World

if TYPE_CHECKING:
    from shadowland.server import Server

logger = logging.getLogger("shadowland")


class ServerWorld(World):
    """The world of a server: it knows who looks at it."""

    def __init__(self, server: "Server") -> None:
        super().__init__(server.schema, tick_hz=server.tick_hz, aoi=server.aoi, capacity=server.entities,
                         observers=server.capacity, max_payload=SNAPSHOT_LIMIT)
        self._server = server

    def broadcast(self, message: Message, near: int | None = None, radius: float = float("inf")) -> int:
        """Send a message to every player, or to those whose avatar is within `radius` of `near`; returns to how many.

        A player whose send buffer is full is left out (the others must not wait for it) and logged.
        """
        within = None if near is None else set(self.near(near, radius).tolist())
        reached = 0
        for session in list(self._server.sessions.values()):
            if within is not None and session.avatar not in within:
                continue
            try:
                session.send(message)
                reached += 1
            except CapacityError as error:
                logger.warning("broadcast of %s: %s", type(message).__name__, error)
        return reached
