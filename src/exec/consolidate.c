// SPDX-License-Identifier: Apache-2.0
// consolidate.c: before a sink with a key: exactly one upsert (+1) or delete (−1) per key and epoch.
//
//     over rows that can be taken back    equal rows with +1 and −1 cancel; what is left of a key is its upsert, or, if only a −1 is left,
//                                         its delete. More than one live row: the first stays, the others are dead (KEY_NOT_UNIQUE)
//     over rows that only come            the last row of a key wins, the replaced ones are counted as merged
//
// Rows wait by reference until finish and leave in their own batches, narrowed: origin and raw bytes go along. Workers settle a key partition
// each; who settles the last one lets the rows go, in order. Whether a key had a live row in an earlier epoch is not known here.
#include "column/value.h"
#include "exec/row_store.h"
#include "exec/state_table.h"
#include <stdlib.h>

struct consolidate_self {
    struct row_store rows;         // extra: struct key_batch *
    const struct program *program; // the keys
    struct key_layout layout;
    uint32_t key_count;
    bool retracts;
    struct waiting_row *list;      // of all rows, in order
    uint64_t list_count;
    uint64_t counts[KEY_PARTITIONS];  // rows of each
    _Atomic uint32_t settled;      // partitions
};

// What waits for a key: rows chained in order, 0 ends.
struct waiting_key {
    uint32_t first, last;          // into the list of rows, + 1
    uint32_t count;
    uint32_t unused;
};

struct waiting_row {
    struct row_ref row;
    uint32_t next;                 // + 1
    int8_t weight;
    uint8_t verdict;
};

enum verdict { VERDICT_DROP, VERDICT_EMIT, VERDICT_DEAD };

static enum status consolidate_open(struct operator *op, struct error *e) {
    struct execution *x = op->execution;
    struct arena *a = &x->arena;
    const struct plan_node *node = op->node, *input = node->inputs[0];
    struct consolidate_self *self = arena_alloc_zeroed(a, sizeof *self);
    if (!self) return error_no_memory(e);
    bool by_expression = node->expr_count && node->key_count;
    self->key_count = by_expression ? node->key_count : node->unique_key_count;
    self->retracts = input->changes == CHANGES_RETRACT;
    const struct type **types = arena_alloc_array(a, self->key_count + 1, sizeof *types);
    struct expr **keys = arena_alloc_array(a, self->key_count + 1, sizeof *keys);
    if (!types || !keys) return error_no_memory(e);
    for (uint32_t i = 0; i < self->key_count; i++) {
        if (by_expression) {
            keys[i] = node->exprs[i];
        } else {
            uint32_t ordinal = node->unique_key[i];
            if (ordinal >= input->attribute_count) return error_set(e, STATUS_INTERNAL, NULL, "a key column does not exist");
            keys[i] = expr_column(a, ordinal, input->attributes[ordinal].type, input->attributes[ordinal].nullable);
            if (!keys[i]) return error_no_memory(e);
        }
        types[i] = keys[i]->type;
    }
    key_layout_init(&self->layout, types, self->key_count);
    op->self = self;
    TRY(row_store_init(&self->rows, x, e));
    return program_compile(a, x->config.session, keys, self->key_count, NULL, &self->program, e);
}

