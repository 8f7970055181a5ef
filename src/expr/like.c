// SPDX-License-Identifier: Apache-2.0
// like.c: LIKE and ILIKE.
//
// A pattern becomes a list of pieces between its % signs; a piece is text with _ marked. A constant pattern is read once, when the call is
// bound, and the usual shapes ('abc', 'abc%', '%abc', '%abc%' without _) compare bytes alone. Pieces are found leftmost first, so that no
// pattern needs backtracking: time is at most text × pattern.
#include "base/utf8.h"
#include "expr/program.h"
#include "operator.h"
#include <utf8proc.h>

enum like_shape { LIKE_EXACT, LIKE_PREFIX, LIKE_SUFFIX, LIKE_CONTAINS, LIKE_GENERAL };

struct piece {
    const char *bytes;           // characters; where `any` says so, one stands for any character
    const uint8_t *any;          // per byte: 1 at the first byte of a wildcard
    uint32_t size_bytes;
    bool has_any;
};

struct pattern_text {
    enum like_shape shape;
    struct piece *pieces;        // pieces[0] % pieces[1] % … ; one more than there are %
    uint32_t piece_count;
};

struct like_data {
    bool ignore_case;
    char escape[4];
    size_t escape_bytes;
    const struct pattern_text *constant;  // NULL: the pattern is a column
};

static const char *const escape_at_end = "INVALID_FORMAT.ESC_AT_THE_END";
static const char *const escape_in_middle = "INVALID_FORMAT.ESC_IN_THE_MIDDLE";

static enum like_shape shape_of(const struct pattern_text *p) {
    for (uint32_t i = 0; i < p->piece_count; i++)
        if (p->pieces[i].has_any) return LIKE_GENERAL;
    if (p->piece_count == 1) return LIKE_EXACT;
    if (p->piece_count == 2 && !p->pieces[1].size_bytes) return LIKE_PREFIX;
    if (p->piece_count == 2 && !p->pieces[0].size_bytes) return LIKE_SUFFIX;
    if (p->piece_count == 3 && !p->pieces[0].size_bytes && !p->pieces[2].size_bytes) return LIKE_CONTAINS;
    return LIKE_GENERAL;
}

// Reads a pattern; *wrong: the condition if it is none.
static enum status read_pattern(struct arena *a, const struct like_data *d, const char *s, size_t n, struct pattern_text **out, const char **wrong) {
    struct pattern_text *p = arena_alloc_zeroed(a, sizeof *p);
    char *bytes = arena_alloc(a, n + 1);
    uint8_t *any = arena_alloc_zeroed(a, n + 1);
    uint32_t count = 1;
    for (size_t i = 0; i < n; i++) count += s[i] == '%';
    if (!p || !bytes || !any) return STATUS_NO_MEMORY;
    p->pieces = arena_alloc_array(a, count, sizeof *p->pieces);
    if (!p->pieces) return STATUS_NO_MEMORY;
    p->piece_count = 1;
    struct piece *piece = &p->pieces[0];
    size_t used = 0;
    *piece = (struct piece){.bytes = bytes, .any = any};
    for (size_t i = 0; i < n;) {
        bool escaped = d->escape_bytes && n - i >= d->escape_bytes && memcmp(s + i, d->escape, d->escape_bytes) == 0;
        if (escaped) {
            i += d->escape_bytes;
            bool again = n - i >= d->escape_bytes && memcmp(s + i, d->escape, d->escape_bytes) == 0;
            if (i == n) return *wrong = escape_at_end, STATUS_OK;
            if (s[i] != '%' && s[i] != '_' && !again) return *wrong = escape_in_middle, STATUS_OK;
        } else if (s[i] == '%') {
            i++;
            piece = &p->pieces[p->piece_count++];
            *piece = (struct piece){.bytes = bytes + used, .any = any + used};
            continue;
        } else if (s[i] == '_') {
            piece->has_any = true;
            any[used] = 1;
        }
        size_t length;
        (void)utf8_decode(s + i, n - i, &length);
        memcpy(bytes + used, s + i, length);
        used += length;
        piece->size_bytes += (uint32_t)length;
        i += length;
    }
    p->shape = shape_of(p);
    *out = p;
    return STATUS_OK;
}

