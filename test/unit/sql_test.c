// SPDX-License-Identifier: Apache-2.0
// sql_test.c: the SQL parser: what texts become, which are refused and how that is drawn, limits, recovery, substitution; options.
// Trees are compared as s-expressions (sql/print.h).
#include "plan/option.h"
#include "sql/parser.h"
#include "sql/print.h"
#include "sql/substitute.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

struct bench {
    struct memory memory;
    struct arena arena;
    struct source_text source;
    struct diagnostics diagnostics;
    struct ustatement **statements;
    uint32_t count;
    enum status status;
    struct buffer text;      // what was printed
};

static void bench_parse(struct bench *b, const char *sql, size_t size, const struct parse_limits *limits) {
    memory_init(&b->memory, "test", NULL, 0);
    arena_init(&b->arena, &b->memory);
    b->source = (struct source_text){.name = "users.sql", .text = sql, .size_bytes = size};
    diagnostics_init(&b->diagnostics, &b->memory, &b->source);
    buffer_init(&b->text, &b->memory);
    b->status = sql_parse(&b->arena, sql, size, limits, &b->diagnostics, &b->statements, &b->count);
}

static void bench_release(struct bench *b) {
    buffer_release(&b->text);
    diagnostics_release(&b->diagnostics);
    arena_release(&b->arena);
    assert_int_equal(memory_used(&b->memory), 0);
}

static const struct error *bench_error(const struct bench *b, size_t index) {
    assert_true(index < b->diagnostics.items.count);
    return &((struct diagnostic *)vector_at(&b->diagnostics.items, index))->error;
}

static void check_tree(const char *sql, const char *expected) {
    struct bench b;
    bench_parse(&b, sql, strlen(sql), NULL);
    if (b.status != STATUS_OK) fail_msg("%s: %s", sql, bench_error(&b, 0)->message);
    for (uint32_t i = 0; i < b.count; i++) {
        if (i) assert_int_equal(buffer_append_byte(&b.text, '\n'), STATUS_OK);
        assert_int_equal(sql_print_statement(b.statements[i], &b.text), STATUS_OK);
    }
    assert_int_equal(buffer_terminate(&b.text), STATUS_OK);
    assert_string_equal((const char *)b.text.data, expected);
    bench_release(&b);
}

// The tree of one expression.
static void check(const char *expression, const char *expected) {
    char sql[512], tree[600];
    snprintf(sql, sizeof sql, "SELECT %s", expression);
    snprintf(tree, sizeof tree, "(query (select %s))", expected);
    check_tree(sql, tree);
}

static void check_error(const char *sql, const char *condition, const char *marked) {
    struct bench b;
    bench_parse(&b, sql, strlen(sql), NULL);
    if (b.status != STATUS_INVALID_QUERY) fail_msg("accepted: %s", sql);
    const struct error *e = bench_error(&b, 0);
    assert_string_equal(e->condition, condition);
    if (marked) {
        assert_int_equal(e->span.end - e->span.begin, strlen(marked));
        assert_memory_equal(sql + e->span.begin, marked, strlen(marked));
    }
    bench_release(&b);
}

static void test_precedence(void **state) {
    (void)state;
    check("a OR b AND NOT c", "(or a (and b (not c)))");
    check("a AND b AND c AND d", "(and (and a b) (and c d))");
    check("1 + 2 * 3 - -1", "(- (+ 1 (* 2 3)) -1)");
    check("a || b + c", "(+ (|| a b) c)");
    check("a & b | c ^ d", "(| (& a b) (^ c d))");
    check("a << 1 + 2", "(<< a (+ 1 2))");
    check("a = b IS NULL", "(isnull (= a b))");
    check("NOT a = b", "(not (= a b))");
    check("a <> b", "(not (= a b))");
    check("a !< b", "(>= a b)");
    check("a BETWEEN 1 AND 2 AND b", "(and (between a 1 2) b)");
    check("a NOT IN (1, 2)", "(not (in a 1 2))");
    check("-a::int", "(negative (cast a int))");
    check("-1::string", "(cast -1 string)");
    check("a.b[0].c::string || 'x'", "(|| (cast (field (item a.b 0) c) string) 'x')");
    check("a IS NOT DISTINCT FROM b, a IS TRUE, a IS NOT FALSE", "(<=> a b) (<=> a true) (not (<=> a false))");
    check("a LIKE 'x' ESCAPE '#', a NOT ILIKE ALL ('p', 'q')", "(like a 'x' '#') (not ilike all a 'p' 'q')");
}

