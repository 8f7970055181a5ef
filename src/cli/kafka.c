// SPDX-License-Identifier: Apache-2.0
// kafka.c: leat kafka topics|produce|consume: a first topic and a look inside, with nothing else installed. What the three share; each
// has a file of its own.
#include "cli/kafka_command.h"
#include "column/number_text.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

static const char kafka_help[] =
    "  leat kafka topics                                         what there is, with offsets\n"
    "  leat kafka topics --create users --partitions 2           make a topic\n"
    "  seq 10 | leat kafka produce numbers                       a message a line\n"
    "  echo 'ada=12' | leat kafka produce spend --key-separator =\n"
    "  echo 'ada=NULL' | leat kafka produce spend --key-separator = --null NULL      a tombstone\n"
    "  leat kafka consume users --count 5                        the first five\n"
    "  leat kafka consume users --from -10 --follow --format json\n"
    "  leat kafka topics -b kafka.example:9093 --properties client.properties\n"
    "\n"
    "all three\n"
    "  -b, --brokers HOST:PORT,…  default: the environment's LEAT_KAFKA, or 127.0.0.1:9092\n"
    "  -X NAME=VALUE          a property of the client (librdkafka's name, or the Java client's); may be repeated. Secrets are better\n"
    "                         not on the command line: -X 'sasl.password=${env:NAME}' or '${file:PATH}'\n"
    "  --properties FILE      properties from a file, as Java's tools read them (--command-config)\n"
    "  --timeout DURATION     for an answer of the brokers; default '10 s'\n"
    "\n"
    "topics                   a line for each topic, but for those that begin with __: partitions, replicas, messages, first and next offset\n"
    "topics NAME…             a line for each partition: leader, replicas, those in sync, first and next offset\n"
    "  --create NAME          with --partitions N, --replication N (default: the brokers'), --config NAME=VALUE\n"
    "  --delete NAME          with all its messages\n"
    "  --internal             also those that begin with __\n"
    "  --json                 a JSON object for each topic\n"
    "\n"
    "produce TOPIC [FILE]     every line of the file, or of standard input, is a message\n"
    "  --key-separator SEP    what stands before SEP in the line is the key\n"
    "  --key KEY              the key of all of them\n"
    "  --null TEXT            a value or key that is TEXT is sent as NULL: --null '' makes tombstones of empty values\n"
    "  --header NAME=VALUE    a header of all of them; may be repeated\n"
    "  --partition N          default: by the key's hash, as the Java client does\n"
    "  --rate N               messages a second at most\n"
    "\n"
    "consume TOPIC            prints what is there and ends\n"
    "  --from WHERE           earliest (default), latest, an offset, or -N: the last N of each partition\n"
    "  --partition N          this one alone\n"
    "  --count N              ends after N messages\n"
    "  --follow               does not end: waits for more. --exit-at-end is the opposite, and the default\n"
    "  --format text|json|csv text is the value alone; json and csv have key, value, topic, partition, offset, timestamp, timestampType, headers\n"
    "  --key-separator SEP    text: the key and SEP before the value\n"
    "Bytes that are no text are escaped on a terminal, and stand as value_base64 (key_base64) in JSON.\n"
    "Exit codes: 0 ok, 1 messages failed, 2 usage or refused, 4 unreachable, 130 interrupted before anything was done.\n";

static _Atomic int interrupts;

static void on_interrupt(int number) {
    (void)number;
    if (atomic_fetch_add(&interrupts, 1) > 0) _exit(EXIT_INTERRUPT);
}

bool kafka_interrupted(void) { return atomic_load(&interrupts) > 0; }
const _Atomic int *kafka_interrupt_flag(void) { return &interrupts; }

int kafka_usage(const struct kafka_session *k, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "leat kafka %s: ", k->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fputs("\n`leat kafka --help` says more\n", stderr);
    return EXIT_USAGE;
}

bool kafka_number(const char *text, int64_t low, int64_t high, int64_t *out) {
    bool overflow = false;
    return parse_int64(text, strlen(text), out, &overflow) && *out >= low && *out <= high;
}

enum status kafka_set_property(struct kafka_session *k, const char *name, const char *value, struct error *e) {
    static const struct option any = {.name = "kafka.*", .type = OPTION_STRING, .help = "a property of the client"};
    if (strncasecmp(name, "kafka.", 6) == 0) name += 6;
    char *key = arena_printf(&k->arena, "kafka.%s", name), *copy = arena_strdup(&k->arena, value);
    uint32_t at = 0;
    if (!key || !copy) return error_no_memory(e);
    while (at < k->property_count && strcasecmp(k->properties[at].key, key) != 0) at++;
    if (at == KAFKA_PROPERTIES_MAX) return error_set(e, STATUS_LIMIT, NULL, "more than %d client properties", KAFKA_PROPERTIES_MAX);
    k->properties[at] = (struct option_value){.option = &any, .key = key, .text = copy, .is_set = true};
    if (at == k->property_count) k->property_count++;
    return STATUS_OK;
}

