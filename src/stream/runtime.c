// SPDX-License-Identifier: Apache-2.0
// runtime.c: opening a text: plan, sources, stores (with recovery's comparison of records), targets, execution. See runtime.h.
#include "stream/runtime.h"
#include "stream/settings.h"
#include <strings.h>

static const int64_t RECORD_RETENTION_US = INT64_C(86400) * 1000000;  // the shortest that is usual

static enum status analyze(struct runtime *r, const char *text, struct diagnostics *d, struct error *e) {
    const struct stream_config *c = &r->stream->config;
    struct ustatement **statements = NULL;
    uint32_t count = 0;
    struct analysis analysis = {.arena = &r->arena, .session = c->session, .connectors = c->connectors, .base_folder = c->base_folder,
                                .memory = c->memory, .log = c->log, .diagnostics = d};
    TRY(settings_parse(&r->arena, c->session, text, strlen(text), c->settings, c->setting_count, d, &statements, &count, e));
    enum status status = analyze_pipeline(&analysis, statements, count, text, &r->pipeline);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    if (status == STATUS_OK && settings_check_tables(r->pipeline, d) != STATUS_OK) return error_no_memory(e);
    if (status != STATUS_OK || d->error_count) return error_set(e, STATUS_INVALID_QUERY, NULL, "the pipeline does not check");
    if (!r->pipeline->flow_count) {
        error_set(e, STATUS_INVALID_QUERY, "LEAT_NO_FLOWS", "the file has no streaming table and no materialized view: there is nothing to run");
        error_set_hint(e, "add CREATE STREAMING TABLE … AS SELECT … FROM STREAM …, or run one-off queries with `leat sql FILE`");
        return STATUS_INVALID_QUERY;
    }
    return STATUS_OK;
}

// The streamed tables below a plan node, each once.
static void collect_tables(const struct plan_node *node, struct dataset **tables, uint32_t *count, uint32_t capacity) {
    if (node->kind == PLAN_SCAN && node->streaming) {
        for (uint32_t i = 0; i < *count; i++) {
            if (tables[i] == node->table) return;
        }
        if (*count < capacity) tables[(*count)++] = node->table;
        return;
    }
    for (uint32_t i = 0; i < node->input_count; i++) collect_tables(node->inputs[i], tables, count, capacity);
}

static struct stream_source *find_source(struct runtime *r, const struct dataset *table) {
    for (uint32_t i = 0; i < r->source_count; i++) {
        if (r->sources[i].table == table) return &r->sources[i];
    }
    return NULL;
}

static enum status link_flow_sources(struct runtime *r, struct stream_flow *f, struct error *e) {
    uint32_t capacity = r->pipeline->dataset_count, count = 0;
    struct dataset **tables = arena_alloc_array(&r->arena, capacity + 1, sizeof *tables);
    if (!tables) return error_no_memory(e);
    collect_tables(f->flow->root, tables, &count, capacity);
    f->sources = arena_alloc_array(&r->arena, count + 1, sizeof *f->sources);
    if (!f->sources) return error_no_memory(e);
    for (uint32_t i = 0; i < count; i++) {
        struct stream_source *source = find_source(r, tables[i]);
        if (!source) {
            source = &r->sources[r->source_count++];
            source->table = tables[i];
        }
        f->sources[f->source_count++] = source;
    }
    return STATUS_OK;
}

static struct stream_target *find_target(struct runtime *r, struct dataset *d) {
    for (uint32_t i = 0; i < r->target_count; i++) {
        if (r->targets[i].dataset == d) return &r->targets[i];
    }
    r->targets[r->target_count].dataset = d;
    return &r->targets[r->target_count++];
}

static enum status link_flows(struct runtime *r, struct error *e) {
    struct pipeline *p = r->pipeline;
    r->flows = arena_alloc_array(&r->arena, p->flow_count, sizeof *r->flows);
    r->targets = arena_alloc_array(&r->arena, p->flow_count, sizeof *r->targets);
    r->stores = arena_alloc_array(&r->arena, p->flow_count + 1, sizeof *r->stores);
    r->sources = arena_alloc_array(&r->arena, p->dataset_count + 1, sizeof *r->sources);
    if (!r->flows || !r->targets || !r->stores || !r->sources) return error_no_memory(e);
    for (uint32_t i = 0; i < p->flow_count; i++) {
        struct stream_flow *f = &r->flows[r->flow_count++];
        f->runtime = r;
        f->flow = p->flows[i];
        f->target = find_target(r, p->flows[i]->target);
        f->target->flow_count++;
        TRY(link_flow_sources(r, f, e));
    }
    return STATUS_OK;
}

