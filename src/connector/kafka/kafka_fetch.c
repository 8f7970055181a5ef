// SPDX-License-Identifier: Apache-2.0
// kafka_fetch.c: see kafka_fetch.h.
//
// Each partition has a queue of its own in the client, so that one whose window is full holds up no other: its queue is left alone until there
// is room, and the client stops fetching it by itself. The thread sleeps on one eventfd, which the client writes when an empty queue gets
// something and we write when a position is asked for or room was made. It never polls.
//
// Seeking is stopping and starting a partition in the client: what is still on its way from before is dropped by the client, which compares
// versions, before it can reach us.
#include "connector/kafka/kafka_probe.h"
#include "base/clock.h"
#include <errno.h>
#include <time.h>

enum { SEGMENT_MIN = 16 << 10, SEGMENT_MAX = 1 << 20, FETCH_BATCH = 512, DRAIN_ROUNDS = 16, SILENCE_US = 10000000, STOP_US = 300000, WAIT_STEP_US = 100000, FORWARD_PAUSE_US = 3000000 };

static void wake_thread(struct kafka_fetch *f) { notify_raise(&f->event); }

// Wakes whoever waits for this source. Under the lock.
static void tell_engine(struct kafka_fetch *f) {
    pthread_cond_broadcast(&f->changed);
    f->news++;
    if (!f->engine_waits || !f->config.wake) return;
    f->engine_waits = false;
    notify_raise(f->config.wake);
}

static void fail_locked(struct kafka_fetch *f, const struct error *e) {
    if (f->fatal.status == STATUS_OK) f->fatal = *e;
    f->engine_waits = true;
    tell_engine(f);
}

void kafka_fetch_fail(struct kafka_fetch *f, const struct error *e) {
    pthread_mutex_lock(&f->mutex);
    fail_locked(f, e);
    pthread_mutex_unlock(&f->mutex);
}

// --- windows ---

static void drop_segment(struct kafka_partition *p) {
    struct kafka_segment *s = p->first;
    struct memory *memory = p->fetch->config.memory;
    p->first = s->next;
    if (!p->first) p->last = NULL;
    p->window_bytes -= s->block->capacity_bytes;
    p->fetch->window_bytes -= s->block->capacity_bytes;
    buffer_unref(s->block);
    memory_free(memory, s, sizeof *s);
}

// Gives back what lies wholly below; a segment that is being filled stays until the thread is done with it. Under the lock.
static void give_back(struct kafka_partition *p, int64_t below) {
    bool any = false;
    p->wanted_from = below;
    while (p->first && (p->first != p->last || (!p->is_filling && p->first->count)) && p->first->last_offset < below) {
        p->begin = p->first->last_offset + 1;
        drop_segment(p);
        any = true;
    }
    if (!p->first && any) {
        p->tail = NULL;
        if (p->next_capacity > SEGMENT_MIN) p->next_capacity /= 2;
    }
    if (any) wake_thread(p->fetch);
}

static const struct kafka_reader *lowest_reader(const struct kafka_partition *p) {
    const struct kafka_reader *lowest = p->readers;
    for (const struct kafka_reader *r = lowest; r; r = r->next_reader) {
        if (r->next < lowest->next) lowest = r;
    }
    return lowest;
}

// May more of this partition be taken? Half of the memory is for whoever comes first, the rest in equal parts; the lowest reader never waits
// for others' room. Under the lock.
static bool has_room(const struct kafka_partition *p) {
    const struct kafka_fetch *f = p->fetch;
    const struct kafka_reader *lowest = lowest_reader(p);
    if (lowest && lowest->waiting) return true;
    if (f->window_bytes >= f->config.window_bytes) return false;
    return f->window_bytes < f->config.window_bytes / 2 || p->window_bytes < f->config.window_bytes / f->partitions.count;
}

// --- the fetch thread ---

static void publish(struct kafka_partition *p) {
    struct kafka_fetch *f = p->fetch;
    pthread_mutex_lock(&f->mutex);
    if (p->tail && p->tail->count != p->tail_count) {
        p->tail->count = p->tail_count;
        p->tail->used_bytes = p->tail_bytes;
        p->tail->last_offset = segment_message(p->tail, p->tail_count - 1)->offset;
    }
    bool news = p->end != p->tail_end;
    if (news) p->end = p->tail_end;
    if (news) tell_engine(f);
    pthread_mutex_unlock(&f->mutex);
}

