// SPDX-License-Identifier: Apache-2.0
// array_search.c: looking into arrays: array_contains, array_position, arrays_overlap, array_max, array_min. And array_remove, array_append and
// array_prepend, which like the first two take an array and one value of its elements' type.
#include "expr/collection.h"
#include "expr/functions.h"

static void kernel_contains(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *items = &args[0]->children[0];
    uint8_t *found = out->values;
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool null = false;
        found[row] = 0;
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row) && !found[row]; k++) {
            if (!column_is_valid(items, (uint32_t)k)) null = true;
            else found[row] = value_equal(items, (uint32_t)k, args[1], row);
        }
        if (!found[row] && null) out_set_null(out, row);
    }
}

static void kernel_position(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *items = &args[0]->children[0];
    int64_t *places = out->values;
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        places[row] = 0;
        for (int32_t k = begin; k < end && !places[row]; k++)
            if (column_is_valid(items, (uint32_t)k) && value_equal(items, (uint32_t)k, args[1], row)) places[row] = k - begin + 1;
    }
}

static void kernel_remove(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *from = &args[0]->children[0];
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *items = list_writer_row(&w, row);
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++)
            if (!column_is_valid(from, (uint32_t)k) || !value_equal(from, (uint32_t)k, args[1], row)) column_builder_append_from(items, from, (uint32_t)k);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static void extend(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool before) {
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) continue;
        struct column_builder *items = list_writer_row(&w, row);
        if (before) column_builder_append_from(items, args[1], row);
        append_range(items, &args[0]->children[0], column_list_begin(args[0], row), column_list_end(args[0], row));
        if (!before) column_builder_append_from(items, args[1], row);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static void kernel_append(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extend(args, out, rows, eval, false);
}

static void kernel_prepend(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    extend(args, out, rows, eval, true);
}

// An array and a value that meet in one type. The conditions say what Spark answers to an untyped NULL at either place; NULL: it is taken.
static enum status bind_value(struct binding *b, const char *null_array, const char *null_value, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *array = b->args[0]->type, *value = b->args[1]->type;
    if (array->id == TYPE_NULL) return collection_refuse(b, 0, null_array, "the array is an untyped NULL", e);
    TRY(collection_require(b, 0, TYPE_ARRAY, e));
    if (value->id == TYPE_NULL && null_value) return collection_refuse(b, 1, null_value, "the value is an untyped NULL", e);
    const struct type *common = coerce_tightest_common(b->arena, element_of(array), value);
    if (!common) {
        const char *detail = arena_printf(b->arena, "an array of \"%s\" and a value of \"%s\" have no type in common", type_name_sql(b->arena, element_of(array)),
                                          type_name_sql(b->arena, value));
        return collection_refuse(b, 1, "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES", detail ? detail : "the types differ", e);
    }
    TRY(collection_cast(b, 0, type_array(b->arena, common, array->fields[0].nullable), e));
    return collection_cast(b, 1, common, e);
}

static enum status bind_contains(struct binding *b, struct error *e) {
    TRY(bind_value(b, "DATATYPE_MISMATCH.NULL_TYPE", "DATATYPE_MISMATCH.NULL_TYPE", e));
    TRY(collection_require_order(b, 1, b->args[1]->type, e));
    b->nullable |= b->args[0]->type->fields[0].nullable;
    b->result = &type_boolean;
    return STATUS_OK;
}

static enum status bind_position(struct binding *b, struct error *e) {
    TRY(bind_value(b, "DATATYPE_MISMATCH.NULL_TYPE", NULL, e));
    TRY(collection_require_order(b, 1, b->args[1]->type, e));
    b->result = &type_bigint;
    return STATUS_OK;
}

static enum status bind_remove(struct binding *b, struct error *e) {
    TRY(bind_value(b, "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES", NULL, e));
    TRY(collection_require_order(b, 1, b->args[1]->type, e));
    b->result = b->args[0]->type;
    return STATUS_OK;
}

