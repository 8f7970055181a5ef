// SPDX-License-Identifier: Apache-2.0
// leaf.c: one scalar of a document becomes a value of the wanted Spark type, or does not fit it.
//
// Which token fits which type is JacksonParser's: numbers are never taken from strings (but DECIMAL, and the words for infinities),
// integers never from fractions, BOOLEAN only from true and false, STRING from anything.
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "json/reader.h"
#include <math.h>

// All powers of ten that a double holds exactly.
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                      1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

double json_number_double(const struct json_number *number) {
    if (number->kind == JSON_NUMBER_WORD) return number->word;
    // Mantissa and power exact: one rounding, hence the right one (Clinger's fast path).
    if (!number->inexact && number->mantissa <= (UINT64_C(1) << 53) && number->exponent >= -22 && number->exponent <= 22) {
        double value = (double)number->mantissa;
        value = number->exponent < 0 ? value / exact_powers[-number->exponent] : value * exact_powers[number->exponent];
        return number->negative && (number->mantissa || number->kind == JSON_NUMBER_FRACTION) ? -value : value;
    }
    double value = 0;
    if (!parse_double(number->bytes, number->size_bytes, &value)) return (double)NAN;
    return value;
}

static inline enum json_read store(struct json_node *n, uint32_t slot) {
    bitmap_set(n->validity, slot);
    return JSON_READ_OK;
}

// The bytes a string stands for, as they are or decoded into r->text. False: memory.
static bool string_text(struct json_reader *r, const struct json_string *s, const char **text, size_t *size_bytes) {
    *text = s->bytes;
    *size_bytes = s->size_bytes;
    if (json_string_is_plain(s)) return true;
    buffer_clear(&r->text);
    if (buffer_reserve(&r->text, json_string_capacity(s)) != STATUS_OK) return false;
    *size_bytes = json_string_decode(s, (char *)r->text.data);
    *text = (const char *)r->text.data;
    return true;
}

// Text that is not in the document: into the output arena unless short.
static enum json_read store_copy(struct json_reader *r, struct json_node *n, uint32_t slot, const void *bytes, size_t size_bytes) {
    if (size_bytes > UINT32_MAX) return JSON_READ_BAD;
    const char *kept = bytes;
    if (size_bytes > STRING_INLINE_MAX) {
        char *copy = arena_alloc_aligned(r->output, size_bytes, 1);
        if (!copy) return JSON_READ_NO_MEMORY;
        memcpy(copy, bytes, size_bytes);
        kept = copy;
    }
    ((struct string_view *)n->values)[slot] = string_view_of(kept, size_bytes);
    return store(n, slot);
}

static enum json_read store_decoded(struct json_reader *r, struct json_node *n, uint32_t slot, const struct json_string *s) {
    char *bytes = arena_alloc_aligned(r->output, json_string_capacity(s), 1);
    if (!bytes) return JSON_READ_NO_MEMORY;
    ((struct string_view *)n->values)[slot] = string_view_of(bytes, json_string_decode(s, bytes));
    return store(n, slot);
}

// A string that is none, where a value is taken: Spark catches the error, leaves the field NULL and reads on behind the bad byte. That is
// nearly always an error too, then of the whole record; but not for "\u12", whose bad byte is the closing quote.
static enum json_read broken_string(const struct json_cursor *c) {
    return (c->flags & JSON_FLAG_STRICT_UTF8) || c->next == c->end ? JSON_READ_MALFORMED : JSON_READ_BAD;
}

static enum json_read read_string(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    const char *start = c->next;
    if (*start == '"' || *start == '\'') {
        struct json_string s;
        if (!json_scan_quoted(c, &s)) return broken_string(c);
        if (s.size_bytes > UINT32_MAX / 4) return JSON_READ_BAD;
        if (!json_string_is_plain(&s)) return store_decoded(r, n, slot, &s);
        json_store_view(c, n, slot, s.bytes, s.size_bytes);
        return JSON_READ_OK;
    }
    if (r->exact_text || *start == 't' || *start == 'f') {
        if (!c->scanner->skip_value(c)) return JSON_READ_MALFORMED;
        if ((size_t)(c->next - start) > UINT32_MAX) return JSON_READ_BAD;
        json_store_view(c, n, slot, start, (size_t)(c->next - start));
        return JSON_READ_OK;
    }
    bool valid;
    buffer_clear(&r->text);
    if (json_copy_value(c, &r->text, &valid) != STATUS_OK) return JSON_READ_NO_MEMORY;
    return valid ? store_copy(r, n, slot, r->text.data, r->text.size_bytes) : JSON_READ_MALFORMED;
}

