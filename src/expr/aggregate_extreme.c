// SPDX-License-Identifier: Apache-2.0
// aggregate_extreme.c: min and max.
//
// Everything that fits 64 bits is mapped to an integer of the same order and compared as that: the same loop serves numbers, dates, times and
// floats (NaN greatest, −0.0 below 0.0, so that any order of rows gives the same bytes). DECIMAL has its own loop; text and nested
// values are held (aggregate_value.h). What was the second smallest is not known here: over rows that can be taken back exec keeps all values
// (AGGREGATE_OF_LEAST), and the state is made of the first of them.
#include "expr/aggregate_sum.h"
#include "expr/aggregate_value.h"
#include <math.h>

struct extreme64 {
    int64_t key;
    uint8_t present;
    uint8_t unused[7];
};

struct extreme128 {
    __int128 value;
    uint8_t present;
    uint8_t unused[15];
};

// Doubles as integers of the same order.
static int64_t double_key(double value) {
    int64_t bits;
    if (isnan(value)) value = (double)NAN;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value)) bits &= INT64_MAX;
    return bits < 0 ? bits ^ INT64_MAX : bits;
}

static double key_double(int64_t key) {
    int64_t bits = key < 0 ? key ^ INT64_MAX : key;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static const int64_t *chunk_keys(const struct column *c, const struct rows *rows, uint32_t begin, uint32_t count, int64_t *scratch) {
    if (c->type->id != TYPE_FLOAT && c->type->id != TYPE_DOUBLE) return chunk_int64(c, rows, begin, count, scratch);
    double doubles[CHUNK_ROWS];
    const double *values = chunk_double(c, rows, begin, count, doubles);
    for (uint32_t i = 0; i < count; i++) scratch[i] = double_key(values[i]);
    return scratch;
}

static inline void extreme64_take(struct extreme64 *s, int64_t key, bool largest) {
    if (!s->present || (largest ? key > s->key : key < s->key)) s->key = key;
    s->present = 1;
}

static inline enum status extreme64_update(void *const *states, const struct column *arg, const struct rows *rows, bool largest) {
    int64_t scratch[CHUNK_ROWS];
    bool one = states_are_one(states, rows->count);
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const int64_t *keys = chunk_keys(arg, rows, begin, count, scratch);
        if (one) {
            int64_t best = keys[0];
            for (uint32_t i = 1; i < count; i++) best = (largest ? keys[i] > best : keys[i] < best) ? keys[i] : best;
            extreme64_take(states[0], best, largest);
        } else {
            for (uint32_t i = 0; i < count; i++) extreme64_take(states[begin + i], keys[i], largest);
        }
    }
    return STATUS_OK;
}

static enum status max64_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                struct aggregate_context *c) {
    (void)weights;
    (void)c;
    return extreme64_update(states, args[0], rows, true);
}

static enum status min64_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                struct aggregate_context *c) {
    (void)weights;
    (void)c;
    return extreme64_update(states, args[0], rows, false);
}

static enum status max64_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    const struct extreme64 *other = from;
    if (other->present) extreme64_take(into, other->key, true);
    return STATUS_OK;
}

static enum status min64_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    const struct extreme64 *other = from;
    if (other->present) extreme64_take(into, other->key, false);
    return STATUS_OK;
}

static void put_key(struct column *out, uint32_t row, int64_t key) {
    switch (out->type->id) {
    case TYPE_BOOLEAN: ((uint8_t *)out->values)[row] = (uint8_t)key; break;
    case TYPE_TINYINT: ((int8_t *)out->values)[row] = (int8_t)key; break;
    case TYPE_SMALLINT: ((int16_t *)out->values)[row] = (int16_t)key; break;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: ((int32_t *)out->values)[row] = (int32_t)key; break;
    case TYPE_FLOAT: ((float *)out->values)[row] = (float)key_double(key); break;
    case TYPE_DOUBLE: ((double *)out->values)[row] = key_double(key); break;
    default: ((int64_t *)out->values)[row] = key;
    }
}

static void extreme64_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct extreme64 *s = states[i];
        if (s->present) put_key(out, i, s->key);
        else out_set_null(out, i);
    }
}

static inline void extreme128_take(struct extreme128 *s, __int128 value, bool largest) {
    if (!s->present || (largest ? value > s->value : value < s->value)) s->value = value;
    s->present = 1;
}

static enum status max128_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                 struct aggregate_context *c) {
    (void)weights;
    (void)c;
    for (uint32_t i = 0; i < rows->count; i++) extreme128_take(states[i], column_decimal(args[0], rows_at(rows, i)), true);
    return STATUS_OK;
}

static enum status min128_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                 struct aggregate_context *c) {
    (void)weights;
    (void)c;
    for (uint32_t i = 0; i < rows->count; i++) extreme128_take(states[i], column_decimal(args[0], rows_at(rows, i)), false);
    return STATUS_OK;
}

static enum status max128_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    const struct extreme128 *other = from;
    if (other->present) extreme128_take(into, other->value, true);
    return STATUS_OK;
}

static enum status min128_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    const struct extreme128 *other = from;
    if (other->present) extreme128_take(into, other->value, false);
    return STATUS_OK;
}

static void extreme128_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct extreme128 *s = states[i];
        if (s->present) ((__int128 *)out->values)[i] = s->value;
        else out_set_null(out, i);
    }
}

