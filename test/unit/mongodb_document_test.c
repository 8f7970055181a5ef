// SPDX-License-Identifier: Apache-2.0
// mongodb_document_test.c: BSON written and read, rows as documents and documents as rows, options and the hosts in a URI; no server.
#include "connector/mongodb/decode.h"
#include "connector/mongodb/encode.h"
#include "connector/mongodb/mongodb.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <cmocka.h>

static struct memory memory;
static struct arena arena;

static int set_up(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    arena_init(&arena, &memory);
    return 0;
}

static int tear_down(void **state) {
    (void)state;
    arena_release(&arena);
    assert_int_equal(memory_used(&memory), 0);
    return 0;
}

static void test_golden_bytes(void **state) {
    (void)state;
    static const uint8_t golden[] = {0x16, 0, 0, 0, 0x02, 'h', 'e', 'l', 'l', 'o', 0, 6, 0, 0, 0, 'w', 'o', 'r', 'l', 'd', 0, 0};  // of the specification
    struct buffer b;
    size_t start;
    buffer_init(&b, &memory);
    assert_int_equal(document_begin(&b, &start), STATUS_OK);
    assert_int_equal(document_put_string(&b, "hello", "world"), STATUS_OK);
    assert_int_equal(document_end(&b, start), STATUS_OK);
    assert_int_equal(b.size_bytes, sizeof golden);
    assert_memory_equal(b.data, golden, sizeof golden);
    assert_string_equal(document_find_text(b.data, b.size_bytes, "hello"), "world");
    buffer_release(&b);
}

static void test_index(void **state) {
    (void)state;
    char text[11];
    static const uint32_t values[] = {0, 9, 10, 4095, 100000, UINT32_MAX};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, "%u", values[i]);
        text[document_index(values[i], text)] = 0;
        assert_string_equal(text, wanted);
    }
}

// Every cut and every flipped byte of a document with all types is read without a step outside of it (the sanitizers watch).
static void fill_all_types(struct buffer *b) {
    size_t start, nested;
    assert_int_equal(document_begin(b, &start), STATUS_OK);
    assert_int_equal(document_put_string(b, "s", "text"), STATUS_OK);
    assert_int_equal(document_put_int32(b, "i", -7), STATUS_OK);
    assert_int_equal(document_put_int64(b, "l", INT64_MIN), STATUS_OK);
    assert_int_equal(document_put_boolean(b, "b", true), STATUS_OK);
    assert_int_equal(document_put_date(b, "d", 1), STATUS_OK);
    assert_int_equal(document_put_binary(b, "x", 0, "abc", 3), STATUS_OK);
    assert_int_equal(document_put(b, DOCUMENT_REGEX, "r", 1, "a.*\0i", 6), STATUS_OK);
    assert_int_equal(document_put(b, DOCUMENT_OBJECT_ID, "o", 1, "0123456789ab", 12), STATUS_OK);
    assert_int_equal(document_open(b, DOCUMENT_ARRAY, "a", &nested), STATUS_OK);
    assert_int_equal(document_put_int32(b, "0", 1), STATUS_OK);
    assert_int_equal(document_end(b, nested), STATUS_OK);
    assert_int_equal(document_end(b, start), STATUS_OK);
}

static uint32_t count_fields(const uint8_t *bytes, size_t size_bytes, unsigned depth) {
    struct document_reader r = document_read(bytes, size_bytes);
    struct document_value v;
    uint32_t count = 0;
    while (document_next(&r, &v)) {
        count++;
        if ((v.type == DOCUMENT_DOCUMENT || v.type == DOCUMENT_ARRAY) && depth < 5) count += count_fields(v.bytes, v.size_bytes, depth + 1);
    }
    return count;
}

static void test_hostile_bytes(void **state) {
    (void)state;
    struct buffer b;
    buffer_init(&b, &memory);
    fill_all_types(&b);
    assert_int_equal(count_fields(b.data, b.size_bytes, 0), 10);
    for (size_t size_bytes = 0; size_bytes < b.size_bytes; size_bytes++) {
        uint8_t *copy = memory_alloc(&memory, size_bytes + 1);
        memcpy(copy, b.data, size_bytes);
        assert_true(count_fields(copy, size_bytes, 0) <= 10);
        if (size_bytes >= 5) {  // one that says it is whole
            uint32_t said = (uint32_t)size_bytes;
            memcpy(copy, &said, 4);
            copy[size_bytes - 1] = 0;
            assert_true(count_fields(copy, size_bytes, 0) <= 10);
        }
        memory_free(&memory, copy, size_bytes + 1);
    }
    for (size_t at = 4; at < b.size_bytes; at++) {
        for (unsigned flip = 1; flip < 256; flip <<= 1) {
            b.data[at] ^= (uint8_t)flip;
            (void)count_fields(b.data, b.size_bytes, 0);
            const struct type *schema = NULL;
            assert_int_equal(infer_document(&arena, b.data, b.size_bytes, &schema), STATUS_OK);
            b.data[at] ^= (uint8_t)flip;
        }
    }
    buffer_release(&b);
}

