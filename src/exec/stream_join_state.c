// SPDX-License-Identifier: Apache-2.0
// stream_join_state.c: see stream_join_state.h.
#include "exec/stream_join_state.h"
#include "exec/state_table.h"
#include <stdlib.h>

static struct join_row *row_at(const struct vector *v, size_t i) { return *(struct join_row **)vector_at(v, i); }

void join_part_init(struct join_part *p, struct memory *memory, const struct key_layout *layout) {
    memset(p, 0, sizeof *p);
    p->memory = memory;
    p->layout = *layout;
    table_init(&p->keys, memory, 2 * sizeof(struct join_chain));
    for (uint32_t side = 0; side < 2; side++) time_index_init(&p->times[side], memory);
    vector_init(&p->added, memory, sizeof(struct join_row *));
    vector_init(&p->matched, memory, sizeof(struct join_row *));
    vector_init(&p->ended, memory, sizeof(struct join_row *));
}

static void free_row(struct join_part *p, struct join_row *row) {
    size_t size_bytes = sizeof *row + row->size_bytes;
    p->row_bytes -= size_bytes;
    p->row_count--;
    memory_free(p->memory, row, size_bytes);
}

void join_part_clear(struct join_part *p) {
    for (size_t i = 0; i < p->keys.slot_count; i++) {
        if (!table_slot_is_live(&p->keys.slots[i])) continue;
        struct join_chain *chains = group_state(p->keys.slots[i].group, 0);
        for (uint32_t side = 0; side < 2; side++) {
            for (struct join_row *row = chains[side].first, *next; row; row = next) {
                next = row->next;
                free_row(p, row);
            }
        }
    }
    table_release(&p->keys);
    for (uint32_t side = 0; side < 2; side++) {
        time_index_clear(&p->times[side]);
        p->times[side].is_stale = false;
        p->next_sequence[side] = p->begin_sequence[side] = 0;
    }
    vector_clear(&p->added);
    vector_clear(&p->matched);
    vector_clear(&p->ended);
}

void join_part_release(struct join_part *p) {
    if (!p->memory) return;
    join_part_clear(p);
    for (uint32_t side = 0; side < 2; side++) time_index_release(&p->times[side]);
    vector_release(&p->added);
    vector_release(&p->matched);
    vector_release(&p->ended);
}

struct join_chain *join_part_find(const struct join_part *p, const struct string_view *key, uint64_t hash) {
    struct group *g = table_find(&p->keys, key, hash);
    return g ? group_state(g, 0) : NULL;
}

static struct join_row *add_row(struct join_part *p, uint32_t side, const struct string_view *key, uint64_t hash, const void *bytes, uint32_t size_bytes) {
    bool added;
    struct group *g = table_find_or_add(&p->keys, key, hash, &added);
    if (!g) return NULL;
    struct join_row *row = memory_alloc(p->memory, sizeof *row + size_bytes);
    if (!row) {
        if (added) table_remove(&p->keys, g);
        return NULL;
    }
    memset(row, 0, sizeof *row);
    struct join_chain *chain = (struct join_chain *)group_state(g, 0) + side;
    row->ending.time = GROUP_NO_END;
    row->key = g;
    row->side = (uint8_t)side;
    row->size_bytes = size_bytes;
    if (size_bytes) memcpy(row->bytes, bytes, size_bytes);
    row->previous = chain->last;
    if (chain->last) chain->last->next = row;
    else chain->first = row;
    chain->last = row;
    p->row_bytes += sizeof *row + size_bytes;
    p->row_count++;
    return row;
}

static void remove_row(struct join_part *p, struct join_row *row) {
    struct join_chain *chains = group_state(row->key, 0), *chain = &chains[row->side];
    if (row->previous) row->previous->next = row->next;
    else chain->first = row->next;
    if (row->next) row->next->previous = row->previous;
    else chain->last = row->previous;
    if (!chains[0].first && !chains[1].first) table_remove(&p->keys, row->key);
    free_row(p, row);
}

struct join_row *join_part_add(struct join_part *p, uint32_t side, const struct string_view *key, uint64_t hash, const void *bytes, uint32_t size_bytes) {
    if (vector_reserve(&p->added, p->added.count + 1) != STATUS_OK) return NULL;
    struct join_row *row = add_row(p, side, key, hash, bytes, size_bytes);
    if (!row) return NULL;
    row->sequence = p->next_sequence[side]++;
    return vector_push(&p->added, &row) == STATUS_OK ? row : NULL;  // there is room
}

