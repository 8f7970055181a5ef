// SPDX-License-Identifier: Apache-2.0
// cql_roundtrip.c: see cql_roundtrip.h. A table per type: (id int PRIMARY KEY, v TYPE). A value is bound by the client's own writers; what the server
// gives back must be the same bytes, its readers must give the value that was bound, and the type the server names must be the one asked for.
#include "cql_roundtrip.h"
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef void (*bind_value)(struct cql_request *r);

struct type_case {
    const char *type;
    bind_value bind;
};

static void bind_ascii(struct cql_request *r) { cql_bind_bytes(r, "plain ~", 7); }
static void bind_empty(struct cql_request *r) { cql_bind_bytes(r, "", 0); }
static void bind_text(struct cql_request *r) { cql_bind_bytes(r, "héllo \xF0\x9F\x9A\x80", 11); }
static void bind_large(struct cql_request *r) {  // 1 MB: many segments
    size_t mark = cql_value_open(r);
    for (uint32_t i = 0; i < 1000000 / 4; i++) {
        uint32_t word = i * 2654435761u;
        word = (word & 0x1F1F1F1F) | 0x40404040;
        cql_append(r, &word, 4);
    }
    cql_value_close(r, mark);
}
static void bind_bigint_low(struct cql_request *r) { cql_bind_int64(r, INT64_MIN); }
static void bind_bigint_high(struct cql_request *r) { cql_bind_int64(r, INT64_MAX); }
static void bind_int_low(struct cql_request *r) { cql_bind_int32(r, INT32_MIN); }
static void bind_smallint(struct cql_request *r) { cql_bind_int16(r, INT16_MIN); }
static void bind_tinyint(struct cql_request *r) { cql_bind_int8(r, -128); }
static void bind_true(struct cql_request *r) { cql_bind_bool(r, true); }
static void bind_float(struct cql_request *r) { cql_bind_float(r, -FLT_MAX); }
static void bind_double(struct cql_request *r) { cql_bind_double(r, DBL_MIN); }
static void bind_nan(struct cql_request *r) { cql_bind_double(r, NAN); }
static void bind_decimal(struct cql_request *r) { cql_bind_decimal(r, -((decimal)1 << 120) - 7, 19); }
static void bind_decimal_zero(struct cql_request *r) { cql_bind_decimal(r, 0, -3); }
static void bind_varint(struct cql_request *r) { cql_bind_varint(r, ((decimal)1 << 126) + 12345); }
static void bind_varint_small(struct cql_request *r) { cql_bind_varint(r, -129); }
static void bind_blob(struct cql_request *r) { cql_bind_bytes(r, "\0\1\2\xFF", 4); }
static void bind_uuid(struct cql_request *r) { cql_bind_bytes(r, "\x12\x34\x56\x78\x12\x34\x42\x34\x92\x34\x12\x34\x56\x78\x9A\xBC", 16); }
static void bind_timeuuid(struct cql_request *r) { cql_bind_bytes(r, "\x12\x34\x56\x78\x12\x34\x12\x34\x92\x34\x12\x34\x56\x78\x9A\xBC", 16); }
static void bind_date(struct cql_request *r) { cql_bind_date(r, -719162); }
static void bind_date_low(struct cql_request *r) { cql_bind_date(r, INT32_MIN); }
static void bind_time(struct cql_request *r) { cql_bind_int64(r, INT64_C(86399999999999)); }
static void bind_timestamp(struct cql_request *r) { cql_bind_int64(r, INT64_C(-62135596800000)); }
static void bind_inet4(struct cql_request *r) { cql_bind_bytes(r, "\x7F\0\0\1", 4); }
static void bind_inet6(struct cql_request *r) { cql_bind_bytes(r, "\x20\1\x0D\xB8\0\0\0\0\0\0\0\0\0\0\0\1", 16); }
static void bind_duration(struct cql_request *r) { cql_bind_bytes(r, "\2\4\6", 3); }  // 1mo2d3ns
static void bind_list(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_append_count(r, 3);
    for (int32_t i = 1; i <= 3; i++) cql_bind_int32(r, i * 1000);
    cql_value_close(r, mark);
}
static void bind_set(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_append_count(r, 2);
    cql_bind_bytes(r, "a", 1);
    cql_bind_bytes(r, "bb", 2);
    cql_value_close(r, mark);
}
static void bind_map(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_append_count(r, 2);
    cql_bind_bytes(r, "a", 1);
    bind_list(r);
    cql_bind_bytes(r, "b", 1);
    bind_list(r);
    cql_value_close(r, mark);
}
static void bind_tuple(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_bind_int32(r, 7);
    cql_bind_null(r);
    cql_bind_double(r, 0.25);
    cql_value_close(r, mark);
}
static void bind_udt(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_bind_bytes(r, "Rue", 3);
    cql_bind_int32(r, 12);
    cql_value_close(r, mark);
}
static void bind_udts(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_append_count(r, 2);
    bind_udt(r);
    bind_udt(r);
    cql_value_close(r, mark);
}
static void bind_vector_fixed(struct cql_request *r, size_t element_bytes) {
    size_t mark = cql_value_open(r);
    for (uint8_t i = 0; i < 3 * element_bytes; i++) cql_append(r, &(uint8_t){(uint8_t)(i % element_bytes == 0 ? 0x3F : element_bytes == 1 ? 1 : i)}, 1);
    cql_value_close(r, mark);
}
static void bind_vector_4(struct cql_request *r) { bind_vector_fixed(r, 4); }
static void bind_vector_8(struct cql_request *r) { bind_vector_fixed(r, 8); }
static void bind_vector_uuid(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    for (int i = 0; i < 3; i++) cql_append(r, "\x12\x34\x56\x78\x12\x34\x42\x34\x92\x34\x12\x34\x56\x78\x9A\xBC", 16);
    cql_value_close(r, mark);
}
static void bind_vector_bool(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    cql_append(r, "\1\0\1", 3);
    cql_value_close(r, mark);
}
static void bind_vector_text(struct cql_request *r) {
    char text[300];
    memset(text, 'x', sizeof text);
    size_t mark = cql_value_open(r);
    cql_vector_bytes(r, "a", 1);
    cql_vector_bytes(r, "", 0);
    cql_vector_bytes(r, text, sizeof text);
    cql_value_close(r, mark);
}
static void bind_vector_varying(struct cql_request *r, size_t element_bytes) {
    size_t mark = cql_value_open(r);
    for (int i = 0; i < 3; i++) cql_vector_bytes(r, "\0\0\0\0\0\0\0\1", element_bytes);
    cql_value_close(r, mark);
}
static void bind_vector_v1(struct cql_request *r) { bind_vector_varying(r, 1); }
static void bind_vector_v2(struct cql_request *r) { bind_vector_varying(r, 2); }
static void bind_vector_v4(struct cql_request *r) { bind_vector_varying(r, 4); }
static void bind_vector_v8(struct cql_request *r) { bind_vector_varying(r, 8); }
static void bind_vector_vector(struct cql_request *r) {
    size_t mark = cql_value_open(r);
    for (int i = 0; i < 6; i++) cql_append(r, "\0\0\0\1", 4);
    cql_value_close(r, mark);
}
static void bind_vector_list(struct cql_request *r) {
    static const uint8_t list[] = {0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 9};
    size_t mark = cql_value_open(r);
    for (int i = 0; i < 2; i++) cql_vector_bytes(r, list, sizeof list);
    cql_value_close(r, mark);
}

