// SPDX-License-Identifier: Apache-2.0
// print.h: an unresolved statement as an s-expression, for tests and for looking at what the parser made.
//
//     SELECT a + 1 AS b FROM t WHERE c     (query (select (as (+ a 1) b) (from (table t)) (where c)))
#pragma once
#include "base/buffer.h"
#include "plan/unresolved.h"

enum status sql_print_expression(const struct uexpr *e, struct buffer *out) WARN_UNUSED;
enum status sql_print_query(const struct uquery *q, struct buffer *out) WARN_UNUSED;
enum status sql_print_statement(const struct ustatement *s, struct buffer *out) WARN_UNUSED;
