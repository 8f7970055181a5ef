// SPDX-License-Identifier: Apache-2.0
// reader.c: documents into columns: objects, lists, the root, and the three ways in (a column of documents, rows one by one, a line).
//
// The walk follows the schema, not the document: its recursion is as deep as the schema. What nobody wants is skipped by the scanner,
// which checks it all the same. A key is expected to be the one that stood at the same place in the last object of this kind; then one
// comparison of up to 32 bytes finds its node (json_shape_key). A wrong guess looks at the next few places, then in the hash table.
#include "json/outline.h"
#include "json/reader.h"

enum { SHAPE_LOOKAHEAD = 4 };

#if defined(__x86_64__)
static inline bool key_matches(const struct json_shape_key *key, const struct json_cursor *c) {
    if (__builtin_expect(c->end - c->next < JSON_SHAPE_BYTES, 0))
        return key->size_bytes && (size_t)(c->end - c->next) > key->size_bytes && memcmp(c->next, key->text, key->size_bytes) == 0;
    const __m128i *text = (const __m128i *)(const void *)key->text, *bytes = (const __m128i *)(const void *)c->next;
    uint32_t low = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(bytes), _mm_loadu_si128(text)));
    uint32_t rest = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(_mm_loadu_si128(bytes + 1), _mm_loadu_si128(text + 1)));
    return key->size_bytes && (~(low | rest << 16) & key->mask) == 0;
}
#else
static inline bool key_matches(const struct json_shape_key *key, const struct json_cursor *c) {
    return key->size_bytes && (size_t)(c->end - c->next) > key->size_bytes && memcmp(c->next, key->text, key->size_bytes) == 0;
}
#endif

// A key that is not the expected one. *k: its place in the shape from now on.
static enum json_read find_key(struct json_reader *r, struct json_node *n, uint32_t *k, struct json_node **child) {
    struct json_cursor *c = &r->cursor;
    for (uint32_t ahead = *k + 1; ahead < n->shape_count && ahead <= *k + SHAPE_LOOKAHEAD; ahead++) {
        if (!key_matches(&n->shape[ahead], c)) continue;
        *k = ahead;
        *child = n->shape[ahead].child;
        c->next += n->shape[ahead].size_bytes;
        return JSON_READ_OK;
    }
    struct json_string name;
    const char *start = c->next;
    if (!json_scan_key(c, &name)) return JSON_READ_MALFORMED;
    const char *bytes = name.bytes;
    size_t size_bytes = name.size_bytes;
    bool plain = json_string_is_plain(&name);
    if (!plain) {
        buffer_clear(&r->text);
        if (buffer_reserve(&r->text, json_string_capacity(&name)) != STATUS_OK) return JSON_READ_NO_MEMORY;
        size_bytes = json_string_decode(&name, (char *)r->text.data);
        bytes = (const char *)r->text.data;
    }
    *child = json_node_find(n, bytes, size_bytes);
    // Only `"key":` without blanks is learnt: that is what will be compared.
    if (plain && *start == '"' && bytes == start + 1 && bytes[size_bytes + 1] == ':') json_shape_learn(n, *k, bytes, size_bytes, *child);
    return JSON_READ_OK;
}

// The value of a field that was seen in this object before: the last one wins, whatever it leaves unsaid is NULL again. A value that
// cannot be of the field's type changes nothing.
static void forget_value(struct json_reader *r, struct json_node *n, uint32_t slot) {
    char first = *r->cursor.next;
    bool fits = n->type->id == TYPE_ARRAY ? first == '[' : n->type->id == TYPE_STRUCT || n->type->id == TYPE_MAP ? first == '{' : false;
    if (fits || first == 'n') json_node_clear(n, slot);
}

