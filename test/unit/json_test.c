// SPDX-License-Identifier: Apache-2.0
// json_test.c: the JSON reader against Spark's answers, the classes of JSONTestSuite, modes, pruning, lines, and failing memory.
#include "json_support.h"
#include "json_spark_cases.h"

static void set_option(struct json_options *o, const char *option) {
    if (!option) return;
    bool on = strstr(option, "=true") != NULL;
    if (strstr(option, "allowComments=")) o->allow_comments = on;
    else if (strstr(option, "allowNumericLeadingZeros=")) o->allow_numeric_leading_zeros = on;
    else if (strstr(option, "allowUnquotedFieldNames=")) o->allow_unquoted_field_names = on;
    else if (strstr(option, "allowSingleQuotes=")) o->allow_single_quotes = on;
    else if (strstr(option, "allowUnquotedControlChars=")) o->allow_unquoted_control_characters = on;
    else if (strstr(option, "allowBackslashEscapingAnyCharacter=")) o->allow_backslash_escaping_any = on;
    else if (strstr(option, "allowNonNumericNumbers=")) o->allow_non_numeric_numbers = on;
    else fail_msg("option %s", option);
}

static void spark_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof spark_cases / sizeof spark_cases[0]; i++) {
        const struct spark_case *c = &spark_cases[i];
        struct world w;
        struct json_options options;
        world_init(&w);
        json_options_default(&options);
        set_option(&options, c->option);
        char what[256];
        snprintf(what, sizeof what, "%s as %s %s", c->document, c->schema, c->option ? c->option : "");
        assert_text(what, read_one(&w, c->schema, &options, c->document, strlen(c->document), NULL), c->expected);
        world_release(&w);
    }
}

static void spark_paths(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    for (size_t i = 0; i < sizeof path_cases / sizeof path_cases[0]; i++) {
        const struct path_case *c = &path_cases[i];
        bool found;
        buffer_clear(&w.text);
        assert_int_equal(json_path(c->document, strlen(c->document), c->path, strlen(c->path), &w.text, &found), STATUS_OK);
        assert_int_equal(buffer_terminate(&w.text), STATUS_OK);
        char what[256];
        snprintf(what, sizeof what, "%s of %s", c->path, c->document);
        assert_text(what, found ? (const char *)w.text.data : NULL, c->expected);
    }
    world_release(&w);
}

static void spark_inference(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof infer_cases / sizeof infer_cases[0]; i++) {
        struct world w;
        world_init(&w);
        const struct type *schema = NULL;
        bool malformed;
        const char *document = infer_cases[i].document;
        assert_int_equal(json_infer(&w.arena, document, strlen(document), NULL, &schema, &malformed), STATUS_OK);
        assert_false(malformed);
        assert_int_equal(json_infer_finish(&w.arena, false, &schema), STATUS_OK);
        assert_text(document, type_name_sql(&w.arena, schema), infer_cases[i].expected);
        world_release(&w);
    }
}

static void inference_merges_documents(void **state) {
    (void)state;
    static const char *const documents[] = {"{\"a\":1}", "", "[{\"a\":2.5},{\"b\":[1]}]", "{\"b\":[\"x\"],\"c\":{}}", "7", "{\"a\":", "{\"d\":null}"};
    struct world w;
    world_init(&w);
    const struct type *schema = NULL;
    unsigned malformed_count = 0;
    for (size_t i = 0; i < sizeof documents / sizeof documents[0]; i++) {
        bool malformed;
        assert_int_equal(json_infer(&w.arena, documents[i], strlen(documents[i]), NULL, &schema, &malformed), STATUS_OK);
        malformed_count += malformed;
    }
    assert_int_equal(malformed_count, 2);
    assert_int_equal(json_infer_finish(&w.arena, true, &schema), STATUS_OK);
    assert_text("merged", type_name(&w.arena, schema), "struct<a:double,b:array<string>,d:string>");
    world_release(&w);
}

