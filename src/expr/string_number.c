// SPDX-License-Identifier: Apache-2.0
// string_number.c: format_number, as java.text.DecimalFormat with the symbols of English does it: rounding HALF_EVEN over the exact value, and
// zeros after the digits that Java prints of a floating-point number.
//
//     #,###.00      group by 3, no digit before the point needed, two after
//     000           at least three digits          ##.###       up to three after the point
#include "column/decimal.h"
#include "column/java_digits.h"
#include "expr/functions.h"
#include "expr/string_text.h"
#include <math.h>

enum { FRACTION_MAX = 340, WHOLE_MAX = 400, NUMBER_ROOM = 2 * (WHOLE_MAX + FRACTION_MAX) };

struct number_format {
    int whole_least, fraction_least, fraction_most;
    int group;          // digits between commas; 0: none
};

static bool parse_number_format(struct text pattern, struct number_format *out) {
    int whole = 0, whole_zeros = 0, after_comma = 0, fraction = 0, fraction_zeros = 0;
    bool point = false, comma = false;
    for (size_t i = 0; i < pattern.size_bytes; i++) {
        char c = pattern.bytes[i];
        if (c == '.' && !point) {
            point = true;
        } else if (c == ',' && !point) {
            comma = true;
            after_comma = 0;
        } else if (c == '0' || c == '#') {
            if (point) fraction++, fraction_zeros += c == '0';
            else whole++, after_comma++, whole_zeros += c == '0';
            if (!point && c == '#' && whole_zeros) return false;
            if (point && c == '0' && fraction_zeros != fraction) return false;
        } else {
            return false;
        }
    }
    if (whole > WHOLE_MAX || fraction > FRACTION_MAX || whole + fraction == 0) return false;
    // Without any zero a pattern with a point has one before it.
    bool needs_one = point && !whole_zeros && !fraction_zeros && whole;
    *out = (struct number_format){.whole_least = needs_one ? 1 : whole_zeros, .fraction_least = fraction_zeros, .fraction_most = fraction,
                                  .group = comma ? after_comma : 0};
    return true;
}

// |value| of a decimal at a scale, rounded HALF_EVEN to `fraction` digits, as text with a point if fraction > 0.
static int print_decimal_even(unsigned __int128 value, unsigned scale, int fraction, char *out) {
    unsigned drop = (int)scale > fraction ? scale - (unsigned)fraction : 0;
    unsigned __int128 unit = (unsigned __int128)decimal_power_of_ten(drop), rest = value % unit;
    value /= unit;
    if (drop && (rest > unit / 2 || (rest == unit / 2 && value % 2))) value++;
    unsigned digits_after = scale - drop;
    char reversed[DECIMAL_TEXT_MAX];
    unsigned count = 0;
    while (value || count <= digits_after) {
        reversed[count++] = (char)('0' + (int)(value % 10));
        value /= 10;
    }
    int used = 0;
    for (unsigned i = count; i-- > 0;) {
        if (i + 1 == digits_after) out[used++] = '.';
        out[used++] = reversed[i];
    }
    if (digits_after == 0 && fraction > 0) out[used++] = '.';
    for (int i = (int)digits_after; i < fraction; i++) out[used++] = '0';
    return used;
}

// A positive number whose digits all stand before the wanted fraction's end is those digits and zeros.
static int print_fraction(double value, int fraction, char *out) {
    struct digits d;
    java_digits(value, false, &d);
    if (d.count - 1 - d.exponent > fraction || d.exponent >= WHOLE_MAX) return snprintf(out, NUMBER_ROOM, "%.*f", fraction, value);
    int used = 0;
    for (int place = d.exponent > 0 ? d.exponent : 0; place >= -fraction; place--) {
        int index = d.exponent - place;
        if (place == -1) out[used++] = '.';
        out[used++] = index >= 0 && index < d.count ? d.text[index] : '0';
    }
    return used;
}

