// SPDX-License-Identifier: Apache-2.0
// graph.c: the plan as a graph. Walking it once per node, rebuilding it, what a node's changes and key are, and sharing:
//
//     flow 1:  PROJECT ─► FILTER ─► PROJECT from_json ─► SCAN          flow 1:  PROJECT ─► FILTER ─┐
//     flow 2:  AGGREGATE ─────────► PROJECT from_json ─► SCAN    →     flow 2:  AGGREGATE ─────────┴► PROJECT from_json ─► SCAN
//
// After the analysis of all flows, stateless nodes that are equal become one with several parents, so that a source is read once and a
// document parsed once. Stateful nodes belong to one flow: each flow gets a copy of its own, and so does everything above it.
#include "base/checksum.h"
#include "base/random.h"
#include "column/value.h"
#include "plan/node_map.h"
#include "plan/resolver.h"

// --- walking and rebuilding ---

struct collecting {
    struct arena *arena;
    struct node_map seen;
    struct vector nodes;         // of struct plan_node *
};

static enum status collect(struct collecting *c, struct plan_node *n) {
    if (node_map_find(&c->seen, n)) return STATUS_OK;
    TRY(node_map_put(&c->seen, n, n));
    for (uint32_t i = 0; i < n->input_count; i++) TRY(collect(c, n->inputs[i]));
    return vector_push(&c->nodes, &n);
}

enum status plan_nodes(struct arena *a, struct memory *memory, struct plan_node *const *roots, uint32_t root_count, struct plan_node ***out, uint32_t *count) {
    struct collecting c = {.arena = a, .seen = {.arena = a}};
    vector_init(&c.nodes, memory, sizeof(struct plan_node *));
    enum status s = STATUS_OK;
    for (uint32_t i = 0; i < root_count && s == STATUS_OK; i++) s = collect(&c, roots[i]);
    *count = (uint32_t)c.nodes.count;
    *out = arena_alloc_array(a, c.nodes.count + 1, sizeof **out);
    if (s == STATUS_OK && !*out) s = STATUS_NO_MEMORY;
    if (s == STATUS_OK && c.nodes.count) memcpy(*out, c.nodes.items, c.nodes.count * sizeof **out);
    vector_release(&c.nodes);
    return s;
}

static struct plan_node *transform(struct resolver *r, struct plan_node *n, plan_rule rule, struct node_map *done) {
    struct plan_node **known = node_map_find(done, n);
    if (known) return *known;
    struct plan_node *copy = n;
    for (uint32_t i = 0; i < n->input_count; i++) {
        struct plan_node *input = transform(r, n->inputs[i], rule, done);
        if (!input) return NULL;
        if (input == copy->inputs[i]) continue;
        if (copy == n && !(copy = plan_copy(r->arena, n))) return NULL;
        copy->inputs[i] = input;
    }
    struct plan_node *result = rule(r, copy);
    return result && node_map_put(done, n, result) == STATUS_OK ? result : NULL;
}

enum status plan_transform(struct resolver *r, struct plan_node **root, plan_rule rule) {
    struct node_map done = {.arena = r->arena};
    struct plan_node *result = transform(r, *root, rule, &done);
    if (!result) return STATUS_NO_MEMORY;
    *root = result;
    return STATUS_OK;
}

// --- what a node's output is like ---

static bool retracts(const struct plan_node *n) {
    bool input_retracts = false;
    for (uint32_t i = 0; i < n->input_count; i++) input_retracts |= n->inputs[i]->changes == CHANGES_RETRACT;
    if (!n->streaming) return false;
    switch (n->kind) {
    case PLAN_AGGREGATE:
        if (n->emits_closed) return input_retracts;
        return input_retracts || n->expr_count > n->key_count;  // DISTINCT of an append is an append
    case PLAN_JOIN:  // a row without a match is taken back when one comes
        if (n->join_time && !n->emits_closed && (plan_join_keeps(n, 0) || plan_join_keeps(n, 1))) return true;
        return input_retracts;
    case PLAN_LIMIT:
    case PLAN_RANK:
    case PLAN_INTERSECT:
    case PLAN_EXCEPT:
        return true;
    default:
        return input_retracts;
    }
}

static void set_key(struct plan_node *n, const uint32_t *key, uint32_t count) {
    n->unique_key = key;
    n->unique_key_count = count;
}

