// SPDX-License-Identifier: Apache-2.0
// collection.c: see collection.h.
#include "expr/collection.h"

bool list_writer_begin(struct list_writer *w, struct column *out, struct eval *eval) {
    *w = (struct list_writer){.out = out, .eval = eval};
    column_builder_init(&w->builder, eval->arena, out->type);
    if (w->builder.failed || !w->builder.children) eval->status = STATUS_NO_MEMORY;
    return eval->status == STATUS_OK;
}

struct column_builder *list_writer_row(struct list_writer *w, uint32_t row) {
    for (; w->next_row < row; w->next_row++) column_builder_append_null(&w->builder);
    return w->builder.children;
}

void list_writer_end_row(struct list_writer *w) {
    column_builder_end_list(&w->builder);
    w->next_row++;
}

void list_writer_finish(struct list_writer *w) {
    list_writer_row(w, w->eval->row_count);
    if (column_builder_finish(&w->builder, w->out) != STATUS_OK) w->eval->status = STATUS_NO_MEMORY;
}

bool list_writer_room(struct list_writer *w, uint32_t row, int64_t count) {
    if (w->builder.failed) return false;
    if (count > COLLECTION_LIST_MAX) {
        eval_fail(w->eval, row, "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION", "the array would have more elements than an array can have");
        return false;
    }
    if (count + w->builder.children[0].column.row_count <= COLLECTION_ELEMENTS_MAX) return true;
    eval_fail(w->eval, row, "LEAT_LIMIT_EXCEEDED", "the arrays of one batch would have more than 67108864 elements");
    return false;
}

void append_range(struct column_builder *to, const struct column *child, int32_t begin, int32_t end) {
    for (int32_t i = begin; i < end; i++) column_builder_append_from(to, child, (uint32_t)i);
}

uint32_t *picks_new(struct eval *eval) {
    uint32_t *picked = eval_alloc(eval, (eval->row_count + 1) * sizeof *picked);
    if (picked) memset(picked, 0xff, (eval->row_count + 1) * sizeof *picked);
    return picked;
}

void picks_gather(const struct column *child, const uint32_t *picked, struct column *out, struct eval *eval) {
    const struct type *t = out->type;
    if (t->id == TYPE_NULL) return;
    if (column_gather(eval->arena, child, picked, eval->row_count, out) != STATUS_OK) eval->status = STATUS_NO_MEMORY;
    out->type = t;
}

bool value_set_init(struct value_set *s, const struct column *first, const struct column *second, struct eval *eval) {
    *s = (struct value_set){.columns = {first, second}, .eval = eval};
    for (int i = 0; i < 2; i++) {
        const struct column *c = s->columns[i];
        if (!c) continue;
        uint64_t *hashes = arena_alloc_array(eval->arena, (size_t)c->row_count + 1, sizeof *hashes);
        if (!hashes) {
            eval->status = STATUS_NO_MEMORY;
            return false;
        }
        struct rows all = {.indices = NULL, .count = c->row_count};
        value_hash_column(c, &all, hashes);
        s->hashes[i] = hashes;
    }
    return true;
}

bool value_set_clear(struct value_set *s, uint32_t most) {
    uint32_t wanted = 16;
    while (wanted < 2 * (uint64_t)most && wanted < UINT32_C(1) << 31) wanted *= 2;
    if (wanted > s->capacity) {
        s->slots = eval_alloc(s->eval, wanted * sizeof *s->slots);
        s->capacity = s->slots ? wanted : 0;
        if (!s->slots) return false;
    }
    memset(s->slots, 0, s->capacity * sizeof *s->slots);
    return true;
}

// The slot where the value is, or where it would go.
static uint32_t find_slot(const struct value_set *s, uint32_t column, uint32_t row) {
    uint32_t mask = s->capacity - 1;
    uint64_t hash = s->hashes[column][row];
    for (uint32_t at = (uint32_t)(hash ^ hash >> 32) & mask;; at = (at + 1) & mask) {
        uint32_t held = s->slots[at];
        if (!held) return at;
        uint32_t held_column = (held - 1) & 1, held_row = (held - 1) >> 1;
        if (s->hashes[held_column][held_row] != hash) continue;
        if (value_equal(s->columns[held_column], held_row, s->columns[column], row)) return at;
    }
}

bool value_set_has(const struct value_set *s, uint32_t column, uint32_t row) { return s->slots[find_slot(s, column, row)] != 0; }

bool value_set_add(struct value_set *s, uint32_t column, uint32_t row) {
    uint32_t at = find_slot(s, column, row);
    if (s->slots[at]) return false;
    s->slots[at] = 1 + (row * 2 + column);
    return true;
}

uint32_t value_set_find(const struct value_set *s, uint32_t column, uint32_t row) {
    uint32_t held = s->slots[find_slot(s, column, row)];
    return held ? (held - 1) >> 1 : UINT32_MAX;
}

