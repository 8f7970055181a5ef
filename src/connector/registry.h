// SPDX-License-Identifier: Apache-2.0
// registry.h: the classes of the connectors, and the set of them all. A new connector is a folder, an extern line here and a line in registry.c.
#pragma once
#include "plan/connector.h"

extern const struct source_class http_source_class;
extern const struct source_class generator_source_class, rate_source_class, json_source_class, kafka_source_class, memory_source_class;
extern const struct sink_class console_sink_class, kafka_sink_class, noop_sink_class, memory_sink_class;

extern const struct source_class cassandra_source_class;
extern const struct sink_class cassandra_sink_class;

extern const struct source_class mongodb_source_class;
extern const struct sink_class mongodb_sink_class;

extern const struct connector_set all_connectors;