static enum status consolidate_push(struct operator *op, struct worker *w, uint32_t input_index, struct batch *b) {
    (void)input_index;
    struct consolidate_self *self = op->self;
    struct batch *d = batch_derive(b, op->execution->memory, b->column_count);
    if (!d) return worker_no_memory(w);
    memcpy(d->columns, b->columns, sizeof *b->columns * b->column_count);
    struct key_batch *keys = arena_alloc_zeroed(&d->arena, sizeof *keys);
    struct column *columns = arena_alloc_array(&d->arena, self->key_count + 1, sizeof *columns);
    struct rows rows = batch_rows(b), kept = rows;
    enum status status = keys && columns ? STATUS_OK : worker_no_memory(w);
    if (status == STATUS_OK && self->key_count) {
        status = worker_run(w, self->program, b, &d->arena, columns);
        if (status == STATUS_OK) status = worker_drop_failed(w, op, b, &rows, &d->arena, &kept);
    }
    if (status == STATUS_OK && key_batch_make(&self->layout, columns, &kept, &d->arena, op->execution->memory, keys) != STATUS_OK) status = worker_no_memory(w);
    if (status != STATUS_OK) {
        batch_unref(d);
        return status;
    }
    d->selection = kept.indices;
    d->selected_count = kept.count;
    return row_store_keep(&self->rows, w, d, b->sequence, 0, keys);
}

static void free_list(struct operator *op) {
    struct consolidate_self *self = op->self;
    if (self->list) memory_free(op->execution->memory, self->list, self->list_count * sizeof *self->list);
    self->list = NULL;
    self->list_count = 0;
}

static enum status consolidate_prepare(struct operator *op, struct error *e) {
    struct consolidate_self *self = op->self;
    free_list(op);
    self->settled = 0;
    memset(self->counts, 0, sizeof self->counts);
    if (row_store_merge(&self->rows) != STATUS_OK) return error_no_memory(e);
    uint64_t count = self->rows.row_count;
    if (!count) return STATUS_OK;
    if (count >= UINT32_MAX) return error_set(e, STATUS_LIMIT, NULL, "an epoch has too many rows for one table");
    self->list = memory_alloc_zeroed(op->execution->memory, count * sizeof *self->list);
    if (!self->list) return error_no_memory(e);
    self->list_count = count;
    for (uint32_t i = 0; i < self->rows.all.count; i++) {
        const struct kept_batch *kept = row_store_at(&self->rows, i);
        const struct key_batch *keys = kept->extra;
        for (uint32_t k = 0; k < kept->batch->selected_count; k++) self->counts[key_partition(keys->hashes[k])]++;
    }
    return STATUS_OK;
}

static enum status chain_rows(struct consolidate_self *self, struct hash_table *table, uint32_t p) {
    uint32_t n = 0;
    if (!table_reserve(table, self->counts[p])) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < self->rows.all.count; i++) {
        const struct kept_batch *kept = row_store_at(&self->rows, i);
        const struct key_batch *keys = kept->extra;
        struct rows rows = batch_rows(kept->batch);
        for (uint32_t k = 0; k < rows.count; k++, n++) {
            if (key_partition(keys->hashes[k]) != p) continue;
            bool added;
            struct group *g = table_find_or_add(table, &keys->keys[k], keys->hashes[k], &added);
            if (!g) return STATUS_NO_MEMORY;
            struct waiting_key *key = group_state(g, 0);
            uint32_t row = rows_at(&rows, k);
            self->list[n] = (struct waiting_row){.row = {.batch = i, .row = row}, .weight = (int8_t)batch_weight(kept->batch, row)};
            if (key->last) self->list[key->last - 1].next = n + 1;
            else key->first = n + 1;
            key->last = n + 1;
            key->count++;
        }
    }
    return STATUS_OK;
}

struct image {                 // one row of a key, as bytes
    const char *bytes;
    size_t size_bytes;
    uint32_t row;              // in the list
};

