// SPDX-License-Identifier: Apache-2.0
// session.c: running one-off statements. See session.h.
#include "cli/session.h"
#include "base/files.h"
#include "exec/exec.h"
#include "expr/aggregate.h"
#include "stream/folder.h"
#include "stream/settings.h"
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

static struct analysis analysis_of(struct sql_session *s, struct diagnostics *d) {
    return (struct analysis){.arena = s->arena, .session = &s->host->session, .connectors = &all_connectors, .catalog = &s->catalog,
                             .base_folder = s->base_folder, .memory = &s->host->memory, .log = &s->host->log, .diagnostics = d};
}

static struct query_run query_run_of(struct sql_session *s) {
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
    struct analysis analysis = analysis_of(s, d);
    struct query_run run = query_run_of(s);
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

static enum status print_text_rows(struct sql_session *s, const char *text) {
    (void)s;
    fputs(text, stdout);
    return STATUS_OK;
}

static enum status explain(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct analysis analysis = analysis_of(s, d);
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
    if (status == STATUS_OK) status = print_text_rows(s, (char *)text.data);
    else error_no_memory(e);
    buffer_release(&text);
    return status;
}

static struct dataset *find_table(struct sql_session *s, const char *name) {
    for (uint32_t i = 0; s->scope && i < s->scope->dataset_count; i++) {
        if (strcasecmp(s->scope->datasets[i]->name, name) == 0) return s->scope->datasets[i];
    }
    return s->catalog.find(s->catalog.context, s->arena, name);
}

static enum status unknown_table(const char *name, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, "TABLE_OR_VIEW_NOT_FOUND", "there is no table `%s`", name);
    error_set_hint(e, "SHOW TABLES lists them; --data DIR says where the catalog is");
    return STATUS_INVALID_QUERY;
}

static enum status describe(struct sql_session *s, const struct ustatement *statement, struct error *e) {
    const char *name = statement->name.part_count ? statement->name.parts[statement->name.part_count - 1] : "";
    const struct dataset *t = find_table(s, name);
    if (!t || !t->schema) return unknown_table(name, e);
    for (uint32_t i = 0; i < t->schema->field_count; i++) {
        const char *type = type_name(s->arena, t->schema->fields[i].type);
        printf("%-24s %s\n", t->schema->fields[i].name, type ? type : "?");
    }
    return STATUS_OK;
}

static enum status show_tables(struct sql_session *s) {
    uint32_t count;
    const char *const *names = s->catalog.names(s->catalog.context, s->arena, &count);
    for (uint32_t i = 0; i < count; i++) printf("%s\n", names[i]);
    for (uint32_t i = 0; s->scope && i < s->scope->dataset_count; i++) printf("%s\n", s->scope->datasets[i]->name);
    return STATUS_OK;
}

static enum status show_functions(void) {
    for (const struct function_table *const *t = function_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) {
            if (!((*t)->functions[i].flags & FUNCTION_HIDDEN)) printf("%s\n", (*t)->functions[i].name);
        }
    }
    for (const struct aggregate_table *const *t = aggregate_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) printf("%s\n", (*t)->aggregates[i].name);
    }
    return STATUS_OK;
}

// ---- writing into the catalog ----

static enum status open_catalog_store(struct sql_session *s, struct folder *folder, struct store **out, struct sink_record *record, struct error *e) {
    const char *data = s->data_folder ? s->data_folder : "leat-data";
    struct sink_request request = {.table_name = "leat_catalog", .schema = &type_null, .data_folder = data, .base_folder = s->base_folder,
                                   .session = &s->host->session, .memory = &s->host->memory, .log = &s->host->log};
    bool found;
    TRY(folder_open(folder, data, e));
    s->data_folder = data;
    static const uint8_t by_hand[16] = {0};  // rows typed in belong to no pipeline
    memset(record, 0, sizeof *record);
    enum status status = sqlite_sink_class.store_open(&request, by_hand, out, &found, record, e);
    if (status == STATUS_OK) status = catalog_prepare(*out, e);
    if (status != STATUS_OK) folder_close(folder);
    record->epoch++;
    return status;
}

