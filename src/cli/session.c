// SPDX-License-Identifier: Apache-2.0
// session.c: running one-off statements. See session.h.
#include "cli/session.h"
#include "base/files.h"
#include "exec/exec.h"
#include "expr/aggregate.h"
#include "sql/parser.h"
#include "stream/settings.h"
#include <fnmatch.h>
#include <stdio.h>
#include <strings.h>

enum status sql_session_open(struct sql_session *s, struct host *h, struct arena *a, const char *data_folder, enum result_format format,
                             const struct settings *settings, const _Atomic int *interrupted, struct error *e) {
    *s = (struct sql_session){.host = h, .arena = a, .data_folder = data_folder, .base_folder = ".", .format = format, .settings = settings,
                              .interrupted = interrupted};
    return sql_session_reload(s, e);
}

enum status sql_session_reload(struct sql_session *s, struct error *e) {
    catalog_reader_close(s->reader);
    s->reader = NULL;
    TRY(catalog_reader_open(s->arena, s->data_folder, connector_find(&all_connectors, "sqlite"), &s->reader, e));
    s->catalog = catalog_reader_interface(s->reader);
    return STATUS_OK;
}

void sql_session_close(struct sql_session *s) { catalog_reader_close(s->reader); }

struct analysis session_analysis(struct sql_session *s, struct diagnostics *d) {
    return (struct analysis){.arena = s->arena, .session = &s->host->session, .connectors = &all_connectors, .catalog = &s->catalog,
                             .base_folder = s->base_folder, .memory = &s->host->memory, .log = &s->host->log, .diagnostics = d};
}

struct query_run session_query_run(struct sql_session *s) {
    return (struct query_run){.session = &s->host->session, .memory = &s->host->memory, .state_memory = &s->host->memory, .log = &s->host->log,
                              .base_folder = s->base_folder, .worker_count = 1, .interrupted = s->interrupted};
}

struct taken {
    struct sql_session *session;
    const struct plan_node *root;
};
static enum status take_batch(void *context, struct batch *b) {
    struct taken *t = context;
    return t->session->take(t->session->take_context, t->root, b);
}

static enum status run_query(struct sql_session *s, const struct uquery *query, struct diagnostics *d, struct error *e) {
    struct analysis analysis = session_analysis(s, d);
    struct query_run run = session_query_run(s);
    struct plan_node *root;
    size_t errors = d->error_count;
    enum status status = analyze_query(&analysis, s->scope, query, &root);
    if (d->error_count > errors) return STATUS_OK;
    if (status != STATUS_OK) return error_set(e, status, NULL, "the query cannot be planned");
    s->last_root = root;
    if (s->take) return query_execute(&run, root, take_batch, &(struct taken){.session = s, .root = root}, e);
    struct result_writer writer;
    TRY(result_begin(&writer, s->host, s->format, root, e));
    status = query_execute(&run, root, result_batch, &writer, e);
    if (status == STATUS_OK) status = result_end(&writer, e);
    result_release(&writer);
    return status;
}

static enum status explain(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct analysis analysis = session_analysis(s, d);
    const struct ustatement *inner = statement->explained;
    const struct uquery *query = inner ? inner->query : statement->query;
    struct plan_node *root;
    struct buffer text;
    if (!query) return error_set(e, STATUS_UNSUPPORTED, "UNSUPPORTED_FEATURE", "EXPLAIN explains queries");
    size_t errors = d->error_count;
    enum status status = analyze_query(&analysis, s->scope, query, &root);
    if (d->error_count > errors) return STATUS_OK;
    TRY(status);
    buffer_init(&text, &s->host->memory);
    status = plan_explain(root, &text);
    if (status == STATUS_OK) status = buffer_terminate(&text);
    if (status == STATUS_OK) fputs((char *)text.data, stdout);
    else error_no_memory(e);
    buffer_release(&text);
    return status;
}

struct dataset *session_table(struct sql_session *s, const char *name) {
    for (uint32_t i = 0; s->scope && i < s->scope->dataset_count; i++) {
        if (strcasecmp(s->scope->datasets[i]->name, name) == 0) return s->scope->datasets[i];
    }
    return s->catalog.find(s->catalog.context, s->arena, name);
}

enum status session_unknown_table(const char *name, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "TABLE_OR_VIEW_NOT_FOUND", "there is no table `%s`", name);
    error_set_hint(e, "SHOW TABLES lists them; --data DIR says where the catalog is");
    return STATUS_INVALID_QUERY;
}

