"""Reasons: why a datagram was dropped and why a session ended, as numbers for kernels.

Owner    Nobody: constants only.
Limit    A reason fits a u8; close reasons cross the wire, so a value is never given a second meaning.
Threads  Any.

Names and sentences for people stand in status.pyx, in the one table that docs/reasons.md is checked against.
"""

cdef enum:
    DROP_NONE = 0
    DROP_TRUNCATED = 1
    DROP_OVERSIZED = 2
    DROP_BAD_FLAGS = 3
    DROP_BAD_CRC = 4
    DROP_BAD_KIND = 5
    DROP_BAD_VERSION = 6
    DROP_BAD_PADDING = 7
    DROP_BAD_COOKIE = 8
    DROP_COOKIE_EXPIRED = 9
    DROP_LOW_ORDER_POINT = 10
    DROP_HANDSHAKE_FAILED = 11
    DROP_HALF_OPEN_FULL = 12
    DROP_EPHEMERAL_REUSED = 13
    DROP_UNKNOWN_CONNECTION = 14
    DROP_REPLAYED = 15
    DROP_SEQUENCE_JUMP = 16
    DROP_AUTH_FAILED = 17
    DROP_WRONG_PATH = 18
    DROP_BAD_ACK_BLOCK = 19
    DROP_BAD_FRAME = 20
    DROP_UNKNOWN_CHANNEL = 21
    DROP_UNKNOWN_MESSAGE = 22
    DROP_BAD_MESSAGE = 23
    DROP_STALE = 24
    DROP_DUPLICATE = 25
    DROP_INBOX_FULL = 26
    DROP_BLOCKS_FULL = 27
    DROP_BAD_FRAGMENT = 28
    DROP_FRAGMENT_EXPIRED = 29
    DROP_FRAGMENTS_FULL = 30
    DROP_REPLIES_FULL = 31
    DROP_CLOSED = 32
    DROP_RATE_LIMITED = 33
    DROP_UNDECODABLE = 34
    DROP_KERNEL_OVERFLOW = 35
    DROP_SEND_FAILED = 36
    DROP_UNEXPECTED = 37
    DROP_GUARDED = 38
    DROP_BANNED = 39
    DROP_BAD_COMPRESSION = 40
    DROP_NO_KEYS = 41
    DROP_REASONS = 42                               # how many there are: the size of an array of counters

cdef enum:
    BYE_NONE = 0
    BYE_CLIENT_LEFT = 1
    BYE_SERVER_SHUTDOWN = 2
    BYE_IDLE_TIMEOUT = 3
    BYE_CONNECT_TIMEOUT = 4
    BYE_SERVER_FULL = 5
    BYE_SCHEMA_MISMATCH = 6
    BYE_VERSION_MISMATCH = 7
    BYE_WRONG_SERVER_KEY = 8
    BYE_PROTOCOL_VIOLATION = 9
    BYE_FLOW_VIOLATION = 10
    BYE_ACK_OF_UNSENT = 11
    BYE_SEQUENCE_JUMP = 12
    BYE_KICKED = 13
    BYE_CAPACITY = 14
    BYE_INTERNAL_ERROR = 15
    BYE_BAD_TOKEN = 16
    BYE_BANNED = 17
    BYE_RATE_LIMITED = 18
    BYE_NOT_AUTHENTICATED = 19
    BYE_INTEGRITY_FAILED = 20
    BYE_KEYS_EXHAUSTED = 21
    BYE_CHEATING = 22
    BYE_REASONS = 23                                # how many there are

cdef enum:                                          # what is wrong with a connect token: said beside BAD_TOKEN
    TOKEN_FINE = 0
    TOKEN_MISSING = 1
    TOKEN_MALFORMED = 2
    TOKEN_UNKNOWN_ISSUER = 3
    TOKEN_OTHER_SERVER = 4
    TOKEN_TOO_LONG_A_LIFE = 5
    TOKEN_FROM_THE_FUTURE = 6
    TOKEN_EXPIRED = 7
    TOKEN_BEFORE_START = 8
    TOKEN_SPENT = 9
    TOKEN_BAD_SIGNATURE = 10
    TOKEN_PROBLEMS = 11                             # how many there are
