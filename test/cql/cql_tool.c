// SPDX-License-Identifier: Apache-2.0
// cql_tool.c: the CQL client on a real server, for the tests' driver and for measuring.
//
//     cql_tool [--host H[,H]] [--port P] [--user U --password P] [--ca FILE [--cert FILE --key FILE]] [--insecure] [--no-host-check] [--protocol 4]
//              [--plain] [--window N] [--connections N] [--timeout-ms N] [--datacenter D] COMMAND …
//
//     info                          one line of JSON: release, protocol, compression, hosts
//     query TEXT                    rows as tab-separated hexadecimal values, NULL as -
//     tokens                        keys on standard input, one a line, columns by tabs, in hexadecimal; prints each token (no server is asked)
//     tokens KS.TABLE               the same, the values bound to a prepared INSERT into the table, its partition key last column first
//     load KS.TABLE ROWS [BATCH]    makes the table (id bigint, name text, age int, score double), writes ROWS rows, prints rows/s and CPU
//     threads KS.TABLE ROWS N       the same from N threads on one session
//     ids KS.TABLE FIRST COUNT FILE writes rows with the ids, appending each acknowledged one to FILE; goes on through outages
//     count KS.TABLE                rows, by reading all ids page by page
//     roundtrip KS                  every type written, read back and compared
#include "base/clock.h"
#include "cql/cql.h"
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

#include "cql_roundtrip.h"

static struct memory memory;
static struct log session_log = {.level = LOG_INFO, .fd = 2};

static void fail(const char *what, const struct error *e) {
    fprintf(stderr, "cql_tool: %s: [%s %s] %s%s%s\n", what, status_name(e->status), e->condition, e->message, e->hint[0] ? " | " : "", e->hint);
    exit(1);
}

static void usage(void) {
    fprintf(stderr, "usage: cql_tool [options] info | query | tokens | load | threads | ids | count | roundtrip … (see the file's head)\n");
    exit(2);
}

static double cpu_s(void) {
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_utime.tv_sec + (double)u.ru_utime.tv_usec / 1e6 + (double)u.ru_stime.tv_sec + (double)u.ru_stime.tv_usec / 1e6;
}

static int hex(char c) { return c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10 : -1; }

// Bytes of a field in hexadecimal up to a tab or the line's end; *next: the field after it, or NULL.
static size_t take_field(const char *field, uint8_t *out, const char **next) {
    const char *end = field + strcspn(field, "\t\n");
    size_t size = 0;
    for (const char *c = field; c + 1 < end; c += 2) out[size++] = (uint8_t)(hex(c[0]) << 4 | hex(c[1]));
    *next = *end == '\t' ? end + 1 : NULL;
    return size;
}

// Keys in hexadecimal; several columns make a composite key.
static void print_tokens(void) {
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) >= 0) {
        uint8_t *key = malloc(strlen(line) * 4 + 16);
        size_t size = 0, columns = 1;
        for (const char *c = line; *c; c++) columns += *c == '\t';
        for (const char *field = line; field;) {
            size_t mark = size, width = columns > 1 ? 2 : 0;
            size += width + take_field(field, key + mark + width, &field);
            if (columns == 1) continue;
            cql_store_16(key + mark, (uint16_t)(size - mark - 2));
            key[size++] = 0;
        }
        printf("%" PRId64 "\n", cql_token(key, size));
        free(key);
    }
    free(line);
}

// The way a written row goes: prepared by the server, bound, its partition key found among the values whatever their order.
static void print_bound_tokens(struct cql_session *s, const char *name) {
    char text[4096] = "INSERT INTO ", keyspace[64];
    const char *dot = strchr(name, '.');
    struct arena arena;
    struct cql_table *t;
    struct error e;
    const struct cql_prepared *p;
    if (!dot || (size_t)(dot - name) >= sizeof keyspace) usage();
    memcpy(keyspace, name, (size_t)(dot - name));
    keyspace[dot - name] = 0;
    arena_init(&arena, &memory);
    if (cql_read_table(s, &arena, keyspace, dot + 1, &t, &e) != STATUS_OK) fail(name, &e);
    if (!t) usage();
    size_t at = strlen(text);
    at += (size_t)snprintf(text + at, sizeof text - at, "%s (", name);
    for (uint32_t i = t->partition_key_count; i-- > 0;) at += (size_t)snprintf(text + at, sizeof text - at, "%s%s", t->columns[i].name, i ? ", " : ") VALUES (");
    for (uint32_t i = t->partition_key_count; i-- > 0;) at += (size_t)snprintf(text + at, sizeof text - at, i ? "?, " : "?)");
    if (cql_prepare(s, text, &p, &e) != STATUS_OK) fail(text, &e);
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) >= 0) {
        const char *fields[32] = {line}, *ignored;
        uint32_t count = 1;
        for (char *c = line; *c && count < 32; c++) {
            if (*c == '\t') fields[count++] = c + 1;
        }
        struct cql_request *r = cql_request_begin(s, p);
        uint8_t *bytes = malloc(strlen(line));
        for (uint32_t i = count; i-- > 0;) cql_bind_bytes(r, bytes, take_field(fields[i], bytes, &ignored));
        int64_t token = 0;
        if (count != t->partition_key_count || !cql_request_token(r, &token)) usage();
        printf("%" PRId64 "\n", token);
        free(bytes);
        cql_request_release(s, r);
    }
    free(line);
    arena_release(&arena);
}

