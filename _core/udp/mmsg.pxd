"""recvmmsg and sendmmsg between a UDP socket and a Batch: one call of a kernel here moves a whole batch.

Owner    A Mmsg is one piece of memory (see socket.pyx), made with its socket; iovecs point into the caller's batch
         only while a call lasts.
Limit    MMSG_CHUNK datagrams per system call, the batch's capacity per receive; a datagram longer than a slot is
         counted and left out, whatever a peer sends.
Threads  One thread may receive while another sends: the two sides share nothing but the file descriptor.

    chunk    [ header | header | ... ]          what recvmmsg and sendmmsg take
                  | name, iovec, control        addresses, the slot of the batch, IP_PKTINFO and time stamp
"""
from libc.errno cimport EAGAIN, EBADF, EFAULT, EINTR, EINVAL, EMSGSIZE, ENOBUFS, ENOMEM, ENOTSOCK, errno
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memcmp, memcpy, memset
from posix.time cimport CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime, timespec

from shadowland._core.base.batch cimport Batch, batch_data, batch_drop_front
from shadowland._core.base.records cimport (
    FAMILY_IPV4, Address, Datagram, address_set_ipv4, address_set_ipv6,
)
from shadowland._core.udp.linux cimport (
    AF_INET, AF_INET6, CMSG_DATA, CMSG_FIRSTHDR, CMSG_LEN, CMSG_NXTHDR, CMSG_SPACE, IP_PKTINFO, IP_TOS, IPPROTO_IP,
    IPPROTO_IPV6, IPV6_PKTINFO, IPV6_TCLASS, MSG_DONTWAIT, MSG_TRUNC, POLLIN, SCM_TIMESTAMPNS, SOL_SOCKET, cmsghdr,
    htons, in6_pktinfo, in_pktinfo, iovec, mmsghdr, msghdr, ntohs, pollfd, ppoll, recvmmsg, sendmmsg, sockaddr_in,
    sockaddr_in6, socklen_t,
)

cdef enum:
    MMSG_CHUNK = 128                # batches of 32 already get the whole gain; 128 headers still fit the first cache
    MMSG_CONTROL = 128              # room for time stamp (32), packet info (40 on IPv6) and traffic class (24)
    MMSG_ERRORS = 8                 # failed system calls in a row before a receive gives up until its next call

cdef struct MmsgSide:
    mmsghdr headers[MMSG_CHUNK]
    iovec vectors[MMSG_CHUNK]
    sockaddr_in6 names[MMSG_CHUNK]              # an IPv4 name takes the front of it
    uint8_t control[MMSG_CHUNK][MMSG_CONTROL]

cdef struct MmsgCounters:
    uint64_t received               # datagrams handed out in batches
    uint64_t received_bytes         # their UDP payload
    uint64_t sent
    uint64_t sent_bytes
    uint64_t oversized              # longer than a slot of the batch: left out
    uint64_t receive_errors         # recvmmsg failed for a passing reason
    uint64_t send_retries           # sendmmsg found no room (EAGAIN, ENOBUFS): the rest of the batch stayed
    uint64_t send_failed            # datagrams that this destination refused: taken out of the batch
    uint64_t send_too_long          # longer than the interface carries, as probes of the MTU may be: taken out too

cdef struct Mmsg:
    int fd
    uint32_t family                 # FAMILY_IPV4 or FAMILY_IPV6
    Address bound
    bint wildcard                   # bound to every address: packet info tells which one it was
    uint64_t drained_us             # when the queue was last seen empty: what waits now came later
    MmsgCounters counters
    MmsgSide inbound
    MmsgSide outbound

cdef inline uint64_t clock_us() noexcept nogil:
    """CLOCK_MONOTONIC in microseconds: the clock of every real endpoint."""
    cdef timespec now
    clock_gettime(CLOCK_MONOTONIC, &now)
    return <uint64_t>now.tv_sec * 1000000 + <uint64_t>now.tv_nsec // 1000

cdef inline int64_t clock_offset_ns() noexcept nogil:
    """What to subtract from a CLOCK_REALTIME time stamp to get CLOCK_MONOTONIC, as of now."""
    cdef timespec real, monotonic
    clock_gettime(CLOCK_MONOTONIC, &monotonic)
    clock_gettime(CLOCK_REALTIME, &real)
    return (real.tv_sec - monotonic.tv_sec) * 1000000000 + (real.tv_nsec - monotonic.tv_nsec)

