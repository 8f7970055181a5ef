// SPDX-License-Identifier: Apache-2.0
// cql_drive.c: the life of a call between its caller and the connections, and the step that moves everything.
//
// A step: connect what is due, put what waits on connections, write; poll without the lock; read; take broken connections apart; look at time limits.
// Reading comes before the time limits, so that an answer which lay in the socket while nobody called is no timeout.
#include "base/clock.h"
#include "cql/cql_internal.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>

enum { STEP_US = 100000, FLUSH_BYTES = 16 * 1024, LOST_PAUSE_US = 5000, UNREACHABLE_SHOWN = 4, PACE_NS = 100000, PACE_BELOW = 8, PACE_WINDOW_MIN = 32 };

void session_lock(struct cql_session *s) { pthread_mutex_lock(&s->lock); }
void session_unlock(struct cql_session *s) { pthread_mutex_unlock(&s->lock); }

bool session_stopped(const struct cql_session *s) {
    return s->closing || (s->config.stop && atomic_load_explicit(s->config.stop, memory_order_relaxed));
}

void session_wake(struct cql_session *s) {
    if (s->polling) notify_raise(&s->wake);
}

void error_unreachable(struct cql_session *s, struct error *e) {
    char reasons[600];
    size_t at = 0;
    uint32_t shown = 0, hidden = 0;
    if (session_stopped(s)) {
        error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "Cassandra: stopped while waiting");
        return;
    }
    if (s->fatal.status != STATUS_OK && !(s->ready_count && s->ring_known)) {
        *e = s->fatal;
        return;
    }
    reasons[0] = 0;
    for (const struct host *h = s->hosts; h; h = h->next) {
        if (!(h->spoken_to || h->contact) || h->ready_count) continue;
        if (shown == UNREACHABLE_SHOWN) {
            hidden++;
            continue;
        }
        int length = snprintf(reasons + at, sizeof reasons - at, "%s%s: %.180s", shown++ ? "; " : "", h->text,
                              h->last_error.status != STATUS_OK ? h->last_error.message : "no answer");
        at = length < 0 || (size_t)length >= sizeof reasons - at ? sizeof reasons - 1 : at + (size_t)length;
    }
    if (s->ready_count) error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_TIMEOUT", "Cassandra: every connection was busy for %lld s",
                                  (long long)(s->config.request_timeout_us / US_PER_S));
    else error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "no host of Cassandra answers: %s%s", reasons, hidden ? " …" : "");
}

// ---- calls ----

static void enqueue(struct cql_session *s, struct call *c) {
    c->place = CALL_QUEUED;
    c->connection = NULL;
    c->next = NULL;
    *s->queue_end = c;
    s->queue_end = &c->next;
    s->queue_count++;
}

void call_finish(struct cql_session *s, struct call *c) {
    c->place = CALL_FINISHED;
    c->connection = NULL;
    c->next = NULL;
    s->counters.requests++;
    s->counters.statements += c->statements.count;
    s->counters.failures += c->error != NULL;
    if (c->internal) {
        c->internal(s, c);
    } else if (!c->synchronous) {
        *s->finished_end = c;
        s->finished_end = &c->next;
    }
}

void call_fail(struct cql_session *s, struct call *c, const struct error *e) {
    if (!c->error) c->error = memory_alloc(s->memory, sizeof *c->error);
    if (c->error) *c->error = *e;
    else c->error_lost = true;
    call_finish(s, c);
}

void call_retry(struct cql_session *s, struct call *c, int64_t pause_us, const struct error *reason) {
    int64_t now_us = clock_monotonic_us();
    if (session_stopped(s) || c->retries >= s->config.retry_limit || now_us + pause_us >= c->deadline_us || c->pinned) {
        call_fail(s, c, reason);
        return;
    }
    c->retries++;
    s->counters.retries++;
    c->not_before_us = now_us + pause_us;
    enqueue(s, c);
}

static void say_uncertain(const struct call *c, const struct error *reason, struct error *e) {
    error_set(e, STATUS_UNREACHABLE, c->request.idempotent ? reason->condition : "LEAT_CASSANDRA_UNCERTAIN", "%s: %.500s%s `%.300s`",
              c->host ? c->host->text : "Cassandra", reason->message, c->request.idempotent ? " in" : "; it is not known whether it was carried out:", call_text(c));
    if (e->condition[0] == 0) error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "%.900s", reason->message);
}

