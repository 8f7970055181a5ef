// SPDX-License-Identifier: Apache-2.0
// condition.c: looking up the SQLSTATE of a condition.
//
// Errors are rare and the table is short: a linear search is enough. A name that is not in the table is cut at its last dot
// and tried again, so that a subclass needs a line only where somebody wants to find it.
#include "base/condition.h"
#include <stddef.h>
#include <string.h>

struct condition_entry {
    const char *name;
    const char *sqlstate;
};

static const struct condition_entry conditions[] = {
#define CONDITION(name, sqlstate) {#name, sqlstate},
#include "base/condition.def"
#undef CONDITION
};

const char *condition_sqlstate(const char *condition) {
    size_t name_bytes = condition ? strlen(condition) : 0;
    while (name_bytes > 0) {
        for (size_t i = 0; i < sizeof conditions / sizeof conditions[0]; i++) {
            const char *name = conditions[i].name;
            if (strlen(name) == name_bytes && memcmp(name, condition, name_bytes) == 0) return conditions[i].sqlstate;
        }
        while (name_bytes > 0 && condition[name_bytes - 1] != '.') name_bytes--;
        if (name_bytes > 0) name_bytes--;  // the dot itself
    }
    return "";
}
