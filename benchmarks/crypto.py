"""What the crypto kernels cost, beside libsodium alone in the same run: `python -m benchmarks.crypto`.

Prints a table and, last, one line of JSON. CPU time, medians of several rounds, the two sides in turn.
"""
import json
import os
import platform
import statistics
from collections.abc import Callable
from functools import partial

from benchmarks import harness

REPEATS = 25


def medians(*sides: Callable[[], float]) -> list[float]:
    rounds = [[side() for side in sides] for _ in range(REPEATS)]
    return [round(statistics.median(column), 1) for column in zip(*rounds, strict=True)]


def main() -> None:
    from shadowland._core.crypto import aead, sodium
    code = harness.loops("crypto_loops")
    figures: dict[str, dict[str, float]] = {}
    for name, suite in (("chacha20_poly1305", aead.CHACHA20_POLY1305), ("aegis_128l", aead.AEGIS_128L)):
        if not aead.key_size(suite):
            continue
        for size in (64, 200, 600, 1160):
            ours, alone, both = medians(
                partial(code.seal, suite, size, 5_000, False), partial(code.seal, suite, size, 5_000, True),
                partial(code.seal_and_open, suite, size, 5_000))
            figures[f"{name} {size}"] = {"seal_ns": ours, "libsodium_ns": alone, "ratio": round(ours / alone, 3),
                                         "seal_and_open_ns": both}
            print(f"{name:18} {size:5} B   seal {ours:8.1f} ns   libsodium alone {alone:8.1f} ns   "
                  f"x{ours / alone:.3f}   seal + open {both:8.1f} ns")
    make, good, forged, hmac = medians(*(partial(code.cookie, what, 5_000) for what in range(4)))
    figures["cookie"] = {"make_ns": make, "check_ns": good, "check_forged_ns": forged, "hmac_alone_ns": hmac}
    print(f"cookie   make {make:.1f} ns   check {good:.1f} ns   check of a forged one (two secrets) {forged:.1f} ns   "
          f"one-shot HMAC-SHA256 of 66 B {hmac:.1f} ns")
    eight, key, dh = medians(
        partial(code.random, 8, 20_000), partial(code.random, 32, 20_000), partial(code.exchange, 100))
    figures["other"] = {"random_8_ns": eight, "random_32_ns": key, "x25519_ns": dh}
    print(f"random   8 B {eight:.1f} ns   32 B {key:.1f} ns      X25519 {dh / 1000:.1f} us")
    figures["rekey"] = {"phase_ns": medians(partial(code.phase, 1_000_000))[0]}
    for name, suite in (("chacha20_poly1305", aead.CHACHA20_POLY1305), ("aegis_128l", aead.AEGIS_128L)):
        if aead.key_size(suite):
            sides = [code.rekey(suite, 200) for _ in range(REPEATS)]
            client, server = (statistics.median(column) / 1000 for column in zip(*sides, strict=True))
            figures["rekey"] |= {f"{name}_client_us": round(client, 1), f"{name}_server_us": round(server, 1)}
            print(f"rekey    {name:18} client {client:5.1f} us   server {server:5.1f} us")
    print(f"key of a received packet by its phase {figures['rekey']['phase_ns']:.2f} ns, with the random phase")
    print(json.dumps({
        "benchmark": "crypto", "machine": platform.machine(), "cpus": os.cpu_count(), "load": os.getloadavg()[0],
        "python": platform.python_version(), "aes": sodium.has_aes(), "repeats": REPEATS, "figures": figures}))


if __name__ == "__main__":
    main()
