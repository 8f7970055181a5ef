// SPDX-License-Identifier: Apache-2.0
// cql_cursor.c: requests whose caller waits: statements, DDL with its agreement, rows page by page, conditional statements.
#include "base/clock.h"
#include "cql/cql_internal.h"
#include <netinet/in.h>
#include <strings.h>

enum { AGREEMENT_PAUSE_US = 50000 };

struct cursor {
    struct cql_cursor public;      // first
    struct cql_session *session;
    struct call *call;
    struct page page;
    struct buffer *paging_state;   // of the next page
};

// ---- schema agreement ----

// One look, through the host that made the change, since another may not have heard of it: how many versions the host itself and its live peers have. A peer that nobody can reach counts with the version it had: it is left out
// when connecting to it has failed.
static enum status count_versions(struct cql_session *s, const struct host *changed, bool *agreed, struct error *e) {
    static const char *const texts[2] = {"SELECT schema_version FROM system.local WHERE key = 'local'", "SELECT peer, rpc_address, schema_version FROM system.peers"};
    uint8_t version[16] = {0};
    *agreed = true;
    for (int i = 0; i < 2 && *agreed; i++) {
        struct connection *pinned = s->control;
        for (struct connection *c = changed->connections; c; c = c->next) {
            if (c->state == CONNECTION_READY && !c->broken) pinned = c;
        }
        struct call *c = pinned ? call_of_text(s, texts[i]) : NULL;
        struct page page = {0};
        if (!c) return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "no host to ask whether the schema is agreed upon");
        c->pinned = pinned;
        enum status status = call_run(s, c, e);
        if (status == STATUS_OK) status = page_open(&page, s->memory, c->body, NULL, e);
        for (bool found = status == STATUS_OK; found && status == STATUS_OK;) {
            status = page_next(&page, &found, e);
            if (status != STATUS_OK || !found) break;
            struct cql_value v = page_value(&page, "schema_version"), address = page_value(&page, "rpc_address");
            if (v.size_bytes != 16) continue;
            bool down = false;
            for (const struct host *h = s->hosts; i && h; h = h->next) {
                bool same = h->address.ss_family == AF_INET && address.size_bytes == 4 &&
                            !memcmp(&((const struct sockaddr_in *)&h->address)->sin_addr, address.bytes, 4);
                down |= same && !h->ready_count && h->failures;
            }
            if (i == 0) memcpy(version, v.bytes, 16);
            else if (!down && memcmp(version, v.bytes, 16)) *agreed = false;
        }
        page_close(&page);
        call_recycle(s, c);
        TRY(status);
    }
    return STATUS_OK;
}

// Waits until all know the schema. Not reaching that is a warning: the statement itself was carried out.
static void await_agreement(struct cql_session *s, const struct host *changed) {
    int64_t deadline_us = clock_monotonic_us() + s->config.schema_agreement_us;
    struct error e = {0};
    while (s->config.schema_agreement_us > 0 && !session_stopped(s)) {
        bool agreed = false;
        if (count_versions(s, changed, &agreed, &e) == STATUS_OK && agreed) return;
        if (clock_monotonic_us() >= deadline_us) {
            if (s->log) log_write(s->log, LOG_WARN, "cassandra: the hosts do not agree on the schema after %.1f s", (double)s->config.schema_agreement_us / 1e6);
            return;
        }
        session_wait(s, clock_monotonic_us() + AGREEMENT_PAUSE_US);
    }
}

// ---- statements ----

enum status cql_execute(struct cql_session *session, struct cql_request *request, struct error *e) {
    struct call *c = (struct call *)request;
    enum status status = call_check(c, e);
    session_lock(session);
    if (status == STATUS_OK) status = call_run(session, c, e);
    if (status == STATUS_OK && c->kind == CQL_RESULT_SCHEMA_CHANGE) await_agreement(session, c->answered_by);
    call_recycle(session, c);
    session_unlock(session);
    return status;
}

enum status cql_query(struct cql_session *session, const char *text, struct error *e) {
    struct cql_request *request = cql_request_text(session, text);
    return request ? cql_execute(session, request, e) : error_no_memory(e);
}

// ---- cursors ----

// A page that says that the columns of a statement are others now (v5).
static void adopt_columns(struct cursor *c) {
    const struct statement *first = vector_at(&c->call->statements, 0);
    if (!c->page.result_id.size_bytes || !first->prepared) return;
    prepared_replace_columns((struct prepared *)(uintptr_t)first->prepared, &c->page.result_id, c->page.columns);
}

