// SPDX-License-Identifier: Apache-2.0
// parse_interval.c: interval literals.
//
//     INTERVAL 3 DAYS    INTERVAL 1 DAY 2 HOURS    INTERVAL '5' MINUTE    INTERVAL '1 day 2 hours'    units one by one
//     INTERVAL '1-2' YEAR TO MONTH    INTERVAL '1 02:03:04.5' DAY TO SECOND                           from one unit to another
//
// The type spans the units written: INTERVAL 1 DAY 2 HOURS is INTERVAL DAY TO HOUR. A week counts as days, milliseconds and below as
// seconds. Months cannot be mixed with days: there is no such ANSI interval.
#include "sql/parse.h"
#include "column/datetime.h"

struct unit {
    const char *name;          // singular, upper case
    enum interval_unit field;  // of the type
    int64_t months;            // one of the two is 0
    int64_t us;
};

static const struct unit units[] = {
    {"YEAR", UNIT_YEAR, 12, 0},
    {"MONTH", UNIT_MONTH, 1, 0},
    {"WEEK", UNIT_DAY, 0, 7 * US_PER_DAY},
    {"DAY", UNIT_DAY, 0, US_PER_DAY},
    {"HOUR", UNIT_HOUR, 0, 3600 * US_PER_SECOND},
    {"MINUTE", UNIT_MINUTE, 0, 60 * US_PER_SECOND},
    {"SECOND", UNIT_SECOND, 0, US_PER_SECOND},
    {"MILLISECOND", UNIT_SECOND, 0, 1000},
    {"MICROSECOND", UNIT_SECOND, 0, 1},
    {"NANOSECOND", UNIT_SECOND, 0, 0},
};

static const struct unit *find_unit(const char *word, size_t size) {
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t length = strlen(units[i].name);
        if ((size == length || (size == length + 1 && (word[length] == 's' || word[length] == 'S'))) && strncasecmp(word, units[i].name, length) == 0)
            return &units[i];
    }
    return NULL;
}

static const struct unit *token_unit(const struct parser *p, const struct token *t) {
    return t->kind == TOKEN_WORD ? find_unit(p->text + t->span.begin, token_size(t)) : NULL;
}

// An interval being added up.
struct sum {
    int64_t months;
    int64_t us;
    bool has_months, has_time;
    enum interval_unit first, last;  // widest and narrowest unit
};

enum fault { FAULT_NONE, FAULT_NUMBER, FAULT_FRACTION, FAULT_OVERFLOW, FAULT_UNIT, FAULT_MIXED, FAULT_FORM };

static void *report(struct parser *p, struct span span, enum fault fault, bool typed) {
    switch (fault) {
    case FAULT_FRACTION:
        return parse_error(p, span, typed ? "INVALID_TYPED_LITERAL" : "INVALID_INTERVAL_FORMAT.INVALID_FRACTION", "only seconds can have a fraction");
    case FAULT_OVERFLOW:
        return parse_error(p, span, typed ? "INVALID_TYPED_LITERAL" : "INVALID_INTERVAL_FORMAT.ARITHMETIC_EXCEPTION", "the interval is too long");
    case FAULT_UNIT:
        (void)parse_error(p, span, typed ? "INVALID_TYPED_LITERAL" : "INVALID_INTERVAL_FORMAT.INVALID_UNIT", "unknown unit of an interval");
        parse_hint(p, "units are YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND");
        return NULL;
    case FAULT_MIXED:
        (void)parse_error(p, span, "_LEGACY_ERROR_TEMP_0029", "an interval cannot mix years or months with days or time");
        parse_hint(p, "add two intervals one after the other, or use make_interval");
        return NULL;
    default:
        (void)parse_error(p, span, typed ? "INVALID_TYPED_LITERAL" : "INVALID_INTERVAL_FORMAT.UNRECOGNIZED_NUMBER", "this is no number of an interval");
        parse_hint(p, "write INTERVAL '1 day 2 hours', INTERVAL 3 DAYS or INTERVAL '1-2' YEAR TO MONTH");
        return NULL;
    }
}

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Adds "<number> <unit>": an integer with a sign, for seconds a fraction of up to nine digits.
static enum fault add_number(struct sum *sum, const char *s, size_t size, const struct unit *unit) {
    size_t i = 0;
    bool negative = false;
    while (i < size && (s[i] == ' ' || s[i] == '\t' || s[i] == '\n' || s[i] == '\r')) i++;
    while (size > i && (s[size - 1] == ' ' || s[size - 1] == '\t' || s[size - 1] == '\n' || s[size - 1] == '\r')) size--;
    if (i < size && (s[i] == '-' || s[i] == '+')) negative = s[i++] == '-';
    int64_t whole = 0, nanos = 0, weight = 100000000;
    size_t begin = i;
    for (; i < size && is_digit(s[i]); i++) {
        if (__builtin_mul_overflow(whole, 10, &whole) || __builtin_sub_overflow(whole, s[i] - '0', &whole)) return FAULT_OVERFLOW;
    }
    bool has_digits = i > begin, has_fraction = i < size && s[i] == '.';
    if (has_fraction) {
        for (i++; i < size && is_digit(s[i]); i++, weight /= 10) {
            if (weight == 0) return FAULT_NUMBER;
            nanos += (s[i] - '0') * weight;
            has_digits = true;
        }
    }
    if (!has_digits || i < size) return FAULT_NUMBER;
    if (!unit->months && !unit->us) return FAULT_UNIT;  // nanoseconds: a word of the grammar, but nothing can hold them
    if (has_fraction && (unit->us != US_PER_SECOND)) return FAULT_FRACTION;
    // `whole` is kept negative so that the least number fits.
    int64_t amount, micros = nanos / 1000;
    if (!negative && __builtin_sub_overflow(0, whole, &whole)) return FAULT_OVERFLOW;
    bool overflow;
    if (unit->months) {
        overflow = __builtin_mul_overflow(whole, unit->months, &amount) || __builtin_add_overflow(sum->months, amount, &sum->months);
        overflow = overflow || sum->months > INT32_MAX || sum->months < INT32_MIN;
    } else {
        overflow = __builtin_mul_overflow(whole, unit->us, &amount) || __builtin_add_overflow(sum->us, amount, &sum->us) ||
                   __builtin_add_overflow(sum->us, negative ? -micros : micros, &sum->us);
    }
    if (overflow) return FAULT_OVERFLOW;
    bool any = sum->has_months || sum->has_time;
    if (!any || unit->field < sum->first) sum->first = unit->field;
    if (!any || unit->field > sum->last) sum->last = unit->field;
    *(unit->months ? &sum->has_months : &sum->has_time) = true;
    return FAULT_NONE;
}

