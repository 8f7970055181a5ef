// SPDX-License-Identifier: Apache-2.0
// cql_schema.c: keyspaces, tables and types as system_schema tells them; names and literals as CQL text.
#include "cql/cql_internal.h"
#include <stdlib.h>

enum { ROWS_MAX = 100000, UDT_ROWS_MAX = 4096, UDT_FIELDS_MAX = 1 << 18, UDT_NODES_MAX = 65536 };

// ---- text ----

static const char *const reserved[] = {
    "add", "allow", "alter", "and", "apply", "asc", "authorize", "batch", "begin", "by", "columnfamily", "create", "default", "delete", "desc",
    "describe", "drop", "entries", "execute", "from", "full", "grant", "if", "in", "index", "infinity", "insert", "into", "is", "keyspace", "limit",
    "materialized", "mbean", "mbeans", "modify", "nan", "norecursive", "not", "null", "of", "on", "or", "order", "primary", "rename", "replace",
    "revoke", "schema", "select", "set", "table", "to", "token", "truncate", "unlogged", "unset", "update", "use", "using", "view", "where", "with"};

enum status cql_append_name(struct buffer *out, const char *name) {
    bool bare = *name >= 'a' && *name <= 'z';
    for (const char *c = name; *c; c++) bare &= (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9') || *c == '_';
    for (size_t i = 0; bare && i < sizeof reserved / sizeof *reserved; i++) bare = strcmp(name, reserved[i]) != 0;
    if (bare) return buffer_append_string(out, name);
    TRY(buffer_append_byte(out, '"'));
    for (const char *c = name; *c; c++) {
        if (*c == '"') TRY(buffer_append_byte(out, '"'));
        TRY(buffer_append_byte(out, (uint8_t)*c));
    }
    return buffer_append_byte(out, '"');
}

enum status cql_append_literal(struct buffer *out, const char *text, size_t size_bytes) {
    TRY(buffer_append_byte(out, '\''));
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] == '\'') TRY(buffer_append_byte(out, '\''));
        TRY(buffer_append_byte(out, (uint8_t)text[i]));
    }
    return buffer_append_byte(out, '\'');
}

// ---- rows of system_schema ----

static enum status open_rows(struct cql_session *s, const char *text, const char *first, const char *second, struct cql_cursor **out, struct error *e) {
    struct cql_request *r = cql_request_text(s, text);
    if (!r) return error_no_memory(e);
    r->idempotent = true;
    r->consistency = CQL_ONE;
    if (first) cql_bind_bytes(r, first, strlen(first));
    if (second) cql_bind_bytes(r, second, strlen(second));
    return cql_cursor_open(s, r, out, e);
}

static struct cql_value column_of(const struct cql_cursor *c, const char *name) {
    for (uint32_t i = 0; i < c->column_count; i++) {
        if (!strcmp(c->columns[i].name, name)) return c->values[i];
    }
    return (struct cql_value){.size_bytes = -1};
}

// A text column as a string in the arena; NULL becomes "". A zero byte ends it.
static enum status text_of(const struct cql_cursor *c, const char *name, struct arena *arena, const char **out, struct error *e) {
    struct cql_value v = column_of(c, name);
    *out = arena_strndup(arena, v.size_bytes > 0 ? (const char *)v.bytes : "", v.size_bytes > 0 ? (size_t)v.size_bytes : 0);
    return *out ? STATUS_OK : error_no_memory(e);
}

// The next row's space in an array that doubles.
static void *grow(struct arena *arena, void *items, uint32_t count, size_t item_bytes) {
    if (count && (count & (count - 1))) return items;
    void *more = arena_alloc_array(arena, count ? (size_t)count * 2 : 1, item_bytes);
    if (more && count) memcpy(more, items, count * item_bytes);
    return more;
}

