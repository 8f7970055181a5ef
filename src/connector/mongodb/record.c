// SPDX-License-Identifier: Apache-2.0
// record.c: what leat remembers in a database: collection `leat_pipeline`, a document per pipeline and lane.
//
//     { _id: "<uuid>-<lane>", pipeline, lane, lanes, incarnation, epoch, digest, clock,      which epoch the lane has
//       writing,                                                                             which epoch it has rows of that are not all of it
//       owner, session }                                                                     who writes: a number drawn by its process, its session
//     { _id: "<uuid>-tables", pipeline, beginning, tables }                                  collections whose first rows are of that epoch
//
// A claim, at a process' first epoch and after each lost connection: (1) the sessions in the records that are not this process' are killed, so that
// no transaction of theirs can commit any more, and none stands in the way for a minute; (2) each record gets the owner, unless it is of a later
// incarnation; (3) all are read again: whoever does not own every lane gives up before it writes a row. After that a lane's epoch is only ever
// advanced where the record still has the owner, so an older process that wakes up commits nothing.
//
// The number of lanes may change between two epochs only: a store whose lanes differ in their epochs goes on with as many as it had.
#include "connector/mongodb/lane.h"
#include "base/failpoint.h"

static const char collection[] = "leat_pipeline";

enum status put_write_concern(struct mongodb_store *s, struct buffer *command) {
    size_t start;
    TRY(document_open(command, DOCUMENT_DOCUMENT, "writeConcern", &start));
    if (s->config.write_nodes >= 0) TRY(document_put_int32(command, "w", (int32_t)s->config.write_nodes));
    else TRY(document_put_string(command, "w", s->config.write_mode));
    if (!s->transactions || s->config.write_nodes >= 0) TRY(document_put_boolean(command, "j", true));
    TRY(document_put_int64(command, "wtimeout", s->config.write_timeout_ms));
    return document_end(command, start);
}

static enum status put_lane_id(const struct mongodb_store *s, uint32_t lane, struct buffer *out) {
    char id[64];
    snprintf(id, sizeof id, "%s-%u", s->uuid, lane);
    return document_put_string(out, "_id", id);
}

// Ends the command, which begins the lane's buffer, and runs it outside of transactions.
static enum status run(struct lane *lane, enum status built, const char *doing, struct mongodb_failure *f, struct error *e) {
    struct mongodb_store *s = lane->store;
    *f = (struct mongodb_failure){0};
    if (built != STATUS_OK || document_end(&lane->command, 0) != STATUS_OK) return error_no_memory(e);
    if (mongodb_client_command(lane->client, s->config.database, &lane->command, false, &lane->reply, f)) return STATUS_OK;
    return mongodb_client_error(&s->config, f, doing, e);
}

// A writeConcernError: done, but not known to last.
static enum status check_concern(struct lane *lane, const char *doing, struct error *e) {
    struct document_value v;
    if (!document_find(lane->reply.data, lane->reply.size_bytes, "writeConcernError", &v) || v.type != DOCUMENT_DOCUMENT) return STATUS_OK;
    const char *words = document_find_text(v.bytes, v.size_bytes, "errmsg");
    return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s, %s: written, but not by as many nodes as writeConcern.w asks for: %.200s",
                     lane->store->config.hosts, doing, words ? words : "");
}

enum status lane_connect(struct mongodb_store *s, struct lane *lane, struct error *e) {
    struct mongodb_failure f = {0};
    if (!lane->client) {
        s->claimed = false;
        TRY(mongodb_client_new(&s->config, s->memory, &lane->client, e));
    }
    if (!s->transactions || mongodb_client_open_session(lane->client, &f)) return STATUS_OK;
    return lane_fail(lane, &f, "connecting", e);
}

// --- reading ---

static enum status command_find(struct mongodb_store *s, struct buffer *b) {
    size_t filter, sort;
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "find", collection));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "filter", &filter));
    TRY(document_put_string(b, "pipeline", s->uuid));
    TRY(document_end(b, filter));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "sort", &sort));
    TRY(document_put_int32(b, "lane", 1));
    TRY(document_end(b, sort));
    TRY(document_put_int32(b, "limit", 2 * LANES_MAX));
    return document_put_boolean(b, "singleBatch", true);
}

