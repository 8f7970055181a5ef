// SPDX-License-Identifier: Apache-2.0
// cql_hostile_test.c: the CQL client against a server of the test's own that speaks v5: columns of a prepared statement that change while it is used, and a
// server that means ill: answers to nobody, wrong checksums, frames cut or endless, messages that are no answers. Whatever it does, every request
// ends once and in time, and memory and file descriptors are given back.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "cql/cql_message.h"
#include "cql/cql_segment.h"
#include <arpa/inet.h>
#include <dirent.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 8 };

enum misdeed {
    GOOD, UNKNOWN_STREAM, NEGATIVE_STREAM, TWICE, WRONG_HEADER_SUM, WRONG_SUM, CUT_FRAME, HUGE_FRAME, READY_FOR_RESULT, SUPPORTED_FOR_RESULT, UNKNOWN_KIND, SHORT_ERROR,
    COMPRESSED, OTHER_VERSION, BROKEN_EVENT, GARBAGE, MISDEEDS
};

struct peer {
    int fd;
    bool segments;               // since STARTUP was answered
    size_t wire_bytes, frame_bytes;
    uint8_t wire[1 << 18], frames[1 << 18];
};

struct fake {
    int listener;
    uint16_t port;
    pthread_t thread;
    _Atomic bool ending;
    // told by the test
    _Atomic int misdeed;         // of the next EXECUTE; then it is good again
    _Atomic bool floods;         // answers an EXECUTE with events without end
    _Atomic int empty_segments;  // before each answer
    _Atomic int columns;         // of the rows that a SELECT gives: 1 (id), 2 (id, v); its metadata's id is made of this
    _Atomic int forgets;         // EXECUTEs answered UNPREPARED until a PREPARE comes
    _Atomic int pages;           // of a result; columns become 2 after the first
    _Atomic int lie;             // columns that rows without metadata are said to have; 0: the truth
    // seen
    _Atomic int executes, prepares, skipped;
    _Atomic int bad_sums;
};

static struct memory memory;
static struct cql_crc32 crc;

static bool send_all(const struct peer *p, const uint8_t *bytes, size_t size_bytes) {
    while (size_bytes) {
        ssize_t wrote = send(p->fd, bytes, size_bytes, MSG_NOSIGNAL);
        if (wrote <= 0) return false;
        bytes += wrote;
        size_bytes -= (size_t)wrote;
    }
    return true;
}

static struct memory server_memory;

static void put_frame(struct buffer *out, uint8_t version, uint8_t flags, int16_t stream, uint8_t opcode, const void *body, size_t size_bytes) {
    uint8_t header[9] = {version, flags, (uint8_t)((uint16_t)stream >> 8), (uint8_t)stream, opcode};
    cql_store_32(header + 5, (uint32_t)size_bytes);
    assert_int_equal(buffer_append(out, header, 9), STATUS_OK);
    if (size_bytes) assert_int_equal(buffer_append(out, body, size_bytes), STATUS_OK);
}

static void send_frame(const struct peer *p, uint8_t version, uint8_t flags, int16_t stream, uint8_t opcode, const void *body, size_t size_bytes) {
    struct buffer frame, wire;
    struct error e;
    buffer_init(&frame, &server_memory);
    buffer_init(&wire, &server_memory);
    put_frame(&frame, version, flags, stream, opcode, body, size_bytes);
    assert_int_equal(cql_seal(&crc, p->segments ? CQL_FRAMING_SEGMENTS : CQL_FRAMING_BARE, frame.data, frame.size_bytes, &wire, &e), STATUS_OK);
    send_all(p, wire.data, wire.size_bytes);
    buffer_release(&frame);
    buffer_release(&wire);
}

static void answer(const struct peer *p, int16_t stream, uint8_t opcode, const void *body, size_t size_bytes) { send_frame(p, 0x85, 0, stream, opcode, body, size_bytes); }
#define ANSWER(p, stream, opcode, literal) answer(p, stream, opcode, literal, sizeof(literal) - 1)