static enum status list_names(struct cql_session *s, struct arena *arena, const char *text, const char *column, const char *keyspace, const char ***names,
                              uint32_t *count, struct error *e) {
    struct cql_cursor *c;
    bool found = true;
    *names = NULL;
    *count = 0;
    TRY(open_rows(s, text, keyspace, NULL, &c, e));
    enum status status = STATUS_OK;
    while (status == STATUS_OK && *count < ROWS_MAX) {
        status = cql_cursor_next(c, &found, e);
        if (status != STATUS_OK || !found) break;
        *names = grow(arena, *names, *count, sizeof **names);
        status = *names ? text_of(c, column, arena, &(*names)[*count], e) : error_no_memory(e);
        ++*count;
    }
    cql_cursor_close(c);
    return status;
}

enum status cql_list_tables(struct cql_session *session, struct arena *arena, const char *keyspace, const char ***names, uint32_t *count, struct error *e) {
    return list_names(session, arena, "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ?", "table_name", keyspace, names, count, e);
}

enum status cql_list_keyspaces(struct cql_session *session, struct arena *arena, const char ***names, uint32_t *count, struct error *e) {
    return list_names(session, arena, "SELECT keyspace_name FROM system_schema.keyspaces", "keyspace_name", NULL, names, count, e);
}

// ---- types ----

struct udt_row {
    const char *name;
    struct cql_value names;        // list<text>, copied
    struct cql_value types;
    bool done;
};

static enum status copy_bytes(struct arena *arena, struct cql_value v, struct cql_value *out, struct error *e) {
    *out = (struct cql_value){.size_bytes = -1};
    if (v.size_bytes < 0) return STATUS_OK;
    uint8_t *bytes = arena_alloc(arena, (size_t)v.size_bytes + 1);
    if (!bytes) return error_no_memory(e);
    memcpy(bytes, v.bytes, (size_t)v.size_bytes);
    *out = (struct cql_value){.bytes = bytes, .size_bytes = v.size_bytes};
    return STATUS_OK;
}

// Types may share children, so their size on paper can be far more than their size in memory: a server that means ill could make printing endless.
static bool within(const struct cql_type *type, uint32_t *left) {
    if (!*left) return false;
    --*left;
    for (uint32_t i = 0; i < type->child_count; i++) {
        if (!within(&type->children[i], left)) return false;
    }
    return true;
}

// STATUS_NOT_FOUND: a type that it is made of is not known yet.
static enum status build_udt(struct arena *arena, const char *keyspace, const struct udt_row *row, const struct cql_udt *known, uint32_t known_count,
                             uint32_t *fields_left, struct cql_udt *out, struct error *e) {
    static const struct cql_type text = {.kind = CQL_TEXT}, list = {.kind = CQL_LIST, .child_count = 1, .children = (struct cql_type *)(uintptr_t)&text};
    struct cql_elements names, types;
    struct cql_value name, type;
    uint32_t left = UDT_NODES_MAX;
    if (!cql_elements_open(&names, &list, row->names) || !cql_elements_open(&types, &list, row->types) || names.left != types.left ||
        names.left > CQL_TYPE_CHILDREN_MAX) {
        return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: the fields of the type `%s`", row->name);
    }
    *out = (struct cql_udt){.name = row->name, .type = {.kind = CQL_UDT, .keyspace = keyspace, .name = row->name, .child_count = names.left}};
    out->type.children = arena_alloc_array(arena, names.left ? names.left : 1, sizeof *out->type.children);
    out->type.field_names = arena_alloc_array(arena, names.left ? names.left : 1, sizeof *out->type.field_names);
    if (!out->type.children || !out->type.field_names) return error_no_memory(e);
    for (uint32_t i = 0; i < out->type.child_count; i++) {
        if (!cql_elements_next(&names, &name) || !cql_elements_next(&types, &type) || name.size_bytes < 0 || type.size_bytes < 0) {
            return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: the fields of the type `%s`", row->name);
        }
        if (!*fields_left) return error_set(e, STATUS_LIMIT, "LEAT_CASSANDRA_TYPE", "the keyspace `%s` has too many types of too many fields", keyspace);
        --*fields_left;
        out->type.field_names[i] = arena_strndup(arena, (const char *)name.bytes, (size_t)name.size_bytes);
        if (!out->type.field_names[i]) return error_no_memory(e);
        TRY(cql_type_parse(arena, (const char *)type.bytes, (size_t)type.size_bytes, keyspace, known, known_count, &out->type.children[i], e));
    }
    return within(&out->type, &left) ? STATUS_OK : error_set(e, STATUS_LIMIT, "LEAT_CASSANDRA_TYPE", "the type `%s` is too large", row->name);
}

