#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""cql_ready.py ADDRESS PORT CLUSTER [--nodes N] [--user U --password P] [--tls CA]

Exit 0 when the node at ADDRESS answers by the native protocol (OPTIONS, STARTUP, login, a query), is of that cluster, and sees N − 1 others
that are up. No client library: Python's standard library alone. A password may come from the environment (CQL_PASSWORD).
"""
import argparse
import os
import socket
import ssl
import struct
import sys

VERSION = 4
OPTIONS, SUPPORTED, STARTUP, READY, AUTHENTICATE, QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = 5, 6, 1, 2, 3, 7, 8, 15, 16
HEADER = struct.Struct(">BBhBi")
REPLY_BYTES_MAX = 16 << 20


class NotReady(Exception):
    pass


class Connection:
    def __init__(self, address, port, tls=None):
        self.socket = socket.create_connection((address, port), 5)
        self.socket.settimeout(10)
        if tls:
            context = ssl.create_default_context(cafile=tls)
            certificate = os.path.join(os.path.dirname(tls), "client.pem")
            if os.path.exists(certificate):
                context.load_cert_chain(certificate, certificate[:-3] + "key")
            context.check_hostname = False
            self.socket = context.wrap_socket(self.socket, server_hostname=address)

    def receive(self, size_bytes):
        data = b""
        while len(data) < size_bytes:
            part = self.socket.recv(size_bytes - len(data))
            if not part:
                raise NotReady("closed")
            data += part
        return data

    def call(self, opcode, body=b""):
        self.socket.sendall(HEADER.pack(VERSION, 0, 0, opcode, len(body)) + body)
        _, _, _, answer, size_bytes = HEADER.unpack(self.receive(HEADER.size))
        if not 0 <= size_bytes <= REPLY_BYTES_MAX:
            raise NotReady("not the native protocol")
        return answer, self.receive(size_bytes)

    def expect(self, wanted, opcode, body=b""):
        answer, data = self.call(opcode, body)
        if answer != wanted:
            raise NotReady(f"opcode {answer}")
        return data

    def start(self, user, password):
        self.expect(SUPPORTED, OPTIONS)
        answer, _ = self.call(STARTUP, struct.pack(">h", 1) + text("CQL_VERSION") + text("3.0.0"))
        if answer == AUTHENTICATE:
            token = f"\0{user}\0{password}".encode()
            self.expect(AUTH_SUCCESS, AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
        elif answer != READY:
            raise NotReady(f"opcode {answer}")

    def query(self, statement):
        """The rows: lists of bytes or None."""
        statement = statement.encode()
        data = self.expect(RESULT, QUERY, struct.pack(">i", len(statement)) + statement + struct.pack(">hB", 1, 2))  # ONE; no metadata
        kind, _flags, columns = struct.unpack_from(">iii", data)
        if kind != 2:
            raise NotReady("no rows")
        (count,), at, rows = struct.unpack_from(">i", data, 12), 16, []
        for _ in range(count):
            row = []
            for _ in range(columns):
                (size_bytes,) = struct.unpack_from(">i", data, at)
                row.append(data[at + 4:at + 4 + size_bytes] if size_bytes >= 0 else None)
                at += 4 + max(size_bytes, 0)
            rows.append(row)
        return rows


def text(value):
    return struct.pack(">h", len(value)) + value.encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("cluster")
    parser.add_argument("--nodes", type=int, default=1)
    parser.add_argument("--user", default="cassandra")
    parser.add_argument("--password", default=os.environ.get("CQL_PASSWORD", "cassandra"))
    parser.add_argument("--tls")
    options = parser.parse_args()
    try:
        connection = Connection(options.address, options.port, options.tls)
        connection.start(options.user, options.password)
        name = connection.query("SELECT cluster_name FROM system.local")[0][0].decode()
        if name != options.cluster:
            raise NotReady(f"this is the cluster {name}")
        peers = connection.query("SELECT host_id, rpc_address FROM system.peers")
        if len([p for p in peers if p[0] and p[1]]) < options.nodes - 1:
            raise NotReady("it does not see the others yet")
    except (OSError, struct.error, NotReady) as e:
        sys.exit(str(e) or type(e).__name__)
    return 0


if __name__ == "__main__":
    sys.exit(main())
