// SPDX-License-Identifier: Apache-2.0
// client.c: see client.h. The only file that knows libmongoc: its functions are looked up in the loaded library (mongo_library_load), by the
// types of its headers. A library once loaded stays.
#include "connector/mongodb/client.h"
#include "connector/mongodb/document.h"
#include "connector/mongodb/mongo_library.h"
#include <dlfcn.h>
#include <mongoc/mongoc.h>
#include <pthread.h>

#define MONGOC_FUNCTIONS(F)                                                                                                                         \
    F(mongoc_init) F(mongoc_log_set_handler)                                                                                                        \
    F(mongoc_uri_new_with_error) F(mongoc_uri_destroy) F(mongoc_uri_has_option) F(mongoc_uri_set_option_as_int32) F(mongoc_uri_set_option_as_bool)  \
    F(mongoc_uri_set_option_as_utf8) F(mongoc_uri_set_username) F(mongoc_uri_set_password) F(mongoc_uri_set_auth_source)                            \
    F(mongoc_uri_get_username) F(mongoc_uri_get_auth_source) F(mongoc_uri_set_write_concern)                                                        \
    F(mongoc_client_new_from_uri_with_error) F(mongoc_client_destroy) F(mongoc_client_set_error_api) F(mongoc_client_command_with_opts)             \
    F(mongoc_client_start_session) F(mongoc_client_session_destroy) F(mongoc_client_session_append) F(mongoc_client_session_get_lsid)               \
    F(mongoc_client_session_start_transaction) F(mongoc_client_session_commit_transaction) F(mongoc_client_session_abort_transaction)               \
    F(mongoc_client_session_in_transaction)                                                                                                         \
    F(mongoc_session_opts_new) F(mongoc_session_opts_set_causal_consistency) F(mongoc_session_opts_destroy)                                         \
    F(mongoc_transaction_opts_new) F(mongoc_transaction_opts_set_write_concern) F(mongoc_transaction_opts_destroy)                                  \
    F(mongoc_write_concern_new) F(mongoc_write_concern_destroy) F(mongoc_write_concern_set_w) F(mongoc_write_concern_set_wtag)                      \
    F(mongoc_write_concern_set_wtimeout_int64) F(mongoc_write_concern_set_journal) F(mongoc_error_has_label)                                        \
    F(bson_new) F(bson_init_static) F(bson_destroy) F(bson_get_data)

static struct {
#define MEMBER(name) __typeof__(name) *name;
    MONGOC_FUNCTIONS(MEMBER)
#undef MEMBER
} library;
static char reason[256];  // why it cannot be had; "": it is there

static void *find(void *handle, const char *symbol) {
    void *found = dlsym(handle, symbol);
    if (!found && !reason[0]) snprintf(reason, sizeof reason, "libmongoc-1.0.so.0 has no %s", symbol);
    return found;
}

static void load(void) {
    void *handle = dlopen("libmongoc-1.0.so.0", RTLD_NOW | RTLD_LOCAL);
    if (!handle) {
        snprintf(reason, sizeof reason, "%s", dlerror());
        return;
    }
    void *found;
#define LOAD(name)                \
    found = find(handle, #name);  \
    memcpy(&library.name, &found, sizeof found);
    MONGOC_FUNCTIONS(LOAD)
#undef LOAD
    if (reason[0]) return;
    library.mongoc_init();
    library.mongoc_log_set_handler(NULL, NULL);  // it would write to stderr; every failure is told by its caller
}

enum status mongo_library_load(struct error *e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!reason[0]) return STATUS_OK;
    (void)error_set(e, STATUS_NOT_FOUND, "LEAT_LIBRARY_MISSING", "MongoDB needs libmongoc: %s", reason);
    error_set_hint(e, "apt-get install libmongoc-1.0-0");
    return STATUS_NOT_FOUND;
}

struct mongodb_client {
    struct memory *memory;
    mongoc_client_t *client;
    mongoc_client_session_t *session;
    mongoc_transaction_opt_t *transaction;
    bson_t *session_options;      // for commands of the session; of its own, as its type wants another alignment than memory has
    uint8_t session_id[16];
};

