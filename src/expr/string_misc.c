// SPDX-License-Identifier: Apache-2.0
// string_misc.c: characters and codes: ascii, chr, encode, decode, is_valid_utf8, quote, mask, luhn_check.
#include "expr/functions.h"
#include "expr/string_text.h"
#include <strings.h>
#include <utf8proc.h>

static void kernel_ascii(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        size_t length;
        ((int32_t *)out->values)[row] = t.size_bytes ? (int32_t)utf8_decode(t.bytes, t.size_bytes, &length) : 0;
    }
}

// Only the lower byte counts, as in Spark: chr(321) is A.
static void kernel_chr(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t code = ((const int64_t *)args[0]->values)[row];
        char bytes[4];
        out_set_view(out, row, bytes, code < 0 ? 0 : utf8_encode((uint32_t)(code & 0xff), bytes));
    }
}

// Character sets

enum charset { CHARSET_NONE, CHARSET_ASCII, CHARSET_LATIN1, CHARSET_UTF8, CHARSET_UTF16, CHARSET_UTF16BE, CHARSET_UTF16LE, CHARSET_UTF32 };

static enum charset charset_of(struct text name) {
    static const char *const names[] = {[CHARSET_ASCII] = "US-ASCII", [CHARSET_LATIN1] = "ISO-8859-1", [CHARSET_UTF8] = "UTF-8", [CHARSET_UTF16] = "UTF-16",
                                        [CHARSET_UTF16BE] = "UTF-16BE", [CHARSET_UTF16LE] = "UTF-16LE", [CHARSET_UTF32] = "UTF-32"};
    for (int i = CHARSET_ASCII; i <= CHARSET_UTF32; i++) {
        if (strlen(names[i]) == name.size_bytes && strncasecmp(names[i], name.bytes, name.size_bytes) == 0) return (enum charset)i;
    }
    return CHARSET_NONE;
}

static size_t put_unit(uint32_t unit, bool little, char *out) {
    out[0] = (char)(little ? unit & 0xff : unit >> 8);
    out[1] = (char)(little ? unit >> 8 : unit & 0xff);
    return 2;
}

// One character in a set; at most 4 bytes. 0: the set has it not.
static size_t encode_character(uint32_t c, enum charset set, char *out) {
    bool little = set == CHARSET_UTF16LE;
    switch (set) {
    case CHARSET_ASCII:
    case CHARSET_LATIN1:
        out[0] = (char)c;
        return c < (set == CHARSET_ASCII ? 0x80u : 0x100u);
    case CHARSET_UTF8: return utf8_encode(c, out);
    case CHARSET_UTF32: return put_unit(c >> 16, false, out) + put_unit(c & 0xffff, false, out + 2);
    default:
        if (c < 0x10000) return put_unit(c, little, out);
        return put_unit(0xD800 + ((c - 0x10000) >> 10), little, out) + put_unit(0xDC00 + ((c - 0x10000) & 0x3ff), little, out + 2);
    }
}

static bool encode_text(struct text t, enum charset set, char *out, size_t *size_bytes) {
    size_t used = 0, length;
    if (set == CHARSET_UTF16 && t.size_bytes) used = put_unit(0xFEFF, false, out);
    for (size_t at = 0; at < t.size_bytes; at += length) {
        uint32_t c = utf8_decode(t.bytes + at, t.size_bytes - at, &length);
        size_t put = encode_character(c, set, out + used);
        if (!put) return false;
        used += put;
    }
    *size_bytes = used;
    return true;
}

static const char *const charset_message = "The character set is not one of US-ASCII, ISO-8859-1, UTF-8, UTF-16, UTF-16BE, UTF-16LE, UTF-32";

