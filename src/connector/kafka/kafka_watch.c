// SPDX-License-Identifier: Apache-2.0
// kafka_watch.c: see kafka_watch.h. It sleeps until its time has come or somebody has trouble.
#include "connector/kafka/kafka_watch.h"
#include "base/clock.h"
#include <stdio.h>

enum { MISSING_LOOKS = 3, TROUBLE_PAUSE_US = 500000, QUESTION_MS = 800, QUESTION_MS_MAX = 3200, BREATH_US = 100000 };

struct kafka_watch {
    struct kafka_watch_config config;
    struct kafka_asking asking;
    struct kafka_fetch *fetch;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    bool has_thread, closing, trouble;
    bool is_unsure;               // something is missing, but has not been for long
    struct arena arena;           // of the names found
    struct vector found;          // struct kafka_offset
    int64_t told_us;              // when the last trouble of its own was told
};

enum status kafka_watch_new(const struct kafka_watch_config *c, struct kafka_watch **out, struct error *e) {
    struct kafka_watch *w = memory_alloc_zeroed(c->memory, sizeof *w);
    if (!w) return error_no_memory(e);
    w->config = *c;
    w->asking = (struct kafka_asking){.client = c->client, .stop = c->stop, .longest_ms = QUESTION_MS};
    arena_init(&w->arena, c->memory);
    vector_init(&w->found, c->memory, sizeof(struct kafka_offset));
    pthread_mutex_init(&w->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&w->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    *out = w;
    return STATUS_OK;
}

void kafka_watch_look(struct kafka_watch *w) {
    pthread_mutex_lock(&w->mutex);
    w->trouble = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}

enum status kafka_watch_take(struct kafka_watch *w, struct arena *a, struct kafka_offsets *out) {
    enum status status = STATUS_OK;
    *out = (struct kafka_offsets){0};
    pthread_mutex_lock(&w->mutex);
    if (w->found.count) {
        out->items = arena_alloc_array(a, w->found.count, sizeof *out->items);
        status = out->items ? STATUS_OK : STATUS_NO_MEMORY;
        if (out->items) memcpy(out->items, w->found.items, w->found.count * sizeof *out->items);
        if (out->items) out->count = (uint32_t)w->found.count;
        if (out->items) vector_clear(&w->found);
    }
    pthread_mutex_unlock(&w->mutex);
    return status;
}

// --- offsets out of range ---

struct refusal {
    struct kafka_partition *partition;
    int64_t offset;
};

static bool next_refusal(struct kafka_fetch *f, struct refusal *out) {
    bool any = false;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->partitions.count && !any; i++) {
        struct kafka_partition *p = *(struct kafka_partition **)vector_at(&f->partitions, i);
        any = p->out_of_range_at >= 0 && p->restart_at < 0;
        if (any) *out = (struct refusal){.partition = p, .offset = p->out_of_range_at};
    }
    pthread_mutex_unlock(&f->mutex);
    return any;
}

// Goes on at `offset`; messages from there on are the next ones after the refused place.
static void go_on_at(struct kafka_watch *w, const struct refusal *r, int64_t offset) {
    struct kafka_fetch *f = w->fetch;
    struct kafka_partition *p = r->partition;
    pthread_mutex_lock(&f->mutex);
    if (p->out_of_range_at == r->offset) {
        p->out_of_range_at = -1;
        if (offset < r->offset) kafka_fetch_rewind_locked(p, r->offset, offset, 0);
        kafka_fetch_resume(p, offset);
    }
    pthread_mutex_unlock(&f->mutex);
}

static enum status settle_refusal(struct kafka_watch *w, const struct refusal *r, struct error *e) {
    const struct kafka_partition *p = r->partition;
    bool fail = w->config.topics->fail_on_data_loss;
    int64_t low, high;
    TRY(kafka_query_bounds(&w->asking, p->topic, p->partition, &low, &high, e));
    if (r->offset < low) {
        TRY(kafka_data_loss(fail, w->config.log, "START_OFFSET_RESET", e, "Starting offset for %s was %lld but the earliest that is left is %lld: %lld messages or fewer are gone",
                            p->name, (long long)r->offset, (long long)low, (long long)(low - r->offset)));
        go_on_at(w, r, low);
    } else if (r->offset > high) {
        TRY(kafka_data_loss(fail, w->config.log, "PARTITION_OFFSET_CHANGED", e,
                            "Partition %s was read up to offset %lld and now ends at %lld: the topic was deleted and made anew, or a broker has lost its end", p->name,
                            (long long)r->offset, (long long)high));
        go_on_at(w, r, low);
    } else {
        go_on_at(w, r, r->offset);
    }
    return STATUS_OK;
}

