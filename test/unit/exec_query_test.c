// SPDX-License-Identifier: Apache-2.0
// exec_query_test.c: whole queries with subqueries, static join sides, rows and groups that cannot be computed, generators and windows, and
// runs in which the n-th allocation is refused.
#include "exec_support.h"

// A table of rows as a connector has it, for query_execute and static join sides.
static const struct row *stored_rows;
static size_t stored_count;

static enum status stored_open(const struct source_request *r, struct source **out, struct error *e) {
    (void)e;
    static struct rows_source source;
    source.base.request = *r;
    source.memory = r->memory;
    source.rows = stored_rows;
    *out = &source.base;
    return STATUS_OK;
}
static enum status stored_latest(struct source *s, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    (void)s, (void)budget, (void)backlog_rows, (void)wake_at_us, (void)e;
    int64_t begin = from->count ? from->items[0].offset : 0, half = (int64_t)stored_count / 2;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    out->items[0] = (struct range){.begin = begin, .end = begin < half ? half : (int64_t)stored_count};  // in two pieces
    out->count = out->items[0].begin < out->items[0].end;
    *exhausted = out->items[0].end == (int64_t)stored_count;
    return STATUS_OK;
}
static enum status stored_splits(struct source *s, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)s, (void)e;
    const struct range *r = &ranges->items[0];
    enum { MORSEL = 70 };
    out->items = arena_alloc_array(a, (size_t)(r->end - r->begin) / MORSEL + 1, sizeof *out->items);
    for (int64_t at = r->begin; at < r->end; at += MORSEL, out->count++) {
        out->items[out->count] = (struct split){.range = {.begin = at, .end = at + MORSEL < r->end ? at + MORSEL : r->end}, .sequence = out->count};
    }
    return STATUS_OK;
}
static void stored_close(struct source *s) { (void)s; }
static const struct source_class stored_class = {.name = "stored", .open = stored_open, .latest = stored_latest, .splits = stored_splits,
                                                 .read = read_rows, .close = stored_close};
static const struct connector stored_connector = {.name = "stored", .source = &stored_class};

static enum status stored_open_class(const struct source_request *r, struct source **out, struct error *e) {
    TRY(stored_open(r, out, e));
    (*out)->class = &stored_class;
    return STATUS_OK;
}

static struct plan_node *stored_scan(struct fixture *f) {
    struct plan_node *n = scan_new(f, false);
    static struct source_class class;
    static struct connector connector;
    class = stored_class;
    class.open = stored_open_class;
    connector = stored_connector;
    connector.source = &class;
    n->table->connector = &connector;
    return n;
}

static enum status take_batch(void *context, struct batch *b) { return sink_write(context, 0, b, NULL); }

static char *query_text(struct fixture *f, struct plan_node *root, uint32_t workers, bool ordered, enum status expected) {
    struct taken sink = {.mutex = PTHREAD_MUTEX_INITIALIZER, .order_matters = ordered};
    struct query_run run = {.session = &f->session, .memory = &f->memory, .state_memory = &f->memory, .worker_count = workers};
    struct error e;
    error_clear(&e);
    enum status status = query_execute(&run, root, take_batch, &sink, &e);
    if (status != expected) fail_msg("query: %s: %s", status_name(status), e.message);
    char *text = taken_text(&sink);
    taken_free(&sink);
    return text;
}

