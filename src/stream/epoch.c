// SPDX-License-Identifier: Apache-2.0
// epoch.c: one epoch: which flows, which ranges, the intent, the run, the commits.
//
// The intent is synced beside the scan; before the first effect outside the process it must be on disk (output_begin_store waits). An epoch
// whose stores all forget (at-least-once) is relaxed: its records wait up to GROUP_US for others, and so does the ledger.
//
// Flows that stand at one place share a scan. A flow that is behind (new in the file, or refreshed) is a group of its own until it has
// reached the others: its ranges end where theirs begin, so that they meet exactly.
#include "base/failpoint.h"
#include "stream/runtime.h"

enum { GROUP_US = 200000 };  // at-least-once: how long records of the log and the ledger may wait for others

enum status stream_record(struct stream *s, enum record_kind kind, struct error *e) {
    TRY(journal_add(&s->journal, kind, s->payload.data, s->payload.size_bytes, e));
    if (kind == RECORD_CHANGES) return STATUS_OK;  // the execution has them already
    return durable_replay(&s->durable, kind, s->payload.data, s->payload.size_bytes, e);
}

static int64_t start_offset(const struct stream_source *source, uint32_t partition, const char *name) {
    for (uint32_t i = 0; i < source->start.count; i++) {
        const struct position *p = &source->start.items[i];
        if (p->name || name ? p->name && name && strcmp(p->name, name) == 0 : p->partition == partition) return p->offset;
    }
    return 0;
}

// NULL: it has none yet.
static const struct flow_source *flow_position(const struct stream_flow *f, const struct stream_source *source) {
    const struct flow_entry *entry = durable_flow(&f->runtime->stream->durable, f->flow->name);
    return entry ? flow_entry_find_source(entry, source->table->name) : NULL;
}

// Where a flow stands that has no entry for the partition: at the source's start, or, if it has begun to read, at the partition's beginning.
static int64_t missing_offset(const struct stream_source *source, const struct flow_source *at, uint32_t partition, const char *name) {
    return at && at->positions.count ? 0 : start_offset(source, partition, name);
}

static bool reads(const struct stream_flow *f, const struct stream_source *source) {
    for (uint32_t i = 0; i < f->source_count; i++) {
        if (f->sources[i] == source) return true;
    }
    return false;
}

// Is flow a behind (-1), at (0) or ahead of (1) flow b in a source? Any partition ahead counts as ahead.
static int compare_positions(const struct stream_flow *a, const struct stream_flow *b, const struct stream_source *source) {
    const struct flow_source *x = flow_position(a, source), *y = flow_position(b, source);
    int order = 0;
    for (int side = 0; side < 2; side++) {
        const struct flow_source *named = side ? y : x;
        for (size_t i = 0; named && i < named->positions.count; i++) {
            const struct position *p = vector_at(&named->positions, i);
            int64_t missing_a = missing_offset(source, x, p->partition, p->name), missing_b = missing_offset(source, y, p->partition, p->name);
            int64_t at_a = x ? flow_source_offset(x, p->partition, p->name, missing_a) : missing_a;
            int64_t at_b = y ? flow_source_offset(y, p->partition, p->name, missing_b) : missing_b;
            if (at_a > at_b) return 1;
            if (at_a < at_b) order = -1;
        }
    }
    return order;
}

// A flow that is behind another and ahead of none; NULL if all stand at one place.
static struct stream_flow *find_behind(struct runtime *r) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        bool behind = false, ahead = false;
        for (uint32_t j = 0; j < r->flow_count; j++) {
            for (uint32_t k = 0; j != i && k < r->flows[i].source_count; k++) {
                if (!reads(&r->flows[j], r->flows[i].sources[k])) continue;
                int order = compare_positions(&r->flows[i], &r->flows[j], r->flows[i].sources[k]);
                behind |= order < 0;
                ahead |= order > 0;
            }
        }
        if (behind && !ahead) return &r->flows[i];
    }
    return NULL;
}

