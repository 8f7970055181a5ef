// SPDX-License-Identifier: Apache-2.0
// kafka_questions.c: what a store asks brokers beside writing: for the record of the last epoch, and whether a topic is compacted. Contracts in
// kafka_producer.h. Answers come by a queue of their own; waits are cut in slices, so that a stop ends them.
#include "base/clock.h"
#include "connector/kafka/kafka_producer.h"
#include <unistd.h>

enum {
    REQUEST_WAIT_MS = 10000,
    ANSWER_WAIT_MS = REQUEST_WAIT_MS + 1000,
    POLICY_WAIT_MS = 5000,
    SLICE_MS = 100,
    COORDINATOR_WAIT_US = 10000000,  // of a broker that has just been started
};

// NULL: no answer.
static rd_kafka_event_t *wait_for_answer(struct kafka_producer *p, rd_kafka_queue_t *queue, int wait_ms) {
    rd_kafka_event_t *event = NULL;
    for (int waited_ms = 0; !event && waited_ms < wait_ms && !kafka_producer_stopping(p); waited_ms += SLICE_MS) event = rd_kafka_queue_poll(queue, SLICE_MS);
    return event;
}

// --- the record ---

// A coordinator that is being chosen, or reads what it is to know.
static bool is_getting_ready(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS || code == RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE || code == RD_KAFKA_RESP_ERR_NOT_COORDINATOR ||
           code == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT;
}

static bool find_record(const rd_kafka_topic_partition_list_t *list, const uint8_t pipeline[16], struct sink_record *record) {
    bool found = false;
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        struct sink_record one;
        char text[KAFKA_RECORD_CHARS];
        if (at->err || at->offset < 0 || !at->metadata || at->metadata_size >= sizeof text) continue;
        memcpy(text, at->metadata, at->metadata_size);
        text[at->metadata_size] = 0;
        if (!kafka_record_parse(text, pipeline, &one) || (found && one.epoch <= record->epoch)) continue;
        *record = one;
        found = true;
    }
    return found;
}

struct question {
    struct kafka_client *client;
    const rd_kafka_topic_partition_list_t *partitions;  // NULL: all topics the group has an offset for
    bool is_early;                // the coordinator is not ready: `e` says what it said
    bool *found;
    struct sink_record *record;
};

static enum status fail(struct kafka_producer *p, struct question *q, rd_kafka_resp_err_t code, const char *reason, struct error *e) {
    q->is_early = is_getting_ready(code);
    enum status status = kafka_error(p->client, code, reason, "reading the record of the last epoch", e);
    if (q->is_early) error_set_hint(e, "the broker's group coordinator is not ready, as after a start; __consumer_offsets must have a leader and enough replicas");
    return status;
}

static enum status read_group(struct kafka_producer *p, rd_kafka_event_t *event, struct question *q, struct error *e) {
    size_t count = 0;
    if (!event) return kafka_producer_unreachable(p, "reading the record of the last epoch", e);
    if (rd_kafka_event_error(event)) return fail(p, q, rd_kafka_event_error(event), rd_kafka_event_error_string(event), e);
    const rd_kafka_ListConsumerGroupOffsets_result_t *result = rd_kafka_event_ListConsumerGroupOffsets_result(event);
    const rd_kafka_group_result_t **groups = result ? rd_kafka_ListConsumerGroupOffsets_result_groups(result, &count) : NULL;
    if (!count) return STATUS_OK;
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error) return fail(p, q, rd_kafka_error_code(error), rd_kafka_error_string(error), e);
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(groups[0]);
    for (int i = 0; list && i < list->cnt; i++) {
        if (is_getting_ready(list->elems[i].err)) return fail(p, q, list->elems[i].err, NULL, e);
    }
    if (list) *q->found = find_record(list, p->pipeline, q->record);
    return STATUS_OK;
}

static enum status ask_group(struct kafka_producer *p, struct question *q, struct error *e) {
    char reason[128];
    rd_kafka_t *rk = q->client->rk;
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListConsumerGroupOffsets_t *request = rd_kafka_ListConsumerGroupOffsets_new(p->id, q->partitions);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
    rd_kafka_AdminOptions_set_request_timeout(options, REQUEST_WAIT_MS, reason, sizeof reason);
    rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_require_stable_offsets(options, 1);
    if (refused) rd_kafka_error_destroy(refused);
    rd_kafka_ListConsumerGroupOffsets(rk, &request, 1, options, queue);
    rd_kafka_event_t *event = wait_for_answer(p, queue, ANSWER_WAIT_MS);
    q->is_early = false;
    enum status status = read_group(p, event, q, e);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_ListConsumerGroupOffsets_destroy(request);
    rd_kafka_queue_destroy(queue);
    return status;
}

