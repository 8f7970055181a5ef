// SPDX-License-Identifier: Apache-2.0
// outline.c: learning outlines and following them. See outline.h.
//
// A wanted STRUCT that is null is text, so that documents with and without it have outlines of their own; every other value is a step
// that takes whatever stands there. The outline followed last is tried first.
#include "json/outline.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

enum { OUTLINE_NESTING = 16, OUTLINE_LEARN_MAX = 16 };

// --- learning ---

struct learner {
    struct json_reader *reader;
    struct json_cursor cursor;
    struct json_outline *outline;
    const char *text;  // of the step to come: where it begins
};

static bool add_piece(struct learner *l, size_t size_bytes, enum json_outline_action action, struct json_node *node) {
    struct json_outline *o = l->outline;
    if (o->step_count == JSON_OUTLINE_STEPS) return false;
    struct json_outline_step *step = &o->steps[o->step_count++];
    *step = (struct json_outline_step){.size_bytes = (uint8_t)size_bytes, .action = (uint8_t)action, .depth = (uint16_t)l->cursor.depth, .node = node};
    step->mask = size_bytes == JSON_OUTLINE_BYTES ? UINT64_MAX : ((uint64_t)1 << size_bytes) - 1;
    memcpy(step->text, l->text, size_bytes);
    l->text += size_bytes;
    return true;
}

// The text up to the cursor, then the action.
static bool add_step(struct learner *l, enum json_outline_action action, struct json_node *node) {
    if (!utf8_valid(l->text, (size_t)(l->cursor.next - l->text))) return false;
    while (l->cursor.next - l->text > JSON_OUTLINE_BYTES)
        if (!add_piece(l, JSON_OUTLINE_BYTES, JSON_OUTLINE_TEXT, NULL)) return false;
    return add_piece(l, (size_t)(l->cursor.next - l->text), action, node);
}

static bool learn_object(struct learner *l, struct json_node *n, unsigned nesting);

static enum json_outline_action action_for(enum type_id id) {
    if (id == TYPE_STRING) return JSON_OUTLINE_STRING;
    return id == TYPE_NULL || id >= TYPE_ARRAY ? JSON_OUTLINE_VALUE : JSON_OUTLINE_LEAF;
}

// The cursor stands on the value's first byte. `child`: NULL if nobody wants it.
static bool learn_value(struct learner *l, struct json_node *child, unsigned nesting) {
    struct json_cursor *c = &l->cursor;
    bool is_struct = child && child->type->id == TYPE_STRUCT;
    if (*c->next == '{' && (!child || is_struct) && nesting < OUTLINE_NESTING) return learn_object(l, child, nesting);
    if (is_struct && *c->next == 'n') return json_scan_literal(c, "null", 4);
    enum json_outline_action action = !child ? JSON_OUTLINE_SKIP : action_for(child->type->id);
    if (!add_step(l, action, child) || !c->scanner->skip_value(c)) return false;
    l->text = c->next;
    return true;
}

// The cursor stands on '{'. Keys with escapes and wanted keys given twice are left to the walk.
static bool learn_object(struct learner *l, struct json_node *n, unsigned nesting) {
    struct json_cursor *c = &l->cursor;
    const uint64_t stamp = ++l->reader->stamp;
    if (n) {
        if (l->outline->struct_count == JSON_OUTLINE_STRUCTS) return false;
        l->outline->structs[l->outline->struct_count++] = n;
    }
    c->next++;
    c->depth++;
    for (int byte = json_peek(c); byte != '}';) {
        struct json_string name;
        if (!json_scan_key(c, &name) || !json_string_is_plain(&name)) return false;
        struct json_node *child = n ? json_node_find(n, name.bytes, name.size_bytes) : NULL;
        if (child && child->stamp == stamp) return false;
        if (child) child->stamp = stamp;
        if (!learn_value(l, child, nesting + 1)) return false;
        byte = json_peek(c);
        if (byte == '}') break;
        if (byte != ',') return false;
        c->next++;
        if (json_peek(c) < 0) return false;
    }
    c->next++;
    c->depth--;
    return true;
}

bool json_outline_learn(struct json_reader *r, const char *start) {
    struct json_outlines *o = &r->outlines;
    if (o->learnt == OUTLINE_LEARN_MAX) return true;
    o->learnt++;
    struct learner l = {.reader = r, .cursor = r->cursor, .text = start};
    uint32_t at = o->count < JSON_OUTLINES ? o->count : JSON_OUTLINES - 1;
    if (!o->kept[at]) {
        struct json_outline *outline = arena_alloc_zeroed(&r->arena, sizeof *outline);
        if (!outline) return false;
        outline->steps = arena_alloc_array(&r->arena, JSON_OUTLINE_STEPS, sizeof *outline->steps);
        if (!outline->steps) return false;
        o->kept[at] = outline;
    }
    l.outline = o->kept[at];
    l.outline->step_count = l.outline->struct_count = 0;
    l.cursor.next = start;
    l.cursor.depth = 0;
    bool learnt = learn_object(&l, &r->root, 0) && add_step(&l, JSON_OUTLINE_END, NULL);
    o->count = learnt ? at + 1 : at;
    return true;
}

