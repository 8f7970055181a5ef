// SPDX-License-Identifier: Apache-2.0
// cassandra_value.h: Spark's values as values of a column's type, and back.
//
// An encoder or decoder is made once for a column (a tree, as its type is) and then run for every row. What cannot be a type's value at all is
// found out when it is made; what a single value cannot be (a text that is no UUID) is the row's error.
//
//     boolean                BOOLEAN                               timestamp    TIMESTAMP, TIMESTAMP_NTZ: milliseconds, rounded down
//     tinyint … bigint       TINYINT … BIGINT, as wide or wider    time         BIGINT: nanoseconds of the day
//     varint, decimal        any integer; DECIMAL                  date         DATE
//     float, double          FLOAT; DOUBLE into double             duration     the three intervals
//     text, ascii            STRING                                list, set, vector   ARRAY
//     uuid, timeuuid, inet   STRING that is one                    map          MAP
//     blob                   BINARY                                tuple, UDT   STRUCT, by place or by field name
//
// In a key two values that differ in SQL must differ in the table: there a timestamp has whole milliseconds, a UUID its usual form, an ARRAY is
// no set; else the row is refused.
#pragma once
#include "column/batch.h"
#include "cql/cql.h"

struct cassandra_encoder {
    // Binds one value that is not NULL. False: *why says what the value is not (static text).
    bool (*bind)(const struct cassandra_encoder *x, const struct column *c, uint32_t row, struct cql_request *r, const char **why);
    const struct type *from;
    const struct cql_type *to;
    bool is_key;
    uint32_t child_count;
    struct cassandra_encoder *children;
    const int *fields;  // of a UDT, by its field: the STRUCT's; -1: none
};

// False: *why says what does not fit, and *fitting the SQL type that would ("" if none). NULL in *out is not possible.
enum status cassandra_encoder_make(struct arena *a, const struct type *from, const struct cql_type *to, bool is_key, struct cassandra_encoder *out, bool *fits,
                                   const char **why, struct error *e) WARN_UNUSED;
// As SQL writes it, the type that a column of this type takes: "INT", "STRING".
const char *cassandra_sql_type(const struct cql_type *t);

struct cassandra_decoder {
    // Appends one value. False: the bytes are no value of the type, or it has no place in the SQL type; NULL was appended in its place.
    bool (*read)(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out);
    const struct type *to;
    const struct cql_type *from;
    uint32_t child_count;
    struct cassandra_decoder *children;
};
// The SQL type of a column's type: STATUS_NO_MEMORY only.
enum status cassandra_type_of(struct arena *a, const struct cql_type *t, const struct type **out, struct error *e) WARN_UNUSED;
// *fits false: values of `from` cannot be read as `to`.
enum status cassandra_decoder_make(struct arena *a, const struct cql_type *from, const struct type *to, struct cassandra_decoder *out, bool *fits,
                                   struct error *e) WARN_UNUSED;
static inline bool cassandra_read(const struct cassandra_decoder *x, struct cql_value v, struct column_builder *out) {
    if (!cql_is_null(v)) return x->read(x, v, out);
    column_builder_append_null(out);
    return true;
}
