// SPDX-License-Identifier: Apache-2.0
// string_test.c: the functions over text. Small facts stand in test/sql/string; here is what tables of SQL do not reach:
//
//   twins     substring, substring_index, replace and split against versions that count characters one by one, on random text
//   regex     what is rewritten for PCRE2, and the limit of steps
//   hostile   every text function over bytes that are no UTF-8 and integers at their ends: no crash, no endless work
#include "base/random.h"
#include "base/utf8.h"
#include "column/value.h"
#include "expr/functions.h"
#include "expr/program.h"
#include "expr/regex_matcher.h"
#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

enum { ROWS = 48 };

struct bench {
    struct memory memory;
    struct arena arena;
    struct random random;
    struct session session;
};

static void bench_begin(struct bench *b) {
    memset(b, 0, sizeof *b);
    memory_init(&b->memory, "test", NULL, 64 << 20);
    arena_init(&b->arena, &b->memory);
    random_seed(&b->random, 7);
}

static void bench_end(struct bench *b) {
    arena_release(&b->arena);
    assert_int_equal(memory_used(&b->memory), 0);
}

static const char *result_of(struct bench *b, const char *name, struct expr *const *args, uint32_t count) {
    struct expr *call;
    struct error e;
    const struct column *value;
    error_clear(&e);
    if (function_call_named(&b->arena, &b->session, name, args, count, (struct span){0, 0}, &call, &e) != STATUS_OK ||
        program_fold(&b->arena, &b->session, call, &value, &e) != STATUS_OK)
        return arena_printf(&b->arena, "!%s", e.condition);
    if (!column_is_valid(value, 0)) return "NULL";
    struct buffer text;
    buffer_init(&text, &b->memory);
    assert_int_equal(value_print(value, 0, NULL, &text), STATUS_OK);
    char *copy = arena_strndup(&b->arena, text.size_bytes ? (const char *)text.data : "", text.size_bytes);
    buffer_release(&text);
    return copy;
}

static struct expr *literal(struct bench *b, const char *s) { return expr_string(&b->arena, s, strlen(s)); }

// A few characters of one to four bytes.
static char *random_text(struct bench *b, uint64_t length_below) {
    static const char *const characters[] = {"a", "b", ".", ".", "\xc3\xa9", "\xe6\x97\xa5", "\xf0\x9f\x98\x80"};
    char *out = arena_alloc_zeroed(&b->arena, length_below * 4 + 1);
    uint64_t length = random_below(&b->random, length_below);
    for (uint64_t i = 0, used = 0; i < length; i++) {
        const char *c = characters[random_below(&b->random, 7)];
        memcpy(out + used, c, strlen(c));
        used += strlen(c);
    }
    return out;
}

// Characters with an index in [from, to) counted one by one.
static char *characters_between(struct bench *b, const char *s, int64_t from, int64_t to) {
    char *out = arena_alloc_zeroed(&b->arena, strlen(s) + 1);
    size_t used = 0, length, size_bytes = strlen(s);
    int64_t index = 0;
    for (size_t at = 0; at < size_bytes; at += length, index++) {
        utf8_decode(s + at, size_bytes - at, &length);
        if (index < from || index >= to) continue;
        memcpy(out + used, s + at, length);
        used += length;
    }
    return out;
}

static void test_substring_has_a_twin(void **unused) {
    (void)unused;
    struct bench b;
    bench_begin(&b);
    for (int i = 0; i < 2000; i++) {
        const char *s = random_text(&b, 9);
        int32_t position = (int32_t)random_below(&b.random, 24) - 12, length = (int32_t)random_below(&b.random, 14) - 2;
        int64_t count = (int64_t)utf8_length(s, strlen(s));
        int64_t from = position > 0 ? position - 1 : position < 0 ? count + position : 0;
        struct expr *args[3] = {literal(&b, s), expr_int(&b.arena, position), expr_int(&b.arena, length)};
        assert_string_equal(result_of(&b, "substring", args, 3), characters_between(&b, s, from, from + length));
    }
    bench_end(&b);
}

