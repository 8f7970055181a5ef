// SPDX-License-Identifier: Apache-2.0
// cql.h: a client of Cassandra's native protocol, v5 and v4. This is all a user of the folder includes.
//
//     cql_session_open ─► cql_prepare ─► per row:  cql_request_begin, cql_bind_…, cql_submit(…, on_done, context)   asynchronous
//                                        cql_drain                                                                  all are answered
//                                    ─► cql_execute, cql_cursor_…                                                   synchronous
//                                    ─► cql_read_table, cql_read_keyspace, cql_query                                schema, DDL
//
// Threads. The client has none: sockets do not block, and whoever calls drives them. All functions of a session may be called by several
// threads at once; a request under construction belongs to one. One thread at a time polls, the others wait for what it finds. Between calls
// nothing moves: a reply that came is seen, and a timeout noticed, at the next call (cql_pump is one that does only this).
//
// Callbacks run in whichever thread drives, without a lock held, each exactly once, whatever happens (also when the session closes). A
// callback may do anything but call the session: of this header it may use nothing that takes a `struct cql_session`.
//
// Waiting always ends: every connect, attempt and request has a time limit, and a non-zero *stop ends all waits within about 0.1 s with
// STATUS_UNREACHABLE.
//
// Retries. A request that certainly was not carried out (never sent, host starting up) is sent again, whoever it is. One marked
// `idempotent` is also sent again, elsewhere where there is an elsewhere, after a lost connection, an attempt without answer, OVERLOADED, UNAVAILABLE,
// WRITE_TIMEOUT and READ_TIMEOUT: retry_limit times at most and within its timeout. One that is not ends in LEAT_CASSANDRA_UNCERTAIN.
//
// Errors. e->message names host:port, the server's code and words, and the statement where known. Conditions:
//
//     STATUS_UNREACHABLE        LEAT_CASSANDRA_UNREACHABLE    no host answers (address and reason), stopped, malformed replies
//     STATUS_UNREACHABLE        LEAT_CASSANDRA_TIMEOUT        no answer in time; idempotent, so it may be done again
//     STATUS_UNREACHABLE        LEAT_CASSANDRA_UNAVAILABLE    the server: unavailable, overloaded, bootstrapping, read/write/truncate timeout
//     STATUS_UNREACHABLE        LEAT_CASSANDRA_UNCERTAIN      not idempotent, and it may or may not have been carried out
//     STATUS_INVALID_ARGUMENT   LEAT_CASSANDRA_AUTHENTICATION user, password; a client certificate the server refuses
//     STATUS_INVALID_ARGUMENT   LEAT_CASSANDRA_TLS            a file that cannot be read; a certificate that does not match
//     STATUS_INVALID_ARGUMENT   LEAT_CASSANDRA_UNAUTHORIZED   the user lacks a permission
//     STATUS_INVALID_QUERY      LEAT_CASSANDRA_SYNTAX, LEAT_CASSANDRA_INVALID (text or prepare: no such table, column …)
//     STATUS_DATA               LEAT_CASSANDRA_VALUE_REFUSED  INVALID in answer to values bound to a prepared statement (a key that is empty …);
//                                                             a value or request over the size limit
//     STATUS_CONFLICT           LEAT_CASSANDRA_ALREADY_EXISTS, LEAT_CASSANDRA_SCHEMA_CHANGED (a prepared statement's columns are others now)
//     STATUS_IO                 LEAT_CASSANDRA_ERROR          every other ERROR of the server
#pragma once
#include "base/log.h"
#include "cql/cql_value.h"
#include <string.h>

enum cql_consistency {
    CQL_ANY = 0, CQL_ONE = 1, CQL_TWO = 2, CQL_THREE = 3, CQL_QUORUM = 4, CQL_ALL = 5, CQL_LOCAL_QUORUM = 6, CQL_EACH_QUORUM = 7,
    CQL_SERIAL = 8, CQL_LOCAL_SERIAL = 9, CQL_LOCAL_ONE = 10,
    CQL_CONSISTENCY_DEFAULT = 0xFFFF,  // of a request: the session's
};
// "LOCAL_QUORUM", "quorum" …; false: no such level.
bool cql_consistency_parse(const char *name, enum cql_consistency *out);
const char *cql_consistency_name(enum cql_consistency consistency);

enum cql_compression { CQL_COMPRESSION_LZ4 = 0, CQL_COMPRESSION_NONE };

