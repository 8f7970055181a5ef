#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What stands in Cassandra and MongoDB, by their own protocols and Python's standard library alone: neither leat's code nor a driver's.

    look.py cassandra PORT KEYSPACE TABLE [KEY]        rows, and how many keys are different
    look.py mongodb PORT DATABASE COLLECTION [KEY]

Prints `ROWS DIFFERENT`; a table or collection that is not there has `0 0`. As a module: Cassandra.rows(), Mongo.documents(), both page by page.
It is for servers on loopback without password and TLS, of which there are others (test/servers).
"""
import argparse
import contextlib
import socket
import struct
import sys

HOST, TIMEOUT_S, PAGE_ROWS, REPLY_BYTES_MAX = "127.0.0.1", 60, 5000, 256 << 20


class Refused(Exception):
    """What the server answered instead of rows."""

    def __init__(self, code, message):
        super().__init__(f"{message} ({code})")
        self.code = code


class Connection:
    """A socket that reads whole lengths."""

    def __init__(self, port):
        self.socket = socket.create_connection((HOST, port), TIMEOUT_S)
        self.socket.settimeout(TIMEOUT_S)

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def take(self, count):
        if count > REPLY_BYTES_MAX:
            raise OSError(f"an answer of {count} bytes")
        parts = bytearray()
        while len(parts) < count:
            part = self.socket.recv(min(count - len(parts), 1 << 20))
            if not part:
                raise OSError("the server closed the connection")
            parts += part
        return bytes(parts)


class Reader:
    """The fields of an answer, from first to last."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def bytes(self, count):
        self.at += count
        if self.at > len(self.data):
            raise OSError("an answer that ends too soon")
        return self.data[self.at - count:self.at]

    def number(self, form):
        return struct.unpack(form, self.bytes(struct.calcsize(form)))[0]

    def text(self):
        return self.bytes(self.number(">H")).decode()

    def value(self):
        count = self.number(">i")
        return None if count < 0 else self.bytes(count)


class Cassandra:
    """CQL native protocol, version 4."""
    STARTUP, QUERY, ERROR, ROWS = 1, 7, 0, 2
    CONSISTENCY_ONE, WITH_PAGE_SIZE, WITH_STATE = 1, 4, 8
    HAS_GLOBAL_TABLE, HAS_MORE = 1, 2
    INVALID = 0x2200              # no such keyspace or table, among others
    INTEGERS = {2: ">q", 9: ">i", 19: ">h", 20: ">b", 11: ">q", 17: ">I", 18: ">q"}   # bigint int smallint tinyint timestamp date time

    def __init__(self, port):
        self.connection = Connection(port)
        words = [b"CQL_VERSION", b"3.0.0"]
        self.call(self.STARTUP, struct.pack(">H", 1) + b"".join(struct.pack(">H", len(word)) + word for word in words))

    def close(self):
        self.connection.close()

    def call(self, operation, body):
        self.connection.send(struct.pack(">BBhBi", 4, 0, 0, operation, len(body)) + body)
        _, _, _, answer, count = struct.unpack(">BBhBi", self.connection.take(9))
        reader = Reader(self.connection.take(count))
        if answer == self.ERROR:
            code = reader.number(">i")
            raise Refused(code, reader.text())
        return reader

    def skip_type(self, reader):
        kind = reader.number(">H")
        if kind == 0:
            reader.text()
        for _ in range({32: 1, 33: 2, 34: 1}.get(kind, 0)):
            self.skip_type(reader)
        if kind == 48:
            reader.text()
            reader.text()
            for _ in range(reader.number(">H")):
                reader.text()
                self.skip_type(reader)
        if kind == 49:
            for _ in range(reader.number(">H")):
                self.skip_type(reader)
        return kind

    def page(self, reader):
        """(the rows of one answer, where the next page begins or None)"""
        if reader.number(">i") != self.ROWS:
            return [], None
        flags, count, state = reader.number(">i"), reader.number(">i"), None
        if flags & self.HAS_MORE:
            state = reader.value()
        if flags & self.HAS_GLOBAL_TABLE:
            reader.text()
            reader.text()
        kinds = []
        for _ in range(count):
            if not flags & self.HAS_GLOBAL_TABLE:
                reader.text()
                reader.text()
            reader.text()
            kinds.append(self.skip_type(reader))
        return [tuple(self.decode(kind, reader.value()) for kind in kinds) for _ in range(reader.number(">i"))], state

    def decode(self, kind, value):
        if value is None:
            return None
        if kind in (1, 13):
            return value.decode()
        if kind in self.INTEGERS:
            return struct.unpack(self.INTEGERS[kind], value)[0]
        return value

    def rows(self, query):
        state = None
        while True:
            flags = self.WITH_PAGE_SIZE | (self.WITH_STATE if state else 0)
            body = struct.pack(">i", len(query.encode())) + query.encode() + struct.pack(">HBi", self.CONSISTENCY_ONE, flags, PAGE_ROWS)
            if state:
                body += struct.pack(">i", len(state)) + state
            found, state = self.page(self.call(self.QUERY, body))
            yield from found
            if not state:
                return

    def rows_or_none(self, query):
        """No rows where there is no such keyspace or table yet."""
        try:
            yield from self.rows(query)
        except Refused as e:
            if e.code != self.INVALID:
                raise


