"""Reasons for people: names and sentences of the numbers in status.pxd.

The three tables below are the only place where a reason gets its name and its sentence; docs/reasons.md is checked
against them, and logs, counters, errors and the decoder all ask here.
"""
from enum import IntEnum

_DROPS = (
    (DROP_NONE, "NONE", "The datagram was accepted."),
    (DROP_TRUNCATED, "TRUNCATED", "The datagram is shorter than its header or its kind requires."),
    (DROP_OVERSIZED, "OVERSIZED", "The datagram is longer than any that the protocol allows."),
    (DROP_BAD_FLAGS, "BAD_FLAGS", "The header's flags or its channel do not fit a datagram of this sort."),
    (DROP_BAD_CRC, "BAD_CRC", "The CRC32C of a handshake datagram does not match its bytes."),
    (DROP_BAD_KIND, "BAD_KIND", "The kind of a handshake datagram is unknown or comes from the wrong side."),
    (DROP_BAD_VERSION, "BAD_VERSION", "The handshake datagram speaks another version of the protocol."),
    (DROP_BAD_PADDING, "BAD_PADDING",
     "The length or the padding of a handshake datagram is not what its kind prescribes."),
    (DROP_BAD_COOKIE, "BAD_COOKIE", "The cookie was not made by this server for this address and this ephemeral key."),
    (DROP_COOKIE_EXPIRED, "COOKIE_EXPIRED", "The cookie is older than its life, or comes from the future."),
    (DROP_LOW_ORDER_POINT, "LOW_ORDER_POINT", "The peer's public key gives an all-zero Diffie-Hellman result."),
    (DROP_HANDSHAKE_FAILED, "HANDSHAKE_FAILED", "A Noise message did not open, or its payload is malformed."),
    (DROP_HALF_OPEN_FULL, "HALF_OPEN_FULL", "No slot is left for another half-open connection."),
    (DROP_EPHEMERAL_REUSED, "EPHEMERAL_REUSED",
     "The same ephemeral key came again with other bytes in Noise message 1."),
    (DROP_UNKNOWN_CONNECTION, "UNKNOWN_CONNECTION", "No session has this connection id."),
    (DROP_REPLAYED, "REPLAYED", "This sequence was accepted before, or is older than the replay window."),
    (DROP_SEQUENCE_JUMP, "SEQUENCE_JUMP", "The sequence is further ahead than the peer can have sent."),
    (DROP_AUTH_FAILED, "AUTH_FAILED", "The tag does not verify: forged, corrupted, or sealed under another key."),
    (DROP_WRONG_PATH, "WRONG_PATH", "The datagram came from another address than the session's path."),
    (DROP_BAD_ACK_BLOCK, "BAD_ACK_BLOCK", "The ack block is malformed; the whole body was dropped."),
    (DROP_BAD_FRAME, "BAD_FRAME", "A frame is malformed or longer than what is left of the body."),
    (DROP_UNKNOWN_CHANNEL, "UNKNOWN_CHANNEL", "A frame names a channel that this version does not use."),
    (DROP_UNKNOWN_MESSAGE, "UNKNOWN_MESSAGE", "The kind of a message is not in the schema."),
    (DROP_BAD_MESSAGE, "BAD_MESSAGE", "The payload of a message does not fit its kind."),
    (DROP_STALE, "STALE", "A newer message of this kind has already been taken."),
    (DROP_DUPLICATE, "DUPLICATE", "The message was already delivered."),
    (DROP_INBOX_FULL, "INBOX_FULL",
     "The inbox, or the session's share of it, had no room for the message in this tick."),
    (DROP_BLOCKS_FULL, "BLOCKS_FULL", "No block was left to keep the message in."),
    (DROP_BAD_FRAGMENT, "BAD_FRAGMENT", "A fragment's index, count or length contradicts its set or the limits."),
    (DROP_FRAGMENT_EXPIRED, "FRAGMENT_EXPIRED", "A set of fragments was not complete in time."),
    (DROP_FRAGMENTS_FULL, "FRAGMENTS_FULL", "A set of fragments was evicted by a newer one."),
    (DROP_REPLIES_FULL, "REPLIES_FULL", "The batch of replies had no room for another answer."),
    (DROP_CLOSED, "CLOSED", "The session is closing or closed."),
    (DROP_RATE_LIMITED, "RATE_LIMITED", "A budget for this sort of datagram is spent."),
    (DROP_UNDECODABLE, "UNDECODABLE", "A snapshot could not be decoded; its packet stays unacknowledged."),
    (DROP_KERNEL_OVERFLOW, "KERNEL_OVERFLOW",
     "The kernel's receive buffer was full; raise net.core.rmem_max and the socket's buffer."),
    (DROP_SEND_FAILED, "SEND_FAILED", "The operating system refused to send the datagram."),
    (DROP_UNEXPECTED, "UNEXPECTED", "The datagram is well-formed but makes no sense in this state."),
    (DROP_GUARDED, "GUARDED",
     "A rule of the guard refused it: its source, or all of its sort together, sent too much."),
    (DROP_BANNED, "BANNED", "The address, proven by a cookie, is banned and was told so, or too many were just now."),
    (DROP_BAD_COMPRESSION, "BAD_COMPRESSION",
     "A compressed message is not what it declares, is too long, or is of a class that is never compressed."),
    (DROP_NO_KEYS, "NO_KEYS", "The packet's key phase is that of an epoch without keys: not begun, or over."),
)

