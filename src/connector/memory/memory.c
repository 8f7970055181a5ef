// SPDX-License-Identifier: Apache-2.0
// memory.c: the hub of in-process tables, their source and their sink. See memory.h.
#include "connector/memory/memory.h"
#include "connector/registry.h"
#include "json/json.h"

static const struct option memory_options[] = {{NULL, OPTION_STRING, NULL, false, false, NULL, NULL}};

void memory_hub_init(struct memory_hub *h, struct memory *memory) {
    h->memory = memory;
    map_init(&h->tables, memory, true);
    pthread_mutex_init(&h->mutex, NULL);
}

void memory_hub_release(struct memory_hub *h) {
    for (size_t i = 0; i < h->tables.entry_count; i++) {
        struct memory_table *t = h->tables.entries[i].value;
        if (!h->tables.entries[i].key) continue;
        for (size_t k = 0; k < t->lines.count; k++) buffer_unref(*(struct buffer **)vector_at(&t->lines, k));
        vector_release(&t->lines);
        memory_free(h->memory, t, sizeof *t);
    }
    map_release(&h->tables);
    pthread_mutex_destroy(&h->mutex);
}

struct memory_table *memory_hub_table(struct memory_hub *h, const char *name) {
    struct memory_table *t = map_get(&h->tables, name);
    if (t) return t;
    t = memory_alloc_zeroed(h->memory, sizeof *t);
    if (!t) return NULL;
    vector_init(&t->lines, h->memory, sizeof(struct buffer *));
    if (map_set(&h->tables, name, t) != STATUS_OK) {
        memory_free(h->memory, t, sizeof *t);
        return NULL;
    }
    return t;
}

enum status memory_hub_push(struct memory_hub *h, const char *table, const char *json, size_t size_bytes) {
    pthread_mutex_lock(&h->mutex);
    struct memory_table *t = memory_hub_table(h, table);
    struct buffer *line = t ? buffer_new(h->memory, size_bytes + 1) : NULL;
    enum status status = line ? buffer_append(line, json, size_bytes) : STATUS_NO_MEMORY;
    if (status == STATUS_OK) status = vector_push(&t->lines, &line);
    if (status != STATUS_OK) buffer_unref(line);
    pthread_mutex_unlock(&h->mutex);
    return status;
}

struct memory_source {
    struct source source;  // first
    struct memory_hub *hub;
};

static enum status source_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    (void)a, (void)offline;
    *out = r->declared;
    if (*out) return STATUS_OK;
    error_set(e, STATUS_INVALID_QUERY, "UNABLE_TO_INFER_SCHEMA", "the memory table `%s` needs its columns: CREATE TABLE %s (…) USING memory", r->table_name, r->table_name);
    return STATUS_INVALID_QUERY;
}

static enum status source_open(const struct source_request *r, struct source **out, struct error *e) {
    if (!r->host) {
        error_set(e, STATUS_UNSUPPORTED, "LEAT_MEMORY_TABLE_OUTSIDE_TEST", "the memory table `%s` has rows only within `leat test`", r->table_name);
        error_set_hint(e, "use another source here, such as `json` with a path");
        return STATUS_UNSUPPORTED;
    }
    struct memory_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &memory_source_class, .request = *r};
    s->hub = r->host;
    *out = &s->source;
    return STATUS_OK;
}

static enum status one_range(struct arena *a, int64_t begin, int64_t end, struct ranges *out, struct error *e) {
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct range){.begin = begin, .end = end};
    out->count = 1;
    return STATUS_OK;
}

static enum status source_start(struct source *s, struct arena *a, struct positions *out, struct error *e) {
    (void)s;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->count = 1;
    return STATUS_OK;
}

