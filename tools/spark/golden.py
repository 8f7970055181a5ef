#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Write the expectations of golden SQL tests as real Spark answers them.

    golden.py [--check] [FILE or FOLDER ...]        (default: test/sql)

Reads `.test` files (format: test/sql/README.md), runs their statements and queries in order on Spark 4.2.0 (local[2], UTC, defaults
otherwise) and rewrites the `schema` and `expect` blocks after each query in place; everything else stays as it is. A new query needs
no expectation: write the `query` block and run this. With --check nothing is written; differences are printed and the exit status is 1.

Each file has a session of its own, so views and settings do not leak. A file with a directive Spark cannot run (push, pipeline, ...)
or with the comment line `# golden: by hand` is passed over. Needs: pip install "pyspark==4.2.0" "pandas<3" pyarrow, and Java 17.
"""
import argparse
import difflib
import logging
import os
import re
import sys
import tempfile

SPARK_VERSION = "4.2.0"
BY_HAND = "# golden: by hand"
ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def read_blocks(text):
    """The blocks of a file: lists of lines, which were separated by blank lines."""
    return [block.split("\n") for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n")) if block.strip()]


def directive(block):
    """The first line that is not a comment; '' for a block of comments only."""
    return next((line.rstrip() for line in block if not line.startswith("#")), "")


def body(block):
    """The lines after the directive. A line that begins with # is a comment there too."""
    lines = [line for line in block if not line.startswith("#")]
    return "\n".join(lines[1:])


def escape(text, quote):
    text = "".join(ESCAPES.get(c, c) if c != '"' else ESCAPES[c] if quote == '"' else c for c in text)
    text = re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda m: f"\\x{ord(m[0]):02x}", text)
    return quote + (text.replace("`", "``") if quote == "`" else text) + quote


def print_cell(cell):
    if cell is None:
        return "NULL"
    plain = cell not in ("", "NULL") and not re.search(r'^["#]|^ | $|[|\\\x00-\x1f\x7f-\x9f]', cell)
    return cell if plain else escape(cell, '"')


def print_name(name):
    return name if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) else escape(name, "`")


def is_ordered(frame):
    """Whether the query's outermost clause, LIMIT and OFFSET aside, is ORDER BY."""
    plan = frame._jdf.queryExecution().logical()
    while plan.nodeName() in ("GlobalLimit", "LocalLimit", "Offset", "UnresolvedWith", "WithCTE", "Limit"):
        plan = plan.child() if plan.nodeName() != "WithCTE" else plan.plan()
    return plan.nodeName() == "Sort"


def describe_error(error):
    """`CONDITION SQLSTATE` of the outermost cause that has one; `-` for an exception without a condition."""
    java = getattr(error, "_origin", None) or getattr(error, "java_exception", None)
    while java is not None:
        try:
            condition, state = java.getCondition(), java.getSqlState()
        except Exception:  # a Java class that is not a SparkThrowable
            condition = state = None
        if condition:
            return condition if condition.startswith("_LEGACY") or not state else f"{condition} {state}"
        java = java.getCause()
    condition = getattr(error, "getCondition", lambda: None)()
    state = getattr(error, "getSqlState", lambda: None)()
    return f"{condition} {state}" if condition and state else condition or "-"


def ask(spark, sql):
    """The expectation blocks for one query; none if it has a BINARY column, which has no text."""
    try:
        frame = spark.sql(sql)
        fields = frame.schema.fields
        if any(field.dataType.simpleString() == "binary" for field in fields):
            print(f"left unanswered, wrap the BINARY column in hex(): {sql}")
            return []
        names = [f"c{i}" for i in range(len(fields))]
        rows = frame.toDF(*names).selectExpr(*[f"CAST({n} AS STRING)" for n in names]).collect()
    except Exception as error:  # the error is the answer
        return [[f"expect error {describe_error(error)}"]]
    lines = [" | ".join(print_cell(cell) for cell in row) for row in rows] if fields else []  # a command has no columns
    ordered = is_ordered(frame)
    if not ordered:
        lines.sort(key=lambda line: line.encode())
    schema = [f"{print_name(f.name)} {f.dataType.simpleString()}" for f in fields]
    return [["schema"] + schema, ["expect ordered" if ordered else "expect"] + lines]


def answer(spark, path, text):
    """The text of a file with its expectations filled in; None where Spark is not to be asked."""
    blocks = read_blocks(text)
    words = {directive(block).split(" ")[0] for block in blocks}
    if BY_HAND in text.split("\n") or words - {"", "statement", "query", "schema", "expect"}:
        return None
    session = spark.newSession()
    done = []
    for block in blocks:
        word = directive(block)
        if word == "schema" or word.startswith("expect"):
            continue
        done.append(block)
        if word == "statement":
            try:
                session.sql(body(block))
            except Exception as error:
                raise SystemExit(f"{path}: a statement failed with {describe_error(error)}:\n{body(block)}\n{str(error)[:500]}")
        elif word == "query":
            done.extend(ask(session, body(block)))
    for table in session.catalog.listTables():
        session.sql(f"DROP {'VIEW' if table.tableType in ('TEMPORARY', 'VIEW') else 'TABLE'} IF EXISTS `{table.name}`")
    return "\n\n".join("\n".join(line.rstrip(" \t") for line in block) for block in done) + "\n"


def start_spark(scratch):
    import pyspark
    from pyspark.sql import SparkSession

    if pyspark.__version__ != SPARK_VERSION:
        raise SystemExit(f"the golden answers are those of Spark {SPARK_VERSION}, this is {pyspark.__version__}")
    logging.disable(logging.CRITICAL)  # PySpark logs each error it raises
    settings = {
        "spark.ui.enabled": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": "1",  # so that collect_list and first do not depend on the run
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


def find_files(paths):
    for path in paths:
        if os.path.isdir(path):
            for folder, folders, names in os.walk(path):
                folders.sort()
                yield from (os.path.join(folder, name) for name in sorted(names) if name.endswith(".test"))
        else:
            yield path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="*", default=["test/sql"])
    parser.add_argument("--check", action="store_true", help="report differences, write nothing")
    args = parser.parse_args()
    different = queries = 0
    with tempfile.TemporaryDirectory() as scratch:
        spark = start_spark(scratch)
        for path in find_files(args.paths):
            with open(path, encoding="utf-8", newline="\n") as file:
                before = file.read()
            after = answer(spark, path, before)
            if after is None:
                print(f"{path}: not Spark's to answer, passed over")
                continue
            count = sum(directive(block) == "query" for block in read_blocks(after))
            queries += count
            if after == before:
                print(f"{path}: {count} queries")
                continue
            different += 1
            if args.check:
                sys.stdout.writelines(difflib.unified_diff(before.splitlines(True), after.splitlines(True), path, "spark"))
            else:
                with open(path, "w", encoding="utf-8", newline="\n") as file:
                    file.write(after)
                print(f"{path}: {count} queries, rewritten")
        spark.stop()
    print(f"{queries} queries, {different} files {'differ' if args.check else 'changed'}")
    return 1 if args.check and different else 0


if __name__ == "__main__":
    sys.exit(main())
