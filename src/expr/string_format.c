// SPDX-License-Identifier: Apache-2.0
// string_format.c: format_string (printf), as java.util.Formatter does it.
//
//     % [index$] [flags] [width] [.precision] conversion        flags  - # + blank 0 , (
//
// Conversions: d x o (integers; x and o of negative ones in the width of their type), e f g (FLOAT and DOUBLE; not DECIMAL, as in Spark), s b c h, %%
// and %n; capitals give capitals. Rounding is HALF_UP over the shortest digits that read back the value. A conversion that does not fit
// its argument fails the row. format_number is in string_number.c.
#include "column/number_text.h"
#include "column/value.h"
#include "expr/functions.h"
#include "expr/hash.h"
#include "expr/string_text.h"
#include <math.h>

enum { FORMAT_WIDTH_MAX = 1000000, FORMAT_PRECISION_MAX = 340, GROUPED_DIGITS_MAX = 760 };

struct specification {
    uint32_t index;              // of the argument; 0: the next
    bool left, plus, blank, zero, comma, parentheses, alternate, upper, again;
    int32_t width, precision;    // −1: none
    char conversion;
};

struct format_row {
    const struct column *const *args;
    uint32_t arg_count, row;
    struct eval *eval;
    struct buffer *out;
    const char *problem;         // why the row fails; NULL: nothing wrong
    bool no_memory;
};

static void put(struct format_row *f, const char *bytes, size_t size_bytes) {
    if (size_bytes && buffer_append(f->out, bytes, size_bytes) != STATUS_OK) f->no_memory = true;
}

static void put_repeated(struct format_row *f, char c, int64_t times) {
    for (; times > 0 && !f->no_memory; times--) put(f, &c, 1);
}

static void put_padded(struct format_row *f, const struct specification *s, const char *bytes, size_t size_bytes) {
    int64_t missing = s->width - (int64_t)utf8_length(bytes, size_bytes);
    if (!s->left) put_repeated(f, ' ', missing);
    put(f, bytes, size_bytes);
    if (s->left) put_repeated(f, ' ', missing);
}

static void upper_ascii(char *bytes, size_t size_bytes) {
    for (size_t i = 0; i < size_bytes; i++)
        if (bytes[i] >= 'a' && bytes[i] <= 'z') bytes[i] = (char)(bytes[i] - 32);
}

// Writes digits (with a "." perhaps), grouped by commas before the point if asked for. Returns the length.
static size_t group_digits(const char *digits, size_t size_bytes, bool comma, char *out) {
    size_t whole = 0, used = 0;
    while (whole < size_bytes && digits[whole] >= '0' && digits[whole] <= '9') whole++;
    for (size_t i = 0; i < size_bytes; i++) {
        if (comma && i && i < whole && (whole - i) % 3 == 0) out[used++] = ',';
        out[used++] = digits[i];
    }
    return used;
}

// A number of digits with its sign, flags and width.
static void put_number(struct format_row *f, const struct specification *s, bool negative, const char *digits, size_t size_bytes, bool zero_allowed) {
    char grouped[1024];
    if (size_bytes > GROUPED_DIGITS_MAX) size_bytes = GROUPED_DIGITS_MAX;
    size_t length = group_digits(digits, size_bytes, s->comma, grouped);
    const char *sign = negative ? (s->parentheses ? "(" : "-") : s->plus ? "+" : s->blank ? " " : "";
    int64_t missing = s->width - (int64_t)length - (int64_t)strlen(sign) - (negative && s->parentheses);
    bool zeros = s->zero && zero_allowed;
    if (!s->left && !zeros) put_repeated(f, ' ', missing);
    put(f, sign, strlen(sign));
    if (zeros) put_repeated(f, '0', missing);
    if (s->upper) upper_ascii(grouped, length);
    put(f, grouped, length);
    if (negative && s->parentheses) put(f, ")", 1);
    if (s->left) put_repeated(f, ' ', missing);
}

static bool integer_argument(const struct column *c, uint32_t row, int64_t *value, int *bits) {
    switch (c->type->id) {
    case TYPE_TINYINT: *value = column_int8(c, row); *bits = 8; return true;
    case TYPE_SMALLINT: *value = column_int16(c, row); *bits = 16; return true;
    case TYPE_INT:
    case TYPE_DATE: *value = column_int32(c, row); *bits = 32; return true;
    case TYPE_BIGINT:
    case TYPE_TIMESTAMP:
    case TYPE_TIMESTAMP_NTZ: *value = column_int64(c, row); *bits = 64; return true;
    default: return false;
    }
}

