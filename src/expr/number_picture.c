// SPDX-License-Identifier: Apache-2.0
// number_picture.c: to_number, try_to_number and to_char, whose second argument is a picture of the number:
//
//     picture = [ S | MI ] [ $ ] digits { "," digits } [ "." [ digits ] ] [ S | MI | PR ]        digits = { 0 | 9 }
//
// G and D may stand for "," and ".". A run of digits before the point that begins with 0 has exactly so many digits, one that begins with 9
// at most so many. S is a sign, MI a minus or a blank, PR angle brackets around a negative number. Pictures are constant, and are taken
// apart when the call is bound.
#include "column/decimal.h"
#include "expr/functions.h"
#include "expr/string_text.h"
#include <strings.h>

enum { PICTURE_BYTES_MAX = 256, NUMBER_BYTES_MAX = 2 * PICTURE_BYTES_MAX };
enum sign_kind { SIGN_NONE, SIGN_S, SIGN_MI, SIGN_PR };

struct group {
    uint16_t count;
    bool exact;
};

struct picture {
    struct group groups[PICTURE_BYTES_MAX];   // before the point, from the left; at least one, perhaps of no digits
    uint32_t group_count;
    uint32_t whole_count, fraction_count;     // digits
    enum sign_kind sign;
    bool sign_leads, has_currency, has_point;
};

static enum status refuse(struct binding *b, const char *condition, const char *problem, struct error *e) {
    error_set(e, STATUS_INVALID_QUERY, condition, "the number format of %s %s", b->name, problem);
    e->span = b->args[1]->span;
    return STATUS_INVALID_QUERY;
}

static unsigned count_of(const char *text, const char *word) {
    unsigned count = 0;
    for (const char *at = strstr(text, word); at; at = strstr(at + strlen(word), word)) count++;
    return count;
}

static bool is_digit_place(char c) { return c == '0' || c == '9'; }

// What Spark checks before it looks at the order of the parts. `text` is in capitals, with "," and "." for G and D.
static enum status check_counts(struct binding *b, const char *text, struct error *e) {
    const char *digit = strpbrk(text, "09"), *point = strchr(text, '.'), *currency = strchr(text, '$');
    if (!*text) return refuse(b, "INVALID_FORMAT.EMPTY", "is empty", e);
    if (!digit) return refuse(b, "INVALID_FORMAT.WRONG_NUM_DIGIT", "has no digit: use 0 or 9", e);
    if (count_of(text, ".") > 1 || count_of(text, "S") > 1 || count_of(text, "$") > 1 || count_of(text, "MI") > 1 || count_of(text, "PR") > 1)
        return refuse(b, "INVALID_FORMAT.WRONG_NUM_TOKEN", "has one of . S MI $ PR twice", e);
    for (const char *comma = strchr(text, ','); comma; comma = strchr(comma + 1, ',')) {
        if (point && comma > point) return refuse(b, "INVALID_FORMAT.THOUSANDS_SEPS_MUST_BEFORE_DEC", "has a comma behind the point", e);
        if (comma == text || !is_digit_place(comma[-1]) || !is_digit_place(comma[1])) return refuse(b, "INVALID_FORMAT.CONT_THOUSANDS_SEPS", "has a comma without digits on both sides", e);
    }
    if (currency && currency > digit) return refuse(b, "INVALID_FORMAT.CUR_MUST_BEFORE_DIGIT", "has the currency sign behind a digit", e);
    return STATUS_OK;
}

static enum sign_kind take_sign(const char **s, bool leading) {
    if (**s == 'S') return ++*s, SIGN_S;
    if (strncmp(*s, "MI", 2) == 0) return *s += 2, SIGN_MI;
    if (!leading && strncmp(*s, "PR", 2) == 0) return *s += 2, SIGN_PR;
    return SIGN_NONE;
}

