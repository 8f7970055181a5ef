// SPDX-License-Identifier: Apache-2.0
// client.h: one connection to a MongoDB deployment and at most one session on it: commands as bytes of BSON, replies likewise. libmongoc does
// the protocol, TLS, SCRAM and the choice of server; nothing of it is seen here. One thread at a time.
//
// No call repeats anything by itself but for libmongoc's own second try of a commit. A failure says whether the outside could not be reached,
// refused the login, or answered with an error; what to do is the caller's business. After FAILURE_NETWORK a client is best made anew: this one
// would wait before it asks the same server again.
#pragma once
#include "base/buffer.h"
#include "connector/mongodb/mongodb.h"

enum failure_kind { FAILURE_NONE, FAILURE_NETWORK, FAILURE_LOGIN, FAILURE_SERVER, FAILURE_LIBRARY };

struct mongodb_failure {
    enum failure_kind kind;
    int32_t code;              // the server's, for FAILURE_SERVER
    bool transient;            // TransientTransactionError: the transaction is gone, another try may do
    bool unknown_commit;       // UnknownTransactionCommitResult: it may have been committed
    char message[400];         // the server's or the library's words; may hold data where it is the server's
};

struct mongodb_client;

// Checks the configuration; connects with the first command.
enum status mongodb_client_new(const struct mongodb_config *config, struct memory *memory, struct mongodb_client **out, struct error *e) WARN_UNUSED;
void mongodb_client_free(struct mongodb_client *c);  // NULL is allowed
// Runs a command on a database. False: *f. in_session: within the session's transaction, if one is open. The reply is there in both cases, empty if
// there was none; it may hold writeErrors and writeConcernError though the command is true.
bool mongodb_client_command(struct mongodb_client *c, const char *database, const struct buffer *command, bool in_session, struct buffer *reply,
                            struct mongodb_failure *f);
// The session of transactions; once.
bool mongodb_client_open_session(struct mongodb_client *c, struct mongodb_failure *f);
const uint8_t *mongodb_client_session_id(const struct mongodb_client *c);  // 16 bytes; NULL: no session
bool mongodb_client_begin(struct mongodb_client *c, struct mongodb_failure *f);
bool mongodb_client_commit(struct mongodb_client *c, struct mongodb_failure *f);  // again after unknown_commit: asks what became of it
void mongodb_client_abort(struct mongodb_client *c);  // as well as it can

// Fills the error for a failure: "MongoDB at HOSTS, DOING: reason". Data in a server's words is left out unless the code is known to have none.
enum status mongodb_client_error(const struct mongodb_config *config, const struct mongodb_failure *f, const char *doing, struct error *e);
// A server's error code that says nothing about the command itself: stepping down, shutting down, overloaded. Another try may do.
bool mongodb_code_is_passing(int32_t code);
