"""Python door to real UDP sockets; `shadowland.testing.Network` has ports of the same shape in virtual time."""
import errno
import os
import socket

from cpython.exc cimport PyErr_CheckSignals
from cpython.mem cimport PyMem_Calloc, PyMem_Free
from cython cimport final
from libc.stdint cimport uint32_t, uint64_t

from shadowland._core.base.batch cimport DatagramBatch
from shadowland._core.base.records cimport FAMILY_IPV4, FAMILY_IPV6, address_format, address_parse
from shadowland._core.udp cimport linux
from shadowland._core.udp.mmsg cimport Mmsg, clock_us, mmsg_receive, mmsg_send, mmsg_wait

from shadowland._core.base.errors import ConfigError, TransportError, UsageError

MOST_BYTES = 2**31 - 1                  # what a socket option of the kernel can say
FIXES = {
    errno.EADDRINUSE: "the port is in use; stop what holds it (`ss -lunp` names it), take another port, or port 0",
    errno.EADDRNOTAVAIL: "no interface of this machine has this address; `ip address` lists those that are there",
    errno.EACCES: "ports below 1024 need the capability CAP_NET_BIND_SERVICE; take a port from 1024 on",
    errno.EPERM: "ports below 1024 need the capability CAP_NET_BIND_SERVICE; take a port from 1024 on",
    errno.EAFNOSUPPORT: "this machine has no IPv6; bind an IPv4 address such as 127.0.0.1",
}


def monotonic_us() -> int:
    """CLOCK_MONOTONIC in microseconds: the `now_us` of real sockets and of the endpoints that use them."""
    return clock_us()


def _failure(error: OSError, where: str) -> TransportError:
    fix = FIXES.get(error.errno, error.strerror)
    return TransportError(error.errno, f"cannot bind UDP {where}: {fix}")


def _resolve(host: str, port: int) -> tuple[int, tuple]:
    """Socket family and socket address of `host` and `port`, by the resolver's first answer."""
    if not 0 <= port <= 65535:
        raise ConfigError(f"cannot bind UDP {host!r}: port {port} is outside 0 to 65535")
    if not host:
        raise ConfigError("cannot bind UDP: the host is empty; give 127.0.0.1, or 0.0.0.0 or :: for every interface")
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise TransportError(errno.EADDRNOTAVAIL, (
            f"cannot bind UDP {host!r}: the name has no address ({error}); give a numeric one such as 127.0.0.1 or ::1"
        )) from None
    return found[0][0], found[0][4]


def _grow(kernel_socket: socket.socket, force: int, plain: int, wanted: int) -> int:
    """Ask for a kernel buffer of `wanted` bytes; returns what it holds now (half of what the kernel says: overhead)."""
    try:
        kernel_socket.setsockopt(socket.SOL_SOCKET, force, wanted)      # needs CAP_NET_ADMIN, goes beyond the sysctl
    except OSError:
        kernel_socket.setsockopt(socket.SOL_SOCKET, plain, wanted)
    return kernel_socket.getsockopt(socket.SOL_SOCKET, plain) // 2


def _set_options(kernel_socket: socket.socket, family: int, wildcard: bool) -> None:
    # PROBE sets DF yet ignores the path MTU that ICMP claims: with DO, a forged "fragmentation needed" would stop us.
    option = kernel_socket.setsockopt
    if family == socket.AF_INET:
        option(socket.IPPROTO_IP, linux.IP_MTU_DISCOVER, linux.IP_PMTUDISC_PROBE)
        option(socket.IPPROTO_IP, linux.IP_RECVTOS, 1)
        if wildcard:
            option(socket.IPPROTO_IP, linux.IP_PKTINFO, 1)
    else:
        option(socket.IPPROTO_IPV6, linux.IPV6_MTU_DISCOVER, linux.IPV6_PMTUDISC_PROBE)
        option(socket.IPPROTO_IPV6, linux.IPV6_DONTFRAG, 1)
        option(socket.IPPROTO_IPV6, linux.IPV6_RECVTCLASS, 1)
        if wildcard:
            option(socket.IPPROTO_IPV6, linux.IPV6_RECVPKTINFO, 1)
    option(socket.SOL_SOCKET, linux.SO_TIMESTAMPNS, 1)


