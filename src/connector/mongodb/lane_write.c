// SPDX-License-Identifier: Apache-2.0
// lane_write.c: what a lane's thread does: transactions, commands, the rows again where a transaction was lost, the commit. See lane.h.
#include "connector/mongodb/lane.h"
#include "base/clock.h"
#include "base/failpoint.h"

static const char writing[] = "writing rows", committing[] = "committing";

enum status lane_fail(struct lane *lane, const struct mongodb_failure *f, const char *doing, struct error *e) {
    enum status status = mongodb_client_error(&lane->store->config, f, doing, e);
    if (f->kind == FAILURE_NETWORK || f->kind == FAILURE_LOGIN || status == STATUS_UNREACHABLE) {
        mongodb_client_free(lane->client);  // another one asks at once, this one would wait some seconds
        lane->client = NULL;
        lane->in_transaction = false;
        lane->store->claimed = false;
    }
    return status;
}

// --- commands ---

static const char *const verbs[] = {"insert", "update", "delete"}, *const lists[] = {"documents", "updates", "deletes"};

static enum status put_statements(const struct parcel *p, struct buffer *b) {
    size_t list;
    const uint8_t *next = p->bytes.data;
    TRY(document_open(b, DOCUMENT_ARRAY, lists[p->kind], &list));
    for (uint32_t i = 0; i < p->rows.count; i++) {
        char key[10];
        uint32_t size_bytes;
        memcpy(&size_bytes, next, 4);
        TRY(document_put(b, DOCUMENT_DOCUMENT, key, document_index(i, key), next, size_bytes));
        next += size_bytes;
    }
    return document_end(b, list);
}

static enum status build_command(struct lane *lane, const struct parcel *p, bool in_transaction) {
    struct buffer *b = &lane->command;
    size_t start;
    buffer_clear(b);
    TRY(buffer_reserve(b, p->bytes.size_bytes + p->rows.count * 7 + 512));
    TRY(document_begin(b, &start));
    TRY(document_put_string(b, verbs[p->kind], p->table->config.collection));
    TRY(document_put_boolean(b, "ordered", false));
    TRY(put_statements(p, b));
    if (!in_transaction) TRY(put_write_concern(lane->store, b));
    return document_end(b, start);
}

// --- transactions ---

static void lose_transaction(struct lane *lane, enum lane_mode next) {
    mongodb_client_abort(lane->client);
    lane->in_transaction = false;
    lane->redo = true;
    lane->redo_mode = next;
    lane->again |= lane->large;
    lane->tries++;
    if (lane->tries >= TRANSACTION_TRIES) lane->redo_mode = LANE_PLAIN;
}

// The server's cache could not hold what was not committed yet: the next ones are shorter.
static bool note_size(struct lane *lane, const struct mongodb_failure *f) {
    enum { WRITE_CONFLICT = 112, TEMPORARILY_UNAVAILABLE = 365, TOO_LARGE = 257, TOO_LARGE_FOR_CACHE = 388 };
    bool size = f->code == TEMPORARILY_UNAVAILABLE || f->code == TOO_LARGE || f->code == TOO_LARGE_FOR_CACHE || (f->code == WRITE_CONFLICT && strstr(f->message, "Rollback"));
    size_t limit = lane->store->transaction_bytes;
    if (size && limit / 2 * lane->store->lane_count >= TRANSACTION_BYTES_LEAST) lane->store->transaction_bytes = limit / 2;
    return size;
}

// The server did not take something of a transaction: it is gone, and the rows are written again, all of them, in another one or without.
static enum status transaction_refused(struct lane *lane, const struct mongodb_failure *f, struct error *e) {
    if (f->kind != FAILURE_SERVER || f->code == 13) return lane_fail(lane, f, writing, e);
    bool another = note_size(lane, f) || f->transient;
    lose_transaction(lane, another ? LANE_TRANSACTION : LANE_PLAIN);
    return STATUS_OK;
}

static enum status begin_transaction(struct lane *lane, struct error *e) {
    struct mongodb_failure f = {0};
    TRY(failpoint("mongodb.begin", e));
    if (!mongodb_client_begin(lane->client, &f)) return lane_fail(lane, &f, "beginning a transaction", e);
    lane->in_transaction = true;
    lane->transaction_bytes = 0;
    lane->begun_us = clock_monotonic_us();
    return STATUS_OK;
}