// Jackson takes a byte up to 255 and wraps it; shorts not.
static bool integer_in_range(enum type_id id, const struct json_number *number, int64_t *out) {
    if (number->kind != JSON_NUMBER_INTEGER || number->inexact) return false;
    uint64_t limit = (uint64_t)INT64_MAX + (number->negative ? 1 : 0);
    if (number->mantissa > limit) return false;
    int64_t value = (int64_t)(number->negative ? 0 - number->mantissa : number->mantissa);
    *out = value;
    switch (id) {
    case TYPE_TINYINT: return value >= INT8_MIN && value <= UINT8_MAX;
    case TYPE_SMALLINT: return value >= INT16_MIN && value <= INT16_MAX;
    case TYPE_INT: return value >= INT32_MIN && value <= INT32_MAX;
    default: return true;
    }
}

static enum json_read store_integer(struct json_node *n, uint32_t slot, const struct json_number *number) {
    int64_t value;
    if (!integer_in_range(n->type->id, number, &value)) return JSON_READ_BAD;
    switch (n->type->id) {
    case TYPE_TINYINT: ((int8_t *)n->values)[slot] = (int8_t)(uint8_t)value; break;
    case TYPE_SMALLINT: ((int16_t *)n->values)[slot] = (int16_t)value; break;
    case TYPE_INT: ((int32_t *)n->values)[slot] = (int32_t)value; break;
    default: ((int64_t *)n->values)[slot] = value; break;
    }
    return store(n, slot);
}

static enum json_read store_decimal(struct json_node *n, uint32_t slot, const struct json_number *number) {
    decimal value;
    bool is_number;
    unsigned precision = n->type->precision, scale = n->type->scale;
    if (number->kind == JSON_NUMBER_WORD) return JSON_READ_BAD;
    if (!number->inexact && number->exponent <= 0 && number->exponent >= -DECIMAL_MAX_PRECISION) {
        decimal unscaled = number->negative ? -(decimal)number->mantissa : (decimal)number->mantissa;
        if (!decimal_rescale(unscaled, (unsigned)-number->exponent, scale, precision, &value)) return JSON_READ_BAD;
    } else if (!decimal_parse(number->bytes, number->size_bytes, precision, scale, &value, &is_number)) {
        return JSON_READ_BAD;
    }
    ((decimal *)n->values)[slot] = value;
    return store(n, slot);
}

static enum json_read read_number(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_number number;
    if (!json_scan_number(&r->cursor, &number)) return JSON_READ_MALFORMED;
    switch (n->type->id) {
    case TYPE_TINYINT: case TYPE_SMALLINT: case TYPE_INT: case TYPE_BIGINT: return store_integer(n, slot, &number);
    case TYPE_DOUBLE: ((double *)n->values)[slot] = json_number_double(&number); return store(n, slot);
    case TYPE_FLOAT: {
        float value = (float)number.word;
        if (number.kind != JSON_NUMBER_WORD && !parse_float(number.bytes, number.size_bytes, &value)) return JSON_READ_BAD;
        if (number.kind == JSON_NUMBER_INTEGER && value == 0) value = 0;  // an integer has no negative zero
        ((float *)n->values)[slot] = value;
        return store(n, slot);
    }
    case TYPE_DECIMAL: return store_decimal(n, slot, &number);
    case TYPE_TIMESTAMP: {
        int64_t seconds;
        if (!integer_in_range(TYPE_BIGINT, &number, &seconds)) return JSON_READ_BAD;
        ((int64_t *)n->values)[slot] = (int64_t)((uint64_t)seconds * (uint64_t)US_PER_SECOND);  // wraps, as Java's product
        return store(n, slot);
    }
    default: return JSON_READ_BAD;
    }
}

