// SPDX-License-Identifier: Apache-2.0
// datetime.c: calendar arithmetic and Spark's text forms.
//
// The calendar repeats every 400 years (146,097 days): days are counted within such an era from 1 March, so that the leap day is
// the last of its year. Method: Howard Hinnant, "chrono-compatible low-level date algorithms".
//
// Reading text is one pass over segments (year, month, day, hour, minute, second, fraction), each closed by the separator that its
// position allows; what follows the seconds is a time zone.
#include "column/datetime.h"
#include "column/timezone.h"
#include <string.h>

enum { DAYS_PER_ERA = 146097, DAYS_TO_1970 = 719468 };

int64_t days_from_civil(int64_t year, unsigned month, unsigned day) {
    year -= month <= 2;
    int64_t era = floor_div(year, 400);
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * (int64_t)(month > 2 ? month - 3 : month + 9) + 2) / 5 + (int64_t)day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970;
}

struct civil civil_from_days(int64_t days) {
    days += DAYS_TO_1970;
    int64_t era = floor_div(days, DAYS_PER_ERA);
    int64_t day_of_era = days - era * DAYS_PER_ERA;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t shifted_month = (5 * day_of_year + 2) / 153;
    int64_t month = shifted_month < 10 ? shifted_month + 3 : shifted_month - 9;
    return (struct civil){.year = (int32_t)(year_of_era + era * 400 + (month <= 2)),
                          .month = (uint8_t)month,
                          .day = (uint8_t)(day_of_year - (153 * shifted_month + 2) / 5 + 1)};
}

unsigned days_in_month(int64_t year, unsigned month) {
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return month == 2 && is_leap ? 29 : days[(month - 1) % 12];
}

static void trim(const char **s, size_t *size_bytes) {
    while (*size_bytes && ((uint8_t)**s <= ' ' || **s == 0x7f)) (*s)++, (*size_bytes)--;
    while (*size_bytes && ((uint8_t)(*s)[*size_bytes - 1] <= ' ' || (*s)[*size_bytes - 1] == 0x7f)) (*size_bytes)--;
}

enum segment { YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, FRACTION, SEGMENT_COUNT };

// A timestamp's text, taken apart. Absent parts: January, the first, midnight.
struct parsed {
    int64_t values[SEGMENT_COUNT];
    bool negative_year;
    bool time_only;         // no date: 12:34:56, T12:34
    const char *zone_name;  // NULL: none
    size_t zone_bytes;
};

static bool digit_count_fits(enum segment segment, unsigned count, unsigned most_year_digits) {
    if (segment == YEAR) return count >= 4 && count <= most_year_digits;
    return segment == FRACTION || (count > 0 && count <= 2);
}

// True if `c` may end the segment.
static bool separates(enum segment segment, char c) {
    switch (segment) {
    case YEAR:
    case MONTH: return c == '-';
    case DAY: return c == ' ' || c == 'T';
    case HOUR:
    case MINUTE: return c == ':';
    default: return false;
    }
}

static bool take_apart(const char *s, size_t size_bytes, struct parsed *p) {
    *p = (struct parsed){.values = {1, 1, 1, 0, 0, 0, 0}};
    trim(&s, &size_bytes);
    const char *end = s + size_bytes;
    if (size_bytes == 0) return false;
    p->negative_year = *s == '-';
    if (*s == '-' || *s == '+') s++;
    p->time_only = *s == 'T' || (end - s > 2 && (s[1] == ':' || s[2] == ':'));
    if (*s == 'T') s++;
    enum segment segment = p->time_only ? HOUR : YEAR;
    int64_t value = 0;
    unsigned digits = 0;
    for (; s < end; s++) {
        if (*s >= '0' && *s <= '9') {
            if (segment != FRACTION || digits < 6) value = value * 10 + (*s - '0');
            if (++digits > 6 && segment != FRACTION) return false;
            continue;
        }
        if (!digit_count_fits(segment, digits, 6)) return false;
        if (segment >= SECOND && !(segment == SECOND && *s == '.')) {
            p->zone_name = s;
            p->zone_bytes = (size_t)(end - s);
            break;
        }
        if (segment != SECOND && !separates(segment, *s)) return false;
        p->values[segment++] = value;
        value = 0;
        digits = 0;
    }
    if (!digit_count_fits(segment, digits, 6)) return false;
    for (; segment == FRACTION && digits < 6; digits++) value *= 10;
    p->values[segment] = value;
    return true;
}