// Where each key column of the input comes out of a projection; none if one does not.
static void project_key(struct arena *a, struct plan_node *n) {
    const struct plan_node *input = n->inputs[0];
    set_key(n, NULL, 0);
    if (!input->unique_key) return;
    uint32_t *key = arena_alloc_array(a, (size_t)input->unique_key_count + 1, sizeof *key);
    for (uint32_t i = 0; key && i < input->unique_key_count; i++) {
        uint32_t at = 0;
        while (at < n->expr_count && !(n->exprs[at]->kind == EXPR_COLUMN && n->exprs[at]->ordinal == input->unique_key[i])) at++;
        if (at == n->expr_count) return;
        key[i] = at;
    }
    if (key) set_key(n, key, input->unique_key_count);
}

// A pair is told apart by its two rows, a row without a match by itself.
static void join_key(struct arena *a, struct plan_node *n) {
    const struct plan_node *left = n->inputs[0], *right = n->inputs[1];
    set_key(n, NULL, 0);
    if (!left->unique_key || !right->unique_key) return;
    uint32_t count = left->unique_key_count + right->unique_key_count;
    uint32_t *key = arena_alloc_array(a, (size_t)count + 1, sizeof *key);
    for (uint32_t i = 0; key && i < count; i++) {
        bool of_left = i < left->unique_key_count;
        key[i] = of_left ? left->unique_key[i] : left->attribute_count + right->unique_key[i - left->unique_key_count];
    }
    if (key) set_key(n, key, count);
}

// A row is known by its partition and its number; where only the first is kept, by the partition.
static void rank_key(struct arena *a, struct plan_node *n) {
    uint32_t *key = arena_alloc_array(a, (size_t)n->key_count + 1, sizeof *key);
    set_key(n, NULL, 0);
    for (uint32_t i = 0; key && i < n->key_count; i++) {
        if (n->exprs[i]->kind != EXPR_COLUMN) return;
        key[i] = n->exprs[i]->ordinal;
    }
    if (!key) return;
    key[n->key_count] = n->attribute_count - 1;
    set_key(n, key, n->limit == 1 && n->key_count ? n->key_count : n->key_count + 1);
}

enum status plan_derive(struct arena *a, struct plan_node *n) {
    for (uint32_t i = 0; i < n->input_count; i++) n->streaming |= n->inputs[i]->streaming;
    TRY(plan_derive_time(a, n));
    TRY(plan_derive_join_time(a, n));
    n->changes = retracts(n) ? CHANGES_RETRACT : CHANGES_APPEND;
    switch (n->kind) {
    case PLAN_PROJECT:
        project_key(a, n);
        break;
    case PLAN_RANK:
        rank_key(a, n);
        break;
    case PLAN_AGGREGATE: {
        uint32_t *key = arena_alloc_array(a, (size_t)n->key_count + 1, sizeof *key);
        for (uint32_t i = 0; key && i < n->key_count; i++) key[i] = i;
        set_key(n, key, n->key_count);
        break;
    }
    case PLAN_FILTER:
    case PLAN_SORT:
    case PLAN_LIMIT:
    case PLAN_WATERMARK:
        set_key(n, n->inputs[0]->unique_key, n->inputs[0]->unique_key_count);
        break;
    case PLAN_JOIN:
        if (n->join == JOIN_SEMI || n->join == JOIN_ANTI || n->join == JOIN_NULL_AWARE_ANTI) set_key(n, n->inputs[0]->unique_key, n->inputs[0]->unique_key_count);
        else join_key(a, n);
        break;
    case PLAN_CONSOLIDATE:
        break;
    default:
        set_key(n, NULL, 0);
    }
    return STATUS_OK;
}

// --- sharing ---

static bool is_stateful(const struct plan_node *n) {
    switch (n->kind) {
    case PLAN_SCAN:
    case PLAN_VALUES:
    case PLAN_PROJECT:
    case PLAN_FILTER:
    case PLAN_UNION:
    case PLAN_GENERATE:
    case PLAN_WINDOW:
        return false;
    default:  // a WATERMARK too: a flow that catches up has its own
        return true;
    }
}

static bool equal_exprs(struct expr *const *a, struct expr *const *b, uint32_t count) {
    for (uint32_t i = 0; i < count; i++)
        if (!expr_equal(a[i], b[i])) return false;
    return true;
}

static bool same_node(const struct plan_node *a, const struct plan_node *b) {
    if (a->kind != b->kind || a->input_count != b->input_count || a->attribute_count != b->attribute_count || a->expr_count != b->expr_count ||
        a->streaming != b->streaming || a->table != b->table || a->kind == PLAN_VALUES) return false;
    for (uint32_t i = 0; i < a->input_count; i++)
        if (a->inputs[i] != b->inputs[i]) return false;
    for (uint32_t i = 0; i < a->attribute_count; i++)
        if (strcmp(a->attributes[i].name, b->attributes[i].name) != 0 || !type_equal(a->attributes[i].type, b->attributes[i].type)) return false;
    if ((a->condition != NULL) != (b->condition != NULL) || (a->condition && !expr_equal(a->condition, b->condition))) return false;
    return a->generator == b->generator && a->outer == b->outer && a->window_us == b->window_us && a->slide_us == b->slide_us &&
           a->window_offset_us == b->window_offset_us && equal_exprs(a->exprs, b->exprs, a->expr_count);
}