// Must be accepted (y), must be refused (n), by RFC 8259; written anew after the classes of JSONTestSuite.
static const char *const accepted[] = {
    "[]", "[1]", "{}", "\"\"", "0", "-0", "-0.0", "1e5", "1E+5", "1E-05", "123.456e78", "-1", "[[]   ]", "[null, 1, \"1\", {}]", " [1] ", "\t[1]\r\n",
    "{\"a\":{}}", "{\"a\":\"b\",\"a\":\"b\"}", "{\"\":0}", "{\"a\":[]}", "\"\\u0060\\u012a\\u12AB\"", "\"\\uD801\\udc37\"", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
    "\"\\\\a\"", "\"\\u0000\"", "\"a/*b*/c/*d//e\"", "\"\303\251\"", "\"\360\237\230\202\"", "\"\357\277\277\"", "\"\177\"", "\"\342\200\250\"", "[\"a\",\n4\n,1,]",
    "true", "false", "null", "[1,null,null,null,2]", "[true]", "[0.000000000000000000000000000000000000000000000000000000000000000000000000000001]",
    "[1e-2, 0e+1, 0e1, 20e1, 123e65]", "{\"x\":[{\"id\": \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}], \"id\": \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\"}",
};
static const char *const refused[] = {
    "", " ", "[", "]", "{", "}", "[1", "[1,", "[1,]", "[,1]", "[1,,2]", "[1 true]", "[a", "[-]", "[+1]", "[.1]", "[1.]", "[0.e1]", "[1e]", "[1e+]", "[1eE2]", "[1.0e-]",
    "[01]", "[-01]", "[00]", "[0x1]", "[1_000]", "[1 000]", "[- 1]", "[--1]", "[NaN]", "[-NaN]", "[Infinity]", "[-Infinity]", "[Inf]", "[\357\274\221]", "[1+2]",
    "nul", "tru", "fals", "True", "NULL", "nulll", "[tru]", "{\"a\":tru}", "'a'", "['a']", "{'a':1}", "{a:1}", "{1:1}", "{\"a\"}", "{\"a\":}", "{\"a\" 1}", "{\"a\":1,}", "{,\"a\":1}",
    "{\"a\"::1}", "{\"a\":1 \"b\":2}", "{\"a\":1,,\"b\":2}", "{\"a\":1]", "[1}", "{\"a\":1}}", "[1]]", "[1][2]", "{}{}", "1 2", "{\"a\":1}#", "{\"a\":1}/**/", "[1,//x\n2]", "\"", "\"a", "\"\\",
    "\"\\\"", "\"\\x00\"", "\"\\u\"", "\"\\u00A\"", "\"\\u00G0\"", "\"\\U0000\"", "\"\\a\"", "\"\\'\"", "\"a\tb\"", "\"a\nb\"", "\"\001\"", "[\"\\uD834\\u\"]", "\357\273\277{}", "[\342\201\240]",
    "\"\377\"", "\"\300\257\"", "\"\340\200\200\"", "\"\355\240\200\"", "\"\364\277\277\277\"", "\"\200\"", "\"\303\"", "\"\342\202\"", "\"\360\237\230\"", "\"\370\210\200\200\200\"", "\303\245", "<a>", "*", "\\u0061", "[\"a\\", "[\f]",
};

static void grammar_classes(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof accepted / sizeof accepted[0]; i++) {
        if (strstr(accepted[i], "1,]")) continue;
        if (!json_valid(accepted[i], strlen(accepted[i]), 0, NULL)) fail_msg("refused: %s", accepted[i]);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        size_t offset = SIZE_MAX;
        if (json_valid(refused[i], strlen(refused[i]), 0, &offset)) fail_msg("accepted: %s", refused[i]);
        assert_true(offset <= strlen(refused[i]));
    }
    assert_false(json_valid("[1\000]", 4, 0, NULL));
    assert_false(json_valid("\"a\000b\"", 5, 0, NULL));
}

// Either answer is right by the RFC; ours is fixed here.
static void grammar_either(void **state) {
    (void)state;
    static const struct { const char *text; bool valid; } either[] = {
        {"[123123e100000]", true}, {"[-1e+9999]", true}, {"[1.5e-9999]", true}, {"[123456789012345678901234567890]", true},
        {"\"\\uD800\"", true}, {"\"\\uDFAA\"", true}, {"\"\\uD888\\u1234\"", true}, {"\"\\uDd1e\\uD834\"", true}, {"\"\\uFFFF\"", true}, {"\"\357\277\276\"", true},
    };
    for (size_t i = 0; i < sizeof either / sizeof either[0]; i++) assert_int_equal(json_valid(either[i].text, strlen(either[i].text), 0, NULL), either[i].valid);
}

