// SPDX-License-Identifier: Apache-2.0
// plan_test.c: the analyzer and the optimizer seen from outside: a file of SQL over a table of the test's own connector, and the plan or the
// errors that come of it. Answers of queries are the business of the golden tests.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/bitmap.h"
#include "plan/analyzer.h"
#include "sql/parser.h"

static enum status test_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    (void)a;
    (void)offline;
    (void)e;
    *out = r->declared;
    return STATUS_OK;
}

static const struct option no_options[] = {{.name = NULL}};
static const struct source_class growing_source = {.name = "growing", .options = no_options, .is_unbounded = true, .schema = test_schema};
static const struct source_class still_source = {.name = "still", .options = no_options, .schema = test_schema};
static const struct sink_class store_sink = {.name = "sqlite", .options = no_options,
                                             .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_KEYLESS_RETRACTS};
static const struct sink_class append_sink = {.name = "log", .options = no_options, .capabilities = SINK_APPENDS};
static const struct connector growing = {.name = "growing", .source = &growing_source};
static const struct connector still = {.name = "still", .source = &still_source};
static const struct connector store = {.name = "sqlite", .sink = &store_sink};
static const struct connector append = {.name = "log", .sink = &append_sink};
static const struct connector *const connectors[] = {&growing, &still, &store, &append};
static const struct connector_set all_connectors = {.items = connectors, .count = 4};

struct world {
    struct memory memory;
    struct arena arena;
    struct session session;
    struct diagnostics diagnostics;
    struct source_text source;
    struct pipeline *pipeline;
};

static enum status analyze(struct world *w, const char *text) {
    memset(w, 0, sizeof *w);
    memory_init(&w->memory, "test", NULL, 0);
    arena_init(&w->arena, &w->memory);
    w->session.zone = &timezone_utc;
    w->source = (struct source_text){.name = "test.sql", .text = text, .size_bytes = strlen(text)};
    diagnostics_init(&w->diagnostics, &w->memory, &w->source);
    struct analysis a = {.arena = &w->arena, .session = &w->session, .connectors = &all_connectors, .memory = &w->memory, .diagnostics = &w->diagnostics, .offline = true};
    struct ustatement **statements = NULL;
    uint32_t count = 0;
    assert_int_equal(sql_parse(&w->arena, text, strlen(text), NULL, &w->diagnostics, &statements, &count), STATUS_OK);
    return analyze_pipeline(&a, statements, count, text, &w->pipeline);
}

static void leave(struct world *w) {
    diagnostics_release(&w->diagnostics);
    arena_release(&w->arena);
    assert_int_equal(memory_used(&w->memory), 0);
}

static const char *first_error(const struct world *w) {
    return w->diagnostics.items.count ? ((const struct diagnostic *)vector_at(&w->diagnostics.items, 0))->error.condition : "";
}

#define EVENTS "CREATE TABLE events (k STRING, n INT, s STRUCT<a: INT, b: STRING>, ts TIMESTAMP) USING growing;" \
               "CREATE TABLE files (k STRING, n INT) USING still;"

static void refused(const char *statement, const char *condition) {
    char text[2048];
    snprintf(text, sizeof text, "%s%s", EVENTS, statement);
    struct world w;
    assert_int_equal(analyze(&w, text), STATUS_INVALID_QUERY);
    assert_string_equal(first_error(&w), condition);
    assert_int_equal(w.diagnostics.error_count, 1);
    leave(&w);
}