enum { CONNECT_MS = 5000, SOCKET_MS = 60000 };

// --- failures ---

static bool has_label(const bson_t *reply, const char *label) { return library.mongoc_error_has_label(reply, label); }

static bool fail(struct mongodb_failure *f, const bson_t *reply, const bson_error_t *error) {
    *f = (struct mongodb_failure){.kind = FAILURE_LIBRARY, .code = (int32_t)error->code};
    bool login = error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_AUTHENTICATE;
    bool outside = error->domain == MONGOC_ERROR_STREAM || error->domain == MONGOC_ERROR_SERVER_SELECTION ||
                   (error->domain == MONGOC_ERROR_CLIENT && error->code == MONGOC_ERROR_CLIENT_NOT_READY);
    if (error->domain == MONGOC_ERROR_SERVER || error->domain == MONGOC_ERROR_WRITE_CONCERN || error->domain == MONGOC_ERROR_TRANSACTION) f->kind = FAILURE_SERVER;
    if (outside) f->kind = FAILURE_NETWORK;
    if (login || (f->kind == FAILURE_SERVER && error->code == 18) || strstr(error->message, "Authentication failed")) f->kind = FAILURE_LOGIN;
    f->transient = reply && has_label(reply, "TransientTransactionError");
    f->unknown_commit = reply && has_label(reply, "UnknownTransactionCommitResult");
    snprintf(f->message, sizeof f->message, "%.*s", (int)sizeof f->message - 1, error->message);
    return false;
}

bool mongodb_code_is_passing(int32_t code) {
    static const int32_t codes[] = {6, 7, 24, 46, 50, 64, 89, 91, 112, 133, 134, 150, 189, 202, 225, 234, 262, 290, 317, 358, 365, 384, 388, 9001, 10107, 11600, 11602, 13388, 13435, 13436};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (codes[i] == code) return true;
    }
    return false;
}

static enum status login_refused(const struct mongodb_config *config, const struct mongodb_failure *f, struct error *e) {
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "MongoDB at %.200s refuses the login: %.300s", config->hosts, f->message);
    error_set_hint(e, "check user, password and authSource (the database the user was made in, mostly admin)");
    return STATUS_INVALID_ARGUMENT;
}

// Words of the server may hold values (of a duplicate key): those are cut where they begin.
static int words_without_data(const char *message) {
    const char *brace = strchr(message, '{'), *quote = strchr(message, '"');
    size_t size_bytes = strlen(message);
    if (brace && (size_t)(brace - message) < size_bytes) size_bytes = (size_t)(brace - message);
    if (quote && (size_t)(quote - message) < size_bytes) size_bytes = (size_t)(quote - message);
    return (int)(size_bytes < 300 ? size_bytes : 300);
}

