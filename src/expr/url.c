// SPDX-License-Identifier: Apache-2.0
// url.c: parse_url, url_encode, url_decode.
//
// Parsing follows java.net.URI (RFC 2396), which Spark uses: characters that a URI cannot hold are an error, and an authority that is no host (an
// underscore in it, for one) has no HOST, but is still the AUTHORITY.
//
//     http://user:pw@host:80/path/p.html?query=1&x=2#ref
//     PROTOCOL  USERINFO HOST PATH       QUERY       REF       FILE = path?query, AUTHORITY = user:pw@host:80
#include "expr/functions.h"
#include "expr/string_text.h"

struct url {
    struct text scheme, authority, user, host, path, query, fragment;  // bytes NULL: not there
};

static bool is_alpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

static bool url_is_legal(struct text t) {
    for (size_t i = 0; i < t.size_bytes; i++) {
        unsigned char c = (unsigned char)t.bytes[i];
        if (c <= ' ' || c == 0x7f || strchr("<>\"{}|\\^`", (char)c)) return false;
        if (c == '%' && !(i + 2 < t.size_bytes && is_hex(t.bytes[i + 1]) && is_hex(t.bytes[i + 2]))) return false;
    }
    return true;
}

// Cuts `t` at the first `mark`: what follows it; bytes NULL if it is not there.
static struct text cut_after(struct text *t, char mark) {
    const char *at = t->size_bytes ? memchr(t->bytes, mark, t->size_bytes) : NULL;
    if (!at) return (struct text){0};
    struct text rest = {at + 1, t->size_bytes - (size_t)(at + 1 - t->bytes)};
    t->size_bytes = (size_t)(at - t->bytes);
    return rest;
}

// Letters, digits and inner hyphens between dots; the last label begins with a letter, or all are numbers (IPv4).
static bool host_is_valid(struct text host) {
    if (!host.size_bytes) return false;
    if (host.bytes[0] == '[') return host.bytes[host.size_bytes - 1] == ']' && host.size_bytes > 2;
    bool numeric = true;
    size_t label = 0, labels = 0;
    if (host.bytes[host.size_bytes - 1] == '.') host.size_bytes--;
    for (size_t i = 0; i <= host.size_bytes; i++) {
        if (i < host.size_bytes && host.bytes[i] != '.') {
            char c = host.bytes[i];
            if (!is_alpha(c) && !is_digit(c) && c != '-') return false;
            numeric &= is_digit(c);
            continue;
        }
        if (i == label || host.bytes[label] == '-' || host.bytes[i - 1] == '-') return false;
        labels++;
        if (i == host.size_bytes) return numeric ? labels == 4 : is_alpha(host.bytes[label]);
        label = i + 1;
    }
    return false;
}

static void split_authority(struct url *u) {
    struct text host = u->authority, user = {0};
    const char *at = host.size_bytes ? memchr(host.bytes, '@', host.size_bytes) : NULL;
    if (at) {
        user = (struct text){host.bytes, (size_t)(at - host.bytes)};
        host = (struct text){at + 1, host.size_bytes - user.size_bytes - 1};
    }
    const char *bracket = host.size_bytes && host.bytes[0] == '[' ? memchr(host.bytes, ']', host.size_bytes) : NULL;
    size_t port = bracket ? (size_t)(bracket - host.bytes) + 1 : 0;
    while (port < host.size_bytes && host.bytes[port] != ':') port++;
    for (size_t i = port + 1; i < host.size_bytes; i++) {
        if (!is_digit(host.bytes[i])) return;
    }
    host.size_bytes = port;
    if (!host_is_valid(host)) return;
    u->host = host;
    u->user = user;
}

