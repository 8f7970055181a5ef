// SPDX-License-Identifier: Apache-2.0
// sequence.c: see sequence.h.
#include "connector/sequence.h"
#include "json/json.h"

enum { TICK_US = 10000 };

void sequence_open(struct sequence *q, uint32_t partitions, int64_t rows_per_second, int64_t row_limit, int64_t row_bytes) {
    *q = (struct sequence){.partitions = partitions, .rows_per_second = rows_per_second, .row_limit = row_limit, .row_bytes = row_bytes, .opened_us = clock_monotonic_us(), .first_row = -1};
}

enum status sequence_start(const struct sequence *q, struct arena *a, struct positions *out, struct error *e) {
    out->items = arena_alloc_array(a, q->partitions, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    for (uint32_t p = 0; p < q->partitions; p++) out->items[p] = (struct position){.partition = p};
    out->count = q->partitions;
    return STATUS_OK;
}

static int64_t offset_of(const struct positions *at, uint32_t partition) {
    for (uint32_t i = 0; i < at->count; i++) {
        if (at->items[i].partition == partition) return at->items[i].offset;
    }
    return 0;
}

// How many of the rows 0 … row_count-1 are in a partition.
static int64_t rows_in_partition(const struct sequence *q, int64_t row_count, uint32_t partition) {
    return row_count > partition ? (row_count - partition - 1) / q->partitions + 1 : 0;
}

// Rows that are due by now, counted from row 0; *wake_at_us: when the next fall due.
static int64_t rows_due(struct sequence *q, int64_t reached, int64_t *wake_at_us) {
    *wake_at_us = INT64_MAX;
    if (q->first_row < 0) q->first_row = reached;
    if (!q->rows_per_second) return INT64_MAX;
    int64_t ticks = (clock_monotonic_us() - q->opened_us) / TICK_US;
    __int128 due = (__int128)ticks * TICK_US * q->rows_per_second / 1000000;
    *wake_at_us = q->opened_us + (ticks + 1) * TICK_US;
    if (q->rows_per_second < 1000000 / TICK_US) {  // slower than a row a tick: sleep until the next row
        *wake_at_us = q->opened_us + (int64_t)(((due + 1) * 1000000 + q->rows_per_second - 1) / q->rows_per_second / TICK_US + 1) * TICK_US;
    }
    return q->first_row + (due > INT64_MAX / 4 ? INT64_MAX / 4 : (int64_t)due);
}

enum status sequence_latest(struct sequence *q, const struct source_request *r, struct arena *a, const struct positions *from, const struct budget *budget,
                            struct ranges *out, bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    int64_t reached = 0, waiting = 0;
    for (uint32_t p = 0; p < q->partitions; p++) reached += offset_of(from, p);
    int64_t due = rows_due(q, reached, wake_at_us);
    if (reached > due) {  // asked first by a flow that is behind: what another has read was there when it opened
        q->first_row += reached - due;
        q->stamp_us = 0;
        due = reached;
    }
    if (!q->stamp_us) q->stamp_us = clock_now_us(r->session->clock) - (q->rows_per_second ? (int64_t)((__int128)reached * 1000000 / q->rows_per_second) : 0);
    bool limited = q->row_limit >= 0 && due >= q->row_limit;
    if (limited) due = q->row_limit;
    int64_t rows = budget->row_count < budget->size_bytes / q->row_bytes ? budget->row_count : budget->size_bytes / q->row_bytes;
    int64_t share = rows / q->partitions > 0 ? rows / q->partitions : 1;
    if (!r->streaming) share = INT64_MAX / 4;
    *out = (struct ranges){.items = arena_alloc_array(a, q->partitions, sizeof *out->items)};
    if (!out->items) return error_no_memory(e);
    for (uint32_t p = 0; p < q->partitions; p++) {
        int64_t begin = offset_of(from, p), last = due == INT64_MAX ? INT64_MAX / 2 : rows_in_partition(q, due, p);
        if (last <= begin) continue;
        int64_t end = last - begin > share ? begin + share : last;
        waiting += due == INT64_MAX ? 0 : last - end;
        out->items[out->count++] = (struct range){.partition = p, .begin = begin, .end = end, .stamp = q->stamp_us};
    }
    *backlog_rows = waiting;
    *exhausted = limited && !waiting && !out->count;
    if (limited) *wake_at_us = INT64_MAX;
    return STATUS_OK;
}

enum status sequence_splits(struct arena *a, const struct ranges *ranges, int64_t split_rows, struct splits *out, struct error *e) {
    uint64_t count = 0;
    for (uint32_t i = 0; i < ranges->count; i++) count += (uint64_t)((ranges->items[i].end - ranges->items[i].begin + split_rows - 1) / split_rows);
    *out = (struct splits){.items = arena_alloc_array(a, count, sizeof *out->items)};
    if ((!out->items && count) || count > UINT32_MAX) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *g = &ranges->items[i];
        for (int64_t begin = g->begin; begin < g->end; begin += split_rows) {
            struct split *s = &out->items[out->count];
            *s = (struct split){.range = *g, .sequence = out->count++, .whole_begin = g->begin, .whole_end = g->end};
            s->range.begin = begin;
            if (g->end - begin > split_rows) s->range.end = begin + split_rows;
        }
    }
    return STATUS_OK;
}

enum status sequence_print(const struct positions *positions, const char *topic, struct buffer *out) {
    TRY(buffer_append_byte(out, '{'));
    TRY(json_write_string(topic, strlen(topic), out));
    TRY(buffer_append_string(out, ":{"));
    for (uint32_t i = 0; i < positions->count; i++) {
        TRY(buffer_printf(out, "%s\"%u\":%lld", i ? "," : "", positions->items[i].partition, (long long)positions->items[i].offset));
    }
    return buffer_append_string(out, "}}");
}

int64_t sequence_time_us(const struct sequence *q, const struct range *range, int64_t n) {
    return q->rows_per_second ? range->stamp + (int64_t)((__int128)n * 1000000 / q->rows_per_second) : range->stamp;
}
