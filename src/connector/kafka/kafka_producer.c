// SPDX-License-Identifier: Apache-2.0
// kafka_producer.c: see kafka_producer.h.
//
// No thread of its own: whoever writes or flushes serves the client's answers.
//
// Messages a broker refuses for themselves end the epoch's transaction; its next run leaves them out, and the caller makes dead rows of them:
//
//     no key, topic compacted     the topic's cleanup.policy is asked for after the first refusal, and such messages are known beforehand: two
//                                 runs however many they are, and one while what was learnt holds
//     as large as one refused     likewise not sent again
//     the broker says which       (Kafka 2.4, librdkafka 2.15) they are remembered by hash: all of the requests that were under way, at most five
//                                 of kafka.batch.size a broker
//     it does not                 the epoch is done again with one message a request. A transaction is lost with the first refusal, so that a
//                                 run finds no more than were under way, five a broker; without transactions one run finds them all
#include "connector/kafka/kafka_producer.h"
#include "connector/kafka/kafka_topics.h"
#include "base/checksum.h"
#include "base/clock.h"
#include "base/failpoint.h"

enum {
    STALL_US = 15000000,          // no answer for so long: the epoch is given back, and tried again with growing pauses
    DOWN_STALL_US = 5000000,      // likewise, where no broker is connected
    STOP_STALL_US = 2000000,      // likewise, once leat is to stop
    OPEN_WAIT_US = 10000000,
    TROUBLE_WAIT_US = 2000000,    // likewise, where a first connection has failed already
    COMMIT_WAIT_US = 20000000,
    RECORD_WAIT_MS = 5000,        // of one request to write it
    ABORT_WAIT_MS = 3000,
    SLICE_MS = 250,               // how often a long wait looks at what callbacks have found
    FULL_WAIT_MS = 5,
    TOPIC_WAIT_MS = 10000,
    TOPIC_CREATION_WAIT_US = 5000000,
    ASK_AGAIN_US = 5000000,
    TOPICS_MAX = 10000,
    REFUSED_MAX = 100000,
    LIMIT_KEPT_US = 60000000,     // what a broker said of a size or a policy holds so long
    OVERDUE_MAX = 3,              // transactions in a row that took longer than the broker allows
};

// _INVALID_DIFFERENT_RECORD, which librdkafka 2.0 has no name for: another message of the batch is the guilty one.
#define DIFFERENT_RECORD ((rd_kafka_resp_err_t)-138)

enum { POLICY_UNKNOWN, POLICY_SUSPECT, POLICY_COMPACTED, POLICY_OTHER };

struct kafka_mark {               // where a message came from
    struct kafka_parcel *parcel;
    struct kafka_topic *topic;
};

struct kafka_parcel {
    struct kafka_parcel *previous, *next;
    struct batch *batch;
    _Atomic uint32_t open;        // messages without an answer, and one for the writer
    uint32_t used, capacity;
    struct kafka_mark marks[];
};

// --- parcels ---

static size_t parcel_bytes(uint32_t capacity) { return sizeof(struct kafka_parcel) + capacity * sizeof(struct kafka_mark); }

enum status kafka_parcel_new(struct kafka_producer *p, struct batch *b, struct kafka_parcel **out, struct error *e) {
    struct kafka_parcel *parcel = memory_alloc(p->memory, parcel_bytes(b->selected_count));
    if (!parcel) return error_no_memory(e);
    *parcel = (struct kafka_parcel){.batch = batch_ref(b), .open = 1, .capacity = b->selected_count};
    pthread_mutex_lock(&p->mutex);
    parcel->next = p->parcels;
    if (p->parcels) p->parcels->previous = parcel;
    p->parcels = parcel;
    pthread_mutex_unlock(&p->mutex);
    *out = parcel;
    return STATUS_OK;
}

static void release_parcel(struct kafka_producer *p, struct kafka_parcel *parcel) {
    batch_unref(parcel->batch);
    memory_free(p->memory, parcel, parcel_bytes(parcel->capacity));
}

static void answer(struct kafka_producer *p, struct kafka_parcel *parcel) {
    if (atomic_fetch_sub(&parcel->open, 1) > 1) return;
    pthread_mutex_lock(&p->mutex);
    if (parcel->next) parcel->next->previous = parcel->previous;
    if (parcel->previous) parcel->previous->next = parcel->next;
    else p->parcels = parcel->next;
    pthread_mutex_unlock(&p->mutex);
    release_parcel(p, parcel);
}

void kafka_parcel_seal(struct kafka_producer *p, struct kafka_parcel *parcel) { answer(p, parcel); }

// --- deliveries ---

static bool minds_size(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
}

