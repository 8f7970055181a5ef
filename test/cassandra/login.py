# SPDX-License-Identifier: Apache-2.0
"""Users, passwords, permissions, TLS: what fits, what does not, and no secret anywhere."""
import os
import re
import secrets

from harness import expect
from suite import Suite, events, on


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