static enum status parse_picture(struct binding *b, struct text format, struct picture *p, struct error *e) {
    char text[PICTURE_BYTES_MAX];
    if (format.size_bytes >= sizeof text) return refuse(b, "INVALID_FORMAT", "is too long", e);
    for (size_t i = 0; i < format.size_bytes; i++) {
        char c = format.bytes[i] >= 'a' && format.bytes[i] <= 'z' ? (char)(format.bytes[i] - 32) : format.bytes[i];
        text[i] = c == 'G' ? ',' : c == 'D' ? '.' : c ? c : ' ';
    }
    text[format.size_bytes] = '\0';
    TRY(check_counts(b, text, e));
    const char *s = text;
    p->sign = take_sign(&s, true);
    p->sign_leads = p->sign != SIGN_NONE;
    if (*s == '$') p->has_currency = true, s++;
    p->group_count = 1;
    for (; is_digit_place(*s) || *s == ','; s++) {
        struct group *g = &p->groups[p->group_count - 1];
        if (*s == ',') {
            p->group_count++;
            continue;
        }
        if (g->count++ == 0) g->exact = *s == '0';
        p->whole_count++;
    }
    if (*s == '.') {
        p->has_point = true;
        for (s++; is_digit_place(*s); s++) p->fraction_count++;
    }
    if (p->sign == SIGN_NONE) p->sign = take_sign(&s, false);
    return *s ? refuse(b, "INVALID_FORMAT.UNEXPECTED_TOKEN", "has a part that does not belong there", e) : STATUS_OK;
}

// The picture of the second argument. *out NULL: the picture is NULL.
static enum status picture_argument(struct binding *b, struct picture **out, struct error *e) {
    const struct column *text;
    *out = NULL;
    TRY(binding_cast(b, 1, &type_string, e));
    TRY(binding_constant(b, 1, &text, e));
    if (!text || !column_is_valid(text, 0)) return STATUS_OK;
    struct picture *p = arena_alloc_zeroed(b->arena, sizeof *p);
    if (!p) return error_no_memory(e);
    *out = p;
    return parse_picture(b, text_at(text, 0), p, e);
}

// --- reading ---

// Matches digits and commas against the groups, from the right. The digits are appended to `digits`.
static bool match_whole(const struct picture *p, const char *s, size_t n, char *digits, size_t *digit_count) {
    size_t end = n;
    for (uint32_t i = p->group_count; i-- > 0;) {
        size_t most = p->groups[i].count, taken = 0;
        while (taken < most && end > 0 && s[end - 1] != ',') end--, taken++;
        if (p->groups[i].exact && taken < most) return false;
        if (i > 0 && end > 0 && s[--end] != ',') return false;
    }
    if (end > 0) return false;
    for (size_t i = 0; i < n; i++)
        if (s[i] != ',') digits[(*digit_count)++] = s[i];
    return true;
}

static bool read_number(const struct picture *p, struct text input, const struct type *type, decimal *out) {
    char s[NUMBER_BYTES_MAX], digits[NUMBER_BYTES_MAX + DECIMAL_MAX_PRECISION];
    size_t n = 0, at = 0, count = 0;
    for (size_t i = 0; i < input.size_bytes; i++) {  // blanks count for nothing, wherever they stand
        if (input.bytes[i] == ' ' || (input.bytes[i] >= '\t' && input.bytes[i] <= '\r')) continue;
        if (n == sizeof s - 1) return false;
        s[n++] = input.bytes[i];
    }
    s[n] = '\0';
    bool negative = false;
    if (p->sign == SIGN_PR && s[0] == '<') {
        if (n < 2 || s[n - 1] != '>') return false;
        negative = true;
        s[--n] = '\0';
        at = 1;
    }
    if (p->sign == SIGN_S || p->sign == SIGN_MI) {
        char c = n == 0 ? '\0' : p->sign_leads ? s[0] : s[n - 1];
        negative = c == '-';
        bool is_sign = negative || (c == '+' && p->sign == SIGN_S);
        if (is_sign && p->sign_leads) at = 1;
        if (is_sign && !p->sign_leads) s[--n] = '\0';
    }
    if (p->has_currency && s[at++] != '$') return false;
    size_t whole = at < n ? strspn(s + at, "0123456789,") : 0;
    if (!match_whole(p, s + at, whole, digits, &count)) return false;
    at += whole;
    if (p->has_point && at < n && s[at] == '.') at++;
    else if (at < n) return false;
    size_t fraction = at < n ? strspn(s + at, "0123456789") : 0;
    if (at + fraction < n || fraction > p->fraction_count || count + fraction == 0) return false;
    memcpy(digits + count, s + at, fraction);
    count += fraction;
    for (size_t i = fraction; i < type->scale; i++) digits[count++] = '0';
    decimal value = 0;
    for (size_t i = 0; i < count; i++) value = value * 10 + (digits[i] - '0');  // no more digits than the type has
    *out = negative ? -value : value;
    return true;
}

