// SPDX-License-Identifier: Apache-2.0
// fuzz_log.c: libFuzzer target of the log: any bytes as a log folder, and any payloads as records that check.
//
// First byte even: what follows is a snapshot file and a journal file as they lie on disk (the next four bytes are the first one's
// length); journal_verify must say good or say where it is damaged. Odd: what follows is [kind : 1][length : 2][payload]*, replayed as if
// every checksum had held, which is how a bug in decoding is reached at all. A state that was replayed must come back from its own snapshot.
#include "base/files.h"
#include "stream/record.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

static void check(bool good) {
    if (!good) abort();
}

static const char *fuzz_folder(void) {
    static char path[64];
    if (!*path) {
        snprintf(path, sizeof path, "%s", access("/dev/shm", W_OK) == 0 ? "/dev/shm/leat-fuzz-XXXXXX" : "/tmp/leat-fuzz-XXXXXX");
        check(mkdtemp(path) != NULL);
        char log[80];
        snprintf(log, sizeof log, "%s/log", path);
        check(mkdir(log, 0700) == 0);
    }
    return path;
}

static void write_file(const char *name, const uint8_t *bytes, size_t size_bytes) {
    char path[128];
    snprintf(path, sizeof path, "%s/log/%s", fuzz_folder(), name);
    FILE *f = fopen(path, "wb");
    check(f && fwrite(bytes, 1, size_bytes, f) == size_bytes && fclose(f) == 0);
}

static void snapshot_of(const struct durable *d, struct buffer *out) {
    struct buffer execution;
    buffer_init(&execution, d->memory);
    check(buffer_append(&execution, d->execution_snapshot.data, d->execution_snapshot.size_bytes) == STATUS_OK);
    check(encode_snapshot(out, d, &execution) == STATUS_OK);
    buffer_release(&execution);
}

static void check_round_trip(struct memory *memory, const struct durable *d) {
    struct buffer first, second;
    struct durable again;
    struct error e;
    buffer_init(&first, memory);
    buffer_init(&second, memory);
    durable_init(&again, memory);
    snapshot_of(d, &first);
    check(durable_replay(&again, RECORD_SNAPSHOT, first.data, first.size_bytes, &e) == STATUS_OK);
    snapshot_of(&again, &second);
    check(first.size_bytes == second.size_bytes && memcmp(first.data, second.data, first.size_bytes) == 0);
    durable_release(&again);
    buffer_release(&first);
    buffer_release(&second);
}

static void replay_records(struct memory *memory, const uint8_t *data, size_t size_bytes) {
    struct durable d;
    struct error e;
    enum status status = STATUS_OK;
    durable_init(&d, memory);
    while (size_bytes >= 3 && status == STATUS_OK) {
        size_t length = (size_t)data[1] | (size_t)data[2] << 8;
        if (length > size_bytes - 3) length = size_bytes - 3;
        uint8_t *payload = malloc(length ? length : 1);  // its own block, so that a read past its end is seen
        check(payload != NULL);
        memcpy(payload, data + 3, length);
        status = durable_replay(&d, (enum record_kind)(data[0] % 9), payload, length, &e);
        free(payload);
        data += 3 + length;
        size_bytes -= 3 + length;
    }
    if (status == STATUS_OK) {
        struct arena arena;
        struct intent intent;
        arena_init(&arena, memory);
        if (d.has_intent) (void)!decode_intent(&arena, d.intent_bytes.data, d.intent_bytes.size_bytes, &intent, &e);
        arena_release(&arena);
        check_round_trip(memory, &d);
    }
    durable_release(&d);
}

static void verify_folder(struct memory *memory, const uint8_t *data, size_t size_bytes) {
    if (size_bytes < 4) return;
    size_t snapshot_bytes = ((size_t)data[0] | (size_t)data[1] << 8 | (size_t)data[2] << 16 | (size_t)data[3] << 24) % (size_bytes - 3);
    struct durable d;
    struct error e;
    write_file("00000001.snapshot", data + 4, snapshot_bytes);
    write_file("00000001.journal", data + 4 + snapshot_bytes, size_bytes - 4 - snapshot_bytes);
    durable_init(&d, memory);
    enum status status = journal_verify(memory, fuzz_folder(), durable_replay, &d, &e);
    check(status == STATUS_OK || e.message[0]);
    durable_release(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct memory memory;
    if (!size_bytes) return 0;
    memory_init(&memory, "fuzz", NULL, 0);
    if (data[0] & 1) replay_records(&memory, data + 1, size_bytes - 1);
    else verify_folder(&memory, data + 1, size_bytes - 1);
    check(memory_used(&memory) == 0);
    return 0;
}
