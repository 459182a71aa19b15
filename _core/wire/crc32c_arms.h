/* CRC32C (Castagnoli, reflected 0x82F63B78): one arm for each kind of processor, chosen at run time.
 *
 * Every arm takes and returns the running remainder without the initial and final inversion. The arms with special
 * instructions are compiled by target attributes, so the rest of the library still runs on any processor.
 */
#ifndef SHADOWLAND_CRC32C_ARMS_H
#define SHADOWLAND_CRC32C_ARMS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef uint32_t (*crc32c_arm)(uint32_t remainder, const uint8_t *data, size_t length);

static uint32_t crc32c_table[256];

/* One step of long division for each value of a byte. Runs once, at import. */
static void crc32c_fill_table(void) {
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t remainder = byte;
        for (int bit = 0; bit < 8; bit++)
            remainder = (remainder >> 1) ^ ((remainder & 1) ? 0x82F63B78u : 0);
        crc32c_table[byte] = remainder;
    }
}

static uint32_t crc32c_generic(uint32_t remainder, const uint8_t *data, size_t length) {
    for (size_t i = 0; i < length; i++)
        remainder = (remainder >> 8) ^ crc32c_table[(remainder ^ data[i]) & 0xFF];
    return remainder;
}

#if defined(__x86_64__)
#include <nmmintrin.h>
#define CRC32C_FAST_NAME "sse4.2"

static int crc32c_fast_here(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("sse4.2");
}

__attribute__((target("sse4.2")))
static uint32_t crc32c_fast(uint32_t remainder, const uint8_t *data, size_t length) {
    uint64_t wide = remainder;
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        wide = _mm_crc32_u64(wide, word);
    }
    remainder = (uint32_t)wide;
    for (; length; data++, length--)
        remainder = _mm_crc32_u8(remainder, *data);
    return remainder;
}

#elif defined(__aarch64__)
#include <sys/auxv.h>
#define CRC32C_FAST_NAME "armv8-crc"

static int crc32c_fast_here(void) {
    return (getauxval(AT_HWCAP) & (1ul << 7)) != 0;          /* HWCAP_CRC32 */
}

/* The instructions by name: the intrinsics' header differs between compilers in what it needs switched on. */
static uint32_t crc32c_fast(uint32_t remainder, const uint8_t *data, size_t length) {
    for (; length >= 8; data += 8, length -= 8) {
        uint64_t word;
        memcpy(&word, data, 8);
        __asm__(".arch_extension crc\n\tcrc32cx %w0, %w0, %x1" : "+r"(remainder) : "r"(word));
    }
    for (; length; data++, length--)
        __asm__(".arch_extension crc\n\tcrc32cb %w0, %w0, %w1" : "+r"(remainder) : "r"((uint32_t)*data));
    return remainder;
}

#else
#define CRC32C_FAST_NAME "none"
static int crc32c_fast_here(void) { return 0; }
static uint32_t crc32c_fast(uint32_t remainder, const uint8_t *data, size_t length) {
    return crc32c_generic(remainder, data, length);
}
#endif

#endif
