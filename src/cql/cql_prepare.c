// SPDX-License-Identifier: Apache-2.0
// cql_prepare.c: prepared statements: made once for the session, made again wherever a server does not know them.
//
// An id is the server's hash of keyspace and text, the same on every host, so a statement prepared on one is executed on any: the one that has not
// seen it answers UNPREPARED, and is told once, however many calls wait for it. A statement whose values turn out to be of other types then is never sent
// again; cql_prepare makes a new one of its text.
#include "base/clock.h"
#include "cql/cql_internal.h"

enum { REPREPARE_MAX = 3 };

void prepared_free(struct cql_session *s, struct prepared *p) {
    cql_columns_unref(p->columns);
    cql_columns_unref(p->first_columns);
    arena_release(&p->arena);
    memory_free(s->memory, p, sizeof *p);
}

void prepared_replace_columns(struct prepared *p, const struct cql_id *result_id, struct cql_columns *columns) {
    p->result_id = *result_id;
    if (columns == p->columns) return;
    cql_columns_unref(p->columns);
    p->columns = cql_columns_ref(columns);
}

static bool id_equal(const struct cql_id *a, const struct cql_id *b) {
    return a->size_bytes == b->size_bytes && !memcmp(a->bytes, b->bytes, a->size_bytes);
}

static bool same_binds(const struct prepared *p, const struct cql_prepared_body *body) {
    if (p->public.bind_count != body->bind_count || p->public.partition_key_count != body->partition_key_count) return false;
    for (uint32_t i = 0; i < body->bind_count; i++) {
        if (!cql_type_equal(&p->public.binds[i].type, &body->binds[i].type)) return false;
    }
    for (uint32_t i = 0; i < body->partition_key_count; i++) {
        if (p->public.partition_key[i] != body->partition_key[i]) return false;
    }
    return true;
}

// Compares what a server says now with what is known; takes over the new columns of its rows.
static enum status adopt(struct cql_session *s, struct prepared *p, const struct call *answer, uint8_t version, struct error *e) {
    struct arena arena;
    struct cql_prepared_body body;
    if (answer->kind != CQL_RESULT_PREPARED) return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: not prepared");
    struct cql_reader r = cql_reader_of(answer->body->data, answer->body->size_bytes);
    arena_init(&arena, s->memory);
    enum status status = cql_decode_prepared(&r, version, &arena, s->memory, &body, e);
    if (status == STATUS_OK && (!same_binds(p, &body) || !id_equal(&p->id, &body.id))) {
        status = error_set(e, STATUS_CONFLICT, "LEAT_CASSANDRA_SCHEMA_CHANGED", "the columns of `%s` are others than when it was prepared", p->public.text);
        atomic_store_explicit(&p->outdated, true, memory_order_relaxed);
    }
    if (status == STATUS_OK) prepared_replace_columns(p, &body.result_id, body.columns);
    cql_columns_unref(body.columns);
    arena_release(&arena);
    return status;
}

// The PREPARE has been answered, or its connection is gone: the waiters go on, or fail with it.
static void prepared_again(struct cql_session *s, struct call *prepare) {
    struct connection *c = prepare->pinned;
    struct error e;
    bool lost = prepare->error && prepare->error->status == STATUS_UNREACHABLE;
    enum status status = STATUS_OK;
    if (prepare->error) e = *prepare->error;
    else status = adopt(s, prepare->target, prepare, c->version, &e);
    if (!prepare->error && status == STATUS_OK) s->counters.repreparations++;
    struct call **link = &c->waiters, *going = NULL, **going_end = &going;
    while (*link) {
        struct call *waiter = *link;
        if (waiter->target != prepare->target) {
            link = &waiter->next;
            continue;
        }
        *link = waiter->next;
        waiter->next = NULL;
        *going_end = waiter;
        going_end = &waiter->next;
    }
    while (going) {
        struct call *waiter = going;
        going = waiter->next;
        waiter->target = NULL;
        waiter->connection = NULL;
        if (lost) call_retry(s, waiter, 0, &e);
        else if (prepare->error || status != STATUS_OK) call_fail(s, waiter, &e);
        else call_start(s, waiter);
    }
    call_recycle(s, prepare);
}

static struct prepared *find_in_call(const struct call *call, const struct cql_id *id) {
    for (size_t i = 0; i < call->statements.count; i++) {
        const struct statement *statement = vector_at(&call->statements, i);
        if (statement->prepared && id_equal(&statement->prepared->id, id)) return (struct prepared *)(uintptr_t)statement->prepared;
    }
    return NULL;
}

bool call_is_outdated(const struct call *call, struct error *e) {
    for (size_t i = 0; i < call->statements.count; i++) {
        const struct statement *statement = vector_at(&call->statements, i);
        if (!statement->prepared || !atomic_load_explicit(&statement->prepared->outdated, memory_order_relaxed)) continue;
        error_set(e, STATUS_CONFLICT, "LEAT_CASSANDRA_SCHEMA_CHANGED", "the columns of `%s` are others than when it was prepared", statement->prepared->public.text);
        return true;
    }
    return false;
}

