// SPDX-License-Identifier: Apache-2.0
// sequence.c: sequence(start, stop[, step]): integers, dates, timestamps. The last element is the last that does not pass `stop`.
//
// Steps of whole days over dates, and steps below a day over timestamps, are plain additions. Months, and days on a timestamp, go over
// the calendar on the wall of the session's zone; each element is counted from the start, so that 31 January, 29 February, 31 March come out.
#include "column/datetime.h"
#include "expr/collection.h"
#include "expr/functions.h"
#include "expr/temporal.h"

// A step in Spark's three parts.
struct stride {
    int64_t months, days, us;
};

static void refuse_boundaries(uint32_t row, struct eval *eval) {
    eval_fail(eval, row, "", "illegal sequence boundaries: the step does not lead from the start to the stop");
}

static bool leads(__int128 start, __int128 stop, __int128 step) {
    return (step > 0 && start <= stop) || (step < 0 && start >= stop) || (step == 0 && start == stop);
}

static void append_number(struct column_builder *items, enum type_id id, int64_t value) {
    union {
        int8_t tiny;
        int16_t small;
        int32_t number;
        int64_t big;
    } v;
    switch (id) {
    case TYPE_TINYINT: v.tiny = (int8_t)value; break;
    case TYPE_SMALLINT: v.small = (int16_t)value; break;
    case TYPE_INT:
    case TYPE_DATE: v.number = (int32_t)value; break;
    default: v.big = value; break;
    }
    column_builder_append_fixed(items, &v);
}