// Marks the flows that run with `lead`: those that agree with it, and with each other, on every source they share.
static void choose_active(struct runtime *r, struct stream_flow *lead) {
    for (uint32_t i = 0; i < r->flow_count; i++) r->flows[i].active = &r->flows[i] == lead;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        struct stream_flow *f = &r->flows[i];
        bool fits = !f->active;
        for (uint32_t j = 0; j < r->flow_count && fits; j++) {
            for (uint32_t k = 0; r->flows[j].active && k < f->source_count && fits; k++) {
                if (reads(&r->flows[j], f->sources[k])) fits = compare_positions(f, &r->flows[j], f->sources[k]) == 0;
            }
        }
        if (fits) f->active = true;
    }
}

static const struct stream_flow *active_reader(const struct runtime *r, const struct stream_source *source) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].active && reads(&r->flows[i], source)) return &r->flows[i];
    }
    return NULL;
}

// Ranges end where an inactive flow stands, if that is within.
static void cap_ranges(struct runtime *r, const struct stream_source *source, struct ranges *ranges) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].active || !reads(&r->flows[i], source)) continue;
        const struct flow_source *at = flow_position(&r->flows[i], source);
        for (uint32_t n = 0; n < ranges->count; n++) {
            struct range *g = &ranges->items[n];
            int64_t stop = at ? flow_source_offset(at, g->partition, g->name, g->end) : g->end;
            if (stop > g->begin && stop < g->end) g->end = stop;
        }
    }
}

// Positions of a flow in a source; the source's start if it has read nothing of it yet.
static enum status current_positions(struct stream *s, const struct stream_flow *f, const struct stream_source *source, struct positions *out, struct error *e) {
    const struct flow_source *at = flow_position(f, source);
    struct positions view = at && at->positions.count ? flow_source_view(at) : source->start;
    out->items = arena_alloc_array(&s->epoch_arena, view.count + 1, sizeof *out->items);
    if (!out->items) return error_no_memory(e);
    if (view.count) memcpy(out->items, view.items, view.count * sizeof *out->items);
    out->count = view.count;
    return STATUS_OK;
}

static bool same_partition(const struct range *g, const struct position *p) {
    return p->name && g->name ? strcmp(p->name, g->name) == 0 : !p->name && !g->name && p->partition == g->partition;
}

// The first ranges of a flow name every partition, empty where there is nothing yet: where it began is written down once.
static enum status add_start(struct stream *s, const struct stream_source *source, struct ranges *ranges, struct error *e) {
    struct range *items = arena_alloc_array(&s->epoch_arena, ranges->count + source->start.count + 1, sizeof *items);
    uint32_t read = ranges->count;
    if (!items) return error_no_memory(e);
    if (read) memcpy(items, ranges->items, read * sizeof *items);
    ranges->items = items;
    for (uint32_t i = 0; i < source->start.count; i++) {
        const struct position *p = &source->start.items[i];
        bool found = false;
        for (uint32_t n = 0; n < read && !found; n++) found = same_partition(&items[n], p);
        if (found) continue;
        items[ranges->count++] = (struct range){.partition = p->partition, .name = p->name, .begin = p->offset, .end = p->offset, .stamp = p->stamp};
    }
    return STATUS_OK;
}

// Asks the sources of the active flows. *any: there is something to read.
static enum status ask_sources(struct runtime *r, struct intent *out, bool *any, int64_t *wake_at_us, struct error *e) {
    struct stream *s = r->stream;
    struct budget budget = {.row_count = s->budget_rows, .size_bytes = s->budget_bytes};
    out->inputs = arena_alloc_array(&s->epoch_arena, r->source_count + 1, sizeof *out->inputs);
    if (!out->inputs) return error_no_memory(e);
    for (uint32_t i = 0; i < r->source_count; i++) {
        struct stream_source *source = &r->sources[i];
        const struct stream_flow *reader = active_reader(r, source);
        struct positions from;
        struct ranges ranges = {0};
        if (!reader) continue;
        TRY(current_positions(s, reader, source, &from, e));
        TRY(source->source->class->latest(source->source, &s->epoch_arena, &from, &budget, &ranges, &source->exhausted, &source->backlog_rows,
                                          &source->wake_at_us, e));
        if (source->wake_at_us < *wake_at_us) *wake_at_us = source->wake_at_us;
        cap_ranges(r, source, &ranges);
        const struct flow_source *at = flow_position(reader, source);
        bool is_new = !at || !at->positions.count, reads_any = ranges.count > 0;
        if (is_new) TRY(add_start(s, source, &ranges, e));
        if (!reads_any && !(is_new && source->start.moves && source->start.count)) continue;  // "latest" is worth an epoch of its own
        *any = true;
        out->inputs[out->input_count++] = (struct intent_input){.source = (char *)(uintptr_t)source->table->name, .ranges = ranges};
    }
    return STATUS_OK;
}

