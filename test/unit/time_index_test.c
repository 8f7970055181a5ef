// SPDX-License-Identifier: Apache-2.0
// time_index_test.c: groups by the time at which they end, against a plain list: random additions, takes and drops, committed or taken back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>
#include "exec/time_index.h"

enum { GROUPS = 400, ROUNDS = 300 };

struct model {
    struct group groups[GROUPS];
    bool in[GROUPS], was_in[GROUPS];      // now, and before the epoch
    int64_t weight_before[GROUPS];
};

static uint64_t next_random(uint64_t *state) {
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return *state >> 33;
}

static int compare_pointers(const void *a, const void *b) {
    const struct group *const *x = a, *const *y = b;
    return (*x > *y) - (*x < *y);
}

// What the index lists up to a time is what the model holds.
static void expect_equal(const struct time_index *x, const struct model *m, int64_t until, struct memory *memory) {
    struct vector listed;
    vector_init(&listed, memory, sizeof(struct group *));
    assert_int_equal(time_index_list(x, until, &listed), STATUS_OK);
    if (listed.count) qsort(listed.items, listed.count, sizeof(struct group *), compare_pointers);
    size_t at = 0;
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < GROUPS; i++) {
        if (!m->in[i]) continue;
        if (m->groups[i].time < earliest) earliest = m->groups[i].time;
        if (m->groups[i].time > until) continue;
        assert_true(at < listed.count);
        assert_ptr_equal(*(struct group **)vector_at(&listed, at++), &m->groups[i]);
    }
    assert_int_equal(at, listed.count);
    assert_true(time_index_earliest(x) == earliest);
    vector_release(&listed);
}

static void run_epoch(struct time_index *x, struct model *m, uint64_t *random, int64_t *now, struct memory *memory) {
    memcpy(m->was_in, m->in, sizeof m->in);
    for (int i = 0; i < GROUPS; i++) m->weight_before[i] = m->groups[i].weight;
    for (int i = 0; i < GROUPS; i++) {
        if (m->in[i] || next_random(random) % 8) continue;
        int64_t ahead = (int64_t)(next_random(random) % 2000000) - (next_random(random) % 3 == 0 ? 100000 : 0);
        m->groups[i].time = *now + ahead;
        m->groups[i].weight = 1;
        m->in[i] = true;
        assert_int_equal(time_index_add(x, &m->groups[i]), STATUS_OK);
    }
    expect_equal(x, m, *now + 500000, memory);
    bool commit = next_random(random) % 4 != 0, takes = next_random(random) % 2;
    int64_t until = *now + (int64_t)(next_random(random) % 400000);
    struct vector taken;
    vector_init(&taken, memory, sizeof(struct group *));
    if (takes) assert_int_equal(time_index_take(x, until, &taken), STATUS_OK);
    for (size_t i = 0; i < taken.count; i++) (*(struct group **)vector_at(&taken, i))->weight = 0;
    vector_release(&taken);
    for (int i = 0; i < GROUPS; i++) {  // some go though their time has not come
        if (!m->in[i] || m->groups[i].weight == 0 || next_random(random) % 16) continue;
        m->groups[i].weight = 0;
    }
    if (!commit) {
        time_index_rollback(x);
        memcpy(m->in, m->was_in, sizeof m->in);
        for (int i = 0; i < GROUPS; i++) m->groups[i].weight = m->weight_before[i];
        return;
    }
    for (int i = 0; i < GROUPS; i++) {
        if (m->in[i] && m->groups[i].weight == 0 && !(takes && m->groups[i].time <= until)) time_index_drop(x, &m->groups[i]);
    }
    time_index_commit(x);
    for (int i = 0; i < GROUPS; i++) m->in[i] = m->in[i] && m->groups[i].weight != 0;
    if (takes && until > *now) *now = until;
}

static void test_random_epochs(void **state) {
    (void)state;
    struct memory memory;
    memory_init(&memory, "test", NULL, 0);
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct model *m = calloc(1, sizeof *m);
        struct time_index x;
        uint64_t random = seed;
        int64_t now = seed % 2 ? INT64_C(1700000000000000) : -INT64_C(5000000);
        assert_non_null(m);
        time_index_init(&x, &memory);
        for (int round = 0; round < ROUNDS; round++) {
            run_epoch(&x, m, &random, &now, &memory);
            expect_equal(&x, m, now + (int64_t)(next_random(&random) % 3000000), &memory);
        }
        time_index_release(&x);
        free(m);
    }
    assert_int_equal(memory_used(&memory), 0);
}

static void test_no_end(void **state) {
    (void)state;
    struct memory memory;
    struct time_index x;
    struct group never = {.time = GROUP_NO_END, .weight = 1}, last = {.time = INT64_MAX - 1, .weight = 1}, first = {.time = INT64_MIN + 1, .weight = 1};
    memory_init(&memory, "test", NULL, 0);
    time_index_init(&x, &memory);
    assert_true(time_index_earliest(&x) == INT64_MAX);
    assert_int_equal(time_index_add(&x, &never), STATUS_OK);
    assert_true(time_index_earliest(&x) == INT64_MAX);
    assert_int_equal(time_index_add(&x, &last), STATUS_OK);
    assert_int_equal(time_index_add(&x, &first), STATUS_OK);
    assert_true(time_index_earliest(&x) == INT64_MIN + 1);
    time_index_commit(&x);
    struct vector taken;
    vector_init(&taken, &memory, sizeof(struct group *));
    assert_int_equal(time_index_take(&x, INT64_MAX - 2, &taken), STATUS_OK);
    assert_int_equal(taken.count, 1);
    time_index_rollback(&x);
    vector_clear(&taken);
    assert_int_equal(time_index_take(&x, INT64_MAX - 1, &taken), STATUS_OK);
    assert_int_equal(taken.count, 2);
    time_index_commit(&x);
    assert_true(time_index_earliest(&x) == INT64_MAX);
    vector_release(&taken);
    time_index_release(&x);
    assert_int_equal(memory_used(&memory), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_epochs), cmocka_unit_test(test_no_end)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