static const uint8_t void_result[4] = {0, 0, 0, 1};

// A RESULT without anything, in a segment that is then spoilt at `at` (from its end where negative), or cut to `keep` bytes.
static void send_spoilt(const struct peer *p, int16_t stream, int at, size_t keep) {
    struct buffer frame, wire;
    struct error e;
    buffer_init(&frame, &server_memory);
    buffer_init(&wire, &server_memory);
    put_frame(&frame, 0x85, 0, stream, CQL_OP_RESULT, void_result, 4);
    assert_int_equal(cql_seal(&crc, CQL_FRAMING_SEGMENTS, frame.data, frame.size_bytes, &wire, &e), STATUS_OK);
    if (!keep) wire.data[at < 0 ? wire.size_bytes - (size_t)-at : (size_t)at] ^= 0x40;
    send_all(p, wire.data, keep ? keep : wire.size_bytes);
    buffer_release(&frame);
    buffer_release(&wire);
}

// A segment around anything.
static void send_segment(const struct peer *p, const void *payload, uint8_t size_bytes) {
    uint32_t sum = cql_crc24(size_bytes | 1u << 17, 3), body_sum = cql_crc32_of(&crc, payload, size_bytes);
    uint8_t bytes[6 + 255 + 4] = {size_bytes, 0, 2, (uint8_t)sum, (uint8_t)(sum >> 8), (uint8_t)(sum >> 16)};
    if (size_bytes) memcpy(bytes + 6, payload, size_bytes);
    memcpy(bytes + 6 + size_bytes, &body_sum, 4);
    send_all(p, bytes, 10u + size_bytes);
}

static const char event[] = "\0\x0D" "STATUS_CHANGE" "\0\2" "UP" "\x04\x7F\0\0\2" "\0\0\x23\x52";

// In large pieces, so that there is always more to read.
static void flood(struct fake *f, const struct peer *p) {
    struct buffer frames, wire;
    struct error e;
    buffer_init(&frames, &server_memory);
    buffer_init(&wire, &server_memory);
    for (int i = 0; i < 30000; i++) put_frame(&frames, 0x85, 0, -1, CQL_OP_EVENT, event, sizeof event - 1);
    assert_int_equal(cql_seal(&crc, CQL_FRAMING_SEGMENTS, frames.data, frames.size_bytes, &wire, &e), STATUS_OK);
    while (!atomic_load(&f->ending) && atomic_load(&f->floods) && send_all(p, wire.data, wire.size_bytes)) continue;
    buffer_release(&frames);
    buffer_release(&wire);
}

// False: the connection is closed.
static bool misbehave(const struct peer *p, enum misdeed misdeed, int16_t stream) {
    uint8_t frame[9] = {0x85, 0, 0, 1, CQL_OP_RESULT, 0x7F, 0xFF, 0xFF, 0xFF};
    switch (misdeed) {
    case UNKNOWN_STREAM: answer(p, 77, CQL_OP_RESULT, void_result, 4); break;
    case NEGATIVE_STREAM: answer(p, -5, CQL_OP_RESULT, void_result, 4); break;
    case TWICE:
        answer(p, stream, CQL_OP_RESULT, void_result, 4);
        answer(p, stream, CQL_OP_RESULT, void_result, 4);
        break;
    case WRONG_HEADER_SUM: send_spoilt(p, stream, 3, 0); break;
    case WRONG_SUM: send_spoilt(p, stream, -1, 0); break;
    case CUT_FRAME: send_spoilt(p, stream, 0, 17); return false;
    case HUGE_FRAME: send_segment(p, frame, 9); break;
    case READY_FOR_RESULT: ANSWER(p, stream, CQL_OP_READY, ""); break;
    case SUPPORTED_FOR_RESULT: ANSWER(p, stream, CQL_OP_SUPPORTED, "\0\0"); break;
    case UNKNOWN_KIND: ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\x63"); break;
    case SHORT_ERROR: ANSWER(p, stream, CQL_OP_ERROR, "\0\0\x25"); break;
    case COMPRESSED: send_frame(p, 0x85, CQL_FLAG_COMPRESSED, stream, CQL_OP_RESULT, void_result, 4); break;
    case OTHER_VERSION: send_frame(p, 0x84, 0, stream, CQL_OP_RESULT, void_result, 4); break;
    case BROKEN_EVENT: ANSWER(p, -1, CQL_OP_EVENT, "\0\x0D" "STATUS_CHANGE" "\0\2" "UP" "\x09\x7F"); break;
    case GARBAGE: {
        static const char garbage[] = "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n<html>";
        send_all(p, (const uint8_t *)garbage, sizeof garbage - 1);
        break;
    }
    case GOOD:
    case MISDEEDS: break;
    }
    return true;
}

