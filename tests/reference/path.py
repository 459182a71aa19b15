"""Path validation of one session as docs/protocol.md 8 says it. Slow and obvious: all that happened is kept."""
from dataclasses import dataclass, field

Path = tuple[tuple[str, int], tuple[str, int]]      # remote, local

GAP_US = 1_000_000
RESENDS_US = [250_000, 500_000, 1_000_000, 1_000_000, 1_000_000]


@dataclass
class Candidate:
    """A path over which the newest packet came and that has not answered yet."""

    path: Path
    token: int
    token_old: int
    begun_us: int
    sequences: set[int]
    lengths: list[int]
    challenge_lengths: list[int] = field(default_factory=list)
    tries: int = 0
    old_answered: bool = False
    wants: set[str] = field(default_factory=set)

    def due_us(self) -> int:
        """When both paths are challenged (again), or, after the last try, when it is given up."""
        return self.begun_us + sum(RESENDS_US[:self.tries])

    def beaten(self, session_newest: int) -> bool:
        """Whether the old path has answered and carries newer packets."""
        return self.old_answered and session_newest > max(self.sequences)

    def may_send(self, size: int) -> bool:
        return sum(self.challenge_lengths) + size <= 3 * sum(self.lengths)


class Session:
    def __init__(self) -> None:
        self.candidate: Candidate | None = None
        self.begun_us: list[int] = []
        self.later: tuple[Path, int, int] | None = None     # path, newest sequence, bytes

    def arrived(self, path: Path, sequence: int, newest: bool, length: int, now_us: int) -> str:
        if self.candidate is not None and self.candidate.path == path:
            self.candidate.sequences.add(sequence)
            self.candidate.lengths.append(length)
            return "PENDING"
        if not newest:
            return "LATE"
        if any(now_us - begun < GAP_US for begun in self.begun_us):
            so_far = self.later[2] if self.later is not None and self.later[0] == path else 0
            self.later = path, sequence, so_far + length
            return "BUSY"
        return "NEW"

    def begin(self, path: Path, sequence: int, length: int, token: int, token_old: int, now_us: int) -> None:
        self.candidate = Candidate(path, token, token_old, now_us, {sequence}, [length])
        self.begun_us.append(now_us)
        self.later = None

    def due(self, session_newest: int, now_us: int) -> str:
        if self.later is not None and now_us - max(self.begun_us) >= GAP_US:
            newest = self.later[1]
            if newest == session_newest:
                return "NEW"
            self.later = None
        one = self.candidate
        if one is None or now_us < one.due_us():
            return "WAITING"
        if one.beaten(session_newest) or one.tries == len(RESENDS_US):
            self.candidate = None
            return "KEPT"
        one.begun_us += now_us - one.due_us()       # whoever asks late is late with all that follows
        one.tries += 1
        one.wants = {"new"} if one.old_answered else {"new", "old"}
        return "WAITING"

    def challenge(self, size: int) -> bool:
        one = self.candidate
        if one is None or "new" not in one.wants or not one.may_send(size):
            return False
        one.wants.remove("new")
        one.challenge_lengths.append(size)
        return True

    def challenge_old(self) -> bool:
        one = self.candidate
        if one is None or "old" not in one.wants:
            return False
        one.wants.remove("old")
        return True

    def answered(self, via: str, token: int, session_newest: int) -> str:
        one = self.candidate
        if one is None or (via, token) not in (("OLD_PATH", one.token_old), ("PENDING_PATH", one.token)):
            return "STRANGE"
        if via == "OLD_PATH":
            one.old_answered = True
            one.wants.discard("old")
        if one.beaten(session_newest):
            self.candidate = None
            return "KEPT"
        if via == "OLD_PATH":
            return "WAITING"
        self.candidate = None
        return "MOVED"
