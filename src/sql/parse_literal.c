// SPDX-License-Identifier: Apache-2.0
// parse_literal.c: literals, each a CONSTANT column of one row with the type Spark gives it.
//
// An integer is INT, BIGINT or DECIMAL, whichever holds it; 1.5 is a DECIMAL of its digits, 1e3 a DOUBLE; a suffix decides. A sign
// belongs to a number. Strings that stand side by side are one. A TIMESTAMP literal is read in the session's zone, which
// the caller of the parser knows.
#include "sql/parse.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/timezone.h"
#include <float.h>
#include <math.h>

struct uexpr *literal_value(struct parser *p, struct span span, const struct type *type, const void *value, size_t size_bytes) {
    struct uexpr *e = expr_make(p, U_LITERAL, span.begin, 0, NULL);
    struct column *column = parse_alloc(p, sizeof *column);
    if (!e || !column || !type) return type ? NULL : parse_no_memory(p);
    column->type = type;
    column->form = COLUMN_CONSTANT;
    column->row_count = 1;
    if (value) {
        column->values = parse_alloc(p, size_bytes);
        if (!column->values) return NULL;
        memcpy(column->values, value, size_bytes);
    }
    e->span = span;
    e->literal = column;
    e->text = parse_text(p, p->text + span.begin, span.end - span.begin);
    return e->text ? e : NULL;
}

struct uexpr *literal_string(struct parser *p, struct span span, const char *bytes, size_t size_bytes) {
    struct string_view view = string_view_of(bytes, size_bytes);
    return literal_value(p, span, &type_string, &view, sizeof view);
}

struct uexpr *literal_boolean(struct parser *p, struct span span, bool value) {
    uint8_t byte = value;
    return literal_value(p, span, &type_boolean, &byte, sizeof byte);
}

static void *bad_range(struct parser *p, struct span span, const char *type, const char *least, const char *most) {
    (void)parse_error(p, span, "INVALID_NUMERIC_LITERAL_RANGE", "the number does not fit %s", type);
    parse_label(p, "%s is from %s to %s", type, least, most);
    return NULL;
}

// The digits of a decimal number without suffix: unscaled value, precision and scale as Java's BigDecimal has them. False: more than
// 38 digits.
static bool read_decimal(const char *s, size_t size, decimal *unscaled, int *precision, int *scale) {
    unsigned __int128 value = 0;
    int digits = 0, fraction = 0;
    long exponent = 0;
    bool after_point = false;
    for (size_t i = 0; i < size; i++) {
        if (s[i] == '.') {
            after_point = true;
        } else if (s[i] == 'e' || s[i] == 'E') {
            bool negative = s[i + 1] == '-';
            for (i += s[i + 1] == '-' || s[i + 1] == '+' ? 2 : 1; i < size; i++) {
                if (exponent < 100000) exponent = exponent * 10 + (s[i] - '0');
            }
            if (negative) exponent = -exponent;
        } else {
            if (digits > 0 || s[i] != '0') digits++;
            if (digits > DECIMAL_MAX_PRECISION) return false;
            value = value * 10 + (unsigned)(s[i] - '0');
            fraction += after_point;
        }
    }
    long real_scale = fraction - exponent;
    long real_precision = digits ? digits : 1;
    if (real_scale < 0) {  // 1e3BD is 1000
        if (digits && real_precision - real_scale > DECIMAL_MAX_PRECISION) return false;
        for (; real_scale < 0 && digits; real_scale++, real_precision++) value *= 10;
        real_scale = 0;
    }
    if (real_scale > real_precision) real_precision = real_scale;
    if (real_precision > DECIMAL_MAX_PRECISION) return false;
    *unscaled = (decimal)value;
    *precision = (int)real_precision;
    *scale = (int)real_scale;
    return true;
}