static void append(struct buffer *b, const void *bytes, size_t size_bytes) { assert_int_equal(buffer_append(b, bytes, size_bytes), STATUS_OK); }
#define APPEND(b, literal) append(b, literal, sizeof(literal) - 1)

// Of one column or two.
static void append_columns(struct buffer *b, int columns) {
    APPEND(b, "\0\1k\0\1t" "\0\2id" "\0\2");
    if (columns == 2) APPEND(b, "\0\1v" "\0\x0D");
}

static bool answer_rows(struct fake *f, const struct peer *p, int16_t stream, const uint8_t *body, size_t size_bytes) {
    struct buffer b;
    int columns = atomic_load(&f->columns), lie = atomic_load(&f->lie), pages = atomic_load(&f->pages);
    struct cql_reader r = cql_reader_of(body, size_bytes);
    (void)cql_take_string(&r);
    struct cql_text result_id = cql_take_string(&r);
    (void)cql_take_16(&r);
    uint32_t flags = (uint32_t)cql_take_32(&r);
    bool known = flags & CQL_QUERY_SKIP_METADATA && result_id.size_bytes == 2 && result_id.bytes[1] == '0' + columns;
    buffer_init(&b, &server_memory);
    uint8_t head[12] = {0, 0, 0, 2, 0, 0, 0, (uint8_t)((known ? CQL_ROWS_NO_METADATA : CQL_ROWS_GLOBAL_SPEC | CQL_ROWS_METADATA_CHANGED) | (pages > 1 ? CQL_ROWS_MORE_PAGES : 0)),
                        0, 0, 0, (uint8_t)(lie && known ? lie : columns)};
    append(&b, head, 12);
    if (pages > 1) APPEND(&b, "\0\0\0\1P");
    if (!known) {
        append(&b, (uint8_t[4]){0, 2, 'R', (uint8_t)('0' + columns)}, 4);
        append_columns(&b, columns);
    }
    atomic_fetch_add(&f->skipped, known);
    APPEND(&b, "\0\0\0\1" "\0\0\0\x08\0\0\0\0\0\0\0\x07");
    if (columns == 2) APPEND(&b, "\0\0\0\3abc");
    if (pages > 1) {
        atomic_fetch_sub(&f->pages, 1);
        atomic_store(&f->columns, 2);
    }
    answer(p, stream, CQL_OP_RESULT, b.data, b.size_bytes);
    buffer_release(&b);
    return true;
}

static bool take_execute(struct fake *f, const struct peer *p, int16_t stream, const uint8_t *body, size_t size_bytes) {
    atomic_fetch_add(&f->executes, 1);
    enum misdeed misdeed = (enum misdeed)atomic_exchange(&f->misdeed, GOOD);
    if (misdeed != GOOD) return misbehave(p, misdeed, stream);
    if (atomic_load(&f->floods)) {
        flood(f, p);
        return false;
    }
    for (int i = atomic_load(&f->empty_segments); i > 0; i--) send_segment(p, NULL, 0);
    if (atomic_load(&f->forgets)) {
        ANSWER(p, stream, CQL_OP_ERROR, "\0\0\x25\0" "\0\4what" "\0\2\xAB\xCD");
        return true;
    }
    return answer_rows(f, p, stream, body, size_bytes);
}

