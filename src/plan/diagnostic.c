// SPDX-License-Identifier: Apache-2.0
// diagnostic.c: collecting errors, and drawing one with the piece of text it is about.
//
//     error[CONDITION]: message (SQLSTATE 42703)
//       --> users.sql:12:8
//     12 | SELECT natoinality, count(*) FROM users
//        |        ^^^^^^^^^^^ label
//        = help: hint
//
// A place of several lines shows the first and the last of them. Columns are counted in characters; carets stand under what the
// terminal shows: tabs are drawn as blanks, wide characters take two columns, control characters are never passed on. What is secret (secret.h)
// is drawn as `…`.
#include "plan/diagnostic.h"
#include "base/utf8.h"
#include "plan/secret.h"

enum { KEPT_ERRORS = 100, SHOWN_COLUMNS = 120, COLUMNS_BEFORE = 48, TAB_COLUMNS = 4 };

void diagnostics_init(struct diagnostics *d, struct memory *memory, const struct source_text *source) {
    *d = (struct diagnostics){.source = source};
    vector_init(&d->items, memory, sizeof(struct diagnostic));
}

void diagnostics_release(struct diagnostics *d) { vector_release(&d->items); }

enum status diagnostics_add(struct diagnostics *d, enum severity severity, const struct error *e) {
    d->error_count += severity == SEVERITY_ERROR;
    d->warning_count += severity == SEVERITY_WARNING;
    if (d->items.count >= KEPT_ERRORS) return STATUS_OK;
    struct diagnostic *item = vector_add(&d->items);
    if (!item) return STATUS_NO_MEMORY;
    item->severity = severity;
    item->error = *e;
    return STATUS_OK;
}

// One line of the text.
struct line {
    const char *begin;
    const char *end;      // without the line break
    uint32_t number;      // from 1
};

static struct line line_at(const struct source_text *source, size_t offset) {
    struct line line = {.begin = source->text, .number = 1};
    const char *stop = source->text + offset;
    for (const char *s = source->text; (s = memchr(s, '\n', (size_t)(stop - s))) != NULL;) {
        line.begin = ++s;
        line.number++;
    }
    const char *newline = memchr(stop, '\n', source->size_bytes - offset);
    line.end = newline ? newline : source->text + source->size_bytes;
    if (line.end > line.begin && line.end[-1] == '\r') line.end--;
    return line;
}

struct drawing {
    struct buffer *out;
    bool colour;
    int gutter;           // columns of the largest line number
    const char *mark;     // escape of the severity's colour
};

static const char *const blue = "\x1b[1;34m", *const plain = "\x1b[0m", *const bold = "\x1b[1m";

static enum status put(struct drawing *d, const char *escape, const char *text) {
    if (d->colour && escape) TRY(buffer_append_string(d->out, escape));
    TRY(buffer_append_string(d->out, text));
    return d->colour && escape ? buffer_append_string(d->out, plain) : STATUS_OK;
}

// Text of a message: control characters become blanks.
static enum status put_clean(struct drawing *d, const char *text) {
    for (const char *s = text; *s; s++) TRY(buffer_append_byte(d->out, (unsigned char)*s < ' ' || *s == 0x7F ? ' ' : (uint8_t)*s));
    return STATUS_OK;
}

// Columns the character at s takes, at column `column` of the line; *length: its bytes.
static size_t character_columns(const char *s, const char *end, size_t *length) {
    (void)utf8_decode(s, (size_t)(end - s), length);
    if (*s == '\t') return TAB_COLUMNS;
    if (*s == SECRET_REST) return 0;
    if ((unsigned char)*s < ' ' || *s == 0x7F) return 1;
    if (*length == 1 && (unsigned char)*s >= 0x80) return 1;  // a broken byte, drawn as U+FFFD
    return utf8_width(s, *length);
}

static enum status put_character(struct buffer *out, const char *s, size_t length) {
    if (*s == '\t') return buffer_append_string(out, "    ");
    if (*s == SECRET_FIRST) return buffer_append_string(out, "…");
    if (*s == SECRET_REST) return STATUS_OK;
    if ((unsigned char)*s < ' ' || *s == 0x7F) return buffer_append_byte(out, ' ');
    if (length == 1 && (unsigned char)*s >= 0x80) return buffer_append_string(out, "\xEF\xBF\xBD");
    if (length == 2 && (unsigned char)s[0] == 0xC2 && (unsigned char)s[1] < 0xA0) return buffer_append_byte(out, ' ');  // C1 controls
    return buffer_append(out, s, length);
}

