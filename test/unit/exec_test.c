// SPDX-License-Identifier: Apache-2.0
// exec_test.c: operators against naive twins on random rows: aggregates with 1, 2 and 4 workers, materialized state over epochs with
// rollbacks, log and snapshot round trips, top-N under retractions, sort and limit, joins, consolidate, hostile snapshot bytes.
#include "exec_support.h"

static void batch_aggregates(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row *rows = calloc(6000, sizeof *rows);
    for (uint32_t round = 0; round < 16; round++) {
        size_t count = round < 2 ? 0 : (size_t)random_below(&f.random, 6000);
        uint32_t mask = round % 4;
        bool exact = round / 4 % 2;
        for (size_t i = 0; i < count; i++) rows[i] = random_row(&f, round > 10 ? 3000 : 12);
        struct plan_node *scan = scan_new(&f, false), *root = aggregate_new(&f, scan, mask, exact, false);
        char *expected = naive_aggregate(rows, count, mask, exact, false);
        for (uint32_t workers = 1; workers <= 4; workers *= 2) {
            struct machine m;
            struct feed_of feed = {scan->table, rows, count};
            machine_init(&m, &f, root, workers);
            machine_run(&m, &feed, 1, true, 97);
            check_ledger(&m);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected);
            free(text);
            machine_release(&m);
        }
        free(expected);
    }
    free(rows);
    teardown(&f);
}

// Runs an epoch, sometimes after one that is rolled back: state and rows must be as if it had never been.
static void run_epoch(struct machine *m, const struct feed_of *feed, bool roll_back) {
    if (roll_back) {
        size_t before_size, after_size, sunk = m->sink.count;
        char *before = snapshot_of(m->execution, &before_size);
        machine_run(m, feed, 1, false, 61);
        struct error e;
        assert_int_equal(execution_rollback(m->execution, &e), STATUS_OK);
        char *after = snapshot_of(m->execution, &after_size);
        assert_int_equal(before_size, after_size);
        assert_memory_equal(before, after, before_size);
        free(before);
        free(after);
        for (size_t i = sunk; i < m->sink.count; i++) free(m->sink.lines[i]);
        m->sink.count = sunk;
    }
    machine_run(m, feed, 1, false, 61);
}

// A snapshot restored elsewhere is the same state; broken ones get any answer but a crash.
static void restore_and_break(struct fixture *f, struct machine *from, struct machine *to) {
    size_t size;
    struct error e;
    char *bytes = snapshot_of(from->execution, &size);
    struct reader in = reader_of(bytes, size);
    assert_int_equal(execution_restore(to->execution, &in, &e), STATUS_OK);
    assert_same_state(from->execution, to->execution);
    for (uint32_t k = 0; k < 300; k++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        size_t cut = random_below(&f->random, 3) ? size : (size_t)random_below(&f->random, size + 1);
        for (uint32_t flips = 0; flips < 3; flips++) broken[random_below(&f->random, size)] = (char)random_next(&f->random);
        in = reader_of(broken, cut);
        enum status status = execution_restore(to->execution, &in, &e);
        (void)status;
        free(broken);
    }
    free(bytes);
}

static void materialized_aggregates(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { EPOCHS = 12, PER_EPOCH = 300 };
    struct row *rows = calloc(EPOCHS * PER_EPOCH, sizeof *rows);
    for (uint32_t round = 0; round < 8; round++) {
        uint32_t mask = round % 4;
        bool retracting = round >= 4;
        struct plan_node *scan = scan_new(&f, true);
        if (retracting) scan->changes = CHANGES_RETRACT;
        struct plan_node *root = aggregate_new(&f, scan, mask, false, retracting);
        struct machine m[3], copy, restored;
        for (uint32_t k = 0; k < 3; k++) machine_init(&m[k], &f, root, 1u << k);
        machine_init(&copy, &f, root, 2);
        machine_init(&restored, &f, root, 1);
        size_t count = 0;
        for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
            size_t begin = count, more = (size_t)random_below(&f.random, PER_EPOCH);
            for (size_t i = 0; i < more; i++) {
                bool take_back = retracting && count > 10 && random_below(&f.random, 3) == 0;
                size_t victim = count ? (size_t)random_below(&f.random, count) : 0;
                rows[count] = take_back && rows[victim].weight > 0 ? rows[victim] : random_row(&f, 9);
                if (take_back && rows[victim].weight > 0) {
                    rows[count].weight = -1;
                    // a row is taken back once only
                    for (size_t k = 0; k < count && rows[count].weight < 0; k++) {
                        if (rows[k].weight < 0 && rows[k].real == rows[count].real) rows[count] = random_row(&f, 9);
                    }
                }
                count++;
            }
            char *expected = naive_aggregate(rows, count, mask, false, retracting);
            for (uint32_t k = 0; k < 3; k++) {
                struct feed_of feed = {scan->table, rows + begin, more};
                run_epoch(&m[k], &feed, random_below(&f.random, 2));
                char *text = taken_text(&m[k].sink);
                assert_string_equal(text, expected);
                free(text);
                if (k == 1) copy_changes(m[k].execution, copy.execution);
                execution_commit(m[k].execution);
                check_ledger(&m[k]);
            }
            assert_same_state(m[0].execution, m[1].execution);
            assert_same_state(m[0].execution, m[2].execution);
            assert_same_state(m[0].execution, copy.execution);
            free(expected);
        }
        restore_and_break(&f, &m[0], &restored);
        for (uint32_t k = 0; k < 3; k++) machine_release(&m[k]);
        machine_release(&copy);
        machine_release(&restored);
    }
    free(rows);
    teardown(&f);
}

