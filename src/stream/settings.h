// SPDX-License-Identifier: Apache-2.0
// settings.h: what SET in the file and --set on the command line say together; --set wins.
#pragma once
#include "plan/option.h"
#include "stream/stream.h"

// Parses a text and applies its SETs and what was given to the session; literals are read in the session's time zone. As sql_parse otherwise.
enum status settings_parse(struct arena *a, struct session *session, const char *text, size_t size_bytes, const struct setting *given, uint32_t given_count,
                           struct diagnostics *d, struct ustatement ***out, uint32_t *count, struct error *e) WARN_UNUSED;
// Settings of tables that are understood and not done yet, said rather than passed over. Goes to `d`.
enum status settings_check_tables(const struct pipeline *p, struct diagnostics *d) WARN_UNUSED;
// Applies what the session must know before analysis: spark.sql.session.timeZone, limits. Statements that are no SET are passed over.
enum status settings_apply_session(struct session *session, struct ustatement *const *statements, uint32_t count, const struct setting *given,
                                   uint32_t given_count, struct error *e) WARN_UNUSED;
const char *settings_text(const struct option_set *set, const struct stream_config *c, const char *name);  // NULL: unset
enum status settings_duration(const struct option_set *set, const struct stream_config *c, const char *name, int64_t missing, int64_t *out, struct error *e) WARN_UNUSED;
enum status settings_size(const struct option_set *set, const struct stream_config *c, const char *name, int64_t missing, int64_t *out, struct error *e) WARN_UNUSED;
