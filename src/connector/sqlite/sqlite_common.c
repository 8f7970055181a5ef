// SPDX-License-Identifier: Apache-2.0
// sqlite_common.c: opening, running, and values in and out of SQLite. Types: see the header.
#include "connector/sqlite/sqlite_common.h"
#include "base/files.h"
#include "column/datetime.h"
#include "column/decimal.h"
#include "column/value.h"
#include "expr/from_json.h"
#include "json/json.h"
#include <pthread.h>
#include <math.h>
#include <sys/stat.h>

const struct option sqlite_options[] = {
    {"path", OPTION_PATH, NULL, false, false, NULL, "the SQLite file; without it the table lives in the catalog"},
    {"table", OPTION_STRING, NULL, false, false, NULL, "name of the table in the file; default: the name in SQL"},
    {"key", OPTION_STRING, NULL, false, false, NULL, "comma list of columns that identify a row; a later row replaces an earlier one"},
    {"leat.replace", OPTION_BOOLEAN, "false", false, false, NULL, "empty a target that another program or pipeline has filled"},
    {NULL, OPTION_STRING, NULL, false, false, NULL, NULL},
};

enum status sqlite_database_error(sqlite3 *db, const char *doing, struct error *e) {
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    const char *file = db ? sqlite3_db_filename(db, "main") : "";
    if (code == SQLITE_NOMEM) return error_no_memory(e);
    enum status status = code == SQLITE_BUSY || code == SQLITE_LOCKED ? STATUS_UNREACHABLE
                         : code == SQLITE_CORRUPT || code == SQLITE_NOTADB ? STATUS_CORRUPT
                                                                           : STATUS_IO;
    error_set(e, status, status == STATUS_CORRUPT ? "LEAT_STORE_CORRUPT" : "LEAT_STORE_FAILED", "SQLite file `%s`, %.80s%s: %s", file ? file : "", doing,
              strlen(doing) > 80 ? " …" : "", db ? sqlite3_errmsg(db) : "out of memory");
    if (code == SQLITE_FULL) error_set_hint(e, "make room on the disk; the epoch was taken back and the next run does it again");
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) error_set_hint(e, "check that the file and its folder are there and may be written by this user");
    if (status == STATUS_CORRUPT) error_set_hint(e, "restore the file from a copy together with the data folder, or move it away and build its tables anew with --full-refresh-all");
    if (status == STATUS_UNREACHABLE) {
        error_set_hint(e, "another program holds a write lock on the file; leat is its only writer: end the other transaction (an open sqlite3 "
                          "shell with BEGIN, a backup), or copy the file and work on the copy");
    }
    return status;
}

enum status sqlite_run(sqlite3 *db, const char *sql, struct error *e) {
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) return sqlite_database_error(db, sql, e);
    return STATUS_OK;
}

enum status sqlite_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **out, struct error *e) {
    if (sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, out, NULL) != SQLITE_OK) return sqlite_database_error(db, sql, e);
    return STATUS_OK;
}

static bool has_wal(const char *path) {
    char wal[4200];
    snprintf(wal, sizeof wal, "%s-wal", path);
    return file_exists(wal);
}

// A file that nobody writes: a URI says so, in which three characters have a meaning.
static int open_immutable(const char *path, sqlite3 **db) {
    char *uri = sqlite3_mprintf("file:");
    for (const char *p = path; uri && *p; p++) {
        char *longer = strchr("%?#", *p) ? sqlite3_mprintf("%s%%%02x", uri, (unsigned char)*p) : sqlite3_mprintf("%s%c", uri, *p);
        sqlite3_free(uri);
        uri = longer;
    }
    char *whole = uri ? sqlite3_mprintf("%s?immutable=1", uri) : NULL;
    int code = whole ? sqlite3_open_v2(whole, db, SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_READONLY | SQLITE_OPEN_URI, NULL) : SQLITE_NOMEM;
    sqlite3_free(uri);
    sqlite3_free(whole);
    return code;
}

// Memory is counted by our own handles; SQLite's count costs every allocation a global mutex.
static void tune_library(void) { sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0); }