cdef inline int mmsg_wait(const Mmsg* mmsg, uint64_t timeout_us) noexcept nogil:
    """Sleep until a datagram waits (1), the time is over or a signal came (0); -errno if the socket is unusable."""
    cdef pollfd file
    cdef timespec timeout
    file.fd = mmsg.fd
    file.events = POLLIN
    file.revents = 0
    timeout.tv_sec = timeout_us // 1000000
    timeout.tv_nsec = timeout_us % 1000000 * 1000
    if mmsg.fd < 0:
        return -EBADF                           # ppoll would only sleep
    if ppoll(&file, 1, &timeout, NULL) < 0:
        return 0 if errno == EINTR else -errno
    return file.revents != 0

# Receiving ----------------------------------------------------------------------------------------------------------

cdef inline void mmsg_arm_receive(MmsgSide* side, Batch* batch, uint32_t count) noexcept nogil:
    """Point `count` headers at the free slots of `batch`, all of it anew: the kernel has shrunk the lengths."""
    cdef uint32_t i
    cdef msghdr* header
    for i in range(count):
        side.vectors[i].iov_base = batch_data(batch, batch.count + i)
        side.vectors[i].iov_len = batch.slot_size
        header = &side.headers[i].msg_hdr
        header.msg_name = &side.names[i]
        header.msg_namelen = sizeof(sockaddr_in6)
        header.msg_iov = &side.vectors[i]
        header.msg_iovlen = 1
        header.msg_control = side.control[i]
        header.msg_controllen = MMSG_CONTROL
        header.msg_flags = 0

cdef inline void mmsg_read_name(const Mmsg* mmsg, const sockaddr_in6* name, Address* address) noexcept nogil:
    cdef const sockaddr_in* ipv4 = <const sockaddr_in*>name
    if mmsg.family == FAMILY_IPV4:
        address_set_ipv4(address, &ipv4.sin_addr, ntohs(ipv4.sin_port))
    else:
        address_set_ipv6(address, &name.sin6_addr, name.sin6_scope_id, ntohs(name.sin6_port))

cdef inline void mmsg_read_control(const Mmsg* mmsg, msghdr* header, int64_t offset_ns,
                                   Datagram* datagram) noexcept nogil:
    """Time stamp, ECN and our own address out of the control messages; what is missing leaves the record alone."""
    cdef cmsghdr* control = CMSG_FIRSTHDR(header)
    cdef uint8_t* data
    cdef timespec stamp
    cdef in_pktinfo info
    cdef in6_pktinfo info6
    cdef int64_t time_ns
    cdef int traffic_class
    cdef bint link_local
    cdef uint32_t scope
    while control != NULL:                      # bounded by MMSG_CONTROL
        data = CMSG_DATA(control)
        if control.cmsg_level == SOL_SOCKET:
            if control.cmsg_type == SCM_TIMESTAMPNS:
                memcpy(&stamp, data, sizeof(stamp))
                time_ns = stamp.tv_sec * 1000000000 + stamp.tv_nsec - offset_ns
                datagram.time_us = <uint64_t>time_ns // 1000 if time_ns > 0 else 0
        elif control.cmsg_level == IPPROTO_IP:
            if control.cmsg_type == IP_TOS:
                datagram.ecn = data[0] & 3
            elif control.cmsg_type == IP_PKTINFO:
                memcpy(&info, data, sizeof(info))
                address_set_ipv4(&datagram.local, &info.ipi_addr, mmsg.bound.port)
        elif control.cmsg_level == IPPROTO_IPV6:
            if control.cmsg_type == IPV6_TCLASS:
                memcpy(&traffic_class, data, sizeof(traffic_class))
                datagram.ecn = traffic_class & 3
            elif control.cmsg_type == IPV6_PKTINFO:
                memcpy(&info6, data, sizeof(info6))
                # The interface matters only where the same address stands on many: fe80::/10.
                link_local = info6.ipi6_addr.s6_addr[0] == 0xFE and info6.ipi6_addr.s6_addr[1] >> 6 == 2
                scope = info6.ipi6_ifindex if link_local else 0
                address_set_ipv6(&datagram.local, &info6.ipi6_addr, scope, mmsg.bound.port)
        control = CMSG_NXTHDR(header, control)