static void kernel_to_number(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct picture *p = eval->call->data;
    bool try = strcmp(eval->call->function->name, "try_to_number") == 0;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        struct text input = text_at(args[0], row);
        if (read_number(p, input, out->type, &((decimal *)out->values)[row])) continue;
        if (try) out_set_null(out, row);
        else eval_fail_value(eval, row, "INVALID_FORMAT.MISMATCH_INPUT", "the text does not match the number format", input.bytes, input.size_bytes);
    }
}

static enum status to_number_bind(struct binding *b, struct error *e) {
    struct picture *p;
    TRY(binding_require_count(b, 2, 2, e));
    TRY(binding_cast(b, 0, &type_string, e));
    TRY(picture_argument(b, &p, e));
    if (!p) {
        b->replacement = expr_null(b->arena, type_decimal(b->arena, 10, 0));
        return b->replacement ? STATUS_OK : error_no_memory(e);
    }
    uint32_t precision = p->whole_count + p->fraction_count;
    if (precision > DECIMAL_MAX_PRECISION) return refuse(b, "DECIMAL_PRECISION_EXCEEDS_MAX_PRECISION", "has more than 38 digits", e);
    b->result = type_decimal(b->arena, (uint8_t)precision, (uint8_t)p->fraction_count);
    b->data = p;
    b->arg_count = 1;
    if (strcmp(b->function->name, "try_to_number") == 0) b->nullable = true;
    return b->result ? STATUS_OK : error_no_memory(e);
}

// --- writing ---

struct writer {
    char text[NUMBER_BYTES_MAX];
    size_t size;
};

static void put(struct writer *w, char c) {
    if (w->size < sizeof w->text) w->text[w->size++] = c;
}

// A blank goes in front of a sign that was just written: the sign stands beside the number.
static void put_blank(struct writer *w) {
    char last = w->size ? w->text[w->size - 1] : '\0';
    bool behind_sign = last == '+' || last == '-' || last == '<';
    if (behind_sign) w->text[w->size - 1] = ' ';
    put(w, behind_sign ? last : ' ');
}

// `digits`: as many as the picture has places. `begins`: places before the number's first digit; fits false: every digit is a #.
static void write_whole(const struct picture *p, const char *digits, uint32_t begins, bool fits, struct writer *w) {
    uint32_t place = 0;
    for (uint32_t i = 0; i < p->group_count; i++) {
        if (i > 0) {
            char last = w->size ? w->text[w->size - 1] : ' ';
            if (last == '#' || (last >= '0' && last <= '9')) put(w, ',');
            else put_blank(w);
        }
        for (uint32_t k = 0; k < p->groups[i].count; k++, place++) {
            if (!fits) put(w, '#');
            else if (place >= begins || p->groups[i].exact) put(w, digits[place]);
            else put_blank(w);
        }
    }
}

static void write_number(const struct picture *p, decimal value, unsigned scale, struct writer *w) {
    char whole[PICTURE_BYTES_MAX], fraction[PICTURE_BYTES_MAX], reversed[DECIMAL_TEXT_MAX];
    bool negative = value < 0;
    unsigned __int128 rest = negative ? 0 - (unsigned __int128)value : (unsigned __int128)value;
    unsigned count = 0;
    while (scale > 0 && rest % 10 == 0) rest /= 10, scale--;
    for (; rest || count < scale; rest /= 10) reversed[count++] = (char)('0' + (int)(rest % 10));
    bool fits = count - scale <= p->whole_count && scale <= p->fraction_count;
    w->size = 0;
    memset(whole, '0', sizeof whole);
    memset(fraction, fits ? '0' : '#', sizeof fraction);
    uint32_t begins = fits ? p->whole_count - (count - scale) : 0;
    for (unsigned i = 0; fits && i < count - scale; i++) whole[begins + i] = reversed[count - 1 - i];
    for (unsigned i = 0; fits && i < scale; i++) fraction[i] = reversed[scale - 1 - i];
    if (p->sign == SIGN_PR && negative) put(w, '<');
    if (p->sign_leads) put(w, negative ? '-' : p->sign == SIGN_S ? '+' : ' ');
    if (p->has_currency) put(w, '$');
    write_whole(p, whole, begins, fits, w);
    if (p->has_point) {
        if (w->size && w->text[w->size - 1] == ' ') w->text[w->size - 1] = '0';
        put(w, p->fraction_count ? '.' : ' ');
        for (uint32_t i = 0; i < p->fraction_count; i++) put(w, fraction[i]);
    }
    if (p->sign == SIGN_PR) {
        put(w, negative ? '>' : ' ');
        if (!negative) put(w, ' ');
    } else if (p->sign != SIGN_NONE && !p->sign_leads) {
        put(w, negative ? '-' : p->sign == SIGN_S ? '+' : ' ');
    }
}