// Is it the message that a broker minds, and not the moment?
static bool minds_message(rd_kafka_resp_err_t code) {
    return minds_size(code) || code == RD_KAFKA_RESP_ERR_INVALID_RECORD || code == RD_KAFKA_RESP_ERR_INVALID_MSG || code == RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == DIFFERENT_RECORD;
}

// May it be that this topic takes no message without a key?
static bool suspects_policy(const struct kafka_topic *t, rd_kafka_resp_err_t code, bool has_key) {
    bool refused = code == RD_KAFKA_RESP_ERR_INVALID_RECORD || code == RD_KAFKA_RESP_ERR_INVALID_MSG;
    if (!refused || has_key) return false;
    int policy = atomic_load(&t->policy);
    return policy == POLICY_UNKNOWN || policy == POLICY_SUSPECT || (policy == POLICY_OTHER && clock_monotonic_us() > atomic_load(&t->policy_until_us));
}

static uint64_t hash_message(const char *topic, const void *key, size_t key_bytes, const void *value, size_t value_bytes) {
    uint64_t hash = checksum64(topic, strlen(topic), key ? 1 : 2);
    hash = checksum64(key ? key : "", key ? key_bytes : 0, hash);
    return checksum64(value ? value : "", value ? value_bytes : 0, hash + (value ? 1 : 2));
}

// What is as large or larger will be refused as well: it need not be tried.
static void note_size(struct kafka_topic *t, size_t size_bytes) {
    size_t known = atomic_load(&t->refused_bytes);
    if (!known || size_bytes < known) atomic_store(&t->refused_bytes, size_bytes);
    atomic_store(&t->refused_until_us, clock_monotonic_us() + LIMIT_KEPT_US);
}

static bool is_consequence(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || code == DIFFERENT_RECORD;
}

// Who is guilty: for sure with one message a request; else it depends on what the client says of the others in its batch. Under the lock.
static void note_refusal(struct kafka_producer *p, const rd_kafka_message_t *m, const struct kafka_mark *mark) {
    struct vector *list = p->single ? &p->refused : &p->suspects;
    if (minds_size(m->err) && p->single) note_size(mark->topic, m->len + m->key_len);
    if (suspects_policy(mark->topic, m->err, m->key != NULL)) {
        atomic_store(&mark->topic->policy, POLICY_SUSPECT);
        p->suspects_policy = true;
    }
    if (m->err == DIFFERENT_RECORD) p->is_told = true;
    else if (list->count < REFUSED_MAX) {
        struct kafka_refusal *r = vector_add(list);  // without memory for it the run after the next finds it
        if (r) *r = (struct kafka_refusal){.hash = hash_message(mark->topic->name, m->key, m->key_len, m->payload, m->len), .code = m->err};
    }
}

static void note_failure(struct kafka_producer *p, const rd_kafka_message_t *m, const struct kafka_mark *mark) {
    pthread_mutex_lock(&p->mutex);
    if (p->failure == RD_KAFKA_RESP_ERR_NO_ERROR || is_consequence(p->failure)) {
        p->failure = m->err;
        snprintf(p->failed_at, sizeof p->failed_at, "%s-%d", mark->topic->name, m->partition);
    }
    if (minds_message(m->err)) note_refusal(p, m, mark);
    pthread_mutex_unlock(&p->mutex);
    atomic_store(&p->has_failure, true);
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque) {
    struct kafka_client *c = opaque;
    struct kafka_producer *p = c->owner;
    struct kafka_mark *mark = m->_private;
    (void)rk;
    if (m->err) note_failure(p, m, mark);
    else kafka_client_up(c);
    atomic_fetch_add_explicit(&p->answered, 1, memory_order_relaxed);
    answer(p, mark->parcel);
}

// --- the client ---

static void forget_handle(struct kafka_topic *t) {
    if (t->handle) rd_kafka_topic_destroy(t->handle);
    t->handle = NULL;
}

static void drop_client(struct kafka_producer *p) {
    for (size_t i = 0; i < p->topics.entry_count; i++) {
        if (p->topics.entries[i].key) forget_handle(p->topics.entries[i].value);
    }
    bool ended = kafka_client_free(p->client);
    p->client = NULL;
    p->initialized = p->in_transaction = p->broken = p->silent = false;
    for (struct kafka_parcel *parcel = p->parcels, *next; parcel && ended; parcel = next) {  // nobody answers for these any more
        next = parcel->next;
        release_parcel(p, parcel);
    }
    p->parcels = NULL;
}

static enum status set(rd_kafka_conf_t *conf, const char *name, const char *value, struct error *e) {
    char reason[256];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK) return STATUS_OK;
    return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "librdkafka %s refuses %s: %s", rd_kafka_version_str(), name, reason);
}

static bool given(const struct kafka_producer *p, const char *name) { return option_is_set(p->options, name); }

