// SPDX-License-Identifier: Apache-2.0
// scan.h: the lexical floor of json/: a cursor over one document, blanks, strings, numbers, literals.
//
// A cursor never reads outside [begin, end): no padding is asked of the caller. Wide loads near the end are done backwards from it.
// The byte search in strings and the skipping of whole values come in variants for the processor (json_scanner); each has the scalar
// one as its twin in the tests. Functions return false where the text is not JSON; the cursor is then of no further use.
#pragma once
#include "base/buffer.h"
#include "base/utf8.h"
#include <string.h>
#if defined(__x86_64__)
#include <emmintrin.h>
#endif

struct json_options;

enum json_flag {
    JSON_FLAG_COMMENTS = 1 << 0,
    JSON_FLAG_UNQUOTED_NAMES = 1 << 1,
    JSON_FLAG_SINGLE_QUOTES = 1 << 2,
    JSON_FLAG_LEADING_ZEROS = 1 << 3,
    JSON_FLAG_NON_NUMERIC = 1 << 4,      // NaN, Infinity, -Infinity, -INF
    JSON_FLAG_ANY_ESCAPE = 1 << 5,
    JSON_FLAG_CONTROL = 1 << 6,          // control characters in strings as they are
    JSON_FLAG_STRICT_UTF8 = 1 << 7,      // broken UTF-8 is an error; otherwise it is replaced by U+FFFD where a value is taken
};

enum { JSON_DEPTH_DEFAULT = 1000, JSON_DEPTH_MAX = 8192, JSON_HEAD_BYTES = 16 };

struct json_cursor {
    const char *next;
    const char *end;
    const char *begin;
    const struct json_scanner *scanner;
    uint32_t flags;        // enum json_flag
    uint32_t depth;        // of the containers around `next`
    uint32_t depth_limit;  // ≤ JSON_DEPTH_MAX
};

// What differs by processor. `find_special`: the first byte in [p, end) that is '"', '\\' or below 0x20, else end; *high becomes nonzero
// if a byte before it is above 0x7f. `skip_value`: past the value that begins at next (no blanks before it), checking all of it.
struct json_scanner {
    const char *name;
    unsigned lanes;  // bytes looked at once
    const char *(*find_special)(const char *begin, const char *p, const char *end, uint32_t *high);
    bool (*skip_value)(struct json_cursor *c);
};
const struct json_scanner *json_scanner_best(void);
// The variants this processor can run, the scalar one first. Returns how many were written to `out`.
size_t json_scanner_list(const struct json_scanner **out, size_t capacity);

static inline void json_cursor_init(struct json_cursor *c, const char *text, size_t size_bytes, uint32_t flags, uint32_t depth_limit,
                                    const struct json_scanner *scanner) {
    c->begin = text ? text : "";
    c->next = c->begin;
    c->end = c->begin + size_bytes;
    c->scanner = scanner;
    c->flags = flags;
    c->depth = 0;
    c->depth_limit = depth_limit == 0 ? JSON_DEPTH_DEFAULT : depth_limit > JSON_DEPTH_MAX ? JSON_DEPTH_MAX : depth_limit;
}
uint32_t json_flags_of(const struct json_options *o);

void json_skip_comments(struct json_cursor *c);  // blanks and comments

static inline bool json_is_blank(char byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }
static inline void json_skip_blanks(struct json_cursor *c) {
    while (c->next < c->end && json_is_blank(*c->next)) c->next++;
    if (__builtin_expect((c->flags & JSON_FLAG_COMMENTS) != 0, 0)) json_skip_comments(c);
}
// The byte after blanks, without taking it; -1 at the end.
static inline int json_peek(struct json_cursor *c) {
    if (__builtin_expect(c->next < c->end && (unsigned char)*c->next > ' ' && *c->next != '/', 1)) return (unsigned char)*c->next;
    json_skip_blanks(c);
    return c->next < c->end ? (unsigned char)*c->next : -1;
}

