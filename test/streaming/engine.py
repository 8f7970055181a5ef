# SPDX-License-Identifier: Apache-2.0
"""leat as these tests use it: a pipeline in a folder, runs to the end, and what its catalog then holds."""
import contextlib
import json
import os
import re
import sqlite3
import subprocess

RUN_S = 120  # a bound, not a measure: machines are busy with other work
FATES = ("passed", "filtered", "absorbed", "merged", "late", "dead", "null_time")


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what() if callable(what) else what)


def quote(name):
    return "`" + name.replace("`", "``") + "`"


class Pipeline:
    def __init__(self, leat, folder, text):
        self.leat, self.folder = leat, folder
        self.file, self.data = os.path.join(folder, "pipeline.sql"), os.path.join(folder, "leat-data")
        os.makedirs(folder, exist_ok=True)
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text)

    def command(self, *arguments):
        """(exit status, standard output, standard error)"""
        try:
            out = subprocess.run([self.leat, *arguments], stdin=subprocess.DEVNULL, capture_output=True, timeout=RUN_S, check=False, cwd=self.folder)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"leat {' '.join(arguments)} has not ended within {RUN_S} s\n{(e.stderr or b'').decode('utf-8', 'replace')}") from e
        return out.returncode, out.stdout.decode("utf-8", "replace"), out.stderr.decode("utf-8", "replace")

    def run(self, *flags):
        code, out, err = self.command("run", self.file, "--available-now", "--quiet", *flags)
        expect(code == 0, lambda: f"leat run {' '.join(flags)}: exit {code}\n{out}{err}")

    def check(self):
        """The conditions `leat check` refuses the file with; none if it accepts it."""
        code, out, err = self.command("check", self.file)
        found = re.findall(r"^error(?:\[([^\]]*)\])?: ", out + err, re.M)
        expect(code == (3 if found else 0), lambda: f"leat check: exit {code}\n{out}{err}")
        return found, out + err

    def query(self, sql, *flags):
        """Rows of one SELECT or more, as objects."""
        script = os.path.join(self.folder, "query.sql")
        with open(script, "w", encoding="utf-8") as f:
            f.write(sql)
        code, out, err = self.command("sql", script, "--format", "jsonl", *flags)
        expect(code == 0, lambda: f"leat sql: exit {code}\n{sql}\n{out}{err}")
        return [json.loads(line) for line in out.splitlines()]

    def rows(self, table, columns):
        """A table's rows as lists of texts, in Spark's CAST(… AS STRING)."""
        names = [f"c{i}" for i in range(len(columns))]
        cells = ", ".join(f"CAST({quote(c)} AS STRING) AS {n}" for c, n in zip(columns, names))
        found = self.query(f"SELECT {cells} FROM {table};", "--data", self.data)
        return [[row.get(n) for n in names] for row in found]

    def types(self, table):
        return [[row["col_name"], row["data_type"]] for row in self.query(f"DESCRIBE {table};", "--data", self.data)]

    def catalog(self, sql):
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/leat.db?mode=ro", uri=True)) as db:
            db.row_factory = sqlite3.Row
            return [dict(row) for row in db.execute(sql)]

    def has(self, table):
        return bool(self.catalog(f"SELECT 1 FROM sqlite_master WHERE name = '{table}'"))

    def late(self):
        """What is in leat_late: (reason, event time, the row, flow)."""
        found = self.catalog("SELECT * FROM leat_late") if self.has("leat_late") else []
        return [(row["reason"], row["event_time"], json.loads(row["data"]), row["flow"]) for row in found]

    def expect_balanced(self):
        """Each row of each operator has one fate, and those that are late or without time lie in leat_late."""
        ledger = self.catalog("SELECT * FROM leat_ledger")
        expect(ledger and any(row["input"] for row in ledger), "the ledger is empty")
        for row in ledger:
            expect(row["input"] == sum(row[f] for f in FATES), lambda: f"the ledger does not balance: {row}")
        late = self.late()
        for fate, reason in (("late", "LATE"), ("null_time", "NULL_EVENT_TIME")):
            counted, kept = sum(row[fate] for row in ledger), sum(1 for row in late if row[0] == reason)
            expect(counted == kept, f"the ledger counts {counted} rows as {fate}, leat_late holds {kept} of them")
