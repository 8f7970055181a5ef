// SPDX-License-Identifier: Apache-2.0
// sink.h: the contract of everything leat writes to.
//
// A `store` is what commits at once (a SQLite file, a Kafka producer, a Cassandra keyspace) and remembers the last epoch it has; a `sink` is
// one table in it. The stream layer drives:
//
//     check (plan time) ─► store_open → record found ─► sink_open …
//     per epoch:  begin ─► write… ─► flush ─► commit      or   abort, after which `begin` of the same epoch may follow
//
// write() is called by many workers at once (of a SINK_ORDERED class by one after another, in order); everything else by one thread. Only
// write may wait for the outside.
#pragma once
#include "base/log.h"
#include "column/batch.h"
#include "expr/kernel.h"
#include "plan/option.h"
#include "plan/source.h"

enum sink_capability {
    SINK_APPENDS = 1 << 0,
    SINK_UPSERTS = 1 << 1,
    SINK_DELETES = 1 << 2,
    SINK_TRANSACTIONAL = 1 << 3,   // commit is all or nothing and carries the record
    SINK_FORGETFUL = 1 << 4,       // keeps no record: at-least-once (console, noop, memory)
    SINK_KEYLESS_RETRACTS = 1 << 5,  // can delete one of several equal rows (the catalog)
    SINK_KEEPS = 1 << 7,           // leat does not empty it (a topic): a refresh is refused unless it is empty
    SINK_ORDERED = 1 << 6,         // the order of rows is seen (a topic): write gets them in the order of their source partitions
};

// What a store remembers, written in the same transaction as the rows.
struct sink_record {
    uint8_t pipeline[16];          // UUID of the data folder
    uint64_t incarnation;
    uint64_t epoch;                // 0: claimed, nothing written yet
    uint64_t digest;               // of the epoch's intent
};

// An epoch as a sink sees it. The same on every run of it but for the attempt and, after a restart, the record's incarnation.
struct sink_epoch {
    struct sink_record record;     // that its commit will carry
    int64_t clock_us;              // of the intent, since 1970 UTC: later than that of any earlier epoch
    uint32_t attempt;              // 1: the first run
};

struct sink_request {
    const char *table_name;        // as in SQL
    const char *flow_name;
    struct option_set options;
    const struct type *schema;     // STRUCT: columns written, in order
    const uint32_t *key;           // ordinals of the key columns; the rows' identity
    uint32_t key_count;            // 0: none
    bool single_row;               // a key of no columns: the table holds at most one row (a global aggregate)
    bool retracts;                 // rows may come with weight −1: with a key (or single_row) as consolidated upserts (+1) and deletes (−1),
                                   // one per key and epoch; without, each −1 takes away one row equal to it
    bool upserts;                  // a streaming table with a declared key: consolidated upserts (+1)
    bool materialized;             // a materialized view's target
    bool replace;                  // leat.replace: empty a foreign target
    const char *const *source_names;   // by index, as in struct origin
    uint32_t source_count;
    const char *base_folder;
    const char *data_folder;
    const struct session *session;
    struct memory *memory;
    struct log *log;
    const _Atomic int *stop;       // non-zero: leat is to stop; what waits for the outside gives up soon, with STATUS_UNREACHABLE. NULL: never
    void *host;                    // as in struct source_request
};

struct store {
    const struct sink_class *class;
    const char *identity;          // the same for tables that commit together
    bool forgetful;                // as SINK_FORGETFUL, where it is the table's choice (at-least-once)
    bool passed_over;              // by its last commit: nothing was written, and the record is still an earlier epoch's
    bool record_expires;           // a record may be gone after days without a run: that alone is no sign of an older copy
    // the connector's own follows
};
struct sink {
    const struct sink_class *class;
    struct store *store;
    struct sink_request request;
    // the connector's own follows
};

// Rows a store refused for themselves (too big, null key); each is to be dead-lettered. The context of a write is good until the epoch ends, so
// that what is refused in a later flush is counted for the flow that wrote it.
typedef enum status (*refuse_row)(void *context, const struct batch *b, uint32_t row, const char *condition, const char *message);

struct sink_class {
    const char *name;
    const struct option *options;
    uint32_t capabilities;
    // Plan time, offline: types that cannot be stored, missing options. May be NULL.
    enum status (*check)(const struct sink_request *r, struct error *e);
    // Text that is equal for tables of one store: "sqlite:/path/leat.db". In the arena.
    enum status (*identity)(const struct sink_request *r, struct arena *a, const char **out, struct error *e);
    // Opens the store. *found: whether a record of this pipeline is there, and *record. STATUS_UNREACHABLE may be tried again.
    enum status (*store_open)(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record, struct error *e);
    // Creates or checks the table. *is_empty: holds no row (asked once, before the first write).
    enum status (*sink_open)(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e);
    enum status (*begin)(struct store *store, const struct sink_epoch *epoch, struct error *e);
    enum status (*write)(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e);
    // Everything written is acknowledged, or refused row by row with what its write was given.
    enum status (*flush)(struct store *store, struct error *e);
    enum status (*commit)(struct store *store, const struct sink_record *record, struct error *e);
    enum status (*abort)(struct store *store, struct error *e);
    // After an epoch that failed (abort has been called), before it is run again: the record the store has now, as store_open would find it. A
    // store whose commit may have succeeded though it reported failure needs it; NULL: a failed commit has written nothing. STATUS_UNREACHABLE:
    // it is asked again later, and the epoch waits.
    enum status (*recover)(struct store *store, bool *found, struct sink_record *record, struct error *e);
    enum status (*empty)(struct sink *sink, struct error *e);          // --full-refresh, within begin … commit
    void (*sink_close)(struct sink *sink);
    void (*store_close)(struct store *store);
};
