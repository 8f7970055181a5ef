// SPDX-License-Identifier: Apache-2.0
// aggregate_percentile.c: percentile, median and mode: exact answers about the distribution, over a multiset of the values.
//
// percentile(x, p) of n values lies at position p (n − 1) of the sorted values, between two of them in proportion, as in Spark. All
// values are kept: percentile_approx (aggregate_sketch.c) is for streams without end.
#include "expr/aggregate_percentile.h"
#include "expr/aggregate_value.h"
#include "expr/aggregates.h"
#include "expr/multiset.h"
#include <math.h>

struct percentile_state {
    struct multiset *set;
};

enum { PERCENTILE_FRACTIONS_MAX = 10000 };

static enum status percentile_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                     struct aggregate_context *c) {
    for (uint32_t i = 0; i < rows->count; i++) {
        struct percentile_state *s = states[i];
        if (!s->set && !(s->set = multiset_new(c->memory))) return STATUS_NO_MEMORY;
        TRY(multiset_add(s->set, args[0], rows_at(rows, i), weight_at(weights, rows, i)));
    }
    return STATUS_OK;
}

// percentile(x, p, frequency): a row stands for so many
static enum status frequency_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                    struct aggregate_context *c) {
    for (uint32_t i = 0; i < rows->count; i++) {
        struct percentile_state *s = states[i];
        uint32_t row = rows_at(rows, i);
        int64_t frequency = column_int64(args[2], row);
        if (frequency < 0) {
            eval_fail(c->eval, row, "_LEGACY_ERROR_TEMP_2013", "percentile: a negative frequency");
            continue;
        }
        if (frequency == 0) continue;
        if (!s->set && !(s->set = multiset_new(c->memory))) return STATUS_NO_MEMORY;
        TRY(multiset_add(s->set, args[0], row, frequency * weight_at(weights, rows, i)));
    }
    return STATUS_OK;
}

static enum status percentile_merge(void *into, const void *from, struct aggregate_context *c) {
    struct percentile_state *to = into;
    const struct percentile_state *other = from;
    if (!other->set) return STATUS_OK;
    if (!to->set && !(to->set = multiset_new(c->memory))) return STATUS_NO_MEMORY;
    return multiset_merge(to->set, other->set);
}

// ends[rank]: how many values stand at this rank or before.
static double value_at(const struct multiset_sorted *sorted, const int64_t *ends, int64_t position) {
    uint32_t low = 0, high = sorted->count - 1;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (ends[middle] > position) high = middle;
        else low = middle + 1;
    }
    uint32_t row = sorted->order[low];
    switch (sorted->values.type->id) {
    case TYPE_INTERVAL_YM: return column_int32(&sorted->values, row);
    case TYPE_INTERVAL_DT: return (double)column_int64(&sorted->values, row);
    default: return column_double(&sorted->values, row);
    }
}

static double percentile_of(const struct multiset_sorted *sorted, const int64_t *ends, double fraction) {
    double position = (double)(ends[sorted->count - 1] - 1) * fraction;
    int64_t lower = (int64_t)floor(position), higher = (int64_t)ceil(position);
    double lower_value = value_at(sorted, ends, lower);
    if (lower == higher) return lower_value;
    double higher_value = value_at(sorted, ends, higher);
    if (lower_value == higher_value) return lower_value;
    return ((double)higher - position) * lower_value + (position - (double)lower) * higher_value;
}

// A result in the memory of its type; intervals cut what is less than a unit.
union percentile_value {
    double number;
    int64_t us;
    int32_t months;
};

static union percentile_value percentile_value_of(const struct type *type, double value) {
    if (type->id == TYPE_INTERVAL_YM) return (union percentile_value){.months = (int32_t)value};
    if (type->id == TYPE_INTERVAL_DT) return (union percentile_value){.us = (int64_t)value};
    return (union percentile_value){.number = value};
}

static bool percentile_sort(const struct percentile_state *s, const struct type *type, struct arena *a, struct multiset_sorted *sorted, int64_t **ends) {
    if (multiset_sort(s->set, type, a, sorted) != STATUS_OK) return false;
    *ends = arena_alloc_array(a, (size_t)sorted->count + 1, sizeof **ends);
    if (!*ends) return false;
    int64_t total = 0;
    for (uint32_t rank = 0; rank < sorted->count; rank++) (*ends)[rank] = total += sorted->counts[sorted->order[rank]];
    return true;
}

