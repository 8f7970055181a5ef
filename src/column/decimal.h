// SPDX-License-Identifier: Apache-2.0
// decimal.h: DECIMAL values: __int128 unscaled, scale kept by the type. Rounding is HALF_UP, as in Spark, unless said.
// Functions return false when the result does not fit `precision` digits.
#pragma once
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

typedef __int128 decimal;  // the one typedef: __int128 has no shorter name

decimal decimal_power_of_ten(unsigned exponent);  // 0–38
bool decimal_fits(decimal value, unsigned precision);
bool decimal_rescale(decimal value, unsigned from_scale, unsigned to_scale, unsigned precision, decimal *out);
bool decimal_parse(const char *s, size_t size_bytes, unsigned precision, unsigned scale, decimal *out, bool *is_number);  // *is_number: the text was one, but did not fit
bool decimal_from_double(double value, unsigned precision, unsigned scale, decimal *out);
double decimal_to_double(decimal value, unsigned scale);
bool decimal_to_int64(decimal value, unsigned scale, int64_t *out);  // cuts the fraction; false: out of range
bool decimal_multiply(decimal a, decimal b, unsigned from_scale, unsigned to_scale, unsigned precision, decimal *out);  // 256-bit inside
bool decimal_divide(decimal a, unsigned a_scale, decimal b, unsigned b_scale, unsigned to_scale, unsigned precision, decimal *out);
bool decimal_add(decimal a, unsigned a_scale, decimal b, unsigned b_scale, unsigned to_scale, unsigned precision, decimal *out);  // 256-bit inside
// Quotient without its fraction (false: more than 38 digits), and remainder with the sign of a at the larger of both scales; b is not 0.
bool decimal_quotient(decimal a, unsigned a_scale, decimal b, unsigned b_scale, decimal *out);
decimal decimal_remainder(decimal a, unsigned a_scale, decimal b, unsigned b_scale);
int decimal_compare(decimal a, unsigned a_scale, decimal b, unsigned b_scale);
enum { DECIMAL_TEXT_MAX = 48 };
size_t decimal_print(decimal value, unsigned scale, char *out);  // plain notation; returns the length
