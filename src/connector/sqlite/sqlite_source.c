// SPDX-License-Identifier: Apache-2.0
// sqlite_source.c: a table of a SQLite file, read. One partition; offsets are rowids, so a table that only grows can be streamed. A
// view or a WITHOUT ROWID table can be read whole only. A query opens its own read-only connection: it sees one state of the file and
// holds up no writer.
#include "connector/sqlite/sqlite_common.h"
#include "json/json.h"
#include "column/type_text.h"

struct sqlite_source {
    struct source source;     // first
    struct arena arena;
    struct buffer sql;
    const char *path;
    const char *table;
    const struct type *schema;
    sqlite3 *db;              // for latest; reads open their own
    bool has_rowid;
    bool read_whole;          // batch, done
};

static enum status open_table(const struct source_request *r, struct arena *a, sqlite3 **db, const char **path, const char **table, struct error *e) {
    TRY(sqlite_table_path(a, &r->options, r->base_folder, r->data_folder, path, e));
    *table = option_text(&r->options, "table");
    if (!*table) *table = r->table_name;
    return sqlite_database_open(*path, true, db, e);
}

// SQLite's declared type by its affinity rules.
static const struct type *type_of_declaration(const char *text) {
    char upper[64];
    size_t n = 0;
    for (; text && text[n] && n < sizeof upper - 1; n++) upper[n] = (char)(text[n] >= 'a' && text[n] <= 'z' ? text[n] - 32 : text[n]);
    upper[n] = 0;
    if (strstr(upper, "INT")) return &type_bigint;
    if (strstr(upper, "CHAR") || strstr(upper, "CLOB") || strstr(upper, "TEXT")) return &type_string;
    if (strstr(upper, "BLOB")) return &type_binary;
    if (strstr(upper, "REAL") || strstr(upper, "FLOA") || strstr(upper, "DOUB")) return &type_double;
    return &type_string;
}

static enum status read_schema(sqlite3 *db, const char *table, struct arena *a, const struct type **out, struct error *e) {
    sqlite3_stmt *statement = NULL;
    struct field fields[2000];  // SQLite's own limit on columns
    uint32_t count = 0;
    TRY(sqlite_prepare(db, "SELECT name, type FROM pragma_table_info(?) ORDER BY cid", &statement, e));
    sqlite3_bind_text(statement, 1, table, -1, SQLITE_STATIC);
    while (sqlite3_step(statement) == SQLITE_ROW && count < 2000) {
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        fields[count++] = (struct field){.name = arena_strdup(a, name ? name : ""), .nullable = true,
                                         .type = type_of_declaration((const char *)sqlite3_column_text(statement, 1))};
    }
    sqlite3_finalize(statement);
    if (!count) return error_set(e, STATUS_NOT_FOUND, "TABLE_OR_VIEW_NOT_FOUND", "the SQLite file has no table `%s`", table);
    *out = type_struct(a, fields, count);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status source_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    *out = r->declared;
    if (r->declared || offline) return STATUS_OK;
    sqlite3 *db = NULL;
    const char *path, *table;
    TRY(open_table(r, a, &db, &path, &table, e));
    enum status status = read_schema(db, table, a, out, e);
    sqlite3_close(db);
    return status;
}

static void source_close(struct source *source) {
    struct sqlite_source *s = (struct sqlite_source *)source;
    if (!s) return;
    sqlite3_close(s->db);
    buffer_release(&s->sql);
    arena_release(&s->arena);
    memory_free(s->source.request.memory, s, sizeof *s);
}

// Has the table a rowid? A statement naming it prepares or not.
static bool table_has_rowid(struct sqlite_source *s) {
    sqlite3_stmt *statement = NULL;
    buffer_clear(&s->sql);
    if (buffer_append_string(&s->sql, "SELECT max(rowid) FROM ") != STATUS_OK || sqlite_append_name(&s->sql, s->table) != STATUS_OK ||
        buffer_terminate(&s->sql) != STATUS_OK)
        return false;
    bool has = sqlite3_prepare_v2(s->db, (char *)s->sql.data, -1, &statement, NULL) == SQLITE_OK;
    sqlite3_finalize(statement);
    return has;
}

static enum status source_open(const struct source_request *r, struct source **out, struct error *e) {
    struct sqlite_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &sqlite_source_class, .request = *r};
    arena_init(&s->arena, r->memory);
    buffer_init(&s->sql, r->memory);
    enum status status = open_table(r, &s->arena, &s->db, &s->path, &s->table, e);
    s->schema = r->declared;
    if (status == STATUS_OK && !s->schema) status = read_schema(s->db, s->table, &s->arena, &s->schema, e);
    if (status == STATUS_OK) {
        s->has_rowid = table_has_rowid(s);
        if (r->streaming && !s->has_rowid) {
            status = error_set(e, STATUS_UNSUPPORTED, "LEAT_SOURCE_NOT_STREAMABLE", "`%s` is a view or a table WITHOUT ROWID and cannot be read as a stream", s->table);
        }
    }
    if (status != STATUS_OK) {
        source_close(&s->source);
        return status;
    }
    *out = &s->source;
    return STATUS_OK;
}