static void fail_no_memory(struct kafka_fetch *f) {
    struct error e;
    (void)error_no_memory(&e);
    kafka_fetch_fail(f, &e);
}

// A new segment with room for a message of so many bytes. What is in the last one is published first.
static bool add_segment(struct kafka_partition *p, size_t message_bytes) {
    struct kafka_fetch *f = p->fetch;
    size_t capacity = p->next_capacity < SEGMENT_MIN ? SEGMENT_MIN : p->next_capacity;
    if (capacity < message_bytes + sizeof(struct kafka_message)) capacity = (message_bytes + sizeof(struct kafka_message) + 15) & ~(size_t)15;
    struct kafka_segment *s = memory_alloc_zeroed(f->config.memory, sizeof *s);
    if (s && !(s->block = buffer_new(f->config.memory, capacity))) memory_free(f->config.memory, s, sizeof *s), s = NULL;
    if (!s) {
        fail_no_memory(f);
        return false;
    }
    publish(p);
    pthread_mutex_lock(&f->mutex);
    if (p->last) p->last->next = s;
    else p->first = s;
    p->last = s;
    p->window_bytes += s->block->capacity_bytes;
    f->window_bytes += s->block->capacity_bytes;
    if (p->first != s && p->next_capacity < SEGMENT_MAX) p->next_capacity *= 2;
    pthread_mutex_unlock(&f->mutex);
    p->tail = s;
    p->tail_count = 0;
    p->tail_bytes = 0;
    return true;
}

static uint8_t *put_bytes(uint8_t *out, const void *bytes, size_t size_bytes) {
    if (size_bytes) memcpy(out, bytes, size_bytes);
    return out + size_bytes;
}

static uint8_t *put_size(uint8_t *out, const void *bytes, size_t size_bytes) {
    uint32_t size = bytes ? (uint32_t)size_bytes : KAFKA_NULL_BYTES;
    return put_bytes(out, &size, sizeof size);
}