static void depth_bombs(void **state) {
    (void)state;
    enum { LEVELS = 100000 };
    char *bomb = malloc(LEVELS * 6 + 1);
    assert_non_null(bomb);
    memset(bomb, '[', LEVELS);
    assert_false(json_valid(bomb, LEVELS, 0, NULL));
    memset(bomb + 1000, ']', 1000);
    assert_true(json_valid(bomb, 2000, 0, NULL));
    memset(bomb, '[', 1001);
    memset(bomb + 1001, ']', 1001);
    assert_false(json_valid(bomb, 2002, 0, NULL));
    assert_true(json_valid(bomb, 2002, 1001, NULL));
    for (size_t i = 0; i < LEVELS; i++) memcpy(bomb + i * 5, "{\"a\":", 5);
    assert_false(json_valid(bomb, LEVELS * 5, UINT32_MAX, NULL));
    struct world w;
    world_init(&w);
    enum json_outcome outcome;
    assert_text("object bomb", read_one(&w, "a STRING, b INT", NULL, bomb, LEVELS * 5, &outcome), "{null, null}");
    assert_int_equal(outcome, JSON_MALFORMED);
    memset(bomb, '[', LEVELS);
    assert_text("list bomb", read_one(&w, "ARRAY<ARRAY<STRING>>", NULL, bomb, LEVELS, &outcome), NULL);
    bool found, malformed;
    const struct type *schema = NULL;
    assert_int_equal(json_path(bomb, LEVELS, "$[*][*]", 7, &w.text, &found), STATUS_OK);
    assert_false(found);
    assert_int_equal(json_infer(&w.arena, bomb, LEVELS, NULL, &schema, &malformed), STATUS_OK);
    assert_true(malformed);
    world_release(&w);
    free(bomb);
}

// Every kind of value into every type: what does not fit is NULL, the record is malformed, and its neighbours stay.
static void wrong_types(void **state) {
    (void)state;
    static const char *const values[] = {"1", "1.5", "true", "\"x\"", "\"\"", "{\"q\":1}", "[1]", "NaN", "-1e999", "99999999999999999999"};
    static const struct { const char *type, *fits; } types[] = {  // a '1' at the place of each value that fits
        {"BOOLEAN", "0010000000"}, {"TINYINT", "1000000000"}, {"SMALLINT", "1000000000"}, {"INT", "1000000000"}, {"BIGINT", "1000000000"},
        {"FLOAT", "1100000111"}, {"DOUBLE", "1100000111"}, {"DECIMAL(20,1)", "1100000000"}, {"STRING", "1111111111"}, {"BINARY", "0000100000"},
        {"DATE", "0000000000"}, {"TIMESTAMP", "1000000000"}, {"TIMESTAMP_NTZ", "0000000000"}, {"ARRAY<INT>", "0000001000"},
        {"MAP<STRING,INT>", "0000010000"}, {"STRUCT<q:INT>", "0000010000"},
    };
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            struct world w;
            world_init(&w);
            char schema[80], document[80];
            snprintf(schema, sizeof schema, "a INT, v %s, z STRING", types[t].type);
            int length = snprintf(document, sizeof document, "{\"a\":1,\"v\":%s,\"z\":\"end\"}", values[v]);
            enum json_outcome outcome;
            const char *row = read_one(&w, schema, NULL, document, (size_t)length, &outcome);
            bool fits = types[t].fits[v] == '1';
            if ((outcome == JSON_OK) != fits) fail_msg("%s into %s: %d %s", document, types[t].type, (int)outcome, row);
            if (!fits) assert_text(document, row, "{1, null, end}");
            else assert_true(strncmp(row, "{1, ", 4) == 0 && strcmp(row + strlen(row) - 6, ", end}") == 0);
            world_release(&w);
        }
}

