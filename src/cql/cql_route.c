// SPDX-License-Identifier: Apache-2.0
// cql_route.c: from a token to its replicas, and from a call to a connection.
#include "cql/cql_internal.h"

enum { RACKS_MAX = 64 };

// Index of the first ring token not below `token`; the ring begins again after its end.
static uint32_t ring_index(const struct cql_session *s, int64_t token) {
    uint32_t low = 0, high = s->ring_count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (s->ring[middle].token < token) low = middle + 1;
        else high = middle;
    }
    return low == s->ring_count ? 0 : low;
}

static bool contains(struct host *const *hosts, uint32_t count, const struct host *h) {
    for (uint32_t i = 0; i < count; i++) {
        if (hosts[i] == h) return true;
    }
    return false;
}

static bool is_local(const struct cql_session *s, const struct host *h) { return s->local_datacenter && !strcmp(h->datacenter, s->local_datacenter); }

static uint32_t count_racks(const struct cql_session *s) {
    const char *racks[RACKS_MAX];
    uint32_t count = 0;
    for (const struct host *h = s->hosts; h && count < RACKS_MAX; h = h->next) {
        bool known = !h->in_ring || !is_local(s, h);
        for (uint32_t i = 0; i < count; i++) known |= !strcmp(racks[i], h->rack);
        if (!known) racks[count++] = h->rack;
    }
    return count;
}

static void simple_replicas(const struct cql_session *s, uint32_t begin, uint32_t factor, struct host **out) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->ring_count && count < factor; i++) {
        struct host *h = s->ring[(begin + i) % s->ring_count].host;
        if (!contains(out, count, h)) out[count++] = h;
    }
}

static void network_replicas(const struct cql_session *s, uint32_t begin, uint32_t factor, uint32_t racks, struct host **out) {
    struct host *skipped[32];
    uint32_t count = 0, skipped_count = 0, racks_seen = 0;
    for (uint32_t i = 0; i < s->ring_count && count < factor; i++) {
        struct host *h = s->ring[(begin + i) % s->ring_count].host;
        if (!is_local(s, h) || contains(out, count, h) || contains(skipped, skipped_count, h)) continue;
        bool rack_seen = false;
        for (uint32_t k = 0; k < count; k++) rack_seen |= !strcmp(out[k]->rack, h->rack);
        if (rack_seen && racks_seen < racks) {
            if (skipped_count < 32) skipped[skipped_count++] = h;
            continue;
        }
        racks_seen += !rack_seen;
        out[count++] = h;
        if (racks_seen < racks) continue;
        for (uint32_t k = 0; k < skipped_count && count < factor; k++) out[count++] = skipped[k];  // every rack has one: those come in their order
        skipped_count = 0;
    }
}

static bool compute_replicas(struct cql_session *s, struct replication *r) {
    size_t size_bytes = (size_t)s->ring_count * r->factor * sizeof *r->replicas;
    r->replicas = memory_alloc_zeroed(s->memory, size_bytes);
    if (!r->replicas) return false;
    r->replicas_bytes = size_bytes;
    uint32_t racks = count_racks(s);
    for (uint32_t i = 0; i < s->ring_count; i++) {
        if (r->simple) simple_replicas(s, i, r->factor, r->replicas + (size_t)i * r->factor);
        else network_replicas(s, i, r->factor, racks, r->replicas + (size_t)i * r->factor);
    }
    return true;
}

struct host *const *ring_replicas(struct cql_session *s, const char *keyspace, int64_t token, uint32_t *count) {
    struct replication *r = s->replications;
    while (r && strcmp(r->keyspace, keyspace)) r = r->next;
    *count = 0;
    if (!r || !s->ring_count || !r->factor || !(r->simple || r->network)) return NULL;
    if (!r->replicas && !compute_replicas(s, r)) return NULL;
    *count = r->factor;
    return r->replicas + (size_t)ring_index(s, token) * r->factor;
}

uint32_t cql_token_range(struct cql_session *session, int64_t token) {
    session_lock(session);
    uint32_t hosts = 0;
    for (const struct host *h = session->hosts; h; h = h->next) hosts += h->in_ring;
    uint32_t index = hosts > 1 && session->ring_count ? ring_index(session, token) : 0;
    session_unlock(session);
    return index;
}

struct connection *host_connection(const struct host *h) {
    struct connection *best = NULL;
    for (struct connection *c = h->connections; c; c = c->next) {
        if (connection_has_room(c) && (!best || c->in_flight < best->in_flight)) best = c;
    }
    return best;
}

static struct connection *choose_replica(struct cql_session *s, const struct call *c, const struct host *avoided) {
    const struct statement *first = vector_at(&c->statements, 0);
    const struct cql_prepared *p = &first->prepared->public;
    uint32_t count;
    struct host *const *replicas = ring_replicas(s, p->binds[p->partition_key[0]].keyspace, c->token, &count);
    for (uint32_t i = 0; i < count && replicas[i]; i++) {
        struct connection *connection = replicas[i]->spoken_to && replicas[i] != avoided ? host_connection(replicas[i]) : NULL;
        if (connection) return connection;
    }
    return NULL;
}

// The next host in turn that has room, but not `avoided`. A contact point that is no host of the local datacenter serves while none of those is up.
static struct connection *choose_any(struct cql_session *s, const struct host *avoided) {
    struct connection *first = NULL;
    uint32_t turn = s->next_host;
    bool local_up = false;
    for (const struct host *h = s->hosts; h; h = h->next) local_up |= h->spoken_to && h->ready_count;
    for (const struct host *h = s->hosts; h; h = h->next) {
        struct connection *c = (h->spoken_to || (h->contact && !local_up)) && h != avoided ? host_connection(h) : NULL;
        if (!c) continue;
        if (h->index >= turn) {
            s->next_host = h->index + 1;
            return c;
        }
        if (!first) first = c;
    }
    s->next_host = first ? first->host->index + 1 : 0;
    return first;
}

struct connection *ring_choose(struct cql_session *s, struct call *c) {
    if (c->pinned) return c->pinned->state == CONNECTION_READY && !c->pinned->broken && c->pinned->free_count ? c->pinned : NULL;
    const struct host *avoided = c->retries ? c->host : NULL;
    if (!s->ready_count) return NULL;
    struct connection *connection = c->has_token ? choose_replica(s, c, avoided) : NULL;
    if (!connection) connection = choose_any(s, avoided);
    if (!connection && avoided) connection = host_connection(avoided);
    return connection;
}