static size_t headers_bytes(const rd_kafka_headers_t *headers, uint16_t *count) {
    const char *name;
    const void *value;
    size_t size, total = 0;
    for (*count = 0; *count < UINT16_MAX && rd_kafka_header_get_all(headers, *count, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; ++*count) {
        total += 2 * sizeof(uint32_t) + strlen(name) + (value ? size : 0);
    }
    return total;
}

static uint8_t *put_headers(uint8_t *out, const rd_kafka_headers_t *headers, uint16_t count) {
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; i < count && rd_kafka_header_get_all(headers, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        out = put_size(out, name, strlen(name));
        out = put_bytes(out, name, strlen(name));
        out = put_size(out, value, size);
        if (value) out = put_bytes(out, value, size);
    }
    return out;
}

bool kafka_fetch_store(struct kafka_partition *p, const rd_kafka_message_t *m) {
    if (m->offset < p->tail_end) return true;  // the front of a batch that was entered in its middle
    rd_kafka_headers_t *headers = NULL;
    rd_kafka_timestamp_type_t type;
    struct kafka_message message = {.offset = m->offset, .key_bytes = m->key ? (uint32_t)m->key_len : KAFKA_NULL_BYTES,
                                    .value_bytes = m->payload ? (uint32_t)m->len : KAFKA_NULL_BYTES};
    size_t key_bytes = m->key ? m->key_len : 0, value_bytes = m->payload ? m->len : 0, header_bytes = 0;
    if (p->fetch->config.headers && rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) header_bytes = headers_bytes(headers, &message.header_count);
    message.header_bytes = (uint32_t)header_bytes;
    message.timestamp_ms = rd_kafka_message_timestamp(m, &type);
    message.timestamp_type = (int8_t)((int)type - 1);
    size_t size_bytes = key_bytes + value_bytes + header_bytes;
    size_t taken = p->tail ? p->tail_bytes + ((size_t)p->tail_count + 1) * sizeof message : 0;
    if ((!p->tail || taken + size_bytes > p->tail->block->capacity_bytes) && !add_segment(p, size_bytes)) return false;
    uint8_t *out = p->tail->block->data + p->tail_bytes;
    message.bytes = out;
    out = put_bytes(out, m->key, key_bytes);
    out = put_bytes(out, m->payload, value_bytes);
    if (headers) put_headers(out, headers, message.header_count);
    *segment_message(p->tail, p->tail_count++) = message;
    p->tail_bytes += size_bytes;
    p->tail_end = m->offset + 1;
    return true;
}

static void note_reason(struct kafka_partition *p, const char *reason) {
    pthread_mutex_lock(&p->fetch->mutex);
    snprintf(p->reason, sizeof p->reason, "%s", reason ? reason : "");
    pthread_mutex_unlock(&p->fetch->mutex);
}

void kafka_fetch_stop(struct kafka_partition *p) {
    if (p->is_started) rd_kafka_consume_stop(p->handle, p->partition);
    p->is_started = false;
}

static bool start_partition(struct kafka_partition *p, int64_t offset) {
    p->is_started = rd_kafka_consume_start_queue(p->handle, p->partition, offset, p->queue) == 0;
    if (!p->is_started) note_reason(p, rd_kafka_err2str(rd_kafka_last_error()));
    return p->is_started;
}

// From inside the loop over messages: what is left of them is from before.
void kafka_fetch_reposition(struct kafka_partition *p, int64_t offset) {
    kafka_fetch_stop(p);
    p->is_discarding = true;
    start_partition(p, offset);
}

// The client's word on a partition, in the place of a message.
static void handle_event(struct kafka_partition *p, const rd_kafka_message_t *m) {
    struct kafka_fetch *f = p->fetch;
    bool trouble = false;
    if (kafka_is_unreadable(m->err)) {
        kafka_probe_begin(p, m);
        return;
    }
    switch (m->err) {
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        if (m->offset > p->tail_end) p->tail_end = m->offset;
        return;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        kafka_fetch_stop(p);
        p->is_discarding = true;
        pthread_mutex_lock(&f->mutex);
        p->out_of_range_at = p->tail_end;
        pthread_mutex_unlock(&f->mutex);
        trouble = true;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED: {
        struct error e;
        char what[400];
        snprintf(what, sizeof what, "reading %s at offset %lld", p->name, (long long)p->tail_end);
        (void)kafka_error(f->config.client, m->err, rd_kafka_message_errstr(m), what, &e);
        kafka_fetch_fail(f, &e);
        break;
    }
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION: trouble = true; break;
    default: break;
    }
    note_reason(p, rd_kafka_message_errstr(m));
    if (trouble && f->config.trouble) f->config.trouble(f->config.trouble_context);
}

// Drops the window and asks the client for another offset. Under the lock, which is released meanwhile.
static void restart(struct kafka_partition *p) {
    struct kafka_fetch *f = p->fetch;
    while (p->first) drop_segment(p);
    int64_t offset = p->restart_at;
    p->restart_at = -1;
    p->begin = p->end = p->wanted_from = offset;
    p->out_of_range_at = p->resume_at = -1;
    p->progress_us = clock_monotonic_us();
    p->tail = NULL;
    p->probe.is_active = p->probe.is_storing = false;
    p->tail_end = offset;
    p->next_capacity = SEGMENT_MIN;
    pthread_mutex_unlock(&f->mutex);
    kafka_fetch_stop(p);
    start_partition(p, offset);
    pthread_mutex_lock(&f->mutex);
}

// Goes on where there is something left; the window stays. Under the lock, which is released meanwhile.
static void resume(struct kafka_partition *p) {
    struct kafka_fetch *f = p->fetch;
    p->tail_end = p->end = p->resume_at;
    p->resume_at = -1;
    p->probe.is_active = p->probe.is_storing = false;
    tell_engine(f);
    pthread_mutex_unlock(&f->mutex);
    kafka_fetch_stop(p);
    start_partition(p, p->tail_end);
    pthread_mutex_lock(&f->mutex);
}

static bool begin_filling(struct kafka_partition *p) {
    struct kafka_fetch *f = p->fetch;
    pthread_mutex_lock(&f->mutex);
    if (p->restart_at >= 0) restart(p);
    else if (p->resume_at >= 0) resume(p);
    p->is_filling = !f->closing && f->fatal.status == STATUS_OK && has_room(p) && atomic_exchange(&p->ready, false);
    pthread_mutex_unlock(&f->mutex);
    p->is_discarding = false;
    return p->is_filling;
}

static void end_filling(struct kafka_partition *p, bool answered) {
    publish(p);
    pthread_mutex_lock(&p->fetch->mutex);
    p->is_filling = false;
    if (answered) p->progress_us = clock_monotonic_us();
    give_back(p, p->wanted_from);
    pthread_mutex_unlock(&p->fetch->mutex);
}

// Takes what a partition's queue holds, as long as there is room, and not for ever: others wait too.
static void drain(struct kafka_partition *p) {
    struct kafka_fetch *f = p->fetch;
    for (int i = 0; i < DRAIN_ROUNDS; i++) {
        if (!begin_filling(p)) return;
        if (p->probe.is_storing) {
            kafka_probe_store(p);
            atomic_store(&p->ready, true);
            end_filling(p, true);
            continue;
        }
        ssize_t n = rd_kafka_consume_batch_queue(p->queue, 0, f->messages, FETCH_BATCH);
        if (n > 0) kafka_client_up(f->config.client);
        for (ssize_t k = 0; k < n; k++) {
            const rd_kafka_message_t *m = f->messages[k];
            if (p->is_discarding) (void)m;
            else if (p->probe.is_active) kafka_probe_answer(p, m);
            else if (m->err) handle_event(p, m);
            else (void)kafka_fetch_store(p, m);
            rd_kafka_message_destroy(f->messages[k]);
        }
        if (n > 0) atomic_store(&p->ready, true);  // until it is empty: the client speaks up for an empty queue only
        end_filling(p, n > 0);
        if (n <= 0) return;
    }
    wake_thread(f);
}

static void *run(void *context) {
    struct kafka_fetch *f = context;
    for (;;) {
        (void)notify_wait(&f->event, -1);
        if (atomic_exchange(&f->main_ready, false)) rd_kafka_poll(f->config.client->rk, 0);
        for (size_t i = 0;; i++) {
            pthread_mutex_lock(&f->mutex);
            bool closing = f->closing;
            struct kafka_partition *p = i < f->partitions.count ? *(struct kafka_partition **)vector_at(&f->partitions, i) : NULL;
            bool work = p && (p->restart_at >= 0 || p->resume_at >= 0 || atomic_load(&p->ready));
            pthread_mutex_unlock(&f->mutex);
            if (closing) return NULL;
            if (!p) break;
            if (work) drain(p);
        }
    }
}

// --- life ---

static void on_queue(rd_kafka_t *rk, void *context) {
    struct kafka_partition *p = context;
    (void)rk;
    atomic_store(&p->ready, true);
    wake_thread(p->fetch);
}

static void on_main_queue(rd_kafka_t *rk, void *context) {
    struct kafka_fetch *f = context;
    (void)rk;
    atomic_store(&f->main_ready, true);
    wake_thread(f);
}

enum status kafka_fetch_new(const struct kafka_fetch_config *c, struct kafka_fetch **out, struct error *e) {
    struct kafka_fetch *f = memory_alloc_zeroed(c->memory, sizeof *f);
    if (!f) return error_no_memory(e);
    f->config = *c;
    f->event.fd = -1;
    arena_init(&f->arena, c->memory);
    vector_init(&f->partitions, c->memory, sizeof(struct kafka_partition *));
    pthread_mutex_init(&f->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&f->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    f->messages = arena_alloc_array(&f->arena, FETCH_BATCH, sizeof(rd_kafka_message_t *));
    enum status status = f->messages ? notify_init(&f->event, e) : error_no_memory(e);
    if (status == STATUS_OK) {
        f->main_queue = rd_kafka_queue_get_main(c->client->rk);
        rd_kafka_queue_cb_event_enable(f->main_queue, on_main_queue, f);
        on_main_queue(NULL, f);  // what came before
        int failed = pthread_create(&f->thread, NULL, run, f);
        f->has_thread = !failed;
        if (failed) status = error_set_errno(e, failed, "no thread can be started");
    }
    if (status != STATUS_OK) {
        kafka_fetch_free(f);
        return status;
    }
    *out = f;
    return STATUS_OK;
}

static void free_partition(struct kafka_partition *p) {
    rd_kafka_queue_cb_event_enable(p->queue, NULL, NULL);
    kafka_fetch_stop(p);
    while (p->first) drop_segment(p);
    rd_kafka_queue_destroy(p->queue);
    rd_kafka_topic_destroy(p->handle);
}

void kafka_fetch_free(struct kafka_fetch *f) {
    if (!f) return;
    pthread_mutex_lock(&f->mutex);
    f->closing = true;
    pthread_mutex_unlock(&f->mutex);
    if (f->has_thread) {
        wake_thread(f);
        pthread_join(f->thread, NULL);
    }
    for (size_t i = 0; i < f->partitions.count; i++) free_partition(*(struct kafka_partition **)vector_at(&f->partitions, i));
    if (f->main_queue) {
        rd_kafka_queue_cb_event_enable(f->main_queue, NULL, NULL);
        rd_kafka_queue_destroy(f->main_queue);
    }
    if (f->event.fd >= 0) notify_release(&f->event);
    pthread_cond_destroy(&f->changed);
    pthread_mutex_destroy(&f->mutex);
    vector_release(&f->partitions);
    arena_release(&f->arena);
    memory_free(f->config.memory, f, sizeof *f);
}

static uint32_t id_of(const char *topic, int32_t partition) {
    uint32_t hash = 2166136261u;  // FNV-1a: rows of two topics are to differ in it (uuid() and rand() are drawn from it)
    for (const char *c = topic; *c; c++) hash = (hash ^ (uint8_t)*c) * 16777619u;
    return (hash << 12) + (uint32_t)partition;
}

static struct kafka_partition *make_partition(struct kafka_fetch *f, const char *topic, int32_t partition) {
    struct kafka_partition *p = arena_alloc_zeroed(&f->arena, sizeof *p);
    if (!p || !(p->topic = arena_strdup(&f->arena, topic)) || kafka_partition_name(&f->arena, topic, partition, &p->name) != STATUS_OK) return NULL;
    p->partition = partition;
    p->id = id_of(topic, partition);
    p->fetch = f;
    p->next_capacity = SEGMENT_MIN;
    p->begin = p->end = p->restart_at = p->resume_at = p->out_of_range_at = p->rewound_above = p->rewound_end = -1;
    p->handle = rd_kafka_topic_new(f->config.client->rk, topic, NULL);
    p->queue = rd_kafka_queue_new(f->config.client->rk);
    if (!p->handle) return NULL;
    rd_kafka_queue_cb_event_enable(p->queue, on_queue, p);
    return vector_push(&f->partitions, &p) == STATUS_OK ? p : NULL;
}

enum status kafka_fetch_partition(struct kafka_fetch *f, const char *topic, int32_t partition, struct kafka_partition **out, struct error *e) {
    *out = NULL;
    pthread_mutex_lock(&f->mutex);
    for (size_t i = 0; i < f->partitions.count && !*out; i++) {
        struct kafka_partition *p = *(struct kafka_partition **)vector_at(&f->partitions, i);
        if (p->partition == partition && strcmp(p->topic, topic) == 0) *out = p;
    }
    if (!*out) *out = make_partition(f, topic, partition);
    pthread_mutex_unlock(&f->mutex);
    return *out ? STATUS_OK : error_no_memory(e);
}

// --- what others ask for ---

static void seek(struct kafka_partition *p, int64_t offset) {
    if (p->restart_at == offset) return;
    p->restart_at = offset;
    wake_thread(p->fetch);
}

void kafka_fetch_resume(struct kafka_partition *p, int64_t offset) {
    if (offset < p->end) p->restart_at = offset;
    else p->resume_at = offset;
    wake_thread(p->fetch);
}

void kafka_fetch_rewind_locked(struct kafka_partition *p, int64_t above, int64_t offset, int64_t topic_id) {
    p->rewound_above = topic_id ? 0 : above;
    p->rewound_to = offset;
    p->rewound_end = -1;
    p->rewound_by_id = topic_id != 0;
    p->topic_id = topic_id;
}

void kafka_fetch_rewind(struct kafka_fetch *f, struct kafka_partition *p, int64_t above, int64_t offset, int64_t topic_id) {
    pthread_mutex_lock(&f->mutex);
    kafka_fetch_rewind_locked(p, above, offset, topic_id);
    p->out_of_range_at = -1;
    seek(p, offset);
    tell_engine(f);
    pthread_mutex_unlock(&f->mutex);
}

bool kafka_fetch_identify(struct kafka_fetch *f, struct kafka_partition *p, int64_t topic_id) {
    pthread_mutex_lock(&f->mutex);
    bool same = !topic_id || !p->topic_id || p->topic_id == topic_id;
    if (same && topic_id) p->topic_id = topic_id;
    pthread_mutex_unlock(&f->mutex);
    return same;
}

int64_t kafka_fetch_topic_id(struct kafka_fetch *f, const struct kafka_partition *p) {
    pthread_mutex_lock(&f->mutex);
    int64_t topic_id = p->topic_id;
    pthread_mutex_unlock(&f->mutex);
    return topic_id;
}

static bool is_another_topic(const struct kafka_partition *p, int64_t topic_id) { return topic_id && p->topic_id && topic_id != p->topic_id; }

void kafka_fetch_prepare(struct kafka_fetch *f, struct kafka_partition *p, int64_t offset) {
    pthread_mutex_lock(&f->mutex);
    if (p->begin < 0 && p->restart_at < 0) seek(p, offset);
    pthread_mutex_unlock(&f->mutex);
}

static bool covers(const struct kafka_partition *p, int64_t offset) { return p->restart_at < 0 && p->begin >= 0 && p->begin <= offset && offset <= p->end; }

// The first message at or above an offset.
static uint32_t find_message(const struct kafka_segment *s, int64_t offset) {
    uint32_t low = 0, high = s->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (segment_message(s, middle)->offset < offset) low = middle + 1;
        else high = middle;
    }
    return low;
}

static inline size_t message_bytes(const struct kafka_message *m) {
    return (m->key_bytes == KAFKA_NULL_BYTES ? 0 : m->key_bytes) + (m->value_bytes == KAFKA_NULL_BYTES ? 0 : m->value_bytes) + (size_t)m->header_bytes;
}

// How far [from, stop) goes with so many messages and bytes: at least one message if there is one.
static int64_t cut(const struct kafka_partition *p, int64_t from, int64_t stop, int64_t row_limit, int64_t size_limit, int64_t *rows, int64_t *size) {
    int64_t end = from;
    *rows = *size = 0;
    for (const struct kafka_segment *s = p->first; s && *rows < row_limit; s = s->next) {
        if (!s->count || s->last_offset < from) continue;
        bool whole = segment_message(s, 0)->offset >= from && s->last_offset < stop;
        if (whole && *rows + s->count <= row_limit && *size + (int64_t)s->used_bytes <= size_limit) {
            *rows += s->count;
            *size += (int64_t)s->used_bytes;
            end = s->last_offset + 1;
            continue;
        }
        for (uint32_t i = find_message(s, from); i < s->count; i++) {
            const struct kafka_message *m = segment_message(s, i);
            int64_t bytes = (int64_t)message_bytes(m);
            if (m->offset >= stop || *rows == row_limit || (*rows && *size + bytes > size_limit)) return end;
            ++*rows;
            *size += bytes;
            end = m->offset + 1;
        }
    }
    return end;
}

// Is the window where this offer needs it? Otherwise it is on its way, unless somebody is reading elsewhere.
static bool position(struct kafka_offer *o, int64_t now_us) {
    struct kafka_partition *p = o->partition;
    if (covers(p, o->begin)) {
        p->touched_us = now_us;
        return true;
    }
    bool forward = p->begin >= 0 && o->begin > (p->restart_at >= 0 ? p->restart_at : p->end);
    if (p->readers || (forward && now_us - p->touched_us < FORWARD_PAUSE_US)) return false;  // another flow, further back, is on its way here
    p->touched_us = now_us;
    seek(p, o->begin);
    return false;
}

static void share_out(struct kafka_offer *offers, uint32_t count, uint32_t turn, int64_t row_limit, int64_t size_limit) {
    int64_t rows, size;
    for (int round = 0; round < 2; round++) {  // equal parts, then what some did not need
        for (uint32_t i = 0; i < count && row_limit > 0 && size_limit > 0; i++) {
            struct kafka_offer *o = &offers[(i + turn) % count];
            if (o->rows < 0) continue;
            int64_t left = round ? 1 : count - i, begin = o->end;
            int64_t row_part = (row_limit + left - 1) / left, size_part = (size_limit + left - 1) / left;
            o->end = cut(o->partition, begin, o->stop, row_part, size_part, &rows, &size);
            o->rows += rows;
            row_limit -= rows;
            size_limit -= size;
        }
    }
}

static bool is_done(const struct kafka_offer *o) {
    const struct kafka_partition *p = o->partition;
    int64_t rows, size;
    if (o->begin >= o->stop || p->is_deleted) return true;
    if (o->stop == INT64_MAX || !covers(p, o->begin) || p->end < o->stop) return false;
    (void)cut(p, o->begin, o->stop, 1, INT64_MAX, &rows, &size);
    return rows == 0;
}

enum status kafka_fetch_offer(struct kafka_fetch *f, struct kafka_offer *offers, uint32_t count, int64_t row_limit, int64_t size_limit, struct error *e) {
    int64_t now_us = clock_monotonic_us();
    bool any = false;
    pthread_mutex_lock(&f->mutex);
    enum status status = f->fatal.status;
    if (status != STATUS_OK && e) *e = f->fatal;
    if (size_limit > (int64_t)f->config.window_bytes / 2) size_limit = (int64_t)f->config.window_bytes / 2;  // the other half comes in meanwhile
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        struct kafka_offer *o = &offers[i];
        const struct kafka_partition *p = o->partition;
        bool rewound = p->rewound_above >= 0 && o->from >= p->rewound_above;
        o->begin = o->end = rewound ? p->rewound_to : o->from;
        o->topic_id = p->topic_id;
        if (rewound && !p->rewound_by_id && o->stop > p->rewound_above) o->stop = p->rewound_above;  // readers from there on are told that it is gone
        o->rows = o->begin >= o->stop || p->is_deleted || !position(o, now_us) ? -1 : 0;
    }
    if (status == STATUS_OK && count) share_out(offers, count, f->turn++ % count, row_limit, size_limit);
    for (uint32_t i = 0; status == STATUS_OK && i < count; i++) {
        if (offers[i].rows < 0) offers[i].rows = 0;
        offers[i].is_done = is_done(&offers[i]);
        any |= offers[i].end > offers[i].begin;
    }
    if (!any) f->engine_waits = true;
    f->news_offered = f->news;
    pthread_mutex_unlock(&f->mutex);
    return status;
}

