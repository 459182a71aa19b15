"""The examples of the README work as they stand, over real sockets."""
import asyncio
import sys
from pathlib import Path

import pytest

import shadowland as sl
from tests.server.running import running

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_the_first_client_walks_east_in_the_first_world(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    for name in ("first_client", "first_world"):
        sys.modules.pop(name, None)
    import first_client
    import first_world

    # Only the example's own classes: other tests of this process define classes too.
    classes = sl.Schema([first_world.Player], [first_world.Chat, first_world.Move])
    first_world.app._given_schema = classes
    monkeypatch.setattr(sl, "connect", lambda url, server_key: _connect(url, server_key, classes))
    with running(first_world.app) as url:
        east = asyncio.run(first_client.main(first_world.app.identity.public_text, url, steps=60))
        assert 2 < east < 14                        # 60 snapshots at 60 Hz and 7 m/s are 7 m
        assert first_world.app.stats().handler_errors == 0


def _connect(url: str, server_key: str, schema: sl.Schema) -> object:
    from shadowland.client import connect
    return connect(url, server_key=server_key, schema=schema)
