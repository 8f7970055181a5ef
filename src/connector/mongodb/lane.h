// SPDX-License-Identifier: Apache-2.0
// lane.h: the store of the MongoDB sink and its lanes. A row goes to the lane that the hash of its `_id` says; a lane has a thread, a connection, a
// session, and one document in `leat_pipeline` that says which epoch it has last.
//
//     write (workers) ─► rows as statements ─► parcel of a table, lane and kind ─► queue of the lane ─► its thread: insert, update, delete
//
//     TRANSACTION  the rows, then the lane's record (conditional on its owner), commit: all or nothing. An epoch that is too large for one (or too
//                  long: transaction_bytes, TRANSACTION_US) is written in parts: the transaction is committed with the record checked, not advanced,
//                  and another goes on. Then, and in the epoch after a large one, inserts that meet no open transaction are written as in PLAIN: that costs
//                  the server half as much, and an insert overwrites nothing. (Never beside an open one: the server, short of cache, would wait for
//                  that one to end.) Updates and deletes stay inside: what an older process still sends never lands on newer rows
//     PLAIN        rows by themselves, each deterministic, so that writing them again changes nothing; then the record. For a server without
//                  transactions, and for an epoch with a document that the server refuses: that ends a transaction at once, while an unordered
//                  write goes on and names them all
//
// A lane whose transaction is lost does the epoch's rows again from the batches, which are held until the epoch ends (lane_flush): parts that were
// committed are written the same again, and what is refused is told once, after flush. After a lost connection the epoch is run again by the stream;
// lanes that have it are passed over.
//
// Lanes keep step, by short commands and short queues: the search for a key that is not there yet walks over all that other lanes have written next to
// it and not committed, which made an upsert of ascending keys four times as dear as one by itself when a lane was 20,000 rows ahead.
//
// Who owns the records: each start claims every lane's (record.c), which ends the sessions of whoever had them before.
//
// Locks: a lane's mutex guards its queue, the parcels being filled for it, and what its thread is doing; the store's guards the held batches.
// A lane's connection, mode and refusals belong to its thread while it has work, else to the thread that drives the store.
#pragma once
#include "base/vector.h"
#include "connector/mongodb/client.h"
#include "connector/mongodb/encode.h"
#include <pthread.h>

enum { LANES_MAX = 16, PARCEL_BYTES = 1 << 20, INSERT_ROWS = 8192, UPDATE_ROWS = 200, QUEUE_PARCELS = 2, TRANSACTION_TRIES = 3 };
enum { TRANSACTION_BYTES = 4 << 20, TRANSACTION_BYTES_LEAST = 1 << 20 };  // of all lanes: uncommitted rows must fit into a part of the server's cache
static const int64_t TRANSACTION_US = INT64_C(15000000);  // a quarter of the server's transactionLifetimeLimitSeconds

enum statement_kind { STATEMENT_INSERT, STATEMENT_UPDATE, STATEMENT_DELETE, STATEMENT_KINDS };

struct mongodb_table;
struct mongodb_store;

struct statement_row {             // which row a statement is of
    uint32_t held;                 // index into the store's held batches
    uint32_t row;
};
struct parcel {                    // statements for one command
    struct mongodb_table *table;
    enum statement_kind kind;
    struct buffer bytes;           // BSON documents one after another
    struct vector rows;            // struct statement_row, one a document
    struct parcel *next;
};
static inline bool parcel_is_full(const struct parcel *p) {
    return p->bytes.size_bytes >= PARCEL_BYTES || p->rows.count >= (p->kind == STATEMENT_INSERT ? INSERT_ROWS : UPDATE_ROWS);
}
struct held_batch {
    struct mongodb_table *table;
    struct batch *batch;           // reference
    refuse_row refuse;
    void *context;
};
struct lane_refusal {
    struct statement_row at;
    int32_t code;                  // the server's
    char index[80];                // that says it is there already; ""
};

struct lane;
enum lane_mode { LANE_UNTOUCHED, LANE_TRANSACTION, LANE_PLAIN };
typedef enum status (*lane_job)(struct mongodb_store *s, struct lane *lane, struct error *e);

struct lane {
    struct mongodb_store *store;
    uint32_t index;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct parcel *first, *last;   // queue
    uint32_t queued;
    lane_job job;                  // to be run when the queue is empty
    bool busy, closing;
    struct error error;            // of the running epoch; status OK: none
    // the thread's
    struct mongodb_client *client; // NULL: not connected
    enum lane_mode mode;           // of the running epoch
    bool skipped;                  // it has the epoch already
    bool redo;                     // the rows are to be written again, in redo_mode; what comes until then is dropped
    enum lane_mode redo_mode;
    uint32_t tries;                // transactions of this epoch that were lost
    bool in_transaction;
    bool large;                    // the epoch: inserts are written outside of transactions, where none is open
    bool again;                    // rows of the epoch may be there, by a run that did not come to its end: an insert would end a transaction
    int64_t begun_us;              // of the transaction, monotonic
    size_t transaction_bytes;      // of the statements in it
    size_t epoch_bytes, last_bytes;  // of the statements of this epoch and of the one before
    struct vector refusals;        // struct lane_refusal
    struct buffer command, reply, scratch;
    struct sink_record record;     // as it is in leat_pipeline
};

