// SPDX-License-Identifier: Apache-2.0
// string_search.c: where a text stands in another, and replacing it: instr, locate, contains, find_in_set, replace, translate; and how
// alike two are: levenshtein, soundex. Positions count characters from 1; 0 is "not there".
#include "expr/functions.h"
#include "expr/string_text.h"

static int32_t characters_before(struct text t, ptrdiff_t at) { return (int32_t)utf8_length(t.bytes, (size_t)at); }

static void kernel_instr(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        ptrdiff_t at = text_find(t, text_at(args[1], row), 0);
        ((int32_t *)out->values)[row] = at < 0 ? 0 : characters_before(t, at) + 1;
    }
}

// locate: a NULL start finds nothing, as in Spark, so that this kernel sees NULLs.
static void kernel_locate(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int32_t *result = (int32_t *)out->values + row;
        *result = 0;
        if (!column_is_valid(args[2], row)) continue;
        if (!column_is_valid(args[0], row) || !column_is_valid(args[1], row)) {
            out_set_null(out, row);
            continue;
        }
        int64_t start = int_at(args[2], row);
        struct text needle = text_at(args[0], row), t = text_at(args[1], row);
        if (start < 1) continue;
        if (!needle.size_bytes) {
            *result = 1;
            continue;
        }
        size_t from = utf8_offset(t.bytes, t.size_bytes, (size_t)(start - 1));
        ptrdiff_t at = text_find(t, needle, from);
        if (at >= 0) *result = characters_before(t, at) + 1;
    }
}

static enum status locate_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    if (b->arg_count == 2) {
        struct expr **longer = arena_alloc_array(b->arena, 3, sizeof *longer);
        if (!longer || !(longer[2] = expr_int(b->arena, 1))) return error_no_memory(e);
        longer[0] = b->args[0];
        longer[1] = b->args[1];
        b->args = longer;
        b->arg_count = 3;
    }
    bool nullable = b->args[0]->nullable || b->args[1]->nullable;
    TRY(binding_signature(b, "(STRING, STRING, INT) -> INT", e));
    b->nullable = nullable || b->args[0]->nullable || b->args[1]->nullable;
    return STATUS_OK;
}

static void kernel_contains(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((uint8_t *)out->values)[row] = text_find(text_at(args[0], row), text_at(args[1], row), 0) >= 0;
    }
}

static void kernel_startswith(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), prefix = text_at(args[1], row);
        ((uint8_t *)out->values)[row] = prefix.size_bytes <= t.size_bytes && text_equal((struct text){t.bytes, prefix.size_bytes}, prefix);
    }
}

static void kernel_endswith(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), suffix = text_at(args[1], row);
        ((uint8_t *)out->values)[row] =
            suffix.size_bytes <= t.size_bytes && text_equal((struct text){t.bytes + t.size_bytes - suffix.size_bytes, suffix.size_bytes}, suffix);
    }
}

static enum status two_texts_bind(struct binding *b, struct error *e) {
    bool binary = b->arg_count == 2 && binding_all_of(b, 0, 2, TYPE_BINARY);
    return binding_signature(b, binary ? "(BINARY, BINARY) -> BOOLEAN" : "(STRING, STRING) -> BOOLEAN", e);
}

static int32_t find_in_set(struct text word, struct text set) {
    if (memchr(word.bytes, ',', word.size_bytes)) return 0;
    int32_t index = 1;
    size_t begin = 0;
    for (size_t at = 0; at <= set.size_bytes; at++) {
        if (at < set.size_bytes && set.bytes[at] != ',') continue;
        if (text_equal((struct text){set.bytes + begin, at - begin}, word)) return index;
        begin = at + 1;
        index++;
    }
    return 0;
}

static void kernel_find_in_set(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = find_in_set(text_at(args[0], row), text_at(args[1], row));
    }
}

// replace