static void settle_refusals(struct kafka_watch *w) {
    struct refusal r;
    struct error e = {0};
    while (next_refusal(w->fetch, &r)) {
        enum status status = settle_refusal(w, &r, &e);
        if (status == STATUS_OK) continue;
        if (status != STATUS_UNREACHABLE) kafka_fetch_fail(w->fetch, &e);
        return;
    }
}

// --- partitions that come and go ---

// Which of what is there is known already; what is known and not there any more, a few times in a row, is lost: brokers that start do not know
// everything at once.
static enum status compare(struct kafka_watch *w, const struct kafka_offsets *there, bool *known, struct error *e) {
    struct kafka_fetch *f = w->fetch;
    enum status status = STATUS_OK;
    w->is_unsure = false;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->partitions.count && status == STATUS_OK; i++) {
        struct kafka_partition *p = *(struct kafka_partition **)vector_at(&f->partitions, i);
        const struct kafka_offset *found = kafka_offsets_find(there, p->topic, p->partition);
        p->missing_count = found ? 0 : p->missing_count + 1;
        if (found) known[found - there->items] = true;
        if (found && p->is_deleted) log_write(w->config.log, LOG_WARN, "source `%s`: %s is there again", w->config.table_name, p->name);
        if (found) p->is_deleted = false;
        w->is_unsure |= !found && p->missing_count < MISSING_LOOKS;
        if (p->missing_count != MISSING_LOOKS || p->is_deleted) continue;
        p->is_deleted = true;
        int64_t end = p->end;
        pthread_mutex_unlock(&f->mutex);
        status = kafka_data_loss(w->config.topics->fail_on_data_loss, w->config.log, "PARTITIONS_DELETED", e, "Partition %s, fetched up to offset %lld, has been deleted", p->name, (long long)end);
        pthread_mutex_lock(&f->mutex);
    }
    pthread_mutex_unlock(&f->mutex);
    return status;
}

