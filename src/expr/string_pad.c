// SPDX-License-Identifier: Apache-2.0
// string_pad.c: what takes characters off the ends of a text or puts some there: the trim family, lpad, rpad, repeat, space, reverse, and what
// replaces a part by position: overlay, mask.
//
// trim, ltrim and rtrim take the characters to remove first, btrim last: Spark's order. Without them they remove blanks (U+0020) only.
#include "expr/array_kernels.h"
#include "expr/functions.h"
#include "expr/string_text.h"

// trim

enum trim_side { TRIM_LEFT = 1, TRIM_RIGHT = 2, TRIM_BOTH = 3 };

static struct text trim_blanks(struct text t, enum trim_side side) {
    while (side & TRIM_LEFT && t.size_bytes && t.bytes[0] == ' ') t.bytes++, t.size_bytes--;
    while (side & TRIM_RIGHT && t.size_bytes && t.bytes[t.size_bytes - 1] == ' ') t.size_bytes--;
    return t;
}

// Is the character (its bytes) one of the set's?
static bool has_character(struct text set, struct text character) {
    size_t length;
    for (size_t at = 0; at < set.size_bytes; at += length) {
        utf8_decode(set.bytes + at, set.size_bytes - at, &length);
        if (text_equal((struct text){set.bytes + at, length}, character)) return true;
    }
    return false;
}

static struct text last_character(struct text t) {
    size_t begin = t.size_bytes - 1, length;
    while (begin > 0 && t.size_bytes - begin < 4 && ((uint8_t)t.bytes[begin] & 0xC0) == 0x80) begin--;
    utf8_decode(t.bytes + begin, t.size_bytes - begin, &length);
    if (begin + length != t.size_bytes) begin = t.size_bytes - 1;  // broken text: one byte
    return (struct text){t.bytes + begin, t.size_bytes - begin};
}

static struct text trim_set(struct text t, struct text set, enum trim_side side) {
    size_t length;
    while (side & TRIM_LEFT && t.size_bytes) {
        utf8_decode(t.bytes, t.size_bytes, &length);
        if (!has_character(set, (struct text){t.bytes, length})) break;
        t.bytes += length;
        t.size_bytes -= length;
    }
    while (side & TRIM_RIGHT && t.size_bytes) {
        struct text last = last_character(t);
        if (!has_character(set, last)) break;
        t.size_bytes -= last.size_bytes;
    }
    return t;
}

// The text's argument and that of the set; set_index UINT32_MAX: blanks.
struct trim {
    enum trim_side side;
    uint32_t text_index, set_index;
};

static void kernel_trim(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct trim *trim = eval->call->data;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[trim->text_index], row);
        out_set_text(out, row, trim->set_index == UINT32_MAX ? trim_blanks(t, trim->side) : trim_set(t, text_at(args[trim->set_index], row), trim->side));
    }
}

static enum status trim_bind(struct binding *b, enum trim_side side, bool set_is_first, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING?) -> STRING", e));
    struct trim *trim = arena_alloc_zeroed(b->arena, sizeof *trim);
    if (!trim) return error_no_memory(e);
    bool blanks = b->arg_count == 1;
    *trim = (struct trim){.side = side, .text_index = !blanks && set_is_first, .set_index = blanks ? UINT32_MAX : !set_is_first};
    b->data = trim;
    return STATUS_OK;
}
static enum status trim_both_bind(struct binding *b, struct error *e) { return trim_bind(b, TRIM_BOTH, true, e); }
static enum status trim_left_bind(struct binding *b, struct error *e) { return trim_bind(b, TRIM_LEFT, true, e); }
static enum status trim_right_bind(struct binding *b, struct error *e) { return trim_bind(b, TRIM_RIGHT, true, e); }
static enum status btrim_bind(struct binding *b, struct error *e) { return trim_bind(b, TRIM_BOTH, false, e); }

// lpad, rpad

// Fills `out` with `size_bytes` bytes of the pad, over and over.
static void fill(char *out, size_t size_bytes, struct text pad) {
    for (size_t at = 0; at < size_bytes; at += pad.size_bytes) {
        size_t take = size_bytes - at < pad.size_bytes ? size_bytes - at : pad.size_bytes;
        memcpy(out + at, pad.bytes, take);
    }
}