static int image_order(const void *a, const void *b) {
    const struct image *x = a, *y = b;
    size_t shorter = x->size_bytes < y->size_bytes ? x->size_bytes : y->size_bytes;
    int order = shorter ? memcmp(x->bytes, y->bytes, shorter) : 0;
    if (!order) order = (x->size_bytes > y->size_bytes) - (x->size_bytes < y->size_bytes);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static bool same_image(const struct image *a, const struct image *b) {
    return a->size_bytes == b->size_bytes && (!a->size_bytes || memcmp(a->bytes, b->bytes, a->size_bytes) == 0);
}

static enum status make_image(struct consolidate_self *self, const struct waiting_row *list, uint32_t row, struct arena *a, struct buffer *bytes,
                              struct image *out) {
    const struct batch *b = row_store_at(&self->rows, list[row].row.batch)->batch;
    buffer_clear(bytes);
    for (uint32_t c = 0; c < b->column_count; c++) TRY(value_write(&b->columns[c], list[row].row.row, bytes));
    char *kept = arena_strndup(a, bytes->size_bytes ? (const char *)bytes->data : "", bytes->size_bytes);
    *out = (struct image){.bytes = kept, .size_bytes = bytes->size_bytes, .row = row};
    return kept ? STATUS_OK : STATUS_NO_MEMORY;
}

// Marks rows that stay after equal ones with opposite weights cancelled: the last +w copies of a value, or one −1.
static void cancel_run(struct waiting_row *list, const struct image *images, uint32_t begin, uint32_t end) {
    int64_t sum = 0;
    for (uint32_t i = begin; i < end; i++) sum += list[images[i].row].weight;
    for (uint32_t i = end; i-- > begin && sum != 0;) {
        struct waiting_row *r = &list[images[i].row];
        if ((r->weight > 0) != (sum > 0)) continue;
        r->verdict = VERDICT_EMIT;
        sum += sum > 0 ? -1 : 1;
    }
}

static bool same_values(const struct batch *a, uint32_t a_row, const struct batch *b, uint32_t b_row) {
    for (uint32_t c = 0; c < a->column_count; c++) {
        if (!value_equal(&a->columns[c], a_row, &b->columns[c], b_row)) return false;
    }
    return true;
}

// The usual case, a group that changed: one −1 and one +1. Equal rows cancel; else the +1 is the upsert. False: it is another case.
static bool settle_pair(struct consolidate_self *self, struct waiting_row *list, const struct waiting_key *key) {
    if (key->count != 2) return false;
    struct waiting_row *x = &list[key->first - 1], *y = &list[key->last - 1];
    if (x->weight + y->weight != 0) return false;
    const struct batch *a = row_store_at(&self->rows, x->row.batch)->batch, *b = row_store_at(&self->rows, y->row.batch)->batch;
    if (!same_values(a, x->row.row, b, y->row.row)) (x->weight > 0 ? x : y)->verdict = VERDICT_EMIT;
    return true;
}

static enum status settle_retracting(struct consolidate_self *self, struct waiting_row *list, const struct waiting_key *key, struct arena *a,
                                     struct buffer *bytes) {
    struct image *images = arena_alloc_array(a, key->count, sizeof *images);
    if (!images) return STATUS_NO_MEMORY;
    uint32_t n = 0;
    for (uint32_t row = key->first; row; row = list[row - 1].next) TRY(make_image(self, list, row - 1, a, bytes, &images[n++]));
    qsort(images, n, sizeof *images, image_order);
    for (uint32_t begin = 0; begin < n;) {
        uint32_t end = begin + 1;
        while (end < n && same_image(&images[begin], &images[end])) end++;
        cancel_run(list, images, begin, end);
        begin = end;
    }
    bool live = false, deleted = false;
    for (uint32_t row = key->first; row; row = list[row - 1].next) {
        struct waiting_row *r = &list[row - 1];
        if (r->verdict != VERDICT_EMIT || r->weight < 0) continue;
        r->verdict = live ? VERDICT_DEAD : VERDICT_EMIT;
        live = true;
    }
    for (uint32_t row = key->first; row; row = list[row - 1].next) {  // an upsert replaces; else one delete is enough
        struct waiting_row *r = &list[row - 1];
        if (r->verdict != VERDICT_EMIT || r->weight > 0) continue;
        if (live || deleted) r->verdict = VERDICT_DROP;
        deleted = true;
    }
    return STATUS_OK;
}

static enum status settle(struct consolidate_self *self, struct hash_table *table, struct waiting_row *list, struct arena *a, struct memory *memory) {
    struct buffer bytes;
    buffer_init(&bytes, memory);
    enum status status = STATUS_OK;
    for (size_t i = 0; i < table->slot_count && status == STATUS_OK; i++) {
        if (!table_slot_is_live(&table->slots[i])) continue;
        const struct waiting_key *key = group_state(table->slots[i].group, 0);
        if (!self->retracts || key->count == 1) {
            list[key->last - 1].verdict = VERDICT_EMIT;
            continue;
        }
        if (settle_pair(self, list, key)) continue;
        status = settle_retracting(self, list, key, a, &bytes);
        arena_reset(a);
    }
    buffer_release(&bytes);
    return status;
}

static enum status report_dead(struct operator *op, struct worker *w, struct batch *b, uint32_t row) {
    const struct dead_handler *dead = &op->execution->config.dead;
    struct row_error why = {.row = (uint16_t)row, .condition = "KEY_NOT_UNIQUE", .message = "another row of this epoch has the same key"};
    operator_count(op, w, FATE_DEAD, 1);
    if (!dead->row) return STATUS_OK;
    enum status status = dead->row(dead->context, op->node, op->flow_name, b, row, &why, &w->error);
    if (status != STATUS_OK) w->failed = true;
    return status;
}

static enum status emit_settled(struct operator *op, struct worker *w, const struct waiting_row *list) {
    struct consolidate_self *self = op->self;
    uint32_t n = 0;
    for (uint32_t i = 0; i < self->rows.all.count; i++) {
        struct batch *b = row_store_at(&self->rows, i)->batch;
        uint16_t *selection = arena_alloc(&b->arena, sizeof *selection * (b->selected_count + 1));
        if (!selection) return worker_no_memory(w);
        struct rows rows = batch_rows(b);
        uint32_t kept = 0;
        for (uint32_t k = 0; k < rows.count; k++, n++) {
            uint32_t row = rows_at(&rows, k);
            if (list[n].verdict == VERDICT_EMIT) selection[kept++] = (uint16_t)row;
            else if (list[n].verdict == VERDICT_DEAD) TRY(report_dead(op, w, b, row));
            else operator_count(op, w, FATE_MERGED, 1);
        }
        b->selection = selection;
        b->selected_count = kept;
        operator_count(op, w, FATE_PASSED, kept);
        TRY(operator_emit(op, w, b));
    }
    return STATUS_OK;
}

static enum status consolidate_finish(struct operator *op, struct worker *w, uint32_t p) {
    struct consolidate_self *self = op->self;
    struct memory *memory = op->execution->memory;
    if (!self->list) return STATUS_OK;
    struct hash_table table;
    struct arena a;
    table_init(&table, memory, sizeof(struct waiting_key));
    arena_init(&a, memory);
    enum status status = self->counts[p] ? chain_rows(self, &table, p) : STATUS_OK;
    if (status == STATUS_OK) status = settle(self, &table, self->list, &a, memory);
    arena_release(&a);
    table_release(&table);
    if (status != STATUS_OK) return worker_no_memory(w);
    if (++self->settled < KEY_PARTITIONS) return STATUS_OK;
    status = emit_settled(op, w, self->list);
    free_list(op);
    row_store_clear(&self->rows);
    return status;
}

static enum status consolidate_rollback(struct operator *op, struct error *e) {
    (void)e;
    free_list(op);
    row_store_clear(&((struct consolidate_self *)op->self)->rows);
    return STATUS_OK;
}

static void consolidate_close(struct operator *op) {
    free_list(op);
    row_store_release(&((struct consolidate_self *)op->self)->rows);
}

const struct operator_class consolidate_class = {
    .name = "Consolidate", .partition_count = KEY_PARTITIONS, .open = consolidate_open, .push = consolidate_push, .prepare = consolidate_prepare,
    .finish = consolidate_finish, .rollback = consolidate_rollback, .close = consolidate_close,
};
