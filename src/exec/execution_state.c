// SPDX-License-Identifier: Apache-2.0
// execution_state.c: the state of all operators as bytes. A section is named by flow and position, and carries a hash of what its
// operator's state looks like: bytes of another shape are refused, those of unknown flows skipped. See README.md for the formats.
#include "base/checksum.h"
#include "exec/operator.h"
#include "exec/watermark.h"

enum writing { WRITE_CHANGES, WRITE_SNAPSHOT };

static bool has_state(const struct operator *op) { return op->class->state_parts > 0; }

static enum status description_hash(struct operator *op, uint64_t *out) {
    struct buffer text;
    buffer_init(&text, op->execution->memory);
    enum status status = op->class->describe_state ? op->class->describe_state(op, &text) : STATUS_OK;
    if (status == STATUS_OK) *out = checksum64(text.data, text.size_bytes, op->node->kind);
    buffer_release(&text);
    return status;
}

struct part {                      // of one operator's state
    struct operator *op;
    uint32_t index;
    struct buffer bytes;
    struct error error;
};

struct writing_run {
    enum writing what;
    struct part *parts;
    uint32_t count;
    _Atomic uint32_t next;
};

static void write_parts(void *context, uint32_t worker_index) {
    struct writing_run *run = context;
    (void)worker_index;
    for (uint32_t i = run->next++; i < run->count; i = run->next++) {
        struct part *p = &run->parts[i];
        const struct operator_class *class = p->op->class;
        error_clear(&p->error);
        enum status status = run->what == WRITE_SNAPSHOT ? class->snapshot(p->op, p->index, &p->bytes, &p->error)
                                                         : class->log_changes(p->op, p->index, &p->bytes, &p->error);
        if (status != STATUS_OK && p->error.status == STATUS_OK) error_set(&p->error, status, NULL, "a state could not be written");
    }
}

// The section of parts[0].op: its head, then its parts in order. A part is given back as soon as it is copied.
static enum status write_section(struct part *parts, struct buffer *out, struct error *e) {
    struct operator *op = parts->op;
    uint64_t hash = 0;
    size_t size_bytes = 0;
    for (uint32_t i = 0; i < op->class->state_parts; i++) {
        if (parts[i].error.status != STATUS_OK) {
            *e = parts[i].error;
            return e->status;
        }
        size_bytes += parts[i].bytes.size_bytes;
    }
    enum status status = description_hash(op, &hash);
    if (status == STATUS_OK) status = write_string(out, op->flow_name);
    if (status == STATUS_OK) status = write_varint(out, op->position);
    if (status == STATUS_OK) status = write_fixed64(out, hash);
    if (status == STATUS_OK) status = write_varint(out, size_bytes);
    if (status == STATUS_OK) status = buffer_reserve(out, size_bytes);
    for (uint32_t i = 0; i < op->class->state_parts && status == STATUS_OK; i++) {
        status = buffer_append(out, parts[i].bytes.data, parts[i].bytes.size_bytes);
        buffer_release(&parts[i].bytes);
    }
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status write_sections(struct execution *x, struct crew *crew, enum writing what, struct buffer *out, struct error *e) {
    struct writing_run run = {.what = what};
    uint32_t count = 0, most = 0;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        count += has_state(&x->operators[i]);
        if (x->operators[i].class->state_parts > most) most = x->operators[i].class->state_parts;
    }
    if (write_varint(out, count) != STATUS_OK) return error_no_memory(e);
    if (!count) return STATUS_OK;
    run.parts = memory_alloc_zeroed(x->memory, most * sizeof *run.parts);
    if (!run.parts) return error_no_memory(e);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < x->operator_count && status == STATUS_OK; i++) {  // one after another: no more than one's state stands twice
        struct operator *op = &x->operators[i];
        run.count = op->class->state_parts;
        run.next = 0;
        if (!run.count) continue;
        for (uint32_t k = 0; k < run.count; k++) {
            run.parts[k] = (struct part){.op = op, .index = k};
            buffer_init(&run.parts[k].bytes, x->memory);
        }
        if (crew) crew_run(crew, write_parts, &run);
        else write_parts(&run, 0);
        status = write_section(run.parts, out, e);
        for (uint32_t k = 0; k < run.count; k++) buffer_release(&run.parts[k].bytes);
    }
    memory_free(x->memory, run.parts, most * sizeof *run.parts);
    return status;
}

static struct operator *find_section(struct execution *x, const uint8_t *name, size_t name_bytes, uint64_t position) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (!has_state(op) || op->position != position) continue;
        if (strlen(op->flow_name) == name_bytes && memcmp(op->flow_name, name, name_bytes) == 0) return op;
    }
    return NULL;
}

