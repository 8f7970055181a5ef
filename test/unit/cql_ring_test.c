// SPDX-License-Identifier: Apache-2.0
// cql_ring_test.c: which hosts keep a partition: several datacenters, racks, more copies than hosts, against examples by hand and a naive twin that goes
// the other way (skip a rack's second host, take the skipped ones when every rack has one).
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/random.h"
#include "cql/cql_internal.h"
#include <stdio.h>

enum { HOSTS_MAX = 24, TOKENS_MAX = 128 };

static struct memory memory;

struct ring {
    struct cql_session session;
    struct host hosts[HOSTS_MAX];
    char datacenters[HOSTS_MAX][8], racks[HOSTS_MAX][8];
    struct ring_token tokens[TOKENS_MAX];
    struct replication replication;
};

static void begin(struct ring *r, const char *local) {
    *r = (struct ring){.session = {.memory = &memory, .ring = r->tokens, .local_datacenter = (char *)(uintptr_t)local, .replications = &r->replication},
                       .replication = {.keyspace = (char *)(uintptr_t)"k", .network = true}};
}

static void add_host(struct ring *r, const char *datacenter, const char *rack) {
    uint32_t i = r->session.host_count++;
    struct host *h = &r->hosts[i];
    snprintf(r->datacenters[i], sizeof r->datacenters[i], "%s", datacenter);
    snprintf(r->racks[i], sizeof r->racks[i], "%s", rack);
    *h = (struct host){.datacenter = r->datacenters[i], .rack = r->racks[i], .in_ring = true, .index = i};
    if (i) r->hosts[i - 1].next = h;
    r->session.hosts = r->hosts;
}

static void add_token(struct ring *r, int64_t token, uint32_t host) {
    r->tokens[r->session.ring_count++] = (struct ring_token){.token = token, .host = &r->hosts[host]};
    r->hosts[host].token_count++;
}

static void end(struct ring *r) {
    if (r->replication.replicas) memory_free(&memory, r->replication.replicas, r->replication.replicas_bytes);
    assert_int_equal(memory_used(&memory), 0);
}

static void expect(struct ring *r, int64_t token, const char *wanted) {
    char found[200] = "";
    uint32_t count;
    struct host *const *hosts = ring_replicas(&r->session, "k", token, &count);
    for (uint32_t i = 0; i < count; i++) snprintf(found + strlen(found), sizeof found - strlen(found), "%s%u", i ? " " : "", hosts[i]->index);
    assert_string_equal(found, wanted);
}

// Tokens 0, 10, 20 … of hosts in turn; `of` says datacenter and rack of each: "a1 a1 b2".
static void lay_out(struct ring *r, const char *local, const char *of, uint32_t factor) {
    begin(r, local);
    for (const char *c = of; *c; c += c[2] ? 3 : 2) add_host(r, (char[]){c[0], 0}, (char[]){c[1], 0});
    for (uint32_t i = 0; i < r->session.host_count; i++) add_token(r, (int64_t)i * 10, i);
    r->replication.factor = factor;
}

static void test_examples(void **state) {
    struct ring r;
    (void)state;
    lay_out(&r, "a", "a1 a1 a1 a2 a2 a3", 3);  // one of each rack
    expect(&r, 0, "0 3 5");
    expect(&r, 1, "1 3 5");
    expect(&r, 10, "1 3 5");
    expect(&r, 31, "4 5 0");
    expect(&r, 51, "0 3 5");  // past the last token: the first
    expect(&r, INT64_MIN, "0 3 5");
    expect(&r, INT64_MAX, "0 3 5");
    end(&r);
    lay_out(&r, "a", "a1 a1 a1 a2", 3);  // two racks, three copies: the first host met again is taken, a third of its rack is not
    expect(&r, 0, "0 1 3");
    expect(&r, 11, "2 3 0");
    end(&r);
    lay_out(&r, "a", "a1 b1 a2 b1 a1 b2", 2);  // the other datacenter's hosts are as if they were not there
    expect(&r, 0, "0 2");
    expect(&r, 1, "2 4");
    expect(&r, 21, "4 2");
    end(&r);
    lay_out(&r, "b", "a1 b1 a2 b1 a1 b2", 2);
    expect(&r, 0, "1 5");
    expect(&r, 40, "5 1");
    end(&r);
    lay_out(&r, "a", "a1 a2", 5);  // more copies than hosts
    expect(&r, 0, "0 1");
    end(&r);
    lay_out(&r, "c", "a1 b2", 3);  // no host at all
    expect(&r, 0, "");
    end(&r);
}

