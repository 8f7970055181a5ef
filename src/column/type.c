// SPDX-License-Identifier: Apache-2.0
// type.c: making, comparing and printing types.
//
// Types are trees no deeper than what made them allows (type_text.c: 100 levels; the SQL parser: its own limit), so that
// recursion here is bounded.
#include "column/type.h"
#include "base/checksum.h"
#include "base/random.h"
#include <string.h>
#include <strings.h>

const struct type type_null = {.id = TYPE_NULL};
const struct type type_boolean = {.id = TYPE_BOOLEAN};
const struct type type_tinyint = {.id = TYPE_TINYINT};
const struct type type_smallint = {.id = TYPE_SMALLINT};
const struct type type_int = {.id = TYPE_INT};
const struct type type_bigint = {.id = TYPE_BIGINT};
const struct type type_float = {.id = TYPE_FLOAT};
const struct type type_double = {.id = TYPE_DOUBLE};
const struct type type_string = {.id = TYPE_STRING};
const struct type type_binary = {.id = TYPE_BINARY};
const struct type type_date = {.id = TYPE_DATE};
const struct type type_timestamp = {.id = TYPE_TIMESTAMP};
const struct type type_timestamp_ntz = {.id = TYPE_TIMESTAMP_NTZ};
const struct type type_interval_ym = {.id = TYPE_INTERVAL_YM, .start = UNIT_YEAR, .end = UNIT_MONTH};
const struct type type_interval_dt = {.id = TYPE_INTERVAL_DT, .start = UNIT_DAY, .end = UNIT_SECOND};
const struct type type_interval = {.id = TYPE_INTERVAL};

static const struct type *make_type(struct arena *a, struct type t) {
    struct type *made = arena_alloc(a, sizeof *made);
    if (made) *made = t;
    return made;
}

const struct type *type_decimal(struct arena *a, uint8_t precision, uint8_t scale) {
    return make_type(a, (struct type){.id = TYPE_DECIMAL, .precision = precision, .scale = scale});
}

// Fields with their names copied.
static const struct field *copy_fields(struct arena *a, const struct field *fields, uint32_t field_count) {
    struct field *copies = arena_alloc_array(a, field_count ? field_count : 1, sizeof *copies);
    if (!copies) return NULL;
    for (uint32_t i = 0; i < field_count; i++) {
        copies[i] = fields[i];
        copies[i].name = arena_strdup(a, fields[i].name);
        if (!copies[i].name || !copies[i].type) return NULL;
    }
    return copies;
}

static const struct type *make_nested(struct arena *a, enum type_id id, const struct field *fields, uint32_t field_count) {
    const struct field *copies = copy_fields(a, fields, field_count);
    return copies ? make_type(a, (struct type){.id = id, .field_count = field_count, .fields = copies}) : NULL;
}

const struct type *type_array(struct arena *a, const struct type *element, bool contains_null) {
    struct field field = {.name = "element", .type = element, .nullable = contains_null};
    return make_nested(a, TYPE_ARRAY, &field, 1);
}

const struct type *type_map(struct arena *a, const struct type *key, const struct type *value, bool value_contains_null) {
    struct field fields[2] = {{.name = "key", .type = key, .nullable = false},
                              {.name = "value", .type = value, .nullable = value_contains_null}};
    return make_nested(a, TYPE_MAP, fields, 2);
}

const struct type *type_struct(struct arena *a, const struct field *fields, uint32_t field_count) {
    return make_nested(a, TYPE_STRUCT, fields, field_count);
}

const struct type *type_interval_ym_range(struct arena *a, enum interval_unit start, enum interval_unit end) {
    return make_type(a, (struct type){.id = TYPE_INTERVAL_YM, .start = (uint8_t)start, .end = (uint8_t)end});
}

const struct type *type_interval_dt_range(struct arena *a, enum interval_unit start, enum interval_unit end) {
    return make_type(a, (struct type){.id = TYPE_INTERVAL_DT, .start = (uint8_t)start, .end = (uint8_t)end});
}

