// SPDX-License-Identifier: Apache-2.0
// path.c: get_json_object: a path of Hive's dialect over a document, with Spark's answers.
//
//     $  .name  ['name']  [3]  [*]        (.* and ['*'] parse, and find nothing, as in Spark)
//
// The document is walked once, from left to right, and written to the result as the path matches; what does not match is skipped, and
// checked. How matches are written depends on what is above them (enum style), which is Hive's way of flattening lists. The walk recurses by
// path step, and by list nesting where [*][*] flattens: both bounded.
#include "json/reader.h"

enum style {
    STYLE_RAW,      // a string is written without quotes
    STYLE_QUOTED,
    STYLE_FLATTEN,  // lists are written without their brackets
};

enum step_kind { STEP_NAME, STEP_INDEX, STEP_ANY, STEP_ANY_NAME };
struct step {
    enum step_kind kind;
    const char *name;
    size_t name_bytes;
    int64_t index;
};

enum { PATH_STEPS_MAX = 256 };
struct path {
    struct step steps[PATH_STEPS_MAX];
    uint32_t count;
};

struct walk {
    struct json_cursor cursor;
    struct buffer *out;
    enum status status;
    bool malformed;
    bool separate;  // the next value at this level needs a comma before it
};

static bool is_path_blank(char byte) { return json_is_blank(byte) || byte == '\f' || byte == '\v'; }
static const char *skip_path_blanks(const char *p, const char *end) {
    while (p < end && is_path_blank(*p)) p++;
    return p;
}

// What stands behind '['. Returns the place behind ']', NULL if it is no step.
static const char *parse_subscript(const char *p, const char *end, struct step *step) {
    p = skip_path_blanks(p, end);
    if (p < end && *p == '\'') {
        const char *name = skip_path_blanks(++p, end);
        while (p < end && *p != '\'') p++;
        if (name > p) name = p;
        *step = (struct step){.kind = STEP_NAME, .name = name, .name_bytes = (size_t)(p - name)};
        if (p == end || p == name || memchr(name, '?', step->name_bytes)) return NULL;
        if (step->name_bytes == 1 && *name == '*') step->kind = STEP_ANY_NAME;
        p++;
    } else if (p < end && *p == '*') {
        *step = (struct step){.kind = STEP_ANY};
        p++;
    } else {
        int64_t index = 0;
        const char *first = p;
        for (; p < end && (unsigned char)(*p - '0') <= 9; p++) {
            if (index > INT64_MAX / 10 - 10) return NULL;
            index = index * 10 + (*p - '0');
        }
        if (p == first) return NULL;
        *step = (struct step){.kind = STEP_INDEX, .index = index};
    }
    p = skip_path_blanks(p, end);
    return p < end && *p == ']' ? p + 1 : NULL;
}

static const char *parse_name(const char *p, const char *end, struct step *step) {
    if (p < end && *p == '*') {
        *step = (struct step){.kind = STEP_ANY_NAME};
        return p + 1;
    }
    p = skip_path_blanks(p, end);
    const char *name = p;
    while (p < end && *p != '.' && *p != '[') p++;
    *step = (struct step){.kind = STEP_NAME, .name = name, .name_bytes = (size_t)(p - name)};
    return p > name ? p : NULL;
}

static bool parse_path(const char *text, size_t size_bytes, struct path *path) {
    const char *end = text + size_bytes, *p = skip_path_blanks(text, end);
    path->count = 0;
    if (p == end || *p++ != '$') return false;
    for (p = skip_path_blanks(p, end); p < end; p = skip_path_blanks(p, end)) {
        if (path->count == PATH_STEPS_MAX) return false;
        struct step *step = &path->steps[path->count++];
        if (*p == '.') p = parse_name(p + 1, end, step);
        else if (*p == '[') p = parse_subscript(p + 1, end, step);
        else return false;
        if (!p) return false;
    }
    return true;
}

static bool fail(struct walk *w) {
    w->malformed = true;
    return false;
}

static bool put(struct walk *w, const void *bytes, size_t size_bytes) {
    if (w->status == STATUS_OK) w->status = buffer_append(w->out, bytes, size_bytes);
    return w->status == STATUS_OK;
}

// The comma between two values of a list, if one is due.
static void put_separator(struct walk *w) {
    if (w->separate) put(w, ",", 1);
    w->separate = true;
}

static bool stopped(const struct walk *w) { return w->malformed || w->status != STATUS_OK; }

static bool skip(struct walk *w) { return json_skip_value(&w->cursor) ? false : fail(w); }

// After a member: true if another follows, false behind the closing byte.
static bool next_member(struct walk *w, char close) {
    int byte = json_peek(&w->cursor);
    if (byte != close && byte != ',') return fail(w);
    w->cursor.next++;
    if (byte == close) {
        w->cursor.depth--;
        return false;
    }
    return json_peek(&w->cursor) >= 0 ? true : fail(w);
}

// Enters the container at the cursor. False if it is empty (it is left then) or too deep.
static bool enter(struct walk *w, char close) {
    if (w->cursor.depth >= w->cursor.depth_limit) return fail(w);
    w->cursor.depth++;
    w->cursor.next++;
    int byte = json_peek(&w->cursor);
    if (byte < 0) return fail(w);
    if (byte != close) return true;
    w->cursor.next++;
    w->cursor.depth--;
    return false;
}

static bool evaluate(struct walk *w, enum style style, const struct step *steps, uint32_t count);

