// SPDX-License-Identifier: Apache-2.0
// session_write.c: one-off statements that write into the catalog: CREATE TABLE, CREATE TABLE AS, INSERT, DROP. Each takes the data folder's
// lock for as long as it runs: while a pipeline runs, it is the catalog's only writer.
#include "cli/session.h"
#include "exec/exec.h"
#include "stream/folder.h"
#include <stdio.h>
#include <strings.h>


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

static enum status refuse_while_running(const struct sql_session *s, struct error *e) {
    pid_t owner = s->data_folder ? folder_owner(s->data_folder) : 0;
    if (owner) {
        error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_IN_USE", "a pipeline (pid %d) runs on `%s`, and it is the only writer of its catalog", (int)owner, s->data_folder);
        error_set_hint(e, "stop it first, or feed it through one of its sources");
        return STATUS_CONFLICT;
    }
    return STATUS_OK;
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

static enum status insert_rows(struct sql_session *s, const struct dataset *t, struct plan_node *root, bool overwrite, struct error *e) {
    struct folder folder;
    struct store *store = NULL;
    struct sink_record record;
    struct query_run run = session_query_run(s);
    bool is_empty;
    TRY(open_catalog_store(s, &folder, &store, &record, e));
    struct sink_request request = {.table_name = t->name, .flow_name = t->name, .schema = t->schema, .data_folder = s->data_folder, .base_folder = s->base_folder,
                                   .session = &s->host->session, .memory = &s->host->memory, .log = &s->host->log};
    struct insert_run insert = {.error = e};
    enum status status = sqlite_sink_class.sink_open(store, &request, &insert.sink, &is_empty, e);
    if (status == STATUS_OK) status = sqlite_sink_class.begin(store, &(struct sink_epoch){.record = record, .attempt = 1}, e);
    if (status == STATUS_OK && overwrite) status = sqlite_sink_class.empty(insert.sink, e);
    if (status == STATUS_OK) status = query_execute(&run, root, insert_batch, &insert, e);
    if (status == STATUS_OK) status = sqlite_sink_class.commit(store, &record, e);
    struct error ignored;
    if (status != STATUS_OK) (void)!sqlite_sink_class.abort(store, &ignored);
    if (insert.sink) sqlite_sink_class.sink_close(insert.sink);
    sqlite_sink_class.store_close(store);
    folder_close(&folder);
    if (status == STATUS_OK) log_write(&s->host->log, LOG_INFO, "%llu row%s", (unsigned long long)insert.row_count, insert.row_count == 1 ? "" : "s");
    return status;
}

// What a pipeline keeps is written by it alone: a row put in or a table taken away by hand would stay wrong for ever.
static enum status refuse_kept_table(const struct dataset *t, const char *doing, struct error *e) {
    if (!t->made_by || strcmp(t->made_by, "table") == 0) return STATUS_OK;
    if (strcmp(t->made_by, "leat") == 0) return error_set(e, STATUS_INVALID_QUERY, "LEAT_RESERVED_NAME", "`%s` is leat's own: it cannot be %s", t->name, doing);
    error_set(e, STATUS_INVALID_QUERY, "LEAT_TABLE_OF_PIPELINE", "`%s` is a %s of a pipeline, which alone writes it: it cannot be %s by hand", t->name, t->made_by, doing);
    error_set_hint(e, "feed the pipeline through its sources; `leat run FILE --full-refresh %s` builds it anew", t->name);
    return STATUS_INVALID_QUERY;
}

enum status session_insert(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    const char *name = statement->target.parts[statement->target.part_count - 1];
    const struct dataset *t = s->catalog.find(s->catalog.context, s->arena, name);
    if (!t) return session_unknown_table(name, e);
    TRY(refuse_kept_table(t, "written", e));
    TRY(refuse_while_running(s, e));
    struct analysis analysis = session_analysis(s, d);
    struct plan_node *root;
    size_t errors = d->error_count;
    enum status status = analyze_insert(&analysis, s->scope, statement, t, &root);
    if (d->error_count > errors) return STATUS_OK;
    TRY(status);
    return insert_rows(s, t, root, statement->overwrite, e);
}

static enum status make_table(struct sql_session *s, const char *name, const struct type *schema, const struct ustatement *statement, struct error *e) {
    struct folder folder;
    struct store *store = NULL;
    struct sink *sink = NULL;
    struct sink_record record;
    bool is_empty;
    TRY(open_catalog_store(s, &folder, &store, &record, e));
    struct sink_request request = {.table_name = name, .flow_name = name, .schema = schema, .data_folder = s->data_folder, .base_folder = s->base_folder,
                                   .session = &s->host->session, .memory = &s->host->memory, .log = &s->host->log};
    enum status status = statement->or_replace ? catalog_drop(store, name, e) : STATUS_OK;
    if (status == STATUS_OK) status = sqlite_sink_class.check(&request, e);
    if (status == STATUS_OK) status = sqlite_sink_class.sink_open(store, &request, &sink, &is_empty, e);
    if (status == STATUS_OK) status = catalog_describe(store, name, "table", schema, statement->text, e);
    if (sink) sqlite_sink_class.sink_close(sink);
    sqlite_sink_class.store_close(store);
    folder_close(&folder);
    return status == STATUS_OK ? sql_session_reload(s, e) : status;
}

static enum status drop_table(struct sql_session *s, const char *name, struct error *e) {
    struct folder folder;
    struct store *store = NULL;
    struct sink_record record;
    TRY(open_catalog_store(s, &folder, &store, &record, e));
    enum status status = catalog_drop(store, name, e);
    sqlite_sink_class.store_close(store);
    folder_close(&folder);
    return status == STATUS_OK ? sql_session_reload(s, e) : status;
}

static const struct type *declared_schema(struct arena *a, const struct ustatement *statement) {
    struct field *fields = arena_alloc_array(a, statement->column_count + 1, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < statement->column_count; i++) {
        fields[i] = (struct field){.name = statement->columns[i].name, .type = statement->columns[i].type, .nullable = !statement->columns[i].not_null};
    }
    return type_struct(a, fields, statement->column_count);
}

static const struct type *query_schema(struct arena *a, const struct plan_node *root) {
    struct field *fields = arena_alloc_array(a, root->attribute_count + 1, sizeof *fields);
    if (!fields) return NULL;
    for (uint32_t i = 0; i < root->attribute_count; i++) {
        fields[i] = (struct field){.name = root->attributes[i].name, .type = root->attributes[i].type, .nullable = true};
    }
    return type_struct(a, fields, root->attribute_count);
}

enum status session_create_table(struct sql_session *s, const struct ustatement *statement, struct diagnostics *d, struct error *e) {
    const char *name = statement->name.parts[statement->name.part_count - 1];
    struct plan_node *root = NULL;
    const struct dataset *old = session_table(s, name);
    if (old && statement->or_replace) TRY(refuse_kept_table(old, "replaced", e));
    if (old && !statement->or_replace) {
        if (statement->if_not_exists) return STATUS_OK;
        error_set(e, STATUS_INVALID_QUERY, "TABLE_OR_VIEW_ALREADY_EXISTS", "there is a table or view `%s` already", name);
        error_set_hint(e, "choose another name, or drop it first: DROP TABLE %s", name);
        return STATUS_INVALID_QUERY;
    }
    TRY(refuse_while_running(s, e));
    if (statement->query) {
        struct analysis analysis = session_analysis(s, d);
        size_t errors = d->error_count;
        enum status status = analyze_query(&analysis, s->scope, statement->query, &root);
        if (d->error_count > errors) return STATUS_OK;
        TRY(status);
    }
    const struct type *schema = root ? query_schema(s->arena, root) : declared_schema(s->arena, statement);
    if (!schema) return error_no_memory(e);
    TRY(make_table(s, name, schema, statement, e));
    if (!root) return STATUS_OK;
    enum status status = insert_rows(s, session_table(s, name), root, false, e);
    struct error ignored;
    if (status != STATUS_OK) (void)!drop_table(s, name, &ignored);  // all or nothing
    return status;
}

// A view of this session, or a table of the catalog.
enum status session_drop(struct sql_session *s, const struct ustatement *statement, struct error *e) {
    const char *name = statement->name.parts[statement->name.part_count - 1];
    for (uint32_t i = 0; s->scope && i < s->scope->dataset_count; i++) {
        if (strcasecmp(s->scope->datasets[i]->name, name) != 0) continue;
        s->scope->datasets[i] = s->scope->datasets[--s->scope->dataset_count];
        return STATUS_OK;
    }
    const struct dataset *t = s->catalog.find(s->catalog.context, s->arena, name);
    if (!t) return statement->if_exists ? STATUS_OK : session_unknown_table(name, e);
    TRY(refuse_kept_table(t, "dropped", e));
    TRY(refuse_while_running(s, e));
    return drop_table(s, name, e);
}
