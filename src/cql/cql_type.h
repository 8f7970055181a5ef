// SPDX-License-Identifier: Apache-2.0
// cql_type.h: the types of CQL, how they are written in text and in metadata.
//
//     "map<text, frozen<list<int>>>"  ──►  MAP ─┬─ TEXT
//                                               └─ LIST (frozen) ── INT
//
// A type is a tree in an arena; nothing is released one by one. Text comes from system_schema (`frozen<…>`, UDTs by name) or from the wire as
// the server's class names (`org.apache.cassandra.db.marshal.VectorType(…)`); both are hostile: depth, children and dimension are bounded.
#pragma once
#include "base/arena.h"
#include "base/buffer.h"
#include <stdbool.h>

// The numbers are the protocol's option ids, but for CQL_VECTOR, which travels as a custom type.
enum cql_kind {
    CQL_CUSTOM = 0x00,  // `name` is the server's class name; values are opaque bytes
    CQL_ASCII = 0x01,
    CQL_BIGINT = 0x02,
    CQL_BLOB = 0x03,
    CQL_BOOLEAN = 0x04,
    CQL_COUNTER = 0x05,
    CQL_DECIMAL = 0x06,
    CQL_DOUBLE = 0x07,
    CQL_FLOAT = 0x08,
    CQL_INT = 0x09,
    CQL_TIMESTAMP = 0x0B,
    CQL_UUID = 0x0C,
    CQL_TEXT = 0x0D,  // varchar is the same
    CQL_VARINT = 0x0E,
    CQL_TIMEUUID = 0x0F,
    CQL_INET = 0x10,
    CQL_DATE = 0x11,
    CQL_TIME = 0x12,
    CQL_SMALLINT = 0x13,
    CQL_TINYINT = 0x14,
    CQL_DURATION = 0x15,
    CQL_LIST = 0x20,   // one child
    CQL_MAP = 0x21,    // two children: key, value
    CQL_SET = 0x22,    // one child
    CQL_UDT = 0x30,    // a child per field, field_names
    CQL_TUPLE = 0x31,  // a child per field
    CQL_VECTOR = 0x100,  // one child, `dimension` of them
};

enum { CQL_TYPE_DEPTH_MAX = 32, CQL_TYPE_CHILDREN_MAX = 1024, CQL_VECTOR_DIMENSION_MAX = 65536 };

struct cql_type {
    enum cql_kind kind;
    bool frozen;                  // as system_schema says; a tuple always is; metadata of the wire does not tell (false)
    uint32_t dimension;           // of a vector
    uint32_t child_count;
    struct cql_type *children;    // child_count of them, one block
    const char **field_names;     // of a UDT: child_count names; else NULL
    const char *keyspace;         // of a UDT; else NULL
    const char *name;             // of a UDT: its name; of CUSTOM: the class; else NULL
};

// A user-defined type of a keyspace, its `type` of kind CQL_UDT (not frozen: the place where it is used says).
struct cql_udt {
    const char *name;
    struct cql_type type;
};

// Parses a type as system_schema writes it, or a class name as the wire does. Names of UDTs are looked up in `udts`; an unknown one is
// STATUS_NOT_FOUND naming it, text that is no type STATUS_INVALID_ARGUMENT. Names and children are copied into the arena.
enum status cql_type_parse(struct arena *arena, const char *text, size_t size_bytes, const char *keyspace, const struct cql_udt *udts,
                           uint32_t udt_count, struct cql_type *out, struct error *e) WARN_UNUSED;

// As CQL text: parse(print(t)) gives t. `with_frozen` false leaves `frozen<…>` out.
enum status cql_type_print(struct buffer *out, const struct cql_type *type, bool with_frozen) WARN_UNUSED;

bool cql_type_equal(const struct cql_type *a, const struct cql_type *b);  // frozen is not compared: the wire does not know it

// Size of every value of the type, in a vector without a length before it; 0: it varies (of a vector of fixed elements, their product).
uint32_t cql_type_fixed_bytes(const struct cql_type *type);

// "text", "list" …; of a UDT and a custom type its name.
const char *cql_kind_name(enum cql_kind kind);
