// SPDX-License-Identifier: Apache-2.0
// program_control.h: the steps that decide for which rows others run: AND, OR, CASE, COALESCE, TRY, UNLESS_NULL.
#pragma once
#include "program_steps.h"

void control_logic(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval);
void control_case(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval);
void control_coalesce(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval);
void control_try(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval);
void control_unless_null(struct frame *f, const struct step *s, const struct rows *rows, struct eval *eval);
