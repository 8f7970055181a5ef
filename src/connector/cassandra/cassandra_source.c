// SPDX-License-Identifier: Apache-2.0
// cassandra_source.c: a table of Cassandra, read whole: by a batch query, or as the static side of a join.
//
//     tokens −2⁶³ … 2⁶³ − 1 ─► SPLIT_COUNT equal ranges ─► SELECT the wanted columns WHERE token(key) in the range, page by page
//
// One partition; offset = split · 2³² + row. The order of rows is the server's: by token, then clustering columns. There is no moment at which
// the table is read: rows that change meanwhile are seen before or after, as in every reader of Cassandra. A value that has no place in its SQL
// type (a decimal of 100 digits) makes the row a dead row.
#include "connector/cassandra/cassandra.h"
#include "connector/cassandra/cassandra_value.h"
#include "connector/registry.h"
#include <stdio.h>

enum { SPLIT_COUNT = 32 };

struct cassandra_source {
    struct source source;              // first
    struct arena arena;
    struct cassandra_settings settings;
    struct cql_session *session;
    struct cql_table *table;
    const struct type *schema;
    uint32_t *places;                  // of the table's columns, by ordinal of the schema
    struct cassandra_decoder *decoders;
    bool read_whole;
};

static struct cassandra_place place_of(const struct source_request *r, bool offline) {
    return (struct cassandra_place){.options = &r->options, .table_name = r->table_name, .base_folder = r->base_folder, .use = CASSANDRA_READS, .offline = offline};
}

static enum status not_streamable(const struct source_request *r, struct error *e) {
    (void)error_set(e, STATUS_UNSUPPORTED, "LEAT_SOURCE_NOT_STREAMABLE", "`%s` is a table of Cassandra, which tells nobody what is new in it: it cannot be read as a stream", r->table_name);
    error_set_hint(e, "read it whole: as the static side of a join, or in a batch query");
    return STATUS_UNSUPPORTED;
}

static enum status source_check(const struct source_request *r, struct error *e) {
    struct arena a;
    struct cassandra_settings settings;
    struct cassandra_place place = place_of(r, true);
    if (r->streaming) return not_streamable(r, e);
    arena_init(&a, r->memory);
    enum status status = cassandra_settings_read(&place, &a, &settings, e);
    arena_release(&a);
    return status;
}

// Session and table; the session is the caller's to close.
static enum status open_table(const struct source_request *r, struct arena *a, struct cassandra_settings *settings, struct cql_session **session, struct cql_table **table,
                              struct error *e) {
    struct cassandra_place place = place_of(r, false);
    struct cql_keyspace *keyspace;
    TRY(cassandra_settings_read(&place, a, settings, e));
    TRY(cassandra_connect(settings, r->stop, r->memory, r->log, session, e));
    TRY(cassandra_table_find(*session, settings, a, &keyspace, table, e));
    if (!keyspace) return cassandra_keyspace_missing(*session, settings, false, a, e);
    return *table ? STATUS_OK : cassandra_table_missing(*session, settings, NULL, a, r->log, e);
}

static enum status schema_of(const struct cql_table *t, struct arena *a, const struct type **out, struct error *e) {
    struct field *fields = arena_alloc_array(a, t->column_count + 1, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < t->column_count; i++) {
        bool is_key = t->columns[i].role == CQL_PARTITION_KEY || t->columns[i].role == CQL_CLUSTERING;
        fields[i] = (struct field){.name = t->columns[i].name, .nullable = !is_key || t->columns[i].role == CQL_CLUSTERING};
        TRY(cassandra_type_of(a, &t->columns[i].type, &fields[i].type, e));
    }
    *out = type_struct(a, fields, t->column_count);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status source_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    struct cassandra_settings settings;
    struct cql_session *session = NULL;
    struct cql_table *table;
    *out = r->declared;
    if (r->declared || offline) return STATUS_OK;
    enum status status = open_table(r, a, &settings, &session, &table, e);
    cql_session_close(session);
    return status == STATUS_OK ? schema_of(table, a, out, e) : status;
}

