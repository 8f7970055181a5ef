#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Event time as Spark has it: every case of cases/ run by leat, step by step and in one go, against real Spark's golden answer.

    streaming_test.py [--leat build/leat] [--seed N] [--seeds N] [--kinds K,…] [--long] [--keep] [NAME ...]      NAME: cases, or `order` (all)

After each step the table must hold what Spark's has come to; a file Spark refuses must be refused with the same condition. In each run
the ledger must balance and late rows lie in leat_late. `order` (order.py): 200 seeds, with --long 10,000, from --seed on. Where leat
is meant to differ, the case says so and what leat has to answer. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import collections
import os
import random
import re
import shutil
import sys
import tempfile
import time
import traceback

from cases import content_after, golden_path, read_cases, read_golden, write_statics, write_step
from engine import Failure, Pipeline, expect
from order import PER_PIPELINE, Question, ask

HERE = os.path.dirname(os.path.abspath(__file__))
SEEDS, SEEDS_LONG = 200, 10000
THREADS = {"steps": [2], "once": [1, 4], "whole": [1]}


def show(rows):
    return "".join(f"\n    {' | '.join('NULL' if cell is None else str(cell) for cell in row)}" for row in rows)


def expect_same(got, wanted, where):
    """Equal as multisets."""
    a, b = (collections.Counter(tuple(row) for row in rows) for rows in (got, wanted))
    missing, more = sorted((b - a).elements(), key=str), sorted((a - b).elements(), key=str)
    expect(a == b, lambda: f"{where}: missing{show(missing[:12]) or ' nothing'}\n  too many{show(more[:12]) or ' nothing'}")


def plain_time(value):
    """A timestamp's text without what two notations differ in; JSON has milliseconds."""
    if isinstance(value, str) and re.match(r"\d{4}-\d\d-\d\d[T ]\d\d:", value):
        value = value.replace("T", " ").rstrip("Z")[:23]
        value = re.sub(r"\.?0*$", "", value) if "." in value else value
    return value


def is_same_row(late, wanted):
    """Whether a row of leat_late is the one meant: columns the query does not read may be missing, and it may have made others."""
    (reason, event_time, data, _), (wanted_reason, row) = late, wanted
    have = {k: plain_time(v) for k, v in data.items() if v is not None}
    same = all(have.get(k, plain_time(v)) == plain_time(v) for k, v in row.items())
    return same and reason == wanted_reason and (event_time is None) == (reason != "LATE")