static void percentile_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    const struct percentile_data *data = c->data;
    struct column_builder builder;
    if (data->is_list) column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        struct multiset_sorted sorted;
        int64_t *ends;
        if (!percentile_sort(states[i], c->arg_types[0], c->eval->arena, &sorted, &ends)) {
            c->eval->status = STATUS_NO_MEMORY;
            return;
        }
        if (sorted.count == 0) {
            if (data->is_list) column_builder_append_null(&builder);
            else out_set_null(out, i);
        } else if (!data->is_list) {
            union percentile_value value = percentile_value_of(out->type, percentile_of(&sorted, ends, data->fractions[0]));
            memcpy((uint8_t *)out->values + i * type_width(out->type), &value, type_width(out->type));
        } else {
            for (uint32_t f = 0; f < data->fraction_count; f++) {
                union percentile_value value = percentile_value_of(out->type->fields[0].type, percentile_of(&sorted, ends, data->fractions[f]));
                column_builder_append_fixed(&builder.children[0], &value);
            }
            column_builder_end_list(&builder);
        }
    }
    if (data->is_list && column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

static enum status percentile_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    return multiset_save(((const struct percentile_state *)state)->set, out);
}

static bool percentile_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct percentile_state *s = state;
    return (s->set = multiset_new(c->memory)) && multiset_load(s->set, in);
}

static void percentile_release(void *state, struct aggregate_context *c) {
    (void)c;
    struct percentile_state *s = state;
    multiset_free(s->set);
    s->set = NULL;
}

static const struct aggregate_ops percentile_ops = {
    .state_bytes = sizeof(struct percentile_state), .flags = AGGREGATE_RETRACTS, .update = percentile_update, .merge = percentile_merge,
    .finish = percentile_finish, .save = percentile_save, .load = percentile_load, .release = percentile_release};
static const struct aggregate_ops frequency_ops = {
    .state_bytes = sizeof(struct percentile_state), .flags = AGGREGATE_RETRACTS, .update = frequency_update, .merge = percentile_merge,
    .finish = percentile_finish, .save = percentile_save, .load = percentile_load, .release = percentile_release};

static enum status fraction_error(const struct binding *b, const char *condition, const char *message, struct error *e) {
    enum status status = error_set(e, STATUS_INVALID_QUERY, condition, "`%s`: %s", b->name, message);
    if (e) e->span = b->args[1]->span;
    return status;
}

enum status percentile_bind_fractions(struct binding *b, struct percentile_data *data, struct error *e) {
    const struct type *wanted = b->args[1]->type->id == TYPE_ARRAY ? type_array(b->arena, &type_double, true) : &type_double;
    if (!wanted) return error_no_memory(e);
    TRY(binding_cast(b, 1, wanted, e));
    const struct column *constant;
    TRY(binding_constant(b, 1, &constant, e));
    if (!constant || !column_is_valid(constant, 0)) return fraction_error(b, "DATATYPE_MISMATCH.UNEXPECTED_NULL", "the percentage must not be NULL", e);
    uint32_t begin = 0, count = 1;
    const struct column *values = constant;
    data->is_list = constant->type->id == TYPE_ARRAY;
    if (data->is_list) {
        begin = (uint32_t)column_list_begin(constant, 0);
        count = (uint32_t)column_list_end(constant, 0) - begin;
        values = &constant->children[0];
    }
    if (count > PERCENTILE_FRACTIONS_MAX) return fraction_error(b, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "too many percentages", e);
    double *fractions = arena_alloc_array(b->arena, (size_t)count + 1, sizeof *fractions);
    if (!fractions) return error_no_memory(e);
    for (uint32_t i = 0; i < count; i++) {
        if (!column_is_valid(values, begin + i)) return fraction_error(b, "DATATYPE_MISMATCH.UNEXPECTED_NULL", "the percentage must not be NULL", e);
        fractions[i] = column_double(values, begin + i);
        if (!(fractions[i] >= 0 && fractions[i] <= 1))
            return fraction_error(b, "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE", "the percentage must be between 0 and 1", e);
    }
    data->fractions = fractions;
    data->fraction_count = count;
    return STATUS_OK;
}

