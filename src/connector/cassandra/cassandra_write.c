// SPDX-License-Identifier: Apache-2.0
// cassandra_write.c: rows into requests, and what becomes of those that are refused.
//
// A row is bound once, into a request of its own; its token says which group it may travel with. A group of one is sent as it is, one of several
// as an unlogged batch of at most 10 rows and 4 KiB, below what the server warns of. A parcel goes with each request: which rows of which batch
// are in it, so that they can be bound again or handed back. Groups live for one call of write: there is nothing to share between workers.
#include "base/failpoint.h"
#include "connector/cassandra/cassandra_sink.h"
#include <stdio.h>

enum { GROUPS_MAX = 32, SETTLE_AT = 32, KEY_BYTES_MAX = 65535 };

struct cassandra_parcel {
    struct cassandra_parcel *next;
    struct cassandra_store *store;
    struct cassandra_table *table;
    struct batch *batch;               // held
    refuse_row refuse;
    void *context;
    struct error *error;               // of a failed one
    uint32_t count;
    uint16_t rows[CASSANDRA_BATCH_ROWS_MAX];
};

static struct cassandra_parcel *parcel_new(struct cassandra_store *s) {
    pthread_mutex_lock(&s->mutex);
    struct cassandra_parcel *p = s->spare;
    if (p) s->spare = p->next;
    pthread_mutex_unlock(&s->mutex);
    if (!p) p = memory_alloc(s->memory, sizeof *p);
    if (p) *p = (struct cassandra_parcel){.store = s};
    return p;
}

static void parcel_free(struct cassandra_parcel *p) {
    struct cassandra_store *s = p->store;
    batch_unref(p->batch);
    if (p->error) memory_free(s->memory, p->error, sizeof *p->error);
    pthread_mutex_lock(&s->mutex);
    p->next = s->spare;
    s->spare = p;
    pthread_mutex_unlock(&s->mutex);
}

void cassandra_free_parcels(struct cassandra_store *s) {
    cassandra_forget_failures(s);
    for (struct cassandra_parcel *p = s->spare, *next; p; p = next) {
        next = p->next;
        memory_free(s->memory, p, sizeof *p);
    }
    s->spare = NULL;
}

static void on_done(void *context, const struct error *error) {
    struct cassandra_parcel *p = context;
    if (!error) {
        parcel_free(p);
        return;
    }
    p->error = memory_alloc(p->store->memory, sizeof *p->error);  // NULL: reported as such when it is settled
    if (p->error) *p->error = *error;
    pthread_mutex_lock(&p->store->mutex);
    p->next = p->store->failed;
    p->store->failed = p;
    p->store->failed_count++;
    pthread_mutex_unlock(&p->store->mutex);
}

// --- one row ---

struct refusal {
    const char *condition;             // NULL: none
    char message[320];
};

static void refuse_value(struct refusal *why, const char *condition, const struct cassandra_table *t, uint32_t ordinal, const char *reason) {
    why->condition = condition;
    snprintf(why->message, sizeof why->message, "column `%.100s`: %s", t->names[ordinal], reason);
}

static bool bind_key(const struct cassandra_table *t, uint32_t ordinal, const struct column *c, uint32_t row, struct cql_request *r, struct refusal *why) {
    const char *reason;
    size_t before = r->size_bytes;
    if (!t->columns[ordinal].encoder.bind(&t->columns[ordinal].encoder, c, row, r, &reason)) {
        refuse_value(why, "LEAT_CASSANDRA_ROW_REFUSED", t, ordinal, reason);
        return false;
    }
    size_t size_bytes = r->size_bytes - before - 4;
    if (r->failed || (size_bytes <= KEY_BYTES_MAX && (size_bytes > 0 || !t->single_partition_key || ordinal != t->partition_ordinal))) return true;
    if (size_bytes) refuse_value(why, "LEAT_ROW_TOO_BIG", t, ordinal, "a value of the key is longer than 65535 bytes, which Cassandra cannot hold");
    else refuse_value(why, "LEAT_NULL_KEY", t, ordinal, "the key is empty, and Cassandra cannot hold a partition with an empty key");
    return false;
}

