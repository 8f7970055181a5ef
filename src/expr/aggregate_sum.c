// SPDX-License-Identifier: Apache-2.0
// aggregate_sum.c: sum, avg, try_sum, try_avg.
//
//     argument            state                                    result of sum       of avg
//     TINYINT … BIGINT    128-bit sum, weighted count   exact      BIGINT              DOUBLE
//     DECIMAL(p,s)        192-bit sum, weighted count   exact      (p+10, s)           (p+4, s+4)
//     FLOAT, DOUBLE       double sum, count             ordered    DOUBLE              DOUBLE
//       taken back too    all bits of the sum, count    exact      the nearest DOUBLE  of that
//     ANSI intervals      as integers                   exact      the same            the same
//
// Exact sums cannot overflow while rows are counted in 64 bits; whether the result fits is asked once, in finish. So the order of
// rows never decides about an error, and a retraction gives back exactly what was.
#include "column/decimal.h"
#include "expr/aggregate_sum.h"
#include "expr/aggregate_value.h"
#include "expr/exact_sum.h"
#include <math.h>

struct integer_sum {
    __int128 sum;
    int64_t count;       // of values that are not NULL, by weight
    int64_t unused;
};

struct decimal_sum {
    unsigned __int128 low;  // the lower 128 of 192 bits, two's complement
    int64_t high;
    int64_t count;
};

struct double_sum {
    double sum;
    int64_t count;
};

// Of values that can be taken back: what is no number is counted apart.
struct exact_double_sum {
    int64_t count;
    int64_t nan_count, positive_count, negative_count;  // NaN, ∞, −∞
    struct exact_sum sum;
};

static enum status integer_sum_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                      struct aggregate_context *c) {
    (void)c;
    int64_t scratch[CHUNK_ROWS];
    bool one = !weights && states_are_one(states, rows->count);
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const int64_t *values = chunk_int64(args[0], rows, begin, count, scratch);
        if (one) {
            struct integer_sum *s = states[0];
            __int128 sum = s->sum;
            for (uint32_t i = 0; i < count; i++) sum += values[i];
            s->sum = sum;
            s->count += count;
        } else if (!weights) {
            for (uint32_t i = 0; i < count; i++) {
                struct integer_sum *s = states[begin + i];
                s->sum += values[i];
                s->count++;
            }
        } else {
            for (uint32_t i = 0; i < count; i++) {
                struct integer_sum *s = states[begin + i];
                int weight = weight_at(weights, rows, begin + i);
                s->sum += (__int128)values[i] * weight;
                s->count += weight;
            }
        }
    }
    return STATUS_OK;
}

static enum status integer_sum_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    struct integer_sum *to = into;
    const struct integer_sum *other = from;
    to->sum += other->sum;
    to->count += other->count;
    return STATUS_OK;
}

static bool fits_int64(__int128 value) { return value >= INT64_MIN && value <= INT64_MAX; }

// Stores an integral result in the width of the result type; false: it does not fit.
static bool put_integer(struct column *out, uint32_t row, __int128 value) {
    if (out->type->id == TYPE_INTERVAL_YM) {
        if (value < INT32_MIN || value > INT32_MAX) return false;
        ((int32_t *)out->values)[row] = (int32_t)value;
        return true;
    }
    if (!fits_int64(value)) return false;
    ((int64_t *)out->values)[row] = (int64_t)value;
    return true;
}

static void integer_sum_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    for (uint32_t i = 0; i < count; i++) {
        const struct integer_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else if (!put_integer(out, i, s->sum)) eval_fail(c->eval, i, "ARITHMETIC_OVERFLOW", "The sum does not fit its type; try_sum gives NULL instead");
    }
}

static void integer_try_sum_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct integer_sum *s = states[i];
        if (s->count == 0 || !put_integer(out, i, s->sum)) out_set_null(out, i);
    }
}

static void integer_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    double *results = out->values;
    for (uint32_t i = 0; i < count; i++) {
        const struct integer_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else results[i] = (double)s->sum / (double)s->count;
    }
}

// Half away from zero, as Spark divides intervals.
static __int128 divide_half_up(__int128 value, int64_t count) {
    __int128 quotient = value / count;
    __int128 rest = value % count;
    __int128 twice = (rest < 0 ? -rest : rest) * 2;
    if (twice >= (count < 0 ? -(__int128)count : count)) quotient += (value < 0) != (count < 0) ? -1 : 1;
    return quotient;
}

