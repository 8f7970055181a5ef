// SPDX-License-Identifier: Apache-2.0
// console.c: the first rows of every epoch on standard output, in Spark's own form:
//
//     -------------------------------------------
//     Batch: 0
//     -------------------------------------------
//     +---+ …
//
// At-least-once. Only the rows to be shown are kept: those that come first in intent order, whichever worker brings them.
#include "connector/console/show.h"
#include "connector/registry.h"
#include <pthread.h>
#include <unistd.h>

static const struct option console_options[] = {
    {"numRows", OPTION_INT, "20", false, false, NULL, "rows shown of each epoch"},
    {"truncate", OPTION_STRING, "true", false, false, NULL, "cut cells to 20 characters; false, or a number of characters"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

struct kept_rows {            // the first rows of one batch, copied
    struct kept_rows *next;   // by sequence, then as they came
    uint64_t sequence;
    struct batch *rows;
};

struct console_store {
    struct store store;       // first
    struct memory *memory;
    struct console_sink *sink;
    uint64_t epoch;
};

struct console_sink {
    struct sink sink;         // first
    struct console_store *owner;
    uint32_t row_limit, truncate;
    const char **names;
    struct arena arena;
    pthread_mutex_t mutex;
    struct kept_rows *first;
    uint64_t row_count;       // of the epoch
};

static enum status console_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    *out = arena_printf(a, "console:%s", r->table_name);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record, struct error *e) {
    (void)pipeline, (void)record;
    struct console_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->store.class = &console_sink_class;
    s->store.identity = "console";
    s->memory = any->memory;
    *found = false;
    *out = &s->store;
    return STATUS_OK;
}

static enum status read_truncate(const char *text, uint32_t *out, struct error *e) {
    char *end;
    if (strcasecmp(text, "true") == 0) *out = 20;
    else if (strcasecmp(text, "false") == 0) *out = 0;
    else {
        unsigned long n = strtoul(text, &end, 10);
        if (*end || n > 1000000) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "truncate = '%s' is neither true, false nor a number", text);
        *out = (uint32_t)n;
    }
    return STATUS_OK;
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct console_store *owner = (struct console_store *)store;
    struct console_sink *s = memory_alloc_zeroed(owner->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->sink = (struct sink){.class = &console_sink_class, .store = store, .request = *r};
    s->owner = owner;
    arena_init(&s->arena, owner->memory);
    pthread_mutex_init(&s->mutex, NULL);
    owner->sink = s;
    *out = &s->sink;
    *is_empty = true;
    int64_t rows = option_number(&r->options, "numRows");
    s->row_limit = rows < 0 ? 0 : rows > 100000 ? 100000 : (uint32_t)rows;
    s->names = arena_alloc_array(&s->arena, r->schema->field_count + 1, sizeof *s->names);
    const char *truncate = option_text(&r->options, "truncate");
    enum status status = s->names ? read_truncate(truncate ? truncate : "true", &s->truncate, e) : error_no_memory(e);
    for (uint32_t i = 0; i < r->schema->field_count && status == STATUS_OK; i++) s->names[i] = r->schema->fields[i].name;
    if (status != STATUS_OK) s->sink.class->sink_close(&s->sink);
    return status;
}

static void drop_rows(struct console_sink *s) {
    for (struct kept_rows *k = s->first, *next; k; k = next) {
        next = k->next;
        batch_unref(k->rows);
        memory_free(s->owner->memory, k, sizeof *k);
    }
    s->first = NULL;
    s->row_count = 0;
}

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    struct console_store *s = (struct console_store *)store;
    (void)e;
    s->epoch = epoch->record.epoch;
    if (s->sink) drop_rows(s->sink);
    return STATUS_OK;
}

static struct batch *copy_first_rows(const struct console_sink *s, const struct batch *b, uint32_t limit) {
    struct rows rows = batch_rows(b);
    uint32_t picked[BATCH_ROWS], count = 0;
    for (uint32_t i = 0; i < rows.count && count < limit; i++) {
        if (batch_weight(b, rows_at(&rows, i)) > 0) picked[count++] = rows_at(&rows, i);
    }
    struct batch *copy = batch_new(s->owner->memory, b->column_count);
    for (uint32_t i = 0; copy && i < b->column_count; i++) {
        if (column_copy(&copy->arena, &b->columns[i], picked, count, &copy->columns[i]) != STATUS_OK) {
            batch_unref(copy);
            return NULL;
        }
    }
    if (copy) copy->row_count = copy->selected_count = count;
    return copy;
}