#if defined(__x86_64__)
// A string that ends, without an escape, within 32 bytes: most that nobody wants do.
static inline bool skip_short_string(struct json_cursor *c) {
    const char *p = c->next + 1;
    if (*c->next != '"' || c->end - p < 32 || (c->flags & JSON_FLAG_STRICT_UTF8)) return false;
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p), rest = _mm_loadu_si128((const __m128i *)(const void *)(p + 16));
    low = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(low, quote), _mm_cmpeq_epi8(low, backslash)), _mm_cmpeq_epi8(_mm_min_epu8(low, control), low));
    rest = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(rest, quote), _mm_cmpeq_epi8(rest, backslash)), _mm_cmpeq_epi8(_mm_min_epu8(rest, control), rest));
    uint32_t special = (uint32_t)_mm_movemask_epi8(low) | (uint32_t)_mm_movemask_epi8(rest) << 16;
    if (!special || p[__builtin_ctz(special)] != '"') return false;
    c->next = p + __builtin_ctz(special) + 1;
    return true;
}
#else
static inline bool skip_short_string(struct json_cursor *c) {
    (void)c;
    return false;
}
#endif

static inline enum json_read skip_unwanted(struct json_cursor *c) {
    if (skip_short_string(c)) return JSON_READ_OK;
    if (*c->next == 'n' && c->end - c->next >= 4 && memcmp(c->next, "null", 4) == 0) {
        c->next += 4;
        return JSON_READ_OK;
    }
    return c->scanner->skip_value(c) ? JSON_READ_OK : JSON_READ_MALFORMED;
}

// The cursor stands behind '{'.
static enum json_read read_object(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    enum json_read result = JSON_READ_OK;
    if (c->depth >= c->depth_limit) return JSON_READ_MALFORMED;
    c->depth++;
    const uint64_t stamp = ++r->stamp;
    bitmap_set(n->validity, slot);
    int byte = json_peek(c);
    if (byte == '}') {
        c->next++;
        c->depth--;
        return result;
    }
    for (uint32_t k = 0;; k++) {
        struct json_node *child;
        if (k < n->shape_count && key_matches(&n->shape[k], c)) {
            child = n->shape[k].child;
            c->next += n->shape[k].size_bytes;
        } else {
            enum json_read found = find_key(r, n, &k, &child);
            if (found != JSON_READ_OK) return found;
        }
        if (json_peek(c) < 0) return JSON_READ_MALFORMED;
        enum json_read read;
        if (child) {
            if (__builtin_expect(child->stamp == stamp, 0)) forget_value(r, child, slot);
            child->stamp = stamp;
            read = json_read_value(r, child, slot);
            if (read >= JSON_READ_MALFORMED) return read;
            if (read != JSON_READ_OK) result = JSON_READ_PARTIAL;
        } else if ((read = skip_unwanted(c)) != JSON_READ_OK) {
            return read;
        }
        byte = json_peek(c);
        if (byte != ',') break;
        c->next++;
        if (json_peek(c) < 0) return JSON_READ_MALFORMED;
    }
    if (byte != '}') return JSON_READ_MALFORMED;
    c->next++;
    c->depth--;
    return result;
}

// Takes back the elements of a list that does not fit.
static enum json_read drop_list(struct json_node *n, uint32_t slot, uint32_t begin) {
    json_list_truncate(n, begin);
    json_list_end(n, slot);
    return JSON_READ_BAD;
}

// The cursor stands behind '['. One element that does not fit spoils the whole array; what is partly read does not.
static enum json_read read_array(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    struct json_node *element = &n->children[0];
    enum json_read result = JSON_READ_OK;
    if (c->depth >= c->depth_limit) return JSON_READ_MALFORMED;
    c->depth++;
    json_list_begin(n, slot);
    const uint32_t begin = n->count;
    bool bad = false;
    int byte = json_peek(c);
    while (byte != ']') {
        if (byte < 0) return JSON_READ_MALFORMED;
        if (bad) {
            if (!c->scanner->skip_value(c)) return JSON_READ_MALFORMED;
        } else {
            if (!json_node_reserve(element, r->output, n->count + 1)) return JSON_READ_NO_MEMORY;
            enum json_read read = json_read_value(r, element, n->count++);
            if (read >= JSON_READ_MALFORMED) return read;
            if (read == JSON_READ_PARTIAL) result = JSON_READ_PARTIAL;
            bad = read == JSON_READ_BAD;
        }
        byte = json_peek(c);
        if (byte == ']') break;
        if (byte != ',') return JSON_READ_MALFORMED;
        c->next++;
        byte = json_peek(c);
        if (byte == ']') return JSON_READ_MALFORMED;
    }
    c->next++;
    c->depth--;
    if (bad) return drop_list(n, slot, begin);
    json_list_end(n, slot);
    bitmap_set(n->validity, slot);
    return result;
}

