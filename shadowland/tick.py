"""What a tick handler gets."""
from typing import TYPE_CHECKING, TypeVar

from shadowland.delivery import Ends
from shadowland.inbox import TickMessages
from shadowland.schema import Message

if TYPE_CHECKING:
    from shadowland.server import Server

Some = TypeVar("Some", bound=Message)


class Tick:
    """What a tick handler gets: `t[Move]` gives the messages of a class in columns.

    number   of the tick, counting from 1.
    dt       seconds from tick to tick, the same every time.
    now_us   the server's clock when the tick began.
    """

    __slots__ = ("_server", "dt", "now_us", "number")

    def __init__(self, server: "Server", number: int, dt: float, now_us: int) -> None:
        self._server, self.number, self.dt, self.now_us = server, number, dt, now_us

    @property
    def deliveries(self) -> Ends:
        """What became of reliable messages, as far as it became known since the last tick: columns."""
        return self._server.deliveries

    def __getitem__(self, cls: type[Some]) -> TickMessages[Some]:
        return self._server.messages(cls)
