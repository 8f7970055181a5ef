// SPDX-License-Identifier: Apache-2.0
// catalog.h: the embedded catalog, DIR/leat.db: the pipeline's tables, and beside them leat's own.
//
//     leat_catalog  name, kind, schema, statement, flows               what is there and of which types
//     leat_ledger   flow, operator, input, passed, … made              where every row went, over all runs
//     leat_dead     flow, node, source, partition, offset, row, …      rows that could not be computed or stored
//     leat_late     flow, node, source, partition, offset, row, …      rows that came behind the watermark, or without an event time
//
// Writing goes through the sqlite store of leat.db, in the epoch's transaction. Thread-safe where said.
#pragma once
#include "connector/sqlite/sqlite_sink.h"
#include "plan/analyzer.h"

struct catalog_dead_row {
    const char *flow;
    uint32_t node;                 // of the plan: rows of a node that flows share are one row
    const char *source;            // table name
    const char *partition;         // number as text, or a file's path
    int64_t offset;                // -1: none (a group)
    uint32_t row;
    const char *condition;
    const char *message;
    const char *value;             // may be NULL
    size_t value_bytes;
    const void *raw;               // the record; may be NULL
    size_t raw_bytes;
    uint64_t epoch;
    int64_t at_us;
};

struct catalog_late_row {
    const char *flow;
    uint32_t node;
    const char *source, *partition;  // of a row that operators made: "" and the epoch
    int64_t offset;
    uint32_t row;
    bool has_time;                 // false: its event time is NULL
    int64_t time_us, watermark_us; // watermark: INT64_MIN: none
    const char *data;              // the row as JSON
    size_t data_bytes;
    uint64_t epoch;
    int64_t at_us;
};

struct catalog_ledger_row {
    const char *flow;
    const char *operator_name;
    uint32_t node;
    uint64_t input, passed, filtered, absorbed, merged, late, dead, null_time, made;  // to be added
};

// Creates leat's own tables. The store must be that of leat.db.
enum status catalog_prepare(struct store *store, struct error *e) WARN_UNUSED;
// Within the epoch's transaction. A row already there (same node, source, partition, offset, row) stays as it is; *added tells.
enum status catalog_put_dead(struct store *store, const struct catalog_dead_row *row, bool *added, struct error *e) WARN_UNUSED;  // thread-safe
enum status catalog_put_late(struct store *store, const struct catalog_late_row *row, struct error *e) WARN_UNUSED;  // likewise
enum status catalog_add_ledger(struct store *store, const struct catalog_ledger_row *row, struct error *e) WARN_UNUSED;
// Outside of transactions: replaces the description of a table.
enum status catalog_describe(struct store *store, const char *name, const char *kind, const struct type *schema, const char *statement, struct error *e) WARN_UNUSED;
// Outside of transactions: the table and its description go.
enum status catalog_drop(struct store *store, const char *name, struct error *e) WARN_UNUSED;
// Drops dead and late rows of before `oldest_us`, then the oldest of each beyond `keep_bytes`. *dropped: how many. Outside of transactions.
enum status catalog_prune(struct store *store, int64_t oldest_us, int64_t keep_bytes, uint64_t *dropped, struct error *e) WARN_UNUSED;

// The catalog read by `leat sql`: a `struct catalog` over DIR/leat.db; no file: an empty one. Tables become SOURCE datasets of the
// sqlite connector. Release when the query arena goes.
struct catalog_reader;
enum status catalog_reader_open(struct arena *a, const char *data_folder, const struct connector *sqlite, struct catalog_reader **out, struct error *e) WARN_UNUSED;
struct catalog catalog_reader_interface(struct catalog_reader *r);
void catalog_reader_close(struct catalog_reader *r);