static void queries(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    enum { COUNT = 1500 };
    struct row *rows = calloc(COUNT, sizeof *rows);
    int64_t most = 0;
    for (size_t i = 0; i < COUNT; i++) {
        rows[i] = random_row(&f, 30);
        if (rows[i].value > most) most = rows[i].value;
    }
    stored_rows = rows;
    stored_count = COUNT;
    struct plan_node *scan = stored_scan(&f);
    char *all = row_lines(rows, 0, COUNT, true);
    for (uint32_t workers = 1; workers <= 4; workers++) {  // file order is kept
        char *text = query_text(&f, scan, workers, true, STATUS_OK);
        assert_string_equal(text, all);
        free(text);
    }
    free(all);
    // WHERE value = (SELECT max(value) …) AND value IN (SELECT value …)
    struct plan_node *top = node_new(&f, PLAN_AGGREGATE, scan), *in = node_new(&f, PLAN_LIMIT, sorted_new(&f, scan)), *list = node_new(&f, PLAN_PROJECT, in);
    top->exprs = arena_alloc_array(&f.arena, 1, sizeof *top->exprs);
    top->exprs[0] = aggregate_of(&f, "max", column_of(&f, scan, 3), false);
    top->expr_count = 1;
    set_attributes(&f, top, top->exprs, 1);
    in->limit = 3;
    list->exprs = arena_alloc_array(&f.arena, 1, sizeof *list->exprs);
    list->exprs[0] = column_of(&f, scan, 3);
    list->expr_count = 1;
    set_attributes(&f, list, list->exprs, 1);
    struct expr *scalar = expr_new(&f.arena, EXPR_SUBQUERY, &type_bigint, true, 0), *member = expr_new(&f.arena, EXPR_IN_SUBQUERY, &type_boolean, true, 1);
    scalar->subquery = top;
    member->subquery = list;
    member->args[0] = column_of(&f, scan, 3);
    struct plan_node *filter = node_new(&f, PLAN_FILTER, scan), *outer = node_new(&f, PLAN_FILTER, filter);
    filter->condition = call(&f, "=", column_of(&f, scan, 3), scalar);
    outer->condition = member;
    struct taken expected = {.mutex = PTHREAD_MUTEX_INITIALIZER};
    for (size_t i = 0; i < COUNT; i++) {
        char *line = row_lines(rows, i, i + 1, true);
        line[strlen(line) - 1] = 0;
        if (rows[i].value == most) taken_add(&expected, line, 1);
        free(line);
    }
    char *want = taken_text(&expected), *text = query_text(&f, outer, 2, false, STATUS_OK);
    assert_string_equal(text, want);
    free(text);
    scalar->subquery = list;  // three rows
    free(query_text(&f, outer, 1, false, STATUS_DATA));
    filter->condition = call(&f, "=", call(&f, "div", column_of(&f, scan, 3), expr_bigint(&f.arena, 0)), expr_bigint(&f.arena, 1));
    free(query_text(&f, outer, 2, false, STATUS_DATA));  // a row that fails ends a query
    free(want);
    taken_free(&expected);
    free(rows);
    teardown(&f);
}

static void static_join(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row table[40], rows[500];
    for (size_t i = 0; i < 40; i++) table[i] = random_row(&f, 20);
    stored_rows = table;
    stored_count = 40;
    struct plan_node *scan = scan_new(&f, true), *root = join_new(&f, scan, stored_scan(&f), JOIN_LEFT, true);
    struct machine m;
    machine_init(&m, &f, root, 2);
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        for (size_t i = 0; i < 500; i++) rows[i] = random_row(&f, 20);
        struct feed_of feed = {scan->table, rows, 500};
        taken_clear(&m.sink);
        machine_run(&m, &feed, 1, false, 50);
        execution_commit(m.execution);
        check_ledger(&m);
        char *expected = naive_join(rows, 500, table, 40, JOIN_LEFT, true), *text = taken_text(&m.sink);
        assert_string_equal(text, expected);
        free(expected);
        free(text);
    }
    machine_release(&m);
    teardown(&f);
}

struct dead_count {
    _Atomic int rows, groups;
    char condition[64];
};
static enum status count_dead_row(void *context, const struct plan_node *node, const char *flow_name, const struct batch *b, uint32_t row,
                                  const struct row_error *why, struct error *e) {
    (void)node, (void)flow_name, (void)b, (void)row, (void)e;
    struct dead_count *d = context;
    if (d->rows++ == 0) snprintf(d->condition, sizeof d->condition, "%s", why->condition);
    return STATUS_OK;
}
static enum status count_dead_group(void *context, const struct plan_node *node, const char *flow_name, const char *key_text, const struct row_error *why,
                                    struct error *e) {
    (void)node, (void)flow_name, (void)e;
    struct dead_count *d = context;
    d->groups++;
    snprintf(d->condition, sizeof d->condition, "%s %s", key_text, why->condition);
    return STATUS_OK;
}

