// SPDX-License-Identifier: Apache-2.0
// cassandra_table.c: the session, and tables by name: what is there, what is near a name that is not, and the CQL that would make it.
#include "connector/cassandra/cassandra.h"
#include <stdio.h>
#include <strings.h>

enum status cassandra_connect(const struct cassandra_settings *s, const _Atomic int *stop, struct memory *memory, struct log *log, struct cql_session **out,
                              struct error *e) {
    struct cql_config config = {
        .contact_points = s->hosts, .contact_point_count = s->host_count, .port = s->port, .user = s->user, .password = s->password, .tls = s->tls,
        .local_datacenter = s->datacenter, .consistency = CQL_LOCAL_QUORUM, .compression = s->compression, .in_flight_limit = s->in_flight,
        .page_rows = s->page_rows, .request_timeout_us = s->timeout_us, .attempt_timeout_us = s->attempt_timeout_us, .stop = stop, .memory = memory, .log = log,
    };
    enum status status = cql_session_open(&config, out, e);
    if (status != STATUS_OK && e && strcmp(e->condition, "LEAT_CASSANDRA_AUTHENTICATION") == 0 && !e->hint[0]) {
        error_set_hint(e, "%s", s->user ? "check user and password" : "the server asks for a login: user = 'ada', password = '${env:CASSANDRA_PASSWORD}'");
    }
    return status;
}

enum status cassandra_append_table(struct buffer *out, const struct cassandra_settings *s) {
    TRY(cql_append_name(out, s->keyspace));
    TRY(buffer_append_byte(out, '.'));
    return cql_append_name(out, s->table);
}

int cassandra_column_index(const struct cql_table *t, const char *name) {
    int found = -1;
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (strcmp(t->columns[i].name, name) == 0) return (int)i;
    }
    for (uint32_t i = 0; i < t->column_count; i++) {
        if (strcasecmp(t->columns[i].name, name) == 0) found = found == -1 ? (int)i : -2;
    }
    return found;
}

void cassandra_hint_cql(struct error *e, struct log *log, const char *before, const char *cql) {
    if (!e) return;
    if (strlen(before) + strlen(cql) < sizeof e->hint) {
        error_set_hint(e, "%s%s", before, cql);
        return;
    }
    if (log) log_write(log, LOG_WARN, "%s%s", before, cql);
    error_set_hint(e, "%s… (the whole statement stands in the log, above)", before);
}

// The name that differs in case alone, or by a letter or two.
static const char *near_name(const char *name, const char **names, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (strcasecmp(name, names[i]) == 0) return names[i];
    }
    return suggest(name, names, count);
}

static enum status keyspace_text(const struct cassandra_settings *s, struct arena *a, const char **out, struct error *e) {
    struct buffer text;
    buffer_init(&text, a->memory);
    enum status status = buffer_append_string(&text, "CREATE KEYSPACE IF NOT EXISTS ");
    if (status == STATUS_OK) status = cql_append_name(&text, s->keyspace);
    if (status == STATUS_OK) status = buffer_append_string(&text, " WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}");
    *out = status == STATUS_OK ? arena_strndup(a, (const char *)text.data, text.size_bytes) : NULL;
    buffer_release(&text);
    return *out ? STATUS_OK : error_no_memory(e);
}

enum status cassandra_keyspace_missing(struct cql_session *session, const struct cassandra_settings *s, bool creatable, struct arena *a, struct error *e) {
    const char **names, *text, *near;
    uint32_t count;
    TRY(keyspace_text(s, a, &text, e));
    TRY(cql_list_keyspaces(session, a, &names, &count, e));
    near = near_name(s->keyspace, names, count);
    (void)error_set(e, STATUS_INVALID_QUERY, "SCHEMA_NOT_FOUND", "Cassandra has no keyspace `%s`", s->keyspace);
    if (near) error_set_hint(e, "did you mean `%s`? (letters' case counts)", near);
    else error_set_hint(e, "make it: %s;%s", text, creatable ? "   (or let leat do it: 'leat.create' = 'true')" : "");
    return STATUS_INVALID_QUERY;
}

