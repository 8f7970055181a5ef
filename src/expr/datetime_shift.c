// SPDX-License-Identifier: Apache-2.0
// datetime_shift.c: moving and rounding dates and timestamps: add_months, next_day, trunc, date_trunc, timestampadd, and the distances
// months_between and timestampdiff. Days and longer units count on the wall clock of the session's time zone, hours and shorter ones in µs.
#include "expr/functions.h"
#include "expr/datetime_items.h"
#include "expr/datetime_kernels.h"
#include "expr/temporal.h"
#include <math.h>
#include <strings.h>

static void fail_overflow(uint32_t row, struct eval *eval) { eval_fail(eval, row, "DATETIME_OVERFLOW", "the result is beyond the range of its type"); }

static void kernel_add_months(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!temporal_add_months_to_date(datetime_int32(args[0], row), datetime_int32(args[1], row), (int32_t *)out->values + row))
            eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the date is beyond its range");
    }
}

static int64_t last_day_of_month(int64_t days) {
    struct civil c = civil_from_days(days);
    return days - c.day + days_in_month(c.year, c.month);
}

static void kernel_last_day(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t last = last_day_of_month(datetime_int32(args[0], row));
        if (last > INT32_MAX) fail_overflow(row, eval);
        else ((int32_t *)out->values)[row] = (int32_t)last;
    }
}

// MO, MON, MONDAY: 0 …; -1: no day.
static int day_of_week(const struct string_view *name) {
    const char *s = string_view_data(name);
    size_t size = name->size_bytes;
    for (int i = 0; i < 7; i++)
        if ((size == 2 || size == 3 || size == strlen(weekday_names[i])) && strncasecmp(s, weekday_names[i], size) == 0) return i;
    return -1;
}

static void kernel_next_day(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct string_view *name = datetime_text(args[1], row);
        int wanted = day_of_week(name);
        if (wanted < 0) {
            eval_fail_value(eval, row, "ILLEGAL_DAY_OF_WEEK", "there is no such day of the week", string_view_data(name), name->size_bytes);
            continue;
        }
        int64_t days = datetime_int32(args[0], row), next = days + floor_mod(wanted - (days + 3) - 1, 7) + 1;
        if (next > INT32_MAX) fail_overflow(row, eval);
        else ((int32_t *)out->values)[row] = (int32_t)next;
    }
}

// --- trunc, date_trunc ---

enum level {
    LEVEL_NONE, LEVEL_MICROSECOND, LEVEL_MILLISECOND, LEVEL_SECOND, LEVEL_MINUTE, LEVEL_HOUR, LEVEL_DAY, LEVEL_WEEK, LEVEL_MONTH, LEVEL_QUARTER, LEVEL_YEAR,
};

static enum level find_level(const struct string_view *name) {
    static const struct { const char *name; enum level level; } names[] = {
        {"YEAR", LEVEL_YEAR}, {"YYYY", LEVEL_YEAR}, {"YY", LEVEL_YEAR}, {"QUARTER", LEVEL_QUARTER}, {"MONTH", LEVEL_MONTH}, {"MM", LEVEL_MONTH},
        {"MON", LEVEL_MONTH}, {"WEEK", LEVEL_WEEK}, {"DAY", LEVEL_DAY}, {"DD", LEVEL_DAY}, {"HOUR", LEVEL_HOUR}, {"MINUTE", LEVEL_MINUTE},
        {"SECOND", LEVEL_SECOND}, {"MILLISECOND", LEVEL_MILLISECOND}, {"MICROSECOND", LEVEL_MICROSECOND},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (name->size_bytes == strlen(names[i].name) && strncasecmp(string_view_data(name), names[i].name, name->size_bytes) == 0) return names[i].level;
    return LEVEL_NONE;
}

static int64_t truncate_days(int64_t days, enum level level) {
    struct civil c = civil_from_days(days);
    switch (level) {
    case LEVEL_WEEK: return days - floor_mod(days + 3, 7);
    case LEVEL_MONTH: return days - c.day + 1;
    case LEVEL_QUARTER: return days_from_civil(c.year, (unsigned)(c.month - 1) / 3 * 3 + 1, 1);
    case LEVEL_YEAR: return days_from_civil(c.year, 1, 1);
    default: return days;
    }
}

static void kernel_trunc(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum level level = LEVEL_NONE;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (i == 0 || args[1]->form != COLUMN_CONSTANT) level = find_level(datetime_text(args[1], row));
        int64_t truncated = truncate_days(datetime_int32(args[0], row), level);
        if (level < LEVEL_WEEK) out_set_null(out, row);
        else if (truncated < INT32_MIN) fail_overflow(row, eval);
        else ((int32_t *)out->values)[row] = (int32_t)truncated;
    }
}

