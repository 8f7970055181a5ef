// SPDX-License-Identifier: Apache-2.0
// catalog.c: leat's own tables in leat.db, and the catalog as `leat sql` sees it. See catalog.h.
#include "connector/sqlite/catalog.h"
#include "base/files.h"
#include "base/map.h"
#include "column/datetime.h"
#include "column/type_text.h"
#include "plan/secret.h"

static const char catalog_schema[] =  // in one transaction: one sync instead of four
    "BEGIN;"
    "CREATE TABLE IF NOT EXISTS leat_catalog (name TEXT PRIMARY KEY COLLATE NOCASE, kind TEXT NOT NULL, schema TEXT NOT NULL, statement TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS leat_ledger (flow TEXT NOT NULL, node INTEGER NOT NULL, operator TEXT NOT NULL, input INTEGER NOT NULL, "
    "passed INTEGER NOT NULL, filtered INTEGER NOT NULL, absorbed INTEGER NOT NULL, merged INTEGER NOT NULL, late INTEGER NOT NULL, "
    "dead INTEGER NOT NULL, null_time INTEGER NOT NULL, made INTEGER NOT NULL, PRIMARY KEY (flow, node, operator)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS leat_dead (flow TEXT NOT NULL, node INTEGER NOT NULL, source TEXT NOT NULL, partition TEXT NOT NULL, "
    "offset INTEGER NOT NULL, row INTEGER NOT NULL, condition TEXT NOT NULL, message TEXT NOT NULL, value TEXT, raw BLOB, epoch INTEGER NOT NULL, "
    "at TEXT NOT NULL, PRIMARY KEY (node, source, partition, offset, row));"
    "CREATE INDEX IF NOT EXISTS leat_dead_at ON leat_dead (at);"
    "CREATE TABLE IF NOT EXISTS leat_late (flow TEXT NOT NULL, node INTEGER NOT NULL, source TEXT NOT NULL, partition TEXT NOT NULL, "
    "offset INTEGER NOT NULL, row INTEGER NOT NULL, reason TEXT NOT NULL, event_time TEXT, watermark TEXT, data TEXT NOT NULL, epoch INTEGER NOT NULL, "
    "at TEXT NOT NULL, PRIMARY KEY (flow, node, source, partition, offset, row));"
    "CREATE INDEX IF NOT EXISTS leat_late_at ON leat_late (at);"
    "COMMIT;";

