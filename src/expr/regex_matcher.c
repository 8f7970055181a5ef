// SPDX-License-Identifier: Apache-2.0
// regex_matcher.c: see regex_matcher.h. PCRE2's memory comes from the eval's handle through a general context; blocks carry their size in
// front, since PCRE2 does not tell it when it frees.
#include "expr/regex_matcher.h"

enum {
    BLOCK_HEADER = 16,
    JIT_ROWS = 32,                    // fewer rows do not pay for compiling to machine code
    JIT_STACK_MIN = 32 * 1024,
    JIT_STACK_MAX = 1024 * 1024,
    PATTERN_MAX_BYTES = 64 * 1024,
    COMPILE_OPTIONS = PCRE2_UTF | PCRE2_MATCH_INVALID_UTF | PCRE2_NEVER_BACKSLASH_C,
};

static void *regex_alloc(size_t size_bytes, void *memory) {
    uint8_t *block = memory_alloc(memory, size_bytes + BLOCK_HEADER);
    if (!block) return NULL;
    memcpy(block, &size_bytes, sizeof size_bytes);
    return block + BLOCK_HEADER;
}

static void regex_free(void *pointer, void *memory) {
    if (!pointer) return;
    uint8_t *block = (uint8_t *)pointer - BLOCK_HEADER;
    size_t size_bytes;
    memcpy(&size_bytes, block, sizeof size_bytes);
    memory_free(memory, block, size_bytes + BLOCK_HEADER);
}

void matcher_init(struct matcher *m, struct eval *eval, uint32_t row_count) { *m = (struct matcher){.eval = eval, .row_count = row_count}; }

static void matcher_drop_code(struct matcher *m) {
    if (m->match_data) pcre2_match_data_free(m->match_data);
    if (m->code) pcre2_code_free(m->code);
    m->match_data = NULL;
    m->code = NULL;
}

void matcher_release(struct matcher *m) {
    matcher_drop_code(m);
    if (m->jit_stack) pcre2_jit_stack_free(m->jit_stack);
    if (m->match_context) pcre2_match_context_free(m->match_context);
    if (m->general) pcre2_general_context_free(m->general);
    m->jit_stack = NULL;
    m->match_context = NULL;
    m->general = NULL;
}

// NULL: the pattern is wrong, or memory was refused (then *no_memory).
static pcre2_code *compile(pcre2_general_context *general, struct memory *memory, struct text pattern, bool *no_memory) {
    *no_memory = false;
    if (pattern.size_bytes > PATTERN_MAX_BYTES) return NULL;
    struct buffer translated;
    buffer_init(&translated, memory);
    pcre2_code *code = NULL;
    pcre2_compile_context *context = pcre2_compile_context_create(general);
    if (context && regex_translate(pattern, &translated)) {
        pcre2_set_newline(context, PCRE2_NEWLINE_ANYCRLF);
        int problem;
        PCRE2_SIZE place;
        const uint8_t *bytes = translated.size_bytes ? translated.data : (const uint8_t *)"";
        code = pcre2_compile(bytes, translated.size_bytes, COMPILE_OPTIONS, &problem, &place, context);
        *no_memory = !code && problem == PCRE2_ERROR_HEAP_FAILED;
    }
    if (!context) *no_memory = true;
    if (context) pcre2_compile_context_free(context);
    buffer_release(&translated);
    return code;
}

static bool matcher_no_memory(struct matcher *m) {
    m->eval->status = STATUS_NO_MEMORY;
    return false;
}

static bool matcher_begin(struct matcher *m) {
    if (m->general) return true;
    m->general = pcre2_general_context_create(regex_alloc, regex_free, m->eval->memory);
    if (!m->general) return matcher_no_memory(m);
    m->match_context = pcre2_match_context_create(m->general);
    if (!m->match_context) return matcher_no_memory(m);
    uint32_t limit = m->eval->session ? m->eval->session->regex_match_limit : 0;
    if (limit) pcre2_set_match_limit(m->match_context, limit);
    return true;
}