static inline bool two_digits(const char *p, unsigned limit, unsigned *out) {
    unsigned high = (unsigned)(unsigned char)(p[0] - '0'), low = (unsigned)(unsigned char)(p[1] - '0');
    *out = high * 10 + low;
    return high <= 9 && low <= 9 && *out < limit;
}

// "2024-01-31 10:20:30" with T or a blank, an optional fraction of 1–6 digits and an optional Z: nearly all timestamps that occur.
// False: some other form, or none.
static bool quick_timestamp(struct json_reader *r, const char *s, size_t size_bytes, int64_t *us, bool *is_utc) {
    if (size_bytes < 19 || size_bytes > 27 || s[4] != '-' || s[7] != '-' || s[13] != ':' || s[16] != ':' || (s[10] != ' ' && s[10] != 'T')) return false;
    unsigned century, year, month, day, hour, minute, second;
    if (memcmp(r->last_date, s, 10) != 0) {
        if (!two_digits(s, 100, &century) || !two_digits(s + 2, 100, &year) || !two_digits(s + 5, 13, &month) || !two_digits(s + 8, 32, &day)) return false;
        year += century * 100;
        if (month == 0 || day == 0 || day > days_in_month(year, month)) return false;
        memcpy(r->last_date, s, 10);
        r->last_date_us = days_from_civil(year, month, day) * US_PER_DAY;
    }
    if (!two_digits(s + 11, 24, &hour) || !two_digits(s + 14, 60, &minute) || !two_digits(s + 17, 60, &second)) return false;
    const char *p = s + 19, *end = s + size_bytes;
    int64_t fraction = 0;
    if (p < end && *p == '.') {
        int64_t unit = US_PER_SECOND;
        for (p++; p < end && (unsigned char)(*p - '0') <= 9; p++) fraction += (*p - '0') * (unit /= 10);
        if (p == s + 20 || p > s + 26) return false;
    }
    *is_utc = p < end && *p == 'Z';
    if (p + *is_utc != end) return false;
    *us = r->last_date_us + (int64_t)(hour * 3600 + minute * 60 + second) * US_PER_SECOND + fraction;
    return true;
}

// Spark's second try, for "2000-01-01T00:00GMT+01:00": without the letters.
static bool parse_without_gmt(const char *s, size_t size_bytes, const struct timezone *zone, int64_t *us) {
    char copy[64];
    const char *found = size_bytes < sizeof copy ? memmem(s, size_bytes, "GMT", 3) : NULL;
    if (!found) return false;
    size_t before = (size_t)(found - s);
    memcpy(copy, s, before);
    memcpy(copy + before, found + 3, size_bytes - before - 3);
    return parse_timestamp(copy, size_bytes - 3, zone, us);
}

static bool timestamp_of_text(struct json_reader *r, const char *s, size_t size_bytes, int64_t *us) {
    const struct json_options *o = &r->options;
    if (o->timestamp_format) return o->parse_pattern(o->parse_context, o->timestamp_format, s, size_bytes, &type_timestamp, us);
    bool is_utc;
    if (quick_timestamp(r, s, size_bytes, us, &is_utc)) {
        if (!is_utc && !r->zone_is_utc) *us = timezone_to_utc(o->zone, *us);
        return true;
    }
    return parse_timestamp(s, size_bytes, o->zone, us) || parse_without_gmt(s, size_bytes, o->zone, us);
}

// A wall time must not carry a zone: what follows the time of day is digits, points and blanks only.
static bool wall_time_of_text(struct json_reader *r, const char *s, size_t size_bytes, int64_t *us) {
    const struct json_options *o = &r->options;
    if (o->timestamp_ntz_format) return o->parse_pattern(o->parse_context, o->timestamp_ntz_format, s, size_bytes, &type_timestamp_ntz, us);
    bool is_utc;
    if (quick_timestamp(r, s, size_bytes, us, &is_utc)) return !is_utc;
    const char *colon = memchr(s, ':', size_bytes);
    for (const char *p = colon ? colon : s + size_bytes - 1; p < s + size_bytes; p++)
        if (*p != ':' && *p != '.' && !json_is_blank(*p) && (unsigned char)(*p - '0') > 9) return false;
    return parse_timestamp_ntz(s, size_bytes, us);
}