static struct uexpr *decimal_literal(struct parser *p, struct span span, const char *digits, size_t size, bool negative) {
    decimal value;
    int precision, scale;
    if (!read_decimal(digits, size, &value, &precision, &scale)) {
        (void)parse_error(p, span, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", "a decimal number has at most %d digits", DECIMAL_MAX_PRECISION);
        parse_hint(p, "write it as a DOUBLE, with an exponent or the suffix D");
        return NULL;
    }
    if (negative) value = -value;
    return literal_value(p, span, type_decimal(p->arena, (uint8_t)precision, (uint8_t)scale), &value, sizeof value);
}

static struct uexpr *double_literal(struct parser *p, struct span span, const char *digits, size_t size, bool negative, bool is_float) {
    double value;
    if (!parse_double(digits, size, &value)) return parse_unexpected(p, "a number");
    if (isinf(value) || (is_float && value > (double)FLT_MAX))
        return is_float ? bad_range(p, span, "FLOAT", "-3.4028234663852886E+38", "3.4028234663852886E+38")
                        : bad_range(p, span, "DOUBLE", "-1.7976931348623157E+308", "1.7976931348623157E+308");
    if (negative) value = -value;
    if (!is_float) return literal_value(p, span, &type_double, &value, sizeof value);
    float narrow = 0;
    if (!parse_float(digits, size, &narrow)) return parse_unexpected(p, "a number");
    if (negative) narrow = -narrow;
    return literal_value(p, span, &type_float, &narrow, sizeof narrow);
}

// The magnitude of digits, at most 2^63; UINT64_MAX beyond.
static uint64_t magnitude_of(const char *digits, size_t size) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        uint64_t digit = (uint64_t)(digits[i] - '0');
        if (value > (((uint64_t)1 << 63) - digit) / 10) return UINT64_MAX;
        value = value * 10 + digit;
    }
    return value;
}

static struct uexpr *integer_literal(struct parser *p, struct span span, const struct token *t, bool negative) {
    const char *digits = p->text + t->span.begin;
    size_t size = token_size(t) - (t->kind == TOKEN_INTEGER ? 0 : 1);
    uint64_t magnitude = magnitude_of(digits, size);
    bool fits_bigint = magnitude <= (uint64_t)INT64_MAX + negative;
    int64_t value = !fits_bigint ? 0 : negative ? (int64_t)-magnitude : (int64_t)magnitude;
    switch (t->kind) {
    case TOKEN_TINYINT:
        if (!fits_bigint || value < INT8_MIN || value > INT8_MAX) return bad_range(p, span, "TINYINT", "-128", "127");
        return literal_value(p, span, &type_tinyint, &(int8_t){(int8_t)value}, 1);
    case TOKEN_SMALLINT:
        if (!fits_bigint || value < INT16_MIN || value > INT16_MAX) return bad_range(p, span, "SMALLINT", "-32768", "32767");
        return literal_value(p, span, &type_smallint, &(int16_t){(int16_t)value}, 2);
    case TOKEN_BIGINT:
        if (!fits_bigint) return bad_range(p, span, "BIGINT", "-9223372036854775808", "9223372036854775807");
        return literal_value(p, span, &type_bigint, &value, sizeof value);
    default:
        if (!fits_bigint) return decimal_literal(p, span, digits, size, negative);
        if (value < INT32_MIN || value > INT32_MAX) return literal_value(p, span, &type_bigint, &value, sizeof value);
        return literal_value(p, span, &type_int, &(int32_t){(int32_t)value}, 4);
    }
}

struct uexpr *parse_number(struct parser *p) {
    uint32_t begin = here(p);
    bool negative = accept(p, TOKEN_MINUS);
    const struct token *t = current(p);
    const char *digits = p->text + t->span.begin;
    advance(p);
    struct span span = span_since(p, begin);
    switch (t->kind) {
    case TOKEN_DECIMAL: return decimal_literal(p, span, digits, token_size(t), negative);
    case TOKEN_BIGDECIMAL: return decimal_literal(p, span, digits, token_size(t) - 2, negative);
    case TOKEN_EXPONENT: return double_literal(p, span, digits, token_size(t), negative, false);
    case TOKEN_DOUBLE: return double_literal(p, span, digits, token_size(t) - 1, negative, false);
    case TOKEN_FLOAT: return double_literal(p, span, digits, token_size(t) - 1, negative, true);
    default: return integer_literal(p, span, t, negative);
    }
}

