// SPDX-License-Identifier: Apache-2.0
// kafka_topics.c: see kafka_topics.h. Options have Spark's names, meaning and precedence: a time for all partitions wins over times, times win
// over offsets.
#include "connector/kafka/kafka_topics.h"
#include "base/clock.h"
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ANSWER_US = 10000000, DOWN_US = 1500000, UNKNOWN_US = 2000000, PATIENCE_MS = 400, IDS_MS = 2000, IDS_STEP_MS = 100 };

// --- options ---

static enum status wrong(struct error *e, const char *hint, const char *format, ...) PRINTF_LIKE(3, 4);
static enum status wrong(struct error *e, const char *hint, const char *format, ...) {
    char message[600];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "%s", message);
    if (hint) error_set_hint(e, "%s", hint);
    return STATUS_INVALID_ARGUMENT;
}

static const char *trimmed(struct arena *a, const char *text, size_t size_bytes) {
    while (size_bytes && (*text == ' ' || (*text >= '\t' && *text <= '\r'))) text++, size_bytes--;
    while (size_bytes && (text[size_bytes - 1] == ' ' || (text[size_bytes - 1] >= '\t' && text[size_bytes - 1] <= '\r'))) size_bytes--;
    return arena_strndup(a, text, size_bytes);
}

static enum status read_names(struct kafka_topics *t, struct arena *a, struct error *e) {
    size_t commas = 1;
    for (const char *c = t->text; *c; c++) commas += *c == ',';
    t->names = arena_alloc_array(a, commas, sizeof *t->names);
    if (!t->names) return error_no_memory(e);
    for (const char *at = t->text; at;) {
        const char *comma = strchr(at, ',');
        const char *name = trimmed(a, at, comma ? (size_t)(comma - at) : strlen(at));
        if (!name) return error_no_memory(e);
        at = comma ? comma + 1 : NULL;
        if (!*name) continue;
        if (!kafka_topic_is_legal(name, strlen(name))) {
            return wrong(e, "a topic's name has 1 to 249 letters, digits, dots, underscores and hyphens", "option `subscribe`: `%s` is no name of a topic", name);
        }
        bool again = false;
        for (uint32_t i = 0; i < t->name_count; i++) again |= strcmp(t->names[i], name) == 0;
        if (!again) t->names[t->name_count++] = name;
    }
    return t->name_count ? STATUS_OK : wrong(e, NULL, "No topics to subscribe to as specified value for option 'subscribe' is '%s'", t->text);
}

static enum status compile_pattern(struct kafka_topics *t, struct arena *a, struct error *e) {
    int code;
    PCRE2_SIZE place;
    PCRE2_UCHAR reason[160];
    t->text = trimmed(a, t->text, strlen(t->text));
    if (!t->text) return error_no_memory(e);
    if (!*t->text) return wrong(e, NULL, "Pattern to subscribe is empty as specified value for option 'subscribePattern' is ''");
    t->pattern = pcre2_compile((PCRE2_SPTR)t->text, PCRE2_ZERO_TERMINATED, PCRE2_ANCHORED | PCRE2_ENDANCHORED, &code, &place, NULL);
    if (t->pattern) return STATUS_OK;
    pcre2_get_error_message(code, reason, sizeof reason);
    return wrong(e, "all topics that begin with a word: 'word.*'", "option `subscribePattern`: %s, at character %zu", (const char *)reason, (size_t)place);
}

static enum status read_selection(struct kafka_topics *t, const struct option_set *options, struct arena *a, struct error *e) {
    static const char *const names[] = {"subscribe", "subscribePattern", "assign"};
    int given = 0;
    for (int i = 0; i < 3; i++) {
        if (!option_text(options, names[i])) continue;
        given++;
        t->selection = (enum kafka_selection)i;
        TRY(option_resolve(a, option_text(options, names[i]), &t->text, e));
    }
    if (given != 1) {
        return wrong(e, "'subscribe' = 'topic1,topic2', 'subscribePattern' = 'topic.*', or 'assign' = '{\"topic\":[0,1]}'",
                     "%s of the following options must be specified for Kafka source: subscribe, subscribePattern, assign", given ? "Only one" : "One");
    }
    if (t->selection == KAFKA_SUBSCRIBE) return read_names(t, a, e);
    if (t->selection == KAFKA_SUBSCRIBE_PATTERN) return compile_pattern(t, a, e);
    TRY(kafka_offsets_parse(a, t->text, true, "assign", &t->assigned, e));
    return t->assigned.count ? STATUS_OK : wrong(e, NULL, "No topicpartitions to assign as specified value for option 'assign' is '%s'", t->text);
}

