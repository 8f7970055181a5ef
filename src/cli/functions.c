// SPDX-License-Identifier: Apache-2.0
// functions.c: leat functions [NAME]: what SQL can call, from the tables that implement it.
#include "cli/cli.h"
#include "expr/aggregate.h"
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const char functions_help[] =
    "  leat functions                 all of them, by group\n"
    "  leat functions date_format     signature, meaning, example\n"
    "  leat functions day             those whose name contains it; the exact one alone if there is one\n";

static void print_one(const char *name, const char *signature, const char *doc, const char *example, const char *result) {
    printf("%s%s%s\n  %s\n", name, signature ? " " : "", signature ? signature : "", doc ? doc : "");
    if (example) printf("  > SELECT %s\n  %s\n", example, result ? result : "");
}

static bool contains(const char *name, const char *part) {
    size_t n = strlen(part);
    for (const char *p = name; *p; p++) {
        if (strncasecmp(p, part, n) == 0) return true;
    }
    return false;
}

static uint32_t list_functions(const char *part) {
    uint32_t count = 0;
    for (const struct function_table *const *t = function_tables; *t; t++) {
        bool headed = false;
        for (size_t i = 0; i < (*t)->count; i++) {
            const struct function *f = &(*t)->functions[i];
            if ((f->flags & FUNCTION_HIDDEN) || (part && !contains(f->name, part))) continue;
            if (!headed) printf("%s%s\n", count ? "\n" : "", (*t)->group);
            headed = true;
            printf("  %-24s %s\n", f->name, f->doc ? f->doc : "");
            count++;
        }
    }
    for (const struct aggregate_table *const *t = aggregate_tables; *t; t++) {
        bool headed = false;
        for (size_t i = 0; i < (*t)->count; i++) {
            const struct aggregate *g = &(*t)->aggregates[i];
            if (part && !contains(g->name, part)) continue;
            if (!headed) printf("%s%s\n", count ? "\n" : "", (*t)->group);
            headed = true;
            printf("  %-24s %s\n", g->name, g->doc ? g->doc : "");
            count++;
        }
    }
    return count;
}

static int functions_main(struct host *h, int argc, char **argv) {
    (void)h;
    if (argc > 2) return usage_error(&functions_command, "one name at a time");
    const char *name = argc > 1 ? argv[1] : NULL;
    const struct function *f = name ? function_find(name) : NULL;
    const struct aggregate *g = name ? aggregate_find(name) : NULL;
    if (f) print_one(f->name, f->signature, f->doc, f->example, f->result);
    if (g) print_one(g->name, g->signature, g->doc, g->example, g->result);
    if (f || g) return EXIT_OK;
    uint32_t count = list_functions(name);
    if (name && !count) {
        fprintf(stderr, "leat functions: there is no function with '%s' in its name\n", name);
        return EXIT_USAGE;
    }
    if (!name) printf("\n%u functions\n", count);
    return EXIT_OK;
}

const struct command functions_command = {"functions", "functions [NAME]", "what SQL can call", functions_help, functions_main};