static bool refresh_waits(const struct runtime *r) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].active && r->flows[i].target->empty_pending) return true;
    }
    return false;
}

static bool source_is_at_end(void *context, uint32_t source) {
    const struct runtime *r = context;
    return r->stream->config.available_now && source < r->source_count && r->sources[source].exhausted;
}

static enum status take_watermarks(struct runtime *r, int64_t clock_us, struct watermark_mark **marks, uint32_t *count, int64_t *next_us, struct error *e) {
    struct watermark_policy policy = {.clock_us = clock_us, .idle_us = r->idle_us, .global = r->global_watermark, .at_end = source_is_at_end, .context = r};
    return execution_watermarks(r->execution, &policy, &r->stream->epoch_arena, marks, count, next_us) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

// Event time alone: the flows of which an epoch without rows would close something run.
static enum status choose_closing(struct runtime *r, bool *any, int64_t *wake_at_us, struct error *e) {
    struct watermark_mark *marks;
    uint32_t count;
    int64_t next_us, clock_us = clock_now_us(r->stream->config.session->clock);
    TRY(take_watermarks(r, clock_us, &marks, &count, &next_us, e));
    for (uint32_t i = 0; i < r->flow_count && count; i++) {
        struct stream_flow *f = &r->flows[i];
        const struct flow_entry *entry = durable_flow(&r->stream->durable, f->flow->name);
        f->active = entry && entry->started && execution_could_close(r->execution, marks, count, f->flow->name);
        *any |= f->active;
    }
    if (next_us != INT64_MAX && clock_monotonic_us() + (next_us - clock_us) < *wake_at_us) *wake_at_us = clock_monotonic_us() + (next_us - clock_us);
    return STATUS_OK;
}

// Of the active flows.
static enum status set_watermarks(struct runtime *r, struct intent *i, struct error *e) {
    int64_t next_us;
    uint32_t count;
    TRY(take_watermarks(r, i->clock_us, &i->watermarks, &count, &next_us, e));
    i->watermark_count = 0;
    for (uint32_t k = 0; k < count; k++) {
        for (uint32_t f = 0; f < i->flow_count; f++) {
            if (strcmp(i->flows[f], i->watermarks[k].flow_name) != 0) continue;
            i->watermarks[i->watermark_count++] = i->watermarks[k];
            break;
        }
    }
    return STATUS_OK;
}

enum status epoch_choose(struct stream *s, struct intent *out, bool *any, bool *finished, int64_t *wake_at_us, struct error *e) {
    struct runtime *r = s->runtime;
    memset(out, 0, sizeof *out);
    arena_reset(&s->epoch_arena);
    *any = *finished = false;
    *wake_at_us = INT64_MAX;
    struct stream_flow *behind = find_behind(r);
    choose_active(r, behind ? behind : &r->flows[0]);
    TRY(ask_sources(r, out, any, wake_at_us, e));
    if (!*any) *any = refresh_waits(r);
    bool all = true, exhausted = true;
    for (uint32_t i = 0; i < r->flow_count; i++) all &= r->flows[i].active;
    for (uint32_t i = 0; i < r->source_count; i++) exhausted &= r->sources[i].exhausted;
    if (!*any && !all) {  // the group that is behind waits for data that others need not wait for
        for (uint32_t i = 0; i < r->flow_count && !*any; i++) {
            if (r->flows[i].active) continue;
            choose_active(r, &r->flows[i]);
            TRY(ask_sources(r, out, any, wake_at_us, e));
        }
    }
    if (!*any) TRY(choose_closing(r, any, wake_at_us, e));
    *finished = !*any && exhausted;
    return STATUS_OK;
}

enum status epoch_begin(struct stream *s, struct intent *i, struct error *e) {
    struct runtime *r = s->runtime;
    int64_t now_us = clock_now_us(s->config.session->clock);
    i->epoch = s->durable.last_epoch + 1;
    i->attempt = 1;
    i->clock_us = now_us > s->durable.last_clock_us ? now_us : s->durable.last_clock_us + 1;
    i->flows = arena_alloc_array(&s->epoch_arena, r->flow_count, sizeof *i->flows);
    if (!i->flows) return error_no_memory(e);
    for (uint32_t f = 0; f < r->flow_count; f++) {
        if (r->flows[f].active) i->flows[i->flow_count++] = r->flows[f].flow->name;
    }
    TRY(set_watermarks(r, i, e));
    if (encode_intent(&s->payload, i) != STATUS_OK) return error_no_memory(e);
    TRY(stream_record(s, RECORD_INTENT, e));
    s->relaxed = true;
    for (uint32_t f = 0; f < r->flow_count; f++) s->relaxed &= !r->flows[f].active || r->flows[f].target->store->forgetful;
    if (s->relaxed && clock_monotonic_us() - s->synced_at_us < GROUP_US) return STATUS_OK;
    s->synced_at_us = clock_monotonic_us();
    return journal_sync_begin(&s->journal, e);  // beside the scan; output_begin_store waits for it before anything leaves
}

enum status stream_make_durable(struct stream *s, struct error *e) {
    pthread_mutex_lock(&s->durable_mutex);
    enum status status = journal_sync_end(&s->journal, e);  // first: a sync that has failed says why
    if (status == STATUS_OK) status = journal_sync(&s->journal, e);
    pthread_mutex_unlock(&s->durable_mutex);
    return status;
}

static enum status make_inputs(struct stream *s, const struct intent *i, struct epoch_input *inputs, uint32_t *count, struct error *e) {
    struct runtime *r = s->runtime;
    *count = 0;
    for (uint32_t n = 0; n < i->input_count; n++) {
        struct stream_source *source = NULL;
        for (uint32_t k = 0; k < r->source_count; k++) {
            if (strcmp(r->sources[k].table->name, i->inputs[n].source) == 0) source = &r->sources[k];
        }
        if (!source) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the open epoch reads `%s`, which the pipeline does not have", i->inputs[n].source);
        struct epoch_input *input = &inputs[(*count)++];
        *input = (struct epoch_input){.table = source->table, .source = source->source};
        struct ranges ranges = {.items = arena_alloc_array(&s->epoch_arena, i->inputs[n].ranges.count + 1, sizeof *ranges.items)};
        if (!ranges.items) return error_no_memory(e);
        for (uint32_t k = 0; k < i->inputs[n].ranges.count; k++) {
            const struct range *g = &i->inputs[n].ranges.items[k];
            if (g->begin != g->end) ranges.items[ranges.count++] = *g;
        }
        if (ranges.count) TRY(source->source->class->splits(source->source, &s->epoch_arena, &ranges, &input->splits, e));
    }
    return STATUS_OK;
}

static void mark_active(struct runtime *r, const struct intent *i, uint64_t *mask) {
    for (uint32_t f = 0; f < r->flow_count; f++) {
        struct stream_flow *flow = &r->flows[f];
        flow->active = false;
        for (uint32_t n = 0; n < i->flow_count; n++) flow->active |= strcmp(i->flows[n], flow->flow->name) == 0;
        bitmap_put(mask, f, flow->active);
        atomic_store(&flow->rows_out, 0);
        atomic_store(&flow->rows_dead, 0);
    }
}

static enum status empty_pending_targets(struct runtime *r, struct error *e) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        struct stream_target *t = r->flows[i].target;
        if (!r->flows[i].active || !t->empty_pending || t->emptied || t->store->has_epoch) continue;
        TRY(output_begin_store(r, t->store, e));
        TRY(t->sink->class->empty(t->sink, e));
        t->emptied = true;
    }
    return STATUS_OK;
}

