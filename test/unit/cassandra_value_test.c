// SPDX-License-Identifier: Apache-2.0
// cassandra_value_test.c: values of Spark's types as Cassandra's and back: random ones of every pair of types, known bytes, and what is refused.
// A value that was bound must read back as itself; truncated or flipped bytes must never read beyond their end. The seed is printed;
// LEAT_TEST_SEED sets it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "column/datetime.h"
#include "column/type_text.h"
#include "column/value.h"
#include "connector/cassandra/cassandra_value.h"
#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_BYTES = 1 << 20, ROWS = 300 };

struct fixture {
    struct memory memory;
    struct arena arena;
    struct random random;
    struct cql_request request;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    const char *text = getenv("LEAT_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)clock_now_us(NULL);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    random_seed(&f->random, seed);
    print_message("seed %llu\n", (unsigned long long)seed);
    f->request = (struct cql_request){.bytes = malloc(REQUEST_BYTES), .capacity_bytes = REQUEST_BYTES};
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    arena_release(&f->arena);
    free(f->request.bytes);
    int leaked = memory_used(&f->memory) != 0;
    free(f);
    return leaked;
}

static const struct type *sql_type(struct fixture *f, const char *text) {
    const struct type *t = NULL;
    struct error e;
    char schema[300];
    snprintf(schema, sizeof schema, "c %s", text);
    if (type_parse_schema(&f->arena, schema, strlen(schema), &t, &e) != STATUS_OK) fail_msg("%s: %s", text, e.message);
    return t->fields[0].type;
}

static const struct cql_type *cql_type(struct fixture *f, const char *text) {
    struct cql_type *t = arena_alloc_zeroed(&f->arena, sizeof *t);
    struct error e;
    if (cql_type_parse(&f->arena, text, strlen(text), "k", NULL, 0, t, &e) != STATUS_OK) fail_msg("%s: %s", text, e.message);
    return t;
}

// --- random values ---

static void append_random(struct fixture *f, struct column_builder *b, const struct type *t);

static void append_random_text(struct fixture *f, struct column_builder *b) {
    char text[64];
    size_t n = random_below(&f->random, 40);
    for (size_t i = 0; i < n; i++) text[i] = (char)('a' + random_below(&f->random, 26));
    column_builder_append_bytes(b, text, n, true);
}

static void append_random_nested(struct fixture *f, struct column_builder *b, const struct type *t) {
    if (t->id == TYPE_STRUCT) {
        for (uint32_t i = 0; i < t->field_count; i++) {
            if (random_below(&f->random, 5) == 0) column_builder_append_null(&b->children[i]);
            else append_random(f, &b->children[i], t->fields[i].type);
        }
        column_builder_end_struct(b);
        return;
    }
    for (uint64_t n = random_below(&f->random, 6); n > 0; n--) {
        for (uint32_t i = 0; i < t->field_count; i++) append_random(f, &b->children[i], t->fields[i].type);
    }
    column_builder_end_list(b);
}

static void append_random(struct fixture *f, struct column_builder *b, const struct type *t) {
    uint64_t bits = random_next(&f->random) >> random_below(&f->random, 64);
    if (random_below(&f->random, 2)) bits = ~bits;
    decimal wide = (decimal)(int64_t)bits * (int64_t)(random_next(&f->random) >> 40);
    double real = (double)(int64_t)bits / 1024;
    float narrow = (float)real;
    int64_t ms = (int64_t)(bits % 4000000000000) * 1000;
    uint8_t byte = bits & 1;
    if (type_is_nested(t)) {
        append_random_nested(f, b, t);
        return;
    }
    switch (t->id) {
    case TYPE_BOOLEAN: column_builder_append_fixed(b, &byte); break;
    case TYPE_FLOAT: column_builder_append_fixed(b, &narrow); break;
    case TYPE_DOUBLE: column_builder_append_fixed(b, &real); break;
    case TYPE_DECIMAL: column_builder_append_fixed(b, &wide); break;
    case TYPE_STRING: case TYPE_BINARY: append_random_text(f, b); break;
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: column_builder_append_fixed(b, &ms); break;
    default: column_builder_append_fixed(b, &bits);  // little-endian: the low bytes
    }
}

static struct column random_column(struct fixture *f, const struct type *t) {
    struct column_builder b;
    struct column out;
    column_builder_init(&b, &f->arena, t);
    for (int i = 0; i < ROWS; i++) append_random(f, &b, t);
    assert_int_equal(column_builder_finish(&b, &out), STATUS_OK);
    return out;
}

static struct cassandra_encoder encoder_of(struct fixture *f, const struct type *from, const struct cql_type *to, bool is_key) {
    struct cassandra_encoder x;
    struct error e;
    const char *why;
    bool fits;
    assert_int_equal(cassandra_encoder_make(&f->arena, from, to, is_key, &x, &fits, &why, &e), STATUS_OK);
    if (!fits) fail_msg("%s into %s: %s", type_name(&f->arena, from), cql_kind_name(to->kind), why);
    return x;
}

// The value bound, in memory of its own.
static struct cql_value bind(struct fixture *f, const struct cassandra_encoder *x, const struct column *c, uint32_t row) {
    const char *why = "";
    f->request.size_bytes = f->request.value_count = 0;
    if (!x->bind(x, c, row, &f->request, &why)) fail_msg("row %u: %s", row, why);
    assert_int_equal(f->request.value_count, 1);
    assert_int_equal(f->request.depth, 0);
    assert_in_range(f->request.size_bytes, 4, REQUEST_BYTES);
    uint8_t *bytes = malloc(f->request.size_bytes - 4 + 1);
    memcpy(bytes, f->request.bytes + 4, f->request.size_bytes - 4);
    return (struct cql_value){bytes, (int32_t)(f->request.size_bytes - 4)};
}

static void release(struct cql_value v) { free((void *)(uintptr_t)v.bytes); }

static void damage(struct fixture *f, const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    assert_in_range(v.size_bytes, 0, REQUEST_BYTES);
    uint32_t size_bytes = (uint32_t)random_below(&f->random, (uint64_t)v.size_bytes + 1);
    uint8_t *exact = malloc(size_bytes ? size_bytes : 1);  // of its own size, so that a sanitizer sees a step beyond it
    if (size_bytes) {
        memcpy(exact, v.bytes, size_bytes);
        exact[random_below(&f->random, size_bytes)] ^= (uint8_t)(1 << random_below(&f->random, 8));
    }
    (void)cassandra_read(x, (struct cql_value){exact, (int32_t)size_bytes}, out);
    free(exact);
}

static void round_trip(struct fixture *f, const char *sql, const char *cql) {
    const struct type *t = sql_type(f, sql);
    const struct cql_type *to = cql_type(f, cql);
    struct cassandra_encoder x = encoder_of(f, t, to, false);
    struct cassandra_decoder y;
    struct error e;
    bool fits;
    assert_int_equal(cassandra_decoder_make(&f->arena, to, t, &y, &fits, &e), STATUS_OK);
    if (!fits) fail_msg("%s from %s", sql, cql);
    struct column c = random_column(f, t), back, broken;
    struct column_builder out, ignored;
    column_builder_init(&out, &f->arena, t);
    column_builder_init(&ignored, &f->arena, t);
    for (uint32_t row = 0; row < ROWS; row++) {
        struct cql_value v = bind(f, &x, &c, row);
        assert_true(cassandra_read(&y, v, &out));
        damage(f, &y, v, &ignored);
        release(v);
    }
    assert_int_equal(column_builder_finish(&out, &back), STATUS_OK);
    assert_int_equal(column_builder_finish(&ignored, &broken), STATUS_OK);
    assert_int_equal(broken.row_count, ROWS);
    for (uint32_t row = 0; row < ROWS; row++) {
        if (!value_equal(&c, row, &back, row)) fail_msg("%s into %s: row %u differs", sql, cql, row);
    }
}

static void test_round_trips(void **state) {
    static const char *const pairs[][2] = {
        {"BOOLEAN", "boolean"}, {"TINYINT", "tinyint"}, {"SMALLINT", "smallint"}, {"INT", "int"}, {"BIGINT", "bigint"}, {"FLOAT", "float"}, {"DOUBLE", "double"},
        {"DECIMAL(38,5)", "decimal"}, {"DECIMAL(38,0)", "varint"}, {"STRING", "text"}, {"BINARY", "blob"}, {"DATE", "date"}, {"TIMESTAMP", "timestamp"},
        {"TIMESTAMP_NTZ", "timestamp"}, {"ARRAY<INT>", "frozen<list<int>>"}, {"ARRAY<STRING>", "frozen<set<text>>"}, {"MAP<STRING, BIGINT>", "frozen<map<text, bigint>>"},
        {"STRUCT<a: INT, b: STRING>", "tuple<int, text>"}, {"ARRAY<STRUCT<a: DECIMAL(38,2), b: MAP<INT, ARRAY<STRING>>>>", "frozen<list<frozen<tuple<decimal, frozen<map<int, frozen<list<text>>>>>>>>"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) round_trip(*state, pairs[i][0], pairs[i][1]);
}

static void test_vectors(void **state) {
    struct fixture *f = *state;
    static const struct { const char *sql, *cql; } pairs[] = {{"ARRAY<FLOAT>", "vector<float, 3>"}, {"ARRAY<STRING>", "vector<text, 3>"}, {"ARRAY<ARRAY<INT>>", "vector<frozen<list<int>>, 3>"}};
    for (size_t p = 0; p < 3; p++) {
        const struct type *t = sql_type(f, pairs[p].sql);
        const struct cql_type *to = cql_type(f, pairs[p].cql);
        struct cassandra_encoder x = encoder_of(f, t, to, false);
        struct cassandra_decoder y;
        struct error e;
        bool fits;
        assert_int_equal(cassandra_decoder_make(&f->arena, to, t, &y, &fits, &e), STATUS_OK);
        assert_true(fits);
        struct column c = random_column(f, t), back;
        struct column_builder out;
        column_builder_init(&out, &f->arena, t);
        uint32_t right = 0, rows[ROWS];
        for (uint32_t row = 0; row < ROWS; row++) {
            const char *why;
            f->request.size_bytes = f->request.depth = 0;
            bool of_three = column_list_end(&c, row) - column_list_begin(&c, row) == 3;
            assert_int_equal(x.bind(&x, &c, row, &f->request, &why), of_three);
            if (!of_three) continue;
            assert_true(cassandra_read(&y, (struct cql_value){f->request.bytes + 4, (int32_t)(f->request.size_bytes - 4)}, &out));
            rows[right++] = row;
        }
        assert_int_equal(column_builder_finish(&out, &back), STATUS_OK);
        assert_true(right > 10);
        for (uint32_t i = 0; i < right; i++) assert_true(value_equal(&c, rows[i], &back, i));
    }
}

// --- one value ---

static struct column one_text(struct fixture *f, const char *text) {
    struct column_builder b;
    struct column out;
    column_builder_init(&b, &f->arena, &type_string);
    column_builder_append_bytes(&b, text, strlen(text), true);
    assert_int_equal(column_builder_finish(&b, &out), STATUS_OK);
    return out;
}

static struct column one_long(struct fixture *f, const struct type *t, int64_t v) {
    struct column_builder b;
    struct column out;
    column_builder_init(&b, &f->arena, t);
    column_builder_append_fixed(&b, &v);
    assert_int_equal(column_builder_finish(&b, &out), STATUS_OK);
    return out;
}

static bool takes(struct fixture *f, const struct column *c, const char *cql, bool is_key) {
    struct cassandra_encoder x = encoder_of(f, c->type, cql_type(f, cql), is_key);
    const char *why = "";
    f->request.size_bytes = f->request.depth = 0;
    return x.bind(&x, c, 0, &f->request, &why);
}

static void test_bytes(void **state) {
    struct fixture *f = *state;
    struct column ms = one_long(f, &type_timestamp, -1);  // one microsecond before 1970: the millisecond before
    static const uint8_t minus_one[12] = {0, 0, 0, 8, 255, 255, 255, 255, 255, 255, 255, 255};
    assert_true(takes(f, &ms, "timestamp", false));
    assert_memory_equal(f->request.bytes, minus_one, sizeof minus_one);
    struct column address = one_text(f, "10.1.2.3"), id = one_text(f, "00112233-4455-6677-8899-AABBCCDDEEFF");
    static const uint8_t inet[8] = {0, 0, 0, 4, 10, 1, 2, 3}, uuid[6] = {0, 0, 0, 16, 0x00, 0x11};
    assert_true(takes(f, &address, "inet", false));
    assert_memory_equal(f->request.bytes, inet, sizeof inet);
    assert_true(takes(f, &id, "uuid", false));
    assert_memory_equal(f->request.bytes, uuid, sizeof uuid);
}

static void test_refused_values(void **state) {
    struct fixture *f = *state;
    struct column word = one_text(f, "word"), random_id = one_text(f, "00000000-0000-4000-8000-000000000000"), capitals = one_text(f, "8D8DDD40-5F3A-11EE-8C99-0242AC120002");
    struct column micros = one_long(f, &type_timestamp, 1001), midnight = one_long(f, &type_bigint, US_PER_DAY * 1000), long_form = one_text(f, "0:0:0:0:0:0:0:1");
    assert_false(takes(f, &word, "uuid", false));
    assert_false(takes(f, &word, "inet", false));
    assert_false(takes(f, &random_id, "timeuuid", false));
    assert_true(takes(f, &random_id, "uuid", true));
    assert_true(takes(f, &capitals, "timeuuid", false));
    assert_false(takes(f, &capitals, "timeuuid", true));  // two texts, one key
    assert_true(takes(f, &long_form, "inet", false));
    assert_false(takes(f, &long_form, "inet", true));
    assert_true(takes(f, &micros, "timestamp", false));
    assert_false(takes(f, &micros, "timestamp", true));
    assert_false(takes(f, &midnight, "time", false));
}

static void test_types_that_do_not_fit(void **state) {
    struct fixture *f = *state;
    static const char *const pairs[][2] = {
        {"BIGINT", "int"}, {"INT", "smallint"}, {"DOUBLE", "float"}, {"BIGINT", "double"}, {"DECIMAL(10,2)", "varint"}, {"DECIMAL(10,2)", "double"}, {"STRING", "int"}, {"INT", "text"},
        {"STRING", "blob"}, {"DATE", "timestamp"}, {"BIGINT", "counter"}, {"ARRAY<BIGINT>", "frozen<list<int>>"}, {"ARRAY<INT>", "frozen<map<int, int>>"},
        {"STRUCT<a: INT>", "tuple<int, int>"}, {"MAP<STRING, INT>", "frozen<map<text, text>>"}, {"STRING", "frozen<list<text>>"}, {"BOOLEAN", "int"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct cassandra_encoder x;
        struct error e;
        const char *why = NULL;
        bool fits;
        assert_int_equal(cassandra_encoder_make(&f->arena, sql_type(f, pairs[i][0]), cql_type(f, pairs[i][1]), false, &x, &fits, &why, &e), STATUS_OK);
        if (fits || !why) fail_msg("%s into %s", pairs[i][0], pairs[i][1]);
    }
    struct cassandra_encoder x;
    struct error e;
    const char *why;
    bool fits;
    assert_int_equal(cassandra_encoder_make(&f->arena, sql_type(f, "ARRAY<INT>"), cql_type(f, "frozen<set<int>>"), true, &x, &fits, &why, &e), STATUS_OK);
    assert_false(fits);
}

static void test_sql_types(void **state) {
    struct fixture *f = *state;
    static const char *const pairs[][2] = {
        {"text", "string"}, {"uuid", "string"}, {"decimal", "decimal(38,18)"}, {"varint", "decimal(38,0)"}, {"counter", "bigint"}, {"duration", "string"},
        {"map<text, frozen<list<timestamp>>>", "map<string,array<timestamp>>"}, {"tuple<int, blob>", "struct<_1:int,_2:binary>"}, {"vector<float, 4>", "array<float>"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const struct type *t;
        struct error e;
        assert_int_equal(cassandra_type_of(&f->arena, cql_type(f, pairs[i][0]), &t, &e), STATUS_OK);
        assert_string_equal(type_name(&f->arena, t), pairs[i][1]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_round_trips, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_vectors, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bytes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_types_that_do_not_fit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_sql_types, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
