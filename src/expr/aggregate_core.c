// SPDX-License-Identifier: Apache-2.0
// aggregate_core.c: count, count_if, first, last, bool_and, bool_or, bit_and, bit_or, bit_xor, and the table of the everyday
// aggregates (sum and avg: aggregate_sum.c; min and max: aggregate_extreme.c).
//
// Rows with a NULL argument never reach `update` here, but for first and last, which see them unless they ignore NULLs. So
// count(*), count(a) and count(a, b) are one loop: exec leaves out what does not count.
#include "expr/aggregate_sum.h"
#include "expr/aggregate_value.h"
#include "expr/aggregates.h"

// count(*), count(a, b …)

struct count_state {
    int64_t count;
};

static enum status count_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                struct aggregate_context *c) {
    (void)args;
    (void)c;
    if (weights) {
        for (uint32_t i = 0; i < rows->count; i++) ((struct count_state *)states[i])->count += weights[rows_at(rows, i)];
    } else if (states_are_one(states, rows->count)) {
        ((struct count_state *)states[0])->count += rows->count;
    } else {
        for (uint32_t i = 0; i < rows->count; i++) ((struct count_state *)states[i])->count++;
    }
    return STATUS_OK;
}

static enum status count_if_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                   struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (column_bool(args[0], row)) ((struct count_state *)states[i])->count += weights ? weights[row] : 1;
    }
    return STATUS_OK;
}

static enum status count_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    ((struct count_state *)into)->count += ((const struct count_state *)from)->count;
    return STATUS_OK;
}

static void count_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    int64_t *results = out->values;
    for (uint32_t i = 0; i < count; i++) results[i] = ((const struct count_state *)states[i])->count;
}

static const struct aggregate_ops count_ops = {
    .state_bytes = sizeof(struct count_state), .flags = AGGREGATE_RETRACTS, .update = count_update, .merge = count_merge, .finish = count_finish};
static const struct aggregate_ops count_if_ops = {
    .state_bytes = sizeof(struct count_state), .flags = AGGREGATE_RETRACTS, .update = count_if_update, .merge = count_merge, .finish = count_finish};

// count(*) comes without arguments; count() as the user wrote it is the analyzer's to refuse.
static enum status count_bind(struct binding *b, struct error *e) {
    (void)e;
    b->result = &type_bigint;
    b->nullable = false;
    return STATUS_OK;
}

static enum status count_if_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(BOOLEAN) -> BIGINT", e));
    b->nullable = false;
    return STATUS_OK;
}

static const struct aggregate_ops *count_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &count_ops;
}

static const struct aggregate_ops *count_if_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &count_if_ops;
}

// first, last

struct first_data {
    bool ignores_nulls;
};

static enum status first_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                struct aggregate_context *c) {
    (void)weights;
    for (uint32_t i = 0; i < rows->count; i++) {
        struct held_value *h = states[i];
        if (h->state == HELD_NONE) TRY(held_set(h, args[0], rows_at(rows, i), c->memory));
    }
    return STATUS_OK;
}

static enum status last_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                               struct aggregate_context *c) {
    (void)weights;
    if (states_are_one(states, rows->count)) return held_set(states[0], args[0], rows_at(rows, rows->count - 1), c->memory);
    for (uint32_t i = 0; i < rows->count; i++) TRY(held_set(states[i], args[0], rows_at(rows, i), c->memory));
    return STATUS_OK;
}

static enum status first_append(void *into, const void *from, struct aggregate_context *c) {
    return ((struct held_value *)into)->state == HELD_NONE ? held_copy(into, from, c->arg_types[0], c->memory) : STATUS_OK;
}

static enum status last_append(void *into, const void *from, struct aggregate_context *c) {
    return ((const struct held_value *)from)->state == HELD_NONE ? STATUS_OK : held_copy(into, from, c->arg_types[0], c->memory);
}

static void first_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    held_finish(states, 0, count, out, c);
}
static enum status first_save(const void *state, struct buffer *out, struct aggregate_context *c) { return held_save(state, c->arg_types[0], out); }
static bool first_load(void *state, struct reader *in, struct aggregate_context *c) { return held_load(state, c->arg_types[0], in, c->memory); }
static void first_release(void *state, struct aggregate_context *c) { held_release(state, c->arg_types[0], c->memory); }

