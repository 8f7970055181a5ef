// SPDX-License-Identifier: Apache-2.0
// nexmark_file.c: writes Nexmark events as JSON lines until a file has the wanted size. The messages are those of the generator
// connector (kind nexmark), so that a run over the file and one over the generator see the same events.
//
//     nexmark_file PATH MEGABYTES [SEED]       prints the number of events
#include "connector/generator/documents.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FLUSH_BYTES = 1 << 20 };

static int fail(const char *what, const char *path) {
    fprintf(stderr, "nexmark_file: %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

static int write_events(FILE *file, const char *path, uint64_t wanted_bytes, uint64_t seed, uint64_t *event_count) {
    struct memory memory;
    struct buffer lines;
    uint64_t written_bytes = 0;
    int code = 0;
    memory_init(&memory, "nexmark_file", NULL, 0);
    buffer_init(&lines, &memory);
    for (*event_count = 0; code == 0 && written_bytes < wanted_bytes; ++*event_count) {
        if (nexmark_write(seed, *event_count, &lines) != STATUS_OK || buffer_append_byte(&lines, '\n') != STATUS_OK) {
            errno = ENOMEM;
            code = fail("cannot make events for", path);
        }
        if (lines.size_bytes < FLUSH_BYTES && written_bytes + lines.size_bytes < wanted_bytes) continue;
        if (fwrite(lines.data, 1, lines.size_bytes, file) != lines.size_bytes) code = fail("cannot write", path);
        written_bytes += lines.size_bytes;
        buffer_clear(&lines);
    }
    buffer_release(&lines);
    return code;
}

int main(int argc, char **argv) {
    uint64_t event_count = 0;
    if (argc < 3 || argc > 4) {
        fputs("usage: nexmark_file PATH MEGABYTES [SEED]\n", stderr);
        return 2;
    }
    FILE *file = fopen(argv[1], "wb");
    if (!file) return fail("cannot open", argv[1]);
    uint64_t wanted_bytes = strtoull(argv[2], NULL, 10) * 1000000, seed = argc == 4 ? strtoull(argv[3], NULL, 10) : 42;
    int code = write_events(file, argv[1], wanted_bytes, seed, &event_count);
    if (fclose(file) != 0 && code == 0) code = fail("cannot write", argv[1]);
    if (code == 0) printf("%llu\n", (unsigned long long)event_count);
    return code;
}