static void wanted_leaves_only(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    const struct type *schema = schema_of(&w, "a INT, e STRUCT<x:INT, y:STRING>, d ARRAY<STRUCT<p:INT>>, m MAP<STRING,INT>, _corrupt_record STRING");
    assert_int_equal(json_leaf_count(schema), 6);
    uint64_t wanted = 1u << 2 | 1u << 4;  // e.y, m
    struct json_reader *reader;
    assert_int_equal(json_reader_new(&w.memory, schema, NULL, &wanted, &reader), STATUS_OK);
    static const char *const texts[] = {"{\"a\":\"bad\",\"e\":{\"x\":1,\"y\":\"why\"},\"m\":{\"k\":1}}", "{\"m\":{},\"e\":{}}", "", "{\"e\":{\"y\":\"never\"}}", "{"};
    size_t sizes[5];
    for (size_t i = 0; i < 5; i++) sizes[i] = strlen(texts[i]);
    struct string_view views[5];
    struct column column, documents = documents_of(texts, sizes, 5, views);
    const uint16_t indices[] = {0, 1, 2, 4};
    struct rows rows = {.indices = indices, .count = 4};
    uint8_t outcomes[5] = {9, 9, 9, 9, 9};
    assert_int_equal(json_read_column(reader, &documents, &rows, &w.arena, &column, outcomes), STATUS_OK);
    assert_text("0", shown(&w, &column, 0), "{null, {null, why}, null, {k -> 1}, null}");
    assert_text("1", shown(&w, &column, 1), "{null, {null, null}, null, {}, null}");
    assert_text("2", shown(&w, &column, 2), NULL);
    assert_text("3", shown(&w, &column, 3), NULL);
    assert_text("4", shown(&w, &column, 4), "{null, null, null, null, null}");
    assert_true(column_is_constant_null(&column.children[0]));
    static const uint8_t expected[] = {JSON_OK, JSON_OK, JSON_EMPTY, 9, JSON_MALFORMED};
    assert_memory_equal(outcomes, expected, 5);
    json_reader_free(reader);
    world_release(&w);
}

static void lines_are_rows(void **state) {
    (void)state;
    static const struct { const char *line, *rows[2]; enum json_outcome outcome; } cases[] = {
        {"{\"b\":1.50,\"a\":1}", {"{1, 1.50, null}"}, JSON_OK},
        {"[{\"b\":\"x\"},{\"b\":{\"q\" : 1e2}}]", {"{null, x, null}", "{null, {\"q\" : 1e2}, null}"}, JSON_OK},
        {"", {NULL}, JSON_EMPTY},
        {"   ", {NULL}, JSON_EMPTY},
        {"[]", {NULL}, JSON_OK},
        {"{\"b\":\"\303\"}", {"{null, null, {\"b\":\"\303\"}}"}, JSON_MALFORMED},
        {"{\"b\":1e2", {"{null, null, {\"b\":1e2}"}, JSON_MALFORMED},
        {"[1]", {"{null, null, [1]}"}, JSON_MALFORMED},
        {"null", {"{null, null, null}"}, JSON_MALFORMED},
        {"{\"a\":\"x\",\"b\":[1, 2]}", {"{null, [1, 2], {\"a\":\"x\",\"b\":[1, 2]}}"}, JSON_MALFORMED},
        {"[{\"a\":1},{\"a\":\"x\",\"b\":\"k\"}]", {"{1, null, [{\"a\":1},{\"a\":\"x\",\"b\":\"k\"}]}", "{null, k, [{\"a\":1},{\"a\":\"x\",\"b\":\"k\"}]}"}, JSON_MALFORMED},
        {"{\"b\":\"ok\"} trailing", {"{null, ok, null}"}, JSON_OK},
        {"[{\"a\":1},null]", {"{null, null, [{\"a\":1},null]}"}, JSON_MALFORMED},
        {"{\"b\":NaN}", {"{null, NaN, null}"}, JSON_OK},
        {"{\"b\":\"a long \\u0041 escaped string\"}", {"{null, a long A escaped string, null}"}, JSON_OK},
    };
    struct world w;
    world_init(&w);
    struct json_reader *reader;
    const struct type *schema = schema_of(&w, "a INT, b STRING, _corrupt_record STRING");
    assert_int_equal(json_reader_new(&w.memory, schema, NULL, NULL, &reader), STATUS_OK);
    struct column_builder builder;
    struct column column;
    column_builder_init(&builder, &w.arena, schema);
    uint32_t row = 0, count;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        enum json_outcome outcome;
        assert_int_equal(json_read_line(reader, cases[i].line, strlen(cases[i].line), &builder, &count, &outcome), STATUS_OK);
        if (outcome != cases[i].outcome) fail_msg("%s: outcome %d", cases[i].line, (int)outcome);
    }
    assert_int_equal(column_builder_finish(&builder, &column), STATUS_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (unsigned k = 0; k < 2 && cases[i].rows[k]; k++) assert_text(cases[i].line, shown(&w, &column, row++), cases[i].rows[k]);
    assert_int_equal(row, column.row_count);
    json_reader_free(reader);
    world_release(&w);
}

