// SPDX-License-Identifier: Apache-2.0
// regex_translate.c: what Java writes differently in a regular expression, rewritten for PCRE2.
//
//     \p{Alpha} \P{Digit} …     POSIX classes, ASCII only      [[:alpha:]] [[:^digit:]]
//     \p{IsGreek} \p{InGreek}   scripts                        \p{Greek}
//     \u00e9, \0101             characters by number           \x{00e9}, \o{101}
//     [a[bc]]                   union                          [abc]
//     [a-z&&[^b]]               intersection                   (?:(?=[^b])[a-z])
//     [[:alpha:]]               a union, not a POSIX class     [\:alph\:]
//     (?u) (?d) (?U)            flags without a counterpart    left out
//
// Everything else is the same in both, or close. The output is only ever handed to the compiler, which judges it.
#include "expr/regex_matcher.h"

struct translator {
    const char *next, *end;
    struct buffer *out;
    bool failed;
    int depth;
};

enum { CLASS_DEPTH_MAX = 50 };

static void put(struct translator *t, const char *bytes, size_t size_bytes) {
    if (size_bytes && buffer_append(t->out, bytes, size_bytes) != STATUS_OK) t->failed = true;
}
static void put_string(struct translator *t, const char *s) { put(t, s, strlen(s)); }

static bool at(const struct translator *t, const char *word) {
    size_t length = strlen(word);
    return (size_t)(t->end - t->next) >= length && memcmp(t->next, word, length) == 0;
}

static void put_property(struct translator *t, const char *name, size_t length, bool negated, bool in_class) {
    static const char *const posix[][2] = {
        {"Alpha", "alpha"}, {"Digit", "digit"}, {"Alnum", "alnum"}, {"Lower", "lower"}, {"Upper", "upper"}, {"Punct", "punct"}, {"Space", "space"},
        {"XDigit", "xdigit"}, {"Cntrl", "cntrl"}, {"Graph", "graph"}, {"Print", "print"}, {"Blank", "blank"}, {"ASCII", "ascii"},
    };
    for (size_t i = 0; i < sizeof posix / sizeof posix[0]; i++) {
        if (strlen(posix[i][0]) != length || memcmp(posix[i][0], name, length) != 0) continue;
        put_string(t, in_class ? "[:" : "[[:");
        if (negated) put_string(t, "^");
        put_string(t, posix[i][1]);
        put_string(t, in_class ? ":]" : ":]]");
        return;
    }
    static const char *const java[][2] = {{"javaLowerCase", "Ll"}, {"javaUpperCase", "Lu"}, {"javaDigit", "Nd"}, {"javaLetter", "L"}, {"javaWhitespace", "White_Space"}};
    for (size_t i = 0; i < sizeof java / sizeof java[0]; i++) {
        if (strlen(java[i][0]) == length && memcmp(java[i][0], name, length) == 0) name = java[i][1], length = strlen(java[i][1]);
    }
    if (length > 2 && name[0] == 'I' && (name[1] == 's' || name[1] == 'n')) name += 2, length -= 2;
    put_string(t, negated ? "\\P{" : "\\p{");
    put(t, name, length);
    put_string(t, "}");
}

// The quoted text between \Q and \E, each character escaped.
static void put_quoted(struct translator *t) {
    while (t->next < t->end && !at(t, "\\E")) {
        char c = *t->next++;
        bool is_word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || (uint8_t)c >= 0x80;
        if (!is_word) put_string(t, "\\");
        put(t, &c, 1);
    }
    if (t->next < t->end) t->next += 2;
}

// At the character after a backslash.
static void put_escape(struct translator *t, bool in_class) {
    if (t->next >= t->end) {
        put_string(t, "\\");
        return;
    }
    char c = *t->next++;
    const char *close = t->next < t->end && *t->next == '{' ? memchr(t->next, '}', (size_t)(t->end - t->next)) : NULL;
    if ((c == 'p' || c == 'P') && close) {
        put_property(t, t->next + 1, (size_t)(close - t->next - 1), c == 'P', in_class);
        t->next = close + 1;
    } else if (c == 'Q') {
        put_quoted(t);
    } else if (c == 'u' && t->end - t->next >= 4) {
        put_string(t, "\\x{");
        put(t, t->next, 4);
        put_string(t, "}");
        t->next += 4;
    } else if (c == '0') {
        size_t digits = 0;
        while (digits < 3 && t->next + digits < t->end && t->next[digits] >= '0' && t->next[digits] <= '7') digits++;
        put_string(t, "\\o{");
        put(t, t->next, digits);
        put_string(t, "}");
        t->next += digits;
    } else {
        put_string(t, "\\");
        put(t, &c, 1);
    }
}

static void put_class(struct translator *t);

