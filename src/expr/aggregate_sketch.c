// SPDX-License-Identifier: Apache-2.0
// aggregate_sketch.c: approx_count_distinct and percentile_approx: answers in little memory, however many rows, over the sketches of sketch/.
//
// Both give Spark's very answers for one partition: the same hash, the same registers; the same summaries. A HyperLogLog is exact in the
// sense of aggregate.h (any order, same bytes); quantile summaries are ordered.
#include "column/decimal.h"
#include "expr/aggregate_percentile.h"
#include "expr/aggregate_value.h"
#include "expr/aggregates.h"
#include "expr/hash.h"
#include "sketch/hyperloglog.h"
#include "sketch/quantiles.h"
#include <math.h>

// approx_count_distinct

struct distinct_data {
    uint8_t precision;
};

struct distinct_state {
    struct hyperloglog sketch;   // memory NULL: not begun
};

static struct hyperloglog *distinct_begin(struct distinct_state *s, struct aggregate_context *c) {
    if (!s->sketch.memory) hyperloglog_init(&s->sketch, c->memory, ((const struct distinct_data *)c->data)->precision);
    return &s->sketch;
}

static enum status distinct_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)weights;
    for (uint32_t i = 0; i < rows->count; i++) {
        TRY(hyperloglog_insert(distinct_begin(states[i], c), spark_xxhash64(args[0], rows_at(rows, i))));
    }
    return STATUS_OK;
}

static enum status distinct_merge(void *into, const void *from, struct aggregate_context *c) {
    const struct distinct_state *other = from;
    return other->sketch.memory ? hyperloglog_merge(distinct_begin(into, c), &other->sketch) : STATUS_OK;
}

static void distinct_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct distinct_state *s = states[i];
        ((int64_t *)out->values)[i] = s->sketch.memory ? hyperloglog_estimate(&s->sketch) : 0;
    }
}

static enum status distinct_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    const struct distinct_state *s = state;
    TRY(buffer_append_byte(out, s->sketch.memory != NULL));
    return s->sketch.memory ? hyperloglog_save(&s->sketch, out) : STATUS_OK;
}

static bool distinct_load(void *state, struct reader *in, struct aggregate_context *c) {
    uint8_t begun = read_byte(in);
    if (in->failed || begun > 1) return false;
    return !begun || hyperloglog_load(distinct_begin(state, c), in);
}

static void distinct_release(void *state, struct aggregate_context *c) {
    (void)c;
    struct distinct_state *s = state;
    if (s->sketch.memory) hyperloglog_release(&s->sketch);
    s->sketch.memory = NULL;
}

_Static_assert(sizeof(struct distinct_state) <= 64, "a state is at most 64 bytes");
static const struct aggregate_ops distinct_ops = {
    .state_bytes = sizeof(struct distinct_state), .flags = AGGREGATE_DISTINCT_IS_PLAIN, .update = distinct_update, .merge = distinct_merge,
    .finish = distinct_finish, .save = distinct_save, .load = distinct_load, .release = distinct_release};

static enum status deviation_error(struct binding *b, struct error *e) {
    enum status status = error_set(e, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_1104",
                                   "The second argument of %s should be a double literal from about 0.00027 to 0.39", b->name);
    if (e) e->span = b->args[1]->span;
    return status;
}

static enum status distinct_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    struct distinct_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    double deviation = 0.05;
    if (b->arg_count == 2) {
        if (b->args[1]->type->id != TYPE_DOUBLE && b->args[1]->type->id != TYPE_DECIMAL) return deviation_error(b, e);
        TRY(binding_cast(b, 1, &type_double, e));
        const struct column *constant;
        TRY(binding_constant(b, 1, &constant, e));
        if (!constant || !column_is_valid(constant, 0)) return deviation_error(b, e);
        deviation = column_double(constant, 0);
    }
    data->precision = deviation > 0 ? hyperloglog_precision(deviation) : 0;
    if (!data->precision) return deviation_error(b, e);
    b->data = data;
    b->result = &type_bigint;
    b->nullable = false;
    return STATUS_OK;
}

