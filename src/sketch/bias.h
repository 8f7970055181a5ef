// SPDX-License-Identifier: Apache-2.0
// bias.h: measured constants of HyperLogLog++: how far off the raw estimate is, and up to where linear counting is better, by precision.
// They are the numbers published with Heule, Nunkesser, Hall, "HyperLogLog in Practice" (EDBT 2013, appendix); whoever uses others gets
// other estimates than Spark does.
#pragma once
#include <stdint.h>

enum { HYPERLOGLOG_BIAS_PRECISION_MAX = 18 };

struct hyperloglog_bias {
    double threshold;         // linear counting up to this many values
    uint32_t count;           // of points
    const double *estimates;  // raw, ascending but for noise
    const double *biases;     // to be taken off
};
extern const struct hyperloglog_bias hyperloglog_biases[HYPERLOGLOG_BIAS_PRECISION_MAX - 4 + 1];  // of precision 4, 5, …
