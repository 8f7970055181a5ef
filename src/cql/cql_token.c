// SPDX-License-Identifier: Apache-2.0
// cql_token.c: where a partition lives: Murmur3 as Cassandra's Murmur3Partitioner computes it.
//
// Method: Appleby's MurmurHash3_x64_128 with seed 0, but the bytes of the tail are sign-extended, as Java's are; the first 64 bits are the
// token, and the smallest int64 is replaced by the largest (it stands for "before the ring").
#include "cql/cql.h"

static inline uint64_t rotate(uint64_t v, int by) { return v << by | v >> (64 - by); }

static inline uint64_t finish(uint64_t k) {
    k ^= k >> 33;
    k *= UINT64_C(0xFF51AFD7ED558CCD);
    k ^= k >> 33;
    k *= UINT64_C(0xC4CEB9FE1A85EC53);
    return k ^ k >> 33;
}

int64_t cql_token(const void *key, size_t size_bytes) {
    const uint64_t c1 = UINT64_C(0x87C37B91114253D5), c2 = UINT64_C(0x4CF5AD432745937F);
    const uint8_t *p = key;
    uint64_t h1 = 0, h2 = 0, k1 = 0, k2 = 0;
    for (size_t block = size_bytes / 16; block; block--, p += 16) {
        memcpy(&k1, p, 8);
        memcpy(&k2, p + 8, 8);
        h1 = (rotate(h1 ^ rotate(k1 * c1, 31) * c2, 27) + h2) * 5 + 0x52DCE729;
        h2 = (rotate(h2 ^ rotate(k2 * c2, 33) * c1, 31) + h1) * 5 + 0x38495AB5;
    }
    k1 = k2 = 0;
    size_t tail = size_bytes & 15;
    for (size_t i = tail; i > 8; i--) k2 ^= (uint64_t)(int64_t)(int8_t)p[i - 1] << 8 * (i - 9);
    for (size_t i = tail < 8 ? tail : 8; i > 0; i--) k1 ^= (uint64_t)(int64_t)(int8_t)p[i - 1] << 8 * (i - 1);
    if (tail > 8) h2 ^= rotate(k2 * c2, 33) * c1;
    if (tail) h1 ^= rotate(k1 * c1, 31) * c2;
    h1 ^= size_bytes;
    h2 ^= size_bytes;
    h1 += h2;
    h2 += h1;
    h1 = finish(h1);
    h2 = finish(h2);
    int64_t token = (int64_t)(h1 + h2);
    return token == INT64_MIN ? INT64_MAX : token;
}
