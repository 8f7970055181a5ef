// SPDX-License-Identifier: Apache-2.0
// stream.c: a pipeline from open to close, and the loop between. See stream.h.
#include "base/failpoint.h"
#include "base/random.h"
#include "stream/runtime.h"
#include "stream/settings.h"
#include "stream/verdict.h"
#include <stdio.h>
#include <strings.h>
#include <unistd.h>

enum { FIRST_BUDGET_ROWS = 65536, MAX_ATTEMPTS = 3, SNAPSHOT_HOURS = 24 };
static const int64_t snapshot_us = INT64_C(3600000000) * SNAPSHOT_HOURS;
static const uint64_t rotate_bytes = UINT64_C(16) << 20;
static const uint64_t short_log_bytes = UINT64_C(1) << 20;  // read in a moment, whatever the state

static enum status take_snapshot(struct stream *s, struct error *e) {
    TRY(journal_sync(&s->journal, e));
    if (encode_snapshot_begin(&s->payload, &s->durable) != STATUS_OK) return error_no_memory(e);
    size_t begin = s->payload.size_bytes;
    struct crew *crew = s->crew_ready ? &s->crew : NULL;
    if (s->runtime && s->runtime->execution) TRY(execution_snapshot(s->runtime->execution, crew, &s->payload, e));
    encode_snapshot_end(&s->payload, begin);
    TRY(journal_rotate(&s->journal, s->payload.data, s->payload.size_bytes, e));
    s->snapshot_at_us = clock_monotonic_us();
    return STATUS_OK;
}

static enum status open_log(struct stream *s, struct error *e) {
    bool is_new, used_previous;
    durable_init(&s->durable, s->config.memory);
    TRY(journal_open(&s->journal, s->config.memory, s->config.data_folder, s->folder.pipeline, durable_replay, &s->durable, &is_new, &used_previous, e));
    if (used_previous) log_write(s->config.log, LOG_WARN, "the newest snapshot was damaged; the one before it and its journal were used");
    s->snapshot_wanted = used_previous;
    s->snapshot_at_us = clock_monotonic_us() - journal_snapshot_age_us(&s->journal);
    if (!is_new) {
        s->config.session->seed = s->durable.seed;
        return STATUS_OK;
    }
    random_system(&s->durable.seed, sizeof s->durable.seed);
    const char *given = NULL;
    for (uint32_t i = 0; i < s->config.setting_count; i++) {
        if (strcasecmp(s->config.settings[i].key, "leat.seed") == 0) given = s->config.settings[i].value;
    }
    if (given) s->durable.seed = strtoull(given, NULL, 10);
    s->config.session->seed = s->durable.seed;
    s->log_is_new = true;
    return take_snapshot(s, e);
}

static enum status open_crew(struct stream *s, struct error *e) {
    uint32_t workers = s->config.worker_count;
    if (!workers) {
        int64_t given = 0;
        TRY(settings_size(&s->runtime->pipeline->settings, &s->config, "leat.threads", 0, &given, e));
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        workers = given > 0 && given <= 64 ? (uint32_t)given : cores > 4 ? 4 : cores < 1 ? 1 : (uint32_t)cores;
    }
    TRY(crew_init(&s->crew, s->config.memory, workers, e));
    s->crew_ready = true;
    return STATUS_OK;
}

static enum status open_state_memory(struct stream *s, struct error *e) {
    int64_t limit = 0;
    TRY(settings_size(&s->runtime->pipeline->settings, &s->config, "leat.memory", 0, &limit, e));
    long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    if (!limit) limit = pages > 0 && page_bytes > 0 ? (int64_t)pages * page_bytes / 2 : INT64_C(1) << 30;
    s->state_memory.limit_bytes = (size_t)limit;
    return STATUS_OK;
}

// An epoch that a crash left open is finished, with the text it began with.
static enum status run_open_intent(struct stream *s, struct error *e) {
    struct intent i;
    arena_reset(&s->epoch_arena);
    TRY(decode_intent(&s->epoch_arena, s->durable.intent_bytes.data, s->durable.intent_bytes.size_bytes, &i, e));
    if (i.attempt > 1) log_write(s->config.log, s->config.waiting ? LOG_DEBUG : LOG_INFO, "epoch %llu: attempt %u", (unsigned long long)i.epoch, i.attempt);
    TRY(epoch_recover_stores(s, &i, e));
    return epoch_run(s, &i, e);
}

