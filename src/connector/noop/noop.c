// SPDX-License-Identifier: Apache-2.0
// noop.c: takes rows and forgets them. At-least-once, for measuring what comes before the sink.
#include "connector/registry.h"

static const struct option noop_options[] = {{NULL, OPTION_STRING, NULL, false, false, NULL, NULL}};

struct noop_store {
    struct store store;  // first
    struct memory *memory;
};

static enum status noop_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    *out = arena_printf(a, "noop:%s", r->table_name);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record, struct error *e) {
    (void)pipeline, (void)record;
    struct noop_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->store = (struct store){.class = &noop_sink_class, .identity = "noop"};
    s->memory = any->memory;
    *found = false;
    *out = &s->store;
    return STATUS_OK;
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct sink *s = memory_alloc_zeroed(((struct noop_store *)store)->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    *s = (struct sink){.class = &noop_sink_class, .store = store, .request = *r};
    *is_empty = true;
    *out = s;
    return STATUS_OK;
}

static enum status noop_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    (void)store, (void)epoch, (void)e;
    return STATUS_OK;
}
static enum status noop_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    (void)sink, (void)worker, (void)b, (void)refuse, (void)context, (void)e;
    return STATUS_OK;
}
static enum status noop_flush(struct store *store, struct error *e) {
    (void)store, (void)e;
    return STATUS_OK;
}
static enum status noop_commit(struct store *store, const struct sink_record *record, struct error *e) {
    (void)store, (void)record, (void)e;
    return STATUS_OK;
}
static enum status noop_abort(struct store *store, struct error *e) {
    (void)store, (void)e;
    return STATUS_OK;
}
static enum status noop_empty(struct sink *sink, struct error *e) {
    (void)sink, (void)e;
    return STATUS_OK;
}
static void sink_close(struct sink *sink) { memory_free(((struct noop_store *)sink->store)->memory, sink, sizeof *sink); }
static void store_close(struct store *store) { memory_free(((struct noop_store *)store)->memory, store, sizeof(struct noop_store)); }

const struct sink_class noop_sink_class = {
    .name = "noop", .options = noop_options, .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_KEYLESS_RETRACTS | SINK_FORGETFUL,
    .identity = noop_identity, .store_open = store_open, .sink_open = sink_open, .begin = noop_begin, .write = noop_write, .flush = noop_flush,
    .commit = noop_commit, .abort = noop_abort, .empty = noop_empty, .sink_close = sink_close, .store_close = store_close,
};
