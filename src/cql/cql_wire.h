// SPDX-License-Identifier: Apache-2.0
// cql_wire.h: the numbers of the native protocol, and a reader of its bodies that cannot pass their end. Private to the folder.
//
//     frame   [version 1][flags 1][stream 2][opcode 1][body length 4] body          all big-endian, 9 bytes of header in v4 and v5
//
// Source: "native_protocol_v4.spec" and "native_protocol_v5.spec" of Apache Cassandra.
#pragma once
#include "base/buffer.h"
#include "cql/cql_value.h"
#include <string.h>

enum { CQL_HEADER_BYTES = 9, CQL_RESPONSE_BIT = 0x80 };

enum cql_opcode {
    CQL_OP_ERROR = 0x00,
    CQL_OP_STARTUP = 0x01,
    CQL_OP_READY = 0x02,
    CQL_OP_AUTHENTICATE = 0x03,
    CQL_OP_OPTIONS = 0x05,
    CQL_OP_SUPPORTED = 0x06,
    CQL_OP_QUERY = 0x07,
    CQL_OP_RESULT = 0x08,
    CQL_OP_PREPARE = 0x09,
    CQL_OP_EXECUTE = 0x0A,
    CQL_OP_REGISTER = 0x0B,
    CQL_OP_EVENT = 0x0C,
    CQL_OP_BATCH = 0x0D,
    CQL_OP_AUTH_CHALLENGE = 0x0E,
    CQL_OP_AUTH_RESPONSE = 0x0F,
    CQL_OP_AUTH_SUCCESS = 0x10,
};

enum cql_frame_flag { CQL_FLAG_COMPRESSED = 0x01, CQL_FLAG_TRACING = 0x02, CQL_FLAG_PAYLOAD = 0x04, CQL_FLAG_WARNING = 0x08, CQL_FLAG_BETA = 0x10 };

enum cql_query_flag {
    CQL_QUERY_VALUES = 0x01,
    CQL_QUERY_SKIP_METADATA = 0x02,
    CQL_QUERY_PAGE_SIZE = 0x04,
    CQL_QUERY_PAGING_STATE = 0x08,
    CQL_QUERY_SERIAL_CONSISTENCY = 0x10,
    CQL_QUERY_TIMESTAMP = 0x20,
};

enum cql_result_kind { CQL_RESULT_VOID = 1, CQL_RESULT_ROWS = 2, CQL_RESULT_SET_KEYSPACE = 3, CQL_RESULT_PREPARED = 4, CQL_RESULT_SCHEMA_CHANGE = 5 };

enum cql_rows_flag { CQL_ROWS_GLOBAL_SPEC = 0x01, CQL_ROWS_MORE_PAGES = 0x02, CQL_ROWS_NO_METADATA = 0x04, CQL_ROWS_METADATA_CHANGED = 0x08 };

enum cql_error_code {
    CQL_ERROR_SERVER = 0x0000,
    CQL_ERROR_PROTOCOL = 0x000A,
    CQL_ERROR_BAD_CREDENTIALS = 0x0100,
    CQL_ERROR_UNAVAILABLE = 0x1000,
    CQL_ERROR_OVERLOADED = 0x1001,
    CQL_ERROR_BOOTSTRAPPING = 0x1002,
    CQL_ERROR_TRUNCATE = 0x1003,
    CQL_ERROR_WRITE_TIMEOUT = 0x1100,
    CQL_ERROR_READ_TIMEOUT = 0x1200,
    CQL_ERROR_READ_FAILURE = 0x1300,
    CQL_ERROR_FUNCTION_FAILURE = 0x1400,
    CQL_ERROR_WRITE_FAILURE = 0x1500,
    CQL_ERROR_CDC_WRITE_FAILURE = 0x1600,
    CQL_ERROR_CAS_WRITE_UNKNOWN = 0x1700,
    CQL_ERROR_SYNTAX = 0x2000,
    CQL_ERROR_UNAUTHORIZED = 0x2100,
    CQL_ERROR_INVALID = 0x2200,
    CQL_ERROR_CONFIG = 0x2300,
    CQL_ERROR_ALREADY_EXISTS = 0x2400,
    CQL_ERROR_UNPREPARED = 0x2500,
};

static inline uint16_t cql_load_16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t cql_load_32(const uint8_t *at) {
    uint32_t v;
    memcpy(&v, at, 4);
    return __builtin_bswap32(v);
}
static inline uint64_t cql_load_64(const uint8_t *at) {
    uint64_t v;
    memcpy(&v, at, 8);
    return __builtin_bswap64(v);
}

// Reads a body. Past the end it turns `failed` and gives zeros and empty texts from then on: check once at the end.
struct cql_reader {
    const uint8_t *next;
    const uint8_t *end;
    bool failed;
};
struct cql_text {
    const char *bytes;  // not NUL-terminated
    size_t size_bytes;
};

static inline struct cql_reader cql_reader_of(const void *bytes, size_t size_bytes) {
    return (struct cql_reader){.next = bytes, .end = bytes ? (const uint8_t *)bytes + size_bytes : NULL};
}
static inline size_t cql_left(const struct cql_reader *r) { return (size_t)(r->end - r->next); }
static inline const uint8_t *cql_take(struct cql_reader *r, size_t size_bytes) {
    if (r->failed || cql_left(r) < size_bytes) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *at = r->next;
    r->next += size_bytes;
    return at;
}
static inline uint8_t cql_take_8(struct cql_reader *r) {
    const uint8_t *at = cql_take(r, 1);
    return at ? *at : 0;
}
static inline uint16_t cql_take_16(struct cql_reader *r) {
    const uint8_t *at = cql_take(r, 2);
    return at ? cql_load_16(at) : 0;
}
static inline int32_t cql_take_32(struct cql_reader *r) {
    const uint8_t *at = cql_take(r, 4);
    return at ? (int32_t)cql_load_32(at) : 0;
}
static inline struct cql_text cql_take_text_of(struct cql_reader *r, size_t size_bytes) {
    const uint8_t *at = cql_take(r, size_bytes);
    return (struct cql_text){.bytes = at ? (const char *)at : "", .size_bytes = at ? size_bytes : 0};
}
static inline struct cql_text cql_take_string(struct cql_reader *r) { return cql_take_text_of(r, cql_take_16(r)); }  // [string], [short bytes]
static inline struct cql_value cql_take_value(struct cql_reader *r) {  // [bytes], [value]
    int32_t size_bytes = cql_take_32(r);
    if (size_bytes < 0) return (struct cql_value){.size_bytes = -1};
    const uint8_t *at = cql_take(r, (size_t)size_bytes);
    return (struct cql_value){.bytes = at, .size_bytes = at ? size_bytes : -1};
}
static inline bool cql_text_is(struct cql_text t, const char *s) { return t.size_bytes == strlen(s) && !memcmp(t.bytes, s, t.size_bytes); }
