// SPDX-License-Identifier: Apache-2.0
// infer.c: the type of documents, by the rules of Spark's JsonInferSchema.
//
// Integers are BIGINT (DECIMAL when they do not fit, up to 38 digits), fractions DOUBLE, empty strings and null the NULL type until the
// end. Two types meet in the narrowest that holds both; what has none becomes STRING. Fields are kept sorted by name. The types are built
// in the caller's arena; recursion is bounded by INFER_DEPTH_MAX, below which a document counts as malformed.
#include "json/reader.h"
#include <stdlib.h>

enum { INFER_DEPTH_MAX = 200, INFER_FIELDS_MAX = 100000 };

struct inference {
    struct arena *arena;
    struct json_cursor cursor;
    const struct json_options *options;
    bool no_memory;
};

static const struct type *out_of_memory(struct inference *in) {
    in->no_memory = true;
    return NULL;
}

static const struct type *merge(struct inference *in, const struct type *a, const struct type *b);

static const struct type *merge_structs(struct inference *in, const struct type *a, const struct type *b) {
    struct field *fields = arena_alloc_array(in->arena, (size_t)a->field_count + b->field_count + 1, sizeof *fields);
    if (!fields) return out_of_memory(in);
    uint32_t count = 0, i = 0, j = 0;
    while (i < a->field_count || j < b->field_count) {
        int order = i == a->field_count ? 1 : j == b->field_count ? -1 : strcmp(a->fields[i].name, b->fields[j].name);
        if (order < 0) {
            fields[count++] = a->fields[i++];
        } else if (order > 0) {
            fields[count++] = b->fields[j++];
        } else {
            const struct type *type = merge(in, a->fields[i].type, b->fields[j].type);
            if (!type) return NULL;
            fields[count] = a->fields[i++];
            fields[count++].type = type;
            j++;
        }
    }
    // Same fields, same types: keep the old one, so that a long file costs no more memory than its shapes.
    bool same = count == a->field_count;
    for (i = 0; same && i < count; i++) same = fields[i].type == a->fields[i].type;
    if (same) return a;
    const struct type *merged = type_struct(in->arena, fields, count);
    return merged ? merged : out_of_memory(in);
}

static const struct type *merge_decimals(struct inference *in, const struct type *a, const struct type *b) {
    int scale = a->scale > b->scale ? a->scale : b->scale;
    int a_range = a->precision - a->scale, b_range = b->precision - b->scale;
    int range = a_range > b_range ? a_range : b_range;
    if (range + scale > DECIMAL_MAX_PRECISION) return &type_double;
    const struct type *type = type_decimal(in->arena, (uint8_t)(range + scale), (uint8_t)scale);
    return type ? type : out_of_memory(in);
}

static const struct type *merge(struct inference *in, const struct type *a, const struct type *b) {
    if (type_equal(a, b)) return a;
    if (a->id == TYPE_NULL) return b;
    if (b->id == TYPE_NULL) return a;
    if (a->id == TYPE_STRUCT && b->id == TYPE_STRUCT) return merge_structs(in, a, b);
    if (a->id == TYPE_ARRAY && b->id == TYPE_ARRAY) {
        const struct type *element = merge(in, a->fields[0].type, b->fields[0].type);
        if (!element || element == a->fields[0].type) return element ? a : NULL;
        const struct type *type = type_array(in->arena, element, true);
        return type ? type : out_of_memory(in);
    }
    bool numbers = type_is_numeric(a) && type_is_numeric(b);
    if (!numbers) return &type_string;
    if (a->id == TYPE_DOUBLE || b->id == TYPE_DOUBLE) return &type_double;
    // What is left is BIGINT or DECIMAL; a BIGINT counts as DECIMAL(20,0).
    const struct type *long_decimal = type_decimal(in->arena, 20, 0);
    if (!long_decimal) return out_of_memory(in);
    return merge_decimals(in, a->id == TYPE_DECIMAL ? a : long_decimal, b->id == TYPE_DECIMAL ? b : long_decimal);
}