static enum status source_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    (void)source;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct position){.offset = INT64_MIN};
    out->count = 1;
    return STATUS_OK;
}

static enum status largest_rowid(struct sqlite_source *s, int64_t from, int64_t row_limit, int64_t *end, bool *any, int64_t *waiting, struct error *e) {
    sqlite3_stmt *statement = NULL;
    buffer_clear(&s->sql);
    if (buffer_append_string(&s->sql, "SELECT max(rowid), count(*) FROM (SELECT rowid FROM ") != STATUS_OK ||
        sqlite_append_name(&s->sql, s->table) != STATUS_OK ||
        buffer_append_string(&s->sql, " WHERE rowid >= ?1 ORDER BY rowid LIMIT ?2)") != STATUS_OK || buffer_terminate(&s->sql) != STATUS_OK)
        return error_no_memory(e);
    TRY(sqlite_prepare(s->db, (char *)s->sql.data, &statement, e));
    sqlite3_bind_int64(statement, 1, from);
    sqlite3_bind_int64(statement, 2, row_limit);
    int code = sqlite3_step(statement);
    enum status status = code == SQLITE_ROW ? STATUS_OK : sqlite_database_error(s->db, "reading a table", e);
    if (status == STATUS_OK) {
        *any = sqlite3_column_type(statement, 0) != SQLITE_NULL;
        int64_t last = sqlite3_column_int64(statement, 0);
        *end = last < INT64_MAX ? last + 1 : INT64_MAX;
        *waiting = sqlite3_column_int64(statement, 1);
    }
    sqlite3_finalize(statement);
    return status;
}

static enum status source_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct sqlite_source *s = (struct sqlite_source *)source;
    int64_t begin = from->count ? from->items[0].offset : INT64_MIN, end = INT64_MAX, waiting = 0;
    bool any = !s->read_whole;
    *out = (struct ranges){0};
    *backlog_rows = -1;
    *wake_at_us = source->request.streaming && !source->request.available_now ? clock_monotonic_us() + 100000 : INT64_MAX;
    if (s->has_rowid) TRY(largest_rowid(s, begin, source->request.streaming ? budget->row_count : INT64_MAX, &end, &any, &waiting, e));
    s->read_whole = !s->has_rowid;
    *exhausted = !source->request.streaming || source->request.available_now;
    if (!any) return STATUS_OK;
    if (s->has_rowid && source->request.available_now && waiting >= budget->row_count) *exhausted = false;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct range){.begin = begin, .end = end};
    out->count = 1;
    return STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    out->items = arena_alloc_array(a, ranges->count, sizeof *out->items);
    if (!out->items && ranges->count) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        out->items[i] = (struct split){.range = ranges->items[i], .sequence = i, .whole_begin = ranges->items[i].begin, .whole_end = ranges->items[i].end};
    }
    out->count = ranges->count;
    return STATUS_OK;
}

struct table_read {
    struct sqlite_source *source;
    const struct split *split;
    const uint64_t *wanted;
    sqlite3_stmt *statement;
    struct json_reader **json;     // per column, NULL for flat ones
    emit_batch emit;
    void *context;
};

static enum status build_select(struct table_read *r, sqlite3 *db, struct arena *a, struct error *e) {
    struct sqlite_source *s = r->source;
    struct buffer sql;
    buffer_init(&sql, a->memory);
    enum status built = buffer_append_string(&sql, s->has_rowid ? "SELECT rowid" : "SELECT 0");
    for (uint32_t i = 0; i < s->schema->field_count && built == STATUS_OK; i++) {
        built = buffer_append_string(&sql, ", ");
        bool want = !r->wanted || bitmap_get(r->wanted, i);
        if (built == STATUS_OK) built = want ? sqlite_append_name(&sql, s->schema->fields[i].name) : buffer_append_string(&sql, "NULL");
    }
    if (built == STATUS_OK) built = buffer_append_string(&sql, " FROM ");
    if (built == STATUS_OK) built = sqlite_append_name(&sql, s->table);
    if (built == STATUS_OK && s->has_rowid) built = buffer_append_string(&sql, " WHERE rowid >= ?1 AND rowid < ?2 ORDER BY rowid");
    if (built == STATUS_OK) built = buffer_terminate(&sql);
    enum status status = built == STATUS_OK ? sqlite_prepare(db, (char *)sql.data, &r->statement, e) : error_no_memory(e);
    buffer_release(&sql);
    if (status == STATUS_OK && s->has_rowid) {
        sqlite3_bind_int64(r->statement, 1, r->split->range.begin);
        sqlite3_bind_int64(r->statement, 2, r->split->range.end);
    }
    return status;
}

