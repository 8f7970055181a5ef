// SPDX-License-Identifier: Apache-2.0
// number_text.h: numbers as Java prints and reads them, which is what Spark shows: 1.0E7, 1.0E-4, 0.001, -0.0, NaN, Infinity. Digits
// are those of Java 17, which Spark 4 runs on: they read back the same value, and are nearly always the fewest that do.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { NUMBER_TEXT_MAX = 40 };
size_t print_int64(int64_t value, char *out);
size_t print_double(double value, char *out);
size_t print_float(float value, char *out);
// What CAST(text AS BIGINT) accepts: blanks around, a sign, digits; no fraction (ANSI). *overflow: digits that do not fit.
bool parse_int64(const char *s, size_t size_bytes, int64_t *out, bool *overflow);
// What CAST(text AS DOUBLE) accepts: Java's decimal and hexadecimal forms with a suffix d or f ("1.0d", "0x1.8p3"), "NaN", "Infinity",
// "inf" in any case.
bool parse_double(const char *s, size_t size_bytes, double *out);
bool parse_float(const char *s, size_t size_bytes, float *out);  // correctly rounded to float
