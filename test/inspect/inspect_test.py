#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat state, leat checkpoint and leat check --against: what they say of a data folder, beside what `leat run` then does with it.

    inspect_test.py [--leat build/leat] [--seed N] [--damages N] [NAME ...]        NAME: tests to run (default: all), as printed

Each test makes folders of its own with the real binary: running ones, killed ones, damaged ones. What a command says is held against what a
run does on a copy of the folder, so that neither can be right alone. The seed is printed. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import ctypes
import ctypes.util
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import traceback

STOP_S = 120  # a bound, not a measure: machines are busy with other work
OPTIONS = None

EVENTS = """{"user":"ada","amount":12.5,"at":"2024-01-31 10:00:00"}
{"user":"bob","amount":3,"at":"2024-01-31 10:00:21"}
{"user":"ada","amount":7,"at":"2024-01-31 10:01:02"}
{"user":"eve","amount":4,"at":"2024-01-31 10:01:05"}
"""
LATER = """{"user":"ada","amount":4,"at":"2024-01-31 10:02:00"}
{"user":"dan","amount":9,"at":"2024-01-31 10:02:21"}
"""

PIPELINE = """
CREATE TABLE events (user STRING, amount DOUBLE, at TIMESTAMP) USING json OPTIONS (path 'e.jsonl');
CREATE TABLE rates (user STRING, rate INT) USING json OPTIONS (path 'rates.jsonl');
CREATE STREAMING TABLE big AS SELECT user, amount FROM STREAM events WHERE amount > 5;
CREATE STREAMING TABLE keyed TBLPROPERTIES (key = 'user') AS SELECT user, amount, at FROM STREAM events;
CREATE STREAMING TABLE rated AS SELECT e.user, e.amount * r.rate AS cost FROM STREAM events e JOIN rates r ON e.user = r.user;
CREATE MATERIALIZED VIEW spend AS SELECT user, sum(amount) AS total FROM events GROUP BY user;
CREATE MATERIALIZED VIEW plain AS SELECT user, amount FROM events WHERE amount > 1;
CREATE STREAMING TABLE windows AS SELECT window.start AS s, user, count(*) AS n FROM STREAM events WATERMARK at DELAY OF INTERVAL 10 SECONDS GROUP BY window(at, '10 seconds'), user;
CREATE STREAMING TABLE told USING console AS
SELECT s, n FROM (SELECT window.start AS s, count(*) AS n, sum(amount) AS total FROM STREAM events WATERMARK at DELAY OF INTERVAL 10 SECONDS GROUP BY window(at, '1 minute'));
CREATE STREAMING TABLE shown USING console AS SELECT user FROM STREAM events;
"""


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


class Folder:
    """A pipeline's text and events in a folder of their own."""

    def __init__(self, root, text=PIPELINE):
        self.root = root
        self.text = text
        self.data = os.path.join(root, "leat-data")
        os.makedirs(root, exist_ok=True)
        self.write("e.jsonl", EVENTS)
        self.write("rates.jsonl", '{"user":"ada","rate":2}\n{"user":"dan","rate":3}\n')
        self.save(text)

    def write(self, name, text, mode="w"):
        with open(os.path.join(self.root, name), mode, encoding="utf-8") as f:
            f.write(text)

    def save(self, text, name="p.sql"):
        self.text = text
        self.write(name, text)
        return os.path.join(self.root, name)

    def leat(self, *words):
        out = subprocess.run([OPTIONS.leat, *words], stdin=subprocess.DEVNULL, capture_output=True, timeout=STOP_S, check=False)
        text = (out.stdout + out.stderr).decode("utf-8", "replace")  # a document is the first line
        expect(0 <= out.returncode <= 5, f"leat {' '.join(words)}: exit {out.returncode}\n{text}")
        return out.returncode, text

    def run(self, *words):
        return self.leat("run", os.path.join(self.root, "p.sql"), "--data", self.data, "--available-now", *words)

    def state(self, *words):
        return self.leat("state", os.path.join(self.root, "p.sql"), "--data", self.data, *words)

    def start(self, *words):
        self.log = open(os.path.join(self.root, "log"), "ab")
        return subprocess.Popen([OPTIONS.leat, "run", os.path.join(self.root, "p.sql"), "--data", self.data, "--quiet", *words], stdin=subprocess.DEVNULL,
                                stdout=self.log, stderr=self.log)

    def copy(self, name):
        other = Folder.__new__(Folder)
        other.root, other.text = self.root + "-" + name, self.text
        other.data = os.path.join(other.root, "leat-data")
        shutil.copytree(self.root, other.root, ignore=shutil.ignore_patterns("leat.sock"))
        return other

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(os.path.join(self.data, "leat.db"), timeout=30)) as db:
            return sorted(db.execute(query).fetchall())


