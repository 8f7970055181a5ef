// SPDX-License-Identifier: Apache-2.0
// datetime_make.c: dates, timestamps and intervals made of numbers. A value out of bounds fails the row; the try_ forms give NULL.
#include "expr/functions.h"
#include "expr/datetime_kernels.h"

static const char out_of_bounds[] = "DATETIME_FIELD_OUT_OF_BOUNDS.WITH_SUGGESTION";

static __int128 decimal_at(const struct column *c, uint32_t row) { return ((const __int128 *)c->values)[operand_index(c, row)]; }

static const char too_large[] = "ARITHMETIC_OVERFLOW";

// NULL: made; else the condition.
static const char *make_days(int64_t year, int64_t month, int64_t day, int64_t *days) {
    enum { YEARS_MAX = 999999999 };
    if (year < -YEARS_MAX || year > YEARS_MAX || month < 1 || month > 12 || day < 1 || day > days_in_month(year, (unsigned)month)) return out_of_bounds;
    *days = days_from_civil(year, (unsigned)month, (unsigned)day);
    return *days >= INT32_MIN && *days <= INT32_MAX ? NULL : too_large;
}

static void kernel_make_date(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t days;
        const char *condition = make_days(datetime_int32(args[0], row), datetime_int32(args[1], row), datetime_int32(args[2], row), &days);
        if (condition) operand_fail(out, row, condition, "there is no such date", eval);
        else ((int32_t *)out->values)[row] = (int32_t)days;
    }
}

// --- make_timestamp(year, month, day, hour, minute, second with 6 decimals[, zone]) ---

// NULL: made, *wall_us is set; else the condition.
static const char *make_wall(const struct column *const *args, uint32_t row, int64_t *wall_us) {
    int64_t days, hour = datetime_int32(args[3], row), minute = datetime_int32(args[4], row);
    __int128 second_us = decimal_at(args[5], row);
    const char *condition = make_days(datetime_int32(args[0], row), datetime_int32(args[1], row), datetime_int32(args[2], row), &days);
    if (condition) return condition;
    if (hour < 0 || hour > 23 || minute < 0 || minute > 59 || second_us < 0) return out_of_bounds;
    if (second_us > 60 * US_PER_SECOND && second_us < 61 * US_PER_SECOND) return "INVALID_FRACTION_OF_SECOND";
    if (second_us > 60 * US_PER_SECOND) return out_of_bounds;
    int64_t within_day = (hour * 3600 + minute * 60) * US_PER_SECOND + (int64_t)second_us;
    if (__builtin_mul_overflow(days, US_PER_DAY, wall_us) || __builtin_add_overflow(*wall_us, within_day, wall_us)) return too_large;
    return NULL;
}

static const char *make_message(const char *condition) {
    if (condition == out_of_bounds || condition == too_large) return "there is no such date and time; try_make_timestamp gives NULL instead";
    return "the fraction of the 60th second must be zero";
}

static inline void make_timestamps(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_zone) {
    const struct timezone *zone = datetime_zone(out->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t wall_us;
        const char *condition = make_wall(args, row, &wall_us);
        if (condition) {
            operand_fail(out, row, condition, make_message(condition), eval);
            continue;
        }
        if (has_zone && (i == 0 || args[6]->form != COLUMN_CONSTANT)) {
            const struct string_view *name = datetime_text(args[6], row);
            zone = timezone_find(eval->session->zones, string_view_data(name), name->size_bytes);
        }
        if (has_zone && !zone) eval_fail(eval, row, "INVALID_TIMEZONE", "there is no such time zone");
        else ((int64_t *)out->values)[row] = datetime_from_wall(wall_us, zone);
    }
}
static void kernel_make_timestamp(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    make_timestamps(args, out, rows, eval, false);
}
static void kernel_make_timestamp_zone(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    make_timestamps(args, out, rows, eval, true);
}

static enum status bind_make_timestamp(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    if (b->arg_count == 7) b->kernel = kernel_make_timestamp_zone;
    return STATUS_OK;
}

static enum status bind_try(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    if (b->arg_count == 7) b->kernel = kernel_make_timestamp_zone;
    b->data = (void *)(uintptr_t)arithmetic_is_try;
    return STATUS_OK;
}

// --- intervals ---

static const char interval_overflow[] = "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION";

// Parts that were left out are 0.
static enum status add_zeros(struct binding *b, uint32_t count, bool has_seconds, struct error *e) {
    const struct type *seconds = type_decimal(b->arena, 18, 6);
    struct expr **args = arena_alloc_array(b->arena, count, sizeof *args);
    if (!args || !seconds) return error_no_memory(e);
    if (b->arg_count) memcpy(args, b->args, b->arg_count * sizeof *args);
    for (uint32_t i = b->arg_count; i < count; i++) {
        args[i] = expr_int(b->arena, 0);
        if (args[i] && has_seconds && i == count - 1) args[i] = expr_cast(b->arena, args[i], seconds, CAST_IMPLICIT);
        if (!args[i]) return error_no_memory(e);
    }
    b->args = args;
    b->arg_count = count;
    return STATUS_OK;
}

static bool add_times(int64_t *sum, int64_t count, int64_t size) {
    int64_t product;
    return !__builtin_mul_overflow(count, size, &product) && !__builtin_add_overflow(*sum, product, sum);
}

