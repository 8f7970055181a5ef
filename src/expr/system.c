// SPDX-License-Identifier: Apache-2.0
// system.c: functions about the row, the session and the clock: typeof, assert_true, raise_error, uuid, rand, current_date and their kin.
//
// uuid() and rand() are a keyed hash of (pipeline seed, place of the call in the text, source, partition, offset, row): the same row gives
// the same value on every replay, on any thread. The clock is the epoch's, one value for all its rows.
#include "base/random.h"
#include "column/datetime.h"
#include "expr/program.h"
#include "operator.h"
#include <math.h>

// --- typeof, assert_true, raise_error ---

static enum status bind_typeof(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, 1, e));
    const char *name = type_name(b->arena, b->args[0]->type);
    b->replacement = expr_string(b->arena, name, strlen(name));
    return b->replacement ? STATUS_OK : error_no_memory(e);
}

static void fail_with(uint32_t row, const struct string_view *message, struct eval *eval) {
    char *text = arena_strndup(eval->arena, string_view_data(message), message->size_bytes);
    if (!text) eval->status = STATUS_NO_MEMORY;
    else eval_fail(eval, row, "USER_RAISED_EXCEPTION", text);
}

static void kernel_assert_true(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    bool has_message = eval->call->data != NULL;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (out->validity) out_set_null(out, row);
        if (column_is_valid(args[0], row) && column_bool(args[0], row)) continue;
        if (has_message && column_is_valid(args[1], row)) fail_with(row, column_string(args[1], row), eval);
        else eval_fail(eval, row, "USER_RAISED_EXCEPTION", "the condition of assert_true is not true");
    }
}

static enum status bind_assert_true(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(BOOLEAN, STRING?) -> BOOLEAN", e));
    b->result = &type_null;
    b->nullable = true;
    if (b->arg_count == 2) b->data = b->arena;  // any pointer: there is a message
    return STATUS_OK;
}

static void kernel_raise_error(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        if (out->validity) out_set_null(out, row);
        if (column_is_valid(args[0], row)) fail_with(row, column_string(args[0], row), eval);
        else eval_fail(eval, row, "USER_RAISED_EXCEPTION", "null");
    }
}

static enum status bind_raise_error(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(STRING) -> BOOLEAN", e));
    b->result = &type_null;
    b->nullable = true;
    return STATUS_OK;
}

// --- drawing ---

enum { KEY_WORDS = 6 };

// What tells this call from others of the pipeline: its place in the text, or a seed the user gave.
struct draw_place {
    uint64_t key;
    uint64_t salt;
    bool by_seed;
};

static enum status bind_place(struct binding *b, uint64_t salt, bool by_seed, struct error *e) {
    struct draw_place *place = arena_alloc(b->arena, sizeof *place);
    if (!place) return error_no_memory(e);
    uint64_t where = by_seed ? 0 : (uint64_t)b->span.begin << 32 | b->span.end;
    *place = (struct draw_place){.key = random_mix(where ^ salt), .salt = salt, .by_seed = by_seed};
    b->data = place;
    b->nullable = false;
    return STATUS_OK;
}

static void row_key(const struct eval *eval, uint32_t row, uint64_t key[KEY_WORDS]) {
    const struct origin *o = eval->origin;
    key[0] = eval->session ? eval->session->seed : 0;
    key[1] = ((const struct draw_place *)eval->call->data)->key;
    key[2] = o ? o->source : ORIGIN_NONE;
    key[3] = o ? o->partition : 0;
    key[4] = o ? (uint64_t)origin_offset(o, row) : row;
    key[5] = o ? origin_row(o, row) : 0;
}

static void kernel_uuid(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        uint64_t key[KEY_WORDS], halves[2];
        row_key(eval, row, key);
        halves[0] = random_keyed(key, KEY_WORDS);
        key[1] = ~key[1];
        halves[1] = random_keyed(key, KEY_WORDS);
        halves[0] = (halves[0] & ~UINT64_C(0xf000)) | UINT64_C(0x4000);                              // version 4
        halves[1] = (halves[1] & ~(UINT64_C(3) << 62)) | UINT64_C(2) << 62;                          // variant 10
        char text[36];
        size_t at = 0;
        for (int nibble = 0; nibble < 32; nibble++) {
            if (nibble == 8 || nibble == 12 || nibble == 16 || nibble == 20) text[at++] = '-';
            text[at++] = digits[halves[nibble / 16] >> (60 - 4 * (nibble % 16)) & 15];
        }
        out_set_string(out, row, text, sizeof text, eval);
    }
}

