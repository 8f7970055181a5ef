// SPDX-License-Identifier: Apache-2.0
// signature.c: "(ARRAY<T>, INT?) -> T | (MAP<K, V>, K) -> V": parsed at bind time, straight from the table line; no table is built.
#include "signature.h"
#include "column/type_text.h"
#include "expr/coerce.h"

static const char *skip_blanks(const char *s) {
    while (*s == ' ') s++;
    return s;
}

static bool is_letter(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || (c >= '0' && c <= '9'); }

static bool word_is(const char *s, size_t size_bytes, const char *word) { return strlen(word) == size_bytes && memcmp(s, word, size_bytes) == 0; }

// Where a type's text ends: at a separator outside of brackets.
static const char *type_end(const char *s) {
    int depth = 0;
    for (; *s; s++) {
        if (*s == '<' || *s == '(') depth++;
        if (depth == 0 && (*s == ',' || *s == ')' || *s == '>' || *s == '|' || *s == '?' || *s == '.')) break;
        if (*s == '>' || *s == ')') depth--;
    }
    while (s[-1] == ' ') s--;
    return s;
}

static enum status parse_pattern(struct arena *a, const char **text, struct pattern *out, struct error *e);

static enum status parse_children(struct arena *a, const char **text, struct pattern *out, uint32_t count, struct error *e) {
    out->children = arena_alloc_array(a, count, sizeof *out->children);
    if (!out->children) return error_no_memory(e);
    const char *s = *text;
    for (uint32_t i = 0; i < count; i++) {
        s = skip_blanks(s + 1);  // past "<" or ","
        TRY(parse_pattern(a, &s, &out->children[i], e));
        s = skip_blanks(s);
    }
    *text = *s == '>' ? s + 1 : s;
    return STATUS_OK;
}

static enum status parse_pattern(struct arena *a, const char **text, struct pattern *out, struct error *e) {
    const char *s = skip_blanks(*text);
    size_t length = 0;
    while (is_letter(s[length])) length++;
    *out = (struct pattern){.kind = PATTERN_ANY};
    const char *after = s + length;
    if (length == 1) {
        out->kind = PATTERN_VARIABLE;
        out->letter = (uint8_t)(s[0] - 'A');
        if (s[0] < 'A' || s[0] > 'Z') return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "bad signature near '%s'", s);
    } else if (word_is(s, length, "ANY") || word_is(s, length, "LAMBDA") || word_is(s, length, "FUNCTION")) {
        out->kind = PATTERN_ANY;
    } else if (word_is(s, length, "NUMERIC")) {
        out->kind = PATTERN_NUMERIC;
    } else if (word_is(s, length, "INTEGRAL")) {
        out->kind = PATTERN_INTEGRAL;
    } else if (word_is(s, length, "DECIMAL") && *after != '(') {
        out->kind = PATTERN_DECIMAL;
    } else if (word_is(s, length, "STRUCT") && *after != '<') {
        out->kind = PATTERN_STRUCT;
    } else if (word_is(s, length, "ARRAY") && *after == '<') {
        out->kind = PATTERN_ARRAY;
        TRY(parse_children(a, &after, out, 1, e));
    } else if (word_is(s, length, "MAP") && *after == '<') {
        out->kind = PATTERN_MAP;
        TRY(parse_children(a, &after, out, 2, e));
    } else {
        after = type_end(s);
        size_t consumed;
        out->kind = PATTERN_TYPE;
        if (after == s) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "bad signature near '%s'", s);
        TRY(type_parse(a, s, (size_t)(after - s), &out->type, &consumed, e));
        if (out->type->id == TYPE_INTERVAL_YM && out->type->start == UNIT_YEAR && out->type->end == UNIT_MONTH) out->kind = PATTERN_INTERVAL_YM;
        if (out->type->id == TYPE_INTERVAL_DT && out->type->start == UNIT_DAY && out->type->end == UNIT_SECOND) out->kind = PATTERN_INTERVAL_DT;
    }
    *text = after;
    return STATUS_OK;
}

