// SPDX-License-Identifier: Apache-2.0
// record.c: encoding and replaying the log's records. See record.h.
#include "stream/record.h"
#include "base/checksum.h"
#include "base/coding.h"

void durable_init(struct durable *d, struct memory *memory) {
    memset(d, 0, sizeof *d);
    d->memory = memory;
    vector_init(&d->flows, memory, sizeof(struct flow_entry *));
    vector_init(&d->stores, memory, sizeof(struct store_entry *));
    vector_init(&d->execution_changes, memory, sizeof(struct buffer *));
    buffer_init(&d->intent_bytes, memory);
    buffer_init(&d->execution_snapshot, memory);
    buffer_init(&d->open_changes, memory);
}

static char *keep_text(struct durable *d, const void *bytes, size_t size_bytes) {
    const void *zero = size_bytes ? memchr(bytes, 0, size_bytes) : NULL;  // never written; freed by its length, so it must be the C string's
    if (zero) size_bytes = (size_t)((const char *)zero - (const char *)bytes);
    char *copy = memory_alloc(d->memory, size_bytes + 1);
    if (!copy) return NULL;
    memcpy(copy, bytes, size_bytes);
    copy[size_bytes] = 0;
    return copy;
}

static void drop_text(struct durable *d, const char *text) {
    if (text) memory_free(d->memory, (void *)(uintptr_t)text, strlen(text) + 1);
}

static void flow_source_release(struct durable *d, struct flow_source *s) {
    for (size_t i = 0; i < s->positions.count; i++) drop_text(d, ((struct position *)vector_at(&s->positions, i))->name);
    vector_release(&s->positions);
    drop_text(d, s->source);
}

static void flow_entry_clear(struct durable *d, struct flow_entry *f) {
    for (size_t i = 0; i < f->sources.count; i++) flow_source_release(d, vector_at(&f->sources, i));
    vector_clear(&f->sources);
}

static void flow_entry_free(struct durable *d, struct flow_entry *f) {
    flow_entry_clear(d, f);
    vector_release(&f->sources);
    drop_text(d, f->name);
    memory_free(d->memory, f, sizeof *f);
}

void durable_drop_execution(struct durable *d) {
    for (size_t i = 0; i < d->execution_changes.count; i++) buffer_unref(*(struct buffer **)vector_at(&d->execution_changes, i));
    vector_clear(&d->execution_changes);
    buffer_release(&d->execution_snapshot);
    buffer_init(&d->execution_snapshot, d->memory);
}

void durable_release(struct durable *d) {
    if (!d->memory) return;
    for (size_t i = 0; i < d->flows.count; i++) flow_entry_free(d, *(struct flow_entry **)vector_at(&d->flows, i));
    for (size_t i = 0; i < d->stores.count; i++) {
        struct store_entry *s = *(struct store_entry **)vector_at(&d->stores, i);
        drop_text(d, s->identity);
        memory_free(d->memory, s, sizeof *s);
    }
    durable_drop_execution(d);
    vector_release(&d->flows);
    vector_release(&d->stores);
    vector_release(&d->execution_changes);
    buffer_release(&d->intent_bytes);
    buffer_release(&d->execution_snapshot);
    buffer_release(&d->open_changes);
    drop_text(d, d->text);
    memset(d, 0, sizeof *d);
}

struct flow_entry *durable_flow(const struct durable *d, const char *name) {
    for (size_t i = 0; i < d->flows.count; i++) {
        struct flow_entry *f = *(struct flow_entry **)vector_at(&d->flows, i);
        if (strcmp(f->name, name) == 0) return f;
    }
    return NULL;
}

static struct flow_entry *add_flow(struct durable *d, const char *name, size_t size_bytes) {
    struct flow_entry *f = memory_alloc_zeroed(d->memory, sizeof *f);
    if (!f) return NULL;
    vector_init(&f->sources, d->memory, sizeof(struct flow_source));
    f->name = keep_text(d, name, size_bytes);
    if (!f->name || vector_push(&d->flows, &f) != STATUS_OK) {
        flow_entry_free(d, f);
        return NULL;
    }
    return f;
}