enum status sqlite_database_open(const char *path, bool read_only, sqlite3 **out, struct error *e) {
    *out = NULL;
    sqlite3 *db = NULL;
    if (read_only && !file_exists(path)) return error_set(e, STATUS_NOT_FOUND, "PATH_NOT_FOUND", "there is no file `%s`", path);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, tune_library);
    mode_t before = umask(077);
    // A writer's connection has its store's mutex around it; readers may be asked by several workers.
    int flags = SQLITE_OPEN_READWRITE | (read_only ? SQLITE_OPEN_FULLMUTEX : SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_CREATE);
    int code = sqlite3_open_v2(path, &db, flags, NULL);
    umask(before);
    if (code != SQLITE_OK && read_only) {  // a file in a folder we may not write
        sqlite3_close(db);
        code = sqlite3_open_v2(path, &db, SQLITE_OPEN_FULLMUTEX | SQLITE_OPEN_READONLY, NULL);
    }
    if (code == SQLITE_OK && read_only && sqlite3_db_readonly(db, "main") == 1 && !has_wal(path)) {  // nor make the WAL's index beside it
        sqlite3_close(db);
        code = open_immutable(path, &db);
    }
    enum status status = code == SQLITE_OK ? STATUS_OK : sqlite_database_error(db, "opening", e);
    if (status == STATUS_OK) sqlite3_busy_timeout(db, SQLITE_BUSY_MS);
    if (status == STATUS_OK && !read_only) {
        status = sqlite_run(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON; PRAGMA temp_store=MEMORY; PRAGMA journal_size_limit=67108864", e);
    }
    if (status == STATUS_OK && read_only) status = sqlite_run(db, "PRAGMA query_only=ON", e);
    if (status != STATUS_OK) {
        sqlite3_close(db);
        return status;
    }
    *out = db;
    return STATUS_OK;
}

enum status sqlite_append_name(struct buffer *out, const char *name) {
    TRY(buffer_append_byte(out, '"'));
    for (const char *p = name; *p; p++) {
        if (*p == '"') TRY(buffer_append_byte(out, '"'));
        TRY(buffer_append_byte(out, (uint8_t)*p));
    }
    return buffer_append_byte(out, '"');
}

const char *sqlite_declared_type(const struct type *t) {
    switch (t->id) {
    case TYPE_BOOLEAN:
    case TYPE_TINYINT:
    case TYPE_SMALLINT:
    case TYPE_INT:
    case TYPE_BIGINT: return "INTEGER";
    case TYPE_FLOAT:
    case TYPE_DOUBLE: return "REAL";
    case TYPE_BINARY: return "BLOB";
    default: return "TEXT";
    }
}

static bool bind_real(sqlite3_stmt *statement, int index, double value) {
    if (isnan(value)) return sqlite3_bind_text(statement, index, "NaN", 3, SQLITE_STATIC) == SQLITE_OK;
    return sqlite3_bind_double(statement, index, value) == SQLITE_OK;
}

// Text made for the occasion: SQLite copies it, so that a growing scratch buffer may move.
static bool bind_made_text(sqlite3_stmt *statement, int index, const char *text, size_t size_bytes) {
    return sqlite3_bind_text64(statement, index, text, size_bytes, SQLITE_TRANSIENT, SQLITE_UTF8) == SQLITE_OK;
}

bool sqlite_bind_value(sqlite3_stmt *statement, int index, const struct column *c, uint32_t row, struct buffer *scratch) {
    if (!column_is_valid(c, row)) return sqlite3_bind_null(statement, index) == SQLITE_OK;
    char text[DECIMAL_TEXT_MAX];  // the longer of the two
    switch (c->type->id) {
    case TYPE_BOOLEAN: return sqlite3_bind_int(statement, index, column_bool(c, row)) == SQLITE_OK;
    case TYPE_TINYINT: return sqlite3_bind_int(statement, index, column_int8(c, row)) == SQLITE_OK;
    case TYPE_SMALLINT: return sqlite3_bind_int(statement, index, column_int16(c, row)) == SQLITE_OK;
    case TYPE_INT: return sqlite3_bind_int(statement, index, column_int32(c, row)) == SQLITE_OK;
    case TYPE_BIGINT: return sqlite3_bind_int64(statement, index, column_int64(c, row)) == SQLITE_OK;
    case TYPE_FLOAT: return bind_real(statement, index, (double)column_float(c, row));
    case TYPE_DOUBLE: return bind_real(statement, index, column_double(c, row));
    case TYPE_STRING: {
        const struct string_view *v = column_string(c, row);
        return sqlite3_bind_text64(statement, index, string_view_data(v), v->size_bytes, SQLITE_STATIC, SQLITE_UTF8) == SQLITE_OK;
    }
    case TYPE_BINARY: {
        const struct string_view *v = column_string(c, row);
        return sqlite3_bind_blob64(statement, index, string_view_data(v), v->size_bytes, SQLITE_STATIC) == SQLITE_OK;
    }
    case TYPE_DATE: return bind_made_text(statement, index, text, print_date(column_int32(c, row), text));
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ: return bind_made_text(statement, index, text, print_timestamp(column_int64(c, row), NULL, text));
    case TYPE_DECIMAL: return bind_made_text(statement, index, text, decimal_print(column_decimal(c, row), c->type->scale, text));
    default: {
        size_t before = scratch->size_bytes;
        enum status status = type_is_nested(c->type) ? json_write_value(c, row, &timezone_utc, true, scratch)
                                                     : value_print(c, row, &timezone_utc, scratch);
        return status == STATUS_OK && bind_made_text(statement, index, (char *)scratch->data + before, scratch->size_bytes - before);
    }
    }
}