// Digits of |value| with exactly fraction_most after the point. *negative: its sign. 0: not a finite number, *special tells which.
static int print_digits(const struct column *c, uint32_t row, int fraction, bool *negative, const char **special, char *out) {
    *special = NULL;
    switch (c->type->id) {
    case TYPE_FLOAT:
    case TYPE_DOUBLE: {
        double value = c->type->id == TYPE_FLOAT ? (double)column_float(c, row) : column_double(c, row);
        *negative = signbit(value) && !isnan(value);
        if (isnan(value)) *special = "NaN";
        else if (isinf(value)) *special = "\u221e";
        if (*special) return 0;
        return value == 0 ? snprintf(out, NUMBER_ROOM, "%.*f", fraction, 0.0) : print_fraction(fabs(value), fraction, out);
    }
    case TYPE_DECIMAL: {
        decimal value = column_decimal(c, row);
        *negative = value < 0;
        return print_decimal_even(value < 0 ? -(unsigned __int128)value : (unsigned __int128)value, c->type->scale, fraction, out);
    }
    default: {
        int64_t value = column_int64(c, row);
        *negative = value < 0;
        return print_decimal_even(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, 0, fraction, out);
    }
    }
}

static void format_row(const struct column *c, uint32_t row, const struct number_format *format, struct column *out, struct eval *eval) {
    char digits[NUMBER_ROOM], text[NUMBER_ROOM];
    bool negative = false;
    const char *special;
    int length = print_digits(c, row, format->fraction_most, &negative, &special, digits);
    size_t used = 0;
    if (negative) text[used++] = '-';
    if (special) {
        memcpy(text + used, special, strlen(special));
        out_set_string(out, row, text, used + strlen(special), eval);
        return;
    }
    int whole = 0;
    while (whole < length && digits[whole] != '.') whole++;
    int fraction = length > whole ? length - whole - 1 : 0;
    while (fraction > format->fraction_least && digits[whole + fraction] == '0') fraction--;
    int begin = whole == 1 && digits[0] == '0' && format->whole_least == 0 && fraction > 0 ? 1 : 0;
    int shown = whole - begin > format->whole_least ? whole - begin : format->whole_least;
    for (int place = shown; place > 0; place--) {
        text[used++] = place > whole ? '0' : digits[whole - place];
        if (format->group && place > 1 && (place - 1) % format->group == 0) text[used++] = ',';
    }
    if (fraction) {
        memcpy(text + used, digits + whole, (size_t)fraction + 1);
        used += (size_t)fraction + 1;
    }
    out_set_string(out, row, text, used, eval);
}

static void kernel_format_number(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool by_pattern = args[1]->type->id == TYPE_STRING;
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct number_format format;
        if (by_pattern) {
            struct text pattern = text_at(args[1], row);
            if (!pattern.size_bytes) pattern = text_of("#,###,###,###,###,###,##0");
            if (!parse_number_format(pattern, &format)) {
                eval_fail_value(eval, row, "INVALID_PARAMETER_VALUE", "format_number: the pattern is not valid", pattern.bytes, pattern.size_bytes);
                continue;
            }
        } else {
            int places = int_at(args[1], row);
            if (places < 0) {
                out_set_null(out, row);
                continue;
            }
            if (places > FRACTION_MAX) places = FRACTION_MAX;
            format = (struct number_format){.whole_least = 1, .fraction_least = places, .fraction_most = places, .group = 3};
        }
        format_row(args[0], row, &format, out, eval);
    }
}

static enum status format_number_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *type = b->args[0]->type;
    if (!type_is_numeric(type) && type->id != TYPE_NULL)
        return binding_value_error(b, 0, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", "the first argument must be a number", e);
    if (type->id == TYPE_NULL) TRY(binding_cast(b, 0, &type_double, e));
    else if (type_is_integral(type)) TRY(binding_cast(b, 0, &type_bigint, e));
    TRY(binding_cast(b, 1, b->args[1]->type->id == TYPE_STRING ? &type_string : &type_int, e));
    b->result = &type_string;
    b->nullable = true;
    return STATUS_OK;
}

static const struct function number_list[] = {
    {"format_number", "(NUMERIC, INT) -> STRING | (NUMERIC, STRING) -> STRING", kernel_format_number, format_number_bind,
     FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL, "With commas between thousands and so many digits after the point, or by a pattern such as '#,##0.00'",
     "format_number(12332.123456, 4)", "12,332.1235"},
};

const struct function_table number_functions = {number_list, sizeof number_list / sizeof number_list[0], "string"};
