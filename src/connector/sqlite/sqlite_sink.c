// SPDX-License-Identifier: Apache-2.0
// sqlite_sink.c: tables in a SQLite file, written with exactly-once effect. The file is the store: one transaction an epoch holds the rows
// of all its tables and the record (leat_pipeline). One connection, one writer at a time: workers take the store's mutex in write().
//
//     leat_pipeline(pipeline BLOB PRIMARY KEY, incarnation, epoch, digest)
//
// Upserts are UPDATE … WHERE key IS ? and, if that met no row, INSERT: SQLite's unique indexes do not match NULLs, and a NULL group is
// one row. An ordinary index over the key makes both fast.
#include "base/failpoint.h"
#include "connector/sqlite/sqlite_sink.h"
#include "column/value.h"
#include <pthread.h>
#include <sys/stat.h>

static const int64_t wal_large_bytes = INT64_C(256) << 20;

static enum status sink_check(const struct sink_request *r, struct error *e) {
    for (uint32_t i = 0; i < r->schema->field_count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (strcasecmp(r->schema->fields[i].name, r->schema->fields[j].name) == 0) {
                error_set(e, STATUS_INVALID_QUERY, "COLUMN_ALREADY_EXISTS", "table `%s` would have two columns named `%s`", r->table_name,
                          r->schema->fields[i].name);
                error_set_hint(e, "give one of them another name with AS");
                return STATUS_INVALID_QUERY;
            }
        }
    }
    return STATUS_OK;
}

// The catalog is the data folder's, wherever that lies; another file is known by its path as the pipeline writes it, relative to the pipeline. So
// folders may be named another way, or moved together, between two runs.
static enum status sink_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    const char *path = option_text(&r->options, "path");
    if (path) TRY(option_resolve(a, path, &path, e));
    while (path && path[0] == '.' && path[1] == '/') path += 2;
    *out = path ? arena_printf(a, "sqlite:%s", path) : arena_strdup(a, "leat.db");
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status read_record(struct sqlite_store *s, const uint8_t pipeline[16], bool *found, struct sink_record *record, struct error *e) {
    sqlite3_stmt *statement = NULL;
    TRY(sqlite_prepare(s->db, "SELECT incarnation, epoch, digest FROM leat_pipeline WHERE pipeline = ?", &statement, e));
    sqlite3_bind_blob(statement, 1, pipeline, 16, SQLITE_STATIC);
    int code = sqlite3_step(statement);
    *found = code == SQLITE_ROW;
    if (*found) {
        memcpy(record->pipeline, pipeline, 16);
        record->incarnation = (uint64_t)sqlite3_column_int64(statement, 0);
        record->epoch = (uint64_t)sqlite3_column_int64(statement, 1);
        record->digest = (uint64_t)sqlite3_column_int64(statement, 2);
    }
    enum status status = code == SQLITE_ROW || code == SQLITE_DONE ? STATUS_OK : sqlite_database_error(s->db, "reading leat_pipeline", e);
    sqlite3_finalize(statement);
    return status;
}

enum status sqlite_store_check(const struct sqlite_store *s, struct error *e) {
    if (!s->in_transaction || !sqlite3_get_autocommit(s->db)) return STATUS_OK;
    const char *file = sqlite3_db_filename(s->db, "main");
    return error_set(e, STATUS_IO, "LEAT_STORE_FAILED", "SQLite file `%s`: the transaction was taken back after an earlier error", file ? file : "");
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record,
                              struct error *e) {
    struct sqlite_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->memory = any->memory;
    s->store.class = &sqlite_sink_class;
    s->log = any->log;
    arena_init(&s->arena, any->memory);
    buffer_init(&s->scratch, any->memory);
    pthread_mutex_init(&s->mutex, NULL);
    const char *path = NULL;
    enum status status = sqlite_table_path(&s->arena, &any->options, any->base_folder, any->data_folder, &path, e);
    if (status == STATUS_OK) status = sink_identity(any, &s->arena, &s->store.identity, e);
    if (status == STATUS_OK) status = sqlite_database_open(path, false, &s->db, e);
    if (status == STATUS_OK) {
        status = sqlite_run(s->db,
                            "CREATE TABLE IF NOT EXISTS leat_pipeline (pipeline BLOB PRIMARY KEY, incarnation INTEGER NOT NULL, "
                            "epoch INTEGER NOT NULL, digest INTEGER NOT NULL) WITHOUT ROWID",
                            e);
    }
    if (status == STATUS_OK) status = read_record(s, pipeline, found, record, e);
    if (status == STATUS_OK) {
        status = sqlite_prepare(s->db, "INSERT INTO leat_pipeline VALUES (?, ?, ?, ?) ON CONFLICT (pipeline) DO UPDATE SET "
                                       "incarnation = excluded.incarnation, epoch = excluded.epoch, digest = excluded.digest", &s->put_record, e);
    }
    if (status != STATUS_OK) {
        sqlite_sink_class.store_close(&s->store);
        return status;
    }
    *out = &s->store;
    return STATUS_OK;
}

