// SPDX-License-Identifier: Apache-2.0
// column_test.c: unit tests of src/column but for dates and zones (datetime_test.c). Random tests print their seed; LEAT_TEST_SEED
// sets it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/random.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/timezone.h"
#include "column/type_text.h"
#include "column/value.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static struct random seeded(void) {
    const char *text = getenv("LEAT_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 10) : (uint64_t)clock_now_us(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct random r;
    random_seed(&r, seed);
    return r;
}

struct fixture {
    struct memory memory;
    struct arena arena;
    struct buffer text;
};

static int set_up(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    memory_init(&f->memory, "test", NULL, 0);
    arena_init(&f->arena, &f->memory);
    buffer_init(&f->text, &f->memory);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    arena_release(&f->arena);
    buffer_release(&f->text);
    assert_int_equal(memory_used(&f->memory), 0);
    free(f);
    return 0;
}

static const struct type *parse(struct fixture *f, const char *text) {
    const struct type *t = NULL;
    struct error e;
    if (type_parse_schema(&f->arena, text, strlen(text), &t, &e) != STATUS_OK) fail_msg("%s: %s", text, e.message);
    return t;
}

static const char *text_of(struct fixture *f, const struct column *c, uint32_t row) {
    buffer_clear(&f->text);
    assert_int_equal(value_print(c, row, NULL, &f->text), STATUS_OK);
    assert_int_equal(buffer_terminate(&f->text), STATUS_OK);
    return (const char *)f->text.data;
}

