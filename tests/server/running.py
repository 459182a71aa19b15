"""Servers that run in a thread beside the test, over real loopback sockets."""
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import shadowland as sl


@contextmanager
def running(app: sl.Server, host: str = "127.0.0.1") -> Iterator[str]:
    """Open `app` on a free port and tick it in a thread; yields its sl:// address."""
    over = threading.Event()
    app.open(host, 0)
    thread = threading.Thread(target=app.loop, kwargs={"until": over.is_set})
    thread.start()
    try:
        name, port = app.address
        yield f"sl://[{name}]:{port}" if ":" in name else f"sl://{name}:{port}"
    finally:
        over.set()
        thread.join()
        app.close()
