// SPDX-License-Identifier: Apache-2.0
// kafka_read.c: a split of a topic's partition as batches of rows. It is cut by its messages alone (4,096, or a megabyte), so that reading it
// again gives the same ones; columns nobody wants are constant NULL; a message that gives no row is a dead row with its place.
#include "connector/kafka/kafka_source.h"
#include "base/bitmap.h"
#include <stdio.h>

enum { RAW_BYTES_MAX = 65536 };
static const uint64_t row_limit_bytes = UINT64_C(16) << 20;
const struct field kafka_header_fields[2] = {{"key", &type_string, true}, {"value", &type_binary, true}};

struct split_read {
    struct kafka_source *source;
    const struct split *split;
    const struct kafka_partition *partition;
    const uint64_t *wanted;
    const struct dead_row_sink *dead;
    const struct kafka_message **messages;  // BATCH_ROWS
};

static bool is_wanted(const struct split_read *r, uint32_t column) { return !r->wanted || bitmap_get(r->wanted, column); }
static inline const uint8_t *value_of(const struct kafka_message *m) { return m->bytes + (m->key_bytes == KAFKA_NULL_BYTES ? 0 : m->key_bytes); }
static inline struct string_view view_of(const uint8_t *bytes, uint32_t size_bytes) {
    return string_view_of((const char *)bytes, size_bytes == KAFKA_NULL_BYTES ? 0 : size_bytes);
}

static enum status put_dead(const struct split_read *r, const struct kafka_message *m, const char *condition, const char *message, bool with_raw) {
    struct string_view raw = view_of(value_of(m), m->value_bytes);
    if (raw.size_bytes > RAW_BYTES_MAX) raw = view_of(value_of(m), RAW_BYTES_MAX);
    struct dead_row dead = {.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->partition->name,
                            .offset = m->offset, .condition = condition, .message = message};
    if (with_raw) dead.raw = raw;
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &dead) : STATUS_OK;
}

// A message that gives no row: its place and why go to the dead rows.
static enum status check_message(const struct split_read *r, const struct kafka_message *m, bool *good) {
    char text[320];
    uint64_t limit = r->source->source.request.session->row_bytes_limit;
    uint64_t size = (m->value_bytes == KAFKA_NULL_BYTES ? 0 : (uint64_t)m->value_bytes) + (m->key_bytes == KAFKA_NULL_BYTES ? 0 : m->key_bytes);
    if (!limit) limit = row_limit_bytes;
    *good = false;
    if (m->is_bad) {
        snprintf(text, sizeof text, "the record cannot be read: %.*s", (int)(m->value_bytes > 240 ? 240 : m->value_bytes), (const char *)value_of(m));
        return put_dead(r, m, "MALFORMED_RECORD_IN_PARSING", text, false);
    }
    if (size > limit) {
        snprintf(text, sizeof text, "the message has %llu bytes, more than leat.maxRowBytes (%llu)", (unsigned long long)size, (unsigned long long)limit);
        return put_dead(r, m, "LEAT_ROW_TOO_LARGE", text, true);
    }
    if (m->timestamp_ms > INT64_MAX / 1000 || m->timestamp_ms < INT64_MIN / 1000) {
        snprintf(text, sizeof text, "the message's timestamp of %lld ms is none that TIMESTAMP can hold", (long long)m->timestamp_ms);
        return put_dead(r, m, "DATETIME_OVERFLOW", text, true);
    }
    *good = true;
    return STATUS_OK;
}

// The batch keeps the messages' buffers. It has few places; more are kept by batches behind it.
static enum status hold(struct batch *b, struct memory *memory, struct buffer *block) {
    if (b->hold_count < BATCH_HOLDS) return batch_hold(b, block);
    if (!b->parent || b->parent->hold_count == BATCH_HOLDS) {
        struct batch *more = batch_new(memory, 0);
        if (!more) return STATUS_NO_MEMORY;
        more->parent = b->parent;
        b->parent = more;
    }
    return batch_hold(b->parent, block);
}

