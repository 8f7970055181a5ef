// SPDX-License-Identifier: Apache-2.0
// cql_tls.c: TLS over memory: OpenSSL never sees the socket, so that all waiting and writing stays with the connection (and no signal is raised).
//
// The certificate must chain to the CA file (or the system's) and be for the contact point's name; a host that was discovered is known by its address
// alone, which the certificate must then hold. Nothing is sent before the certificate is accepted, and nothing older than TLS 1.2 is spoken: a server
// that wants less is an error, never a reason to do with less.
#include "cql/cql_internal.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>

enum { NAMES_BYTES = 200, EXPECTED_BYTES = 256 };

struct tls_context {
    struct memory *memory;
    SSL_CTX *ssl;
    bool skip_host_check;
    bool skip_verification;
};

struct tls_stream {
    struct memory *memory;
    SSL *ssl;
    BIO *in;   // from the socket; owned by ssl
    BIO *out;  // to the socket
    bool heard;  // a plain byte of the server's
    char expected[EXPECTED_BYTES];  // whom the certificate must be for; "" anybody
    char names[NAMES_BYTES];        // of a certificate that was refused: whom it is for
};

static enum status tls_error(struct error *e, enum status status, const char *what, const char *file) {
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    ERR_clear_error();
    return error_set(e, status, "LEAT_CASSANDRA_TLS", "%s%s%s: %s", what, *file ? " " : "", file, reason ? reason : "OpenSSL gives no reason");
}

static int give_password(char *out, int capacity, int for_writing, void *context) {
    const char *password = context;
    size_t length = password ? strlen(password) : 0;
    (void)for_writing;
    if (length > (size_t)capacity) return -1;
    memcpy(out, password, length);
    return (int)length;
}

static enum status load_files(SSL_CTX *ssl, const struct cql_tls *config, struct error *e) {
    SSL_CTX_set_default_passwd_cb(ssl, give_password);
    SSL_CTX_set_default_passwd_cb_userdata(ssl, (void *)(uintptr_t)(config->key_password ? config->key_password : ""));
    if (config->ca_file && SSL_CTX_load_verify_file(ssl, config->ca_file) != 1) {
        return tls_error(e, STATUS_INVALID_ARGUMENT, "cannot read the CA file", config->ca_file);
    }
    if (!config->ca_file && SSL_CTX_set_default_verify_paths(ssl) != 1) return tls_error(e, STATUS_INVALID_ARGUMENT, "cannot read the system's CA files", "");
    if (!config->certificate_file) return STATUS_OK;
    if (SSL_CTX_use_certificate_chain_file(ssl, config->certificate_file) != 1) {
        return tls_error(e, STATUS_INVALID_ARGUMENT, "cannot read the certificate", config->certificate_file);
    }
    const char *key_file = config->key_file ? config->key_file : config->certificate_file;
    if (SSL_CTX_use_PrivateKey_file(ssl, key_file, SSL_FILETYPE_PEM) != 1) return tls_error(e, STATUS_INVALID_ARGUMENT, "cannot read the key", key_file);
    if (SSL_CTX_check_private_key(ssl) != 1) return tls_error(e, STATUS_INVALID_ARGUMENT, "the key does not fit the certificate:", key_file);
    return STATUS_OK;
}

// ---- whose certificate it is ----

static void append_name(struct tls_stream *t, const char *name) {
    size_t used = strlen(t->names), length = strlen(name);
    if (!length || used + length + 8 > sizeof t->names) return;
    memcpy(t->names + used, ", ", used ? 2 : 0);
    memcpy(t->names + used + (used ? 2 : 0), name, length + 1);
}

// Names of a host, as far as they are printable, and addresses.
static void note_names(struct tls_stream *t, const X509 *certificate) {
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    t->names[0] = 0;
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        char text[100] = "";
        const ASN1_STRING *v = name->type == GEN_DNS ? name->d.dNSName : name->type == GEN_IPADD ? name->d.iPAddress : NULL;
        size_t size_bytes = v ? (size_t)ASN1_STRING_length(v) : 0;
        const uint8_t *bytes = v ? ASN1_STRING_get0_data(v) : NULL;
        if (name->type == GEN_IPADD && (size_bytes == 4 || size_bytes == 16)) inet_ntop(size_bytes == 4 ? AF_INET : AF_INET6, bytes, text, sizeof text);
        for (size_t k = 0; name->type == GEN_DNS && size_bytes < sizeof text && k < size_bytes; k++) text[k] = bytes[k] > 0x20 && bytes[k] < 0x7F ? (char)bytes[k] : '?';
        append_name(t, text);
    }
    GENERAL_NAMES_free(names);
}