static struct uexpr *interval_literal(struct parser *p, struct span span, const struct sum *sum) {
    if (sum->has_months) {
        int32_t months = (int32_t)sum->months;
        return literal_value(p, span, type_interval_ym_range(p->arena, sum->first, sum->last), &months, sizeof months);
    }
    return literal_value(p, span, type_interval_dt_range(p->arena, sum->first, sum->last), &sum->us, sizeof sum->us);
}

static inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// "1 day -2 hours", with or without the word interval before.
static enum fault read_text(struct sum *sum, const char *s, size_t size) {
    size_t i = 0;
    while (i < size && is_blank(s[i])) i++;
    if (size - i > 8 && strncasecmp(s + i, "interval", 8) == 0 && is_blank(s[i + 8])) i += 8;
    for (;;) {
        while (i < size && is_blank(s[i])) i++;
        if (i == size) return sum->has_months || sum->has_time ? FAULT_NONE : FAULT_NUMBER;
        char number[64];
        size_t length = 0;
        if (s[i] == '-' || s[i] == '+') {
            number[length++] = s[i++];
            while (i < size && is_blank(s[i])) i++;
        }
        while (i < size && (is_digit(s[i]) || s[i] == '.')) {
            if (length == sizeof number) return FAULT_NUMBER;
            number[length++] = s[i++];
        }
        size_t gap = i;
        while (i < size && is_blank(s[i])) i++;
        if (i == gap) return FAULT_NUMBER;
        size_t word = i;
        while (i < size && !is_blank(s[i])) i++;
        const struct unit *unit = find_unit(s + word, i - word);
        if (!unit) return FAULT_UNIT;
        enum fault fault = add_number(sum, number, length, unit);
        if (fault) return fault;
    }
}

struct uexpr *parse_interval_text(struct parser *p, struct span span, const char *s, size_t size_bytes) {
    struct sum sum = {0};
    enum fault fault = read_text(&sum, s, size_bytes);
    if (!fault && sum.has_months && sum.has_time) fault = FAULT_MIXED;
    return fault ? report(p, span, fault, true) : interval_literal(p, span, &sum);
}

static bool at_value(const struct parser *p, uint32_t *ahead) {
    const struct token *t = token_at(p, *ahead);
    if (t->kind == TOKEN_MINUS || t->kind == TOKEN_PLUS) t = token_at(p, ++*ahead);
    bool value = is_string(t) || t->kind == TOKEN_INTEGER || t->kind == TOKEN_DECIMAL;
    ++*ahead;
    return value;
}