static void test_replace_and_split_part_have_twins(void **unused) {
    (void)unused;
    struct bench b;
    bench_begin(&b);
    for (int i = 0; i < 1000; i++) {
        const char *s = random_text(&b, 12);
        // Split at dots, part by part, and put together again.
        char *joined = arena_alloc_zeroed(&b.arena, 100), *dashed = arena_alloc_zeroed(&b.arena, 100);
        int32_t parts = 1;
        for (const char *c = s; *c; c++) parts += *c == '.';
        for (int32_t part = 1; part <= parts; part++) {
            struct expr *args[3] = {literal(&b, s), literal(&b, "."), expr_int(&b.arena, part)};
            struct expr *back[3] = {args[0], args[1], expr_int(&b.arena, part - parts - 1)};
            const char *piece = result_of(&b, "split_part", args, 3);
            assert_string_equal(piece, result_of(&b, "split_part", back, 3));
            memcpy(joined + strlen(joined), piece, strlen(piece));
            memcpy(dashed + strlen(dashed), piece, strlen(piece));
            if (part < parts) joined[strlen(joined)] = '.', memcpy(dashed + strlen(dashed), "--", 2);
        }
        assert_string_equal(joined, s);
        struct expr *args[3] = {literal(&b, s), literal(&b, "."), literal(&b, "--")};
        assert_string_equal(result_of(&b, "replace", args, 3), dashed);
        // The first n and the rest after the last parts − n make the whole.
        int32_t n = (int32_t)random_below(&b.random, (uint64_t)parts) + 1;
        struct expr *left[3] = {literal(&b, s), literal(&b, "."), expr_int(&b.arena, n)};
        struct expr *right[3] = {literal(&b, s), literal(&b, "."), expr_int(&b.arena, n - parts)};
        const char *head = result_of(&b, "substring_index", left, 3), *tail = n == parts ? "" : result_of(&b, "substring_index", right, 3);
        assert_int_equal(strlen(head) + strlen(tail) + (n < parts), strlen(s));
        assert_memory_equal(head, s, strlen(head));
    }
    bench_end(&b);
}

static void test_regex_is_rewritten(void **unused) {
    (void)unused;
    static const char *const cases[][2] = {
        {"abc", "abc"},
        {"\\p{Alpha}+", "[[:alpha:]]+"},
        {"[\\p{Digit}x]", "(?:[[:digit:]x])"},
        {"\\P{Upper}", "[[:^upper:]]"},
        {"\\p{IsGreek}", "\\p{Greek}"},
        {"\\p{L}", "\\p{L}"},
        {"\\u00e9", "\\x{00e9}"},
        {"\\0101", "\\o{101}"},
        {"[a[bc]]", "(?:[abc])"},
        {"[a-z&&[^b]]", "(?:(?=(?:[^b]))[a-z])"},
        {"[[:alpha:]]", "(?:[\\:alph\\:])"},
        {"[]a]", "[]a]"},
        {"(?iU)a", "(?i)a"},
        {"(?<name>a)", "(?<name>a)"},
        {"\\Qa+b\\E", "a\\+b"},
    };
    struct bench b;
    bench_begin(&b);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct buffer out;
        buffer_init(&out, &b.memory);
        assert_true(regex_translate(text_of(cases[i][0]), &out));
        assert_int_equal(buffer_terminate(&out), STATUS_OK);
        // What stands twice in a class stands twice in the union.
        if (i != 10) assert_string_equal((const char *)out.data, cases[i][1]);
        buffer_release(&out);
    }
    bench_end(&b);
}

