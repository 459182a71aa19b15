"""Invariant: on any message class, for any numbers, texts and bytes, the compiled codec and the reference give the same
bytes, the same values and the same refusals; and a batch is its messages one by one."""
import ctypes
import mmap
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.world.codec import MAX_COMPONENTS, MAX_TEXTS, MessageCodec
from tests.reference.codec import ENUM, FLAGS, FLOAT32, RANGE, Codec, Component

INT32 = st.integers(-2**31, 2**31 - 1)
Class = tuple[list[Component], list[int]]


@st.composite
def fields(draw: st.DrawFn) -> list[Component]:
    kind = draw(st.sampled_from([RANGE, RANGE, FLOAT32, ENUM, FLAGS, "unit"]))
    if kind == FLOAT32:
        return [(FLOAT32, 0, 0, 32, 1, 0, 0)]
    if kind == "unit":
        bits, lanes = draw(st.integers(2, 16)), draw(st.integers(1, 3))
        high = 2 ** (bits - 1) - 1
        return [(RANGE, -high, high, bits, 1 if lane else lanes, 0 if lane else high**2, 0) for lane in range(lanes)]
    if kind == FLAGS:
        mask = draw(st.integers(1, 2**31 - 1))
        return [(FLAGS, 0, mask, mask.bit_length(), 1, 0, mask)]
    low = draw(st.sampled_from([-2**31, -2**31 + 1, -5, 0, 1, 2**31 - 70]))
    if kind == ENUM:
        members = draw(st.integers(1, 2**64 - 1)) | 1
        high = low + members.bit_length() - 1
        return [(ENUM, low, high, max(1, (high - low).bit_length()), 1, 0, members)]
    high = draw(st.sampled_from([low + 1, low + 2, low + 3, low + 6, min(low + 1000, 2**31 - 1), 2**31 - 1]))
    return [(RANGE, low, high, (high - low).bit_length(), 1, 0, 0)]


@st.composite
def classes(draw: st.DrawFn) -> Class:
    components = [component for field in draw(st.lists(fields(), max_size=6)) for component in field]
    return components, draw(st.lists(st.sampled_from([1, 2, 5, 200]), max_size=3))


