# SPDX-License-Identifier: Apache-2.0
"""Every type of column, value by value, as the official driver reads what leat wrote: NULL, extremes, 1 MB of text, things that are no value."""
import datetime
import decimal
import ipaddress
import math
import os
import uuid

from cassandra.util import Date, Duration, Time

from harness import expect
from suite import Suite, properties, write_rows

MEGABYTE = ("é🙂x\n\"'\\" * 120000)[:1 << 20]
UTC = datetime.timezone.utc


def of_int(text):
    return int(text)


def of_float32(text):
    import struct
    return struct.unpack("f", struct.pack("f", float(text)))[0]


def of_date(text):
    return Date((datetime.date.fromisoformat(text) - datetime.date(1970, 1, 1)).days)


def of_timestamp(text):
    """Milliseconds: the driver's own datetimes go by way of a float."""
    since = datetime.datetime.fromisoformat(text) - datetime.datetime(1970, 1, 1)
    return since // datetime.timedelta(milliseconds=1)


def of_decimal(text):
    return decimal.Decimal(text).quantize(decimal.Decimal("0.0000000001"), context=decimal.Context(prec=40))


# Column: type of CQL, SQL over the text `c`, [text or (text, value)], value from text.
INTS = {"tinyint": 7, "smallint": 15, "int": 31, "bigint": 63}
COLUMNS = {
    "c_boolean": ("boolean", "CAST(c_boolean AS BOOLEAN)", ["true", "false"], lambda t: t == "true"),
    **{f"c_{t}": (t, f"CAST(c_{t} AS {t.upper()})", [str(-2**n), str(2**n - 1), "0", "-1"], of_int) for t, n in INTS.items()},
    "c_wider": ("bigint", "CAST(c_wider AS TINYINT)", ["-128", "127"], of_int),
    "c_int_varint": ("varint", "CAST(c_int_varint AS BIGINT)", [str(-2**63), str(2**63 - 1), "127", "128", "-128", "-129", "255", "256"], of_int),
    "c_float": ("float", "CAST(c_float AS FLOAT)", ["1.5", "-0.0", "NaN", "Infinity", "-Infinity", "3.4028234663852886E38", "1.4E-45"], of_float32),
    "c_double": ("double", "CAST(c_double AS DOUBLE)", ["0.1", "-0.0", "NaN", "Infinity", "1.7976931348623157E308", "4.9E-324"], float),
    "c_float_double": ("double", "CAST(c_float_double AS FLOAT)", ["0.1", "-2.5"], of_float32),
    "c_decimal": ("decimal", "CAST(c_decimal AS DECIMAL(38,10))", ["9999999999999999999999999999.9999999999", "-9999999999999999999999999999.9999999999", "-0.0000000001",
                                                                  "0", "1.10", "123456789.123456789"], of_decimal),
    "c_varint": ("varint", "CAST(c_varint AS DECIMAL(38,0))", ["9" * 38, "-" + "9" * 38, "0", "-1", str(2**64), str(-2**63)], of_int),
    "c_text": ("text", "c_text", ["", "plain", "é🙂", "a'b\"c\n\t\\", MEGABYTE, "\u0000nul"], str),
    "c_ascii": ("ascii", "c_ascii", ["", "abc ~"], str),
    "c_uuid": ("uuid", "c_uuid", ["00000000-0000-0000-0000-000000000000", "FFFFFFFF-ffff-4fff-bfff-ffffffffffff"], uuid.UUID),
    "c_timeuuid": ("timeuuid", "c_timeuuid", ["8d8ddd40-5f3a-11ee-8c99-0242ac120002"], uuid.UUID),
    "c_inet": ("inet", "c_inet", ["127.0.0.1", "255.255.255.255", "::1", "2001:db8::ff00:42:8329"], lambda t: str(ipaddress.ip_address(t))),
    "c_blob": ("blob", "unhex(c_blob)", ["", "00FF10", "DEADBEEF" * 1000], bytes.fromhex),
    "c_date": ("date", "CAST(c_date AS DATE)", ["0001-01-01", "9999-12-31", "1970-01-01", "1969-12-31", "2024-02-29"], of_date),
    "c_timestamp": ("timestamp", "CAST(c_timestamp AS TIMESTAMP)", ["2024-02-29 12:34:56.789", "1969-12-31 23:59:59.999", "0001-01-01 00:00:00", "9999-12-31 23:59:59.999"],
                    of_timestamp),
    "c_micros": ("timestamp", "CAST(c_micros AS TIMESTAMP)", [("1969-12-31 23:59:59.999999", -1),
                                                            ("2024-01-01 00:00:00.0019", 1704067200001)], None),
    "c_time": ("time", "CAST(c_time AS BIGINT)", ["0", "86399999999999", "1"], lambda t: Time(int(t))),
    "c_duration": ("duration", "make_dt_interval(CAST(c_duration AS INT), 2, 3, 4.5)", [("1", Duration(0, 0, ((24 + 2) * 3600 + 3 * 60) * 10**9 + 4500000000))], None),
    "c_list": ("frozen<list<text>>", "from_json(c_list, 'array<string>')", [("[]", []), ('["b","a","b","é🙂",""]', ["b", "a", "b", "é🙂", ""])], None),
    "c_set": ("frozen<set<int>>", "from_json(c_set, 'array<int>')", [("[3,1,2]", {1, 2, 3}), ("[]", set())], None),
    "c_map": ("frozen<map<text, bigint>>", "from_json(c_map, 'map<string,bigint>')", [('{"b":2,"a":-1}', {"a": -1, "b": 2}), ("{}", {})], None),
    "c_tuple": ("tuple<int, text>", "from_json(c_tuple, 'struct<a:int,b:string>')", [('{"a":1,"b":"x"}', (1, "x")), ('{"a":null,"b":"y"}', (None, "y"))], None),
    "c_udt": ("frozen<address>", "from_json(c_udt, 'struct<City:string,zip:int>')", [('{"City":"Zürich","zip":8001}', ("Zürich", 8001, None)), ('{"City":null,"zip":1}', (None, 1, None))], None),
    "c_vector": ("vector<float, 3>", "from_json(c_vector, 'array<float>')", [("[1.5,-2.25,0]", [1.5, -2.25, 0.0])], None),
    "c_text_vector": ("vector<text, 2>", "from_json(c_text_vector, 'array<string>')", [('["a","' + "x" * 300 + '"]', ["a", "x" * 300])], None),
    "c_deep": ("frozen<map<text, frozen<list<frozen<tuple<int, frozen<set<text>>>>>>>>", "from_json(c_deep, 'map<string,array<struct<n:int,s:array<string>>>>')",
               [('{"k":[{"n":1,"s":["z","y"]},{"n":2,"s":[]}]}', {"k": [(1, {"y", "z"}), (2, set())]})], None),
}
ROWS = max(len(c[2]) for c in COLUMNS.values()) + 1