struct cql_tls {
    bool enabled;
    bool skip_host_check;          // the certificate's chain is checked all the same
    bool skip_verification;        // accept any certificate: encryption without identity
    const char *ca_file;           // PEM; NULL: the system's
    const char *certificate_file;  // PEM chain of the client; NULL: none
    const char *key_file;          // PEM; NULL: in certificate_file
    const char *key_password;      // NULL: none
};

// Zero in a number means the default that stands beside it. Strings are copied by cql_session_open.
struct cql_config {
    const char *const *contact_points;  // "host", "host:port", "[v6]", "[v6]:port", "v6"; names are resolved, all their addresses tried
    uint32_t contact_point_count;       // ≥ 1
    uint16_t port;                      // 9042; for contact points without one, and for hosts whose port the cluster does not tell
    const char *user;                   // NULL: none; a server that asks is then an error
    const char *password;
    struct cql_tls tls;
    const char *local_datacenter;       // NULL: that of the first host reached. Only its hosts are spoken to
    enum cql_consistency consistency;         // 0 (ANY) counts as "not set": LOCAL_QUORUM
    enum cql_consistency serial_consistency;  // 0: LOCAL_SERIAL
    enum cql_compression compression;   // LZ4 where the server has it
    uint8_t protocol_max;               // 5; 4 for the older framing
    uint32_t connections_per_host;      // 1
    uint32_t in_flight_limit;           // 128: requests unanswered per connection, ≤ 16,384
    uint32_t page_rows;                 // 5,000
    uint32_t retry_limit;               // 10: times one request is sent again
    int64_t connect_timeout_us;         // 5 s: one attempt to connect, with TLS and login
    int64_t attempt_timeout_us;         // 6 s: an answer on one connection; after it an idempotent request is sent again
    int64_t request_timeout_us;         // 20 s: a request with all its attempts and waiting; cql_session_open too
    int64_t reconnect_min_us;           // 50 ms: first pause before a host is tried again; doubled, with jitter
    int64_t reconnect_max_us;           // 5 s
    int64_t schema_agreement_us;        // 10 s: how long DDL waits for all hosts to know it; 0 as default, < 0: not at all
    uint64_t response_bytes_max;        // 256 MiB: a frame announced as larger ends the connection
    uint64_t request_bytes_max;         // 16 MiB − 1 KiB: the server's native_transport_max_frame_size, as a default
    const _Atomic int *stop;            // NULL: never
    struct memory *memory;
    struct log *log;                    // hosts lost and found again, warnings of the server (each once); NULL: silent
};

struct cql_session;

// Reaches the first contact point that answers, reads the ring and returns; other hosts of the local datacenter are connected as calls drive.
enum status cql_session_open(const struct cql_config *config, struct cql_session **out, struct error *e) WARN_UNUSED;
// Requests still unanswered get their callback with STATUS_UNREACHABLE (LEAT_CASSANDRA_UNCERTAIN if sent and not idempotent). NULL is allowed.
// No other thread may be in a call. All cursors are closed before.
void cql_session_close(struct cql_session *session);

// The server's release ("5.0.9"), negotiated protocol (5 or 4) and cluster; fixed once open.
struct cql_server {
    char release[32];
    char cluster[64];
    char datacenter[64];   // local
    uint8_t protocol;
    bool compressed;
    bool tls;
    uint32_t host_count;   // known, of all datacenters; now
    uint32_t host_up_count;  // with at least one connection; now
};
void cql_session_server(struct cql_session *session, struct cql_server *out);

struct cql_counters {
    uint64_t requests;         // answered or failed
    uint64_t statements;       // with every statement of a batch counted
    uint64_t failures;
    uint64_t retries;
    uint64_t repreparations;
    uint64_t connects;         // successful, the first included
    uint64_t connections_lost;
    uint64_t schema_changes;   // SCHEMA_CHANGE events: who keeps a schema compares this
    uint64_t bytes_sent;       // on the socket
    uint64_t bytes_received;
    uint64_t writes;           // calls of the system
    uint64_t reads;
};
void cql_session_counters(struct cql_session *session, struct cql_counters *out);

// ---- prepared statements ----

struct cql_column_spec {
    const char *keyspace;
    const char *table;
    const char *name;
    struct cql_type type;  // frozen is not known here
};

