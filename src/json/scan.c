// SPDX-License-Identifier: Apache-2.0
// scan.c: the slow halves of scan.h: strings with escapes, other quotes, keys, comments; and numbers, whose grammar is all here.
//
// Numbers: -?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)? of RFC 8259; options add leading zeros and the words of Jackson.
#include "json/scan.h"
#include "json/json.h"
#include <math.h>

uint32_t json_flags_of(const struct json_options *o) {
    return (o->allow_comments ? (uint32_t)JSON_FLAG_COMMENTS : 0) | (o->allow_unquoted_field_names ? (uint32_t)JSON_FLAG_UNQUOTED_NAMES : 0) |
           (o->allow_single_quotes ? (uint32_t)JSON_FLAG_SINGLE_QUOTES : 0) | (o->allow_numeric_leading_zeros ? (uint32_t)JSON_FLAG_LEADING_ZEROS : 0) |
           (o->allow_non_numeric_numbers ? (uint32_t)JSON_FLAG_NON_NUMERIC : 0) | (o->allow_backslash_escaping_any ? (uint32_t)JSON_FLAG_ANY_ESCAPE : 0) |
           (o->allow_unquoted_control_characters ? (uint32_t)JSON_FLAG_CONTROL : 0);
}

void json_skip_comments(struct json_cursor *c) {
    for (;;) {
        while (c->next < c->end && json_is_blank(*c->next)) c->next++;
        if (c->end - c->next < 2 || c->next[0] != '/') return;
        const char *p = c->next + 2;
        if (c->next[1] == '/') {
            while (p < c->end && *p != '\n' && *p != '\r') p++;
        } else if (c->next[1] == '*') {
            while (c->end - p >= 2 && !(p[0] == '*' && p[1] == '/')) p++;
            if (c->end - p < 2) return;  // never closed: the '/' stays and is an error
            p += 2;
        } else {
            return;
        }
        c->next = p;
    }
}

static int hex_value(char byte) {
    if (byte >= '0' && byte <= '9') return byte - '0';
    if (byte >= 'a' && byte <= 'f') return byte - 'a' + 10;
    if (byte >= 'A' && byte <= 'F') return byte - 'A' + 10;
    return -1;
}

size_t json_escape_length(const char *p, const char *end, uint32_t flags) {
    if (end - p < 2) return 0;
    switch (p[1]) {
    case '"': case '\\': case '/': case 'b': case 'f': case 'n': case 'r': case 't': return 2;
    case '\'': return flags & (JSON_FLAG_SINGLE_QUOTES | JSON_FLAG_ANY_ESCAPE) ? 2 : 0;
    case 'u':
        if (end - p < 6) return 0;
        for (int i = 2; i < 6; i++)
            if (hex_value(p[i]) < 0) return 0;
        return 6;
    default: return flags & JSON_FLAG_ANY_ESCAPE ? 2 : 0;
    }
}

// Where Jackson stands when the escape at p is none: behind the first byte that cannot belong to it.
static const char *behind_bad_escape(const char *p, const char *end) {
    const char *bad = p + 1;
    if (bad < end && *bad == 'u')
        for (bad++; bad < end && bad < p + 6 && hex_value(*bad) >= 0;) bad++;
    return bad < end ? bad + 1 : end;
}

// The next byte that ends a plain run, for single quotes.
static const char *find_single(const char *p, const char *end, uint32_t *high) {
    while (p < end && *p != '\'' && *p != '\\' && (unsigned char)*p >= 0x20) *high |= (unsigned char)*p++ & 0x80u;
    return p;
}

bool json_scan_string_rest(struct json_cursor *c, const char *p, char quote, uint32_t high, struct json_string *out) {
    const char *start = c->next;
    uint32_t marks = 0;
    for (;;) {
        p = quote == '"' ? c->scanner->find_special(c->begin, p, c->end, &high) : find_single(p, c->end, &high);
        if (p == c->end) {
            c->next = p;
            return false;
        }
        if (*p == quote) break;
        if (*p == '\\') {
            size_t length = json_escape_length(p, c->end, c->flags);
            if (!length) {
                c->next = behind_bad_escape(p, c->end);
                return false;
            }
            if (length == 2 && (unsigned char)p[1] >= 0x80) high = 1;
            marks |= JSON_STRING_ESCAPED;
            p += length;
        } else if (c->flags & JSON_FLAG_CONTROL) {
            p++;
        } else {
            c->next = p + 1;
            return false;
        }
    }
    if (high) {
        marks |= JSON_STRING_HIGH;
        if ((c->flags & JSON_FLAG_STRICT_UTF8) && !utf8_valid(start, (size_t)(p - start))) return false;
    }
    *out = (struct json_string){.bytes = start, .size_bytes = (size_t)(p - start), .marks = marks};
    c->next = p + 1;
    return true;
}