cdef inline void mmsg_take(Mmsg* mmsg, Batch* batch, uint32_t count, int64_t offset_ns, uint64_t now_us) noexcept nogil:
    """Turn `count` filled headers into records of `batch`; slots behind one that was left out move up."""
    cdef uint32_t i, slot = batch.count
    cdef Datagram* datagram
    cdef mmsghdr* message
    for i in range(count):
        message = &mmsg.inbound.headers[i]
        if message.msg_hdr.msg_flags & MSG_TRUNC:
            mmsg.counters.oversized += 1
            continue
        datagram = &batch.datagrams[batch.count]
        memset(datagram, 0, sizeof(Datagram))
        datagram.length = message.msg_len
        datagram.time_us = now_us
        mmsg_read_name(mmsg, &mmsg.inbound.names[i], &datagram.remote)
        if not mmsg.wildcard:
            datagram.local = mmsg.bound
        mmsg_read_control(mmsg, &message.msg_hdr, offset_ns, datagram)
        # Never later than the caller's now, so that ages never underflow; never before the queue was last empty, so
        # that a step of the wall clock cannot make a datagram look seconds old.
        if datagram.time_us < mmsg.drained_us:
            datagram.time_us = mmsg.drained_us
        if datagram.time_us > now_us:
            datagram.time_us = now_us
        if slot + i != batch.count:
            memcpy(batch_data(batch, batch.count), batch_data(batch, slot + i), datagram.length)
        mmsg.counters.received += 1
        mmsg.counters.received_bytes += datagram.length
        batch.count += 1

cdef inline int mmsg_receive(Mmsg* mmsg, Batch* batch, uint64_t now_us) noexcept nogil:
    """Replace what `batch` holds by the datagrams that wait, until none waits or it is full.

    Returns how many it holds then, or -errno if the socket itself is unusable (closed, not a socket).
    """
    cdef uint32_t asked, taken = 0, errors = 0
    cdef int64_t offset_ns = clock_offset_ns()
    cdef int got, code
    batch.count = 0
    # `taken` counts those left out too: a flood of oversized datagrams must not keep us here.
    while taken < batch.capacity:
        asked = batch.capacity - taken
        if asked > MMSG_CHUNK:
            asked = MMSG_CHUNK
        mmsg_arm_receive(&mmsg.inbound, batch, asked)
        got = recvmmsg(mmsg.fd, mmsg.inbound.headers, asked, MSG_DONTWAIT, NULL)
        if got < 0:
            code = errno
            if code == EAGAIN:
                mmsg.drained_us = now_us
                break
            if code == EBADF or code == ENOTSOCK or code == EFAULT or code == EINVAL:
                return -code
            mmsg.counters.receive_errors += code != EINTR
            errors += 1
            if errors >= MMSG_ERRORS:
                break
            continue
        mmsg_take(mmsg, batch, got, offset_ns, now_us)
        taken += got
        if <uint32_t>got < asked:               # fewer than asked: the queue was empty, spare the call that says so
            mmsg.drained_us = now_us
            break
    return batch.count

# Sending ------------------------------------------------------------------------------------------------------------

cdef inline size_t mmsg_write_source(const Mmsg* mmsg, uint8_t* buffer, const Address* local) noexcept nogil:
    """Write the control message that makes `local` the source address; returns its length, 0 if none is needed."""
    cdef cmsghdr* control = <cmsghdr*>buffer
    cdef in_pktinfo info
    cdef in6_pktinfo info6
    if local.family != mmsg.family or (not mmsg.wildcard and not memcmp(local.ip, mmsg.bound.ip, 16)):
        return 0
    if mmsg.family == FAMILY_IPV4:
        memset(&info, 0, sizeof(info))
        memcpy(&info.ipi_spec_dst, &local.ip[12], 4)
        memset(buffer, 0, CMSG_SPACE(sizeof(info)))
        control.cmsg_level = IPPROTO_IP
        control.cmsg_type = IP_PKTINFO
        control.cmsg_len = CMSG_LEN(sizeof(info))
        memcpy(CMSG_DATA(control), &info, sizeof(info))
        return CMSG_SPACE(sizeof(info))
    memset(&info6, 0, sizeof(info6))
    memcpy(&info6.ipi6_addr, local.ip, 16)
    info6.ipi6_ifindex = local.scope
    memset(buffer, 0, CMSG_SPACE(sizeof(info6)))
    control.cmsg_level = IPPROTO_IPV6
    control.cmsg_type = IPV6_PKTINFO
    control.cmsg_len = CMSG_LEN(sizeof(info6))
    memcpy(CMSG_DATA(control), &info6, sizeof(info6))
    return CMSG_SPACE(sizeof(info6))

