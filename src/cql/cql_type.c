// SPDX-License-Identifier: Apache-2.0
// cql_type.c: parsing and printing of types; recursive descent with a depth limit, over text that may be anything.
#include "cql/cql_type.h"
#include <string.h>

enum { NAME_MAX_BYTES = 256 };

static const struct {
    enum cql_kind kind;
    const char *name;
    const char *class_name;   // under org.apache.cassandra.db.marshal; NULL: none
    uint32_t children;        // of a parametrised type: how many; 0: none, UINT32_MAX: any number but none
    uint32_t fixed_bytes;
} kinds[] = {
    {CQL_ASCII, "ascii", "AsciiType", 0, 0},
    {CQL_BIGINT, "bigint", "LongType", 0, 8},
    {CQL_BLOB, "blob", "BytesType", 0, 0},
    {CQL_BOOLEAN, "boolean", "BooleanType", 0, 1},
    {CQL_COUNTER, "counter", "CounterColumnType", 0, 0},
    {CQL_DECIMAL, "decimal", "DecimalType", 0, 0},
    {CQL_DOUBLE, "double", "DoubleType", 0, 8},
    {CQL_FLOAT, "float", "FloatType", 0, 4},
    {CQL_INT, "int", "Int32Type", 0, 4},
    {CQL_TIMESTAMP, "timestamp", "TimestampType", 0, 8},
    {CQL_UUID, "uuid", "UUIDType", 0, 16},
    {CQL_TEXT, "text", "UTF8Type", 0, 0},
    {CQL_TEXT, "varchar", NULL, 0, 0},
    {CQL_VARINT, "varint", "IntegerType", 0, 0},
    {CQL_TIMEUUID, "timeuuid", "TimeUUIDType", 0, 16},
    {CQL_INET, "inet", "InetAddressType", 0, 0},
    {CQL_DATE, "date", "SimpleDateType", 0, 0},  // the server writes a length before these three in a vector
    {CQL_TIME, "time", "TimeType", 0, 0},
    {CQL_SMALLINT, "smallint", "ShortType", 0, 0},
    {CQL_TINYINT, "tinyint", "ByteType", 0, 0},
    {CQL_DURATION, "duration", "DurationType", 0, 0},
    {CQL_LIST, "list", "ListType", 1, 0},
    {CQL_MAP, "map", "MapType", 2, 0},
    {CQL_SET, "set", "SetType", 1, 0},
    {CQL_TUPLE, "tuple", "TupleType", UINT32_MAX, 0},
    {CQL_VECTOR, "vector", "VectorType", 1, 0},
    {CQL_TIMESTAMP, "timestamp", "DateType", 0, 8},   // its name in old tables
    {CQL_UUID, "uuid", "LexicalUUIDType", 0, 16},
};
enum { KIND_COUNT = sizeof kinds / sizeof *kinds };

struct parser {
    struct arena *arena;
    const char *text;
    const char *next;
    const char *end;
    const char *keyspace;
    const struct cql_udt *udts;
    uint32_t udt_count;
    uint32_t depth;
    struct error *error;
};

const char *cql_kind_name(enum cql_kind kind) {
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].kind == kind) return kinds[i].name;
    }
    return kind == CQL_UDT ? "user-defined type" : "custom type";
}

uint32_t cql_type_fixed_bytes(const struct cql_type *type) {
    if (type->kind == CQL_VECTOR) {
        uint64_t bytes = (uint64_t)cql_type_fixed_bytes(type->children) * type->dimension;
        return bytes <= UINT32_MAX / 2 ? (uint32_t)bytes : 0;
    }
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        if (kinds[i].kind == type->kind) return kinds[i].fixed_bytes;
    }
    return 0;
}

static enum status wrong(struct parser *p, const char *what) {
    enum status status = error_set(p->error, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_TYPE", "not a type of CQL: %s at byte %zu", what,
                                   (size_t)(p->next - p->text));
    if (p->error) error_set_value(p->error, p->text, (size_t)(p->end - p->text));
    return status;
}

