// SPDX-License-Identifier: Apache-2.0
// clock.h: where time comes from. A pipeline reads it through a handle, so that a test can stand it still.
#pragma once
#include <stdint.h>
#include <stdbool.h>

struct clock {
    bool is_virtual;      // false: the system's
    int64_t virtual_us;   // microseconds since 1970-01-01 UTC, when virtual
};

int64_t clock_now_us(const struct clock *c);  // wall clock, microseconds since 1970-01-01 UTC
int64_t clock_monotonic_us(void);             // for measuring; never virtual
int64_t clock_cpu_us(void);                   // CPU time of the process