struct sharing {
    struct arena *arena;
    struct node_map stateless;   // for all flows
    struct node_map own;         // of the flow being rebuilt: nodes with state below or in them
    struct vector kept;          // of struct plan_node *: stateless nodes, to compare with
};

static struct plan_node **known_node(struct sharing *s, const struct plan_node *n) {
    struct plan_node **known = node_map_find(&s->own, n);
    return known ? known : node_map_find(&s->stateless, n);
}

static enum status share(struct sharing *s, struct plan_node *n, struct plan_node **out, bool *stateful) {
    struct plan_node **known = known_node(s, n);
    if (known) {
        *stateful = node_map_find(&s->own, n) != NULL;
        *out = *known;
        return STATUS_OK;
    }
    struct plan_node *copy = plan_copy(s->arena, n);
    if (!copy) return STATUS_NO_MEMORY;
    *stateful = is_stateful(n);
    for (uint32_t i = 0; i < n->input_count; i++) {
        bool below;
        TRY(share(s, n->inputs[i], &copy->inputs[i], &below));
        *stateful |= below;
    }
    *out = copy;
    if (*stateful) return node_map_put(&s->own, n, copy);
    for (size_t i = 0; i < s->kept.count; i++) {
        struct plan_node *other = *(struct plan_node **)vector_at(&s->kept, i);
        if (!same_node(copy, other)) continue;
        *out = other;
        return node_map_put(&s->stateless, n, other);
    }
    TRY(vector_push(&s->kept, &copy));
    return node_map_put(&s->stateless, n, copy);
}

static enum status share_flows(struct sharing *s, struct flow **flows, uint32_t flow_count) {
    for (uint32_t i = 0; i < flow_count; i++) {
        s->own = (struct node_map){.arena = s->arena};
        bool stateful;
        TRY(share(s, flows[i]->root, &flows[i]->root, &stateful));
    }
    return STATUS_OK;
}

static enum status finish_graph(struct arena *a, struct memory *memory, struct plan_node **roots, uint32_t root_count, struct plan_node ***nodes, uint32_t *count) {
    TRY(plan_nodes(a, memory, roots, root_count, nodes, count));
    for (uint32_t i = 0; i < *count; i++) {
        (*nodes)[i]->id = i;
        TRY(plan_derive(a, (*nodes)[i]));
    }
    TRY(optimize_wanted(a, *nodes, *count, roots, root_count));
    return optimize_json_leaves(a, *nodes, *count, roots, root_count);
}

enum status graph_share(struct arena *a, struct memory *memory, struct flow **flows, uint32_t flow_count, struct pipeline *p) {
    struct sharing s = {.arena = a, .stateless = {.arena = a}};
    vector_init(&s.kept, memory, sizeof(struct plan_node *));
    enum status status = share_flows(&s, flows, flow_count);
    vector_release(&s.kept);
    TRY(status);
    struct plan_node **roots = arena_alloc_array(a, (size_t)flow_count + 1, sizeof *roots);
    if (!roots) return STATUS_NO_MEMORY;
    for (uint32_t i = 0; i < flow_count; i++) roots[i] = flows[i]->root;
    return finish_graph(a, memory, roots, flow_count, &p->nodes, &p->node_count);
}

enum status graph_of_root(struct arena *a, struct memory *memory, struct plan_node **root) {
    // One query: every node is its own to number and mark.
    struct flow flow = {.root = *root}, *flows[1] = {&flow};
    struct pipeline p = {.node_count = 0};
    TRY(graph_share(a, memory, flows, 1, &p));
    *root = flow.root;
    return STATUS_OK;
}

// --- hash ---

enum { PLAN_HASH_VERSION = 1 };

static uint64_t mix(uint64_t h, uint64_t value) { return random_mix(h * 31 + value); }
static uint64_t mix_text(uint64_t h, const char *text) { return text ? checksum64(text, strlen(text), h) : mix(h, 0); }