static void source_close(struct source *source) {
    struct cassandra_source *s = (struct cassandra_source *)source;
    if (!s) return;
    cql_session_close(s->session);
    arena_release(&s->arena);
    memory_free(s->source.request.memory, s, sizeof *s);
}

static enum status no_column(const struct cassandra_source *s, const struct field *f, int place, struct error *e) {
    const char *names[64];
    uint32_t count = s->table->column_count < 64 ? s->table->column_count : 64;
    for (uint32_t i = 0; i < count; i++) names[i] = s->table->columns[i].name;
    const char *near = suggest(f->name, names, count);
    (void)error_set(e, STATUS_INVALID_QUERY, "UNRESOLVED_COLUMN.WITH_SUGGESTION", "the table `%.100s`.`%.100s` of Cassandra has %s `%.100s`", s->settings.keyspace, s->settings.table,
                    place == -2 ? "several columns that are, but for their letters' case," : "no column", f->name);
    if (near && place == -1) error_set_hint(e, "did you mean `%s`?", near);
    return STATUS_INVALID_QUERY;
}

static enum status match_columns(struct cassandra_source *s, struct error *e) {
    s->places = arena_alloc_array(&s->arena, s->schema->field_count + 1, sizeof *s->places);
    s->decoders = arena_alloc_array(&s->arena, s->schema->field_count + 1, sizeof *s->decoders);
    if (!s->places || !s->decoders) return error_no_memory(e);
    for (uint32_t i = 0; i < s->schema->field_count; i++) {
        const struct field *f = &s->schema->fields[i];
        int place = cassandra_column_index(s->table, f->name);
        bool fits;
        if (place < 0) return no_column(s, f, place, e);
        s->places[i] = (uint32_t)place;
        TRY(cassandra_decoder_make(&s->arena, &s->table->columns[place].type, f->type, &s->decoders[i], &fits, e));
        if (fits) continue;
        const struct type *own;
        TRY(cassandra_type_of(&s->arena, &s->table->columns[place].type, &own, e));
        (void)error_set(e, STATUS_INVALID_QUERY, "LEAT_TARGET_MISMATCH", "the column `%.100s` is declared as %.200s, and in Cassandra it is %.200s", f->name, type_name_sql(&s->arena, f->type),
                        s->table->columns[place].type_text);
        error_set_hint(e, "declare it as %.300s, or leave the columns of CREATE TABLE out", type_name_sql(&s->arena, own));
        return STATUS_INVALID_QUERY;
    }
    return STATUS_OK;
}

static enum status open_source(struct cassandra_source *s, struct error *e) {
    const struct source_request *r = &s->source.request;
    char who[200];
    if (r->streaming) return not_streamable(r, e);
    TRY(open_table(r, &s->arena, &s->settings, &s->session, &s->table, e));
    snprintf(who, sizeof who, "source `%.140s`", r->table_name);
    cassandra_options_warn(&r->options, who, r->log);
    s->schema = r->declared;
    if (!s->schema) TRY(schema_of(s->table, &s->arena, &s->schema, e));
    return match_columns(s, e);
}

static enum status source_open(const struct source_request *r, struct source **out, struct error *e) {
    struct cassandra_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &cassandra_source_class, .request = *r};
    arena_init(&s->arena, r->memory);
    enum status status = open_source(s, e);
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
    out->count = 1;
    return STATUS_OK;
}

static enum status source_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct cassandra_source *s = (struct cassandra_source *)source;
    (void)from, (void)budget;
    *out = (struct ranges){0};
    *backlog_rows = -1;
    *wake_at_us = INT64_MAX;
    *exhausted = true;
    if (s->read_whole) return STATUS_OK;
    s->read_whole = true;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct range){.begin = 0, .end = SPLIT_COUNT};
    out->count = 1;
    return STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    *out = (struct splits){0};
    out->items = arena_alloc_array(a, (size_t)ranges->count * SPLIT_COUNT + 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        for (int64_t at = ranges->items[i].begin; at < ranges->items[i].end && out->count < ranges->count * SPLIT_COUNT; at++) {
            out->items[out->count] = (struct split){.range = ranges->items[i], .sequence = out->count, .whole_begin = ranges->items[i].begin, .whole_end = ranges->items[i].end};
            out->items[out->count].range.begin = at;
            out->items[out->count++].range.end = at + 1;
        }
    }
    return STATUS_OK;
}