static enum status make_constant(struct arena *a, const struct type *type, uint32_t count, size_t width, const void *value, struct column *out) {
    *out = (struct column){.type = type, .form = COLUMN_CONSTANT, .row_count = count, .values = arena_alloc(a, width)};
    if (out->values) memcpy(out->values, value, width);
    return out->values ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status fill_bytes(struct batch *b, const struct split_read *r, uint32_t column) {
    if (!is_wanted(r, column) && column == COLUMN_KEY) return column_make_constant_null(&b->arena, &type_binary, b->row_count, &b->columns[column]);
    struct column *c = &b->columns[column];
    TRY(column_make(&b->arena, &type_binary, b->row_count, true, c));
    struct string_view *views = c->values;
    bool any_null = false;
    for (uint32_t i = 0; i < b->row_count; i++) {
        const struct kafka_message *m = r->messages[i];
        uint32_t size_bytes = column == COLUMN_KEY ? m->key_bytes : m->value_bytes;
        views[i] = view_of(column == COLUMN_KEY ? m->bytes : value_of(m), size_bytes);
        if (size_bytes != KAFKA_NULL_BYTES) continue;
        bitmap_clear(c->validity, i);
        any_null = true;
    }
    if (!any_null) c->validity = NULL;
    return STATUS_OK;
}

static enum status fill_numbers(struct batch *b, const struct split_read *r) {
    uint32_t count = b->row_count;
    struct arena *a = &b->arena;
    struct column *offsets = &b->columns[COLUMN_OFFSET], *times = &b->columns[COLUMN_TIMESTAMP], *types = &b->columns[COLUMN_TIMESTAMP_TYPE];
    const struct kafka_message **messages = r->messages;
    TRY(is_wanted(r, COLUMN_OFFSET) ? column_make(a, &type_bigint, count, false, offsets) : column_make_constant_null(a, &type_bigint, count, offsets));
    TRY(is_wanted(r, COLUMN_TIMESTAMP) ? column_make(a, &type_timestamp, count, false, times) : column_make_constant_null(a, &type_timestamp, count, times));
    TRY(is_wanted(r, COLUMN_TIMESTAMP_TYPE) ? column_make(a, &type_int, count, false, types) : column_make_constant_null(a, &type_int, count, types));
    for (uint32_t i = 0; is_wanted(r, COLUMN_OFFSET) && i < count; i++) ((int64_t *)offsets->values)[i] = messages[i]->offset;
    for (uint32_t i = 0; is_wanted(r, COLUMN_TIMESTAMP) && i < count; i++) ((int64_t *)times->values)[i] = messages[i]->timestamp_ms * 1000;
    for (uint32_t i = 0; is_wanted(r, COLUMN_TIMESTAMP_TYPE) && i < count; i++) ((int32_t *)types->values)[i] = messages[i]->timestamp_type;
    struct string_view topic = string_view_of(r->partition->topic, strlen(r->partition->topic));
    TRY(make_constant(a, &type_string, count, sizeof topic, &topic, &b->columns[COLUMN_TOPIC]));
    return make_constant(a, &type_int, count, sizeof(int32_t), &r->partition->partition, &b->columns[COLUMN_PARTITION]);
}

static const uint8_t *read_piece(const uint8_t *at, const uint8_t **bytes, uint32_t *size_bytes) {
    memcpy(size_bytes, at, sizeof *size_bytes);
    *bytes = at + sizeof *size_bytes;
    return *bytes + (*size_bytes == KAFKA_NULL_BYTES ? 0 : *size_bytes);
}

static enum status fill_headers(struct batch *b, const struct split_read *r) {
    struct column_builder builder;
    const struct type *header = type_struct(&b->arena, kafka_header_fields, 2), *headers = header ? type_array(&b->arena, header, true) : NULL;
    if (!headers) return STATUS_NO_MEMORY;
    if (!is_wanted(r, COLUMN_HEADERS)) return column_make_constant_null(&b->arena, headers, b->row_count, &b->columns[COLUMN_HEADERS]);
    column_builder_init(&builder, &b->arena, headers);
    for (uint32_t i = 0; i < b->row_count; i++) {
        const struct kafka_message *m = r->messages[i];
        const uint8_t *at = value_of(m) + (m->value_bytes == KAFKA_NULL_BYTES ? 0 : m->value_bytes), *bytes;
        uint32_t size_bytes;
        for (uint32_t k = 0; k < m->header_count; k++) {
            struct column_builder *fields = builder.children->children;
            at = read_piece(at, &bytes, &size_bytes);
            column_builder_append_bytes(&fields[0], (const char *)bytes, size_bytes, false);
            at = read_piece(at, &bytes, &size_bytes);
            if (size_bytes == KAFKA_NULL_BYTES) column_builder_append_null(&fields[1]);
            else column_builder_append_bytes(&fields[1], (const char *)bytes, size_bytes, false);
            column_builder_end_struct(builder.children);
        }
        if (m->header_count) column_builder_end_list(&builder);
        else column_builder_append_null(&builder);
    }
    return column_builder_finish(&builder, &b->columns[COLUMN_HEADERS]);
}

static enum status fill_origin(struct batch *b, const struct split_read *r) {
    const struct kafka_message **messages = r->messages;
    uint32_t count = b->row_count;
    b->origin = (struct origin){.source = r->source->source.request.source_index, .partition = r->split->range.partition, .partition_name = r->partition->name,
                                .first_offset = messages[0]->offset, .raw = b->columns[COLUMN_VALUE].values};
    if (messages[count - 1]->offset - messages[0]->offset == (int64_t)count - 1) return STATUS_OK;
    uint32_t *deltas = arena_alloc(&b->arena, count * sizeof *deltas);
    if (!deltas) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) deltas[i] = (uint32_t)(messages[i]->offset - messages[0]->offset);
    b->origin.offset_deltas = deltas;
    return STATUS_OK;
}

