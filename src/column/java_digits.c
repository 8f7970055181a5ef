// SPDX-License-Identifier: Apache-2.0
// java_digits.c: free-format digit generation after Steele and White, "How to Print Floating-Point Numbers Accurately" (PLDI 1990), with
// the choices of Java's library before release 19, each of which shows in some digit:
//
//   - an integer below 2^63 is not generated but written out, less the digits that a power of two of its size makes meaningless;
//   - the value is a fraction b / s, m is half the distance to its neighbours; digits end once the rest is below m or above s - m. The
//     bounds themselves do not count, but for the upper one in wide arithmetic, where they do;
//   - of a power of two both distances are taken as the smaller one;
//   - numbers printed with an exponent get two digits at least, whatever the rest says;
//   - arithmetic is done in 32 bits, in 64, or in as many as it takes, chosen by an estimate of the operands' sizes; m may overflow
//     in the first two.
//
//     value = b / s × 10^exponent      b = mantissa × 5^b5 × 2^b2      s = 5^s5 × 2^s2      m = 5^b5 × 2^m2
#include "column/java_digits.h"
#include <math.h>
#include <stdint.h>
#include <string.h>

enum {
    WIDE_LIMBS = 40,        // 1,280 bits: the largest operand, of 1.8E308, has 1,024, and m may be added to it
    FRACTION_BITS = 52,
    TABLE_POWERS = 27,      // 5^26 is the last power below 2^63
    INTEGER_EXPONENT = 62,
};

// A value taken apart, and its fraction b / s.
struct fraction {
    uint64_t mantissa;      // without its trailing zero bits
    int mantissa_bits;
    int b5, b2, s5, s2, m2;
    int exponent;           // of ten: an estimate, perhaps one too high
};

// How generation ended.
struct ending {
    bool low;               // the rest is below m: the digits as they are
    bool high;              // the rest is above s - m: the last digit goes up
    int beyond_half;        // of the rest, if both
};

static uint64_t power_of_five(int exponent) {
    uint64_t power = 1;
    while (exponent-- > 0) power *= 5;
    return power;
}

// Bits of 5^exponent as Java's table and its bound beyond the table have it.
static int five_bits(int exponent) {
    if (exponent >= TABLE_POWERS) return exponent * 3;
    return exponent == 0 ? 0 : (int)(exponent * 2.321928094887362) + 1;
}

static void round_up(struct digits *d) {
    int last = d->count - 1;
    while (last > 0 && d->text[last] == '9') d->text[last--] = '0';
    if (d->text[last] == '9') {
        d->text[last] = '1';
        d->exponent++;
    } else {
        d->text[last]++;
    }
}

static void integer_digits(uint64_t value, int meaningless, struct digits *out) {
    int exponent = 0;
    if (meaningless > 0) {
        uint64_t power = power_of_five(meaningless) << meaningless;
        bool up = value % power >= power >> 1;
        value = value / power + up;
        exponent = meaningless;
    }
    while (value % 10 == 0) {
        value /= 10;
        exponent++;
    }
    char reversed[24];
    int count = 0;
    for (; value; value /= 10) reversed[count++] = (char)('0' + value % 10);
    for (int i = 0; i < count; i++) out->text[i] = reversed[count - 1 - i];
    out->count = count;
    out->exponent = exponent + count - 1;
}

static int64_t wrapped(uint64_t value, bool narrow) { return narrow ? (int64_t)(int32_t)(uint32_t)value : (int64_t)value; }

// The first digit, and what follows from it. False: generation is over.
static bool take_first(int64_t quotient, bool *low, bool *high, struct digits *out) {
    if (quotient == 0 && !*high) out->exponent--;
    else out->text[out->count++] = (char)('0' + quotient);
    if (out->exponent < -3 || out->exponent >= 8) *low = *high = false;
    return !*low && !*high;
}

static struct ending generate_native(const struct fraction *f, bool narrow, struct digits *out) {
    int64_t b = (int64_t)((f->mantissa * power_of_five(f->b5)) << f->b2);
    int64_t s = (int64_t)(power_of_five(f->s5) << f->s2);
    int64_t m = wrapped((power_of_five(f->b5) << f->m2) * 10, narrow);
    int64_t tens = s * 10;
    int64_t quotient = b / s;
    b = 10 * (b % s);
    bool low = b < m, high = wrapped((uint64_t)b + (uint64_t)m, narrow) > tens;
    bool go_on = take_first(quotient, &low, &high, out);
    while (go_on && out->count < (int)sizeof out->text) {
        quotient = b / s;
        b = 10 * (b % s);
        m = wrapped((uint64_t)m * 10, narrow);
        low = m <= 0 || b < m;
        high = m <= 0 || wrapped((uint64_t)b + (uint64_t)m, narrow) > tens;
        out->text[out->count++] = (char)('0' + quotient);
        go_on = !low && !high;
    }
    int64_t beyond = wrapped(((uint64_t)b << 1) - (uint64_t)tens, narrow);
    return (struct ending){low, high, (beyond > 0) - (beyond < 0)};
}

