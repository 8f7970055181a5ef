// SPDX-License-Identifier: Apache-2.0
// column_builder.c: columns that grow row by row in an arena.
//
// Capacity doubles; the outgrown arrays stay in the arena until it is reset, so that all growth together costs at most twice the
// final size. The validity bitmap appears with the first NULL. A refused allocation marks the builder failed and all later calls
// return at once; callers look once, at column_builder_finish.
#include "column/column.h"

enum { FIRST_CAPACITY = 16 };

static bool is_list(const struct type *t) { return t->id == TYPE_ARRAY || t->id == TYPE_MAP; }

void column_builder_init(struct column_builder *b, struct arena *a, const struct type *type) {
    *b = (struct column_builder){.arena = a, .column = {.type = type, .form = COLUMN_FLAT}};
    if (!type_is_nested(type)) return;
    uint32_t child_count = type->field_count ? type->field_count : 1;
    b->children = arena_alloc_array(a, child_count, sizeof *b->children);
    b->column.children = arena_alloc_array(a, child_count, sizeof *b->column.children);
    if (!b->children || !b->column.children) {
        b->failed = true;
        return;
    }
    for (uint32_t i = 0; i < type->field_count; i++) {
        column_builder_init(&b->children[i], a, type->fields[i].type);
        b->failed |= b->children[i].failed;
    }
}

// Room for one more row (and, for lists, the offset behind it).
static bool make_room(struct column_builder *b) {
    if (b->failed) return false;
    struct column *c = &b->column;
    if (c->row_count < b->capacity) return true;
    uint64_t capacity = b->capacity ? (uint64_t)b->capacity * 2 : FIRST_CAPACITY;
    size_t width = type_width(c->type);
    if (capacity > INT32_MAX) goto refused;
    if (width) {
        size_t extra = is_list(c->type) ? 1 : 0;
        void *values = arena_alloc_aligned(b->arena, (capacity + extra) * width, 64);
        if (!values) goto refused;
        if (c->values) {
            memcpy(values, c->values, (c->row_count + extra) * width);
        } else {
            memset(values, 0, width);  // a list's first offset
        }
        c->values = values;
    }
    if (c->validity) {
        uint64_t *validity = arena_alloc(b->arena, bitmap_bytes(capacity));
        if (!validity) goto refused;
        bitmap_fill(validity, capacity, true);
        memcpy(validity, c->validity, bitmap_bytes(c->row_count));
        c->validity = validity;
    }
    b->capacity = (uint32_t)capacity;
    return true;
refused:
    b->failed = true;
    return false;
}

// The bits behind row_count may be stale after a copy: each appended row sets its own.
static void finish_row(struct column_builder *b, bool valid) {
    struct column *c = &b->column;
    if (c->validity) bitmap_put(c->validity, c->row_count, valid);
    c->row_count++;
}

void column_builder_append_null(struct column_builder *b) {
    if (!make_room(b)) return;
    struct column *c = &b->column;
    if (!c->validity && c->type->id != TYPE_NULL) {
        uint64_t *validity = arena_alloc(b->arena, bitmap_bytes(b->capacity));
        if (!validity) {
            b->failed = true;
            return;
        }
        bitmap_fill(validity, b->capacity, true);
        c->validity = validity;
    }
    if (is_list(c->type)) {
        int32_t *offsets = c->values;
        offsets[c->row_count + 1] = offsets[c->row_count];
    } else if (c->type->id == TYPE_STRUCT) {
        for (uint32_t i = 0; i < c->type->field_count; i++) column_builder_append_null(&b->children[i]);
    } else if (c->values) {
        size_t width = type_width(c->type);
        memset((uint8_t *)c->values + c->row_count * width, 0, width);
    }
    finish_row(b, false);
}

void column_builder_append_fixed(struct column_builder *b, const void *value) {
    if (!make_room(b)) return;
    struct column *c = &b->column;
    switch (type_width(c->type)) {  // constant sizes become plain moves
    case 1: memcpy((uint8_t *)c->values + c->row_count, value, 1); break;
    case 2: memcpy((uint8_t *)c->values + (size_t)c->row_count * 2, value, 2); break;
    case 4: memcpy((uint8_t *)c->values + (size_t)c->row_count * 4, value, 4); break;
    case 8: memcpy((uint8_t *)c->values + (size_t)c->row_count * 8, value, 8); break;
    case 16: memcpy((uint8_t *)c->values + (size_t)c->row_count * 16, value, 16); break;
    default: break;
    }
    finish_row(b, true);
}

void column_builder_append_bytes(struct column_builder *b, const char *bytes, size_t size_bytes, bool copy) {
    if (b->failed) return;
    if (size_bytes > INT32_MAX) {
        b->failed = true;
        return;
    }
    if (copy && size_bytes > STRING_INLINE_MAX) {
        char *owned = arena_alloc_aligned(b->arena, size_bytes, 1);
        if (!owned) {
            b->failed = true;
            return;
        }
        memcpy(owned, bytes, size_bytes);
        bytes = owned;
    }
    struct string_view view = string_view_of(bytes, size_bytes);
    column_builder_append_fixed(b, &view);
}

void column_builder_end_list(struct column_builder *b) {
    if (!make_room(b)) return;
    int32_t *offsets = b->column.values;
    offsets[b->column.row_count + 1] = (int32_t)b->children[0].column.row_count;
    finish_row(b, true);
}

void column_builder_end_struct(struct column_builder *b) {
    if (make_room(b)) finish_row(b, true);
}

void column_builder_append_from(struct column_builder *b, const struct column *c, uint32_t row) {
    if (b->failed) return;
    if (!column_is_valid(c, row)) {
        column_builder_append_null(b);
        return;
    }
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    const struct type *type = base->type;
    if (type->id == TYPE_STRUCT) {
        for (uint32_t i = 0; i < type->field_count; i++) column_builder_append_from(&b->children[i], &base->children[i], index);
        column_builder_end_struct(b);
    } else if (is_list(type)) {
        const int32_t *offsets = base->values;
        for (int32_t k = offsets[index]; k < offsets[index + 1]; k++) {
            for (uint32_t i = 0; i < type->field_count; i++) {
                column_builder_append_from(&b->children[i], &base->children[i], (uint32_t)k);
            }
        }
        column_builder_end_list(b);
    } else {
        column_builder_append_fixed(b, (const uint8_t *)base->values + (size_t)index * type_width(type));
    }
}

enum status column_builder_finish(struct column_builder *b, struct column *out) {
    if (b->column.row_count == 0) make_room(b);  // values must not be NULL, a list needs its first offset
    if (b->failed) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; type_is_nested(b->column.type) && i < b->column.type->field_count; i++) {
        TRY(column_builder_finish(&b->children[i], &b->column.children[i]));
    }
    *out = b->column;
    return STATUS_OK;
}