static void test_decimal(void **state) {
    (void)state;
    static const struct { int64_t high, low; unsigned scale; bool fits; } cases[] = {
        {0, 0, 0, true}, {0, 1, 0, true}, {-1, -1, 2, true}, {0, INT64_MAX, 18, true},
        {542101086242752, 4003012203950112767, 0, true},  // 10^34 − 1
    };
    uint8_t bytes[16];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        __int128 value = (__int128)cases[i].high * ((__int128)1 << 64) + (__int128)(uint64_t)cases[i].low, back;
        int exponent;
        assert_int_equal(encode_decimal(value, cases[i].scale, bytes), cases[i].fits);
        assert_true(decode_decimal(bytes, &back, &exponent));
        assert_true(back == value);
        assert_int_equal(exponent, -(int)cases[i].scale);
    }
    __int128 largest = (__int128)542101086242752 * ((__int128)1 << 64) + (__int128)UINT64_C(4003012203950112767);
    int exponent;
    __int128 back;
    assert_false(encode_decimal(largest * 10 + 1, 2, bytes));
    assert_true(encode_decimal(largest * 10, 2, bytes));  // a last digit that is 0 behind the point
    assert_true(decode_decimal(bytes, &back, &exponent));
    assert_true(back == largest && exponent == -1);
    static const uint8_t infinite[16] = {[15] = 0x78}, not_a_number[16] = {[15] = 0x7C};
    assert_false(decode_decimal(infinite, &back, &exponent));
    assert_false(decode_decimal(not_a_number, &back, &exponent));
}

static struct batch *batch_of_timestamps(const struct type **schema, const int64_t *us, uint32_t count) {
    struct field fields[] = {{"at", &type_timestamp, true}, {"n", &type_int, true}};
    *schema = type_struct(&arena, fields, 2);
    struct batch *b = batch_new(&memory, 2);
    assert_int_equal(column_make(&b->arena, &type_timestamp, count, false, &b->columns[0]), STATUS_OK);
    assert_int_equal(column_make(&b->arena, &type_int, count, false, &b->columns[1]), STATUS_OK);
    memcpy(b->columns[0].values, us, count * sizeof *us);
    memset(b->columns[1].values, 0, count * sizeof(int32_t));
    b->row_count = b->selected_count = count;
    b->origin = (struct origin){.source = 3, .partition = 2, .first_offset = 100};
    return b;
}

// A time of microseconds is cut as a field, and refused as a key: two keys would be one.
static void test_times(void **state) {
    (void)state;
    static const int64_t us[] = {1000, 1001, -1};
    const struct type *schema;
    struct batch *b = batch_of_timestamps(&schema, us, 3);
    struct encoder e;
    struct refusal refusal;
    struct buffer out;
    struct document_value v;
    buffer_init(&out, &memory);
    assert_int_equal(encoder_init(&e, &arena, schema), STATUS_OK);
    static const int64_t ms[] = {1, 1, -1};
    for (uint32_t row = 0; row < 3; row++) {
        buffer_clear(&out);
        assert_int_equal(encode_id(&e, b, row, &out, &refusal), STATUS_OK);
        size_t id_bytes = out.size_bytes;
        assert_null(refusal.condition);
        assert_int_equal(encode_document(&e, b, row, 0, id_bytes, &out, &refusal), STATUS_OK);
        const uint8_t *document = out.data + id_bytes;
        size_t size_bytes = out.size_bytes - id_bytes;
        assert_true(document_find(document, size_bytes, "at", &v));
        assert_int_equal(document_load64(&v), ms[row]);
        assert_true(document_find(document, size_bytes, "_id", &v));
        assert_int_equal(document_find_integer(v.bytes, v.size_bytes, "offset", -1), 100 + row);
        assert_int_equal(document_find_integer(v.bytes, v.size_bytes, "partition", -1), 2);
    }
    static const uint32_t key[] = {0};
    e.id_columns = key;
    e.id_count = 1;
    for (uint32_t row = 0; row < 3; row++) {
        buffer_clear(&out);
        assert_int_equal(encode_id(&e, b, row, &out, &refusal), STATUS_OK);
        assert_int_equal(refusal.condition != NULL, row > 0);
    }
    buffer_release(&out);
    batch_unref(b);
}

