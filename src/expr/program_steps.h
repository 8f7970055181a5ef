// SPDX-License-Identifier: Apache-2.0
// program_steps.h: the inside of a program, for its compiler (program.c), its executor (program_run.c) and lambdas (lambda.c).
//
//     a + 1 > 0 AND f(b)       r0 = column a      r3 = column b  ┐ block: run only for rows
//                              r1 = r0 + 1        r4 = f(r3)     ┘ that r2 does not decide
//                              r2 = r1 > 0        r5 = AND r2, block
//
// Registers are columns, one per step. A control step owns blocks: ranges of the same step array that it runs itself for narrowed rows.
// A register computed inside a block is valid for that block's rows only; the compiler forgets it when the block ends.
#pragma once
#include "expr/function.h"
#include "expr/program.h"

enum step_kind {
    STEP_COLUMN,    // input column `ordinal`
    STEP_PARAMETER, // input column `ordinal` of a lambda's body
    STEP_LITERAL,
    STEP_NULL,      // constant NULL of `type`
    STEP_CALL,
    STEP_CAST,
    STEP_FIELD,
    STEP_AND,       // args[0] computed before; blocks[0] gives the right side
    STEP_OR,
    STEP_CASE,      // blocks: when, then, when, then … [else]; the first `when` is args[0], its block empty
    STEP_COALESCE,  // blocks[i]; the first is args[0], its block empty
    STEP_TRY,       // blocks[0]
    STEP_UNLESS_NULL, // args: first arguments of a strict call; blocks[0]: the others and the call, for rows in which no arg is NULL
};

struct block {
    uint32_t begin, end;  // steps
    uint32_t result;      // register
};

// A lambda argument of a call: its body is a program whose inputs are the parameters, then the captured registers.
struct lambda {
    uint32_t arg_index;
    const struct program *body;   // one output
    uint32_t parameter_count;
    uint32_t *captures;           // registers of the program around it
    uint32_t capture_count;
};

struct step {
    enum step_kind kind;
    uint32_t out;                 // register
    const struct type *type;
    struct span span;
    uint32_t *args;               // registers; UINT32_MAX for a lambda
    uint32_t arg_count;
    struct block *blocks;
    uint32_t block_count;
    uint32_t ordinal;             // COLUMN, PARAMETER, FIELD
    bool has_else;                // CASE
    bool total;                   // AND, OR: the block cannot fail nor draw and is cheap: run it for all rows
    bool nullable;
    uint32_t function_flags;      // CALL
    enum cast_mode cast_mode;
    const struct column *literal;
    const struct call *call;
    struct lambda *lambdas;
    uint32_t lambda_count;
};

struct program {
    struct arena *arena;
    struct step *steps;
    uint32_t step_count;
    uint32_t step_capacity;
    uint32_t register_count;
    uint32_t *outputs;            // registers
    const struct type **output_types;
    uint32_t output_count;
    bool draws;
};

// What moves while a program runs; on the stack of program_run, reached from kernels through eval->scratch.
struct frame {
    const struct program *program;
    const struct column *input;
    struct column *registers;
    struct column *flat;          // flattened twin of a register; type NULL: not made yet
    const struct step *step;      // the running call
    struct frame *outer;
};

void run_block(struct frame *f, uint32_t begin, uint32_t end, const struct rows *rows, struct eval *eval);
// Rows of a FLAT column from `begin` on, sharing its memory. `begin` is a multiple of 64.
enum status column_slice(struct arena *a, const struct column *c, uint32_t begin, uint32_t count, struct column *out) WARN_UNUSED;
// An eval for the elements of lists: errors of its own, charged afterwards to outer_rows[element] (UINT16_MAX: to nobody).
void element_eval_begin(struct eval *inner, const struct eval *outer, uint32_t count);
void element_eval_end(struct eval *outer, const struct eval *inner, const uint16_t *outer_rows);