static void format_integer(struct format_row *f, const struct specification *s, const struct column *c) {
    int64_t value = 0;
    int bits = 64;
    if (!integer_argument(c, f->row, &value, &bits)) {
        f->problem = "An argument of format_string does not fit its conversion";
        return;
    }
    char digits[32];
    if (s->conversion == 'd') {
        uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        int length = snprintf(digits, sizeof digits, "%llu", (unsigned long long)magnitude);
        put_number(f, s, value < 0, digits, (size_t)length, true);
        return;
    }
    uint64_t pattern = bits == 64 ? (uint64_t)value : (uint64_t)value & ((1ull << bits) - 1);
    int length = snprintf(digits, sizeof digits, s->conversion == 'x' ? (s->alternate ? "%#llx" : "%llx") : (s->alternate ? "%#llo" : "%llo"),
                          (unsigned long long)pattern);
    struct specification plain = *s;
    plain.comma = plain.plus = plain.blank = plain.parentheses = false;
    put_number(f, &plain, false, digits, (size_t)length, true);
}

// The shortest digits of |value| as d.ddd × 10^exponent: `digits` without the point. Returns their number.
static int shortest_digits(double value, bool is_float, char *digits, int *exponent) {
    char text[NUMBER_TEXT_MAX + 1];
    size_t length = is_float ? print_float((float)value, text) : print_double(value, text);
    text[length] = 0;
    int count = 0, point = -1, shift = 0;
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '.') point = count;
        else if (text[i] == 'E') {
            shift = (int)strtol(text + i + 1, NULL, 10);
            break;
        } else if (text[i] >= '0' && text[i] <= '9') digits[count++] = text[i];
    }
    if (point < 0) point = count;
    int leading = 0;
    while (leading < count - 1 && digits[leading] == '0') leading++;
    memmove(digits, digits + leading, (size_t)(count - leading));
    count -= leading;
    *exponent = point - leading - 1 + shift;
    while (count > 1 && digits[count - 1] == '0') count--;
    return count;
}

// Rounds HALF_UP to `keep` digits (which may be ≤ 0); a carry makes one more. Returns the number of digits.
static int round_digits(char *digits, int count, int keep, int *exponent) {
    if (keep >= count) return count;
    bool up = keep >= 0 && digits[keep] >= '5';
    if (keep < 0) keep = 0, up = false;
    int at = keep;
    while (up && at > 0) {
        if (digits[at - 1] != '9') {
            digits[at - 1]++;
            return keep;
        }
        digits[--at] = '0';
    }
    if (!up) return keep;
    memmove(digits + 1, digits, (size_t)keep);
    digits[0] = '1';
    (*exponent)++;
    return keep + 1;
}

static size_t write_fixed(char *digits, int count, int exponent, int precision, char *out) {
    count = round_digits(digits, count, exponent + 1 + precision, &exponent);
    size_t used = 0;
    for (int place = exponent < 0 || !count ? 0 : exponent; place >= -precision; place--) {
        if (place == -1) out[used++] = '.';
        int index = exponent - place;
        out[used++] = index >= 0 && index < count ? digits[index] : '0';
    }
    return used;
}

static size_t write_scientific(char *digits, int count, int exponent, int precision, char *out) {
    if (digits[0] == '0') exponent = 0;
    count = round_digits(digits, count, precision + 1, &exponent);
    size_t used = 0;
    for (int i = 0; i <= precision; i++) {
        if (i == 1) out[used++] = '.';
        out[used++] = i < count ? digits[i] : '0';
    }
    return used + (size_t)snprintf(out + used, 8, "e%c%02d", exponent < 0 ? '-' : '+', exponent < 0 ? -exponent : exponent);
}

