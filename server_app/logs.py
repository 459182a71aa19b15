"""Logging: to stderr, a line each, and never one per packet."""
import logging
import sys
import time


def start(level: str) -> None:
    """Log from `level` (debug, info, warning, error) on; stdout stays free for results."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s.%(msecs)03d %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