// Natural numbers, least significant limb first; limbs from `count` on are not looked at.
struct wide {
    uint32_t limbs[WIDE_LIMBS];
    int count;
};

static void wide_multiply(struct wide *w, uint32_t factor) {
    uint64_t carry = 0;
    for (int i = 0; i < w->count; i++) {
        carry += (uint64_t)w->limbs[i] * factor;
        w->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
    if (carry && w->count < WIDE_LIMBS) w->limbs[w->count++] = (uint32_t)carry;
}

// value × 5^fives × 2^twos
static void wide_init(struct wide *w, uint64_t value, int fives, int twos) {
    int skipped = twos / 32;
    memset(w->limbs, 0, (size_t)skipped * sizeof *w->limbs);
    w->limbs[skipped] = (uint32_t)value;
    w->limbs[skipped + 1] = (uint32_t)(value >> 32);
    w->count = skipped + (value >> 32 ? 2 : 1);
    for (; fives >= 13; fives -= 13) wide_multiply(w, 1220703125);
    wide_multiply(w, (uint32_t)power_of_five(fives));
    wide_multiply(w, UINT32_C(1) << twos % 32);
}

static uint32_t wide_limb(const struct wide *w, int i) { return i >= 0 && i < w->count ? w->limbs[i] : 0; }

// Compares a + b with c (b may be NULL: nothing).
static int wide_compare_sum(const struct wide *a, const struct wide *b, const struct wide *c) {
    int count = a->count > c->count ? a->count : c->count;
    if (b && b->count > count) count = b->count;
    int64_t difference = 0;  // of what is above the limb at hand; beyond ±2 the lower limbs cannot turn it
    for (int i = count - 1; i >= 0; i--) {
        difference = difference * (INT64_C(1) << 32) + (int64_t)wide_limb(a, i) + (b ? (int64_t)wide_limb(b, i) : 0) - (int64_t)wide_limb(c, i);
        if (difference > 2 || difference < -2) return difference > 0 ? 1 : -1;
    }
    return (difference > 0) - (difference < 0);
}

// w -= other × factor; true if it went below zero (then w is short of 2^(32 × limbs) by so much).
static bool wide_subtract(struct wide *w, const struct wide *other, uint32_t factor) {
    uint64_t borrow = 0;
    for (int i = 0; i < w->count; i++) {
        uint64_t product = (uint64_t)wide_limb(other, i) * factor + borrow;
        uint32_t low = (uint32_t)product;
        borrow = (product >> 32) + (w->limbs[i] < low);
        w->limbs[i] -= low;
    }
    return borrow != 0;
}

static void wide_add(struct wide *w, const struct wide *other) {
    uint64_t carry = 0;
    for (int i = 0; i < w->count; i++) {
        carry += (uint64_t)w->limbs[i] + wide_limb(other, i);
        w->limbs[i] = (uint32_t)carry;
        carry >>= 32;
    }
}

// The quotient of b by s, below ten; b becomes ten times the rest.
static int wide_divide(struct wide *b, const struct wide *s) {
    int top = s->count - 1;
    double above = (double)wide_limb(b, top + 1) * 0x1p64 + (double)wide_limb(b, top) * 0x1p32 + (double)wide_limb(b, top - 1);
    double below = (double)wide_limb(s, top) * 0x1p32 + (double)wide_limb(s, top - 1);
    int quotient = (int)(above / below);
    if (quotient > 0 && wide_subtract(b, s, (uint32_t)quotient)) {
        wide_add(b, s);
        quotient--;
    }
    if (wide_compare_sum(b, NULL, s) >= 0) {
        wide_subtract(b, s, 1);
        quotient++;
    }
    while (b->count > 1 && b->limbs[b->count - 1] == 0) b->count--;
    wide_multiply(b, 10);
    return quotient;
}

static struct ending generate_wide(const struct fraction *f, struct digits *out) {
    struct wide b, s, m, tens;
    wide_init(&b, f->mantissa, f->b5, f->b2);
    wide_init(&s, 1, f->s5, f->s2);
    wide_init(&m, 10, f->b5, f->m2);
    tens = s;
    wide_multiply(&tens, 10);
    int quotient = wide_divide(&b, &s);
    bool low = wide_compare_sum(&b, NULL, &m) < 0, high = wide_compare_sum(&b, &m, &tens) >= 0;
    bool go_on = take_first(quotient, &low, &high, out);
    while (go_on && out->count < (int)sizeof out->text) {
        quotient = wide_divide(&b, &s);
        wide_multiply(&m, 10);
        low = wide_compare_sum(&b, NULL, &m) < 0;
        high = wide_compare_sum(&b, &m, &tens) >= 0;
        out->text[out->count++] = (char)('0' + quotient);
        go_on = !low && !high;
    }
    return (struct ending){low, high, wide_compare_sum(&b, &b, &tens)};
}

// Sets up b, s and m for a mantissa of 53 bits, of which `precision` were the value's own.
static void fraction_init(struct fraction *f, uint64_t mantissa, int binary_exponent, int precision) {
    int zeros = __builtin_ctzll(mantissa);
    f->mantissa = mantissa >> zeros;
    f->mantissa_bits = FRACTION_BITS + 1 - zeros;
    int below_point = f->mantissa_bits - binary_exponent - 1;
    if (below_point < 0) below_point = 0;
    double significand = (double)mantissa * 0x1p-52;
    f->exponent = (int)floor((significand - 1.5) * 0.289529654 + 0.176091259 + (double)binary_exponent * 0.301029995663981);
    f->b5 = f->exponent < 0 ? -f->exponent : 0;
    f->s5 = f->exponent > 0 ? f->exponent : 0;
    f->b2 = f->b5 + below_point + binary_exponent;
    f->s2 = f->s5 + below_point;
    f->m2 = f->b2 - precision;
    f->b2 -= f->mantissa_bits - 1;
    int common = f->b2 < f->s2 ? f->b2 : f->s2;
    f->b2 -= common;
    f->s2 -= common;
    f->m2 -= common + (f->mantissa_bits == 1);
    if (f->m2 < 0) {
        f->b2 -= f->m2;
        f->s2 -= f->m2;
        f->m2 = 0;
    }
}

// The value as mantissa (53 bits, the first set) × 2^(exponent - 52), and how many bits of precision it has: less below the normal range.
static int take_apart(double value, bool is_float, uint64_t *mantissa, int *binary_exponent) {
    double half_open = frexp(value, binary_exponent);
    (*binary_exponent)--;
    *mantissa = (uint64_t)ldexp(half_open, FRACTION_BITS + 1);
    int least_exponent = is_float ? -126 : -1022, precision = is_float ? 24 : FRACTION_BITS + 1;
    return *binary_exponent < least_exponent ? precision - (least_exponent - *binary_exponent) : precision;
}

void java_digits(double value, bool is_float, struct digits *out) {
    uint64_t mantissa;
    int binary_exponent;
    int precision = take_apart(value, is_float, &mantissa, &binary_exponent);
    struct fraction f;
    fraction_init(&f, mantissa, binary_exponent, precision);
    bool is_integer = f.mantissa_bits <= binary_exponent + 1;
    if (is_integer && binary_exponent <= INTEGER_EXPONENT) {
        int surplus = binary_exponent - precision - 1;  // 2^surplus is about what the last place is worth
        int meaningless = binary_exponent > precision && surplus > 1 ? (int)(surplus * 0.30102999566398120) : 0;
        uint64_t integer = binary_exponent >= FRACTION_BITS ? mantissa << (binary_exponent - FRACTION_BITS) : mantissa >> (FRACTION_BITS - binary_exponent);
        integer_digits(integer, meaningless, out);
        return;
    }
    out->count = 0;
    out->exponent = f.exponent;
    int b_bits = f.mantissa_bits + f.b2 + five_bits(f.b5), tens_bits = f.s2 + 1 + five_bits(f.s5 + 1);
    bool narrow = b_bits < 32 && tens_bits < 32;
    struct ending end = b_bits < 64 && tens_bits < 64 ? generate_native(&f, narrow, out) : generate_wide(&f, out);
    bool odd = out->text[out->count - 1] & 1;
    if (end.high && (!end.low || end.beyond_half > 0 || (end.beyond_half == 0 && odd))) round_up(out);
}