// Digits of the number as BigDecimal counts them; false if there are too many for DECIMAL, or a negative scale.
static bool decimal_shape(const char *s, size_t size_bytes, uint8_t *precision, uint8_t *scale) {
    int64_t digits = 0, fraction = 0, exponent = 0;
    size_t i = size_bytes && (*s == '-' || *s == '+') ? 1 : 0;
    bool any = false, point = false;
    for (; i < size_bytes && s[i] != 'e' && s[i] != 'E'; i++) {
        if (s[i] == '.') {
            if (point) return false;
            point = true;
            continue;
        }
        if ((unsigned char)(s[i] - '0') > 9) return false;
        any = true;
        if (digits || s[i] != '0') digits++;
        fraction += point;
    }
    if (!any) return false;
    if (i < size_bytes) {
        bool negative = ++i < size_bytes && s[i] == '-';
        if (i < size_bytes && (s[i] == '-' || s[i] == '+')) i++;
        if (i == size_bytes) return false;
        for (; i < size_bytes; i++) {
            if ((unsigned char)(s[i] - '0') > 9) return false;
            if (exponent < 1000000) exponent = exponent * 10 + (s[i] - '0');
        }
        if (negative) exponent = -exponent;
    }
    int64_t places = fraction - exponent;
    if (digits == 0) digits = 1;
    if (places < 0) {
        digits -= places;  // Spark refuses a negative scale: zeros are written out
        places = 0;
    }
    if (digits < places) digits = places;
    if (digits > DECIMAL_MAX_PRECISION) return false;
    *precision = (uint8_t)digits;
    *scale = (uint8_t)places;
    return true;
}

static const struct type *infer_decimal(struct inference *in, const char *s, size_t size_bytes, const struct type *otherwise) {
    uint8_t precision, scale;
    if (!decimal_shape(s, size_bytes, &precision, &scale)) return otherwise;
    const struct type *type = type_decimal(in->arena, precision, scale);
    return type ? type : out_of_memory(in);
}

static const struct type *infer_number(struct inference *in) {
    struct json_number number;
    if (!json_scan_number(&in->cursor, &number)) return NULL;
    if (in->options->primitives_as_string) return &type_string;
    if (number.kind == JSON_NUMBER_WORD) return &type_double;
    if (number.kind == JSON_NUMBER_FRACTION)
        return in->options->prefers_decimal ? infer_decimal(in, number.bytes, number.size_bytes, &type_double) : &type_double;
    if (!number.inexact && number.mantissa <= (uint64_t)INT64_MAX + (number.negative ? 1 : 0)) return &type_bigint;
    return infer_decimal(in, number.bytes, number.size_bytes, &type_double);
}

static const struct type *infer_string(struct inference *in) {
    struct json_string s;
    if (!json_scan_quoted(&in->cursor, &s)) return NULL;
    if (s.size_bytes == 0) return &type_null;
    if (in->options->prefers_decimal && !in->options->primitives_as_string && s.marks == 0) return infer_decimal(in, s.bytes, s.size_bytes, &type_string);
    return &type_string;
}

static const struct type *infer_value(struct inference *in);

static const struct type *infer_array(struct inference *in) {
    struct json_cursor *c = &in->cursor;
    const struct type *element = &type_null;
    int byte = json_peek(c);
    while (byte != ']') {
        const struct type *type = infer_value(in);
        if (!type || !(element = merge(in, element, type))) return NULL;
        byte = json_peek(c);
        if (byte == ']') break;
        if (byte != ',') return NULL;
        c->next++;
        if ((byte = json_peek(c)) == ']') return NULL;
    }
    c->next++;
    const struct type *type = type_array(in->arena, element, true);
    return type ? type : out_of_memory(in);
}

static char *key_text(struct inference *in, const struct json_string *key) {
    char *name = arena_alloc(in->arena, json_string_capacity(key) + 1);
    if (!name) {
        in->no_memory = true;
        return NULL;
    }
    name[json_string_decode(key, name)] = 0;
    return name;
}

static int compare_fields(const void *a, const void *b) {
    const struct field *x = a, *y = b;
    int order = strcmp(x->name, y->name);
    return order ? order : (x > y) - (x < y);
}

// Sorted by name. Spark keeps a key that occurs twice as two fields, which nobody can read: here its types meet in one.
static const struct type *struct_of(struct inference *in, struct field *fields, uint32_t count) {
    if (count) qsort(fields, count, sizeof *fields, compare_fields);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (kept && strcmp(fields[kept - 1].name, fields[i].name) == 0) {
            if (!(fields[kept - 1].type = merge(in, fields[kept - 1].type, fields[i].type))) return NULL;
        } else {
            fields[kept++] = fields[i];
        }
    }
    const struct type *type = type_struct(in->arena, fields, kept);
    return type ? type : out_of_memory(in);
}

