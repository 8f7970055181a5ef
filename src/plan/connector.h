// SPDX-License-Identifier: Apache-2.0
// connector.h: the register of systems a table can live in. The table itself is connector/registry.c; plan/ sees it through a handle.
#pragma once
#include "plan/sink.h"
#include "plan/source.h"

struct connector {
    const char *name;                  // as after USING, lower case
    const char *const *aliases;        // NULL-terminated, or NULL
    const struct source_class *source; // NULL: cannot be read
    const struct sink_class *sink;     // NULL: cannot be written
    const char *doc;
};
struct connector_set {
    const struct connector *const *items;
    size_t count;
};
const struct connector *connector_find(const struct connector_set *set, const char *name);
