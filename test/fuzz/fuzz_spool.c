// SPDX-License-Identifier: Apache-2.0
// fuzz_spool.c: libFuzzer target of the http source's spool and of its splitting of bodies.
//
// The first byte chooses. 0: what follows is a segment file as it lies on disk. 1: a spool is written from the input (lengths and bytes), then cut
// and changed where the input says: it must open with whole groups from the first on, or say that it is damaged. 2: a body that is split, by array
// or by path; each message of a body that is JSON must be JSON.
#include "base/files.h"
#include "connector/http/http.h"
#include "json/json.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

enum { GROUPS_MAX = 8, READ_CAPACITY = 64 };

static void check(bool good) {
    if (!good) abort();
}

static const char *fuzz_folder(void) {
    static char path[64];
    if (!*path) {
        snprintf(path, sizeof path, "%s", access("/dev/shm", W_OK) == 0 ? "/dev/shm/leat-fuzz-XXXXXX" : "/tmp/leat-fuzz-XXXXXX");
        check(mkdtemp(path) != NULL);
    }
    return path;
}

static void segment_name(char out[128]) { snprintf(out, 128, "%s/%020d.spool", fuzz_folder(), 0); }

static void clear_folder(void) {
    struct error e;
    check(folder_remove(fuzz_folder(), &e) == STATUS_OK);
    check(mkdir(fuzz_folder(), 0700) == 0);
}

// Reads everything; returns how many records came before the end or the damage.
static int64_t read_all(struct spool *s, enum status *status, struct error *e) {
    struct spool_record records[READ_CAPACITY];
    struct spool_cursor c;
    int64_t total = 0;
    uint32_t count = 1;
    spool_cursor_open(&c, s, spool_begin(s), spool_end(s));
    for (*status = STATUS_OK; *status == STATUS_OK && count; total += count) {
        struct buffer *piece;
        *status = spool_cursor_next(&c, records, READ_CAPACITY, &count, &piece, e);
        volatile uint8_t sum = 0;
        for (uint32_t i = 0; i < count; i++) {
            for (size_t k = 0; k < records[i].size_bytes; k++) sum = (uint8_t)(sum + records[i].bytes[k]);
        }
        buffer_unref(piece);
        if (*status != STATUS_OK) break;
    }
    spool_cursor_close(&c);
    return total;
}

static void open_and_read(struct memory *memory) {
    struct spool_config config = {.folder = fuzz_folder(), .memory = memory, .segment_bytes = 4096};
    struct spool *s;
    struct error e;
    enum status status = spool_open(&config, &s, &e);
    check(status == STATUS_OK || e.message[0]);
    if (status != STATUS_OK) return;
    read_all(s, &status, &e);
    check(status == STATUS_OK);  // the last segment was checked when it was opened
    int64_t end = spool_end(s);
    check(spool_add(s, SPOOL_MESSAGE, "more", 4, 1, &e) == STATUS_OK && spool_commit(s, &(struct spool_validators){0}, 1, &e) == STATUS_OK);
    check(spool_end(s) == end + 1);
    spool_close(s);
}

static void any_file(struct memory *memory, const uint8_t *data, size_t size_bytes) {
    char path[128];
    segment_name(path);
    clear_folder();
    FILE *f = fopen(path, "wb");
    check(f && fwrite(data, 1, size_bytes, f) == size_bytes && fclose(f) == 0);
    open_and_read(memory);
}

// Groups from the input: [messages : 1] [length : 1] [bytes] …; ends[i]: offset after group i.
static uint32_t write_groups(struct spool *s, const uint8_t **data, const uint8_t *end, int64_t ends[GROUPS_MAX]) {
    struct error e;
    uint32_t groups = 0;
    for (; groups < GROUPS_MAX && *data < end; groups++) {
        for (uint8_t left = *(*data)++ % 8; left && *data < end; left--) {
            size_t length = *(*data)++;
            if (length > (size_t)(end - *data)) length = (size_t)(end - *data);
            check(spool_add(s, SPOOL_MESSAGE, *data, length, 1, &e) == STATUS_OK);
            *data += length;
        }
        check(spool_commit(s, &(struct spool_validators){.etag = "e"}, 1, &e) == STATUS_OK);
        ends[groups] = spool_end(s);
    }
    return groups;
}