static void info(struct cql_session *s) {
    struct cql_server server;
    cql_session_server(s, &server);
    printf("{\"release\":\"%s\",\"cluster\":\"%s\",\"datacenter\":\"%s\",\"protocol\":%u,\"compressed\":%s,\"tls\":%s,\"hosts\":%u,\"up\":%u}\n", server.release,
           server.cluster, server.datacenter, server.protocol, server.compressed ? "true" : "false", server.tls ? "true" : "false", server.host_count,
           server.host_up_count);
}

static void query(struct cql_session *s, const char *text) {
    struct cql_cursor *c;
    struct error e;
    bool found;
    if (cql_cursor_open(s, cql_request_text(s, text), &c, &e) != STATUS_OK) fail(text, &e);
    for (;;) {
        if (cql_cursor_next(c, &found, &e) != STATUS_OK) fail(text, &e);
        if (!found) break;
        for (uint32_t i = 0; i < c->column_count; i++) {
            if (i) putchar('\t');
            if (cql_is_null(c->values[i])) putchar('-');
            for (int32_t k = 0; k < c->values[i].size_bytes; k++) printf("%02x", c->values[i].bytes[k]);
        }
        putchar('\n');
    }
    cql_cursor_close(c);
}

static void make_table(struct cql_session *s, const char *table) {
    char text[512];
    struct error e;
    const char *dot = strchr(table, '.');
    if (!dot) usage();
    snprintf(text, sizeof text, "CREATE KEYSPACE IF NOT EXISTS %.*s WITH replication = {'class': 'SimpleStrategy', 'replication_factor': 1}", (int)(dot - table), table);
    if (cql_query(s, text, &e) != STATUS_OK) fail("keyspace", &e);
    snprintf(text, sizeof text, "CREATE TABLE IF NOT EXISTS %s (id bigint PRIMARY KEY, name text, age int, score double)", table);
    if (cql_query(s, text, &e) != STATUS_OK) fail("table", &e);
}

static const struct cql_prepared *prepare_insert(struct cql_session *s, const char *table) {
    char text[512];
    struct error e;
    const struct cql_prepared *p;
    snprintf(text, sizeof text, "INSERT INTO %s (id, name, age, score) VALUES (?, ?, ?, ?)", table);
    if (cql_prepare(s, text, &p, &e) != STATUS_OK) fail(text, &e);
    return p;
}

static void bind_row(struct cql_request *r, int64_t id) {
    char name[32];
    size_t length = 10;
    memcpy(name, "user name ", length);
    for (uint64_t v = (uint64_t)id; v; v /= 10) name[length++] = (char)('0' + v % 10);
    cql_bind_int64(r, id);
    cql_bind_bytes(r, name, length);
    cql_bind_int32(r, (int32_t)(id % 100));
    cql_bind_double(r, (double)id * 0.5);
}

struct load {
    struct cql_session *session;
    const struct cql_prepared *insert;
    int64_t first;
    int64_t count;
    int64_t batch;
    _Atomic int64_t done;
    _Atomic int64_t failed;
};

static void on_done(void *context, const struct error *error) {
    struct load *l = context;
    atomic_fetch_add_explicit(error ? &l->failed : &l->done, 1, memory_order_relaxed);
    if (error && atomic_load(&l->failed) < 4) fprintf(stderr, "cql_tool: [%s] %s\n", error->condition, error->message);
}