static enum status read_udt_rows(struct cql_session *s, struct arena *arena, const char *keyspace, struct udt_row **rows, uint32_t *count, struct error *e) {
    struct cql_cursor *c;
    bool found = true;
    *rows = NULL;
    *count = 0;
    TRY(open_rows(s, "SELECT type_name, field_names, field_types FROM system_schema.types WHERE keyspace_name = ?", keyspace, NULL, &c, e));
    enum status status = STATUS_OK;
    while (status == STATUS_OK) {
        status = cql_cursor_next(c, &found, e);
        if (status != STATUS_OK || !found) break;
        if (*count == UDT_ROWS_MAX) status = error_set(e, STATUS_LIMIT, "LEAT_CASSANDRA_TYPE", "the keyspace `%s` has more than %d types", keyspace, UDT_ROWS_MAX);
        if (status != STATUS_OK) break;
        *rows = grow(arena, *rows, *count, sizeof **rows);
        if (!*rows) status = error_no_memory(e);
        struct udt_row *row = status == STATUS_OK ? &(*rows)[(*count)++] : NULL;
        if (row) row->done = false;
        if (status == STATUS_OK) status = text_of(c, "type_name", arena, &row->name, e);
        if (status == STATUS_OK) status = copy_bytes(arena, column_of(c, "field_names"), &row->names, e);
        if (status == STATUS_OK) status = copy_bytes(arena, column_of(c, "field_types"), &row->types, e);
    }
    cql_cursor_close(c);
    return status;
}

// Types are made of types: each round takes those whose parts are known, until a round finds none. As many rounds as types may be deep, and a limit
// for all fields looked at: what a server sends could otherwise be looked at for hours.
static enum status read_udts(struct cql_session *s, struct arena *arena, const char *keyspace, const struct cql_udt **out, uint32_t *out_count, struct error *e) {
    struct udt_row *rows;
    uint32_t row_count, count = 0, fields_left = UDT_FIELDS_MAX;
    bool progress = true;
    *out = NULL;
    *out_count = 0;
    TRY(read_udt_rows(s, arena, keyspace, &rows, &row_count, e));
    if (!row_count) return STATUS_OK;
    struct cql_udt *udts = arena_alloc_array(arena, row_count, sizeof *udts);
    if (!udts) return error_no_memory(e);
    for (uint32_t round = 0; progress && round < CQL_TYPE_DEPTH_MAX; round++) {
        progress = false;
        for (uint32_t i = 0; i < row_count; i++) {
            if (rows[i].done) continue;
            enum status status = build_udt(arena, keyspace, &rows[i], udts, count, &fields_left, &udts[count], e);
            if (status == STATUS_NOT_FOUND) continue;
            TRY(status);
            rows[i].done = progress = true;
            count++;
        }
    }
    *out = udts;
    *out_count = count;
    return STATUS_OK;
}

// ---- keyspaces ----