static enum status read_settings(struct runtime *r, struct error *e) {
    struct stream *s = r->stream;
    const struct option_set *set = &r->pipeline->settings;
    const char *on_error = settings_text(set, &s->config, "leat.onError");
    r->stop_on_error = on_error && strcmp(on_error, "stop") == 0;
    const char *policy = settings_text(set, &s->config, "leat.watermark.policy");
    r->global_watermark = policy && strcmp(policy, "global") == 0;
    TRY(settings_duration(set, &s->config, "leat.watermark.idle", INT64_C(30000000), &r->idle_us, e));
    TRY(settings_duration(set, &s->config, "leat.watermark.maxAhead", INT64_C(86400000000), &r->max_ahead_us, e));
    TRY(settings_duration(set, &s->config, "leat.trigger", 0, &s->trigger_us, e));
    if (s->config.trigger_us >= 0) s->trigger_us = s->config.trigger_us;
    TRY(settings_duration(set, &s->config, "leat.retry.timeout", INT64_MAX, &s->retry_timeout_us, e));
    TRY(settings_size(set, &s->config, "leat.epoch.maxBytes", INT64_C(256) << 20, &s->budget_bytes, e));
    return settings_size(set, &s->config, "leat.epoch.maxRows", INT64_C(4) << 20, &s->max_rows, e);
}

enum status runtime_new(struct stream *s, const char *text, struct diagnostics *d, struct runtime **out, struct error *e) {
    struct runtime *r = memory_alloc_zeroed(s->config.memory, sizeof *r);
    if (!r) return error_no_memory(e);
    r->stream = s;
    arena_init(&r->arena, s->config.memory);
    arena_init(&r->ledger_arena[0], s->config.memory);
    arena_init(&r->ledger_arena[1], s->config.memory);
    enum status status = analyze(r, text, d, e);
    if (status == STATUS_OK) status = link_flows(r, e);
    if (status == STATUS_OK) status = read_settings(r, e);
    if (status != STATUS_OK) {
        runtime_free(r);
        return status;
    }
    *out = r;
    return STATUS_OK;
}

static struct source_request source_request_of(struct runtime *r, uint32_t index) {
    const struct stream_config *c = &r->stream->config;
    const struct dataset *table = r->sources[index].table;
    return (struct source_request){.table_name = table->name, .options = table->options, .declared = table->schema, .base_folder = c->base_folder,
                                   .data_folder = c->data_folder, .session = c->session, .memory = c->memory, .log = c->log, .streaming = true,
                                   .available_now = c->available_now, .source_index = index, .wake = c->wake, .stop = c->stop, .host = c->host};
}

enum status runtime_copy_source_options(const struct runtime *r, struct arena *a, struct source_options_list *out, struct error *e) {
    out->items = arena_alloc_array(a, r->source_count + 1, sizeof *out->items);
    out->count = 0;
    if (!out->items) return error_no_memory(e);
    for (uint32_t i = 0; i < r->source_count; i++) {
        const struct dataset *table = r->sources[i].table;
        struct source_options *to = &out->items[out->count++];
        to->table = arena_strdup(a, table->name);
        to->options.values = arena_alloc_array(a, table->options.count + 1, sizeof *to->options.values);
        if (!to->table || !to->options.values) return error_no_memory(e);
        for (uint32_t k = 0; k < table->options.count; k++) {
            struct option_value v = table->options.values[k];
            if (v.key && !(v.key = arena_strdup(a, v.key))) return error_no_memory(e);
            if (v.text && !(v.text = arena_strdup(a, v.text))) return error_no_memory(e);
            to->options.values[to->options.count++] = v;
        }
    }
    return STATUS_OK;
}

static void add_options(struct option_set *to, const struct option_set *from, bool counting) {
    for (uint32_t i = 0; i < from->count; i++) {
        const struct option_value *v = &from->values[i];
        if (pipeline_option_counts(v->key ? v->key : v->option->name) == counting) to->values[to->count++] = *v;
    }
}

