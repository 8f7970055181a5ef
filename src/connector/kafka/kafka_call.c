// SPDX-License-Identifier: Apache-2.0
// kafka_call.c: steps of a transaction, with an end. librdkafka takes a time limit for each and has been seen to wait for ever in spite of it
// (2.15.1, writing the record while its coordinator goes away), so the step runs in a thread of its own. A client that such a thread is left in
// is abandoned: it is neither used nor destroyed, and the next one with its name fences it.
#include "connector/kafka/kafka.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GRACE_S = 5 };

struct call {
    rd_kafka_t *rk;
    enum kafka_step step;
    rd_kafka_topic_partition_list_t *offsets;     // its own
    rd_kafka_consumer_group_metadata_t *group;    // likewise
    int timeout_ms;
    rd_kafka_error_t *error;
    pthread_mutex_t mutex;                        // of what follows
    pthread_cond_t changed;
    bool done, abandoned;
};

static void free_call(struct call *c) {
    if (c->offsets) rd_kafka_topic_partition_list_destroy(c->offsets);
    if (c->group) rd_kafka_consumer_group_metadata_destroy(c->group);
    pthread_cond_destroy(&c->changed);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static void *run(void *argument) {
    struct call *c = argument;
    switch (c->step) {
    case KAFKA_STEP_RECORD: c->error = rd_kafka_send_offsets_to_transaction(c->rk, c->offsets, c->group, c->timeout_ms); break;
    case KAFKA_STEP_COMMIT: c->error = rd_kafka_commit_transaction(c->rk, c->timeout_ms); break;
    case KAFKA_STEP_ABORT: c->error = rd_kafka_abort_transaction(c->rk, c->timeout_ms); break;
    }
    pthread_mutex_lock(&c->mutex);
    bool abandoned = c->abandoned;
    c->done = true;
    pthread_cond_signal(&c->changed);
    pthread_mutex_unlock(&c->mutex);
    if (!abandoned) return NULL;
    if (c->error) rd_kafka_error_destroy(c->error);
    free_call(c);
    return NULL;
}

static bool start(struct call *c) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    bool started = pthread_create(&thread, NULL, run, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) pthread_detach(thread);
    return started;
}

static bool wait_for(struct call *c) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += c->timeout_ms / 1000 + GRACE_S;
    pthread_mutex_lock(&c->mutex);
    while (!c->done && pthread_cond_clockwait(&c->changed, &c->mutex, CLOCK_MONOTONIC, &until) == 0) {
    }
    bool done = c->done;
    c->abandoned = !done;
    pthread_mutex_unlock(&c->mutex);
    return done;
}

rd_kafka_error_t *kafka_transaction_step(struct kafka_client *client, enum kafka_step step, const rd_kafka_topic_partition_list_t *offsets, const char *group,
                                         int timeout_ms) {
    struct call *c = calloc(1, sizeof *c);
    if (!c) return rd_kafka_error_new(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "no memory");
    c->rk = client->rk;
    c->step = step;
    c->timeout_ms = timeout_ms;
    c->offsets = offsets ? rd_kafka_topic_partition_list_copy(offsets) : NULL;
    c->group = group ? rd_kafka_consumer_group_metadata_new(group) : NULL;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->changed, NULL);
    if (!start(c)) {
        free_call(c);
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "a thread cannot be started");
    }
    if (!wait_for(c)) {  // the call is the thread's from here on
        client->abandoned = true;
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "the coordinator has not answered for %d s", timeout_ms / 1000 + GRACE_S);
    }
    rd_kafka_error_t *error = c->error;
    free_call(c);
    return error;
}
