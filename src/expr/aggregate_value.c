// SPDX-License-Identifier: Apache-2.0
// aggregate_value.c: held values and chunks, see aggregate_value.h.
//
// A held value's block only grows: a maximum over strings reuses it for every longer or shorter winner. Nested values are
// decoded for every comparison, into the batch's arena: slow, and rare.
#include "expr/aggregate_value.h"

static bool type_is_fixed(const struct type *type) {
    return type->id != TYPE_NULL && !type_is_text(type) && !type_is_nested(type);
}

enum status state_reserve(struct memory *memory, uint8_t **block, uint32_t *capacity_bytes, size_t needed_bytes) {
    if (needed_bytes <= *capacity_bytes) return STATUS_OK;
    if (needed_bytes > UINT32_MAX / 2) return STATUS_NO_MEMORY;
    size_t capacity = *capacity_bytes ? *capacity_bytes : 16;
    while (capacity < needed_bytes) capacity *= 2;
    uint8_t *grown = *block ? memory_resize(memory, *block, *capacity_bytes, capacity) : memory_alloc(memory, capacity);
    if (!grown) return STATUS_NO_MEMORY;
    *block = grown;
    *capacity_bytes = (uint32_t)capacity;
    return STATUS_OK;
}

static enum status held_own(struct held_value *h, const void *bytes, size_t size_bytes, struct memory *memory) {
    TRY(state_reserve(memory, &h->owned.bytes, &h->owned.capacity_bytes, size_bytes));
    if (size_bytes) memcpy(h->owned.bytes, bytes, size_bytes);
    h->owned.size_bytes = (uint32_t)size_bytes;
    h->state = HELD_VALUE;
    return STATUS_OK;
}

enum status held_set(struct held_value *h, const struct column *c, uint32_t row, struct memory *memory) {
    if (!column_is_valid(c, row)) {
        h->state = HELD_NULL;
        return STATUS_OK;
    }
    if (type_is_fixed(c->type)) {
        size_t width = type_width(c->type);
        memset(h->fixed, 0, sizeof h->fixed);
        memcpy(h->fixed, (const uint8_t *)column_base(c)->values + (size_t)column_index(c, row) * width, width);
        h->state = HELD_VALUE;
        return STATUS_OK;
    }
    if (type_is_text(c->type)) {
        const struct string_view *v = column_string(c, row);
        return held_own(h, string_view_data(v), v->size_bytes, memory);
    }
    struct buffer encoded;
    buffer_init(&encoded, memory);
    enum status status = value_write(c, row, &encoded);
    if (status == STATUS_OK) status = held_own(h, encoded.data, encoded.size_bytes, memory);
    buffer_release(&encoded);
    return status;
}

enum status held_copy(struct held_value *to, const struct held_value *from, const struct type *type, struct memory *memory) {
    if (from->state != HELD_VALUE) {
        to->state = from->state;
        return STATUS_OK;
    }
    if (!type_is_fixed(type)) return held_own(to, from->owned.bytes, from->owned.size_bytes, memory);
    *to = *from;
    return STATUS_OK;
}

int held_compare(const struct held_value *h, const struct column *c, uint32_t row, struct arena *arena) {
    if (type_is_text(c->type)) {
        struct string_view held = string_view_of((const char *)h->owned.bytes, h->owned.size_bytes);
        return string_view_compare(&held, column_string(c, row));
    }
    if (type_is_fixed(c->type)) {
        // A column of one row over the held bytes; compare only reads.
        struct column one = {.type = c->type, .form = COLUMN_FLAT, .row_count = 1, .values = (void *)(uintptr_t)h->fixed};
        return value_compare(&one, 0, c, row);
    }
    struct column_builder builder;
    column_builder_init(&builder, arena, c->type);
    struct reader in = reader_of(h->owned.bytes, h->owned.size_bytes);
    value_read(&in, &builder);
    struct column one;
    if (in.failed || column_builder_finish(&builder, &one) != STATUS_OK) return 0;
    return value_compare(&one, 0, c, row);
}

