// SPDX-License-Identifier: Apache-2.0
// ordered.c: outputs that want rows in order (a query's result, a topic). With several workers batches are held back until the round ends,
// then one thread writes them in (sequence, arrival) order; where one worker runs, everything goes at once.
#include "exec/operator.h"
#include <stdlib.h>

struct held_batch {
    struct batch *batch;
    uint64_t arrival;
};

enum status ordered_open(struct execution *x, struct error *e) {
    pthread_mutex_init(&x->held_mutex, NULL);
    x->held = arena_alloc_array(&x->arena, x->config.output_count + 1, sizeof *x->held);
    if (!x->held) return error_no_memory(e);
    for (uint32_t o = 0; o < x->config.output_count; o++) vector_init(&x->held[o], x->memory, sizeof(struct held_batch));
    return STATUS_OK;
}

void ordered_drop(struct execution *x) {
    for (uint32_t o = 0; x->held && o < x->config.output_count; o++) {
        for (size_t i = 0; i < x->held[o].count; i++) batch_unref(((struct held_batch *)vector_at(&x->held[o], i))->batch);
        vector_clear(&x->held[o]);
    }
}

void ordered_close(struct execution *x) {
    if (!x->held) return;
    ordered_drop(x);
    for (uint32_t o = 0; o < x->config.output_count; o++) vector_release(&x->held[o]);
    pthread_mutex_destroy(&x->held_mutex);
}

static int held_order(const void *a, const void *b) {
    const struct held_batch *x = a, *y = b;
    if (x->batch->sequence != y->batch->sequence) return x->batch->sequence < y->batch->sequence ? -1 : 1;
    return (x->arrival > y->arrival) - (x->arrival < y->arrival);
}

static enum status write_batch(struct execution *x, uint32_t o, struct worker *w, struct batch *b) {
    const struct output *output = &x->config.outputs[o];
    enum status status = output->write ? output->write(output->context, w->index, b, &w->error) : STATUS_OK;
    if (status != STATUS_OK) w->failed = true;
    return status;
}

static enum status flush(struct execution *x, uint32_t o, struct worker *w) {
    struct vector *held = &x->held[o];
    enum status status = STATUS_OK;
    if (held->count > 1) qsort(held->items, held->count, sizeof(struct held_batch), held_order);
    for (size_t i = 0; i < held->count; i++) {
        struct batch *b = ((struct held_batch *)vector_at(held, i))->batch;
        if (status == STATUS_OK) status = write_batch(x, o, w, b);
        batch_unref(b);
    }
    vector_clear(held);
    return status;
}

void ordered_flush(struct execution *x) {
    struct worker *w = &x->workers[0];
    for (uint32_t o = 0; o < x->config.output_count; o++) {
        if (x->held[o].count && flush(x, o, w) != STATUS_OK) return;
    }
}

enum status ordered_write(struct execution *x, uint32_t o, struct worker *w, struct batch *b) {
    if (x->config.worker_count == 1 || x->serial) {
        if (x->held[o].count) TRY(flush(x, o, w));
        return write_batch(x, o, w, b);
    }
    struct held_batch h = {.batch = batch_ref(b)};
    pthread_mutex_lock(&x->held_mutex);
    h.arrival = x->held[o].count;
    enum status status = vector_push(&x->held[o], &h);
    pthread_mutex_unlock(&x->held_mutex);
    if (status != STATUS_OK) {
        batch_unref(b);
        return worker_no_memory(w);
    }
    x->pending_bytes += batch_kept_bytes(b);
    return STATUS_OK;
}