struct lane_record {
    bool found;
    struct sink_record record;
    int64_t owner;
    int64_t lanes;
    uint64_t writing;              // epoch of which rows may be there before it is committed
    uint8_t session[16];
    bool has_session;
};

static void read_record(struct mongodb_store *s, const uint8_t *bytes, size_t size_bytes, struct lane_record *out) {
    struct document_value v;
    out->found = true;
    memcpy(out->record.pipeline, s->pipeline, 16);
    out->record.incarnation = (uint64_t)document_find_integer(bytes, size_bytes, "incarnation", 0);
    out->record.epoch = (uint64_t)document_find_integer(bytes, size_bytes, "epoch", 0);
    out->record.digest = (uint64_t)document_find_integer(bytes, size_bytes, "digest", 0);
    out->owner = document_find_integer(bytes, size_bytes, "owner", 0);
    out->lanes = document_find_integer(bytes, size_bytes, "lanes", 0);
    out->writing = (uint64_t)document_find_integer(bytes, size_bytes, "writing", 0);
    out->has_session = document_find(bytes, size_bytes, "session", &v) && v.type == DOCUMENT_BINARY && v.size_bytes == 21;
    if (out->has_session) memcpy(out->session, v.bytes + 5, 16);
}

static enum status keep_tables(struct mongodb_store *s, const struct document_value *record, struct error *e) {
    struct document_value v;
    buffer_clear(&s->begun_tables);
    s->beginning = (uint64_t)document_find_integer(record->bytes, record->size_bytes, "beginning", 0);
    if (!document_find(record->bytes, record->size_bytes, "tables", &v) || v.type != DOCUMENT_ARRAY) return STATUS_OK;
    return buffer_append(&s->begun_tables, v.bytes, v.size_bytes) == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

// All records of the pipeline, by lane.
static enum status find_records(struct mongodb_store *s, struct lane *lane, struct lane_record records[LANES_MAX], struct error *e) {
    struct mongodb_failure f;
    struct document_value cursor, batch, item;
    memset(records, 0, LANES_MAX * sizeof *records);
    enum status status = run(lane, command_find(s, &lane->command), "reading leat_pipeline", &f, e);
    if (status != STATUS_OK) return f.kind ? lane_fail(lane, &f, "reading leat_pipeline", e) : status;
    if (!document_find(lane->reply.data, lane->reply.size_bytes, "cursor", &cursor) || cursor.type != DOCUMENT_DOCUMENT ||
        !document_find(cursor.bytes, cursor.size_bytes, "firstBatch", &batch) || batch.type != DOCUMENT_ARRAY) {
        return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: the answer to `find` has no documents", s->config.hosts);
    }
    struct document_reader r = document_read(batch.bytes, batch.size_bytes);
    while (document_next(&r, &item)) {
        if (item.type != DOCUMENT_DOCUMENT) continue;
        int64_t index = document_find_integer(item.bytes, item.size_bytes, "lane", -1);
        if (index >= 0 && index < LANES_MAX) read_record(s, item.bytes, item.size_bytes, &records[index]);
        if (index < 0) TRY(keep_tables(s, &item, e));
    }
    return STATUS_OK;
}

// The least epoch, and as many lanes as there are to be. A lane without a record was not reached when the number of lanes was to grow: no epoch
// has begun since.
static void judge(struct mongodb_store *s, const struct lane_record records[LANES_MAX]) {
    int64_t had = records[0].found ? records[0].lanes : 0;
    if (had < 0 || had > LANES_MAX) had = LANES_MAX;
    bool differ = false;
    s->found_any = false;
    for (int64_t i = 0; i < had; i++) {
        if (!records[i].found) continue;
        differ |= s->found_any && records[i].record.epoch != s->found.epoch;
        if (!s->found_any || records[i].record.epoch < s->found.epoch) s->found = records[i].record;
        s->found_any = true;
    }
    s->lane_count = differ ? (uint32_t)had : s->wanted_lanes;
    if (differ && s->lane_count != s->wanted_lanes) {
        log_write(s->log, LOG_INFO, "MongoDB at %s: an epoch is half committed by %u lanes; leat.lanes = %u takes effect with the start after it", s->config.hosts, s->lane_count,
                  s->wanted_lanes);
    }
}

static enum status ask_hello(struct mongodb_store *s, struct lane *lane, struct error *e) {
    struct mongodb_failure f;
    buffer_clear(&lane->command);
    enum status built = document_begin(&lane->command, &(size_t){0});
    if (built == STATUS_OK) built = document_put_int32(&lane->command, "hello", 1);
    enum status status = run(lane, built, "connecting", &f, e);
    if (status != STATUS_OK) return f.kind ? lane_fail(lane, &f, "connecting", e) : status;
    const char *message = document_find_text(lane->reply.data, lane->reply.size_bytes, "msg");
    s->transactions = document_find_text(lane->reply.data, lane->reply.size_bytes, "setName") || (message && strcmp(message, "isdbgrid") == 0);
    if (document_find_integer(lane->reply.data, lane->reply.size_bytes, "maxWireVersion", 0) >= 9) return STATUS_OK;
    (void)error_set(e, STATUS_UNSUPPORTED, "LEAT_UNSUPPORTED", "MongoDB at %.200s is older than 4.4", s->config.hosts);
    error_set_hint(e, "leat writes to MongoDB 4.4 and later");
    return STATUS_UNSUPPORTED;
}

enum status record_find(struct mongodb_store *s, struct lane *lane, struct error *e) {
    struct lane_record records[LANES_MAX];
    TRY(lane_connect(s, lane, e));
    TRY(ask_hello(s, lane, e));
    TRY(find_records(s, lane, records, e));
    judge(s, records);
    return STATUS_OK;
}

// --- claiming ---

static bool is_ours(const struct mongodb_store *s, const uint8_t session[16]) {
    for (uint32_t i = 0; i < s->lane_count; i++) {
        const uint8_t *own = s->lanes[i].client ? mongodb_client_session_id(s->lanes[i].client) : NULL;
        if (own && memcmp(own, session, 16) == 0) return true;
    }
    return false;
}

static enum status command_kill(const struct mongodb_store *s, const struct lane_record records[LANES_MAX], struct buffer *b, uint32_t *count) {
    size_t list, item;
    buffer_clear(b);
    *count = 0;
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_open(b, DOCUMENT_ARRAY, "killSessions", &list));
    for (int i = 0; i < LANES_MAX; i++) {
        char key[11] = "";
        if (!records[i].found || !records[i].has_session || is_ours(s, records[i].session)) continue;
        key[document_index((*count)++, key)] = 0;
        TRY(document_open(b, DOCUMENT_DOCUMENT, key, &item));
        TRY(document_put_binary(b, "id", 4, records[i].session, 16));
        TRY(document_end(b, item));
    }
    return document_end(b, list);
}