void call_lost(struct cql_session *s, struct call *c, const struct error *reason) {
    bool sent = c->connection && c->sequence <= c->connection->sealed_count;
    struct error e;
    say_uncertain(c, reason, &e);
    if (!sent) call_retry(s, c, 0, reason);
    else if (c->request.idempotent) call_retry(s, c, LOST_PAUSE_US, &e);
    else call_fail(s, c, &e);
}

static void put_on(struct cql_session *s, struct call *c, struct connection *connection) {
    struct error e;
    if (call_is_outdated(c, &e)) {
        call_fail(s, c, &e);
        return;
    }
    if (connection->waiters && call_waits_for_prepare(connection, c)) return;
    c->attempt_deadline_us = clock_monotonic_us() + s->config.attempt_timeout_us;
    if (connection_send(connection, c) == STATUS_OK) return;
    (void)error_no_memory(&e);
    call_fail(s, c, &e);
}

void call_start(struct cql_session *s, struct call *c) {
    struct connection *connection = ring_choose(s, c);
    c->not_before_us = 0;
    if (connection) put_on(s, c, connection);
    else enqueue(s, c);
}

static void fail_queued(struct cql_session *s, struct call *c, int64_t now_us) {
    struct error e;
    error_unreachable(s, &e);
    if (e.status == STATUS_UNREACHABLE && !session_stopped(s) && now_us < c->deadline_us) {
        error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "the connection it belongs to is gone");
    }
    call_fail(s, c, &e);
}

// What waits goes on a connection, if one has room for it, or fails, if its time is over.
static void dispatch_queue(struct cql_session *s) {
    struct call *c = s->queue;
    int64_t now_us = c ? clock_monotonic_us() : 0;
    bool stopped = session_stopped(s);
    s->queue = NULL;
    s->queue_end = &s->queue;
    s->queue_count = 0;
    for (struct call *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        struct connection *connection = !stopped && c->not_before_us <= now_us ? ring_choose(s, c) : NULL;
        if (connection) put_on(s, c, connection);
        else if (stopped || c->deadline_us <= now_us) fail_queued(s, c, now_us);
        else enqueue(s, c);
    }
}

static void fail_pinned(struct cql_session *s, const struct connection *gone) {
    struct call *c = s->queue;
    s->queue = NULL;
    s->queue_end = &s->queue;
    s->queue_count = 0;
    for (struct call *next; c; c = next) {
        next = c->next;
        c->next = NULL;
        if (c->pinned == gone) call_fail(s, c, &gone->reason);
        else enqueue(s, c);
    }
}

void run_callbacks(struct cql_session *s) {
    struct call *list = s->finished;
    if (!list) return;
    s->finished = NULL;
    s->finished_end = &s->finished;
    session_unlock(s);
    struct error lost;
    for (struct call *c = list; c; c = c->next) {
        if (c->error_lost) (void)error_no_memory(&lost);
        if (c->on_done) c->on_done(c->context, c->error_lost ? &lost : c->error);
    }
    session_lock(s);
    for (struct call *next; list; list = next) {
        next = list->next;
        s->unfinished--;
        call_recycle(s, list);
    }
    pthread_cond_broadcast(&s->moved);
    if (!s->unfinished) session_wake(s);
}

// ---- connections ----

static int64_t reconnect_pause(struct cql_session *s, const struct host *h) {
    int64_t pause = s->config.reconnect_min_us;
    for (uint32_t i = 1; i < h->failures && pause < s->config.reconnect_max_us; i++) pause *= 2;
    if (pause > s->config.reconnect_max_us) pause = s->config.reconnect_max_us;
    return pause / 2 + (int64_t)random_below(&s->random, (uint64_t)pause / 2 + 1);
}

static void connect_hosts(struct cql_session *s, int64_t now_us) {
    if (session_stopped(s)) return;
    for (struct host *h = s->hosts; h; h = h->next) {
        uint32_t count = 0;
        for (const struct connection *c = h->connections; c; c = c->next) count++;
        bool wanted = h->spoken_to || (h->contact && !s->ready_count);
        while (wanted && count < s->config.connections_per_host && h->next_attempt_us <= now_us) {
            struct connection *c = connection_new(s, h);
            if (!c) {
                h->failures++;
                h->next_attempt_us = now_us + reconnect_pause(s, h);
                break;
            }
            c->next = h->connections;
            h->connections = c;
            count++;
        }
    }
}

