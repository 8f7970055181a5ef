// SPDX-License-Identifier: Apache-2.0
// random.c: xoshiro256** by Blackman and Vigna (public domain, prng.di.unimi.it) and splitmix64 to seed it. Both work on whole
// 64-bit words, so that a seed gives the same numbers on every machine.
#include "base/random.h"
#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/types.h>

static const uint64_t golden_gamma = UINT64_C(0x9e3779b97f4a7c15);

uint64_t random_mix(uint64_t value) {
    value = (value ^ (value >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ (value >> 27)) * UINT64_C(0x94d049bb133111eb);
    return value ^ (value >> 31);
}

void random_seed(struct random *r, uint64_t seed) {
    for (size_t i = 0; i < 4; i++) {
        seed += golden_gamma;
        r->state[i] = random_mix(seed);
    }
}

static uint64_t rotate_left(uint64_t value, unsigned count) { return value << count | value >> (64 - count); }

uint64_t random_next(struct random *r) {
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

// Lemire's multiplication method: the product's high word is the answer but for a few low words, which are drawn again.
uint64_t random_below(struct random *r, uint64_t bound) {
    uint64_t threshold = (0 - bound) % bound;
    for (;;) {
        unsigned __int128 product = (unsigned __int128)random_next(r) * bound;
        if ((uint64_t)product >= threshold) return (uint64_t)(product >> 64);
    }
}

double random_double(struct random *r) { return (double)(random_next(r) >> 11) * 0x1.0p-53; }

uint64_t random_keyed(const uint64_t *key, size_t word_count) {
    uint64_t hash = random_mix(golden_gamma + word_count);
    for (size_t i = 0; i < word_count; i++) hash = random_mix((hash ^ key[i]) + golden_gamma);
    return hash;
}

void random_system(void *bytes, size_t size_bytes) {
    uint8_t *next = bytes;
    while (size_bytes > 0) {
        ssize_t got = getrandom(next, size_bytes, 0);
        if (got < 0) {
            if (errno == EINTR) continue;
            abort();  // no kernel that leat runs on lacks it, and weak numbers would be worse than none
        }
        next += got;
        size_bytes -= (size_t)got;
    }
}