static bool date_of_text(struct json_reader *r, const char *s, size_t size_bytes, int32_t *days) {
    const struct json_options *o = &r->options;
    int64_t number;
    if (o->date_format) {
        if (!o->parse_pattern(o->parse_context, o->date_format, s, size_bytes, &type_date, &number)) return false;
        *days = (int32_t)number;
        return true;
    }
    if (parse_date(s, size_bytes, days)) return true;
    // Spark 1.5 wrote dates as the number of their day.
    bool overflow;
    if (json_is_blank(*s) || !parse_int64(s, size_bytes, &number, &overflow) || number < INT32_MIN || number > INT32_MAX) return false;
    *days = (int32_t)number;
    return true;
}

static int base64_value(char byte) {
    if (byte >= 'A' && byte <= 'Z') return byte - 'A';
    if (byte >= 'a' && byte <= 'z') return byte - 'a' + 26;
    if (byte >= '0' && byte <= '9') return byte - '0' + 52;
    return byte == '+' ? 62 : byte == '/' ? 63 : -1;
}

// RFC 4648 with padding required; blanks only between groups of four, as Jackson allows. `out` holds size_bytes. -1: not base64.
static int64_t decode_base64(const char *s, size_t size_bytes, uint8_t *out) {
    int64_t length = 0;
    for (size_t i = 0; i < size_bytes; i += 4) {
        while (i < size_bytes && (unsigned char)s[i] <= ' ') i++;
        if (i == size_bytes) break;
        if (size_bytes - i < 4) return -1;
        int a = base64_value(s[i]), b = base64_value(s[i + 1]), c = base64_value(s[i + 2]), d = base64_value(s[i + 3]);
        if (a < 0 || b < 0) return -1;
        out[length++] = (uint8_t)(a << 2 | b >> 4);
        if (s[i + 2] == '=' && s[i + 3] == '=') continue;
        if (c < 0) return -1;
        out[length++] = (uint8_t)((b & 15) << 4 | c >> 2);
        if (s[i + 3] == '=') continue;
        if (d < 0) return -1;
        out[length++] = (uint8_t)((c & 3) << 6 | d);
    }
    return length;
}

static enum json_read store_binary(struct json_reader *r, struct json_node *n, uint32_t slot, const char *s, size_t size_bytes) {
    uint8_t *bytes = arena_alloc_aligned(r->output, size_bytes + 1, 1);
    if (!bytes) return JSON_READ_NO_MEMORY;
    int64_t length = decode_base64(s, size_bytes, bytes);
    if (length < 0 || length > UINT32_MAX) return JSON_READ_BAD;
    ((struct string_view *)n->values)[slot] = string_view_of((const char *)bytes, (size_t)length);
    return store(n, slot);
}

// new BigDecimal(text without commas): no blanks, no words.
static enum json_read store_decimal_text(struct json_node *n, uint32_t slot, const char *s, size_t size_bytes) {
    char copy[512];
    size_t length = 0;
    for (size_t i = 0; i < size_bytes; i++) {
        if (s[i] == ',') continue;
        if (length == sizeof copy || !((unsigned char)(s[i] - '0') <= 9 || (s[i] && strchr("+-.eE", s[i])))) return JSON_READ_BAD;
        copy[length++] = s[i];
    }
    decimal value;
    bool is_number;
    if (!length || !decimal_parse(copy, length, n->type->precision, n->type->scale, &value, &is_number)) return JSON_READ_BAD;
    ((decimal *)n->values)[slot] = value;
    return store(n, slot);
}