static void store_close(struct store *store) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    if (!s) return;
    sqlite3_finalize(s->put_record);
    sqlite3_finalize(s->put_dead);
    sqlite3_finalize(s->put_late);
    sqlite3_finalize(s->put_ledger);
    if (s->db) {
        if (s->in_transaction) sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
        sqlite3_busy_timeout(s->db, 200);  // somebody who reads does not hold up the end
        sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sqlite3_close(s->db);
    }
    buffer_release(&s->scratch);
    arena_release(&s->arena);
    pthread_mutex_destroy(&s->mutex);
    memory_free(s->memory, s, sizeof *s);
}

// CREATE TABLE with exactly the query's columns, and the index over the key.
static enum status write_create(struct buffer *sql, const struct sqlite_table *t) {
    const struct type *schema = t->sink.request.schema;
    TRY(buffer_append_string(sql, "CREATE TABLE IF NOT EXISTS "));
    TRY(sqlite_append_name(sql, t->name));
    TRY(buffer_append_string(sql, " ("));
    for (uint32_t i = 0; i < schema->field_count; i++) {
        TRY(buffer_append_string(sql, i ? ", " : ""));
        TRY(sqlite_append_name(sql, schema->fields[i].name));
        TRY(buffer_printf(sql, " %s", sqlite_declared_type(schema->fields[i].type)));
    }
    TRY(buffer_append_string(sql, ");"));
    if (t->sink.request.key_count) {
        char index[512];
        snprintf(index, sizeof index, "leat_key_%s", t->name);
        TRY(buffer_append_string(sql, "CREATE INDEX IF NOT EXISTS "));
        TRY(sqlite_append_name(sql, index));
        TRY(buffer_append_string(sql, " ON "));
        TRY(sqlite_append_name(sql, t->name));
        TRY(buffer_append_string(sql, " ("));
        for (uint32_t k = 0; k < t->sink.request.key_count; k++) {
            TRY(buffer_append_string(sql, k ? ", " : ""));
            TRY(sqlite_append_name(sql, schema->fields[t->sink.request.key[k]].name));
        }
        TRY(buffer_append_string(sql, ");"));
    }
    return buffer_terminate(sql);
}

static enum status create_table(struct sqlite_table *t, struct error *e) {
    struct buffer sql;
    buffer_init(&sql, t->sink.request.memory);
    enum status status = write_create(&sql, t);
    if (status == STATUS_OK) status = sqlite_run(t->owner->db, (char *)sql.data, e);
    else error_no_memory(e);
    buffer_release(&sql);
    return status;
}

// Does the table that is there have our columns, in our order?
static enum status compare_columns(struct sqlite_table *t, bool *exists, bool *same, struct error *e) {
    const struct type *schema = t->sink.request.schema;
    sqlite3_stmt *statement = NULL;
    *exists = false;
    *same = true;
    TRY(sqlite_prepare(t->owner->db, "SELECT name FROM pragma_table_info(?) ORDER BY cid", &statement, e));
    sqlite3_bind_text(statement, 1, t->name, -1, SQLITE_STATIC);
    uint32_t i = 0;
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        *exists = true;
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        if (i >= schema->field_count || !name || strcasecmp(name, schema->fields[i].name) != 0) *same = false;
        i++;
    }
    if (i != schema->field_count) *same = false;
    enum status status = code == SQLITE_DONE ? STATUS_OK : sqlite_database_error(t->owner->db, "reading the columns of a table", e);
    sqlite3_finalize(statement);
    return status;
}

static enum status prepare_with(struct sqlite_table *t, struct buffer *sql, enum status built, sqlite3_stmt **out, struct error *e) {
    if (built != STATUS_OK || buffer_terminate(sql) != STATUS_OK) return error_no_memory(e);
    enum status status = sqlite_prepare(t->owner->db, (char *)sql->data, out, e);
    buffer_clear(sql);
    return status;
}

