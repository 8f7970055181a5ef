// SPDX-License-Identifier: Apache-2.0
// kafka_source.c: source_class over kafka_fetch.h: options, ranges, splits. Spark's options, columns and rules. Batches are kafka_read.c's.
//
// A stream's ranges are what the windows hold; a batch query's are the whole way to the end that was there when it opened, read through the
// same windows.
#include "connector/kafka/kafka_source.h"
#include "connector/registry.h"
#include "base/clock.h"
#include <stdio.h>
#include <strings.h>

enum { SPLIT_MIN = 1024, SPLIT_MAX = 8192, SPLITS_WANTED = 16, LOOK_US = 5000000, LOOK_US_MIN = 100000,
       QUEUES_KB = 32 << 10, QUEUE_KB_MAX = 4 << 10, QUEUE_KB_MIN = 64, FETCH_KB_MAX = 512, QUEUES_MESSAGES = 40000, QUEUE_MESSAGES_MAX = 10000, QUEUE_MESSAGES_MIN = 1000 };

const struct option kafka_source_options[] = {
    {"kafka.*", OPTION_STRING, NULL, false, false, NULL, "passed to the client: kafka.bootstrap.servers, kafka.security.protocol …"},
    {"subscribe", OPTION_STRING, NULL, false, false, NULL, "topics, separated by commas"},
    {"subscribePattern", OPTION_STRING, NULL, false, false, NULL, "regular expression for whole names of topics"},
    {"assign", OPTION_STRING, NULL, false, false, NULL, "partitions as JSON: {\"topicA\":[0,1]}"},
    {"startingOffsets", OPTION_STRING, NULL, false, false, NULL, "earliest, latest or JSON {\"topicA\":{\"0\":23,\"1\":-2}}; a stream begins at latest, a batch query at earliest"},
    {"endingOffsets", OPTION_STRING, NULL, false, false, NULL, "latest or JSON; of batch queries"},
    {"startingTimestamp", OPTION_INT, NULL, false, false, NULL, "begin at the first message of this time or later, in ms since 1970"},
    {"endingTimestamp", OPTION_INT, NULL, false, false, NULL, "end before the first message of this time or later, in ms since 1970; of batch queries"},
    {"startingOffsetsByTimestamp", OPTION_STRING, NULL, false, false, NULL, "JSON of times in ms: {\"topicA\":{\"0\":1700000000000}}"},
    {"endingOffsetsByTimestamp", OPTION_STRING, NULL, false, false, NULL, "JSON of times in ms; of batch queries"},
    {"startingOffsetsByTimestampStrategy", OPTION_ENUM, "error", false, false, "error|latest", "what to do where no message is that young"},
    {"failOnDataLoss", OPTION_BOOLEAN, "true", false, false, NULL, "stop where messages are gone before they were read; false: warn and go on"},
    {"maxOffsetsPerTrigger", OPTION_INT, "0", false, false, NULL, "messages an epoch takes at most; 0: as many as are good"},
    {"minOffsetsPerTrigger", OPTION_INT, "0", false, false, NULL, "wait until there are so many, or maxTriggerDelay is over"},
    {"maxTriggerDelay", OPTION_DURATION, "15m", false, false, NULL, "how long minOffsetsPerTrigger may wait"},
    {"minPartitions", OPTION_INT, "0", false, false, NULL, "cut the work of an epoch into at least so many parts"},
    {"maxRecordsPerPartition", OPTION_INT, "0", false, false, NULL, "messages in a part of the work at most"},
    {"includeHeaders", OPTION_BOOLEAN, "false", false, false, NULL, "add the column headers"},
    {"groupIdPrefix", OPTION_STRING, NULL, false, false, NULL, "no group is used for reading: accepted, without effect"},
    {"leat.commitGroup", OPTION_STRING, NULL, false, false, NULL, "group that gets the offsets after every epoch, for monitoring"},
    {"fetchOffset.numRetries", OPTION_INT, "3", false, false, NULL, "the client tries again by itself: accepted, without effect"},
    {"fetchOffset.retryIntervalMs", OPTION_INT, "1000", false, false, NULL, "accepted, without effect"},
    {"kafkaConsumer.pollTimeoutMs", OPTION_INT, "120000", false, false, NULL, "accepted, without effect"},
    {"leat.windowBytes", OPTION_SIZE, "16MB", false, false, NULL, "memory for messages fetched and not yet processed"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

// --- what it is ---

static enum status kafka_schema(const struct source_request *r, struct arena *a, bool offline, const struct type **out, struct error *e) {
    (void)offline;
    if (r->declared) {
        error_set(e, STATUS_INVALID_QUERY, "USER_SPECIFIED_AND_ACTUAL_SCHEMA_MISMATCH", "a Kafka table's columns are fixed and cannot be declared");
        error_set_hint(e, "leave the column list out: CREATE TABLE %s USING kafka OPTIONS (…); a view takes the values apart", r->table_name);
        return STATUS_INVALID_QUERY;
    }
    const struct type *header = type_struct(a, kafka_header_fields, 2), *headers = header ? type_array(a, header, true) : NULL;
    const struct field fields[COLUMN_COUNT] = {
        {"key", &type_binary, true}, {"value", &type_binary, true}, {"topic", &type_string, true}, {"partition", &type_int, true},
        {"offset", &type_bigint, true}, {"timestamp", &type_timestamp, true}, {"timestampType", &type_int, true}, {"headers", headers, true},
    };
    bool with_headers = option_number(&r->options, "includeHeaders") != 0;
    *out = headers ? type_struct(a, fields, with_headers ? COLUMN_COUNT : COLUMN_HEADERS) : NULL;
    return *out ? STATUS_OK : error_no_memory(e);
}

static enum status check_numbers(const struct option_set *options, struct error *e) {
    static const char *const names[] = {"maxOffsetsPerTrigger", "minOffsetsPerTrigger", "minPartitions", "maxRecordsPerPartition"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (option_is_set(options, names[i]) && option_number(options, names[i]) <= 0) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "%s must be positive", names[i]);
    }
    int64_t least = option_number(options, "minOffsetsPerTrigger"), most = option_number(options, "maxOffsetsPerTrigger");
    if (most && least > most) {
        return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "minOffsetsPerTrigger (%lld) is higher than maxOffsetsPerTrigger (%lld)", (long long)least, (long long)most);
    }
    if (option_number(options, "leat.windowBytes") < 1 << 20) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "leat.windowBytes must be at least 1MB");
    return STATUS_OK;
}