bool json_scan_quoted(struct json_cursor *c, struct json_string *out) {
    if (c->next >= c->end) return false;
    char quote = *c->next;
    if (quote != '"' && !(quote == '\'' && (c->flags & JSON_FLAG_SINGLE_QUOTES))) return false;
    c->next++;
    return quote == '"' ? json_scan_string(c, out) : json_scan_string_rest(c, c->next, quote, 0, out);
}

static bool is_name_byte(char byte) {
    unsigned char b = (unsigned char)byte;
    return (b >= 'a' && b <= 'z') || (b >= 'A' && b <= 'Z') || (b >= '0' && b <= '9') || b >= 0x80 || (b && strchr("_$@#*-+", b) != NULL);
}

static bool scan_unquoted_name(struct json_cursor *c, struct json_string *out) {
    const char *start = c->next;
    uint32_t high = 0;
    if (!(c->flags & JSON_FLAG_UNQUOTED_NAMES) || (*start >= '0' && *start <= '9')) return false;
    while (c->next < c->end && is_name_byte(*c->next)) high |= (unsigned char)*c->next++ & 0x80u;
    *out = (struct json_string){.bytes = start, .size_bytes = (size_t)(c->next - start), .marks = high ? JSON_STRING_HIGH : 0};
    if (high && (c->flags & JSON_FLAG_STRICT_UTF8) && !utf8_valid(start, out->size_bytes)) return false;
    return out->size_bytes > 0;
}

bool json_scan_key(struct json_cursor *c, struct json_string *out) {
    int first = json_peek(c);
    if (first < 0) return false;
    if (first == '"' || first == '\'') {
        if (!json_scan_quoted(c, out)) return false;
    } else if (!scan_unquoted_name(c, out)) {
        return false;
    }
    if (json_peek(c) != ':') return false;
    c->next++;
    return json_peek(c) >= 0;
}

static uint32_t decode_hex4(const char *p) {
    return (uint32_t)(hex_value(p[0]) << 12 | hex_value(p[1]) << 8 | hex_value(p[2]) << 4 | hex_value(p[3]));
}

// The \u escape at p (checked before); *length: 6, or 12 for a pair of surrogates.
static uint32_t decode_unicode_escape(const char *p, const char *end, size_t *length) {
    uint32_t unit = decode_hex4(p + 2);
    *length = 6;
    if (unit >= 0xd800 && unit < 0xdc00 && end - p >= 12 && p[6] == '\\' && p[7] == 'u') {
        uint32_t low = decode_hex4(p + 8);
        if (low >= 0xdc00 && low < 0xe000) {
            *length = 12;
            return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
        }
    }
    return unit >= 0xd800 && unit < 0xe000 ? '?' : unit;
}

// Bytes of a broken sequence that Java's decoder replaces by one U+FFFD: the longest beginning of a valid sequence, at least one.
static size_t broken_length(const unsigned char *p, size_t available) {
    unsigned char lead = p[0], low = 0x80, high = 0xbf;
    size_t need = lead >= 0xc2 && lead <= 0xdf ? 2 : (lead & 0xf0) == 0xe0 ? 3 : lead >= 0xf0 && lead <= 0xf4 ? 4 : 1;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
    size_t length = 1;
    while (length < need && length < available && p[length] >= low && p[length] <= high) {
        length++;
        low = 0x80;
        high = 0xbf;
    }
    return length < need ? length : 1;
}

static size_t decode_high(const char *p, const char *end, char *out, size_t *used) {
    size_t length;
    (void)utf8_decode(p, (size_t)(end - p), &length);
    if (length > 1) {
        memcpy(out, p, length);
        *used = length;
        return length;
    }
    *used = broken_length((const unsigned char *)p, (size_t)(end - p));
    return utf8_encode(0xfffd, out);
}

size_t json_string_decode(const struct json_string *s, char *out) {
    const char *p = s->bytes, *end = s->bytes + s->size_bytes;
    char *to = out;
    while (p < end) {
        size_t used;
        if ((unsigned char)*p >= 0x80) {
            to += decode_high(p, end, to, &used);
            p += used;
        } else if (*p != '\\') {
            *to++ = *p++;
        } else if (p[1] == 'u') {
            to += utf8_encode(decode_unicode_escape(p, end, &used), to);
            p += used;
        } else if ((unsigned char)p[1] >= 0x80) {
            p++;
        } else {
            static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
            const char *found = memchr(from, p[1], sizeof from - 1);
            *to++ = found ? into[found - from] : p[1];
            p += 2;
        }
    }
    return (size_t)(to - out);
}