bool matcher_use(struct matcher *m, struct text pattern, uint32_t row) {
    if (!m->code && !m->is_broken && !matcher_begin(m)) return false;
    if ((!m->code && !m->is_broken) || !text_equal(m->pattern, pattern)) {
        matcher_drop_code(m);
        bool no_memory;
        m->pattern = pattern;
        m->code = compile(m->general, m->eval->memory, pattern, &no_memory);
        if (no_memory) return matcher_no_memory(m);
        m->is_broken = !m->code;
        if (m->code) {
            m->match_data = pcre2_match_data_create_from_pattern(m->code, m->general);
            if (!m->match_data) return matcher_no_memory(m);
            pcre2_pattern_info(m->code, PCRE2_INFO_CAPTURECOUNT, &m->group_count);
            // A pattern that JIT cannot do is interpreted.
            if (m->row_count >= JIT_ROWS && pcre2_jit_compile(m->code, PCRE2_JIT_COMPLETE) == 0 && !m->jit_stack) {
                m->jit_stack = pcre2_jit_stack_create(JIT_STACK_MIN, JIT_STACK_MAX, m->general);
                if (m->jit_stack) pcre2_jit_stack_assign(m->match_context, NULL, m->jit_stack);
            }
        }
    }
    if (!m->is_broken) return true;
    eval_fail_value(m->eval, row, "INVALID_PARAMETER_VALUE.PATTERN", "The regular expression is not valid", pattern.bytes, pattern.size_bytes);
    return false;
}

int matcher_find(struct matcher *m, struct text subject, size_t from, uint32_t row) {
    if (from > subject.size_bytes) return 0;
    int found = pcre2_match(m->code, (const uint8_t *)subject.bytes, subject.size_bytes, from, 0, m->match_data, m->match_context);
    if (found >= 0) return 1;
    if (found == PCRE2_ERROR_NOMATCH) return 0;
    if (found == PCRE2_ERROR_NOMEMORY) {
        m->eval->status = STATUS_NO_MEMORY;
    } else {
        eval_fail(m->eval, row, "LEAT_LIMIT_EXCEEDED", "The regular expression takes more steps than the limit of a match");
    }
    return -1;
}

bool matcher_group(const struct matcher *m, uint32_t group, size_t *begin, size_t *end) {
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(m->match_data);
    if (group >= pcre2_get_ovector_count(m->match_data) || places[2 * group] == PCRE2_UNSET) return false;
    *begin = places[2 * group];
    *end = places[2 * group + 1];
    return *begin <= *end;  // \K in a lookahead may turn them round
}

size_t matcher_next(const struct matcher *m, struct text subject) {
    const PCRE2_SIZE *places = pcre2_get_ovector_pointer(m->match_data);
    size_t end = places[1] > places[0] ? places[1] : places[0];
    if (places[1] > places[0]) return end;
    if (end >= subject.size_bytes) return subject.size_bytes + 1;
    size_t length;
    utf8_decode(subject.bytes + end, subject.size_bytes - end, &length);
    return end + length;
}

enum status matcher_check(struct binding *b, uint32_t index, struct error *e) {
    if (!expr_is_constant(b->args[index])) return STATUS_OK;
    const struct column *constant;
    TRY(binding_constant(b, index, &constant, e));
    if (!constant || !column_is_valid(constant, 0)) return STATUS_OK;
    const struct string_view *v = column_string(constant, 0);
    struct memory *memory = b->arena->memory;
    pcre2_general_context *general = pcre2_general_context_create(regex_alloc, regex_free, memory);
    if (!general) return error_no_memory(e);
    bool no_memory;
    pcre2_code *code = compile(general, memory, (struct text){string_view_data(v), v->size_bytes}, &no_memory);
    bool is_fine = code != NULL;
    if (code) pcre2_code_free(code);
    pcre2_general_context_free(general);
    if (is_fine) return STATUS_OK;
    if (no_memory) return error_no_memory(e);
    return binding_value_error(b, index, "INVALID_PARAMETER_VALUE.PATTERN", "the regular expression is not valid", e);
}
