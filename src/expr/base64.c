// SPDX-License-Identifier: Apache-2.0
// base64.c: bytes as text and back: base64, unbase64, hex, unhex, to_binary; encode and decode between character sets.
//
// base64 breaks its lines after 76 characters, as MIME and Spark do; unbase64 skips what is no letter of its alphabet, but wants whole units
// (RFC 2045, as strict as Java's decoder).
#include "expr/functions.h"
#include "expr/string_text.h"
#include <strings.h>

// base64

static void kernel_base64(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        size_t size_bytes = (t.size_bytes + 2) / 3 * 4;
        char *room = eval_alloc(eval, size_bytes + size_bytes / 76 * 2 + 2);
        if (!room) return;
        const uint8_t *s = (const uint8_t *)t.bytes;
        size_t used = 0, on_line = 0;
        for (size_t at = 0; at < t.size_bytes; at += 3) {
            size_t left = t.size_bytes - at;
            uint32_t word = (uint32_t)s[at] << 16 | (left > 1 ? (uint32_t)s[at + 1] << 8 : 0) | (left > 2 ? s[at + 2] : 0);
            if (on_line == 76) {
                room[used++] = '\r';
                room[used++] = '\n';
                on_line = 0;
            }
            room[used++] = letters[word >> 18];
            room[used++] = letters[word >> 12 & 63];
            room[used++] = left > 1 ? letters[word >> 6 & 63] : '=';
            room[used++] = left > 2 ? letters[word & 63] : '=';
            on_line += 4;
        }
        out_set_view(out, row, room, used);
    }
}

static int letter_value(char c) {
    if (c >= 'A' && c <= 'Z') return c - 'A';
    if (c >= 'a' && c <= 'z') return c - 'a' + 26;
    if (c >= '0' && c <= '9') return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

// Decodes into `out`, which has room for the text's size. False: a unit of the text is not whole, or letters follow the padding.
static bool unbase64(struct text t, uint8_t *out, size_t *size_bytes) {
    uint32_t word = 0;
    int letters = 0;  // of the current unit of four
    size_t used = 0, i = 0;
    bool padded = false;
    for (; i < t.size_bytes && !padded; i++) {
        int value = letter_value(t.bytes[i]);
        if (t.bytes[i] == '=') {
            if (letters == 0 || (letters == 2 && (++i == t.size_bytes || t.bytes[i] != '='))) return false;
            padded = true;
        }
        if (value < 0) continue;
        word = word << 6 | (uint32_t)value;
        if (++letters < 4) continue;
        for (int shift = 16; shift >= 0; shift -= 8) out[used++] = (uint8_t)(word >> shift);
        letters = 0;
    }
    if (letters == 1) return false;
    if (letters >= 2) out[used++] = (uint8_t)(word >> (letters == 2 ? 4 : 10));
    if (letters == 3) out[used++] = (uint8_t)(word >> 2);
    for (; i < t.size_bytes; i++)
        if (letter_value(t.bytes[i]) >= 0 || t.bytes[i] == '=') return false;
    *size_bytes = used;
    return true;
}

// What to_binary takes: letters, blanks, and the padding at the end alone; units may lack their padding, not a part of it.
static bool is_strict_base64(struct text t) {
    size_t letters = 0, pads = 0;
    for (size_t i = 0; i < t.size_bytes; i++) {
        char c = t.bytes[i];
        if (c == '=') pads++;
        else if (letter_value(c) >= 0 && pads == 0) letters++;
        else if (c != ' ' && c != '\t' && c != '\r' && c != '\n' && c != '\v' && c != '\f') return false;
    }
    return pads == 0 ? letters % 4 != 1 : pads <= 2 && (letters + pads) % 4 == 0;
}

static void kernel_unbase64(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        uint8_t *room = eval_alloc(eval, t.size_bytes + 1);
        if (!room) return;
        size_t size_bytes;
        if (unbase64(t, room, &size_bytes)) out_set_view(out, row, (char *)room, size_bytes);
        else eval_fail_value(eval, row, "CONVERSION_INVALID_INPUT", "The text is not whole in base 64; try_to_binary gives NULL instead", t.bytes, t.size_bytes);
    }
}

// hex

static const char hex_digits[] = "0123456789ABCDEF";

static void kernel_hex_bytes(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        char local[STRING_INLINE_MAX];
        char *room = text_room(local, t.size_bytes * 2, row, eval);
        if (!room) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        for (size_t k = 0; k < t.size_bytes; k++) {
            room[2 * k] = hex_digits[(uint8_t)t.bytes[k] >> 4];
            room[2 * k + 1] = hex_digits[(uint8_t)t.bytes[k] & 15];
        }
        out_set_view(out, row, room, t.size_bytes * 2);
    }
}

static void kernel_hex_long(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        uint64_t value = (uint64_t)((const int64_t *)args[0]->values)[row];
        char text[16];
        size_t at = sizeof text;
        do {
            text[--at] = hex_digits[value & 15];
            value >>= 4;
        } while (value);
        out_set_string(out, row, text + at, sizeof text - at, eval);
    }
}