static enum status retry_intent(struct stream *s, struct error *e) {
    struct intent i;
    arena_reset(&s->epoch_arena);
    TRY(decode_intent(&s->epoch_arena, s->durable.intent_bytes.data, s->durable.intent_bytes.size_bytes, &i, e));
    i.attempt++;
    if (encode_intent(&s->payload, &i) != STATUS_OK) return error_no_memory(e);
    TRY(stream_record(s, RECORD_INTENT, e));
    return journal_sync(&s->journal, e);
}

static bool stopping(const struct stream *s) { return s->config.stop && atomic_load(s->config.stop); }

static bool gave_up(const struct stream *s, int64_t first_us, struct error *e) {
    if (clock_monotonic_us() - first_us <= s->retry_timeout_us) return false;
    error_set_hint(e, "given up: leat.retry.timeout is over. Nothing is lost, the next run goes on from here; without the setting leat waits for as long as it takes");
    return true;
}

// Waits, longer with every failure and never for quite the same time. Only the first one is told in full.
static void pause_after_failure(const struct stream *s, uint32_t failures, const struct error *e) {
    int64_t pause_us = INT64_C(100000) << (failures < 6 ? failures : 6);
    uint64_t key[2] = {s->durable.seed, (uint64_t)clock_monotonic_us()};
    pause_us += (int64_t)(random_keyed(key, 2) % (uint64_t)(pause_us / 4));
    if (failures == 0 && !s->config.waiting) log_error(s->config.log, LOG_WARN, e);
    if (!s->config.waiting) log_write(s->config.log, LOG_WARN, "trying again in %.1f s", (double)pause_us / 1e6);
    int64_t until = clock_monotonic_us() + pause_us;
    while (!stopping(s) && clock_monotonic_us() < until) {
        if (s->config.waiting) s->config.waiting(s->config.progress_context, e, failures + 1, until);
        usleep(20000);
    }
}

static void go_on(struct stream *s) {
    if (s->config.waiting) s->config.waiting(s->config.progress_context, NULL, 0, 0);
    else log_write(s->config.log, LOG_INFO, "going on");
}

// A runtime for a text, with the session as it was before any text's SET.
static enum status renew_runtime(struct stream *s, const char *text, struct diagnostics *d, struct error *e) {
    uint64_t seed = s->config.session->seed;
    runtime_free(s->runtime);
    s->runtime = NULL;
    *s->config.session = s->session_before;
    s->config.session->seed = seed;
    return runtime_new(s, text, d, &s->runtime, e);
}

static enum status run_old_text(struct stream *s, const char *text, const struct source_options_list *options, struct diagnostics *d, struct error *e) {
    bool stop_on_error = s->runtime->stop_on_error;
    enum status status = renew_runtime(s, text, d, e);
    if (status == STATUS_INVALID_QUERY) {
        error_set(e, STATUS_CONFLICT, "LEAT_QUERY_CHANGED", "epoch %llu was begun with another text, which this leat does not accept any more",
                  (unsigned long long)s->durable.last_epoch);
        error_set_hint(e, "finish it with the leat that began it, or build everything anew with --full-refresh-all");
        return STATUS_CONFLICT;
    }
    TRY(status);
    s->runtime->stop_on_error = stop_on_error;  // the new text's, or a row that stopped the pipeline would stop it for ever
    TRY(runtime_take_source_options(s->runtime, options, e));
    TRY(runtime_open_sources(s->runtime, e));
    TRY(runtime_open_stores(s->runtime, e));
    TRY(stream_state_full(s, runtime_open_execution(s->runtime, e), atomic_load(&s->state_memory.peak_bytes), e));
    TRY(run_open_intent(s, e));
    TRY(take_snapshot(s, e));
    buffer_clear(&s->durable.execution_snapshot);  // its state is wanted by the next runtime
    return execution_snapshot(s->runtime->execution, &s->crew, &s->durable.execution_snapshot, e);
}

