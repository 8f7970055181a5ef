// SPDX-License-Identifier: Apache-2.0
// fuzz_json.c: libFuzzer target of json/: any bytes through every entrance, none may crash, read outside, or lose memory.
//
// The first byte chooses options, the rest is the document. Checked beside: a document that json_valid takes is never malformed for a
// reader that wants nothing of it but one object; what the reader made is written back as valid JSON; all scanners agree.
#include "column/type_text.h"
#include "json/json.h"
#include "json/scan.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(bool good) {
    if (!good) abort();
}

static const char rich[] =
    "a INT, b STRING, c DOUBLE, d ARRAY<INT>, e STRUCT<x:INT,y:STRUCT<z:BIGINT,w:ARRAY<ARRAY<STRING>>>>, f FLOAT, g DECIMAL(20,5), h BINARY, i DATE, "
    "j TIMESTAMP, k TIMESTAMP_NTZ, l BOOLEAN, m MAP<STRING,STRUCT<p:INT,q:ARRAY<TINYINT>>>, n ARRAY<STRUCT<s:STRING,t:MAP<STRING,STRING>>>, o SMALLINT, _corrupt_record STRING";

static void read_documents(struct memory *memory, struct arena *arena, const char *schema_text, const struct json_options *options, const char *text,
                           size_t size_bytes) {
    struct error error;
    const struct type *schema;
    struct json_reader *reader;
    check(type_parse_schema(arena, schema_text, strlen(schema_text), &schema, &error) == STATUS_OK);
    check(json_reader_new(memory, schema, options, NULL, &reader) == STATUS_OK);
    struct string_view views[3] = {string_view_of(text, size_bytes), string_view_of(text, size_bytes / 2), string_view_of(text, size_bytes)};
    struct column column, documents = {.type = &type_string, .row_count = 3, .values = views};
    struct rows rows = {.count = 3};
    uint8_t outcomes[3];
    struct buffer first, third;
    buffer_init(&first, memory);
    buffer_init(&third, memory);
    check(json_read_column(reader, &documents, &rows, arena, &column, outcomes) == STATUS_OK);
    check(outcomes[0] == outcomes[2]);
    check(json_write_value(&column, 0, NULL, true, &first) == STATUS_OK && json_write_value(&column, 2, NULL, true, &third) == STATUS_OK);
    // The same document gives the same row, whatever stood between; and what is written is JSON.
    check(first.size_bytes == third.size_bytes && memcmp(first.data, third.data, first.size_bytes) == 0);
    if (!options->corrupt_record_column) check(json_valid((char *)first.data, first.size_bytes, 8000, NULL));
    buffer_release(&first);
    buffer_release(&third);
    if (schema->id == TYPE_STRUCT) {
        struct column_builder builder;
        uint32_t count;
        enum json_outcome outcome;
        column_builder_init(&builder, arena, schema);
        check(json_read_line(reader, text, size_bytes, &builder, &count, &outcome) == STATUS_OK);
        check(column_builder_finish(&builder, &column) == STATUS_OK && column.row_count == count);
    }
    json_reader_free(reader);
}

static void skip_documents(const struct json_options *options, const char *text, size_t size_bytes) {
    const struct json_scanner *scanners[8];
    size_t count = json_scanner_list(scanners, 8), end = 0;
    bool valid = false;
    for (size_t i = 0; i < count; i++) {
        struct json_cursor c;
        json_cursor_init(&c, text, size_bytes, json_flags_of(options), 0, scanners[i]);
        bool here = json_skip_value(&c);
        if (i) check(here == valid && (!valid || (size_t)(c.next - c.begin) == end));
        valid = here;
        end = (size_t)(c.next - c.begin);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    if (size_bytes == 0) return 0;
    uint8_t choice = data[0];
    size_bytes--;
    char *text = malloc(size_bytes ? size_bytes : 1);
    if (!text) return 0;
    memcpy(text, data + 1, size_bytes);
    struct memory memory;
    struct arena arena;
    struct json_options options;
    memory_init(&memory, "fuzz", NULL, 0);
    arena_init(&arena, &memory);
    json_options_default(&options);
    options.allow_comments = choice & 1;
    options.allow_unquoted_field_names = choice & 2;
    options.allow_numeric_leading_zeros = choice & 4;
    options.allow_backslash_escaping_any = choice & 8;
    options.allow_unquoted_control_characters = choice & 16;
    if (choice & 32) options.corrupt_record_column = NULL;
    if (choice & 64) options.depth_limit = 5;
    read_documents(&memory, &arena, rich, &options, text, size_bytes);
    read_documents(&memory, &arena, "ARRAY<STRUCT<a:INT,b:ARRAY<STRING>>>", &options, text, size_bytes);
    read_documents(&memory, &arena, "MAP<STRING,MAP<STRING,DOUBLE>>", &options, text, size_bytes);
    skip_documents(&options, text, size_bytes);

    size_t offset;
    bool valid = json_valid(text, size_bytes, 0, &offset), malformed, found;
    const struct type *schema = NULL;
    check(json_infer(&arena, text, size_bytes, &options, &schema, &malformed) == STATUS_OK);
    check(json_infer_finish(&arena, choice & 128, &schema) == STATUS_OK && schema);
    struct buffer out;
    buffer_init(&out, &memory);
    check(json_path(text, size_bytes, "$", 1, &out, &found) == STATUS_OK);
    if (valid) check(found);
    const char *colon = memchr(text, ':', size_bytes);
    static const char *const paths[] = {"$.a[*].b", "$[*][*]", "$.e.y.w[*][0]", "$['a'][1]"};
    check(json_path(text, size_bytes, paths[choice % 4], strlen(paths[choice % 4]), &out, &found) == STATUS_OK);
    if (colon) check(json_path(colon + 1, size_bytes - (size_t)(colon + 1 - text), text, (size_t)(colon - text), &out, &found) == STATUS_OK);
    buffer_release(&out);
    arena_release(&arena);
    check(memory_used(&memory) == 0);
    free(text);
    return 0;
}
