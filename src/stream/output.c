// SPDX-License-Identifier: Apache-2.0
// output.c: where rows leave the execution: into sinks, into the dead-letter table, into the table of late rows. Called by many workers at once.
//
// A store's transaction begins with its first row of the epoch (a store with nothing to write is not committed). A store that already
// has the epoch (a crash, or another store's failure, came after its commit) gets nothing a second time.
#include "base/checksum.h"
#include "base/failpoint.h"
#include "json/json.h"
#include "stream/runtime.h"
#include <stdio.h>

enum status output_begin_store(struct runtime *r, struct stream_store *store, struct error *e) {
    enum status status = STATUS_OK;
    pthread_mutex_lock(&store->mutex);
    if (!store->begun) {
        if (!store->forgetful) status = stream_make_durable(r->stream, e);  // the intent, before the first effect
        if (status == STATUS_OK) status = failpoint("epoch.intent", e);
        if (status == STATUS_OK) status = store->store->class->begin(store->store, &r->stream->running, e);
        store->begun = status == STATUS_OK;
    }
    pthread_mutex_unlock(&store->mutex);
    return status;
}

static enum status empty_target(struct stream_target *t, struct error *e) {
    enum status status = STATUS_OK;
    pthread_mutex_lock(&t->store->mutex);
    if (t->empty_pending && !t->emptied) {
        status = t->sink->class->empty(t->sink, e);
        t->emptied = status == STATUS_OK;
    }
    pthread_mutex_unlock(&t->store->mutex);
    return status;
}

// Of a table that several flows feed: a record that two of them read gives rows of its own in each.
static enum status write_branch(struct stream_flow *f, uint32_t worker, struct batch *b, struct error *e) {
    const struct stream_target *t = f->target;
    struct batch *out = batch_derive(b, f->runtime->stream->config.memory, b->column_count);
    if (!out) return error_no_memory(e);
    memcpy(out->columns, b->columns, sizeof *b->columns * b->column_count);
    out->origin.branch = b->origin.branch ^ (uint32_t)checksum64(f->flow->name, strlen(f->flow->name), 0);
    enum status status = t->sink->class->write(t->sink, worker, out, output_refuse, f, e);
    batch_unref(out);
    return status;
}

enum status output_write(void *context, uint32_t worker, struct batch *b, struct error *e) {
    struct stream_flow *f = context;
    struct stream_target *t = f->target;
    atomic_fetch_add_explicit(&f->rows_out, b->selected_count, memory_order_relaxed);
    if (t->store->has_epoch) return STATUS_OK;
    TRY(output_begin_store(f->runtime, t->store, e));
    if (t->empty_pending) TRY(empty_target(t, e));
    return t->flow_count > 1 ? write_branch(f, worker, b, e) : t->sink->class->write(t->sink, worker, b, output_refuse, f, e);
}

static const char *source_name(const struct runtime *r, uint32_t source) { return source < r->source_count ? r->sources[source].table->name : ""; }

static enum status put_dead(struct runtime *r, struct catalog_dead_row *row, struct error *e) {
    bool added;
    row->epoch = r->stream->running.record.epoch;
    row->at_us = r->stream->running.clock_us;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (strcmp(r->flows[i].flow->name, row->flow) == 0) atomic_fetch_add_explicit(&r->flows[i].rows_dead, 1, memory_order_relaxed);
    }
    if (r->catalog->has_epoch) return STATUS_OK;
    TRY(output_begin_store(r, r->catalog, e));
    return catalog_put_dead(r->catalog->store, row, &added, e);
}

static enum status stop_on_row(const struct catalog_dead_row *row, const struct row_error *why, struct error *e) {
    error_set(e, STATUS_DATA, row->condition, "%s (flow %s, source %s, partition %s, offset %lld)", row->message, row->flow, row->source, row->partition,
              (long long)row->offset);
    if (why && why->value.size_bytes) error_set_value(e, string_view_data(&why->value), why->value.size_bytes);
    error_set_hint(e, "leat.onError is 'stop'; without it the row goes to leat_dead and the pipeline runs on");
    return STATUS_DATA;
}

static void describe_why(struct catalog_dead_row *row, const struct row_error *why) {
    row->condition = why->condition ? why->condition : "";
    row->message = why->message ? why->message : "";
    if (why->value.size_bytes) {
        row->value = string_view_data(&why->value);
        row->value_bytes = why->value.size_bytes;
    }
}

static enum status put_batch_row(struct runtime *r, uint32_t node, const char *flow, const struct batch *b, uint32_t row, const struct row_error *why, struct error *e) {
    char partition[24];
    const struct origin *o = &b->origin;
    bool derived = o->source == ORIGIN_NONE;
    snprintf(partition, sizeof partition, "%u", o->partition);
    struct catalog_dead_row dead = {.flow = flow, .node = node, .source = derived ? "" : source_name(r, o->source),
                                    .partition = derived ? "" : o->partition_name ? o->partition_name : partition,
                                    .offset = derived ? -1 : origin_offset(o, row), .row = derived ? row : origin_row(o, row)};
    if (!derived && o->raw) {
        dead.raw = string_view_data(&o->raw[row]);
        dead.raw_bytes = o->raw[row].size_bytes;
    }
    describe_why(&dead, why);
    if (r->stop_on_error) return stop_on_row(&dead, why, e);
    return put_dead(r, &dead, e);
}

