// SPDX-License-Identifier: Apache-2.0
// settings.c: SET of a pipeline, and the leat.* properties of its tables: how they are shown and kept. Both are tables of options, so that
// a misspelt one is an error with a suggestion.
#include "plan/resolver.h"

static const struct option setting_options[] = {
    {"leat.onError", OPTION_ENUM, "dead", false, false, "dead|stop", "A row that fails: to the dead-letter table, or stop as Spark does"},
    {"leat.trigger", OPTION_DURATION, NULL, false, false, NULL, "Time between the starts of two epochs; none: at once"},
    {"leat.epoch.maxBytes", OPTION_SIZE, "64MB", false, false, NULL, "Most bytes of one epoch"},
    {"leat.epoch.maxRows", OPTION_INT, NULL, false, false, NULL, "Most rows of one epoch"},
    {"leat.memory", OPTION_SIZE, NULL, false, false, NULL, "Most bytes of state; none: half of the machine's memory"},
    {"leat.retry.timeout", OPTION_DURATION, NULL, false, false, NULL, "How long an unreachable system is waited for; none: for as long as it takes"},
    {"leat.threads", OPTION_INT, NULL, false, false, NULL, "Worker threads; none: one a core"},
    {"leat.regex.matchLimit", OPTION_INT, NULL, false, false, NULL, "Steps a regular expression may take on one text"},
    {"leat.json.maxDepth", OPTION_INT, "1000", false, false, NULL, "Deepest nesting of a JSON document"},
    {"leat.seed", OPTION_INT, NULL, false, false, NULL, "Seed of a new pipeline: uuid() and rand() depend on it; none: a random one"},
    {"leat.maxRowBytes", OPTION_SIZE, "16MB", false, false, NULL, "Longest record; longer ones go to the dead-letter table"},
    {"leat.maxStatementBytes", OPTION_SIZE, "1MB", false, false, NULL, "Longest SQL statement"},
    {"leat.maxNesting", OPTION_INT, "200", false, false, NULL, "Deepest nesting of an expression"},
    {"leat.dead.retention", OPTION_DURATION, "30 days", false, false, NULL, "How long dead letters and late rows are kept"},
    {"leat.dead.maxBytes", OPTION_SIZE, "1GB", false, false, NULL, "Most bytes of dead letters, and of late rows, oldest first to go"},
    {"leat.watermark.idle", OPTION_DURATION, "30 s", false, false, NULL, "A partition without rows for so long does not hold the watermark back"},
    {"leat.watermark.maxAhead", OPTION_DURATION, "1 day", false, false, NULL, "An event time further ahead of the clock does not move the watermark"},
    {"leat.watermark.policy", OPTION_ENUM, "partition", false, false, "partition|global", "The slowest partition counts, or the fastest as in Spark"},
    {"spark.sql.session.timeZone", OPTION_STRING, "UTC", false, false, NULL, "Time zone in which timestamps are read and shown"},
    {"spark.sql.ansi.enabled", OPTION_BOOLEAN, "true", false, false, NULL, "Must be true: leat follows Spark 4's ANSI mode"},
    {"spark.sql.mapKeyDedupPolicy", OPTION_ENUM, "EXCEPTION", false, false, "EXCEPTION|LAST_WIN", "Equal keys in a new map: an error, or the last one stays"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

static const struct option look_options[] = {
    {"leat.chart", OPTION_ENUM, NULL, false, false, "bar|line|area|pie|scatter|heatmap|table|number|map", "How the page shows the table"},
    {"leat.title", OPTION_STRING, NULL, false, false, NULL, "Title of the chart"},
    {"leat.x", OPTION_STRING, NULL, false, false, NULL, "Column on the horizontal axis"},
    {"leat.y", OPTION_STRING, NULL, false, false, NULL, "Column on the vertical axis"},
    {"leat.color", OPTION_STRING, NULL, false, false, NULL, "Column that colours"},
    {"leat.marginal", OPTION_STRING, NULL, false, false, NULL, "Column summed up along the edge"},
    {"leat.top", OPTION_INT, NULL, false, false, NULL, "Show so many rows at most"},
    {"leat.order", OPTION_STRING, NULL, false, false, NULL, "Order of the rows shown"},
    {"leat.width", OPTION_INT, NULL, false, false, NULL, "Width in columns of the page"},
    {"leat.replace", OPTION_BOOLEAN, "false", false, false, NULL, "Empty a target that holds rows of another origin"},
    {"leat.emit", OPTION_DURATION, NULL, false, false, NULL, "Least time between two writes of a materialized view"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

bool is_leat_key(const char *key) { return !strncmp(key, "leat.", 5) || !strncmp(key, "LEAT.", 5); }

// The looks and the sink's own leat.* properties: what a misspelt one may have meant.
static struct option *known_properties(struct arena *a, const struct option *of_sink) {
    size_t count = sizeof look_options / sizeof *look_options - 1, more = 0;
    while (of_sink && of_sink[more].name) more++;
    struct option *all = arena_alloc_array(a, count + more + 1, sizeof *all);
    if (!all) return NULL;
    memcpy(all, look_options, count * sizeof *all);
    for (size_t i = 0; i < more; i++) {
        if (is_leat_key(of_sink[i].name)) all[count++] = of_sink[i];
    }
    return all;  // zeroed: the last one has no name
}

enum status check_looks(struct resolver *r, struct dataset *d, const struct option *of_sink, const struct uoption *properties, uint32_t count) {
    d->looks = arena_alloc_array(r->arena, (size_t)count + 1, sizeof *d->looks);
    struct option *known = known_properties(r->arena, of_sink);
    if (!d->looks || !known) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        if (is_leat_key(properties[i].key)) d->looks[d->look_count++] = properties[i];
    struct diagnostics *all = r->analysis->diagnostics;
    size_t before = all->error_count;
    struct option_set ignored;
    TRY(options_parse(r->arena, known, d->looks, d->look_count, NULL, d->name, all, &ignored));
    return all->error_count == before ? STATUS_OK : STATUS_INVALID_QUERY;
}

static bool is_known(const char *key) {
    for (const struct option *o = setting_options; o->name; o++)
        if (equal_ignoring_case(o->name, key)) return true;
    return false;
}

bool setting_is_known(const char *key, const char **nearest) {
    const char *names[sizeof setting_options / sizeof *setting_options];
    size_t count = 0;
    for (const struct option *o = setting_options; o->name; o++) names[count++] = o->name;
    *nearest = suggest(key, names, count);
    return is_known(key);
}

// `SET k = 'v'`: one pair of quotes is stripped.
static const char *unquoted(struct arena *a, const char *value) {
    size_t n = strlen(value);
    if (n >= 2 && (*value == '\'' || *value == '"') && value[n - 1] == *value) return arena_strndup(a, value + 1, n - 2);
    return value;
}

enum status add_setting(struct resolver *r, const struct ustatement *s, struct vector *given) {
    if (!s->key || !s->value) return STATUS_OK;  // SET k: shows it, which a pipeline has no place for
    bool leat = is_leat_key(s->key), spark = !strncmp(s->key, "spark.", 6);
    if (!leat && !spark) return STATUS_OK;       // a variable for ${name}
    if (spark && !is_known(s->key)) return warn_about(r, s->span, NULL, "leat does not know the setting `%s` and goes on without it", s->key);
    struct uoption o = {.key = s->key, .value = unquoted(r->arena, s->value), .span = s->span, .value_span = s->span};
    if (!o.value) return STATUS_NO_MEMORY;
    for (size_t i = 0; i < given->count; i++) {
        struct uoption *old = vector_at(given, i);
        if (equal_ignoring_case(old->key, o.key)) return *old = o, STATUS_OK;  // the last one counts
    }
    return vector_push(given, &o);
}

enum status check_settings(struct resolver *r, const struct vector *given) {
    struct diagnostics *all = r->analysis->diagnostics;
    struct pipeline *p = r->pipeline;
    TRY(options_parse(r->arena, setting_options, given->items, (uint32_t)given->count, NULL, "SET", all, &p->settings));
    const struct option_value *ansi = option_get(&p->settings, "spark.sql.ansi.enabled");
    if (ansi && ansi->is_set && !ansi->number)
        return complain(r, (struct complaint){.span = ansi->span, .condition = "LEAT_INVALID_SETTING", .hint = "use try_cast and the try_ functions where NULL is wanted"},
                        "leat always works in ANSI mode");
    const struct option_value *zone = option_get(&p->settings, "spark.sql.session.timeZone");
    struct timezone_set *zones = r->analysis->session->zones;
    if (zone && zone->is_set && zones && !timezone_find(zones, zone->text, strlen(zone->text)))
        return complain(r, (struct complaint){.span = zone->span, .condition = "INVALID_CONF_VALUE.TIME_ZONE", .hint = "Europe/Paris, UTC, +02:00"}, "no time zone `%s`", zone->text);
    return STATUS_OK;
}