// Lives as long as its session and never changes; the same text gives the same one. Re-preparing on a server that has forgotten it, or on
// another host, is done inside; one whose values are of other types now ends in LEAT_CASSANDRA_SCHEMA_CHANGED from then on, and cql_prepare gives another. Rows of a cursor describe their columns themselves (a schema may change between two executions).
struct cql_prepared {
    const char *text;
    const struct cql_column_spec *binds;    // one per `?`, in order
    uint32_t bind_count;
    const uint16_t *partition_key;          // indices into binds, in the order of the partition key; none: not routed by token
    uint32_t partition_key_count;
    const struct cql_column_spec *columns;  // of the rows it returns
    uint32_t column_count;                  // 0: no rows
};
enum status cql_prepare(struct cql_session *session, const char *text, const struct cql_prepared **out, struct error *e) WARN_UNUSED;

// ---- requests: values are written straight into the bytes that go on the wire ----

// Begin, bind every value in order, submit or execute, which takes it over; or release it unused. Binding cannot fail where it stands: a
// lack of memory or a wrong number of values is reported in answer. The fields after "options" may be changed before submitting.
struct cql_request {
    uint8_t *bytes;            // private to cql_bind_…: values of all statements, back to back
    size_t size_bytes;         // readable: how much has been bound
    size_t capacity_bytes;
    uint32_t value_count;      // of the statement being bound
    uint32_t depth;            // values open (cql_value_open)
    uint32_t statement_count;  // readable: 1, or of the batch so far
    bool failed;               // memory was refused
    // options
    bool idempotent;           // may be sent twice; false
    bool no_token;             // do not route by partition key
    bool has_timestamp;        // send `timestamp_us` as the default timestamp of the request
    int64_t timestamp_us;
    enum cql_consistency consistency;         // CQL_CONSISTENCY_DEFAULT
    enum cql_consistency serial_consistency;  // CQL_CONSISTENCY_DEFAULT; sent with single statements and batches
    uint32_t page_rows;        // 0: the session's; used by cursors
    int64_t timeout_us;        // 0: the session's request_timeout_us
};

// NULL only if memory is refused. Requests are pooled: in a steady state none is allocated.
struct cql_request *cql_request_begin(struct cql_session *session, const struct cql_prepared *prepared);
struct cql_request *cql_request_text(struct cql_session *session, const char *text);  // values bound to its `?` are taken as they are typed by the server
enum cql_batch_kind { CQL_BATCH_LOGGED = 0, CQL_BATCH_UNLOGGED = 1, CQL_BATCH_COUNTER = 2 };
struct cql_request *cql_batch_begin(struct cql_session *session, enum cql_batch_kind kind);
void cql_batch_add(struct cql_request *batch, const struct cql_prepared *prepared);  // then bind its values; at most 65,535 statements
// Takes the last statement of a batch back, with its values: for the one that made it too big.
void cql_batch_drop_last(struct cql_request *batch);
void cql_request_release(struct cql_session *session, struct cql_request *request);  // one that was not submitted; NULL is allowed

bool cql_request_grow(struct cql_request *request, size_t extra_bytes);  // the slow way of cql_request_reserve

// Room for so many bytes at the end, or NULL (request->failed).
static inline uint8_t *cql_request_reserve(struct cql_request *r, size_t extra_bytes) {
    if (__builtin_expect(r->capacity_bytes - r->size_bytes < extra_bytes, 0) && !cql_request_grow(r, extra_bytes)) return NULL;
    uint8_t *at = r->bytes + r->size_bytes;
    r->size_bytes += extra_bytes;
    return at;
}
static inline void cql_store_16(uint8_t *at, uint16_t v) { v = __builtin_bswap16(v); memcpy(at, &v, 2); }
static inline void cql_store_32(uint8_t *at, uint32_t v) { v = __builtin_bswap32(v); memcpy(at, &v, 4); }
static inline void cql_store_64(uint8_t *at, uint64_t v) { v = __builtin_bswap64(v); memcpy(at, &v, 8); }

