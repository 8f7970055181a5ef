// SPDX-License-Identifier: Apache-2.0
// datetime_unix.c: timestamps and dates as numbers since 1970, and moving wall clocks between time zones.
#include "expr/functions.h"
#include "expr/datetime_kernels.h"
#include <math.h>

// --- numbers to timestamps ---

static void fail_range(uint32_t row, struct eval *eval) { eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the number is beyond the range of timestamps"); }

static inline void scale_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, int64_t scale) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (__builtin_mul_overflow(datetime_int64(args[0], row), scale, (int64_t *)out->values + row)) fail_range(row, eval);
    }
}
static void kernel_seconds(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    scale_rows(args, out, rows, eval, US_PER_SECOND);
}
static void kernel_millis(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    scale_rows(args, out, rows, eval, 1000);
}
static void kernel_micros(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    scale_rows(args, out, rows, eval, 1);
}

// What is no number of seconds is NULL; what is too large stops at the ends, as a cast in Java does.
static void kernel_seconds_double(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        double us = ((const double *)args[0]->values)[operand_index(args[0], row)] * 1e6;
        if (!isfinite(us)) out_set_null(out, row);
        else if (us >= 9223372036854775808.0) ((int64_t *)out->values)[row] = INT64_MAX;
        else if (us < -9223372036854775808.0) ((int64_t *)out->values)[row] = INT64_MIN;
        else ((int64_t *)out->values)[row] = (int64_t)us;
    }
}

static void kernel_seconds_decimal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    int scale = args[0]->type->scale;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        __int128 us = ((const __int128 *)args[0]->values)[operand_index(args[0], row)];
        bool exact = true, fits = true;
        for (int k = scale; k > 6; k--) {
            exact &= us % 10 == 0;
            us /= 10;
        }
        for (int k = scale; k < 6; k++) fits &= !__builtin_mul_overflow(us, 10, &us);
        if (!exact) eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the seconds have more than six decimals");
        else if (!fits || us > INT64_MAX || us < INT64_MIN) fail_range(row, eval);
        else ((int64_t *)out->values)[row] = (int64_t)us;
    }
}

// These functions take their type and no other: nothing is cast, text least of all.
static enum status require_type(struct binding *b, bool fits, const char *wanted, struct error *e) {
    if (fits || b->args[0]->type->id == TYPE_NULL) return STATUS_OK;
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
              "cannot resolve \"%s\" due to data type mismatch: the first parameter requires the \"%s\" type, however it has the type \"%s\"", b->name, wanted,
              type_name_sql(b->arena, b->args[0]->type));
    error_set_hint(e, "CAST it");
    if (e) e->span = span_known(b->args[0]->span) ? b->args[0]->span : b->span;
    return STATUS_INVALID_QUERY;
}

static enum status bind_timestamp_seconds(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    TRY(require_type(b, type_is_numeric(b->args[0]->type), "NUMERIC", e));
    TRY(binding_signature(b, b->function->signature, e));
    const struct type *t = b->args[0]->type;
    if (type_is_integral(t)) return binding_cast(b, 0, &type_bigint, e);
    b->kernel = t->id == TYPE_DECIMAL ? kernel_seconds_decimal : kernel_seconds_double;
    return t->id == TYPE_FLOAT ? binding_cast(b, 0, &type_double, e) : STATUS_OK;
}

static enum status bind_whole_number(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    TRY(require_type(b, type_is_integral(b->args[0]->type), "INTEGRAL", e));
    b->result = &type_timestamp;
    return binding_cast(b, 0, &type_bigint, e);
}

static enum status bind_timestamp(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    TRY(require_type(b, b->args[0]->type->id == TYPE_TIMESTAMP, "TIMESTAMP", e));
    return binding_signature(b, b->function->signature, e);
}
static enum status bind_date(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    TRY(require_type(b, b->args[0]->type->id == TYPE_DATE, "DATE", e));
    return binding_signature(b, b->function->signature, e);
}

// --- timestamps to numbers ---

static inline void unit_rows(const struct column *const *args, struct column *out, const struct rows *rows, int64_t unit) {
    const int64_t *restrict from = args[0]->values;
    int64_t *restrict to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = floor_div(from[row], unit);
    }
}
static void kernel_unix_seconds(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    unit_rows(args, out, rows, US_PER_SECOND);
}
static void kernel_unix_millis(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    unit_rows(args, out, rows, 1000);
}
static void kernel_unix_micros(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    unit_rows(args, out, rows, 1);
}

// DATE is kept as its number.
static void kernel_day_number(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    const int32_t *from = args[0]->values;
    int32_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        to[row] = from[row];
    }
}

// --- time zones ---

// The zone named by a row's argument, kept while the name stays. NULL: the row has failed.
struct named_zone {
    const struct timezone *zone;
    struct string_view name;
};

static const struct timezone *zone_of_row(struct named_zone *last, const struct column *names, uint32_t row, struct eval *eval) {
    const struct string_view *name = datetime_text(names, row);
    if (!last->zone || !string_view_equal(&last->name, name)) {
        last->zone = timezone_find(eval->session->zones, string_view_data(name), name->size_bytes);
        last->name = *name;
    }
    if (!last->zone) eval_fail_value(eval, row, "INVALID_TIMEZONE", "there is no such time zone", string_view_data(name), name->size_bytes);
    return last->zone;
}