static enum status read_limit(const struct option_set *options, struct arena *a, bool starting, bool earliest, struct kafka_limit *out, struct error *e) {
    const char *time_name = starting ? "startingTimestamp" : "endingTimestamp", *times_name = starting ? "startingOffsetsByTimestamp" : "endingOffsetsByTimestamp";
    const char *offsets_name = starting ? "startingOffsets" : "endingOffsets", *text;
    *out = (struct kafka_limit){.kind = earliest ? KAFKA_LIMIT_EARLIEST : KAFKA_LIMIT_LATEST, .option_name = offsets_name};
    if (option_is_set(options, time_name)) {
        *out = (struct kafka_limit){.kind = KAFKA_LIMIT_TIME, .option_name = time_name, .time_ms = option_number(options, time_name)};
        return out->time_ms >= 0 ? STATUS_OK : wrong(e, NULL, "option `%s` must not be negative: milliseconds since 1970", time_name);
    }
    if (option_is_set(options, times_name)) {
        TRY(option_resolve(a, option_text(options, times_name), &text, e));
        *out = (struct kafka_limit){.kind = KAFKA_LIMIT_TIMES, .option_name = times_name};
        return kafka_offsets_parse(a, text, false, times_name, &out->offsets, e);
    }
    if (!option_is_set(options, offsets_name)) return STATUS_OK;
    TRY(option_resolve(a, option_text(options, offsets_name), &text, e));
    text = trimmed(a, text, strlen(text));
    if (!text) return error_no_memory(e);
    if (strcasecmp(text, "earliest") == 0) out->kind = KAFKA_LIMIT_EARLIEST;
    else if (strcasecmp(text, "latest") == 0) out->kind = KAFKA_LIMIT_LATEST;
    else if (*text != '{') return wrong(e, NULL, "option `%s` must be earliest, latest or JSON such as {\"topic\":{\"0\":23,\"1\":-2}}", offsets_name);
    else {
        out->kind = KAFKA_LIMIT_OFFSETS;
        return kafka_offsets_parse(a, text, false, offsets_name, &out->offsets, e);
    }
    return STATUS_OK;
}

