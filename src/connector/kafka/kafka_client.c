// SPDX-License-Identifier: Apache-2.0
// kafka_client.c: one librdkafka client: its callbacks, its log, and its errors in leat's words.
//
// librdkafka tries again for ever and logs as it does. Here an outage is one line when the last broker is gone and one when the first is back;
// what repeats is counted by nobody. A client that has not been connected yet says nothing: whoever waits for it is told by an answer. What trying again cannot heal (a wrong password, a certificate nobody signed, another producer of the same
// name) is kept in `fatal`, and whoever waits for the client asks kafka_client_check. A client that has worked does not die of a refused
// password: brokers that restart refuse for a moment what they accept later.
#include "connector/kafka/kafka.h"
#include <time.h>

enum { FREE_WAIT_S = 5, SYSLOG_CRITICAL = 2 };  // its levels are syslog's, whose header has names that leat's log has too

// The words of librdkafka without what follows for its own diagnosis: " (after 3ms in state CONNECT, 4 identical error(s) suppressed)".
static void copy_reason(char *out, size_t size_bytes, const char *reason) {
    const char *end = strstr(reason, " (after ");
    size_t size = end ? (size_t)(end - reason) : strlen(reason);
    if (size >= size_bytes) size = size_bytes - 1;
    while (size && (reason[size - 1] == '\n' || reason[size - 1] == ' ')) size--;
    memcpy(out, reason, size);
    out[size] = 0;
}

// --- what an answer means ---

enum meaning {
    MEANS_WAIT,        // trying again may help
    MEANS_CREDENTIALS,
    MEANS_CERTIFICATE,
    MEANS_FORBIDDEN,
    MEANS_NO_TOPIC,
    MEANS_FENCED,
    MEANS_TOO_LARGE,
    MEANS_BAD_RECORD,
    MEANS_OFFSET,
    MEANS_WRONG,       // what was asked for is not possible
    MEANS_TRANSACTION_TIMEOUT,
    MEANS_TOO_OLD,
    MEANS_MEMORY,
    MEANS_OTHER,
};

static const struct { rd_kafka_resp_err_t code; enum meaning meaning; } meanings[] = {
    {RD_KAFKA_RESP_ERR__TRANSPORT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__RESOLVE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__MSG_TIMED_OUT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__ISR_INSUFF, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__NODE_UPDATE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__WAIT_COORD, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__WAIT_CACHE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__IN_PROGRESS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__PREV_IN_PROGRESS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__INTR, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__OUTDATED, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__PARTIAL, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__RETRY, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__PURGE_QUEUE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__PURGE_INFLIGHT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__UNKNOWN_BROKER, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__ASSIGNMENT_LOST, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__QUEUE_FULL, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_STALE_CTRL_EPOCH, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_NOT_CONTROLLER, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_OPERATION_NOT_ATTEMPTED, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_LOG_DIR_NOT_FOUND, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_FETCH_SESSION_ID_NOT_FOUND, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_INVALID_FETCH_SESSION_EPOCH, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_LISTENER_NOT_FOUND, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_STALE_BROKER_EPOCH, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_PREFERRED_LEADER_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_THROTTLING_QUOTA_EXCEEDED, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR_TRANSACTION_COORDINATOR_FENCED, MEANS_WAIT},
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, MEANS_CREDENTIALS},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, MEANS_CREDENTIALS},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, MEANS_CREDENTIALS},
    {RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, MEANS_CREDENTIALS},
    {RD_KAFKA_RESP_ERR__SSL, MEANS_CERTIFICATE},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, MEANS_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, MEANS_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, MEANS_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, MEANS_FORBIDDEN},
    {RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, MEANS_NO_TOPIC},
    {RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, MEANS_NO_TOPIC},
    {RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, MEANS_NO_TOPIC},
    {(rd_kafka_resp_err_t)100, MEANS_NO_TOPIC},  // UNKNOWN_TOPIC_ID, of newer brokers
    {RD_KAFKA_RESP_ERR__FENCED, MEANS_FENCED},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, MEANS_FENCED},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, MEANS_FENCED},
    {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, MEANS_FENCED},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, MEANS_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE, MEANS_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, MEANS_TOO_LARGE},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, MEANS_BAD_RECORD},
    {RD_KAFKA_RESP_ERR_INVALID_MSG, MEANS_BAD_RECORD},
    {RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, MEANS_BAD_RECORD},
    {RD_KAFKA_RESP_ERR__BAD_MSG, MEANS_BAD_RECORD},
    {RD_KAFKA_RESP_ERR__BAD_COMPRESSION, MEANS_BAD_RECORD},
    {RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, MEANS_OFFSET},
    {RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, MEANS_OFFSET},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICA_ASSIGNMENT, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_REQUEST, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_REQUIRED_ACKS, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_GROUP_ID, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INCONSISTENT_GROUP_PROTOCOL, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_OFFSET_METADATA_TOO_LARGE, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_TOPIC_DELETION_DISABLED, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_SECURITY_DISABLED, MEANS_WRONG},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, MEANS_TRANSACTION_TIMEOUT},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, MEANS_TOO_OLD},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT, MEANS_TOO_OLD},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, MEANS_TOO_OLD},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, MEANS_TOO_OLD},
    {RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, MEANS_MEMORY},
};

