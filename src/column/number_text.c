// SPDX-License-Identifier: Apache-2.0
// number_text.c: printing and correct reading of numbers.
//
// Nearly every number that people store has a short decimal form: r / 10^k with r of at most 15 digits is tried first, where one
// division of two exact doubles proves that it reads back. Those digits are the shortest, and Java prints the shortest of so few (but
// for powers of two, whose neighbours it takes for nearer than they are). What is left goes through java_digits.c.
//
// The library's routines see "12345e-4", never a decimal point: which character that is depends on the process's locale.
#include "column/number_text.h"
#include "column/java_digits.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { EXACT_POWERS = 23, SIGNIFICANT_DIGITS = 800, EXPONENT_LIMIT = 100000 };

static const double powers_of_ten[EXACT_POWERS] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

size_t print_int64(int64_t value, char *out) {
    char reversed[24];
    size_t count = 0, length = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        reversed[count++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0) out[length++] = '-';
    while (count > 0) out[length++] = reversed[--count];
    return length;
}

static void strip_zeros(struct digits *d) {
    while (d->count > 1 && d->text[d->count - 1] == '0') d->count--;
}

// Digits of integer / 10^fraction_digits.
static void digits_of_integer(uint64_t integer, int fraction_digits, struct digits *out) {
    out->count = (int)print_int64((int64_t)integer, out->text);
    out->exponent = out->count - 1 - fraction_digits;
    strip_zeros(out);
}

static bool is_power_of_two(double value) {
    int exponent;
    return frexp(value, &exponent) == 0.5;
}

// True if the value (positive, finite) is r / 10^k for a small r: then those are its shortest digits.
static bool short_decimal(double value, struct digits *out) {
    if (value >= 1e15 || value < 1e-7 || is_power_of_two(value)) return false;
    for (int k = 0; k < 18; k++) {
        double scaled = rint(value * powers_of_ten[k]);
        if (scaled >= 1e15) return false;
        if (scaled / powers_of_ten[k] == value) {
            digits_of_integer((uint64_t)scaled, k, out);
            return true;
        }
    }
    return false;
}

// Java's layout: plain from 10^-3 up to 10^7, else one digit before the point and E.
static size_t lay_out(const struct digits *d, bool negative, char *out) {
    size_t length = 0;
    if (negative) out[length++] = '-';
    if (d->exponent >= -3 && d->exponent < 7) {
        if (d->exponent < 0) {
            out[length++] = '0';
            out[length++] = '.';
            for (int i = -1; i > d->exponent; i--) out[length++] = '0';
            memcpy(out + length, d->text, (size_t)d->count);
            return length + (size_t)d->count;
        }
        for (int i = 0; i <= d->exponent; i++) out[length++] = i < d->count ? d->text[i] : '0';
        out[length++] = '.';
        if (d->count <= d->exponent + 1) out[length++] = '0';
        for (int i = d->exponent + 1; i < d->count; i++) out[length++] = d->text[i];
        return length;
    }
    out[length++] = d->text[0];
    out[length++] = '.';
    if (d->count == 1) out[length++] = '0';
    for (int i = 1; i < d->count; i++) out[length++] = d->text[i];
    out[length++] = 'E';
    return length + print_int64(d->exponent, out + length);
}

static size_t copy_word(char *out, const char *word) {
    size_t length = strlen(word);
    memcpy(out, word, length);
    return length;
}

static size_t print_number(double value, bool is_float, char *out) {
    if (isnan(value)) return copy_word(out, "NaN");
    bool negative = signbit(value);
    if (isinf(value)) return copy_word(out, negative ? "-Infinity" : "Infinity");
    if (value == 0) return copy_word(out, negative ? "-0.0" : "0.0");
    double magnitude = fabs(value);
    struct digits d;
    // A float's exact value has more digits than its shortest form: the quick way is right only where it is an integer.
    bool quick = is_float ? magnitude < 16777216 && rint(magnitude) == magnitude && short_decimal(magnitude, &d) : short_decimal(magnitude, &d);
    if (!quick) java_digits(magnitude, is_float, &d);
    return lay_out(&d, negative, out);
}

