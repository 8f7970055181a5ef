// SPDX-License-Identifier: Apache-2.0
// sketch_test.c: HyperLogLog++ and the quantile summary: errors within bounds, merging, saving, failing memory, and Spark's own answers.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include <math.h>
#include "base/random.h"
#include "sketch/hyperloglog.h"
#include "sketch/quantiles.h"
#include <xxhash.h>

static void precisions(void **state) {
    (void)state;
    assert_int_equal(hyperloglog_precision(0.05), 9);
    assert_int_equal(hyperloglog_precision(0.01), 14);
    assert_int_equal(hyperloglog_precision(0.39), 4);
    assert_int_equal(hyperloglog_precision(0.4), 0);
    assert_int_equal(hyperloglog_precision(0), 0);
    assert_int_equal(hyperloglog_precision(-1), 0);
    assert_int_equal(hyperloglog_precision(NAN), 0);
}

// approx_count_distinct(id) and (id, 0.01) over range(n), measured with Spark 4.2.0. Its hash of a BIGINT is XXH64 of the 8 bytes, seed 42.
static void estimates_are_sparks(void **state) {
    (void)state;
    static const struct { int64_t rows, coarse, fine; } cases[] = {
        {1, 1, 1}, {10, 10, 10}, {100, 103, 100}, {200, 195, 199}, {1000, 1026, 996}, {5000, 4671, 4957}, {20000, 19522, 19867}, {100000, 95546, 100425},
    };
    struct memory memory;
    memory_init(&memory, "test", NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hyperloglog coarse, fine;
        hyperloglog_init(&coarse, &memory, 9);
        hyperloglog_init(&fine, &memory, 14);
        for (int64_t id = 0; id < cases[i].rows; id++) {
            uint64_t hash = XXH64(&id, 8, 42);
            assert_int_equal(hyperloglog_insert(&coarse, hash), STATUS_OK);
            assert_int_equal(hyperloglog_insert(&fine, hash), STATUS_OK);
        }
        assert_int_equal(hyperloglog_estimate(&coarse), cases[i].coarse);
        assert_int_equal(hyperloglog_estimate(&fine), cases[i].fine);
        hyperloglog_release(&coarse);
        hyperloglog_release(&fine);
    }
    assert_int_equal(memory_used(&memory), 0);
}

static void assert_same_saved(struct memory *memory, const struct hyperloglog *a, const struct hyperloglog *b) {
    struct buffer x, y;
    buffer_init(&x, memory);
    buffer_init(&y, memory);
    assert_int_equal(hyperloglog_save(a, &x), STATUS_OK);
    assert_int_equal(hyperloglog_save(b, &y), STATUS_OK);
    assert_int_equal(x.size_bytes, y.size_bytes);
    assert_memory_equal(x.data, y.data, x.size_bytes);
    buffer_release(&x);
    buffer_release(&y);
}

// In parts, in any order, merged: the same bytes as at once; within four standard deviations for every precision.
static void merging_is_exact(void **state) {
    (void)state;
    struct memory memory;
    struct random r;
    memory_init(&memory, "test", NULL, 0);
    random_seed(&r, 7);
    for (uint8_t precision = 4; precision <= 20; precision = (uint8_t)(precision + 4))
        for (int64_t distinct = 0; distinct <= 30000; distinct = distinct * 5 + 3) {
            struct hyperloglog whole, parts[3], loaded;
            hyperloglog_init(&whole, &memory, precision);
            hyperloglog_init(&loaded, &memory, precision);
            for (int k = 0; k < 3; k++) hyperloglog_init(&parts[k], &memory, precision);
            for (int64_t i = 0; i < distinct * 2; i++) {
                uint64_t hash = random_mix((uint64_t)(i % distinct) + 99);
                assert_int_equal(hyperloglog_insert(&whole, hash), STATUS_OK);
                assert_int_equal(hyperloglog_insert(&parts[random_below(&r, 3)], hash), STATUS_OK);
            }
            assert_int_equal(hyperloglog_merge(&parts[2], &parts[0]), STATUS_OK);
            assert_int_equal(hyperloglog_merge(&parts[1], &parts[2]), STATUS_OK);
            assert_same_saved(&memory, &whole, &parts[1]);
            double error = fabs((double)(hyperloglog_estimate(&whole) - distinct)) / (double)(distinct ? distinct : 1);
            assert_true(error <= 4 * 1.106 / sqrt((double)(1u << precision)));
            struct buffer saved;
            buffer_init(&saved, &memory);
            assert_int_equal(hyperloglog_save(&whole, &saved), STATUS_OK);
            for (size_t cut = 0; cut < saved.size_bytes; cut += 1 + cut / 4) {
                struct reader in = reader_of(saved.data, cut);
                assert_false(hyperloglog_load(&loaded, &in));
            }
            struct reader in = reader_of(saved.data, saved.size_bytes);
            assert_true(hyperloglog_load(&loaded, &in));
            assert_same_saved(&memory, &whole, &loaded);
            buffer_release(&saved);
            hyperloglog_release(&whole);
            hyperloglog_release(&loaded);
            for (int k = 0; k < 3; k++) hyperloglog_release(&parts[k]);
        }
    assert_int_equal(memory_used(&memory), 0);
}

static void query(struct quantiles *q, const double *at, uint32_t count, double *out) {
    bool empty;
    assert_int_equal(quantiles_query(q, at, count, out, &empty), STATUS_OK);
    assert_false(empty);
}

