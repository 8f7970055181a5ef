// SPDX-License-Identifier: Apache-2.0
// cassandra_options_test.c: options of the Cassandra connector under both their names, what is refused, when two tables are one store, and the
// CREATE TABLE of a query. No server is needed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "column/type_text.h"
#include "connector/cassandra/cassandra.h"
#include "connector/registry.h"
#include <stdio.h>
#include <stdlib.h>

struct fixture {
    struct memory memory;
    struct arena arena;
    struct option_set options;
    struct cassandra_settings settings;
    struct error e;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    arena_release(&f->arena);
    int leaked = memory_used(&f->memory) != 0;
    free(f);
    return leaked;
}

// A list of keys and values, NULL at its end, as the plan parses it.
static enum status parse(struct fixture *f, enum cassandra_use use, const char *const *pairs) {
    struct uoption given[16] = {0};
    uint32_t count = 0;
    struct diagnostics d;
    for (; *pairs; pairs += 2) given[count++] = (struct uoption){.key = pairs[0], .value = pairs[1]};
    diagnostics_init(&d, &f->memory, NULL);
    enum status status = options_parse(&f->arena, use == CASSANDRA_WRITES ? cassandra_sink_options : cassandra_source_options, given, count, NULL, "t", &d, &f->options);
    diagnostics_release(&d);
    if (status != STATUS_OK) return status;
    struct cassandra_place place = {.options = &f->options, .table_name = "t", .base_folder = "/base", .use = use};
    return cassandra_settings_read(&place, &f->arena, &f->settings, &f->e);
}
#define PARSE(f, use, ...) parse(f, use, (const char *const[]){__VA_ARGS__, NULL})

static void test_defaults(void **state) {
    struct fixture *f = *state;
    const struct cassandra_settings *s = &f->settings;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k"), STATUS_OK);
    assert_int_equal(s->host_count, 1);
    assert_string_equal(s->hosts[0], "localhost");
    assert_int_equal(s->port, 9042);
    assert_string_equal(s->table, "t");
    assert_int_equal(s->consistency, CQL_LOCAL_QUORUM);
    assert_int_equal(s->batch_rows, 10);
    assert_int_equal(s->ttl_s, 0);
    assert_false(s->create || s->ignore_nulls || s->tls.enabled);
    assert_int_equal(PARSE(f, CASSANDRA_READS, "keyspace", "k"), STATUS_OK);
    assert_int_equal(s->consistency, CQL_LOCAL_ONE);
    assert_int_equal(s->page_rows, 5000);
}

static void test_names_of_spark(void **state) {
    struct fixture *f = *state;
    const struct cassandra_settings *s = &f->settings;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "spark.cassandra.connection.host", "a, b:9043 ", "spark.cassandra.connection.port", "9999",
                           "spark.cassandra.auth.username", "ada", "spark.cassandra.auth.password", "secret", "spark.cassandra.output.consistency.level", "one",
                           "spark.cassandra.output.ttl", "60", "spark.cassandra.output.batch.grouping.key", "partition", "spark.cassandra.output.ignoreNulls", "true"), STATUS_OK);
    assert_int_equal(s->host_count, 2);
    assert_string_equal(s->hosts[0], "a");
    assert_string_equal(s->hosts[1], "b:9043");
    assert_int_equal(s->port, 9999);
    assert_string_equal(s->user, "ada");
    assert_int_equal(s->consistency, CQL_ONE);
    assert_int_equal(s->ttl_s, 60);
    assert_int_equal(s->grouping, CASSANDRA_GROUP_PARTITION);
    assert_true(s->ignore_nulls);
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "host", "mine", "spark.cassandra.connection.host", "theirs", "spark.cassandra.output.throughputMBPerSec", "5"), STATUS_OK);
    assert_string_equal(s->hosts[0], "mine");
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "ttl", "2 days", "batch", "none", "spark.cassandra.output.batch.size.rows", "auto"), STATUS_OK);
    assert_int_equal(s->ttl_s, 172800);
    assert_int_equal(s->batch_rows, 1);
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "tls", "true", "caFile", "ca.pem"), STATUS_OK);
    assert_string_equal(s->tls.ca_file, "/base/ca.pem");
}

