// SPDX-License-Identifier: Apache-2.0
// aggregates.h: every table of aggregate functions, listed here and in aggregate.c, nowhere else.
#pragma once
#include "expr/aggregate.h"

extern const struct aggregate_table core_aggregates;
extern const struct aggregate_table statistic_aggregates;
extern const struct aggregate_table collection_aggregates;
extern const struct aggregate_table percentile_aggregates;
extern const struct aggregate_table sketch_aggregates;
