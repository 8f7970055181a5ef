// SPDX-License-Identifier: Apache-2.0
// threads.h: a fixed crew of workers that run one job together: worker i of n. The caller is worker 0. Between jobs they sleep.
#pragma once
#include "base/memory.h"
#include "base/status.h"
#include <pthread.h>

typedef void (*crew_job)(void *context, uint32_t worker_index);

struct crew {
    struct memory *memory;
    uint32_t worker_count;  // ≥ 1, the caller included
    pthread_t *threads;     // worker_count - 1
    pthread_mutex_t mutex;
    pthread_cond_t start;
    pthread_cond_t done;
    crew_job job;
    void *context;
    uint64_t generation;
    uint32_t running;
    bool closing;
};

enum status crew_init(struct crew *c, struct memory *memory, uint32_t worker_count, struct error *e) WARN_UNUSED;
void crew_run(struct crew *c, crew_job job, void *context);  // returns when every worker has
void crew_release(struct crew *c);

// A wake-up call that crosses threads and signal handlers: one eventfd. notify_wait returns after a raise or after timeout_us
// (< 0: no limit); raises are not counted.
struct notify {
    int fd;
};
enum status notify_init(struct notify *n, struct error *e) WARN_UNUSED;
void notify_raise(struct notify *n);  // async-signal-safe
bool notify_wait(struct notify *n, int64_t timeout_us);  // true: raised
void notify_release(struct notify *n);
