// SPDX-License-Identifier: Apache-2.0
// hyperloglog.h: how many distinct values there were, from their 64-bit hashes: HyperLogLog++ with the constants and the rounding of
// Spark's approx_count_distinct, so that equal hashes give equal estimates.
//
//     hash   [ index: p bits | rest: 64 − p bits ]       register[index] = max(register[index], leading zeros of rest + 1)
//
// A sketch begins as a short sorted list of its registers and becomes an array of 2^p bytes when that is shorter. Merging and inserting
// in any order gives the same bytes. Method: Heule, Nunkesser, Hall, "HyperLogLog in Practice", EDBT 2013. State memory; not thread-safe.
#pragma once
#include "base/coding.h"
#include "base/memory.h"
#include "base/status.h"

enum { HYPERLOGLOG_PRECISION_MIN = 4, HYPERLOGLOG_PRECISION_MAX = 24 };

struct hyperloglog {
    struct memory *memory;
    uint8_t precision;
    uint8_t *registers;        // 2^precision ranks; NULL while the list is used
    uint32_t *list;            // index << 8 | rank, ascending; NULL while empty
    uint32_t list_count;
    uint32_t list_capacity;
};

// Spark's rule: the least p with 1.106 / 2^(p/2) ≤ the relative standard deviation. 0: less than 4 bits (over 39 %) or more than 24.
uint8_t hyperloglog_precision(double relative_deviation);
// Allocates nothing. precision within the limits above.
void hyperloglog_init(struct hyperloglog *h, struct memory *memory, uint8_t precision);
void hyperloglog_release(struct hyperloglog *h);
enum status hyperloglog_insert(struct hyperloglog *h, uint64_t hash) WARN_UNUSED;  // STATUS_NO_MEMORY: unchanged
// Same precision; `from` stays as it is. STATUS_INVALID_ARGUMENT, STATUS_NO_MEMORY.
enum status hyperloglog_merge(struct hyperloglog *h, const struct hyperloglog *from) WARN_UNUSED;
int64_t hyperloglog_estimate(const struct hyperloglog *h);
enum status hyperloglog_save(const struct hyperloglog *h, struct buffer *out) WARN_UNUSED;
// Into an initialised, empty sketch of the saved precision. False: not what save wrote, or no memory (then it is empty).
bool hyperloglog_load(struct hyperloglog *h, struct reader *in);
