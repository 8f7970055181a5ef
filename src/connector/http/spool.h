// SPDX-License-Identifier: Apache-2.0
// spool.h: an append-only log of messages in segment files, for a source that cannot give the same message twice.
//
//     FOLDER/00000000000000000000.spool      the segment that begins with offset 0
//     FOLDER/00000000000000017203.spool      … 17203; the last one is written to
//     FOLDER/lock                            the owner's pid, under flock
//
//     segment   [ "leatspol" : 8 | version : 4 | 0 : 4 | identity : 8 | first offset : 8 | made at, µs : 8 | check : 8 ]  [ record ]*
//     record    [ size : 4 | kind : 4 | offset : 8 | time, µs : 8 | check of the payload : 8 | check of these 32 : 8 ]    [ payload ]
//
// Little-endian. A check is XXH3; a record's header has its place in the file in it, so that bytes that were moved do not pass. Messages come
// in groups (a poll), each ended by a SPOOL_END record, written, then synced, then shown to readers: a group is there whole or not at all.
// What a crash may leave behind the last whole group (a file that ends too early, pages that read as zeros) is cut off when the spool is
// opened; any other byte that is not what was written is damage, said with file and byte. Offsets are never used twice.
//
// Threads: one writer (add, commit, abort, retain); anybody may ask and read. A cursor holds its segment, also when the file is removed meanwhile.
#pragma once
#include "base/buffer.h"
#include "base/log.h"

enum { SPOOL_HEADER_BYTES = 48, SPOOL_RECORD_BYTES = 40, SPOOL_PAYLOAD_MAX = 1 << 30 };

enum spool_kind {
    SPOOL_MESSAGE = 1,
    SPOOL_REFUSED = 2,   // a message that cannot be taken apart; first byte of the payload: why
    SPOOL_END = 3,       // of a group; has the next offset and takes none
};

struct spool_config {
    const char *folder;      // made if it is not there; NULL: in memory, gone when the spool is closed
    struct memory *memory;
    struct log *log;         // may be NULL
    int64_t segment_bytes;   // a group that begins beyond this size begins a new file
    int64_t segment_age_us;  // or in a file older than this; 0: never
};

// What the server said of the last answer, kept in the END of its group, so that a new run can ask for changes only. "" where there is none.
struct spool_validators {
    char etag[512];
    char last_modified[64];
};

struct spool_record {
    enum spool_kind kind;
    int64_t offset;
    int64_t time_us;
    const uint8_t *bytes;
    size_t size_bytes;
};

struct spool;
enum status spool_open(const struct spool_config *config, struct spool **out, struct error *e) WARN_UNUSED;
void spool_close(struct spool *s);  // NULL is allowed. Cursors must be closed before.

int64_t spool_begin(struct spool *s);      // the earliest offset that is kept
int64_t spool_end(struct spool *s);        // the next offset to be given
int64_t spool_size(struct spool *s);       // bytes in files
uint64_t spool_identity(struct spool *s);  // made with the first segment
struct spool_validators spool_validators_of(struct spool *s);
// Where a range that begins at `from` ends if it is to hold about so much and at least one record. begin ≤ from < end.
enum status spool_limit(struct spool *s, int64_t from, int64_t row_count, int64_t size_bytes, int64_t *end, struct error *e) WARN_UNUSED;

// The writer. After a failure: spool_abort, which takes back what the group has written. STATUS_LIMIT: the disk is full, nothing is lost;
// STATUS_IO after a sync that failed: the spool takes nothing more.
enum status spool_add(struct spool *s, enum spool_kind kind, const void *bytes, size_t size_bytes, int64_t time_us, struct error *e) WARN_UNUSED;
enum status spool_commit(struct spool *s, const struct spool_validators *validators, int64_t time_us, struct error *e) WARN_UNUSED;
void spool_abort(struct spool *s);
// Removes whole segments below `committed`, oldest first: those last written before `oldest_us`, and more while there are over `max_bytes`.
enum status spool_retain(struct spool *s, int64_t committed, int64_t max_bytes, int64_t oldest_us, struct error *e) WARN_UNUSED;

// Reads [begin, end) in pieces. The bytes of a piece's records are in its buffer, which the caller unrefs.
struct spool_segment;
struct spool_cursor {
    struct spool *spool;
    struct spool_segment *segment;  // held; NULL before the first piece
    int64_t segment_end;            // its end_offset and
    int64_t segment_bytes;          // its size when it was found
    int64_t position;               // in the segment's file
    int64_t next;                   // offset
    int64_t end;
};
void spool_cursor_open(struct spool_cursor *c, struct spool *s, int64_t begin, int64_t end);
// *count == 0: the end. The same range gives the same pieces. STATUS_CORRUPT names file and byte.
enum status spool_cursor_next(struct spool_cursor *c, struct spool_record *records, uint32_t capacity, uint32_t *count, struct buffer **piece,
                              struct error *e) WARN_UNUSED;
void spool_cursor_close(struct spool_cursor *c);