static bool url_parse(struct text t, struct url *u) {
    *u = (struct url){0};
    if (!url_is_legal(t)) return false;
    u->fragment = cut_after(&t, '#');
    size_t colon = 0;
    while (colon < t.size_bytes && !strchr(":/?", t.bytes[colon])) colon++;
    if (colon < t.size_bytes && t.bytes[colon] == ':') {
        for (size_t i = 0; i < colon; i++) {
            if (!is_alpha(t.bytes[i]) && !(i && (is_digit(t.bytes[i]) || strchr("+-.", t.bytes[i])))) return false;
        }
        if (colon == 0 || colon + 1 == t.size_bytes) return false;
        u->scheme = (struct text){t.bytes, colon};
        t = (struct text){t.bytes + colon + 1, t.size_bytes - colon - 1};
        if (t.bytes[0] != '/') return true;  // opaque, as mailto:a@b: neither path nor query
    }
    u->query = cut_after(&t, '?');
    if (t.size_bytes >= 2 && t.bytes[0] == '/' && t.bytes[1] == '/') {
        size_t end = 2;
        while (end < t.size_bytes && t.bytes[end] != '/') end++;
        if (end == 2 && end == t.size_bytes) return false;
        if (end > 2) u->authority = (struct text){t.bytes + 2, end - 2};
        t = (struct text){t.bytes + end, t.size_bytes - end};
        split_authority(u);
    }
    u->path = t.bytes ? t : text_of("");
    return true;
}

// The value of a key in the query; bytes NULL: there is none.
static struct text query_value(struct text query, struct text key) {
    while (query.bytes) {
        struct text rest = cut_after(&query, '&');
        if (query.size_bytes > key.size_bytes && text_equal((struct text){query.bytes, key.size_bytes}, key) && query.bytes[key.size_bytes] == '=')
            return (struct text){query.bytes + key.size_bytes + 1, query.size_bytes - key.size_bytes - 1};
        query = rest;
    }
    return (struct text){0};
}

static struct text url_part(const struct url *u, struct text part) {
    if (text_equal(part, text_of("HOST"))) return u->host;
    if (text_equal(part, text_of("PATH"))) return u->path;
    if (text_equal(part, text_of("QUERY"))) return u->query;
    if (text_equal(part, text_of("REF"))) return u->fragment;
    if (text_equal(part, text_of("PROTOCOL"))) return u->scheme;
    if (text_equal(part, text_of("AUTHORITY"))) return u->authority;
    if (text_equal(part, text_of("USERINFO"))) return u->user;
    if (text_equal(part, text_of("FILE")) && u->path.bytes) {
        // Path and query stand side by side in the text.
        return (struct text){u->path.bytes, u->path.size_bytes + (u->query.bytes ? u->query.size_bytes + 1 : 0)};
    }
    return (struct text){0};
}

static inline void parse_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool has_key, bool try) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row), part = text_at(args[1], row);
        struct url u;
        if (!url_parse(t, &u)) {
            if (try) out_set_null(out, row);
            else eval_fail_value(eval, row, "INVALID_URL", "The url is invalid; try_parse_url gives NULL instead", t.bytes, t.size_bytes);
            continue;
        }
        struct text found = url_part(&u, part);
        if (has_key) found = text_equal(part, text_of("QUERY")) ? query_value(u.query, text_at(args[2], row)) : (struct text){0};
        if (found.bytes) out_set_text(out, row, found);
        else out_set_null(out, row);
    }
}

static void kernel_parse_url(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    parse_rows(args, out, rows, eval, false, false);
}
static void kernel_parse_url_key(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    parse_rows(args, out, rows, eval, true, false);
}
static void kernel_try_parse_url(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    parse_rows(args, out, rows, eval, false, true);
}
static void kernel_try_parse_url_key(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    parse_rows(args, out, rows, eval, true, true);
}

static enum status parse_url_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING, STRING?) -> STRING", e));
    if (b->arg_count == 3) b->kernel = kernel_parse_url_key;
    b->nullable = true;
    return STATUS_OK;
}
static enum status try_parse_url_bind(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING, STRING, STRING?) -> STRING", e));
    if (b->arg_count == 3) b->kernel = kernel_try_parse_url_key;
    b->nullable = true;
    return STATUS_OK;
}