// What was written reads back as the same row; each allocation refused in turn is told, and nothing leaks.
static void test_refused_memory(void **state) {
    (void)state;
    static const int64_t us[] = {5000};
    const struct type *schema;
    struct batch *b = batch_of_timestamps(&schema, us, 1);
    struct encoder e;
    struct refusal refusal;
    bool done = false;
    assert_int_equal(encoder_init(&e, &arena, schema), STATUS_OK);
    for (int64_t nth = 1; !done; nth++) {
        struct buffer out;
        buffer_init(&out, &memory);
        atomic_store(&memory.fail_countdown, nth);
        enum status status = encode_id(&e, b, 0, &out, &refusal);
        size_t id_bytes = out.size_bytes;
        if (status == STATUS_OK) status = encode_document(&e, b, 0, 0, id_bytes, &out, &refusal);
        atomic_store(&memory.fail_countdown, -1);
        done = status == STATUS_OK;
        assert_true(done || status == STATUS_NO_MEMORY);
        assert_true(nth < 50);
        buffer_release(&out);
    }
    batch_unref(b);
}

static void test_inference(void **state) {
    (void)state;
    struct buffer b;
    const struct type *schema = NULL;
    buffer_init(&b, &memory);
    for (int i = 0; i < 3; i++) {
        size_t start;
        buffer_clear(&b);
        assert_int_equal(document_begin(&b, &start), STATUS_OK);
        if (i == 0) assert_int_equal(document_put_int32(&b, "n", 1), STATUS_OK);
        if (i == 1) assert_int_equal(document_put_int64(&b, "n", 1), STATUS_OK);
        if (i == 2) assert_int_equal(document_put_string(&b, "m", "x"), STATUS_OK);
        assert_int_equal(i == 0 ? document_put_string(&b, "mixed", "x") : document_put_int32(&b, "mixed", 1), STATUS_OK);
        assert_int_equal(document_put(&b, DOCUMENT_NULL, "none", 4, NULL, 0), STATUS_OK);
        assert_int_equal(document_end(&b, start), STATUS_OK);
        assert_int_equal(infer_document(&arena, b.data, b.size_bytes, &schema), STATUS_OK);
    }
    assert_int_equal(infer_finish(&arena, &schema), STATUS_OK);
    assert_string_equal(type_name(&arena, schema), "struct<n:bigint,mixed:string,none:string,m:string>");
    buffer_release(&b);
}

static struct option_set options_of(const char *uri, const char *database, struct option_value values[2]) {
    struct option_set set = {.values = values};
    if (uri) values[set.count++] = (struct option_value){.option = &mongodb_sink_options[0], .key = "connection.uri", .text = uri, .is_set = true};
    for (const struct option *o = mongodb_sink_options; database && o->name; o++) {
        if (strcmp(o->name, "database") == 0) values[set.count++] = (struct option_value){.option = o, .key = "database", .text = database, .is_set = true};
    }
    return set;
}

// The hosts that messages name hold no part of a password, however it is written.
static void test_hosts(void **state) {
    (void)state;
    static const char *const uris[] = {"mongodb://h1:1,h2:2/db?x=1", "mongodb://u:secret@h1:1,h2:2/db", "mongodb://u:sec@ret/x@h1:1,h2:2/db", "mongodb://u:se%40cret@h1:1,h2:2/?replicaSet=r"};
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct option_value values[2];
        struct option_set set = options_of(uris[i], "db", values);
        struct mongodb_config config;
        struct error e = {0};
        assert_int_equal(mongodb_config_resolve(&arena, &set, true, "t", NULL, &config, &e), STATUS_OK);
        assert_string_equal(config.hosts, "h1:1,h2:2");
        assert_string_equal(config.database, "db");
        assert_string_equal(config.collection, "t");
    }
}

static void test_bad_options(void **state) {
    (void)state;
    static const char *const uris[] = {"http://u:secret@h/db", "mongodb://", "mongodb://u:secret@/db", "mongodb://h"};
    for (size_t i = 0; i < sizeof uris / sizeof *uris; i++) {
        struct option_value values[2];
        struct option_set set = options_of(uris[i], NULL, values);
        struct error e = {0};
        assert_int_equal(mongodb_config_check(&set, true, "t", &e), STATUS_INVALID_ARGUMENT);
        assert_null(strstr(e.message, "secret"));
        assert_true(e.hint[0]);
    }
    static const char *const names[] = {"a b", "a.b", "a$", ""};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct option_value values[2];
        struct option_set set = options_of("mongodb://h", names[i], values);
        struct error e = {0};
        assert_int_equal(mongodb_config_check(&set, true, "t", &e), STATUS_INVALID_ARGUMENT);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_golden_bytes, set_up, tear_down), cmocka_unit_test_setup_teardown(test_index, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hostile_bytes, set_up, tear_down), cmocka_unit_test_setup_teardown(test_decimal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_times, set_up, tear_down), cmocka_unit_test_setup_teardown(test_refused_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_inference, set_up, tear_down), cmocka_unit_test_setup_teardown(test_hosts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_bad_options, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
