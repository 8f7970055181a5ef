// SPDX-License-Identifier: Apache-2.0
// common.c: see cli.h.
#include "cli/session.h"
#include "base/files.h"
#include "sql/substitute.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

enum { SQL_FILE_LIMIT = 16 << 20 };

bool is_help(const char *arg) { return strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0; }

void print_help(const struct command *c) { printf("leat %s\n  %s\n\n%s", c->usage, c->summary, c->help); }

int usage_error(const struct command *c, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "leat %s: ", c->name);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\nusage: leat %s\n`leat %s --help` says more\n", c->usage, c->name);
    return EXIT_USAGE;
}

bool settings_add(struct settings *s, const char *text) {
    const char *equals = strchr(text, '=');
    if (!equals || equals == text || s->count == sizeof s->items / sizeof s->items[0]) return false;
    *(char *)(uintptr_t)equals = 0;  // argv may be cut
    s->items[s->count++] = (struct setting){.key = text, .value = equals + 1};
    return true;
}

const char *flag_value(int argc, char **argv, int *i, const char *name, bool *missing) {
    size_t n = strlen(name);
    if (strncmp(argv[*i], name, n) != 0) return NULL;
    if (argv[*i][n] == '=') return argv[*i] + n + 1;
    if (argv[*i][n]) return NULL;
    if (*i + 1 >= argc) {
        *missing = true;
        return NULL;
    }
    return argv[++*i];
}

static const char *lookup_setting(void *context, const char *name) {
    const struct settings *s = context;
    for (uint32_t i = s->count; i-- > 0;) {
        if (strcasecmp(s->items[i].key, name) == 0) return s->items[i].value;
    }
    return NULL;
}

static enum status read_text(struct host *h, const char *path, struct buffer *out, struct error *e) {
    if (strcmp(path, "-") != 0) {
        enum status status = file_read_all(path, SQL_FILE_LIMIT, out, e);
        if (status == STATUS_NOT_FOUND) error_set_hint(e, "give the path of a .sql file");
        return status;
    }
    (void)h;
    char part[65536];
    ssize_t n;
    while ((n = read(STDIN_FILENO, part, sizeof part)) > 0) {
        if (buffer_append(out, part, (size_t)n) != STATUS_OK) return error_no_memory(e);
        if (out->size_bytes > SQL_FILE_LIMIT) return error_set(e, STATUS_LIMIT, "LEAT_FILE_TOO_BIG", "standard input is larger than 16 MiB");
    }
    return STATUS_OK;
}

static const char *folder_of(struct arena *a, const char *path) {
    const char *slash = strrchr(path, '/');
    if (strcmp(path, "-") == 0 || !slash) return ".";
    return slash == path ? "/" : arena_strndup(a, path, (size_t)(slash - path));
}

// The end of a string, quoted name or comment that begins at p; p itself if none does.
static const char *skip_quoted(const char *p, const char *end) {
    if (*p == '-' && p + 1 < end && p[1] == '-') {
        const char *line = memchr(p, '\n', (size_t)(end - p));
        return line ? line : end;
    }
    if (*p == '/' && p + 1 < end && p[1] == '*') {
        const char *close = memmem(p + 2, (size_t)(end - p - 2), "*/", 2);
        return close ? close + 2 : end;
    }
    if (*p != '\'' && *p != '"' && *p != '`') return p;
    char quote = *p++;
    while (p < end && *p != quote) p += *p == '\\' && quote != '`' && p + 1 < end ? 2 : 1;
    return p < end ? p + 1 : end;
}

static struct piece_of_text {
    const char *begin, *end;
} trim(const char *begin, const char *end) {
    while (begin < end && (unsigned char)*begin <= ' ') begin++;
    while (end > begin && (unsigned char)end[-1] <= ' ') end--;
    return (struct piece_of_text){begin, end};
}