static void interval_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    for (uint32_t i = 0; i < count; i++) {
        const struct integer_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else if (!put_integer(out, i, divide_half_up(s->sum, s->count)))
            eval_fail(c->eval, i, "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", "The average of intervals does not fit its type");
    }
}

static void decimal_sum_add(struct decimal_sum *s, decimal value) {
    unsigned __int128 low = s->low + (unsigned __int128)value;
    int64_t carry = low < s->low;
    s->low = low;
    s->high = (int64_t)((uint64_t)s->high + (uint64_t)(carry - (value < 0)));
}

// False: 38 digits are not enough.
static bool decimal_sum_value(const struct decimal_sum *s, decimal *out) {
    decimal value = (decimal)s->low;
    if (s->high != (value < 0 ? -1 : 0)) return false;
    *out = value;
    return decimal_fits(value, DECIMAL_MAX_PRECISION);
}

static enum status decimal_sum_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                      struct aggregate_context *c) {
    (void)c;
    const decimal *values = column_base(args[0])->values;
    bool flat = args[0]->form == COLUMN_FLAT;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        decimal value = values[flat ? row : column_index(args[0], row)];
        struct decimal_sum *s = states[i];
        int weight = weights ? weights[row] : 1;
        decimal_sum_add(s, weight < 0 ? -value : value);
        s->count += weight;
    }
    return STATUS_OK;
}

static enum status decimal_sum_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    struct decimal_sum *to = into;
    const struct decimal_sum *other = from;
    unsigned __int128 low = to->low + other->low;
    uint64_t carry = low < to->low;
    to->low = low;
    to->high = (int64_t)((uint64_t)to->high + (uint64_t)other->high + carry);
    to->count += other->count;
    return STATUS_OK;
}

static void decimal_sum_finish_with(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c, bool try) {
    decimal *results = out->values;
    for (uint32_t i = 0; i < count; i++) {
        const struct decimal_sum *s = states[i];
        decimal value = 0;
        if (s->count == 0) {
            out_set_null(out, i);
        } else if (decimal_sum_value(s, &value) && decimal_fits(value, out->type->precision)) {
            results[i] = value;
        } else if (try) {
            out_set_null(out, i);
        } else {
            eval_fail(c->eval, i, "ARITHMETIC_OVERFLOW", "The sum of decimals does not fit its type; try_sum gives NULL instead");
        }
    }
}

static void decimal_sum_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    decimal_sum_finish_with(states, count, out, c, false);
}

static void decimal_try_sum_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    decimal_sum_finish_with(states, count, out, c, true);
}

static void decimal_average_finish_with(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c, bool try) {
    decimal *results = out->values;
    unsigned scale = c->arg_types[0]->scale;
    for (uint32_t i = 0; i < count; i++) {
        const struct decimal_sum *s = states[i];
        decimal sum = 0;
        if (s->count == 0) {
            out_set_null(out, i);
        } else if (!decimal_sum_value(s, &sum)) {
            if (try) out_set_null(out, i);
            else eval_fail(c->eval, i, "ARITHMETIC_OVERFLOW", "The sum of decimals does not fit its type; try_avg gives NULL instead");
        } else if (!decimal_divide(sum, scale, s->count, 0, out->type->scale, out->type->precision, &results[i])) {
            if (try) out_set_null(out, i);
            else eval_fail(c->eval, i, "NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION", "The average of decimals does not fit its type; try_avg gives NULL instead");
        }
    }
}

static void decimal_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    decimal_average_finish_with(states, count, out, c, false);
}

static void decimal_try_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    decimal_average_finish_with(states, count, out, c, true);
}

static enum status double_sum_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                     struct aggregate_context *c) {
    (void)c;
    (void)weights;
    double scratch[CHUNK_ROWS];
    bool one = states_are_one(states, rows->count);
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const double *values = chunk_double(args[0], rows, begin, count, scratch);
        if (one) {
            struct double_sum *s = states[0];
            double sum = s->sum;
            for (uint32_t i = 0; i < count; i++) sum += values[i];
            s->sum = sum;
            s->count += count;
        } else {
            for (uint32_t i = 0; i < count; i++) {
                struct double_sum *s = states[begin + i];
                s->sum += values[i];
                s->count++;
            }
        }
    }
    return STATUS_OK;
}

