// SPDX-License-Identifier: Apache-2.0
// temporal.c: arithmetic on dates, timestamps and intervals.
//
//     DATE ± int, DATE ± INTERVAL_YM, DATE ± whole days   → DATE          TIMESTAMP ± interval → TIMESTAMP (days and months on the wall)
//     DATE ± other INTERVAL_DT                            → TIMESTAMP     DATE − DATE → INTERVAL DAY, else INTERVAL DAY TO SECOND
//     interval ± interval (same kind), interval * number, interval / number, interval div interval (same kind) → BIGINT
//
// The binder turns subtraction of an interval into the same kernels with the sign as bind data.
#include "temporal.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "expr/coerce.h"
#include "operand.h"
#include <math.h>

static const char is_minus[] = "minus";

static inline int64_t signed_by(const struct eval *eval, int64_t value) { return eval->call->data == is_minus ? -value : value; }
static void fail_date(uint32_t row, struct eval *eval) { eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the date is beyond its range"); }
static void fail_overflow(uint32_t row, struct eval *eval) { eval_fail(eval, row, "DATETIME_OVERFLOW", "the result is beyond the range of its type"); }
static void fail_interval(uint32_t row, struct eval *eval) {
    eval_fail(eval, row, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "the interval does not fit its type");
}
static void fail_interval_sum(uint32_t row, struct eval *eval) {
    eval_fail(eval, row, "INTERVAL_ARITHMETIC_OVERFLOW.WITH_SUGGESTION", "the interval does not fit its type; try_add and try_subtract give NULL instead");
}

bool temporal_add_months_to_date(int32_t days, int64_t months, int32_t *out) {
    struct civil c = civil_from_days(days);
    int64_t month = (int64_t)c.year * 12 + c.month - 1 + months;
    int64_t year = floor_div(month, 12);
    unsigned month_of_year = (unsigned)floor_mod(month, 12) + 1;
    if (year < -5877641 || year > 5881580) return false;
    unsigned last = days_in_month(year, month_of_year);
    int64_t result = days_from_civil(year, month_of_year, c.day < last ? c.day : last);
    if (result < INT32_MIN || result > INT32_MAX) return false;
    *out = (int32_t)result;
    return true;
}

static int64_t to_wall(int64_t us, const struct timezone *zone) { return zone ? timezone_to_wall(zone, us) : us; }
static int64_t from_wall(int64_t us, const struct timezone *zone) { return zone ? timezone_to_utc(zone, us) : us; }

bool temporal_add_months(int64_t us, int64_t months, const struct timezone *zone, int64_t *out) {
    int64_t wall = to_wall(us, zone), day = floor_div(wall, US_PER_DAY), time = floor_mod(wall, US_PER_DAY);
    int32_t moved;
    if (!temporal_add_months_to_date((int32_t)day, months, &moved)) return false;
    if (__builtin_mul_overflow((int64_t)moved, US_PER_DAY, &wall) || __builtin_add_overflow(wall, time, &wall)) return false;
    *out = from_wall(wall, zone);
    return true;
}

bool temporal_add_days_and_us(int64_t us, int64_t days, int64_t rest_us, const struct timezone *zone, int64_t *out) {
    int64_t moved = us;
    if (days) {
        int64_t shift;
        if (__builtin_mul_overflow(days, US_PER_DAY, &shift) || __builtin_add_overflow(to_wall(us, zone), shift, &moved)) return false;
        moved = from_wall(moved, zone);
    }
    return !__builtin_add_overflow(moved, rest_us, out);
}

// --- kernels: DATE ---

static void date_plus_days(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *days = args[0]->values, *count = args[1]->values;
    int32_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t sum = days[operand_index(args[0], row)] + signed_by(eval, count[operand_index(args[1], row)]);
        to[row] = (int32_t)(uint32_t)(uint64_t)sum;  // wraps, as Spark's does even under ANSI
    }
}

static void date_plus_day_interval(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *days = args[0]->values;
    const int64_t *us = args[1]->values;
    int32_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t sum = days[operand_index(args[0], row)] + signed_by(eval, us[operand_index(args[1], row)] / US_PER_DAY);
        if (sum < INT32_MIN || sum > INT32_MAX) fail_overflow(row, eval);
        to[row] = (int32_t)sum;
    }
}

