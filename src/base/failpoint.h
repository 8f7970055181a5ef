// SPDX-License-Identifier: Apache-2.0
// failpoint.h: named places where a test makes the process die or an operation fail. LEAT_FAILPOINT="name=kill:3" kills (SIGKILL)
// at the third passage; "name=fail:2" makes the second one return STATUS_IO; "name=fail:2+" from the second on. Several are
// separated by commas. Read once at start; costs one load where none is set. Names are listed in failpoint.c.
#pragma once
#include "base/status.h"

enum status failpoint(const char *name, struct error *e);
