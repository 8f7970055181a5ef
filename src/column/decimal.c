// SPDX-License-Identifier: Apache-2.0
// decimal.c: exact arithmetic on unscaled 128-bit values, with 256 bits in between.
//
// Rounding HALF_UP depends only on the first digit that is dropped. So a number is cut to one digit more than wanted, in as many
// steps as need be, and that digit decides; no remainder has to be kept.
#include "column/decimal.h"
#include "column/number_text.h"
#include <math.h>
#include <string.h>

typedef unsigned __int128 wide;  // decimal's unsigned twin, inside this file

// 256 bits, unsigned; least significant limb first.
struct wider {
    uint64_t limbs[4];
};

enum { CHUNK_DIGITS = 19, MOST_DIGITS = 38 };

static const uint64_t small_powers[CHUNK_DIGITS + 1] = {
    UINT64_C(1), UINT64_C(10), UINT64_C(100), UINT64_C(1000), UINT64_C(10000), UINT64_C(100000), UINT64_C(1000000),
    UINT64_C(10000000), UINT64_C(100000000), UINT64_C(1000000000), UINT64_C(10000000000), UINT64_C(100000000000),
    UINT64_C(1000000000000), UINT64_C(10000000000000), UINT64_C(100000000000000), UINT64_C(1000000000000000),
    UINT64_C(10000000000000000), UINT64_C(100000000000000000), UINT64_C(1000000000000000000), UINT64_C(10000000000000000000)};

static wide power(unsigned exponent) {
    if (exponent <= CHUNK_DIGITS) return small_powers[exponent];
    return (wide)small_powers[CHUNK_DIGITS] * small_powers[exponent - CHUNK_DIGITS];
}

decimal decimal_power_of_ten(unsigned exponent) { return (decimal)power(exponent); }

static wide magnitude(decimal value) { return value < 0 ? 0 - (wide)value : (wide)value; }

// Stores ±value if it has at most `precision` digits.
static bool store(wide value, bool negative, unsigned precision, decimal *out) {
    if (value >= power(precision)) return false;
    *out = negative ? -(decimal)value : (decimal)value;
    return true;
}

bool decimal_fits(decimal value, unsigned precision) { return magnitude(value) < power(precision); }

static wide divide_half_up(wide value, wide divisor) {
    wide quotient = value / divisor, rest = value % divisor;
    return quotient + (rest >= divisor - rest);
}

bool decimal_rescale(decimal value, unsigned from_scale, unsigned to_scale, unsigned precision, decimal *out) {
    wide scaled = magnitude(value);
    if (to_scale > from_scale) {
        if (__builtin_mul_overflow(scaled, power(to_scale - from_scale), &scaled)) return false;
    } else if (to_scale < from_scale) {
        scaled = divide_half_up(scaled, power(from_scale - to_scale));
    }
    return store(scaled, value < 0, precision, out);
}

static struct wider multiply(wide a, wide b) {
    uint64_t x[2] = {(uint64_t)a, (uint64_t)(a >> 64)}, y[2] = {(uint64_t)b, (uint64_t)(b >> 64)};
    struct wider product = {{0}};
    for (unsigned i = 0; i < 2; i++) {
        uint64_t carry = 0;
        for (unsigned j = 0; j < 2; j++) {
            wide sum = (wide)x[i] * y[j] + product.limbs[i + j] + carry;
            product.limbs[i + j] = (uint64_t)sum;
            carry = (uint64_t)(sum >> 64);
        }
        product.limbs[i + 2] += carry;
    }
    return product;
}

// False: the product needs more than 256 bits.
static bool multiply_small(struct wider *value, uint64_t factor) {
    uint64_t carry = 0;
    for (unsigned i = 0; i < 4; i++) {
        wide sum = (wide)value->limbs[i] * factor + carry;
        value->limbs[i] = (uint64_t)sum;
        carry = (uint64_t)(sum >> 64);
    }
    return carry == 0;
}

