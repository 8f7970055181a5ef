// SPDX-License-Identifier: Apache-2.0
// string.c: the strings everybody uses: concat, concat_ws, substring and its kin, lengths.
//
// BINARY goes through the same kernels where only bytes matter; where characters matter the binder picks a kernel by type.
#include "column/value.h"
#include "expr/array_kernels.h"
#include "expr/functions.h"
#include "expr/string_text.h"

// concat

static void kernel_concat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t arg_count = variadic_count(eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        size_t total = 0;
        for (uint32_t a = 0; a < arg_count; a++) total += text_at(args[a], row).size_bytes;
        char local[STRING_INLINE_MAX];
        char *bytes = text_room(local, total, row, eval);
        if (!bytes) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        size_t used = 0;
        for (uint32_t a = 0; a < arg_count; a++) {
            struct text t = text_at(args[a], row);
            text_copy(bytes + used, t);
            used += t.size_bytes;
        }
        out_set_view(out, row, bytes, used);
    }
}

static enum status concat_bind(struct binding *b, struct error *e) {
    bool has_array = false, binary = b->arg_count > 0;
    for (uint32_t i = 0; i < b->arg_count; i++) {
        has_array |= b->args[i]->type->id == TYPE_ARRAY;
        binary &= b->args[i]->type->id == TYPE_BINARY;
    }
    TRY(variadic_bind(b, e));
    if (!b->arg_count) {
        b->result = &type_string;
        return STATUS_OK;
    }
    if (!has_array) return binding_signature(b, binary ? "(BINARY...) -> BINARY" : "(STRING...) -> STRING", e);
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (b->args[i]->type->id == TYPE_ARRAY) continue;
        return binding_value_error(b, i, "DATATYPE_MISMATCH.DATA_DIFF_TYPES", "arrays are joined with arrays only", e);
    }
    TRY(binding_common_type(b, 0, b->arg_count, e));
    b->result = b->args[0]->type;
    b->kernel = kernel_array_concat;
    return STATUS_OK;
}

// concat_ws: a list of texts and arrays of texts, NULLs left out

struct piece_writer {
    struct text separator;
    char *bytes;           // NULL: measuring
    size_t used;
    bool any;
};

static void write_piece(struct piece_writer *w, struct text t) {
    if (w->any) {
        if (w->bytes) text_copy(w->bytes + w->used, w->separator);
        w->used += w->separator.size_bytes;
    }
    if (w->bytes) text_copy(w->bytes + w->used, t);
    w->used += t.size_bytes;
    w->any = true;
}

static void write_pieces(struct piece_writer *w, const struct column *const *args, uint32_t arg_count, uint32_t row) {
    for (uint32_t a = 1; a < arg_count; a++) {
        if (!column_is_valid(args[a], row)) continue;
        if (args[a]->type->id != TYPE_ARRAY) {
            write_piece(w, text_at(args[a], row));
            continue;
        }
        const struct column *items = &args[a]->children[0];
        for (int32_t item = column_list_begin(args[a], row); item < column_list_end(args[a], row); item++) {
            if (column_is_valid(items, (uint32_t)item)) write_piece(w, text_at(items, (uint32_t)item));
        }
    }
}

// Texts only: gathered once, then copied.
enum { JOINED_TEXTS_MAX = 16 };
static void join_texts(const struct column *const *args, struct column *out, uint32_t arg_count, uint32_t row, struct eval *eval) {
    struct text pieces[JOINED_TEXTS_MAX];
    const struct text separator = text_at(args[0], row);
    uint32_t count = 0;
    size_t total = 0;
    for (uint32_t a = 1; a < arg_count; a++) {
        if (!column_is_valid(args[a], row)) continue;
        pieces[count] = text_at(args[a], row);
        total += pieces[count++].size_bytes;
    }
    if (count) total += (count - 1) * separator.size_bytes;
    char local[STRING_INLINE_MAX];
    char *bytes = text_room(local, total, row, eval);
    if (!bytes) return;
    char *to = bytes;
    for (uint32_t i = 0; i < count; i++) {
        if (i) text_copy(to, separator), to += separator.size_bytes;
        text_copy(to, pieces[i]);
        to += pieces[i].size_bytes;
    }
    out_set_view(out, row, bytes, total);
}

static void kernel_concat_ws(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t arg_count = variadic_count(eval);
    bool texts_only = arg_count <= JOINED_TEXTS_MAX;
    for (uint32_t a = 1; a < arg_count; a++) texts_only &= args[a]->type->id != TYPE_ARRAY;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) {
            out_set_null(out, row);
            continue;
        }
        if (texts_only) {
            join_texts(args, out, arg_count, row, eval);
            if (eval->status != STATUS_OK) return;
            continue;
        }
        struct piece_writer w = {.separator = text_at(args[0], row)};
        write_pieces(&w, args, arg_count, row);
        char local[STRING_INLINE_MAX];
        char *bytes = text_room(local, w.used, row, eval);
        if (!bytes) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        w = (struct piece_writer){.separator = w.separator, .bytes = bytes};
        write_pieces(&w, args, arg_count, row);
        out_set_view(out, row, bytes, w.used);
    }
}