struct store_entry *durable_store(struct durable *d, const char *identity) {
    for (size_t i = 0; i < d->stores.count; i++) {
        struct store_entry *s = *(struct store_entry **)vector_at(&d->stores, i);
        if (strcmp(s->identity, identity) == 0) return s;
    }
    struct store_entry *s = memory_alloc_zeroed(d->memory, sizeof *s);
    if (!s) return NULL;
    s->identity = keep_text(d, identity, strlen(identity));
    if (!s->identity || vector_push(&d->stores, &s) != STATUS_OK) {
        drop_text(d, s->identity);
        memory_free(d->memory, s, sizeof *s);
        return NULL;
    }
    return s;
}

static struct flow_source *find_source(const struct flow_entry *f, const char *source) {
    for (size_t i = 0; i < f->sources.count; i++) {
        struct flow_source *s = vector_at(&f->sources, i);
        if (strcmp(s->source, source) == 0) return s;
    }
    return NULL;
}

const struct flow_source *flow_entry_find_source(const struct flow_entry *f, const char *source) { return find_source(f, source); }

struct flow_source *flow_entry_source(struct flow_entry *f, struct durable *d, const char *source) {
    struct flow_source *found = find_source(f, source);
    if (found) return found;
    char *name = keep_text(d, source, strlen(source));
    struct flow_source *s = name ? vector_add(&f->sources) : NULL;
    if (!s) {
        drop_text(d, name);
        return NULL;
    }
    s->source = name;
    vector_init(&s->positions, d->memory, sizeof(struct position));
    return s;
}

static struct position *find_position(const struct flow_source *s, uint32_t partition, const char *name) {
    for (size_t i = 0; i < s->positions.count; i++) {
        struct position *p = vector_at(&s->positions, i);
        if (p->name || name ? p->name && name && strcmp(p->name, name) == 0 : p->partition == partition) return p;
    }
    return NULL;
}

int64_t flow_source_offset(const struct flow_source *s, uint32_t partition, const char *name, int64_t missing) {
    const struct position *p = find_position(s, partition, name);
    return p ? p->offset : missing;
}

struct positions flow_source_view(const struct flow_source *s) {
    return (struct positions){.items = s->positions.items, .count = (uint32_t)s->positions.count};
}

// stamp 0: not known, which is no reason to forget the one there is.
static enum status set_position(struct durable *d, struct flow_source *s, uint32_t partition, const char *name, int64_t offset, int64_t stamp) {
    struct position *p = find_position(s, partition, name);
    if (!p) {
        char *copy = name ? keep_text(d, name, strlen(name)) : NULL;
        p = !name || copy ? vector_add(&s->positions) : NULL;
        if (!p) {
            drop_text(d, copy);
            return STATUS_NO_MEMORY;
        }
        p->name = copy;
        p->partition = partition;
    }
    p->offset = offset;
    if (stamp) p->stamp = stamp;
    return STATUS_OK;
}

// ---- encoding ----

enum status encode_start(struct buffer *out, uint64_t incarnation) {
    buffer_clear(out);
    return write_varint(out, incarnation);
}

enum status encode_text(struct buffer *out, const char *text, const struct text_flow *flows, uint32_t count) {
    buffer_clear(out);
    TRY(write_string(out, text));
    TRY(write_varint(out, count));
    for (uint32_t i = 0; i < count; i++) {
        TRY(write_string(out, flows[i].name));
        TRY(write_fixed64(out, flows[i].hash));
    }
    return STATUS_OK;
}

static enum status encode_range(struct buffer *out, const struct range *r) {
    TRY(write_varint(out, r->partition));
    TRY(write_varint(out, r->name != NULL));
    if (r->name) TRY(write_string(out, r->name));
    TRY(write_signed(out, r->begin));
    TRY(write_signed(out, r->end));
    return write_signed(out, r->stamp);
}

static enum status encode_watermarks(struct buffer *out, const struct intent *i) {
    TRY(write_varint(out, i->watermark_count));
    for (uint32_t w = 0; w < i->watermark_count; w++) {
        const struct watermark_mark *mark = &i->watermarks[w];
        TRY(write_string(out, mark->flow_name));
        TRY(write_varint(out, mark->position));
        TRY(write_signed(out, mark->late_us));
        TRY(write_signed(out, mark->close_us));
    }
    return STATUS_OK;
}

// Of what stands before the attempt, and of what stands behind it.
static uint64_t intent_digest(uint64_t body, const void *watermarks, size_t size_bytes) {
    if (size_bytes) body = checksum64(watermarks, size_bytes, body);
    return body >> 1;  // stores keep it in a signed 64-bit integer
}