static void take_query(const struct peer *p, int16_t stream, const char *text, size_t size_bytes) {
    if (memmem(text, size_bytes, "system.local", 12)) {
        ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\2" "\0\0\0\1" "\0\0\0\2" "\0\1k\0\1t" "\0\x0B" "data_center" "\0\x0D" "\0\4" "rack" "\0\x0D" "\0\0\0\1"
                                         "\0\0\0\3dc1" "\0\0\0\2r1");
    } else {
        ANSWER(p, stream, CQL_OP_RESULT, "\0\0\0\2" "\0\0\0\1" "\0\0\0\1" "\0\1k\0\1t" "\0\4" "peer" "\0\x10" "\0\0\0\0");
    }
}

static void take_prepare(struct fake *f, const struct peer *p, int16_t stream) {
    struct buffer b;
    int columns = atomic_load(&f->columns);
    atomic_fetch_add(&f->prepares, 1);
    atomic_store(&f->forgets, 0);
    buffer_init(&b, &server_memory);
    APPEND(&b, "\0\0\0\4" "\0\2\xAB\xCD" "\0\2R");
    append(&b, (uint8_t[1]){(uint8_t)('0' + columns)}, 1);
    APPEND(&b, "\0\0\0\1" "\0\0\0\1" "\0\0\0\1" "\0\0" "\0\1k\0\1t" "\0\2id" "\0\2" "\0\0\0\1" "\0\0\0");
    append(&b, (uint8_t[1]){(uint8_t)columns}, 1);
    append_columns(&b, columns);
    answer(p, stream, CQL_OP_RESULT, b.data, b.size_bytes);
    buffer_release(&b);
}

static bool take_frame(struct fake *f, struct peer *p, const uint8_t *frame, size_t size_bytes) {
    int16_t stream = (int16_t)cql_load_16(frame + 2);
    switch (frame[4]) {
    case CQL_OP_OPTIONS: ANSWER(p, stream, CQL_OP_SUPPORTED, "\0\1\0\x11" "PROTOCOL_VERSIONS\0\2\0\4" "4/v4\0\4" "5/v5"); break;
    case CQL_OP_STARTUP:
        ANSWER(p, stream, CQL_OP_READY, "");
        p->segments = true;
        break;
    case CQL_OP_REGISTER: ANSWER(p, stream, CQL_OP_READY, ""); break;
    case CQL_OP_QUERY: take_query(p, stream, (const char *)frame + 9, size_bytes - 9); break;
    case CQL_OP_PREPARE: take_prepare(f, p, stream); break;
    case CQL_OP_EXECUTE: return take_execute(f, p, stream, frame + 9, size_bytes - 9);
    default: return false;
    }
    return true;
}

// Segments to frames; the client's sums are looked at.
static void open_segments(struct fake *f, struct peer *p) {
    size_t at = 0;
    while (p->wire_bytes - at >= 10) {
        const uint8_t *s = p->wire + at;
        uint32_t header = (uint32_t)(s[0] | s[1] << 8 | s[2] << 16), payload = header & 0x1FFFF, sum = (uint32_t)(s[3] | s[4] << 8 | s[5] << 16), body_sum;
        if (p->wire_bytes - at < payload + 10) break;
        memcpy(&body_sum, s + 6 + payload, 4);
        atomic_fetch_add(&f->bad_sums, sum != cql_crc24(header, 3) || body_sum != cql_crc32_of(&crc, s + 6, payload));
        memcpy(p->frames + p->frame_bytes, s + 6, payload);
        p->frame_bytes += payload;
        at += payload + 10;
    }
    memmove(p->wire, p->wire + at, p->wire_bytes - at);
    p->wire_bytes -= at;
}