static bool word_of_text(const char *s, size_t size_bytes, double *out) {
    static const struct {
        const char *text;
        int sign;
    } words[] = {{"NaN", 0}, {"+INF", 1}, {"+Infinity", 1}, {"Infinity", 1}, {"-INF", -1}, {"-Infinity", -1}};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strlen(words[i].text) != size_bytes || memcmp(words[i].text, s, size_bytes) != 0) continue;
        *out = words[i].sign ? words[i].sign * HUGE_VAL : (double)NAN;
        return true;
    }
    return false;
}

enum json_read json_leaf_of_text(struct json_reader *r, struct json_node *n, uint32_t slot, const char *s, size_t size_bytes) {
    int32_t days;
    double word;
    int64_t us;
    if (size_bytes == 0 && n->type->id != TYPE_BINARY) return JSON_READ_BAD;
    switch (n->type->id) {
    case TYPE_TIMESTAMP:
        if (!timestamp_of_text(r, s, size_bytes, &us)) return JSON_READ_BAD;
        ((int64_t *)n->values)[slot] = us;
        return store(n, slot);
    case TYPE_TIMESTAMP_NTZ:
        if (!wall_time_of_text(r, s, size_bytes, &us)) return JSON_READ_BAD;
        ((int64_t *)n->values)[slot] = us;
        return store(n, slot);
    case TYPE_DATE:
        if (!date_of_text(r, s, size_bytes, &days)) return JSON_READ_BAD;
        ((int32_t *)n->values)[slot] = days;
        return store(n, slot);
    case TYPE_DOUBLE: case TYPE_FLOAT:
        if (!r->options.allow_non_numeric_numbers || !word_of_text(s, size_bytes, &word)) return JSON_READ_BAD;
        if (n->type->id == TYPE_DOUBLE) ((double *)n->values)[slot] = word;
        else ((float *)n->values)[slot] = (float)word;
        return store(n, slot);
    case TYPE_INTERVAL_YM: case TYPE_INTERVAL_DT:
        if (!r->options.parse_interval(r->options.parse_context, s, size_bytes, n->type, &us)) return JSON_READ_BAD;
        if (n->type->id == TYPE_INTERVAL_DT) ((int64_t *)n->values)[slot] = us;
        else ((int32_t *)n->values)[slot] = (int32_t)us;
        return store(n, slot);
    case TYPE_DECIMAL: return store_decimal_text(n, slot, s, size_bytes);
    case TYPE_BINARY: return store_binary(r, n, slot, s, size_bytes);
    default: return JSON_READ_BAD;
    }
}

// A string where something else than STRING is wanted.
static enum json_read read_text(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_string string;
    const char *s;
    size_t size_bytes;
    if (!json_scan_quoted(&r->cursor, &string)) return broken_string(&r->cursor);
    if (string.size_bytes > UINT32_MAX / 4) return JSON_READ_BAD;
    if (!string_text(r, &string, &s, &size_bytes)) return JSON_READ_NO_MEMORY;
    return json_leaf_of_text(r, n, slot, s, size_bytes);
}

static enum json_read read_boolean(struct json_reader *r, struct json_node *n, uint32_t slot) {
    bool value = *r->cursor.next == 't';
    if (!json_scan_literal(&r->cursor, value ? "true" : "false", value ? 4 : 5)) return JSON_READ_MALFORMED;
    if (n->type->id != TYPE_BOOLEAN) return JSON_READ_BAD;
    ((uint8_t *)n->values)[slot] = value;
    return store(n, slot);
}

enum json_read json_leaf_read(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    if (*c->next == 'n') {
        if (!json_scan_literal(c, "null", 4)) return JSON_READ_MALFORMED;
        bitmap_clear(n->validity, slot);
        return JSON_READ_OK;
    }
    if (n->type->id == TYPE_STRING) return read_string(r, n, slot);
    if (n->type->id == TYPE_NULL) return c->scanner->skip_value(c) ? JSON_READ_OK : JSON_READ_MALFORMED;
    switch (*c->next) {
    case '"': case '\'': return read_text(r, n, slot);
    case 't': case 'f': return read_boolean(r, n, slot);
    case '{': case '[': return c->scanner->skip_value(c) ? JSON_READ_BAD : JSON_READ_MALFORMED;
    default: return read_number(r, n, slot);
    }
}