void kafka_fetch_not_enough(struct kafka_fetch *f) {
    pthread_mutex_lock(&f->mutex);
    f->engine_waits = true;
    if (f->news != f->news_offered) tell_engine(f);
    pthread_mutex_unlock(&f->mutex);
}

void kafka_fetch_committed(struct kafka_fetch *f, struct kafka_partition *p, int64_t position_) {
    pthread_mutex_lock(&f->mutex);
    if (p->rewound_above >= 0 && (position_ < p->rewound_above || position_ == p->rewound_end)) p->rewound_above = p->rewound_end = -1;
    if (!f->config.give_back_when_read && position_ <= p->end) give_back(p, position_);
    pthread_mutex_unlock(&f->mutex);
}

// --- reading ---

bool kafka_fetch_begin_range(struct kafka_fetch *f, struct kafka_partition *p, int64_t begin, int64_t end, int64_t topic_id) {
    pthread_mutex_lock(&f->mutex);
    bool same = !is_another_topic(p, topic_id), rewound = p->rewound_above >= 0;
    if (same && rewound && begin == p->rewound_to) p->rewound_end = end;
    pthread_mutex_unlock(&f->mutex);
    return same;
}

void kafka_fetch_begin_read(struct kafka_fetch *f, struct kafka_reader *r, struct kafka_partition *p, int64_t begin, int64_t topic_id) {
    *r = (struct kafka_reader){.partition = p, .next = begin, .topic_id = topic_id};
    pthread_mutex_lock(&f->mutex);
    r->next_reader = p->readers;
    p->readers = r;
    pthread_mutex_unlock(&f->mutex);
}