static enum status finish_with_old_text(struct stream *s, struct error *e) {
    struct diagnostics ignored;
    struct arena a;
    struct source_text text = {.name = "<the pipeline as it was>", .text = s->durable.text, .size_bytes = strlen(s->durable.text)};
    log_write(s->config.log, LOG_INFO, "epoch %llu is open: it is finished first, as it was begun", (unsigned long long)s->durable.last_epoch);
    arena_init(&a, s->config.memory);
    diagnostics_init(&ignored, s->config.memory, &text);
    char *old_text = arena_strdup(&a, s->durable.text);
    struct source_options_list options;
    enum status status = old_text ? runtime_copy_source_options(s->runtime, &a, &options, e) : error_no_memory(e);
    if (status == STATUS_OK) status = run_old_text(s, old_text, &options, &ignored, e);
    int64_t first_us = clock_monotonic_us();
    for (uint32_t failures = 0; status == STATUS_UNREACHABLE && !stopping(s) && !gave_up(s, first_us, e); failures++) {
        pause_after_failure(s, failures, e);
        status = run_old_text(s, old_text, &options, &ignored, e);
        if (status == STATUS_OK) go_on(s);
    }
    if (status == STATUS_OK) status = renew_runtime(s, s->config.text, &ignored, e);
    runtime_free(status == STATUS_OK ? NULL : s->runtime);
    if (status != STATUS_OK) s->runtime = NULL;
    diagnostics_release(&ignored);
    arena_release(&a);
    return status;
}

static bool is_named(const struct stream *s, const struct flow *f) {
    for (uint32_t i = 0; i < s->config.full_refresh_count; i++) {
        if (strcasecmp(s->config.full_refresh[i], f->name) == 0 || strcasecmp(s->config.full_refresh[i], f->target->name) == 0) return true;
    }
    return false;
}

// A refresh empties the target: every flow that feeds it begins anew, or the others' rows would be gone.
static void mark_refreshed(struct stream *s) {
    struct runtime *r = s->runtime;
    for (uint32_t i = 0; i < r->flow_count; i++) {
        r->flows[i].refresh = s->config.full_refresh_all;
        for (uint32_t k = 0; k < r->flow_count; k++) r->flows[i].refresh |= r->flows[k].target == r->flows[i].target && is_named(s, r->flows[k].flow);
    }
}

static enum status check_refresh_names(struct stream *s, struct error *e) {
    for (uint32_t i = 0; i < s->config.full_refresh_count; i++) {
        bool known = false;
        for (uint32_t f = 0; f < s->runtime->flow_count; f++) {
            const struct flow *flow = s->runtime->flows[f].flow;
            known |= strcasecmp(s->config.full_refresh[i], flow->name) == 0 || strcasecmp(s->config.full_refresh[i], flow->target->name) == 0;
        }
        if (known) continue;
        error_set(e, STATUS_INVALID_ARGUMENT, "TABLE_OR_VIEW_NOT_FOUND", "--full-refresh %s: the file has no such table", s->config.full_refresh[i]);
        return STATUS_INVALID_ARGUMENT;
    }
    return STATUS_OK;
}

static bool begins_anew(void *context, const struct flow *f) {
    const struct stream *s = context;
    for (uint32_t i = 0; i < s->runtime->flow_count; i++) {
        if (s->runtime->flows[i].flow == f) return s->runtime->flows[i].refresh;
    }
    return false;
}

static void tell_verdict(const struct stream *s, const struct flow_verdict *v) {
    struct log *log = s->config.log;
    if (v->verdict == VERDICT_NEW && s->durable.text && !durable_flow(&s->durable, v->flow_name)) log_write(log, LOG_INFO, "%s is new: it catches up from its start", v->flow_name);
    if (v->verdict == VERDICT_REMOVED) log_write(log, LOG_INFO, "%s is no longer in the file: its state is dropped, its table stays", v->flow_name);
    if (v->verdict != VERDICT_TAKEN_OVER) return;
    log_write(log, LOG_INFO, "the query of %s has changed: rows from now on are computed by the new one, those already written stay as they are", v->flow_name);
    for (uint32_t i = 0; i < v->reason_count; i++) log_write(log, LOG_INFO, "%s: %s", v->flow_name, v->reasons[i]);
}