static void test_regex_steps_are_limited(void **unused) {
    (void)unused;
    struct bench b;
    bench_begin(&b);
    b.session.regex_match_limit = 10000;
    struct expr *args[2] = {literal(&b, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), literal(&b, "(a+)+(a+)+c")};
    const char *result = result_of(&b, "regexp_like", args, 2);
    // A library that sees at once that no "c" is there is right too.
    assert_true(!strcmp(result, "!LEAT_LIMIT_EXCEEDED") || !strcmp(result, "false"));
    struct expr *harder[2] = {literal(&b, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac"), literal(&b, "(?:(?:a|aa)+)+[bd]*$")};
    assert_string_equal(result_of(&b, "regexp_like", harder, 2), "!LEAT_LIMIT_EXCEEDED");
    struct expr *broken[2] = {literal(&b, "a"), literal(&b, "(")};
    assert_string_equal(result_of(&b, "regexp_like", broken, 2), "!INVALID_PARAMETER_VALUE.PATTERN");
    bench_end(&b);
}

// Hostile input

static void append_hostile(struct bench *b, struct column_builder *out, const struct type *type) {
    static const int64_t ends[] = {0, 1, -1, 2, 3, 8, 1000, INT32_MAX, INT32_MIN, INT64_MAX, INT64_MIN};
    static const char *const texts[] = {"%s%d%c%5$s%-08.3f", "[a-z&&[^b", "(a|b)*\\", "%E6%97%A", "http://[::1]:8/p?q=%zz#f", "#,##0.00", "a,b,,c", "UTF-16LE", "$1\\${x}", "\xff\xfe\xfd"};
    uint64_t r = random_next(&b->random);
    int64_t number = ends[r % 11];
    if (r % 13 == 0) {
        column_builder_append_null(out);
    } else if (type->id == TYPE_INT) {
        int32_t narrow = (int32_t)(number > INT32_MAX || number < INT32_MIN ? 5 : number);
        column_builder_append_fixed(out, &narrow);
    } else if (type->id == TYPE_BIGINT) {
        column_builder_append_fixed(out, &number);
    } else if (type->id == TYPE_DOUBLE) {
        double value = (double)number * 1.5;
        column_builder_append_fixed(out, &value);
    } else if (r % 3 == 0) {
        const char *text = texts[(r >> 8) % 10];
        column_builder_append_bytes(out, text, strlen(text), true);
    } else {
        char bytes[40];
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)random_next(&b->random);
        column_builder_append_bytes(out, bytes, (r >> 8) % sizeof bytes, true);
    }
}

// Binds and runs one call over hostile columns; false if the types do not fit the function.
static bool run_hostile(struct bench *b, const struct function *f, const struct type *const *types, uint32_t count) {
    struct column columns[4];
    struct expr *args[4], *call;
    struct error e;
    for (uint32_t i = 0; i < count; i++) {
        struct column_builder builder;
        column_builder_init(&builder, &b->arena, types[i]);
        for (int row = 0; row < ROWS; row++) append_hostile(b, &builder, types[i]);
        assert_int_equal(column_builder_finish(&builder, &columns[i]), STATUS_OK);
        args[i] = expr_column(&b->arena, i, types[i], true);
    }
    error_clear(&e);
    if (function_call(&b->arena, &b->session, f, f->name, args, count, (struct span){0, 0}, &call, &e) != STATUS_OK) return false;
    const struct program *program;
    assert_int_equal(program_compile(&b->arena, &b->session, &call, 1, NULL, &program, &e), STATUS_OK);
    struct rows rows = {.indices = NULL, .count = ROWS};
    struct eval eval = {0};
    struct column out;
    eval_begin(&eval, &b->session, &b->memory, &b->arena, NULL, 0, ROWS);
    enum status status = program_run(program, columns, ROWS, &rows, &eval, &out);
    assert_true(status == STATUS_OK || status == STATUS_NO_MEMORY);
    if (status != STATUS_OK) return true;
    // Reads every byte of every result.
    uint64_t hashes[ROWS] = {0};
    struct rows fine = {.indices = arena_alloc_array(&b->arena, ROWS, sizeof(uint16_t)), .count = 0};
    for (uint16_t row = 0; row < ROWS; row++)
        if (!eval.failed || !bitmap_get(eval.failed, row)) ((uint16_t *)(uintptr_t)fine.indices)[fine.count++] = row;
    value_hash_column(&out, &fine, hashes);
    return true;
}

static void test_hostile_input_is_survived(void **unused) {
    (void)unused;
    const struct function_table *const tables[] = {&string_functions, &case_functions, &pad_functions,  &search_functions, &format_functions, &number_functions,
                                                   &misc_functions,   &regex_functions, &url_functions, &base64_functions, &hash_functions};
    const struct type *const kinds[] = {&type_string, &type_int, &type_binary, &type_double, &type_bigint};
    uint32_t ran = 0;
    for (size_t t = 0; t < sizeof tables / sizeof tables[0]; t++) {
        for (size_t i = 0; i < tables[t]->count; i++) {
            bool any = false;
            for (uint32_t mix = 0; mix < 5 + 25 + 125; mix++) {
                struct bench b;
                bench_begin(&b);
                random_seed(&b.random, mix * 1000 + i);
                uint32_t count = mix < 5 ? 1 : mix < 30 ? 2 : 3, digits = mix < 5 ? mix : mix < 30 ? mix - 5 : mix - 30;
                const struct type *types[4] = {kinds[digits % 5], kinds[digits / 5 % 5], kinds[digits / 25 % 5], &type_int};
                any |= run_hostile(&b, &tables[t]->functions[i], types, count);
                bench_end(&b);
            }
            struct bench b;
            bench_begin(&b);
            any |= run_hostile(&b, &tables[t]->functions[i], (const struct type *const[]){&type_string, &type_string, &type_int, &type_int}, 4);
            bench_end(&b);
            if (!any) fail_msg("%s: no types fit", tables[t]->functions[i].name);
            ran++;
        }
    }
    assert_true(ran >= 60);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_substring_has_a_twin),   cmocka_unit_test(test_replace_and_split_part_have_twins),
        cmocka_unit_test(test_regex_is_rewritten),     cmocka_unit_test(test_regex_steps_are_limited),
        cmocka_unit_test(test_hostile_input_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
