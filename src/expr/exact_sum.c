// SPDX-License-Identifier: Apache-2.0
// exact_sum.c: see exact_sum.h.
#include "expr/exact_sum.h"
#include "base/memory.h"
#include <math.h>
#include <string.h>

enum { CHUNKS = 68, CHUNK_BITS = 32, LEAST_EXPONENT = -1074, MANTISSA_BITS = 53, SPAN = 3 };
#define MOST_ADDITIONS (UINT32_C(1) << 30)

// A sum as sign and magnitude: digits below 2^32 each.
struct canonical {
    uint64_t digits[CHUNKS];
    bool negative;
    uint32_t begin, end;   // digits outside are 0; begin = end: the value is 0
};

static int64_t carry_all(const struct exact_sum *s, bool negate, uint64_t *digits) {
    int64_t carry = 0;
    for (uint32_t k = 0; k < CHUNKS; k++) {
        int64_t chunk = k >= s->low && k < (uint32_t)s->low + s->count ? s->chunks[k - s->low] : 0;
        int64_t sum = (negate ? -chunk : chunk) + carry;
        digits[k] = (uint64_t)sum & UINT32_MAX;
        carry = sum >> CHUNK_BITS;
    }
    return carry;
}

static void canonical_of(const struct exact_sum *s, struct canonical *c) {
    c->negative = carry_all(s, false, c->digits) < 0;
    if (c->negative) (void)carry_all(s, true, c->digits);
    c->begin = 0;
    c->end = CHUNKS;
    while (c->end && !c->digits[c->end - 1]) c->end--;
    while (c->begin < c->end && !c->digits[c->begin]) c->begin++;
}

// Room for the chunks [begin, end).
static enum status reserve(struct exact_sum *s, uint32_t begin, uint32_t end, struct memory *memory) {
    uint32_t low = s->low, high = low + s->count;
    if (s->count && begin >= low && end <= high) return STATUS_OK;
    if (s->count && low < begin) begin = low;
    if (s->count && high > end) end = high;
    int64_t *chunks = memory_alloc_zeroed(memory, (end - begin) * sizeof *chunks);
    if (!chunks) return STATUS_NO_MEMORY;
    if (s->count) memcpy(chunks + (low - begin), s->chunks, s->count * sizeof *chunks);
    if (s->count) memory_free(memory, s->chunks, s->count * sizeof *chunks);
    s->chunks = chunks;
    s->low = (uint16_t)begin;
    s->count = (uint16_t)(end - begin);
    return STATUS_OK;
}

static enum status pass_carries(struct exact_sum *s, struct memory *memory) {
    struct canonical c;
    canonical_of(s, &c);
    if (c.begin < c.end) TRY(reserve(s, c.begin, c.end, memory));
    for (uint32_t k = 0; k < s->count; k++) {
        int64_t digit = (int64_t)c.digits[s->low + k];
        s->chunks[k] = c.negative ? -digit : digit;
    }
    s->additions = 0;
    return STATUS_OK;
}

enum status exact_sum_add(struct exact_sum *s, double value, bool negated, struct memory *memory) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint64_t mantissa = bits & ((UINT64_C(1) << 52) - 1);
    uint32_t exponent = (uint32_t)(bits >> 52) & 0x7ff;
    if (exponent) mantissa |= UINT64_C(1) << 52;
    if (!mantissa) return STATUS_OK;
    uint32_t shift = exponent ? exponent - 1 : 0, first = shift / CHUNK_BITS;
    TRY(reserve(s, first, first + SPAN, memory));
    if (s->additions >= MOST_ADDITIONS) TRY(pass_carries(s, memory));
    s->additions++;
    unsigned __int128 shifted = (unsigned __int128)mantissa << shift % CHUNK_BITS;
    int64_t *chunks = s->chunks + (first - s->low);
    int64_t parts[SPAN] = {(int64_t)(shifted & UINT32_MAX), (int64_t)(shifted >> 32 & UINT32_MAX), (int64_t)(shifted >> 64)};
    bool negative = (bits >> 63 != 0) != negated;
    for (uint32_t k = 0; k < SPAN; k++) chunks[k] += negative ? -parts[k] : parts[k];
    return STATUS_OK;
}

