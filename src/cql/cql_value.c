// SPDX-License-Identifier: Apache-2.0
// cql_value.c: values to and from bytes. Every reader checks the length first; nothing here allocates but the printers of big numbers.
#include "cql/cql_value.h"
#include "cql/cql_wire.h"
#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>

enum { BIG_BYTES_MAX = 32768, PLAIN_SCALE_MAX = 6144 };

bool cql_read_bool(struct cql_value v, bool *out) {
    if (v.size_bytes != 1) return false;
    *out = v.bytes[0] != 0;
    return true;
}

bool cql_read_int8(struct cql_value v, int8_t *out) {
    if (v.size_bytes != 1) return false;
    *out = (int8_t)v.bytes[0];
    return true;
}

bool cql_read_int16(struct cql_value v, int16_t *out) {
    if (v.size_bytes != 2) return false;
    *out = (int16_t)cql_load_16(v.bytes);
    return true;
}

bool cql_read_int32(struct cql_value v, int32_t *out) {
    if (v.size_bytes != 4) return false;
    *out = (int32_t)cql_load_32(v.bytes);
    return true;
}

bool cql_read_int64(struct cql_value v, int64_t *out) {
    if (v.size_bytes != 8) return false;
    *out = (int64_t)cql_load_64(v.bytes);
    return true;
}

bool cql_read_float(struct cql_value v, float *out) {
    int32_t bits;
    if (!cql_read_int32(v, &bits)) return false;
    memcpy(out, &bits, 4);
    return true;
}

bool cql_read_double(struct cql_value v, double *out) {
    int64_t bits;
    if (!cql_read_int64(v, &bits)) return false;
    memcpy(out, &bits, 8);
    return true;
}

bool cql_read_date(struct cql_value v, int64_t *days) {
    if (v.size_bytes != 4) return false;
    *days = (int64_t)cql_load_32(v.bytes) - INT64_C(0x80000000);
    return true;
}

bool cql_read_varint(struct cql_value v, decimal *out, bool *fits) {
    if (v.size_bytes < 1) return false;
    const uint8_t *p = v.bytes;
    int32_t left = v.size_bytes;
    uint8_t sign = p[0] & 0x80 ? 0xFF : 0;
    while (left > 1 && *p == sign && ((p[1] ^ sign) & 0x80) == 0) {  // bytes that only repeat the sign
        p++;
        left--;
    }
    *fits = left <= 16;
    unsigned __int128 value = sign ? ~(unsigned __int128)0 : 0;
    for (int32_t i = 0; i < left && *fits; i++) value = value << 8 | p[i];
    *out = *fits ? (decimal)value : 0;
    return true;
}

bool cql_read_decimal(struct cql_value v, decimal *unscaled, int32_t *scale, bool *fits) {
    if (v.size_bytes < 5) return false;
    *scale = (int32_t)cql_load_32(v.bytes);
    return cql_read_varint((struct cql_value){.bytes = v.bytes + 4, .size_bytes = v.size_bytes - 4}, unscaled, fits);
}

// Unsigned vint: the count of leading ones in the first byte is the count of bytes after it.
static bool take_unsigned_vint(const uint8_t **next, const uint8_t *end, uint64_t *out) {
    if (*next >= end) return false;
    uint8_t first = *(*next)++;
    int extra = first == 0xFF ? 8 : __builtin_clz((uint32_t)(uint8_t)~first << 24);
    if (end - *next < extra) return false;
    uint64_t value = extra >= 7 ? 0 : first & (0xFFu >> (extra + 1));
    for (int i = 0; i < extra; i++) value = value << 8 | *(*next)++;
    *out = value;
    return true;
}

static int64_t unzigzag(uint64_t v) { return (int64_t)(v >> 1) ^ -(int64_t)(v & 1); }