// Is a target emptied by the running epoch: now, or already in a store that has the epoch?
static bool empties(const struct runtime *r, const struct stream_target *t) {
    for (uint32_t i = 0; i < r->flow_count; i++) {
        if (r->flows[i].target == t && r->flows[i].active) return t->empty_pending;
    }
    return false;
}

static enum status commit_store(struct stream *s, struct stream_store *store, struct error *e) {
    if (!store->begun) return STATUS_OK;
    TRY(store->store->class->commit(store->store, &s->running.record, e));
    store->begun = store->uncertain = false;
    if (store->store->passed_over) return STATUS_OK;  // as one that was not begun
    store->has_epoch = true;
    store->found = true;
    store->record = s->running.record;
    return failpoint("epoch.between_commits", e);
}

// The catalog first, then the others, one after another: while one commits they differ by at most this epoch.
static enum status commit_stores(struct stream *s, struct error *e) {
    struct runtime *r = s->runtime;
    for (uint32_t k = 0; k < r->store_count; k++) {
        if (r->stores[k].begun) TRY(r->stores[k].store->class->flush(r->stores[k].store, e));
    }
    s->ledger_waits = s->relaxed && !r->catalog->begun && !r->catalog->has_epoch && clock_monotonic_us() - s->ledger_at_us < GROUP_US;
    if (!s->ledger_waits) {
        if (!r->catalog->has_epoch) TRY(output_begin_store(r, r->catalog, e));
        TRY(ledger_commit(r, e));
        TRY(commit_store(s, r->catalog, e));
        s->ledger_at_us = clock_monotonic_us();
    }
    for (uint32_t k = 0; k < r->store_count; k++) {
        if (&r->stores[k] != r->catalog) TRY(commit_store(s, &r->stores[k], e));
    }
    return STATUS_OK;
}