struct mongodb_store {
    struct store store;            // first
    struct memory *memory;
    struct arena arena;
    struct mongodb_config config;
    struct log *log;
    const _Atomic int *stop;
    uint8_t pipeline[16];
    char uuid[40];                 // the same as text
    uint64_t owner;                // drawn at random: this process' mark in the records
    bool transactions;             // the deployment has them
    _Atomic size_t transaction_bytes;  // what a lane's transaction may have; halved when the server could not hold one
    _Atomic bool claimed;          // every lane's record is ours, its session that of the lane's client
    _Atomic uint64_t writing;      // last epoch of which rows may be there before it is committed: parts, plain rows
    bool collection_made;          // leat_pipeline is there
    _Atomic bool abandoned;        // a lane did not come back when leat was to stop: nothing of this may be given back
    uint32_t wanted_lanes;         // by option
    uint32_t lane_count;
    struct lane *lanes;            // LANES_MAX
    struct sink_record found;      // least of the records, as last read
    bool found_any;
    uint64_t beginning;            // the epoch in which rows of `begun_tables` were first written
    struct buffer begun_tables;    // their collections, an array of BSON
    struct sink_epoch epoch;       // that runs
    bool begun;
    pthread_mutex_t mutex;
    struct vector held;            // struct held_batch
    struct mongodb_table *tables;  // list, by next
};

struct mongodb_table {
    struct sink sink;              // first
    struct mongodb_store *owner;
    struct arena arena;
    struct mongodb_config config;
    struct encoder encoder;
    bool marked;                   // among the record's tables, or known to need no mark
    bool literal;                  // a column's name begins with '$': a replacement must be a pipeline with $literal
    struct parcel *filling[LANES_MAX][STATEMENT_KINDS];
    struct mongodb_table *next;
};

// lane.c
enum status lane_start(struct mongodb_store *s, uint32_t index, struct error *e) WARN_UNUSED;
bool lane_end(struct lane *lane);  // false: its thread hangs; it was left alone
// Gives each lane with its bit in `which` a job, and waits for all. What went wrong first; STATUS_UNREACHABLE if leat is to stop meanwhile.
enum status lanes_do(struct mongodb_store *s, uint64_t which, lane_job job, struct error *e) WARN_UNUSED;
// Puts a statement into the lane's parcels, waits while its queue is full. Workers; the lane's mutex is held.
enum status lane_put(struct lane *lane, struct mongodb_table *table, enum statement_kind kind, const uint8_t *document, struct statement_row at, struct error *e) WARN_UNUSED;
enum status lane_check(struct lane *lane, struct error *e) WARN_UNUSED;  // the epoch's error so far
void lane_hand_over(struct lane *lane);      // what is filled, to the queue; the lane's mutex is held
void lane_drop_parcels(struct lane *lane);
struct parcel *parcel_new(struct mongodb_store *s, struct mongodb_table *table, enum statement_kind kind);
void parcel_free(struct mongodb_store *s, struct parcel *p);
enum status parcel_add(struct parcel *p, const uint8_t *document, struct statement_row at) WARN_UNUSED;

// lane_write.c: run by a lane's thread
enum status lane_send(struct lane *lane, struct parcel *p, struct error *e) WARN_UNUSED;
enum status lane_flush(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;   // writes again what is to be; all but the commit
enum status lane_commit(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;
enum status lane_abort(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;
// A failure that ends the epoch: the connection is given up where it may be broken, and with it the claim.
enum status lane_fail(struct lane *lane, const struct mongodb_failure *f, const char *doing, struct error *e) WARN_UNUSED;

// lane_duplicate.c: of the inserts at `positions`, refused as duplicates, those whose document is there byte for byte are ours, written by an
// earlier run of the epoch: positions[i] becomes UINT32_MAX.
enum status lane_check_duplicates(struct lane *lane, const struct parcel *p, uint32_t *positions, uint32_t count, struct error *e) WARN_UNUSED;

// record.c: leat_pipeline. By lane 0's thread but for connect
enum status lane_connect(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;
enum status record_find(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;   // hello and the records: found, lane_count
enum status record_claim(struct mongodb_store *s, struct lane *lane, struct error *e) WARN_UNUSED;  // of all lanes, which are connected
// STATUS_CONFLICT where a record is of the running epoch by another intent, or of a later one.
enum status record_check(const struct mongodb_store *s, const struct sink_record *found, struct error *e) WARN_UNUSED;
// If the lane's record is still ours, it becomes the epoch's (done), or says that the epoch is being written. Within the lane's transaction, or by
// itself with the write concern. f->kind is set where a command failed.
enum status record_write(struct lane *lane, bool done, bool in_transaction, struct mongodb_failure *f, struct error *e) WARN_UNUSED;
// Before the first row of a table: what is in its collection from now on is ours, though no epoch with it may ever have been committed.
enum status record_mark_table(struct mongodb_table *t, struct error *e) WARN_UNUSED;
bool record_has_table(const struct mongodb_store *s, const char *collection);  // and nothing of it is committed
enum status put_write_concern(struct mongodb_store *s, struct buffer *command) WARN_UNUSED;

// mongodb_sink.c: statements of a batch's rows for one lane, into parcels that `put` takes
typedef enum status (*put_statement)(void *context, uint32_t lane, enum statement_kind kind, const uint8_t *document, uint32_t row, struct error *e);
enum status table_encode(struct mongodb_table *t, const struct batch *b, uint32_t only_lane, struct buffer *scratch, put_statement put, refuse_row refuse,
                         void *refuse_context, void *context, struct error *e) WARN_UNUSED;