_BYES = (
    (BYE_NONE, "NONE", "The session has not ended."),
    (BYE_CLIENT_LEFT, "CLIENT_LEFT", "The client closed the session."),
    (BYE_SERVER_SHUTDOWN, "SERVER_SHUTDOWN", "The server is shutting down."),
    (BYE_IDLE_TIMEOUT, "IDLE_TIMEOUT", "Nothing that opened came from the peer for the idle timeout."),
    (BYE_CONNECT_TIMEOUT, "CONNECT_TIMEOUT", "The server did not answer within the connect timeout."),
    (BYE_SERVER_FULL, "SERVER_FULL", "The server has no room for another session."),
    (BYE_SCHEMA_MISMATCH, "SCHEMA_MISMATCH", "Client and server declare different entities or messages."),
    (BYE_VERSION_MISMATCH, "VERSION_MISMATCH", "Client and server speak different versions of the protocol."),
    (BYE_WRONG_SERVER_KEY, "WRONG_SERVER_KEY", "The server does not hold the key that the client pinned."),
    (BYE_PROTOCOL_VIOLATION, "PROTOCOL_VIOLATION", "The peer sent what the protocol forbids."),
    (BYE_FLOW_VIOLATION, "FLOW_VIOLATION", "The peer sent beyond the receive credit it was given."),
    (BYE_ACK_OF_UNSENT, "ACK_OF_UNSENT", "The peer acknowledged a packet that was never sent."),
    (BYE_SEQUENCE_JUMP, "SEQUENCE_JUMP", "The peer's sequence jumped further than it can have sent."),
    (BYE_KICKED, "KICKED", "The application ended the session."),
    (BYE_CAPACITY, "CAPACITY", "A limit of this process was reached and the session could not go on."),
    (BYE_INTERNAL_ERROR, "INTERNAL_ERROR", "The peer met an error of its own."),
    (BYE_BAD_TOKEN, "BAD_TOKEN", "The server does not take the connect token, or wants one."),
    (BYE_BANNED, "BANNED", "The client's address is banned from this server for a time."),
    (BYE_RATE_LIMITED, "RATE_LIMITED", "The peer sent far more than it is allowed."),
    (BYE_NOT_AUTHENTICATED, "NOT_AUTHENTICATED",
     "The server did not take the client's credentials, or got none in time."),
    (BYE_INTEGRITY_FAILED, "INTEGRITY_FAILED",
     "The client's files are not those that the server expects of its build."),
    (BYE_KEYS_EXHAUSTED, "KEYS_EXHAUSTED",
     "Too many packets did not open with the session's keys, and no rekey came about."),
    (BYE_CHEATING, "CHEATING", "The client moved or acted in ways that no honest client does."),
)

_TOKENS = (
    (TOKEN_FINE, "FINE", "The token is good."),
    (TOKEN_MISSING, "MISSING", "The server lets nobody in without a token."),
    (TOKEN_MALFORMED, "MALFORMED", "The token is cut, too long, of another version, or no token at all."),
    (TOKEN_UNKNOWN_ISSUER, "UNKNOWN_ISSUER", "The token was issued by nobody whom this server trusts."),
    (TOKEN_OTHER_SERVER, "OTHER_SERVER", "The token is for another server."),
    (TOKEN_TOO_LONG_A_LIFE, "TOO_LONG_A_LIFE", "The token lives longer than the five minutes that are allowed."),
    (TOKEN_FROM_THE_FUTURE, "FROM_THE_FUTURE",
     "The token was issued later than now: the issuer's clock or the server's is wrong."),
    (TOKEN_EXPIRED, "EXPIRED", "The token has expired; get a new one for each connection."),
    (TOKEN_BEFORE_START, "BEFORE_START",
     "The token was issued before the server started, which cannot know whether it was used; get a new one."),
    (TOKEN_SPENT, "SPENT", "The token was used already; get a new one for each connection."),
    (TOKEN_BAD_SIGNATURE, "BAD_SIGNATURE", "The token was changed, or is forged."),
)


class _Reason(IntEnum):
    """An integer with a sentence for people; members come from the tables above."""

    def __new__(cls, value, sentence):
        member = int.__new__(cls, value)
        member._value_ = value
        member._sentence = sentence
        return member

    @property
    def sentence(self):
        """What the reason means, for people."""
        return self._sentence


def _reasons(name, table, count, doc):
    if [value for value, _, _ in table] != list(range(count)):      # counters are arrays indexed by the reason
        raise AssertionError(f"{name}: the table has a gap or misses a reason")
    made = _Reason(name, {member: (value, sentence) for value, member, sentence in table}, module=__name__)
    made.__doc__ = doc
    return made


DropReason = _reasons(
    "DropReason", _DROPS, DROP_REASONS,
    "Why a datagram, or a part of one, was not used. Each has a counter; `sentence` says it to people.",
)
DisconnectReason = _reasons(
    "DisconnectReason", _BYES, BYE_REASONS,
    "Why a session ended or could not begin. It crosses the wire in CLOSE and REJECTED; `sentence` says it to people.",
)
TokenProblem = _reasons(
    "TokenProblem", _TOKENS, TOKEN_PROBLEMS,
    "What is wrong with a connect token. It crosses the wire beside BAD_TOKEN; `sentence` says it to people.",
)
