// SPDX-License-Identifier: Apache-2.0
// expr_test.c: expressions from binding to columns.
//
// Kernels are checked against twins that compute one row at a time, on random input with NULLs, under every form of an argument (flat,
// constant, dictionary) and with and without a selection. The rest are small facts: what is evaluated under CASE, what a lambda sees, what a
// cast refuses. A seed can be given as the first argument; it is printed.
#include "base/random.h"
#include "column/value.h"
#include "expr/cast.h"
#include "expr/coerce.h"
#include "expr/function.h"
#include "expr/program.h"
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static uint64_t seed = 20261122;
static struct memory memory;
static struct timezone_set *zones;
static struct clock virtual_clock = {.is_virtual = true, .virtual_us = INT64_C(1704067200000000)};
static struct session session;

struct bench {
    struct arena arena;
    struct random random;
};

static void bench_begin(struct bench *b) {
    arena_init(&b->arena, &memory);
    random_seed(&b->random, seed);
}
static void bench_end(struct bench *b) { arena_release(&b->arena); }

static struct expr *call(struct bench *b, const char *name, struct expr *first, struct expr *second) {
    struct expr *args[2] = {first, second}, *out = NULL;
    struct error e;
    error_clear(&e);
    enum status status = function_call_named(&b->arena, &session, name, args, second ? 2 : first ? 1 : 0, (struct span){0, 0}, &out, &e);
    if (status != STATUS_OK) print_message("%s: %s %s\n", name, e.condition, e.message);
    assert_int_equal(status, STATUS_OK);
    return out;
}

static const char *refused(struct bench *b, const char *name, struct expr *first, struct expr *second) {
    struct expr *args[2] = {first, second}, *out = NULL;
    struct error e;
    error_clear(&e);
    assert_int_not_equal(function_call_named(&b->arena, &session, name, args, second ? 2 : 1, (struct span){0, 0}, &out, &e), STATUS_OK);
    return arena_strdup(&b->arena, e.condition);
}

// Folds a constant expression to its text; "!CONDITION" if it fails.
static const char *fold(struct bench *b, struct expr *x) {
    const struct column *c;
    struct error e;
    error_clear(&e);
    if (program_fold(&b->arena, &session, x, &c, &e) != STATUS_OK) return arena_printf(&b->arena, "!%s", e.condition);
    if (!column_is_valid(c, 0)) return "NULL";
    struct buffer text;
    buffer_init(&text, &memory);
    assert_int_equal(value_print(c, 0, session.zone, &text), STATUS_OK);
    const char *out = arena_strndup(&b->arena, (const char *)text.data, text.size_bytes);
    buffer_release(&text);
    return out;
}

static const struct type type_decimal_any = {.id = TYPE_DECIMAL, .precision = 38};  // 16 bytes a value, as a string view

static struct expr *text(struct bench *b, const char *s) { return expr_string(&b->arena, s, strlen(s)); }
static struct expr *cast(struct bench *b, struct expr *x, const struct type *to) { return expr_cast(&b->arena, x, to, CAST_ANSI); }
static struct expr *real(struct bench *b, const char *s) { return cast(b, text(b, s), &type_double); }

// --- random columns ---

enum { ROWS = 1000 };

static int64_t random_value(struct random *r, const struct type *t) {
    int64_t v = (int64_t)random_next(r);
    switch (random_below(r, 4)) {
    case 0: v = (int64_t)random_below(r, 7) - 3; break;
    case 1: v = (int64_t)random_below(r, 2000) - 1000; break;
    case 2: v = v < 0 ? INT64_MIN + (int64_t)random_below(r, 2) : INT64_MAX - (int64_t)random_below(r, 2); break;
    default: break;
    }
    switch (t->id) {
    case TYPE_TINYINT: return random_below(r, 4) ? (int8_t)v : v < 0 ? INT8_MIN : INT8_MAX;
    case TYPE_SMALLINT: return random_below(r, 4) ? (int16_t)v : v < 0 ? INT16_MIN : INT16_MAX;
    case TYPE_INT: return random_below(r, 4) ? (int32_t)v : v < 0 ? INT32_MIN : INT32_MAX;
    default: return v;
    }
}

static void put(struct column *c, uint32_t row, int64_t v) {
    switch (type_width(c->type)) {
    case 1: ((int8_t *)c->values)[row] = (int8_t)v; break;
    case 2: ((int16_t *)c->values)[row] = (int16_t)v; break;
    case 4: ((int32_t *)c->values)[row] = (int32_t)v; break;
    default: ((int64_t *)c->values)[row] = v;
    }
}
static int64_t get(const struct column *c, uint32_t row) {
    switch (type_width(c->type)) {
    case 1: return column_int8(c, row);
    case 2: return column_int16(c, row);
    case 4: return column_int32(c, row);
    default: return column_int64(c, row);
    }
}

enum shape { SHAPE_FLAT, SHAPE_NULLS, SHAPE_CONSTANT, SHAPE_DICTIONARY, SHAPE_COUNT };

