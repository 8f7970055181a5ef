// SPDX-License-Identifier: Apache-2.0
// cql_wire_test.c: the CQL client's bytes: checksums, segments, golden frames of v4 and v5 in both directions, and every way to cut or change them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../cql/golden_frames.h"
#include "base/random.h"
#include "cql/cql_message.h"
#include "cql/cql_segment.h"
#include <stdlib.h>

static struct memory memory;
static struct cql_crc32 crc;

static int setup(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    cql_crc32_init(&crc);
    return 0;
}

static int teardown(void **state) {
    (void)state;
    assert_int_equal(memory_used(&memory), 0);
    return 0;
}

// The other computations gave these: a bytewise CRC32 of another implementation over the seed and the bytes, a bitwise CRC24.
static void test_checksums(void **state) {
    (void)state;
    assert_int_equal(cql_crc32_of(&crc, "123456789", 9), 0xE2A261A7);
    assert_int_equal(cql_crc32_of(&crc, "", 0), 0x44777ED3);
    assert_int_equal(cql_crc24(0x020005, 3), 0x9A9919);
    assert_int_equal(cql_crc24(0x020009, 3), 0xC1C8A4);
    assert_int_equal(cql_crc24(0, 5), 0xAAAC0A);
    assert_int_equal(cql_crc24(0x02000D, 3), 0xF707CF);
}

static void expect_bytes(const struct buffer *b, const char *bytes, size_t size_bytes) {
    assert_int_equal(b->size_bytes, size_bytes);
    assert_memory_equal(b->data, bytes, size_bytes);
}
#define EXPECT(buffer, literal) expect_bytes(buffer, literal, sizeof(literal) - 1)

static void bind_three(uint8_t *at) {
    cql_store_32(at, 4);
    cql_store_32(at + 4, 7);
    cql_store_32(at + 8, 0xFFFFFFFF);
    cql_store_32(at + 12, 0xFFFFFFFE);
}

static void test_requests(void **state) {
    static const struct cql_id id = {.bytes = {0xAB, 0xCD}, .size_bytes = 2}, result_id = {.bytes = {0xEF}, .size_bytes = 1};
    struct buffer b;
    (void)state;
    buffer_init(&b, &memory);
    assert_int_equal(cql_encode_options(&b, 4, 0), STATUS_OK);
    EXPECT(&b, OPTIONS_V4);
    buffer_clear(&b);
    assert_int_equal(cql_encode_login(&b, 5, 0, "user", "pass"), STATUS_OK);
    EXPECT(&b, LOGIN_V5);
    buffer_clear(&b);
    assert_int_equal(cql_encode_register(&b, 4, 3), STATUS_OK);
    EXPECT(&b, REGISTER_V4);
    for (uint8_t version = 4; version <= 5; version++) {
        struct cql_parameters p = {.version = version, .stream = 7, .consistency = CQL_ONE, .serial_consistency = CQL_CONSISTENCY_DEFAULT};
        struct cql_statement_bytes s = {.text = "USE k"};
        buffer_clear(&b);
        assert_int_equal(cql_encode_prepare(&b, version, 2, "SELECT ?"), STATUS_OK);
        if (version == 4) EXPECT(&b, PREPARE_V4);
        else EXPECT(&b, PREPARE_V5);
        buffer_clear(&b);
        assert_int_equal(cql_encode_statement(&b, &p, &s), STATUS_OK);
        if (version == 4) EXPECT(&b, QUERY_V4);
        else EXPECT(&b, QUERY_V5);
        uint8_t values[16];
        bind_three(values);
        p = (struct cql_parameters){.version = version, .stream = 258, .consistency = CQL_LOCAL_QUORUM, .serial_consistency = CQL_LOCAL_SERIAL,
                                    .skip_metadata = version == 5, .has_timestamp = true, .timestamp_us = 1, .page_rows = 100,
                                    .paging_state = (const uint8_t *)"\x09", .paging_state_bytes = 1};
        s = (struct cql_statement_bytes){.id = &id, .result_id = &result_id, .values = values, .values_bytes = 16, .value_count = 3};
        buffer_clear(&b);
        assert_int_equal(cql_encode_statement(&b, &p, &s), STATUS_OK);
        if (version == 4) EXPECT(&b, EXECUTE_V4);
        else EXPECT(&b, EXECUTE_V5);
        p = (struct cql_parameters){.version = version, .stream = 1, .consistency = CQL_QUORUM, .serial_consistency = CQL_CONSISTENCY_DEFAULT,
                                    .has_timestamp = true, .timestamp_us = 2};
        enum status status = STATUS_OK;
        buffer_clear(&b);
        size_t mark = cql_batch_open(&b, &p, CQL_BATCH_UNLOGGED, 2, &status);
        for (uint32_t i = 0; i < 2; i++) {
            cql_store_32(values + 4, 7 + i);
            cql_batch_statement(&b, &(struct cql_statement_bytes){.id = &id, .values = values, .values_bytes = 8, .value_count = 1}, &status);
        }
        assert_int_equal(cql_batch_close(&b, mark, &p, status), STATUS_OK);
        if (version == 4) EXPECT(&b, BATCH_V4);
        else EXPECT(&b, BATCH_V5);
    }
    buffer_release(&b);
}

