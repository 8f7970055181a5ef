// SPDX-License-Identifier: Apache-2.0
// cast_nested.c: casts of ARRAY, MAP and STRUCT, part by part.
//
// The shape (offsets, validity) is shared with the source; only leaves are computed. `outer` says for each element which row of the batch
// it belongs to, UINT16_MAX where nobody asked: leaves are cast a batch at a time, and an element that fails fails that row.
#include "cast_rows.h"
#include "program_steps.h"

static bool no_memory(struct eval *eval) {
    eval->status = STATUS_NO_MEMORY;
    return false;
}

// A leaf: any length, in chunks of a batch.
static bool cast_leaf(const struct cast *c, const struct column *from, const struct type *to, uint32_t count, const uint16_t *outer, struct column *out) {
    struct arena *a = c->eval->arena;
    if (from->type->id == TYPE_NULL || from->form == COLUMN_CONSTANT) {
        if (column_is_constant_null(from) || count == 0) return column_make_constant_null(a, to, count, out) == STATUS_OK || no_memory(c->eval);
    }
    if (column_make(a, to, count, true, out) != STATUS_OK) return no_memory(c->eval);
    uint16_t *indices = arena_alloc(a, BATCH_ROWS * sizeof *indices);
    if (!indices) return no_memory(c->eval);
    for (uint32_t begin = 0; begin < count && c->eval->status == STATUS_OK; begin += BATCH_ROWS) {
        uint32_t n = count - begin < BATCH_ROWS ? count - begin : BATCH_ROWS;
        struct column part, result;
        if (column_slice(a, from, begin, n, &part) != STATUS_OK || column_slice(a, out, begin, n, &result) != STATUS_OK) return no_memory(c->eval);
        struct rows rows = {.indices = indices, .count = 0};
        for (uint32_t i = 0; i < n; i++) {
            if (outer[begin + i] != UINT16_MAX && column_is_valid(&part, i)) indices[rows.count++] = (uint16_t)i;
            else out_set_null(&result, i);
        }
        struct eval inner;
        element_eval_begin(&inner, c->eval, n);
        cast_column(&part, to, c->is_try ? CAST_TRY : CAST_ANSI, &result, &rows, &inner);
        element_eval_end(c->eval, &inner, outer + begin);
    }
    return c->eval->status == STATUS_OK;
}

static bool cast_part(const struct cast *c, const struct column *from, const struct type *to, uint32_t count, const uint16_t *outer, struct column *out);

static bool cast_list(const struct cast *c, const struct column *from, const struct type *to, uint32_t count, const uint16_t *outer, struct column *out) {
    struct arena *a = c->eval->arena;
    const int32_t *offsets = from->values;
    uint32_t elements = count ? (uint32_t)offsets[count] : 0;
    uint16_t *owners = arena_alloc(a, (elements + 1) * sizeof *owners);
    out->children = arena_alloc_array(a, to->field_count, sizeof *out->children);
    if (!owners || !out->children) return no_memory(c->eval);
    memset(owners, 0xff, (elements + 1) * sizeof *owners);
    for (uint32_t row = 0; row < count; row++) {
        if (outer[row] == UINT16_MAX || !column_is_valid(from, row)) continue;
        for (int32_t i = offsets[row]; i < offsets[row + 1]; i++) owners[i] = outer[row];
    }
    for (uint32_t k = 0; k < to->field_count; k++)
        if (!cast_part(c, &from->children[k], to->fields[k].type, elements, owners, &out->children[k])) return false;
    return true;
}

static bool cast_part(const struct cast *c, const struct column *from, const struct type *to, uint32_t count, const uint16_t *outer, struct column *out) {
    if (type_equal(from->type, to)) {
        *out = *from;
        return true;
    }
    bool nested = type_is_nested(from->type) && from->type->id == to->id && from->form == COLUMN_FLAT;
    if (!nested || column_is_constant_null(from)) return cast_leaf(c, from, to, count, outer, out);
    *out = *from;
    out->type = to;
    if (to->id != TYPE_STRUCT) return cast_list(c, from, to, count, outer, out);
    uint16_t *owners = arena_alloc(c->eval->arena, (count + 1) * sizeof *owners);
    out->children = arena_alloc_array(c->eval->arena, to->field_count + 1, sizeof *out->children);
    if (!owners || !out->children) return no_memory(c->eval);
    for (uint32_t i = 0; i < count; i++) owners[i] = column_is_valid(from, i) ? outer[i] : UINT16_MAX;
    for (uint32_t k = 0; k < to->field_count; k++)
        if (!cast_part(c, &from->children[k], to->fields[k].type, count, owners, &out->children[k])) return false;
    return true;
}

void cast_nested(const struct cast *c) {
    uint32_t count = c->eval->row_count;
    uint16_t *outer = eval_alloc(c->eval, (count + 1) * sizeof *outer);
    if (!outer) return;
    memset(outer, 0xff, (count + 1) * sizeof *outer);
    for (uint32_t i = 0; i < c->rows->count; i++) outer[rows_at(c->rows, i)] = (uint16_t)rows_at(c->rows, i);
    uint64_t *validity = c->out->validity;
    struct column result;
    if (!cast_part(c, c->from, c->to, count, outer, &result)) return;
    *c->out = result;
    c->out->type = c->to;
    c->out->validity = validity;
}
