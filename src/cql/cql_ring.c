// SPDX-License-Identifier: Apache-2.0
// cql_ring.c: which hosts there are, who keeps which partition, and where a call goes.
//
//     ring      tokens of all hosts, sorted; a partition belongs to the first token not below its own, then to the hosts that follow
//     replicas  per keyspace and ring position, computed when first asked for: SimpleStrategy takes the next distinct hosts, NetworkTopologyStrategy those of the
//               local datacenter, a rack twice only as often as there are more copies than racks; in the server's own order
//
// The ring is read when a connection becomes the control connection, and again when an event says that something changed.
#include "base/clock.h"
#include "cql/cql_internal.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

enum { REFRESH_DELAY_US = 200000, REFRESH_AGAIN_US = 1000000, RING_MAX = 1 << 20, HOSTS_MAX = 4096 };

static const char select_local[] = "SELECT data_center, rack, tokens, release_version, cluster_name FROM system.local WHERE key = 'local'";
static const char select_peers_v2[] = "SELECT peer, data_center, rack, tokens, native_address, native_port FROM system.peers_v2";
static const char select_peers[] = "SELECT peer, data_center, rack, tokens, rpc_address FROM system.peers";
static const char select_keyspaces[] = "SELECT keyspace_name, replication FROM system_schema.keyspaces";

// ---- hosts ----

static bool same_address(const struct sockaddr_storage *a, const struct sockaddr_storage *b) {
    if (a->ss_family != b->ss_family) return false;
    if (a->ss_family == AF_INET) {
        const struct sockaddr_in *x = (const struct sockaddr_in *)a, *y = (const struct sockaddr_in *)b;
        return x->sin_port == y->sin_port && x->sin_addr.s_addr == y->sin_addr.s_addr;
    }
    const struct sockaddr_in6 *x = (const struct sockaddr_in6 *)a, *y = (const struct sockaddr_in6 *)b;
    return x->sin6_port == y->sin6_port && !memcmp(&x->sin6_addr, &y->sin6_addr, 16);
}

struct host *host_find(struct cql_session *s, const struct sockaddr_storage *address) {
    struct host *h = s->hosts;
    while (h && !same_address(&h->address, address)) h = h->next;
    return h;
}

static char *copy_text(struct cql_session *s, const char *bytes, size_t size_bytes) {
    char *copy = memory_alloc(s->memory, size_bytes + 1);
    if (!copy) return NULL;
    if (size_bytes) memcpy(copy, bytes, size_bytes);
    copy[size_bytes] = 0;
    return copy;
}

static void replace_text(struct cql_session *s, char **at, const char *bytes, size_t size_bytes) {
    if (memchr(bytes, 0, size_bytes)) size_bytes = strlen(bytes);
    char *copy = copy_text(s, bytes, size_bytes);
    if (!copy) return;  // the old one stays
    if (*at) memory_free(s->memory, *at, strlen(*at) + 1);
    *at = copy;
}

static void name_host(struct host *h) {
    char ip[INET6_ADDRSTRLEN] = "?";
    if (h->address.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&h->address;
        inet_ntop(AF_INET, &a->sin_addr, ip, sizeof ip);
        snprintf(h->text, sizeof h->text, "%s:%u", ip, ntohs(a->sin_port));
    } else {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&h->address;
        inet_ntop(AF_INET6, &a->sin6_addr, ip, sizeof ip);
        snprintf(h->text, sizeof h->text, "[%s]:%u", ip, ntohs(a->sin6_port));
    }
}