enum status encode_intent(struct buffer *out, struct intent *i) {
    buffer_clear(out);
    TRY(write_varint(out, i->epoch));
    TRY(write_signed(out, i->clock_us));
    TRY(write_varint(out, i->flow_count));
    for (uint32_t f = 0; f < i->flow_count; f++) TRY(write_string(out, i->flows[f]));
    TRY(write_varint(out, i->input_count));
    for (uint32_t n = 0; n < i->input_count; n++) {
        TRY(write_string(out, i->inputs[n].source));
        TRY(write_varint(out, i->inputs[n].ranges.count));
        for (uint32_t r = 0; r < i->inputs[n].ranges.count; r++) TRY(encode_range(out, &i->inputs[n].ranges.items[r]));
    }
    uint64_t digest = checksum64(out->data, out->size_bytes, 0);
    TRY(write_varint(out, i->attempt));
    size_t begin = out->size_bytes;
    if (i->watermark_count) TRY(encode_watermarks(out, i));
    i->digest = intent_digest(digest, out->data + begin, out->size_bytes - begin);
    return STATUS_OK;
}

static const char *read_text(struct arena *a, struct reader *r) {
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(r, &size_bytes);
    char *copy = bytes ? arena_strndup(a, (const char *)bytes, size_bytes) : NULL;
    if (!copy) r->failed = true;
    return copy;
}

static size_t read_count(struct reader *r) {
    uint64_t n = read_varint(r);
    if (n > (uint64_t)(r->end - r->next)) {  // every item takes a byte at least
        r->failed = true;
        return 0;
    }
    return (size_t)n;
}

static void decode_input(struct arena *a, struct reader *r, struct intent_input *out) {
    out->source = (char *)(uintptr_t)read_text(a, r);
    size_t count = read_count(r);
    out->ranges.items = arena_alloc_array(a, count, sizeof *out->ranges.items);
    if (!out->ranges.items && count) r->failed = true;
    for (size_t i = 0; i < count && !r->failed; i++) {
        struct range *g = &out->ranges.items[i];
        g->partition = (uint32_t)read_varint(r);
        g->name = read_varint(r) ? read_text(a, r) : NULL;
        g->begin = read_signed(r);
        g->end = read_signed(r);
        g->stamp = read_signed(r);
        out->ranges.count++;
    }
}

static void decode_watermarks(struct arena *a, struct reader *r, struct intent *out) {
    size_t count = read_count(r);
    out->watermarks = arena_alloc_array(a, count, sizeof *out->watermarks);
    if (!out->watermarks && count) r->failed = true;
    for (size_t i = 0; i < count && !r->failed; i++) {
        struct watermark_mark *mark = &out->watermarks[out->watermark_count++];
        mark->flow_name = read_text(a, r);
        mark->position = (uint32_t)read_varint(r);
        mark->late_us = read_signed(r);
        mark->close_us = read_signed(r);
    }
}

enum status decode_intent(struct arena *a, const void *bytes, size_t size_bytes, struct intent *out, struct error *e) {
    struct reader r = reader_of(bytes, size_bytes);
    memset(out, 0, sizeof *out);
    out->epoch = read_varint(&r);
    out->clock_us = read_signed(&r);
    size_t flows = read_count(&r);
    out->flows = arena_alloc_array(a, flows, sizeof *out->flows);
    for (size_t i = 0; i < flows && !r.failed; i++) out->flows[out->flow_count++] = read_text(a, &r);
    size_t inputs = read_count(&r);
    out->inputs = arena_alloc_array(a, inputs, sizeof *out->inputs);
    if ((!out->flows && flows) || (!out->inputs && inputs)) r.failed = true;
    for (size_t i = 0; i < inputs && !r.failed; i++) {
        out->input_count++;
        decode_input(a, &r, &out->inputs[i]);
    }
    uint64_t body = r.failed ? 0 : checksum64(bytes, (size_t)(r.next - (const uint8_t *)bytes), 0);
    out->attempt = (uint32_t)read_varint(&r);
    const uint8_t *behind = r.next;
    if (!r.failed && r.next < r.end) decode_watermarks(a, &r, out);  // a log without event time ends here
    if (!r.failed) out->digest = intent_digest(body, behind, (size_t)(r.next - behind));
    if (r.failed) return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "an intent in the log cannot be read");
    return STATUS_OK;
}