enum status join_part_leave_at(struct join_part *p, struct join_row *row, int64_t time) {
    row->ending.time = time;
    return time_index_add(&p->times[row->side], &row->ending);
}

enum status join_part_match(struct join_part *p, struct join_row *row) {
    if (row->matched) return STATUS_OK;
    TRY(vector_push(&p->matched, &row));
    row->matched = true;
    return STATUS_OK;
}

static int sequence_order(const void *a, const void *b) {
    const struct join_row *x = *(struct join_row *const *)a, *y = *(struct join_row *const *)b;
    return (x->sequence > y->sequence) - (x->sequence < y->sequence);
}

enum status join_part_end(struct join_part *p, uint32_t side, int64_t until, struct vector *out) {
    size_t begin = out->count;
    TRY(time_index_take(&p->times[side], until, out));
    TRY(vector_reserve(&p->ended, p->ended.count + out->count - begin + 1));
    for (size_t i = begin; i < out->count; i++) {  // `ending` stands first in a row
        struct join_row *row = row_at(out, i);
        row->ended = true;
        TRY(vector_push(&p->ended, &row));
    }
    if (out->count - begin > 1) qsort(vector_at(out, begin), out->count - begin, sizeof(struct join_row *), sequence_order);
    return STATUS_OK;
}

static void end_epoch(struct join_part *p) {
    vector_clear(&p->added);
    vector_clear(&p->matched);
    vector_clear(&p->ended);
    for (uint32_t side = 0; side < 2; side++) p->begin_sequence[side] = p->next_sequence[side];
}

void join_part_commit(struct join_part *p) {
    for (uint32_t side = 0; side < 2; side++) time_index_commit(&p->times[side]);  // while the rows that end are still there
    for (size_t i = 0; i < p->added.count; i++) {
        if (row_at(&p->added, i)->dead) remove_row(p, row_at(&p->added, i));
    }
    for (size_t i = 0; i < p->ended.count; i++) remove_row(p, row_at(&p->ended, i));
    end_epoch(p);
}

void join_part_rollback(struct join_part *p) {
    for (uint32_t side = 0; side < 2; side++) time_index_rollback(&p->times[side]);
    for (size_t i = 0; i < p->matched.count; i++) row_at(&p->matched, i)->matched = false;
    for (size_t i = 0; i < p->ended.count; i++) row_at(&p->ended, i)->ended = false;
    for (size_t i = p->added.count; i-- > 0;) remove_row(p, row_at(&p->added, i));
    for (uint32_t side = 0; side < 2; side++) p->next_sequence[side] = p->begin_sequence[side];
    end_epoch(p);
}

static enum status index_row(struct join_part *p, struct join_row *row) {
    struct time_index *x = &p->times[row->side];
    return x->is_stale ? time_index_add(x, &row->ending) : STATUS_OK;
}

enum status join_part_index(struct join_part *p) {
    if (!p->times[0].is_stale && !p->times[1].is_stale) return STATUS_OK;
    enum status status = STATUS_OK;
    for (uint32_t side = 0; side < 2; side++) {
        if (p->times[side].is_stale) time_index_clear(&p->times[side]);
    }
    for (size_t i = 0; i < p->keys.slot_count && status == STATUS_OK; i++) {
        if (!table_slot_is_live(&p->keys.slots[i])) continue;
        struct join_chain *chains = group_state(p->keys.slots[i].group, 0);
        for (uint32_t side = 0; side < 2; side++) {
            for (struct join_row *row = chains[side].first; row && status == STATUS_OK; row = row->next) status = index_row(p, row);
        }
    }
    for (uint32_t side = 0; side < 2 && status == STATUS_OK; side++) {
        time_index_commit(&p->times[side]);
        p->times[side].is_stale = false;
    }
    return status;
}

size_t join_part_bytes(const struct join_part *p) {
    return table_bytes(&p->keys) + time_index_bytes(&p->times[0]) + time_index_bytes(&p->times[1]) + p->row_bytes +
           (p->added.capacity + p->matched.capacity + p->ended.capacity) * sizeof(struct join_row *);
}

// --- log and snapshot ---
//
//     log        next sequences [2] · count · entries       entry: form, side · sequence · key · [of a row: what follows]
//     snapshot   next sequences [2] · count of keys · keys  key: key · for each side: count of rows · rows, each: sequence, what follows
//     of a row   matched · the time at which it leaves · bytes

