// SPDX-License-Identifier: Apache-2.0
// cassandra_sink.c: rows into tables of Cassandra: upserts and deletes at the clock of their epoch (cassandra_sink.h has the picture).
//
// A table's rows need a key, and the key is the table's primary key: without it rows of a streaming table would merge, or come twice. --full-refresh
// truncates the table before the first row of the epoch that builds it anew; TRUNCATE has no timestamp, which does no harm: that epoch is written
// whole, and written again whole if it fails.
#include "base/failpoint.h"
#include "connector/cassandra/cassandra_sink.h"
#include "connector/registry.h"
#include <stdio.h>

enum { TRUNCATE_S = 90 };  // the server gives itself 60

static struct cassandra_place place_of(const struct sink_request *r, bool offline) {
    return (struct cassandra_place){.options = &r->options, .table_name = r->table_name, .base_folder = r->base_folder, .use = CASSANDRA_WRITES, .offline = offline};
}

// --- plan time ---

static enum status check_key(const struct sink_request *r, struct error *e) {
    if (r->key_count) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_QUERY, "LEAT_TARGET_MISMATCH", r->single_row ? "`%s` is one row without a key, and a table of Cassandra has a primary key"
                    : "rows of `%s` have no key, and a table of Cassandra has a primary key: rows would merge, or be written twice after a failure", r->table_name);
    if (r->single_row) error_set_hint(e, "group by something: SELECT 'all' AS id, count(*) AS n … GROUP BY 'all'; or keep the view in the catalog (without USING)");
    else if (r->materialized) error_set_hint(e, "select every column of GROUP BY: they are the key");
    else error_set_hint(e, "name the columns that tell rows apart: TBLPROPERTIES (key = 'id')");
    return STATUS_INVALID_QUERY;
}

static enum status sink_check(const struct sink_request *r, struct error *e) {
    struct arena a;
    struct cassandra_settings settings;
    const char *create;
    TRY(check_key(r, e));
    struct cassandra_place place = place_of(r, true);
    arena_init(&a, r->memory);
    enum status status = cassandra_settings_read(&place, &a, &settings, e);
    if (status == STATUS_OK && settings.create) {
        if (!settings.keyspace) settings.keyspace = "";
        if (!settings.table) settings.table = "";
        status = cassandra_create_text(&settings, r->schema, r->key, r->key_count, &a, &create, e);
    }
    arena_release(&a);
    return status;
}

static enum status sink_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    return cassandra_identity(&r->options, a, out, e);
}

// --- the store ---

static void store_close(struct store *store) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    if (!s) return;
    cql_session_close(s->session);
    cassandra_free_parcels(s);
    pthread_mutex_destroy(&s->mutex);
    arena_release(&s->arena);
    memory_free(s->memory, s, sizeof *s);
}

static enum status find_keyspace(struct cassandra_store *s, struct error *e) {
    struct cql_keyspace *keyspace;
    TRY(cql_read_keyspace(s->session, &s->arena, s->settings.keyspace, &keyspace, e));
    if (keyspace) return STATUS_OK;
    if (!s->settings.create) return cassandra_keyspace_missing(s->session, &s->settings, true, &s->arena, e);
    TRY(cassandra_keyspace_create(s->session, &s->settings, &s->arena, e));
    if (s->any.log) log_write(s->any.log, LOG_WARN, "made the keyspace `%s` of Cassandra with one copy of each row; ALTER KEYSPACE raises that", s->settings.keyspace);
    return STATUS_OK;
}

static enum status open_session(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) {
    struct cassandra_place place = place_of(&s->any, false);
    TRY(sink_identity(&s->any, &s->arena, &s->store.identity, e));
    TRY(cassandra_settings_read(&place, &s->arena, &s->settings, e));
    TRY(cassandra_connect(&s->settings, s->any.stop, s->memory, s->any.log, &s->session, e));
    TRY(find_keyspace(s, e));
    return cassandra_record_open(s, found, record, e);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record,
                              struct error *e) {
    struct cassandra_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->memory = any->memory;
    s->any = *any;
    s->store.class = &cassandra_sink_class;
    memcpy(s->pipeline, pipeline, sizeof s->pipeline);
    arena_init(&s->arena, any->memory);
    pthread_mutex_init(&s->mutex, NULL);
    *found = false;
    enum status status = open_session(s, found, record, e);
    if (status != STATUS_OK) {
        store_close(&s->store);
        return status;
    }
    *out = &s->store;
    return STATUS_OK;
}

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    (void)e;
    s->epoch = *epoch;
    return STATUS_OK;
}

static enum status store_flush(struct store *store, struct error *e) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    TRY(cassandra_fence_check(s, e));
    for (bool more = true; more;) {
        cql_drain(s->session);
        pthread_mutex_lock(&s->mutex);
        more = s->failed != NULL;
        pthread_mutex_unlock(&s->mutex);
        if (more) TRY(cassandra_settle(s, e));
    }
    return failpoint("cassandra.flush", e);
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    TRY(failpoint("cassandra.commit", e));
    TRY(cassandra_record_write(s, record, e));
    return failpoint("cassandra.committed", e);
}

// What is under way may still arrive: at the same timestamps, with the same values as the next run of the epoch.
static enum status store_abort(struct store *store, struct error *e) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    (void)e;
    cql_drain(s->session);
    cassandra_forget_failures(s);
    return STATUS_OK;
}

