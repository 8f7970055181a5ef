// SPDX-License-Identifier: Apache-2.0
// cql_segment.c: checksums, sealing and opening of segments, LZ4 of either version.
#include "cql/cql_segment.h"
#include <lz4.h>

enum { COMPRESS_MIN = 64, V4_COMPRESS_MIN = 512, SELF_CONTAINED = 1 << 17 };

uint32_t cql_crc24(uint64_t header, unsigned size_bytes) {
    uint32_t crc = 0x875060;
    for (unsigned i = 0; i < size_bytes; i++, header >>= 8) {
        crc ^= (uint32_t)(header & 0xFF) << 16;
        for (int bit = 0; bit < 8; bit++) {
            crc <<= 1;
            if (crc & 0x1000000) crc ^= 0x1974F0B;
        }
    }
    return crc;
}

void cql_crc32_init(struct cql_crc32 *c) {
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
        c->table[0][i] = crc;
    }
    for (uint32_t i = 0; i < 256; i++) {
        for (int k = 1; k < 8; k++) c->table[k][i] = c->table[k - 1][i] >> 8 ^ c->table[0][c->table[k - 1][i] & 0xFF];
    }
}

static uint32_t crc32_more(const struct cql_crc32 *c, uint32_t crc, const uint8_t *p, size_t left) {
    for (; left >= 8; left -= 8, p += 8) {
        uint32_t low, high;
        memcpy(&low, p, 4);
        memcpy(&high, p + 4, 4);
        low ^= crc;
        crc = c->table[7][low & 0xFF] ^ c->table[6][low >> 8 & 0xFF] ^ c->table[5][low >> 16 & 0xFF] ^ c->table[4][low >> 24] ^
              c->table[3][high & 0xFF] ^ c->table[2][high >> 8 & 0xFF] ^ c->table[1][high >> 16 & 0xFF] ^ c->table[0][high >> 24];
    }
    for (; left; left--) crc = crc >> 8 ^ c->table[0][(crc ^ *p++) & 0xFF];
    return crc;
}

uint32_t cql_crc32_of(const struct cql_crc32 *c, const void *bytes, size_t size_bytes) {
    static const uint8_t seed[4] = {0xFA, 0x2D, 0x55, 0xCA};
    return ~crc32_more(c, crc32_more(c, ~0u, seed, 4), bytes, size_bytes);
}

static void store_little(uint8_t *at, uint64_t v, unsigned size_bytes) {
    for (unsigned i = 0; i < size_bytes; i++, v >>= 8) at[i] = (uint8_t)v;
}

static uint64_t load_little(const uint8_t *at, unsigned size_bytes) {
    uint64_t v = 0;
    for (unsigned i = size_bytes; i-- > 0;) v = v << 8 | at[i];
    return v;
}

// One segment of at most CQL_SEGMENT_PAYLOAD_MAX bytes.
static enum status seal_segment(const struct cql_crc32 *crc, bool lz4, const uint8_t *payload, size_t size_bytes, bool self_contained, struct buffer *out) {
    size_t bound = lz4 ? (size_t)LZ4_compressBound((int)size_bytes) : size_bytes;
    TRY(buffer_reserve(out, 8 + bound + 4));
    uint8_t *at = out->data + out->size_bytes;
    unsigned header_bytes = lz4 ? 5 : 3;
    uint8_t *body = at + header_bytes + 3;
    uint64_t header;
    size_t written = 0;
    if (lz4 && size_bytes >= COMPRESS_MIN) {
        int compressed = LZ4_compress_default((const char *)payload, (char *)body, (int)size_bytes, (int)bound);
        if (compressed > 0 && (size_t)compressed < size_bytes) written = (size_t)compressed;
    }
    uint64_t uncompressed = written ? size_bytes : 0;
    if (!written) {
        memcpy(body, payload, size_bytes);
        written = size_bytes;
    }
    if (lz4) header = written | uncompressed << 17 | (self_contained ? UINT64_C(1) << 34 : 0);
    else header = written | (self_contained ? SELF_CONTAINED : 0);
    store_little(at, header, header_bytes);
    store_little(at + header_bytes, cql_crc24(header, header_bytes), 3);
    store_little(body + written, cql_crc32_of(crc, body, written), 4);
    out->size_bytes += header_bytes + 3 + written + 4;
    return STATUS_OK;
}