enum entry_form { ENTRY_GONE, ENTRY_ROW, ENTRY_MATCHED };

static enum status write_row(const struct join_row *row, struct buffer *out) {
    TRY(buffer_append_byte(out, row->matched));
    TRY(write_signed(out, row->ending.time));
    return write_bytes(out, row->bytes, row->size_bytes);
}

static enum status write_entry(const struct join_row *row, enum entry_form form, struct buffer *out) {
    TRY(buffer_append_byte(out, (uint8_t)(form << 1 | row->side)));
    TRY(write_varint(out, row->sequence));
    TRY(key_write(&row->key->key, out));
    return form == ENTRY_ROW ? write_row(row, out) : STATUS_OK;
}

static bool stays(const struct join_row *row) { return !row->dead && !row->ended; }

enum status join_part_log(const struct join_part *p, struct buffer *out) {
    uint64_t count = 0;
    for (size_t i = 0; i < p->added.count; i++) count += stays(row_at(&p->added, i));
    for (size_t i = 0; i < p->matched.count; i++) count += stays(row_at(&p->matched, i)) && !join_row_is_new(p, row_at(&p->matched, i));
    for (size_t i = 0; i < p->ended.count; i++) count += !join_row_is_new(p, row_at(&p->ended, i));
    for (uint32_t side = 0; side < 2; side++) TRY(write_varint(out, p->next_sequence[side]));
    TRY(write_varint(out, count));
    for (size_t i = 0; i < p->added.count; i++) {
        if (stays(row_at(&p->added, i))) TRY(write_entry(row_at(&p->added, i), ENTRY_ROW, out));
    }
    for (size_t i = 0; i < p->matched.count; i++) {
        const struct join_row *row = row_at(&p->matched, i);
        if (stays(row) && !join_row_is_new(p, row)) TRY(write_entry(row, ENTRY_MATCHED, out));
    }
    for (size_t i = 0; i < p->ended.count; i++) {
        if (!join_row_is_new(p, row_at(&p->ended, i))) TRY(write_entry(row_at(&p->ended, i), ENTRY_GONE, out));
    }
    return STATUS_OK;
}

static enum status write_chain(const struct join_chain *chain, struct buffer *out) {
    uint64_t count = 0;
    for (const struct join_row *row = chain->first; row; row = row->next) count++;
    TRY(write_varint(out, count));
    for (const struct join_row *row = chain->first; row; row = row->next) {
        TRY(write_varint(out, row->sequence));
        TRY(write_row(row, out));
    }
    return STATUS_OK;
}

enum status join_part_snapshot(const struct join_part *p, struct buffer *out) {
    struct table_slot *slots;
    TRY(table_sorted(&p->keys, &slots));
    enum status status = write_varint(out, p->next_sequence[0]);
    if (status == STATUS_OK) status = write_varint(out, p->next_sequence[1]);
    if (status == STATUS_OK) status = write_varint(out, p->keys.count);
    for (size_t i = 0; i < p->keys.count && status == STATUS_OK; i++) {
        const struct join_chain *chains = group_state(slots[i].group, 0);
        status = key_write(&slots[i].group->key, out);
        for (uint32_t side = 0; side < 2 && status == STATUS_OK; side++) status = write_chain(&chains[side], out);
    }
    if (slots) memory_free(p->memory, slots, p->keys.count * sizeof *slots);
    return status;
}

// Reading: rows are decoded once, some at a time, so that bytes that are no row are found here and not in the middle of an epoch.
struct row_check {
    struct join_part *part;
    uint32_t partition;
    struct arena arena;
    struct column_builder *builders[2];
    uint32_t count;              // of rows since the arena was reset
};

static enum status begin_checks(struct row_check *c) {
    arena_reset(&c->arena);
    c->count = 0;
    for (uint32_t side = 0; side < 2; side++) {
        uint32_t count = c->part->type_counts[side];
        c->builders[side] = arena_alloc_array(&c->arena, count + 1, sizeof *c->builders[side]);
        if (!c->builders[side]) return STATUS_NO_MEMORY;
        for (uint32_t k = 0; k < count; k++) column_builder_init(&c->builders[side][k], &c->arena, c->part->types[side][k]);
    }
    return STATUS_OK;
}

