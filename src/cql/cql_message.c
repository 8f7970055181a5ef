// SPDX-License-Identifier: Apache-2.0
// cql_message.c: encoding of requests, decoding of the small responses. Rows and prepared statements: cql_metadata.c.
#include "cql/cql_message.h"

static void put(struct buffer *out, const void *bytes, size_t size_bytes, enum status *status) {
    if (*status == STATUS_OK && size_bytes) *status = buffer_append(out, bytes, size_bytes);
}
static void put_8(struct buffer *out, uint8_t v, enum status *status) { put(out, &v, 1, status); }
static void put_16(struct buffer *out, uint16_t v, enum status *status) {
    v = __builtin_bswap16(v);
    put(out, &v, 2, status);
}
static void put_32(struct buffer *out, uint32_t v, enum status *status) {
    v = __builtin_bswap32(v);
    put(out, &v, 4, status);
}
static void put_64(struct buffer *out, uint64_t v, enum status *status) {
    v = __builtin_bswap64(v);
    put(out, &v, 8, status);
}
static void put_string(struct buffer *out, const char *s, enum status *status) {
    put_16(out, (uint16_t)strlen(s), status);
    put(out, s, strlen(s), status);
}
static void put_long_string(struct buffer *out, const char *s, enum status *status) {
    put_32(out, (uint32_t)strlen(s), status);
    put(out, s, strlen(s), status);
}
static void put_id(struct buffer *out, const struct cql_id *id, enum status *status) {
    put_16(out, id->size_bytes, status);
    put(out, id->bytes, id->size_bytes, status);
}

size_t cql_frame_open(struct buffer *out, uint8_t version, int16_t stream, enum cql_opcode opcode, enum status *status) {
    uint8_t header[CQL_HEADER_BYTES] = {version, 0, (uint8_t)((uint16_t)stream >> 8), (uint8_t)stream, (uint8_t)opcode, 0, 0, 0, 0};
    size_t mark = out->size_bytes;
    put(out, header, sizeof header, status);
    return mark;
}

enum status cql_frame_close(struct buffer *out, size_t mark, enum status status) {
    if (status == STATUS_OK && out->size_bytes - mark - CQL_HEADER_BYTES > INT32_MAX) status = STATUS_LIMIT;
    if (status != STATUS_OK) out->size_bytes = mark;
    else cql_store_32(out->data + mark + 5, (uint32_t)(out->size_bytes - mark - CQL_HEADER_BYTES));
    return status;
}

enum status cql_encode_options(struct buffer *out, uint8_t version, int16_t stream) {
    enum status status = STATUS_OK;
    size_t mark = cql_frame_open(out, version, stream, CQL_OP_OPTIONS, &status);
    return cql_frame_close(out, mark, status);
}

enum status cql_encode_startup(struct buffer *out, uint8_t version, int16_t stream, bool lz4) {
    enum status status = STATUS_OK;
    size_t mark = cql_frame_open(out, version, stream, CQL_OP_STARTUP, &status);
    put_16(out, lz4 ? 4 : 3, &status);
    put_string(out, "CQL_VERSION", &status);
    put_string(out, "3.0.0", &status);
    put_string(out, "DRIVER_NAME", &status);
    put_string(out, "leat", &status);
    put_string(out, "DRIVER_VERSION", &status);
    put_string(out, LEAT_VERSION, &status);
    if (lz4) {
        put_string(out, "COMPRESSION", &status);
        put_string(out, "lz4", &status);
    }
    return cql_frame_close(out, mark, status);
}

// SASL PLAIN: an empty authorization id, the user, the password, a zero byte before each.
enum status cql_encode_login(struct buffer *out, uint8_t version, int16_t stream, const char *user, const char *password) {
    enum status status = STATUS_OK;
    size_t mark = cql_frame_open(out, version, stream, CQL_OP_AUTH_RESPONSE, &status);
    put_32(out, (uint32_t)(2 + strlen(user) + strlen(password)), &status);
    put_8(out, 0, &status);
    put(out, user, strlen(user), &status);
    put_8(out, 0, &status);
    put(out, password, strlen(password), &status);
    return cql_frame_close(out, mark, status);
}