static enum status build_insert(struct buffer *sql, const struct sqlite_table *t) {
    TRY(buffer_append_string(sql, "INSERT INTO "));
    TRY(sqlite_append_name(sql, t->name));
    TRY(buffer_append_string(sql, " VALUES ("));
    for (uint32_t i = 0; i < t->sink.request.schema->field_count; i++) TRY(buffer_printf(sql, "%s?%u", i ? ", " : "", i + 1));
    return buffer_append_string(sql, ")");
}

// Parameters are the columns' ordinals + 1, in INSERT, UPDATE and DELETE alike.
static enum status build_update(struct buffer *sql, const struct sqlite_table *t) {
    const struct type *schema = t->sink.request.schema;
    TRY(buffer_append_string(sql, "UPDATE "));
    TRY(sqlite_append_name(sql, t->name));
    TRY(buffer_append_string(sql, " SET "));
    for (uint32_t i = 0; i < schema->field_count; i++) {
        TRY(buffer_append_string(sql, i ? ", " : ""));
        TRY(sqlite_append_name(sql, schema->fields[i].name));
        TRY(buffer_printf(sql, " = ?%u", i + 1));
    }
    for (uint32_t k = 0; k < t->sink.request.key_count; k++) {
        TRY(buffer_append_string(sql, k ? " AND " : " WHERE "));
        TRY(sqlite_append_name(sql, schema->fields[t->sink.request.key[k]].name));
        TRY(buffer_printf(sql, " IS ?%u", t->sink.request.key[k] + 1));
    }
    return STATUS_OK;
}

static enum status build_delete(struct buffer *sql, const struct sqlite_table *t) {
    const struct sink_request *r = &t->sink.request;
    TRY(buffer_append_string(sql, "DELETE FROM "));
    TRY(sqlite_append_name(sql, t->name));
    if (r->single_row) return STATUS_OK;
    if (r->key_count) {
        TRY(buffer_append_string(sql, " WHERE "));
        for (uint32_t k = 0; k < r->key_count; k++) {
            TRY(buffer_append_string(sql, k ? " AND " : ""));
            TRY(sqlite_append_name(sql, r->schema->fields[r->key[k]].name));
            TRY(buffer_printf(sql, " IS ?%u", r->key[k] + 1));
        }
        return STATUS_OK;
    }
    TRY(buffer_append_string(sql, " WHERE rowid = (SELECT rowid FROM "));  // one of the equal rows
    TRY(sqlite_append_name(sql, t->name));
    TRY(buffer_append_string(sql, " WHERE "));
    for (uint32_t i = 0; i < r->schema->field_count; i++) {
        TRY(buffer_append_string(sql, i ? " AND " : ""));
        TRY(sqlite_append_name(sql, r->schema->fields[i].name));
        TRY(buffer_printf(sql, " IS ?%u", i + 1));
    }
    return buffer_append_string(sql, " LIMIT 1)");
}

static enum status prepare_statements(struct sqlite_table *t, struct error *e) {
    struct buffer sql;
    buffer_init(&sql, t->sink.request.memory);
    bool keyed = t->sink.request.key_count > 0 || t->sink.request.single_row;
    enum status status = prepare_with(t, &sql, build_insert(&sql, t), &t->insert, e);
    if (status == STATUS_OK && keyed) status = prepare_with(t, &sql, build_update(&sql, t), &t->update, e);
    if (status == STATUS_OK && (keyed || t->sink.request.retracts)) status = prepare_with(t, &sql, build_delete(&sql, t), &t->delete, e);
    buffer_release(&sql);
    return status;
}

static void finalize_statements(struct sqlite_table *t) {
    sqlite3_finalize(t->insert);
    sqlite3_finalize(t->update);
    sqlite3_finalize(t->delete);
    t->insert = t->update = t->delete = NULL;
}

static enum status table_is_empty(struct sqlite_table *t, bool *is_empty, struct error *e) {
    struct buffer sql;
    buffer_init(&sql, t->sink.request.memory);
    sqlite3_stmt *statement = NULL;
    enum status built = buffer_append_string(&sql, "SELECT 1 FROM ");
    if (built == STATUS_OK) built = sqlite_append_name(&sql, t->name);
    if (built == STATUS_OK) built = buffer_append_string(&sql, " LIMIT 1");
    enum status status = prepare_with(t, &sql, built, &statement, e);
    int code = status == STATUS_OK ? sqlite3_step(statement) : SQLITE_OK;
    *is_empty = code == SQLITE_DONE;
    if (status == STATUS_OK && code != SQLITE_ROW && code != SQLITE_DONE) status = sqlite_database_error(t->owner->db, "reading a table", e);
    sqlite3_finalize(statement);
    buffer_release(&sql);
    return status;
}