enum status exact_sum_merge(struct exact_sum *s, const struct exact_sum *other, struct memory *memory) {
    struct canonical c;
    canonical_of(other, &c);
    if (c.begin == c.end) return STATUS_OK;
    TRY(reserve(s, c.begin, c.end, memory));
    if (s->additions >= MOST_ADDITIONS) TRY(pass_carries(s, memory));
    s->additions++;
    for (uint32_t k = c.begin; k < c.end; k++) {
        int64_t digit = (int64_t)c.digits[k];
        s->chunks[k - s->low] += c.negative ? -digit : digit;
    }
    return STATUS_OK;
}

// Bits [from, from + 64) of the magnitude; *rest: whether a bit below is set.
static uint64_t bits_from(const struct canonical *c, uint32_t from, bool *rest) {
    uint64_t bits = 0;
    *rest = false;
    for (uint32_t k = 0; k <= from / CHUNK_BITS && k < CHUNKS; k++) {
        uint64_t below = k < from / CHUNK_BITS ? c->digits[k] : c->digits[k] & ((UINT64_C(1) << from % CHUNK_BITS) - 1);
        if (below) *rest = true;
    }
    for (uint32_t i = 0; i < 3 && from / CHUNK_BITS + i < CHUNKS; i++) {
        unsigned __int128 digit = (unsigned __int128)c->digits[from / CHUNK_BITS + i] << (i * CHUNK_BITS);
        bits |= (uint64_t)(digit >> from % CHUNK_BITS);
    }
    return bits;
}

double exact_sum_value(const struct exact_sum *s) {
    struct canonical c;
    canonical_of(s, &c);
    if (c.begin == c.end) return 0;
    uint32_t top = (c.end - 1) * CHUNK_BITS + (63 - (uint32_t)__builtin_clzll(c.digits[c.end - 1]));
    uint32_t from = top < MANTISSA_BITS ? 0 : top - MANTISSA_BITS + 1;
    bool rest;
    uint64_t mantissa = bits_from(&c, from, &rest) & ((UINT64_C(1) << MANTISSA_BITS) - 1);
    if (from) {
        bool below;
        bool half = bits_from(&c, from - 1, &below) & 1;
        if (half && (below || (mantissa & 1))) mantissa++;
    }
    double value = ldexp((double)mantissa, (int)from + LEAST_EXPONENT);
    return c.negative ? -value : value;
}

enum status exact_sum_save(const struct exact_sum *s, struct buffer *out) {
    struct canonical c;
    canonical_of(s, &c);
    TRY(write_varint(out, c.end - c.begin));
    if (c.begin == c.end) return STATUS_OK;
    TRY(buffer_append_byte(out, c.negative));
    TRY(write_varint(out, c.begin));
    for (uint32_t k = c.begin; k < c.end; k++) TRY(write_fixed32(out, (uint32_t)c.digits[k]));
    return STATUS_OK;
}

bool exact_sum_load(struct exact_sum *s, struct reader *in, struct memory *memory) {
    uint64_t count = read_varint(in);
    if (in->failed || count > CHUNKS) return false;
    if (!count) return true;
    uint8_t negative = read_byte(in);
    uint64_t begin = read_varint(in);
    if (in->failed || negative > 1 || begin > CHUNKS - count) return false;
    if (reserve(s, (uint32_t)begin, (uint32_t)(begin + count), memory) != STATUS_OK) return false;
    for (uint64_t k = 0; k < count; k++) {
        int64_t digit = read_fixed32(in);
        s->chunks[k] = negative ? -digit : digit;
    }
    return !in->failed;
}

void exact_sum_release(struct exact_sum *s, struct memory *memory) {
    if (s->count) memory_free(memory, s->chunks, s->count * sizeof *s->chunks);
    *s = (struct exact_sum){.chunks = NULL};
}
