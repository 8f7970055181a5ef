// SPDX-License-Identifier: Apache-2.0
// retract_test.c: aggregates over rows that are taken back. Each shape of plan is run twice over random changes: as a stream, epoch by epoch, with 1, 2
// and 4 workers, with epochs that are rolled back, with a twin that only reads the log; and as a batch over what is live. Both must agree after
// every epoch. Sums without rounding against a naive long addition; the order of keys against sorting.
#include "base/checksum.h"
#include "exec/key_order.h"
#include "exec_support.h"
#include "expr/exact_sum.h"
#include "plan/resolver.h"
#include <math.h>

// --- shapes of plans ---

static struct plan_node *derived(struct fixture *f, struct plan_node *n) {
    n->changes = CHANGES_APPEND;
    assert_int_equal(plan_derive(&f->arena, n), STATUS_OK);
    return n;
}

struct wanted_call {
    const char *name;
    int first, second;   // columns of the input; −1: none
    bool distinct;
};

static struct plan_node *aggregate_by(struct fixture *f, struct plan_node *input, const int *keys, const struct wanted_call *calls) {
    struct plan_node *n = node_new(f, PLAN_AGGREGATE, input);
    n->exprs = arena_alloc_array(&f->arena, 32, sizeof *n->exprs);
    for (; *keys >= 0; keys++) n->exprs[n->expr_count++] = column_of(f, input, (uint32_t)*keys);
    n->key_count = n->expr_count;
    for (; calls->name; calls++) {
        struct expr *args[2], *out = NULL;
        uint32_t count = 0;
        struct error e;
        error_clear(&e);
        if (calls->first >= 0) args[count++] = column_of(f, input, (uint32_t)calls->first);
        if (calls->second >= 0) args[count++] = column_of(f, input, (uint32_t)calls->second);
        enum status status = aggregate_call(&f->arena, &f->session, aggregate_find(calls->name), calls->name, args, count, calls->distinct, NULL, (struct span){0}, &out, &e);
        if (status != STATUS_OK) fail_msg("%s: %s", calls->name, e.message);
        n->exprs[n->expr_count++] = out;
    }
    set_attributes(f, n, n->exprs, n->expr_count);
    return derived(f, n);
}

static struct plan_node *cast_columns(struct fixture *f, struct plan_node *input, const struct type *from, const struct type *to) {
    struct plan_node *n = node_new(f, PLAN_PROJECT, input);
    n->exprs = arena_alloc_array(&f->arena, input->attribute_count + 1, sizeof *n->exprs);
    for (uint32_t i = 0; i < input->attribute_count; i++) {
        struct expr *e = column_of(f, input, i);
        n->exprs[n->expr_count++] = e->type->id == from->id ? expr_cast(&f->arena, e, to, CAST_ANSI) : e;
    }
    set_attributes(f, n, n->exprs, n->expr_count);
    return derived(f, n);
}

// scan: key BIGINT, text STRING, real DOUBLE, value BIGINT
static struct plan_node *per_key(struct fixture *f, struct plan_node *scan, const int *keys) {
    return aggregate_by(f, scan, keys, (const struct wanted_call[]){{"max", 3, -1, false}, {"min", 1, -1, false}, {"sum", 2, -1, false}, {"count", -1, -1, false}, {NULL, 0, 0, false}});
}

// of columns: number, text, real
static struct plan_node *of_everything(struct fixture *f, struct plan_node *input, const int *keys, int number, int text, int real) {
    return aggregate_by(f, input, keys, (const struct wanted_call[]){
        {"count", -1, -1, false}, {"avg", number, -1, false}, {"max", number, -1, false}, {"min", number, -1, false}, {"max", text, -1, false}, {"min", text, -1, false},
        {"sum", real, -1, false}, {"avg", real, -1, false}, {"max", real, -1, false}, {"min", real, -1, false},
        {"count", number, -1, true}, {"sum", real, -1, true}, {"sum", number, -1, false}, {"count", text, -1, false}, {NULL, 0, 0, false}});
}

// A row's text and number where its real, which no other row has, is largest or smallest.
static struct plan_node *best_rows(struct fixture *f, struct plan_node *scan) {
    static const int keys[] = {0, -1};
    return aggregate_by(f, scan, keys, (const struct wanted_call[]){
        {"max_by", 1, 2, false}, {"min_by", 3, 2, false}, {"min_by", 0, 2, true}, {"max_by", 2, 2, false}, {"count", -1, -1, false}, {NULL, 0, 0, false}});
}