static void dead_rows_and_groups(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[100];
    int zeros = 0;
    for (size_t i = 0; i < 100; i++) {
        rows[i] = random_row(&f, 5);
        zeros += rows[i].value == 0;
    }
    struct plan_node *scan = scan_new(&f, true), *project = node_new(&f, PLAN_PROJECT, scan);
    project->exprs = arena_alloc_array(&f.arena, 1, sizeof *project->exprs);
    project->exprs[0] = call(&f, "div", expr_bigint(&f.arena, 100), column_of(&f, scan, 3));
    project->expr_count = 1;
    set_attributes(&f, project, project->exprs, 1);
    struct dead_count dead = {0};
    struct machine m;
    struct feed_of feed = {scan->table, rows, 100};
    machine_init(&m, &f, project, 2);
    m.execution->config.dead = (struct dead_handler){.row = count_dead_row, .group = count_dead_group, .context = &dead};
    machine_run(&m, &feed, 1, false, 9);
    check_ledger(&m);
    assert_int_equal(dead.rows, zeros);
    assert_int_equal(m.sink.count, 100 - zeros);
    if (zeros) assert_string_equal(dead.condition, "DIVIDE_BY_ZERO");
    machine_release(&m);
    // a group that overflows is dead, and returns when a row is taken back
    struct plan_node *root = aggregate_new(&f, scan, 1, true, false);
    root->expr_count = root->attribute_count = 3;  // key, count, sum
    root->inputs[0]->changes = CHANGES_RETRACT;
    machine_init(&m, &f, root, 2);
    m.execution->config.dead = (struct dead_handler){.row = count_dead_row, .group = count_dead_group, .context = &dead};
    struct row big[2] = {{.has_key = true, .key = 7, .text = "x", .value = INT64_MAX, .weight = 1}, {.has_key = true, .key = 7, .text = "x", .value = 1, .weight = 1}};
    const char *expected[] = {"7|1|9223372036854775807\n", "", "7|1|9223372036854775807\n"};
    for (uint32_t epoch = 0; epoch < 3; epoch++) {
        if (epoch == 2) big[1].weight = -1;
        struct feed_of one = {scan->table, &big[epoch ? 1 : 0], 1};
        machine_run(&m, &one, 1, false, 9);
        execution_commit(m.execution);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected[epoch]);
        free(text);
    }
    assert_int_equal(dead.groups, 1);
    assert_string_equal(dead.condition, "7 ARITHMETIC_OVERFLOW");
    machine_release(&m);
    teardown(&f);
}

static void generated_and_windowed(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[3] = {{.has_key = true, .key = 450, .text = "a", .value = 1, .weight = 1}, {.has_key = false, .text = "b", .value = 2, .weight = 1},
                          {.has_key = true, .key = 455, .text = "a", .value = 3, .weight = 1}};
    struct plan_node *scan = scan_new(&f, false), *explode = node_new(&f, PLAN_GENERATE, scan), *window = node_new(&f, PLAN_WINDOW, scan),
                     *sessions = node_new(&f, PLAN_SESSION, scan);
    struct column_builder list;
    struct column *constant = arena_alloc_zeroed(&f.arena, sizeof *constant);
    column_builder_init(&list, &f.arena, type_array(&f.arena, &type_bigint, true));
    int64_t ten = 10;
    column_builder_append_fixed(&list.children[0], &ten);
    column_builder_append_null(&list.children[0]);
    column_builder_end_list(&list);
    assert_int_equal(column_builder_finish(&list, constant), STATUS_OK);
    constant->form = COLUMN_CONSTANT;
    struct expr *array = expr_literal(&f.arena, constant);
    struct attribute *more = arena_alloc_array(&f.arena, 6, sizeof *more);
    memcpy(more, scan->attributes, COLUMNS * sizeof *more);
    more[4] = (struct attribute){.name = "pos", .type = &type_int};
    more[5] = (struct attribute){.name = "col", .type = &type_bigint};
    explode->generator = GENERATE_POSEXPLODE;
    explode->exprs = &array;
    explode->expr_count = 1;
    explode->attributes = more;
    explode->attribute_count = 6;
    const struct field fields[2] = {{"start", &type_timestamp, true}, {"end", &type_timestamp, true}};
    struct attribute *timed = arena_alloc_array(&f.arena, 5, sizeof *timed);
    memcpy(timed, scan->attributes, COLUMNS * sizeof *timed);
    timed[4] = (struct attribute){.name = "window", .type = type_struct(&f.arena, fields, 2)};
    struct expr *time = expr_column(&f.arena, 0, &type_timestamp, true), *session_exprs[2] = {column_of(&f, scan, 1), time};
    window->exprs = &time;
    window->expr_count = 1;
    window->window_us = 100;
    window->slide_us = 50;
    sessions->exprs = session_exprs;
    sessions->expr_count = 2;
    sessions->key_count = 1;
    sessions->gap_us = 5;
    window->attributes = sessions->attributes = timed;
    window->attribute_count = sessions->attribute_count = 5;
    struct plan_node *roots[] = {explode, window, sessions};
    const char *expected[] = {
        "450|a|0|1|0|10\n450|a|0|1|1|NULL\n455|a|0|3|0|10\n455|a|0|3|1|NULL\nNULL|b|0|2|0|10\nNULL|b|0|2|1|NULL\n",
        "450|a|0|1|400..500\n450|a|0|1|450..550\n455|a|0|3|400..500\n455|a|0|3|450..550\n",
        "450|a|0|1|450..460\n455|a|0|3|450..460\n",
    };
    for (uint32_t k = 0; k < 3; k++) {
        struct machine m;
        struct feed_of feed = {scan->table, rows, 3};
        machine_init(&m, &f, roots[k], 2);
        machine_run(&m, &feed, 1, true, 2);
        check_ledger(&m);
        char *text = taken_text(&m.sink);
        assert_string_equal(text, expected[k]);
        free(text);
        machine_release(&m);
    }
    teardown(&f);
}

