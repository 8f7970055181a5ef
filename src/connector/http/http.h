// SPDX-License-Identifier: Apache-2.0
// http.h: what the parts of the HTTP source share. Internal to connector/http/.
//
//     spool.h         the local log that answers are kept in
//     http_client.c   one request at a time, with limits, over libcurl; a wait that another thread can end
//     http_split.c    an answer's body into messages
//     http_source.c   options, the polling thread, source_class
#pragma once
#include "base/buffer.h"
#include "connector/http/spool.h"
#include "plan/source.h"

// What is asked and how. Strings live as long as the client.
struct http_config {
    const char *url;
    const char *written_url;           // before ${…} was resolved: what messages show
    const char *method;                // "GET", "POST", "PUT"
    const char *body;                  // NULL: none
    const char *const *headers;        // "Name: value"
    uint32_t header_count;
    const char *user, *password;       // NULL: none
    const char *user_agent;
    const char *ca_file, *cert_file, *key_file, *key_password;  // NULL: none
    bool verify;
    int64_t timeout_us, connect_timeout_us;
    int64_t max_bytes;                 // of a body, decompressed
    uint32_t max_redirects;
    struct memory *memory;
};

enum http_outcome {
    HTTP_OK,             // 2xx: the body is there
    HTTP_NOT_MODIFIED,   // 304
    HTTP_TRANSIENT,      // network, 408, 425, 429, 5xx: trying again may help
    HTTP_PERMANENT,      // other answers, certificates, limits: somebody has to change something
    HTTP_CANCELLED,
};
struct http_response {
    enum http_outcome outcome;
    long code;                             // 0: no answer
    struct buffer body;
    struct spool_validators validators;    // of this answer
    int64_t retry_after_us;                // as the server asks; 0: it does not
    char reason[400];                      // of a failure, one clause without data
};

struct http_client;
enum status http_client_new(const struct http_config *config, struct http_client **out, struct error *e) WARN_UNUSED;
void http_client_free(struct http_client *c);                      // NULL is allowed
const char *http_client_place(const struct http_client *c);        // the URL for messages: no user, query, fragment
// Asks once, following redirects. `validators` NULL: unconditionally. Fails for lack of memory alone; `response` is to be released either way.
enum status http_client_fetch(struct http_client *c, const struct spool_validators *validators, struct http_response *response,
                              struct error *e) WARN_UNUSED;
void http_response_release(struct http_response *r);
void http_client_wait(struct http_client *c, int64_t duration_us);  // ends early when cancelled
void http_client_cancel(struct http_client *c);  // from any thread, for good: the request or wait under way ends at once
bool http_client_cancelled(const struct http_client *c);

enum http_split_kind { HTTP_SPLIT_NONE, HTTP_SPLIT_LINES, HTTP_SPLIT_PATH };
enum { HTTP_SPLIT_STEPS = 32 };
struct http_split {
    enum http_split_kind kind;
    uint32_t step_count;                   // PATH: names from the document's top to the array; 0: the document is the array
    const char *steps[HTTP_SPLIT_STEPS];
};
// Why a body could not be taken apart; the first byte of a SPOOL_REFUSED record. The numbers are in files.
enum http_refusal { HTTP_NOT_JSON = 1, HTTP_NO_ARRAY = 2 };
const char *http_refusal_text(uint8_t reason);

// 'none', 'lines', 'array', a JSON pointer ('/data/items') or a path ('results', '$.data.items'). The steps are in the arena.
enum status http_split_parse(struct arena *a, const char *text, struct http_split *out, struct error *e) WARN_UNUSED;
// The body's messages into the spool's open group. What cannot be taken apart is one SPOOL_REFUSED record with the whole body.
enum status http_split_body(const struct http_split *split, const struct buffer *body, struct memory *memory, struct spool *spool, int64_t time_us,
                            struct error *e) WARN_UNUSED;
