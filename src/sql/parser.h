// SPDX-License-Identifier: Apache-2.0
// parser.h: Spark SQL text to unresolved statements.
#pragma once
#include "plan/diagnostic.h"
#include "plan/unresolved.h"

struct timezone;

struct parse_limits {
    uint32_t statement_bytes;      // 0: 1 MiB
    uint32_t nesting;              // 0: 200 levels of brackets, subqueries, operators
    const struct timezone *zone;   // in which TIMESTAMP literals without a zone are read; NULL: UTC
};

// Parses every statement; after an error goes on at the next. All errors in `d`. STATUS_INVALID_QUERY when there was one;
// *out holds the statements that parsed. Everything lives in the arena; `text` must outlive it.
enum status sql_parse(struct arena *a, const char *text, size_t size_bytes, const struct parse_limits *limits, struct diagnostics *d,
                      struct ustatement ***out, uint32_t *count) WARN_UNUSED;