// Length of the text that the piece takes at s, or -1 if it does not stand there.
static ptrdiff_t piece_at(const struct piece *p, const char *s, size_t n) {
    if (!p->has_any) return n >= p->size_bytes && memcmp(s, p->bytes, p->size_bytes) == 0 ? (ptrdiff_t)p->size_bytes : -1;
    size_t at = 0;
    for (uint32_t i = 0; i < p->size_bytes;) {
        if (at >= n) return -1;
        if (p->any[i]) {
            size_t length;
            (void)utf8_decode(s + at, n - at, &length);
            at += length;
            i++;
        } else {
            if (s[at++] != p->bytes[i++]) return -1;
        }
    }
    return (ptrdiff_t)at;
}

static size_t next_character(const char *s, size_t n) {
    size_t length;
    (void)utf8_decode(s, n, &length);
    return length;
}

// The last piece must end the text: with wildcards its length in characters is fixed, so count back.
static bool ends_with(const struct piece *p, const char *s, size_t n) {
    if (!p->has_any) return n >= p->size_bytes && memcmp(s + n - p->size_bytes, p->bytes, p->size_bytes) == 0;
    for (size_t at = 0; at <= n; at += at < n ? next_character(s + at, n - at) : 1)
        if (piece_at(p, s + at, n - at) == (ptrdiff_t)(n - at)) return true;
    return false;
}

static bool matches_general(const struct pattern_text *p, const char *s, size_t n) {
    ptrdiff_t head = piece_at(&p->pieces[0], s, n);
    if (head < 0) return false;
    if (p->piece_count == 1) return (size_t)head == n;
    s += head;
    n -= (size_t)head;
    for (uint32_t i = 1; i + 1 < p->piece_count; i++) {
        const struct piece *piece = &p->pieces[i];
        if (!piece->has_any) {
            const char *found = piece->size_bytes ? memmem(s, n, piece->bytes, piece->size_bytes) : s;
            if (!found) return false;
            n -= (size_t)(found - s) + piece->size_bytes;
            s = found + piece->size_bytes;
            continue;
        }
        ptrdiff_t length;
        while ((length = piece_at(piece, s, n)) < 0) {
            if (!n) return false;
            size_t step = next_character(s, n);
            s += step;
            n -= step;
        }
        s += length;
        n -= (size_t)length;
    }
    return ends_with(&p->pieces[p->piece_count - 1], s, n);
}

static bool matches(const struct pattern_text *p, const char *s, size_t n) {
    const struct piece *first = &p->pieces[0];
    switch (p->shape) {
    case LIKE_EXACT: return n == first->size_bytes && memcmp(s, first->bytes, n) == 0;
    case LIKE_PREFIX: return n >= first->size_bytes && memcmp(s, first->bytes, first->size_bytes) == 0;
    case LIKE_SUFFIX: return ends_with(&p->pieces[1], s, n);
    case LIKE_CONTAINS: return memmem(s, n, p->pieces[1].bytes, p->pieces[1].size_bytes) != NULL;
    case LIKE_GENERAL: break;
    }
    return matches_general(p, s, n);
}

