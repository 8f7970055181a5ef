// SPDX-License-Identifier: Apache-2.0
// http_client.c: one request at a time over libcurl's multi interface, so that another thread can end it. See http.h.
//
// Everything the other side sends is bounded: body after decompression, headers, time, time without progress, redirects. Redirects are
// followed here and not by libcurl: to another origin neither the given headers nor the password go along, and never from https to http.
#include "connector/http/http.h"
#include "base/clock.h"
#include "connector/http/curl_library.h"
#include <pthread.h>
#include <stdatomic.h>

enum { HEADER_BYTES_MAX = 256 * 1024, URL_CHARS_MAX = 16384, PLACE_CHARS = 512 };
static const int64_t retry_after_max_us = INT64_C(3600) * 1000000;

struct http_client {
    struct http_config config;
    CURLM *multi;
    char place[PLACE_CHARS];
    char origin[PLACE_CHARS];     // scheme://host:port of the url
    atomic_bool cancelled;
};

// One request and what has come of it.
struct exchange {
    struct http_client *client;
    struct http_response *response;
    size_t header_bytes;
    bool too_big, too_many_headers, no_memory;
    char curl_reason[CURL_ERROR_SIZE];
};

// scheme://host:port, and with `with_path` the path; false: no URL of ours.
static bool url_text(const char *url, bool with_path, char out[PLACE_CHARS]) {
    CURLU *u = curl.url();
    char *scheme = NULL, *host = NULL, *port = NULL, *path = NULL;
    bool good = u && strlen(url) < URL_CHARS_MAX && curl.url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK &&
                curl.url_get(u, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                curl.url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK && curl.url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                curl.url_get(u, CURLUPART_PATH, &path, 0) == CURLUE_OK;
    if (good) good = strcasecmp(scheme, "http") == 0 || strcasecmp(scheme, "https") == 0;
    if (good) snprintf(out, PLACE_CHARS, "%s://%s:%s%.160s", scheme, host, port, with_path ? path : "");
    curl.free(scheme);
    curl.free(host);
    curl.free(port);
    curl.free(path);
    curl.url_cleanup(u);
    return good;
}

// What the table says where it has ${…} in it: nothing that it stands for is shown.
static void written_text(const char *url, char out[PLACE_CHARS]) {
    const char *host = strstr(url, "://");
    host = host ? host + 3 : url;
    const char *end = host + strcspn(host, "?#"), *slash = memchr(host, '/', (size_t)(end - host));
    const char *at = memrchr(host, '@', (size_t)((slash ? slash : end) - host));
    if (at) snprintf(out, PLACE_CHARS, "%.*s%.*s", (int)(host - url), url, (int)(end - at - 1), at + 1);
    else snprintf(out, PLACE_CHARS, "%.*s", (int)(end - url), url);
}

enum status http_client_new(const struct http_config *config, struct http_client **out, struct error *e) {
    TRY(curl_library_load(e));
    struct http_client *c = memory_alloc_zeroed(config->memory, sizeof *c);
    if (!c) return error_no_memory(e);
    c->config = *config;
    if (!url_text(config->url, true, c->place) || !url_text(config->url, false, c->origin)) {
        memory_free(config->memory, c, sizeof *c);
        error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_BAD_OPTION", "the option url is no URL that begins with http:// or https://");
        error_set_hint(e, "for example 'https://example.org/api/events?limit=100'; its query is percent-encoded");
        return STATUS_INVALID_ARGUMENT;
    }
    if (config->written_url && strstr(config->written_url, "${")) written_text(config->written_url, c->place);
    c->multi = curl.multi_init();
    if (!c->multi) {
        memory_free(config->memory, c, sizeof *c);
        return error_no_memory(e);
    }
    *out = c;
    return STATUS_OK;
}

void http_client_free(struct http_client *c) {
    if (!c) return;
    curl.multi_cleanup(c->multi);
    memory_free(c->config.memory, c, sizeof *c);
}

const char *http_client_place(const struct http_client *c) { return c->place; }
bool http_client_cancelled(const struct http_client *c) { return atomic_load(&c->cancelled); }
void http_client_cancel(struct http_client *c) {
    atomic_store(&c->cancelled, true);
    curl.multi_wakeup(c->multi);
}

void http_client_wait(struct http_client *c, int64_t duration_us) {
    if (http_client_cancelled(c) || duration_us <= 0) return;
    int64_t ms = (duration_us + 999) / 1000;
    curl.multi_poll(c->multi, NULL, 0, ms > 3600000 ? 3600000 : (int)ms, NULL);
}

void http_response_release(struct http_response *r) { buffer_release(&r->body); }

static size_t take_body(char *bytes, size_t size, size_t count, void *context) {
    struct exchange *x = context;
    size_t size_bytes = size * count;
    if ((int64_t)(x->response->body.size_bytes + size_bytes) > x->client->config.max_bytes) x->too_big = true;
    else if (buffer_append(&x->response->body, bytes, size_bytes) != STATUS_OK) x->no_memory = true;
    return x->too_big || x->no_memory ? CURL_WRITEFUNC_ERROR : size_bytes;
}

// The value of a header if it has that name; what does not fit or has control bytes does not count.
static void take_header_value(const char *line, size_t size_bytes, const char *name, char *out, size_t capacity) {
    size_t length = strlen(name);
    if (size_bytes <= length || strncasecmp(line, name, length) != 0 || line[length] != ':') return;
    const char *begin = line + length + 1, *end = line + size_bytes;
    while (begin < end && (*begin == ' ' || *begin == '\t')) begin++;
    while (end > begin && (uint8_t)end[-1] <= ' ') end--;
    out[0] = 0;
    if ((size_t)(end - begin) >= capacity) return;
    for (const char *p = begin; p < end; p++) {
        if ((uint8_t)*p < ' ' || *p == 0x7f) return;
    }
    memcpy(out, begin, (size_t)(end - begin));
    out[end - begin] = 0;
}

static size_t take_header(char *bytes, size_t size, size_t count, void *context) {
    struct exchange *x = context;
    size_t size_bytes = size * count;
    x->header_bytes += size_bytes;
    if (x->header_bytes > HEADER_BYTES_MAX) x->too_many_headers = true;
    if (size_bytes > 5 && memcmp(bytes, "HTTP/", 5) == 0) memset(&x->response->validators, 0, sizeof x->response->validators);
    take_header_value(bytes, size_bytes, "etag", x->response->validators.etag, sizeof x->response->validators.etag);
    take_header_value(bytes, size_bytes, "last-modified", x->response->validators.last_modified, sizeof x->response->validators.last_modified);
    return x->too_many_headers ? 0 : size_bytes;
}

static bool add_header(struct curl_slist **list, const char *name, const char *value) {
    char line[700];
    if ((size_t)snprintf(line, sizeof line, "%s%s", name, value) >= sizeof line) return true;
    struct curl_slist *longer = curl.slist_append(*list, line);
    if (longer) *list = longer;
    return longer != NULL;
}

// A header of the table that is empty ("Name:") is written so that libcurl sends it so ("Name;").
static bool make_headers(const struct http_client *c, bool same_origin, bool sends_body, const struct spool_validators *v, struct curl_slist **list) {
    bool good = true, has_type = false;
    for (uint32_t i = 0; i < c->config.header_count && same_origin && good; i++) {
        struct curl_slist *longer = curl.slist_append(*list, c->config.headers[i]);
        if (longer) *list = longer;
        good = longer != NULL;
        has_type |= strncasecmp(c->config.headers[i], "content-type:", 13) == 0;
    }
    if (good && sends_body && !has_type) good = add_header(list, "Content-Type: ", "application/json");
    if (good && sends_body) good = add_header(list, "Expect:", "");
    if (good && v && v->etag[0]) good = add_header(list, "If-None-Match: ", v->etag);
    if (good && v && v->last_modified[0]) good = add_header(list, "If-Modified-Since: ", v->last_modified);
    return good;
}

static void set_security(CURL *easy, const struct http_config *g, bool same_origin) {
    curl.easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl.easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl.easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, g->verify ? 1L : 0L);
    curl.easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, g->verify ? 2L : 0L);
    curl.easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    if (g->ca_file) curl.easy_setopt(easy, CURLOPT_CAINFO, g->ca_file);
    if (!same_origin) return;
    if (g->cert_file) curl.easy_setopt(easy, CURLOPT_SSLCERT, g->cert_file);
    if (g->key_file) curl.easy_setopt(easy, CURLOPT_SSLKEY, g->key_file);
    if (g->key_password) curl.easy_setopt(easy, CURLOPT_KEYPASSWD, g->key_password);
    if (g->user) curl.easy_setopt(easy, CURLOPT_USERNAME, g->user);
    if (g->password) curl.easy_setopt(easy, CURLOPT_PASSWORD, g->password);
}