static enum status bind_extend(struct binding *b, struct error *e) {
    TRY(bind_value(b, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", NULL, e));
    b->nullable = b->args[0]->nullable;
    b->result = type_array(b->arena, b->args[1]->type, b->args[0]->type->fields[0].nullable || b->args[1]->nullable);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- array_max, array_min ---

static void extreme(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, int sign) {
    const struct column *items = &args[0]->children[0];
    uint32_t *picked = picks_new(eval);
    if (!picked) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++) {
            if (!column_is_valid(items, (uint32_t)k)) continue;
            if (picked[row] == UINT32_MAX || value_compare(items, (uint32_t)k, items, picked[row]) * sign > 0) picked[row] = (uint32_t)k;
        }
    }
    picks_gather(items, picked, out, eval);
}

static void kernel_max(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { extreme(args, out, rows, eval, 1); }
static void kernel_min(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) { extreme(args, out, rows, eval, -1); }

static enum status bind_extreme(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    b->nullable = true;
    return collection_require_order(b, 0, b->result, e);
}

// --- arrays_overlap ---

static bool any_null(const struct column *items, int32_t begin, int32_t end) {
    for (int32_t k = begin; k < end && items->validity; k++)
        if (!bitmap_get(items->validity, (uint32_t)k)) return true;
    return items->type->id == TYPE_NULL && begin < end;
}

static void kernel_overlap(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *left = &args[0]->children[0], *right = &args[1]->children[0];
    uint8_t *found = out->values;
    struct value_set set;
    if (!value_set_init(&set, left, right, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        int32_t right_begin = column_list_begin(args[1], row), right_end = column_list_end(args[1], row);
        found[row] = 0;
        if (begin == end || right_begin == right_end) continue;
        if (!value_set_clear(&set, (uint32_t)(end - begin))) return;
        for (int32_t k = begin; k < end; k++)
            if (column_is_valid(left, (uint32_t)k)) value_set_add(&set, 0, (uint32_t)k);
        for (int32_t k = right_begin; k < right_end && !found[row]; k++)
            found[row] = column_is_valid(right, (uint32_t)k) && value_set_has(&set, 1, (uint32_t)k);
        if (!found[row] && (any_null(left, begin, end) || any_null(right, right_begin, right_end))) out_set_null(out, row);
    }
}

static enum status bind_overlap(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    const struct type *common = l->id == TYPE_ARRAY && r->id == TYPE_ARRAY ? coerce_tightest_common(b->arena, l, r) : NULL;
    if (!common) return collection_refuse(b, 1, "DATATYPE_MISMATCH.BINARY_ARRAY_DIFF_TYPES", "it takes two arrays of one type", e);
    TRY(collection_require_order(b, 0, element_of(common), e));
    for (uint32_t i = 0; i < 2; i++) TRY(collection_cast(b, i, common, e));
    b->nullable = true;
    b->result = &type_boolean;
    return STATUS_OK;
}

static const struct function functions[] = {
    {"array_contains", "(ARRAY<T>, T) -> BOOLEAN", kernel_contains, bind_contains, 0,
     "Whether the array has the value; NULL if it has not, but has NULLs", "array_contains(array(1, 2, 3), 2)", "true"},
    {"array_position", "(ARRAY<T>, T) -> BIGINT", kernel_position, bind_position, 0, "Where the value comes first, counted from 1; 0 if it does not",
     "array_position(array(312, 773, 708, 708), 708)", "3"},
    {"array_remove", "(ARRAY<T>, T) -> ARRAY<T>", kernel_remove, bind_remove, 0, "The array without the elements equal to the value",
     "array_remove(array(1, 2, 3, NULL, 3), 3)", "[1, 2, null]"},
    {"array_append", "(ARRAY<T>, T) -> ARRAY<T>", kernel_append, bind_extend, FUNCTION_HANDLES_NULL, "The array with the value at its end",
     "array_append(array('b', 'd', 'c', 'a'), 'd')", "[b, d, c, a, d]"},
    {"array_prepend", "(ARRAY<T>, T) -> ARRAY<T>", kernel_prepend, bind_extend, FUNCTION_HANDLES_NULL, "The array with the value at its beginning",
     "array_prepend(array('b', 'd', 'c', 'a'), 'd')", "[d, b, d, c, a]"},
    {"array_max", "(ARRAY<T>) -> T", kernel_max, bind_extreme, FUNCTION_MAY_BE_NULL, "The greatest element; NULLs are skipped", "array_max(array(1, 20, NULL, 3))",
     "20"},
    {"array_min", "(ARRAY<T>) -> T", kernel_min, bind_extreme, FUNCTION_MAY_BE_NULL, "The least element; NULLs are skipped", "array_min(array(1, 20, NULL, 3))", "1"},
    {"arrays_overlap", "(ARRAY<T>, ARRAY<T>) -> BOOLEAN", kernel_overlap, bind_overlap, FUNCTION_MAY_BE_NULL,
     "Whether the arrays have a value in common; NULL if none is known, but one has NULLs", "arrays_overlap(array(1, 2, 3), array(3, 4, 5))", "true"},
};

const struct function_table array_search_functions = {functions, sizeof functions / sizeof *functions, "array"};
