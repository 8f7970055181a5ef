#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks real Spark what each streaming case comes to, and writes its golden answer beside it.

    ask_spark.py [--check] [--new] [NAME ...]        NAME: cases (default: all); --new: those without an answer; --check: compare, write nothing

Three ways, each from an empty checkpoint: `steps` (a step's files arrive, are read to the end, then the next step), `once` (all files
are there, one file of each table a batch) and `whole` (all files in one batch). Trigger availableNow; in `steps` the query is started anew
from its checkpoint for each step, but for a query with several watermarks: Spark keeps their maxima in memory only, so it stays alive.
Each batch, those without data too, is collected once. Needs: pip install "pyspark==4.2.0", and Java 17.
"""
import argparse
import json
import logging
import os
import re
import shutil
import sys
import tempfile

from cases import WAYS, golden_path, read_cases, write_statics, write_step

SPARK_VERSION = "4.2.0"
TRIES = 8
STEP_S = 120


class Torn(Exception):
    """A living query saw one table's file of a step before the other's: to be asked again."""


def start_spark(scratch):
    import pyspark
    from pyspark.sql import SparkSession

    if pyspark.__version__ != SPARK_VERSION:
        raise SystemExit(f"the golden answers are those of Spark {SPARK_VERSION}, this is {pyspark.__version__}")
    logging.disable(logging.CRITICAL)
    settings = {
        "spark.ui.enabled": "false",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",
        "spark.default.parallelism": "1",
        "spark.sql.warehouse.dir": os.path.join(scratch, "warehouse"),
        "spark.local.dir": scratch,
        "spark.driver.extraJavaOptions": "-Duser.timezone=UTC",
    }
    builder = SparkSession.builder.master("local[2]")
    for key, value in settings.items():
        builder = builder.config(key, value)
    spark = builder.getOrCreate()
    spark.sparkContext.setLogLevel("OFF")
    return spark


def describe_error(error):
    """Condition, SQLSTATE and first line of the outermost cause that has a condition; what a started query failed of stands within STREAM_FAILED."""
    java = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    found, text = None, str(error)
    while java is not None:
        try:
            condition, state = java.getCondition(), java.getSqlState()
        except Exception:  # a Java class that is not a SparkThrowable
            condition = state = None
        if condition and (found is None or found["condition"] == "STREAM_FAILED"):
            found, text = {"condition": condition, "sqlState": None if condition.startswith("_LEGACY") else state}, java.getMessage()
        java = java.getCause()
    if found is None and getattr(error, "getCondition", lambda: None)():
        found = {"condition": error.getCondition(), "sqlState": error.getSqlState()}
    line = re.sub(r"#\d+L?", "", text.strip().split("\n", 1)[0].split(";")[0])
    return {**(found or {"condition": None, "sqlState": None}), "message": re.sub(r"^\[[A-Z_.]+\] | SQLSTATE: \w+$", "", line)[:300]}


class Run:
    """One case asked in one way: its tables, its checkpoint, what came out. `failure` is what a batch died of: the query's own error hides it."""

    def __init__(self, spark, case, way, folder):
        self.spark, self.case, self.way, self.folder = spark, case, way, folder
        self.inputs, self.checkpoint = os.path.join(folder, "in"), os.path.join(folder, "checkpoint")
        self.batches, self.columns, self.living, self.failure = {}, None, way == "steps" and case.streams() > 1, None

    def create(self):
        write_statics(self.case, self.inputs)
        per_trigger = 1000 if self.way == "whole" else 1
        for name, ddl in [*self.case.tables.items(), *((n, d) for n, (d, _) in self.case.statics.items())]:
            options = f"OPTIONS (maxFilesPerTrigger '{per_trigger}')" if name in self.case.tables else ""
            self.spark.sql(f"DROP TABLE IF EXISTS {name}")
            self.spark.sql(f"CREATE TABLE {name} ({ddl}) USING json {options} LOCATION '{os.path.join(self.inputs, name)}'")
        for statement in self.case.statements:
            self.spark.sql(statement)

    def drop(self):
        for view in self.spark.catalog.listTables():
            if view.isTemporary:
                self.spark.catalog.dropTempView(view.name)
        for name in [*self.case.tables, *self.case.statics]:
            self.spark.sql(f"DROP TABLE IF EXISTS {name}")

    def take(self, frame, batch):
        names = [f"c{i}" for i in range(len(frame.columns))]
        try:
            rows = frame.toDF(*names).selectExpr(*[f"CAST({n} AS STRING)" for n in names]).collect()
        except Exception as error:
            self.failure = error
            raise
        self.batches[batch] = [list(row) for row in rows]

    def start(self):
        frame = self.spark.sql(self.case.query)
        self.columns = [[f.name, f.dataType.simpleString()] for f in frame.schema.fields]
        writer = frame.writeStream.outputMode(self.case.mode).option("checkpointLocation", self.checkpoint).foreachBatch(self.take)
        return (writer if self.living else writer.trigger(availableNow=True)).start()

    def settle(self, query):
        """Reads everything that is there, batches without data included."""
        if self.living:
            query.processAllAvailable()
        elif not query.awaitTermination(STEP_S):
            query.stop()
            raise SystemExit(f"{self.case.name}: Spark has not ended within {STEP_S} s")

    def report(self, query, watermark):
        """What the batches of one step came to. The watermark is the last batch's: the next one calls rows late by it."""
        batches, self.batches = self.batches, {}
        progress = {p.batchId: p for p in query.recentProgress if p.batchId in batches}
        if self.living and sum(1 for p in progress.values() if p.numInputRows) > 1:
            raise Torn()
        for batch in sorted(progress):
            watermark = (progress[batch].eventTime or {}).get("watermark", watermark)
        dropped = sum(op.numRowsDroppedByWatermark for p in progress.values() for op in p.stateOperators)
        return {"watermark": watermark, "dropped": dropped, "batches": [batches[batch] for batch in sorted(batches)]}

    def ask(self):
        steps, watermark, query = [], None, None
        every = range(len(self.case.steps))
        try:
            query = self.start() if self.living else None
            for step in ([i] for i in every) if self.way == "steps" else [every]:
                for i in step:
                    write_step(self.case, self.inputs, i)
                if not self.living:
                    query = self.start()
                self.settle(query)
                steps.append(self.report(query, watermark))
                watermark = steps[-1]["watermark"]
        except Exception as error:
            raise self.failure or error
        finally:
            if query is not None:
                query.stop()
        return steps