// --- following ---

static inline bool match_bytes(const struct json_outline_step *step, const char *p, const char *end) {
    return (size_t)(end - p) >= step->size_bytes && memcmp(p, step->text, step->size_bytes) == 0;
}

static inline const char *find_bytes(const struct json_cursor *c, const char *p, const char *end, uint32_t *high) {
#if defined(__x86_64__)
    if (end - p >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i special = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                                       _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes));
        uint32_t mask = (uint32_t)_mm_movemask_epi8(special), high_bits = (uint32_t)_mm_movemask_epi8(bytes);
        *high |= mask ? high_bits & (mask ^ (mask - 1)) : high_bits;
        if (mask) return p + __builtin_ctz(mask);
        p += 16;
    }
#endif
    return c->scanner->find_special(c->begin, p, end, high);
}

// A whole number without a sign, as most are: where it ends; NULL: something else, or more to it. What follows is the next step's text.
static inline const char *plain_number_end(const char *p, const char *end) {
    if (*p < '1' || *p > '9') return NULL;
    const char *begin = p;
    while (p < end && (unsigned char)(*p - '0') <= 9) p++;
    return p < end && p - begin <= 18 && (*p == ',' || *p == '}') ? p : NULL;
}

#define OUTLINE_NAME follow_portable
#define OUTLINE_MATCH match_bytes
#define OUTLINE_FIND find_bytes
#define OUTLINE_TARGET
#include "json/outline_template.h"

#if defined(__x86_64__)
#define AVX512 __attribute__((target("avx512f,avx512bw,bmi,bmi2")))

// Most texts are short: half a register crosses fewer cache lines.
AVX512 static inline bool match_avx512(const struct json_outline_step *step, const char *p, const char *end) {
    if (__builtin_expect(end - p < 64, 0)) return match_bytes(step, p, end);
    if (step->size_bytes <= 32) {
        __m256i same = _mm256_cmpeq_epi8(_mm256_loadu_si256((const void *)p), _mm256_loadu_si256((const void *)step->text));
        return !(~(uint32_t)_mm256_movemask_epi8(same) & (uint32_t)step->mask);
    }
    return !_mm512_mask_cmpneq_epi8_mask(step->mask, _mm512_loadu_si512((const void *)p), _mm512_loadu_si512((const void *)step->text));
}

AVX512 static inline __mmask64 special_avx512(__m512i bytes) {
    return _kor_mask64(_kor_mask64(_mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('"')), _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\\'))),
                       _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20)));
}

AVX512 static inline const char *find_avx512(const struct json_cursor *c, const char *p, const char *end, uint32_t *high) {
    for (; __builtin_expect(end - p >= 64, 1); p += 64) {
        __m512i bytes = _mm512_loadu_si512((const void *)p);
        uint64_t special = _cvtmask64_u64(special_avx512(bytes)), high_bits = _cvtmask64_u64(_mm512_movepi8_mask(bytes));
        if (special) {
            *high |= (high_bits & _blsmsk_u64(special)) != 0;
            return p + _tzcnt_u64(special);
        }
        *high |= high_bits != 0;
    }
    return find_bytes(c, p, end, high);
}

#define OUTLINE_NAME follow_avx512
#define OUTLINE_MATCH match_avx512
#define OUTLINE_FIND find_avx512
#define OUTLINE_TARGET AVX512
#include "json/outline_template.h"
#endif

static inline enum json_read follow(struct json_reader *r, const struct json_outline *outline, uint32_t slot) {
#if defined(__x86_64__)
    if (r->cursor.scanner->lanes == 64) return follow_avx512(r, outline, slot);
#endif
    return follow_portable(r, outline, slot);
}

enum json_read json_outline_read(struct json_reader *r, uint32_t slot) {
    struct json_outlines *o = &r->outlines;
    const char *start = r->cursor.next;
    o->documents++;
    for (uint32_t i = 0; i < o->count; i++) {
        struct json_outline *outline = o->kept[i];
        enum json_read read = follow(r, outline, slot);
        if (read != JSON_READ_MALFORMED) {
            memmove(o->kept + 1, o->kept, i * sizeof *o->kept);
            o->kept[0] = outline;
            return read;
        }
        r->cursor.next = start;
        r->cursor.depth = 0;
        json_node_clear(&r->root, slot);
    }
    o->strayed++;
    return JSON_READ_MALFORMED;
}