static enum status note_found(struct kafka_watch *w, const struct kafka_offset *o, struct error *e) {
    bool known = false;
    enum status status = STATUS_OK;
    pthread_mutex_lock(&w->mutex);
    for (size_t i = 0; i < w->found.count && !known; i++) {
        const struct kafka_offset *other = vector_at(&w->found, i);
        known = other->partition == o->partition && strcmp(other->topic, o->topic) == 0;
    }
    if (!known) {
        struct kafka_offset copy = {.topic = arena_strdup(&w->arena, o->topic), .partition = o->partition};
        status = copy.topic ? vector_push(&w->found, &copy) : STATUS_NO_MEMORY;
    }
    pthread_mutex_unlock(&w->mutex);
    if (known) return STATUS_OK;
    log_write(w->config.log, LOG_INFO, "source `%s`: partition %s-%d is new; it is read from its beginning", w->config.table_name, o->topic, o->partition);
    if (w->config.wake) notify_raise(w->config.wake);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

// A topic of the same name with another id: all that was read of it was another one's, whatever offsets it has by now.
static enum status compare_id(struct kafka_watch *w, const struct kafka_offset *o, int64_t id, struct error *e) {
    struct kafka_partition *p;
    int64_t low, high;
    TRY(kafka_fetch_partition(w->fetch, o->topic, o->partition, &p, e));
    if (kafka_fetch_identify(w->fetch, p, id)) return STATUS_OK;
    TRY(kafka_query_bounds(&w->asking, p->topic, p->partition, &low, &high, e));
    TRY(kafka_data_loss(w->config.topics->fail_on_data_loss, w->config.log, "PARTITION_OFFSET_CHANGED", e,
                        "Partition %s is another one than was read: its topic was deleted and made anew; it has offsets %lld to %lld now", p->name, (long long)low,
                        (long long)high));
    kafka_fetch_rewind(w->fetch, p, 0, low, id);
    return STATUS_OK;
}

static enum status look_in(struct kafka_watch *w, struct arena *a, struct error *e) {
    struct kafka_offsets there, missing;
    TRY(kafka_topics_list(w->config.topics, &w->asking, a, &there, &missing, e));
    bool *known = arena_alloc_array(a, (size_t)there.count + 1, sizeof *known);
    int64_t *ids = arena_alloc_array(a, (size_t)there.count + 1, sizeof *ids);
    if (!known || !ids) return error_no_memory(e);
    kafka_topic_ids(&w->asking, &there, ids);
    TRY(compare(w, &there, known, e));
    for (uint32_t i = 0; i < there.count; i++) TRY(known[i] ? compare_id(w, &there.items[i], ids[i], e) : note_found(w, &there.items[i], e));
    return STATUS_OK;
}

static void look(struct kafka_watch *w) {
    struct arena a;
    struct error e = {0};
    arena_init(&a, w->config.memory);
    enum status status = look_in(w, &a, &e);
    arena_release(&a);
    bool slow = status == STATUS_UNREACHABLE && w->config.topics->selection == KAFKA_SUBSCRIBE_PATTERN;  // the list of all topics may be long
    w->asking.longest_ms = slow && w->asking.longest_ms < QUESTION_MS_MAX ? w->asking.longest_ms * 2 : slow ? QUESTION_MS_MAX : QUESTION_MS;
    if (status != STATUS_OK && status != STATUS_UNREACHABLE) kafka_fetch_fail(w->fetch, &e);
}

// --- the thread ---

static bool wait_for_work(struct kafka_watch *w, int64_t until_us, bool *trouble) {
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    pthread_mutex_lock(&w->mutex);
    struct timespec breath = {.tv_sec = (clock_monotonic_us() + BREATH_US) / 1000000, .tv_nsec = (clock_monotonic_us() + BREATH_US) % 1000000 * 1000};
    while (w->trouble && !w->closing && pthread_cond_timedwait(&w->changed, &w->mutex, &breath) == 0) continue;
    while (!w->closing && !w->trouble && clock_monotonic_us() < until_us) {
        if (until_us == INT64_MAX) pthread_cond_wait(&w->changed, &w->mutex);
        else pthread_cond_timedwait(&w->changed, &w->mutex, &until);
    }
    *trouble = w->trouble;
    w->trouble = false;
    bool go = !w->closing;
    pthread_mutex_unlock(&w->mutex);
    return go;
}

static void *run(void *context) {
    struct kafka_watch *w = context;
    struct refusal r;
    int64_t interval_us = w->config.interval_us ? w->config.interval_us : INT64_MAX;
    int64_t next_us = interval_us == INT64_MAX ? INT64_MAX : clock_monotonic_us() + interval_us;
    bool trouble;
    while (wait_for_work(w, next_us, &trouble)) {
        settle_refusals(w);
        if (interval_us != INT64_MAX || trouble || w->is_unsure) look(w);
        next_us = interval_us == INT64_MAX ? INT64_MAX : clock_monotonic_us() + interval_us;
        if (next_refusal(w->fetch, &r) || w->is_unsure) next_us = clock_monotonic_us() + TROUBLE_PAUSE_US;
    }
    return NULL;
}

enum status kafka_watch_start(struct kafka_watch *w, struct kafka_fetch *f, struct error *e) {
    w->fetch = f;
    int failed = pthread_create(&w->thread, NULL, run, w);
    w->has_thread = !failed;
    return failed ? error_set_errno(e, failed, "no thread can be started") : STATUS_OK;
}

void kafka_watch_stop(struct kafka_watch *w) {
    if (!w || !w->has_thread) return;
    atomic_store(&w->asking.closing, true);
    pthread_mutex_lock(&w->mutex);
    w->closing = true;
    pthread_cond_signal(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    pthread_join(w->thread, NULL);
    w->has_thread = false;
}

void kafka_watch_free(struct kafka_watch *w) {
    if (!w) return;
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    vector_release(&w->found);
    arena_release(&w->arena);
    memory_free(w->config.memory, w, sizeof *w);
}
