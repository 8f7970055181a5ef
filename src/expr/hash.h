// SPDX-License-Identifier: Apache-2.0
// hash.h: Spark's own hashes, for sketches and formats that must agree with Spark's.
#pragma once
#include "column/column.h"

// As xxhash64(value): seed 42; NULL gives the seed.
uint64_t spark_xxhash64(const struct column *c, uint32_t row);
// The hash code of a Spark string: Murmur3 of its bytes, seed 42.
int32_t spark_string_hash(const void *bytes, size_t size_bytes);
