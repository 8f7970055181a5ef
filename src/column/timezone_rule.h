// SPDX-License-Identifier: Apache-2.0
// timezone_rule.h: names of zones that are offsets, and the rule in a TZif footer ("CET-1CEST,M3.5.0,M10.5.0/3", POSIX TZ with the
// extensions of RFC 8536). Pure text and arithmetic; timezone.c is its only user.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A day of each year and a wall time on it.
struct zone_rule_day {
    enum { DAY_OF_YEAR_NO_LEAP, DAY_OF_YEAR, WEEKDAY_OF_MONTH } kind;
    int day;       // 1–365, 0–365, or the weekday (0 Sunday)
    int month;     // of WEEKDAY_OF_MONTH, 1–12
    int week;      // 1–5; 5: the last
    int32_t time;  // seconds from midnight; may be negative or beyond a day
};

struct zone_rule {
    bool has_summer;
    int32_t standard_offset, summer_offset;  // seconds east of UTC
    char standard_name[8], summer_name[8];
    struct zone_rule_day summer_begins, summer_ends;
};

bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *out);
// The wall time of the day in the year, as seconds from 1970-01-01 00:00 on the wall.
int64_t zone_rule_instant(const struct zone_rule_day *day, int64_t year);
