// SPDX-License-Identifier: Apache-2.0
// fuzz_cql_type.c: libFuzzer target of the parser of CQL types. What it takes, it must print so that it takes it again as the same type.
#include "cql/cql_type.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size_bytes) {
    static struct cql_type field = {.kind = CQL_INT};
    static const char *name = "number";
    const struct cql_udt udt = {.name = "street", .type = {.kind = CQL_UDT, .child_count = 1, .children = &field, .field_names = &name, .keyspace = "k", .name = "street"}};
    struct memory memory;
    struct arena arena;
    struct buffer text;
    struct cql_type type, again;
    struct error e;
    memory_init(&memory, "fuzz", NULL, 0);
    arena_init(&arena, &memory);
    buffer_init(&text, &memory);
    if (cql_type_parse(&arena, (const char *)data, size_bytes, "k", &udt, 1, &type, &e) == STATUS_OK) {
        (void)cql_type_fixed_bytes(&type);
        if (cql_type_print(&text, &type, true) != STATUS_OK) abort();
        // A UDT that only a class name describes is not known by its name.
        enum status status = cql_type_parse(&arena, (const char *)text.data, text.size_bytes, "k", &udt, 1, &again, &e);
        if (status != STATUS_OK && status != STATUS_NOT_FOUND) abort();
        if (status == STATUS_OK && !memmem(data, size_bytes, "UserType", 8) && !cql_type_equal(&type, &again)) abort();
    } else if (!e.message[0]) {
        abort();
    }
    buffer_release(&text);
    arena_release(&arena);
    if (memory_used(&memory)) abort();
    return 0;
}