static void date_plus_months(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *days = args[0]->values, *months = args[1]->values;
    int32_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!temporal_add_months_to_date(days[operand_index(args[0], row)], signed_by(eval, months[operand_index(args[1], row)]), &to[row]))
            fail_date(row, eval);
    }
}

static void date_minus_date(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *a = args[0]->values, *b = args[1]->values;
    int64_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t days = (int64_t)a[operand_index(args[0], row)] - b[operand_index(args[1], row)];
        if (__builtin_mul_overflow(days, US_PER_DAY, &to[row])) fail_interval(row, eval);
    }
}

// --- kernels: TIMESTAMP ---

static const struct timezone *zone_of(const struct type *t, const struct eval *eval) {
    return t->id == TYPE_TIMESTAMP ? eval->session->zone : NULL;
}

static void timestamp_plus_months(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int64_t *us = args[0]->values;
    const int32_t *months = args[1]->values;
    int64_t *to = out->values;
    const struct timezone *zone = zone_of(out->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!temporal_add_months(us[operand_index(args[0], row)], signed_by(eval, months[operand_index(args[1], row)]), zone, &to[row]))
            fail_overflow(row, eval);
    }
}

static void timestamp_plus_interval(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int64_t *us = args[0]->values, *interval = args[1]->values;
    int64_t *to = out->values;
    const struct timezone *zone = zone_of(out->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t span = interval[operand_index(args[1], row)];
        int64_t days = signed_by(eval, span / US_PER_DAY), rest = signed_by(eval, span % US_PER_DAY);
        if (!temporal_add_days_and_us(us[operand_index(args[0], row)], days, rest, zone, &to[row])) fail_overflow(row, eval);
    }
}

static void timestamp_plus_calendar(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int64_t *us = args[0]->values;
    const struct calendar_interval *interval = args[1]->values;
    int64_t *to = out->values;
    const struct timezone *zone = zone_of(out->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct calendar_interval *v = &interval[operand_index(args[1], row)];
        int64_t moved;
        if (v->us == INT64_MIN || !temporal_add_months(us[operand_index(args[0], row)], signed_by(eval, v->months), zone, &moved) ||
            !temporal_add_days_and_us(moved, signed_by(eval, v->days), signed_by(eval, v->us), zone, &to[row]))
            fail_overflow(row, eval);
    }
}

static void date_plus_calendar(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int32_t *days = args[0]->values;
    const struct calendar_interval *interval = args[1]->values;
    int32_t *to = out->values;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        const struct calendar_interval *v = &interval[operand_index(args[1], row)];
        if (v->us) {
            eval_fail(eval, row, "INVALID_INTERVAL_WITH_MICROSECONDS_ADDITION", "an interval with a time part cannot be added to a date");
            continue;
        }
        int32_t moved;
        bool fits = temporal_add_months_to_date(days[operand_index(args[0], row)], signed_by(eval, v->months), &moved);
        int64_t sum = fits ? moved + signed_by(eval, v->days) : INT64_MAX;
        if (sum < INT32_MIN || sum > INT32_MAX) fail_overflow(row, eval);
        else to[row] = (int32_t)sum;
    }
}

// Two timestamps of one type: the difference on the wall.
static void timestamp_minus(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const int64_t *a = args[0]->values, *b = args[1]->values;
    int64_t *to = out->values;
    const struct timezone *zone = zone_of(args[0]->type, eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t x = to_wall(a[operand_index(args[0], row)], zone), y = to_wall(b[operand_index(args[1], row)], zone);
        if (__builtin_sub_overflow(x, y, &to[row])) fail_interval(row, eval);
    }
}

// --- kernels: intervals ---

static inline int64_t interval_at(const struct column *c, uint32_t row) {
    uint32_t index = operand_index(c, row);
    return c->type->id == TYPE_INTERVAL_YM ? ((const int32_t *)c->values)[index] : ((const int64_t *)c->values)[index];
}

