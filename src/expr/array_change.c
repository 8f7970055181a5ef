// SPDX-License-Identifier: Apache-2.0
// array_change.c: arrays made of parts of others: array_insert, array_compact, flatten, slice, arrays_zip; and array_join, which makes text of one.
#include "expr/collection.h"
#include "expr/functions.h"

// --- array_insert ---

// Where the item goes in a list of `size`: before `at`, with `before` or `after` NULLs between it and the list's nearest end.
//
//     pos  6 in [1 2 3]  →  1 2 3 _ _ X        pos −6  →  X _ _ 1 2 3        pos −2  →  1 2 X 3
struct insertion {
    int64_t at, pad_left, pad_right;
};

static struct insertion insertion_of(int32_t position, int32_t size) {
    int64_t at = position > 0 ? (int64_t)position - 1 : (int64_t)size + position + 1;
    if (at > size) return (struct insertion){.at = size, .pad_left = at - size};
    if (at < 0) return (struct insertion){.at = 0, .pad_right = -at};
    return (struct insertion){.at = at};
}

static void append_nulls(struct column_builder *to, int64_t count) {
    for (; count > 0 && !to->failed; count--) column_builder_append_null(to);
}

static void kernel_insert(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row) || !column_is_valid(args[1], row)) continue;
        int32_t position = column_int32(args[1], row), begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        struct insertion where = insertion_of(position, end - begin);
        struct column_builder *items = list_writer_row(&w, row);
        if (position == 0) {
            eval_fail(eval, row, "INVALID_INDEX_OF_ZERO", "the index 0 is invalid: an index is less or greater than 0, the first element has 1");
        } else if (list_writer_room(&w, row, (int64_t)end - begin + 1 + where.pad_left + where.pad_right)) {
            append_range(items, &args[0]->children[0], begin, begin + (int32_t)where.at);
            append_nulls(items, where.pad_left);
            column_builder_append_from(items, args[2], row);
            append_nulls(items, where.pad_right);
            append_range(items, &args[0]->children[0], begin + (int32_t)where.at, end);
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_insert(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 3, e));
    const struct type *array = b->args[0]->type, *position = b->args[1]->type, *value = b->args[2]->type;
    if (array->id == TYPE_NULL) return collection_refuse(b, 0, "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES", "the array is an untyped NULL", e);
    TRY(collection_require(b, 0, TYPE_ARRAY, e));
    if (position->id != TYPE_INT && position->id != TYPE_SMALLINT && position->id != TYPE_TINYINT) return collection_wrong_type(b, 1, "INT", e);
    const struct type *common = coerce_tightest_common(b->arena, element_of(array), value);
    if (!common) return collection_refuse(b, 2, "DATATYPE_MISMATCH.ARRAY_FUNCTION_DIFF_TYPES", "the value has no type in common with the array's elements", e);
    TRY(collection_cast(b, 0, type_array(b->arena, common, true), e));
    TRY(collection_cast(b, 1, &type_int, e));
    TRY(collection_cast(b, 2, common, e));
    b->nullable = b->args[0]->nullable || b->args[1]->nullable;
    b->result = type_array(b->arena, common, true);
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- array_compact, flatten, slice ---

static void kernel_compact(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *from = &args[0]->children[0];
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct column_builder *items = list_writer_row(&w, row);
        for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++)
            if (column_is_valid(from, (uint32_t)k)) column_builder_append_from(items, from, (uint32_t)k);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static void kernel_flatten(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct column *inner = &args[0]->children[0];
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row), k = begin;
        while (k < end && column_is_valid(inner, (uint32_t)k)) k++;
        if (k < end) continue;  // an inner array is NULL: so is the whole
        struct column_builder *items = list_writer_row(&w, row);
        for (k = begin; k < end; k++)
            append_range(items, &inner->children[0], column_list_begin(inner, (uint32_t)k), column_list_end(inner, (uint32_t)k));
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static enum status bind_flatten(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    const struct type *t = b->args[0]->type;
    if (t->id != TYPE_ARRAY || element_of(t)->id != TYPE_ARRAY) return collection_wrong_type(b, 0, "ARRAY of ARRAY", e);
    b->nullable |= t->fields[0].nullable;
    b->result = element_of(t);
    return STATUS_OK;
}