static void skip_blanks(struct parser *p) {
    while (p->next < p->end && (*p->next == ' ' || *p->next == '\t' || *p->next == '\n')) p->next++;
}

static bool accept(struct parser *p, char c) {
    skip_blanks(p);
    if (p->next >= p->end || *p->next != c) return false;
    p->next++;
    return true;
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// A bare name (in lower case), or one in double quotes; *quoted tells.
static enum status parse_name(struct parser *p, char out[NAME_MAX_BYTES], bool *quoted) {
    size_t length = 0;
    skip_blanks(p);
    *quoted = p->next < p->end && *p->next == '"';
    if (*quoted) {
        for (p->next++;; p->next++) {
            if (p->next >= p->end) return wrong(p, "a quoted name has no end");
            if (*p->next == '"' && (p->next + 1 >= p->end || p->next[1] != '"')) break;
            if (*p->next == '"') p->next++;
            if (!*p->next || length + 1 >= NAME_MAX_BYTES) return wrong(p, "a name is too long or has a zero byte");
            out[length++] = *p->next;
        }
        p->next++;
    } else {
        for (; p->next < p->end && is_name(*p->next); p->next++) {
            if (length + 1 >= NAME_MAX_BYTES) return wrong(p, "a name is too long");
            out[length++] = (char)(*p->next >= 'A' && *p->next <= 'Z' ? *p->next + 32 : *p->next);
        }
    }
    if (!length) return wrong(p, "a name is missing");
    out[length] = 0;
    return STATUS_OK;
}

static enum status parse_number(struct parser *p, uint32_t *out) {
    uint64_t v = 0;
    skip_blanks(p);
    const char *begin = p->next;
    for (; p->next < p->end && *p->next >= '0' && *p->next <= '9' && v <= CQL_VECTOR_DIMENSION_MAX; p->next++) v = v * 10 + (uint64_t)(*p->next - '0');
    if (p->next == begin || !v || v > CQL_VECTOR_DIMENSION_MAX) return wrong(p, "a vector's dimension is no number from 1 to 65,536");
    *out = (uint32_t)v;
    return STATUS_OK;
}

static enum status parse_cql(struct parser *p, struct cql_type *out);
static enum status parse_class(struct parser *p, struct cql_type *out);

// Types separated by commas up to `close`; a vector's dimension is not among them.
static enum status parse_children(struct parser *p, struct cql_type *out, uint32_t wanted, char close, bool of_class) {
    struct cql_type *children = NULL;
    uint32_t count = 0, capacity = 0;
    do {
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 2;
            struct cql_type *more = arena_alloc_array(p->arena, capacity, sizeof *more);
            if (!more) return error_no_memory(p->error);
            if (count) memcpy(more, children, count * sizeof *more);
            children = more;
        }
        if (count == CQL_TYPE_CHILDREN_MAX) return wrong(p, "too many types in one");
        TRY(of_class ? parse_class(p, &children[count]) : parse_cql(p, &children[count]));
        count++;
        if (wanted != UINT32_MAX && count == wanted) break;
    } while (accept(p, ','));
    if (wanted != UINT32_MAX && count != wanted) return wrong(p, "a type is missing");
    if (out->kind == CQL_VECTOR) {
        if (!accept(p, ',')) return wrong(p, "a vector's dimension is missing");
        TRY(parse_number(p, &out->dimension));
    }
    if (!accept(p, close)) return wrong(p, "a closing bracket is missing");
    out->children = children;
    out->child_count = count;
    return STATUS_OK;
}

static const struct cql_udt *find_udt(const struct parser *p, const char *name) {
    for (uint32_t i = 0; i < p->udt_count; i++) {
        if (!strcmp(p->udts[i].name, name)) return &p->udts[i];
    }
    return NULL;
}

