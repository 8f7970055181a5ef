// SPDX-License-Identifier: Apache-2.0
// checksum.h: XXH3 64 (a record's checksum, hash tables, digests of plans and intents).
#pragma once
#include <stddef.h>
#include <stdint.h>

uint64_t checksum64(const void *bytes, size_t size_bytes, uint64_t seed);
