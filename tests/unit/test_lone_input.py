"""An input that comes alone is handed out: the jitter buffer waits for company one tick, not for ever."""
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.endpoint.endpoint import Endpoint

SERVER, CLIENT = ("127.0.0.1", 3565), ("127.0.0.1", 40000)


def carry(sender: Endpoint, receiver: Endpoint, source: tuple[str, int], now: int) -> None:
    """Take what `sender` has to say to `receiver`, and its answers back."""
    sent, given, answers = DatagramBatch(16), DatagramBatch(16), DatagramBatch(16)
    sender.outbound(sent, now)
    for i in range(sent.count):
        given.append(sent[i], source, None, now)
    receiver.inbound(given, answers, now)
    back = DatagramBatch(16)
    for i in range(answers.count):
        back.append(answers[i], SERVER, None, now)
    sender.inbound(back, DatagramBatch(1), now)


def test_a_lone_input_is_handed_out_at_the_second_tick() -> None:
    server = Endpoint("server", capacity=1, seed=b"s" * 32, identity_secret=b"k" * 32)
    client = Endpoint("client", capacity=1, seed=b"c" * 32)
    handle = client.connect(SERVER, server.public_key, 1_000_000)
    for now in (1_000_000, 1_010_000, 1_020_000):
        carry(client, server, CLIENT, now)
    client.send(handle, 4, 1, b"alone")
    carry(client, server, CLIENT, 1_030_000)
    assert server.collect() == 0
    assert server.collect() == 1
    assert [int(record["number"]) for record in server.inbox] == [1]
    assert server.collect() == 0
