"""The clients of benchmarks/echo.py: python -m benchmarks.echo_load plain|endpoint PORT KEY CLIENTS SIZE IN_FLIGHT

One socket is all clients: each has an address of its own in 127.0.0.0/8 and keeps IN_FLIGHT messages of SIZE bytes
under way: what comes back is sent again. Whole batches cross into C: the clients cost less than the server.

Prints {"ready": true} once every client got an echo, then for each line of stdin, a number of seconds, runs so long and
prints {"messages", "seconds", "stalls"}; a stall is 200 ms without any echo, after which all messages are sent anew.
"""
from __future__ import annotations

import json
import os
import sys
from typing import Protocol

from shadowland._core.base import records
from shadowland._core.base.batch import DatagramBatch
from shadowland._core.endpoint.endpoint import Endpoint
from shadowland._core.udp.socket import UdpSocket, monotonic_us

SERVER = "127.0.0.1"
STALL_US = 200_000
QUIET_US = 20_000                               # nothing for so long: nothing is under way any more
CONNECT_US = 20_000_000
BATCH = 256


def source(client: int) -> str:
    return f"127.1.{client >> 8}.{client & 255}"


class Load(Protocol):
    socket: UdpSocket

    def kick(self, repeat: bool) -> None: ...
    def pump(self, repeat: bool) -> int: ...


class Plain:
    """Bare datagrams: a received batch already is the next one to send, from the address it came to."""

    def __init__(self, port: int, clients: int, size: int, in_flight: int) -> None:
        self.socket = UdpSocket("0.0.0.0", 0)
        self._batch = DatagramBatch(BATCH, 1536)
        self._server = SERVER, port
        self._sources = [(source(i), 0) for i in range(clients)] * in_flight
        self._payload = bytes(i & 255 for i in range(size))

    def kick(self, repeat: bool) -> None:
        for local in self._sources:
            self._batch.append(self._payload, self._server, local)
            if self._batch.count == BATCH:
                self.socket.send(self._batch)
        self.socket.send(self._batch)

    def pump(self, repeat: bool) -> int:
        count = self.socket.receive(self._batch, monotonic_us())
        if count:
            if self._batch[0] != self._payload:
                raise SystemExit("echo_load: what came back is not what was sent")
            if repeat:
                self.socket.send(self._batch)
        return count


class Sessions:
    """Encrypted sessions of one client Endpoint, each message in a packet of its own unless it coalesces them."""

    def __init__(self, port: int, key: bytes, clients: int, size: int, in_flight: int) -> None:
        self.socket = UdpSocket("0.0.0.0", 0)
        self._inbox, self._replies, self._outbox = (DatagramBatch(BATCH, 1536) for _ in range(3))
        self._endpoint = Endpoint("client", capacity=clients, seed=os.urandom(32))
        self._payload = bytes(i & 255 for i in range(size))
        self._in_flight = in_flight
        self._handles: list[int] = []
        begun, until = 0, monotonic_us() + CONNECT_US
        while len(self._handles) < clients:
            now_us = monotonic_us()
            if now_us > until:
                raise SystemExit(f"echo_load: {len(self._handles)} of {clients} sessions after {CONNECT_US // 10**6} s")
            while begun < min(clients, len(self._handles) + 32):        # a few at a time: the server's door is narrow
                self._endpoint.connect((SERVER, port), key, now_us, local=(source(begun), 0))
                begun += 1
            self.pump(repeat=False)
            self.socket.wait(1000)

    def kick(self, repeat: bool) -> None:
        for handle in self._handles * self._in_flight:
            self._endpoint.send(handle, 0, 1, self._payload)
        self._flush(monotonic_us())

    def pump(self, repeat: bool) -> int:
        endpoint, now_us = self._endpoint, monotonic_us()
        self.socket.receive(self._inbox, now_us)
        count = endpoint.inbound(self._inbox, self._replies, now_us)
        if count:
            first = endpoint.inbox[0]
            if endpoint.inbox_arena[first["offset"]:first["offset"] + first["length"]].tobytes() != self._payload:
                raise SystemExit("echo_load: what came back is not what was sent")
            if repeat:
                endpoint.queue(endpoint.inbox, endpoint.inbox_arena)
        events = endpoint.events
        if len(events):
            self._handles += events["connection"][events["kind"] == records.JOINED].tolist()
            if (events["kind"] == records.LEFT).any():
                raise SystemExit(f"echo_load: a session ended, reason {events['reason'].tolist()}")
        endpoint.clear()
        self.socket.send(self._replies)
        self._flush(now_us)
        return count

    def _flush(self, now_us: int) -> None:
        done = False
        while not done or self._outbox.count:
            done = self._endpoint.outbound(self._outbox, now_us)
            self.socket.send(self._outbox)


def run(load: Load, seconds: float) -> dict[str, float]:
    """Drive `load` for `seconds`; what is still under way then comes home uncounted."""
    messages = stalls = 0
    start = last = monotonic_us()
    end = start + int(seconds * 1e6)
    load.kick(True)
    while (now_us := monotonic_us()) < end:
        count = load.pump(True)
        if count:
            messages += count
            last = now_us
        elif not load.socket.wait(1000) and now_us - last > STALL_US:
            stalls += 1
            last = now_us
            load.kick(True)
    spent = (monotonic_us() - start) / 1e6
    while load.pump(False) or load.socket.wait(QUIET_US):
        pass
    return {"messages": messages, "seconds": spent, "stalls": stalls}


def main() -> None:
    kind, port, key, clients, size, in_flight = sys.argv[1:]
    load: Load
    if kind == "plain":
        load = Plain(int(port), int(clients), int(size), int(in_flight))
    else:
        load = Sessions(int(port), bytes.fromhex(key), int(clients), int(size), int(in_flight))
    if not run(load, 0.2)["messages"]:
        raise SystemExit("echo_load: no echo came back")
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(load, float(line))), flush=True)


if __name__ == "__main__":
    main()
