// SPDX-License-Identifier: Apache-2.0
// datetime_fields.c: parts of dates, timestamps and intervals: year … second, extract, date_part, dayname; and days counted between dates.
#include "expr/functions.h"
#include "expr/datetime_items.h"
#include "expr/datetime_kernels.h"
#include <strings.h>

// --- parts of a date ---

static int32_t iso_year_and_week(int64_t days, int32_t *week) {
    int64_t thursday = days - floor_mod(days + 3, 7) + 3;  // a week belongs to the year of its Thursday
    int32_t year = civil_from_days(thursday).year;
    *week = (int32_t)((thursday - days_from_civil(year, 1, 1)) / 7 + 1);
    return year;
}
static int32_t week_of_year(int64_t days) {
    int32_t week;
    (void)iso_year_and_week(days, &week);
    return week;
}
static int32_t year_of_week(int64_t days) {
    int32_t week;
    return iso_year_and_week(days, &week);
}
static int32_t day_of_year(int64_t days) { return (int32_t)(days - days_from_civil(civil_from_days(days).year, 1, 1) + 1); }

#define DATE_PART(name, expression)                                                                                                 \
    static void kernel_##name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {  \
        (void)eval;                                                                                                                 \
        const int32_t *from = args[0]->values;                                                                                      \
        int32_t *to = out->values;                                                                                                  \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                                \
            uint32_t row = rows_at(rows, i);                                                                                        \
            int64_t days = from[row];                                                                                               \
            to[row] = expression;                                                                                                   \
        }                                                                                                                           \
    }
DATE_PART(year, civil_from_days(days).year)
DATE_PART(quarter, (civil_from_days(days).month - 1) / 3 + 1)
DATE_PART(month, civil_from_days(days).month)
DATE_PART(day, civil_from_days(days).day)
DATE_PART(dayofyear, day_of_year(days))
DATE_PART(dayofweek, (int32_t)floor_mod(days + 4, 7) + 1)
DATE_PART(dayofweek_iso, (int32_t)floor_mod(days + 3, 7) + 1)
DATE_PART(weekday, (int32_t)floor_mod(days + 3, 7))
DATE_PART(weekofyear, week_of_year(days))
DATE_PART(yearofweek, year_of_week(days))
#undef DATE_PART

static void kernel_dayname(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        out_set_view(out, row, weekday_names[floor_mod((int64_t)datetime_int32(args[0], row) + 3, 7)], 3);
    }
}

static void kernel_monthname(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        out_set_view(out, row, month_names[civil_from_days(datetime_int32(args[0], row)).month - 1], 3);
    }
}

// --- parts of a time of day; the argument is a TIMESTAMP or TIMESTAMP_NTZ ---

#define TIME_PART(name, c_type, expression)                                                                                        \
    static void kernel_##name(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {  \
        const int64_t *from = args[0]->values;                                                                                      \
        c_type *to = out->values;                                                                                                   \
        const struct timezone *zone = datetime_zone(args[0]->type, eval);                                                           \
        for (uint32_t i = 0; i < rows->count; i++) {                                                                                \
            uint32_t row = rows_at(rows, i);                                                                                        \
            int64_t us = floor_mod(datetime_to_wall(from[row], zone), US_PER_DAY);                                                  \
            to[row] = (c_type)(expression);                                                                                         \
        }                                                                                                                           \
    }
TIME_PART(hour, int32_t, us / (3600 * US_PER_SECOND))
TIME_PART(minute, int32_t, us / (60 * US_PER_SECOND) % 60)
TIME_PART(second, int32_t, us / US_PER_SECOND % 60)
TIME_PART(second_exact, __int128, us % (60 * US_PER_SECOND))
#undef TIME_PART