static enum status set_producing(struct kafka_producer *p, rd_kafka_conf_t *conf, struct error *e) {
    if (p->id[0]) TRY(set(conf, "transactional.id", p->id, e));
    else if (!given(p, "kafka.enable.idempotence") && !given(p, "kafka.acks") && !given(p, "kafka.request.required.acks")) TRY(set(conf, "enable.idempotence", "true", e));
    if (!given(p, "kafka.buffer.memory") && !given(p, "kafka.queue.buffering.max.kbytes")) TRY(set(conf, "queue.buffering.max.kbytes", "32768", e));
    bool lingers = p->id[0] && !given(p, "kafka.linger.ms") && !given(p, "kafka.queue.buffering.max.ms");
    if (lingers && !p->single) TRY(set(conf, "linger.ms", "20", e));  // the end of an epoch does not wait for it
    if (p->single) {
        TRY(set(conf, "batch.num.messages", "1", e));
        TRY(set(conf, "linger.ms", "0", e));
    }
    return STATUS_OK;
}

static enum status make_client(struct kafka_producer *p, struct error *e) {
    rd_kafka_conf_t *conf;
    char timeout[32] = "";
    size_t size = sizeof timeout;
    TRY(kafka_conf_make(p->options, KAFKA_PRODUCER, p->memory, &conf, e));
    enum status status = set_producing(p, conf, e);
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
        return status;
    }
    (void)rd_kafka_conf_get(conf, "transaction.timeout.ms", timeout, &size);
    p->transaction_timeout_us = strtoll(timeout, NULL, 10) * 1000;
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    TRY(kafka_client_new(conf, KAFKA_PRODUCER, p->who, p->memory, p->log, &p->client, e));
    p->client->owner = p;
    p->client->trusted = p->worked;
    p->client->quiet = p->id[0] != 0;  // every wait of an epoch ends with an answer
    p->failure = RD_KAFKA_RESP_ERR_NO_ERROR;
    atomic_store(&p->has_failure, false);
    p->suspects_policy = p->is_told = p->is_overdue = false;
    vector_clear(&p->suspects);
    return STATUS_OK;
}

// What looks like another producer's doing may be the broker's, which ends a transaction that is open for too long. The epoch may be faster the
// next time; one that never is ends the run.
static enum status or_overdue(struct kafka_producer *p, enum status status, struct error *e) {
    int64_t open_us = clock_monotonic_us() - p->began_us;
    int64_t allowed_us = status == STATUS_CONFLICT ? p->transaction_timeout_us / 10 * 9 : status == STATUS_IO ? p->transaction_timeout_us : INT64_MAX;
    if (!p->in_transaction || open_us <= allowed_us) return status;
    if (!p->is_overdue) p->overdue_count++;
    p->is_overdue = p->broken = true;
    bool final = p->overdue_count >= OVERDUE_MAX;
    enum status given = final ? STATUS_LIMIT : STATUS_UNREACHABLE;
    (void)error_set(e, given, "LEAT_LIMIT", "%s: the broker has ended the epoch's transaction: it was open for %.1f s, and kafka.transaction.timeout.ms is %lld%s", p->who,
                    (double)open_us / 1e6, (long long)(p->transaction_timeout_us / 1000), final ? ", three times in a row" : "");
    error_set_hint(e, "raise 'kafka.transaction.timeout.ms' of the table (the broker's transaction.max.timeout.ms, 15 minutes unless set, must allow it); later epochs are shorter "
                      "with SET leat.epoch.maxRows or leat.epoch.maxBytes");
    return given;
}

// kafka_error, where the client's last word may be that it has stopped for good: it is asked why.
static enum status client_error(struct kafka_producer *p, rd_kafka_resp_err_t code, const char *reason, const char *what, struct error *e) {
    char words[512];
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(p->client->rk, words, sizeof words);
        reason = words;
        p->broken = true;
        if (!code) code = RD_KAFKA_RESP_ERR__FATAL, reason = NULL;
    }
    return or_overdue(p, kafka_error(p->client, code, reason, what, e), e);
}

static enum status check_client(struct kafka_producer *p, struct error *e) { return or_overdue(p, kafka_client_check(p->client, e), e); }

// The error of a transaction's step. What may be healed by a new producer is told as unreachable: the epoch is done again.
static enum status transaction_error(struct kafka_producer *p, rd_kafka_error_t *error, const char *what, struct error *e) {
    enum status status = client_error(p, rd_kafka_error_code(error), rd_kafka_error_string(error), what, e);
    rd_kafka_error_destroy(error);
    p->broken = true;
    bool final = status == STATUS_CONFLICT || status == STATUS_INVALID_ARGUMENT || status == STATUS_UNSUPPORTED || status == STATUS_NOT_FOUND || status == STATUS_LIMIT;
    if (!final && e) e->status = STATUS_UNREACHABLE;
    return final ? status : STATUS_UNREACHABLE;
}

