// SPDX-License-Identifier: Apache-2.0
// time_window.c: window() and session_window(). Such a call is not a value: it is rows. It puts a WINDOW or SESSION node under the SELECT,
// which appends a struct column, and stands for that column. One SELECT has at most one; GROUP BY window(…) and SELECT window(…)
// with the same arguments are the same. A SESSION learns its keys when GROUP BY is known.
#include "plan/resolver.h"

static bool same_source(const struct uexpr *a, const struct uexpr *b) {
    if (a == b) return true;
    if (a->kind != b->kind || a->arg_count != b->arg_count || a->name.part_count != b->name.part_count) return false;
    for (uint32_t i = 0; i < a->name.part_count; i++)
        if (!equal_ignoring_case(a->name.parts[i], b->name.parts[i])) return false;
    if (a->kind == U_LITERAL) {
        if (!type_equal(a->literal->type, b->literal->type) || column_is_valid(a->literal, 0) != column_is_valid(b->literal, 0)) return false;
        if (!column_is_valid(a->literal, 0)) return true;
        if (type_is_text(a->literal->type)) return string_view_equal(column_string(a->literal, 0), column_string(b->literal, 0));
        size_t width = type_width(a->literal->type);
        return width && !memcmp(a->literal->values, b->literal->values, width);
    }
    if (a->kind == U_CAST && !type_equal(a->type, b->type)) return false;
    for (uint32_t i = 0; i < a->arg_count; i++)
        if (!same_source(a->args[i], b->args[i])) return false;
    return a->kind == U_NAME || a->kind == U_CALL || a->kind == U_CAST || a->kind == U_CASE;
}

static bool has_month(const char *text) { return strstr(text, "month") || strstr(text, "year"); }

// A duration argument in µs: a text, or an integer of µs.
static enum status duration_of(struct resolver *r, const struct uexpr *u, bool session, int64_t *us) {
    const struct column *literal = u->kind == U_LITERAL ? u->literal : NULL;
    if (literal && literal->type->id == TYPE_INT) return *us = column_int32(literal, 0), STATUS_OK;
    if (literal && literal->type->id == TYPE_BIGINT) return *us = column_int64(literal, 0), STATUS_OK;
    if (!literal || literal->type->id != TYPE_STRING || !column_is_valid(literal, 0))
        return complain(r, (struct complaint){.span = u->span, .condition = "_LEGACY_ERROR_TEMP_1207", .label = "not a text", .hint = "write '10 minutes'"},
                        "the durations of a window must be text literals or integers");
    const struct string_view *v = column_string(literal, 0);
    const char *text = arena_strndup(r->arena, string_view_data(v), v->size_bytes);
    if (!text) return STATUS_NO_MEMORY;
    bool short_unit = false;  // Spark's intervals know no "min"
    size_t n = strlen(text);
    if (n > 3 && !strcmp(text + n - 3, "min")) short_unit = true;
    if (has_month(text))
        return complain(r, (struct complaint){.span = u->span, .condition = "_LEGACY_ERROR_TEMP_3231"}, "a window cannot be measured in months or years");
    bool minus = *text == '-';
    text += minus;
    // What parse_duration knows is singular and plural units in sequence; an INTERVAL word before them is allowed.
    if (!short_unit && parse_duration(text, us)) {
        if (minus) *us = -*us;
        return STATUS_OK;
    }
    int64_t total = 0;
    char piece[64];
    const char *p = text;
    while (*p == ' ') p++;
    if (!strncmp(p, "interval ", 9)) p += 9;
    while (*p && !short_unit) {
        const char *number = p;
        while (*p && *p != ' ') p++;
        while (*p == ' ') p++;
        while (*p && *p != ' ') p++;
        size_t size = (size_t)(p - number);
        int64_t one;
        if (size >= sizeof piece) break;
        memcpy(piece, number, size);
        piece[size] = '\0';
        if (!parse_duration(piece, &one) || __builtin_add_overflow(total, one, &total)) break;
        while (*p == ' ') p++;
        if (!*p) return *us = minus ? -total : total, STATUS_OK;
    }
    if (session) return *us = 0, STATUS_OK;  // Spark casts the gap per row: no interval, no session
    return complain(r, (struct complaint){.span = u->span, .condition = "CANNOT_PARSE_INTERVAL", .label = "not an interval", .hint = "write '10 minutes'"},
                    "cannot understand this duration");
}