static void kernel_slice(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t start = column_int32(args[1], row), length = column_int32(args[2], row);
        int64_t begin = column_list_begin(args[0], row), end = column_list_end(args[0], row);
        struct column_builder *items = list_writer_row(&w, row);
        int64_t first = start > 0 ? begin + start - 1 : end + start, last = first + length < end ? first + length : end;
        if (start == 0) eval_fail(eval, row, "INVALID_PARAMETER_VALUE.START", "the start of slice is 0; the first element has 1");
        else if (length < 0) eval_fail(eval, row, "INVALID_PARAMETER_VALUE.LENGTH", "the length of slice is negative");
        else if (first >= begin && first < last) append_range(items, &args[0]->children[0], (int32_t)first, (int32_t)last);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

// --- array_join ---

// Puts the parts of a row together. out NULL: only measures.
static size_t join_row(const struct column *const *args, uint32_t row, bool has_replacement, char *out) {
    const struct column *items = &args[0]->children[0];
    const struct string_view *delimiter = column_string(args[1], row);
    size_t size = 0;
    bool first = true;
    for (int32_t k = column_list_begin(args[0], row); k < column_list_end(args[0], row); k++) {
        bool valid = column_is_valid(items, (uint32_t)k);
        if (!valid && !has_replacement) continue;
        const struct string_view *parts[2] = {first ? NULL : delimiter, valid ? column_string(items, (uint32_t)k) : column_string(args[2], row)};
        for (int p = 0; p < 2; p++) {
            if (!parts[p]) continue;
            if (out && parts[p]->size_bytes) memcpy(out + size, string_view_data(parts[p]), parts[p]->size_bytes);
            size += parts[p]->size_bytes;
        }
        first = false;
    }
    return size;
}

static void kernel_join(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool has_replacement = eval->call->data != NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        size_t size = join_row(args, row, has_replacement, NULL);
        if (size > INT32_MAX) {
            eval_fail(eval, row, "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION", "the text would be longer than 2147483647 bytes");
            continue;
        }
        char *bytes = arena_alloc_aligned(eval->arena, size + 1, 1);
        if (!bytes) {
            eval->status = STATUS_NO_MEMORY;
            return;
        }
        join_row(args, row, has_replacement, bytes);
        out_set_view(out, row, bytes, size);
    }
}

static const char join_replaces_nulls[] = "";  // bind data of a call with a third argument

static enum status bind_join(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    const struct type *t = b->args[0]->type;
    const struct type *strings = type_array(b->arena, &type_string, t->id != TYPE_ARRAY || t->fields[0].nullable);
    if (t->id != TYPE_NULL && (t->id != TYPE_ARRAY || type_is_nested(element_of(t)))) return collection_wrong_type(b, 0, "ARRAY<STRING>", e);
    TRY(collection_cast(b, 0, strings, e));
    for (uint32_t i = 1; i < b->arg_count; i++) TRY(binding_cast(b, i, &type_string, e));
    b->data = b->arg_count == 3 ? (void *)(uintptr_t)join_replaces_nulls : NULL;
    b->result = &type_string;
    return STATUS_OK;
}

// --- arrays_zip ---

struct zip {
    uint32_t count;
};