static void test_errors(void **state) {
    (void)state;
    refused("CREATE STREAMING TABLE t AS SELECT kk FROM STREAM events;", "UNRESOLVED_COLUMN.WITH_SUGGESTION");
    refused("CREATE STREAMING TABLE t AS SELECT s.c FROM STREAM events;", "FIELD_NOT_FOUND");
    refused("CREATE STREAMING TABLE t AS SELECT nosuch(k) FROM STREAM events;", "UNRESOLVED_ROUTINE");
    refused("CREATE STREAMING TABLE t AS SELECT k FROM STREAM nosuch;", "TABLE_OR_VIEW_NOT_FOUND");
    refused("CREATE STREAMING TABLE t AS SELECT k FROM events;", "INVALID_FLOW_QUERY_TYPE.BATCH_RELATION_FOR_STREAMING_TABLE");
    refused("CREATE MATERIALIZED VIEW t AS SELECT k FROM STREAM events;", "INVALID_FLOW_QUERY_TYPE.STREAMING_RELATION_FOR_MATERIALIZED_VIEW");
    refused("CREATE STREAMING TABLE t AS SELECT count(*) AS c FROM STREAM events;", "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION");
    refused("CREATE STREAMING TABLE t AS SELECT DISTINCT k FROM STREAM events;", "STREAMING_OUTPUT_MODE.UNSUPPORTED_OPERATION");
    refused("CREATE STREAMING TABLE t AS SELECT k FROM STREAM events WHERE count(*) > 1;", "INVALID_WHERE_CONDITION");
    refused("CREATE STREAMING TABLE t AS SELECT k FROM STREAM events WHERE n;", "DATATYPE_MISMATCH.FILTER_NOT_BOOLEAN");
    refused("CREATE MATERIALIZED VIEW t AS SELECT k, n, count(*) AS c FROM events GROUP BY k;", "MISSING_AGGREGATION");
    refused("CREATE STREAMING TABLE leat_t AS SELECT k FROM STREAM events;", "LEAT_RESERVED_NAME");
    refused("CREATE STREAMING TABLE files AS SELECT k FROM STREAM events;", "PIPELINE_DUPLICATE_IDENTIFIERS.OUTPUT");
    refused("CREATE STREAMING TABLE a AS SELECT k FROM STREAM b; CREATE STREAMING TABLE b AS SELECT k FROM STREAM a;", "LEAT_CYCLE");
    refused("CREATE STREAMING TABLE t TBLPROPERTIES (key = 'kk') AS SELECT k FROM STREAM events;", "LEAT_INVALID_OPTION");
    refused("CREATE MATERIALIZED VIEW t USING log AS SELECT k, count(*) AS c FROM events GROUP BY k;", "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE");
    refused("CREATE VIEW both AS SELECT f.k FROM files f JOIN (SELECT * FROM files) g ON f.k = g.k;"
            "CREATE TABLE more (k STRING) USING still; CREATE VIEW two AS SELECT files.k FROM files JOIN more ON files.k = more.k;"
            "CREATE STREAMING TABLE t AS SELECT * FROM STREAM two;", "UNSUPPORTED_FEATURE");
    refused("SELECT 1;", "PIPELINE_SQL_GRAPH_ELEMENT_REGISTRATION_ERROR");
    refused("CREATE STREAMING TABLE t;", "PIPELINE_DATASET_WITHOUT_FLOW");
}

// One mistake, one message, whoever reads what it broke; and the others of the file are found too.
static void test_broken_view_is_reported_once(void **state) {
    (void)state;
    struct world w;
    (void)analyze(&w, EVENTS "CREATE VIEW v AS SELECT kk FROM events; CREATE STREAMING TABLE t AS SELECT * FROM STREAM v;"
                             "CREATE MATERIALIZED VIEW m AS SELECT kk, count(*) AS c FROM v GROUP BY kk;"
                             "CREATE STREAMING TABLE u AS SELECT zz, yy FROM STREAM events;");
    assert_int_equal(w.diagnostics.error_count, 3);  // kk, zz, yy
    leave(&w);
}

// Flows over one view share its scan and its projection; stateful nodes are not shared.
static void test_sharing(void **state) {
    (void)state;
    struct world w;
    assert_int_equal(analyze(&w, EVENTS "CREATE VIEW v AS SELECT upper(k) AS u, n + 1 AS m FROM events WHERE n > 0;"
                                        "CREATE STREAMING TABLE a AS SELECT * FROM STREAM v;"
                                        "CREATE MATERIALIZED VIEW b AS SELECT u, count(*) AS c FROM v GROUP BY u;"
                                        "CREATE MATERIALIZED VIEW c AS SELECT u, count(*) AS c FROM v GROUP BY u;"), STATUS_OK);
    uint32_t scans = 0, aggregates = 0, projects = 0;
    for (uint32_t i = 0; i < w.pipeline->node_count; i++) {
        const struct plan_node *n = w.pipeline->nodes[i];
        assert_int_equal(n->id, i);
        for (uint32_t k = 0; k < n->input_count; k++) assert_true(n->inputs[k]->id < i);
        scans += n->kind == PLAN_SCAN;
        aggregates += n->kind == PLAN_AGGREGATE;
        projects += n->kind == PLAN_PROJECT && n->inputs[0]->kind == PLAN_FILTER;
    }
    assert_int_equal(scans, 1);
    assert_int_equal(projects, 1);
    assert_int_equal(aggregates, 2);
    assert_int_equal(w.pipeline->flow_count, 3);
    leave(&w);
}