size_t print_double(double value, char *out) { return print_number(value, false, out); }
size_t print_float(float value, char *out) { return print_number((double)value, true, out); }

// Blanks and control bytes at both ends, as Spark trims before a cast to an integer.
static void trim(const char **s, size_t *size_bytes, bool delete_too) {
    while (*size_bytes && ((uint8_t)**s <= ' ' || (delete_too && **s == 0x7f))) (*s)++, (*size_bytes)--;
    while (*size_bytes && ((uint8_t)(*s)[*size_bytes - 1] <= ' ' || (delete_too && (*s)[*size_bytes - 1] == 0x7f))) (*size_bytes)--;
}

bool parse_int64(const char *s, size_t size_bytes, int64_t *out, bool *overflow) {
    *overflow = false;
    trim(&s, &size_bytes, true);
    if (size_bytes == 0) return false;
    bool negative = *s == '-';
    if (*s == '-' || *s == '+') s++, size_bytes--;
    if (size_bytes == 0) return false;
    int64_t value = 0;  // negated: the most negative number has no positive twin
    bool too_large = false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (s[i] < '0' || s[i] > '9') return false;
        too_large = too_large || __builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, s[i] - '0', &value);
    }
    if (too_large || (!negative && value == INT64_MIN)) {
        *overflow = true;
        return false;
    }
    *out = negative ? value : -value;
    return true;
}

// A number's text, taken apart: the value is digits × 10^exponent.
struct parts {
    bool negative;
    char digits[SIGNIFICANT_DIGITS + 24];  // room for the exponent that is written behind them
    size_t count;
    int64_t exponent;
};

static bool read_exponent(const char *s, const char *end, int64_t *out) {
    bool negative = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+')) s++;
    if (s == end) return false;
    int64_t value = 0;
    for (; s < end; s++) {
        if (*s < '0' || *s > '9') return false;
        if (value < EXPONENT_LIMIT * INT64_C(100)) value = value * 10 + (*s - '0');
    }
    *out = negative ? -value : value;
    return true;
}

// Digits beyond the limit cannot change the rounding but by not being zero: then a last 1 stands for them all.
static bool take_apart(const char *s, size_t size_bytes, struct parts *p) {
    const char *end = s + size_bytes;
    p->negative = size_bytes && *s == '-';
    if (size_bytes && (*s == '-' || *s == '+')) s++;
    p->count = 0;
    p->exponent = 0;
    bool seen_point = false, seen_digit = false, dropped = false;
    for (; s < end; s++) {
        if (*s == '.' && !seen_point) {
            seen_point = true;
            continue;
        }
        if (*s < '0' || *s > '9') break;
        seen_digit = true;
        if (p->count == SIGNIFICANT_DIGITS) {
            dropped |= *s != '0';
            p->exponent += !seen_point;
            continue;
        }
        if (p->count || *s != '0') p->digits[p->count++] = *s;
        p->exponent -= seen_point;
    }
    if (!seen_digit) return false;
    if (s < end && (end[-1] == 'd' || end[-1] == 'D' || end[-1] == 'f' || end[-1] == 'F')) end--;  // Java's suffixes
    if (s < end) {
        int64_t exponent;
        if ((*s != 'e' && *s != 'E') || !read_exponent(s + 1, end, &exponent)) return false;
        p->exponent += exponent;
    }
    if (dropped) {
        p->digits[p->count++] = '1';
        p->exponent--;
    }
    if (p->exponent > EXPONENT_LIMIT) p->exponent = EXPONENT_LIMIT;
    if (p->exponent < -EXPONENT_LIMIT) p->exponent = -EXPONENT_LIMIT;
    return true;
}

static bool word_equals(const char *s, size_t size_bytes, const char *word) {
    return size_bytes == strlen(word) && strncasecmp(s, word, size_bytes) == 0;
}