static const int no_keys[] = {-1}, first_key[] = {0, -1}, second_key[] = {1, -1}, two_keys[] = {0, 1, -1}, third_key[] = {2, -1};

static struct plan_node *straight(struct fixture *f, struct plan_node *scan) { return of_everything(f, scan, first_key, 3, 1, 2); }
static struct plan_node *straight_by_text(struct fixture *f, struct plan_node *scan) { return of_everything(f, scan, second_key, 0, 1, 2); }
static struct plan_node *straight_by_two(struct fixture *f, struct plan_node *scan) { return of_everything(f, scan, two_keys, 3, 1, 2); }
static struct plan_node *straight_whole(struct fixture *f, struct plan_node *scan) { return of_everything(f, scan, no_keys, 0, 1, 2); }
static struct plan_node *twice(struct fixture *f, struct plan_node *scan) { return of_everything(f, per_key(f, scan, first_key), no_keys, 1, 2, 3); }
static struct plan_node *twice_by_key(struct fixture *f, struct plan_node *scan) { return of_everything(f, per_key(f, scan, two_keys), first_key, 2, 3, 4); }
static struct plan_node *by_result(struct fixture *f, struct plan_node *scan) { return of_everything(f, per_key(f, scan, two_keys), third_key, 5, 3, 4); }
static struct plan_node *distinct(struct fixture *f, struct plan_node *scan) {
    return aggregate_by(f, per_key(f, scan, two_keys), third_key, (const struct wanted_call[]){{NULL, 0, 0, false}});
}
static struct plan_node *thrice(struct fixture *f, struct plan_node *scan) {
    struct plan_node *second = aggregate_by(f, per_key(f, scan, two_keys), first_key, (const struct wanted_call[]){
        {"max", 2, -1, false}, {"max", 3, -1, false}, {"sum", 4, -1, false}, {NULL, 0, 0, false}});
    return of_everything(f, second, no_keys, 1, 2, 3);
}
static struct plan_node *bags(struct fixture *f, struct plan_node *scan) {
    return aggregate_by(f, scan, first_key, (const struct wanted_call[]){{"median", 2, -1, false}, {"mode", 3, -1, false}, {NULL, 0, 0, false}});
}
static struct plan_node *bits(struct fixture *f, struct plan_node *scan) {
    return aggregate_by(f, scan, second_key, (const struct wanted_call[]){
        {"bit_and", 0, -1, false}, {"bit_or", 3, -1, false}, {"bit_xor", 0, -1, false}, {"bit_and", 3, -1, false}, {NULL, 0, 0, false}});
}
static struct plan_node *zeros(struct fixture *f, struct plan_node *scan) {
    return aggregate_by(f, scan, first_key, (const struct wanted_call[]){
        {"max", 2, -1, false}, {"min", 2, -1, false}, {"sum", 2, -1, false}, {"avg", 2, -1, true}, {NULL, 0, 0, false}});
}
static struct plan_node *decimals(struct fixture *f, struct plan_node *scan) {
    struct plan_node *input = cast_columns(f, scan, &type_bigint, type_decimal(&f->arena, 20, 2));
    struct plan_node *n = aggregate_by(f, input, second_key, (const struct wanted_call[]){
        {"max", 3, -1, false}, {"min", 0, -1, false}, {"avg", 3, -1, false}, {"sum", 0, -1, false}, {"max_by", 3, 2, false}, {NULL, 0, 0, false}});
    return cast_columns(f, n, type_decimal(&f->arena, 20, 2), &type_string);
}
static struct plan_node *of_first_rows(struct fixture *f, struct plan_node *scan) {
    struct plan_node *sort = node_new(f, PLAN_SORT, per_key(f, scan, two_keys));
    sort->sorts = arena_alloc_array(&f->arena, 4, sizeof *sort->sorts);
    for (uint32_t i = 0; i < 3; i++) sort->sorts[i] = (struct sort_key){.expr = column_of(f, sort, 2 - i), .descending = i == 0};
    sort->sort_count = 3;
    struct plan_node *limit = node_new(f, PLAN_LIMIT, derived(f, sort));
    limit->limit = 7;
    limit->offset = 0;
    return of_everything(f, derived(f, limit), no_keys, 2, 3, 4);
}