static void sink_close(struct sink *sink) {
    struct sqlite_table *t = (struct sqlite_table *)sink;
    if (!t) return;
    finalize_statements(t);
    memory_free(t->owner->memory, t, sizeof *t);
}

static enum status prepare_table(struct sqlite_table *t, bool *is_empty, struct error *e) {
    bool exists, same;
    TRY(compare_columns(t, &exists, &same, e));
    *is_empty = true;
    if (exists) TRY(table_is_empty(t, is_empty, e));
    if (exists && !same) {
        if (!t->sink.request.replace && !*is_empty) {
            error_set(e, STATUS_CONFLICT, "LEAT_TARGET_MISMATCH", "table `%s` is there with other columns than the query's", t->name);
            error_set_hint(e, "run with --full-refresh %s to build it anew, or give the query another table", t->sink.request.table_name);
            return STATUS_CONFLICT;
        }
        t->recreate = true;  // `empty` does it, within the first transaction
        if (*is_empty) return sqlite_sink_class.empty(&t->sink, e);
        return STATUS_OK;
    }
    TRY(create_table(t, e));
    return prepare_statements(t, e);
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    struct sqlite_table *t = memory_alloc_zeroed(s->memory, sizeof *t);
    if (!t) return error_no_memory(e);
    t->sink = (struct sink){.class = &sqlite_sink_class, .store = store, .request = *r};
    t->owner = s;
    t->name = option_text(&r->options, "table");
    if (!t->name) t->name = r->table_name;
    enum status status = prepare_table(t, is_empty, e);
    if (status != STATUS_OK) {
        sink_close(&t->sink);
        return status;
    }
    *out = &t->sink;
    return STATUS_OK;
}

static enum status drop_and_create(struct sqlite_table *t, struct error *e) {
    struct buffer sql;
    buffer_init(&sql, t->sink.request.memory);
    finalize_statements(t);
    enum status built = buffer_append_string(&sql, "DROP TABLE IF EXISTS ");
    if (built == STATUS_OK) built = sqlite_append_name(&sql, t->name);
    if (built == STATUS_OK) built = buffer_terminate(&sql);
    enum status status = built == STATUS_OK ? sqlite_run(t->owner->db, (char *)sql.data, e) : error_no_memory(e);
    buffer_release(&sql);
    if (status == STATUS_OK) status = create_table(t, e);
    if (status == STATUS_OK) status = prepare_statements(t, e);
    return status;
}

static enum status sink_empty(struct sink *sink, struct error *e) {
    struct sqlite_table *t = (struct sqlite_table *)sink;
    pthread_mutex_lock(&t->owner->mutex);
    enum status status = drop_and_create(t, e);
    pthread_mutex_unlock(&t->owner->mutex);
    return status;
}

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    (void)epoch;
    TRY(failpoint("sqlite.begin", e));
    pthread_mutex_lock(&s->mutex);
    enum status status = sqlite_run(s->db, "BEGIN IMMEDIATE", e);
    s->in_transaction = status == STATUS_OK;
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static bool bind_row(const struct sqlite_table *t, sqlite3_stmt *statement, const struct batch *b, uint32_t row, struct buffer *scratch) {
    int parameters = sqlite3_bind_parameter_count(statement);
    bool has_all = statement == t->insert;
    for (int i = 0; i < parameters; i++) {
        if (!has_all && !sqlite3_bind_parameter_name(statement, i + 1)) continue;  // not among this statement's
        if (!sqlite_bind_value(statement, i + 1, &b->columns[i], row, scratch)) return false;
    }
    return true;
}

// One row by one statement. *changed: it met a row.
static enum status run_row(struct sqlite_table *t, sqlite3_stmt *statement, const struct batch *b, uint32_t row, bool *changed, bool *refused,
                           struct error *e) {
    struct sqlite_store *s = t->owner;
    buffer_clear(&s->scratch);
    TRY(sqlite_store_check(s, e));
    if (!bind_row(t, statement, b, row, &s->scratch)) {
        sqlite3_reset(statement);
        if (sqlite3_errcode(s->db) == SQLITE_TOOBIG) {
            *refused = true;
            return STATUS_OK;
        }
        return error_no_memory(e);
    }
    int code = sqlite3_step(statement);
    *changed = sqlite3_changes(s->db) > 0;
    enum status status = STATUS_OK;
    if (code == SQLITE_TOOBIG) *refused = true;
    else if (code != SQLITE_DONE && code != SQLITE_ROW) status = sqlite_database_error(s->db, "writing a row", e);
    sqlite3_reset(statement);
    return status;
}

