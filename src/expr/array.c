// SPDX-License-Identifier: Apache-2.0
// array.c: making arrays and taking from them: array, size, element_at, get, array_repeat. What looks for values is in array_search.c, what gives
// changed arrays in array_change.c, array_set.c and array_order.c.
#include "expr/collection.h"
#include "expr/functions.h"

// --- array(…) ---

struct array_of {
    uint32_t count;
};

static void kernel_array(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct array_of *of = eval->call->data;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *items = list_writer_row(&w, row);
        if (list_writer_room(&w, row, of->count))
            for (uint32_t a = 0; a < of->count; a++) column_builder_append_from(items, args[a], row);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_array(struct binding *b, struct error *e) {
    TRY(binding_common_type(b, 0, b->arg_count, e));
    struct array_of *of = arena_alloc(b->arena, sizeof *of);
    if (!of) return error_no_memory(e);
    of->count = b->arg_count;
    bool contains_null = false;
    for (uint32_t i = 0; i < b->arg_count; i++) contains_null |= b->args[i]->nullable;
    b->data = of;
    b->result = type_array(b->arena, b->arg_count ? b->args[0]->type : &type_null, contains_null);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- array_repeat ---

static void kernel_repeat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[1], row)) continue;
        int32_t count = column_int32(args[1], row);
        struct column_builder *items = list_writer_row(&w, row);
        if (count > 0 && list_writer_room(&w, row, count))
            for (int32_t k = 0; k < count && !items->failed; k++) column_builder_append_from(items, args[0], row);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_repeat(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(binding_cast(b, 1, &type_int, e));
    b->nullable = b->args[1]->nullable;
    b->result = type_array(b->arena, b->args[0]->type, b->args[0]->nullable);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- size ---

static void kernel_size(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int32_t *sizes = out->values;
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        sizes[row] = list_size(args[0], row);
    }
}

static enum status bind_size(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    enum type_id id = b->args[0]->type->id;
    bool array_only = strcmp(b->function->name, "array_size") == 0;
    if (id == TYPE_NULL) {
        const struct type *any = type_array(b->arena, &type_null, true);
        TRY(collection_cast(b, 0, any, e));
    } else if (id != TYPE_ARRAY && (id != TYPE_MAP || array_only)) {
        return collection_wrong_type(b, 0, array_only ? "ARRAY" : "ARRAY\" or \"MAP", e);
    }
    b->result = &type_int;
    return STATUS_OK;
}

// --- element_at, try_element_at, get ---

enum access { ACCESS_STRICT, ACCESS_TRY, ACCESS_GET };

static const enum access access_strict = ACCESS_STRICT, access_try = ACCESS_TRY, access_get = ACCESS_GET;

// From one, from the end if negative; `get` counts from zero.
static bool find_element(enum access how, int32_t index, int32_t size, int32_t *at, uint32_t row, struct eval *eval) {
    if (how == ACCESS_GET) {
        *at = index;
        return index >= 0 && index < size;
    }
    if (index == 0) {
        eval_fail(eval, row, "INVALID_INDEX_OF_ZERO", "the index 0 is invalid: an index is less or greater than 0, the first element has 1");
        return false;
    }
    int64_t place = index > 0 ? (int64_t)index - 1 : (int64_t)size + index;
    *at = (int32_t)place;
    if (place >= 0 && place < size) return true;
    if (how == ACCESS_STRICT) eval_fail(eval, row, "INVALID_ARRAY_INDEX_IN_ELEMENT_AT", "the index is outside of the array; try_element_at gives NULL instead");
    return false;
}

static void kernel_element(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum access how = *(const enum access *)eval->call->data;
    uint32_t *picked = picks_new(eval);
    if (!picked) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t at;
        if (find_element(how, column_int32(args[1], row), list_size(args[0], row), &at, row, eval))
            picked[row] = (uint32_t)(column_list_begin(args[0], row) + at);
    }
    picks_gather(&args[0]->children[0], picked, out, eval);
}

static void kernel_map_element(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t *picked = picks_new(eval);
    if (!picked) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++) {
            if (!value_equal(&args[0]->children[0], (uint32_t)k, args[1], row)) continue;
            picked[row] = (uint32_t)k;
            break;
        }
    }
    picks_gather(&args[0]->children[1], picked, out, eval);
}