void kafka_fetch_end_read(struct kafka_fetch *f, struct kafka_reader *r) {
    pthread_mutex_lock(&f->mutex);
    struct kafka_reader **link = &r->partition->readers;
    while (*link != r) link = &(*link)->next_reader;
    *link = r->next_reader;
    if (r->partition->readers) pthread_cond_broadcast(&f->changed);  // another one is the lowest now
    pthread_mutex_unlock(&f->mutex);
}

void kafka_take_release(struct kafka_take *t) {
    for (size_t i = 0; i < t->slices.count; i++) buffer_unref(((struct kafka_slice *)vector_at(&t->slices, i))->block);
    vector_clear(&t->slices);
    t->row_count = 0;
}

// The reader's batch, as far as it is there. *complete: all of it is.
static enum status collect(struct kafka_reader *r, int64_t end, struct kafka_take *out, int64_t *next, bool *complete) {
    const struct kafka_partition *p = r->partition;
    size_t size = 0;
    int64_t first = -1;
    *next = r->next;
    *complete = true;
    for (const struct kafka_segment *s = p->first; s; s = s->next) {
        if (!s->count || s->last_offset < r->next) continue;
        uint32_t at = find_message(s, r->next), i = at;
        bool full = false;
        for (; i < s->count && !full; i++) {
            const struct kafka_message *m = segment_message(s, i);
            if (m->offset >= end) full = true;
            else if (out->row_count + (i - at) == BATCH_ROWS) full = true;
            else if (first >= 0 && (size + message_bytes(m) > KAFKA_BATCH_BYTES || m->offset - first > UINT32_MAX)) full = true;
            if (full) break;
            if (first < 0) first = m->offset;
            size += message_bytes(m);
            *next = m->offset + 1;
        }
        if (i > at) {
            struct kafka_slice slice = {.block = buffer_ref(s->block), .first = segment_message(s, at), .count = i - at};
            if (vector_push(&out->slices, &slice) != STATUS_OK) {
                buffer_unref(slice.block);
                return STATUS_NO_MEMORY;
            }
            out->row_count += i - at;
        }
        if (full) return STATUS_OK;
    }
    *complete = p->end >= end;
    return STATUS_OK;
}