def document(text):
    return json.loads(text.split("\n", 1)[0])


def content(folder):
    """Every file's bytes, mode and time: what reading must not change."""
    found = {}
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            s = os.lstat(path)
            if not stat.S_ISREG(s.st_mode):
                continue
            found[path] = (s.st_size, s.st_mtime_ns, s.st_mode, open(path, "rb").read())
    return found


@contextlib.contextmanager
def ended(process):
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(STOP_S)


# What is changed in PIPELINE; the table it is about; the verdict; words that say what has changed.
ZONE = ("\nCREATE TABLE events", "\nSET spark.sql.session.timeZone = 'Europe/Paris';\nCREATE TABLE events")
NO_VIEW = "equals its query"
VERDICTS = [
    ("comment", [("WHERE amount > 5", "WHERE /* five */ amount > 5")], "big", "unchanged", ""),
    ("filter", [("amount > 5", "amount > 3")], "big", "yes", r"Filter .*(is now Filter|a constant in it has changed)"),
    ("filter removed", [(" WHERE amount > 5", "")], "big", "yes", r"Filter .* is removed"),
    ("column computed otherwise", [("SELECT user, amount FROM STREAM", "SELECT upper(user) AS user, amount FROM STREAM")], "big", "yes", r"column user .*upper\(user\)"),
    ("column added", [("SELECT user, amount FROM STREAM", "SELECT user, amount, at FROM STREAM")], "big", "no", r"because its table has the columns[\s\S]*column at is added"),
    ("column removed", [("SELECT user, amount FROM STREAM", "SELECT user FROM STREAM")], "big", "no", r"column amount is removed"),
    ("column retyped", [("SELECT user, amount FROM STREAM", "SELECT user, CAST(amount AS INT) AS amount FROM STREAM")], "big", "no", r"column amount was double and is int"),
    ("columns in another order", [("SELECT user, amount FROM STREAM", "SELECT amount, user FROM STREAM")], "big", "no", r"another order"),
    ("column added, nothing kept", [("SELECT user FROM STREAM events;", "SELECT user, amount FROM STREAM events;")], "shown", "yes", r"column amount is added"),
    ("other file", [("path 'e.jsonl'", "path 'f.jsonl'")], "big", "no", r"positions belong[\s\S]*path was 'e\.jsonl' and is 'f\.jsonl'"),
    ("source added", [("WHERE amount > 5", "WHERE amount > 5 UNION ALL SELECT user, CAST(rate AS DOUBLE) FROM STREAM rates")], "big", "no", r"source rates is new"),
    ("key column", [("key = 'user'", "key = 'at'")], "keyed", "no", r"kept by the old key[\s\S]*the key of its table"),
    ("keyed, computed otherwise", [("SELECT user, amount, at FROM", "SELECT user, amount + 1 AS amount, at FROM")], "keyed", "yes", r"column amount"),
    ("lookup", [("e.amount * r.rate", "e.amount * r.rate * 2")], "rated", "yes", r"column cost"),
    ("lookup condition", [("ON e.user = r.user", "ON upper(e.user) = r.user")], "rated", "yes", r"Join"),
    ("aggregate added", [("user, sum(amount) AS total", "user, sum(amount) AS total, max(amount) AS most")], "spend", "no", NO_VIEW + r"[\s\S]*max\(amount\) is added"),
    ("aggregate removed", [("user, sum(amount) AS total FROM events", "user FROM events")], "spend", "no", r"sum\(amount\) is removed"),
    ("view's keys", [("GROUP BY user;", "GROUP BY user, at;")], "spend", "no", r"keys changed from user to user, at"),
    ("view without state", [("amount > 1", "amount > 2")], "plain", "no", NO_VIEW),
    ("window size", [("window(at, '10 seconds')", "window(at, '20 seconds')")], "windows", "no", r"size 10000 ms .* size 20000 ms"),
    ("delay", [("INTERVAL 10 SECONDS GROUP BY window(at, '10", "INTERVAL 11 SECONDS GROUP BY window(at, '10")], "windows", "no", r"delay 10000 ms .*delay 11000 ms"),
    ("windows' keys", [("window(at, '10 seconds'), user;", "window(at, '10 seconds'), user, amount;")], "windows", "no", r"Aggregate keeps[\s\S]*keys changed"),
    ("filter below the windows", [("10 SECONDS GROUP BY window(at, '10", "10 SECONDS WHERE amount > 0 GROUP BY window(at, '10")], "windows", "no", r"Aggregate keeps"),
    ("after the windows", [("count(*) AS n", "count(*) * 10 AS n")], "windows", "yes", r"column n was|column n: a constant"),
    ("having", [("'10 seconds'), user;", "'10 seconds'), user HAVING count(*) > 100;")], "windows", "yes", r"Filter"),
    ("another aggregate in the windows", [("count(*) AS n", "count(amount) AS n")], "windows", "no", r"Aggregate keeps[\s\S]*count\(amount\) is added|Aggregate keeps"),
    ("a sum that nobody read", [("SELECT s, n FROM", "SELECT s, n, total FROM")], "told", "yes", r"column total is added"),
    ("after windows of the console", [("SELECT s, n FROM", "SELECT s, n + 1 AS n, s AS again FROM")], "told", "yes", r"column again is added"),
    ("kind of table", [("CREATE MATERIALIZED VIEW plain AS SELECT user, amount FROM events", "CREATE STREAMING TABLE plain AS SELECT user, amount + 0 AS amount FROM STREAM events")],
     "plain", "no", r"another kind of table"),
    ("new table", [("CREATE STREAMING TABLE big", "CREATE STREAMING TABLE more AS SELECT user FROM STREAM events;\nCREATE STREAMING TABLE big")], "more", "new", ""),
    ("table removed", [("CREATE STREAMING TABLE big AS SELECT user, amount FROM STREAM events WHERE amount > 5;", "")], "big", "removed", ""),
    ("time zone, view", [ZONE], "spend", "no", NO_VIEW + r"[\s\S]*time zone was UTC and is Europe/Paris\n  ways"),
    ("time zone, nothing kept", [ZONE], "big", "yes", r"time zone was UTC and is Europe/Paris\nkeyed"),
    ("time zone, windows", [ZONE], "windows", "no", r"Aggregate keeps[\s\S]*time zone was UTC and is Europe/Paris"),
]


