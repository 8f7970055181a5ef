// SPDX-License-Identifier: Apache-2.0
// cql_message.h: requests to frames, bodies of responses to structures. Pure: no socket, no session. Private to the folder.
//
// Encoders append one whole frame to a buffer of frames that are not sealed yet (cql_segment.h). Decoders take a body, whatever it holds, and give
// STATUS_CORRUPT where it is not what the protocol says; what they keep lives in the arena they are given.
#pragma once
#include "cql/cql.h"
#include "cql/cql_wire.h"

enum { CQL_ID_MAX = 64 };

struct cql_id {
    uint8_t bytes[CQL_ID_MAX];
    uint8_t size_bytes;
};

// Columns of rows, shared by a prepared statement and the pages that were read by it.
struct cql_columns {
    _Atomic uint32_t reference_count;
    struct arena arena;
    struct cql_column_spec *specs;
    uint32_t count;
};
struct cql_columns *cql_columns_new(struct memory *memory);
struct cql_columns *cql_columns_ref(struct cql_columns *columns);
void cql_columns_unref(struct cql_columns *columns);  // NULL is allowed

// ---- encoding ----

// What stands around the values of a request.
struct cql_parameters {
    uint8_t version;
    int16_t stream;
    uint16_t consistency;
    uint16_t serial_consistency;   // CQL_CONSISTENCY_DEFAULT: not sent
    bool skip_metadata;
    bool has_timestamp;
    int64_t timestamp_us;
    int32_t page_rows;             // 0: no paging
    const uint8_t *paging_state;   // NULL: the first page
    uint32_t paging_state_bytes;
};
// One statement with its values, as they lie in the request.
struct cql_statement_bytes {
    const char *text;              // NULL: prepared
    const struct cql_id *id;
    const struct cql_id *result_id;
    const uint8_t *values;
    size_t values_bytes;
    uint32_t value_count;
};

size_t cql_frame_open(struct buffer *out, uint8_t version, int16_t stream, enum cql_opcode opcode, enum status *status);  // returns a mark
enum status cql_frame_close(struct buffer *out, size_t mark, enum status status) WARN_UNUSED;  // on failure the frame is taken away again

enum status cql_encode_options(struct buffer *out, uint8_t version, int16_t stream) WARN_UNUSED;
enum status cql_encode_startup(struct buffer *out, uint8_t version, int16_t stream, bool lz4) WARN_UNUSED;
enum status cql_encode_login(struct buffer *out, uint8_t version, int16_t stream, const char *user, const char *password) WARN_UNUSED;
enum status cql_encode_register(struct buffer *out, uint8_t version, int16_t stream) WARN_UNUSED;
enum status cql_encode_prepare(struct buffer *out, uint8_t version, int16_t stream, const char *text) WARN_UNUSED;
enum status cql_encode_statement(struct buffer *out, const struct cql_parameters *p, const struct cql_statement_bytes *s) WARN_UNUSED;
// BATCH is written statement by statement.
size_t cql_batch_open(struct buffer *out, const struct cql_parameters *p, enum cql_batch_kind kind, uint16_t count, enum status *status);
void cql_batch_statement(struct buffer *out, const struct cql_statement_bytes *s, enum status *status);
enum status cql_batch_close(struct buffer *out, size_t mark, const struct cql_parameters *p, enum status status) WARN_UNUSED;

// ---- decoding ----

// Takes tracing id, warnings and custom payload off the front of a body. *warning: the first one, or empty.
enum status cql_decode_prelude(struct cql_reader *r, uint8_t flags, struct cql_text *warning, struct error *e) WARN_UNUSED;

struct cql_failure {
    int32_t code;
    struct cql_text message;
    struct cql_id unprepared;      // of CQL_ERROR_UNPREPARED
    bool write_was_logged;         // of WRITE_TIMEOUT: only the log of a batch is missing
};
enum status cql_decode_error(struct cql_reader *r, struct cql_failure *out, struct error *e) WARN_UNUSED;

struct cql_supported {
    bool lz4;
    bool v5;
    bool v4;
};
enum status cql_decode_supported(struct cql_reader *r, struct cql_supported *out, struct error *e) WARN_UNUSED;

struct cql_event {
    enum { CQL_EVENT_OTHER, CQL_EVENT_TOPOLOGY, CQL_EVENT_STATUS, CQL_EVENT_SCHEMA } kind;
    struct cql_text change;        // NEW_NODE, REMOVED_NODE, UP, DOWN, CREATED …
    uint8_t address[16];
    uint8_t address_bytes;         // 4, 16; 0: a schema event
    int32_t port;
    struct cql_text target;        // of a schema event: KEYSPACE, TABLE …
    struct cql_text keyspace;
};
enum status cql_decode_event(struct cql_reader *r, struct cql_event *out, struct error *e) WARN_UNUSED;

struct cql_prepared_body {
    struct cql_id id;
    struct cql_id result_id;       // v5; empty in v4
    struct cql_column_spec *binds;
    uint32_t bind_count;
    uint16_t *partition_key;
    uint32_t partition_key_count;
    struct cql_columns *columns;   // of the rows; a reference for the caller
};
enum status cql_decode_prepared(struct cql_reader *r, uint8_t version, struct arena *arena, struct memory *memory, struct cql_prepared_body *out,
                                struct error *e) WARN_UNUSED;

struct cql_rows {
    struct cql_columns *columns;   // a reference for the caller; NULL: not sent, they are those of the prepared statement
    struct cql_id result_id;       // with it they replace those of the statement; empty: they do not
    uint32_t column_count;
    uint32_t row_count;
    struct cql_value paging_state;  // NULL: the last page
};
// After the kind of a RESULT. The reader then stands before the first row.
enum status cql_decode_rows(struct cql_reader *r, struct memory *memory, struct cql_rows *out, struct error *e) WARN_UNUSED;