static void set_limits(CURL *easy, const struct http_config *g) {
    int64_t timeout_ms = g->timeout_us / 1000, quiet_s = g->timeout_us / 1000000;
    curl.easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)(timeout_ms > 0 ? timeout_ms : 1));
    curl.easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)(g->connect_timeout_us / 1000 > 0 ? g->connect_timeout_us / 1000 : 1));
    curl.easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 16L);
    curl.easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(quiet_s < 1 ? 1 : quiet_s > 20 ? 20 : quiet_s));
    curl.easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)g->max_bytes);
    curl.easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl.easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_request(CURL *easy, struct exchange *x, const char *url, bool sends_body, struct curl_slist *headers) {
    const struct http_config *g = &x->client->config;
    curl.easy_setopt(easy, CURLOPT_URL, url);
    curl.easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
    curl.easy_setopt(easy, CURLOPT_USERAGENT, g->user_agent);
    curl.easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
    curl.easy_setopt(easy, CURLOPT_ERRORBUFFER, x->curl_reason);
    curl.easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
    curl.easy_setopt(easy, CURLOPT_WRITEDATA, x);
    curl.easy_setopt(easy, CURLOPT_HEADERFUNCTION, take_header);
    curl.easy_setopt(easy, CURLOPT_HEADERDATA, x);
    if (!sends_body) return;
    curl.easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(g->body ? strlen(g->body) : 0));
    curl.easy_setopt(easy, CURLOPT_POSTFIELDS, g->body ? g->body : "");
    if (strcmp(g->method, "POST") != 0) curl.easy_setopt(easy, CURLOPT_CUSTOMREQUEST, g->method);
}