static void harm_file(uint16_t where, uint8_t how) {
    char path[128];
    struct stat st;
    segment_name(path);
    int fd = open(path, O_RDWR);
    check(fd >= 0 && fstat(fd, &st) == 0);
    off_t at = st.st_size ? where % st.st_size : 0;
    uint8_t byte;
    if (how == 0) check(ftruncate(fd, at) == 0);
    else check(pread(fd, &byte, 1, at) == 1 && (byte ^= how, pwrite(fd, &byte, 1, at) == 1));
    close(fd);
}

static void harmed_spool(struct memory *memory, const uint8_t *data, size_t size_bytes) {
    if (size_bytes < 4) return;
    uint16_t where = (uint16_t)(data[0] | data[1] << 8);
    uint8_t how = data[2] & 1 ? data[3] : 0;
    struct spool_config config = {.folder = fuzz_folder(), .memory = memory, .segment_bytes = 1 << 20};
    struct spool *s;
    struct error e;
    int64_t ends[GROUPS_MAX];
    const uint8_t *next = data + 4;
    clear_folder();
    check(spool_open(&config, &s, &e) == STATUS_OK);
    uint32_t groups = write_groups(s, &next, data + size_bytes, ends);
    spool_close(s);
    harm_file(where, how);
    enum status status = spool_open(&config, &s, &e);
    check(status == STATUS_OK || (status == STATUS_CORRUPT && how != 0));
    if (status != STATUS_OK) return;
    int64_t end = spool_end(s);
    bool whole = end == 0;
    for (uint32_t i = 0; i < groups; i++) whole |= end == ends[i];
    check(whole);
    check(read_all(s, &status, &e) == end && status == STATUS_OK);
    spool_close(s);
}

static void split_body(struct memory *memory, const uint8_t *data, size_t size_bytes) {
    static const struct http_split splits[] = {{.kind = HTTP_SPLIT_PATH}, {.kind = HTTP_SPLIT_PATH, .step_count = 1, .steps = {"a"}},
                                               {.kind = HTTP_SPLIT_LINES}};
    if (!size_bytes) return;
    const struct http_split *split = &splits[data[0] % 3];
    struct spool_config config = {.memory = memory, .segment_bytes = 1 << 20};
    struct spool *s;
    struct error e;
    struct buffer body;
    buffer_init(&body, memory);
    check(buffer_append(&body, data + 1, size_bytes - 1) == STATUS_OK);
    check(spool_open(&config, &s, &e) == STATUS_OK);
    check(http_split_body(split, &body, memory, s, 1, &e) == STATUS_OK && spool_commit(s, &(struct spool_validators){0}, 1, &e) == STATUS_OK);
    struct spool_record records[READ_CAPACITY];
    struct spool_cursor c;
    struct buffer *piece;
    uint32_t count;
    spool_cursor_open(&c, s, 0, spool_end(s));
    check(spool_cursor_next(&c, records, READ_CAPACITY, &count, &piece, &e) == STATUS_OK);
    for (uint32_t i = 0; i < count && split->kind == HTTP_SPLIT_PATH; i++) {
        check(records[i].kind == SPOOL_REFUSED ? count == 1 && records[i].size_bytes == size_bytes
                                               : json_valid((const char *)records[i].bytes, records[i].size_bytes, 0, NULL));
    }
    buffer_unref(piece);
    spool_cursor_close(&c);
    spool_close(s);
    buffer_release(&body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    struct memory memory;
    if (!size_bytes) return 0;
    memory_init(&memory, "fuzz", NULL, 0);
    if (data[0] % 3 == 0) any_file(&memory, data + 1, size_bytes - 1);
    else if (data[0] % 3 == 1) harmed_spool(&memory, data + 1, size_bytes - 1);
    else split_body(&memory, data + 1, size_bytes - 1);
    check(memory_used(&memory) == 0);
    return 0;
}
