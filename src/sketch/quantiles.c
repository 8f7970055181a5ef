// SPDX-License-Identifier: Apache-2.0
// quantiles.c: the Greenwald–Khanna summary in Spark's variant: values are collected and sorted in runs of 50,000 before they meet the
// samples, and samples are compressed from the right when there are 10,000 of them.
#include "sketch/quantiles.h"
#include <math.h>
#include <stdlib.h>

enum { HEAD_MAX = 50000, COMPRESS_THRESHOLD = 10000 };

void quantiles_init(struct quantiles *q, struct memory *memory, double relative_error) {
    *q = (struct quantiles){.memory = memory, .relative_error = relative_error, .compressed = true};
}

void quantiles_release(struct quantiles *q) {
    if (q->samples) memory_free(q->memory, q->samples, q->sample_capacity * sizeof *q->samples);
    if (q->head) memory_free(q->memory, q->head, q->head_capacity * sizeof *q->head);
    quantiles_init(q, q->memory, q->relative_error);
}

static int compare_doubles(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    if (isnan(x) || isnan(y)) return isnan(x) - isnan(y);  // NaN is greatest, as in Spark
    if (x == 0 && y == 0) return (signbit(x) == 0) - (signbit(y) == 0);
    return (x > y) - (x < y);
}

static int64_t error_ranks(double relative_error, int64_t count) { return (int64_t)floor(2 * relative_error * (double)count); }

static void set_samples(struct quantiles *q, struct quantile_sample *samples, size_t count, size_t capacity) {
    if (q->samples) memory_free(q->memory, q->samples, q->sample_capacity * sizeof *q->samples);
    q->samples = samples;
    q->sample_count = count;
    q->sample_capacity = capacity;
}

// Merges the sorted head into the samples.
static enum status take_head(struct quantiles *q) {
    if (q->head_count == 0) return STATUS_OK;
    size_t capacity = q->sample_count + q->head_count, made = 0, next = 0;
    struct quantile_sample *samples = memory_alloc(q->memory, capacity * sizeof *samples);
    if (!samples) return STATUS_NO_MEMORY;
    qsort(q->head, q->head_count, sizeof *q->head, compare_doubles);
    for (size_t i = 0; i < q->head_count; i++) {
        double value = q->head[i];
        while (next < q->sample_count && compare_doubles(&q->samples[next].value, &value) <= 0) samples[made++] = q->samples[next++];
        q->count++;
        // The least and the greatest value have exact ranks.
        bool extreme = made == 0 || (next == q->sample_count && i + 1 == q->head_count);
        samples[made++] = (struct quantile_sample){.value = value, .g = 1, .delta = extreme ? 0 : error_ranks(q->relative_error, q->count)};
    }
    while (next < q->sample_count) samples[made++] = q->samples[next++];
    set_samples(q, samples, made, capacity);
    q->head_count = 0;
    return STATUS_OK;
}

// Joins neighbours whose ranks together stay within the error, from the right, in place. The first and last sample stay.
static void compress_samples(struct quantiles *q) {
    if (q->sample_count < 2) return;
    double threshold = 2 * q->relative_error * (double)q->count;
    struct quantile_sample first = q->samples[0], head = q->samples[q->sample_count - 1];
    size_t at = q->sample_count;  // samples[at..] are the new ones
    for (size_t i = q->sample_count - 2; i >= 1; i--) {
        struct quantile_sample sample = q->samples[i];
        if ((double)(sample.g + head.g + head.delta) < threshold) {
            head.g += sample.g;
        } else {
            q->samples[--at] = head;
            head = sample;
        }
    }
    q->samples[--at] = head;
    if (compare_doubles(&first.value, &head.value) <= 0) q->samples[--at] = first;
    q->sample_count -= at;
    memmove(q->samples, q->samples + at, q->sample_count * sizeof *q->samples);
}

static enum status compress(struct quantiles *q) {
    if (q->compressed) return STATUS_OK;
    TRY(take_head(q));
    compress_samples(q);
    q->compressed = true;
    return STATUS_OK;
}

enum status quantiles_insert(struct quantiles *q, double value) {
    if (q->head_count == q->head_capacity) {
        size_t capacity = q->head_capacity ? q->head_capacity * 2 : 16;
        if (capacity > HEAD_MAX) capacity = HEAD_MAX;
        double *head = memory_resize(q->memory, q->head, q->head_capacity * sizeof *head, capacity * sizeof *head);
        if (!head) return STATUS_NO_MEMORY;
        q->head = head;
        q->head_capacity = capacity;
    }
    q->head[q->head_count++] = value;
    q->compressed = false;
    if (q->head_count < HEAD_MAX) return STATUS_OK;
    enum status status = take_head(q);
    if (status != STATUS_OK) {
        q->head_count--;  // the value was not taken
        return status;
    }
    if (q->sample_count >= COMPRESS_THRESHOLD) {
        compress_samples(q);
        q->compressed = true;
    }
    return STATUS_OK;
}