static const struct type_case cases[] = {
    {"ascii", bind_ascii}, {"text", bind_empty}, {"text", bind_text}, {"text", bind_large}, {"bigint", bind_bigint_low}, {"bigint", bind_bigint_high},
    {"int", bind_int_low}, {"smallint", bind_smallint}, {"tinyint", bind_tinyint}, {"boolean", bind_true}, {"float", bind_float}, {"double", bind_double},
    {"double", bind_nan}, {"decimal", bind_decimal}, {"decimal", bind_decimal_zero}, {"varint", bind_varint}, {"varint", bind_varint_small},
    {"blob", bind_blob}, {"blob", bind_empty}, {"uuid", bind_uuid}, {"timeuuid", bind_timeuuid}, {"date", bind_date}, {"date", bind_date_low},
    {"time", bind_time}, {"timestamp", bind_timestamp}, {"inet", bind_inet4}, {"inet", bind_inet6}, {"duration", bind_duration},
    {"list<int>", bind_list}, {"frozen<list<int>>", bind_list}, {"set<text>", bind_set}, {"frozen<set<text>>", bind_set},
    {"map<text, frozen<list<int>>>", bind_map}, {"frozen<map<text, frozen<list<int>>>>", bind_map}, {"tuple<int, text, double>", bind_tuple},
    {"frozen<street>", bind_udt}, {"street", bind_udt}, {"frozen<list<frozen<street>>>", bind_udts}, {"vector<float, 3>", bind_vector_4},
    {"vector<int, 3>", bind_vector_4}, {"vector<bigint, 3>", bind_vector_8}, {"vector<double, 3>", bind_vector_8}, {"vector<timestamp, 3>", bind_vector_8},
    {"vector<uuid, 3>", bind_vector_uuid}, {"vector<boolean, 3>", bind_vector_bool}, {"vector<text, 3>", bind_vector_text},
    {"vector<tinyint, 3>", bind_vector_v1}, {"vector<smallint, 3>", bind_vector_v2}, {"vector<date, 3>", bind_vector_v4}, {"vector<time, 3>", bind_vector_v8},
    {"vector<vector<int, 2>, 3>", bind_vector_vector}, {"vector<frozen<list<int>>, 2>", bind_vector_list},
};
enum { CASE_COUNT = sizeof cases / sizeof *cases };