static void pad_row(struct text t, int64_t wanted, struct text pad, bool bytes, bool left, struct column *out, uint32_t row, struct eval *eval) {
    int64_t has = (int64_t)(bytes ? t.size_bytes : utf8_length(t.bytes, t.size_bytes));
    if (wanted <= has || !pad.size_bytes) {
        out_set_text(out, row, bytes ? text_substring_bytes(t, 1, wanted) : text_substring(t, 1, wanted));
        return;
    }
    uint64_t missing = (uint64_t)(wanted - has);
    uint64_t pad_characters = bytes ? pad.size_bytes : utf8_length(pad.bytes, pad.size_bytes);
    size_t rest = bytes ? missing % pad_characters : utf8_offset(pad.bytes, pad.size_bytes, missing % pad_characters);
    size_t fill_bytes = missing / pad_characters * pad.size_bytes + rest;
    char local[STRING_INLINE_MAX];
    char *room = text_room(local, fill_bytes + t.size_bytes, row, eval);
    if (!room) return;
    fill(room + (left ? 0 : t.size_bytes), fill_bytes, pad);
    if (t.size_bytes) memcpy(room + (left ? fill_bytes : 0), t.bytes, t.size_bytes);
    out_set_view(out, row, room, fill_bytes + t.size_bytes);
}

static void pad_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool left) {
    bool bytes = args[0]->type->id == TYPE_BINARY;
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        pad_row(text_at(args[0], row), int_at(args[1], row), text_at(args[2], row), bytes, left, out, row, eval);
    }
}

static void kernel_lpad(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    pad_rows(args, out, rows, eval, true);
}
static void kernel_rpad(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    pad_rows(args, out, rows, eval, false);
}

// Appends a constant argument where the user left it out.
static enum status append_default(struct binding *b, struct expr *argument, struct error *e) {
    struct expr **longer = arena_alloc_array(b->arena, (size_t)b->arg_count + 1, sizeof *longer);
    if (!longer || !argument) return error_no_memory(e);
    memcpy(longer, b->args, b->arg_count * sizeof *longer);
    longer[b->arg_count++] = argument;
    b->args = longer;
    return STATUS_OK;
}

static enum status pad_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    bool binary = b->args[0]->type->id == TYPE_BINARY && (b->arg_count == 2 || b->args[2]->type->id == TYPE_BINARY);
    if (b->arg_count == 2) {
        struct expr *pad = expr_string(b->arena, binary ? "\0" : " ", 1);
        TRY(append_default(b, binary && pad ? expr_cast(b->arena, pad, &type_binary, CAST_IMPLICIT) : pad, e));
    }
    return binding_signature(b, binary ? "(BINARY, INT, BINARY) -> BINARY" : "(STRING, INT, STRING) -> STRING", e);
}

// repeat, space, reverse

static void repeat_row(struct text t, int64_t times, struct column *out, uint32_t row, struct eval *eval) {
    if (times <= 0 || !t.size_bytes) {
        out_set_view(out, row, "", 0);
        return;
    }
    size_t total = (size_t)times > TEXT_MAX_BYTES / t.size_bytes ? (size_t)TEXT_MAX_BYTES + 1 : t.size_bytes * (size_t)times;
    char local[STRING_INLINE_MAX];
    char *room = text_room(local, total, row, eval);
    if (!room) return;
    fill(room, total, t);
    out_set_view(out, row, room, total);
}

static void kernel_repeat(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        repeat_row(text_at(args[0], row), int_at(args[1], row), out, row, eval);
    }
}

static void kernel_space(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        repeat_row(text_of(" "), int_at(args[0], row), out, row, eval);
    }
}

static void kernel_reverse(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        char local[STRING_INLINE_MAX];
        char *room = text_room(local, t.size_bytes, row, eval);
        if (!room) return;
        size_t length;
        for (size_t at = 0; at < t.size_bytes; at += length) {
            utf8_decode(t.bytes + at, t.size_bytes - at, &length);
            memcpy(room + t.size_bytes - at - length, t.bytes + at, length);
        }
        out_set_view(out, row, room, t.size_bytes);
    }
}

static enum status reverse_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (b->args[0]->type->id != TYPE_ARRAY) return binding_signature(b, "(STRING) -> STRING", e);
    b->result = b->args[0]->type;
    b->kernel = kernel_array_reverse;
    return STATUS_OK;
}

