// SPDX-License-Identifier: Apache-2.0
// column.c: making columns and moving rows between them.
//
// Gathering is one loop per width. A row of UINT32_MAX ("missing") gives NULL; columns without missing rows take the loop without
// the test. Nested values are gathered level by level: the rows of a child are computed first, then the child is gathered.
#include "column/column.h"

enum { VALUES_ALIGNMENT = 64 };
static const uint32_t missing = UINT32_MAX;

static void *alloc_values(struct arena *a, size_t size_bytes) {
    return arena_alloc_aligned(a, size_bytes ? size_bytes : 1, size_bytes >= VALUES_ALIGNMENT ? VALUES_ALIGNMENT : 16);
}

static uint64_t *alloc_validity(struct arena *a, uint32_t row_count, bool on) {
    uint64_t *bits = alloc_values(a, bitmap_bytes(row_count ? row_count : 1));
    if (bits) bitmap_fill(bits, row_count ? row_count : 1, on);
    return bits;
}

static bool is_list(const struct type *t) { return t->id == TYPE_ARRAY || t->id == TYPE_MAP; }

enum status column_make(struct arena *a, const struct type *type, uint32_t row_count, bool with_validity, struct column *out) {
    *out = (struct column){.type = type, .form = COLUMN_FLAT, .row_count = row_count};
    if (with_validity && !(out->validity = alloc_validity(a, row_count, true))) return STATUS_NO_MEMORY;
    if (is_list(type)) {
        size_t size_bytes = ((size_t)row_count + 1) * sizeof(int32_t);
        if (!(out->values = alloc_values(a, size_bytes))) return STATUS_NO_MEMORY;
        memset(out->values, 0, size_bytes);
    } else if (type_width(type) > 0) {
        if (!(out->values = alloc_values(a, row_count * type_width(type)))) return STATUS_NO_MEMORY;
    }
    if (!type_is_nested(type)) return STATUS_OK;
    out->children = arena_alloc_array(a, type->field_count ? type->field_count : 1, sizeof *out->children);
    if (!out->children) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < type->field_count; i++) {
        uint32_t child_rows = type->id == TYPE_STRUCT ? row_count : 0;
        TRY(column_make(a, type->fields[i].type, child_rows, with_validity, &out->children[i]));
    }
    return STATUS_OK;
}

enum status column_make_constant_null(struct arena *a, const struct type *type, uint32_t row_count, struct column *out) {
    *out = (struct column){.type = type, .form = COLUMN_CONSTANT, .row_count = row_count};
    if (!(out->validity = alloc_validity(a, 1, false))) return STATUS_NO_MEMORY;
    size_t value_bytes = is_list(type) ? 2 * sizeof(int32_t) : type_width(type);
    if (value_bytes) {
        if (!(out->values = alloc_values(a, value_bytes))) return STATUS_NO_MEMORY;
        memset(out->values, 0, value_bytes);
    }
    if (!type_is_nested(type)) return STATUS_OK;
    out->children = arena_alloc_array(a, type->field_count ? type->field_count : 1, sizeof *out->children);
    if (!out->children) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < type->field_count; i++) {
        if (type->id == TYPE_STRUCT) {
            TRY(column_make_constant_null(a, type->fields[i].type, row_count, &out->children[i]));
        } else {
            TRY(column_make(a, type->fields[i].type, 0, false, &out->children[i]));
        }
    }
    return STATUS_OK;
}

static enum status gather(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, bool copy, struct column *out);

// out[i] = from[rows[i]] for one width; missing rows become zero. memcpy of a constant size is one move, whatever the type behind it.
#define GATHER_WIDTH(width)                                                                                                          \
    static void gather_##width(const uint8_t *from, const uint32_t *rows, uint32_t count, bool any_missing, uint8_t *out) {          \
        for (uint32_t i = 0; i < count; i++) {                                                                                       \
            if (any_missing && rows[i] == missing) {                                                                                 \
                memset(out + (size_t)i * width, 0, width);                                                                           \
            } else {                                                                                                                 \
                memcpy(out + (size_t)i * width, from + (size_t)rows[i] * width, width);                                              \
            }                                                                                                                        \
        }                                                                                                                            \
    }
GATHER_WIDTH(1)
GATHER_WIDTH(2)
GATHER_WIDTH(4)
GATHER_WIDTH(8)
GATHER_WIDTH(16)
#undef GATHER_WIDTH

static void gather_values(const struct column *c, const uint32_t *rows, uint32_t count, bool any_missing, void *out) {
    switch (type_width(c->type)) {
    case 1: gather_1(c->values, rows, count, any_missing, out); break;
    case 2: gather_2(c->values, rows, count, any_missing, out); break;
    case 4: gather_4(c->values, rows, count, any_missing, out); break;
    case 8: gather_8(c->values, rows, count, any_missing, out); break;
    default: gather_16(c->values, rows, count, any_missing, out); break;
    }
}

// Long strings of valid rows move into the arena. A string that several rows share in a run is copied once.
static enum status own_strings(struct arena *a, struct column *out, uint32_t count) {
    struct string_view *views = out->values;
    const char *last_from = NULL, *last_to = NULL;
    uint32_t last_bytes = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (out->validity && !bitmap_get(out->validity, i)) {
            memset(&views[i], 0, sizeof views[i]);  // a NULL's view may point anywhere
            continue;
        }
        if (views[i].size_bytes <= STRING_INLINE_MAX) continue;
        const char *from = string_view_data(&views[i]);
        if (from != last_from || views[i].size_bytes != last_bytes) {
            char *to = arena_alloc_aligned(a, views[i].size_bytes, 1);
            if (!to) return STATUS_NO_MEMORY;
            memcpy(to, from, views[i].size_bytes);
            last_from = from;
            last_to = to;
            last_bytes = views[i].size_bytes;
        }
        views[i] = string_view_of(last_to, last_bytes);
    }
    return STATUS_OK;
}