static enum status held_extreme_update(void *const *states, const struct column *arg, const struct rows *rows, struct aggregate_context *c, bool largest) {
    if (arg->type->id == TYPE_NULL) return STATUS_OK;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct held_value *h = states[i];
        uint32_t row = rows_at(rows, i);
        if (h->state == HELD_VALUE) {
            int order = held_compare(h, arg, row, c->eval->arena);
            if (largest ? order >= 0 : order <= 0) continue;
        }
        TRY(held_set(h, arg, row, c->memory));
    }
    return STATUS_OK;
}

static enum status max_held_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)weights;
    return held_extreme_update(states, args[0], rows, c, true);
}

static enum status min_held_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)weights;
    return held_extreme_update(states, args[0], rows, c, false);
}

// The other state's value as a column of one row, to be compared with and taken from.
static enum status held_extreme_merge(void *into, const void *from, struct aggregate_context *c, bool largest) {
    struct held_value *to = into;
    const struct held_value *other = from;
    if (other->state != HELD_VALUE) return STATUS_OK;
    const struct type *type = c->arg_types[0];
    if (to->state == HELD_VALUE) {
        struct arena scratch;
        arena_init(&scratch, c->memory);
        struct column one;
        enum status status = column_make(&scratch, type, 1, true, &one);
        int order = 0;
        if (status == STATUS_OK) {
            struct eval eval = {.arena = &scratch, .memory = c->memory};
            struct aggregate_context context = *c;
            context.eval = &eval;
            held_finish(&from, 0, 1, &one, &context);
            status = eval.status;
            if (status == STATUS_OK) order = held_compare(to, &one, 0, &scratch);
        }
        arena_release(&scratch);
        TRY(status);
        if (largest ? order >= 0 : order <= 0) return STATUS_OK;
    }
    return held_copy(to, other, type, c->memory);
}

static enum status max_held_merge(void *into, const void *from, struct aggregate_context *c) { return held_extreme_merge(into, from, c, true); }
static enum status min_held_merge(void *into, const void *from, struct aggregate_context *c) { return held_extreme_merge(into, from, c, false); }

static void held_extreme_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    held_finish(states, 0, count, out, c);
}
static enum status held_extreme_save(const void *state, struct buffer *out, struct aggregate_context *c) { return held_save(state, c->arg_types[0], out); }
static bool held_extreme_load(void *state, struct reader *in, struct aggregate_context *c) { return held_load(state, c->arg_types[0], in, c->memory); }
static void held_extreme_release(void *state, struct aggregate_context *c) { held_release(state, c->arg_types[0], c->memory); }

static const struct aggregate_ops max64_ops = {
    .state_bytes = sizeof(struct extreme64), .flags = AGGREGATE_OF_GREATEST | AGGREGATE_DISTINCT_IS_PLAIN, .update = max64_update, .merge = max64_merge, .finish = extreme64_finish};
static const struct aggregate_ops min64_ops = {
    .state_bytes = sizeof(struct extreme64), .flags = AGGREGATE_OF_LEAST | AGGREGATE_DISTINCT_IS_PLAIN, .update = min64_update, .merge = min64_merge, .finish = extreme64_finish};
static const struct aggregate_ops max128_ops = {
    .state_bytes = sizeof(struct extreme128), .flags = AGGREGATE_OF_GREATEST | AGGREGATE_DISTINCT_IS_PLAIN, .update = max128_update, .merge = max128_merge, .finish = extreme128_finish};
static const struct aggregate_ops min128_ops = {
    .state_bytes = sizeof(struct extreme128), .flags = AGGREGATE_OF_LEAST | AGGREGATE_DISTINCT_IS_PLAIN, .update = min128_update, .merge = min128_merge, .finish = extreme128_finish};
static const struct aggregate_ops max_held_ops = {
    .state_bytes = sizeof(struct held_value), .flags = AGGREGATE_OF_GREATEST | AGGREGATE_DISTINCT_IS_PLAIN, .update = max_held_update, .merge = max_held_merge,
    .finish = held_extreme_finish, .save = held_extreme_save, .load = held_extreme_load, .release = held_extreme_release};
static const struct aggregate_ops min_held_ops = {
    .state_bytes = sizeof(struct held_value), .flags = AGGREGATE_OF_LEAST | AGGREGATE_DISTINCT_IS_PLAIN, .update = min_held_update, .merge = min_held_merge,
    .finish = held_extreme_finish, .save = held_extreme_save, .load = held_extreme_load, .release = held_extreme_release};

enum status extreme_bind(struct binding *b, struct error *e) {
    TRY(aggregate_signature(b, "(T) -> T", e));
    return aggregate_require_order(b, 0, e);
}

static bool is_held(const struct type *t) { return type_is_text(t) || type_is_nested(t) || t->id == TYPE_NULL; }

const struct aggregate_ops *min_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    if (arg_types[0]->id == TYPE_DECIMAL) return &min128_ops;
    return is_held(arg_types[0]) ? &min_held_ops : &min64_ops;
}

const struct aggregate_ops *max_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_count;
    (void)data;
    if (arg_types[0]->id == TYPE_DECIMAL) return &max128_ops;
    return is_held(arg_types[0]) ? &max_held_ops : &max64_ops;
}