// The new text against the log: what `leat check --against` says beforehand.
static enum status compare_flows(struct stream *s, struct error *e) {
    const struct stream_config *c = &s->config;
    struct runtime *r = s->runtime;
    struct flow_verdict *verdicts;
    uint32_t count;
    struct verdict_request request = {.arena = &r->arena, .memory = c->memory, .session = c->session, .session_before = &s->session_before, .connectors = c->connectors,
                                      .base_folder = c->base_folder, .data_folder = c->data_folder, .log = c->log, .settings = c->settings, .setting_count = c->setting_count,
                                      .durable = &s->durable, .pipeline = r->pipeline, .all_anew = c->full_refresh_all, .refreshed = begins_anew, .context = s};
    TRY(verdict_flows(&request, &verdicts, &count, e));
    for (uint32_t i = 0; i < count; i++) {
        if (verdicts[i].verdict == VERDICT_REFUSED) return verdict_refusal(&verdicts[i], e);
    }
    for (uint32_t i = 0; i < count; i++) tell_verdict(s, &verdicts[i]);
    return STATUS_OK;
}

static enum status record_text(struct stream *s, struct error *e) {
    struct runtime *r = s->runtime;
    struct text_flow *flows = arena_alloc_array(&r->arena, r->flow_count, sizeof *flows);
    if (!flows) return error_no_memory(e);
    for (uint32_t i = 0; i < r->flow_count; i++) flows[i] = (struct text_flow){.name = r->flows[i].flow->name, .hash = r->flows[i].flow->hash};
    if (encode_text(&s->payload, s->config.text, flows, r->flow_count) != STATUS_OK) return error_no_memory(e);
    return stream_record(s, RECORD_TEXT, e);
}

static enum status record_start(struct stream *s, struct error *e) {
    if (!s->durable.text || strcmp(s->durable.text, s->config.text) != 0) TRY(record_text(s, e));
    for (uint32_t i = 0; i < s->runtime->flow_count; i++) {
        if (!s->runtime->flows[i].refresh) continue;
        if (encode_refresh(&s->payload, s->runtime->flows[i].flow->name) != STATUS_OK) return error_no_memory(e);
        TRY(stream_record(s, RECORD_REFRESH, e));
    }
    if (encode_start(&s->payload, s->durable.incarnation + 1) != STATUS_OK) return error_no_memory(e);
    TRY(stream_record(s, RECORD_START, e));
    return journal_sync(&s->journal, e);
}

// New flows, and those that begin anew: their state of earlier is not to come back.
static bool any_not_started(const struct stream *s) {
    bool any = false;
    for (size_t i = 0; i < s->durable.flows.count; i++) any |= !(*(struct flow_entry **)vector_at(&s->durable.flows, i))->started;
    return any;
}

// When the pipeline starts, and once a day. What cannot be dropped now is dropped the next time.
static void prune_dead_rows(struct stream *s) {
    const struct option_set *set = &s->runtime->pipeline->settings;
    int64_t keep_us, keep_bytes, now_us = clock_now_us(s->config.session->clock);
    uint64_t dropped = 0;
    struct error e = {0};
    enum status status = settings_duration(set, &s->config, "leat.dead.retention", INT64_C(30) * 86400 * 1000000, &keep_us, &e);
    if (status == STATUS_OK) status = settings_size(set, &s->config, "leat.dead.maxBytes", INT64_C(1) << 30, &keep_bytes, &e);
    if (status == STATUS_OK) status = catalog_prune(s->runtime->catalog->store, now_us - keep_us, keep_bytes, &dropped, &e);
    if (status != STATUS_OK) log_error(s->config.log, LOG_WARN, &e);
    if (dropped) log_write(s->config.log, LOG_INFO, "%llu old rows of leat_dead and leat_late were dropped (leat.dead.retention, leat.dead.maxBytes)", (unsigned long long)dropped);
}

static enum status open_outside(struct stream *s, struct error *e) {
    mark_refreshed(s);
    TRY(runtime_open_sources(s->runtime, e));
    return runtime_open_stores(s->runtime, e);
}

