// SPDX-License-Identifier: Apache-2.0
// kafka_call.c: steps of a transaction, with an end. librdkafka takes a time limit for each and has been seen to wait for ever in spite of it
// (2.15.1, writing the record while its coordinator goes away), so steps run in a thread of their own, one a client, which waits for the next.
// A client whose thread is stuck in a step is abandoned: it is neither used nor destroyed, and the next one with its name fences it.
#include "connector/kafka/kafka.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { GRACE_S = 5 };

struct kafka_caller {
    rd_kafka_t *rk;
    pthread_t thread;
    pthread_mutex_t mutex;                        // of what follows
    pthread_cond_t asked, answered;
    enum { CALL_NONE, CALL_ASKED, CALL_DONE } state;
    bool ends;                                    // the thread is to end
    bool abandoned;                               // nobody waits any more: all of it is the thread's
    enum kafka_step step;
    rd_kafka_topic_partition_list_t *offsets;     // its own
    rd_kafka_consumer_group_metadata_t *group;    // likewise
    int timeout_ms;
    rd_kafka_error_t *error;
};

static void forget_step(struct kafka_caller *c) {
    if (c->offsets) rd_kafka_topic_partition_list_destroy(c->offsets);
    if (c->group) rd_kafka_consumer_group_metadata_destroy(c->group);
    c->offsets = NULL;
    c->group = NULL;
    c->error = NULL;
    c->state = CALL_NONE;
}

static void release(struct kafka_caller *c) {
    if (c->error) rd_kafka_error_destroy(c->error);
    forget_step(c);
    pthread_cond_destroy(&c->asked);
    pthread_cond_destroy(&c->answered);
    pthread_mutex_destroy(&c->mutex);
    free(c);
}

static rd_kafka_error_t *take_step(struct kafka_caller *c) {
    switch (c->step) {
    case KAFKA_STEP_RECORD: return rd_kafka_send_offsets_to_transaction(c->rk, c->offsets, c->group, c->timeout_ms);
    case KAFKA_STEP_COMMIT: return rd_kafka_commit_transaction(c->rk, c->timeout_ms);
    case KAFKA_STEP_ABORT: return rd_kafka_abort_transaction(c->rk, c->timeout_ms);
    }
    return NULL;
}

static void *run(void *argument) {
    struct kafka_caller *c = argument;
    pthread_mutex_lock(&c->mutex);
    while (!c->ends && !c->abandoned) {
        if (c->state != CALL_ASKED) {
            pthread_cond_wait(&c->asked, &c->mutex);
            continue;
        }
        pthread_mutex_unlock(&c->mutex);
        rd_kafka_error_t *error = take_step(c);
        pthread_mutex_lock(&c->mutex);
        c->error = error;
        c->state = CALL_DONE;
        pthread_cond_signal(&c->answered);
    }
    bool abandoned = c->abandoned;
    pthread_mutex_unlock(&c->mutex);
    if (abandoned) release(c);
    return NULL;
}

static struct kafka_caller *start(rd_kafka_t *rk) {
    struct kafka_caller *c = calloc(1, sizeof *c);
    sigset_t all, before;
    if (!c) return NULL;
    c->rk = rk;
    pthread_mutex_init(&c->mutex, NULL);
    pthread_cond_init(&c->asked, NULL);
    pthread_cond_init(&c->answered, NULL);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    bool started = pthread_create(&c->thread, NULL, run, c) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) return c;
    release(c);
    return NULL;
}

void kafka_caller_free(struct kafka_caller *c) {
    if (!c) return;
    pthread_mutex_lock(&c->mutex);
    c->ends = true;
    pthread_cond_signal(&c->asked);
    pthread_mutex_unlock(&c->mutex);
    pthread_join(c->thread, NULL);
    release(c);
}

// False: it is left alone, with all that is the thread's.
static bool wait_for(struct kafka_caller *c) {
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += c->timeout_ms / 1000 + GRACE_S;
    pthread_mutex_lock(&c->mutex);
    c->state = CALL_ASKED;
    pthread_cond_signal(&c->asked);
    while (c->state != CALL_DONE && pthread_cond_clockwait(&c->answered, &c->mutex, CLOCK_MONOTONIC, &until) == 0) {
    }
    bool done = c->state == CALL_DONE;
    c->abandoned = !done;
    if (!done) pthread_detach(c->thread);
    pthread_mutex_unlock(&c->mutex);
    return done;
}

rd_kafka_error_t *kafka_transaction_step(struct kafka_client *client, enum kafka_step step, const rd_kafka_topic_partition_list_t *offsets, const char *group,
                                         int timeout_ms) {
    if (!client->caller) client->caller = start(client->rk);
    struct kafka_caller *c = client->caller;
    if (!c) return rd_kafka_error_new(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "a thread cannot be started");
    c->step = step;
    c->timeout_ms = timeout_ms;
    c->offsets = offsets ? rd_kafka_topic_partition_list_copy(offsets) : NULL;
    c->group = group ? rd_kafka_consumer_group_metadata_new(group) : NULL;
    if (!wait_for(c)) {
        client->abandoned = true;
        client->caller = NULL;
        return rd_kafka_error_new(RD_KAFKA_RESP_ERR__TIMED_OUT, "the coordinator has not answered for %d s", timeout_ms / 1000 + GRACE_S);
    }
    pthread_mutex_lock(&c->mutex);
    rd_kafka_error_t *error = c->error;
    forget_step(c);
    pthread_mutex_unlock(&c->mutex);
    return error;
}