// The first rows of each partition; their numbers are wanted or not.
static struct plan_node *ranked_by(struct fixture *f, struct plan_node *input, const int *keys, const int *sorts, int64_t limit, bool numbered) {
    struct plan_node *n = node_new(f, PLAN_RANK, input);
    n->exprs = arena_alloc_array(&f->arena, 4, sizeof *n->exprs);
    n->sorts = arena_alloc_array(&f->arena, 4, sizeof *n->sorts);
    for (; *keys >= 0; keys++) n->exprs[n->expr_count++] = column_of(f, input, (uint32_t)*keys);
    n->key_count = n->expr_count;
    for (; *sorts >= 0; sorts++) n->sorts[n->sort_count++] = (struct sort_key){.expr = column_of(f, input, (uint32_t)*sorts), .descending = n->sort_count == 0};
    n->limit = limit;
    n->attributes = arena_alloc_array(&f->arena, input->attribute_count + 1, sizeof *n->attributes);
    memcpy(n->attributes, input->attributes, input->attribute_count * sizeof *n->attributes);
    n->attributes[n->attribute_count++] = (struct attribute){.name = "rn", .type = &type_int};
    uint64_t *wanted = arena_alloc_zeroed(&f->arena, bitmap_bytes(n->attribute_count));
    for (uint32_t i = 0; i < input->attribute_count; i++) bitmap_set(wanted, i);
    if (!numbered) n->wanted = wanted;
    derived(f, n);
    return n;
}

static struct plan_node *without_last(struct fixture *f, struct plan_node *input) {
    struct plan_node *n = node_new(f, PLAN_PROJECT, input);
    n->exprs = arena_alloc_array(&f->arena, input->attribute_count, sizeof *n->exprs);
    for (; n->expr_count + 1 < input->attribute_count; n->expr_count++) n->exprs[n->expr_count] = column_of(f, input, n->expr_count);
    set_attributes(f, n, n->exprs, n->expr_count);
    return derived(f, n);
}

static const int by_value[] = {3, -1}, by_value_and_real[] = {3, 2, -1}, by_fourth[] = {4, -1};

static struct plan_node *first_three(struct fixture *f, struct plan_node *scan) { return ranked_by(f, scan, first_key, by_value, 3, true); }
static struct plan_node *first_unnumbered(struct fixture *f, struct plan_node *scan) { return without_last(f, ranked_by(f, scan, second_key, by_value, 4, false)); }
static struct plan_node *first_one(struct fixture *f, struct plan_node *scan) { return ranked_by(f, scan, two_keys, by_value_and_real, 1, true); }
static struct plan_node *first_of_all(struct fixture *f, struct plan_node *scan) { return ranked_by(f, scan, no_keys, by_value, 9, true); }
static struct plan_node *first_none(struct fixture *f, struct plan_node *scan) { return ranked_by(f, scan, first_key, by_value, 0, true); }
static struct plan_node *all_numbered(struct fixture *f, struct plan_node *scan) { return ranked_by(f, scan, first_key, by_value, -1, true); }
static struct plan_node *first_results(struct fixture *f, struct plan_node *scan) { return ranked_by(f, per_key(f, scan, two_keys), first_key, by_fourth, 2, true); }
static struct plan_node *of_first_three(struct fixture *f, struct plan_node *scan) {
    return of_everything(f, ranked_by(f, scan, first_key, by_value, 3, true), second_key, 4, 1, 2);
}

struct shape {
    const char *name;
    struct plan_node *(*make)(struct fixture *f, struct plan_node *scan);
    bool takes_back;     // the scan's own rows, too
    bool any_bytes;      // equal states may have different bytes: bags are in the order in which they came
    bool zeros;          // among the reals, of both signs
};

static const struct shape shapes[] = {
    {"straight", straight, true, false, false}, {"straight by text", straight_by_text, true, false, false}, {"straight by two", straight_by_two, true, false, false},
    {"best rows", best_rows, true, false, false}, {"straight whole", straight_whole, true, false, false}, {"twice", twice, false, false, false}, {"twice, taken back", twice, true, false, false},
    {"twice by key", twice_by_key, false, false, false}, {"twice by key, taken back", twice_by_key, true, false, false}, {"by result", by_result, false, false, false},
    {"by result, taken back", by_result, true, false, false}, {"distinct", distinct, true, false, false}, {"thrice", thrice, false, false, false},
    {"bits", bits, true, false, false}, {"bags", bags, true, true, true}, {"zeros", zeros, true, false, true}, {"decimals", decimals, true, false, false}, {"of first rows", of_first_rows, false, false, false},
    {"of first rows, taken back", of_first_rows, true, false, false}, {"first three", first_three, false, false, false},
    {"first three, taken back", first_three, true, false, false}, {"first unnumbered", first_unnumbered, false, false, false},
    {"first unnumbered, taken back", first_unnumbered, true, false, false}, {"first one", first_one, false, false, false},
    {"first one, taken back", first_one, true, false, false}, {"first of all", first_of_all, false, false, false},
    {"first of all, taken back", first_of_all, true, false, false}, {"all numbered, taken back", all_numbered, true, false, false},
    {"first results", first_results, false, false, false}, {"first results, taken back", first_results, true, false, false},
    {"of first three", of_first_three, false, false, false}, {"of first three, taken back", of_first_three, true, false, false},
};

