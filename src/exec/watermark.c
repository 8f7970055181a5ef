// SPDX-License-Identifier: Apache-2.0
// watermark.c: PLAN_WATERMARK: rows go on as they are; how far event time has come is kept for each partition of each source:
//
//     state   close · [source, partition, name, maximum event time, clock of the last epoch that brought a row] …
//
// The watermark is the minimum, over the partitions that count, of maximum − delay, cut to milliseconds as Spark cuts it, and never goes back.
// Not counted: a partition that has never had a row, one that is idle, one at its end; if that leaves none, the farthest of them. A row that is too
// far ahead of the clock moves nothing. What an epoch brings counts in the next one: `close` of epoch N is from data up to N−1, `late` is the
// `close` of N−1.
#include "exec/operator.h"
#include "exec/watermark.h"

struct time_line {                 // of one partition
    char *source_name, *name;      // owned; name NULL: the number says it
    uint32_t source, partition;    // source: index of this run, UINT32_MAX: the pipeline has none of that name
    int64_t max_us, seen_us;
};

struct partial {                   // what one worker saw of one partition in the running epoch
    uint32_t source, partition;
    const char *name;              // of the source's, as long as the epoch
    int64_t max_us;
};

struct worker_times {
    struct vector partials;        // of struct partial
    size_t last;                   // the one used last
    uint64_t ahead_count;          // rows that were too far ahead
};

struct watermark_self {
    uint32_t column;
    struct worker_times *workers;
    struct vector lines;           // of struct time_line, as committed
    struct vector next;            // the same with the running epoch; `has_next` says that it counts
    bool has_next;
    int64_t close_us;              // of the last committed epoch
    bool told_ahead;
};

static enum status watermark_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct watermark_self *self = arena_alloc_zeroed(&x->arena, sizeof *self);
    if (!self) return error_no_memory(e);
    self->column = op->node->watermark_column;
    self->close_us = NO_WATERMARK;
    self->workers = arena_alloc_array(&x->arena, x->config.worker_count, sizeof *self->workers);
    if (!self->workers) return error_no_memory(e);
    for (uint32_t i = 0; i < x->config.worker_count; i++) vector_init(&self->workers[i].partials, x->memory, sizeof(struct partial));
    vector_init(&self->lines, x->state_memory, sizeof(struct time_line));
    vector_init(&self->next, x->state_memory, sizeof(struct time_line));
    op->self = self;
    return STATUS_OK;
}

// --- rows ---

static bool is_one_line(const struct execution *x, uint32_t source) { return source >= x->config.source_count || x->config.sources[source].one_time_line; }

static bool same_name(const char *a, const char *b) { return a && b ? strcmp(a, b) == 0 : a == b; }

static struct partial *find_partial(struct operator *op, struct worker_times *t, const struct origin *o) {
    bool one = is_one_line(op->execution, o->source);
    struct partial key = {.source = o->source, .partition = one ? 0 : o->partition, .name = one ? NULL : o->partition_name, .max_us = INT64_MIN};
    for (size_t i = 0; i < t->partials.count; i++) {
        size_t at = (i + t->last) % t->partials.count;
        struct partial *p = vector_at(&t->partials, at);
        if (p->source != key.source || !same_name(p->name, key.name) || (!key.name && p->partition != key.partition)) continue;
        t->last = at;
        return p;
    }
    return vector_push(&t->partials, &key) == STATUS_OK ? vector_at(&t->partials, t->partials.count - 1) : NULL;
}

static int64_t latest_time(const struct column *c, const struct rows *rows, int64_t limit_us, uint64_t *ahead_count) {
    int64_t max_us = INT64_MIN;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(c, row)) continue;
        int64_t time_us = column_int64(c, row);
        if (time_us > limit_us) ++*ahead_count;
        else if (time_us > max_us) max_us = time_us;
    }
    return max_us;
}

