// SPDX-License-Identifier: Apache-2.0
// datetime_format.c: functions with a datetime pattern: date_format, to_date, to_timestamp, unix_timestamp, from_unixtime and their kin.
//
// A constant pattern is compiled when the call is bound; one that comes with the rows, each time it changes from row to row.
#include "expr/functions.h"
#include "expr/datetime_kernels.h"
#include <strings.h>

static const char default_pattern[] = "yyyy-MM-dd HH:mm:ss";

// Bind data of every call with a pattern.
struct format_data {
    const struct datetime_pattern *pattern;  // NULL: made for each row
    bool is_try;                             // text that does not fit is NULL
};

enum status datetime_refuse(struct binding *b, uint32_t index, const char *condition, const char *message, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, condition, "%s: %s", b->name, message);
    if (e) e->span = index < b->arg_count && span_known(b->args[index]->span) ? b->args[index]->span : b->span;
    return STATUS_INVALID_QUERY;
}

enum status datetime_constant_text(struct binding *b, uint32_t index, const struct string_view **out, struct error *e) {
    const struct column *value;
    *out = NULL;
    if (!expr_is_constant(b->args[index])) return STATUS_OK;
    TRY(binding_constant(b, index, &value, e));
    if (value) *out = column_string(value, 0);
    return STATUS_OK;
}

static enum status bind_pattern(struct binding *b, uint32_t index, enum datetime_use use, bool is_try, struct error *e) {
    struct format_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    const struct string_view *text;
    if (!data) return error_no_memory(e);
    data->is_try = is_try;
    b->data = data;
    TRY(datetime_constant_text(b, index, &text, e));
    if (!text) return STATUS_OK;
    const char *condition;
    data->pattern = datetime_pattern_compile(b->arena, string_view_data(text), text->size_bytes, use, &condition);
    if (data->pattern) return STATUS_OK;
    if (!condition) return error_no_memory(e);
    enum status status = datetime_refuse(b, index, condition, datetime_pattern_message(condition), e);
    error_set_value(e, string_view_data(text), text->size_bytes);
    return status;
}

// A pattern argument that was left out.
static enum status add_default_pattern(struct binding *b, struct error *e) {
    struct expr **args = arena_alloc_array(b->arena, b->arg_count + 2, sizeof *args);
    if (!args) return error_no_memory(e);
    if (b->arg_count) memcpy(args, b->args, b->arg_count * sizeof *args);
    args[b->arg_count] = expr_string(b->arena, default_pattern, strlen(default_pattern));
    if (!args[b->arg_count++]) return error_no_memory(e);
    b->args = args;
    return STATUS_OK;
}

// --- the pattern of a row ---

struct row_pattern {
    const struct datetime_pattern *pattern;  // NULL: refused
    const char *condition;
    struct string_view text;                 // what it was made from
    bool is_made;
    char *printed;                           // room for what it prints
    size_t printed_bytes;
};

// False: the row has failed, or memory is refused.
static bool pattern_for_row(struct row_pattern *p, const struct column *texts, uint32_t row, enum datetime_use use, struct eval *eval) {
    const struct format_data *data = eval->call->data;
    if (data->pattern) {
        p->pattern = data->pattern;
    } else {
        const struct string_view *text = datetime_text(texts, row);
        if (!p->is_made || !string_view_equal(&p->text, text)) {
            p->pattern = datetime_pattern_compile(eval->arena, string_view_data(text), text->size_bytes, use, &p->condition);
            p->text = *text;
            p->is_made = true;
            if (!p->pattern && !p->condition) eval->status = STATUS_NO_MEMORY;
        }
        if (!p->pattern) {
            if (p->condition) eval_fail_value(eval, row, p->condition, datetime_pattern_message(p->condition), string_view_data(text), text->size_bytes);
            return false;
        }
    }
    size_t wanted = use == DATETIME_PRINT ? datetime_pattern_text_max(p->pattern) : 0;
    if (wanted > p->printed_bytes) {
        p->printed = eval_alloc(eval, wanted);
        p->printed_bytes = p->printed ? wanted : 0;
    }
    return !wanted || p->printed;
}

// --- printing ---

// By yyyy-MM-dd: the text goes straight into the view. False: a year of not four digits.
static inline bool put_date(struct column *out, uint32_t row, int64_t us, const struct timezone *zone) {
    struct string_view view = {.size_bytes = DATETIME_DATE_BYTES};
    if (!datetime_print_date(us, zone, view.inlined)) return false;
    ((struct string_view *)out->values)[row] = view;
    return true;
}