class Suite:
    def __init__(self, leat, root, seed, seeds, kinds):
        self.leat, self.root, self.seed, self.seeds, self.kinds = leat, root, seed, seeds, kinds

    def pipeline(self, case, name, way):
        folder = os.path.join(self.root, f"{case.name}-{name}")
        pipeline = Pipeline(self.leat, folder, case.text_for_leat(1000 if way == "whole" else 1))
        write_statics(case, os.path.join(folder, "in"))
        return pipeline

    def expect_late(self, case, pipeline, golden, way):
        late = pipeline.late()
        if case.late is None or way != "steps":
            dropped = sum(step["dropped"] for step in golden.get(way, []))
            if way in golden and case.late is None:
                found = sum(1 for row in late if row[0] == "LATE")
                expect((found > 0) == (dropped > 0), f"{way}: leat_late holds {found} late rows, Spark dropped {dropped}")
            return
        left = list(late)
        for wanted in case.late:
            match = next((row for row in left if is_same_row(row, wanted)), None)
            expect(match, lambda: f"not in leat_late: {wanted}; there is {left}")
            left.remove(match)
        expect(not left, lambda: f"leat_late holds more than it should: {left}")

    def run_way(self, case, golden, way, threads):
        """One way, from an empty folder."""
        pipeline = self.pipeline(case, f"{way}-{threads}", way)
        columns = [c for c, _ in golden["columns"]] if "columns" in golden else [f"c{i}" for i in range(len(case.leat_rows[way][0]))]
        every = range(len(case.steps))
        for part, step in enumerate([[i] for i in every] if way == "steps" else [every]):
            for i in step:
                write_step(case, os.path.join(pipeline.folder, "in"), i)
            pipeline.run("--threads", str(1 + (threads + part - 1) % 4))
            if "columns" in golden and part == 0:
                expect_same(pipeline.types("result"), golden["columns"], "columns")
            if way not in case.leat_rows:
                expect_same(pipeline.rows("result", columns), content_after(case, {"columns": golden["columns"], "steps": golden[way]}, part),
                            f"{way}, from {threads} threads on, after step {part + 1}")
        if way in case.leat_rows:
            columns = [c for c, _ in pipeline.types("result")]
            expect_same(pipeline.rows("result", columns), case.leat_rows[way], f"{way}, {threads} threads, as the case has it for leat")
        pipeline.expect_balanced()
        self.expect_late(case, pipeline, golden, way)

    def run_case(self, case):
        expect(os.path.exists(golden_path(case.name)), "no golden answer: ask_spark.py")
        golden = read_golden(case.name)
        expect(golden["query"] == case.query and golden["mode"] == case.mode, "the golden answer is to another question: ask_spark.py")
        refused = golden.get("error", {}).get("condition") if not case.leat_rows else None
        if case.leat_error or ("error" in golden and not case.leat_rows):
            found, text = self.pipeline(case, "check", "once").check()
            wanted = case.leat_error or refused
            expect(found and (wanted is None or wanted in found), lambda: f"wanted error[{wanted}], leat check says\n{text}")
            return f"refused: {wanted or found[0]}"
        ways = list(case.leat_rows) if "error" in golden else case.ways
        for way in ways:
            for threads in THREADS[way]:
                self.run_way(case, golden, way, threads)
        rows = case.leat_rows.get(ways[0]) or content_after(case, {"columns": golden["columns"], "steps": golden[ways[0]]}, len(case.steps))
        return f"{len(rows)} rows; {', '.join(ways)}"

    def run_order(self):
        """Every seed's tables equal its batch query."""
        rows, kinds = 0, collections.Counter()
        for first in range(self.seed, self.seed + self.seeds, PER_PIPELINE):
            seeds = range(first, min(first + PER_PIPELINE, self.seed + self.seeds))
            questions = [Question(seed, self.kinds) for seed in seeds]
            folder = os.path.join(self.root, f"order-{first}")
            threads = random.Random(first).randint(1, 4)
            again = f"again: --seed {first} --seeds {len(questions)}{' --kinds ' + ','.join(self.kinds) if self.kinds else ''} order"
            try:
                answers = ask(self.leat, folder, questions, threads)
            except Failure as e:
                raise Failure(f"{e}\n  {again}") from e
            for name, (q, got, batch) in answers.items():
                expect_same(got, batch, f"{name} ({q.kind}, {q.sources} tables, delay {q.delay} s, {threads} threads; {again})")
                rows, kinds = rows + len(batch), kinds + collections.Counter([q.kind, *{"v": ["views"], "t": ["second flows"]}.get(name[0], [])])
            shutil.rmtree(folder)
        expect(rows > (10 * self.seeds if self.seeds >= 100 else 0), f"only {rows} rows in {self.seeds} seeds")
        return f"{self.seeds} seeds from {self.seed}, {rows} rows: {', '.join(f'{k} {n}' for k, n in sorted(kinds.items()))}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(HERE, "../../build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--seeds", type=int)
    parser.add_argument("--kinds", type=lambda text: text.split(","), help="of the queries of `order`")
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = [n for n in options.names if n != "order"]
    root = tempfile.mkdtemp(prefix="leat-streaming-")
    suite = Suite(os.path.abspath(options.leat), root, options.seed, options.seeds or (SEEDS_LONG if options.long else SEEDS), options.kinds)
    tests = [(c.name, lambda c=c: suite.run_case(c)) for c in (read_cases(names) if names or not options.names else [])]
    tests += [("order", suite.run_order)] if "order" in options.names or not options.names else []
    print(f"seed {options.seed}", flush=True)
    passed = failed = 0
    for name, test in tests:
        begin = time.monotonic()
        try:
            note, word = test(), "ok"
            passed += 1
        except Failure as e:
            note, word = str(e), "FAILED"
            failed += 1
        except Exception:  # of the test itself
            note, word = traceback.format_exc(), "FAILED"
            failed += 1
        print(f"{word:8}{name:32}{time.monotonic() - begin:6.1f} s   {note}", flush=True)
    if options.keep:
        print(f"folders: {root}")
    else:
        shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
