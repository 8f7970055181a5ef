// SPDX-License-Identifier: Apache-2.0
// kafka_offsets.c: places in topics as text: Spark's JSON of offsets, names of partitions, and the sink's record.
//
//     {"orders":{"0":23,"1":-2},"users":{"0":-1}}     offsets; -2 earliest, -1 latest
//     {"orders":[0,1]}                                partitions, of the option `assign`
//     orders-1                                        a partition, in positions, ranges and leat_dead
//     leat1 <pipeline> <incarnation> <epoch> <digest> the record (sink.h), in hexadecimal
//
// All of it comes from outside and is checked to the last byte: names as Kafka allows them, numbers in range, nothing twice.
#include "connector/kafka/kafka.h"
#include "json/scan.h"

enum { OFFSETS_BYTES_MAX = 8 << 20, OFFSETS_COUNT_MAX = 1000000, TOPIC_BYTES_MAX = 249 };

struct parsing {
    struct arena *arena;
    struct json_cursor cursor;
    const char *option_name;
    bool assign;
    struct kafka_offset *items;
    size_t count, capacity;
    struct error *e;
};

static enum status wrong(const struct parsing *p, const char *what) {
    (void)error_set(p->e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "option `%s`: %s, at byte %zu of its JSON", p->option_name, what,
                    (size_t)(p->cursor.next - p->cursor.begin));
    error_set_hint(p->e, p->assign ? "expected e.g. {\"topicA\":[0,1],\"topicB\":[0,1]}" : "expected e.g. {\"topicA\":{\"0\":23,\"1\":-1},\"topicB\":{\"0\":-2}}; -2 is earliest, -1 latest");
    return STATUS_INVALID_ARGUMENT;
}