// Microseconds of a parsed wall time; false if there is no such time or it does not fit.
static bool wall_time(const struct parsed *p, int64_t *us) {
    const int64_t *v = p->values;
    int64_t year = p->negative_year ? -v[YEAR] : v[YEAR];
    if (v[MONTH] < 1 || v[MONTH] > 12 || v[DAY] < 1 || v[DAY] > days_in_month(year, (unsigned)v[MONTH])) return false;
    if (v[HOUR] > 23 || v[MINUTE] > 59 || v[SECOND] > 59) return false;
    int64_t days = days_from_civil(year, (unsigned)v[MONTH], (unsigned)v[DAY]);
    int64_t within_day = ((v[HOUR] * 60 + v[MINUTE]) * 60 + v[SECOND]) * US_PER_SECOND + v[FRACTION];
    // The earliest instant lies in a day whose midnight does not fit: count from the day's end.
    if (days < 0) return !__builtin_mul_overflow(days + 1, US_PER_DAY, us) && !__builtin_add_overflow(*us, within_day - US_PER_DAY, us);
    return !__builtin_mul_overflow(days, US_PER_DAY, us) && !__builtin_add_overflow(*us, within_day, us);
}

bool parse_timestamp_ntz(const char *s, size_t size_bytes, int64_t *us) {
    struct parsed p;
    if (!take_apart(s, size_bytes, &p) || p.time_only || !wall_time(&p, us)) return false;
    if (!p.zone_name) return true;
    // The zone is read over, but it must look like one.
    trim(&p.zone_name, &p.zone_bytes);
    int32_t seconds;
    if (timezone_fixed_offset(p.zone_name, p.zone_bytes, &seconds)) return true;
    for (size_t i = 0; i < p.zone_bytes; i++) {
        char c = p.zone_name[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!letter && (i == 0 || !(strchr("/_-+~.", c) || (c >= '0' && c <= '9')))) return false;
    }
    return p.zone_bytes > 1;
}

// The instant of what was taken apart.
static bool instant_of(struct parsed *p, const struct timezone *zone, int64_t *us) {
    int64_t wall_us;
    if (!wall_time(p, &wall_us)) return false;
    int32_t seconds;
    if (p->zone_name) {
        trim(&p->zone_name, &p->zone_bytes);
        if (timezone_fixed_offset(p->zone_name, p->zone_bytes, &seconds)) {
            return !__builtin_sub_overflow(wall_us, seconds * US_PER_SECOND, us);
        }
        zone = zone ? timezone_sibling(zone, p->zone_name, p->zone_bytes) : NULL;
        if (!zone) return false;
    }
    // Near the ends of the range the shift to UTC could overflow: no zone is further than a day from it.
    if (wall_us < INT64_MIN + US_PER_DAY || wall_us > INT64_MAX - US_PER_DAY) {
        return !__builtin_sub_overflow(wall_us, zone ? timezone_offset_at(zone, wall_us) * US_PER_SECOND : 0, us);
    }
    *us = zone ? timezone_to_utc(zone, wall_us) : wall_us;
    return true;
}

bool parse_timestamp(const char *s, size_t size_bytes, const struct timezone *zone, int64_t *us) {
    struct parsed p;
    return take_apart(s, size_bytes, &p) && !p.time_only && instant_of(&p, zone, us);
}