static const struct { enum status status; const char *condition, *hint; } answers[] = {
    [MEANS_WAIT] = {STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "is the broker running, and do host and port fit kafka.bootstrap.servers and the broker's advertised.listeners?"},
    [MEANS_CREDENTIALS] = {STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "check kafka.security.protocol, kafka.sasl.mechanism, and user and password (kafka.sasl.jaas.config, or kafka.sasl.username and kafka.sasl.password)"},
    [MEANS_CERTIFICATE] = {STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "name the authority that signed the broker's certificate: 'kafka.ssl.truststore.location' = 'ca.pem'; the host in kafka.bootstrap.servers must be one the certificate is for; where brokers ask for a client's certificate: 'kafka.ssl.keystore.location' = 'client.pem'"},
    [MEANS_FORBIDDEN] = {STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "the broker's access rules (ACLs) must allow it: topics to Read or Write and Describe; groups to Read; transactional ids to Write and Describe, by prefix `leat-` (or 'leat.idPrefix')"},
    [MEANS_NO_TOPIC] = {STATUS_NOT_FOUND, "LEAT_TOPIC_NOT_FOUND", "make it: leat kafka topics --create NAME --partitions 2 --brokers HOST:PORT"},
    [MEANS_FENCED] = {STATUS_CONFLICT, "LEAT_PRODUCER_FENCED", "another leat with this pipeline has taken over; only one may run. Was the data folder copied? Then delete one copy, or stop the other leat and start this one again"},
    [MEANS_TOO_LARGE] = {STATUS_DATA, "LEAT_MESSAGE_TOO_LARGE", "'kafka.max.request.size' is the limit of the client, max.message.bytes that of the topic, message.max.bytes that of the broker"},
    [MEANS_BAD_RECORD] = {STATUS_DATA, "LEAT_KAFKA_RECORD_REFUSED", "a compacted topic wants a key with every message; a damaged batch cannot be decoded"},
    [MEANS_OFFSET] = {STATUS_NOT_FOUND, "LEAT_DATA_LOSS", "the messages are gone (retention, or the topic was made anew); failOnDataLoss = 'false' goes on with what there is"},
    [MEANS_WRONG] = {STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", NULL},
    [MEANS_TRANSACTION_TIMEOUT] = {STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "kafka.transaction.timeout.ms must not be over the broker's transaction.max.timeout.ms (15 minutes unless set)"},
    [MEANS_TOO_OLD] = {STATUS_UNSUPPORTED, "LEAT_UNSUPPORTED", "the broker does not have what was asked for; transactions need Kafka 2.5 or newer"},
    [MEANS_MEMORY] = {STATUS_NO_MEMORY, "LEAT_OUT_OF_MEMORY", NULL},
    [MEANS_OTHER] = {STATUS_IO, "LEAT_KAFKA_ERROR", NULL},
};

static enum meaning meaning_of(rd_kafka_resp_err_t code) {
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        if (meanings[i].code == code) return meanings[i].meaning;
    }
    return MEANS_OTHER;
}

