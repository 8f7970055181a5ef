// SPDX-License-Identifier: Apache-2.0
// json_outline_test.c: documents read along learnt outlines give what the walk gives, whatever is broken in them, with every scanner.
//
// The twin is a fresh reader for each document: it has learnt nothing, so it walks.
#include "base/random.h"
#include "json/reader.h"
#include "json_support.h"

static const char schema_text[] = "a STRING, n STRUCT<t:STRING,f:STRING,u:STRUCT<k:INT,v:STRING>>, i INT, s STRING, l ARRAY<INT>, m MAP<STRING,INT>, "
                                  "d TIMESTAMP, w STRUCT<x:BIGINT>, z BOOLEAN, b DOUBLE, y STRING";

enum { DOCUMENTS = 400, DOCUMENT_BYTES = 4096 };

static const char *const scalars[] = {"\"\"", "\"abc\"", "\"Jos\xc3\xa9\"", "\"a\\nb\\u00e9\"", "\"sixteen bytes!!!\"", "null", "1", "-0", "17918", "1.50", "true",
                                      "[1,2]", "{}", "{\"q\":1}", "{\"x\":1,\"x\":2}", "12 ", "1234567890123456789",
                                      "\"2024-01-31T10:20:30.5Z\"", "'x'", "\"bad \xff utf\"", "1e400", "NaN", "01", "\"tab\there\"",
                                      "\"0123456789012345678901234567890123456789012345678901234567890123456789\""};

// Often null, which fits every type: only documents whose every value fits are learnt.
static const char *scalar(struct random *r) { return random_below(r, 4) ? "null" : scalars[random_below(r, sizeof scalars / sizeof scalars[0])]; }

static size_t make_document(struct random *r, unsigned shape, char *out) {
    const char *const forms[] = {
        "{\"a\":%s,\"n\":{\"t\":%s,\"f\":%s,\"u\":{\"k\":%s,\"v\":%s},\"unwanted\":%s},\"i\":%s,\"p\":{\"large\":%s,\"small\":%s},\"d\":%s,\"y\":%s}",
        "{ \"a\" : %s , \"n\" : null, \"s\":%s,\"l\":%s,\"m\":%s,\"w\":{\"x\":%s},\"z\":%s,\"b\":%s,\"deep\":{\"a\":{\"b\":[%s,%s]}},\"d\":%s,\"y\":%s}",
        "{\"a\":%s,\"a\":%s,\"w\":{\"x\":%s},\"w\":{\"q\":%s,\"r\":%s},\"y\":%s,\"i\":%s,\"s\":%s,\"b\":%s,\"l\":%s,\"z\":%s}",
        ("{\"a key that is longer than any outline's step, so that it takes two of them or three\":{\"and another key of the same kind within it\":%s},"
         "\"a\":%s,\"s\":%s,\"i\":%s,\"n\":{\"t\":%s,\"f\":%s,\"u\":%s},\"k\":%s,\"l\":%s,\"m\":%s,\"y\":%s}  trailing"),
    };
    const char *v[11];
    for (size_t i = 0; i < 11; i++) v[i] = scalar(r);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    int length = snprintf(out, DOCUMENT_BYTES, forms[shape], v[0], v[1], v[2], v[3], v[4], v[5], v[6], v[7], v[8], v[9], v[10]);
#pragma GCC diagnostic pop
    size_t size_bytes = (size_t)length;
    if (random_below(r, 4) == 0) size_bytes = random_below(r, (uint32_t)size_bytes + 1);
    if (random_below(r, 3) == 0 && size_bytes) out[random_below(r, (uint32_t)size_bytes)] = "\"\\{}[]:, n1\x01\xc3/"[random_below(r, 14)];
    return size_bytes;
}

static enum json_outcome read_alone(struct world *w, const struct type *schema, const uint64_t *wanted, const struct json_scanner *scanner, bool exact,
                                    const struct string_view *document, struct buffer *text) {
    struct json_reader *reader;
    struct column column, documents = {.type = &type_string, .row_count = 1, .values = (void *)(uintptr_t)document};
    uint8_t outcome;
    assert_int_equal(json_reader_new(&w->memory, schema, NULL, wanted, &reader), STATUS_OK);
    reader->cursor.scanner = scanner;
    if (exact) {
        uint32_t count;
        enum json_outcome of_line;
        assert_int_equal(json_rows_begin(reader, &w->arena, 1), STATUS_OK);
        assert_int_equal(json_rows_add(reader, string_view_data(document), document->size_bytes, &count, &of_line), STATUS_OK);
        assert_int_equal(json_rows_finish(reader, &column), STATUS_OK);
        outcome = (uint8_t)of_line;
        if (!count) put(text, "none", 4);
    } else {
        assert_int_equal(json_read_column(reader, &documents, &(struct rows){.count = 1}, &w->arena, &column, &outcome), STATUS_OK);
    }
    if (column.row_count) show(text, &column, 0);
    json_reader_free(reader);
    return outcome;
}

