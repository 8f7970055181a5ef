// SPDX-License-Identifier: Apache-2.0
// cassandra_sink.h: a store (one session, one row of leat_pipeline) and its tables.
//
//     write   row ─► bound ─► token ─► group of the same replicas ─► unlogged batch ─► in flight      by many workers
//     flush   all answered; batches refused for a value are done again row by row; the row that is to blame is handed back
//     commit  UPDATE leat_pipeline SET epoch, digest: plainly, after every row is acknowledged
//
// Everything written carries the clock of the epoch as its timestamp, so writing an epoch again changes nothing. `owner` of the record is
// written by lightweight transactions alone, one a start; each epoch reads it beside its rows, and a process that finds another's name there
// ends.
#pragma once
#include "connector/cassandra/cassandra.h"
#include "connector/cassandra/cassandra_value.h"
#include <pthread.h>

enum { CASSANDRA_BATCH_ROWS_MAX = 100, CASSANDRA_OWNER_BYTES = 160 };

struct cassandra_parcel;

struct cassandra_store {
    struct store store;                // first
    struct memory *memory;
    struct arena arena;
    struct sink_request any;           // of the table that opened it
    struct cassandra_settings settings;
    struct cql_session *session;
    uint8_t pipeline[16];
    char owner[CASSANDRA_OWNER_BYTES]; // this process
    enum cql_consistency record_consistency, serial_consistency;
    const struct cql_prepared *read_record, *write_record, *claim;
    struct sink_epoch epoch;           // that runs
    pthread_mutex_t mutex;             // of what follows: callbacks come in any thread
    struct cassandra_parcel *spare;
    struct cassandra_parcel *failed;   // answered with an error, not settled yet
    uint32_t failed_count;
};

struct cassandra_sink_column {
    struct cassandra_encoder encoder;
    bool is_key;
};

struct cassandra_table {
    struct sink sink;                  // first
    struct cassandra_store *owner;
    struct arena arena;
    struct cassandra_settings settings;
    struct cassandra_sink_column *columns;  // by ordinal of the schema
    const char **names;                // as the server has them
    bool single_partition_key;         // one column: it cannot be empty
    uint32_t partition_ordinal;        // that column
    const struct cql_prepared *insert, *remove;
};

// --- cassandra_record.c ---

// Finds or makes leat_pipeline, takes it over. *found: it has an epoch of this pipeline.
enum status cassandra_record_open(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) WARN_UNUSED;
// Reads it again: STATUS_CONFLICT if it is another's now.
enum status cassandra_record_read(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) WARN_UNUSED;
enum status cassandra_record_write(struct cassandra_store *s, const struct sink_record *record, struct error *e) WARN_UNUSED;
// Whose the record is: STATUS_CONFLICT names another. Asked while rows are in flight, it costs no time.
enum status cassandra_fence_check(struct cassandra_store *s, struct error *e) WARN_UNUSED;

// --- cassandra_match.c ---

// Reads the table's schema, makes it where that is wanted, and matches it with the query's columns: fills names and columns of `t`.
enum status cassandra_match(struct cassandra_table *t, struct error *e) WARN_UNUSED;
// As cassandra_match, but looks only: whether the table still fits.
enum status cassandra_match_again(const struct cassandra_table *t, struct error *e) WARN_UNUSED;

// --- cassandra_write.c ---

enum status cassandra_write(struct cassandra_table *t, struct batch *b, refuse_row refuse, void *context, struct error *e) WARN_UNUSED;
// Deals with what was answered by an error: STATUS_OK: refused rows are handed back, the rest is written.
enum status cassandra_settle(struct cassandra_store *s, struct error *e) WARN_UNUSED;
void cassandra_forget_failures(struct cassandra_store *s);
void cassandra_free_parcels(struct cassandra_store *s);
