// SPDX-License-Identifier: Apache-2.0
// unresolved.h: a query as it was written, before any name has a meaning. What the SQL parser makes (sql/), what Spark Connect's
// protobuf will make; everything after is shared. Nodes live in a query arena; spans are optional.
#pragma once
#include "base/vector.h"
#include "column/column.h"

struct uexpr;
struct uquery;

struct uname {                   // a.b.c
    const char **parts;          // unquoted
    uint32_t part_count;
    struct span span;
};

struct uoption {                 // key = value in OPTIONS, TBLPROPERTIES, WITH; value is text (numbers and booleans as written)
    const char *key;             // dots kept: "leat.chart"
    const char *value;           // NULL: no value was given
    struct span span;            // of the key
    struct span value_span;
};

enum uexpr_kind {
    U_LITERAL,       // literal
    U_NAME,          // name: a column, a field path, a lambda parameter
    U_STAR,          // name.part_count parts of qualifier (0: bare); names: EXCEPT list
    U_CALL,          // name, args, distinct, ignore_nulls, filter. Operators too: "+", "=", "<=>", "and", "or", "not", "like"
                     // (args 2, or 3 with escape), "ilike", "rlike", "in" (args[0] IN args[1..]), "between", "isnull", "isnotnull", "||", "~",
                     // "negative", "positive", "is distinct from" …; special syntax becomes its function: EXTRACT(f FROM x) → extract('f', x),
                     // TRIM(BOTH a FROM b), POSITION(a IN b), SUBSTRING(x FROM a FOR b), OVERLAY(…), count(*) → count(U_STAR),
                     // "like any/all/some" → "like any" …, interval 3 * x
    U_CAST,          // args[0], type, cast_try
    U_CASE,          // has_operand: args[0] first; then when, then …, [else]: has_else
    U_FIELD,         // args[0].field, where args[0] is not a plain name
    U_SUBSCRIPT,     // args[0][args[1]]
    U_LAMBDA,        // names: parameters; args[0]: body
    U_SUBQUERY,      // query: scalar
    U_EXISTS,        // query
    U_IN_SUBQUERY,   // args[0 … ] IN query
    U_ALIAS,         // args[0] AS names[0]; several: (a, b) for generators
    U_ROW,           // (a, b): struct of args
    U_OVER,          // args[0] OVER (…): over
    U_PARAMETER,     // :name or ?; refused so far
    U_DEFAULT,
};

struct uover;

struct uexpr {
    enum uexpr_kind kind;
    struct span span;            // of the whole expression
    struct span name_span;       // of the function's or operator's name
    struct uname name;
    uint32_t arg_count;
    struct uexpr **args;
    const struct column *literal;  // U_LITERAL: CONSTANT column of one row, typed as Spark types the literal
    const char *text;            // the source text of the expression (for names of some literals); may be NULL
    const struct type *type;     // U_CAST
    bool cast_try;
    bool distinct, has_operand, has_else, ignore_nulls;
    bool infix;                  // U_CALL written as an operator
    const char *field;           // U_FIELD
    const char **names;          // U_ALIAS, U_LAMBDA, U_STAR
    uint32_t name_count;
    struct uexpr *filter;        // FILTER (WHERE …)
    struct uquery *query;
    const struct uover *over;    // U_OVER
    uint32_t height;             // of the tree below and with this node; 0: not known. The SQL parser keeps it under a limit
};

struct usort {
    struct uexpr *expr;
    bool descending;
    bool nulls_first;            // resolved default: first when ascending, last when descending
    struct span span;
};

// OVER (PARTITION BY keys ORDER BY sorts [frame]), OVER name, OVER (name …)
struct uover {
    struct uexpr **keys;
    struct usort *sorts;
    uint32_t key_count, sort_count;
    bool has_frame, is_named;
};

enum ujoin_kind { UJOIN_INNER, UJOIN_LEFT, UJOIN_RIGHT, UJOIN_FULL, UJOIN_SEMI, UJOIN_ANTI, UJOIN_CROSS };

struct uwatermark {
    struct uexpr *expr;          // may be a U_ALIAS
    int64_t delay_us;
    int32_t delay_months;
    struct span span;
};

