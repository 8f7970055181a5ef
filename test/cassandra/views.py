# SPDX-License-Identifier: Apache-2.0
"""Materialized views kept in Cassandra: rows change, turn a column NULL, leave and come back; tables built anew; people who meddle."""
import os

from harness import expect
from suite import Suite, events, properties, totals_of, write_rows


class Views(Suite):
    def path(self, p):
        return os.path.join(p.folder, "events.json")

    def test_view_changes(self):
        """Run after run over a file that grows: after each the view equals its query over everything so far."""
        keyspace = self.keyspace()
        rows = events(0, 40)
        p = self.counting(keyspace, rows)
        seen_null = gone = 0
        before = set()
        for _ in range(6):
            p.run_to_end()
            self.expect_counted(p, keyspace, rows, f"{len(rows)} rows")
            now = {r[0] for r in totals_of(rows)}
            gone += len(before - now)
            seen_null += sum(1 for r in totals_of(rows) if r[1] is None)
            before = now
            more = events(len(rows), 37)
            write_rows(self.path(p), more, "a")
            rows = rows + more
        expect(gone > 3 and seen_null > 3, f"{gone} groups left, {seen_null} notes were NULL: too few to show anything")
        return f"{gone} groups left, {seen_null} NULLs"

    def test_null_groups(self):
        """A group whose key is NULL is one row in SQL and none in Cassandra: a dead row while it is there, through changes, leaving and coming back."""
        keyspace = self.keyspace()
        rows = [{**r, "k": None if r["id"] % 5 == 0 else r["k"]} for r in events(0, 60)]
        p = self.counting(keyspace, rows)
        seen = set()
        for _ in range(5):
            p.run_to_end()
            wanted = sorted((t for t in totals_of(rows) if t[0] is not None), key=repr)
            found = self.rows(keyspace, "totals", "k, note, n, total")
            expect(found == wanted, lambda: f"{len(rows)} rows: {found} are there, not {wanted}")
            expect(self.count(keyspace, "copied") == len(rows), "not all rows were copied")
            dead = p.dead()
            expect(all(d[3] == "LEAT_NULL_KEY" for d in dead), lambda: f"{dead}")
            seen.add((any(t[0] is None for t in totals_of(rows)), bool(dead)))
            p.expect_balanced()
            more = [{**r, "k": None if r["id"] % 5 == 0 else r["k"]} for r in events(len(rows), 21)]
            write_rows(self.path(p), more, "a")
            rows = rows + more
        expect((True, True) in seen, f"{seen}: no NULL group was there")
        return f"{len(rows)} rows, {len(p.dead())} dead"

    def test_deleted_by_hand(self):
        """A row that a person deletes or changes comes back with its next change."""
        keyspace = self.keyspace()
        rows = events(0, 200)
        p = self.counting(keyspace, rows)
        p.run_to_end()
        self.session.execute(f"DELETE FROM {keyspace}.totals WHERE k = 'k0'")
        self.session.execute(f"UPDATE {keyspace}.totals SET note = 'meddled', n = 7 WHERE k = 'k1'")
        more = events(200, 120)
        write_rows(self.path(p), more, "a")
        p.run_to_end()
        self.expect_counted(p, keyspace, rows + more, "after a person's hand")
        return "2 rows put right"

    def test_full_refresh(self):
        """--full-refresh empties both tables first: what was put there by others is gone, what is computed is there once."""
        keyspace = self.keyspace()
        rows = events(0, 700)
        p = self.counting(keyspace, rows)
        p.run_to_end()
        self.session.execute(f"INSERT INTO {keyspace}.totals (k, n) VALUES ('stranger', 1)")
        self.session.execute(f"INSERT INTO {keyspace}.copied (id, k) VALUES (-5, 'stranger')")
        p.run_to_end("--full-refresh", "totals")
        expect(self.count(keyspace, "copied") == 701, "the other table was touched")
        expect(("stranger",) not in self.rows(keyspace, "totals", "k"), "the stranger is still there")
        p.run_to_end("--full-refresh-all")
        self.expect_counted(p, keyspace, rows, "built anew")
        for point in ("cassandra.truncate=kill:1", "cassandra.truncate=kill:2", "cassandra.committed=kill:1"):
            process, code = p.run("--full-refresh-all", failpoint=point)
            expect(code == -9, lambda: f"{point}: exit {code}\n{process.text()}")
        more = events(700, 600)
        write_rows(self.path(p), more, "a")
        p.run_to_end()
        self.expect_counted(p, keyspace, rows + more, "killed while it was built anew")
        return "5 refreshes, 3 kills"

    def test_not_empty(self):
        """A view's target with rows in it is refused; leat.replace empties it."""
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.totals (k text PRIMARY KEY, note text, n bigint, total bigint)")
        self.session.execute(f"INSERT INTO {keyspace}.totals (k, n) VALUES ('stranger', 1)")
        rows = events(0, 100)
        p = self.counting(keyspace, rows)
        self.expect_refused(p, "LEAT_TARGET_NOT_EMPTY", "leat.replace", code=5)
        replacing = self.counting(keyspace, rows, **{"leat.replace": "true"})
        replacing.run_to_end()
        self.expect_counted(replacing, keyspace, rows, "leat.replace")
        return "refused, then replaced"

    def test_two_stores(self):
        """Two keyspaces are two stores, and the catalog a third: a kill between their commits leaves nothing behind."""
        first, second = self.keyspace(), self.keyspace()
        rows = events(0, 3000)
        folder = self.folder()
        write_rows(os.path.join(folder, "events.json"), rows)
        sql = "CREATE TABLE events (id INT, k STRING, v BIGINT, note STRING) USING json OPTIONS (path 'events.json');\n"
        for i, keyspace in enumerate((first, second)):
            given = properties({**self.place(keyspace, table="copied"), "leat.create": "true"})
            sql += f"CREATE STREAMING TABLE copied{i} USING cassandra TBLPROPERTIES ({given}, key = 'id') AS SELECT id, k, v, note FROM STREAM events;\n"
        sql += "CREATE STREAMING TABLE kept AS SELECT id FROM STREAM events;\n"
        p = self.pipeline(sql, "leat.epoch.maxBytes=24000", folder=folder)
        for passage in (1, 2, 3, 2):
            process, code = p.run(failpoint=f"epoch.between_commits=kill:{passage}")
            expect(code == -9, lambda: f"exit {code}\n{process.text()}")
        p.run_to_end()
        wanted = sorted(((r["id"], r["k"], r["v"], r["note"]) for r in rows), key=repr)
        for keyspace in (first, second):
            expect(self.rows(keyspace, "copied", "id, k, v, note") == wanted, f"{keyspace} differs")
        expect(p.count("kept") == 3000, f"{p.count('kept')} rows in the catalog")
        return "4 kills between commits"