enum status cassandra_keyspace_create(struct cql_session *session, const struct cassandra_settings *s, struct arena *a, struct error *e) {
    const char *text;
    TRY(keyspace_text(s, a, &text, e));
    return cassandra_run_cql(session, text, NULL, e);
}

enum status cassandra_run_cql(struct cql_session *session, const char *text, struct log *log, struct error *e) {
    enum status status = cql_query(session, text, e);
    if (status == STATUS_INVALID_ARGUMENT && e && strcmp(e->condition, "LEAT_CASSANDRA_UNAUTHORIZED") == 0) {
        char before[160];
        snprintf(before, sizeof before, "somebody who may has to type it once: ");
        cassandra_hint_cql(e, log, before, text);
    }
    return status;
}

// READ_FAILURE, WRITE_FAILURE, CDC_WRITE_FAILURE (its space is full), a file that the server could not write.
static bool passes(const struct error *why) {
    static const char *const words[] = {"(0x1300)", "(0x1500)", "(0x1600)", "FSWriteError", "No space left on device"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (strstr(why->message, words[i])) return true;
    }
    return false;
}

enum status cassandra_judge(const struct error *why) {
    static const char start[] = ": Guardrail ";
    const char *said = strstr(why->message, ": ");
    if (why->status == STATUS_IO && passes(why)) return STATUS_UNREACHABLE;
    if (why->status != STATUS_DATA || !said || strncmp(said, start, sizeof start - 1) != 0) return why->status;
    const char *name = said + sizeof start - 1, *end = strstr(name, " violated");
    size_t length = end ? (size_t)(end - name) : 0;
    if (!length || memmem(name, length, "_size", 5) || memmem(name, length, "items_per_", 10)) return STATUS_DATA;
    return memmem(name, length, "disk_usage", 10) ? STATUS_UNREACHABLE : STATUS_INVALID_ARGUMENT;
}

enum status cassandra_passing(enum status status, struct error *e) {
    if (!e || status == STATUS_OK) return status;
    enum status judged = cassandra_judge(e);
    if (e->status == STATUS_DATA && judged != STATUS_DATA) {
        snprintf(e->condition, sizeof e->condition, "%s", judged == STATUS_UNREACHABLE ? "LEAT_CASSANDRA_UNAVAILABLE" : "LEAT_CASSANDRA_INVALID");
        error_set_hint(e, "a limit of the server's own: whoever runs it can raise it, or make room");
    }
    return e->status = judged;
}

// The table is in the server's schema and cannot be used yet: it was made a moment ago, by a statement that nobody waited for to the end.
enum status cassandra_prepare(struct cql_session *session, const char *text, const struct cql_prepared **out, struct error *e) {
    struct error why = {0};
    enum status status = cql_prepare(session, text, out, &why);
    if (status != STATUS_OK && e) *e = why;
    if (status != STATUS_INVALID_QUERY || (!strstr(why.message, "does not exist") && !strstr(why.message, "unconfigured table"))) return status;
    if (e) e->status = STATUS_UNREACHABLE;
    return STATUS_UNREACHABLE;
}

enum status cassandra_table_find(struct cql_session *session, const struct cassandra_settings *s, struct arena *a, struct cql_keyspace **keyspace,
                                 struct cql_table **table, struct error *e) {
    *table = NULL;
    TRY(cql_read_keyspace(session, a, s->keyspace, keyspace, e));
    return *keyspace ? cql_read_table(session, a, s->keyspace, s->table, table, e) : STATUS_OK;
}

enum status cassandra_table_missing(struct cql_session *session, const struct cassandra_settings *s, const char *create, struct arena *a, struct log *log, struct error *e) {
    const char **names, *near;
    uint32_t count;
    TRY(cql_list_tables(session, a, s->keyspace, &names, &count, e));
    near = near_name(s->table, names, count);
    (void)error_set(e, STATUS_INVALID_QUERY, "TABLE_OR_VIEW_NOT_FOUND", "the keyspace `%.200s` of Cassandra has no table `%.200s`", s->keyspace, s->table);
    char before[320];
    snprintf(before, sizeof before, "%s%.200s%s", near ? "did you mean `" : "", near ? near : "", near ? "` (letters' case counts)? Or make it: " : "'leat.create' = 'true' makes it, or type: ");
    if (create) cassandra_hint_cql(e, log, before, create);
    else if (near) error_set_hint(e, "did you mean `%s`? (letters' case counts)", near);
    return STATUS_INVALID_QUERY;
}

