/* Masking of a payload (RFC 6455 section 5.3). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Mask or unmask `size` bytes; `out` and `in` may be the same. */
static inline void
apply(unsigned char *out, const unsigned char *in, ptrdiff_t size, const unsigned char *key)
{
    uint64_t wide;
    ptrdiff_t i = 0;
    memcpy(&wide, key, 4);
    memcpy((unsigned char *)&wide + 4, key, 4);
    /* memcpy, since neither buffer has to be aligned. Compilers make one instruction of each call,
     * and vectorise the loop. */
    for (; i + 8 <= size; i += 8) {
        uint64_t word;
        memcpy(&word, in + i, 8);
        word ^= wide;
        memcpy(out + i, &word, 8);
    }
    for (; i < size; i++)
        out[i] = in[i] ^ key[i & 3];
}
