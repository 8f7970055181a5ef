// SPDX-License-Identifier: Apache-2.0
// cql_session_test.c: the CQL client against a server of the test's own, a thread that speaks enough of v4 (and refuses v5, so that every session here goes
// the way back) and misbehaves as told: forgets statements, closes mid-flight, answers errors, late, or never.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cql/cql.h"
#include "cql/cql_wire.h"
#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct fake {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool ending;
    // told by the test
    bool wants_login;
    _Atomic int forgets;         // EXECUTEs answered UNPREPARED until a PREPARE comes
    _Atomic int closes;          // EXECUTEs answered by closing
    _Atomic int errors;          // EXECUTEs answered with `code`
    int32_t code;
    _Atomic int silences;        // EXECUTEs not answered
    _Atomic bool retypes;        // PREPAREs say that the value is a varint, not a bigint
    _Atomic bool gathers;        // answers EXECUTEs only when nothing more comes for 20 ms
    // seen
    _Atomic int executes;
    _Atomic int prepares;
    _Atomic int outstanding_max;
    _Atomic int v5_refused;
};

struct peer {
    int fd;
    size_t size_bytes;
    uint8_t bytes[1 << 20];
    uint16_t held[4096];         // streams of gathered EXECUTEs
    int held_count;
};

static struct memory memory;

static void send_all(int fd, const uint8_t *bytes, size_t size_bytes) {
    while (size_bytes) {
        ssize_t wrote = send(fd, bytes, size_bytes, MSG_NOSIGNAL);
        if (wrote <= 0) return;
        bytes += wrote;
        size_bytes -= (size_t)wrote;
    }
}

static void answer(const struct peer *p, uint16_t stream, uint8_t opcode, const void *body, size_t size_bytes) {
    uint8_t frame[9 + 2048] = {0x84, 0, (uint8_t)(stream >> 8), (uint8_t)stream, opcode};
    cql_store_32(frame + 5, (uint32_t)size_bytes);
    memcpy(frame + 9, body, size_bytes);
    send_all(p->fd, frame, 9 + size_bytes);
}
#define ANSWER(p, stream, opcode, literal) answer(p, stream, opcode, literal, sizeof(literal) - 1)

static void answer_error(const struct peer *p, uint16_t stream, int32_t code) {
    uint8_t body[64];
    cql_store_32(body, (uint32_t)code);
    memcpy(body + 4, "\0\4what", 6);
    size_t size = 10;
    if (code == CQL_ERROR_UNPREPARED) {
        memcpy(body + size, "\0\2\xAB\xCD", 4);
        size += 4;
    }
    if (code == CQL_ERROR_WRITE_TIMEOUT) {
        memcpy(body + size, "\0\1\0\0\0\0\0\0\0\1\0\6SIMPLE", 18);
        size += 18;
    }
    answer(p, stream, CQL_OP_ERROR, body, size);
}

static bool take_execute(struct fake *f, struct peer *p, uint16_t stream) {
    atomic_fetch_add(&f->executes, 1);
    if (atomic_load(&f->closes) > 0 && atomic_fetch_sub(&f->closes, 1) > 0) return false;
    if (atomic_load(&f->silences) > 0 && atomic_fetch_sub(&f->silences, 1) > 0) return true;
    if (atomic_load(&f->forgets) > 0) answer_error(p, stream, CQL_ERROR_UNPREPARED);
    else if (atomic_load(&f->errors) > 0 && atomic_fetch_sub(&f->errors, 1) > 0) answer_error(p, stream, f->code);
    else if (atomic_load(&f->gathers)) p->held[p->held_count++] = stream;
    else ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\1");
    return true;
}

// Rows of one column each, enough for the ring: local has a datacenter, peers and keyspaces are empty.
static void take_query(const struct peer *p, uint16_t stream, const char *text, size_t size_bytes) {
    if (memmem(text, size_bytes, "system.local", 12)) {
        ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\2" "\0\0\0\1" "\0\0\0\2" "\0\1k\0\1t" "\0\x0B" "data_center" "\0\x0D" "\0\4" "rack" "\0\x0D" "\0\0\0\1"
                                         "\0\0\0\3dc1" "\0\0\0\2r1");
    } else {
        ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\2" "\0\0\0\1" "\0\0\0\1" "\0\1k\0\1t" "\0\4" "peer" "\0\x10" "\0\0\0\0");
    }
}

