// SPDX-License-Identifier: Apache-2.0
// cql_internal.h: what a session is made of. Private to the folder.
//
//     session ── hosts ── connections ── streams[i] ── call         in flight: sent, or in the frames that are about to be
//        │                                              ▲
//        ├─ queue      calls without a connection: retried ones, all hosts down ┘
//        ├─ finished   answered, callback not run yet
//        └─ pool       calls at rest, with their buffers
//
// Lock. One mutex guards all of it but a request under construction. It is not held while a thread polls and while callbacks run. `driving`: a thread is in
// cql_drive; only that thread takes connections apart, others mark them broken and wake it. Pointers to hosts are good for the session's life; to
// connections while the lock is held.
//
// A call is in exactly one place: pool, being built, queue, a stream, a connection's waiters (for a re-prepare), finished, or its synchronous caller's hands.
#pragma once
#include "base/random.h"
#include "base/threads.h"
#include "base/vector.h"
#include "cql/cql_message.h"
#include "cql/cql_segment.h"
#include <sys/socket.h>

#define US_PER_S INT64_C(1000000)
enum { FACTOR_MAX = 32 };

struct call;
struct connection;
struct host;
struct tls_context;
struct tls_stream;

struct prepared {
    struct cql_prepared public;    // first; never changes
    struct arena arena;
    struct cql_id id;
    struct cql_id result_id;       // under the lock, as `columns`: a server may replace them
    struct cql_columns *columns;
    struct cql_columns *first_columns;  // that `public` shows
    _Atomic bool outdated;         // its values are of other types now: bytes of the old ones could be taken for something else, so it is not sent again
    struct prepared *next;
};

struct statement {
    const struct prepared *prepared;  // NULL: text
    char *text;                       // owned
    size_t begin;                     // of its values in the request's bytes
    uint32_t value_count;
};

typedef void (*internal_done)(struct cql_session *s, struct call *c);  // under the lock; takes the call over

enum call_place { CALL_BUILDING, CALL_QUEUED, CALL_IN_STREAM, CALL_WAITS_PREPARE, CALL_FINISHED };

struct call {
    struct cql_request request;    // first
    struct cql_session *session;
    struct call *next;             // in whatever list it is
    struct vector statements;      // of struct statement
    uint8_t opcode;                // CQL_OP_EXECUTE, QUERY, BATCH; of internal ones also PREPARE, REGISTER
    enum cql_batch_kind batch_kind;
    const char *prepare_text;      // of PREPARE; the caller's
    struct prepared *target;       // of a PREPARE done again, and of the calls that wait for it
    // how it ends
    cql_done on_done;
    void *context;
    internal_done internal;        // instead of on_done
    bool synchronous;              // instead of both: the caller waits for CALL_FINISHED and takes it
    // the way it goes
    enum call_place place;
    struct connection *connection;  // CALL_IN_STREAM, CALL_WAITS_PREPARE
    uint16_t stream;
    uint64_t sequence;             // of its frame on the connection; ≤ sealed_count: it may have reached the server
    bool has_token;
    int64_t token;
    struct connection *pinned;     // NULL: any; it fails when that one is lost
    struct host *host;             // that it was sent to last
    uint32_t retries;
    uint32_t repreparations;
    int64_t deadline_us;
    int64_t attempt_deadline_us;
    int64_t not_before_us;         // in the queue
    // paging, in
    const uint8_t *paging_state;
    uint32_t paging_state_bytes;
    int32_t page_rows;
    struct cql_columns *skipped;   // metadata that was asked not to be sent
    // answer
    enum cql_result_kind kind;     // 0: none
    uint8_t answered_version;      // of the protocol
    struct host *answered_by;
    bool keep_body;
    struct buffer *body;           // of a RESULT after its kind, when keep_body
    struct error *error;           // NULL: none; owned
    bool error_lost;               // there was no memory for it
};

enum connection_state {
    CONNECTION_CONNECTING,  // TCP
    CONNECTION_TLS,
    CONNECTION_OPTIONS,     // asked
    CONNECTION_STARTUP,
    CONNECTION_LOGIN,
    CONNECTION_READY,
};

// A call that was abandoned leaves its stream taken until the answer comes.
#define STREAM_ABANDONED ((struct call *)1)

struct connection {
    struct cql_session *session;
    struct host *host;
    struct connection *next;       // of the host
    int fd;
    enum connection_state state;
    struct tls_stream *tls;        // NULL: plain
    uint8_t version;
    bool lz4;
    bool broken;                   // with `reason`; taken apart by the driving thread
    bool registered;               // for events
    bool congested;                // was full; until a quarter of the streams is free
    struct error reason;
    struct cql_receiver receiver;
    struct buffer frames;          // not sealed
    uint64_t encoded_count;        // frames put into it so far
    uint64_t sealed_count;         // and sealed
    struct buffer wire;            // sealed, to be written
    size_t wire_begin;
    struct call **streams;         // in_flight_limit of them
    uint16_t *free_streams;
    uint32_t free_count;
    uint32_t in_flight;            // taken streams, abandoned ones too
    uint32_t abandoned;
    struct call *waiters;          // CALL_WAITS_PREPARE: each for the PREPARE of its target that is under way here
    int64_t connect_deadline_us;
    int64_t began_us;
    int64_t last_received_us;
};

