// SPDX-License-Identifier: Apache-2.0
// mongodb_sink.c: rows as documents of collections, with exactly-once effect. A database is the store (its tables commit together); what commits is a
// lane (lane.h), and an epoch is whole when every lane has it: the least of their records is the store's.
//
//     streaming table               insert; `_id` by where the row came from, or by idFieldList
//     streaming table with key      replace or insert by `_id`          materialized view   the same, and delete
//
// What a document cannot hold is refused while it is written; what the server does not take is known after flush, in a mode that finds all of it at
// once. `empty` deletes beside the transactions, before the epoch's first row: an epoch that some lane has already was emptied before.
#include "connector/mongodb/lane.h"
#include "base/checksum.h"
#include "base/random.h"
#include <strings.h>

enum { TYPE_DEPTH_MAX = DOCUMENT_DEPTH_MAX - 10, IGNORE_LANE = UINT32_MAX };

// --- plan time ---

static uint32_t depth_of(const struct type *t) {
    uint32_t most = 0;
    for (uint32_t i = 0; type_is_nested(t) && i < t->field_count; i++) {
        uint32_t depth = depth_of(t->fields[i].type);
        if (depth > most) most = depth;
    }
    return most + type_is_nested(t);
}

static enum status bad_option(const struct sink_request *r, const char *name, const char *what, struct error *e) {
    return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s`: option `%s` %s", r->table_name, name, what);
}

static bool option_is_true(const struct option_set *o, const char *name) {
    const char *text = mongodb_option(o, name, true);
    return text && strcasecmp(text, "true") == 0;
}

// The columns of idFieldList, into the arena. *count 0: the option is not set.
static enum status read_id_list(const struct sink_request *r, struct arena *a, uint32_t **columns, uint32_t *count, struct error *e) {
    const char *list = mongodb_option(&r->options, "idFieldList", true);
    *count = 0;
    *columns = arena_alloc_array(a, (size_t)r->schema->field_count + 1, sizeof **columns);
    if (!*columns) return error_no_memory(e);
    for (const char *s = list; s && *s;) {
        size_t size_bytes = strcspn(s, ","), begin = strspn(s, " "), end = size_bytes;
        while (end > begin && s[end - 1] == ' ') end--;
        char *name = begin < end ? arena_strndup(a, s + begin, end - begin) : NULL;
        int at = name ? type_field_index(r->schema, name, false) : -1;
        if (at < 0) return bad_option(r, "idFieldList", "names a column that the query does not give", e);
        for (uint32_t i = 0; i < *count; i++) {
            if ((*columns)[i] == (uint32_t)at) return bad_option(r, "idFieldList", "names a column twice", e);
        }
        (*columns)[(*count)++] = (uint32_t)at;
        s += size_bytes + (s[size_bytes] == ',');
    }
    return STATUS_OK;
}

static bool same_set(const uint32_t *a, uint32_t a_count, const uint32_t *b, uint32_t b_count) {
    uint32_t found = 0;
    for (uint32_t i = 0; i < a_count; i++) {
        for (uint32_t k = 0; k < b_count; k++) found += a[i] == b[k];
    }
    return a_count == b_count && found == a_count;
}

static enum status choose_id(const struct sink_request *r, struct arena *a, struct encoder *encoder, struct error *e) {
    uint32_t *listed, count;
    TRY(read_id_list(r, a, &listed, &count, e));
    if (count && r->key_count && !same_set(listed, count, r->key, r->key_count)) return bad_option(r, "idFieldList", "names other columns than the key of the rows", e);
    if (!count && r->key_count) {
        memcpy(listed, r->key, r->key_count * sizeof *listed);
        count = r->key_count;
    }
    if (!count && encoder->own_id >= 0 && !r->single_row) listed[count++] = (uint32_t)encoder->own_id;
    encoder->id_columns = listed;
    encoder->id_count = count;
    encoder->single_row = r->single_row;
    return STATUS_OK;
}

// A field's name that begins with '$', at any depth; NULL: none. A map's are known when they come (encode.c).
static const char *dollar_name(const struct type *t) {
    for (uint32_t i = 0; type_is_nested(t) && i < t->field_count; i++) {
        if (t->id == TYPE_STRUCT && t->fields[i].name[0] == '$') return t->fields[i].name;
        const char *within = dollar_name(t->fields[i].type);
        if (within) return within;
    }
    return NULL;
}

static enum status check_id(const struct sink_request *r, const struct encoder *encoder, struct error *e) {
    const struct field *f = r->schema->fields;
    for (uint32_t i = 0; i < encoder->id_count; i++) {
        const struct field *column = &f[encoder->id_columns[i]];
        const char *name = encoder->id_count > 1 && column->name[0] == '$' ? column->name : dollar_name(column->type);
        if (name) {
            (void)error_set(e, STATUS_INVALID_QUERY, "LEAT_TYPE_NOT_STORABLE", "table `%s`: `%s` of the key `%s` would be a field of `_id`, where MongoDB takes no name that begins with $", r->table_name,
                            name, column->name);
            error_set_hint(e, "rename it with AS");
            return STATUS_INVALID_QUERY;
        }
        if (encoder->id_count == 1 && column->type->id == TYPE_ARRAY) {
            return error_set(e, STATUS_INVALID_QUERY, "LEAT_TYPE_NOT_STORABLE", "table `%s`: the key `%s` is an ARRAY, which cannot be the `_id` of a document", r->table_name, column->name);
        }
    }
    bool alone = encoder->id_count == 1 && (int)encoder->id_columns[0] == encoder->own_id;
    if (encoder->own_id < 0 || alone) return STATUS_OK;
    (void)error_set(e, STATUS_INVALID_QUERY, "COLUMN_ALREADY_EXISTS", "table `%s`: the column `_id` is not the key, and the key makes the field `_id`", r->table_name);
    error_set_hint(e, "rename the column with AS");
    return STATUS_INVALID_QUERY;
}

static enum status sink_check(const struct sink_request *r, struct error *e) {
    struct arena a;
    struct encoder encoder;
    int64_t lanes = option_number(&r->options, "leat.lanes");
    TRY(mongodb_config_check(&r->options, true, r->table_name, e));
    if (lanes < 1 || lanes > LANES_MAX) return bad_option(r, "leat.lanes", "is a number from 1 to 16", e);
    if (depth_of(r->schema) > TYPE_DEPTH_MAX) {
        return error_set(e, STATUS_INVALID_QUERY, "LEAT_TYPE_NOT_STORABLE", "table `%s`: a type nested deeper than the %d levels MongoDB takes", r->table_name, TYPE_DEPTH_MAX);
    }
    arena_init(&a, r->memory);
    enum status status = encoder_init(&encoder, &a, r->schema) == STATUS_OK ? STATUS_OK : error_no_memory(e);
    if (status == STATUS_OK) status = choose_id(r, &a, &encoder, e);
    if (status == STATUS_OK) status = check_id(r, &encoder, e);
    arena_release(&a);
    return status;
}

// --- the store ---

static enum status sink_identity(const struct sink_request *r, struct arena *a, const char **out, struct error *e) {
    struct mongodb_config config;
    TRY(mongodb_config_resolve(a, &r->options, true, r->table_name, r->base_folder, &config, e));
    *out = arena_printf(a, "mongodb:%s/%s", config.hosts, config.database);
    return *out ? STATUS_OK : error_no_memory(e);
}

static void store_close(struct store *store) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    if (!s) return;
    bool hangs = s->abandoned;
    for (uint32_t i = 0; i < LANES_MAX; i++) hangs |= !lane_end(&s->lanes[i]);
    if (hangs) return;  // a thread that waits for the outside may still look at it; the process ends soon
    for (uint32_t i = 0; i < s->held.count; i++) batch_unref(((struct held_batch *)vector_at(&s->held, i))->batch);
    vector_release(&s->held);
    buffer_release(&s->begun_tables);
    pthread_mutex_destroy(&s->mutex);
    memory_free(s->memory, s->lanes, LANES_MAX * sizeof *s->lanes);
    arena_release(&s->arena);
    memory_free(s->memory, s, sizeof *s);
}

static enum status prepare_store(struct mongodb_store *s, const struct sink_request *any, struct error *e) {
    int64_t lanes = option_number(&any->options, "leat.lanes");
    s->lanes = memory_alloc_zeroed(s->memory, LANES_MAX * sizeof *s->lanes);
    if (!s->lanes) return error_no_memory(e);
    TRY(mongodb_config_resolve(&s->arena, &any->options, true, any->table_name, any->base_folder, &s->config, e));
    TRY(sink_identity(any, &s->arena, &s->store.identity, e));
    s->wanted_lanes = option_is_true(&any->options, "ordered") || lanes < 1 ? 1 : (uint32_t)lanes;
    TRY(lane_start(s, 0, e));
    TRY(lanes_do(s, 1, record_find, e));
    for (uint32_t i = 1; i < s->lane_count; i++) TRY(lane_start(s, i, e));
    s->transaction_bytes = TRANSACTION_BYTES / s->lane_count;
    return STATUS_OK;
}

static void name_pipeline(struct mongodb_store *s, const uint8_t pipeline[16]) {
    int n = 0;
    memcpy(s->pipeline, pipeline, 16);
    for (int i = 0; i < 16; i++) n += snprintf(s->uuid + n, sizeof s->uuid - (size_t)n, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", pipeline[i]);
}

static enum status store_open(const struct sink_request *any, const uint8_t pipeline[16], struct store **out, bool *found, struct sink_record *record, struct error *e) {
    struct mongodb_store *s = memory_alloc_zeroed(any->memory, sizeof *s);
    if (!s) return error_no_memory(e);
    s->memory = any->memory;
    s->log = any->log;
    s->stop = any->stop;
    s->store.class = &mongodb_sink_class;
    arena_init(&s->arena, any->memory);
    vector_init(&s->held, any->memory, sizeof(struct held_batch));
    buffer_init(&s->begun_tables, any->memory);
    pthread_mutex_init(&s->mutex, NULL);
    name_pipeline(s, pipeline);
    random_system(&s->owner, sizeof s->owner);
    s->owner &= INT64_MAX;
    enum status status = prepare_store(s, any, e);
    if (status != STATUS_OK) {
        if (s->lanes) store_close(&s->store);
        else memory_free(any->memory, s, sizeof *s);
        return status;
    }
    *found = s->found_any;
    *record = s->found;
    *out = &s->store;
    return STATUS_OK;
}

static uint64_t all_lanes(const struct mongodb_store *s) { return (UINT64_C(1) << s->lane_count) - 1; }

// Connections, sessions and records, where they were lost or never were.
static enum status claim(struct mongodb_store *s, struct error *e) {
    TRY(lanes_do(s, all_lanes(s), lane_connect, e));
    return s->claimed ? STATUS_OK : lanes_do(s, 1, record_claim, e);
}

static void clear_epoch(struct mongodb_store *s) {
    if (s->abandoned) return;
    for (uint32_t i = 0; i < s->lane_count; i++) {
        struct lane *lane = &s->lanes[i];
        pthread_mutex_lock(&lane->mutex);
        lane_drop_parcels(lane);
        lane->error = (struct error){0};
        lane->mode = LANE_UNTOUCHED;
        lane->redo = lane->skipped = lane->large = lane->again = false;
        lane->tries = 0;
        lane->epoch_bytes = 0;
        vector_clear(&lane->refusals);
        pthread_mutex_unlock(&lane->mutex);
    }
    for (uint32_t i = 0; i < s->held.count; i++) batch_unref(((struct held_batch *)vector_at(&s->held, i))->batch);
    vector_clear(&s->held);
}

static enum status store_begin(struct store *store, const struct sink_epoch *epoch, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    s->epoch = *epoch;
    clear_epoch(s);
    TRY(claim(s, e));
    for (uint32_t i = 0; i < s->lane_count; i++) {
        struct lane *lane = &s->lanes[i];
        TRY(record_check(s, &lane->record, e));
        lane->skipped = lane->record.epoch == epoch->record.epoch;
        lane->again = s->writing == epoch->record.epoch;
    }
    s->begun = true;
    return STATUS_OK;
}

// What a server's code says of a document; its own words may hold data.
static const char *words_of(int32_t code) {
    switch (code) {
    case 121: return "the document does not pass the validation rules of the collection (code 121)";
    case 11000: case 11001: case 12582: return "a document with the same key is there already";
    case 2: case 9: case 52: case 55: case 57: return "MongoDB does not take such a document: a name or a value in it is not allowed";
    case 17280: case 17281: case 171: case 172: return "a value is too long for an index, or does not fit it";
    case 10334: return "the document is too large";
    default: return NULL;
    }
}

static enum status tell_refusals(struct mongodb_store *s, struct lane *lane) {
    char message[256];
    for (uint32_t i = 0; i < lane->refusals.count; i++) {
        const struct lane_refusal *r = vector_at(&lane->refusals, i);
        const struct held_batch *h = vector_at(&s->held, r->at.held);
        const char *words = words_of(r->code);
        bool duplicate = r->code == 11000 || r->code == 11001 || r->code == 12582;
        if (duplicate) snprintf(message, sizeof message, "%s (index %s, code %d)", words, r->index[0] ? r->index : "?", r->code);
        else if (words) snprintf(message, sizeof message, "%s", words);
        else snprintf(message, sizeof message, "the server refuses the document (code %d)", r->code);
        TRY(h->refuse(h->context, h->batch, r->at.row, duplicate ? "LEAT_DUPLICATE_KEY" : "LEAT_DOCUMENT_REFUSED", message));
    }
    vector_clear(&lane->refusals);
    return STATUS_OK;
}

static enum status store_flush(struct store *store, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    for (uint32_t i = 0; i < s->lane_count; i++) {
        pthread_mutex_lock(&s->lanes[i].mutex);
        lane_hand_over(&s->lanes[i]);
        pthread_mutex_unlock(&s->lanes[i].mutex);
    }
    TRY(lanes_do(s, all_lanes(s), lane_flush, e));
    for (uint32_t i = 0; i < s->lane_count; i++) {
        if (tell_refusals(s, &s->lanes[i]) != STATUS_OK) return error_set(e, STATUS_DATA, "LEAT_DOCUMENT_REFUSED", "`%s` refuses a row, and it could not be kept", s->store.identity);
    }
    return STATUS_OK;
}

static enum status store_commit(struct store *store, const struct sink_record *record, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    s->epoch.record = *record;
    TRY(lanes_do(s, all_lanes(s), lane_commit, e));
    clear_epoch(s);
    s->begun = false;
    return STATUS_OK;
}

static enum status store_abort(struct store *store, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    struct error ignored;
    (void)e;
    if (!s->abandoned && lanes_do(s, all_lanes(s), lane_abort, &ignored) != STATUS_OK) error_clear(&ignored);  // what went wrong before is in it
    clear_epoch(s);
    s->begun = false;
    return STATUS_OK;
}

// A claim settles what was uncertain: the sessions that had it are ended first.
static enum status store_recover(struct store *store, bool *found, struct sink_record *record, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    clear_epoch(s);
    TRY(claim(s, e));
    s->found = s->lanes[0].record;
    for (uint32_t i = 1; i < s->lane_count; i++) {
        if (s->lanes[i].record.epoch < s->found.epoch) s->found = s->lanes[i].record;
    }
    *found = true;
    *record = s->found;
    return STATUS_OK;
}

// --- a table ---

// A command that has nothing to do with an epoch, on the calling thread: no lane works now.
static bool ask(struct mongodb_table *t, struct mongodb_failure *f) {
    struct lane *lane = &t->owner->lanes[0];
    return mongodb_client_command(lane->client, t->config.database, &lane->command, false, &lane->reply, f);
}

static enum status build_create(struct buffer *b, const char *collection) {
    size_t start;
    buffer_clear(b);
    TRY(document_begin(b, &start));
    TRY(document_put_string(b, "create", collection));
    return document_end(b, start);
}

static enum status build_find_one(struct buffer *b, const char *collection) {
    size_t start;
    buffer_clear(b);
    TRY(document_begin(b, &start));
    TRY(document_put_string(b, "find", collection));
    TRY(document_put_int32(b, "limit", 1));
    TRY(document_put_boolean(b, "singleBatch", true));
    return document_end(b, start);
}

// A transaction should meet its collections; one that is there is fine, and so is a user who may not make any, if it is.
static enum status create_collection(struct mongodb_table *t, const char *name, struct error *e) {
    enum { EXISTS = 48, FORBIDDEN = 13 };
    struct mongodb_failure f;
    if (build_create(&t->owner->lanes[0].command, name) != STATUS_OK) return error_no_memory(e);
    if (ask(t, &f) || (f.kind == FAILURE_SERVER && (f.code == EXISTS || f.code == FORBIDDEN))) return STATUS_OK;
    return lane_fail(&t->owner->lanes[0], &f, "making a collection", e);
}

static enum status collection_is_empty(struct mongodb_table *t, bool *is_empty, struct error *e) {
    struct lane *lane = &t->owner->lanes[0];
    struct mongodb_failure f;
    struct document_value cursor, batch;
    if (build_find_one(&lane->command, t->config.collection) != STATUS_OK) return error_no_memory(e);
    if (!ask(t, &f)) return lane_fail(lane, &f, "looking into the collection", e);
    bool found = document_find(lane->reply.data, lane->reply.size_bytes, "cursor", &cursor) && cursor.type == DOCUMENT_DOCUMENT &&
                 document_find(cursor.bytes, cursor.size_bytes, "firstBatch", &batch) && batch.type == DOCUMENT_ARRAY;
    *is_empty = found && batch.size_bytes == 5;
    if (found) return STATUS_OK;
    return error_set(e, STATUS_CORRUPT, "LEAT_STORE_CORRUPT", "MongoDB at %.200s: the answer to `find` has no documents", t->config.hosts);
}

static void sink_close(struct sink *sink) {
    struct mongodb_table *t = (struct mongodb_table *)sink;
    if (!t || t->owner->abandoned) return;
    for (struct mongodb_table **at = &t->owner->tables; *at; at = &(*at)->next) {
        if (*at != t) continue;
        *at = t->next;
        break;
    }
    for (uint32_t i = 0; i < LANES_MAX; i++) {
        for (int kind = 0; kind < STATEMENT_KINDS; kind++) parcel_free(t->owner, t->filling[i][kind]);
    }
    arena_release(&t->arena);
    memory_free(t->owner->memory, t, sizeof *t);
}

static enum status prepare_table(struct mongodb_table *t, bool *is_empty, struct error *e) {
    const struct sink_request *r = &t->sink.request;
    struct mongodb_store *s = t->owner;
    TRY(mongodb_config_resolve(&t->arena, &r->options, true, r->table_name, r->base_folder, &t->config, e));
    if (!mongodb_config_same_store(&t->config, &s->config)) {
        (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "table `%s` reaches %s in another way than the table before it", r->table_name, s->store.identity);
        error_set_hint(e, "tables of one database commit together: give them the same connection.uri, user, tls and writeConcern options");
        return STATUS_INVALID_ARGUMENT;
    }
    if (encoder_init(&t->encoder, &t->arena, r->schema) != STATUS_OK) return error_no_memory(e);
    t->encoder.source_names = r->source_names;
    t->encoder.source_count = r->source_count;
    t->encoder.leaves_nulls_out = option_is_true(&r->options, "ignoreNullValues");
    TRY(choose_id(r, &t->arena, &t->encoder, e));
    for (uint32_t i = 0; i < r->schema->field_count; i++) t->literal |= r->schema->fields[i].name[0] == '$';
    for (const struct mongodb_table *other = s->tables; other; other = other->next) {
        if (strcmp(other->config.collection, t->config.collection) != 0) continue;
        return error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "tables `%s` and `%s` write into one collection, `%s`", other->sink.request.table_name, r->table_name, t->config.collection);
    }
    if (!s->lanes[0].client) TRY(lanes_do(s, 1, lane_connect, e));
    if (!s->collection_made) TRY(create_collection(t, "leat_pipeline", e));
    s->collection_made = true;
    TRY(create_collection(t, t->config.collection, e));
    TRY(collection_is_empty(t, is_empty, e));
    *is_empty |= record_has_table(s, t->config.collection);
    return STATUS_OK;
}

static enum status sink_open(struct store *store, const struct sink_request *r, struct sink **out, bool *is_empty, struct error *e) {
    struct mongodb_store *s = (struct mongodb_store *)store;
    struct mongodb_table *t = memory_alloc_zeroed(s->memory, sizeof *t);
    if (!t) return error_no_memory(e);
    t->sink = (struct sink){.class = &mongodb_sink_class, .store = store, .request = *r};
    t->owner = s;
    arena_init(&t->arena, s->memory);
    enum status status = prepare_table(t, is_empty, e);
    if (status != STATUS_OK) {
        sink_close(&t->sink);
        return status;
    }
    t->next = s->tables;
    s->tables = t;
    *out = &t->sink;
    return STATUS_OK;
}

static enum status build_delete_all(struct mongodb_store *s, struct buffer *b, const char *collection) {
    size_t start, list, item, query;
    buffer_clear(b);
    TRY(document_begin(b, &start));
    TRY(document_put_string(b, "delete", collection));
    TRY(document_open(b, DOCUMENT_ARRAY, "deletes", &list));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "0", &item));
    TRY(document_open(b, DOCUMENT_DOCUMENT, "q", &query));
    TRY(document_end(b, query));
    TRY(document_put_int32(b, "limit", 0));
    TRY(document_end(b, item));
    TRY(document_end(b, list));
    TRY(put_write_concern(s, b));
    return document_end(b, start);
}

// A delete is answered with success though documents were left.
static enum status check_emptied(const struct mongodb_table *t, const struct buffer *reply, struct error *e) {
    struct document_value v, first;
    bool left = document_find(reply->data, reply->size_bytes, "writeErrors", &v) && v.type == DOCUMENT_ARRAY;
    if (!left) return STATUS_OK;
    struct document_reader r = document_read(v.bytes, v.size_bytes);
    int64_t code = document_next(&r, &first) && first.type == DOCUMENT_DOCUMENT ? document_find_integer(first.bytes, first.size_bytes, "code", 0) : 0;
    bool passing = mongodb_code_is_passing((int32_t)code);
    return error_set(e, passing ? STATUS_UNREACHABLE : STATUS_IO, passing ? "LEAT_UNREACHABLE" : "LEAT_STORE_FAILED", "MongoDB at %.200s, emptying `%s`: not all of it was deleted (code %d)",
                     t->config.hosts, t->config.collection, (int)code);
}

static enum status sink_empty(struct sink *sink, struct error *e) {
    struct mongodb_table *t = (struct mongodb_table *)sink;
    struct mongodb_store *s = t->owner;
    struct mongodb_failure f;
    struct mongodb_client *client = NULL;
    struct buffer command, reply;
    for (uint32_t i = 0; i < s->lane_count; i++) {
        if (s->lanes[i].skipped) return STATUS_OK;
    }
    TRY(mongodb_client_new(&s->config, s->memory, &client, e));  // the lanes may be at work for other tables
    buffer_init(&command, s->memory);
    buffer_init(&reply, s->memory);
    enum status status = build_delete_all(s, &command, t->config.collection) == STATUS_OK ? STATUS_OK : error_no_memory(e);
    if (status == STATUS_OK && !mongodb_client_command(client, s->config.database, &command, false, &reply, &f)) status = mongodb_client_error(&s->config, &f, "emptying a collection", e);
    else if (status == STATUS_OK) status = check_emptied(t, &reply, e);
    buffer_release(&command);
    buffer_release(&reply);
    mongodb_client_free(client);
    return status;
}

// --- rows ---

static enum status put_query(struct buffer *b, size_t id_at, size_t id_bytes) {
    size_t query;
    TRY(document_open(b, DOCUMENT_DOCUMENT, "q", &query));
    TRY(buffer_reserve(b, id_bytes));
    memcpy(b->data + b->size_bytes, b->data + id_at, id_bytes);
    b->size_bytes += id_bytes;
    return document_end(b, query);
}

// u: the document, or, where a name at its top begins with '$', [ { $replaceWith: { $literal: document } } ].
static enum status put_replacement(const struct mongodb_table *t, const struct batch *b, uint32_t row, size_t id_at, size_t id_bytes, struct buffer *out, struct refusal *refusal) {
    size_t list, stage, literal;
    if (!t->literal) {
        TRY(document_put(out, DOCUMENT_DOCUMENT, "u", 1, NULL, 0));
        return encode_document(&t->encoder, b, row, id_at, id_bytes, out, refusal);
    }
    TRY(document_open(out, DOCUMENT_ARRAY, "u", &list));
    TRY(document_open(out, DOCUMENT_DOCUMENT, "0", &stage));
    TRY(document_open(out, DOCUMENT_DOCUMENT, "$replaceWith", &literal));
    TRY(document_put(out, DOCUMENT_DOCUMENT, "$literal", 8, NULL, 0));
    TRY(encode_document(&t->encoder, b, row, id_at, id_bytes, out, refusal));
    TRY(document_end(out, literal));
    TRY(document_end(out, stage));
    return document_end(out, list);
}

static enum status put_statement_of(const struct mongodb_table *t, const struct batch *b, uint32_t row, enum statement_kind kind, size_t id_at, size_t id_bytes, struct buffer *out,
                                    struct refusal *refusal) {
    size_t start;
    if (kind == STATEMENT_INSERT) return encode_document(&t->encoder, b, row, id_at, id_bytes, out, refusal);
    TRY(document_begin(out, &start));
    TRY(put_query(out, id_at, id_bytes));
    if (kind == STATEMENT_UPDATE) {
        TRY(put_replacement(t, b, row, id_at, id_bytes, out, refusal));
        TRY(document_put_boolean(out, "upsert", true));
    } else {
        TRY(document_put_int32(out, "limit", 1));
    }
    TRY(document_end(out, start));
    // A command's own document may be a little larger than the largest of a collection.
    if (out->size_bytes - start > DOCUMENT_BYTES_MAX + 8192 && !refusal->condition) *refusal = (struct refusal){"LEAT_ROW_TOO_BIG", "document and key together are larger than MongoDB takes"};
    return STATUS_OK;
}

// A view equals its query but for the rows in leat_dead: the document that stands for an older row of the key is no row any more.
static enum status put_removal(const struct mongodb_table *t, const struct batch *b, uint32_t row, uint32_t lane, size_t id_bytes, struct buffer *scratch, put_statement put,
                               void *context, struct error *e) {
    struct refusal none = {0};
    scratch->size_bytes = id_bytes;
    if (put_statement_of(t, b, row, STATEMENT_DELETE, 0, id_bytes, scratch, &none) != STATUS_OK) return error_no_memory(e);
    return put(context, lane, STATEMENT_DELETE, scratch->data + id_bytes, row, e);
}

enum status table_encode(struct mongodb_table *t, const struct batch *b, uint32_t only_lane, struct buffer *scratch, put_statement put, refuse_row refuse, void *refuse_context,
                         void *context, struct error *e) {
    const struct sink_request *r = &t->sink.request;
    bool keyed = r->key_count > 0 || r->single_row;
    struct rows rows = batch_rows(b);
    for (uint32_t i = 0; i < rows.count; i++) {
        uint32_t row = rows_at(&rows, i);
        struct refusal refusal;
        buffer_clear(scratch);
        if (encode_id(&t->encoder, b, row, scratch, &refusal) != STATUS_OK) return error_no_memory(e);
        bool has_id = !refusal.condition;
        size_t id_bytes = scratch->size_bytes;
        uint32_t lane = (uint32_t)(checksum64(scratch->data, id_bytes, 0) % t->owner->lane_count);
        if (only_lane != IGNORE_LANE && lane != only_lane) continue;
        enum statement_kind kind = batch_weight(b, row) < 0 ? STATEMENT_DELETE : keyed ? STATEMENT_UPDATE : STATEMENT_INSERT;
        if (!refusal.condition && put_statement_of(t, b, row, kind, 0, id_bytes, scratch, &refusal) != STATUS_OK) return error_no_memory(e);
        if (!refusal.condition) {
            TRY(put(context, lane, kind, scratch->data + id_bytes, row, e));
            continue;
        }
        if (refuse && kind != STATEMENT_DELETE) TRY(refuse(refuse_context, b, row, refusal.condition, refusal.message));  // what was refused is not there to be deleted
        if (has_id && kind == STATEMENT_UPDATE && r->materialized) TRY(put_removal(t, b, row, lane, id_bytes, scratch, put, context, e));
    }
    return STATUS_OK;
}

struct writing {
    struct mongodb_table *table;
    uint32_t held;
    struct lane *locked;           // its mutex is held while rows in a row go there
};

static enum status put_row(void *context, uint32_t index, enum statement_kind kind, const uint8_t *document, uint32_t row, struct error *e) {
    struct writing *w = context;
    struct lane *lane = &w->table->owner->lanes[index];
    if (lane->skipped) return STATUS_OK;
    pthread_mutex_lock(&lane->mutex);
    enum status status = lane->error.status;
    if (status != STATUS_OK) *e = lane->error;
    else status = lane_put(lane, w->table, kind, document, (struct statement_row){.held = w->held, .row = row}, e);
    pthread_mutex_unlock(&lane->mutex);
    return status;
}

static enum status sink_write(struct sink *sink, uint32_t worker, struct batch *b, refuse_row refuse, void *context, struct error *e) {
    struct mongodb_table *t = (struct mongodb_table *)sink;
    struct mongodb_store *s = t->owner;
    struct writing w = {.table = t};
    struct held_batch held = {.table = t, .batch = b, .refuse = refuse, .context = context};
    struct buffer scratch;
    (void)worker;
    if (!b->selected_count) return STATUS_OK;
    pthread_mutex_lock(&s->mutex);
    w.held = (uint32_t)s->held.count;
    enum status status = t->marked ? STATUS_OK : record_mark_table(t, e);
    if (status == STATUS_OK && vector_push(&s->held, &held) != STATUS_OK) status = error_no_memory(e);
    if (status == STATUS_OK) batch_ref(b);
    pthread_mutex_unlock(&s->mutex);
    if (status != STATUS_OK) return status;
    buffer_init(&scratch, s->memory);
    status = table_encode(t, b, IGNORE_LANE, &scratch, put_row, refuse, context, &w, e);
    buffer_release(&scratch);
    return status;
}

const struct sink_class mongodb_sink_class = {
    .name = "mongodb",
    .options = mongodb_sink_options,
    .capabilities = SINK_APPENDS | SINK_UPSERTS | SINK_DELETES,
    .check = sink_check,
    .identity = sink_identity,
    .store_open = store_open,
    .sink_open = sink_open,
    .begin = store_begin,
    .write = sink_write,
    .flush = store_flush,
    .commit = store_commit,
    .abort = store_abort,
    .recover = store_recover,
    .empty = sink_empty,
    .sink_close = sink_close,
    .store_close = store_close,
};