static enum status parse_custom_literal(struct parser *p, struct cql_type *out) {
    const char *begin = ++p->next;
    const char *close = memchr(begin, '\'', (size_t)(p->end - begin));
    if (!close) return wrong(p, "a quoted class has no end");
    struct parser inner = *p;
    inner.text = inner.next = begin;
    inner.end = close;
    inner.depth = p->depth;
    TRY(parse_class(&inner, out));
    skip_blanks(&inner);
    if (inner.next != inner.end) return wrong(&inner, "text after the class");
    p->next = close + 1;
    return STATUS_OK;
}

static enum status parse_udt(struct parser *p, char name[NAME_MAX_BYTES], struct cql_type *out) {
    bool quoted;
    if (accept(p, '.')) TRY(parse_name(p, name, &quoted));
    const struct cql_udt *udt = find_udt(p, name);
    if (!udt) {
        error_set(p->error, STATUS_NOT_FOUND, "LEAT_CASSANDRA_TYPE", "no type `%s` in the keyspace `%s`", name, p->keyspace ? p->keyspace : "");
        return STATUS_NOT_FOUND;
    }
    *out = udt->type;
    out->frozen = false;
    return STATUS_OK;
}

static enum status parse_cql_name(struct parser *p, struct cql_type *out) {
    char name[NAME_MAX_BYTES];
    bool quoted;
    skip_blanks(p);
    if (p->next < p->end && *p->next == '\'') return parse_custom_literal(p, out);
    TRY(parse_name(p, name, &quoted));
    if (!quoted && !strcmp(name, "frozen")) {
        if (!accept(p, '<')) return wrong(p, "frozen names no type");
        TRY(parse_cql(p, out));
        if (!accept(p, '>')) return wrong(p, "a closing bracket is missing");
        out->frozen = true;
        return STATUS_OK;
    }
    if (!quoted && !strcmp(name, "empty")) {
        out->name = "empty";
        return STATUS_OK;
    }
    for (uint32_t i = 0; i < KIND_COUNT && !quoted; i++) {
        if (strcmp(kinds[i].name, name)) continue;
        out->kind = kinds[i].kind;
        out->frozen = out->kind == CQL_TUPLE || out->kind == CQL_VECTOR;
        if (!kinds[i].children) return STATUS_OK;
        if (!accept(p, '<')) return wrong(p, "a type has no `<…>`");
        return parse_children(p, out, kinds[i].children, '>', false);
    }
    return parse_udt(p, name, out);
}

static enum status parse_cql(struct parser *p, struct cql_type *out) {
    if (p->depth == CQL_TYPE_DEPTH_MAX) return wrong(p, "nested too deeply");
    p->depth++;
    *out = (struct cql_type){0};
    enum status status = parse_cql_name(p, out);
    p->depth--;
    return status;
}

// Past a parenthesis and what is in it, however nested.
static enum status skip_brackets(struct parser *p) {
    uint32_t open = 0;
    do {
        if (p->next >= p->end) return wrong(p, "a closing bracket is missing");
        if (!*p->next || *p->next == '\'') return wrong(p, "a class has a zero byte or a quote");
        open += *p->next == '(';
        open -= *p->next == ')';
        p->next++;
    } while (open);
    return STATUS_OK;
}

static int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static enum status parse_hex_name(struct parser *p, const char **out) {
    char name[NAME_MAX_BYTES];
    size_t length = 0;
    skip_blanks(p);
    for (; p->end - p->next >= 2 && hex_digit(p->next[0]) >= 0 && hex_digit(p->next[1]) >= 0; p->next += 2) {
        char c = (char)(hex_digit(p->next[0]) << 4 | hex_digit(p->next[1]));
        if (!c || length + 1 >= NAME_MAX_BYTES) return wrong(p, "a name is too long or has a zero byte");
        name[length++] = c;
    }
    if (!length) return wrong(p, "a name in hexadecimal is missing");
    *out = arena_strndup(p->arena, name, length);
    return *out ? STATUS_OK : error_no_memory(p->error);
}

