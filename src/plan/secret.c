// SPDX-License-Identifier: Apache-2.0
// secret.c: see secret.h. A reader of its own: words, literals, comments, no grammar.
//
// A key is a word or a literal; its value the literals after it, or in a list of options and after a quoted key one that lacks its quotes. What is
// glued to the end of a secret's literal was meant to be in it (a quote within a password): the rest of its line is hidden.
#include "plan/secret.h"
#include "plan/option.h"
#include <strings.h>

struct marking {
    char *at, *end;
    enum { NOT_SECRET, WORD_IS, LITERAL_IS } key;
    bool has_value;       // the key's was met
    bool in_list;         // behind OPTIONS, TBLPROPERTIES or WITH ( of this statement: names count that are common elsewhere
};

static inline bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
static inline bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '`' || (unsigned char)c >= 0x80;
}

// Bytes of a comment at s, 0: it is none.
static size_t comment_bytes(const char *s, const char *end) {
    bool line = end - s >= 2 && s[0] == '-' && s[1] == '-', block = end - s >= 2 && s[0] == '/' && s[1] == '*';
    if (!line && !block) return 0;
    const char *stop = line ? memchr(s, '\n', (size_t)(end - s)) : memmem(s + 2, (size_t)(end - s - 2), "*/", 2);
    return stop ? (size_t)(stop - s) + (block ? 2 : 0) : (size_t)(end - s);
}

// Bytes of the literal at s, with its quotes; to the end of the text if it is not closed.
static size_t literal_bytes(const char *s, const char *end) {
    for (const char *p = s + 1; p < end; p++) {
        if (*p == '\\') p++;
        else if (*p == *s) return (size_t)(p + 1 - s);
    }
    return (size_t)(end - s);
}

static bool is_one_of(const char *s, size_t size_bytes, const char *const *words) {
    for (; *words; words++) {
        if (strlen(*words) == size_bytes && strncasecmp(s, *words, size_bytes) == 0) return true;
    }
    return false;
}

static bool names_secret(const struct marking *m, const char *s, size_t size_bytes) {
    char key[256];
    size_t n = 0;
    for (size_t i = 0; i < size_bytes && n < sizeof key - 1; i++) {
        if (s[i] != '`') key[n++] = s[i];
    }
    key[n] = 0;
    return m->in_list ? option_hides(key) : option_is_secret(key);
}

static void hide(char *s, size_t size_bytes) {
    if (option_is_placeholder(s, size_bytes)) return;
    for (size_t i = 0; i < size_bytes; i++) {
        if (s[i] != '\n') s[i] = i ? SECRET_REST : SECRET_FIRST;
    }
}

// Each piece between two separators that are in no placeholder, behind its '=' if `named`.
static void hide_pieces(char *s, char *end, char separator, bool named) {
    while (s < end) {
        char *stop = s;
        for (bool inside = false; stop < end && (inside || *stop != separator); stop++) inside = inside ? *stop != '}' : *stop == '$' && end - stop > 1 && stop[1] == '{';
        char *value = named ? memchr(s, '=', (size_t)(stop - s)) : NULL;
        value = value ? value + 1 : s;
        hide(value, (size_t)(stop - value));
        s = stop + 1;
    }
}

// The user and password of a URL, to its last '@': they are often not encoded as they should be; and the values of its query.
static void hide_in_url(char *s, char *end, bool query) {
    char *host = memmem(s, (size_t)(end - s), "://", 3);
    if (!host) return;
    host += 3;
    char *at = memrchr(host, '@', (size_t)(end - host));
    if (at) hide_pieces(host, at, ':', false);
    char *from = at ? at : host, *question = query ? memchr(from, '?', (size_t)(end - from)) : NULL;
    if (question) hide_pieces(question + 1, end, '&', true);
}

// What stands behind a literal that hides something, without a blank or a sign between: to the line's end.
static size_t glued_bytes(const char *s, const char *end) {
    if (s == end || !is_word(*s)) return 0;
    const char *newline = memchr(s, '\n', (size_t)(end - s));
    return (size_t)((newline ? newline : end) - s);
}