// --- CREATE TABLE ---

// False: there is no type of CQL for it.
static bool append_type(struct buffer *out, const struct type *t, bool *failed) {
    static const char *const simple[TYPE_COUNT] = {
        [TYPE_BOOLEAN] = "boolean", [TYPE_TINYINT] = "tinyint", [TYPE_SMALLINT] = "smallint", [TYPE_INT] = "int", [TYPE_BIGINT] = "bigint",
        [TYPE_FLOAT] = "float", [TYPE_DOUBLE] = "double", [TYPE_DECIMAL] = "decimal", [TYPE_STRING] = "text", [TYPE_BINARY] = "blob", [TYPE_DATE] = "date",
        [TYPE_TIMESTAMP] = "timestamp", [TYPE_TIMESTAMP_NTZ] = "timestamp", [TYPE_INTERVAL_YM] = "duration", [TYPE_INTERVAL_DT] = "duration",
        [TYPE_INTERVAL] = "duration",
    };
    if (!type_is_nested(t)) {
        if (simple[t->id]) *failed |= buffer_append_string(out, simple[t->id]) != STATUS_OK;
        return simple[t->id] != NULL;
    }
    bool has_type = t->field_count > 0;
    *failed |= buffer_append_string(out, t->id == TYPE_ARRAY ? "frozen<list<" : t->id == TYPE_MAP ? "frozen<map<" : "frozen<tuple<") != STATUS_OK;
    for (uint32_t i = 0; i < t->field_count && has_type; i++) {
        if (i) *failed |= buffer_append_string(out, ", ") != STATUS_OK;
        has_type = append_type(out, t->fields[i].type, failed);
    }
    *failed |= buffer_append_string(out, ">>") != STATUS_OK;
    return has_type;
}

static enum status no_type(const struct field *f, struct error *e) {
    (void)error_set(e, STATUS_INVALID_QUERY, "LEAT_TYPE_NOT_STORABLE", "Cassandra has no type for the column `%s`", f->name);
    error_set_hint(e, "CAST(%.60s AS STRING) AS %.60s", f->name, f->name);
    return STATUS_INVALID_QUERY;
}

static enum status append_create(struct buffer *out, const struct cassandra_settings *s, const struct type *schema, const uint32_t *key, uint32_t key_count, struct error *e) {
    bool failed = buffer_append_string(out, "CREATE TABLE IF NOT EXISTS ") != STATUS_OK || cassandra_append_table(out, s) != STATUS_OK;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        failed |= buffer_append_string(out, i ? ", " : " (") != STATUS_OK || cql_append_name(out, schema->fields[i].name) != STATUS_OK ||
                  buffer_append_byte(out, ' ') != STATUS_OK;
        if (!append_type(out, schema->fields[i].type, &failed)) return no_type(&schema->fields[i], e);
    }
    failed |= buffer_append_string(out, ", PRIMARY KEY ((") != STATUS_OK;  // all in the partition key: rows are spread over the hosts
    for (uint32_t i = 0; i < key_count; i++) {
        if (i) failed |= buffer_append_string(out, ", ") != STATUS_OK;
        failed |= cql_append_name(out, schema->fields[key[i]].name) != STATUS_OK;
    }
    failed |= buffer_append_string(out, ")))") != STATUS_OK;
    return failed ? error_no_memory(e) : STATUS_OK;
}

enum status cassandra_create_text(const struct cassandra_settings *s, const struct type *schema, const uint32_t *key, uint32_t key_count, struct arena *a,
                                  const char **out, struct error *e) {
    struct buffer text;
    buffer_init(&text, a->memory);
    enum status status = append_create(&text, s, schema, key, key_count, e);
    *out = status == STATUS_OK ? arena_strndup(a, (const char *)text.data, text.size_bytes) : NULL;
    buffer_release(&text);
    return status != STATUS_OK || *out ? status : error_no_memory(e);
}
