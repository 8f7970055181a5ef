// SPDX-License-Identifier: Apache-2.0
// key.c: values of key columns to 16-byte keys with hashes, and back. One integer (dates, times, booleans too) is its value as eight
// bytes, one string is itself, anything else its encoding by value_write. Hashes come from the key alone, so that a restored key hashes
// the same.
#include "base/checksum.h"
#include "exec/hash_table.h"

enum { NULL_HASH = 0x6e756c6c };

// A multiply and a shift each way: enough for slots and partitions, and inline.
static inline uint64_t mix(uint64_t value) {
    value = (value ^ value >> 32) * UINT64_C(0x9e3779b97f4a7c15);
    value = (value ^ value >> 29) * UINT64_C(0xbf58476d1ce4e5b9);
    return value ^ value >> 32;
}

static bool is_integer_key(const struct type *t) {
    switch (t->id) {
    case TYPE_BOOLEAN: case TYPE_TINYINT: case TYPE_SMALLINT: case TYPE_INT: case TYPE_BIGINT: case TYPE_DATE: case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ: case TYPE_INTERVAL_YM: case TYPE_INTERVAL_DT: return true;
    default: return false;
    }
}

void key_layout_init(struct key_layout *l, const struct type **types, uint32_t column_count) {
    l->types = types;
    l->column_count = column_count;
    l->mode = KEY_ENCODED;
    l->window = KEY_NO_WINDOW;
    if (column_count == 0) l->mode = KEY_NONE;
    if (column_count == 1 && is_integer_key(types[0])) l->mode = KEY_INTEGER;
    if (column_count == 1 && type_is_text(types[0])) l->mode = KEY_STRING;
}

void key_layout_take_window(struct key_layout *l, uint32_t column, int64_t window_us) {
    l->window = column;
    l->window_us = window_us;
}

// The partition's bits are those of the other columns.
static uint64_t window_hash(const char *bytes, size_t size_bytes) {
    enum { PARTITION_SHIFT = 61, END_BYTES = 8 };
    uint64_t others = checksum64(bytes, size_bytes < END_BYTES ? 0 : size_bytes - END_BYTES, 0), all = checksum64(bytes, size_bytes, 0);
    return (others >> PARTITION_SHIFT) << PARTITION_SHIFT | (all & ((UINT64_C(1) << PARTITION_SHIFT) - 1));
}

uint64_t key_hash(const struct key_layout *l, const struct string_view *key) {
    if (l->window != KEY_NO_WINDOW) return window_hash(string_view_data(key), key->size_bytes);
    if (key_is_null(key)) return mix(NULL_HASH);
    if (l->mode == KEY_NONE) return 0;
    if (l->mode == KEY_INTEGER) {
        uint64_t value;
        memcpy(&value, key->inlined, sizeof value);
        return mix(value);
    }
    return checksum64(string_view_data(key), key->size_bytes, 0);
}

static int64_t integer_at(const struct column *base, uint32_t index) {
    switch (type_width(base->type)) {
    case 1: return base->type->id == TYPE_BOOLEAN ? ((const uint8_t *)base->values)[index] : ((const int8_t *)base->values)[index];
    case 2: return ((const int16_t *)base->values)[index];
    case 4: return ((const int32_t *)base->values)[index];
    default: return ((const int64_t *)base->values)[index];
    }
}

static void put_integer_key(struct key_batch *out, uint32_t i, bool valid, int64_t value) {
    out->keys[i] = valid ? string_view_of((const char *)&value, sizeof value) : key_null();
    out->hashes[i] = valid ? mix((uint64_t)value) : mix(NULL_HASH);
    out->has_null[i] = !valid;
}

static void integer_keys(const struct column *c, const struct rows *rows, struct key_batch *out) {
    const struct column *base = column_base(c);
    if (c->form == COLUMN_FLAT && type_width(base->type) == sizeof(int64_t)) {
        const int64_t *values = base->values;
        for (uint32_t i = 0; i < rows->count; i++) {
            uint32_t row = rows_at(rows, i);
            put_integer_key(out, i, !base->validity || bitmap_get(base->validity, row), values[row]);
        }
        return;
    }
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool valid = column_is_valid(c, row);
        put_integer_key(out, i, valid, valid ? integer_at(base, column_index(c, row)) : 0);
    }
}