static bool truncate_us(int64_t us, enum level level, const struct timezone *zone, int64_t *out) {
    static const int64_t sizes[] = {[LEVEL_MICROSECOND] = 1, [LEVEL_MILLISECOND] = 1000, [LEVEL_SECOND] = US_PER_SECOND,
                                    [LEVEL_MINUTE] = 60 * US_PER_SECOND, [LEVEL_HOUR] = 3600 * US_PER_SECOND};
    int64_t wall = datetime_to_wall(us, zone);
    if (level < LEVEL_DAY) return !__builtin_sub_overflow(us, floor_mod(wall, sizes[level]), out);
    if (__builtin_mul_overflow(truncate_days(floor_div(wall, US_PER_DAY), level), US_PER_DAY, &wall)) return false;
    *out = datetime_from_wall(wall, zone);
    return true;
}

static void kernel_date_trunc(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum level level = LEVEL_NONE;
    const struct timezone *zone = datetime_zone(args[1]->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (i == 0 || args[0]->form != COLUMN_CONSTANT) level = find_level(datetime_text(args[0], row));
        if (level == LEVEL_NONE) out_set_null(out, row);
        else if (!truncate_us(datetime_int64(args[1], row), level, zone, (int64_t *)out->values + row)) fail_overflow(row, eval);
    }
}

// --- months_between ---

// Seconds since the wall clock's midnight, as they passed: one hour more or less on days when the clocks change.
static int64_t seconds_of_day(int64_t us, int64_t wall, const struct timezone *zone) {
    int64_t midnight;
    if (__builtin_mul_overflow(floor_div(wall, US_PER_DAY), US_PER_DAY, &midnight)) return floor_mod(wall, US_PER_DAY) / US_PER_SECOND;
    return (us - datetime_from_wall(midnight, zone)) / US_PER_SECOND;
}

static double months_between(int64_t a_us, int64_t b_us, bool round_off, const struct timezone *zone) {
    int64_t a = datetime_to_wall(a_us, zone), b = datetime_to_wall(b_us, zone), a_days = floor_div(a, US_PER_DAY), b_days = floor_div(b, US_PER_DAY);
    struct civil x = civil_from_days(a_days), y = civil_from_days(b_days);
    double months = (double)(((int64_t)x.year - y.year) * 12 + x.month - y.month);
    if (x.day == y.day || (last_day_of_month(a_days) == a_days && last_day_of_month(b_days) == b_days)) return months;
    int64_t seconds = (x.day - y.day) * INT64_C(86400) + seconds_of_day(a_us, a, zone) - seconds_of_day(b_us, b, zone);
    double between = months + (double)seconds / (31.0 * 86400);
    return round_off ? floor(between * 1e8 + 0.5) / 1e8 : between;
}

static void kernel_months_between(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        bool round_off = ((const uint8_t *)args[2]->values)[operand_index(args[2], row)];
        ((double *)out->values)[row] = months_between(datetime_int64(args[0], row), datetime_int64(args[1], row), round_off, eval->session->zone);
    }
}

