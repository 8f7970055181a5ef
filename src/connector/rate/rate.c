// SPDX-License-Identifier: Apache-2.0
// rate.c: Spark's rate source: timestamp TIMESTAMP, value BIGINT, counting up from 0.
#include "connector/sequence.h"
#include "connector/registry.h"

static const struct option rate_options[] = {
    {"rowsPerSecond", OPTION_INT, "1", false, false, NULL, "rows a second"},
    {"numPartitions", OPTION_INT, "1", false, false, NULL, "partitions, 1 to 1024"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct rate {
    struct source source;   // first
    struct sequence sequence;
};

static enum status rate_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    const struct field fields[] = {{"timestamp", &type_timestamp, true}, {"value", &type_bigint, true}};
    (void)offline;
    if (r->declared) return error_set(e, STATUS_INVALID_QUERY, "USER_SPECIFIED_AND_ACTUAL_SCHEMA_MISMATCH", "the columns of a rate source are timestamp and value; they cannot be declared");
    *out = type_struct(a, fields, 2);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status rate_check(const struct source_request *r, struct error *e) {
    int64_t partitions = option_number(&r->options, "numPartitions");
    if (partitions < 1 || partitions > 1024) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "numPartitions must be from 1 to 1024");
    if (option_number(&r->options, "rowsPerSecond") < 1) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "rowsPerSecond must be at least 1");
    if (r->available_now || !r->streaming) {
        error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_SOURCE_HAS_NO_END", "the rate source `%s` has no end: it cannot be read %s", r->table_name, r->streaming ? "with --available-now" : "whole");
        error_set_hint(e, "run without --available-now, or use a generator with numRows");
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

static enum status rate_open(const struct source_request *r, struct source **out, struct error *e) {
    TRY(rate_check(r, e));
    struct rate *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &rate_source_class, .request = *r};
    sequence_open(&s->sequence, (uint32_t)option_number(&r->options, "numPartitions"), option_number(&r->options, "rowsPerSecond"), -1, 16);
    *out = &s->source;
    return STATUS_OK;
}

static enum status rate_start(struct source *source, struct arena *a, struct positions *out, struct error *e) { return sequence_start(&((struct rate *)source)->sequence, a, out, e); }
static enum status rate_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out, bool *exhausted,
                               int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    return sequence_latest(&((struct rate *)source)->sequence, &source->request, a, from, budget, out, exhausted, backlog_rows, wake_at_us, e);
}
static enum status rate_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    return sequence_splits(a, ranges, BATCH_ROWS, out, e);
}

static enum status fill(const struct rate *s, const struct split *split, struct batch *b) {
    uint32_t count = (uint32_t)(split->range.end - split->range.begin);
    TRY(column_make(&b->arena, &type_timestamp, count, false, &b->columns[0]));
    TRY(column_make(&b->arena, &type_bigint, count, false, &b->columns[1]));
    for (uint32_t i = 0; i < count; i++) {
        int64_t n = (split->range.begin + i) * s->sequence.partitions + split->range.partition;
        ((int64_t *)b->columns[0].values)[i] = sequence_time_us(&s->sequence, &split->range, n);
        ((int64_t *)b->columns[1].values)[i] = n;
    }
    b->row_count = b->selected_count = count;
    b->sequence = split->sequence;
    b->origin = (struct origin){.source = s->source.request.source_index, .partition = split->range.partition, .first_offset = split->range.begin};
    return STATUS_OK;
}

static enum status rate_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                             const struct dead_row_sink *dead, struct error *e) {
    (void)worker, (void)wanted, (void)dead;
    struct batch *b = batch_new(source->request.memory, 2);
    enum status status = b ? fill((struct rate *)source, split, b) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) error_no_memory(e);
    else status = emit(context, b);
    batch_unref(b);
    return status;
}

static enum status rate_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    return sequence_print(positions, "rate", out);
}
static const char *rate_describe(const struct source *source) {
    (void)source;
    return "RateStreamV2";
}
static void rate_close(struct source *source) {
    if (source) memory_free(source->request.memory, source, sizeof(struct rate));
}

const struct source_class rate_source_class = {
    .name = "rate", .is_unbounded = true, .options = rate_options, .schema = rate_schema, .check = rate_check, .open = rate_open, .start = rate_start, .latest = rate_latest,
    .splits = rate_splits, .read = rate_read, .print = rate_print, .describe = rate_describe, .close = rate_close,
};
