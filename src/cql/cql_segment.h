// SPDX-License-Identifier: Apache-2.0
// cql_segment.h: bytes of a connection to frames and back: v5's segments with checksums and LZ4, v4's bare frames with LZ4 bodies.
//
//     v5, plain  [payload length 17 bits, self-contained 1 bit : 3][CRC24 : 3] payload [CRC32 : 4]
//     v5, LZ4    [compressed length 17, uncompressed length 17, self-contained 1 : 5][CRC24 : 3] payload [CRC32 : 4]     all little-endian
//
// Many small frames share a self-contained segment; a frame above 131,071 bytes is cut into segments of its own. An uncompressed length of 0 means
// that the payload is not compressed. A receiver joins payloads to one stream of frames, so it depends on no flag of the other side.
// Both directions are pure: bytes in, bytes out; sockets are the connection's. Private to the folder.
#pragma once
#include "cql/cql_wire.h"

enum { CQL_SEGMENT_PAYLOAD_MAX = 131071 };

enum cql_framing {
    CQL_FRAMING_BARE,          // v4, and v5 until STARTUP is answered
    CQL_FRAMING_BARE_LZ4,      // v4: bodies may be compressed
    CQL_FRAMING_SEGMENTS,      // v5
    CQL_FRAMING_SEGMENTS_LZ4,
};

uint32_t cql_crc24(uint64_t header, unsigned size_bytes);  // of the low bytes of `header`, lowest first
struct cql_crc32 {
    uint32_t table[8][256];  // for eight bytes at a time
};
void cql_crc32_init(struct cql_crc32 *c);
uint32_t cql_crc32_of(const struct cql_crc32 *c, const void *bytes, size_t size_bytes);  // seeded with FA 2D 55 CA

// Moves whole frames, back to back in `frames`, to bytes for the socket at the end of `out`. STATUS_LIMIT: one does not fit the protocol.
enum status cql_seal(const struct cql_crc32 *crc, enum cql_framing framing, const uint8_t *frames, size_t size_bytes, struct buffer *out,
                     struct error *e) WARN_UNUSED;

struct cql_frame {
    uint8_t version;  // with CQL_RESPONSE_BIT when it comes from a server
    uint8_t flags;
    int16_t stream;
    uint8_t opcode;
    const uint8_t *body;  // good until the next call of the receiver
    uint32_t size_bytes;
};

struct cql_receiver {
    const struct cql_crc32 *crc;
    enum cql_framing framing;
    uint64_t frame_bytes_max;
    struct buffer wire;       // as it came
    size_t wire_begin;        // what is before has been taken
    struct buffer frames;     // payloads joined; unused while bare
    size_t frames_begin;
    struct buffer body;       // of a compressed frame of v4
};
void cql_receiver_init(struct cql_receiver *r, const struct cql_crc32 *crc, struct memory *memory, uint64_t frame_bytes_max);
void cql_receiver_release(struct cql_receiver *r);
// Room to read from the socket into; NULL if memory is refused. Then tell how much came.
uint8_t *cql_receiver_room(struct cql_receiver *r, size_t size_bytes);
static inline void cql_receiver_came(struct cql_receiver *r, size_t size_bytes) { r->wire.size_bytes += size_bytes; }
// *found false: more bytes are needed. STATUS_CORRUPT: not the protocol (checksum, length, LZ4), the connection is of no more use.
enum status cql_receiver_next(struct cql_receiver *r, struct cql_frame *frame, bool *found, struct error *e) WARN_UNUSED;