static void kernel_make_interval(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t months = 0, days = 0, us = (int64_t)decimal_at(args[6], row);
        (void)add_times(&months, datetime_int32(args[0], row), 12);  // INT times INT fits
        (void)add_times(&months, datetime_int32(args[1], row), 1);
        (void)add_times(&days, datetime_int32(args[2], row), 7);
        (void)add_times(&days, datetime_int32(args[3], row), 1);
        bool fits = add_times(&us, datetime_int32(args[4], row), 3600 * US_PER_SECOND) && add_times(&us, datetime_int32(args[5], row), 60 * US_PER_SECOND) &&
                    months >= INT32_MIN && months <= INT32_MAX && days >= INT32_MIN && days <= INT32_MAX;
        if (fits) ((struct calendar_interval *)out->values)[row] = (struct calendar_interval){.months = (int32_t)months, .days = (int32_t)days, .us = us};
        else operand_fail(out, row, too_large, "the interval does not fit its type; try_make_interval gives NULL instead", eval);
    }
}

static void kernel_make_dt_interval(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t us = (int64_t)decimal_at(args[3], row);
        bool fits = add_times(&us, datetime_int32(args[1], row), 3600 * US_PER_SECOND) && add_times(&us, datetime_int32(args[2], row), 60 * US_PER_SECOND) &&
                    add_times(&us, datetime_int32(args[0], row), US_PER_DAY);
        if (fits) ((int64_t *)out->values)[row] = us;
        else operand_fail(out, row, interval_overflow, "the interval does not fit its type", eval);
    }
}

static void kernel_make_ym_interval(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t months = (int64_t)datetime_int32(args[0], row) * 12 + datetime_int32(args[1], row);
        if (months >= INT32_MIN && months <= INT32_MAX) ((int32_t *)out->values)[row] = (int32_t)months;
        else operand_fail(out, row, interval_overflow, "the interval does not fit its type", eval);
    }
}

static enum status bind_make_interval(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return add_zeros(b, 7, true, e);
}
static enum status bind_try_make_interval(struct binding *b, struct error *e) {
    b->data = (void *)(uintptr_t)arithmetic_is_try;
    return bind_make_interval(b, e);
}
static enum status bind_make_dt_interval(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return add_zeros(b, 4, true, e);
}
static enum status bind_make_ym_interval(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return add_zeros(b, 2, false, e);
}

enum { FAILS = FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT, TRIES = FAILS | FUNCTION_MAY_BE_NULL };
#define MOMENT "(INT, INT, INT, INT, INT, DECIMAL(16, 6)"
#define INTERVAL_PARTS "(INT?, INT?, INT?, INT?, INT?, INT?, DECIMAL(18, 6)?) -> INTERVAL"

static const struct function functions[] = {
    {"make_date", "(INT, INT, INT) -> DATE", kernel_make_date, NULL, FAILS, "A date of year, month and day", "make_date(2024, 2, 29)", "2024-02-29"},
    {"make_timestamp", MOMENT ", STRING?) -> TIMESTAMP", kernel_make_timestamp, bind_make_timestamp, FAILS,
     "A timestamp of year, month, day, hour, minute, second and perhaps a time zone", "make_timestamp(2024, 1, 2, 3, 4, 5.678)", "2024-01-02 03:04:05.678"},
    {"make_timestamp_ltz", MOMENT ", STRING?) -> TIMESTAMP", kernel_make_timestamp, bind_make_timestamp, FAILS, "As make_timestamp",
     "make_timestamp_ltz(2024, 1, 2, 3, 4, 5)", "2024-01-02 03:04:05"},
    {"make_timestamp_ntz", MOMENT ") -> TIMESTAMP_NTZ", kernel_make_timestamp, NULL, FAILS, "As make_timestamp, without a time zone",
     "make_timestamp_ntz(2024, 1, 2, 3, 4, 5)", "2024-01-02 03:04:05"},
    {"try_make_timestamp", MOMENT ", STRING?) -> TIMESTAMP", kernel_make_timestamp, bind_try, TRIES, "As make_timestamp, NULL if there is no such moment",
     "try_make_timestamp(2024, 13, 2, 3, 4, 5)", "NULL"},
    {"try_make_timestamp_ltz", MOMENT ", STRING?) -> TIMESTAMP", kernel_make_timestamp, bind_try, TRIES, "As try_make_timestamp", "try_make_timestamp_ltz(2024, 13, 2, 3, 4, 5)", "NULL"},
    {"try_make_timestamp_ntz", MOMENT ") -> TIMESTAMP_NTZ", kernel_make_timestamp, bind_try, TRIES, "As make_timestamp_ntz, NULL if there is no such moment",
     "try_make_timestamp_ntz(2024, 13, 2, 3, 4, 5)", "NULL"},
    {"make_interval", INTERVAL_PARTS, kernel_make_interval, bind_make_interval, FAILS,
     "An interval of years, months, weeks, days, hours, minutes and seconds", "make_interval(1, 2, 0, 3)", "1 years 2 months 3 days"},
    {"try_make_interval", INTERVAL_PARTS, kernel_make_interval, bind_try_make_interval, TRIES, "As make_interval, NULL if it is too long", "try_make_interval(2147483647)", "NULL"},
    {"make_dt_interval", "(INT?, INT?, INT?, DECIMAL(18, 6)?) -> INTERVAL DAY TO SECOND", kernel_make_dt_interval, bind_make_dt_interval, FAILS,
     "An interval of days, hours, minutes and seconds", "make_dt_interval(1, 2, 3, 4.5)", "INTERVAL '1 02:03:04.5' DAY TO SECOND"},
    {"make_ym_interval", "(INT?, INT?) -> INTERVAL YEAR TO MONTH", kernel_make_ym_interval, bind_make_ym_interval, FAILS, "An interval of years and months",
     "make_ym_interval(1, 2)", "INTERVAL '1-2' YEAR TO MONTH"},
};
#undef MOMENT
#undef INTERVAL_PARTS

const struct function_table datetime_make_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "datetime"};
