// SPDX-License-Identifier: Apache-2.0
// exact_sum.h: sums of doubles without rounding, so that whatever is added can be taken away again and any order gives the same. A fixed-point
// number wide enough for every double, cut into chunks of 32 bits, of which only the run that was ever touched is held:
//
//     2^−1074                                                          2^1024 and carries
//     [chunk 0][chunk 1] … [chunk low][…][chunk low + count − 1] … [chunk 67]       value = Σ chunk[k] · 2^(32 k − 1074)
//                            int64 each: carries are put off, for 2^30 additions at a time
//
// Method: Kulisch's long accumulator, with carries put off as in Neal, "Fast Exact Summation Using Small and Large Superaccumulators",
// arXiv 1505.05571, 2015. Infinities and NaN are the caller's. Memory is passed in; a zeroed sum is 0 and holds none.
#pragma once
#include "base/coding.h"

struct exact_sum {
    int64_t *chunks;     // count of them; NULL: none
    uint16_t low;        // place of the first
    uint16_t count;
    uint32_t additions;  // since carries were last passed on
};

enum status exact_sum_add(struct exact_sum *s, double value, bool negated, struct memory *memory) WARN_UNUSED;  // finite
enum status exact_sum_merge(struct exact_sum *s, const struct exact_sum *other, struct memory *memory) WARN_UNUSED;
double exact_sum_value(const struct exact_sum *s);  // the double that is nearest, ties to even; too large: an infinity; never −0.0
enum status exact_sum_save(const struct exact_sum *s, struct buffer *out) WARN_UNUSED;  // equal values, equal bytes
bool exact_sum_load(struct exact_sum *s, struct reader *in, struct memory *memory);     // into a zeroed one
void exact_sum_release(struct exact_sum *s, struct memory *memory);