static void test_refused(void **state) {
    struct fixture *f = *state;
    static const char *const wrong[][2] = {
        {"port", "0"}, {"port", "65536"}, {"host", "a,,b"}, {"consistency", "SERIAL"}, {"consistency", "ANY"}, {"consistency", "most"}, {"ttl", "-1"}, {"ttl", "soon"},
        {"ttl", "630720001"}, {"user", "ada"}, {"password", "x"}, {"caFile", "ca.pem"}, {"batch", "all"}, {"spark.cassandra.output.batch.size.rows", "101"},
        {"spark.cassandra.output.concurrent.writes", "0"}, {"timeout", "1 ms"}, {"table", ""}, {"leat.create", "maybe"}, {"spark.cassandra.connection.compression", "snappy"}, {"keyspce", "k"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (PARSE(f, CASSANDRA_WRITES, "keyspace", "k", wrong[i][0], wrong[i][1]) == STATUS_OK) fail_msg("%s = %s", wrong[i][0], wrong[i][1]);
    }
    assert_int_not_equal(PARSE(f, CASSANDRA_WRITES, "host", "a"), STATUS_OK);  // no keyspace
}

static void test_secrets_are_not_said(void **state) {
    struct fixture *f = *state;
    setenv("LEAT_TEST_CASSANDRA", "from the environment", 1);
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "user", "ada", "password", "${env:LEAT_TEST_CASSANDRA}"), STATUS_OK);
    assert_string_equal(f->settings.password, "from the environment");
    const char *identity;
    assert_int_equal(cassandra_identity(&f->options, &f->arena, &identity, &f->e), STATUS_OK);
    assert_null(strstr(identity, "environment"));
    assert_string_equal(identity, "cassandra:ada@localhost:9042/k");
    unsetenv("LEAT_TEST_CASSANDRA");
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "user", "ada", "password", "${env:LEAT_TEST_CASSANDRA}"), STATUS_NOT_FOUND);
}

static void test_identity(void **state) {
    struct fixture *f = *state;
    const char *a, *b, *c, *d;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "host", "h", "ttl", "5", "table", "x"), STATUS_OK);
    assert_int_equal(cassandra_identity(&f->options, &f->arena, &a, &f->e), STATUS_OK);
    struct option_set first = f->options;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "spark.cassandra.connection.host", "h", "consistency", "ONE"), STATUS_OK);
    assert_int_equal(cassandra_identity(&f->options, &f->arena, &b, &f->e), STATUS_OK);
    assert_string_equal(a, b);  // what is a table's does not part them
    assert_null(cassandra_secret_that_differs(&first, &f->options));
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k2", "host", "h"), STATUS_OK);
    assert_int_equal(cassandra_identity(&f->options, &f->arena, &c, &f->e), STATUS_OK);
    assert_string_not_equal(a, c);
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "host", "h", "tls", "true"), STATUS_OK);
    assert_int_equal(cassandra_identity(&f->options, &f->arena, &d, &f->e), STATUS_OK);
    assert_string_not_equal(a, d);
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "host", "h", "user", "u", "password", "p"), STATUS_OK);
    first = f->options;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k", "host", "h", "user", "u", "password", "q"), STATUS_OK);
    assert_string_equal(cassandra_secret_that_differs(&first, &f->options), "password");
}

static const struct type *schema_of(struct fixture *f, const char *text) {
    const struct type *t;
    if (type_parse_schema(&f->arena, text, strlen(text), &t, &f->e) != STATUS_OK) fail_msg("%s: %s", text, f->e.message);
    return t;
}

static void test_create_text(void **state) {
    struct fixture *f = *state;
    const uint32_t key[] = {1, 0};
    const char *text;
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "Shop", "table", "per \"day\""), STATUS_OK);
    const struct type *schema = schema_of(f, "id INT, Day DATE, tags ARRAY<STRING>, m MAP<STRING, STRUCT<a: DECIMAL(10,2), b: TIMESTAMP>>, `order` BIGINT");
    assert_int_equal(cassandra_create_text(&f->settings, schema, key, 2, &f->arena, &text, &f->e), STATUS_OK);
    assert_string_equal(text, "CREATE TABLE IF NOT EXISTS \"Shop\".\"per \"\"day\"\"\" (id int, \"Day\" date, tags frozen<list<text>>, m frozen<map<text, frozen<tuple<decimal, timestamp>>>>, "
                              "\"order\" bigint, PRIMARY KEY ((\"Day\", id)))");
    assert_int_equal(cassandra_create_text(&f->settings, schema_of(f, "id INT, n VOID"), key, 1, &f->arena, &text, &f->e), STATUS_INVALID_QUERY);
    assert_non_null(strstr(f->e.message, "`n`"));
}

static void test_check_wants_a_key(void **state) {
    struct fixture *f = *state;
    const uint32_t key[] = {0};
    struct sink_request r = {.table_name = "t", .memory = &f->memory, .schema = schema_of(f, "id INT, n BIGINT")};
    assert_int_equal(PARSE(f, CASSANDRA_WRITES, "keyspace", "k"), STATUS_OK);
    r.options = f->options;
    assert_int_equal(cassandra_sink_class.check(&r, &f->e), STATUS_INVALID_QUERY);
    assert_non_null(strstr(f->e.hint, "key = 'id'"));
    r.single_row = r.materialized = r.retracts = true;
    assert_int_equal(cassandra_sink_class.check(&r, &f->e), STATUS_INVALID_QUERY);
    r.single_row = false;
    r.key = key;
    r.key_count = 1;
    assert_int_equal(cassandra_sink_class.check(&r, &f->e), STATUS_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_defaults, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_names_of_spark, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_secrets_are_not_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_identity, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_create_text, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_check_wants_a_key, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
