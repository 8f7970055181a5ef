// SPDX-License-Identifier: Apache-2.0
// kafka_probe.c: see kafka_probe.h.
#include "connector/kafka/kafka_probe.h"

enum { BAD_RECORDS_MAX = 1 << 24, BAD_RECORDS_STEP = 1024 };  // of one batch; of them at a time

// A record that cannot be read. The reason's text is in each segment once.
static bool store_bad(struct kafka_partition *p, int64_t offset) {
    struct kafka_probe *q = &p->probe;
    size_t taken = p->tail ? p->tail_bytes + ((size_t)p->tail_count + 1) * sizeof(struct kafka_message) : 0;
    if (p->tail && p->tail == q->told_in && taken <= p->tail->block->capacity_bytes) {
        *segment_message(p->tail, p->tail_count++) = (struct kafka_message){.bytes = q->told, .offset = offset, .key_bytes = KAFKA_NULL_BYTES, .value_bytes = (uint32_t)strlen(q->reason),
                                                                            .timestamp_type = -1, .is_bad = true};
        p->tail_end = offset + 1;
        return true;
    }
    rd_kafka_message_t m = {.offset = offset, .payload = q->reason, .len = strlen(q->reason)};
    if (!kafka_fetch_store(p, &m)) return false;
    struct kafka_message *message = segment_message(p->tail, p->tail_count - 1);
    message->is_bad = true;
    q->told_in = p->tail;
    q->told = message->bytes;
    return true;
}

bool kafka_is_unreadable(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__BAD_MSG || code == RD_KAFKA_RESP_ERR__BAD_COMPRESSION || code == RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED ||
           code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG;
}

static void fail_endless(struct kafka_partition *p) {
    struct error e;
    (void)error_set(&e, STATUS_IO, "LEAT_KAFKA_ERROR", "reading %s at offset %lld: %s; and the broker gives the same batch for the %d offsets behind it", p->name, (long long)p->probe.first,
                    p->probe.reason, BAD_RECORDS_MAX);
    error_set_hint(&e, "no batch has so many records: the broker's files may be damaged");
    kafka_fetch_fail(p->fetch, &e);
}

// Where does the batch end?
static void probe_on(struct kafka_partition *p) {
    struct kafka_probe *q = &p->probe;
    if (q->high < 0 || q->high - q->low > 1) {
        q->at = q->high < 0 ? q->low + q->step : q->low + (q->high - q->low) / 2;
        if (q->at - q->first > BAD_RECORDS_MAX) {
            kafka_fetch_stop(p);
            p->is_discarding = true;
            fail_endless(p);
            return;
        }
        if (q->high < 0) q->step *= 2;
        kafka_fetch_reposition(p, q->at);
        return;
    }
    q->is_active = false;
    q->is_storing = true;
    kafka_fetch_stop(p);
    p->is_discarding = true;
}

// Every record of the batch leaves its place behind, for the dead rows: some at a time, as the window has room.
void kafka_probe_store(struct kafka_partition *p) {
    struct kafka_probe *q = &p->probe;
    for (int i = 0; i < BAD_RECORDS_STEP && q->first <= q->low; i++, q->first++) {
        if (!store_bad(p, q->first)) return;
    }
    if (q->first <= q->low) return;
    q->is_storing = false;
    kafka_fetch_reposition(p, q->high);
}

void kafka_probe_begin(struct kafka_partition *p, const rd_kafka_message_t *m) {
    struct kafka_probe *q = &p->probe;
    int64_t first = m->offset > p->tail_end ? m->offset : p->tail_end;
    *q = (struct kafka_probe){.is_active = true, .base = m->offset, .first = first, .low = first, .high = -1, .step = 1};
    snprintf(q->reason, sizeof q->reason, "%s", rd_kafka_message_errstr(m));
    probe_on(p);
}

void kafka_probe_answer(struct kafka_partition *p, const rd_kafka_message_t *m) {
    struct kafka_probe *q = &p->probe;
    if (kafka_is_unreadable(m->err) && m->offset == q->base) q->low = q->at;
    else if (!m->err || kafka_is_unreadable(m->err) || m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF || m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
             m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        q->high = q->at;
    else return;
    probe_on(p);
}