static void test_literals(void **state) {
    (void)state;
    check("2147483647, 2147483648, -2147483648", "2147483647 2147483648:bigint -2147483648");
    check("9223372036854775808, 1Y, 1S, 1L", "9223372036854775808:decimal(19,0) 1:tinyint 1:smallint 1:bigint");
    check("1.50, .5, 5., 1e3, 1e3BD, 1.5D, 1.5F", "1.50:decimal(3,2) 0.5:decimal(1,1) 5:decimal(1,0) 1000.0:double 1000:decimal(4,0) 1.5:double 1.5:float");
    check("'it''s' \"x\" r'\\n', 'a\\tb\\u0041\\101\\%'", "'it'sx\\n' 'a\tbAA\\%'");
    check("NULL, true, x'414', DATE '2024-2-29'", "null true \x04\x14:binary 2024-02-29:date");
    check("INTERVAL 1 DAY 2 HOURS, INTERVAL '1-2' YEAR TO MONTH", "INTERVAL '1 02' DAY TO HOUR:interval day to hour INTERVAL '1-2' YEAR TO MONTH:interval year to month");
    check("INTERVAL - '1' DAY, INTERVAL 2 WEEKS, INTERVAL 1.5 SECONDS", "INTERVAL '-1' DAY:interval day INTERVAL '14' DAY:interval day INTERVAL '01.5' SECOND:interval second");
    check("0x1F, 1a, interval + 1, date, `a``b`", "0x1F 1a (+ interval 1) date a`b");
    check_error("SELECT 128Y", "INVALID_NUMERIC_LITERAL_RANGE", "128Y");
    check_error("SELECT 1e400", "INVALID_NUMERIC_LITERAL_RANGE", "1e400");
    check_error("SELECT 999999999999999999999999999999999999999", "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", NULL);
    check_error("SELECT DATE '2024-02-30'", "INVALID_TYPED_LITERAL", "DATE '2024-02-30'");
    check_error("SELECT INTERVAL 1 MONTH 1 DAY", "_LEGACY_ERROR_TEMP_0029", "INTERVAL 1 MONTH 1 DAY");
    check_error("SELECT INTERVAL '1-13' YEAR TO MONTH", "INVALID_INTERVAL_FORMAT.INTERVAL_PARSING", NULL);
    check_error("SELECT INTERVAL 1 FORTNIGHT", "PARSE_SYNTAX_ERROR", "FORTNIGHT");
    check_error("SELECT INTERVAL '106751992' DAY", "INTERVAL_ARITHMETIC_OVERFLOW.WITHOUT_SUGGESTION", NULL);
}

static void test_calls(void **state) {
    (void)state;
    check("count(*), count(DISTINCT a, b) FILTER (WHERE c)", "(count *) (count distinct a b (filter c))");
    check("extract(YEAR FROM d), trim(BOTH 'x' FROM y), trim(LEADING FROM y)", "(extract 'YEAR' d) (trim 'x' y) (ltrim y)");
    check("substring(a FROM 1 FOR 2), substring(a, 1), position('a' IN b), position('a', b)", "(substring a 1 2) (substring a 1) (locate 'a' b) (position 'a' b)");
    check("dateadd(day, 1, d), date_add(day, 1), datediff(HOUR, a, b)", "(timestampadd 'DAY' 1 d) (date_add day 1) (timestampdiff 'HOUR' a b)");
    check("transform(a, x -> x + 1), aggregate(a, 0, (s, x) -> s + x)", "(transform a (lambda [x] (+ x 1))) (aggregate a 0 (lambda [s x] (+ s x)))");
    check("CASE a WHEN 1 THEN 2 ELSE 3 END, CASE WHEN a THEN 1 END", "(case-of a 1 2 3 else) (case a 1)");
    check("struct(a AS b, c), (1, 2), current_date, left(a, 1)", "(struct (as a b) c) (row 1 2) (current_date) (left a 1)");
    check("first(x IGNORE NULLS), percentile_cont(0.5) WITHIN GROUP (ORDER BY y)", "(first x ignore-nulls) (percentile y 0.5:decimal(1,1))");
    check_error("SELECT listagg(x) WITHIN GROUP (ORDER BY y)", "LEAT_UNSUPPORTED", "WITHIN GROUP");
    check("EXISTS (SELECT 1), exists(a, x -> x), (SELECT 1) + 1, ((SELECT 1) UNION (SELECT 2))",
          "(exists (select 1)) (exists a (lambda [x] x)) (+ (scalar (select 1)) 1) (scalar (union (select 1) (select 2)))");
}