static void format_float(struct format_row *f, const struct specification *s, const struct column *c) {
    bool is_float = c->type->id == TYPE_FLOAT;
    if (!is_float && c->type->id != TYPE_DOUBLE) {
        f->problem = "An argument of format_string does not fit its conversion";
        return;
    }
    double value = is_float ? column_float(c, f->row) : column_double(c, f->row);
    bool negative = signbit(value) && !isnan(value);
    if (isnan(value) || isinf(value)) {
        struct specification plain = *s;
        plain.comma = false;
        if (isnan(value)) plain.plus = plain.blank = plain.parentheses = false;
        put_number(f, &plain, negative, isnan(value) ? "NaN" : "Infinity", isnan(value) ? 3 : 8, false);
        return;
    }
    char digits[NUMBER_TEXT_MAX + 2], text[NUMBER_TEXT_MAX + 2 * FORMAT_PRECISION_MAX + 330];
    int exponent, precision = s->precision < 0 ? 6 : s->precision;
    int count = shortest_digits(fabs(value), is_float, digits, &exponent);
    size_t length;
    if (s->conversion == 'f') {
        length = write_fixed(digits, count, exponent, precision, text);
    } else if (s->conversion == 'e') {
        length = write_scientific(digits, count, exponent, precision, text);
    } else {
        // g: `precision` significant digits; plain between 10^-4 and 10^precision, judged after rounding
        if (precision == 0) precision = 1;
        int rounded = exponent;
        count = round_digits(digits, count, precision, &rounded);
        bool plain = value == 0 || (rounded >= -4 && rounded < precision);
        if (plain) length = write_fixed(digits, count, value == 0 ? 0 : rounded, value == 0 ? precision - 1 : precision - 1 - rounded, text);
        else length = write_scientific(digits, count, rounded, precision - 1, text);
    }
    put_number(f, s, negative, text, length, true);
}

static void put_text(struct format_row *f, const struct specification *s, struct text t) {
    if (s->precision >= 0) t.size_bytes = utf8_offset(t.bytes, t.size_bytes, (size_t)s->precision);
    if (!s->upper) {
        put_padded(f, s, t.bytes, t.size_bytes);
        return;
    }
    char *copy = eval_alloc(f->eval, t.size_bytes + 1);
    if (!copy) return;
    if (t.size_bytes) memcpy(copy, t.bytes, t.size_bytes);
    upper_ascii(copy, t.size_bytes);
    put_padded(f, s, copy, t.size_bytes);
}

static void format_text(struct format_row *f, const struct specification *s, const struct column *c) {
    // Java sees a date or a timestamp as the number it is inside.
    int64_t value;
    int bits;
    char number[24];
    if (integer_argument(c, f->row, &value, &bits)) {
        put_text(f, s, (struct text){number, print_int64(value, number)});
        return;
    }
    struct buffer text;
    buffer_init(&text, f->eval->memory);
    if (value_print(c, f->row, f->eval->session ? f->eval->session->zone : NULL, &text) != STATUS_OK) f->no_memory = true;
    else put_text(f, s, (struct text){text.size_bytes ? (const char *)text.data : "", text.size_bytes});
    buffer_release(&text);
}

static void format_character(struct format_row *f, const struct specification *s, const struct column *c) {
    int64_t value;
    int bits;
    if (!integer_argument(c, f->row, &value, &bits) || value < 0 || value > 0x10FFFF) {
        f->problem = "An argument of format_string is no character";
        return;
    }
    char bytes[4];
    put_text(f, s, (struct text){bytes, utf8_encode((uint32_t)value, bytes)});
}

static void format_hash(struct format_row *f, const struct specification *s, const struct column *c) {
    char text[12];
    int64_t value;
    int bits;
    uint32_t hash;
    if (type_is_text(c->type)) {
        struct text t = text_at(c, f->row);
        hash = (uint32_t)spark_string_hash(t.bytes, t.size_bytes);
    } else if (integer_argument(c, f->row, &value, &bits)) {
        hash = bits == 64 ? (uint32_t)((uint64_t)value ^ (uint64_t)value >> 32) : (uint32_t)value;
    } else {
        f->problem = "format_string knows %h for strings and integers only";
        return;
    }
    int length = snprintf(text, sizeof text, "%x", (unsigned)hash);
    put_text(f, s, (struct text){text, (size_t)length});
}

static void format_argument(struct format_row *f, const struct specification *s, const struct column *c) {
    bool is_null = !column_is_valid(c, f->row);
    if (s->conversion == 'b') {
        bool is_true = !is_null && (c->type->id != TYPE_BOOLEAN || column_bool(c, f->row));
        put_text(f, s, text_of(is_true ? "true" : "false"));
        return;
    }
    if (is_null) {
        put_text(f, s, text_of("null"));
        return;
    }
    switch (s->conversion) {
    case 'd': case 'x': case 'o': format_integer(f, s, c); break;
    case 'e': case 'f': case 'g': format_float(f, s, c); break;
    case 's': format_text(f, s, c); break;
    case 'c': format_character(f, s, c); break;
    default: format_hash(f, s, c);
    }
}

static int32_t parse_count(const char **s, const char *end) {
    int64_t value = 0;
    while (*s < end && **s >= '0' && **s <= '9' && value <= FORMAT_WIDTH_MAX) value = value * 10 + (*(*s)++ - '0');
    return (int32_t)value;
}