struct host {
    struct host *next;
    struct sockaddr_storage address;
    socklen_t address_bytes;
    char text[80];                 // "127.0.0.1:9042"
    char *name;                    // of the contact point that led here, for the certificate; NULL: discovered, its address counts
    char *datacenter;              // "" until known
    char *rack;
    bool contact;                  // a contact point: tried too when no other host answers
    bool in_ring;                  // of the last look at the ring
    uint32_t token_count;          // in it
    bool spoken_to;                // of the local datacenter, or a contact point before that is known
    bool was_up;
    uint32_t index;
    struct connection *connections;
    uint32_t ready_count;
    uint32_t failures;             // in a row
    int64_t next_attempt_us;
    struct error last_error;       // of the last attempt; status OK: none
};

struct ring_token {
    int64_t token;
    struct host *host;
};

struct replication {
    struct replication *next;
    char *keyspace;
    bool simple;
    bool network;                  // neither: every host is as good
    uint32_t factor;               // of simple; of network: in the local datacenter; at most FACTOR_MAX
    // of this ring; a place's hosts are found when they are first asked for
    uint32_t copies;               // factor, or as many hosts as there are
    uint32_t rack_repeats;         // of network: how many copies may lie in a rack that has one already
    struct host **replicas;        // [ring_count][copies]; NULL: nobody has asked yet
    size_t replicas_bytes;
};

struct cql_session {
    struct cql_config config;      // with the defaults filled in; strings are in `arena`
    struct memory *memory;
    struct arena arena;
    struct tls_context *tls;
    struct cql_crc32 crc;
    pthread_mutex_t lock;
    pthread_cond_t moved;          // something was answered, connected, lost
    struct notify wake;            // ends the driving thread's poll
    bool driving;
    bool polling;                  // the driving thread is in poll(2), without the lock
    bool pacing;                   // a submitter waits for room: answers are let gather before the next look
    uint64_t last_answers;         // of the last look
    bool closing;
    uint8_t version;               // 5, or 4 once a server wanted that
    struct random random;
    // hosts
    struct host *hosts;
    uint32_t host_count;
    uint32_t ready_count;          // connections
    uint32_t next_host;            // round robin
    struct connection *control;
    bool refreshing;
    int64_t refresh_due_us;        // 0: not due
    struct call *refresh_parts[3];  // answers so far: local, peers, keyspaces
    uint32_t refresh_count;
    bool peers_old;                // system.peers_v2 is not there
    bool ring_known;
    struct error fatal;            // what only a person can mend: login, certificate
    struct ring_token *ring;
    uint32_t ring_count;
    struct replication *replications;
    char *local_datacenter;        // NULL until known
    char release[32];
    char cluster[64];
    // calls
    struct call *queue;
    struct call **queue_end;
    uint32_t queue_count;
    struct call *finished;
    struct call **finished_end;
    struct call *pool;
    uint32_t unfinished;           // taken over, without callback yet
    struct prepared *prepared;
    struct cql_counters counters;
    struct log *log;
    struct pollfd *polls;          // scratch of the driving thread
    struct connection **polled;
    uint32_t poll_capacity;
    int64_t next_resolve_us;       // of the contact points, while no host answers
    int64_t next_sweep_us;         // of the time limits of all streams
    char *last_warning;            // of the server, said once
};

// ---- cql_request.c ----
struct call *call_take(struct cql_session *s);          // from the pool, under the lock; NULL: no memory
struct call *call_new(struct cql_session *s);           // the same, without the lock
void call_recycle(struct cql_session *s, struct call *c);  // under the lock
void call_free(struct cql_session *s, struct call *c);
enum status call_check(struct call *c, struct error *e);  // after the last value: counts, sizes, token
enum status call_encode(struct call *c, struct connection *connection, struct buffer *out);

// ---- cql_connection.c ----
struct connection *connection_new(struct cql_session *s, struct host *h);  // starts to connect; NULL: h->last_error
void connection_free(struct connection *c);             // its calls are gone
void connection_break(struct connection *c, const struct error *reason);
bool connection_has_room(const struct connection *c);
enum status connection_send(struct connection *c, struct call *call);  // STATUS_NO_MEMORY, STATUS_LIMIT
void connection_flush(struct connection *c);            // seals and writes what it can
void connection_readable(struct connection *c);
void connection_writable(struct connection *c);
bool connection_wants_write(const struct connection *c);