cdef inline socklen_t mmsg_write_name(const Mmsg* mmsg, sockaddr_in6* name, const Address* remote) noexcept nogil:
    """Write the destination; 0 for one of the other family, which the kernel then refuses with EDESTADDRREQ."""
    cdef sockaddr_in* ipv4 = <sockaddr_in*>name
    memset(name, 0, sizeof(sockaddr_in6))
    if remote.family != mmsg.family:
        return 0
    if mmsg.family == FAMILY_IPV4:
        ipv4.sin_family = AF_INET
        ipv4.sin_port = htons(remote.port)
        memcpy(&ipv4.sin_addr, &remote.ip[12], 4)
        return sizeof(sockaddr_in)
    name.sin6_family = AF_INET6
    name.sin6_port = htons(remote.port)
    name.sin6_scope_id = remote.scope
    memcpy(&name.sin6_addr, remote.ip, 16)
    return sizeof(sockaddr_in6)

cdef inline void mmsg_arm_send(Mmsg* mmsg, const Batch* batch, uint32_t first, uint32_t count) noexcept nogil:
    """Point `count` headers at the datagrams of `batch` from `first` on."""
    cdef MmsgSide* side = &mmsg.outbound
    cdef const Datagram* datagram
    cdef msghdr* header
    cdef uint32_t i
    for i in range(count):
        datagram = &batch.datagrams[first + i]
        side.vectors[i].iov_base = batch_data(batch, first + i)
        side.vectors[i].iov_len = datagram.length
        header = &side.headers[i].msg_hdr
        header.msg_name = &side.names[i]
        header.msg_namelen = mmsg_write_name(mmsg, &side.names[i], &datagram.remote)
        header.msg_iov = &side.vectors[i]
        header.msg_iovlen = 1
        header.msg_control = side.control[i]
        header.msg_controllen = mmsg_write_source(mmsg, side.control[i], &datagram.local)
        header.msg_flags = 0

cdef inline int mmsg_send(Mmsg* mmsg, Batch* batch) noexcept nogil:
    """Send from the front of `batch` and take out what was sent, and what its destination refused.

    Where the kernel has no room now, the rest stays in the batch, in order, for the next call. Returns how many were
    sent, or -errno if the socket itself is unusable.
    """
    cdef uint32_t done = 0, count, i
    cdef int sent, total = 0, code = 0
    while done < batch.count:
        count = batch.count - done
        if count > MMSG_CHUNK:
            count = MMSG_CHUNK
        mmsg_arm_send(mmsg, batch, done, count)
        sent = sendmmsg(mmsg.fd, mmsg.outbound.headers, count, MSG_DONTWAIT)
        if sent >= 0:
            for i in range(<uint32_t>sent):
                mmsg.counters.sent_bytes += batch.datagrams[done + i].length
            mmsg.counters.sent += sent
            total += sent
            done += sent
            continue                            # fewer than asked: the next call names the reason
        code = errno
        if code == EAGAIN or code == ENOBUFS or code == ENOMEM or code == EINTR:
            mmsg.counters.send_retries += 1
            code = 0
            break
        if code == EBADF or code == ENOTSOCK or code == EFAULT:
            break
        # Unreachable, refused, forbidden by a filter, too long for the interface: this destination's trouble alone.
        if code == EMSGSIZE:
            mmsg.counters.send_too_long += 1
        else:
            mmsg.counters.send_failed += 1
        code = 0
        done += 1
    batch_drop_front(batch, done)
    return -code if code else total