enum status kafka_producer_unreachable(struct kafka_producer *p, const char *what, struct error *e) {
    char reason[sizeof p->client->reason];
    pthread_mutex_lock(&p->client->mutex);
    memcpy(reason, p->client->reason, sizeof reason);
    pthread_mutex_unlock(&p->client->mutex);
    return kafka_error(p->client, reason[0] ? RD_KAFKA_RESP_ERR__TRANSPORT : RD_KAFKA_RESP_ERR__TIMED_OUT, reason, what, e);
}

bool kafka_producer_stopping(const struct kafka_producer *p) { return p->stop && atomic_load(p->stop); }

static bool has_trouble(struct kafka_client *c) {
    pthread_mutex_lock(&c->mutex);
    bool has = c->reason[0] != 0;
    pthread_mutex_unlock(&c->mutex);
    return has;
}

static enum status init_transactions(struct kafka_producer *p, struct error *e) {
    int64_t began_us = clock_monotonic_us();
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(p->client->rk, SLICE_MS);
        while (rd_kafka_poll(p->client->rk, 0) > 0) {
        }
        if (!error) break;
        enum status fatal = kafka_client_check(p->client, e);
        int64_t patience_us = kafka_producer_stopping(p) ? 0 : has_trouble(p->client) && !atomic_load(&p->client->was_up) ? TROUBLE_WAIT_US : OPEN_WAIT_US;
        if (fatal == STATUS_OK && rd_kafka_error_is_retriable(error) && clock_monotonic_us() - began_us < patience_us) {
            rd_kafka_error_destroy(error);
            continue;
        }
        bool timed_out = rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (fatal == STATUS_OK && !timed_out) return transaction_error(p, error, "taking over the transactions", e);
        rd_kafka_error_destroy(error);
        return fatal != STATUS_OK ? fatal : kafka_producer_unreachable(p, "taking over the transactions", e);
    }
    kafka_client_up(p->client);
    p->initialized = p->worked = true;
    return STATUS_OK;
}

enum status kafka_producer_ready(struct kafka_producer *p, struct error *e) {
    if (p->client && p->broken) drop_client(p);
    if (!p->client) TRY(make_client(p, e));
    if (!p->id[0] || p->initialized) return kafka_client_check(p->client, e);
    enum status status = init_transactions(p, e);
    if (status != STATUS_OK) drop_client(p);
    return status;
}

enum status kafka_producer_new(const struct sink_request *any, const char *id, const uint8_t pipeline[16], struct kafka_producer **out, struct error *e) {
    struct kafka_producer *p = memory_alloc_zeroed(any->memory, sizeof *p);
    if (!p) return error_no_memory(e);
    p->memory = any->memory;
    p->log = any->log;
    p->options = &any->options;
    p->stop = any->stop;
    snprintf(p->who, sizeof p->who, "sink `%.140s`", any->table_name);
    snprintf(p->id, sizeof p->id, "%s", id);
    memcpy(p->pipeline, pipeline, sizeof p->pipeline);
    pthread_mutex_init(&p->mutex, NULL);
    pthread_mutex_init(&p->topic_mutex, NULL);
    map_init(&p->topics, p->memory, false);
    vector_init(&p->refused, p->memory, sizeof(struct kafka_refusal));
    vector_init(&p->suspects, p->memory, sizeof(struct kafka_refusal));
    *out = p;
    return STATUS_OK;
}

void kafka_producer_free(struct kafka_producer *p) {
    if (!p) return;
    if (p->client) kafka_producer_abort(p);
    for (size_t i = 0; i < p->topics.entry_count; i++) {
        if (p->topics.entries[i].key) memory_free(p->memory, p->topics.entries[i].value, sizeof(struct kafka_topic));
    }
    map_release(&p->topics);
    vector_release(&p->refused);
    vector_release(&p->suspects);
    pthread_mutex_destroy(&p->topic_mutex);
    pthread_mutex_destroy(&p->mutex);
    memory_free(p->memory, p, sizeof *p);
}

// --- topics ---

static enum status read_metadata(struct kafka_producer *p, struct kafka_topic *t, rd_kafka_resp_err_t *code, struct error *e) {
    struct kafka_asking asking = {.client = p->client, .stop = p->stop};
    struct kafka_question question = {0};
    char what[300];
    snprintf(what, sizeof what, "asking for topic `%.250s`", t->name);
    snprintf(question.topic, sizeof question.topic, "%s", t->name);
    rd_kafka_resp_err_t result = kafka_ask(&asking, &question, TOPIC_WAIT_MS);
    const struct rd_kafka_metadata *metadata = question.metadata;
    while (rd_kafka_poll(p->client->rk, 0) > 0) {
    }
    if (result) {
        TRY(kafka_client_check(p->client, e));
        return result == RD_KAFKA_RESP_ERR__TIMED_OUT || result == RD_KAFKA_RESP_ERR__TRANSPORT ? kafka_producer_unreachable(p, what, e) : kafka_error(p->client, result, NULL, what, e);
    }
    kafka_client_up(p->client);
    p->worked = true;
    *code = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!*code) t->partition_count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return STATUS_OK;
}

