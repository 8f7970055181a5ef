// SPDX-License-Identifier: Apache-2.0
// string_case.c: upper, lower, initcap.
//
// ASCII is done byte by byte. The rest is Unicode's full mapping, as Java has it: one character may become several (ß → SS, İ → i̇), and a
// sigma at the end of a word is ς. utf8proc knows the simple mappings; the unconditional full ones stand in a table here
// (Unicode's SpecialCasing.txt, without the Greek letters with iota below).
#include "expr/functions.h"
#include "expr/string_text.h"
#include <utf8proc.h>

struct full_mapping {
    uint32_t character;
    uint32_t upper[3];   // zero-terminated unless full
};

static const struct full_mapping full_upper[] = {
    {0x00DF, {0x53, 0x53}},           {0x0149, {0x02BC, 0x4E}},         {0x01F0, {0x4A, 0x030C}},          {0x0390, {0x0399, 0x0308, 0x0301}},
    {0x03B0, {0x03A5, 0x0308, 0x0301}}, {0x0587, {0x0535, 0x0552}},     {0x1E96, {0x48, 0x0331}},          {0x1E97, {0x54, 0x0308}},
    {0x1E98, {0x57, 0x030A}},         {0x1E99, {0x59, 0x030A}},         {0x1E9A, {0x41, 0x02BE}},          {0x1F50, {0x03A5, 0x0313}},
    {0x1F52, {0x03A5, 0x0313, 0x0300}}, {0x1F54, {0x03A5, 0x0313, 0x0301}}, {0x1F56, {0x03A5, 0x0313, 0x0342}}, {0x1FB6, {0x0391, 0x0342}},
    {0x1FC6, {0x0397, 0x0342}},       {0x1FD2, {0x0399, 0x0308, 0x0300}}, {0x1FD3, {0x0399, 0x0308, 0x0301}}, {0x1FD6, {0x0399, 0x0342}},
    {0x1FD7, {0x0399, 0x0308, 0x0342}}, {0x1FE2, {0x03A5, 0x0308, 0x0300}}, {0x1FE3, {0x03A5, 0x0308, 0x0301}}, {0x1FE4, {0x03A1, 0x0313}},
    {0x1FE6, {0x03A5, 0x0342}},       {0x1FE7, {0x03A5, 0x0308, 0x0342}}, {0x1FF6, {0x03A9, 0x0342}},        {0xFB00, {0x46, 0x46}},
    {0xFB01, {0x46, 0x49}},           {0xFB02, {0x46, 0x4C}},           {0xFB03, {0x46, 0x46, 0x49}},      {0xFB04, {0x46, 0x46, 0x4C}},
    {0xFB05, {0x53, 0x54}},           {0xFB06, {0x53, 0x54}},           {0xFB13, {0x0544, 0x0546}},        {0xFB14, {0x0544, 0x0535}},
    {0xFB15, {0x0544, 0x053B}},       {0xFB16, {0x054E, 0x0546}},       {0xFB17, {0x0544, 0x053D}},
};

enum { CASE_GROWTH = 3, CASE_MAX_BYTES = TEXT_MAX_BYTES / (4 * CASE_GROWTH) };
enum letter_case { CASE_UPPER, CASE_LOWER, CASE_TITLE };

static uint32_t simple_case(uint32_t character, enum letter_case wanted) {
    utf8proc_int32_t c = (utf8proc_int32_t)character;
    return (uint32_t)(wanted == CASE_UPPER ? utf8proc_toupper(c) : wanted == CASE_LOWER ? utf8proc_tolower(c) : utf8proc_totitle(c));
}

static bool is_cased(uint32_t character) {
    utf8proc_category_t category = utf8proc_category((utf8proc_int32_t)character);
    return category == UTF8PROC_CATEGORY_LU || category == UTF8PROC_CATEGORY_LL || category == UTF8PROC_CATEGORY_LT;
}

// A sigma is final after a cased letter and before none; marks between do not count.
static bool sigma_is_final(struct text t, size_t at) {
    size_t before = at, length;
    bool cased_before = false;
    while (before > 0) {
        size_t begin = before - 1;
        while (begin > 0 && ((uint8_t)t.bytes[begin] & 0xC0) == 0x80) begin--;
        uint32_t c = utf8_decode(t.bytes + begin, before - begin, &length);
        before = begin;
        if (utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN) continue;
        cased_before = is_cased(c);
        break;
    }
    if (!cased_before) return false;
    for (size_t after = at + 2; after < t.size_bytes; after += length) {
        uint32_t c = utf8_decode(t.bytes + after, t.size_bytes - after, &length);
        if (utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN) continue;
        return !is_cased(c);
    }
    return true;
}

