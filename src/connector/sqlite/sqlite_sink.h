// SPDX-License-Identifier: Apache-2.0
// sqlite_sink.h: the store and table structs, shared with the catalog (catalog.c), which writes its own tables into the same transactions.
#pragma once
#include "connector/sqlite/sqlite_common.h"
#include <pthread.h>

struct sqlite_store {
    struct store store;          // first: a struct store * is one of these
    sqlite3 *db;
    struct memory *memory;
    struct arena arena;          // identity
    pthread_mutex_t mutex;       // one writer at a time
    struct buffer scratch;       // text of values, under the mutex
    sqlite3_stmt *put_record;
    sqlite3_stmt *put_dead;      // the catalog's; NULL in other files
    sqlite3_stmt *put_late;
    sqlite3_stmt *put_ledger;
    bool in_transaction;
    struct log *log;             // may be NULL
    bool wal_reported;           // a WAL that cannot be emptied was said
};

// SQLite ends a transaction by itself when the disk is full, a read fails or memory is out. What is written after that would be committed
// at once, row by row: every statement of a transaction asks first.
enum status sqlite_store_check(const struct sqlite_store *s, struct error *e) WARN_UNUSED;

struct sqlite_table {
    struct sink sink;            // first
    struct sqlite_store *owner;
    const char *name;            // in the file
    sqlite3_stmt *insert;
    sqlite3_stmt *update;        // keyed tables only
    sqlite3_stmt *delete;        // where rows may leave
    bool recreate;               // its columns are not ours: `empty` comes before the first row
};
