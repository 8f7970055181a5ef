// SPDX-License-Identifier: Apache-2.0
// java_digits.h: which decimal digits Java up to release 18 prints for a floating-point number. Spark's answers come from there (Spark 4
// runs on Java 17), and they are not always the shortest: 2^62 is 4.6116860184273879E18 though 4.611686018427388E18 reads back the same.
// Pure: no state, no allocation, no locale.
#pragma once
#include <stdbool.h>

// Digits d1 d2 … dn of a positive number d1.d2…dn × 10^exponent.
struct digits {
    char text[24];
    int count;
    int exponent;
};

// `value` is positive and finite; is_float: it is a float's value, printed as a float.
void java_digits(double value, bool is_float, struct digits *out);