static void first_rows(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { EPOCHS = 30, PER_EPOCH = 60 };
    struct row *live = calloc(EPOCHS * PER_EPOCH, sizeof *live), *epoch_rows = calloc(PER_EPOCH, sizeof *epoch_rows);
    struct plan_node *scan = scan_new(&f, true);
    scan->changes = CHANGES_RETRACT;
    struct plan_node *root = node_new(&f, PLAN_LIMIT, sorted_new(&f, scan));
    root->limit = 10;
    root->offset = 3;
    struct machine m, copy;
    machine_init(&m, &f, root, 2);
    machine_init(&copy, &f, root, 1);
    size_t live_count = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        size_t more = (size_t)random_below(&f.random, PER_EPOCH);
        for (size_t i = 0; i < more; i++) {
            if (live_count && random_below(&f.random, 5) < 2) {
                size_t victim = (size_t)random_below(&f.random, live_count);
                epoch_rows[i] = live[victim];
                epoch_rows[i].weight = -1;
                live[victim] = live[--live_count];
            } else {
                epoch_rows[i] = live[live_count++] = random_row(&f, 9);
            }
        }
        struct feed_of feed = {scan->table, epoch_rows, more};
        run_epoch(&m, &feed, epoch % 2);
        copy_changes(m.execution, copy.execution);
        execution_commit(m.execution);
        assert_same_state(m.execution, copy.execution);
        check_ledger(&m);
        qsort(live, live_count, sizeof *live, row_order);
        char *expected = row_lines(live, live_count < 3 ? live_count : 3, live_count < 13 ? live_count : 13, false);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected);
        free(text);
        free(expected);
    }
    machine_release(&m);
    machine_release(&copy);
    free(live);
    free(epoch_rows);
    teardown(&f);
}

static void batch_sort_and_limit(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 9000 };
    struct row *rows = calloc(COUNT, sizeof *rows), *sorted = calloc(COUNT, sizeof *sorted);
    for (size_t i = 0; i < COUNT; i++) rows[i] = sorted[i] = random_row(&f, 30);
    qsort(sorted, COUNT, sizeof *sorted, row_order);
    struct plan_node *scan = scan_new(&f, false), *sort = sorted_new(&f, scan), *top = node_new(&f, PLAN_LIMIT, sort), *limit = node_new(&f, PLAN_LIMIT, scan);
    top->limit = 7;
    top->offset = 2;
    limit->limit = 130;
    limit->offset = 5;
    char *all = row_lines(sorted, 0, COUNT, true), *first = row_lines(sorted, 2, 9, true), *head = row_lines(rows, 5, 135, false);
    for (uint32_t workers = 1; workers <= 4; workers *= 2) {
        struct plan_node *roots[] = {sort, top, limit};
        char *expected[] = {all, first, head};
        for (uint32_t k = 0; k < 3; k++) {
            struct machine m;
            struct feed_of feed = {scan->table, rows, COUNT};
            machine_init(&m, &f, roots[k], workers);
            m.sink.order_matters = k < 2;
            machine_run(&m, &feed, 1, true, 100);
            check_ledger(&m);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected[k]);
            if (k == 2) assert_true(execution_input_rows(m.execution, scan->table) < COUNT);  // stopped early
            free(text);
            machine_release(&m);
        }
    }
    free(all);
    free(first);
    free(head);
    free(rows);
    free(sorted);
    teardown(&f);
}

static void joins(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row *a = calloc(700, sizeof *a), *b = calloc(300, sizeof *b);
    for (uint32_t round = 0; round < 32; round++) {
        enum join_kind kind = (enum join_kind)(round % 8);
        bool rest = round >= 16 && kind != JOIN_CROSS && kind != JOIN_NULL_AWARE_ANTI, same = round % 3 == 0;
        size_t a_count = (size_t)random_below(&f.random, kind == JOIN_CROSS ? 60 : 700), b_count = round == 15 ? 0 : (size_t)random_below(&f.random, kind == JOIN_CROSS ? 90 : 300);
        for (size_t i = 0; i < a_count; i++) a[i] = random_row(&f, 40);
        for (size_t i = 0; i < b_count; i++) b[i] = random_row(&f, 40);
        if (kind == JOIN_NULL_AWARE_ANTI && round < 16) {
            for (size_t i = 0; i < b_count; i++) b[i].has_key = true;
        }
        struct plan_node *left = scan_new(&f, false), *right = same ? left : scan_new(&f, false);
        struct plan_node *root = join_new(&f, left, right, kind, rest);
        char *expected = naive_join(a, a_count, same ? a : b, same ? a_count : b_count, kind, rest);
        for (uint32_t workers = 1; workers <= 2; workers++) {
            struct machine m;
            struct feed_of feeds[] = {{left->table, a, a_count}, {right->table, b, b_count}};
            machine_init(&m, &f, root, workers);
            machine_run(&m, feeds, same ? 1 : 2, true, 64);
            char *text = taken_text(&m.sink);
            assert_string_equal(text, expected);
            free(text);
            machine_release(&m);
        }
        free(expected);
    }
    free(a);
    free(b);
    teardown(&f);
}