// Alerts by which the other side of TLS refuses: bad, unsupported, revoked, expired, unknown certificate, unknown authority, no certificate,
// handshake failure, version, strength. They come after the handshake, as an error of a read. RFC 8446 §6.
static bool is_refusing_alert(const char *reason) {
    static const char words[] = "SSL alert number ";
    const char *at = strstr(reason, words);
    if (!at) return false;
    static const uint8_t refusing[] = {40, 42, 43, 44, 45, 46, 48, 70, 71, 116};
    long number = strtol(at + sizeof words - 1, NULL, 10);
    for (size_t i = 0; i < sizeof refusing; i++) {
        if (refusing[i] == number) return true;
    }
    return false;
}

// A connection that ends within the handshake has the code of a failed handshake, and may be no more than a broker that goes down.
static bool is_lost_connection(const char *reason) {
    static const char *const words[] = {"Disconnected", "timed out", "reset by peer", "Broken pipe", "Connection closed"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strstr(reason, words[i])) return true;
    }
    return false;
}

static enum meaning meaning_of_answer(rd_kafka_resp_err_t code, const char *reason) {
    enum meaning meaning = meaning_of(code);
    if (!reason) return meaning;
    if (meaning == MEANS_WAIT && is_refusing_alert(reason)) return MEANS_CERTIFICATE;
    return meaning == MEANS_CERTIFICATE && is_lost_connection(reason) ? MEANS_WAIT : meaning;
}

// The client's suspicions when a connection ends as soon as it stands. Not every version of it utters them: see may_be_protocol.
static bool suspects_protocol(const char *reason) { return strstr(reason, "security.protocol") || strstr(reason, "PLAINTEXT broker listener"); }

// A broker closes a connection whose first bytes it does not understand.
static bool may_be_protocol(const struct kafka_client *c, const char *reason) {
    return suspects_protocol(reason) || (!atomic_load(&c->was_up) && !c->trusted && strstr(reason, "Disconnected"));
}

// Where an answer says no more than that there was none, what connections ended with says why.
static void find_words(const struct kafka_client *c, rd_kafka_resp_err_t code, const char *reason, char *out, size_t size_bytes) {
    pthread_mutex_t *mutex = (pthread_mutex_t *)(uintptr_t)&c->mutex;
    bool empty = !reason || !*reason || strcmp(reason, rd_kafka_err2str(code)) == 0 || strstr(reason, "brokers are down");
    copy_reason(out, size_bytes, reason && *reason ? reason : rd_kafka_err2str(code));
    if (!empty || meaning_of(code) != MEANS_WAIT || !c->rk) return;
    pthread_mutex_lock(mutex);
    if (c->reason[0]) snprintf(out, size_bytes, "%s", c->reason);
    pthread_mutex_unlock(mutex);
}

static bool uses_scram(const struct kafka_client *c) {
    char mechanism[64] = "";
    size_t size = sizeof mechanism;
    return c->rk && rd_kafka_conf_get(rd_kafka_conf(c->rk), "sasl.mechanisms", mechanism, &size) == RD_KAFKA_CONF_OK && strncmp(mechanism, "SCRAM", 5) == 0;
}

enum status kafka_error(const struct kafka_client *c, rd_kafka_resp_err_t code, const char *reason, const char *what, struct error *e) {
    char words[512];
    find_words(c, code, reason, words, sizeof words);
    enum meaning meaning = meaning_of_answer(code, words);
    (void)error_set(e, answers[meaning].status, answers[meaning].condition, "%s%s%s: %s (%s, Kafka at %s)", c->who ? c->who : "", c->who ? ": " : "", what, words,
                    rd_kafka_err2name(code), c->brokers);
    if (meaning == MEANS_CREDENTIALS && rd_kafka_version() < 0x02060100 && uses_scram(c)) {
        error_set_hint(e, "if user and password are right: SCRAM of librdkafka %s does not work with Kafka 4; librdkafka 2.6.1 or newer does (`make deps` builds one), and so does SASL PLAIN over TLS",
                       rd_kafka_version_str());
    } else if (meaning == MEANS_WAIT && may_be_protocol(c, words)) {
        error_set_hint(e, "the other side closes the connection: is kafka.security.protocol (PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL) what it speaks at this port?");
    } else if (answers[meaning].hint) {
        error_set_hint(e, "%s", answers[meaning].hint);
    }
    return answers[meaning].status;
}

// --- callbacks; they run in the threads that poll, those of the log in librdkafka's ---