static void held_finish_nested(const void *const *states, size_t offset, uint32_t count, struct column *out, struct aggregate_context *c) {
    struct column_builder builder;
    column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        const struct held_value *h = (const void *)((const uint8_t *)states[i] + offset);
        if (h->state != HELD_VALUE) {
            column_builder_append_null(&builder);
            continue;
        }
        struct reader in = reader_of(h->owned.bytes, h->owned.size_bytes);
        value_read(&in, &builder);
    }
    if (column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

void held_finish(const void *const *states, size_t offset, uint32_t count, struct column *out, struct aggregate_context *c) {
    if (type_is_nested(out->type)) {
        held_finish_nested(states, offset, count, out, c);
        return;
    }
    size_t width = type_width(out->type);
    for (uint32_t i = 0; i < count; i++) {
        const struct held_value *h = (const void *)((const uint8_t *)states[i] + offset);
        if (h->state != HELD_VALUE) {
            out_set_null(out, i);
        } else if (type_is_text(out->type)) {
            out_set_string(out, i, (const char *)h->owned.bytes, h->owned.size_bytes, c->eval);
        } else {
            memcpy((uint8_t *)out->values + (size_t)i * width, h->fixed, width);
        }
    }
}

enum status held_save(const struct held_value *h, const struct type *type, struct buffer *out) {
    TRY(buffer_append_byte(out, h->state));
    if (h->state != HELD_VALUE) return STATUS_OK;
    if (type_is_fixed(type)) return buffer_append(out, h->fixed, sizeof h->fixed);
    return write_bytes(out, h->owned.bytes, h->owned.size_bytes);
}

bool held_load(struct held_value *h, const struct type *type, struct reader *in, struct memory *memory) {
    uint8_t state = read_byte(in);
    if (in->failed || state > HELD_VALUE) return false;
    if (state != HELD_VALUE) {
        h->state = state;
        return true;
    }
    if (type_is_fixed(type)) {
        const uint8_t *bytes = read_raw(in, sizeof h->fixed);
        if (!bytes) return false;
        memcpy(h->fixed, bytes, sizeof h->fixed);
        h->state = HELD_VALUE;
        return true;
    }
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(in, &size_bytes);
    return !in->failed && held_own(h, bytes, size_bytes, memory) == STATUS_OK;
}

void held_release(struct held_value *h, const struct type *type, struct memory *memory) {
    if (!type_is_fixed(type) && h->owned.bytes) memory_free(memory, h->owned.bytes, h->owned.capacity_bytes);
    memset(h, 0, sizeof *h);
}

// One loop per width; the pointer is chosen outside so that the loop stays simple.
#define CHUNK_WIDEN(name, from_type, to_type)                                                                                       \
    static void name(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, to_type *out) {                \
        const from_type *values = column_base(c)->values;                                                                           \
        if (c->form == COLUMN_FLAT && !rows->indices) {                                                                             \
            for (uint32_t i = 0; i < count; i++) out[i] = (to_type)values[begin + i];                                               \
        } else if (c->form == COLUMN_FLAT) {                                                                                        \
            for (uint32_t i = 0; i < count; i++) out[i] = (to_type)values[rows->indices[begin + i]];                                \
        } else {                                                                                                                    \
            for (uint32_t i = 0; i < count; i++) out[i] = (to_type)values[column_index(c, rows_at(rows, begin + i))];               \
        }                                                                                                                           \
    }
CHUNK_WIDEN(widen_bool, uint8_t, int64_t)
CHUNK_WIDEN(widen_int8, int8_t, int64_t)
CHUNK_WIDEN(widen_int16, int16_t, int64_t)
CHUNK_WIDEN(widen_int32, int32_t, int64_t)
CHUNK_WIDEN(widen_int64, int64_t, int64_t)
CHUNK_WIDEN(widen_float, float, double)
CHUNK_WIDEN(widen_double, double, double)
#undef CHUNK_WIDEN

const int64_t *chunk_int64(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, int64_t *scratch) {
    switch (c->type->id) {
    case TYPE_BOOLEAN: widen_bool(c, rows, begin, count, scratch); break;
    case TYPE_TINYINT: widen_int8(c, rows, begin, count, scratch); break;
    case TYPE_SMALLINT: widen_int16(c, rows, begin, count, scratch); break;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: widen_int32(c, rows, begin, count, scratch); break;
    default:
        if (c->form == COLUMN_FLAT && !rows->indices) return (const int64_t *)c->values + begin;
        widen_int64(c, rows, begin, count, scratch);
    }
    return scratch;
}

const double *chunk_double(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, double *scratch) {
    if (c->type->id == TYPE_FLOAT) {
        widen_float(c, rows, begin, count, scratch);
        return scratch;
    }
    if (c->form == COLUMN_FLAT && !rows->indices) return (const double *)c->values + begin;
    widen_double(c, rows, begin, count, scratch);
    return scratch;
}

bool states_are_one(void *const *states, uint32_t count) {
    if (!count || states[0] != states[count - 1]) return false;
    uintptr_t differences = 0;
    for (uint32_t i = 0; i < count; i++) differences |= (uintptr_t)states[i] ^ (uintptr_t)states[0];
    return differences == 0;
}

enum status aggregate_signature(struct binding *b, const char *signature, struct error *e) {
    TRY(binding_signature(b, signature, e));
    b->nullable = true;
    return STATUS_OK;
}

enum status aggregate_require_order(const struct binding *b, uint32_t index, struct error *e) {
    const struct type *type = b->args[index]->type;
    if (type_is_orderable(type)) return STATUS_OK;
    enum status status = error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE",
                                   "`%s` cannot compare values of type %s", b->name, type_name_sql(b->arena, type));
    if (e) e->span = b->args[index]->span;
    return status;
}
