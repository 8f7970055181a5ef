// SPDX-License-Identifier: Apache-2.0
// collection_test.c: functions over arrays and maps where the golden tests do not reach: columns of random lists with NULL rows and NULL elements, as
// flat, dictionary and constant columns, with and without a selection.
//
// The twin of every function is itself, run over one row alone: whatever a batch does together (shared offsets, one run of a lambda over all
// elements, merges side by side) must come out as if each row stood by itself. Some have a second twin in plain C. A seed can be given as the
// first argument; it is printed.
#include "base/random.h"
#include "column/value.h"
#include "expr/function.h"
#include "expr/program.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

enum { ROWS = 300, INPUTS = 4 };  // two arrays of INT, an INT from −4 to 4, a map of INT to INT

static uint64_t seed = 20261122;
static struct memory memory;
static struct session session;
static const struct type *array_type, *map_type;

enum shape { SHAPE_FLAT, SHAPE_DICTIONARY, SHAPE_CONSTANT, SHAPE_COUNT };

// --- random input ---

static void append_int(struct column_builder *b, struct random *random, bool nulls) {
    int32_t v = (int32_t)random_below(random, 9) - 4;
    if (nulls && random_below(random, 6) == 0) column_builder_append_null(b);
    else column_builder_append_fixed(b, &v);
}

static void append_map(struct column_builder *b, struct random *random) {
    for (int32_t key = -4; key <= 4; key++) {
        if (random_below(random, 3)) continue;
        column_builder_append_fixed(&b->children[0], &key);
        append_int(&b->children[1], random, true);
    }
    column_builder_end_list(b);
}

static struct column random_input(struct arena *a, struct random *random, int which, uint32_t count) {
    const struct type *types[INPUTS] = {array_type, array_type, &type_int, map_type};
    struct column_builder b;
    struct column c;
    column_builder_init(&b, a, types[which]);
    for (uint32_t row = 0; row < count; row++) {
        if (random_below(random, 7) == 0) {
            column_builder_append_null(&b);
        } else if (which == 2) {
            append_int(&b, random, false);
        } else if (which == 3) {
            append_map(&b, random);
        } else {
            for (uint64_t n = random_below(random, row == 5 ? 3000 : 8); n > 0; n--) append_int(&b.children[0], random, true);
            column_builder_end_list(&b);
        }
    }
    assert_int_equal(column_builder_finish(&b, &c), STATUS_OK);
    return c;
}

static struct column shaped_input(struct arena *a, struct random *random, int which, enum shape shape) {
    struct column c = random_input(a, random, which, shape == SHAPE_FLAT ? ROWS : shape == SHAPE_DICTIONARY ? 11 : 1);
    if (shape == SHAPE_CONSTANT) c.form = COLUMN_CONSTANT;
    if (shape == SHAPE_DICTIONARY) {
        struct column d = {.type = c.type, .form = COLUMN_DICTIONARY};
        uint16_t *codes = arena_alloc(a, ROWS * sizeof *codes);
        d.children = arena_alloc(a, sizeof c);
        for (uint32_t i = 0; i < ROWS; i++) codes[i] = (uint16_t)random_below(random, 11);
        d.codes = codes;
        d.children[0] = c;
        c = d;
    }
    c.row_count = ROWS;
    return c;
}

// --- expressions ---

static struct expr *call(struct arena *a, const char *name, struct expr **args, uint32_t count, enum status *status) {
    struct expr *out = NULL;
    struct error e;
    error_clear(&e);
    for (uint32_t i = 0; i < count && *status == STATUS_OK; i++)
        if (!args[i]) *status = STATUS_NO_MEMORY;
    if (*status == STATUS_OK) *status = function_call_named(a, &session, name, args, count, (struct span){0, 0}, &out, &e);
    if (*status != STATUS_OK && *status != STATUS_NO_MEMORY) print_message("%s: %s %s\n", name, e.condition, e.message);
    return *status == STATUS_OK ? out : NULL;
}

