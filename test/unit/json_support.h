// SPDX-License-Identifier: Apache-2.0
// json_support.h: what the unit tests of json/ share: a world of memory and arena, reading one document, printing a value like Spark's
// CAST AS STRING (written here a second time, so that the tests do not lean on column/value.c).
#pragma once
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/number_text.h"
#include "column/type_text.h"
#include "json/json.h"

struct world {
    struct memory memory;
    struct arena arena;
    struct buffer text;
};

static inline void world_init(struct world *w) {
    memory_init(&w->memory, "test", NULL, 0);
    arena_init(&w->arena, &w->memory);
    buffer_init(&w->text, &w->memory);
}
static inline void world_release(struct world *w) {
    buffer_release(&w->text);
    arena_release(&w->arena);
    assert_int_equal(memory_used(&w->memory), 0);
}

static inline const struct type *schema_of(struct world *w, const char *text) {
    const struct type *type = NULL;
    struct error error;
    enum status status = type_parse_schema(&w->arena, text, strlen(text), &type, &error);
    if (status != STATUS_OK) fail_msg("schema %s: %s", text, error.message);
    return type;
}

static inline struct column documents_of(const char *const *texts, const size_t *sizes, uint32_t count, struct string_view *views) {
    for (uint32_t i = 0; i < count; i++) views[i] = string_view_of(texts[i], sizes[i]);
    return (struct column){.type = &type_string, .form = COLUMN_FLAT, .row_count = count, .values = views};
}

static inline void show(struct buffer *out, const struct column *c, uint32_t row);

static inline void put(struct buffer *out, const char *text, size_t size_bytes) { assert_int_equal(buffer_append(out, text, size_bytes), STATUS_OK); }

static inline void show_list(struct buffer *out, const struct column *c, uint32_t row, bool map) {
    put(out, map ? "{" : "[", 1);
    for (int32_t i = column_list_begin(c, row); i < column_list_end(c, row); i++) {
        if (i > column_list_begin(c, row)) put(out, ", ", 2);
        show(out, &c->children[0], (uint32_t)i);
        if (map) put(out, " -> ", 4), show(out, &c->children[1], (uint32_t)i);
    }
    put(out, map ? "}" : "]", 1);
}

static inline void show(struct buffer *out, const struct column *c, uint32_t row) {
    char text[64];
    if (!column_is_valid(c, row)) {
        put(out, "null", 4);
        return;
    }
    switch (c->type->id) {
    case TYPE_BOOLEAN: put(out, column_bool(c, row) ? "true" : "false", column_bool(c, row) ? 4 : 5); return;
    case TYPE_TINYINT: put(out, text, print_int64(column_int8(c, row), text)); return;
    case TYPE_SMALLINT: put(out, text, print_int64(column_int16(c, row), text)); return;
    case TYPE_INT: put(out, text, print_int64(column_int32(c, row), text)); return;
    case TYPE_BIGINT: put(out, text, print_int64(column_int64(c, row), text)); return;
    case TYPE_FLOAT: put(out, text, print_float(column_float(c, row), text)); return;
    case TYPE_DOUBLE: put(out, text, print_double(column_double(c, row), text)); return;
    case TYPE_DECIMAL: put(out, text, decimal_print(column_decimal(c, row), c->type->scale, text)); return;
    case TYPE_STRING: case TYPE_BINARY: put(out, string_view_data(column_string(c, row)), column_string(c, row)->size_bytes); return;
    case TYPE_DATE: put(out, text, print_date(column_int32(c, row), text)); return;
    case TYPE_TIMESTAMP: case TYPE_TIMESTAMP_NTZ: put(out, text, print_timestamp(column_int64(c, row), NULL, text)); return;
    case TYPE_ARRAY: show_list(out, c, row, false); return;
    case TYPE_MAP: show_list(out, c, row, true); return;
    case TYPE_STRUCT:
        put(out, "{", 1);
        for (uint32_t i = 0; i < c->type->field_count; i++) {
            if (i) put(out, ", ", 2);
            show(out, &c->children[i], row);
        }
        put(out, "}", 1);
        return;
    default: fail_msg("type %d", (int)c->type->id);
    }
}

// The row as text, NULL if it is NULL; valid until the next call.
static inline const char *shown(struct world *w, const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return NULL;
    buffer_clear(&w->text);
    show(&w->text, c, row);
    assert_int_equal(buffer_terminate(&w->text), STATUS_OK);
    return (const char *)w->text.data;
}

static inline void assert_text(const char *what, const char *got, const char *expected) {
    if (!got && !expected) return;
    if (!got || !expected || strcmp(got, expected) != 0)
        fail_msg("%s\n   got      %s\n   expected %s", what, got ? got : "NULL", expected ? expected : "NULL");
}

// Reads one document anew with a reader of its own.
static inline const char *read_one(struct world *w, const char *schema, const struct json_options *options, const char *text, size_t size_bytes,
                                   enum json_outcome *outcome) {
    struct json_reader *reader;
    assert_int_equal(json_reader_new(&w->memory, schema_of(w, schema), options, NULL, &reader), STATUS_OK);
    // An exact copy on the heap, so that a sanitizer sees a read past its end.
    char *copy = malloc(size_bytes ? size_bytes : 1);
    assert_non_null(copy);
    memcpy(copy, text, size_bytes);
    struct string_view view;
    struct column column, documents = documents_of((const char *const[]){copy}, &size_bytes, 1, &view);
    struct rows rows = {.count = 1};
    uint8_t outcomes[1] = {0};
    assert_int_equal(json_read_column(reader, &documents, &rows, &w->arena, &column, outcomes), STATUS_OK);
    if (outcome) *outcome = (enum json_outcome)outcomes[0];
    const char *result = shown(w, &column, 0);
    free(copy);
    json_reader_free(reader);
    return result;
}