enum status runtime_take_source_options(struct runtime *r, const struct source_options_list *from, struct error *e) {
    for (uint32_t i = 0; i < r->source_count; i++) {
        struct dataset *table = r->sources[i].table;
        for (uint32_t k = 0; k < from->count; k++) {
            const struct source_options *other = &from->items[k];
            if (strcmp(other->table, table->name) != 0) continue;
            struct option_set both = {.values = arena_alloc_array(&r->arena, table->options.count + other->options.count + 1, sizeof *both.values)};
            if (!both.values) return error_no_memory(e);
            add_options(&both, &table->options, true);
            add_options(&both, &other->options, false);
            table->options = both;
        }
    }
    return STATUS_OK;
}

enum status runtime_open_sources(struct runtime *r, struct error *e) {
    for (uint32_t i = 0; i < r->source_count; i++) {
        struct stream_source *source = &r->sources[i];
        const struct source_class *class = source->table->connector->source;
        struct source_request request = source_request_of(r, i);
        if (class->check) TRY(class->check(&request, e));
        TRY(class->open(&request, &source->source, e));
        TRY(class->start(source->source, &r->arena, &source->start, e));
    }
    return STATUS_OK;
}

// leat.* properties belong to leat and not to the connector.
static bool replaces(const struct dataset *d) {
    bool yes = false;
    for (uint32_t i = 0; i < d->look_count; i++) {
        if (strcasecmp(d->looks[i].key, "leat.replace") == 0) yes = strcasecmp(d->looks[i].value, "true") == 0;
    }
    return yes;
}

static enum status sink_request_of(struct runtime *r, const struct stream_target *t, struct sink_request *out, struct error *e) {
    const struct stream_config *c = &r->stream->config;
    const struct flow *flow = NULL;
    for (uint32_t i = 0; i < r->flow_count && !flow; i++) flow = r->flows[i].target == t ? r->flows[i].flow : NULL;
    const struct plan_node *root = flow->root;
    struct field *fields = arena_alloc_array(&r->arena, root->attribute_count, sizeof *fields);
    if (!fields) return error_no_memory(e);
    for (uint32_t i = 0; i < root->attribute_count; i++) {
        fields[i] = (struct field){.name = root->attributes[i].name, .type = root->attributes[i].type, .nullable = root->attributes[i].nullable};
    }
    const struct type *schema = type_struct(&r->arena, fields, root->attribute_count);
    if (!schema) return error_no_memory(e);
    const char **sources = arena_alloc_array(&r->arena, r->source_count + 1, sizeof *sources);
    if (!sources) return error_no_memory(e);
    for (uint32_t i = 0; i < r->source_count; i++) sources[i] = r->sources[i].table->name;
    bool materialized = t->dataset->kind == DATASET_MATERIALIZED_VIEW, consolidated = root->kind == PLAN_CONSOLIDATE;
    *out = (struct sink_request){
        .table_name = t->dataset->name, .flow_name = flow->name, .options = t->dataset->options, .schema = schema,
        .key = consolidated ? root->unique_key : NULL, .key_count = consolidated ? root->unique_key_count : 0,
        .single_row = consolidated && root->unique_key_count == 0, .retracts = root->changes == CHANGES_RETRACT,
        .upserts = !materialized && consolidated, .materialized = materialized, .base_folder = c->base_folder, .data_folder = c->data_folder,
        .session = c->session, .memory = c->memory, .log = c->log, .stop = c->stop, .host = c->host,
        .replace = replaces(t->dataset), .source_names = sources, .source_count = r->source_count,
    };
    return STATUS_OK;
}

// A record may expire (a group's offsets, days after the last one), or go with its topic. That epoch `expected` was written whole, the log
// says. Whether an open epoch was, its record would say: it would be there if it were younger than the shortest retention.
static enum status accept_expired(struct stream *s, const struct stream_store *store, uint64_t expected, struct error *e) {
    int64_t age_us = clock_now_us(s->config.session->clock) - s->durable.last_clock_us;
    if (s->durable.has_intent && age_us > RECORD_RETENTION_US) {
        error_set(e, STATUS_CONFLICT, "LEAT_STORE_OLDER", "`%s` has no record of this pipeline any more, and epoch %llu was left open %lld days ago: whether it was written cannot be told",
                  store->identity, (unsigned long long)s->durable.last_epoch, (long long)(age_us / (INT64_C(86400) * 1000000)));
        error_set_hint(e, "look at the end of the topic; then build the tables anew with --full-refresh-all, or from another topic");
        return STATUS_CONFLICT;
    }
    if (expected) {
        log_write(s->config.log, LOG_WARN, "`%s` no longer has the record of epoch %llu (it expires with time, and goes with its topic); the log says it was written whole",
                  store->identity, (unsigned long long)expected);
    }
    return STATUS_OK;
}