struct host *host_add(struct cql_session *s, const struct sockaddr_storage *address, socklen_t address_bytes, const char *name) {
    struct host *h = host_find(s, address);
    if (h || s->host_count == HOSTS_MAX) return h;
    h = memory_alloc_zeroed(s->memory, sizeof *h);
    if (!h) return NULL;
    h->address = *address;
    h->address_bytes = address_bytes;
    h->datacenter = copy_text(s, "", 0);
    h->rack = copy_text(s, "", 0);
    h->name = name ? copy_text(s, name, strlen(name)) : NULL;
    if (!h->datacenter || !h->rack || (name && !h->name)) {
        if (h->datacenter) memory_free(s->memory, h->datacenter, 1);
        if (h->rack) memory_free(s->memory, h->rack, 1);
        if (h->name) memory_free(s->memory, h->name, strlen(h->name) + 1);
        memory_free(s->memory, h, sizeof *h);
        return NULL;
    }
    name_host(h);
    struct host **end = &s->hosts;
    while (*end) end = &(*end)->next;
    *end = h;
    h->index = s->host_count++;
    return h;
}

static bool address_of(struct cql_value v, uint16_t port, struct sockaddr_storage *out, socklen_t *size_bytes) {
    memset(out, 0, sizeof *out);
    if (v.size_bytes == 4) {
        struct sockaddr_in *a = (struct sockaddr_in *)out;
        a->sin_family = AF_INET;
        a->sin_port = htons(port);
        memcpy(&a->sin_addr, v.bytes, 4);
        *size_bytes = sizeof *a;
        return a->sin_addr.s_addr != 0;
    }
    if (v.size_bytes != 16) return false;
    struct sockaddr_in6 *a = (struct sockaddr_in6 *)out;
    a->sin6_family = AF_INET6;
    a->sin6_port = htons(port);
    memcpy(&a->sin6_addr, v.bytes, 16);
    *size_bytes = sizeof *a;
    return !IN6_IS_ADDR_UNSPECIFIED(&a->sin6_addr);
}

// ---- reading the ring ----

struct ring_builder {
    struct cql_session *session;
    struct vector tokens;          // of struct ring_token
};

static void take_tokens(struct ring_builder *b, struct host *h, struct cql_value set) {
    static const struct cql_type text = {.kind = CQL_TEXT}, set_of_text = {.kind = CQL_SET, .child_count = 1, .children = (struct cql_type *)(uintptr_t)&text};
    struct cql_elements elements;
    struct cql_value v;
    if (!cql_elements_open(&elements, &set_of_text, set)) return;
    while (elements.left && cql_elements_next(&elements, &v)) {
        char number[24];
        if (v.size_bytes <= 0 || (size_t)v.size_bytes >= sizeof number || b->tokens.count >= RING_MAX) return;
        memcpy(number, v.bytes, (size_t)v.size_bytes);
        number[v.size_bytes] = 0;
        char *end;
        struct ring_token token = {.token = strtoll(number, &end, 10), .host = h};
        if (*end || vector_push(&b->tokens, &token) != STATUS_OK) return;
        h->token_count++;
    }
}

static void describe_host(struct ring_builder *b, struct host *h, const struct page *p) {
    struct cql_value datacenter = page_value(p, "data_center"), rack = page_value(p, "rack");
    if (datacenter.size_bytes >= 0) replace_text(b->session, &h->datacenter, (const char *)datacenter.bytes, (size_t)datacenter.size_bytes);
    if (rack.size_bytes >= 0) replace_text(b->session, &h->rack, (const char *)rack.bytes, (size_t)rack.size_bytes);
    h->in_ring = true;
    take_tokens(b, h, page_value(p, "tokens"));
}

static void copy_value(char *out, size_t capacity, struct cql_value v) {
    if (v.size_bytes >= 0) snprintf(out, capacity, "%.*s", (int)v.size_bytes, (const char *)v.bytes);
}

