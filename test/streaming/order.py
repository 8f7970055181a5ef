# SPDX-License-Identifier: Apache-2.0
"""Order independence: events out of order, but within the watermark's delay, cut into files, tables and runs anywhere.

After an event far in the future has closed every window, a streaming table holds what the batch query says over the same rows, a
materialized view of the same query what it says over all rows, and nothing was late. One seed is one query over its own tables; ten seeds
share a pipeline file, and so a process. The number of threads is another in each run.
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
NO_VIEW = {"chained"}  # a view over a result that changes
FIRST_FILE_TIME = 1704067200


def text_of(time):
    return time.strftime("%Y-%m-%d %H:%M:%S.%f")


class Question:
    """What one seed asks: a query with {rows} for where its rows come from, the events, and their way into files and runs."""

    def __init__(self, seed, kinds=None):
        self.seed, self.random = seed, random.Random(f"order {seed}")
        self.sources = self.random.randint(1, 4)
        self.delay = self.random.choice([0, 1, 2, 5, 10, 60])
        self.runs = self.random.randint(1, 3)
        self.size = self.random.choice([1, 2, 3, 5, 7, 10, 30, 60])
        self.slide = self.random.randint(1, self.size)
        self.offset = self.random.randint(0, self.slide - 1) if self.slide > 1 else 0
        self.kind, (self.query, self.columns) = self.random.choice([q for q in sorted(self.queries().items()) if not kinds or q[0] in kinds])
        if self.kind == "group_by_time":  # a group of one instant is done as soon as the watermark has reached it
            self.delay = max(self.delay, 1)
        self.has_view = self.kind not in NO_VIEW and self.random.random() < 0.5
        self.files_per_trigger = self.random.choice([1, 1, 2, 1000])
        self.events = [self.make_events() for _ in range(self.sources)]

    def queries(self):
        tumbling = f"window(ts, '{self.size} seconds')"
        sliding = f"window(ts, '{self.size} seconds', '{self.slide} seconds', '{self.offset} seconds')"
        aggregates = "count(*) AS n, sum(v) AS total, min(v) AS low, max(v) AS high, avg(v) AS mean"
        named = ["n", "total", "low", "high", "mean"]
        return {
            "tumbling": (f"SELECT window.start AS s, window.end AS e, k, {aggregates} FROM {{rows}} GROUP BY {tumbling}, k", ["s", "e", "k", *named]),
            "sliding": (f"SELECT window.start AS s, window.end AS e, {aggregates} FROM {{rows}} GROUP BY {sliding}", ["s", "e", *named]),
            "sliding_keys": (f"SELECT window.start AS s, k, {aggregates} FROM {{rows}} GROUP BY {sliding}, k HAVING count(*) > 1", ["s", "k", *named]),
            "distinct": (f"SELECT DISTINCT {sliding} AS w, k FROM {{rows}}", ["w", "k"]),
            "different": (f"SELECT window.start AS s, count(DISTINCT v) AS d, sort_array(collect_set(k)) AS ks FROM {{rows}} GROUP BY {tumbling}", ["s", "d", "ks"]),
            "group_by_time": ("SELECT ts, k, count(*) AS n FROM {rows} GROUP BY ts, k", ["ts", "k", "n"]),
            "filtered": (f"SELECT window.start AS s, k, sum(v) AS total FROM {{rows}} WHERE v % 3 <> 0 GROUP BY {sliding}, k", ["s", "k", "total"]),
            "chained": (f"SELECT window(w, '{3 * self.size} seconds').start AS s, sum(n) AS total, count(*) AS groups, max(n) AS most FROM "
                        f"(SELECT {tumbling} AS w, k, count(*) AS n FROM {{rows}} GROUP BY 1, k) GROUP BY window(w, '{3 * self.size} seconds')",
                        ["s", "total", "groups", "most"]),
            "session": (f"SELECT session_window.start AS s, session_window.end AS e, k, {aggregates} FROM {{rows}} GROUP BY session_window(ts, '{self.size} seconds'), k",
                        ["s", "e", "k", *named]),
        }

    def make_events(self):
        """Events of one table in order of arrival: none is as late as the delay behind the latest before it."""
        events = []
        span = self.random.choice([10, 60, 600])
        for _ in range(self.random.randint(5, 120)):
            time = EPOCH + datetime.timedelta(seconds=self.random.randint(0, span), microseconds=self.random.choice([0, 0, 1, 500000, 999999]))
            wait = datetime.timedelta(microseconds=self.random.randint(0, max(self.delay * 1000000 - 1000, 0)))
            event = {"k": self.random.choice(["a", "b", "c", None, ""]), "v": self.random.choice([None, *range(-3, 9)]), "ts": text_of(time)}
            events.append((time + wait, event))
        for _ in range(self.random.choice([0, 0, 2])):
            events.append((EPOCH + datetime.timedelta(seconds=self.random.randint(0, span)), {"k": "none", "v": 1, "ts": None}))
        return [event for _, event in sorted(events, key=lambda e: e[0])]

    def table(self, source):
        return f"s{self.seed}_{source}"

    def tables(self, folder, files_per_trigger):
        return [f"CREATE TABLE {self.table(i)} (k STRING, v INT, ts TIMESTAMP) USING json OPTIONS (path '{os.path.join(folder, self.table(i))}', "
                f"maxFilesPerTrigger '{files_per_trigger}');" for i in range(self.sources)]

    def rows_of(self, each):
        parts = [each.format(table=self.table(i)) for i in range(self.sources)]
        return "(" + " UNION ALL ".join(f"SELECT k, v, ts FROM {part}" for part in parts) + ")"

    def pipeline(self):
        watermark = f"{{table}} WATERMARK ts DELAY OF INTERVAL {self.delay} SECONDS"
        made = self.tables("in", self.files_per_trigger)
        made.append(f"CREATE STREAMING TABLE o{self.seed} AS {self.query.format(rows=self.rows_of('STREAM ' + watermark))};")
        if self.has_view:
            made.append(f"CREATE MATERIALIZED VIEW v{self.seed} AS {self.query.format(rows=self.rows_of(watermark))};")
        return made

    def select(self, what, rows):
        return f"SELECT '{what}{self.seed}' AS name, array({', '.join(f'CAST({c} AS STRING)' for c in self.columns)}) AS cells FROM {rows};"

    def results(self):
        return [self.select(what, f"{what}{self.seed}") for what in ("ov" if self.has_view else "o")]

    def batch(self, folder):
        """The same query over the same rows, read whole, without the rows without time; the streaming table's without the closing event."""
        made = self.tables(folder, 1000)
        made.append(self.select("o", f"({self.query.format(rows=self.rows_of(f'{{table}} WHERE ts < TIMESTAMP{text_of(CLOSING)!r}'))})"))
        if self.has_view:
            made.append(self.select("v", f"({self.query.format(rows=self.rows_of('{table} WHERE ts IS NOT NULL'))})"))
        return made

    def files(self):
        """[(run, table, lines)] in order of arrival: cut anywhere, the cuts dealt to runs in order."""
        files = []
        for source, events in enumerate(self.events):
            lines = [json.dumps(e) for e in events]
            cuts = sorted({0, len(lines), *(self.random.randint(0, len(lines)) for _ in range(self.random.randint(0, 7)))})
            runs = sorted(self.random.randrange(self.runs) for _ in cuts[1:])
            files += [(run, self.table(source), lines[a:b]) for run, a, b in zip(runs, cuts, cuts[1:])]
            files.append((self.runs, self.table(source), [json.dumps({"k": "end", "v": 0, "ts": text_of(CLOSING)})]))
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
        pipeline.run("--threads", str(1 + (threads + run) % 4))
    expect(not pending, "files were left over")
    got = pipeline.query("\n".join(line for q in questions for line in q.results()), "--data", pipeline.data)
    batch = Pipeline(leat, os.path.join(folder, "batch"), "").query("\n".join(line for q in questions for line in q.batch(inputs)))
    pipeline.expect_balanced()
    late = [row for row in pipeline.late() if row[0] == "LATE"]
    expect(not late, lambda: f"{len(late)} rows were called late, none is: {late[0]}")
    names = {f"{what}{q.seed}": q for q in questions for what in ("ov" if q.has_view else "o")}
    return {name: (q, *([row["cells"] for row in rows if row["name"] == name] for rows in (got, batch))) for name, q in names.items()}
