// SPDX-License-Identifier: Apache-2.0
// cql_roundtrip.h: every type of CQL through a real server and back.
#pragma once
#include "cql/cql.h"

// Makes tables in the keyspace, writes values at their limits, reads them back, compares byte by byte. *checked: how many values.
enum status roundtrip_run(struct cql_session *session, struct memory *memory, const char *keyspace, uint32_t *checked, struct error *e);