// A topic that brokers make when it is asked for takes a moment.
static enum status ask_topic(struct kafka_producer *p, struct kafka_topic *t, struct error *e) {
    int64_t give_up_us = clock_monotonic_us() + TOPIC_CREATION_WAIT_US;
    rd_kafka_resp_err_t code;
    if (!t->handle) t->handle = rd_kafka_topic_new(p->client->rk, t->name, NULL);
    if (!t->handle) return kafka_error(p->client, rd_kafka_last_error(), NULL, "making a topic's handle", e);
    for (;;) {
        TRY(read_metadata(p, t, &code, e));
        bool coming = code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
        if (!coming || clock_monotonic_us() > give_up_us) break;
        rd_kafka_poll(p->client->rk, 100);
    }
    t->asked_us = clock_monotonic_us();
    t->missing = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
    if (!code || t->missing) return STATUS_OK;
    char what[300];
    snprintf(what, sizeof what, "asking for topic `%.250s`", t->name);
    return kafka_error(p->client, code, NULL, what, e);
}

static enum status add_topic(struct kafka_producer *p, const char *name, struct kafka_topic **out, struct error *e) {
    if (p->topics.count >= TOPICS_MAX) {
        (void)error_set(e, STATUS_LIMIT, "LEAT_LIMIT", "%s: the rows name more than %d topics", p->who, TOPICS_MAX);
        error_set_hint(e, "is the `topic` column what was meant? The option `topic` sends all rows to one topic");
        return STATUS_LIMIT;
    }
    struct kafka_topic *t = memory_alloc_zeroed(p->memory, sizeof *t);
    if (!t) return error_no_memory(e);
    snprintf(t->name, sizeof t->name, "%s", name);
    if (map_set(&p->topics, name, t) != STATUS_OK) {
        memory_free(p->memory, t, sizeof *t);
        return error_no_memory(e);
    }
    *out = t;
    return STATUS_OK;
}

enum status kafka_producer_topic(struct kafka_producer *p, const char *name, size_t name_bytes, struct kafka_topic **out, struct error *e) {
    char text[256];
    if (name_bytes >= sizeof text) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "a topic's name was not checked");
    memcpy(text, name, name_bytes);
    text[name_bytes] = 0;
    enum status status = STATUS_OK;
    pthread_mutex_lock(&p->topic_mutex);
    struct kafka_topic *t = map_get(&p->topics, text);
    if (!t) status = add_topic(p, text, &t, e);
    bool ask = status == STATUS_OK && (!t->handle || (t->missing && clock_monotonic_us() - t->asked_us > ASK_AGAIN_US));
    if (ask) status = ask_topic(p, t, e);
    pthread_mutex_unlock(&p->topic_mutex);
    *out = t;
    return status;
}

enum status kafka_producer_has_partition(struct kafka_producer *p, struct kafka_topic *t, int32_t partition, bool *out, struct error *e) {
    *out = partition >= 0 && partition < atomic_load_explicit(&t->partition_count, memory_order_relaxed);
    if (*out || partition < 0) return STATUS_OK;
    enum status status = STATUS_OK;
    pthread_mutex_lock(&p->topic_mutex);
    if (clock_monotonic_us() - t->asked_us > ASK_AGAIN_US) status = ask_topic(p, t, e);  // it may have been given more of them
    pthread_mutex_unlock(&p->topic_mutex);
    *out = partition < atomic_load(&t->partition_count);
    return status;
}

enum status kafka_producer_is_empty(struct kafka_producer *p, struct kafka_topic *t, bool *out, struct error *e) {
    struct kafka_asking asking = {.client = p->client, .stop = p->stop};
    *out = true;
    for (int32_t i = 0; i < t->partition_count && *out; i++) {
        struct kafka_question question = {.partition = i, .bounds = true};
        char what[300];
        snprintf(what, sizeof what, "asking for the offsets of %.250s-%d", t->name, i);
        snprintf(question.topic, sizeof question.topic, "%s", t->name);
        rd_kafka_resp_err_t code = kafka_ask(&asking, &question, TOPIC_WAIT_MS);
        if (code) return kafka_error(p->client, code, NULL, what, e);
        *out = question.low >= question.high;
    }
    return STATUS_OK;
}

void kafka_producer_keep_record_at(struct kafka_producer *p, const char *topic) {
    pthread_mutex_lock(&p->topic_mutex);
    if (!p->record_topic[0]) snprintf(p->record_topic, sizeof p->record_topic, "%s", topic);
    pthread_mutex_unlock(&p->topic_mutex);
}