static enum status concat_ws_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, UINT32_MAX, e));
    const struct type *texts = type_array(b->arena, &type_string, true);
    if (!texts) return error_no_memory(e);
    bool nullable = b->args[0]->nullable;
    for (uint32_t i = 0; i < b->arg_count; i++) TRY(binding_cast(b, i, i && b->args[i]->type->id == TYPE_ARRAY ? texts : &type_string, e));
    b->result = &type_string;
    b->nullable = nullable;
    return variadic_bind(b, e);
}

// substring, left, right

static inline void substring_rows(const struct column *const *args, struct column *out, const struct rows *rows, bool bytes, bool has_length) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        int64_t length = has_length ? int_at(args[2], row) : INT32_MAX;
        out_set_text(out, row, bytes ? text_substring_bytes(t, int_at(args[1], row), length) : text_substring(t, int_at(args[1], row), length));
    }
}

static void kernel_substring(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    substring_rows(args, out, rows, false, true);
}
static void kernel_substring_rest(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    substring_rows(args, out, rows, false, false);
}
static void kernel_substring_binary(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    substring_rows(args, out, rows, true, true);
}
static void kernel_substring_binary_rest(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    substring_rows(args, out, rows, true, false);
}

static enum status substring_bind(struct binding *b, struct error *e) {
    bool binary = b->arg_count && b->args[0]->type->id == TYPE_BINARY;
    TRY(binding_signature(b, binary ? "(BINARY, INT, INT?) -> BINARY" : "(STRING, INT, INT?) -> STRING", e));
    if (binary) b->kernel = b->arg_count == 3 ? kernel_substring_binary : kernel_substring_binary_rest;
    else b->kernel = b->arg_count == 3 ? kernel_substring : kernel_substring_rest;
    return STATUS_OK;
}

static void kernel_left(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    bool bytes = args[0]->type->id == TYPE_BINARY;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        out_set_text(out, row, bytes ? text_substring_bytes(t, 1, int_at(args[1], row)) : text_substring(t, 1, int_at(args[1], row)));
    }
}

static void kernel_right(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        int64_t length = int_at(args[1], row);
        out_set_text(out, row, length <= 0 ? (struct text){t.bytes, 0} : text_substring(t, -length, INT32_MAX));
    }
}

// substring_index: occurrences may overlap, as in Spark

static struct text substring_index(struct text t, struct text delimiter, int64_t count) {
    if (!count || !delimiter.size_bytes) return (struct text){t.bytes, 0};
    if (count > 0) {
        ptrdiff_t at = -1;
        for (; count > 0; count--) {
            at = text_find(t, delimiter, (size_t)(at + 1));
            if (at < 0) return t;
        }
        return (struct text){t.bytes, (size_t)at};
    }
    ptrdiff_t at = (ptrdiff_t)t.size_bytes;
    for (; count < 0; count++) {
        at = text_find_last(t, delimiter, (size_t)at);
        if (at < 0) return t;
    }
    size_t begin = (size_t)at + delimiter.size_bytes;
    return (struct text){t.bytes + begin, t.size_bytes - begin};
}

static void kernel_substring_index(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        out_set_text(out, row, substring_index(text_at(args[0], row), text_at(args[1], row), int_at(args[2], row)));
    }
}

// split_part

static struct text split_part(struct text t, struct text delimiter, int64_t part) {
    struct text nothing = {t.bytes, 0};
    if (!delimiter.size_bytes) return part == 1 || part == -1 ? t : nothing;
    if (part < 0) {
        int64_t parts = 1;
        for (ptrdiff_t at = 0; (at = text_find(t, delimiter, (size_t)at)) >= 0; at += (ptrdiff_t)delimiter.size_bytes) parts++;
        part += parts + 1;
        if (part <= 0) return nothing;
    }
    size_t begin = 0;
    for (;; part--) {
        ptrdiff_t end = text_find(t, delimiter, begin);
        if (part == 1) return (struct text){t.bytes + begin, (end < 0 ? t.size_bytes : (size_t)end) - begin};
        if (end < 0) return nothing;
        begin = (size_t)end + delimiter.size_bytes;
    }
}

static void kernel_split_part(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t part = int_at(args[2], row);
        if (part == 0) {
            eval_fail(eval, row, "INVALID_INDEX_OF_ZERO", "The index 0 is invalid: parts are counted from 1, or from −1 backwards");
            continue;
        }
        out_set_text(out, row, split_part(text_at(args[0], row), text_at(args[1], row), part));
    }
}

// lengths

static void kernel_length(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        ((int32_t *)out->values)[row] = (int32_t)utf8_length(t.bytes, t.size_bytes);
    }
}

