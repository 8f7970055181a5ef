// SPDX-License-Identifier: Apache-2.0
// substitute.c: ${name} in SQL text. A small reader of its own: it knows comments and quotes, so that -- within a string begins no
// comment and a ${name} within a comment is none.
#include "sql/substitute.h"
#include "plan/secret.h"

enum { MOST_DEPTH = 40, MOST_BYTES = 64 << 20, MOST_REPLACED = 100000 };

struct substituting {
    struct arena *arena;
    const struct substitution *with;
    struct diagnostics *diagnostics;
    const char *text;   // the whole of it
    size_t size_bytes;
    struct buffer out;
    uint32_t replaced;  // so far
    size_t errors;      // before the variable of the text that is being replaced
    bool failed;
};

// Is the place within an option's secret? It may be a password that happens to have ${ in it.
static bool is_secret(const struct substituting *s, struct span span) {
    const char *shown = secrets_hidden(s->arena, s->text, s->size_bytes, span.begin, span.end);
    return !shown || memcmp(shown, s->text + span.begin, strlen(shown)) != 0;
}

static enum status report(struct substituting *s, struct span span, const char *condition, const char *message, const char *name, const char *hint) {
    struct error e;
    bool secret = is_secret(s, span);
    (void)error_set(&e, STATUS_INVALID_QUERY, condition, "%s `%.100s`", message, secret ? "…" : name);
    e.span = span;
    if (hint && !secret) error_set_hint(&e, "%s", hint);
    s->failed = true;
    return diagnostics_add(s->diagnostics, SEVERITY_ERROR, &e);
}

static bool begins(const char *s, const char *end, const char *word) {
    size_t size = strlen(word);
    return (size_t)(end - s) >= size && memcmp(s, word, size) == 0;
}

static enum status expand(struct substituting *s, const char *text, size_t size, uint32_t depth, struct span outer);

static enum status report_unknown(struct substituting *s, struct span span, const char *name) {
    const char *near = s->with->names ? suggest(name, s->with->names, s->with->name_count) : NULL;
    const char *hint = near ? arena_printf(s->arena, "did you mean `%s`?", near)
                            : arena_printf(s->arena, "give it with SET %s = … or --set %s=…", name, name);
    return report(s, span, "LEAT_INVALID_VARIABLE", "there is no variable", name, hint);
}

// One ${name}, [begin, end) with its braces.
static enum status replace(struct substituting *s, const char *begin, const char *end, uint32_t depth, struct span span) {
    const char *name_begin = begin + 2, *name_end = end - 1;
    while (name_begin < name_end && (*name_begin == ' ' || *name_begin == '\t')) name_begin++;
    while (name_begin < name_end && (name_end[-1] == ' ' || name_end[-1] == '\t')) name_end--;
    if (begins(begin, end, "${env:") || begins(begin, end, "${file:")) return buffer_append(&s->out, begin, (size_t)(end - begin));
    char *name = arena_strndup(s->arena, name_begin, (size_t)(name_end - name_begin));
    if (!name) return STATUS_NO_MEMORY;
    if (!*name) return report(s, span, "LEAT_INVALID_VARIABLE", "a variable needs a name:", "${}", NULL);
    if (strchr(name, ':')) return report(s, span, "LEAT_INVALID_VARIABLE", "unknown prefix in", name, "the prefixes are env: and file:, both in option values only");
    const char *value = s->with->find ? s->with->find(s->with->context, name) : NULL;
    if (!value) return report_unknown(s, span, name);
    if (strpbrk(value, "\n\r")) return report(s, span, "LEAT_INVALID_VARIABLE", "a line break in the value of", name, NULL);
    if (depth >= MOST_DEPTH) return report(s, span, "LEAT_LIMIT_EXCEEDED", "variables name one another without end in", name, NULL);
    if (++s->replaced > MOST_REPLACED || s->out.size_bytes + strlen(value) > MOST_BYTES)
        return report(s, span, "LEAT_LIMIT_EXCEEDED", "the text grows too large with", name, NULL);
    return expand(s, value, strlen(value), depth + 1, span);
}

// The end of the comment that begins at c, or NULL if none does.
static const char *comment_end(const char *c, const char *end) {
    if (begins(c, end, "--")) {
        const char *newline = memchr(c, '\n', (size_t)(end - c));
        while (newline && newline > c && newline[-1] == '\\') newline = newline + 1 < end ? memchr(newline + 1, '\n', (size_t)(end - newline - 1)) : NULL;
        return newline ? newline : end;
    }
    if (!begins(c, end, "/*")) return NULL;
    uint32_t depth = 0;
    while (c < end) {
        if (begins(c, end, "/*")) depth++, c += 2;
        else if (begins(c, end, "*/")) depth--, c += 2;
        else c++;
        if (depth == 0) return c;
    }
    return end;
}

// Appends `text` with its variables replaced. depth 0: it is the text itself, and places are its own; else a value, and places are `outer`.
static enum status expand(struct substituting *s, const char *text, size_t size, uint32_t depth, struct span outer) {
    const char *end = text + size, *copied = text, *c = text;
    char quote = 0;
    while (c < end && !(depth > 0 && s->diagnostics->error_count > s->errors)) {
        const char *after = quote || depth ? NULL : comment_end(c, end);
        if (after) {
            c = after;
        } else if (quote && *c == '\\' && quote != '`' && c + 1 < end && c[1] != '$') {
            c += 2;
        } else if (begins(c, end, "${")) {
            const char *close = memchr(c, '}', (size_t)(end - c) < 1000 ? (size_t)(end - c) : 1000);
            if (!close) {
                c += 2;
                continue;
            }
            struct span span = depth ? outer : (struct span){(uint32_t)(c - text), (uint32_t)(close + 1 - text)};
            TRY(buffer_append(&s->out, copied, (size_t)(c - copied)));
            if (depth == 0) s->errors = s->diagnostics->error_count;
            TRY(replace(s, c, close + 1, depth, span));
            c = copied = close + 1;
        } else {
            if (quote ? *c == quote : *c == '\'' || *c == '"' || *c == '`') quote = quote ? 0 : *c;
            c++;
        }
    }
    return buffer_append(&s->out, copied, (size_t)(end - copied));
}

enum status sql_substitute(struct arena *a, const char *text, size_t size_bytes, const struct substitution *with, struct diagnostics *d,
                           const char **out, size_t *out_bytes) {
    *out = text;
    *out_bytes = size_bytes;
    if (!memmem(text, size_bytes, "${", 2)) return STATUS_OK;
    struct substituting s = {.arena = a, .with = with, .diagnostics = d, .text = text, .size_bytes = size_bytes};
    buffer_init(&s.out, a->memory);
    enum status status = expand(&s, text, size_bytes, 0, (struct span){0, 0});
    if (status == STATUS_OK && s.failed) status = STATUS_INVALID_QUERY;
    if (status == STATUS_OK) {
        *out = arena_strndup(a, (const char *)s.out.data, s.out.size_bytes);
        *out_bytes = s.out.size_bytes;
        if (!*out) status = STATUS_NO_MEMORY;
    }
    buffer_release(&s.out);
    return status;
}