// A store's record against the log: may the pipeline go on with it? EPOCHS.md §3.
static enum status compare_record(struct runtime *r, struct stream_store *store, struct error *e) {
    struct stream *s = r->stream;
    struct store_entry *entry = durable_store(&s->durable, store->identity);
    if (!entry) return error_no_memory(e);
    uint64_t expected = entry->epoch, has = store->found ? store->record.epoch : 0;
    if (s->config.full_refresh_all) {  // everything is built anew: what the store has is where numbers go on from
        entry->epoch = has;
        if (has > s->durable.last_epoch) s->durable.last_epoch = has;
        return STATUS_OK;
    }
    if (s->durable.has_intent) {
        struct intent open;
        TRY(decode_intent(&s->epoch_arena, s->durable.intent_bytes.data, s->durable.intent_bytes.size_bytes, &open, e));
        if (store->found && has == open.epoch && store->record.digest == open.digest) {
            store->has_epoch = true;
            return STATUS_OK;
        }
    }
    if (has == expected && (store->found || !expected)) return STATUS_OK;
    if (!store->found && store->store->record_expires) return accept_expired(s, store, expected, e);
    if (has > expected) {
        error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_OLDER", "the data folder `%s` is older than `%s`: the folder's last epoch there is %llu, the store has %llu",
                  s->config.data_folder, store->identity, (unsigned long long)expected, (unsigned long long)has);
        error_set_hint(e, "the folder was restored from an older copy: going on would write rows twice. Restore the store of the same moment, or build the "
                          "tables anew with --full-refresh-all");
    } else {
        error_set(e, STATUS_CONFLICT, "LEAT_STORE_OLDER", "`%s` is older than the data folder `%s`: the store's last epoch is %llu, the folder's there is %llu",
                  store->identity, s->config.data_folder, (unsigned long long)has, (unsigned long long)expected);
        error_set_hint(e, "the store was restored or emptied: going on would leave rows out. Restore the folder of the same moment, or build the tables "
                          "anew with --full-refresh-all");
    }
    return STATUS_CONFLICT;
}

static enum status open_store(struct runtime *r, const struct sink_class *class, const struct sink_request *request, struct stream_store **out, struct error *e) {
    const char *identity;
    TRY(class->identity(request, &r->arena, &identity, e));
    for (uint32_t i = 0; i < r->store_count; i++) {
        if (strcmp(r->stores[i].identity, identity) == 0) {
            *out = &r->stores[i];
            return STATUS_OK;
        }
    }
    struct stream_store *store = &r->stores[r->store_count];
    *store = (struct stream_store){.identity = identity, .forgetful = (class->capabilities & SINK_FORGETFUL) != 0};
    TRY(class->store_open(request, r->stream->folder.pipeline, &store->store, &store->found, &store->record, e));
    pthread_mutex_init(&store->mutex, NULL);
    store->forgetful |= store->store->forgetful;
    r->store_count++;
    *out = store;
    return store->forgetful ? STATUS_OK : compare_record(r, store, e);
}

static enum status open_catalog(struct runtime *r, struct error *e) {
    const struct connector *sqlite = connector_find(r->stream->config.connectors, "sqlite");
    const struct stream_config *c = &r->stream->config;
    struct sink_request request = {.table_name = "leat_catalog", .schema = &type_null, .data_folder = c->data_folder, .base_folder = c->base_folder,
                                   .session = c->session, .memory = c->memory, .log = c->log};
    TRY(open_store(r, sqlite->sink, &request, &r->catalog, e));
    return catalog_prepare(r->catalog->store, e);
}