// Rows of earlier morsels come first; what lies beyond the limit is let go.
static enum status keep_rows(struct console_sink *s, const struct batch *b, struct error *e) {
    uint32_t before = 0;
    struct kept_rows **at = &s->first;
    for (; *at && (*at)->sequence <= b->sequence; at = &(*at)->next) before += (*at)->rows->row_count;
    if (before >= s->row_limit) return STATUS_OK;
    struct kept_rows *k = memory_alloc_zeroed(s->owner->memory, sizeof *k);
    if (k) k->rows = copy_first_rows(s, b, s->row_limit - before);
    if (!k || !k->rows) {
        if (k) memory_free(s->owner->memory, k, sizeof *k);
        return error_no_memory(e);
    }
    k->sequence = b->sequence;
    k->next = *at;
    *at = k;
    return STATUS_OK;
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    struct console_sink *s = (struct console_sink *)sink;
    (void)worker, (void)refuse, (void)context;
    struct rows rows = batch_rows(b);
    pthread_mutex_lock(&s->mutex);
    for (uint32_t i = 0; i < rows.count; i++) s->row_count += batch_weight(b, rows_at(&rows, i)) > 0;
    enum status status = keep_rows(s, b, e);
    pthread_mutex_unlock(&s->mutex);
    return status;
}

static enum status print_epoch(struct console_sink *s, uint64_t batch_number, struct buffer *out) {
    static const char rule[] = "-------------------------------------------\n";
    struct show show;
    show_init(&show, s->owner->memory, s->sink.request.session->zone, s->names, s->sink.request.schema->field_count, s->truncate);
    enum status status = buffer_printf(out, "%sBatch: %llu\n%s", rule, (unsigned long long)batch_number, rule);
    for (const struct kept_rows *k = s->first; k && status == STATUS_OK; k = k->next) {
        for (uint32_t row = 0; row < k->rows->row_count && show.row_count < s->row_limit && status == STATUS_OK; row++) status = show_add(&show, k->rows, row);
    }
    if (status == STATUS_OK) status = show_print(&show, s->row_count > show.row_count, out);
    if (status == STATUS_OK) status = buffer_append_byte(out, '\n');
    show_release(&show);
    return status;
}

static enum status store_flush(struct store *store, struct error *e) {
    struct console_store *s = (struct console_store *)store;
    struct buffer out;
    if (!s->sink) return STATUS_OK;
    buffer_init(&out, s->memory);
    enum status status = print_epoch(s->sink, s->epoch ? s->epoch - 1 : 0, &out);
    if (status != STATUS_OK) error_no_memory(e);
    struct log *log = s->sink->sink.request.log;
    if (log && log->line_open) {  // the progress line stands on the terminal
        static const char wipe[] = "\r\033[K";
        (void)!write(log->fd, wipe, sizeof wipe - 1);
        log->line_open = false;
    }
    for (size_t done = 0; status == STATUS_OK && done < out.size_bytes;) {
        ssize_t n = write(STDOUT_FILENO, out.data + done, out.size_bytes - done);
        if (n <= 0) break;  // nobody reads: a sample is no reason to stop
        done += (size_t)n;
    }
    buffer_release(&out);
    drop_rows(s->sink);
    return status;
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    (void)store, (void)record, (void)e;
    return STATUS_OK;
}

static enum status store_abort(struct store *store, struct error *e) {
    struct console_store *s = (struct console_store *)store;
    (void)e;
    if (s->sink) drop_rows(s->sink);
    return STATUS_OK;
}

static enum status sink_empty(struct sink *sink, struct error *e) {
    (void)sink, (void)e;
    return STATUS_OK;
}

static void sink_close(struct sink *sink) {
    struct console_sink *s = (struct console_sink *)sink;
    drop_rows(s);
    pthread_mutex_destroy(&s->mutex);
    arena_release(&s->arena);
    if (s->owner->sink == s) s->owner->sink = NULL;
    memory_free(s->owner->memory, s, sizeof *s);
}

static void store_close(struct store *store) {
    struct console_store *s = (struct console_store *)store;
    memory_free(s->memory, s, sizeof *s);
}

const struct sink_class console_sink_class = {
    .name = "console", .options = console_options, .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_KEYLESS_RETRACTS | SINK_FORGETFUL,
    .identity = console_identity, .store_open = store_open, .sink_open = sink_open, .begin = store_begin, .write = sink_write, .flush = store_flush,
    .commit = store_commit, .abort = store_abort, .empty = sink_empty, .sink_close = sink_close, .store_close = store_close,
};
