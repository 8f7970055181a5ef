// SPDX-License-Identifier: Apache-2.0
// hash.c: digests (md5, sha1, sha2, crc32) and Spark's hash() and xxhash64() over values of any type.
//
// hash() is Murmur3 x86-32 with seed 42, the hash of one value being the seed of the next; NULL leaves it as it is. Bytes past the last whole word
// are mixed in one by one, sign-extended, which the published Murmur3 does not do: Spark does, and partitions of its tables
// depend on it. xxhash64 is XXH64 over the same bytes. −0.0 hashes as 0.0, every NaN alike. Maps have no hash: their order is nothing.
#include "expr/hash.h"
#include "expr/functions.h"
#include "expr/string_text.h"
#include <math.h>
#include <openssl/evp.h>
#include <xxhash.h>

// Murmur3

static uint32_t rotate32(uint32_t x, int by) { return x << by | x >> (32 - by); }

static uint32_t murmur_mix(uint32_t hash, uint32_t word) {
    word = rotate32(word * 0xcc9e2d51u, 15) * 0x1b873593u;
    return rotate32(hash ^ word, 13) * 5 + 0xe6546b64u;
}

static uint32_t murmur_finish(uint32_t hash, uint32_t size_bytes) {
    hash ^= size_bytes;
    hash = (hash ^ hash >> 16) * 0x85ebca6bu;
    hash = (hash ^ hash >> 13) * 0xc2b2ae35u;
    return hash ^ hash >> 16;
}

static uint32_t murmur_bytes(const void *bytes, size_t size_bytes, uint32_t seed) {
    const uint8_t *p = bytes;
    uint32_t hash = seed;
    size_t at = 0;
    for (; at + 4 <= size_bytes; at += 4) {
        uint32_t word;
        memcpy(&word, p + at, 4);
        hash = murmur_mix(hash, word);
    }
    for (; at < size_bytes; at++) hash = murmur_mix(hash, (uint32_t)(int32_t)(int8_t)p[at]);
    return murmur_finish(hash, (uint32_t)size_bytes);
}

// One of the two hashes over `size_bytes` bytes; 4 and 8 bytes are words, little-endian, in both.
struct hasher {
    bool is_xx;
    uint64_t state;   // Murmur3: the lower half
};

static void hash_bytes(struct hasher *h, const void *bytes, size_t size_bytes) {
    h->state = h->is_xx ? XXH64(bytes, size_bytes, h->state) : murmur_bytes(bytes, size_bytes, (uint32_t)h->state);
}
static void hash_int(struct hasher *h, int32_t value) { hash_bytes(h, &value, sizeof value); }
static void hash_long(struct hasher *h, int64_t value) { hash_bytes(h, &value, sizeof value); }

static void hash_float(struct hasher *h, float value) {
    int32_t bits = 0x7fc00000;
    if (value == 0) value = 0;
    if (!isnan(value)) memcpy(&bits, &value, sizeof bits);
    hash_int(h, value == 0 ? 0 : bits);
}

static void hash_double(struct hasher *h, double value) {
    int64_t bits = 0x7ff8000000000000;
    if (!isnan(value)) memcpy(&bits, &value, sizeof bits);
    hash_long(h, value == 0 ? 0 : bits);
}

// The shortest big-endian two's complement, as BigInteger has it.
static void hash_wide_decimal(struct hasher *h, __int128 value) {
    uint8_t bytes[16];
    for (int i = 0; i < 16; i++) bytes[i] = (uint8_t)((unsigned __int128)value >> (8 * (15 - i)));
    size_t skip = 0;
    uint8_t sign = value < 0 ? 0xff : 0;
    while (skip < 15 && bytes[skip] == sign && (bytes[skip + 1] & 0x80) == (sign & 0x80)) skip++;
    hash_bytes(h, bytes + skip, 16 - skip);
}

static void hash_value(struct hasher *h, const struct column *c, uint32_t row);

