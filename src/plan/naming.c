// SPDX-License-Identifier: Apache-2.0
// naming.c: what Spark calls a column without alias: its expression, printed. `a + 1` is "(a + 1)", count(*) is "count(1)", round(x) is
// "round(x, 0)": operators in brackets, functions under the name they were called by (some under an older one), defaults spelt out.
// Measured answers: golden_facts.md §8 and test/sql/expr/column_names.test. Pure text; all in the query arena.
#include "column/value.h"
#include "plan/resolver.h"
#include <strings.h>

enum { NAME_LIMIT_BYTES = 4096 };  // nested names repeat their parts: without a limit a hostile query would grow as its square

const char *name_limited(struct arena *a, const char *name) {
    if (!name || strlen(name) <= NAME_LIMIT_BYTES) return name;
    return arena_strndup(a, name, NAME_LIMIT_BYTES);
}

const char *name_join(struct arena *a, const char *const *parts, uint32_t count, const char *separator) {
    size_t size = 1;
    for (uint32_t i = 0; i < count; i++) size += strlen(parts[i]) + strlen(separator);
    char *out = arena_alloc(a, size);
    if (!out) return NULL;
    size_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        const char *pieces[2] = {i ? separator : "", parts[i]};
        for (int k = 0; k < 2; k++) {
            size_t n = strlen(pieces[k]);
            memcpy(out + at, pieces[k], n);
            at += n;
        }
    }
    out[at] = '\0';
    return name_limited(a, out);
}

bool operator_is(const struct uexpr *u, const char *name) {
    return u->kind == U_CALL && u->name.part_count == 1 && equal_ignoring_case(u->name.parts[0], name);
}

static const char *hex_name(struct arena *a, const struct string_view *v) {
    static const char digits[] = "0123456789ABCDEF";
    const char *bytes = string_view_data(v);
    uint32_t n = v->size_bytes < 1024 ? v->size_bytes : 1024;
    char *out = arena_alloc(a, (size_t)n * 2 + 4);
    if (!out) return NULL;
    size_t at = 0;
    out[at++] = 'X';
    out[at++] = '\'';
    for (uint32_t i = 0; i < n; i++) {
        out[at++] = digits[(unsigned char)bytes[i] >> 4];
        out[at++] = digits[(unsigned char)bytes[i] & 15];
    }
    out[at++] = '\'';
    out[at] = '\0';
    return out;
}

// Very small decimals show an exponent, as Java's BigDecimal does: 1E-7.
static const char *decimal_name(struct arena *a, const char *plain, int scale) {
    const char *digits = plain + strspn(plain, "-0.");
    int count = (int)strlen(digits), exponent = count ? count - 1 - scale : -scale;
    if (exponent >= -6) return plain;
    if (!count) digits = "0";
    return arena_printf(a, "%s%c%s%sE%d", *plain == '-' ? "-" : "", *digits, count > 1 ? "." : "", digits + 1, exponent);
}

const char *name_of_literal(struct resolver *r, const struct column *literal) {
    if (!column_is_valid(literal, 0)) return "NULL";
    if (literal->type->id == TYPE_BINARY) return hex_name(r->arena, column_string(literal, 0));
    struct buffer text;
    buffer_init(&text, r->analysis->memory);
    const char *out = NULL;
    if (value_print(literal, 0, r->analysis->session->zone, &text) == STATUS_OK) {
        out = arena_strndup(r->arena, text.data ? (const char *)text.data : "", text.size_bytes);
        if (out && literal->type->id == TYPE_DECIMAL) out = decimal_name(r->arena, out, literal->type->scale);
        else if (out && literal->type->id == TYPE_DATE) out = arena_printf(r->arena, "DATE '%s'", out);
        else if (out && literal->type->id == TYPE_TIMESTAMP) out = arena_printf(r->arena, "TIMESTAMP '%s'", out);
        else if (out && literal->type->id == TYPE_TIMESTAMP_NTZ) out = arena_printf(r->arena, "TIMESTAMP_NTZ '%s'", out);
    }
    buffer_release(&text);
    return name_limited(r->arena, out);
}