static void test_keys(void **state) {
    (void)state;
    struct world w;
    assert_int_equal(analyze(&w, EVENTS "CREATE MATERIALIZED VIEW a AS SELECT count(*) AS c, n, upper(k) AS u FROM events GROUP BY n, upper(k);"
                                        "CREATE MATERIALIZED VIEW b AS SELECT sum(n) AS s FROM events;"
                                        "CREATE STREAMING TABLE c TBLPROPERTIES (key = 'k') AS SELECT n, k FROM STREAM events;"
                                        "CREATE MATERIALIZED VIEW d AS SELECT count(*) AS c FROM events GROUP BY k;"), STATUS_OK);
    const struct plan_node *a = w.pipeline->flows[0]->root, *b = w.pipeline->flows[1]->root, *c = w.pipeline->flows[2]->root, *d = w.pipeline->flows[3]->root;
    assert_int_equal(a->kind, PLAN_CONSOLIDATE);
    assert_int_equal(a->key_count, 2);
    assert_int_equal(a->unique_key[0], 1);
    assert_int_equal(a->unique_key[1], 2);
    assert_int_equal(b->kind, PLAN_CONSOLIDATE);
    assert_int_equal(b->key_count, 0);
    assert_int_equal(c->kind, PLAN_CONSOLIDATE);
    assert_int_equal(c->exprs[0]->ordinal, 1);
    assert_int_equal(d->kind, PLAN_PROJECT);
    assert_int_equal(d->changes, CHANGES_RETRACT);
    leave(&w);
}

// The scan is asked only for what is read.
static void test_wanted(void **state) {
    (void)state;
    struct world w;
    assert_int_equal(analyze(&w, EVENTS "CREATE STREAMING TABLE a AS SELECT s.a AS x FROM STREAM events WHERE n > 1;"), STATUS_OK);
    const struct plan_node *scan = w.pipeline->nodes[0];
    assert_int_equal(scan->kind, PLAN_SCAN);
    assert_non_null(scan->wanted);
    assert_false(bitmap_get(scan->wanted, 0));
    assert_true(bitmap_get(scan->wanted, 1));
    assert_true(bitmap_get(scan->wanted, 2));
    assert_false(bitmap_get(scan->wanted, 3));
    leave(&w);
}

// Looks and formatting are not in the hash; the query is.
static void test_hash(void **state) {
    (void)state;
    struct world x, y, z;
    assert_int_equal(analyze(&x, EVENTS "CREATE MATERIALIZED VIEW a AS SELECT k, count(*) AS c FROM events GROUP BY k;"), STATUS_OK);
    assert_int_equal(analyze(&y, EVENTS "CREATE MATERIALIZED VIEW a TBLPROPERTIES ('leat.chart' = 'bar') AS select  K as k, COUNT(*) c FROM events\nGROUP BY 1;"), STATUS_OK);
    assert_int_equal(analyze(&z, EVENTS "CREATE MATERIALIZED VIEW a AS SELECT k, count(n) AS c FROM events GROUP BY k;"), STATUS_OK);
    assert_true(x.pipeline->flows[0]->hash == y.pipeline->flows[0]->hash);
    assert_true(x.pipeline->flows[0]->hash != z.pipeline->flows[0]->hash);
    leave(&x);
    leave(&y);
    leave(&z);
}

// Rows written into the text are part of the query: another table of names is another query.
static void test_hash_of_values(void **state) {
    (void)state;
    static const char *const texts[] = {
        EVENTS "CREATE MATERIALIZED VIEW a AS SELECT e.k, c.n FROM events e JOIN (VALUES (1, 'x'), (2, 'y')) AS c(k, n) ON e.n = c.k;",
        EVENTS "CREATE MATERIALIZED VIEW a AS SELECT e.k, c.n FROM events e JOIN (VALUES (1, 'x'), (2, 'z')) AS c(k, n) ON e.n = c.k;",
        EVENTS "CREATE MATERIALIZED VIEW a AS SELECT e.k, c.n FROM events e JOIN (VALUES (1, 'x')) AS c(k, n) ON e.n = c.k;",
        EVENTS "CREATE MATERIALIZED VIEW a AS SELECT e.k, c.n FROM events e JOIN (VALUES (1, 'x'), (2,  'y')) AS c(k, n) ON e.n = c.k;",
    };
    uint64_t hashes[4];
    for (size_t i = 0; i < 4; i++) {
        struct world w;
        assert_int_equal(analyze(&w, texts[i]), STATUS_OK);
        hashes[i] = w.pipeline->flows[0]->hash;
        leave(&w);
    }
    assert_true(hashes[0] != hashes[1] && hashes[0] != hashes[2] && hashes[1] != hashes[2]);
    assert_true(hashes[0] == hashes[3]);
}