static enum status check_bytes(struct row_check *c, uint32_t side, const uint8_t *bytes, size_t size_bytes) {
    struct reader in = reader_of(bytes, size_bytes);
    if (++c->count == BATCH_ROWS) TRY(begin_checks(c));
    for (uint32_t k = 0; k < c->part->type_counts[side]; k++) {
        value_read(&in, &c->builders[side][k]);
        if (in.failed) return STATUS_CORRUPT;
        if (c->builders[side][k].failed) return STATUS_NO_MEMORY;
    }
    return in.next == in.end ? STATUS_OK : STATUS_CORRUPT;
}

static enum status read_key(struct row_check *c, struct reader *in, struct string_view *key, uint64_t *hash) {
    if (!key_read(&c->part->layout, in, c->part->memory, key)) return STATUS_CORRUPT;
    *hash = key_hash(&c->part->layout, key);
    return key_partition(*hash) == c->partition ? STATUS_OK : STATUS_CORRUPT;
}

static enum status read_row(struct row_check *c, uint32_t side, const struct string_view *key, uint64_t hash, uint64_t sequence, struct reader *in) {
    struct join_part *p = c->part;
    uint8_t matched = read_byte(in);
    int64_t time = read_signed(in);
    size_t size_bytes;
    const uint8_t *bytes = read_bytes(in, &size_bytes);
    if (in->failed || matched > 1 || size_bytes > UINT32_MAX || sequence >= p->next_sequence[side]) return STATUS_CORRUPT;
    TRY(check_bytes(c, side, bytes ? bytes : (const uint8_t *)"", size_bytes));
    struct join_chain *chains = join_part_find(p, key, hash);
    if (chains && chains[side].last && chains[side].last->sequence >= sequence) return STATUS_CORRUPT;
    struct join_row *row = add_row(p, side, key, hash, bytes, (uint32_t)size_bytes);
    if (!row) return STATUS_NO_MEMORY;
    row->sequence = sequence;
    row->matched = matched;
    row->ending.time = time;
    return STATUS_OK;
}

static enum status read_entry(struct row_check *c, struct reader *in) {
    struct join_part *p = c->part;
    struct string_view key;
    uint64_t hash;
    uint8_t head = read_byte(in);
    uint32_t side = head & 1, form = head >> 1;
    uint64_t sequence = read_varint(in);
    TRY(read_key(c, in, &key, &hash));
    if (in->failed || form > ENTRY_MATCHED) return STATUS_CORRUPT;
    if (form == ENTRY_ROW) return read_row(c, side, &key, hash, sequence, in);
    struct join_chain *chains = join_part_find(p, &key, hash);
    struct join_row *row = chains ? chains[side].first : NULL;
    while (row && row->sequence != sequence) row = row->next;  // those that go stand at the front
    if (!row) return STATUS_CORRUPT;
    if (form == ENTRY_MATCHED) row->matched = true;
    else remove_row(p, row);
    return STATUS_OK;
}

static enum status read_group(struct row_check *c, struct reader *in) {
    struct string_view key;
    uint64_t hash;
    TRY(read_key(c, in, &key, &hash));
    for (uint32_t side = 0; side < 2; side++) {
        uint64_t count = read_varint(in);
        for (uint64_t i = 0; i < count && !in->failed; i++) {
            uint64_t sequence = read_varint(in);
            TRY(read_row(c, side, &key, hash, sequence, in));
        }
    }
    return in->failed ? STATUS_CORRUPT : STATUS_OK;
}

static enum status read_part(struct join_part *p, uint32_t partition, struct reader *in, bool snapshot) {
    struct row_check c = {.part = p, .partition = partition};
    for (uint32_t side = 0; side < 2; side++) {
        uint64_t next = read_varint(in);
        if (next < p->next_sequence[side]) return STATUS_CORRUPT;
        p->next_sequence[side] = p->begin_sequence[side] = next;
        p->times[side].is_stale = true;
    }
    uint64_t count = read_varint(in);
    arena_init(&c.arena, p->memory);
    enum status status = begin_checks(&c);
    for (uint64_t i = 0; i < count && status == STATUS_OK && !in->failed; i++) status = snapshot ? read_group(&c, in) : read_entry(&c, in);
    arena_release(&c.arena);
    return status == STATUS_OK && in->failed ? STATUS_CORRUPT : status;
}

enum status join_part_apply(struct join_part *p, uint32_t partition, struct reader *in) {
    for (uint32_t side = 0; side < 2; side++) time_index_clear(&p->times[side]);  // rows that go are in them
    return read_part(p, partition, in, false);
}

enum status join_part_restore(struct join_part *p, uint32_t partition, struct reader *in) {
    join_part_clear(p);
    return read_part(p, partition, in, true);
}