static enum status read_section(struct execution *x, enum writing what, struct reader *in, struct error *e) {
    size_t name_bytes = 0, body_bytes = 0;
    const uint8_t *name = read_bytes(in, &name_bytes);
    uint64_t position = read_varint(in);
    uint64_t hash = read_fixed64(in);
    const uint8_t *body = read_bytes(in, &body_bytes);
    if (in->failed) return error_set(e, STATUS_CORRUPT, NULL, "the saved state is cut short");
    struct operator *op = find_section(x, name_bytes ? name : (const uint8_t *)"", name_bytes, position);
    if (!op || op->ignores_saved) return STATUS_OK;
    uint64_t own = 0;
    if (description_hash(op, &own) != STATUS_OK) return error_no_memory(e);
    if (own != hash) return error_set(e, STATUS_CONFLICT, NULL, "the saved state of %s was made by another plan", op->flow_name);
    struct reader section = reader_of(body_bytes ? body : (const uint8_t *)"", body_bytes);
    TRY(what == WRITE_SNAPSHOT ? op->class->restore(op, &section, e) : op->class->apply_changes(op, &section, e));
    if (section.failed || section.next != section.end) return error_set(e, STATUS_CORRUPT, NULL, "the saved state of %s is corrupt", op->flow_name);
    return STATUS_OK;
}

static enum status read_sections(struct execution *x, enum writing what, struct reader *in, struct error *e) {
    uint64_t count = read_varint(in);
    for (uint64_t i = 0; i < count && !in->failed; i++) TRY(read_section(x, what, in, e));
    return in->failed ? error_set(e, STATUS_CORRUPT, NULL, "the saved state is cut short") : STATUS_OK;
}

enum status execution_log_changes(struct execution *x, struct crew *crew, struct buffer *out, struct error *e) {
    return write_sections(x, crew, WRITE_CHANGES, out, e);
}
enum status execution_apply_changes(struct execution *x, struct reader *in, struct error *e) { return read_sections(x, WRITE_CHANGES, in, e); }
enum status execution_snapshot(struct execution *x, struct crew *crew, struct buffer *out, struct error *e) {
    return write_sections(x, crew, WRITE_SNAPSHOT, out, e);
}
enum status execution_restore(struct execution *x, struct reader *in, struct error *e) { return read_sections(x, WRITE_SNAPSHOT, in, e); }

enum status execution_load_static(struct execution *x, uint64_t *digest, struct error *e) {
    *digest = 0;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (x->operators[i].class->load) TRY(x->operators[i].class->load(&x->operators[i], digest, e));
    }
    return STATUS_OK;
}

void execution_ignore_saved(struct execution *x, const char *flow_name) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        if (strcmp(x->operators[i].flow_name, flow_name) == 0) x->operators[i].ignores_saved = true;
    }
}

void execution_drop_flow_state(struct execution *x, const char *flow_name) {
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (op->class->clear && strcmp(op->flow_name, flow_name) == 0) op->class->clear(op);
    }
}

size_t execution_state_bytes(const struct execution *x, const char *flow_name, uint64_t *key_count) {
    size_t bytes = 0;
    uint64_t keys = 0;
    for (uint32_t i = 0; i < x->operator_count; i++) {
        const struct operator *op = &x->operators[i];
        if (op->class->bytes && (!flow_name || strcmp(op->flow_name, flow_name) == 0)) bytes += op->class->bytes(op, &keys);
    }
    if (key_count) *key_count = keys;
    return bytes;
}

// Watermarks of every operator as the last committed epoch had them.
static enum status set_committed_watermarks(struct execution *x, struct arena *a) {
    struct watermark_policy policy = {.clock_us = INT64_MIN};  // its marks for a next epoch are not wanted
    struct watermark_mark *marks;
    uint32_t count;
    int64_t ignored;
    TRY(execution_watermarks(x, &policy, a, &marks, &count, &ignored));
    for (uint32_t i = 0; i < count; i++) marks[i].close_us = marks[i].late_us;
    execution_set_watermarks(x, marks, count);
    return STATUS_OK;
}

enum status execution_state_lines(struct execution *x, struct arena *a, struct state_line **out, uint32_t *count) {
    *out = arena_alloc_array(a, x->operator_count + 1, sizeof **out);
    *count = 0;
    if (!*out) return STATUS_NO_MEMORY;
    TRY(set_committed_watermarks(x, a));
    for (uint32_t i = 0; i < x->operator_count; i++) {
        struct operator *op = &x->operators[i];
        if (!has_state(op)) continue;
        struct state_line *line = &(*out)[(*count)++];
        int64_t of_flow_us;
        *line = (struct state_line){.node = op->node, .flow_name = op->flow_name, .position = op->position, .operator_name = op->class->name,
                                    .watermark_us = op->close_us, .earliest_us = op->class->earliest ? op->class->earliest(op) : INT64_MAX};
        TRY(description_hash(op, &line->description));
        if (op->class->bytes) line->size_bytes = op->class->bytes(op, &line->key_count);
        watermark_of(x, op->flow_name, &of_flow_us, &line->newest_us);
    }
    return STATUS_OK;
}