static bool read_special(const char *s, size_t size_bytes, double *out) {
    bool negative = size_bytes && *s == '-';
    const char *word = s;
    size_t word_bytes = size_bytes;
    if (size_bytes && (*s == '-' || *s == '+')) word++, word_bytes--;
    if (word_equals(word, word_bytes, "inf") || word_equals(word, word_bytes, "infinity")) {
        *out = negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    // Java itself reads a signed NaN when spelled so; Spark adds the bare word in any case.
    if (word_equals(s, size_bytes, "nan") || (word_bytes == 3 && memcmp(word, "NaN", 3) == 0)) {
        *out = (double)NAN;
        return true;
    }
    return false;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// Java's hexadecimal form: 0x1.8p3, the exponent (of two) required. It is handed on without its point, which depends on the locale;
// digits beyond the limit cannot matter but by not being zero: then a last 1 stands for them all.
static bool read_hexadecimal(const char *s, size_t size_bytes, bool is_float, double *out) {
    const char *end = s + size_bytes;
    bool negative = size_bytes && *s == '-';
    if (size_bytes && (*s == '-' || *s == '+')) s++;
    if (end - s < 4 || *s != '0' || (s[1] | 0x20) != 'x') return false;
    char text[96] = "0x";
    size_t count = 2;
    int64_t exponent = 0, shift = 0;
    bool seen_point = false, seen_digit = false, dropped = false;
    for (s += 2; s < end && (hex_digit(*s) >= 0 || (*s == '.' && !seen_point)); s++) {
        if (*s == '.') {
            seen_point = true;
            continue;
        }
        seen_digit = true;
        bool fits = count < 48;
        if (fits && (count > 2 || *s != '0')) text[count++] = *s;
        dropped |= !fits && *s != '0';
        shift += (fits ? 0 : 4) - (seen_point ? 4 : 0);
    }
    if (s < end && (end[-1] == 'd' || end[-1] == 'D' || end[-1] == 'f' || end[-1] == 'F')) end--;
    if (!seen_digit || s == end || (*s | 0x20) != 'p' || !read_exponent(s + 1, end, &exponent)) return false;
    if (dropped) text[count++] = '1', shift -= 4;
    exponent += shift;
    if (exponent > EXPONENT_LIMIT) exponent = EXPONENT_LIMIT;
    if (exponent < -EXPONENT_LIMIT) exponent = -EXPONENT_LIMIT;
    snprintf(text + count, sizeof text - count, "%sp%d", count == 2 ? "0" : "", (int)exponent);
    double value = is_float ? (double)strtof(text, NULL) : strtod(text, NULL);
    *out = negative ? -value : value;
    return true;
}

static bool parse_number(const char *s, size_t size_bytes, bool is_float, double *out) {
    trim(&s, &size_bytes, false);
    struct parts p;
    if (read_hexadecimal(s, size_bytes, is_float, out)) return true;
    if (!take_apart(s, size_bytes, &p)) return read_special(s, size_bytes, out);
    double value = 0;
    if (p.count > 0 && p.count <= 15 && !is_float && p.exponent >= -22 && p.exponent <= 22) {
        uint64_t integer = 0;
        for (size_t i = 0; i < p.count; i++) integer = integer * 10 + (uint64_t)(p.digits[i] - '0');
        // Both operands are exact, so that one operation rounds correctly (Clinger).
        value = p.exponent < 0 ? (double)integer / powers_of_ten[-p.exponent] : (double)integer * powers_of_ten[p.exponent];
    } else if (p.count > 0) {
        snprintf(p.digits + p.count, sizeof p.digits - p.count, "e%d", (int)p.exponent);
        value = is_float ? (double)strtof(p.digits, NULL) : strtod(p.digits, NULL);
    }
    *out = p.negative ? -value : value;
    return true;
}

bool parse_double(const char *s, size_t size_bytes, double *out) { return parse_number(s, size_bytes, false, out); }

bool parse_float(const char *s, size_t size_bytes, float *out) {
    double value;
    if (!parse_number(s, size_bytes, true, &value)) return false;
    *out = (float)value;
    return true;
}