def test_verdicts(root):
    """Every verdict of leat check --against, and that leat run does what it said."""
    base = Folder(os.path.join(root, "base"))
    expect(base.run("--quiet")[0] == 0, "the first run")
    shutil.copy(os.path.join(base.root, "e.jsonl"), os.path.join(base.root, "f.jsonl"))
    before = content(base.data)
    for name, edits, table, wanted, words in VERDICTS:
        other = base.copy(re.sub(r"\W", "-", name))
        text = base.text
        for old, new in edits:
            expect(old in text, f"{name}: the pipeline has no {old!r}")
            text = text.replace(old, new)
        file = other.save(text)
        code, said = other.leat("check", file, "--against", base.data)
        verdict = re.search(rf"^{table}: (\w+)", said, re.M)
        expect(verdict and verdict.group(1) == wanted, f"{name}: wanted {wanted} for {table}:\n{said}")
        part = said[said.index(f"\n{table}: ") if f"\n{table}: " in said else 0:]
        expect(re.search(words, part), f"{name}: does not say /{words}/:\n{said}")
        refused = bool(re.search(r"^\w+: no, because", said, re.M))
        expect(code == (3 if refused else 0), f"{name}: exit {code}:\n{said}")
        run_code, ran = other.run("-v")
        expect(run_code == (5 if refused else 0), f"{name}: check said {'no' if refused else 'yes'}, and run ended with {run_code}:\n{said}\n{ran}")
        expect(not refused or "LEAT_QUERY_CHANGED" in ran, f"{name}: refused for something else:\n{ran}")
        expect(other.run("--quiet")[0] == run_code, f"{name}: a second run ends otherwise")
        shutil.rmtree(other.root)
    expect(content(base.data) == before, "check --against has changed the folder")


def test_taken_over(root):
    """Rows from now on are the new query's; those already written, and what the windows hold, stay."""
    f = Folder(os.path.join(root, "base"))
    expect(f.run("--quiet")[0] == 0, "the first run")
    expect(f.rows("select user, amount from big") == [("ada", 7.0), ("ada", 12.5)], f"before: {f.rows('select * from big')}")
    open_windows = document(f.state("--json")[1])["keys"]
    f.save(f.text.replace("SELECT user, amount FROM STREAM events WHERE amount > 5", "SELECT concat(user, '!') AS user, amount FROM STREAM events WHERE amount > 3")
           .replace("count(*) AS n", "count(*) * 10 AS n"))
    f.write("e.jsonl", LATER, "a")
    code, said = f.run("-v")
    expect(code == 0 and "big has changed: rows from now on" in said, said)
    expect(f.rows("select user, amount from big") == [("ada", 7.0), ("ada", 12.5), ("ada!", 4.0), ("dan!", 9.0)], f"after: {f.rows('select * from big')}")
    counts = dict(f.rows("select s || ' ' || user, n from windows"))
    closed_before = {k: n for k, n in counts.items() if k < "2024-01-31 10:00:50"}
    closed_after = {k: n for k, n in counts.items() if k >= "2024-01-31 10:00:50"}
    expect(closed_before and set(closed_before.values()) == {1}, f"windows that had closed: {counts}")
    expect(len(closed_after) >= 2 and set(closed_after.values()) == {10}, f"windows that were open: {counts} ({open_windows} keys)")
    expect(f.rows("select user, total from spend") == [("ada", 23.5), ("bob", 3.0), ("dan", 9.0), ("eve", 4.0)], "a view beside it")