static enum status bind_uuid(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 0, 0, e));
    b->result = &type_string;
    return bind_place(b, 1, false, e);
}

static double uniform(uint64_t bits) { return (double)(bits >> 11) * 0x1p-53; }

static void kernel_rand(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint64_t key[KEY_WORDS];
        row_key(eval, rows_at(rows, i), key);
        ((double *)out->values)[rows_at(rows, i)] = uniform(random_keyed(key, KEY_WORDS));
    }
}

// Box and Muller: two uniform numbers make a normal one.
static void kernel_randn(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint64_t key[KEY_WORDS];
        row_key(eval, rows_at(rows, i), key);
        double radius = sqrt(-2 * log(1 - uniform(random_keyed(key, KEY_WORDS))));
        key[1] = ~key[1];
        ((double *)out->values)[rows_at(rows, i)] = radius * cos(2 * M_PI * uniform(random_keyed(key, KEY_WORDS)));
    }
}

static enum status bind_random(struct binding *b, struct error *e) {
    TRY(binding_signature(b, "(INTEGRAL?) -> DOUBLE", e));
    if (b->arg_count == 1) TRY(binding_cast(b, 0, &type_bigint, e));
    uint64_t salt = 2;
    if (b->arg_count == 1) {
        const struct column *seed;
        TRY(binding_constant(b, 0, &seed, e));
        salt = random_mix(seed ? (uint64_t)column_int64(seed, 0) : 0);
    }
    b->result = &type_double;
    return bind_place(b, salt, b->arg_count == 1, e);
}

void function_set_place(struct expr *call, uint64_t place) {
    if (call->kind != EXPR_CALL) return;
    kernel k = call->call.kernel;
    struct draw_place *p = call->call.data;
    if ((k == kernel_uuid || k == kernel_rand || k == kernel_randn) && !p->by_seed) p->key = random_mix(place ^ p->salt);
}

// --- clock and session ---

static void kernel_current_date(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    int64_t day = floor_div(timezone_to_wall(eval->session->zone, eval->now_us), US_PER_DAY);
    for (uint32_t i = 0; i < rows->count; i++) ((int32_t *)out->values)[rows_at(rows, i)] = (int32_t)day;
}
static void kernel_current_timestamp(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    for (uint32_t i = 0; i < rows->count; i++) ((int64_t *)out->values)[rows_at(rows, i)] = eval->now_us;
}
static void kernel_local_timestamp(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    (void)args;
    int64_t wall = timezone_to_wall(eval->session->zone, eval->now_us);
    for (uint32_t i = 0; i < rows->count; i++) ((int64_t *)out->values)[rows_at(rows, i)] = wall;
}

static enum status bind_current_timezone(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 0, 0, e));
    const char *name = b->session && b->session->zone ? timezone_name(b->session->zone) : "UTC";
    b->replacement = expr_string(b->arena, name, strlen(name));
    return b->replacement ? STATUS_OK : error_no_memory(e);
}

static enum status bind_word(struct binding *b, const char *word, struct error *e) {
    TRY(binding_require_count(b, 0, 0, e));
    b->replacement = expr_string(b->arena, word, strlen(word));
    return b->replacement ? STATUS_OK : error_no_memory(e);
}
static enum status bind_current_catalog(struct binding *b, struct error *e) { return bind_word(b, "spark_catalog", e); }
static enum status bind_current_database(struct binding *b, struct error *e) { return bind_word(b, "default", e); }
// leat has no users of its own: whoever runs it is "leat".
static enum status bind_current_user(struct binding *b, struct error *e) { return bind_word(b, "leat", e); }
static enum status bind_input_file_name(struct binding *b, struct error *e) { return bind_word(b, "", e); }
static enum status bind_version(struct binding *b, struct error *e) { return bind_word(b, "4.2.0 leat-" LEAT_VERSION, e); }

static enum status bind_refused(struct binding *b, struct error *e) {
    error_set(e, STATUS_UNSUPPORTED, "LEAT_UNSUPPORTED", "%s() depends on how rows are spread over machines and cannot be replayed", b->name);
    if (e) {
        e->span = b->span;
        error_set_hint(e, "uuid() gives every row an identity of its own that survives a replay");
    }
    return STATUS_UNSUPPORTED;
}

