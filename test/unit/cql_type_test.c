// SPDX-License-Identifier: Apache-2.0
// cql_type_test.c: types of CQL from text and back, values to bytes and back, tokens that a real server gave.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "cql/cql.h"
#include <stdlib.h>

static struct memory memory;
static struct arena arena;

static int setup(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    arena_init(&arena, &memory);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    arena_release(&arena);
    assert_int_equal(memory_used(&memory), 0);
    return 0;
}

static enum status parse(const char *text, struct cql_type *out, struct error *e) {
    static struct cql_type fields[2] = {{.kind = CQL_TEXT}, {.kind = CQL_INT}};
    static const char *names[2] = {"name", "number"};
    static const struct cql_udt udts[] = {
        {.name = "street", .type = {.kind = CQL_UDT, .child_count = 2, .children = fields, .field_names = names, .keyspace = "k", .name = "street"}},
        {.name = "Odd \"one", .type = {.kind = CQL_UDT, .child_count = 1, .children = fields, .field_names = names, .keyspace = "k", .name = "Odd \"one"}}};
    char *copy = malloc(strlen(text) + 1);  // without the NUL, so that a read past the end is seen
    memcpy(copy, text, strlen(text));
    enum status status = cql_type_parse(&arena, copy, strlen(text), "k", udts, 2, out, e);
    free(copy);
    return status;
}

#define M "org.apache.cassandra.db.marshal."
static void test_types(void **state) {
    static const char *const cases[][2] = {
        {"int", "int"}, {"VarChar", "text"}, {" map < text , frozen<list<int>> > ", "map<text, frozen<list<int>>>"},
        {"frozen<tuple<int, text, double>>", "frozen<tuple<int, text, double>>"}, {"tuple<int>", "frozen<tuple<int>>"}, {"vector<float, 1536>", "vector<float, 1536>"},
        {"vector<vector<int, 2>, 3>", "vector<vector<int, 2>, 3>"}, {"frozen<street>", "frozen<street>"}, {"k.street", "street"},
        {"list<frozen<\"Odd \"\"one\">>", "list<frozen<\"Odd \"\"one\">>"}, {"empty", "empty"}, {"'com.example.Odd(a,b(c))'", "'com.example.Odd(a,b(c))'"},
        {M "Int32Type", "int"}, {M "MapType(" M "UTF8Type," M "FrozenType(" M "ListType(" M "LongType)))", "map<text, frozen<list<bigint>>>"},
        {M "VectorType(" M "FloatType , 3)", "vector<float, 3>"}, {M "ReversedType(" M "UUIDType)", "uuid"},
        {M "UserType(k,737472656574,6e616d65:" M "UTF8Type,6e756d626572:" M "Int32Type)", "street"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cql_type type, again;
        struct buffer text;
        struct error e;
        buffer_init(&text, &memory);
        if (parse(cases[i][0], &type, &e) != STATUS_OK) fail_msg("%s: %s", cases[i][0], e.message);
        assert_int_equal(cql_type_print(&text, &type, true), STATUS_OK);
        assert_int_equal(buffer_terminate(&text), STATUS_OK);
        assert_string_equal((char *)text.data, cases[i][1]);
        assert_int_equal(parse((char *)text.data, &again, &e), STATUS_OK);
        assert_true(cql_type_equal(&type, &again));
        buffer_release(&text);
    }
}

static void test_no_types(void **state) {
    static const char *const wrong[] = {"", "<", "list", "list<", "list<int", "list<int,int>", "map<int>", "tuple<>", "vector<int>", "vector<int, 0>", "vector<int, 99999999999>",
                                        "int int", "\"open", "'open", "frozen", "frozen<>", "list<int>>", M "ListType", M "ListType(", M "UserType(", M "UserType(k,7",
                                        "'" M "VectorType(" M "FloatType , x)'"};
    struct cql_type type;
    struct error e;
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        if (parse(wrong[i], &type, &e) != STATUS_INVALID_ARGUMENT) fail_msg("`%s` is taken for a type", wrong[i]);
        assert_true(e.message[0]);
    }
    assert_int_equal(parse("list<avenue>", &type, &e), STATUS_NOT_FOUND);
    assert_non_null(strstr(e.message, "avenue"));
    char deep[8 * 200];
    size_t at = 0;
    for (int i = 0; i < 200; i++) at += (size_t)(stpcpy(deep + at, "list<") - (deep + at));
    assert_int_equal(parse(deep, &type, &e), STATUS_INVALID_ARGUMENT);
    for (int64_t n = 1;; n++) {  // memory refused at each place in turn
        struct arena own;
        arena_init(&own, &memory);
        atomic_store(&memory.fail_countdown, n);
        enum status status = cql_type_parse(&own, "map<text, frozen<list<tuple<int, int>>>>", 40, "k", NULL, 0, &type, &e);
        atomic_store(&memory.fail_countdown, -1);
        arena_release(&own);
        if (status == STATUS_OK) break;
        assert_true(status == STATUS_NO_MEMORY && n < 100);
    }
}