static enum status print_replication(struct arena *arena, struct cql_value v, struct cql_keyspace *out, struct error *e) {
    static const struct cql_type texts[2] = {{.kind = CQL_TEXT}, {.kind = CQL_TEXT}};
    static const struct cql_type map = {.kind = CQL_MAP, .child_count = 2, .children = (struct cql_type *)(uintptr_t)texts};
    struct cql_elements elements;
    struct cql_value key, value;
    struct buffer text;
    out->strategy = "";
    buffer_init(&text, arena->memory);
    enum status status = buffer_append_byte(&text, '{');
    if (!cql_elements_open(&elements, &map, v)) elements.left = 0;
    for (bool first = true; status == STATUS_OK && elements.left >= 2; first = false) {
        if (!cql_elements_next(&elements, &key) || !cql_elements_next(&elements, &value) || key.size_bytes < 0 || value.size_bytes < 0) break;
        if (key.size_bytes == 5 && !memcmp(key.bytes, "class", 5)) {
            const char *dot = memrchr(value.bytes, '.', (size_t)value.size_bytes);
            const char *begin = dot ? dot + 1 : (const char *)value.bytes;
            value = (struct cql_value){.bytes = (const uint8_t *)begin, .size_bytes = value.size_bytes - (int32_t)(begin - (const char *)value.bytes)};
            out->strategy = arena_strndup(arena, begin, (size_t)value.size_bytes);
            if (!out->strategy) status = STATUS_NO_MEMORY;
        }
        if (status == STATUS_OK && !first) status = buffer_append_string(&text, ", ");
        if (status == STATUS_OK) status = cql_append_literal(&text, (const char *)key.bytes, (size_t)key.size_bytes);
        if (status == STATUS_OK) status = buffer_append_string(&text, ": ");
        if (status == STATUS_OK) status = cql_append_literal(&text, (const char *)value.bytes, (size_t)value.size_bytes);
    }
    if (status == STATUS_OK) status = buffer_append_byte(&text, '}');
    if (status == STATUS_OK) out->replication = arena_strndup(arena, (const char *)text.data, text.size_bytes);
    buffer_release(&text);
    return status == STATUS_OK && out->replication ? STATUS_OK : error_no_memory(e);
}

enum status cql_read_keyspace(struct cql_session *session, struct arena *arena, const char *keyspace, struct cql_keyspace **out, struct error *e) {
    struct cql_cursor *c;
    bool found;
    *out = NULL;
    TRY(open_rows(session, "SELECT keyspace_name, durable_writes, replication FROM system_schema.keyspaces WHERE keyspace_name = ?", keyspace, NULL, &c, e));
    enum status status = cql_cursor_next(c, &found, e);
    struct cql_keyspace *k = NULL;
    if (status == STATUS_OK && found) {
        k = arena_alloc_zeroed(arena, sizeof *k);
        status = k ? text_of(c, "keyspace_name", arena, &k->name, e) : error_no_memory(e);
        if (status == STATUS_OK) status = print_replication(arena, column_of(c, "replication"), k, e);
        if (status == STATUS_OK && !cql_read_bool(column_of(c, "durable_writes"), &k->durable_writes)) k->durable_writes = true;
    }
    cql_cursor_close(c);
    TRY(status);
    if (k) TRY(read_udts(session, arena, keyspace, &k->udts, &k->udt_count, e));
    *out = k;
    return STATUS_OK;
}

// ---- tables ----

static int compare_columns(const void *a, const void *b) {
    const struct cql_table_column *x = a, *y = b;
    if (x->role != y->role) return x->role < y->role ? -1 : 1;
    if (x->position != y->position) return x->position < y->position ? -1 : 1;
    return strcmp(x->name, y->name);
}

static bool text_is(const char *a, const char *b) { return !strcmp(a, b); }

