// SPDX-License-Identifier: Apache-2.0
// aggregate_percentile.h: the percentages that percentile and percentile_approx are asked for: one, or a list.
#pragma once
#include "expr/aggregate.h"

struct percentile_data {
    const double *fractions;    // each in [0, 1]
    uint32_t fraction_count;
    bool is_list;               // the result is an array
};

// Reads the constant second argument of the call: a number in [0, 1] or an array of them. Casts it.
enum status percentile_bind_fractions(struct binding *b, struct percentile_data *data, struct error *e) WARN_UNUSED;