static enum status check_window(struct resolver *r, const struct uexpr *u, const struct plan_node *n) {
    if (n->window_us <= 0 || n->slide_us <= 0)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.VALUE_OUT_OF_RANGE"}, "the durations of a window must be above 0");
    if (n->slide_us > n->window_us)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION"},
                        "the slide of a window must not be longer than the window");
    int64_t start = n->window_offset_us < 0 ? -n->window_offset_us : n->window_offset_us;
    if (start >= n->slide_us)
        return complain(r, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.PARAMETER_CONSTRAINT_VIOLATION"},
                        "the start of a window must be less than its slide");
    if (n->window_us / n->slide_us > 1000)
        return complain(r, (struct complaint){.span = u->span, .condition = "LEAT_LIMIT_EXCEEDED"}, "a row would be in more than 1000 windows");
    return STATUS_OK;
}

static bool is_window_type(const struct type *t) {
    return t->id == TYPE_STRUCT && t->field_count == 2 && !strcmp(t->fields[0].name, "start") && !strcmp(t->fields[1].name, "end") &&
           (t->fields[1].type->id == TYPE_TIMESTAMP || t->fields[1].type->id == TYPE_TIMESTAMP_NTZ);
}

// The last microsecond of a window: its end, less one.
static enum status last_moment(struct resolver *r, struct expr *window, struct span span, struct expr **out) {
    struct column *one = arena_alloc_zeroed(r->arena, sizeof *one);
    int64_t *value = arena_alloc(r->arena, sizeof *value);
    struct expr *args[2];
    if (!one || !value) return STATUS_NO_MEMORY;
    *value = 1;
    *one = (struct column){.type = &type_interval_dt, .form = COLUMN_CONSTANT, .row_count = 1, .values = value};
    TRY(extract_field(r, window, "window", "end", span, &args[0]));
    if (!(args[1] = expr_literal(r->arena, one))) return STATUS_NO_MEMORY;
    return call_named(r, "-", args, 2, span, out);
}

enum { WINDOW_TIME_PREFIX = 12 };  // of "window_time("

bool is_window_time(const struct expr *e) {
    return e->kind == EXPR_CALL && e->name && !strncmp(e->name, "window_time(", WINDOW_TIME_PREFIX);
}

enum status resolve_window_time(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    struct expr *window;
    const char *inner;
    TRY(resolve_expr(c, u->args[0], &window, &inner));
    if (!is_window_type(window->type))
        return complain(r, (struct complaint){.span = u->args[0]->span, .condition = "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE", .label = type_name_sql(r->arena, window->type)},
                        "`window_time` needs the column that window() makes, not %s", type_name_sql(r->arena, window->type));
    TRY(last_moment(r, window, u->span, out));
    *name = name_limited(r->arena, arena_printf(r->arena, "window_time(%s)", inner));
    return *name ? STATUS_OK : STATUS_NO_MEMORY;
}

static enum status time_argument(struct expr_context *c, const struct uexpr *u, struct expr **time) {
    const char *name;
    TRY(resolve_expr(c, u, time, &name));
    enum type_id id = (*time)->type->id;
    if (is_window_type((*time)->type)) return last_moment(c->resolver, *time, u->span, time);
    if (id == TYPE_TIMESTAMP || id == TYPE_TIMESTAMP_NTZ) return STATUS_OK;
    if (id == TYPE_STRING || id == TYPE_DATE || id == TYPE_NULL)
        return (*time = expr_cast(c->resolver->arena, *time, &type_timestamp, CAST_IMPLICIT)) ? STATUS_OK : STATUS_NO_MEMORY;
    return complain(c->resolver, (struct complaint){.span = u->span, .condition = "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE",
                    .label = type_name_sql(c->resolver->arena, (*time)->type)}, "a window needs a TIMESTAMP, not %s", type_name_sql(c->resolver->arena, (*time)->type));
}

static enum status fill_session(struct expr_context *c, const struct uexpr *u, struct plan_node *n, struct expr *time) {
    struct resolver *r = c->resolver;
    n->exprs = arena_alloc_array(r->arena, 2, sizeof *n->exprs);
    if (!n->exprs) return STATUS_NO_MEMORY;
    n->exprs[n->expr_count++] = time;
    if (u->args[1]->kind == U_LITERAL) {
        TRY(duration_of(r, u->args[1], true, &n->gap_us));
        if (n->gap_us < 0) n->gap_us = 0;  // −1 would mean a gap per row; neither makes a session
        return STATUS_OK;
    }
    const char *name;
    TRY(resolve_expr(c, u->args[1], &n->exprs[n->expr_count++], &name));
    n->gap_us = -1;
    return STATUS_OK;
}