// One run of documents through one reader, against a reader for each. Returns how many followed an outline.
static uint32_t compare_run(const struct json_scanner *scanner, bool exact, const uint64_t *wanted, uint64_t seed) {
    struct world w;
    struct random r;
    struct buffer expected, got;
    world_init(&w);
    random_seed(&r, seed);
    buffer_init(&expected, &w.memory);
    buffer_init(&got, &w.memory);
    const struct type *schema = schema_of(&w, schema_text);
    struct string_view views[DOCUMENTS];
    uint8_t outcomes[DOCUMENTS];
    char *kept[DOCUMENTS], text[DOCUMENT_BYTES];
    unsigned shapes = 1 + (unsigned)random_below(&r, 4);
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        size_t size_bytes = make_document(&r, (unsigned)random_below(&r, shapes), text);
        kept[i] = malloc(size_bytes ? size_bytes : 1);  // its own block, so that a sanitizer sees what is read behind it
        assert_non_null(kept[i]);
        memcpy(kept[i], text, size_bytes);
        views[i] = string_view_of(kept[i], size_bytes);
    }
    struct json_reader *reader;
    struct column column, documents = {.type = &type_string, .row_count = DOCUMENTS, .values = views};
    assert_int_equal(json_reader_new(&w.memory, schema, NULL, wanted, &reader), STATUS_OK);
    reader->cursor.scanner = scanner;
    uint32_t first_row[DOCUMENTS + 1] = {0}, count = 0;
    if (exact) {
        assert_int_equal(json_rows_begin(reader, &w.arena, DOCUMENTS), STATUS_OK);
        for (uint32_t i = 0; i < DOCUMENTS; i++) {
            enum json_outcome outcome;
            assert_int_equal(json_rows_add(reader, string_view_data(&views[i]), views[i].size_bytes, &count, &outcome), STATUS_OK);
            outcomes[i] = (uint8_t)outcome;
            first_row[i + 1] = first_row[i] + count;
        }
        assert_int_equal(json_rows_finish(reader, &column), STATUS_OK);
    } else {
        assert_int_equal(json_read_column(reader, &documents, &(struct rows){.count = DOCUMENTS}, &w.arena, &column, outcomes), STATUS_OK);
        for (uint32_t i = 0; i <= DOCUMENTS; i++) first_row[i] = i;
    }
    for (uint32_t i = 0; i < DOCUMENTS; i++) {
        buffer_clear(&expected);
        buffer_clear(&got);
        enum json_outcome outcome = read_alone(&w, schema, wanted, scanner, exact, &views[i], &expected);
        if (first_row[i] < first_row[i + 1]) show(&got, &column, first_row[i]);
        else put(&got, "none", 4);
        if (outcome != outcomes[i] || got.size_bytes != expected.size_bytes || memcmp(got.data, expected.data, got.size_bytes) != 0)
            fail_msg("seed %llu, %s, document %u: %.*s\n outcome %d, alone %d\n got   %.*s\n alone %.*s", (unsigned long long)seed, scanner->name, i,
                     (int)views[i].size_bytes, string_view_data(&views[i]), outcomes[i], outcome, (int)got.size_bytes, (char *)got.data,
                     (int)expected.size_bytes, (char *)expected.data);
    }
    uint32_t followed = reader->outlines.documents - reader->outlines.strayed;
    json_reader_free(reader);
    for (uint32_t i = 0; i < DOCUMENTS; i++) free(kept[i]);
    buffer_release(&expected);
    buffer_release(&got);
    world_release(&w);
    return followed;
}

static void outlines_agree_with_the_walk(void **state) {
    (void)state;
    const struct json_scanner *scanners[8];
    size_t count = json_scanner_list(scanners, 8);
    uint64_t some = 0x2d5, none = 0, followed = 0;
    const uint64_t *wanted[] = {NULL, &some, &none};
    for (uint64_t seed = 1; seed <= 24; seed++)
        for (size_t s = 0; s < count; s++) followed += compare_run(scanners[s], seed % 2, wanted[seed % 3], seed);
    assert_true(followed > 2000);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(outlines_agree_with_the_walk)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