@st.composite
def numbers_of(draw: st.DrawFn, components: list[Component]) -> list[int]:
    """Mostly numbers that fit, now and then one that does not."""
    numbers = []
    for kind, low, high, _, _, unit_squared, members in components:
        near = st.sampled_from([low, high, min(high + 1, 2**31 - 1), max(low - 1, -2**31), (low + high) // 2])
        if kind == FLOAT32:
            near = st.sampled_from([0, -2**31, 0x7F7FFFFF, 0x7F800000, 0x7FC00000, -0x00800000, 1])
        if kind == FLAGS:
            near = st.integers(0, 2**31 - 1).map(lambda number, mask=members: number & mask) | near  # type: ignore[misc]
        if unit_squared:
            near = st.integers(low, high) | near
        numbers.append(draw(near if kind != RANGE else near | st.integers(low, high)))
    return numbers


long_texts = st.text("aé€😀", min_size=199, max_size=201)
texts = st.text(max_size=8).map(str.encode) | st.binary(max_size=6) | long_texts.map(str.encode)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Class, list[int], list[bytes]]:
    message_class = draw(classes())
    return message_class, draw(numbers_of(message_class[0])), [draw(texts) for _ in message_class[1]]


@st.composite
def spoiled(draw: st.DrawFn, payload: bytes | None) -> bytes:
    """A payload that was touched: cut, lengthened, one byte changed, or not at all; or any bytes in place of none."""
    if payload is None:
        return draw(st.binary(max_size=40))
    way = draw(st.sampled_from(["as it is", "cut", "longer", "changed", "changed"]))
    if way == "cut":
        return payload[:draw(st.integers(0, len(payload)))]
    if way == "longer":
        return payload + draw(st.binary(min_size=1, max_size=3))
    if way == "changed" and payload:
        where = draw(st.integers(0, len(payload) - 1))
        return payload[:where] + bytes([draw(st.integers(0, 255))]) + payload[where + 1:]
    return payload


@given(messages())
def test_both_encode_the_same_bytes(message: tuple[Class, list[int], list[bytes]]) -> None:
    message_class, numbers, parts = message
    expected = Codec(*message_class).encode(numbers, parts)
    compiled = MessageCodec(*message_class)
    assert compiled.encode_one(numbers, parts) == expected
    if expected is not None:
        assert compiled.decode_one(expected) == (numbers, [part.decode() for part in parts])


@given(messages(), st.data())
def test_both_take_and_refuse_the_same(message: tuple[Class, list[int], list[bytes]], data: st.DataObject) -> None:
    message_class, numbers, parts = message
    reference = Codec(*message_class)
    payload = data.draw(spoiled(reference.encode(numbers, parts)))
    assert MessageCodec(*message_class).decode_one(payload) == reference.decode(payload)


@given(classes(), st.data())
def test_a_batch_is_its_messages_one_by_one(message_class: Class, data: st.DataObject) -> None:
    compiled, (components, limits) = MessageCodec(*message_class), message_class
    payloads = []
    for _ in range(data.draw(st.integers(0, 5))):
        numbers = data.draw(numbers_of(components))
        payload = Codec(*message_class).encode(numbers, [data.draw(texts) for _ in limits])
        payloads.append(data.draw(spoiled(payload)))
    arena = b"".join(payloads)
    lengths = np.array([len(payload) for payload in payloads], np.uint32)
    offsets = (np.cumsum(lengths, dtype=np.uint32) - lengths).astype(np.uint32)
    matrix, spans, ok = decode(compiled, arena, offsets, lengths, len(components), len(limits))
    good = []
    for index, payload in enumerate(payloads):
        one = compiled.decode_one(payload)
        assert ok[index] == (one is not None)
        if one is None:
            assert not matrix[index].any() and not spans[index].any()
        else:
            found = [arena[start:start + size].decode() for start, size in spans[index].tolist()]
            assert (matrix[index].tolist(), found) == one
            good.append(payload)
    kept = ok.astype(bool)
    room = sum(map(len, good)) + 3 * len(good) * len(limits)
    again, starts, sizes = encode(compiled, matrix[kept], arena, spans[kept], room)
    assert [again[start:start + size] for start, size in zip(starts, sizes, strict=True)] == good


def decode(codec: MessageCodec, arena: Any, offsets: Any, lengths: Any, width: int,
           texts: int) -> tuple[Any, Any, Any]:
    count = len(offsets)
    matrix, spans = np.full((count, width), 77, np.int32), np.full((count, texts, 2), 77, np.uint32)
    ok = np.full(count, 77, np.uint8)
    accepted = codec.decode(arena, offsets, lengths, matrix.reshape(-1), spans.reshape(-1), ok)
    assert accepted == ok.sum()
    return matrix, spans, ok


def encode(codec: MessageCodec, matrix: Any, texts: bytes, spans: Any,
           capacity: int) -> tuple[bytes, list[int], list[int]]:
    count = len(matrix)
    arena, offsets, lengths = np.zeros(capacity, np.uint8), np.zeros(count, np.uint32), np.zeros(count, np.uint32)
    used = codec.encode(np.ascontiguousarray(matrix).reshape(-1), texts, np.ascontiguousarray(spans).reshape(-1), arena,
                        offsets, lengths)
    assert used >= 0
    return arena[:used].tobytes(), offsets.tolist(), lengths.tolist()


@st.composite
def lists_of(draw: st.DrawFn) -> tuple[list[tuple[Component, int, int]], list[Any]]:
    """Up to three lists and what stands in them, mostly what fits."""
    codes: list[tuple[Component, int, int]] = []
    values: list[Any] = []
    for _ in range(draw(st.integers(1, 3))):
        most = draw(st.sampled_from([1, 2, 7, 130]))
        if draw(st.booleans()) and most < 100:
            codes.append(((RANGE, 0, 1, 1, 1, 0, 0), most, draw(st.sampled_from([1, 3]))))
            values.append(draw(st.lists(texts, max_size=min(most + 1, 4))))
            continue
        component = draw(fields())
        codes.append((component[0], most, 0))
        count = draw(st.sampled_from([0, 1, 2, most, most + 1]))
        one = draw(numbers_of(component))
        values.append([number for index in range(count)
                       for number in (draw(numbers_of(component)) if index < 3 else one)])
    return codes, values


@given(messages(), lists_of(), st.data())
def test_both_say_the_same_of_lists(message: tuple[Class, list[int], list[bytes]],
                                    lists: tuple[list[tuple[Component, int, int]], list[Any]],
                                    data: st.DataObject) -> None:
    (components, limits), numbers, parts = message
    codes, values = lists
    reference, compiled = Codec(components, limits, codes), MessageCodec(components, limits, codes)
    expected = reference.encode(numbers, parts, values)
    assert compiled.encode_one(numbers, parts, values) == expected
    payload = data.draw(spoiled(expected))
    found, wanted = compiled.decode_one(payload), reference.decode(payload)
    assert (found is None) == (wanted is None)
    count = len(limits) + len(codes)
    spans, ok = np.full((1, count, 2), 77, np.uint32), np.zeros(1, np.uint8)
    matrix, at = np.zeros(len(components), np.int32), np.array([3], np.uint32)
    size = np.array([len(payload)], np.uint32)
    compiled.decode(b"..." + payload, at, size, matrix, spans.reshape(-1), ok)
    if found is None or wanted is None:
        assert not ok[0] and not spans.any()
        return
    plain = [part.tolist() if isinstance(part, np.ndarray) else part for part in found[1]]
    assert (found[0], plain) == wanted and ok[0]
    for index in range(len(codes)):
        part = compiled.list_at(index, b"..." + payload, *spans[0, len(limits) + index].tolist())
        assert (part.tolist() if isinstance(part, np.ndarray) else part) == wanted[1][len(limits) + index]


def test_a_list_is_bounded_and_has_one_encoding() -> None:
    codec = MessageCodec([], [], [((RANGE, 0, 9, 4, 1, 0, 0), 2, 0)])
    for payload, numbers in [("00", []), ("0105", [5]), ("0295", [5, 9]), ("02a5", None), ("0115", None), ("03", None),
                             ("", None), ("01", None), ("8100", None), ("810005", None), ("020500", None),
                             ("ffffffffffffffffff01", None), ("ffffffff0f", None)]:
        found = codec.decode_one(bytes.fromhex(payload))
        assert (None if found is None else found[1][0].tolist()) == numbers, payload
    assert codec.encode_one([], [], [[1, 2, 3]]) is None and codec.encode_one([], [], [[10]]) is None
    with pytest.raises(ValueError):
        codec.encode_one([], [])
    with pytest.raises(ValueError):
        codec.encode(np.empty(0, np.int32), b"", np.zeros(2, np.uint32), np.zeros(9, np.uint8), np.zeros(1, np.uint32),
                     np.zeros(1, np.uint32))
    for index, offset, count in [(1, 1, 1), (0, 0, 1), (0, 1, 2), (0, 9, 1), (0, -1, 1), (0, 1, 70000)]:
        with pytest.raises(ValueError):
            codec.list_at(index, b"\x01\x05", offset, count)
    digit = (RANGE, 0, 9, 4, 1, 0, 0)
    for bad in [(digit, 0, 0), (digit, 65536, 0), (digit, 1, 65536), ((RANGE, 0, 9, 4, 4, 0, 0), 1, 0),
                ((RANGE, 0, 99, 4, 1, 0, 0), 1, 0), ((ENUM, 0, 64, 7, 1, 0, 1), 1, 0)]:
        with pytest.raises(ValueError):
            MessageCodec([], [], [bad])


def test_utf8_is_what_python_says() -> None:
    """All first bytes, with second to fourth bytes at the edges of what may follow them."""
    edges = [0x00, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0]
    compiled = MessageCodec([], [6])
    for head in range(256):
        for tail in [[], *([second] + rest for second in edges for rest in ([], [0x80], [0xBF, 0xBF], [0x7F, 0x80]))]:
            text = bytes([head, *tail])
            try:
                expected: tuple[list[int], list[str]] | None = ([], [text.decode()])
            except UnicodeDecodeError:
                expected = None
            assert compiled.decode_one(bytes([len(text)]) + text) == expected, text.hex()


@pytest.mark.parametrize("payload, text", [
    ("00", ""), ("0161", "a"), ("8000", None), ("810061", None), ("81800061", None), ("80", None), ("", None),
    ("808000", None), ("0261", None), ("016162", None), ("ffffffffffffffffff0161", None),
])
def test_a_text_has_one_encoding(payload: str, text: str | None) -> None:
    """Over-long lengths above all: they would let one message have several encodings."""
    expected: tuple[list[int], list[str]] | None = None if text is None else ([], [text])
    assert MessageCodec([], [200]).decode_one(bytes.fromhex(payload)) == expected
    assert Codec([], [200]).decode(bytes.fromhex(payload)) == expected


def test_a_text_is_limited_in_characters() -> None:
    for text, fits in [("ab", True), ("€😀", True), ("abc", False), ("€€€", False)]:
        payload = bytes([len(text.encode())]) + text.encode()
        assert (MessageCodec([], [2]).decode_one(payload) is not None) is fits
        assert MessageCodec([], [2]).encode_one([], [text.encode()]) == (payload if fits else None)


def test_a_character_ends_where_its_text_ends() -> None:
    """The length of the second text begins with 80, which would complete the first text's only character."""
    payload = b"\x01\xc3" + b"\x80\x01" + b"a" * 128
    assert MessageCodec([], [200, 200]).decode_one(payload) is None
    assert MessageCodec([], [200, 200]).encode_one([], [b"\xc3", b"\x80"]) is None


@pytest.mark.parametrize("lanes", [1, 2, 3])
def test_every_lane_counts_towards_the_length_of_a_unit(lanes: int) -> None:
    parts = [(RANGE, -127, 127, 8, 1 if lane else lanes, 0 if lane else 127**2, 0) for lane in range(lanes)]
    compiled, reference = MessageCodec(parts, []), Codec(parts, [])
    for lane in range(lanes):
        longest = [0] * lanes
        longest[lane] = -127
        assert compiled.encode_one(longest, []) == reference.encode(longest, [])
        assert compiled.decode_one(bytes(number + 127 for number in longest)) == (longest, [])
        for other in set(range(lanes)) - {lane}:
            longer = [*longest]
            longer[other] = 1
            payload = bytes(number + 127 for number in longer)
            assert compiled.encode_one(longer, []) is None and compiled.decode_one(payload) is None


@pytest.mark.parametrize("bits, finite", [
    (0x7F7FFFFF, True), (0x7F800000, False), (0x7F800001, False), (0x7FC00000, False), (0x7FFFFFFF, False), (0, True),
    (0x80000000, True), (0xFF7FFFFF, True), (0xFF800000, False), (0xFFC00000, False), (0x00000001, True),
])
def test_floats_are_finite(bits: int, finite: bool) -> None:
    codec, payload = MessageCodec([(FLOAT32, 0, 0, 32, 1, 0, 0)], []), bits.to_bytes(4, "little")
    number = int.from_bytes(payload, "little", signed=True)
    assert codec.decode_one(payload) == (([number], []) if finite else None)
    assert codec.encode_one([number], []) == (payload if finite else None)


def test_flags_and_enums_take_only_what_has_a_name() -> None:
    flags, members = (FLAGS, 0, 0b1001, 4, 1, 0, 0b1001), (ENUM, -2, 2, 3, 1, 0, 0b10101)
    for component, named in [(flags, {0, 1, 8, 9}), (members, {-2, 0, 2})]:
        compiled, reference = MessageCodec([component], []), Codec([component], [])
        for number in range(-3, 16):
            assert (compiled.encode_one([number], []) is not None) == (number in named)
        for byte in range(256):
            assert compiled.decode_one(bytes([byte])) == reference.decode(bytes([byte]))


def test_a_length_of_three_bytes() -> None:
    text = "€" * 6000                                       # 18,000 bytes: 2**14 is where the third byte begins
    payload = MessageCodec([], [6000]).encode_one([], [text.encode()])
    assert payload is not None and payload[:3] == b"\xd0\x8c\x01"
    assert MessageCodec([], [6000]).decode_one(payload) == ([], [text])
    assert payload == Codec([], [6000]).encode([], [text.encode()])


@pytest.mark.parametrize("offset, length", [(0, 3), (2, 1), (3, 0), (2**32 - 1, 2), (1, 2**32 - 1)])
def test_a_record_that_points_outside_the_arena_is_refused(offset: int, length: int) -> None:
    codec = MessageCodec([(RANGE, 0, 255, 8, 1, 0, 0)], [])
    matrix, _, ok = decode(codec, b"\x07\x08", np.array([offset], np.uint32), np.array([length], np.uint32), 1, 0)
    assert ok.tolist() == [0] and matrix.tolist() == [[0]]


def test_an_arena_one_byte_short_stops_at_the_row_that_does_not_fit() -> None:
    codec = MessageCodec([(RANGE, 0, 255, 8, 1, 0, 0)], [])
    numbers, empty = np.array([1, 2, 3], np.int32), np.empty(0, np.uint32)
    offsets, lengths = np.zeros(3, np.uint32), np.zeros(3, np.uint32)
    arena = np.zeros(2, np.uint8)
    assert codec.encode(numbers, b"", empty, arena, offsets, lengths) == -3
    assert codec.encode(numbers, b"", empty, np.zeros(3, np.uint8), offsets, lengths) == 3


def test_spans_to_encode_must_lie_in_the_texts() -> None:
    codec = MessageCodec([], [5])
    one, arena = np.zeros(1, np.uint32), np.zeros(20, np.uint8)
    nothing = np.empty(0, np.int32)
    for offset, length in [(0, 4), (3, 1), (4, 0), (2**32 - 1, 1), (1, 2**32 - 1)]:
        spans = np.array([offset, length], np.uint32)
        expected = -1 if (offset, length) != (3, 0) else 1
        assert codec.encode(nothing, b"abc", spans, arena, one, one.copy()) == expected
    assert codec.encode(nothing, b"abc", np.array([3, 0], np.uint32), arena, one, one.copy()) == 1


@pytest.mark.parametrize("component", [
    (RANGE, 0, 255, 0, 1, 0, 0), (RANGE, 0, 255, 33, 1, 0, 0), (RANGE, 0, 256, 8, 1, 0, 0), (RANGE, 5, 4, 8, 1, 0, 0),
    (RANGE, 0, 1, 1, 2, 1, 0), (RANGE, 0, 1, 1, 0, 1, 0), (ENUM, 0, 64, 7, 1, 0, 1), (FLOAT32, 0, 0, 31, 1, 0, 0),
    (4, 0, 1, 1, 1, 0, 0),
])
def test_a_codec_that_would_read_or_shift_out_of_bounds_cannot_be_made(component: Component) -> None:
    with pytest.raises(ValueError):
        MessageCodec([component], [])


def test_tables_are_bounded() -> None:
    byte = (RANGE, 0, 255, 8, 1, 0, 0)
    MessageCodec([byte] * MAX_COMPONENTS, [1] * MAX_TEXTS)
    too_many, too_many_texts = [byte] * (MAX_COMPONENTS + 1), [1] * (MAX_TEXTS + 1)
    for components, limits in [(too_many, []), ([], too_many_texts), ([], [0]), ([], [65536])]:
        with pytest.raises(ValueError):
            MessageCodec(components, limits)


def test_arrays_of_other_sizes_are_a_mistake_of_the_caller() -> None:
    codec = MessageCodec([(RANGE, 0, 255, 8, 1, 0, 0)], [])
    one, two = np.zeros(1, np.uint32), np.zeros(2, np.uint32)
    numbers, ok, empty = np.zeros(1, np.int32), np.zeros(1, np.uint8), np.empty(0, np.uint32)
    with pytest.raises(ValueError):
        codec.decode(b"a", two, two, numbers, empty, ok)
    with pytest.raises(ValueError):
        codec.decode(b"a", one, two, numbers, empty, ok)
    with pytest.raises(ValueError):
        codec.decode(b"a", one, one, numbers, one, ok)
    with pytest.raises(ValueError):
        codec.encode(numbers, b"", empty, ok, one, two)


def test_texts_of_a_batch_are_found_where_they_stand() -> None:
    codec, arena = MessageCodec([(RANGE, 0, 255, 8, 1, 0, 0)], [9, 9]), b"...\x07\x01a\x02bc\x08\x00\x01d"
    matrix, spans, ok = decode(codec, arena, np.array([3, 9], np.uint32), np.array([6, 4], np.uint32), 1, 2)
    assert ok.tolist() == [1, 1] and matrix.tolist() == [[7], [8]]
    found = [[arena[start:start + size] for start, size in row] for row in spans.tolist()]
    assert found == [[b"a", b"bc"], [b"", b"d"]]


def test_nothing_beyond_the_payload_is_read() -> None:
    """The payload ends where a page does, and the next page may not be touched: reading it ends the process."""
    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    arena = np.frombuffer(memory, np.uint8)
    protect = ctypes.CDLL(None, use_errno=True).mprotect
    protect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    assert protect(arena.ctypes.data + page, page, 0) == 0
    numbers: list[Component] = [(RANGE, 0, 255, 8, 1, 0, 0), (RANGE, 0, 2**31 - 1, 31, 1, 0, 0)]
    for components, limits, payload in [
        (numbers, [], b"\x01\x02\x03\x04\x05"), (numbers, [], b"\x01\x02\x03\x04"),
        (numbers, [9], b"\x01\x02\x03\x04\x05"), ([], [9], b"\x03ab"), ([], [9], b"\x02a\xc3"), ([], [9], b"\x01\xf0"),
        ([], [9], b"\x80"), ([], [9, 9], b"\x01a"), ([], [9], b"\x01a"),
    ]:
        arena[page - len(payload):page] = list(payload)
        offset, length = np.array([page - len(payload)], np.uint32), np.array([len(payload)], np.uint32)
        _, _, ok = decode(MessageCodec(components, limits), arena, offset, length, len(components), len(limits))
        assert ok[0] == (Codec(components, limits).decode(payload) is not None)
