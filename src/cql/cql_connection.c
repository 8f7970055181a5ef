// SPDX-License-Identifier: Apache-2.0
// cql_connection.c: one socket: connecting, TLS, the protocol's handshake, reading and writing. Never waits.
//
//     CONNECTING ─► (TLS) ─► OPTIONS ─► STARTUP ─► (LOGIN) ─► READY
//
// A server that does not know v5 makes the session go to v4, and this connection is made again at once. Whatever goes wrong marks the connection
// broken with a reason; cql_drive.c takes it apart.
#include "base/clock.h"
#include "cql/cql_internal.h"
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

// STEP_READ_BYTES: after so much, one connection lets the others, and the time limits, have their turn: a server may send without end.
enum { READ_BYTES = 64 * 1024, TLS_READ_BYTES = 16 * 1024, STEP_READ_BYTES = 8 << 20, BACKLOG_BYTES_MAX = 4 << 20, KEEP_BYTES = 1 << 20 };

void connection_break(struct connection *c, const struct error *reason) {
    if (c->broken) return;
    c->broken = true;
    c->reason = *reason;
    if (c->reason.status == STATUS_OK) c->reason.status = STATUS_UNREACHABLE;
    session_wake(c->session);
}

static void break_with(struct connection *c, const char *what, int errno_value) {
    struct error e;
    if (errno_value) error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "%s: %s", what, strerror(errno_value));
    else error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "%s", what);
    connection_break(c, &e);
}

// For a reason that only a person can mend.
static void break_for_good(struct connection *c, const struct error *reason) {
    c->session->fatal = *reason;
    connection_break(c, reason);
}

static void tls_failed(struct connection *c, const struct error *reason) {
    struct error e = *reason;
    if (e.status == STATUS_INVALID_ARGUMENT) {
        error_set(&e, reason->status, reason->condition, "%s: %.900s", c->host->text, reason->message);
        error_set_hint(&e, "%s", reason->hint);
        break_for_good(c, &e);
    } else {
        connection_break(c, &e);
    }
}

static enum status alloc_streams(struct connection *c) {
    uint32_t count = c->session->config.in_flight_limit;
    c->streams = memory_alloc_zeroed(c->session->memory, count * sizeof *c->streams);
    c->free_streams = memory_alloc(c->session->memory, count * sizeof *c->free_streams);
    if (!c->streams || !c->free_streams) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) c->free_streams[i] = (uint16_t)(count - 1 - i);
    c->free_count = count;
    return STATUS_OK;
}