static void kernel_encode(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), name = text_at(args[1], row);
        enum charset set = charset_of(name);
        char *room = eval_alloc(eval, t.size_bytes * 4 + 4);
        size_t size_bytes;
        if (!room) return;
        if (set == CHARSET_NONE) eval_fail_value(eval, row, "INVALID_PARAMETER_VALUE.CHARSET", charset_message, name.bytes, name.size_bytes);
        else if (!encode_text(t, set, room, &size_bytes)) eval_fail(eval, row, "MALFORMED_CHARACTER_CODING", "The text has a character that the character set has not");
        else out_set_view(out, row, room, size_bytes);
    }
}

// Reads one character; false: the bytes are none.
static bool decode_character(const uint8_t *s, size_t left, enum charset set, uint32_t *c, size_t *length) {
    bool little = set == CHARSET_UTF16LE;
    switch (set) {
    case CHARSET_ASCII:
    case CHARSET_LATIN1:
        *c = s[0];
        *length = 1;
        return set == CHARSET_LATIN1 || s[0] < 0x80;
    case CHARSET_UTF32:
        if (left < 4) return false;
        *c = (uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 | (uint32_t)s[2] << 8 | s[3];
        *length = 4;
        return *c < 0x110000 && (*c < 0xD800 || *c > 0xDFFF);
    default:
        if (left < 2) return false;
        *c = little ? (uint32_t)(s[1] << 8 | s[0]) : (uint32_t)(s[0] << 8 | s[1]);
        *length = 2;
        if (*c < 0xD800 || *c > 0xDFFF) return true;
        if (left < 4 || *c > 0xDBFF) return false;
        uint32_t low = little ? (uint32_t)(s[3] << 8 | s[2]) : (uint32_t)(s[2] << 8 | s[3]);
        *c = 0x10000 + ((*c - 0xD800) << 10) + (low - 0xDC00);
        *length = 4;
        return low >= 0xDC00 && low <= 0xDFFF;
    }
}

static bool decode_text(struct text t, enum charset set, char *out, size_t *size_bytes) {
    const uint8_t *s = (const uint8_t *)t.bytes;
    size_t used = 0, length, at = 0;
    if (set == CHARSET_UTF8) {
        if (t.size_bytes) memcpy(out, t.bytes, t.size_bytes);
        *size_bytes = t.size_bytes;
        return utf8_valid(t.bytes, t.size_bytes);
    }
    // A byte order mark says which; without one it is big-endian.
    if (set == CHARSET_UTF16 && t.size_bytes >= 2 && (s[0] ^ s[1]) == 1 && s[0] >= 0xFE) {
        set = s[0] == 0xFF ? CHARSET_UTF16LE : CHARSET_UTF16BE;
        at = 2;
    }
    for (; at < t.size_bytes; at += length) {
        uint32_t c;
        if (!decode_character(s + at, t.size_bytes - at, set, &c, &length)) return false;
        used += utf8_encode(c, out + used);
    }
    *size_bytes = used;
    return true;
}

static void kernel_decode(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), name = text_at(args[1], row);
        enum charset set = charset_of(name);
        char *room = eval_alloc(eval, t.size_bytes * 2 + 1);
        size_t size_bytes;
        if (!room) return;
        if (set == CHARSET_NONE) eval_fail_value(eval, row, "INVALID_PARAMETER_VALUE.CHARSET", charset_message, name.bytes, name.size_bytes);
        else if (!decode_text(t, set, room, &size_bytes)) eval_fail(eval, row, "MALFORMED_CHARACTER_CODING", "The bytes are no text of the character set");
        else out_set_view(out, row, room, size_bytes);
    }
}