static enum status double_sum_append(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    struct double_sum *to = into;
    const struct double_sum *later = from;
    to->sum += later->sum;
    to->count += later->count;
    return STATUS_OK;
}

static void double_sum_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    double *results = out->values;
    for (uint32_t i = 0; i < count; i++) {
        const struct double_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else results[i] = s->sum;
    }
}

static void double_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    double *results = out->values;
    for (uint32_t i = 0; i < count; i++) {
        const struct double_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else results[i] = s->sum / (double)s->count;
    }
}

static enum status exact_double_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                       struct aggregate_context *c) {
    double scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const double *values = chunk_double(args[0], rows, begin, count, scratch);
        for (uint32_t i = 0; i < count; i++) {
            struct exact_double_sum *s = states[begin + i];
            int weight = weight_at(weights, rows, begin + i);
            if (isfinite(values[i])) TRY(exact_sum_add(&s->sum, values[i], weight < 0, c->memory));
            else *(isnan(values[i]) ? &s->nan_count : values[i] > 0 ? &s->positive_count : &s->negative_count) += weight;
            s->count += weight;
        }
    }
    return STATUS_OK;
}

static enum status exact_double_merge(void *into, const void *from, struct aggregate_context *c) {
    struct exact_double_sum *to = into;
    const struct exact_double_sum *other = from;
    to->count += other->count;
    to->nan_count += other->nan_count;
    to->positive_count += other->positive_count;
    to->negative_count += other->negative_count;
    return exact_sum_merge(&to->sum, &other->sum, c->memory);
}

static double exact_double_value(const struct exact_double_sum *s) {
    if (s->nan_count > 0 || (s->positive_count > 0 && s->negative_count > 0)) return (double)NAN;
    if (s->positive_count > 0) return (double)INFINITY;
    return s->negative_count > 0 ? -(double)INFINITY : exact_sum_value(&s->sum);
}

static void exact_double_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct exact_double_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else ((double *)out->values)[i] = exact_double_value(s);
    }
}

static void exact_double_average_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct exact_double_sum *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        else ((double *)out->values)[i] = exact_double_value(s) / (double)s->count;
    }
}

static enum status exact_double_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    const struct exact_double_sum *s = state;
    TRY(write_signed(out, s->count));
    TRY(write_signed(out, s->nan_count));
    TRY(write_signed(out, s->positive_count));
    TRY(write_signed(out, s->negative_count));
    return exact_sum_save(&s->sum, out);
}

static bool exact_double_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct exact_double_sum *s = state;
    s->count = read_signed(in);
    s->nan_count = read_signed(in);
    s->positive_count = read_signed(in);
    s->negative_count = read_signed(in);
    return !in->failed && exact_sum_load(&s->sum, in, c->memory);
}

static void exact_double_release(void *state, struct aggregate_context *c) {
    exact_sum_release(&((struct exact_double_sum *)state)->sum, c->memory);
    memset(state, 0, sizeof(struct exact_double_sum));
}

#define INTEGER_OPS(name, finish_function)                                                                       \
    static const struct aggregate_ops name = {                                                                  \
        .state_bytes = sizeof(struct integer_sum), .flags = AGGREGATE_RETRACTS, .update = integer_sum_update, \
        .merge = integer_sum_merge, .finish = finish_function}
#define DECIMAL_OPS(name, finish_function)                                                                       \
    static const struct aggregate_ops name = {                                                                  \
        .state_bytes = sizeof(struct decimal_sum), .flags = AGGREGATE_RETRACTS, .update = decimal_sum_update, \
        .merge = decimal_sum_merge, .finish = finish_function}