// Whoever may not do that waits for the server to end what a killed leat left open, which takes it a minute.
static enum status kill_sessions(struct mongodb_store *s, struct lane *lane, const struct lane_record records[LANES_MAX], struct error *e) {
    struct mongodb_failure f = {0};
    uint32_t count;
    enum status built = command_kill(s, records, &lane->command, &count);
    if (built == STATUS_OK && !count) return STATUS_OK;
    enum status status = run(lane, built, "ending the sessions of an earlier run", &f, e);
    if (status == STATUS_OK) return STATUS_OK;
    if (f.kind != FAILURE_SERVER) return f.kind ? lane_fail(lane, &f, "ending the sessions of an earlier run", e) : status;
    log_error(s->log, LOG_WARN, e);
    return STATUS_OK;
}

static enum status put_claim(struct mongodb_store *s, uint32_t index, struct buffer *b) {
    const uint8_t *session = mongodb_client_session_id(s->lanes[index].client);
    size_t update, part, insert;
    TRY(document_open(b, DOCUMENT_DOCUMENT, "update", &update));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "$set", &part));
    TRY(document_put_int64(b, "incarnation", (int64_t)s->epoch.record.incarnation));
    TRY(document_put_int32(b, "lanes", (int32_t)s->lane_count));
    TRY(document_put_int64(b, "owner", (int64_t)s->owner));
    if (session) TRY(document_put_binary(b, "session", 4, session, 16));
    TRY(document_end(b, part));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "$setOnInsert", &insert));
    TRY(document_put_string(b, "pipeline", s->uuid));
    TRY(document_put_int32(b, "lane", (int32_t)index));
    TRY(document_put_int64(b, "epoch", s->found_any ? (int64_t)s->found.epoch : 0));
    TRY(document_put_int64(b, "digest", s->found_any ? (int64_t)s->found.digest : 0));
    TRY(document_end(b, insert));
    return document_end(b, update);
}

