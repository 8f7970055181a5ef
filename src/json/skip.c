// SPDX-License-Identifier: Apache-2.0
// skip.c: the parts of the scanner that are chosen by processor: the byte search in strings and the skipping of unwanted values.
//
// The search looks at 1, 16, 32 or 64 bytes at a time for a quote, a backslash or a control character, and notes whether it passed
// bytes above 0x7f. A wide load that would pass the end is done backwards from it and shifted, so nothing outside the document is read.
#include "json/scan.h"
#include "base/bitmap.h"
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static inline bool is_special(unsigned char byte) { return byte == '"' || byte == '\\' || byte < 0x20; }

static inline const char *find_scalar(const char *begin, const char *p, const char *end, uint32_t *high) {
    (void)begin;
    uint32_t seen = 0;
    while (p < end && !is_special((unsigned char)*p)) seen |= (unsigned char)*p++ & 0x80u;
    *high |= seen;
    return p;
}

// A number, a literal, or a string in single quotes.
static bool skip_scalar(struct json_cursor *c) {
    struct json_string string;
    struct json_number number;
    switch (*c->next) {
    case 't': return json_scan_literal(c, "true", 4);
    case 'f': return json_scan_literal(c, "false", 5);
    case 'n': return json_scan_literal(c, "null", 4);
    case '\'': return json_scan_quoted(c, &string);
    default: break;
    }
    // Whole numbers without a sign or a zero in front need no arithmetic here.
    const char *p = c->next;
    if (*p >= '1' && *p <= '9') {
        while (p < c->end && (unsigned char)(*p - '0') <= 9) p++;
        if (p < c->end && (*p == ',' || *p == '}' || *p == ']')) {
            c->next = p;
            return true;
        }
    }
    return json_scan_number(c, &number);
}

// A key and its colon; most have no escapes and no blanks around them.
static inline bool skip_key(struct json_cursor *c) {
    struct json_string ignored;
    if (c->next == c->end || *c->next != '"') return json_scan_key(c, &ignored);
    c->next++;
    if (!json_scan_string(c, &ignored) || json_peek(c) != ':') return false;
    c->next++;
    return json_peek(c) >= 0;
}

#define SKIP_NAME skip_value_scalar
#define SKIP_FIND find_scalar
#define SKIP_TARGET
#include "json/skip_template.h"

static const struct json_scanner scanner_scalar = {"scalar", 1, find_scalar, skip_value_scalar};

#if defined(__x86_64__)

// Lowest set bit of `special` as a place from p; the bytes before it tell *high.
static inline const char *place_of(const char *p, uint64_t special, uint64_t high_bits, uint32_t *high) {
    uint32_t at = (uint32_t)__builtin_ctzll(special);
    *high |= (high_bits & (((uint64_t)1 << at) - 1)) != 0;
    return p + at;
}

static inline void masks_sse2(const char *p, uint64_t *special, uint64_t *high) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i found = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\'))),
                                 _mm_cmpeq_epi8(_mm_min_epu8(bytes, _mm_set1_epi8(0x1f)), bytes));
    *special = (uint32_t)_mm_movemask_epi8(found);
    *high = (uint32_t)_mm_movemask_epi8(bytes);
}

static inline const char *find_sse2(const char *begin, const char *p, const char *end, uint32_t *high) {
    uint64_t special, high_bits;
    while (end - p >= 16) {
        masks_sse2(p, &special, &high_bits);
        if (special) return place_of(p, special, high_bits, high);
        *high |= high_bits != 0;
        p += 16;
    }
    if (end - begin < 16) return find_scalar(begin, p, end, high);
    if (p == end) return end;
    masks_sse2(end - 16, &special, &high_bits);
    uint32_t passed = (uint32_t)(16 - (end - p));
    special >>= passed;
    high_bits >>= passed;
    if (special) return place_of(p, special, high_bits, high);
    *high |= high_bits != 0;
    return end;
}