// Numbers become DOUBLE; ANSI intervals stay and give an interval of all units.
static enum status bind_values(struct binding *b, const struct type **result, struct error *e) {
    switch (b->args[0]->type->id) {
    case TYPE_INTERVAL_YM: *result = &type_interval_ym; return STATUS_OK;
    case TYPE_INTERVAL_DT: *result = &type_interval_dt; return STATUS_OK;
    default: *result = &type_double; return binding_cast(b, 0, &type_double, e);
    }
}

static enum status percentile_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 2, 3, e));
    const struct type *result;
    TRY(bind_values(b, &result, e));
    if (b->arg_count == 3) TRY(binding_cast(b, 2, &type_bigint, e));
    struct percentile_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    TRY(percentile_bind_fractions(b, data, e));
    b->data = data;
    return binding_nullable_result(b, data->is_list ? type_array(b->arena, result, false) : result, e);
}

static enum status median_bind(struct binding *b, struct error *e) {
    static const double half = 0.5;
    TRY(binding_require_count(b, 1, 1, e));
    const struct type *result;
    TRY(bind_values(b, &result, e));
    struct percentile_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    *data = (struct percentile_data){.fractions = &half, .fraction_count = 1};
    b->data = data;
    return binding_nullable_result(b, result, e);
}

static const struct aggregate_ops *percentile_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)data;
    return arg_count == 3 ? &frequency_ops : &percentile_ops;
}

// mode: the value that is there most often; of several the smallest, so that the order of rows does not matter

static void mode_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    struct column_builder builder;
    column_builder_init(&builder, c->eval->arena, out->type);
    for (uint32_t i = 0; i < count; i++) {
        struct multiset_sorted sorted;
        if (multiset_sort(((const struct percentile_state *)states[i])->set, out->type, c->eval->arena, &sorted) != STATUS_OK) {
            c->eval->status = STATUS_NO_MEMORY;
            return;
        }
        uint32_t best = 0;
        for (uint32_t rank = 1; rank < sorted.count; rank++) {
            if (sorted.counts[sorted.order[rank]] > sorted.counts[sorted.order[best]]) best = rank;
        }
        if (sorted.count) column_builder_append_from(&builder, &sorted.values, sorted.order[best]);
        else column_builder_append_null(&builder);
    }
    if (column_builder_finish(&builder, out) != STATUS_OK) c->eval->status = STATUS_NO_MEMORY;
}

static const struct aggregate_ops mode_ops = {
    .state_bytes = sizeof(struct percentile_state), .flags = AGGREGATE_RETRACTS, .update = percentile_update, .merge = percentile_merge,
    .finish = mode_finish, .save = percentile_save, .load = percentile_load, .release = percentile_release};

static enum status mode_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    if (b->arg_count == 2) {
        TRY(binding_cast(b, 1, &type_boolean, e));
        const struct column *deterministic;
        TRY(binding_constant(b, 1, &deterministic, e));
        b->arg_count = 1;  // it always is
    }
    return binding_nullable_result(b, b->args[0]->type, e);
}

static const struct aggregate_ops *mode_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &mode_ops;
}

static const struct aggregate percentile_list[] = {
    {"percentile", "(DOUBLE, DOUBLE, BIGINT?) -> DOUBLE | (DOUBLE, ARRAY<DOUBLE>, BIGINT?) -> ARRAY<DOUBLE>", percentile_bind, percentile_choose,
     AGGREGATE_RETRACTS, "The exact percentile, between 0 and 1, of the values", "SELECT percentile(x, 0.25) FROM VALUES (0), (10) AS t(x)", "2.5"},
    {"median", "(DOUBLE) -> DOUBLE", median_bind, percentile_choose, AGGREGATE_RETRACTS, "The value in the middle",
     "SELECT median(x) FROM VALUES (1), (2), (4) AS t(x)", "2.0"},
    {"mode", "(T, BOOLEAN?) -> T", mode_bind, mode_choose, AGGREGATE_RETRACTS, "The most frequent value", "SELECT mode(x) FROM VALUES (1), (2), (2) AS t(x)", "2"},
};

const struct aggregate_table percentile_aggregates = {percentile_list, sizeof percentile_list / sizeof percentile_list[0], "percentile"};