static struct column random_column(struct bench *b, const struct type *t, enum shape shape) {
    struct column c;
    uint32_t count = shape == SHAPE_CONSTANT ? 1 : shape == SHAPE_DICTIONARY ? 13 : ROWS;
    assert_int_equal(column_make(&b->arena, t, count, shape == SHAPE_NULLS || shape == SHAPE_DICTIONARY, &c), STATUS_OK);
    for (uint32_t i = 0; i < count; i++) {
        put(&c, i, t->id == TYPE_BOOLEAN ? (int64_t)random_below(&b->random, 2) : random_value(&b->random, t));
        if (c.validity && random_below(&b->random, 4) == 0) bitmap_clear(c.validity, i);
    }
    if (shape == SHAPE_CONSTANT) c.form = COLUMN_CONSTANT;
    if (shape == SHAPE_DICTIONARY) {
        struct column d = {.type = t, .form = COLUMN_DICTIONARY};
        uint16_t *codes = arena_alloc(&b->arena, ROWS * sizeof *codes);
        for (uint32_t i = 0; i < ROWS; i++) codes[i] = (uint16_t)random_below(&b->random, count);
        d.codes = codes;
        d.children = arena_alloc(&b->arena, sizeof c);
        d.children[0] = c;
        c = d;
    }
    c.row_count = ROWS;
    return c;
}

static struct rows random_rows(struct bench *b, bool selected) {
    if (!selected) return (struct rows){.indices = NULL, .count = ROWS};
    uint16_t *indices = arena_alloc(&b->arena, ROWS * sizeof *indices);
    uint32_t count = 0, one_in = 1 + (uint32_t)random_below(&b->random, 4);
    for (uint32_t i = 0; i < ROWS; i++)
        if (random_below(&b->random, one_in) == 0) indices[count++] = (uint16_t)i;
    return (struct rows){.indices = indices, .count = count};
}

static struct column run(struct bench *b, struct expr *x, const struct column *input, const struct rows *rows, struct eval *eval) {
    const struct program *p;
    struct error e;
    struct column out;
    assert_int_equal(program_compile(&b->arena, &session, &x, 1, NULL, &p, &e), STATUS_OK);
    eval_begin(eval, &session, &memory, &b->arena, NULL, virtual_clock.virtual_us, ROWS);
    assert_int_equal(program_run(p, input, ROWS, rows, eval, &out), STATUS_OK);
    return out;
}

// --- arithmetic and comparison against twins ---

enum twin { TWIN_VALUE, TWIN_FAILS };

static enum twin twin_arithmetic(const char *op, const struct type *t, int64_t a, int64_t b, int64_t *out) {
    __int128 exact = 0;
    if (!strcmp(op, "+")) exact = (__int128)a + b;
    else if (!strcmp(op, "-")) exact = (__int128)a - b;
    else if (!strcmp(op, "*")) exact = (__int128)a * b;
    else if (b == 0) return TWIN_FAILS;
    else if (!strcmp(op, "div")) exact = (__int128)a / b;
    else if (!strcmp(op, "%")) exact = (__int128)a % b;
    else {
        exact = (__int128)a % b;
        if (exact < 0) exact = (exact + b) % b;
    }
    int bits = (int)type_width(t) * 8;
    __int128 limit = (__int128)1 << (bits - 1);
    *out = (int64_t)exact;
    return exact < -limit || exact >= limit ? TWIN_FAILS : TWIN_VALUE;
}

static void check_arithmetic(struct bench *b, const char *op, const struct type *t, enum shape left, enum shape right, bool selected) {
    struct column input[2] = {random_column(b, t, left), random_column(b, t, right)};
    struct expr *x = call(b, op, expr_column(&b->arena, 0, t, true), expr_column(&b->arena, 1, t, true));
    struct rows rows = random_rows(b, selected);
    struct eval eval;
    struct column out = run(b, x, input, &rows, &eval);
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t row = rows_at(&rows, i);
        bool failed = eval.failed && bitmap_get(eval.failed, row);
        if (!column_is_valid(&input[0], row) || !column_is_valid(&input[1], row)) {
            assert_false(column_is_valid(&out, row));
            assert_false(failed);
            continue;
        }
        int64_t expected, a = get(&input[0], row), c = get(&input[1], row);
        enum twin twin = twin_arithmetic(op, x->type, a, c, &expected);
        if (failed != (twin == TWIN_FAILS)) print_message("%s row %u: %lld %lld\n", op, row, (long long)a, (long long)c);
        assert_int_equal(failed, twin == TWIN_FAILS);
        if (twin == TWIN_FAILS) continue;
        assert_true(column_is_valid(&out, row));
        if (get(&out, row) != expected) print_message("%s %lld %lld\n", op, (long long)a, (long long)c);
        assert_true(get(&out, row) == expected);
    }
}