static struct cql_value value_of(const void *bytes, int32_t size_bytes) { return (struct cql_value){.bytes = bytes, .size_bytes = size_bytes}; }

static void test_varints(void **state) {
    static const struct {
        int64_t value;
        const char *bytes;
        size_t size_bytes;
    } known[] = {{0, "\0", 1}, {1, "\1", 1}, {127, "\x7F", 1}, {128, "\0\x80", 2}, {-1, "\xFF", 1}, {-128, "\x80", 1}, {-129, "\xFF\x7F", 2}, {-256, "\xFF\0", 2}};
    uint8_t out[17];
    decimal v;
    bool fits;
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        assert_int_equal(cql_encode_varint(known[i].value, out), known[i].size_bytes);
        assert_memory_equal(out, known[i].bytes, known[i].size_bytes);
    }
    struct random random;
    random_seed(&random, 77);
    for (int i = 0; i < 100000; i++) {
        decimal value = (decimal)((unsigned __int128)random_next(&random) << 64 | random_next(&random));
        value >>= random_below(&random, 127);
        size_t length = cql_encode_varint(value, out);
        assert_true(cql_read_varint(value_of(out, (int32_t)length), &v, &fits) && fits && v == value);
        char text[DECIMAL_TEXT_MAX];
        struct buffer printed;
        struct error e;
        if (i % 50 || !decimal_fits(value, 38)) continue;
        buffer_init(&printed, &memory);
        assert_int_equal(cql_print_varint(&printed, value_of(out, (int32_t)length), &e), STATUS_OK);
        assert_int_equal(printed.size_bytes, decimal_print(value, 0, text));
        assert_memory_equal(printed.data, text, printed.size_bytes);
        buffer_release(&printed);
    }
    static const uint8_t wide[18] = {1};
    assert_true(cql_read_varint(value_of(wide, 18), &v, &fits) && !fits);
    assert_false(cql_read_varint(value_of(wide, 0), &v, &fits));
}

static void expect_decimal(const char *bytes, int32_t size_bytes, const char *text) {
    struct buffer out;
    struct error e;
    buffer_init(&out, &memory);
    assert_int_equal(cql_print_decimal(&out, value_of(bytes, size_bytes), &e), STATUS_OK);
    assert_int_equal(buffer_terminate(&out), STATUS_OK);
    assert_string_equal((char *)out.data, text);
    buffer_release(&out);
}

static void test_texts(void **state) {
    char text[CQL_DURATION_TEXT];
    uint8_t bytes[16];
    (void)state;
    expect_decimal("\0\0\0\2\x04\xD2", 6, "12.34");
    expect_decimal("\0\0\0\5\xFF", 5, "-0.00001");
    expect_decimal("\xFF\xFF\xFF\xFE\7", 5, "700");
    expect_decimal("\x7F\xFF\xFF\xFF\7", 5, "7E-2147483647");
    assert_true(cql_parse_uuid("12345678-1234-4234-9234-123456789ABC", 36, bytes));
    assert_int_equal(cql_print_uuid(value_of(bytes, 16), text), 36);
    assert_string_equal(text, "12345678-1234-4234-9234-123456789abc");
    assert_int_equal(cql_uuid_version(bytes), 4);
    assert_false(cql_parse_uuid("12345678-1234-4234-9234-123456789ABg", 36, bytes));
    assert_false(cql_parse_uuid("12345678x1234-4234-9234-123456789ABC", 36, bytes));
    assert_int_equal(cql_parse_inet("127.0.0.1", 9, bytes), 4);
    assert_int_equal(cql_print_inet(value_of(bytes, 4), text), 9);
    assert_int_equal(cql_parse_inet("2001:db8::1", 11, bytes), 16);
    assert_int_equal(cql_print_inet(value_of(bytes, 16), text), 11);
    assert_string_equal(text, "2001:db8::1");
    assert_int_equal(cql_parse_inet("127.0.0.1 ", 10, bytes), 0);
    assert_true(cql_print_duration(value_of("\2\4\6", 3), text) && !strcmp(text, "1mo2d3ns"));
    assert_true(cql_print_duration(value_of("\1\0\0", 3), text) && !strcmp(text, "-1mo"));
    assert_true(cql_print_duration(value_of("\0\0\0", 3), text) && !strcmp(text, "0s"));
    assert_int_equal(cql_print_duration(value_of("\2\4", 2), text), 0);
    assert_int_equal(cql_print_duration(value_of("\2\4\xFF", 3), text), 0);
    static const struct {
        uint64_t value;
        size_t length;
        uint8_t first;
    } vints[] = {{0, 1, 0}, {127, 1, 127}, {128, 2, 0x80}, {16383, 2, 0xBF}, {16384, 3, 0xC0}, {UINT64_C(1) << 55, 8, 0xFE}, {UINT64_C(1) << 56, 9, 0xFF}, {UINT64_MAX, 9, 0xFF}};
    for (size_t i = 0; i < sizeof vints / sizeof *vints; i++) {
        assert_int_equal(cql_encode_unsigned_vint(vints[i].value, bytes), vints[i].length);
        assert_int_equal(bytes[0], vints[i].first);
    }
}

