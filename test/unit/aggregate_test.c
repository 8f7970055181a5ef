// SPDX-License-Identifier: Apache-2.0
// aggregate_test.c: what every aggregate function promises, tried on random columns of many types:
//
//   exact       states of random splits, merged in random order, give what one state over all rows gives
//   saved       a loaded state goes on as the one that was saved; no cut of its bytes is read past its end
//   retracts    rows taken back leave the result as it was before them
//   memory      released states leave nothing behind, also when an allocation fails
//
// The seed is fixed; LEAT_TEST_SEED changes it.
#include "base/random.h"
#include "column/value.h"
#include "expr/aggregate.h"
#include "expr/program.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>

enum { ROWS = 600, SPLITS = 5, STATE_BYTES = 64 };

struct trial {
    const char *name;
    const char *types[2];      // of the columns; NULL: none
    const char *constant;      // a DOUBLE literal that follows them, or NULL
};

static const struct trial trials[] = {
    {"count", {"INT"}, NULL},           {"count", {"STRING", "INT"}, NULL},  {"count", {NULL}, NULL},          {"count_if", {"BOOLEAN"}, NULL},
    {"sum", {"TINYINT"}, NULL},         {"sum", {"INT"}, NULL},              {"sum", {"BIGINT"}, NULL},        {"sum", {"DOUBLE"}, NULL},
    {"sum", {"FLOAT"}, NULL},           {"sum", {"DECIMAL(20,2)"}, NULL},    {"try_sum", {"BIGINT"}, NULL},    {"avg", {"INT"}, NULL},
    {"avg", {"DOUBLE"}, NULL},          {"avg", {"DECIMAL(20,2)"}, NULL},    {"try_avg", {"INT"}, NULL},       {"min", {"INT"}, NULL},
    {"max", {"BIGINT"}, NULL},          {"min", {"DOUBLE"}, NULL},           {"max", {"FLOAT"}, NULL},         {"min", {"DECIMAL(20,2)"}, NULL},
    {"max", {"DECIMAL(20,2)"}, NULL},   {"min", {"STRING"}, NULL},           {"max", {"STRING"}, NULL},        {"max", {"BOOLEAN"}, NULL},
    {"max", {"ARRAY<INT>"}, NULL},      {"min", {"ARRAY<INT>"}, NULL},       {"first", {"INT"}, NULL},         {"first", {"STRING"}, NULL},
    {"last", {"ARRAY<INT>"}, NULL},     {"last", {"STRING"}, NULL},          {"bool_and", {"BOOLEAN"}, NULL},  {"bool_or", {"BOOLEAN"}, NULL},
    {"bit_and", {"INT"}, NULL},         {"bit_or", {"BIGINT"}, NULL},        {"bit_xor", {"INT"}, NULL},       {"stddev", {"DOUBLE"}, NULL},
    {"var_pop", {"DOUBLE"}, NULL},      {"skewness", {"DOUBLE"}, NULL},      {"kurtosis", {"DOUBLE"}, NULL},   {"corr", {"DOUBLE", "DOUBLE"}, NULL},
    {"covar_samp", {"DOUBLE", "DOUBLE"}, NULL}, {"regr_slope", {"DOUBLE", "DOUBLE"}, NULL}, {"regr_count", {"DOUBLE", "DOUBLE"}, NULL},
    {"collect_list", {"INT"}, NULL},    {"collect_list", {"STRING"}, NULL},  {"collect_set", {"INT"}, NULL},   {"collect_set", {"STRING"}, NULL},
    {"collect_set", {"ARRAY<INT>"}, NULL}, {"listagg", {"STRING"}, NULL},    {"max_by", {"STRING", "INT"}, NULL}, {"min_by", {"INT", "STRING"}, NULL},
    {"percentile", {"DOUBLE"}, "0.3"},  {"median", {"DOUBLE"}, NULL},        {"mode", {"STRING"}, NULL},       {"mode", {"INT"}, NULL},
    {"approx_count_distinct", {"BIGINT"}, NULL}, {"approx_count_distinct", {"STRING"}, "0.02"}, {"percentile_approx", {"INT"}, "0.5"},
    {"percentile_approx", {"DECIMAL(20,2)"}, "0.9"},
};

struct bench {
    struct memory memory, state_memory;
    struct arena arena;
    struct random random;
    struct session session;
    struct eval eval;
    struct column columns[3];
    const struct column *args[3];
    const struct type *arg_types[3];
    const struct expr *node;
    const struct aggregate_ops *ops;
    struct aggregate_context context;
};

