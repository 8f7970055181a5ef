// SPDX-License-Identifier: Apache-2.0
// spool_segment.h: one file of a spool: its header, its records, where offsets are. The format is drawn in spool.h.
#pragma once
#include "base/vector.h"
#include "connector/http/spool.h"

struct spool_mark {             // a record's place; about one every 64 KiB
    int64_t offset;
    int64_t position;
};

struct spool_segment {
    struct memory *memory;
    char *path;                 // for messages
    int fd;
    uint64_t identity;
    int64_t first_offset;
    int64_t end_offset;         // the next one
    int64_t size_bytes;         // whole groups, synced
    int64_t made_us;
    int64_t written_us;         // wall clock, last group
    struct vector marks;        // of struct spool_mark, ascending
    bool indexed;               // marks are complete
    _Atomic uint32_t reference_count;
};

void spool_segment_unref(struct spool_segment *g);  // NULL is allowed
// A file that is not there yet, with its header, synced. `path` NULL: in memory.
enum status spool_segment_make(struct memory *memory, const char *path, uint64_t identity, int64_t first_offset, int64_t now_us,
                               struct spool_segment **out, struct error *e) WARN_UNUSED;
// An existing file: its header is checked, end_offset is not known yet. *torn: it is shorter than a header (its maker died); *out is NULL then.
enum status spool_segment_open(struct memory *memory, const char *path, int64_t first_offset, struct spool_segment **out, bool *torn,
                               struct error *e) WARN_UNUSED;
// Walks the records of a segment that is complete: fills marks, checks that it ends at end_offset. Payloads are not looked at.
enum status spool_segment_index(struct spool_segment *g, struct error *e) WARN_UNUSED;
// Walks the last segment and checks all of it. Sets size_bytes, end_offset, marks and the validators of its last group; *file_bytes: the file's
// size, above size_bytes if a crash left something there.
enum status spool_segment_verify(struct spool_segment *g, struct spool_validators *validators, int64_t *file_bytes, struct error *e) WARN_UNUSED;
// Adds a mark if the last one is far enough.
enum status spool_segment_mark(struct vector *marks, int64_t offset, int64_t position) WARN_UNUSED;

void spool_record_print(uint8_t out[SPOOL_RECORD_BYTES], const struct spool_record *r, int64_t position);
// Checks a header at a position of the segment. STATUS_CORRUPT.
enum status spool_record_parse(const struct spool_segment *g, const uint8_t *bytes, int64_t position, struct spool_record *out, uint64_t *check,
                               struct error *e) WARN_UNUSED;
uint64_t spool_payload_check(const void *bytes, size_t size_bytes, int64_t offset);
enum status spool_pread(const struct spool_segment *g, void *out, size_t size_bytes, int64_t position, size_t *got, struct error *e) WARN_UNUSED;
enum status spool_pwrite(const struct spool_segment *g, const void *bytes, size_t size_bytes, int64_t position, struct error *e) WARN_UNUSED;
enum status spool_damaged(const struct spool_segment *g, int64_t position, const char *what, struct error *e);