static void note_loss(struct cql_session *s, struct connection *c) {
    struct host *h = c->host;
    h->last_error = c->reason;
    if (c->version != s->version) {  // it is made again at once, in the other version
        h->next_attempt_us = 0;
        return;
    }
    h->failures++;
    h->next_attempt_us = clock_monotonic_us() + reconnect_pause(s, h);
    if (c->state != CONNECTION_READY) return;
    s->counters.connections_lost++;
    if (h->ready_count || !h->was_up) return;
    h->was_up = false;
    if (s->log && !s->closing) log_write(s->log, LOG_WARN, "cassandra: %s is lost: %s", h->text, c->reason.message);
}

static void take_apart(struct cql_session *s, struct connection *c) {
    struct connection **link = &c->host->connections;
    while (*link != c) link = &(*link)->next;
    *link = c->next;
    if (c->state == CONNECTION_READY) {
        c->host->ready_count--;
        s->ready_count--;
    }
    note_loss(s, c);
    for (uint32_t i = 0; i < s->config.in_flight_limit; i++) {
        struct call *call = c->streams[i];
        c->streams[i] = NULL;
        if (call && call != STREAM_ABANDONED) call_lost(s, call, &c->reason);
    }
    fail_pinned(s, c);
    if (s->control == c) {
        s->control = NULL;
        s->refreshing = false;
        for (struct host *h = s->hosts; h && !s->control; h = h->next) {
            for (struct connection *other = h->connections; other && !s->control; other = other->next) {
                if (other->state == CONNECTION_READY && !other->broken) s->control = other;
            }
        }
        if (s->control) s->refresh_due_us = 1;
    }
    connection_free(c);
}

static void take_broken_apart(struct cql_session *s) {
    for (struct host *h = s->hosts; h; h = h->next) {
        for (struct connection *c = h->connections, *next; c; c = next) {
            next = c->next;
            if (c->broken) take_apart(s, c);
        }
    }
}

static void break_silent(struct connection *c, const char *what, int64_t after_us) {
    struct error e;
    error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_TIMEOUT", "%s within %.1f s", what, (double)after_us / 1e6);
    connection_break(c, &e);
}

// A call whose time is over leaves; its stream stays taken until the answer comes.
static void give_up(struct cql_session *s, struct connection *c, struct call *call, int64_t now_us) {
    struct error reason;
    if (session_stopped(s)) error_unreachable(s, &reason);
    else error_set(&reason, STATUS_UNREACHABLE, "LEAT_CASSANDRA_TIMEOUT", "no answer within %.1f s", (double)s->config.attempt_timeout_us / 1e6);
    bool silent = call->attempt_deadline_us <= now_us && c->last_received_us <= call->attempt_deadline_us - s->config.attempt_timeout_us;
    c->streams[call->stream] = STREAM_ABANDONED;
    c->abandoned++;
    call->sequence = 0;  // where its frame still lies here, it will be sent
    call_lost(s, call, &reason);
    if (silent) break_silent(c, "it answers nothing", s->config.attempt_timeout_us);
    else if (c->abandoned * 2 > s->config.in_flight_limit) break_silent(c, "half of what was asked is not answered", s->config.attempt_timeout_us);
}

static void sweep(struct cql_session *s, int64_t now_us) {
    bool stopped = session_stopped(s);
    if (now_us < s->next_sweep_us && !stopped) return;
    s->next_sweep_us = now_us + STEP_US;
    for (struct host *h = s->hosts; h; h = h->next) {
        for (struct connection *c = h->connections; c; c = c->next) {
            if (c->state < CONNECTION_READY && c->connect_deadline_us <= now_us) break_silent(c, "it was not ready", s->config.connect_timeout_us);
            for (uint32_t i = 0; i < s->config.in_flight_limit && c->in_flight > c->abandoned; i++) {
                struct call *call = c->streams[i];
                if (!call || call == STREAM_ABANDONED) continue;
                if (stopped || call->attempt_deadline_us <= now_us || call->deadline_us <= now_us) give_up(s, c, call, now_us);
            }
        }
    }
}