static enum status kafka_check(const struct source_request *r, struct error *e) {
    struct kafka_topics topics;
    struct arena a;
    TRY(check_numbers(&r->options, e));
    arena_init(&a, r->memory);
    enum status status = kafka_topics_init(&topics, r, &a, e);
    kafka_topics_release(&topics);
    arena_release(&a);
    return status == STATUS_OK ? kafka_conf_check(&r->options, KAFKA_CONSUMER, r->memory, e) : status;
}

static const char *describe_selection(const struct kafka_topics *t, struct arena *a) {
    struct buffer text;
    buffer_init(&text, a->memory);
    static const char *const names[] = {"Subscribe", "SubscribePattern", "Assign"};
    enum status status = buffer_printf(&text, "KafkaV2[%s[", names[t->selection]);
    if (t->selection == KAFKA_SUBSCRIBE_PATTERN && status == STATUS_OK) status = buffer_append_string(&text, t->text);
    for (uint32_t i = 0; i < t->name_count && status == STATUS_OK; i++) status = buffer_printf(&text, "%s%s", i ? ", " : "", t->names[i]);
    for (uint32_t i = 0; i < t->assigned.count && status == STATUS_OK; i++) {
        status = buffer_printf(&text, "%s%s-%d", i ? ", " : "", t->assigned.items[i].topic, t->assigned.items[i].partition);
    }
    if (status == STATUS_OK) status = buffer_append_string(&text, "]]");
    const char *out = status == STATUS_OK ? arena_strndup(a, (char *)text.data, text.size_bytes) : NULL;
    buffer_release(&text);
    return out;
}

// --- open and close ---

// Ours where the table says nothing else. An unknown one is a newer client's: passed over.
static void set_unless_given(rd_kafka_conf_t *conf, rd_kafka_conf_t *plain, const char *name, const char *value) {
    char now[64] = "", before[64] = "", reason[128];
    size_t now_bytes = sizeof now, before_bytes = sizeof before;
    if (rd_kafka_conf_get(conf, name, now, &now_bytes) != RD_KAFKA_CONF_OK || rd_kafka_conf_get(plain, name, before, &before_bytes) != RD_KAFKA_CONF_OK) return;
    if (strcmp(now, before) == 0) (void)rd_kafka_conf_set(conf, name, value, reason, sizeof reason);
}

static void set_number(rd_kafka_conf_t *conf, rd_kafka_conf_t *plain, const char *name, int64_t number, int64_t unit) {
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)(number * unit));
    set_unless_given(conf, plain, name, text);
}