// The record at the end of a transaction. A process that is no more the owner gets no further: nothing of its rows is committed.
static enum status end_transaction(struct lane *lane, bool done, struct error *e) {
    struct mongodb_failure f;
    enum status status = record_write(lane, done, true, &f, e);
    return status != STATUS_OK && f.kind ? transaction_refused(lane, &f, e) : status;
}

// Asked again while the outcome is not known; after that the connection is given up, and with the next claim it is settled. Where the server says that
// nothing of it was committed, the rows are to be written again.
static enum status commit_transaction(struct lane *lane, struct error *e) {
    struct mongodb_failure f;
    lane->in_transaction = false;
    for (int tries = 0; tries < 3; tries++) {
        if (mongodb_client_commit(lane->client, &f)) return STATUS_OK;
        if (!f.unknown_commit) break;
    }
    if (f.kind == FAILURE_SERVER && !f.unknown_commit) {
        (void)note_size(lane, &f);
        lose_transaction(lane, LANE_TRANSACTION);
        return STATUS_OK;
    }
    if (f.kind == FAILURE_SERVER) f.transient = true;  // whatever it was: the epoch is run again
    return lane_fail(lane, &f, committing, e);
}

// What is in the transaction stays, whatever becomes of the epoch: a run of it that comes after writes the same.
static enum status commit_part(struct lane *lane, struct error *e) {
    TRY(end_transaction(lane, false, e));
    if (lane->redo) return STATUS_OK;
    lane->large = true;
    TRY(commit_transaction(lane, e));
    return failpoint("mongodb.part", e);
}

// A large epoch's inserts, and all of a plain one, are written outside: first it is made sure that the record is ours.
static enum status begin_mode(struct lane *lane, enum lane_mode mode, struct error *e) {
    struct mongodb_failure f = {0};
    if (!lane->client) return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s: the connection was lost", lane->store->config.hosts);
    lane->mode = mode;
    lane->large |= lane->last_bytes > lane->store->transaction_bytes || lane->again;
    if (mode == LANE_TRANSACTION && !lane->large) return STATUS_OK;
    enum status status = record_write(lane, false, false, &f, e);
    return status != STATUS_OK && f.kind ? lane_fail(lane, &f, "writing leat_pipeline", e) : status;
}

// --- replies ---

static bool has_write_errors(const struct buffer *reply, struct document_value *list) {
    return document_find(reply->data, reply->size_bytes, "writeErrors", list) && list->type == DOCUMENT_ARRAY;
}

// The index of a duplicate, for the message: its name is no data.
static void read_index_name(const struct document_value *error, char *out, size_t size_bytes) {
    const char *words = document_find_text(error->bytes, error->size_bytes, "errmsg"), *name = words ? strstr(words, " index: ") : NULL;
    out[0] = 0;
    if (name) snprintf(out, size_bytes, "%.*s", (int)strcspn(name + 8, " "), name + 8);
}