// INTERVAL, then a number or a string; INTERVAL '…' alone is a typed literal, read elsewhere; INTERVAL - 1 is a subtraction.
bool at_interval(const struct parser *p) {
    uint32_t ahead = 1;
    if (!at_keyword(p, KEYWORD_INTERVAL) || !at_value(p, &ahead)) return false;
    const struct token *unit = token_at(p, ahead);
    if (token_unit(p, unit)) return true;
    return ahead == 2 && !is_string(token_at(p, 1)) && unit->kind == TOKEN_WORD && unit->keyword == KEYWORD_NONE;  // INTERVAL 1 FORTNIGHT
}

// Reads a value with its sign into text; *is_text: it was a string.
static bool read_value(struct parser *p, char **out, size_t *size_bytes, bool *is_text) {
    bool negative = at_kind(p, TOKEN_MINUS);
    if (negative || at_kind(p, TOKEN_PLUS)) advance(p);
    const struct token *t = current(p);
    *is_text = is_string(t);
    char *s = NULL;
    size_t size = token_size(t);
    if (*is_text ? !string_bytes(p, t, &s, &size) : (s = parse_text(p, p->text + t->span.begin, size)) == NULL) return false;
    advance(p);
    if (negative) {
        size_t sign = 0;
        while (sign < size && is_blank(s[sign])) sign++;
        if (sign < size && (s[sign] == '-' || s[sign] == '+')) {
            s[sign] = s[sign] == '-' ? '+' : '-';
        } else {
            char *signed_text = parse_alloc(p, size + 2);
            if (!signed_text) return false;
            signed_text[0] = '-';
            memcpy(signed_text + 1, s, size);
            s = signed_text;
            size++;
        }
    }
    *out = s;
    *size_bytes = size;
    return true;
}

// The parts of a form like '1 02:03:04.5': numbers for the units from..to.
static enum fault read_parts(struct sum *sum, const char *s, size_t size, enum interval_unit from, enum interval_unit to) {
    static const int64_t scale[] = {0, 0, US_PER_DAY, 3600 * US_PER_SECOND, 60 * US_PER_SECOND, US_PER_SECOND};
    static const int64_t most[] = {0, 11, 0, 23, 59, 59};
    size_t i = 0;
    int64_t total = 0, months = 0;
    bool negative = false;
    while (size > 0 && is_blank(s[size - 1])) size--;
    while (i < size && is_blank(s[i])) i++;
    if (i < size && (s[i] == '-' || s[i] == '+')) negative = s[i++] == '-';
    for (enum interval_unit unit = from; unit <= to; unit++) {
        if (unit > from) {
            char separator = unit == UNIT_MONTH ? '-' : unit == UNIT_HOUR ? ' ' : ':';
            if (i >= size || s[i++] != separator) return FAULT_FORM;
        }
        int64_t value = 0, amount;
        size_t begin = i;
        for (; i < size && is_digit(s[i]); i++) {
            if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, s[i] - '0', &value)) return FAULT_OVERFLOW;
        }
        if (i == begin || (unit > from && unit != UNIT_MONTH && i - begin > 2)) return FAULT_FORM;
        if (unit > from && value > most[unit]) return unit == UNIT_MONTH ? FAULT_MIXED : FAULT_UNIT;
        if (unit <= UNIT_MONTH) {
            if (__builtin_mul_overflow(value, unit == UNIT_YEAR ? 12 : 1, &amount) || __builtin_add_overflow(months, amount, &months)) return FAULT_OVERFLOW;
        } else if (__builtin_mul_overflow(value, scale[unit], &amount) || __builtin_add_overflow(total, amount, &total)) {
            return FAULT_OVERFLOW;
        }
    }
    if (to == UNIT_SECOND && i < size && s[i] == '.') {
        int64_t weight = 100000000, nanos = 0;
        size_t begin = ++i;
        for (; i < size && is_digit(s[i]) && weight > 0; i++, weight /= 10) nanos += (s[i] - '0') * weight;
        if (i == begin || __builtin_add_overflow(total, nanos / 1000, &total)) return FAULT_FORM;
    }
    if (i != size) return FAULT_FORM;
    if (months > (int64_t)INT32_MAX + negative) return FAULT_OVERFLOW;
    *sum = (struct sum){.months = negative ? -months : months, .us = negative ? -total : total, .has_months = to == UNIT_MONTH,
                        .has_time = to != UNIT_MONTH, .first = from, .last = to};
    return FAULT_NONE;
}

