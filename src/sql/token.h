// SPDX-License-Identifier: Apache-2.0
// token.h: what the lexer makes of SQL text: one statement at a time, up to its semicolon.
//
//     text ──► [token token token … ] end      tokens are spans of the text; nothing is copied
//
// A word carries the keyword it may be: almost every keyword of Spark SQL may also be a name, so that only the parser can tell.
#pragma once
#include "base/status.h"
#include "base/vector.h"

enum keyword {
    KEYWORD_NONE,
#define KEYWORD(name) KEYWORD_##name,
#include "sql/keyword.def"
#undef KEYWORD
    KEYWORD_COUNT,
};

enum token_kind {
    TOKEN_END,             // of the statement: its semicolon, or the end of the text
    TOKEN_WORD,            // abc, SELECT, 1a, 0x1F; `keyword` says which
    TOKEN_QUOTED_NAME,     // `a b`
    TOKEN_STRING,          // '…' or "…", with escapes
    TOKEN_RAW_STRING,      // r'…'
    TOKEN_INTEGER,         // 12
    TOKEN_DECIMAL,         // 1.5
    TOKEN_EXPONENT,        // 1e3
    TOKEN_BIGINT,          // 1L
    TOKEN_SMALLINT,        // 1S
    TOKEN_TINYINT,         // 1Y
    TOKEN_FLOAT,           // 1F
    TOKEN_DOUBLE,          // 1D
    TOKEN_BIGDECIMAL,      // 1BD
    TOKEN_LEFT_PAREN, TOKEN_RIGHT_PAREN, TOKEN_LEFT_BRACKET, TOKEN_RIGHT_BRACKET, TOKEN_COMMA, TOKEN_DOT,
    TOKEN_EQUAL,           // = ==
    TOKEN_NULL_SAFE_EQUAL, // <=>
    TOKEN_NOT_EQUAL,       // <> !=
    TOKEN_LESS, TOKEN_LESS_EQUAL, TOKEN_GREATER, TOKEN_GREATER_EQUAL,
    TOKEN_SHIFT_LEFT, TOKEN_SHIFT_RIGHT, TOKEN_SHIFT_RIGHT_UNSIGNED,
    TOKEN_PLUS, TOKEN_MINUS, TOKEN_STAR, TOKEN_SLASH, TOKEN_PERCENT, TOKEN_TILDE, TOKEN_AMPERSAND, TOKEN_PIPE, TOKEN_CONCAT,
    TOKEN_CARET, TOKEN_COLON, TOKEN_DOUBLE_COLON, TOKEN_ARROW, TOKEN_FAT_ARROW, TOKEN_QUESTION, TOKEN_BANG, TOKEN_PIPE_OPERATOR,
    TOKEN_UNKNOWN,         // a character that is nothing here
};

enum token_flag {
    TOKEN_ADJACENT = 1,    // no blank or comment before it
    TOKEN_UNCLOSED = 2,    // a string or quoted name that the text's end closes
    TOKEN_NOT_ASCII = 4,   // a word with letters that only a quoted name may have
};

struct token {
    uint8_t kind;          // enum token_kind
    uint8_t flags;
    uint16_t keyword;      // enum keyword; only of words
    struct span span;
};

struct lexer {
    const char *text;
    uint32_t size_bytes;
    uint32_t next;               // first byte not yet read
    struct span unclosed_comment;  // known: a /* without its end was met
};

// Reads tokens of one statement into `tokens` (of struct token; cleared first) until its semicolon or the end; the last one is
// TOKEN_END, whose span is the semicolon or empty. Statements above limit_bytes are read to their end but not kept: STATUS_LIMIT.
// *at_end: nothing follows. STATUS_NO_MEMORY.
enum status lexer_statement(struct lexer *l, uint32_t limit_bytes, struct vector *tokens, bool *at_end) WARN_UNUSED;
// The keyword a word may be, ignoring case.
enum keyword keyword_find(const char *word, size_t size_bytes);
const char *keyword_name(enum keyword k);