enum status encode_commit(struct buffer *out, uint64_t epoch, const char *const *stores, uint32_t count, const char *const *refreshed,
                          uint32_t refreshed_count) {
    buffer_clear(out);
    TRY(write_varint(out, epoch));
    TRY(write_varint(out, count));
    for (uint32_t i = 0; i < count; i++) TRY(write_string(out, stores[i]));
    TRY(write_varint(out, refreshed_count));
    for (uint32_t i = 0; i < refreshed_count; i++) TRY(write_string(out, refreshed[i]));
    return STATUS_OK;
}

enum status encode_static(struct buffer *out, uint64_t digest) {
    buffer_clear(out);
    return write_fixed64(out, digest);
}

enum status encode_refresh(struct buffer *out, const char *flow) {
    buffer_clear(out);
    return write_string(out, flow);
}

static enum status encode_flow(struct buffer *out, const struct flow_entry *f) {
    TRY(write_string(out, f->name));
    TRY(write_fixed64(out, f->hash));
    TRY(write_varint(out, (uint64_t)f->refresh_pending | (uint64_t)f->started << 1));
    TRY(write_varint(out, f->sources.count));
    for (size_t i = 0; i < f->sources.count; i++) {
        const struct flow_source *s = vector_at(&f->sources, i);
        TRY(write_string(out, s->source));
        TRY(write_varint(out, s->positions.count));
        for (size_t p = 0; p < s->positions.count; p++) {
            const struct position *at = vector_at(&s->positions, p);
            TRY(encode_range(out, &(struct range){.partition = at->partition, .name = at->name, .begin = at->offset, .stamp = at->stamp}));
        }
    }
    return STATUS_OK;
}

enum status encode_snapshot_begin(struct buffer *out, const struct durable *d) {
    buffer_clear(out);
    TRY(write_varint(out, d->incarnation));
    TRY(write_varint(out, d->last_epoch));
    TRY(write_fixed64(out, d->seed));
    TRY(write_fixed64(out, d->static_digest));
    TRY(write_signed(out, d->last_clock_us));
    TRY(write_string(out, d->text ? d->text : ""));
    TRY(write_varint(out, d->flows.count));
    for (size_t i = 0; i < d->flows.count; i++) TRY(encode_flow(out, *(struct flow_entry **)vector_at(&d->flows, i)));
    TRY(write_varint(out, d->stores.count));
    for (size_t i = 0; i < d->stores.count; i++) {
        const struct store_entry *s = *(struct store_entry **)vector_at(&d->stores, i);
        TRY(write_string(out, s->identity));
        TRY(write_varint(out, s->epoch));
    }
    return write_fixed64(out, 0);
}

void encode_snapshot_end(struct buffer *out, size_t begin) {
    uint64_t size_bytes = out->size_bytes - begin;
    for (int i = 0; i < 8; i++) out->data[begin - 8 + (size_t)i] = (uint8_t)(size_bytes >> (8 * i));
}

enum status encode_snapshot(struct buffer *out, const struct durable *d, const struct buffer *execution) {
    TRY(encode_snapshot_begin(out, d));
    size_t begin = out->size_bytes;
    TRY(buffer_append(out, execution->data, execution->size_bytes));
    encode_snapshot_end(out, begin);
    return STATUS_OK;
}

// ---- replay ----

static enum status unreadable(struct error *e, const char *what) {
    return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "a %s record of the log cannot be read", what);
}

static enum status set_text(struct durable *d, struct reader *r, struct error *e) {
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(r, &size_bytes);
    if (!bytes) return unreadable(e, "text");
    char *copy = keep_text(d, bytes, size_bytes);
    if (!copy) return error_no_memory(e);
    drop_text(d, d->text);
    d->text = copy;
    return STATUS_OK;
}

// The flows of a new text: known ones keep their positions, new ones come in, the others go.
static enum status replay_text(struct durable *d, struct reader *r, struct error *e) {
    TRY(set_text(d, r, e));
    struct vector kept;
    vector_init(&kept, d->memory, sizeof(struct flow_entry *));
    size_t count = read_count(r);
    for (size_t i = 0; i < count && !r->failed; i++) {
        size_t size_bytes;
        const uint8_t *name = read_bytes(r, &size_bytes);
        uint64_t hash = read_fixed64(r);
        if (!name) break;
        char *text = keep_text(d, name, size_bytes);
        struct flow_entry *f = text ? durable_flow(d, text) : NULL;
        if (text && !f) f = add_flow(d, text, size_bytes);
        drop_text(d, text);
        bool twice = false;
        for (size_t k = 0; k < kept.count; k++) twice |= *(struct flow_entry **)vector_at(&kept, k) == f;
        if (twice) continue;
        if (!f || vector_push(&kept, &f) != STATUS_OK) {
            vector_release(&kept);
            return error_no_memory(e);
        }
        f->hash = hash;
    }
    for (size_t i = 0; i < d->flows.count; i++) {
        struct flow_entry *f = *(struct flow_entry **)vector_at(&d->flows, i);
        bool stays = false;
        for (size_t k = 0; k < kept.count; k++) stays |= *(struct flow_entry **)vector_at(&kept, k) == f;
        if (!stays) flow_entry_free(d, f);
    }
    vector_release(&d->flows);
    d->flows = kept;
    return r->failed ? unreadable(e, "text") : STATUS_OK;
}

