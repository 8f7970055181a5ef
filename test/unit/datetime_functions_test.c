// SPDX-License-Identifier: Apache-2.0
// datetime_functions_test.c: unit tests of expr/datetime_pattern.h: patterns on random moments and zones, random patterns and texts (for
// the sanitizers), failing allocations. What the functions answer is in test/sql/datetime.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "column/datetime.h"
#include "expr/datetime_pattern.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct memory memory;
static struct timezone_set *zones;
static struct arena arena;
static struct random numbers;

static int set_up(void **state) {
    (void)state;
    const char *seed = getenv("SEED");
    uint64_t value = seed ? strtoull(seed, NULL, 10) : 1;
    printf("SEED=%llu\n", (unsigned long long)value);
    random_seed(&numbers, value);
    memory_init(&memory, "test", NULL, 0);
    arena_init(&arena, &memory);
    zones = timezone_set_new(&memory);
    return zones ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    timezone_set_free(zones);
    arena_release(&arena);
    assert_int_equal(memory_used(&memory), 0);
    return 0;
}

static const struct datetime_pattern *compile(const char *text, enum datetime_use use) {
    const char *condition;
    const struct datetime_pattern *p = datetime_pattern_compile(&arena, text, strlen(text), use, &condition);
    if (!p) {
        printf("%s: %s\n", text, condition ? condition : "no memory");
        fail();
    }
    return p;
}

// What is printed with all of a moment in it reads back as that moment.
static void test_round_trip(void **state) {
    (void)state;
    static const char *const patterns[] = {
        "yyyy-MM-dd HH:mm:ss.SSSSSS XXXXX", "d MMMM yyyy G, hh:mm:ss.SSSSSS a ZZZZZ", "DDD/yyyy k:m:s.SSSSSS xxxxx", "yyyy-MM-dd'T'HH:mm:ss.SSSSSS['['VV']']",
        "GGGG yyyyy LLL dd KK:mm:ss a.SSSSSS VV",
    };
    static const char *const names[] = {"UTC", "Europe/Paris", "America/St_Johns", "Asia/Kolkata", "+05:45", "Pacific/Apia"};
    uint64_t tried = 0;
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        const struct datetime_pattern *print = compile(patterns[i], DATETIME_PRINT), *read = compile(patterns[i], DATETIME_READ);
        bool by_name = strstr(patterns[i], "VV") != NULL;
        char *text = arena_alloc(&arena, datetime_pattern_text_max(print));
        for (int k = 0; k < 20000; k++) {
            const struct timezone *zone = timezone_find(zones, names[k % 6], strlen(names[k % 6]));
            assert_non_null(zone);
            int64_t us = (int64_t)random_below(&numbers, UINT64_C(253402300800000000)) - (k % 2 ? INT64_C(62135000000000000) : 0), wall_us, back;
            if (us >= INT64_C(253402000000000000)) continue;  // years have four digits
            size_t size = datetime_pattern_print(print, us, zone, text);
            assert_true(size <= datetime_pattern_text_max(print));
            assert_true(datetime_pattern_read(read, text, size, zones, NULL, &wall_us, &back));
            // A wall time that comes twice is taken for the earlier.
            bool same = back == us || (by_name && wall_us == timezone_to_wall(zone, us));
            if (!same) printf("%s: %.*s\n", patterns[i], (int)size, text);
            assert_true(same);
            assert_true(wall_us == timezone_to_wall(zone, us));
            tried++;
        }
    }
    assert_true(tried > 90000);
}

static void test_ends_of_the_range(void **state) {
    (void)state;
    const struct datetime_pattern *p = compile("yyyy-MM-dd HH:mm:ss.SSSSSS D E Q F G a h k K VV z O XXXXX", DATETIME_PRINT);
    const struct timezone *east = timezone_find(zones, "+18:00", 6), *west = timezone_find(zones, "-18:00", 6);
    char *text = arena_alloc(&arena, datetime_pattern_text_max(p));
    int64_t moments[] = {INT64_MIN, INT64_MIN + 1, -1, 0, 1, INT64_MAX - 1, INT64_MAX};
    for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
        assert_true(datetime_pattern_print(p, moments[i], NULL, text) <= datetime_pattern_text_max(p));
        assert_true(datetime_pattern_print(p, moments[i], east, text) <= datetime_pattern_text_max(p));
        assert_true(datetime_pattern_print(p, moments[i], west, text) <= datetime_pattern_text_max(p));
    }
}

static size_t random_text(const char *alphabet, size_t size_max, char *out) {
    size_t size = random_below(&numbers, size_max), count = strlen(alphabet);
    for (size_t i = 0; i < size; i++) out[i] = i && random_below(&numbers, 2) ? out[i - 1] : alphabet[random_below(&numbers, count)];
    return size;
}

// Any pattern and any text: an answer, and within the room promised.
static void test_random(void **state) {
    (void)state;
    static const char letters[] = "GyMLQqdDEFahHkKmsSVzOXxZ yMdHms[]'-:.,T0年YWwuecABnNpbgv{}#";
    uint64_t compiled = 0, fitted = 0;
    for (int i = 0; i < 100000; i++) {
        char pattern[24], text[40];
        const char *condition = NULL;
        int64_t wall_us, us;
        size_t size = random_text(letters, sizeof pattern, pattern);
        arena_reset(&arena);
        const struct datetime_pattern *p = datetime_pattern_compile(&arena, pattern, size, i % 2 ? DATETIME_READ : DATETIME_PRINT, &condition);
        assert_true((p != NULL) == (condition == NULL));
        if (!p) {
            assert_non_null(datetime_pattern_message(condition));
            continue;
        }
        compiled++;
        size_t printed_max = datetime_pattern_text_max(p);
        char *printed = arena_alloc(&arena, printed_max);
        size_t printed_size = datetime_pattern_print(p, (int64_t)random_next(&numbers), NULL, printed);
        assert_true(printed_size <= printed_max);
        if (i % 2 == 0) continue;
        fitted += datetime_pattern_read(p, printed, printed_size, zones, NULL, &wall_us, &us);
        size = random_text("0123456789-+:. JanMarGMTUTCZ/", sizeof text, text);
        fitted += datetime_pattern_read(p, text, size, zones, NULL, &wall_us, &us);
    }
    assert_true(compiled > 1000 && fitted > 100);
}

static void test_no_memory(void **state) {
    (void)state;
    static const char text[] = "yyyy-MM-dd'T'HH:mm:ss[.SSS][XX]";
    int failed = 0;
    for (int64_t n = 1;; n++) {
        struct memory poor;
        struct arena small;
        const char *condition = "unset";
        memory_init(&poor, "test", NULL, 0);
        arena_init(&small, &poor);
        atomic_store(&poor.fail_countdown, n);
        const struct datetime_pattern *p = datetime_pattern_compile(&small, text, strlen(text), DATETIME_READ, &condition);
        arena_release(&small);
        assert_int_equal(memory_used(&poor), 0);
        if (p) break;
        assert_null(condition);
        failed++;
    }
    assert_true(failed > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_ends_of_the_range), cmocka_unit_test(test_random), cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests_name("datetime patterns", tests, set_up, tear_down);
}