enum {
    RAISES = FUNCTION_HANDLES_NULL | FUNCTION_TAKES_ANY_FORM | FUNCTION_CAN_FAIL | FUNCTION_MAY_BE_NULL,
    DRAWS = FUNCTION_DRAWS | FUNCTION_NEVER_NULL,
};

static const struct function functions[] = {
    {"typeof", "(ANY) -> STRING", NULL, bind_typeof, 0, "The name of the argument's type", "typeof(1)", "int"},
    {"assert_true", "(BOOLEAN, STRING?) -> VOID", kernel_assert_true, bind_assert_true, RAISES, "NULL where the condition holds, else an error with the message",
     "assert_true(1 < 2)", "NULL"},
    {"raise_error", "(STRING) -> VOID", kernel_raise_error, bind_raise_error, RAISES, "An error with the message", "if(1 < 2, 'ok', raise_error('no'))", "ok"},
    {"uuid", "() -> STRING", kernel_uuid, bind_uuid, DRAWS, "A random UUID for each row, the same on a replay", "length(uuid())", "36"},
    {"rand", "(BIGINT?) -> DOUBLE", kernel_rand, bind_random, DRAWS, "A random number in [0, 1) for each row, the same on a replay", "rand(0) < 1", "true"},
    {"random", "(BIGINT?) -> DOUBLE", kernel_rand, bind_random, DRAWS, "As rand", "random(0) < 1", "true"},
    {"randn", "(BIGINT?) -> DOUBLE", kernel_randn, bind_random, DRAWS, "A random number of the normal distribution", "randn(0) < 100", "true"},
    {"current_date", "() -> DATE", kernel_current_date, NULL, DRAWS, "The date of the epoch's clock in the session's time zone", "current_date() > DATE '2020-01-01'", "true"},
    {"curdate", "() -> DATE", kernel_current_date, NULL, DRAWS, "As current_date", "curdate() > DATE '2020-01-01'", "true"},
    {"current_timestamp", "() -> TIMESTAMP", kernel_current_timestamp, NULL, DRAWS, "The epoch's clock", "current_timestamp() > TIMESTAMP '2020-01-01'", "true"},
    {"now", "() -> TIMESTAMP", kernel_current_timestamp, NULL, DRAWS, "As current_timestamp", "now() > TIMESTAMP '2020-01-01'", "true"},
    {"localtimestamp", "() -> TIMESTAMP_NTZ", kernel_local_timestamp, NULL, DRAWS, "The epoch's clock as a wall clock of the session's time zone shows it",
     "localtimestamp() > TIMESTAMP_NTZ '2020-01-01'", "true"},
    {"current_timezone", "() -> STRING", NULL, bind_current_timezone, 0, "The session's time zone", "current_timezone()", "UTC"},
    {"current_catalog", "() -> STRING", NULL, bind_current_catalog, 0, "The name of the catalog", "current_catalog()", "spark_catalog"},
    {"current_database", "() -> STRING", NULL, bind_current_database, 0, "The name of the database", "current_database()", "default"},
    {"current_schema", "() -> STRING", NULL, bind_current_database, 0, "The name of the database", "current_schema()", "default"},
    {"current_user", "() -> STRING", NULL, bind_current_user, 0, "The user: always leat", "current_user()", "leat"},
    {"user", "() -> STRING", NULL, bind_current_user, 0, "As current_user", "user()", "leat"},
    {"session_user", "() -> STRING", NULL, bind_current_user, 0, "As current_user", "session_user()", "leat"},
    {"version", "() -> STRING", NULL, bind_version, 0, "The version of Spark that is followed, and leat's own", "version() LIKE '4.2.0%'", "true"},
    {"monotonically_increasing_id", "() -> BIGINT", NULL, bind_refused, FUNCTION_HIDDEN, "Refused: cannot be replayed", NULL, NULL},
    {"spark_partition_id", "() -> INT", NULL, bind_refused, FUNCTION_HIDDEN, "Refused: cannot be replayed", NULL, NULL},
    {"input_file_name", "() -> STRING", NULL, bind_input_file_name, 0, "The empty text: rows do not remember their file here", "length(input_file_name())", "0"},
};

const struct function_table system_functions = {functions, sizeof functions / sizeof *functions, "system"};