static void hash_nested(struct hasher *h, const struct column *c, uint32_t row) {
    if (c->type->id == TYPE_STRUCT) {
        for (uint32_t f = 0; f < c->type->field_count; f++) hash_value(h, &c->children[f], row);
        return;
    }
    for (int32_t item = column_list_begin(c, row); item < column_list_end(c, row); item++) hash_value(h, &c->children[0], (uint32_t)item);
}

static void hash_value(struct hasher *h, const struct column *c, uint32_t row) {
    if (!column_is_valid(c, row)) return;
    switch (c->type->id) {
    case TYPE_NULL: return;
    case TYPE_BOOLEAN: hash_int(h, column_bool(c, row) != 0); return;
    case TYPE_TINYINT: hash_int(h, column_int8(c, row)); return;
    case TYPE_SMALLINT: hash_int(h, column_int16(c, row)); return;
    case TYPE_INT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM: hash_int(h, column_int32(c, row)); return;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: hash_long(h, column_int64(c, row)); return;
    case TYPE_FLOAT: hash_float(h, column_float(c, row)); return;
    case TYPE_DOUBLE: hash_double(h, column_double(c, row)); return;
    case TYPE_DECIMAL:
        if (c->type->precision <= 18) hash_long(h, (int64_t)column_decimal(c, row));
        else hash_wide_decimal(h, column_decimal(c, row));
        return;
    case TYPE_STRING:
    case TYPE_BINARY: {
        const struct string_view *v = column_string(c, row);
        hash_bytes(h, string_view_data(v), v->size_bytes);
        return;
    }
    case TYPE_INTERVAL: {
        const struct calendar_interval *interval = (const struct calendar_interval *)column_base(c)->values + column_index(c, row);
        hash_long(h, interval->us);
        hash_int(h, interval->days);
        hash_int(h, interval->months);
        return;
    }
    case TYPE_ARRAY:
    case TYPE_MAP:
    case TYPE_STRUCT: hash_nested(h, c, row); return;
    }
}

enum { HASH_SEED = 42 };

static void kernel_hash(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t arg_count = variadic_count(eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct hasher h = {.state = HASH_SEED};
        for (uint32_t a = 0; a < arg_count; a++) hash_value(&h, args[a], row);
        ((int32_t *)out->values)[row] = (int32_t)(uint32_t)h.state;
    }
}

static void kernel_xxhash64(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    uint32_t arg_count = variadic_count(eval);
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct hasher h = {.is_xx = true, .state = HASH_SEED};
        for (uint32_t a = 0; a < arg_count; a++) hash_value(&h, args[a], row);
        ((int64_t *)out->values)[row] = (int64_t)h.state;
    }
}

uint64_t spark_xxhash64(const struct column *c, uint32_t row) {
    struct hasher h = {.is_xx = true, .state = HASH_SEED};
    hash_value(&h, c, row);
    return h.state;
}

int32_t spark_string_hash(const void *bytes, size_t size_bytes) { return (int32_t)murmur_bytes(bytes, size_bytes, HASH_SEED); }

static bool has_map(const struct type *t) {
    if (t->id == TYPE_MAP) return true;
    for (uint32_t i = 0; type_is_nested(t) && i < t->field_count; i++) {
        if (has_map(t->fields[i].type)) return true;
    }
    return false;
}

static enum status hash_bind(struct binding *b, const struct type *result, struct error *e) {
    TRY(binding_require_count(b, 1, UINT32_MAX, e));
    for (uint32_t i = 0; i < b->arg_count; i++) {
        if (has_map(b->args[i]->type)) return binding_value_error(b, i, "DATATYPE_MISMATCH.HASH_MAP_TYPE", "a value that holds a map cannot be hashed", e);
    }
    b->result = result;
    b->nullable = false;
    return variadic_bind(b, e);
}
static enum status murmur_bind(struct binding *b, struct error *e) { return hash_bind(b, &type_int, e); }
static enum status xxhash_bind(struct binding *b, struct error *e) { return hash_bind(b, &type_bigint, e); }