// url_encode, url_decode: the form encoding, with + for a blank

static void kernel_url_encode(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    static const char digits[] = "0123456789ABCDEF";
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        char local[STRING_INLINE_MAX];
        char *room = text_room(local, t.size_bytes * 3, row, eval);
        if (!room) {
            if (eval->status != STATUS_OK) return;
            continue;
        }
        size_t used = 0;
        for (size_t k = 0; k < t.size_bytes; k++) {
            char c = t.bytes[k];
            if (is_alpha(c) || is_digit(c) || c == '.' || c == '-' || c == '*' || c == '_') {
                room[used++] = c;
            } else if (c == ' ') {
                room[used++] = '+';
            } else {
                room[used++] = '%';
                room[used++] = digits[(uint8_t)c >> 4];
                room[used++] = digits[(uint8_t)c & 15];
            }
        }
        out_set_view(out, row, room, used);
    }
}

static uint8_t hex_digit(char c) { return (uint8_t)(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10); }

static bool url_decode(struct text t, char *out, size_t *size_bytes) {
    size_t used = 0;
    for (size_t i = 0; i < t.size_bytes; i++) {
        char c = t.bytes[i];
        if (c == '%') {
            if (i + 2 >= t.size_bytes || !is_hex(t.bytes[i + 1]) || !is_hex(t.bytes[i + 2])) return false;
            c = (char)(hex_digit(t.bytes[i + 1]) << 4 | hex_digit(t.bytes[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        out[used++] = c;
    }
    *size_bytes = used;
    return true;
}

static inline void decode_rows(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval, bool try) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text t = text_at(args[0], row);
        size_t size_bytes;
        char local[STRING_INLINE_MAX];
        char *room = text_room(local, t.size_bytes, row, eval);
        if (!room) return;
        if (url_decode(t, room, &size_bytes)) out_set_view(out, row, room, size_bytes);
        else if (try) out_set_null(out, row);
        else eval_fail_value(eval, row, "CANNOT_DECODE_URL", "The text cannot be decoded as a url; try_url_decode gives NULL instead", t.bytes, t.size_bytes);
    }
}

static void kernel_url_decode(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    decode_rows(args, out, rows, eval, false);
}
static void kernel_try_url_decode(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    decode_rows(args, out, rows, eval, true);
}

static const struct function url_list[] = {
    {"parse_url", "(STRING, STRING, STRING?) -> STRING", kernel_parse_url, parse_url_bind, FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL,
     "A part of a url: HOST, PATH, QUERY (or the value of a key in it), REF, PROTOCOL, FILE, AUTHORITY, USERINFO",
     "parse_url('http://spark.apache.org/path?query=1', 'QUERY', 'query')", "1"},
    {"try_parse_url", "(STRING, STRING, STRING?) -> STRING", kernel_try_parse_url, try_parse_url_bind, FUNCTION_MAY_BE_NULL,
     "As parse_url; NULL if the url is invalid", "try_parse_url('inva lid://host', 'HOST')", "NULL"},
    {"url_encode", "(STRING) -> STRING", kernel_url_encode, NULL, 0, "With everything escaped that a url's query cannot hold", "url_encode('a b&c')", "a+b%26c"},
    {"url_decode", "(STRING) -> STRING", kernel_url_decode, NULL, FUNCTION_CAN_FAIL, "The text that url_encode was given", "url_decode('a+b%26c')", "a b&c"},
    {"try_url_decode", "(STRING) -> STRING", kernel_try_url_decode, NULL, FUNCTION_MAY_BE_NULL, "As url_decode; NULL if that fails", "try_url_decode('%zz')", "NULL"},
};

const struct function_table url_functions = {url_list, sizeof url_list / sizeof url_list[0], "url"};
