# SPDX-License-Identifier: Apache-2.0
"""A server whose disk is full, or that has limits of its own. What is no row's fault makes no row a dead one: the epoch waits, or the pipeline ends
with the server's words; what is a row's fault goes to leat_dead."""
import os

from cassandra import ConsistencyLevel

from harness import expect, wait_until
from suite import RECOVERY_S, Suite, Trickle, events, on, properties, write_rows


class Limits(Suite):
    def role(self, keyspace):
        """Limits are for ordinary users."""
        self.made += 1
        name = f"u_{self.test}_{self.made}"
        self.session.execute(f"CREATE ROLE {name} WITH PASSWORD = 'secret' AND LOGIN = true")
        self.session.execute(f"GRANT ALL PERMISSIONS ON KEYSPACE {keyspace} TO {name}")
        os.environ["CASSANDRA_TEST_PASSWORD"] = "secret"
        return {**self.place(keyspace), "user": name, "password": "${env:CASSANDRA_TEST_PASSWORD}"}

    def ballast(self, keyspace, megabytes):
        """Bytes that are not leat's, as many as the server takes: the error that ended it, or None."""
        self.session.execute(f"CREATE TABLE IF NOT EXISTS {keyspace}.ballast (id int PRIMARY KEY, bytes blob)")
        insert = self.session.prepare(f"INSERT INTO {keyspace}.ballast (id, bytes) VALUES (?, ?)")
        insert.consistency_level = ConsistencyLevel.ONE
        for i in range(megabytes * 32):
            try:
                self.session.execute(insert, (i, os.urandom(32768)), timeout=10)
            except Exception as e:  # of many classes
                return e
        return None

    @on("limit")
    def test_limit_of_disk(self):
        keyspace = self.keyspace()
        rows = events(0, 500)
        p = self.counting(keyspace, rows, place=self.role(keyspace))
        with Trickle(os.path.join(p.folder, "events.json"), 500, 200) as trickle:
            process = p.start()
            self.wait_for("the first rows", keyspace, "copied", 500, process)
            self.ballast(keyspace, 18)
            wait_until("the server refuses rows", lambda: "disk usage exceeds" in process.errors(), RECOVERY_S, process)
            epoch = p.epoch()
            expect(p.dead() == [], lambda: f"dead rows: {p.dead()[:3]}")
            self.session.execute(f"TRUNCATE {keyspace}.ballast")
            wait_until("it goes on with room", lambda: p.epoch() > epoch + 2, RECOVERY_S, process)
            rows += trickle.finish()
        self.wait_for("all rows", keyspace, "copied", len(rows), process)
        process.stop()
        expect(p.dead() == [], lambda: f"dead rows: {p.dead()[:3]}")
        self.expect_counted(p, keyspace, rows, "a disk over its limit")
        return f"{len(rows)} rows, none dead"

    @on("limit")
    def test_limits_of_requests(self):
        """Of how rows are written: the pipeline ends, and no row is dead. Of a value: that row is."""
        keyspace = self.keyspace()
        place = self.role(keyspace)
        p = self.counting(keyspace, events(0, 50), place=place, consistency="QUORUM")
        self.expect_refused(p, "Guardrail write_consistency_levels violated", "a limit of the server's own", code=2)
        expect(p.dead() == [] and self.count(keyspace, "copied") == 0, f"{p.dead()[:3]}")
        folder = self.folder()
        write_rows(os.path.join(folder, "rows.json"), [{"id": i, "t": "x" * (70000 if i == 7 else 10)} for i in range(20)])
        values = self.pipeline("CREATE TABLE events (id INT, t STRING) USING json OPTIONS (path 'rows.json');\n"
                               f"CREATE STREAMING TABLE sized USING cassandra TBLPROPERTIES ({properties({**place, 'leat.create': 'true'})}, key = 'id') AS SELECT * FROM STREAM events;\n",
                               folder=folder)
        values.run_to_end()
        dead = values.dead()
        expect(len(dead) == 1 and "column_value_size" in dead[0][4] and self.count(keyspace, "sized") == 19, f"{self.count(keyspace, 'sized')} rows, dead: {dead}")
        return "1 refusal, 1 dead row"

    @on("full")
    def test_disk_full(self):
        """No byte is left for the server's log: it fails, stops listening or dies; leat waits, and with room and a server all rows are there."""
        keyspace = self.keyspace()
        rows = events(0, 500)
        p = self.counting(keyspace, rows)
        self.ballast(keyspace, 0)
        filler = os.path.join(self.server.disk, "filler")
        with Trickle(os.path.join(p.folder, "events.json"), 500, 200) as trickle:
            process = p.start()
            self.wait_for("the first rows", keyspace, "copied", 500, process)
            with open(filler, "wb", buffering=0) as f:
                size = 1 << 20
                while size > 512:
                    try:
                        size = size if f.write(bytes(size)) == size else size // 2
                    except OSError:
                        size //= 2
            free = os.statvfs(self.server.disk)
            expect(free.f_bavail * free.f_bsize < 1 << 20, "the disk is not full")
            trouble = self.ballast(keyspace, 64)
            expect(trouble is not None, "the server takes 64 MB on a full disk")
            wait_until("leat notices", lambda: f"127.0.0.1:{self.server.port}" in process.errors(), RECOVERY_S, process)
            epoch = p.epoch()
            self.server.disconnect()
            self.server.kill9()
            os.remove(filler)
            self.server.restart()
            wait_until("it goes on with room", lambda: p.epoch() > epoch + 2, RECOVERY_S, process)
            rows += trickle.finish()
        self.session = self.server.connect()
        self.wait_for("all rows", keyspace, "copied", len(rows), process)
        process.stop()
        expect(p.dead() == [], lambda: f"dead rows: {p.dead()[:3]}")
        self.expect_counted(p, keyspace, rows, "a full disk")
        return f"{len(rows)} rows; the server: {type(trouble).__name__}"