// The client's queues hold 32 MB together, what is on its way included: many partitions have smaller ones, filled by smaller fetches. It counts
// the messages' own bytes and not its half a kilobyte for each, so that their number is bounded too.
static void set_queues(rd_kafka_conf_t *conf, rd_kafka_conf_t *plain, uint32_t partition_count, bool has_backoff) {
    int64_t parts = partition_count ? partition_count : 1, each = QUEUES_KB / parts, messages = QUEUES_MESSAGES / parts;
    if (each > QUEUE_KB_MAX) each = QUEUE_KB_MAX;
    if (each < QUEUE_KB_MIN) each = QUEUE_KB_MIN;
    if (messages > QUEUE_MESSAGES_MAX) messages = QUEUE_MESSAGES_MAX;
    if (messages < QUEUE_MESSAGES_MIN) messages = QUEUE_MESSAGES_MIN;
    // without the back-off, a full queue stands still for a second
    set_number(conf, plain, "queued.max.messages.kbytes", has_backoff ? each == QUEUE_KB_MAX ? each : (each + 1) / 2 : 16 * each, 1);
    set_number(conf, plain, "queued.min.messages", has_backoff ? messages : 1000000, 1);
    set_number(conf, plain, "fetch.message.max.bytes", each / 2 < FETCH_KB_MAX ? each / 2 : FETCH_KB_MAX, 1024);
}

// partition_count 0: not known yet.
static enum status make_client(struct kafka_source *s, uint32_t partition_count, struct error *e) {
    const struct source_request *r = &s->source.request;
    char reason[200], who[300];
    rd_kafka_conf_t *conf, *plain;
    TRY(kafka_conf_make(&r->options, KAFKA_CONSUMER, r->memory, &conf, e));
    plain = rd_kafka_conf_new();
    bool has_backoff = rd_kafka_conf_set(plain, "fetch.queue.backoff.ms", "1000", reason, sizeof reason) == RD_KAFKA_CONF_OK;
    set_unless_given(conf, plain, "check.crcs", "true");
    set_unless_given(conf, plain, "fetch.queue.backoff.ms", "2");
    set_queues(conf, plain, partition_count, has_backoff);
    set_unless_given(conf, plain, "fetch.max.bytes", "2097152");
    set_unless_given(conf, plain, "fetch.error.backoff.ms", "100");
    if (s->has_end) set_unless_given(conf, plain, "fetch.wait.max.ms", "50");  // how long the client may wait to learn that the end is reached
    rd_kafka_conf_destroy(plain);
    (void)rd_kafka_conf_set(conf, "enable.partition.eof", "true", reason, sizeof reason);
    (void)rd_kafka_conf_set(conf, "auto.offset.reset", "error", reason, sizeof reason);
    if (s->commit_group) (void)rd_kafka_conf_set(conf, "group.id", s->commit_group, reason, sizeof reason);
    snprintf(who, sizeof who, "source `%s`", r->table_name);
    if (!partition_count) kafka_conf_warn(&r->options, KAFKA_CONSUMER, who, r->log);
    TRY(kafka_client_new(conf, KAFKA_CONSUMER, who, r->memory, r->log, &s->client, e));
    s->asking.client = s->client;
    return STATUS_OK;
}

struct part *kafka_find_part(const struct kafka_source *s, const char *name, size_t hint) {
    for (size_t i = 0; i < s->parts.count; i++) {
        struct part *p = vector_at(&s->parts, (i + hint) % s->parts.count);
        if (strcmp(p->partition->name, name) == 0) return p;
    }
    return NULL;
}

