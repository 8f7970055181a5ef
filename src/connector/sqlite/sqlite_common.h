// SPDX-License-Identifier: Apache-2.0
// sqlite_common.h: what the parts of the SQLite connector share: opening a file, running a statement, values in and out.
//
// How Spark's types stand in SQLite (documented; other tools read it):
//
//     BOOLEAN                        INTEGER 0/1
//     TINYINT … BIGINT               INTEGER
//     FLOAT, DOUBLE                  REAL (NaN as the text 'NaN': SQLite has no NaN)
//     DECIMAL, DATE, TIMESTAMP…      TEXT; timestamps in UTC, "2024-01-31 10:00:00.5"
//     STRING                         TEXT
//     BINARY                         BLOB
//     intervals                      TEXT
//     ARRAY, MAP, STRUCT             TEXT, JSON
#pragma once
#include "base/buffer.h"
#include "column/column.h"
#include "plan/sink.h"
#include <sqlite3.h>

enum { SQLITE_BUSY_MS = 10000 };

// Opens (creates) a database for writing: WAL, synchronous=FULL, secure_delete. Or, read_only, an existing one.
enum status sqlite_database_open(const char *path, bool read_only, sqlite3 **out, struct error *e) WARN_UNUSED;
// The error of the last call on db, with `doing` ("writing table t"). SQLITE_BUSY gives STATUS_UNREACHABLE with the hint.
enum status sqlite_database_error(sqlite3 *db, const char *doing, struct error *e) WARN_UNUSED;
enum status sqlite_run(sqlite3 *db, const char *sql, struct error *e) WARN_UNUSED;
enum status sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct error *e) WARN_UNUSED;
// `"name"` with doubled quotes.
enum status sqlite_append_name(struct buffer *out, const char *name) WARN_UNUSED;
const char *sqlite_declared_type(const struct type *t);  // "INTEGER", "REAL", "TEXT", "BLOB"

// Binds row `row` of `c` to parameter `index` (from 1). `scratch` holds text that must live until the step; it is cleared by the
// caller between rows. False: no memory.
bool sqlite_bind_value(sqlite3_stmt *statement, int index, const struct column *c, uint32_t row, struct buffer *scratch);
// Appends column `index` of the current row to the builder, as its type. A value that does not fit the type is NULL.
enum status sqlite_read_value(sqlite3_stmt *statement, int index, struct column_builder *out, void *json_reader) WARN_UNUSED;

// The full path of a table's file: option `path`, relative to the base folder; the catalog's when the option is not set.
enum status sqlite_table_path(struct arena *a, const struct option_set *options, const char *base_folder, const char *data_folder,
                              const char **out, struct error *e) WARN_UNUSED;
extern const struct option sqlite_options[];
extern const struct source_class sqlite_source_class;
extern const struct sink_class sqlite_sink_class;