static void append_random(struct bench *b, struct column_builder *out, const struct type *type) {
    uint64_t r = random_next(&b->random);
    if (r % 9 == 0) {
        column_builder_append_null(out);
        return;
    }
    int64_t small = (int64_t)(r >> 8) % 50 - 10;
    switch (type->id) {
    case TYPE_BOOLEAN: column_builder_append_fixed(out, &(uint8_t){(uint8_t)(r >> 8 & 1)}); break;
    case TYPE_TINYINT: column_builder_append_fixed(out, &(int8_t){(int8_t)small}); break;
    case TYPE_INT: column_builder_append_fixed(out, &(int32_t){(int32_t)small}); break;
    case TYPE_BIGINT: column_builder_append_fixed(out, &(int64_t){small * 1000000007}); break;
    case TYPE_FLOAT: column_builder_append_fixed(out, &(float){(float)small / 4}); break;
    case TYPE_DOUBLE: column_builder_append_fixed(out, &(double){(double)small / 3}); break;
    case TYPE_DECIMAL: column_builder_append_fixed(out, &(__int128){(__int128)small * 12345678901}); break;
    case TYPE_STRING: column_builder_append_bytes(out, &"abcdefghijklmnopqrstuvwxyz"[(r >> 8) % 6], (r >> 16) % 20, false); break;
    default:
        for (uint64_t i = 0; i < (r >> 8) % 3; i++) append_random(b, &out->children[0], type->fields[0].type);
        column_builder_end_list(out);
    }
}

static const struct type *type_of(struct bench *b, const char *text) {
    if (!strcmp(text, "DECIMAL(20,2)")) return type_decimal(&b->arena, 20, 2);
    if (!strcmp(text, "ARRAY<INT>")) return type_array(&b->arena, &type_int, true);
    static const struct {
        const char *name;
        const struct type *type;
    } simple[] = {{"BOOLEAN", &type_boolean}, {"TINYINT", &type_tinyint}, {"INT", &type_int},       {"BIGINT", &type_bigint},
                  {"FLOAT", &type_float},     {"DOUBLE", &type_double},   {"STRING", &type_string}};
    for (size_t i = 0; i < sizeof simple / sizeof simple[0]; i++)
        if (!strcmp(simple[i].name, text)) return simple[i].type;
    fail_msg("no type %s", text);
    return NULL;
}

// Columns and the bound call. An implicit cast would need a program: the trials' types need none.
static void bench_begin(struct bench *b, const struct trial *t) {
    memset(b, 0, sizeof *b);
    const char *seed = getenv("LEAT_TEST_SEED");
    random_seed(&b->random, seed ? strtoull(seed, NULL, 10) : 42);
    memory_init(&b->memory, "test", NULL, 0);
    memory_init(&b->state_memory, "state", NULL, 0);
    arena_init(&b->arena, &b->memory);
    struct expr *args[3];
    uint32_t count = 0;
    for (; count < 2 && t->types[count]; count++) {
        const struct type *type = type_of(b, t->types[count]);
        struct column_builder builder;
        column_builder_init(&builder, &b->arena, type);
        for (int i = 0; i < ROWS; i++) append_random(b, &builder, type);
        assert_int_equal(column_builder_finish(&builder, &b->columns[count]), STATUS_OK);
        args[count] = expr_column(&b->arena, count, type, true);
    }
    if (t->constant) {
        struct column *value = arena_alloc_zeroed(&b->arena, sizeof *value);
        assert_int_equal(column_make(&b->arena, &type_double, 1, true, value), STATUS_OK);
        ((double *)value->values)[0] = strtod(t->constant, NULL);
        value->form = COLUMN_CONSTANT;
        b->columns[count] = *value;
        args[count++] = expr_literal(&b->arena, value);
    }
    struct error e;
    error_clear(&e);
    struct expr *node;
    const struct aggregate *g = aggregate_find(t->name);
    assert_non_null(g);
    if (aggregate_call(&b->arena, &b->session, g, t->name, args, count, false, NULL, (struct span){0, 0}, &node, &e) != STATUS_OK)
        fail_msg("%s: %s %s", t->name, e.condition, e.message);
    b->node = node;
    for (uint32_t i = 0; i < node->arg_count; i++) {
        b->args[i] = &b->columns[i];
        b->arg_types[i] = node->args[i]->type;
        // FLOAT to DOUBLE and the like
        if (node->args[i]->kind == EXPR_CAST) fail_msg("%s: the trial needs a cast", t->name);
    }
    b->ops = g->choose(b->arg_types, node->arg_count, node->aggregate.data);
    assert_true(b->ops->state_bytes <= STATE_BYTES);
    eval_begin(&b->eval, &b->session, &b->memory, &b->arena, NULL, 0, ROWS);
    b->context = (struct aggregate_context){.session = &b->session, .memory = &b->state_memory, .data = node->aggregate.data,
                                            .arg_types = b->arg_types, .result = node->type, .eval = &b->eval};
}

