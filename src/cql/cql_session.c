// SPDX-License-Identifier: Apache-2.0
// cql_session.c: opening and closing; contact points; counters; names of consistency levels.
#include "base/clock.h"
#include "cql/cql_internal.h"
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

enum { RESOLVE_AGAIN_US = 5000000, IN_FLIGHT_MAX = 16384 };

static const char *const consistency_names[] = {"ANY", "ONE", "TWO", "THREE", "QUORUM", "ALL", "LOCAL_QUORUM", "EACH_QUORUM", "SERIAL", "LOCAL_SERIAL", "LOCAL_ONE"};
enum { CONSISTENCY_COUNT = sizeof consistency_names / sizeof *consistency_names };

bool cql_consistency_parse(const char *name, enum cql_consistency *out) {
    for (int i = 0; i < CONSISTENCY_COUNT; i++) {
        if (strcasecmp(name, consistency_names[i])) continue;
        *out = (enum cql_consistency)i;
        return true;
    }
    return false;
}

const char *cql_consistency_name(enum cql_consistency consistency) {
    return (unsigned)consistency < CONSISTENCY_COUNT ? consistency_names[consistency] : "the session's";
}

// ---- configuration ----

static enum status keep(struct cql_session *s, const char **text, struct error *e) {
    if (!*text) return STATUS_OK;
    *text = arena_strdup(&s->arena, *text);
    return *text ? STATUS_OK : error_no_memory(e);
}

static void fill_in(struct cql_config *c) {
    if (!c->port) c->port = 9042;
    if (!c->consistency) c->consistency = CQL_LOCAL_QUORUM;
    if (!c->serial_consistency) c->serial_consistency = CQL_LOCAL_SERIAL;
    if (!c->protocol_max || c->protocol_max > 5) c->protocol_max = 5;
    if (c->protocol_max < 4) c->protocol_max = 4;
    if (!c->connections_per_host) c->connections_per_host = 1;
    if (!c->in_flight_limit) c->in_flight_limit = 128;
    if (c->in_flight_limit > IN_FLIGHT_MAX) c->in_flight_limit = IN_FLIGHT_MAX;
    if (!c->page_rows) c->page_rows = 5000;
    if (!c->retry_limit) c->retry_limit = 10;
    if (!c->connect_timeout_us) c->connect_timeout_us = 5 * US_PER_S;
    if (!c->attempt_timeout_us) c->attempt_timeout_us = 6 * US_PER_S;
    if (!c->request_timeout_us) c->request_timeout_us = 20 * US_PER_S;
    if (!c->reconnect_min_us) c->reconnect_min_us = 50000;
    if (!c->reconnect_max_us) c->reconnect_max_us = 5 * US_PER_S;
    if (!c->schema_agreement_us) c->schema_agreement_us = 10 * US_PER_S;
    if (!c->response_bytes_max) c->response_bytes_max = UINT64_C(256) << 20;
    if (c->response_bytes_max > INT32_MAX) c->response_bytes_max = INT32_MAX;
    if (!c->request_bytes_max) c->request_bytes_max = (UINT64_C(16) << 20) - 1024;
}

static enum status copy_config(struct cql_session *s, struct error *e) {
    struct cql_config *c = &s->config;
    if (!c->contact_point_count) return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "no contact point of Cassandra is named");
    const char **points = arena_alloc_array(&s->arena, c->contact_point_count, sizeof *points);
    if (!points) return error_no_memory(e);
    for (uint32_t i = 0; i < c->contact_point_count; i++) {
        points[i] = c->contact_points[i];
        TRY(keep(s, &points[i], e));
    }
    c->contact_points = points;
    TRY(keep(s, &c->user, e));
    TRY(keep(s, &c->password, e));
    TRY(keep(s, &c->tls.ca_file, e));
    TRY(keep(s, &c->tls.certificate_file, e));
    TRY(keep(s, &c->tls.key_file, e));
    TRY(keep(s, &c->tls.key_password, e));
    TRY(keep(s, &c->local_datacenter, e));
    fill_in(c);
    return STATUS_OK;
}

