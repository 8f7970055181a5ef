// SPDX-License-Identifier: Apache-2.0
// aggregate_sum.h: sum, avg, min and max: binders and implementations, for the table in aggregate_core.c.
#pragma once
#include "expr/aggregate.h"

enum status sum_bind(struct binding *b, struct error *e);
enum status average_bind(struct binding *b, struct error *e);
const struct aggregate_ops *sum_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);
const struct aggregate_ops *try_sum_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);
const struct aggregate_ops *average_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);
const struct aggregate_ops *try_average_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);

enum status extreme_bind(struct binding *b, struct error *e);
const struct aggregate_ops *min_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);
const struct aggregate_ops *max_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data);