static enum status store_recover(struct store *store, bool *found, struct sink_record *record, struct error *e) {
    return cassandra_record_read((struct cassandra_store *)store, found, record, e);
}

// --- a table ---

static void sink_close(struct sink *sink) {
    struct cassandra_table *t = (struct cassandra_table *)sink;
    if (!t) return;
    arena_release(&t->arena);
    memory_free(t->owner->memory, t, sizeof *t);
}

// Secrets are not in the store's identity: tables that write them differently would be written by one user all the same.
static enum status compare_secrets(const struct cassandra_table *t, struct error *e) {
    const char *name = cassandra_secret_that_differs(&t->sink.request.options, &t->owner->any.options);
    if (!name) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "the tables `%s` and `%s` have the same hosts, keyspace and user, and another `%s`", t->sink.request.table_name,
                    t->owner->any.table_name, name);
    error_set_hint(e, "they are written by one session: write the same credentials in both");
    return STATUS_INVALID_ARGUMENT;
}

static enum status look_for_rows(struct cassandra_table *t, bool *is_empty, struct error *e) {
    const struct cql_prepared *prepared;
    struct cql_cursor *cursor = NULL;
    struct buffer text;
    bool any = false;
    buffer_init(&text, t->owner->memory);
    enum status status = buffer_append_string(&text, "SELECT ");
    if (status == STATUS_OK) status = cql_append_name(&text, t->names[t->sink.request.key[0]]);
    if (status == STATUS_OK) status = buffer_append_string(&text, " FROM ");
    if (status == STATUS_OK) status = cassandra_append_table(&text, &t->settings);
    if (status == STATUS_OK) status = buffer_append_string(&text, " LIMIT 1");
    if (status == STATUS_OK) status = buffer_terminate(&text);
    status = status == STATUS_OK ? cassandra_prepare(t->owner->session, (const char *)text.data, &prepared, e) : error_no_memory(e);
    buffer_release(&text);
    TRY(status);
    struct cql_request *r = cql_request_begin(t->owner->session, prepared);
    if (!r) return error_no_memory(e);
    r->idempotent = true;
    r->consistency = t->owner->record_consistency;
    TRY(cassandra_passing(cql_cursor_open(t->owner->session, r, &cursor, e), e));
    status = cassandra_passing(cql_cursor_next(cursor, &any, e), e);
    cql_cursor_close(cursor);
    *is_empty = !any;
    return status;
}

static enum status prepare_table(struct cassandra_table *t, bool *is_empty, struct error *e) {
    const struct sink_request *r = &t->sink.request;
    struct cassandra_place place = place_of(r, false);
    TRY(compare_secrets(t, e));
    TRY(check_key(r, e));
    TRY(cassandra_settings_read(&place, &t->arena, &t->settings, e));
    char who[200];
    snprintf(who, sizeof who, "sink `%.140s`", r->table_name);
    cassandra_options_warn(&r->options, who, r->log);
    TRY(cassandra_match(t, e));
    return look_for_rows(t, is_empty, e);
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct cassandra_store *s = (struct cassandra_store *)store;
    struct cassandra_table *t = memory_alloc_zeroed(s->memory, sizeof *t);
    if (!t) return error_no_memory(e);
    t->sink = (struct sink){.class = store->class, .store = store, .request = *r};
    t->owner = s;
    arena_init(&t->arena, s->memory);
    enum status status = prepare_table(t, is_empty, e);
    if (status != STATUS_OK) {
        sink_close(&t->sink);
        return status;
    }
    *out = &t->sink;
    return STATUS_OK;
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    (void)worker;
    return cassandra_write((struct cassandra_table *)sink, b, refuse, context, e);
}

// By a session of its own, which waits as long as the server may take: a TRUNCATE given up and sent again could be carried out late, when the
// epoch's rows are there already.
static enum status truncate_table(struct cassandra_table *t, const char *text, struct error *e) {
    struct cassandra_settings patient = t->owner->settings;
    struct cql_session *session = NULL;
    patient.timeout_us = patient.attempt_timeout_us = TRUNCATE_S * INT64_C(1000000);
    TRY(cassandra_connect(&patient, t->owner->any.stop, t->owner->memory, t->owner->any.log, &session, e));
    enum status status = cql_query(session, text, e);
    cql_session_close(session);
    return status;
}

static enum status sink_empty(struct sink *sink, struct error *e) {
    struct cassandra_table *t = (struct cassandra_table *)sink;
    struct buffer text;
    TRY(failpoint("cassandra.truncate", e));
    buffer_init(&text, t->owner->memory);
    enum status status = buffer_append_string(&text, "TRUNCATE ");
    if (status == STATUS_OK) status = cassandra_append_table(&text, &t->settings);
    if (status == STATUS_OK) status = buffer_terminate(&text);
    status = status == STATUS_OK ? truncate_table(t, (const char *)text.data, e) : error_no_memory(e);
    buffer_release(&text);
    return status;
}

const struct sink_class cassandra_sink_class = {
    .name = "cassandra",
    .options = cassandra_sink_options,
    .capabilities = SINK_UPSERTS | SINK_DELETES,
    .check = sink_check,
    .identity = sink_identity,
    .store_open = store_open,
    .sink_open = sink_open,
    .begin = store_begin,
    .write = sink_write,
    .flush = store_flush,
    .commit = store_commit,
    .abort = store_abort,
    .recover = store_recover,
    .empty = sink_empty,
    .sink_close = sink_close,
    .store_close = store_close,
};