enum status mongodb_client_error(const struct mongodb_config *config, const struct mongodb_failure *f, const char *doing, struct error *e) {
    int words = f->kind == FAILURE_SERVER && f->code != 13 ? words_without_data(f->message) : 390;
    switch (f->kind) {
    case FAILURE_LOGIN: return login_refused(config, f, e);
    case FAILURE_NETWORK:
        if (strstr(f->message, "certificate verif")) {
            (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "MongoDB at %.200s: its certificate is not trusted: %.300s", config->hosts, f->message);
            error_set_hint(e, "tlsCAFile names the authority that signed it; the host must be one that the certificate is for");
            return STATUS_INVALID_ARGUMENT;
        }
        return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s, %s: %.*s", config->hosts, doing, words, f->message);
    case FAILURE_SERVER:
        if (f->code == 13) {
            (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_ACCESS_DENIED", "MongoDB at %.200s, %s: %.300s", config->hosts, doing, f->message);
            error_set_hint(e, "the user needs the role readWrite on database `%.63s` (reading: read)", config->database);
            return STATUS_INVALID_ARGUMENT;
        }
        if (f->transient || mongodb_code_is_passing(f->code)) {
            return error_set(e, STATUS_UNREACHABLE, "LEAT_UNREACHABLE", "MongoDB at %.200s, %s: %.*s (code %d)", config->hosts, doing, words, f->message, f->code);
        }
        return error_set(e, STATUS_IO, "LEAT_STORE_FAILED", "MongoDB at %.200s, %s: %.*s (code %d)", config->hosts, doing, words, f->message, f->code);
    default: return error_set(e, STATUS_IO, "LEAT_STORE_FAILED", "MongoDB at %.200s, %s: %.*s", config->hosts, doing, words, f->message);
    }
}

// --- opening ---

static void set_default(mongoc_uri_t *uri, const char *name, int32_t value) {
    if (!library.mongoc_uri_has_option(uri, name)) library.mongoc_uri_set_option_as_int32(uri, name, value);
}

static bool set_text(mongoc_uri_t *uri, const char *name, const char *value) { return !value || library.mongoc_uri_set_option_as_utf8(uri, name, value); }

static bool complete_uri(mongoc_uri_t *uri, const struct mongodb_config *c) {
    set_default(uri, MONGOC_URI_CONNECTTIMEOUTMS, CONNECT_MS);
    set_default(uri, MONGOC_URI_SOCKETTIMEOUTMS, SOCKET_MS);
    bool done = true;
    if (c->user) done &= library.mongoc_uri_set_username(uri, c->user);
    if (c->password) done &= library.mongoc_uri_set_password(uri, c->password);
    if (c->auth_source) done &= library.mongoc_uri_set_auth_source(uri, c->auth_source);
    if (c->tls) done &= library.mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLS, true);
    if (c->any_certificate) done &= library.mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDCERTIFICATES, true);
    if (c->any_host) done &= library.mongoc_uri_set_option_as_bool(uri, MONGOC_URI_TLSALLOWINVALIDHOSTNAMES, true);
    done &= set_text(uri, MONGOC_URI_TLSCAFILE, c->ca_file) && set_text(uri, MONGOC_URI_TLSCERTIFICATEKEYFILE, c->key_file);
    done &= set_text(uri, MONGOC_URI_TLSCERTIFICATEKEYFILEPASSWORD, c->key_password) && set_text(uri, MONGOC_URI_APPNAME, "leat");
    return done;
}

// The library's reason may quote the URI, so it is not told.
static enum status bad_uri(const struct mongodb_config *c, struct error *e) {
    (void)error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_INVALID_OPTION", "MongoDB at %.200s: libmongoc does not understand `connection.uri` or an option of it", c->hosts);
    error_set_hint(e, "mongodb://host:27017/?replicaSet=rs0; in user and password, write @ : / %% as %%40 %%3A %%2F %%25; tls options belong to a connection with tls");
    return STATUS_INVALID_ARGUMENT;
}

static bool set_transaction(struct mongodb_client *c, const struct mongodb_config *config) {
    mongoc_write_concern_t *concern = library.mongoc_write_concern_new();
    c->transaction = library.mongoc_transaction_opts_new();
    if (!concern || !c->transaction) return false;
    if (config->write_nodes >= 0) {
        library.mongoc_write_concern_set_w(concern, (int32_t)config->write_nodes);
        library.mongoc_write_concern_set_journal(concern, true);
    } else {
        library.mongoc_write_concern_set_wtag(concern, config->write_mode);
        if (strcmp(config->write_mode, "majority") == 0) library.mongoc_write_concern_set_w(concern, MONGOC_WRITE_CONCERN_W_MAJORITY);
    }
    library.mongoc_write_concern_set_wtimeout_int64(concern, config->write_timeout_ms);
    library.mongoc_transaction_opts_set_write_concern(c->transaction, concern);
    library.mongoc_write_concern_destroy(concern);
    return true;
}

enum status mongodb_client_new(const struct mongodb_config *config, struct memory *memory, struct mongodb_client **out, struct error *e) {
    bson_error_t error;
    TRY(mongo_library_load(e));
    struct mongodb_client *c = memory_alloc(memory, sizeof *c);
    if (!c) return error_no_memory(e);
    memset(c, 0, sizeof *c);
    c->memory = memory;
    mongoc_uri_t *uri = library.mongoc_uri_new_with_error(config->uri, &error);
    bool understood = uri && complete_uri(uri, config);
    if (understood) c->client = library.mongoc_client_new_from_uri_with_error(uri, &error);
    if (uri) library.mongoc_uri_destroy(uri);
    if (!c->client) {
        mongodb_client_free(c);
        return bad_uri(config, e);
    }
    library.mongoc_client_set_error_api(c->client, MONGOC_ERROR_API_VERSION_2);
    if (config->write_mode && !set_transaction(c, config)) {
        mongodb_client_free(c);
        return error_no_memory(e);
    }
    *out = c;
    return STATUS_OK;
}

