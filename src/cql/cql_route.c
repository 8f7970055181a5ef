// SPDX-License-Identifier: Apache-2.0
// cql_route.c: from a token to its replicas, and from a call to a connection.
#include "cql/cql_internal.h"

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

// How many copies there can be, and how many of them may be the second of their rack: as many as there are copies more than racks.
static void count_copies(const struct cql_session *s, struct replication *r) {
    const char *racks[FACTOR_MAX];
    uint32_t rack_count = 0, host_count = 0;
    for (const struct host *h = s->hosts; h; h = h->next) {
        bool known = !h->token_count || (r->network && !is_local(s, h));
        host_count += !known;
        for (uint32_t i = 0; i < rack_count; i++) known |= !strcmp(racks[i], h->rack);
        if (!known && rack_count < FACTOR_MAX) racks[rack_count++] = h->rack;
    }
    r->copies = r->factor < host_count ? r->factor : host_count;
    r->rack_repeats = r->simple ? r->factor : r->factor > rack_count ? r->factor - rack_count : 0;
}

static bool rack_is_among(struct host *const *hosts, uint32_t count, const struct host *h) {
    for (uint32_t i = 0; i < count; i++) {
        if (!strcmp(hosts[i]->rack, h->rack)) return true;
    }
    return false;
}

static void find_copies(const struct cql_session *s, const struct replication *r, uint32_t begin, struct host **out) {
    uint32_t count = 0, repeats = r->rack_repeats;
    for (uint32_t i = 0; i < s->ring_count && count < r->copies; i++) {
        struct host *h = s->ring[(begin + i) % s->ring_count].host;
        if ((r->network && !is_local(s, h)) || contains(out, count, h)) continue;
        bool again = r->network && rack_is_among(out, count, h);
        if (again && !repeats) continue;
        repeats -= again;
        out[count++] = h;
    }
}

struct host *const *ring_replicas(struct cql_session *s, const char *keyspace, int64_t token, uint32_t *count) {
    struct replication *r = s->replications;
    while (r && strcmp(r->keyspace, keyspace)) r = r->next;
    *count = 0;
    if (!r || !s->ring_count || !r->factor || !(r->simple || r->network)) return NULL;
    if (!r->replicas) {
        count_copies(s, r);
        r->replicas_bytes = (size_t)s->ring_count * r->copies * sizeof *r->replicas;
        r->replicas = r->copies ? memory_alloc_zeroed(s->memory, r->replicas_bytes) : NULL;
        if (!r->replicas) return NULL;
    }
    uint32_t index = ring_index(s, token);
    struct host **found = r->replicas + (size_t)index * r->copies;
    if (!*found) find_copies(s, r, index, found);
    *count = r->copies;
    return found;
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
