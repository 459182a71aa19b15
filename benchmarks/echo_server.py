"""The echo servers of benchmarks/echo.py, one a process: python -m benchmarks.echo_server KIND [CIPHER]

Each binds 127.0.0.1, prints one JSON line (its port, and its public key if it has one) and echoes until SIGTERM.
"""
from __future__ import annotations

import asyncio
import importlib
import json
import os
import sys
from collections.abc import Callable
from typing import cast

from shadowland._core.base.batch import DatagramBatch
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us

HOST = "127.0.0.1"
SESSIONS = 4096
IDLE_US = 5_000                                 # timers of the endpoint run at least this often


def ready(port: int, **more: object) -> None:
    print(json.dumps({"port": port} | more), flush=True)


def batches() -> None:
    """Plain echo by UdpSocket: what our door to the kernel costs beside the bare C program."""
    batch = DatagramBatch(256, 1536)
    with UdpSocket(HOST, 0) as server:
        ready(server.local[1])
        while True:
            if server.receive(batch, monotonic_us()):
                server.send(batch)              # remote is who sent it: the batch goes back as it came
            else:
                server.wait(1_000_000)


def flush(endpoint: Endpoint, server: UdpSocket, batch: DatagramBatch, now_us: int) -> None:
    """Send all that the endpoint has to send now."""
    done = False
    while not done or batch.count:
        done = endpoint.outbound(batch, now_us)
        server.send(batch)


def endpoint() -> None:
    """Encrypted echo: every message opened, acknowledged, queued again and sealed."""
    echo = Endpoint("server", capacity=SESSIONS, seed=os.urandom(32), identity_secret=os.urandom(32),
                    cipher=(sys.argv[2:] or ["auto"])[0])
    inbox, replies, outbox = (DatagramBatch(256, 1536) for _ in range(3))
    with UdpSocket(HOST, 0) as server:
        ready(server.local[1], key=echo.public_key.hex())
        while True:
            now_us = monotonic_us()
            if not server.receive(inbox, now_us) and server.wait(IDLE_US):
                continue                        # something came; without, only the timers are due
            if echo.inbound(inbox, replies, now_us):
                echo.queue(echo.inbox, echo.inbox_arena)
            echo.clear()
            server.send(replies)
            flush(echo, server, outbox, now_us)


class Echo(asyncio.DatagramProtocol):
    """What the documentation of asyncio shows."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)     # it is one, of a class beside it

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        self.transport.sendto(data, address)


async def serve() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Echo, local_addr=(HOST, 0))
    ready(transport.get_extra_info("sockname")[1])
    await asyncio.Event().wait()


def plain_asyncio() -> None:
    """asyncio of the standard library."""
    asyncio.run(serve())


def with_uvloop() -> None:
    """asyncio on uvloop."""
    importlib.import_module("uvloop").run(serve())      # an extra: benchmarks/echo.py leaves it out where it is missing


KINDS: dict[str, Callable[[], None]] = {
    "batches": batches, "endpoint": endpoint, "asyncio": plain_asyncio, "uvloop": with_uvloop,
}

if __name__ == "__main__":
    KINDS[sys.argv[1]]()
