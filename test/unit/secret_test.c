// SPDX-License-Identifier: Apache-2.0
// secret_test.c: no part of a secret in what is shown or kept: texts that parse, texts that do not, messages, drawings, options' tables.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "connector/registry.h"
#include "plan/secret.h"
#include "sql/parser.h"
#include "sql/substitute.h"

struct world {
    struct memory memory;
    struct arena arena;
};

static int setup(void **state) {
    static struct world w;
    memory_init(&w.memory, "test", NULL, 0);
    arena_init(&w.arena, &w.memory);
    *state = &w;
    return 0;
}

static int teardown(void **state) {
    struct world *w = *state;
    arena_release(&w->arena);
    return memory_used(&w->memory) != 0;
}

static const char *hidden(struct world *w, const char *text) {
    const char *out = secrets_hidden(&w->arena, text, strlen(text), 0, strlen(text));
    assert_non_null(out);
    return out;
}

static void test_hidden(void **state) {
    static const char *const pairs[][2] = {
        {"OPTIONS (password 'hunter2', user 'ada')", "OPTIONS (password '…', user 'ada')"},
        {"OPTIONS ('kafka.ssl.key.password' = \"hunter2\")", "OPTIONS ('kafka.ssl.key.password' = \"…\")"},
        {"OPTIONS (password '${env:PW}')", "OPTIONS (password '${env:PW}')"},
        {"OPTIONS (password 'a${env:PW}')", "OPTIONS (password '…')"},
        {"OPTIONS (password r'hunter2' 'more')", "OPTIONS (password r'…' '…')"},
        {"OPTIONS (url 'https://ada:hunter2@h.org/a?key=1234&n=5', path 'x')", "OPTIONS (url 'https://…:…@h.org/a?key=…&n=…', path 'x')"},
        {"OPTIONS (url 'https://h.org/a?hunter2')", "OPTIONS (url 'https://h.org/a?…')"},
        {"OPTIONS (url 'https://h.org:8443/a/b')", "OPTIONS (url 'https://h.org:8443/a/b')"},
        {"OPTIONS (url 'https://${env:U}:${env:P}@h.org/?k=${file:/k}')", "OPTIONS (url 'https://${env:U}:${env:P}@h.org/?k=${file:/k}')"},
        {"TBLPROPERTIES ('connection.uri' = 'mongodb://ada:hun@te/r2@h1,h2/db?replicaSet=rs')",
         "TBLPROPERTIES ('connection.uri' = 'mongodb://…:…@h1,h2/db?replicaSet=…')"},
        {"TBLPROPERTIES ('connection.uri' = 'mongodb+srv://hunter2@h')", "TBLPROPERTIES ('connection.uri' = 'mongodb+srv://…@h')"},
        {"OPTIONS ('header.X-Key' 'hunter2', body '{\"k\":\"hunter2\"}')", "OPTIONS ('header.X-Key' '…', body '…')"},
        {"OPTIONS (header.`X-Key` 'hunter2')", "OPTIONS (header.`X-Key` '…')"},
        {"SELECT body, 'x' FROM t WHERE body = 'y' AND u LIKE 'http://h/?q=z'", "SELECT body, 'x' FROM t WHERE body = 'y' AND u LIKE 'http://h/?q=z'"},
        {"WITH token AS (SELECT 'a') SELECT * FROM t WITH ('header.X' 'b')", "WITH token AS (SELECT 'a') SELECT * FROM t WITH ('header.X' '…')"},
        {"-- password 'x'\nSELECT 1", "-- password 'x'\nSELECT 1"},
        // what does not parse
        {"OPTIONS (password 'it's hunter2', user 'b')\nSELECT 1", "OPTIONS (password '…'…\nSELECT 1"},
        {"OPTIONS (user 'ada, password 'hunter2')", "OPTIONS (user 'ada, password '…)"},
        {"OPTIONS ('password' hunter2 user 'b')", "OPTIONS ('password' … user 'b')"},
        {"OPTIONS (password = hun!ter2, user 'b')", "OPTIONS (password = …, user 'b')"},
        {"OPTIONS (password 'x' user 'b')", "OPTIONS (password '…' user 'b')"},
        {"OPTIONS (url http://ada:hunter2@h/, n 1)", "OPTIONS (url http://…:…@h/, n 1)"},
        {"OPTIONS (password 'hunter2", "OPTIONS (password '…"},
        {"OPTIONS (url 'https://ada:hun'ter2@h.org/', n 1)", "OPTIONS (url '…'…"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) assert_string_equal(hidden(*state, pairs[i][0]), pairs[i][1]);
    assert_string_equal(secrets_hidden(&((struct world *)*state)->arena, "password 'abc'", 14, 11, 13), "…");
}

// Everything a text's errors say and draw.
static void collect_errors(struct world *w, const char *text, struct buffer *out) {
    struct source_text source = {.name = "t.sql", .text = text, .size_bytes = strlen(text)};
    struct diagnostics d;
    struct ustatement **statements;
    uint32_t count;
    const char *replaced;
    size_t replaced_bytes;
    diagnostics_init(&d, &w->memory, &source);
    const struct substitution none = {0};
    enum status status = sql_substitute(&w->arena, text, strlen(text), &none, &d, &replaced, &replaced_bytes);
    if (status == STATUS_OK) (void)!sql_parse(&w->arena, text, strlen(text), NULL, &d, &statements, &count);
    assert_true(d.error_count > 0);
    for (size_t i = 0; i < d.items.count; i++) assert_int_equal(diagnostic_print(vector_at(&d.items, i), &source, false, out), STATUS_OK);
    diagnostics_release(&d);
}

// Each is wrong somewhere; no word of the secret is ever seen.
static void test_errors(void **state) {
    static const char *const texts[] = {
        "CREATE TABLE t USING http OPTIONS (url 'http://h/', password hunter2)",
        "CREATE TABLE t USING http OPTIONS (password 'x' 'hunter2' 'hunter2' 5)",
        "CREATE TABLE t USING http OPTIONS (user 'ada' password 'hunter2')",
        "CREATE TABLE t USING http OPTIONS (password: 'hunter2')",
        "CREATE TABLE t USING http OPTIONS (password => 'hunter2')",
        "CREATE TABLE t USING http OPTIONS (password ('hunter2'))",
        "CREATE TABLE t USING http OPTIONS (password 'it's hunter2', user 'c'd')",
        "CREATE TABLE t USING http OPTIONS (password 'hunter2)",
        "CREATE TABLE t USING http OPTIONS (password 'hunter2, user 'ada')",
        "CREATE TABLE t USING http OPTIONS (user 'ada, password 'hunter2')",
        "CREATE TABLE t USING http OPTIONS (password 'x''hunter2' url 'y')",
        "CREATE TABLE t USING http OPTIONS (password \"hunter2\" \"hunter2\" 5)",
        "CREATE TABLE t USING http OPTIONS (url 'http://ada:hunter2@h/' x y)",
        "CREATE TABLE t USING http OPTIONS (url 'http://h/?token=hunter2' 'http://h/?token=hunter2' user)",
        "CREATE TABLE t USING http OPTIONS (url 'http://ada:hunter2@h/)",
        "CREATE TABLE t USING http OPTIONS (url http://ada:hunter2@h/)",
        "CREATE TABLE t USING http OPTIONS (password 'a${hunter2}b')",
        "CREATE TABLE t USING http OPTIONS (password 'a${hunter2:b}')",
        "CREATE STREAMING TABLE t USING mongodb TBLPROPERTIES ('connection.uri' = 'mongodb://ada:hunter2@h/' 'x') AS SELECT 1",
        "CREATE STREAMING TABLE t USING mongodb TBLPROPERTIES ('connection.uri' 'mongodb://ada:hunter2@h/'; SELECT 1",
        "CREATE STREAMING TABLE t USING cassandra TBLPROPERTIES (user = 'ada', password = 'hunter2' AS SELECT 1",
        "CREATE STREAMING TABLE t USING kafka TBLPROPERTIES ('kafka.sasl.jaas.config' = 'Plain required password=\"hunter2\";' 'x' y) AS SELECT 1",
        "password 'hunter2' SELECT",
    };
    struct world *w = *state;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buffer out;
        buffer_init(&out, &w->memory);
        collect_errors(w, texts[i], &out);
        assert_int_equal(buffer_terminate(&out), STATUS_OK);
        if (strstr((char *)out.data, "hunter")) fail_msg("%s\n%s", texts[i], (char *)out.data);
        buffer_release(&out);
    }
}

