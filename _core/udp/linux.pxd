"""What the udp floor calls of Linux: declarations only, each from its own header.

Owner    Nothing lives here.
Limit    Linux alone; setup.py refuses other systems.
Threads  Does not apply.
"""
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from posix.time cimport timespec

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    struct iovec:
        void* iov_base
        size_t iov_len
    struct msghdr:
        void* msg_name
        socklen_t msg_namelen
        iovec* msg_iov
        size_t msg_iovlen
        void* msg_control
        size_t msg_controllen
        int msg_flags
    struct mmsghdr:
        msghdr msg_hdr
        unsigned int msg_len
    struct cmsghdr:
        size_t cmsg_len
        int cmsg_level
        int cmsg_type
    int recvmmsg(int fd, mmsghdr* headers, unsigned int count, int flags, timespec* timeout)
    int sendmmsg(int fd, mmsghdr* headers, unsigned int count, int flags)
    cmsghdr* CMSG_FIRSTHDR(msghdr* header)
    cmsghdr* CMSG_NXTHDR(msghdr* header, cmsghdr* control)
    uint8_t* CMSG_DATA(cmsghdr* control)
    size_t CMSG_SPACE(size_t length)
    size_t CMSG_LEN(size_t length)
    enum:
        MSG_DONTWAIT
        MSG_TRUNC
        SOL_SOCKET
        SCM_TIMESTAMPNS
        SO_TIMESTAMPNS
        SO_RCVBUFFORCE
        SO_SNDBUFFORCE
        SO_MEMINFO
        AF_INET
        AF_INET6

cdef extern from "<linux/sock_diag.h>" nogil:
    enum:
        SK_MEMINFO_DROPS
        SK_MEMINFO_VARS

cdef extern from "<netinet/in.h>" nogil:
    struct in_addr:
        uint32_t s_addr
    struct in6_addr:
        uint8_t s6_addr[16]
    struct sockaddr_in:
        unsigned short sin_family
        uint16_t sin_port
        in_addr sin_addr
    struct sockaddr_in6:
        unsigned short sin6_family
        uint16_t sin6_port
        in6_addr sin6_addr
        uint32_t sin6_scope_id
    struct in_pktinfo:
        int ipi_ifindex
        in_addr ipi_spec_dst
        in_addr ipi_addr
    struct in6_pktinfo:
        in6_addr ipi6_addr
        unsigned int ipi6_ifindex
    uint16_t htons(uint16_t)
    uint16_t ntohs(uint16_t)
    enum:
        IPPROTO_IP
        IPPROTO_IPV6
        IP_PKTINFO
        IP_TOS
        IP_RECVTOS
        IP_MTU_DISCOVER
        IP_PMTUDISC_PROBE
        IPV6_PKTINFO
        IPV6_RECVPKTINFO
        IPV6_TCLASS
        IPV6_RECVTCLASS
        IPV6_MTU_DISCOVER
        IPV6_PMTUDISC_PROBE
        IPV6_DONTFRAG

cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int ppoll(pollfd* files, unsigned long count, const timespec* timeout, const void* mask)
    enum:
        POLLIN