static void kernel_zip(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct zip *zip = eval->call->data;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t longest = 0;
        for (uint32_t a = 0; a < zip->count; a++) longest = list_size(args[a], row) > longest ? list_size(args[a], row) : longest;
        struct column_builder *items = list_writer_row(&w, row);
        for (int32_t k = 0; k < longest && !items->failed; k++) {
            for (uint32_t a = 0; a < zip->count; a++) {
                if (k < list_size(args[a], row)) column_builder_append_from(&items->children[a], &args[a]->children[0], (uint32_t)(column_list_begin(args[a], row) + k));
                else column_builder_append_null(&items->children[a]);
            }
            column_builder_end_struct(items);
        }
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

// A field is named as its argument, if that is a column or a field, else by its place.
static const char *zip_name(struct binding *b, uint32_t index) {
    const struct expr *arg = b->args[index];
    if (arg->kind == EXPR_FIELD) return arg->args[0]->type->fields[arg->ordinal].name;
    if (arg->kind != EXPR_COLUMN || !arg->name) return arena_printf(b->arena, "%u", index);
    const char *dot = strrchr(arg->name, '.');
    return dot && dot[1] ? dot + 1 : arg->name;
}

static enum status bind_zip(struct binding *b, struct error *e) {
    struct zip *zip = arena_alloc(b->arena, sizeof *zip);
    struct field *fields = arena_alloc_array(b->arena, (size_t)b->arg_count + 1, sizeof *fields);
    const struct type *void_array = type_array(b->arena, &type_null, true);
    if (!zip || !fields || !void_array) return error_no_memory(e);
    zip->count = b->arg_count;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        const char *name = zip_name(b, i);
        if (!name) return error_no_memory(e);
        if (b->args[i]->type->id == TYPE_NULL) TRY(collection_cast(b, i, void_array, e));
        TRY(collection_require(b, i, TYPE_ARRAY, e));
        fields[i] = (struct field){.name = name, .type = element_of(b->args[i]->type), .nullable = true};
    }
    const struct type *items = type_struct(b->arena, fields, b->arg_count);
    b->data = zip;
    b->result = items ? type_array(b->arena, items, false) : NULL;
    return b->result ? STATUS_OK : error_no_memory(e);
}

static const struct function functions[] = {
    {"array_insert", "(ARRAY<T>, INT, T) -> ARRAY<T>", kernel_insert, bind_insert, FUNCTION_HANDLES_NULL | FUNCTION_CAN_FAIL,
     "The array with the value at a place, counted from 1 or, if negative, from the end; NULLs fill the gap beyond an end", "array_insert(array(1, 2, 3, 4), 5, 5)",
     "[1, 2, 3, 4, 5]"},
    {"array_compact", "(ARRAY<T>) -> ARRAY<T>", kernel_compact, NULL, 0, "The array without NULLs", "array_compact(array(1, 2, 3, NULL))", "[1, 2, 3]"},
    {"flatten", "(ARRAY<ARRAY<T>>) -> ARRAY<T>", kernel_flatten, bind_flatten, FUNCTION_MAY_BE_NULL, "The elements of the inner arrays, one after another",
     "flatten(array(array(1, 2), array(3, 4)))", "[1, 2, 3, 4]"},
    {"slice", "(ARRAY<T>, INT, INT) -> ARRAY<T>", kernel_slice, NULL, FUNCTION_CAN_FAIL,
     "So many elements from a place on, counted from 1 or, if negative, from the end", "slice(array(1, 2, 3, 4), 2, 2)", "[2, 3]"},
    {"array_join", "(ARRAY<STRING>, STRING, STRING?) -> STRING", kernel_join, bind_join, FUNCTION_CAN_FAIL,
     "The elements as one text with the delimiter between them; NULLs are left out, or replaced by the third argument", "array_join(array('hello', NULL, 'world'), ' ', ',')",
     "hello , world"},
    {"arrays_zip", "(ARRAY<ANY>...) -> ARRAY<STRUCT>", kernel_zip, bind_zip, 0, "An array of structs: the first elements, the second ones …; NULL where an array is too short",
     "arrays_zip(array(1, 2, 3), array(2, 3, 4))", "[{1, 2}, {2, 3}, {3, 4}]"},
};

const struct function_table array_change_functions = {functions, sizeof functions / sizeof *functions, "array"};