// The n-th allocation of a run fails: an error, a clean rollback, no leak, and the same run succeeds afterwards.
static void refused_memory(void **state) {
    (void)state;
    struct fixture f;
    setup(&f);
    struct row rows[300];
    for (size_t i = 0; i < 300; i++) rows[i] = random_row(&f, 9);
    struct plan_node *scan = scan_new(&f, true), *groups = aggregate_new(&f, scan, 3, false, false), *top = node_new(&f, PLAN_LIMIT, groups),
                     *root = node_new(&f, PLAN_CONSOLIDATE, top);
    uint32_t key[2] = {0, 1};
    top->limit = 20;
    root->unique_key = key;
    root->unique_key_count = 2;
    uint32_t failures = 0;
    for (int64_t countdown = 1; countdown < 1200; countdown += 1 + countdown / 40) {
        struct machine m;
        struct error e;
        error_clear(&e);
        machine_init(&m, &f, root, 1);
        struct rows_source source = {.base = {.class = &rows_class}, .memory = &f.memory, .rows = rows};
        struct split split[2] = {{.range = {.begin = 0, .end = 150}}, {.range = {.begin = 150, .end = 300}, .sequence = 1}};
        struct memory small;  // refuses; the source's own batches do not count
        memory_init(&small, "small", &f.memory, 0);
        m.execution->memory = &small;
        struct epoch_input input = {.table = scan->table, .source = &source.base, .splits = {.items = split, .count = 2}};
        struct epoch_run run = {.epoch = 1, .inputs = &input, .input_count = 1};
        small.fail_countdown = countdown;
        enum status status = execution_run(m.execution, &m.crew, &run, &e);
        small.fail_countdown = -1;
        if (status != STATUS_OK) {
            failures++;
            assert_int_equal(status, STATUS_NO_MEMORY);
            assert_int_equal(execution_rollback(m.execution, &e), STATUS_OK);
            taken_clear(&m.sink);
            run.epoch = 2;
            assert_int_equal(execution_run(m.execution, &m.crew, &run, &e), STATUS_OK);
        }
        execution_commit(m.execution);
        assert_true(m.sink.count == 20);
        m.execution->memory = &f.memory;
        machine_release(&m);
        assert_int_equal(memory_used(&small), 0);
    }
    assert_true(failures > 20);
    teardown(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries), cmocka_unit_test(static_join), cmocka_unit_test(dead_rows_and_groups), cmocka_unit_test(generated_and_windowed),
        cmocka_unit_test(refused_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