static void kernel_octet_length(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = (int32_t)text_at(args[0], row).size_bytes;
    }
}

static void kernel_bit_length(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = (int32_t)(text_at(args[0], row).size_bytes * 8);
    }
}

static enum status length_bind(struct binding *b, struct error *e) {
    bool binary = b->arg_count && b->args[0]->type->id == TYPE_BINARY;
    if (binary) b->kernel = kernel_octet_length;
    return binding_signature(b, binary ? "(BINARY) -> INT" : "(STRING) -> INT", e);
}

// elt: the n-th of its arguments

static void kernel_elt(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int64_t arg_count = variadic_count(eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) {
            out_set_null(out, row);
            continue;
        }
        int64_t index = int_at(args[0], row);
        if (index < 1 || index >= arg_count) {
            eval_fail(eval, row, "INVALID_ARRAY_INDEX", "The index of elt is out of range");
            continue;
        }
        if (column_is_valid(args[index], row)) out_set_text(out, row, text_at(args[index], row));
        else out_set_null(out, row);
    }
}

static enum status elt_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    bool binary = binding_all_of(b, 1, b->arg_count - 1, TYPE_BINARY);
    TRY(binding_signature(b, binary ? "(INT, BINARY...) -> BINARY" : "(INT, STRING...) -> STRING", e));
    b->nullable = true;
    return variadic_bind(b, e);
}

static const struct function string_list[] = {
    {"concat", "(STRING...) -> STRING | (BINARY...) -> BINARY | (ARRAY<T>...) -> ARRAY<T>", kernel_concat, concat_bind, FUNCTION_COMPUTES_ALL,
     "The arguments joined; NULL if one of them is", "concat('Spark', 'SQL')", "SparkSQL"},
    {"concat_ws", "(STRING, ANY...) -> STRING", kernel_concat_ws, concat_ws_bind, FUNCTION_HANDLES_NULL,
     "Strings and arrays of strings joined, with a separator between them; NULLs are left out", "concat_ws(' ', 'Spark', NULL, 'SQL')", "Spark SQL"},
    {"substring", "(STRING, INT, INT?) -> STRING | (BINARY, INT, INT?) -> BINARY", kernel_substring, substring_bind, 0,
     "The part that begins at a position, counted from 1 or from the end if negative, and has a length", "substring('Spark SQL', 5, 1)", "k"},
    {"substr", "(STRING, INT, INT?) -> STRING | (BINARY, INT, INT?) -> BINARY", kernel_substring, substring_bind, 0,
     "The part that begins at a position, as substring", "substr('Spark SQL', -3)", "SQL"},
    {"left", "(STRING, INT) -> STRING | (BINARY, INT) -> BINARY", kernel_left, NULL, 0, "The first characters", "left('Spark SQL', 3)", "Spa"},
    {"right", "(STRING, INT) -> STRING", kernel_right, NULL, 0, "The last characters", "right('Spark SQL', 3)", "SQL"},
    {"substring_index", "(STRING, STRING, INT) -> STRING", kernel_substring_index, NULL, 0,
     "The text before the n-th delimiter; after the n-th from the right if n is negative", "substring_index('www.apache.org', '.', 2)", "www.apache"},
    {"split_part", "(STRING, STRING, INT) -> STRING", kernel_split_part, NULL, FUNCTION_MAY_BE_NULL | FUNCTION_CAN_FAIL,
     "The n-th part of the text between delimiters, from the right if n is negative", "split_part('11.12.13', '.', 3)", "13"},
    {"length", "(STRING) -> INT | (BINARY) -> INT", kernel_length, length_bind, 0, "The number of characters, or of bytes of a binary", "length('Spark SQL ')", "10"},
    {"char_length", "(STRING) -> INT | (BINARY) -> INT", kernel_length, length_bind, 0, "The number of characters", "char_length('Spark SQL ')", "10"},
    {"character_length", "(STRING) -> INT | (BINARY) -> INT", kernel_length, length_bind, 0, "The number of characters", "character_length('Spark')", "5"},
    {"len", "(STRING) -> INT | (BINARY) -> INT", kernel_length, length_bind, 0, "The number of characters", "len('Spark')", "5"},
    {"octet_length", "(STRING) -> INT | (BINARY) -> INT", kernel_octet_length, NULL, FUNCTION_TOTAL, "The number of bytes", "octet_length('é')", "2"},
    {"bit_length", "(STRING) -> INT | (BINARY) -> INT", kernel_bit_length, NULL, FUNCTION_TOTAL, "The number of bits", "bit_length('Spark')", "40"},
    {"elt", "(INT, STRING...) -> STRING | (INT, BINARY...) -> BINARY", kernel_elt, elt_bind, FUNCTION_HANDLES_NULL | FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL,
     "The n-th of the arguments that follow", "elt(2, 'a', 'b')", "b"},
};

const struct function_table string_functions = {string_list, sizeof string_list / sizeof string_list[0], "string"};