// One statement: is it SET name = value? Then it joins the variables; one pair of quotes around the value is taken off.
static enum status collect_set(struct arena *a, const char *begin, const char *end, struct settings *out) {
    struct piece_of_text s = trim(begin, end);
    while (s.begin < s.end && skip_quoted(s.begin, s.end) != s.begin && (*s.begin == '-' || *s.begin == '/')) s = trim(skip_quoted(s.begin, s.end), s.end);
    if (s.end - s.begin < 5 || strncasecmp(s.begin, "SET", 3) != 0 || (unsigned char)s.begin[3] > ' ') return STATUS_OK;
    const char *equals = memchr(s.begin, '=', (size_t)(s.end - s.begin));
    if (!equals || out->count == sizeof out->items / sizeof out->items[0]) return STATUS_OK;
    struct piece_of_text key = trim(s.begin + 4, equals), value = trim(equals + 1, s.end);
    bool quoted = value.end - value.begin >= 2 && (*value.begin == '\'' || *value.begin == '"') && value.end[-1] == *value.begin;
    if (quoted) value.begin++, value.end--;
    struct setting *item = &out->items[out->count++];
    item->key = arena_strndup(a, key.begin, (size_t)(key.end - key.begin));
    item->value = arena_strndup(a, value.begin, (size_t)(value.end - value.begin));
    return item->key && item->value ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status settings_collect(struct arena *a, const char *text, size_t size_bytes, struct settings *out) {
    const char *begin = text, *end = text + size_bytes;
    for (const char *p = text; p < end;) {
        const char *past = skip_quoted(p, end);
        if (past != p) {
            p = past;
            continue;
        }
        if (*p++ != ';') continue;
        TRY(collect_set(a, begin, p - 1, out));
        begin = p;
    }
    return collect_set(a, begin, end, out);
}

static enum status substitute(struct arena *a, const char *text, size_t size_bytes, const struct settings *given, struct diagnostics *d, const char **out,
                              size_t *out_bytes) {
    struct settings all = {.count = 0};
    TRY(settings_collect(a, text, size_bytes, &all));
    for (uint32_t i = 0; i < given->count && all.count < sizeof all.items / sizeof all.items[0]; i++) all.items[all.count++] = given->items[i];
    const char **names = arena_alloc_array(a, all.count + 1, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < all.count; i++) names[i] = all.items[i].key;
    struct substitution with = {.context = &all, .find = lookup_setting, .names = names, .name_count = all.count};
    return sql_substitute(a, text, size_bytes, &with, d, out, out_bytes);
}

enum status sql_text_prepare(struct host *h, struct arena *a, const char *text, const char *name, const struct settings *given, struct sql_file *out,
                             struct diagnostics *d, struct error *e) {
    struct source_text *source = arena_alloc_zeroed(a, sizeof *source);
    (void)h;
    *out = (struct sql_file){.path = name, .base_folder = "."};
    if (!source) return error_no_memory(e);
    *source = (struct source_text){.name = name, .text = text, .size_bytes = strlen(text)};
    d->source = source;
    enum status status = substitute(a, text, source->size_bytes, given, d, &out->text, &out->size_bytes);
    if (status != STATUS_OK) return error_set(e, status, NULL, "the text's ${…} cannot be filled in");
    *source = (struct source_text){.name = name, .text = out->text, .size_bytes = out->size_bytes};
    return STATUS_OK;
}

// A name that --set gives and the file does not use is most likely misspelt.
static void warn_unused(struct host *h, const char *text, const struct settings *given) {
    char wanted[256];
    for (uint32_t i = 0; i < given->count; i++) {
        const char *key = given->items[i].key;
        bool setting = strncasecmp(key, "leat.", 5) == 0 || strncasecmp(key, "spark.", 6) == 0;
        snprintf(wanted, sizeof wanted, "${%s}", key);
        if (!setting && strlen(key) < 200 && !strstr(text, wanted)) log_write(&h->log, LOG_WARN, "--set %s: the file has no %s", key, wanted);
    }
}

enum status sql_file_read(struct host *h, struct arena *a, const char *path, const struct settings *given, struct sql_file *out, struct diagnostics *d,
                          struct error *e) {
    struct buffer raw;
    buffer_init(&raw, &h->memory);
    out->path = path;
    out->base_folder = folder_of(a, path);
    enum status status = read_text(h, path, &raw, e);
    if (status == STATUS_OK) {
        const char *text = NULL;
        struct source_text *source = arena_alloc_zeroed(a, sizeof *source);
        char *copy = arena_strndup(a, raw.data ? (char *)raw.data : "", raw.size_bytes);
        if (!source || !copy || !out->base_folder) status = error_no_memory(e);
        if (status == STATUS_OK) {
            *source = (struct source_text){.name = strcmp(path, "-") == 0 ? "<stdin>" : path, .text = copy, .size_bytes = raw.size_bytes};
            d->source = source;
            warn_unused(h, copy, given);
            status = substitute(a, copy, raw.size_bytes, given, d, &text, &out->size_bytes);
            out->text = text;
            if (status == STATUS_OK) *source = (struct source_text){.name = source->name, .text = text, .size_bytes = out->size_bytes};
            else error_set(e, status, NULL, "the text's ${…} cannot be filled in");
        }
    }
    buffer_release(&raw);
    return status;
}

static int compare_places(const void *a, const void *b) {
    const struct diagnostic *x = *(const struct diagnostic *const *)a, *y = *(const struct diagnostic *const *)b;
    if (x->error.span.begin != y->error.span.begin) return x->error.span.begin < y->error.span.begin ? -1 : 1;
    return (x > y) - (x < y);  // as they were met
}

void print_diagnostics(struct host *h, const struct diagnostics *d) {
    for (size_t i = 0; h->log.json && i < d->items.count; i++) {
        const struct diagnostic *g = vector_at(&d->items, i);
        log_error(&h->log, g->severity == SEVERITY_ERROR ? LOG_ERROR : LOG_WARN, &g->error);
    }
    if (h->log.json) return;
    struct buffer out;
    struct vector order;
    buffer_init(&out, &h->memory);
    vector_init(&order, &h->memory, sizeof(const struct diagnostic *));
    for (size_t i = 0; i < d->items.count; i++) {
        const struct diagnostic *g = vector_at(&d->items, i);
        if (vector_push(&order, &g) != STATUS_OK) break;
    }
    if (order.count) qsort(order.items, order.count, sizeof(const struct diagnostic *), compare_places);
    for (size_t i = 0; i < order.count; i++) {
        if (diagnostic_print(*(const struct diagnostic **)vector_at(&order, i), d->source, h->log.colour, &out) != STATUS_OK) break;
    }
    vector_release(&order);
    fwrite(out.data ? (char *)out.data : "", 1, out.size_bytes, stderr);
    buffer_release(&out);
}

void say_error(struct host *h, const struct error *e) {
    struct diagnostic g = {.severity = SEVERITY_ERROR, .error = *e};
    struct buffer out;
    if (h->log.json) {
        log_error(&h->log, LOG_ERROR, e);
        return;
    }
    buffer_init(&out, &h->memory);
    g.error.span = (struct span){0};
    if (diagnostic_print(&g, NULL, h->log.colour, &out) == STATUS_OK) fwrite(out.data, 1, out.size_bytes, stderr);
    buffer_release(&out);
}

int exit_code_of(enum status status) {
    switch (status) {
    case STATUS_OK: return EXIT_OK;
    case STATUS_INVALID_ARGUMENT: return EXIT_USAGE;
    case STATUS_INVALID_QUERY:
    case STATUS_UNSUPPORTED: return EXIT_CHECK;
    case STATUS_UNREACHABLE: return EXIT_UNREACHABLE;
    case STATUS_CONFLICT:
    case STATUS_CORRUPT: return EXIT_FIT;
    case STATUS_INTERRUPTED: return EXIT_INTERRUPT;
    default: return EXIT_DATA;
    }
}