static bool take_frame(struct fake *f, struct peer *p, const uint8_t *frame, uint32_t size_bytes) {
    uint16_t stream = cql_load_16(frame + 2);
    const uint8_t *body = frame + 9;
    if (frame[0] != 4) {
        atomic_fetch_add(&f->v5_refused, 1);
        ANSWER(p, stream, CQL_OP_ERROR, "\0\0\0\x0A" "\0\x0F" "not the version");
        return false;
    }
    switch (frame[4]) {
    case CQL_OP_OPTIONS: ANSWER(p, stream, CQL_OP_SUPPORTED, "\0\1\0\x0B" "CQL_VERSION\0\1\0\5" "3.4.5"); break;
    case CQL_OP_STARTUP:
        if (f->wants_login) ANSWER(p, stream, CQL_OP_AUTHENTICATE, "\0\1X");
        else ANSWER(p, stream, CQL_OP_READY, "");
        break;
    case CQL_OP_AUTH_RESPONSE:
        if (memmem(body, size_bytes, "\0user\0secret", 12)) ANSWER(p, stream, CQL_OP_AUTH_SUCCESS, "\xFF\xFF\xFF\xFF");
        else answer_error(p, stream, CQL_ERROR_BAD_CREDENTIALS);
        break;
    case CQL_OP_REGISTER: ANSWER(p, stream, CQL_OP_READY, ""); break;
    case CQL_OP_QUERY: take_query(p, stream, (const char *)body, size_bytes); break;
    case CQL_OP_PREPARE:
        atomic_fetch_add(&f->prepares, 1);
        atomic_store(&f->forgets, 0);
        if (atomic_load(&f->retypes)) {
            ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\4" "\0\2\xAB\xCD" "\0\0\0\1" "\0\0\0\1" "\0\0\0\1" "\0\0" "\0\1k\0\1t" "\0\2id" "\0\x0E" "\0\0\0\4" "\0\0\0\0");
            break;
        }
        ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\4" "\0\2\xAB\xCD" "\0\0\0\1" "\0\0\0\1" "\0\0\0\1" "\0\0" "\0\1k\0\1t" "\0\2id" "\0\2" "\0\0\0\4" "\0\0\0\0");
        break;
    case CQL_OP_EXECUTE: return take_execute(f, p, stream);
    default: return false;
    }
    return true;
}

static bool take_bytes(struct fake *f, struct peer *p) {
    ssize_t got = recv(p->fd, p->bytes + p->size_bytes, sizeof p->bytes - p->size_bytes, 0);
    size_t at = 0;
    if (got <= 0) return false;
    p->size_bytes += (size_t)got;
    while (p->size_bytes - at >= 9 && p->size_bytes - at - 9 >= cql_load_32(p->bytes + at + 5)) {
        uint32_t size = cql_load_32(p->bytes + at + 5);
        if (!take_frame(f, p, p->bytes + at, size)) return false;
        at += 9 + size;
    }
    memmove(p->bytes, p->bytes + at, p->size_bytes - at);
    p->size_bytes -= at;
    return true;
}

static void answer_held(struct fake *f, struct peer *p) {
    if (p->held_count > atomic_load(&f->outstanding_max)) atomic_store(&f->outstanding_max, p->held_count);
    for (int i = 0; i < p->held_count; i++) ANSWER(p, p->held[i], CQL_OP_RESULT, "\0\0\0\1");
    p->held_count = 0;
}

static void *serve(void *context) {
    struct fake *f = context;
    struct peer *peers[8] = {0};
    while (!atomic_load(&f->ending)) {
        struct pollfd polls[9] = {{.fd = f->listener, .events = POLLIN}};
        for (int i = 0; i < 8; i++) polls[i + 1] = (struct pollfd){.fd = peers[i] ? peers[i]->fd : -1, .events = POLLIN};
        int found = poll(polls, 9, 20);
        for (int i = 0; i < 8; i++) {
            if (peers[i] && !found) answer_held(f, peers[i]);
            if (peers[i] && polls[i + 1].revents && !take_bytes(f, peers[i])) {
                close(peers[i]->fd);
                free(peers[i]);
                peers[i] = NULL;
            }
        }
        for (int i = 0; i < 8 && polls[0].revents; i++) {
            if (peers[i]) continue;
            peers[i] = calloc(1, sizeof *peers[i]);
            peers[i]->fd = accept(f->listener, NULL, NULL);
            break;
        }
    }
    for (int i = 0; i < 8; i++) {
        if (peers[i]) close(peers[i]->fd);
        free(peers[i]);
    }
    return NULL;
}

