// SPDX-License-Identifier: Apache-2.0
// mongo_library.h: libmongoc, loaded when the first pipeline that names MongoDB opens a store. It brings about forty libraries along, which
// every other command would pay for at its start. Nothing of its headers is seen here: only client.c speaks to it.
#pragma once
#include "base/status.h"

// Loads and initialises it, once; any thread. STATUS_NOT_FOUND: the machine has none; the hint says what to install.
enum status mongo_library_load(struct error *e) WARN_UNUSED;