static struct uexpr *strings(struct parser *p) {
    uint32_t begin = here(p);
    char *all = NULL;
    size_t all_bytes = 0;
    while (is_string(current(p))) {
        char *bytes;
        size_t size_bytes;
        if (!string_bytes(p, current(p), &bytes, &size_bytes)) return NULL;
        advance(p);
        if (!all) {
            all = bytes;
            all_bytes = size_bytes;
            if (!is_string(current(p))) break;
            // Room for every string that follows: they are no longer than what they were written as.
            uint32_t last = p->index;
            while (last + 1 < p->token_count && is_string(&p->tokens[last + 1])) last++;
            all = parse_alloc(p, all_bytes + (p->tokens[last].span.end - here(p)) + 5);
            if (!all) return NULL;
            memcpy(all, bytes, all_bytes);
        } else {
            memcpy(all + all_bytes, bytes, size_bytes);
            all_bytes += size_bytes;
        }
    }
    return literal_string(p, span_since(p, begin), all, all_bytes);
}

static void *bad_typed(struct parser *p, struct span span, const char *type, const char *example) {
    (void)parse_error(p, span, "INVALID_TYPED_LITERAL", "this is no %s", type);
    if (p->error.hint[0] == 0) parse_hint(p, "write %s", example);
    return NULL;
}

static struct uexpr *binary_literal(struct parser *p, struct span span, const char *s, size_t size) {
    uint8_t *bytes = parse_alloc(p, size / 2 + 1);
    if (!bytes) return NULL;
    size_t length = 0, i = 0;
    uint32_t value = 0;
    if (size % 2) i = 1;  // x'0' is one byte
    for (size_t k = 0; k < size; k++) {
        char c = s[k];
        int digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
        if (digit < 0) return bad_typed(p, span, "binary value", "an even number of hexadecimal digits: X'1AFF'");
        value = value << 4 | (uint32_t)digit;
        if ((k + i) % 2) {
            bytes[length++] = (uint8_t)value;
            value = 0;
        }
    }
    struct string_view view = string_view_of((const char *)bytes, length);
    return literal_value(p, span, &type_binary, &view, sizeof view);
}

// A timestamp with the name of a zone that cannot be looked up here: left to a cast.
static struct uexpr *zoned_timestamp(struct parser *p, struct span span, const char *s, size_t size) {
    struct uexpr *text = literal_string(p, span, s, size), *e = text ? expr_make(p, U_CAST, span.begin, 1, &text) : NULL;
    if (e) e->type = &type_timestamp;
    return e;
}

// DATE 'epoch', TIMESTAMP 'now' …: words that a cast of a constant knows. NULL: it is none of them.
static struct uexpr *word_for_moment(struct parser *p, struct span span, const char *s, size_t size, const struct type *type) {
    static const char *const words[] = {"epoch", "now", "today", "yesterday", "tomorrow"};
    while (size && (uint8_t)*s <= ' ') s++, size--;
    while (size && (uint8_t)s[size - 1] <= ' ') size--;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strlen(words[i]) != size || strncasecmp(words[i], s, size) != 0) continue;
        static const int64_t epoch = 0;
        if (i == 0) return literal_value(p, span, type, &epoch, type->id == TYPE_DATE ? sizeof(int32_t) : sizeof(int64_t));
        struct uexpr *text = literal_string(p, span, s, size), *e = text ? expr_make(p, U_CAST, span.begin, 1, &text) : NULL;
        if (e) e->type = type;
        return e;
    }
    return NULL;
}