// v4: a header whose body length is that of the compressed body: [uncompressed length 4] and an LZ4 block.
static enum status seal_bare_lz4(const uint8_t *frame, size_t size_bytes, struct buffer *out) {
    size_t body_bytes = size_bytes - CQL_HEADER_BYTES;
    if (body_bytes < V4_COMPRESS_MIN || body_bytes > LZ4_MAX_INPUT_SIZE) return buffer_append(out, frame, size_bytes);
    int bound = LZ4_compressBound((int)body_bytes);
    TRY(buffer_reserve(out, CQL_HEADER_BYTES + 4 + (size_t)bound));
    uint8_t *at = out->data + out->size_bytes;
    int compressed = LZ4_compress_default((const char *)frame + CQL_HEADER_BYTES, (char *)at + CQL_HEADER_BYTES + 4, (int)body_bytes, bound);
    if (compressed <= 0 || (size_t)compressed + 4 >= body_bytes) return buffer_append(out, frame, size_bytes);
    memcpy(at, frame, CQL_HEADER_BYTES);
    at[1] |= CQL_FLAG_COMPRESSED;
    uint32_t wire_bytes = __builtin_bswap32((uint32_t)compressed + 4), plain_bytes = __builtin_bswap32((uint32_t)body_bytes);
    memcpy(at + 5, &wire_bytes, 4);
    memcpy(at + CQL_HEADER_BYTES, &plain_bytes, 4);
    out->size_bytes += CQL_HEADER_BYTES + 4 + (size_t)compressed;
    return STATUS_OK;
}

static enum status seal_segments(const struct cql_crc32 *crc, bool lz4, const uint8_t *frames, size_t size_bytes, struct buffer *out) {
    size_t begin = 0, end = 0;  // frames gathered for one segment
    while (end < size_bytes) {
        size_t frame = CQL_HEADER_BYTES + cql_load_32(frames + end + 5);
        if (end - begin + frame > CQL_SEGMENT_PAYLOAD_MAX && end > begin) {
            TRY(seal_segment(crc, lz4, frames + begin, end - begin, true, out));
            begin = end;
        }
        end += frame;
        if (frame <= CQL_SEGMENT_PAYLOAD_MAX) continue;
        for (size_t piece; begin < end; begin += piece) {
            piece = end - begin < CQL_SEGMENT_PAYLOAD_MAX ? end - begin : CQL_SEGMENT_PAYLOAD_MAX;
            TRY(seal_segment(crc, lz4, frames + begin, piece, false, out));
        }
    }
    return end > begin ? seal_segment(crc, lz4, frames + begin, end - begin, true, out) : STATUS_OK;
}

enum status cql_seal(const struct cql_crc32 *crc, enum cql_framing framing, const uint8_t *frames, size_t size_bytes, struct buffer *out, struct error *e) {
    enum status status = STATUS_OK;
    for (size_t at = 0; at < size_bytes;) {  // they are ours, and whole
        if (size_bytes - at < CQL_HEADER_BYTES || cql_load_32(frames + at + 5) > size_bytes - at - CQL_HEADER_BYTES) {
            return error_set(e, STATUS_INTERNAL, NULL, "a frame to be sent is not whole");
        }
        size_t frame = CQL_HEADER_BYTES + cql_load_32(frames + at + 5);
        if (framing == CQL_FRAMING_BARE_LZ4 && status == STATUS_OK) status = seal_bare_lz4(frames + at, frame, out);
        at += frame;
    }
    if (framing == CQL_FRAMING_BARE) status = buffer_append(out, frames, size_bytes);
    else if (framing != CQL_FRAMING_BARE_LZ4) status = seal_segments(crc, framing == CQL_FRAMING_SEGMENTS_LZ4, frames, size_bytes, out);
    return status == STATUS_OK ? STATUS_OK : error_no_memory(e);
}

void cql_receiver_init(struct cql_receiver *r, const struct cql_crc32 *crc, struct memory *memory, uint64_t frame_bytes_max) {
    *r = (struct cql_receiver){.crc = crc, .framing = CQL_FRAMING_BARE, .frame_bytes_max = frame_bytes_max};
    buffer_init(&r->wire, memory);
    buffer_init(&r->frames, memory);
    buffer_init(&r->body, memory);
}

void cql_receiver_release(struct cql_receiver *r) {
    buffer_release(&r->wire);
    buffer_release(&r->frames);
    buffer_release(&r->body);
}

// Moves what is left to the front, so that a buffer holds at most one frame and what came with it.
static void drop_taken(struct buffer *b, size_t *begin) {
    if (!*begin) return;
    if (b->size_bytes > *begin) memmove(b->data, b->data + *begin, b->size_bytes - *begin);
    b->size_bytes -= *begin;
    *begin = 0;
}

uint8_t *cql_receiver_room(struct cql_receiver *r, size_t size_bytes) {
    drop_taken(&r->wire, &r->wire_begin);
    return buffer_reserve(&r->wire, size_bytes) == STATUS_OK ? r->wire.data + r->wire.size_bytes : NULL;
}

static enum status corrupt(struct error *e, const char *what) {
    return error_set(e, STATUS_CORRUPT, "LEAT_CASSANDRA_UNREACHABLE", "malformed reply: %s", what);
}