enum status output_refuse(void *context, const struct batch *b, uint32_t row, const char *condition, const char *message) {
    struct stream_flow *f = context;
    struct error e = {0};
    struct row_error why = {.row = (uint16_t)row, .condition = condition, .message = message};
    return put_batch_row(f->runtime, f->flow->root->id, f->flow->name, b, row, &why, &e);
}

static enum status dead_row_of_batch(void *context, const struct plan_node *node, const char *flow, const struct batch *b, uint32_t row,
                                     const struct row_error *why, struct error *e) {
    return put_batch_row(context, node->id, flow, b, row, why, e);
}

static enum status dead_record(void *context, const char *flow, const struct dead_row *row, struct error *e) {
    struct runtime *r = context;
    char partition[24];
    snprintf(partition, sizeof partition, "%u", row->partition);
    struct catalog_dead_row dead = {.flow = flow, .source = source_name(r, row->source), .offset = row->offset, .row = row->row,
                                    .partition = row->partition_name ? row->partition_name : partition, .condition = row->condition, .message = row->message};
    if (row->value.size_bytes) dead.value = string_view_data(&row->value), dead.value_bytes = row->value.size_bytes;
    if (row->raw.size_bytes) dead.raw = string_view_data(&row->raw), dead.raw_bytes = row->raw.size_bytes;
    if (r->stop_on_error) return stop_on_row(&dead, NULL, e);
    return put_dead(r, &dead, e);
}

static enum status dead_group(void *context, const struct plan_node *node, const char *flow, const char *key_text, const struct row_error *why, struct error *e) {
    struct runtime *r = context;
    struct catalog_dead_row dead = {.flow = flow, .node = node->id, .source = flow, .partition = key_text, .offset = -1};
    describe_why(&dead, why);
    if (r->stop_on_error) return stop_on_row(&dead, why, e);
    return put_dead(r, &dead, e);
}

// The row's columns as one JSON object; those that nobody wants are not there.
static enum status print_row(const struct plan_node *input, const struct batch *b, uint32_t row, struct buffer *out) {
    bool first = true;
    TRY(buffer_append_byte(out, '{'));
    for (uint32_t i = 0; i < input->attribute_count && i < b->column_count; i++) {
        if (!column_is_valid(&b->columns[i], row)) continue;
        if (!first) TRY(buffer_append_byte(out, ','));
        first = false;
        TRY(json_write_string(input->attributes[i].name, strlen(input->attributes[i].name), out));
        TRY(buffer_append_byte(out, ':'));
        TRY(json_write_value(&b->columns[i], row, NULL, false, out));
    }
    return buffer_append_byte(out, '}');
}

static enum status late_row(void *context, const struct plan_node *node, const char *flow, const struct plan_node *input, const struct batch *b, uint32_t row,
                            int64_t time_us, int64_t watermark_us, struct error *e) {
    struct runtime *r = context;
    char partition[24];
    const struct origin *o = &b->origin;
    bool derived = o->source == ORIGIN_NONE;
    if (r->catalog->has_epoch) return STATUS_OK;
    snprintf(partition, sizeof partition, "%llu", derived ? (unsigned long long)r->stream->running.record.epoch : (unsigned long long)o->partition);
    struct buffer data;
    buffer_init(&data, r->stream->config.memory);
    enum status status = print_row(input, b, row, &data) == STATUS_OK ? STATUS_OK : error_no_memory(e);
    if (status == STATUS_OK) status = output_begin_store(r, r->catalog, e);
    struct catalog_late_row late = {.flow = flow, .node = node->id, .source = derived ? "" : source_name(r, o->source),
                                    .partition = !derived && o->partition_name ? o->partition_name : partition,
                                    .offset = derived ? (int64_t)b->sequence : origin_offset(o, row), .row = derived ? row : origin_row(o, row),
                                    .has_time = time_us != NO_WATERMARK, .time_us = time_us, .watermark_us = watermark_us, .data = (const char *)data.data,
                                    .data_bytes = data.size_bytes, .epoch = r->stream->running.record.epoch, .at_us = r->stream->running.clock_us};
    if (status == STATUS_OK) status = catalog_put_late(r->catalog->store, &late, e);
    buffer_release(&data);
    return status;
}

struct late_handler output_late_handler(struct runtime *r) { return (struct late_handler){.row = late_row, .context = r}; }

struct dead_handler output_dead_handler(struct runtime *r) {
    return (struct dead_handler){.row = dead_row_of_batch, .record = dead_record, .group = dead_group, .context = r};
}