static void string_keys(const struct key_layout *l, const struct column *c, const struct rows *rows, struct key_batch *out) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool valid = column_is_valid(c, row);
        out->keys[i] = valid ? *column_string(c, row) : key_null();
        out->has_null[i] = !valid;
        out->hashes[i] = key_hash(l, &out->keys[i]);
    }
}

static enum status write_window(const struct column *c, uint32_t row, struct buffer *out) {
    if (!column_is_valid(c, row)) return STATUS_INTERNAL;
    return write_fixed64(out, (uint64_t)column_int64(&column_base(c)->children[1], column_index(c, row)));
}

static enum status encoded_keys(const struct key_layout *l, const struct column *columns, const struct rows *rows, struct arena *a, struct memory *memory,
                                struct key_batch *out) {
    struct buffer bytes;
    buffer_init(&bytes, memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows->count && status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        buffer_clear(&bytes);
        for (uint32_t k = 0; k < l->column_count && status == STATUS_OK; k++) {
            if (k == l->window) continue;
            status = value_write(&columns[k], row, &bytes);
            if (!column_is_valid(&columns[k], row)) out->has_null[i] = 1;
        }
        if (l->window != KEY_NO_WINDOW && status == STATUS_OK) status = write_window(&columns[l->window], row, &bytes);
        if (status != STATUS_OK) break;
        const char *kept = (const char *)bytes.data;
        if (bytes.size_bytes > STRING_INLINE_MAX) {
            kept = arena_alloc_aligned(a, bytes.size_bytes, 1);
            if (!kept) {
                status = STATUS_NO_MEMORY;
                break;
            }
            memcpy((char *)(uintptr_t)kept, bytes.data, bytes.size_bytes);
        }
        out->keys[i] = string_view_of(kept, bytes.size_bytes);
        out->hashes[i] = key_hash(l, &out->keys[i]);
    }
    buffer_release(&bytes);
    return status;
}

enum status key_batch_make(const struct key_layout *l, const struct column *columns, const struct rows *rows, struct arena *a, struct memory *memory,
                           struct key_batch *out) {
    out->keys = arena_alloc(a, (rows->count + 1) * sizeof *out->keys);
    out->hashes = arena_alloc(a, (rows->count + 1) * sizeof *out->hashes);
    out->has_null = arena_alloc_zeroed(a, rows->count + 1);
    if (!out->keys || !out->hashes || !out->has_null) return STATUS_NO_MEMORY;
    switch (l->mode) {
    case KEY_NONE:
        memset(out->keys, 0, (rows->count + 1) * sizeof *out->keys);
        memset(out->hashes, 0, (rows->count + 1) * sizeof *out->hashes);
        return STATUS_OK;
    case KEY_INTEGER: integer_keys(columns, rows, out); return STATUS_OK;
    case KEY_STRING: string_keys(l, columns, rows, out); return STATUS_OK;
    case KEY_ENCODED: break;
    }
    return encoded_keys(l, columns, rows, a, memory, out);
}

static void append_integer(struct column_builder *b, const struct string_view *key) {
    int64_t wide;
    memcpy(&wide, key->inlined, sizeof wide);
    int8_t tiny = (int8_t)wide;
    int16_t small = (int16_t)wide;
    int32_t narrow = (int32_t)wide;
    switch (type_width(b->column.type)) {
    case 1: column_builder_append_fixed(b, &tiny); break;
    case 2: column_builder_append_fixed(b, &small); break;
    case 4: column_builder_append_fixed(b, &narrow); break;
    default: column_builder_append_fixed(b, &wide); break;
    }
}

static enum status read_window(const struct key_layout *l, struct reader *in, struct column_builder *b) {
    int64_t end = (int64_t)read_fixed64(in), start;
    if (in->failed || __builtin_sub_overflow(end, l->window_us, &start)) return STATUS_CORRUPT;
    column_builder_append_fixed(&b->children[0], &start);
    column_builder_append_fixed(&b->children[1], &end);
    column_builder_end_struct(b);
    return b->failed ? STATUS_NO_MEMORY : STATUS_OK;
}

