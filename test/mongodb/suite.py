# SPDX-License-Identifier: Apache-2.0
"""What the tests share: databases and pipelines with names of their own, the SQL they are written in, and what must come out."""
import json
import os
import re

from harness import Pipeline, expect, expect_same_rows

SHORT_EPOCHS = "leat.epoch.maxBytes=16k"  # some 450 of the numbered rows


def kinds(*names):
    """Which servers a test is for: replica (without this mark), standalone, secured."""
    def mark(method):
        method.kinds = names
        return method
    return mark


def quoted(text):
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def properties(given):
    return ", ".join(f"{quoted(k)} = {quoted(v)}" for k, v in given.items() if v is not None)


def table(name, query, **options):
    return f"CREATE STREAMING TABLE {name} USING mongodb TBLPROPERTIES ({properties(options)}) AS {query};\n"


def view(name, query, **options):
    return f"CREATE MATERIALIZED VIEW {name} USING mongodb TBLPROPERTIES ({properties(options)}) AS {query};\n"


class Suite:
    def __init__(self, options, root, server):
        self.leat, self.long, self.root, self.server = options.leat, options.long, root, server
        self.client = server.client()
        self.random, self.test, self.made, self.pipelines = None, "", 0, []

    def database(self):
        """One that is empty, and the options of a table in it."""
        self.made += 1
        name = f"{re.sub(r'[^a-z0-9]+', '_', self.test.lower())[:40]}_{self.made}"
        self.client.drop_database(name)
        return self.client[name], self.at(name)

    def at(self, name, **more):
        return {"connection.uri": self.server.uri(), "database": name, **more}

    def pipeline(self, sql, *settings, environment=None):
        self.made += 1
        p = Pipeline(self.leat, os.path.join(self.root, f"{self.server.kind}-{self.test}-{self.made}"), sql, *settings, environment=environment)
        self.pipelines.append(p)
        return p

    def end(self):
        for p in self.pipelines:
            p.end_all()
        self.pipelines = []

    def events(self, rows):
        """A file of JSON lines, and the declaration of a table over it."""
        self.made += 1
        path = os.path.join(self.root, f"events-{self.server.kind}-{self.test}-{self.made}.jsonl")
        self.append(path, rows)
        return path

    @staticmethod
    def append(path, rows):
        with open(path, "a", encoding="utf-8") as f:
            f.writelines(json.dumps(r) + "\n" for r in rows)

    @staticmethod
    def source(path, columns, name="events"):
        return f"CREATE TABLE {name} ({columns}) USING json OPTIONS (path {quoted(path)});\n"

    # ---- the pipeline that most tests run: every row once, and state over all rows ----

    def counting(self, path, options):
        return (self.source(path, "id BIGINT, k STRING, v BIGINT") + table("kept", "SELECT id, k, v FROM STREAM events", **options) +
                view("per_key", "SELECT k, count(*) AS n, sum(v) AS total FROM events GROUP BY k HAVING sum(v) % 3 <> 0", **options))

    @staticmethod
    def numbered(count, first=0):
        return [{"id": i, "k": f"k{i * 7 % 37}", "v": i} for i in range(first, first + count)]

    @staticmethod
    def per_key(rows):
        found = {}
        for r in rows:
            n, total = found.get(r["k"], (0, 0))
            found[r["k"]] = n + 1, total + r["v"]
        return sorted((k, n, total) for k, (n, total) in found.items() if total % 3)

    def expect_counted(self, database, rows, what):
        kept = sorted((d["id"], d["k"], d["v"]) for d in database.kept.find())
        expect_same_rows(kept, [(r["id"], r["k"], r["v"]) for r in rows], f"{what}: kept")
        expect(len({repr(d["_id"]) for d in database.kept.find({}, {"_id": 1})}) == len(rows), f"{what}: an _id comes twice")
        expect_same_rows(sorted((d["k"], d["n"], d["total"]) for d in database.per_key.find()), self.per_key(rows), f"{what}: per_key")
        expect(all(d["_id"] == d["k"] for d in database.per_key.find()), f"{what}: an _id of per_key is not the key")

    def expect_records(self, database, lanes=2):
        records = list(database.leat_pipeline.find({"lane": {"$exists": True}}))
        expect(len(records) == lanes, f"{len(records)} records, not {lanes}")
        expect(len({(r["epoch"], r["digest"]) for r in records}) == 1, f"the lanes are at different epochs: {records}")
        return records[0]["epoch"]