static enum status add_part(struct kafka_source *s, const char *topic, int32_t number, int64_t earliest, struct error *e) {
    struct part part = {.earliest = earliest, .stop = INT64_MAX};
    TRY(kafka_fetch_partition(s->fetch, topic, number, &part.partition, e));
    if (kafka_find_part(s, part.partition->name, s->parts.count)) return STATUS_OK;
    return vector_push(&s->parts, &part) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status resolve_ends(struct kafka_source *s, struct kafka_offsets *partitions, struct error *e) {
    const struct source_request *r = &s->source.request;
    struct kafka_limit latest = {.kind = KAFKA_LIMIT_LATEST, .option_name = "endingOffsets"};
    const struct kafka_limit *end = r->streaming ? &latest : &s->topics.end;
    TRY(kafka_resolve(&s->topics, end, &s->asking, r->log, partitions, e));
    if (end->kind == KAFKA_LIMIT_LATEST) TRY(kafka_settle(&s->asking, r->log, partitions, e));
    for (uint32_t i = 0; i < partitions->count; i++) ((struct part *)vector_at(&s->parts, i))->stop = partitions->items[i].offset;
    return STATUS_OK;
}

static void on_trouble(void *context) {
    struct kafka_source *s = context;
    kafka_watch_look(s->watch);
}

static enum status identify(struct kafka_source *s, const struct kafka_offsets *partitions, struct error *e) {
    int64_t *ids = arena_alloc_array(&s->arena, (size_t)partitions->count + 1, sizeof *ids);
    if (!ids) return error_no_memory(e);
    kafka_topic_ids(&s->asking, partitions, ids);
    for (uint32_t i = 0; i < partitions->count; i++) (void)kafka_fetch_identify(s->fetch, ((struct part *)vector_at(&s->parts, i))->partition, ids[i]);
    return STATUS_OK;
}

// A client's queues are given their size when it is made.
static enum status open_client(struct kafka_source *s, struct kafka_offsets *partitions, struct error *e) {
    TRY(make_client(s, 0, e));
    TRY(kafka_topics_list(&s->topics, &s->asking, &s->arena, partitions, NULL, e));
    if (partitions->count <= QUEUES_KB / QUEUE_KB_MAX) return STATUS_OK;
    (void)kafka_client_free(s->client);
    s->client = NULL;
    return make_client(s, partitions->count, e);
}

static enum status open_partitions(struct kafka_source *s, struct kafka_offsets *partitions, struct error *e) {
    for (uint32_t i = 0; i < partitions->count; i++) TRY(add_part(s, partitions->items[i].topic, partitions->items[i].partition, -1, e));
    TRY(identify(s, partitions, e));
    if (!partitions->count && s->topics.selection == KAFKA_SUBSCRIBE_PATTERN) {
        log_write(s->source.request.log, LOG_WARN, "source `%s`: no topic matches `%s` yet", s->source.request.table_name, s->topics.text);
    }
    return s->has_end ? resolve_ends(s, partitions, e) : STATUS_OK;
}

static enum status open_parts(struct kafka_source *s, struct error *e) {
    const struct source_request *r = &s->source.request;
    struct kafka_offsets partitions;
    const char *group = option_text(&r->options, "leat.commitGroup"), *age = option_text(&r->options, "kafka.metadata.max.age.ms");
    if (group) TRY(option_resolve(&s->arena, group, &s->commit_group, e));
    TRY(kafka_topics_init(&s->topics, r, &s->arena, e));
    if (!(s->description = describe_selection(&s->topics, &s->arena))) return error_no_memory(e);
    TRY(open_client(s, &partitions, e));
    int64_t interval_us = age ? strtoll(age, NULL, 10) * 1000 : LOOK_US;
    if (interval_us < LOOK_US_MIN) interval_us = LOOK_US_MIN;
    struct kafka_watch_config watch = {.memory = r->memory, .log = r->log, .table_name = r->table_name, .client = s->client, .topics = &s->topics, .stop = r->stop,
                                       .wake = r->wake, .interval_us = s->has_end ? 0 : interval_us};
    TRY(kafka_watch_new(&watch, &s->watch, e));
    struct kafka_fetch_config fetch = {.memory = r->memory, .log = r->log, .client = s->client, .wake = r->wake, .stop = r->stop, .give_back_when_read = !r->streaming,
                                       .window_bytes = (size_t)option_number(&r->options, "leat.windowBytes"), .headers = s->headers,
                                       .trouble = on_trouble, .trouble_context = s};
    TRY(kafka_fetch_new(&fetch, &s->fetch, e));
    TRY(open_partitions(s, &partitions, e));
    return kafka_watch_start(s->watch, s->fetch, e);
}

static void kafka_close(struct source *source) {
    struct kafka_source *s = (struct kafka_source *)source;
    if (!s) return;
    kafka_watch_stop(s->watch);  // it looks at the fetch's partitions, and the fetch tells it of trouble
    kafka_fetch_free(s->fetch);
    kafka_watch_free(s->watch);
    kafka_client_free(s->client);
    kafka_topics_release(&s->topics);
    vector_release(&s->parts);
    arena_release(&s->arena);
    memory_free(source->request.memory, s, sizeof *s);
}

static enum status kafka_open(const struct source_request *r, struct source **out, struct error *e) {
    struct kafka_source *s = memory_alloc_zeroed(r->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->source = (struct source){.class = &kafka_source_class, .request = *r};
    arena_init(&s->arena, r->memory);
    vector_init(&s->parts, r->memory, sizeof(struct part));
    s->asking.stop = r->stop;
    s->headers = option_number(&r->options, "includeHeaders") != 0;
    s->has_end = !r->streaming || r->available_now;
    s->max_offsets = option_number(&r->options, "maxOffsetsPerTrigger");
    s->min_offsets = option_number(&r->options, "minOffsetsPerTrigger");
    s->min_delay_us = option_number(&r->options, "maxTriggerDelay");
    enum status status = open_parts(s, e);
    if (status != STATUS_OK) {
        kafka_close(&s->source);
        return status;
    }
    *out = &s->source;
    return STATUS_OK;
}

// --- where a flow begins ---

static enum status list_parts(const struct kafka_source *s, struct arena *a, struct kafka_offsets *out) {
    out->count = (uint32_t)s->parts.count;
    out->items = arena_alloc_array(a, s->parts.count + 1, sizeof *out->items);
    for (uint32_t i = 0; out->items && i < out->count; i++) {
        const struct kafka_partition *p = ((struct part *)vector_at(&s->parts, i))->partition;
        out->items[i] = (struct kafka_offset){.topic = p->topic, .partition = p->partition};
    }
    return out->items ? STATUS_OK : STATUS_NO_MEMORY;
}

// A stream is opened again and again, and startingOffsets speaks of the first time alone: what is wrong with it is said when a flow without
// positions asks. Partitions that have come since a flow began are read from their beginning.
static enum status kafka_start(struct source *source, struct arena *a, struct positions *out, struct error *e) {
    struct kafka_source *s = (struct kafka_source *)source;
    struct kafka_offsets partitions;
    enum status status = list_parts(s, a, &partitions);
    *out = (struct positions){.items = arena_alloc_array(a, (size_t)partitions.count + 1, sizeof *out->items)};
    if (status != STATUS_OK || !out->items) return error_no_memory(e);
    status = kafka_resolve(&s->topics, &s->topics.start, &s->asking, source->request.log, &partitions, e);
    if (source->request.streaming && (status == STATUS_INVALID_ARGUMENT || status == STATUS_CONFLICT)) {
        s->start_error = *e;
        return STATUS_OK;
    }
    TRY(status);
    const char *begins = option_text(&source->request.options, "startingOffsets");
    out->moves = !begins || strcasecmp(begins, "earliest") != 0;
    for (uint32_t i = 0; i < partitions.count; i++) {
        const struct part *p = vector_at(&s->parts, i);
        int64_t offset = partitions.items[i].offset;
        if (!source->request.streaming && offset > p->stop) {
            return error_set(e, STATUS_INVALID_ARGUMENT, "RESOLVED_START_OFFSET_GREATER_THAN_END_OFFSET", "the start %lld (%s) is greater than the end %lld (%s) for topic %s partition %d",
                             (long long)offset, s->topics.start.option_name, (long long)p->stop, s->topics.end.option_name, p->partition->topic, p->partition->partition);
        }
        out->items[out->count++] = (struct position){.partition = p->partition->id, .name = p->partition->name, .offset = offset, .stamp = kafka_fetch_topic_id(s->fetch, p->partition)};
    }
    return STATUS_OK;
}

// --- what is to be read ---

// Partitions a position names and the brokers do not have.
static enum status check_lost(struct kafka_source *s, struct arena *a, const struct position *at, struct error *e) {
    const char *topic;
    int32_t number;
    struct kafka_partition *p;
    if (!kafka_partition_split(a, at->name, &topic, &number)) {
        return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "`%s` in the log is no partition of Kafka; was the table another one's before?", at->name);
    }
    bool selected = s->topics.selection == KAFKA_SUBSCRIBE_PATTERN;
    for (uint32_t i = 0; i < s->topics.name_count; i++) selected |= strcmp(s->topics.names[i], topic) == 0;
    for (uint32_t i = 0; i < s->topics.assigned.count; i++) selected |= s->topics.assigned.items[i].partition == number && strcmp(s->topics.assigned.items[i].topic, topic) == 0;
    TRY(add_part(s, topic, number, 0, e));
    TRY(kafka_fetch_partition(s->fetch, topic, number, &p, e));
    pthread_mutex_lock(&s->fetch->mutex);
    p->is_deleted = true;
    pthread_mutex_unlock(&s->fetch->mutex);
    if (!selected) {
        log_write(s->source.request.log, LOG_INFO, "source `%s` does not read %s any more", s->source.request.table_name, at->name);
        return STATUS_OK;
    }
    return kafka_data_loss(s->topics.fail_on_data_loss, s->source.request.log, "PARTITIONS_DELETED", e, "Partition %s, read up to offset %lld, has been deleted", at->name,
                           (long long)at->offset);
}

// A partition no position names: found later, hence at its beginning.
static enum status ask_earliest(struct kafka_source *s, struct part *part, struct error *e) {
    int64_t low, high;
    const struct kafka_partition *p = part->partition;
    TRY(kafka_query_bounds(&s->asking, p->topic, p->partition, &low, &high, e));
    if (low > 0) {
        TRY(kafka_data_loss(s->topics.fail_on_data_loss, s->source.request.log, "ADDED_PARTITION_DOES_NOT_START_FROM_OFFSET_ZERO", e,
                            "Added partition %s starts from %lld instead of 0", p->name, (long long)low));
    }
    part->earliest = low;
    return STATUS_OK;
}

// Under --available-now: is the end before what was read already? Then the topic was made anew.
static enum status check_rewound(struct kafka_source *s, const struct part *part, const struct position *at, struct error *e) {
    struct kafka_partition *p = part->partition;
    int64_t low, high;
    if (part->stop == INT64_MAX || at->offset <= part->stop || p->is_deleted) return STATUS_OK;
    pthread_mutex_lock(&s->fetch->mutex);
    bool known = p->rewound_above >= 0;
    pthread_mutex_unlock(&s->fetch->mutex);
    if (known) return STATUS_OK;
    TRY(kafka_query_bounds(&s->asking, p->topic, p->partition, &low, &high, e));
    if (at->offset <= high) return STATUS_OK;  // of another flow that began later
    TRY(kafka_data_loss(s->topics.fail_on_data_loss, s->source.request.log, "PARTITION_OFFSET_CHANGED", e,
                        "Partition %s was read up to offset %lld and now ends at %lld: the topic was deleted and made anew, or a broker has lost its end", p->name,
                        (long long)at->offset, (long long)high));
    kafka_fetch_rewind(s->fetch, p, at->offset, low, 0);
    return STATUS_OK;
}

// A position of another topic of this name: between two runs it was deleted and made anew, and may have grown beyond what was read of the old one.
static enum status check_stamp(struct kafka_source *s, const struct part *part, const struct position *at, struct error *e) {
    struct kafka_partition *p = part->partition;
    int64_t low, high;
    if (!at->stamp || p->is_deleted) return STATUS_OK;
    int64_t topic_id = kafka_fetch_topic_id(s->fetch, p);
    pthread_mutex_lock(&s->fetch->mutex);
    bool known = p->rewound_by_id && p->rewound_above >= 0;
    pthread_mutex_unlock(&s->fetch->mutex);
    if (!topic_id || topic_id == at->stamp || known) return STATUS_OK;
    TRY(kafka_query_bounds(&s->asking, p->topic, p->partition, &low, &high, e));
    TRY(kafka_data_loss(s->topics.fail_on_data_loss, s->source.request.log, "PARTITION_OFFSET_CHANGED", e,
                        "Partition %s was read up to offset %lld, and its topic was deleted and made anew since; it has offsets %lld to %lld now", p->name,
                        (long long)at->offset, (long long)low, (long long)high));
    kafka_fetch_rewind(s->fetch, p, 0, low, topic_id);
    return STATUS_OK;
}

static void add_offer(struct kafka_offer *offers, uint32_t *count, const struct part *p, int64_t from) {
    offers[(*count)++] = (struct kafka_offer){.partition = p->partition, .from = from, .stop = p->stop};
}

static enum status make_offers(struct kafka_source *s, struct arena *a, const struct positions *from, struct kafka_offer **out, uint32_t *count, struct error *e) {
    struct kafka_offsets found;
    if (kafka_watch_take(s->watch, a, &found) != STATUS_OK) return error_no_memory(e);
    for (uint32_t i = 0; i < found.count; i++) TRY(add_part(s, found.items[i].topic, found.items[i].partition, -1, e));
    size_t capacity = s->parts.count + from->count + 1;
    struct kafka_offer *offers = arena_alloc_array(a, capacity, sizeof *offers);
    bool *named = arena_alloc_array(a, capacity, sizeof *named);
    if (!offers || !named) return error_no_memory(e);
    *out = offers;
    *count = 0;
    for (uint32_t i = 0; i < from->count; i++) {
        if (!from->items[i].name) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the log holds positions of `%s` that are not Kafka's", s->source.request.table_name);
        if (!kafka_find_part(s, from->items[i].name, i)) TRY(check_lost(s, a, &from->items[i], e));
        struct part *p = kafka_find_part(s, from->items[i].name, i);
        TRY(check_stamp(s, p, &from->items[i], e));
        TRY(check_rewound(s, p, &from->items[i], e));
        named[p - (struct part *)s->parts.items] = true;
        add_offer(offers, count, p, from->items[i].offset);
    }
    for (size_t i = 0; i < s->parts.count; i++) {
        struct part *p = vector_at(&s->parts, i);
        if (named[i] || p->partition->is_deleted) continue;
        if (p->earliest < 0) TRY(ask_earliest(s, p, e));
        add_offer(offers, count, p, p->earliest);
    }
    return STATUS_OK;
}

// A batch query reads from here to the end, however much that is: nothing needs to be there yet.
static void offer_all(struct kafka_offer *offers, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        offers[i].begin = offers[i].end = offers[i].from;
        if (offers[i].stop > offers[i].from) offers[i].end = offers[i].stop;
        offers[i].is_done = true;
    }
}

