// SPDX-License-Identifier: Apache-2.0
// cassandra_match.c: a query's columns against a table of the server. What would merge rows silently, double on replay or lose values is refused
// with the CQL or SQL that mends it:
//
//     the primary key is not the rows' unique key (as sets)     counters, static columns, views of the server
//     a list, set or map that is not frozen                     a column that is missing, or of a type that does not take the query's
#include "connector/cassandra/cassandra_sink.h"
#include <stdio.h>
#include <strings.h>

static enum status mismatch(const struct cassandra_table *t, struct error *e, const char *format, ...) PRINTF_LIKE(3, 4);
static enum status mismatch(const struct cassandra_table *t, struct error *e, const char *format, ...) {
    char text[700];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return error_set(e, STATUS_INVALID_QUERY, "LEAT_TARGET_MISMATCH", "`%.100s`: %s", t->sink.request.table_name, text);
}

static const struct sink_request *request_of(const struct cassandra_table *t) { return &t->sink.request; }

// --- the key ---

static bool is_key_ordinal(const struct sink_request *r, uint32_t ordinal) {
    for (uint32_t k = 0; k < r->key_count; k++) {
        if (r->key[k] == ordinal) return true;
    }
    return false;
}

static bool in_primary_key(const struct cql_table_column *c) { return c->role == CQL_PARTITION_KEY || c->role == CQL_CLUSTERING; }

static void append_cut(char *text, size_t size_bytes, const char *more) {
    size_t used = strlen(text);
    if (used + 1 < size_bytes) snprintf(text + used, size_bytes - used, "%s", more);
}

static enum status wrong_key(const struct cassandra_table *t, const struct cql_table *server, const int *places, const char *create, struct error *e) {
    const struct sink_request *r = request_of(t);
    char theirs[200] = "", ours[200] = "";
    for (uint32_t i = 0; i < server->column_count; i++) {
        if (!in_primary_key(&server->columns[i])) continue;
        append_cut(theirs, sizeof theirs, theirs[0] ? ", " : "");
        append_cut(theirs, sizeof theirs, server->columns[i].name);
    }
    for (uint32_t k = 0; k < r->key_count; k++) {
        append_cut(ours, sizeof ours, k ? ", " : "");
        append_cut(ours, sizeof ours, server->columns[places[r->key[k]]].name);
    }
    (void)mismatch(t, e, "the primary key of `%.100s`.`%.100s` is (%s), and the rows are told apart by (%s): rows would replace one another, or stay twice", server->keyspace, server->name, theirs, ours);
    if (r->materialized) cassandra_hint_cql(e, r->log, "group by the columns of the primary key, or write to a table of this key: ", create);
    else error_set_hint(e, "let `key` list the columns of the primary key: key = '%s'", theirs);
    return STATUS_INVALID_QUERY;
}

static enum status check_key(const struct cassandra_table *t, const struct cql_table *server, const int *places, const char *create, struct error *e) {
    const struct sink_request *r = request_of(t);
    bool same = r->key_count == server->partition_key_count + server->clustering_count;
    for (uint32_t k = 0; k < r->key_count && same; k++) same = in_primary_key(&server->columns[places[r->key[k]]]);
    return same ? STATUS_OK : wrong_key(t, server, places, create, e);
}

// --- columns ---

static enum status missing_column(const struct cassandra_table *t, const struct cql_table *server, const struct field *f, struct error *e) {
    struct buffer text;
    const char *names[64], *create;
    struct arena a;
    struct cassandra_settings s = t->settings;
    uint32_t count = server->column_count < 64 ? server->column_count : 64;
    for (uint32_t i = 0; i < count; i++) names[i] = server->columns[i].name;
    const char *near = suggest(f->name, names, count);
    (void)mismatch(t, e, "the table `%.100s`.`%.100s` has no column `%.100s`", server->keyspace, server->name, f->name);
    // The type as CREATE TABLE would write it.
    const struct type one = {.id = TYPE_STRUCT, .field_count = 1, .fields = f};
    struct error ignored;
    arena_init(&a, request_of(t)->memory);
    buffer_init(&text, request_of(t)->memory);
    bool has = cassandra_create_text(&s, &one, NULL, 0, &a, &create, &ignored) == STATUS_OK;
    const char *begin = has ? strstr(create, " (") : NULL, *end = begin ? strstr(begin, ", PRIMARY KEY") : NULL;
    bool built = end && buffer_append_string(&text, "ALTER TABLE ") == STATUS_OK && cassandra_append_table(&text, &s) == STATUS_OK &&
                 buffer_append_string(&text, " ADD ") == STATUS_OK && buffer_append(&text, begin + 2, (size_t)(end - begin - 2)) == STATUS_OK && buffer_terminate(&text) == STATUS_OK;
    if (built && e) error_set_hint(e, "%s%s%sadd it: %.300s;", near ? "did you mean `" : "", near ? near : "", near ? "`? Or " : "", (const char *)text.data);
    buffer_release(&text);
    arena_release(&a);
    return STATUS_INVALID_QUERY;
}

