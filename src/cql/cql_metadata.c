// SPDX-License-Identifier: Apache-2.0
// cql_metadata.c: decoding of column specifications: of prepared statements and of rows. Counts are checked against the bytes that are left
// before anything is allocated for them, types against a depth and a total of nodes.
#include "cql/cql_message.h"

enum { TYPE_NODES_MAX = 65536, COLUMNS_MAX = 65536 };

struct cql_columns *cql_columns_new(struct memory *memory) {
    struct cql_columns *c = memory_alloc_zeroed(memory, sizeof *c);
    if (!c) return NULL;
    atomic_init(&c->reference_count, 1);
    arena_init(&c->arena, memory);
    return c;
}

struct cql_columns *cql_columns_ref(struct cql_columns *columns) {
    atomic_fetch_add_explicit(&columns->reference_count, 1, memory_order_relaxed);
    return columns;
}

void cql_columns_unref(struct cql_columns *columns) {
    if (!columns || atomic_fetch_sub_explicit(&columns->reference_count, 1, memory_order_acq_rel) != 1) return;
    struct memory *memory = columns->arena.memory;
    arena_release(&columns->arena);
    memory_free(memory, columns, sizeof *columns);
}

static enum status malformed(struct error *e, const char *what) {
    return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: %s", what);
}

struct decoder {
    struct cql_reader *reader;
    struct arena *arena;
    uint32_t depth;
    uint32_t nodes_left;
    struct error *error;
};

static enum status take_name(struct decoder *d, const char **out) {
    struct cql_text text = cql_take_string(d->reader);
    if (d->reader->failed || memchr(text.bytes, 0, text.size_bytes)) return malformed(d->error, "a name that is cut off or has a zero byte");
    *out = arena_strndup(d->arena, text.bytes, text.size_bytes);
    return *out ? STATUS_OK : error_no_memory(d->error);
}

static enum status decode_type(struct decoder *d, struct cql_type *out);

static enum status decode_children(struct decoder *d, uint32_t count, struct cql_type *out) {
    if (count > CQL_TYPE_CHILDREN_MAX || cql_left(d->reader) < (size_t)count * 2) return malformed(d->error, "a type with more parts than there are bytes");
    out->child_count = count;
    out->children = arena_alloc_array(d->arena, count ? count : 1, sizeof *out->children);
    if (!out->children) return error_no_memory(d->error);
    if (out->kind == CQL_UDT) {
        out->field_names = arena_alloc_array(d->arena, count ? count : 1, sizeof *out->field_names);
        if (!out->field_names) return error_no_memory(d->error);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (out->kind == CQL_UDT) TRY(take_name(d, &out->field_names[i]));
        TRY(decode_type(d, &out->children[i]));
    }
    return STATUS_OK;
}

static enum status decode_type(struct decoder *d, struct cql_type *out) {
    if (d->depth == CQL_TYPE_DEPTH_MAX || !d->nodes_left) return malformed(d->error, "types nested too deeply");
    d->depth++;
    d->nodes_left--;
    *out = (struct cql_type){.kind = cql_take_16(d->reader)};
    enum status status = STATUS_OK;
    switch ((uint32_t)out->kind) {
    case CQL_CUSTOM: {
        struct cql_text class = cql_take_string(d->reader);
        if (!d->reader->failed) status = cql_type_parse(d->arena, class.bytes, class.size_bytes, NULL, NULL, 0, out, d->error);
        if (status == STATUS_INVALID_ARGUMENT || status == STATUS_NOT_FOUND) status = malformed(d->error, "a class name that is none");
        break;
    }
    case CQL_LIST:
    case CQL_SET: status = decode_children(d, 1, out); break;
    case CQL_MAP: status = decode_children(d, 2, out); break;
    case CQL_TUPLE: status = decode_children(d, cql_take_16(d->reader), out); break;
    case CQL_UDT:
        status = take_name(d, &out->keyspace);
        if (status == STATUS_OK) status = take_name(d, &out->name);
        if (status == STATUS_OK) status = decode_children(d, cql_take_16(d->reader), out);
        break;
    default:
        if (out->kind > CQL_DURATION || out->kind == 0x0A) status = malformed(d->error, "a type that is not known");
    }
    d->depth--;
    return status == STATUS_OK && d->reader->failed ? malformed(d->error, "a type that is cut off") : status;
}

