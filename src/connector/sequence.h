// SPDX-License-Identifier: Apache-2.0
// sequence.h: what the generator and rate sources share: rows numbered 0, 1, 2 … dealt to partitions in turn, so many a second.
//
//     row n is in partition n % partitions, at offset n / partitions
//
// Rows fall due in ticks of 10 ms, so that a low rate does not mean an epoch a row. The time of row n is stamp + n / rate, where the
// stamp is chosen when the source opens and goes into the intent with each range: a replay gives the same times.
#pragma once
#include "plan/source.h"

struct sequence {
    uint32_t partitions;
    int64_t rows_per_second;     // 0: as fast as they are asked for
    int64_t row_limit;           // -1: none
    int64_t row_bytes;           // about, of one row: for the epoch's budget in bytes
    int64_t opened_us;           // monotonic
    int64_t first_row;           // rows that were there when it opened; -1: not asked yet
    int64_t stamp_us;            // time of row 0
};

void sequence_open(struct sequence *q, uint32_t partitions, int64_t rows_per_second, int64_t row_limit, int64_t row_bytes);
enum status sequence_start(const struct sequence *q, struct arena *a, struct positions *out, struct error *e) WARN_UNUSED;
enum status sequence_latest(struct sequence *q, const struct source_request *r, struct arena *a, const struct positions *from, const struct budget *budget,
                            struct ranges *out, bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) WARN_UNUSED;
enum status sequence_splits(struct arena *a, const struct ranges *ranges, int64_t split_rows, struct splits *out, struct error *e) WARN_UNUSED;
enum status sequence_print(const struct positions *positions, const char *topic, struct buffer *out) WARN_UNUSED;  // {"topic":{"0":5}}
int64_t sequence_time_us(const struct sequence *q, const struct range *range, int64_t n);