static bool take_bytes(struct fake *f, struct peer *p) {
    ssize_t got = recv(p->fd, p->wire + p->wire_bytes, sizeof p->wire / 2 - p->wire_bytes, 0);
    if (got <= 0) return false;
    p->wire_bytes += (size_t)got;
    if (p->segments) {
        open_segments(f, p);
    } else {
        memcpy(p->frames + p->frame_bytes, p->wire, p->wire_bytes);
        p->frame_bytes += p->wire_bytes;
        p->wire_bytes = 0;
    }
    size_t at = 0;
    while (p->frame_bytes - at >= 9 && p->frame_bytes - at - 9 >= cql_load_32(p->frames + at + 5)) {
        size_t size = 9 + (size_t)cql_load_32(p->frames + at + 5);
        if (!take_frame(f, p, p->frames + at, size)) return false;
        at += size;
    }
    memmove(p->frames, p->frames + at, p->frame_bytes - at);
    p->frame_bytes -= at;
    return true;
}

static void *serve(void *context) {
    struct fake *f = context;
    struct peer *peers[PEERS] = {0};
    while (!atomic_load(&f->ending)) {
        struct pollfd polls[PEERS + 1] = {{.fd = f->listener, .events = POLLIN}};
        for (int i = 0; i < PEERS; i++) polls[i + 1] = (struct pollfd){.fd = peers[i] ? peers[i]->fd : -1, .events = POLLIN};
        (void)poll(polls, PEERS + 1, 20);
        for (int i = 0; i < PEERS; i++) {
            if (!peers[i] || !polls[i + 1].revents || take_bytes(f, peers[i])) continue;
            close(peers[i]->fd);
            free(peers[i]);
            peers[i] = NULL;
        }
        for (int i = 0; i < PEERS && polls[0].revents; i++) {
            if (peers[i]) continue;
            peers[i] = calloc(1, sizeof *peers[i]);
            peers[i]->fd = accept(f->listener, NULL, NULL);
            break;
        }
    }
    for (int i = 0; i < PEERS; i++) {
        if (peers[i]) close(peers[i]->fd);
        free(peers[i]);
    }
    return NULL;
}

static int open_descriptors(void) {
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (folder && readdir(folder)) count++;
    if (folder) closedir(folder);
    return count;
}

struct fixture {
    struct fake fake;
    struct cql_session *session;
    const struct cql_prepared *prepared;
    int descriptors;
};

static void begin(struct fixture *x, int64_t attempt_us) {
    static const char *const point[] = {"127.0.0.1"};
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct fake *f = &x->fake;
    struct error e;
    x->descriptors = open_descriptors();
    atomic_store(&f->columns, 1);
    f->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(f->listener >= 0 && !bind(f->listener, (struct sockaddr *)&address, size) && !listen(f->listener, 8));
    assert_int_equal(getsockname(f->listener, (struct sockaddr *)&address, &size), 0);
    f->port = ntohs(address.sin_port);
    assert_int_equal(pthread_create(&f->thread, NULL, serve, f), 0);
    struct cql_config config = {.contact_points = point, .contact_point_count = 1, .port = f->port, .memory = &memory, .request_timeout_us = attempt_us * 6,
                                .attempt_timeout_us = attempt_us, .reconnect_min_us = 1000, .reconnect_max_us = 20000, .compression = CQL_COMPRESSION_NONE};
    if (cql_session_open(&config, &x->session, &e) != STATUS_OK) fail_msg("open: %s", e.message);
    if (cql_prepare(x->session, "SELECT * FROM k.t WHERE id = ?", &x->prepared, &e) != STATUS_OK) fail_msg("prepare: %s", e.message);
}