enum status catalog_prepare(struct store *store, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    TRY(sqlite_run(s->db, catalog_schema, e));
    TRY(sqlite_prepare(s->db, "INSERT INTO leat_dead VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                              "strftime('%Y-%m-%d %H:%M:%f', ?12 / 1000000.0, 'unixepoch')) ON CONFLICT DO NOTHING", &s->put_dead, e));
    TRY(sqlite_prepare(s->db, "INSERT INTO leat_late VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
                              "strftime('%Y-%m-%d %H:%M:%f', ?12 / 1000000.0, 'unixepoch')) ON CONFLICT DO NOTHING", &s->put_late, e));
    return sqlite_prepare(s->db, "INSERT INTO leat_ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT DO UPDATE SET "
                                 "input = input + ?4, passed = passed + ?5, filtered = filtered + ?6, absorbed = absorbed + ?7, merged = merged + ?8, "
                                 "late = late + ?9, dead = dead + ?10, null_time = null_time + ?11, made = made + ?12", &s->put_ledger, e);
}

enum status catalog_put_dead(struct store *store, const struct catalog_dead_row *r, bool *added, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    pthread_mutex_lock(&s->mutex);
    enum status status = sqlite_store_check(s, e);
    if (status != STATUS_OK) {
        pthread_mutex_unlock(&s->mutex);
        return status;
    }
    sqlite3_stmt *p = s->put_dead;
    sqlite3_bind_text(p, 1, r->flow, -1, SQLITE_STATIC);
    sqlite3_bind_int64(p, 2, r->node);
    sqlite3_bind_text(p, 3, r->source, -1, SQLITE_STATIC);
    sqlite3_bind_text(p, 4, r->partition, -1, SQLITE_STATIC);
    sqlite3_bind_int64(p, 5, r->offset);
    sqlite3_bind_int64(p, 6, r->row);
    sqlite3_bind_text(p, 7, r->condition, -1, SQLITE_STATIC);
    sqlite3_bind_text(p, 8, r->message, -1, SQLITE_STATIC);
    if (r->value) sqlite3_bind_text64(p, 9, r->value, r->value_bytes, SQLITE_STATIC, SQLITE_UTF8);
    else sqlite3_bind_null(p, 9);
    if (r->raw) sqlite3_bind_blob64(p, 10, r->raw, r->raw_bytes, SQLITE_STATIC);
    else sqlite3_bind_null(p, 10);
    sqlite3_bind_int64(p, 11, (int64_t)r->epoch);
    sqlite3_bind_int64(p, 12, r->at_us);
    int code = sqlite3_step(p);
    *added = code == SQLITE_DONE && sqlite3_changes(s->db) > 0;
    status = code == SQLITE_DONE ? STATUS_OK : sqlite_database_error(s->db, "writing leat_dead", e);
    sqlite3_reset(p);
    sqlite3_clear_bindings(p);
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static void bind_time(sqlite3_stmt *p, int index, bool there, int64_t us) {
    char text[DATETIME_TEXT_MAX];
    if (there) sqlite3_bind_text(p, index, text, (int)print_timestamp(us, NULL, text), SQLITE_TRANSIENT);
    else sqlite3_bind_null(p, index);
}

enum status catalog_put_late(struct store *store, const struct catalog_late_row *r, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    pthread_mutex_lock(&s->mutex);
    enum status status = sqlite_store_check(s, e);
    sqlite3_stmt *p = s->put_late;
    if (status == STATUS_OK) {
        sqlite3_bind_text(p, 1, r->flow, -1, SQLITE_STATIC);
        sqlite3_bind_int64(p, 2, r->node);
        sqlite3_bind_text(p, 3, r->source, -1, SQLITE_STATIC);
        sqlite3_bind_text(p, 4, r->partition, -1, SQLITE_STATIC);
        sqlite3_bind_int64(p, 5, r->offset);
        sqlite3_bind_int64(p, 6, r->row);
        sqlite3_bind_text(p, 7, r->has_time ? "LATE" : "NULL_EVENT_TIME", -1, SQLITE_STATIC);
        bind_time(p, 8, r->has_time, r->time_us);
        bind_time(p, 9, r->watermark_us != INT64_MIN, r->watermark_us);
        sqlite3_bind_text64(p, 10, r->data, r->data_bytes, SQLITE_STATIC, SQLITE_UTF8);
        sqlite3_bind_int64(p, 11, (int64_t)r->epoch);
        sqlite3_bind_int64(p, 12, r->at_us);
        if (sqlite3_step(p) != SQLITE_DONE) status = sqlite_database_error(s->db, "writing leat_late", e);
        sqlite3_reset(p);
        sqlite3_clear_bindings(p);
    }
    pthread_mutex_unlock(&s->mutex);
    return status;
}

enum status catalog_add_ledger(struct store *store, const struct catalog_ledger_row *r, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    sqlite3_stmt *p = s->put_ledger;
    TRY(sqlite_store_check(s, e));
    const uint64_t counts[] = {r->input, r->passed, r->filtered, r->absorbed, r->merged, r->late, r->dead, r->null_time, r->made};
    sqlite3_bind_text(p, 1, r->flow, -1, SQLITE_STATIC);
    sqlite3_bind_int64(p, 2, r->node);
    sqlite3_bind_text(p, 3, r->operator_name, -1, SQLITE_STATIC);
    for (int i = 0; i < 9; i++) sqlite3_bind_int64(p, 4 + i, (int64_t)counts[i]);
    enum status status = sqlite3_step(p) == SQLITE_DONE ? STATUS_OK : sqlite_database_error(s->db, "writing leat_ledger", e);
    sqlite3_reset(p);
    return status;
}

enum status catalog_describe(struct store *store, const char *name, const char *kind, const struct type *schema, const char *statement, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    struct buffer ddl;
    struct arena a;
    sqlite3_stmt *p = NULL;
    buffer_init(&ddl, s->memory);
    arena_init(&a, s->memory);
    const char *kept = statement ? secrets_hidden(&a, statement, strlen(statement), 0, strlen(statement)) : "";
    enum status status = kept ? type_print_sql(schema, &ddl) : STATUS_NO_MEMORY;
    if (status != STATUS_OK) error_no_memory(e);
    if (status == STATUS_OK) {
        status = sqlite_prepare(s->db, "INSERT INTO leat_catalog VALUES (?, ?, ?, ?) ON CONFLICT (name) DO UPDATE SET "
                                       "kind = excluded.kind, schema = excluded.schema, statement = excluded.statement", &p, e);
    }
    if (status == STATUS_OK) {
        sqlite3_bind_text(p, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(p, 2, kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(p, 3, (char *)ddl.data, (int)ddl.size_bytes, SQLITE_STATIC);
        sqlite3_bind_text(p, 4, kept, -1, SQLITE_STATIC);
        if (sqlite3_step(p) != SQLITE_DONE) status = sqlite_database_error(s->db, "writing leat_catalog", e);
    }
    sqlite3_finalize(p);
    arena_release(&a);
    buffer_release(&ddl);
    return status;
}

enum status catalog_drop(struct store *store, const char *name, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    struct buffer sql;
    sqlite3_stmt *p = NULL;
    buffer_init(&sql, s->memory);
    enum status status = buffer_append_string(&sql, "DROP TABLE IF EXISTS ");
    if (status == STATUS_OK) status = sqlite_append_name(&sql, name);
    if (status == STATUS_OK) status = buffer_terminate(&sql);
    status = status == STATUS_OK ? sqlite_run(s->db, (char *)sql.data, e) : error_no_memory(e);
    buffer_release(&sql);
    if (status == STATUS_OK) status = sqlite_prepare(s->db, "DELETE FROM leat_catalog WHERE name = ?", &p, e);
    if (status == STATUS_OK) {
        sqlite3_bind_text(p, 1, name, -1, SQLITE_STATIC);
        if (sqlite3_step(p) != SQLITE_DONE) status = sqlite_database_error(s->db, "writing leat_catalog", e);
    }
    sqlite3_finalize(p);
    return status;
}

static enum status prune(struct sqlite_store *s, const char *table, const char *bytes, int64_t oldest_us, int64_t keep_bytes, uint64_t *dropped, struct error *e) {
    char sql[512];
    snprintf(sql, sizeof sql, "DELETE FROM %s WHERE at < strftime('%%Y-%%m-%%d %%H:%%M:%%f', %lld, 'unixepoch')", table, (long long)(oldest_us / 1000000));
    TRY(sqlite_run(s->db, sql, e));
    *dropped += (uint64_t)sqlite3_changes(s->db);
    snprintf(sql, sizeof sql,
             "DELETE FROM %s WHERE rowid IN (SELECT id FROM (SELECT rowid AS id, sum(%s + 200) "
             "OVER (ORDER BY at DESC, rowid DESC) AS total FROM %s) WHERE total > %lld)",
             table, bytes, table, (long long)keep_bytes);
    TRY(sqlite_run(s->db, sql, e));
    *dropped += (uint64_t)sqlite3_changes(s->db);
    return STATUS_OK;
}

enum status catalog_prune(struct store *store, int64_t oldest_us, int64_t keep_bytes, uint64_t *dropped, struct error *e) {
    struct sqlite_store *s = (struct sqlite_store *)store;
    *dropped = 0;
    TRY(prune(s, "leat_dead", "ifnull(length(raw), 0)", oldest_us, keep_bytes, dropped, e));
    return prune(s, "leat_late", "length(data)", oldest_us, keep_bytes, dropped, e);
}

struct catalog_reader {
    struct arena *arena;
    const struct connector *sqlite;
    struct map tables;          // name → struct dataset *, ignoring case
    const char **names;
    uint32_t name_count;
};

// leat's own tables, which are not described in leat_catalog.
static const char *const own_tables[][2] = {
    {"leat_catalog", "name STRING, kind STRING, schema STRING, statement STRING"},
    {"leat_ledger", "flow STRING, node BIGINT, operator STRING, input BIGINT, passed BIGINT, filtered BIGINT, absorbed BIGINT, merged BIGINT, "
                    "late BIGINT, dead BIGINT, null_time BIGINT, made BIGINT"},
    {"leat_dead", "flow STRING, node BIGINT, source STRING, partition STRING, offset BIGINT, row BIGINT, condition STRING, message STRING, "
                  "value STRING, raw BINARY, epoch BIGINT, at TIMESTAMP"},
    {"leat_late", "flow STRING, node BIGINT, source STRING, partition STRING, offset BIGINT, row BIGINT, reason STRING, event_time TIMESTAMP, "
                  "watermark TIMESTAMP, data STRING, epoch BIGINT, at TIMESTAMP"},
};

static enum status add_table(struct catalog_reader *r, const char *name, const char *kind, const char *schema_text, const char *path, struct error *e) {
    struct dataset *d = arena_alloc_zeroed(r->arena, sizeof *d);
    struct option_value *values = arena_alloc_array(r->arena, 1, sizeof *values);
    if (!d || !values) return error_no_memory(e);
    d->kind = DATASET_SOURCE;
    d->name = arena_strdup(r->arena, name);
    d->connector = r->sqlite;
    d->in_catalog = true;
    d->made_by = arena_strdup(r->arena, kind);
    values[0] = (struct option_value){.option = &sqlite_options[0], .key = "path", .text = path, .is_set = true};
    d->options = (struct option_set){.values = values, .count = 1};
    TRY(type_parse_schema(r->arena, schema_text, strlen(schema_text), &d->schema, e));
    if (!d->name || map_set(&r->tables, d->name, d) != STATUS_OK) return error_no_memory(e);
    return STATUS_OK;
}

static enum status load_tables(struct catalog_reader *r, sqlite3 *db, const char *path, struct error *e) {
    sqlite3_stmt *statement = NULL;
    for (size_t i = 0; i < sizeof own_tables / sizeof own_tables[0]; i++) TRY(add_table(r, own_tables[i][0], "leat", own_tables[i][1], path, e));
    TRY(sqlite_prepare(db, "SELECT name, schema, kind FROM leat_catalog WHERE kind <> 'view' ORDER BY name", &statement, e));
    int code;
    enum status status = STATUS_OK;
    while (status == STATUS_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const char *schema = (const char *)sqlite3_column_text(statement, 1);
        const char *kind = (const char *)sqlite3_column_text(statement, 2);
        status = add_table(r, name ? name : "", kind ? kind : "", schema ? schema : "", path, e);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum status list_names(struct catalog_reader *r, struct error *e) {
    r->names = arena_alloc_array(r->arena, r->tables.count + 1, sizeof *r->names);
    if (!r->names) return error_no_memory(e);
    for (size_t i = 0; i < r->tables.entry_count; i++) {
        if (r->tables.entries[i].key) r->names[r->name_count++] = ((struct dataset *)r->tables.entries[i].value)->name;
    }
    return STATUS_OK;
}

enum status catalog_reader_open(struct arena *a, const char *data_folder, const struct connector *sqlite, struct catalog_reader **out, struct error *e) {
    struct catalog_reader *r = arena_alloc_zeroed(a, sizeof *r);
    if (!r) return error_no_memory(e);
    r->arena = a;
    r->sqlite = sqlite;
    map_init(&r->tables, a->memory, true);
    *out = r;
    const char *path = data_folder ? arena_printf(a, "%s/leat.db", data_folder) : NULL;
    if (!path || !file_exists(path)) return STATUS_OK;
    sqlite3 *db = NULL;
    TRY(sqlite_database_open(path, true, &db, e));
    enum status status = load_tables(r, db, path, e);
    sqlite3_close(db);
    if (status == STATUS_OK) status = list_names(r, e);
    return status;
}

static struct dataset *reader_find(void *context, struct arena *a, const char *name) {
    (void)a;
    return map_get(&((struct catalog_reader *)context)->tables, name);
}

static const char *const *reader_names(void *context, struct arena *a, uint32_t *count) {
    struct catalog_reader *r = context;
    (void)a;
    *count = r->name_count;
    return r->names;
}

struct catalog catalog_reader_interface(struct catalog_reader *r) {
    return (struct catalog){.context = r, .find = reader_find, .names = reader_names};
}

void catalog_reader_close(struct catalog_reader *r) {
    if (r) map_release(&r->tables);
}