// --- reading ---

struct table_read {
    struct cassandra_source *source;
    const struct split *split;
    const uint64_t *wanted;
    const struct dead_row_sink *dead;
    struct cql_cursor *cursor;
    uint32_t row;                      // of the split
    emit_batch emit;
    void *context;
    struct error *e;
};

static bool is_wanted(const struct table_read *r, uint32_t ordinal) { return !r->wanted || bitmap_get(r->wanted, ordinal); }

static bool append_select(struct buffer *out, const struct table_read *r) {
    const struct cassandra_source *s = r->source;
    bool failed = buffer_append_string(out, "SELECT ") != STATUS_OK, any = false;
    for (uint32_t i = 0; i < s->schema->field_count; i++) {
        if (!is_wanted(r, i)) continue;
        failed |= (any && buffer_append_string(out, ", ") != STATUS_OK) || cql_append_name(out, s->table->columns[s->places[i]].name) != STATUS_OK;
        any = true;
    }
    if (!any) failed |= cql_append_name(out, s->table->columns[0].name) != STATUS_OK;  // rows are counted all the same
    failed |= buffer_append_string(out, " FROM ") != STATUS_OK || cassandra_append_table(out, &s->settings) != STATUS_OK;
    for (int side = 0; side < 2; side++) {
        failed |= buffer_append_string(out, side ? " AND token(" : " WHERE token(") != STATUS_OK;
        for (uint32_t k = 0; k < s->table->partition_key_count; k++) {
            failed |= (k && buffer_append_string(out, ", ") != STATUS_OK) || cql_append_name(out, s->table->columns[k].name) != STATUS_OK;
        }
        failed |= buffer_append_string(out, side ? ") <= ?" : ") > ?") != STATUS_OK;
    }
    return !failed && buffer_terminate(out) == STATUS_OK;
}

// Ends of a split: no row has the least token.
static int64_t token_before(int64_t split) {
    return split >= SPLIT_COUNT ? INT64_MAX : (int64_t)((uint64_t)INT64_MIN + (uint64_t)split * ((UINT64_C(1) << 63) / (SPLIT_COUNT / 2)));
}

static enum status open_cursor(struct table_read *r) {
    struct cassandra_source *s = r->source;
    const struct cql_prepared *prepared;
    struct buffer text;
    buffer_init(&text, s->source.request.memory);
    enum status status = append_select(&text, r) ? cql_prepare(s->session, (const char *)text.data, &prepared, r->e) : error_no_memory(r->e);
    buffer_release(&text);
    TRY(status);
    struct cql_request *request = cql_request_begin(s->session, prepared);
    if (!request) return error_no_memory(r->e);
    cql_bind_int64(request, token_before(r->split->range.begin));
    cql_bind_int64(request, token_before(r->split->range.end));
    request->idempotent = true;
    request->no_token = true;
    request->consistency = s->settings.consistency;
    return cql_cursor_open(s->session, request, &r->cursor, r->e);
}

static enum status put_dead(const struct table_read *r, uint32_t ordinal) {
    const struct cassandra_source *s = r->source;
    char message[300];
    snprintf(message, sizeof message, "column `%.100s`: a value of type %.100s has no place in the column's SQL type", s->schema->fields[ordinal].name,
             s->table->columns[s->places[ordinal]].type_text);
    struct dead_row row = {.source = s->source.request.source_index, .offset = r->split->range.begin << 32 | r->row, .condition = "NUMERIC_VALUE_OUT_OF_RANGE", .message = message};
    return r->dead && r->dead->put ? r->dead->put(r->dead->context, &row)
                                   : error_set(r->e, STATUS_DATA, row.condition, "table `%.100s`: %s", s->source.request.table_name, message);
}