static int open_socket(const struct host *h, struct error *e) {
    int on = 1, idle_s = 30;
    int fd = socket(h->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "cannot open a socket: %s", strerror(errno));
        return -1;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof idle_s);
    if (connect(fd, (const struct sockaddr *)&h->address, h->address_bytes) && errno != EINPROGRESS) {
        error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "cannot connect: %s", strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

struct connection *connection_new(struct cql_session *s, struct host *h) {
    struct connection *c = memory_alloc_zeroed(s->memory, sizeof *c);
    if (!c) {
        (void)error_no_memory(&h->last_error);
        return NULL;
    }
    c->session = s;
    c->host = h;
    c->version = s->version;
    c->fd = -1;
    cql_receiver_init(&c->receiver, &s->crc, s->memory, s->config.response_bytes_max);
    buffer_init(&c->frames, s->memory);
    buffer_init(&c->wire, s->memory);
    c->began_us = c->last_received_us = clock_monotonic_us();
    c->connect_deadline_us = c->began_us + s->config.connect_timeout_us;
    if (alloc_streams(c) != STATUS_OK) (void)error_no_memory(&h->last_error);
    else if (!s->tls || (c->tls = tls_stream_new(s->tls, h->name, &h->address, &h->last_error))) c->fd = open_socket(h, &h->last_error);
    if (c->fd < 0) {
        connection_free(c);
        return NULL;
    }
    return c;
}

void connection_free(struct connection *c) {
    struct memory *memory = c->session->memory;
    uint32_t count = c->session->config.in_flight_limit;
    if (c->fd >= 0) close(c->fd);
    tls_stream_free(c->tls);
    cql_receiver_release(&c->receiver);
    buffer_release(&c->frames);
    buffer_release(&c->wire);
    if (c->streams) memory_free(memory, c->streams, count * sizeof *c->streams);
    if (c->free_streams) memory_free(memory, c->free_streams, count * sizeof *c->free_streams);
    memory_free(memory, c, sizeof *c);
}

bool connection_has_room(const struct connection *c) {
    return c->state == CONNECTION_READY && !c->broken && !c->congested && c->free_count &&
           c->frames.size_bytes + c->wire.size_bytes - c->wire_begin < BACKLOG_BYTES_MAX;
}

bool connection_wants_write(const struct connection *c) {
    return c->state == CONNECTION_CONNECTING || c->wire.size_bytes > c->wire_begin || (c->frames.size_bytes && c->state > CONNECTION_TLS);
}

// ---- writing ----

static void write_wire(struct connection *c) {
    while (c->wire_begin < c->wire.size_bytes) {
        ssize_t wrote = send(c->fd, c->wire.data + c->wire_begin, c->wire.size_bytes - c->wire_begin, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote < 0 && errno == EINTR) continue;
        if (wrote < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
        if (wrote < 0) {
            break_with(c, "the connection was lost", errno);
            return;
        }
        c->session->counters.writes++;
        c->session->counters.bytes_sent += (uint64_t)wrote;
        c->wire_begin += (size_t)wrote;
    }
    c->wire_begin = 0;
    if (c->wire.capacity_bytes > KEEP_BYTES) buffer_release(&c->wire);
    buffer_clear(&c->wire);
}

static enum status seal(struct connection *c, struct error *e) {
    if (!c->tls) return cql_seal(&c->session->crc, c->receiver.framing, c->frames.data, c->frames.size_bytes, &c->wire, e);
    struct buffer plain;
    buffer_init(&plain, c->session->memory);
    enum status status = cql_seal(&c->session->crc, c->receiver.framing, c->frames.data, c->frames.size_bytes, &plain, e);
    if (status == STATUS_OK) status = tls_encrypt(c->tls, plain.data, plain.size_bytes, &c->wire, e);
    buffer_release(&plain);
    return status;
}

void connection_flush(struct connection *c) {
    struct error e = {0};
    if (c->broken || c->state <= CONNECTION_TLS) return;
    if (c->frames.size_bytes) {
        c->sealed_count = c->encoded_count;
        if (seal(c, &e) != STATUS_OK) {
            connection_break(c, &e);
            return;
        }
        if (c->frames.capacity_bytes > KEEP_BYTES) buffer_release(&c->frames);
        buffer_clear(&c->frames);
    }
    write_wire(c);
}

enum status connection_send(struct connection *c, struct call *call) {
    call->stream = c->free_streams[c->free_count - 1];
    TRY(call_encode(call, c, &c->frames));
    c->free_count--;
    c->in_flight++;
    c->streams[call->stream] = call;
    call->connection = c;
    call->host = c->host;
    call->place = CALL_IN_STREAM;
    call->sequence = ++c->encoded_count;
    if (!c->free_count) c->congested = true;
    return STATUS_OK;
}

// ---- the handshake ----

static void begin_protocol(struct connection *c) {
    c->state = CONNECTION_OPTIONS;
    if (cql_encode_options(&c->frames, c->version, 0) != STATUS_OK) break_with(c, "out of memory", 0);
    connection_flush(c);
}

static void tls_step(struct connection *c) {
    struct error e = {0};
    bool done;
    if (tls_handshake(c->tls, &c->wire, &done, &e) != STATUS_OK) tls_failed(c, &e);
    // The last of the handshake goes with the first message: a server that refuses the client after the one would answer the other by a reset, and
    // the reason could be lost. An alert of ours, too, is sent.
    if (done && !c->broken) begin_protocol(c);
    else write_wire(c);
}

void connection_writable(struct connection *c) {
    if (c->state == CONNECTION_CONNECTING) {
        int reason = 0;
        socklen_t size_bytes = sizeof reason;
        if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &reason, &size_bytes)) reason = errno;
        if (reason) {
            break_with(c, "cannot connect", reason);
        } else if (c->tls) {
            c->state = CONNECTION_TLS;
            tls_step(c);
        } else {
            begin_protocol(c);
        }
    } else if (c->state == CONNECTION_TLS) {
        write_wire(c);
    } else {
        connection_flush(c);
    }
}