static void fake_start(struct fake *f) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0 && !bind(f->listener, (struct sockaddr *)&address, size) && !listen(f->listener, 8));
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
}

static void fake_stop(struct fake *f) {
    atomic_store(&f->ending, true);
    pthread_join(f->thread, NULL);
    close(f->listener);
}

static const char *const point[] = {"127.0.0.1"};

static struct cql_config config_for(const struct fake *f) {
    return (struct cql_config){.contact_points = point, .contact_point_count = 1, .port = f->port, .memory = &memory, .request_timeout_us = 5000000,
                               .attempt_timeout_us = 300000, .reconnect_min_us = 1000, .reconnect_max_us = 20000};
}

static struct cql_session *open_session(const struct cql_config *config, const struct cql_prepared **insert) {
    struct cql_session *s;
    struct error e;
    if (cql_session_open(config, &s, &e) != STATUS_OK) fail_msg("open: %s", e.message);
    if (insert && cql_prepare(s, "INSERT INTO k.t (id) VALUES (?)", insert, &e) != STATUS_OK) fail_msg("prepare: %s", e.message);
    return s;
}

struct outcome {
    int done;
    int failed;
    struct error last;
};

static void count(void *context, const struct error *error) {
    struct outcome *o = context;
    if (error) o->last = *error;
    error ? o->failed++ : o->done++;
}

static void submit(struct cql_session *s, const struct cql_prepared *p, bool idempotent, struct outcome *o) {
    struct cql_request *r = cql_request_begin(s, p);
    assert_non_null(r);
    cql_bind_int64(r, 7);
    r->idempotent = idempotent;
    cql_submit(s, r, count, o);
}

static void end(struct fake *f, struct cql_session *s) {
    cql_session_close(s);
    fake_stop(f);
    assert_int_equal(memory_used(&memory), 0);
}

static void test_falls_back_to_v4(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    struct cql_server server;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    cql_session_server(s, &server);
    assert_int_equal(server.protocol, 4);
    assert_string_equal(server.datacenter, "dc1");
    assert_int_equal(f.v5_refused, 1);
    for (int i = 0; i < 1000; i++) submit(s, p, true, &o);
    cql_drain(s);
    assert_int_equal(o.done, 1000);
    assert_int_equal(cql_in_flight(s), 0);
    end(&f, s);
}

static void test_prepares_again(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    struct cql_counters counters;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.forgets, 1);
    for (int i = 0; i < 50; i++) submit(s, p, false, &o);  // not idempotent: it certainly was not carried out
    cql_drain(s);
    cql_session_counters(s, &counters);
    assert_int_equal(o.done, 50);
    assert_true(f.prepares >= 2 && f.prepares < 50 && counters.repreparations == (uint64_t)f.prepares - 1);
    end(&f, s);
}

// Values bound for types that are others now are never sent again, though the server would take them; prepared anew, the statement is good.
static void test_types_that_changed(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p, *again;
    struct outcome o = {0};
    struct error e;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.retypes, true);
    atomic_store(&f.forgets, 1);
    for (int i = 0; i < 20; i++) submit(s, p, true, &o);
    cql_drain(s);
    int executes = f.executes;
    for (int i = 0; i < 20; i++) submit(s, p, true, &o);
    cql_drain(s);
    assert_true(o.done == 0 && o.failed == 40 && f.executes == executes && f.prepares == 2);
    assert_string_equal(o.last.condition, "LEAT_CASSANDRA_SCHEMA_CHANGED");
    assert_int_equal(cql_prepare(s, "INSERT INTO k.t (id) VALUES (?)", &again, &e), STATUS_OK);
    assert_true(again != p && again->binds[0].type.kind == CQL_VARINT);
    submit(s, again, true, &o);
    cql_drain(s);
    assert_int_equal(o.done, 1);
    end(&f, s);
}