static void test_queries(void **state) {
    (void)state;
    check_tree("SELECT 1 UNION ALL SELECT 2 INTERSECT SELECT 3 MINUS SELECT 4",
               "(query (except (union-all (select 1) (intersect (select 2) (select 3))) (select 4)))");
    check_tree("WITH a(x) AS (VALUES 1, 2) SELECT * FROM a ORDER BY x DESC LIMIT 1 OFFSET 2",
               "(query ((with a[x] ((values (1) (2)))) select * (from (table a)) (order (desc x nulls-last)) (limit 1) (offset 2)))");
    check_tree("SELECT a end FROM t x JOIN u USING (id), v LATERAL VIEW OUTER explode(c) w AS k WHERE 1 GROUP BY ALL",
               "(query (select (as a end) (from (lateral-view-outer (cross (inner (table t as x) (table u) using [id]) (table v)) (explode c) as w[k])) (where 1) (group all)))");
    check_tree("SELECT * FROM STREAM t WATERMARK ts DELAY OF INTERVAL 1 MINUTE AS x", "(query (select * (from (stream t (watermark ts 0 60000000) as x))))");
    check_tree("(SELECT 1 LIMIT 3) LIMIT 2", "(query (select * (from ((select 1 (limit 3)))) (limit 2)))");
    check_error("SELECT * FROM STREAM ev AS x WATERMARK ts DELAY OF INTERVAL 10 SECONDS", "PARSE_SYNTAX_ERROR", "WATERMARK");
    check_error("SELECT * FROM ev WATERMARK ts DELAY OF '10 seconds'", "PARSE_SYNTAX_ERROR", "'10 seconds'");
}

static void test_statements(void **state) {
    (void)state;
    check_tree("CREATE TABLE m USING kafka OPTIONS ('kafka.bootstrap.servers' 'h:1', subscribe = 'm', n 5, leat.b true)",
               "(create-table m (using 'kafka') (options kafka.bootstrap.servers='h:1' subscribe='m' n='5' leat.b='true'))");
    check_tree("CREATE STREAMING TABLE s USING x TBLPROPERTIES (`table` = 't') AS SELECT * FROM STREAM m",
               "(create-streaming-table s (using 'x') (properties table='t') (select * (from (stream m))))");
    check_tree("CREATE FLOW f AS INSERT INTO t BY NAME SELECT 1 AS a; SET leat.trigger = '500 ms'; SET x=5 minutes; DROP VIEW IF EXISTS v",
               "(create-flow f into t by-name (select (as 1 a)))\n(set (key 'leat.trigger') (value '500 ms'))\n(set (key 'x') (value '5 minutes'))\n(drop-view if-exists v)");
    check_tree("INSERT INTO t (a, b) VALUES (1, 2);;EXPLAIN SELECT 1; DESC TABLE t -- end", "(insert into t[a b] ((values (1 2))))\n(explain (query (select 1)))\n(describe t)");
    check_error("CREATE STREAMING TABLE s OPTIONS (a 'b') AS SELECT 1", "_LEGACY_ERROR_TEMP_0035", "OPTIONS");
    check_error("CREATE OR REPLACE MATERIALIZED VIEW m AS SELECT 1", "PARSE_SYNTAX_ERROR", "MATERIALIZED");
    check_error("SELECT * FROM a-b", "INVALID_IDENTIFIER", "a-b");
}