// Lower case, character by character; false: no memory.
static bool fold_case(struct arena *a, const struct string_view *v, const char **out, size_t *size_bytes) {
    const char *s = string_view_data(v);
    char *folded = arena_alloc(a, (size_t)v->size_bytes * 4 + 4);
    if (!folded) return false;
    size_t used = 0;
    for (size_t i = 0; i < v->size_bytes;) {
        size_t length;
        uint32_t c = utf8_decode(s + i, v->size_bytes - i, &length);
        if (c < 0x80) folded[used++] = (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
        else used += utf8_encode((uint32_t)utf8proc_tolower((utf8proc_int32_t)c), folded + used);
        i += length;
    }
    *out = folded;
    *size_bytes = used;
    return true;
}

static void match_row(const struct like_data *d, const struct string_view *text, const struct string_view *pattern, struct column *out, uint32_t row,
                      struct eval *eval) {
    const struct pattern_text *p = d->constant;
    const char *s = string_view_data(text);
    size_t n = text->size_bytes;
    if (d->ignore_case && !fold_case(eval->arena, text, &s, &n)) eval->status = STATUS_NO_MEMORY;
    if (!p && eval->status == STATUS_OK) {
        const char *wrong = NULL, *q = string_view_data(pattern);
        size_t m = pattern->size_bytes;
        struct pattern_text *read = NULL;
        if ((d->ignore_case && !fold_case(eval->arena, pattern, &q, &m)) || read_pattern(eval->arena, d, q, m, &read, &wrong) != STATUS_OK)
            eval->status = STATUS_NO_MEMORY;
        if (wrong) eval_fail(eval, row, wrong, "the pattern of LIKE is malformed around its escape character");
        p = read;
    }
    if (p) ((uint8_t *)out->values)[row] = matches(p, s, n);
}

void kernel_like(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct like_data *d = eval->call->data;
    const struct string_view *text = args[0]->values, *pattern = args[1]->values;
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        match_row(d, &text[row], &pattern[row], out, row, eval);
    }
}

static enum status bind_pattern(struct binding *b, struct like_data *d, struct error *e) {
    if (!expr_is_constant(b->args[1])) return STATUS_OK;
    const struct column *value;
    TRY(binding_constant(b, 1, &value, e));
    if (!value) return STATUS_OK;
    const struct string_view *v = value->values;
    const char *s = string_view_data(v), *wrong = NULL;
    size_t n = v->size_bytes;
    struct pattern_text *p = NULL;
    if (d->ignore_case && !fold_case(b->arena, v, &s, &n)) return error_no_memory(e);
    if (read_pattern(b->arena, d, s, n, &p, &wrong) != STATUS_OK) return error_no_memory(e);
    if (wrong) {
        error_set(e, STATUS_INVALID_QUERY, wrong, wrong == escape_at_end ? "the pattern ends with its escape character"
                                                                        : "the escape character stands before something that needs none; only %%, _ and itself may follow");
        if (e) e->span = span_known(b->args[1]->span) ? b->args[1]->span : b->span;
        return STATUS_INVALID_QUERY;
    }
    d->constant = p;
    return STATUS_OK;
}

static enum status bind_escape(struct binding *b, struct like_data *d, struct error *e) {
    d->escape[0] = '\\';
    d->escape_bytes = 1;
    if (b->arg_count < 3) return STATUS_OK;
    const struct column *value;
    TRY(binding_constant(b, 2, &value, e));
    const struct string_view *v = value ? value->values : NULL;
    if (!v || utf8_length(string_view_data(v), v->size_bytes) != 1) {
        error_set(e, STATUS_INVALID_QUERY, "INVALID_ESC", "ESCAPE takes exactly one character");
        if (e) e->span = span_known(b->args[2]->span) ? b->args[2]->span : b->span;
        return STATUS_INVALID_QUERY;
    }
    d->escape_bytes = v->size_bytes;
    memcpy(d->escape, string_view_data(v), v->size_bytes);
    return STATUS_OK;
}

static enum status bind_any_case(struct binding *b, bool ignore_case, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING, STRING?) -> BOOLEAN", e));
    struct like_data *d = arena_alloc_zeroed(b->arena, sizeof *d);
    if (!d) return error_no_memory(e);
    d->ignore_case = ignore_case;
    TRY(bind_escape(b, d, e));
    TRY(bind_pattern(b, d, e));
    b->data = d;
    b->nullable = b->args[0]->nullable || b->args[1]->nullable;
    return STATUS_OK;
}

enum status bind_like(struct binding *b, struct error *e) { return bind_any_case(b, false, e); }
enum status bind_ilike(struct binding *b, struct error *e) { return bind_any_case(b, true, e); }
