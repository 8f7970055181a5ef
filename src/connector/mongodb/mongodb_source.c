// SPDX-License-Identifier: Apache-2.0
// mongodb_source.c: a collection, read whole by a cursor: one split, documents in the server's order. Columns are declared, or come from the first
// `sampleSize` documents. A collection has no order that never changes, so it is no stream.
#include "connector/mongodb/client.h"
#include "connector/mongodb/decode.h"

enum { SAMPLE_SIZE = 1000, SAMPLE_SIZE_MAX = 1000000 };

struct mongodb_source {
    struct source source;          // first
    struct arena arena;
    struct mongodb_config config;
    const struct type *schema;
};

struct cursor {
    struct mongodb_client *client;
    const struct mongodb_config *config;
    const _Atomic int *stop;
    struct buffer command, reply;
    int64_t id;                    // 0: no more
    struct document_reader batch;
};

// --- a cursor ---

static enum status cursor_take(struct cursor *c, const char *list, struct error *e) {
    struct document_value cursor, batch;
    bool found = document_find(c->reply.data, c->reply.size_bytes, "cursor", &cursor) && cursor.type == DOCUMENT_DOCUMENT &&
                 document_find(cursor.bytes, cursor.size_bytes, list, &batch) && batch.type == DOCUMENT_ARRAY;
    if (!found) return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: an answer without documents", c->config->hosts);
    c->id = document_find_integer(cursor.bytes, cursor.size_bytes, "id", 0);
    c->batch = document_read(batch.bytes, batch.size_bytes);
    return STATUS_OK;
}

static enum status cursor_run(struct cursor *c, const char *list, struct error *e) {
    struct mongodb_failure f;
    if (c->stop && atomic_load(c->stop)) return error_set(e, STATUS_UNREACHABLE, "LEAT_INTERRUPTED", "leat is to stop");
    if (!mongodb_client_command(c->client, c->config->database, &c->command, false, &c->reply, &f)) return mongodb_client_error(c->config, &f, "reading a collection", e);
    return cursor_take(c, list, e);
}

// limit 0: none. Only the wanted columns are asked for.
static enum status build_find(struct buffer *b, const char *collection, int64_t limit, const struct type *schema, const uint64_t *wanted) {
    size_t fields;
    bool projects = false, id = false;
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "find", collection));
    if (limit) TRY(document_put_int64(b, "limit", limit));
    for (uint32_t i = 0; schema && i < schema->field_count; i++) {
        const char *name = schema->fields[i].name;
        if (!*name || *name == '$' || strchr(name, '.')) return document_end(b, 0);  // a projection would mean something else
        id |= strcmp(name, "_id") == 0 && (!wanted || bitmap_get(wanted, i));
    }
    if (!schema) return document_end(b, 0);
    TRY(document_open(b, DOCUMENT_DOCUMENT, "projection", &fields));
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if ((wanted && !bitmap_get(wanted, i)) || strcmp(schema->fields[i].name, "_id") == 0) continue;
        TRY(document_put_int32(b, schema->fields[i].name, 1));
        projects = true;
    }
    TRY(document_put_int32(b, "_id", id || !projects));
    TRY(document_end(b, fields));
    return document_end(b, 0);
}

static enum status build_more(struct buffer *b, const char *collection, int64_t id) {
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_int64(b, "getMore", id));
    TRY(document_put_string(b, "collection", collection));
    return document_end(b, 0);
}

static enum status cursor_open(struct cursor *c, const struct mongodb_config *config, struct memory *memory, int64_t limit, const struct type *schema, const uint64_t *wanted,
                               const _Atomic int *stop, struct error *e) {
    *c = (struct cursor){.config = config, .stop = stop};
    buffer_init(&c->command, memory);
    buffer_init(&c->reply, memory);
    TRY(mongodb_client_new(config, memory, &c->client, e));
    if (build_find(&c->command, config->collection, limit, schema, wanted) != STATUS_OK) return error_no_memory(e);
    return cursor_run(c, "firstBatch", e);
}

static void cursor_close(struct cursor *c) {
    mongodb_client_free(c->client);  // the server drops a cursor nobody asks, or with its connection
    buffer_release(&c->command);
    buffer_release(&c->reply);
}

