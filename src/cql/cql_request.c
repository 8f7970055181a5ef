// SPDX-License-Identifier: Apache-2.0
// cql_request.c: requests under construction, their pool, and how they become frames.
//
// A request holds values alone; ids, consistency and flags are written around them when it is put on a connection. So the same bytes serve either
// protocol version, a statement prepared anew, and a second attempt on another host.
#include "cql/cql_internal.h"

enum { VALUES_MIN = 1024, POOL_KEEP_BYTES = 256 * 1024, KEY_ON_STACK = 512 };

struct call *call_take(struct cql_session *s) {
    struct call *c = s->pool;
    if (c) s->pool = c->next;
    if (!c) {
        c = memory_alloc_zeroed(s->memory, sizeof *c);
        if (!c) return NULL;
        c->session = s;
        vector_init(&c->statements, s->memory, sizeof(struct statement));
    }
    struct vector statements = c->statements;
    uint8_t *bytes = c->request.bytes;
    size_t capacity_bytes = c->request.capacity_bytes;
    *c = (struct call){.session = s, .statements = statements};
    c->request = (struct cql_request){.bytes = bytes, .capacity_bytes = capacity_bytes, .consistency = CQL_CONSISTENCY_DEFAULT,
                                      .serial_consistency = CQL_CONSISTENCY_DEFAULT};
    return c;
}

struct call *call_new(struct cql_session *s) {
    session_lock(s);
    struct call *c = call_take(s);
    session_unlock(s);
    return c;
}

// What an answer or a text left behind.
static void call_clear(struct cql_session *s, struct call *c) {
    for (size_t i = 0; i < c->statements.count; i++) {
        struct statement *statement = vector_at(&c->statements, i);
        if (statement->text) memory_free(s->memory, statement->text, strlen(statement->text) + 1);
    }
    vector_clear(&c->statements);
    if (c->error) memory_free(s->memory, c->error, sizeof *c->error);
    buffer_unref(c->body);
    cql_columns_unref(c->skipped);
    c->error = NULL;
    c->body = NULL;
    c->skipped = NULL;
}

void call_free(struct cql_session *s, struct call *c) {
    call_clear(s, c);
    vector_release(&c->statements);
    if (c->request.bytes) memory_free(s->memory, c->request.bytes, c->request.capacity_bytes);
    memory_free(s->memory, c, sizeof *c);
}

void call_recycle(struct cql_session *s, struct call *c) {
    call_clear(s, c);
    if (c->request.capacity_bytes > POOL_KEEP_BYTES) {
        memory_free(s->memory, c->request.bytes, c->request.capacity_bytes);
        c->request.bytes = NULL;
        c->request.capacity_bytes = 0;
    }
    c->next = s->pool;
    s->pool = c;
}

static struct statement *add_statement(struct call *c, const struct cql_prepared *prepared) {
    struct statement *statement = vector_add(&c->statements);
    if (!statement) {
        c->request.failed = true;
        return NULL;
    }
    statement->prepared = (const struct prepared *)prepared;
    statement->begin = c->request.size_bytes;
    c->request.value_count = 0;
    c->request.statement_count++;
    return statement;
}

struct cql_request *cql_request_begin(struct cql_session *session, const struct cql_prepared *prepared) {
    struct call *c = call_new(session);
    if (!c) return NULL;
    c->opcode = CQL_OP_EXECUTE;
    add_statement(c, prepared);
    return &c->request;
}

struct cql_request *cql_request_text(struct cql_session *session, const char *text) {
    struct call *c = call_new(session);
    if (!c) return NULL;
    c->opcode = CQL_OP_QUERY;
    struct statement *statement = add_statement(c, NULL);
    size_t size_bytes = strlen(text) + 1;
    if (statement) statement->text = memory_alloc(session->memory, size_bytes);
    if (statement && statement->text) memcpy(statement->text, text, size_bytes);
    else c->request.failed = true;
    return &c->request;
}

struct cql_request *cql_batch_begin(struct cql_session *session, enum cql_batch_kind kind) {
    struct call *c = call_new(session);
    if (!c) return NULL;
    c->opcode = CQL_OP_BATCH;
    c->batch_kind = kind;
    return &c->request;
}

static void close_statement(struct call *c) {
    if (!c->statements.count) return;
    struct statement *last = vector_at(&c->statements, c->statements.count - 1);
    last->value_count = c->request.value_count;
}

void cql_batch_add(struct cql_request *batch, const struct cql_prepared *prepared) {
    struct call *c = (struct call *)batch;
    close_statement(c);
    add_statement(c, prepared);
}

