# SPDX-License-Identifier: Apache-2.0
"""What the suites share: a server, a keyspace for each test, rows in files, pipelines, and the SQL they are written in.

The source is a file of JSON lines: it grows as a test wants it to, and gives the same rows again after every kill.
"""
import json
import os
import re
import threading
import time

from harness import Pipeline, expect, expect_same_rows, wait_until

EPOCH_BYTES = 24000  # about 500 rows
RECOVERY_S = 90
EVENTS = "id INT, k STRING, v BIGINT, note STRING"


def on(*servers):
    """Which servers a test is for: `one` (a node without a login; without this mark), `login` (login and TLS), `ring` (three nodes)."""
    def mark(method):
        method.servers = servers
        return method
    return mark


def quoted(text):
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def properties(given):
    return ", ".join(f"{quoted(k)} = {quoted(v)}" for k, v in given.items() if v is not None)


def event(i):
    """Row i of the tests that count: a key of forty, a number that is i, NULL now and then."""
    return {"id": i, "k": f"k{i % 40}", "v": i, "note": None if i % 7 == 3 else f"note {i} é🙂"}


def events(first, count):
    return [event(i) for i in range(first, first + count)]


# What `totals` must say of these rows: it changes with most of them, `note` turns NULL and back, groups leave by HAVING.
def totals_of(rows):
    groups = {}
    for r in rows:
        groups.setdefault(r["k"], []).append(r)
    found = []
    for k, members in groups.items():
        total = sum(r["v"] for r in members)
        if total % 5 != 4:
            last = max(members, key=lambda r: r["id"])
            found.append((k, last["note"], len(members), total))
    return sorted(found, key=repr)


TOTALS = "SELECT k, max_by(note, id) AS note, count(*) AS n, sum(v) AS total FROM events GROUP BY k HAVING sum(v) % 5 != 4"


class Suite:
    def __init__(self, options, root, rng, server, kind):
        self.leat, self.long, self.random = options.leat, options.long, rng
        self.root, self.server, self.kind = root, server, kind
        self.test, self.made, self.pipelines = "", 0, []
        self.session = None

    def begin(self, name):
        self.test = name
        self.session = self.server.connect()

    def end(self):
        for p in self.pipelines:
            p.end_all()
        self.pipelines = []
        self.server.disconnect()

    # ---- names ----

    def keyspace(self, replicas=1):
        self.made += 1
        name = re.sub(r"[^a-z0-9]+", "_", f"t_{self.test}_{self.made}")[:40]
        self.session.execute(f"CREATE KEYSPACE {name} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': {replicas}}}")
        return name

    def place(self, keyspace, **more):
        return {"host": "127.0.0.1", "port": self.server.port, "keyspace": keyspace, **{k.replace("__", "."): v for k, v in more.items()}}

    def folder(self):
        self.made += 1
        path = os.path.join(self.root, f"{self.kind}-{self.test}-{self.made}")
        os.makedirs(path)
        return path

    def pipeline(self, sql, *settings, folder=None, environment=None):
        p = Pipeline(self.leat, folder or self.folder(), sql, *settings, environment=environment)
        self.pipelines.append(p)
        return p

    def counting(self, keyspace, rows, *settings, place=None, **more):
        """events → `copied` (a row each), `totals` (a materialized view): both in Cassandra, made by leat.create."""
        folder = self.folder()
        given = {**(place or self.place(keyspace)), "leat.create": "true", **more}
        write_rows(os.path.join(folder, "events.json"), rows)
        sql = (f"CREATE TABLE events ({EVENTS}) USING json OPTIONS (path 'events.json');\n"
               f"CREATE STREAMING TABLE copied USING cassandra TBLPROPERTIES ({properties(given)}, key = 'id') AS SELECT id, k, v, note FROM STREAM events;\n"
               f"CREATE MATERIALIZED VIEW totals USING cassandra TBLPROPERTIES ({properties(given)}) AS {TOTALS};\n")
        return self.pipeline(sql, f"leat.epoch.maxBytes={EPOCH_BYTES}", *settings, folder=folder)

    # ---- what is there ----

    def rows(self, keyspace, table, columns="*"):
        return sorted(self.session.execute(f"SELECT {columns} FROM {keyspace}.{table}"), key=repr)

    def count(self, keyspace, table):
        """0 where there is no such table yet."""
        try:
            return self.session.execute(f"SELECT count(*) FROM {keyspace}.{table}").one()[0]
        except Exception:  # of many classes: not made yet, not up
            return 0

    def expect_counted(self, p, keyspace, rows, what):
        wanted = sorted(((r["id"], r["k"], r["v"], r["note"]) for r in rows), key=repr)
        expect_same_rows(self.rows(keyspace, "copied", "id, k, v, note"), wanted, f"{what}: copied")
        expect_same_rows(self.rows(keyspace, "totals", "k, note, n, total"), sorted(totals_of(rows), key=repr), f"{what}: totals")
        p.expect_balanced()

    def expect_refused(self, p, *words, code=3, flags=()):
        """leat run ends with this status and says these things."""
        process, found = p.run(*flags, seconds=60)
        text = process.errors()
        expect(found == code, lambda: f"exit {found}, not {code}\n{process.text()}")
        flat = " ".join(text.split())
        for word in words:
            expect(word in flat, lambda: f"the error does not say {word!r}:\n{text}")
        return text

    def wait_for(self, what, keyspace, table, count, process, seconds=RECOVERY_S):
        return wait_until(what, lambda: self.count(keyspace, table) >= count, seconds, process)


def write_rows(path, rows, mode="w"):
    with open(path, mode, encoding="utf-8") as f:
        f.write("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows))


class Trickle:
    """Rows that keep coming into a file while a test does something else."""

    def __init__(self, path, first, per_second):
        self.path, self.next, self.per_second = path, first, per_second
        self.rows, self.stopping = [], False
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.stopping:
            count = max(1, self.per_second // 20)
            more = events(self.next, count)
            write_rows(self.path, more, "a")
            self.rows += more
            self.next += count
            time.sleep(0.05)

    def __enter__(self):
        self.thread.start()
        return self

    def finish(self):
        self.stopping = True
        self.thread.join()
        return self.rows

    def __exit__(self, *_):
        self.finish()