static int64_t number_at(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_TINYINT: return column_int8(c, row);
    case TYPE_SMALLINT: return column_int16(c, row);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

// start, start + step …: no value passes the ends, as stop is one of the type's own.
static void add_up(struct list_writer *w, uint32_t row, int64_t start, int64_t stop, int64_t step, enum type_id id) {
    if (!leads(start, stop, step)) {
        refuse_boundaries(row, w->eval);
        return;
    }
    __int128 count = step == 0 ? 1 : ((__int128)stop - start) / step + 1;
    if (!list_writer_room(w, row, count > INT64_MAX ? INT64_MAX : (int64_t)count)) return;
    for (int64_t i = 0; i < (int64_t)count && !w->builder.children->failed; i++) append_number(w->builder.children, id, start + i * step);
}

static void kernel_numbers(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool has_step = eval->call->data != NULL;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t start = number_at(args[0], row), stop = number_at(args[1], row);
        list_writer_row(&w, row);
        add_up(&w, row, start, stop, has_step ? number_at(args[2], row) : start <= stop ? 1 : -1, args[0]->type->id);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static struct stride stride_at(const struct column *c, uint32_t row) {
    if (c->type->id == TYPE_INTERVAL_YM) return (struct stride){.months = column_int32(c, row)};
    if (c->type->id == TYPE_INTERVAL_DT) {
        int64_t us = column_int64(c, row);
        return (struct stride){.days = us / US_PER_DAY, .us = us % US_PER_DAY};
    }
    const struct calendar_interval *interval = (const struct calendar_interval *)column_base(c)->values + column_index(c, row);
    return (struct stride){.months = interval->months, .days = interval->days, .us = interval->us};
}

// The k-th element on the calendar; false: out of range.
static bool calendar_element(int64_t start_us, const struct stride *by, int64_t k, const struct timezone *zone, int64_t *out) {
    int64_t months, days, us;
    if (__builtin_mul_overflow(by->months, k, &months) || __builtin_mul_overflow(by->days, k, &days) || __builtin_mul_overflow(by->us, k, &us)) return false;
    if (months > INT32_MAX || months < INT32_MIN) return false;
    *out = start_us;
    if (months && !temporal_add_months(start_us, months, zone, out)) return false;
    return temporal_add_days_and_us(*out, days, us, zone, out);
}

static void walk_calendar(struct list_writer *w, uint32_t row, int64_t start_us, int64_t stop_us, const struct stride *by, enum type_id id, const struct timezone *zone) {
    __int128 step = ((__int128)by->months * 28 + by->days) * US_PER_DAY + by->us;  // the least it can be: enough for its sign and a limit
    if (!leads(start_us, stop_us, step)) {
        refuse_boundaries(row, w->eval);
        return;
    }
    __int128 most = step == 0 ? 1 : ((__int128)stop_us - start_us) / step + 1;
    if (!list_writer_room(w, row, most > INT64_MAX ? INT64_MAX : (int64_t)most)) return;
    int64_t at = start_us;
    for (int64_t k = 0; k < (int64_t)most && !w->builder.children->failed; k++) {
        if (k && !calendar_element(start_us, by, k, zone, &at)) return;
        if (step > 0 ? at > stop_us : at < stop_us) return;
        append_number(w->builder.children, id, id == TYPE_DATE ? floor_div(timezone_to_wall(zone, at), US_PER_DAY) : at);
    }
}

static void temporal_row(struct list_writer *w, const struct column *const *args, uint32_t row, bool has_step) {
    struct eval *eval = w->eval;
    enum type_id id = args[0]->type->id;
    const struct timezone *zone = id == TYPE_TIMESTAMP_NTZ || !eval->session || !eval->session->zone ? &timezone_utc : eval->session->zone;
    int64_t start = number_at(args[0], row), stop = number_at(args[1], row);
    struct stride by = has_step ? stride_at(args[2], row) : (struct stride){.days = start <= stop ? 1 : -1};
    if (id == TYPE_DATE && !by.months && !by.days && by.us) {
        eval_fail(eval, row, "", "the step of a sequence of dates must be at least a day");
        return;
    }
    if (!by.months && !by.us && id == TYPE_DATE) {
        add_up(w, row, start, stop, by.days, id);
    } else if (!by.months && !by.days) {
        add_up(w, row, start, stop, by.us, id);
    } else if (id == TYPE_DATE) {
        walk_calendar(w, row, timezone_to_utc(zone, start * US_PER_DAY), timezone_to_utc(zone, stop * US_PER_DAY), &by, id, zone);
    } else {
        walk_calendar(w, row, start, stop, &by, id, zone);
    }
}

static void kernel_temporal(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool has_step = eval->call->data != NULL;
    struct list_writer w;
    if (!list_writer_begin(&w, out, eval)) return;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        list_writer_row(&w, row);
        temporal_row(&w, args, row, has_step);
        list_writer_end_row(&w);
    }
    list_writer_finish(&w);
}

static const char sequence_has_step[] = "";  // bind data of a call with a step

static bool is_moment(const struct type *t) { return t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ; }
static bool is_interval(const struct type *t) { return t->id == TYPE_INTERVAL || t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT; }

static enum status bind_sequence(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    const struct type *common = coerce_tightest_common(b->arena, b->args[0]->type, b->args[1]->type);
    const struct type *step = b->arg_count == 3 ? b->args[2]->type : NULL;
    if (common && step && type_is_integral(common)) common = coerce_tightest_common(b->arena, common, step);
    bool numbers = common && type_is_integral(common), moments = common && is_moment(common) && (!step || is_interval(step) || step->id == TYPE_NULL);
    if (!numbers && !moments)
        return collection_refuse(b, 0, "DATATYPE_MISMATCH.SEQUENCE_WRONG_INPUT_TYPES",
                                 "start and stop must both be integers, with an integer step, or dates or timestamps, with an interval", e);
    for (uint32_t i = 0; i < 2; i++) TRY(collection_cast(b, i, common, e));
    if (step && (numbers || step->id == TYPE_NULL)) TRY(collection_cast(b, 2, numbers ? common : &type_interval_dt, e));
    b->data = step ? (void *)(uintptr_t)sequence_has_step : NULL;
    b->kernel = numbers ? kernel_numbers : kernel_temporal;
    b->result = type_array(b->arena, common, false);
    return b->result ? STATUS_OK : error_no_memory(e);
}

static const struct function functions[] = {
    {"sequence", "(T, T, ANY?) -> ARRAY<T>", NULL, bind_sequence, FUNCTION_CAN_FAIL,
     "From start to stop, both included, by a step: 1 or −1 by default, for dates and timestamps an interval, a day by default", "sequence(1, 5)", "[1, 2, 3, 4, 5]"},
};

const struct function_table sequence_functions = {functions, sizeof functions / sizeof *functions, "array"};
