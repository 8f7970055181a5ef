// SPDX-License-Identifier: Apache-2.0
// kafka_print.c: one message as a line of text, JSON or CSV. Messages are strangers' bytes: on a terminal whatever could drive it is shown
// as \xNN (in JSON \u00NN); into a pipe or a file text and CSV go as they are.
#include "base/utf8.h"
#include "cli/kafka_command.h"
#include "column/datetime.h"
#include "json/json.h"
#include <stdio.h>

struct bytes {
    const char *bytes;   // NULL: NULL
    size_t size_bytes;
};

static struct bytes value_of(const rd_kafka_message_t *m) { return (struct bytes){m->payload, m->len}; }
static struct bytes key_of(const rd_kafka_message_t *m) { return (struct bytes){m->key, m->key_len}; }

static bool is_control(uint32_t character) { return character < 0x20 || (character >= 0x7f && character < 0xa0); }

// Broken UTF-8 too: a terminal in another mode may take its bytes for controls.
static enum status append_visible(struct buffer *out, const char *bytes, size_t size_bytes, bool json) {
    for (size_t i = 0, length; i < size_bytes; i += length) {
        uint32_t character = utf8_decode(bytes + i, size_bytes - i, &length);
        bool broken = !utf8_valid(bytes + i, length);
        if (!broken && (!is_control(character) || character == '\t')) TRY(buffer_append(out, bytes + i, length));
        else if (json) TRY(buffer_printf(out, "\\u%04x", character));
        else if (!broken && character < 0x80) TRY(buffer_printf(out, "\\x%02x", character));
        else {
            for (size_t k = 0; k < length; k++) TRY(buffer_printf(out, "\\x%02x", (unsigned char)bytes[i + k]));
        }
    }
    return STATUS_OK;
}

static enum status append_text(const struct kafka_printer *p, struct buffer *out, struct bytes f) {
    return p->terminal ? append_visible(out, f.bytes, f.size_bytes, false) : buffer_append(out, f.bytes, f.size_bytes);
}

static enum status print_text(const struct kafka_printer *p, const rd_kafka_message_t *m, struct buffer *out) {
    static const struct bytes null = {"NULL", 4};
    struct bytes key = key_of(m), value = value_of(m);
    if (p->key_separator) {
        TRY(append_text(p, out, key.bytes ? key : null));
        TRY(buffer_append_string(out, p->key_separator));
    }
    TRY(append_text(p, out, value.bytes ? value : null));
    return buffer_append_byte(out, '\n');
}

static enum status append_base64(struct buffer *out, struct bytes f) {
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *b = (const uint8_t *)f.bytes;
    for (size_t i = 0; i < f.size_bytes; i += 3) {
        size_t left = f.size_bytes - i;
        uint32_t bits = (uint32_t)b[i] << 16 | (left > 1 ? (uint32_t)b[i + 1] << 8 : 0) | (left > 2 ? b[i + 2] : 0u);
        char four[4] = {digits[bits >> 18], digits[bits >> 12 & 63], left > 1 ? digits[bits >> 6 & 63] : '=', left > 2 ? digits[bits & 63] : '='};
        TRY(buffer_append(out, four, 4));
    }
    return STATUS_OK;
}

// "name":"text", or for bytes that are no text "name":null,"name_base64":"…".
static enum status json_field(struct buffer *out, const char *name, struct bytes f) {
    TRY(buffer_printf(out, "\"%s\":", name));
    if (!f.bytes) return buffer_append_string(out, "null");
    if (utf8_valid(f.bytes, f.size_bytes)) return json_write_string(f.bytes, f.size_bytes, out);
    TRY(buffer_printf(out, "null,\"%s_base64\":\"", name));
    TRY(append_base64(out, f));
    return buffer_append_byte(out, '"');
}

static enum status json_headers(struct buffer *out, const rd_kafka_message_t *m) {
    rd_kafka_headers_t *headers = NULL;
    TRY(buffer_append_byte(out, '['));
    if (rd_kafka_message_headers(m, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        const char *name;
        const void *bytes;
        size_t size_bytes;
        for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &bytes, &size_bytes); i++) {
            TRY(buffer_append_string(out, i ? ",{" : "{"));
            TRY(json_field(out, "key", (struct bytes){name, strlen(name)}));
            TRY(buffer_append_byte(out, ','));
            TRY(json_field(out, "value", (struct bytes){bytes, size_bytes}));
            TRY(buffer_append_byte(out, '}'));
        }
    }
    return buffer_append_byte(out, ']');
}