// *any false: the end. The document lies in the cursor until the next call.
static enum status cursor_next(struct cursor *c, struct document_value *out, bool *any, struct error *e) {
    while (true) {
        *any = document_next(&c->batch, out);
        if (*any && out->type == DOCUMENT_DOCUMENT) return STATUS_OK;
        if (*any) continue;
        if (c->batch.broken) return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: an answer that is no BSON", c->config->hosts);
        if (!c->id) return STATUS_OK;
        if (build_more(&c->command, c->config->collection, c->id) != STATUS_OK) return error_no_memory(e);
        TRY(cursor_run(c, "nextBatch", e));
    }
}

// --- the table ---

static enum status source_check(const struct source_request *r, struct error *e) {
    const char *sample = mongodb_option(&r->options, "sampleSize", false);
    TRY(mongodb_config_check(&r->options, false, r->table_name, e));
    long long size = sample ? strtoll(sample, NULL, 10) : SAMPLE_SIZE;
    if (size < 1 || size > SAMPLE_SIZE_MAX) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s`: sampleSize is a number from 1 to %d", r->table_name, SAMPLE_SIZE_MAX);
    if (!r->streaming) return STATUS_OK;
    (void)error_set(e, STATUS_UNSUPPORTED, "LEAT_SOURCE_NOT_STREAMABLE", "table `%s`: a collection of MongoDB is read whole, not as a stream", r->table_name);
    error_set_hint(e, "join it with a stream, or read it with `leat sql`");
    return STATUS_UNSUPPORTED;
}

static enum status sample(const struct mongodb_config *config, const struct source_request *r, struct arena *a, const struct type **out, struct error *e) {
    const char *given = mongodb_option(&r->options, "sampleSize", false);
    struct document_value document;
    struct cursor c;
    bool any = true;
    *out = NULL;
    enum status status = cursor_open(&c, config, r->memory, given ? strtoll(given, NULL, 10) : SAMPLE_SIZE, NULL, NULL, r->stop, e);
    while (status == STATUS_OK && any) {
        status = cursor_next(&c, &document, &any, e);
        if (status == STATUS_OK && any && infer_document(a, document.bytes, document.size_bytes, out) != STATUS_OK) status = error_no_memory(e);
    }
    cursor_close(&c);
    if (status != STATUS_OK) return status;
    if (!*out) {
        (void)error_set(e, STATUS_INVALID_QUERY, "UNABLE_TO_INFER_SCHEMA", "table `%s`: the collection `%s` holds no document that would tell its columns", r->table_name, config->collection);
        error_set_hint(e, "CREATE TABLE with its columns");
        return STATUS_INVALID_QUERY;
    }
    return infer_finish(a, out) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status source_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    struct mongodb_config config;
    *out = r->declared;
    if (r->declared || offline) return STATUS_OK;
    TRY(mongodb_config_resolve(a, &r->options, false, r->table_name, r->base_folder, &config, e));
    return sample(&config, r, a, out, e);
}

static void source_close(struct source *source) {
    struct mongodb_source *s = (struct mongodb_source *)source;
    if (!s) return;
    arena_release(&s->arena);
    memory_free(s->source.request.memory, s, sizeof *s);
}

static enum status source_open(const struct source_request *r, struct source **out, struct error *e) {
    struct mongodb_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &mongodb_source_class, .request = *r};
    arena_init(&s->arena, r->memory);
    enum status status = mongodb_config_resolve(&s->arena, &r->options, false, r->table_name, r->base_folder, &s->config, e);
    s->schema = r->declared;
    if (status == STATUS_OK && !s->schema) status = sample(&s->config, r, &s->arena, &s->schema, e);
    if (status != STATUS_OK) {
        source_close(&s->source);
        return status;
    }
    *out = &s->source;
    return STATUS_OK;
}

static enum status source_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    (void)source;
    *out = (struct positions){.items = arena_alloc_array(a, 1, sizeof *out->items), .count = 1};
    return out->items ? STATUS_OK : error_no_memory(e);
}

// The whole collection is one range: [0, 1).
static enum status source_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out, bool *exhausted,
                                 int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    (void)source, (void)budget;
    *out = (struct ranges){0};
    *exhausted = true;
    *backlog_rows = -1;
    *wake_at_us = INT64_MAX;
    if (from->count && from->items[0].offset > 0) return STATUS_OK;
    out->items = arena_alloc_array(a, 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    out->items[0] = (struct range){.begin = 0, .end = 1};
    out->count = 1;
    return STATUS_OK;
}

static enum status source_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    (void)source;
    out->items = arena_alloc_array(a, (size_t)ranges->count + 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        out->items[i] = (struct split){.range = ranges->items[i], .sequence = i, .whole_begin = ranges->items[i].begin, .whole_end = ranges->items[i].end};
    }
    out->count = ranges->count;
    return STATUS_OK;
}

struct reading {
    struct mongodb_source *source;
    const struct split *split;
    const uint64_t *wanted;
    struct cursor cursor;
    struct document_value *found;
    bool *has;
    int64_t row_count;             // emitted
};

static enum status fill(struct reading *r, struct batch *b, struct column_builder *builders, bool *any, struct error *e) {
    const struct type *schema = r->source->schema;
    struct document_value document;
    for (uint32_t i = 0; i < schema->field_count; i++) column_builder_init(&builders[i], &b->arena, schema->fields[i].type);
    while (b->row_count < BATCH_ROWS) {
        bool is_document;
        TRY(cursor_next(&r->cursor, &document, any, e));
        if (!*any) break;
        if (decode_row(document.bytes, document.size_bytes, schema, r->wanted, r->found, r->has, builders, &is_document) != STATUS_OK) return error_no_memory(e);
        if (!is_document) return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: a document that is no BSON", r->source->config.hosts);
        b->row_count++;
    }
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (column_builder_finish(&builders[i], &b->columns[i]) != STATUS_OK) return error_no_memory(e);
    }
    return STATUS_OK;
}

static enum status read_batch(struct reading *r, emit_batch emit, void *context, bool *any, struct error *e) {
    struct batch *b = batch_new(r->source->source.request.memory, r->source->schema->field_count);
    if (!b) return error_no_memory(e);
    struct column_builder *builders = arena_alloc_array(&b->arena, (size_t)r->source->schema->field_count + 1, sizeof *builders);
    enum status status = builders ? fill(r, b, builders, any, e) : error_no_memory(e);
    b->selected_count = b->row_count;
    b->sequence = r->split->sequence;
    b->origin = (struct origin){.source = r->source->source.request.source_index, .first_offset = r->row_count};
    r->row_count += b->row_count;
    if (status == STATUS_OK && b->row_count) status = emit(context, b);
    batch_unref(b);
    return status;
}

static enum status source_read(struct source *source, const struct split *split, uint32_t worker, const uint64_t *wanted, emit_batch emit, void *context,
                               const struct dead_row_sink *dead, struct error *e) {
    struct mongodb_source *s = (struct mongodb_source *)source;
    struct reading r = {.source = s, .split = split, .wanted = wanted};
    struct arena scratch;
    bool any = true;
    (void)worker, (void)dead;
    arena_init(&scratch, source->request.memory);
    r.found = arena_alloc_array(&scratch, (size_t)s->schema->field_count + 1, sizeof *r.found);
    r.has = arena_alloc_array(&scratch, (size_t)s->schema->field_count + 1, sizeof *r.has);
    enum status status = r.found && r.has ? STATUS_OK : error_no_memory(e);
    bool opened = status == STATUS_OK;
    if (opened) status = cursor_open(&r.cursor, &s->config, source->request.memory, 0, s->schema, wanted, source->request.stop, e);
    while (status == STATUS_OK && any) status = read_batch(&r, emit, context, &any, e);
    if (opened) cursor_close(&r.cursor);
    arena_release(&scratch);
    return status;
}

static enum status source_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    return buffer_append_string(out, positions->count && positions->items[0].offset ? "\"read\"" : "null");
}

static const char *source_describe(const struct source *source) {
    (void)source;
    return "MongoDB";
}

const struct source_class mongodb_source_class = {
    .name = "mongodb",
    .options = mongodb_source_options,
    .is_bounded_when_streamed = true,
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