// Offsets behind what is offered, as far as the client has heard of them.
static int64_t backlog_of(const struct kafka_source *s, const struct kafka_offer *offers, uint32_t count) {
    int64_t total = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t low, high = -1;
        const struct kafka_partition *p = offers[i].partition;
        if (rd_kafka_get_watermark_offsets(s->client->rk, p->topic, p->partition, &low, &high) != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        if (offers[i].stop < high) high = offers[i].stop;
        if (high > offers[i].end) total += high - offers[i].end;
    }
    return total;
}

// minOffsetsPerTrigger: is it too early for so few?
static bool too_few(struct kafka_source *s, int64_t rows, int64_t backlog, int64_t *wake_at_us) {
    if (!s->min_offsets || s->has_end) return false;
    int64_t now_us = clock_monotonic_us();
    if (!s->waits_since_us) s->waits_since_us = now_us;
    if (rows + backlog >= s->min_offsets || now_us - s->waits_since_us >= s->min_delay_us) {
        s->waits_since_us = now_us;
        return false;
    }
    *wake_at_us = s->waits_since_us + s->min_delay_us;
    return true;
}

static enum status kafka_latest(struct source *source, struct arena *a, const struct positions *from, const struct budget *budget, struct ranges *out,
                                bool *exhausted, int64_t *backlog_rows, int64_t *wake_at_us, struct error *e) {
    struct kafka_source *s = (struct kafka_source *)source;
    struct kafka_offer *offers = NULL;
    uint32_t count = 0;
    int64_t rows = 0, row_limit = s->max_offsets && s->max_offsets < budget->row_count ? s->max_offsets : budget->row_count;
    TRY(kafka_client_check(s->client, e));
    if (!from->count && s->start_error.status != STATUS_OK) {
        *e = s->start_error;
        return e->status;
    }
    TRY(make_offers(s, a, from, &offers, &count, e));
    if (source->request.streaming) TRY(kafka_fetch_offer(s->fetch, offers, count, row_limit, budget->size_bytes, e));
    else offer_all(offers, count);
    *out = (struct ranges){.items = arena_alloc_array(a, (size_t)count + 1, sizeof *out->items)};
    if (!out->items) return error_no_memory(e);
    *exhausted = s->has_end;
    *wake_at_us = INT64_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct kafka_offer *o = &offers[i];
        *exhausted &= o->is_done;
        rows += o->rows;
        if (o->end > o->begin) out->items[out->count++] = (struct range){.partition = o->partition->id, .name = o->partition->name, .begin = o->begin, .end = o->end, .stamp = o->topic_id};
    }
    *exhausted &= !source->request.streaming || !out->count;
    *backlog_rows = backlog_of(s, offers, count);
    if (out->count && too_few(s, rows, *backlog_rows, wake_at_us)) {
        out->count = 0;
        kafka_fetch_not_enough(s->fetch);
    }
    return STATUS_OK;
}