def test_unread_sum(root):
    """State is whole: a sum that the old query kept and did not show is right for the rows it had read."""
    f = Folder(os.path.join(root, "base"), PIPELINE.replace("SELECT window.start AS s, user, count(*) AS n FROM", "SELECT s, user, n FROM (SELECT window.start AS s, user, count(*) AS n, "
                                                            "CAST(sum(amount) AS BIGINT) AS total FROM").replace("window(at, '10 seconds'), user;", "window(at, '10 seconds'), user);"))
    expect(f.run("--quiet")[0] == 0, "the first run")
    closed = dict(f.rows("select s || ' ' || user, n from windows"))
    f.save(f.text.replace("SELECT s, user, n FROM", "SELECT s, user, total AS n FROM"))
    f.write("e.jsonl", LATER, "a")
    code, said = f.run("-v")
    expect(code == 0 and "windows has changed: rows from now on" in said, said)
    counts = {k: n for k, n in f.rows("select s || ' ' || user, n from windows") if k not in closed}
    expect(counts.get("2024-01-31 10:01:00 ada") == 7 and counts.get("2024-01-31 10:01:00 eve") == 4, f"sums of windows that were open: {counts}, before {closed}")


def test_refresh_and_strangers(root):
    """--full-refresh is a way out; another file's folder is not taken; a text that does not check is said as such."""
    f = Folder(os.path.join(root, "base"))
    expect(f.run("--quiet")[0] == 0, "the first run")
    file = f.save(f.text.replace("user, sum(amount) AS total", "user, sum(amount) AS total, max(amount) AS most"))
    expect(f.leat("check", file, "--against", f.data)[0] == 3 and f.run()[0] == 5, "a changed view")
    code, said = f.run("--full-refresh", "spend", "--quiet")
    expect(code == 0, f"the way out: exit {code}\n{said}")
    expect(f.rows("select user, most from spend") == [("ada", 12.5), ("bob", 3.0), ("eve", 4.0)], "built anew")
    expect(f.leat("check", file, "--against", f.data)[0] == 0, "unchanged since")
    stranger = f.save("CREATE TABLE e (user STRING) USING json OPTIONS (path 'e.jsonl');\nCREATE STREAMING TABLE other AS SELECT user FROM STREAM e;\n", "s.sql")
    code, said = f.leat("check", stranger, "--against", f.data)
    expect(code == 3 and "belongs to another pipeline" in said, said)
    wrong = f.save("CREATE STREAMING TABLE big AS SELECT nothing FROM STREAM events;\n", "w.sql")
    code, said = f.leat("check", wrong, "--against", f.data)
    expect(code == 3 and "error" in said, said)


JOINED = """
CREATE TABLE a (id INT, v INT, ts TIMESTAMP) USING json OPTIONS (path 'a.jsonl');
CREATE TABLE b (id INT, w INT, z INT, tb TIMESTAMP) USING json OPTIONS (path 'b.jsonl');
CREATE STREAMING TABLE j AS SELECT x.id AS id, x.v + 1 AS v, y.w AS w FROM STREAM a WATERMARK ts DELAY OF INTERVAL 10 SECONDS AS x
JOIN STREAM b WATERMARK tb DELAY OF INTERVAL 10 SECONDS AS y ON x.id = y.id AND y.tb >= x.ts AND y.tb <= x.ts + INTERVAL 1 MINUTE;
"""


