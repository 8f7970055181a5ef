// SPDX-License-Identifier: Apache-2.0
// log.c: one line, one write(2). A line that does not fit its buffer is cut: logging never allocates and never fails.
#include "base/log.h"
#include "base/clock.h"
#include "base/utf8.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, MESSAGE_BYTES = 2048 };

struct line {
    char text[LINE_BYTES];
    size_t size_bytes;  // leaves room for the newline
};

static void put_bytes(struct line *line, const char *bytes, size_t size_bytes) {
    size_t room = LINE_BYTES - 2 - line->size_bytes;
    if (size_bytes > room) size_bytes = room;
    memcpy(line->text + line->size_bytes, bytes, size_bytes);
    line->size_bytes += size_bytes;
}

static void put(struct line *line, const char *text) { put_bytes(line, text, strlen(text)); }

// A JSON string. Control bytes and broken UTF-8 must not leave the line.
static void put_quoted(struct line *line, const char *text) {
    size_t size_bytes = strlen(text);
    put(line, "\"");
    for (size_t i = 0; i < size_bytes;) {
        size_t length = 1;
        uint32_t character = utf8_decode(text + i, size_bytes - i, &length);
        char escaped[8];
        if (character == '"' || character == '\\') {
            put_bytes(line, (char[]){'\\', (char)character}, 2);
        } else if (character < 0x20) {
            snprintf(escaped, sizeof escaped, "\\u%04x", (unsigned)character);
            put(line, escaped);
        } else if (line->size_bytes + 8 < LINE_BYTES) {
            char encoded[4];
            put_bytes(line, encoded, utf8_encode(character, encoded));
        }
        i += length;
    }
    put(line, "\"");
}

// Control bytes in text lines could drive the terminal: they are shown as "?".
static void put_plain(struct line *line, const char *text) {
    for (; *text; text++) {
        bool control = ((uint8_t)*text < 0x20 && *text != '\t') || *text == 0x7f;
        put_bytes(line, control ? "?" : text, 1);
    }
}

static void put_field(struct line *line, const char *name, const char *value) {
    if (!*value) return;
    put(line, ",\"");
    put(line, name);
    put(line, "\":");
    put_quoted(line, value);
}

static void begin_json(struct line *line, enum log_level level, const char *message) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    int64_t now = clock_now_us(NULL);
    time_t seconds = (time_t)(now / 1000000);
    struct tm parts;
    char stamp[40] = "", whole[48];
    if (gmtime_r(&seconds, &parts)) strftime(stamp, sizeof stamp, "%Y-%m-%dT%H:%M:%S", &parts);
    snprintf(whole, sizeof whole, "%s.%03dZ", stamp, (int)(now / 1000 % 1000));
    put(line, "{\"time\":");
    put_quoted(line, whole);
    put_field(line, "level", names[level]);
    put_field(line, "message", message);
}

static void begin_text(const struct log *log, struct line *line, enum log_level level) {
    static const char *const colours[] = {"\033[1;31m", "\033[1;33m", "", "\033[2m"};
    static const char *const words[] = {"error", "warning", "", "debug"};
    if (log->line_open) put(line, "\r\033[K");
    if (!*words[level]) return;
    if (log->colour) put(line, colours[level]);
    put(line, words[level]);
    if (log->colour) put(line, "\033[0m");
}

static void end_line(struct log *log, struct line *line) {
    line->text[line->size_bytes++] = '\n';
    ssize_t written = write(log->fd, line->text, line->size_bytes);
    (void)written;  // there is nobody left to tell
}

void log_write(struct log *log, enum log_level level, const char *format, ...) {
    if (!log || level > log->level) return;
    char message[MESSAGE_BYTES];
    va_list arguments;
    va_start(arguments, format);
    if (vsnprintf(message, sizeof message, format, arguments) < 0) message[0] = '\0';
    va_end(arguments);
    struct line line = {.size_bytes = 0};
    if (log->json) {
        begin_json(&line, level, message);
        put(&line, "}");
    } else {
        begin_text(log, &line, level);
        if (level != LOG_INFO) put(&line, ": ");
        put_plain(&line, message);
    }
    end_line(log, &line);
}

void log_error(struct log *log, enum log_level level, const struct error *e) {
    if (!log || level > log->level) return;
    struct line line = {.size_bytes = 0};
    if (log->json) {
        begin_json(&line, level, e->message);
        put_field(&line, "status", status_name(e->status));
        put_field(&line, "condition", e->condition);
        put_field(&line, "sqlstate", e->sqlstate);
        put_field(&line, "hint", e->hint);
        put(&line, "}");
    } else {
        begin_text(log, &line, level);
        if (*e->condition) {
            put(&line, "[");
            put_plain(&line, e->condition);
            put(&line, "]");
        }
        if (level != LOG_INFO || *e->condition) put(&line, ": ");
        put_plain(&line, e->message);
        if (*e->sqlstate) {
            put(&line, " (SQLSTATE ");
            put_plain(&line, e->sqlstate);
            put(&line, ")");
        }
        if (*e->hint) {
            put(&line, "\n  = help: ");
            put_plain(&line, e->hint);
        }
    }
    end_line(log, &line);
}