static size_t columns_between(const char *s, const char *end) {
    size_t columns = 0, length;
    for (; s < end; s += length) columns += character_columns(s, end, &length);
    return columns;
}

static enum status put_repeated(struct buffer *out, char c, size_t count) {
    while (count-- > 0) TRY(buffer_append_byte(out, (uint8_t)c));
    return STATUS_OK;
}

static enum status put_gutter(struct drawing *d, uint32_t line_number) {
    char text[32];
    if (line_number) snprintf(text, sizeof text, "%*u | ", d->gutter, line_number);
    else snprintf(text, sizeof text, "%*s | ", d->gutter, "");
    return put(d, blue, text);
}

// The line, cut around its marked part if it is long, and the carets under [mark_begin, mark_end).
static enum status draw_line(struct drawing *d, const struct line *line, const char *mark_begin, const char *mark_end, const char *label) {
    size_t before = columns_between(line->begin, mark_begin), length, column = 0, shown = 0;
    const char *s = line->begin, *first;
    TRY(put_gutter(d, line->number));
    bool is_long = columns_between(line->begin, line->end) > SHOWN_COLUMNS;
    if (is_long && before > COLUMNS_BEFORE) {
        for (; s < mark_begin && column + COLUMNS_BEFORE < before; s += length) column += character_columns(s, line->end, &length);
        TRY(buffer_append_string(d->out, "…"));
        shown = 1;
    }
    size_t indent = shown + before - column;
    for (first = s; s < line->end && (!is_long || shown < SHOWN_COLUMNS); s += length) {
        shown += character_columns(s, line->end, &length);
        TRY(put_character(d->out, s, length));
    }
    if (s < line->end) TRY(buffer_append_string(d->out, "…"));
    const char *marked_end = mark_end < s ? mark_end : s;
    size_t carets = marked_end > mark_begin && mark_begin >= first ? columns_between(mark_begin, marked_end) : 1;
    TRY(buffer_append_byte(d->out, '\n'));
    TRY(put_gutter(d, 0));
    TRY(put_repeated(d->out, ' ', indent));
    if (d->colour) TRY(buffer_append_string(d->out, d->mark));
    TRY(put_repeated(d->out, '^', carets ? carets : 1));
    if (*label) {
        TRY(buffer_append_byte(d->out, ' '));
        TRY(put_clean(d, label));
    }
    if (d->colour) TRY(buffer_append_string(d->out, plain));
    return buffer_append_byte(d->out, '\n');
}

static int digits_of(uint32_t number) {
    int digits = 1;
    while (number /= 10) digits++;
    return digits;
}

static enum status put_place(struct drawing *d, const struct source_text *source, const struct line *line, const char *at) {
    char text[64] = "";
    snprintf(text, sizeof text, "%*s--> ", d->gutter, "");
    TRY(put(d, blue, text));
    TRY(put_clean(d, source->name ? source->name : "<query>"));
    if (line) {
        snprintf(text, sizeof text, ":%u:%zu", line->number, utf8_length(line->begin, (size_t)(at - line->begin)) + 1);
        TRY(buffer_append_string(d->out, text));
    }
    return buffer_append_byte(d->out, '\n');
}

static enum status draw_source(struct drawing *d, const struct source_text *source, const struct error *e) {
    struct span span = e->span;
    if (!span_known(span) || span.begin > source->size_bytes) return put_place(d, source, NULL, NULL);
    if (span.end > source->size_bytes) span.end = (uint32_t)source->size_bytes;
    const char *begin = source->text + span.begin, *end = source->text + span.end;
    while (end > begin + 1 && (end[-1] == '\n' || end[-1] == '\r')) end--;
    struct line first = line_at(source, span.begin), last = line_at(source, (size_t)(end - source->text) - (end > begin));
    d->gutter = digits_of(last.number);
    TRY(put_place(d, source, &first, begin));
    if (first.number == last.number) return draw_line(d, &first, begin, end, e->label);
    TRY(draw_line(d, &first, begin, first.end, ""));
    if (last.number > first.number + 1) TRY(put(d, blue, "...\n"));
    const char *text = last.begin;
    while (text + 1 < end && (*text == ' ' || *text == '\t')) text++;
    return draw_line(d, &last, text, end, e->label);
}