static enum status bind_map_element(struct binding *b, struct error *e) {
    const struct type *map = b->args[0]->type, *key = b->args[1]->type;
    const struct type *common = coerce_tightest_common(b->arena, map->fields[0].type, key);
    if (!common) {
        const char *detail = arena_printf(b->arena, "the key of the map is \"%s\", the second parameter is \"%s\"", type_name_sql(b->arena, map->fields[0].type),
                                          type_name_sql(b->arena, key));
        return collection_refuse(b, 1, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", detail ? detail : "the key has another type", e);
    }
    TRY(collection_cast(b, 0, type_map(b->arena, common, map->fields[1].type, map->fields[1].nullable), e));
    TRY(collection_cast(b, 1, common, e));
    b->result = map->fields[1].type;
    b->kernel = kernel_map_element;
    return STATUS_OK;
}

static enum status bind_access(struct binding *b, const enum access *how, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    b->nullable = true;
    if (b->args[0]->type->id == TYPE_MAP && *how != ACCESS_GET) return bind_map_element(b, e);
    if (b->args[0]->type->id != TYPE_ARRAY) return collection_wrong_type(b, 0, *how == ACCESS_GET ? "ARRAY" : "ARRAY\" or \"MAP", e);
    enum type_id id = b->args[1]->type->id;
    if (id != TYPE_NULL && id != TYPE_TINYINT && id != TYPE_SMALLINT && id != TYPE_INT) return collection_wrong_type(b, 1, "INT", e);
    TRY(collection_cast(b, 1, &type_int, e));
    b->result = element_of(b->args[0]->type);
    b->data = (void *)(uintptr_t)how;
    b->kernel = kernel_element;
    return STATUS_OK;
}
static enum status bind_element_at(struct binding *b, struct error *e) { return bind_access(b, &access_strict, e); }
static enum status bind_try_element_at(struct binding *b, struct error *e) { return bind_access(b, &access_try, e); }
static enum status bind_get(struct binding *b, struct error *e) { return bind_access(b, &access_get, e); }

static const struct function functions[] = {
    {"array", "(T...) -> ARRAY<T>", kernel_array, bind_array, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL, "An array of the arguments", "array(1, 2, 3)",
     "[1, 2, 3]"},
    {"array_repeat", "(T, INT) -> ARRAY<T>", kernel_repeat, bind_repeat, FUNCTION_HANDLES_NULL | FUNCTION_CAN_FAIL, "An array of the value so many times",
     "array_repeat('123', 2)", "[123, 123]"},
    {"size", "(ARRAY<T>) -> INT | (MAP<K, V>) -> INT", kernel_size, bind_size, 0, "How many elements an array or a map has", "size(array('b', 'd', 'c', 'a'))", "4"},
    {"cardinality", "(ARRAY<T>) -> INT | (MAP<K, V>) -> INT", kernel_size, bind_size, 0, "How many elements an array or a map has",
     "cardinality(map('a', 1, 'b', 2))", "2"},
    {"array_size", "(ARRAY<T>) -> INT", kernel_size, bind_size, 0, "How many elements an array has", "array_size(array('b', 'd', 'c', 'a'))", "4"},
    {"element_at", "(ARRAY<T>, INT) -> T | (MAP<K, V>, K) -> V", NULL, bind_element_at, FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "The element at a place, counted from 1 or, if negative, from the end; or the value of a key", "element_at(array(1, 2, 3), 2)", "2"},
    {"try_element_at", "(ARRAY<T>, INT) -> T | (MAP<K, V>, K) -> V", NULL, bind_try_element_at, FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "As element_at, but NULL outside of the array", "try_element_at(array(1, 2, 3), 4)", "NULL"},
    {"get", "(ARRAY<T>, INT) -> T", NULL, bind_get, FUNCTION_MAY_BE_NULL, "The element at a place counted from 0; NULL outside of the array", "get(array(1, 2, 3), 0)",
     "1"},
};

const struct function_table array_functions = {functions, sizeof functions / sizeof *functions, "array"};
