// SPDX-License-Identifier: Apache-2.0
// memory.h: tables that live in the process, for tests. Whoever runs the pipeline makes a hub, hands it over as `host`, and pushes rows as
// JSON lines; a memory table reads them as a stream with one partition, offset = line number. A memory sink appends its rows to the
// hub table of its name.
#pragma once
#include "base/buffer.h"
#include "base/map.h"
#include "base/vector.h"
#include <pthread.h>

struct memory_table {
    char *name;
    struct vector lines;      // of struct buffer *, each one JSON document
};

struct memory_hub {
    struct memory *memory;
    struct map tables;        // name → struct memory_table *, ignoring case
    pthread_mutex_t mutex;
};

void memory_hub_init(struct memory_hub *h, struct memory *memory);
void memory_hub_release(struct memory_hub *h);
struct memory_table *memory_hub_table(struct memory_hub *h, const char *name);  // made on first use; NULL: no memory
enum status memory_hub_push(struct memory_hub *h, const char *table, const char *json, size_t size_bytes) WARN_UNUSED;
