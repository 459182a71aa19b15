"""Counters of a server, as an operator reads them."""
from dataclasses import dataclass, field

__all__ = ["ServerStats"]


@dataclass(slots=True)
class ServerStats:
    """Counters since the server opened; `drops` and `message_drops` by name of the reason, `token_problems` by
    that of the problem, without the zeros; `ciphers` is how many sessions are sealed with each, `rules` how often
    each of the guard's rules said no.

    packets_in is what was accepted and all `drops` but two, which the socket counts beside them: KERNEL_OVERFLOW, what
    the kernel lost before anybody read it, and SEND_FAILED, what it refused to send.
    """

    ticks: int = 0
    sessions: int = 0
    half_open: int = 0
    packets_in: int = 0
    packets_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    handler_errors: int = 0
    handlers_refused: int = 0
    ciphers: dict[str, int] = field(default_factory=dict)
    token_problems: dict[str, int] = field(default_factory=dict)
    rules: dict[str, int] = field(default_factory=dict)
    drops: dict[str, int] = field(default_factory=dict)
    message_drops: dict[str, int] = field(default_factory=dict)
