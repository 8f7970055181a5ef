// SPDX-License-Identifier: Apache-2.0
// lane.c: a lane's thread, its queue and the parcels being filled for it. See lane.h.
#include "connector/mongodb/lane.h"
#include "base/clock.h"
#include <errno.h>
#include <time.h>

enum { STOP_POLL_MS = 50, STOP_WAIT_MS = 1000 };

struct parcel *parcel_new(struct mongodb_store *s, struct mongodb_table *table, enum statement_kind kind) {
    struct parcel *p = memory_alloc_zeroed(s->memory, sizeof *p);
    if (!p) return NULL;
    p->table = table;
    p->kind = kind;
    buffer_init(&p->bytes, s->memory);
    vector_init(&p->rows, s->memory, sizeof(struct statement_row));
    return p;
}

void parcel_free(struct mongodb_store *s, struct parcel *p) {
    if (!p) return;
    buffer_release(&p->bytes);
    vector_release(&p->rows);
    memory_free(s->memory, p, sizeof *p);
}

enum status parcel_add(struct parcel *p, const uint8_t *document, struct statement_row at) {
    uint32_t size_bytes;
    memcpy(&size_bytes, document, 4);
    if (!p->bytes.capacity_bytes) TRY(buffer_reserve(&p->bytes, p->kind == STATEMENT_INSERT ? PARCEL_BYTES / 4 : PARCEL_BYTES / 32));
    TRY(vector_push(&p->rows, &at));
    return buffer_append(&p->bytes, document, size_bytes);
}

static bool stopping(const struct mongodb_store *s) { return s->stop && atomic_load(s->stop) != 0; }

// --- the thread ---

static struct parcel *take_parcel(struct lane *lane) {
    struct parcel *p = lane->first;
    lane->first = p->next;
    if (!lane->first) lane->last = NULL;
    lane->queued--;
    return p;
}

static void note_error(struct lane *lane, enum status status, const struct error *e) {
    if (status == STATUS_OK || lane->error.status != STATUS_OK) return;
    lane->error = *e;
    lane->error.status = status;
}

// With the mutex held before and after; without while it works.
static void do_work(struct lane *lane) {
    struct error e = {0};
    struct parcel *p = lane->first ? take_parcel(lane) : NULL;
    lane_job job = p ? NULL : lane->job;
    bool drop = p && lane->error.status != STATUS_OK;
    lane->busy = true;
    pthread_mutex_unlock(&lane->mutex);
    enum status status = STATUS_OK;
    if (p && !drop) status = lane_send(lane, p, &e);
    if (job) status = job(lane->store, lane, &e);
    parcel_free(lane->store, p);
    pthread_mutex_lock(&lane->mutex);
    note_error(lane, status, &e);
    if (job) lane->job = NULL;
    lane->busy = false;
    pthread_cond_broadcast(&lane->done);
}

static void *run(void *context) {
    struct lane *lane = context;
    pthread_mutex_lock(&lane->mutex);
    while (true) {
        if (lane->first || lane->job) do_work(lane);
        else if (lane->closing) break;
        else pthread_cond_wait(&lane->work, &lane->mutex);
    }
    pthread_mutex_unlock(&lane->mutex);
    return NULL;
}

enum status lane_start(struct mongodb_store *s, uint32_t index, struct error *e) {
    struct lane *lane = &s->lanes[index];
    pthread_condattr_t attributes;
    lane->store = s;
    lane->index = index;
    pthread_mutex_init(&lane->mutex, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&lane->work, &attributes);
    pthread_cond_init(&lane->done, &attributes);
    pthread_condattr_destroy(&attributes);
    buffer_init(&lane->command, s->memory);
    buffer_init(&lane->reply, s->memory);
    buffer_init(&lane->scratch, s->memory);
    vector_init(&lane->refusals, s->memory, sizeof(struct lane_refusal));
    int code = pthread_create(&lane->thread, NULL, run, lane);
    if (code == 0) return STATUS_OK;
    lane->store = NULL;
    return error_set_errno(e, code, "starting a thread for MongoDB");
}

static void wait_done(struct lane *lane, int64_t ms) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    pthread_cond_timedwait(&lane->done, &lane->mutex, &until);
}

// A command that hangs cannot be called back; when leat is to stop it is given a second.
bool lane_end(struct lane *lane) {
    if (!lane->store) return true;
    int64_t end_us = clock_monotonic_us() + (stopping(lane->store) ? STOP_WAIT_MS : 120000) * INT64_C(1000);
    pthread_mutex_lock(&lane->mutex);
    lane->closing = true;
    pthread_cond_signal(&lane->work);
    while ((lane->busy || lane->first || lane->job) && clock_monotonic_us() < end_us) wait_done(lane, STOP_POLL_MS);
    bool hangs = lane->busy || lane->first || lane->job;
    pthread_mutex_unlock(&lane->mutex);
    if (hangs) {
        pthread_detach(lane->thread);
        return false;
    }
    pthread_join(lane->thread, NULL);
    lane_drop_parcels(lane);
    mongodb_client_free(lane->client);
    buffer_release(&lane->command);
    buffer_release(&lane->reply);
    buffer_release(&lane->scratch);
    vector_release(&lane->refusals);
    pthread_cond_destroy(&lane->work);
    pthread_cond_destroy(&lane->done);
    pthread_mutex_destroy(&lane->mutex);
    lane->store = NULL;
    return true;
}