// A text that cannot be parsed knows no tables of options: every secret of one must be one by its name.
static void check_table(const struct option *table, size_t *count) {
    for (; table && table->name; table++) {
        if (table->secret && !option_hides(table->name)) fail_msg("%s", table->name);
        *count += table->secret;
    }
}

static void test_tables(void **state) {
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < all_connectors.count; i++) {
        const struct connector *c = all_connectors.items[i];
        check_table(c->source ? c->source->options : NULL, &count);
        check_table(c->sink ? c->sink->options : NULL, &count);
    }
    assert_true(count >= 4);
    static const char *const secrets[] = {"password", "kafka.sasl.password", "kafka.sasl.jaas.config", "kafka.ssl.key.pem", "keyPassword", "header.Authorization", "trust_store_password",
                                          "kafka.ssl.keystore.password", "apiKey", "access-key", "auth.secret"};
    static const char *const others[] = {"url", "user", "kafka.bootstrap.servers", "subscribe", "key", "keyFile", "table", "path", "kafka.sasl.oauthbearer.token.endpoint.url"};
    for (size_t i = 0; i < sizeof secrets / sizeof *secrets; i++) assert_true(option_hides(secrets[i]));
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) assert_false(option_hides(others[i]));
    assert_true(secret_in_value("https://a:b@h/"));
    assert_false(secret_in_value("https://h:80/a"));
}

// Any text, whatever it is: same length, same line breaks, nothing read beyond it.
static void test_marking(void **state) {
    static const char pieces[][14] = {"password", "'", "\"", "`", "url", "://", "@", "?", "&", "=", " ", "\n", "--", "/*", "*/", ";", "OPTIONS", "(", ")", "x", "\\", "r'", "${env:A}", "ü", "body"};
    uint64_t seed = 1;
    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[200], marked[200];
        size_t n = 0;
        for (int k = 0; k < 10; k++) {
            seed = seed * 6364136223846793005u + 1442695040888963407u;
            const char *piece = pieces[(seed >> 33) % (sizeof pieces / sizeof *pieces)];
            memcpy(text + n, piece, strlen(piece));
            n += strlen(piece);
        }
        memcpy(marked, text, n);
        marked[n] = 'Q';
        secrets_mark(marked, n);
        assert_int_equal(marked[n], 'Q');
        for (size_t i = 0; i < n; i++) assert_true(marked[i] == text[i] || (text[i] != '\n' && (marked[i] == SECRET_FIRST || marked[i] == SECRET_REST)));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_hidden, setup, teardown), cmocka_unit_test_setup_teardown(test_errors, setup, teardown),
        cmocka_unit_test(test_tables),                                 cmocka_unit_test(test_marking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