void cql_batch_drop_last(struct cql_request *batch) {
    struct call *c = (struct call *)batch;
    if (!c->statements.count || c->opcode != CQL_OP_BATCH) return;
    struct statement *last = vector_at(&c->statements, c->statements.count - 1);
    batch->size_bytes = last->begin;
    c->statements.count--;
    batch->statement_count--;
    batch->depth = 0;
    batch->value_count = c->statements.count ? ((struct statement *)vector_at(&c->statements, c->statements.count - 1))->value_count : 0;
}

void cql_request_release(struct cql_session *session, struct cql_request *request) {
    if (!request) return;
    session_lock(session);
    call_recycle(session, (struct call *)request);
    session_unlock(session);
}

bool cql_request_grow(struct cql_request *r, size_t extra_bytes) {
    struct call *c = (struct call *)r;
    size_t capacity = r->capacity_bytes ? r->capacity_bytes : VALUES_MIN;
    if (extra_bytes > INT32_MAX || r->size_bytes > INT32_MAX) {
        r->failed = true;
        return false;
    }
    while (capacity < r->size_bytes + extra_bytes) capacity *= 2;
    uint8_t *bytes = memory_resize(c->session->memory, r->bytes, r->capacity_bytes, capacity);
    if (!bytes) {
        r->failed = true;
        return false;
    }
    r->bytes = bytes;
    r->capacity_bytes = capacity;
    return true;
}

void cql_bind_varint(struct cql_request *r, decimal v) {
    uint8_t bytes[17];
    cql_bind_bytes(r, bytes, cql_encode_varint(v, bytes));
}

void cql_bind_decimal(struct cql_request *r, decimal unscaled, int32_t scale) {
    uint8_t bytes[4 + 17];
    cql_store_32(bytes, (uint32_t)scale);
    cql_bind_bytes(r, bytes, 4 + cql_encode_varint(unscaled, bytes + 4));
}

void cql_vector_bytes(struct cql_request *r, const void *bytes, size_t size_bytes) {
    uint8_t length[9];
    cql_append(r, length, cql_encode_unsigned_vint(size_bytes, length));
    cql_append(r, bytes, size_bytes);
}

const char *call_text(const struct call *c) {
    if (c->prepare_text) return c->prepare_text;
    if (!c->statements.count) return "";
    const struct statement *first = vector_at(&c->statements, 0);
    return first->prepared ? first->prepared->public.text : first->text ? first->text : "";
}

// The value with the given index among those that begin at `begin`; false: it is not there.
static bool find_value(const struct cql_request *r, size_t begin, uint32_t index, struct cql_value *out) {
    struct cql_reader reader = cql_reader_of(r->bytes + begin, r->size_bytes - begin);
    for (uint32_t i = 0; i < index; i++) (void)cql_take_value(&reader);
    *out = cql_take_value(&reader);
    return !reader.failed;
}

static bool composite_token(const struct call *c, const struct prepared *p, size_t begin, int64_t *token) {
    uint8_t on_stack[KEY_ON_STACK], *key = on_stack;
    size_t size_bytes = 0, capacity = 0, at = 0;
    struct cql_value v;
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < p->public.partition_key_count; i++) {
            if (!find_value(&c->request, begin, p->public.partition_key[i], &v) || v.size_bytes < 0 || v.size_bytes > UINT16_MAX) return false;
            if (pass) {
                cql_store_16(key + at, (uint16_t)v.size_bytes);
                if (v.size_bytes) memcpy(key + at + 2, v.bytes, (size_t)v.size_bytes);
                at += 2 + (size_t)v.size_bytes;
                key[at++] = 0;
            } else {
                size_bytes += 3 + (size_t)v.size_bytes;
            }
        }
        if (!pass && size_bytes > sizeof on_stack) {
            key = memory_alloc(c->session->memory, capacity = size_bytes);
            if (!key) return false;
        }
    }
    *token = cql_token(key, size_bytes);
    if (capacity) memory_free(c->session->memory, key, capacity);
    return true;
}

bool cql_request_token(const struct cql_request *request, int64_t *token) {
    const struct call *c = (const struct call *)request;
    const struct statement *first = c->statements.count ? vector_at(&c->statements, 0) : NULL;
    struct cql_value v;
    if (!first || !first->prepared || !first->prepared->public.partition_key_count || request->failed) return false;
    if (first->prepared->public.partition_key_count > 1) return composite_token(c, first->prepared, first->begin, token);
    if (!find_value(request, first->begin, first->prepared->public.partition_key[0], &v) || v.size_bytes < 0) return false;
    *token = cql_token(v.bytes, (size_t)v.size_bytes);
    return true;
}