static enum status keep_paging_state(struct cursor *c, struct error *e) {
    struct cql_value state = c->page.paging_state;
    buffer_unref(c->paging_state);
    c->paging_state = NULL;
    c->public.last_page = state.size_bytes < 0;
    if (c->public.last_page) return STATUS_OK;
    c->paging_state = buffer_new(c->session->memory, (size_t)state.size_bytes + 1);
    if (!c->paging_state || buffer_append(c->paging_state, state.bytes, (size_t)state.size_bytes) != STATUS_OK) return error_no_memory(e);
    return STATUS_OK;
}

// Under the lock: sends the call for the page that its paging state names.
static enum status fetch_page(struct cursor *c, struct error *e) {
    struct cql_session *s = c->session;
    struct call *call = c->call;
    page_close(&c->page);
    buffer_unref(call->body);
    call->body = NULL;
    call->kind = (enum cql_result_kind)0;
    call->retries = call->repreparations = 0;
    call->deadline_us = 0;
    call->paging_state = c->paging_state ? c->paging_state->data : NULL;
    call->paging_state_bytes = c->paging_state ? (uint32_t)c->paging_state->size_bytes : 0;
    c->public.columns = NULL;
    c->public.column_count = 0;
    c->public.values = NULL;
    c->public.page = NULL;
    TRY(call_run(s, call, e));
    c->public.last_page = true;
    if (call->kind == CQL_RESULT_SCHEMA_CHANGE) await_agreement(s, call->answered_by);
    if (call->kind != CQL_RESULT_ROWS) return STATUS_OK;
    TRY(page_open(&c->page, s->memory, call->body, call->skipped, e));
    adopt_columns(c);
    c->public.columns = c->page.columns->specs;
    c->public.column_count = c->page.columns->count;
    c->public.values = c->page.values;
    c->public.page = call->body;
    return keep_paging_state(c, e);
}

enum status cql_cursor_open(struct cql_session *session, struct cql_request *request, struct cql_cursor **out, struct error *e) {
    struct call *call = (struct call *)request;
    struct cursor *c = memory_alloc_zeroed(session->memory, sizeof *c);
    *out = NULL;
    if (!c) {
        cql_request_release(session, request);
        return error_no_memory(e);
    }
    c->session = session;
    c->call = call;
    call->keep_body = true;
    call->page_rows = (int32_t)(request->page_rows ? request->page_rows : session->config.page_rows);
    if (!strncasecmp(call_text(call), "select", 6)) request->idempotent = true;
    enum status status = call_check(call, e);
    if (status == STATUS_OK) {
        session_lock(session);
        status = fetch_page(c, e);
        session_unlock(session);
    }
    if (status != STATUS_OK) {
        cql_cursor_close(&c->public);
        return status;
    }
    *out = &c->public;
    return STATUS_OK;
}

enum status cql_cursor_next(struct cql_cursor *cursor, bool *found, struct error *e) {
    struct cursor *c = (struct cursor *)cursor;
    *found = false;
    for (;;) {
        if (c->page.columns) TRY(page_next(&c->page, found, e));
        if (*found || c->public.last_page) return STATUS_OK;
        session_lock(c->session);
        enum status status = fetch_page(c, e);
        session_unlock(c->session);
        if (status != STATUS_OK) {
            c->public.last_page = true;
            return status;
        }
    }
}

void cql_cursor_close(struct cql_cursor *cursor) {
    struct cursor *c = (struct cursor *)cursor;
    if (!c) return;
    struct memory *memory = c->session->memory;
    page_close(&c->page);
    buffer_unref(c->paging_state);
    cql_request_release(c->session, &c->call->request);
    memory_free(memory, c, sizeof *c);
}

enum status cql_execute_conditional(struct cql_session *session, struct cql_request *request, bool *applied, struct error *e) {
    struct cql_cursor *cursor;
    bool found, known = false;
    *applied = false;
    TRY(cql_cursor_open(session, request, &cursor, e));
    enum status status = cql_cursor_next(cursor, &found, e);
    for (uint32_t i = 0; status == STATUS_OK && found && i < cursor->column_count; i++) {
        if (!strcmp(cursor->columns[i].name, "[applied]")) known = cql_read_bool(cursor->values[i], applied);
    }
    cql_cursor_close(cursor);
    TRY(status);
    return known ? STATUS_OK : error_set(e, STATUS_INVALID_ARGUMENT, NULL, "the statement is not conditional: its answer does not say [applied]");
}