static size_t put_characters(const uint32_t *characters, size_t count, char *out) {
    size_t used = 0;
    for (size_t i = 0; i < count && characters[i]; i++) used += utf8_encode(characters[i], out + used);
    return used;
}

// Writes the character at t.bytes[at] in the wanted case: at most 3 characters, 4 bytes each.
static size_t map_character(struct text t, size_t at, uint32_t c, enum letter_case wanted, char *out) {
    if (wanted == CASE_LOWER) {
        if (c == 0x0130) return put_characters((const uint32_t[]){0x69, 0x0307}, 2, out);
        if (c == 0x03A3) return utf8_encode(sigma_is_final(t, at) ? 0x03C2 : 0x03C3, out);
        return utf8_encode(simple_case(c, wanted), out);
    }
    for (size_t i = 0; c >= 0xDF && i < sizeof full_upper / sizeof full_upper[0]; i++) {
        if (full_upper[i].character != c) continue;
        size_t used = put_characters(full_upper[i].upper, 1, out);
        for (size_t k = 1; k < 3 && full_upper[i].upper[k]; k++)
            used += utf8_encode(wanted == CASE_TITLE ? simple_case(full_upper[i].upper[k], CASE_LOWER) : full_upper[i].upper[k], out + used);
        return used;
    }
    return utf8_encode(simple_case(c, wanted), out);
}

// CASE_TITLE: the first letter of each word as a title, the others lower; words are parted by blanks.
static size_t map_text(struct text t, enum letter_case wanted, char *out) {
    size_t used = 0, length;
    bool word_begins = true;
    for (size_t at = 0; at < t.size_bytes; at += length) {
        uint32_t c = utf8_decode(t.bytes + at, t.size_bytes - at, &length);
        enum letter_case here = wanted == CASE_TITLE && !word_begins ? CASE_LOWER : wanted;
        word_begins = c == ' ';
        bool is_broken = c == 0xFFFD && length == 1;
        if (is_broken) out[used++] = t.bytes[at];
        else used += map_character(t, at, c, here, out + used);
    }
    return used;
}

static void map_ascii(struct text t, enum letter_case wanted, char *out) {
    bool word_begins = true;
    for (size_t i = 0; i < t.size_bytes; i++) {
        char c = t.bytes[i];
        bool upper = wanted == CASE_UPPER || (wanted == CASE_TITLE && word_begins);
        word_begins = c == ' ';
        if (upper) out[i] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c);
        else out[i] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
}

static void map_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, enum letter_case wanted) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        bool ascii = ascii_only(t.bytes, t.size_bytes);
        if (!ascii && t.size_bytes > CASE_MAX_BYTES) {
            eval_fail(eval, row, "COLLECTION_SIZE_LIMIT_EXCEEDED.FUNCTION", "The text is too long to change its case");
            continue;
        }
        char local[STRING_INLINE_MAX];
        char *bytes = text_room(local, ascii ? t.size_bytes : t.size_bytes * 4 * CASE_GROWTH, row, eval);
        if (!bytes) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        size_t used = t.size_bytes;
        if (ascii) map_ascii(t, wanted, bytes);
        else used = map_text(t, wanted, bytes);
        out_set_view(out, row, bytes, used);
    }
}

static void kernel_upper(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    map_rows(args, out, rows, eval, CASE_UPPER);
}
static void kernel_lower(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    map_rows(args, out, rows, eval, CASE_LOWER);
}
static void kernel_initcap(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    map_rows(args, out, rows, eval, CASE_TITLE);
}

static const struct function case_list[] = {
    {"upper", "(STRING) -> STRING", kernel_upper, NULL, 0, "In capitals", "upper('SparkSql')", "SPARKSQL"},
    {"ucase", "(STRING) -> STRING", kernel_upper, NULL, 0, "In capitals", "ucase('SparkSql')", "SPARKSQL"},
    {"lower", "(STRING) -> STRING", kernel_lower, NULL, 0, "In small letters", "lower('SparkSql')", "sparksql"},
    {"lcase", "(STRING) -> STRING", kernel_lower, NULL, 0, "In small letters", "lcase('SparkSql')", "sparksql"},
    {"initcap", "(STRING) -> STRING", kernel_initcap, NULL, 0, "The first letter of each word a capital, the others small", "initcap('sPark sql')", "Spark Sql"},
};

const struct function_table case_functions = {case_list, sizeof case_list / sizeof case_list[0], "string"};