static enum status command_claim(struct mongodb_store *s, uint32_t index, struct buffer *b) {
    size_t query, most;
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "findAndModify", collection));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "query", &query));
    TRY(put_lane_id(s, index, b));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "incarnation", &most));
    TRY(document_put_int64(b, "$lte", (int64_t)s->epoch.record.incarnation));
    TRY(document_end(b, most));
    TRY(document_end(b, query));
    TRY(put_claim(s, index, b));
    TRY(document_put_boolean(b, "upsert", true));
    TRY(document_put_boolean(b, "new", true));
    return put_write_concern(s, b);
}

static enum status fenced(const struct mongodb_store *s, struct error *e) {
    (void)error_set(e, STATUS_CONFLICT, "LEAT_STORE_CONFLICT", "another leat writes this pipeline into MongoDB at %.200s, database `%s`: its start was later than this one's", s->config.hosts,
                    s->config.database);
    error_set_hint(e, "two runs of one pipeline, perhaps on a copy of the data folder: let one of them end");
    return STATUS_CONFLICT;
}

static enum status claim_lane(struct mongodb_store *s, struct lane *lane, uint32_t index, struct error *e) {
    struct mongodb_failure f = {0};
    struct document_value v;
    struct lane_record record;
    enum status status = run(lane, command_claim(s, index, &lane->command), "claiming leat_pipeline", &f, e);
    if (status != STATUS_OK && f.kind == FAILURE_SERVER && f.code == 11000) return fenced(s, e);
    if (status != STATUS_OK) return f.kind ? lane_fail(lane, &f, "claiming leat_pipeline", e) : status;
    TRY(check_concern(lane, "claiming leat_pipeline", e));
    if (!document_find(lane->reply.data, lane->reply.size_bytes, "value", &v) || v.type != DOCUMENT_DOCUMENT) {
        return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: the answer to `findAndModify` has no document", s->config.hosts);
    }
    read_record(s, v.bytes, v.size_bytes, &record);
    s->lanes[index].record = record.record;
    return STATUS_OK;
}

static enum status command_drop_lanes(struct mongodb_store *s, struct buffer *b) {
    size_t list, item, query, from;
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "delete", collection));
    TRY(document_open(b, DOCUMENT_ARRAY, "deletes", &list));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "0", &item));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "q", &query));
    TRY(document_put_string(b, "pipeline", s->uuid));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "lane", &from));
    TRY(document_put_int32(b, "$gte", (int32_t)s->lane_count));
    TRY(document_end(b, from));
    TRY(document_end(b, query));
    TRY(document_put_int32(b, "limit", 0));
    TRY(document_end(b, item));
    TRY(document_end(b, list));
    return put_write_concern(s, b);
}