static enum status hex_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (type_is_numeric(b->args[0]->type)) {
        b->args[0] = expr_cast(b->arena, b->args[0], &type_bigint, CAST_IMPLICIT);
        if (!b->args[0]) return error_no_memory(e);
        b->kernel = kernel_hex_long;
        b->result = &type_string;
        return STATUS_OK;
    }
    return binding_signature(b, b->args[0]->type->id == TYPE_BINARY ? "(BINARY) -> STRING" : "(STRING) -> STRING", e);
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// An odd first digit stands alone. False: a character is no digit.
static bool unhex(struct text t, uint8_t *out, size_t *size_bytes) {
    size_t used = 0, at = 0;
    if (t.size_bytes % 2) {
        int value = hex_value(t.bytes[at++]);
        if (value < 0) return false;
        out[used++] = (uint8_t)value;
    }
    for (; at < t.size_bytes; at += 2) {
        int high = hex_value(t.bytes[at]), low = hex_value(t.bytes[at + 1]);
        if (high < 0 || low < 0) return false;
        out[used++] = (uint8_t)(high << 4 | low);
    }
    *size_bytes = used;
    return true;
}

static void kernel_unhex(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        size_t size_bytes;
        uint8_t *room = eval_alloc(eval, t.size_bytes / 2 + 1);
        if (!room) return;
        if (unhex(t, room, &size_bytes)) out_set_view(out, row, (char *)room, size_bytes);
        else out_set_null(out, row);
    }
}

// to_binary(text, format): hex, utf-8 or base64

static inline void to_binary_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_format, bool try) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), format = has_format ? text_at(args[1], row) : text_of("hex");
        uint8_t *room = eval_alloc(eval, t.size_bytes + 1);
        if (!room) return;
        size_t size_bytes = 0;
        bool good = true;
        char name[8] = "";
        if (format.size_bytes < sizeof name) memcpy(name, format.bytes, format.size_bytes);
        if (!strcasecmp(name, "utf-8") || !strcasecmp(name, "utf8")) {
            size_bytes = t.size_bytes;
            if (size_bytes) memcpy(room, t.bytes, size_bytes);
        } else if (!strcasecmp(name, "base64")) {
            good = is_strict_base64(t) && unbase64(t, room, &size_bytes);
        } else {
            good = !strcasecmp(name, "hex") && unhex(t, room, &size_bytes);
        }
        if (good) out_set_view(out, row, (char *)room, size_bytes);
        else if (try) out_set_null(out, row);
        else eval_fail_value(eval, row, "CONVERSION_INVALID_INPUT", "The text cannot be converted to binary in this format", t.bytes, t.size_bytes);
    }
}

static void kernel_to_binary(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    to_binary_rows(args, out, rows, eval, false, false);
}
static void kernel_to_binary_format(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    to_binary_rows(args, out, rows, eval, true, false);
}
static void kernel_try_to_binary(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    to_binary_rows(args, out, rows, eval, false, true);
}
static void kernel_try_to_binary_format(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    to_binary_rows(args, out, rows, eval, true, true);
}

static enum status to_binary_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING?) -> BINARY", e));
    if (b->arg_count == 2) b->kernel = kernel_to_binary_format;
    return STATUS_OK;
}
static enum status try_to_binary_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING?) -> BINARY", e));
    if (b->arg_count == 2) b->kernel = kernel_try_to_binary_format;
    b->nullable = true;
    return STATUS_OK;
}

static const struct function base64_list[] = {
    {"base64", "(BINARY) -> STRING", kernel_base64, NULL, 0, "In base 64, in lines of 76 characters", "base64('Spark SQL')", "U3BhcmsgU1FM"},
    {"unbase64", "(STRING) -> BINARY", kernel_unbase64, NULL, FUNCTION_CAN_FAIL, "The bytes of a text in base 64", "CAST(unbase64('U3BhcmsgU1FM') AS STRING)", "Spark SQL"},
    {"hex", "(BIGINT) -> STRING | (BINARY) -> STRING | (STRING) -> STRING", kernel_hex_bytes, hex_bind, 0, "In hexadecimal", "hex(17)", "11"},
    {"unhex", "(STRING) -> BINARY", kernel_unhex, NULL, FUNCTION_MAY_BE_NULL, "The bytes of a text in hexadecimal; NULL if it is none",
     "CAST(unhex('537061726B2053514C') AS STRING)", "Spark SQL"},
    {"to_binary", "(STRING, STRING?) -> BINARY", kernel_to_binary, to_binary_bind, FUNCTION_CAN_FAIL, "The bytes of a text in 'hex', 'utf-8' or 'base64'",
     "CAST(to_binary('abc', 'utf-8') AS STRING)", "abc"},
    {"try_to_binary", "(STRING, STRING?) -> BINARY", kernel_try_to_binary, try_to_binary_bind, 0, "As to_binary; NULL where the text does not fit the format",
     "try_to_binary('zz', 'hex')", "NULL"},
};

const struct function_table base64_functions = {base64_list, sizeof base64_list / sizeof base64_list[0], "binary"};