static void end(struct fixture *x) {
    cql_session_close(x->session);
    atomic_store(&x->fake.ending, true);
    pthread_join(x->fake.thread, NULL);
    close(x->fake.listener);
    assert_int_equal(x->fake.bad_sums, 0);
    assert_int_equal(memory_used(&memory), 0);
    assert_int_equal(memory_used(&server_memory), 0);
    assert_int_equal(open_descriptors(), x->descriptors);
}

static struct cql_request *request(struct fixture *x) {
    struct cql_request *r = cql_request_begin(x->session, x->prepared);
    assert_non_null(r);
    cql_bind_int64(r, 7);
    r->idempotent = true;
    return r;
}

// One execution with all its pages: its last row's columns.
static uint32_t read_all(struct fixture *x, uint32_t *rows) {
    struct cql_cursor *c;
    struct error e;
    bool found = true;
    uint32_t columns = 0;
    *rows = 0;
    if (cql_cursor_open(x->session, request(x), &c, &e) != STATUS_OK) fail_msg("%s", e.message);
    while (found) {
        if (cql_cursor_next(c, &found, &e) != STATUS_OK) fail_msg("%s", e.message);
        if (!found) break;
        int64_t id;
        columns = c->column_count;
        assert_true(cql_read_int64(c->values[0], &id) && id == 7);
        assert_string_equal(c->columns[0].name, "id");
        if (columns == 2) assert_true(!strcmp(c->columns[1].name, "v") && c->values[1].size_bytes == 3 && !memcmp(c->values[1].bytes, "abc", 3));
        ++*rows;
    }
    cql_cursor_close(c);
    return columns;
}

// ---- columns that change ----

static void test_columns_change(void **state) {
    struct fixture x = {0};
    struct cql_server server;
    uint32_t rows;
    (void)state;
    begin(&x, 2000000);
    cql_session_server(x.session, &server);
    assert_int_equal(server.protocol, 5);
    assert_int_equal(x.prepared->column_count, 1);
    assert_int_equal(read_all(&x, &rows), 1);
    assert_int_equal(x.fake.skipped, 1);  // what is known is not sent again
    atomic_store(&x.fake.columns, 2);
    assert_int_equal(read_all(&x, &rows), 2);
    assert_int_equal(x.fake.skipped, 1);
    assert_int_equal(read_all(&x, &rows), 2);
    assert_int_equal(x.fake.skipped, 2);  // the new ones are known from then on
    atomic_store(&x.fake.columns, 1);
    assert_int_equal(read_all(&x, &rows), 1);
    assert_int_equal(read_all(&x, &rows), 1);
    assert_int_equal(x.fake.skipped, 3);
    assert_int_equal(x.prepared->column_count, 1);  // what was shown stays as it was
    end(&x);
}

static void test_columns_change_between_pages(void **state) {
    struct fixture x = {0};
    uint32_t rows;
    (void)state;
    begin(&x, 2000000);
    atomic_store(&x.fake.pages, 3);
    assert_int_equal(read_all(&x, &rows), 2);
    assert_int_equal(rows, 3);
    end(&x);
}

static void test_columns_change_while_forgotten(void **state) {
    struct fixture x = {0};
    uint32_t rows;
    (void)state;
    begin(&x, 2000000);
    atomic_store(&x.fake.columns, 2);
    atomic_store(&x.fake.forgets, 1);
    assert_int_equal(read_all(&x, &rows), 2);
    assert_int_equal(x.fake.prepares, 2);
    assert_int_equal(x.fake.skipped, 1);  // the PREPARE said what they are
    end(&x);
}

static void *read_often(void *context) {
    uint32_t rows;
    for (int i = 0; i < 200; i++) (void)read_all(context, &rows);
    return NULL;
}

static void test_columns_change_under_threads(void **state) {
    struct fixture x = {0};
    pthread_t threads[3];
    (void)state;
    begin(&x, 5000000);
    for (int i = 0; i < 3; i++) assert_int_equal(pthread_create(&threads[i], NULL, read_often, &x), 0);
    for (int i = 0; i < 100; i++) {
        atomic_store(&x.fake.columns, 1 + i % 2);
        usleep(1000);
    }
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
    assert_true(x.fake.executes == 600 && x.fake.skipped > 50);
    end(&x);
}

