// SPDX-License-Identifier: Apache-2.0
// random.h: numbers that look random and can be had again. A stream (struct random, xoshiro256**) for generators, and a keyed
// hash (random_keyed) for what must depend on identity alone: uuid() and rand() of a row on replay.
#pragma once
#include <stddef.h>
#include <stdint.h>

struct random {
    uint64_t state[4];
};

void random_seed(struct random *r, uint64_t seed);  // spreads the seed with splitmix64
uint64_t random_next(struct random *r);
// Uniform in [0, bound); bound > 0.
uint64_t random_below(struct random *r, uint64_t bound);
double random_double(struct random *r);  // uniform in [0, 1)
uint64_t random_mix(uint64_t value);     // splitmix64's finaliser
uint64_t random_keyed(const uint64_t *key, size_t word_count);
void random_system(void *bytes, size_t size_bytes);  // from the kernel
