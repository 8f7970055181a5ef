// SPDX-License-Identifier: Apache-2.0
// leat.h: the story of leat in one page. A map, not an umbrella: nothing includes it.
//
//     users.sql ──► sql/ ──► plan/ ──────────────► exec/ ──────────► connector/ sinks
//                 (text →   (names, types, casts; (operators, state   (SQLite, console …)
//                  trees)    one graph of flows)    per flow)              ▲
//                                                     ▲                    │ commit
//                 connector/ sources ── batches ──────┘      stream/ ──────┘  epochs, log, recovery, ledger
//
// The nouns, bottom up, and who owns what:
//
//   memory, arena, buffer     base/memory.h, arena.h, buffer.h. Every allocation goes through a `struct memory`, which counts and can be told
//                             to fail. Four lifetimes: process, query arena (a parsed and planned text), batch arena, state.
//   column, batch             column/column.h, batch.h. Up to 4,096 rows in columns; reference-counted; immutable once emitted. A batch owns
//                             its arena and holds the message buffers its string views point into.
//   origin                    column/batch.h. Where a row came from: source, partition, offset, row. Dead letters, uuid(), replays depend on it.
//   expression, program       expr/expr.h, program.h. A bound tree in the query arena; compiled to steps; kernels compute columns.
//   function, aggregate       expr/function.h, aggregate.h. One table line each: signature, kernel, doc, example.
//   unresolved, plan node     plan/unresolved.h, plan.h. What was written; what it means. Equal stateless sub-plans of flows are one node.
//   source, sink, store       plan/source.h, sink.h. The contracts of connectors. A store is what commits at once and remembers its epoch.
//   dataset, flow, pipeline   plan/plan.h. A table or view; a query that feeds one; a file, understood.
//   execution, worker         exec/exec.h. A plan, running: state and counters live here, the plan stays read-only.
//   intent, epoch, journal    stream/record.h, journal.h. What an epoch reads is durable before its first effect; the journal adds up to the
//                             durable state; a crash at any instant is repaired by running the open intent again.
//   ledger                    exec/exec.h, stream/ledger.c. Every row into an operator has exactly one fate.
//
// The life of a batch: a worker takes a split (a morsel of the intent), the source reads it into batches; each is pushed along the graph
// to every flow that runs: projected, filtered (a selection narrows, nothing is copied), aggregated into the worker's partials. Rows that
// fail go to leat_dead. When all splits are read, partials are merged by key partition, changed groups come out as −1/+1 rows, are
// consolidated to one upsert or delete per key, and written. Then stores commit: the catalog, the others, the log.
//
// Where to start reading: cli/run.c → stream/stream.c (the loop) → stream/epoch.c (one epoch) → exec/run.c → exec/aggregate.c;
// for SQL: sql/parser.c → plan/pipeline.c → plan/resolve_query.c → expr/function.c.
#pragma once