// Runs the transfer. false: cancelled.
static bool perform(struct http_client *c, CURL *easy, CURLcode *result) {
    int running = 1, left;
    *result = CURLE_FAILED_INIT;
    if (curl.multi_add_handle(c->multi, easy) != CURLM_OK) return true;
    while (running && !http_client_cancelled(c)) {
        if (curl.multi_perform(c->multi, &running) != CURLM_OK) break;
        if (running && curl.multi_poll(c->multi, NULL, 0, 10000, NULL) != CURLM_OK) break;
    }
    for (CURLMsg *m; (m = curl.multi_info_read(c->multi, &left));) {
        if (m->msg == CURLMSG_DONE) *result = m->data.result;
    }
    curl.multi_remove_handle(c->multi, easy);
    return !running || !http_client_cancelled(c);
}

static void fail(struct http_response *r, enum http_outcome outcome, const char *reason) {
    r->outcome = outcome;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
}

// A transfer that did not end well: whose mistake is it?
static void judge_failure(struct exchange *x, CURLcode result) {
    struct http_response *r = x->response;
    bool permanent = result == CURLE_PEER_FAILED_VERIFICATION || result == CURLE_SSL_CERTPROBLEM || result == CURLE_SSL_CACERT_BADFILE ||
                     result == CURLE_SSL_CIPHER || result == CURLE_SSL_ISSUER_ERROR || result == CURLE_URL_MALFORMAT ||
                     result == CURLE_UNSUPPORTED_PROTOCOL;
    if (x->too_big || result == CURLE_FILESIZE_EXCEEDED) {
        r->outcome = HTTP_PERMANENT;
        snprintf(r->reason, sizeof r->reason, "the answer is larger than maxBytes (%lld)", (long long)x->client->config.max_bytes);
    } else if (x->too_many_headers) {
        fail(r, HTTP_PERMANENT, "the answer has more than 256 KiB of headers");
    } else {
        fail(r, permanent ? HTTP_PERMANENT : HTTP_TRANSIENT, x->curl_reason[0] ? x->curl_reason : curl.easy_strerror(result));
    }
}

