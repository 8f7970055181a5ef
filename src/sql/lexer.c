// SPDX-License-Identifier: Apache-2.0
// lexer.c: SQL text to tokens, by Spark's rules.
//
// Comments: -- to the line's end (a backslash before the line break goes on), /* … */ nested; a hint /*+ … */ is a comment to us.
// Numbers: digits glued to letters are a name (1a, 0x1F), unless the letters are a suffix (1L, 1.5BD). A decimal followed by a
// letter is no decimal: 1.a is 1 . a.
// The lexer never fails on any text: what it does not know is a TOKEN_UNKNOWN, what is not closed ends at the end of the text.
#include "sql/token.h"
#include "base/utf8.h"

static const char *const keyword_names[KEYWORD_COUNT] = {
    "",
#define KEYWORD(name) #name,
#include "sql/keyword.def"
#undef KEYWORD
};

const char *keyword_name(enum keyword k) { return keyword_names[k]; }

static inline bool is_digit(char c) { return c >= '0' && c <= '9'; }
static inline bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
static inline bool is_word_byte(char c) { return is_letter(c) || is_digit(c) || c == '_'; }
static inline char upper(char c) { return c >= 'a' && c <= 'z' ? (char)(c - 32) : c; }

static int compare_keyword(const char *word, size_t size_bytes, const char *name) {
    for (size_t i = 0; i < size_bytes; i++) {
        char a = upper(word[i]);
        if (a != name[i]) return (unsigned char)a < (unsigned char)name[i] ? -1 : 1;  // name[i] may be its NUL: less than any byte
    }
    return name[size_bytes] ? -1 : 0;
}

enum keyword keyword_find(const char *word, size_t size_bytes) {
    int low = 1, high = KEYWORD_COUNT - 1;
    if (size_bytes == 0 || size_bytes > 20 || !is_letter(word[0])) return KEYWORD_NONE;
    while (low <= high) {
        int middle = (low + high) / 2;
        int order = compare_keyword(word, size_bytes, keyword_names[middle]);
        if (order == 0) return (enum keyword)middle;
        if (order < 0) high = middle - 1;
        else low = middle + 1;
    }
    return KEYWORD_NONE;
}

static inline char at(const struct lexer *l, uint32_t i) { return i < l->size_bytes ? l->text[i] : 0; }

// Length of a blank character that starts here, 0 if none does. Spark's list of Unicode blanks.
static uint32_t blank_length(const struct lexer *l, uint32_t i) {
    char c = l->text[i];
    if (c == ' ' || (c >= '\t' && c <= '\r')) return 1;
    if ((unsigned char)c < 0x80) return 0;
    size_t length;
    uint32_t character = utf8_decode(l->text + i, l->size_bytes - i, &length);
    bool blank = character == 0xA0 || character == 0x1680 || (character >= 0x2000 && character <= 0x200A) || character == 0x2028 ||
                 character == 0x202F || character == 0x205F || character == 0x3000 || character == 0xFEFF;
    return blank ? (uint32_t)length : 0;
}

static void skip_line_comment(struct lexer *l) {
    while (l->next < l->size_bytes && l->text[l->next] != '\n' && l->text[l->next] != '\r') {
        if (l->text[l->next] == '\\' && at(l, l->next + 1) == '\n') l->next++;
        l->next++;
    }
}

static void skip_block_comment(struct lexer *l) {
    uint32_t begin = l->next, depth = 0;
    do {
        if (l->next + 1 >= l->size_bytes) {
            l->next = l->size_bytes;
            l->unclosed_comment = (struct span){begin, begin + 2};
            return;
        }
        if (l->text[l->next] == '/' && l->text[l->next + 1] == '*') {
            depth++;
            l->next += 2;
        } else if (l->text[l->next] == '*' && l->text[l->next + 1] == '/') {
            depth--;
            l->next += 2;
        } else {
            l->next++;
        }
    } while (depth > 0);
}

// Passes over blanks and comments; true if there were any.
static bool skip_blanks(struct lexer *l) {
    uint32_t begin = l->next;
    while (l->next < l->size_bytes) {
        uint32_t blank = blank_length(l, l->next);
        if (blank) l->next += blank;
        else if (l->text[l->next] == '-' && at(l, l->next + 1) == '-') skip_line_comment(l);
        else if (l->text[l->next] == '/' && at(l, l->next + 1) == '*') skip_block_comment(l);
        else break;
    }
    return l->next > begin;
}