static void append_integer(const struct type *type, int64_t value, struct column_builder *out) {
    switch (type->id) {
    case TYPE_BOOLEAN: column_builder_append_fixed(out, &(uint8_t){value != 0}); break;
    case TYPE_TINYINT: column_builder_append_fixed(out, &(int8_t){(int8_t)value}); break;
    case TYPE_SMALLINT: column_builder_append_fixed(out, &(int16_t){(int16_t)value}); break;
    case TYPE_INT: column_builder_append_fixed(out, &(int32_t){(int32_t)value}); break;
    default: column_builder_append_fixed(out, &value); break;
    }
}

// Reads text as a type that SQLite keeps as text; false: it is not one.
static bool append_text_value(const struct type *type, const char *text, size_t size_bytes, struct column_builder *out) {
    if (type->id == TYPE_DATE) {
        int32_t days;
        if (!parse_date(text, size_bytes, &days)) return false;
        column_builder_append_fixed(out, &days);
        return true;
    }
    if (type->id == TYPE_TIMESTAMP || type->id == TYPE_TIMESTAMP_NTZ) {
        int64_t us;
        bool ok = type->id == TYPE_TIMESTAMP ? parse_timestamp(text, size_bytes, &timezone_utc, &us) : parse_timestamp_ntz(text, size_bytes, &us);
        if (ok) column_builder_append_fixed(out, &us);
        return ok;
    }
    if (type->id == TYPE_INTERVAL_DT) {
        int64_t us;
        if (!interval_from_text(NULL, text, size_bytes, type, &us)) return false;
        column_builder_append_fixed(out, &us);
        return true;
    }
    if (type->id == TYPE_INTERVAL_YM) {
        int64_t months;
        if (!interval_from_text(NULL, text, size_bytes, type, &months)) return false;
        column_builder_append_fixed(out, &(int32_t){(int32_t)months});
        return true;
    }
    if (type->id == TYPE_DECIMAL) {
        decimal value;
        bool is_number;
        if (!decimal_parse(text, size_bytes, type->precision, type->scale, &value, &is_number)) return false;
        column_builder_append_fixed(out, &value);
        return true;
    }
    return false;
}

static enum status append_json(sqlite3_stmt *statement, int index, struct column_builder *out, struct json_reader *reader) {
    const char *text = (const char *)sqlite3_column_text(statement, index);
    size_t size_bytes = (size_t)sqlite3_column_bytes(statement, index);
    char *copy = arena_strndup(out->arena, text ? text : "", size_bytes);  // the column's strings are views into it
    if (!copy) return STATUS_NO_MEMORY;
    struct string_view view = string_view_of(copy, size_bytes);
    uint64_t valid = 1;
    struct column document = {.type = &type_string, .form = COLUMN_FLAT, .row_count = 1, .validity = &valid, .values = &view};
    struct column value;
    uint16_t only = 0;
    TRY(json_read_column(reader, &document, &(struct rows){.indices = &only, .count = 1}, out->arena, &value, NULL));
    column_builder_append_from(out, &value, 0);
    return STATUS_OK;
}

enum status sqlite_read_value(sqlite3_stmt *statement, int index, struct column_builder *out, void *json_reader) {
    const struct type *type = out->column.type;
    int stored = sqlite3_column_type(statement, index);
    if (stored == SQLITE_NULL) {
        column_builder_append_null(out);
        return STATUS_OK;
    }
    if (type->id <= TYPE_BIGINT && type->id >= TYPE_BOOLEAN) {
        append_integer(type, sqlite3_column_int64(statement, index), out);
        return STATUS_OK;
    }
    if (type->id == TYPE_FLOAT || type->id == TYPE_DOUBLE) {
        double value = stored == SQLITE_TEXT ? NAN : sqlite3_column_double(statement, index);
        if (type->id == TYPE_FLOAT) column_builder_append_fixed(out, &(float){(float)value});
        else column_builder_append_fixed(out, &value);
        return STATUS_OK;
    }
    if (type_is_nested(type) && json_reader) return append_json(statement, index, out, json_reader);
    bool blob = type->id == TYPE_BINARY;
    const char *bytes = blob ? sqlite3_column_blob(statement, index) : (const char *)sqlite3_column_text(statement, index);
    size_t size_bytes = (size_t)sqlite3_column_bytes(statement, index);
    if (type_is_text(type)) column_builder_append_bytes(out, bytes ? bytes : "", size_bytes, true);
    else if (!bytes || !append_text_value(type, bytes, size_bytes, out)) column_builder_append_null(out);
    return STATUS_OK;
}

enum status sqlite_table_path(struct arena *a, const struct option_set *options, const char *base_folder, const char *data_folder,
                              const char **out, struct error *e) {
    const char *path = option_text(options, "path");
    if (path) TRY(option_resolve(a, path, &path, e));
    char *full = !path                                ? arena_printf(a, "%s/leat.db", data_folder ? data_folder : ".")
                 : path[0] == '/' || !base_folder ? arena_strdup(a, path)
                                                      : arena_printf(a, "%s/%s", base_folder, path);
    if (!full) return error_no_memory(e);
    *out = full;
    return STATUS_OK;
}