static enum status read_row(struct table_read *r, struct column_builder *builders, bool *good) {
    const struct cassandra_source *s = r->source;
    uint32_t value = 0;
    *good = true;
    for (uint32_t i = 0; i < s->schema->field_count; i++) {
        if (!is_wanted(r, i)) continue;
        if (value >= r->cursor->column_count) return error_set(r->e, STATUS_CORRUPT, "LEAT_SOURCE_FAILED", "table `%.100s`: the server sends fewer columns than it was asked for", s->source.request.table_name);
        bool fits = cassandra_read(&s->decoders[i], r->cursor->values[value++], &builders[i]);
        if (!fits && *good) TRY(put_dead(r, i));
        *good &= fits;
    }
    return STATUS_OK;
}

struct batch_read {
    struct batch *batch;
    struct column_builder *builders;
    uint16_t *selection;               // rows that are whole
    uint32_t *deltas;
    uint32_t row_count, good_count;
};

static enum status start_batch(const struct table_read *r, struct batch_read *b) {
    const struct cassandra_source *s = r->source;
    uint32_t columns = s->schema->field_count;
    *b = (struct batch_read){.batch = batch_new(s->source.request.memory, columns)};
    if (!b->batch) return error_no_memory(r->e);
    b->builders = arena_alloc_array(&b->batch->arena, columns + 1, sizeof *b->builders);
    b->selection = arena_alloc_array(&b->batch->arena, BATCH_ROWS, sizeof *b->selection);
    b->deltas = arena_alloc_array(&b->batch->arena, BATCH_ROWS, sizeof *b->deltas);
    if (!b->builders || !b->selection || !b->deltas) return error_no_memory(r->e);
    for (uint32_t i = 0; i < columns; i++) column_builder_init(&b->builders[i], &b->batch->arena, s->schema->fields[i].type);
    return STATUS_OK;
}

static enum status finish_batch(const struct table_read *r, struct batch_read *b) {
    const struct cassandra_source *s = r->source;
    struct batch *batch = b->batch;
    for (uint32_t i = 0; i < s->schema->field_count; i++) {
        enum status made = is_wanted(r, i) ? column_builder_finish(&b->builders[i], &batch->columns[i])
                                           : column_make_constant_null(&batch->arena, s->schema->fields[i].type, b->row_count, &batch->columns[i]);
        if (made != STATUS_OK) return error_no_memory(r->e);
    }
    batch->row_count = b->row_count;
    batch->selected_count = b->good_count;
    if (b->good_count < b->row_count) batch->selection = b->selection;
    batch->sequence = r->split->sequence;
    batch->origin = (struct origin){.source = s->source.request.source_index, .first_offset = r->split->range.begin << 32, .offset_deltas = b->deltas};
    return r->emit(r->context, batch);
}

static enum status read_batch(struct table_read *r, bool *more) {
    struct batch_read b;
    enum status status = start_batch(r, &b);
    *more = true;
    while (status == STATUS_OK && b.row_count < BATCH_ROWS) {
        bool good;
        status = cql_cursor_next(r->cursor, more, r->e);
        if (status != STATUS_OK || !*more) break;
        status = read_row(r, b.builders, &good);
        if (good) b.selection[b.good_count++] = (uint16_t)b.row_count;
        b.deltas[b.row_count++] = r->row++;
    }
    if (status == STATUS_OK && b.good_count) status = finish_batch(r, &b);
    batch_unref(b.batch);
    return status;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    (void)worker;
    struct table_read r = {.source = (struct cassandra_source *)source, .split = split, .wanted = wanted, .dead = dead, .emit = emit, .context = context, .e = e};
    enum status status = open_cursor(&r);
    for (bool more = true; status == STATUS_OK && more;) status = read_batch(&r, &more);
    cql_cursor_close(r.cursor);
    return status;
}

static enum status source_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source, (void)positions;
    return buffer_append_string(out, "null");
}

static const char *source_describe(const struct source *source) {
    (void)source;
    return "Cassandra";
}

const struct source_class cassandra_source_class = {
    .name = "cassandra",
    .options = cassandra_source_options,
    .schema = source_schema,
    .check = source_check,
    .open = source_open,
    .start = source_start,
    .latest = source_latest,
    .splits = source_splits,
    .read = source_read,
    .print = source_print,
    .describe = source_describe,
    .close = source_close,
};