// Each of these is one value: of the statement, or inside cql_value_open … cql_value_close one element of a collection, field of a tuple or
// UDT. Lengths before them are written too.
static inline void cql_bind_length(struct cql_request *r, int32_t size_bytes) {  // only: the bytes follow by cql_append
    uint8_t *at = cql_request_reserve(r, 4);
    if (at) cql_store_32(at, (uint32_t)size_bytes);
    r->value_count += r->depth == 0;
}
static inline void cql_bind_null(struct cql_request *r) { cql_bind_length(r, -1); }
static inline void cql_bind_unset(struct cql_request *r) { cql_bind_length(r, -2); }  // leaves the cell as it is; not inside collections
static inline void cql_bind_bytes(struct cql_request *r, const void *bytes, size_t size_bytes) {  // text, ascii, blob, uuid (16), inet (4 or 16)
    uint8_t *at = cql_request_reserve(r, 4 + size_bytes);
    if (at) {
        cql_store_32(at, (uint32_t)size_bytes);
        if (size_bytes) memcpy(at + 4, bytes, size_bytes);
    }
    r->value_count += r->depth == 0;
}
static inline void cql_bind_int8(struct cql_request *r, int8_t v) { cql_bind_bytes(r, &v, 1); }                     // tinyint
static inline void cql_bind_bool(struct cql_request *r, bool v) { cql_bind_int8(r, v ? 1 : 0); }
static inline void cql_bind_int16(struct cql_request *r, int16_t v) {                                                // smallint
    uint8_t at[2];
    cql_store_16(at, (uint16_t)v);
    cql_bind_bytes(r, at, 2);
}
static inline void cql_bind_int32(struct cql_request *r, int32_t v) {                                                // int
    uint8_t at[4];
    cql_store_32(at, (uint32_t)v);
    cql_bind_bytes(r, at, 4);
}
static inline void cql_bind_int64(struct cql_request *r, int64_t v) {  // bigint, counter, timestamp (ms since 1970), time (ns of the day)
    uint8_t at[8];
    cql_store_64(at, (uint64_t)v);
    cql_bind_bytes(r, at, 8);
}
static inline void cql_bind_float(struct cql_request *r, float v) {
    int32_t bits;
    memcpy(&bits, &v, 4);
    cql_bind_int32(r, bits);
}
static inline void cql_bind_double(struct cql_request *r, double v) {
    int64_t bits;
    memcpy(&bits, &v, 8);
    cql_bind_int64(r, bits);
}
static inline void cql_bind_date(struct cql_request *r, int32_t days) {  // since 1970-01-01
    cql_bind_int32(r, (int32_t)((uint32_t)days + 0x80000000u));
}
void cql_bind_varint(struct cql_request *r, decimal v);
void cql_bind_decimal(struct cql_request *r, decimal unscaled, int32_t scale);

// A value made of values. Write the length by cql_value_close when it is done; `mark` pairs them.
//     list, set: size_t m = cql_value_open(r); cql_append_count(r, n); cql_bind_… n times; cql_value_close(r, m);
//     map:       … cql_append_count(r, n); key, value, key, value …
//     tuple, UDT: fields in order, no count;      vector: cql_append of fixed elements, or cql_vector_bytes for each varying one
static inline size_t cql_value_open(struct cql_request *r) {
    size_t mark = r->size_bytes;
    cql_bind_length(r, 0);
    r->depth++;
    return mark;
}
static inline void cql_value_close(struct cql_request *r, size_t mark) {
    r->depth--;
    if (!r->failed) cql_store_32(r->bytes + mark, (uint32_t)(r->size_bytes - mark - 4));
}
static inline void cql_append(struct cql_request *r, const void *bytes, size_t size_bytes) {
    uint8_t *at = cql_request_reserve(r, size_bytes);
    if (at && size_bytes) memcpy(at, bytes, size_bytes);
}
static inline void cql_append_count(struct cql_request *r, uint32_t count) {
    uint8_t *at = cql_request_reserve(r, 4);
    if (at) cql_store_32(at, count);
}
void cql_vector_bytes(struct cql_request *r, const void *bytes, size_t size_bytes);  // one element of a vector whose elements vary in size

// ---- asynchronous ----

// `error` is NULL when the server has carried it out; else valid during the call. A result's rows are not kept (cql_execute is for those).
typedef void (*cql_done)(void *context, const struct error *error);

// Takes the request over. Waits (and drives) while every connection it may use is full, or none is up; then returns, usually before the answer. All
// outcomes are told to the callback, which may run before this returns. Frames are gathered: what is not sent yet goes out when some have come
// together, when nothing is under way, or with the next wait.
void cql_submit(struct cql_session *session, struct cql_request *request, cql_done on_done, void *context);

// Until everything submitted, by any thread, has had its callback.
void cql_drain(struct cql_session *session);
// Sends what waits to be sent, and takes what has come; waits at most timeout_us (0: not at all) for something to come.
void cql_pump(struct cql_session *session, int64_t timeout_us);
uint32_t cql_in_flight(struct cql_session *session);  // submitted, without callback yet