static enum status bind_time_part(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (b->args[0]->type->id != TYPE_TIMESTAMP_NTZ) TRY(binding_cast(b, 0, &type_timestamp, e));
    b->result = b->kernel == kernel_second_exact ? type_decimal(b->arena, 8, 6) : &type_int;
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- parts of an interval: of its months, or of its days and µs ---

enum part { PART_YEARS, PART_MONTHS, PART_DAYS, PART_HOURS, PART_MINUTES, PART_SECONDS };

static const char interval_parts[] = "yMdhms";  // bind data points at one: enum part

static void interval_at(const struct column *c, uint32_t row, struct calendar_interval *out) {
    uint32_t index = operand_index(c, row);
    *out = (struct calendar_interval){0};
    if (c->type->id == TYPE_INTERVAL) *out = ((const struct calendar_interval *)c->values)[index];
    else if (c->type->id == TYPE_INTERVAL_YM) out->months = ((const int32_t *)c->values)[index];
    else out->us = ((const int64_t *)c->values)[index];
}

static void kernel_interval_part(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum part part = (enum part)((const char *)eval->call->data - interval_parts);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct calendar_interval v;
        interval_at(args[0], row, &v);
        int64_t within_day = v.us % US_PER_DAY, value = 0;
        switch (part) {
        case PART_YEARS: value = v.months / 12; break;
        case PART_MONTHS: value = v.months % 12; break;
        case PART_DAYS: value = v.days + v.us / US_PER_DAY; break;
        case PART_HOURS: value = within_day / (3600 * US_PER_SECOND); break;
        case PART_MINUTES: value = within_day / (60 * US_PER_SECOND) % 60; break;
        case PART_SECONDS: value = within_day % (60 * US_PER_SECOND); break;
        }
        switch (out->type->id) {
        case TYPE_TINYINT: ((int8_t *)out->values)[row] = (int8_t)value; break;
        case TYPE_INT: ((int32_t *)out->values)[row] = (int32_t)value; break;
        default: ((__int128 *)out->values)[row] = value; break;
        }
    }
}

// --- extract and date_part ---

struct part_name {
    const char *names;         // all spellings
    const char *of_moment;     // the function that takes it from a date or timestamp
    const char *of_interval;   // and from an interval; NULL: intervals have none
    enum interval_unit unit;   // in the type of that interval
};

static const struct part_name part_names[] = {
    {" YEAR Y YEARS YR YRS ", "year", "interval years", UNIT_YEAR}, {" YEAROFWEEK ", "year of week", NULL, UNIT_YEAR}, {" QUARTER QTR ", "quarter", NULL, UNIT_YEAR},
    {" MONTH MON MONS MONTHS ", "month", "interval months", UNIT_MONTH}, {" WEEK W WEEKS ", "weekofyear", NULL, UNIT_YEAR},
    {" DAY D DAYS ", "day", "interval days", UNIT_DAY}, {" DAYOFWEEK DOW ", "dayofweek", NULL, UNIT_YEAR},
    {" DAYOFWEEK_ISO DOW_ISO ", "iso day of week", NULL, UNIT_YEAR}, {" DOY ", "dayofyear", NULL, UNIT_YEAR},
    {" HOUR H HOURS HR HRS ", "hour", "interval hours", UNIT_HOUR}, {" MINUTE M MIN MINS MINUTES ", "minute", "interval minutes", UNIT_MINUTE},
    {" SECOND S SEC SECONDS SECS ", "exact second", "interval seconds", UNIT_SECOND},
};

static const struct part_name *find_part(const struct string_view *name) {
    char wanted[24] = " ";
    if (name->size_bytes == 0 || name->size_bytes > sizeof wanted - 3 || memchr(string_view_data(name), ' ', name->size_bytes) ||
        memchr(string_view_data(name), '\0', name->size_bytes))
        return NULL;
    memcpy(wanted + 1, string_view_data(name), name->size_bytes);
    wanted[name->size_bytes + 1] = ' ';
    for (size_t i = 0; i < sizeof part_names / sizeof *part_names; i++)
        if (strcasestr(part_names[i].names, wanted)) return &part_names[i];
    return NULL;
}

static enum status bind_interval_part(struct binding *b, enum part part, struct error *e) {
    b->data = (void *)(uintptr_t)&interval_parts[part];
    if (part == PART_SECONDS) b->result = type_decimal(b->arena, 8, 6);
    else b->result = part == PART_YEARS || part == PART_DAYS ? &type_int : &type_tinyint;
    return b->result ? STATUS_OK : error_no_memory(e);
}
static enum status bind_interval_years(struct binding *b, struct error *e) { return bind_interval_part(b, PART_YEARS, e); }
static enum status bind_interval_months(struct binding *b, struct error *e) { return bind_interval_part(b, PART_MONTHS, e); }
static enum status bind_interval_days(struct binding *b, struct error *e) { return bind_interval_part(b, PART_DAYS, e); }
static enum status bind_interval_hours(struct binding *b, struct error *e) { return bind_interval_part(b, PART_HOURS, e); }
static enum status bind_interval_minutes(struct binding *b, struct error *e) { return bind_interval_part(b, PART_MINUTES, e); }
static enum status bind_interval_seconds(struct binding *b, struct error *e) { return bind_interval_part(b, PART_SECONDS, e); }

static enum status no_such_part(struct binding *b, const struct string_view *name, struct error *e) {
    enum status status = datetime_refuse(b, 0, "INVALID_EXTRACT_FIELD", "there is no such field to extract", e);
    error_set_value(e, string_view_data(name), name->size_bytes);
    error_set_hint(e, "fields are YEAR, QUARTER, MONTH, WEEK, DAY, DAYOFWEEK, DOY, YEAROFWEEK, HOUR, MINUTE, SECOND");
    return status;
}