static void test_arithmetic(void **state) {
    (void)state;
    static const char *const ops[] = {"+", "-", "*", "%", "pmod"};
    const struct type *const types[] = {&type_tinyint, &type_smallint, &type_int, &type_bigint};
    for (size_t o = 0; o < sizeof ops / sizeof *ops; o++) {
        for (size_t t = 0; t < 4; t++) {
            struct bench b;
            bench_begin(&b);
            for (int shapes = 0; shapes < SHAPE_COUNT * SHAPE_COUNT * 2; shapes++)
                check_arithmetic(&b, ops[o], types[t], (enum shape)(shapes / 2 % SHAPE_COUNT), (enum shape)(shapes / 2 / SHAPE_COUNT), shapes % 2);
            if (t == 3) check_arithmetic(&b, "div", types[t], SHAPE_NULLS, SHAPE_NULLS, true);
            bench_end(&b);
        }
    }
}

static void test_remainder_by_constant(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    for (int round = 0; round < 300; round++) {
        struct column input = random_column(&b, &type_bigint, round % 2 ? SHAPE_NULLS : SHAPE_FLAT);
        int64_t divisor = round < 50 ? round + 1 : random_value(&b.random, &type_bigint);
        if (divisor == 0) continue;
        struct expr *x = call(&b, "%", expr_column(&b.arena, 0, &type_bigint, true), expr_bigint(&b.arena, divisor));
        struct rows rows = random_rows(&b, round % 3 == 0);
        struct eval eval;
        struct column out = run(&b, x, &input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            if (!column_is_valid(&input, row)) continue;
            int64_t expected = divisor == -1 ? 0 : get(&input, row) % divisor;
            assert_true(get(&out, row) == expected);
        }
        struct column zero = run(&b, call(&b, "=", x, expr_int(&b.arena, 0)), &input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            if (column_is_valid(&input, row)) assert_int_equal(column_bool(&zero, row), divisor == -1 || get(&input, row) % divisor == 0);
        }
    }
    bench_end(&b);
}

static void test_comparison(void **state) {
    (void)state;
    static const char *const ops[] = {"=", "<>", "<", "<=", ">", ">=", "<=>"};
    const struct type *const types[] = {&type_tinyint, &type_int, &type_bigint, &type_date, &type_timestamp};
    struct bench b;
    bench_begin(&b);
    for (int round = 0; round < 7 * 5 * 32; round++) {
        int op = round % 7;
        const struct type *t = types[round / 7 % 5];
        struct column input[2] = {random_column(&b, t, (enum shape)(round / 35 % 4)), random_column(&b, t, (enum shape)(round / 140 % 4))};
        struct expr *x = call(&b, ops[op], expr_column(&b.arena, 0, t, true), expr_column(&b.arena, 1, t, true));
        struct rows rows = random_rows(&b, round / 560);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            bool l = column_is_valid(&input[0], row), r = column_is_valid(&input[1], row);
            int64_t a = l ? get(&input[0], row) : 0, c = r ? get(&input[1], row) : 0;
            bool twins[] = {a == c, a != c, a < c, a <= c, a > c, a >= c, l == r && a == c};
            if (op < 6) assert_int_equal(column_is_valid(&out, row), l && r);
            if (op == 6 || (l && r)) assert_int_equal(column_bool(&out, row), twins[op]);
        }
    }
    bench_end(&b);
}

static void test_logic(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    for (int round = 0; round < 64; round++) {
        bool is_and = round % 2;
        struct column input[2] = {random_column(&b, &type_boolean, (enum shape)(round / 2 % 4)), random_column(&b, &type_boolean, (enum shape)(round / 8 % 4))};
        struct expr *right = expr_column(&b.arena, 1, &type_boolean, true);
        // A right side that may fail is evaluated for narrowed rows, a column for all.
        struct expr *x = call(&b, is_and ? "and" : "or", expr_column(&b.arena, 0, &type_boolean, true), right);
        struct rows rows = random_rows(&b, round / 32);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            int l = column_is_valid(&input[0], row) ? column_bool(&input[0], row) : 2, r = column_is_valid(&input[1], row) ? column_bool(&input[1], row) : 2;
            int expected = is_and ? (l == 0 || r == 0 ? 0 : l == 2 || r == 2 ? 2 : 1) : (l == 1 || r == 1 ? 1 : l == 2 || r == 2 ? 2 : 0);
            assert_int_equal(column_is_valid(&out, row) ? column_bool(&out, row) : 2, expected);
        }
    }
    bench_end(&b);
}

// --- fractions, strings, decimals, LIKE ---

static struct column random_doubles(struct bench *b, enum shape shape) {
    static const double odd[] = {0.0, -0.0, 1.5, -1.5, 1e300, -1e300, INFINITY, -INFINITY, NAN};
    struct column c = random_column(b, &type_bigint, shape == SHAPE_DICTIONARY ? SHAPE_NULLS : shape);
    double *values = c.values;
    for (uint32_t i = 0; i < (shape == SHAPE_CONSTANT ? 1 : ROWS); i++) values[i] = odd[random_below(&b->random, sizeof odd / sizeof *odd)];
    c.type = &type_double;
    return c;
}

static int twin_order(double a, double c) {
    if (isnan(a) || isnan(c)) return isnan(a) - isnan(c);
    return (a > c) - (a < c);
}

