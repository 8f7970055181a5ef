// SPDX-License-Identifier: Apache-2.0
// clock.c: the system's clocks, in microseconds.
#include "base/clock.h"
#include <time.h>

static int64_t read_clock(clockid_t id) {
    struct timespec t = {0};
    clock_gettime(id, &t);  // cannot fail for the three clocks asked for
    return (int64_t)t.tv_sec * INT64_C(1000000) + t.tv_nsec / 1000;
}

int64_t clock_now_us(const struct clock *c) { return c && c->is_virtual ? c->virtual_us : read_clock(CLOCK_REALTIME); }
int64_t clock_monotonic_us(void) { return read_clock(CLOCK_MONOTONIC); }
int64_t clock_cpu_us(void) { return read_clock(CLOCK_PROCESS_CPUTIME_ID); }