static void keep_fatal(struct kafka_client *c, const struct error *e) {
    pthread_mutex_lock(&c->mutex);
    if (c->fatal.status == STATUS_OK) c->fatal = *e;
    pthread_mutex_unlock(&c->mutex);
}

// One broker's trouble is remembered as the reason; it is told when there is none left.
static void note_trouble(struct kafka_client *c, bool none_left, const char *reason) {
    char words[sizeof c->reason];
    pthread_mutex_lock(&c->mutex);
    if (!none_left) copy_reason(c->reason, sizeof c->reason, reason);
    snprintf(words, sizeof words, "%s", c->reason[0] ? c->reason : "the connection is lost");
    pthread_mutex_unlock(&c->mutex);
    if (!none_left || atomic_exchange(&c->down, true)) return;
    bool tells = !c->quiet && atomic_load(&c->was_up);  // else an answer does
    atomic_store(&c->told, tells);
    log_write(c->log, tells ? LOG_WARN : LOG_DEBUG, "%s: Kafka at %s does not answer: %s; waiting for it", c->who, c->brokers, words);
}

// Connections that the other side closes are in the client's log alone: "[thrd:…]: host:port/1: Disconnected: …". An error says more.
static void note_closed(struct kafka_client *c, const char *text) {
    const char *words = *text == '[' ? strstr(text, "]: ") : NULL;
    words = words ? words + 3 : text;
    pthread_mutex_lock(&c->mutex);
    if (!c->reason[0] || suspects_protocol(words)) copy_reason(c->reason, sizeof c->reason, words);
    pthread_mutex_unlock(&c->mutex);
}

void kafka_client_up(struct kafka_client *c) {
    if (!atomic_load_explicit(&c->was_up, memory_order_relaxed)) atomic_store(&c->was_up, true);
    if (!atomic_load_explicit(&c->down, memory_order_relaxed) || !atomic_exchange(&c->down, false)) return;
    pthread_mutex_lock(&c->mutex);
    c->reason[0] = 0;
    pthread_mutex_unlock(&c->mutex);
    log_write(c->log, atomic_load(&c->told) ? LOG_INFO : LOG_DEBUG, "%s: Kafka at %s answers again", c->who, c->brokers);
}

enum status kafka_client_check(struct kafka_client *c, struct error *e) {
    if (c->rk && !c->polled_as_consumer) rd_kafka_poll(c->rk, 0);  // what it has found may not have been called yet
    pthread_mutex_lock(&c->mutex);
    struct error fatal = c->fatal;
    pthread_mutex_unlock(&c->mutex);
    if (fatal.status != STATUS_OK && e) *e = fatal;
    return fatal.status;
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque) {
    struct kafka_client *c = opaque;
    struct error e;
    char words[512];
    if (atomic_load(&c->closing)) return;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        code = rd_kafka_fatal_error(rk, words, sizeof words);
        (void)kafka_error(c, (rd_kafka_resp_err_t)code, words, "the client has stopped", &e);
        keep_fatal(c, &e);
        return;
    }
    enum meaning meaning = meaning_of_answer((rd_kafka_resp_err_t)code, reason);
    bool hopeless = (meaning == MEANS_CREDENTIALS || meaning == MEANS_CERTIFICATE) && !c->trusted && !atomic_load(&c->was_up);
    if (hopeless) {
        (void)kafka_error(c, (rd_kafka_resp_err_t)code, reason, "connecting", &e);
        keep_fatal(c, &e);
    } else {
        note_trouble(c, code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN, reason);
    }
}

// Its words for what ends a transaction or the client itself, "[thrd:…]: " left out; the next call's own error may say less.
static void tell_end(struct kafka_client *c, const char *text) {
    char words[300];
    const char *begin = *text == '[' ? strstr(text, "]: ") : NULL;
    copy_reason(words, sizeof words, begin ? begin + 3 : text);
    log_write(c->log, atomic_exchange(&c->end_told, true) ? LOG_DEBUG : LOG_WARN, "%s: %s (Kafka at %s)", c->who, words, c->brokers);
}

