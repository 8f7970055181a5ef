// SPDX-License-Identifier: Apache-2.0
// value.c: hashing, equality and order of values of any type.
//
// A value becomes one 64-bit word, and the word is mixed into the row's hash. Fixed-width columns have a loop each, which the
// compiler can unroll; everything else goes row by row. Floats are brought to one form first (one NaN, one zero), so that equal
// values hash alike. Maps are compared as the list of their entries, in the order they are stored.
#include "column/value.h"
#include "base/checksum.h"
#include <math.h>

static const uint64_t null_word = UINT64_C(0xa0761d6478bd642f), string_seed = UINT64_C(0xe7037ed1a0b428db);

// The finaliser of splitmix64: every bit of the input moves every bit of the result.
static inline uint64_t mix(uint64_t hash, uint64_t word) {
    uint64_t x = hash ^ word;
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (x ^ (x >> 31)) + UINT64_C(0x9e3779b97f4a7c15);
}

static inline uint64_t word_of_int(int64_t value) { return (uint64_t)value; }

static inline uint64_t word_of_double(double value) {
    if (isnan(value)) return UINT64_C(0x7ff8000000000000);
    value = value == 0 ? 0.0 : value;
    uint64_t word;
    memcpy(&word, &value, sizeof word);
    return word;
}

static inline uint64_t word_of_decimal(__int128 value) {
    uint64_t low = (uint64_t)value, high = (uint64_t)(value >> 64);
    return low ^ (high ^ (uint64_t)((int64_t)low >> 63)) * UINT64_C(0x9fb21c651e98df25);  // of a small one: the low word alone
}

static inline uint64_t word_of_string(const struct string_view *v) {
    if (v->size_bytes > STRING_INLINE_MAX) return checksum64(string_view_data(v), v->size_bytes, string_seed);
    uint64_t words[2];
    memcpy(words, v, sizeof words);
    return mix(mix(string_seed, words[0]), words[1]);
}

static uint64_t word_of(const struct column *c, uint32_t row);

static uint64_t word_of_nested(const struct column *base, uint32_t index) {
    uint32_t begin = index, end = index + 1;
    uint64_t hash = base->type->id;
    if (base->type->id != TYPE_STRUCT) {
        const int32_t *offsets = base->values;
        begin = (uint32_t)offsets[index];
        end = (uint32_t)offsets[index + 1];
        hash = mix(hash, end - begin);
    }
    for (uint32_t row = begin; row < end; row++) {
        for (uint32_t i = 0; i < base->type->field_count; i++) hash = mix(hash, word_of(&base->children[i], row));
    }
    return hash;
}

static uint64_t word_of(const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return null_word;
    const struct column *base = column_base(c);
    uint32_t index = column_index(c, row);
    const void *values = base->values;
    switch (base->type->id) {
    case TYPE_BOOLEAN: return word_of_int(((const uint8_t *)values)[index] != 0);
    case TYPE_TINYINT: return word_of_int(((const int8_t *)values)[index]);
    case TYPE_SMALLINT: return word_of_int(((const int16_t *)values)[index]);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: return word_of_int(((const int32_t *)values)[index]);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: return word_of_int(((const int64_t *)values)[index]);
    case TYPE_FLOAT: return word_of_double((double)((const float *)values)[index]);
    case TYPE_DOUBLE: return word_of_double(((const double *)values)[index]);
    case TYPE_DECIMAL: return word_of_decimal(((const __int128 *)values)[index]);
    case TYPE_STRING:
    case TYPE_BINARY: return word_of_string((const struct string_view *)values + index);
    case TYPE_INTERVAL: {
        const struct calendar_interval *interval = (const struct calendar_interval *)values + index;
        return mix(mix(word_of_int(interval->months), word_of_int(interval->days)), word_of_int(interval->us));
    }
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return word_of_nested(base, index);
    case TYPE_NULL: break;
    }
    return null_word;
}

// The loops for FLAT columns without NULLs: over all rows, or over those selected.
#define HASH_FLAT(name, c_type, word_of_value)                                                                               \
    static void hash_flat_##name(const struct column *c, const struct rows *rows, uint64_t *hashes) {                        \
        const c_type *values = c->values;                                                                                    \
        if (!rows->indices) {                                                                                                \
            for (uint32_t i = 0; i < rows->count; i++) hashes[i] = mix(hashes[i], word_of_value(values[i]));                 \
        } else {                                                                                                             \
            for (uint32_t i = 0; i < rows->count; i++) {                                                                     \
                uint32_t row = rows->indices[i];                                                                             \
                hashes[row] = mix(hashes[row], word_of_value(values[row]));                                                  \
            }                                                                                                                \
        }                                                                                                                    \
    }
static inline uint64_t word_of_view(struct string_view v) { return word_of_string(&v); }
HASH_FLAT(int8, int8_t, word_of_int)
HASH_FLAT(int16, int16_t, word_of_int)
HASH_FLAT(int32, int32_t, word_of_int)
HASH_FLAT(int64, int64_t, word_of_int)
HASH_FLAT(float, float, word_of_double)
HASH_FLAT(double, double, word_of_double)
HASH_FLAT(decimal, __int128, word_of_decimal)
HASH_FLAT(string, struct string_view, word_of_view)
#undef HASH_FLAT