static int compare_offsets(const void *a, const void *b) {
    const struct kafka_offset *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

// Lists are sorted.
static const struct kafka_offset *find_offset(const struct kafka_offsets *in, const struct kafka_offset *key) {
    return in->count ? bsearch(key, in->items, in->count, sizeof *key, compare_offsets) : NULL;
}

const struct kafka_offset *kafka_offsets_find(const struct kafka_offsets *in, const char *topic, int32_t partition) {
    return find_offset(in, &(struct kafka_offset){.topic = topic, .partition = partition});
}

static enum status check_stream(const struct option_set *options, struct error *e) {
    static const char *const names[] = {"endingOffsets", "endingOffsetsByTimestamp", "endingTimestamp"};
    for (int i = 0; i < 3; i++) {
        if (option_is_set(options, names[i])) {
            return wrong(e, "a stream has no end; leave it out, or read what is there now with --available-now", "ending %s not valid in streaming queries", i ? "timestamp" : "offset");
        }
    }
    return STATUS_OK;
}

static enum status check_batch(const struct kafka_topics *t, struct error *e) {
    const struct kafka_limit *start = &t->start, *end = &t->end;
    if (start->kind == KAFKA_LIMIT_LATEST) return wrong(e, "leave startingOffsets out, or set it to 'earliest'", "starting offset can't be latest for batch queries on Kafka");
    if (end->kind == KAFKA_LIMIT_EARLIEST) return wrong(e, "leave endingOffsets out", "ending offset can't be earliest for batch queries on Kafka");
    for (uint32_t i = 0; start->kind == KAFKA_LIMIT_OFFSETS && i < start->offsets.count; i++) {
        const struct kafka_offset *o = &start->offsets.items[i];
        if (o->offset == KAFKA_LATEST) return wrong(e, NULL, "startingOffsets for %s-%d can't be latest for batch queries on Kafka", o->topic, o->partition);
    }
    for (uint32_t i = 0; end->kind == KAFKA_LIMIT_OFFSETS && i < end->offsets.count; i++) {
        const struct kafka_offset *o = &end->offsets.items[i];
        if (o->offset == KAFKA_EARLIEST) return wrong(e, NULL, "ending offset for %s-%d can't be earliest for batch queries on Kafka", o->topic, o->partition);
    }
    if (start->kind != end->kind || (start->kind != KAFKA_LIMIT_OFFSETS && start->kind != KAFKA_LIMIT_TIMES)) return STATUS_OK;
    for (uint32_t i = 0; i < start->offsets.count; i++) {
        const struct kafka_offset *from = &start->offsets.items[i], *to = find_offset(&end->offsets, from);
        if (!to) {
            return error_set(e, STATUS_INVALID_ARGUMENT, "MISMATCHED_TOPIC_PARTITIONS_BETWEEN_START_OFFSET_AND_END_OFFSET",
                             "%s has %s-%d, %s has not: both must name the same partitions", start->option_name, from->topic, from->partition, end->option_name);
        }
        if (from->offset >= 0 && to->offset >= 0 && from->offset > to->offset) {
            return error_set(e, STATUS_INVALID_ARGUMENT, "UNRESOLVED_START_OFFSET_GREATER_THAN_END_OFFSET",
                             "the start %lld is greater than the end %lld for topic %s partition %d", (long long)from->offset, (long long)to->offset, from->topic, from->partition);
        }
    }
    return STATUS_OK;
}

enum status kafka_topics_init(struct kafka_topics *t, const struct source_request *r, struct arena *a, struct error *e) {
    const struct option_set *options = &r->options;
    const char *strategy = option_text(options, "startingOffsetsByTimestampStrategy");
    *t = (struct kafka_topics){.latest_if_no_match = strategy && strcasecmp(strategy, "latest") == 0, .fail_on_data_loss = option_number(options, "failOnDataLoss") != 0};
    TRY(read_selection(t, options, a, e));
    TRY(read_limit(options, a, true, !r->streaming, &t->start, e));
    if (r->streaming) return check_stream(options, e);
    TRY(read_limit(options, a, false, false, &t->end, e));
    return check_batch(t, e);
}

void kafka_topics_release(struct kafka_topics *t) {
    pcre2_code_free(t->pattern);
    t->pattern = NULL;
}

// --- metadata ---

static bool may_come(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR__WAIT_CACHE ||
           code == RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION || code == RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE;
}

static bool gives_up(const struct kafka_asking *asking) {
    return atomic_load(&asking->closing) || (asking->stop && atomic_load(asking->stop));
}

// A partition was listed before it is asked about. The client, or a broker, may not have heard of a new one yet.
static bool is_unknown(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC || code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
}

static void pause_shortly(void) {
    struct timespec pause = {.tv_nsec = 100000000};
    nanosleep(&pause, NULL);
}

// Is it worth asking again? Not for ever, and not where nobody listens.
static bool ask_again(struct kafka_asking *asking, int64_t since_us, rd_kafka_resp_err_t code) {
    int64_t spent_us = clock_monotonic_us() - since_us;
    return !gives_up(asking) && may_come(code) && spent_us < ANSWER_US && !(atomic_load(&asking->client->down) && spent_us > DOWN_US);
}

// How long one question may wait: longer for brokers that are slow, short for those that are away.
static int patience_ms(struct kafka_asking *asking, int *tries) {
    int ms = PATIENCE_MS << (*tries < 3 ? *tries : 3);
    ++*tries;
    if (asking->longest_ms && ms > asking->longest_ms) ms = asking->longest_ms;
    return atomic_load(&asking->client->down) ? PATIENCE_MS : ms;
}

static void note_controller(struct kafka_asking *asking, const struct rd_kafka_metadata *m) {
    int32_t id = rd_kafka_controllerid(asking->client->rk, 0);
    bool there = false;
    for (int i = 0; i < m->broker_cnt; i++) there |= m->brokers[i].id == id;
    asking->has_controller = there;
}

static enum status fetch_metadata(struct kafka_asking *asking, const char *topic, const struct rd_kafka_metadata **out, struct error *e) {
    struct kafka_question q = {0};
    snprintf(q.topic, sizeof q.topic, "%s", topic ? topic : "");
    int64_t since_us = clock_monotonic_us();
    int tries = 0;
    rd_kafka_resp_err_t code;
    enum status fatal = STATUS_OK;
    do {
        code = kafka_ask(asking, &q, patience_ms(asking, &tries));
        fatal = code ? kafka_client_check(asking->client, e) : STATUS_OK;
    } while (code && fatal == STATUS_OK && ask_again(asking, since_us, code));
    TRY(fatal);
    *out = q.metadata;
    if (!code) {
        kafka_client_up(asking->client);
        note_controller(asking, *out);
        return STATUS_OK;
    }
    char what[320];
    if (topic) snprintf(what, sizeof what, "asking for the partitions of `%s`", topic);
    else snprintf(what, sizeof what, "asking for the list of topics");
    return kafka_error(asking->client, code, NULL, what, e);
}

struct listing {
    const struct kafka_topics *topics;
    struct arena *arena;
    struct kafka_offsets *out;
    uint32_t capacity;
};

static enum status add_partition(struct listing *l, struct kafka_offsets *out, const char *topic, int32_t partition) {
    if (out->count == l->capacity || !out->items) {
        uint32_t capacity = out->count < 32 ? 64 : out->count * 2;
        struct kafka_offset *items = arena_alloc_array(l->arena, capacity, sizeof *items);
        if (!items) return STATUS_NO_MEMORY;
        if (out->count) memcpy(items, out->items, out->count * sizeof *items);
        out->items = items;
        l->capacity = capacity;
    }
    char *name = arena_strdup(l->arena, topic);
    if (!name) return STATUS_NO_MEMORY;
    out->items[out->count++] = (struct kafka_offset){.topic = name, .partition = partition};
    return STATUS_OK;
}

static enum status add_topic(struct listing *l, const struct rd_kafka_metadata_topic *t) {
    for (int i = 0; i < t->partition_cnt; i++) {
        struct kafka_offset key = {.topic = t->topic, .partition = t->partitions[i].id};
        if (l->topics->selection == KAFKA_ASSIGN && !find_offset(&l->topics->assigned, &key)) continue;
        TRY(add_partition(l, l->out, t->topic, t->partitions[i].id));
    }
    return STATUS_OK;
}

static bool matches(const struct kafka_topics *t, const char *topic, pcre2_match_data *data, pcre2_match_context *limits) {
    if (strcmp(topic, "__consumer_offsets") == 0 || strcmp(topic, "__transaction_state") == 0 || strcmp(topic, "__share_group_state") == 0) return false;
    return pcre2_match(t->pattern, (PCRE2_SPTR)topic, PCRE2_ZERO_TERMINATED, 0, 0, data, limits) >= 0;
}

static enum status list_matching(struct listing *l, struct kafka_asking *asking, struct error *e) {
    const struct rd_kafka_metadata *all;
    TRY(fetch_metadata(asking, NULL, &all, e));
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    enum status status = data && limits ? STATUS_OK : STATUS_NO_MEMORY;
    if (limits) pcre2_set_match_limit(limits, 1000000);
    for (int i = 0; i < all->topic_cnt && status == STATUS_OK; i++) {
        if (!all->topics[i].err && matches(l->topics, all->topics[i].topic, data, limits)) status = add_topic(l, &all->topics[i]);
    }
    pcre2_match_context_free(limits);
    pcre2_match_data_free(data);
    rd_kafka_metadata_destroy(all);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status topic_missing(struct kafka_asking *asking, const char *topic, rd_kafka_resp_err_t code, struct error *e) {
    char what[320];
    snprintf(what, sizeof what, "reading topic `%s`", topic);
    enum status status = kafka_error(asking->client, code, NULL, what, e);
    if (code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC) {
        status = error_set(e, STATUS_NOT_FOUND, "UNKNOWN_TOPIC_OR_PARTITION", "topic `%s` does not exist at %s", topic, asking->client->brokers);
        error_set_hint(e, "make it (leat kafka topics --create %s --brokers %s), or correct the table's option `subscribe`", topic, asking->client->brokers);
    }
    return status;
}

static enum status list_topic(struct listing *l, struct kafka_asking *asking, const char *topic, struct kafka_offsets *missing, struct listing *missing_listing, struct error *e) {
    const struct rd_kafka_metadata *one;
    int64_t since_us = clock_monotonic_us();
    for (;;) {
        TRY(fetch_metadata(asking, topic, &one, e));
        rd_kafka_resp_err_t code = one->topic_cnt ? one->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        enum status status = code ? STATUS_NOT_FOUND : add_topic(l, &one->topics[0]);
        rd_kafka_metadata_destroy(one);
        if (!code) return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
        bool unknown = code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        if (unknown && missing) return add_partition(missing_listing, missing, topic, 0) == STATUS_OK ? STATUS_OK : error_no_memory(e);
        if (!ask_again(asking, since_us, code)) return topic_missing(asking, topic, code, e);
        pause_shortly();
    }
}

enum status kafka_topics_list(const struct kafka_topics *t, struct kafka_asking *asking, struct arena *a, struct kafka_offsets *out, struct kafka_offsets *missing, struct error *e) {
    struct listing l = {.topics = t, .arena = a, .out = out}, missing_listing = {.topics = t, .arena = a};
    *out = (struct kafka_offsets){0};
    if (missing) *missing = (struct kafka_offsets){0};
    if (t->selection == KAFKA_SUBSCRIBE_PATTERN) TRY(list_matching(&l, asking, e));
    for (uint32_t i = 0; t->selection == KAFKA_SUBSCRIBE && i < t->name_count; i++) TRY(list_topic(&l, asking, t->names[i], missing, &missing_listing, e));
    for (uint32_t i = 0; t->selection == KAFKA_ASSIGN && i < t->assigned.count; i++) {
        if (i && strcmp(t->assigned.items[i - 1].topic, t->assigned.items[i].topic) == 0) continue;
        TRY(list_topic(&l, asking, t->assigned.items[i].topic, missing, &missing_listing, e));
    }
    if (out->count) qsort(out->items, out->count, sizeof *out->items, compare_offsets);
    for (uint32_t i = 0; t->selection == KAFKA_ASSIGN && !missing && i < t->assigned.count; i++) {
        const struct kafka_offset *wanted = &t->assigned.items[i];
        if (find_offset(out, wanted)) continue;
        (void)error_set(e, STATUS_NOT_FOUND, "UNKNOWN_TOPIC_OR_PARTITION", "topic `%s` at %s has no partition %d", wanted->topic, asking->client->brokers, wanted->partition);
        error_set_hint(e, "correct the table's option `assign`");
        return STATUS_NOT_FOUND;
    }
    return STATUS_OK;
}

// --- ids ---

// A topic's random id in 64 bits. Older clients cannot ask for it, and nobody can where the brokers name no controller.
#if RD_KAFKA_VERSION >= 0x020300ff
static int64_t id_of(const rd_kafka_TopicDescription_t *t) {
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_error(t) ? NULL : rd_kafka_TopicDescription_topic_id(t);
    return id ? rd_kafka_Uuid_most_significant_bits(id) ^ rd_kafka_Uuid_least_significant_bits(id) : 0;
}

static void take_ids(rd_kafka_event_t *event, const struct kafka_offsets *partitions, int64_t *ids) {
    size_t count = 0;
    const rd_kafka_DescribeTopics_result_t *result = rd_kafka_event_error(event) ? NULL : rd_kafka_event_DescribeTopics_result(event);
    const rd_kafka_TopicDescription_t **topics = result ? rd_kafka_DescribeTopics_result_topics(result, &count) : NULL;
    uint32_t i = 0;
    for (size_t t = 0; t < count; t++) {  // both are in order
        const char *name = rd_kafka_TopicDescription_name(topics[t]);
        while (i < partitions->count && strcmp(partitions->items[i].topic, name) < 0) i++;
        for (; i < partitions->count && strcmp(partitions->items[i].topic, name) == 0; i++) ids[i] = id_of(topics[t]);
    }
}

static void ask_ids(struct kafka_asking *asking, const char **names, size_t count, const struct kafka_offsets *partitions, int64_t *ids) {
    char reason[128];
    rd_kafka_TopicCollection_t *topics = rd_kafka_TopicCollection_of_topic_names(names, count);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(asking->client->rk, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(asking->client->rk);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, IDS_MS, reason, sizeof reason);
    rd_kafka_DescribeTopics(asking->client->rk, topics, options, queue);
    rd_kafka_event_t *event = NULL;
    for (int waited_ms = 0; !event && waited_ms <= IDS_MS && !gives_up(asking); waited_ms += IDS_STEP_MS) event = rd_kafka_queue_poll(queue, IDS_STEP_MS);
    if (event) {
        take_ids(event, partitions, ids);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_TopicCollection_destroy(topics);
}
#else
static void ask_ids(struct kafka_asking *asking, const char **names, size_t count, const struct kafka_offsets *partitions, int64_t *ids) {
    (void)asking, (void)names, (void)count, (void)partitions, (void)ids;
}
#endif

void kafka_topic_ids(struct kafka_asking *asking, const struct kafka_offsets *partitions, int64_t *ids) {
    size_t count = 0, bytes = ((size_t)partitions->count + 1) * sizeof(char *);
    memset(ids, 0, partitions->count * sizeof *ids);
    const char **names = partitions->count && asking->has_controller ? memory_alloc(asking->client->memory, bytes) : NULL;
    if (!names) return;
    for (uint32_t i = 0; i < partitions->count; i++) {
        if (!i || strcmp(partitions->items[i].topic, partitions->items[i - 1].topic) != 0) names[count++] = partitions->items[i].topic;
    }
    ask_ids(asking, names, count, partitions, ids);
    memory_free(asking->client->memory, names, bytes);
}

// --- offsets ---

enum status kafka_query_bounds(struct kafka_asking *asking, const char *topic, int32_t partition, int64_t *low, int64_t *high, struct error *e) {
    int64_t since_us = clock_monotonic_us();
    int tries = 0;
    bool early = false;
    struct kafka_question q = {.partition = partition, .bounds = true};
    rd_kafka_resp_err_t code;
    snprintf(q.topic, sizeof q.topic, "%s", topic);
    do {
        code = kafka_ask(asking, &q, patience_ms(asking, &tries));
        if (code) TRY(kafka_client_check(asking->client, e));
        early = is_unknown(code) && clock_monotonic_us() - since_us < UNKNOWN_US && !gives_up(asking);
        if (early) pause_shortly();
    } while (code && (early || ask_again(asking, since_us, code)));
    *low = q.low;
    *high = q.high;
    if (!code) return STATUS_OK;
    char what[400];
    snprintf(what, sizeof what, "asking for the first and last offset of %s-%d", topic, partition);
    return kafka_error(asking->client, code, NULL, what, e);
}

enum status kafka_data_loss(bool fail, struct log *log, const char *subclass, struct error *e, const char *format, ...) {
    char reason[600], condition[96];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(reason, sizeof reason, format, arguments);
    va_end(arguments);
    if (!fail) {
        log_write(log, LOG_WARN, "data may have been lost (failOnDataLoss is false): %s", reason);
        return STATUS_OK;
    }
    snprintf(condition, sizeof condition, "KAFKA_DATA_LOSS.%s", subclass);
    (void)error_set(e, STATUS_CONFLICT, condition, "some data may have been lost: it was aged out by Kafka, or the topic was deleted before all of it was read. %s", reason);
    error_set_hint(e, "to go on with what there is, set the table's option failOnDataLoss to 'false'");
    return STATUS_CONFLICT;
}

static enum status ask_times(struct kafka_asking *asking, rd_kafka_topic_partition_list_t *list, struct error *e) {
    int64_t since_us = clock_monotonic_us();
    int tries = 0;
    rd_kafka_resp_err_t code;
    struct kafka_question q = {0};
    do {
        if (q.times) rd_kafka_topic_partition_list_destroy(q.times);
        q.times = rd_kafka_topic_partition_list_copy(list);
        code = kafka_ask(asking, &q, patience_ms(asking, &tries));
    } while (code && ask_again(asking, since_us, code));
    for (int i = 0; i < list->cnt && !code; i++) {
        list->elems[i].offset = q.times->elems[i].offset;
        code = q.times->elems[i].err;
    }
    if (q.times) rd_kafka_topic_partition_list_destroy(q.times);
    return code ? kafka_error(asking->client, code, NULL, "asking for offsets by time", e) : STATUS_OK;
}

static int64_t time_of(const struct kafka_limit *limit, const struct kafka_offset *o) {
    const struct kafka_offset *listed = limit->kind == KAFKA_LIMIT_TIMES ? find_offset(&limit->offsets, o) : NULL;
    return limit->kind == KAFKA_LIMIT_TIME ? limit->time_ms : listed ? listed->offset : 0;
}

static enum status resolve_times(const struct kafka_topics *t, const struct kafka_limit *limit, struct kafka_asking *asking, struct kafka_offsets *partitions, struct error *e) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions->count);
    for (uint32_t i = 0; i < partitions->count; i++) {
        rd_kafka_topic_partition_list_add(list, partitions->items[i].topic, partitions->items[i].partition)->offset = time_of(limit, &partitions->items[i]);
    }
    enum status status = ask_times(asking, list, e);
    for (uint32_t i = 0; i < partitions->count && status == STATUS_OK; i++) {
        struct kafka_offset *o = &partitions->items[i];
        int64_t low, high;
        o->offset = list->elems[i].offset;
        if (o->offset >= 0) continue;
        if (limit == &t->start && !t->latest_if_no_match) {
            (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "no offset matched from request of topic-partition %s-%d and timestamp %lld (option `%s`)", o->topic,
                            o->partition, (long long)time_of(limit, o), limit->option_name);
            error_set_hint(e, "no message is that young; to begin with what comes, set startingOffsetsByTimestampStrategy to 'latest'");
            status = STATUS_INVALID_ARGUMENT;
        } else {
            status = kafka_query_bounds(asking, o->topic, o->partition, &low, &high, e);
            o->offset = high;
        }
    }
    rd_kafka_topic_partition_list_destroy(list);
    return status;
}

// A given offset must be one there is, or the next one.
static enum status check_bounds(const struct kafka_topics *t, bool starting, struct log *log, struct kafka_offset *o, int64_t low, int64_t high, struct error *e) {
    if (o->offset >= low && o->offset <= high) return STATUS_OK;
    int64_t given = o->offset;
    o->offset = starting || given < low ? low : high;
    return kafka_data_loss(t->fail_on_data_loss, log, "START_OFFSET_RESET", e, "%s offset for %s-%d was %lld, but the partition has %lld to %lld; it becomes %lld",
                           starting ? "Starting" : "Ending", o->topic, o->partition, (long long)given, (long long)low, (long long)high, (long long)o->offset);
}

// The option's JSON and the partitions there are must be the same ones.
static enum status check_listed(const struct kafka_limit *limit, const struct kafka_offsets *partitions, struct error *e) {
    const char *condition = limit->kind == KAFKA_LIMIT_TIMES ? "KAFKA_TIMESTAMP_OFFSET_DOES_NOT_MATCH_ASSIGNED" : "KAFKA_START_OFFSET_DOES_NOT_MATCH_ASSIGNED";
    for (uint32_t i = 0; i < partitions->count; i++) {
        const struct kafka_offset *o = &partitions->items[i];
        if (find_offset(&limit->offsets, o)) continue;
        (void)error_set(e, STATUS_INVALID_ARGUMENT, condition, "option `%s` does not name partition %d of topic `%s`", limit->option_name, o->partition, o->topic);
        error_set_hint(e, "name every partition that is read; -2 is earliest, -1 latest");
        return STATUS_INVALID_ARGUMENT;
    }
    for (uint32_t i = 0; i < limit->offsets.count; i++) {
        const struct kafka_offset *o = &limit->offsets.items[i];
        if (find_offset(partitions, o)) continue;
        return error_set(e, STATUS_INVALID_ARGUMENT, condition, "option `%s` names %s-%d, which the table does not read", limit->option_name, o->topic, o->partition);
    }
    return STATUS_OK;
}

enum status kafka_resolve(const struct kafka_topics *t, const struct kafka_limit *limit, struct kafka_asking *asking, struct log *log, struct kafka_offsets *partitions,
                          struct error *e) {
    bool listed = limit->kind == KAFKA_LIMIT_OFFSETS || limit->kind == KAFKA_LIMIT_TIMES;
    if (listed) TRY(check_listed(limit, partitions, e));
    if (limit->kind == KAFKA_LIMIT_TIME || limit->kind == KAFKA_LIMIT_TIMES) return resolve_times(t, limit, asking, partitions, e);
    for (uint32_t i = 0; i < partitions->count; i++) {
        struct kafka_offset *o = &partitions->items[i];
        int64_t low, high, wanted = listed ? find_offset(&limit->offsets, o)->offset : limit->kind == KAFKA_LIMIT_EARLIEST ? KAFKA_EARLIEST : KAFKA_LATEST;
        TRY(kafka_query_bounds(asking, o->topic, o->partition, &low, &high, e));
        o->offset = wanted == KAFKA_EARLIEST ? low : wanted == KAFKA_LATEST ? high : wanted;
        TRY(check_bounds(t, limit == &t->start, log, o, low, high, e));
    }
    return STATUS_OK;
}