def cases(name):
    """[(text, value)], the last of them NULL."""
    _, _, given, value = COLUMNS[name]
    return [(g, value(g)) if isinstance(g, str) else g for g in given] + [(None, None)]


def plain(v):
    """What the driver gives, so that it can be compared: its own collections as Python's."""
    if isinstance(v, float):
        return "NaN" if math.isnan(v) else (v, math.copysign(1, v))
    if isinstance(v, (str, bytes, int, type(None), decimal.Decimal, datetime.datetime, uuid.UUID, Date, Time, Duration)):
        return (v.as_tuple() if isinstance(v, decimal.Decimal) else v)
    if hasattr(v, "_fields") or isinstance(v, tuple):
        return tuple(plain(x) for x in v)
    if hasattr(v, "items"):
        return {k: plain(x) for k, x in v.items()}
    if isinstance(v, (set, frozenset)) or type(v).__name__ == "SortedSet":
        return ("set", sorted(plain(x) for x in v))
    return [plain(x) for x in v]


class Values(Suite):
    def table_of_all(self):
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TYPE {keyspace}.address (city text, zip int, country text)")
        self.session.execute(f"CREATE TABLE {keyspace}.all_types (id int PRIMARY KEY, {', '.join(f'{n} {c[0]}' for n, c in COLUMNS.items())})")
        rows = []
        for i in range(ROWS):
            rows.append({"id": i, **{n: cases(n)[min(i, len(cases(n)) - 1)][0] for n in COLUMNS}})
        folder = self.folder()
        write_rows(os.path.join(folder, "rows.json"), rows)
        declared = ", ".join(["id INT"] + [f"{n} STRING" for n in COLUMNS])
        query = ", ".join(["id"] + [f"{c[1]} AS {n}" for n, c in COLUMNS.items()])
        sql = (f"CREATE TABLE texts ({declared}) USING json OPTIONS (path 'rows.json');\n"
               f"CREATE STREAMING TABLE all_types USING cassandra TBLPROPERTIES ({properties(self.place(keyspace))}, key = 'id') AS SELECT {query} FROM STREAM texts;\n")
        return keyspace, self.pipeline(sql, folder=folder)

    def test_types(self):
        keyspace, p = self.table_of_all()
        p.run_to_end()
        expect(p.dead() == [], lambda: f"dead rows: {p.dead()[:3]}")
        read = ", ".join(f"timestamp_as_blob({n})" if c[0] == "timestamp" else n for n, c in COLUMNS.items())
        found = {r[0]: r[1:] for r in self.session.execute(f"SELECT id, {read} FROM {keyspace}.all_types")}
        expect(len(found) == ROWS, f"{len(found)} rows, not {ROWS}")
        compared = 0
        for place, name in enumerate(COLUMNS):
            for i in range(ROWS):
                wanted = cases(name)[min(i, len(cases(name)) - 1)][1]
                if name.startswith("c_inet") and wanted is not None:
                    wanted = str(wanted)
                value = found[i][place]
                if COLUMNS[name][0] == "timestamp" and value is not None:
                    value = int.from_bytes(value, "big", signed=True)
                here, there = plain(value), plain(wanted)
                expect(here == there, lambda: f"{name}, row {i}: {str(here)[:200]!r}, not {str(there)[:200]!r}")
                compared += 1
        return f"{len(COLUMNS)} columns, {compared} values"

    def test_made_by_leat(self):
        """leat.create: keyspace, table, frozen collections; then what is written can be read by the driver."""
        keyspace = f"Made_by_{self.test}"
        folder = self.folder()
        write_rows(os.path.join(folder, "rows.json"), [{"id": 1, "Name": "a", "tags": ["x", "y"], "m": {"k": 1}, "s": {"a": 1, "b": "z"}}])
        place = self.place(keyspace, table="Odd_Name", leat__create="true")
        sql = ("CREATE TABLE events (id INT, Name STRING, tags ARRAY<STRING>, m MAP<STRING, BIGINT>, s STRUCT<a: INT, b: STRING>) USING json OPTIONS (path 'rows.json');\n"
               f"CREATE STREAMING TABLE odd USING `org.apache.spark.sql.cassandra` TBLPROPERTIES ({properties(place)}, key = 'Name, id') "
               "AS SELECT id, Name, tags AS `a \"tag\"`, m AS `order`, s FROM STREAM events;\n")
        p = self.pipeline(sql, folder=folder)
        p.run_to_end()
        rows = list(self.session.execute(f'SELECT id, "Name", "a ""tag""", "order", s FROM "{keyspace}"."Odd_Name"'))
        expect(len(rows) == 1 and plain(rows[0]) == plain((1, "a", ["x", "y"], {"k": 1}, (1, "z"))), f"{rows}")
        types = dict(self.session.execute(f"SELECT column_name, type FROM system_schema.columns WHERE keyspace_name = '{keyspace}' AND table_name = 'Odd_Name'"))
        expect(types['a "tag"'] == "frozen<list<text>>" and types["order"].startswith("frozen<map"), f"{types}")
        kinds = dict(self.session.execute(f"SELECT column_name, kind FROM system_schema.columns WHERE keyspace_name = '{keyspace}' AND table_name = 'Odd_Name'"))
        expect(kinds["id"] == kinds["Name"] == "partition_key", f"{kinds}")
        return "1 row, names with blanks and quotes"

    def test_key_types(self):
        """Clustering and partition columns of many types, deletes and upserts included."""
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.keyed (a text, b uuid, c decimal, d timestamp, e inet, f date, g frozen<list<int>>, n bigint, "
                             "PRIMARY KEY ((a, b), c, d, e, f, g)) WITH CLUSTERING ORDER BY (c DESC, d ASC, e ASC, f DESC, g ASC)")
        folder = self.folder()
        ids = [str(uuid.UUID(int=i + 1)) for i in range(7)]
        rows = [{"a": f"é{i % 3}", "b": ids[i % 7], "c": f"{i % 5}.50", "d": f"2024-01-0{i % 9 + 1} 00:00:00.123", "e": ["10.0.0.1", "::1"][i % 2],
                 "f": f"2024-02-0{i % 4 + 1}", "g": f"[{i % 2}]", "v": i} for i in range(2000)]
        write_rows(os.path.join(folder, "rows.json"), rows)
        sql = ("CREATE TABLE events (a STRING, b STRING, c STRING, d STRING, e STRING, f STRING, g STRING, v BIGINT) USING json OPTIONS (path 'rows.json');\n"
               f"CREATE MATERIALIZED VIEW keyed USING cassandra TBLPROPERTIES ({properties(self.place(keyspace))}) AS SELECT a, b, c, d, e, f, g, count(*) AS n FROM "
               "(SELECT a, b, CAST(c AS DECIMAL(10,2)) AS c, CAST(d AS TIMESTAMP) AS d, e, CAST(f AS DATE) AS f, from_json(g, 'array<int>') AS g, v FROM events) "
               "GROUP BY a, b, c, d, e, f, g HAVING sum(v) % 3 != 1;\n")
        p = self.pipeline(sql, "leat.epoch.maxBytes=30000", folder=folder)
        p.run_to_end()
        groups = {}
        for r in rows:
            groups.setdefault((r["a"], r["b"], r["c"], r["d"], r["e"], r["f"], r["g"]), []).append(r["v"])
        wanted = sorted(len(v) for v in groups.values() if sum(v) % 3 != 1)
        found = sorted(r[0] for r in self.session.execute(f"SELECT n FROM {keyspace}.keyed"))
        expect(found == wanted and len(wanted) > 10, f"{len(found)} rows, not {len(wanted)}; dead: {p.dead()[:3]}")
        return f"{len(found)} of {len(groups)} groups"

    def test_dead_rows(self):
        """What cannot be a value of its column goes to leat_dead with the reason; its neighbours in the batch are written."""
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TABLE {keyspace}.strict (k text PRIMARY KEY, u uuid, t timeuuid, i inet, v frozen<vector<float, 2>>, l frozen<list<text>>, a ascii, n time, big text)"
                             .replace("frozen<vector<float, 2>>", "vector<float, 2>"))
        good = {"k": "", "u": None, "t": None, "i": None, "v": None, "l": None, "a": None, "n": None, "big": None}
        bad = {"uuid": {"u": "no uuid"}, "timeuuid": {"t": "00000000-0000-4000-8000-000000000000"}, "inet": {"i": "1.2.3"}, "vector": {"v": "[1]"}, "null in list": {"l": '["a",null]'},
               "ascii": {"a": "é"}, "time": {"n": "86400000000000"}, "no key": {"k": None}, "empty key": {"k": ""}, "long key": {"k": "x" * 70000}, "large": {"big": "L"}}
        rows = []
        for i in range(300):
            rows.append({**good, "k": f"good {i}"})
        for i, (name, change) in enumerate(bad.items()):
            rows.insert(25 * (i + 1), {**good, "k": f"bad {name}", **change})
        folder = self.folder()
        write_rows(os.path.join(folder, "rows.json"), rows)
        sql = ("CREATE TABLE events (k STRING, u STRING, t STRING, i STRING, v STRING, l STRING, a STRING, n STRING, big STRING) USING json OPTIONS (path 'rows.json');\n"
               f"CREATE STREAMING TABLE strict USING cassandra TBLPROPERTIES ({properties(self.place(keyspace))}, key = 'k') AS SELECT k, u, t, i, "
               "from_json(v, 'array<float>') AS v, from_json(l, 'array<string>') AS l, a, CAST(n AS BIGINT) AS n, repeat(big, 9000000) AS big FROM STREAM events;\n")
        p = self.pipeline(sql, folder=folder)
        process = p.run_to_end()
        dead = p.read("SELECT condition, message FROM leat_dead")
        expect(len(dead) == len(bad), lambda: f"{len(dead)} dead rows, not {len(bad)}: {dead}\n{process.text()}")
        expect(self.count(keyspace, "strict") == 300, f"{self.count(keyspace, 'strict')} rows, not 300")
        conditions = {}
        for condition, _ in dead:
            conditions[condition] = conditions.get(condition, 0) + 1
        expect(conditions == {"LEAT_NULL_KEY": 2, "LEAT_ROW_TOO_BIG": 2, "LEAT_CASSANDRA_ROW_REFUSED": 7}, f"{dead}")
        p.expect_balanced()
        return f"{len(dead)} dead, 300 written"

    def test_ttl_and_nulls(self):
        """ttl is the row's; leat.ignoreNulls leaves cells alone, without it NULL is NULL."""
        keyspace = self.keyspace()
        for name in ("kept", "cleared"):
            self.session.execute(f"CREATE TABLE {keyspace}.{name} (id int PRIMARY KEY, a text, b text)")
            self.session.execute(f"INSERT INTO {keyspace}.{name} (id, a, b) VALUES (1, 'before', 'before')")
        folder = self.folder()
        write_rows(os.path.join(folder, "rows.json"), [{"id": 1, "a": "new", "b": None}])
        place = properties(self.place(keyspace))
        sql = ("CREATE TABLE events (id INT, a STRING, b STRING) USING json OPTIONS (path 'rows.json');\n"
               f"CREATE STREAMING TABLE kept USING cassandra TBLPROPERTIES ({place}, key = 'id', 'spark.cassandra.output.ignoreNulls' = 'true', ttl = '2 hours') AS SELECT * FROM STREAM events;\n"
               f"CREATE STREAMING TABLE cleared USING cassandra TBLPROPERTIES ({place}, key = 'id') AS SELECT * FROM STREAM events;\n")
        self.pipeline(sql, folder=folder).run_to_end()
        (kept,) = self.session.execute(f"SELECT a, b, ttl(a) FROM {keyspace}.kept")
        (cleared,) = self.session.execute(f"SELECT a, b, ttl(a) FROM {keyspace}.cleared")
        expect(kept[:2] == ("new", "before") and 7000 < kept[2] <= 7200, f"{kept}")
        expect(cleared == ("new", None, None), f"{cleared}")
        return "unset and NULL told apart"