// Waits for news; false: the broker has said nothing for too long. A signal wakes nobody here, hence the steps.
static bool wait_for_news(struct kafka_fetch *f, struct kafka_reader *r, int64_t since_us) {
    r->waiting = true;
    wake_thread(f);
    int64_t until_us = clock_monotonic_us() + WAIT_STEP_US;
    struct timespec until = {.tv_sec = until_us / 1000000, .tv_nsec = until_us % 1000000 * 1000};
    int rc = pthread_cond_timedwait(&f->changed, &f->mutex, &until);
    r->waiting = false;
    int64_t last_us = r->partition->progress_us > since_us ? r->partition->progress_us : since_us;
    int64_t limit_us = f->config.stop && atomic_load(f->config.stop) ? STOP_US : SILENCE_US;
    return rc != ETIMEDOUT || clock_monotonic_us() - last_us < limit_us;
}

static enum status silent(const struct kafka_fetch *f, const struct kafka_reader *r, int64_t since_us, struct error *e) {
    char what[400];
    const struct kafka_partition *p = r->partition;
    int64_t last_us = p->progress_us > since_us ? p->progress_us : since_us;
    snprintf(what, sizeof what, "reading %s at offset %lld: no answer for %.1f s", p->name, (long long)r->next, (double)(clock_monotonic_us() - last_us) / 1e6);
    return kafka_error(f->config.client, RD_KAFKA_RESP_ERR__TIMED_OUT, p->reason[0] ? p->reason : NULL, what, e);
}