static size_t mark_literal(struct marking *m) {
    char *s = m->at;
    size_t size = literal_bytes(s, m->end), inside = size - 1 - (size > 1 && s[size - 1] == *s);
    size_t glued = glued_bytes(s + size, m->end);
    bool url = memmem(s + 1, inside, "://", 3) != NULL;
    if (m->key || (url && glued)) {
        hide(s + 1, inside);
        hide(s + size, glued);
        m->has_value = true;
        return size + glued;
    }
    if (url) hide_in_url(s + 1, s + 1 + inside, m->in_list);
    else if (names_secret(m, s + 1, inside)) {
        m->key = LITERAL_IS;
        m->has_value = false;
    }
    return size;
}

// Bytes of a value without quotes, whatever signs are in it.
static size_t bare_bytes(const char *s, const char *end) {
    const char *at = s;
    while (at < end && !is_blank(*at) && *at != ',' && *at != ')' && *at != ';') at++;
    return (size_t)(at - s);
}

// Bytes of a name, of which parts may be quoted: kafka.`sasl-x`.password.
static size_t name_bytes(const char *s, const char *end) {
    const char *at = s;
    while (at < end && is_word(*at)) {
        const char *close = *at == '`' ? memchr(at + 1, '`', (size_t)(end - at - 1)) : NULL;
        at = close ? close + 1 : at + 1;
    }
    return (size_t)(at - s);
}

// WITH also begins a query.
static bool opens_list(const char *s, const char *end) {
    while (s < end && is_blank(*s)) s++;
    return s < end && *s == '(';
}

static size_t mark_word(struct marking *m) {
    static const char *const begins[] = {"OPTIONS", "TBLPROPERTIES", NULL}, *const with[] = {"WITH", NULL}, *const ends[] = {"SELECT", "FROM", "VALUES", NULL};
    char *s = m->at;
    size_t size = name_bytes(s, m->end), bare = bare_bytes(s, m->end);
    bool raw = size == 1 && (*s == 'r' || *s == 'R') && s + 1 < m->end && (s[1] == '\'' || s[1] == '"');
    if (raw) return size;
    bool is_value = m->key && !m->has_value && (m->key == LITERAL_IS || m->in_list), is_url = bare > size + 3 && memcmp(s + size, "://", 3) == 0;
    if (is_value) hide(s, bare > size ? bare : size);
    else if (is_url) hide_in_url(s, s + bare, m->in_list);
    bool is_key = !is_value && !is_url && names_secret(m, s, size);
    m->key = is_key ? WORD_IS : NOT_SECRET;
    m->has_value = false;
    if (is_value || is_url) return bare > size ? bare : size;
    if (is_one_of(s, size, begins) || (is_one_of(s, size, with) && opens_list(s + size, m->end))) m->in_list = true;
    else if (is_one_of(s, size, ends)) m->in_list = false;
    return size;
}

void secrets_mark(char *text, size_t size_bytes) {
    struct marking m = {.at = text, .end = text + size_bytes};
    for (size_t size = 0; m.at < m.end; m.at += size) {
        if ((size = comment_bytes(m.at, m.end))) continue;
        size = 1;
        if (is_blank(*m.at) || *m.at == '=') continue;
        if (*m.at == '\'' || *m.at == '"') size = mark_literal(&m);
        else if (is_word(*m.at)) size = mark_word(&m);
        else {
            bool ends = *m.at == ',' || *m.at == ')' || *m.at == ';';
            if (ends || !m.in_list) m.key = NOT_SECRET;
            if (*m.at == ';') m.in_list = false;
        }
    }
}

const char *secrets_hidden(struct arena *a, const char *text, size_t size_bytes, size_t begin, size_t end) {
    static const char shown[] = "…";
    char *marked = arena_strndup(a, text, size_bytes);
    if (!marked) return NULL;
    secrets_mark(marked, size_bytes);
    size_t pieces = 1, n = 0;
    for (size_t i = begin; i < end; i++) pieces += marked[i] == SECRET_FIRST;
    char *out = arena_alloc_array(a, end - begin + pieces * sizeof shown + 1, 1);
    if (!out) return NULL;
    for (size_t i = begin; i < end; i++) {
        bool first = marked[i] == SECRET_FIRST || (i == begin && marked[i] == SECRET_REST);
        if (first) {
            memcpy(out + n, shown, sizeof shown - 1);
            n += sizeof shown - 1;
        } else if (marked[i] != SECRET_REST) out[n++] = marked[i];
    }
    out[n] = 0;
    return out;
}

bool secret_in_value(const char *value) {
    const char *host = strstr(value, "://");
    const char *at = host ? strrchr(host + 3, '@') : NULL;
    return at && memchr(host + 3, ':', (size_t)(at - host - 3));
}