// What matters comes by on_error and by answers; its own lines are for debugging. Configuration warnings are kafka_conf_warn's.
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text) {
    struct kafka_client *c = rd_kafka_opaque(rk);
    if (!c || atomic_load(&c->closing) || strcmp(facility, "CONFWARN") == 0) return;
    if (strcmp(facility, "FAIL") == 0) note_closed(c, text);
    bool is_end = strcmp(facility, "FATAL") == 0 || strcmp(facility, "TXNERR") == 0;
    if (is_end && c->log) tell_end(c, text);
    else if (c->log) log_write(c->log, level <= SYSLOG_CRITICAL ? LOG_ERROR : LOG_DEBUG, "%s: librdkafka: %s: %s", c->who, facility, text);
}

// --- life ---

static char *copy_text(struct memory *memory, const char *text) {
    char *copy = memory_alloc(memory, strlen(text) + 1);
    if (copy) memcpy(copy, text, strlen(text) + 1);
    return copy;
}

static void release(struct kafka_client *c) {
    if (c->brokers) memory_free(c->memory, c->brokers, strlen(c->brokers) + 1);
    if (c->who) memory_free(c->memory, c->who, strlen(c->who) + 1);
    pthread_mutex_destroy(&c->mutex);
    memory_free(c->memory, c, sizeof *c);
}

static enum status make_client(struct kafka_client *c, rd_kafka_conf_t *conf, enum kafka_use use, const char *who, struct error *e) {
    char brokers[1024] = "", reason[512];
    size_t size = sizeof brokers;
    if (rd_kafka_conf_get(conf, "bootstrap.servers", brokers, &size) != RD_KAFKA_CONF_OK || size > sizeof brokers) {
        return error_set(e, STATUS_LIMIT, "LEAT_LIMIT", "%s: the list of brokers is longer than %zu bytes", who, sizeof brokers - 1);
    }
    c->brokers = copy_text(c->memory, brokers);
    c->who = copy_text(c->memory, who);
    if (!c->brokers || !c->who) return error_no_memory(e);
    c->rk = rd_kafka_new(use == KAFKA_CONSUMER ? RD_KAFKA_CONSUMER : RD_KAFKA_PRODUCER, conf, reason, sizeof reason);
    if (c->rk) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "%s: the Kafka client cannot be made: %s", who, reason);
    error_set_hint(e, "one of the kafka.* options does not fit the others, or a file that one names (certificate, key) cannot be used");
    return STATUS_INVALID_ARGUMENT;
}

enum status kafka_client_new(rd_kafka_conf_t *conf, enum kafka_use use, const char *who, struct memory *memory, struct log *log, struct kafka_client **out,
                             struct error *e) {
    struct kafka_client *c = memory_alloc_zeroed(memory, sizeof *c);
    if (!c) {
        rd_kafka_conf_destroy(conf);
        return error_no_memory(e);
    }
    c->memory = memory;
    c->log = log;
    pthread_mutex_init(&c->mutex, NULL);
    rd_kafka_conf_set_opaque(conf, c);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    enum status status = make_client(c, conf, use, who, e);
    if (status != STATUS_OK) {
        rd_kafka_conf_destroy(conf);
        release(c);
        return status;
    }
    *out = c;
    return STATUS_OK;
}

static void *destroy(void *argument) {
    rd_kafka_destroy_flags(argument, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return NULL;
}

// The client's threads end within milliseconds, but for one that asks a name server: no call can be taken back from the system's resolver.
static bool destroy_soon(rd_kafka_t *rk) {
    pthread_t thread;
    struct timespec until;
    if (pthread_create(&thread, NULL, destroy, rk) != 0) {
        destroy(rk);
        return true;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += FREE_WAIT_S;
    if (pthread_timedjoin_np(thread, NULL, &until) == 0) return true;
    pthread_detach(thread);
    return false;
}

bool kafka_client_free(struct kafka_client *c) {
    if (!c) return true;
    if (c->abandoned) {
        atomic_store(&c->closing, true);
        return false;
    }
    kafka_caller_free(c->caller);
    if (c->rk && rd_kafka_type(c->rk) == RD_KAFKA_PRODUCER) {
        rd_kafka_purge(c->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        while (rd_kafka_poll(c->rk, 0) > 0) {
        }
    }
    atomic_store(&c->closing, true);
    if (c->rk && !destroy_soon(c->rk)) {
        log_write(c->log, LOG_DEBUG, "%s: the Kafka client has not ended within %d s; it is left to end by itself", c->who, FREE_WAIT_S);
        return false;
    }
    release(c);
    return true;
}
