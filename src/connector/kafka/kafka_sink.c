// SPDX-License-Identifier: Apache-2.0
// kafka_sink.c: rows as messages of topics. Columns, as in Spark: value (STRING or BINARY), key, headers, topic, partition; others are not written.
//
// leat.delivery = exactly-once (default): an epoch is a transaction, and the record is the metadata of an offset committed in it, of a group with
// the transactional id's name. at-least-once: an idempotent producer, no record; its store is of a class of its own, which says that it
// forgets. Tables with the same kafka.* options and delivery are one store, so they commit together.
//
// A topic appends. Rows that replace others (a materialized view, a streaming table with `key`) are written where the key of the rows is the
// `key` column: the newest message of a key counts, and a message without a value says that the key is gone, which is what a compacted
// topic keeps. Rows that cannot be written (no topic, a partition there is not, too large) are dead rows.
#include "base/checksum.h"
#include "connector/kafka/kafka_producer.h"
#include "connector/registry.h"
#include <strings.h>

const struct option kafka_sink_options[] = {
    {"kafka.bootstrap.servers", OPTION_STRING, NULL, true, false, NULL, "brokers to begin with: host:port, separated by commas"},
    {"topic", OPTION_STRING, NULL, false, false, NULL, "topic of all rows; wins over a `topic` column"},
    {"includeHeaders", OPTION_BOOLEAN, "false", false, false, NULL, "has a meaning for reading only: a `headers` column is always written"},
    {"leat.delivery", OPTION_ENUM, "exactly-once", false, false, "exactly-once|at-least-once", "exactly-once: one transaction an epoch; at-least-once: none, rows are readable at once and may come twice after a failure"},
    {"leat.idPrefix", OPTION_STRING, "leat", false, false, NULL, "how transactional id and group begin, for access rules by prefix"},
    {"kafka.*", OPTION_STRING, NULL, false, false, NULL, "properties of the client, under the names of librdkafka or of Kafka's Java client"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

enum { NO_COLUMN = -1 };
static const struct sink_class at_least_once_class;

struct kafka_columns {
    int key, value, topic, partition, headers;  // ordinals, or NO_COLUMN
};

struct kafka_store {
    struct store store;                // first
    struct memory *memory;
    struct arena arena;                // identity
    struct sink_request any;           // of the table that opened it
    struct kafka_producer *producer;
};

struct kafka_table {
    struct sink sink;                  // first
    struct kafka_store *owner;
    struct kafka_columns columns;
    const char *topic;                 // of all rows; NULL: by column
    size_t topic_bytes;
};

// --- plan time ---

static int find_column(const struct type *schema, const char *name) {
    for (uint32_t i = 0; i < schema->field_count; i++) {
        if (strcasecmp(schema->fields[i].name, name) == 0) return (int)i;
    }
    return NO_COLUMN;
}

static struct kafka_columns find_columns(const struct type *schema) {
    return (struct kafka_columns){.key = find_column(schema, "key"), .value = find_column(schema, "value"), .topic = find_column(schema, "topic"),
                                  .partition = find_column(schema, "partition"), .headers = find_column(schema, "headers")};
}

static bool is_headers(const struct type *t) {
    if (t->id != TYPE_ARRAY) return false;
    const struct type *item = t->fields[0].type;
    return item->id == TYPE_STRUCT && item->field_count == 2 && strcmp(item->fields[0].name, "key") == 0 && item->fields[0].type->id == TYPE_STRING &&
           strcmp(item->fields[1].name, "value") == 0 && item->fields[1].type->id == TYPE_BINARY;
}

static enum status wrong_type(const struct sink_request *r, int column, const char *name, const char *wanted, const char *hint, struct error *e) {
    struct buffer text;
    buffer_init(&text, r->memory);
    if (type_print(r->schema->fields[column].type, &text) != STATUS_OK || buffer_terminate(&text) != STATUS_OK) {
        buffer_release(&text);
        return error_no_memory(e);
    }
    (void)error_set(e, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_3080", "%s attribute unsupported type %.300s. %s must be a(n) %s", name, (const char *)text.data, name, wanted);
    buffer_release(&text);
    error_set_hint(e, "%s", hint);
    return STATUS_INVALID_QUERY;
}

static bool is_text(const struct type *t) { return t->id == TYPE_STRING || t->id == TYPE_BINARY; }

static enum status check_columns(const struct sink_request *r, const struct kafka_columns *c, struct error *e) {
    const struct field *f = r->schema->fields;
    bool has_topic = option_text(&r->options, "topic") != NULL;
    if (!has_topic && c->topic == NO_COLUMN) {
        (void)error_set(e, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_3080", "topic option required when no 'topic' attribute is present. Use the topic option for setting a topic.");
        error_set_hint(e, "TBLPROPERTIES (topic = 'name'), or a `topic` column");
        return STATUS_INVALID_QUERY;
    }
    if (!has_topic && f[c->topic].type->id != TYPE_STRING) return wrong_type(r, c->topic, "topic", "string", "CAST(… AS STRING) AS topic", e);
    if (c->key != NO_COLUMN && !is_text(f[c->key].type)) return wrong_type(r, c->key, "key", "string or binary", "CAST(… AS STRING) AS key", e);
    if (c->value == NO_COLUMN) {
        (void)error_set(e, STATUS_INVALID_QUERY, "_LEGACY_ERROR_TEMP_3080", "Required attribute 'value' not found");
        error_set_hint(e, "make one of the columns: SELECT to_json(struct(*)) AS value");
        return STATUS_INVALID_QUERY;
    }
    if (!is_text(f[c->value].type)) return wrong_type(r, c->value, "value", "string or binary", "to_json(…) AS value, or CAST(… AS STRING) AS value", e);
    if (c->headers != NO_COLUMN && !is_headers(f[c->headers].type)) {
        return wrong_type(r, c->headers, "headers", "array<struct<key:string,value:binary>>", "array(named_struct('key', 'name', 'value', CAST('x' AS BINARY))) AS headers", e);
    }
    if (c->partition != NO_COLUMN && f[c->partition].type->id != TYPE_INT) return wrong_type(r, c->partition, "partition", "int", "CAST(… AS INT) AS partition", e);
    return STATUS_OK;
}

// Rows that replace others need the message's key to be what tells them apart.
static enum status check_key(const struct sink_request *r, const struct kafka_columns *c, struct error *e) {
    if (!r->key_count && !r->retracts) return STATUS_OK;
    if (r->key_count == 1 && c->key != NO_COLUMN && r->key[0] == (uint32_t)c->key) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_QUERY, "STREAMING_OUTPUT_MODE.UNSUPPORTED_DATASOURCE",
                    "rows of `%s` replace earlier ones, and a topic tells messages apart by their `key` alone", r->table_name);
    error_set_hint(e, "let the query's only grouping column be named `key` (SELECT CAST(c AS STRING) AS key, to_json(…) AS value … GROUP BY CAST(c AS STRING)), or append with STREAM and a window");
    return STATUS_INVALID_QUERY;
}

static enum status check_options(const struct sink_request *r, struct error *e) {
    const char *topic = option_text(&r->options, "topic"), *prefix = option_text(&r->options, "leat.idPrefix");
    if (topic && !strstr(topic, "${") && !kafka_topic_is_legal(topic, strlen(topic))) {
        (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "option `topic`: `%.250s` cannot be the name of a topic", topic);
        error_set_hint(e, "1 to 249 letters, digits, dots, underscores and hyphens");
        return STATUS_INVALID_ARGUMENT;
    }
    if (prefix && (strlen(prefix) > 100 || !kafka_topic_is_legal(prefix, strlen(prefix)))) {
        return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "option `leat.idPrefix` must have 1 to 100 letters, digits, dots, underscores and hyphens");
    }
    return kafka_conf_check(&r->options, KAFKA_PRODUCER, r->memory, e);
}

static enum status sink_check(const struct sink_request *r, struct error *e) {
    struct kafka_columns c = find_columns(r->schema);
    TRY(check_columns(r, &c, e));
    TRY(check_key(r, &c, e));
    return check_options(r, e);
}

// --- the store ---

static bool is_at_least_once(const struct sink_request *r) {
    const char *delivery = option_text(&r->options, "leat.delivery");
    return delivery && strcasecmp(delivery, "at-least-once") == 0;
}

static int compare_values(const void *a, const void *b) {
    return strcasecmp((*(const struct option_value *const *)a)->key, (*(const struct option_value *const *)b)->key);
}

// The options as written, whatever their order; secrets and what placeholders stand for are not in it.
static enum status sink_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    const struct option_value **own = arena_alloc_array(a, r->options.count + 1, sizeof *own);
    uint32_t count = 0;
    uint64_t hash = 0;
    if (!own) return error_no_memory(e);
    for (uint32_t i = 0; i < r->options.count; i++) {
        const struct option_value *v = &r->options.values[i];
        bool counts = v->is_set && (strncasecmp(v->key, "kafka.", 6) == 0 || strcasecmp(v->key, "leat.idPrefix") == 0) && !kafka_option_is_secret(v->key);
        if (counts && strcasecmp(v->key, "kafka.bootstrap.servers") != 0) own[count++] = v;
    }
    qsort(own, count, sizeof *own, compare_values);
    for (uint32_t i = 0; i < count; i++) {
        char key[256];
        size_t n = 0;
        for (const char *s = own[i]->key; *s && n < sizeof key; s++) key[n++] = (char)(*s >= 'A' && *s <= 'Z' ? *s + ('a' - 'A') : *s);
        hash = checksum64(key, n, hash);
        hash = checksum64(own[i]->text, strlen(own[i]->text), hash);
    }
    const char *servers = option_text(&r->options, "kafka.bootstrap.servers");
    char options[24] = "";
    if (count) snprintf(options, sizeof options, "#%08x", (unsigned)(hash ^ hash >> 32));
    *out = arena_printf(a, "kafka:%s%s%s", servers ? servers : "", options, is_at_least_once(r) ? ":at-least-once" : "");
    return *out ? STATUS_OK : error_no_memory(e);
}

static void make_id(const struct kafka_store *s, const uint8_t pipeline[16], char *out, size_t size_bytes) {
    const char *prefix = option_text(&s->any.options, "leat.idPrefix");
    int n = snprintf(out, size_bytes, "%s-", prefix ? prefix : "leat");
    for (int i = 0; i < 16; i++) n += snprintf(out + n, size_bytes - (size_t)n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", pipeline[i]);
    snprintf(out + n, size_bytes - (size_t)n, "-%016llx", (unsigned long long)checksum64(s->store.identity, strlen(s->store.identity), 0));
}

static void store_close(struct store *store) {
    struct kafka_store *s = (struct kafka_store *)store;
    if (!s) return;
    kafka_producer_free(s->producer);
    arena_release(&s->arena);
    memory_free(s->memory, s, sizeof *s);
}

static enum status open_producer(struct kafka_store *s, const uint8_t pipeline[16], bool *found, struct sink_record *record, struct error *e) {
    char id[224] = "", who[200];
    TRY(sink_identity(&s->any, &s->arena, &s->store.identity, e));
    bool forgets = is_at_least_once(&s->any);
    s->store.forgetful = forgets;
    s->store.record_expires = !forgets;  // with the group, days after the last run (offsets.retention.minutes)
    s->store.class = forgets ? &at_least_once_class : &kafka_sink_class;
    if (!forgets) make_id(s, pipeline, id, sizeof id);
    TRY(kafka_producer_new(&s->any, id, pipeline, &s->producer, e));
    snprintf(who, sizeof who, "sink `%.140s`", s->any.table_name);
    kafka_conf_warn(&s->any.options, KAFKA_PRODUCER, who, s->any.log);
    const char *topic = option_text(&s->any.options, "topic");
    if (topic) TRY(option_resolve(&s->arena, topic, &topic, e));
    if (topic && kafka_topic_is_legal(topic, strlen(topic))) kafka_producer_keep_record_at(s->producer, topic);
    return forgets ? kafka_producer_ready(s->producer, e) : kafka_producer_record(s->producer, found, record, e);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record,
                              struct error *e) {
    struct kafka_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->memory = any->memory;
    s->any = *any;
    arena_init(&s->arena, any->memory);
    *found = false;
    enum status status = open_producer(s, pipeline, found, record, e);
    if (status != STATUS_OK) {
        store_close(&s->store);
        return status;
    }
    *out = &s->store;
    return STATUS_OK;
}

static struct kafka_producer *producer_of(struct store *store) { return ((struct kafka_store *)store)->producer; }

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    (void)epoch;
    return kafka_producer_begin(producer_of(store), e);
}

static enum status store_flush(struct store *store, struct error *e) {
    return kafka_producer_flush(producer_of(store), e);  // what brokers refuse is found out before an epoch can end: kafka_producer.c
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    bool recorded;
    TRY(kafka_producer_commit(producer_of(store), record, &recorded, e));
    store->passed_over = !recorded && !store->forgetful;
    return STATUS_OK;
}

static enum status store_abort(struct store *store, struct error *e) {
    (void)e;
    kafka_producer_abort(producer_of(store));
    return STATUS_OK;
}

static enum status store_recover(struct store *store, bool *found, struct sink_record *record, struct error *e) {
    *found = false;
    if (store->class == &at_least_once_class) return STATUS_OK;
    return kafka_producer_record(producer_of(store), found, record, e);
}

// --- a table ---

static enum status no_topic(const struct kafka_table *t, struct error *e) {
    (void)error_set(e, STATUS_NOT_FOUND, "LEAT_TOPIC_NOT_FOUND", "sink `%s`: the brokers at %s have no topic `%s`", t->sink.request.table_name,
                    option_text(&t->owner->any.options, "kafka.bootstrap.servers"), t->topic);
    error_set_hint(e, "make it: leat kafka topics --create %.200s --partitions 2 --brokers %.100s", t->topic, option_text(&t->owner->any.options, "kafka.bootstrap.servers"));
    return STATUS_NOT_FOUND;
}

static void warn_columns(const struct kafka_table *t) {
    const struct sink_request *r = &t->sink.request;
    const struct kafka_columns *c = &t->columns;
    char list[400] = "";
    size_t used = 0;
    for (int i = 0; i < (int)r->schema->field_count; i++) {
        bool written = i == c->key || i == c->value || i == c->partition || i == c->headers || (i == c->topic && !t->topic);
        if (written || used > sizeof list - 100) continue;
        used += (size_t)snprintf(list + used, sizeof list - used, "%s%.80s", used ? ", " : "", r->schema->fields[i].name);
    }
    if (used) log_write(r->log, LOG_WARN, "sink `%s`: %s: not written; a message has key, value, headers, topic and partition (to_json puts columns into the value)", r->table_name, list);
}

static const char *secret_text(const struct sink_request *r, const char *key) {
    for (uint32_t i = 0; i < r->options.count; i++) {
        const struct option_value *v = &r->options.values[i];
        if (v->is_set && strcasecmp(v->key, key) == 0) return v->text;
    }
    return NULL;
}

// Secrets are not in the store's identity: tables of one store that write them differently mean different users, and one producer is one.
static enum status compare_secrets(const struct sink_request *a, const struct sink_request *b, struct error *e) {
    for (uint32_t i = 0; i < a->options.count; i++) {
        const struct option_value *v = &a->options.values[i];
        bool counts = v->is_set && strncasecmp(v->key, "kafka.", 6) == 0 && kafka_option_is_secret(v->key);
        const char *other = counts ? secret_text(b, v->key) : NULL;
        if (!counts || (other && strcmp(v->text, other) == 0)) continue;
        (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "sinks `%s` and `%s` have the same brokers and options but for the secret `%s`", a->table_name, b->table_name,
                        v->key);
        error_set_hint(e, "they are written in one transaction, by one user: write the same credentials in both, or give each a producer of its own with 'leat.idPrefix'");
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

static enum status prepare_table(struct kafka_table *t, bool *is_empty, struct error *e) {
    struct kafka_producer *p = t->owner->producer;
    struct kafka_topic *topic;
    TRY(compare_secrets(&t->sink.request, &t->owner->any, e));
    TRY(compare_secrets(&t->owner->any, &t->sink.request, e));
    t->columns = find_columns(t->sink.request.schema);
    TRY(check_columns(&t->sink.request, &t->columns, e));
    TRY(check_key(&t->sink.request, &t->columns, e));
    t->topic = option_text(&t->sink.request.options, "topic");
    if (t->topic) TRY(option_resolve(&t->owner->arena, t->topic, &t->topic, e));
    if (t->sink.request.log) warn_columns(t);
    *is_empty = true;
    if (!t->topic) return STATUS_OK;
    t->topic_bytes = strlen(t->topic);
    if (!kafka_topic_is_legal(t->topic, t->topic_bytes)) return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "sink `%s`: option `topic` does not give the name of a topic", t->sink.request.table_name);
    TRY(kafka_producer_ready(p, e));
    TRY(kafka_producer_topic(p, t->topic, t->topic_bytes, &topic, e));
    if (topic->missing) return no_topic(t, e);
    kafka_producer_keep_record_at(p, t->topic);
    return t->sink.request.materialized || t->sink.request.replace ? kafka_producer_is_empty(p, topic, is_empty, e) : STATUS_OK;  // others add to what is there
}

static void sink_close(struct sink *sink) {
    struct kafka_table *t = (struct kafka_table *)sink;
    if (t) memory_free(t->owner->memory, t, sizeof *t);
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct kafka_store *s = (struct kafka_store *)store;
    struct kafka_table *t = memory_alloc_zeroed(s->memory, sizeof *t);
    if (!t) return error_no_memory(e);
    t->sink = (struct sink){.class = store->class, .store = store, .request = *r};
    t->owner = s;
    enum status status = prepare_table(t, is_empty, e);
    if (status != STATUS_OK) {
        sink_close(&t->sink);
        return status;
    }
    *out = &t->sink;
    return STATUS_OK;
}

// A topic is shared with others and cannot be emptied in a transaction: that is for its owner to do.
static enum status sink_empty(struct sink *sink, struct error *e) {
    struct kafka_table *t = (struct kafka_table *)sink;
    struct kafka_topic *topic;
    bool is_empty = false;
    if (t->topic) {
        TRY(kafka_producer_topic(t->owner->producer, t->topic, t->topic_bytes, &topic, e));
        if (topic->missing) return no_topic(t, e);
        TRY(kafka_producer_is_empty(t->owner->producer, topic, &is_empty, e));
    }
    if (is_empty) return STATUS_OK;
    (void)error_set(e, STATUS_CONFLICT, "LEAT_TARGET_NOT_EMPTY", "`%s` is to be built anew, and its topic%s%s%s holds messages, which leat does not delete", sink->request.table_name,
                    t->topic ? " `" : "s", t->topic ? t->topic : "", t->topic ? "`" : "");
    error_set_hint(e, "delete the topic and make it again (leat kafka topics --delete, --create), if nobody else needs what is in it; or let the table write to another topic");
    return STATUS_CONFLICT;
}

// --- rows ---

struct writing {
    struct kafka_table *table;
    struct kafka_producer *producer;
    struct kafka_parcel *parcel;
    struct batch *batch;
    refuse_row refuse;
    void *context;
    struct kafka_topic *topic;         // of the row before
    struct error *e;
};

static enum status refuse(struct writing *w, uint32_t row, const char *condition, const char *message) {
    return w->refuse(w->context, w->batch, row, condition, message);
}

static enum status refuse_code(struct writing *w, uint32_t row, rd_kafka_resp_err_t code) {
    bool large = code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE || code == RD_KAFKA_RESP_ERR_INVALID_MSG_SIZE || code == RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE;
    char message[256];
    if (large) return refuse(w, row, "LEAT_MESSAGE_TOO_LARGE", "the message is larger than client (kafka.max.request.size), topic (max.message.bytes) or broker (message.max.bytes) take");
    if (code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION) return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", "the topic has no partition of this number");
    snprintf(message, sizeof message, "the broker refuses the message: %.200s", rd_kafka_err2str(code));
    return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", message);
}

// *refused: the row has been dealt with.
static enum status choose_topic(struct writing *w, uint32_t row, struct kafka_message *m, bool *refused) {
    const char *name = w->table->topic;
    size_t size_bytes = w->table->topic_bytes;
    if (!name) {
        const struct column *c = &w->batch->columns[w->table->columns.topic];
        *refused = !column_is_valid(c, row);
        if (*refused) return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", "null topic present in the data. Use the topic option for setting a topic.");
        name = string_view_data(column_string(c, row));
        size_bytes = column_string(c, row)->size_bytes;
        *refused = !kafka_topic_is_legal(name, size_bytes);
        if (*refused) return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", "this cannot be the name of a topic");
    }
    bool same = w->topic && strncmp(w->topic->name, name, size_bytes) == 0 && !w->topic->name[size_bytes];
    if (!same) {
        TRY(kafka_producer_topic(w->producer, name, size_bytes, &w->topic, w->e));
        if (!w->topic->missing) kafka_producer_keep_record_at(w->producer, w->topic->name);
    }
    m->topic = w->topic;
    *refused = w->topic->missing;
    return *refused ? refuse(w, row, "LEAT_TOPIC_NOT_FOUND", "the brokers have no topic of this name") : STATUS_OK;
}

static enum status choose_partition(struct writing *w, uint32_t row, struct kafka_message *m, bool *refused) {
    int column = w->table->columns.partition;
    m->partition = RD_KAFKA_PARTITION_UA;
    if (column == NO_COLUMN || !column_is_valid(&w->batch->columns[column], row)) return STATUS_OK;
    bool has;
    m->partition = column_int32(&w->batch->columns[column], row);
    TRY(kafka_producer_has_partition(w->producer, m->topic, m->partition, &has, w->e));
    *refused = !has;
    return has ? STATUS_OK : refuse_code(w, row, RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION);
}

static enum status add_headers(struct writing *w, uint32_t row, struct kafka_message *m, bool *refused) {
    const struct column *list = &w->batch->columns[w->table->columns.headers];
    if (!column_is_valid(list, row)) return STATUS_OK;
    const struct column *base = column_base(list);
    uint32_t index = column_index(list, row);
    int32_t begin = ((const int32_t *)base->values)[index], end = ((const int32_t *)base->values)[index + 1];
    const struct column *item = &base->children[0], *key = &item->children[0], *value = &item->children[1];
    m->headers = rd_kafka_headers_new((size_t)(end - begin));
    for (int32_t i = begin; i < end; i++) {
        uint32_t at = (uint32_t)i;
        *refused = !column_is_valid(item, at) || !column_is_valid(key, at);
        if (*refused) return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", "a header without a key");
        const struct string_view *k = column_string(key, at), *v = column_is_valid(value, at) ? column_string(value, at) : NULL;
        if (rd_kafka_header_add(m->headers, string_view_data(k), (ssize_t)k->size_bytes, v ? string_view_data(v) : NULL, v ? (ssize_t)v->size_bytes : 0)) return error_no_memory(w->e);
    }
    return STATUS_OK;
}

static void take_bytes(const struct batch *b, int column, uint32_t row, const char **bytes, size_t *size_bytes) {
    *bytes = NULL;
    *size_bytes = 0;
    if (column == NO_COLUMN || !column_is_valid(&b->columns[column], row)) return;
    const struct string_view *v = column_string(&b->columns[column], row);
    *bytes = string_view_data(v);
    *size_bytes = v->size_bytes;
}

static enum status make_message(struct writing *w, uint32_t row, struct kafka_message *m, bool *refused) {
    const struct kafka_columns *c = &w->table->columns;
    bool replaces = w->table->sink.request.key_count > 0;
    take_bytes(w->batch, c->key, row, &m->key, &m->key_bytes);
    if (batch_weight(w->batch, row) > 0) take_bytes(w->batch, c->value, row, &m->value, &m->value_bytes);  // else the key is gone
    *refused = replaces && !m->key;
    if (*refused) return refuse(w, row, "LEAT_NULL_KEY", "the key of a row that replaces others is NULL, and messages without a key cannot be told apart");
    TRY(choose_topic(w, row, m, refused));
    if (!*refused) TRY(choose_partition(w, row, m, refused));
    if (!*refused && c->headers != NO_COLUMN) TRY(add_headers(w, row, m, refused));
    return STATUS_OK;
}

static enum status write_row(struct writing *w, uint32_t row) {
    struct kafka_message m = {0};
    bool refused = false;
    rd_kafka_resp_err_t refusal = RD_KAFKA_RESP_ERR_NO_ERROR;
    enum status status = make_message(w, row, &m, &refused);
    bool sent = status == STATUS_OK && !refused;
    if (sent) status = kafka_producer_send(w->producer, w->parcel, &m, &refusal, w->e);
    if (m.headers && (!sent || status != STATUS_OK || refusal)) rd_kafka_headers_destroy(m.headers);
    if (refusal == RD_KAFKA_RESP_ERR_INVALID_RECORD && !m.key) {
        return refuse(w, row, "LEAT_KAFKA_RECORD_REFUSED", "the broker refuses the message, which has no key: a compacted topic (cleanup.policy) wants one with every message");
    }
    return refusal ? refuse_code(w, row, refusal) : status;
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse_it, void *context, struct error *e) {
    struct kafka_table *t = (struct kafka_table *)sink;
    struct writing w = {.table = t, .producer = t->owner->producer, .batch = b, .refuse = refuse_it, .context = context, .e = e};
    struct rows rows = batch_rows(b);
    (void)worker;
    if (!rows.count) return STATUS_OK;
    TRY(kafka_parcel_new(w.producer, b, &w.parcel, e));
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) status = write_row(&w, rows_at(&rows, i));
    kafka_parcel_seal(w.producer, w.parcel);
    if (status == STATUS_OK) rd_kafka_poll(w.producer->client->rk, 0);
    return status;
}

#define KAFKA_SINK_FUNCTIONS                                                                                                                         \
    .check = sink_check, .identity = sink_identity, .store_open = store_open, .sink_open = sink_open, .begin = store_begin, .write = sink_write,     \
    .flush = store_flush, .commit = store_commit, .abort = store_abort, .recover = store_recover, .empty = sink_empty, .sink_close = sink_close,     \
    .store_close = store_close

const struct sink_class kafka_sink_class = {
    .name = "kafka",
    .options = kafka_sink_options,
    .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_TRANSACTIONAL | SINK_ORDERED | SINK_KEEPS,
    KAFKA_SINK_FUNCTIONS,
};
static const struct sink_class at_least_once_class = {
    .name = "kafka",
    .options = kafka_sink_options,
    .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES | SINK_FORGETFUL | SINK_ORDERED | SINK_KEEPS,
    KAFKA_SINK_FUNCTIONS,
};