static enum json_read read_map_key(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_string key;
    if (!json_scan_key(&r->cursor, &key)) return JSON_READ_MALFORMED;
    if (key.size_bytes > UINT32_MAX / 4) return JSON_READ_MALFORMED;
    const char *bytes = key.bytes;
    size_t size_bytes = key.size_bytes;
    if (!json_string_is_plain(&key)) {
        char *decoded = arena_alloc_aligned(r->output, json_string_capacity(&key), 1);
        if (!decoded) return JSON_READ_NO_MEMORY;
        size_bytes = json_string_decode(&key, decoded);
        bytes = decoded;
    }
    ((struct string_view *)n->values)[slot] = string_view_of(bytes, size_bytes);
    bitmap_set(n->validity, slot);
    return JSON_READ_OK;
}

// The cursor stands behind '{'. Entries keep the document's order; equal keys are all kept, as Spark does.
static enum json_read read_map(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    enum json_read result = JSON_READ_OK;
    if (c->depth >= c->depth_limit) return JSON_READ_MALFORMED;
    c->depth++;
    json_list_begin(n, slot);
    const uint32_t begin = n->count;
    bool bad = false;
    int byte = json_peek(c);
    while (byte != '}') {
        if (byte < 0) return JSON_READ_MALFORMED;
        uint32_t entry = n->count;
        if (!json_node_reserve(&n->children[0], r->output, entry + 1) || !json_node_reserve(&n->children[1], r->output, entry + 1))
            return JSON_READ_NO_MEMORY;
        enum json_read read = read_map_key(r, &n->children[0], entry);
        if (read != JSON_READ_OK) return read;
        if (bad) {
            if (!c->scanner->skip_value(c)) return JSON_READ_MALFORMED;
        } else {
            n->count++;
            read = json_read_value(r, &n->children[1], entry);
            if (read >= JSON_READ_MALFORMED) return read;
            if (read == JSON_READ_PARTIAL) result = JSON_READ_PARTIAL;
            bad = read == JSON_READ_BAD;
        }
        byte = json_peek(c);
        if (byte == '}') break;
        if (byte != ',') return JSON_READ_MALFORMED;
        c->next++;
        byte = json_peek(c);
        if (byte == '}') return JSON_READ_MALFORMED;
    }
    c->next++;
    c->depth--;
    if (bad) return drop_list(n, slot, begin);
    json_list_end(n, slot);
    bitmap_set(n->validity, slot);
    return result;
}

// The cursor stands on the value's first byte.
enum json_read json_read_value(struct json_reader *r, struct json_node *n, uint32_t slot) {
    struct json_cursor *c = &r->cursor;
    enum type_id id = n->type->id;
    if (id < TYPE_ARRAY) return json_leaf_read(r, n, slot);
    char first = *c->next;
    if (first == (id == TYPE_ARRAY ? '[' : '{')) {
        c->next++;
        return id == TYPE_STRUCT ? read_object(r, n, slot) : id == TYPE_ARRAY ? read_array(r, n, slot) : read_map(r, n, slot);
    }
    if (!c->scanner->skip_value(c)) return JSON_READ_MALFORMED;
    return first == 'n' ? JSON_READ_OK : JSON_READ_BAD;
}

static void fill_corrupt(struct json_reader *r, uint32_t slot, const char *text, size_t size_bytes) {
    if (!r->corrupt) return;
    ((struct string_view *)r->corrupt->values)[slot] = string_view_of(text, size_bytes);
    bitmap_set(r->corrupt->validity, slot);
}