def test_joins(root):
    """Two streams joined: columns over what is kept may change, and rows that waited still find their match; range, kind and kept columns may not."""
    f = Folder(os.path.join(root, "base"), JOINED)
    f.write("a.jsonl", "".join(f'{{"id":{i},"v":{i},"ts":"2024-01-01 10:00:0{i}"}}\n' for i in range(1, 6)))
    f.write("b.jsonl", '{"id":1,"w":10,"z":1,"tb":"2024-01-01 10:00:05"}\n')
    expect(f.run("--quiet")[0] == 0, "the first run")
    expect(f.rows("select id, v, w from j") == [(1, 2, 10)], "one pair")
    code, text = f.state("--json")
    join = [o for o in document(text)["operators"] if "oin" in o["operator"]]
    expect(code == 0 and len(join) == 1 and join[0]["keys"] == 6 and join[0]["bytes"] > 0, f"rows that wait: {text}")
    for old, new, wanted, words in (("INTERVAL 1 MINUTE", "INTERVAL 2 MINUTES", "no", "Join"), ("\nJOIN", "\nLEFT JOIN", "no", "Join LeftOuter"), ("y.w AS w", "y.z AS w", "no", "column w"),
                                    ("x.id = y.id AND", "x.id = y.id AND x.v = y.w AND", "no", "Join"), ("x.v + 1", "x.v + 100", "yes", "column v")):
        file = f.save(JOINED.replace(old, new), "q.sql")
        expect(new in f.text, f"the pipeline has no {old}")
        code, said = f.leat("check", file, "--against", f.data)
        expect(re.search(rf"^j: {wanted}", said, re.M) and words in said and code == (0 if wanted == "yes" else 3), f"{new}: exit {code}\n{said}")
    f.save(f.text)
    f.write("b.jsonl", '{"id":3,"w":30,"z":1,"tb":"2024-01-01 10:00:20"}\n', "a")
    code, said = f.run("-v")
    expect(code == 0 and "j has changed: rows from now on" in said, said)
    expect(f.rows("select id, v, w from j") == [(1, 2, 10), (3, 103, 30)], f"a row that waited: {f.rows('select * from j')}")


WATERMARKED = """
CREATE TABLE m USING generator OPTIONS (kind 'users', seed '1', partitions '2', rowsPerSecond '{rate}', numRows '{rows}');
CREATE STREAMING TABLE users AS SELECT CAST(value AS STRING) AS v FROM STREAM m;
CREATE MATERIALIZED VIEW per_value AS SELECT CAST(value AS STRING) AS v, count(*) AS n FROM m GROUP BY CAST(value AS STRING);
"""


def test_state(root):
    """Keys are as many as the table has rows, watermark and lag are those of the data, no value of a row is shown."""
    f = Folder(os.path.join(root, "base"))
    expect(f.run("--quiet")[0] == 0, "a run")
    before = content(f.data)
    code, text = f.state("--json")
    answer = document(text)
    expect(code == 0 and answer["epoch"] > 0 and answer["pid"] == 0 and answer["openEpoch"] == 0 and not answer["fileDiffers"], text)
    by_flow = {}
    for line in answer["operators"]:
        by_flow.setdefault(line["flow"], {})[line["operator"]] = line
    expect(set(by_flow) == {"spend", "windows", "told"}, f"flows with state: {sorted(by_flow)}")
    expect(by_flow["spend"]["Aggregate"]["keys"] == len(f.rows("select * from spend")) == 3, text)
    expect(by_flow["windows"]["Aggregate"]["keys"] == 4 - len(f.rows("select * from windows")), "open windows and closed ones are all there are")
    mark = by_flow["windows"]["Watermark"]
    expect(mark["watermark"] == "2024-01-31 10:00:55" and mark["newestEventTime"] == "2024-01-31 10:01:05", text)
    expect(by_flow["windows"]["Aggregate"]["firstEnds"] == "2024-01-31 10:01:10", text)
    expect(answer["keys"] == sum(o["keys"] for o in answer["operators"]) and answer["bytes"] == sum(o["bytes"] for o in answer["operators"]) > 0, "totals")
    code, text = f.state()
    expect(code == 0 and "as of epoch" in text and "10 s" in text and "big keeps no state" in text, text)
    expect(not re.search(r"\b(ada|bob|eve)\b", text), "a key is shown")
    code, text = f.leat("checkpoint", "show", f.data)
    expect(code == 0 and '{"e.jsonl":' in text and "store leat.db: epoch" in text and not re.search(r"\b(ada|bob|eve)\b", text), text)
    expect(content(f.data) == before, "looking has changed the folder")
    f.save(f.text + "-- changed\n")
    expect("has changed since" in f.state()[1], "a file that has changed is not said")