#define HELD_OPS(name, update_function, append_function, more_flags)                                                                                     \
    static const struct aggregate_ops name = {                                                                                         \
        .state_bytes = sizeof(struct held_value), .flags = AGGREGATE_ORDERED | AGGREGATE_DISTINCT_IS_PLAIN | (more_flags),              \
        .update = update_function, .append = append_function, .finish = first_finish, .save = first_save, .load = first_load, .release = first_release}
HELD_OPS(first_ops, first_update, first_append, AGGREGATE_SEES_NULL);
HELD_OPS(first_not_null_ops, first_update, first_append, 0);
HELD_OPS(last_ops, last_update, last_append, AGGREGATE_SEES_NULL);
HELD_OPS(last_not_null_ops, last_update, last_append, 0);
#undef HELD_OPS

static enum status first_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 2, e));
    if (b->arg_count == 2 && b->args[1]->type->id != TYPE_BOOLEAN) {
        enum status status = error_set(e, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_1210", "The second argument of %s should be a boolean literal", b->name);
        if (e) e->span = b->args[1]->span;
        return status;
    }
    struct first_data *data = arena_alloc_zeroed(b->arena, sizeof *data);
    if (!data) return error_no_memory(e);
    if (b->arg_count == 2) {
        const struct column *ignore;
        TRY(binding_constant(b, 1, &ignore, e));
        if (ignore && column_is_valid(ignore, 0)) data->ignores_nulls = column_bool(ignore, 0);
    }
    b->data = data;
    return binding_nullable_result(b, b->args[0]->type, e);
}

static bool ignores_nulls(const void *data) { return data && ((const struct first_data *)data)->ignores_nulls; }

static const struct aggregate_ops *first_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    return ignores_nulls(data) ? &first_not_null_ops : &first_ops;
}

static const struct aggregate_ops *last_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    return ignores_nulls(data) ? &last_not_null_ops : &last_ops;
}

// bool_and, bool_or: how many were true, how many false

struct bool_state {
    int64_t true_count;
    int64_t false_count;
};

static enum status bool_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                               struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct bool_state *s = states[i];
        int weight = weights ? weights[row] : 1;
        if (column_bool(args[0], row)) s->true_count += weight;
        else s->false_count += weight;
    }
    return STATUS_OK;
}

static enum status bool_merge(void *into, const void *from, struct aggregate_context *c) {
    (void)c;
    struct bool_state *to = into;
    const struct bool_state *other = from;
    to->true_count += other->true_count;
    to->false_count += other->false_count;
    return STATUS_OK;
}

static void bool_and_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct bool_state *s = states[i];
        if (!s->true_count && !s->false_count) out_set_null(out, i);
        ((uint8_t *)out->values)[i] = s->false_count == 0;
    }
}

static void bool_or_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct bool_state *s = states[i];
        if (!s->true_count && !s->false_count) out_set_null(out, i);
        ((uint8_t *)out->values)[i] = s->true_count != 0;
    }
}

static const struct aggregate_ops bool_and_ops = {.state_bytes = sizeof(struct bool_state), .flags = AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN,
                                                  .update = bool_update, .merge = bool_merge, .finish = bool_and_finish};
static const struct aggregate_ops bool_or_ops = {.state_bytes = sizeof(struct bool_state), .flags = AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN,
                                                 .update = bool_update, .merge = bool_merge, .finish = bool_or_finish};

static enum status bool_bind(struct binding *b, struct error *e) { return aggregate_signature(b, "(BOOLEAN) -> BOOLEAN", e); }

static const struct aggregate_ops *bool_and_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &bool_and_ops;
}

static const struct aggregate_ops *bool_or_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {
    (void)arg_types;
    (void)arg_count;
    (void)data;
    return &bool_or_ops;
}

// bit_and, bit_or, bit_xor

struct bit_state {
    int64_t bits;
    int64_t count;
};

enum bit_operation { BIT_AND, BIT_OR, BIT_XOR };

static inline void bit_take(struct bit_state *s, int64_t bits, int64_t count, enum bit_operation operation) {
    if (s->count == 0 && operation != BIT_XOR) s->bits = bits;
    else if (operation == BIT_AND) s->bits &= bits;
    else if (operation == BIT_OR) s->bits |= bits;
    else s->bits ^= bits;
    s->count += count;
}