// STARTUP holds the program's version, so its length is not golden; its shape is.
static void test_startup(void **state) {
    struct buffer b;
    (void)state;
    for (int lz4 = 0; lz4 < 2; lz4++) {
        buffer_init(&b, &memory);
        assert_int_equal(cql_encode_startup(&b, 5, 0, lz4), STATUS_OK);
        struct cql_reader r = cql_reader_of(b.data + CQL_HEADER_BYTES, b.size_bytes - CQL_HEADER_BYTES);
        uint16_t count = cql_take_16(&r);
        bool compression = false, version = false;
        for (uint16_t i = 0; i < count; i++) {
            struct cql_text key = cql_take_string(&r), value = cql_take_string(&r);
            compression |= cql_text_is(key, "COMPRESSION") && cql_text_is(value, "lz4");
            version |= cql_text_is(key, "CQL_VERSION") && cql_text_is(value, "3.0.0");
        }
        assert_true(!r.failed && r.next == r.end && version && compression == (lz4 == 1));
        buffer_release(&b);
    }
}

static void feed(struct cql_receiver *r, const void *bytes, size_t size_bytes) {
    uint8_t *room = cql_receiver_room(r, size_bytes + 1);
    assert_non_null(room);
    memcpy(room, bytes, size_bytes);
    cql_receiver_came(r, size_bytes);
}

static void test_golden_segment(void **state) {
    struct buffer out;
    struct error e;
    (void)state;
    buffer_init(&out, &memory);
    assert_int_equal(cql_seal(&crc, CQL_FRAMING_SEGMENTS, (const uint8_t *)OPTIONS_V5, 9, &out, &e), STATUS_OK);
    assert_int_equal(out.size_bytes, 6 + 9 + 4);
    assert_memory_equal(out.data, SEGMENT_HEADER_OPTIONS OPTIONS_V5, 15);
    uint32_t sum;
    memcpy(&sum, out.data + 15, 4);
    assert_int_equal(sum, cql_crc32_of(&crc, OPTIONS_V5, 9));
    buffer_clear(&out);
    // Too small to compress: an uncompressed length of 0, and the frame as it is.
    assert_int_equal(cql_seal(&crc, CQL_FRAMING_SEGMENTS_LZ4, (const uint8_t *)OPTIONS_V5, 9, &out, &e), STATUS_OK);
    assert_int_equal(out.size_bytes, 8 + 9 + 4);
    assert_memory_equal(out.data, "\x09\x00\x00\x00\x04", 5);
    assert_memory_equal(out.data + 8, OPTIONS_V5, 9);
    buffer_release(&out);
}