static void test_drawing(void **state) {
    static const char sql[] = "SELECT\t日本, a FORM users;\nSELECT 'abc FROM t;\nSELECT 1";
    static const char expected[] =
        "error[PARSE_SYNTAX_ERROR]: unexpected `FORM` (SQLSTATE 42601)\n"
        " --> users.sql:1:15\n"
        "1 | SELECT    `日`, a FORM users;\n"
        "  |                   ^^^^ taken as a name\n"
        "  = help: did you mean `FROM`?\n";
    (void)state;
    struct bench b;
    char quoted[sizeof sql + 4];
    snprintf(quoted, sizeof quoted, "SELECT\t`日`, a FORM users;\nSELECT 'abc FROM t;\nSELECT 1");
    bench_parse(&b, quoted, strlen(quoted), NULL);
    assert_int_equal(b.diagnostics.error_count, 2);
    assert_int_equal(b.count, 1);
    assert_int_equal(diagnostic_print(vector_at(&b.diagnostics.items, 0), &b.source, false, &b.text), STATUS_OK);
    assert_int_equal(buffer_terminate(&b.text), STATUS_OK);
    assert_string_equal((const char *)b.text.data, expected);
    assert_string_equal(bench_error(&b, 1)->message, "the string is not closed");
    bench_release(&b);
    check_error("SELCT 1", "PARSE_SYNTAX_ERROR", "SELCT");
    check_error("SELECT a b c FROM t", "PARSE_SYNTAX_ERROR", "c");
    check_error("SELECT a, FROM t", "PARSE_SYNTAX_ERROR", "FROM");
    check_error("/* never ends", "UNCLOSED_BRACKETED_COMMENT", "/*");
}

static void test_limits(void **state) {
    (void)state;
    enum { COUNT = 1000000 };
    char *sql = malloc(COUNT + 16);
    assert_non_null(sql);
    static const char *const repeated[] = {"(", "-", "NOT ", "f(", "1+", "CASE WHEN ", "a,(SELECT ", "[", "x->"};
    for (size_t k = 0; k < sizeof repeated / sizeof *repeated; k++) {
        size_t size = (size_t)snprintf(sql, COUNT, "SELECT "), length = strlen(repeated[k]);
        for (; size + length < COUNT; size += length) memcpy(sql + size, repeated[k], length);
        struct bench b;
        bench_parse(&b, sql, size, NULL);
        assert_int_equal(b.status, STATUS_INVALID_QUERY);
        assert_true(b.diagnostics.error_count >= 1);
        bench_release(&b);
    }
    struct bench b;
    bench_parse(&b, sql, COUNT, &(struct parse_limits){.statement_bytes = 1000});
    assert_string_equal(bench_error(&b, 0)->condition, "LEAT_LIMIT_EXCEEDED");
    bench_release(&b);
    free(sql);
}

// Every allocation in turn is refused: no crash, nothing lost.
static void test_memory(void **state) {
    (void)state;
    static const char sql[] = "CREATE TABLE t (a ARRAY<INT>) USING x OPTIONS (a 'b'); SELECT a + 1 AS b, f(x -> x) FROM t WHERE a IN (1, 2) AND c LIMIT 3; SELECT a b c";
    for (int64_t n = 1; n < 40; n++) {
        struct memory memory;
        struct arena arena;
        struct diagnostics d;
        struct ustatement **statements;
        uint32_t count;
        memory_init(&memory, "test", NULL, 0);
        atomic_store(&memory.fail_countdown, n);
        arena_init(&arena, &memory);
        diagnostics_init(&d, &memory, NULL);
        enum status status = sql_parse(&arena, sql, sizeof sql - 1, NULL, &d, &statements, &count);
        assert_true(status == STATUS_NO_MEMORY || status == STATUS_INVALID_QUERY);
        diagnostics_release(&d);
        arena_release(&arena);
        assert_int_equal(memory_used(&memory), 0);
    }
}

static const char *find_variable(void *context, const char *name) {
    (void)context;
    if (strcmp(name, "table") == 0) return "users_${suffix}";
    if (strcmp(name, "suffix") == 0) return "v2";
    return strcmp(name, "loop") == 0 ? "${loop}" : NULL;
}