// At a word that a string follows: DATE '…', X'…'.
static struct uexpr *typed(struct parser *p) {
    const struct token *word = current(p);
    uint32_t begin = here(p);
    advance(p);
    char *s;
    size_t size;
    if (!string_bytes(p, current(p), &s, &size)) return NULL;
    advance(p);
    struct span span = span_since(p, begin);
    int32_t days;
    int64_t us;
    bool date = word->keyword == KEYWORD_DATE, ntz = word->keyword == KEYWORD_TIMESTAMP_NTZ;
    bool moment = date || ntz || word->keyword == KEYWORD_TIMESTAMP || word->keyword == KEYWORD_TIMESTAMP_LTZ;
    struct uexpr *named = moment ? word_for_moment(p, span, s, size, date ? &type_date : ntz ? &type_timestamp_ntz : &type_timestamp) : NULL;
    if (named) return named;
    switch (word->keyword) {
    case KEYWORD_DATE:
        if (!parse_date(s, size, &days)) return bad_typed(p, span, "date", "DATE '2024-01-31'");
        return literal_value(p, span, &type_date, &days, sizeof days);
    case KEYWORD_TIMESTAMP:
    case KEYWORD_TIMESTAMP_LTZ:
        if (parse_timestamp(s, size, p->zone, &us)) return literal_value(p, span, &type_timestamp, &us, sizeof us);
        if (parse_timestamp_ntz(s, size, &us)) return zoned_timestamp(p, span, s, size);
        return bad_typed(p, span, "timestamp", "TIMESTAMP '2024-01-31 10:00:00'");
    case KEYWORD_TIMESTAMP_NTZ:
        if (!parse_timestamp_ntz(s, size, &us)) return bad_typed(p, span, "timestamp", "TIMESTAMP_NTZ '2024-01-31 10:00:00'");
        return literal_value(p, span, &type_timestamp_ntz, &us, sizeof us);
    case KEYWORD_X:
        return binary_literal(p, span, s, size);
    case KEYWORD_INTERVAL:
        return parse_interval_text(p, span, s, size);
    default:
        (void)parse_error(p, span, "UNSUPPORTED_TYPED_LITERAL", "`%.*s` is no type of a literal", (int)(token_size(word) > 40 ? 40 : token_size(word)),
                          p->text + begin);
        parse_hint(p, "is a comma or an operator missing before the string? Typed literals are DATE, TIMESTAMP, TIMESTAMP_NTZ, INTERVAL, X");
        return NULL;
    }
}

bool at_literal(const struct parser *p) {
    const struct token *t = current(p);
    if (t->kind >= TOKEN_STRING && t->kind <= TOKEN_BIGDECIMAL) return true;
    if (t->kind == TOKEN_MINUS) return token_at(p, 1)->kind >= TOKEN_INTEGER && token_at(p, 1)->kind <= TOKEN_BIGDECIMAL;
    if (t->kind != TOKEN_WORD) return false;
    if (is_string(token_at(p, 1))) {
        return t->keyword == KEYWORD_NONE || t->keyword == KEYWORD_DATE || t->keyword == KEYWORD_TIMESTAMP || t->keyword == KEYWORD_TIMESTAMP_LTZ ||
               t->keyword == KEYWORD_TIMESTAMP_NTZ || t->keyword == KEYWORD_X || t->keyword == KEYWORD_INTERVAL || t->keyword == KEYWORD_TIME;
    }
    if (t->keyword == KEYWORD_NULL || t->keyword == KEYWORD_TRUE || t->keyword == KEYWORD_FALSE) {
        uint8_t after = token_at(p, 1)->kind;
        return after != TOKEN_DOT && after != TOKEN_LEFT_PAREN;
    }
    return at_interval(p);
}

struct uexpr *parse_literal(struct parser *p) {
    const struct token *t = current(p);
    if (is_string(t)) return strings(p);
    if (t->kind != TOKEN_WORD) return parse_number(p);
    if (at_interval(p)) return parse_interval(p);
    if (is_string(token_at(p, 1))) return typed(p);
    advance(p);
    if (t->keyword != KEYWORD_NULL) return literal_boolean(p, t->span, t->keyword == KEYWORD_TRUE);
    return literal_value(p, t->span, &type_null, NULL, 0);
}
