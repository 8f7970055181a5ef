// SPDX-License-Identifier: Apache-2.0
// cast_rows.h: what the cast_*.c files share: one cast in progress, and how a row of it fails.
#pragma once
#include "expr/cast.h"

struct cast {
    const struct column *from;   // FLAT
    const struct type *to;
    bool is_try;
    struct column *out;
    const struct rows *rows;
    struct eval *eval;
};

// Fails the row, or makes it NULL under TRY.
void cast_fail(const struct cast *c, uint32_t row, const char *condition, const char *message);
void cast_fail_text(const struct cast *c, uint32_t row, const char *condition, const struct string_view *text);

bool cast_from_number(const struct cast *c);     // cast_number.c: numbers and BOOLEAN to numbers and BOOLEAN
bool cast_to_decimal(const struct cast *c);      // cast_number.c
bool cast_from_string(const struct cast *c);     // cast_text.c
void cast_to_string(const struct cast *c);       // cast_text.c
bool cast_time(const struct cast *c);            // cast_time.c: dates and timestamps from and to each other and numbers
bool cast_interval(const struct cast *c);        // cast_interval.c
void cast_nested(const struct cast *c);          // cast_nested.c

// A column of numbers as int64 where that is exact (integers, BOOLEAN).
int64_t cast_integer_at(const struct column *c, uint32_t row);
// Stores an integer into a column of an integral type; false: it does not fit.
bool cast_put_integer(struct column *out, uint32_t row, int64_t value);