// --- an epoch ---

enum status kafka_producer_begin(struct kafka_producer *p, struct error *e) {
    TRY(failpoint("kafka.begin", e));
    TRY(kafka_producer_ready(p, e));
    if (!p->id[0]) return STATUS_OK;
    rd_kafka_error_t *error = rd_kafka_begin_transaction(p->client->rk);
    p->began_us = clock_monotonic_us();
    if (error) return transaction_error(p, error, "beginning a transaction", e);
    p->in_transaction = true;
    return STATUS_OK;
}

// Why the transaction must be aborted: its next step says so. It adds an offset to a transaction that is lost anyway.
static enum status lost_transaction(struct kafka_producer *p, const char *what, struct error *e) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, p->record_topic, 0)->offset = 0;
    rd_kafka_error_t *error = kafka_transaction_step(p->client, KAFKA_STEP_RECORD, list, p->id, SLICE_MS);
    rd_kafka_topic_partition_list_destroy(list);
    return error ? transaction_error(p, error, what, e) : STATUS_OK;
}

// What a delivery failed of. A new producer and another run of the epoch may help, unless access is denied.
static enum status delivery_error(struct kafka_producer *p, struct error *e) {
    char what[340];
    pthread_mutex_lock(&p->mutex);
    rd_kafka_resp_err_t code = p->failure;
    snprintf(what, sizeof what, "writing to %s", p->failed_at);
    bool minds = minds_message(code);
    pthread_mutex_unlock(&p->mutex);
    enum status status = client_error(p, code, NULL, what, e);
    if (p->is_overdue) return status;
    p->broken = true;
    bool purged = code == RD_KAFKA_RESP_ERR__PURGE_QUEUE || code == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
    if (purged && p->in_transaction && p->record_topic[0]) TRY(lost_transaction(p, what, e));
    if (minds) error_set_hint(e, "the epoch is done again without the messages that were refused, which become dead rows");
    if (status == STATUS_CONFLICT || status == STATUS_INVALID_ARGUMENT) return status;
    if (e) e->status = STATUS_UNREACHABLE;
    return STATUS_UNREACHABLE;
}

// Without a transaction nothing is lost with a refusal: the others are written, and the run finds all that are refused.
static bool goes_on_after_refusals(struct kafka_producer *p) {
    if (p->id[0] || !p->single) return false;
    pthread_mutex_lock(&p->mutex);
    bool minds = minds_message(p->failure);
    pthread_mutex_unlock(&p->mutex);
    return minds;
}

// Waiting for the client to get on: what its callbacks found, or that nothing moves any more.
struct patience {
    uint64_t answered;
    int64_t since_us;
};

static enum status check_patience(struct kafka_producer *p, struct patience *w, const char *what, struct error *e) {
    if (atomic_load(&p->has_failure) && !goes_on_after_refusals(p)) return delivery_error(p, e);
    TRY(check_client(p, e));
    uint64_t answered = atomic_load(&p->answered);
    int64_t now_us = clock_monotonic_us();
    if (!w->since_us || answered != w->answered) *w = (struct patience){.answered = answered, .since_us = now_us};
    int64_t limit_us = p->id[0] && atomic_load(&p->client->down) ? DOWN_STALL_US : STALL_US;
    if (kafka_producer_stopping(p) && limit_us > STOP_STALL_US) limit_us = STOP_STALL_US;
    if (now_us - w->since_us < limit_us) return STATUS_OK;
    p->broken = p->silent = true;
    return kafka_producer_unreachable(p, what, e);
}

static int compare_refusals(const void *a, const void *b) {
    const struct kafka_refusal *x = a, *y = b;
    return (x->hash > y->hash) - (x->hash < y->hash);
}

// After a run that was refused something: what the next one is to know.
static void learn(struct kafka_producer *p) {
    pthread_mutex_lock(&p->mutex);
    bool minds = minds_message(p->failure);
    if (minds && !p->single && p->is_told) {
        for (size_t i = 0; i < p->suspects.count && p->refused.count < REFUSED_MAX; i++) {
            struct kafka_refusal *r = vector_add(&p->refused);
            if (r) *r = *(const struct kafka_refusal *)vector_at(&p->suspects, i);
        }
    } else if (minds && !p->suspects_policy) p->single = true;
    if (p->refused.count) qsort(p->refused.items, p->refused.count, sizeof(struct kafka_refusal), compare_refusals);
    pthread_mutex_unlock(&p->mutex);
}