static void test_fractions(void **state) {
    (void)state;
    static const char *const ops[] = {"=", "<", ">=", "+", "/"};
    struct bench b;
    bench_begin(&b);
    for (int round = 0; round < 5 * 3 * 3 * 2; round++) {
        struct column input[2] = {random_doubles(&b, (enum shape)(round / 5 % 3)), random_doubles(&b, (enum shape)(round / 15 % 3))};
        struct expr *x = call(&b, ops[round % 5], expr_column(&b.arena, 0, &type_double, true), expr_column(&b.arena, 1, &type_double, true));
        struct rows rows = random_rows(&b, round >= 45);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            if (!column_is_valid(&input[0], row) || !column_is_valid(&input[1], row)) continue;
            double a = column_double(&input[0], row), c = column_double(&input[1], row);
            int order = twin_order(a, c);
            if (round % 5 == 0) assert_int_equal(column_bool(&out, row), order == 0);
            else if (round % 5 == 1) assert_int_equal(column_bool(&out, row), order < 0);
            else if (round % 5 == 2) assert_int_equal(column_bool(&out, row), order >= 0);
            else if (round % 5 == 3) assert_int_equal(twin_order(column_double(&out, row), a + c), 0);
            else if (c == 0) assert_true(bitmap_get(eval.failed, row));
            else assert_int_equal(twin_order(column_double(&out, row), a / c), 0);
        }
    }
    bench_end(&b);
}

static struct column random_texts(struct bench *b, const char *letters, enum shape shape) {
    struct column c = random_column(b, &type_decimal_any, shape == SHAPE_DICTIONARY ? SHAPE_NULLS : shape);
    struct string_view *views = c.values;
    for (uint32_t i = 0; i < (shape == SHAPE_CONSTANT ? 1 : ROWS); i++) {
        size_t length = random_below(&b->random, 18);
        char *bytes = arena_alloc(&b->arena, length + 1);
        for (size_t k = 0; k < length; k++) bytes[k] = letters[random_below(&b->random, strlen(letters))];
        views[i] = string_view_of(bytes, length);
    }
    c.type = &type_string;
    return c;
}

static bool twin_like(const char *s, size_t n, const char *p, size_t m) {
    if (m == 0) return n == 0;
    if (*p == '%') return twin_like(s, n, p + 1, m - 1) || (n && twin_like(s + 1, n - 1, p, m));
    return n && (*p == '_' || *p == *s) && twin_like(s + 1, n - 1, p + 1, m - 1);
}

static void test_strings(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    for (int round = 0; round < 3 * 3 * 3 * 2; round++) {
        int op = round % 3;
        struct column input[2] = {random_texts(&b, "ab", (enum shape)(round / 3 % 3)), random_texts(&b, op == 2 ? "ab%_" : "ab", (enum shape)(round / 9 % 3))};
        struct expr *x = call(&b, op == 0 ? "=" : op == 1 ? "<" : "like", expr_column(&b.arena, 0, &type_string, true), expr_column(&b.arena, 1, &type_string, true));
        struct rows rows = random_rows(&b, round >= 27);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            if (!column_is_valid(&input[0], row) || !column_is_valid(&input[1], row)) continue;
            const struct string_view *s = column_string(&input[0], row), *p = column_string(&input[1], row);
            int order = string_view_compare(s, p);
            bool twin = op == 0 ? order == 0 : op == 1 ? order < 0 : twin_like(string_view_data(s), s->size_bytes, string_view_data(p), p->size_bytes);
            assert_int_equal(column_bool(&out, row), twin);
        }
    }
    bench_end(&b);
}

// Small decimals, so that a twin on 128-bit integers is exact.
static void test_decimals(void **state) {
    (void)state;
    static const char *const ops[] = {"+", "-", "*"};
    struct bench b;
    bench_begin(&b);
    const struct type *l = type_decimal(&b.arena, 9, 2), *r = type_decimal(&b.arena, 7, 4);
    for (int round = 0; round < 12; round++) {
        struct column input[2];
        for (int k = 0; k < 2; k++) {
            assert_int_equal(column_make(&b.arena, k ? r : l, ROWS, round % 2, &input[k]), STATUS_OK);
            for (uint32_t i = 0; i < ROWS; i++) {
                ((__int128 *)input[k].values)[i] = (int64_t)random_below(&b.random, 2000000) - 1000000;
                if (round % 2 && random_below(&b.random, 5) == 0) bitmap_clear(input[k].validity, i);
            }
        }
        struct expr *x = call(&b, ops[round % 3], expr_column(&b.arena, 0, l, true), expr_column(&b.arena, 1, r, true));
        struct rows rows = random_rows(&b, round >= 6);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        assert_int_equal(x->type->scale, round % 3 == 2 ? 6 : 4);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            if (!column_is_valid(&input[0], row) || !column_is_valid(&input[1], row)) continue;
            __int128 a = column_decimal(&input[0], row), c = column_decimal(&input[1], row);
            __int128 twin = round % 3 == 0 ? a * 100 + c : round % 3 == 1 ? a * 100 - c : a * c;
            assert_true(column_decimal(&out, row) == twin);
        }
    }
    bench_end(&b);
}