static inline void put_interval(struct column *out, uint32_t row, int64_t value, bool overflow, struct eval *eval) {
    if (out->type->id == TYPE_INTERVAL_DT) ((int64_t *)out->values)[row] = value;
    else if (value < INT32_MIN || value > INT32_MAX) overflow = true;
    else ((int32_t *)out->values)[row] = (int32_t)value;
    if (overflow) fail_interval(row, eval);
}

static void interval_plus(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool minus = eval->call->data == is_minus;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t a = interval_at(args[0], row), b = interval_at(args[1], row), sum;
        bool overflow = minus ? __builtin_sub_overflow(a, b, &sum) : __builtin_add_overflow(a, b, &sum);
        overflow |= out->type->id == TYPE_INTERVAL_YM && (sum < INT32_MIN || sum > INT32_MAX);
        if (overflow) fail_interval_sum(row, eval);
        else put_interval(out, row, sum, false, eval);
    }
}

static void interval_times(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum type_id factor = args[1]->type->id;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), index = operand_index(args[1], row);
        int64_t a = interval_at(args[0], row), product = 0;
        bool overflow = false;
        if (factor == TYPE_BIGINT) {
            overflow = __builtin_mul_overflow(a, ((const int64_t *)args[1]->values)[index], &product);
        } else if (factor == TYPE_DECIMAL) {
            decimal exact;
            overflow = !decimal_multiply(a, ((const decimal *)args[1]->values)[index], args[1]->type->scale, 0, DECIMAL_MAX_PRECISION, &exact) ||
                       exact > INT64_MAX || exact < INT64_MIN;
            product = overflow ? 0 : (int64_t)exact;
        } else {
            double exact = round((double)a * ((const double *)args[1]->values)[index]);
            overflow = !(exact >= -9223372036854775808.0 && exact < 9223372036854775808.0);
            product = overflow ? 0 : (int64_t)exact;
        }
        put_interval(out, row, product, overflow, eval);
    }
}

static void interval_divide(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    enum type_id by = args[1]->type->id;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i), index = operand_index(args[1], row);
        int64_t a = interval_at(args[0], row);
        decimal exact = 0;
        double fraction = 0;
        bool zero, overflow = false;
        if (by == TYPE_DOUBLE) {
            double divisor = ((const double *)args[1]->values)[index];
            zero = divisor == 0;
            fraction = zero ? 0 : round((double)a / divisor);
            overflow = !(fraction >= -9223372036854775808.0 && fraction < 9223372036854775808.0);
            exact = overflow ? 0 : (decimal)fraction;
        } else {
            decimal divisor = by == TYPE_BIGINT ? ((const int64_t *)args[1]->values)[index] : ((const decimal *)args[1]->values)[index];
            zero = divisor == 0;
            overflow = !zero && (!decimal_divide(a, 0, divisor, by == TYPE_BIGINT ? 0 : args[1]->type->scale, 0, DECIMAL_MAX_PRECISION, &exact) ||
                                 exact > INT64_MAX || exact < INT64_MIN);
        }
        if (zero) operand_fail(out, row, "INTERVAL_DIVIDED_BY_ZERO", "division of an interval by zero", eval);
        else put_interval(out, row, overflow ? 0 : (int64_t)exact, overflow, eval);
    }
}

static void interval_quotient(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        int64_t a = interval_at(args[0], row), b = interval_at(args[1], row);
        if (b == 0) eval_fail(eval, row, "DIVIDE_BY_ZERO", "division by zero");
        else if (a == INT64_MIN && b == -1) eval_fail(eval, row, "ARITHMETIC_OVERFLOW", "the result does not fit BIGINT");
        else ((int64_t *)out->values)[row] = args[0]->type->id == TYPE_INTERVAL_YM ? (int32_t)(a / b) : a / b;  // months divide as INTs
    }
}

// --- binding ---

static bool is_timestamp(const struct type *t) { return t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ; }
static bool is_interval(const struct type *t) { return t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT || t->id == TYPE_INTERVAL; }
static bool is_temporal(const struct type *t) { return t->id == TYPE_DATE || is_timestamp(t) || is_interval(t); }

