"""Session: one joined player, as the application sees it. There is one per player, never one per packet."""
from typing import TYPE_CHECKING, Any

from shadowland._core.crypto.aead import NAMES
from shadowland._core.endpoint import players
from shadowland.delivery import Delivery
from shadowland.errors import DisconnectReason, UsageError
from shadowland.measured import SessionStats, measured
from shadowland.schema import Message, encode_one

if TYPE_CHECKING:
    from shadowland.server import Server


class Session:
    """A player who is joined. Handlers get it; keep it as long as you like, `live` says whether it still is.

    handle      number of the session, unique while the server runs.
    player_id   who it is, by the connect token that the server verified; None if there was none.
    user_data   what the token's issuer said beside it, up to 256 bytes.
    data        free for the application.
    """

    __slots__ = ("_avatar", "_server", "data", "handle", "player_id", "user_data")

    def __init__(self, server: "Server", handle: int, player_id: int | None = None, user_data: bytes = b"") -> None:
        self._server = server
        self.handle = handle
        self.player_id = player_id
        self.user_data = user_data
        self._avatar = 0
        self.data: dict[str, Any] = {}

    @property
    def slot(self) -> int:
        """Index of the session in columns of `server.capacity` rows; another session may have it after this one."""
        return self.handle & 0xFFFFFFFF

    @property
    def live(self) -> bool:
        """Whether messages reach it."""
        return self._server.endpoint.is_live(self.handle)

    @property
    def remote(self) -> tuple[str, int] | None:
        """(host, port) of the player, None when the session is over."""
        return self._server.endpoint.remote(self.handle)

    @property
    def rtt_ms(self) -> float:
        """Smoothed round-trip time in milliseconds; 0 while not measured."""
        return self.stats.rtt_ms

    @property
    def stats(self) -> SessionStats:
        """Measurements as they are now; all zero when the session is over. For all sessions at once: Endpoint.stats."""
        return measured(self._server.endpoint, self.handle)

    @property
    def cipher(self) -> str:
        """"AEGIS-128L" or "ChaCha20-Poly1305": what seals its packets; empty when it is over."""
        stats = self._server.endpoint.stats(self.handle)
        return NAMES[int(stats["suite"][0])] if len(stats) else ""

    @property
    def avatar(self) -> int:
        """The entity through whose eyes the player sees the world, 0 for none.

        Setting one when the session is over is a UsageError, as the slot may be another's.
        """
        return self._avatar

    @avatar.setter
    def avatar(self, entity: int) -> None:
        if not self.live:
            if entity:
                raise UsageError("the session is over; it looks from nowhere any more")
            self._avatar = 0
            return
        self._server.world.set_avatar(self.slot, entity)
        self._avatar = entity
        self._server.avatars[self.slot] = entity

    @property
    def sees(self) -> int:
        """64 bits: the player is shown entities that are visible to one of them (World.set_visible_to), and its own.

        All are set when it joins; setting it when the session is over is a UsageError, as the slot may be another's.
        """
        return self._server.world.sees(self.slot) if self.live else 0

    @sees.setter
    def sees(self, mask: int) -> None:
        if not self.live:
            raise UsageError("the session is over; it sees nothing any more")
        self._server.world.set_sees(self.slot, mask)

    def send(self, message: Message) -> Delivery:
        """Send one message on the channel of its class; await what it returns to learn whether a reliable one arrived.

        CapacityError when its buffer is full, UsageError when it is over or the message does not fit its class.
        """
        schema = self._server.schema
        kind = schema.id_of(type(message))
        channel = schema.channel_of(type(message))
        if channel == 4:
            raise UsageError(f"{type(message).__name__} is an input: only clients send it; give it another channel=")
        delivery = self._server.open_deliveries.open(channel)
        self._server.endpoint.send(self.handle, channel, kind, encode_one(message), delivery.ticket)
        return delivery

    def rekey(self) -> bool:
        """New keys for this session as soon as the last change is over; False if it is over.

        Sessions change keys by themselves (limits rekey_...); this is for those who have a reason to want it now.
        """
        return self._server.endpoint.rekey(self.handle)

    def close(self, reason: DisconnectReason = DisconnectReason.KICKED, text: str = "") -> None:
        """End the session; the player learns the reason, and a text of at most 64 bytes in UTF-8 beside it."""
        players.farewell(self._server.endpoint, self.handle, text.encode())
        self._server.endpoint.close(self.handle, int(reason), self._server.now_us)

    def ban(self, seconds: float) -> None:
        """End the session with BANNED, and let none begin from its address for so many seconds.

        The address is proven. Others behind it who are playing go on; UsageError when the session is over already.
        """
        remote = self.remote
        if remote is None:
            raise UsageError("the session is over, and with it its address is gone; ban while it is live")
        self._server.guard.ban(remote[0], seconds)
        self.close(DisconnectReason.BANNED)

    def __repr__(self) -> str:
        return f"<Session {self.handle:#x} of {self.remote}>"