static void begin_document(struct json_reader *r, const char *text, size_t size_bytes) {
    json_cursor_init(&r->cursor, text, size_bytes, r->cursor.flags, r->cursor.depth_limit, r->cursor.scanner);
}

// By an outline if the document follows one, else by the walk; what the walk has read well is learnt.
static enum json_read read_root_object(struct json_reader *r, uint32_t slot) {
    const char *start = r->cursor.next;
    if (json_outlines_help(&r->outlines)) {
        enum json_read read = json_outline_read(r, slot);
        if (read != JSON_READ_MALFORMED) return read;
    }
    enum json_read read = json_read_value(r, &r->root, slot);
    if (read == JSON_READ_OK && !json_outline_learn(r, start)) return JSON_READ_NO_MEMORY;
    return read;
}

// The root value of a document that is not blank, into `slot`. A single object stands for an ARRAY of one STRUCT.
static enum json_read read_root(struct json_reader *r, uint32_t slot) {
    struct json_node *root = &r->root;
    char first = *r->cursor.next;
    if (first == 'n') return JSON_READ_MALFORMED;
    if (root->type->id == TYPE_STRUCT && first == '{') return read_root_object(r, slot);
    if (root->type->id != TYPE_ARRAY || first != '{' || root->children[0].type->id != TYPE_STRUCT) return json_read_value(r, root, slot);
    json_list_begin(root, slot);
    if (!json_node_reserve(&root->children[0], r->output, root->count + 1)) return JSON_READ_NO_MEMORY;
    enum json_read read = json_read_value(r, &root->children[0], root->count++);
    if (read >= JSON_READ_MALFORMED) return read;
    json_list_end(root, slot);
    bitmap_set(root->validity, slot);
    return read;
}

// One document into one slot of the root. STATUS_NO_MEMORY only.
static enum status read_document(struct json_reader *r, const char *text, size_t size_bytes, uint32_t slot, enum json_outcome *outcome) {
    begin_document(r, text, size_bytes);
    *outcome = JSON_EMPTY;
    if (json_peek(&r->cursor) < 0) return STATUS_OK;
    enum json_read read = size_bytes > UINT32_MAX / 4 ? JSON_READ_BAD : read_root(r, slot);
    *outcome = JSON_OK;
    if (__builtin_expect(read == JSON_READ_OK, 1)) return STATUS_OK;
    *outcome = JSON_MALFORMED;
    if (read == JSON_READ_NO_MEMORY) {
        *outcome = JSON_NO_MEMORY;
        return STATUS_NO_MEMORY;
    }
    if (read != JSON_READ_PARTIAL) json_node_clear(&r->root, slot);
    if (r->root.type->id == TYPE_STRUCT) {
        bitmap_set(r->root.validity, slot);
        fill_corrupt(r, slot, text, size_bytes < UINT32_MAX ? size_bytes : UINT32_MAX);
    }
    return STATUS_OK;
}