static enum status watermark_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct watermark_self *self = op->self;
    struct worker_times *t = &self->workers[w->index];
    struct rows rows = batch_rows(b);
    int64_t limit_us;
    if (__builtin_add_overflow(op->execution->now_us, op->execution->config.max_ahead_us, &limit_us)) limit_us = INT64_MAX;
    int64_t max_us = latest_time(&b->columns[self->column], &rows, limit_us, &t->ahead_count);
    if (max_us != INT64_MIN) {
        struct partial *p = find_partial(op, t, &b->origin);
        if (!p) return worker_no_memory(w);
        if (max_us > p->max_us) p->max_us = max_us;
    }
    operator_count(op, w, FATE_PASSED, b->selected_count);
    return operator_emit(op, w, b);
}

// --- state ---

static void free_line(struct memory *memory, struct time_line *l) {
    if (l->source_name) memory_free(memory, l->source_name, strlen(l->source_name) + 1);
    if (l->name) memory_free(memory, l->name, strlen(l->name) + 1);
}

static void clear_lines(struct vector *lines) {
    for (size_t i = 0; i < lines->count; i++) free_line(lines->memory, vector_at(lines, i));
    vector_clear(lines);
}

static char *copy_text(struct memory *memory, const char *text, size_t size_bytes) {
    char *copy = memory_alloc(memory, size_bytes + 1);
    if (!copy) return NULL;
    memcpy(copy, text, size_bytes);
    copy[size_bytes] = 0;
    return copy;
}

static enum status add_line(struct vector *lines, const char *source_name, const char *name, const struct time_line *line) {
    struct time_line copy = *line;
    copy.source_name = copy_text(lines->memory, source_name, strlen(source_name));
    copy.name = name ? copy_text(lines->memory, name, strlen(name)) : NULL;
    if (copy.source_name && (copy.name || !name) && vector_push(lines, &copy) == STATUS_OK) return STATUS_OK;
    free_line(lines->memory, &copy);
    return STATUS_NO_MEMORY;
}

static enum status merge_partial(struct operator *op, const struct partial *p) {
    struct watermark_self *self = op->self;
    struct execution *x = op->execution;
    for (size_t i = 0; i < self->next.count; i++) {
        struct time_line *l = vector_at(&self->next, i);
        if (l->source != p->source || !same_name(l->name, p->name) || (!p->name && l->partition != p->partition)) continue;
        if (p->max_us > l->max_us) l->max_us = p->max_us;
        l->seen_us = x->now_us;
        return STATUS_OK;
    }
    struct time_line line = {.source = p->source, .partition = p->partition, .max_us = p->max_us, .seen_us = x->now_us};
    return add_line(&self->next, p->source < x->config.source_count ? x->config.sources[p->source].name : "", p->name, &line);
}

static enum status watermark_finish(struct operator *op, struct worker *w, uint32_t key_partition) {
    (void)key_partition;
    struct watermark_self *self = op->self;
    uint64_t ahead_count = 0;
    clear_lines(&self->next);
    self->has_next = true;
    for (size_t i = 0; i < self->lines.count; i++) {
        const struct time_line *l = vector_at(&self->lines, i);
        if (add_line(&self->next, l->source_name, l->name, l) != STATUS_OK) return worker_no_memory(w);
    }
    for (uint32_t k = 0; k < op->execution->config.worker_count; k++) {
        struct worker_times *t = &self->workers[k];
        for (size_t i = 0; i < t->partials.count; i++) {
            if (merge_partial(op, vector_at(&t->partials, i)) != STATUS_OK) return worker_no_memory(w);
        }
        vector_clear(&t->partials);
        t->last = 0;
        ahead_count += t->ahead_count;
        t->ahead_count = 0;
    }
    if (!ahead_count || self->told_ahead || !op->execution->config.log) return STATUS_OK;
    self->told_ahead = true;
    log_write(op->execution->config.log, LOG_WARN, "%s: %llu rows have an event time more than %lld s ahead of the clock; they are processed and do not move the watermark "
              "(leat.watermark.maxAhead)", op->flow_name, (unsigned long long)ahead_count, (long long)(op->execution->config.max_ahead_us / 1000000));
    return STATUS_OK;
}