__attribute__((target("avx2"))) static inline void masks_avx2(const char *p, uint64_t *special, uint64_t *high) {
    __m256i bytes = _mm256_loadu_si256((const __m256i *)(const void *)p);
    __m256i found = _mm256_or_si256(_mm256_or_si256(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('"')), _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8('\\'))),
                                    _mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes));
    *special = (uint32_t)_mm256_movemask_epi8(found);
    *high = (uint32_t)_mm256_movemask_epi8(bytes);
}

__attribute__((target("avx2"))) static inline const char *find_avx2(const char *begin, const char *p, const char *end, uint32_t *high) {
    uint64_t special, high_bits;
    while (end - p >= 32) {
        masks_avx2(p, &special, &high_bits);
        if (special) return place_of(p, special, high_bits, high);
        *high |= high_bits != 0;
        p += 32;
    }
    return find_sse2(begin, p, end, high);
}

__attribute__((target("avx512f,avx512bw,bmi,bmi2"))) static inline const char *find_avx512(const char *begin, const char *p, const char *end,
                                                                                          uint32_t *high) {
    (void)begin;
    while (end - p >= 64) {
        __m512i bytes = _mm512_loadu_si512((const void *)p);
        uint64_t special = _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('"')) | _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8('\\')) |
                           _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20));
        uint64_t high_bits = _mm512_movepi8_mask(bytes);
        if (special) return place_of(p, special, high_bits, high);
        *high |= high_bits != 0;
        p += 64;
    }
    if (p == end) return end;
    // Only the lanes before the end are loaded.
    __mmask64 lanes = _bzhi_u64(UINT64_MAX, (unsigned)(end - p));
    __m512i bytes = _mm512_maskz_loadu_epi8(lanes, (const void *)p);
    uint64_t special = _mm512_mask_cmpeq_epi8_mask(lanes, bytes, _mm512_set1_epi8('"')) | _mm512_mask_cmpeq_epi8_mask(lanes, bytes, _mm512_set1_epi8('\\')) |
                       _mm512_mask_cmplt_epu8_mask(lanes, bytes, _mm512_set1_epi8(0x20));
    uint64_t high_bits = _mm512_movepi8_mask(bytes);
    if (special) return place_of(p, special, high_bits, high);
    *high |= high_bits != 0;
    return end;
}

#define SKIP_NAME skip_value_sse2
#define SKIP_FIND find_sse2
#define SKIP_TARGET
#include "json/skip_template.h"

#define SKIP_NAME skip_value_avx2
#define SKIP_FIND find_avx2
#define SKIP_TARGET __attribute__((target("avx2")))
#include "json/skip_template.h"

#define SKIP_NAME skip_value_avx512
#define SKIP_FIND find_avx512
#define SKIP_TARGET __attribute__((target("avx512f,avx512bw,bmi,bmi2")))
#include "json/skip_template.h"

static const struct json_scanner scanner_sse2 = {"sse2", 16, find_sse2, skip_value_sse2};
static const struct json_scanner scanner_avx2 = {"avx2", 32, find_avx2, skip_value_avx2};
static const struct json_scanner scanner_avx512 = {"avx512", 64, find_avx512, skip_value_avx512};

static bool have_avx512(void) { return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"); }

size_t json_scanner_list(const struct json_scanner **out, size_t capacity) {
    const struct json_scanner *all[] = {&scanner_scalar, &scanner_sse2, &scanner_avx2, &scanner_avx512};
    const bool supported[] = {true, true, __builtin_cpu_supports("avx2") != 0, have_avx512()};
    size_t count = 0;
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        if (supported[i] && count < capacity) out[count++] = all[i];
    return count;
}

#else

size_t json_scanner_list(const struct json_scanner **out, size_t capacity) {
    if (capacity) out[0] = &scanner_scalar;
    return capacity ? 1 : 0;
}

#endif

const struct json_scanner *json_scanner_best(void) {
    const struct json_scanner *all[8];
    return all[json_scanner_list(all, 8) - 1];
}