// What was to be read is no more, and that was said: the reader gets nothing.
static bool is_gone(const struct kafka_reader *r) {
    const struct kafka_partition *p = r->partition;
    return is_another_topic(p, r->topic_id) || (p->rewound_above >= 0 && !p->rewound_by_id && r->next >= p->rewound_above);
}

static enum status take_locked(struct kafka_fetch *f, struct kafka_reader *r, int64_t end, struct kafka_take *out, struct error *e) {
    struct kafka_partition *p = r->partition;
    int64_t since_us = clock_monotonic_us(), next;
    for (;;) {
        bool complete = false;
        if (f->fatal.status != STATUS_OK) {
            *e = f->fatal;
            return f->fatal.status;
        }
        if (is_gone(r)) return STATUS_OK;
        if (covers(p, r->next)) {
            if (collect(r, end, out, &next, &complete) != STATUS_OK) return error_no_memory(e);
            if (complete) break;
            kafka_take_release(out);
        } else if (lowest_reader(p) == r) {
            seek(p, r->next);
        }
        if (!wait_for_news(f, r, since_us)) return silent(f, r, since_us, e);
    }
    p->touched_us = since_us;
    r->next = out->row_count ? next : end;
    if (f->config.give_back_when_read) give_back(p, lowest_reader(p)->next);
    return STATUS_OK;
}

enum status kafka_fetch_take(struct kafka_fetch *f, struct kafka_reader *r, int64_t end, struct kafka_take *out, struct error *e) {
    out->row_count = 0;
    if (r->next >= end) return STATUS_OK;
    pthread_mutex_lock(&f->mutex);
    enum status status = take_locked(f, r, end, out, e);
    pthread_mutex_unlock(&f->mutex);
    if (status != STATUS_OK) kafka_take_release(out);
    return status;
}