// `scale`: µs in a unit of the argument.
static inline void print_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, int64_t scale) {
    struct row_pattern pattern = {.is_made = false};
    const struct timezone *zone = eval->session->zone;
    const struct format_data *data = eval->call->data;
    const bool is_date = data->pattern && datetime_pattern_is_date(data->pattern);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t us = (int64_t)((uint64_t)datetime_int64(args[0], row) * (uint64_t)scale);  // beyond the range it wraps, as Spark's does
        if (is_date && put_date(out, row, us, zone)) continue;
        if (!pattern_for_row(&pattern, args[1], row, DATETIME_PRINT, eval)) continue;
        out_set_string(out, row, pattern.printed, datetime_pattern_print(pattern.pattern, us, zone, pattern.printed), eval);
    }
}
static void kernel_date_format(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    print_rows(args, out, rows, eval, 1);
}
static void kernel_from_unixtime(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    print_rows(args, out, rows, eval, US_PER_SECOND);
}

static enum status bind_date_format(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    return bind_pattern(b, 1, DATETIME_PRINT, false, e);
}

static enum status bind_from_unixtime(struct binding *b, struct error *e) {
    TRY(binding_signature(b, b->function->signature, e));
    if (b->arg_count == 1) TRY(add_default_pattern(b, e));
    return bind_pattern(b, 1, DATETIME_PRINT, false, e);
}

// --- reading ---

enum outcome { OUTCOME_INSTANT, OUTCOME_WALL, OUTCOME_DAY, OUTCOME_SECONDS };

static inline void read_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, enum outcome outcome) {
    const struct format_data *data = eval->call->data;
    struct row_pattern pattern = {.is_made = false};
    const struct timezone *zone = eval->session->zone;
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t wall_us, us;
        if (!pattern_for_row(&pattern, args[1], row, DATETIME_READ, eval)) continue;
        const struct string_view *text = datetime_text(args[0], row);
        if (!datetime_pattern_read(pattern.pattern, string_view_data(text), text->size_bytes, eval->session->zones, zone, &wall_us, &us)) {
            if (data->is_try) out_set_null(out, row);
            else eval_fail_value(eval, row, "CANNOT_PARSE_TIMESTAMP", "the text does not fit the datetime pattern, or is no such date; use a try_ function to get NULL instead",
                                 string_view_data(text), text->size_bytes);
            continue;
        }
        if (outcome == OUTCOME_DAY) ((int32_t *)out->values)[row] = (int32_t)floor_div(datetime_to_wall(us, zone), US_PER_DAY);
        else ((int64_t *)out->values)[row] = outcome == OUTCOME_INSTANT ? us : outcome == OUTCOME_WALL ? wall_us : us / US_PER_SECOND;
    }
}
static void kernel_read_instant(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    read_rows(args, out, rows, eval, OUTCOME_INSTANT);
}
static void kernel_read_wall(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    read_rows(args, out, rows, eval, OUTCOME_WALL);
}
static void kernel_read_day(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    read_rows(args, out, rows, eval, OUTCOME_DAY);
}
static void kernel_read_seconds(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    read_rows(args, out, rows, eval, OUTCOME_SECONDS);
}

static void kernel_whole_seconds(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int64_t *)out->values)[row] = datetime_int64(args[0], row) / US_PER_SECOND;  // toward zero, as Spark
    }
}

static bool is_moment(const struct type *t) { return t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ; }

static enum status replace_by_cast(struct binding *b, const struct type *to, bool is_try, struct error *e) {
    const struct type *from = b->args[0]->type;
    bool takes = is_moment(from) || from->id == TYPE_NULL || (to->id == TYPE_TIMESTAMP && type_is_numeric(from));
    if (!takes) TRY(binding_cast(b, 0, &type_string, e));
    b->replacement = expr_cast(b->arena, b->args[0], to, is_try ? CAST_TRY : CAST_ANSI);
    if (!b->replacement) return error_no_memory(e);
    if (b->replacement != b->args[0]) b->replacement->span = b->span;
    return STATUS_OK;
}

// A moment needs no pattern, but a pattern that is NULL makes the result so.
static void kernel_first_argument(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (out->type->id == TYPE_DATE) ((int32_t *)out->values)[row] = datetime_int32(args[0], row);
        else ((int64_t *)out->values)[row] = datetime_int64(args[0], row);
    }
}

// (text or moment[, pattern]) to a type: without a pattern it is a cast.
static enum status bind_reading(struct binding *b, const struct type *to, kernel k, bool is_try, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    if (b->arg_count == 1) return replace_by_cast(b, to, is_try, e);
    if (is_moment(b->args[0]->type)) {
        if (!b->args[1]->nullable) return replace_by_cast(b, to, is_try, e);
        TRY(binding_cast(b, 0, to, e));
        TRY(binding_cast(b, 1, &type_string, e));
        b->result = to;
        b->kernel = kernel_first_argument;
        return STATUS_OK;
    }
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(binding_cast(b, 1, &type_string, e));
    TRY(bind_pattern(b, 1, DATETIME_READ, is_try, e));
    b->result = to;
    b->kernel = k;
    if (is_try) b->nullable = true;
    return STATUS_OK;
}
static enum status bind_to_date(struct binding *b, struct error *e) { return bind_reading(b, &type_date, kernel_read_day, false, e); }
static enum status bind_try_to_date(struct binding *b, struct error *e) { return bind_reading(b, &type_date, kernel_read_day, true, e); }
static enum status bind_to_timestamp(struct binding *b, struct error *e) { return bind_reading(b, &type_timestamp, kernel_read_instant, false, e); }
static enum status bind_try_to_timestamp(struct binding *b, struct error *e) { return bind_reading(b, &type_timestamp, kernel_read_instant, true, e); }
static enum status bind_to_timestamp_ntz(struct binding *b, struct error *e) { return bind_reading(b, &type_timestamp_ntz, kernel_read_wall, false, e); }