static enum status fill(struct batch *b, const struct split_read *r, const struct kafka_take *take) {
    for (size_t i = 0; i < take->slices.count; i++) TRY(hold(b, b->memory, ((struct kafka_slice *)vector_at(&take->slices, i))->block));
    TRY(fill_bytes(b, r, COLUMN_KEY));
    TRY(fill_bytes(b, r, COLUMN_VALUE));
    TRY(fill_numbers(b, r));
    if (r->source->headers) TRY(fill_headers(b, r));
    return fill_origin(b, r);
}

// The messages that give rows, in order; the others to the dead rows.
static enum status sort_out(const struct split_read *r, const struct kafka_take *take, uint32_t *count) {
    *count = 0;
    for (size_t i = 0; i < take->slices.count; i++) {
        const struct kafka_slice *slice = vector_at(&take->slices, i);
        for (uint32_t k = 0; k < slice->count; k++) {
            bool good;
            TRY(check_message(r, slice->first - k, &good));
            if (good) r->messages[(*count)++] = slice->first - k;
        }
    }
    return STATUS_OK;
}

static enum status emit_take(const struct split_read *r, const struct kafka_take *take, emit_batch emit, void *context, struct error *e) {
    struct kafka_source *s = r->source;
    uint32_t count;
    TRY(sort_out(r, take, &count));
    if (!count) return STATUS_OK;
    struct batch *b = batch_new(s->source.request.memory, s->headers ? COLUMN_COUNT : COLUMN_HEADERS);
    if (!b) return error_no_memory(e);
    b->row_count = b->selected_count = count;
    b->sequence = r->split->sequence;
    enum status status = fill(b, r, take);
    if (status != STATUS_OK) error_no_memory(e);
    else status = emit(context, b);
    batch_unref(b);
    return status;
}

enum status kafka_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                              const struct dead_row_sink *dead, struct error *e) {
    struct kafka_source *s = (struct kafka_source *)source;
    struct memory *memory = source->request.memory;
    struct part *part = split->range.name ? kafka_find_part(s, split->range.name, 0) : NULL;
    (void)worker;
    if (!part) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the open epoch reads `%s`, which the table `%s` does not have", split->range.name ? split->range.name : "", source->request.table_name);
    struct split_read r = {.source = s, .split = split, .partition = part->partition, .wanted = wanted, .dead = dead,
                           .messages = memory_alloc(memory, BATCH_ROWS * sizeof(struct kafka_message *))};
    if (!r.messages) return error_no_memory(e);
    struct kafka_reader reader;
    struct kafka_take take = {0};
    vector_init(&take.slices, memory, sizeof(struct kafka_slice));
    kafka_fetch_begin_read(s->fetch, &reader, part->partition, split->range.begin, split->range.stamp);
    enum status status;
    for (;;) {
        status = kafka_fetch_take(s->fetch, &reader, split->range.end, &take, e);
        if (status != STATUS_OK || !take.row_count) break;
        status = emit_take(&r, &take, emit, context, e);
        kafka_take_release(&take);
        if (status != STATUS_OK) break;
    }
    kafka_fetch_end_read(s->fetch, &reader);
    kafka_take_release(&take);
    vector_release(&take.slices);
    memory_free(memory, r.messages, BATCH_ROWS * sizeof(struct kafka_message *));
    return status;
}