static void bench_end(struct bench *b) {
    assert_int_equal(memory_used(&b->state_memory), 0);
    arena_release(&b->arena);
    assert_int_equal(memory_used(&b->memory), 0);
}

// Rows begin, begin + step … that the aggregate wants to see.
static struct rows rows_of(struct bench *b, uint32_t begin, uint32_t end, uint32_t step) {
    uint16_t *indices = arena_alloc_array(&b->arena, ROWS, sizeof *indices);
    assert_non_null(indices);
    uint32_t count = 0;
    for (uint32_t row = begin; row < end; row += step) {
        bool wanted = true;
        for (uint32_t a = 0; a < b->node->arg_count; a++) wanted &= (b->ops->flags & AGGREGATE_SEES_NULL) || column_is_valid(b->args[a], row);
        if (wanted) indices[count++] = (uint16_t)row;
    }
    return (struct rows){.indices = indices, .count = count};
}

static enum status update(struct bench *b, void *state, struct rows rows, int weight) {
    static void *states[ROWS];
    static int8_t weights[ROWS];
    for (uint32_t i = 0; i < ROWS; i++) {
        states[i] = state;
        weights[i] = (int8_t)weight;
    }
    return rows.count ? b->ops->update(states, b->args, &rows, weight == 1 ? NULL : weights, &b->context) : STATUS_OK;
}

static char *result_text(struct bench *b, const void *state) {
    struct column out;
    assert_int_equal(column_make(&b->arena, b->node->type, 1, true, &out), STATUS_OK);
    b->eval.error_count = 0;
    b->ops->finish(&state, 1, &out, &b->context);
    assert_int_equal(b->eval.status, STATUS_OK);
    if (b->eval.error_count) return arena_printf(&b->arena, "error %s", b->eval.errors[0].condition);
    if (!column_is_valid(&out, 0)) return arena_strdup(&b->arena, "NULL");
    struct buffer text;
    buffer_init(&text, &b->memory);
    assert_int_equal(value_print(&out, 0, NULL, &text), STATUS_OK);
    char *copy = arena_strndup(&b->arena, text.size_bytes ? (const char *)text.data : "", text.size_bytes);
    buffer_release(&text);
    return copy;
}

static void release(struct bench *b, void *state) {
    if (b->ops->release) b->ops->release(state, &b->context);
}

typedef struct {
    _Alignas(16) uint8_t bytes[STATE_BYTES];
} state_room;

static void test_splits_merge_to_the_whole(void **unused) {
    (void)unused;
    uint32_t tried = 0;
    for (size_t t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        struct bench b;
        bench_begin(&b, &trials[t]);
        if (b.ops->merge && !(b.ops->flags & AGGREGATE_ORDERED)) {
            state_room whole = {{0}}, parts[SPLITS] = {{{0}}}, merged = {{0}};
            assert_int_equal(update(&b, &whole, rows_of(&b, 0, ROWS, 1), 1), STATUS_OK);
            for (uint32_t i = 0; i < SPLITS; i++) assert_int_equal(update(&b, &parts[i], rows_of(&b, i, ROWS, SPLITS), 1), STATUS_OK);
            uint32_t first = (uint32_t)random_below(&b.random, SPLITS);
            for (uint32_t i = 0; i < SPLITS; i++) assert_int_equal(b.ops->merge(&merged, &parts[(first + i * 2) % SPLITS], &b.context), STATUS_OK);
            assert_string_equal(result_text(&b, &whole), result_text(&b, &merged));
            assert_string_not_equal(result_text(&b, &whole), "NULL");
            for (uint32_t i = 0; i < SPLITS; i++) release(&b, &parts[i]);
            release(&b, &whole);
            release(&b, &merged);
            tried++;
        }
        bench_end(&b);
    }
    assert_true(tried >= 25);
}

// Saved bytes: what `save` writes, or the state itself.
static void save(struct bench *b, const void *state, struct buffer *out) {
    if (b->ops->save) assert_int_equal(b->ops->save(state, out, &b->context), STATUS_OK);
    else assert_int_equal(buffer_append(out, state, b->ops->state_bytes), STATUS_OK);
}