static enum status add_refusal(struct lane *lane, const struct parcel *p, uint32_t position, int32_t code, const struct document_value *error, struct error *e) {
    struct lane_refusal refusal = {.at = *(const struct statement_row *)vector_at(&p->rows, position), .code = code};
    read_index_name(error, refusal.index, sizeof refusal.index);
    return vector_push(&lane->refusals, &refusal) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

static enum status passing_error(struct lane *lane, const struct document_value *error, int32_t code, struct error *e) {
    struct mongodb_failure f = {.kind = FAILURE_SERVER, .code = code};
    const char *words = document_find_text(error->bytes, error->size_bytes, "errmsg");
    snprintf(f.message, sizeof f.message, "%s", words ? words : "");
    return lane_fail(lane, &f, writing, e);
}

static enum status send_statements(struct lane *lane, const struct parcel *p, struct error *e);

enum { CODE_DUPLICATE = 11000 };
static bool is_duplicate(int32_t code) { return code == CODE_DUPLICATE || code == 11001 || code == 12582; }

struct write_errors {
    uint32_t *positions;           // in the parcel
    struct document_value *errors;
    int32_t *codes;
    uint32_t count;
};

// Each error by its position; one that is not the document's own fault ends the epoch.
static enum status read_write_errors(struct lane *lane, const struct parcel *p, const struct document_value *list, struct arena *a, struct write_errors *out, struct error *e) {
    struct document_value item;
    struct document_reader r = document_read(list->bytes, list->size_bytes);
    size_t most = p->rows.count + 1;
    out->positions = arena_alloc_array(a, most, sizeof *out->positions);
    out->errors = arena_alloc_array(a, most, sizeof *out->errors);
    out->codes = arena_alloc_array(a, most, sizeof *out->codes);
    if (!out->positions || !out->errors || !out->codes) return error_no_memory(e);
    while (document_next(&r, &item) && out->count < p->rows.count) {
        if (item.type != DOCUMENT_DOCUMENT) continue;
        int32_t code = (int32_t)document_find_integer(item.bytes, item.size_bytes, "code", 0);
        int64_t position = document_find_integer(item.bytes, item.size_bytes, "index", -1);
        if (mongodb_code_is_passing(code) || code == 13 || code == 14031) return passing_error(lane, &item, code, e);
        if (position < 0 || position >= (int64_t)p->rows.count) return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s refuses a document that it was not given", lane->store->config.hosts);
        out->positions[out->count] = (uint32_t)position;
        out->errors[out->count] = item;
        out->codes[out->count++] = code;
    }
    if (!r.broken) return STATUS_OK;
    return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: an answer that is no BSON", lane->store->config.hosts);
}

static enum status add_removal(struct parcel *removals, const struct document_value *query, struct statement_row at, struct buffer *scratch) {
    size_t start;
    buffer_clear(scratch);
    TRY(document_begin(scratch, &start));
    TRY(document_put(scratch, DOCUMENT_DOCUMENT, "q", 1, query->bytes, query->size_bytes));
    TRY(document_put_int32(scratch, "limit", 1));
    TRY(document_end(scratch, start));
    return parcel_add(removals, scratch->data, at);
}

// The documents of a view's keys whose new rows are refused: what they say is true no more (see put_removal).
static enum status remove_refused(struct lane *lane, const struct parcel *p, const struct write_errors *found, struct error *e) {
    struct mongodb_store *s = lane->store;
    struct parcel *removals = parcel_new(s, p->table, STATEMENT_DELETE);
    const uint8_t *next = p->bytes.data;
    struct document_value query;
    struct buffer scratch;
    enum status status = removals ? STATUS_OK : STATUS_NO_MEMORY;
    buffer_init(&scratch, s->memory);
    for (uint32_t i = 0, size_bytes; i < p->rows.count && status == STATUS_OK; i++, next += size_bytes) {
        uint32_t at = 0;
        memcpy(&size_bytes, next, 4);
        while (at < found->count && found->positions[at] != i) at++;
        if (at < found->count && document_find(next, size_bytes, "q", &query)) status = add_removal(removals, &query, *(const struct statement_row *)vector_at(&p->rows, i), &scratch);
    }
    if (status != STATUS_OK) status = error_no_memory(e);
    else if (removals->rows.count) status = send_statements(lane, removals, e);
    buffer_release(&scratch);
    parcel_free(s, removals);
    return status;
}

// Rows refused one by one. An insert whose document is there already, byte for byte, is of an earlier run of this epoch.
static enum status take_write_errors(struct lane *lane, const struct parcel *p, const struct document_value *list, struct error *e) {
    struct write_errors found = {0};
    struct buffer reply = lane->reply;  // the errors stand in it, and asking for duplicates takes another
    struct arena a;
    uint32_t *duplicates = NULL, count = 0;
    arena_init(&a, lane->store->memory);
    enum status status = read_write_errors(lane, p, list, &a, &found, e);
    if (status == STATUS_OK) {
        duplicates = arena_alloc_array(&a, (size_t)found.count + 1, sizeof *duplicates);
        if (!duplicates) status = error_no_memory(e);
    }
    for (uint32_t i = 0; status == STATUS_OK && p->kind == STATEMENT_INSERT && i < found.count; i++) {
        if (is_duplicate(found.codes[i])) duplicates[count++] = found.positions[i];
    }
    buffer_init(&lane->reply, lane->store->memory);
    if (count) status = lane_check_duplicates(lane, p, duplicates, count, e);
    for (uint32_t i = 0, at = 0; status == STATUS_OK && i < found.count; i++) {
        bool duplicate = p->kind == STATEMENT_INSERT && is_duplicate(found.codes[i]);
        if (duplicate && duplicates[at++] == UINT32_MAX) continue;
        status = add_refusal(lane, p, found.positions[i], found.codes[i], &found.errors[i], e);
    }
    bool views = p->kind == STATEMENT_UPDATE && p->table->sink.request.materialized;
    if (status == STATUS_OK && views) status = remove_refused(lane, p, &found, e);
    buffer_release(&lane->reply);
    lane->reply = reply;
    arena_release(&a);
    return status;
}

// A server that says neither yes nor no of a document is not believed.
static enum status check_count(const struct lane *lane, const struct parcel *p, struct error *e) {
    int64_t taken = document_find_integer(lane->reply.data, lane->reply.size_bytes, "n", -1);
    if (p->kind == STATEMENT_DELETE || taken == (int64_t)p->rows.count) return STATUS_OK;
    return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: an answer that speaks of %lld of %zu documents", lane->store->config.hosts, (long long)taken, p->rows.count);
}

static enum status check_reply(struct lane *lane, const struct parcel *p, bool in_transaction, struct error *e) {
    struct document_value v;
    struct mongodb_failure f = {.kind = FAILURE_SERVER};
    if (has_write_errors(&lane->reply, &v)) {
        if (!in_transaction) return take_write_errors(lane, p, &v, e);
        lose_transaction(lane, LANE_PLAIN);
        return STATUS_OK;
    }
    if (!document_find(lane->reply.data, lane->reply.size_bytes, "writeConcernError", &v) || v.type != DOCUMENT_DOCUMENT) return check_count(lane, p, e);
    const char *words = document_find_text(v.bytes, v.size_bytes, "errmsg");
    f.code = 64;
    snprintf(f.message, sizeof f.message, "written, but not by as many nodes as writeConcern.w asks for: %.200s", words ? words : "");
    return lane_fail(lane, &f, writing, e);
}

static bool transaction_is_full(const struct lane *lane, const struct parcel *p) {
    if (!lane->in_transaction || !lane->transaction_bytes) return false;
    return lane->transaction_bytes + p->bytes.size_bytes > lane->store->transaction_bytes || clock_monotonic_us() - lane->begun_us > TRANSACTION_US;
}

static enum status send_statements(struct lane *lane, const struct parcel *p, struct error *e) {
    struct mongodb_failure f;
    TRY(failpoint("mongodb.write", e));
    if (transaction_is_full(lane, p) || (lane->in_transaction && lane->again && p->kind == STATEMENT_INSERT)) TRY(commit_part(lane, e));
    if (lane->redo) return STATUS_OK;
    bool inside = lane->in_transaction || (lane->mode == LANE_TRANSACTION && !(lane->large && p->kind == STATEMENT_INSERT));
    if (inside && !lane->in_transaction) TRY(begin_transaction(lane, e));
    if (inside) lane->transaction_bytes += p->bytes.size_bytes;
    if (build_command(lane, p, inside) != STATUS_OK) return error_no_memory(e);
    if (mongodb_client_command(lane->client, lane->store->config.database, &lane->command, inside, &lane->reply, &f)) return check_reply(lane, p, inside, e);
    return inside ? transaction_refused(lane, &f, e) : lane_fail(lane, &f, writing, e);
}

enum status lane_send(struct lane *lane, struct parcel *p, struct error *e) {
    struct mongodb_store *s = lane->store;
    if (lane->skipped) return STATUS_OK;
    lane->epoch_bytes += p->bytes.size_bytes;
    if (lane->redo) return STATUS_OK;
    if (lane->mode == LANE_UNTOUCHED) TRY(begin_mode(lane, s->transactions ? LANE_TRANSACTION : LANE_PLAIN, e));
    return send_statements(lane, p, e);
}

// --- rows again ---

struct redoing {
    struct lane *lane;
    struct mongodb_table *table;
    uint32_t held;
    struct parcel *parcels[STATEMENT_KINDS];  // of the table
};

static enum status send_again(struct redoing *r, enum statement_kind kind, struct error *e) {
    struct parcel *p = r->parcels[kind];
    r->parcels[kind] = NULL;
    enum status status = p && !r->lane->redo ? send_statements(r->lane, p, e) : STATUS_OK;
    parcel_free(r->lane->store, p);
    return status;
}

static enum status send_all_again(struct redoing *r, struct error *e) {
    for (int kind = 0; kind < STATEMENT_KINDS; kind++) TRY(send_again(r, (enum statement_kind)kind, e));
    return STATUS_OK;
}

static enum status put_again(void *context, uint32_t lane, enum statement_kind kind, const uint8_t *document, uint32_t row, struct error *e) {
    struct redoing *r = context;
    struct parcel **p = &r->parcels[kind];
    uint32_t size_bytes;
    (void)lane;
    memcpy(&size_bytes, document, 4);
    if (*p && (*p)->bytes.size_bytes + size_bytes > 4 * PARCEL_BYTES) TRY(send_again(r, kind, e));
    if (!*p) *p = parcel_new(r->lane->store, r->table, kind);
    if (!*p || parcel_add(*p, document, (struct statement_row){.held = r->held, .row = row}) != STATUS_OK) return error_no_memory(e);
    return parcel_is_full(*p) ? send_again(r, kind, e) : STATUS_OK;
}

static enum status redo_once(struct lane *lane, struct error *e) {
    struct mongodb_store *s = lane->store;
    struct redoing r = {.lane = lane};
    enum status status = STATUS_OK;
    lane->redo = false;
    vector_clear(&lane->refusals);
    TRY(begin_mode(lane, lane->redo_mode, e));
    for (struct mongodb_table *t = s->tables; t && status == STATUS_OK && !lane->redo; t = t->next) {
        r.table = t;
        for (uint32_t i = 0; i < s->held.count && status == STATUS_OK && !lane->redo; i++) {
            const struct held_batch *h = vector_at(&s->held, i);
            r.held = i;
            if (h->table == t) status = table_encode(t, h->batch, lane->index, &lane->scratch, put_again, NULL, NULL, &r, e);
        }
        if (status == STATUS_OK) status = send_all_again(&r, e);
        for (int kind = 0; kind < STATEMENT_KINDS; kind++) {
            parcel_free(s, r.parcels[kind]);
            r.parcels[kind] = NULL;
        }
    }
    return status;
}

enum status lane_flush(struct mongodb_store *s, struct lane *lane, struct error *e) {
    if (lane->error.status != STATUS_OK || lane->skipped) return STATUS_OK;  // told already
    do {
        if (lane->redo) {
            log_write(s->log, LOG_DEBUG, "MongoDB at %s, lane %u: the rows of epoch %llu are written again %s", s->config.hosts, lane->index, (unsigned long long)s->epoch.record.epoch,
                      lane->redo_mode == LANE_PLAIN ? "one by one" : "in another transaction");
            TRY(redo_once(lane, e));
        }
        if (!lane->redo && lane->in_transaction) TRY(end_transaction(lane, true, e));
    } while (lane->redo);
    return STATUS_OK;
}

// --- the end of an epoch ---

static enum status record_alone(struct lane *lane, struct error *e) {
    struct mongodb_failure f;
    enum status status = record_write(lane, true, false, &f, e);
    return status != STATUS_OK && f.kind ? lane_fail(lane, &f, "writing leat_pipeline", e) : status;
}

// A transaction that is lost only now is written again. What was taken in it is taken again, unless somebody else has come between: then the epoch is
// run again. *recorded: the record was in it.
static enum status commit_rows(struct lane *lane, bool *recorded, struct error *e) {
    while (lane->in_transaction) {
        TRY(commit_transaction(lane, e));
        *recorded = !lane->redo;
        if (!lane->redo) break;
        TRY(lane_flush(lane->store, lane, e));
        if (lane->refusals.count) return error_set(e, STATUS_UNREACHABLE, "LEAT_STORE_FAILED", "MongoDB at %.200s refuses a row that it took before", lane->store->config.hosts);
    }
    return STATUS_OK;
}

enum status lane_commit(struct mongodb_store *s, struct lane *lane, struct error *e) {
    bool recorded = false;
    if (lane->skipped) return STATUS_OK;
    TRY(failpoint("mongodb.commit", e));
    if (!lane->client) return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s: the connection was lost", s->config.hosts);
    TRY(commit_rows(lane, &recorded, e));
    if (!recorded) TRY(record_alone(lane, e));
    lane->record = s->epoch.record;
    lane->skipped = true;
    lane->last_bytes = lane->epoch_bytes;
    return failpoint("mongodb.committed", e);
}

enum status lane_abort(struct mongodb_store *s, struct lane *lane, struct error *e) {
    (void)s, (void)e;
    if (lane->in_transaction) mongodb_client_abort(lane->client);
    lane->in_transaction = false;
    return STATUS_OK;
}