static bool copy_raw_string(struct walk *w) {
    struct json_string s;
    if (!json_scan_quoted(&w->cursor, &s)) return fail(w);
    if (w->status == STATUS_OK) w->status = buffer_reserve(w->out, json_string_capacity(&s));
    if (w->status != STATUS_OK) return false;
    w->out->size_bytes += json_string_decode(&s, (char *)w->out->data + w->out->size_bytes);
    return true;
}

// The path is at its end: the value is written.
static bool copy_match(struct walk *w, enum style style, char first) {
    if (style == STYLE_RAW && (first == '"' || first == '\'')) return copy_raw_string(w);
    if (style == STYLE_FLATTEN && first == '[') {
        bool any = false;
        if (!enter(w, ']')) return false;
        do any |= evaluate(w, style, NULL, 0);
        while (!stopped(w) && next_member(w, ']'));
        return any;
    }
    bool valid;
    put_separator(w);
    if (w->status == STATUS_OK) w->status = json_copy_value(&w->cursor, w->out, &valid);
    if (w->status != STATUS_OK) return false;
    return valid ? true : fail(w);
}

static bool key_is(struct walk *w, const struct json_string *key, const struct step *step) {
    if (step->kind == STEP_ANY_NAME) return true;
    if (!(key->marks & JSON_STRING_ESCAPED) && json_string_is_plain(key))
        return key->size_bytes == step->name_bytes && memcmp(key->bytes, step->name, step->name_bytes) == 0;
    struct buffer decoded;
    buffer_init(&decoded, w->out->memory);
    w->status = buffer_reserve(&decoded, json_string_capacity(key));
    bool equal = w->status == STATUS_OK && json_string_decode(key, (char *)decoded.data) == step->name_bytes &&
                 memcmp(decoded.data, step->name, step->name_bytes) == 0;
    buffer_release(&decoded);
    return equal;
}

// The first member that matches, and is not null, counts; the others are skipped.
static bool match_name(struct walk *w, enum style style, const struct step *steps, uint32_t count) {
    bool found = false;
    if (!enter(w, '}')) return false;
    do {
        struct json_string key;
        if (!json_scan_key(&w->cursor, &key)) return fail(w);
        if (!found && key_is(w, &key, steps) && *w->cursor.next != 'n') found = evaluate(w, style, steps + 1, count - 1);
        else skip(w);
    } while (!stopped(w) && next_member(w, '}'));
    return found && !stopped(w);
}

static bool match_index(struct walk *w, enum style style, const struct step *steps, uint32_t count) {
    bool found = false;
    if (!enter(w, ']')) return false;
    if (count > 1 && steps[1].kind == STEP_ANY) style = STYLE_QUOTED;
    int64_t index = 0;
    do {
        if (index++ == steps->index) found = evaluate(w, style, steps + 1, count - 1);
        else skip(w);
    } while (!stopped(w) && next_member(w, ']'));
    return found && !stopped(w);
}

// Each element, with the steps behind. Returns how many matched.
static uint64_t match_elements(struct walk *w, enum style style, const struct step *steps, uint32_t count) {
    uint64_t found = 0;
    if (!enter(w, ']')) return 0;
    do found += evaluate(w, style, steps, count);
    while (!stopped(w) && next_member(w, ']'));
    return found;
}

// [*]: the matches as a list, bare where there is but one and nothing above makes a list of it already.
static bool match_any(struct walk *w, enum style style, const struct step *steps, uint32_t count) {
    bool two = count > 1 && steps[1].kind == STEP_ANY;
    bool keeps_list = two || style == STYLE_QUOTED;
    enum style inner = two || style == STYLE_FLATTEN ? STYLE_FLATTEN : STYLE_QUOTED;
    bool separate = w->separate;
    put_separator(w);
    size_t before = w->out->size_bytes;
    w->separate = false;
    put(w, "[", 1);
    uint64_t found = match_elements(w, inner, steps + (two ? 2 : 1), count - (two ? 2 : 1));
    if (stopped(w)) return false;
    put(w, "]", 1);
    w->separate = true;
    if (keeps_list) return found > 0;
    if (found == 1) {
        memmove(w->out->data + before, w->out->data + before + 1, w->out->size_bytes - before - 2);
        w->out->size_bytes -= 2;
    } else if (found == 0) {
        w->out->size_bytes = before - (separate ? 1 : 0);
        w->separate = separate;
    }
    return found > 0;
}

// The value at the cursor against the steps left. True if something was written.
static bool evaluate(struct walk *w, enum style style, const struct step *steps, uint32_t count) {
    int first = json_peek(&w->cursor);
    if (first < 0) return fail(w);
    if (count == 0) return copy_match(w, style, (char)first);
    bool by_name = steps->kind == STEP_NAME;
    if (first == '{' && by_name) return match_name(w, style, steps, count);
    if (first == '[' && steps->kind == STEP_INDEX) return match_index(w, style, steps, count);
    if (first == '[' && steps->kind == STEP_ANY) return match_any(w, style, steps, count);
    return skip(w);
}

enum status json_path(const char *text, size_t size_bytes, const char *path, size_t path_bytes, struct buffer *out, bool *found) {
    struct path parsed;
    *found = false;
    if (!parse_path(path, path_bytes, &parsed)) return STATUS_OK;
    struct walk w = {.out = out, .status = STATUS_OK};
    json_cursor_init(&w.cursor, text, size_bytes, JSON_FLAG_CONTROL | JSON_FLAG_SINGLE_QUOTES, 0, json_scanner_best());
    size_t before = out->size_bytes;
    bool matched = evaluate(&w, STYLE_RAW, parsed.steps, parsed.count);
    *found = matched && !w.malformed && w.status == STATUS_OK;
    if (!*found) out->size_bytes = before;
    return w.status;
}