static enum status parse_arguments(struct arena *a, const char **text, struct alternative *out, struct error *e) {
    const char *s = *text;
    if (*s == ')') {
        *text = s + 1;
        return STATUS_OK;
    }
    for (;;) {
        if (out->count == SIGNATURE_ARGUMENTS_MAX) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "a signature is too long");
        struct pattern *p = &out->arguments[out->count++];
        TRY(parse_pattern(a, &s, p, e));
        s = skip_blanks(s);
        while (*s == '?' || strncmp(s, "...", 3) == 0) {
            if (*s == '?') p->optional = true;
            else p->repeated = true;
            s = skip_blanks(s + (*s == '?' ? 1 : 3));
        }
        if (!p->optional) out->least++;
        if (out->most != UINT32_MAX) out->most++;
        if (p->repeated) out->most = UINT32_MAX;
        if (*s == ')') break;
        if (*s != ',') return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "bad signature near '%s'", s);
        s = skip_blanks(s + 1);
    }
    *text = s + 1;
    return STATUS_OK;
}

enum status signature_next(struct arena *a, const char **text, struct alternative *out, struct error *e) {
    const char *s = skip_blanks(*text);
    memset(out, 0, sizeof *out);
    if (*s != '(') return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "bad signature near '%s'", s);
    s = skip_blanks(s + 1);
    TRY(parse_arguments(a, &s, out, e));
    s = skip_blanks(s);
    if (strncmp(s, "->", 2) == 0) {
        s += 2;
        out->has_result = true;
        TRY(parse_pattern(a, &s, &out->result, e));
        s = skip_blanks(s);
    }
    if (*s == '|') s++;
    else if (*s) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "bad signature near '%s'", s);
    *text = skip_blanks(s);
    return STATUS_OK;
}

// First pass: letters take the common type of what stands at their places.
static bool bind_letters(struct arena *a, const struct pattern *p, const struct type *t, const struct type **letters) {
    switch (p->kind) {
    case PATTERN_VARIABLE: {
        const struct type *before = letters[p->letter];
        letters[p->letter] = before ? coerce_common(a, before, t) : t;
        return letters[p->letter] != NULL;
    }
    case PATTERN_ARRAY:
    case PATTERN_MAP: {
        enum type_id wanted = p->kind == PATTERN_ARRAY ? TYPE_ARRAY : TYPE_MAP;
        if (t->id == TYPE_NULL) return true;
        if (t->id != wanted) return false;
        for (uint32_t i = 0; i < t->field_count; i++)
            if (!bind_letters(a, &p->children[i], t->fields[i].type, letters)) return false;
        return true;
    }
    default:
        return true;
    }
}

