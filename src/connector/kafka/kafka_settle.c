// SPDX-License-Identifier: Apache-2.0
// kafka_settle.c: "what is there now" for a reader of committed messages. A broker answers a commit when it stands in its log of transactions, and
// writes the markers into the partitions behind that: for some milliseconds, more on a busy broker, the messages are committed and nobody is shown
// them. Who reads to the end right behind a writer that is done would miss them, partition by partition.
#include "base/clock.h"
#include "connector/kafka/kafka_topics.h"
#include <time.h>

enum { WAIT_US = 5000000, TELL_US = 1000000, PAUSE_US = 20000, ASK_MS = 5000, ASK_STEP_MS = 50 };

#if RD_KAFKA_VERSION >= 0x020300ff
static bool stopped(const struct kafka_asking *asking) { return atomic_load(&asking->closing) || (asking->stop && atomic_load(asking->stop)); }

// Both are in the order of `partitions`, or are looked up.
static void take_ends(rd_kafka_event_t *event, const struct kafka_offsets *partitions, int64_t *ends) {
    size_t count = 0;
    const rd_kafka_ListOffsets_result_t *result = rd_kafka_event_error(event) ? NULL : rd_kafka_event_ListOffsets_result(event);
    const rd_kafka_ListOffsetsResultInfo_t **infos = result ? rd_kafka_ListOffsets_result_infos(result, &count) : NULL;
    for (size_t i = 0; i < count; i++) {
        const rd_kafka_topic_partition_t *at = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[i]);
        const struct kafka_offset *found = at->err ? NULL : kafka_offsets_find(partitions, at->topic, at->partition);
        if (found) ends[found - partitions->items] = at->offset;
    }
}

// Where each partition ends, undecided transactions included; 0: no answer.
static void ask_ends(struct kafka_asking *asking, const struct kafka_offsets *partitions, int64_t *ends) {
    char reason[128];
    rd_kafka_t *rk = asking->client->rk;
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)partitions->count);
    for (uint32_t i = 0; i < partitions->count; i++) {
        rd_kafka_topic_partition_list_add(list, partitions->items[i].topic, partitions->items[i].partition)->offset = RD_KAFKA_OFFSET_SPEC_LATEST;
    }
    rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(rk, RD_KAFKA_ADMIN_OP_LISTOFFSETS);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    (void)rd_kafka_AdminOptions_set_request_timeout(options, ASK_MS, reason, sizeof reason);
    rd_kafka_error_t *refused = rd_kafka_AdminOptions_set_isolation_level(options, RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED);
    if (refused) rd_kafka_error_destroy(refused);
    rd_kafka_ListOffsets(rk, list, options, queue);
    rd_kafka_event_t *event = NULL;
    for (int waited_ms = 0; !event && waited_ms <= ASK_MS && !stopped(asking); waited_ms += ASK_STEP_MS) event = rd_kafka_queue_poll(queue, ASK_STEP_MS);
    if (event) {
        take_ends(event, partitions, ends);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_AdminOptions_destroy(options);
    rd_kafka_topic_partition_list_destroy(list);
}

static enum status settle_one(struct kafka_asking *asking, struct log *log, struct kafka_offset *o, int64_t end, int64_t since_us, struct error *e) {
    const struct timespec pause = {.tv_nsec = PAUSE_US * 1000};
    bool told = false;
    while (o->offset < end && !stopped(asking)) {
        int64_t low, high, spent_us = clock_monotonic_us() - since_us;
        TRY(kafka_query_bounds(asking, o->topic, o->partition, &low, &high, e));
        if (high > o->offset) o->offset = high;
        if (o->offset >= end) break;
        if (spent_us > WAIT_US) {
            log_write(log, LOG_WARN, "%s: offsets %lld to %lld of %s-%d belong to a transaction that is still open, or stand behind one: they are not read now", asking->client->who,
                      (long long)o->offset, (long long)end - 1, o->topic, o->partition);
            break;
        }
        if (spent_us > TELL_US && !told) {
            log_write(log, LOG_INFO, "%s: %s-%d ends in a transaction that is open; waiting for its end, %d s at most", asking->client->who, o->topic, o->partition, WAIT_US / 1000000);
            told = true;
        }
        nanosleep(&pause, NULL);
    }
    return STATUS_OK;
}

enum status kafka_settle(struct kafka_asking *asking, struct log *log, struct kafka_offsets *partitions, struct error *e) {
    size_t bytes = ((size_t)partitions->count + 1) * sizeof(int64_t);
    int64_t *ends = partitions->count ? memory_alloc_zeroed(asking->client->memory, bytes) : NULL, since_us = clock_monotonic_us();
    if (!ends) return partitions->count ? error_no_memory(e) : STATUS_OK;
    ask_ends(asking, partitions, ends);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < partitions->count && status == STATUS_OK; i++) status = settle_one(asking, log, &partitions->items[i], ends[i], since_us, e);
    memory_free(asking->client->memory, ends, bytes);
    return status;
}
#else
enum status kafka_settle(struct kafka_asking *asking, struct log *log, struct kafka_offsets *partitions, struct error *e) {
    (void)asking, (void)log, (void)partitions, (void)e;  // an older client tells nothing of what is undecided
    return STATUS_OK;
}
#endif