def test_running(root):
    """On a pipeline that runs and rotates its log all three answer every time; a killed one shows the epoch that is open; the next run goes on."""
    f = Folder(os.path.join(root, "base"), WATERMARKED.format(rate=0, rows=-1))
    answers, generations, epochs = 0, set(), set()
    with ended(f.start("--set", "leat.epoch.maxRows=4000")) as process:
        until = time.monotonic() + STOP_S
        while time.monotonic() < until and not (len(generations) > 2 and answers >= 12):
            expect(process.poll() is None, f"leat ended: {open(os.path.join(f.root, 'log'), encoding='utf-8').read()}")
            if not os.path.exists(os.path.join(f.data, "log", "00000001.journal")) and not generations:
                time.sleep(0.02)
                continue
            code, text = f.leat("checkpoint", "verify", f.data, "--json")
            expect(code == 0, f"verify while it runs: exit {code}\n{text}")
            generations.add(document(text)["newestGeneration"])
            code, text = f.leat("checkpoint", "show", f.data, "--json")
            expect(code == 0 and document(text)["pid"] == process.pid, f"show while it runs: exit {code}\n{text}")
            epochs.add(document(text)["epoch"])
            code, text = f.state("--json")
            expect(code == 0 or (not epochs - {0} and "no pipeline has started" in text), f"state while it runs: exit {code}\n{text}")
            code, text = f.leat("check", os.path.join(f.root, "p.sql"), "--against", f.data)
            expect(code == 0 and re.search(r"^users: (unchanged|new)", text, re.M), f"check while it runs: exit {code}\n{text}")
            answers += 1
        process.send_signal(signal.SIGKILL)
    expect(answers >= 12 and len(generations) > 2 and len(epochs) > 5, f"{answers} answers, generations {sorted(generations)}, {len(epochs)} epochs: the log did not move")
    before = content(f.data)
    code, text = f.leat("checkpoint", "show", f.data, "--json")
    shown = document(text)
    expect(code == 0 and shown["pid"] == 0 and shown["recoverable"], text[:2000])
    code, text = f.state("--json")
    state = document(text)
    expect(state["epoch"] == shown["epoch"] and state["openEpoch"] == (shown["open"]["epoch"] if shown["open"] else 0), "show and state differ")
    keys = [o["keys"] for o in state["operators"] if o["flow"] == "per_value"]
    in_table = f.rows("select count(*) from per_value")[0][0]
    open_rows = sum(r["end"] - r["begin"] for r in shown["open"]["ranges"]) if shown["open"] else 0
    expect(keys and keys[0] <= in_table <= keys[0] + open_rows, f"{keys} keys, {in_table} rows of the table, {open_rows} in the open epoch")
    after = {k: v for k, v in content(f.data).items() if "leat.db" not in k}
    expect(after == {k: v for k, v in before.items() if "leat.db" not in k}, "looking has changed the folder")
    f.save(WATERMARKED.format(rate=0, rows=1))  # a finished source: the run repairs and ends
    code, text = f.run("--quiet")
    expect(code == 0, f"the run after kill -9: exit {code}\n{text}")


def test_no_lock(root):
    """Looking never turns a start away, and a start finds nothing of it."""
    f = Folder(os.path.join(root, "base"))
    expect(f.run("--quiet")[0] == 0, "a run")
    script = f"while :; do {OPTIONS.leat} checkpoint show {f.data}; {OPTIONS.leat} checkpoint verify {f.data}; done >/dev/null 2>&1"
    with ended(subprocess.Popen(["bash", "-c", script], stdin=subprocess.DEVNULL)):
        for _ in range(25):
            code, text = f.run("--quiet")
            expect(code == 0, f"a start while somebody looks: exit {code}\n{text}")


def two_generations(root):
    """A folder with two generations and commits in both journals."""
    f = Folder(os.path.join(root, "base"))
    for i in range(3):
        if i:
            f.save(f.text + f"-- {i}\n")  # a changed text makes a snapshot
        expect(f.run("--quiet")[0] == 0, f"run {i}")
        f.write("e.jsonl", LATER, "a")
        expect(f.run("--quiet")[0] == 0, f"run {i}, more")
    names = sorted(os.listdir(os.path.join(f.data, "log")))
    expect(len(names) == 4, f"two generations were wanted: {names}")
    return f


def damage(path, rng):
    size = os.path.getsize(path)
    at = rng.randrange(size)
    how = rng.choice(["flip", "flip", "flip", "cut", "zero", "remove"])
    if how == "remove":
        os.unlink(path)
    elif how == "cut":
        os.truncate(path, at)
    else:
        with open(path, "r+b") as file:
            file.seek(at)
            old = file.read(8 if how == "zero" else 1)
            file.seek(at)
            file.write(bytes(len(old)) if how == "zero" else bytes([old[0] ^ (1 << rng.randrange(8))]))
    return f"{os.path.basename(path)}: {how} at byte {at} of {size}"


def original_begins_with(original, folder, name):
    """Is a file what it was, but for its end?"""
    with open(os.path.join(folder.data, "log", name), "rb") as file:
        left = file.read()
    return next(v[3] for p, v in original.items() if os.path.basename(p) == name).startswith(left)