enum status json_read_column(struct json_reader *r, const struct column *documents, const struct rows *rows, struct arena *a, struct column *out,
                             uint8_t *outcomes) {
    uint32_t row_count = documents->row_count;
    if (rows->count) {
        uint32_t last = rows_at(rows, rows->count - 1);
        if (last >= row_count) row_count = last + 1;
    }
    r->output = a;
    r->exact_text = false;
    json_outlines_begin(&r->outlines);
    r->cursor.flags &= ~(uint32_t)JSON_FLAG_STRICT_UTF8;
    if (!json_node_begin(&r->root, a, row_count)) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        enum json_outcome outcome = JSON_EMPTY;
        if (column_is_valid(documents, row)) {
            const struct string_view *document = column_string(documents, row);
            TRY(read_document(r, string_view_data(document), document->size_bytes, row, &outcome));
        }
        if (outcomes) outcomes[row] = (uint8_t)outcome;
    }
    return json_node_finish(&r->root, a, row_count, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status json_rows_begin(struct json_reader *r, struct arena *a, uint32_t row_capacity) {
    if (r->root.type->id != TYPE_STRUCT) return STATUS_INVALID_ARGUMENT;
    r->output = a;
    r->exact_text = true;
    json_outlines_begin(&r->outlines);
    r->row_count = 0;
    r->cursor.flags |= JSON_FLAG_STRICT_UTF8;
    return json_node_begin(&r->root, a, row_capacity) ? STATUS_OK : STATUS_NO_MEMORY;
}

// A line with an array: each element is a row; any that is no object spoils the line, which is then one row of NULLs.
static enum json_read read_rows(struct json_reader *r, uint32_t *row_count) {
    struct json_cursor *c = &r->cursor;
    enum json_read result = JSON_READ_OK;
    c->next++;
    c->depth++;
    int byte = json_peek(c);
    while (byte != ']') {
        if (byte != '{') return JSON_READ_MALFORMED;
        if (!json_node_reserve(&r->root, r->output, r->row_count + *row_count + 1)) return JSON_READ_NO_MEMORY;
        enum json_read read = json_read_value(r, &r->root, r->row_count + (*row_count)++);
        if (read >= JSON_READ_MALFORMED) return read;
        if (read != JSON_READ_OK) result = JSON_READ_PARTIAL;
        byte = json_peek(c);
        if (byte == ']') break;
        if (byte != ',') return JSON_READ_MALFORMED;
        c->next++;
        byte = json_peek(c);
        if (byte == ']') return JSON_READ_MALFORMED;
    }
    return result;
}

enum status json_rows_add(struct json_reader *r, const char *line, size_t size_bytes, uint32_t *row_count, enum json_outcome *outcome) {
    uint32_t first_row = r->row_count;
    *row_count = 1;
    if (!json_node_reserve(&r->root, r->output, first_row + 1)) return STATUS_NO_MEMORY;
    begin_document(r, line, size_bytes);
    int first = json_peek(&r->cursor);
    if (first != '[') {
        TRY(read_document(r, line, size_bytes, first_row, outcome));
        if (*outcome == JSON_EMPTY) *row_count = 0;
        r->row_count += *row_count;
        return STATUS_OK;
    }
    *row_count = 0;
    enum json_read read = size_bytes > UINT32_MAX / 4 ? JSON_READ_MALFORMED : read_rows(r, row_count);
    *outcome = read == JSON_READ_OK ? JSON_OK : JSON_MALFORMED;
    if (read == JSON_READ_NO_MEMORY) {
        *outcome = JSON_NO_MEMORY;
        return STATUS_NO_MEMORY;
    }
    if (read == JSON_READ_MALFORMED) {
        for (uint32_t i = *row_count; i-- > 0;) json_node_clear(&r->root, first_row + i);
        bitmap_set(r->root.validity, first_row);
        *row_count = 1;
    }
    for (uint32_t i = 0; i < *row_count && read != JSON_READ_OK; i++) fill_corrupt(r, first_row + i, line, size_bytes);
    r->row_count += *row_count;
    return STATUS_OK;
}

enum status json_rows_finish(struct json_reader *r, struct column *out) {
    return json_node_finish(&r->root, r->output, r->row_count, out) ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status json_read_line(struct json_reader *r, const char *line, size_t size_bytes, struct column_builder *out, uint32_t *row_count,
                           enum json_outcome *outcome) {
    struct column rows;
    *row_count = 0;
    arena_reset(&r->line_arena);
    TRY(json_rows_begin(r, &r->line_arena, 1));
    r->output = out->arena;  // decoded strings must outlive the line
    TRY(json_rows_add(r, line, size_bytes, row_count, outcome));
    r->output = &r->line_arena;
    TRY(json_rows_finish(r, &rows));
    for (uint32_t row = 0; row < *row_count; row++) column_builder_append_from(out, &rows, row);
    return out->failed ? STATUS_NO_MEMORY : STATUS_OK;
}