static enum status take_local(struct ring_builder *b, struct page *p, struct error *e) {
    bool found;
    TRY(page_next(p, &found, e));
    if (!found) return error_set(e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: system.local is empty");
    copy_value(b->session->release, sizeof b->session->release, page_value(p, "release_version"));
    copy_value(b->session->cluster, sizeof b->session->cluster, page_value(p, "cluster_name"));
    describe_host(b, b->session->control->host, p);
    return STATUS_OK;
}

static enum status take_peers(struct ring_builder *b, struct page *p, struct error *e) {
    struct cql_session *s = b->session;
    bool found;
    for (;;) {
        TRY(page_next(p, &found, e));
        if (!found) return STATUS_OK;
        struct sockaddr_storage address;
        socklen_t size_bytes;
        int32_t port = 0;
        struct cql_value v = page_value(p, s->peers_old ? "rpc_address" : "native_address");
        if (!cql_read_int32(page_value(p, "native_port"), &port) || port <= 0 || port > UINT16_MAX) port = s->config.port;
        if (page_value(p, "tokens").size_bytes < 0) continue;  // a host that is still joining, or a row left behind
        if (!address_of(v, (uint16_t)port, &address, &size_bytes) && !address_of(page_value(p, "peer"), (uint16_t)port, &address, &size_bytes)) continue;
        struct host *h = host_add(s, &address, size_bytes, NULL);
        if (h && h != s->control->host) describe_host(b, h, p);
    }
}

static uint32_t factor_of(struct cql_value v) {
    uint32_t factor = 0;
    for (int32_t i = 0; i < v.size_bytes && v.bytes[i] >= '0' && v.bytes[i] <= '9' && factor < FACTOR_MAX; i++) factor = factor * 10 + v.bytes[i] - '0';
    return factor > FACTOR_MAX ? FACTOR_MAX : factor;
}

static bool value_is(struct cql_value v, const char *text) {
    return v.size_bytes >= 0 && strlen(text) == (size_t)v.size_bytes && !memcmp(v.bytes, text, (size_t)v.size_bytes);
}
static bool value_ends(struct cql_value v, const char *text) {
    size_t length = strlen(text);
    return v.size_bytes >= 0 && (size_t)v.size_bytes >= length && !memcmp(v.bytes + (size_t)v.size_bytes - length, text, length);
}

static void take_replication(struct cql_session *s, const struct page *p) {
    static const struct cql_type texts[2] = {{.kind = CQL_TEXT}, {.kind = CQL_TEXT}};
    static const struct cql_type map = {.kind = CQL_MAP, .child_count = 2, .children = (struct cql_type *)(uintptr_t)texts};
    struct cql_value name = page_value(p, "keyspace_name"), key, v;
    struct cql_elements elements;
    if (name.size_bytes < 0 || !cql_elements_open(&elements, &map, page_value(p, "replication"))) return;
    struct replication *r = memory_alloc_zeroed(s->memory, sizeof *r);
    if (!r) return;
    r->keyspace = copy_text(s, (const char *)name.bytes, (size_t)name.size_bytes);
    if (!r->keyspace || memchr(r->keyspace, 0, (size_t)name.size_bytes)) {
        if (r->keyspace) memory_free(s->memory, r->keyspace, (size_t)name.size_bytes + 1);
        memory_free(s->memory, r, sizeof *r);
        return;
    }
    while (elements.left >= 2 && cql_elements_next(&elements, &key) && cql_elements_next(&elements, &v)) {
        if (value_is(key, "class")) {
            r->simple = value_ends(v, "SimpleStrategy");
            r->network = value_ends(v, "NetworkTopologyStrategy");
        } else if (value_is(key, "replication_factor") || (s->local_datacenter && value_is(key, s->local_datacenter))) {
            r->factor = factor_of(v);
        }
    }
    r->next = s->replications;
    s->replications = r;
}

static void forget_replications(struct cql_session *s) {
    while (s->replications) {
        struct replication *r = s->replications;
        s->replications = r->next;
        if (r->replicas) memory_free(s->memory, r->replicas, r->replicas_bytes);
        memory_free(s->memory, r->keyspace, strlen(r->keyspace) + 1);
        memory_free(s->memory, r, sizeof *r);
    }
}

static int compare_tokens(const void *a, const void *b) {
    int64_t x = ((const struct ring_token *)a)->token, y = ((const struct ring_token *)b)->token;
    return (x > y) - (x < y);
}

static enum status choose_datacenter(struct cql_session *s, struct error *e) {
    const char *wanted = s->config.local_datacenter;
    char known[300] = "";
    size_t at = 0;
    if (!s->local_datacenter) {
        const char *name = wanted ? wanted : s->control->host->datacenter;
        s->local_datacenter = copy_text(s, name, strlen(name));
        if (!s->local_datacenter) return error_no_memory(e);
    }
    bool found = false;
    for (struct host *h = s->hosts; h; h = h->next) {
        bool local = h->in_ring && !strcmp(h->datacenter, s->local_datacenter);
        found |= local;
        h->spoken_to = local;
        if (h->in_ring && at < sizeof known - 1 && !strstr(known, h->datacenter)) {
            at += (size_t)snprintf(known + at, sizeof known - at, "%s`%.60s`", at ? ", " : "", h->datacenter);
        }
        struct error gone;
        error_set(&gone, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "it is no host of the local datacenter any more");
        for (struct connection *c = h->connections; c && !local; c = c->next) {
            if (c != s->control) connection_break(c, &gone);
        }
    }
    if (found || !wanted) return STATUS_OK;
    return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_UNREACHABLE", "the cluster has no datacenter `%s`; it has %s", wanted, known);
}

static enum status install_ring(struct cql_session *s, struct vector *tokens, struct error *e) {
    if (tokens->count) qsort(tokens->items, tokens->count, sizeof(struct ring_token), compare_tokens);
    struct ring_token *ring = tokens->count ? memory_alloc(s->memory, tokens->count * sizeof *ring) : NULL;
    if (tokens->count && !ring) return error_no_memory(e);
    if (ring) memcpy(ring, tokens->items, tokens->count * sizeof *ring);
    if (s->ring) memory_free(s->memory, s->ring, s->ring_count * sizeof *s->ring);
    s->ring = ring;
    s->ring_count = (uint32_t)tokens->count;
    return STATUS_OK;
}

static enum status apply(struct cql_session *s, struct page pages[3], struct error *e) {
    struct ring_builder b = {.session = s};
    vector_init(&b.tokens, s->memory, sizeof(struct ring_token));
    for (struct host *h = s->hosts; h; h = h->next) {
        h->in_ring = false;
        h->token_count = 0;
    }
    enum status status = take_local(&b, &pages[0], e);
    if (status == STATUS_OK) status = take_peers(&b, &pages[1], e);
    if (status == STATUS_OK) status = choose_datacenter(s, e);
    if (status == STATUS_OK) status = install_ring(s, &b.tokens, e);
    vector_release(&b.tokens);
    TRY(status);
    forget_replications(s);
    for (bool found = true; found;) {
        TRY(page_next(&pages[2], &found, e));
        if (found) take_replication(s, &pages[2]);
    }
    s->ring_known = true;
    return STATUS_OK;
}

static void forget_parts(struct cql_session *s) {
    for (int i = 0; i < 3; i++) {
        if (s->refresh_parts[i]) call_recycle(s, s->refresh_parts[i]);
        s->refresh_parts[i] = NULL;
    }
    s->refresh_count = 0;
    s->refreshing = false;
}

static void refreshed(struct cql_session *s) {
    struct page pages[3] = {0};
    struct error e = {0};
    enum status status = STATUS_OK;
    for (int i = 0; i < 3 && status == STATUS_OK; i++) {
        const struct call *part = s->refresh_parts[i];
        if (part->error) {
            e = *part->error;
            status = e.status;
        } else {
            status = part->kind == CQL_RESULT_ROWS ? page_open(&pages[i], s->memory, part->body, NULL, &e)
                                                   : error_set(&e, STATUS_UNREACHABLE, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: no rows");
        }
    }
    if (status == STATUS_OK && !s->control) status = STATUS_UNREACHABLE;
    if (status == STATUS_OK) status = apply(s, pages, &e);
    for (int i = 0; i < 3; i++) page_close(&pages[i]);
    forget_parts(s);
    if (status == STATUS_OK) return;
    s->refresh_due_us = clock_monotonic_us() + REFRESH_AGAIN_US;
    if (status == STATUS_INVALID_ARGUMENT) s->fatal = e;
    if (s->control) s->control->host->last_error = e;
}

static bool start_part(struct cql_session *s, int index, const char *text);

static void part_answered(struct cql_session *s, struct call *c) {
    int index = (int)(intptr_t)c->context;
    bool missing = c->error && c->error->status == STATUS_INVALID_QUERY && index == 1 && !s->peers_old;
    if (!s->refreshing || c->pinned != s->control || s->refresh_parts[index]) {
        call_recycle(s, c);
        return;
    }
    if (missing) {  // a server before 4.0
        s->peers_old = true;
        call_recycle(s, c);
        if (!start_part(s, 1, select_peers)) s->refreshing = false;
        return;
    }
    s->refresh_parts[index] = c;
    if (++s->refresh_count == 3) refreshed(s);
}

static bool start_part(struct cql_session *s, int index, const char *text) {
    struct call *c = call_of_text(s, text);
    if (!c) return false;
    c->internal = part_answered;
    c->context = (void *)(intptr_t)index;
    c->pinned = s->control;
    c->deadline_us = clock_monotonic_us() + s->config.request_timeout_us;
    call_start(s, c);
    return true;
}

static void registered(struct cql_session *s, struct call *c) { call_recycle(s, c); }

static void register_events(struct cql_session *s) {
    struct call *c = s->control->registered ? NULL : call_take(s);
    if (!c) return;
    s->control->registered = true;
    c->opcode = CQL_OP_REGISTER;
    c->internal = registered;
    c->pinned = s->control;
    c->deadline_us = clock_monotonic_us() + s->config.request_timeout_us;
    call_start(s, c);
}

void ring_refresh(struct cql_session *s) {
    s->refresh_due_us = 0;
    forget_parts(s);
    s->refreshing = true;
    register_events(s);
    bool started = start_part(s, 0, select_local) && start_part(s, 1, s->peers_old ? select_peers : select_peers_v2) && start_part(s, 2, select_keyspaces);
    if (started) return;
    s->refreshing = false;
    s->refresh_due_us = clock_monotonic_us() + REFRESH_AGAIN_US;
}

void ring_event(struct cql_session *s, const struct cql_event *event) {
    struct sockaddr_storage address;
    socklen_t size_bytes;
    int64_t now_us = clock_monotonic_us();
    if (event->kind == CQL_EVENT_OTHER) return;
    if (event->kind == CQL_EVENT_SCHEMA) {
        s->counters.schema_changes++;
        if (!cql_text_is(event->target, "KEYSPACE")) return;
    } else if (cql_text_is(event->change, "UP") &&
               address_of((struct cql_value){.bytes = event->address, .size_bytes = event->address_bytes}, (uint16_t)event->port, &address, &size_bytes)) {
        struct host *h = host_find(s, &address);
        if (h) h->next_attempt_us = now_us;
    }
    if (!s->refresh_due_us) s->refresh_due_us = now_us + REFRESH_DELAY_US;
}

void ring_release(struct cql_session *s) {
    forget_parts(s);
    forget_replications(s);
    if (s->ring) memory_free(s->memory, s->ring, s->ring_count * sizeof *s->ring);
    while (s->hosts) {
        struct host *h = s->hosts;
        s->hosts = h->next;
        if (h->name) memory_free(s->memory, h->name, strlen(h->name) + 1);
        memory_free(s->memory, h->datacenter, strlen(h->datacenter) + 1);
        memory_free(s->memory, h->rack, strlen(h->rack) + 1);
        memory_free(s->memory, h, sizeof *h);
    }
    if (s->local_datacenter) memory_free(s->memory, s->local_datacenter, strlen(s->local_datacenter) + 1);
}