static bool bind_column(const struct cassandra_table *t, uint32_t ordinal, const struct column *c, uint32_t row, struct cql_request *r, struct refusal *why) {
    bool is_key = t->columns[ordinal].is_key;
    if (!column_is_valid(c, row)) {
        if (is_key) refuse_value(why, "LEAT_NULL_KEY", t, ordinal, "the key is NULL, and Cassandra cannot hold a row without it");
        else if (t->settings.ignore_nulls) cql_bind_unset(r);
        else cql_bind_null(r);
        return !is_key;
    }
    if (is_key) return bind_key(t, ordinal, c, row, r, why);
    const char *reason;
    if (t->columns[ordinal].encoder.bind(&t->columns[ordinal].encoder, c, row, r, &reason)) return true;
    refuse_value(why, "LEAT_CASSANDRA_ROW_REFUSED", t, ordinal, reason);
    return false;
}

static bool bind_row(const struct cassandra_table *t, const struct batch *b, uint32_t row, struct cql_request *r, struct refusal *why) {
    const struct sink_request *request = &t->sink.request;
    int64_t clock_us = t->owner->epoch.clock_us;
    if (batch_weight(b, row) > 0) {
        for (uint32_t i = 0; i < request->schema->field_count; i++) {
            if (!bind_column(t, i, &b->columns[i], row, r, why)) return false;
        }
        cql_bind_int64(r, clock_us);
        return true;
    }
    cql_bind_int64(r, clock_us);
    for (uint32_t k = 0; k < request->key_count; k++) {
        if (!bind_column(t, request->key[k], &b->columns[request->key[k]], row, r, why)) return false;
    }
    return true;
}

// The row goes to leat_dead; or the pipeline is to stop on it.
static enum status give_back(const struct cassandra_table *t, refuse_row refuse, void *context, const struct batch *b, uint32_t row, const char *condition, const char *message,
                             struct error *e) {
    enum status status = refuse(context, b, row, condition, message);
    return status == STATUS_OK ? status : error_set(e, status, condition, "table `%.100s`: %.800s", t->sink.request.table_name, message);
}

static struct cql_request *new_request(const struct cassandra_table *t, bool insert) {
    struct cql_request *r = cql_request_begin(t->owner->session, insert ? t->insert : t->remove);
    if (!r) return NULL;
    r->idempotent = true;
    r->consistency = t->settings.consistency;
    return r;
}

// The same statement, its values bound anew.
static void rewind_request(struct cql_request *r) {
    r->size_bytes = 0;
    r->value_count = r->depth = 0;
}

static void add_bound(const struct cassandra_table *t, struct cql_request *batch, const struct cql_request *row, bool insert) {
    cql_batch_add(batch, insert ? t->insert : t->remove);
    cql_append(batch, row->bytes, row->size_bytes);
    batch->value_count = row->value_count;
}

// --- groups ---

struct group {
    struct cql_request *request;       // NULL: free
    struct cassandra_parcel *parcel;
    int64_t token_or_range;
    uint64_t since;
};

struct writing {
    struct cassandra_table *table;
    struct batch *batch;
    refuse_row refuse;
    void *context;
    struct cql_request *scratch[2];    // of a DELETE, of an INSERT; NULL: to be made
    struct group groups[GROUPS_MAX];
    uint64_t sequence;
    struct error *e;
};

static void send_group(struct writing *w, struct group *g) {
    if (!g->request) return;
    cql_submit(w->table->owner->session, g->request, on_done, g->parcel);
    *g = (struct group){0};
}

static enum status start_group(struct writing *w, struct group *g, int64_t place) {
    struct cassandra_parcel *p = parcel_new(w->table->owner);
    if (!p) return error_no_memory(w->e);
    p->table = w->table;
    p->batch = batch_ref(w->batch);
    p->refuse = w->refuse;
    p->context = w->context;
    *g = (struct group){.parcel = p, .token_or_range = place, .since = w->sequence++};
    return STATUS_OK;
}