static void test_simple(void **state) {
    struct ring r;
    (void)state;
    lay_out(&r, "a", "a1 b1 a1 b2", 3);
    r.replication.network = false;
    r.replication.simple = true;
    expect(&r, 1, "1 2 3");
    expect(&r, 31, "0 1 2");
    end(&r);
    lay_out(&r, "a", "a1 a1", 0);  // not of a kind that is known, or no copies
    expect(&r, 1, "");
    r.replication.factor = 2;
    r.replication.network = false;
    expect(&r, 1, "");
    end(&r);
}

static bool has(const struct host *const *hosts, uint32_t count, const struct host *h) {
    for (uint32_t i = 0; i < count; i++) {
        if (hosts[i] == h) return true;
    }
    return false;
}

static uint32_t count_racks(const struct host *const *hosts, uint32_t count) {
    uint32_t racks = 0;
    for (uint32_t i = 0; i < count; i++) {
        bool again = false;
        for (uint32_t k = 0; k < i; k++) again |= !strcmp(hosts[k]->rack, hosts[i]->rack);
        racks += !again;
    }
    return racks;
}

// The twin: hosts of the datacenter in the ring's order from `at`; one of each rack first, then the skipped ones in their order.
static uint32_t naive(const struct ring *r, uint32_t at, uint32_t factor, const struct host **out) {
    const struct host *ordered[HOSTS_MAX];
    uint32_t count = 0, found = 0;
    for (uint32_t i = 0; i < r->session.ring_count; i++) {
        const struct host *h = r->tokens[(at + i) % r->session.ring_count].host;
        if (!strcmp(h->datacenter, r->session.local_datacenter) && !has(ordered, count, h)) ordered[count++] = h;
    }
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t i = 0; i < count && found < factor; i++) {
            bool rack_known = false;
            for (uint32_t k = 0; k < found; k++) rack_known |= !strcmp(out[k]->rack, ordered[i]->rack);
            if (pass ? !has(out, found, ordered[i]) : !rack_known) out[found++] = ordered[i];
        }
    }
    return found;
}

static void test_random_rings(void **state) {
    struct random random;
    uint32_t compared = 0;
    (void)state;
    random_seed(&random, 20240229);
    for (int round = 0; round < 400; round++) {
        struct ring r;
        uint32_t hosts = 1 + (uint32_t)random_below(&random, HOSTS_MAX), datacenters = 1 + (uint32_t)random_below(&random, 3), racks = 1 + (uint32_t)random_below(&random, 5);
        begin(&r, "d0");
        for (uint32_t i = 0; i < hosts; i++) {
            char datacenter[8], rack[8];
            snprintf(datacenter, sizeof datacenter, "d%u", (uint32_t)random_below(&random, datacenters) % 3);
            snprintf(rack, sizeof rack, "r%u", (uint32_t)random_below(&random, racks) % 5);
            add_host(&r, datacenter, rack);
        }
        for (uint32_t i = 0; i < TOKENS_MAX; i++) add_token(&r, (int64_t)i * 1000 - 64000, (uint32_t)random_below(&random, hosts));
        r.replication.factor = 1 + (uint32_t)random_below(&random, 7);
        for (uint32_t i = 0; i < TOKENS_MAX; i++) {
            const struct host *wanted[HOSTS_MAX];
            uint32_t count, wanted_count = naive(&r, i, r.replication.factor, wanted);
            struct host *const *found = ring_replicas(&r.session, "k", r.tokens[i].token - (int64_t)random_below(&random, 1000), &count);
            assert_int_equal(count, wanted_count);
            for (uint32_t k = 0; k < count; k++) assert_true(has(wanted, wanted_count, found[k]));
            assert_int_equal(count_racks((const struct host *const *)found, count), count_racks(wanted, wanted_count));
            if (count) assert_ptr_equal(found[0], wanted[0]);
            compared += count > 1;
        }
        end(&r);
    }
    assert_true(compared > 10000);
}

// Partitions of one place in the ring share a number, of two do not; of one host all are one.
static void test_token_ranges(void **state) {
    struct ring r;
    (void)state;
    lay_out(&r, "a", "a1 a2 a3", 2);
    pthread_mutex_init(&r.session.lock, NULL);
    assert_int_equal(cql_token_range(&r.session, 1), cql_token_range(&r.session, 10));
    assert_int_not_equal(cql_token_range(&r.session, 10), cql_token_range(&r.session, 11));
    assert_int_equal(cql_token_range(&r.session, 21), cql_token_range(&r.session, INT64_MIN));
    r.hosts[1].in_ring = r.hosts[2].in_ring = false;
    assert_int_equal(cql_token_range(&r.session, 1), cql_token_range(&r.session, 11));
    pthread_mutex_destroy(&r.session.lock);
    end(&r);
}

static int setup(void **state) {
    (void)state;
    memory_init(&memory, "test", NULL, 0);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_examples), cmocka_unit_test(test_simple), cmocka_unit_test(test_random_rings),
                                       cmocka_unit_test(test_token_ranges)};
    return cmocka_run_group_tests(tests, setup, NULL);
}