// Of a target that an open epoch feeds the question was asked before that epoch: what is in it now may be what the epoch wrote (a store without
// transactions keeps the rows of an epoch that was not committed).
static enum status is_in_open_epoch(struct runtime *r, const struct stream_target *t, bool *out, struct error *e) {
    struct stream *s = r->stream;
    struct intent open;
    *out = false;
    if (!s->durable.has_intent) return STATUS_OK;
    TRY(decode_intent(&s->epoch_arena, s->durable.intent_bytes.data, s->durable.intent_bytes.size_bytes, &open, e));
    for (uint32_t i = 0; i < r->flow_count; i++) {
        for (uint32_t n = 0; n < open.flow_count && r->flows[i].target == t; n++) *out |= strcmp(open.flows[n], r->flows[i].flow->name) == 0;
    }
    return STATUS_OK;
}

// A materialized view equals its query: rows of somebody else in its table would stay there for ever.
static enum status check_target_empty(struct runtime *r, struct stream_target *t, const struct sink_request *request, struct error *e) {
    struct stream *s = r->stream;
    bool started = false, refresh = false;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].target != t) continue;
        const struct flow_entry *entry = durable_flow(&s->durable, r->flows[i].flow->name);
        started |= entry && entry->started;
        refresh |= r->flows[i].refresh || (entry && entry->refresh_pending);
    }
    t->empty_pending = refresh;
    bool empties = refresh || (request->replace && !started);
    if (empties && !t->is_empty && !t->store->has_epoch && (t->dataset->connector->sink->capabilities & SINK_KEEPS)) {
        const char *topic = option_text(&request->options, "topic");
        error_set(e, STATUS_CONFLICT, "LEAT_TARGET_NOT_EMPTY", "`%s` is to be built anew, and leat does not delete what its topic%s%s%s holds", request->table_name,
                  topic ? " `" : "", topic ? topic : "", topic ? "`" : "");
        error_set_hint(e, "nothing has changed. Delete the topic and make it again (leat kafka topics --delete, --create), if nobody else needs what is in it, and run this "
                          "once more; or let the table write to another topic");
        return STATUS_CONFLICT;
    }
    if (t->is_empty || refresh || started || t->store->has_epoch || t->store->forgetful) return STATUS_OK;
    if (!request->materialized) {
        log_write(s->config.log, LOG_WARN, "`%s` already holds rows; the new flow adds its own to them", request->table_name);
        return STATUS_OK;
    }
    if (request->replace) {
        t->empty_pending = true;
        return STATUS_OK;
    }
    bool ours;
    TRY(is_in_open_epoch(r, t, &ours, e));
    if (ours) return STATUS_OK;
    error_set(e, STATUS_CONFLICT, "LEAT_TARGET_NOT_EMPTY", "the target of the new materialized view `%s` already holds rows", request->table_name);
    error_set_hint(e, "build it anew with --full-refresh %s, or set TBLPROPERTIES ('leat.replace' = 'true') to empty it", request->table_name);
    return STATUS_CONFLICT;
}

static enum status describe_target(struct runtime *r, const struct stream_target *t, const struct sink_request *request, struct error *e) {
    if (!t->dataset->in_catalog) return STATUS_OK;
    const char *kind = request->materialized ? "materialized view" : "streaming table";
    const char *text = t->dataset->statement ? t->dataset->statement->text : NULL;
    return catalog_describe(r->catalog->store, request->table_name, kind, request->schema, text, e);
}

enum status runtime_open_stores(struct runtime *r, struct error *e) {
    TRY(open_catalog(r, e));
    for (uint32_t i = 0; i < r->target_count; i++) {
        struct stream_target *t = &r->targets[i];
        const struct sink_class *class = t->dataset->connector->sink;
        struct sink_request request;
        TRY(sink_request_of(r, t, &request, e));
        for (uint32_t f = 0; f < r->flow_count; f++) {
            const struct flow_entry *entry = r->flows[f].target == t ? durable_flow(&r->stream->durable, r->flows[f].flow->name) : NULL;
            if (r->flows[f].target == t && (r->flows[f].refresh || (entry && entry->refresh_pending))) request.replace = true;
        }
        if (class->check) TRY(class->check(&request, e));
        TRY(open_store(r, class, &request, &t->store, e));
        TRY(class->sink_open(t->store->store, &request, &t->sink, &t->is_empty, e));
        TRY(check_target_empty(r, t, &request, e));
        TRY(describe_target(r, t, &request, e));
    }
    return STATUS_OK;
}