// The group of this place, a free one, or the oldest, which is sent.
static struct group *find_group(struct writing *w, int64_t place) {
    struct group *best = NULL;
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        struct group *g = &w->groups[i];
        if (g->request && g->token_or_range == place) return g;
        if (!best || (best->request && (!g->request || g->since < best->since))) best = g;
    }
    send_group(w, best);
    return best;
}

static int64_t place_of(const struct cassandra_table *t, const struct cql_request *r) {
    int64_t token;
    if (!cql_request_token(r, &token)) return 0;
    return t->settings.grouping == CASSANDRA_GROUP_PARTITION ? token : (int64_t)cql_token_range(t->owner->session, token);
}

// The first row of a group travels as it is; a second makes a batch of them.
static enum status join_group(struct writing *w, struct group *g, const struct cql_request *row, bool insert) {
    if (g->parcel->count == 1) {
        struct cql_request *batch = cql_batch_begin(w->table->owner->session, CQL_BATCH_UNLOGGED);
        if (!batch) return error_no_memory(w->e);
        batch->idempotent = true;
        batch->consistency = w->table->settings.consistency;
        add_bound(w->table, batch, g->request, batch_weight(w->batch, g->parcel->rows[0]) > 0);
        cql_request_release(w->table->owner->session, g->request);
        g->request = batch;
    }
    add_bound(w->table, g->request, row, insert);
    return g->request->failed ? error_no_memory(w->e) : STATUS_OK;
}

static enum status send_row(struct writing *w, struct cql_request **scratch, uint32_t row) {
    const struct cassandra_settings *s = &w->table->settings;
    int64_t place = s->batch_rows > 1 ? place_of(w->table, *scratch) : 0;
    struct group *g = find_group(w, place);
    bool full = g->request && (g->parcel->count >= s->batch_rows || g->request->size_bytes + (*scratch)->size_bytes > s->batch_bytes);
    if (full) send_group(w, g);
    if (!g->request) {
        TRY(start_group(w, g, place));
        g->request = *scratch;
        *scratch = NULL;
    } else {
        TRY(join_group(w, g, *scratch, batch_weight(w->batch, row) > 0));
    }
    g->parcel->rows[g->parcel->count++] = (uint16_t)row;
    return STATUS_OK;
}

static enum status write_row(struct writing *w, uint32_t row) {
    bool insert = batch_weight(w->batch, row) > 0;
    struct cql_request **scratch = &w->scratch[insert];
    struct refusal why = {0};
    if (*scratch) rewind_request(*scratch);
    else *scratch = new_request(w->table, insert);
    if (!*scratch) return error_no_memory(w->e);
    bool bound = bind_row(w->table, w->batch, row, *scratch, &why);
    if ((*scratch)->failed) return error_no_memory(w->e);
    return bound ? send_row(w, scratch, row) : give_back(w->table, w->refuse, w->context, w->batch, row, why.condition, why.message, w->e);
}

enum status cassandra_write(struct cassandra_table *t, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    struct writing w = {.table = t, .batch = b, .refuse = refuse, .context = context, .e = e};
    struct cassandra_store *s = t->owner;
    struct rows rows = batch_rows(b);
    enum status status = STATUS_OK;
    for (uint32_t i = 0; i < rows.count && status == STATUS_OK; i++) status = write_row(&w, rows_at(&rows, i));
    for (size_t i = 0; i < GROUPS_MAX; i++) {
        if (status == STATUS_OK) send_group(&w, &w.groups[i]);
        if (!w.groups[i].parcel) continue;
        if (w.groups[i].request) cql_request_release(s->session, w.groups[i].request);
        parcel_free(w.groups[i].parcel);
    }
    for (size_t i = 0; i < 2; i++) cql_request_release(s->session, w.scratch[i]);
    TRY(status);
    TRY(failpoint("cassandra.write", e));
    pthread_mutex_lock(&s->mutex);
    bool many = s->failed_count >= SETTLE_AT;
    pthread_mutex_unlock(&s->mutex);
    return many ? cassandra_settle(s, e) : STATUS_OK;
}