static enum status ask_until_ready(struct kafka_producer *p, struct question *q, struct error *e) {
    int64_t give_up_us = clock_monotonic_us() + COORDINATOR_WAIT_US;
    for (;;) {
        enum status status = ask_group(p, q, e);
        if (status == STATUS_OK || !q->is_early || kafka_producer_stopping(p) || clock_monotonic_us() > give_up_us) return status;
        rd_kafka_poll(p->client->rk, 0);
        rd_kafka_poll(q->client->rk, 0);
        usleep(SLICE_MS * 1000);
    }
}

// A client of its own, of the kind that has a group: librdkafka (2.15.1 as well) reads through a null pointer where a producer asks for offsets and
// the broker is not, or not yet, the group's coordinator.
static enum status make_asker(struct kafka_producer *p, struct kafka_client **out, struct error *e) {
    rd_kafka_conf_t *conf;
    char reason[256];
    TRY(kafka_conf_make(p->options, KAFKA_PRODUCER, p->memory, &conf, e));
    if (rd_kafka_conf_set(conf, "group.id", p->id, reason, sizeof reason) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "librdkafka %s refuses group.id: %s", rd_kafka_version_str(), reason);
    }
    TRY(kafka_client_new(conf, KAFKA_CONSUMER, p->who, p->memory, p->log, out, e));
    (*out)->trusted = (*out)->quiet = true;
    return STATUS_OK;
}

// Tables may have been added and taken away since: the record is searched wherever the group has an offset.
enum status kafka_producer_record(struct kafka_producer *p, bool *found, struct sink_record *record, struct error *e) {
    struct question q = {.found = found, .record = record};
    *found = false;
    TRY(kafka_producer_ready(p, e));
    TRY(make_asker(p, &q.client, e));
    enum status status = ask_until_ready(p, &q, e);
    if (status == STATUS_OK && !*found && p->record_topic[0]) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);  // not every broker lists all
        rd_kafka_topic_partition_list_add(list, p->record_topic, 0);
        q.partitions = list;
        status = ask_until_ready(p, &q, e);
        rd_kafka_topic_partition_list_destroy(list);
    }
    (void)kafka_client_free(q.client);
    return status;
}

// --- a topic's policy ---

static bool names_compact(const char *policy) {
    for (const char *at = policy; at && (at = strstr(at, "compact")); at += 7) {
        bool begins = at == policy || at[-1] == ',' || at[-1] == ' ', ends = !at[7] || at[7] == ',' || at[7] == ' ';
        if (begins && ends) return true;
    }
    return false;
}

static bool read_policy(rd_kafka_event_t *event, const char **reason) {
    size_t resource_count = 0, entry_count = 0;
    const rd_kafka_DescribeConfigs_result_t *result = rd_kafka_event_DescribeConfigs_result(event);
    const rd_kafka_ConfigResource_t **resources = result ? rd_kafka_DescribeConfigs_result_resources(result, &resource_count) : NULL;
    *reason = rd_kafka_event_error(event) ? rd_kafka_event_error_string(event) : "nothing";
    if (!resource_count) return false;
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
    *reason = code ? rd_kafka_err2str(code) : NULL;
    const rd_kafka_ConfigEntry_t **entries = rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++) {
        if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), "cleanup.policy") == 0) return names_compact(rd_kafka_ConfigEntry_value(entries[i]));
    }
    return false;
}

enum status kafka_producer_is_compacted(struct kafka_producer *p, struct kafka_topic *t, bool *out, struct error *e) {
    char text[128], what[300];
    const char *reason;
    rd_kafka_t *rk = p->client->rk;
    rd_kafka_ConfigResource_t *resource = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, t->name);
    *out = false;
    if (!resource) return error_no_memory(e);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_AdminOptions_set_request_timeout(options, POLICY_WAIT_MS, text, sizeof text);
    rd_kafka_DescribeConfigs(rk, &resource, 1, options, queue);
    rd_kafka_event_t *event = wait_for_answer(p, queue, POLICY_WAIT_MS + 1000);
    enum status status = STATUS_OK;
    snprintf(what, sizeof what, "asking for the settings of topic `%.250s`", t->name);
    if (!event) status = kafka_producer_unreachable(p, what, e);
    else *out = read_policy(event, &reason);
    if (event && reason && p->log) log_write(p->log, LOG_DEBUG, "%s: %s: %s; messages it refuses are found one by one", p->who, what, reason);
    if (event) rd_kafka_event_destroy(event);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_queue_destroy(queue);
    rd_kafka_ConfigResource_destroy(resource);
    return status;
}