// ---- statements that list things: queries over their rows, so that every format and every caller gets them alike ----

static enum status put_text(struct buffer *out, const char *text) {
    if (!text) return buffer_append_string(out, "CAST(NULL AS STRING)");
    TRY(buffer_append_byte(out, '\''));
    for (; *text; text++) {
        if (*text == '\'' || *text == '\\') TRY(buffer_append_byte(out, '\\'));
        TRY(buffer_append_byte(out, (uint8_t)*text));
    }
    return buffer_append_byte(out, '\'');
}

// Runs SQL of our own; the text goes into the session's arena.
static enum status parse_own(struct sql_session *s, const struct buffer *sql, struct ustatement **out, struct error *e) {
    struct ustatement **statements = NULL;
    struct diagnostics none;
    uint32_t count = 0;
    char *text = arena_strndup(s->arena, (char *)sql->data, sql->size_bytes);
    if (!text) return error_no_memory(e);
    struct source_text source = {.name = "<leat>", .text = text, .size_bytes = sql->size_bytes};
    diagnostics_init(&none, &s->host->memory, &source);
    enum status status = sql_parse(s->arena, text, sql->size_bytes, NULL, &none, &statements, &count);
    diagnostics_release(&none);
    if (status != STATUS_OK || count != 1) return error_set(e, STATUS_INTERNAL, "INTERNAL_ERROR", "a listing cannot be parsed");
    *out = statements[0];
    return STATUS_OK;
}

static enum status run_rows(struct sql_session *s, struct buffer *sql, enum status built, struct diagnostics *d, struct error *e) {
    struct ustatement *statement;
    if (built != STATUS_OK) return error_no_memory(e);
    TRY(parse_own(s, sql, &statement, e));
    return run_query(s, statement->query, d, e);
}

static enum status list_attributes(struct sql_session *s, const struct plan_node *root, struct buffer *sql) {
    TRY(buffer_append_string(sql, "SELECT * FROM VALUES "));
    for (uint32_t i = 0; i < root->attribute_count; i++) {
        TRY(buffer_append_string(sql, i ? ", (" : "("));
        TRY(put_text(sql, root->attributes[i].name));
        TRY(buffer_append_string(sql, ", "));
        TRY(put_text(sql, type_name(s->arena, root->attributes[i].type)));
        TRY(buffer_append_string(sql, ", CAST(NULL AS STRING))"));
    }
    return buffer_append_string(sql, " AS t(col_name, data_type, comment)");
}

// DESCRIBE TABLE, VIEW or QUERY: the columns of what it would give.
static enum status describe(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct analysis analysis = session_analysis(s, d);
    const struct uquery *query = statement->query;
    struct buffer sql;
    struct plan_node *root = NULL;
    buffer_init(&sql, &s->host->memory);
    enum status status = STATUS_OK;
    if (!query) {
        const char *name = statement->name.part_count ? statement->name.parts[statement->name.part_count - 1] : "";
        struct ustatement *whole = NULL;
        if (!session_table(s, name)) status = session_unknown_table(name, e);
        else if (buffer_printf(&sql, "SELECT * FROM `%s`", name) != STATUS_OK) status = error_no_memory(e);
        if (status == STATUS_OK) status = parse_own(s, &sql, &whole, e);
        if (status == STATUS_OK) query = whole->query;
    }
    size_t errors = d->error_count;
    if (status == STATUS_OK) status = analyze_query(&analysis, s->scope, query, &root);
    buffer_clear(&sql);
    if (status == STATUS_OK && d->error_count == errors) status = run_rows(s, &sql, list_attributes(s, root, &sql), d, e);
    buffer_release(&sql);
    return d->error_count > errors ? STATUS_OK : status;
}

static bool matches(const struct ustatement *statement, const char *name) {
    return !statement->pattern || fnmatch(statement->pattern, name, FNM_CASEFOLD) == 0;
}

static enum status list_tables(struct sql_session *s, const struct ustatement *statement, struct buffer *sql) {
    uint32_t count;
    const char *const *names = s->catalog.names(s->catalog.context, s->arena, &count);
    TRY(buffer_append_string(sql, "SELECT * FROM VALUES ('', '', false)"));
    for (uint32_t i = 0; i < count; i++) {
        if (!matches(statement, names[i])) continue;
        TRY(buffer_append_string(sql, ", ('default', "));
        TRY(put_text(sql, names[i]));
        TRY(buffer_append_string(sql, ", false)"));
    }
    for (uint32_t i = 0; s->scope && i < s->scope->dataset_count; i++) {
        if (!matches(statement, s->scope->datasets[i]->name)) continue;
        TRY(buffer_append_string(sql, ", ('', "));
        TRY(put_text(sql, s->scope->datasets[i]->name));
        TRY(buffer_append_string(sql, ", true)"));
    }
    return buffer_append_string(sql, " AS t(namespace, tableName, isTemporary) WHERE tableName <> ''");
}

