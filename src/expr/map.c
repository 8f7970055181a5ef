// SPDX-License-Identifier: Apache-2.0
// map.c: making maps and taking them apart. A new map is first written with whatever keys come, then map_settle (collection.h) looks for NULL and
// equal ones, once for the whole batch. The parts of a map (keys, values, entries) share its columns.
#include "expr/collection.h"
#include "expr/functions.h"

struct map_of {
    uint32_t arg_count;
};

static enum status keep_count(struct binding *b, struct error *e) {
    struct map_of *of = arena_alloc(b->arena, sizeof *of);
    if (!of) return error_no_memory(e);
    of->arg_count = b->arg_count;
    b->data = of;
    return STATUS_OK;
}

static enum status require_key(struct binding *b, uint32_t index, const struct type *key, struct error *e) {
    if (type_is_orderable(key)) return STATUS_OK;
    return collection_refuse(b, index, "DATATYPE_MISMATCH.INVALID_MAP_KEY_TYPE", "the key of a map must not be or contain a MAP", e);
}

static enum status map_result(struct binding *b, const struct type *key, const struct type *value, bool contains_null, struct error *e) {
    TRY(require_key(b, 0, key, e));
    b->result = type_map(b->arena, key, value, contains_null);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- map(k, v, …) ---

static void kernel_map(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct map_of *of = eval->call->data;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *children = list_writer_row(&w, row);
        for (uint32_t a = 0; a < of->arg_count; a++) column_builder_append_from(&children[a % 2], args[a], row);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
    map_settle(out, rows, eval);
}

// The type that every second argument from `first` on meets in; NULL: none.
static const struct type *meet(struct binding *b, uint32_t first) {
    const struct type *t = b->arg_count > first ? b->args[first]->type : &type_null;
    for (uint32_t i = first + 2; i < b->arg_count && t; i += 2) t = coerce_common(b->arena, t, b->args[i]->type);
    return t;
}

static enum status bind_map(struct binding *b, struct error *e) {
    if (b->arg_count % 2) {
        error_set(e, STATUS_INVALID_QUERY, "WRONG_NUM_ARGS.WITHOUT_SUGGESTION", "the `%s` requires 2n (n > 0) parameters but the actual number is %u", b->name,
                  b->arg_count);
        if (e) e->span = b->span;
        return STATUS_INVALID_QUERY;
    }
    const struct type *key = meet(b, 0), *value = meet(b, 1);
    if (!key) return collection_refuse(b, 0, "DATATYPE_MISMATCH.CREATE_MAP_KEY_DIFF_TYPES", "the keys must all be of one type", e);
    if (!value) return collection_refuse(b, 1, "DATATYPE_MISMATCH.CREATE_MAP_VALUE_DIFF_TYPES", "the values must all be of one type", e);
    bool contains_null = false;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        TRY(collection_cast(b, i, i % 2 ? value : key, e));
        contains_null |= i % 2 && b->args[i]->nullable;
    }
    TRY(keep_count(b, e));
    return map_result(b, key, value, contains_null, e);
}

// --- map_from_arrays, map_from_entries, map_concat ---

static void kernel_from_arrays(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *children = list_writer_row(&w, row);
        if (list_size(args[0], row) != list_size(args[1], row)) {
            eval_fail(eval, row, "_LEGACY_ERROR_TEMP_2128", "the arrays of keys and of values must have the same length");
        } else {
            for (int c = 0; c < 2; c++) append_range(&children[c], &args[c]->children[0], column_list_begin(args[c], row), column_list_end(args[c], row));
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
    map_settle(out, rows, eval);
}

static enum status bind_from_arrays(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return map_result(b, b->result->fields[0].type, b->result->fields[1].type, true, e);
}

static void kernel_from_entries(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *entries = &args[0]->children[0];
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row), k = begin;
        while (k < end && column_is_valid(entries, (uint32_t)k)) k++;
        if (k < end) continue;  // an entry is NULL: so is the map
        struct column_builder *children = list_writer_row(&w, row);
        for (int c = 0; c < 2; c++) append_range(&children[c], &entries->children[c], begin, end);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
    map_settle(out, rows, eval);
}

static enum status bind_from_entries(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    const struct type *t = b->args[0]->type;
    const struct type *entry = t->id == TYPE_ARRAY ? element_of(t) : NULL;
    if (!entry || entry->id != TYPE_STRUCT || entry->field_count != 2) return collection_wrong_type(b, 0, "ARRAY of pairs STRUCT", e);
    b->nullable |= t->fields[0].nullable;
    return map_result(b, entry->fields[0].type, entry->fields[1].type, entry->fields[1].nullable, e);
}

static void kernel_concat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct map_of *of = eval->call->data;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *children = list_writer_row(&w, row);
        for (uint32_t a = 0; a < of->arg_count; a++)
            for (int c = 0; c < 2; c++) append_range(&children[c], &args[a]->children[c], column_list_begin(args[a], row), column_list_end(args[a], row));
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
    map_settle(out, rows, eval);
}

static enum status bind_concat(struct binding *b, struct error *e) {
    const struct type *common = b->arg_count ? b->args[0]->type : type_map(b->arena, &type_string, &type_string, true);
    if (!common) return error_no_memory(e);
    for (uint32_t i = 0; i < b->arg_count; i++) {
        bool is_map = b->args[i]->type->id == TYPE_MAP;
        common = is_map && common ? coerce_common(b->arena, common, b->args[i]->type) : NULL;
        if (!common) return collection_refuse(b, i, "DATATYPE_MISMATCH.MAP_CONCAT_DIFF_TYPES", "the arguments must all be maps of one type", e);
    }
    for (uint32_t i = 0; i < b->arg_count; i++) TRY(collection_cast(b, i, common, e));
    TRY(keep_count(b, e));
    return map_result(b, common->fields[0].type, common->fields[1].type, true, e);
}