// Digests

static void put_digest(struct text t, const EVP_MD *algorithm, struct column *out, uint32_t row, struct eval *eval) {
    static const char digits[] = "0123456789abcdef";
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size_bytes = 0;
    if (!algorithm || EVP_Digest(t.bytes, t.size_bytes, digest, &size_bytes, algorithm, NULL) != 1) {
        eval_fail(eval, row, "INTERNAL_ERROR", "The cryptographic library refuses this digest");
        return;
    }
    char *hex = eval_alloc(eval, (size_t)size_bytes * 2);
    if (!hex) return;
    for (unsigned i = 0; i < size_bytes; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    out_set_view(out, row, hex, (size_t)size_bytes * 2);
}

static void kernel_md5(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) put_digest(text_at(args[0], rows_at(rows, i)), EVP_md5(), out, rows_at(rows, i), eval);
}

static void kernel_sha1(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) put_digest(text_at(args[0], rows_at(rows, i)), EVP_sha1(), out, rows_at(rows, i), eval);
}

static void kernel_sha2(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        switch (int_at(args[1], row)) {
        case 224: put_digest(t, EVP_sha224(), out, row, eval); break;
        case 0:
        case 256: put_digest(t, EVP_sha256(), out, row, eval); break;
        case 384: put_digest(t, EVP_sha384(), out, row, eval); break;
        case 512: put_digest(t, EVP_sha512(), out, row, eval); break;
        default: out_set_null(out, row);
        }
    }
}

// CRC-32 of IEEE 802.3, reflected, four bits at a time.
static uint32_t crc32_of(struct text t) {
    static const uint32_t table[16] = {0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
                                       0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < t.size_bytes; i++) {
        crc ^= (uint8_t)t.bytes[i];
        crc = crc >> 4 ^ table[crc & 15];
        crc = crc >> 4 ^ table[crc & 15];
    }
    return ~crc;
}

static void kernel_crc32(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)eval;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        ((int64_t *)out->values)[row] = crc32_of(text_at(args[0], row));
    }
}

static const struct function hash_list[] = {
    {"md5", "(BINARY) -> STRING", kernel_md5, NULL, FUNCTION_CAN_FAIL, "The MD5 digest in hexadecimal", "md5('Spark')", "8cde774d6f7333752ed72cacddb05126"},
    {"sha1", "(BINARY) -> STRING", kernel_sha1, NULL, FUNCTION_CAN_FAIL, "The SHA-1 digest in hexadecimal", "sha1('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
    {"sha", "(BINARY) -> STRING", kernel_sha1, NULL, FUNCTION_CAN_FAIL, "The SHA-1 digest in hexadecimal", "sha('a')", "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"},
    {"sha2", "(BINARY, INT) -> STRING", kernel_sha2, NULL, FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL,
     "The SHA-2 digest of 224, 256, 384 or 512 bits, 0 being 256, in hexadecimal; NULL for others", "sha2('a', 224)",
     "abd37534c7d9a2efb9465de931cd7055ffdb8879563ae98078d6d6d5"},
    {"crc32", "(BINARY) -> BIGINT", kernel_crc32, NULL, 0, "The CRC-32 checksum", "crc32('Spark')", "1557323817"},
    {"hash", "(ANY...) -> INT", kernel_hash, murmur_bind, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL, "Spark's hash of the arguments: Murmur3, seed 42",
     "hash('Spark', array(123), 2)", "-1321691492"},
    {"xxhash64", "(ANY...) -> BIGINT", kernel_xxhash64, xxhash_bind, FUNCTION_HANDLES_NULL | FUNCTION_NEVER_NULL, "The 64-bit xxHash of the arguments, seed 42",
     "xxhash64('Spark', array(123), 2)", "5602566077635097486"},
};

const struct function_table hash_functions = {hash_list, sizeof hash_list / sizeof hash_list[0], "hash"};