enum status record_check(const struct mongodb_store *s, const struct sink_record *found, struct error *e) {
    const struct sink_record *own = &s->epoch.record;
    if (found->epoch < own->epoch || (found->epoch == own->epoch && found->digest == own->digest)) return STATUS_OK;
    (void)error_set(e, STATUS_CONFLICT, "LEAT_FOLDER_OLDER", "`%s` has epoch %llu of this pipeline, and epoch %llu, which was about to be written, is another one", s->store.identity,
                    (unsigned long long)found->epoch, (unsigned long long)own->epoch);
    error_set_hint(e, "another run of this pipeline wrote it, perhaps from a copy of the data folder. Go on with the folder that did, or build the tables anew with --full-refresh-all");
    return STATUS_CONFLICT;
}

// The collection must be there before a transaction writes into it.
enum status record_claim(struct mongodb_store *s, struct lane *lane, struct error *e) {
    struct lane_record records[LANES_MAX];
    struct mongodb_failure f = {0};
    bool more = false;
    TRY(find_records(s, lane, records, e));
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        if (!records[i].found) continue;
        TRY(record_check(s, &records[i].record, e));  // nothing is taken from somebody who is ahead
        if (records[i].writing > s->writing) s->writing = records[i].writing;
    }
    TRY(kill_sessions(s, lane, records, e));
    TRY(failpoint("mongodb.claim", e));
    for (uint32_t i = 0; i < s->lane_count; i++) TRY(claim_lane(s, lane, i, e));
    for (uint32_t i = s->lane_count; i < LANES_MAX; i++) more |= records[i].found;
    if (more) {
        enum status status = run(lane, command_drop_lanes(s, &lane->command), "claiming leat_pipeline", &f, e);
        if (status != STATUS_OK) return f.kind ? lane_fail(lane, &f, "claiming leat_pipeline", e) : status;
    }
    TRY(find_records(s, lane, records, e));
    for (uint32_t i = 0; i < s->lane_count; i++) {
        if (!records[i].found || (uint64_t)records[i].owner != s->owner) return fenced(s, e);
        s->lanes[i].record = records[i].record;
        if (i == 0 || records[i].record.epoch < s->found.epoch) s->found = records[i].record;
    }
    s->found_any = true;
    s->claimed = true;
    return STATUS_OK;
}

// --- advancing ---

static enum status put_epoch(struct mongodb_store *s, bool done, struct buffer *b) {
    const struct sink_record *r = &s->epoch.record;
    size_t set;
    TRY(document_open(b, DOCUMENT_DOCUMENT, "u", &set));
    size_t fields;
    TRY(document_open(b, DOCUMENT_DOCUMENT, "$set", &fields));
    if (!done) {
        TRY(document_put_int64(b, "writing", (int64_t)r->epoch));
    } else {
        TRY(document_put_int64(b, "incarnation", (int64_t)r->incarnation));
        TRY(document_put_int64(b, "epoch", (int64_t)r->epoch));
        TRY(document_put_int64(b, "digest", (int64_t)r->digest));
        TRY(document_put_date(b, "clock", s->epoch.clock_us / 1000));
    }
    TRY(document_end(b, fields));
    return document_end(b, set);
}

static enum status command_write(struct lane *lane, bool done, bool in_transaction) {
    struct mongodb_store *s = lane->store;
    struct buffer *b = &lane->command;
    size_t list, item, query;
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "update", collection));
    TRY(document_open(b, DOCUMENT_ARRAY, "updates", &list));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "0", &item));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "q", &query));
    TRY(put_lane_id(s, lane->index, b));
    TRY(document_put_int64(b, "owner", (int64_t)s->owner));
    TRY(document_end(b, query));
    TRY(put_epoch(s, done, b));
    TRY(document_end(b, item));
    TRY(document_end(b, list));
    return in_transaction ? STATUS_OK : put_write_concern(s, b);
}