bool parse_time_today(const char *s, size_t size_bytes, const struct timezone *zone, int64_t now_us, int64_t *us) {
    struct parsed p;
    if (!take_apart(s, size_bytes, &p) || !p.time_only) return false;
    struct civil today = civil_from_days(floor_div(timezone_to_wall(zone, now_us), US_PER_DAY));
    p.values[YEAR] = today.year;
    p.values[MONTH] = today.month;
    p.values[DAY] = today.day;
    p.negative_year = false;
    return instant_of(&p, zone, us);
}

bool parse_date(const char *s, size_t size_bytes, int32_t *days) {
    trim(&s, &size_bytes);
    const char *end = s + size_bytes;
    if (size_bytes == 0) return false;
    bool negative = *s == '-';
    if (*s == '-' || *s == '+') s++;
    int64_t values[3] = {1, 1, 1}, value = 0;
    enum segment segment = YEAR;
    unsigned digits = 0;
    for (; s < end && *s != ' ' && *s != 'T'; s++) {
        if (segment < DAY && *s == '-') {
            if (!digit_count_fits(segment, digits, 7)) return false;
            values[segment++] = value;
            value = 0;
            digits = 0;
        } else if (*s < '0' || *s > '9' || ++digits > 7) {
            return false;
        } else {
            value = value * 10 + (*s - '0');
        }
    }
    if (!digit_count_fits(segment, digits, 7) || (segment < DAY && s < end)) return false;
    values[segment] = value;
    int64_t year = negative ? -values[YEAR] : values[YEAR];
    if (values[MONTH] < 1 || values[MONTH] > 12 || values[DAY] < 1 || values[DAY] > days_in_month(year, (unsigned)values[MONTH])) return false;
    int64_t result = days_from_civil(year, (unsigned)values[MONTH], (unsigned)values[DAY]);
    if (result < INT32_MIN || result > INT32_MAX) return false;
    *days = (int32_t)result;
    return true;
}

static char *put_digits(char *out, uint32_t value, unsigned count) {
    for (unsigned i = count; i-- > 0; value /= 10) out[i] = (char)('0' + value % 10);
    return out + count;
}

// Years have at least four digits, a minus before the year 0, a plus from 10000 on.
static char *put_civil(char *out, int64_t days) {
    struct civil date = civil_from_days(days);
    uint32_t year = date.year < 0 ? 0 - (uint32_t)date.year : (uint32_t)date.year;
    if (date.year < 0) *out++ = '-';
    if (date.year > 9999) *out++ = '+';
    unsigned count = year > 999999 ? 7 : year > 99999 ? 6 : year > 9999 ? 5 : 4;
    out = put_digits(out, year, count);
    *out++ = '-';
    out = put_digits(out, date.month, 2);
    *out++ = '-';
    return put_digits(out, date.day, 2);
}

size_t print_date(int32_t days, char *out) { return (size_t)(put_civil(out, days) - out); }

size_t print_timestamp(int64_t us, const struct timezone *zone, char *out) {
    // The offset is added to the time of day: added to the instant it could overflow.
    int64_t days = floor_div(us, US_PER_DAY);
    int64_t within_day = floor_mod(us, US_PER_DAY) + (zone ? timezone_offset_at(zone, us) * US_PER_SECOND : 0);
    days += floor_div(within_day, US_PER_DAY);
    within_day = floor_mod(within_day, US_PER_DAY);
    uint32_t seconds = (uint32_t)(within_day / US_PER_SECOND), fraction = (uint32_t)(within_day % US_PER_SECOND);
    char *next = put_civil(out, days);
    *next++ = ' ';
    next = put_digits(next, seconds / 3600, 2);
    *next++ = ':';
    next = put_digits(next, seconds / 60 % 60, 2);
    *next++ = ':';
    next = put_digits(next, seconds % 60, 2);
    if (fraction) {
        *next++ = '.';
        next = put_digits(next, fraction, 6);
        while (next[-1] == '0') next--;
    }
    return (size_t)(next - out);
}