static enum status find_policy(struct kafka_producer *p, struct kafka_topic *t, struct error *e) {
    bool is_compacted = false;
    pthread_mutex_lock(&p->topic_mutex);
    int policy = atomic_load(&t->policy);
    bool ask = policy == POLICY_SUSPECT || (policy == POLICY_COMPACTED && clock_monotonic_us() > atomic_load(&t->policy_until_us));
    enum status status = ask ? kafka_producer_is_compacted(p, t, &is_compacted, e) : STATUS_OK;
    if (ask && status == STATUS_OK) {
        atomic_store(&t->policy, is_compacted ? POLICY_COMPACTED : POLICY_OTHER);
        atomic_store(&t->policy_until_us, clock_monotonic_us() + LIMIT_KEPT_US);
    }
    pthread_mutex_unlock(&p->topic_mutex);
    return status;
}

// A message without a key: is the topic known to be compacted?
static enum status check_keyless(struct kafka_producer *p, struct kafka_topic *t, rd_kafka_resp_err_t *refusal, struct error *e) {
    int policy = atomic_load_explicit(&t->policy, memory_order_relaxed);
    if (__builtin_expect(policy == POLICY_UNKNOWN || policy == POLICY_OTHER, 1)) return STATUS_OK;
    TRY(find_policy(p, t, e));
    if (atomic_load(&t->policy) == POLICY_COMPACTED) *refusal = RD_KAFKA_RESP_ERR_INVALID_RECORD;
    return STATUS_OK;
}