// --- streams against batches ---

static void roll_back_one(struct machine *m, const struct feed_of *feed, bool any_bytes) {
    size_t before_size, after_size, sunk = m->sink.count;
    char *before = snapshot_of(m->execution, &before_size);
    machine_run(m, feed, 1, false, 61);
    struct error e;
    assert_int_equal(execution_rollback(m->execution, &e), STATUS_OK);
    char *after = snapshot_of(m->execution, &after_size);
    if (!any_bytes) assert_int_equal(before_size, after_size);
    if (!any_bytes) assert_memory_equal(before, after, before_size);
    free(before);
    free(after);
    for (size_t i = sunk; i < m->sink.count; i++) free(m->sink.lines[i]);
    m->sink.count = sunk;
}

static char *batch_answer(struct fixture *f, const struct shape *shape, const struct row *rows, size_t count) {
    struct plan_node *scan = scan_new(f, false);
    struct machine m;
    machine_init(&m, f, shape->make(f, scan), 1);
    struct feed_of feed = {scan->table, rows, count};
    machine_run(&m, &feed, 1, true, 4000);
    char *text = taken_text(&m.sink);
    machine_release(&m);
    return text;
}

// Sums of quarters are exact in any order. Reals are all different, so that there is one largest, or many are zeros.
static struct row changing_row(struct fixture *f, uint32_t *number, bool zeros) {
    struct row r = random_row(f, 9);
    r.real = (double)((int64_t)(*number)++ * 7919 % 100003 - 50000) / 4;
    if (zeros && random_below(&f->random, 5) == 0) r.real = random_below(&f->random, 2) ? 0.0 : -0.0;
    return r;
}

struct changes_of {
    struct row *live, *epoch;
    size_t live_count, epoch_count;
    uint32_t number;
};

static void make_changes(struct fixture *f, struct changes_of *c, bool takes_back, bool zeros, size_t most) {
    c->epoch_count = (size_t)random_below(&f->random, most);
    bool shrinks = random_below(&f->random, 4) == 0;
    for (size_t i = 0; i < c->epoch_count; i++) {
        if (takes_back && c->live_count && random_below(&f->random, 10) < (shrinks ? 9 : 4)) {
            size_t victim = (size_t)random_below(&f->random, c->live_count);
            c->epoch[i] = c->live[victim];
            c->epoch[i].weight = -1;
            c->live[victim] = c->live[--c->live_count];
        } else {
            c->epoch[i] = c->live[c->live_count++] = changing_row(f, &c->number, zeros);
        }
    }
}

static void assert_same_text(const char *shape, uint32_t epoch, uint32_t machine, const char *text, const char *expected) {
    size_t at = 0, begin = 0;
    for (; text[at] && text[at] == expected[at]; at++) {
        if (text[at] == '\n') begin = at + 1;
    }
    if (text[at] == expected[at]) return;
    fail_msg("%s, epoch %u, machine %u: %.*s\n   batch: %.*s", shape, epoch, machine, (int)strcspn(text + begin, "\n"), text + begin,
             (int)strcspn(expected + begin, "\n"), expected + begin);
}