static void test_lost_connections(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome sure = {0}, unsure = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.closes, 2);
    for (int i = 0; i < 40; i++) submit(s, p, true, &sure);
    cql_drain(s);
    assert_int_equal(sure.done, 40);
    atomic_store(&f.closes, 1);
    submit(s, p, false, &unsure);
    cql_drain(s);
    assert_int_equal(unsure.failed, 1);
    assert_int_equal(unsure.last.status, STATUS_UNREACHABLE);
    assert_string_equal(unsure.last.condition, "LEAT_CASSANDRA_UNCERTAIN");
    submit(s, p, false, &unsure);  // the next one finds a new connection
    cql_drain(s);
    assert_int_equal(unsure.done, 1);
    end(&f, s);
}

static void test_errors_of_the_server(void **state) {
    static const struct {
        int32_t code;
        bool idempotent;
        bool done;
        const char *condition;
        enum status status;
    } cases[] = {{CQL_ERROR_OVERLOADED, true, true, "", STATUS_OK},
                 {CQL_ERROR_OVERLOADED, false, false, "LEAT_CASSANDRA_UNAVAILABLE", STATUS_UNREACHABLE},
                 {CQL_ERROR_BOOTSTRAPPING, false, true, "", STATUS_OK},
                 {CQL_ERROR_WRITE_TIMEOUT, true, true, "", STATUS_OK},
                 {CQL_ERROR_WRITE_TIMEOUT, false, false, "LEAT_CASSANDRA_UNCERTAIN", STATUS_UNREACHABLE},
                 {CQL_ERROR_INVALID, true, false, "LEAT_CASSANDRA_VALUE_REFUSED", STATUS_DATA},
                 {CQL_ERROR_UNAUTHORIZED, true, false, "LEAT_CASSANDRA_UNAUTHORIZED", STATUS_INVALID_ARGUMENT},
                 {CQL_ERROR_SERVER, true, false, "LEAT_CASSANDRA_ERROR", STATUS_IO}};
    struct fake f = {0};
    const struct cql_prepared *p;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct outcome o = {0};
        f.code = cases[i].code;
        atomic_store(&f.errors, 1);
        submit(s, p, cases[i].idempotent, &o);
        cql_drain(s);
        assert_int_equal(o.done, cases[i].done);
        if (cases[i].done) continue;
        assert_string_equal(o.last.condition, cases[i].condition);
        assert_int_equal(o.last.status, cases[i].status);
        assert_non_null(strstr(o.last.message, "127.0.0.1:"));
    }
    end(&f, s);
}

static void test_retries_end(void **state) {
    struct fake f = {.code = CQL_ERROR_OVERLOADED};
    const struct cql_prepared *p;
    struct outcome o = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    config.retry_limit = 3;
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.errors, 1000);
    submit(s, p, true, &o);
    cql_drain(s);
    assert_int_equal(o.failed, 1);
    assert_int_equal(f.executes, 4);
    end(&f, s);
}

static void test_login(void **state) {
    struct fake f = {.wants_login = true};
    struct cql_session *s;
    struct error e;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    assert_int_equal(cql_session_open(&config, &s, &e), STATUS_INVALID_ARGUMENT);
    assert_string_equal(e.condition, "LEAT_CASSANDRA_AUTHENTICATION");
    config.user = "user";
    config.password = "wrong";
    assert_int_equal(cql_session_open(&config, &s, &e), STATUS_INVALID_ARGUMENT);
    assert_null(strstr(e.message, "wrong"));
    config.password = "secret";
    s = open_session(&config, NULL);
    end(&f, s);
}

static void test_silence(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.silences, 1);
    submit(s, p, true, &o);  // asked again after attempt_timeout
    cql_drain(s);
    assert_int_equal(o.done, 1);
    atomic_store(&f.silences, 1);
    int64_t begin_us = clock_monotonic_us();
    submit(s, p, false, &o);
    cql_drain(s);
    assert_int_equal(o.failed, 1);
    assert_string_equal(o.last.condition, "LEAT_CASSANDRA_UNCERTAIN");
    assert_true(clock_monotonic_us() - begin_us < 3000000);
    end(&f, s);
}