static void consolidated(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    uint32_t key_ordinal = 0;
    for (uint32_t round = 0; round < 2; round++) {  // 0: last row of a key wins; 1: an aggregate's changes under a declared key
        struct plan_node *scan = scan_new(&f, true), *input = round ? aggregate_new(&f, scan, 1, false, false) : scan, *root = node_new(&f, PLAN_CONSOLIDATE, input);
        root->unique_key = &key_ordinal;
        root->unique_key_count = 1;
        struct machine m;
        machine_init(&m, &f, root, 2);
        struct row *rows = calloc(2000, sizeof *rows);
        for (uint32_t epoch = 0; epoch < 10; epoch++) {
            size_t begin = epoch * 200;
            for (size_t i = begin; i < begin + 200; i++) rows[i] = random_row(&f, 25);
            struct feed_of feed = {scan->table, rows + begin, 200};
            taken_clear(&m.sink);
            machine_run(&m, &feed, 1, false, 33);
            execution_commit(m.execution);
            check_ledger(&m);
            for (size_t i = 0; i < m.sink.count; i++) {  // one row a key, an upsert
                assert_int_equal(m.sink.weights[i], 1);
                for (size_t k = 0; k < i; k++) {
                    size_t length = strcspn(m.sink.lines[i], "|") + 1;
                    assert_false(strncmp(m.sink.lines[i], m.sink.lines[k], length) == 0);
                }
            }
            size_t found = 0;
            for (size_t i = begin; i < begin + 200 && !round; i++) {
                bool last = true;
                for (size_t k = i + 1; k < begin + 200; k++) last = last && (rows[k].has_key != rows[i].has_key || (rows[i].has_key && rows[k].key != rows[i].key));
                if (!last) continue;
                char *line = row_lines(rows, i, i + 1, true);
                line[strlen(line) - 1] = 0;
                for (size_t k = 0; k < m.sink.count; k++) found += strcmp(line, m.sink.lines[k]) == 0;
                free(line);
            }
            if (!round) assert_int_equal(found, m.sink.count);
            assert_true(m.sink.count > 5);
        }
        free(rows);
        machine_release(&m);
    }
    teardown(&f);
}

static void narrow_rows(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 5000 };
    struct row *rows = calloc(COUNT, sizeof *rows);
    struct taken expected = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = random_row(&f, 30);
        char line[64];
        snprintf(line, sizeof line, "%lld", (long long)rows[i].value + 1);
        for (int copies = 0; copies < 2 && rows[i].value > 7; copies++) taken_add(&expected, line, 1);
    }
    struct plan_node *scan = scan_new(&f, false), *filter = node_new(&f, PLAN_FILTER, scan), *project = node_new(&f, PLAN_PROJECT, filter);
    filter->condition = call(&f, ">", column_of(&f, scan, 3), expr_bigint(&f.arena, 7));
    project->exprs = arena_alloc_array(&f.arena, 1, sizeof *project->exprs);
    project->exprs[0] = call(&f, "+", column_of(&f, scan, 3), expr_bigint(&f.arena, 1));
    project->expr_count = 1;
    set_attributes(&f, project, project->exprs, 1);
    struct plan_node *both = node_new(&f, PLAN_UNION, project);
    both->inputs[1] = project;
    both->input_count = 2;
    struct plan_node *minus = node_new(&f, PLAN_EXCEPT, both);
    minus->inputs[1] = project;
    minus->input_count = 2;
    minus->all = true;
    char *text = taken_text(&expected);
    for (uint32_t workers = 1; workers <= 2; workers++) {
        struct machine m;
        struct feed_of feed = {scan->table, rows, COUNT};
        machine_init(&m, &f, both, workers);
        machine_run(&m, &feed, 1, true, 512);
        check_ledger(&m);
        char *got = taken_text(&m.sink);
        assert_string_equal(got, text);
        free(got);
        size_t twice = m.sink.count;
        machine_release(&m);
        machine_init(&m, &f, minus, workers);
        machine_run(&m, &feed, 1, true, 512);
        check_ledger(&m);
        assert_int_equal(m.sink.count * 2, twice);
        machine_release(&m);
    }
    free(text);
    taken_free(&expected);
    free(rows);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(narrow_rows),          cmocka_unit_test(batch_aggregates), cmocka_unit_test(materialized_aggregates),
        cmocka_unit_test(first_rows),           cmocka_unit_test(batch_sort_and_limit), cmocka_unit_test(joins),
        cmocka_unit_test(consolidated),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