static enum status bind_extract(struct binding *b, struct error *e) {
    const struct column *name;
    TRY(binding_require_count(b, 2, 2, e));
    TRY(binding_cast(b, 0, &type_string, e));
    if (!expr_is_constant(b->args[0])) return datetime_refuse(b, 0, "NON_FOLDABLE_ARGUMENT", "the field must be a constant", e);
    TRY(binding_constant(b, 0, &name, e));
    if (!name) {
        b->replacement = expr_null(b->arena, &type_double);
        return b->replacement ? STATUS_OK : error_no_memory(e);
    }
    const struct part_name *part = find_part(column_string(name, 0));
    if (!part) return no_such_part(b, column_string(name, 0), e);
    const struct type *from = b->args[1]->type;
    const char *function = part->of_moment;
    if (from->id == TYPE_INTERVAL || from->id == TYPE_INTERVAL_YM || from->id == TYPE_INTERVAL_DT) {
        bool fits = part->of_interval && (from->id == TYPE_INTERVAL || (from->start <= part->unit && part->unit <= from->end));
        if (!fits) return no_such_part(b, column_string(name, 0), e);
        function = part->of_interval;
    }
    return function_call_named(b->arena, b->session, function, &b->args[1], 1, b->span, &b->replacement, e);
}

// --- counting days ---

static void kernel_datediff(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = (int32_t)((uint32_t)datetime_int32(args[0], row) - (uint32_t)datetime_int32(args[1], row));
    }
}

// Beyond the last date Spark counts on from the first, as Java's int does.
static void kernel_date_add(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = (int32_t)((uint32_t)datetime_int32(args[0], row) + (uint32_t)datetime_int32(args[1], row));
    }
}
static void kernel_date_sub(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int32_t *)out->values)[row] = (int32_t)((uint32_t)datetime_int32(args[0], row) - (uint32_t)datetime_int32(args[1], row));
    }
}

// The number of days is at most an INT; DECIMALs, DOUBLEs and BIGINTs are not cut down to one.
static enum status bind_date_add(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *count = b->args[1]->type;
    if (count->id == TYPE_BIGINT || count->id == TYPE_FLOAT || count->id == TYPE_DOUBLE || count->id == TYPE_DECIMAL) {
        error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
                  "cannot resolve \"%s\" due to data type mismatch: the second parameter requires the (\"INT\" or \"SMALLINT\" or \"TINYINT\") type, however it has the type \"%s\"",
                  b->name, type_name_sql(b->arena, count));
        error_set_hint(e, "CAST it AS INT");
        if (e) e->span = span_known(b->args[1]->span) ? b->args[1]->span : b->span;
        return STATUS_INVALID_QUERY;
    }
    return binding_signature(b, b->function->signature, e);
}

