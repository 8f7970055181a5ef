# SPDX-License-Identifier: Apache-2.0
"""Every type, value by value, as the independent client reads it, and back through leat."""
import csv
import datetime
import io
import json
from decimal import Decimal

from bson import BSON, Binary, Decimal128, Int64
from harness import EXIT_CHECK, expect
from suite import Suite, kinds, table, view

UTC, LARGEST = datetime.timezone.utc, 16 << 20
MINIMUM, MAXIMUM = {
    "t": -128, "s": -32768, "i": -2**31, "b": Int64(-2**63), "f": -3.4028234663852886e38, "d": -1.7976931348623157e308, "boo": False,
    "dec": Decimal128("-9999999999.99"), "big": Decimal128("-" + "9" * 34), "dt": datetime.datetime(1, 1, 1, tzinfo=UTC),
    "ts": datetime.datetime(1, 1, 1, tzinfo=UTC), "ntz": datetime.datetime(1, 1, 1, tzinfo=UTC), "str": "", "bin": b"",
}, {
    "t": 127, "s": 32767, "i": 2**31 - 1, "b": Int64(2**63 - 1), "f": 3.4028234663852886e38, "d": 1.7976931348623157e308, "boo": True,
    "dec": Decimal128("9999999999.99"), "big": Decimal128("9" * 34), "dt": datetime.datetime(9999, 12, 31, tzinfo=UTC),
    "ts": datetime.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC), "ntz": datetime.datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC),
    "str": "grin 😀 é 中", "bin": b"\x00\xff",
}
TYPES = ("id INT, t TINYINT, s SMALLINT, i INT, b BIGINT, f FLOAT, d DOUBLE, boo BOOLEAN, dec DECIMAL(12,2), big DECIMAL(38,0), dt DATE, ts TIMESTAMP, "
         "ntz TIMESTAMP_NTZ, str STRING, bin BINARY")


def as_json(row):
    """A row as json source text that gives these values."""
    def value(v):
        if isinstance(v, Decimal128):
            return str(v.to_decimal())
        if isinstance(v, datetime.datetime):
            return v.strftime("%Y-%m-%d %H:%M:%S.%f").rjust(26, "0")
        return v
    made = {k: value(v) for k, v in row.items() if k not in ("bin", "dt")}
    made["dt"] = row["dt"].strftime("%Y-%m-%d").rjust(10, "0")
    made["bin"] = row["bin"].hex()
    return made