// Reads a specification after its "%". False: it is none.
static bool parse_specification(const char **text, const char *end, struct specification *out) {
    const char *s = *text;
    *out = (struct specification){.width = -1, .precision = -1};
    const char *digits = s;
    int32_t number = s < end && *s != '0' ? parse_count(&s, end) : 0;
    if (s < end && *s == '$' && number > 0) {
        out->index = (uint32_t)number;
        s++;
    } else {
        s = digits;
    }
    for (bool more = true; more && s < end; s += more) {
        switch (*s) {
        case '-': out->left = true; break;
        case '#': out->alternate = true; break;
        case '+': out->plus = true; break;
        case ' ': out->blank = true; break;
        case '0': out->zero = true; break;
        case ',': out->comma = true; break;
        case '(': out->parentheses = true; break;
        case '<': out->again = true; break;
        default: more = false;
        }
    }
    if (s < end && *s >= '1' && *s <= '9') out->width = parse_count(&s, end);
    if (s < end && *s == '.') {
        s++;
        if (s == end || *s < '0' || *s > '9') return false;
        out->precision = parse_count(&s, end);
    }
    if (s == end || out->width > FORMAT_WIDTH_MAX || out->precision > FORMAT_PRECISION_MAX) return false;
    out->conversion = *s++;
    if (strchr("XESGBCH", out->conversion) && out->conversion) {
        out->upper = true;
        out->conversion = (char)(out->conversion + 32);
    }
    *text = s;
    return out->conversion && strchr("dxoefgsbch%n", out->conversion) && !((out->left || out->zero) && out->width < 0) && !(out->left && out->zero) &&
           !(out->plus && out->blank);
}

static void format_row(struct format_row *f, struct text format) {
    const char *s = format.bytes, *end = s + format.size_bytes;
    uint32_t next = 1, last = 0;
    while (s < end && !f->problem && !f->no_memory) {
        const char *percent = memchr(s, '%', (size_t)(end - s));
        if (!percent) percent = end;
        put(f, s, (size_t)(percent - s));
        if (percent == end) break;
        s = percent + 1;
        struct specification spec;
        if (!parse_specification(&s, end, &spec)) {
            f->problem = "The format has a specification that is not valid";
        } else if (spec.conversion == 'n') {
            put(f, "\n", 1);
        } else if (spec.conversion == '%') {
            put_padded(f, &spec, "%", 1);
        } else {
            uint32_t index = spec.again ? last : spec.index ? spec.index : next++;
            last = index;
            if (!index || index >= f->arg_count) f->problem = "The format asks for an argument that is not there";
            else format_argument(f, &spec, f->args[index]);
        }
    }
}

static void kernel_format_string(const struct column *const *args, struct column *out, const struct rows *rows, struct eval *eval) {
    struct buffer text;
    buffer_init(&text, eval->memory);
    for (uint32_t i = 0; i < rows->count && eval->status == STATUS_OK; i++) {
        uint32_t row = rows_at(rows, i);
        if (!column_is_valid(args[0], row)) {
            out_set_null(out, row);
            continue;
        }
        buffer_clear(&text);
        struct format_row f = {.args = args, .arg_count = variadic_count(eval), .row = row, .eval = eval, .out = &text};
        format_row(&f, text_at(args[0], row));
        if (f.no_memory) eval->status = STATUS_NO_MEMORY;
        else if (f.problem) eval_fail(eval, row, "INVALID_PARAMETER_VALUE", f.problem);
        else out_set_string(out, row, text.size_bytes ? (const char *)text.data : "", text.size_bytes, eval);
    }
    buffer_release(&text);
}

static enum status format_string_bind(struct binding *b, struct error *e) {
    TRY(binding_require_count(b, 1, UINT32_MAX, e));
    bool nullable = b->args[0]->nullable;
    TRY(binding_cast(b, 0, &type_string, e));
    b->result = &type_string;
    b->nullable = nullable;
    return variadic_bind(b, e);
}

static const struct function format_list[] = {
    {"format_string", "(STRING, ANY...) -> STRING", kernel_format_string, format_string_bind, FUNCTION_HANDLES_NULL | FUNCTION_CAN_FAIL,
     "The arguments in the places of a printf format", "format_string('Hello World %d %s', 100, 'days')", "Hello World 100 days"},
    {"printf", "(STRING, ANY...) -> STRING", kernel_format_string, format_string_bind, FUNCTION_HANDLES_NULL | FUNCTION_CAN_FAIL,
     "The arguments in the places of a printf format", "printf('%05d', 42)", "00042"},
};

const struct function_table format_functions = {format_list, sizeof format_list / sizeof format_list[0], "string"};
