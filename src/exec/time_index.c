// SPDX-License-Identifier: Apache-2.0
// time_index.c: see time_index.h.
#include "exec/time_index.h"

enum { SLICE_BITS = 16, SPARE_BUCKETS = 64 };  // taken buckets at the front before the rest moves up

static int64_t slice_of(int64_t time) { return time >> SLICE_BITS; }

void time_index_init(struct time_index *x, struct memory *memory) {
    memset(x, 0, sizeof *x);
    x->memory = memory;
    vector_init(&x->buckets, memory, sizeof(struct time_bucket *));
    vector_init(&x->changed, memory, sizeof(struct time_bucket *));
    x->taken_until = INT64_MIN;
    x->gone_from = INT64_MAX;
    x->gone_to = INT64_MIN;
}

static struct time_bucket *bucket_at(const struct time_index *x, size_t i) { return *(struct time_bucket **)vector_at(&x->buckets, i); }

static void free_bucket(struct time_index *x, struct time_bucket *b) {
    vector_release(&b->groups);
    memory_free(x->memory, b, sizeof *b);
}

void time_index_clear(struct time_index *x) {
    for (size_t i = x->begin; i < x->buckets.count; i++) free_bucket(x, bucket_at(x, i));
    vector_clear(&x->buckets);
    vector_clear(&x->changed);
    x->begin = 0;
    x->last = NULL;
    x->taken_until = INT64_MIN;
}

void time_index_release(struct time_index *x) {
    if (!x->memory) return;
    time_index_clear(x);
    vector_release(&x->buckets);
    vector_release(&x->changed);
}

// The first bucket whose slice is not below; x->buckets.count: none.
static size_t find_bucket(const struct time_index *x, int64_t slice) {
    size_t low = x->begin, high = x->buckets.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (bucket_at(x, middle)->slice < slice) low = middle + 1;
        else high = middle;
    }
    return low;
}

static enum status add_bucket(struct time_index *x, size_t at, int64_t slice, struct time_bucket **out) {
    struct time_bucket *b = memory_alloc_zeroed(x->memory, sizeof *b);
    if (!b || vector_push(&x->buckets, &b) != STATUS_OK) {
        if (b) memory_free(x->memory, b, sizeof *b);
        return STATUS_NO_MEMORY;
    }
    struct time_bucket **items = x->buckets.items;
    memmove(items + at + 1, items + at, (x->buckets.count - 1 - at) * sizeof *items);
    items[at] = b;
    b->slice = slice;
    vector_init(&b->groups, x->memory, sizeof(struct group *));
    *out = b;
    return STATUS_OK;
}

enum status time_index_add(struct time_index *x, struct group *g) {
    if (g->time == GROUP_NO_END) return STATUS_OK;
    int64_t slice = slice_of(g->time);
    struct time_bucket *b = x->last && x->last->slice == slice ? x->last : NULL;
    if (!b) {
        size_t at = find_bucket(x, slice);
        if (at < x->buckets.count && bucket_at(x, at)->slice == slice) b = bucket_at(x, at);
        else TRY(add_bucket(x, at, slice, &b));
    }
    if (b->groups.count == b->committed) TRY(vector_push(&x->changed, &b));
    x->last = b;
    return vector_push(&b->groups, &g);
}

enum status time_index_list(const struct time_index *x, int64_t until, struct vector *out) {
    for (size_t i = x->begin; i < x->buckets.count && bucket_at(x, i)->slice <= slice_of(until); i++) {
        struct time_bucket *b = bucket_at(x, i);
        for (size_t k = 0; k < b->groups.count; k++) {
            struct group *g = *(struct group **)vector_at(&b->groups, k);
            if (g->time <= until) TRY(vector_push(out, &g));
        }
    }
    return STATUS_OK;
}

enum status time_index_take(struct time_index *x, int64_t until, struct vector *out) {
    TRY(time_index_list(x, until, out));
    if (until > x->taken_until) x->taken_until = until;
    return STATUS_OK;
}