static struct expr *parameter(struct arena *a, uint32_t ordinal) {
    struct expr *p = expr_new(a, EXPR_PARAMETER, &type_int, true, 0);
    if (p) p->ordinal = ordinal;
    return p;
}

// (x[, y]) -> x OP right, where right is a parameter, or a column of the batch.
static struct expr *lambda(struct arena *a, const char *op, struct expr *right, uint32_t parameter_count, enum status *status) {
    struct expr *args[2] = {parameter(a, 0), right};
    struct expr *body = call(a, op, args, 2, status), *out = body ? expr_new(a, EXPR_LAMBDA, body->type, true, 1) : NULL;
    if (!out) return NULL;
    out->args[0] = body;
    out->parameter_count = parameter_count;
    return out;
}

struct sample {
    const char *function;
    const char *arguments;   // a b: arrays; n: number; m: map; 1: the literal 1; t: true; f: x > n; +: x + n; &: (x, y) -> x + y; -: (x, y) -> x - y
};
static const struct sample samples[] = {
    {"array", "nn1"}, {"array_repeat", "nn"}, {"size", "a"}, {"size", "m"}, {"element_at", "an"}, {"try_element_at", "an"}, {"get", "an"}, {"element_at", "mn"},
    {"array_contains", "an"}, {"array_position", "an"}, {"array_remove", "an"}, {"array_append", "an"}, {"array_prepend", "an"}, {"array_insert", "ann"},
    {"array_compact", "a"}, {"array_max", "a"}, {"array_min", "a"}, {"arrays_overlap", "ab"}, {"array_distinct", "a"}, {"array_union", "ab"},
    {"array_intersect", "ab"}, {"array_except", "ab"}, {"array_sort", "a"}, {"array_sort", "a-"}, {"sort_array", "a"}, {"slice", "ann"}, {"sequence", "1n"},
    {"sequence", "n1n"}, {"arrays_zip", "ab"}, {"concat", "ab"}, {"reverse", "a"}, {"struct", "anm"}, {"map", "n1"}, {"map", "n11n"}, {"map_keys", "m"},
    {"map_values", "m"}, {"map_entries", "m"}, {"map_contains_key", "mn"}, {"map_from_arrays", "ab"}, {"map_concat", "mm"}, {"map_sort", "m"},
    {"transform", "a+"}, {"transform", "a&"}, {"filter", "af"}, {"exists", "af"}, {"forall", "af"}, {"aggregate", "an&"}, {"aggregate", "an&+"}, {"zip_with", "ab&"},
    {"transform_keys", "m+"}, {"transform_keys", "m&"}, {"transform_values", "m&"}, {"map_filter", "mf"}, {"map_zip_with", "mm&"},
};

static struct expr *argument(struct arena *a, char what, enum status *status) {
    switch (what) {
    case 'a': return expr_column(a, 0, array_type, true);
    case 'b': return expr_column(a, 1, array_type, true);
    case 'n': return expr_column(a, 2, &type_int, true);
    case 'm': return expr_column(a, 3, map_type, true);
    case '1': return expr_int(a, 1);
    case 'f': return lambda(a, ">", expr_column(a, 2, &type_int, true), 1, status);
    case '+': return lambda(a, "+", expr_column(a, 2, &type_int, true), 1, status);
    case '&': return lambda(a, "+", parameter(a, 1), 2, status);
    default: return lambda(a, "-", parameter(a, 1), 2, status);
    }
}

static struct expr *sample_expr(struct arena *a, const struct sample *s, enum status *status) {
    struct expr *args[4] = {NULL};
    uint32_t count = 0;
    for (const char *p = s->arguments; *p; p++) {
        args[count] = argument(a, *p, status);
        bool two = *p == '+' && (strcmp(s->function, "transform_keys") == 0);
        if (args[count] && args[count]->kind == EXPR_LAMBDA && (two || s->arguments[0] == 'm')) args[count]->parameter_count = strchr(s->function, 'z') ? 3 : 2;
        count++;
    }
    return call(a, s->function, args, count, status);
}

// --- running ---

struct answer {
    struct column column;
    struct eval eval;
};