static enum status fill_window(struct expr_context *c, const struct uexpr *u, struct plan_node *n, struct expr *time) {
    struct resolver *r = c->resolver;
    n->exprs = arena_alloc_array(r->arena, 1, sizeof *n->exprs);
    if (!n->exprs) return STATUS_NO_MEMORY;
    n->exprs[n->expr_count++] = time;
    TRY(duration_of(r, u->args[1], false, &n->window_us));
    n->slide_us = n->window_us;
    if (u->arg_count > 2) TRY(duration_of(r, u->args[2], false, &n->slide_us));
    if (u->arg_count > 3) TRY(duration_of(r, u->args[3], false, &n->window_offset_us));
    return check_window(r, u, n);
}

// Appends the struct column and makes the name mean it.
static enum status append_column(struct expr_context *c, struct plan_node *n, const char *name, const struct type *time_type, const struct lineage *lineage) {
    struct arena *a = c->resolver->arena;
    const struct field fields[2] = {{"start", time_type, true}, {"end", time_type, true}};
    const struct type *type = type_struct(a, fields, 2);
    uint32_t ordinal = n->attribute_count;
    struct attribute *attributes = arena_alloc_array(a, (size_t)ordinal + 1, sizeof *attributes);
    struct scope_column *columns = arena_alloc_array(a, (size_t)c->input->column_count + 1, sizeof *columns);
    if (!type || !attributes || !columns) return STATUS_NO_MEMORY;
    if (ordinal) memcpy(attributes, n->attributes, ordinal * sizeof *attributes);
    attributes[ordinal] = (struct attribute){.name = name, .type = type, .nullable = false, .lineage = *lineage};
    n->attributes = attributes;
    n->attribute_count = ordinal + 1;
    if (c->input->column_count) memcpy(columns, c->input->columns, c->input->column_count * sizeof *columns);
    columns[c->input->column_count] = (struct scope_column){.name = name, .ordinal = ordinal, .generated = true};
    c->input->columns = columns;
    c->input->column_count++;
    c->input->node = n;
    c->time_window = n;
    c->time_window_ordinal = ordinal;
    return STATUS_OK;
}

enum status resolve_time_window(struct expr_context *c, const struct uexpr *u, struct expr **out, const char **name) {
    struct resolver *r = c->resolver;
    bool session = operator_is(u, "session_window");
    *name = session ? "session_window" : "window";
    if (!c->input || u->arg_count < 2 || u->arg_count > (session ? 2u : 4u))
        return complain(r, (struct complaint){.span = u->span, .condition = "WRONG_NUM_ARGS.WITHOUT_SUGGESTION"}, "`%s` takes %s arguments", *name, session ? "2" : "2 to 4");
    if (!c->time_window || !same_source(c->time_window_source, u)) {
        if (c->time_window)
            return complain(r, (struct complaint){.span = u->span, .condition = "_LEGACY_ERROR_TEMP_1039", .label = "a second window"},
                            "several windows in one SELECT would give the product of their rows");
        struct expr *time;
        TRY(time_argument(c, u->args[0], &time));
        struct plan_node *n = plan_over(r->arena, session ? PLAN_SESSION : PLAN_WINDOW, c->input->node);
        if (!n) return STATUS_NO_MEMORY;
        n->span = u->span;
        struct lineage lineage;
        TRY(lineage_of_expr(r->arena, time, n->inputs, 1, &lineage));
        TRY(session ? fill_session(c, u, n, time) : fill_window(c, u, n, time));
        TRY(append_column(c, n, *name, time->type, &lineage));
        c->time_window_source = u;
    }
    *out = expr_of_attribute(r->arena, c->input->node, c->time_window_ordinal);
    return *out ? STATUS_OK : STATUS_NO_MEMORY;
}

enum status time_window_keys(struct expr_context *c, struct expr *const *keys, uint32_t count) {
    struct plan_node *n = c->time_window;
    if (!n || n->kind != PLAN_SESSION) return STATUS_OK;
    struct expr **exprs = arena_alloc_array(c->resolver->arena, (size_t)count + n->expr_count, sizeof *exprs);
    if (!exprs) return STATUS_NO_MEMORY;
    uint32_t used = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t first, end;
        bool of_input = !expr_column_range(keys[i], &first, &end) || end <= n->inputs[0]->attribute_count;
        if (of_input) exprs[used++] = keys[i];
    }
    n->key_count = used;
    for (uint32_t i = 0; i < n->expr_count; i++) exprs[used++] = n->exprs[i];
    n->exprs = exprs;
    n->expr_count = used;
    return STATUS_OK;
}