// --- narrowed evaluation ---

static struct expr *case_when(struct bench *b, struct expr *when, struct expr *then, struct expr *otherwise) {
    struct expr *args[3] = {when, then, otherwise}, *out = NULL;
    struct error e;
    assert_int_equal(function_call_named(&b->arena, &session, "if", args, 3, (struct span){0, 0}, &out, &e), STATUS_OK);
    return out;
}

static void test_case_guards_division(void **state) {
    (void)state;
    for (int shape = 0; shape < SHAPE_COUNT * 2; shape++) {
        struct bench b;
        bench_begin(&b);
        struct column input[2] = {random_column(&b, &type_bigint, SHAPE_NULLS), random_column(&b, &type_tinyint, (enum shape)(shape % SHAPE_COUNT))};
        struct expr *a = expr_column(&b.arena, 0, &type_bigint, true), *d = expr_column(&b.arena, 1, &type_tinyint, true);
        struct expr *x = case_when(&b, call(&b, "=", d, expr_int(&b.arena, 0)), expr_bigint(&b.arena, -7), call(&b, "%", a, d));
        struct rows rows = random_rows(&b, shape >= SHAPE_COUNT);
        struct eval eval;
        struct column out = run(&b, x, input, &rows, &eval);
        assert_int_equal(eval.error_count, 0);
        uint32_t guarded = 0;
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            bool known = column_is_valid(&input[1], row);
            int64_t divisor = known ? get(&input[1], row) : 0;
            if (known && divisor == 0) {
                guarded++;
                assert_true(column_int64(&out, row) == -7);
            } else if (!known || !column_is_valid(&input[0], row)) {
                assert_false(column_is_valid(&out, row));
            } else {
                assert_true(column_int64(&out, row) == (divisor == -1 ? 0 : get(&input[0], row) % divisor));
            }
        }
        assert_true(guarded > 0 || shape % SHAPE_COUNT > 1);
        bench_end(&b);
    }
}

static void test_and_guards(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct column input = random_column(&b, &type_tinyint, SHAPE_NULLS);
    struct expr *d = expr_column(&b.arena, 0, &type_tinyint, true), *zero = expr_int(&b.arena, 0);
    struct expr *risky = call(&b, ">", call(&b, "%", expr_int(&b.arena, 100), d), zero);
    struct rows rows = random_rows(&b, false);
    struct eval eval;
    (void)run(&b, call(&b, "and", call(&b, "<>", d, zero), risky), &input, &rows, &eval);
    assert_int_equal(eval.error_count, 0);
    (void)run(&b, call(&b, "or", call(&b, "=", d, zero), risky), &input, &rows, &eval);
    assert_int_equal(eval.error_count, 0);
    (void)run(&b, risky, &input, &rows, &eval);
    assert_true(eval.error_count > 0);
    bench_end(&b);
}

static void test_coalesce_and_try(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct column input = random_column(&b, &type_tinyint, SHAPE_NULLS);
    struct expr *d = expr_column(&b.arena, 0, &type_tinyint, true);
    struct expr *risky = call(&b, "div", expr_int(&b.arena, 100), d);
    struct expr *tried = expr_new(&b.arena, EXPR_TRY, risky->type, true, 1);
    tried->args[0] = risky;
    struct expr *x = call(&b, "coalesce", tried, expr_bigint(&b.arena, -1));
    struct rows rows = random_rows(&b, true);
    struct eval eval;
    struct column out = run(&b, x, &input, &rows, &eval);
    assert_int_equal(eval.error_count, 0);
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t row = rows_at(&rows, i);
        bool computed = column_is_valid(&input, row) && get(&input, row) != 0;
        assert_true(column_is_valid(&out, row));
        assert_true(column_int64(&out, row) == (computed ? 100 / get(&input, row) : -1));
    }
    bench_end(&b);
}

// --- lambdas ---

// A kernel that applies its lambda to each element of a list, as transform does.
static void kernel_apply(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)rows;
    const struct column *list = args[0];
    uint32_t count = (uint32_t)column_list_end(list, eval->row_count - 1);
    uint16_t *owners = eval_alloc(eval, (count + 1) * sizeof *owners);
    for (uint32_t row = 0; row < eval->row_count; row++)
        for (int32_t i = column_list_begin(list, row); i < column_list_end(list, row); i++) owners[i] = (uint16_t)row;
    struct column result;
    if (lambda_run(eval, 1, &list->children[0], 1, count, owners, &result) != STATUS_OK) return;
    uint64_t *validity = out->validity;
    *out = *list;
    out->type = list->type;
    out->validity = validity;
    out->children = eval_alloc(eval, sizeof result);
    out->children[0] = result;
}
static const struct function apply_function = {"apply", "", kernel_apply, NULL, 0, "", NULL, NULL};

