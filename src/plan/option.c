// SPDX-License-Identifier: Apache-2.0
// option.c: options and settings against their tables: one entry of a table is at once the parser, the error, the help and the docs.
//
// Keys are matched without case. A value with ${env:…} or ${file:…} in it is not looked at until option_resolve: what it stands for is
// nobody's business before the connector opens.
#include "plan/option.h"
#include "base/files.h"
#include "column/number_text.h"
#include <errno.h>
#include <math.h>
#include <strings.h>

static bool is_prefix(const struct option *o, size_t *size) {
    *size = strlen(o->name);
    bool prefix = *size >= 2 && o->name[*size - 1] == '*' && o->name[*size - 2] == '.';
    if (prefix) *size -= 1;
    return prefix;
}

static bool option_matches(const struct option *o, const char *key) {
    size_t size;
    return is_prefix(o, &size) ? strncasecmp(o->name, key, size) == 0 && key[size] : strcasecmp(o->name, key) == 0;
}

static inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

static const char *skip_blanks(const char *s) {
    while (is_blank(*s)) s++;
    return s;
}

// A whole number with an optional fraction of at most nine digits, scaled by `unit`; *next: where it ended.
static bool scaled_number(const char *s, int64_t whole_limit, int64_t *whole, int64_t *nanos, const char **next) {
    const char *begin = s;
    int64_t weight = 100000000;
    *whole = *nanos = 0;
    for (; *s >= '0' && *s <= '9'; s++) {
        if (*whole > (whole_limit - (*s - '0')) / 10) return false;
        *whole = *whole * 10 + (*s - '0');
    }
    bool digits = s > begin;
    if (*s == '.') {
        for (s++; *s >= '0' && *s <= '9'; s++, weight /= 10) {
            *nanos += (*s - '0') * weight;
            digits = true;
        }
    }
    *next = s;
    return digits;
}

struct unit {
    const char *words;  // separated by blanks
    int64_t scale;
};

static const struct unit durations[] = {
    {"us microsecond microseconds", 1},
    {"ms millisecond milliseconds milli millis", 1000},
    {"s sec secs second seconds", 1000000},
    {"m min mins minute minutes", INT64_C(60000000)},
    {"h hour hours", INT64_C(3600000000)},
    {"d day days", INT64_C(86400000000)},
    {"w week weeks", INT64_C(604800000000)},
};
static const struct unit sizes[] = {
    {"b byte bytes", 1},
    {"k kb kib", 1 << 10},
    {"m mb mib", 1 << 20},
    {"g gb gib", 1 << 30},
    {"t tb tib", INT64_C(1) << 40},
};

static const struct unit *find_unit(const struct unit *units, size_t count, const char *word, size_t size) {
    for (size_t i = 0; i < count; i++) {
        for (const char *s = units[i].words; *s;) {
            size_t length = strcspn(s, " ");
            if (length == size && strncasecmp(s, word, size) == 0) return &units[i];
            s += length + (s[length] == ' ');
        }
    }
    return NULL;
}

// Adds "<number> <unit>" to *total; *next: what follows.
static bool add_measure(const struct unit *units, size_t count, const char *s, int64_t *total, const char **next) {
    int64_t whole, nanos, amount;
    if (!scaled_number(s, INT64_MAX, &whole, &nanos, &s)) return false;
    s = skip_blanks(s);
    const char *word = s;
    while (is_letter(*s)) s++;
    const struct unit *unit = find_unit(units, count, word, (size_t)(s - word));
    if (!unit || __builtin_mul_overflow(whole, unit->scale, &amount) || __builtin_add_overflow(*total, amount, total)) return false;
    int64_t part = (int64_t)((__int128)nanos * unit->scale / 1000000000);
    *next = skip_blanks(s);
    return !__builtin_add_overflow(*total, part, total);
}

bool parse_duration(const char *text, int64_t *us) {
    const char *s = skip_blanks(text);
    int64_t total = 0;
    if (strncasecmp(s, "interval", 8) == 0 && is_blank(s[8])) s = skip_blanks(s + 8);
    if (!*s) return false;
    while (*s) {
        if (!add_measure(durations, sizeof durations / sizeof *durations, s, &total, &s)) return false;
    }
    *us = total;
    return true;
}

