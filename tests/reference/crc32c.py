"""CRC32C as long division of polynomials, one bit at a time."""


def checksum(data: bytes) -> int:
    remainder = 0xFFFFFFFF
    for byte in data:
        for bit in range(8):
            carry = (remainder ^ (byte >> bit)) & 1
            remainder >>= 1
            if carry:
                remainder ^= 0x82F63B78
    return remainder ^ 0xFFFFFFFF
