"""Python door to integrity challenges (docs/protocol.md 5.6)."""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc

from shadowland._core.endpoint.challenge cimport challenge_sweep
from shadowland._core.endpoint.connection cimport Connection
from shadowland._core.endpoint.endpoint cimport Endpoint
from shadowland._core.endpoint.integrity cimport (
    INTEGRITY_SLICE,
    INTEGRITY_TABLES,
    IntegrityCheck,
)
from shadowland._core.endpoint.state cimport ROLE_CLIENT, ROLE_SERVER, connection_of

from shadowland._core.base.errors import UsageError

SLICE = INTEGRITY_SLICE
TABLES = INTEGRITY_TABLES


def configure(Endpoint endpoint not None, tables: dict[int, bytes], *, every_us: int = 60_000_000,
              answer_us: int = 10_000_000) -> None:
    """Server, once: what clients of each build have, by build; at most TABLES builds, 1 byte to 4 GiB each.

    A client is challenged every 0.5 to 1.5 times `every_us` and has `answer_us` from when it acknowledged that.
    """
    cdef uint32_t count = 0
    cdef bytes content
    if endpoint.state.role != ROLE_SERVER or endpoint.state.integrity.count != 0:
        raise UsageError("configure: only a server challenges, and it is told once with what")
    if not 1 <= len(tables) <= INTEGRITY_TABLES:
        raise UsageError(f"configure: {len(tables)} builds; it must be 1 to {INTEGRITY_TABLES}")
    for name, value in (("every_us", every_us), ("answer_us", answer_us)):
        if not 1000 <= value <= 1 << 40:
            raise UsageError(f"configure: {name} is {value}; it must be 1000 to {1 << 40} microseconds")
    for build, data in tables.items():
        if not 0 <= build < 1 << 32 or not 1 <= len(data) < 1 << 32:
            raise UsageError(f"configure: build {build} has {len(data)} bytes; a build is 0 to {(1 << 32) - 1}, "
                             "its bytes are 1 to 4 GiB")
        content = data
        endpoint.state.integrity.tables[count].build = <uint32_t>build
        endpoint.state.integrity.tables[count].size = <uint32_t>len(data)
        endpoint.state.integrity.tables[count].data = <const uint8_t*>content
        count += 1
    endpoint.state.integrity.checks = <IntegrityCheck*>calloc(endpoint.state.limits.capacity, sizeof(IntegrityCheck))
    if endpoint.state.integrity.checks == NULL:
        raise MemoryError(f"configure: no memory for {endpoint.state.limits.capacity} challenges")
    endpoint._integrity = tuple(tables.values())
    endpoint.state.integrity.every_us = <uint64_t>every_us
    endpoint.state.integrity.answer_us = <uint64_t>answer_us
    endpoint.state.integrity.count = count


def sweep(Endpoint endpoint not None, now_us: int) -> None:
    """Server, a few times a second: challenge whose turn it is, and end sessions whose answer is late."""
    cdef uint64_t now = now_us
    with nogil:
        challenge_sweep(&endpoint.state, now)


def counts(Endpoint endpoint not None) -> tuple[int, int]:
    """Server: challenges that were answered right, and sessions that ended for a wrong or a late answer."""
    return endpoint.state.integrity.passed, endpoint.state.integrity.failed


def have(Endpoint endpoint not None, data: bytes) -> None:
    """Client: answer challenges out of these bytes."""
    if endpoint.state.role != ROLE_CLIENT:
        raise UsageError("have: only a client answers challenges")
    if not 1 <= len(data) < 1 << 32:
        raise UsageError(f"have: {len(data)} bytes; it must be 1 to 4 GiB")
    endpoint._integrity = data
    endpoint.state.integrity.own.data = <const uint8_t*>data
    endpoint.state.integrity.own.size = <uint32_t>len(data)


def build(Endpoint endpoint not None, handle: int) -> int:
    """Server: the build that a session's client said it is; 0 if it is over."""
    cdef Connection* connection = connection_of(&endpoint.state, handle)
    return 0 if connection == NULL else connection.build