static uint64_t divide_small(struct wider *value, uint64_t divisor) {
    wide rest = 0;
    for (unsigned i = 4; i-- > 0;) {
        rest = rest << 64 | value->limbs[i];
        value->limbs[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint64_t)rest;
}

static bool narrow(const struct wider *value, wide *out) {
    *out = (wide)value->limbs[1] << 64 | value->limbs[0];
    return value->limbs[2] == 0 && value->limbs[3] == 0;
}

static bool scale_up(struct wider *value, unsigned digits) {
    for (; digits > 0; digits -= digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS) {
        if (!multiply_small(value, small_powers[digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS])) return false;
    }
    return true;
}

static bool scale_down_half_up(struct wider *value, unsigned digits, wide *out) {
    if (digits == 0) return narrow(value, out);
    for (digits--; digits > 0; digits -= digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS) {
        divide_small(value, small_powers[digits < CHUNK_DIGITS ? digits : CHUNK_DIGITS]);
    }
    uint64_t dropped = divide_small(value, 10);
    if (!narrow(value, out)) return false;
    return dropped < 5 || !__builtin_add_overflow(*out, 1, out);
}

bool decimal_multiply(decimal a, decimal b, unsigned from_scale, unsigned to_scale, unsigned precision, decimal *out) {
    bool negative = (a < 0) != (b < 0);
    wide product;
    if (from_scale == to_scale && !__builtin_mul_overflow(magnitude(a), magnitude(b), &product)) {
        return store(product, negative, precision, out);
    }
    struct wider exact = multiply(magnitude(a), magnitude(b));
    if (to_scale >= from_scale) {
        if (!scale_up(&exact, to_scale - from_scale) || !narrow(&exact, &product)) return false;
    } else if (!scale_down_half_up(&exact, from_scale - to_scale, &product)) {
        return false;
    }
    return store(product, negative, precision, out);
}

// value / divisor by shifting and subtracting; the remainder is returned. Rare: both sides are beyond 64 bits.
static wide divide_wide(struct wider *value, wide divisor) {
    wide rest = 0;
    for (unsigned i = 256; i-- > 0;) {
        bool out_bit = rest >> 127;
        rest = rest << 1 | (value->limbs[i / 64] >> (i % 64) & 1);
        bool fits = out_bit || rest >= divisor;
        if (fits) rest -= divisor;
        uint64_t bit = (uint64_t)1 << (i % 64);
        value->limbs[i / 64] = fits ? value->limbs[i / 64] | bit : value->limbs[i / 64] & ~bit;
    }
    return rest;
}

bool decimal_divide(decimal a, unsigned a_scale, decimal b, unsigned b_scale, unsigned to_scale, unsigned precision, decimal *out) {
    if (b == 0) return false;
    bool negative = (a < 0) != (b < 0);
    wide dividend = magnitude(a), divisor = magnitude(b), quotient;
    int shift = (int)to_scale + (int)b_scale - (int)a_scale;
    if (shift < 0) {
        // A divisor beyond 128 bits is more than twice any dividend: the quotient rounds to 0.
        bool is_zero = -shift > MOST_DIGITS || __builtin_mul_overflow(divisor, power((unsigned)-shift), &divisor);
        return store(is_zero ? 0 : divide_half_up(dividend, divisor), negative, precision, out);
    }
    struct wider exact = {{(uint64_t)dividend, (uint64_t)(dividend >> 64), 0, 0}};
    if (!scale_up(&exact, (unsigned)shift)) return false;  // at least 2^256 / 2^127: too large for 38 digits
    wide rest = divisor >> 64 ? divide_wide(&exact, divisor) : divide_small(&exact, (uint64_t)divisor);
    if (!narrow(&exact, &quotient)) return false;
    if (rest >= divisor - rest && __builtin_add_overflow(quotient, 1, &quotient)) return false;
    return store(quotient, negative, precision, out);
}

// Compares magnitudes.
static int compare(const struct wider *x, const struct wider *y) {
    for (unsigned i = 4; i-- > 0;) {
        if (x->limbs[i] != y->limbs[i]) return x->limbs[i] > y->limbs[i] ? 1 : -1;
    }
    return 0;
}

// x + y or, where the signs differ, x - y with x >= y. Two scaled operands have at most 254 bits: the sum fits.
static struct wider combine(const struct wider *x, const struct wider *y, bool subtract) {
    struct wider sum;
    uint64_t carry = subtract;
    for (unsigned i = 0; i < 4; i++) {
        wide limb = (wide)x->limbs[i] + (subtract ? ~y->limbs[i] : y->limbs[i]) + carry;
        sum.limbs[i] = (uint64_t)limb;
        carry = (uint64_t)(limb >> 64);
    }
    return sum;
}

bool decimal_add(decimal a, unsigned a_scale, decimal b, unsigned b_scale, unsigned to_scale, unsigned precision, decimal *out) {
    unsigned scale = a_scale > b_scale ? a_scale : b_scale;
    struct wider x = multiply(magnitude(a), power(scale - a_scale)), y = multiply(magnitude(b), power(scale - b_scale));
    bool negative = a < 0, subtract = (a < 0) != (b < 0);
    if (subtract && compare(&x, &y) < 0) {
        struct wider larger = y;
        y = x;
        x = larger;
        negative = b < 0;
    }
    struct wider sum = combine(&x, &y, subtract);
    wide rounded;
    if (to_scale >= scale) {
        if (!scale_up(&sum, to_scale - scale) || !narrow(&sum, &rounded)) return false;
    } else if (!scale_down_half_up(&sum, scale - to_scale, &rounded)) {
        return false;
    }
    return store(rounded, negative && rounded != 0, precision, out);
}

// |a| divided by |b| at one scale: *quotient is replaced by the dividend's, the remainder is returned.
static wide divide_scaled(decimal a, unsigned a_scale, decimal b, unsigned b_scale, struct wider *quotient) {
    wide divisor = magnitude(b);
    *quotient = multiply(magnitude(a), power(b_scale > a_scale ? b_scale - a_scale : 0));
    if (a_scale > b_scale && __builtin_mul_overflow(divisor, power(a_scale - b_scale), &divisor)) {
        *quotient = (struct wider){{0}};  // a divisor beyond 128 bits is larger than any dividend
        return magnitude(a);
    }
    return divisor >> 64 ? divide_wide(quotient, divisor) : divide_small(quotient, (uint64_t)divisor);
}

bool decimal_quotient(decimal a, unsigned a_scale, decimal b, unsigned b_scale, decimal *out) {
    struct wider quotient;
    wide whole;
    (void)divide_scaled(a, a_scale, b, b_scale, &quotient);
    return narrow(&quotient, &whole) && store(whole, (a < 0) != (b < 0), MOST_DIGITS, out);
}

decimal decimal_remainder(decimal a, unsigned a_scale, decimal b, unsigned b_scale) {
    if (a_scale == b_scale) return a % b;
    struct wider quotient;
    decimal rest = (decimal)divide_scaled(a, a_scale, b, b_scale, &quotient);
    return a < 0 ? -rest : rest;
}

int decimal_compare(decimal a, unsigned a_scale, decimal b, unsigned b_scale) {
    if (a_scale == b_scale) return (a > b) - (a < b);
    if ((a < 0) != (b < 0)) return a < 0 ? -1 : 1;
    struct wider x = multiply(magnitude(a), power(b_scale > a_scale ? b_scale - a_scale : 0));
    struct wider y = multiply(magnitude(b), power(a_scale > b_scale ? a_scale - b_scale : 0));
    return a < 0 ? -compare(&x, &y) : compare(&x, &y);
}

// The text of a number, checked: where its digits are and what power of ten the last one stands for.
struct decimal_text {
    const char *first, *end;  // of digits and the point
    bool negative;
    int64_t digit_count;      // without leading zeros
    int64_t exponent;
};

static bool check_exponent(const char *s, const char *end, int64_t *out) {
    bool negative = s < end && *s == '-';
    if (s < end && (*s == '-' || *s == '+')) s++;
    if (s == end) return false;
    int64_t value = 0;
    for (; s < end; s++) {
        if (*s < '0' || *s > '9') return false;
        value = value * 10 + (*s - '0');
        if (value > INT32_MAX) return false;  // Java's limit
    }
    *out = negative ? -value : value;
    return true;
}

static bool check_text(const char *s, size_t size_bytes, struct decimal_text *t) {
    const char *end = s + size_bytes;
    while (s < end && (uint8_t)*s <= ' ') s++;
    while (end > s && (uint8_t)end[-1] <= ' ') end--;
    *t = (struct decimal_text){.negative = s < end && *s == '-'};
    if (s < end && (*s == '-' || *s == '+')) s++;
    t->first = s;
    bool seen_point = false, seen_digit = false;
    for (; s < end; s++) {
        if (*s == '.' && !seen_point) {
            seen_point = true;
        } else if (*s >= '0' && *s <= '9') {
            seen_digit = true;
            t->digit_count += t->digit_count > 0 || *s != '0';
            t->exponent -= seen_point;
        } else {
            break;
        }
    }
    t->end = s;
    if (!seen_digit) return false;
    if (s == end) return true;
    int64_t exponent;
    if ((*s != 'e' && *s != 'E') || !check_exponent(s + 1, end, &exponent)) return false;
    t->exponent += exponent;
    return true;
}

bool decimal_parse(const char *s, size_t size_bytes, unsigned precision, unsigned scale, decimal *out, bool *is_number) {
    struct decimal_text t;
    *is_number = check_text(s, size_bytes, &t);
    if (!*is_number) return false;
    int64_t kept_digits = t.digit_count + t.exponent + (int64_t)scale;  // of the result, before rounding
    if (t.digit_count == 0 || kept_digits < 0) {
        *out = 0;
        return true;
    }
    if (kept_digits > MOST_DIGITS) return false;
    wide value = 0;
    int64_t seen = 0;
    bool round_up = false;
    for (const char *digit = t.first; digit < t.end && seen <= kept_digits; digit++) {
        if (*digit == '.' || (seen == 0 && *digit == '0')) continue;
        if (seen == kept_digits) {
            round_up = *digit >= '5';
        } else {
            value *= 10;
            value += (unsigned)(*digit - '0');
        }
        seen++;
    }
    if (seen < kept_digits) value *= power((unsigned)(kept_digits - seen));
    return store(value + round_up, t.negative, precision, out);
}

// Through the shortest digits, as Spark: CAST(0.1D AS DECIMAL) is what is printed, not the binary fraction behind it.
bool decimal_from_double(double value, unsigned precision, unsigned scale, decimal *out) {
    if (!isfinite(value)) return false;
    char text[NUMBER_TEXT_MAX];
    bool is_number;
    return decimal_parse(text, print_double(value, text), precision, scale, out, &is_number);
}

double decimal_to_double(decimal value, unsigned scale) {
    wide size = magnitude(value);
    if (size <= (wide)1 << 53 && scale <= 19) {
        double quotient = (double)(uint64_t)size / (double)small_powers[scale];  // both exact: rounds once
        return value < 0 ? -quotient : quotient;
    }
    char text[DECIMAL_TEXT_MAX];
    double result = 0;
    (void)parse_double(text, decimal_print(value, scale, text), &result);
    return result;
}

bool decimal_to_int64(decimal value, unsigned scale, int64_t *out) {
    decimal whole = value / decimal_power_of_ten(scale);
    if (whole < INT64_MIN || whole > INT64_MAX) return false;
    *out = (int64_t)whole;
    return true;
}

size_t decimal_print(decimal value, unsigned scale, char *out) {
    char reversed[DECIMAL_TEXT_MAX];
    size_t count = 0, length = 0;
    wide rest = magnitude(value);
    while (rest > UINT64_MAX) {
        reversed[count++] = (char)('0' + (unsigned)(rest % 10));
        rest /= 10;
        if (count == scale) reversed[count++] = '.';
    }
    for (uint64_t low = (uint64_t)rest; low > 0; low /= 10) {
        reversed[count++] = (char)('0' + low % 10);
        if (count == scale) reversed[count++] = '.';
    }
    if (scale > 0 && count < scale) {
        while (count < scale) reversed[count++] = '0';
        reversed[count++] = '.';
    }
    if (count == 0 || reversed[count - 1] == '.') reversed[count++] = '0';
    if (value < 0) out[length++] = '-';
    while (count > 0) out[length++] = reversed[--count];
    return length;
}