static enum status create_table(struct sql_session *s, const struct ustatement *statement, struct error *e) {
    const char *name = statement->name.parts[statement->name.part_count - 1];
    struct field *fields = arena_alloc_array(s->arena, statement->column_count + 1, sizeof *fields);
    if (!fields) return error_no_memory(e);
    if (find_table(s, name)) return error_set(e, STATUS_INVALID_QUERY, "TABLE_OR_VIEW_ALREADY_EXISTS", "there is a table `%s` already", name);
    for (uint32_t i = 0; i < statement->column_count; i++) {
        fields[i] = (struct field){.name = statement->columns[i].name, .type = statement->columns[i].type, .nullable = !statement->columns[i].not_null};
    }
    const struct type *schema = type_struct(s->arena, fields, statement->column_count);
    struct folder folder;
    struct store *store = NULL;
    struct sink *sink = NULL;
    struct sink_record record;
    bool is_empty;
    TRY(open_catalog_store(s, &folder, &store, &record, e));
    struct sink_request request = {.table_name = name, .flow_name = name, .schema = schema, .data_folder = s->data_folder, .base_folder = s->base_folder,
                                   .session = &s->host->session, .memory = &s->host->memory, .log = &s->host->log};
    enum status status = schema ? sqlite_sink_class.sink_open(store, &request, &sink, &is_empty, e) : error_no_memory(e);
    if (status == STATUS_OK) status = catalog_describe(store, name, "table", schema, statement->text, e);
    if (sink) sqlite_sink_class.sink_close(sink);
    sqlite_sink_class.store_close(store);
    folder_close(&folder);
    return status == STATUS_OK ? sql_session_reload(s, e) : status;
}

struct insert_run {
    struct sink *sink;
    struct error *error;
    uint64_t row_count;
};
static enum status refuse_insert(void *context, const struct batch *b, uint32_t row, const char *condition, const char *message) {
    (void)b, (void)row;
    return error_set(((struct insert_run *)context)->error, STATUS_DATA, condition, "%s", message);
}
static enum status insert_batch(void *context, struct batch *b) {
    struct insert_run *r = context;
    r->row_count += b->selected_count;
    return r->sink->class->write(r->sink, 0, b, refuse_insert, r, r->error);
}

static enum status insert_rows(struct sql_session *s, const struct dataset *t, struct plan_node *root, struct error *e) {
    struct folder folder;
    struct store *store = NULL;
    struct sink_record record;
    struct query_run run = query_run_of(s);
    bool is_empty;
    TRY(open_catalog_store(s, &folder, &store, &record, e));
    struct sink_request request = {.table_name = t->name, .flow_name = t->name, .schema = t->schema, .data_folder = s->data_folder, .base_folder = s->base_folder,
                                   .session = &s->host->session, .memory = &s->host->memory, .log = &s->host->log};
    struct insert_run insert = {.error = e};
    enum status status = sqlite_sink_class.sink_open(store, &request, &insert.sink, &is_empty, e);
    if (status == STATUS_OK) status = sqlite_sink_class.begin(store, record.epoch, e);
    if (status == STATUS_OK) status = query_execute(&run, root, insert_batch, &insert, e);
    if (status == STATUS_OK) status = sqlite_sink_class.commit(store, &record, e);
    struct error ignored;
    if (status != STATUS_OK) (void)!sqlite_sink_class.abort(store, &ignored);
    if (insert.sink) sqlite_sink_class.sink_close(insert.sink);
    sqlite_sink_class.store_close(store);
    folder_close(&folder);
    if (status == STATUS_OK) fprintf(stderr, "%llu row%s\n", (unsigned long long)insert.row_count, insert.row_count == 1 ? "" : "s");
    return status;
}

static enum status insert(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    const char *name = statement->target.parts[statement->target.part_count - 1];
    const struct dataset *t = s->catalog.find(s->catalog.context, s->arena, name);
    if (!t) return unknown_table(name, e);
    pid_t owner = s->data_folder ? folder_owner(s->data_folder) : 0;
    if (owner) {
        error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_IN_USE", "a pipeline (pid %d) runs on `%s`, and it is the only writer of its catalog", (int)owner, s->data_folder);
        error_set_hint(e, "stop it first, or feed it through one of its sources");
        return STATUS_CONFLICT;
    }
    struct analysis analysis = analysis_of(s, d);
    struct plan_node *root;
    size_t errors = d->error_count;
    enum status status = analyze_insert(&analysis, s->scope, statement, t, &root);
    if (d->error_count > errors) return STATUS_OK;
    TRY(status);
    return insert_rows(s, t, root, e);
}

static enum status run_statement(struct sql_session *s, struct ustatement *statement, struct diagnostics *d, struct error *e) {
    struct analysis analysis = analysis_of(s, d);
    switch (statement->kind) {
    case USTATEMENT_QUERY: return run_query(s, statement->query, d, e);
    case USTATEMENT_EXPLAIN: return explain(s, statement, d, e);
    case USTATEMENT_DESCRIBE: return describe(s, statement, e);
    case USTATEMENT_SHOW_TABLES: return show_tables(s);
    case USTATEMENT_SHOW_FUNCTIONS: return show_functions();
    case USTATEMENT_INSERT: return insert(s, statement, d, e);
    case USTATEMENT_SET: return settings_apply_session(&s->host->session, &statement, 1, NULL, 0, e);
    case USTATEMENT_USE: return STATUS_OK;
    case USTATEMENT_CREATE_TABLE:
        if (!statement->provider && statement->column_count) return create_table(s, statement, e);
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
            if (worst != STATUS_OK) print_error(s->host, e);
            *e = one;
            worst = status;
        }
        if (status == STATUS_INTERRUPTED) break;
    }
    return worst;
}
