// SPDX-License-Identifier: Apache-2.0
// cql_value.h: values of CQL as bytes, and back.
//
// A value on the wire is a big-endian int32 length and so many bytes; −1 is NULL, −2 (only sent, never received) "unset". A reader takes a
// `struct cql_value`, which points into a page of a result, and checks every length: false means that the bytes are no value of that type.
// An empty value (length 0) of a fixed type is what old thrift tables may hold; readers treat it as malformed, callers ask `size_bytes` first.
//
//     list, set   [n] n × value                     map    [n] n × (value, value)        n: int32
//     tuple, UDT  value per field, fewer allowed    vector fixed elements back to back, others each after an unsigned vint length
#pragma once
#include "column/decimal.h"
#include "cql/cql_type.h"

struct cql_value {
    const uint8_t *bytes;
    int32_t size_bytes;  // −1: NULL
};
static inline bool cql_is_null(struct cql_value v) { return v.size_bytes < 0; }

bool cql_read_bool(struct cql_value v, bool *out);
bool cql_read_int8(struct cql_value v, int8_t *out);     // tinyint
bool cql_read_int16(struct cql_value v, int16_t *out);   // smallint
bool cql_read_int32(struct cql_value v, int32_t *out);   // int
bool cql_read_int64(struct cql_value v, int64_t *out);   // bigint, counter, timestamp (ms since 1970), time (ns of the day)
bool cql_read_float(struct cql_value v, float *out);
bool cql_read_double(struct cql_value v, double *out);
bool cql_read_date(struct cql_value v, int64_t *days);   // since 1970-01-01: −2³¹ … 2³¹ − 1
// *fits: the value is in range of the out parameters; a well-formed value that does not fit returns true with *fits false.
bool cql_read_varint(struct cql_value v, decimal *out, bool *fits);
bool cql_read_decimal(struct cql_value v, decimal *unscaled, int32_t *scale, bool *fits);
bool cql_read_duration(struct cql_value v, int32_t *months, int32_t *days, int64_t *nanoseconds);

// Texts of values that have no Spark type. At most the given size with the NUL; the length is returned, 0: malformed.
enum { CQL_UUID_TEXT = 37, CQL_INET_TEXT = 46, CQL_DURATION_TEXT = 80 };
size_t cql_print_uuid(struct cql_value v, char out[CQL_UUID_TEXT]);      // uuid and timeuuid, lower case
size_t cql_print_inet(struct cql_value v, char out[CQL_INET_TEXT]);      // 4 or 16 bytes
size_t cql_print_duration(struct cql_value v, char out[CQL_DURATION_TEXT]);  // 1y2mo3d4h5m6s7ms8us9ns, "-" before it if negative, "0s"
// varint and decimal of any size as plain digits (a scale beyond 6,144 either way as digits and E). STATUS_DATA: malformed, or over 32 KiB.
enum status cql_print_varint(struct buffer *out, struct cql_value v, struct error *e) WARN_UNUSED;
enum status cql_print_decimal(struct buffer *out, struct cql_value v, struct error *e) WARN_UNUSED;

bool cql_parse_uuid(const char *s, size_t size_bytes, uint8_t out[16]);  // 8-4-4-4-12 hexadecimal digits
size_t cql_parse_inet(const char *s, size_t size_bytes, uint8_t out[16]);  // 4 or 16; 0: no address
uint32_t cql_uuid_version(const uint8_t uuid[16]);  // 1: a timeuuid may hold it

// Goes through the elements of a list, set or map (a map gives key, value, key, value …), tuple, UDT or vector.
struct cql_elements {
    const uint8_t *next;
    const uint8_t *end;
    uint32_t left;         // elements still to come; of a map both keys and values count
    uint32_t fixed_bytes;  // > 0: elements of a vector, without lengths
    bool vint_lengths;     // of a vector of varying elements
    bool fields;           // of a tuple or UDT: missing ones at the end are NULL
};
// False: malformed (a count that cannot be, too few bytes). `left` is then the number of elements (tuple, UDT: of the type's fields).
bool cql_elements_open(struct cql_elements *e, const struct cql_type *type, struct cql_value v);
bool cql_elements_next(struct cql_elements *e, struct cql_value *out);  // call `left` times; false: malformed

// Two's complement, big-endian, as short as can be; returns the length, 1–17.
size_t cql_encode_varint(decimal value, uint8_t out[17]);
size_t cql_encode_unsigned_vint(uint64_t value, uint8_t out[9]);