// A string's bytes between its quotes.
enum { JSON_STRING_ESCAPED = 1, JSON_STRING_HIGH = 2 };
struct json_string {
    const char *bytes;
    size_t size_bytes;
    uint32_t marks;  // ESCAPED: has backslashes; HIGH: has bytes above 0x7f (valid UTF-8 under JSON_FLAG_STRICT_UTF8, else unchecked)
};
// Goes on from `p` within a string that began at next; `quote` is " or '. On failure the cursor stands where Jackson's would: behind the
// byte that was wrong, or at the end.
bool json_scan_string_rest(struct json_cursor *c, const char *p, char quote, uint32_t high, struct json_string *out);

// The cursor stands after the opening double quote; afterwards behind the closing one.
static inline bool json_scan_string(struct json_cursor *c, struct json_string *out) {
    const char *p = c->next;
#if defined(__x86_64__)
    if (__builtin_expect(c->end - p >= JSON_HEAD_BYTES, 1)) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                                       _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes));
        uint32_t mask = (uint32_t)_mm_movemask_epi8(special);
        uint32_t high = (uint32_t)_mm_movemask_epi8(bytes);
        if (mask) {
            uint32_t at = (uint32_t)__builtin_ctz(mask);
            if (__builtin_expect(p[at] == '"' && !(high & ((1u << at) - 1)), 1)) {
                *out = (struct json_string){.bytes = p, .size_bytes = at};
                c->next = p + at + 1;
                return true;
            }
            return json_scan_string_rest(c, p, '"', 0, out);
        }
        return json_scan_string_rest(c, p + JSON_HEAD_BYTES, '"', high, out);
    }
#endif
    return json_scan_string_rest(c, p, '"', 0, out);
}
// Any string the options allow: the cursor stands on its opening quote. False if there is none.
bool json_scan_quoted(struct json_cursor *c, struct json_string *out);
// An object's key with its colon. The cursor stands on the key's first byte; afterwards on the first byte of the value.
bool json_scan_key(struct json_cursor *c, struct json_string *out);
// The bytes that a string stands for. `out` has room for json_string_capacity bytes. Unpaired surrogates become '?', as in Java;
// broken UTF-8 becomes U+FFFD. Returns the length.
size_t json_string_decode(const struct json_string *s, char *out);
static inline size_t json_string_capacity(const struct json_string *s) { return s->size_bytes * (s->marks & JSON_STRING_HIGH ? 3 : 1) + 4; }
// True if the value's bytes are the string's bytes, so that a view will do.
static inline bool json_string_is_plain(const struct json_string *s) {
    return s->marks == 0 || (s->marks == JSON_STRING_HIGH && utf8_valid(s->bytes, s->size_bytes));
}
// Length of the escape sequence at p (a backslash); 0: not allowed.
size_t json_escape_length(const char *p, const char *end, uint32_t flags);

// A number as scanned: the value is (negative ? −1 : 1) · mantissa · 10^exponent unless `inexact`, when the text must be read again.
enum json_number_kind { JSON_NUMBER_INTEGER, JSON_NUMBER_FRACTION, JSON_NUMBER_WORD };
struct json_number {
    const char *bytes;
    uint32_t size_bytes;
    uint8_t kind;        // FRACTION: with a point or an exponent; WORD: NaN, Infinity …, value in `word`
    bool negative;
    bool inexact;        // more than 19 digits, or an exponent out of all bounds
    uint64_t mantissa;
    int32_t exponent;
    double word;
};
// The cursor stands on '-', a digit, or a letter of NaN or Infinity.
bool json_scan_number(struct json_cursor *c, struct json_number *out);

// The literal's first byte has been seen at next.
static inline bool json_scan_literal(struct json_cursor *c, const char *word, size_t size_bytes) {
    if ((size_t)(c->end - c->next) < size_bytes || memcmp(c->next, word, size_bytes) != 0) return false;
    c->next += size_bytes;
    return true;
}
// Skips the value after blanks.
static inline bool json_skip_value(struct json_cursor *c) {
    return json_peek(c) >= 0 && c->scanner->skip_value(c);
}
