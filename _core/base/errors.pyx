"""Every exception that the caller of this library can meet; `shadowland.errors` re-exports them.

They tell of mistakes of the caller, of full tables and of sessions that ended. What comes from the wire raises none of
them: a bad datagram is a DropReason and its counter.
"""


class ShadowlandError(Exception):
    """Whatever this library raises on purpose."""


class ConfigError(ShadowlandError, ValueError):
    """A value that was configured cannot be used; the text says what, where and the fix."""


class UsageError(ShadowlandError):
    """A call that makes no sense in this state or with these arguments, such as a stale handle."""


class CapacityError(ShadowlandError):
    """A limit that was configured at start-up is reached."""


class _Ended(ShadowlandError):
    """A session that ended or never began: the reason, and a text when there is more to say than its sentence."""

    def __init__(self, reason, text=""):
        super().__init__(reason, text)
        self.reason = reason

    def __str__(self):
        return self.args[1] or self.reason.sentence


class ConnectError(_Ended):
    """A session could not be established.

    `reason` is the DisconnectReason. Without a text of its own, the sentence of the reason is the text.
    """


class ConnectionLost(_Ended):
    """An established session has ended.

    `reason` is the DisconnectReason. Without a text of its own, the sentence of the reason is the text.
    """


class TransportError(ShadowlandError, OSError):
    """The operating system refused a socket operation; `errno` and `strerror` are those of the OSError."""