// --- jobs ---

static enum status give_up_waiting(struct mongodb_store *s, struct error *e) {
    s->abandoned = true;
    return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s does not answer, and leat is to stop", s->config.hosts);
}

static enum status wait_for(struct mongodb_store *s, struct lane *lane, struct error *e) {
    int64_t patience_us = 0;
    enum status status = STATUS_OK;
    pthread_mutex_lock(&lane->mutex);
    while (lane->busy || lane->first || lane->job) {
        if (stopping(s) && !patience_us) patience_us = clock_monotonic_us() + STOP_WAIT_MS * INT64_C(1000);
        if (patience_us && clock_monotonic_us() > patience_us) {
            pthread_mutex_unlock(&lane->mutex);
            return give_up_waiting(s, e);
        }
        wait_done(lane, STOP_POLL_MS);
    }
    if (lane->error.status != STATUS_OK) {
        status = lane->error.status;
        if (e) *e = lane->error;
    }
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

enum status lanes_do(struct mongodb_store *s, uint64_t which, lane_job job, struct error *e) {
    enum status first = STATUS_OK;
    if (s->abandoned) return give_up_waiting(s, e);
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        struct lane *lane = &s->lanes[i];
        if (!(which >> i & 1)) continue;
        pthread_mutex_lock(&lane->mutex);
        lane->job = job;
        pthread_cond_signal(&lane->work);
        pthread_mutex_unlock(&lane->mutex);
    }
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        struct error own = {0};
        if (!(which >> i & 1)) continue;
        enum status status = wait_for(s, &s->lanes[i], &own);
        if (status == STATUS_OK || (first != STATUS_OK && status != STATUS_CONFLICT)) continue;
        first = status;  // a conflict tells more than what it led to
        if (e) *e = own;
    }
    return first;
}

// --- parcels ---

void lane_hand_over(struct lane *lane) {
    for (struct mongodb_table *t = lane->store->tables; t; t = t->next) {
        for (int kind = 0; kind < STATEMENT_KINDS; kind++) {
            struct parcel *p = t->filling[lane->index][kind];
            if (!p) continue;
            t->filling[lane->index][kind] = NULL;
            if (lane->last) lane->last->next = p;
            else lane->first = p;
            lane->last = p;
            lane->queued++;
        }
    }
    pthread_cond_signal(&lane->work);
}

void lane_drop_parcels(struct lane *lane) {
    while (lane->first) parcel_free(lane->store, take_parcel(lane));
    for (struct mongodb_table *t = lane->store->tables; t; t = t->next) {
        for (int kind = 0; kind < STATEMENT_KINDS; kind++) {
            parcel_free(lane->store, t->filling[lane->index][kind]);
            t->filling[lane->index][kind] = NULL;
        }
    }
}

enum status lane_check(struct lane *lane, struct error *e) {
    pthread_mutex_lock(&lane->mutex);
    enum status status = lane->error.status;
    if (status != STATUS_OK && e) *e = lane->error;
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

static void enqueue(struct lane *lane, struct parcel **filling) {
    if (lane->last) lane->last->next = *filling;
    else lane->first = *filling;
    lane->last = *filling;
    *filling = NULL;
    lane->queued++;
    pthread_cond_signal(&lane->work);
}

// The mutex is held. A full queue is waited for; not for ever when leat is to stop.
static enum status wait_for_room(struct lane *lane, struct error *e) {
    int64_t patience_us = 0;
    while (lane->queued >= QUEUE_PARCELS && lane->error.status == STATUS_OK) {
        if (stopping(lane->store) && !patience_us) patience_us = clock_monotonic_us() + STOP_WAIT_MS * INT64_C(1000);
        if (patience_us && clock_monotonic_us() > patience_us) return give_up_waiting(lane->store, e);
        wait_done(lane, STOP_POLL_MS);
    }
    if (lane->error.status != STATUS_OK && e) *e = lane->error;
    return lane->error.status;
}

enum status lane_put(struct lane *lane, struct mongodb_table *table, enum statement_kind kind, const uint8_t *document, struct statement_row at, struct error *e) {
    struct parcel **filling = &table->filling[lane->index][kind];
    uint32_t size_bytes;
    memcpy(&size_bytes, document, 4);
    if (*filling && (*filling)->bytes.size_bytes + size_bytes > 4 * PARCEL_BYTES) {
        enqueue(lane, filling);
        TRY(wait_for_room(lane, e));
    }
    if (!*filling) *filling = parcel_new(lane->store, table, kind);
    if (!*filling || parcel_add(*filling, document, at) != STATUS_OK) return error_no_memory(e);
    if (!parcel_is_full(*filling)) return STATUS_OK;
    enqueue(lane, filling);
    return wait_for_room(lane, e);
}
