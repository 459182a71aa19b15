"""No key outlives its use anywhere in the process: not in the endpoints, not on the stack, not in what was freed.

A process of its own replays the rekeys of tests/vectors/rekey.json between two compiled endpoints and looks through all
of its writable memory for the keys that stand there. It knows them only in hex and masked, so that it finds no copies
of its own.
"""
import gc
import json
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from shadowland._core.base.status import DisconnectReason
from shadowland._core.crypto import sodium
from tests.golden.test_rekey_vectors import NAMES, VECTORS, pass_time
from tests.golden.test_session_vectors import CLIENT, SERVER, desks
from tests.unit.desk import SECOND

LOOKED = {"confirm", "1: request", "1: response", "the old key, after the grace time", "2: request", "2: response"}
MASK, CHUNK, LONGEST = 0x5A, 1 << 20, 32
hexed = bytes.fromhex


def masked(key: str) -> bytes:
    """The inner bytes of a key, masked: X25519 changes bits of the first and the last when it copies one."""
    return bytes(int(key[i:i + 2], 16) ^ MASK for i in range(2, len(key) - 2, 2))


def found(secrets: dict[str, bytes]) -> list[str]:
    """Names of the secrets that stand in this process's memory."""
    gc.collect()
    buffer, names = np.zeros(CHUNK + LONGEST, np.uint8), set[str]()
    with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
        for line in maps.readlines():
            span, rights = line.split()[:2]
            if not rights.startswith("rw") or "[v" in line:
                continue
            low, high = (int(part, 16) for part in span.split("-"))
            for at in range(low, high, CHUNK):
                memory.seek(at)
                got = memory.readinto(buffer[:min(CHUNK + LONGEST, high - at)].data)
                buffer ^= MASK
                text = buffer[:got].tobytes()
                names |= {name for name, secret in secrets.items() if secret in text}
    return sorted(names)


def main(index: int) -> dict[str, list[str]]:
    """Replay one transcript; what was found when."""
    given = VECTORS["transcripts"][index]
    exchange, secrets = given["exchange"], dict[str, bytes]()
    for epoch, row in enumerate([exchange, *(row for row in given["rows"] if "client_to_server" in row)]):
        for name in ("client_to_server", "server_to_client"):
            secrets[f"{name} {epoch}"] = masked(row[name])
    for row in (exchange, *given["rows"]):
        for name in ("client_ephemeral_private", "server_ephemeral_private"):
            if name in row:
                secrets[f"{name} {row.get('name', 'handshake')}"] = masked(row[name])
    server, client = desks(exchange["schema_hash"], given["suites"])
    client.outbound()
    server.give(hexed(exchange["hello"]), CLIENT)
    client.give(hexed(exchange["cookie"]), SERVER)
    client.outbound()
    server.give(hexed(exchange["connect"]), CLIENT)
    stages = {"half open": found(secrets)}
    client.give(hexed(exchange["answer"]), SERVER)
    for row in given["rows"]:
        if row["to"] == "both":
            pass_time(server, client, row["us"])
            continue
        to, own, source = (server, client, CLIENT) if row["to"] == "server" else (client, server, SERVER)
        if "rekey" in row:
            wishing = server if row["rekey"] == "server" else client
            wishing.endpoint.rekey(wishing.events[-1][1])
        if row["said"]:
            own.outbound()
        to.give(hexed(row["datagram"]), source)
        if row["name"] in LOOKED:
            stages[row["name"]] = found(secrets)
    for desk in (server, client):
        desk.wait(5 * SECOND, 500_000)
    stages["after the grace time"] = found(secrets)
    server.endpoint.close_all(int(DisconnectReason.SERVER_SHUTDOWN), server.now_us)
    for datagram in server.outbound():
        client.give(datagram, SERVER)
    for desk in (server, client):
        desk.wait(SECOND)
        assert desk.endpoint.live == 0
    stages["closed"] = found(secrets)
    return stages


@pytest.mark.parametrize("index", range(2), ids=NAMES)
def test_keys_are_nowhere_once_they_have_served(index: int) -> None:
    if index == 1 and not sodium.has_aes():
        pytest.skip("this processor has no AES instructions")
    if not os.access("/proc/self/mem", os.R_OK):
        pytest.skip("this system shows no process its own memory")
    done = subprocess.run([sys.executable, "-m", "tests.unit.test_wiping", str(index)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    stages: dict[str, Any] = json.loads(done.stdout)
    served = {name: [key for key in names if "private" not in key] for name, names in stages.items()}

    def keys(*epochs: int) -> list[str]:
        return sorted(f"{way} {epoch}" for way in ("client_to_server", "server_to_client") for epoch in epochs)

    # What is looked for is found while it serves: the search works.
    assert "client_ephemeral_private handshake" in stages["half open"]
    assert served["confirm"] == served["1: request"] == keys(0)
    assert served["1: response"] == keys(0, 1)
    assert served["the old key, after the grace time"] == served["2: request"] == keys(1)
    assert served["2: response"] == keys(1, 2) and served["after the grace time"] == keys(2)
    assert stages["closed"] == []
    # Ephemeral keys are those of the generators until they are drawn, and gone once the exchange is done.
    for epoch, last in ((1, "1: request"), (2, "2: request")):
        for key in (f"client_ephemeral_private {epoch}: request", f"server_ephemeral_private {epoch}: response"):
            assert [name for name, names in stages.items() if key in names][-1] == last
    assert "client_ephemeral_private handshake" not in stages["confirm"]


if __name__ == "__main__":
    print(json.dumps(main(int(sys.argv[1]))))