// Looks on while OpenSSL judges: afterwards a certificate that was refused is gone.
static int on_verify(int good, X509_STORE_CTX *store) {
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    struct tls_stream *t = ssl ? SSL_get_app_data(ssl) : NULL;
    if (!good && t && X509_STORE_CTX_get0_cert(store)) note_names(t, X509_STORE_CTX_get0_cert(store));
    return good;
}

enum status tls_context_new(const struct cql_tls *config, struct memory *memory, struct tls_context **out, struct error *e) {
    struct tls_context *t = memory_alloc_zeroed(memory, sizeof *t);
    *out = NULL;
    if (!t) return error_no_memory(e);
    ERR_clear_error();
    t->memory = memory;
    t->skip_host_check = config->skip_host_check;
    t->skip_verification = config->skip_verification;
    t->ssl = SSL_CTX_new(TLS_client_method());
    enum status status = t->ssl ? STATUS_OK : tls_error(e, STATUS_NO_MEMORY, "cannot begin TLS", "");
    if (status == STATUS_OK) {
        SSL_CTX_set_min_proto_version(t->ssl, TLS1_2_VERSION);
        SSL_CTX_set_verify(t->ssl, config->skip_verification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, on_verify);
        status = load_files(t->ssl, config, e);
    }
    if (status != STATUS_OK) {
        tls_context_free(t);
        return status;
    }
    *out = t;
    return STATUS_OK;
}

void tls_context_free(struct tls_context *t) {
    if (!t) return;
    SSL_CTX_free(t->ssl);
    memory_free(t->memory, t, sizeof *t);
}

static bool expect_host(struct tls_stream *t, const char *name, const struct sockaddr_storage *address) {
    uint8_t bytes[16];
    X509_VERIFY_PARAM *parameters = SSL_get0_param(t->ssl);
    if (name && inet_pton(AF_INET, name, bytes) != 1 && inet_pton(AF_INET6, name, bytes) != 1) {
        SSL_set_tlsext_host_name(t->ssl, name);
        X509_VERIFY_PARAM_set_hostflags(parameters, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        snprintf(t->expected, sizeof t->expected, "%s", name);
        return X509_VERIFY_PARAM_set1_host(parameters, name, 0) == 1;
    }
    const void *ip = address->ss_family == AF_INET ? (const void *)&((const struct sockaddr_in *)address)->sin_addr : &((const struct sockaddr_in6 *)address)->sin6_addr;
    inet_ntop(address->ss_family, ip, t->expected, sizeof t->expected);
    return X509_VERIFY_PARAM_set1_ip(parameters, ip, address->ss_family == AF_INET ? 4 : 16) == 1;
}

struct tls_stream *tls_stream_new(struct tls_context *t, const char *name, const struct sockaddr_storage *address, struct error *e) {
    struct tls_stream *s = memory_alloc_zeroed(t->memory, sizeof *s);
    if (!s) {
        (void)error_no_memory(e);
        return NULL;
    }
    ERR_clear_error();
    s->memory = t->memory;
    s->ssl = SSL_new(t->ssl);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!s->ssl || !in || !out) {
        BIO_free(in);
        BIO_free(out);
        goto failed;
    }
    SSL_set_bio(s->ssl, in, out);
    SSL_set_app_data(s->ssl, s);
    s->in = in;
    s->out = out;
    SSL_set_connect_state(s->ssl);
    if (!t->skip_host_check && !t->skip_verification && !expect_host(s, name, address)) goto failed;
    return s;
failed:
    (void)tls_error(e, STATUS_NO_MEMORY, "cannot begin TLS", "");
    tls_stream_free(s);
    return NULL;
}

void tls_stream_free(struct tls_stream *t) {
    if (!t) return;
    SSL_free(t->ssl);
    memory_free(t->memory, t, sizeof *t);
}

static enum status take_out(struct tls_stream *t, struct buffer *out, struct error *e) {
    for (size_t left; (left = BIO_ctrl_pending(t->out)) > 0;) {
        if (buffer_reserve(out, left) != STATUS_OK) return error_no_memory(e);
        int got = BIO_read(t->out, out->data + out->size_bytes, left > INT32_MAX ? INT32_MAX : (int)left);
        if (got <= 0) break;
        out->size_bytes += (size_t)got;
    }
    return STATUS_OK;
}

enum status tls_came(struct tls_stream *t, const void *bytes, size_t size_bytes, struct error *e) {
    return BIO_write(t->in, bytes, (int)size_bytes) == (int)size_bytes ? STATUS_OK : error_no_memory(e);
}