def ask_way(spark, case, way, scratch):
    for attempt in range(TRIES):
        run = Run(spark, case, way, os.path.join(scratch, f"{case.name}-{way}-{attempt}"))
        try:
            run.create()
            return run, run.ask()
        except Torn:
            continue
        finally:
            run.drop()
            shutil.rmtree(run.folder, ignore_errors=True)
    raise SystemExit(f"{case.name}: {TRIES} times two tables' files of one step did not come into one batch")


def answer(spark, case, scratch):
    golden = {"spark": SPARK_VERSION, "mode": case.mode, "query": case.query}
    try:
        for way in case.ways:
            run, steps = ask_way(spark, case, way, scratch)
            golden["columns"] = run.columns
            golden[way] = steps
    except SystemExit:
        raise
    except Exception as error:  # the refusal is the answer
        golden = {"spark": SPARK_VERSION, "mode": case.mode, "query": case.query, "error": describe_error(error)}
        if not golden["error"]["condition"]:
            print(f"{case.name}: an error without a condition: {str(error)[:600]}", flush=True)
    return golden


def as_text(golden):
    """JSON with a row a line, so that a difference of two answers can be read."""
    def dump(value):
        return json.dumps(value, ensure_ascii=False)

    def dump_step(step):
        batches = ",\n    ".join("[" + ",\n     ".join(dump(row) for row in batch) + "]" for batch in step["batches"])
        return f'  {{"watermark": {dump(step["watermark"])}, "dropped": {step["dropped"]}, "batches": [\n    {batches}]}}'

    parts = []
    for key, value in golden.items():
        parts.append(f' "{key}": ' + ("[\n" + ",\n".join(dump_step(s) for s in value) + "]" if key in WAYS else dump(value)))
    return "{\n" + ",\n".join(parts) + "\n}\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--new", action="store_true")
    options = parser.parse_args()
    cases = [c for c in read_cases(options.names) if not (options.new and os.path.exists(golden_path(c.name)))]
    different = 0
    with tempfile.TemporaryDirectory(prefix="leat-spark-") as scratch:
        spark = start_spark(scratch)
        for case in cases:
            text = as_text(answer(spark, case, scratch))
            try:
                with open(golden_path(case.name), encoding="utf-8") as f:
                    before = f.read()
            except FileNotFoundError:
                before = None
            if text != before:
                different += 1
                if not options.check:
                    with open(golden_path(case.name), "w", encoding="utf-8") as f:
                        f.write(text)
            print(f"{case.name}: {'as before' if text == before else 'differs' if options.check else 'written'}", flush=True)
        spark.stop()
    print(f"{len(cases)} cases, {different} {'differ' if options.check else 'written'}")
    return 1 if options.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