// A response frame of so many bytes in its body, of bytes that compress or do not.
static void append_frame(struct buffer *b, uint8_t version, int16_t stream, size_t body_bytes, bool noise, struct random *random) {
    uint8_t header[9] = {(uint8_t)(version | 0x80), 0, (uint8_t)((uint16_t)stream >> 8), (uint8_t)stream, CQL_OP_RESULT};
    cql_store_32(header + 5, (uint32_t)body_bytes);
    assert_int_equal(buffer_append(b, header, 9), STATUS_OK);
    for (size_t i = 0; i < body_bytes; i++) assert_int_equal(buffer_append_byte(b, noise ? (uint8_t)random_next(random) : (uint8_t)(i % 7)), STATUS_OK);
}

static void test_split_and_join(void **state) {
    static const size_t sizes[] = {0, 1, 100, 131071 - 9 - 1, 131071 - 9, 131071 - 9 + 1, 131071, 131072, 262142, 262143, 1000000};
    static const enum cql_framing framings[] = {CQL_FRAMING_BARE, CQL_FRAMING_BARE_LZ4, CQL_FRAMING_SEGMENTS, CQL_FRAMING_SEGMENTS_LZ4};
    struct random random;
    (void)state;
    random_seed(&random, 5);
    for (int k = 0; k < 8; k++) {
        struct buffer frames, wire;
        struct cql_receiver r;
        struct error e;
        uint8_t version = k / 2 < 2 ? 4 : 5;
        buffer_init(&frames, &memory);
        buffer_init(&wire, &memory);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) append_frame(&frames, version, (int16_t)i, sizes[i], k % 2, &random);
        assert_int_equal(cql_seal(&crc, framings[k / 2], frames.data, frames.size_bytes, &wire, &e), STATUS_OK);
        if (framings[k / 2] == CQL_FRAMING_SEGMENTS_LZ4 && k % 2 == 0) assert_true(wire.size_bytes < frames.size_bytes / 10);
        cql_receiver_init(&r, &crc, &memory, 1 << 24);
        r.framing = framings[k / 2];
        size_t next = 0, at = 0;
        for (size_t i = 0; i < wire.size_bytes;) {  // in pieces of any size
            size_t piece = 1 + random_below(&random, 50000);
            if (piece > wire.size_bytes - i) piece = wire.size_bytes - i;
            feed(&r, wire.data + i, piece);
            i += piece;
            for (;;) {
                struct cql_frame f;
                bool found;
                assert_int_equal(cql_receiver_next(&r, &f, &found, &e), STATUS_OK);
                if (!found) break;
                assert_int_equal(f.stream, next);
                assert_int_equal(f.size_bytes, sizes[next]);
                assert_memory_equal(f.body, frames.data + at + 9, f.size_bytes);
                at += 9 + f.size_bytes;
                next++;
            }
        }
        assert_int_equal(next, sizeof sizes / sizeof *sizes);
        cql_receiver_release(&r);
        buffer_release(&frames);
        buffer_release(&wire);
    }
}

// An LZ4 block made by hand: 4 literals "abcd", a match of 12 bytes 4 back, 5 literals; as a segment's payload it must open to 21 bytes.
static void test_foreign_lz4(void **state) {
    static const uint8_t block[] = {0x48, 'a', 'b', 'c', 'd', 4, 0, 0x50, 'v', 'w', 'x', 'y', 'z'};
    uint8_t frame[9 + 4 + sizeof block] = {0x84, CQL_FLAG_COMPRESSED, 0, 1, CQL_OP_RESULT, 0, 0, 0, 4 + sizeof block, 0, 0, 0, 21};
    struct cql_receiver r;
    struct cql_frame f;
    struct error e;
    bool found;
    (void)state;
    memcpy(frame + 13, block, sizeof block);
    cql_receiver_init(&r, &crc, &memory, 1 << 20);
    r.framing = CQL_FRAMING_BARE_LZ4;
    feed(&r, frame, sizeof frame);
    assert_int_equal(cql_receiver_next(&r, &f, &found, &e), STATUS_OK);
    assert_true(found && f.size_bytes == 21 && !memcmp(f.body, "abcdabcdabcdabcdvwxyz", 21));
    frame[12] = 22;  // a length that is not true
    feed(&r, frame, sizeof frame);
    assert_int_equal(cql_receiver_next(&r, &f, &found, &e), STATUS_CORRUPT);
    cql_receiver_release(&r);
}

