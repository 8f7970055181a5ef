// SPDX-License-Identifier: Apache-2.0
// golden.c: see golden.h.
#include "cli/golden.h"
#include <stdio.h>

struct line_reader {
    const char *text;
    size_t size_bytes, at;
    uint32_t number;   // of the line last read
};

// The next line without its end; false at the end of the text.
static bool next_line(struct line_reader *r, const char **line, size_t *length) {
    if (r->at >= r->size_bytes) return false;
    const char *start = r->text + r->at, *end = memchr(start, '\n', r->size_bytes - r->at);
    *line = start;
    *length = end ? (size_t)(end - start) : r->size_bytes - r->at;
    r->at += *length + (end ? 1 : 0);
    r->number++;
    if (*length && start[*length - 1] == '\r') (*length)--;
    return true;
}

static bool is_blank(const char *line, size_t length) {
    for (size_t i = 0; i < length; i++) {
        if (line[i] != ' ' && line[i] != '\t') return false;
    }
    return true;
}

// Cuts the next word off a directive line; NULL at its end.
static const char *next_word(char **rest) {
    char *p = *rest;
    while (*p == ' ' || *p == '\t') p++;
    if (!*p) return NULL;
    char *word = p;
    while (*p && *p != ' ' && *p != '\t') p++;
    if (*p) *p++ = 0;
    *rest = p;
    return word;
}

static const char *rest_of(char *rest) {
    while (*rest == ' ' || *rest == '\t') rest++;
    return *rest ? rest : NULL;
}

static bool read_expect(struct golden_block *b, char *rest) {
    const char *word;
    b->kind = GOLDEN_EXPECT;
    while ((word = next_word(&rest))) {
        if (strcmp(word, "error") == 0 && b->kind == GOLDEN_EXPECT) {
            b->kind = GOLDEN_EXPECT_ERROR;
            b->condition = next_word(&rest);
            b->sqlstate = next_word(&rest);
            return true;
        }
        if (strcmp(word, "ordered") == 0) b->ordered = true;
        else if (!b->argument) b->argument = word;
        else return false;
    }
    return true;
}

static bool read_directive(struct golden_block *b, char *line) {
    static const struct { const char *word; enum golden_kind kind; bool needs_argument; } directives[] = {
        {"statement", GOLDEN_STATEMENT, false}, {"pipeline", GOLDEN_PIPELINE, true}, {"push", GOLDEN_PUSH, true}, {"clock", GOLDEN_CLOCK, true},
        {"advance", GOLDEN_ADVANCE, true},      {"query", GOLDEN_QUERY, false},      {"schema", GOLDEN_SCHEMA, false},
    };
    char *rest = line;
    const char *word = next_word(&rest);
    if (strcmp(word, "expect") == 0) return read_expect(b, rest);
    for (size_t i = 0; i < sizeof directives / sizeof directives[0]; i++) {
        if (strcmp(word, directives[i].word) != 0) continue;
        b->kind = directives[i].kind;
        b->argument = rest_of(rest);
        return (b->argument != NULL) == directives[i].needs_argument;
    }
    return false;
}

static void read_body(struct line_reader *r, struct golden_block *b) {
    const char *line;
    size_t length;
    b->body_begin = b->body_end = r->at;
    while (r->at < r->size_bytes) {
        struct line_reader before = *r;
        next_line(r, &line, &length);
        if (is_blank(line, length)) {
            *r = before;
            return;
        }
        b->body_end = r->at;
    }
}

enum status golden_parse(struct arena *a, const char *text, size_t size_bytes, struct vector *blocks, struct error *e) {
    struct line_reader r = {.text = text, .size_bytes = size_bytes};
    const char *line;
    size_t length;
    const char *differs = NULL;
    static const char mark[] = "# differs:";
    while (next_line(&r, &line, &length)) {
        if (is_blank(line, length)) continue;
        if (line[0] == '#') {
            bool marks = length > sizeof mark && memcmp(line, mark, sizeof mark - 1) == 0;
            if (marks) differs = arena_strndup(a, line + sizeof mark, length - sizeof mark);
            continue;
        }
        struct golden_block *b = vector_add(blocks);
        char *copy = arena_strndup(a, line, length);
        if (!b || !copy) return error_no_memory(e);
        b->line = r.number;
        b->differs = differs;
        differs = NULL;
        if (!read_directive(b, copy)) {
            error_set(e, STATUS_INVALID_ARGUMENT, NULL, "line %u is no directive", r.number);
            error_set_hint(e, "a block begins with pipeline, statement, push, clock, advance, query, schema or expect");
            return STATUS_INVALID_ARGUMENT;
        }
        read_body(&r, b);
        size_t body_bytes = b->body_end - b->body_begin;
        if (body_bytes && text[b->body_end - 1] == '\n') body_bytes--;
        b->body = arena_strndup(a, text + b->body_begin, body_bytes);
        if (!b->body) return error_no_memory(e);
    }
    return STATUS_OK;
}
