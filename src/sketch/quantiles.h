// SPDX-License-Identifier: Apache-2.0
// quantiles.h: quantiles of many numbers in little memory, with the very answers of Spark's percentile_approx.
//
//     head      values as they come, up to 50,000
//     samples   (value, g, delta) ascending: g = least ranks since the sample before, delta = how much more its rank may be
//
// The error of a rank is at most relative_error · count. Spark's relative error is 1 / accuracy; its default accuracy is 10,000. The
// samples depend on the order of inserts and merges: an ordered aggregate. Method: Greenwald, Khanna, "Space-Efficient Online
// Computation of Quantile Summaries", SIGMOD 2001. State memory; not thread-safe.
#pragma once
#include "base/coding.h"
#include "base/memory.h"
#include "base/status.h"

struct quantile_sample {
    double value;
    int64_t g;
    int64_t delta;
};

struct quantiles {
    struct memory *memory;
    double relative_error;            // in (0, 1]
    int64_t count;                    // of values in `samples`
    struct quantile_sample *samples;
    size_t sample_count, sample_capacity;
    double *head;
    size_t head_count, head_capacity;
    bool compressed;                  // nothing was inserted since the last compression
};

// Allocates nothing.
void quantiles_init(struct quantiles *q, struct memory *memory, double relative_error);
void quantiles_release(struct quantiles *q);
enum status quantiles_insert(struct quantiles *q, double value) WARN_UNUSED;
// `from` is compressed, otherwise stays as it is.
enum status quantiles_merge(struct quantiles *q, struct quantiles *from) WARN_UNUSED;
// out[i]: the value at percentages[i] (0–1, in any order). *empty: nothing was inserted, out is untouched. Compresses.
enum status quantiles_query(struct quantiles *q, const double *percentages, uint32_t count, double *out, bool *empty) WARN_UNUSED;
static inline int64_t quantiles_count(const struct quantiles *q) { return q->count + (int64_t)q->head_count; }
enum status quantiles_save(const struct quantiles *q, struct buffer *out) WARN_UNUSED;  // the head too: replay goes on as it was
// Into an initialised, empty one. False: not what save wrote, or no memory (then it is empty).
bool quantiles_load(struct quantiles *q, struct reader *in);