static inline enum status bit_update(void *const *states, const struct column *arg, const struct rows *rows, const int8_t *weights,
                                     enum bit_operation operation) {
    int64_t scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const int64_t *values = chunk_int64(arg, rows, begin, count, scratch);
        for (uint32_t i = 0; i < count; i++) bit_take(states[begin + i], values[i], weight_at(weights, rows, begin + i), operation);
    }
    return STATUS_OK;
}

static void put_bits(struct column *out, uint32_t row, int64_t bits) {
    switch (out->type->id) {
    case TYPE_TINYINT: ((int8_t *)out->values)[row] = (int8_t)bits; break;
    case TYPE_SMALLINT: ((int16_t *)out->values)[row] = (int16_t)bits; break;
    case TYPE_INT: ((int32_t *)out->values)[row] = (int32_t)bits; break;
    default: ((int64_t *)out->values)[row] = bits;
    }
}

static void bit_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    for (uint32_t i = 0; i < count; i++) {
        const struct bit_state *s = states[i];
        if (s->count == 0) out_set_null(out, i);
        put_bits(out, i, s->bits);
    }
}

// Of values that can be taken back: how many have each bit.
enum { BITS = 64 };

struct bit_counts {
    int64_t count;     // of values
    int64_t *set;      // BITS of them; NULL: no value came yet
};

static enum status bit_counts_begin(struct bit_counts *s, struct memory *memory) {
    if (!s->set) s->set = memory_alloc_zeroed(memory, BITS * sizeof *s->set);
    return s->set ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status bit_counts_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights,
                                     struct aggregate_context *c) {
    int64_t scratch[CHUNK_ROWS];
    for (uint32_t begin = 0; begin < rows->count; begin += CHUNK_ROWS) {
        uint32_t count = chunk_count(rows, begin);
        const int64_t *values = chunk_int64(args[0], rows, begin, count, scratch);
        for (uint32_t i = 0; i < count; i++) {
            struct bit_counts *s = states[begin + i];
            int weight = weight_at(weights, rows, begin + i);
            TRY(bit_counts_begin(s, c->memory));
            s->count += weight;
            for (uint64_t left = (uint64_t)values[i]; left; left &= left - 1) s->set[__builtin_ctzll(left)] += weight;
        }
    }
    return STATUS_OK;
}

static enum status bit_counts_merge(void *into, const void *from, struct aggregate_context *c) {
    struct bit_counts *to = into;
    const struct bit_counts *other = from;
    if (!other->set) return STATUS_OK;
    TRY(bit_counts_begin(to, c->memory));
    to->count += other->count;
    for (uint32_t bit = 0; bit < BITS; bit++) to->set[bit] += other->set[bit];
    return STATUS_OK;
}

static void bit_counts_finish(const void *const *states, uint32_t count, struct column *out, bool of_all) {
    for (uint32_t i = 0; i < count; i++) {
        const struct bit_counts *s = states[i];
        uint64_t bits = 0;
        for (uint32_t bit = 0; bit < BITS && s->set; bit++) bits |= (uint64_t)(of_all ? s->set[bit] == s->count : s->set[bit] > 0) << bit;
        if (s->count == 0) out_set_null(out, i);
        put_bits(out, i, (int64_t)bits);
    }
}

static void bit_counts_and_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    bit_counts_finish(states, count, out, true);
}

static void bit_counts_or_finish(const void *const *states, uint32_t count, struct column *out, struct aggregate_context *c) {
    (void)c;
    bit_counts_finish(states, count, out, false);
}

static enum status bit_counts_save(const void *state, struct buffer *out, struct aggregate_context *c) {
    (void)c;
    const struct bit_counts *s = state;
    bool empty = s->count == 0;
    for (uint32_t bit = 0; bit < BITS && s->set; bit++) empty = empty && s->set[bit] == 0;
    TRY(buffer_append_byte(out, !empty));
    if (empty) return STATUS_OK;
    TRY(write_signed(out, s->count));
    for (uint32_t bit = 0; bit < BITS; bit++) TRY(write_signed(out, s->set[bit]));
    return STATUS_OK;
}

static bool bit_counts_load(void *state, struct reader *in, struct aggregate_context *c) {
    struct bit_counts *s = state;
    uint8_t form = read_byte(in);
    if (in->failed || form > 1) return false;
    if (!form) return true;
    if (bit_counts_begin(s, c->memory) != STATUS_OK) return false;
    s->count = read_signed(in);
    for (uint32_t bit = 0; bit < BITS; bit++) s->set[bit] = read_signed(in);
    return !in->failed;
}