static enum status gather_list(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, bool copy,
                               struct column *out) {
    const int32_t *from = c->values;
    int32_t *offsets = out->values;
    uint64_t total = 0;
    offsets[0] = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool valid = rows[i] != missing && (!out->validity || bitmap_get(out->validity, i));
        if (valid) total += (uint64_t)(from[rows[i] + 1] - from[rows[i]]);
        if (total > INT32_MAX) return STATUS_NO_MEMORY;
        offsets[i + 1] = (int32_t)total;
    }
    uint32_t *child_rows = alloc_values(a, total * sizeof *child_rows);
    if (!child_rows) return STATUS_NO_MEMORY;
    for (uint32_t i = 0, next = 0; i < count; i++) {
        int32_t length = offsets[i + 1] - offsets[i];
        for (int32_t k = 0; k < length; k++) child_rows[next++] = (uint32_t)(from[rows[i]] + k);
    }
    for (uint32_t i = 0; i < c->type->field_count; i++) {
        TRY(gather(a, &c->children[i], child_rows, (uint32_t)total, copy, &out->children[i]));
    }
    return STATUS_OK;
}

static enum status gather_struct(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, bool copy,
                                 struct column *out) {
    for (uint32_t i = 0; i < c->type->field_count; i++) {
        if (column_is_constant_null(&c->children[i])) {
            TRY(column_make_constant_null(a, c->children[i].type, count, &out->children[i]));
        } else {
            TRY(gather(a, &c->children[i], rows, count, copy, &out->children[i]));
        }
    }
    return STATUS_OK;
}

static enum status gather_validity(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, bool any_missing,
                                   struct column *out) {
    if (!c->validity && !any_missing) return STATUS_OK;
    uint64_t *bits = alloc_validity(a, count, true);
    if (!bits) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i] == missing || (c->validity && !bitmap_get(c->validity, rows[i]))) bitmap_clear(bits, i);
    }
    out->validity = bits;
    return STATUS_OK;
}

// Rows of a column of any form as rows of its FLAT base.
static enum status base_rows(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, const uint32_t **out) {
    if (c->form == COLUMN_FLAT) {
        *out = rows;
        return STATUS_OK;
    }
    uint32_t *mapped = alloc_values(a, count * sizeof *mapped);
    if (!mapped) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) mapped[i] = rows[i] == missing ? missing : column_index(c, rows[i]);
    *out = mapped;
    return STATUS_OK;
}

static enum status gather(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, bool copy, struct column *out) {
    const struct column *base = column_base(c);
    TRY(base_rows(a, c, rows, count, &rows));
    *out = (struct column){.type = c->type, .form = COLUMN_FLAT, .row_count = count};
    if (c->type->id == TYPE_NULL) return STATUS_OK;
    bool any_missing = false;
    for (uint32_t i = 0; i < count; i++) any_missing |= rows[i] == missing;
    TRY(gather_validity(a, base, rows, count, any_missing, out));
    if (type_is_nested(c->type)) {
        out->children = arena_alloc_array(a, c->type->field_count ? c->type->field_count : 1, sizeof *out->children);
        if (!out->children) return STATUS_NO_MEMORY;
        if (c->type->id == TYPE_STRUCT) return gather_struct(a, base, rows, count, copy, out);
        out->values = alloc_values(a, ((size_t)count + 1) * sizeof(int32_t));
        return out->values ? gather_list(a, base, rows, count, copy, out) : STATUS_NO_MEMORY;
    }
    out->values = alloc_values(a, count * type_width(c->type));
    if (!out->values) return STATUS_NO_MEMORY;
    gather_values(base, rows, count, any_missing, out->values);
    return copy && type_is_text(c->type) ? own_strings(a, out, count) : STATUS_OK;
}

enum status column_gather(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, struct column *out) {
    return gather(a, c, rows, count, false, out);
}

enum status column_copy(struct arena *a, const struct column *c, const uint32_t *rows, uint32_t count, struct column *out) {
    return gather(a, c, rows, count, true, out);
}

// True if the column is FLAT all the way down.
static bool is_flat(const struct column *c) {
    if (c->form != COLUMN_FLAT) return false;
    for (uint32_t i = 0; type_is_nested(c->type) && i < c->type->field_count; i++) {
        if (!is_flat(&c->children[i])) return false;
    }
    return true;
}

enum status column_flatten(struct arena *a, const struct column *c, uint32_t row_count, struct column *out) {
    if (is_flat(c)) {
        *out = *c;
        return STATUS_OK;
    }
    struct column flat = *c;
    if (c->form != COLUMN_FLAT) {
        uint32_t *rows = alloc_values(a, row_count * sizeof *rows);
        if (!rows) return STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < row_count; i++) rows[i] = i;
        TRY(gather(a, c, rows, row_count, false, &flat));
    }
    if (!is_flat(&flat)) {
        struct column *children = arena_alloc_array(a, flat.type->field_count, sizeof *children);
        if (!children) return STATUS_NO_MEMORY;
        for (uint32_t i = 0; i < flat.type->field_count; i++) {
            uint32_t child_rows = flat.type->id == TYPE_STRUCT ? row_count : flat.children[i].row_count;
            TRY(column_flatten(a, &flat.children[i], child_rows, &children[i]));
        }
        flat.children = children;
    }
    *out = flat;
    return STATUS_OK;
}