// overlay: text before the position, the replacement, text after what it replaces

static void kernel_overlay(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool bytes = args[0]->type->id == TYPE_BINARY;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), replacement = text_at(args[1], row);
        int64_t position = int_at(args[2], row), length = int_at(args[3], row);
        if (length < 0) length = (int64_t)(bytes ? replacement.size_bytes : utf8_length(replacement.bytes, replacement.size_bytes));
        struct text before = bytes ? text_substring_bytes(t, 1, position - 1) : text_substring(t, 1, position - 1);
        struct text after = bytes ? text_substring_bytes(t, position + length, INT32_MAX) : text_substring(t, position + length, INT32_MAX);
        size_t total = before.size_bytes + replacement.size_bytes + after.size_bytes;
        char local[STRING_INLINE_MAX];
        char *room = text_room(local, total, row, eval);
        if (!room) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        if (before.size_bytes) memcpy(room, before.bytes, before.size_bytes);
        if (replacement.size_bytes) memcpy(room + before.size_bytes, replacement.bytes, replacement.size_bytes);
        if (after.size_bytes) memcpy(room + before.size_bytes + replacement.size_bytes, after.bytes, after.size_bytes);
        out_set_view(out, row, room, total);
    }
}

static enum status overlay_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 3, 4, e));
    bool binary = b->args[0]->type->id == TYPE_BINARY && b->args[1]->type->id == TYPE_BINARY;
    if (b->arg_count == 3) TRY(append_default(b, expr_int(b->arena, -1), e));
    return binding_signature(b, binary ? "(BINARY, BINARY, INT, INT) -> BINARY" : "(STRING, STRING, INT, INT) -> STRING", e);
}

static const struct function pad_list[] = {
    {"trim", "(STRING, STRING?) -> STRING", kernel_trim, trim_both_bind, 0, "Without blanks at both ends; or without the characters of the first argument",
     "trim('    SparkSQL   ')", "SparkSQL"},
    {"ltrim", "(STRING, STRING?) -> STRING", kernel_trim, trim_left_bind, 0, "Without blanks, or the characters of the first argument, at the beginning",
     "ltrim('    SparkSQL')", "SparkSQL"},
    {"rtrim", "(STRING, STRING?) -> STRING", kernel_trim, trim_right_bind, 0, "Without blanks, or the characters of the first argument, at the end",
     "rtrim('SparkSQL   ')", "SparkSQL"},
    {"btrim", "(STRING, STRING?) -> STRING", kernel_trim, btrim_bind, 0, "Without blanks, or the characters of the second argument, at both ends",
     "btrim('SSparkSQLS', 'SL')", "parkSQ"},
    {"lpad", "(STRING, INT, STRING?) -> STRING | (BINARY, INT, BINARY?) -> BINARY", kernel_lpad, pad_bind, 0,
     "Filled up on the left, or cut, to a length", "lpad('hi', 5, '?')", "???hi"},
    {"rpad", "(STRING, INT, STRING?) -> STRING | (BINARY, INT, BINARY?) -> BINARY", kernel_rpad, pad_bind, 0,
     "Filled up on the right, or cut, to a length", "rpad('hi', 5, '?')", "hi???"},
    {"repeat", "(STRING, INT) -> STRING", kernel_repeat, NULL, FUNCTION_CAN_FAIL, "The text n times", "repeat('123', 2)", "123123"},
    {"space", "(INT) -> STRING", kernel_space, NULL, FUNCTION_CAN_FAIL, "n blanks", "concat('a', space(2), 'b')", "a  b"},
    {"reverse", "(STRING) -> STRING | (ARRAY<T>) -> ARRAY<T>", kernel_reverse, reverse_bind, 0, "Back to front", "reverse('Spark SQL')", "LQS krapS"},
    {"overlay", "(STRING, STRING, INT, INT?) -> STRING | (BINARY, BINARY, INT, INT?) -> BINARY", kernel_overlay, overlay_bind, 0,
     "With the part from a position on, as long as the replacement or as said, replaced", "overlay('Spark SQL', '_', 6)", "Spark_SQL"},
};

const struct function_table pad_functions = {pad_list, sizeof pad_list / sizeof pad_list[0], "string"};