class Mongo:
    """OP_MSG and BSON."""
    MESSAGE, NO_NAMESPACE = 2013, 26

    def __init__(self, port):
        self.connection = Connection(port)

    def close(self):
        self.connection.close()

    @staticmethod
    def encode(document):
        out = b""
        for name, value in document.items():
            key = name.encode() + b"\0"
            if isinstance(value, bool):
                out += b"\x08" + key + bytes([value])
            elif isinstance(value, int):
                out += b"\x12" + key + struct.pack("<q", value)
            elif isinstance(value, str):
                out += b"\x02" + key + struct.pack("<i", len(value.encode()) + 1) + value.encode() + b"\0"
            elif isinstance(value, dict):
                out += b"\x03" + key + Mongo.encode(value)
            else:
                raise TypeError(f"{name}: {value!r}")
        return struct.pack("<i", len(out) + 5) + out + b"\0"

    @staticmethod
    def decode(reader):
        end, found = reader.at + reader.number("<i"), {}
        while True:
            kind = reader.number("<B")
            if kind == 0:
                if reader.at != end:
                    raise OSError("a document whose length is wrong")
                return found
            stop = reader.data.index(b"\0", reader.at)
            name = reader.bytes(stop - reader.at).decode()
            reader.bytes(1)
            found[name] = Mongo.decode_value(kind, reader)

    @staticmethod
    def decode_value(kind, reader):
        if kind == 2:
            return reader.bytes(reader.number("<i"))[:-1].decode()
        if kind == 3:
            return Mongo.decode(reader)
        if kind == 4:
            return list(Mongo.decode(reader).values())
        if kind == 5:
            count = reader.number("<i")
            reader.bytes(1)
            return reader.bytes(count)
        if kind == 8:
            return bool(reader.number("<B"))
        if kind in (6, 10):
            return None
        forms = {1: "<d", 9: "<q", 16: "<i", 17: "<Q", 18: "<q"}
        if kind in forms:
            return reader.number(forms[kind])
        counts = {7: 12, 19: 16}
        if kind in counts:
            return reader.bytes(counts[kind])
        raise OSError(f"a value of the type {kind}")

    def call(self, database, command):
        body = self.encode(dict(command, **{"$db": database}))
        self.connection.send(struct.pack("<iiii", 21 + len(body), 1, 0, self.MESSAGE) + struct.pack("<iB", 0, 0) + body)
        count = struct.unpack("<iiii", self.connection.take(16))[0]
        reader = Reader(self.connection.take(count - 16))
        reader.bytes(5)
        answer = self.decode(reader)
        if answer.get("ok") != 1:
            raise Refused(answer.get("code"), answer.get("errmsg"))
        return answer

    def documents(self, database, collection, projection=None, query=None):
        """A collection that is not there has none."""
        cursor = self.call(database, {"find": collection, "batchSize": PAGE_ROWS, "filter": query or {}, "projection": projection or {}})["cursor"]
        yield from cursor["firstBatch"]
        while cursor["id"]:
            cursor = self.call(database, {"getMore": cursor["id"], "collection": collection, "batchSize": PAGE_ROWS})["cursor"]
            yield from cursor["nextBatch"]


def count_cassandra(port, keyspace, table, key):
    with contextlib.closing(Cassandra(port)) as server:
        keys = [row[0] for row in server.rows_or_none(f'SELECT "{key}" FROM "{keyspace}"."{table}"')]
    return len(keys), len(set(keys))


def count_mongodb(port, database, collection, key):
    with contextlib.closing(Mongo(port)) as server:
        keys = [document.get(key) for document in server.documents(database, collection, {key: 1, "_id": 0})]
    return len(keys), len(set(keys))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", choices=["cassandra", "mongodb"])
    parser.add_argument("port", type=int)
    parser.add_argument("space")
    parser.add_argument("table")
    parser.add_argument("key", nargs="?", default="id")
    options = parser.parse_args()
    count = {"cassandra": count_cassandra, "mongodb": count_mongodb}[options.store]
    try:
        print(*count(options.port, options.space, options.table, options.key))
    except (OSError, Refused, ValueError) as e:
        sys.exit(f"look.py: {options.store}: {e}")


if __name__ == "__main__":
    main()