static void *run_load(void *context) {
    struct load *l = context;
    for (int64_t i = 0; i < l->count;) {
        struct cql_request *r = l->batch > 1 ? cql_batch_begin(l->session, CQL_BATCH_UNLOGGED) : cql_request_begin(l->session, l->insert);
        if (!r) abort();
        for (int64_t k = 0; k < l->batch && i < l->count; k++, i++) {
            if (l->batch > 1) cql_batch_add(r, l->insert);
            bind_row(r, l->first + i);
        }
        r->idempotent = true;
        cql_submit(l->session, r, on_done, l);
    }
    return NULL;
}

static void report(struct cql_session *s, const char *what, int64_t rows, int64_t begin_us, double cpu_begin, const struct load *l) {
    struct cql_counters c;
    double wall = (double)(clock_monotonic_us() - begin_us) / 1e6, cpu = cpu_s() - cpu_begin;
    cql_session_counters(s, &c);
    printf("{\"what\":\"%s\",\"rows\":%" PRId64 ",\"failed\":%" PRId64 ",\"rows_per_s\":%.0f,\"client_cpu_us_per_row\":%.3f,\"seconds\":%.2f,"
           "\"retries\":%" PRIu64 ",\"writes\":%" PRIu64 ",\"reads\":%" PRIu64 ",\"bytes_sent\":%" PRIu64 "}\n",
           what, rows, atomic_load(&l->failed), (double)rows / wall, cpu * 1e6 / (double)rows, wall, c.retries, c.writes, c.reads, c.bytes_sent);
    if (atomic_load(&l->failed)) exit(1);
}

static void load(struct cql_session *s, const char *table, int64_t rows, int64_t batch, int thread_count) {
    struct load loads[16] = {0};
    pthread_t threads[16];
    make_table(s, table);
    const struct cql_prepared *insert = prepare_insert(s, table);
    if (thread_count < 1 || thread_count > 16) usage();
    int64_t begin_us = clock_monotonic_us();
    double cpu_begin = cpu_s();
    for (int i = 0; i < thread_count; i++) {
        loads[i] = (struct load){.session = s, .insert = insert, .first = i * (rows / thread_count), .count = rows / thread_count, .batch = batch < 1 ? 1 : batch};
        if (thread_count == 1) run_load(&loads[0]);
        else pthread_create(&threads[i], NULL, run_load, &loads[i]);
    }
    for (int i = 0; i < thread_count && thread_count > 1; i++) pthread_join(threads[i], NULL);
    cql_drain(s);
    for (int i = 1; i < thread_count; i++) {
        loads[0].failed += loads[i].failed;
        loads[0].done += loads[i].done;
    }
    report(s, batch > 1 ? "batch" : "single", rows / thread_count * thread_count, begin_us, cpu_begin, &loads[0]);
}

struct id_write {
    FILE *file;
    int64_t id;
    int64_t *failed;
};

static void id_done(void *context, const struct error *error) {
    struct id_write *w = context;
    if (error) ++*w->failed;
    else fprintf(w->file, "%" PRId64 "\n", w->id);
    if (error && *w->failed < 4) fprintf(stderr, "cql_tool: [%s] %s\n", error->condition, error->message);
    free(w);
}

static void write_ids(struct cql_session *s, const char *table, int64_t first, int64_t count, const char *path) {
    int64_t failed = 0;
    FILE *file = fopen(path, "w");
    if (!file) usage();
    make_table(s, table);
    const struct cql_prepared *insert = prepare_insert(s, table);
    for (int64_t i = 0; i < count; i++) {
        struct id_write *w = malloc(sizeof *w);
        struct cql_request *r = cql_request_begin(s, insert);
        *w = (struct id_write){.file = file, .id = first + i, .failed = &failed};
        bind_row(r, first + i);
        r->idempotent = true;
        cql_submit(s, r, id_done, w);
    }
    cql_drain(s);
    fclose(file);
    struct cql_counters c;
    cql_session_counters(s, &c);
    printf("{\"written\":%" PRId64 ",\"failed\":%" PRId64 ",\"retries\":%" PRIu64 ",\"lost\":%" PRIu64 ",\"reprepared\":%" PRIu64 "}\n", count - failed, failed,
           c.retries, c.connections_lost, c.repreparations);
}

static void count_rows(struct cql_session *s, const char *table) {
    char text[300];
    struct error e;
    const struct cql_prepared *p;
    struct cql_cursor *c;
    bool found = true;
    int64_t count = 0, sum = 0, id;
    snprintf(text, sizeof text, "SELECT id FROM %s", table);
    if (cql_prepare(s, text, &p, &e) != STATUS_OK) fail(text, &e);
    struct cql_request *r = cql_request_begin(s, p);
    r->page_rows = 1000;
    if (cql_cursor_open(s, r, &c, &e) != STATUS_OK) fail(text, &e);
    while (cql_cursor_next(c, &found, &e) == STATUS_OK && found) {
        if (!cql_read_int64(c->values[0], &id)) exit(1);
        count++;
        sum += id;
    }
    if (found) fail(text, &e);
    cql_cursor_close(c);
    printf("{\"rows\":%" PRId64 ",\"sum\":%" PRId64 "}\n", count, sum);
}