static enum status finish(struct binding *b, const struct type *result, kernel k, bool minus) {
    b->result = result;
    b->kernel = k;
    if (minus) b->data = (void *)(uintptr_t)is_minus;
    return result ? STATUS_OK : STATUS_NO_MEMORY;
}

static void swap_arguments(struct binding *b) {
    struct expr *first = b->args[0];
    b->args[0] = b->args[1];
    b->args[1] = first;
}

static enum status bind_moment_and_interval(struct binding *b, bool minus, struct error *e) {
    const struct type *moment = b->args[0]->type, *interval = b->args[1]->type;
    if (moment->id == TYPE_DATE) {
        if (interval->id == TYPE_INTERVAL_YM) return finish(b, &type_date, date_plus_months, minus);
        if (interval->id == TYPE_INTERVAL) return finish(b, &type_date, date_plus_calendar, minus);
        if (interval->end == UNIT_DAY) return finish(b, &type_date, date_plus_day_interval, minus);
        TRY(binding_cast(b, 0, &type_timestamp, e));
        return finish(b, &type_timestamp, timestamp_plus_interval, minus);
    }
    kernel k = interval->id == TYPE_INTERVAL_YM ? timestamp_plus_months : interval->id == TYPE_INTERVAL ? timestamp_plus_calendar : timestamp_plus_interval;
    return finish(b, moment, k, minus);
}

static enum status bind_moments_difference(struct binding *b, struct error *e) {
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    if (l->id == TYPE_STRING) TRY(binding_cast(b, 0, r, e));
    if (r->id == TYPE_STRING) TRY(binding_cast(b, 1, l, e));
    l = b->args[0]->type;
    r = b->args[1]->type;
    if (l->id == TYPE_DATE && r->id == TYPE_DATE) return finish(b, type_interval_dt_range(b->arena, UNIT_DAY, UNIT_DAY), date_minus_date, false);
    const struct type *common = l->id == TYPE_TIMESTAMP || r->id == TYPE_TIMESTAMP ? &type_timestamp : &type_timestamp_ntz;
    TRY(binding_cast(b, 0, common, e));
    TRY(binding_cast(b, 1, common, e));
    return finish(b, &type_interval_dt, timestamp_minus, false);
}

static enum status bind_intervals(struct binding *b, bool minus, struct error *e) {
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    if (r->id == TYPE_STRING || r->id == TYPE_NULL) TRY(binding_cast(b, 1, l, e));
    if (l->id == TYPE_STRING || l->id == TYPE_NULL) TRY(binding_cast(b, 0, r, e));
    l = b->args[0]->type;
    const struct type *common = coerce_tightest_common(b->arena, l, b->args[1]->type);
    if (!common || common->id == TYPE_INTERVAL) return binding_cast(b, 1, l->id == TYPE_INTERVAL ? &type_null : l, e);
    TRY(binding_cast(b, 0, common, e));
    TRY(binding_cast(b, 1, common, e));
    return finish(b, common, interval_plus, minus);
}

static enum status bind_scaled(struct binding *b, kernel k, struct error *e) {
    const struct type *factor = b->args[1]->type;
    if (type_is_integral(factor)) TRY(binding_cast(b, 1, &type_bigint, e));
    else if (factor->id != TYPE_DECIMAL) TRY(binding_cast(b, 1, &type_double, e));
    const struct type *t = b->args[0]->type;
    if (t->id == TYPE_INTERVAL) return binding_cast(b, 0, &type_interval_dt, e);
    return finish(b, t->id == TYPE_INTERVAL_YM ? &type_interval_ym : &type_interval_dt, k, false);
}

static enum status bind_quotient(struct binding *b, bool *done, struct error *e) {
    const struct type *common = coerce_tightest_common(b->arena, b->args[0]->type, b->args[1]->type);
    *done = common && (common->id == TYPE_INTERVAL_YM || common->id == TYPE_INTERVAL_DT);
    if (!*done) return STATUS_OK;
    TRY(binding_cast(b, 0, common, e));
    TRY(binding_cast(b, 1, common, e));
    return finish(b, &type_bigint, interval_quotient, false);
}

