// SPDX-License-Identifier: Apache-2.0
// datetime_read.c: reading text by a compiled datetime pattern.
//
//     text ─► items put values into fields (twice the same field: the same value) ─► fields make a date and a time of day ─► wall clock
//          ─► the offset or zone in the text, or the session's, makes it an instant
//
// Strict, as java.time with ResolverStyle.STRICT: every value in its range, fields that say the same thing must agree.
#include "column/datetime.h"
#include "datetime_items.h"

struct reading {
    const struct datetime_pattern *pattern;
    const char *text;
    size_t size;
    struct timezone_set *zones;
};

// What was found so far; copied where an optional part begins.
struct found {
    int64_t values[FIELD_COUNT];
    uint32_t has;                       // bit by field
    bool has_offset;
    int32_t offset;
    const struct timezone *zone;
};

static const size_t nowhere = SIZE_MAX;

static char lower(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

static bool text_is(const struct reading *r, size_t at, const char *wanted, size_t size) {
    if (r->size - at < size) return false;
    for (size_t i = 0; i < size; i++)
        if (lower(r->text[at + i]) != lower(wanted[i])) return false;
    return true;
}

static bool set_field(struct found *f, enum date_field field, int64_t value) {
    if ((f->has >> field & 1) && f->values[field] != value) return false;
    f->has |= 1u << field;
    f->values[field] = value;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static size_t read_number(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    bool negative = at < r->size && r->text[at] == '-', positive = at < r->size && r->text[at] == '+';
    if ((negative || positive) && item->sign == SIGN_NONE) return nowhere;
    if (positive && item->sign == SIGN_NORMAL) return nowhere;
    at += negative || positive;
    size_t begin = at, end = at;
    size_t most = (size_t)item->most + item->digits_after;
    while (end < r->size && end - begin < most && is_digit(r->text[end])) end++;
    if (item->digits_after) {
        size_t count = end - begin > item->digits_after ? end - begin - item->digits_after : 0;
        if (count < item->least) count = item->least;
        if (count < end - begin) end = begin + count;
    }
    size_t count = end - begin;
    if (count < item->least) return nowhere;
    int64_t value = 0;
    for (size_t i = begin; i < end; i++)
        if (__builtin_mul_overflow(value, 10, &value) || __builtin_add_overflow(value, r->text[i] - '0', &value)) return nowhere;
    if (negative && value == 0) return nowhere;
    if (!negative && item->sign == SIGN_EXCEEDS && (positive ? count <= item->least : count > item->least)) return nowhere;
    if (item->kind == ITEM_TWO_DIGIT_YEAR) value += 2000;
    return set_field(f, (enum date_field)item->field, negative ? -value : value) ? end : nowhere;
}

static size_t read_fraction(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    size_t end = at;
    int64_t value = 0;
    while (end < r->size && end - at < item->most && is_digit(r->text[end])) value = value * 10 + (r->text[end++] - '0');
    if (end - at < item->least) return nowhere;
    for (size_t i = end - at; i < 9; i++) value *= 10;
    return set_field(f, FIELD_NANO, value) ? end : nowhere;
}

static size_t read_text(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    static const char *const halves[] = {"AM", "PM"}, *const eras[] = {"BC", "AD"}, *const long_eras[] = {"Before Christ", "Anno Domini"};
    const char *const *names = item->field == FIELD_AMPM ? halves : item->field == FIELD_MONTH ? month_names : item->is_full ? long_eras : eras;
    int64_t count = item->field == FIELD_MONTH ? 12 : 2, base = item->field == FIELD_MONTH;
    for (int64_t i = 0; i < count; i++) {
        size_t size = item->field == FIELD_MONTH && !item->is_full ? 3 : strlen(names[i]);
        if (text_is(r, at, names[i], size)) return set_field(f, (enum date_field)item->field, i + base) ? at + size : nowhere;
    }
    return nowhere;
}

// Exactly two digits, after a colon where there is to be one. nowhere: not there.
static size_t read_two(const struct reading *r, size_t at, bool colon, int32_t *value) {
    if (colon) {
        if (at >= r->size || r->text[at] != ':') return nowhere;
        at++;
    }
    if (r->size - at < 2 || !is_digit(r->text[at]) || !is_digit(r->text[at + 1])) return nowhere;
    *value = (r->text[at] - '0') * 10 + (r->text[at + 1] - '0');
    return at + 2;
}

static bool set_offset(struct found *f, bool negative, int32_t hours, int32_t minutes, int32_t seconds) {
    int32_t offset = (hours * 3600 + minutes * 60 + seconds) * (negative ? -1 : 1);
    if (minutes > 59 || seconds > 59 || offset > 18 * 3600 || offset < -18 * 3600) return false;
    if (f->has_offset && f->offset != offset) return false;
    f->has_offset = true;
    f->offset = offset;
    return true;
}

static size_t read_offset(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    size_t none_size = strlen(item->none);
    if (text_is(r, at, item->none, none_size)) return set_offset(f, false, 0, 0, 0) ? at + none_size : nowhere;
    if (at >= r->size || (r->text[at] != '+' && r->text[at] != '-')) return nowhere;
    bool negative = r->text[at] == '-', colon = item->form == OFFSET_HH_MM || item->form == OFFSET_HH_MM_ss;
    int32_t hours = 0, minutes = 0, seconds = 0;
    size_t end = read_two(r, at + 1, false, &hours), next;
    if (end == nowhere) return nowhere;
    next = read_two(r, end, colon, &minutes);
    if (next == nowhere && item->form != OFFSET_HHmm) return nowhere;
    if (next != nowhere) end = next;
    if (item->form == OFFSET_HHMMss || item->form == OFFSET_HH_MM_ss) {
        next = read_two(r, end, colon, &seconds);
        if (next != nowhere) end = next;
    }
    return set_offset(f, negative, hours, minutes, seconds) ? end : nowhere;
}

// GMT, GMT+2, GMT+02:00, GMT+2:30:15
static size_t read_gmt_offset(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    if (!text_is(r, at, "GMT", 3)) return nowhere;
    size_t end = at + 3, next;
    if (end == r->size || (r->text[end] != '+' && r->text[end] != '-')) return set_offset(f, false, 0, 0, 0) ? end : nowhere;
    bool negative = r->text[end++] == '-';
    int32_t hours = 0, minutes = 0, seconds = 0;
    next = read_two(r, end, false, &hours);
    if (next == nowhere && !item->is_full && end < r->size && is_digit(r->text[end])) {
        hours = r->text[end] - '0';
        next = end + 1;
    }
    if (next == nowhere) return nowhere;
    end = next;
    next = read_two(r, end, true, &minutes);
    if (next == nowhere && item->is_full) return nowhere;
    if (next != nowhere) {
        end = next;
        next = read_two(r, end, true, &seconds);
        if (next != nowhere) end = next;
    }
    return set_offset(f, negative, hours, minutes, seconds) ? end : nowhere;
}

static const struct timezone *find_zone(const struct reading *r, const char *name, size_t size) {
    static const char *const summer_names[][2] = {{"PDT", "America/Los_Angeles"}, {"MDT", "America/Denver"}, {"CDT", "America/Chicago"},
                                                  {"EDT", "America/New_York"}, {"CEST", "Europe/Paris"}, {"EEST", "Europe/Athens"}, {"BST", "Europe/London"}};
    if (size == 1 && lower(*name) == 'z') return &timezone_utc;
    if (size == 3 && (memcmp(name, "UTC", 3) == 0 || memcmp(name, "GMT", 3) == 0)) return &timezone_utc;
    if (!r->zones) return NULL;
    for (size_t i = 0; i < sizeof summer_names / sizeof *summer_names; i++)
        if (strlen(summer_names[i][0]) == size && memcmp(name, summer_names[i][0], size) == 0)
            return timezone_find(r->zones, summer_names[i][1], strlen(summer_names[i][1]));
    return timezone_find(r->zones, name, size);
}

// The longest run of what zones are named with, then shorter ones: at most a few are looked up.
static size_t read_zone(const struct reading *r, size_t at, struct found *f) {
    enum { ZONE_BYTES_MAX = 64, TRIES_MAX = 4 };
    size_t end = at;
    while (end < r->size && end - at < ZONE_BYTES_MAX) {
        char c = r->text[end], small = lower(c);
        if (!(small >= 'a' && small <= 'z') && !is_digit(c) && c != '/' && c != '_' && c != '+' && c != '-' && c != ':') break;
        end++;
    }
    for (int i = 0; i < TRIES_MAX && end > at; i++) {
        int32_t offset;
        if (timezone_fixed_offset(r->text + at, end - at, &offset)) {
            int32_t size = offset < 0 ? -offset : offset;
            return set_offset(f, offset < 0, size / 3600, size / 60 % 60, size % 60) ? end : nowhere;
        }
        const struct timezone *zone = find_zone(r, r->text + at, end - at);
        if (zone) {
            f->zone = zone;
            return end;
        }
        do end--;
        while (end > at && lower(r->text[end]) >= 'a' && lower(r->text[end]) <= 'z');
    }
    return nowhere;
}

static size_t read_item(const struct reading *r, const struct item *item, size_t at, struct found *f) {
    switch (item->kind) {
    case ITEM_LITERAL: return text_is(r, at, r->pattern->literals + item->begin, item->size) ? at + item->size : nowhere;
    case ITEM_NUMBER: case ITEM_TWO_DIGIT_YEAR: return read_number(r, item, at, f);
    case ITEM_FRACTION: return read_fraction(r, item, at, f);
    case ITEM_TEXT: return read_text(r, item, at, f);
    case ITEM_OFFSET: return read_offset(r, item, at, f);
    case ITEM_GMT_OFFSET: return read_gmt_offset(r, item, at, f);
    default: return read_zone(r, at, f);
    }
}

// Recursion is bounded: patterns nest optional parts at most 32 deep.
static size_t read_items(const struct reading *r, uint32_t begin, uint32_t end, size_t at, struct found *f) {
    for (uint32_t i = begin; i < end && at != nowhere; i++) {
        const struct item *item = &r->pattern->items[i];
        if (item->kind != ITEM_OPTIONAL) {
            at = read_item(r, item, at, f);
            continue;
        }
        struct found tried = *f;
        size_t after = read_items(r, i + 1, i + 1 + item->size, at, &tried);
        if (after != nowhere) {
            *f = tried;
            at = after;
        }
        i += item->size;
    }
    return at;
}

// --- from fields to a date and a time ---

static bool has(const struct found *f, enum date_field field) { return f->has >> field & 1; }
static bool in_range(const struct found *f, enum date_field field, int64_t least, int64_t most) {
    return !has(f, field) || (f->values[field] >= least && f->values[field] <= most);
}

static bool resolve_year(struct found *f) {
    enum { YEARS_MAX = 999999999 };
    if (!in_range(f, FIELD_YEAR, -YEARS_MAX, YEARS_MAX) || !in_range(f, FIELD_YEAR_OF_ERA, 1, YEARS_MAX)) return false;
    if (!has(f, FIELD_YEAR_OF_ERA)) return true;
    int64_t year = f->values[FIELD_YEAR_OF_ERA];
    return set_field(f, FIELD_YEAR, has(f, FIELD_ERA) && !f->values[FIELD_ERA] ? 1 - year : year);
}

static bool resolve_date(struct found *f, int64_t *days) {
    if (!resolve_year(f) || !in_range(f, FIELD_MONTH, 1, 12) || !in_range(f, FIELD_DAY, 1, 31) || !in_range(f, FIELD_DAY_OF_YEAR, 1, 366)) return false;
    int64_t year = has(f, FIELD_YEAR) ? f->values[FIELD_YEAR] : 1970;
    unsigned month = has(f, FIELD_MONTH) ? (unsigned)f->values[FIELD_MONTH] : 1, day = has(f, FIELD_DAY) ? (unsigned)f->values[FIELD_DAY] : 1;
    bool whole = has(f, FIELD_YEAR) && has(f, FIELD_MONTH) && has(f, FIELD_DAY);
    if (has(f, FIELD_YEAR) && has(f, FIELD_DAY_OF_YEAR) && !whole) {
        *days = days_from_civil(year, 1, 1) + f->values[FIELD_DAY_OF_YEAR] - 1;
        struct civil c = civil_from_days(*days);
        if (c.year != year || (has(f, FIELD_MONTH) && c.month != month) || (has(f, FIELD_DAY) && c.day != day)) return false;
    } else {
        if (day > days_in_month(year, month)) return false;
        *days = days_from_civil(year, month, day);
        if (whole && has(f, FIELD_DAY_OF_YEAR) && *days - days_from_civil(year, 1, 1) + 1 != f->values[FIELD_DAY_OF_YEAR]) return false;
    }
    return true;
}

static bool resolve_time(struct found *f, int64_t *us) {
    if (!in_range(f, FIELD_CLOCK_HOUR, 1, 24) || !in_range(f, FIELD_CLOCK_HOUR_OF_AMPM, 1, 12) || !in_range(f, FIELD_HOUR_OF_AMPM, 0, 11) ||
        !in_range(f, FIELD_MINUTE, 0, 59) || !in_range(f, FIELD_SECOND, 0, 59))
        return false;
    if (has(f, FIELD_CLOCK_HOUR) && !set_field(f, FIELD_HOUR, f->values[FIELD_CLOCK_HOUR] % 24)) return false;
    if (has(f, FIELD_CLOCK_HOUR_OF_AMPM) && !set_field(f, FIELD_HOUR_OF_AMPM, f->values[FIELD_CLOCK_HOUR_OF_AMPM] % 12)) return false;
    if (has(f, FIELD_AMPM) && has(f, FIELD_HOUR_OF_AMPM) && !set_field(f, FIELD_HOUR, f->values[FIELD_AMPM] * 12 + f->values[FIELD_HOUR_OF_AMPM])) return false;
    if (!in_range(f, FIELD_HOUR, 0, 23)) return false;
    int64_t hour = 0;
    if (has(f, FIELD_HOUR)) {
        hour = f->values[FIELD_HOUR];
        if (has(f, FIELD_AMPM) && hour / 12 != f->values[FIELD_AMPM]) return false;
        if (has(f, FIELD_HOUR_OF_AMPM) && hour % 12 != f->values[FIELD_HOUR_OF_AMPM]) return false;
    } else if (has(f, FIELD_HOUR_OF_AMPM)) {
        hour = f->values[FIELD_HOUR_OF_AMPM];
    } else if (has(f, FIELD_AMPM)) {
        hour = f->values[FIELD_AMPM] * 12;
    }
    int64_t minute = has(f, FIELD_MINUTE) ? f->values[FIELD_MINUTE] : 0, second = has(f, FIELD_SECOND) ? f->values[FIELD_SECOND] : 0;
    *us = (hour * 3600 + minute * 60 + second) * US_PER_SECOND + (has(f, FIELD_NANO) ? f->values[FIELD_NANO] / 1000 : 0);
    return true;
}

bool datetime_pattern_read(const struct datetime_pattern *p, const char *text, size_t size_bytes, struct timezone_set *zones,
                           const struct timezone *zone, int64_t *wall_us, int64_t *us) {
    struct reading r = {.pattern = p, .text = text, .size = size_bytes, .zones = zones};
    struct found f = {.has = 0};
    int64_t days, within_day;
    if (read_items(&r, 0, p->item_count, 0, &f) != size_bytes) return false;
    if (!resolve_date(&f, &days) || !resolve_time(&f, &within_day)) return false;
    if (__builtin_mul_overflow(days, US_PER_DAY, wall_us) || __builtin_add_overflow(*wall_us, within_day, wall_us)) return false;
    if (f.zone) *us = timezone_to_utc(f.zone, *wall_us);
    else if (f.has_offset) return !__builtin_sub_overflow(*wall_us, f.offset * US_PER_SECOND, us);
    else *us = zone ? timezone_to_utc(zone, *wall_us) : *wall_us;
    return true;
}

bool datetime_formats_compile(struct arena *a, struct datetime_formats *f, enum datetime_use use, const char *timestamp, const char *timestamp_ntz,
                              const char *date, const char **condition) {
    const struct { const char *text; const struct datetime_pattern **pattern; } all[] = {
        {timestamp, &f->timestamp}, {timestamp_ntz, &f->timestamp_ntz}, {date, &f->date}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (!all[i].text) continue;
        *all[i].pattern = datetime_pattern_compile(a, all[i].text, strlen(all[i].text), use, condition);
        if (!*all[i].pattern) return false;
    }
    return true;
}

static const struct datetime_pattern *pattern_of(const struct datetime_formats *f, const struct type *type) {
    return type->id == TYPE_TIMESTAMP ? f->timestamp : type->id == TYPE_TIMESTAMP_NTZ ? f->timestamp_ntz : f->date;
}

bool datetime_parse_for_json(void *context, const char *pattern, const char *text, size_t size_bytes, const struct type *type, int64_t *out) {
    (void)pattern;  // compiled long ago
    const struct datetime_formats *f = context;
    const struct datetime_pattern *p = pattern_of(f, type);
    int64_t wall_us, us;
    if (!p || !datetime_pattern_read(p, text, size_bytes, f->zones, f->zone, &wall_us, &us)) return false;
    *out = type->id == TYPE_TIMESTAMP ? us : type->id == TYPE_TIMESTAMP_NTZ ? wall_us : floor_div(wall_us, US_PER_DAY);
    return true;
}

enum status datetime_print_for_json(void *context, const char *pattern, int64_t value, const struct type *type, struct buffer *out) {
    (void)pattern;
    const struct datetime_formats *f = context;
    const struct datetime_pattern *p = pattern_of(f, type);
    if (!p) return STATUS_INTERNAL;
    TRY(buffer_reserve(out, datetime_pattern_text_max(p)));
    int64_t us = value;
    if (type->id == TYPE_DATE && __builtin_mul_overflow(value, US_PER_DAY, &us)) us = value < 0 ? INT64_MIN : INT64_MAX;
    out->size_bytes += datetime_pattern_print(p, us, type->id == TYPE_TIMESTAMP ? f->zone : NULL, (char *)out->data + out->size_bytes);
    return STATUS_OK;
}
