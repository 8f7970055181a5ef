// SPDX-License-Identifier: Apache-2.0
// log.h: messages for the person who runs leat, on stderr, as text or as JSON lines. Thread-safe; a line is one write(2).
// Never data of the pipeline: names, places, counts.
#pragma once
#include <stdbool.h>
#include "base/status.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log {
    enum log_level level;  // what is above it is not written
    bool json;
    bool colour;
    int fd;
    bool line_open;        // a progress line stands on the terminal and must be wiped first
};

void log_write(struct log *log, enum log_level level, const char *format, ...) PRINTF_LIKE(3, 4);
void log_error(struct log *log, enum log_level level, const struct error *e);  // with condition, hint