static enum status restore_state(struct runtime *r, struct error *e) {
    struct durable *d = &r->stream->durable;
    for (size_t i = 0; i < d->flows.count; i++) {
        const struct flow_entry *f = *(struct flow_entry **)vector_at(&d->flows, i);
        if (!f->started) execution_ignore_saved(r->execution, f->name);  // new, or to be refreshed: of another query perhaps
    }
    if (d->execution_snapshot.size_bytes) {
        struct reader in = reader_of(d->execution_snapshot.data, d->execution_snapshot.size_bytes);
        TRY(execution_restore(r->execution, &in, e));
    }
    for (size_t i = 0; i < d->execution_changes.count; i++) {
        const struct buffer *b = *(struct buffer **)vector_at(&d->execution_changes, i);
        struct reader in = reader_of(b->data, b->size_bytes);
        TRY(execution_apply_changes(r->execution, &in, e));
    }
    durable_drop_execution(d);
    return STATUS_OK;
}

// The tables that joins read whole, as loaded, belong to the state: an open epoch must meet what it was begun with. Between epochs they may change.
static enum status open_static(struct runtime *r, struct error *e) {
    struct stream *s = r->stream;
    uint64_t digest;
    TRY(execution_load_static(r->execution, &digest, e));
    if (digest == s->durable.static_digest) return STATUS_OK;
    if (s->durable.has_intent) {
        error_set(e, STATUS_CONFLICT, "LEAT_STATIC_CHANGED", "a table that a join reads whole has changed since epoch %llu was begun, and that epoch is still open",
                  (unsigned long long)s->durable.last_epoch);
        error_set_hint(e, "put the table back as it was for one run, or build the tables anew with --full-refresh-all");
        return STATUS_CONFLICT;
    }
    if (encode_static(&s->payload, digest) != STATUS_OK) return error_no_memory(e);
    return stream_record(s, RECORD_STATIC, e);  // durable with the next intent
}

enum status runtime_open_execution(struct runtime *r, struct error *e) {
    struct stream *s = r->stream;
    struct output *outputs = arena_alloc_array(&r->arena, r->flow_count, sizeof *outputs);
    if (!outputs) return error_no_memory(e);
    for (uint32_t i = 0; i < r->flow_count; i++) {
        outputs[i] = (struct output){.root = r->flows[i].flow->root, .flow_name = r->flows[i].flow->name, .write = output_write, .context = &r->flows[i],
                                     .ordered = (r->flows[i].target->dataset->connector->sink->capabilities & SINK_ORDERED) != 0};
    }
    struct time_source *sources = arena_alloc_array(&r->arena, r->source_count + 1, sizeof *sources);
    if (!sources) return error_no_memory(e);
    for (uint32_t i = 0; i < r->source_count; i++) {
        sources[i] = (struct time_source){.name = r->sources[i].table->name, .one_time_line = r->sources[i].source->class->one_time_line};
    }
    struct execution_config config = {.session = s->config.session, .memory = s->config.memory, .state_memory = &s->state_memory,
                                      .late = output_late_handler(r), .sources = sources, .source_count = r->source_count, .max_ahead_us = r->max_ahead_us,
                                      .worker_count = s->crew.worker_count, .outputs = outputs, .output_count = r->flow_count,
                                      .dead = output_dead_handler(r), .base_folder = s->config.base_folder, .log = s->config.log};
    TRY(execution_new(&config, &r->execution, e));
    TRY(restore_state(r, e));
    return open_static(r, e);
}

void runtime_free(struct runtime *r) {
    if (!r) return;
    execution_free(r->execution);
    for (uint32_t i = 0; i < r->target_count; i++) {
        if (r->targets[i].sink) r->targets[i].sink->class->sink_close(r->targets[i].sink);
    }
    for (uint32_t i = 0; i < r->store_count; i++) {
        r->stores[i].store->class->store_close(r->stores[i].store);
        pthread_mutex_destroy(&r->stores[i].mutex);
    }
    for (uint32_t i = 0; i < r->source_count; i++) {
        if (r->sources[i].source) r->sources[i].source->class->close(r->sources[i].source);
    }
    arena_release(&r->ledger_arena[0]);
    arena_release(&r->ledger_arena[1]);
    arena_release(&r->arena);
    memory_free(r->stream->config.memory, r, sizeof *r);
}