// Names that double at each step must not double the work.
static void test_hostile_aliases(void **state) {
    (void)state;
    char text[8192];
    size_t at = (size_t)snprintf(text, sizeof text, "%sCREATE STREAMING TABLE t AS SELECT n AS a0", EVENTS);
    for (int i = 1; i < 60; i++) at += (size_t)snprintf(text + at, sizeof text - at, ", a%d + a%d AS a%d", i - 1, i - 1, i);
    snprintf(text + at, sizeof text - at, " FROM STREAM events;");
    struct world w;
    assert_int_equal(analyze(&w, text), STATUS_INVALID_QUERY);
    assert_string_equal(first_error(&w), "LEAT_LIMIT_EXCEEDED");
    leave(&w);
}

// Views that double at each level: a graph of 40 nodes, a tree of 2^40.
static void test_hostile_views(void **state) {
    (void)state;
    char text[8192];
    size_t at = (size_t)snprintf(text, sizeof text, "%sCREATE VIEW v0 AS SELECT k, n FROM events;", EVENTS);
    for (int i = 1; i < 40; i++) at += (size_t)snprintf(text + at, sizeof text - at, "CREATE VIEW v%d AS SELECT * FROM v%d UNION ALL SELECT * FROM v%d;", i, i - 1, i - 1);
    snprintf(text + at, sizeof text - at, "CREATE STREAMING TABLE t AS SELECT * FROM STREAM v39 WHERE n > 3;");
    struct world w;
    assert_int_equal(analyze(&w, text), STATUS_OK);
    assert_true(w.pipeline->node_count < 20000);
    struct buffer out;
    buffer_init(&out, &w.memory);
    assert_int_equal(plan_explain(w.pipeline->flows[0]->root, &out), STATUS_OK);
    buffer_release(&out);
    leave(&w);
}

// Each allocation in turn fails: an error, never a crash, and nothing is lost.
static void test_no_memory(void **state) {
    (void)state;
    const char *text = EVENTS "CREATE VIEW v AS SELECT k, n, row_number FROM (SELECT k, n, n * 2 AS row_number FROM events) WHERE n > 1 AND k LIKE 'a%';"
                              "CREATE MATERIALIZED VIEW m AS SELECT k, count(DISTINCT n) AS c FROM v GROUP BY k ORDER BY c DESC LIMIT 3;";
    for (int64_t fail = 1; fail < 200; fail++) {
        struct world w;
        memset(&w, 0, sizeof w);
        memory_init(&w.memory, "test", NULL, 0);
        arena_init(&w.arena, &w.memory);
        w.session.zone = &timezone_utc;
        w.source = (struct source_text){.name = "test.sql", .text = text, .size_bytes = strlen(text)};
        diagnostics_init(&w.diagnostics, &w.memory, &w.source);
        w.memory.fail_countdown = fail;
        struct analysis a = {.arena = &w.arena, .session = &w.session, .connectors = &all_connectors, .memory = &w.memory, .diagnostics = &w.diagnostics, .offline = true};
        struct ustatement **statements = NULL;
        uint32_t count = 0;
        enum status s = sql_parse(&w.arena, text, strlen(text), NULL, &w.diagnostics, &statements, &count);
        if (s == STATUS_OK) s = analyze_pipeline(&a, statements, count, text, &w.pipeline);
        diagnostics_release(&w.diagnostics);
        arena_release(&w.arena);
        assert_int_equal(memory_used(&w.memory), 0);
        if (s == STATUS_OK) return;
    }
    fail_msg("the analysis needs more than 200 allocations, which is more than it should");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors),          cmocka_unit_test(test_broken_view_is_reported_once), cmocka_unit_test(test_sharing),
        cmocka_unit_test(test_keys),            cmocka_unit_test(test_wanted),                       cmocka_unit_test(test_hash),
        cmocka_unit_test(test_hash_of_values),
        cmocka_unit_test(test_hostile_aliases), cmocka_unit_test(test_hostile_views),                cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