static void wait_for_prepare(struct connection *c, struct call *call, struct prepared *p) {
    call->target = p;
    call->connection = c;
    call->place = CALL_WAITS_PREPARE;
    call->next = c->waiters;
    c->waiters = call;
}

bool call_waits_for_prepare(struct connection *c, struct call *call) {
    for (const struct call *waiter = c->waiters; waiter; waiter = waiter->next) {
        for (size_t i = 0; i < call->statements.count; i++) {
            const struct statement *statement = vector_at(&call->statements, i);
            if (statement->prepared != waiter->target) continue;
            wait_for_prepare(c, call, waiter->target);
            return true;
        }
    }
    return false;
}

void call_unprepared(struct connection *c, struct call *call, const struct cql_id *id) {
    struct cql_session *s = c->session;
    struct error e;
    struct prepared *p = find_in_call(call, id);
    if (!p || call->repreparations++ == REPREPARE_MAX || c->broken) {
        error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "%s: the server does not keep the prepared statement `%s`", c->host->text, call_text(call));
        if (c->broken) call_retry(s, call, 0, &e);
        else call_fail(s, call, &e);
        return;
    }
    bool under_way = false;
    for (const struct call *waiter = c->waiters; waiter; waiter = waiter->next) under_way |= waiter->target == p;
    struct call *prepare = NULL;
    if (!under_way) {
        prepare = call_take(s);
        if (!prepare) {
            (void)error_no_memory(&e);
            call_fail(s, call, &e);
            return;
        }
    }
    wait_for_prepare(c, call, p);
    if (!prepare) return;
    prepare->opcode = CQL_OP_PREPARE;
    prepare->prepare_text = p->public.text;
    prepare->target = p;
    prepare->pinned = c;
    prepare->keep_body = true;
    prepare->internal = prepared_again;
    prepare->deadline_us = clock_monotonic_us() + s->config.request_timeout_us;
    call_start(s, prepare);
}

static struct prepared *find_by_text(struct cql_session *s, const char *text) {
    struct prepared *p = s->prepared;
    while (p && (p->outdated || strcmp(p->public.text, text))) p = p->next;
    return p;
}

static enum status take_prepared(struct cql_session *s, const char *text, const struct call *answer, uint8_t version, struct prepared **out, struct error *e) {
    struct cql_prepared_body body;
    if (answer->kind != CQL_RESULT_PREPARED) return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: not prepared");
    struct prepared *p = memory_alloc_zeroed(s->memory, sizeof *p);
    if (!p) return error_no_memory(e);
    arena_init(&p->arena, s->memory);
    struct cql_reader r = cql_reader_of(answer->body->data, answer->body->size_bytes);
    enum status status = cql_decode_prepared(&r, version, &p->arena, s->memory, &body, e);
    char *kept = status == STATUS_OK ? arena_strdup(&p->arena, text) : NULL;
    if (status == STATUS_OK && !kept) {
        cql_columns_unref(body.columns);
        status = error_no_memory(e);
    }
    if (status != STATUS_OK) {
        arena_release(&p->arena);
        memory_free(s->memory, p, sizeof *p);
        return status;
    }
    p->id = body.id;
    p->result_id = body.result_id;
    p->columns = body.columns;
    p->public = (struct cql_prepared){.text = kept, .binds = body.binds, .bind_count = body.bind_count, .partition_key = body.partition_key,
                                      .partition_key_count = body.partition_key_count, .columns = body.columns->specs, .column_count = body.columns->count};
    p->first_columns = cql_columns_ref(body.columns);
    *out = p;
    return STATUS_OK;
}

enum status cql_prepare(struct cql_session *session, const char *text, const struct cql_prepared **out, struct error *e) {
    *out = NULL;
    session_lock(session);
    struct prepared *p = find_by_text(session, text);
    session_unlock(session);
    if (!p) {
        struct call *call = call_new(session);
        if (!call) return error_no_memory(e);
        call->opcode = CQL_OP_PREPARE;
        call->prepare_text = text;
        call->keep_body = true;
        call->request.idempotent = true;
        session_lock(session);
        enum status status = call_run(session, call, e);
        if (status == STATUS_OK) status = take_prepared(session, text, call, call->answered_version, &p, e);
        struct prepared *meanwhile = find_by_text(session, text);
        if (status == STATUS_OK && meanwhile) {
            prepared_free(session, p);
            p = meanwhile;
        } else if (status == STATUS_OK) {
            p->next = session->prepared;
            session->prepared = p;
        }
        call_recycle(session, call);
        session_unlock(session);
        TRY(status);
    }
    *out = &p->public;
    return STATUS_OK;
}