// Changes and commit join the log; they become durable with the next intent, or when the stream falls idle.
static enum status record_commit(struct stream *s, const struct intent *i, struct error *e) {
    struct runtime *r = s->runtime;
    const char **identities = arena_alloc_array(&s->epoch_arena, r->store_count, sizeof *identities);
    const char **refreshed = arena_alloc_array(&s->epoch_arena, r->flow_count, sizeof *refreshed);
    uint32_t count = 0, refreshed_count = 0;
    if (!identities || !refreshed) return error_no_memory(e);
    for (uint32_t f = 0; f < r->flow_count; f++) {  // of an emptied target all flows, or a second would empty it again
        if (empties(r, r->flows[f].target)) refreshed[refreshed_count++] = r->flows[f].flow->name;
    }
    for (uint32_t k = 0; k < r->store_count; k++) {
        if (r->stores[k].has_epoch && !r->stores[k].forgetful) identities[count++] = r->stores[k].identity;
    }
    buffer_clear(&s->payload);
    TRY(execution_log_changes(r->execution, &s->crew, &s->payload, e));
    TRY(stream_record(s, RECORD_CHANGES, e));
    if (encode_commit(&s->payload, i->epoch, identities, count, refreshed, refreshed_count) != STATUS_OK) return error_no_memory(e);
    return stream_record(s, RECORD_COMMIT, e);
}

static void keep_least(struct positions *at, const struct positions *other) {
    for (uint32_t i = 0; i < at->count; i++) {
        struct position *p = &at->items[i];
        int64_t offset = 0;  // a partition that the other has not met
        for (uint32_t n = 0; n < other->count; n++) {
            const struct position *q = &other->items[n];
            if (p->name && q->name ? strcmp(p->name, q->name) == 0 : !p->name && !q->name && p->partition == q->partition) offset = q->offset;
        }
        if (offset < p->offset) p->offset = offset;
    }
}

// What every flow that reads a source has read. durable: as the log says it on disk.
static enum status tell_sources(struct stream *s, bool durable, struct error *e) {
    struct runtime *r = s->runtime;
    for (uint32_t k = 0; k < r->source_count; k++) {
        struct source *source = r->sources[k].source;
        enum status (*tell)(struct source *, const struct positions *, struct error *) = durable ? source->class->durable : source->class->committed;
        struct positions at = {0};
        for (uint32_t f = 0; f < r->flow_count && tell; f++) {
            struct positions one;
            if (!reads(&r->flows[f], &r->sources[k])) continue;
            TRY(current_positions(s, &r->flows[f], &r->sources[k], &one, e));
            if (at.items) keep_least(&at, &one);
            else at = one;
        }
        if (tell && at.items) TRY(tell(source, &at, e));
    }
    return STATUS_OK;
}

