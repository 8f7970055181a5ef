// SPDX-License-Identifier: Apache-2.0
// control.h: the control socket of a running pipeline: DIR/leat.sock, for this user alone.
//
//     client: one line ("progress\n")  ─►  leat: one JSON document and a newline  ─►  end of the connection
//
// A thread of its own serves at most 16 connections at a time, each for seconds, and never waits for one of them: whoever connects can
// neither stop nor slow the pipeline. The caller holds the folder's lock, so a socket that is there already is a crashed run's.
#pragma once
#include "base/buffer.h"
#include "base/log.h"

struct control;

// Appends the answer to a request, a JSON document without newline. STATUS_NOT_FOUND: there is no such request. Called by the control thread.
typedef enum status (*control_answer)(void *context, const char *request, struct buffer *out);

enum status control_start(const char *folder, control_answer answer, void *context, struct memory *memory, struct log *log, struct control **out,
                          struct error *e) WARN_UNUSED;
void control_stop(struct control *c);  // ends the thread and removes the socket; NULL is allowed