static void watermark_commit(struct operator *op) {
    struct watermark_self *self = op->self;
    if (!self->has_next) return;
    struct vector old = self->lines;
    self->lines = self->next;
    self->next = old;
    clear_lines(&self->next);
    self->has_next = false;
    self->close_us = op->close_us;
}

static void drop_partials(struct operator *op) {
    struct watermark_self *self = op->self;
    for (uint32_t i = 0; i < op->execution->config.worker_count; i++) {
        vector_clear(&self->workers[i].partials);
        self->workers[i].last = 0;
        self->workers[i].ahead_count = 0;
    }
    clear_lines(&self->next);
    self->has_next = false;
}

static enum status watermark_rollback(struct operator *op, struct error *e) {
    (void)e;
    drop_partials(op);
    return STATUS_OK;
}

static enum status write_lines(const struct vector *lines, int64_t close_us, struct buffer *out, struct error *e) {
    enum status status = write_signed(out, close_us);
    if (status == STATUS_OK) status = write_varint(out, lines->count);
    for (size_t i = 0; i < lines->count && status == STATUS_OK; i++) {
        const struct time_line *l = vector_at(lines, i);
        status = write_string(out, l->source_name);
        if (status == STATUS_OK) status = write_varint(out, l->partition);
        if (status == STATUS_OK) status = buffer_append_byte(out, l->name != NULL);
        if (status == STATUS_OK && l->name) status = write_string(out, l->name);
        if (status == STATUS_OK) status = write_signed(out, l->max_us);
        if (status == STATUS_OK) status = write_signed(out, l->seen_us);
    }
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status watermark_log(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    const struct watermark_self *self = op->self;
    if (buffer_append_byte(out, self->has_next) != STATUS_OK) return error_no_memory(e);
    return self->has_next ? write_lines(&self->next, op->close_us, out, e) : STATUS_OK;
}

static enum status watermark_snapshot(struct operator *op, uint32_t part, struct buffer *out, struct error *e) {
    (void)part;
    const struct watermark_self *self = op->self;
    if (buffer_append_byte(out, 1) != STATUS_OK) return error_no_memory(e);
    return write_lines(&self->lines, self->close_us, out, e);
}

static uint32_t source_named(const struct execution *x, const char *name) {
    for (uint32_t i = 0; i < x->config.source_count; i++) {
        if (strcmp(x->config.sources[i].name, name) == 0) return i;
    }
    return UINT32_MAX;
}

static enum status read_line(struct operator *op, struct reader *in) {
    struct watermark_self *self = op->self;
    struct memory *memory = self->lines.memory;
    struct time_line line = {0};
    size_t size_bytes;
    const uint8_t *text = read_bytes(in, &size_bytes);
    if ((!text && size_bytes) || (text && memchr(text, 0, size_bytes))) return STATUS_CORRUPT;
    line.source_name = copy_text(memory, text ? (const char *)text : "", size_bytes);
    line.partition = (uint32_t)read_varint(in);
    if (read_byte(in)) {
        text = read_bytes(in, &size_bytes);
        if (text && memchr(text, 0, size_bytes)) in->failed = true;
        line.name = in->failed ? NULL : copy_text(memory, text ? (const char *)text : "", size_bytes);
        if (!line.name && !in->failed) in->failed = true;
    }
    line.max_us = read_signed(in);
    line.seen_us = read_signed(in);
    if (line.source_name && !in->failed) {
        line.source = source_named(op->execution, line.source_name);
        if (vector_push(&self->lines, &line) == STATUS_OK) return STATUS_OK;
    }
    enum status status = in->failed ? STATUS_CORRUPT : STATUS_NO_MEMORY;
    free_line(memory, &line);
    return status;
}

static enum status watermark_apply(struct operator *op, struct reader *in, struct error *e) {
    struct watermark_self *self = op->self;
    if (!read_byte(in)) return in->failed ? error_set(e, STATUS_CORRUPT, NULL, "the state of a watermark is corrupt") : STATUS_OK;
    clear_lines(&self->lines);
    self->close_us = read_signed(in);
    uint64_t count = read_varint(in);
    enum status status = STATUS_OK;
    for (uint64_t i = 0; i < count && status == STATUS_OK && !in->failed; i++) status = read_line(op, in);
    if (status == STATUS_NO_MEMORY) return error_no_memory(e);
    return status == STATUS_OK && !in->failed ? STATUS_OK : error_set(e, STATUS_CORRUPT, NULL, "the state of a watermark is corrupt");
}

static enum status watermark_describe(struct operator *op, struct buffer *out) {
    return buffer_printf(out, "watermark %lld", (long long)op->node->delay_us);
}

static void watermark_clear(struct operator *op) {
    struct watermark_self *self = op->self;
    drop_partials(op);
    clear_lines(&self->lines);
    self->close_us = NO_WATERMARK;
}

static size_t watermark_bytes(const struct operator *op, uint64_t *key_count) {
    const struct watermark_self *self = op->self;
    (void)key_count;  // partitions are no keys
    return (self->lines.capacity + self->next.capacity) * sizeof(struct time_line);
}

static void watermark_close(struct operator *op) {
    struct watermark_self *self = op->self;
    watermark_clear(op);
    for (uint32_t i = 0; i < op->execution->config.worker_count; i++) vector_release(&self->workers[i].partials);
    vector_release(&self->lines);
    vector_release(&self->next);
}

const struct operator_class watermark_class = {
    .name = "Watermark", .partition_count = 1, .open = watermark_open, .push = watermark_push, .finish = watermark_finish, .commit = watermark_commit,
    .rollback = watermark_rollback, .state_parts = 1, .log_changes = watermark_log, .apply_changes = watermark_apply, .snapshot = watermark_snapshot,
    .restore = watermark_apply, .describe_state = watermark_describe, .clear = watermark_clear, .bytes = watermark_bytes, .close = watermark_close,
};

// --- values ---

static int64_t cut_to_ms(int64_t time_us) {
    int64_t into = time_us % 1000;
    return time_us - (into < 0 ? into + 1000 : into);
}

// The watermark of what is committed, at a time of the clock. *next_us: when a partition that counts turns idle.
static int64_t value_at(const struct operator *op, const struct watermark_policy *policy, int64_t *next_us) {
    const struct watermark_self *self = op->self;
    int64_t least = INT64_MAX, most = INT64_MIN;
    for (size_t i = 0; i < self->lines.count; i++) {
        const struct time_line *l = vector_at(&self->lines, i);
        int64_t idle_at_us, value;
        if (__builtin_sub_overflow(cut_to_ms(l->max_us), op->node->delay_us, &value)) value = INT64_MIN + 1;
        if (value > most) most = value;
        bool at_end = l->source == UINT32_MAX || (policy->at_end && policy->at_end(policy->context, l->source));
        if (at_end || policy->global) continue;
        if (__builtin_add_overflow(l->seen_us, policy->idle_us, &idle_at_us)) idle_at_us = INT64_MAX;
        if (idle_at_us <= policy->clock_us) continue;
        if (idle_at_us < *next_us) *next_us = idle_at_us;
        if (value < least) least = value;
    }
    int64_t value = least != INT64_MAX ? least : most;
    if (self->lines.count && value == INT64_MIN) value++;
    return value > self->close_us ? value : self->close_us;
}

// One WATERMARK of the text that a flow reads in several ways (filters may stand below some of its copies): it has come as far as any of them.
static int64_t farthest_twin(const struct execution *x, const struct operator *op, const struct watermark_mark *marks, uint32_t count) {
    int64_t farthest = NO_WATERMARK;
    for (uint32_t i = 0, at = 0; i < x->operator_count && at < count; i++) {
        const struct operator *twin = &x->operators[i];
        if (twin->class != &watermark_class) continue;
        int64_t close_us = marks[at++].close_us;
        bool same = twin == op || (twin->node->span.begin == op->node->span.begin && twin->node->span.end == op->node->span.end &&
                                   span_known(op->node->span) && strcmp(twin->flow_name, op->flow_name) == 0);
        if (same && close_us > farthest) farthest = close_us;
    }
    return farthest;
}

enum status execution_watermarks(const struct execution *x, const struct watermark_policy *policy, struct arena *a, struct watermark_mark **out, uint32_t *count,
                                 int64_t *next_us) {
    *out = arena_alloc_array(a, x->operator_count + 1, sizeof **out);
    *count = 0;
    *next_us = INT64_MAX;
    if (!*out) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        const struct operator *op = &x->operators[i];
        if (op->class != &watermark_class) continue;
        const struct watermark_self *self = op->self;
        (*out)[(*count)++] = (struct watermark_mark){.flow_name = op->flow_name, .position = op->position, .late_us = self->close_us,
                                                     .close_us = value_at(op, policy, next_us)};
    }
    uint32_t at = 0;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (x->operators[i].class == &watermark_class) (*out)[at].close_us = farthest_twin(x, &x->operators[i], *out, *count), at++;
    }
    return STATUS_OK;
}