static void *report_parts(struct parser *p, struct span span, enum fault fault) {
    switch (fault) {
    case FAULT_OVERFLOW:
        return parse_error(p, span, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "the interval is too long");
    case FAULT_MIXED:
        return parse_error(p, span, "INVALID_INTERVAL_FORMAT.INTERVAL_PARSING", "months are from 0 to 11");
    case FAULT_UNIT:
        (void)parse_error(p, span, "_LEGACY_ERROR_TEMP_0063", "a part of the interval is out of range");
        parse_hint(p, "after the first part hours are from 0 to 23, minutes and seconds from 0 to 59");
        return NULL;
    default:
        (void)parse_error(p, span, "INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING", "the text does not have the interval's form");
        parse_hint(p, "YEAR TO MONTH is 'y-m', DAY TO SECOND is 'd h:m:s.n', and so on for fewer parts");
        return NULL;
    }
}

// '…' FROM TO TO, at the unit before TO.
static bool read_range(struct parser *p, uint32_t begin, const char *s, size_t size, bool is_text, struct sum *sum) {
    const struct unit *from = token_unit(p, current(p)), *to = token_unit(p, token_at(p, 2));
    if (!to) {
        advance(p);
        advance(p);
        return parse_unexpected(p, "a unit such as SECOND") != NULL;
    }
    for (int i = 0; i < 3; i++) advance(p);
    struct span span = span_since(p, begin);
    bool plain = from->us != 7 * US_PER_DAY && (from->months || from->us >= US_PER_SECOND) && (to->months || to->us >= US_PER_SECOND);
    bool kinds = (from->field == UNIT_YEAR && to->field == UNIT_MONTH) || (from->field >= UNIT_DAY && to->field > from->field);
    if (!is_text) return parse_error(p, span, "_LEGACY_ERROR_TEMP_0027", "the value of an interval from one unit to another must be a string") != NULL;
    if (!plain || !kinds) {
        (void)parse_error(p, span, "INVALID_INTERVAL_FORMAT.UNSUPPORTED_FROM_TO_EXPRESSION", "intervals from %s to %s do not exist", from->name, to->name);
        parse_hint(p, "they go from YEAR to MONTH, and from DAY, HOUR or MINUTE to a smaller unit down to SECOND");
        return false;
    }
    enum fault fault = read_parts(sum, s, size, from->field, to->field);
    return fault ? report_parts(p, span, fault) != NULL : true;
}

static bool has_letter(const char *s, size_t size) {
    for (size_t i = 0; i < size; i++) {
        if ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z')) return true;
    }
    return false;
}

// After INTERVAL: values with units, or one value from a unit to another.
static bool read_interval(struct parser *p, uint32_t begin, struct sum *sum) {
    uint32_t ahead = 0;
    do {
        char *s;
        size_t size;
        bool is_text;
        struct span value_span = current(p)->span;
        if (!read_value(p, &s, &size, &is_text)) return false;
        const struct unit *unit = token_unit(p, current(p));
        if (!unit) {
            (void)parse_unexpected(p, "a unit of the interval");
            parse_hint(p, "units are YEAR, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND, MICROSECOND");
            return false;
        }
        if (is_keyword(token_at(p, 1), KEYWORD_TO) && !sum->has_months && !sum->has_time) return read_range(p, begin, s, size, is_text, sum);
        if (is_text && has_letter(s, size)) {
            (void)parse_error(p, value_span, "_LEGACY_ERROR_TEMP_0026", "before a unit only a number may stand");
            return false;
        }
        advance(p);
        enum fault fault = add_number(sum, s, size, unit);
        // A whole number of days and the like overflows later in Spark, when it becomes microseconds.
        if (fault == FAULT_OVERFLOW && size < 19 && unit->us)
            return parse_error(p, span_since(p, begin), "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "the interval is too long") != NULL;
        if (fault) return report(p, span_since(p, begin), fault, false) != NULL;
        ahead = 0;
    } while (at_value(p, &ahead) && token_unit(p, token_at(p, ahead)));
    return true;
}

struct uexpr *parse_interval(struct parser *p) {
    struct sum sum = {0};
    uint32_t begin = here(p);
    advance(p);
    if (!read_interval(p, begin, &sum)) return NULL;
    if (sum.has_months && sum.has_time) return report(p, span_since(p, begin), FAULT_MIXED, false);
    return interval_literal(p, span_since(p, begin), &sum);
}

bool parse_delay(struct parser *p, int32_t *months, int64_t *us) {
    struct sum sum = {0};
    uint32_t begin = here(p), ahead = 0;
    if (!expect_keyword(p, KEYWORD_INTERVAL)) return false;
    if (!at_value(p, &ahead)) return parse_unexpected(p, "a length of time such as INTERVAL 10 SECONDS") != NULL;
    if (!read_interval(p, begin, &sum)) return false;
    *months = (int32_t)sum.months;
    *us = sum.us;
    return true;
}