enum status call_check(struct call *c, struct error *e) {
    struct cql_request *r = &c->request;
    close_statement(c);
    if (r->failed) return error_no_memory(e);
    if (r->depth) return error_set(e, STATUS_INTERNAL, NULL, "a value of a request was opened and not closed");
    if (c->statements.count > UINT16_MAX || (c->opcode == CQL_OP_BATCH && !c->statements.count)) {
        return error_set(e, STATUS_INTERNAL, NULL, "a batch of %zu statements", c->statements.count);
    }
    for (size_t i = 0; i < c->statements.count; i++) {
        const struct statement *statement = vector_at(&c->statements, i);
        if (statement->prepared && statement->value_count != statement->prepared->public.bind_count) {
            return error_set(e, STATUS_INTERNAL, NULL, "%u values for the %u of `%s`", statement->value_count, statement->prepared->public.bind_count,
                             statement->prepared->public.text);
        }
        if (statement->value_count > UINT16_MAX) return error_set(e, STATUS_INTERNAL, NULL, "a statement with %u values", statement->value_count);
    }
    uint64_t size_bytes = r->size_bytes + c->statements.count * 32 + strlen(call_text(c)) + 128;
    if (size_bytes > c->session->config.request_bytes_max) {
        error_set(e, STATUS_DATA, "LEAT_CASSANDRA_VALUE_REFUSED", "a request of %zu bytes is over the limit of %llu: `%s`", r->size_bytes,
                  (unsigned long long)c->session->config.request_bytes_max, call_text(c));
        return STATUS_DATA;
    }
    return STATUS_OK;
}

static struct cql_statement_bytes statement_bytes(const struct call *c, size_t index) {
    const struct statement *s = vector_at(&c->statements, index);
    size_t end = index + 1 < c->statements.count ? ((const struct statement *)vector_at(&c->statements, index + 1))->begin : c->request.size_bytes;
    return (struct cql_statement_bytes){.text = s->text, .id = s->prepared ? &s->prepared->id : NULL, .result_id = s->prepared ? &s->prepared->result_id : NULL,
                                        .values = c->request.bytes ? c->request.bytes + s->begin : NULL, .values_bytes = end - s->begin, .value_count = s->value_count};
}

static enum status encode_batch(const struct call *c, const struct cql_parameters *p, struct buffer *out) {
    enum status status = buffer_reserve(out, c->request.size_bytes + c->statements.count * (5 + CQL_ID_MAX) + 64);
    if (status != STATUS_OK) return status;
    size_t mark = cql_batch_open(out, p, c->batch_kind, (uint16_t)c->statements.count, &status);
    for (size_t i = 0; i < c->statements.count; i++) {
        struct cql_statement_bytes s = statement_bytes(c, i);
        cql_batch_statement(out, &s, &status);
    }
    return cql_batch_close(out, mark, p, status);
}

enum status call_encode(struct call *c, struct connection *connection, struct buffer *out) {
    const struct cql_config *config = &c->session->config;
    uint8_t version = connection->version;
    if (c->opcode == CQL_OP_PREPARE) return cql_encode_prepare(out, version, (int16_t)c->stream, c->prepare_text);
    if (c->opcode == CQL_OP_REGISTER) return cql_encode_register(out, version, (int16_t)c->stream);
    struct cql_parameters p = {
        .version = version,
        .stream = (int16_t)c->stream,
        .consistency = (uint16_t)(c->request.consistency == CQL_CONSISTENCY_DEFAULT ? config->consistency : c->request.consistency),
        .serial_consistency = (uint16_t)(c->request.serial_consistency == CQL_CONSISTENCY_DEFAULT ? config->serial_consistency : c->request.serial_consistency),
        .has_timestamp = c->request.has_timestamp,
        .timestamp_us = c->request.timestamp_us,
        .page_rows = c->page_rows,
        .paging_state = c->paging_state,
        .paging_state_bytes = c->paging_state_bytes,
    };
    cql_columns_unref(c->skipped);
    c->skipped = NULL;
    if (c->opcode == CQL_OP_BATCH) return encode_batch(c, &p, out);
    const struct statement *first = vector_at(&c->statements, 0);
    // v5 tells when columns changed since they were prepared; v4 does not, so there they are sent with every page.
    if (first->prepared && version >= 5 && first->prepared->columns->count && first->prepared->result_id.size_bytes) {
        p.skip_metadata = true;
        c->skipped = cql_columns_ref(first->prepared->columns);
    }
    struct cql_statement_bytes s = statement_bytes(c, 0);
    return cql_encode_statement(out, &p, &s);
}
