// SPDX-License-Identifier: Apache-2.0
// mongo_raw.c: what libmongoc itself costs: documents into a collection as fast as it can, over a number of connections, each with a thread.
//
//     mongo_raw insert|upsert URI DATABASE COLLECTION COUNT [CONNECTIONS] [BATCH]      prints {"rows", "wall_s", "cpu_s", "connections", "batch"}
//
// Document n is {_id, id: n, name: "user n", age: n % 100, score: n / 2}, byte for byte what leat writes for the benchmark's table: to upsert, _id is n,
// the key; to insert, {source: "m", partition: n % 2, offset: n / 2, row: 0}, by which leat tells a row that is there from one that is new. Connection c
// writes those with n % CONNECTIONS = c, in unordered bulks. An upsert replaces the document of its _id. Acknowledged by the majority, as leat does; no
// transactions. libmongoc's own repetition of writes (retryWrites) is off: with it the server keeps a record of each statement, and an upsert costs it half as
// much again. Single process, no recovery: every failure ends the program with status 1 and one line.
#include <mongoc/mongoc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { CONNECTIONS_MAX = 64, BATCH_MAX = 100000 };

struct work {
    pthread_t thread;
    const char *uri, *database, *collection;
    bool upsert;
    int64_t first, count, step, batch;
};

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double used_cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

__attribute__((noreturn)) static void die(const char *what, const char *why) {
    fprintf(stderr, "mongo_raw: %s: %s\n", what, why);
    exit(1);
}

static void fill_origin(bson_t *document, int64_t n) {
    bson_t id;
    bson_append_document_begin(document, "_id", 3, &id);
    bson_append_utf8(&id, "source", 6, "m", 1);
    bson_append_int64(&id, "partition", 9, n % 2);
    bson_append_int64(&id, "offset", 6, n / 2);
    bson_append_int32(&id, "row", 3, 0);
    bson_append_document_end(document, &id);
}

static void fill(bson_t *document, int64_t n, bool key) {
    char name[32];
    int length = snprintf(name, sizeof name, "user %lld", (long long)n);
    if (key) bson_append_int64(document, "_id", 3, n);
    else fill_origin(document, n);
    bson_append_int64(document, "id", 2, n);
    bson_append_utf8(document, "name", 4, name, length);
    bson_append_int32(document, "age", 3, (int32_t)(n % 100));
    bson_append_double(document, "score", 5, (double)n * 0.5);
}

static void insert_batch(mongoc_collection_t *to, bson_t *documents, int64_t count, const bson_t *options) {
    static _Thread_local const bson_t *pointers[BATCH_MAX];
    bson_error_t e;
    for (int64_t i = 0; i < count; i++) pointers[i] = &documents[i];
    if (!mongoc_collection_insert_many(to, pointers, (size_t)count, options, NULL, &e)) die("insert", e.message);
}

static void upsert_batch(mongoc_collection_t *to, bson_t *documents, int64_t first, int64_t step, int64_t count, const bson_t *options,
                         const bson_t *upsert) {
    bson_error_t e;
    mongoc_bulk_operation_t *bulk = mongoc_collection_create_bulk_operation_with_opts(to, options);
    for (int64_t i = 0; i < count; i++) {
        bson_t selector = BSON_INITIALIZER;
        bson_append_int64(&selector, "_id", 3, first + i * step);
        if (!mongoc_bulk_operation_replace_one_with_opts(bulk, &selector, &documents[i], upsert, &e)) die("upsert", e.message);
        bson_destroy(&selector);
    }
    if (!mongoc_bulk_operation_execute(bulk, NULL, &e)) die("upsert", e.message);
    mongoc_bulk_operation_destroy(bulk);
}

static mongoc_client_t *connect_to(const char *text) {
    mongoc_uri_t *uri = mongoc_uri_new(text);
    if (!uri || !mongoc_uri_set_option_as_bool(uri, MONGOC_URI_RETRYWRITES, false)) die("URI", text);
    mongoc_client_t *client = mongoc_client_new_from_uri(uri);
    if (!client) die("URI", text);
    mongoc_uri_destroy(uri);
    return client;
}

static void *write_all(void *argument) {
    const struct work *w = argument;
    mongoc_client_t *client = connect_to(w->uri);
    mongoc_collection_t *to = mongoc_client_get_collection(client, w->database, w->collection);
    mongoc_write_concern_t *concern = mongoc_write_concern_new();
    mongoc_write_concern_set_wmajority(concern, 60000);
    mongoc_collection_set_write_concern(to, concern);
    bson_t *options = BCON_NEW("ordered", BCON_BOOL(false)), *upsert = BCON_NEW("upsert", BCON_BOOL(true));
    bson_t *documents = malloc((size_t)w->batch * sizeof *documents);
    if (!documents) die("memory", "none is left");
    for (int64_t done = 0; done < w->count;) {
        int64_t count = w->count - done < w->batch ? w->count - done : w->batch, first = w->first + done * w->step;
        for (int64_t i = 0; i < count; i++) {
            bson_init(&documents[i]);
            fill(&documents[i], first + i * w->step, w->upsert);
        }
        if (w->upsert) upsert_batch(to, documents, first, w->step, count, options, upsert);
        else insert_batch(to, documents, count, options);
        for (int64_t i = 0; i < count; i++) bson_destroy(&documents[i]);
        done += count;
    }
    free(documents);
    bson_destroy(options);
    bson_destroy(upsert);
    mongoc_write_concern_destroy(concern);
    mongoc_collection_destroy(to);
    mongoc_client_destroy(client);
    return NULL;
}

static int64_t number(const char *text, int64_t low, int64_t high) {
    char *end;
    long long n = strtoll(text, &end, 10);
    if (end == text || *end || n < low || n > high) die("not a number in range", text);
    return n;
}

int main(int argc, char **argv) {
    if (argc < 6 || argc > 8 || (strcmp(argv[1], "insert") != 0 && strcmp(argv[1], "upsert") != 0)) {
        fprintf(stderr, "mongo_raw insert|upsert URI DATABASE COLLECTION COUNT [CONNECTIONS] [BATCH]\n");
        return 2;
    }
    int64_t count = number(argv[5], 1, 1000000000), connections = argc > 6 ? number(argv[6], 1, CONNECTIONS_MAX) : 2;
    int64_t batch = argc > 7 ? number(argv[7], 1, BATCH_MAX) : 1000;
    struct work works[CONNECTIONS_MAX];
    mongoc_init();
    double begin = now_s(), cpu = used_cpu_s();
    for (int64_t c = 0; c < connections; c++) {
        works[c] = (struct work){.uri = argv[2], .database = argv[3], .collection = argv[4], .upsert = argv[1][0] == 'u', .first = c,
                                 .count = (count - c + connections - 1) / connections, .step = connections, .batch = batch};
        if (pthread_create(&works[c].thread, NULL, write_all, &works[c]) != 0) die("thread", "cannot be made");
    }
    for (int64_t c = 0; c < connections; c++) pthread_join(works[c].thread, NULL);
    printf("{\"rows\": %lld, \"wall_s\": %.3f, \"cpu_s\": %.3f, \"connections\": %lld, \"batch\": %lld}\n", (long long)count,
           now_s() - begin, used_cpu_s() - cpu, (long long)connections, (long long)batch);
    mongoc_cleanup();
    return 0;
}