static enum status certificate_refused(const struct tls_stream *t, long verified, struct error *e) {
    bool other_host = verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
    ERR_clear_error();
    if (other_host) {
        error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_TLS", "the server's certificate is refused: it is for %s, not for %s", *t->names ? t->names : "no host", t->expected);
        error_set_hint(e, "connect by a name that stands in the certificate, or have this one put into it");
    } else {
        error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_CASSANDRA_TLS", "the server's certificate is refused: %s", X509_verify_cert_error_string(verified));
        error_set_hint(e, "name the CA (PEM) that signed it");
    }
    return STATUS_INVALID_ARGUMENT;
}

static enum status handshake_failed(struct tls_stream *t, struct error *e) {
    long verified = SSL_get_verify_result(t->ssl);
    if (verified != X509_V_OK && SSL_get_verify_mode(t->ssl) != SSL_VERIFY_NONE) return certificate_refused(t, verified, e);
    bool no_tls = ERR_GET_REASON(ERR_peek_last_error()) == SSL_R_WRONG_VERSION_NUMBER;
    return tls_error(e, STATUS_UNREACHABLE, no_tls ? "TLS handshake: the server answers without TLS" : "TLS handshake", "");
}

enum status tls_handshake(struct tls_stream *t, struct buffer *out, bool *done, struct error *e) {
    ERR_clear_error();
    int result = SSL_do_handshake(t->ssl);
    *done = result == 1;
    int why = *done ? SSL_ERROR_NONE : SSL_get_error(t->ssl, result);
    enum status status = STATUS_OK;
    if (!*done && why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) status = handshake_failed(t, e);
    struct error ignored;
    enum status taken = take_out(t, out, status == STATUS_OK ? e : &ignored);  // an alert, too, is sent
    return status != STATUS_OK ? status : taken;
}

enum status tls_encrypt(struct tls_stream *t, const void *bytes, size_t size_bytes, struct buffer *out, struct error *e) {
    ERR_clear_error();
    while (size_bytes) {
        int piece = size_bytes > 1 << 20 ? 1 << 20 : (int)size_bytes;
        int wrote = SSL_write(t->ssl, bytes, piece);  // memory takes it whole
        if (wrote <= 0) return tls_error(e, STATUS_UNREACHABLE, "TLS", "");
        bytes = (const uint8_t *)bytes + wrote;
        size_bytes -= (size_t)wrote;
    }
    return take_out(t, out, e);
}

// After the handshake of TLS 1.3 the server tells what it thinks of the client's certificate.
static enum status read_failed(const struct tls_stream *t, struct error *e) {
    static const int certificate_reasons[] = {SSL_R_TLSV13_ALERT_CERTIFICATE_REQUIRED, SSL_R_SSLV3_ALERT_BAD_CERTIFICATE, SSL_R_TLSV1_ALERT_UNKNOWN_CA,
                                              SSL_R_SSLV3_ALERT_CERTIFICATE_UNKNOWN, SSL_R_SSLV3_ALERT_CERTIFICATE_EXPIRED,
                                              SSL_R_SSLV3_ALERT_UNSUPPORTED_CERTIFICATE, SSL_R_SSLV3_ALERT_CERTIFICATE_REVOKED};
    int reason = ERR_GET_REASON(ERR_peek_last_error());
    for (size_t i = 0; i < sizeof certificate_reasons / sizeof *certificate_reasons; i++) {
        if (reason == certificate_reasons[i]) return tls_error(e, STATUS_INVALID_ARGUMENT, "the server refuses the client's certificate", "");
    }
    // Some servers refuse a certificate by an alert that says nothing.
    return tls_error(e, STATUS_UNREACHABLE, t->heard ? "TLS" : "TLS, before the server's first message (perhaps it does not accept the client's certificate)", "");
}

enum status tls_decrypt(struct tls_stream *t, void *bytes, size_t size_bytes, size_t *got, bool *closed, struct buffer *out, struct error *e) {
    ERR_clear_error();
    *got = 0;
    *closed = false;
    while (*got < size_bytes) {
        size_t room = size_bytes - *got;
        int read_bytes = SSL_read(t->ssl, (uint8_t *)bytes + *got, room > INT32_MAX ? INT32_MAX : (int)room);
        if (read_bytes > 0) {
            *got += (size_t)read_bytes;
            t->heard = true;
            continue;
        }
        int why = SSL_get_error(t->ssl, read_bytes);
        if (why == SSL_ERROR_ZERO_RETURN) *closed = true;
        else if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) return read_failed(t, e);
        break;
    }
    return take_out(t, out, e);
}
