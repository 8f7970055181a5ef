// SPDX-License-Identifier: Apache-2.0
// execution_state.c: the state of all operators as bytes. A section is named by flow and position, and carries a hash of what its
// operator's state looks like: bytes of another shape are refused, those of unknown flows skipped. See README.md for the formats.
#include "base/checksum.h"
#include "exec/operator.h"

enum writing { WRITE_CHANGES, WRITE_SNAPSHOT };

static bool has_state(const struct operator *op) { return op->class->snapshot && op->class->restore; }

static enum status description_hash(struct operator *op, uint64_t *out) {
    struct buffer text;
    buffer_init(&text, op->execution->memory);
    enum status status = op->class->describe_state ? op->class->describe_state(op, &text) : STATUS_OK;
    if (status == STATUS_OK) *out = checksum64(text.data, text.size_bytes, op->node->kind);
    buffer_release(&text);
    return status;
}

static enum status write_section(struct operator *op, enum writing what, struct buffer *body, struct buffer *out, struct error *e) {
    uint64_t hash = 0;
    buffer_clear(body);
    if (what == WRITE_SNAPSHOT) TRY(op->class->snapshot(op, body, e));
    else TRY(op->class->log_changes(op, body, e));
    enum status status = description_hash(op, &hash);
    if (status == STATUS_OK) status = write_string(out, op->flow_name);
    if (status == STATUS_OK) status = write_varint(out, op->position);
    if (status == STATUS_OK) status = write_fixed64(out, hash);
    if (status == STATUS_OK) status = write_bytes(out, body->data, body->size_bytes);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status write_sections(struct execution *x, enum writing what, struct buffer *out, struct error *e) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < x->operator_count; i++) count += has_state(&x->operators[i]);
    if (write_varint(out, count) != STATUS_OK) return error_no_memory(e);
    struct buffer body;
    buffer_init(&body, x->memory);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < x->operator_count && status == STATUS_OK; i++) {
        if (has_state(&x->operators[i])) status = write_section(&x->operators[i], what, &body, out, e);
    }
    buffer_release(&body);
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

enum status execution_log_changes(struct execution *x, struct buffer *out, struct error *e) { return write_sections(x, WRITE_CHANGES, out, e); }
enum status execution_apply_changes(struct execution *x, struct reader *in, struct error *e) { return read_sections(x, WRITE_CHANGES, in, e); }
enum status execution_snapshot(struct execution *x, struct buffer *out, struct error *e) { return write_sections(x, WRITE_SNAPSHOT, out, e); }
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