static void test_lambda(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    const struct type *list_type = type_array(&b.arena, &type_bigint, true);
    struct column_builder lists;
    column_builder_init(&lists, &b.arena, list_type);
    for (uint32_t row = 0; row < ROWS; row++) {
        uint64_t length = random_below(&b.random, 20);
        for (uint64_t i = 0; i < length; i++) {
            int64_t v = (int64_t)random_below(&b.random, 1000);
            column_builder_append_fixed(&lists.children[0], &v);
        }
        column_builder_end_list(&lists);
    }
    struct column input[2];
    assert_int_equal(column_builder_finish(&lists, &input[0]), STATUS_OK);
    input[1] = random_column(&b, &type_tinyint, SHAPE_FLAT);
    // x → x % d, where d is a column of the batch: rows with d = 0 fail if they have elements.
    struct expr *parameter = expr_new(&b.arena, EXPR_PARAMETER, &type_bigint, true, 0);
    struct expr *body = call(&b, "%", parameter, expr_column(&b.arena, 1, &type_tinyint, true));
    struct expr *lambda = expr_new(&b.arena, EXPR_LAMBDA, body->type, true, 1);
    lambda->args[0] = body;
    lambda->parameter_count = 1;
    struct expr *x = expr_new(&b.arena, EXPR_CALL, list_type, true, 2);
    x->args[0] = expr_column(&b.arena, 0, list_type, true);
    x->args[1] = lambda;
    x->call = (struct call){.function = &apply_function, .kernel = kernel_apply};
    struct rows rows = {.indices = NULL, .count = ROWS};
    struct eval eval;
    struct column out = run(&b, x, input, &rows, &eval);
    assert_true(column_list_end(&input[0], ROWS - 1) > BATCH_ROWS);
    for (uint32_t row = 0; row < ROWS; row++) {
        int64_t d = get(&input[1], row);
        bool empty = column_list_begin(&input[0], row) == column_list_end(&input[0], row);
        assert_int_equal(eval.failed && bitmap_get(eval.failed, row), d == 0 && !empty);
        for (int32_t i = column_list_begin(&input[0], row); d != 0 && i < column_list_end(&input[0], row); i++)
            assert_true(column_int64(&out.children[0], (uint32_t)i) == (d == -1 ? 0 : column_int64(&input[0].children[0], (uint32_t)i) % d));
    }
    bench_end(&b);
}

// --- small facts ---

static void test_casts(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    static const struct {
        const char *text;
        const struct type *to;
        const char *expected;
    } facts[] = {
        {" 12 ", &type_int, "12"}, {"+5", &type_int, "5"}, {"1.9", &type_int, "!CAST_INVALID_INPUT"}, {"2147483648", &type_int, "!CAST_INVALID_INPUT"},
        {"Yes", &type_boolean, "true"}, {"maybe", &type_boolean, "!CAST_INVALID_INPUT"}, {"1e3", &type_double, "1000.0"}, {"inf", &type_double, "Infinity"},
        {"2024-1-2", &type_date, "2024-01-02"}, {"2024-13-01", &type_date, "!CAST_INVALID_INPUT"}, {"epoch", &type_date, "1970-01-01"}, {"today", &type_date, "2024-01-01"},
        {"2024-01-02T03:04:05+02:00", &type_timestamp, "2024-01-02 01:04:05"}, {"1 02:03:04.5", &type_interval_dt, "INTERVAL '1 02:03:04.5' DAY TO SECOND"},
        {"1-2", &type_interval_ym, "INTERVAL '1-2' YEAR TO MONTH"}, {"INTERVAL '1-2' YEAR TO MONTH", &type_interval_ym, "INTERVAL '1-2' YEAR TO MONTH"},
        {"x", &type_interval_dt, "!INVALID_INTERVAL_FORMAT.UNMATCHED_FORMAT_STRING_WITH_NOTICE"}, {"1 day 2 hours", &type_interval, "1 days 2 hours"}, {"x", &type_interval, "NULL"},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) assert_string_equal(fold(&b, cast(&b, text(&b, facts[i].text), facts[i].to)), facts[i].expected);
    const struct type *money = type_decimal(&b.arena, 5, 2);
    assert_string_equal(fold(&b, cast(&b, text(&b, "1.239"), money)), "1.24");
    assert_string_equal(fold(&b, cast(&b, text(&b, "999.995"), money)), "!NUMERIC_VALUE_OUT_OF_RANGE.WITH_SUGGESTION");
    assert_string_equal(fold(&b, cast(&b, expr_bigint(&b.arena, 300), &type_tinyint)), "!CAST_OVERFLOW");
    assert_string_equal(fold(&b, expr_cast(&b.arena, expr_bigint(&b.arena, 300), &type_tinyint, CAST_TRY)), "NULL");
    assert_string_equal(fold(&b, cast(&b, real(&b, "NaN"), money)), "NULL");
    assert_string_equal(fold(&b, cast(&b, real(&b, "-1.9"), &type_int)), "-1");
    assert_false(cast_allowed(&type_binary, &type_int));
    bench_end(&b);
}