static enum status run(struct arena *a, struct memory *m, struct expr *x, const struct column *input, uint32_t row_count, const struct rows *rows, struct answer *out) {
    const struct program *p;
    struct error e;
    error_clear(&e);
    enum status status = program_compile(a, &session, &x, 1, NULL, &p, &e);
    if (status != STATUS_OK && status != STATUS_NO_MEMORY) print_message("%s %s\n", e.condition, e.message);
    TRY(status);
    eval_begin(&out->eval, &session, m, a, NULL, 0, row_count);
    return program_run(p, input, row_count, rows, &out->eval, &out->column);
}

// The row's value or error as text.
static const char *shown(struct arena *a, const struct answer *answer, uint32_t row) {
    for (uint32_t i = 0; i < answer->eval.error_count; i++)
        if (answer->eval.errors[i].row == row) return arena_printf(a, "!%s", answer->eval.errors[i].condition);
    if (!column_is_valid(&answer->column, row)) return "NULL";
    struct buffer text;
    struct column flat;
    assert_int_equal(column_flatten(a, &answer->column, answer->eval.row_count, &flat), STATUS_OK);
    buffer_init(&text, &memory);
    assert_int_equal(value_print(&flat, row, &timezone_utc, &text), STATUS_OK);
    const char *out = arena_strndup(a, text.data ? (const char *)text.data : "", text.size_bytes);
    buffer_release(&text);
    return out;
}

// What the row gives when it is a batch of its own.
static const char *alone(struct arena *a, struct expr *x, const struct column *input, uint32_t row) {
    struct column one[INPUTS];
    struct answer answer;
    struct rows rows = {.indices = NULL, .count = 1};
    for (int i = 0; i < INPUTS; i++) {
        struct column flat;
        assert_int_equal(column_flatten(a, &input[i], ROWS, &flat), STATUS_OK);
        assert_int_equal(column_gather(a, &flat, &row, 1, &one[i]), STATUS_OK);
    }
    assert_int_equal(run(a, &memory, x, one, 1, &rows, &answer), STATUS_OK);
    return shown(a, &answer, 0);
}

static void check_sample(const struct sample *s, struct random *random, enum shape shape, bool selected) {
    struct arena a;
    arena_init(&a, &memory);
    struct column input[INPUTS];
    for (int i = 0; i < INPUTS; i++) input[i] = shaped_input(&a, random, i, shape);
    uint16_t indices[ROWS];
    struct rows rows = {.indices = selected ? indices : NULL, .count = selected ? 0 : ROWS};
    for (uint32_t row = 0; row < ROWS && selected; row++)
        if (random_below(random, 3) == 0) indices[rows.count++] = (uint16_t)row;
    enum status status = STATUS_OK;
    struct expr *x = sample_expr(&a, s, &status);
    assert_non_null(x);
    struct answer answer;
    status = run(&a, &memory, x, input, ROWS, &rows, &answer);
    if (status != STATUS_OK) print_message("%s(%s), shape %d\n", s->function, s->arguments, (int)shape);
    assert_int_equal(status, STATUS_OK);
    uint32_t values = 0, step = shape == SHAPE_FLAT ? 1 : 17;
    for (uint32_t i = 0; i < rows.count; i += step) {
        uint32_t row = rows_at(&rows, i);
        const char *together = shown(&a, &answer, row), *single = alone(&a, x, input, row);
        if (strcmp(together, single) != 0) {
            print_message("%s(%s), shape %d, row %u: %.200s, alone %.200s\n", s->function, s->arguments, (int)shape, row, together, single);
            fail();
        }
        values += strcmp(together, "NULL") != 0;
    }
    if (shape == SHAPE_FLAT) assert_true(values > 10);
    arena_release(&a);
}

static void test_rows_stand_alone(void **state) {
    (void)state;
    struct random random;
    random_seed(&random, seed);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        for (int shape = 0; shape < SHAPE_COUNT; shape++)
            for (int selected = 0; selected < 2; selected++) check_sample(&samples[i], &random, (enum shape)shape, selected);
}

// --- twins in plain C ---

