# SPDX-License-Identifier: Apache-2.0
"""Order independence: events out of order, but within the watermark's delay, cut into files, tables and runs anywhere.

After an event far in the future has closed every window, a streaming table holds what the batch query says over the same rows, a
materialized view of the same query what it says over all rows, and nothing was late. One seed is one query over its own tables, sometimes
with a second flow over the same tables and a longer delay; ten seeds share a pipeline file, and so a process. Threads are others in each run.
"""
import datetime
import json
import os
import random

from cases import write_lines
from engine import Pipeline, expect

EPOCH = datetime.datetime(2024, 3, 1)
CLOSING = datetime.datetime(2024, 5, 1)  # beyond every window, and in the past of every clock
PER_PIPELINE = 10
NO_VIEW = {"chained"}  # a view over a result that changes; nor a view over two streams' join
FIRST_FILE_TIME = 1704067200


def select(name, rows, columns):
    return f"SELECT '{name}' AS name, array({', '.join(f'CAST({c} AS STRING)' for c in columns)}) AS cells FROM {rows};"


def text_of(time):
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


class Question:
    """What one seed asks: a query with {rows}, or {left} and {right}, for where its rows come from, the events, and their way into files and runs."""

    def __init__(self, seed, kinds=None):
        self.seed, self.random = seed, random.Random(f"order {seed}")
        self.sources = self.random.randint(1, 4)
        self.delay = self.random.choice([0, 1, 2, 5, 10, 60])
        self.runs = self.random.randint(1, 3)
        self.size = self.random.choice([1, 2, 3, 5, 7, 10, 30, 60])
        self.slide = self.random.randint(1, self.size)
        self.offset = self.random.randint(0, self.slide - 1) if self.slide > 1 else 0
        choices = [(kind, *query) for kind, query in sorted(self.queries().items()) if not kinds or kind in kinds]
        self.kind, self.query, self.columns = self.random.choice(choices)
        self.twin = self.random.choice([c for c in choices if c[0].startswith("join") == self.is_join()]) if self.random.random() < 0.3 else None
        # A row as old as the watermark is late for a join and for its own instant, and the session it would have joined at its end is gone.
        if self.is_join() or {"group_by_time", "session"} & {self.kind, self.twin and self.twin[0]}:
            self.delay = max(self.delay, 1)
        self.has_view = self.kind not in NO_VIEW and not self.is_join() and self.random.random() < 0.5
        self.files_per_trigger = self.random.choice([1, 1, 2, 1000])
        if self.is_join():
            self.sources = max(self.sources, 2)
        self.events = [self.make_events() for _ in range(self.sources)]

    def is_join(self):
        return self.kind.startswith("join")

    def joins(self):
        """Two streams by key and by how far apart their times are."""
        before, after = self.random.randint(0, 5), self.random.randint(0, 20)
        on = f"a.k = b.k AND b.ts BETWEEN a.ts - INTERVAL {before} SECONDS AND a.ts + INTERVAL {after} SECONDS"
        columns = "a.k AS k, a.v AS v, a.ts AS ts, b.k AS bk, b.v AS bv, b.ts AS bts"
        named = ["k", "v", "ts", "bk", "bv", "bts"]
        made = {f"join_{kind.split()[0].lower()}": (f"SELECT {columns} FROM {{left}} AS a {kind} JOIN {{right}} AS b ON {on}", named)
                for kind in ("INNER", "LEFT", "RIGHT", "FULL")}
        for kind in ("INNER", "LEFT"):
            made[f"join_{kind.lower()}_counted"] = (
                "SELECT window.start AS s, k, count(*) AS n, count(bk) AS matched FROM (SELECT a.k AS k, a.ts AS ts, b.k AS bk FROM {left} AS a "
                f"{kind} JOIN {{right}} AS b ON {on}) GROUP BY window(ts, '{self.size} seconds'), k", ["s", "k", "n", "matched"])
        made["join_semi"] = (f"SELECT k, v, ts FROM {{left}} AS a LEFT SEMI JOIN {{right}} AS b ON {on}", ["k", "v", "ts"])
        return made

    def queries(self):
        tumbling = f"window(ts, '{self.size} seconds')"
        sliding = f"window(ts, '{self.size} seconds', '{self.slide} seconds', '{self.offset} seconds')"
        aggregates = "count(*) AS n, sum(v) AS total, min(v) AS low, max(v) AS high, avg(v) AS mean"
        named = ["n", "total", "low", "high", "mean"]
        return {
            **self.joins(),
            "tumbling": (f"SELECT window.start AS s, window.end AS e, k, {aggregates} FROM {{rows}} GROUP BY {tumbling}, k", ["s", "e", "k", *named]),
            "sliding": (f"SELECT window.start AS s, window.end AS e, {aggregates} FROM {{rows}} GROUP BY {sliding}", ["s", "e", *named]),
            "having": (f"SELECT window.start AS s, k, {aggregates} FROM {{rows}} GROUP BY {sliding}, k HAVING count(*) > 1", ["s", "k", *named]),
            "distinct": (f"SELECT DISTINCT {sliding} AS w, k FROM {{rows}}", ["w", "k"]),
            "different": (f"SELECT window.start AS s, count(DISTINCT v) AS d, sort_array(collect_set(k)) AS ks FROM {{rows}} GROUP BY {tumbling}",
                          ["s", "d", "ks"]),
            "group_by_time": ("SELECT ts, k, count(*) AS n FROM {rows} GROUP BY ts, k", ["ts", "k", "n"]),
            "filtered": (f"SELECT window.start AS s, k, sum(v) AS total FROM {{rows}} WHERE v % 3 <> 0 GROUP BY {sliding}, k", ["s", "k", "total"]),
            "chained": (f"SELECT window(w, '{3 * self.size} seconds').start AS s, sum(n) AS total, count(*) AS groups, max(n) AS most FROM "
                        f"(SELECT {tumbling} AS w, k, count(*) AS n FROM {{rows}} GROUP BY 1, k) GROUP BY window(w, '{3 * self.size} seconds')",
                        ["s", "total", "groups", "most"]),
            "session": (f"SELECT session_window.start AS s, session_window.end AS e, k, {aggregates} FROM {{rows}} "
                        f"GROUP BY session_window(ts, '{self.size} seconds'), k", ["s", "e", "k", *named]),
        }

    def make_events(self):
        """Events of one table in order of arrival: none is as late as the delay behind the latest before it."""
        events = []
        span = self.random.choice([10, 60, 600])
        most = 40 if self.is_join() else self.random.choice([120] * 60 + [20000])
        for _ in range(self.random.randint(most // 20, most)):
            time = EPOCH + datetime.timedelta(seconds=self.random.randint(0, span), microseconds=self.random.choice([0, 0, 1, 500000, 999999]))
            wait = datetime.timedelta(microseconds=self.random.randint(0, max(self.delay * 1000000 - 1000, 0)))
            event = {"k": self.random.choice(["a", "b", "c", None, ""]), "v": self.random.choice([None, *range(-3, 9)]), "ts": text_of(time)}
            events.append((time + wait, event))
        for _ in range(self.random.choice([0, 0, 0 if self.is_join() else 2])):
            events.append((EPOCH + datetime.timedelta(seconds=self.random.randint(0, span)), {"k": "none", "v": 1, "ts": None}))
        return [event for _, event in sorted(events, key=lambda e: e[0])]

    def table(self, source):
        return f"s{self.seed}_{source}"

    def tables(self, folder, files_per_trigger):
        return [f"CREATE TABLE {self.table(i)} (k STRING, v INT, ts TIMESTAMP) USING json OPTIONS (path '{os.path.join(folder, self.table(i))}', "
                f"maxFilesPerTrigger '{files_per_trigger}');" for i in range(self.sources)]

    def text(self, each, query=None):
        """The query, with `each` for how a table is read."""
        parts = [f"SELECT k, v, ts FROM {each.format(table=self.table(i))}" for i in range(self.sources)]
        rows, left, right = ("(" + " UNION ALL ".join(some) + ")" for some in (parts, parts[0::2], parts[1::2]))
        return (query or self.query).format(rows=rows, left=left, right=right)

    def flows(self):
        """(table, kind of table, query, columns, delay), for each flow of this seed."""
        made = [(f"o{self.seed}", "STREAMING TABLE", self.query, self.columns, self.delay)]
        if self.has_view:
            made.append((f"v{self.seed}", "MATERIALIZED VIEW", self.query, self.columns, self.delay))
        if self.twin:
            made.append((f"t{self.seed}", "STREAMING TABLE", self.twin[1], self.twin[2], self.delay + 7))
        return made

    def pipeline(self):
        made = self.tables("in", self.files_per_trigger)
        for table, kind, query, _, delay in self.flows():
            each = f"{'STREAM ' if kind == 'STREAMING TABLE' else ''}{{table}} WATERMARK ts DELAY OF INTERVAL {delay} SECONDS"
            made.append(f"CREATE {kind} {table} AS {self.text(each, query)};")
        return made

    def results(self):
        return [select(table, table, columns) for table, _, _, columns, _ in self.flows()]

    def batch(self, folder):
        """The same queries over the same rows, read whole, without the rows without time; a streaming table's without the closing event."""
        made = self.tables(folder, 1000)
        for table, kind, query, columns, _ in self.flows():
            each = "{table} WHERE " + (f"ts < TIMESTAMP'{text_of(CLOSING)}'" if kind == "STREAMING TABLE" else "ts IS NOT NULL")
            made.append(select(table, f"({self.text(each, query)})", columns))
        return made

    def files(self):
        """[(run, table, lines)] in order of arrival: cut anywhere, the cuts dealt to runs in order."""
        files = []
        for source, events in enumerate(self.events):
            lines = [json.dumps(e) for e in events]
            cuts = sorted({0, len(lines), *(self.random.randint(0, len(lines)) for _ in range(self.random.randint(0, 7)))})
            runs = sorted(self.random.randrange(self.runs) for _ in cuts[1:])
            files += [(run, self.table(source), lines[a:b]) for run, a, b in zip(runs, cuts, cuts[1:])]
            files.append((self.runs, self.table(source), [json.dumps({"k": f"end {source}", "v": 1, "ts": text_of(CLOSING)})]))
        return files


def ask(leat, folder, questions, threads):
    """Runs the pipeline of some seeds; {table: (its rows, rows of the batch query)}."""
    inputs = os.path.join(folder, "in")
    for q in questions:
        for i in range(q.sources):
            os.makedirs(os.path.join(inputs, q.table(i)))
    pipeline = Pipeline(leat, folder, "\n".join(line for q in questions for line in q.pipeline()) + "\n")
    pending = [file for q in questions for file in q.files()]
    number = 0
    for run in range(max(q.runs for q in questions) + 1):
        for _, table, lines in [f for f in pending if f[0] == run]:
            number += 1
            write_lines(os.path.join(inputs, table), f"{number:05d}.json", lines, FIRST_FILE_TIME + number)
        pending = [f for f in pending if f[0] != run]
        pipeline.run("--threads", str(1 + (threads + run) % 4), "--set", f"leat.epoch.maxRows={1024 if threads % 2 else 100000}")
    expect(not pending, "files were left over")
    got = pipeline.query("\n".join(line for q in questions for line in q.results()), "--data", pipeline.data)
    batch = Pipeline(leat, os.path.join(folder, "batch"), "").query("\n".join(line for q in questions for line in q.batch(inputs)))
    pipeline.expect_balanced()
    late = [row for row in pipeline.late() if row[0] == "LATE"]
    expect(not late, lambda: f"{len(late)} rows were called late, none is: {late[0]}")
    names = {flow[0]: q for q in questions for flow in q.flows()}
    return {name: (q, *([row["cells"] for row in rows if row["name"] == name] for rows in (got, batch))) for name, q in names.items()}