const struct type *type_copy(struct arena *a, const struct type *t) {
    struct field *fields = NULL;
    if (type_is_nested(t)) {
        fields = arena_alloc_array(a, t->field_count ? t->field_count : 1, sizeof *fields);
        if (!fields) return NULL;
        for (uint32_t i = 0; i < t->field_count; i++) {
            fields[i].nullable = t->fields[i].nullable;
            fields[i].name = arena_strdup(a, t->fields[i].name);
            fields[i].type = type_copy(a, t->fields[i].type);
            if (!fields[i].name || !fields[i].type) return NULL;
        }
    }
    struct type copy = *t;
    copy.fields = fields;
    return make_type(a, copy);
}

static bool equal(const struct type *a, const struct type *b, bool names) {
    if (a == b) return true;
    if (a->id != b->id || a->precision != b->precision || a->scale != b->scale || a->start != b->start || a->end != b->end ||
        a->field_count != b->field_count) {
        return false;
    }
    for (uint32_t i = 0; i < a->field_count; i++) {
        if (names && a->id == TYPE_STRUCT && strcmp(a->fields[i].name, b->fields[i].name) != 0) return false;
        if (!equal(a->fields[i].type, b->fields[i].type, names)) return false;
    }
    return true;
}

bool type_equal(const struct type *a, const struct type *b) { return equal(a, b, true); }
bool type_equal_ignoring_names(const struct type *a, const struct type *b) { return equal(a, b, false); }

uint64_t type_hash(const struct type *t) {
    uint64_t hash = random_mix((uint64_t)t->id | (uint64_t)t->precision << 8 | (uint64_t)t->scale << 16 | (uint64_t)t->start << 24 |
                               (uint64_t)t->end << 32);
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (t->id == TYPE_STRUCT) hash = checksum64(t->fields[i].name, strlen(t->fields[i].name), hash);
        hash = random_mix(hash ^ type_hash(t->fields[i].type)) + i;
    }
    return hash;
}

static const char *const simple_names[TYPE_COUNT] = {
    [TYPE_NULL] = "void", [TYPE_BOOLEAN] = "boolean", [TYPE_TINYINT] = "tinyint", [TYPE_SMALLINT] = "smallint", [TYPE_INT] = "int",
    [TYPE_BIGINT] = "bigint", [TYPE_FLOAT] = "float", [TYPE_DOUBLE] = "double", [TYPE_DECIMAL] = "decimal", [TYPE_STRING] = "string",
    [TYPE_BINARY] = "binary", [TYPE_DATE] = "date", [TYPE_TIMESTAMP] = "timestamp", [TYPE_TIMESTAMP_NTZ] = "timestamp_ntz",
    [TYPE_INTERVAL_YM] = "interval", [TYPE_INTERVAL_DT] = "interval", [TYPE_INTERVAL] = "interval", [TYPE_ARRAY] = "array",
    [TYPE_MAP] = "map", [TYPE_STRUCT] = "struct",
};
static const char *const unit_names[] = {"year", "month", "day", "hour", "minute", "second"};

static enum status append_word(struct buffer *out, const char *word, bool upper) {
    for (; *word; word++) TRY(buffer_append_byte(out, (uint8_t)(upper && *word >= 'a' && *word <= 'z' ? *word - 32 : *word)));
    return STATUS_OK;
}

static bool is_plain_name(const char *name) {
    if (!*name || (*name >= '0' && *name <= '9')) return false;
    for (; *name; name++) {
        bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') || (*name >= '0' && *name <= '9') || *name == '_';
        if (!plain) return false;
    }
    return true;
}