// A range of an open epoch may be of a topic that is no more.
static enum status begin_range(struct kafka_source *s, struct kafka_partition *p, const struct range *g, struct error *e) {
    int64_t low, high;
    if (kafka_fetch_begin_range(s->fetch, p, g->begin, g->end, g->stamp)) {
        kafka_fetch_prepare(s->fetch, p, g->begin);
        return STATUS_OK;
    }
    pthread_mutex_lock(&s->fetch->mutex);
    int64_t topic_id = p->topic_id;
    bool known = p->rewound_by_id && p->rewound_above >= 0;
    pthread_mutex_unlock(&s->fetch->mutex);
    if (known) return STATUS_OK;
    enum status status = kafka_data_loss(s->topics.fail_on_data_loss, s->source.request.log, "PARTITION_OFFSET_CHANGED", e,
                                         "The open epoch reads %s from offset %lld to %lld, and its topic was deleted and made anew since", p->name,
                                         (long long)g->begin, (long long)g->end);
    if (status != STATUS_OK) {
        error_set_hint(e, "an open epoch is finished as it was begun, with the table's option failOnDataLoss as it was then; to give it up and begin anew: --full-refresh-all");
        return status;
    }
    TRY(kafka_query_bounds(&s->asking, p->topic, p->partition, &low, &high, e));
    kafka_fetch_rewind(s->fetch, p, 0, low, topic_id);
    return STATUS_OK;
}