static enum status decode_specs(struct decoder *d, bool global, uint32_t count, struct cql_column_spec **out) {
    const char *keyspace = "", *table = "";
    if (global) {
        TRY(take_name(d, &keyspace));
        TRY(take_name(d, &table));
    }
    if (cql_left(d->reader) / 4 < count || count > COLUMNS_MAX) return malformed(d->error, "more columns than there are bytes");
    *out = arena_alloc_array(d->arena, count ? count : 1, sizeof **out);
    if (!*out) return error_no_memory(d->error);
    for (uint32_t i = 0; i < count; i++) {
        struct cql_column_spec *spec = &(*out)[i];
        spec->keyspace = keyspace;
        spec->table = table;
        if (!global) {
            TRY(take_name(d, &spec->keyspace));
            TRY(take_name(d, &spec->table));
        }
        TRY(take_name(d, &spec->name));
        TRY(decode_type(d, &spec->type));
    }
    return STATUS_OK;
}

static enum status take_id(struct cql_reader *r, struct cql_id *out, struct error *e) {
    struct cql_text text = cql_take_string(r);
    if (r->failed || text.size_bytes > CQL_ID_MAX) return malformed(e, "an id that is cut off or too long");
    memcpy(out->bytes, text.bytes, text.size_bytes);
    out->size_bytes = (uint8_t)text.size_bytes;
    return STATUS_OK;
}

// Metadata of rows, or of those that a prepared statement will give.
static enum status decode_rows_metadata(struct cql_reader *r, struct memory *memory, struct cql_rows *out, struct error *e) {
    *out = (struct cql_rows){.paging_state.size_bytes = -1};
    int32_t flags = cql_take_32(r), count = cql_take_32(r);
    if (r->failed || count < 0) return malformed(e, "metadata that is cut off");
    out->column_count = (uint32_t)count;
    if (flags & CQL_ROWS_MORE_PAGES) {
        out->paging_state = cql_take_value(r);
        if (r->failed || out->paging_state.size_bytes < 0) return malformed(e, "more pages without a paging state");
    }
    if (flags & CQL_ROWS_METADATA_CHANGED) TRY(take_id(r, &out->result_id, e));
    if (flags & CQL_ROWS_NO_METADATA) return STATUS_OK;
    out->columns = cql_columns_new(memory);
    if (!out->columns) return error_no_memory(e);
    struct decoder d = {.reader = r, .arena = &out->columns->arena, .nodes_left = TYPE_NODES_MAX, .error = e};
    enum status status = decode_specs(&d, flags & CQL_ROWS_GLOBAL_SPEC, out->column_count, &out->columns->specs);
    out->columns->count = out->column_count;
    if (status != STATUS_OK) {
        cql_columns_unref(out->columns);
        out->columns = NULL;
    }
    return status;
}

enum status cql_decode_rows(struct cql_reader *r, struct memory *memory, struct cql_rows *out, struct error *e) {
    TRY(decode_rows_metadata(r, memory, out, e));
    int32_t count = cql_take_32(r);
    uint64_t needed = (uint64_t)(count < 0 ? 0 : count) * out->column_count * 4;
    if (r->failed || count < 0 || needed > cql_left(r) || (count && !out->column_count)) {
        cql_columns_unref(out->columns);
        out->columns = NULL;
        return malformed(e, "more rows than there are bytes");
    }
    out->row_count = (uint32_t)count;
    return STATUS_OK;
}

enum status cql_decode_prepared(struct cql_reader *r, uint8_t version, struct arena *arena, struct memory *memory, struct cql_prepared_body *out,
                                struct error *e) {
    *out = (struct cql_prepared_body){0};
    TRY(take_id(r, &out->id, e));
    if (version >= 5) TRY(take_id(r, &out->result_id, e));
    int32_t flags = cql_take_32(r), count = cql_take_32(r), key_count = cql_take_32(r);
    if (r->failed || count < 0 || key_count < 0 || (size_t)key_count > cql_left(r) / 2) return malformed(e, "a prepared statement that is cut off");
    out->bind_count = (uint32_t)count;
    out->partition_key_count = (uint32_t)key_count;
    out->partition_key = arena_alloc_array(arena, out->partition_key_count ? out->partition_key_count : 1, sizeof *out->partition_key);
    if (!out->partition_key) return error_no_memory(e);
    for (uint32_t i = 0; i < out->partition_key_count; i++) {
        out->partition_key[i] = cql_take_16(r);
        if (out->partition_key[i] >= out->bind_count) return malformed(e, "a partition key that is not bound");
    }
    struct decoder d = {.reader = r, .arena = arena, .nodes_left = TYPE_NODES_MAX, .error = e};
    TRY(decode_specs(&d, flags & CQL_ROWS_GLOBAL_SPEC, out->bind_count, &out->binds));
    if (out->bind_count > UINT16_MAX) return malformed(e, "more bind markers than a statement can have");
    struct cql_rows rows;
    TRY(decode_rows_metadata(r, memory, &rows, e));
    if (!rows.columns) {
        rows.columns = cql_columns_new(memory);
        if (!rows.columns) return error_no_memory(e);
    }
    out->columns = rows.columns;
    return STATUS_OK;
}