static void finish_epoch(struct stream *s) {
    struct runtime *r = s->runtime;
    execution_commit(r->execution);
    s->durable_untold = true;
    if (!s->ledger_waits) ledger_advance(r);
    for (uint32_t k = 0; k < r->target_count; k++) {
        if (empties(r, &r->targets[k])) r->targets[k].empty_pending = r->targets[k].emptied = false;
    }
    for (uint32_t k = 0; k < r->store_count; k++) r->stores[k].has_epoch = false;
}

// The ledger alone: the catalog keeps the record of the last epoch that it took part in.
static enum status commit_ledger_late(struct stream *s, struct error *e) {
    struct runtime *r = s->runtime;
    struct stream_store *catalog = r->catalog;
    struct sink_record record = catalog->record;
    memcpy(record.pipeline, s->folder.pipeline, sizeof record.pipeline);
    if (!catalog->found) record.incarnation = s->durable.incarnation;
    TRY(output_begin_store(r, catalog, e));
    enum status status = ledger_commit(r, e);
    if (status == STATUS_OK) status = catalog->store->class->commit(catalog->store, &record, e);
    catalog->begun = false;
    if (status != STATUS_OK) {
        struct error ignored;
        if (catalog->store->class->abort(catalog->store, &ignored) != STATUS_OK) log_error(s->config.log, LOG_WARN, &ignored);
        return status;
    }
    ledger_advance(r);
    s->ledger_waits = false;
    s->ledger_at_us = clock_monotonic_us();
    return STATUS_OK;
}

enum status epoch_tell_durable(struct stream *s, struct error *e) {
    s->durable_untold = false;
    return tell_sources(s, true, e);
}

enum status epoch_settle(struct stream *s, bool now, int64_t *wake_at_us, struct error *e) {
    int64_t at_us = clock_monotonic_us();
    bool unsynced = s->journal.pending.size_bytes > 0;
    if (s->ledger_waits && (now || at_us - s->ledger_at_us >= GROUP_US)) TRY(commit_ledger_late(s, e));
    if (unsynced && (now || !s->relaxed || at_us - s->synced_at_us >= GROUP_US)) {
        s->synced_at_us = at_us;
        TRY(stream_make_durable(s, e));
        unsynced = false;
    }
    if (!unsynced && s->durable_untold) TRY(epoch_tell_durable(s, e));
    if (s->ledger_waits && s->ledger_at_us + GROUP_US < *wake_at_us) *wake_at_us = s->ledger_at_us + GROUP_US;
    if (unsynced && s->synced_at_us + GROUP_US < *wake_at_us) *wake_at_us = s->synced_at_us + GROUP_US;
    return STATUS_OK;
}

// As before the epoch: state by the undo list, stores by their rollback. Stores that committed keep it, and are passed over in the next run.
static void roll_back(struct stream *s) {
    struct runtime *r = s->runtime;
    struct error ignored = {0};
    if (execution_rollback(r->execution, &ignored) != STATUS_OK) log_error(s->config.log, LOG_ERROR, &ignored);
    for (uint32_t k = 0; k < r->store_count; k++) {
        if (!r->stores[k].begun) continue;
        r->stores[k].begun = false;
        r->stores[k].uncertain = r->stores[k].store->class->recover != NULL;
        if (r->stores[k].store->class->abort(r->stores[k].store, &ignored) != STATUS_OK) log_error(s->config.log, LOG_WARN, &ignored);
    }
    for (uint32_t k = 0; k < r->target_count; k++) {
        if (!r->targets[k].store->has_epoch) r->targets[k].emptied = false;
    }
}

enum status epoch_recover_stores(struct stream *s, const struct intent *i, struct error *e) {
    for (uint32_t k = 0; k < s->runtime->store_count; k++) {
        struct stream_store *store = &s->runtime->stores[k];
        if (!store->uncertain) continue;
        struct sink_record record = {0};
        bool found = false;
        TRY(store->store->class->recover(store->store, &found, &record, e));
        if (found && record.epoch > i->epoch) {
            return error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_OLDER", "`%s` has epoch %llu while %llu was being written: another leat runs this pipeline", store->identity,
                             (unsigned long long)record.epoch, (unsigned long long)i->epoch);
        }
        store->uncertain = false;
        store->has_epoch = found && record.epoch == i->epoch && record.digest == i->digest;
        if (!store->has_epoch) continue;
        store->found = true;
        store->record = record;
    }
    return STATUS_OK;
}