// Opens sources and stores; waits for those that cannot be reached, as a running pipeline does.
static enum status open_outside_patiently(struct stream *s, struct error *e) {
    int64_t first_us = clock_monotonic_us();
    for (uint32_t failures = 0;; failures++) {
        enum status status = open_outside(s, e);
        if (status == STATUS_OK && failures) go_on(s);
        if (status == STATUS_UNREACHABLE && stopping(s)) return error_set(e, STATUS_INTERRUPTED, NULL, "stopped before everything could be reached");
        if (status != STATUS_UNREACHABLE || gave_up(s, first_us, e)) return status;
        pause_after_failure(s, failures, e);
        struct diagnostics again;  // what it warned of was said
        diagnostics_init(&again, s->config.memory, NULL);
        status = renew_runtime(s, s->config.text, &again, e);
        diagnostics_release(&again);
        TRY(status);
    }
}

static enum status open_stream(struct stream *s, struct diagnostics *d, struct error *e) {
    s->session_before = *s->config.session;
    TRY(runtime_new(s, s->config.text, d, &s->runtime, e));  // a text that does not check touches nothing
    TRY(check_refresh_names(s, e));
    TRY(folder_open(&s->folder, s->config.data_folder, e));
    s->journal_ready = true;
    TRY(open_log(s, e));
    TRY(open_crew(s, e));
    TRY(open_state_memory(s, e));  // the new text's: raising leat.memory must help an epoch that is open
    s->budget_rows = FIRST_BUDGET_ROWS < s->max_rows ? FIRST_BUDGET_ROWS : s->max_rows;
    if (s->config.full_refresh_all) s->durable.has_intent = false;
    bool changed = s->durable.text && strcmp(s->durable.text, s->config.text) != 0;
    if (s->durable.has_intent && s->durable.text && (changed || s->config.full_refresh_count)) TRY(finish_with_old_text(s, e));
    mark_refreshed(s);
    TRY(compare_flows(s, e));
    TRY(open_outside_patiently(s, e));
    TRY(record_start(s, e));  // what was refused until here has changed nothing in the log
    TRY(stream_state_full(s, runtime_open_execution(s->runtime, e), atomic_load(&s->state_memory.peak_bytes), e));
    // The log's old snapshot holds state that is dropped now, and changes must not be applied to it; with --full-refresh-all also the stores'
    // epochs as found.
    bool dropped = any_not_started(s) && (!s->log_is_new || s->config.full_refresh_all);
    if (!s->durable.has_intent && (changed || s->snapshot_wanted || dropped)) TRY(take_snapshot(s, e));
    s->ledger_at_us = clock_monotonic_us();
    log_write(s->config.log, LOG_DEBUG, "a row that is deleted is gone from log and snapshots after %d hours at most, while the pipeline runs",
              2 * SNAPSHOT_HOURS);
    prune_dead_rows(s);
    return epoch_tell_durable(s, e);
}