static void test_facts(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct arena *a = &b.arena;
    struct expr *one = expr_int(a, 1), *null = expr_null(a, &type_null);
    assert_string_equal(fold(&b, call(&b, "/", expr_int(a, 7), expr_int(a, 2))), "3.5");
    assert_string_equal(fold(&b, call(&b, "/", one, expr_int(a, 0))), "!DIVIDE_BY_ZERO");
    assert_string_equal(fold(&b, call(&b, "+", expr_int(a, INT32_MAX), one)), "!ARITHMETIC_OVERFLOW");
    assert_string_equal(fold(&b, call(&b, "try_add", expr_int(a, INT32_MAX), one)), "NULL");
    assert_string_equal(fold(&b, call(&b, "+", text(&b, "5"), one)), "6");
    assert_string_equal(refused(&b, "+", text(&b, "5"), text(&b, "2")), "DATATYPE_MISMATCH.BINARY_OP_WRONG_TYPE");
    assert_string_equal(refused(&b, "=", one, expr_boolean(a, true)), "DATATYPE_MISMATCH.BINARY_OP_DIFF_TYPES");
    assert_string_equal(refused(&b, "abs", expr_boolean(a, true), NULL), "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE");
    assert_string_equal(refused(&b, "greatest", one, NULL), "WRONG_NUM_ARGS.WITHOUT_SUGGESTION");
    assert_string_equal(fold(&b, call(&b, "<=>", null, null)), "true");
    assert_string_equal(fold(&b, call(&b, "=", null, one)), "NULL");
    assert_string_equal(fold(&b, call(&b, "like", text(&b, "abcd"), text(&b, "a_c%"))), "true");
    assert_string_equal(fold(&b, call(&b, "like", text(&b, "a%c"), text(&b, "a\\%c"))), "true");
    assert_string_equal(fold(&b, call(&b, "ilike", text(&b, "ÉCOLE"), text(&b, "éc%"))), "true");
    assert_string_equal(refused(&b, "like", text(&b, "abc"), text(&b, "a\\bc")), "INVALID_FORMAT.ESC_IN_THE_MIDDLE");
    assert_string_equal(fold(&b, call(&b, "round", real(&b, "1.005"), expr_int(a, 2))), "1.01");
    assert_string_equal(fold(&b, call(&b, "bround", real(&b, "2.5"), NULL)), "2.0");
    assert_string_equal(fold(&b, call(&b, "floor", real(&b, "-1.2"), NULL)), "-2");
    assert_string_equal(fold(&b, call(&b, "pow", expr_int(a, 2), expr_int(a, 10))), "1024.0");
    assert_string_equal(fold(&b, call(&b, "log", expr_int(a, 0), NULL)), "NULL");
    assert_string_equal(fold(&b, call(&b, "nullif", one, one)), "NULL");
    assert_string_equal(fold(&b, call(&b, "typeof", call(&b, "+", expr_bigint(a, 1), one), NULL)), "bigint");
    struct expr *day = cast(&b, text(&b, "2024-01-31"), &type_date);
    assert_string_equal(fold(&b, call(&b, "+", day, one)), "2024-02-01");
    assert_string_equal(fold(&b, call(&b, "+", day, cast(&b, text(&b, "0-1"), &type_interval_ym))), "2024-02-29");
    assert_string_equal(fold(&b, call(&b, "-", day, cast(&b, text(&b, "2024-01-01"), &type_date))), "INTERVAL '30' DAY");
    assert_string_equal(fold(&b, call(&b, "assert_true", expr_boolean(a, false), NULL)), "!USER_RAISED_EXCEPTION");
    const struct type *d21 = type_decimal(a, 2, 1);
    struct expr *decimal = cast(&b, text(&b, "1.5"), d21);
    assert_string_equal(type_name(a, call(&b, "+", one, decimal)->type), "decimal(3,1)");
    assert_string_equal(type_name(a, call(&b, "/", expr_column(a, 0, &type_int, true), decimal)->type), "decimal(17,6)");
    assert_string_equal(type_name(a, coerce_common(a, &type_int, d21)), "decimal(11,1)");
    bench_end(&b);
}

static void test_in(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    for (uint32_t length = 1; length < 40; length += 6) {
        struct column input = random_column(&b, &type_tinyint, SHAPE_NULLS);
        struct expr *args[64], *x = NULL;
        int64_t list[64];
        bool with_null = length % 4 == 1;
        args[0] = expr_column(&b.arena, 0, &type_tinyint, true);
        for (uint32_t i = 0; i < length; i++) {
            list[i] = (int64_t)random_below(&b.random, 256) - 128;
            args[i + 1] = expr_int(&b.arena, (int32_t)list[i]);
        }
        if (with_null) args[length + 1] = expr_null(&b.arena, &type_null);
        struct error e;
        assert_int_equal(function_call_named(&b.arena, &session, "in", args, length + 1 + with_null, (struct span){0, 0}, &x, &e), STATUS_OK);
        struct rows rows = random_rows(&b, length % 2);
        struct eval eval;
        struct column out = run(&b, x, &input, &rows, &eval);
        for (uint32_t i = 0; i < rows.count; i++) {
            uint32_t row = rows_at(&rows, i);
            bool found = false, known = column_is_valid(&input, row);
            for (uint32_t k = 0; k < length; k++) found |= known && list[k] == get(&input, row);
            assert_int_equal(column_is_valid(&out, row), known && (found || !with_null));
            if (column_is_valid(&out, row)) assert_int_equal(column_bool(&out, row), found);
        }
    }
    bench_end(&b);
}

