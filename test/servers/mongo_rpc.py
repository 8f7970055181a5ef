#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""MongoDB's wire protocol (OP_MSG) with the standard library alone, as much of it as starting a server takes.

    mongo_rpc.py --port PORT [--standalone] [--user NAME:PASSWORD] [--tls FOLDER] ready | hello

ready   initiates the replica set where there is none, makes the first user through the localhost exception, and ends with 0 once the server takes
        writes: asked again until then.
hello   prints what the server says of itself.
"""
import argparse
import socket
import ssl
import struct
import sys

OP_MSG, TIMEOUT_S, REPLY_BYTES_MAX = 2013, 15, 48 << 20


def encode(document):
    out = b""
    for key, value in document.items():
        name = key.encode() + b"\0"
        if isinstance(value, bool):
            out += b"\x08" + name + (b"\1" if value else b"\0")
        elif isinstance(value, int):
            out += b"\x10" + name + struct.pack("<i", value)
        elif isinstance(value, str):
            text = value.encode() + b"\0"
            out += b"\x02" + name + struct.pack("<i", len(text)) + text
        elif isinstance(value, dict):
            out += b"\x03" + name + encode(value)
        else:
            out += b"\x04" + name + encode({str(i): item for i, item in enumerate(value)})
    return struct.pack("<i", len(out) + 5) + out + b"\0"


# How many bytes a value of a type has, for those that are only passed over.
WIDTHS = {6: 0, 7: 12, 10: 0, 19: 16, 0x7F: 0, 0xFF: 0}


def decode(data, at=0):
    """The document at `at` as a dictionary; types that nobody here asks for are None."""
    end = at + struct.unpack_from("<i", data, at)[0] - 1
    at += 4
    found = {}
    while at < end:
        kind, name_end = data[at], data.index(b"\0", at + 1)
        name = data[at + 1:name_end].decode("utf-8", "replace")
        at = name_end + 1
        value, size = decode_value(data, at, kind)
        found[name] = value
        at += size
    return found


def decode_value(data, at, kind):
    if kind == 1:
        return struct.unpack_from("<d", data, at)[0], 8
    if kind in (2, 13, 14):
        size, = struct.unpack_from("<i", data, at)
        return data[at + 4:at + 3 + size].decode("utf-8", "replace"), 4 + size
    if kind in (3, 4):
        return decode(data, at), struct.unpack_from("<i", data, at)[0]
    if kind == 5:
        return None, 5 + struct.unpack_from("<i", data, at)[0]
    if kind == 8:
        return data[at] == 1, 1
    if kind in (9, 17, 18):
        return struct.unpack_from("<q", data, at)[0], 8
    if kind == 16:
        return struct.unpack_from("<i", data, at)[0], 4
    if kind in WIDTHS:
        return None, WIDTHS[kind]
    raise ValueError(f"BSON type {kind}")


class Connection:
    def __init__(self, port, tls):
        self.socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_S)
        self.socket.settimeout(TIMEOUT_S)
        if tls:
            context = ssl.create_default_context(cafile=f"{tls}/ca.pem")
            context.load_cert_chain(f"{tls}/client.pem", f"{tls}/client.key")
            self.socket = context.wrap_socket(self.socket, server_hostname="localhost")

    def take(self, size):
        data = b""
        while len(data) < size:
            part = self.socket.recv(size - len(data))
            if not part:
                raise OSError("the server closed the connection")
            data += part
        return data

    def command(self, document, database="admin"):
        body = struct.pack("<i", 0) + b"\0" + encode({**document, "$db": database})
        self.socket.sendall(struct.pack("<iiii", len(body) + 16, 1, 0, OP_MSG) + body)
        size, = struct.unpack("<i", self.take(4))
        if not 21 <= size <= REPLY_BYTES_MAX:
            raise OSError(f"a reply of {size} bytes")
        return decode(self.take(size - 4), 17)


def ready(connection, options):
    """Whether it takes writes; what it still lacks is asked for."""
    hello = connection.command({"hello": 1})
    if not hello.get("isWritablePrimary"):
        if not options.standalone and not hello.get("setName"):
            member = {"_id": 0, "host": f"127.0.0.1:{options.port}"}
            connection.command({"replSetInitiate": {"_id": "rs0", "members": [member]}})
        return False
    if options.user:  # refused once there is a user, which is fine
        name, password = options.user.split(":", 1)
        connection.command({"createUser": name, "pwd": password, "roles": ["root"]})
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--standalone", action="store_true")
    parser.add_argument("--user")
    parser.add_argument("--tls")
    parser.add_argument("what", choices=["ready", "hello"])
    options = parser.parse_args()
    try:
        connection = Connection(options.port, options.tls)
        if options.what == "ready":
            return 0 if ready(connection, options) else 1
        print(connection.command({"hello": 1}))
    except (OSError, ValueError, struct.error, IndexError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
