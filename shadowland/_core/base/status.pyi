from enum import IntEnum

class DropReason(IntEnum):
    @property
    def sentence(self) -> str: ...
    NONE = 0
    TRUNCATED = 1
    OVERSIZED = 2
    BAD_FLAGS = 3
    BAD_CRC = 4
    BAD_KIND = 5
    BAD_VERSION = 6
    BAD_PADDING = 7
    BAD_COOKIE = 8
    COOKIE_EXPIRED = 9
    LOW_ORDER_POINT = 10
    HANDSHAKE_FAILED = 11
    HALF_OPEN_FULL = 12
    EPHEMERAL_REUSED = 13
    UNKNOWN_CONNECTION = 14
    REPLAYED = 15
    SEQUENCE_JUMP = 16
    AUTH_FAILED = 17
    WRONG_PATH = 18
    BAD_ACK_BLOCK = 19
    BAD_FRAME = 20
    UNKNOWN_CHANNEL = 21
    UNKNOWN_MESSAGE = 22
    BAD_MESSAGE = 23
    STALE = 24
    DUPLICATE = 25
    INBOX_FULL = 26
    BLOCKS_FULL = 27
    BAD_FRAGMENT = 28
    FRAGMENT_EXPIRED = 29
    FRAGMENTS_FULL = 30
    REPLIES_FULL = 31
    CLOSED = 32
    RATE_LIMITED = 33
    UNDECODABLE = 34
    KERNEL_OVERFLOW = 35
    SEND_FAILED = 36
    UNEXPECTED = 37
    GUARDED = 38
    BANNED = 39

class DisconnectReason(IntEnum):
    @property
    def sentence(self) -> str: ...
    NONE = 0
    CLIENT_LEFT = 1
    SERVER_SHUTDOWN = 2
    IDLE_TIMEOUT = 3
    CONNECT_TIMEOUT = 4
    SERVER_FULL = 5
    SCHEMA_MISMATCH = 6
    VERSION_MISMATCH = 7
    WRONG_SERVER_KEY = 8
    PROTOCOL_VIOLATION = 9
    FLOW_VIOLATION = 10
    ACK_OF_UNSENT = 11
    SEQUENCE_JUMP = 12
    KICKED = 13
    CAPACITY = 14
    INTERNAL_ERROR = 15
    BAD_TOKEN = 16
    BANNED = 17
    RATE_LIMITED = 18
    NOT_AUTHENTICATED = 19
    INTEGRITY_FAILED = 20

class TokenProblem(IntEnum):
    @property
    def sentence(self) -> str: ...
    FINE = 0
    MISSING = 1
    MALFORMED = 2
    UNKNOWN_ISSUER = 3
    OTHER_SERVER = 4
    TOO_LONG_A_LIFE = 5
    FROM_THE_FUTURE = 6
    EXPIRED = 7
    BEFORE_START = 8
    SPENT = 9
    BAD_SIGNATURE = 10