bool parse_size(const char *text, int64_t *bytes) {
    const char *s = skip_blanks(text);
    int64_t total = 0, whole, nanos;
    const char *end;
    if (scaled_number(s, INT64_MAX, &whole, &nanos, &end) && !nanos && !*skip_blanks(end)) {
        *bytes = whole;
        return true;
    }
    if (!add_measure(sizes, sizeof sizes / sizeof *sizes, s, &total, &s) || *s) return false;
    *bytes = total;
    return true;
}

// Index of the choice in "a|b|c", −1 if it is none.
static int64_t find_choice(const char *choices, const char *text) {
    size_t size = strlen(text);
    int64_t index = 0;
    for (const char *s = choices; s && *s; index++) {
        size_t length = strcspn(s, "|");
        if (length == size && strncasecmp(s, text, size) == 0) return index;
        s += length + (s[length] == '|');
    }
    return -1;
}

static bool parse_boolean(const char *text, int64_t *out) {
    *out = strcasecmp(text, "true") == 0;
    return *out || strcasecmp(text, "false") == 0;
}

// What a value must look like, for errors.
static const char *expected(const struct option *o) {
    switch (o->type) {
    case OPTION_INT: return "a whole number";
    case OPTION_DOUBLE: return "a number";
    case OPTION_BOOLEAN: return "true or false";
    case OPTION_DURATION: return "a length of time such as '500 ms', '10 seconds' or '1 minute'";
    case OPTION_SIZE: return "a size such as '64MB', '1 GiB' or a number of bytes";
    case OPTION_ENUM: return o->choices;
    default: return "text";
    }
}

static bool parse_value(struct option_value *v) {
    bool overflow = false;
    const char *text = v->text;
    switch (v->option->type) {
    case OPTION_INT: return parse_int64(text, strlen(text), &v->number, &overflow);
    case OPTION_DOUBLE: return parse_double(text, strlen(text), &v->real) && isfinite(v->real);
    case OPTION_BOOLEAN: return parse_boolean(text, &v->number);
    case OPTION_DURATION: return parse_duration(text, &v->number);
    case OPTION_SIZE: return parse_size(text, &v->number);
    case OPTION_ENUM: return (v->number = find_choice(v->option->choices, text)) >= 0;
    case OPTION_PATH: return *text != 0;
    default: return true;
    }
}

bool option_has_placeholder(const char *text) { return text && (strstr(text, "${env:") || strstr(text, "${file:")); }

bool option_is_placeholder(const char *value, size_t size_bytes) {
    bool begins = (size_bytes > 6 && memcmp(value, "${env:", 6) == 0) || (size_bytes > 7 && memcmp(value, "${file:", 7) == 0);
    return begins && memchr(value, '}', size_bytes) == value + size_bytes - 1;
}

bool option_is_secret(const char *key) {
    static const char *const words[] = {"password", "passwd", "passphrase", "secret", "token", "credential", "jaas", "key.pem", "keystore.key", "ssl_key", "assertion",
                                        "sasl.username", "authorization", "cookie", "apikey", "api_key", "api-key", "api.key", "accesskey", "access_key", "access-key",
                                        "access.key", "privatekey", "private_key", "private.key"};
    size_t size_bytes = strlen(key);
    if (size_bytes > 4 && strcasecmp(key + size_bytes - 4, ".url") == 0) return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcasestr(key, words[i])) return true;
    }
    return false;
}

bool option_hides(const char *key) { return option_is_secret(key) || strncasecmp(key, "header.", 7) == 0 || strcasecmp(key, "body") == 0; }

static size_t table_size(const struct option *table) {
    size_t count = 0;
    while (table && table[count].name) count++;
    return count;
}

