// SPDX-License-Identifier: Apache-2.0
// checksum.c: XXH3 from libxxhash. Its 64-bit form is frozen since 0.8.0: what is written to disk stays readable.
#include "base/checksum.h"
#include <xxhash.h>

uint64_t checksum64(const void *bytes, size_t size_bytes, uint64_t seed) { return XXH3_64bits_withSeed(bytes, size_bytes, seed); }