void mongodb_client_free(struct mongodb_client *c) {
    if (!c) return;
    if (c->session_options) library.bson_destroy(c->session_options);
    if (c->session) library.mongoc_client_session_destroy(c->session);
    if (c->transaction) library.mongoc_transaction_opts_destroy(c->transaction);
    if (c->client) library.mongoc_client_destroy(c->client);
    memory_free(c->memory, c, sizeof *c);
}

// --- commands ---

static bool copy_reply(const bson_t *reply, struct buffer *out, struct mongodb_failure *f) {
    buffer_clear(out);
    if (buffer_append(out, library.bson_get_data(reply), reply->len) == STATUS_OK) return true;
    *f = (struct mongodb_failure){.kind = FAILURE_LIBRARY, .message = "out of memory"};
    return false;
}

bool mongodb_client_command(struct mongodb_client *c, const char *database, const struct buffer *command, bool in_session, struct buffer *reply,
                            struct mongodb_failure *f) {
    bson_t body, answer;
    bson_error_t error = {0};
    *f = (struct mongodb_failure){0};
    if (!library.bson_init_static(&body, command->data, command->size_bytes)) {
        *f = (struct mongodb_failure){.kind = FAILURE_LIBRARY, .message = "the command is no BSON"};
        return false;
    }
    bool done = library.mongoc_client_command_with_opts(c->client, database, &body, NULL, in_session && c->session ? c->session_options : NULL, &answer, &error);
    if (!done) fail(f, &answer, &error);
    bool copied = copy_reply(&answer, reply, f);
    library.bson_destroy(&answer);
    return done && copied;
}

bool mongodb_client_open_session(struct mongodb_client *c, struct mongodb_failure *f) {
    bson_error_t error = {0};
    struct document_value id;
    if (c->session) return true;
    mongoc_session_opt_t *options = library.mongoc_session_opts_new();
    library.mongoc_session_opts_set_causal_consistency(options, false);
    c->session = library.mongoc_client_start_session(c->client, options, &error);
    library.mongoc_session_opts_destroy(options);
    if (!c->session) return fail(f, NULL, &error);
    c->session_options = library.bson_new();
    if (!library.mongoc_client_session_append(c->session, c->session_options, &error)) return fail(f, NULL, &error);
    const bson_t *lsid = library.mongoc_client_session_get_lsid(c->session);
    bool found = document_find(library.bson_get_data(lsid), lsid->len, "id", &id) && id.type == DOCUMENT_BINARY && id.size_bytes == 21;
    if (found) memcpy(c->session_id, id.bytes + 5, 16);
    return true;
}

const uint8_t *mongodb_client_session_id(const struct mongodb_client *c) { return c->session ? c->session_id : NULL; }

bool mongodb_client_begin(struct mongodb_client *c, struct mongodb_failure *f) {
    bson_error_t error = {0};
    *f = (struct mongodb_failure){0};
    return library.mongoc_client_session_start_transaction(c->session, c->transaction, &error) || fail(f, NULL, &error);
}

bool mongodb_client_commit(struct mongodb_client *c, struct mongodb_failure *f) {
    bson_error_t error = {0};
    bson_t reply;
    *f = (struct mongodb_failure){0};
    bool done = library.mongoc_client_session_commit_transaction(c->session, &reply, &error);
    if (!done) fail(f, &reply, &error);
    library.bson_destroy(&reply);
    return done;
}

void mongodb_client_abort(struct mongodb_client *c) {
    bson_error_t error;
    if (c && c->session && library.mongoc_client_session_in_transaction(c->session)) library.mongoc_client_session_abort_transaction(c->session, &error);
}
