// SPDX-License-Identifier: Apache-2.0
// coerce.h: which type two expressions meet in, and what may be cast to what. Spark's ANSI rules (AnsiTypeCoercion), measured.
#pragma once
#include "expr/expr.h"

// Tightest type both can be widened to (numbers, decimals, date → timestamp, NULL → anything); NULL if there is none.
const struct type *coerce_tightest_common(struct arena *a, const struct type *left, const struct type *right);
// As above, with strings meeting numbers, dates and booleans as Spark ANSI does (STRING with INT → BIGINT …): for comparison,
// coalesce, CASE, IN, UNION. NULL: none.
const struct type *coerce_common(struct arena *a, const struct type *left, const struct type *right);
// Implicit cast of an argument to what a function wants ("INT" for a BIGINT column: no; STRING column to INT: ANSI rules).
bool coerce_implicit(const struct expr *from, const struct type *to);
// May CAST be written at all between the two (ANSI)? False: DATATYPE_MISMATCH.CAST_WITHOUT_SUGGESTION or …WITH_FUNC/CONF.
bool cast_allowed(const struct type *from, const struct type *to);
bool cast_can_fail(const struct type *from, const struct type *to);
// Result of + − * / % over two decimals, Spark's rule with allowPrecisionLoss. op is '+', '-', '*', '/', '%', 'd' (div).
const struct type *decimal_result(struct arena *a, char op, const struct type *left, const struct type *right);
const struct type *decimal_for(struct arena *a, const struct type *t);  // INT → DECIMAL(10,0) …; FLOAT, DOUBLE as Spark
