// SPDX-License-Identifier: Apache-2.0
// cql_answer.c: what comes back: results, errors and what follows from each, events. All under the session's lock.
//
//     UNPREPARED                                    prepared again, then sent again, whoever it is
//     BOOTSTRAPPING                                 certainly not carried out: sent again, whoever it is
//     OVERLOADED, UNAVAILABLE, READ/WRITE_TIMEOUT   sent again if idempotent; a write timeout of one that is not is uncertain
//     everything else                               told to the caller
#include "base/clock.h"
#include "cql/cql_internal.h"

enum { PAUSE_US = 10000, PAUSE_DOUBLINGS_MAX = 7, TEXT_SHOWN = 300 };

void connection_release_stream(struct connection *c, uint16_t stream) {
    c->streams[stream] = NULL;
    c->free_streams[c->free_count++] = stream;
    c->in_flight--;
    if (c->in_flight <= c->session->config.in_flight_limit - (c->session->config.in_flight_limit + 1) / 2) c->congested = false;
}

static enum status classify(const struct call *c, int32_t code, const char **condition) {
    switch (code) {
    case CQL_ERROR_UNAVAILABLE:
    case CQL_ERROR_OVERLOADED:
    case CQL_ERROR_BOOTSTRAPPING:
    case CQL_ERROR_TRUNCATE:
    case CQL_ERROR_READ_TIMEOUT: *condition = "LEAT_CASSANDRA_UNAVAILABLE"; return STATUS_UNREACHABLE;
    case CQL_ERROR_CAS_WRITE_UNKNOWN:
    case CQL_ERROR_WRITE_TIMEOUT:
        *condition = c->request.idempotent ? "LEAT_CASSANDRA_UNAVAILABLE" : "LEAT_CASSANDRA_UNCERTAIN";
        return STATUS_UNREACHABLE;
    case CQL_ERROR_BAD_CREDENTIALS: *condition = "LEAT_CASSANDRA_AUTHENTICATION"; return STATUS_INVALID_ARGUMENT;
    case CQL_ERROR_UNAUTHORIZED: *condition = "LEAT_CASSANDRA_UNAUTHORIZED"; return STATUS_INVALID_ARGUMENT;
    case CQL_ERROR_SYNTAX: *condition = "LEAT_CASSANDRA_SYNTAX"; return STATUS_INVALID_QUERY;
    case CQL_ERROR_INVALID:
        if (c->opcode == CQL_OP_EXECUTE || c->opcode == CQL_OP_BATCH) {
            *condition = "LEAT_CASSANDRA_VALUE_REFUSED";
            return STATUS_DATA;
        }
        *condition = "LEAT_CASSANDRA_INVALID";
        return STATUS_INVALID_QUERY;
    case CQL_ERROR_CONFIG: *condition = "LEAT_CASSANDRA_INVALID"; return STATUS_INVALID_QUERY;
    case CQL_ERROR_ALREADY_EXISTS: *condition = "LEAT_CASSANDRA_ALREADY_EXISTS"; return STATUS_CONFLICT;
    default: *condition = "LEAT_CASSANDRA_ERROR"; return STATUS_IO;
    }
}

static void describe(const struct connection *c, const struct call *call, const struct cql_failure *f, struct error *e) {
    const char *condition, *text = call_text(call);
    enum status status = classify(call, f->code, &condition);
    int shown = (int)(f->message.size_bytes > 480 ? 480 : f->message.size_bytes);
    size_t length = strlen(text);
    error_set(e, status, condition, "%s: %.*s (0x%04X)%s%.*s%s%s", c->host->text, shown, f->message.bytes, (unsigned)f->code, *text ? " in `" : "",
              TEXT_SHOWN, text, length > TEXT_SHOWN ? "…" : "", *text ? "`" : "");
}

static int64_t pause_before(struct cql_session *s, const struct call *c) {
    int64_t pause = PAUSE_US << (c->retries < PAUSE_DOUBLINGS_MAX ? c->retries : PAUSE_DOUBLINGS_MAX);
    return pause / 2 + (int64_t)random_below(&s->random, (uint64_t)pause);
}

