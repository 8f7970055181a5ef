# SPDX-License-Identifier: Apache-2.0
"""Users, passwords, permissions, TLS: what fits, what does not, and no secret anywhere."""
import os
import re
import secrets
import socket
import ssl
import subprocess
import threading

from harness import expect
from proxy import Proxy
from suite import Suite, events, on


class Listener:
    """A server of the test's own for one kind of answer: keeps what is said to it before it goes silent."""

    def __init__(self, answer):
        self.answer, self.heard, self.ended = answer, [], False
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while not self.ended:
            try:
                with self.socket.accept()[0] as client:
                    client.settimeout(10)
                    self.answer(self, client)
            except (OSError, ssl.SSLError):
                continue

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended = True
        self.socket.close()


class Login(Suite):
    def user(self, *permissions):
        """A role of its own: (name, password)."""
        self.made += 1
        name, password = f"u_{self.test}_{self.made}", "pw-" + secrets.token_hex(12)
        self.session.execute(f"CREATE ROLE {name} WITH PASSWORD = '{password}' AND LOGIN = true")
        for permission in permissions:
            self.session.execute(f"GRANT {permission} TO {name}")
        return name, password

    def run_as(self, keyspace, user, password, rows, **more):
        given = {**self.place(keyspace), "user": user, "password": "${env:CASSANDRA_TEST_PASSWORD}", **more}
        p = self.counting(keyspace, rows, place=given)
        p.more_environment["CASSANDRA_TEST_PASSWORD"] = password
        return p

    def expect_no_secret(self, p, password):
        for folder, _, names in os.walk(p.folder):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    with open(path, "rb") as f:
                        expect(password.encode() not in f.read(), f"the password stands in {path}")

    @on("login")
    def test_login(self):
        keyspace = self.keyspace()
        rows = events(0, 900)
        user, password = self.user(f"ALL PERMISSIONS ON KEYSPACE {keyspace}")
        p = self.run_as(keyspace, user, password, rows)
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "with a login")
        self.expect_no_secret(p, password)
        wrong = self.run_as(keyspace, user, password + "x", rows)
        self.expect_refused(wrong, "LEAT_CASSANDRA_AUTHENTICATION", code=2)
        self.expect_no_secret(wrong, password)
        nobody = self.counting(keyspace, rows)
        self.expect_refused(nobody, "LEAT_CASSANDRA_AUTHENTICATION", "user = ", code=2)
        return "1 login, 2 refused"

    @on("login")
    def test_permissions(self):
        """What may not be done is named with the CQL that somebody else has to type; typed, it works."""
        keyspace = self.keyspace()
        rows = events(0, 200)
        user, password = self.user(f"SELECT ON KEYSPACE {keyspace}")
        p = self.run_as(keyspace, user, password, rows, **{"leat.create": "true"})
        text = " ".join(self.expect_refused(p, "LEAT_CASSANDRA_UNAUTHORIZED", "CREATE TABLE IF NOT EXISTS", "leat_pipeline", code=2).split())
        self.session.execute(re.search(r"CREATE TABLE IF NOT EXISTS \S*leat_pipeline .*?\)\)\)", text)[0])
        self.session.execute(f"GRANT MODIFY ON {keyspace}.leat_pipeline TO {user}")
        text = " ".join(self.expect_refused(p, "LEAT_CASSANDRA_UNAUTHORIZED", "CREATE TABLE IF NOT EXISTS", "copied", code=2).split())
        self.session.execute(f"CREATE TABLE {keyspace}.copied (id int PRIMARY KEY, k text, v bigint, note text)")
        self.session.execute(f"CREATE TABLE {keyspace}.totals (k text PRIMARY KEY, note text, n bigint, total bigint)")
        self.expect_refused(p, "LEAT_CASSANDRA_UNAUTHORIZED", "MODIFY", code=2)
        self.session.execute(f"GRANT MODIFY ON KEYSPACE {keyspace} TO {user}")
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "with every permission")
        return "3 refusals"

    @on("login")
    def test_tls(self):
        keyspace = self.keyspace()
        rows = events(0, 900)
        user, password = self.user(f"ALL PERMISSIONS ON KEYSPACE {keyspace}")
        ca = os.path.join(self.server.tls, "ca.pem")
        p = self.run_as(keyspace, user, password, rows, tls="true", caFile=ca)
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "over TLS")
        spark = {"spark.cassandra.connection.ssl.enabled": "true", "spark.cassandra.connection.ssl.trustStore.path": ca}
        again = self.run_as(self.keyspace(), "cassandra", "cassandra", events(0, 50), **spark)
        again.run_to_end()
        unknown = self.run_as(keyspace, user, password, rows, tls="true")
        self.expect_refused(unknown, "LEAT_CASSANDRA_TLS", code=2)
        wrong = self.run_as(keyspace, user, password, rows, tls="true", caFile=os.path.join(self.server.tls, "client.pem"))
        self.expect_refused(wrong, "LEAT_CASSANDRA_TLS", code=2)
        missing = self.run_as(keyspace, user, password, rows, tls="true", caFile="/no/such/file.pem")
        self.expect_refused(missing, "/no/such/file.pem", code=2)
        store = self.run_as(keyspace, user, password, rows, tls="true", caFile=os.path.join(self.server.tls, "client.p12"))
        self.expect_refused(store, "PEM", "keytool", code=2)
        return "2 connections, 4 refused"

    def tool(self, port, *options, host="127.0.0.1"):
        """cql_tool's exit status and words: one attempt to connect."""
        tool = os.path.join(os.path.dirname(self.leat), "cql_tool")
        out = subprocess.run([tool, "--host", host, "--port", str(port), "--timeout-ms", "8000", "--user", "cassandra", "--password", "cassandra", *options, "info"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False)
        return out.returncode, out.stdout.decode("utf-8", "replace")

    @on("login")
    def test_tls_identity(self):
        """Who the server is: a certificate for another host is refused, and one of an authority that nobody named; each says which and what to do."""
        keyspace = self.keyspace()
        rows = events(0, 50)
        ca = os.path.join(self.server.tls, "ca.pem")
        proxy = Proxy(self.server.proxy_port, self.server.port, host="127.0.0.2")  # the certificate is for localhost and 127.0.0.1
        proxy.target = ("127.0.0.1", self.server.port)
        try:
            place = {**self.place(keyspace), "host": "127.0.0.2", "port": self.server.proxy_port, "user": "cassandra", "password": "cassandra", "tls": "true", "caFile": ca}
            other_host = self.counting(keyspace, rows, place=place)
            self.expect_refused(other_host, "LEAT_CASSANDRA_TLS", f"127.0.0.2:{self.server.proxy_port}", "it is for localhost, 127.0.0.1, not for 127.0.0.2", "put into it", code=2)
            expect(self.count(keyspace, "copied") == 0, "rows were written")
            unchecked = self.counting(keyspace, rows, place={**place, "hostCheck": "false"})
            unchecked.run_to_end()
            self.expect_counted(unchecked, keyspace, rows, "hostCheck = false")
            seen = proxy.passed_bytes
            expect(seen > 1000, f"{seen} bytes went through the proxy")
        finally:
            proxy.close()
        folder = self.folder()
        stranger = os.path.join(folder, "ca.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=another authority",
                        "-keyout", os.path.join(folder, "ca.key"), "-out", stranger], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for more in ({"caFile": stranger}, {"caFile": stranger, "hostCheck": "false"}, {"hostCheck": "false"}):
            unknown = self.counting(keyspace, rows, place={**self.place(keyspace), "user": "cassandra", "password": "cassandra", "tls": "true", **more})
            self.expect_refused(unknown, "LEAT_CASSANDRA_TLS", f"127.0.0.1:{self.server.port}", "certificate is refused", "name the CA", code=2)
        return "2 other hosts, 3 unknown authorities"

    @on("login")
    def test_tls_no_downgrade(self):
        """Asked for TLS, the client says nothing without it: not to a server that answers in the open, nor to one that knows only old TLS."""
        ca = os.path.join(self.server.tls, "ca.pem")

        def in_the_open(listener, client):
            listener.heard.append(client.recv(65536))
            client.sendall(bytes.fromhex("850000000600000002") + b"\0\0")  # SUPPORTED, as of a server of v5
            listener.heard.append(client.recv(65536))

        def old_tls(listener, client):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version, context.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            context.load_cert_chain(os.path.join(self.server.tls, "server.pem"), os.path.join(self.server.tls, "server.key"))
            listener.heard.append(b"")
            with context.wrap_socket(client, server_side=True) as secure:
                listener.heard.append(secure.recv(65536))

        def closing(listener, client):
            listener.heard.append(client.recv(65536))

        for answer, options, words in ((in_the_open, ("--ca", ca), "without TLS"), (in_the_open, ("--insecure",), "without TLS"), (old_tls, ("--ca", ca), "TLS"),
                                       (old_tls, ("--insecure",), "TLS"), (closing, (), "perhaps it wants TLS")):
            with Listener(answer) as listener:
                code, text = self.tool(listener.port, *options)
                expect(code != 0 and words in text, f"{answer.__name__} {options}: exit {code}: {text}")
                expect(listener.heard, f"{answer.__name__}: nobody came")
                said = b"".join(listener.heard)
                expect(b"cassandra" not in said and b"CQL_VERSION" not in said, f"{answer.__name__} {options}: it said {said!r}")
                expect(not options or len(listener.heard) == 1 or listener.heard[1][:1] in (b"", b"\x15"), lambda: f"{answer.__name__}: after the refusal it said {listener.heard[1]!r}")
        return "5 servers"

    @on("cert")
    def test_tls_client(self):
        """A server that asks for the client's certificate: the right one is accepted; none, and a stranger's, are refused by name."""
        files = {name: os.path.join(self.server.tls, name) for name in ("ca.pem", "client.pem", "client.key", "stranger.pem", "stranger.key")}
        keyspace = self.keyspace()
        rows = events(0, 200)
        place = {**self.place(keyspace), "tls": "true", "caFile": files["ca.pem"]}
        p = self.counting(keyspace, rows, place={**place, "certFile": files["client.pem"], "keyFile": files["client.key"]})
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "with a certificate")
        refused = self.counting(keyspace, rows, place=place)
        self.expect_refused(refused, "LEAT_CASSANDRA_TLS", "the server refuses the client's certificate", code=2)
        code, text = self.tool(self.server.port, "--ca", files["ca.pem"], "--cert", files["stranger.pem"], "--key", files["stranger.key"])
        expect(code != 0 and "client's certificate" in text, f"a stranger: exit {code}: {text}")
        plain = self.tool(self.server.port)
        expect(plain[0] != 0 and "perhaps it wants TLS" in plain[1], f"without TLS: {plain}")
        return "1 accepted, 3 refused"