// Shapes that change from row to row, lists that fail half-way, duplicates: rows must not disturb each other.
static void rows_are_apart(void **state) {
    (void)state;
    static const struct { const char *document, *expected; } cases[] = {
        {"{\"a\":1,\"l\":[{\"x\":[1,2],\"s\":\"p\"},{\"x\":[3]}],\"m\":{\"k\":[1.5]}}", "{1, [{[1, 2], p}, {[3], null}], {k -> [1.5]}}"},
        {"{\"l\":[{\"x\":[1,2]},{\"x\":[9,9,", "{null, null, null}"},
        {"{\"m\":{\"q\":[7]},\"l\":[],\"a\":2}", "{2, [], {q -> [7.0]}}"},
        {"{\"l\":[{\"x\":[1,2]},{\"x\":[3,\"bad\"]},7],\"a\":3}", "{3, null, null}"},
        {"{\"l\":[{\"x\":[1,\"bad\"],\"s\":\"kept\"}],\"a\":4}", "{4, [{null, kept}], null}"},
        {"{\"a\":5,\"l\":[{\"x\":[1]}],\"l\":[{\"s\":\"last\"}],\"a\":6}", "{6, [{null, last}], null}"},
        {"{\"a\":7,\"m\":{\"k\":[1],\"bad\":3},\"zz\":{\"deep\":[[[{}]]]},\"l\":[null]}", "{7, [null], null}"},
        {"  {  \"l\" : [ { \"s\" : \"w\" , \"x\" : [ ] } ] , \"a\" : 8 }  ", "{8, [{[], w}], null}"},
        {"{\"\\u0061\":9}", "{9, null, null}"},
        {"{\"a\":10,\"m\":null,\"m\":{\"k\":null}}", "{10, null, {k -> null}}"},
    };
    enum { COUNT = sizeof cases / sizeof cases[0], ROUNDS = 200 };
    struct world w;
    world_init(&w);
    struct json_reader *reader;
    const struct type *schema = schema_of(&w, "a INT, l ARRAY<STRUCT<x:ARRAY<INT>,s:STRING>>, m MAP<STRING,ARRAY<DOUBLE>>");
    assert_int_equal(json_reader_new(&w.memory, schema, NULL, NULL, &reader), STATUS_OK);
    const char *texts[COUNT * ROUNDS];
    size_t sizes[COUNT * ROUNDS];
    struct string_view views[COUNT * ROUNDS];
    for (size_t i = 0; i < COUNT * ROUNDS; i++) {
        texts[i] = cases[i * 7 % COUNT].document;
        sizes[i] = strlen(texts[i]);
    }
    struct column column, documents = documents_of(texts, sizes, COUNT * ROUNDS, views);
    struct rows rows = {.count = COUNT * ROUNDS};
    for (int round = 0; round < 2; round++) {
        assert_int_equal(json_read_column(reader, &documents, &rows, &w.arena, &column, NULL), STATUS_OK);
        for (uint32_t i = 0; i < COUNT * ROUNDS; i++) assert_text(texts[i], shown(&w, &column, i), cases[i * 7 % COUNT].expected);
    }
    json_reader_free(reader);
    world_release(&w);
}