@final
cdef class UdpSocket:
    """A UDP socket bound to `host` and `port` (0: any free one), IPv4 or IPv6 by the address, never both.

    `receive_buffer` and `send_buffer` are the kernel's, in bytes. Where it grants less, `warning` says so and names the
    sysctl that cures it. DF is set on what is sent: IP never fragments. TransportError if the address cannot be bound,
    ConfigError for a value that no socket can have; both say what, where and the fix.

    A socket on the wildcard address (0.0.0.0 or ::) tells for each datagram to which address it came, and sends from
    the `local` address of each datagram if that is set. It moves DatagramBatch objects, one call a batch, without the
    GIL. Use it from one thread, or receive in one and send in another.
    """

    def __cinit__(self):
        self.mmsg = <Mmsg*>PyMem_Calloc(1, sizeof(Mmsg))
        if self.mmsg == NULL:
            raise MemoryError()
        self.mmsg.fd = -1

    def __init__(self, host: str, port: int, *, receive_buffer: int = 4194304, send_buffer: int = 4194304) -> None:
        if self._socket is not None:
            raise UsageError("a UdpSocket is opened once; make another one")
        for name, size in (("receive_buffer", receive_buffer), ("send_buffer", send_buffer)):
            if not 4096 <= size <= MOST_BYTES:
                raise ConfigError(f"{name} of {size} bytes is outside 4,096 to {MOST_BYTES:,}")
        family, address = _resolve(host, port)
        where = f"{host} port {port}"
        try:
            kernel_socket = socket.socket(family, socket.SOCK_DGRAM)
        except OSError as error:
            raise _failure(error, where) from None
        try:
            if family == socket.AF_INET6:
                kernel_socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            kernel_socket.setblocking(False)
            granted = _grow(kernel_socket, linux.SO_RCVBUFFORCE, socket.SO_RCVBUF, receive_buffer)
            granted_send = _grow(kernel_socket, linux.SO_SNDBUFFORCE, socket.SO_SNDBUF, send_buffer)
            _set_options(kernel_socket, family, address[0] in ("0.0.0.0", "::"))
            kernel_socket.bind(address)
        except OSError as error:
            kernel_socket.close()
            raise _failure(error, where) from None
        self._adopt(kernel_socket)
        self.warning = self._judge_buffers(receive_buffer, granted, send_buffer, granted_send)

    def __dealloc__(self):
        # Only here: a thread inside receive or send holds a reference, so it never sees this memory go.
        PyMem_Free(self.mmsg)

    cdef int _adopt(self, object kernel_socket) except -1:
        self._socket = kernel_socket
        name = kernel_socket.getsockname()
        host = name[0].partition("%")[0]
        if len(name) == 4 and name[3]:
            host = f"{host}%{name[3]}"
        address_parse(&self.mmsg.bound, host, name[1])
        self.mmsg.family = FAMILY_IPV4 if kernel_socket.family == socket.AF_INET else FAMILY_IPV6
        self.mmsg.wildcard = host in ("0.0.0.0", "::")
        self.mmsg.fd = kernel_socket.fileno()
        return 0

    cdef object _judge_buffers(self, object wanted, object granted, object wanted_send, object granted_send):
        host, port = self.local
        texts = [
            f"the {name} buffer of UDP {host} port {port} holds {has:,} bytes, not {asked:,}: {effect}; "
            f"`sysctl -w net.core.{key}={asked}` before the start cures it"
            for name, asked, has, effect, key in (
                ("receive", wanted, granted, "bursts of datagrams will be lost", "rmem_max"),
                ("send", wanted_send, granted_send, "large flushes will take several calls", "wmem_max"),
            ) if has < asked
        ]
        return "; ".join(texts) or None

    cdef int _fail(self, int code) except -1:
        if self.mmsg.fd < 0:
            raise UsageError("this UdpSocket is closed")
        raise TransportError(-code, f"UDP {self.local[0]} port {self.local[1]}: {os.strerror(-code)}; open it again")

    @property
    def local(self) -> tuple[str, int]:
        """(host, port) that the socket is bound to; the port is the real one even if 0 was asked for."""
        return address_format(&self.mmsg.bound)

    @property
    def kernel_drops(self) -> int:
        """Datagrams that the kernel dropped so far because the receive buffer was full.

        The counter that SO_RXQ_OVFL attaches to later datagrams, read by SO_MEMINFO: it is right even when none follow.
        """
        cdef uint32_t drops
        if self.mmsg.fd >= 0:
            info = self._socket.getsockopt(socket.SOL_SOCKET, linux.SO_MEMINFO, 4 * linux.SK_MEMINFO_VARS)
            drops = int.from_bytes(info[4 * linux.SK_MEMINFO_DROPS:4 * linux.SK_MEMINFO_DROPS + 4], "little")
            self._drops += <uint32_t>(drops - self._drops_seen)         # the kernel's counter wraps at 2**32
            self._drops_seen = drops
        return self._drops

    @property
    def counters(self) -> dict[str, int]:
        """What this socket has done so far: datagrams, bytes of UDP payload, and what went wrong, by name.

        received, received_bytes, sent, sent_bytes; oversized: longer than a slot of the batch, left out;
        receive_errors; send_retries: times that the kernel had no room; send_failed: refused for their destination;
        send_too_long: longer than the interface carries (DF is set), as probes of the path's MTU may be.
        """
        return self.mmsg.counters

    def fileno(self) -> int:
        """The file descriptor, for select and the like; -1 once closed."""
        return self.mmsg.fd

    def receive(self, DatagramBatch batch not None, uint64_t now_us) -> int:
        """Replace what `batch` holds by the datagrams that wait, at most its capacity; returns how many. Never waits.

        Each gets its receive time (by the kernel, on CLOCK_MONOTONIC, at most `now_us`), the address it came from, the
        address it was sent to, and its ECN bits. Those longer than a slot are counted and left out.
        """
        cdef int count
        with nogil:
            count = mmsg_receive(self.mmsg, &batch.state, now_us)
        if count < 0:
            self._fail(count)
        return count

    def send(self, DatagramBatch batch not None) -> int:
        """Send `batch` to the `remote` of each datagram; returns how many went out. Never waits.

        What was sent leaves the batch, and so does what its destination refused (counted in send_failed or
        send_too_long). If the kernel has no room the rest stays at the front of the batch: call again later.
        """
        cdef int count
        with nogil:
            count = mmsg_send(self.mmsg, &batch.state)
        if count < 0:
            self._fail(count)
        return count

    def wait(self, uint64_t timeout_us) -> bool:
        """Sleep, without the GIL, until a datagram waits (True) or `timeout_us` is over or a signal came (False)."""
        cdef int ready
        with nogil:
            ready = mmsg_wait(self.mmsg, timeout_us)
        if ready < 0:
            self._fail(ready)
        PyErr_CheckSignals()                                            # Ctrl-C ends a server that waits
        return ready > 0

    def close(self) -> None:
        """Give the port back; what still waits is lost. A second close does nothing."""
        if self._socket is not None and self.mmsg.fd >= 0:
            self.kernel_drops                                           # its last value stays readable
            self.mmsg.fd = -1
            self._socket.close()

    def __enter__(self) -> UdpSocket:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