// ---- contact points ----

// "host", "host:port", "[v6]:port", "v6" → host and port.
static enum status split_point(const struct cql_session *s, const char *point, char host[256], char port[8], struct error *e) {
    const char *colon = strrchr(point, ':'), *end = point + strlen(point);
    const char *begin = point, *number = NULL;
    if (*point == '[') {
        const char *close = strchr(point, ']');
        if (!close || (close[1] && close[1] != ':')) return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "`%.200s` is no contact point: the `]` is missing or not at the end", point);
        begin = point + 1;
        end = close;
        if (close[1]) number = close + 2;
    } else if (colon && strchr(point, ':') == colon) {
        end = colon;
        number = colon + 1;
    }
    if (end == begin || end - begin > 255) return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "`%.200s` is no contact point: host or host:port", point);
    memcpy(host, begin, (size_t)(end - begin));
    host[end - begin] = 0;
    unsigned long value = s->config.port;
    if (number) {
        char *rest;
        value = strtoul(number, &rest, 10);
        if (!*number || *rest || value == 0 || value > UINT16_MAX || *number == '-' || *number == '+') {
            return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "`%.200s` is no contact point: the port is not a number from 1 to 65,535", point);
        }
    }
    snprintf(port, 8, "%lu", value);
    return STATUS_OK;
}

enum status contacts_resolve(struct cql_session *s, struct error *e) {
    enum status status = STATUS_OK;
    uint32_t found = 0;
    for (uint32_t i = 0; i < s->config.contact_point_count; i++) {
        char host[256], port[8];
        struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list = NULL;
        TRY(split_point(s, s->config.contact_points[i], host, port, e));
        session_unlock(s);
        int failure = getaddrinfo(host, port, &hints, &list);
        session_lock(s);
        if (failure) status = error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "`%s`: %s", host, gai_strerror(failure));
        for (const struct addrinfo *a = list; a; a = a->ai_next) {
            struct sockaddr_storage address = {0};
            if ((a->ai_family != AF_INET && a->ai_family != AF_INET6) || a->ai_addrlen > sizeof address) continue;
            memcpy(&address, a->ai_addr, a->ai_addrlen);
            struct host *h = host_add(s, &address, a->ai_addrlen, host);
            if (!h) continue;
            h->contact = true;
            if (!s->ring_known) h->spoken_to = true;
            found++;
        }
        if (list) freeaddrinfo(list);
    }
    return found ? STATUS_OK : status != STATUS_OK ? status : error_no_memory(e);
}

void contacts_resolve_again(struct cql_session *s, int64_t now_us) {
    struct error e;
    if (s->ready_count || !s->ring_known || session_stopped(s)) {
        s->next_resolve_us = now_us + RESOLVE_AGAIN_US;
        return;
    }
    if (now_us < s->next_resolve_us) return;
    s->next_resolve_us = now_us + RESOLVE_AGAIN_US;
    if (contacts_resolve(s, &e) != STATUS_OK && s->hosts) s->hosts->last_error = e;
}

// ---- open and close ----

static enum status begin(struct cql_session *s, struct error *e) {
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->moved, &attributes);
    pthread_condattr_destroy(&attributes);
    arena_init(&s->arena, s->memory);
    s->wake.fd = -1;
    s->queue_end = &s->queue;
    s->finished_end = &s->finished;
    cql_crc32_init(&s->crc);
    uint64_t seed;
    random_system(&seed, sizeof seed);
    random_seed(&s->random, seed);
    TRY(copy_config(s, e));
    s->version = s->config.protocol_max;
    TRY(notify_init(&s->wake, e));
    return s->config.tls.enabled ? tls_context_new(&s->config.tls, s->memory, &s->tls, e) : STATUS_OK;
}

// All contact points have been tried, and each refused for a reason that only a person can mend.
static bool hopeless(const struct cql_session *s) {
    if (s->fatal.status == STATUS_OK) return false;
    for (const struct host *h = s->hosts; h; h = h->next) {
        if (h->spoken_to && h->last_error.status != STATUS_INVALID_ARGUMENT) return false;
    }
    return true;
}