static const struct type *infer_object(struct inference *in) {
    struct json_cursor *c = &in->cursor;
    struct field *fields = NULL;
    uint32_t count = 0, capacity = 0;
    int byte = json_peek(c);
    while (byte != '}') {
        struct json_string key;
        if (count >= INFER_FIELDS_MAX || !json_scan_key(c, &key)) return NULL;
        if (count == capacity) {
            capacity = capacity ? capacity * 2 : 8;
            struct field *grown = arena_alloc_array(in->arena, capacity, sizeof *grown);
            if (!grown) return out_of_memory(in);
            if (count) memcpy(grown, fields, count * sizeof *grown);
            fields = grown;
        }
        struct field *field = &fields[count++];
        *field = (struct field){.name = key_text(in, &key), .nullable = true};
        if (!field->name || !(field->type = infer_value(in))) return NULL;
        byte = json_peek(c);
        if (byte == '}') break;
        if (byte != ',') return NULL;
        c->next++;
        if ((byte = json_peek(c)) == '}') return NULL;
    }
    c->next++;
    return struct_of(in, fields, count);
}

// NULL: not JSON, or out of memory.
static const struct type *infer_value(struct inference *in) {
    struct json_cursor *c = &in->cursor;
    int first = json_peek(c);
    const struct type *type;
    switch (first) {
    case -1: return NULL;
    case 'n': return json_scan_literal(c, "null", 4) ? &type_null : NULL;
    case 't': case 'f':
        if (!json_scan_literal(c, first == 't' ? "true" : "false", first == 't' ? 4 : 5)) return NULL;
        return in->options->primitives_as_string ? &type_string : &type_boolean;
    case '"': case '\'': return infer_string(in);
    case '{': case '[':
        if (c->depth >= c->depth_limit || c->depth >= INFER_DEPTH_MAX) return NULL;
        c->depth++;
        c->next++;
        type = first == '{' ? infer_object(in) : infer_array(in);
        c->depth--;
        return type;
    default: return infer_number(in);
    }
}

enum status json_infer(struct arena *a, const char *text, size_t size_bytes, const struct json_options *options, const struct type **schema,
                       bool *malformed) {
    struct json_options defaults;
    json_options_default(&defaults);
    struct inference in = {.arena = a, .options = options ? options : &defaults};
    json_cursor_init(&in.cursor, text, size_bytes, json_flags_of(in.options) | JSON_FLAG_STRICT_UTF8, in.options->depth_limit, json_scanner_best());
    *malformed = false;
    if (json_peek(&in.cursor) < 0) return STATUS_OK;
    const struct type *type = infer_value(&in);
    if (type && *schema) {
        // An array at the top stands for its rows as soon as there is a struct to compare it with.
        if ((*schema)->id == TYPE_STRUCT && type->id == TYPE_ARRAY) type = type->fields[0].type;
        if ((*schema)->id == TYPE_ARRAY && type->id == TYPE_STRUCT) *schema = (*schema)->fields[0].type;
        if ((*schema)->id == TYPE_STRUCT && type->id != TYPE_STRUCT && type->id != TYPE_NULL) {
            *malformed = true;
            return STATUS_OK;
        }
        type = merge(&in, *schema, type);
    }
    if (in.no_memory) return STATUS_NO_MEMORY;
    *malformed = !type;
    if (type) *schema = type;
    return STATUS_OK;
}

// NULL in *out: an empty struct, to be dropped.
static enum status canonical(struct arena *a, const struct type *type, const struct type **out) {
    *out = type;
    if (type->id == TYPE_NULL) *out = &type_string;
    if (type->id == TYPE_ARRAY) {
        const struct type *element;
        TRY(canonical(a, type->fields[0].type, &element));
        if (element) *out = element == type->fields[0].type ? type : type_array(a, element, true);
        else *out = NULL;
        if (element && !*out) return STATUS_NO_MEMORY;
    }
    if (type->id != TYPE_STRUCT) return STATUS_OK;
    struct field *fields = arena_alloc_array(a, (size_t)type->field_count + 1, sizeof *fields);
    if (!fields) return STATUS_NO_MEMORY;
    uint32_t count = 0;
    for (uint32_t i = 0; i < type->field_count; i++) {
        const struct type *field_type;
        TRY(canonical(a, type->fields[i].type, &field_type));
        if (!field_type || !type->fields[i].name[0]) continue;
        fields[count] = type->fields[i];
        fields[count++].type = field_type;
    }
    *out = NULL;
    if (count == 0) return STATUS_OK;
    *out = type_struct(a, fields, count);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status json_infer_finish(struct arena *a, bool rows, const struct type **schema) {
    const struct type *type = *schema;
    while (rows && type && type->id == TYPE_ARRAY) type = type->fields[0].type;
    bool as_struct = rows && (!type || type->id != TYPE_STRUCT);
    if (!as_struct) TRY(canonical(a, type ? type : &type_null, &type));
    if (as_struct || !type) {
        struct field none = {0};
        type = type_struct(a, &none, 0);
        if (!type) return STATUS_NO_MEMORY;
    }
    *schema = type;
    return STATUS_OK;
}