static void count_epoch(struct stream *s, const struct epoch_input *inputs, uint32_t input_count, uint64_t epoch) {
    struct runtime *r = s->runtime;
    for (uint32_t k = 0; k < input_count; k++) s->totals.rows_in += execution_input_rows(r->execution, inputs[k].table);
    for (uint32_t f = 0; f < r->flow_count; f++) {
        if (!r->flows[f].active) continue;
        s->totals.rows_out += atomic_load(&r->flows[f].rows_out);
        s->totals.rows_dead += atomic_load(&r->flows[f].rows_dead);
    }
    s->totals.epochs++;
    s->totals.last_epoch = epoch;
}

static const char *print_positions(struct stream *s, const struct stream_source *source, const struct intent *i, bool end) {
    struct positions at = {0};
    for (uint32_t n = 0; n < i->input_count; n++) {
        if (strcmp(i->inputs[n].source, source->table->name) != 0) continue;
        at.count = i->inputs[n].ranges.count;
        at.items = arena_alloc_array(&s->epoch_arena, at.count + 1, sizeof *at.items);
        for (uint32_t k = 0; at.items && k < at.count; k++) {
            const struct range *g = &i->inputs[n].ranges.items[k];
            at.items[k] = (struct position){.partition = g->partition, .name = g->name, .offset = end ? g->end : g->begin};
        }
    }
    struct buffer text;
    buffer_init(&text, s->config.memory);
    const char *out = "null";
    if (at.items && source->source->class->print(source->source, &at, &text) == STATUS_OK) out = arena_strndup(&s->epoch_arena, (char *)text.data, text.size_bytes);
    buffer_release(&text);
    return out ? out : "null";
}

static void report(struct stream *s, const struct intent *i, const struct epoch_input *inputs, uint32_t input_count, struct epoch_report *report_) {
    struct runtime *r = s->runtime;
    struct flow_report *flows = arena_alloc_array(&s->epoch_arena, r->flow_count, sizeof *flows);
    struct source_report *sources = arena_alloc_array(&s->epoch_arena, r->source_count + 1, sizeof *sources);
    if (!s->config.progress || !flows || !sources) return;
    for (uint32_t k = 0; k < input_count; k++) {
        const struct stream_source *source = NULL;
        for (uint32_t n = 0; n < r->source_count; n++) source = r->sources[n].table == inputs[k].table ? &r->sources[n] : source;
        sources[report_->source_count++] = (struct source_report){
            .table = source->table->name, .description = source->source->class->describe(source->source), .start_offsets = print_positions(s, source, i, false),
            .end_offsets = print_positions(s, source, i, true), .rows = execution_input_rows(r->execution, source->table), .backlog_rows = source->backlog_rows};
    }
    for (uint32_t f = 0; f < r->flow_count; f++) {
        if (!r->flows[f].active) {
            report_->catching_up = true;
            continue;
        }
        struct flow_report *line = &flows[report_->flow_count++];
        *line = (struct flow_report){.flow = r->flows[f].flow->name, .rows_out = atomic_load(&r->flows[f].rows_out), .rows_dead = atomic_load(&r->flows[f].rows_dead)};
        for (uint32_t k = 0; k < i->watermark_count; k++) {
            if (strcmp(i->watermarks[k].flow_name, line->flow) != 0) continue;
            int64_t close_us = i->watermarks[k].close_us == NO_WATERMARK ? 0 : i->watermarks[k].close_us;
            if (!line->has_watermark || close_us < line->watermark_us) line->watermark_us = close_us;
            line->has_watermark = true;
        }
        for (uint32_t k = 0; k < report_->source_count; k++) {
            for (uint32_t n = 0; n < r->flows[f].source_count; n++) {
                if (r->flows[f].sources[n]->table == inputs[k].table) line->rows_in += sources[k].rows;
            }
        }
    }
    report_->flows = flows;
    report_->sources = sources;
    report_->pipeline = s->folder.pipeline;
    report_->epoch = i->epoch;
    report_->clock_us = i->clock_us;
    report_->state_bytes = memory_used(&s->state_memory);
    s->config.progress(s->config.progress_context, report_);
}