// UserType(keyspace,hex of its name,hex of a field:type,…)
static enum status parse_user_class(struct parser *p, struct cql_type *out) {
    const char *names[64], *begin;
    struct cql_type types[64];
    uint32_t count = 0;
    out->kind = CQL_UDT;
    if (!accept(p, '(')) return wrong(p, "a user type has no fields");
    for (begin = p->next; p->next < p->end && is_name(*p->next);) p->next++;
    if (p->next == begin) return wrong(p, "a user type has no keyspace");
    out->keyspace = arena_strndup(p->arena, begin, (size_t)(p->next - begin));
    if (!out->keyspace) return error_no_memory(p->error);
    if (!accept(p, ',')) return wrong(p, "a user type has no name");
    TRY(parse_hex_name(p, &out->name));
    while (accept(p, ',')) {
        if (count == 64) return wrong(p, "too many fields in a class name");
        TRY(parse_hex_name(p, &names[count]));
        if (!accept(p, ':')) return wrong(p, "a field has no type");
        TRY(parse_class(p, &types[count]));
        count++;
    }
    if (!accept(p, ')')) return wrong(p, "a closing bracket is missing");
    out->child_count = count;
    out->children = arena_alloc_array(p->arena, count ? count : 1, sizeof *types);
    out->field_names = arena_alloc_array(p->arena, count ? count : 1, sizeof *names);
    if (!out->children || !out->field_names) return error_no_memory(p->error);
    if (count) memcpy(out->children, types, count * sizeof *types);
    if (count) memcpy(out->field_names, names, count * sizeof *names);
    return STATUS_OK;
}

// Frozen and Reversed only wrap.
static enum status parse_wrapper_class(struct parser *p, bool frozen, struct cql_type *out) {
    if (!accept(p, '(')) return wrong(p, "a class wraps nothing");
    TRY(parse_class(p, out));
    if (!accept(p, ')')) return wrong(p, "a closing bracket is missing");
    out->frozen |= frozen;
    return STATUS_OK;
}

static bool is_class_name(char c) { return is_name(c) || c == '.' || c == '$'; }

static enum status parse_class_name(struct parser *p, struct cql_type *out) {
    static const char package[] = "org.apache.cassandra.db.marshal.";
    skip_blanks(p);
    const char *begin = p->next, *simple = begin;
    while (p->next < p->end && is_class_name(*p->next)) p->next++;
    size_t length = (size_t)(p->next - begin);
    if (!length) return wrong(p, "a class is missing");
    if (length > sizeof package - 1 && !memcmp(begin, package, sizeof package - 1)) simple += sizeof package - 1;
    struct {
        const char *s;
        size_t n;
    } name = {simple, (size_t)(p->next - simple)};
    if (name.n == 8 && !memcmp(name.s, "UserType", 8)) return parse_user_class(p, out);
    if (name.n == 10 && !memcmp(name.s, "FrozenType", 10)) return parse_wrapper_class(p, true, out);
    if (name.n == 12 && !memcmp(name.s, "ReversedType", 12)) return parse_wrapper_class(p, false, out);
    for (uint32_t i = 0; i < KIND_COUNT; i++) {
        if (!kinds[i].class_name || strlen(kinds[i].class_name) != name.n || memcmp(kinds[i].class_name, name.s, name.n)) continue;
        out->kind = kinds[i].kind;
        out->frozen = out->kind == CQL_TUPLE || out->kind == CQL_VECTOR;
        if (!kinds[i].children) return STATUS_OK;
        if (!accept(p, '(')) return wrong(p, "a class has no parameters");
        return parse_children(p, out, kinds[i].children, ')', true);
    }
    if (p->next < p->end && *p->next == '(') TRY(skip_brackets(p));
    out->kind = CQL_CUSTOM;
    out->name = arena_strndup(p->arena, begin, (size_t)(p->next - begin));
    return out->name ? STATUS_OK : error_no_memory(p->error);
}

