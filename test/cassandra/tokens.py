# SPDX-License-Identifier: Apache-2.0
"""Where a partition lives: the token that the client computes of random keys of every type is the one the server computes.

Keys are made as bytes and go to both sides as they are, so that nothing is converted on the way that could be wrong on both."""
import os
import struct
import subprocess

from cassandra.query import BoundStatement

from harness import expect
from suite import Suite

KEYS, SPREAD = 100000, 20000  # of each type: with --long, without
AT_ONCE = 100  # tokens asked for in one SELECT


def of_bytes(size):
    return lambda r: r.randbytes(size)


def text(r):
    """Up to 40 characters, most of them beyond ASCII; now and then a long one."""
    count = r.randrange(1, 40) if r.random() < 0.999 else 15000
    return "".join(r.choice("ab é🙂ßあ\u0000'\"") for _ in range(count)).encode()


def sized(v):
    return struct.pack(">i", len(v)) + v


def ints(r):
    """Random ints, each once, as the server sorts them."""
    return sorted({r.randrange(-2**31, 2**31) for _ in range(r.randrange(0, 5))})


def collection(items, count):
    return struct.pack(">i", count) + b"".join(sized(v) for v in items)


def list_of_text(r):
    items = [text(r) for _ in range(r.randrange(0, 4))]
    return collection(items, len(items))


def set_of_int(r):
    items = ints(r)
    return collection([struct.pack(">i", v) for v in items], len(items))


def map_of_int(r):
    items = ints(r)
    return collection([b for v in items for b in (struct.pack(">i", v), r.randbytes(8))], len(items))


def fields(r):
    return b"".join(sized(v) if v is not None else struct.pack(">i", -1) for v in (r.randbytes(4), text(r) if r.random() < 0.8 else None))


def timeuuid(r):
    v = bytearray(r.randbytes(16))
    v[6] = v[6] & 0x0F | 0x10
    v[8] = v[8] & 0x3F | 0x80
    return bytes(v)


def varint(r):
    v = r.randrange(-2**r.choice((7, 8, 31, 63, 64, 130)), 2**r.choice((7, 8, 31, 63, 64, 130)))
    return v.to_bytes(v.bit_length() // 8 + 1, "big", signed=True)


TYPES = {
    "ascii": lambda r: bytes(r.randrange(0, 128) for _ in range(r.randrange(1, 30))),
    "bigint": of_bytes(8),
    "blob": lambda r: r.randbytes(r.randrange(1, 70) if r.random() < 0.999 else 65000),
    "boolean": lambda r: bytes([r.randrange(2)]),
    "date": of_bytes(4),
    "decimal": lambda r: r.randbytes(4) + varint(r),
    "double": of_bytes(8),
    "float": of_bytes(4),
    "inet": lambda r: r.randbytes(r.choice((4, 16))),
    "int": of_bytes(4),
    "smallint": of_bytes(2),
    "text": text,
    "time": lambda r: struct.pack(">q", r.randrange(86400 * 10**9)),
    "timestamp": of_bytes(8),
    "timeuuid": timeuuid,
    "tinyint": of_bytes(1),
    "uuid": of_bytes(16),
    "varint": varint,
    "frozen<list<text>>": list_of_text,
    "frozen<set<int>>": set_of_int,
    "frozen<map<int, bigint>>": map_of_int,
    "tuple<int, text>": fields,
    "frozen<pair>": fields,
    "vector<float, 3>": lambda r: struct.pack(">3f", *(r.uniform(-9, 9) for _ in range(3))),
}
# Of several columns; one of them may be empty there.
COMPOSITES = [("int", "text"), ("text", "blob", "bigint"), ("uuid", "inet", "tinyint", "varint"), ("blob", "blob"), ("frozen<list<text>>", "timestamp", "boolean")]


class Tokens(Suite):
    @property
    def tool(self):
        return os.path.join(os.path.dirname(self.leat), "cql_tool")

    def tool_tokens(self, keys, *table):
        lines = "".join("\t".join(v.hex() for v in key) + "\n" for key in keys)
        out = subprocess.run([self.tool, "--port", str(self.server.port), "tokens", *table], input=lines.encode(), stdout=subprocess.PIPE, timeout=300, check=True)
        return [int(line) for line in out.stdout.split()]

    def server_tokens(self, table, keys, columns):
        """One row, and a SELECT of many tokens of other keys over it."""
        call = f"token({', '.join('?' * columns)})"
        selects = {}
        under_way = []
        for at in range(0, len(keys), AT_ONCE):
            some = keys[at:at + AT_ONCE]
            if len(some) not in selects:
                selects[len(some)] = self.session.prepare(f"SELECT {', '.join([call] * len(some))} FROM {table}")
            bound = BoundStatement(selects[len(some)])
            bound.values = [v for key in some for v in key]
            under_way.append(self.session.execute_async(bound))
            if len(under_way) % 50 == 0:
                under_way[-50].result()
        return [token for future in under_way for token in future.result().one()]

    def compare(self, keyspace, number, types, count):
        table = f"{keyspace}.keys_{number}"
        columns = [f"k{i}" for i in range(len(types))]
        declared = ", ".join(f"{c} {t}" for c, t in zip(columns, types))
        self.session.execute(f"CREATE TABLE {table} ({declared}, PRIMARY KEY (({', '.join(columns)})))")
        keys = [tuple(TYPES[t](self.random) for t in types) for _ in range(count)]
        if len(types) > 1:
            keys = [(b"",) + key[1:] if types[0] in ("text", "blob") and self.random.random() < 0.05 else key for key in keys]
        self.write_row(table, columns, keys[0])
        server = self.server_tokens(table, keys, len(types))
        expect(len(server) == count and len(set(server)) > min(count, 100) / 60, f"{types}: {len(server)} tokens, {len(set(server))} different")
        for what, found in (("the hash alone", self.tool_tokens(keys)), ("as a row is bound", self.tool_tokens(keys, table))):
            wrong = [i for i in range(count) if i >= len(found) or found[i] != server[i]]
            expect(len(found) == count and not wrong, lambda: f"{types}, {what}: {len(wrong)} of {count} tokens differ, such as that of "
                   f"{[v.hex()[:100] for v in keys[wrong[0]]]}: {found[wrong[0]]}, of the server {server[wrong[0]]}")
        return count

    def write_row(self, table, columns, key):
        bound = BoundStatement(self.session.prepare(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"))
        bound.values = list(key)
        self.session.execute(bound)

    def test_tokens(self):
        keyspace = self.keyspace()
        self.session.execute(f"CREATE TYPE {keyspace}.pair (a int, b text)")
        kinds = [(t,) for t in TYPES] + COMPOSITES
        count = KEYS if self.long else SPREAD
        compared = sum(self.compare(keyspace, i, types, count) for i, types in enumerate(kinds))
        return f"{len(kinds)} kinds of key, {compared} tokens"