static int run(struct cql_session *s, int argc, char **argv) {
    struct error e;
    const char *command = argv[0];
    if (!strcmp(command, "info")) info(s);
    else if (!strcmp(command, "tokens") && argc == 2) print_bound_tokens(s, argv[1]);
    else if (!strcmp(command, "query") && argc == 2) query(s, argv[1]);
    else if (!strcmp(command, "load") && argc >= 3) load(s, argv[1], strtoll(argv[2], NULL, 10), argc > 3 ? strtoll(argv[3], NULL, 10) : 1, 1);
    else if (!strcmp(command, "threads") && argc == 4) load(s, argv[1], strtoll(argv[2], NULL, 10), 1, (int)strtol(argv[3], NULL, 10));
    else if (!strcmp(command, "ids") && argc == 5) write_ids(s, argv[1], strtoll(argv[2], NULL, 10), strtoll(argv[3], NULL, 10), argv[4]);
    else if (!strcmp(command, "count") && argc == 2) count_rows(s, argv[1]);
    else if (!strcmp(command, "roundtrip") && argc == 2) {
        uint32_t checked;
        if (roundtrip_run(s, &memory, argv[1], &checked, &e) != STATUS_OK) fail("roundtrip", &e);
        printf("{\"values\":%u}\n", checked);
    } else usage();
    return 0;
}

static int take_options(int argc, char **argv, struct cql_config *c, const char **points) {
    int i = 1;
    for (; i < argc && !strncmp(argv[i], "--", 2); i++) {
        const char *name = argv[i] + 2;
        if (!strcmp(name, "insecure")) c->tls.enabled = c->tls.skip_verification = true;
        else if (!strcmp(name, "no-host-check")) c->tls.skip_host_check = true;
        else if (!strcmp(name, "plain")) c->compression = CQL_COMPRESSION_NONE;
        else if (i + 1 == argc) usage();
        else if (!strcmp(name, "host")) {
            char *rest = argv[++i];
            for (char *host; (host = strsep(&rest, ",")) && c->contact_point_count < 8;) points[c->contact_point_count++] = host;
        } else if (!strcmp(name, "port")) c->port = (uint16_t)strtoul(argv[++i], NULL, 10);
        else if (!strcmp(name, "user")) c->user = argv[++i];
        else if (!strcmp(name, "password")) c->password = argv[++i];
        else if (!strcmp(name, "ca")) c->tls.enabled = (c->tls.ca_file = argv[++i]) != NULL;
        else if (!strcmp(name, "cert")) c->tls.certificate_file = argv[++i];
        else if (!strcmp(name, "key")) c->tls.key_file = argv[++i];
        else if (!strcmp(name, "protocol")) c->protocol_max = (uint8_t)strtoul(argv[++i], NULL, 10);
        else if (!strcmp(name, "window")) c->in_flight_limit = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (!strcmp(name, "connections")) c->connections_per_host = (uint32_t)strtoul(argv[++i], NULL, 10);
        else if (!strcmp(name, "timeout-ms")) c->request_timeout_us = strtoll(argv[++i], NULL, 10) * 1000;
        else if (!strcmp(name, "datacenter")) c->local_datacenter = argv[++i];
        else usage();
    }
    return i;
}

int main(int argc, char **argv) {
    const char *points[8];
    struct cql_config config = {.contact_points = points, .consistency = CQL_ONE, .memory = &memory, .log = &session_log};
    struct cql_session *session;
    struct error e;
    int at = take_options(argc, argv, &config, points);
    if (!config.contact_point_count) points[config.contact_point_count++] = "127.0.0.1";
    if (at >= argc) usage();
    if (!strcmp(argv[at], "tokens") && at + 1 == argc) {
        print_tokens();
        return 0;
    }
    memory_tune_process();
    memory_init(&memory, "cql_tool", NULL, 0);
    if (cql_session_open(&config, &session, &e) != STATUS_OK) fail("open", &e);
    int code = run(session, argc - at, argv + at);
    cql_session_close(session);
    if (memory_used(&memory)) {
        fprintf(stderr, "cql_tool: %zu bytes were not given back\n", memory_used(&memory));
        return 1;
    }
    return code;
}
