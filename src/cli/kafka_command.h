// SPDX-License-Identifier: Apache-2.0
// kafka_command.h: what `leat kafka topics`, `produce` and `consume` share: brokers and client properties, a connection, topics by name.
//
//     flags, LEAT_KAFKA, a Java client.properties ─► properties ─► kafka_conf_make (connector/kafka) ─► client
//
// One thread. Everything lives in the command's arena but for the client, which the command frees.
#pragma once
#include "cli/cli.h"
#include "connector/kafka/kafka.h"

enum { KAFKA_PROPERTIES_MAX = 256, KAFKA_POLL_MS = 200 };

struct kafka_session {
    struct host *host;
    const char *name;              // "topics", "produce", "consume"
    struct arena arena;
    const char *brokers;           // -b; NULL: not given
    struct option_value properties[KAFKA_PROPERTIES_MAX];  // keys with "kafka." before them; the last of a name wins
    uint32_t property_count;
    int64_t timeout_us;            // for an answer of the brokers
};

int kafka_run_topics(struct kafka_session *k, int argc, char **argv);
int kafka_run_produce(struct kafka_session *k, int argc, char **argv);
int kafka_run_consume(struct kafka_session *k, int argc, char **argv);

int kafka_usage(const struct kafka_session *k, const char *format, ...) PRINTF_LIKE(2, 3);
// -b, -X, --properties, --timeout. *taken: it was one of them. Otherwise an exit code.
int kafka_shared_flag(struct kafka_session *k, int argc, char **argv, int *i, bool *taken);
// `text` as a whole number in [low, high]; false: it is none.
bool kafka_number(const char *text, int64_t low, int64_t high, int64_t *out);

enum status kafka_set_property(struct kafka_session *k, const char *name, const char *value, struct error *e) WARN_UNUSED;
bool kafka_has_property(const struct kafka_session *k, const char *name);
// A file in the format of java.util.Properties. What only Java can use (serializers …) is left out, and so is what the command decides.
enum status kafka_read_properties(struct kafka_session *k, const char *path, struct error *e) WARN_UNUSED;

// The configuration, for the command to add to; goes to kafka_connect.
enum status kafka_configure(struct kafka_session *k, enum kafka_use use, rd_kafka_conf_t **out, struct error *e) WARN_UNUSED;
// Sets a property unless the user did.
void kafka_default(const struct kafka_session *k, rd_kafka_conf_t *conf, const char *name, const char *value);
enum status kafka_connect(struct kafka_session *k, rd_kafka_conf_t *conf, enum kafka_use use, void *owner, struct kafka_client **out, struct error *e) WARN_UNUSED;
// Every topic there is; to be given to rd_kafka_metadata_destroy. Waits for the brokers until the time is over or Ctrl-C.
enum status kafka_metadata(struct kafka_session *k, struct kafka_client *c, const rd_kafka_metadata_t **out, struct error *e) WARN_UNUSED;
// STATUS_NOT_FOUND suggests names that are near, and how to make it.
enum status kafka_find_topic(struct kafka_session *k, const struct kafka_client *c, const rd_kafka_metadata_t *metadata, const char *name,
                             const rd_kafka_metadata_topic_t **out, struct error *e) WARN_UNUSED;
// Fills in the offsets of the list: KAFKA_EARLIEST or KAFKA_LATEST, one request a broker. A partition's own error stays with it.
enum status kafka_ask_offsets(struct kafka_session *k, struct kafka_client *c, rd_kafka_topic_partition_list_t *list, int64_t which, struct error *e) WARN_UNUSED;

bool kafka_interrupted(void);   // Ctrl-C was pressed; a second one ends the process
const _Atomic int *kafka_interrupt_flag(void);  // not 0: it was

// Messages on standard output.
enum kafka_format { KAFKA_TEXT, KAFKA_JSON, KAFKA_CSV };
struct kafka_printer {
    enum kafka_format format;
    const char *key_separator;   // text: keys are printed, with this between; NULL: they are not
    bool terminal;               // what could drive the terminal is escaped
    struct buffer scratch;
};
enum status kafka_print_header(const struct kafka_printer *p, struct buffer *out) WARN_UNUSED;
enum status kafka_print_message(struct kafka_printer *p, const rd_kafka_message_t *m, struct buffer *out) WARN_UNUSED;