static void answered_with_error(struct connection *c, struct call *call, const struct cql_failure *f) {
    struct cql_session *s = c->session;
    struct error e;
    bool again = false;
    if (f->code == CQL_ERROR_UNPREPARED && call->opcode != CQL_OP_PREPARE) {
        call_unprepared(c, call, &f->unprepared);
        return;
    }
    describe(c, call, f, &e);
    if (f->code == CQL_ERROR_BOOTSTRAPPING) again = true;
    if (f->code == CQL_ERROR_OVERLOADED || f->code == CQL_ERROR_UNAVAILABLE || f->code == CQL_ERROR_READ_TIMEOUT || f->code == CQL_ERROR_WRITE_TIMEOUT) {
        again = call->request.idempotent;
    }
    if (again && !call->pinned) call_retry(s, call, pause_before(s, call), &e);
    else call_fail(s, call, &e);
}

static void answered_with_result(struct connection *c, struct call *call, struct cql_reader *r) {
    struct cql_session *s = c->session;
    struct error e;
    int32_t kind = cql_take_32(r);
    if (r->failed || kind < CQL_RESULT_VOID || kind > CQL_RESULT_SCHEMA_CHANGE) {
        error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "%s: malformed reply: a result of no kind", c->host->text);
        call_fail(s, call, &e);
        connection_break(c, &e);
        return;
    }
    call->kind = (enum cql_result_kind)kind;
    if (call->keep_body) {
        size_t left = cql_left(r);
        call->body = buffer_new(s->memory, left ? left : 1);
        if (!call->body || buffer_append(call->body, r->next, left) != STATUS_OK) {
            (void)error_no_memory(&e);
            call_fail(s, call, &e);
            return;
        }
    }
    call_finish(s, call);
}

static void warn_once(struct cql_session *s, struct cql_text warning) {
    if (!s->log || !warning.size_bytes) return;
    if (s->last_warning && cql_text_is(warning, s->last_warning)) return;
    char *kept = memory_alloc(s->memory, warning.size_bytes + 1);
    if (!kept) return;
    memcpy(kept, warning.bytes, warning.size_bytes);
    kept[warning.size_bytes] = 0;
    if (memchr(kept, 0, warning.size_bytes)) {
        memory_free(s->memory, kept, warning.size_bytes + 1);
        return;
    }
    if (s->last_warning) memory_free(s->memory, s->last_warning, strlen(s->last_warning) + 1);
    s->last_warning = kept;
    log_write(s->log, LOG_WARN, "cassandra: the server warns: %.400s", kept);
}

static enum status take_event(struct connection *c, const struct cql_frame *f, struct error *e) {
    struct cql_reader r = cql_reader_of(f->body, f->size_bytes);
    struct cql_text warning;
    struct cql_event event;
    if (f->opcode != CQL_OP_EVENT) return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: a message to nobody");
    TRY(cql_decode_prelude(&r, f->flags, &warning, e));
    TRY(cql_decode_event(&r, &event, e));
    ring_event(c->session, &event);
    return STATUS_OK;
}

enum status connection_take_frame(struct connection *c, const struct cql_frame *f, struct error *e) {
    struct cql_reader r = cql_reader_of(f->body, f->size_bytes);
    struct cql_text warning;
    struct cql_failure failure;
    if (f->version != (c->version | CQL_RESPONSE_BIT)) {
        return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: another protocol version than agreed");
    }
    if (f->stream < 0) return take_event(c, f, e);
    struct call *call = (uint32_t)f->stream < c->session->config.in_flight_limit ? c->streams[f->stream] : NULL;
    if (!call) return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: an answer to nothing");
    // What is malformed leaves the call in its stream: it is lost with the connection, and judged there.
    TRY(cql_decode_prelude(&r, f->flags, &warning, e));
    if (f->opcode == CQL_OP_ERROR) TRY(cql_decode_error(&r, &failure, e));
    else if (f->opcode != CQL_OP_RESULT && !(f->opcode == CQL_OP_READY && (call == STREAM_ABANDONED || call->opcode == CQL_OP_REGISTER))) {
        return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: a message that is no answer");
    }
    warn_once(c->session, warning);
    connection_release_stream(c, (uint16_t)f->stream);
    if (call == STREAM_ABANDONED) {
        c->abandoned--;
        return STATUS_OK;
    }
    call->answered_version = c->version;
    call->answered_by = c->host;
    if (f->opcode == CQL_OP_ERROR) answered_with_error(c, call, &failure);
    else if (f->opcode == CQL_OP_RESULT) answered_with_result(c, call, &r);
    else call_finish(c->session, call);
    return STATUS_OK;
}