static void kernel_from_utc(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct named_zone last = {.zone = NULL};
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct timezone *zone = zone_of_row(&last, args[1], row, eval);
        if (zone) ((int64_t *)out->values)[row] = timezone_to_wall(zone, datetime_int64(args[0], row));
    }
}

static void kernel_to_utc(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct named_zone last = {.zone = NULL};
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct timezone *zone = zone_of_row(&last, args[1], row, eval);
        if (zone) ((int64_t *)out->values)[row] = timezone_to_utc(zone, datetime_int64(args[0], row));
    }
}

static void kernel_convert_timezone(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct named_zone last_from = {.zone = NULL}, last_to = {.zone = NULL};
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct timezone *from = zone_of_row(&last_from, args[0], row, eval), *to = from ? zone_of_row(&last_to, args[1], row, eval) : NULL;
        if (to) ((int64_t *)out->values)[row] = timezone_to_wall(to, timezone_to_utc(from, datetime_int64(args[2], row)));
    }
}

static enum status bind_convert_timezone(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    if (b->arg_count == 2) {
        struct expr **args = arena_alloc_array(b->arena, 3, sizeof *args);
        const char *name = timezone_name(b->session->zone);
        if (!args) return error_no_memory(e);
        args[0] = expr_string(b->arena, name, strlen(name));
        args[1] = b->args[0];
        args[2] = b->args[1];
        if (!args[0]) return error_no_memory(e);
        b->args = args;
        b->arg_count = 3;
    }
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(binding_cast(b, 1, &type_string, e));
    TRY(binding_cast(b, 2, &type_timestamp_ntz, e));
    b->result = &type_timestamp_ntz;
    return STATUS_OK;
}

enum { FAILS = FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT };

static const struct function functions[] = {
    {"timestamp_seconds", "(NUMERIC) -> TIMESTAMP", kernel_seconds, bind_timestamp_seconds, FAILS | FUNCTION_MAY_BE_NULL, "The timestamp so many seconds after 1970",
     "timestamp_seconds(1.5)", "1970-01-01 00:00:01.5"},
    {"timestamp_millis", "(INTEGRAL) -> TIMESTAMP", kernel_millis, bind_whole_number, FAILS, "The timestamp so many milliseconds after 1970", "timestamp_millis(1500)", "1970-01-01 00:00:01.5"},
    {"timestamp_micros", "(INTEGRAL) -> TIMESTAMP", kernel_micros, bind_whole_number, FAILS, "The timestamp so many microseconds after 1970", "timestamp_micros(1)",
     "1970-01-01 00:00:00.000001"},
    {"unix_seconds", "(TIMESTAMP) -> BIGINT", kernel_unix_seconds, bind_timestamp, FUNCTION_TOTAL, "Whole seconds since 1970", "unix_seconds(TIMESTAMP '1970-01-01 00:00:01.5')", "1"},
    {"unix_millis", "(TIMESTAMP) -> BIGINT", kernel_unix_millis, bind_timestamp, FUNCTION_TOTAL, "Whole milliseconds since 1970", "unix_millis(TIMESTAMP '1970-01-01 00:00:01.5')", "1500"},
    {"unix_micros", "(TIMESTAMP) -> BIGINT", kernel_unix_micros, bind_timestamp, FUNCTION_TOTAL, "Microseconds since 1970", "unix_micros(TIMESTAMP '1970-01-01 00:00:01.5')", "1500000"},
    {"unix_date", "(DATE) -> INT", kernel_day_number, bind_date, FUNCTION_TOTAL, "Days since 1970", "unix_date(DATE '1970-01-02')", "1"},
    {"date_from_unix_date", "(INT) -> DATE", kernel_day_number, NULL, FUNCTION_TOTAL, "The date so many days after 1970", "date_from_unix_date(1)", "1970-01-02"},
    {"from_utc_timestamp", "(TIMESTAMP, STRING) -> TIMESTAMP", kernel_from_utc, NULL, FAILS, "A UTC timestamp as the wall clock of a time zone shows it",
     "from_utc_timestamp('2024-07-01 12:00:00', 'Europe/Paris')", "2024-07-01 14:00:00"},
    {"to_utc_timestamp", "(TIMESTAMP, STRING) -> TIMESTAMP", kernel_to_utc, NULL, FAILS, "The wall clock of a time zone as a UTC timestamp",
     "to_utc_timestamp('2024-07-01 12:00:00', 'Europe/Paris')", "2024-07-01 10:00:00"},
    {"convert_timezone", "(STRING, STRING?, TIMESTAMP_NTZ) -> TIMESTAMP_NTZ", kernel_convert_timezone, bind_convert_timezone, FAILS,
     "([from,] to, moment): the wall clock of one time zone as that of another", "convert_timezone('UTC', 'Asia/Tokyo', TIMESTAMP_NTZ '2024-01-01 12:00:00')", "2024-01-01 21:00:00"},
};

const struct function_table datetime_unix_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "datetime"};