static enum status refuse_operand(struct binding *b, uint32_t index, const char *wanted, struct error *e) {
    const struct expr *operand = b->args[index];
    error_set(e, STATUS_INVALID_QUERY, "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
              "cannot resolve \"%s\" due to data type mismatch: the %s parameter requires the \"%s\" type, however it has the type \"%s\"",
              b->name, index ? "second" : "first", wanted, type_name_sql(b->arena, operand->type));
    if (e) e->span = span_known(operand->span) ? operand->span : b->span;
    return STATUS_INVALID_QUERY;
}

enum status temporal_bind(struct binding *b, enum arithmetic op, bool *done, struct error *e) {
    const struct type *l = b->args[0]->type, *r = b->args[1]->type;
    if (op == INTEGRAL_DIVIDE) return bind_quotient(b, done, e);
    *done = (op == ADD || op == SUBTRACT || op == MULTIPLY || op == DIVIDE) && (is_temporal(l) || is_temporal(r));
    if (!*done) return STATUS_OK;
    if (op == MULTIPLY || op == DIVIDE) {
        if (op == MULTIPLY && is_interval(r) && !is_interval(l)) swap_arguments(b);
        *done = is_interval(b->args[0]->type) && !is_temporal(b->args[1]->type);
        return *done ? bind_scaled(b, op == MULTIPLY ? interval_times : interval_divide, e) : STATUS_OK;
    }
    bool minus = op == SUBTRACT;
    bool months_and_text = (l->id == TYPE_INTERVAL_YM && r->id == TYPE_STRING) || (l->id == TYPE_STRING && r->id == TYPE_INTERVAL_YM);
    *done = !months_and_text;
    if (!*done) return STATUS_OK;
    if (!minus && !is_interval(l) && is_temporal(r) && (is_interval(l) || l->id != TYPE_DATE) && r->id == TYPE_DATE) swap_arguments(b);
    else if (!minus && is_interval(l) && is_temporal(r) && !is_interval(r)) swap_arguments(b);
    l = b->args[0]->type;
    r = b->args[1]->type;
    if (is_interval(l) && (is_interval(r) || r->id == TYPE_STRING || r->id == TYPE_NULL)) return bind_intervals(b, minus, e);
    if ((l->id == TYPE_DATE || is_timestamp(l)) && is_interval(r)) return bind_moment_and_interval(b, minus, e);
    if (is_interval(r) && l->id == TYPE_NULL) {
        TRY(binding_cast(b, 0, r, e));
        return bind_intervals(b, minus, e);
    }
    if (is_interval(r) && l->id == TYPE_STRING) {
        TRY(binding_cast(b, 0, &type_timestamp, e));
        return bind_moment_and_interval(b, minus, e);
    }
    if (minus && !type_is_numeric(r) && !is_interval(l) && !type_is_numeric(l) && (is_temporal(r) || !(l->id == TYPE_DATE)) ) return bind_moments_difference(b, e);
    if (minus && l->id == TYPE_DATE && (r->id == TYPE_STRING || r->id == TYPE_NULL)) {
        TRY(binding_cast(b, 1, &type_date, e));
        return bind_moments_difference(b, e);
    }
    if (l->id != TYPE_DATE) {
        bool months = l->id == TYPE_INTERVAL_YM || r->id == TYPE_INTERVAL_YM;
        bool unexpected = (is_interval(r) && !months) || (!minus && is_interval(l) && !months) ||
                          (minus && ((is_temporal(r) && !is_interval(r)) || is_timestamp(l)));
        *done = false;  // the general rules refuse it, or else:
        return unexpected ? refuse_operand(b, is_temporal(r) ? 0 : 1, r->id == TYPE_DATE ? "DATE" : "TIMESTAMP", e) : STATUS_OK;
    }
    // DATE ± INT, SMALLINT, TINYINT; nothing wider.
    if (r->id != TYPE_INT && r->id != TYPE_SMALLINT && r->id != TYPE_TINYINT && r->id != TYPE_NULL) return refuse_operand(b, 1, "(\"INT\" or \"SMALLINT\" or \"TINYINT\")", e);
    TRY(binding_cast(b, 1, &type_int, e));
    return finish(b, &type_date, date_plus_days, minus);
}