static enum status parse_class(struct parser *p, struct cql_type *out) {
    if (p->depth == CQL_TYPE_DEPTH_MAX) return wrong(p, "nested too deeply");
    p->depth++;
    *out = (struct cql_type){0};
    enum status status = parse_class_name(p, out);
    p->depth--;
    return status;
}

enum status cql_type_parse(struct arena *arena, const char *text, size_t size_bytes, const char *keyspace, const struct cql_udt *udts, uint32_t udt_count,
                           struct cql_type *out, struct error *e) {
    struct parser p = {.arena = arena, .text = text, .next = text, .end = text + size_bytes, .keyspace = keyspace, .udts = udts, .udt_count = udt_count,
                       .error = e};
    size_t bare = 0;
    while (bare < size_bytes && is_name(text[bare])) bare++;
    bool of_class = bare && bare < size_bytes && (text[bare] == '(' || (text[bare] == '.' && !memcmp(text, "org", bare < 3 ? bare : 3)));
    TRY(of_class ? parse_class(&p, out) : parse_cql(&p, out));
    skip_blanks(&p);
    return p.next == p.end ? STATUS_OK : wrong(&p, "text after the type");
}

static enum status print_name(struct buffer *out, const char *name) {
    bool bare = *name >= 'a' && *name <= 'z';
    for (const char *c = name; *c; c++) bare &= is_name(*c) && !(*c >= 'A' && *c <= 'Z');
    for (uint32_t i = 0; i < KIND_COUNT; i++) bare &= strcmp(kinds[i].name, name) != 0;
    bare &= strcmp(name, "frozen") != 0 && strcmp(name, "empty") != 0;
    if (bare) return buffer_append_string(out, name);
    TRY(buffer_append_byte(out, '"'));
    for (const char *c = name; *c; c++) {
        if (*c == '"') TRY(buffer_append_byte(out, '"'));
        TRY(buffer_append_byte(out, (uint8_t)*c));
    }
    return buffer_append_byte(out, '"');
}

enum status cql_type_print(struct buffer *out, const struct cql_type *type, bool with_frozen) {
    bool frozen = with_frozen && type->frozen && type->kind != CQL_VECTOR;
    if (frozen) TRY(buffer_append_string(out, "frozen<"));
    if (type->kind == CQL_CUSTOM) {
        if (!strcmp(type->name, "empty")) TRY(buffer_append_string(out, "empty"));
        else TRY(buffer_printf(out, "'%s'", type->name));
    } else if (type->kind == CQL_UDT) {
        TRY(print_name(out, type->name));
    } else {
        TRY(buffer_append_string(out, cql_kind_name(type->kind)));
        for (uint32_t i = 0; i < type->child_count; i++) {
            TRY(buffer_append_string(out, i ? ", " : "<"));
            TRY(cql_type_print(out, &type->children[i], with_frozen));
        }
        if (type->kind == CQL_VECTOR) TRY(buffer_printf(out, ", %u", type->dimension));
        if (type->child_count) TRY(buffer_append_byte(out, '>'));
    }
    return frozen ? buffer_append_byte(out, '>') : STATUS_OK;
}

bool cql_type_equal(const struct cql_type *a, const struct cql_type *b) {
    if (a->kind != b->kind || a->dimension != b->dimension || a->child_count != b->child_count) return false;
    if ((a->name && b->name && strcmp(a->name, b->name)) || !a->name != !b->name) return false;
    if ((a->keyspace && b->keyspace && strcmp(a->keyspace, b->keyspace)) || !a->keyspace != !b->keyspace) return false;
    for (uint32_t i = 0; i < a->child_count; i++) {
        if (!cql_type_equal(&a->children[i], &b->children[i])) return false;
        if (a->field_names && b->field_names && strcmp(a->field_names[i], b->field_names[i])) return false;
    }
    return true;
}