static enum status append_key(const struct key_layout *l, struct group *g, struct arena *a, struct column_builder *builders) {
    if (l->mode == KEY_ENCODED) {
        char *bytes = arena_strndup(a, string_view_data(&g->key), g->key.size_bytes);  // values may point into them
        if (!bytes) return STATUS_NO_MEMORY;
        struct reader in = reader_of(bytes, g->key.size_bytes);
        for (uint32_t k = 0; k < l->column_count; k++) {
            if (k == l->window) continue;
            value_read(&in, &builders[k]);
            if (builders[k].failed) return STATUS_NO_MEMORY;
        }
        if (l->window != KEY_NO_WINDOW) TRY(read_window(l, &in, &builders[l->window]));
        return !in.failed && in.next == in.end ? STATUS_OK : STATUS_CORRUPT;
    }
    if (l->mode == KEY_NONE) return STATUS_OK;
    if (key_is_null(&g->key)) {
        column_builder_append_null(&builders[0]);
    } else if (l->mode == KEY_STRING) {
        column_builder_append_bytes(&builders[0], string_view_data(&g->key), g->key.size_bytes, true);
    } else {
        append_integer(&builders[0], &g->key);
    }
    return STATUS_OK;
}

enum status key_columns(const struct key_layout *l, struct group *const *groups, uint32_t count, struct arena *a, struct column *out) {
    struct column_builder *builders = arena_alloc_array(a, l->column_count + 1, sizeof *builders);
    if (!builders) return STATUS_NO_MEMORY;
    for (uint32_t k = 0; k < l->column_count; k++) column_builder_init(&builders[k], a, l->types[k]);
    for (uint32_t i = 0; i < count; i++) {
        TRY(append_key(l, groups[i], a, builders));
    }
    for (uint32_t k = 0; k < l->column_count; k++) TRY(column_builder_finish(&builders[k], &out[k]));
    return STATUS_OK;
}

enum status key_print(const struct key_layout *l, struct group *g, const struct timezone *zone, struct memory *memory, struct buffer *out) {
    struct arena arena;
    arena_init(&arena, memory);
    struct column *columns = arena_alloc_array(&arena, l->column_count + 1, sizeof *columns);
    enum status status = columns ? key_columns(l, &g, 1, &arena, columns) : STATUS_NO_MEMORY;
    if (status == STATUS_OK && l->column_count != 1) status = buffer_append_byte(out, '(');
    for (uint32_t k = 0; k < l->column_count && status == STATUS_OK; k++) {
        if (k) status = buffer_append_string(out, ", ");
        if (status != STATUS_OK) break;
        status = column_is_valid(&columns[k], 0) ? value_print(&columns[k], 0, zone, out) : buffer_append_string(out, "NULL");
    }
    if (status == STATUS_OK && l->column_count != 1) status = buffer_append_byte(out, ')');
    if (status == STATUS_OK) status = buffer_terminate(out);
    arena_release(&arena);
    return status;
}

enum status key_write(const struct string_view *key, struct buffer *out) {
    if (key_is_null(key)) return buffer_append_byte(out, 0);
    TRY(buffer_append_byte(out, 1));
    return write_bytes(out, string_view_data(key), key->size_bytes);
}

static bool key_is_sound(const struct key_layout *l, const struct string_view *key, struct memory *memory) {
    if (l->mode == KEY_NONE) return key->size_bytes == 0;
    if (l->mode == KEY_INTEGER) return key->size_bytes == sizeof(int64_t);
    if (l->mode == KEY_STRING) return true;
    struct arena arena;
    arena_init(&arena, memory);
    struct reader in = reader_of(string_view_data(key), key->size_bytes);
    bool sound = true;
    for (uint32_t k = 0; k < l->column_count && sound; k++) {
        if (k == l->window) continue;
        struct column_builder builder;
        struct column column;
        column_builder_init(&builder, &arena, l->types[k]);
        value_read(&in, &builder);
        sound = !in.failed && column_builder_finish(&builder, &column) == STATUS_OK;
    }
    arena_release(&arena);
    if (l->window != KEY_NO_WINDOW) {
        int64_t end = (int64_t)read_fixed64(&in), start;
        sound = sound && !in.failed && !__builtin_sub_overflow(end, l->window_us, &start);
    }
    return sound && in.next == in.end;
}

bool key_read(const struct key_layout *l, struct reader *in, struct memory *memory, struct string_view *out) {
    uint8_t form = read_byte(in);
    *out = key_null();
    if (form == 0 && !in->failed) return l->mode == KEY_INTEGER || l->mode == KEY_STRING;
    size_t size_bytes = 0;
    const uint8_t *bytes = read_bytes(in, &size_bytes);
    if (in->failed || form != 1 || size_bytes > UINT32_MAX) return false;
    *out = string_view_of((const char *)bytes, size_bytes);
    return key_is_sound(l, out, memory);
}