// Functions shown under another name, or with arguments that were left out. `shown` "%": as called.
struct function_name {
    const char *name;
    const char *shown;
    uint32_t if_count;       // only for so many arguments; 0: any
    const char *before;      // text before the arguments
    const char *after;       // and after them
};
static const struct function_name function_names[] = {
    {"ceil", "CEIL", 1, "", ""}, {"floor", "FLOOR", 1, "", ""}, {"power", "POWER", 0, "", ""}, {"signum", "SIGNUM", 0, "", ""},
    {"log", "LOG", 1, "E(), ", ""}, {"log", "LOG", 2, "", ""}, {"sqrt", "SQRT", 0, "", ""}, {"acos", "ACOS", 0, "", ""},
    {"acosh", "ACOSH", 0, "", ""}, {"asin", "ASIN", 0, "", ""}, {"asinh", "ASINH", 0, "", ""}, {"atan", "ATAN", 0, "", ""},
    {"atan2", "ATAN2", 0, "", ""}, {"atanh", "ATANH", 0, "", ""}, {"cbrt", "CBRT", 0, "", ""}, {"cos", "COS", 0, "", ""},
    {"cosh", "COSH", 0, "", ""}, {"cot", "COT", 0, "", ""}, {"csc", "CSC", 0, "", ""}, {"sec", "SEC", 0, "", ""},
    {"exp", "EXP", 0, "", ""}, {"expm1", "EXPM1", 0, "", ""}, {"hypot", "HYPOT", 0, "", ""}, {"log10", "LOG10", 0, "", ""},
    {"log1p", "LOG1P", 0, "", ""}, {"log2", "LOG2", 0, "", ""}, {"sin", "SIN", 0, "", ""}, {"sinh", "SINH", 0, "", ""},
    {"tan", "TAN", 0, "", ""}, {"tanh", "TANH", 0, "", ""}, {"degrees", "DEGREES", 0, "", ""}, {"radians", "RADIANS", 0, "", ""},
    {"e", "E", 0, "", ""}, {"pi", "PI", 0, "", ""}, {"rlike", "RLIKE", 0, "", ""}, {"regexp", "REGEXP", 0, "", ""},
    {"regexp_like", "REGEXP_LIKE", 0, "", ""}, {"round", "%", 1, "", ", 0"}, {"bround", "%", 1, "", ", 0"},
    {"substring", "%", 2, "", ", 2147483647"}, {"substr", "%", 2, "", ", 2147483647"}, {"locate", "%", 2, "", ", 1"},
    {"position", "%", 2, "", ", 1"}, {"charindex", "%", 2, "", ", 1"}, {"overlay", "%", 3, "", ", -1"}, {"sort_array", "%", 1, "", ", true"},
    {"percentile", "%", 2, "", ", 1"}, {"percentile_approx", "%", 2, "", ", 10000"}, {"approx_percentile", "%", 2, "", ", 10000"},
    {"array_agg", "collect_list", 0, "", ""}, {"lpad", "%", 2, "", ",  "}, {"rpad", "%", 2, "", ",  "}, {"split", "%", 2, "", ", -1"},
    {"regexp_extract", "%", 2, "", ", 1"}, {"regexp_extract_all", "%", 2, "", ", 1"}, {"regexp_replace", "%", 3, "", ", 1"},
    {"months_between", "%", 2, "", ", true"}, {"from_unixtime", "%", 1, "", ", yyyy-MM-dd HH:mm:ss"},
    {"unix_timestamp", "%", 1, "", ", yyyy-MM-dd HH:mm:ss"}, {"to_unix_timestamp", "%", 1, "", ", yyyy-MM-dd HH:mm:ss"},
    {"str_to_map", "%", 1, "", ", ,, :"}, {"str_to_map", "%", 2, "", ", :"}, {"dateadd", "date_add", 2, "", ""},
    {"regexp_instr", "%", 2, "", ", 0"}, {"mask", "%", 1, "", ", X, x, n, NULL"}, {"mask", "%", 2, "", ", x, n, NULL"},
    {"mask", "%", 3, "", ", n, NULL"}, {"mask", "%", 4, "", ", NULL"}, {"replace", "%", 2, "", ", "}, {"listagg", "%", 1, "", ", NULL"}, {"string_agg", "%", 1, "", ", NULL"},
    {"array_sort", "%", 1, "", ", lambdafunction((IF(((namedlambdavariable() IS NULL) AND (namedlambdavariable() IS NULL)), 0, "
     "(IF((namedlambdavariable() IS NULL), 1, (IF((namedlambdavariable() IS NULL), -1, (IF((namedlambdavariable() < namedlambdavariable()), -1, "
     "(IF((namedlambdavariable() > namedlambdavariable()), 1, 0)))))))))), namedlambdavariable(), namedlambdavariable())"},
    {"assert_true", "%", 0, "", ""}, {"raise_error", "%", 1, "USER_RAISED_EXCEPTION, map(errorMessage, ", ")"}, {"current_database", "current_schema", 0, "", ""},
    {"convert_timezone", "%", 2, "current_timezone(), ", ""},
};