// Every bit of a segment matters: a changed one is found, or more bytes are waited for; never a wrong frame.
static void test_changed_bits(void **state) {
    struct random random;
    (void)state;
    random_seed(&random, 9);
    for (int lz4 = 0; lz4 < 2; lz4++) {
        struct buffer frames, wire;
        struct error e;
        buffer_init(&frames, &memory);
        buffer_init(&wire, &memory);
        append_frame(&frames, 5, 1, 200, false, &random);
        assert_int_equal(cql_seal(&crc, lz4 ? CQL_FRAMING_SEGMENTS_LZ4 : CQL_FRAMING_SEGMENTS, frames.data, frames.size_bytes, &wire, &e), STATUS_OK);
        for (size_t bit = 0; bit < wire.size_bytes * 8; bit++) {
            struct cql_receiver r;
            struct cql_frame f;
            bool found = false;
            cql_receiver_init(&r, &crc, &memory, 1 << 20);
            r.framing = lz4 ? CQL_FRAMING_SEGMENTS_LZ4 : CQL_FRAMING_SEGMENTS;
            wire.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            feed(&r, wire.data, wire.size_bytes);
            assert_int_equal(cql_receiver_next(&r, &f, &found, &e), STATUS_CORRUPT);
            assert_false(found);
            wire.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            cql_receiver_release(&r);
        }
        buffer_release(&frames);
        buffer_release(&wire);
    }
}

// ---- bodies ----

enum body_kind { BODY_SUPPORTED, BODY_ERROR, BODY_EVENT, BODY_ROWS, BODY_PREPARED_V4, BODY_PREPARED_V5, BODY_WARNING };

static const struct body_case {
    enum body_kind kind;
    struct golden golden;
} bodies[] = {
    {BODY_SUPPORTED, GOLDEN("supported", SUPPORTED_BODY)},
    {BODY_ERROR, GOLDEN("invalid", ERROR_INVALID_BODY)},
    {BODY_ERROR, GOLDEN("unprepared", ERROR_UNPREPARED_BODY)},
    {BODY_ERROR, GOLDEN("write timeout", ERROR_WRITE_TIMEOUT_BODY)},
    {BODY_EVENT, GOLDEN("status", EVENT_STATUS_BODY)},
    {BODY_ROWS, GOLDEN("rows", ROWS_BODY)},
    {BODY_ROWS, GOLDEN("rows without metadata", ROWS_NO_METADATA_BODY)},
    {BODY_PREPARED_V4, GOLDEN("prepared v4", PREPARED_V4_BODY)},
    {BODY_PREPARED_V5, GOLDEN("prepared v5", PREPARED_V5_BODY)},
    {BODY_WARNING, GOLDEN("warning", WARNING_PRELUDE)},
};

static enum status decode_rows_and_values(struct cql_reader *r, struct error *e) {
    struct cql_rows rows;
    TRY(cql_decode_rows(r, &memory, &rows, e));
    for (uint32_t i = 0; i < rows.row_count * rows.column_count; i++) (void)cql_take_value(r);
    cql_columns_unref(rows.columns);
    return r->failed ? STATUS_CORRUPT : STATUS_OK;
}

