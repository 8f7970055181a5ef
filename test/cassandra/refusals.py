# SPDX-License-Identifier: Apache-2.0
"""What cannot be right is refused before a row is written: with the reason, and the CQL or SQL that mends it. What goes wrong later is named, and
the data is safe."""
import os
import re

from harness import expect
from suite import Suite, events, properties, write_rows


class Refusals(Suite):
    def of_table(self, columns, query="SELECT id, k, v, note FROM STREAM events", key="id", kind="STREAMING TABLE", keyspace=None, **more):
        """A pipeline over ten rows into a table of these columns (None: there is no table)."""
        keyspace = keyspace or self.keyspace()
        folder = self.folder()
        self.target = f"target_{self.made}"
        if columns:
            self.session.execute(f"CREATE TABLE {keyspace}.{self.target} ({columns})")
        write_rows(os.path.join(folder, "events.json"), events(0, 10))
        given = properties({**self.place(keyspace, table=self.target), **more, **({"key": key} if key else {})})
        sql = (f"CREATE TABLE events (id INT, k STRING, v BIGINT, note STRING) USING json OPTIONS (path 'events.json');\n"
               f"CREATE {kind} target USING cassandra TBLPROPERTIES ({given}) AS {query};\n")
        return keyspace, self.pipeline(sql, folder=folder)

    def test_tables(self):
        """Each wrong table, its exit status and its words."""
        list_table = "id int PRIMARY KEY, k text, v bigint, note text, tags list<text>"
        tagged = "SELECT id, k, v, note, array(k) AS tags FROM STREAM events"
        cases = {
            "no table": (None, {}, ["TABLE_OR_VIEW_NOT_FOUND", "CREATE TABLE IF NOT EXISTS", "(id int, k text, v bigint, note text, PRIMARY KEY ((id)))", "leat.create"]),
            "no column": ("id int PRIMARY KEY, k text, v bigint", {}, ["LEAT_TARGET_MISMATCH", "no column `note`", "ADD note text"]),
            "type": ("id int PRIMARY KEY, k text, v int, note text", {}, ["LEAT_TYPE_NOT_STORABLE", "`v`", "BIGINT", "CAST(v AS INT)"]),
            "key": ("id int, k text, v bigint, note text, PRIMARY KEY (id, k)", {}, ["LEAT_TARGET_MISMATCH", "(id, k)", "(id)", "key = 'id, k'"]),
            "smaller key": ("id int PRIMARY KEY, k text, v bigint, note text", {"key": "id, k"}, ["LEAT_TARGET_MISMATCH", "(id, k)"]),
            "list": (list_table, {"query": tagged}, ["list<text>", "not frozen", "frozen<list<text>>"]),
            "set": (list_table.replace("list<", "set<"), {"query": tagged}, ["set<text>", "not frozen"]),
            "counter": ("id int, k text, v counter, PRIMARY KEY (id, k)", {"query": "SELECT id, k, v FROM STREAM events", "key": "id, k"}, ["counter"]),
            "static": ("id int, k text, v bigint, note text static, PRIMARY KEY (id, k)", {"key": "id, k"}, ["static"]),
            "case": ('"ID" int PRIMARY KEY, id2 int, k text, v bigint, note text', {}, None),
            "streaming without key": ("id int PRIMARY KEY, k text, v bigint, note text", {"key": None}, ["key = 'id'", "LEAT_TARGET_MISMATCH"]),
            "one row": ("id int PRIMARY KEY, n bigint", {"key": None, "kind": "MATERIALIZED VIEW", "query": "SELECT count(*) AS n FROM events"}, ["tell them apart", "GROUP BY"]),
            "void": ("id int PRIMARY KEY, n text", {"query": "SELECT id, NULL AS n FROM STREAM events"}, None),
            "void, made": (None, {"query": "SELECT id, NULL AS n FROM STREAM events", "leat.create": "true"}, ["LEAT_TYPE_NOT_STORABLE", "`n`", "AS STRING"]),
        }
        keyspace = self.keyspace()
        for name, (columns, more, words) in cases.items():
            _, p = self.of_table(columns, keyspace=keyspace, **more)
            if words is None:
                p.run_to_end()
                expect(self.count(keyspace, self.target) == 10, f"{name}: {self.count(keyspace, 'target')} rows")
                continue
            try:
                self.expect_refused(p, *words)
            except Exception as e:
                raise type(e)(f"{name}: {e}") from e
            expect(columns is None or self.count(keyspace, self.target) == 0, f"{name}: rows were written")
        return f"{len(cases)} tables"

    def test_mended(self):
        """The CQL that an error prints is what it takes."""
        keyspace, p = self.of_table(None)
        text = " ".join(self.expect_refused(p, "CREATE TABLE").split())
        self.session.execute(re.search(r"CREATE TABLE IF NOT EXISTS .*\)\)\)", text)[0])
        p.run_to_end()
        expect(self.count(keyspace, self.target) == 10, "not all rows")
        keyspace, p = self.of_table("id int PRIMARY KEY, k text, v bigint")
        text = " ".join(self.expect_refused(p, "ALTER TABLE").split())
        self.session.execute(re.search(r"ALTER TABLE [^;]*", text)[0])
        p.run_to_end()
        expect(self.count(keyspace, self.target) == 10, "not all rows")
        return "2 statements"

    def test_keyspaces(self):
        _, p = self.of_table(None, keyspace=self.keyspace())
        sql = open(p.file, encoding="utf-8").read()
        p.write(re.sub(r"'keyspace' = '[^']*'", "'keyspace' = 'no_such_keyspace_anywhere'", sql))
        self.expect_refused(p, "SCHEMA_NOT_FOUND", "CREATE KEYSPACE IF NOT EXISTS no_such_keyspace_anywhere")
        return "1 keyspace"

    def test_options(self):
        """Offline: leat check says them too."""
        keyspace = self.keyspace()
        for more, words, code in (({"consistency": "MOST"}, ["consistency", "LOCAL_QUORUM"], None), ({"port": "70000"}, ["port"], None), ({"ttl": "never"}, ["ttl"], None),
                                  ({"user": "ada"}, ["password"], None), ({"batch": "all"}, ["batch"], None), ({"keyspce": "x"}, ["keyspace"], None)):
            _, p = self.of_table(None, **{"keyspace": keyspace, **more})
            process, found = p.run(seconds=60)
            expect(found in (2, 3) and all(w in process.errors() for w in words), lambda: f"{more}: exit {found}, not {code}\n{process.text()}")
        return "6 options"

    def test_column_dropped(self):
        """While rows are written: a clear end, nothing lost; with the column back the epoch is finished."""
        keyspace = self.keyspace()
        p = self.counting(keyspace, events(0, 300))
        path = os.path.join(p.folder, "events.json")
        process = p.start()
        self.wait_for("the first rows", keyspace, "copied", 300, process)
        self.session.execute(f"ALTER TABLE {keyspace}.copied DROP note")
        write_rows(path, events(300, 300), "a")
        code = process.wait(60)
        text = " ".join(process.errors().split())
        expect(code == 3, lambda: f"exit {code}\n{process.text()}")
        expect("no column `note`" in text and "ADD note text" in text, lambda: process.text())
        self.session.execute(f"ALTER TABLE {keyspace}.copied ADD note text")
        p.run_to_end()
        # What the column held before it was dropped is gone, as it is for everybody; the rest is whole.
        found = {r[0]: r for r in self.session.execute(f"SELECT id, k, v, note FROM {keyspace}.copied")}
        expect(len(found) == 600 and all(found[r["id"]] == (r["id"], r["k"], r["v"], r["note"]) for r in events(300, 300)), "rows after the drop are not whole")
        return "exit 3, then finished"

    def test_table_dropped(self):
        keyspace = self.keyspace()
        p = self.counting(keyspace, events(0, 300))
        process = p.start()
        self.wait_for("the first rows", keyspace, "copied", 300, process)
        self.session.execute(f"DROP TABLE {keyspace}.copied")
        write_rows(os.path.join(p.folder, "events.json"), events(300, 300), "a")
        code = process.wait(60)
        expect(code == 3 and "TABLE_OR_VIEW_NOT_FOUND" in process.errors(), lambda: f"exit {code}\n{process.text()}")
        return "exit 3"

    def test_table_made_anew(self):
        """Dropped and made again while rows are written, with a column of another type that takes the same values: no row is dead, none is lost."""
        keyspace = self.keyspace()
        p = self.counting(keyspace, events(0, 300))
        process = p.start()
        self.wait_for("the first rows", keyspace, "copied", 300, process)
        self.session.execute(f"DROP TABLE {keyspace}.copied")
        self.session.execute(f"CREATE TABLE {keyspace}.copied (id int PRIMARY KEY, k text, v varint, note text)")
        write_rows(os.path.join(p.folder, "events.json"), events(300, 300), "a")
        code = process.wait(60)
        expect(code == 1 and "other types" in process.errors(), lambda: f"exit {code}\n{process.text()}")
        expect(p.dead() == [], lambda: f"{p.dead()[:3]}")
        p.run_to_end()
        found = sorted(self.session.execute(f"SELECT id, k, v, note FROM {keyspace}.copied"))
        wanted = sorted((r["id"], r["k"], r["v"], r["note"]) for r in events(300, 300))
        expect(found == wanted, f"{len(found)} rows, not the 300 after it was made anew")
        return "exit 1, then finished"