bool cql_read_duration(struct cql_value v, int32_t *months, int32_t *days, int64_t *nanoseconds) {
    uint64_t m, d, n;
    const uint8_t *next = v.bytes, *end = next + (v.size_bytes > 0 ? v.size_bytes : 0);
    if (v.size_bytes < 3 || !take_unsigned_vint(&next, end, &m) || !take_unsigned_vint(&next, end, &d) || !take_unsigned_vint(&next, end, &n) ||
        next != end || m > UINT32_MAX || d > UINT32_MAX) {
        return false;
    }
    *months = (int32_t)unzigzag(m);
    *days = (int32_t)unzigzag(d);
    *nanoseconds = unzigzag(n);
    return true;
}

size_t cql_encode_varint(decimal value, uint8_t out[17]) {
    size_t length = 16;
    while (length > 1) {  // while the first byte only repeats the sign of the second
        uint8_t first = (uint8_t)(value >> 8 * (length - 1)), second = (uint8_t)(value >> 8 * (length - 2));
        if (first != (second & 0x80 ? 0xFF : 0)) break;
        length--;
    }
    for (size_t i = 0; i < length; i++) out[i] = (uint8_t)(value >> 8 * (length - 1 - i));
    return length;
}

size_t cql_encode_unsigned_vint(uint64_t value, uint8_t out[9]) {
    int bits = value ? 64 - __builtin_clzll(value) : 1;
    size_t extra = bits > 56 ? 8 : (size_t)(bits - 1) / 7;
    for (size_t i = extra + 1; i-- > 0; value >>= 8) out[i] = (uint8_t)value;
    out[0] |= (uint8_t)(extra == 8 ? 0xFF : 0xFF00u >> extra);
    return extra + 1;
}

size_t cql_print_uuid(struct cql_value v, char out[CQL_UUID_TEXT]) {
    if (v.size_bytes != 16) return 0;
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) out[at++] = '-';
        out[at++] = "0123456789abcdef"[v.bytes[i] >> 4];
        out[at++] = "0123456789abcdef"[v.bytes[i] & 15];
    }
    out[at] = 0;
    return at;
}

uint32_t cql_uuid_version(const uint8_t uuid[16]) { return uuid[6] >> 4; }

bool cql_parse_uuid(const char *s, size_t size_bytes, uint8_t out[16]) {
    if (size_bytes != 36) return false;
    size_t at = 0;
    for (int i = 0; i < 16; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && s[at++] != '-') return false;
        unsigned byte = 0;
        for (int k = 0; k < 2; k++, at++) {
            char c = s[at];
            unsigned digit = c >= '0' && c <= '9' ? (unsigned)(c - '0') : (c | 32) >= 'a' && (c | 32) <= 'f' ? (unsigned)((c | 32) - 'a' + 10) : 16;
            if (digit > 15) return false;
            byte = byte << 4 | digit;
        }
        out[i] = (uint8_t)byte;
    }
    return true;
}

size_t cql_print_inet(struct cql_value v, char out[CQL_INET_TEXT]) {
    if (v.size_bytes != 4 && v.size_bytes != 16) return 0;
    return inet_ntop(v.size_bytes == 4 ? AF_INET : AF_INET6, v.bytes, out, CQL_INET_TEXT) ? strlen(out) : 0;
}