// Goes down a value by its type: every element must be readable.
static bool walk(const struct cql_type *type, struct cql_value v, uint32_t *checked) {
    struct cql_elements elements;
    struct cql_value element;
    ++*checked;
    if (!type->child_count || v.size_bytes < 0) {
        uint32_t fixed = cql_type_fixed_bytes(type);
        return v.size_bytes < 0 || !fixed || (uint32_t)v.size_bytes == fixed;
    }
    if (!cql_elements_open(&elements, type, v)) return false;
    for (uint32_t i = 0; elements.left; i++) {
        if (!cql_elements_next(&elements, &element)) return false;
        uint32_t child = type->kind == CQL_MAP ? i % 2 : type->kind == CQL_TUPLE || type->kind == CQL_UDT ? i : 0;
        if (!walk(&type->children[child], element, checked)) return false;
    }
    return elements.next == elements.end;
}

static enum status different(const struct type_case *c, const char *what, struct error *e) {
    return error_set(e, STATUS_DATA, NULL, "%s: %s", c->type, what);
}

static enum status compare(const struct type_case *c, const struct cql_cursor *cursor, const uint8_t *sent, const struct cql_type *declared, uint32_t *checked,
                           struct error *e) {
    struct cql_value v = cursor->values[0];
    int32_t size_bytes = (int32_t)__builtin_bswap32(*(const uint32_t *)(const void *)sent);
    if (v.size_bytes != size_bytes || (size_bytes > 0 && memcmp(v.bytes, sent + 4, (size_t)size_bytes))) return different(c, "other bytes came back", e);
    if (!cql_type_equal(&cursor->columns[0].type, declared)) return different(c, "the type in the metadata is not that of the schema", e);
    return walk(declared, v, checked) ? STATUS_OK : different(c, "its elements cannot be read", e);
}

static enum status run_case(struct cql_session *s, struct arena *arena, const char *keyspace, uint32_t index, uint32_t *checked, struct error *e) {
    const struct type_case *c = &cases[index];
    char text[300], name[32];
    const struct cql_prepared *insert, *select;
    struct cql_cursor *cursor;
    struct cql_table *table;
    bool found;
    snprintf(name, sizeof name, "t%u", index);
    snprintf(text, sizeof text, "CREATE TABLE IF NOT EXISTS %s.%s (id int PRIMARY KEY, v %s)", keyspace, name, c->type);
    TRY(cql_query(s, text, e));
    TRY(cql_read_table(s, arena, keyspace, name, &table, e));
    if (!table || table->column_count != 2) return different(c, "the table is not in the schema", e);
    const struct cql_type *declared = &table->columns[1].type;
    struct buffer printed;
    buffer_init(&printed, arena->memory);
    enum status status = cql_type_print(&printed, declared, true);
    if (status == STATUS_OK) status = buffer_terminate(&printed);
    if (status == STATUS_OK && strcmp((char *)printed.data, table->columns[1].type_text)) {
        status = error_set(e, STATUS_DATA, NULL, "%s is printed as %s", table->columns[1].type_text, (char *)printed.data);
    }
    buffer_release(&printed);
    TRY(status);
    snprintf(text, sizeof text, "INSERT INTO %s.%s (id, v) VALUES (?, ?)", keyspace, name);
    TRY(cql_prepare(s, text, &insert, e));
    snprintf(text, sizeof text, "SELECT v FROM %s.%s WHERE id = ?", keyspace, name);
    TRY(cql_prepare(s, text, &select, e));
    for (int32_t id = 1; id <= 3; id++) {  // a value, NULL, unset
        struct cql_request *r = cql_request_begin(s, insert);
        cql_bind_int32(r, id);
        size_t mark = r->size_bytes;
        if (id == 1) c->bind(r);
        else if (id == 2) cql_bind_null(r);
        else cql_bind_unset(r);
        size_t size = r->size_bytes - mark;
        uint8_t *sent = malloc(size);
        memcpy(sent, r->bytes + mark, size);
        status = cql_execute(s, r, e);
        r = cql_request_begin(s, select);
        cql_bind_int32(r, id);
        if (status != STATUS_OK) cql_request_release(s, r);
        if (status == STATUS_OK) status = cql_cursor_open(s, r, &cursor, e);
        if (status == STATUS_OK) {
            status = cql_cursor_next(cursor, &found, e);
            if (status == STATUS_OK && !found) status = different(c, "the row is not there", e);
            if (status == STATUS_OK && id == 1) status = compare(c, cursor, sent, declared, checked, e);
            if (status == STATUS_OK && id > 1 && !cql_is_null(cursor->values[0])) status = different(c, "NULL came back as a value", e);
            cql_cursor_close(cursor);
        }
        free(sent);
        TRY(status);
    }
    return STATUS_OK;
}

enum status roundtrip_run(struct cql_session *session, struct memory *memory, const char *keyspace, uint32_t *checked, struct error *e) {
    char text[200];
    struct arena arena;
    *checked = 0;
    snprintf(text, sizeof text, "CREATE KEYSPACE IF NOT EXISTS %s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", keyspace);
    TRY(cql_query(session, text, e));
    snprintf(text, sizeof text, "CREATE TYPE IF NOT EXISTS %s.street (name text, number int)", keyspace);
    TRY(cql_query(session, text, e));
    arena_init(&arena, memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < CASE_COUNT && status == STATUS_OK; i++) status = run_case(session, &arena, keyspace, i, checked, e);
    arena_release(&arena);
    return status;
}