// Opens one segment to the end of `frames`.
static enum status open_segment(struct cql_receiver *r, bool *found, struct error *e) {
    bool lz4 = r->framing == CQL_FRAMING_SEGMENTS_LZ4;
    unsigned header_bytes = lz4 ? 5 : 3;
    size_t left = r->wire.size_bytes - r->wire_begin;
    *found = false;
    if (left < header_bytes + 3) return STATUS_OK;
    const uint8_t *at = r->wire.data + r->wire_begin;
    uint64_t header = load_little(at, header_bytes);
    if (load_little(at + header_bytes, 3) != cql_crc24(header, header_bytes)) return corrupt(e, "the checksum of a segment's header does not match");
    size_t size_bytes = header & 0x1FFFF;
    size_t plain_bytes = lz4 ? header >> 17 & 0x1FFFF : 0;
    if (left < header_bytes + 3 + size_bytes + 4) return STATUS_OK;
    const uint8_t *payload = at + header_bytes + 3;
    if (load_little(payload + size_bytes, 4) != cql_crc32_of(r->crc, payload, size_bytes)) return corrupt(e, "the checksum of a segment does not match");
    drop_taken(&r->frames, &r->frames_begin);
    if (!plain_bytes) {
        if (buffer_append(&r->frames, payload, size_bytes) != STATUS_OK) return error_no_memory(e);
    } else {
        if (buffer_reserve(&r->frames, plain_bytes) != STATUS_OK) return error_no_memory(e);
        int opened = LZ4_decompress_safe((const char *)payload, (char *)r->frames.data + r->frames.size_bytes, (int)size_bytes, (int)plain_bytes);
        if (opened < 0 || (size_t)opened != plain_bytes) return corrupt(e, "a segment is no LZ4 block of the length it says");
        r->frames.size_bytes += plain_bytes;
    }
    r->wire_begin += header_bytes + 3 + size_bytes + 4;
    *found = true;
    return STATUS_OK;
}

// A frame at the start of what is left of `b`; with *needed: bytes it takes when it is not there yet.
static enum status parse_frame(const struct cql_receiver *r, const struct buffer *b, size_t begin, struct cql_frame *f, bool *found, struct error *e) {
    size_t left = b->size_bytes - begin;
    *found = false;
    if (!left) return STATUS_OK;
    const uint8_t *at = b->data + begin;
    if (!(at[0] & CQL_RESPONSE_BIT)) return corrupt(e, "it does not begin as a response of Cassandra's native protocol");
    if (left < CQL_HEADER_BYTES) return STATUS_OK;
    *f = (struct cql_frame){.version = at[0], .flags = at[1], .stream = (int16_t)cql_load_16(at + 2), .opcode = at[4], .body = at + CQL_HEADER_BYTES,
                            .size_bytes = cql_load_32(at + 5)};
    if (f->size_bytes > r->frame_bytes_max) return corrupt(e, "a frame is announced as larger than the limit");
    *found = left - CQL_HEADER_BYTES >= f->size_bytes;
    return STATUS_OK;
}

static enum status decompress_body(struct cql_receiver *r, struct cql_frame *f, struct error *e) {
    if (r->framing != CQL_FRAMING_BARE_LZ4) return corrupt(e, "a frame is compressed though that was not agreed");
    if (f->size_bytes < 4) return corrupt(e, "a compressed frame is too short");
    uint32_t plain_bytes = cql_load_32(f->body);
    if (plain_bytes > r->frame_bytes_max || plain_bytes > LZ4_MAX_INPUT_SIZE) return corrupt(e, "a compressed frame is larger than the limit");
    buffer_clear(&r->body);
    if (buffer_reserve(&r->body, plain_bytes + 1) != STATUS_OK) return error_no_memory(e);
    int opened = plain_bytes ? LZ4_decompress_safe((const char *)f->body + 4, (char *)r->body.data, (int)(f->size_bytes - 4), (int)plain_bytes) : 0;
    if (opened < 0 || (uint32_t)opened != plain_bytes) return corrupt(e, "a frame is no LZ4 block of the length it says");
    f->body = r->body.data;
    f->size_bytes = plain_bytes;
    f->flags &= (uint8_t)~CQL_FLAG_COMPRESSED;
    return STATUS_OK;
}

enum status cql_receiver_next(struct cql_receiver *r, struct cql_frame *f, bool *found, struct error *e) {
    bool segments = r->framing == CQL_FRAMING_SEGMENTS || r->framing == CQL_FRAMING_SEGMENTS_LZ4;
    struct buffer *b = segments ? &r->frames : &r->wire;
    size_t *begin = segments ? &r->frames_begin : &r->wire_begin;
    for (;;) {
        TRY(parse_frame(r, b, *begin, f, found, e));
        if (*found || !segments) break;
        bool opened;
        TRY(open_segment(r, &opened, e));
        if (!opened) return STATUS_OK;
    }
    if (!*found) return STATUS_OK;
    *begin += CQL_HEADER_BYTES + (size_t)f->size_bytes;
    enum status status = f->flags & CQL_FLAG_COMPRESSED ? decompress_body(r, f, e) : STATUS_OK;
    *found = status == STATUS_OK;
    return status;
}
