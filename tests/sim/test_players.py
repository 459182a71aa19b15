"""Tokens, state joining and integrity over a network that loses, repeats, reorders, corrupts: all agree in the end."""
import pytest

from shadowland._core.base.records import AUTHENTICATE
from shadowland._core.endpoint import checks, players
from shadowland.testing import Link
from tests.reference import tokens
from tests.sim.peers import JOINED, LEFT, SERVER_ADDRESS, Pair, new_client, new_server

SEED, NOW_MS = b"i" * 32, 1_700_000_000_000
FILES = bytes(range(256)) * 64


@pytest.mark.parametrize("seed", range(6))
def test_every_player_is_admitted_once_and_stays(seed: int) -> None:
    server, client = new_server(seed), new_client(seed, client_build=9, connect_timeout_us=30_000_000)
    players.trust(server, (tokens.public_key(SEED),), unix_ms=NOW_MS, required=True)
    players.require_authentication(server)
    checks.configure(server, {9: FILES}, every_us=1_000_000, answer_us=20_000_000)
    checks.have(client, FILES)
    link = Link(delay_us=20_000, jitter_us=15_000, loss=0.25, duplicate=0.1, reorder=0.1, corrupt=0.05)
    pair = Pair(seed, link, clients=0, server=server, client=client)
    for player in range(6):
        token = tokens.make(SEED, player, NOW_MS, NOW_MS + 300_000, player, [server.public_key], b"data")
        client.connect(SERVER_ADDRESS, server.public_key, pair.network.now_us, token=token)
    shown: dict[int, bytes] = {}
    for _ in range(1500):
        pair.run(20_000)
        checks.sweep(server, pair.network.now_us)
        for event in pair.client.events:
            if event.kind == JOINED and event.handle not in shown:
                shown[event.handle] = b"credentials of %d" % event.handle
                players.authenticate(client, event.handle, shown[event.handle])
        for event in pair.server.events:
            if event.kind == AUTHENTICATE and (credentials := players.credentials(server, event.handle)):
                assert credentials in shown.values()
                assert players.admit(server, event.handle, pair.network.now_us)
    assert len(shown) == 6 and not pair.client.heard(LEFT) and not pair.server.heard(LEFT)
    assert len(pair.client.heard(AUTHENTICATE)) == 6 and players.joining(server) == 0
    handles = [event.handle for event in pair.server.heard(JOINED)]
    assert sorted(players.player(server, handle) or (-1, b"") for handle in handles) == [(i, b"data") for i in range(6)]
    assert players.spent(server) == 6 and not any(players.problems(server))
    passed, failed = checks.counts(server)
    assert passed > 6 and failed == 0
    pair.server.check()
    pair.client.check()