static enum status find_columns(const struct cassandra_table *t, const struct cql_table *server, int *places, struct error *e) {
    const struct type *schema = request_of(t)->schema;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        places[i] = cassandra_column_index(server, schema->fields[i].name);
        if (places[i] == -1) return missing_column(t, server, &schema->fields[i], e);
        if (places[i] == -2) return mismatch(t, e, "the table `%.100s` has several columns that are `%.100s` but for their letters' case", server->name, schema->fields[i].name);
        for (uint32_t k = 0; k < i; k++) {
            if (places[k] == places[i]) return mismatch(t, e, "the columns `%.100s` and `%.100s` are one column of the table", schema->fields[k].name, schema->fields[i].name);
        }
    }
    return STATUS_OK;
}

static enum status check_role(const struct cassandra_table *t, const struct cql_table_column *c, const char *create, struct error *e) {
    if (c->role == CQL_STATIC) {
        (void)mismatch(t, e, "the column `%.100s` is static: one value for all rows of a partition, so that rows would overwrite one another's", c->name);
        error_set_hint(e, "leave the column out of the query, or write to a table where it is not static");
        return STATUS_INVALID_QUERY;
    }
    if (c->type.kind == CQL_COUNTER) {
        (void)mismatch(t, e, "the column `%.100s` is a counter: adding twice after a failure would count twice", c->name);
        error_set_hint(e, "let SQL count, and keep the number: a column of type bigint");
        return STATUS_INVALID_QUERY;
    }
    bool collection = c->type.kind == CQL_LIST || c->type.kind == CQL_SET || c->type.kind == CQL_MAP;
    if (!collection || c->type.frozen) return STATUS_OK;
    (void)mismatch(t, e, "the column `%.100s` is %.200s, and not frozen: written again after a failure at one timestamp, a list doubles its elements", c->name, c->type_text);
    cassandra_hint_cql(e, request_of(t)->log, "a column's type cannot be changed; make the table anew with frozen collections: ", create);
    return STATUS_INVALID_QUERY;
}

static enum status check_type(const struct cassandra_table *t, struct arena *a, uint32_t ordinal, const struct cql_table_column *c, struct cassandra_encoder *out, struct error *e) {
    const struct field *f = &request_of(t)->schema->fields[ordinal];
    const char *why;
    bool fits;
    TRY(cassandra_encoder_make(a, f->type, &c->type, is_key_ordinal(request_of(t), ordinal), out, &fits, &why, e));
    if (fits) return STATUS_OK;
    const char *ours = type_name_sql(a, f->type), *wanted = cassandra_sql_type(&c->type);
    (void)error_set(e, STATUS_INVALID_QUERY, "LEAT_TYPE_NOT_STORABLE", "`%.80s`: the column `%.80s` of the query is %.200s, of the table `%.80s`.`%.80s` %.200s: %s", request_of(t)->table_name, f->name,
                    ours ? ours : "?", t->settings.keyspace, t->settings.table, c->type_text, why);
    if (wanted[0]) error_set_hint(e, "CAST(%.80s AS %s) AS %.80s", f->name, wanted, f->name);
    return STATUS_INVALID_QUERY;
}

static enum status check_columns(const struct cassandra_table *t, struct arena *a, const struct cql_table *server, const int *places, const char *create,
                                 struct cassandra_sink_column *columns, const char **names, struct error *e) {
    for (uint32_t i = 0; i < request_of(t)->schema->field_count; i++) {
        const struct cql_table_column *c = &server->columns[places[i]];
        columns[i].is_key = is_key_ordinal(request_of(t), i);
        names[i] = c->name;
        TRY(check_role(t, c, create, e));
        TRY(check_type(t, a, i, c, &columns[i].encoder, e));
    }
    return STATUS_OK;
}

// --- the whole ---

// `create`: the statement for this query, or NULL where a type has none.
static enum status find_table(const struct cassandra_table *t, struct arena *a, bool may_create, const char *create, const struct error *no_create, struct cql_table **out,
                              struct error *e) {
    struct cql_session *session = t->owner->session;
    struct cql_keyspace *keyspace;
    TRY(cassandra_table_find(session, &t->settings, a, &keyspace, out, e));
    if (*out) return STATUS_OK;
    if (!keyspace) return cassandra_keyspace_missing(session, &t->settings, true, a, e);
    if (!may_create || !t->settings.create) return cassandra_table_missing(session, &t->settings, create, a, request_of(t)->log, e);
    if (!create) {
        if (e) *e = *no_create;
        return no_create->status;
    }
    TRY(cassandra_run_cql(session, create, request_of(t)->log, e));
    if (request_of(t)->log) log_write(request_of(t)->log, LOG_INFO, "made the table `%s`.`%s` of Cassandra", t->settings.keyspace, t->settings.table);
    TRY(cassandra_table_find(session, &t->settings, a, &keyspace, out, e));
    return *out ? STATUS_OK : cassandra_table_missing(session, &t->settings, create, a, request_of(t)->log, e);
}