// Every contact point was tried once and none can be reached: no reason to wait for the time limit.
static bool all_failed(const struct cql_session *s) {
    for (const struct host *h = s->hosts; h; h = h->next) {
        if (h->spoken_to && (!h->failures || h->connections)) return false;
    }
    return true;
}

static enum status reach(struct cql_session *s, struct error *e) {
    int64_t deadline_us = clock_monotonic_us() + s->config.request_timeout_us;
    while (!s->ring_known) {
        bool failed = !s->ready_count && all_failed(s);
        if (hopeless(s) || session_stopped(s) || failed || clock_monotonic_us() >= deadline_us) {
            error_unreachable(s, e);
            if (s->ready_count && !session_stopped(s) && s->fatal.status == STATUS_OK && s->control) *e = s->control->host->last_error;
            if (e->status == STATUS_OK) error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_TIMEOUT", "%s does not tell its ring", s->hosts->text);
            return e->status;
        }
        session_wait(s, deadline_us);
    }
    return STATUS_OK;
}

enum status cql_session_open(const struct cql_config *config, struct cql_session **out, struct error *e) {
    struct error own;
    if (!e) e = &own;
    *out = NULL;
    struct cql_session *s = memory_alloc_zeroed(config->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->config = *config;
    s->memory = config->memory;
    s->log = config->log;
    enum status status = begin(s, e);
    if (status == STATUS_OK) {
        session_lock(s);
        status = contacts_resolve(s, e);
        if (status == STATUS_OK) status = reach(s, e);
        session_unlock(s);
    }
    if (status != STATUS_OK) {
        cql_session_close(s);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

static void end_connections(struct cql_session *s) {
    struct error e;
    error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "the session was closed");
    for (struct host *h = s->hosts; h; h = h->next) {
        for (struct connection *c = h->connections; c; c = c->next) connection_break(c, &e);
    }
}

void cql_session_close(struct cql_session *s) {
    if (!s) return;
    session_lock(s);
    s->closing = true;
    end_connections(s);
    session_wait(s, 0);  // takes them apart: what was under way fails
    while (s->unfinished) session_wait(s, 0);
    session_unlock(s);
    ring_release(s);
    while (s->pool) {
        struct call *c = s->pool;
        s->pool = c->next;
        call_free(s, c);
    }
    while (s->prepared) {
        struct prepared *p = s->prepared;
        s->prepared = p->next;
        prepared_free(s, p);
    }
    if (s->polls) memory_free(s->memory, s->polls, s->poll_capacity * sizeof *s->polls);
    if (s->polled) memory_free(s->memory, s->polled, s->poll_capacity * sizeof *s->polled);
    if (s->last_warning) memory_free(s->memory, s->last_warning, strlen(s->last_warning) + 1);
    tls_context_free(s->tls);
    if (s->wake.fd >= 0) notify_release(&s->wake);
    pthread_cond_destroy(&s->moved);
    pthread_mutex_destroy(&s->lock);
    arena_release(&s->arena);
    memory_free(s->memory, s, sizeof *s);
}

void cql_session_server(struct cql_session *s, struct cql_server *out) {
    session_lock(s);
    *out = (struct cql_server){.protocol = s->version, .tls = s->tls != NULL};
    memcpy(out->release, s->release, sizeof out->release);
    memcpy(out->cluster, s->cluster, sizeof out->cluster);
    snprintf(out->datacenter, sizeof out->datacenter, "%s", s->local_datacenter ? s->local_datacenter : "");
    for (const struct host *h = s->hosts; h; h = h->next) {
        out->host_count += h->in_ring;
        out->host_up_count += h->ready_count > 0;
        for (const struct connection *c = h->connections; c; c = c->next) out->compressed |= c->state == CONNECTION_READY && c->lz4;
    }
    session_unlock(s);
}

void cql_session_counters(struct cql_session *s, struct cql_counters *out) {
    session_lock(s);
    *out = s->counters;
    session_unlock(s);
}