static void test_substitution(void **state) {
    (void)state;
    static const char *const names[] = {"table", "suffix", "loop"};
    const struct substitution with = {.find = find_variable, .names = names, .name_count = 3};
    struct memory memory;
    struct arena arena;
    struct diagnostics d;
    memory_init(&memory, "test", NULL, 0);
    arena_init(&arena, &memory);
    diagnostics_init(&d, &memory, NULL);
    const char *out;
    size_t size;
    const char *text = "SELECT '${table}--${suffix}' -- ${none}\n/* ${none} */ FROM ${ table } WHERE p = '${env:HOME}' AND q = '${file:/x}'";
    assert_int_equal(sql_substitute(&arena, text, strlen(text), &with, &d, &out, &size), STATUS_OK);
    assert_string_equal(out, "SELECT 'users_v2--v2' -- ${none}\n/* ${none} */ FROM users_v2 WHERE p = '${env:HOME}' AND q = '${file:/x}'");
    assert_int_equal(size, strlen(out));
    text = "SELECT ${tabel}, ${spark:x}, ${loop}";
    assert_int_equal(sql_substitute(&arena, text, strlen(text), &with, &d, &out, &size), STATUS_INVALID_QUERY);
    assert_int_equal(d.error_count, 3);
    const struct error *e = &((struct diagnostic *)vector_at(&d.items, 0))->error;
    assert_string_equal(e->hint, "did you mean `table`?");
    assert_int_equal(e->span.begin, 7);
    diagnostics_release(&d);
    arena_release(&arena);
    assert_int_equal(memory_used(&memory), 0);
}

static void test_options(void **state) {
    (void)state;
    static const struct option table[] = {
        {.name = "path", .type = OPTION_PATH, .required = true, .help = "Where the files are."},
        {.name = "rowsPerSecond", .type = OPTION_INT, .default_value = "10", .help = "Rows a second."},
        {.name = "idle", .type = OPTION_DURATION, .default_value = "30 seconds"},
        {.name = "mode", .type = OPTION_ENUM, .choices = "fast|slow", .default_value = "fast"},
        {.name = "kafka.*", .type = OPTION_STRING},
        {0},
    };
    struct uoption given[] = {{.key = "RowsPerSecond", .value = "5"}, {.key = "kafka.acks", .value = "all"}, {.key = "path", .value = "${env:HOME}/x"},
                              {.key = "leat.chart", .value = "bar"}};
    struct uoption wrong[] = {{.key = "rowPerSecond", .value = "5"}, {.key = "mode", .value = "medium"}};
    static const char *const ignored[] = {"leat.", NULL};
    struct memory memory;
    struct arena arena;
    struct diagnostics d;
    struct option_set set;
    int64_t n;
    memory_init(&memory, "test", NULL, 0);
    arena_init(&arena, &memory);
    diagnostics_init(&d, &memory, NULL);
    assert_int_equal(options_parse(&arena, table, given, 4, ignored, "the source", &d, &set), STATUS_OK);
    assert_int_equal(option_number(&set, "rowspersecond"), 5);
    assert_int_equal(option_number(&set, "idle"), 30000000);
    assert_false(option_is_set(&set, "idle"));
    assert_string_equal(option_text(&set, "kafka.acks"), "all");
    assert_int_equal(options_parse(&arena, table, wrong, 2, NULL, "the source", &d, &set), STATUS_INVALID_QUERY);
    assert_int_equal(d.error_count, 3);
    assert_string_equal(((struct diagnostic *)vector_at(&d.items, 0))->error.hint, "did you mean `rowsPerSecond`?");
    assert_true(parse_duration("1 minute 30 s", &n) && n == 90000000);
    assert_true(parse_duration("INTERVAL 5 SECONDS", &n) && n == 5000000);
    assert_true(parse_duration("500ms", &n) && n == 500000);
    assert_false(parse_duration("500", &n) || parse_duration("", &n) || parse_duration("5 parsecs", &n));
    assert_true(parse_size("64MB", &n) && n == 64 << 20);
    assert_true(parse_size("1.5 GiB", &n) && n == (int64_t)3 << 29);
    assert_true(parse_size("1048576", &n) && n == 1 << 20);
    assert_false(parse_size("99999999999999999999", &n) || parse_size("9999999999GB", &n) || parse_size("x", &n));
    diagnostics_release(&d);
    arena_release(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_precedence), cmocka_unit_test(test_literals),  cmocka_unit_test(test_calls),        cmocka_unit_test(test_queries),
        cmocka_unit_test(test_statements), cmocka_unit_test(test_drawing),   cmocka_unit_test(test_limits),       cmocka_unit_test(test_memory),
        cmocka_unit_test(test_substitution), cmocka_unit_test(test_options),
    };
    return cmocka_run_group_tests_name("sql", tests, NULL, NULL);
}