static void read_string(struct lexer *l, struct token *t, bool raw) {
    char quote = l->text[l->next++];
    t->kind = raw ? TOKEN_RAW_STRING : TOKEN_STRING;
    while (l->next < l->size_bytes) {
        char c = l->text[l->next];
        if (c == '\\' && !raw && l->next + 1 < l->size_bytes) {
            l->next += 2;
        } else if (c == quote) {
            l->next++;
            if (raw || at(l, l->next) != quote) return;
            l->next++;  // a doubled quote
        } else {
            l->next++;
        }
    }
    t->flags |= TOKEN_UNCLOSED;
}

static void read_quoted_name(struct lexer *l, struct token *t) {
    t->kind = TOKEN_QUOTED_NAME;
    for (l->next++; l->next < l->size_bytes; l->next++) {
        if (l->text[l->next] != '`') continue;
        if (at(l, l->next + 1) != '`') {
            l->next++;
            return;
        }
        l->next++;
    }
    t->flags |= TOKEN_UNCLOSED;
}

// A word of letters, digits and underscores; letters beyond ASCII are read too, for the error that tells to quote them.
static void read_word(struct lexer *l, struct token *t) {
    uint32_t begin = l->next;
    while (l->next < l->size_bytes) {
        char c = l->text[l->next];
        if (is_word_byte(c)) {
            l->next++;
        } else if ((unsigned char)c >= 0x80 && !blank_length(l, l->next)) {
            size_t length;
            (void)utf8_decode(l->text + l->next, l->size_bytes - l->next, &length);
            l->next += (uint32_t)length;
            t->flags |= TOKEN_NOT_ASCII;
        } else {
            break;
        }
    }
    t->kind = TOKEN_WORD;
    t->keyword = (uint16_t)keyword_find(l->text + begin, l->next - begin);
}

static uint32_t skip_digits(const struct lexer *l, uint32_t i) {
    while (is_digit(at(l, i))) i++;
    return i;
}

// Where an exponent that starts at i ends; i if there is none.
static uint32_t skip_exponent(const struct lexer *l, uint32_t i) {
    if (upper(at(l, i)) != 'E') return i;
    uint32_t digits = i + 1;
    if (at(l, digits) == '+' || at(l, digits) == '-') digits++;
    uint32_t end = skip_digits(l, digits);
    return end > digits ? end : i;
}

static inline bool word_goes_on(const struct lexer *l, uint32_t i) { return is_word_byte(at(l, i)) || (unsigned char)at(l, i) >= 0x80; }

// The number at l->next, in its longest form that nothing wordlike follows. False: what is here is a word that begins with a digit.
static bool read_number(struct lexer *l, struct token *t) {
    uint32_t whole = skip_digits(l, l->next), mantissa = whole;
    bool has_point = at(l, whole) == '.';
    if (has_point) mantissa = skip_digits(l, whole + 1);
    for (int with_point = has_point; with_point >= 0; with_point--) {
        uint32_t digits = with_point ? mantissa : whole;
        if (digits == l->next) return false;  // .5a: nothing before the point
        uint32_t end = skip_exponent(l, digits);
        bool has_exponent = end > digits;
        char suffix = upper(at(l, end));
        uint8_t kind = has_exponent ? TOKEN_EXPONENT : with_point ? TOKEN_DECIMAL : TOKEN_INTEGER;
        if (suffix == 'B' && upper(at(l, end + 1)) == 'D') kind = TOKEN_BIGDECIMAL, end += 2;
        else if (suffix == 'D') kind = TOKEN_DOUBLE, end++;
        else if (suffix == 'F') kind = TOKEN_FLOAT, end++;
        else if (kind == TOKEN_INTEGER && suffix == 'L') kind = TOKEN_BIGINT, end++;
        else if (kind == TOKEN_INTEGER && suffix == 'S') kind = TOKEN_SMALLINT, end++;
        else if (kind == TOKEN_INTEGER && suffix == 'Y') kind = TOKEN_TINYINT, end++;
        if (word_goes_on(l, end)) continue;
        t->kind = kind;
        l->next = end;
        return true;
    }
    return false;
}

