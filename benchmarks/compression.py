"""What LZ4 and a dictionary save and cost, on chat, on long messages and on the burst of spawns when somebody joins.

    python -m benchmarks.compression [--rounds 5] [--json]

Bytes are those of the payloads, ns the CPU time of a message: to try compressing it, and to open it if it shrank. The
dictionaries: `schema` is what both sides could derive from the classes (names, defaults, enum members and records at
their defaults), `words` are lines of the same speakers, the best case that no schema can reach.
"""
import random
from collections.abc import Sequence
from typing import Annotated as A

import numpy as np

import shadowland as sl
from benchmarks import harness
from benchmarks.replication import Crowd, Walker
from shadowland.schema import encode_one

# The most frequent words of English and of a game's chat, most frequent first; lines draw them by Zipf's law.
WORDS = """the to i you a and it in is of that for on me we my are be have this with not what just do at so your can all
no if get but up like was now go out need one there lol how he they good some got here any will when know from where or
want who ok thanks see dungeon come time sorry more group please level back quest boss wait help heal tank yes item sell
buy gold sword shield potion guild raid party trade map north gate dragon castle village market forest river mountain
anyone looking full ready near under attack run kill drop loot rare epic armor helmet ring staff bow arrow mage warrior
priest rogue summon portal tomorrow tonight later really maybe think should could would going coming leaving left right
""".split()


class Chat(sl.Message, channel="reliable"):
    """A line of chat."""

    speaker: A[int, sl.Range(0, 2**31 - 1)] = 0
    text: A[str, sl.MaxLen(200)] = ""


class History(sl.Message, channel="reliable"):
    """What was said before somebody joined."""

    text: A[str, sl.MaxLen(8000)] = ""


def lines(seed: int, count: int) -> list[str]:
    chance = random.Random(seed)
    weights = [1 / (rank + 2) for rank in range(len(WORDS))]
    lengths = [min(30, 1 + int(chance.expovariate(1 / 7))) for _ in range(count)]
    return [" ".join(chance.choices(WORDS, weights, k=length)) for length in lengths]


def chat(seed: int) -> list[bytes]:
    return [encode_one(Chat(speaker=i * 7919, text=line[:200])) for i, line in enumerate(lines(seed, 2000))]


def histories(seed: int) -> list[bytes]:
    said = lines(seed, 1000)
    return [encode_one(History(text="\n".join(said[at:at + 50]))) for at in range(0, 1000, 50)]


def spawns() -> list[bytes]:
    """The snapshots that those who join in one moment in a crowd are sent first."""
    crowd = Crowd(600, 60, 30, 100, 0.0)
    for crowd.tick in range(1, 31):                         # a second of walking: velocities and yaws are anything
        crowd.world.publish(crowd.tick)
        crowd.walk()
    crowd.world.publish(31)
    records, arena = crowd.world.replicate(crowd.observers[:100])
    return [arena[r["offset"]:int(r["offset"]) + int(r["length"])].tobytes() for r in records]


def schema_dictionary() -> bytes:
    """Names, defaults and records at their defaults; what is likeliest stands last, nearest to what it serves."""
    words = [name for cls in (Walker, Chat, History) for name in (cls.__name__, *cls.__annotations__)]
    return " ".join(words).encode() + encode_one(Chat()) + encode_one(History())


def row(loops: object, name: str, payloads: Sequence[bytes], words: str, dictionary: bytes, rounds: int) -> harness.Row:
    arena = np.frombuffer(b"".join(payloads), np.uint8)
    ends = np.cumsum([len(payload) for payload in payloads], dtype=np.uint32)
    repeats = max(1, 4_000_000 // len(arena))
    taken = [loops.measure(arena, ends, repeats, dictionary) for _ in range(rounds)]  # type: ignore[attr-defined]
    sent, shrunk = taken[0][:2]
    return {
        "messages": name, "dictionary": words, "mean_bytes": round(len(arena) / len(payloads), 1),
        "saved": round(1 - sent / len(arena), 4), "saved_bytes_each": round((len(arena) - sent) / len(payloads), 1),
        "shrank": round(shrunk / len(payloads), 3), "compress_ns": harness.median([t[2] for t in taken], 1),
        "open_ns": harness.median([t[3] for t in taken], 1) if shrunk else None,
    }


def main() -> None:
    options = harness.arguments(__doc__).parse_args()
    loops, busy = harness.loops("compression_loops"), harness.Busyness()
    said = chat(1)
    kinds = {
        "chat, all lines": said, "chat, to 63 B": [line for line in said if len(line) < 64],
        "chat, 64 to 127 B": [line for line in said if 64 <= len(line) < 128],
        "chat, 128 B and more": [line for line in said if len(line) >= 128],
        "50 lines at once": histories(1), "spawn burst": spawns(),
        "random bytes": [random.Random(1).randbytes(600)] * 50,
    }
    dictionaries = {"none": b"", "schema": schema_dictionary(), "words": b"".join(chat(2))[-8192:]}
    rows = [row(loops, name, payloads, words, dictionary, options.rounds)
            for name, payloads in kinds.items() for words, dictionary in dictionaries.items()]
    harness.report("compression", rows, keys=["messages", "dictionary"], settings={"rounds": options.rounds},
                   packages=["lz4"], busy=busy, json_only=options.json)


if __name__ == "__main__":
    main()