static enum status bind_months_between(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    if (b->arg_count == 3) return STATUS_OK;
    struct expr **args = arena_alloc_array(b->arena, 3, sizeof *args);
    if (!args) return error_no_memory(e);
    args[0] = b->args[0];
    args[1] = b->args[1];
    args[2] = expr_boolean(b->arena, true);
    b->args = args;
    b->arg_count = 3;
    return args[2] ? STATUS_OK : error_no_memory(e);
}

// --- timestampadd, timestampdiff ---

struct step {
    const char *name;
    int64_t months, days, us;  // one of the three
};
static const struct step steps[] = {
    {"YEAR", 12, 0, 0}, {"QUARTER", 3, 0, 0}, {"MONTH", 1, 0, 0}, {"WEEK", 0, 7, 0}, {"DAY", 0, 1, 0}, {"DAYOFYEAR", 0, 1, 0},
    {"HOUR", 0, 0, 3600 * US_PER_SECOND}, {"MINUTE", 0, 0, 60 * US_PER_SECOND}, {"SECOND", 0, 0, US_PER_SECOND}, {"MILLISECOND", 0, 0, 1000},
    {"MICROSECOND", 0, 0, 1},
};

static bool add_steps(int64_t us, int64_t count, const struct step *step, const struct timezone *zone, int64_t *out) {
    int64_t size;
    if (__builtin_mul_overflow(count, step->months + step->days + step->us, &size)) return false;
    if (step->us) return !__builtin_add_overflow(us, size, out);
    if (size < -INT64_C(4000000000) || size > INT64_C(4000000000)) return false;
    return step->months ? temporal_add_months(us, size, zone, out) : temporal_add_days_and_us(us, size, 0, zone, out);
}

static void kernel_timestampadd(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct timezone *zone = datetime_zone(args[2]->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!add_steps(datetime_int64(args[2], row), datetime_int64(args[1], row), eval->call->data, zone, (int64_t *)out->values + row)) fail_overflow(row, eval);
    }
}

static int64_t whole_months(int64_t start, int64_t end) {
    int64_t start_days = floor_div(start, US_PER_DAY), end_days = floor_div(end, US_PER_DAY);
    int64_t start_time = floor_mod(start, US_PER_DAY), end_time = floor_mod(end, US_PER_DAY);
    if (end_days > start_days && end_time < start_time) end_days--;
    else if (end_days < start_days && end_time > start_time) end_days++;
    struct civil a = civil_from_days(start_days), b = civil_from_days(end_days);
    return ((((int64_t)b.year * 12 + b.month) * 32 + b.day) - (((int64_t)a.year * 12 + a.month) * 32 + a.day)) / 32;
}

static void kernel_timestampdiff(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct step *step = eval->call->data;
    const struct timezone *start_zone = datetime_zone(args[1]->type, eval), *end_zone = datetime_zone(args[2]->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t start = datetime_to_wall(datetime_int64(args[1], row), start_zone), end = datetime_to_wall(datetime_int64(args[2], row), end_zone);
        __int128 distance = (__int128)end - start;
        if (step->months) distance = whole_months(start, end) / step->months;
        else distance /= step->us ? step->us : step->days * US_PER_DAY;
        if (distance > INT64_MAX || distance < INT64_MIN) fail_overflow(row, eval);
        else ((int64_t *)out->values)[row] = (int64_t)distance;
    }
}

static enum status bind_unit(struct binding *b, struct error *e) {
    const struct string_view *name;
    TRY(binding_require_count(b, 3, 3, e));
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(datetime_constant_text(b, 0, &name, e));
    for (size_t i = 0; name && i < sizeof steps / sizeof *steps; i++) {
        if (name->size_bytes == strlen(steps[i].name) && strncasecmp(string_view_data(name), steps[i].name, name->size_bytes) == 0)
            b->data = (void *)(uintptr_t)&steps[i];
    }
    bool counted = strcmp(b->function->name, "timestampadd") == 0 || !name || name->size_bytes != strlen("DAYOFYEAR");  // added only
    if (b->data && counted) return STATUS_OK;
    TRY(datetime_refuse(b, 0, "INVALID_PARAMETER_VALUE.DATETIME_UNIT", "there is no such unit", e));
    return STATUS_INVALID_QUERY;
}

