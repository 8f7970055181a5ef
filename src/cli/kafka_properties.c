// SPDX-License-Identifier: Apache-2.0
// kafka_properties.c: a client.properties file, in the format of java.util.Properties: `name=value`, `name: value` or `name value`; # and !
// begin comments; a backslash at a line's end joins the next line; \t \n \r \f \uXXXX and \<any> within a line.
#include "base/files.h"
#include "base/utf8.h"
#include "cli/kafka_command.h"
#include <stdio.h>
#include <strings.h>

enum { FILE_BYTES_MAX = 1 << 20 };

struct properties_text {
    const char *at, *end;
    uint32_t line;
    const char *path;
    struct buffer text;   // the logical line's name, NUL, value
};

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\f'; }

static void skip_line_end(struct properties_text *r) {
    if (r->at < r->end && *r->at == '\r') r->at++;
    if (r->at < r->end && *r->at == '\n') r->at++;
    r->line++;
}

static bool at_line_end(const struct properties_text *r) { return r->at == r->end || *r->at == '\n' || *r->at == '\r'; }

// To the first character of a line that says something; false: the file is over.
static bool next_line(struct properties_text *r) {
    while (r->at < r->end) {
        while (r->at < r->end && is_blank(*r->at)) r->at++;
        if (r->at < r->end && (*r->at == '#' || *r->at == '!')) {
            while (!at_line_end(r)) r->at++;
        }
        if (!at_line_end(r)) return true;
        if (r->at < r->end) skip_line_end(r);
    }
    return false;
}

static enum status bad_escape(const struct properties_text *r, struct error *e) {
    error_set(e, STATUS_INVALID_ARGUMENT, NULL, "%s:%u: \\u wants four hexadecimal digits", r->path, r->line);
    error_set_hint(e, "a backslash itself is written \\\\");
    return STATUS_INVALID_ARGUMENT;
}

// After a backslash. A joined line adds nothing.
static enum status read_escape(struct properties_text *r, struct error *e) {
    if (at_line_end(r)) {
        if (r->at < r->end) skip_line_end(r);
        while (r->at < r->end && is_blank(*r->at)) r->at++;
        return STATUS_OK;
    }
    char c = *r->at++, encoded[4];
    if (c != 'u') {
        c = c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c == 'f' ? '\f' : c;
        return buffer_append_byte(&r->text, (uint8_t)c);
    }
    uint32_t character = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        if (r->at == r->end) return bad_escape(r, e);
        int digit = *r->at >= '0' && *r->at <= '9' ? *r->at - '0' : (*r->at | 32) >= 'a' && (*r->at | 32) <= 'f' ? (*r->at | 32) - 'a' + 10 : -1;
        if (digit < 0) return bad_escape(r, e);
        character = character * 16 + (uint32_t)digit;
    }
    return buffer_append(&r->text, encoded, utf8_encode(character, encoded));
}

// A name ends at '=', ':' or a blank, a value at the end of the line.
static enum status read_part(struct properties_text *r, bool name, struct error *e) {
    while (!at_line_end(r)) {
        char c = *r->at;
        if (name && (c == '=' || c == ':' || is_blank(c))) break;
        r->at++;
        if (c == '\\') TRY(read_escape(r, e));
        else TRY(buffer_append_byte(&r->text, (uint8_t)c));
    }
    return buffer_append_byte(&r->text, 0);
}

static void skip_separator(struct properties_text *r) {
    while (r->at < r->end && is_blank(*r->at)) r->at++;
    if (r->at < r->end && (*r->at == '=' || *r->at == ':')) {
        r->at++;
        while (r->at < r->end && is_blank(*r->at)) r->at++;
    }
}

// A file is written for many programs: what is for others stays out without a word.
static bool is_for_others(const char *name) {
    static const char *const names[] = {"key.serializer", "value.serializer", "key.deserializer", "value.deserializer", "auto.offset.reset", "enable.auto.commit",
                                        "auto.commit.interval.ms", "interceptor.classes", "group.id", "transactional.id", "partition.assignment.strategy"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcasecmp(name, names[i]) == 0) return true;
    }
    return false;
}

static enum status read_lines(struct kafka_session *k, struct properties_text *r, struct error *e) {
    while (next_line(r)) {
        uint32_t line = r->line;
        buffer_clear(&r->text);
        TRY(read_part(r, true, e));
        skip_separator(r);
        size_t value_at = r->text.size_bytes;
        TRY(read_part(r, false, e));
        const char *name = (const char *)r->text.data, *value = name + value_at;
        if (strlen(name) + 1 != value_at || strlen(value) + 1 != r->text.size_bytes - value_at || !*name) {
            return error_set(e, STATUS_INVALID_ARGUMENT, NULL, "%s:%u: no `name=value`", r->path, line);
        }
        if (!is_for_others(name)) TRY(kafka_set_property(k, name, value, e));
    }
    return STATUS_OK;
}

enum status kafka_read_properties(struct kafka_session *k, const char *path, struct error *e) {
    struct buffer file;
    struct properties_text r = {.line = 1, .path = path};
    buffer_init(&file, &k->host->memory);
    buffer_init(&r.text, &k->host->memory);
    enum status status = file_read_all(path, FILE_BYTES_MAX, &file, e);
    if (status == STATUS_OK) {
        r.at = file.data ? (const char *)file.data : "";
        r.end = r.at + file.size_bytes;
        status = read_lines(k, &r, e);
        if (status == STATUS_NO_MEMORY) error_no_memory(e);
    }
    if (r.text.data) explicit_bzero(r.text.data, r.text.capacity_bytes);
    if (file.data) explicit_bzero(file.data, file.capacity_bytes);
    buffer_release(&r.text);
    buffer_release(&file);
    return status;
}
