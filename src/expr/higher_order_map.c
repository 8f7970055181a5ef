// SPDX-License-Identifier: Apache-2.0
// higher_order_map.c: lambdas over maps: transform_keys, transform_values, map_filter, map_zip_with.
#include "expr/functions.h"
#include "expr/higher_order.h"

// Runs the lambda at argument `index` over all entries, key and value.
static bool run_over_entries(const struct column *const *args, const struct rows *rows, struct eval *eval, struct elements *entries, struct column *result) {
    struct column parameters[2];
    if (!elements_of(args[0], rows, eval, entries)) return false;
    for (int c = 0; c < 2; c++)
        if (!elements_column(entries, &args[0]->children[c], eval, &parameters[c])) return false;
    return lambda_run(eval, 1, parameters, 2, entries->count, entries->outer_rows, result) == STATUS_OK;
}

// A map of the same entries, where child `changed` is what the lambda made.
static void transform(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, int changed) {
    struct elements entries;
    struct column results;
    struct list_writer w;
    uint32_t next = 0;
    if (!run_over_entries(args, rows, eval, &entries, &results) || !list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), end = next + (uint32_t)list_size(args[0], row);
        struct column_builder *children = list_writer_row(&w, row);
        for (; next < end; next++) {
            column_builder_append_from(&children[changed], &results, next);
            column_builder_append_from(&children[1 - changed], &args[0]->children[1 - changed], entries.items[next]);
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static void kernel_transform_keys(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    transform(args, out, rows, eval, 0);
    map_settle(out, rows, eval);
}

static void kernel_transform_values(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    transform(args, out, rows, eval, 1);
}

static void kernel_map_filter(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct elements entries;
    struct column kept;
    struct list_writer w;
    uint32_t next = 0;
    if (!run_over_entries(args, rows, eval, &entries, &kept) || !list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), end = next + (uint32_t)list_size(args[0], row);
        struct column_builder *children = list_writer_row(&w, row);
        for (; next < end; next++) {
            if (!column_is_valid(&kept, next) || !column_bool(&kept, next)) continue;
            for (int c = 0; c < 2; c++) column_builder_append_from(&children[c], &args[0]->children[c], entries.items[next]);
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_over_map(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    TRY(collection_require(b, 0, TYPE_MAP, e));
    TRY(lambda_require(b, 1, e));
    const struct field *key = &b->args[0]->type->fields[0], *value = &b->args[0]->type->fields[1];
    const struct expr *lambda = b->args[1];
    if (b->kernel == kernel_transform_keys) {
        if (!type_is_orderable(lambda->type))
            return collection_refuse(b, 1, "DATATYPE_MISMATCH.INVALID_MAP_KEY_TYPE", "the key of a map must not be or contain a MAP", e);
        b->result = type_map(b->arena, lambda->type, value->type, value->nullable);
    } else if (b->kernel == kernel_transform_values) {
        b->result = type_map(b->arena, key->type, lambda->type, lambda->nullable);
    } else {
        TRY(lambda_returns(b, 1, &type_boolean, e));
        b->result = b->args[0]->type;
    }
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- map_zip_with ---

// The joined entries of all rows: where each key, left value and right value stands; UINT32_MAX: on this side there is none.
struct zipped {
    struct column_builder keys;
    uint32_t *values[2];
    uint16_t *outer_rows;
    int32_t *ends;            // by index in rows: end of its entries
    uint32_t count;
};

static void add_entry(struct zipped *z, const struct column *keys, uint32_t key, uint32_t left, uint32_t right, uint32_t row) {
    column_builder_append_from(&z->keys, keys, key);
    z->values[0][z->count] = left;
    z->values[1][z->count] = right;
    z->outer_rows[z->count++] = (uint16_t)row;
}

// Keys of the left in their order, then those of the right that the left has not.
static bool zip_row(struct zipped *z, struct value_set *left_keys, struct value_set *right_keys, const struct column *const *args, uint32_t row) {
    int32_t left = column_list_begin(args[0], row), left_end = column_list_end(args[0], row);
    int32_t right = column_list_begin(args[1], row), right_end = column_list_end(args[1], row);
    if (!value_set_clear(left_keys, (uint32_t)(left_end - left)) || !value_set_clear(right_keys, (uint32_t)(right_end - right))) return false;
    for (int32_t k = right; k < right_end; k++) value_set_add(right_keys, 1, (uint32_t)k);
    for (int32_t k = left; k < left_end; k++) {
        value_set_add(left_keys, 0, (uint32_t)k);
        add_entry(z, &args[0]->children[0], (uint32_t)k, (uint32_t)k, value_set_find(right_keys, 0, (uint32_t)k), row);
    }
    for (int32_t k = right; k < right_end; k++)
        if (!value_set_has(left_keys, 1, (uint32_t)k)) add_entry(z, &args[1]->children[0], (uint32_t)k, UINT32_MAX, (uint32_t)k, row);
    return true;
}

static bool zip_rows(struct zipped *z, const struct column *const *args, const struct rows *rows, struct eval *eval) {
    size_t most = 0;
    struct value_set left_keys, right_keys;
    for (uint32_t i = 0; i < rows->count; i++) most += (size_t)list_size(args[0], rows_at(rows, i)) + (size_t)list_size(args[1], rows_at(rows, i));
    *z = (struct zipped){.count = 0};
    column_builder_init(&z->keys, eval->arena, args[0]->children[0].type);
    for (int side = 0; side < 2; side++) z->values[side] = arena_alloc_array(eval->arena, most + 1, sizeof *z->values[side]);
    z->outer_rows = arena_alloc_array(eval->arena, most + 1, sizeof *z->outer_rows);
    z->ends = arena_alloc_array(eval->arena, (size_t)rows->count + 1, sizeof *z->ends);
    if (!z->values[0] || !z->values[1] || !z->outer_rows || !z->ends) return false;
    if (!value_set_init(&left_keys, &args[0]->children[0], &args[1]->children[0], eval)) return false;
    right_keys = left_keys;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (!zip_row(z, &left_keys, &right_keys, args, rows_at(rows, i))) return false;
        z->ends[i] = (int32_t)z->count;
    }
    return true;
}

static void kernel_map_zip_with(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct zipped z;
    struct column parameters[3], results;
    struct list_writer w;
    bool good = zip_rows(&z, args, rows, eval) && column_builder_finish(&z.keys, &parameters[0]) == STATUS_OK;
    for (int side = 0; good && side < 2; side++)
        good = column_gather(eval->arena, &args[side]->children[1], z.values[side], z.count, &parameters[1 + side]) == STATUS_OK;
    if (!good) {
        eval->status = STATUS_NO_MEMORY;
        return;
    }
    if (lambda_run(eval, 2, parameters, 3, z.count, z.outer_rows, &results) != STATUS_OK || !list_writer_begin(&w, out, eval)) return;
    int32_t from = 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct column_builder *children = list_writer_row(&w, rows_at(rows, i));
        append_range(&children[0], &parameters[0], from, z.ends[i]);
        append_range(&children[1], &results, from, z.ends[i]);
        from = z.ends[i];
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_map_zip_with(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    for (uint32_t i = 0; i < 2; i++) TRY(collection_require(b, i, TYPE_MAP, e));
    TRY(lambda_require(b, 2, e));
    // The lambda was bound with the first map's key: the second's must fit it.
    const struct type *key = b->args[0]->type->fields[0].type, *other = b->args[1]->type;
    const struct type *common = coerce_tightest_common(b->arena, key, other->fields[0].type);
    if (!common || !type_equal(common, key))
        return collection_refuse(b, 1, "DATATYPE_MISMATCH.MAP_ZIP_WITH_DIFF_TYPES", "the keys of both maps must be of one type", e);
    TRY(collection_cast(b, 1, type_map(b->arena, key, other->fields[1].type, other->fields[1].nullable), e));
    b->result = type_map(b->arena, key, b->args[2]->type, b->args[2]->nullable);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static const struct function functions[] = {
    {"transform_keys", "(MAP<K, V>, LAMBDA) -> MAP<U, V>", kernel_transform_keys, bind_over_map, FUNCTION_CAN_FAIL, "The map with its keys changed by the lambda",
     "transform_keys(map(1, 1, 2, 2), (k, v) -> k + 1)", "{2 -> 1, 3 -> 2}"},
    {"transform_values", "(MAP<K, V>, LAMBDA) -> MAP<K, U>", kernel_transform_values, bind_over_map, FUNCTION_CAN_FAIL, "The map with its values changed by the lambda",
     "transform_values(map(1, 1, 2, 2), (k, v) -> v + 1)", "{1 -> 2, 2 -> 3}"},
    {"map_filter", "(MAP<K, V>, LAMBDA) -> MAP<K, V>", kernel_map_filter, bind_over_map, FUNCTION_CAN_FAIL, "The entries for which the lambda is true",
     "map_filter(map(1, 0, 2, 2, 3, -1), (k, v) -> k > v)", "{1 -> 0, 3 -> -1}"},
    {"map_zip_with", "(MAP<K, V>, MAP<K, W>, LAMBDA) -> MAP<K, U>", kernel_map_zip_with, bind_map_zip_with, FUNCTION_CAN_FAIL,
     "One map of the keys of two, with what the lambda makes of a key and its two values, NULL where there is none",
     "map_zip_with(map(1, 'a', 2, 'b'), map(1, 'x', 2, 'y'), (k, v1, v2) -> concat(v1, v2))", "{1 -> ax, 2 -> by}"},
};

const struct function_table map_lambda_functions = {functions, sizeof functions / sizeof *functions, "lambda"};