bool kafka_has_property(const struct kafka_session *k, const char *name) {
    for (uint32_t i = 0; i < k->property_count; i++) {
        if (strcasecmp(k->properties[i].key + strlen("kafka."), name) == 0) return true;
    }
    return false;
}

// Whoever may list processes reads a command line; so does the shell's history.
static void warn_secret(const struct kafka_session *k, const char *name, const char *value) {
    if (!kafka_option_is_secret(name) || strcasestr(name, "sasl.username") || strstr(value, "${env:") || strstr(value, "${file:")) return;
    log_write(&k->host->log, LOG_WARN, "-X %s: other users of this machine can read it in the process list, and the shell keeps it in its history; "
              "give -X '%s=${env:NAME}' or -X '%s=${file:PATH}', or put it into a file for --properties", name, name, name);
}

static int take_property(struct kafka_session *k, const char *text) {
    const char *equals = strchr(text, '=');
    struct error e = {0};
    if (!equals || equals == text) return kafka_usage(k, "-X takes NAME=VALUE");
    const char *name = arena_strndup(&k->arena, text, (size_t)(equals - text));
    enum status status = name ? kafka_set_property(k, name, equals + 1, &e) : error_no_memory(&e);
    if (status == STATUS_OK) warn_secret(k, name, equals + 1);
    else say_error(k->host, &e);
    return exit_code_of(status);
}

int kafka_shared_flag(struct kafka_session *k, int argc, char **argv, int *i, bool *taken) {
    const char *arg = argv[*i], *value;
    bool missing = false;
    struct error e = {0};
    *taken = true;
    if ((value = flag_value(argc, argv, i, "-b", &missing)) || (value = flag_value(argc, argv, i, "--brokers", &missing))) {
        k->brokers = value;
        return *value ? EXIT_OK : kafka_usage(k, "%s takes HOST:PORT,…", arg);
    }
    if ((value = flag_value(argc, argv, i, "-X", &missing))) return take_property(k, value);
    if ((value = flag_value(argc, argv, i, "--properties", &missing))) {
        enum status status = kafka_read_properties(k, value, &e);
        if (status != STATUS_OK) say_error(k->host, &e);
        return status == STATUS_NOT_FOUND ? EXIT_USAGE : exit_code_of(status);
    }
    if ((value = flag_value(argc, argv, i, "--timeout", &missing))) {
        if (parse_duration(value, &k->timeout_us) && k->timeout_us > 0 && k->timeout_us <= INT64_C(3600000000)) return EXIT_OK;
        return kafka_usage(k, "--timeout '%s' is not a duration such as '10 s', of an hour at most", value);
    }
    if (missing) return kafka_usage(k, "%s needs a value", arg);
    *taken = false;
    return EXIT_OK;
}

enum status kafka_configure(struct kafka_session *k, enum kafka_use use, rd_kafka_conf_t **out, struct error *e) {
    const char *from_environment = getenv("LEAT_KAFKA");
    const char *otherwise = from_environment && *from_environment ? from_environment : "127.0.0.1:9092";
    if (k->brokers) TRY(kafka_set_property(k, "bootstrap.servers", k->brokers, e));
    else if (!kafka_has_property(k, "bootstrap.servers")) TRY(kafka_set_property(k, "bootstrap.servers", otherwise, e));
    struct option_set set = {.values = k->properties, .count = k->property_count};
    return kafka_conf_make(&set, use, &k->host->memory, out, e);
}

void kafka_default(const struct kafka_session *k, rd_kafka_conf_t *conf, const char *name, const char *value) {
    char reason[256];
    if (!kafka_has_property(k, name)) rd_kafka_conf_set(conf, name, value, reason, sizeof reason);
}

enum status kafka_connect(struct kafka_session *k, rd_kafka_conf_t *conf, enum kafka_use use, void *owner, struct kafka_client **out, struct error *e) {
    const char *who = arena_printf(&k->arena, "leat kafka %s", k->name);
    if (!who) {
        rd_kafka_conf_destroy(conf);
        return error_no_memory(e);
    }
    TRY(kafka_client_new(conf, use, who, &k->host->memory, &k->host->log, out, e));
    (*out)->owner = owner;
    return STATUS_OK;
}

static enum status interrupted(struct error *e) { return error_set(e, STATUS_INTERRUPTED, NULL, "interrupted"); }

