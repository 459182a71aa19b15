"""Walks east in examples/first_world.py: `python examples/first_client.py slk1...` (the server prints its key)."""
import asyncio
import sys

from first_world import Chat, Move, Player

import shadowland as sl


async def main(server_key: str, url: str = "sl://127.0.0.1:3565", *, steps: int = 300) -> float:
    """Walk for `steps` snapshots; returns how far east we came."""
    east = 0.0
    async with sl.connect(url, server_key=server_key) as me:
        me.send(Chat(text="hello"))
        async for snapshot in me.snapshots():
            me.send(Move(direction=(1, 0)))
            if snapshot.mine:
                east = float(snapshot.own(Player).position[0])
                sight = len(snapshot[Player])
                print(f"\r{sight} in sight, {east:.2f} m east, {me.stats.rtt_ms:.1f} ms ", end="", flush=True)
            steps -= 1
            if steps <= 0:
                print()
                break
    return east


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit("usage: python examples/first_client.py slk1...  (the line that the server prints at start)")
    try:
        asyncio.run(main(sys.argv[1], *sys.argv[2:3]))
    except KeyboardInterrupt:
        print()
    except sl.ShadowlandError as error:         # no such server, another key, the session ended: it says which
        sys.exit(str(error))