static enum status read_column(const struct cql_cursor *c, struct arena *arena, const struct cql_keyspace *k, struct cql_table_column *out, struct error *e) {
    const char *kind, *order;
    int32_t position;
    TRY(text_of(c, "column_name", arena, &out->name, e));
    TRY(text_of(c, "kind", arena, &kind, e));
    TRY(text_of(c, "clustering_order", arena, &order, e));
    TRY(text_of(c, "type", arena, &out->type_text, e));
    out->role = text_is(kind, "partition_key") ? CQL_PARTITION_KEY : text_is(kind, "clustering") ? CQL_CLUSTERING : text_is(kind, "static") ? CQL_STATIC : CQL_REGULAR;
    out->position = cql_read_int32(column_of(c, "position"), &position) && position > 0 ? (uint32_t)position : 0;
    out->descending = text_is(order, "desc");
    return cql_type_parse(arena, out->type_text, strlen(out->type_text), k->name, k->udts, k->udt_count, &out->type, e);
}

static enum status read_columns(struct cql_session *s, struct arena *arena, const struct cql_keyspace *k, struct cql_table *t, struct error *e) {
    struct cql_cursor *c;
    bool found = true;
    TRY(open_rows(s, "SELECT column_name, kind, position, clustering_order, type FROM system_schema.columns WHERE keyspace_name = ? AND table_name = ?",
                  t->keyspace, t->name, &c, e));
    enum status status = STATUS_OK;
    while (status == STATUS_OK && t->column_count < ROWS_MAX) {
        status = cql_cursor_next(c, &found, e);
        if (status != STATUS_OK || !found) break;
        t->columns = grow(arena, t->columns, t->column_count, sizeof *t->columns);
        if (!t->columns) {
            status = error_no_memory(e);
            break;
        }
        struct cql_table_column *column = &t->columns[t->column_count++];
        *column = (struct cql_table_column){0};
        status = read_column(c, arena, k, column, e);
    }
    cql_cursor_close(c);
    TRY(status);
    if (t->column_count) qsort(t->columns, t->column_count, sizeof *t->columns, compare_columns);
    for (uint32_t i = 0; i < t->column_count; i++) {
        t->partition_key_count += t->columns[i].role == CQL_PARTITION_KEY;
        t->clustering_count += t->columns[i].role == CQL_CLUSTERING;
        t->is_counter |= t->columns[i].type.kind == CQL_COUNTER;
    }
    return STATUS_OK;
}

static enum status read_table_row(struct cql_session *s, struct arena *arena, const char *keyspace, const char *table, bool view, struct cql_table **out,
                                  struct error *e) {
    struct cql_cursor *c;
    bool found;
    const char *text = view ? "SELECT comment, default_time_to_live FROM system_schema.views WHERE keyspace_name = ? AND view_name = ?"
                            : "SELECT comment, default_time_to_live FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
    TRY(open_rows(s, text, keyspace, table, &c, e));
    enum status status = cql_cursor_next(c, &found, e);
    if (status == STATUS_OK && found) {
        struct cql_table *t = arena_alloc_zeroed(arena, sizeof *t);
        if (t) t->keyspace = arena_strdup(arena, keyspace);
        if (t) t->name = arena_strdup(arena, table);
        status = t && t->keyspace && t->name ? text_of(c, "comment", arena, &t->comment, e) : error_no_memory(e);
        if (status == STATUS_OK && !cql_read_int32(column_of(c, "default_time_to_live"), &t->default_ttl_s)) t->default_ttl_s = 0;
        if (status == STATUS_OK) t->is_view = view;
        *out = t;
    }
    cql_cursor_close(c);
    return status;
}

enum status cql_read_table(struct cql_session *session, struct arena *arena, const char *keyspace, const char *table, struct cql_table **out, struct error *e) {
    struct cql_table *t = NULL;
    struct cql_keyspace *k;
    *out = NULL;
    TRY(read_table_row(session, arena, keyspace, table, false, &t, e));
    if (!t) TRY(read_table_row(session, arena, keyspace, table, true, &t, e));
    if (!t) return STATUS_OK;
    TRY(cql_read_keyspace(session, arena, keyspace, &k, e));
    if (!k) return STATUS_OK;
    TRY(read_columns(session, arena, k, t, e));
    *out = t;
    return STATUS_OK;
}
