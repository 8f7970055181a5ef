// SPDX-License-Identifier: Apache-2.0
// generator.c: made-up messages with Kafka's seven columns, so that a pipeline moves to Kafka by changing one statement. Same seed, same bytes.
#include "connector/generator/documents.h"
#include "connector/sequence.h"
#include "connector/registry.h"

enum { GENERATOR_BATCH = 1024, GENERATOR_SPLIT = 8192 };
enum column_ordinal { COLUMN_KEY, COLUMN_VALUE, COLUMN_TOPIC, COLUMN_PARTITION, COLUMN_OFFSET, COLUMN_TIMESTAMP, COLUMN_TIMESTAMP_TYPE, COLUMN_COUNT };

static const struct option generator_options[] = {
    {"kind", OPTION_ENUM, "users", false, false, "users|nexmark", "what is made: randomuser.me users, or Nexmark events"},
    {"rowsPerSecond", OPTION_INT, "0", false, false, NULL, "messages a second; 0: as fast as they are read"},
    {"numRows", OPTION_INT, "-1", false, false, NULL, "messages in all; -1: there is no end"},
    {"seed", OPTION_INT, "42", false, false, NULL, "the same seed gives the same bytes"},
    {"partitions", OPTION_INT, "1", false, false, NULL, "partitions of the source, 1 to 1024"},
    {"junk", OPTION_DOUBLE, "0", false, false, NULL, "share of broken messages, 0 to 1"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct generator {
    struct source source;   // first
    struct sequence sequence;
    bool nexmark;
    uint64_t seed;
    double junk;
};

static const struct field fields[COLUMN_COUNT] = {
    {"key", &type_binary, true}, {"value", &type_binary, true}, {"topic", &type_string, true}, {"partition", &type_int, true},
    {"offset", &type_bigint, true}, {"timestamp", &type_timestamp, true}, {"timestampType", &type_int, true},
};

static enum status generator_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    (void)offline;
    if (r->declared) {
        error_set(e, STATUS_INVALID_QUERY, "USER_SPECIFIED_AND_ACTUAL_SCHEMA_MISMATCH", "a generator's columns are Kafka's seven and cannot be declared");
        error_set_hint(e, "leave the column list out: CREATE TABLE %s USING generator OPTIONS (…)", r->table_name);
        return STATUS_INVALID_QUERY;
    }
    *out = type_struct(a, fields, COLUMN_COUNT);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status bad_option(struct error *e, const char *name, const char *wanted) {
    return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "the generator's option %s must be %s", name, wanted);
}

static enum status generator_check(const struct source_request *r, struct error *e) {
    int64_t partitions = option_number(&r->options, "partitions");
    const struct option_value *junk = option_get(&r->options, "junk");
    if (partitions < 1 || partitions > 1024) return bad_option(e, "partitions", "from 1 to 1024");
    if (option_number(&r->options, "rowsPerSecond") < 0) return bad_option(e, "rowsPerSecond", "at least 0");
    if (option_number(&r->options, "numRows") < -1) return bad_option(e, "numRows", "at least 0, or -1");
    if (junk && (junk->real < 0 || junk->real > 1)) return bad_option(e, "junk", "from 0 to 1");
    if ((r->available_now || !r->streaming) && option_number(&r->options, "numRows") < 0) {
        error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_SOURCE_HAS_NO_END", "the generator `%s` has no end: it cannot be read %s", r->table_name,
                  r->streaming ? "with --available-now" : "whole");
        error_set_hint(e, "give it one: OPTIONS (numRows '1000', …)");
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

static enum status generator_open(const struct source_request *r, struct source **out, struct error *e) {
    TRY(generator_check(r, e));
    struct generator *g = memory_alloc_zeroed(r->memory, sizeof *g);
    if (!g) return error_no_memory(e);
    const char *kind = option_text(&r->options, "kind");
    const struct option_value *junk = option_get(&r->options, "junk");
    g->source = (struct source){.class = &generator_source_class, .request = *r};
    g->nexmark = kind && strcasecmp(kind, "nexmark") == 0;
    g->seed = (uint64_t)option_number(&r->options, "seed");
    g->junk = junk ? junk->real : 0;
    sequence_open(&g->sequence, (uint32_t)option_number(&r->options, "partitions"), option_number(&r->options, "rowsPerSecond"),
                  option_number(&r->options, "numRows"), g->nexmark ? 330 : 1200);
    *out = &g->source;
    return STATUS_OK;
}

static enum status generator_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    return sequence_start(&((struct generator *)source)->sequence, a, out, e);
}
static enum status generator_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                    bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    return sequence_latest(&((struct generator *)source)->sequence, &source->request, a, from, budget, out, exhausted, backlog_rows, wake_at_us, e);
}
static enum status generator_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    return sequence_splits(a, ranges, GENERATOR_SPLIT, out, e);
}

static bool is_junk(const struct generator *g, uint64_t n) {
    uint64_t key[3] = {g->seed, n, 0x62726f6b};
    return g->junk > 0 && (double)(random_keyed(key, 3) >> 11) * 0x1.0p-53 < g->junk;
}

struct message_places {
    size_t begin[GENERATOR_BATCH + 1];
    size_t key[GENERATOR_BATCH];     // SIZE_MAX: no key
};