static void bit_counts_release(void *state, struct aggregate_context *c) {
    struct bit_counts *s = state;
    if (s->set) memory_free(c->memory, s->set, BITS * sizeof *s->set);
    *s = (struct bit_counts){.count = 0};
}

static const struct aggregate_ops bit_and_counts_ops = {
    .state_bytes = sizeof(struct bit_counts), .flags = AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, .update = bit_counts_update, .merge = bit_counts_merge,
    .finish = bit_counts_and_finish, .save = bit_counts_save, .load = bit_counts_load, .release = bit_counts_release};
static const struct aggregate_ops bit_or_counts_ops = {
    .state_bytes = sizeof(struct bit_counts), .flags = AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, .update = bit_counts_update, .merge = bit_counts_merge,
    .finish = bit_counts_or_finish, .save = bit_counts_save, .load = bit_counts_load, .release = bit_counts_release};

#define BIT_OPERATION(name, operation, ops_flags, retracting_ops)                                                                            \
    static enum status name##_update(void *const *states, const struct column *const *args, const struct rows *rows, const int8_t *weights, \
                                     struct aggregate_context *c) {                                                                         \
        (void)c;                                                                                                                            \
        return bit_update(states, args[0], rows, weights, operation);                                                                       \
    }                                                                                                                                       \
    static enum status name##_merge(void *into, const void *from, struct aggregate_context *c) {                                            \
        (void)c;                                                                                                                            \
        const struct bit_state *other = from;                                                                                               \
        if (other->count || (operation) == BIT_XOR) bit_take(into, other->bits, other->count, operation); /* +a −b counts 0 */                \
        return STATUS_OK;                                                                                                                   \
    }                                                                                                                                       \
    static const struct aggregate_ops name##_ops = {                                                                                        \
        .state_bytes = sizeof(struct bit_state), .flags = ops_flags, .retracting = retracting_ops, .update = name##_update,                 \
        .merge = name##_merge, .finish = bit_finish};                                                                                       \
    static const struct aggregate_ops *name##_choose(const struct type *const *arg_types, uint32_t arg_count, const void *data) {           \
        (void)arg_types;                                                                                                                    \
        (void)arg_count;                                                                                                                    \
        (void)data;                                                                                                                         \
        return &name##_ops;                                                                                                                 \
    }
BIT_OPERATION(bit_and, BIT_AND, AGGREGATE_DISTINCT_IS_PLAIN, &bit_and_counts_ops)
BIT_OPERATION(bit_or, BIT_OR, AGGREGATE_DISTINCT_IS_PLAIN, &bit_or_counts_ops)
BIT_OPERATION(bit_xor, BIT_XOR, AGGREGATE_RETRACTS, NULL)
#undef BIT_OPERATION

static enum status bit_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(INTEGRAL) -> BIGINT", e));
    return binding_nullable_result(b, b->args[0]->type, e);
}