// Functions whose last arguments may be left out, one after the other, and are shown nevertheless.
static const char *missing_arguments(struct arena *a, const char *name, uint32_t count) {
    static const char *const interval[] = {"0", "0", "0", "0", "0", "0", "0.000000"};
    uint32_t full = equal_ignoring_case(name, "make_interval") || equal_ignoring_case(name, "try_make_interval") ? 7 : equal_ignoring_case(name, "make_dt_interval") ? 4 : 0;
    const char *const *last = interval + 7 - full;
    if (equal_ignoring_case(name, "make_ym_interval")) full = 2, last = interval;
    if (count >= full) return "";
    const char *list = name_join(a, last + count, full - count, ", ");
    return list && count ? arena_printf(a, ", %s", list) : list;
}

// Types called as functions are casts, which Spark does not show here.
static bool is_cast_function(const char *name) {
    static const char *const names[] = {"boolean", "tinyint", "smallint", "int", "bigint", "float", "double", "decimal", "date", "timestamp", "binary", "string"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (equal_ignoring_case(names[i], name)) return true;
    return false;
}

// Which arguments are not shown: from_json's schema and options.
static uint32_t shown_arguments(const char *name, uint32_t count) {
    if (equal_ignoring_case(name, "from_json") || equal_ignoring_case(name, "to_json") || equal_ignoring_case(name, "likeany") ||
        equal_ignoring_case(name, "like any") || equal_ignoring_case(name, "like all") || equal_ignoring_case(name, "like some"))
        return count ? 1 : 0;
    static const char *const first_only[] = {"approx_count_distinct", "first", "first_value", "last", "last_value", "any_value"};
    for (size_t i = 0; i < sizeof first_only / sizeof *first_only; i++)
        if (count == 2 && equal_ignoring_case(name, first_only[i])) return 1;
    return count;
}

static const char *lower_name(struct arena *a, const char *name) {
    char *out = arena_strdup(a, name);
    for (char *p = out; p && *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p + 32);
    return out;
}

static const char *plain_call(struct resolver *r, const char *name, const char *const *args, uint32_t count, bool distinct, struct expr *const *bound) {
    struct arena *a = r->arena;
    const char *shown = lower_name(a, name), *before = "", *after = "";
    if (shown && !strcmp(shown, "like any")) shown = "likeany";
    else if (shown && !strcmp(shown, "like some")) shown = "likeany";
    else if (shown && !strcmp(shown, "like all")) shown = "likeall";
    for (size_t i = 0; i < sizeof function_names / sizeof *function_names; i++) {
        const struct function_name *f = &function_names[i];
        if (!equal_ignoring_case(f->name, name) || (f->if_count && f->if_count != count)) continue;
        if (*f->shown != '%') shown = f->shown;
        before = f->before;
        after = f->after;
    }
    if (count == 1 && equal_ignoring_case(name, "assert_true")) after = arena_printf(a, ", '%s' is not true!", args[0]);
    bool pads = equal_ignoring_case(name, "lpad") || equal_ignoring_case(name, "rpad");
    if (pads && count == 2 && bound && bound[0]->type->id == TYPE_BINARY) after = ", X'00'";
    if (!*before && after && !*after) after = missing_arguments(a, name, count);
    const char *list = name_join(a, args, shown_arguments(name, count), ", ");
    if (!after) return NULL;
    if (!list || !shown) return NULL;
    return name_limited(a, arena_printf(a, "%s(%s%s%s%s)", shown, distinct ? "DISTINCT " : "", before, list, after));
}

static bool is_days(const struct type *t) { return t->id == TYPE_INTERVAL_DT && t->start == UNIT_DAY && t->end == UNIT_DAY; }
static bool is_date_like(const struct type *t) { return t->id == TYPE_DATE || t->id == TYPE_TIMESTAMP || t->id == TYPE_TIMESTAMP_NTZ; }
static bool is_interval(const struct type *t) { return t->id == TYPE_INTERVAL || t->id == TYPE_INTERVAL_YM || t->id == TYPE_INTERVAL_DT; }

// Sums with dates print as the functions Spark turns them into.
static const char *date_sum(struct arena *a, const char *op, const char *const *args, struct expr *const *bound) {
    const struct type *left = bound[0]->type, *right = bound[1]->type;
    bool plus = *op == '+', sum = plus || *op == '-';
    if (!strcmp(op, "*") && type_is_numeric(left) && is_interval(right)) return arena_printf(a, "(%s * %s)", args[1], args[0]);
    if (!sum || op[1]) return NULL;
    if (left->id == TYPE_DATE && (type_is_integral(right))) return arena_printf(a, "%s(%s, %s)", plus ? "date_add" : "date_sub", args[0], args[1]);
    if (plus && right->id == TYPE_DATE && type_is_integral(left)) return arena_printf(a, "date_add(%s, %s)", args[1], args[0]);
    if (left->id == TYPE_DATE && is_days(right)) return arena_printf(a, plus ? "date_add(%s, extractansiintervaldays(%s))" : "date_add(%s, (- extractansiintervaldays(%s)))", args[0], args[1]);
    if (plus && right->id == TYPE_DATE && is_days(left)) return arena_printf(a, "date_add(%s, extractansiintervaldays(%s))", args[1], args[0]);
    if (is_date_like(left) && is_interval(right)) return arena_printf(a, "%s %s %s", args[0], op, args[1]);
    if (plus && is_interval(left) && is_date_like(right)) return arena_printf(a, "%s + %s", args[1], args[0]);
    return NULL;
}

static const char *upper_operator(const char *op) {
    static const char *const words[][2] = {{"and", "AND"}, {"or", "OR"}, {"not", "NOT"}, {"div", "div"}, {"mod", "%"}, {"==", "="}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (equal_ignoring_case(op, words[i][0])) return words[i][1];
    return op;
}

static bool is_symbol(const char *op) {
    static const char *const words[] = {"and", "or", "div"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (equal_ignoring_case(op, words[i])) return true;
    char c = *op;
    return c && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '_' && !((unsigned char)c >= 0x80);
}

static const char *binary_name(struct resolver *r, const char *op, const char *const *args, struct expr *const *bound) {
    struct arena *a = r->arena;
    if (!strcmp(op, "||")) return arena_printf(a, "concat(%s, %s)", args[0], args[1]);
    if (!strcmp(op, "<>") || !strcmp(op, "!=")) return arena_printf(a, "(NOT (%s = %s))", args[0], args[1]);
    if (!strcmp(op, "[]")) return arena_printf(a, "%s[%s]", args[0], args[1]);
    const char *date = bound ? date_sum(a, op, args, bound) : NULL;
    return date ? date : arena_printf(a, "(%s %s %s)", args[0], upper_operator(op), args[1]);
}

// Words that are operators: one line each, $1 … are arguments.
struct pattern_name {
    const char *name;
    uint32_t count;          // 0: any
    const char *pattern;
};
static const struct pattern_name pattern_names[] = {
    {"not", 1, "(NOT $1)"}, {"!", 1, "(NOT $1)"}, {"negative", 1, "(- $1)"}, {"positive", 1, "(+ $1)"}, {"-", 1, "(- $1)"}, {"+", 1, "(+ $1)"},
    {"~", 1, "~$1"}, {"isnull", 1, "($1 IS NULL)"}, {"is null", 1, "($1 IS NULL)"}, {"isnotnull", 1, "($1 IS NOT NULL)"},
    {"is not null", 1, "($1 IS NOT NULL)"}, {"is true", 1, "($1 <=> true)"}, {"istrue", 1, "($1 <=> true)"}, {"is false", 1, "($1 <=> false)"},
    {"isfalse", 1, "($1 <=> false)"}, {"is not true", 1, "(NOT ($1 <=> true))"}, {"is not false", 1, "(NOT ($1 <=> false))"},
    {"is distinct from", 2, "(NOT ($1 <=> $2))"}, {"is not distinct from", 2, "($1 <=> $2)"}, {"between", 3, "between($1, $2, $3)"},
    {"like", 2, "$1 LIKE $2"}, {"like", 3, "$1 LIKE $2 ESCAPE '$3'"}, {"ilike", 2, "ilike($1, $2)"}, {"ilike", 3, "ilike($1, $2, $3)"},
    {"if", 3, "(IF($1, $2, $3))"}, {"iff", 3, "(IF($1, $2, $3))"}, {"extract", 2, "extract($1 FROM $2)"}, {"datepart", 2, "datepart($1 FROM $2)"}, {"dateadd", 3, "timestampadd($1, $2, $3)"},
    {"date_add", 3, "timestampadd($1, $2, $3)"}, {"timestampadd", 3, "timestampadd($1, $2, $3)"}, {"datediff", 3, "timestampdiff($1, $2, $3)"},
    {"date_diff", 3, "timestampdiff($1, $2, $3)"}, {"timediff", 3, "timestampdiff($1, $2, $3)"}, {"timestampdiff", 3, "timestampdiff($1, $2, $3)"},
    {"window", 0, "window"}, {"session_window", 0, "session_window"}, {"mod", 2, "mod($1, $2)"},
    {"when", 2, "CASE WHEN $1 THEN $2 END"},
};

static const char *fill_pattern(struct arena *a, const char *pattern, const char *const *args) {
    size_t size = strlen(pattern) + 1;
    for (const char *p = pattern; *p; p++)
        if (*p == '$') size += strlen(args[p[1] - '1']);
    char *out = arena_alloc(a, size), *at = out;
    if (!out) return NULL;
    for (const char *p = pattern; *p; p++) {
        if (*p != '$') {
            *at++ = *p;
            continue;
        }
        const char *arg = args[*++p - '1'];
        size_t n = strlen(arg);
        memcpy(at, arg, n);
        at += n;
    }
    *at = '\0';
    return name_limited(a, out);
}

// TRIM(BOTH x FROM s) comes as trim, ltrim, rtrim with the characters first, marked infix.
static const char *trim_name(struct arena *a, const struct uexpr *u, const char *const *args, uint32_t count) {
    static const char *const words[][2] = {{"btrim", "BOTH"}, {"trim", "BOTH"}, {"ltrim", "LEADING"}, {"rtrim", "TRAILING"}};
    bool reversed = operator_is(u, "btrim");  // btrim(text, characters)
    if (count != 2 || (reversed && !u->infix)) return NULL;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (operator_is(u, words[i][0])) return arena_printf(a, "TRIM(%s %s FROM %s)", words[i][1], args[0], args[1]);
    return NULL;
}

// to_char and to_varchar are named after what they turn into: date_format of a moment, hex, base64 or decode of bytes.
static const char *to_char_name(struct arena *a, const char *const *args, const struct type *type) {
    if (type->id == TYPE_BINARY && !strcasecmp(args[1], "utf-8")) return arena_printf(a, "decode(%s, utf-8)", args[0]);
    if (type->id == TYPE_BINARY) return arena_printf(a, "%s(%s)", lower_name(a, args[1]), args[0]);
    return arena_printf(a, "%s(%s, %s)", is_date_like(type) ? "date_format" : "to_char", args[0], args[1]);
}

// IS UNKNOWN keeps its word over what is a plain value as written; anything the analyzer had to look at is IS NULL, as in Spark.
static bool is_plain_value(const struct uexpr *u) {
    if (u->kind == U_LITERAL) return true;
    if (u->kind != U_CALL || !u->infix) return false;
    for (uint32_t i = 0; i < u->arg_count; i++)
        if (!is_plain_value(u->args[i])) return false;
    return true;
}

const char *name_of_call(struct resolver *r, const struct uexpr *u, const char *const *args, uint32_t count, struct expr *const *bound) {
    struct arena *a = r->arena;
    const char *name = u->name.parts[u->name.part_count - 1];
    const char *trim = trim_name(a, u, args, count);
    if (trim) return name_limited(a, trim);
    if (equal_ignoring_case(name, "in") && count >= 1) {
        const char *list = name_join(a, args + 1, count - 1, ", ");
        return list ? name_limited(a, arena_printf(a, "(%s IN (%s))", args[0], list)) : NULL;
    }
    bool unknown = equal_ignoring_case(name, "is unknown"), not_unknown = equal_ignoring_case(name, "is not unknown");
    if ((unknown || not_unknown) && count == 1) {
        const char *word = bound && bound[0]->type->id != TYPE_NULL && is_plain_value(u->args[0]) ? "UNKNOWN" : "NULL";
        return name_limited(a, arena_printf(a, "(%s IS %s%s)", args[0], not_unknown ? "NOT " : "", word));
    }
    if (equal_ignoring_case(name, "from_json") && count >= 2 && strncasecmp(args[1], "MAP<", 4) == 0) return "entries";  // so Spark calls the map it reads
    bool prints = equal_ignoring_case(name, "to_char") || equal_ignoring_case(name, "to_varchar");
    if (prints && count == 2 && bound) return name_limited(a, to_char_name(a, args, bound[0]->type));
    for (size_t i = 0; i < sizeof pattern_names / sizeof *pattern_names; i++) {
        const struct pattern_name *p = &pattern_names[i];
        if (!u->infix && equal_ignoring_case(name, "negative")) break;  // negative(x) was written, not -x
        if (equal_ignoring_case(p->name, name) && (!p->count || p->count == count)) return fill_pattern(a, p->pattern, args);
    }
    if (count == 2 && is_symbol(name)) return name_limited(a, binary_name(r, name, args, bound));
    if (count == 1 && is_cast_function(name)) return args[0];
    return plain_call(r, name, args, count, u->distinct, bound);
}