struct symbol {
    const char *text;  // longest first where one begins another
    uint8_t kind;
};

static const struct symbol symbols[] = {
    {">>>", TOKEN_SHIFT_RIGHT_UNSIGNED}, {"<=>", TOKEN_NULL_SAFE_EQUAL}, {"<<", TOKEN_SHIFT_LEFT}, {">>", TOKEN_SHIFT_RIGHT},
    {"==", TOKEN_EQUAL}, {"=>", TOKEN_FAT_ARROW}, {"=", TOKEN_EQUAL}, {"<>", TOKEN_NOT_EQUAL}, {"!=", TOKEN_NOT_EQUAL},
    {"<=", TOKEN_LESS_EQUAL}, {"!>", TOKEN_LESS_EQUAL}, {">=", TOKEN_GREATER_EQUAL}, {"!<", TOKEN_GREATER_EQUAL}, {"<", TOKEN_LESS},
    {">", TOKEN_GREATER}, {"->", TOKEN_ARROW}, {"||", TOKEN_CONCAT}, {"|>", TOKEN_PIPE_OPERATOR}, {"::", TOKEN_DOUBLE_COLON},
    {"(", TOKEN_LEFT_PAREN}, {")", TOKEN_RIGHT_PAREN}, {"[", TOKEN_LEFT_BRACKET}, {"]", TOKEN_RIGHT_BRACKET}, {",", TOKEN_COMMA},
    {".", TOKEN_DOT}, {"+", TOKEN_PLUS}, {"-", TOKEN_MINUS}, {"*", TOKEN_STAR}, {"/", TOKEN_SLASH}, {"%", TOKEN_PERCENT},
    {"~", TOKEN_TILDE}, {"&", TOKEN_AMPERSAND}, {"|", TOKEN_PIPE}, {"^", TOKEN_CARET}, {":", TOKEN_COLON}, {"?", TOKEN_QUESTION},
    {"!", TOKEN_BANG},
};

static void read_symbol(struct lexer *l, struct token *t) {
    for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
        size_t length = strlen(symbols[i].text);
        if (length <= l->size_bytes - l->next && memcmp(l->text + l->next, symbols[i].text, length) == 0) {
            t->kind = symbols[i].kind;
            l->next += (uint32_t)length;
            return;
        }
    }
    t->kind = TOKEN_UNKNOWN;
    l->next++;
}

static void read_token(struct lexer *l, struct token *t) {
    char c = l->text[l->next];
    char following = at(l, l->next + 1);
    if ((c == 'r' || c == 'R') && (following == '\'' || following == '"')) {
        l->next++;
        read_string(l, t, true);
    } else if (c == '\'' || c == '"') {
        read_string(l, t, false);
    } else if (c == '`') {
        read_quoted_name(l, t);
    } else if (is_digit(c) || (c == '.' && is_digit(following))) {
        if (read_number(l, t)) return;
        if (c == '.') read_symbol(l, t);  // .5a is . 5a
        else read_word(l, t);
    } else if (is_word_byte(c) || (unsigned char)c >= 0x80) {
        read_word(l, t);
    } else {
        read_symbol(l, t);
    }
}

enum status lexer_statement(struct lexer *l, uint32_t limit_bytes, struct vector *tokens, bool *at_end) {
    bool too_long = false;
    uint32_t begin = UINT32_MAX;
    vector_clear(tokens);
    for (;;) {
        bool blank = skip_blanks(l);
        struct token t = {.kind = TOKEN_END, .flags = blank ? 0 : TOKEN_ADJACENT, .span = {l->next, l->next}};
        bool is_last = l->next >= l->size_bytes;
        *at_end = is_last;
        if (!is_last && l->text[l->next] == ';') {
            l->next++;
            is_last = true;
        } else if (!is_last) {
            if (begin == UINT32_MAX) begin = l->next;
            read_token(l, &t);
        }
        t.span.end = l->next;
        too_long = too_long || (begin != UINT32_MAX && l->next - begin > limit_bytes);
        if (!too_long || is_last) TRY(vector_push(tokens, &t));
        if (is_last) return too_long ? STATUS_LIMIT : STATUS_OK;
    }
}
