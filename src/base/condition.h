// SPDX-License-Identifier: Apache-2.0
// condition.h: the error conditions leat can raise and their SQLSTATE. Spark's where Spark has one; ours begin with LEAT_.
// The table is condition.def, one line each: CONDITION(name, sqlstate).
#pragma once

// SQLSTATE of a condition; a subclass inherits its class's ("A.B" → "A"). "" if unknown or if it has none.
const char *condition_sqlstate(const char *condition);
