// SPDX-License-Identifier: Apache-2.0
// function_examples.c: prints a golden test made of the example of every line in the function tables, for `leat test` to run. A line
// without an example, or without the result it promises, is a failing block of its own: every function shows what it does.
#include "expr/aggregate.h"
#include "expr/function.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

// As golden_run.c prints a cell (test/sql/README.md).
static void print_cell(const char *text) {
    size_t n = strlen(text);
    bool quotes = !n || text[0] == '"' || text[0] == '#' || text[0] == ' ' || text[n - 1] == ' ' || strpbrk(text, "|\\\n\t\r");
    if (!quotes) {
        fputs(text, stdout);
        return;
    }
    putchar('"');
    for (const char *c = text; *c; c++) {
        if (*c == '\n') fputs("\\n", stdout);
        else if (*c == '\t') fputs("\\t", stdout);
        else if (*c == '\r') fputs("\\r", stdout);
        else if (*c == '"' || *c == '\\') printf("\\%c", *c);
        else putchar(*c);
    }
    putchar('"');
}

static void print_example(const char *group, const char *name, const char *example, const char *result) {
    printf("# %s: %s\nquery\n", group, name);
    if (!example || !result) {
        printf("SELECT 'the function `%s` has no example'\n\nexpect\nan example\n\n", name);
        return;
    }
    bool whole = strncasecmp(example, "SELECT ", 7) == 0 || strncasecmp(example, "WITH ", 5) == 0;
    printf("%s%s\n\nexpect\n", whole ? "" : "SELECT ", example);
    print_cell(result);
    fputs("\n\n", stdout);
}

int main(void) {
    puts("# function_examples: made from the function tables\n");
    for (const struct function_table *const *t = function_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) {
            const struct function *f = &(*t)->functions[i];
            if (!(f->flags & (FUNCTION_HIDDEN | FUNCTION_OPERATOR)) || f->example) print_example((*t)->group, f->name, f->example, f->result);
        }
    }
    for (const struct aggregate_table *const *t = aggregate_tables; *t; t++) {
        for (size_t i = 0; i < (*t)->count; i++) {
            const struct aggregate *g = &(*t)->aggregates[i];
            print_example((*t)->group, g->name, g->example, g->result);
        }
    }
    return ferror(stdout) ? 1 : 0;
}