static void go_to_v4(struct connection *c) {
    c->session->version = 4;
    c->host->next_attempt_us = 0;
    break_with(c, "the server does not know protocol v5", 0);
}

static void refused(struct connection *c, const struct cql_failure *f) {
    struct error e;
    bool login = f->code == CQL_ERROR_BAD_CREDENTIALS;
    static const char starting[] = "Unable to perform authentication";  // its login tables are not reachable now
    bool passing = f->message.size_bytes >= sizeof starting - 1 && !memcmp(f->message.bytes, starting, sizeof starting - 1);
    if (f->code == CQL_ERROR_PROTOCOL && c->version > 4) {
        go_to_v4(c);
        return;
    }
    error_set(&e, login && !passing ? STATUS_INVALID_ARGUMENT : STATUS_UNREACHABLE, login ? "LEAT_CASSANDRA_AUTHENTICATION" : "LEAT_CASSANDRA_UNREACHABLE",
              "%s: the server refuses the connection: %.*s (0x%04X)", c->host->text, (int)(f->message.size_bytes > 400 ? 400 : f->message.size_bytes),
              f->message.bytes, (unsigned)f->code);
    if (e.status == STATUS_INVALID_ARGUMENT) break_for_good(c, &e);
    else connection_break(c, &e);
}