static void replace_row(struct text t, struct text search, struct text replacement, struct column *out, uint32_t row, struct eval *eval) {
    size_t matches = 0;
    if (search.size_bytes) {
        for (ptrdiff_t at = 0; (at = text_find(t, search, (size_t)at)) >= 0; at += (ptrdiff_t)search.size_bytes) matches++;
    }
    if (!matches) {
        out_set_text(out, row, t);
        return;
    }
    size_t kept = t.size_bytes - matches * search.size_bytes;
    if (replacement.size_bytes && matches > (size_t)TEXT_MAX_BYTES / replacement.size_bytes) kept = (size_t)TEXT_MAX_BYTES + 1;
    char local[STRING_INLINE_MAX];
    char *room = text_room(local, kept > TEXT_MAX_BYTES ? kept : kept + matches * replacement.size_bytes, row, eval);
    if (!room) return;
    size_t used = 0, from = 0;
    for (;;) {
        ptrdiff_t at = text_find(t, search, from);
        size_t piece = (at < 0 ? t.size_bytes : (size_t)at) - from;
        if (piece) memcpy(room + used, t.bytes + from, piece);
        used += piece;
        if (at < 0) break;
        if (replacement.size_bytes) memcpy(room + used, replacement.bytes, replacement.size_bytes);
        used += replacement.size_bytes;
        from = (size_t)at + search.size_bytes;
    }
    out_set_view(out, row, room, used);
}

static void kernel_replace(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        replace_row(text_at(args[0], row), text_at(args[1], row), text_at(args[2], row), out, row, eval);
    }
}

static enum status replace_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    if (b->arg_count == 2) {
        struct expr **longer = arena_alloc_array(b->arena, 3, sizeof *longer);
        if (!longer || !(longer[2] = expr_string(b->arena, "", 0))) return error_no_memory(e);
        longer[0] = b->args[0];
        longer[1] = b->args[1];
        b->args = longer;
        b->arg_count = 3;
    }
    return binding_signature(b, "(STRING, STRING, STRING) -> STRING", e);
}

// translate: character by character; the first mention of a character counts

static bool translated(struct text character, struct text from, struct text to, struct text *out) {
    size_t length, to_at = 0;
    for (size_t at = 0; at < from.size_bytes; at += length) {
        utf8_decode(from.bytes + at, from.size_bytes - at, &length);
        size_t to_length = 0;
        if (to_at < to.size_bytes) utf8_decode(to.bytes + to_at, to.size_bytes - to_at, &to_length);
        if (text_equal((struct text){from.bytes + at, length}, character)) {
            *out = (struct text){to.bytes + to_at, to_length};
            return true;
        }
        to_at += to_length;
    }
    return false;
}

static void kernel_translate(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), from = text_at(args[1], row), to = text_at(args[2], row);
        char *room = eval_alloc(eval, t.size_bytes * 4 + 1);
        if (!room) return;
        size_t used = 0, length;
        for (size_t at = 0; at < t.size_bytes; at += length) {
            utf8_decode(t.bytes + at, t.size_bytes - at, &length);
            struct text character = {t.bytes + at, length};
            translated(character, from, to, &character);
            if (character.size_bytes) memcpy(room + used, character.bytes, character.size_bytes);
            used += character.size_bytes;
        }
        out_set_view(out, row, room, used);
    }
}

// levenshtein

enum { LEVENSHTEIN_CELLS_MAX = 100000000 };  // a row's work: beyond 10,000 × 10,000 characters it would stop the stream

static uint32_t *decode_all(struct text t, size_t *count, struct eval *eval) {
    uint32_t *characters = eval_alloc(eval, (t.size_bytes + 1) * sizeof *characters);
    size_t length;
    *count = 0;
    for (size_t at = 0; characters && at < t.size_bytes; at += length) characters[(*count)++] = utf8_decode(t.bytes + at, t.size_bytes - at, &length);
    return characters;
}

static int32_t levenshtein(const uint32_t *a, size_t a_count, const uint32_t *b, size_t b_count, int32_t *distances) {
    for (size_t j = 0; j <= b_count; j++) distances[j] = (int32_t)j;
    for (size_t i = 1; i <= a_count; i++) {
        int32_t diagonal = distances[0];
        distances[0] = (int32_t)i;
        for (size_t j = 1; j <= b_count; j++) {
            int32_t above = distances[j];
            int32_t best = diagonal + (a[i - 1] != b[j - 1]);
            if (above + 1 < best) best = above + 1;
            if (distances[j - 1] + 1 < best) best = distances[j - 1] + 1;
            diagonal = above;
            distances[j] = best;
        }
    }
    return distances[b_count];
}

static inline void levenshtein_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_threshold) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        size_t a_count, b_count;
        uint32_t *a = decode_all(text_at(args[0], row), &a_count, eval);
        uint32_t *b = decode_all(text_at(args[1], row), &b_count, eval);
        if (!a || !b) return;
        if (b_count && a_count > LEVENSHTEIN_CELLS_MAX / b_count) {
            eval_fail(eval, row, "LEAT_LIMIT_EXCEEDED", "levenshtein: the texts are too long");
            continue;
        }
        int32_t *distances = eval_alloc(eval, (b_count + 1) * sizeof *distances);
        if (!distances) return;
        int32_t distance = levenshtein(a, a_count, b, b_count, distances);
        ((int32_t *)out->values)[row] = has_threshold && distance > int_at(args[2], row) ? -1 : distance;
    }
}