static void test_stop(void **state) {
    static _Atomic int stop;
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    config.stop = &stop;
    config.attempt_timeout_us = config.request_timeout_us = 60000000;
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.silences, 1000);
    for (int i = 0; i < 10; i++) submit(s, p, true, &o);
    atomic_store(&stop, 1);
    int64_t begin_us = clock_monotonic_us();
    cql_drain(s);
    assert_int_equal(o.failed, 10);
    assert_int_equal(o.last.status, STATUS_UNREACHABLE);
    assert_true(clock_monotonic_us() - begin_us < 5000000);
    end(&f, s);
}

static void test_window(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    config.in_flight_limit = 40;
    config.attempt_timeout_us = 5000000;
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.gathers, true);
    for (int i = 0; i < 500; i++) submit(s, p, true, &o);
    cql_drain(s);
    assert_int_equal(o.done, 500);
    assert_in_range(f.outstanding_max, 20, 40);
    end(&f, s);
}

static void test_close_with_work(void **state) {
    struct fake f = {0};
    const struct cql_prepared *p;
    struct outcome o = {0};
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    struct cql_session *s = open_session(&config, &p);
    atomic_store(&f.silences, 1000);
    for (int i = 0; i < 20; i++) submit(s, p, i % 2, &o);
    struct cql_request *unused = cql_batch_begin(s, CQL_BATCH_UNLOGGED);
    cql_batch_add(unused, p);
    cql_bind_int64(unused, 1);
    cql_batch_add(unused, p);
    cql_bind_int64(unused, 2);
    cql_batch_drop_last(unused);
    assert_true(unused->size_bytes == 12 && unused->statement_count == 1);
    cql_request_release(s, unused);
    end(&f, s);
    assert_int_equal(o.failed, 20);  // each told exactly once
}

static void test_nobody_there(void **state) {
    struct fake f = {0};
    struct cql_session *s;
    struct error e;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    fake_stop(&f);
    assert_int_equal(cql_session_open(&config, &s, &e), STATUS_UNREACHABLE);
    assert_non_null(strstr(e.message, "127.0.0.1:"));
    assert_non_null(strstr(e.message, "refused"));
    static const char *const wrong[] = {"[::1"};
    config.contact_points = wrong;
    assert_int_equal(cql_session_open(&config, &s, &e), STATUS_INVALID_ARGUMENT);
    assert_int_equal(memory_used(&memory), 0);
}

struct worker {
    struct cql_session *session;
    const struct cql_prepared *prepared;
    struct outcome outcome;
};

static void count_together(void *context, const struct error *error) {
    struct outcome *o = context;
    __atomic_fetch_add(error ? &o->failed : &o->done, 1, __ATOMIC_RELAXED);
}

static void *work(void *context) {
    struct worker *w = context;
    for (int i = 0; i < 500; i++) {
        struct cql_request *r = cql_request_begin(w->session, w->prepared);
        cql_bind_int64(r, i);
        r->idempotent = true;
        cql_submit(w->session, r, count_together, &w->outcome);
    }
    cql_drain(w->session);
    return NULL;
}

static void test_threads(void **state) {
    struct fake f = {0};
    struct worker workers[4];
    pthread_t threads[4];
    const struct cql_prepared *p;
    (void)state;
    fake_start(&f);
    struct cql_config config = config_for(&f);
    config.attempt_timeout_us = 5000000;
    struct cql_session *s = open_session(&config, &p);
    for (int i = 0; i < 4; i++) {
        workers[i] = (struct worker){.session = s, .prepared = p};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < 4; i++) assert_int_equal(workers[i].outcome.done, 500);
    end(&f, s);
}

static int setup(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_falls_back_to_v4), cmocka_unit_test(test_prepares_again), cmocka_unit_test(test_types_that_changed), cmocka_unit_test(test_lost_connections),
        cmocka_unit_test(test_errors_of_the_server), cmocka_unit_test(test_retries_end), cmocka_unit_test(test_login), cmocka_unit_test(test_silence),
        cmocka_unit_test(test_stop), cmocka_unit_test(test_window), cmocka_unit_test(test_close_with_work), cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