INTEGER_OPS(integer_sum_ops, integer_sum_finish);
INTEGER_OPS(integer_try_sum_ops, integer_try_sum_finish);
INTEGER_OPS(integer_average_ops, integer_average_finish);
INTEGER_OPS(interval_average_ops, interval_average_finish);
DECIMAL_OPS(decimal_sum_ops, decimal_sum_finish);
DECIMAL_OPS(decimal_try_sum_ops, decimal_try_sum_finish);
DECIMAL_OPS(decimal_average_ops, decimal_average_finish);
DECIMAL_OPS(decimal_try_average_ops, decimal_try_average_finish);
#undef INTEGER_OPS
#undef DECIMAL_OPS
#define EXACT_OPS(name, finish_function)                                                                                                  \
    static const struct aggregate_ops name = {                                                                                          \
        .state_bytes = sizeof(struct exact_double_sum), .flags = AGGREGATE_RETRACTS, .update = exact_double_update,                     \
        .merge = exact_double_merge, .finish = finish_function, .save = exact_double_save, .load = exact_double_load,                   \
        .release = exact_double_release}
EXACT_OPS(exact_sum_ops, exact_double_finish);
EXACT_OPS(exact_average_ops, exact_double_average_finish);
#undef EXACT_OPS
static const struct aggregate_ops double_sum_ops = {
    .state_bytes = sizeof(struct double_sum), .flags = AGGREGATE_ORDERED, .update = double_sum_update, .append = double_sum_append, .finish = double_sum_finish,
     .retracting = &exact_sum_ops};
static const struct aggregate_ops double_average_ops = {
    .state_bytes = sizeof(struct double_sum), .flags = AGGREGATE_ORDERED, .update = double_sum_update, .append = double_sum_append, .finish = double_average_finish,
    .retracting = &exact_average_ops};

static bool is_ansi_interval(const struct type *t) { return t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT; }

// Whatever cannot be summed as it is becomes a number, as Spark casts it, or an error.
static enum status bind_number(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    if (is_ansi_interval(b->args[0]->type)) return STATUS_OK;
    if (b->args[0]->type->id == TYPE_NULL) return binding_cast(b, 0, &type_double, e);
    return binding_signature(b, "(NUMERIC) -> DOUBLE", e);
}

static uint8_t at_most_38(int digits) { return (uint8_t)(digits < DECIMAL_MAX_PRECISION ? digits : DECIMAL_MAX_PRECISION); }

enum status sum_bind(struct binding *b, struct error *e) {
    TRY(bind_number(b, e));
    const struct type *type = b->args[0]->type;
    if (is_ansi_interval(type)) return binding_nullable_result(b, type, e);
    if (type_is_integral(type)) return binding_nullable_result(b, &type_bigint, e);
    if (type->id != TYPE_DECIMAL) return binding_nullable_result(b, &type_double, e);
    return binding_nullable_result(b, type_decimal(b->arena, at_most_38(type->precision + 10), type->scale), e);
}

// An average of hours has minutes: the result's type is the whole range of its family.
enum status average_bind(struct binding *b, struct error *e) {
    TRY(bind_number(b, e));
    const struct type *type = b->args[0]->type;
    if (is_ansi_interval(type)) return binding_nullable_result(b, type->id == TYPE_INTERVAL_YM ? &type_interval_ym : &type_interval_dt, e);
    if (type->id != TYPE_DECIMAL) return binding_nullable_result(b, &type_double, e);
    return binding_nullable_result(b, type_decimal(b->arena, at_most_38(type->precision + 4), at_most_38(type->scale + 4)), e);
}

static const struct aggregate_ops *choose_of(const struct type *type, const struct aggregate_ops *integer, const struct aggregate_ops *interval,
                                             const struct aggregate_ops *decimals, const struct aggregate_ops *doubles) {
    if (is_ansi_interval(type)) return interval;
    if (type_is_integral(type)) return integer;
    return type->id == TYPE_DECIMAL ? decimals : doubles;
}

const struct aggregate_ops *sum_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    return choose_of(arg_types[0], &integer_sum_ops, &integer_sum_ops, &decimal_sum_ops, &double_sum_ops);
}

const struct aggregate_ops *try_sum_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    return choose_of(arg_types[0], &integer_try_sum_ops, &integer_try_sum_ops, &decimal_try_sum_ops, &double_sum_ops);
}

const struct aggregate_ops *average_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    return choose_of(arg_types[0], &integer_average_ops, &interval_average_ops, &decimal_average_ops, &double_average_ops);
}

const struct aggregate_ops *try_average_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    return choose_of(arg_types[0], &integer_average_ops, &interval_average_ops, &decimal_try_average_ops, &double_average_ops);
}