static void judge_status(struct exchange *x, CURL *easy, bool conditional) {
    struct http_response *r = x->response;
    curl_off_t seconds = 0;
    if (r->code >= 200 && r->code < 300) {
        r->outcome = HTTP_OK;
        return;
    }
    if (r->code == 304 && conditional) {
        r->outcome = HTTP_NOT_MODIFIED;
        return;
    }
    bool again = r->code == 408 || r->code == 425 || r->code == 429 || r->code >= 500;
    r->outcome = again ? HTTP_TRANSIENT : HTTP_PERMANENT;
    snprintf(r->reason, sizeof r->reason, "it answers with status %ld", r->code);
    if (!again || curl.easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds) != CURLE_OK || seconds <= 0) return;
    r->retry_after_us = seconds < retry_after_max_us / 1000000 ? (int64_t)seconds * 1000000 : retry_after_max_us;
}

// Where a redirect leads, into `next`. false: nowhere, and the response says why.
static bool follow(struct exchange *x, CURL *easy, const char *origin, bool *sends_body, char *next) {
    struct http_response *r = x->response;
    char *target = NULL, to[PLACE_CHARS];
    curl.easy_getinfo(easy, CURLINFO_REDIRECT_URL, &target);
    if (!target || strlen(target) >= URL_CHARS_MAX || !url_text(target, false, to)) {
        fail(r, HTTP_PERMANENT, "it redirects to what is no http or https URL");
        return false;
    }
    if (strncmp(origin, "https:", 6) == 0 && strncmp(to, "https:", 6) != 0) {
        fail(r, HTTP_PERMANENT, "it redirects from https to http");
        return false;
    }
    bool keeps_method = r->code == 307 || r->code == 308;
    if (*sends_body && keeps_method && strcmp(to, x->client->origin) != 0) {
        fail(r, HTTP_PERMANENT, "it redirects the request with its body to another host");
        return false;
    }
    if (!keeps_method) *sends_body = false;
    memmove(next, target, strlen(target) + 1);
    return true;
}

static bool is_redirect(long code) { return code == 301 || code == 302 || code == 303 || code == 307 || code == 308; }

// One request. *again: a redirect is to be followed.
static enum status exchange_once(struct exchange *x, char *url, bool *sends_body, bool may_follow, const struct spool_validators *validators,
                                 bool *again, struct error *e) {
    struct http_client *c = x->client;
    struct curl_slist *headers = NULL;
    char origin[PLACE_CHARS] = "";
    CURLcode result = CURLE_OK;
    url_text(url, false, origin);
    bool same_origin = strcmp(origin, c->origin) == 0;
    CURL *easy = curl.easy_init();
    bool ready = easy && make_headers(c, same_origin, *sends_body, validators, &headers), finished = false;
    *again = false;
    buffer_clear(&x->response->body);
    if (ready) {
        set_request(easy, x, url, *sends_body, headers);
        set_limits(easy, &c->config);
        set_security(easy, &c->config, same_origin);
        finished = perform(c, easy, &result);
        curl.easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &x->response->code);
        bool redirects = finished && result == CURLE_OK && is_redirect(x->response->code);
        if (!finished) fail(x->response, HTTP_CANCELLED, "cancelled");
        else if (redirects && !may_follow) fail(x->response, HTTP_PERMANENT, "it redirects more often than maxRedirects allows");
        else if (redirects) *again = follow(x, easy, origin, sends_body, url);
        else if (result != CURLE_OK) judge_failure(x, result);
        else judge_status(x, easy, validators && (validators->etag[0] || validators->last_modified[0]));
    }
    curl.easy_cleanup(easy);
    curl.slist_free_all(headers);
    return ready && !x->no_memory && result != CURLE_OUT_OF_MEMORY ? STATUS_OK : error_no_memory(e);
}

enum status http_client_fetch(struct http_client *c, const struct spool_validators *validators, struct http_response *response, struct error *e) {
    *response = (struct http_response){.outcome = HTTP_CANCELLED};
    buffer_init(&response->body, c->config.memory);
    char *url = memory_alloc(c->config.memory, URL_CHARS_MAX);
    if (!url) return error_no_memory(e);
    snprintf(url, URL_CHARS_MAX, "%s", c->config.url);
    bool sends_body = strcmp(c->config.method, "GET") != 0, again = true;
    enum status status = STATUS_OK;
    for (uint32_t hop = 0; again && status == STATUS_OK; hop++) {
        struct exchange x = {.client = c, .response = response};
        status = exchange_once(&x, url, &sends_body, hop < c->config.max_redirects, validators, &again, e);
    }
    explicit_bzero(url, URL_CHARS_MAX);
    memory_free(c->config.memory, url, URL_CHARS_MAX);
    return status;
}