static enum status match(const struct cassandra_table *t, struct arena *a, bool may_create, struct cassandra_sink_column **columns, const char ***names, struct cql_table **server,
                         struct error *e) {
    const struct sink_request *r = request_of(t);
    const char *create = NULL;
    struct error no_create = {0};
    int *places = arena_alloc_array(a, r->schema->field_count + 1, sizeof *places);
    *columns = arena_alloc_array(a, r->schema->field_count + 1, sizeof **columns);
    *names = arena_alloc_array(a, r->schema->field_count + 1, sizeof **names);
    if (!places || !*columns || !*names) return error_no_memory(e);
    (void)!cassandra_create_text(&t->settings, r->schema, r->key, r->key_count, a, &create, &no_create);
    TRY(find_table(t, a, may_create, create, &no_create, server, e));
    if (!create) create = "CREATE TABLE …";
    if ((*server)->is_view) return mismatch(t, e, "`%.100s`.`%.100s` is a materialized view of the server, which only the server writes", (*server)->keyspace, (*server)->name);
    TRY(find_columns(t, *server, places, e));
    TRY(check_columns(t, a, *server, places, create, *columns, *names, e));
    return check_key(t, *server, places, create, e);
}

enum status cassandra_match_again(const struct cassandra_table *t, struct error *e) {
    struct arena a;
    struct cassandra_sink_column *columns;
    const char **names;
    struct cql_table *server;
    arena_init(&a, request_of(t)->memory);
    enum status status = match(t, &a, false, &columns, &names, &server, e);
    arena_release(&a);
    return status;
}

// --- statements ---

static bool append_insert(struct buffer *out, const struct cassandra_table *t) {
    uint32_t count = request_of(t)->schema->field_count;
    bool failed = buffer_append_string(out, "INSERT INTO ") != STATUS_OK || cassandra_append_table(out, &t->settings) != STATUS_OK;
    for (uint32_t i = 0; i < count; i++) failed |= buffer_append_string(out, i ? ", " : " (") != STATUS_OK || cql_append_name(out, t->names[i]) != STATUS_OK;
    failed |= buffer_append_string(out, ") VALUES (") != STATUS_OK;
    for (uint32_t i = 0; i < count; i++) failed |= buffer_append_string(out, i ? ", ?" : "?") != STATUS_OK;
    failed |= buffer_append_string(out, ") USING TIMESTAMP ?") != STATUS_OK;
    if (t->settings.ttl_s) failed |= buffer_printf(out, " AND TTL %d", (int)t->settings.ttl_s) != STATUS_OK;
    return !failed && buffer_terminate(out) == STATUS_OK;
}

static bool append_remove(struct buffer *out, const struct cassandra_table *t) {
    const struct sink_request *r = request_of(t);
    bool failed = buffer_append_string(out, "DELETE FROM ") != STATUS_OK || cassandra_append_table(out, &t->settings) != STATUS_OK ||
                  buffer_append_string(out, " USING TIMESTAMP ?") != STATUS_OK;
    for (uint32_t k = 0; k < r->key_count; k++) {
        failed |= buffer_append_string(out, k ? " AND " : " WHERE ") != STATUS_OK || cql_append_name(out, t->names[r->key[k]]) != STATUS_OK ||
                  buffer_append_string(out, " = ?") != STATUS_OK;
    }
    return !failed && buffer_terminate(out) == STATUS_OK;
}

static enum status prepare_statement(struct cassandra_table *t, bool (*append)(struct buffer *, const struct cassandra_table *), const struct cql_prepared **out, struct error *e) {
    struct buffer text;
    buffer_init(&text, request_of(t)->memory);
    enum status status = append(&text, t) ? cassandra_prepare(t->owner->session, (const char *)text.data, out, e) : error_no_memory(e);
    buffer_release(&text);
    return status;
}

enum status cassandra_match(struct cassandra_table *t, struct error *e) {
    struct cql_table *server;
    TRY(match(t, &t->arena, true, &t->columns, &t->names, &server, e));
    t->single_partition_key = server->partition_key_count == 1;
    for (uint32_t i = 0; i < request_of(t)->schema->field_count; i++) {
        if (strcmp(t->names[i], server->columns[0].name) == 0) t->partition_ordinal = i;
    }
    TRY(prepare_statement(t, append_insert, &t->insert, e));
    return prepare_statement(t, append_remove, &t->remove, e);
}