enum status stream_open(const struct stream_config *c, struct diagnostics *d, struct stream **out, struct error *e) {
    struct stream *s = memory_alloc_zeroed(c->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->config = *c;
    s->folder.lock_fd = -1;
    s->journal.fd = -1;
    pthread_mutex_init(&s->durable_mutex, NULL);
    memory_init(&s->state_memory, "state", c->memory, 0);
    buffer_init(&s->payload, c->memory);
    arena_init(&s->epoch_arena, c->memory);
    enum status status = open_stream(s, d, e);
    if (status != STATUS_OK) {
        struct error ignored;
        (void)!stream_close(s, false, &ignored);
        return status;
    }
    *out = s;
    return STATUS_OK;
}

enum status stream_step(struct stream *s, enum step_outcome *outcome, int64_t *wake_at_us, struct error *e) {
    struct intent i;
    bool any, finished;
    *wake_at_us = INT64_MAX;
    *outcome = STEP_DID;
    if (s->durable.has_intent) return run_open_intent(s, e);
    TRY(epoch_choose(s, &i, &any, &finished, wake_at_us, e));
    bool daily = clock_monotonic_us() - s->snapshot_at_us >= snapshot_us;
    if (!any) {
        *outcome = finished ? STEP_FINISHED : STEP_IDLE;
        if (daily) TRY(take_snapshot(s, e));
        if (daily) prune_dead_rows(s);
        if (*wake_at_us > s->snapshot_at_us + snapshot_us) *wake_at_us = s->snapshot_at_us + snapshot_us;
        return epoch_settle(s, finished, wake_at_us, e);  // nothing will carry the last commit along
    }
    TRY(epoch_begin(s, &i, e));
    TRY(epoch_run(s, &i, e));
    bool large = s->journal.size_bytes > rotate_bytes && s->journal.size_bytes > 2 * s->journal.snapshot_bytes;
    if (daily) prune_dead_rows(s);
    return large || daily ? take_snapshot(s, e) : STATUS_OK;
}

static void wait_until(struct stream *s, int64_t at_us) {
    while (!stopping(s)) {
        int64_t left = at_us == INT64_MAX ? -1 : at_us - clock_monotonic_us();
        if (at_us != INT64_MAX && left <= 0) return;
        if (!s->config.wake) {
            usleep(left < 0 || left > 100000 ? 100000 : (useconds_t)left);
            if (left < 0) return;
        } else if (notify_wait(s->config.wake, left)) return;
    }
}

// A failed epoch: is it to be tried again? Waits, with growing pauses, for what cannot be reached.
static enum status after_failure(struct stream *s, enum status status, uint32_t *failures, int64_t first_us, struct error *e) {
    bool again = status == STATUS_UNREACHABLE || (status == STATUS_IO && s->durable.has_intent && *failures + 1 < MAX_ATTEMPTS && !s->journal.broken);
    if (!again || stopping(s)) return status;
    if (status == STATUS_UNREACHABLE && gave_up(s, first_us, e)) return status;
    pause_after_failure(s, (*failures)++, e);
    return s->durable.has_intent ? retry_intent(s, e) : STATUS_OK;
}

enum status stream_run(struct stream *s, struct error *e) {
    uint32_t failures = 0;
    int64_t first_failure_us = 0, next_us = clock_monotonic_us();
    while (!stopping(s)) {
        enum step_outcome outcome;
        int64_t wake_at_us;
        if (s->trigger_us > 0 && !s->config.available_now) {
            wait_until(s, next_us);
            if (stopping(s)) break;
            next_us += s->trigger_us;
            if (next_us < clock_monotonic_us()) next_us = clock_monotonic_us();
        }
        enum status status = stream_step(s, &outcome, &wake_at_us, e);
        if (status != STATUS_OK) {
            if (status == STATUS_UNREACHABLE && stopping(s)) {
                if (s->durable.has_intent) {
                    log_write(s->config.log, LOG_INFO, "epoch %llu stays open: the next run finishes it", (unsigned long long)s->durable.last_epoch);
                }
                break;
            }
            if (!failures) first_failure_us = clock_monotonic_us();
            TRY(after_failure(s, status, &failures, first_failure_us, e));
            continue;
        }
        if (failures) go_on(s);
        failures = 0;
        if (outcome == STEP_FINISHED) break;
        if (outcome == STEP_IDLE) wait_until(s, wake_at_us);
    }
    int64_t never = INT64_MAX;
    return s->durable.has_intent ? STATUS_OK : epoch_settle(s, true, &never, e);
}

// Is the next start quicker with a snapshot than with the log as it is? A log no longer than the state it leads to is not: both are read once.
static bool log_is_long(const struct stream *s) {
    uint64_t state_bytes = execution_state_bytes(s->runtime->execution, NULL, NULL);
    return s->journal.size_bytes > short_log_bytes && s->journal.size_bytes > state_bytes;
}

enum status stream_close(struct stream *s, bool clean, struct error *e) {
    if (!s) return STATUS_OK;
    enum status status = STATUS_OK;
    if (s->journal_ready && !s->journal.broken) {
        status = journal_sync(&s->journal, e);
        bool snapshot = clean && !s->durable.has_intent && s->runtime && s->runtime->execution;
        if (status == STATUS_OK && snapshot && log_is_long(s)) status = take_snapshot(s, e);
    }
    runtime_free(s->runtime);
    if (s->journal_ready) journal_close(&s->journal);
    durable_release(&s->durable);
    if (s->crew_ready) crew_release(&s->crew);
    folder_close(&s->folder);
    buffer_release(&s->payload);
    arena_release(&s->epoch_arena);
    pthread_mutex_destroy(&s->durable_mutex);
    memory_free(s->config.memory, s, sizeof *s);
    return status;
}

const struct pipeline *stream_pipeline(const struct stream *s) { return s->runtime->pipeline; }
struct stream_totals stream_totals_of(const struct stream *s) { return s->totals; }
