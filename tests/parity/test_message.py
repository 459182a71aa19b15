"""Invariant: any bytes fall into the same frames with the same verdicts as the reference reads from the document."""
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.wire import message
from shadowland.errors import DropReason
from tests.reference import body as reference
from tests.reference.varint import encode_unsigned

small = st.sampled_from([0, 1, 2, 7, 8, 16, 17, 200, 201, 255])
heads = st.one_of(st.sampled_from([0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 0x10, 0x12, 0x13, 0x18]), st.integers(0, 255))


parts = st.sampled_from([0, 1, 2, 3, 15, 16, 17])


def prefixed(data: bytes) -> bytes:
    return bytes([len(data)]) + data


contents = st.one_of(
    st.builds(lambda head, rest: bytes([head, *rest]), heads, st.lists(small, max_size=20)),
    st.builds(lambda code, size: bytes([7, code]) + bytes(size),
              st.integers(0, 6), st.sampled_from([0, 1, 2, 8, 9, 16, 17])),
    st.builds(lambda head, index, count, cut: bytes([head, 1, 2, index, count, 3, 4])[:cut],
              st.sampled_from([8, 0x18]), parts, parts, st.integers(4, 7)),
    st.builds(lambda index, count, cut: bytes([9, 0, 1, 2, 3, 4, index, 0, count, 0, 3])[:cut],
              parts, parts, st.integers(4, 11)),
    st.builds(lambda index, count, cut: bytes([10, 1, 2, 3, 4, index, 0, count, 0, 3])[:cut],
              parts, parts, st.integers(2, 10)),
    st.builds(lambda head: bytes([head, 9, 0, 0, 9, 9]),
              st.sampled_from([0x10, 0x11, 0x13, 0x20, 0x40, 0x83, 0x0B, 0x0D])),
    st.builds(
        lambda kind, each, more, end: bytes([4, kind, 5, 1, len(each) + more]) + b"".join(map(prefixed, each)) + end,
        st.sampled_from([0, 1, 200, 201]), st.lists(st.binary(max_size=2), max_size=9), st.integers(0, 1),
        st.sampled_from([b"", b"", b"\0"]),
    ),
)
framed = contents.map(lambda content: encode_unsigned(len(content)) + content)
bodies = st.lists(st.one_of(framed, framed, framed, st.just(b"\0"), st.binary(max_size=3)), max_size=6).map(b"".join)


@given(bodies)
def test_any_body(body: bytes) -> None:
    found, expected = message.frames(body), reference.read_frames(body)
    assert [(frame.status, frame.channel) for frame in found] == [(frame.status, frame.channel) for frame in expected]
    for frame, model in zip(found, expected, strict=True):
        if model.status == reference.NONE:
            assert (frame.fragment, frame.kind, frame.stream) == (model.fragment, model.kind, model.stream)
            assert (frame.number, frame.message) == (model.number, model.message)
            assert (frame.index, frame.count) == (model.index, model.count)
            assert (frame.newest, frame.payload, frame.compressed) == (model.newest, model.payload, model.compressed)
            assert message.frames(message.pack(frame) or b"") == [frame]
        assert frame.violates == (model.status != reference.NONE and model.channel in (1, 2))


@given(bodies, st.integers(1, 10))
def test_what_stands_before_the_end_is_read_all_the_same(body: bytes, cut: int) -> None:
    """Truncation changes only the frame that it meets: no frame reads into what follows it."""
    whole, part = message.frames(body), message.frames(body[:-cut])
    good = part[:-1] if part and part[-1].status == DropReason.BAD_FRAME else part
    assert good == whole[:len(good)]


def test_one_bad_frame_does_not_harm_the_next() -> None:
    found = message.frames(bytes.fromhex("0106" "03000768" "0246ff" "020700"))
    assert [frame.status for frame in found] == [
        DropReason.UNKNOWN_CHANNEL, DropReason.NONE, DropReason.UNKNOWN_CHANNEL, DropReason.NONE]
    assert found[1].payload == b"h"


def test_padding_and_nothing_hold_no_frames() -> None:
    assert message.frames(b"") == message.frames(bytes(1200)) == []


def test_only_close_elicits_no_acknowledgment() -> None:
    assert [frame.elicits for frame in message.frames(bytes.fromhex("020700" "03070301" "0105"))] == [True, False, True]


def test_inputs_fall_apart() -> None:
    frame = message.frames(bytes.fromhex("0a" "0409ff0002" "02abcd" "01ef"))[0]
    assert (frame.status, frame.kind, frame.newest, frame.count) == (DropReason.NONE, 9, 255, 2)
    assert message.inputs(frame.payload, frame.count) == [b"\xab\xcd", b"\xef"]
    assert message.inputs(frame.payload, 1) is None and message.inputs(frame.payload, 3) is None


def test_a_frame_that_does_not_fit_is_not_written() -> None:
    frame = message.Fields(DropReason.NONE, 5, False, 0, 0, 0, 0, 0, 0, 0, bytes(126))
    packed = message.pack(frame, 128)
    assert packed is not None and len(packed) == 128
    assert message.pack(frame, 127) is None
    longer = message.Fields(DropReason.NONE, 5, False, 0, 0, 0, 0, 0, 0, 0, bytes(127))
    assert message.pack(longer, 129) is None                # its length takes two bytes
    assert len(message.pack(longer, 130) or b"") == 130