static bool scan_number_word(struct json_cursor *c, struct json_number *out) {
    static const struct {
        const char *text;
        size_t size_bytes;
        int sign;  // of the infinity; 0: not a number
    } words[] = {{"NaN", 3, 0}, {"Infinity", 8, 1}, {"+Infinity", 9, 1}, {"-Infinity", 9, -1}, {"+INF", 4, 1}, {"-INF", 4, -1}};
    if (!(c->flags & JSON_FLAG_NON_NUMERIC)) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        const char *start = c->next;
        if (!json_scan_literal(c, words[i].text, words[i].size_bytes)) continue;
        double value = words[i].sign == 0 ? (double)NAN : (double)words[i].sign * HUGE_VAL;
        *out = (struct json_number){.bytes = start, .size_bytes = (uint32_t)words[i].size_bytes, .kind = JSON_NUMBER_WORD, .word = value};
        return true;
    }
    return false;
}

static inline bool is_digit(const char *p, const char *end) { return p < end && (unsigned char)(*p - '0') <= 9; }

// Point and exponent behind the digits; `p` stands on '.', 'e' or 'E'.
static const char *scan_fraction(const char *p, const char *end, struct json_number *out, int *digits) {
    out->kind = JSON_NUMBER_FRACTION;
    int64_t exponent = 0;
    if (*p == '.') {
        const char *first = ++p;
        while (is_digit(p, end)) {
            if (*digits > 0 || *p != '0') (*digits)++;
            out->mantissa = out->mantissa * 10 + (uint64_t)(*p++ - '0');
        }
        if (p == first) return NULL;
        exponent = -(int64_t)(p - first);
    }
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        bool negative = p < end && *p == '-';
        if (p < end && (*p == '-' || *p == '+')) p++;
        if (!is_digit(p, end)) return NULL;
        int64_t written = 0;
        for (; is_digit(p, end); p++)
            if (written < 1000000) written = written * 10 + (*p - '0');
        exponent += negative ? -written : written;
    }
    if (exponent < -100000 || exponent > 100000) out->inexact = true;
    out->exponent = (int32_t)(out->inexact ? 0 : exponent);
    return p;
}

// The digits that eight bytes begin with, and their value; all at once, as a loop over them is one mispredicted branch a number.
static inline uint32_t leading_digits(const char *p, uint64_t *value) {
    uint64_t digits;
    memcpy(&digits, p, sizeof digits);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    digits ^= UINT64_C(0x3030303030303030);
    // Bit 7 of each byte above 9.
    uint64_t others = ((digits + UINT64_C(0x7676767676767676)) | digits) & UINT64_C(0x8080808080808080);
    uint32_t count = others ? (uint32_t)__builtin_ctzll(others) / 8 : 8;
    if (count == 0) return 0;
    digits <<= (8 - count) * 8;                // zeros in front
    digits = digits * 10 + (digits >> 8);      // pairs, in every second byte
    *value = ((digits & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
              (digits >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >> 32;
    return count;
}

bool json_scan_number(struct json_cursor *c, struct json_number *out) {
    const char *p = c->next, *end = c->end;
    bool negative = p < end && *p == '-';
    p += negative;
    if (!is_digit(p, end)) return scan_number_word(c, out);
    *out = (struct json_number){.bytes = c->next, .kind = JSON_NUMBER_INTEGER, .negative = negative};
    const char *first = p;
    if (*p == '0' && p + 1 < end && (unsigned char)(p[1] - '0') <= 9) {
        if (!(c->flags & JSON_FLAG_LEADING_ZEROS)) return false;
        while (*p == '0' && is_digit(p + 1, end)) p++;
        first = p;
    }
    uint64_t mantissa = 0;
    bool more = true;
    if (end - p >= 8) {
        uint32_t count = leading_digits(p, &mantissa);
        p += count;
        more = count == 8;
    }
    while (more && is_digit(p, end)) mantissa = mantissa * 10 + (uint64_t)(*p++ - '0');
    int digits = p - first > 1000 ? 1000 : *first == '0' ? 0 : (int)(p - first);
    out->mantissa = mantissa;
    if (p < end && (*p == '.' || *p == 'e' || *p == 'E')) {
        p = scan_fraction(p, end, out, &digits);
        if (!p) return false;
    }
    if (digits > 19) out->inexact = true;
    if (p - c->next > INT32_MAX) return false;
    out->size_bytes = (uint32_t)(p - c->next);
    c->next = p;
    return true;
}