static void run_shape(struct fixture *f, const struct shape *shape) {
    enum { EPOCHS = 14, PER_EPOCH = 150, MACHINES = 3 };
    struct changes_of c = {.live = calloc(EPOCHS * PER_EPOCH, sizeof *c.live), .epoch = calloc(PER_EPOCH, sizeof *c.epoch)};
    struct plan_node *scan = scan_new(f, true);
    if (shape->takes_back) scan->changes = CHANGES_RETRACT;
    struct plan_node *root = shape->make(f, scan);
    struct machine m[MACHINES], copy;
    for (uint32_t k = 0; k < MACHINES; k++) machine_init(&m[k], f, root, 1u << k);
    machine_init(&copy, f, root, 2);
    size_t most_lines = 0;
    for (uint32_t epoch = 0; epoch < EPOCHS; epoch++) {
        make_changes(f, &c, shape->takes_back, shape->zeros, PER_EPOCH);
        struct feed_of feed = {scan->table, c.epoch, c.epoch_count};
        char *expected = batch_answer(f, shape, c.live, c.live_count);
        if (strlen(expected) > most_lines) most_lines = strlen(expected);
        for (uint32_t k = 0; k < MACHINES; k++) {
            if (random_below(&f->random, 2)) roll_back_one(&m[k], &feed, shape->any_bytes);
            machine_run(&m[k], &feed, 1, false, 61);
            char *text = taken_text(&m[k].sink);
            assert_same_text(shape->name, epoch, k, text, expected);
            free(text);
            if (k == 1) copy_changes(m[k].execution, copy.execution);
            execution_commit(m[k].execution);
            check_ledger(&m[k]);
        }
        for (uint32_t k = 1; k < MACHINES && !shape->any_bytes; k++) assert_same_state(m[0].execution, m[k].execution);
        if (!shape->any_bytes) assert_same_state(m[0].execution, copy.execution);
        if (epoch % 5 == 4) {  // goes on from what another one has left
            size_t size;
            struct error e;
            char *bytes = snapshot_of(copy.execution, &size);
            struct reader in = reader_of(bytes, size);
            assert_int_equal(execution_restore(m[2].execution, &in, &e), STATUS_OK);
            free(bytes);
        }
        free(expected);
    }
    assert_true(most_lines > 0);
    for (uint32_t k = 0; k < MACHINES; k++) machine_release(&m[k]);
    machine_release(&copy);
    free(c.live);
    free(c.epoch);
}

static void streams_equal_batches(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) run_shape(&f, &shapes[i]);
    teardown(&f);
}

// Everything that came is taken back: nothing may be left.
static void nothing_is_left(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { ROWS = 500 };
    struct row *rows = calloc(ROWS, sizeof *rows);
    for (size_t i = 0; i < ROWS; i++) {
        rows[i] = random_row(&f, 9);  // reals whose sums do round
        rows[i].real = ldexp(rows[i].real, (int)random_below(&f.random, 2000) - 1040);
    }
    struct plan_node *scan = scan_new(&f, true);
    scan->changes = CHANGES_RETRACT;
    struct plan_node *root = twice_by_key(&f, scan);
    struct machine m, fresh;
    machine_init(&m, &f, root, 2);
    machine_init(&fresh, &f, root, 2);
    struct feed_of feed = {scan->table, rows, ROWS};
    machine_run(&m, &feed, 1, false, 61);
    assert_true(m.sink.count > 0);
    execution_commit(m.execution);
    for (size_t i = 0; i < ROWS; i++) {
        size_t other = (size_t)random_below(&f.random, i + 1);
        struct row one = rows[i];
        rows[i] = rows[other];
        rows[other] = one;
    }
    for (size_t i = 0; i < ROWS; i++) rows[i].weight = -1;
    machine_run(&m, &feed, 1, false, 61);
    execution_commit(m.execution);
    char *text = taken_text(&m.sink);
    assert_string_equal(text, "");
    free(text);
    feed.count = 0;
    machine_run(&fresh, &feed, 1, false, 61);
    execution_commit(fresh.execution);
    assert_same_state(m.execution, fresh.execution);
    machine_release(&m);
    machine_release(&fresh);
    free(rows);
    teardown(&f);
}

// Over rows that only come, a partition holds no more rows than are wanted.
static void few_are_kept(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct plan_node *scan = scan_new(&f, true);
    struct machine m, none;
    machine_init(&m, &f, first_three(&f, scan), 2);
    struct plan_node *other = scan_new(&f, true);
    machine_init(&none, &f, first_none(&f, other), 2);
    uint32_t number = 0;
    for (uint32_t epoch = 0; epoch < 30; epoch++) {
        struct row rows[300];
        for (size_t i = 0; i < 300; i++) rows[i] = changing_row(&f, &number, false);
        struct feed_of feed = {scan->table, rows, 300}, same = {other->table, rows, 300};
        uint64_t kept = 0;
        machine_run(&m, &feed, 1, false, 61);
        execution_commit(m.execution);
        const struct operator *op = &m.execution->operators[m.execution->operator_count - 1];
        (void)op->class->bytes(op, &kept);
        assert_true(kept > 0 && kept <= 3 * 10);
        machine_run(&none, &same, 1, false, 61);
        execution_commit(none.execution);
        op = &none.execution->operators[none.execution->operator_count - 1];
        kept = 0;
        (void)op->class->bytes(op, &kept);
        assert_int_equal(kept, 0);
    }
    assert_int_equal(none.sink.count, 0);
    machine_release(&m);
    machine_release(&none);
    teardown(&f);
}