static const struct aggregate core_list[] = {
    {"count", "(*) -> BIGINT | (ANY...) -> BIGINT", count_bind, count_choose, AGGREGATE_RETRACTS,
     "The number of rows, or of those in which no argument is NULL", "SELECT count(*) FROM VALUES (1), (NULL) AS t(x)", "2"},
    {"count_if", "(BOOLEAN) -> BIGINT", count_if_bind, count_if_choose, AGGREGATE_RETRACTS, "The number of rows for which the condition is true",
     "SELECT count_if(x > 1) FROM VALUES (1), (2), (3) AS t(x)", "2"},
    {"sum", "(NUMERIC) -> NUMERIC", sum_bind, sum_choose, 0, "The sum of the values", "SELECT sum(x) FROM VALUES (1), (2), (NULL) AS t(x)", "3"},
    {"try_sum", "(NUMERIC) -> NUMERIC", sum_bind, try_sum_choose, 0, "The sum of the values, NULL if it does not fit",
     "SELECT try_sum(x) FROM VALUES (9223372036854775807L), (1L) AS t(x)", "NULL"},
    {"avg", "(NUMERIC) -> NUMERIC", average_bind, average_choose, 0, "The mean of the values", "SELECT avg(x) FROM VALUES (1), (2), (NULL) AS t(x)", "1.5"},
    {"mean", "(NUMERIC) -> NUMERIC", average_bind, average_choose, 0, "The mean of the values", "SELECT mean(x) FROM VALUES (1), (2) AS t(x)", "1.5"},
    {"try_avg", "(NUMERIC) -> NUMERIC", average_bind, try_average_choose, 0, "The mean of the values, NULL if it does not fit",
     "SELECT try_avg(x) FROM VALUES (1), (2) AS t(x)", "1.5"},
    {"min", "(T) -> T", extreme_bind, min_choose, AGGREGATE_DISTINCT_IS_PLAIN, "The smallest value", "SELECT min(x) FROM VALUES (3), (1), (2) AS t(x)", "1"},
    {"max", "(T) -> T", extreme_bind, max_choose, AGGREGATE_DISTINCT_IS_PLAIN, "The largest value", "SELECT max(x) FROM VALUES (3), (1), (2) AS t(x)", "3"},
    {"first", "(T, BOOLEAN?) -> T", first_bind, first_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL,
     "The value of the first row; with true as second argument, of the first that is not NULL",
     "SELECT first(x, true) FROM VALUES (NULL), (5), (20) AS t(x)", "5"},
    {"first_value", "(T, BOOLEAN?) -> T", first_bind, first_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, "The value of the first row, as first",
     "SELECT first_value(x, true) FROM VALUES (NULL), (5) AS t(x)", "5"},
    {"any_value", "(T, BOOLEAN?) -> T", first_bind, first_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, "The value of some row: of the first",
     "SELECT any_value(x) FROM VALUES (5), (5) AS t(x)", "5"},
    {"last", "(T, BOOLEAN?) -> T", first_bind, last_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL,
     "The value of the last row; with true as second argument, of the last that is not NULL",
     "SELECT last(x, true) FROM VALUES (5), (20), (NULL) AS t(x)", "20"},
    {"last_value", "(T, BOOLEAN?) -> T", first_bind, last_choose, AGGREGATE_ORDERED | AGGREGATE_SEES_NULL, "The value of the last row, as last",
     "SELECT last_value(x, true) FROM VALUES (5), (NULL) AS t(x)", "5"},
    {"bool_and", "(BOOLEAN) -> BOOLEAN", bool_bind, bool_and_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, "Whether all values are true",
     "SELECT bool_and(x) FROM VALUES (true), (false) AS t(x)", "false"},
    {"every", "(BOOLEAN) -> BOOLEAN", bool_bind, bool_and_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, "Whether all values are true",
     "SELECT every(x) FROM VALUES (true), (NULL) AS t(x)", "true"},
    {"bool_or", "(BOOLEAN) -> BOOLEAN", bool_bind, bool_or_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, "Whether any value is true",
     "SELECT bool_or(x) FROM VALUES (true), (false) AS t(x)", "true"},
    {"any", "(BOOLEAN) -> BOOLEAN", bool_bind, bool_or_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, "Whether any value is true",
     "SELECT any(x) FROM VALUES (false), (false) AS t(x)", "false"},
    {"some", "(BOOLEAN) -> BOOLEAN", bool_bind, bool_or_choose, AGGREGATE_RETRACTS | AGGREGATE_DISTINCT_IS_PLAIN, "Whether any value is true",
     "SELECT some(x) FROM VALUES (true), (false) AS t(x)", "true"},
    {"bit_and", "(INTEGRAL) -> INTEGRAL", bit_bind, bit_and_choose, AGGREGATE_DISTINCT_IS_PLAIN, "The bits that all values have",
     "SELECT bit_and(x) FROM VALUES (3), (5) AS t(x)", "1"},
    {"bit_or", "(INTEGRAL) -> INTEGRAL", bit_bind, bit_or_choose, AGGREGATE_DISTINCT_IS_PLAIN, "The bits that any value has",
     "SELECT bit_or(x) FROM VALUES (3), (5) AS t(x)", "7"},
    {"bit_xor", "(INTEGRAL) -> INTEGRAL", bit_bind, bit_xor_choose, AGGREGATE_RETRACTS, "The bits that an odd number of values has",
     "SELECT bit_xor(x) FROM VALUES (3), (5) AS t(x)", "6"},
};

const struct aggregate_table core_aggregates = {core_list, sizeof core_list / sizeof core_list[0], "aggregate"};