enum status cql_encode_register(struct buffer *out, uint8_t version, int16_t stream) {
    enum status status = STATUS_OK;
    size_t mark = cql_frame_open(out, version, stream, CQL_OP_REGISTER, &status);
    put_16(out, 3, &status);
    put_string(out, "TOPOLOGY_CHANGE", &status);
    put_string(out, "STATUS_CHANGE", &status);
    put_string(out, "SCHEMA_CHANGE", &status);
    return cql_frame_close(out, mark, status);
}

enum status cql_encode_prepare(struct buffer *out, uint8_t version, int16_t stream, const char *text) {
    enum status status = STATUS_OK;
    size_t mark = cql_frame_open(out, version, stream, CQL_OP_PREPARE, &status);
    put_long_string(out, text, &status);
    if (version >= 5) put_32(out, 0, &status);
    return cql_frame_close(out, mark, status);
}

// Flags are a byte in v4 and an int in v5.
static void put_flags(struct buffer *out, uint8_t version, uint32_t flags, enum status *status) {
    if (version >= 5) put_32(out, flags, status);
    else put_8(out, (uint8_t)flags, status);
}

enum status cql_encode_statement(struct buffer *out, const struct cql_parameters *p, const struct cql_statement_bytes *s) {
    enum status status = STATUS_OK;
    size_t text_bytes = s->text ? strlen(s->text) : 0;
    TRY(buffer_reserve(out, CQL_HEADER_BYTES + text_bytes + s->values_bytes + p->paging_state_bytes + 2 * CQL_ID_MAX + 64));  // one look at the capacity
    size_t mark = cql_frame_open(out, p->version, p->stream, s->text ? CQL_OP_QUERY : CQL_OP_EXECUTE, &status);
    if (s->text) {
        put_long_string(out, s->text, &status);
    } else {
        put_id(out, s->id, &status);
        if (p->version >= 5) put_id(out, s->result_id, &status);
    }
    bool serial = p->serial_consistency != CQL_CONSISTENCY_DEFAULT;
    uint32_t flags = (s->value_count ? CQL_QUERY_VALUES : 0u) | (p->skip_metadata ? CQL_QUERY_SKIP_METADATA : 0u) |
                     (p->page_rows > 0 ? CQL_QUERY_PAGE_SIZE : 0u) | (p->paging_state ? CQL_QUERY_PAGING_STATE : 0u) |
                     (serial ? CQL_QUERY_SERIAL_CONSISTENCY : 0u) | (p->has_timestamp ? CQL_QUERY_TIMESTAMP : 0u);
    put_16(out, p->consistency, &status);
    put_flags(out, p->version, flags, &status);
    if (s->value_count) {
        put_16(out, (uint16_t)s->value_count, &status);
        put(out, s->values, s->values_bytes, &status);
    }
    if (p->page_rows > 0) put_32(out, (uint32_t)p->page_rows, &status);
    if (p->paging_state) {
        put_32(out, p->paging_state_bytes, &status);
        put(out, p->paging_state, p->paging_state_bytes, &status);
    }
    if (serial) put_16(out, p->serial_consistency, &status);
    if (p->has_timestamp) put_64(out, (uint64_t)p->timestamp_us, &status);
    return cql_frame_close(out, mark, status);
}

size_t cql_batch_open(struct buffer *out, const struct cql_parameters *p, enum cql_batch_kind kind, uint16_t count, enum status *status) {
    size_t mark = cql_frame_open(out, p->version, p->stream, CQL_OP_BATCH, status);
    put_8(out, (uint8_t)kind, status);
    put_16(out, count, status);
    return mark;
}

void cql_batch_statement(struct buffer *out, const struct cql_statement_bytes *s, enum status *status) {
    if (s->text) {
        put_8(out, 0, status);
        put_long_string(out, s->text, status);
    } else {
        put_8(out, 1, status);
        put_id(out, s->id, status);
    }
    put_16(out, (uint16_t)s->value_count, status);
    put(out, s->values, s->values_bytes, status);
}

enum status cql_batch_close(struct buffer *out, size_t mark, const struct cql_parameters *p, enum status status) {
    bool serial = p->serial_consistency != CQL_CONSISTENCY_DEFAULT;
    put_16(out, p->consistency, &status);
    put_flags(out, p->version, (serial ? CQL_QUERY_SERIAL_CONSISTENCY : 0u) | (p->has_timestamp ? CQL_QUERY_TIMESTAMP : 0u), &status);
    if (serial) put_16(out, p->serial_consistency, &status);
    if (p->has_timestamp) put_64(out, (uint64_t)p->timestamp_us, &status);
    return cql_frame_close(out, mark, status);
}