static rd_kafka_resp_err_t refused_before(const struct kafka_producer *p, const struct kafka_message *m) {
    size_t limit = atomic_load_explicit(&m->topic->refused_bytes, memory_order_relaxed);
    if (__builtin_expect(limit && m->key_bytes + m->value_bytes >= limit, 0)) {
        if (clock_monotonic_us() < atomic_load(&m->topic->refused_until_us)) return RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
        atomic_store(&m->topic->refused_bytes, 0);
    }
    if (__builtin_expect(p->refused.count == 0, 1)) return RD_KAFKA_RESP_ERR_NO_ERROR;
    struct kafka_refusal one = {.hash = hash_message(m->topic->name, m->key, m->key_bytes, m->value, m->value_bytes)};
    const struct kafka_refusal *r = bsearch(&one, p->refused.items, p->refused.count, sizeof one, compare_refusals);
    return r ? r->code : RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t produce(struct kafka_producer *p, const struct kafka_message *m, struct kafka_mark *mark) {
    if (m->headers) {
        return rd_kafka_producev(p->client->rk, RD_KAFKA_V_RKT(m->topic->handle), RD_KAFKA_V_PARTITION(m->partition),
                                 RD_KAFKA_V_VALUE((void *)(uintptr_t)m->value, m->value_bytes), RD_KAFKA_V_KEY(m->key, m->key_bytes),
                                 RD_KAFKA_V_HEADERS(m->headers), RD_KAFKA_V_OPAQUE(mark), RD_KAFKA_V_END);
    }
    int result = rd_kafka_produce(m->topic->handle, m->partition, 0, (void *)(uintptr_t)m->value, m->value_bytes, m->key, m->key_bytes, mark);
    return result == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
}

enum status kafka_producer_send(struct kafka_producer *p, struct kafka_parcel *parcel, const struct kafka_message *m, rd_kafka_resp_err_t *refusal, struct error *e) {
    struct patience patience = {0};
    *refusal = refused_before(p, m);
    if (!*refusal && !m->key) TRY(check_keyless(p, m->topic, refusal, e));
    if (*refusal) return STATUS_OK;
    struct kafka_mark *mark = &parcel->marks[parcel->used];
    *mark = (struct kafka_mark){.parcel = parcel, .topic = m->topic};
    atomic_fetch_add_explicit(&parcel->open, 1, memory_order_relaxed);
    rd_kafka_resp_err_t code;
    while ((code = produce(p, m, mark)) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
        enum status status = check_patience(p, &patience, "writing", e);
        if (status != STATUS_OK) {
            atomic_fetch_sub(&parcel->open, 1);
            return status;
        }
        rd_kafka_poll(p->client->rk, FULL_WAIT_MS);
    }
    if (!code) {
        parcel->used++;
        return STATUS_OK;
    }
    atomic_fetch_sub(&parcel->open, 1);
    if (minds_message(code)) {
        *refusal = code;
        return STATUS_OK;
    }
    if (atomic_load(&p->has_failure)) return delivery_error(p, e);  // which is why it takes no more
    TRY(check_client(p, e));
    char what[300];
    snprintf(what, sizeof what, "writing to `%.250s`", m->topic->name);
    enum status status = client_error(p, code, NULL, what, e);
    p->broken = true;
    if (status != STATUS_IO) return status;
    if (e) e->status = STATUS_UNREACHABLE;
    return STATUS_UNREACHABLE;
}

enum status kafka_producer_flush(struct kafka_producer *p, struct error *e) {
    struct patience patience = {0};
    TRY(failpoint("kafka.flush", e));
    while (rd_kafka_flush(p->client->rk, SLICE_MS) == RD_KAFKA_RESP_ERR__TIMED_OUT) TRY(check_patience(p, &patience, "waiting for acknowledgements", e));
    return atomic_load(&p->has_failure) ? delivery_error(p, e) : check_client(p, e);
}

// A step of a transaction that ran out of time goes on when it is called again, as long as there is hope.
static bool goes_on(struct kafka_producer *p, rd_kafka_error_t *error, int64_t since_us) {
    if (!error || rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR__TIMED_OUT || !rd_kafka_error_is_retriable(error)) return false;
    while (rd_kafka_poll(p->client->rk, 0) > 0) {
    }
    int64_t limit_us = kafka_producer_stopping(p) ? STOP_STALL_US : atomic_load(&p->client->down) ? DOWN_STALL_US : COMMIT_WAIT_US;
    p->silent = clock_monotonic_us() - since_us >= limit_us;
    if (!p->silent) rd_kafka_error_destroy(error);
    return !p->silent;
}

// The record as metadata of a committed offset, in the transaction.
static enum status send_record(struct kafka_producer *p, const struct sink_record *record, struct error *e) {
    char text[KAFKA_RECORD_CHARS];
    int64_t since_us = clock_monotonic_us();
    kafka_record_print(record, text);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_t *at = rd_kafka_topic_partition_list_add(list, p->record_topic, 0);
    at->offset = (int64_t)record->epoch;
    at->metadata = strdup(text);  // librdkafka frees it with the list
    at->metadata_size = at->metadata ? strlen(text) : 0;
    rd_kafka_error_t *error = NULL;
    do error = at->metadata ? kafka_transaction_step(p->client, KAFKA_STEP_RECORD, list, p->id, RECORD_WAIT_MS) : NULL;
    while (goes_on(p, error, since_us));
    bool no_memory = !at->metadata;
    rd_kafka_topic_partition_list_destroy(list);
    if (no_memory) return error_no_memory(e);
    return error ? transaction_error(p, error, "writing the record of the epoch", e) : STATUS_OK;
}

// After a run without the messages that were refused, the next epoch goes in whole requests again; if none was found guilty, the requests
// themselves were too large.
static void leave_single(struct kafka_producer *p) {
    if (!p->single) {
        vector_clear(&p->refused);
        return;
    }
    if (p->refused.count) {
        p->single = false;
        p->broken = true;  // made anew, with whole requests
    } else if (p->log) {
        log_write(p->log, LOG_WARN, "%s: brokers refuse messages in batches and take them one by one, which is slow: set kafka.batch.size below the topic's max.message.bytes",
                  p->who);
    }
    vector_clear(&p->refused);
}

static enum status commit_transaction(struct kafka_producer *p, const struct sink_record *record, struct error *e) {
    TRY(failpoint("kafka.commit", e));
    TRY(send_record(p, record, e));
    TRY(failpoint("kafka.recorded", e));
    int64_t since_us = clock_monotonic_us();
    rd_kafka_error_t *error;
    do error = kafka_transaction_step(p->client, KAFKA_STEP_COMMIT, NULL, NULL, SLICE_MS);
    while (goes_on(p, error, since_us));
    if (error) return transaction_error(p, error, "committing the transaction", e);
    p->in_transaction = false;
    p->overdue_count = 0;
    kafka_client_up(p->client);
    return failpoint("kafka.committed", e);
}

enum status kafka_producer_commit(struct kafka_producer *p, const struct sink_record *record, bool *recorded, struct error *e) {
    *recorded = p->id[0] && p->record_topic[0];
    if (*recorded) TRY(commit_transaction(p, record, e));
    if (p->id[0] && !*recorded) {  // every row was refused
        rd_kafka_error_t *error = kafka_transaction_step(p->client, KAFKA_STEP_ABORT, NULL, NULL, ABORT_WAIT_MS);
        if (error) return transaction_error(p, error, "ending an empty transaction", e);
        p->in_transaction = false;
    }
    leave_single(p);
    return STATUS_OK;
}

void kafka_producer_abort(struct kafka_producer *p) {
    if (!p->client) return;
    struct error ignored;
    bool usable = kafka_client_check(p->client, &ignored) == STATUS_OK && !atomic_load(&p->client->down);
    if (p->in_transaction && usable && !p->silent && !p->client->abandoned) {  // so that readers need not wait for the transaction's timeout
        rd_kafka_error_t *error = kafka_transaction_step(p->client, KAFKA_STEP_ABORT, NULL, NULL, ABORT_WAIT_MS);
        if (error) rd_kafka_error_destroy(error);
    }
    learn(p);
    drop_client(p);
}