size_t cql_parse_inet(const char *s, size_t size_bytes, uint8_t out[16]) {
    char text[CQL_INET_TEXT];
    if (!size_bytes || size_bytes >= sizeof text || memchr(s, 0, size_bytes)) return 0;
    memcpy(text, s, size_bytes);
    text[size_bytes] = 0;
    if (inet_pton(AF_INET, text, out) == 1) return 4;
    return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

size_t cql_print_duration(struct cql_value v, char out[CQL_DURATION_TEXT]) {
    static const struct {
        uint64_t ns;
        const char *unit;
    } units[] = {{UINT64_C(3600000000000), "h"}, {UINT64_C(60000000000), "m"}, {1000000000, "s"}, {1000000, "ms"}, {1000, "us"}, {1, "ns"}};
    int32_t months, days;
    int64_t ns;
    size_t at = 0;
    if (!cql_read_duration(v, &months, &days, &ns)) return 0;
    if (months < 0 || days < 0 || ns < 0) out[at++] = '-';
    uint64_t m = months < 0 ? 0 - (uint64_t)months : (uint64_t)months, d = days < 0 ? 0 - (uint64_t)days : (uint64_t)days;
    uint64_t left = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;
    if (m / 12) at += (size_t)snprintf(out + at, CQL_DURATION_TEXT - at, "%" PRIu64 "y", m / 12);
    if (m % 12) at += (size_t)snprintf(out + at, CQL_DURATION_TEXT - at, "%" PRIu64 "mo", m % 12);
    if (d) at += (size_t)snprintf(out + at, CQL_DURATION_TEXT - at, "%" PRIu64 "d", d);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        if (left / units[i].ns) at += (size_t)snprintf(out + at, CQL_DURATION_TEXT - at, "%" PRIu64 "%s", left / units[i].ns, units[i].unit);
        left %= units[i].ns;
    }
    if (!at) at = (size_t)snprintf(out, CQL_DURATION_TEXT, "0s");
    out[at] = 0;
    return at;
}

// Decimal digits of a big-endian two's complement number: the magnitude is divided by 10⁹ again and again.
static enum status big_digits(struct buffer *digits, const uint8_t *bytes, size_t size_bytes, bool *negative) {
    size_t words = (size_bytes + 3) / 4, size = words * sizeof(uint32_t);
    uint32_t *magnitude = memory_alloc_zeroed(digits->memory, size);
    if (!magnitude) return STATUS_NO_MEMORY;
    *negative = bytes[0] & 0x80;
    uint32_t carry = *negative;
    for (size_t i = 0; i < size_bytes; i++) {
        uint32_t byte = bytes[size_bytes - 1 - i];
        if (*negative) {
            byte = (~byte & 0xFF) + carry;
            carry = byte >> 8;
        }
        magnitude[i / 4] |= (byte & 0xFF) << 8 * (i % 4);
    }
    enum status status = STATUS_OK;
    size_t begin = digits->size_bytes;
    while (words && !magnitude[words - 1]) words--;
    while (words && status == STATUS_OK) {
        uint64_t rest = 0;
        for (size_t i = words; i-- > 0;) {
            rest = rest << 32 | magnitude[i];
            magnitude[i] = (uint32_t)(rest / 1000000000);
            rest %= 1000000000;
        }
        while (words && !magnitude[words - 1]) words--;
        for (int k = 0; k < 9 && (words || rest) && status == STATUS_OK; k++, rest /= 10) status = buffer_append_byte(digits, (uint8_t)('0' + rest % 10));
    }
    memory_free(digits->memory, magnitude, size);
    if (status == STATUS_OK && digits->size_bytes == begin) status = buffer_append_byte(digits, '0');
    for (size_t i = begin, k = digits->size_bytes; status == STATUS_OK && i + 1 < k; i++) {  // they came lowest first
        uint8_t swap = digits->data[i];
        digits->data[i] = digits->data[--k];
        digits->data[k] = swap;
    }
    return status;
}

static enum status append_zeros(struct buffer *out, size_t count) {
    TRY(buffer_reserve(out, count));
    memset(out->data + out->size_bytes, '0', count);
    out->size_bytes += count;
    return STATUS_OK;
}