// Second pass: the type an argument is cast to; NULL: it cannot be.
static const struct type *target_type(struct arena *a, const struct pattern *p, const struct type *t, const struct type *const *letters) {
    switch (p->kind) {
    case PATTERN_ANY:
        return t;
    case PATTERN_NUMERIC:
        return type_is_numeric(t) ? t : t->id == TYPE_NULL || t->id == TYPE_STRING ? &type_double : NULL;
    case PATTERN_INTEGRAL:
        return type_is_integral(t) ? t : t->id == TYPE_NULL ? &type_int : NULL;
    case PATTERN_DECIMAL:
        return type_is_numeric(t) ? decimal_for(a, t) : t->id == TYPE_NULL ? type_decimal(a, 10, 0) : t->id == TYPE_STRING ? type_decimal(a, 38, 18) : NULL;
    case PATTERN_VARIABLE:
        return letters[p->letter] ? letters[p->letter] : t;
    case PATTERN_TYPE:
        return p->type;
    case PATTERN_INTERVAL_YM:
        return t->id == TYPE_INTERVAL_YM ? t : t->id == TYPE_NULL || t->id == TYPE_STRING ? p->type : NULL;
    case PATTERN_INTERVAL_DT:
        return t->id == TYPE_INTERVAL_DT ? t : t->id == TYPE_NULL || t->id == TYPE_STRING ? p->type : NULL;
    case PATTERN_STRUCT:
        return t->id == TYPE_STRUCT || t->id == TYPE_NULL ? t : NULL;
    case PATTERN_ARRAY: {
        if (t->id != TYPE_ARRAY && t->id != TYPE_NULL) return NULL;
        const struct type *element = target_type(a, &p->children[0], t->id == TYPE_ARRAY ? t->fields[0].type : &type_null, letters);
        if (!element) return NULL;
        return type_array(a, element, t->id != TYPE_ARRAY || t->fields[0].nullable);
    }
    case PATTERN_MAP: {
        if (t->id != TYPE_MAP && t->id != TYPE_NULL) return NULL;
        bool is_map = t->id == TYPE_MAP;
        const struct type *key = target_type(a, &p->children[0], is_map ? t->fields[0].type : &type_null, letters);
        const struct type *value = target_type(a, &p->children[1], is_map ? t->fields[1].type : &type_null, letters);
        if (!key || !value) return NULL;
        return type_map(a, key, value, !is_map || t->fields[1].nullable);
    }
    }
    return NULL;
}

bool signature_bind(struct arena *a, const struct alternative *alt, struct expr *const *args, uint32_t arg_count,
                    const struct type **letters, const struct type **targets, bool *exact, uint32_t *bad) {
    memset(letters, 0, SIGNATURE_LETTERS * sizeof *letters);
    *exact = true;
    for (uint32_t i = 0; i < arg_count; i++) {
        *bad = i;
        if (!bind_letters(a, alternative_argument(alt, i), args[i]->type, letters)) return false;
    }
    for (uint32_t i = 0; i < arg_count; i++) {
        *bad = i;
        const struct type *t = args[i]->type;
        targets[i] = target_type(a, alternative_argument(alt, i), t, letters);
        if (!targets[i]) return false;
        if (type_equal(t, targets[i])) continue;
        if (!coerce_implicit(args[i], targets[i])) return false;
        if (t->id != TYPE_NULL) *exact = false;
    }
    return true;
}

const struct type *signature_result(struct arena *a, const struct pattern *p, const struct type *const *letters) {
    switch (p->kind) {
    case PATTERN_TYPE:
    case PATTERN_INTERVAL_YM:
    case PATTERN_INTERVAL_DT:
        return p->type;
    case PATTERN_VARIABLE:
        return letters[p->letter] ? letters[p->letter] : &type_null;
    case PATTERN_ARRAY: {
        const struct type *element = signature_result(a, &p->children[0], letters);
        return element ? type_array(a, element, true) : NULL;
    }
    case PATTERN_MAP: {
        const struct type *key = signature_result(a, &p->children[0], letters), *value = signature_result(a, &p->children[1], letters);
        return key && value ? type_map(a, key, value, true) : NULL;
    }
    default:
        return NULL;
    }
}

const char *pattern_name(struct arena *a, const struct pattern *p) {
    switch (p->kind) {
    case PATTERN_ANY: return "ANY";
    case PATTERN_NUMERIC: return "NUMERIC";
    case PATTERN_INTEGRAL: return "INTEGRAL";
    case PATTERN_DECIMAL: return "DECIMAL";
    case PATTERN_VARIABLE: return "ANY";
    case PATTERN_ARRAY: return "ARRAY";
    case PATTERN_MAP: return "MAP";
    case PATTERN_STRUCT: return "STRUCT";
    case PATTERN_TYPE:
    case PATTERN_INTERVAL_YM:
    case PATTERN_INTERVAL_DT: break;
    }
    return type_name_sql(a, p->type);
}