// Items of a class up to its end or "&&", nested positive classes opened up. *negative_inside: a nested class was negated, kept aside in `asides`.
static void put_class_items(struct translator *t, struct buffer *asides) {
    bool first = true;
    while (t->next < t->end && !t->failed) {
        char c = *t->next;
        if (c == ']' && !first) return;
        if (at(t, "&&")) return;
        first = false;
        if (c == '\\') {
            t->next++;
            put_escape(t, true);
        } else if (c == '[') {
            if (++t->depth > CLASS_DEPTH_MAX) {
                t->failed = true;
                return;
            }
            if (t->next + 1 < t->end && t->next[1] == '^') {
                struct buffer *whole = t->out;
                t->out = asides;
                put_string(t, "|");
                put_class(t);
                t->out = whole;
            } else {
                t->next++;
                put_class_items(t, asides);
                if (t->next < t->end && *t->next == ']') t->next++;
            }
            t->depth--;
        } else {
            if (c == ':' || c == '.' || c == '=') put_string(t, "\\");
            put(t, &c, 1);
            t->next++;
        }
    }
}

// At "[". Java's class is a union of items, and an intersection of such unions.
static void put_class(struct translator *t) {
    struct buffer *whole = t->out;
    struct buffer body, asides;
    buffer_init(&body, whole->memory);
    buffer_init(&asides, whole->memory);
    t->next++;
    bool negated = t->next < t->end && *t->next == '^';
    if (negated) t->next++;
    t->out = &body;
    put_class_items(t, &asides);
    t->out = whole;
    bool intersects = at(t, "&&");
    put_string(t, "(?:");
    while (at(t, "&&") && !t->failed) {
        t->next += 2;
        put_string(t, "(?=");
        if (t->next < t->end && *t->next == '[' && t->depth < CLASS_DEPTH_MAX) {
            t->depth++;
            put_class(t);
            t->depth--;
        } else {
            struct buffer right, right_asides;
            buffer_init(&right, whole->memory);
            buffer_init(&right_asides, whole->memory);
            t->out = &right;
            put_class_items(t, &right_asides);
            t->out = whole;
            put_string(t, "[");
            put(t, (const char *)right.data, right.size_bytes);
            put_string(t, "]");
            buffer_release(&right);
            buffer_release(&right_asides);
        }
        put_string(t, ")");
    }
    if (t->next < t->end && *t->next == ']') t->next++;
    else t->failed |= t->next < t->end;
    if (body.size_bytes) {
        put_string(t, negated ? "[^" : "[");
        put(t, (const char *)body.data, body.size_bytes);
        put_string(t, "]");
        put(t, (const char *)asides.data, asides.size_bytes);
    } else {
        // Only negated classes inside: the first "|" goes; an empty class is an error, as it is in Java.
        if (asides.size_bytes) put(t, (const char *)asides.data + 1, asides.size_bytes - 1);
        else put_string(t, intersects ? "." : "[");
    }
    put_string(t, ")");
    buffer_release(&body);
    buffer_release(&asides);
}

// At "(?": flags that PCRE2 has not, or has for something else, are left out.
static void put_group(struct translator *t) {
    size_t length = 2;
    while (t->next + length < t->end && (strchr("idmsuxU-", t->next[length]) != NULL)) length++;
    bool is_flags = t->next + length < t->end && (t->next[length] == ')' || t->next[length] == ':') && length > 2;
    for (size_t i = 0; i < length; i++) {
        if (is_flags && i >= 2 && strchr("duU", t->next[i])) continue;
        put(t, t->next + i, 1);
    }
    t->next += length;
}

// Is the class at t->next a plain one, the same in both dialects?
static bool class_is_plain(const struct translator *t) {
    const char *s = t->next + 1;
    if (s < t->end && *s == '^') s++;
    for (bool first = true; s < t->end; s++, first = false) {
        if (*s == ']' && !first) return true;
        if (*s == '[' || *s == '\\' || (*s == '&' && s + 1 < t->end && s[1] == '&')) return false;
    }
    return true;
}

bool regex_translate(struct text pattern, struct buffer *out) {
    struct translator t = {.next = pattern.bytes, .end = pattern.bytes + pattern.size_bytes, .out = out};
    while (t.next < t.end && !t.failed) {
        if (*t.next == '\\') {
            t.next++;
            put_escape(&t, false);
        } else if (*t.next == '[' && !class_is_plain(&t)) {
            put_class(&t);
        } else if (*t.next == '[') {
            const char *begin = t.next++;
            if (t.next < t.end && *t.next == '^') t.next++;
            if (t.next < t.end) t.next++;  // a "]" in the first place is a character
            while (t.next < t.end && *t.next != ']') t.next++;
            if (t.next < t.end) t.next++;
            put(&t, begin, (size_t)(t.next - begin));
        } else if (at(&t, "(?")) {
            put_group(&t);
        } else {
            put(&t, t.next++, 1);
        }
    }
    return !t.failed;
}
