"""The corpus of `make fuzz` against the build that everybody uses, and the same steps from hypothesis.

Without sanitizers an input shows only what asserts, raises or never ends; that is what is left of it where clang is
not. What an input did is compared with the reference where there is one.
"""
import os
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadowland._core.base.status import DropReason
from shadowland._core.compress import lz4
from shadowland._core.session import ack
from shadowland._core.wire import header, message, varint
from shadowland._core.world.codec import MessageCodec
from shadowland._core.world.view import BAD_MESSAGE, OK, UNDECODABLE, Views
from shadowland.errors import UsageError
from shadowland.tools import decode
from tests.fuzz import programs
from tests.fuzz.classes import kind_table, packings
from tests.fuzz.targets import CORPUS, INPUTS, TARGETS, read_corpus
from tests.reference import lz4 as slow_lz4
from tests.reference import varint as slow_varint

CODECS = [MessageCodec(*packing) for packing in packings()]


def varints(data: bytes) -> None:
    assert varint.decode(data) == slow_varint.decode(data)


def cursors(data: bytes) -> None:
    fields = header.parse(data)
    assert fields is None or header.pack(*fields) == data[:header.SIZE]


def acks(data: bytes) -> None:
    if len(data) >= 8:
        found = ack.parse(data[8:], min(int.from_bytes(data[:8], "little"), 2**63))
        assert found is None or found[0] <= len(data) - 8


def frames(data: bytes) -> None:
    for frame in message.frames(data):
        assert frame.status or message.pack(frame) is not None


def lz4_open(data: bytes) -> None:
    found = lz4.unpack(data, 65536)
    assert found is None or found == slow_lz4.unpack(data, 65536)


def lz4_pack(data: bytes) -> None:
    packed = lz4.pack(data)
    assert packed is None or (len(packed) < len(data) and slow_lz4.unpack(packed, 65536) == data)


def messages(data: bytes) -> None:
    if data:
        codec = CODECS[data[0] % len(CODECS)]
        found = codec.decode_one(data[1:])
        assert found is None or codec.encode_one(found[0], [text.encode() for text in found[1]]) == data[1:]


def snapshots(data: bytes) -> None:
    views, at = Views(kind_table(), 1, 8, 4), 0
    while at < len(data):
        payload = data[at + 1:at + 1 + data[at]]
        assert views.apply(payload, hint=70000) in (OK, BAD_MESSAGE, UNDECODABLE)
        at += 1 + data[at]


def bodies(role: str, data: bytes) -> None:
    program, at = b"", 0
    while at + 2 <= len(data):
        length = int.from_bytes(data[at:at + 2], "little")
        program += programs.step(programs.SEALED, 0, data[at + 2:at + 2 + length])
        at += 2 + length
    programs.play(role, program)


REPLAY: dict[str, Callable[[bytes], object]] = {
    "varints": varints, "cursors": cursors, "acks": acks, "frames": frames, "lz4_open": lz4_open,
    "lz4_pack": lz4_pack, "messages": messages, "snapshots": snapshots,
    "server": lambda data: programs.play("server", data), "client": lambda data: programs.play("client", data),
    "server_bodies": lambda data: bodies("server", data), "client_bodies": lambda data: bodies("client", data),
}
# Programs of calls to kernels, whose Python doors are tried by the parity tests: only `make fuzz` plays them.
KERNELS_ALONE = {"bits", "replays", "fragments"}


def test_every_target_has_a_corpus_and_is_replayed() -> None:
    assert REPLAY.keys() | KERNELS_ALONE == TARGETS.keys()
    assert {path.stem for path in CORPUS.iterdir()} == TARGETS.keys()
    assert all(0 < len(read_corpus(name)) <= INPUTS for name in TARGETS)


@pytest.mark.parametrize("name", REPLAY)
def test_the_corpus_breaks_nothing(name: str) -> None:
    for data in read_corpus(name):
        REPLAY[name](data)


@given(st.binary(max_size=1600), st.sampled_from([None, bytes(32)]))
def test_the_decoder_takes_any_bytes(datagram: bytes, key: bytes | None) -> None:
    """What `shadowland decode` is given comes from captures: it says what is wrong and never ends in a traceback."""
    try:
        found = decode.decode(datagram, key)
    except UsageError:
        assert len(datagram) < header.SIZE
        return
    assert found["length"] == len(datagram)


FRAMES = st.lists(
    st.builds(lambda head, rest: bytes([len(rest) + 1, head]) + rest, st.integers(0, 31), st.binary(max_size=40)),
    max_size=6).map(b"".join)
STEPS = st.one_of(
    st.builds(programs.step, st.just(programs.SEALED), st.integers(0, 3), st.just(b"\0").flatmap(
        lambda block: FRAMES.map(lambda frames: block + frames))),
    st.builds(programs.step, st.sampled_from([programs.AGAIN, programs.RAW, programs.SESSION, programs.HANDSHAKE]),
              st.integers(0, 31), st.binary(max_size=120)),
    st.builds(programs.step, st.sampled_from([programs.TIME, programs.CLEAR]), st.just(0), st.binary(max_size=3)),
    st.builds(programs.step, st.just(programs.SEND), st.integers(0, 7), st.binary(max_size=2000)),
)


@pytest.mark.parametrize("role", ["server", "client"])
@settings(max_examples=int(os.environ.get("SHADOWLAND_FUZZ_EXAMPLES", "60")))
@given(program=st.lists(STEPS, max_size=20).map(b"".join))
def test_any_program_leaves_nothing_behind(role: str, program: bytes) -> None:
    programs.play(role, program)


def test_a_program_does_what_its_steps_say() -> None:
    """Each operation has an effect that only it can have: a target that played nothing would find nothing."""
    step, body = programs.step, b"\0\x07\1\0\0\0\0\0\x09"
    player = programs.Player("server")
    endpoint, rig = player.rig.desk.endpoint, player.rig
    sizes, now_us = [len(endpoint.inbox)], rig.desk.now_us
    for program in (step(programs.SEALED, 0, body), step(programs.AGAIN, 0, body),
                    step(programs.AGAIN, 16, b"\0\2\7\0"), step(programs.RAW, 1, bytes(20)),
                    step(programs.SESSION, 0, b"\0\3\x63" + bytes(39)),
                    step(programs.HANDSHAKE, 2, b"\1\0" + bytes(86)), step(programs.TIME, 0, b"\0\0\1"),
                    step(programs.SEND, 1, b"\x09hello"), step(programs.CLEAR, 0, b"")):
        for operation, argument, data in programs.steps(program):
            player._step(operation, argument, data)
        player.check()
        sizes.append(len(endpoint.inbox))
    assert sizes == [0, 1, 1, 1, 1, 1, 1, 1, 1, 0]
    dropped = {reason.name for reason in DropReason if endpoint.drops[reason]}
    assert dropped == {"REPLAYED", "BAD_KIND", "AUTH_FAILED", "BAD_VERSION"}
    assert endpoint.half_open == 0 and endpoint.counters["blocks_used"] == 1 and rig.desk.now_us == now_us + 65536
    player.end()