static enum status source_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                 bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct memory_source *s = (struct memory_source *)source;
    pthread_mutex_lock(&s->hub->mutex);
    struct memory_table *t = memory_hub_table(s->hub, source->request.table_name);
    int64_t count = t ? (int64_t)t->lines.count : 0;
    pthread_mutex_unlock(&s->hub->mutex);
    int64_t begin = from->count ? from->items[0].offset : 0, end = count;
    if (source->request.streaming && end - begin > budget->row_count) end = begin + budget->row_count;
    *out = (struct ranges){0};
    *exhausted = end == count;
    *backlog_rows = count - end;
    *wake_at_us = INT64_MAX;
    return end > begin ? one_range(a, begin, end, out, e) : STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    const struct range *g = &ranges->items[0];
    (void)source;
    uint32_t count = (uint32_t)((g->end - g->begin + BATCH_ROWS - 1) / BATCH_ROWS);
    out->items = arena_alloc_array(a, count, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    for (uint32_t i = 0; i < count; i++) {
        int64_t begin = g->begin + (int64_t)i * BATCH_ROWS, end = begin + BATCH_ROWS;
        out->items[i] = (struct split){.range = {.begin = begin, .end = end < g->end ? end : g->end}, .sequence = i, .whole_begin = g->begin, .whole_end = g->end};
    }
    out->count = count;
    return STATUS_OK;
}

// The documents of a split, as a column of views into the hub's lines (which are never taken away while a pipeline runs).
static enum status fill_documents(struct memory_source *s, const struct split *split, struct arena *a, struct column *documents) {
    uint32_t count = (uint32_t)(split->range.end - split->range.begin);
    TRY(column_make(a, &type_string, count, false, documents));
    pthread_mutex_lock(&s->hub->mutex);
    struct memory_table *t = memory_hub_table(s->hub, s->source.request.table_name);
    for (uint32_t i = 0; t && i < count; i++) {
        const struct buffer *line = *(struct buffer **)vector_at(&t->lines, (size_t)split->range.begin + i);
        ((struct string_view *)documents->values)[i] = string_view_of((char *)line->data, line->size_bytes);
    }
    pthread_mutex_unlock(&s->hub->mutex);
    return t ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status read_rows(struct memory_source *s, const struct split *split, struct batch *b, struct error *e) {
    const struct type *schema = s->source.request.declared;
    struct json_options options;
    struct json_reader *reader = NULL;
    struct column documents, rows_column;
    b->row_count = b->selected_count = (uint32_t)(split->range.end - split->range.begin);
    json_options_default(&options);
    options.zone = s->source.request.session->zone;
    enum status status = fill_documents(s, split, &b->arena, &documents);
    if (status == STATUS_OK) status = json_reader_new(s->source.request.memory, schema, &options, NULL, &reader);
    if (status == STATUS_OK) status = json_read_column(reader, &documents, &(struct rows){.count = b->row_count}, &b->arena, &rows_column, NULL);
    json_reader_free(reader);
    if (status != STATUS_OK) return error_no_memory(e);
    for (uint32_t i = 0; i < schema->field_count; i++) b->columns[i] = rows_column.children[i];
    b->sequence = split->sequence;
    b->origin = (struct origin){.source = s->source.request.source_index, .first_offset = split->range.begin, .raw = documents.values};
    return STATUS_OK;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    (void)worker, (void)wanted, (void)dead;
    struct batch *b = batch_new(source->request.memory, source->request.declared->field_count);
    if (!b) return error_no_memory(e);
    enum status status = read_rows((struct memory_source *)source, split, b, e);
    if (status == STATUS_OK) status = emit(context, b);
    batch_unref(b);
    return status;
}

static enum status source_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    return buffer_printf(out, "%lld", positions->count ? (long long)positions->items[0].offset : 0LL);
}
static const char *source_describe(const struct source *source) {
    (void)source;
    return "MemoryStream";
}
static void source_close(struct source *source) {
    if (source) memory_free(source->request.memory, source, sizeof(struct memory_source));
}

const struct source_class memory_source_class = {
    .name = "memory", .is_unbounded = true, .options = memory_options, .schema = source_schema, .open = source_open, .start = source_start, .latest = source_latest,
    .splits = source_splits, .read = source_read, .print = source_print, .describe = source_describe, .close = source_close,
};

// ---- the sink: appended rows become lines of the hub's table at commit ----

