"""The messages of one tick: picked by class, checked against channel and allowance, decoded in columns."""
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from shadowland._core.endpoint.guarded import blame
from shadowland.errors import DropReason
from shadowland.rates import Allowance
from shadowland.schema import Message, MessageColumns, Schema, decode_columns
from shadowland.schema.classes import contract_of

if TYPE_CHECKING:
    from shadowland._core.endpoint.endpoint import Endpoint

Some = TypeVar("Some", bound=Message)


class TickMessages(MessageColumns[Some]):
    """Messages of one class that came since the last tick: columns of shape (n,) or (n, lanes), and who sent them.

    sessions   handles of the senders, uint64.
    slots      their slots: row of any column of `server.capacity` rows.
    numbers    of inputs: the sender's count, uint32; answer with it when you correct one.
    times_us   when the kernel received them.
    rows       rows of the senders' avatars in the columns of the avatars' class; who has none is left out of all.
    """

    sessions: NDArray[np.uint64]
    slots: NDArray[np.intp]
    numbers: NDArray[np.uint32]
    times_us: NDArray[np.uint64]
    rows: NDArray[np.intp]


class Inbox:
    """Picks the messages of each class out of the endpoint's inbox; what does not pass is dropped and counted."""

    def __init__(self, schema: Schema, capacity: int) -> None:
        self.schema = schema
        self.drops: NDArray[np.uint64] = np.zeros(len(DropReason), np.uint64)
        self.allowances: dict[type[Message], Allowance] = {
            cls: Allowance(contract_of(cls).per_second, capacity)
            for cls in schema.messages.values() if contract_of(cls).per_second
        }
        self.malformed: dict[int, int] = {}         # messages by session that no honest client sends, this tick
        self._known = np.zeros(256, np.bool_)
        self._known[list(schema.messages)] = True
        self._records: NDArray[Any] = np.zeros(0)
        self._arena: NDArray[np.uint8] = np.zeros(0, np.uint8)
        self._picked: dict[type[Message], tuple[NDArray[Any], MessageColumns[Any]]] = {}

    def begin(self, endpoint: "Endpoint", seconds: float) -> None:
        """A tick begins: read what `endpoint` holds; `seconds` since the last one."""
        self._records, self._arena = endpoint.inbox, endpoint.inbox_arena
        self._picked = {}
        for allowance in self.allowances.values():
            allowance.refill(seconds)
        # Classes that nobody asks for are not decoded; kinds that no class has are counted.
        unknown = ~self._known[self._records["kind"]]
        if unknown.any():
            self._refuse(DropReason.UNKNOWN_MESSAGE, self._records[unknown])

    def blame(self, endpoint: "Endpoint", now_us: int) -> None:
        """The tick is over: what did not fit counts against who sent it."""
        for handle, count in self.malformed.items():
            blame(endpoint, handle, count, now_us)
        self.malformed.clear()

    def forget(self, slot: int) -> None:
        """A session ended: whoever gets its slot starts with a full allowance."""
        for allowance in self.allowances.values():
            allowance.reset(slot)

    def pick(self, cls: type[Some]) -> tuple[NDArray[Any], MessageColumns[Some]]:
        """Records and decoded columns of one class, once a tick: later calls get the same."""
        if cls not in self._picked:
            self._picked[cls] = self._decode(cls)
        return self._picked[cls]

    def _refuse(self, reason: DropReason, records: NDArray[Any]) -> None:
        self.drops[reason] += len(records)
        for handle in records["connection"].tolist():
            self.malformed[handle] = self.malformed.get(handle, 0) + 1

    def _decode(self, cls: type[Some]) -> tuple[NDArray[Any], MessageColumns[Some]]:
        records = self._records[self._records["kind"] == self.schema.id_of(cls)]
        right = records["channel"] == self.schema.channel_of(cls)
        if not right.all():
            self._refuse(DropReason.UNEXPECTED, records[~right])
            records = records[right]
        if cls in self.allowances:
            allowed = self.allowances[cls].take((records["connection"] & np.uint64(0xFFFFFFFF)).astype(np.intp))
            self.drops[DropReason.RATE_LIMITED] += np.count_nonzero(~allowed)
            records = records[allowed]
        columns, fine = decode_columns(cls, self._arena, records["offset"], records["length"])
        if not fine.all():
            self._refuse(DropReason.BAD_MESSAGE, records[~fine])
            records, columns = records[fine], columns.select(fine)
        return records, columns