static enum status replay_intent(struct durable *d, const uint8_t *payload, size_t size_bytes, struct error *e) {
    struct reader r = reader_of(payload, size_bytes);
    uint64_t epoch = read_varint(&r);
    int64_t clock_us = read_signed(&r);
    if (r.failed) return unreadable(e, "intent");
    if (epoch > d->last_epoch) d->last_epoch = epoch;
    if (clock_us > d->last_clock_us) d->last_clock_us = clock_us;
    d->has_intent = true;
    buffer_clear(&d->intent_bytes);
    buffer_clear(&d->open_changes);
    return buffer_append(&d->intent_bytes, payload, size_bytes) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status advance_flow(struct durable *d, struct flow_entry *f, const struct intent *i, struct error *e) {
    f->started = true;
    for (uint32_t n = 0; n < i->input_count; n++) {
        struct flow_source *s = flow_entry_source(f, d, i->inputs[n].source);
        if (!s) return error_no_memory(e);
        for (uint32_t r = 0; r < i->inputs[n].ranges.count; r++) {
            const struct range *g = &i->inputs[n].ranges.items[r];
            if (set_position(d, s, g->partition, g->name, g->end, g->stamp) != STATUS_OK) return error_no_memory(e);
        }
    }
    return STATUS_OK;
}

static enum status keep_changes(struct durable *d, struct error *e) {
    if (!d->open_changes.size_bytes) return STATUS_OK;
    struct buffer *b = buffer_new(d->memory, d->open_changes.size_bytes);
    if (!b || buffer_append(b, d->open_changes.data, d->open_changes.size_bytes) != STATUS_OK || vector_push(&d->execution_changes, &b) != STATUS_OK) {
        buffer_unref(b);
        return error_no_memory(e);
    }
    buffer_clear(&d->open_changes);
    return STATUS_OK;
}

static enum status replay_commit(struct durable *d, struct reader *r, struct error *e) {
    uint64_t epoch = read_varint(r);
    struct arena a;
    struct intent i;
    if (!d->has_intent) return unreadable(e, "commit");
    arena_init(&a, d->memory);
    enum status status = decode_intent(&a, d->intent_bytes.data, d->intent_bytes.size_bytes, &i, e);
    if (status == STATUS_OK && i.epoch != epoch) status = unreadable(e, "commit");
    for (uint32_t f = 0; status == STATUS_OK && f < i.flow_count; f++) {
        struct flow_entry *entry = durable_flow(d, i.flows[f]);
        if (entry) status = advance_flow(d, entry, &i, e);
    }
    size_t stores = read_count(r);
    for (size_t k = 0; k < stores && status == STATUS_OK; k++) {
        const char *identity = read_text(&a, r);
        struct store_entry *s = identity ? durable_store(d, identity) : NULL;
        if (!s) status = r->failed ? unreadable(e, "commit") : error_no_memory(e);
        else s->epoch = epoch;
    }
    size_t refreshed = read_count(r);
    for (size_t k = 0; k < refreshed && status == STATUS_OK; k++) {
        const char *name = read_text(&a, r);
        struct flow_entry *entry = name ? durable_flow(d, name) : NULL;
        if (entry) entry->refresh_pending = false;
    }
    if (status == STATUS_OK && r->failed) status = unreadable(e, "commit");
    arena_release(&a);
    d->has_intent = false;
    return status == STATUS_OK ? keep_changes(d, e) : status;
}

static enum status replay_refresh(struct durable *d, struct reader *r, struct error *e) {
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(r, &size_bytes);
    char *name = bytes ? keep_text(d, bytes, size_bytes) : NULL;
    if (!name) return bytes ? error_no_memory(e) : unreadable(e, "refresh");
    struct flow_entry *f = durable_flow(d, name);
    drop_text(d, name);
    d->has_intent = false;  // its ranges begin where the flow stood before
    buffer_clear(&d->open_changes);
    if (!f) return STATUS_OK;
    flow_entry_clear(d, f);
    f->refresh_pending = true;
    f->started = false;
    return STATUS_OK;
}

static enum status restore_flow(struct durable *d, struct reader *r, struct error *e) {
    size_t size_bytes;
    const uint8_t *name = read_bytes(r, &size_bytes);
    struct flow_entry *f = name ? add_flow(d, (const char *)name, size_bytes) : NULL;
    if (!f) return name ? error_no_memory(e) : unreadable(e, "snapshot");
    f->hash = read_fixed64(r);
    uint64_t flags = read_varint(r);
    f->refresh_pending = flags & 1;
    f->started = flags >> 1 & 1;
    struct arena a;
    arena_init(&a, d->memory);
    enum status status = STATUS_OK;
    size_t sources = read_count(r);
    for (size_t i = 0; i < sources && status == STATUS_OK && !r->failed; i++) {
        struct intent_input input = {0};  // positions are written like ranges
        decode_input(&a, r, &input);
        struct flow_source *s = input.source ? flow_entry_source(f, d, input.source) : NULL;
        if (!s) status = r->failed ? unreadable(e, "snapshot") : error_no_memory(e);
        for (uint32_t p = 0; s && p < input.ranges.count && status == STATUS_OK; p++) {
            const struct range *g = &input.ranges.items[p];
            if (set_position(d, s, g->partition, g->name, g->begin, g->stamp) != STATUS_OK) status = error_no_memory(e);
        }
    }
    arena_release(&a);
    return status;
}

static enum status replay_snapshot(struct durable *d, struct reader *r, struct error *e) {
    struct memory *memory = d->memory;
    durable_release(d);
    durable_init(d, memory);
    d->incarnation = read_varint(r);
    d->last_epoch = read_varint(r);
    d->seed = read_fixed64(r);
    d->static_digest = read_fixed64(r);
    d->last_clock_us = read_signed(r);
    TRY(set_text(d, r, e));
    size_t flows = read_count(r);
    for (size_t i = 0; i < flows; i++) TRY(restore_flow(d, r, e));
    size_t stores = read_count(r);
    for (size_t i = 0; i < stores && !r->failed; i++) {
        size_t size_bytes;
        const uint8_t *bytes = read_bytes(r, &size_bytes);
        char *identity = bytes ? keep_text(d, bytes, size_bytes) : NULL;
        struct store_entry *s = identity ? durable_store(d, identity) : NULL;
        drop_text(d, identity);
        if (!s) return r->failed ? unreadable(e, "snapshot") : error_no_memory(e);
        s->epoch = read_varint(r);
    }
    uint64_t size_bytes = read_fixed64(r);
    const uint8_t *bytes = r->failed || size_bytes > (uint64_t)(r->end - r->next) ? NULL : read_raw(r, size_bytes);
    if (!bytes && (r->failed || size_bytes)) return unreadable(e, "snapshot");
    return buffer_append(&d->execution_snapshot, bytes, size_bytes) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

enum status durable_replay(void *context, enum record_kind kind, const uint8_t *payload, size_t size_bytes, struct error *e) {
    struct durable *d = context;
    struct reader r = reader_of(payload, size_bytes);
    switch (kind) {
    case RECORD_START:
        d->incarnation = read_varint(&r);
        return r.failed ? unreadable(e, "start") : STATUS_OK;
    case RECORD_TEXT: return replay_text(d, &r, e);
    case RECORD_INTENT: return replay_intent(d, payload, size_bytes, e);
    case RECORD_CHANGES:
        buffer_clear(&d->open_changes);
        return buffer_append(&d->open_changes, payload, size_bytes) == STATUS_OK ? STATUS_OK : error_no_memory(e);
    case RECORD_COMMIT: return replay_commit(d, &r, e);
    case RECORD_REFRESH: return replay_refresh(d, &r, e);
    case RECORD_SNAPSHOT: return replay_snapshot(d, &r, e);
    case RECORD_STATIC:
        d->static_digest = read_fixed64(&r);
        return r.failed ? unreadable(e, "static") : STATUS_OK;
    case RECORD_LINK: break;  // journal.c keeps it for itself
    }
    return error_set(e, STATUS_CORRUPT, "LEAT_LOG_CORRUPT", "the log has a record of an unknown kind %d", (int)kind);
}
