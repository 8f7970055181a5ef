// SPDX-License-Identifier: Apache-2.0
// kafka_ask.c: questions for which librdkafka has blocking calls alone, answered at once when leat is to stop: longer ones wait in a thread of
// their own. A client that such a thread is left in is abandoned: the process is about to end.
#include "connector/kafka/kafka_topics.h"
#include <signal.h>
#include <stdlib.h>
#include <time.h>

enum { DIRECT_MS = 500, SLICE_MS = 50 };

struct asked {
    rd_kafka_t *rk;
    struct kafka_question question;
    int timeout_ms;
    rd_kafka_resp_err_t code;
    pthread_mutex_t mutex;        // of what follows
    pthread_cond_t answered;
    bool done, abandoned;
};

static rd_kafka_resp_err_t ask(rd_kafka_t *rk, struct kafka_question *q, int timeout_ms) {
    if (q->times) return rd_kafka_offsets_for_times(rk, q->times, timeout_ms);
    if (q->bounds) return rd_kafka_query_watermark_offsets(rk, q->topic, q->partition, &q->low, &q->high, timeout_ms);
    rd_kafka_topic_t *handle = *q->topic ? rd_kafka_topic_new(rk, q->topic, NULL) : NULL;
    if (*q->topic && !handle) return rd_kafka_last_error();
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, !handle, handle, &q->metadata, timeout_ms);
    if (handle) rd_kafka_topic_destroy(handle);
    return code;
}

static void release(struct asked *a) {
    pthread_cond_destroy(&a->answered);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

static void *run(void *argument) {
    struct asked *a = argument;
    rd_kafka_resp_err_t code = ask(a->rk, &a->question, a->timeout_ms);
    pthread_mutex_lock(&a->mutex);
    bool abandoned = a->abandoned;
    a->code = code;
    a->done = true;
    pthread_cond_signal(&a->answered);
    pthread_mutex_unlock(&a->mutex);
    if (!abandoned) return NULL;
    if (a->question.times) rd_kafka_topic_partition_list_destroy(a->question.times);
    if (a->question.metadata) rd_kafka_metadata_destroy(a->question.metadata);
    release(a);
    return NULL;
}

static bool start(struct asked *a) {
    pthread_t thread;
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);  // signals are the main thread's
    bool started = pthread_create(&thread, NULL, run, a) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (started) pthread_detach(thread);
    return started;
}

// False: it is left alone.
static bool wait_for(struct asked *a, const _Atomic int *stop) {
    pthread_mutex_lock(&a->mutex);
    while (!a->done && !(stop && atomic_load(stop))) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_nsec += SLICE_MS * 1000000;
        if (until.tv_nsec >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
        pthread_cond_clockwait(&a->answered, &a->mutex, CLOCK_MONOTONIC, &until);
    }
    bool done = a->done;
    a->abandoned = !done;
    pthread_mutex_unlock(&a->mutex);
    return done;
}

rd_kafka_resp_err_t kafka_ask(struct kafka_asking *asking, struct kafka_question *q, int timeout_ms) {
    struct asked *a = timeout_ms > DIRECT_MS && asking->stop ? calloc(1, sizeof *a) : NULL;
    if (!a) return ask(asking->client->rk, q, timeout_ms);
    *a = (struct asked){.rk = asking->client->rk, .question = *q, .timeout_ms = timeout_ms};
    pthread_mutex_init(&a->mutex, NULL);
    pthread_cond_init(&a->answered, NULL);
    if (!start(a)) {
        release(a);
        return ask(asking->client->rk, q, timeout_ms);
    }
    if (!wait_for(a, asking->stop)) {
        asking->client->abandoned = true;
        q->times = NULL;  // the thread's
        return RD_KAFKA_RESP_ERR__TIMED_OUT;
    }
    rd_kafka_resp_err_t code = a->code;
    *q = a->question;
    release(a);
    return code;
}
