"""Invariant: a batch is a bounded list of (data, remote, local, time), in order."""
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadowland._core.base import records
from shadowland._core.base.batch import DatagramBatch

CAPACITY, SLOT = 5, 48

hosts = st.one_of(st.ip_addresses(v=4).map(str), st.sampled_from(["::1", "fe80::1%7", "2001:db8::ff"]))
addresses = st.tuples(hosts, st.integers(min_value=0, max_value=65535))
# Lengths at the edge and many appends to each removal: uniform choices hardly ever fill a slot or the batch.
payloads = st.binary(max_size=8) | st.builds(
    lambda byte, length: bytes([byte]) * length, st.integers(0, 255), st.sampled_from([SLOT - 1, SLOT, SLOT + 1]),
)
appends = st.tuples(
    payloads, addresses, st.none() | addresses, st.integers(min_value=0, max_value=2**64 - 1),
)
Entry: TypeAlias = tuple[bytes, tuple[str, int], tuple[str, int] | None, int]


steps_of_a_batch = st.integers(0, 9).flatmap(
    lambda n: appends if n < 7 else st.integers(min_value=0, max_value=CAPACITY) if n < 9 else st.none(),
)


@given(st.lists(steps_of_a_batch, min_size=5, max_size=40))
def test_a_batch_is_a_bounded_list(steps: list[Entry | int | None]) -> None:
    batch = DatagramBatch(CAPACITY, SLOT)
    model: list[Entry] = []
    for step in steps:
        if step is None:
            batch.clear()
            model.clear()
        elif isinstance(step, int):
            n = min(step, len(model))
            batch.drop_front(n)
            del model[:n]
        else:
            fits = len(model) < CAPACITY and len(step[0]) <= SLOT
            assert batch.append(*step) == fits
            if fits:
                model.append(step)
        times = batch.datagrams["time_us"].tolist()
        assert [(batch[i], batch.remote(i), batch.local(i), times[i]) for i in range(len(batch))] == model
        assert batch.datagrams["length"].tolist() == [len(entry[0]) for entry in model]


def test_records_read_the_same_from_numpy() -> None:
    batch = DatagramBatch(2, 16)
    batch.append(b"abc", ("10.1.2.3", 4000), ("fe80::2%3", 9), time_us=77)
    record = batch.datagrams[0]
    assert (int(record["time_us"]), int(record["length"]), int(record["ecn"])) == (77, 3, 0)
    assert record["remote"].tobytes() == records.pack_address("10.1.2.3", 4000)
    assert (int(record["local"]["scope"]), int(record["local"]["port"]), int(record["local"]["family"])) == (3, 9, 6)
    assert batch.arena[0, :3].tobytes() == b"abc"


def test_views_outlive_the_batch_and_lengths_cannot_be_forged() -> None:
    batch = DatagramBatch(1, 16)
    batch.append(b"stays", ("::1", 1))
    datagrams, arena = batch.datagrams, batch.arena
    with pytest.raises(ValueError):
        datagrams["length"] = 10**6
    del batch
    assert int(datagrams["length"][0]) == 5 and arena[0, :5].tobytes() == b"stays"


@pytest.mark.parametrize(("capacity", "slot_size"), [(0, 16), (65537, 16), (1, 0), (1, 65537)])
def test_a_batch_of_impossible_size_is_refused(capacity: int, slot_size: int) -> None:
    with pytest.raises(ValueError, match="outside 1 to 65536"):
        DatagramBatch(capacity, slot_size)


@pytest.mark.parametrize(("host", "port", "words"), [
    ("localhost", 1, "localhost"), ("1.2.3.4", 65536, "port 65536"), ("1.2.3.4%1", 1, "no scope"),
    ("::ffff:1.2.3.4", 1, "write 1.2.3.4"), ("fe80::1%no-such-interface", 1, "no-such-interface"),
    ("", 1, "does not appear"),
])
def test_a_wrong_address_says_what_is_wrong(host: str, port: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        records.pack_address(host, port)


@given(addresses)
def test_an_address_survives_packing(address: tuple[str, int]) -> None:
    assert records.unpack_address(records.pack_address(*address)) == address


def test_the_unset_address_and_wrong_sizes() -> None:
    assert records.unpack_address(bytes(24)) == ("", 0)
    with pytest.raises(ValueError, match="24 bytes"):
        records.unpack_address(bytes(23))


def test_dtypes_have_the_sizes_of_the_contract() -> None:
    sizes = [records.ADDRESS_DTYPE, records.DATAGRAM_DTYPE, records.MESSAGE_DTYPE, records.EVENT_DTYPE]
    assert [dtype.itemsize for dtype in sizes] == [24, 64, 32, 24]
    assert [records.JOINED, records.LEFT, records.SNAPSHOT_ACKED, records.SNAPSHOT_LOST] == [1, 2, 3, 4]
    assert records.UNDECODABLE == 1