static const struct aggregate_ops *distinct_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &distinct_ops;
}

// percentile_approx: values are summarised as doubles and come back in their own type

struct quantile_data {
    struct percentile_data percentages;
    double relative_error;
};

struct quantile_state {
    struct quantiles *sketch;
};

static struct quantiles *quantile_begin(struct quantile_state *s, struct aggregate_context *c) {
    if (s->sketch) return s->sketch;
    s->sketch = memory_alloc(c->memory, sizeof *s->sketch);
    if (s->sketch) quantiles_init(s->sketch, c->memory, ((const struct quantile_data *)c->data)->relative_error);
    return s->sketch;
}

static double double_of(const struct column *c, uint32_t row) {
    switch (c->type->id) {
    case TYPE_TINYINT: return column_int8(c, row);
    case TYPE_SMALLINT: return column_int16(c, row);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: return column_int32(c, row);
    case TYPE_FLOAT: return (double)column_float(c, row);
    case TYPE_DOUBLE: return column_double(c, row);
    case TYPE_DECIMAL: return decimal_to_double(column_decimal(c, row), c->type->scale);
    default: return (double)column_int64(c, row);
    }
}

union quantile_value {
    int8_t int8;
    int16_t int16;
    int32_t int32;
    int64_t int64;
    float real;
    double number;
    decimal unscaled;
};

static int64_t int64_of(double value) {
    if (value >= 9223372036854775807.0) return INT64_MAX;
    return value <= -9223372036854775808.0 || isnan(value) ? INT64_MIN : (int64_t)value;
}

// False: it does not fit its type, which only a decimal can do, by rounding.
static bool quantile_value_of(const struct type *type, double value, union quantile_value *out) {
    memset(out, 0, sizeof *out);
    switch (type->id) {
    case TYPE_TINYINT: out->int8 = (int8_t)int64_of(value); return true;
    case TYPE_SMALLINT: out->int16 = (int16_t)int64_of(value); return true;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: out->int32 = (int32_t)int64_of(value); return true;
    case TYPE_FLOAT: out->real = (float)value; return true;
    case TYPE_DOUBLE: out->number = value; return true;
    case TYPE_DECIMAL: return decimal_from_double(value, type->precision, type->scale, &out->unscaled);
    default: out->int64 = int64_of(value); return true;
    }
}

static enum status quantile_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)weights;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct quantiles *sketch = quantile_begin(states[i], c);
        if (!sketch) return STATUS_NO_MEMORY;
        TRY(quantiles_insert(sketch, double_of(args[0], rows_at(rows, i))));
    }
    return STATUS_OK;
}

// Values of one state for all percentages, or nothing where no row was.
static bool quantile_values(const struct quantile_state *s, struct aggregate_context *c, double *values, bool *empty) {
    const struct percentile_data *percentages = &((const struct quantile_data *)c->data)->percentages;
    *empty = true;
    if (!s->sketch) return true;
    if (quantiles_query(s->sketch, percentages->fractions, percentages->fraction_count, values, empty) == STATUS_OK) return true;
    c->eval->status = STATUS_NO_MEMORY;
    return false;
}

static void quantile_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    const struct percentile_data *percentages = &((const struct quantile_data *)c->data)->percentages;
    double *values = eval_alloc(c->eval, ((size_t)percentages->fraction_count + 1) * sizeof *values);
    if (!values) return;
    const struct type *type = percentages->is_list ? out->type->fields[0].type : out->type;
    struct column_builder builder;
    column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        bool empty;
        if (!quantile_values(states[i], c, values, &empty)) return;
        if (empty) {
            column_builder_append_null(&builder);
            continue;
        }
        struct column_builder *items = percentages->is_list ? &builder.children[0] : &builder;
        for (uint32_t f = 0; f < percentages->fraction_count; f++) {
            union quantile_value value;
            if (quantile_value_of(type, values[f], &value)) column_builder_append_fixed(items, &value);
            else column_builder_append_null(items);
        }
        if (percentages->is_list) column_builder_end_list(&builder);
    }
    if (column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

static enum status quantile_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    const struct quantile_state *s = state;
    TRY(buffer_append_byte(out, s->sketch != NULL));
    return s->sketch ? quantiles_save(s->sketch, out) : STATUS_OK;
}