static enum status report_unknown(struct arena *a, const struct option *table, const struct uoption *given, const char *what, struct diagnostics *d) {
    size_t count = table_size(table);
    const char **names = arena_alloc_array(a, count ? count : 1, sizeof *names);
    if (!names) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < count; i++) names[i] = table[i].name;
    struct error e;
    (void)error_set(&e, STATUS_INVALID_QUERY, "LEAT_UNKNOWN_OPTION", "%s has no option `%s`", what, given->key);
    e.span = given->span;
    error_set_label(&e, "unknown");
    const char *near = suggest(given->key, names, count);
    if (near) {
        error_set_hint(&e, "did you mean `%s`?", near);
    } else if (count) {
        char list[400] = "";
        size_t used = 0;
        for (size_t i = 0; i < count && used < sizeof list - 80; i++) used += (size_t)snprintf(list + used, sizeof list - used, "%s%.70s", i ? ", " : "", names[i]);
        error_set_hint(&e, "options: %s%s", list, used >= sizeof list - 80 ? " …" : "");
    }
    return diagnostics_add(d, SEVERITY_ERROR, &e);
}

static enum status report_value(const struct option_value *v, const struct uoption *given, const char *what, struct diagnostics *d) {
    struct error e;
    (void)error_set(&e, STATUS_INVALID_QUERY, "LEAT_INVALID_OPTION", "the option `%s` of %s must be %s%s", v->option->name, what,
                    v->option->type == OPTION_ENUM ? "one of " : "", expected(v->option));
    e.span = given && span_known(given->value_span) ? given->value_span : v->span;
    if (!v->option->secret && !option_hides(v->key) && !strstr(v->text, "://")) error_set_value(&e, v->text, strlen(v->text));
    error_set_hint(&e, "%s", v->option->help ? v->option->help : "");
    return diagnostics_add(d, SEVERITY_ERROR, &e);
}

static enum status report_missing(const struct option *o, const char *what, struct diagnostics *d) {
    struct error e;
    (void)error_set(&e, STATUS_INVALID_QUERY, "LEAT_MISSING_OPTION", "%s needs the option `%s`", what, o->name);
    error_set_hint(&e, "%s", o->help ? o->help : "");
    return diagnostics_add(d, SEVERITY_ERROR, &e);
}

static bool is_ignored(const char *const *prefixes, const char *key) {
    for (; prefixes && *prefixes; prefixes++) {
        if (strncasecmp(*prefixes, key, strlen(*prefixes)) == 0) return true;
    }
    return false;
}

static enum status take_given(struct arena *a, const struct option *table, const struct uoption *given, const char *what, struct diagnostics *d,
                              struct option_set *out) {
    const struct option *match = NULL;
    for (const struct option *o = table; o && o->name && !match; o++) {
        if (option_matches(o, given->key)) match = o;
    }
    if (!match) return report_unknown(a, table, given, what, d);
    struct option_value v = {.option = match, .key = given->key, .text = given->value ? given->value : "", .is_set = true, .span = given->span};
    if (!option_has_placeholder(v.text) && !parse_value(&v)) return report_value(&v, given, what, d);
    for (uint32_t i = 0; i < out->count; i++) {
        if (strcasecmp(out->values[i].key, v.key) != 0) continue;
        struct error e;
        (void)error_set(&e, STATUS_INVALID_QUERY, "DUPLICATE_KEY", "the option `%s` is given twice", given->key);
        e.span = given->span;
        return diagnostics_add(d, SEVERITY_ERROR, &e);
    }
    out->values[out->count++] = v;
    return STATUS_OK;
}

// Whether one of the unknown keys, reported already, is nearly this option's name.
static bool is_misspelt(const struct option *o, const struct option *table, const struct uoption *given, uint32_t given_count) {
    for (uint32_t i = 0; i < given_count; i++) {
        bool known = false;
        for (const struct option *other = table; other->name && !known; other++) known = option_matches(other, given[i].key);
        if (!known && suggest(given[i].key, &o->name, 1)) return true;
    }
    return false;
}