def test_damage(root):
    """One or two files damaged anywhere: verify says which, at which byte, and what a start would use; a start does just that."""
    rng = random.Random(OPTIONS.seed)
    base = two_generations(root)
    seen = {"whole": 0, "previous": 0, "refused": 0, "damaged": 0}
    for n in range(OPTIONS.damages):
        f = base.copy(str(n))
        names = rng.sample(sorted(os.listdir(os.path.join(f.data, "log"))), 1 if n % 3 else 2)
        original = content(os.path.join(f.data, "log"))
        what = "; ".join(damage(os.path.join(f.data, "log", name), rng) for name in names)
        changed = {os.path.basename(p) for p, v in original.items() if not os.path.exists(p) or open(p, "rb").read() != v[3]}
        before = content(f.data)
        code, text = f.leat("checkpoint", "verify", f.data, "--json")
        report = document(text)
        bad = {x["name"] for x in report["files"] if x["state"] == "damaged"}
        torn = {x["name"] for x in report["files"] if x["state"] == "unfinished"}
        expect(bad | torn <= changed, f"{what}: said to be damaged: {bad | torn}")
        gone = {name for name in changed if not os.path.exists(os.path.join(f.data, "log", name))}
        # a journal that was cut between two records is a shorter journal: what it lost, the stores' records tell
        shorter = {name for name in changed - gone if name.endswith(".journal") and original_begins_with(original, f, name)}
        expect(changed - gone - shorter <= bad | torn, f"{what}: not met: {changed - bad - torn}\n{text}")
        expect(code == (1 if bad or not report["recoverable"] else 0), f"{what}: verify: exit {code}\n{text}")
        for x in report["files"]:
            if x["name"] in bad:
                expect(f"{x['name']}` is damaged at byte {x['atByte']}" in text, f"{what}: the place is not said\n{text}")
        state_code, state_text = f.state()
        expect(state_code == (0 if report["recoverable"] else 5), f"{what}: recoverable {report['recoverable']}, state: exit {state_code}\n{state_text}")
        check_code, check_text = f.leat("check", os.path.join(f.root, "p.sql"), "--against", f.data)
        expect((check_code == 5) == (not report["recoverable"]), f"{what}: check: exit {check_code}\n{check_text}")
        expect(content(f.data) == before, f"{what}: looking has changed the folder")
        run_code, ran = f.run()
        if not any(x["name"].endswith(".journal") for x in report["files"]):
            expect(run_code == 5, f"{what}: no journal is left; run: exit {run_code}\n{ran}")  # a log that is not there is a new one, and the stores know better
            seen["refused"] += 1
            shutil.rmtree(f.root)
            continue
        lost = "LEAT_LOG_CORRUPT" in ran or re.search(r"cannot open \S+/log/", ran) is not None
        expect(lost == (not report["recoverable"]), f"{what}: verify: recoverable {report['recoverable']}; run: exit {run_code}\n{ran}\n{text}")
        used_previous = report["recoverable"] and report["usedGeneration"] < report["newestGeneration"]
        expect(("the newest snapshot was damaged" in ran) == used_previous, f"{what}: which generation was used?\n{ran}\n{text}")
        seen["refused" if not report["recoverable"] else "previous" if used_previous else "whole"] += 1
        seen["damaged"] += bool(bad)
        shutil.rmtree(f.root)
    print(f"    {OPTIONS.damages} damages: {seen}", flush=True)
    expect(all(seen.values()) or OPTIONS.damages < 40, f"not every outcome was met: {seen}")


def checksum(data):
    name = ctypes.util.find_library("xxhash")
    expect(name, "libxxhash is not there; `make deps` installs it")
    library = ctypes.CDLL(name)
    library.XXH3_64bits_withSeed.restype = ctypes.c_uint64
    library.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    return library.XXH3_64bits_withSeed(data, len(data), 0).to_bytes(8, "little")


def set_version(path, version, head):
    with open(path, "r+b") as f:
        data = f.read(head)
        data = data[:8] + version.to_bytes(4, "little") + data[12:head]
        f.seek(0)
        f.write(data + checksum(data))


def test_versions(root):
    """A folder, a journal and a snapshot of a newer leat are said as such by every command, as by a run; with today's number all is well."""
    base = two_generations(root)
    log = sorted(os.listdir(os.path.join(base.data, "log")))
    places = [("pipeline", 28)] + [(os.path.join("log", name), 32) for name in log[-2:]]
    for name, head in places:
        for version, too_new in ((1, False), (2, True), (77, True)):
            f = base.copy(f"{os.path.basename(name)}-{version}")
            set_version(os.path.join(f.data, name), version, head)
            for words in (["checkpoint", "verify", f.data], ["checkpoint", "show", f.data], ["state", os.path.join(f.root, "p.sql"), "--data", f.data],
                          ["check", os.path.join(f.root, "p.sql"), "--against", f.data], ["run", os.path.join(f.root, "p.sql"), "--data", f.data, "--available-now"]):
                code, text = f.leat(*words)
                expect(code == (5 if too_new else 0) and ("LEAT_FORMAT_TOO_NEW" in text) == too_new, f"{name} of format {version}: {words[0]}: exit {code}\n{text}")
            shutil.rmtree(f.root)
    f = base.copy("older")  # no leat ever wrote format 0 of the folder: it is not taken for ours
    set_version(os.path.join(f.data, "pipeline"), 0, 28)
    for words in (["checkpoint", "show", f.data], ["run", os.path.join(f.root, "p.sql"), "--data", f.data, "--available-now"]):
        code, text = f.leat(*words)
        expect(code == 5, f"a folder of format 0: {words[0]}: exit {code}\n{text}")


