"""Python door to path validation, for tests; the endpoint cimports the kernels instead."""
from cython cimport final

from shadowland._core.base.records cimport Address, address_format, address_parse

GAP_US = PATH_GAP_US
TRIES = PATH_TRIES
PENDING, LATE, BUSY, NEW = PATH_PENDING, PATH_LATE, PATH_BUSY, PATH_NEW
STRANGE, WAITING, KEPT, MOVED = PATH_STRANGE, PATH_WAITING, PATH_KEPT, PATH_MOVED
OLD_PATH, PENDING_PATH, OTHER_PATH = VIA_VALIDATED, VIA_PENDING, VIA_OTHER


@final
cdef class Pending:
    """The pending path of one session. Paths are (remote, local), each a (host, port)."""
    cdef PathPending state

    def arrived(self, path, sequence: int, newest: bool, length: int, now_us: int) -> int:
        """A packet opened and did not come by the validated path: PENDING, LATE, BUSY or NEW."""
        cdef Address remote, local
        address_parse(&remote, path[0][0], path[0][1])
        address_parse(&local, path[1][0], path[1][1])
        return path_arrived(&self.state, &remote, &local, sequence, newest, length, now_us)

    def begin(self, path, sequence: int, length: int, token: int, token_old: int, now_us: int) -> None:
        """Make `path` the pending one."""
        cdef Address remote, local
        address_parse(&remote, path[0][0], path[0][1])
        address_parse(&local, path[1][0], path[1][1])
        path_begin(&self.state, &remote, &local, sequence, length, token, token_old, now_us)

    def due(self, session_newest: int, now_us: int) -> int:
        """Time has passed: KEPT (nothing is pending from now on), NEW (begin with `later`) or WAITING."""
        code = path_due(&self.state, session_newest, now_us)
        if code == PATH_KEPT:
            path_drop(&self.state)
        return code

    def challenge(self, size: int, now_us: int) -> bool:
        """Send a challenge of `size` bytes over the pending path, if one is wanted and the limit allows it."""
        if not self.state.wants_new or not path_room(&self.state, size):
            return False
        path_challenged(&self.state, size, now_us)
        return True

    def challenge_old(self) -> bool:
        """Send a challenge over the validated path, if one is wanted."""
        wanted = bool(self.state.wants_old)
        self.state.wants_old = False
        return wanted

    def answered(self, via: int, token: int, session_newest: int) -> int:
        """A response came: STRANGE, WAITING, KEPT or MOVED; after the last two nothing is pending."""
        code = path_answered(&self.state, via, token, session_newest)
        if code >= PATH_KEPT:
            path_drop(&self.state)
        return code

    @property
    def path(self) -> tuple[tuple[str, int], tuple[str, int]] | None:
        """The pending path, None if there is none."""
        if not self.state.some:
            return None
        return address_format(&self.state.remote), address_format(&self.state.local)

    @property
    def later(self):
        """(path, newest sequence, bytes) seen while no path could be challenged."""
        return ((address_format(&self.state.later.remote), address_format(&self.state.later.local)),
                self.state.later.newest, self.state.later.received)

    @property
    def bytes(self) -> tuple[int, int]:
        """(received, sent) over the pending path."""
        return self.state.received, self.state.sent

    @property
    def due_us(self) -> int:
        """When to look at it again, 0 for never."""
        return self.state.due_us