// Rows without metadata that do not fit what is known: an error, not a read of something else.
static void test_columns_that_lie(void **state) {
    struct fixture x = {0};
    struct cql_cursor *c;
    struct error e;
    (void)state;
    begin(&x, 2000000);
    atomic_store(&x.fake.lie, 2);
    assert_int_equal(cql_cursor_open(x.session, request(&x), &c, &e), STATUS_UNREACHABLE);
    assert_non_null(strstr(e.message, "malformed reply"));
    end(&x);
}

// ---- a server that means ill ----

static void test_misdeeds(void **state) {
    (void)state;
    for (int misdeed = GOOD + 1; misdeed < MISDEEDS; misdeed++) {
        struct fixture x = {0};
        struct cql_counters counters;
        struct error e = {0};
        begin(&x, 1000000);
        atomic_store(&x.fake.misdeed, misdeed);
        int64_t begin_us = clock_monotonic_us();
        struct cql_request *r = request(&x);
        r->idempotent = misdeed % 2;
        enum status status = cql_execute(x.session, r, &e);
        // Sent again by itself where that is safe; a result that says nothing is judged at once.
        bool answered = misdeed == TWICE, judged = misdeed == UNKNOWN_KIND;
        if (status != (answered || (misdeed % 2 && !judged) ? STATUS_OK : STATUS_UNREACHABLE)) fail_msg("misdeed %d: %s: %s", misdeed, status_name(status), e.message);
        if (status != STATUS_OK) assert_string_equal(e.condition, judged ? "LEAT_CASSANDRA_UNREACHABLE" : "LEAT_CASSANDRA_UNCERTAIN");
        for (int i = 0; i < 100 && answered; i++) {  // until the answer too many is seen
            cql_pump(x.session, 10000);
            cql_session_counters(x.session, &counters);
            answered = !counters.connections_lost;
        }
        assert_int_equal(cql_execute(x.session, request(&x), &e), STATUS_OK);  // it goes on, on another connection
        assert_true(clock_monotonic_us() - begin_us < 20000000);
        cql_session_counters(x.session, &counters);
        if (counters.connections_lost != 1) fail_msg("misdeed %d: %d connections were lost", misdeed, (int)counters.connections_lost);
        end(&x);
    }
}

// A server that talks without end does not keep anybody from giving up in time.
static void test_events_without_end(void **state) {
    struct fixture x = {0};
    (void)state;
    begin(&x, 500000);
    atomic_store(&x.fake.floods, true);
    int64_t begin_us = clock_monotonic_us();
    struct error e = {0};
    struct cql_request *r = request(&x);
    r->idempotent = false;
    assert_int_equal(cql_execute(x.session, r, &e), STATUS_UNREACHABLE);
    assert_string_equal(e.condition, "LEAT_CASSANDRA_UNCERTAIN");
    assert_true(clock_monotonic_us() - begin_us < 10000000);
    atomic_store(&x.fake.floods, false);
    end(&x);
}

// Segments may be empty.
static void test_empty_segments(void **state) {
    struct fixture x = {0};
    uint32_t rows;
    (void)state;
    begin(&x, 2000000);
    atomic_store(&x.fake.empty_segments, 3000);
    assert_int_equal(read_all(&x, &rows), 1);
    end(&x);
}

static int setup(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    memory_init(&server_memory, "server", NULL, 0);
    cql_crc32_init(&crc);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_change), cmocka_unit_test(test_columns_change_between_pages), cmocka_unit_test(test_columns_change_while_forgotten),
        cmocka_unit_test(test_columns_change_under_threads), cmocka_unit_test(test_columns_that_lie), cmocka_unit_test(test_misdeeds),
        cmocka_unit_test(test_events_without_end), cmocka_unit_test(test_empty_segments),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
