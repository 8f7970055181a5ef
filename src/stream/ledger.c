// SPDX-License-Identifier: Apache-2.0
// ledger.c: every row into an operator has one fate, and the ledger shows it: per epoch into leat_ledger (as differences, in the epoch's
// transaction), and as text when a run ends.
#include "stream/runtime.h"

static struct ledger_line line_difference(const struct ledger_line *now, const struct ledger_line *before) {
    struct ledger_line d = *now;
    if (!before) return d;
    d.input -= before->input;
    d.passed -= before->passed;
    d.filtered -= before->filtered;
    d.absorbed -= before->absorbed;
    d.merged -= before->merged;
    d.late -= before->late;
    d.dead -= before->dead;
    d.null_time -= before->null_time;
    d.made -= before->made;
    return d;
}

static enum status read_ledger(struct runtime *r, struct ledger_line **lines, uint32_t *count, struct error *e) {
    struct arena *a = &r->ledger_arena[1 - r->ledger_turn];
    arena_reset(a);
    return execution_ledger(r->execution, a, lines, count) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

enum status ledger_commit(struct runtime *r, struct error *e) {
    struct ledger_line *lines;
    uint32_t count;
    TRY(read_ledger(r, &lines, &count, e));
    if (r->catalog->has_epoch) return STATUS_OK;
    for (uint32_t i = 0; i < count; i++) {
        struct ledger_line d = line_difference(&lines[i], r->ledger && i < r->ledger_count ? &r->ledger[i] : NULL);
        if (!(d.input | d.made)) continue;
        struct catalog_ledger_row row = {.flow = d.running_flow, .operator_name = d.operator_name, .node = d.node->id, .input = d.input, .passed = d.passed,
                                         .filtered = d.filtered, .absorbed = d.absorbed, .merged = d.merged, .late = d.late, .dead = d.dead,
                                         .null_time = d.null_time, .made = d.made};
        TRY(catalog_add_ledger(r->catalog->store, &row, e));
    }
    return STATUS_OK;
}

void ledger_advance(struct runtime *r) {
    struct error ignored;
    struct ledger_line *lines;
    uint32_t count;
    if (read_ledger(r, &lines, &count, &ignored) != STATUS_OK) return;
    r->ledger = lines;
    r->ledger_count = count;
    r->ledger_turn = 1 - r->ledger_turn;
}

static uint64_t fates(const struct ledger_line *l) {
    return l->passed + l->filtered + l->absorbed + l->merged + l->late + l->dead + l->null_time;
}

static enum status print_fate(struct buffer *out, const char *name, uint64_t count) {
    return count ? buffer_printf(out, "  %s %llu", name, (unsigned long long)count) : STATUS_OK;
}

static enum status print_ledger_line(const struct ledger_line *l, int flow_width, int operator_width, struct buffer *out) {
    TRY(buffer_printf(out, "  %-*s  %-*s  in %llu ", flow_width, l->flow_name, operator_width, l->operator_name, (unsigned long long)l->input));
    TRY(print_fate(out, "passed", l->passed));
    TRY(print_fate(out, "filtered", l->filtered));
    TRY(print_fate(out, "absorbed", l->absorbed));
    TRY(print_fate(out, "merged", l->merged));
    TRY(print_fate(out, "late", l->late));
    TRY(print_fate(out, "dead", l->dead));
    TRY(print_fate(out, "null-time", l->null_time));
    TRY(print_fate(out, "made", l->made));
    if (fates(l) != l->input) TRY(buffer_printf(out, "  UNBALANCED by %lld", (long long)(l->input - fates(l))));
    return buffer_append_byte(out, '\n');
}

enum status stream_print_ledger(const struct stream *s, struct buffer *out) {
    const struct runtime *r = s->runtime;
    int flow_width = 0, operator_width = 0;
    for (uint32_t i = 0; r && i < r->ledger_count; i++) {
        int flow = (int)strlen(r->ledger[i].flow_name), operator_ = (int)strlen(r->ledger[i].operator_name);
        if (flow > flow_width) flow_width = flow;
        if (operator_ > operator_width) operator_width = operator_;
    }
    TRY(buffer_append_string(out, "ledger of this run (every row in has one fate; `made` are rows an operator adds)\n"));
    for (uint32_t i = 0; r && i < r->ledger_count; i++) {
        if (r->ledger[i].input | r->ledger[i].made) TRY(print_ledger_line(&r->ledger[i], flow_width, operator_width, out));
    }
    return buffer_printf(out, "  total: read %llu, written %llu, dead %llu, epochs %llu\n", (unsigned long long)s->totals.rows_in,
                         (unsigned long long)s->totals.rows_out, (unsigned long long)s->totals.rows_dead, (unsigned long long)s->totals.epochs);
}