bool kafka_topic_is_legal(const char *topic, size_t size_bytes) {
    if (!size_bytes || size_bytes > TOPIC_BYTES_MAX) return false;
    for (size_t i = 0; i < size_bytes; i++) {
        char c = topic[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-')) return false;
    }
    return !(topic[0] == '.' && (size_bytes == 1 || (size_bytes == 2 && topic[1] == '.')));
}

// Digits without a sign or leading zeros, up to INT32_MAX.
static bool read_partition(const char *text, size_t size_bytes, int32_t *out) {
    int64_t number = 0;
    if (!size_bytes || size_bytes > 10 || (text[0] == '0' && size_bytes > 1)) return false;
    for (size_t i = 0; i < size_bytes; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        number = number * 10 + (text[i] - '0');
    }
    *out = (int32_t)number;
    return number <= INT32_MAX;
}

static enum status add(struct parsing *p, const char *topic, int32_t partition, int64_t offset) {
    if (p->count == OFFSETS_COUNT_MAX) return wrong(p, "more partitions than the limit of a million");
    if (p->count == p->capacity) {
        size_t capacity = p->capacity ? p->capacity * 2 : 64;
        struct kafka_offset *items = arena_alloc_array(p->arena, capacity, sizeof *items);
        if (!items) return error_no_memory(p->e);
        if (p->count) memcpy(items, p->items, p->count * sizeof *items);
        p->items = items;
        p->capacity = capacity;
    }
    p->items[p->count++] = (struct kafka_offset){.topic = topic, .partition = partition, .offset = offset};
    return STATUS_OK;
}

static enum status read_integer(struct parsing *p, int64_t *out) {
    struct json_number number;
    int first = json_peek(&p->cursor);
    if (first != '-' && (first < '0' || first > '9')) return wrong(p, "a number is missing");
    if (!json_scan_number(&p->cursor, &number)) return wrong(p, "this is not a number");
    if (number.kind != JSON_NUMBER_INTEGER || number.inexact || number.exponent || number.mantissa > INT64_MAX) return wrong(p, "this is not a whole number in range");
    *out = number.negative ? -(int64_t)number.mantissa : (int64_t)number.mantissa;
    return STATUS_OK;
}

// Stands after `open`; reads items with `read` until `close`.
static enum status read_list(struct parsing *p, char close, const char *topic, enum status (*read)(struct parsing *p, const char *topic)) {
    if (json_peek(&p->cursor) == close) {
        p->cursor.next++;
        return STATUS_OK;
    }
    for (;;) {
        TRY(read(p, topic));
        int byte = json_peek(&p->cursor);
        if (byte != ',' && byte != close) return wrong(p, byte < 0 ? "it ends too early" : "a comma or a closing bracket is missing");
        p->cursor.next++;
        if (byte == close) return STATUS_OK;
    }
}

static enum status read_key(struct parsing *p, struct json_string *out) {
    if (json_peek(&p->cursor) != '"') return wrong(p, "a name in double quotes is missing");
    return json_scan_key(&p->cursor, out) ? STATUS_OK : wrong(p, "this is not a name with a colon");
}

static enum status read_offset(struct parsing *p, const char *topic) {
    struct json_string key;
    int32_t partition;
    int64_t offset;
    TRY(read_key(p, &key));
    if (!read_partition(key.bytes, key.size_bytes, &partition)) return wrong(p, "the number of a partition is expected as a name, such as \"0\"");
    TRY(read_integer(p, &offset));
    if (offset < KAFKA_EARLIEST) return wrong(p, "an offset below -2");
    return add(p, topic, partition, offset);
}

static enum status read_assigned(struct parsing *p, const char *topic) {
    int64_t partition;
    TRY(read_integer(p, &partition));
    if (partition < 0 || partition > INT32_MAX) return wrong(p, "the number of a partition is out of range");
    return add(p, topic, (int32_t)partition, 0);
}

static enum status read_topic(struct parsing *p, const char *unused) {
    struct json_string key;
    (void)unused;
    TRY(read_key(p, &key));
    if (!kafka_topic_is_legal(key.bytes, key.size_bytes)) return wrong(p, "the name of a topic has 1 to 249 letters, digits, dots, underscores and hyphens");
    const char *topic = arena_strndup(p->arena, key.bytes, key.size_bytes);
    if (!topic) return error_no_memory(p->e);
    char open = p->assign ? '[' : '{', close = p->assign ? ']' : '}';
    if (json_peek(&p->cursor) != open) return wrong(p, p->assign ? "a list of partitions is expected" : "an object of partitions is expected");
    p->cursor.next++;
    return read_list(p, close, topic, p->assign ? read_assigned : read_offset);
}

static int compare_offsets(const void *a, const void *b) {
    const struct kafka_offset *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

enum status kafka_offsets_parse(struct arena *a, const char *json, bool assign, const char *option_name, struct kafka_offsets *out, struct error *e) {
    struct parsing p = {.arena = a, .option_name = option_name, .assign = assign, .e = e};
    size_t size_bytes = strlen(json);
    json_cursor_init(&p.cursor, json, size_bytes, 0, 0, json_scanner_best());
    if (size_bytes > OFFSETS_BYTES_MAX) return wrong(&p, "it is longer than 8 MB");
    if (json_peek(&p.cursor) != '{') return wrong(&p, "an object of topics is expected");
    p.cursor.next++;
    TRY(read_list(&p, '}', NULL, read_topic));
    if (json_peek(&p.cursor) >= 0) return wrong(&p, "there is more after its end");
    if (p.count) qsort(p.items, p.count, sizeof *p.items, compare_offsets);
    for (size_t i = 1; i < p.count; i++) {
        if (compare_offsets(&p.items[i - 1], &p.items[i]) != 0) continue;
        return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "option `%s`: partition %d of `%s` is there twice", option_name, p.items[i].partition, p.items[i].topic);
    }
    *out = (struct kafka_offsets){.items = p.items, .count = (uint32_t)p.count};
    return STATUS_OK;
}

// --- names of partitions ---

enum status kafka_partition_name(struct arena *a, const char *topic, int32_t partition, const char **out) {
    *out = arena_printf(a, "%s-%d", topic, partition);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

// Bytes of the topic in "topic-3"; 0: it is no such name.
static size_t split_name(const char *name, int32_t *partition) {
    const char *dash = name ? strrchr(name, '-') : NULL;
    size_t size_bytes = dash ? (size_t)(dash - name) : 0;
    return dash && read_partition(dash + 1, strlen(dash + 1), partition) && kafka_topic_is_legal(name, size_bytes) ? size_bytes : 0;
}

bool kafka_partition_split(struct arena *a, const char *name, const char **topic, int32_t *partition) {
    size_t size_bytes = split_name(name, partition);
    *topic = size_bytes ? arena_strndup(a, name, size_bytes) : NULL;
    return *topic != NULL;
}

// --- offsets as Spark prints them ---

struct place {
    const char *name;
    size_t topic_bytes;
    int32_t partition;
    int64_t offset;
};

static int compare_topics(const struct place *x, const struct place *y) {
    int order = memcmp(x->name, y->name, x->topic_bytes < y->topic_bytes ? x->topic_bytes : y->topic_bytes);
    return order ? order : (x->topic_bytes > y->topic_bytes) - (x->topic_bytes < y->topic_bytes);
}

static int compare_places(const void *a, const void *b) {
    const struct place *x = a, *y = b;
    int order = compare_topics(x, y);
    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

static enum status print_places(const struct place *places, uint32_t count, struct buffer *out) {
    for (uint32_t i = 0; i < count; i++) {
        const struct place *p = &places[i];
        bool first = i == 0 || compare_topics(&places[i - 1], p) != 0;
        if (first) TRY(buffer_printf(out, "%s\"%.*s\":{", i ? "}," : "", (int)p->topic_bytes, p->name));
        TRY(buffer_printf(out, "%s\"%d\":%lld", first ? "" : ",", p->partition, (long long)p->offset));
    }
    return count ? buffer_append_byte(out, '}') : STATUS_OK;
}

enum status kafka_positions_print(const struct positions *positions, struct buffer *out) {
    size_t size_bytes = ((size_t)positions->count + 1) * sizeof(struct place);
    struct place *places = memory_alloc(out->memory, size_bytes);
    uint32_t count = 0;
    if (!places) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < positions->count; i++) {
        const struct position *from = &positions->items[i];
        struct place *p = &places[count];
        *p = (struct place){.name = from->name, .offset = from->offset};
        if (!(p->topic_bytes = split_name(from->name, &p->partition))) continue;  // nothing of ours has such a name
        count++;
    }
    qsort(places, count, sizeof *places, compare_places);
    enum status status = buffer_append_byte(out, '{');
    if (status == STATUS_OK) status = print_places(places, count, out);
    if (status == STATUS_OK) status = buffer_append_byte(out, '}');
    memory_free(out->memory, places, size_bytes);
    return status;
}

// --- the record ---

void kafka_record_print(const struct sink_record *record, char out[KAFKA_RECORD_CHARS]) {
    int n = snprintf(out, KAFKA_RECORD_CHARS, "leat1 ");
    for (int i = 0; i < 16; i++) n += snprintf(out + n, (size_t)(KAFKA_RECORD_CHARS - n), "%02x", record->pipeline[i]);
    snprintf(out + n, (size_t)(KAFKA_RECORD_CHARS - n), " %016llx %016llx %016llx", (unsigned long long)record->incarnation, (unsigned long long)record->epoch,
             (unsigned long long)record->digest);
}

static bool read_hexadecimal(const char **text, int digits, uint64_t *out) {  // stops at the end of the text: it is no digit
    *out = 0;
    for (int i = 0; i < digits; i++) {
        char c = *(*text)++;
        int value = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
        if (value < 0) return false;
        *out = *out << 4 | (uint64_t)value;
    }
    return true;
}

bool kafka_record_parse(const char *text, const uint8_t pipeline[16], struct sink_record *out) {
    uint64_t byte, numbers[3];
    if (!text || strncmp(text, "leat1 ", 6) != 0) return false;
    text += 6;
    for (int i = 0; i < 16; i++) {
        if (!read_hexadecimal(&text, 2, &byte) || byte != pipeline[i]) return false;
    }
    for (int i = 0; i < 3; i++) {
        if (*text != ' ') return false;
        text++;
        if (!read_hexadecimal(&text, 16, &numbers[i])) return false;
    }
    if (*text) return false;
    *out = (struct sink_record){.incarnation = numbers[0], .epoch = numbers[1], .digest = numbers[2]};
    memcpy(out->pipeline, pipeline, 16);
    return true;
}