enum status kafka_metadata(struct kafka_session *k, struct kafka_client *c, const rd_kafka_metadata_t **out, struct error *e) {
    int64_t until_us = clock_monotonic_us() + k->timeout_us;
    for (;;) {
        rd_kafka_resp_err_t code = rd_kafka_metadata(c->rk, 1, NULL, out, KAFKA_POLL_MS * 5);
        rd_kafka_poll(c->rk, 0);
        if (!code) {
            kafka_client_up(c);
            return STATUS_OK;
        }
        TRY(kafka_client_check(c, e));
        if (kafka_interrupted()) return interrupted(e);
        char reason[sizeof c->reason];  // says more than the answer does
        pthread_mutex_lock(&c->mutex);
        memcpy(reason, c->reason, sizeof reason);
        pthread_mutex_unlock(&c->mutex);
        enum status status = kafka_error(c, code, *reason ? reason : NULL, "no answer of the brokers", e);
        if (status != STATUS_UNREACHABLE || clock_monotonic_us() >= until_us) return status;
    }
}

enum status kafka_find_topic(struct kafka_session *k, const struct kafka_client *c, const rd_kafka_metadata_t *metadata, const char *name,
                             const rd_kafka_metadata_topic_t **out, struct error *e) {
    const char **names = arena_alloc_array(&k->arena, (size_t)metadata->topic_cnt + 1, sizeof *names);
    if (!names) return error_no_memory(e);
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *t = &metadata->topics[i];
        names[i] = t->topic;
        if (strcmp(t->topic, name) != 0) continue;
        if (t->err) return kafka_error(c, t->err, NULL, arena_printf(&k->arena, "topic `%s`", name), e);
        *out = t;
        return STATUS_OK;
    }
    const char *near = suggest(name, names, (size_t)metadata->topic_cnt);
    error_set(e, STATUS_NOT_FOUND, "LEAT_TOPIC_NOT_FOUND", "there is no topic `%s` on Kafka at %s", name, c->brokers);
    error_set_hint(e, "%s%s%smake it with: leat kafka topics -b %.200s --create %.100s (or this user may not see it)", near ? "did you mean `" : "", near ? near : "",
                   near ? "`? Or " : "", c->brokers, name);
    return STATUS_NOT_FOUND;
}

enum status kafka_ask_offsets(struct kafka_session *k, struct kafka_client *c, rd_kafka_topic_partition_list_t *list, int64_t which, struct error *e) {
    for (int i = 0; i < list->cnt; i++) list->elems[i].offset = which;
    if (!list->cnt) return STATUS_OK;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(c->rk, list, (int)(k->timeout_us / 1000));
    if (!code || code == RD_KAFKA_RESP_ERR__PARTIAL) return STATUS_OK;
    if (kafka_interrupted()) return interrupted(e);
    for (int i = 0; i < list->cnt; i++) {
        if (!list->elems[i].err) return STATUS_OK;
    }
    return kafka_error(c, code, NULL, "asking for offsets", e);
}

static int kafka_main(struct host *h, int argc, char **argv) {
    static const struct {
        const char *name;
        int (*run)(struct kafka_session *k, int argc, char **argv);
    } verbs[] = {{"topics", kafka_run_topics}, {"produce", kafka_run_produce}, {"consume", kafka_run_consume}};
    static const char *const names[] = {"topics", "produce", "consume"};
    if (argc < 2) return usage_error(&kafka_command, "topics, produce or consume?");
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(argv[1], verbs[i].name) != 0) continue;
        struct sigaction action = {.sa_handler = on_interrupt};
        struct kafka_session *k = memory_alloc_zeroed(&h->memory, sizeof *k);
        if (!k) return EXIT_DATA;
        sigaction(SIGINT, &action, NULL);
        sigaction(SIGTERM, &action, NULL);
        signal(SIGPIPE, SIG_IGN);
        k->host = h;
        k->name = verbs[i].name;
        k->timeout_us = 10000000;
        arena_init(&k->arena, &h->memory);
        int code = verbs[i].run(k, argc - 1, argv + 1);
        arena_release(&k->arena);
        memory_free(&h->memory, k, sizeof *k);
        return code;
    }
    const char *near = suggest(argv[1], names, sizeof names / sizeof names[0]);
    return usage_error(&kafka_command, "there is no `%s`%s%s%s", argv[1], near ? "; did you mean `" : "", near ? near : "", near ? "`?" : "");
}

const struct command kafka_command = {"kafka", "kafka topics|produce|consume [TOPIC] [-b HOST:PORT] …", "topics, messages in, messages out", kafka_help, kafka_main};