// Decodes it from a block of its own size, so that a read past the end is seen.
static enum status decode(enum body_kind kind, const void *bytes, size_t size_bytes) {
    uint8_t *copy = malloc(size_bytes ? size_bytes : 1);
    struct cql_supported supported;
    struct cql_failure failure;
    struct cql_event event;
    struct cql_prepared_body prepared = {0};
    struct cql_text warning;
    struct arena arena;
    struct error e;
    enum status status = STATUS_INTERNAL;
    if (size_bytes) memcpy(copy, bytes, size_bytes);
    struct cql_reader r = cql_reader_of(copy, size_bytes);
    arena_init(&arena, &memory);
    switch (kind) {
    case BODY_SUPPORTED: status = cql_decode_supported(&r, &supported, &e); break;
    case BODY_ERROR: status = cql_decode_error(&r, &failure, &e); break;
    case BODY_EVENT: status = cql_decode_event(&r, &event, &e); break;
    case BODY_ROWS: status = decode_rows_and_values(&r, &e); break;
    case BODY_PREPARED_V4: status = cql_decode_prepared(&r, 4, &arena, &memory, &prepared, &e); break;
    case BODY_PREPARED_V5: status = cql_decode_prepared(&r, 5, &arena, &memory, &prepared, &e); break;
    case BODY_WARNING: status = cql_decode_prelude(&r, CQL_FLAG_WARNING, &warning, &e); break;
    }
    if (status == STATUS_OK) cql_columns_unref(prepared.columns);
    arena_release(&arena);
    free(copy);
    return status;
}

static void test_bodies_cut_and_changed(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        const struct golden *g = &bodies[i].golden;
        assert_int_equal(decode(bodies[i].kind, g->bytes, g->size_bytes), STATUS_OK);
        for (size_t cut = 0; cut < g->size_bytes; cut++) {
            if (decode(bodies[i].kind, g->bytes, cut) == STATUS_OK) fail_msg("%s cut at %zu of %zu is taken", g->name, cut, g->size_bytes);
        }
        uint8_t *changed = malloc(g->size_bytes);
        for (size_t at = 0; at < g->size_bytes; at++) {
            static const uint8_t values[] = {0x00, 0x01, 0x7F, 0x80, 0xFF};
            for (size_t k = 0; k < sizeof values; k++) {
                memcpy(changed, g->bytes, g->size_bytes);
                changed[at] = values[k];
                enum status status = decode(bodies[i].kind, changed, g->size_bytes);
                assert_true(status == STATUS_OK || status == STATUS_CORRUPT);
            }
        }
        free(changed);
    }
}

static void test_rows(void **state) {
    struct cql_rows rows;
    struct cql_reader r = cql_reader_of(ROWS_BODY, sizeof ROWS_BODY - 1);
    struct error e;
    (void)state;
    assert_int_equal(cql_decode_rows(&r, &memory, &rows, &e), STATUS_OK);
    assert_int_equal(rows.row_count, 2);
    assert_int_equal(rows.column_count, 6);
    assert_int_equal(rows.paging_state.size_bytes, 2);
    static const char *const types[] = {"int", "list<text>", "map<int, boolean>", "tuple<int, double>", "u", "vector<float, 2>"};
    for (uint32_t i = 0; i < 6; i++) {
        struct buffer text;
        buffer_init(&text, &memory);
        assert_int_equal(cql_type_print(&text, &rows.columns->specs[i].type, true), STATUS_OK);
        assert_int_equal(buffer_terminate(&text), STATUS_OK);
        assert_string_equal((char *)text.data, types[i]);
        buffer_release(&text);
        assert_string_equal(rows.columns->specs[i].keyspace, "k");
    }
    struct cql_value v[6], element;
    for (int i = 0; i < 6; i++) v[i] = cql_take_value(&r);
    struct cql_elements elements;
    int32_t number;
    float f;
    assert_true(cql_read_int32(v[0], &number) && number == 42);
    assert_true(cql_elements_open(&elements, &rows.columns->specs[1].type, v[1]) && elements.left == 2);
    assert_true(cql_elements_next(&elements, &element) && element.size_bytes == 1 && cql_elements_next(&elements, &element) && element.size_bytes == 0);
    assert_true(cql_elements_open(&elements, &rows.columns->specs[2].type, v[2]) && elements.left == 2);
    assert_true(cql_elements_open(&elements, &rows.columns->specs[3].type, v[3]) && elements.left == 2);
    assert_true(cql_elements_next(&elements, &element) && cql_read_int32(element, &number) && number == 6);
    assert_true(cql_elements_next(&elements, &element) && cql_is_null(element));  // a field that was not written
    assert_true(cql_elements_open(&elements, &rows.columns->specs[5].type, v[5]) && elements.left == 2);
    assert_true(cql_elements_next(&elements, &element) && cql_read_float(element, &f) && f == 1.0f);
    for (int i = 0; i < 6; i++) assert_true(cql_is_null(cql_take_value(&r)));
    assert_true(!r.failed && r.next == r.end);
    cql_columns_unref(rows.columns);
}