// About half a second of work the next time.
static void adapt_budget(struct stream *s, uint64_t rows, int64_t spent_us) {
    if ((int64_t)rows < s->budget_rows / 2 || spent_us <= 0) return;
    double wanted = (double)rows * 500000.0 / (double)spent_us;
    double most = (double)s->budget_rows * 4;
    if (wanted > most) wanted = most;
    s->budget_rows = wanted < 1024 ? 1024 : (int64_t)wanted;
    if (s->budget_rows > s->max_rows) s->budget_rows = s->max_rows;
}

// Only state has a limit of its own: where an allocation fails with much of it used, it is what was reached.
enum status stream_state_full(const struct stream *s, enum status status, size_t used_bytes, struct error *e) {
    size_t limit = s->state_memory.limit_bytes;
    if (status != STATUS_NO_MEMORY || !limit || used_bytes < limit / 8) return status;
    error_set(e, STATUS_LIMIT, "LEAT_STATE_FULL", "the state does not fit into leat.memory: %.1f MB are used of %.1f MB, and more is needed", (double)used_bytes / 1e6,
              (double)limit / 1e6);
    error_set_hint(e, "nothing is lost: the epoch is taken back and the next run does it again. Raise the budget, SET leat.memory = '%zuMB', or let less be kept: "
                      "a WATERMARK, fewer groups",
                   limit / 500000 + 1);
    return STATUS_LIMIT;
}

enum status epoch_run(struct stream *s, const struct intent *i, struct error *e) {
    struct runtime *r = s->runtime;
    int64_t started_us = clock_monotonic_us();
    struct epoch_report times = {0};
    uint32_t input_count = 0;
    uint64_t *mask = arena_alloc_array(&s->epoch_arena, bitmap_words(r->flow_count), 8);
    struct epoch_input *inputs = arena_alloc_array(&s->epoch_arena, i->input_count + 1, sizeof *inputs);
    if (!mask || !inputs) return error_no_memory(e);
    s->running = (struct sink_epoch){.record = {.incarnation = s->durable.incarnation, .epoch = i->epoch, .digest = i->digest}, .clock_us = i->clock_us, .attempt = i->attempt};
    memcpy(s->running.record.pipeline, s->folder.pipeline, sizeof s->running.record.pipeline);
    mark_active(r, i, mask);
    enum status status = make_inputs(s, i, inputs, &input_count, e);
    struct epoch_run run = {.epoch = i->epoch, .now_us = i->clock_us, .inputs = inputs, .input_count = input_count, .active_outputs = mask,
                            .watermarks = i->watermarks, .watermark_count = i->watermark_count};
    if (status == STATUS_OK) status = empty_pending_targets(r, e);
    if (status == STATUS_OK) status = execution_run(r->execution, &s->crew, &run, e);
    struct error sync_error;
    enum status synced = journal_sync_end(&s->journal, &sync_error);
    if (status == STATUS_OK && synced != STATUS_OK) {
        status = synced;
        *e = sync_error;
    }
    if (status == STATUS_OK && !s->journal.pending.size_bytes) status = epoch_tell_durable(s, e);  // the commits before this epoch are on disk
    times.run_us = clock_monotonic_us() - started_us;
    if (status == STATUS_OK) status = failpoint("epoch.run", e);
    if (status == STATUS_OK) status = commit_stores(s, e);
    if (status == STATUS_OK) status = record_commit(s, i, e);
    if (status != STATUS_OK) {
        size_t used_bytes = atomic_load(&s->state_memory.peak_bytes);
        roll_back(s);
        return stream_state_full(s, status, used_bytes, e);
    }
    times.total_us = clock_monotonic_us() - started_us;
    times.commit_us = times.total_us - times.run_us;
    uint64_t before = s->totals.rows_in;
    count_epoch(s, inputs, input_count, i->epoch);
    adapt_budget(s, s->totals.rows_in - before, times.total_us);
    report(s, i, inputs, input_count, &times);
    finish_epoch(s);
    return tell_sources(s, false, e);
}
