// SPDX-License-Identifier: Apache-2.0
// datetime.h: the proleptic Gregorian calendar and Spark's text forms of dates and timestamps.
// Days are int32 since 1970-01-01, timestamps int64 µs since 1970-01-01 00:00 UTC. Method of days ⇄ civil: Hinnant, "chrono-compatible
// low-level date algorithms".
#pragma once
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

struct timezone;

#define US_PER_SECOND INT64_C(1000000)
#define US_PER_DAY INT64_C(86400000000)

struct civil {
    int32_t year;    // may be negative or above 9999
    uint8_t month;   // 1–12
    uint8_t day;     // 1–31
};
int64_t days_from_civil(int64_t year, unsigned month, unsigned day);
struct civil civil_from_days(int64_t days);
unsigned days_in_month(int64_t year, unsigned month);
static inline int64_t floor_div(int64_t a, int64_t b) { return a / b - ((a % b != 0) & ((a < 0) != (b < 0))); }
static inline int64_t floor_mod(int64_t a, int64_t b) { return a % b + ((a % b != 0) & ((a < 0) != (b < 0))) * b; }

// What CAST(text AS DATE | TIMESTAMP) accepts: blanks around, 1990, 1990-1-2, 1990-01-02T03:04:05.678Z, offsets, zone names, 1–9
// fraction digits (cut to µs). False: not a date. Words "now", "today"… are not accepted, as in Spark 4 casts.
bool parse_date(const char *s, size_t size_bytes, int32_t *days);
bool parse_timestamp(const char *s, size_t size_bytes, const struct timezone *zone, int64_t *us);
// A time of day alone ("12:34:56", "T12:34 Europe/Paris"): of the day that now_us lies in. The other functions refuse it.
bool parse_time_today(const char *s, size_t size_bytes, const struct timezone *zone, int64_t now_us, int64_t *us);
bool parse_timestamp_ntz(const char *s, size_t size_bytes, int64_t *us);

// At most 40 bytes each, no NUL; returns the length. Trailing zeros of the fraction are dropped, as CAST to STRING does.
enum { DATETIME_TEXT_MAX = 40 };
size_t print_date(int32_t days, char *out);
size_t print_timestamp(int64_t us, const struct timezone *zone, char *out);  // zone NULL: UTC, or NTZ