class Values(Suite):
    @kinds("replica", "standalone")
    def test_types(self):
        database, at = self.database()
        big = "x" * (1 << 20)
        rows = [{"id": 0, **as_json(MINIMUM)}, {"id": 1, **as_json(MAXIMUM)}, {"id": 2}, {"id": 3, "str": big}]
        path = self.events(rows)
        columns = TYPES.replace("big DECIMAL(38,0)", "big STRING").replace("dec DECIMAL(12,2)", "dec STRING").replace("bin BINARY", "bin STRING")
        query = ("SELECT id, t, s, i, b, f, d, boo, CAST(dec AS DECIMAL(12,2)) AS dec, CAST(big AS DECIMAL(38,0)) AS big, dt, ts, ntz, str, unhex(bin) AS bin FROM STREAM events")
        p = self.pipeline(self.source(path, columns) + table("everything", query, **at))
        p.run_to_end()
        found = sorted(database.everything.find(), key=lambda d: d["id"])
        expect(len(found) == 4, f"{len(found)} documents, not 4: {p.dead()}")
        for document, wanted in zip(found, (MINIMUM, MAXIMUM)):
            for name, value in wanted.items():
                expect(document[name] == value, f"{name}: {document[name]!r}, not {value!r}")
        expect(isinstance(found[1]["b"], int) and isinstance(found[1]["dec"], Decimal128), "BIGINT, DECIMAL: another type")
        expect(all(found[2][name] is None for name in MINIMUM), f"NULLs: {found[2]}")
        expect(found[3]["str"] == big, "the long text is another")
        expect(all(set(d["_id"]) == {"source", "partition", "offset", "row"} for d in found), f"_id: {found[0]['_id']}")
        self.read_back(p, at, found)
        return f"{len(MINIMUM)} types, minimum, maximum, NULL, 1 MB"

    def read_back(self, p, at, found):
        """`leat sql` over the collection: declared and sampled columns."""
        options = ", ".join(f"`{k}` '{v}'" for k, v in {**at, "collection": "everything"}.items())
        sql = f"CREATE TABLE sampled USING mongodb OPTIONS ({options}); SELECT id, i, b, dec, str, boo, t FROM sampled WHERE id < 3 ORDER BY id"
        code, out, errors = p.ask(sql)
        expect(code == 0, f"leat sql: exit {code}\n{errors}")
        rows = list(csv.reader(io.StringIO(out)))[1:]
        expect(len(rows) == 3, f"{len(rows)} rows read back: {out[:300]}")
        expect(rows[1][0:3] == ["1", str(2**31 - 1), str(2**63 - 1)] and Decimal(rows[1][3]) == Decimal("9999999999.99"), f"read back: {rows[1]}")
        expect(rows[1][4] == MAXIMUM["str"] and found, f"read back: {rows[1][4]}")

    def test_nested(self):
        database, at = self.database()
        path = self.events([{"id": 1, "a": [1, None, 3], "m": {"x": 1.5, "a.b": 2.0, "$c": None}, "st": {"p": "q", "$in": 5, "d.e": [{"z": None}], "": True}}])
        p = self.pipeline(self.source(path, "id INT, a ARRAY<INT>, m MAP<STRING, DOUBLE>, st STRUCT<p: STRING, `$in`: INT, `d.e`: ARRAY<STRUCT<z: INT>>>") +
                          table("nested", "SELECT * FROM STREAM events", **at) +
                          table("keyed", "SELECT id, a AS `$a`, m AS `b.c`, INTERVAL '1-2' YEAR TO MONTH AS y FROM STREAM events", key="id", **at))
        p.run_to_end()
        document = database.nested.find_one()
        expect(document["a"] == [1, None, 3] and document["m"] == {"x": 1.5, "a.b": 2.0, "$c": None}, f"{document}")
        expect(document["st"] == {"p": "q", "$in": 5, "d.e": [{"z": None}]}, f"{document['st']}")
        keyed = database.keyed.find_one()
        expect(keyed and keyed["_id"] == 1 and keyed["$a"] == [1, None, 3] and keyed["b.c"]["x"] == 1.5 and keyed["y"] == "INTERVAL '1-2' YEAR TO MONTH", f"{keyed}")

    def test_not_storable(self):
        """What no document can hold is a dead row with its reason; the others are written."""
        database, at = self.database()
        path = self.events([{"id": 1, "d": "1" * 38, "k": "a", "x": "61"}, {"id": 2, "d": "5", "k": "a\0b", "x": "61"}, {"id": 3, "d": "6", "k": "c", "x": "ff"},
                            {"id": 4, "d": "7", "k": "d", "x": "62"}, {"id": 5, "d": "8", "k": "e", "x": "63" * (1 << 20)}])
        p = self.pipeline(self.source(path, "id INT, d STRING, k STRING, x STRING") +
                          table("t", "SELECT id, CAST(d AS DECIMAL(38,0)) AS d, map(k, 1) AS m, CASE WHEN id = 5 THEN repeat(CAST(unhex(x) AS STRING), 17) "
                                     "ELSE CAST(unhex(x) AS STRING) END AS s FROM STREAM events", **at))
        p.run_to_end()
        expect([d["id"] for d in database.t.find()] == [4], f"{list(database.t.find({}, {'s': 0}))}")
        conditions = sorted(r[3] for r in p.dead())
        expect(conditions == ["LEAT_ROW_TOO_BIG"] + ["LEAT_TYPE_NOT_STORABLE"] * 3, f"{conditions}")

    def test_null_and_compound_keys(self):
        database, at = self.database()
        path = self.events([{"a": 1, "b": "x"}, {"a": None, "b": "x"}, {"a": 1, "b": None}, {"a": 1, "b": "x"}, {"a": None, "b": None}])
        p = self.pipeline(self.source(path, "a INT, b STRING") + "CREATE MATERIALIZED VIEW two USING mongo TBLPROPERTIES ("
                          + ", ".join(f"'spark.mongodb.{k}' = '{v}'" for k, v in at.items()) + ") AS SELECT a, b, count(*) AS n FROM events GROUP BY a, b;\n"
                          + table("one", "SELECT a, b FROM STREAM events", key="a", **at))
        p.run_to_end()
        found = {(d["_id"]["a"], d["_id"]["b"]): d["n"] for d in database.two.find()}
        expect(found == {(1, "x"): 2, (None, "x"): 1, (1, None): 1, (None, None): 1}, f"{found}")
        expect(sorted((str(d["_id"]), d["b"]) for d in database.one.find()) == [("1", "x"), ("None", None)], f"{list(database.one.find())}")

    def test_binary_key(self):
        database, at = self.database()
        path = self.events([{"x": "00ff"}, {"x": "00ff"}, {"x": ""}])
        p = self.pipeline(self.source(path, "x STRING") + table("b", "SELECT unhex(x) AS x FROM STREAM events", key="x", **at))
        p.run_to_end()
        expect(sorted(bytes(d["_id"]) for d in database.b.find()) == [b"", b"\x00\xff"] and Binary, f"{list(database.b.find())}")

    def test_several_ways(self):
        """A record that reaches a table without a key in several ways, by UNION ALL and by two flows, is a row for each, also when they are equal."""
        database, at = self.database()
        path = self.events(self.numbered(300))
        p = self.pipeline(self.source(path, "id BIGINT, k STRING, v BIGINT") +
                          table("t", "SELECT id FROM STREAM events UNION ALL SELECT id FROM STREAM events UNION ALL SELECT v AS id FROM STREAM events", **at) +
                          "CREATE FLOW again AS INSERT INTO t BY NAME SELECT id FROM STREAM events;\n")
        p.run_to_end()
        found = sorted(d["id"] for d in database.t.find())
        expect(found == sorted(list(range(300)) * 4), f"{len(found)} documents, not 1200; dead: {p.dead()[:3]}")
        expect(database.t.find_one()["_id"]["source"] == "events", f"{database.t.find_one()}")
        return "4 ways"

    @kinds("replica", "standalone")
    def test_refused_replacement(self):
        """A row that is refused leaves its key without a document in a view, which equals its query but for dead rows; in a table with a key it is as
        if it had not come."""
        database, at = self.database()
        for name in ("sums", "last"):
            database.create_collection(name, validator={"v": {"$not": {"$gt": 10}}})
        path = self.events([{"k": k, "v": 5} for k in "abc"])
        p = self.pipeline(self.source(path, "k STRING, v INT") + view("sums", "SELECT k, sum(v) AS v FROM events GROUP BY k", **at) +
                          view("texts", "SELECT k, CAST(unhex(CASE WHEN sum(v) > 10 THEN 'ff' ELSE '61' END) AS STRING) AS v FROM events GROUP BY k", **at) +
                          table("last", "SELECT k, v FROM STREAM events", key="k", **at))
        steps = [(None, {"a": 5, "b": 5, "c": 5}, {"a": 5, "b": 5, "c": 5}), (("a", 50), {"b": 5, "c": 5}, {"a": 5, "b": 5, "c": 5}), (("b", 1), {"b": 6, "c": 5}, {"a": 5, "b": 1, "c": 5}),
                 (("a", -51), {"a": 4, "b": 6, "c": 5}, {"a": -51, "b": 1, "c": 5})]
        for row, sums, last in steps:
            if row:
                self.append(path, [{"k": row[0], "v": row[1]}])
            p.run_to_end()
            found = [{d["_id"]: d["v"] for d in database[name].find()} for name in ("sums", "last", "texts")]
            expect(found == [sums, last, dict.fromkeys(sums, "a")], f"after {row}: {found}, not {sums}, {last}, {list(sums)}")
        conditions = sorted(r[3] for r in p.dead())
        expect(conditions == ["LEAT_DOCUMENT_REFUSED"] * 2 + ["LEAT_TYPE_NOT_STORABLE"], f"dead: {conditions}")

    def test_operators_are_no_keys(self):
        """A key that would be an operator in a query finds nothing: it is refused, and no other document is touched."""
        database, at = self.database()
        path = self.events([{"m": {"a": 1}, "v": 1}, {"m": {"$gt": None}, "v": 2}, {"m": {"$exists": 1}, "v": 3}, {"m": {"b": 1}, "v": 4}])
        p = self.pipeline(self.source(path, "m MAP<STRING, INT>, v INT") + table("t", "SELECT m, v FROM STREAM events", idFieldList="m", **at))
        p.run_to_end()
        found = sorted((str(d["_id"]), d["v"]) for d in database.t.find())
        expect(found == [("{'a': 1}", 1), ("{'b': 1}", 4)], f"{found}")
        expect([r[3] for r in p.dead()] == ["LEAT_TYPE_NOT_STORABLE"] * 2, f"{p.dead()}")
        process, code = self.pipeline(self.source(path, "m MAP<STRING, INT>, v INT") +
                                      table("s", "SELECT named_struct('$gt', v) AS m FROM STREAM events", key="m", **at)).run()
        expect(code == EXIT_CHECK and "begins with $" in process.errors(), f"exit {code}\n{process.text()}")

    @kinds("replica", "standalone")
    def test_largest_documents(self):
        """16 MB to the byte, inserted and as a replacement; a byte more is a dead row."""
        database, at = self.database()
        path = self.events([{"id": 0, "n": 0}])
        p = self.pipeline(self.source(path, "id INT, n INT") + table("i", "SELECT id, repeat('x', n) AS s FROM STREAM events", **at) +
                          table("u", "SELECT id, repeat('x', n) AS s FROM STREAM events", key="id", **at))
        p.run_to_end()
        most = [LARGEST - len(BSON.encode(database[name].find_one())) for name in ("i", "u")]
        self.append(path, [{"id": 1, "n": most[0]}, {"id": 2, "n": most[0] + 1}, {"id": 3, "n": most[1]}, {"id": 4, "n": most[1] + 1}, {"id": 5, "n": 1}])
        p.run_to_end()
        for name, size in zip(("i", "u"), most):
            found = {d["id"]: len(d["s"]) for d in database[name].find()}
            wanted = {i: n for i, n in ((0, 0), (1, most[0]), (2, most[0] + 1), (3, most[1]), (4, most[1] + 1), (5, 1)) if n <= size}
            expect(found == wanted, f"{name}: {found}, not {wanted}")
        conditions = {r[3] for r in p.dead()}
        expect(conditions == {"LEAT_ROW_TOO_BIG"}, f"{conditions}")

    def test_decimals_of_others(self):
        """Decimals as the independent client wrote them: the nearest double, what is no number, and text that is JSON."""
        database, at = self.database()
        texts = ["0.3", "1E-7", "-123456789.000000001", "9.999999999999999999999999999999999E+6144", "1E-6176", "NaN", "Infinity", "-Infinity", "0E+3"]
        database.d.insert_many([{"_id": i, "d": Decimal128(t), "n": {"d": Decimal128(t)}} for i, t in enumerate(texts)])
        options = ", ".join(f"`{k}` '{v}'" for k, v in {**at, "collection": "d"}.items())
        p = self.pipeline("")
        code, out, errors = p.ask(f"CREATE TABLE d (_id INT, d DOUBLE, n STRING) USING mongodb OPTIONS ({options}); SELECT _id, CAST(d AS STRING) AS d, n FROM d ORDER BY _id")
        expect(code == 0, f"leat sql: exit {code}\n{errors}")
        rows = list(csv.reader(io.StringIO(out)))[1:]
        expect(len(rows) == len(texts), f"{len(rows)} rows: {out}")
        for row, text in zip(rows, texts):
            expect(repr(float(row[1])) == repr(float(text)), f"{text}: read as {row[1]}")
            expect(repr(float(json.loads(row[2])["d"])) == repr(float(text)), f"{text}: within text {row[2]}")