enum status options_parse(struct arena *a, const struct option *table, const struct uoption *given, uint32_t given_count,
                          const char *const *ignored_prefixes, const char *what, struct diagnostics *d, struct option_set *out) {
    size_t most = given_count + table_size(table);
    *out = (struct option_set){.values = arena_alloc_array(a, most ? most : 1, sizeof *out->values)};
    if (!out->values) return STATUS_NO_MEMORY;
    size_t errors = d->error_count;
    for (uint32_t i = 0; i < given_count; i++) {
        if (!is_ignored(ignored_prefixes, given[i].key)) TRY(take_given(a, table, &given[i], what, d, out));
    }
    for (const struct option *o = table; o && o->name; o++) {
        size_t prefix_size;
        bool is_given = false;
        for (uint32_t i = 0; i < given_count && !is_given; i++) is_given = option_matches(o, given[i].key);
        if (is_given || is_prefix(o, &prefix_size)) continue;
        if (o->required && !o->default_value && !is_misspelt(o, table, given, given_count)) TRY(report_missing(o, what, d));
        if (!o->default_value) continue;
        struct option_value v = {.option = o, .key = o->name, .text = o->default_value};
        if (!parse_value(&v)) TRY(report_value(&v, NULL, what, d));
        else out->values[out->count++] = v;
    }
    return d->error_count > errors ? STATUS_INVALID_QUERY : STATUS_OK;
}

const struct option_value *option_get(const struct option_set *set, const char *name) {
    for (uint32_t i = 0; i < set->count; i++) {
        if (strcasecmp(set->values[i].key, name) == 0) return &set->values[i];
    }
    return NULL;
}

const char *option_text(const struct option_set *set, const char *name) {
    const struct option_value *v = option_get(set, name);
    return v ? v->text : NULL;
}

int64_t option_number(const struct option_set *set, const char *name) {
    const struct option_value *v = option_get(set, name);
    return v ? v->number : 0;
}

bool option_is_set(const struct option_set *set, const char *name) {
    const struct option_value *v = option_get(set, name);
    return v && v->is_set;
}

enum { SECRET_FILE_BYTES = 1 << 20 };

// Appends what one placeholder stands for.
static enum status resolve_one(struct buffer *b, const char *kind, const char *name, struct error *e) {
    if (strcmp(kind, "env") == 0) {
        const char *value = getenv(name);
        if (!value) return error_set(e, STATUS_NOT_FOUND, "LEAT_INVALID_VARIABLE", "the environment variable `%s` is not set", name);
        return buffer_append_string(b, value);
    }
    size_t before = b->size_bytes;
    struct buffer content;
    buffer_init(&content, b->memory);
    enum status status = file_read_all(name, SECRET_FILE_BYTES, &content, e);
    if (status == STATUS_OK) status = buffer_append(b, content.data, content.size_bytes);
    if (content.data) explicit_bzero(content.data, content.capacity_bytes);
    buffer_release(&content);
    while (status == STATUS_OK && b->size_bytes > before && (b->data[b->size_bytes - 1] == '\n' || b->data[b->size_bytes - 1] == '\r')) b->size_bytes--;
    return status;
}

static enum status resolve_all(struct arena *a, const char *text, struct buffer *b, struct error *e) {
    while (*text) {
        bool env = strncmp(text, "${env:", 6) == 0, file = strncmp(text, "${file:", 7) == 0;
        const char *end = env || file ? strchr(text, '}') : NULL;
        if (!end) {
            TRY(buffer_append_byte(b, (uint8_t)*text++));
            continue;
        }
        const char *begin = text + (env ? 6 : 7);
        char *name = arena_strndup(a, begin, (size_t)(end - begin));
        if (!name) return error_no_memory(e);
        TRY(resolve_one(b, env ? "env" : "file", name, e));
        text = end + 1;
    }
    return STATUS_OK;
}

enum status option_resolve(struct arena *a, const char *text, const char **out, struct error *e) {
    *out = text;
    if (!option_has_placeholder(text)) return STATUS_OK;
    struct buffer b;
    buffer_init(&b, a->memory);
    enum status status = resolve_all(a, text, &b, e);
    if (status == STATUS_OK) {
        *out = arena_strndup(a, (const char *)b.data, b.size_bytes);
        if (!*out) status = error_no_memory(e);
    }
    if (b.data) explicit_bzero(b.data, b.capacity_bytes);
    buffer_release(&b);
    return status;
}