enum status record_write(struct lane *lane, bool done, bool in_transaction, struct mongodb_failure *f, struct error *e) {
    struct mongodb_store *s = lane->store;
    enum status built = command_write(lane, done, in_transaction);
    *f = (struct mongodb_failure){0};
    if (built != STATUS_OK || document_end(&lane->command, 0) != STATUS_OK) return error_no_memory(e);
    if (!mongodb_client_command(lane->client, s->config.database, &lane->command, in_transaction, &lane->reply, f)) {
        return mongodb_client_error(&s->config, f, "writing leat_pipeline", e);
    }
    TRY(check_concern(lane, "writing leat_pipeline", e));
    if (document_find_integer(lane->reply.data, lane->reply.size_bytes, "n", 0) != 1) {
        s->claimed = false;
        return fenced(s, e);
    }
    if (!done) s->writing = s->epoch.record.epoch;
    return STATUS_OK;
}

// --- tables that begin ---

bool record_has_table(const struct mongodb_store *s, const char *name) {
    struct document_value v;
    if (!s->found_any || s->beginning <= s->found.epoch || !s->begun_tables.size_bytes) return false;
    struct document_reader r = document_read(s->begun_tables.data, s->begun_tables.size_bytes);
    while (document_next(&r, &v)) {
        if (document_text_is(&v, name)) return true;
    }
    return false;
}

// Not in a lane's record, which its open transaction holds. `add`: to the list of this epoch, if it is of this epoch; else a list of its own.
static enum status build_mark(struct mongodb_store *s, const char *name, bool add, struct buffer *b) {
    size_t list, item, query, update, fields, tables;
    char id[64];
    snprintf(id, sizeof id, "%s-tables", s->uuid);
    buffer_clear(b);
    TRY(document_begin(b, &(size_t){0}));
    TRY(document_put_string(b, "update", collection));
    TRY(document_open(b, DOCUMENT_ARRAY, "updates", &list));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "0", &item));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "q", &query));
    TRY(document_put_string(b, "_id", id));
    if (add) TRY(document_put_int64(b, "beginning", (int64_t)s->epoch.record.epoch));
    TRY(document_end(b, query));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "u", &update));
    TRY(document_open(b, DOCUMENT_DOCUMENT, add ? "$addToSet" : "$set", &fields));
    if (add) {
        TRY(document_put_string(b, "tables", name));
    } else {
        TRY(document_put_string(b, "pipeline", s->uuid));
        TRY(document_put_int64(b, "beginning", (int64_t)s->epoch.record.epoch));
        TRY(document_open(b, DOCUMENT_ARRAY, "tables", &tables));
        TRY(document_put_string(b, "0", name));
        TRY(document_end(b, tables));
    }
    TRY(document_end(b, fields));
    TRY(document_end(b, update));
    TRY(document_put_boolean(b, "upsert", !add));
    TRY(document_end(b, item));
    TRY(document_end(b, list));
    TRY(put_write_concern(s, b));
    return document_end(b, 0);
}

static enum status mark(struct mongodb_store *s, struct mongodb_client *client, const char *name, struct buffer *command, struct buffer *reply, struct error *e) {
    struct mongodb_failure f;
    for (int add = 1; add >= 0; add--) {
        if (build_mark(s, name, add, command) != STATUS_OK) return error_no_memory(e);
        if (!mongodb_client_command(client, s->config.database, command, false, reply, &f)) return mongodb_client_error(&s->config, &f, "writing leat_pipeline", e);
        if (document_find_integer(reply->data, reply->size_bytes, "n", 0) == 1) return STATUS_OK;
    }
    return error_set(e, STATUS_IO, "LEAT_STORE_FAILED", "MongoDB at %.200s, writing leat_pipeline: nothing was written", s->config.hosts);
}

enum status record_mark_table(struct mongodb_table *t, struct error *e) {
    struct mongodb_store *s = t->owner;
    struct mongodb_client *client;
    struct buffer command, reply;
    TRY(mongodb_client_new(&s->config, s->memory, &client, e));  // the lanes are at work
    buffer_init(&command, s->memory);
    buffer_init(&reply, s->memory);
    enum status status = mark(s, client, t->config.collection, &command, &reply, e);
    buffer_release(&command);
    buffer_release(&reply);
    mongodb_client_free(client);
    t->marked = status == STATUS_OK;
    return status;
}
