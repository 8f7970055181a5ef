// SPDX-License-Identifier: Apache-2.0
// type.h: Spark's types. Immutable; simple ones are process-wide constants, the others live in a query arena.
//
//     id            in a column's `values`                                     Spark's simpleString
//     BOOLEAN       uint8_t 0/1, one byte a row (kernels stay simple)          boolean
//     TINYINT…      int8_t int16_t int32_t int64_t                             tinyint smallint int bigint
//     FLOAT DOUBLE  float double                                               float double
//     DECIMAL       __int128, unscaled                                         decimal(10,2)
//     STRING BINARY struct string_view, 16 bytes                               string binary
//     DATE          int32_t days since 1970-01-01                              date
//     TIMESTAMP     int64_t µs since 1970-01-01 00:00 UTC                      timestamp
//     TIMESTAMP_NTZ int64_t µs since 1970-01-01 00:00 on the wall              timestamp_ntz
//     INTERVAL_YM   int32_t months                                             interval year to month
//     INTERVAL_DT   int64_t µs                                                 interval day to second
//     INTERVAL      struct calendar_interval (make_interval)                   interval
//     ARRAY MAP     int32_t offsets, row_count + 1, into the child columns     array<int> map<string,int>
//     STRUCT        nothing; one child a field                                 struct<a:int,b:string>
//     NULL_TYPE     nothing; every row is NULL                                 void
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include <stdbool.h>
#include <stdint.h>

enum type_id {
    TYPE_NULL, TYPE_BOOLEAN, TYPE_TINYINT, TYPE_SMALLINT, TYPE_INT, TYPE_BIGINT, TYPE_FLOAT, TYPE_DOUBLE, TYPE_DECIMAL,
    TYPE_STRING, TYPE_BINARY, TYPE_DATE, TYPE_TIMESTAMP, TYPE_TIMESTAMP_NTZ, TYPE_INTERVAL_YM, TYPE_INTERVAL_DT, TYPE_INTERVAL,
    TYPE_ARRAY, TYPE_MAP, TYPE_STRUCT,
};
enum { TYPE_COUNT = TYPE_STRUCT + 1, DECIMAL_MAX_PRECISION = 38 };

// Units of the two ANSI interval types, for `start` and `end`.
enum interval_unit { UNIT_YEAR, UNIT_MONTH, UNIT_DAY, UNIT_HOUR, UNIT_MINUTE, UNIT_SECOND };

struct type;
struct field {
    const char *name;
    const struct type *type;
    bool nullable;
};

struct type {
    enum type_id id;
    uint8_t precision, scale;       // DECIMAL
    uint8_t start, end;             // INTERVAL_YM, INTERVAL_DT: enum interval_unit
    uint32_t field_count;           // ARRAY 1 (element), MAP 2 (key, value), STRUCT any
    const struct field *fields;     // field_count of them
};

extern const struct type type_null, type_boolean, type_tinyint, type_smallint, type_int, type_bigint, type_float, type_double,
    type_string, type_binary, type_date, type_timestamp, type_timestamp_ntz, type_interval_ym, type_interval_dt, type_interval;

// NULL if the arena is out of memory. Precision 1–38, scale 0–precision.
const struct type *type_decimal(struct arena *a, uint8_t precision, uint8_t scale);
const struct type *type_array(struct arena *a, const struct type *element, bool contains_null);
const struct type *type_map(struct arena *a, const struct type *key, const struct type *value, bool value_contains_null);
const struct type *type_struct(struct arena *a, const struct field *fields, uint32_t field_count);  // copies fields and names
const struct type *type_interval_ym_range(struct arena *a, enum interval_unit start, enum interval_unit end);
const struct type *type_interval_dt_range(struct arena *a, enum interval_unit start, enum interval_unit end);
const struct type *type_copy(struct arena *a, const struct type *t);  // deep

bool type_equal(const struct type *a, const struct type *b);           // names of fields count, nullability does not
bool type_equal_ignoring_names(const struct type *a, const struct type *b);
uint64_t type_hash(const struct type *t);
enum status type_print(const struct type *t, struct buffer *out) WARN_UNUSED;      // simpleString: "array<int>"
enum status type_print_sql(const struct type *t, struct buffer *out) WARN_UNUSED;  // SQL: "ARRAY<INT>", "STRUCT<a: INT>"
const char *type_name(struct arena *a, const struct type *t);          // type_print in the arena; "?" if out of memory
const char *type_name_sql(struct arena *a, const struct type *t);

size_t type_width(const struct type *t);  // bytes a row of `values`; 0 for STRUCT and NULL_TYPE, 4 for ARRAY and MAP
static inline bool type_is_nested(const struct type *t) { return t->id >= TYPE_ARRAY; }
static inline bool type_is_integral(const struct type *t) { return t->id >= TYPE_TINYINT && t->id <= TYPE_BIGINT; }
static inline bool type_is_numeric(const struct type *t) { return t->id >= TYPE_TINYINT && t->id <= TYPE_DECIMAL; }
static inline bool type_is_text(const struct type *t) { return t->id == TYPE_STRING || t->id == TYPE_BINARY; }
bool type_is_orderable(const struct type *t);  // no MAP, no calendar INTERVAL within
// Index of the field, ignoring ASCII case unless case_sensitive; -1: none, -2: several.
int type_field_index(const struct type *t, const char *name, bool case_sensitive);

struct calendar_interval {
    int32_t months, days;
    int64_t us;
};