static enum status malformed(struct error *e, const char *what) {
    return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: %s", what);
}

enum status cql_decode_prelude(struct cql_reader *r, uint8_t flags, struct cql_text *warning, struct error *e) {
    *warning = (struct cql_text){.bytes = ""};
    if (flags & CQL_FLAG_TRACING) cql_take(r, 16);
    if (flags & CQL_FLAG_WARNING) {
        for (uint16_t left = cql_take_16(r); left && !r->failed; left--) {
            struct cql_text text = cql_take_string(r);
            if (!warning->size_bytes) *warning = text;
        }
    }
    if (flags & CQL_FLAG_PAYLOAD) {
        for (uint16_t left = cql_take_16(r); left && !r->failed; left--) {
            cql_take_string(r);
            cql_take_value(r);
        }
    }
    return r->failed ? malformed(e, "the part before the message is cut off") : STATUS_OK;
}

static enum status take_id(struct cql_reader *r, struct cql_id *out) {
    struct cql_text text = cql_take_string(r);
    if (r->failed || text.size_bytes > CQL_ID_MAX) {
        r->failed = true;
        return STATUS_CORRUPT;
    }
    memcpy(out->bytes, text.bytes, text.size_bytes);
    out->size_bytes = (uint8_t)text.size_bytes;
    return STATUS_OK;
}

enum status cql_decode_error(struct cql_reader *r, struct cql_failure *out, struct error *e) {
    *out = (struct cql_failure){.code = cql_take_32(r)};
    out->message = cql_take_string(r);
    if (!r->failed && out->code == CQL_ERROR_UNPREPARED && take_id(r, &out->unprepared) != STATUS_OK) return malformed(e, "an UNPREPARED without id");
    if (!r->failed && out->code == CQL_ERROR_WRITE_TIMEOUT) {
        cql_take_16(r);
        cql_take_32(r);
        cql_take_32(r);
        out->write_was_logged = cql_text_is(cql_take_string(r), "BATCH_LOG");
    }
    return r->failed ? malformed(e, "an ERROR that is cut off") : STATUS_OK;
}

enum status cql_decode_supported(struct cql_reader *r, struct cql_supported *out, struct error *e) {
    bool told = false;
    *out = (struct cql_supported){0};
    for (uint16_t options = cql_take_16(r); options && !r->failed; options--) {
        struct cql_text option = cql_take_string(r);
        bool versions = cql_text_is(option, "PROTOCOL_VERSIONS"), compression = cql_text_is(option, "COMPRESSION");
        told |= versions;
        for (uint16_t values = cql_take_16(r); values && !r->failed; values--) {
            struct cql_text value = cql_take_string(r);
            out->v5 |= versions && cql_text_is(value, "5/v5");
            out->v4 |= versions && cql_text_is(value, "4/v4");
            out->lz4 |= compression && cql_text_is(value, "lz4");
        }
    }
    if (!told) out->v4 = true;  // servers before 2.2.8 do not tell; what they are, STARTUP will say
    return r->failed ? malformed(e, "a SUPPORTED that is cut off") : STATUS_OK;
}

enum status cql_decode_event(struct cql_reader *r, struct cql_event *out, struct error *e) {
    struct cql_text kind = cql_take_string(r);
    *out = (struct cql_event){.change = cql_take_string(r)};
    if (cql_text_is(kind, "TOPOLOGY_CHANGE")) out->kind = CQL_EVENT_TOPOLOGY;
    else if (cql_text_is(kind, "STATUS_CHANGE")) out->kind = CQL_EVENT_STATUS;
    else if (cql_text_is(kind, "SCHEMA_CHANGE")) out->kind = CQL_EVENT_SCHEMA;
    else return r->failed ? malformed(e, "an EVENT that is cut off") : STATUS_OK;
    if (out->kind == CQL_EVENT_SCHEMA) {
        out->target = cql_take_string(r);
        out->keyspace = cql_take_string(r);
    } else {
        out->address_bytes = cql_take_8(r);
        if (out->address_bytes != 4 && out->address_bytes != 16) return malformed(e, "an EVENT with an address that is none");
        const uint8_t *address = cql_take(r, out->address_bytes);
        if (address) memcpy(out->address, address, out->address_bytes);
        out->port = cql_take_32(r);
    }
    return r->failed ? malformed(e, "an EVENT that is cut off") : STATUS_OK;
}
