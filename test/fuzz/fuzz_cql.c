// SPDX-License-Identifier: Apache-2.0
// fuzz_cql.c: libFuzzer target of what the CQL client reads from a server: segments and frames, then the body of each by its opcode.
//
// The first byte chooses the framing, and whether checksums are made right first, so that the fuzzer gets past them.
#include "cql/cql_message.h"
#include "cql/cql_segment.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(bool good) {
    if (!good) abort();
}

// Down a value by its type, as a reader of rows would.
static void walk(const struct cql_type *type, struct cql_value v, uint32_t *left) {
    struct cql_elements elements;
    struct cql_value element;
    if (!*left || !cql_elements_open(&elements, type, v)) return;
    for (uint32_t i = 0; elements.left && *left && cql_elements_next(&elements, &element); i++) {
        --*left;
        uint32_t child = type->kind == CQL_MAP ? i % 2 : type->kind == CQL_TUPLE || type->kind == CQL_UDT ? i : 0;
        check(element.size_bytes < 0 || (element.bytes >= v.bytes && element.bytes + element.size_bytes <= v.bytes + v.size_bytes));
        if (type->child_count) walk(&type->children[child], element, left);
    }
}

static void print_value(struct memory *memory, const struct cql_type *type, struct cql_value v) {
    char text[CQL_DURATION_TEXT];
    struct buffer out;
    struct error e;
    bool fits;
    decimal number;
    buffer_init(&out, memory);
    if (type->kind == CQL_DURATION) (void)cql_print_duration(v, text);
    if (type->kind == CQL_VARINT && v.size_bytes < 2000) {
        enum status status = cql_print_varint(&out, v, &e);
        check((status == STATUS_OK) == cql_read_varint(v, &number, &fits));
    }
    if (type->kind == CQL_DECIMAL && v.size_bytes < 2000) (void)!cql_print_decimal(&out, v, &e);
    buffer_release(&out);
}

static void read_rows(struct memory *memory, struct cql_reader r) {
    struct cql_rows rows;
    struct error e;
    uint32_t left = 100000;
    if (cql_decode_rows(&r, memory, &rows, &e) != STATUS_OK) return;
    check((uint64_t)rows.row_count * rows.column_count * 4 <= cql_left(&r));
    for (uint32_t i = 0; rows.columns && i < rows.row_count && !r.failed; i++) {
        for (uint32_t k = 0; k < rows.column_count; k++) {
            struct cql_value v = cql_take_value(&r);
            walk(&rows.columns->specs[k].type, v, &left);
            print_value(memory, &rows.columns->specs[k].type, v);
        }
    }
    cql_columns_unref(rows.columns);
}

static void read_body(struct memory *memory, const struct cql_frame *f) {
    struct cql_reader r = cql_reader_of(f->body, f->size_bytes);
    struct cql_prepared_body prepared;
    struct cql_supported supported;
    struct cql_failure failure;
    struct cql_event event;
    struct cql_text warning;
    struct arena arena;
    struct error e;
    if (cql_decode_prelude(&r, f->flags, &warning, &e) != STATUS_OK) return;
    arena_init(&arena, memory);
    if (f->opcode == CQL_OP_ERROR) (void)!cql_decode_error(&r, &failure, &e);
    if (f->opcode == CQL_OP_SUPPORTED) (void)!cql_decode_supported(&r, &supported, &e);
    if (f->opcode == CQL_OP_EVENT) (void)!cql_decode_event(&r, &event, &e);
    if (f->opcode == CQL_OP_RESULT) {
        int32_t kind = cql_take_32(&r);
        if (kind == CQL_RESULT_ROWS) read_rows(memory, r);
        if (kind == CQL_RESULT_PREPARED && cql_decode_prepared(&r, f->version & 0x7F, &arena, memory, &prepared, &e) == STATUS_OK) cql_columns_unref(prepared.columns);
    }
    arena_release(&arena);
}

// Rewrites the first segment's checksums to what they should be.
static void mend(const struct cql_crc32 *crc, bool lz4, uint8_t *bytes, size_t size_bytes) {
    unsigned header_bytes = lz4 ? 5 : 3;
    uint64_t header = 0;
    if (size_bytes < header_bytes + 3) return;
    memcpy(&header, bytes, header_bytes);
    uint32_t sum = cql_crc24(header, header_bytes);
    memcpy(bytes + header_bytes, &sum, 3);
    size_t payload = header & 0x1FFFF;
    if (size_bytes < header_bytes + 3 + payload + 4) return;
    sum = cql_crc32_of(crc, bytes + header_bytes + 3, payload);
    memcpy(bytes + header_bytes + 3 + payload, &sum, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static struct cql_crc32 crc;
    struct memory memory;
    struct cql_receiver r;
    struct cql_frame f;
    struct error e;
    bool found = true;
    if (!size_bytes) return 0;
    if (!crc.table[0][1]) cql_crc32_init(&crc);
    memory_init(&memory, "fuzz", NULL, 0);
    cql_receiver_init(&r, &crc, &memory, 1 << 20);
    r.framing = (enum cql_framing)(data[0] % 4);
    uint8_t *room = cql_receiver_room(&r, size_bytes);
    memcpy(room, data + 1, size_bytes - 1);
    if (r.framing >= CQL_FRAMING_SEGMENTS && data[0] & 0x80) mend(&crc, r.framing == CQL_FRAMING_SEGMENTS_LZ4, room, size_bytes - 1);
    cql_receiver_came(&r, size_bytes - 1);
    while (cql_receiver_next(&r, &f, &found, &e) == STATUS_OK && found) read_body(&memory, &f);
    cql_receiver_release(&r);
    check(memory_used(&memory) == 0);
    return 0;
}