static enum status write_messages(const struct generator *g, const struct split *split, int64_t first, uint32_t count, struct buffer *text, struct message_places *places) {
    for (uint32_t i = 0; i < count; i++) {
        uint64_t n = (uint64_t)(first + i) * g->sequence.partitions + split->range.partition;
        places->begin[i] = text->size_bytes;
        places->key[i] = SIZE_MAX;
        if (g->nexmark) TRY(nexmark_write(g->seed, n, text));
        else TRY(users_write(g->seed, n, text, &places->key[i]));
        if (!is_junk(g, n)) continue;
        TRY(junk_write(g->seed, n, text, places->begin[i]));
        places->key[i] = SIZE_MAX;
    }
    places->begin[count] = text->size_bytes;
    return STATUS_OK;
}

static enum status fill_text_columns(const struct generator *g, struct batch *b, const struct buffer *text, const struct message_places *places) {
    static const char topics[2][8] = {"users", "nexmark"};
    uint32_t count = b->row_count;
    TRY(column_make(&b->arena, &type_binary, count, true, &b->columns[COLUMN_KEY]));
    TRY(column_make(&b->arena, &type_binary, count, false, &b->columns[COLUMN_VALUE]));
    TRY(column_make(&b->arena, &type_string, count, false, &b->columns[COLUMN_TOPIC]));
    struct string_view *keys = b->columns[COLUMN_KEY].values, *values = b->columns[COLUMN_VALUE].values, *names = b->columns[COLUMN_TOPIC].values;
    for (uint32_t i = 0; i < count; i++) {
        values[i] = string_view_of((char *)text->data + places->begin[i], places->begin[i + 1] - places->begin[i]);
        names[i] = string_view_of(topics[g->nexmark], strlen(topics[g->nexmark]));
        if (places->key[i] != SIZE_MAX) keys[i] = string_view_of((char *)text->data + places->key[i], 36);
        else bitmap_clear(b->columns[COLUMN_KEY].validity, i);
    }
    b->origin.raw = values;
    return STATUS_OK;
}

static enum status fill_number_columns(const struct generator *g, struct batch *b, const struct split *split, int64_t first) {
    uint32_t count = b->row_count;
    TRY(column_make(&b->arena, &type_int, count, false, &b->columns[COLUMN_PARTITION]));
    TRY(column_make(&b->arena, &type_bigint, count, false, &b->columns[COLUMN_OFFSET]));
    TRY(column_make(&b->arena, &type_timestamp, count, false, &b->columns[COLUMN_TIMESTAMP]));
    TRY(column_make(&b->arena, &type_int, count, false, &b->columns[COLUMN_TIMESTAMP_TYPE]));
    for (uint32_t i = 0; i < count; i++) {
        int64_t n = (first + i) * g->sequence.partitions + split->range.partition;
        ((int32_t *)b->columns[COLUMN_PARTITION].values)[i] = (int32_t)split->range.partition;
        ((int64_t *)b->columns[COLUMN_OFFSET].values)[i] = first + i;
        ((int64_t *)b->columns[COLUMN_TIMESTAMP].values)[i] = g->nexmark ? nexmark_event_time_us((uint64_t)n) : sequence_time_us(&g->sequence, &split->range, n);
        ((int32_t *)b->columns[COLUMN_TIMESTAMP_TYPE].values)[i] = 0;
    }
    return STATUS_OK;
}

static enum status emit_messages(const struct generator *g, const struct split *split, int64_t first, uint32_t count, struct message_places *places, emit_batch emit,
                                 void *context, struct error *e) {
    struct batch *b = batch_new(g->source.request.memory, COLUMN_COUNT);
    struct buffer *text = buffer_new(g->source.request.memory, (size_t)count * (g->nexmark ? 400 : 1600));
    enum status status = b && text ? write_messages(g, split, first, count, text, places) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) {
        b->row_count = b->selected_count = count;
        b->sequence = split->sequence;
        b->origin = (struct origin){.source = g->source.request.source_index, .partition = split->range.partition, .first_offset = first};
        status = batch_hold(b, text);
        if (status == STATUS_OK) status = fill_text_columns(g, b, text, places);
        if (status == STATUS_OK) status = fill_number_columns(g, b, split, first);
    }
    if (status != STATUS_OK) error_no_memory(e);
    else status = emit(context, b);
    buffer_unref(text);
    batch_unref(b);
    return status;
}

static enum status generator_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                                  const struct dead_row_sink *dead, struct error *e) {
    struct generator *g = (struct generator *)source;
    (void)worker, (void)wanted, (void)dead;
    struct message_places *places = memory_alloc(source->request.memory, sizeof *places);
    if (!places) return error_no_memory(e);
    enum status status = STATUS_OK;
    for (int64_t first = split->range.begin; first < split->range.end && status == STATUS_OK; first += GENERATOR_BATCH) {
        int64_t left = split->range.end - first;
        status = emit_messages(g, split, first, left < GENERATOR_BATCH ? (uint32_t)left : GENERATOR_BATCH, places, emit, context, e);
    }
    memory_free(source->request.memory, places, sizeof *places);
    return status;
}

static enum status generator_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    return sequence_print(positions, ((const struct generator *)source)->nexmark ? "nexmark" : "users", out);
}
static const char *generator_describe(const struct source *source) { return ((const struct generator *)source)->nexmark ? "Generator[nexmark]" : "Generator[users]"; }
static void generator_close(struct source *source) {
    if (source) memory_free(source->request.memory, source, sizeof(struct generator));
}

const struct source_class generator_source_class = {
    .name = "generator", .is_unbounded = true, .options = generator_options, .schema = generator_schema, .check = generator_check, .open = generator_open, .start = generator_start,
    .latest = generator_latest, .splits = generator_splits, .read = generator_read, .print = generator_print, .describe = generator_describe, .close = generator_close,
};