// The source reads with memory of its own, which does not fail.
static enum status try_run(struct machine *m, const struct feed_of *feed, struct memory *memory, struct error *e) {
    struct split split = {.range = {.end = (int64_t)feed->count}};
    struct rows_source source = {.base = {.class = &rows_class}, .memory = memory, .rows = feed->rows};
    struct epoch_input input = {.table = feed->table, .source = &source.base, .splits = {.items = &split, .count = 1}};
    struct epoch_run run = {.epoch = ++m->epoch, .inputs = &input, .input_count = 1};
    return execution_run(m->execution, &m->crew, &run, e);
}

// Each allocation of an epoch fails in turn: the epoch fails, is taken back, and leaves nothing behind.
static void fail_allocations(struct plan_node *(*make)(struct fixture *f, struct plan_node *scan)) {
    struct fixture f;
    setup(&f);
    struct plan_node *scan = scan_new(&f, true);
    scan->changes = CHANGES_RETRACT;
    struct machine m;
    machine_init(&m, &f, make(&f, scan), 1);
    struct row rows[60];
    uint32_t number = 0, failed = 0;
    struct memory own;
    memory_init(&own, "source", NULL, 0);
    for (size_t i = 0; i < 60; i++) rows[i] = changing_row(&f, &number, false);
    struct feed_of feed = {scan->table, rows, 60};
    machine_run(&m, &feed, 1, false, 61);
    execution_commit(m.execution);
    for (size_t i = 0; i < 60; i++) {
        if (i % 2) rows[i].weight = -1;
        else rows[i] = changing_row(&f, &number, false);
    }
    size_t before_size;
    char *before = snapshot_of(m.execution, &before_size);
    for (int64_t n = 1; n < 100000; n += 1 + n / 60) {
        struct error e;
        error_clear(&e);
        f.memory.fail_countdown = n;
        enum status status = try_run(&m, &feed, &own, &e);
        f.memory.fail_countdown = -1;
        assert_int_equal(execution_rollback(m.execution, &e), STATUS_OK);
        size_t size;
        char *after = snapshot_of(m.execution, &size);
        assert_int_equal(size, before_size);
        assert_memory_equal(after, before, size);
        free(after);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
        failed++;
    }
    assert_true(failed > 20);
    free(before);
    machine_release(&m);
    teardown(&f);
}

static void failed_allocations(void **state) {
    (void)state;
    fail_allocations(straight);
    fail_allocations(twice_by_key);
    fail_allocations(first_three);
    fail_allocations(first_results);
}

static void break_snapshots(struct plan_node *(*make)(struct fixture *f, struct plan_node *scan)) {
    struct fixture f;
    setup(&f);
    struct plan_node *scan = scan_new(&f, true);
    scan->changes = CHANGES_RETRACT;
    struct plan_node *root = make(&f, scan);
    struct row rows[200];
    uint32_t number = 0;
    for (size_t i = 0; i < 200; i++) rows[i] = changing_row(&f, &number, true);
    struct machine m, other;
    machine_init(&m, &f, root, 1);
    machine_init(&other, &f, root, 1);
    struct feed_of feed = {scan->table, rows, 200};
    machine_run(&m, &feed, 1, false, 61);
    execution_commit(m.execution);
    size_t size;
    struct error e;
    char *bytes = snapshot_of(m.execution, &size);
    uint32_t refused = 0;
    for (uint32_t k = 0; k < 400; k++) {
        char *broken = malloc(size);
        memcpy(broken, bytes, size);
        size_t cut = random_below(&f.random, 3) ? size : (size_t)random_below(&f.random, size + 1);
        for (uint32_t flips = 0; flips < 3; flips++) broken[random_below(&f.random, size)] = (char)random_next(&f.random);
        struct reader in = reader_of(broken, cut);
        refused += execution_restore(other.execution, &in, &e) != STATUS_OK;
        free(broken);
    }
    assert_true(refused > 0);
    free(bytes);
    machine_release(&m);
    machine_release(&other);
    teardown(&f);
}

static void hostile_snapshots(void **state) {
    (void)state;
    break_snapshots(straight);
    break_snapshots(first_three);
}