// percentile_approx(…) of Spark 4.2.0.
static void quantiles_are_sparks(void **state) {
    (void)state;
    static const double at[] = {0.0, 0.1, 0.5, 0.9, 1.0}, low[] = {0.1, 0.25, 0.5};
    static const struct { int64_t rows; double accuracy; double expected[5]; } cases[] = {
        {100000, 10000, {0, 10002, 49999, 89990, 99999}},
        {100003, 50, {0, 8385, 49116, 89386, 100002}},
    };
    struct memory memory;
    double got[5];
    memory_init(&memory, "test", NULL, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct quantiles q;
        quantiles_init(&q, &memory, 1.0 / cases[i].accuracy);
        for (int64_t id = 0; id < cases[i].rows; id++) assert_int_equal(quantiles_insert(&q, (double)(i == 0 ? id : id * 7919 % 100003)), STATUS_OK);
        query(&q, at, 5, got);
        for (int k = 0; k < 5; k++) assert_true(got[k] == cases[i].expected[k]);
        quantiles_release(&q);
    }
    struct quantiles q;
    quantiles_init(&q, &memory, 1.0 / 10);
    for (int id = 0; id < 100000; id++) assert_int_equal(quantiles_insert(&q, id), STATUS_OK);
    query(&q, low, 3, got);
    assert_true(got[0] == 0 && got[1] == 20147 && got[2] == 49999);
    quantiles_release(&q);
    quantiles_init(&q, &memory, 1.0 / 10000);
    static const double few[] = {3, 1, 2, 10, 5};
    for (int i = 0; i < 5; i++) assert_int_equal(quantiles_insert(&q, few[i]), STATUS_OK);
    query(&q, at, 5, got);
    assert_true(got[0] == 1 && got[1] == 1 && got[2] == 3 && got[3] == 10 && got[4] == 10);
    quantiles_release(&q);
    assert_int_equal(memory_used(&memory), 0);
}

// Ranks stay within the error, also of merged and of reloaded summaries.
static void ranks_are_within_the_error(void **state) {
    (void)state;
    enum { COUNT = 130000 };
    struct memory memory;
    struct random r;
    memory_init(&memory, "test", NULL, 0);
    random_seed(&r, 11);
    struct quantiles parts[2], loaded;
    for (int k = 0; k < 2; k++) quantiles_init(&parts[k], &memory, 0.01);
    for (int i = 0; i < COUNT; i++) assert_int_equal(quantiles_insert(&parts[random_below(&r, 2)], (double)((int64_t)i * 48271 % COUNT)), STATUS_OK);
    struct buffer saved;
    buffer_init(&saved, &memory);
    assert_int_equal(quantiles_save(&parts[1], &saved), STATUS_OK);
    for (size_t cut = 0; cut < saved.size_bytes; cut += 1 + cut / 3) {
        struct reader in = reader_of(saved.data, cut);
        quantiles_init(&loaded, &memory, 0.5);
        assert_false(quantiles_load(&loaded, &in));
    }
    struct reader in = reader_of(saved.data, saved.size_bytes);
    quantiles_init(&loaded, &memory, 0.5);
    assert_true(quantiles_load(&loaded, &in));
    assert_int_equal(quantiles_merge(&parts[0], &loaded), STATUS_OK);
    assert_int_equal(quantiles_count(&parts[0]), COUNT);
    assert_true(parts[0].sample_count < 1000);
    for (double p = 0; p <= 1; p += 0.05) {
        double got;
        query(&parts[0], &p, 1, &got);
        assert_true(fabs(got - p * COUNT) <= 0.02 * COUNT);
    }
    buffer_release(&saved);
    quantiles_release(&loaded);
    for (int k = 0; k < 2; k++) quantiles_release(&parts[k]);
    assert_int_equal(memory_used(&memory), 0);
}

static void failing_memory(void **state) {
    (void)state;
    for (int64_t n = 1;; n++) {
        struct memory memory;
        struct hyperloglog h, other;
        struct quantiles q, more;
        memory_init(&memory, "test", NULL, 0);
        atomic_store(&memory.fail_countdown, n);
        hyperloglog_init(&h, &memory, 9);
        hyperloglog_init(&other, &memory, 9);
        quantiles_init(&q, &memory, 0.01);
        quantiles_init(&more, &memory, 0.01);
        enum status status = STATUS_OK;
        for (uint64_t i = 0; i < 100 && status == STATUS_OK; i++) {
            status = hyperloglog_insert(&h, random_mix(i));
            if (status == STATUS_OK) status = hyperloglog_insert(&other, random_mix(i * 3));
            if (status == STATUS_OK) status = quantiles_insert(&q, (double)i);
            if (status == STATUS_OK) status = quantiles_insert(&more, (double)i);
        }
        if (status == STATUS_OK) status = hyperloglog_merge(&h, &other);
        if (status == STATUS_OK) status = quantiles_merge(&q, &more);
        hyperloglog_release(&h);
        hyperloglog_release(&other);
        quantiles_release(&q);
        quantiles_release(&more);
        assert_int_equal(memory_used(&memory), 0);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        assert_true(n < 100);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precisions), cmocka_unit_test(estimates_are_sparks), cmocka_unit_test(merging_is_exact), cmocka_unit_test(quantiles_are_sparks),
        cmocka_unit_test(ranks_are_within_the_error), cmocka_unit_test(failing_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