static void kernel_levenshtein(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    levenshtein_rows(args, out, rows, eval, false);
}
static void kernel_levenshtein_most(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    levenshtein_rows(args, out, rows, eval, true);
}

static enum status levenshtein_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING, INT?) -> INT", e));
    if (b->arg_count == 3) b->kernel = kernel_levenshtein_most;
    return STATUS_OK;
}

// soundex: American Soundex; a text that does not begin with a letter is left as it is

static char soundex_digit(char c) {
    static const char digits[] = "01230127022455012623017202";  // 7: H and W, which do not part equal digits
    return digits[c - 'A'];
}

static void kernel_soundex(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        char code[4] = "000";
        code[3] = '0';
        char first = t.size_bytes ? (char)(t.bytes[0] & ~0x20) : 0;
        if (first < 'A' || first > 'Z') {
            out_set_text(out, row, t);
            continue;
        }
        code[0] = first;
        size_t used = 1;
        char last = soundex_digit(first);
        for (size_t at = 1; at < t.size_bytes && used < 4; at++) {
            char c = (char)(t.bytes[at] & ~0x20);
            if (c < 'A' || c > 'Z') {
                last = '0';
                continue;
            }
            char digit = soundex_digit(c);
            if (digit == '7') continue;
            if (digit != '0' && digit != last) code[used++] = digit;
            last = digit;
        }
        out_set_view(out, row, code, 4);
    }
}

static const struct function search_list[] = {
    {"instr", "(STRING, STRING) -> INT", kernel_instr, NULL, 0, "Where the second text first stands in the first, from 1; 0 if nowhere", "instr('SparkSQL', 'SQL')", "6"},
    {"locate", "(STRING, STRING, INT?) -> INT", kernel_locate, locate_bind, FUNCTION_HANDLES_NULL,
     "Where the first text stands in the second, at a position or later", "locate('bar', 'foobarbar', 5)", "7"},
    {"position", "(STRING, STRING, INT?) -> INT", kernel_locate, locate_bind, FUNCTION_HANDLES_NULL,
     "Where the first text stands in the second, as locate", "position('bar', 'foobarbar')", "4"},
    {"contains", "(STRING, STRING) -> BOOLEAN | (BINARY, BINARY) -> BOOLEAN", kernel_contains, two_texts_bind, 0, "Whether the first holds the second",
     "contains('Spark SQL', 'Spark')", "true"},
    {"startswith", "(STRING, STRING) -> BOOLEAN | (BINARY, BINARY) -> BOOLEAN", kernel_startswith, two_texts_bind, 0, "Whether the first begins with the second",
     "startswith('Spark SQL', 'Spark')", "true"},
    {"endswith", "(STRING, STRING) -> BOOLEAN | (BINARY, BINARY) -> BOOLEAN", kernel_endswith, two_texts_bind, 0, "Whether the first ends with the second",
     "endswith('Spark SQL', 'SQL')", "true"},
    {"find_in_set", "(STRING, STRING) -> INT", kernel_find_in_set, NULL, 0, "Which item of a list with commas the text is, from 1; 0 if none",
     "find_in_set('ab', 'abc,b,ab,c,def')", "3"},
    {"replace", "(STRING, STRING, STRING?) -> STRING", kernel_replace, replace_bind, 0, "With every occurrence of the second replaced by the third",
     "replace('ABCabc', 'abc', 'DEF')", "ABCDEF"},
    {"translate", "(STRING, STRING, STRING) -> STRING", kernel_translate, NULL, 0,
     "With each character of the second argument changed to that of the third at the same place", "translate('AaBbCc', 'abc', '123')", "A1B2C3"},
    {"levenshtein", "(STRING, STRING, INT?) -> INT", kernel_levenshtein, levenshtein_bind, FUNCTION_CAN_FAIL,
     "How many characters must change to make one text of the other; −1 if more than the limit", "levenshtein('kitten', 'sitting')", "3"},
    {"soundex", "(STRING) -> STRING", kernel_soundex, NULL, 0, "A code of how the word sounds in English", "soundex('Miller')", "M460"},
};

const struct function_table search_functions = {search_list, sizeof search_list / sizeof search_list[0], "string"};