static enum status kafka_splits(struct source *source, struct arena *a, const struct ranges *ranges, struct splits *out, struct error *e) {
    struct kafka_source *s = (struct kafka_source *)source;
    const struct option_set *options = &source->request.options;
    int64_t total = 0, least = option_number(options, "minPartitions"), most = option_number(options, "maxRecordsPerPartition");
    uint64_t count = 0;
    for (uint32_t i = 0; i < ranges->count; i++) total += ranges->items[i].end - ranges->items[i].begin;
    int64_t size = total / SPLITS_WANTED < SPLIT_MIN ? SPLIT_MIN : total / SPLITS_WANTED > SPLIT_MAX ? SPLIT_MAX : total / SPLITS_WANTED;
    if (least && total / least < size) size = total / least > 0 ? total / least : 1;
    if (most && most < size) size = most;
    for (uint32_t i = 0; i < ranges->count; i++) count += (uint64_t)((ranges->items[i].end - ranges->items[i].begin + size - 1) / size);
    *out = (struct splits){0};
    if (count < UINT32_MAX) out->items = arena_alloc_array(a, count + 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    for (uint32_t i = 0; i < ranges->count; i++) {
        const struct range *g = &ranges->items[i];
        const struct part *p = g->name ? kafka_find_part(s, g->name, i) : NULL;
        if (p && g->begin < g->end) TRY(begin_range(s, p->partition, g, e));
        for (int64_t begin = g->begin; begin < g->end; begin += size) {
            struct split *split = &out->items[out->count];
            *split = (struct split){.range = *g, .sequence = out->count++, .whole_begin = g->begin, .whole_end = g->end};
            split->range.begin = begin;
            if (g->end - begin > size) split->range.end = begin + size;
        }
    }
    return STATUS_OK;
}

// --- after it ---

// Offsets into a group, for those who watch it. Nobody waits for it, and nothing depends on it.
static void commit_to_group(struct kafka_source *s, const struct positions *at) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)at->count);
    for (uint32_t i = 0; i < at->count; i++) {
        const struct part *p = kafka_find_part(s, at->items[i].name, i);
        if (p) rd_kafka_topic_partition_list_add(list, p->partition->topic, p->partition->partition)->offset = at->items[i].offset;
    }
    (void)rd_kafka_commit(s->client->rk, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum status kafka_committed(struct source *source, const struct positions *at, struct error *e) {
    struct kafka_source *s = (struct kafka_source *)source;
    (void)e;
    for (uint32_t i = 0; i < at->count; i++) {
        const struct part *p = at->items[i].name ? kafka_find_part(s, at->items[i].name, i) : NULL;
        if (p) kafka_fetch_committed(s->fetch, p->partition, at->items[i].offset);
    }
    if (s->commit_group) commit_to_group(s, at);
    return STATUS_OK;
}

static enum status kafka_print(const struct source *source, const struct positions *positions, struct buffer *out) {
    (void)source;
    return kafka_positions_print(positions, out);
}
static const char *kafka_describe(const struct source *source) { return ((const struct kafka_source *)source)->description; }

const struct source_class kafka_source_class = {
    .name = "kafka", .is_unbounded = true, .options = kafka_source_options, .schema = kafka_schema, .check = kafka_check, .open = kafka_open, .start = kafka_start,
    .latest = kafka_latest, .splits = kafka_splits, .read = kafka_read, .committed = kafka_committed, .print = kafka_print, .describe = kafka_describe, .close = kafka_close,
};