// --- parts ---

// An array over the child columns of a map: offsets are the map's.
static bool share_list(const struct column *map, struct column *out, struct eval *eval) {
    out->values = map->values;
    out->children = arena_alloc_array(eval->arena, 1, sizeof *out->children);
    if (!out->children) eval->status = STATUS_NO_MEMORY;
    return out->children != NULL;
}

static void kernel_keys(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)rows;
    if (share_list(args[0], out, eval)) out->children[0] = args[0]->children[0];
}

static void kernel_values(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)rows;
    if (share_list(args[0], out, eval)) out->children[0] = args[0]->children[1];
}

static void kernel_entries(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)rows;
    if (!share_list(args[0], out, eval)) return;
    out->children[0] = (struct column){.type = element_of(out->type), .form = COLUMN_FLAT, .row_count = args[0]->children[0].row_count, .children = args[0]->children};
}

static enum status bind_part(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (b->args[0]->type->id == TYPE_NULL) TRY(collection_cast(b, 0, type_map(b->arena, &type_null, &type_null, true), e));
    TRY(collection_require(b, 0, TYPE_MAP, e));
    const struct field *key = &b->args[0]->type->fields[0], *value = &b->args[0]->type->fields[1];
    if (b->kernel == kernel_keys) {
        b->result = type_array(b->arena, key->type, false);
    } else if (b->kernel == kernel_values) {
        b->result = type_array(b->arena, value->type, value->nullable);
    } else {
        struct field fields[2] = {{"key", key->type, false}, {"value", value->type, value->nullable}};
        const struct type *entry = type_struct(b->arena, fields, 2);
        b->result = entry ? type_array(b->arena, entry, false) : NULL;
    }
    return b->result ? STATUS_OK : error_no_memory(e);
}

static void kernel_contains_key(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint8_t *found = out->values;
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        found[row] = 0;
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row) && !found[row]; k++)
            found[row] = value_equal(&args[0]->children[0], (uint32_t)k, args[1], row);
    }
}

static enum status bind_contains_key(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *map = b->args[0]->type, *key = b->args[1]->type;
    if (key->id == TYPE_NULL) return collection_refuse(b, 1, "DATATYPE_MISMATCH.NULL_TYPE", "the key is an untyped NULL", e);
    const struct type *common = map->id == TYPE_MAP ? coerce_tightest_common(b->arena, map->fields[0].type, key) : NULL;
    if (!common) return collection_refuse(b, 1, "DATATYPE_MISMATCH.MAP_FUNCTION_DIFF_TYPES", "it takes a map and a value of the type of its keys", e);
    TRY(collection_cast(b, 0, type_map(b->arena, common, map->fields[1].type, map->fields[1].nullable), e));
    TRY(collection_cast(b, 1, common, e));
    b->result = &type_boolean;
    return STATUS_OK;
}

static const struct function functions[] = {
    {"map", "(K, V...) -> MAP<K, V>", kernel_map, bind_map, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL | FUNCTION_CAN_FAIL, "A map of keys and values, in turn",
     "map(1.0, '2', 3.0, '4')", "{1.0 -> 2, 3.0 -> 4}"},
    {"map_from_arrays", "(ARRAY<K>, ARRAY<V>) -> MAP<K, V>", kernel_from_arrays, bind_from_arrays, FUNCTION_CAN_FAIL, "A map of an array of keys and one of values",
     "map_from_arrays(array(1.0, 3.0), array('2', '4'))", "{1.0 -> 2, 3.0 -> 4}"},
    {"map_from_entries", "(ARRAY<STRUCT>) -> MAP<K, V>", kernel_from_entries, bind_from_entries, FUNCTION_CAN_FAIL, "A map of an array of pairs",
     "map_from_entries(array(struct(1, 'a'), struct(2, 'b')))", "{1 -> a, 2 -> b}"},
    {"map_concat", "(MAP<K, V>...) -> MAP<K, V>", kernel_concat, bind_concat, FUNCTION_CAN_FAIL, "A map of the entries of all", "map_concat(map(1, 'a', 2, 'b'), map(3, 'c'))",
     "{1 -> a, 2 -> b, 3 -> c}"},
    {"map_keys", "(MAP<K, V>) -> ARRAY<K>", kernel_keys, bind_part, 0, "The keys of a map", "map_keys(map(1, 'a', 2, 'b'))", "[1, 2]"},
    {"map_values", "(MAP<K, V>) -> ARRAY<V>", kernel_values, bind_part, 0, "The values of a map", "map_values(map(1, 'a', 2, 'b'))", "[a, b]"},
    {"map_entries", "(MAP<K, V>) -> ARRAY<STRUCT>", kernel_entries, bind_part, 0, "The entries of a map as structs of key and value", "map_entries(map(1, 'a', 2, 'b'))",
     "[{1, a}, {2, b}]"},
    {"map_contains_key", "(MAP<K, V>, K) -> BOOLEAN", kernel_contains_key, bind_contains_key, 0, "Whether the map has the key", "map_contains_key(map(1, 'a', 2, 'b'), 1)",
     "true"},
};

const struct function_table map_functions = {functions, sizeof functions / sizeof *functions, "map"};