// Up to BATCH_ROWS rows; *more: there may be others.
static enum status read_batch(struct table_read *r, bool *more, struct error *e) {
    struct sqlite_source *s = r->source;
    uint32_t columns = s->schema->field_count, rows = 0;
    struct batch *b = batch_new(s->source.request.memory, columns);
    if (!b) return error_no_memory(e);
    struct column_builder *builders = arena_alloc_array(&b->arena, columns, sizeof *builders);
    uint32_t *deltas = arena_alloc_array(&b->arena, BATCH_ROWS, sizeof *deltas);
    enum status status = builders && deltas ? STATUS_OK : STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < columns && status == STATUS_OK; i++) column_builder_init(&builders[i], &b->arena, s->schema->fields[i].type);
    int code = SQLITE_ROW;
    int64_t first = 0;
    while (status == STATUS_OK && rows < BATCH_ROWS && (code = sqlite3_step(r->statement)) == SQLITE_ROW) {
        int64_t rowid = sqlite3_column_int64(r->statement, 0);
        if (!rows) first = s->has_rowid ? rowid : 0;
        if (rowid - first > UINT32_MAX) deltas[rows] = UINT32_MAX;
        else deltas[rows] = s->has_rowid ? (uint32_t)(rowid - first) : rows;
        for (uint32_t i = 0; i < columns && status == STATUS_OK; i++) status = sqlite_read_value(r->statement, (int)i + 1, &builders[i], r->json[i]);
        rows++;
    }
    *more = code == SQLITE_ROW;
    if (status == STATUS_OK && code != SQLITE_ROW && code != SQLITE_DONE) status = sqlite_database_error(sqlite3_db_handle(r->statement), "reading a table", e);
    for (uint32_t i = 0; i < columns && status == STATUS_OK; i++) status = column_builder_finish(&builders[i], &b->columns[i]);
    if (status == STATUS_NO_MEMORY) error_no_memory(e);
    b->row_count = b->selected_count = rows;
    b->sequence = r->split->sequence;
    b->origin = (struct origin){.source = s->source.request.source_index, .first_offset = first, .offset_deltas = deltas};
    if (status == STATUS_OK && rows) status = r->emit(r->context, b);
    batch_unref(b);
    return status;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    (void)worker, (void)dead;
    struct sqlite_source *s = (struct sqlite_source *)source;
    struct table_read r = {.source = s, .split = split, .wanted = wanted, .emit = emit, .context = context};
    struct arena scratch;
    arena_init(&scratch, source->request.memory);
    sqlite3 *db = NULL;
    r.json = arena_alloc_array(&scratch, s->schema->field_count + 1, sizeof(struct json_reader *));
    enum status status = r.json ? sqlite_database_open(s->path, true, &db, e) : error_no_memory(e);
    struct json_options options;
    json_options_default(&options);
    options.zone = &timezone_utc;
    for (uint32_t i = 0; i < s->schema->field_count && status == STATUS_OK; i++) {
        if (!type_is_nested(s->schema->fields[i].type)) continue;
        status = json_reader_new(source->request.memory, s->schema->fields[i].type, &options, NULL, &r.json[i]);
        if (status != STATUS_OK) error_no_memory(e);
    }
    if (status == STATUS_OK) status = build_select(&r, db, &scratch, e);
    for (bool more = true; status == STATUS_OK && more;) status = read_batch(&r, &more, e);
    sqlite3_finalize(r.statement);
    sqlite3_close(db);
    for (uint32_t i = 0; r.json && i < s->schema->field_count; i++) json_reader_free(r.json[i]);
    arena_release(&scratch);
    return status;
}

static enum status source_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    if (!positions->count || positions->items[0].offset == INT64_MIN) return buffer_append_string(out, "null");
    return buffer_printf(out, "%lld", (long long)positions->items[0].offset);
}

static const char *source_describe(const struct source *source) {
    (void)source;
    return "SQLite";
}

const struct source_class sqlite_source_class = {
    .name = "sqlite",
    .options = sqlite_options,
    .schema = source_schema,
    .open = source_open,
    .start = source_start,
    .latest = source_latest,
    .splits = source_splits,
    .read = source_read,
    .print = source_print,
    .describe = source_describe,
    .close = source_close,
};