// ---- synchronous ----

// Runs it to its end. Rows it returns are dropped; DDL waits until all hosts up agree on the schema.
enum status cql_execute(struct cql_session *session, struct cql_request *request, struct error *e) WARN_UNUSED;
enum status cql_query(struct cql_session *session, const char *text, struct error *e) WARN_UNUSED;  // the same for text without values

// The rows of a request, page by page. The request is taken over in every case and kept until the cursor is closed.
struct cql_cursor {
    const struct cql_column_spec *columns;  // of the current page
    uint32_t column_count;                  // 0: no rows (an INSERT …)
    const struct cql_value *values;         // of the current row, column_count; they point into `page`
    struct buffer *page;                    // buffer_ref it to keep values beyond the next cql_cursor_next
    bool last_page;
};
enum status cql_cursor_open(struct cql_session *session, struct cql_request *request, struct cql_cursor **out, struct error *e) WARN_UNUSED;
// Asks for the next page when this one is done. *found false: there are no more rows.
enum status cql_cursor_next(struct cql_cursor *cursor, bool *found, struct error *e) WARN_UNUSED;
void cql_cursor_close(struct cql_cursor *cursor);  // NULL is allowed

// A conditional statement (IF …): *applied is the column [applied] of its row. Never sent twice unless marked idempotent.
enum status cql_execute_conditional(struct cql_session *session, struct cql_request *request, bool *applied, struct error *e) WARN_UNUSED;

// ---- schema ----

enum cql_column_role { CQL_PARTITION_KEY, CQL_CLUSTERING, CQL_STATIC, CQL_REGULAR };

struct cql_table_column {
    const char *name;
    enum cql_column_role role;
    uint32_t position;       // among the partition key or clustering columns
    bool descending;         // clustering order
    const char *type_text;   // as the server writes it
    struct cql_type type;    // with frozen-ness
};
struct cql_table {
    const char *keyspace;
    const char *name;
    struct cql_table_column *columns;  // partition key in order, clustering in order, then static, then regular by name
    uint32_t column_count;
    uint32_t partition_key_count;
    uint32_t clustering_count;
    bool is_view;                      // a materialized view of the server: cannot be written
    bool is_counter;
    int32_t default_ttl_s;             // 0: none
    const char *comment;
};
struct cql_keyspace {
    const char *name;
    const char *strategy;              // "SimpleStrategy", "NetworkTopologyStrategy", …
    const char *replication;           // CQL map, as CREATE KEYSPACE takes it
    bool durable_writes;
    const struct cql_udt *udts;
    uint32_t udt_count;
};
// Names as stored (case matters, no quotes). *out is NULL when there is none. All in the arena.
enum status cql_read_keyspace(struct cql_session *session, struct arena *arena, const char *keyspace, struct cql_keyspace **out,
                              struct error *e) WARN_UNUSED;
enum status cql_read_table(struct cql_session *session, struct arena *arena, const char *keyspace, const char *table, struct cql_table **out,
                           struct error *e) WARN_UNUSED;
// Names of the tables of a keyspace (for suggestions).
enum status cql_list_tables(struct cql_session *session, struct arena *arena, const char *keyspace, const char ***names, uint32_t *count,
                            struct error *e) WARN_UNUSED;
enum status cql_list_keyspaces(struct cql_session *session, struct arena *arena, const char ***names, uint32_t *count, struct error *e) WARN_UNUSED;

// A name as CQL text: bare where it may stand bare, else quoted. And a string literal.
enum status cql_append_name(struct buffer *out, const char *name) WARN_UNUSED;
enum status cql_append_literal(struct buffer *out, const char *text, size_t size_bytes) WARN_UNUSED;

// ---- routing ----

// Murmur3 x64 128 as Cassandra computes it (tail bytes sign-extended), first half; the token of a partition key's bytes. One column: its bytes;
// several: for each its length (16 bits), its bytes, a zero byte.
int64_t cql_token(const void *key, size_t size_bytes);
// Of the values bound to the request's first statement; false: no partition key among them, or one is NULL.
bool cql_request_token(const struct cql_request *request, int64_t *token);
// A number that is equal for partitions kept by the same hosts of the local datacenter (index of the token's range): what a batch should not mix.
// 0 while the ring is one host.
uint32_t cql_token_range(struct cql_session *session, int64_t token);
