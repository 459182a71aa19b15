"""Play the attacker against a server of ours, on this machine alone: python -m tests.attack [NAME...] --seconds 20

Each attack ends in figures and whether what is promised held; a line of JSON for each goes to stdout, last a summary.
Exit code 1 when something did not hold. Without names all run, one after another.
"""
import argparse
import inspect
import json
import sys
import time
from collections.abc import Callable

from benchmarks.harness import Busyness, commit, machine
from tests.attack import members, strangers
from tests.attack.rig import Row

ATTACKS: dict[str, Callable[[float], Row]] = {attack.__name__: attack for attack in (
    strangers.hello_flood, strangers.hello_flood_unbounded, strangers.connect_flood, strangers.session_flood,
    strangers.cookie_theft, strangers.amplification, strangers.slow_handshakes,
    strangers.half_open_crowd, members.replay_and_tampering, members.spoofed_close, members.fragment_bomb,
    members.greedy_member, members.flooding_member, members.forged_blame, members.unvalidated_path,
)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(ATTACKS)}")
    parser.add_argument("--seconds", type=float, default=20.0, help="length of a flood (default 20, at most 600)")
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in ATTACKS]
    if unknown or not 2 <= options.seconds <= 600:
        what = f"there is no attack {unknown[0]!r}" if unknown else f"--seconds is {options.seconds}; give 2 to 600"
        print(f"attack: {what}; the attacks are {', '.join(ATTACKS)}", file=sys.stderr)
        return 2
    busy, failed = Busyness(), []
    for name in options.names or ATTACKS:
        start = time.monotonic()
        print(f"{name}: {(inspect.getdoc(ATTACKS[name]) or '').splitlines()[0]}", file=sys.stderr, flush=True)
        row = ATTACKS[name](options.seconds)
        failed += [] if row["held"] else [name]
        for key, value in row.items():
            print(f"    {key:24} {value}", file=sys.stderr)
        print(json.dumps({"attack": name, "took_s": round(time.monotonic() - start, 1)} | row), flush=True)
    print(json.dumps({"failed": failed, "commit": commit(), "machine": machine(), "busy": busy.report()}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