static const struct watermark_mark *find_mark(const struct operator *op, const struct watermark_mark *marks, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        if (marks[i].position == op->position && strcmp(marks[i].flow_name, op->flow_name) == 0) return &marks[i];
    }
    return NULL;
}

// Of an operator's input, what stands for its output: a join of two streams gives rows that are older.
static int64_t handed_on(const struct operator *op, int64_t input_us) {
    int64_t output_us;
    if (!op->node->join_time || input_us == NO_WATERMARK) return input_us;
    return __builtin_sub_overflow(input_us, op->node->join_time->handed_delay_us, &output_us) || output_us == NO_WATERMARK ? NO_WATERMARK + 1 : output_us;
}

// A join of two streams does not wait for a side that has no watermark, if the other has one.
static bool input_counts(const struct plan_node *node, uint32_t input_index) {
    const struct join_time *t = node->join_time;
    return !t || t->has_watermark[input_index] || !t->has_watermark[1 - input_index];
}

void execution_set_watermarks(struct execution *x, const struct watermark_mark *marks, uint32_t count) {
    for (uint32_t i = 0; i < x->operator_count; i++) {  // inputs before users
        struct operator *op = &x->operators[i];
        op->late_us = op->close_us = NO_WATERMARK;
        if (op->class == &watermark_class) {
            const struct watermark_mark *mark = find_mark(op, marks, count);
            if (mark) op->late_us = mark->late_us, op->close_us = mark->close_us;
            continue;
        }
        bool first = true;
        for (uint32_t k = 0; k < op->node->input_count; k++) {
            const struct operator *input = plan_input_is_static(op->node, k) ? NULL : execution_input(x, op->node, k);
            if (!input) continue;
            if (!input_counts(op->node, k)) continue;
            int64_t late_us = handed_on(input, input->late_us), close_us = handed_on(input, input->close_us);
            if (first || late_us < op->late_us) op->late_us = late_us;
            if (first || close_us < op->close_us) op->close_us = close_us;
            first = false;
        }
    }
}

bool execution_could_close(struct execution *x, const struct watermark_mark *marks, uint32_t count, const char *flow_name) {
    execution_set_watermarks(x, marks, count);
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (!op->class->earliest || strcmp(op->flow_name, flow_name) != 0) continue;
        int64_t earliest_us = op->class->earliest(op);
        if (earliest_us != INT64_MAX && earliest_us <= op->close_us) return true;
    }
    return false;
}

bool watermark_of(const struct execution *x, const char *flow_name, int64_t *close_us, int64_t *max_us) {
    bool any = false;
    *close_us = *max_us = NO_WATERMARK;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        const struct operator *op = &x->operators[i];
        if (op->class != &watermark_class || strcmp(op->flow_name, flow_name) != 0) continue;
        const struct watermark_self *self = op->self;
        if (!any || self->close_us < *close_us) *close_us = self->close_us;
        for (size_t k = 0; k < self->lines.count; k++) {
            const struct time_line *l = vector_at(&self->lines, k);
            if (l->max_us > *max_us) *max_us = l->max_us;
        }
        any = true;
    }
    return any;
}