static void log_in(struct connection *c) {
    const struct cql_config *config = &c->session->config;
    struct error e;
    if (!config->user) {
        error_set(&e, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_AUTHENTICATION", "%s: the server asks for a user and password, and none is set", c->host->text);
        break_for_good(c, &e);
        return;
    }
    c->state = CONNECTION_LOGIN;
    if (cql_encode_login(&c->frames, c->version, 0, config->user, config->password ? config->password : "") != STATUS_OK) break_with(c, "out of memory", 0);
    connection_flush(c);
}

static void ready(struct connection *c) {
    struct cql_session *s = c->session;
    c->state = CONNECTION_READY;
    c->host->ready_count++;
    s->ready_count++;
    s->counters.connects++;
    s->fatal.status = STATUS_OK;
    c->host->failures = 0;
    c->host->last_error.status = STATUS_OK;
    if (s->log && !c->host->was_up && s->ring_known) log_write(s->log, LOG_INFO, "cassandra: %s is reached", c->host->text);
    c->host->was_up = true;
    if (!s->control) {
        s->control = c;
        s->refreshing = false;
        s->refresh_due_us = 1;
    }
}

static void take_supported(struct connection *c, struct cql_reader *r, struct error *e) {
    struct cql_supported supported;
    if (cql_decode_supported(r, &supported, e) != STATUS_OK) {
        connection_break(c, e);
        return;
    }
    if (c->version > 4 && !supported.v5) {
        go_to_v4(c);
        return;
    }
    if (!supported.v4 && c->version <= 4) {
        break_with(c, "the server knows neither protocol v5 nor v4", 0);
        return;
    }
    c->lz4 = supported.lz4 && c->session->config.compression == CQL_COMPRESSION_LZ4;
    c->state = CONNECTION_STARTUP;
    if (cql_encode_startup(&c->frames, c->version, 0, c->lz4) != STATUS_OK) break_with(c, "out of memory", 0);
    connection_flush(c);
    if (c->version <= 4 && c->lz4) c->receiver.framing = CQL_FRAMING_BARE_LZ4;  // in v4 the answer to STARTUP may be compressed already
}

static void handshake_frame(struct connection *c, const struct cql_frame *f) {
    struct cql_reader r = cql_reader_of(f->body, f->size_bytes);
    struct cql_failure failure;
    struct cql_text warning;
    struct error e = {0};
    enum status status = cql_decode_prelude(&r, f->flags, &warning, &e);
    if (status == STATUS_OK && f->opcode == CQL_OP_ERROR) status = cql_decode_error(&r, &failure, &e);
    if (status != STATUS_OK) connection_break(c, &e);
    else if (f->opcode == CQL_OP_ERROR) refused(c, &failure);
    else if (f->version != (c->version | CQL_RESPONSE_BIT)) break_with(c, "malformed reply: another protocol version than that of the request", 0);
    else if (f->stream != 0) break_with(c, "malformed reply: an answer to nothing", 0);
    else if (c->state == CONNECTION_OPTIONS && f->opcode == CQL_OP_SUPPORTED) take_supported(c, &r, &e);
    else if (c->state == CONNECTION_STARTUP && (f->opcode == CQL_OP_READY || f->opcode == CQL_OP_AUTHENTICATE)) {
        if (c->version >= 5) c->receiver.framing = c->lz4 ? CQL_FRAMING_SEGMENTS_LZ4 : CQL_FRAMING_SEGMENTS;
        if (f->opcode == CQL_OP_READY) ready(c);
        else log_in(c);
    } else if (c->state == CONNECTION_LOGIN && f->opcode == CQL_OP_AUTH_SUCCESS) {
        ready(c);
    } else if (c->state == CONNECTION_LOGIN && f->opcode == CQL_OP_AUTH_CHALLENGE) {
        error_set(&e, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_AUTHENTICATION", "%s: the server asks for more than a user and a password", c->host->text);
        break_for_good(c, &e);
    } else {
        break_with(c, "malformed reply: a message that was not asked for", 0);
    }
}

// ---- reading ----

static void take_frames(struct connection *c) {
    while (!c->broken) {
        struct cql_frame f;
        struct error e = {0};
        bool found;
        enum status status = cql_receiver_next(&c->receiver, &f, &found, &e);
        if (status == STATUS_OK && !found) return;
        if (status == STATUS_OK && c->state < CONNECTION_READY) handshake_frame(c, &f);
        else if (status == STATUS_OK) status = connection_take_frame(c, &f, &e);
        if (status != STATUS_OK) connection_break(c, &e);
    }
}

// Bytes from the socket; 0: none now, < 0: the connection is broken.
static ssize_t receive(struct connection *c, void *bytes, size_t size_bytes) {
    ssize_t got;
    do got = recv(c->fd, bytes, size_bytes, MSG_DONTWAIT);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
    if (got <= 0) {
        bool wordless = c->state == CONNECTION_OPTIONS && !c->tls;
        break_with(c, wordless ? "the server ended the connection without an answer; perhaps it wants TLS" : got ? "the connection was lost" : "the server closed the connection",
                   got ? errno : 0);
        return -1;
    }
    c->session->counters.reads++;
    c->session->counters.bytes_received += (uint64_t)got;
    c->last_received_us = clock_monotonic_us();
    return got;
}

static void take_plain(struct connection *c) {
    struct error e = {0};
    size_t got;
    bool closed;
    do {
        uint8_t *room = cql_receiver_room(&c->receiver, READ_BYTES);
        if (!room) {
            break_with(c, "out of memory", 0);
            return;
        }
        if (tls_decrypt(c->tls, room, READ_BYTES, &got, &closed, &c->wire, &e) != STATUS_OK) {
            tls_failed(c, &e);
            return;
        }
        cql_receiver_came(&c->receiver, got);
        take_frames(c);
        if (closed) break_with(c, "the server closed the connection", 0);
    } while (got == READ_BYTES && !c->broken);
    write_wire(c);
}

static void readable_tls(struct connection *c) {
    uint8_t bytes[TLS_READ_BYTES];
    struct error e = {0};
    size_t left = STEP_READ_BYTES;
    for (ssize_t got = sizeof bytes; got == (ssize_t)sizeof bytes && left && !c->broken; left -= sizeof bytes) {
        got = receive(c, bytes, sizeof bytes);
        if (got > 0 && tls_came(c->tls, bytes, (size_t)got, &e) != STATUS_OK) connection_break(c, &e);
        if (c->state == CONNECTION_TLS && !c->broken) tls_step(c);
        if (c->state > CONNECTION_TLS && !c->broken) take_plain(c);
    }
}

void connection_readable(struct connection *c) {
    if (c->broken || c->state == CONNECTION_CONNECTING) return;
    if (c->tls) {
        readable_tls(c);
        return;
    }
    ssize_t got = READ_BYTES;
    for (size_t left = STEP_READ_BYTES; got == READ_BYTES && left && !c->broken; left -= READ_BYTES) {
        uint8_t *room = cql_receiver_room(&c->receiver, READ_BYTES);
        if (!room) {
            break_with(c, "out of memory", 0);
            return;
        }
        got = receive(c, room, READ_BYTES);
        if (got <= 0) return;
        cql_receiver_came(&c->receiver, (size_t)got);
        take_frames(c);
    }
}