// "2024-01-31T10:00:00.000Z" and Spark's timestampType: 0 made by the producer, 1 by the broker; false: the message has none.
static bool timestamp_of(const rd_kafka_message_t *m, char at[DATETIME_TEXT_MAX + 8], int *type) {
    rd_kafka_timestamp_type_t kind;
    int64_t ms = rd_kafka_message_timestamp(m, &kind), us;
    *type = kind == RD_KAFKA_TIMESTAMP_CREATE_TIME ? 0 : kind == RD_KAFKA_TIMESTAMP_LOG_APPEND_TIME ? 1 : -1;
    if (ms == -1 || *type < 0 || __builtin_mul_overflow(ms, 1000, &us)) return false;
    if (us < INT64_C(-62135596800000000) || us > INT64_C(253402300799999000)) return false;
    size_t n = print_timestamp(us, NULL, at);
    at[n] = 0;
    if (n > 10) at[10] = 'T';
    if (n == 19) {
        memcpy(at + n, ".000", 4);
        n += 4;
    }
    while (n > 19 && n < 23) at[n++] = '0';
    at[n++] = 'Z';
    at[n] = 0;
    return true;
}

static enum status print_json(const rd_kafka_message_t *m, struct buffer *out) {
    char at[DATETIME_TEXT_MAX + 8];
    int type;
    const char *topic = rd_kafka_topic_name(m->rkt);
    bool timed = timestamp_of(m, at, &type);
    TRY(buffer_append_byte(out, '{'));
    TRY(json_field(out, "key", key_of(m)));
    TRY(buffer_append_byte(out, ','));
    TRY(json_field(out, "value", value_of(m)));
    TRY(buffer_append_string(out, ",\"topic\":"));
    TRY(json_write_string(topic, strlen(topic), out));
    TRY(buffer_printf(out, ",\"partition\":%d,\"offset\":%lld,\"timestamp\":%s%s%s,\"timestampType\":%d,\"headers\":", m->partition, (long long)m->offset,
                      timed ? "\"" : "", timed ? at : "null", timed ? "\"" : "", type));
    TRY(json_headers(out, m));
    return buffer_append_string(out, "}\n");
}

// NULL is nothing, an empty text is "".
static enum status csv_field(const struct kafka_printer *p, struct buffer *out, struct bytes f) {
    if (!f.bytes) return STATUS_OK;
    bool quoted = !f.size_bytes;
    for (size_t i = 0; i < f.size_bytes && !quoted; i++) quoted = f.bytes[i] == ',' || f.bytes[i] == '"' || f.bytes[i] == '\n' || f.bytes[i] == '\r';
    if (!quoted) return append_text(p, out, f);
    TRY(buffer_append_byte(out, '"'));
    for (size_t i = 0; i < f.size_bytes;) {
        const char *quote = memchr(f.bytes + i, '"', f.size_bytes - i);
        size_t end = quote ? (size_t)(quote - f.bytes) + 1 : f.size_bytes;
        TRY(append_text(p, out, (struct bytes){f.bytes + i, end - i}));
        if (quote) TRY(buffer_append_byte(out, '"'));
        i = end;
    }
    return buffer_append_byte(out, '"');
}

static enum status print_csv(struct kafka_printer *p, const rd_kafka_message_t *m, struct buffer *out) {
    char at[DATETIME_TEXT_MAX + 8];
    int type;
    bool timed = timestamp_of(m, at, &type);
    TRY(csv_field(p, out, key_of(m)));
    TRY(buffer_append_byte(out, ','));
    TRY(csv_field(p, out, value_of(m)));
    TRY(buffer_printf(out, ",%s,%d,%lld,%s,%d,", rd_kafka_topic_name(m->rkt), m->partition, (long long)m->offset, timed ? at : "", type));
    buffer_clear(&p->scratch);
    TRY(json_headers(&p->scratch, m));
    TRY(csv_field(p, out, (struct bytes){(const char *)p->scratch.data, p->scratch.size_bytes}));
    return buffer_append_byte(out, '\n');
}

enum status kafka_print_header(const struct kafka_printer *p, struct buffer *out) {
    return p->format == KAFKA_CSV ? buffer_append_string(out, "key,value,topic,partition,offset,timestamp,timestampType,headers\n") : STATUS_OK;
}

enum status kafka_print_message(struct kafka_printer *p, const rd_kafka_message_t *m, struct buffer *out) {
    if (p->format == KAFKA_TEXT) return print_text(p, m, out);
    if (p->format == KAFKA_CSV) return print_csv(p, m, out);
    if (!p->terminal) return print_json(m, out);
    buffer_clear(&p->scratch);
    TRY(print_json(m, &p->scratch));
    TRY(append_visible(out, (const char *)p->scratch.data, p->scratch.size_bytes - 1, true));  // its escapes leave C1 controls
    return buffer_append_byte(out, '\n');
}