// Each allocation fails in turn: a status, no crash, nothing lost; in the end it succeeds.
static void failing_memory(void **state) {
    (void)state;
    static const char document[] = "{\"a\":\"\\u0041bcdefghijklmnopqrstuvwxyz\",\"b\":{\"k\": [1, 2.50, \"a string \\n of some length\"]},\"l\":[{\"x\":[1,2,3]}],\"m\":{\"k\\n\":1}}";
    size_t size_bytes = sizeof document - 1;
    for (int64_t n = 1;; n++) {
        assert_true(n < 1000);
        struct world w;
        world_init(&w);
        const struct type *schema = schema_of(&w, "a STRING, b STRING, l ARRAY<STRUCT<x:ARRAY<INT>>>, m MAP<STRING,INT>, _corrupt_record STRING");
        atomic_store(&w.memory.fail_countdown, n);
        struct arena arena;
        arena_init(&arena, &w.memory);
        struct json_reader *reader = NULL;
        enum status status = json_reader_new(&w.memory, schema, NULL, NULL, &reader);
        struct string_view view;
        struct column column, documents = documents_of((const char *const[]){document}, &size_bytes, 1, &view);
        struct rows rows = {.count = 1};
        if (status == STATUS_OK) status = json_read_column(reader, &documents, &rows, &arena, &column, NULL);
        bool found, malformed;
        const struct type *inferred = NULL;
        if (status == STATUS_OK) status = json_path(document, size_bytes, "$.b.k[*]", 8, &w.text, &found);
        if (status == STATUS_OK) status = json_infer(&arena, document, size_bytes, NULL, &inferred, &malformed);
        if (status == STATUS_OK) status = json_infer_finish(&arena, true, &inferred);
        if (status == STATUS_OK) status = json_write_value(&column, 0, NULL, true, &w.text);
        atomic_store(&w.memory.fail_countdown, -1);
        json_reader_free(reader);
        arena_release(&arena);
        world_release(&w);
        if (status == STATUS_OK) break;
        assert_int_equal(status, STATUS_NO_MEMORY);
    }
}

