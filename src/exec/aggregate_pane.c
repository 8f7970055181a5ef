// SPDX-License-Identifier: Apache-2.0
// aggregate_pane.c: sliding windows out of slides (panes). A row is added to one group, that of the slide it falls in, however many windows it is in:
//
//     slides    |--1--|--2--|--3--|--4--|--5--|          a window of five slides ends with slide 5, the next with slide 6
//     windows   |=========== ends at 5 =======|
//                     |=========== ends at 6 =======|
//
// When the watermark passes the end of a window, the states of its slides are put together, key by key, in the order of time, and its rows leave. A
// slide's state goes when its last window has closed. Source of the technique: Li et al., "No pane, no gain" (SIGMOD Record 34, 2005).
#include "exec/aggregate.h"
#include <stdlib.h>

struct pane {                       // one slide's group in one window
    int64_t end;                    // of the window
    const char *key;                // the group's key but for its time
    uint32_t key_bytes;
    struct group *group;
};

static int pane_order(const void *a, const void *b) {
    const struct pane *x = a, *y = b;
    if (x->end != y->end) return x->end < y->end ? -1 : 1;
    uint32_t least = x->key_bytes < y->key_bytes ? x->key_bytes : y->key_bytes;
    int order = least ? memcmp(x->key, y->key, least) : 0;
    if (!order) order = (x->key_bytes > y->key_bytes) - (x->key_bytes < y->key_bytes);
    return order ? order : (x->group->time > y->group->time) - (x->group->time < y->group->time);
}

static bool same_row(const struct pane *x, const struct pane *y) {
    return x->end == y->end && x->key_bytes == y->key_bytes && (!x->key_bytes || memcmp(x->key, y->key, x->key_bytes) == 0);
}

// The first window that a slide is in and that ends after a time.
static int64_t first_end_after(const struct aggregate_self *self, int64_t slide_end, int64_t time) {
    if (time == NO_WATERMARK || slide_end > time) return slide_end;
    __int128 behind = (__int128)time - slide_end;
    __int128 end = slide_end + (behind / self->slide_us + 1) * self->slide_us;
    return end > INT64_MAX ? INT64_MAX : (int64_t)end;
}

int64_t aggregate_next_pane_end(const struct operator *op, int64_t earliest) {
    return earliest == INT64_MAX ? INT64_MAX : first_end_after(op->self, earliest, op->late_us);
}

// The slides of every window that ends in (late, close].
static enum status collect_panes(const struct operator *op, uint32_t p, struct vector *panes) {
    enum { TIME_BYTES = 8 };
    const struct aggregate_self *self = op->self;
    struct vector groups;
    vector_init(&groups, panes->memory, sizeof(struct group *));
    enum status status = time_index_list(&self->ends[p], op->close_us, &groups);
    for (size_t i = 0; i < groups.count && status == STATUS_OK; i++) {
        struct group *g = *(struct group **)vector_at(&groups, i);
        if (g->weight == 0) continue;
        struct pane pane = {.group = g, .key = string_view_data(&g->key), .key_bytes = g->key.size_bytes - TIME_BYTES};
        int64_t last = g->time + self->pane_rest_us;
        for (pane.end = first_end_after(self, g->time, op->late_us); pane.end <= last && pane.end <= op->close_us && status == STATUS_OK; pane.end += self->slide_us) {
            status = vector_push(panes, &pane);
        }
    }
    vector_release(&groups);
    return status;
}

static enum status put_together(struct operator *op, struct worker *w, const struct pane *panes, size_t count, struct group *into) {
    struct aggregate_self *self = op->self;
    into->key = panes->group->key;
    into->hash = panes->group->hash;
    for (size_t i = 0; i < count; i++) {
        into->weight += panes[i].group->weight;
        for (uint32_t k = 0; k < self->call_count; k++) {
            const struct call_plan *c = &self->calls[k];
            struct aggregate_context context = aggregate_context_for(self, op->execution, k, op->execution->state_memory, &w->eval);
            TRY(c->ops->merge(group_state(into, c->state_offset), group_state(panes[i].group, c->state_offset), &context));
        }
    }
    return STATUS_OK;
}

struct window_rows {
    struct group *groups[BATCH_ROWS];
    int64_t ends[BATCH_ROWS];
    uint32_t count;
    uint64_t number;                // of the batch
    struct arena arena;             // of the groups
};

static enum status emit_rows(struct operator *op, struct worker *w, struct window_rows *rows, uint32_t p) {
    struct batch *b = rows->count ? aggregate_results(op, w, rows->groups, rows->ends, rows->count, operator_sequence(op, p, rows->number++), true) : NULL;
    enum status status = b ? aggregate_emit_made(op, w, b) : rows->count ? w->error.status : STATUS_OK;
    batch_unref(b);
    return status;
}

static void drop_rows(struct operator *op, struct window_rows *rows) {
    const struct aggregate_self *self = op->self;
    for (uint32_t i = 0; i < rows->count && self->owns_memory; i++) aggregate_release_group(op, rows->groups[i], op->execution->state_memory);
    rows->count = 0;
    arena_reset(&rows->arena);
}

static enum status emit_windows(struct operator *op, struct worker *w, const struct vector *panes, struct window_rows *rows, uint32_t p) {
    const struct aggregate_self *self = op->self;
    size_t group_bytes = self->tables[p].table.group_bytes;
    enum status status = STATUS_OK;
    for (size_t begin = 0; begin < panes->count && status == STATUS_OK && !operator_is_done(op);) {
        const struct pane *first = vector_at(panes, begin);
        size_t next = begin + 1;
        while (next < panes->count && same_row(first, vector_at(panes, next))) next++;
        struct group *g = arena_alloc_aligned(&rows->arena, group_bytes, 16);
        if (!g) return worker_no_memory(w);
        memset(g, 0, group_bytes);
        rows->groups[rows->count] = g;
        rows->ends[rows->count++] = first->end;
        status = put_together(op, w, first, next - begin, g);
        if (status != STATUS_OK) return worker_fail(w, status, NULL, "a window could not be put together");
        begin = next;
        if (rows->count < BATCH_ROWS) continue;
        status = emit_rows(op, w, rows, p);
        drop_rows(op, rows);
    }
    return status == STATUS_OK ? emit_rows(op, w, rows, p) : status;
}

enum status aggregate_emit_panes(struct operator *op, struct worker *w, uint32_t p) {
    struct memory *memory = op->execution->memory;
    struct vector panes;
    vector_init(&panes, memory, sizeof(struct pane));
    struct window_rows *rows = NULL;
    enum status status = collect_panes(op, p, &panes) == STATUS_OK ? STATUS_OK : worker_no_memory(w);
    if (status == STATUS_OK && panes.count) {
        qsort(panes.items, panes.count, sizeof(struct pane), pane_order);
        rows = memory_alloc_zeroed(memory, sizeof *rows);
        if (!rows) status = worker_no_memory(w);
    }
    if (rows) {
        arena_init(&rows->arena, memory);
        status = emit_windows(op, w, &panes, rows, p);
        drop_rows(op, rows);
        arena_release(&rows->arena);
        memory_free(memory, rows, sizeof *rows);
    }
    vector_release(&panes);
    return status;
}
