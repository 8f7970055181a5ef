// SPDX-License-Identifier: Apache-2.0
// kafka_probe.h: batches of records the client cannot read (checksum, codec). It refuses them whole, names their first offset and not their last:
//
//     first                                                    asked at first + 1, + 2, + 4 … while the answer is the same batch,
//     [ damaged batch ][ next batch …                          then between the last one inside and the first one outside by halves
//       1 2   4       8       16 ↑ outside
//
// Then every record of it is stored as a bad one, some at a time, as the window has room. Of the fetch thread alone.
#pragma once
#include "connector/kafka/kafka_fetch.h"

struct kafka_segment {
    struct kafka_segment *next;
    struct buffer *block;
    uint32_t count;             // published
    size_t used_bytes;          // of its messages, published
    int64_t last_offset;
};

static inline struct kafka_message *segment_message(const struct kafka_segment *s, uint32_t index) {
    return (struct kafka_message *)(void *)(s->block->data + s->block->capacity_bytes) - 1 - index;
}

// Does the client's word say that records are there and cannot be read?
bool kafka_is_unreadable(rd_kafka_resp_err_t code);
void kafka_probe_begin(struct kafka_partition *p, const rd_kafka_message_t *m);
void kafka_probe_answer(struct kafka_partition *p, const rd_kafka_message_t *m);
void kafka_probe_store(struct kafka_partition *p);

// kafka_fetch.c, for the above. store: false without memory, which is told. reposition: what is left of the messages taken is from before.
bool kafka_fetch_store(struct kafka_partition *p, const rd_kafka_message_t *m);
void kafka_fetch_stop(struct kafka_partition *p);
void kafka_fetch_reposition(struct kafka_partition *p, int64_t offset);