static bool hash_flat(const struct column *c, const struct rows *rows, uint64_t *hashes) {
    switch (c->type->id) {
    case TYPE_TINYINT: hash_flat_int8(c, rows, hashes); return true;
    case TYPE_SMALLINT: hash_flat_int16(c, rows, hashes); return true;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: hash_flat_int32(c, rows, hashes); return true;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: hash_flat_int64(c, rows, hashes); return true;
    case TYPE_FLOAT: hash_flat_float(c, rows, hashes); return true;
    case TYPE_DOUBLE: hash_flat_double(c, rows, hashes); return true;
    case TYPE_DECIMAL: hash_flat_decimal(c, rows, hashes); return true;
    case TYPE_STRING:
    case TYPE_BINARY: hash_flat_string(c, rows, hashes); return true;
    default: return false;
    }
}

void value_hash_column(const struct column *c, const struct rows *rows, uint64_t *hashes) {
    if (c->form == COLUMN_FLAT && !c->validity && hash_flat(c, rows, hashes)) return;
    uint64_t constant = c->form == COLUMN_CONSTANT && rows->count ? word_of(c, 0) : 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        hashes[row] = mix(hashes[row], c->form == COLUMN_CONSTANT ? constant : word_of(c, row));
    }
}

static int compare_doubles(double a, double b) {
    if (isnan(a) || isnan(b)) return (isnan(a) != 0) - (isnan(b) != 0);
    return (a > b) - (a < b);
}

// NULL before anything else, as Spark orders within arrays and structs.
static int compare_nullable(const struct column *a, uint32_t a_row, const struct column *b, uint32_t b_row) {
    bool a_valid = column_is_valid(a, a_row), b_valid = column_is_valid(b, b_row);
    if (!a_valid || !b_valid) return (int)a_valid - (int)b_valid;
    return value_compare(a, a_row, b, b_row);
}

static int compare_nested(const struct column *a, uint32_t a_index, const struct column *b, uint32_t b_index) {
    uint32_t field_count = a->type->field_count < b->type->field_count ? a->type->field_count : b->type->field_count;
    uint32_t a_count = 1, b_count = 1;
    if (a->type->id != TYPE_STRUCT) {
        const int32_t *a_offsets = a->values, *b_offsets = b->values;
        a_count = (uint32_t)(a_offsets[a_index + 1] - a_offsets[a_index]);
        b_count = (uint32_t)(b_offsets[b_index + 1] - b_offsets[b_index]);
        a_index = (uint32_t)a_offsets[a_index];
        b_index = (uint32_t)b_offsets[b_index];
    }
    for (uint32_t k = 0; k < a_count && k < b_count; k++) {
        for (uint32_t i = 0; i < field_count; i++) {
            int order = compare_nullable(&a->children[i], a_index + k, &b->children[i], b_index + k);
            if (order) return order;
        }
    }
    return (a_count > b_count) - (a_count < b_count);
}

static int compare_intervals(const struct calendar_interval *a, const struct calendar_interval *b) {
    if (a->months != b->months) return a->months < b->months ? -1 : 1;
    if (a->days != b->days) return a->days < b->days ? -1 : 1;
    return (a->us > b->us) - (a->us < b->us);
}

static inline int compare_ints(int64_t a, int64_t b) { return (a > b) - (a < b); }

int value_compare(const struct column *a, uint32_t a_row, const struct column *b, uint32_t b_row) {
    const struct column *x = column_base(a), *y = column_base(b);
    uint32_t i = column_index(a, a_row), j = column_index(b, b_row);
    const void *p = x->values, *q = y->values;
    switch (x->type->id) {
    case TYPE_BOOLEAN: return compare_ints(((const uint8_t *)p)[i] != 0, ((const uint8_t *)q)[j] != 0);
    case TYPE_TINYINT: return compare_ints(((const int8_t *)p)[i], ((const int8_t *)q)[j]);
    case TYPE_SMALLINT: return compare_ints(((const int16_t *)p)[i], ((const int16_t *)q)[j]);
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: return compare_ints(((const int32_t *)p)[i], ((const int32_t *)q)[j]);
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: return compare_ints(((const int64_t *)p)[i], ((const int64_t *)q)[j]);
    case TYPE_FLOAT: return compare_doubles((double)((const float *)p)[i], (double)((const float *)q)[j]);
    case TYPE_DOUBLE: return compare_doubles(((const double *)p)[i], ((const double *)q)[j]);
    case TYPE_DECIMAL: {
        __int128 left = ((const __int128 *)p)[i], right = ((const __int128 *)q)[j];
        return (left > right) - (left < right);
    }
    case TYPE_STRING:
    case TYPE_BINARY: return string_view_compare((const struct string_view *)p + i, (const struct string_view *)q + j);
    case TYPE_INTERVAL: return compare_intervals((const struct calendar_interval *)p + i, (const struct calendar_interval *)q + j);
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: return compare_nested(x, i, y, j);
    case TYPE_NULL: break;
    }
    return 0;
}

bool value_equal(const struct column *a, uint32_t a_row, const struct column *b, uint32_t b_row) {
    bool a_valid = column_is_valid(a, a_row), b_valid = column_is_valid(b, b_row);
    if (!a_valid || !b_valid) return a_valid == b_valid;
    if (type_is_text(a->type)) return string_view_equal(column_string(a, a_row), column_string(b, b_row));
    return value_compare(a, a_row, b, b_row) == 0;
}
