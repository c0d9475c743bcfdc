/* Masking of a payload (RFC 6455 section 5.3). */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Mask or unmask `size` bytes; `out` and `in` may be the same. */
static inline void
apply(unsigned char *out, const unsigned char *in, ptrdiff_t size, const unsigned char *key)
{
    uint64_t wide, words[2];
    ptrdiff_t i = 0;
    memcpy(&wide, key, 4);
    memcpy((unsigned char *)&wide + 4, key, 4);
    /* memcpy, since neither buffer has to be aligned. Compilers make one instruction of each call
     * and of both XORs. */
    for (; i + 16 <= size; i += 16) {
        memcpy(words, in + i, 16);
        words[0] ^= wide;
        words[1] ^= wide;
        memcpy(out + i, words, 16);
    }
    for (; i < size; i++)
        out[i] = in[i] ^ key[i & 3];
}