// ---- the step ----

static void flush_all(struct cql_session *s) {
    for (struct host *h = s->hosts; h; h = h->next) {
        for (struct connection *c = h->connections; c; c = c->next) {
            if (c->frames.size_bytes || c->wire.size_bytes > c->wire_begin) connection_flush(c);
        }
    }
}

static int64_t next_due(const struct cql_session *s, int64_t now_us, int64_t until_us) {
    int64_t due_us = until_us < now_us + STEP_US ? until_us : now_us + STEP_US;
    for (const struct host *h = s->hosts; h; h = h->next) {
        if ((h->spoken_to || h->contact) && !h->connections && h->next_attempt_us < due_us) due_us = h->next_attempt_us;
    }
    for (const struct call *c = s->queue; c; c = c->next) {
        if (c->not_before_us > now_us && c->not_before_us < due_us) due_us = c->not_before_us;
    }
    if (s->refresh_due_us && s->control && s->refresh_due_us < due_us) due_us = s->refresh_due_us;
    return s->finished || due_us < now_us ? now_us : due_us;
}

// The sockets to look at; the last one is the wake-up call.
static uint32_t gather(struct cql_session *s) {
    uint32_t count = 0;
    for (struct host *h = s->hosts; h; h = h->next) {
        for (struct connection *c = h->connections; c; c = c->next) {
            if (count + 1 >= s->poll_capacity) {
                uint32_t capacity = s->poll_capacity ? s->poll_capacity * 2 : 16;
                struct pollfd *polls = memory_resize(s->memory, s->polls, s->poll_capacity * sizeof *polls, capacity * sizeof *polls);
                if (polls) s->polls = polls;
                struct connection **polled = polls ? memory_resize(s->memory, s->polled, s->poll_capacity * sizeof *polled, capacity * sizeof *polled) : NULL;
                if (polled) s->polled = polled;
                if (polls && !polled) s->polls = memory_resize(s->memory, polls, capacity * sizeof *polls, s->poll_capacity * sizeof *polls);
                if (!polled) return count;  // the others are looked at when there is memory again
                s->poll_capacity = capacity;
            }
            if (c->broken) continue;
            s->polled[count] = c;
            s->polls[count++] = (struct pollfd){.fd = c->fd, .events = (short)((c->state == CONNECTION_CONNECTING ? 0 : POLLIN) |
                                                                               (connection_wants_write(c) ? POLLOUT : 0))};
        }
    }
    return count;
}

static void poll_once(struct cql_session *s, int64_t until_us) {
    uint32_t count = gather(s);
    struct pollfd only_wake = {.fd = s->wake.fd, .events = POLLIN}, *polls = s->poll_capacity ? s->polls : &only_wake;
    if (s->poll_capacity) s->polls[count] = only_wake;
    int64_t now_us = clock_monotonic_us();
    int64_t wait_us = next_due(s, now_us, until_us) - now_us;
    struct timespec wait = {.tv_sec = wait_us / US_PER_S, .tv_nsec = wait_us % US_PER_S * 1000};
    uint64_t answers_before = s->counters.requests;
    bool pace = s->pacing && s->last_answers < PACE_BELOW && wait_us * 1000 > PACE_NS;
    s->polling = true;
    session_unlock(s);
    // With a full window, one look per answer would cost more than the answer: the server still has half a window to work on.
    if (pace) nanosleep(&(struct timespec){.tv_nsec = PACE_NS}, NULL);
    int found = ppoll(polls, count + 1, &wait, NULL);
    session_lock(s);
    s->polling = false;
    if (found <= 0) return;
    if (polls[count].revents) (void)notify_wait(&s->wake, 0);
    for (uint32_t i = 0; i < count; i++) {
        // Reading first: what a server says before it closes is the reason, a write that fails is not.
        if (polls[i].revents & (POLLIN | POLLERR | POLLHUP)) connection_readable(s->polled[i]);
        if (polls[i].revents & (POLLOUT | POLLERR | POLLHUP)) connection_writable(s->polled[i]);
    }
    s->last_answers = s->counters.requests - answers_before;
}