enum status quantiles_merge(struct quantiles *q, struct quantiles *from) {
    TRY(compress(q));
    TRY(compress(from));
    if (from->count == 0) return STATUS_OK;
    size_t capacity = q->sample_count + from->sample_count, made = 0, i = 0, j = 0;
    struct quantile_sample *samples = memory_alloc(q->memory, capacity * sizeof *samples);
    if (!samples) return STATUS_NO_MEMORY;
    // A sample between two of the other side inherits the other side's uncertainty.
    int64_t own_extra = error_ranks(from->relative_error, from->count), other_extra = error_ranks(q->relative_error, q->count);
    while (i < q->sample_count && j < from->sample_count) {
        bool own = compare_doubles(&q->samples[i].value, &from->samples[j].value) < 0;
        samples[made] = own ? q->samples[i] : from->samples[j];
        samples[made++].delta += own ? (j > 0 ? own_extra : 0) : (i > 0 ? other_extra : 0);
        if (own) i++;
        else j++;
    }
    while (i < q->sample_count) samples[made++] = q->samples[i++];
    while (j < from->sample_count) samples[made++] = from->samples[j++];
    bool was_empty = q->count == 0;
    set_samples(q, samples, made, capacity);
    q->count += from->count;
    if (from->relative_error > q->relative_error) q->relative_error = from->relative_error;
    if (!was_empty) compress_samples(q);
    return STATUS_OK;
}

static double value_at(const struct quantiles *q, double percentage, int64_t target_error) {
    if (percentage <= q->relative_error || q->sample_count == 1) return q->samples[0].value;
    if (percentage >= 1 - q->relative_error) return q->samples[q->sample_count - 1].value;
    int64_t rank = (int64_t)ceil(percentage * (double)q->count), least_rank = 0;
    for (size_t i = 0; i + 1 < q->sample_count; i++) {
        least_rank += q->samples[i].g;
        if (least_rank + q->samples[i].delta - target_error <= rank && rank <= least_rank + target_error) return q->samples[i].value;
    }
    return q->samples[q->sample_count - 1].value;
}

enum status quantiles_query(struct quantiles *q, const double *percentages, uint32_t count, double *out, bool *empty) {
    TRY(compress(q));
    *empty = q->sample_count == 0;
    if (*empty) return STATUS_OK;
    int64_t widest = 0;
    for (size_t i = 0; i < q->sample_count; i++)
        if (q->samples[i].g + q->samples[i].delta > widest) widest = q->samples[i].g + q->samples[i].delta;
    for (uint32_t i = 0; i < count; i++) out[i] = value_at(q, percentages[i], widest / 2);
    return STATUS_OK;
}

static uint64_t double_bits(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static double bits_double(uint64_t bits) {
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

enum status quantiles_save(const struct quantiles *q, struct buffer *out) {
    TRY(write_fixed64(out, double_bits(q->relative_error)));
    TRY(write_signed(out, q->count));
    TRY(write_varint(out, (uint64_t)q->compressed));
    TRY(write_varint(out, q->sample_count));
    TRY(write_varint(out, q->head_count));
    for (size_t i = 0; i < q->sample_count; i++) {
        TRY(write_fixed64(out, double_bits(q->samples[i].value)));
        TRY(write_signed(out, q->samples[i].g));
        TRY(write_signed(out, q->samples[i].delta));
    }
    for (size_t i = 0; i < q->head_count; i++) TRY(write_fixed64(out, double_bits(q->head[i])));
    return STATUS_OK;
}

// A count can be right only if its items, of at least item_bytes each, are still to come.
static bool plausible(const struct reader *in, uint64_t count, size_t item_bytes) { return !in->failed && count <= (uint64_t)(in->end - in->next) / item_bytes; }

bool quantiles_load(struct quantiles *q, struct reader *in) {
    double relative_error = bits_double(read_fixed64(in));
    int64_t count = read_signed(in);
    uint64_t compressed = read_varint(in), sample_count = read_varint(in), head_count = read_varint(in);
    if (!plausible(in, sample_count, 10) || !plausible(in, head_count, 8) || head_count > HEAD_MAX) return false;
    if (!(relative_error > 0 && relative_error <= 1) || count < 0 || compressed > 1) return false;
    q->relative_error = relative_error;
    if (sample_count) {
        q->samples = memory_alloc(q->memory, (size_t)sample_count * sizeof *q->samples);
        q->sample_capacity = q->samples ? (size_t)sample_count : 0;
    }
    if (head_count) {
        q->head = memory_alloc(q->memory, (size_t)head_count * sizeof *q->head);
        q->head_capacity = q->head ? (size_t)head_count : 0;
    }
    bool good = q->sample_capacity == sample_count && q->head_capacity == head_count;
    int64_t ranks = 0;
    for (; good && q->sample_count < sample_count; q->sample_count++) {
        struct quantile_sample *s = &q->samples[q->sample_count];
        s->value = bits_double(read_fixed64(in));
        s->g = read_signed(in);
        s->delta = read_signed(in);
        good = s->g > 0 && s->g <= count && s->delta >= 0 && s->delta <= count && !__builtin_add_overflow(ranks, s->g, &ranks);
    }
    for (; good && q->head_count < head_count; q->head_count++) q->head[q->head_count] = bits_double(read_fixed64(in));
    q->count = count;
    q->compressed = compressed != 0;
    good = good && !in->failed && ranks <= count && (sample_count > 0) == (count > 0);
    if (!good) quantiles_release(q);
    return good;
}
