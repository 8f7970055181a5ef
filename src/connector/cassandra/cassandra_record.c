// SPDX-License-Identifier: Apache-2.0
// cassandra_record.c: what a keyspace remembers of a pipeline: one row of leat_pipeline.
//
//     pipeline, store      primary key: the data folder's id, and by which hosts and user it is written
//     owner                the process that writes: set by a lightweight transaction alone, once a start
//     incarnation, epoch, digest   plain columns, written after the epoch's rows are acknowledged, at the epoch's clock
//
// Plain and conditional writes never touch the same column, so neither can hide the other. The record is read and written by a quorum
// whatever the rows' consistency is: what a start finds must be what the last epoch wrote.
#include "base/failpoint.h"
#include "base/random.h"
#include "connector/cassandra/cassandra_sink.h"
#include <stdio.h>
#include <unistd.h>

#define RECORD_TABLE "leat_pipeline"
enum { CLAIM_ATTEMPTS = 10, COLUMN_OWNER = 0, COLUMN_INCARNATION, COLUMN_EPOCH, COLUMN_DIGEST, RECORD_COLUMNS };

static const struct { const char *name; enum cql_kind kind; } record_columns[] = {
    {"pipeline", CQL_UUID}, {"store", CQL_TEXT}, {"owner", CQL_TEXT}, {"incarnation", CQL_BIGINT}, {"epoch", CQL_BIGINT}, {"digest", CQL_BIGINT},
};

// A statement about the record's table: printf with %s for its name.
static enum status record_text(struct cassandra_store *s, const char *format, const char **out, struct error *e) {
    struct buffer name;
    buffer_init(&name, s->memory);
    enum status status = cql_append_name(&name, s->settings.keyspace);
    if (status == STATUS_OK) status = buffer_append_string(&name, "." RECORD_TABLE);
    if (status == STATUS_OK) status = buffer_terminate(&name);
    const char *place = status == STATUS_OK ? strstr(format, "%s") : NULL;
    *out = place ? arena_printf(&s->arena, "%.*s%s%s", (int)(place - format), format, (const char *)name.data, place + 2) : NULL;
    buffer_release(&name);
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status check_record_table(const struct cassandra_store *s, const struct cql_table *t, struct error *e) {
    for (size_t i = 0; i < sizeof record_columns / sizeof record_columns[0]; i++) {
        int index = cassandra_column_index(t, record_columns[i].name);
        if (index >= 0 && t->columns[index].type.kind == record_columns[i].kind) continue;
        (void)error_set(e, STATUS_CONFLICT, "LEAT_TARGET_MISMATCH", "the table `" RECORD_TABLE "` of the keyspace `%s` is not leat's: it has no column `%s` of type %s", s->settings.keyspace,
                        record_columns[i].name, cql_kind_name(record_columns[i].kind));
        error_set_hint(e, "leat keeps its record there; rename or drop that table, or write into another keyspace");
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
}

static enum status find_record_table(struct cassandra_store *s, struct error *e) {
    struct cql_table *t;
    const char *create;
    TRY(cql_read_table(s->session, &s->arena, s->settings.keyspace, RECORD_TABLE, &t, e));
    if (t) return check_record_table(s, t, e);
    TRY(record_text(s, "CREATE TABLE IF NOT EXISTS %s (pipeline uuid, store text, owner text, incarnation bigint, epoch bigint, digest bigint, PRIMARY KEY ((pipeline, store)))", &create, e));
    return cassandra_run_cql(s->session, create, s->any.log, e);
}

static enum status prepare(struct cassandra_store *s, const char *format, const struct cql_prepared **out, struct error *e) {
    const char *text;
    TRY(record_text(s, format, &text, e));
    return cassandra_prepare(s->session, text, out, e);
}

static void bind_key(struct cassandra_store *s, struct cql_request *r) {
    cql_bind_bytes(r, s->pipeline, sizeof s->pipeline);
    cql_bind_bytes(r, s->store.identity, strlen(s->store.identity));
}

static struct cql_request *read_request(struct cassandra_store *s, enum cql_consistency consistency) {
    struct cql_request *r = cql_request_begin(s->session, s->read_record);
    if (!r) return NULL;
    bind_key(s, r);
    r->idempotent = true;
    r->consistency = consistency;
    return r;
}

static enum status take_number(struct cql_value v, uint64_t *out, struct error *e) {
    int64_t n = 0;
    if (!cql_is_null(v) && !cql_read_int64(v, &n)) return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "the record in `" RECORD_TABLE "` is no number");
    *out = (uint64_t)n;
    return STATUS_OK;
}

static void copy_owner(char out[CASSANDRA_OWNER_BYTES], struct cql_value v) {
    size_t size_bytes = cql_is_null(v) ? 0 : (size_t)v.size_bytes < CASSANDRA_OWNER_BYTES - 1 ? (size_t)v.size_bytes : CASSANDRA_OWNER_BYTES - 1;
    if (size_bytes) memcpy(out, v.bytes, size_bytes);
    out[size_bytes] = 0;
}

// *found: with an epoch. owner: "" where there is none.
static enum status read_record(struct cassandra_store *s, enum cql_consistency consistency, bool *found, struct sink_record *record, char owner[CASSANDRA_OWNER_BYTES],
                               struct error *e) {
    struct cql_cursor *cursor = NULL;
    struct cql_request *r = read_request(s, consistency);
    bool any = false;
    *found = false;
    owner[0] = 0;
    if (!r) return error_no_memory(e);
    TRY(cassandra_passing(cql_cursor_open(s->session, r, &cursor, e), e));
    enum status status = cassandra_passing(cql_cursor_next(cursor, &any, e), e);
    if (status == STATUS_OK && any && cursor->column_count == RECORD_COLUMNS) {
        memcpy(record->pipeline, s->pipeline, sizeof record->pipeline);
        copy_owner(owner, cursor->values[COLUMN_OWNER]);
        *found = !cql_is_null(cursor->values[COLUMN_EPOCH]);
        status = take_number(cursor->values[COLUMN_INCARNATION], &record->incarnation, e);
        if (status == STATUS_OK) status = take_number(cursor->values[COLUMN_EPOCH], &record->epoch, e);
        if (status == STATUS_OK) status = take_number(cursor->values[COLUMN_DIGEST], &record->digest, e);
    }
    cql_cursor_close(cursor);
    return status;
}

// --- whose it is ---

static void name_owner(struct cassandra_store *s) {
    char host[65] = "";
    uint8_t bytes[8];
    random_system(bytes, sizeof bytes);
    if (gethostname(host, sizeof host - 1)) snprintf(host, sizeof host, "unknown");
    int n = snprintf(s->owner, sizeof s->owner, "process %ld on %.64s, start ", (long)getpid(), host);
    for (size_t i = 0; i < sizeof bytes; i++) n += snprintf(s->owner + n, sizeof s->owner - (size_t)n, "%02x", bytes[i]);
}

static enum status claim_once(struct cassandra_store *s, const char *before, bool *applied, struct error *e) {
    struct cql_request *r = cql_request_begin(s->session, s->claim);
    if (!r) return error_no_memory(e);
    cql_bind_bytes(r, s->owner, strlen(s->owner));
    bind_key(s, r);
    if (before[0]) cql_bind_bytes(r, before, strlen(before));
    else cql_bind_null(r);
    r->consistency = s->record_consistency;
    r->serial_consistency = s->serial_consistency;
    return cassandra_passing(cql_execute_conditional(s->session, r, applied, e), e);
}

// One lightweight transaction where nobody else starts at the same moment. One whose outcome is not known is looked up.
static enum status claim(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) {
    char before[CASSANDRA_OWNER_BYTES];
    TRY(failpoint("cassandra.claim", e));
    for (int i = 0; i < CLAIM_ATTEMPTS; i++) {
        bool applied = false;
        TRY(read_record(s, s->serial_consistency, found, record, before, e));
        if (strcmp(before, s->owner) == 0) return STATUS_OK;
        enum status status = claim_once(s, before, &applied, e);
        if (status == STATUS_OK && applied) return STATUS_OK;
        if (status != STATUS_OK && status != STATUS_UNREACHABLE) return status;
    }
    return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "the record of this pipeline in `%s." RECORD_TABLE "` could not be taken over in %d attempts", s->settings.keyspace, CLAIM_ATTEMPTS);
}