// unix_timestamp([moment or text[, pattern]]), to_unix_timestamp
static enum status bind_unix_timestamp(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, strcasecmp(b->function->name, "unix_timestamp") == 0 ? 0 : 1, 2, e));
    b->result = &type_bigint;
    if (b->arg_count == 0) {
        struct expr **args = arena_alloc_array(b->arena, 1, sizeof *args);
        if (!args) return error_no_memory(e);
        TRY(function_call_named(b->arena, b->session, "current_timestamp", NULL, 0, b->span, &args[0], e));
        b->args = args;
        b->arg_count = 1;
    }
    const struct type *from = b->args[0]->type;
    if (is_moment(from)) {
        b->arg_count = 1;
        if (from->id == TYPE_DATE) TRY(binding_cast(b, 0, &type_timestamp, e));
        b->kernel = kernel_whole_seconds;
        return STATUS_OK;
    }
    // Numbers are no moments here: a cast to DATE would refuse them with the right words.
    if (from->id != TYPE_STRING && from->id != TYPE_NULL) return binding_cast(b, 0, &type_date, e);
    if (b->arg_count == 1) TRY(add_default_pattern(b, e));
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(binding_cast(b, 1, &type_string, e));
    b->kernel = kernel_read_seconds;
    return bind_pattern(b, 1, DATETIME_READ, false, e);
}

enum { READS = FUNCTION_CAN_FAIL | FUNCTION_TAKES_CONSTANT, TRIES = READS | FUNCTION_MAY_BE_NULL };

static const struct function functions[] = {
    {"date_format", "(TIMESTAMP, STRING) -> STRING", kernel_date_format, bind_date_format, READS, "A date or timestamp as text, by a datetime pattern",
     "date_format(DATE '2024-03-05', 'd MMM yyyy')", "5 Mar 2024"},
    {"from_unixtime", "(BIGINT, STRING?) -> STRING", kernel_from_unixtime, bind_from_unixtime, READS,
     "Seconds since 1970 as text, by a datetime pattern (yyyy-MM-dd HH:mm:ss)", "from_unixtime(0, 'yyyy-MM-dd')", "1970-01-01"},
    {"to_date", "(ANY, STRING?) -> DATE", NULL, bind_to_date, READS, "A date from text, by a pattern or as CAST reads it", "to_date('05/03/2024', 'dd/MM/yyyy')", "2024-03-05"},
    {"try_to_date", "(ANY, STRING?) -> DATE", NULL, bind_try_to_date, TRIES, "As to_date, NULL for what is no date", "try_to_date('x')", "NULL"},
    {"to_timestamp", "(ANY, STRING?) -> TIMESTAMP", NULL, bind_to_timestamp, READS, "A timestamp from text, by a pattern or as CAST reads it",
     "to_timestamp('05/03/2024 07:08', 'dd/MM/yyyy HH:mm')", "2024-03-05 07:08:00"},
    {"try_to_timestamp", "(ANY, STRING?) -> TIMESTAMP", NULL, bind_try_to_timestamp, TRIES, "As to_timestamp, NULL for what is no timestamp", "try_to_timestamp('x')", "NULL"},
    {"to_timestamp_ltz", "(ANY, STRING?) -> TIMESTAMP", NULL, bind_to_timestamp, READS, "As to_timestamp", "to_timestamp_ltz('2024-03-05')", "2024-03-05 00:00:00"},
    {"to_timestamp_ntz", "(ANY, STRING?) -> TIMESTAMP_NTZ", NULL, bind_to_timestamp_ntz, READS, "As to_timestamp, without a time zone", "to_timestamp_ntz('2024-03-05')",
     "2024-03-05 00:00:00"},
    {"unix_timestamp", "(ANY?, STRING?) -> BIGINT", NULL, bind_unix_timestamp, READS, "Seconds since 1970 of a moment, of text by a pattern, or of now",
     "unix_timestamp('1970-01-02', 'yyyy-MM-dd')", "86400"},
    {"to_unix_timestamp", "(ANY, STRING?) -> BIGINT", NULL, bind_unix_timestamp, READS, "As unix_timestamp", "to_unix_timestamp('1970-01-02', 'yyyy-MM-dd')", "86400"},
};

const struct function_table datetime_format_functions = {.functions = functions, .count = sizeof functions / sizeof functions[0], .group = "datetime"};