static enum status append_quoted_if_needed(struct buffer *out, const char *name) {
    if (is_plain_name(name)) return buffer_append_string(out, name);
    TRY(buffer_append_byte(out, '`'));
    for (; *name; name++) {
        if (*name == '`') TRY(buffer_append_byte(out, '`'));
        TRY(buffer_append_byte(out, (uint8_t)*name));
    }
    return buffer_append_byte(out, '`');
}

static enum status print(const struct type *t, bool sql, struct buffer *out) {
    TRY(append_word(out, simple_names[t->id], sql));
    if (t->id == TYPE_DECIMAL) return buffer_printf(out, "(%u,%u)", (unsigned)t->precision, (unsigned)t->scale);
    if (t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT) {
        TRY(buffer_append_byte(out, ' '));
        TRY(append_word(out, unit_names[t->start], sql));
        if (t->end == t->start) return STATUS_OK;
        TRY(append_word(out, " to ", sql));
        return append_word(out, unit_names[t->end], sql);
    }
    if (!type_is_nested(t)) return STATUS_OK;
    TRY(buffer_append_byte(out, '<'));
    for (uint32_t i = 0; i < t->field_count; i++) {
        const struct field *field = &t->fields[i];
        if (i) TRY(buffer_append_string(out, sql ? ", " : ","));
        if (t->id == TYPE_STRUCT) {
            TRY(sql ? append_quoted_if_needed(out, field->name) : buffer_append_string(out, field->name));
            TRY(buffer_append_string(out, sql ? ": " : ":"));
        }
        TRY(print(field->type, sql, out));
        if (sql && t->id == TYPE_STRUCT && !field->nullable) TRY(buffer_append_string(out, " NOT NULL"));
    }
    return buffer_append_byte(out, '>');
}

enum status type_print(const struct type *t, struct buffer *out) { return print(t, false, out); }
enum status type_print_sql(const struct type *t, struct buffer *out) { return print(t, true, out); }

static const char *name_in_arena(struct arena *a, const struct type *t, bool sql) {
    struct buffer text;
    buffer_init(&text, a->memory);
    const char *name = print(t, sql, &text) == STATUS_OK ? arena_strndup(a, (const char *)text.data, text.size_bytes) : NULL;
    buffer_release(&text);
    return name ? name : "?";
}

const char *type_name(struct arena *a, const struct type *t) { return name_in_arena(a, t, false); }
const char *type_name_sql(struct arena *a, const struct type *t) { return name_in_arena(a, t, true); }

size_t type_width(const struct type *t) {
    switch (t->id) {
    case TYPE_BOOLEAN:
    case TYPE_TINYINT: return 1;
    case TYPE_SMALLINT: return 2;
    case TYPE_INT:
    case TYPE_FLOAT:
    case TYPE_DATE:
    case TYPE_INTERVAL_YM:
    case TYPE_ARRAY:
    case TYPE_MAP: return 4;
    case TYPE_BIGINT:
    case TYPE_DOUBLE:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ:
    case TYPE_INTERVAL_DT: return 8;
    case TYPE_DECIMAL:
    case TYPE_STRING:
    case TYPE_BINARY:
    case TYPE_INTERVAL: return 16;
    case TYPE_NULL:
    case TYPE_STRUCT: return 0;
    }
    return 0;
}
_Static_assert(sizeof(struct calendar_interval) == 16, "an interval is 16 bytes");

bool type_is_orderable(const struct type *t) {
    if (t->id == TYPE_MAP || t->id == TYPE_INTERVAL) return false;
    for (uint32_t i = 0; i < t->field_count; i++) {
        if (!type_is_orderable(t->fields[i].type)) return false;
    }
    return true;
}

int type_field_index(const struct type *t, const char *name, bool case_sensitive) {
    int found = -1;
    for (uint32_t i = 0; t->id == TYPE_STRUCT && i < t->field_count; i++) {
        int differs = case_sensitive ? strcmp(t->fields[i].name, name) : strcasecmp(t->fields[i].name, name);
        if (differs) continue;
        if (found >= 0) return -2;
        found = (int)i;
    }
    return found;
}