static enum status list_functions(const struct ustatement *statement, struct buffer *sql) {
    TRY(buffer_append_string(sql, "SELECT * FROM VALUES ('')"));
    for (const struct function_table *const *t = function_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) {
            if (((*t)->functions[i].flags & FUNCTION_HIDDEN) || !matches(statement, (*t)->functions[i].name)) continue;
            TRY(buffer_append_string(sql, ", ("));
            TRY(put_text(sql, (*t)->functions[i].name));
            TRY(buffer_append_byte(sql, ')'));
        }
    }
    for (const struct aggregate_table *const *t = aggregate_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) {
            if (!matches(statement, (*t)->aggregates[i].name)) continue;
            TRY(buffer_append_string(sql, ", ("));
            TRY(put_text(sql, (*t)->aggregates[i].name));
            TRY(buffer_append_byte(sql, ')'));
        }
    }
    return buffer_append_string(sql, " AS t(function) WHERE function <> '' ORDER BY function");
}

static enum status show(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct buffer sql;
    buffer_init(&sql, &s->host->memory);
    enum status built = statement->kind == USTATEMENT_SHOW_TABLES ? list_tables(s, statement, &sql) : list_functions(statement, &sql);
    enum status status = run_rows(s, &sql, built, d, e);
    buffer_release(&sql);
    return status;
}

static enum status run_statement(struct sql_session *s, struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct analysis analysis = session_analysis(s, d);
    switch (statement->kind) {
    case USTATEMENT_QUERY: return run_query(s, statement->query, d, e);
    case USTATEMENT_EXPLAIN: return explain(s, statement, d, e);
    case USTATEMENT_DESCRIBE: return describe(s, statement, d, e);
    case USTATEMENT_SHOW_TABLES:
    case USTATEMENT_SHOW_FUNCTIONS: return show(s, statement, d, e);
    case USTATEMENT_INSERT: return session_insert(s, statement, d, e);
    case USTATEMENT_DROP: return session_drop(s, statement, e);
    case USTATEMENT_SET: return settings_apply_session(&s->host->session, &statement, 1, NULL, 0, e);
    case USTATEMENT_USE: return STATUS_OK;
    case USTATEMENT_CREATE_TABLE:
        if (!statement->provider) return session_create_table(s, statement, d, e);
        break;
    case USTATEMENT_CREATE_VIEW: break;
    default:
        error_set(e, STATUS_INVALID_QUERY, "UNSUPPORTED_FEATURE.CREATE_PIPELINE_DATASET_QUERY_EXECUTION", "this statement belongs to a pipeline");
        error_set_hint(e, "run the file with `leat run FILE`");
        e->span = statement->span;
        return STATUS_INVALID_QUERY;
    }
    size_t errors = d->error_count;
    enum status status = analyze_statement(&analysis, &s->scope, statement);
    return d->error_count > errors ? STATUS_OK : status;
}

enum status sql_session_run(struct sql_session *s, const struct sql_file *file, struct diagnostics *d, struct error *e) {
    struct ustatement **statements = NULL;
    uint32_t count = 0;
    enum status worst = STATUS_OK, status;
    TRY(settings_apply_session(&s->host->session, NULL, 0, s->settings->items, s->settings->count, e));
    TRY(settings_parse(s->arena, &s->host->session, file->text, file->size_bytes, NULL, 0, d, &statements, &count, e));
    for (uint32_t i = 0; i < count; i++) {
        struct error one = {0};
        status = run_statement(s, statements[i], d, &one);
        if (status == STATUS_OK) continue;
        if (span_known(one.span) || one.status == STATUS_INVALID_QUERY) {
            if (!span_known(one.span)) one.span = statements[i]->name.span;
            (void)!diagnostics_add(d, SEVERITY_ERROR, &one);
        } else {
            if (worst != STATUS_OK) say_error(s->host, e);
            *e = one;
            worst = status;
        }
        if (status == STATUS_INTERRUPTED) break;
    }
    return worst;
}