// ---- cql_answer.c ----
enum status connection_take_frame(struct connection *c, const struct cql_frame *f, struct error *e);  // an answer, or an event
void connection_release_stream(struct connection *c, uint16_t stream);

// ---- cql_prepare.c ----
bool call_is_outdated(const struct call *call, struct error *e);  // a statement of it is not to be sent any more
bool call_waits_for_prepare(struct connection *c, struct call *call);  // true: it waits there with others for a statement that is being prepared again
void call_unprepared(struct connection *c, struct call *call, const struct cql_id *id);  // the server has forgotten a statement of it
void prepared_replace_columns(struct prepared *p, const struct cql_id *result_id, struct cql_columns *columns);
void prepared_free(struct cql_session *s, struct prepared *p);

// ---- cql_drive.c ----
void session_lock(struct cql_session *s);
void session_unlock(struct cql_session *s);
bool session_stopped(const struct cql_session *s);
void session_wait(struct cql_session *s, int64_t until_us);  // drives, or waits for who drives; runs callbacks. The lock is let go inside
void session_wake(struct cql_session *s);
void call_start(struct cql_session *s, struct call *c);   // under the lock: to a connection, or into the queue
// Starts it and waits until it is finished; its answer stays in it. Under the lock, which is let go meanwhile.
enum status call_run(struct cql_session *s, struct call *c, struct error *e) WARN_UNUSED;
void call_finish(struct cql_session *s, struct call *c);
void call_fail(struct cql_session *s, struct call *c, const struct error *e);
void call_lost(struct cql_session *s, struct call *c, const struct error *reason);  // connection gone, or no answer in time
void call_retry(struct cql_session *s, struct call *c, int64_t pause_us, const struct error *reason);  // or fails with it, where it has had its chances
void run_callbacks(struct cql_session *s);                // under the lock, which is let go meanwhile
void error_unreachable(struct cql_session *s, struct error *e);  // names hosts and reasons
const char *call_text(const struct call *c);              // of its first statement, for messages

// ---- cql_ring.c ----
void ring_refresh(struct cql_session *s);                 // asks the control connection
void ring_event(struct cql_session *s, const struct cql_event *event);
void ring_release(struct cql_session *s);
struct host *host_find(struct cql_session *s, const struct sockaddr_storage *address);
struct host *host_add(struct cql_session *s, const struct sockaddr_storage *address, socklen_t address_bytes, const char *name);

// ---- cql_route.c ----
struct host *const *ring_replicas(struct cql_session *s, const char *keyspace, int64_t token, uint32_t *count);
struct connection *ring_choose(struct cql_session *s, struct call *c);  // ready and with room; NULL: none now

struct connection *host_connection(const struct host *h);  // with room, the one with the least under way; NULL: none

// ---- cql_page.c ----
// The rows of one answer. Values point into the body; the columns are those that came with it, or `skipped`.
struct page {
    struct memory *memory;
    struct cql_columns *columns;
    struct cql_id result_id;       // not empty: the columns replace those of the statement
    struct cql_value *values;      // columns->count
    uint32_t rows_left;
    struct cql_reader reader;
    struct cql_value paging_state;
};
enum status page_open(struct page *p, struct memory *memory, const struct buffer *body, struct cql_columns *skipped, struct error *e);
enum status page_next(struct page *p, bool *found, struct error *e);
void page_close(struct page *p);
struct cql_value page_value(const struct page *p, const char *column);  // of the current row; NULL value: none of that name
struct call *call_of_text(struct cql_session *s, const char *text);     // under the lock; idempotent, keeps its body; NULL: no memory

// ---- cql_session.c ----
enum status contacts_resolve(struct cql_session *s, struct error *e);   // under the lock, which is let go meanwhile
void contacts_resolve_again(struct cql_session *s, int64_t now_us);     // names may lead elsewhere by now

// ---- cql_tls.c ----
enum status tls_context_new(const struct cql_tls *config, struct memory *memory, struct tls_context **out, struct error *e);
void tls_context_free(struct tls_context *t);
struct tls_stream *tls_stream_new(struct tls_context *t, const char *name, const struct sockaddr_storage *address, struct error *e);
void tls_stream_free(struct tls_stream *t);
// Handshake over memory: `in` came from the socket, what is to be sent is appended to `out`. *done: it is complete.
enum status tls_handshake(struct tls_stream *t, struct buffer *out, bool *done, struct error *e);
enum status tls_came(struct tls_stream *t, const void *bytes, size_t size_bytes, struct error *e);
enum status tls_encrypt(struct tls_stream *t, const void *bytes, size_t size_bytes, struct buffer *out, struct error *e);
// As many plain bytes as are there, at most size_bytes; *closed: the other side ended the stream.
enum status tls_decrypt(struct tls_stream *t, void *bytes, size_t size_bytes, size_t *got, bool *closed, struct buffer *out, struct error *e);
