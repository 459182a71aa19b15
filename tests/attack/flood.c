/* Datagrams from forged addresses as fast as asked: flood PORT KIND RATE SECONDS
 *
 * KIND is hello (valid checksum, random ephemeral), connect (valid checksum, random cookie), session (random id) or
 * noise. Every datagram has another source in 127.16.0.0/12, set by IP_PKTINFO; it goes to 127.0.0.1 and nowhere else.
 * RATE is datagrams a second, 0 as many as one core makes. Prints {"sent": N, "seconds": S} and ends by itself.
 * Owner: static arrays. Limit: SECONDS, at most an hour. Threads: one.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define BATCH 64
#define LARGEST 1200

static unsigned char arena[BATCH][LARGEST];
static struct mmsghdr headers[BATCH];
static struct iovec vectors[BATCH];
static union { struct cmsghdr first; char room[CMSG_SPACE(sizeof(struct in_pktinfo))]; } controls[BATCH];
static struct in_pktinfo *sources[BATCH];
static uint32_t table[256];
static uint64_t state = 0x9E3779B97F4A7C15ull;

static uint64_t draw(void) {                    /* xorshift64*: forgers need no better */
    state ^= state >> 12, state ^= state << 25, state ^= state >> 27;
    return state * 0x2545F4914F6CDD1Dull;
}

static uint32_t crc32c(const unsigned char *data, size_t length) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < length; i++)
        crc = crc >> 8 ^ table[(crc ^ data[i]) & 0xFF];
    return ~crc;
}

static void fill(unsigned char *out, size_t length) {
    for (size_t i = 0; i < length; i += 8) {
        uint64_t value = draw();
        memcpy(out + i, &value, length - i < 8 ? length - i : 8);
    }
}

static size_t make(unsigned char *out, const char *kind) {
    if (!strcmp(kind, "noise") || !strcmp(kind, "session")) {
        fill(out, 96);
        if (*kind == 's')
            out[4] = 0, out[5] = 3;
        return 96;
    }
    int hello = !strcmp(kind, "hello");
    size_t length = hello ? 96 : LARGEST;
    memset(out, 0, length);
    out[4] = hello ? 1 : 4;
    out[14] = 1;
    fill(out + 16, hello ? 32 : LARGEST - 20);
    memcpy(out + 6, out + (hello ? 16 : 64), 8);        /* the echo: first bytes of the ephemeral */
    uint32_t crc = crc32c(out, length - 4);
    memcpy(out + length - 4, &crc, 4);
    return length;
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **words) {
    if (count != 5)
        return fprintf(stderr, "usage: flood PORT hello|connect|session|noise RATE SECONDS\n"), 2;
    struct sockaddr_in victim = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1])),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const char *kind = words[2];
    double rate = atof(words[3]), seconds = atof(words[4]), start, spent;
    uint64_t sent = 0;
    int fd = socket(AF_INET, SOCK_DGRAM, 0), buffer = 4 << 20;
    struct sockaddr_in any = {.sin_family = AF_INET};
    if (seconds > 3600 || fd < 0 || bind(fd, (struct sockaddr *)&any, sizeof any))
        return perror("flood"), 2;
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof buffer);
    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0x82F63B78u : 0);
    }
    for (int i = 0; i < BATCH; i++) {
        vectors[i].iov_base = arena[i];
        headers[i].msg_hdr = (struct msghdr){.msg_name = &victim, .msg_namelen = sizeof victim, .msg_iov = &vectors[i],
            .msg_iovlen = 1, .msg_control = &controls[i], .msg_controllen = sizeof controls[i]};
        controls[i].first = (struct cmsghdr){CMSG_LEN(sizeof(struct in_pktinfo)), IPPROTO_IP, IP_PKTINFO};
        sources[i] = (struct in_pktinfo *)CMSG_DATA(&controls[i].first);
    }
    start = now();
    while ((spent = now() - start) < seconds) {
        if (rate > 0 && sent > spent * rate) {
            struct timespec nap = {0, 200000};
            nanosleep(&nap, NULL);
            continue;
        }
        for (int i = 0; i < BATCH; i++) {
            vectors[i].iov_len = make(arena[i], kind);
            sources[i]->ipi_spec_dst.s_addr = htonl(0x7F100000u | (draw() >> 40 & 0xFFFFFu));
        }
        for (int done = 0; done < BATCH;) {
            int gone = sendmmsg(fd, headers + done, BATCH - done, 0);
            if (gone < 0 && errno != ENOBUFS && errno != EAGAIN && errno != EINTR && errno != ECONNREFUSED)
                return perror("flood: sendmmsg"), 1;
            done += gone > 0 ? gone : 0;
            sent += gone > 0 ? gone : 0;
        }
    }
    printf("{\"sent\": %llu, \"seconds\": %.3f}\n", (unsigned long long)sent, spent);
    return 0;
}