// --- its parts ---

// A naive twin: 2,200 bits of two's complement, one bit at a time carried by words of 32.
struct long_number {
    uint32_t words[70];
};

static void long_add(struct long_number *n, double value, bool negate) {
    int exponent;
    double fraction = frexp(value, &exponent);
    int64_t mantissa = (int64_t)ldexp(fraction, 53);
    int shift = exponent - 53 + 1074;
    if (shift < 0) {
        mantissa >>= -shift;
        shift = 0;
    }
    if (negate) mantissa = -mantissa;
    uint32_t digits[70] = {0};
    unsigned __int128 wide = (unsigned __int128)(__int128)mantissa << shift % 32;
    for (int k = 0; k < 4; k++) if (shift / 32 + k < 70) digits[shift / 32 + k] = (uint32_t)(wide >> 32 * k);
    for (int k = shift / 32 + 4; k < 70; k++) digits[k] = mantissa < 0 ? UINT32_MAX : 0;
    uint64_t carry = 0;
    for (int k = 0; k < 70; k++) {
        carry += (uint64_t)n->words[k] + digits[k];
        n->words[k] = (uint32_t)carry;
        carry >>= 32;
    }
}

static bool long_is_zero(const struct long_number *n) {
    for (int k = 0; k < 70; k++) if (n->words[k]) return false;
    return true;
}

static double random_number(struct fixture *f) {
    uint64_t bits = random_next(&f->random);
    double value;
    if (random_below(&f->random, 3)) bits = (bits & ~(UINT64_C(0x7ff) << 52)) | (uint64_t)(1023 + random_below(&f->random, 40)) << 52;
    memcpy(&value, &bits, sizeof value);
    return isfinite(value) ? value : 1.5;
}

static void exact_sums(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    for (uint32_t round = 0; round < 3000; round++) {
        struct exact_sum s = {.chunks = NULL}, part = {.chunks = NULL}, loaded = {.chunks = NULL};
        struct long_number twin = {{0}};
        double values[40];
        uint32_t count = (uint32_t)random_below(&f.random, 40);
        for (uint32_t i = 0; i < count; i++) {
            values[i] = random_number(&f);
            assert_int_equal(exact_sum_add(i % 3 ? &s : &part, values[i], false, &f.memory), STATUS_OK);
            long_add(&twin, values[i], false);
        }
        assert_int_equal(exact_sum_merge(&s, &part, &f.memory), STATUS_OK);
        double sum = exact_sum_value(&s);
        assert_true(!signbit(sum) || sum != 0);
        struct buffer out;
        buffer_init(&out, &f.memory);
        assert_int_equal(exact_sum_save(&s, &out), STATUS_OK);
        struct reader in = reader_of(out.data, out.size_bytes);
        assert_true(exact_sum_load(&loaded, &in, &f.memory));
        assert_false(in.failed);
        double again = exact_sum_value(&loaded);
        assert_memory_equal(&again, &sum, sizeof sum);
        if (isfinite(sum)) {  // what is left is at most half a unit: the neighbours are not nearer
            struct long_number rest = twin;
            long_add(&rest, sum, true);
            bool negative = rest.words[69] >> 31, exact = long_is_zero(&rest);
            double neighbour = nextafter(sum, negative ? -(double)INFINITY : (double)INFINITY);
            if (!exact && isfinite(neighbour)) {
                struct long_number twice_rest = rest;
                for (int k = 69; k > 0; k--) twice_rest.words[k] = rest.words[k] << 1 | rest.words[k - 1] >> 31;
                twice_rest.words[0] = rest.words[0] << 1;
                long_add(&twice_rest, neighbour - sum, true);  // 2 rest − unit: of the other sign, or 0 with an even sum
                bool nearer = negative ? !(twice_rest.words[69] >> 31) || long_is_zero(&twice_rest) : twice_rest.words[69] >> 31 || long_is_zero(&twice_rest);
                assert_true(nearer);
                uint64_t bits;
                memcpy(&bits, &sum, sizeof bits);
                if (long_is_zero(&twice_rest)) assert_int_equal(bits & 1, 0);
            }
        }
        for (uint32_t i = count; i-- > 0;) assert_int_equal(exact_sum_add(&s, values[i], true, &f.memory), STATUS_OK);
        assert_true(exact_sum_value(&s) == 0);
        buffer_clear(&out);
        assert_int_equal(exact_sum_save(&s, &out), STATUS_OK);
        assert_int_equal(out.size_bytes, 1);
        buffer_release(&out);
        exact_sum_release(&s, &f.memory);
        exact_sum_release(&part, &f.memory);
        exact_sum_release(&loaded, &f.memory);
    }
    teardown(&f);
}

