// SPDX-License-Identifier: Apache-2.0
// fuzz_sql.c: any bytes as SQL text: substituted, parsed, drawn, printed. Build with clang -fsanitize=fuzzer,address,undefined.
// The first byte of the input chooses whether memory is refused at some allocation.
#include "sql/parser.h"
#include "sql/print.h"
#include "sql/substitute.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *find(void *context, const char *name) {
    (void)context;
    return name[0] == 'a' ? "1" : name[0] == 'b' ? "'${a}'" : name[0] == 'c' ? "${c}${c}" : NULL;
}

static enum status check_text(struct arena *a, struct diagnostics *d, const struct source_text *source, struct buffer *out) {
    static const char *const names[] = {"alpha", "beta"};
    const struct substitution with = {.find = find, .names = names, .name_count = 2};
    struct source_text replaced = *source;
    struct ustatement **statements;
    uint32_t count;
    enum status status = sql_substitute(a, source->text, source->size_bytes, &with, d, &replaced.text, &replaced.size_bytes);
    if (status != STATUS_OK) replaced = *source;
    const struct parse_limits limits = {.statement_bytes = 1 << 16, .nesting = 60};
    status = sql_parse(a, replaced.text, replaced.size_bytes, &limits, d, &statements, &count);
    if (status == STATUS_NO_MEMORY) return status;
    for (uint32_t i = 0; i < count; i++) TRY(sql_print_statement(statements[i], out));
    for (size_t i = 0; i < d->items.count; i++) TRY(diagnostic_print(vector_at(&d->items, i), &replaced, i % 2 == 0, out));
    return STATUS_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1 || size > 1 << 16) return 0;
    struct memory memory;
    struct arena arena;
    struct diagnostics d;
    struct buffer out;
    memory_init(&memory, "fuzz", NULL, 0);
    if (data[0] > 200) atomic_store(&memory.fail_countdown, data[0] - 200);
    arena_init(&arena, &memory);
    // A copy of its own, so that a read past its end is seen.
    char *text = malloc(size);
    if (!text) return 0;
    memcpy(text, data + 1, size - 1);
    struct source_text source = {.name = "fuzz.sql", .text = text, .size_bytes = size - 1};
    diagnostics_init(&d, &memory, &source);
    buffer_init(&out, &memory);
    enum status status = check_text(&arena, &d, &source, &out);
    (void)status;
    buffer_release(&out);
    diagnostics_release(&d);
    arena_release(&arena);
    free(text);
    if (memory_used(&memory) != 0) __builtin_trap();
    return 0;
}
