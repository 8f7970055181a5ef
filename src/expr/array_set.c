// SPDX-License-Identifier: Apache-2.0
// array_set.c: arrays as sets: array_distinct, array_union, array_intersect, array_except. Results keep the order of first appearance, and NULL
// counts as a value like any other; −0.0 becomes 0.0. Membership is by hash, so that long arrays take time in proportion to their length.
#include "expr/collection.h"
#include "expr/functions.h"

enum set_operation { SET_DISTINCT, SET_UNION, SET_INTERSECT, SET_EXCEPT };

// The values of the left that are in the right (INTERSECT) or are not (EXCEPT), each once.
static bool select_values(struct value_set *right, struct value_set *met, const struct column *const *args, uint32_t row, bool wanted, struct column_builder *items) {
    int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
    int32_t right_begin = column_list_begin(args[1], row), right_end = column_list_end(args[1], row);
    if (!value_set_clear(right, (uint32_t)(right_end - right_begin)) || !value_set_clear(met, (uint32_t)(end - begin))) return false;
    for (int32_t k = right_begin; k < right_end; k++) value_set_add(right, 1, (uint32_t)k);
    for (int32_t k = begin; k < end; k++) {
        if (value_set_has(right, 0, (uint32_t)k) != wanted || !value_set_add(met, 0, (uint32_t)k)) continue;
        column_builder_append_from(items, &args[0]->children[0], (uint32_t)k);
    }
    return true;
}

// Each value of the first one or two arrays once.
static bool unite_values(struct value_set *met, const struct column *const *args, uint32_t arg_count, uint32_t row, struct column_builder *items) {
    uint32_t most = 0;
    for (uint32_t a = 0; a < arg_count; a++) most += (uint32_t)list_size(args[a], row);
    if (!value_set_clear(met, most)) return false;
    for (uint32_t a = 0; a < arg_count; a++)
        for (int32_t k = column_list_begin(args[a], row); k < column_list_end(args[a], row); k++)
            if (value_set_add(met, a, (uint32_t)k)) column_builder_append_from(items, &args[a]->children[0], (uint32_t)k);
    return true;
}

static void run(enum set_operation operation, const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct list_writer w;
    struct value_set met, right;
    if (!list_writer_begin(&w, out, eval)) return;
    if (!value_set_init(&met, &args[0]->children[0], operation == SET_DISTINCT ? NULL : &args[1]->children[0], eval)) return;
    right = met;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *items = list_writer_row(&w, row);
        bool done = operation == SET_DISTINCT || operation == SET_UNION ? unite_values(&met, args, operation == SET_UNION ? 2 : 1, row, items)
                                                                        : select_values(&right, &met, args, row, operation == SET_INTERSECT, items);
        if (!done) return;
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
    if (eval->status == STATUS_OK && out->children) normalize_zero(&out->children[0]);
}

static void kernel_distinct(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    run(SET_DISTINCT, args, out, rows, eval);
}
static void kernel_union(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    run(SET_UNION, args, out, rows, eval);
}
static void kernel_intersect(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    run(SET_INTERSECT, args, out, rows, eval);
}
static void kernel_except(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    run(SET_EXCEPT, args, out, rows, eval);
}

static enum status bind_distinct(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return collection_require_order(b, 0, element_of(b->result), e);
}

static enum status bind_pair(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    const struct type *common = l->id == TYPE_ARRAY && r->id == TYPE_ARRAY ? coerce_tightest_common(b->arena, l, r) : NULL;
    if (!common) return collection_refuse(b, 1, "DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES", "it takes two arrays of one type", e);
    TRY(collection_require_order(b, 0, element_of(common), e));
    for (uint32_t i = 0; i < 2; i++) TRY(collection_cast(b, i, common, e));
    b->result = common;
    return STATUS_OK;
}

static const struct function functions[] = {
    {"array_distinct", "(ARRAY<T>) -> ARRAY<T>", kernel_distinct, bind_distinct, 0, "The array with each value once", "array_distinct(array(1, 2, 3, NULL, 3))",
     "[1, 2, 3, null]"},
    {"array_union", "(ARRAY<T>, ARRAY<T>) -> ARRAY<T>", kernel_union, bind_pair, 0, "The values of both arrays, each once", "array_union(array(1, 2, 3), array(1, 3, 5))",
     "[1, 2, 3, 5]"},
    {"array_intersect", "(ARRAY<T>, ARRAY<T>) -> ARRAY<T>", kernel_intersect, bind_pair, 0, "The values that are in both arrays, each once",
     "array_intersect(array(1, 2, 3), array(1, 3, 5))", "[1, 3]"},
    {"array_except", "(ARRAY<T>, ARRAY<T>) -> ARRAY<T>", kernel_except, bind_pair, 0, "The values that are in the first array but not in the second, each once",
     "array_except(array(1, 2, 3), array(1, 3, 5))", "[2]"},
};

const struct function_table array_set_functions = {functions, sizeof functions / sizeof *functions, "array"};
