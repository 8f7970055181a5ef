// SPDX-License-Identifier: Apache-2.0
// settings.c: see settings.h.
#include "stream/settings.h"
#include "sql/parser.h"
#include <stdlib.h>
#include <strings.h>

static const char *given_value(const struct setting *given, uint32_t count, const char *name) {
    for (uint32_t i = count; i-- > 0;) {
        if (strcasecmp(given[i].key, name) == 0) return given[i].value;
    }
    return NULL;
}

static enum status bad_setting(struct error *e, const char *name, const char *value, const char *wanted) {
    error_set(e, STATUS_INVALID_ARGUMENT, "INVALID_CONF_VALUE", "the setting %s = '%s' is not %s", name, value, wanted);
    return STATUS_INVALID_ARGUMENT;
}

// SET k = 'v' may come with its quotes.
static const char *unquoted(const char *value, char room[256]) {
    size_t n = strlen(value);
    bool quoted = n >= 2 && n < 256 && (*value == '\'' || *value == '"') && value[n - 1] == *value;
    if (!quoted) return value;
    memcpy(room, value + 1, n - 2);
    room[n - 2] = 0;
    return room;
}

static enum status check_given(const char *key, struct error *e) {
    const char *nearest;
    if (strncasecmp(key, "leat.", 5) != 0 || setting_is_known(key, &nearest)) return STATUS_OK;
    error_set(e, STATUS_INVALID_ARGUMENT, "LEAT_UNKNOWN_OPTION", "there is no setting `%s`", key);
    if (nearest) error_set_hint(e, "did you mean `%s`?", nearest);
    return STATUS_INVALID_ARGUMENT;
}

static enum status apply_one(struct session *session, const char *key, const char *value, struct error *e) {
    char *end, room[256];
    if (!value) return STATUS_OK;
    value = unquoted(value, room);
    if (strcasecmp(key, "spark.sql.session.timeZone") == 0) {
        const struct timezone *zone = timezone_find(session->zones, value, strlen(value));
        if (!zone) {
            error_set(e, STATUS_INVALID_ARGUMENT, "INVALID_CONF_VALUE.TIME_ZONE", "cannot resolve the time zone '%s'", value);
            error_set_hint(e, "use a name of the tz database such as Europe/Paris, or an offset such as +02:00");
            return STATUS_INVALID_ARGUMENT;
        }
        session->zone = zone;
    } else if (strcasecmp(key, "leat.regex.matchLimit") == 0) {
        unsigned long n = strtoul(value, &end, 10);
        if (*end || n > UINT32_MAX) return bad_setting(e, key, value, "a number of steps");
        session->regex_match_limit = (uint32_t)n;
    } else if (strcasecmp(key, "leat.maxRowBytes") == 0 || strcasecmp(key, "leat.maxStatementBytes") == 0) {
        int64_t n;
        if (!parse_size(value, &n) || n <= 0 || n > INT64_C(1) << 30) return bad_setting(e, key, value, "a size from 1 byte to 1 GiB");
        if (strcasecmp(key, "leat.maxRowBytes") == 0) session->row_bytes_limit = (uint64_t)n;
        else session->statement_bytes_limit = (uint32_t)n;
    } else if (strcasecmp(key, "leat.maxNesting") == 0) {
        unsigned long n = strtoul(value, &end, 10);
        if (*end || !n || n > 10000) return bad_setting(e, key, value, "a depth from 1 to 10000");
        session->nesting_limit = (uint32_t)n;
    } else if (strcasecmp(key, "leat.json.maxDepth") == 0) {
        unsigned long n = strtoul(value, &end, 10);
        if (*end || !n || n > 100000) return bad_setting(e, key, value, "a depth from 1 to 100000");
        session->json_depth_limit = (uint32_t)n;
    } else if (strcasecmp(key, "spark.sql.mapKeyDedupPolicy") == 0) {
        session->map_keys_last_win = strcasecmp(value, "LAST_WIN") == 0;
        if (!session->map_keys_last_win && strcasecmp(value, "EXCEPTION") != 0) return bad_setting(e, key, value, "EXCEPTION or LAST_WIN");
    }
    return STATUS_OK;
}

enum status settings_apply_session(struct session *session, struct ustatement *const *statements, uint32_t count, const struct setting *given,
                                   uint32_t given_count, struct error *e) {
    for (uint32_t i = 0; i < count; i++) {
        if (statements[i]->kind == USTATEMENT_SET && statements[i]->key) TRY(apply_one(session, statements[i]->key, statements[i]->value, e));
    }
    for (uint32_t i = 0; i < given_count; i++) {
        TRY(check_given(given[i].key, e));
        TRY(apply_one(session, given[i].key, given[i].value, e));
    }
    return STATUS_OK;
}

enum status settings_parse(struct arena *a, struct session *session, const char *text, size_t size_bytes, const struct setting *given, uint32_t given_count,
                           struct diagnostics *d, struct ustatement ***out, uint32_t *count, struct error *e) {
    TRY(settings_apply_session(session, NULL, 0, given, given_count, e));
    struct parse_limits limits = {.zone = session->zone, .statement_bytes = session->statement_bytes_limit, .nesting = session->nesting_limit};
    enum status status = sql_parse(a, text, size_bytes, &limits, d, out, count);
    if (status != STATUS_OK && status != STATUS_INVALID_QUERY) return error_no_memory(e);
    TRY(settings_apply_session(session, *out, *count, given, given_count, e));
    if (session->zone == limits.zone) return STATUS_OK;
    struct diagnostics again;  // the same errors a second time
    limits.zone = session->zone;
    diagnostics_init(&again, a->memory, d->source);
    status = sql_parse(a, text, size_bytes, &limits, &again, out, count);
    diagnostics_release(&again);
    return status == STATUS_OK || status == STATUS_INVALID_QUERY ? STATUS_OK : error_no_memory(e);
}

enum status settings_check_tables(const struct pipeline *p, struct diagnostics *d) {
    for (uint32_t i = 0; i < p->dataset_count; i++) {
        const struct dataset *t = p->datasets[i];
        struct error e;
        const struct uoption *emit = NULL;
        for (uint32_t k = 0; k < t->look_count; k++) emit = strcasecmp(t->looks[k].key, "leat.emit") == 0 ? &t->looks[k] : emit;
        if (!emit) continue;
        error_set(&e, STATUS_UNSUPPORTED, "LEAT_UNSUPPORTED", "leat.emit of `%s` is not supported yet: its changes are written with every epoch", t->name);
        error_set_hint(&e, "leave it out; SET leat.trigger = '1 s' makes fewer epochs of the whole pipeline");
        e.span = emit->span;
        TRY(diagnostics_add(d, SEVERITY_ERROR, &e));
    }
    return STATUS_OK;
}

const char *settings_text(const struct option_set *set, const struct stream_config *c, const char *name) {
    const char *value = given_value(c->settings, c->setting_count, name);
    return value ? value : option_text(set, name);
}

enum status settings_duration(const struct option_set *set, const struct stream_config *c, const char *name, int64_t missing, int64_t *out, struct error *e) {
    const char *value = settings_text(set, c, name);
    *out = missing;
    if (value && !parse_duration(value, out)) return bad_setting(e, name, value, "a duration such as '500 ms'");
    return STATUS_OK;
}

enum status settings_size(const struct option_set *set, const struct stream_config *c, const char *name, int64_t missing, int64_t *out, struct error *e) {
    const char *value = settings_text(set, c, name);
    *out = missing;
    if (value && (!parse_size(value, out) || *out <= 0)) return bad_setting(e, name, value, "a positive number or size such as '64MB'");
    return STATUS_OK;
}