enum urelation_kind {
    UREL_TABLE,      // name (json.`path` too); stream; options (WITH)
    UREL_QUERY,      // ( query )
    UREL_VALUES,     // rows
    UREL_JOIN,       // left, right, join, condition | using_names | natural; lateral
    UREL_FUNCTION,   // table-valued function call: range(…), explode(…); stream
    UREL_LATERAL_VIEW,  // left LATERAL VIEW [OUTER] call alias AS column_aliases
};

struct urelation {
    enum urelation_kind kind;
    struct span span;
    struct uname name;
    bool stream;
    struct uoption *options;
    uint32_t option_count;
    struct uwatermark *watermark;
    const char *alias;           // NULL: none
    struct span alias_span;
    const char **column_aliases;
    uint32_t column_alias_count;
    struct uquery *query;
    struct uexpr ***rows;        // UREL_VALUES: row_count rows of row_width expressions
    uint32_t row_count, row_width;
    struct urelation *left, *right;
    enum ujoin_kind join;
    struct uexpr *condition;
    const char **using_names;
    uint32_t using_count;
    bool natural, lateral, outer;
    struct uexpr *call;          // UREL_FUNCTION, UREL_LATERAL_VIEW
};

enum uquery_kind { UQUERY_SELECT, UQUERY_SET, UQUERY_VALUES, UQUERY_TABLE };
enum uset_kind { USET_UNION, USET_EXCEPT, USET_INTERSECT };

struct ucte {
    const char *name;
    const char **column_names;
    uint32_t column_count;
    struct uquery *query;
    struct span span;
};

struct uquery {
    enum uquery_kind kind;
    struct span span;
    struct ucte *ctes;
    uint32_t cte_count;
    // UQUERY_SELECT
    bool distinct;
    struct uexpr **items;
    uint32_t item_count;
    struct urelation *from;      // comma lists are cross joins; NULL: one row without columns
    struct uexpr *where;
    struct uexpr **group_by;
    uint32_t group_count;
    bool group_all;              // GROUP BY ALL
    bool grouping_sets;          // CUBE, ROLLUP, GROUPING SETS: refused so far
    struct uexpr *having;
    struct span group_span;
    // UQUERY_SET
    enum uset_kind set;
    bool set_all;
    struct uquery *left, *right;
    // UQUERY_VALUES, UQUERY_TABLE
    struct urelation *relation;
    // any
    struct usort *order;
    uint32_t order_count;
    struct uexpr *limit, *offset;
};

enum ustatement_kind {
    USTATEMENT_CREATE_TABLE, USTATEMENT_CREATE_VIEW, USTATEMENT_CREATE_STREAMING_TABLE, USTATEMENT_CREATE_MATERIALIZED_VIEW,
    USTATEMENT_CREATE_FLOW, USTATEMENT_SET, USTATEMENT_QUERY, USTATEMENT_INSERT, USTATEMENT_EXPLAIN, USTATEMENT_DESCRIBE,
    USTATEMENT_SHOW_TABLES, USTATEMENT_SHOW_FUNCTIONS, USTATEMENT_DROP, USTATEMENT_USE,
};

struct ucolumn {                 // of a CREATE TABLE's list
    const char *name;
    const struct type *type;     // NULL: only named (views)
    bool not_null;
    const char *comment;
    struct span span;
};

struct ustatement {
    enum ustatement_kind kind;
    struct span span;            // from the first token to before the semicolon
    struct uname name;
    bool or_replace, if_not_exists, temporary;
    struct ucolumn *columns;
    uint32_t column_count;
    const char *provider;        // USING
    struct span provider_span;
    struct uoption *options;     // OPTIONS
    uint32_t option_count;
    struct uoption *properties;  // TBLPROPERTIES
    uint32_t property_count;
    const char *comment, *location;
    const char **partition_columns;  // PARTITIONED BY (…)
    uint32_t partition_column_count;
    struct uquery *query;        // AS, INSERT, EXPLAIN, plain
    struct uname target;         // INSERT INTO, CREATE FLOW … INSERT INTO
    bool by_name, overwrite;
    const char **insert_columns;
    uint32_t insert_column_count;
    const char *key, *value;     // SET k = v (value NULL: show it)
    bool extended;               // EXPLAIN EXTENDED, DESCRIBE EXTENDED
    struct ustatement *explained;
    const char *pattern;         // SHOW … LIKE
    bool if_exists, drops_view;  // DROP
    const char *text;            // the statement as written, secrets unresolved
};