static void test_small_bodies(void **state) {
    struct cql_supported supported;
    struct cql_failure failure;
    struct cql_event event;
    struct error e;
    (void)state;
    struct cql_reader r = cql_reader_of(SUPPORTED_BODY, sizeof SUPPORTED_BODY - 1);
    assert_int_equal(cql_decode_supported(&r, &supported, &e), STATUS_OK);
    assert_true(supported.lz4 && supported.v5 && supported.v4);
    r = cql_reader_of(ERROR_UNPREPARED_BODY, sizeof ERROR_UNPREPARED_BODY - 1);
    assert_int_equal(cql_decode_error(&r, &failure, &e), STATUS_OK);
    assert_true(failure.code == CQL_ERROR_UNPREPARED && failure.unprepared.size_bytes == 2 && failure.unprepared.bytes[1] == 0xCD);
    r = cql_reader_of(EVENT_STATUS_BODY, sizeof EVENT_STATUS_BODY - 1);
    assert_int_equal(cql_decode_event(&r, &event, &e), STATUS_OK);
    assert_true(event.kind == CQL_EVENT_STATUS && event.address[3] == 2 && event.port == 9042 && cql_text_is(event.change, "UP"));
    r = cql_reader_of(EVENT_SCHEMA_BODY, sizeof EVENT_SCHEMA_BODY - 1);
    assert_int_equal(cql_decode_event(&r, &event, &e), STATUS_OK);
    assert_true(event.kind == CQL_EVENT_SCHEMA && cql_text_is(event.target, "TABLE") && cql_text_is(event.keyspace, "k"));
}

// Memory refused at each place in turn: an error, and everything given back.
static void test_memory_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        for (int64_t n = 1;; n++) {
            atomic_store(&memory.fail_countdown, n);
            enum status status = decode(bodies[i].kind, bodies[i].golden.bytes, bodies[i].golden.size_bytes);
            atomic_store(&memory.fail_countdown, -1);
            if (status == STATUS_OK) break;
            assert_int_equal(status, STATUS_NO_MEMORY);
            assert_true(n < 1000);
        }
    }
}

static void test_limits(void **state) {
    struct cql_receiver r;
    struct cql_frame f;
    struct error e;
    bool found;
    (void)state;
    static const struct {
        const char *bytes;
        size_t size_bytes;
    } wrong[] = {{"\x84\x00\x00\x00\x08\x7F\xFF\xFF\xFF", 9}, {"HTTP/1.1 400 Bad Request", 24}, {"\x84\x01\x00\x00\x08\x00\x00\x00\x05\x00\x00\x00\x00\x00", 14}};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cql_receiver_init(&r, &crc, &memory, 1 << 20);
        feed(&r, wrong[i].bytes, wrong[i].size_bytes);
        assert_int_equal(cql_receiver_next(&r, &f, &found, &e), STATUS_CORRUPT);
        assert_true(e.message[0] && !found);
        cql_receiver_release(&r);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_checksums), cmocka_unit_test(test_requests), cmocka_unit_test(test_startup), cmocka_unit_test(test_golden_segment),
        cmocka_unit_test(test_split_and_join), cmocka_unit_test(test_foreign_lz4), cmocka_unit_test(test_changed_bits), cmocka_unit_test(test_rows),
        cmocka_unit_test(test_small_bodies), cmocka_unit_test(test_bodies_cut_and_changed), cmocka_unit_test(test_memory_refused), cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
