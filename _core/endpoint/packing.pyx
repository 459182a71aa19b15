"""Python door to how an endpoint compresses its messages."""
from libc.string cimport memset

from shadowland._core.compress.packer cimport PACK_LEAST
from shadowland._core.endpoint.endpoint cimport Endpoint

from shadowland._core.base.errors import UsageError

LEAST = PACK_LEAST


def configure(Endpoint endpoint not None, least: int = LEAST, plain=()) -> None:
    """Compress messages from `least` bytes of payload on (0: none), but never those of the kinds in `plain`.

    Both sides name the same kinds: a message of one of them that comes compressed is refused.
    """
    if not 0 <= least <= 1 << 20:
        raise UsageError(f"packing: least is {least}; it must be 0 (nothing is compressed) to {1 << 20} bytes")
    kinds = list(plain)
    for kind in kinds:
        if not 1 <= kind <= 200:
            raise UsageError(f"packing: there is no message kind {kind} (1 to 200)")
    endpoint.state.packer.least = least
    memset(endpoint.state.packer.plain, 0, sizeof(endpoint.state.packer.plain))
    for kind in kinds:
        endpoint.state.packer.plain[kind] = 1
