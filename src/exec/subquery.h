// SPDX-License-Identifier: Apache-2.0
// subquery.h: uncorrelated subqueries inside expressions, run before the query that holds them.
#pragma once
#include "exec/exec.h"

// Replaces every scalar subquery by its value and every IN subquery by a list: *root is the plan itself if it holds none, else a copy of
// what changes, in the arena. More than one row for a scalar: SCALAR_SUBQUERY_TOO_MANY_ROWS.
enum status subqueries_bind(const struct query_run *run, struct arena *a, struct plan_node **root, struct error *e) WARN_UNUSED;