static void step(struct cql_session *s, int64_t until_us) {
    int64_t now_us = clock_monotonic_us();
    take_broken_apart(s);
    contacts_resolve_again(s, now_us);
    connect_hosts(s, now_us);
    dispatch_queue(s);
    if (s->refresh_due_us && s->refresh_due_us <= now_us && s->control && !s->refreshing) ring_refresh(s);
    flush_all(s);
    poll_once(s, until_us);
    take_broken_apart(s);
    sweep(s, clock_monotonic_us());
    take_broken_apart(s);
    dispatch_queue(s);
}

void session_wait(struct cql_session *s, int64_t until_us) {
    if (s->driving) {
        int64_t now_us = clock_monotonic_us();
        if (until_us > now_us + STEP_US) until_us = now_us + STEP_US;
        struct timespec until = {.tv_sec = until_us / US_PER_S, .tv_nsec = until_us % US_PER_S * 1000};
        pthread_cond_timedwait(&s->moved, &s->lock, &until);
        return;
    }
    s->driving = true;
    step(s, until_us);
    s->driving = false;
    pthread_cond_broadcast(&s->moved);
    run_callbacks(s);
}

enum status call_run(struct cql_session *s, struct call *c, struct error *e) {
    int64_t now_us = clock_monotonic_us();
    c->synchronous = true;
    if (!c->deadline_us) c->deadline_us = now_us + (c->request.timeout_us ? c->request.timeout_us : s->config.request_timeout_us);
    c->has_token = !c->request.no_token && s->host_count > 1 && c->opcode != CQL_OP_PREPARE && cql_request_token(&c->request, &c->token);
    call_start(s, c);
    while (c->place != CALL_FINISHED) session_wait(s, INT64_MAX / 2);
    if (c->error_lost) return error_no_memory(e);
    if (!c->error) return STATUS_OK;
    if (e) *e = *c->error;
    return c->error->status;
}

// ---- the public part ----

static void send_if_worthwhile(struct cql_session *s, struct connection *c) {
    uint64_t gathered = c->encoded_count - c->sealed_count;
    if (gathered < c->in_flight && gathered < (s->config.in_flight_limit + 1) / 2 && c->frames.size_bytes < FLUSH_BYTES) return;
    connection_flush(c);
    if (connection_wants_write(c)) session_wake(s);
}

// Where it can go now; waits until there is one, or its time is over (NULL).
static struct connection *wait_for_room(struct cql_session *s, struct call *c) {
    for (;;) {
        struct connection *connection = ring_choose(s, c);
        if (connection) return connection;
        if (session_stopped(s) || clock_monotonic_us() >= c->deadline_us) return NULL;
        s->pacing = s->ready_count && s->config.in_flight_limit >= PACE_WINDOW_MIN;
        session_wait(s, c->deadline_us);
        s->pacing = false;
    }
}

void cql_submit(struct cql_session *session, struct cql_request *request, cql_done on_done, void *context) {
    struct call *c = (struct call *)request;
    struct error e;
    enum status status = call_check(c, &e);
    c->on_done = on_done;
    c->context = context;
    session_lock(session);
    session->unfinished++;
    if (status != STATUS_OK) {
        call_fail(session, c, &e);
    } else {
        int64_t now_us = clock_monotonic_us();
        c->deadline_us = now_us + (request->timeout_us ? request->timeout_us : session->config.request_timeout_us);
        c->has_token = !request->no_token && session->host_count > 1 && cql_request_token(request, &c->token);
        struct connection *connection = wait_for_room(session, c);
        if (connection) {
            put_on(session, c, connection);
            send_if_worthwhile(session, connection);
        } else {
            error_unreachable(session, &e);
            call_fail(session, c, &e);
        }
    }
    run_callbacks(session);
    session_unlock(session);
}

void cql_drain(struct cql_session *session) {
    session_lock(session);
    run_callbacks(session);
    while (session->unfinished) session_wait(session, INT64_MAX / 2);
    session_unlock(session);
}

void cql_pump(struct cql_session *session, int64_t timeout_us) {
    session_lock(session);
    session_wait(session, clock_monotonic_us() + timeout_us);
    session_unlock(session);
}

uint32_t cql_in_flight(struct cql_session *session) {
    session_lock(session);
    uint32_t count = session->unfinished;
    session_unlock(session);
    return count;
}