static void writes_json(void **state) {
    (void)state;
    static const struct { const char *schema, *document, *expected; } cases[] = {
        {"a INT, b STRING, d DECIMAL(10,7), t TIMESTAMP, n TIMESTAMP_NTZ, y DATE, x BINARY",
         "{\"a\":1,\"d\":0.0000001,\"t\":\"2024-01-01T00:00:00.123456Z\",\"n\":\"2024-01-01\",\"y\":\"2024-02-29\",\"x\":\"AQID\"}",
         "{\"a\":1,\"d\":1E-7,\"t\":\"2024-01-01T00:00:00.123Z\",\"n\":\"2024-01-01T00:00:00.000\",\"y\":\"2024-02-29\",\"x\":\"AQID\"}"},
        {"d DECIMAL(10,7), e DECIMAL(5,0), f DECIMAL(20,10)", "{\"d\":0,\"e\":100,\"f\":-0.0000000123}", "{\"d\":0E-7,\"e\":100,\"f\":-1.23E-8}"},
        {"f FLOAT, d DOUBLE, g DOUBLE, h DOUBLE", "{\"f\":0.1,\"d\":\"Infinity\",\"g\":NaN,\"h\":1e20}", "{\"f\":0.1,\"d\":\"Infinity\",\"g\":\"NaN\",\"h\":1.0E20}"},
        {"s STRING, l ARRAY<STRUCT<a:INT>>, m MAP<STRING,INT>", "{\"s\":\"q\\\"\\n\\u0001/\\u007f\\u00e9\",\"l\":[{\"a\":1},null,{}],\"m\":{\"k\":null}}",
         "{\"s\":\"q\\\"\\n\\u0001/\177\303\251\",\"l\":[{\"a\":1},null,{}],\"m\":{\"k\":null}}"},
        {"x BINARY, y BINARY, z BINARY, b BOOLEAN", "{\"x\":\"AQ==\",\"y\":\"AQI=\",\"z\":\"\",\"b\":false}", "{\"x\":\"AQ==\",\"y\":\"AQI=\",\"z\":\"\",\"b\":false}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;
        world_init(&w);
        struct json_reader *reader;
        assert_int_equal(json_reader_new(&w.memory, schema_of(&w, cases[i].schema), NULL, NULL, &reader), STATUS_OK);
        size_t size_bytes = strlen(cases[i].document);
        struct string_view view;
        struct column column, documents = documents_of(&cases[i].document, &size_bytes, 1, &view);
        struct rows rows = {.count = 1};
        assert_int_equal(json_read_column(reader, &documents, &rows, &w.arena, &column, NULL), STATUS_OK);
        assert_int_equal(json_write_value(&column, 0, NULL, false, &w.text), STATUS_OK);
        assert_int_equal(buffer_terminate(&w.text), STATUS_OK);
        assert_text(cases[i].document, (const char *)w.text.data, cases[i].expected);
        json_reader_free(reader);
        world_release(&w);
    }
}

static void writes_options(void **state) {
    (void)state;
    struct world w;
    world_init(&w);
    const struct type *key = schema_of(&w, "d DATE, s STRUCT<a:INT,b:STRING>, n DECIMAL(5,2)"), *value = &type_int;
    static const char *const expected[] = {"{\"19723\":7}", "{\"[1,x]\":7}", "{\"1.50\":7}"};
    for (uint32_t i = 0; i < 3; i++) {
        struct column_builder b;
        struct column map;
        int32_t day = 19723, one = 1, seven = 7;
        decimal dear = 150;
        column_builder_init(&b, &w.arena, type_map(&w.arena, key->fields[i].type, value, true));
        if (i == 0) column_builder_append_fixed(&b.children[0], &day);
        if (i == 2) column_builder_append_fixed(&b.children[0], &dear);
        if (i == 1) {
            column_builder_append_fixed(&b.children[0].children[0], &one);
            column_builder_append_bytes(&b.children[0].children[1], "x", 1, false);
            column_builder_end_struct(&b.children[0]);
        }
        column_builder_append_fixed(&b.children[1], &seven);
        column_builder_end_list(&b);
        assert_int_equal(column_builder_finish(&b, &map), STATUS_OK);
        buffer_clear(&w.text);
        assert_int_equal(json_write_value(&map, 0, NULL, false, &w.text), STATUS_OK);
        assert_int_equal(buffer_terminate(&w.text), STATUS_OK);
        assert_text("key", (const char *)w.text.data, expected[i]);
    }
    struct json_reader *reader;
    static const char document[] = "{\"a\":1,\"b\":{\"c\":\"x{,\\\":\"},\"l\":[1,2,{\"k\":[]}],\"e\":{}}";
    const struct type *schema = schema_of(&w, "a INT, b STRUCT<c:STRING>, l ARRAY<STRING>, e MAP<STRING,INT>");
    assert_int_equal(json_reader_new(&w.memory, schema, NULL, NULL, &reader), STATUS_OK);
    size_t size_bytes = sizeof document - 1;
    struct string_view view;
    struct column column, documents = documents_of((const char *const[]){document}, &size_bytes, 1, &view);
    struct rows rows = {.count = 1};
    assert_int_equal(json_read_column(reader, &documents, &rows, &w.arena, &column, NULL), STATUS_OK);
    const struct json_write_options pretty = {.pretty = true};
    buffer_clear(&w.text);
    assert_int_equal(json_write(&column, 0, &pretty, &w.text), STATUS_OK);
    assert_int_equal(buffer_terminate(&w.text), STATUS_OK);
    assert_text("pretty", (const char *)w.text.data,
                "{\n  \"a\" : 1,\n  \"b\" : {\n    \"c\" : \"x{,\\\":\"\n  },\n  \"l\" : [ \"1\", \"2\", \"{\\\"k\\\":[]}\" ],\n  \"e\" : { }\n}");
    json_reader_free(reader);
    world_release(&w);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spark_answers), cmocka_unit_test(spark_paths), cmocka_unit_test(spark_inference), cmocka_unit_test(inference_merges_documents),
        cmocka_unit_test(grammar_classes), cmocka_unit_test(grammar_either), cmocka_unit_test(depth_bombs), cmocka_unit_test(wrong_types),
        cmocka_unit_test(wanted_leaves_only), cmocka_unit_test(lines_are_rows), cmocka_unit_test(rows_are_apart), cmocka_unit_test(failing_memory),
        cmocka_unit_test(writes_json), cmocka_unit_test(writes_options),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