static void kernel_to_char(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    const struct picture *p = eval->call->data;
    struct writer w;
    for (uint32_t i = 0; i < rows->count; i++) {
        uint32_t row = rows_at(rows, i);
        write_number(p, ((const decimal *)args[0]->values)[row], args[0]->type->scale, &w);
        out_set_string(out, row, w.text, w.size, eval);
    }
}

// BINARY is written in one of three codes.
static enum status binary_bind(struct binding *b, struct error *e) {
    const struct column *text;
    TRY(binding_cast(b, 1, &type_string, e));
    TRY(binding_constant(b, 1, &text, e));
    const char *name = NULL;
    if (!text || !column_is_valid(text, 0)) {
        b->replacement = expr_null(b->arena, &type_string);
        return b->replacement ? STATUS_OK : error_no_memory(e);
    }
    struct text code = text_at(text, 0);
    if (code.size_bytes == 3 && strncasecmp(code.bytes, "hex", 3) == 0) name = "hex";
    if (code.size_bytes == 6 && strncasecmp(code.bytes, "base64", 6) == 0) name = "base64";
    if (code.size_bytes == 5 && strncasecmp(code.bytes, "utf-8", 5) == 0) name = "decode";
    if (!name) return refuse(b, "INVALID_PARAMETER_VALUE.BINARY_FORMAT", "must be hex, base64 or utf-8 for a BINARY", e);
    return function_call_named(b->arena, b->session, name, b->args, strcmp(name, "decode") == 0 ? 2 : 1, b->span, &b->replacement, e);
}

static enum status to_char_bind(struct binding *b, struct error *e) {
    struct picture *p;
    TRY(binding_require_count(b, 2, 2, e));
    const struct type *type = b->args[0]->type;
    if (type->id == TYPE_DATE || type->id == TYPE_TIMESTAMP || type->id == TYPE_TIMESTAMP_NTZ)
        return function_call_named(b->arena, b->session, "date_format", b->args, 2, b->span, &b->replacement, e);
    if (type->id == TYPE_BINARY) return binary_bind(b, e);
    if (type->id != TYPE_DECIMAL) {
        bool number = type_is_numeric(type);
        const struct type *to = type->id == TYPE_FLOAT || type->id == TYPE_DOUBLE ? type_decimal(b->arena, 30, 15)
                              : number ? type_decimal(b->arena, 20, 0) : type_decimal(b->arena, 38, 18);
        if (!to) return error_no_memory(e);
        TRY(binding_cast(b, 0, to, e));
    }
    TRY(picture_argument(b, &p, e));
    if (!p) b->replacement = expr_null(b->arena, &type_string);
    if (!p && !b->replacement) return error_no_memory(e);
    b->result = &type_string;
    b->data = p;
    b->arg_count = 1;
    return STATUS_OK;
}

static const struct function functions[] = {
    {"to_number", NULL, kernel_to_number, to_number_bind, FUNCTION_CAN_FAIL, "(text, format): the DECIMAL that a text spells by a format such as '$99,999.00'; an error if it does not match",
     "to_number('$78.12', '$99.99')", "78.12"},
    {"try_to_number", NULL, kernel_to_number, to_number_bind, FUNCTION_MAY_BE_NULL, "(text, format): as to_number, but NULL where the text does not match", "try_to_number('x', '999')", "NULL"},
    {"to_char", NULL, kernel_to_char, to_char_bind, 0, "(value, format): a number by a format such as '99,999.00'; a date by a pattern; BINARY as hex, base64 or utf-8", "to_char(12454, '99,999')", "12,454"},
    {"to_varchar", NULL, kernel_to_char, to_char_bind, 0, "(value, format): the same as to_char", "to_varchar(78.12, '$99.99')", "$78.12"},
};

const struct function_table picture_functions = {functions, sizeof functions / sizeof *functions, "number"};