// Rates, how far a made-up source goes, and how a server is reached are not what a query is.
bool pipeline_option_counts(const char *key) {
    static const char *const not_counted[] = {
        "rowsPerSecond", "numRows", "maxFilesPerTrigger", "maxOffsetsPerTrigger", "minOffsetsPerTrigger", "rampUpTime",
        // where a new flow begins, and how it is read
        "startingOffsets", "startingTimestamp", "startingOffsetsByTimestamp", "startingOffsetsByTimestampStrategy", "failOnDataLoss", "minPartitions",
        "maxTriggerDelay", "groupIdPrefix", "fetchOffset.numRetries", "fetchOffset.retryIntervalMs", "kafkaConsumer.pollTimeoutMs", "commitOffsets",
        // http: how it is asked
        "interval", "numPolls", "timeout", "connectTimeout", "maxBytes", "maxRedirects", "conditional", "user", "password", "userAgent", "caFile",
        "certFile", "keyFile", "keyPassword", "verify", "maxSpoolBytes", "retention",
    };
    for (size_t i = 0; i < sizeof not_counted / sizeof *not_counted; i++)
        if (equal_ignoring_case(not_counted[i], key)) return false;
    return strncmp(key, "kafka.", 6) != 0 && strncmp(key, "leat.", 5) != 0 && strncmp(key, "header.", 7) != 0;
}

static uint64_t hash_table(uint64_t h, const struct dataset *d) {
    h = mix_text(h, d->name);
    h = mix_text(h, d->connector ? d->connector->name : NULL);
    for (uint32_t i = 0; i < d->options.count; i++) {
        const struct option_value *v = &d->options.values[i];
        if (!v->is_set || !pipeline_option_counts(v->key ? v->key : v->option->name)) continue;
        h = mix_text(mix_text(h, v->option->name), v->text);
    }
    return d->schema ? mix(h, type_hash(d->schema)) : h;
}

// Rows of VALUES, in leat's own encoding: a join's small table written into the text is part of the query.
static enum status hash_values(const struct plan_node *n, struct buffer *bytes, uint64_t *h) {
    buffer_clear(bytes);
    for (uint32_t c = 0; c < n->attribute_count; c++)
        for (uint32_t row = 0; row < n->value_row_count; row++) TRY(value_write(&n->values[c], row, bytes));
    *h = mix(bytes->size_bytes ? checksum64(bytes->data, bytes->size_bytes, *h) : *h, n->value_row_count);
    return STATUS_OK;
}

static uint64_t hash_node(const struct plan_node *n) {
    uint64_t h = mix(PLAN_HASH_VERSION, (uint64_t)n->kind);
    for (uint32_t i = 0; i < n->attribute_count; i++) h = mix(mix_text(h, n->attributes[i].name), type_hash(n->attributes[i].type));
    for (uint32_t i = 0; i < n->expr_count; i++) h = mix(h, expr_hash(n->exprs[i]));
    if (n->condition) h = mix(h, expr_hash(n->condition));
    for (uint32_t i = 0; i < n->join_key_count; i++) h = mix(mix(h, expr_hash(n->left_keys[i])), expr_hash(n->right_keys[i]));
    for (uint32_t i = 0; i < n->sort_count; i++)
        h = mix(mix(h, expr_hash(n->sorts[i].expr)), (uint64_t)n->sorts[i].descending << 1 | (uint64_t)n->sorts[i].nulls_first);
    const int64_t numbers[] = {n->limit, n->offset, n->window_us, n->slide_us, n->window_offset_us, n->delay_us, n->gap_us, n->watermark_column,
                               (int64_t)n->join, (int64_t)n->generator, n->outer, n->all, n->key_count, n->streaming};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) h = mix(h, (uint64_t)numbers[i]);
    if (n->table) h = hash_table(h, n->table);
    if (n->emits_closed) h = mix(h, n->emits_closed);
    return mix(h, n->input_count);
}

enum status plan_hash(struct memory *memory, const struct plan_node *root, uint64_t *out) {
    // In preorder, with each node's number of inputs: that says the shape. A graph seen as a tree may be exponentially large; the first
    // 65,536 nodes are enough to tell plans apart.
    uint64_t h = PLAN_HASH_VERSION;
    const struct plan_node *stack[256];
    uint32_t depth = 0, visited = 0;
    struct buffer bytes;
    enum status status = STATUS_OK;
    buffer_init(&bytes, memory);
    stack[depth++] = root;
    while (status == STATUS_OK && depth && visited++ < 65536) {
        const struct plan_node *n = stack[--depth];
        h = mix(h, hash_node(n));
        if (n->kind == PLAN_VALUES) status = hash_values(n, &bytes, &h);
        for (uint32_t i = 0; i < n->input_count && depth < 256; i++) stack[depth++] = n->inputs[i];
    }
    buffer_release(&bytes);
    *out = h;
    return status;
}