int64_t time_index_earliest(const struct time_index *x) {
    size_t first = x->begin;
    while (first < x->buckets.count && !bucket_at(x, first)->groups.count) first++;
    if (first == x->buckets.count) return INT64_MAX;
    const struct time_bucket *b = bucket_at(x, first);
    int64_t earliest = INT64_MAX;
    for (size_t k = 0; k < b->groups.count; k++) {
        const struct group *g = *(struct group **)vector_at(&b->groups, k);
        if (g->time < earliest) earliest = g->time;
    }
    return earliest;
}

static void drop_taken(struct time_index *x) {
    while (x->begin < x->buckets.count) {
        struct time_bucket *b = bucket_at(x, x->begin);
        if (b->slice > slice_of(x->taken_until)) break;
        size_t kept = 0;
        struct group **groups = b->groups.items;
        for (size_t k = 0; k < b->groups.count; k++) {
            if (groups[k]->time > x->taken_until) groups[kept++] = groups[k];
        }
        b->groups.count = b->committed = kept;
        if (kept) break;  // the slice that the time falls into
        free_bucket(x, b);
        x->begin++;
    }
    x->last = NULL;
    if (x->begin < SPARE_BUCKETS || x->begin < x->buckets.count / 2) return;
    struct time_bucket **items = x->buckets.items;
    memmove(items, items + x->begin, (x->buckets.count - x->begin) * sizeof *items);
    x->buckets.count -= x->begin;
    x->begin = 0;
}

void time_index_drop(struct time_index *x, const struct group *g) {
    if (g->time == GROUP_NO_END) return;
    int64_t slice = slice_of(g->time);
    size_t at = find_bucket(x, slice);
    if (at == x->buckets.count || bucket_at(x, at)->slice != slice) return;
    bucket_at(x, at)->has_gone = true;
    if (slice < x->gone_from) x->gone_from = slice;
    if (slice > x->gone_to) x->gone_to = slice;
}

// Buckets that become empty stay: they are found again, or taken when their time comes.
static void drop_gone(struct time_index *x) {
    for (size_t i = find_bucket(x, x->gone_from); i < x->buckets.count && bucket_at(x, i)->slice <= x->gone_to; i++) {
        struct time_bucket *b = bucket_at(x, i);
        if (!b->has_gone) continue;
        size_t kept = 0;
        struct group **groups = b->groups.items;
        for (size_t k = 0; k < b->groups.count; k++) {
            if (groups[k]->weight != 0) groups[kept++] = groups[k];
        }
        b->groups.count = b->committed = kept;
        b->has_gone = false;
    }
    x->gone_from = INT64_MAX;
    x->gone_to = INT64_MIN;
}

void time_index_commit(struct time_index *x) {
    for (size_t i = 0; i < x->changed.count; i++) {
        struct time_bucket *b = *(struct time_bucket **)vector_at(&x->changed, i);
        b->committed = b->groups.count;
    }
    vector_clear(&x->changed);
    if (x->gone_from <= x->gone_to) drop_gone(x);
    if (x->taken_until != INT64_MIN) drop_taken(x);
    x->taken_until = INT64_MIN;
}

void time_index_rollback(struct time_index *x) {
    for (size_t i = 0; i < x->changed.count; i++) {
        struct time_bucket *b = *(struct time_bucket **)vector_at(&x->changed, i);
        b->groups.count = b->committed;
    }
    vector_clear(&x->changed);
    x->taken_until = INT64_MIN;
    for (size_t k = x->begin; k < x->buckets.count; k++) bucket_at(x, k)->has_gone = false;
    x->gone_from = INT64_MAX;
    x->gone_to = INT64_MIN;
    size_t kept = x->begin;
    for (size_t k = x->begin; k < x->buckets.count; k++) {  // those that the epoch made
        struct time_bucket *b = bucket_at(x, k);
        if (b->groups.count) ((struct time_bucket **)x->buckets.items)[kept++] = b;
        else free_bucket(x, b);
    }
    x->buckets.count = kept;
    x->last = NULL;
}

size_t time_index_bytes(const struct time_index *x) {
    size_t bytes = (x->buckets.capacity + x->changed.capacity) * sizeof(struct time_bucket *);
    for (size_t i = x->begin; i < x->buckets.count; i++) bytes += sizeof(struct time_bucket) + bucket_at(x, i)->groups.capacity * sizeof(struct group *);
    return bytes;
}
