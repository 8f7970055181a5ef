// SPDX-License-Identifier: Apache-2.0
// secret.h: what of a text of statements may be shown or kept: everything but the values of options that are secrets.
//
// It is looked for in the text itself, by the names of options (option_hides), so that a text which cannot be parsed is covered too:
//
//     OPTIONS (url 'https://ada:hunter2@example.org/a?key=1234&n=5', password 'hunter2')      is shown as
//     OPTIONS (url 'https://…:…@example.org/a?key=…&n=…', password '…')
//
// A value that is a placeholder and nothing else (`${env:NAME}`) hides nothing. Where quotes do not fit, more is hidden rather than less.
#pragma once
#include "base/arena.h"
#include "base/status.h"

// Bytes of a hidden piece of text: the first one, the others.
enum { SECRET_FIRST = 1, SECRET_REST = 2 };

// In place: what is secret becomes SECRET_FIRST and SECRET_REST, a byte for each; line breaks stay.
void secrets_mark(char *text, size_t size_bytes);
// Bytes [begin, end) of the text, `…` for each piece that is secret. In the arena; NULL: no memory.
const char *secrets_hidden(struct arena *a, const char *text, size_t size_bytes, size_t begin, size_t end) WARN_UNUSED;
// Of one value of an option that is no secret as a whole: does it hold one (a URL with a password)?
bool secret_in_value(const char *value);
