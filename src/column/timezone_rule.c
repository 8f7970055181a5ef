// SPDX-License-Identifier: Apache-2.0
// timezone_rule.c: see timezone_rule.h. A cursor over text of known length; every step says whether it found what it wanted.
#include "column/timezone_rule.h"
#include "column/datetime.h"
#include "column/timezone.h"
#include <string.h>

struct cursor {
    const char *next, *end;
};

static bool take(struct cursor *c, char mark) {
    if (c->next == c->end || *c->next != mark) return false;
    c->next++;
    return true;
}

static bool take_number(struct cursor *c, unsigned most_digits, int *out) {
    unsigned digits = 0;
    int value = 0;
    while (c->next < c->end && *c->next >= '0' && *c->next <= '9' && digits < most_digits) {
        value = value * 10 + (*c->next++ - '0');
        digits++;
    }
    *out = value;
    return digits > 0;
}

// A name of letters, or anything between angle brackets; kept as far as it fits.
static bool take_name(struct cursor *c, char out[8]) {
    bool quoted = take(c, '<');
    size_t length = 0, seen = 0;
    memset(out, 0, 8);
    while (c->next < c->end) {
        char letter = *c->next;
        bool is_letter = (letter >= 'a' && letter <= 'z') || (letter >= 'A' && letter <= 'Z');
        if (quoted ? letter == '>' : !is_letter) break;
        if (length < 7) out[length++] = letter;
        c->next++;
        seen++;
    }
    return seen >= 3 && (!quoted || take(c, '>'));
}

// [+-]h[:m[:s]], up to 167 hours.
static bool take_time(struct cursor *c, int32_t *out) {
    bool negative = take(c, '-');
    if (!negative) take(c, '+');
    int hours = 0, minutes = 0, seconds = 0;
    if (!take_number(c, 3, &hours) || hours > 167) return false;
    if (take(c, ':') && !take_number(c, 2, &minutes)) return false;
    if (take(c, ':') && !take_number(c, 2, &seconds)) return false;
    if (minutes > 59 || seconds > 59) return false;
    *out = hours * 3600 + minutes * 60 + seconds;
    if (negative) *out = -*out;
    return true;
}

static bool take_day(struct cursor *c, struct zone_rule_day *out) {
    *out = (struct zone_rule_day){.time = 2 * 3600};
    if (!take(c, ',')) return false;
    if (take(c, 'M')) {
        out->kind = WEEKDAY_OF_MONTH;
        bool read = take_number(c, 2, &out->month) && take(c, '.') && take_number(c, 1, &out->week) && take(c, '.') && take_number(c, 1, &out->day);
        if (!read || out->month < 1 || out->month > 12 || out->week < 1 || out->week > 5 || out->day > 6) return false;
    } else {
        out->kind = take(c, 'J') ? DAY_OF_YEAR_NO_LEAP : DAY_OF_YEAR;
        if (!take_number(c, 3, &out->day) || out->day > 365 || (out->kind == DAY_OF_YEAR_NO_LEAP && out->day < 1)) return false;
    }
    return !take(c, '/') || take_time(c, &out->time);
}

bool zone_rule_parse(const char *text, size_t size_bytes, struct zone_rule *out) {
    struct cursor c = {.next = text, .end = text + size_bytes};
    *out = (struct zone_rule){0};
    int32_t west;
    if (!take_name(&c, out->standard_name) || !take_time(&c, &west) || west < -90000 || west > 90000) return false;
    out->standard_offset = -west;
    if (c.next == c.end) return true;
    out->has_summer = true;
    if (!take_name(&c, out->summer_name)) return false;
    out->summer_offset = out->standard_offset + 3600;
    if (c.next < c.end && *c.next != ',') {
        if (!take_time(&c, &west) || west < -90000 || west > 90000) return false;
        out->summer_offset = -west;
    }
    return take_day(&c, &out->summer_begins) && take_day(&c, &out->summer_ends) && c.next == c.end;
}

int64_t zone_rule_instant(const struct zone_rule_day *day, int64_t year) {
    int64_t first = days_from_civil(year, 1, 1), days;
    if (day->kind == DAY_OF_YEAR) {
        days = first + day->day;
    } else if (day->kind == DAY_OF_YEAR_NO_LEAP) {
        days = first + day->day - 1 + (day->day >= 60 && days_in_month(year, 2) == 29);
    } else {
        int64_t month_begins = days_from_civil(year, (unsigned)day->month, 1);
        int64_t weekday = floor_mod(month_begins + 4, 7);  // 1970-01-01 was a Thursday
        days = month_begins + floor_mod(day->day - weekday, 7) + (day->week - 1) * 7;
        if (days >= month_begins + days_in_month(year, (unsigned)day->month)) days -= 7;
    }
    return days * 86400 + day->time;
}

// [+-]h, hh, hhmm, hhmmss, or with colons (h may then be one digit too, as may minutes: Spark pads them).
static bool read_offset(struct cursor c, int32_t *seconds) {
    bool negative = take(&c, '-');
    if (!negative && !take(&c, '+')) return false;
    int parts[3] = {0, 0, 0};
    const char *first = c.next;
    if (!take_number(&c, 2, &parts[0])) return false;
    bool one_digit = c.next - first == 1;
    bool colons = c.next < c.end && *c.next == ':';
    for (int i = 1; i < 3 && c.next < c.end; i++) {
        if (colons != take(&c, ':') || (one_digit && !colons)) return false;
        const char *begin = c.next;
        if (!take_number(&c, 2, &parts[i]) || parts[i] > 59) return false;
        bool last = c.next == c.end;
        if (c.next - begin != 2 && !(colons && i == 1 && last)) return false;
    }
    int32_t total = parts[0] * 3600 + parts[1] * 60 + parts[2];
    if (c.next != c.end || total > 18 * 3600) return false;
    *seconds = negative ? -total : total;
    return true;
}

bool timezone_fixed_offset(const char *name, size_t name_bytes, int32_t *seconds) {
    struct cursor c = {.next = name, .end = name + name_bytes};
    *seconds = 0;
    if (name_bytes == 1 && name[0] == 'Z') return true;
    if (name_bytes >= 2 && memcmp(name, "UT", 2) == 0) {
        c.next += name_bytes >= 3 && name[2] == 'C' ? 3 : 2;
    } else if (name_bytes >= 3 && memcmp(name, "GMT", 3) == 0) {
        c.next += 3;
    }
    if (c.next > name && c.next == c.end) return true;
    return read_offset(c, seconds);
}
