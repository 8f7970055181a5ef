# SPDX-License-Identifier: Apache-2.0
"""A table of Cassandra, read: by leat sql, with every type, in many pages; and as the side of a join that is read whole."""
import csv
import io
import os

from harness import expect
from suite import Suite, properties, quoted, write_rows


class Sources(Suite):
    def create(self, name, keyspace, columns="", **more):
        given = ", ".join(f"{quoted(k)} {quoted(v)}" for k, v in {**self.place(keyspace), **more}.items())
        return f"CREATE TABLE {name} {columns} USING cassandra OPTIONS ({given});\n"

    def query(self, sql):
        """Rows of `leat sql`, as text."""
        p = self.pipeline("")
        code, out, err = p.ask(sql)
        expect(code == 0, lambda: f"exit {code}\n{err}")
        return list(csv.reader(io.StringIO(out)))

    def test_read_types(self):
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TYPE {keyspace}.pair (a int, \"B\" text)")
        self.session.execute(f"CREATE TABLE {keyspace}.every (id int PRIMARY KEY, ti tinyint, si smallint, bi bigint, f float, d double, de decimal, vi varint, t text, u uuid, i inet, "
                             "b blob, bo boolean, da date, ts timestamp, tm time, du duration, l list<int>, s set<text>, m map<text, int>, tu tuple<int, text>, p frozen<pair>, "
                             "ve vector<float, 2>)")
        values = ("1, -128, -32768, -9223372036854775808, 1.5, 0.1, 12.340, 99999999999999999999999999999999999999, 'é🙂', 00000000-0000-4000-8000-000000000001, '::1', "
                  "0x00ff, true, '2024-02-29', '2024-02-29 12:34:56.789Z', '12:00:00', 1y2mo3d4h, [1, 2], {'b', 'a'}, {'k': 1}, (1, 'x'), {a: 1, \"B\": 'y'}, [1.5, -2]")
        names = "id, ti, si, bi, f, d, de, vi, t, u, i, b, bo, da, ts, tm, du, l, s, m, tu, p, ve"
        self.session.execute(f"INSERT INTO {keyspace}.every ({names}) VALUES ({values})")
        self.session.execute(f"INSERT INTO {keyspace}.every (id) VALUES (2)")
        sql = self.create("every", keyspace) + f"SELECT id, ti, si, bi, f, d, de, vi, t, u, i, hex(b) AS b, bo, da, ts, tm, du, l, s, m, tu, p, p.B AS pb, ve FROM every ORDER BY id"
        found = self.query(sql)
        wanted = ["1", "-128", "-32768", "-9223372036854775808", "1.5", "0.1", "12.340000000000000000", "9" * 38, "é🙂", "00000000-0000-4000-8000-000000000001", "::1",
                  "00FF", "true", "2024-02-29", "2024-02-29 12:34:56.789", "43200000000000", "1y2mo3d4h", "[1, 2]", "[a, b]", "{k -> 1}", "{1, x}", "{1, y}", "y", "[1.5, -2.0]"]
        expect(found[1] == wanted, lambda: "\n".join(f"{n}: {a!r}, not {b!r}" for n, a, b in zip(found[0], found[1], wanted) if a != b))
        expect(len(found) == 3 and found[2][0] == "2", f"{found[2:]}")
        return f"{len(wanted)} values"

    def test_read_many(self):
        """More rows than a page, over all token ranges: each once. Wanted columns alone are asked for."""
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.many (a text, b int, v bigint, pad text, PRIMARY KEY (a, b))")
        insert = self.session.prepare(f"INSERT INTO {keyspace}.many (a, b, v, pad) VALUES (?, ?, ?, ?)")
        from cassandra.concurrent import execute_concurrent_with_args
        count = 6000
        execute_concurrent_with_args(self.session, insert, [(f"key {i % 500}", i, i, "x" * 20) for i in range(count)], concurrency=100)
        sql = self.create("many", keyspace, pageRows=100)
        found = self.query(sql + "SELECT count(*), count(DISTINCT b), sum(v), min(v), max(v), count(DISTINCT a) FROM many")
        expect(found[1] == [str(count), str(count), str(count * (count - 1) // 2), "0", str(count - 1), "500"], f"{found}")
        found = self.query(sql + "SELECT count(*) FROM many")
        expect(found[1] == [str(count)], f"{found}")
        found = self.query(sql + "SELECT v FROM many WHERE a = 'key 7' AND b = 507")
        expect(found[1:] == [["507"]], f"{found}")
        return f"{count} rows"

    def test_dead_values(self):
        """A decimal with no place in DECIMAL(38,18) is an error that names the column; declared as STRING it is read."""
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.odd (id int PRIMARY KEY, d decimal)")
        huge = "1" * 60 + ".5"
        self.session.execute(f"INSERT INTO {keyspace}.odd (id, d) VALUES (1, {huge})")
        p = self.pipeline("")
        code, _, err = p.ask(self.create("odd", keyspace) + "SELECT * FROM odd")
        expect(code != 0 and "`d`" in err, lambda: f"exit {code}\n{err}")
        found = self.query(self.create("odd", keyspace, "(id INT, d STRING)") + "SELECT d FROM odd")
        expect(found[1:] == [[huge]], f"{found}")
        return "named, then read as text"

    def test_static_side(self):
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.names (id int PRIMARY KEY, name text)")
        for i in range(50):
            self.session.execute(f"INSERT INTO {keyspace}.names (id, name) VALUES ({i}, 'name {i}')")
        folder = self.folder()
        write_rows(os.path.join(folder, "events.json"), [{"id": i % 60, "v": i} for i in range(600)])
        place = properties({**self.place(keyspace, table="joined"), "leat.create": "true"})
        sql = ("CREATE TABLE events (id INT, v BIGINT) USING json OPTIONS (path 'events.json');\n" + self.create("names", keyspace) +
               f"CREATE STREAMING TABLE joined USING cassandra TBLPROPERTIES ({place}, key = 'v') AS SELECT e.v, n.name FROM STREAM events e JOIN names n ON e.id = n.id;\n")
        p = self.pipeline(sql, "leat.epoch.maxBytes=2000", folder=folder)
        p.run_to_end()
        found = sorted(self.session.execute(f"SELECT v, name FROM {keyspace}.joined"))
        expect(found == sorted((i, f"name {i % 60}") for i in range(600) if i % 60 < 50), f"{len(found)} rows")
        return f"{len(found)} rows joined"

    def test_read_refused(self):
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.names (id int PRIMARY KEY, name text)")
        for sql, words in ((self.create("nmes", keyspace) + "SELECT * FROM nmes", ["did you mean `names`"]),
                           (self.create("names", "no_such_keyspace") + "SELECT * FROM names", ["SCHEMA_NOT_FOUND"]),
                           (self.create("names", keyspace, "(id INT, nam STRING)") + "SELECT * FROM names", ["did you mean `name`"]),
                           (self.create("names", keyspace, "(id STRING, name STRING)") + "SELECT * FROM names", ["INT", "STRING"])):
            code, _, err = self.pipeline("").ask(sql)
            expect(code not in (0, None) and all(w in err for w in words), lambda: f"{sql}: exit {code}\n{err}")
        p = self.pipeline(self.create("names", keyspace) + "CREATE STREAMING TABLE t AS SELECT * FROM STREAM names;\n")
        self.expect_refused(p, "LEAT_SOURCE_NOT_STREAMABLE")
        return "5 refusals"