static void test_type_text(void **state) {
    struct fixture *f = *state;
    static const char *const cases[][3] = {
        {"int", "int", "INT"},
        {" DECIMAL ( 10 , 2 ) ", "decimal(10,2)", "DECIMAL(10,2)"},
        {"dec", "decimal(10,0)", "DECIMAL(10,0)"},
        {"array<struct<a:int,`b c`: string not null>>", "array<struct<a:int,b c:string>>", "ARRAY<STRUCT<a: INT, `b c`: STRING NOT NULL>>"},
        {"map<string,array<map<int,date>>>", "map<string,array<map<int,date>>>", "MAP<STRING, ARRAY<MAP<INT, DATE>>>"},
        {"interval day", "interval day", "INTERVAL DAY"},
        {"interval year to month", "interval year to month", "INTERVAL YEAR TO MONTH"},
        {"interval", "interval", "INTERVAL"},
        {"a INT, b STRING COMMENT 'x, y' , c ARRAY<INT>", "struct<a:int,b:string,c:array<int>>", "STRUCT<a: INT, b: STRING, c: ARRAY<INT>>"},
        {"a INT NOT NULL -- note\n, `x``y` struct<>", "struct<a:int,x`y:struct<>>", "STRUCT<a: INT NOT NULL, `x``y`: STRUCT<>>"},
        {"d interval hour to second, v varchar(10), t timestamp_ltz", "struct<d:interval hour to second,v:string,t:timestamp>", NULL},
        {"date date, timestamp timestamp, interval interval", "struct<date:date,timestamp:timestamp,interval:interval>", NULL},
        {"{\"type\":\"struct\",\"fields\":[{\"metadata\":{\"a\":[1,{}]},\"name\":\"a\\u00e9\",\"type\":\"integer\",\"nullable\":false},"
         "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"keyType\":\"string\",\"valueType\":{\"type\":\"array\",\"elementType\":\"decimal(5,1)\","
         "\"containsNull\":true},\"valueContainsNull\":true}}]}",
         "struct<aé:int,m:map<string,array<decimal(5,1)>>>", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct type *t = parse(f, cases[i][0]);
        assert_string_equal(type_name(&f->arena, t), cases[i][1]);
        if (cases[i][2]) assert_string_equal(type_name_sql(&f->arena, t), cases[i][2]);
        const struct type *copy = type_copy(&f->arena, t);
        assert_true(type_equal(t, copy) && type_hash(t) == type_hash(copy));
    }
    static const char *const bad[][2] = {
        {"", "PARSE_SYNTAX_ERROR"}, {"a", "PARSE_SYNTAX_ERROR"}, {"a INT,", "PARSE_SYNTAX_ERROR"}, {"a INT b", "PARSE_SYNTAX_ERROR"}, {"a: INT", "PARSE_SYNTAX_ERROR"},
        {"array<int", "PARSE_SYNTAX_ERROR"}, {"a foo", "UNSUPPORTED_DATATYPE"}, {"a decimal(39,1)", "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION"},
        {"a array", "INCOMPLETE_TYPE_DEFINITION.ARRAY"}, {"a varchar", "DATATYPE_MISSING_SIZE"}, {"{\"type\":\"struct\"}", "PARSE_SYNTAX_ERROR"},
        {"{\"type\":\"struct\",\"fields\":[{}]}", "PARSE_SYNTAX_ERROR"}, {"a interval second to day", "PARSE_SYNTAX_ERROR"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct type *t;
        struct error e;
        assert_int_not_equal(type_parse_schema(&f->arena, bad[i][0], strlen(bad[i][0]), &t, &e), STATUS_OK);
        assert_string_equal(e.condition, bad[i][1]);
    }
    char deep[3000] = "";
    for (int i = 0; i < 200; i++) memcpy(deep + i * 6, "array<", 7);
    const struct type *t;
    size_t used;
    assert_int_equal(type_parse(&f->arena, deep, strlen(deep), &t, &used, NULL), STATUS_LIMIT);
    assert_int_equal(type_parse(&f->arena, "INT) AS x", 9, &t, &used, NULL), STATUS_OK);
    assert_int_equal(used, 3);
    assert_int_equal(type_field_index(parse(f, "a INT, A INT, b INT"), "a", false), -2);
    assert_int_equal(type_field_index(parse(f, "a INT, A INT, b INT"), "A", true), 1);
    assert_int_equal(type_field_index(parse(f, "a INT"), "z", false), -1);
}

static void check_double(double value, const char *expected) {
    char text[NUMBER_TEXT_MAX + 1];
    text[print_double(value, text)] = '\0';
    assert_string_equal(text, expected);
}

static void check_float(float value, const char *expected) {
    char text[NUMBER_TEXT_MAX + 1];
    text[print_float(value, text)] = '\0';
    assert_string_equal(text, expected);
}

static void test_print_numbers(void **state) {
    (void)state;
    check_double(1e7, "1.0E7");
    check_double(9999999, "9999999.0");
    check_double(1e-4, "1.0E-4");
    check_double(0.001, "0.001");
    check_double(0.0012345, "0.0012345");
    check_double(-0.0, "-0.0");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1308.6000000000001, "1308.6000000000001");
    check_double(11114, "11114.0");
    check_double(-12.5, "-12.5");
    check_double(4.9e-324, "4.9E-324");
    check_double(2e-323, "2.0E-323");
    check_double(2.2250738585072014e-308, "2.2250738585072014E-308");
    check_double(1.7976931348623157e308, "1.7976931348623157E308");
    check_double(9007199254740993.0, "9.007199254740992E15");
    check_double(123456789012345678.0, "1.2345678901234568E17");
    check_double((double)NAN, "NaN");
    check_double(-(double)INFINITY, "-Infinity");
    check_float(0.1f, "0.1");
    check_float(3.4028235e38f, "3.4028235E38");
    check_float(1.4e-45f, "1.4E-45");
    check_float(3.3e-45f, "2.8E-45");
    check_float(16777216.0f, "1.6777216E7");
    check_float(1.17549435e-38f, "1.17549435E-38");
    check_float(0.3f, "0.3");
}

// Where Java 17 prints more digits than it takes to read the value back; the answers are Java's.
static void test_print_as_java(void **state) {
    (void)state;
    check_double(4611686018427387904.0, "4.6116860184273879E18");
    check_double(9007199254740992.0, "9.007199254740992E15");
    check_double(1e23, "9.999999999999999E22");
    check_double(2e23, "1.9999999999999998E23");
    check_double(0x1p-44, "5.6843418860808015E-14");
    check_double(2.2e-322, "2.2E-322");
    check_float(2147483648.0f, "2.14748365E9");
    check_float(8388608.0f, "8388608.0");
    check_float(33554432.0f, "3.3554432E7");
    check_float(0x1p-126f, "1.17549435E-38");
    check_float(0.035771776f, "0.035771776");
}

static void check_parsed(const char *text, double expected) {
    double value;
    assert_true(parse_double(text, strlen(text), &value));
    assert_true(value == expected);
}

static void test_parse_hexadecimal(void **state) {
    (void)state;
    double value;
    check_parsed("0x1p3", 8);
    check_parsed(" -0X1.8p1d ", -3);
    check_parsed("0x.8p1", 1);
    check_parsed("0x0p0", 0);
    check_parsed("0x00000000000000000000000000000000000000000000000000000000001p0", 1);
    check_parsed("0x1.0000000000000800000000000000000000000000000000000000000000001p0", 0x1.0000000000001p0);
    check_parsed("0x10000000000000000000000000000000000000000000000000000000000000p-244", 1);
    check_parsed("0x1p99999999", (double)INFINITY);
    const char *const bad[] = {"0x1", "0x", "0xp1", "0x1p", "0x1p1x", "0x1.1.1p1", "0xgp1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(parse_double(bad[i], strlen(bad[i]), &value));
}

// The naive twin: the fewest digits (two at least) that %e needs to read back the same number.
static void naive_double(double value, char *out) {
    char text[40];
    int count = 2;
    for (; count <= 17; count++) {
        snprintf(text, sizeof text, "%.*e", count - 1, value);
        if (strtod(text, NULL) == value) break;
    }
    memcpy(out, text, sizeof text);
}

static void test_numbers_round_trip(void **state) {
    (void)state;
    struct random r = seeded();
    for (int i = 0; i < 30000; i++) {
        uint64_t bits = random_next(&r);
        double value;
        memcpy(&value, &bits, sizeof value);
        if (i % 3 == 1) value = (double)random_below(&r, 1000000000) / (double)(1 + random_below(&r, 100000));
        if (i % 3 == 2) value = (double)(int64_t)random_below(&r, 1000000) / 1000;
        if (isnan(value) || isinf(value)) continue;
        char text[NUMBER_TEXT_MAX + 1], naive[40];
        size_t length = print_double(value, text);
        text[length] = '\0';
        double back;
        assert_true(parse_double(text, length, &back) && back == value && strtod(text, NULL) == value);
        naive_double(value, naive);
        char digits[2][40] = {"", ""};
        for (int k = 0; k < 2; k++) {
            size_t n = 0;
            for (const char *s = k ? naive : text; *s && *s != 'e' && *s != 'E'; s++) {
                if (*s >= '0' && *s <= '9' && (n || *s != '0')) digits[k][n++] = *s;
            }
            while (n && digits[k][n - 1] == '0') n--;
            digits[k][n] = '\0';
        }
        assert_in_range(strlen(digits[0]), strlen(digits[1]), 18);  // Java 17's are not always the fewest, but read back the same
        float small;
        uint32_t small_bits = (uint32_t)random_next(&r);
        memcpy(&small, &small_bits, sizeof small);
        if (isnan(small)) continue;
        float small_back;
        assert_true(parse_float(text, print_float(small, text), &small_back) && small_back == small);
    }
}

static void test_parse_numbers(void **state) {
    (void)state;
    static const struct {
        const char *text;
        bool ok;
        double value;
    } cases[] = {
        {" 1.5 ", true, 1.5}, {"1.", true, 1}, {".5", true, 0.5}, {".", false, 0}, {"", false, 0}, {"1e400", true, (double)INFINITY},
        {"1e", false, 0}, {"1e5", true, 1e5}, {"-1E-5", true, -1e-5}, {"+iNf", true, (double)INFINITY}, {"-Infinity", true, -(double)INFINITY},
        {"1_0", false, 0}, {"1.0d", true, 1}, {"1.0F", true, 1}, {"1.0dd", false, 0}, {"d", false, 0}, {"0x10", false, 0}, {"1 2", false, 0},
        {"1.2.3", false, 0}, {"--1", false, 0}, {"1e99999999999", true, (double)INFINITY}, {"1e-99999999999", true, 0}, {"0e99999999999", true, 0},
        {"9007199254740993", true, 9007199254740992.0}, {"9007199254740993.0000000000000000000000001", true, 9007199254740994.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        double value = 0;
        assert_int_equal(parse_double(cases[i].text, strlen(cases[i].text), &value), cases[i].ok);
        if (cases[i].ok) assert_true(value == cases[i].value);
    }
    double nan_value;
    assert_true(parse_double("nAn", 3, &nan_value) && isnan(nan_value));
    char many[3000];
    memset(many, '0', sizeof many);
    memcpy(many, "9007199254740993.", 17);
    many[2999] = '1';
    assert_true(parse_double(many, sizeof many, &nan_value) && nan_value == 9007199254740994.0);
    int64_t integer;
    bool overflow;
    assert_true(parse_int64(" -9223372036854775808\n", 22, &integer, &overflow) && integer == INT64_MIN);
    assert_false(parse_int64("9223372036854775808", 19, &integer, &overflow));
    assert_true(overflow);
    assert_false(parse_int64("1.9", 3, &integer, &overflow) || overflow);
    assert_false(parse_int64("+", 1, &integer, &overflow) || parse_int64("", 0, &integer, &overflow) || parse_int64("+ 5", 3, &integer, &overflow));
    assert_true(parse_int64("+5", 2, &integer, &overflow) && integer == 5);
}

static void check_decimal(const char *text, unsigned precision, unsigned scale, const char *expected) {
    decimal value;
    bool is_number;
    char printed[DECIMAL_TEXT_MAX + 1];
    bool ok = decimal_parse(text, strlen(text), precision, scale, &value, &is_number);
    if (!expected) {
        assert_false(ok);
        return;
    }
    assert_true(ok);
    printed[decimal_print(value, scale, printed)] = '\0';
    assert_string_equal(printed, expected);
}

static void test_decimal_text(void **state) {
    (void)state;
    check_decimal("1e2", 10, 2, "100.00");
    check_decimal(" 1.005 ", 10, 2, "1.01");
    check_decimal("-1.005", 10, 2, "-1.01");
    check_decimal("0.004999999999999999999999999999999999999999999999999", 10, 2, "0.00");
    check_decimal(".5", 10, 0, "1");
    check_decimal("1e-400", 10, 2, "0.00");
    check_decimal("0e1000000", 10, 2, "0.00");
    check_decimal("1e1000000", 10, 2, NULL);
    check_decimal("1d", 10, 2, NULL);
    check_decimal("", 10, 2, NULL);
    check_decimal("123456.78", 5, 2, NULL);
    check_decimal("99999999999999999999999999999999999999", 38, 0, "99999999999999999999999999999999999999");
    check_decimal("99999999999999999999999999999999999999.5", 38, 0, NULL);
    check_decimal("-0.00000000000000000000000000000000000001", 38, 38, "-0.00000000000000000000000000000000000001");
    check_decimal("999.5", 3, 0, NULL);
    decimal value;
    assert_true(decimal_from_double(1.15, 10, 1, &value) && value == 12);
    assert_false(decimal_from_double((double)NAN, 10, 1, &value));
    assert_true(decimal_to_double(115, 2) == 1.15);
    assert_true(decimal_to_double(decimal_power_of_ten(38) - 1, 0) == 1e38);
    int64_t integer;
    assert_true(decimal_to_int64(-199, 2, &integer) && integer == -1);
    assert_false(decimal_to_int64(decimal_power_of_ten(19), 0, &integer));
}

// Against plain __int128 arithmetic, where it cannot overflow.
static void test_decimal_arithmetic(void **state) {
    (void)state;
    struct random r = seeded();
    for (int i = 0; i < 20000; i++) {
        __int128 a = (__int128)(int64_t)random_next(&r) >> random_below(&r, 63), b = (__int128)(int64_t)random_next(&r) >> random_below(&r, 63);
        unsigned drop = (unsigned)random_below(&r, 20);
        __int128 product = a * b, power = decimal_power_of_ten(drop), size = product < 0 ? -product : product;
        __int128 expected = size / power + (size % power * 2 >= power);
        decimal got = 0;
        bool fits = decimal_multiply(a, b, 20, 20 - drop, 38, &got);
        assert_int_equal(fits, expected < decimal_power_of_ten(38));
        if (fits) assert_true(got == (product < 0 ? -expected : expected));
        unsigned up = (unsigned)random_below(&r, 19);
        if (b == 0) {
            assert_false(decimal_divide(a, 0, b, 0, up, 38, &got));
            continue;
        }
        __int128 scaled = a * decimal_power_of_ten(up), divisor = b < 0 ? -b : b, dividend = scaled < 0 ? -scaled : scaled;
        expected = dividend / divisor + (dividend % divisor * 2 >= divisor);
        if ((scaled < 0) != (b < 0)) expected = -expected;
        assert_true(decimal_divide(a, 0, b, 0, up, 38, &got) ? got == expected : !decimal_fits(expected, 38));
        unsigned sa = (unsigned)random_below(&r, 10), sb = (unsigned)random_below(&r, 10);
        __int128 x = a * decimal_power_of_ten(sb), y = b * decimal_power_of_ten(sa);
        assert_int_equal(decimal_compare(a, sa, b, sb), (x > y) - (x < y));
        if (decimal_rescale(a, sa, sb, 38, &got)) {
            char text[DECIMAL_TEXT_MAX];
            decimal parsed;
            bool is_number;
            assert_true(decimal_parse(text, decimal_print(a, sa, text), 38, sb, &parsed, &is_number) && parsed == got);
        }
    }
    // 256 bits: q * b / b = q, whatever the size.
    for (int i = 0; i < 2000; i++) {
        decimal q = (decimal)(int64_t)random_next(&r) * ((decimal)1 << 60) + (int64_t)(random_next(&r) >> 4), got = 0;
        decimal b = (decimal)(int64_t)(random_next(&r) >> 8) * ((decimal)1 << random_below(&r, 60)) + 1;
        if (!decimal_fits(q, 38) || !decimal_fits(b, 38)) continue;
        assert_true(decimal_multiply(q, decimal_power_of_ten(38), 38, 0, 38, &got) && got == q);
        assert_true(decimal_divide(q, 0, 1, 0, 0, 38, &got) && got == q);
        assert_true(decimal_divide(q, 5, q, 5, 30, 38, &got) ? got == decimal_power_of_ten(30) : q == 0);
        assert_true(decimal_divide(1, 0, b, 0, 0, 38, &got) && got == (b <= 2));
    }
    assert_true(decimal_compare(decimal_power_of_ten(37), 0, 1, 38) == 1);
    assert_true(decimal_compare(-decimal_power_of_ten(37), 0, -1, 38) == -1);
}

// Appends a random value of the builder's type.
static void append_random(struct random *r, struct column_builder *b, unsigned depth) {
    const struct type *t = b->column.type;
    if (t->id == TYPE_NULL || random_below(r, 5) == 0) {
        column_builder_append_null(b);
        return;
    }
    uint64_t count = random_below(r, 4);
    char bytes[40];
    switch (t->id) {
    case TYPE_BOOLEAN: column_builder_append_fixed(b, &(uint8_t){(uint8_t)(count & 1)}); break;
    case TYPE_FLOAT: column_builder_append_fixed(b, &(float){count == 0 ? -0.0f : count == 1 ? NAN : (float)random_double(r)}); break;
    case TYPE_DOUBLE: column_builder_append_fixed(b, &(double){count == 0 ? -0.0 : count == 1 ? (double)NAN : random_double(r)}); break;
    case TYPE_DECIMAL: column_builder_append_fixed(b, &(decimal){(decimal)(int64_t)random_next(r) % decimal_power_of_ten(t->precision)}); break;
    case TYPE_STRING:
    case TYPE_BINARY:
        for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (char)('a' + random_below(r, 3));
        column_builder_append_bytes(b, bytes, random_below(r, sizeof bytes), true);
        break;
    case TYPE_INTERVAL: column_builder_append_fixed(b, &(struct calendar_interval){(int32_t)random_next(r), (int32_t)count, (int64_t)random_next(r)}); break;
    case TYPE_ARRAY:
    case TYPE_MAP:
        for (uint64_t k = 0; k < count; k++) {
            for (uint32_t i = 0; i < t->field_count; i++) append_random(r, &b->children[i], depth + 1);
        }
        column_builder_end_list(b);
        break;
    case TYPE_STRUCT:
        for (uint32_t i = 0; i < t->field_count; i++) append_random(r, &b->children[i], depth + 1);
        column_builder_end_struct(b);
        break;
    default: {
        uint64_t value = count < 2 ? random_below(r, 5) : random_next(r);
        column_builder_append_fixed(b, &value);
        break;
    }
    }
}

static const char all_types[] =
    "n VOID, b BOOLEAN, t TINYINT, s SMALLINT, i INT, l BIGINT, f FLOAT, d DOUBLE, c DECIMAL(10,2), c38 DECIMAL(38,5), str STRING, bin BINARY, "
    "da DATE, ts TIMESTAMP, nt TIMESTAMP_NTZ, ym INTERVAL YEAR TO MONTH, dt INTERVAL DAY TO SECOND, iv INTERVAL, a ARRAY<INT>, "
    "as ARRAY<STRING>, aa ARRAY<ARRAY<STRUCT<x: INT, y: STRING>>>, m MAP<STRING, ARRAY<INT>>, e STRUCT<>, "
    "st STRUCT<p: INT, q: STRUCT<r: STRING, u: ARRAY<VOID>>>";

static void random_column(struct fixture *f, struct random *r, const struct type *t, uint32_t rows, struct column *out) {
    struct column_builder b;
    column_builder_init(&b, &f->arena, t);
    for (uint32_t i = 0; i < rows; i++) append_random(r, &b, 0);
    assert_int_equal(column_builder_finish(&b, out), STATUS_OK);
    assert_int_equal(out->row_count, rows);
}

static void check_same_rows(const struct column *a, const struct column *b, const uint32_t *rows, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows ? rows[i] : i;
        if (row == UINT32_MAX) {
            assert_false(column_is_valid(b, i));
        } else {
            assert_true(value_equal(a, row, b, i));
        }
    }
}

static void test_round_trip(void **state) {
    struct fixture *f = *state;
    struct random r = seeded();
    const struct type *all = parse(f, all_types);
    for (uint32_t k = 0; k < all->field_count; k++) {
        const struct type *t = all->fields[k].type;
        struct column c, back;
        random_column(f, &r, t, 300, &c);
        struct buffer bytes;
        buffer_init(&bytes, &f->memory);
        for (uint32_t i = 0; i < 300; i++) assert_int_equal(value_write(&c, i, &bytes), STATUS_OK);
        struct reader reader = reader_of(bytes.data, bytes.size_bytes);
        struct column_builder b;
        column_builder_init(&b, &f->arena, t);
        for (uint32_t i = 0; i < 300; i++) value_read(&reader, &b);
        assert_false(reader.failed);
        assert_true(reader.next == reader.end);
        assert_int_equal(column_builder_finish(&b, &back), STATUS_OK);
        check_same_rows(&c, &back, NULL, 300);
        // Equal values have equal bytes and hashes; the order is one.
        uint64_t hashes[2][300] = {{0}};
        struct rows rows = {.count = 300};
        value_hash_column(&c, &rows, hashes[0]);
        value_hash_column(&back, &rows, hashes[1]);
        assert_memory_equal(hashes[0], hashes[1], sizeof hashes[0]);
        for (int n = 0; n < 500; n++) {
            uint32_t i = (uint32_t)random_below(&r, 300), j = (uint32_t)random_below(&r, 300);
            struct buffer x, y;
            buffer_init(&x, &f->memory);
            buffer_init(&y, &f->memory);
            assert_int_equal(value_write(&c, i, &x), STATUS_OK);
            assert_int_equal(value_write(&c, j, &y), STATUS_OK);
            bool same_bytes = x.size_bytes == y.size_bytes && memcmp(x.data, y.data, x.size_bytes) == 0;
            assert_int_equal(value_equal(&c, i, &c, j), same_bytes);
            if (same_bytes) assert_true(hashes[0][i] == hashes[0][j]);
            if (column_is_valid(&c, i) && column_is_valid(&c, j)) {
                int order = value_compare(&c, i, &c, j), reverse = value_compare(&c, j, &c, i);
                assert_int_equal((order > 0) - (order < 0), (reverse < 0) - (reverse > 0));
            }
            buffer_release(&x);
            buffer_release(&y);
        }
        // Cut and broken bytes are refused or read as something, but never read past the end.
        for (int n = 0; n < 200; n++) {
            size_t size = random_below(&r, bytes.size_bytes + 1);
            uint8_t *cut = malloc(size + 1);
            memcpy(cut, bytes.data, size);
            for (int m = 0; m < 3 && size; m++) cut[random_below(&r, size)] = (uint8_t)random_next(&r);
            struct reader broken = reader_of(cut, size);
            column_builder_init(&b, &f->arena, t);
            for (uint32_t i = 0; i < 300 && !broken.failed; i++) value_read(&broken, &b);
            free(cut);
        }
        buffer_release(&bytes);
    }
}

static void test_gather(void **state) {
    struct fixture *f = *state;
    struct random r = seeded();
    const struct type *all = parse(f, all_types);
    for (uint32_t k = 0; k < all->field_count; k++) {
        const struct type *t = all->fields[k].type;
        struct column c, gathered, copied, flat, nulls;
        random_column(f, &r, t, 200, &c);
        uint32_t rows[500];
        for (int i = 0; i < 500; i++) rows[i] = random_below(&r, 10) ? (uint32_t)random_below(&r, 200) : UINT32_MAX;
        assert_int_equal(column_gather(&f->arena, &c, rows, 500, &gathered), STATUS_OK);
        check_same_rows(&c, &gathered, rows, 500);
        assert_int_equal(column_copy(&f->arena, &c, rows, 500, &copied), STATUS_OK);
        check_same_rows(&c, &copied, rows, 500);
        // The other forms.
        uint16_t codes[100];
        uint32_t code_rows[100], zeros[100] = {0}, identity[100];
        for (uint32_t i = 0; i < 100; i++) code_rows[i] = codes[i] = (uint16_t)random_below(&r, 200), identity[i] = i;
        struct column dictionary = {.type = t, .form = COLUMN_DICTIONARY, .row_count = 200, .codes = codes, .children = &c};
        check_same_rows(&c, &dictionary, code_rows, 100);
        assert_int_equal(column_flatten(&f->arena, &dictionary, 100, &flat), STATUS_OK);
        assert_int_equal(flat.form, COLUMN_FLAT);
        check_same_rows(&dictionary, &flat, identity, 100);
        struct column constant = c;
        constant.form = COLUMN_CONSTANT;
        assert_int_equal(column_flatten(&f->arena, &constant, 100, &flat), STATUS_OK);
        check_same_rows(&c, &flat, zeros, 100);
        uint64_t hashes[3][100] = {{0}};
        struct rows hundred = {.count = 100};
        value_hash_column(&constant, &hundred, hashes[0]);
        value_hash_column(&flat, &hundred, hashes[1]);
        assert_memory_equal(hashes[0], hashes[1], sizeof hashes[0]);
        assert_int_equal(column_make_constant_null(&f->arena, t, 100, &nulls), STATUS_OK);
        assert_true(column_is_constant_null(&nulls));
        assert_int_equal(column_flatten(&f->arena, &nulls, 100, &flat), STATUS_OK);
        for (uint32_t i = 0; i < 100; i++) assert_true(!column_is_valid(&nulls, i) && !column_is_valid(&flat, i));
        // A builder fed from a column.
        struct column_builder b;
        struct column built;
        column_builder_init(&b, &f->arena, t);
        for (uint32_t i = 0; i < 100; i++) column_builder_append_from(&b, &dictionary, i);
        assert_int_equal(column_builder_finish(&b, &built), STATUS_OK);
        check_same_rows(&dictionary, &built, identity, 100);
        assert_int_equal(column_make(&f->arena, t, 100, true, &built), STATUS_OK);
        assert_int_equal(column_make(&f->arena, t, 0, true, &built), STATUS_OK);
    }
}

static enum status use_builder(struct memory *m) {
    struct arena a;
    arena_init(&a, m);
    const struct type *t;
    struct error e;
    struct column_builder b;
    struct column c, copy;
    enum status status = type_parse_schema(&a, all_types, sizeof all_types - 1, &t, &e);
    if (status == STATUS_OK) {
        struct random r;
        random_seed(&r, 1);
        column_builder_init(&b, &a, t);
        for (int i = 0; i < 300 && !b.failed; i++) append_random(&r, &b, 0);
        status = column_builder_finish(&b, &c);
    }
    if (status == STATUS_OK) status = column_copy(&a, &c, (uint32_t[]){5, UINT32_MAX, 299, 5}, 4, &copy);
    if (status == STATUS_OK) status = column_flatten(&a, &c, 300, &copy);
    if (status == STATUS_OK) status = column_make(&a, t, 10, true, &copy);
    arena_release(&a);
    return status;
}

static enum status use_batch(struct memory *m) {
    struct batch *parent = batch_new(m, 3), *child = NULL;
    if (!parent) return STATUS_NO_MEMORY;
    struct buffer *b = buffer_new(m, 100);
    enum status status = b ? batch_hold(parent, b) : STATUS_NO_MEMORY;
    buffer_unref(b);
    parent->row_count = 7;
    if (status == STATUS_OK) {
        child = batch_derive(parent, m, 1);
        if (!child) status = STATUS_NO_MEMORY;
    }
    batch_unref(parent);
    if (child) {
        assert_int_equal(child->row_count, 7);
        assert_null(child->columns[0].type);
        for (int i = 0; i < 50 && status == STATUS_OK; i++) {
            void *p = arena_alloc(&child->arena, 3000);
            if (p) memset(p, 1, 3000);
            else status = STATUS_NO_MEMORY;
        }
        batch_unref(child);
    }
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    enum status (*uses[])(struct memory *) = {use_builder, use_batch};
    for (size_t k = 0; k < 2; k++) {
        for (int64_t n = 1;; n++) {
            struct memory m;
            memory_init(&m, "test", NULL, 0);
            m.fail_countdown = n;
            enum status status = uses[k](&m);
            assert_int_equal(memory_used(&m), 0);
            if (status == STATUS_OK) break;
            assert_int_equal(status, STATUS_NO_MEMORY);
        }
    }
}

static void test_print_values(void **state) {
    struct fixture *f = *state;
    struct column_builder b;
    struct column c;
    column_builder_init(&b, &f->arena, parse(f, "struct<a: array<int>, m: map<string,double>, b: array<binary>, s: struct<x: int, y: string>>"));
    column_builder_append_fixed(&b.children[0].children[0], &(int32_t){1});
    column_builder_append_null(&b.children[0].children[0]);
    column_builder_end_list(&b.children[0]);
    column_builder_append_bytes(&b.children[1].children[0], "k", 1, true);
    column_builder_append_fixed(&b.children[1].children[1], &(double){1e7});
    column_builder_append_bytes(&b.children[1].children[0], "j", 1, true);
    column_builder_append_null(&b.children[1].children[1]);
    column_builder_end_list(&b.children[1]);
    column_builder_append_bytes(&b.children[2].children[0], "\x01z", 2, true);
    column_builder_end_list(&b.children[2]);
    column_builder_append_fixed(&b.children[3].children[0], &(int32_t){1});
    column_builder_append_bytes(&b.children[3].children[1], "q", 1, true);
    column_builder_end_struct(&b.children[3]);
    column_builder_end_struct(&b);
    assert_int_equal(column_builder_finish(&b, &c), STATUS_OK);
    assert_string_equal(text_of(f, &c, 0), "{[1, null], {k -> 1.0E7, j -> null}, [\x01z], {1, q}}");
    buffer_clear(&f->text);
    assert_int_equal(value_print_show(&c, 0, NULL, &f->text), STATUS_OK);
    assert_int_equal(buffer_terminate(&f->text), STATUS_OK);
    assert_string_equal((char *)f->text.data, "{[1, NULL], {k -> 1.0E7, j -> NULL}, [[01 7A]], {1, q}}");
}

static void test_print_intervals(void **state) {
    struct fixture *f = *state;
    const int64_t second = 1000000, minute = 60 * second, hour = 60 * minute, day = 24 * hour;
    const struct {
        const char *type;
        int64_t value;
        const char *text;
    } cases[] = {
        {"interval day", day, "INTERVAL '1' DAY"},
        {"interval day to hour", -(day + 2 * hour), "INTERVAL '-1 02' DAY TO HOUR"},
        {"interval day to minute", day + 2 * hour + 3 * minute, "INTERVAL '1 02:03' DAY TO MINUTE"},
        {"interval day to second", day + 2 * hour + 3 * minute + 4 * second + 500000, "INTERVAL '1 02:03:04.5' DAY TO SECOND"},
        {"interval day to second", INT64_MIN, "INTERVAL '-106751991 04:00:54.775808' DAY TO SECOND"},
        {"interval hour", 25 * hour, "INTERVAL '25' HOUR"},
        {"interval hour to minute", 25 * hour + 6 * minute, "INTERVAL '25:06' HOUR TO MINUTE"},
        {"interval hour to second", 10 * hour + 1, "INTERVAL '10:00:00.000001' HOUR TO SECOND"},
        {"interval minute", 90 * minute, "INTERVAL '90' MINUTE"},
        {"interval minute to second", 100 * minute + 5 * second + 250000, "INTERVAL '100:05.25' MINUTE TO SECOND"},
        {"interval second", -1500000, "INTERVAL '-01.5' SECOND"},
        {"interval second", 0, "INTERVAL '00' SECOND"},
        {"interval year to month", -14, "INTERVAL '-1-2' YEAR TO MONTH"},
        {"interval year", -24, "INTERVAL '-2' YEAR"},
        {"interval month", 13, "INTERVAL '13' MONTH"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct column c;
        assert_int_equal(column_make(&f->arena, parse(f, cases[i].type), 1, false, &c), STATUS_OK);
        if (c.type->id == TYPE_INTERVAL_YM) *(int32_t *)c.values = (int32_t)cases[i].value;
        else *(int64_t *)c.values = cases[i].value;
        assert_string_equal(text_of(f, &c, 0), cases[i].text);
    }
    struct column c;
    assert_int_equal(column_make(&f->arena, &type_interval, 4, false, &c), STATUS_OK);
    struct calendar_interval *v = c.values;
    v[0] = (struct calendar_interval){14, 3, 4 * hour + 5 * minute + 6500000};
    v[1] = (struct calendar_interval){0, 0, 0};
    v[2] = (struct calendar_interval){-1, -2, -(3 * hour + 4 * minute + 5000001)};
    v[3] = (struct calendar_interval){0, 0, -500000};
    assert_string_equal(text_of(f, &c, 0), "1 years 2 months 3 days 4 hours 5 minutes 6.5 seconds");
    assert_string_equal(text_of(f, &c, 1), "0 seconds");
    assert_string_equal(text_of(f, &c, 2), "-1 months -2 days -3 hours -4 minutes -5.000001 seconds");
    assert_string_equal(text_of(f, &c, 3), "-0.5 seconds");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_type_text, set_up, tear_down),
        cmocka_unit_test(test_print_numbers), cmocka_unit_test(test_print_as_java), cmocka_unit_test(test_parse_hexadecimal),
        cmocka_unit_test(test_numbers_round_trip),
        cmocka_unit_test(test_parse_numbers),
        cmocka_unit_test(test_decimal_text),
        cmocka_unit_test(test_decimal_arithmetic),
        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_gather, set_up, tear_down),
        cmocka_unit_test(test_failing_allocations),
        cmocka_unit_test_setup_teardown(test_print_values, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_print_intervals, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