static int compare_ints(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void test_plain_twins(void **state) {
    (void)state;
    struct arena a;
    struct random random;
    arena_init(&a, &memory);
    random_seed(&random, seed + 1);
    struct column input[INPUTS];
    for (int i = 0; i < INPUTS; i++) input[i] = shaped_input(&a, &random, i, SHAPE_FLAT);
    struct rows rows = {.indices = NULL, .count = ROWS};
    enum status status = STATUS_OK;
    struct expr *compact = sample_expr(&a, &(struct sample){"array_compact", "a"}, &status), *difference = argument(&a, '-', &status);
    struct expr *sorts[2] = {call(&a, "array_sort", &compact, 1, &status), call(&a, "array_sort", (struct expr *[]){compact, difference}, 2, &status)};
    for (int k = 0; k < 2; k++) {
        struct answer answer;
        uint32_t elements = 0;
        assert_int_equal(run(&a, &memory, sorts[k], input, ROWS, &rows, &answer), STATUS_OK);
        for (uint32_t row = 0; row < ROWS; row++) {
            assert_int_equal(column_is_valid(&input[0], row), column_is_valid(&answer.column, row));
            if (!column_is_valid(&input[0], row)) continue;
            int32_t expected[4096];
            uint32_t count = 0;
            for (int32_t i = column_list_begin(&input[0], row); i < column_list_end(&input[0], row); i++)
                if (column_is_valid(&input[0].children[0], (uint32_t)i)) expected[count++] = column_int32(&input[0].children[0], (uint32_t)i);
            qsort(expected, count, sizeof *expected, compare_ints);
            int32_t begin = column_list_begin(&answer.column, row);
            assert_int_equal(column_list_end(&answer.column, row) - begin, count);
            for (uint32_t i = 0; i < count; i++) assert_int_equal(column_int32(&answer.column.children[0], (uint32_t)begin + i), expected[i]);
            elements += count;
        }
        assert_true(elements > ROWS);
    }
    arena_release(&a);
}

// Every allocation refused in turn: an answer of STATUS_NO_MEMORY, nothing leaked, nothing read that is not there.
static void test_no_memory(void **state) {
    (void)state;
    struct arena inputs;
    struct random random;
    arena_init(&inputs, &memory);
    random_seed(&random, seed + 2);
    struct column input[INPUTS];
    for (int i = 0; i < INPUTS; i++) input[i] = shaped_input(&inputs, &random, i, SHAPE_FLAT);
    uint16_t few[40];
    for (uint16_t i = 0; i < 40; i++) few[i] = (uint16_t)(i + 10);
    struct rows rows = {.indices = few, .count = 40};
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++) {
        bool finished = false;
        uint32_t refused = 0;
        for (int64_t nth = 0; nth < 2000 && !finished; nth++) {
            struct memory scarce;
            struct arena a;
            memory_init(&scarce, "scarce", NULL, 0);
            arena_init(&a, &scarce);
            a.next_chunk_bytes = 256;
            atomic_store(&scarce.fail_countdown, nth);
            enum status status = STATUS_OK;
            struct answer answer;
            struct expr *x = sample_expr(&a, &samples[i], &status);
            if (status == STATUS_OK) status = x ? run(&a, &scarce, x, input, ROWS, &rows, &answer) : STATUS_NO_MEMORY;
            if (status != STATUS_OK) assert_int_equal(status, STATUS_NO_MEMORY);
            finished = status == STATUS_OK;
            refused += !finished;
            atomic_store(&scarce.fail_countdown, -1);
            arena_release(&a);
            assert_int_equal(memory_used(&scarce), 0);
        }
        assert_true(finished && refused > 2);
    }
    arena_release(&inputs);
}

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    memory_init(&memory, "test", NULL, 0);
    struct arena types;
    arena_init(&types, &memory);
    array_type = type_array(&types, &type_int, true);
    map_type = type_map(&types, &type_int, &type_int, true);
    session = (struct session){.zone = &timezone_utc, .seed = 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_stand_alone), cmocka_unit_test(test_plain_twins), cmocka_unit_test(test_no_memory),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    arena_release(&types);
    return failed;
}