static enum status lost(const struct cassandra_store *s, const char *owner, struct error *e) {
    (void)error_set(e, STATUS_CONFLICT, "LEAT_PRODUCER_FENCED", "another leat has taken over this pipeline in Cassandra, keyspace `%.100s`: %s", s->settings.keyspace,
                    owner[0] ? owner : "its record was deleted");
    error_set_hint(e, "a pipeline runs once; if that is a copy of this data folder, stop one of the two and give the copy a folder of its own");
    return STATUS_CONFLICT;
}

enum status cassandra_record_open(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) {
    bool wide = s->settings.consistency == CQL_QUORUM || s->settings.consistency == CQL_EACH_QUORUM || s->settings.consistency == CQL_ALL;
    s->record_consistency = wide ? CQL_QUORUM : CQL_LOCAL_QUORUM;
    s->serial_consistency = wide ? CQL_SERIAL : CQL_LOCAL_SERIAL;
    name_owner(s);
    TRY(find_record_table(s, e));
    TRY(prepare(s, "SELECT owner, incarnation, epoch, digest FROM %s WHERE pipeline = ? AND store = ?", &s->read_record, e));
    TRY(prepare(s, "UPDATE %s USING TIMESTAMP ? SET incarnation = ?, epoch = ?, digest = ? WHERE pipeline = ? AND store = ?", &s->write_record, e));
    TRY(prepare(s, "UPDATE %s SET owner = ? WHERE pipeline = ? AND store = ? IF owner = ?", &s->claim, e));
    return claim(s, found, record, e);
}

enum status cassandra_record_read(struct cassandra_store *s, bool *found, struct sink_record *record, struct error *e) {
    char owner[CASSANDRA_OWNER_BYTES];
    TRY(read_record(s, s->serial_consistency, found, record, owner, e));
    return strcmp(owner, s->owner) == 0 ? STATUS_OK : lost(s, owner, e);
}

enum status cassandra_record_write(struct cassandra_store *s, const struct sink_record *record, struct error *e) {
    struct cql_request *r = cql_request_begin(s->session, s->write_record);
    if (!r) return error_no_memory(e);
    cql_bind_int64(r, s->epoch.clock_us);
    cql_bind_int64(r, (int64_t)record->incarnation);
    cql_bind_int64(r, (int64_t)record->epoch);
    cql_bind_int64(r, (int64_t)record->digest);
    bind_key(s, r);
    r->idempotent = true;
    r->consistency = s->record_consistency;
    return cassandra_passing(cql_execute(s->session, r, e), e);
}

enum status cassandra_fence_check(struct cassandra_store *s, struct error *e) {
    struct sink_record record;
    char owner[CASSANDRA_OWNER_BYTES];
    bool found;
    TRY(read_record(s, s->record_consistency, &found, &record, owner, e));
    return strcmp(owner, s->owner) == 0 ? STATUS_OK : lost(s, owner, e);
}