static const struct function functions[] = {
    {"year", "(DATE) -> INT", kernel_year, NULL, FUNCTION_TOTAL, "The year", "year(DATE '2024-03-05')", "2024"},
    {"quarter", "(DATE) -> INT", kernel_quarter, NULL, FUNCTION_TOTAL, "The quarter of the year, 1 to 4", "quarter(DATE '2024-03-05')", "1"},
    {"month", "(DATE) -> INT", kernel_month, NULL, FUNCTION_TOTAL, "The month, 1 to 12", "month(DATE '2024-03-05')", "3"},
    {"day", "(DATE) -> INT", kernel_day, NULL, FUNCTION_TOTAL, "The day of the month, 1 to 31", "day(DATE '2024-03-05')", "5"},
    {"dayofmonth", "(DATE) -> INT", kernel_day, NULL, FUNCTION_TOTAL, "The day of the month, 1 to 31", "dayofmonth(DATE '2024-03-05')", "5"},
    {"dayofyear", "(DATE) -> INT", kernel_dayofyear, NULL, FUNCTION_TOTAL, "The day of the year, 1 to 366", "dayofyear(DATE '2024-03-05')", "65"},
    {"dayofweek", "(DATE) -> INT", kernel_dayofweek, NULL, FUNCTION_TOTAL, "The day of the week, Sunday is 1", "dayofweek(DATE '2024-03-05')", "3"},
    {"weekday", "(DATE) -> INT", kernel_weekday, NULL, FUNCTION_TOTAL, "The day of the week, Monday is 0", "weekday(DATE '2024-03-05')", "1"},
    {"weekofyear", "(DATE) -> INT", kernel_weekofyear, NULL, FUNCTION_TOTAL, "The week of the year by ISO 8601, 1 to 53", "weekofyear(DATE '2024-03-05')", "10"},
    {"dayname", "(DATE) -> STRING", kernel_dayname, NULL, FUNCTION_TAKES_CONSTANT, "The day of the week as Mon, Tue …", "dayname(DATE '2024-03-05')", "Tue"},
    {"monthname", "(DATE) -> STRING", kernel_monthname, NULL, FUNCTION_TAKES_CONSTANT, "The month as Jan, Feb …", "monthname(DATE '2024-03-05')", "Mar"},
    {"hour", "(TIMESTAMP) -> INT", kernel_hour, bind_time_part, 0, "The hour, 0 to 23", "hour(TIMESTAMP '2024-03-05 07:08:09')", "7"},
    {"minute", "(TIMESTAMP) -> INT", kernel_minute, bind_time_part, 0, "The minute, 0 to 59", "minute(TIMESTAMP '2024-03-05 07:08:09')", "8"},
    {"second", "(TIMESTAMP) -> INT", kernel_second, bind_time_part, 0, "The whole second, 0 to 59", "second(TIMESTAMP '2024-03-05 07:08:09.5')", "9"},
    {"exact second", "(TIMESTAMP) -> DECIMAL(8, 6)", kernel_second_exact, bind_time_part, FUNCTION_HIDDEN, "extract(SECOND)", NULL, NULL},
    {"year of week", "(DATE) -> INT", kernel_yearofweek, NULL, FUNCTION_HIDDEN, "extract(YEAROFWEEK)", NULL, NULL},
    {"iso day of week", "(DATE) -> INT", kernel_dayofweek_iso, NULL, FUNCTION_HIDDEN, "extract(DAYOFWEEK_ISO)", NULL, NULL},
    {"interval years", "(ANY) -> INT", kernel_interval_part, bind_interval_years, FUNCTION_HIDDEN, "extract(YEAR) of an interval", NULL, NULL},
    {"interval months", "(ANY) -> TINYINT", kernel_interval_part, bind_interval_months, FUNCTION_HIDDEN, "extract(MONTH) of an interval", NULL, NULL},
    {"interval days", "(ANY) -> INT", kernel_interval_part, bind_interval_days, FUNCTION_HIDDEN, "extract(DAY) of an interval", NULL, NULL},
    {"interval hours", "(ANY) -> TINYINT", kernel_interval_part, bind_interval_hours, FUNCTION_HIDDEN, "extract(HOUR) of an interval", NULL, NULL},
    {"interval minutes", "(ANY) -> TINYINT", kernel_interval_part, bind_interval_minutes, FUNCTION_HIDDEN, "extract(MINUTE) of an interval", NULL, NULL},
    {"interval seconds", "(ANY) -> DECIMAL(8, 6)", kernel_interval_part, bind_interval_seconds, FUNCTION_HIDDEN, "extract(SECOND) of an interval", NULL, NULL},
    {"extract", "(STRING, ANY) -> ANY", NULL, bind_extract, 0, "A field of a date, timestamp or interval: YEAR, MONTH, DOW, SECOND …", "extract(YEAR FROM DATE '2024-03-05')", "2024"},
    {"date_part", "(STRING, ANY) -> ANY", NULL, bind_extract, 0, "As extract", "date_part('month', DATE '2024-03-05')", "3"},
    {"datepart", "(STRING, ANY) -> ANY", NULL, bind_extract, 0, "As extract", "datepart('day', DATE '2024-03-05')", "5"},
    {"datediff", "(DATE, DATE) -> INT", kernel_datediff, NULL, FUNCTION_TAKES_CONSTANT, "Days from the second date to the first", "datediff(DATE '2024-03-05', DATE '2024-03-01')", "4"},
    {"date_diff", "(DATE, DATE) -> INT", kernel_datediff, NULL, FUNCTION_TAKES_CONSTANT, "As datediff", "date_diff(DATE '2024-03-05', DATE '2024-03-01')", "4"},
    {"date_add", "(DATE, INT) -> DATE", kernel_date_add, bind_date_add, FUNCTION_TAKES_CONSTANT, "The date some days later", "date_add(DATE '2024-01-30', 2)", "2024-02-01"},
    {"dateadd", "(DATE, INT) -> DATE", kernel_date_add, bind_date_add, FUNCTION_TAKES_CONSTANT, "As date_add", "dateadd(DATE '2024-01-30', 2)", "2024-02-01"},
    {"date_sub", "(DATE, INT) -> DATE", kernel_date_sub, bind_date_add, FUNCTION_TAKES_CONSTANT, "The date some days earlier", "date_sub(DATE '2024-01-30', 30)", "2023-12-31"},
};

const struct function_table datetime_field_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "datetime"};