void normalize_zero(struct column *keys) {
    if (keys->type->id == TYPE_DOUBLE) {
        double *values = keys->values;
        for (uint32_t i = 0; i < keys->row_count; i++)
            if (values[i] == 0) values[i] = 0;
    } else if (keys->type->id == TYPE_FLOAT) {
        float *values = keys->values;
        for (uint32_t i = 0; i < keys->row_count; i++)
            if (values[i] == 0) values[i] = 0;
    }
}

// Copies the map anew, with each key once: at the place where it came first, with the value that came last.
static void keep_last(struct column *out, struct value_set *met, struct eval *eval) {
    struct column from = *out;
    struct list_writer w;
    uint32_t *last = arena_alloc_array(eval->arena, (size_t)from.children[0].row_count + 1, sizeof *last);
    if (!last) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t row = 0; row < eval->row_count; row++) {
        if (!column_is_valid(&from, row)) continue;
        int32_t begin = column_list_begin(&from, row), end = column_list_end(&from, row);
        struct column_builder *children = list_writer_row(&w, row);
        if (!value_set_clear(met, (uint32_t)(end - begin))) return;
        for (int32_t i = begin; i < end; i++) {
            uint32_t at = (uint32_t)i, first = value_set_add(met, 0, at) ? at : value_set_find(met, 0, at);
            last[first] = at;
        }
        if (!value_set_clear(met, (uint32_t)(end - begin))) return;
        for (int32_t i = begin; i < end; i++) {
            if (!value_set_add(met, 0, (uint32_t)i)) continue;
            column_builder_append_from(&children[0], &from.children[0], (uint32_t)i);
            column_builder_append_from(&children[1], &from.children[1], last[i]);
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

void map_settle(struct column *out, const struct rows *rows, struct eval *eval) {
    if (eval->status != STATUS_OK || !out->children) return;
    struct column *keys = &out->children[0];
    struct value_set met;
    bool duplicates = false;
    normalize_zero(keys);  // Spark's maps hold no −0.0 as a key
    if (!value_set_init(&met, keys, NULL, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(out, row)) continue;
        int32_t begin = column_list_begin(out, row), end = column_list_end(out, row);
        if (begin == end) continue;
        if (!value_set_clear(&met, (uint32_t)(end - begin))) return;
        for (int32_t k = begin; k < end; k++) {
            if (!column_is_valid(keys, (uint32_t)k)) {
                eval_fail(eval, row, "NULL_MAP_KEY", "a map cannot have NULL as a key");
                break;
            }
            if (value_set_add(&met, 0, (uint32_t)k)) continue;
            duplicates = true;
            if (eval->session && eval->session->map_keys_last_win) continue;
            eval_fail(eval, row, "DUPLICATED_MAP_KEY", "two entries of the map have the same key");
            break;
        }
    }
    if (duplicates && eval->session && eval->session->map_keys_last_win) keep_last(out, &met, eval);
}

enum status collection_refuse(struct binding *b, uint32_t index, const char *condition, const char *detail, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, condition, "cannot resolve \"%s\" due to data type mismatch: %s", b->name, detail);
    if (!e) return STATUS_INVALID_QUERY;
    bool argument = index < b->arg_count && span_known(b->args[index]->span);
    e->span = argument ? b->args[index]->span : b->span;
    if (index < b->arg_count) error_set_label(e, "this is %s", type_name_sql(b->arena, b->args[index]->type));
    return STATUS_INVALID_QUERY;
}

enum status collection_wrong_type(struct binding *b, uint32_t index, const char *wanted, struct error *e) {
    const char *detail = arena_printf(b->arena, "parameter %u requires the \"%s\" type, however it has the type \"%s\"", index + 1, wanted,
                                      type_name_sql(b->arena, b->args[index]->type));
    return collection_refuse(b, index, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", detail ? detail : wanted, e);
}

enum status collection_require(struct binding *b, uint32_t index, enum type_id id, struct error *e) {
    if (b->args[index]->type->id == id) return STATUS_OK;
    return collection_wrong_type(b, index, id == TYPE_ARRAY ? "ARRAY" : id == TYPE_MAP ? "MAP" : "STRUCT", e);
}

enum status collection_require_order(struct binding *b, uint32_t index, const struct type *t, struct error *e) {
    if (type_is_orderable(t)) return STATUS_OK;
    return collection_refuse(b, index, "DATATYPE_MISMATCH.INVALID_ORDERING_TYPE", "its values have no order", e);
}

enum status collection_cast(struct binding *b, uint32_t index, const struct type *to, struct error *e) {
    if (!to) return error_no_memory(e);
    b->args[index] = expr_cast(b->arena, b->args[index], to, CAST_IMPLICIT);
    return b->args[index] ? STATUS_OK : error_no_memory(e);
}