static void test_elements_hostile(void **state) {
    struct cql_type item = {.kind = CQL_INT}, pair[2] = {{.kind = CQL_INT}, {.kind = CQL_TEXT}};
    struct cql_type list = {.kind = CQL_LIST, .child_count = 1, .children = &item}, map = {.kind = CQL_MAP, .child_count = 2, .children = pair};
    struct cql_type vector = {.kind = CQL_VECTOR, .dimension = 3, .child_count = 1, .children = &item};
    struct cql_elements e;
    struct cql_value v;
    (void)state;
    assert_false(cql_elements_open(&e, &list, value_of("\x7F\xFF\xFF\xFF", 4)));
    assert_false(cql_elements_open(&e, &list, value_of("\0\0", 2)));
    assert_false(cql_elements_open(&e, &map, value_of("\0\0\0\1\0\0\0\0", 8)));
    assert_false(cql_elements_open(&e, &vector, value_of("\0\0\0\1\0\0\0\0", 8)));
    assert_true(cql_elements_open(&e, &list, value_of("\0\0\0\1\0\0\0\5abcd", 12)));
    assert_false(cql_elements_next(&e, &v));
    item.kind = CQL_TEXT;
    assert_true(cql_elements_open(&e, &vector, value_of("\x05" "ab", 3)));
    assert_false(cql_elements_next(&e, &v));
}

// token() of a real server (Cassandra 5.0.9) for blobs.
static void test_tokens(void **state) {
    static const struct {
        const char *key;
        size_t size_bytes;
        int64_t token;
    } known[] = {
        {"\x00", 1, INT64_C(5048724184180415669)}, {"\x7F", 1, INT64_C(5072634478945617755)}, {"\x80", 1, INT64_C(-5284281814142962636)},
        {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF", 7, INT64_C(4860178782003914630)}, {"\x80\x80\x80\x80\x80\x80\x80\x80", 8, INT64_C(-1779431913235548342)},
        {"\xFE\xFE\xFE\xFE\xFE\xFE\xFE\xFE\xFE", 9, INT64_C(-3785429502202721442)}, {"hello world", 11, INT64_C(5998619086395760910)},
        {"\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81\x81", 15, INT64_C(5729690322243006552)},
        {"\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90\x90", 16, INT64_C(9050766714118261696)},
        {"\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0\xA0", 17, INT64_C(2753023073960864129)},
        // two columns: text 'abc', int -7
        {"\x00\x03" "abc" "\x00" "\x00\x04\xFF\xFF\xFF\xF9\x00", 13, INT64_C(-3854779211671767676)}};
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) assert_true(cql_token(known[i].key, known[i].size_bytes) == known[i].token);
}

static void test_names(void **state) {
    static const char *const cases[][2] = {{"users", "users"}, {"Users", "\"Users\""}, {"select", "\"select\""}, {"a\"b", "\"a\"\"b\""}, {"1a", "\"1a\""}, {"", "\"\""}};
    enum cql_consistency level;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buffer out;
        buffer_init(&out, &memory);
        assert_int_equal(cql_append_name(&out, cases[i][0]), STATUS_OK);
        assert_int_equal(buffer_terminate(&out), STATUS_OK);
        assert_string_equal((char *)out.data, cases[i][1]);
        buffer_release(&out);
    }
    assert_true(cql_consistency_parse("local_quorum", &level) && level == CQL_LOCAL_QUORUM);
    assert_false(cql_consistency_parse("most", &level));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types), cmocka_unit_test(test_no_types), cmocka_unit_test(test_varints), cmocka_unit_test(test_texts),
        cmocka_unit_test(test_elements_hostile), cmocka_unit_test(test_tokens), cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