// --- refusals ---

static enum status hand_back(const struct cassandra_parcel *p, uint32_t row, const struct error *why, struct error *e) {
    char message[600];
    bool large = strstr(why->message, "exceeds allowed maximum") || strstr(why->message, "over the limit") || strstr(why->message, "too large");
    snprintf(message, sizeof message, "Cassandra refuses the row: %.550s", why->message);
    return give_back(p->table, p->refuse, p->context, p->batch, row, large ? "LEAT_ROW_TOO_BIG" : "LEAT_CASSANDRA_ROW_REFUSED", message, e);
}

// Something is wrong with the table or with its use: what, says a look at its schema.
static enum status explain(const struct cassandra_parcel *p, const struct error *why, struct error *e) {
    const char *name = p->table->sink.request.table_name;
    if (why->status == STATUS_INVALID_QUERY || why->status == STATUS_CONFLICT) {
        enum status status = cassandra_match_again(p->table, e);
        if (status != STATUS_OK) return status;
    }
    enum status judged = cassandra_judge(why);
    if (!e) return judged;
    *e = *why;
    e->status = cassandra_passing(why->status, e);
    snprintf(e->message, sizeof e->message, "`%.100s`: %.850s", name, why->message);
    if (why->status == STATUS_CONFLICT) {  // another table fits too, but not what was bound for the one before
        e->status = STATUS_IO;
        snprintf(e->message, sizeof e->message, "`%.100s`: the table was made anew with other types while rows were written", name);
        error_set_hint(e, "nothing is lost: start leat again, and it goes on with this epoch");
    }
    return e->status;
}

static bool is_of_rows(const struct error *why) { return cassandra_judge(why) == STATUS_DATA; }

static enum status write_alone(const struct cassandra_parcel *p, uint32_t row, struct error *e) {
    struct cql_request *r = new_request(p->table, batch_weight(p->batch, row) > 0);
    struct refusal refusal = {0};
    struct error why = {0};
    if (!r) return error_no_memory(e);
    if (!bind_row(p->table, p->batch, row, r, &refusal)) {
        cql_request_release(p->store->session, r);
        return give_back(p->table, p->refuse, p->context, p->batch, row, refusal.condition, refusal.message, e);
    }
    if (cql_execute(p->store->session, r, &why) == STATUS_OK) return STATUS_OK;
    return is_of_rows(&why) ? hand_back(p, row, &why, e) : explain(p, &why, e);
}

static enum status settle_one(const struct cassandra_parcel *p, struct error *e) {
    if (!p->error) return error_no_memory(e);
    if (!is_of_rows(p->error) && cassandra_judge(p->error) != STATUS_IO) return explain(p, p->error, e);
    if (p->count == 1) return is_of_rows(p->error) ? hand_back(p, p->rows[0], p->error, e) : explain(p, p->error, e);
    for (uint32_t i = 0; i < p->count; i++) TRY(write_alone(p, p->rows[i], e));
    return STATUS_OK;
}

static struct cassandra_parcel *take_failures(struct cassandra_store *s) {
    pthread_mutex_lock(&s->mutex);
    struct cassandra_parcel *first = s->failed;
    s->failed = NULL;
    s->failed_count = 0;
    pthread_mutex_unlock(&s->mutex);
    return first;
}

enum status cassandra_settle(struct cassandra_store *s, struct error *e) {
    enum status status = STATUS_OK;
    for (struct cassandra_parcel *p = take_failures(s), *next; p; p = next) {
        next = p->next;
        if (status == STATUS_OK) status = settle_one(p, e);
        parcel_free(p);
    }
    return status;
}

void cassandra_forget_failures(struct cassandra_store *s) {
    for (struct cassandra_parcel *p = take_failures(s), *next; p; p = next) {
        next = p->next;
        parcel_free(p);
    }
}
