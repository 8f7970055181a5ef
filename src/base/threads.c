// SPDX-License-Identifier: Apache-2.0
// threads.c: the crew and the wake-up call.
//
// A job is published by raising `generation` under the mutex; each worker runs it once and lowers `running`. The caller works too,
// and waits for the last. Workers block all signals: those are the main thread's.
#include "base/threads.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

struct worker {
    struct crew *crew;
    uint32_t index;
};

// Told to each thread through its argument, which it frees.
static void *work(void *argument) {
    struct worker worker = *(struct worker *)argument;
    struct crew *c = worker.crew;
    memory_free(c->memory, argument, sizeof worker);
    uint64_t seen = 0;
    pthread_mutex_lock(&c->mutex);
    for (;;) {
        while (c->generation == seen && !c->closing) pthread_cond_wait(&c->start, &c->mutex);
        if (c->closing) break;
        seen = c->generation;
        crew_job job = c->job;
        void *context = c->context;
        pthread_mutex_unlock(&c->mutex);
        job(context, worker.index);
        pthread_mutex_lock(&c->mutex);
        if (--c->running == 0) pthread_cond_signal(&c->done);
    }
    pthread_mutex_unlock(&c->mutex);
    return NULL;
}

static int start_worker(struct crew *c, uint32_t index) {
    struct worker *argument = memory_alloc(c->memory, sizeof *argument);
    if (!argument) return ENOMEM;
    *argument = (struct worker){.crew = c, .index = index};
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // inherited by the thread
    int result = pthread_create(&c->threads[index - 1], NULL, work, argument);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0) memory_free(c->memory, argument, sizeof *argument);
    return result;
}

// Ends the first `started` threads.
static void stop_workers(struct crew *c, uint32_t started) {
    pthread_mutex_lock(&c->mutex);
    c->closing = true;
    pthread_cond_broadcast(&c->start);
    pthread_mutex_unlock(&c->mutex);
    for (uint32_t i = 0; i < started; i++) pthread_join(c->threads[i], NULL);
    pthread_mutex_destroy(&c->mutex);
    pthread_cond_destroy(&c->start);
    pthread_cond_destroy(&c->done);
    memory_free(c->memory, c->threads, (c->worker_count - 1) * sizeof *c->threads);
    c->threads = NULL;
}

enum status crew_init(struct crew *c, struct memory *memory, uint32_t worker_count, struct error *e) {
    *c = (struct crew){.memory = memory, .worker_count = worker_count ? worker_count : 1};
    if (c->worker_count > 1) {
        c->threads = memory_alloc_zeroed(memory, (c->worker_count - 1) * sizeof *c->threads);
        if (!c->threads) return error_no_memory(e);
    }
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->start, NULL);
    pthread_cond_init(&c->done, NULL);
    for (uint32_t i = 1; i < c->worker_count; i++) {
        int result = start_worker(c, i);
        if (result == 0) continue;
        stop_workers(c, i - 1);
        return result == ENOMEM ? error_no_memory(e) : error_set_errno(e, result, "cannot start worker %u of %u", i, worker_count);
    }
    return STATUS_OK;
}

void crew_run(struct crew *c, crew_job job, void *context) {
    if (c->worker_count > 1) {
        pthread_mutex_lock(&c->mutex);
        c->job = job;
        c->context = context;
        c->running = c->worker_count - 1;
        c->generation++;
        pthread_cond_broadcast(&c->start);
        pthread_mutex_unlock(&c->mutex);
    }
    job(context, 0);
    if (c->worker_count > 1) {
        pthread_mutex_lock(&c->mutex);
        while (c->running > 0) pthread_cond_wait(&c->done, &c->mutex);
        pthread_mutex_unlock(&c->mutex);
    }
}

void crew_release(struct crew *c) { stop_workers(c, c->worker_count - 1); }

enum status notify_init(struct notify *n, struct error *e) {
    n->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return n->fd >= 0 ? STATUS_OK : error_set_errno(e, errno, "cannot create an event descriptor");
}

void notify_raise(struct notify *n) {
    int reason = errno;  // a signal handler must not change it
    uint64_t one = 1;
    ssize_t written = write(n->fd, &one, sizeof one);
    (void)written;  // full: it is raised already
    errno = reason;
}

static int64_t now_us(void) {
    struct timespec t = {0};
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

bool notify_wait(struct notify *n, int64_t timeout_us) {
    const int64_t year_us = INT64_C(365) * 86400 * 1000000;
    if (timeout_us > year_us) timeout_us = year_us;
    int64_t deadline = timeout_us < 0 ? 0 : now_us() + timeout_us;
    for (;;) {
        uint64_t raised;
        if (read(n->fd, &raised, sizeof raised) == (ssize_t)sizeof raised) return true;
        int64_t left = timeout_us < 0 ? 0 : deadline - now_us();
        if (timeout_us >= 0 && left <= 0) return false;
        struct timespec wait = {.tv_sec = (time_t)(left / 1000000), .tv_nsec = (long)(left % 1000000) * 1000};
        struct pollfd poll_fd = {.fd = n->fd, .events = POLLIN};
        if (ppoll(&poll_fd, 1, timeout_us < 0 ? NULL : &wait, NULL) < 0 && errno != EINTR) return false;
    }
}

void notify_release(struct notify *n) {
    if (n->fd >= 0) close(n->fd);
    n->fd = -1;
}