// Refuses every allocation in turn, while binding, compiling and running: an error must come out, never a crash.
static void test_no_memory(void **state) {
    (void)state;
    struct bench b;
    bench_begin(&b);
    struct column input[3] = {random_column(&b, &type_bigint, SHAPE_NULLS), random_column(&b, &type_tinyint, SHAPE_DICTIONARY), random_texts(&b, "ab", SHAPE_NULLS)};
    uint32_t refused_count = 0, finished = 0;
    for (int64_t nth = 0; nth < 400 && !finished; nth++) {
        struct memory scarce;
        struct arena arena;
        memory_init(&scarce, "scarce", NULL, 0);
        arena_init(&arena, &scarce);
        arena.next_chunk_bytes = 256;
        atomic_store(&scarce.fail_countdown, nth);
        struct expr *args[3] = {expr_column(&arena, 0, &type_bigint, true), expr_column(&arena, 1, &type_tinyint, true), expr_column(&arena, 2, &type_string, true)};
        struct expr *x = NULL, *list[3], *parts[3];
        struct error e;
        const struct program *p;
        struct column out;
        struct eval eval;
        struct rows rows = {.indices = NULL, .count = ROWS};
        struct span none = {0, 0};
        enum status status = args[0] && args[1] && args[2] ? STATUS_OK : STATUS_NO_MEMORY;
        if (status == STATUS_OK) status = function_call_named(&arena, &session, "try_mod", args, 2, none, &x, &e);
        if (status == STATUS_OK) list[0] = x, list[1] = expr_int(&arena, 1), list[2] = expr_int(&arena, 2);
        if (status == STATUS_OK && (!list[1] || !list[2])) status = STATUS_NO_MEMORY;
        if (status == STATUS_OK) status = function_call_named(&arena, &session, "in", list, 3, none, &parts[0], &e);
        if (status == STATUS_OK) parts[1] = expr_cast(&arena, x, &type_string, CAST_ANSI), parts[2] = args[2];
        if (status == STATUS_OK && !parts[1]) status = STATUS_NO_MEMORY;
        if (status == STATUS_OK) status = function_call_named(&arena, &session, "if", parts, 3, none, &x, &e);
        if (status == STATUS_OK) status = program_compile(&arena, &session, &x, 1, NULL, &p, &e);
        if (status == STATUS_OK) {
            eval_begin(&eval, &session, &scarce, &arena, NULL, 0, ROWS);
            status = program_run(p, input, ROWS, &rows, &eval, &out);
        }
        if (status == STATUS_OK) finished = 1;
        else if (status == STATUS_NO_MEMORY) refused_count++;
        else fail_msg("allocation %d: status %d %s", (int)nth, (int)status, e.message);
        atomic_store(&scarce.fail_countdown, -1);
        arena_release(&arena);
        assert_int_equal(memory_used(&scarce), 0);
    }
    assert_true(finished && refused_count > 5);
    bench_end(&b);
}

static void test_every_function_is_complete(void **state) {
    (void)state;
    uint32_t count = 0;
    for (size_t t = 0; function_tables[t]; t++) {
        for (size_t i = 0; i < function_tables[t]->count; i++) {
            const struct function *f = &function_tables[t]->functions[i];
            assert_non_null(f->name);
            assert_true(f->signature || f->bind);
            assert_true(f->kernel || f->bind);
            assert_non_null(function_find(f->name));
            if (!(f->flags & FUNCTION_HIDDEN)) assert_true(f->doc && f->example && f->result);
            count++;
        }
    }
    assert_true(count > 150);
}

int main(int argc, char **argv) {
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    print_message("seed %llu\n", (unsigned long long)seed);
    memory_init(&memory, "test", NULL, 0);
    zones = timezone_set_new(&memory);
    session = (struct session){.zones = zones, .zone = timezone_find(zones, "UTC", 3), .clock = &virtual_clock, .seed = 1};
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arithmetic), cmocka_unit_test(test_remainder_by_constant), cmocka_unit_test(test_comparison), cmocka_unit_test(test_logic),
        cmocka_unit_test(test_fractions), cmocka_unit_test(test_strings), cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_case_guards_division), cmocka_unit_test(test_and_guards), cmocka_unit_test(test_coalesce_and_try), cmocka_unit_test(test_lambda),
        cmocka_unit_test(test_casts), cmocka_unit_test(test_facts), cmocka_unit_test(test_in), cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_every_function_is_complete),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    timezone_set_free(zones);
    return failed;
}