struct memory_store {
    struct store store;       // first
    struct memory *memory;
    struct memory_hub *hub;
    const char *table;
    struct vector pending;    // of struct buffer *
    pthread_mutex_t mutex;
};

static enum status sink_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    *out = arena_printf(a, "memory:%s", r->table_name);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record, struct error *e) {
    (void)pipeline, (void)record;
    if (!any->host) return error_set(e, STATUS_UNSUPPORTED, "LEAT_MEMORY_TABLE_OUTSIDE_TEST", "the memory table `%s` can be written only within `leat test`", any->table_name);
    struct memory_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->store = (struct store){.class = &memory_sink_class, .identity = "memory"};
    s->memory = any->memory;
    s->hub = any->host;
    s->table = any->table_name;
    vector_init(&s->pending, any->memory, sizeof(struct buffer *));
    pthread_mutex_init(&s->mutex, NULL);
    *found = false;
    *out = &s->store;
    return STATUS_OK;
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct sink *s = memory_alloc_zeroed(((struct memory_store *)store)->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    *s = (struct sink){.class = &memory_sink_class, .store = store, .request = *r};
    *is_empty = true;
    *out = s;
    return STATUS_OK;
}

static void drop_pending(struct memory_store *s) {
    for (size_t i = 0; i < s->pending.count; i++) buffer_unref(*(struct buffer **)vector_at(&s->pending, i));
    vector_clear(&s->pending);
}

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    (void)epoch, (void)e;
    drop_pending((struct memory_store *)store);
    return STATUS_OK;
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    struct memory_store *s = (struct memory_store *)sink->store;
    struct rows rows = batch_rows(b);
    struct column row_column = {.type = sink->request.schema, .row_count = b->row_count, .children = b->columns};
    struct arena flat;
    (void)worker, (void)refuse, (void)context;
    arena_init(&flat, s->memory);
    enum status status = column_flatten(&flat, &row_column, b->row_count, &row_column);
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) {
        struct buffer *line = buffer_new(s->memory, 64);
        status = line ? json_write_value(&row_column, rows_at(&rows, i), sink->request.session->zone, false, line) : STATUS_NO_MEMORY;
        if (status == STATUS_OK) status = vector_push(&s->pending, &line);
        if (status != STATUS_OK) buffer_unref(line);
    }
    pthread_mutex_unlock(&s->mutex);
    arena_release(&flat);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status store_flush(struct store *store, struct error *e) {
    (void)store, (void)e;
    return STATUS_OK;
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    struct memory_store *s = (struct memory_store *)store;
    (void)record;
    for (size_t i = 0; i < s->pending.count; i++) {
        const struct buffer *line = *(struct buffer **)vector_at(&s->pending, i);
        if (memory_hub_push(s->hub, s->table, (char *)line->data, line->size_bytes) != STATUS_OK) return error_no_memory(e);
    }
    drop_pending(s);
    return STATUS_OK;
}

static enum status store_abort(struct store *store, struct error *e) {
    (void)e;
    drop_pending((struct memory_store *)store);
    return STATUS_OK;
}
static enum status sink_empty(struct sink *sink, struct error *e) {
    (void)sink, (void)e;
    return STATUS_OK;
}
static void sink_close(struct sink *sink) { memory_free(((struct memory_store *)sink->store)->memory, sink, sizeof *sink); }
static void store_close(struct store *store) {
    struct memory_store *s = (struct memory_store *)store;
    drop_pending(s);
    vector_release(&s->pending);
    pthread_mutex_destroy(&s->mutex);
    memory_free(s->memory, s, sizeof *s);
}

const struct sink_class memory_sink_class = {
    .name = "memory", .options = memory_options, .capabilities = SINK_APPENDS | SINK_FORGETFUL, .identity = sink_identity, .store_open = store_open,
    .sink_open = sink_open, .begin = store_begin, .write = sink_write, .flush = store_flush, .commit = store_commit, .abort = store_abort,
    .empty = sink_empty, .sink_close = sink_close, .store_close = store_close,
};