static void quantile_release(void *state, struct aggregate_context *c) {
    struct quantile_state *s = state;
    if (!s->sketch) return;
    quantiles_release(s->sketch);
    memory_free(c->memory, s->sketch, sizeof *s->sketch);
    s->sketch = NULL;
}

static bool quantile_load(void *state, struct reader *in, struct aggregate_context *c) {
    uint8_t begun = read_byte(in);
    if (in->failed || begun > 1) return false;
    if (!begun) return true;
    if (quantile_begin(state, c) && quantiles_load(((struct quantile_state *)state)->sketch, in)) return true;
    quantile_release(state, c);
    return false;
}

static const struct aggregate_ops quantile_ops = {.state_bytes = sizeof(struct quantile_state), .flags = AGGREGATE_ORDERED, .update = quantile_update,
                                                  .finish = quantile_finish, .save = quantile_save, .load = quantile_load, .release = quantile_release};

static enum status quantile_bind_accuracy(struct binding *b, struct quantile_data *data, struct error *e) {
    data->relative_error = 1.0 / 10000;
    if (b->arg_count < 3) return STATUS_OK;
    TRY(binding_cast(b, 2, &type_bigint, e));
    const struct column *constant;
    TRY(binding_constant(b, 2, &constant, e));
    bool is_null = !constant || !column_is_valid(constant, 0);
    if (!is_null && column_int64(constant, 0) > 0 && column_int64(constant, 0) <= INT32_MAX) {
        data->relative_error = 1.0 / (double)column_int64(constant, 0);
        return STATUS_OK;
    }
    enum status status = error_set(e, STATUS_INVALID_QUERY, is_null ? "DATATYPE_MISMATCH.UNEXPECTED_NULL" : "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE",
                                   "`%s`: the accuracy must be a number from 1 to 2147483647", b->name);
    if (e) e->span = b->args[2]->span;
    return status;
}

static bool is_summable(const struct type *t) {
    return type_is_numeric(t) || t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ || t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT;
}

static enum status quantile_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    if (!is_summable(b->args[0]->type)) TRY(binding_cast(b, 0, &type_double, e));
    struct quantile_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    TRY(percentile_bind_fractions(b, &data->percentages, e));
    TRY(quantile_bind_accuracy(b, data, e));
    b->data = data;
    const struct type *type = b->args[0]->type;
    return binding_nullable_result(b, data->percentages.is_list ? type_array(b->arena, type, false) : type, e);
}

static const struct aggregate_ops *quantile_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &quantile_ops;
}

static const struct aggregate sketch_list[] = {
    {"approx_count_distinct", "(ANY, DOUBLE?) -> BIGINT", distinct_bind, distinct_choose, AGGREGATE_DISTINCT_IS_PLAIN,
     "About how many different values there are; the second argument is the standard deviation to allow, 0.05 by default",
     "SELECT approx_count_distinct(x) FROM VALUES (1), (1), (2), (2), (3) AS t(x)", "3"},
    {"percentile_approx", "(T, DOUBLE, BIGINT?) -> T | (T, ARRAY<DOUBLE>, BIGINT?) -> ARRAY<T>", quantile_bind, quantile_choose, AGGREGATE_ORDERED,
     "About the percentile of the values; the third argument is the accuracy, 10000 by default", "SELECT percentile_approx(x, 0.5) FROM VALUES (1), (2), (10) AS t(x)", "2"},
    {"approx_percentile", "(T, DOUBLE, BIGINT?) -> T | (T, ARRAY<DOUBLE>, BIGINT?) -> ARRAY<T>", quantile_bind, quantile_choose, AGGREGATE_ORDERED,
     "About the percentile of the values, as percentile_approx", "SELECT approx_percentile(x, array(0.5, 1.0)) FROM VALUES (1), (2), (10) AS t(x)", "[2, 10]"},
};

const struct aggregate_table sketch_aggregates = {sketch_list, sizeof sketch_list / sizeof sketch_list[0], "sketch"};