static enum status bind_timestampadd(struct binding *b, struct error *e) {
    TRY(bind_unit(b, e));
    TRY(binding_cast(b, 1, &type_bigint, e));
    if (b->args[2]->type->id != TYPE_TIMESTAMP_NTZ) TRY(binding_cast(b, 2, &type_timestamp, e));
    b->result = b->args[2]->type;
    return STATUS_OK;
}

static enum status bind_timestampdiff(struct binding *b, struct error *e) {
    TRY(bind_unit(b, e));
    for (uint32_t i = 1; i < 3; i++)
        if (b->args[i]->type->id != TYPE_TIMESTAMP_NTZ) TRY(binding_cast(b, i, &type_timestamp, e));
    b->result = &type_bigint;
    return STATUS_OK;
}

enum { FAILS = FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT, TRUNCATES = FAILS | FUNCTION_MAY_BE_NULL };

static const struct function functions[] = {
    {"add_months", "(DATE, INT) -> DATE", kernel_add_months, NULL, FAILS, "The date some months later, its day cut to the month's length",
     "add_months(DATE '2024-01-31', 1)", "2024-02-29"},
    {"last_day", "(DATE) -> DATE", kernel_last_day, NULL, FAILS, "The last day of the date's month", "last_day(DATE '2024-02-10')", "2024-02-29"},
    {"next_day", "(DATE, STRING) -> DATE", kernel_next_day, NULL, FAILS, "The first date after this one that is such a day of the week",
     "next_day(DATE '2024-03-05', 'MO')", "2024-03-11"},
    {"trunc", "(DATE, STRING) -> DATE", kernel_trunc, NULL, TRUNCATES, "The first day of the date's YEAR, QUARTER, MONTH or WEEK", "trunc(DATE '2024-08-15', 'MONTH')",
     "2024-08-01"},
    {"date_trunc", "(STRING, TIMESTAMP) -> TIMESTAMP", kernel_date_trunc, NULL, TRUNCATES,
     "The beginning of the timestamp's YEAR, QUARTER, MONTH, WEEK, DAY, HOUR, MINUTE, SECOND, MILLISECOND", "date_trunc('HOUR', TIMESTAMP '2024-08-15 07:08:09')",
     "2024-08-15 07:00:00"},
    {"months_between", "(TIMESTAMP, TIMESTAMP, BOOLEAN?) -> DOUBLE", kernel_months_between, bind_months_between, FUNCTION_TAKES_CONSTANT,
     "Months from the second moment to the first, a month's rest as parts of 31 days, rounded to 8 places unless the third argument is false",
     "months_between(DATE '2024-03-15', DATE '2024-02-15')", "1.0"},
    {"timestampadd", "(STRING, BIGINT, TIMESTAMP) -> TIMESTAMP", kernel_timestampadd, bind_timestampadd, FAILS, "The timestamp some units later",
     "timestampadd(HOUR, 8, TIMESTAMP '2024-02-29 20:00:00')", "2024-03-01 04:00:00"},
    {"timestampdiff", "(STRING, TIMESTAMP, TIMESTAMP) -> BIGINT", kernel_timestampdiff, bind_timestampdiff, FAILS, "Whole units from the first moment to the second",
     "timestampdiff(MINUTE, TIMESTAMP '2024-03-01 12:00:00', TIMESTAMP '2024-03-01 12:59:59')", "59"},
};

const struct function_table datetime_shift_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "datetime"};