static enum status write_row(struct sqlite_table *t, const struct batch *b, uint32_t row, bool *refused, struct error *e) {
    bool changed;
    if (batch_weight(b, row) < 0) return run_row(t, t->delete, b, row, &changed, refused, e);
    if (t->update) {
        TRY(run_row(t, t->update, b, row, &changed, refused, e));
        if (changed || *refused) return STATUS_OK;
    }
    return run_row(t, t->insert, b, row, &changed, refused, e);
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    struct sqlite_table *t = (struct sqlite_table *)sink;
    (void)worker;
    struct rows rows = batch_rows(b);
    enum status status = STATUS_OK;
    pthread_mutex_lock(&t->owner->mutex);
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) {
        bool refused = false;
        uint32_t row = rows_at(&rows, i);
        status = write_row(t, b, row, &refused, e);
        if (refused) {
            pthread_mutex_unlock(&t->owner->mutex);  // the dead row goes to the catalog, which may be this very store
            status = refuse(context, b, row, "LEAT_ROW_TOO_BIG", "the row is larger than SQLite can hold");
            pthread_mutex_lock(&t->owner->mutex);
        }
    }
    pthread_mutex_unlock(&t->owner->mutex);
    return status;
}

static enum status store_flush(struct store *store, struct error *e) {
    (void)store, (void)e;
    return STATUS_OK;  // write is acknowledged as it returns; durability comes with commit
}

// A WAL is emptied as it is committed to, unless a reader still looks at an old state of the file.
static void watch_wal(struct sqlite_store *s) {
    char path[4200];
    struct stat found;
    int in_wal = 0, emptied = 0;
    const char *file = sqlite3_db_filename(s->db, "main");
    snprintf(path, sizeof path, "%s-wal", file ? file : "");
    bool large = stat(path, &found) == 0 && found.st_size > wal_large_bytes;
    if (large && !s->wal_reported) large = sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, &in_wal, &emptied) != SQLITE_OK || emptied < in_wal;
    if (large && !s->wal_reported) {
        log_write(s->log, LOG_WARN, "`%s` has grown to %lld MB and cannot be emptied: another program probably has a transaction open on `%s` (an sqlite3 shell "
                  "after BEGIN, a browser of databases, a backup); end it", path, (long long)(found.st_size >> 20), file ? file : "");
    }
    s->wal_reported = large;
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    TRY(sqlite_store_check(s, e));
    sqlite3_bind_blob(s->put_record, 1, record->pipeline, 16, SQLITE_STATIC);
    sqlite3_bind_int64(s->put_record, 2, (int64_t)record->incarnation);
    sqlite3_bind_int64(s->put_record, 3, (int64_t)record->epoch);
    sqlite3_bind_int64(s->put_record, 4, (int64_t)record->digest);
    int code = sqlite3_step(s->put_record);
    enum status status = code == SQLITE_DONE ? STATUS_OK : sqlite_database_error(s->db, "writing leat_pipeline", e);
    sqlite3_reset(s->put_record);
    TRY(status);
    TRY(failpoint("sqlite.commit", e));
    TRY(sqlite_run(s->db, "COMMIT", e));
    s->in_transaction = false;
    watch_wal(s);
    return STATUS_OK;
}

static enum status store_abort(struct store *store, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    if (!s->in_transaction) return STATUS_OK;
    s->in_transaction = false;
    if (sqlite3_get_autocommit(s->db)) return STATUS_OK;  // SQLite has rolled back by itself (disk full)
    return sqlite_run(s->db, "ROLLBACK", e);
}

const struct sink_class sqlite_sink_class = {
    .name = "sqlite",
    .options = sqlite_options,
    .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_TRANSACTIONAL | SINK_KEYLESS_RETRACTS,
    .check = sink_check,
    .identity = sink_identity,
    .store_open = store_open,
    .sink_open = sink_open,
    .begin = store_begin,
    .write = sink_write,
    .flush = store_flush,
    .commit = store_commit,
    .abort = store_abort,
    .empty = sink_empty,
    .sink_close = sink_close,
    .store_close = store_close,
};