static void test_saved_states_go_on(void **unused) {
    (void)unused;
    for (size_t t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        struct bench b;
        bench_begin(&b, &trials[t]);
        state_room straight = {{0}}, half = {{0}}, loaded = {{0}}, empty = {{0}}, empty_loaded = {{0}};
        struct buffer bytes, nothing;
        buffer_init(&bytes, &b.memory);
        buffer_init(&nothing, &b.memory);
        assert_int_equal(update(&b, &straight, rows_of(&b, 0, ROWS, 1), 1), STATUS_OK);
        assert_int_equal(update(&b, &half, rows_of(&b, 0, ROWS / 2, 1), 1), STATUS_OK);
        save(&b, &half, &bytes);
        save(&b, &empty, &nothing);
        if (b.ops->load) {
            struct reader in = reader_of(bytes.data, bytes.size_bytes), none = reader_of(nothing.data, nothing.size_bytes);
            assert_true(b.ops->load(&loaded, &in, &b.context));
            assert_true(in.next == in.end);
            assert_true(b.ops->load(&empty_loaded, &none, &b.context));
            for (size_t cut = 0; cut < bytes.size_bytes; cut += cut < 64 ? 1 : 61) {
                state_room broken = {{0}};
                uint8_t *exact = memory_alloc(&b.memory, cut + 1);  // so that the sanitizer sees a read past the end
                memcpy(exact, bytes.data, cut);
                struct reader part = reader_of(exact, cut);
                (void)!b.ops->load(&broken, &part, &b.context);
                release(&b, &broken);
                memory_free(&b.memory, exact, cut + 1);
            }
        } else {
            memcpy(&loaded, bytes.data, b.ops->state_bytes);
        }
        assert_string_equal(result_text(&b, &half), result_text(&b, &loaded));
        assert_string_equal(result_text(&b, &empty), result_text(&b, &empty_loaded));
        assert_int_equal(update(&b, &loaded, rows_of(&b, ROWS / 2, ROWS, 1), 1), STATUS_OK);
        assert_string_equal(result_text(&b, &straight), result_text(&b, &loaded));
        release(&b, &straight);
        release(&b, &half);
        release(&b, &loaded);
        release(&b, &empty);
        release(&b, &empty_loaded);
        buffer_release(&bytes);
        buffer_release(&nothing);
        bench_end(&b);
    }
}

static void test_retraction_returns_to_before(void **unused) {
    (void)unused;
    uint32_t tried = 0;
    for (size_t t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        struct bench b;
        bench_begin(&b, &trials[t]);
        if (b.ops->flags & AGGREGATE_RETRACTS) {
            state_room state = {{0}};
            assert_int_equal(update(&b, &state, rows_of(&b, 0, ROWS / 3, 1), 1), STATUS_OK);
            const char *before = result_text(&b, &state);
            assert_int_equal(update(&b, &state, rows_of(&b, ROWS / 3, ROWS, 1), 1), STATUS_OK);
            assert_int_equal(update(&b, &state, rows_of(&b, ROWS / 3, ROWS, 1), -1), STATUS_OK);
            assert_string_equal(before, result_text(&b, &state));
            assert_int_equal(update(&b, &state, rows_of(&b, 0, ROWS / 3, 1), -1), STATUS_OK);
            state_room fresh = {{0}};
            assert_string_equal(result_text(&b, &fresh), result_text(&b, &state));
            release(&b, &state);
            tried++;
        }
        bench_end(&b);
    }
    assert_true(tried >= 15);
}

static void test_refused_memory_leaks_nothing(void **unused) {
    (void)unused;
    for (size_t t = 0; t < sizeof trials / sizeof trials[0]; t++) {
        struct bench b;
        bench_begin(&b, &trials[t]);
        for (int64_t nth = 1; nth < 60; nth++) {
            state_room state = {{0}};
            atomic_store(&b.state_memory.fail_countdown, nth);
            enum status status = update(&b, &state, rows_of(&b, 0, ROWS, 1), 1);
            assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
            atomic_store(&b.state_memory.fail_countdown, -1);
            release(&b, &state);
            assert_int_equal(memory_used(&b.state_memory), 0);
            if (status == STATUS_OK) break;
        }
        bench_end(&b);
    }
}

static void test_sums_do_not_overflow_on_the_way(void **unused) {
    (void)unused;
    struct bench b;
    bench_begin(&b, &(struct trial){"sum", {"BIGINT"}, NULL});
    int64_t *values = b.columns[0].values;
    b.columns[0].validity = arena_alloc(&b.arena, bitmap_bytes(ROWS));
    bitmap_fill(b.columns[0].validity, ROWS, true);
    for (int i = 0; i < ROWS; i++) values[i] = i < 4 ? INT64_MAX : i < 8 ? INT64_MIN : 0;
    state_room state = {{0}};
    assert_int_equal(update(&b, &state, rows_of(&b, 0, ROWS, 1), 1), STATUS_OK);
    assert_string_equal(result_text(&b, &state), "-4");
    assert_int_equal(update(&b, &state, rows_of(&b, 0, 4, 1), 1), STATUS_OK);
    assert_string_equal(result_text(&b, &state), "error ARITHMETIC_OVERFLOW");
    bench_end(&b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_splits_merge_to_the_whole),  cmocka_unit_test(test_saved_states_go_on),
        cmocka_unit_test(test_retraction_returns_to_before), cmocka_unit_test(test_refused_memory_leaks_nothing),
        cmocka_unit_test(test_sums_do_not_overflow_on_the_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