// decode(value, search, result, search, result …, default): a CASE whose NULLs are equal.
static enum status decode_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, UINT32_MAX, e));
    if (b->arg_count == 2) return binding_signature(b, "(BINARY, STRING) -> STRING", e);
    bool has_else = b->arg_count % 2 == 0;
    uint32_t pairs = (b->arg_count - 1) / 2;
    struct binding results = *b;
    results.args = arena_alloc_array(b->arena, pairs + 1, sizeof *results.args);
    if (!results.args) return error_no_memory(e);
    results.arg_count = pairs + has_else;
    for (uint32_t i = 0; i < pairs; i++) results.args[i] = b->args[2 + 2 * i];
    if (has_else) results.args[pairs] = b->args[b->arg_count - 1];
    TRY(binding_common_type(&results, 0, results.arg_count, e));
    struct expr *branches = expr_new(b->arena, EXPR_CASE, results.args[0]->type, true, 2 * pairs + has_else);
    if (!branches) return error_no_memory(e);
    branches->has_else = has_else;
    branches->span = b->span;
    for (uint32_t i = 0; i < pairs; i++) {
        struct expr *const pair[2] = {b->args[0], b->args[1 + 2 * i]};
        TRY(function_call_named(b->arena, b->session, "<=>", pair, 2, b->span, &branches->args[2 * i], e));
        branches->args[2 * i + 1] = results.args[i];
    }
    if (has_else) branches->args[2 * pairs] = results.args[pairs];
    b->replacement = branches;
    return STATUS_OK;
}

// UTF-8

static void kernel_is_valid_utf8(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        ((uint8_t *)out->values)[row] = utf8_valid(t.bytes, t.size_bytes);
    }
}

static void kernel_make_valid_utf8(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        if (utf8_valid(t.bytes, t.size_bytes)) {
            out_set_text(out, row, t);
            continue;
        }
        char *room = eval_alloc(eval, t.size_bytes * 3);
        if (!room) return;
        size_t used = 0, length;
        for (size_t at = 0; at < t.size_bytes; at += length) used += utf8_encode(utf8_decode(t.bytes + at, t.size_bytes - at, &length), room + used);
        out_set_view(out, row, room, used);
    }
}

// quote: between single quotes, those inside escaped

static void kernel_quote(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        char *room = eval_alloc(eval, t.size_bytes * 2 + 2);
        if (!room) return;
        size_t used = 0;
        room[used++] = '\'';
        for (size_t k = 0; k < t.size_bytes; k++) {
            if (t.bytes[k] == '\'') room[used++] = '\\';
            room[used++] = t.bytes[k];
        }
        room[used++] = '\'';
        out_set_view(out, row, room, used);
    }
}

// mask: letters and digits replaced by kind; a NULL replacement keeps the character

static bool mask_argument(const struct column *const *args, uint32_t index, uint32_t row, struct text *out) {
    if (!column_is_valid(args[index], row)) return false;
    *out = text_at(args[index], row);
    return true;
}

static uint32_t mask_kind(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_LU: return 1;
    case UTF8PROC_CATEGORY_LL: return 2;
    case UTF8PROC_CATEGORY_ND: return 3;
    default: return 4;
    }
}

static void kernel_mask(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) {
            out_set_null(out, row);
            continue;
        }
        struct text t = text_at(args[0], row);
        char *room = eval_alloc(eval, t.size_bytes * 4 + 1);
        if (!room) return;
        size_t used = 0, length;
        for (size_t at = 0; at < t.size_bytes; at += length) {
            uint32_t c = utf8_decode(t.bytes + at, t.size_bytes - at, &length);
            struct text put = {t.bytes + at, length}, replacement;
            if (mask_argument(args, mask_kind(c), row, &replacement) && replacement.size_bytes <= 4) put = replacement;
            if (put.size_bytes) memcpy(room + used, put.bytes, put.size_bytes);
            used += put.size_bytes;
        }
        out_set_view(out, row, room, used);
    }
}

