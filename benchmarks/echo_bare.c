/* The floor of benchmarks/echo.py: what the kernel asks of an echo server that does nothing else.
 *
 * recvmmsg, sendmmsg back the same bytes, poll when nothing waits. Prints {"port": N} and runs until SIGTERM.
 * Owner: static arrays. Limit: BATCH datagrams of SLOT bytes a call. Threads: one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define BATCH 256
#define SLOT 1536

static unsigned char arena[BATCH][SLOT];
static struct mmsghdr headers[BATCH];
static struct iovec vectors[BATCH];
static struct sockaddr_in names[BATCH];

static void arm(int count) {
    for (int i = 0; i < count; i++) {
        vectors[i] = (struct iovec){arena[i], SLOT};
        memset(&headers[i], 0, sizeof headers[i]);
        headers[i].msg_hdr.msg_name = &names[i];
        headers[i].msg_hdr.msg_namelen = sizeof names[i];
        headers[i].msg_hdr.msg_iov = &vectors[i];
        headers[i].msg_hdr.msg_iovlen = 1;
    }
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = 4 << 20;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    if (bind(fd, (struct sockaddr *)&address, sizeof address) || getsockname(fd, (struct sockaddr *)&address, &length)) {
        perror("echo_bare: cannot bind 127.0.0.1");
        return 2;
    }
    printf("{\"port\": %d}\n", ntohs(address.sin_port));
    fflush(stdout);
    arm(BATCH);
    for (;;) {
        int count = recvmmsg(fd, headers, BATCH, MSG_DONTWAIT, NULL);
        if (count < 0) {
            struct pollfd file = {.fd = fd, .events = POLLIN};
            if (errno != EAGAIN && errno != EINTR) {
                perror("echo_bare: recvmmsg");
                return 1;
            }
            poll(&file, 1, -1);
            continue;
        }
        for (int i = 0; i < count; i++)
            vectors[i].iov_len = headers[i].msg_len;
        for (int done = 0; done < count;) {
            int sent = sendmmsg(fd, headers + done, count - done, MSG_DONTWAIT);
            done += sent > 0 ? sent : errno == EAGAIN || errno == ENOBUFS || errno == EINTR ? 0 : 1;
        }
        arm(count);
    }
}
