// SPDX-License-Identifier: Apache-2.0
// bitmap.h: bits in 64-bit words, bit i at word i / 64, position i % 64 (Arrow's order). Bits past the count are unspecified.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline size_t bitmap_words(size_t bit_count) { return (bit_count + 63) / 64; }
static inline size_t bitmap_bytes(size_t bit_count) { return bitmap_words(bit_count) * 8; }
static inline bool bitmap_get(const uint64_t *bits, size_t i) { return bits[i / 64] >> (i % 64) & 1; }
static inline void bitmap_set(uint64_t *bits, size_t i) { bits[i / 64] |= (uint64_t)1 << (i % 64); }
static inline void bitmap_clear(uint64_t *bits, size_t i) { bits[i / 64] &= ~((uint64_t)1 << (i % 64)); }
static inline void bitmap_put(uint64_t *bits, size_t i, bool on) {
    bits[i / 64] = (bits[i / 64] & ~((uint64_t)1 << (i % 64))) | (uint64_t)on << (i % 64);
}
static inline void bitmap_fill(uint64_t *bits, size_t bit_count, bool on) { memset(bits, on ? 0xff : 0, bitmap_bytes(bit_count)); }
static inline size_t bitmap_count(const uint64_t *bits, size_t bit_count) {
    size_t n = 0;
    for (size_t w = 0; w < bit_count / 64; w++) n += (size_t)__builtin_popcountll(bits[w]);
    if (bit_count % 64) n += (size_t)__builtin_popcountll(bits[bit_count / 64] & (((uint64_t)1 << (bit_count % 64)) - 1));
    return n;
}
