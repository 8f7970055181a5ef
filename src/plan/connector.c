// SPDX-License-Identifier: Apache-2.0
// connector.c: finding a connector by the name after USING. The register itself is made above, in connector/.
#include "plan/connector.h"
#include "plan/resolver.h"

const struct connector *connector_find(const struct connector_set *set, const char *name) {
    for (size_t i = 0; set && i < set->count; i++) {
        const struct connector *c = set->items[i];
        if (equal_ignoring_case(c->name, name)) return c;
        for (const char *const *alias = c->aliases; alias && *alias; alias++)
            if (equal_ignoring_case(*alias, name)) return c;
    }
    return NULL;
}