static enum status mask_bind(struct binding *b, struct error *e) {
    static const char *const defaults[] = {NULL, "X", "x", "n", NULL};
    TRY(binding_require_count(b, 1, 5, e));
    struct expr **all = arena_alloc_array(b->arena, 5, sizeof *all);
    if (!all) return error_no_memory(e);
    bool nullable = b->args[0]->nullable;
    for (uint32_t i = 0; i < 5; i++) {
        all[i] = i < b->arg_count ? b->args[i] : defaults[i] ? expr_string(b->arena, defaults[i], 1) : expr_null(b->arena, &type_string);
        if (!all[i]) return error_no_memory(e);
    }
    uint32_t given = b->arg_count;
    b->args = all;
    b->arg_count = 5;
    TRY(binding_signature(b, "(STRING, STRING, STRING, STRING, STRING) -> STRING", e));
    for (uint32_t i = 1; i < given; i++) {
        const struct column *constant;
        TRY(binding_constant(b, i, &constant, e));
        if (!constant || !column_is_valid(constant, 0)) continue;
        const struct string_view *v = column_string(constant, 0);
        if (utf8_length(string_view_data(v), v->size_bytes) != 1)
            return binding_value_error(b, i, "DATATYPE_MISMATCH.INPUT_SIZE_NOT_ONE", "the replacement must be one character", e);
    }
    b->nullable = nullable;
    return STATUS_OK;
}

// luhn_check: digits only, the check sum of card numbers

static bool luhn(struct text t) {
    unsigned sum = 0;
    for (size_t i = 0; i < t.size_bytes; i++) {
        char c = t.bytes[t.size_bytes - 1 - i];
        if (c < '0' || c > '9') return false;
        unsigned digit = (unsigned)(c - '0') << (i % 2);
        sum = (sum + (digit > 9 ? digit - 9 : digit)) % 10;
    }
    return t.size_bytes && sum == 0;
}

static void kernel_luhn_check(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((uint8_t *)out->values)[row] = luhn(text_at(args[0], row));
    }
}

static const struct function misc_list[] = {
    {"ascii", "(STRING) -> INT", kernel_ascii, NULL, 0, "The code point of the first character", "ascii('A')", "65"},
    {"chr", "(BIGINT) -> STRING", kernel_chr, NULL, 0, "The character of a code, modulo 256", "chr(65)", "A"},
    {"char", "(BIGINT) -> STRING", kernel_chr, NULL, 0, "The character of a code, modulo 256", "char(65)", "A"},
    {"encode", "(STRING, STRING) -> BINARY", kernel_encode, NULL, FUNCTION_CAN_FAIL, "The bytes of the text in a character set", "hex(encode('é', 'UTF-8'))", "C3A9"},
    {"decode", "(BINARY, STRING) -> STRING | (ANY, ANY...) -> ANY", kernel_decode, decode_bind, FUNCTION_CAN_FAIL,
     "The text of bytes in a character set; or the result that stands after the value equal to the first argument", "decode(X'C3A9', 'UTF-8')", "é"},
    {"is_valid_utf8", "(STRING) -> BOOLEAN", kernel_is_valid_utf8, NULL, 0, "Whether the text is proper UTF-8", "is_valid_utf8('Spark')", "true"},
    {"make_valid_utf8", "(STRING) -> STRING", kernel_make_valid_utf8, NULL, 0, "With what is no UTF-8 replaced", "make_valid_utf8('Spark')", "Spark"},
    {"quote", "(STRING) -> STRING", kernel_quote, NULL, 0, "In single quotes, those inside escaped", "quote('Spark')", "'Spark'"},
    {"mask", "(STRING, STRING?, STRING?, STRING?, STRING?) -> STRING", kernel_mask, mask_bind, FUNCTION_HANDLES_NULL,
     "With capitals, small letters, digits and others replaced", "mask('AbCD123-@$#')", "XxXXnnn-@$#"},
    {"luhn_check", "(STRING) -> BOOLEAN", kernel_luhn_check, NULL, 0, "Whether the digits end in their Luhn check digit", "luhn_check('8112189876')", "true"},
};

const struct function_table misc_functions = {misc_list, sizeof misc_list / sizeof misc_list[0], "string"};