def test_no_folder_of_ours(root):
    """No folder, an empty one, one of other things, a file, one that has lost its log, one that never ran."""
    f = Folder(os.path.join(root, "base"))
    file = os.path.join(f.root, "p.sql")
    empty, other, lost = (os.path.join(root, name) for name in ("empty", "other", "lost"))
    for path in (empty, other):
        os.makedirs(path)
    with open(os.path.join(other, "notes.txt"), "w", encoding="utf-8") as out:
        out.write("mine")
    expect(f.run("--quiet", "--data", lost)[0] == 0, "a run")
    shutil.rmtree(os.path.join(lost, "log"))
    places = [os.path.join(root, "nowhere"), empty, other, file, "/dev/null", os.path.join(root, "x" * 5000)]
    for place in places + [lost]:
        before = content(place) if os.path.isdir(place) else None
        for words in (["checkpoint", "verify", place], ["checkpoint", "show", place], ["state", file, "--data", place], ["check", file, "--against", place]):
            code, text = f.leat(*words)
            expect(code == 1 and "error" in text, f"{' '.join(words)[:200]}: exit {code}\n{text[:2000]}")
        expect(before is None or content(place) == before, f"{place}: something was made or changed")
    expect(not os.path.exists(places[0]), "a folder was made")
    for text in (b"", b"leat", b"leatpipe" + bytes(28), b"\xff" * 36, b"leatpipe" + bytes(4000)):
        with open(os.path.join(other, "pipeline"), "wb") as out:
            out.write(text)
        code, said = f.leat("checkpoint", "verify", other)
        expect(code == 1 and "LEAT_LOG_CORRUPT" in said, f"{text[:20]}: exit {code}\n{said}")
        code, said = f.leat("checkpoint", "show", other)
        expect(code == 5 and "LEAT_LOG_CORRUPT" in said, f"{text[:20]}: exit {code}\n{said}")


def test_usage(root):
    """Words that are wrong: exit 2, with the way to help; help begins with examples."""
    f = Folder(os.path.join(root, "base"))
    file = os.path.join(f.root, "p.sql")
    for words in (["state"], ["state", file, file], ["state", file, "--data"], ["state", file, "--sets", "a=1"], ["checkpoint"], ["checkpoint", "show"], ["checkpoint", "mend", f.data],
                  ["checkpoint", "verify", f.data, f.data], ["checkpoint", "verify", f.data, "--fix"], ["check", file, file, "--against", f.data], ["check", file, "--against"]):
        code, text = f.leat(*words)
        expect(code == 2 and "--help" in text, f"{words}: exit {code}\n{text}")
    for command in ("state", "checkpoint", "check"):
        code, text = f.leat(command, "--help")
        expect(code == 0 and f"\n  leat {command} " in text and all(len(line) <= 150 for line in text.split("\n")), text)


TESTS = [test_verdicts, test_taken_over, test_unread_sum, test_joins, test_refresh_and_strangers, test_state, test_running, test_no_lock, test_damage, test_versions, test_no_folder_of_ours, test_usage]


def main():
    global OPTIONS
    parser = argparse.ArgumentParser()
    parser.add_argument("--leat", default="build/leat")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--damages", type=int, default=100)
    parser.add_argument("names", nargs="*")
    OPTIONS = parser.parse_args()
    OPTIONS.leat = os.path.abspath(OPTIONS.leat)
    print(f"seed {OPTIONS.seed}", flush=True)
    passed = failed = 0
    for test in TESTS:
        name = test.__name__[len("test_"):]
        if OPTIONS.names and name not in OPTIONS.names:
            continue
        folder, began = tempfile.mkdtemp(prefix="leat-inspect-"), time.monotonic()
        try:
            test(folder)
            passed += 1
            print(f"{name:24} {time.monotonic() - began:6.1f} s", flush=True)
        except Exception as e:  # a failure of one test is no reason not to run the others
            failed += 1
            print(f"{name:24} failed: {e}", flush=True)
            if not isinstance(e, Failure):
                traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