static void exact_sum_edges(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct exact_sum s = {.chunks = NULL};
    double largest = 1.7976931348623157e308, least = 4.9406564584124654e-324;
    for (uint32_t i = 0; i < 1000; i++) assert_int_equal(exact_sum_add(&s, largest, false, &f.memory), STATUS_OK);
    assert_true(isinf(exact_sum_value(&s)));
    assert_int_equal(exact_sum_add(&s, least, false, &f.memory), STATUS_OK);
    for (uint32_t i = 0; i < 1000; i++) assert_int_equal(exact_sum_add(&s, largest, true, &f.memory), STATUS_OK);
    assert_true(exact_sum_value(&s) == least);
    assert_int_equal(exact_sum_add(&s, -1.0, false, &f.memory), STATUS_OK);
    assert_true(exact_sum_value(&s) == -1.0);
    assert_int_equal(exact_sum_add(&s, 1.0, false, &f.memory), STATUS_OK);
    assert_true(exact_sum_value(&s) == least);
    s.additions = UINT32_C(1) << 30;  // carries are passed on
    assert_int_equal(exact_sum_add(&s, -3 * least, false, &f.memory), STATUS_OK);
    assert_true(exact_sum_value(&s) == -2 * least);
    assert_int_equal(s.additions, 1);
    exact_sum_release(&s, &f.memory);
    const uint8_t wrong[][4] = {{69, 0, 0, 0}, {1, 2, 0, 0}, {2, 0, 67, 0}, {1, 0, 0, 0}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct reader in = reader_of(wrong[i], sizeof wrong[i]);
        struct exact_sum loaded = {.chunks = NULL};
        assert_false(exact_sum_load(&loaded, &in, &f.memory));
        exact_sum_release(&loaded, &f.memory);
    }
    teardown(&f);
}

static int key_compare(const void *a, const void *b) { return string_view_compare(&(*(struct group *const *)a)->key, &(*(struct group *const *)b)->key); }

static void check_order(const struct key_order *o, const struct hash_table *t) {
    struct group **all = calloc(t->count + 1, sizeof *all);
    size_t n = 0;
    for (size_t i = 0; i < t->slot_count; i++) {
        if (table_slot_is_live(&t->slots[i])) all[n++] = t->slots[i].group;
    }
    qsort(all, n, sizeof *all, key_compare);
    struct string_view least = string_view_of("", 0);
    struct group *g = key_order_seek(o, &least);
    for (size_t i = 0; i < n; i++) {
        assert_ptr_equal(g, all[i]);
        assert_ptr_equal(key_order_seek(o, &all[i]->key), all[i]);
        g = key_order_next(o, g);
    }
    assert_null(g);
    free(all);
}

static void orders_of_keys(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct hash_table t;
    struct key_order o;
    table_init(&t, &f.memory, sizeof(struct order_links));
    key_order_init(&o);
    struct group *live[1000];
    size_t count = 0;
    for (uint32_t step = 0; step < 6000; step++) {
        if (count > 1 && random_below(&f.random, 10) < (step % 2000 < 1000 ? 4 : 6)) {
            size_t victim = (size_t)random_below(&f.random, count);
            key_order_remove(&o, live[victim]);
            table_remove(&t, live[victim]);
            live[victim] = live[--count];
        } else if (count < 1000) {
            char text[40];
            int size = snprintf(text, sizeof text, "%s%llu", step % 3 ? "" : "a common beginning ", (unsigned long long)random_below(&f.random, 5000));
            struct string_view key = string_view_of(text, (size_t)size);
            bool added;
            struct group *g = table_find_or_add(&t, &key, checksum64(text, (size_t)size, 0), &added);
            assert_non_null(g);
            if (!added) continue;
            key_order_insert(&o, g);
            live[count++] = g;
        }
        if (step % 500 == 499) check_order(&o, &t);
    }
    assert_true(count > 0);
    key_order_build(&o, &t);
    check_order(&o, &t);
    table_release(&t);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_equal_batches), cmocka_unit_test(nothing_is_left), cmocka_unit_test(few_are_kept), cmocka_unit_test(hostile_snapshots), cmocka_unit_test(failed_allocations),
        cmocka_unit_test(exact_sums), cmocka_unit_test(exact_sum_edges), cmocka_unit_test(orders_of_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