static enum status place_point(struct buffer *out, const struct buffer *digits, bool negative, int64_t scale) {
    size_t count = digits->size_bytes;
    if (negative) TRY(buffer_append_byte(out, '-'));
    if (scale > PLAIN_SCALE_MAX || scale < -PLAIN_SCALE_MAX) {
        TRY(buffer_append(out, digits->data, count));
        return buffer_printf(out, "E%" PRId64, -scale);
    }
    if (scale <= 0) {
        TRY(buffer_append(out, digits->data, count));
        return append_zeros(out, digits->data[0] == '0' ? 0 : (size_t)-scale);
    }
    size_t fraction = (size_t)scale;
    if (count <= fraction) {
        TRY(buffer_append_string(out, "0."));
        TRY(append_zeros(out, fraction - count));
        return buffer_append(out, digits->data, count);
    }
    TRY(buffer_append(out, digits->data, count - fraction));
    TRY(buffer_append_byte(out, '.'));
    return buffer_append(out, digits->data + count - fraction, fraction);
}

static enum status print_number(struct buffer *out, struct cql_value v, int64_t scale, const char *what, struct error *e) {
    if (v.size_bytes < 1 || v.size_bytes > BIG_BYTES_MAX) return error_set(e, STATUS_DATA, "LEAT_CASSANDRA_VALUE", "bytes that are no %s, or one that is too long", what);
    struct buffer digits;
    bool negative;
    buffer_init(&digits, out->memory);
    enum status status = big_digits(&digits, v.bytes, (size_t)v.size_bytes, &negative);
    if (status == STATUS_OK) status = place_point(out, &digits, negative, scale);
    buffer_release(&digits);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

enum status cql_print_varint(struct buffer *out, struct cql_value v, struct error *e) { return print_number(out, v, 0, "varint", e); }

enum status cql_print_decimal(struct buffer *out, struct cql_value v, struct error *e) {
    struct cql_value unscaled = {.bytes = v.size_bytes >= 4 ? v.bytes + 4 : NULL, .size_bytes = v.size_bytes >= 4 ? v.size_bytes - 4 : -1};
    return print_number(out, unscaled, v.size_bytes >= 4 ? (int32_t)cql_load_32(v.bytes) : 0, "decimal", e);
}

bool cql_elements_open(struct cql_elements *e, const struct cql_type *type, struct cql_value v) {
    *e = (struct cql_elements){0};
    if (v.size_bytes < 0) return false;
    e->next = v.bytes;
    e->end = v.bytes + v.size_bytes;
    if (type->kind == CQL_TUPLE || type->kind == CQL_UDT) {
        e->left = type->child_count;
        e->fields = true;
        return true;
    }
    if (type->kind == CQL_VECTOR) {
        e->left = type->dimension;
        e->fixed_bytes = cql_type_fixed_bytes(type->children);
        e->vint_lengths = !e->fixed_bytes;
        return e->vint_lengths || (uint64_t)e->fixed_bytes * e->left == (uint64_t)v.size_bytes;
    }
    if ((type->kind != CQL_LIST && type->kind != CQL_SET && type->kind != CQL_MAP) || v.size_bytes < 4) return false;
    uint64_t count = cql_load_32(v.bytes);
    if (type->kind == CQL_MAP) count *= 2;
    e->next += 4;
    e->left = (uint32_t)count;
    return count * 4 <= (uint64_t)(v.size_bytes - 4);
}

bool cql_elements_next(struct cql_elements *e, struct cql_value *out) {
    uint64_t size_bytes = e->fixed_bytes;
    *out = (struct cql_value){.size_bytes = -1};
    if (!e->left) return false;
    e->left--;
    if (e->fields && e->next == e->end) return true;
    if (e->vint_lengths) {
        if (!take_unsigned_vint(&e->next, e->end, &size_bytes)) return false;
    } else if (!e->fixed_bytes) {
        if (e->end - e->next < 4) return false;
        int32_t length = (int32_t)cql_load_32(e->next);
        e->next += 4;
        if (length < 0) return true;
        size_bytes = (uint64_t)length;
    }
    if (size_bytes > INT32_MAX || (uint64_t)(e->end - e->next) < size_bytes) return false;
    *out = (struct cql_value){.bytes = e->next, .size_bytes = (int32_t)size_bytes};
    e->next += size_bytes;
    return true;
}