static enum status draw_without_secrets(struct drawing *d, const struct source_text *source, const struct error *e) {
    struct memory *memory = d->out->memory;
    char *text = memory_alloc(memory, source->size_bytes + 1);
    if (!text) return STATUS_NO_MEMORY;
    memcpy(text, source->text, source->size_bytes);
    text[source->size_bytes] = 0;
    secrets_mark(text, source->size_bytes);
    const struct source_text shown = {.name = source->name, .text = text, .size_bytes = source->size_bytes};
    enum status status = draw_source(d, &shown, e);
    memory_free(memory, text, source->size_bytes + 1);
    return status;
}

static enum status put_note(struct drawing *d, const char *word, const char *text) {
    char head[64];
    if (!*text) return STATUS_OK;
    snprintf(head, sizeof head, "%*s = ", d->gutter, "");
    TRY(put(d, blue, head));
    TRY(put(d, bold, word));
    TRY(put_clean(d, text));
    return buffer_append_byte(d->out, '\n');
}

enum status diagnostic_print(const struct diagnostic *g, const struct source_text *source, bool colour, struct buffer *out) {
    static const char *const words[] = {"error", "warning", "note"};
    static const char *const marks[] = {"\x1b[1;31m", "\x1b[1;33m", "\x1b[1;36m"};
    const struct error *e = &g->error;
    struct drawing d = {.out = out, .colour = colour, .gutter = 1, .mark = marks[g->severity]};
    char head[160];
    if (e->condition[0]) snprintf(head, sizeof head, "%s[%s]", words[g->severity], e->condition);
    else snprintf(head, sizeof head, "%s", words[g->severity]);
    TRY(put(&d, d.mark, head));
    TRY(buffer_append_string(out, ": "));
    TRY(put_clean(&d, e->message));
    if (e->sqlstate[0]) TRY(buffer_printf(out, " (SQLSTATE %s)", e->sqlstate));
    TRY(buffer_append_byte(out, '\n'));
    if (source) TRY(draw_without_secrets(&d, source, e));
    TRY(put_note(&d, "value: ", e->value));
    return put_note(&d, "help: ", e->hint);
}

static inline char fold(char c) { return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c; }

enum { LONGEST_NAME = 64 };

// Edit distance where a swap of neighbours counts one (optimal string alignment).
static size_t edit_distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    uint8_t rows[3][LONGEST_NAME + 1];
    for (size_t j = 0; j <= b_size; j++) rows[0][j] = (uint8_t)j;
    for (size_t i = 1; i <= a_size; i++) {
        uint8_t *row = rows[i % 3];
        const uint8_t *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (uint8_t)i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = fold(a[i - 1]) == fold(b[j - 1]);
            unsigned best = above[j - 1] + (same ? 0u : 1u);
            if (above[j] + 1u < best) best = above[j] + 1u;
            if (row[j - 1] + 1u < best) best = row[j - 1] + 1u;
            bool swapped = i > 1 && j > 1 && fold(a[i - 1]) == fold(b[j - 2]) && fold(a[i - 2]) == fold(b[j - 1]);
            if (swapped && two_above[j - 2] + 1u < best) best = two_above[j - 2] + 1u;
            row[j] = (uint8_t)best;
        }
    }
    return rows[a_size % 3][b_size];
}

// How much of the two is the same at both ends: a letter left out or doubled keeps more of it than one mistaken for another.
static size_t shared_ends(const char *a, size_t a_size, const char *b, size_t b_size) {
    size_t prefix = 0, suffix = 0, most = a_size < b_size ? a_size : b_size;
    while (prefix < most && fold(a[prefix]) == fold(b[prefix])) prefix++;
    while (prefix + suffix < most && fold(a[a_size - 1 - suffix]) == fold(b[b_size - 1 - suffix])) suffix++;
    return prefix + suffix;
}

const char *suggest(const char *name, const char *const *candidates, size_t count) {
    size_t size = strlen(name);
    if (size == 0 || size > LONGEST_NAME) return NULL;
    size_t limit = size < 2 ? 0 : size <= 4 ? 1 : size <= 8 ? 2 : 3;
    const char *best = NULL;
    size_t best_ends = 0;
    for (size_t i = 0; i < count; i++) {
        size_t candidate_size = strlen(candidates[i]);
        if (candidate_size > LONGEST_NAME || candidate_size > size + limit || size > candidate_size + limit) continue;
        size_t distance = edit_distance(name, size, candidates[i], candidate_size);
        if (distance > limit) continue;
        if (distance == 0) return candidates[i];
        size_t ends = shared_ends(name, size, candidates[i], candidate_size);
        if (best && distance == limit && ends <= best_ends) continue;
        limit = distance;
        best_ends = ends;
        best = candidates[i];
    }
    return best;
}
