# SPDX-License-Identifier: Apache-2.0
"""Rows that come, change and leave; documents that the server refuses; kills; servers that go away; who may write."""
import contextlib
import glob
import os
import re
import shutil
import signal
import time

import proxy
from harness import EXIT_FIT, ROOT, expect, expect_same_rows, wait_until
from suite import SHORT_EPOCHS, Suite, kinds, table, view

TEST_KILLS, LONG_KILLS, OUTAGE_S, LONG_OUTAGE_S = 8, 1000, 10, 60
RARE = {"journal.rotate"}  # passed too seldom in a short run
LARGE, TRANSACTION_ONLY = {"mongodb.part"}, {"mongodb.begin"}
NTH = {"mongodb.claim": (1,), "mongodb.commit": (1, 2), "mongodb.committed": (1, 2), "journal.rotate": (1,)}  # where not the second passage


def failpoints():
    """Every name in the engine's epochs and in this connector, from the sources, so that a new one cannot be forgotten."""
    names = set()
    for path in [p for folder in ("stream", "connector/mongodb", "connector/sqlite") for p in glob.glob(os.path.join(ROOT, "src", folder, "*.c"))]:
        with open(path, encoding="utf-8") as f:
            names |= set(re.findall(r'failpoint\("([a-z_.]+)"', f.read()))
    return sorted(names)


class Lifecycle(Suite):
    @kinds("replica", "standalone")
    def test_view_changes(self):
        """Rows change, turn a column NULL, and leave by HAVING, from epoch to epoch."""
        database, at = self.database()
        path = self.events([{"k": "a", "v": 1}, {"k": "b", "v": 5}, {"k": "c", "v": None}])
        p = self.pipeline(self.source(path, "k STRING, v INT") +
                          view("sums", "SELECT k, count(*) AS n, CASE WHEN sum(v) > 100 THEN NULL ELSE sum(v) END AS total FROM events GROUP BY k HAVING count(*) < 4", **at))
        wanted = [({"k": "a", "v": 2}, {"a": (2, 3), "b": (1, 5), "c": (1, None)}), ({"k": "b", "v": 500}, {"a": (2, 3), "b": (2, None), "c": (1, None)}),
                  ({"k": "a", "v": 0}, {"a": (3, 3), "b": (2, None), "c": (1, None)}), ({"k": "a", "v": 0}, {"b": (2, None), "c": (1, None)})]
        for row, result in wanted:
            p.run_to_end()
            self.append(path, [row])
            p.run_to_end()
            found = {d["_id"]: (d["n"], d["total"]) for d in database.sums.find()}
            expect(found == result, f"after {row}: {found}, not {result}")
        self.expect_records(database)

    @kinds("replica", "standalone")
    def test_refused_documents(self):
        """Hundreds of refused documents in one epoch: each is a dead row with its reason, the others are there, in one run of the epoch."""
        database, at = self.database()
        database.create_collection("kept", validator={"$jsonSchema": {"properties": {"v": {"maximum": 1999}}}})
        database.kept.create_index("u", unique=True)
        rows = [{"id": i, "v": i * 7 % 2400, "u": i if i % 100 else 0} for i in range(2400)]
        path = self.events(rows)
        p = self.pipeline(self.source(path, "id INT, v INT, u INT") + table("kept", "SELECT * FROM STREAM events", **at))
        process = p.run_to_end()
        bad = [r for r in rows if r["v"] > 1999]
        good = [r for r in rows if r["v"] <= 1999 and r["u"]]
        same = [r for r in rows if r["v"] <= 1999 and not r["u"]]
        found = sorted(d["id"] for d in database.kept.find({"u": {"$ne": 0}}))
        expect_same_rows(found, [r["id"] for r in good], "documents that pass")
        expect(database.kept.count_documents({"u": 0}) == 1, "of equal values of a unique index one is kept")
        dead = [r[3] for r in p.dead()]
        expect(dead.count("LEAT_DOCUMENT_REFUSED") == len(bad) > 300 and dead.count("LEAT_DUPLICATE_KEY") == len(same) - 1, f"{len(dead)} dead: {set(dead)}")
        expect("again" not in process.errors(), f"it took several runs\n{process.errors()}")
        p.expect_balanced()
        return f"{len(dead)} refused"

    def prepare(self, rows):
        database, at = self.database()
        path = self.events(rows)
        p = self.pipeline(self.counting(path, at), SHORT_EPOCHS)
        begin = time.monotonic()
        p.run_to_end()
        self.expect_counted(database, rows, "the uninterrupted run")
        return path, self.documents(database), time.monotonic() - begin

    @staticmethod
    def documents(database):
        return [sorted(map(repr, database[name].find())) for name in ("kept", "per_key")]

    def fresh(self, path):
        database, at = self.database()
        return database, self.pipeline(self.counting(path, at), SHORT_EPOCHS)

    @kinds("replica", "standalone")
    def test_kill_at_random(self):
        rows = self.numbered(8000)
        path, wanted, seconds = self.prepare(rows)
        database, p = self.fresh(path)
        target = LONG_KILLS if self.long else TEST_KILLS
        kills = at_work = ends = 0
        while kills < target:
            process = p.start(available_now=True)
            time.sleep(self.random.uniform(0.02, max(seconds * 0.8, 0.2)))
            if process.poll() is None:
                process.kill()
            if process.returncode == -signal.SIGKILL:
                kills += 1
                at_work += 0 < database.kept.estimated_document_count() < len(rows)
                continue
            expect(process.returncode == 0, lambda: f"exit {process.returncode} after {kills} kills\n{process.text()}")
            expect(self.documents(database) == wanted, f"after {kills} kills the documents are not those of the uninterrupted run")
            ends += 1
            shutil.rmtree(p.folder)
            database, p = self.fresh(path)
        p.run_to_end()
        expect(self.documents(database) == wanted, f"after {kills} kills the documents are not those of the uninterrupted run")
        self.expect_records(database)
        expect(at_work or target > kills, f"none of {kills} kills met a run at work")
        return f"{kills} kills, {at_work} at work, {ends + 1} runs to the end"

    @kinds("replica", "standalone")
    def test_kill_at_failpoints(self):
        """At each place once or twice; what only a large epoch passes (mongodb.part) is in large.py."""
        rows = self.numbered(2500)
        path, wanted, _ = self.prepare(rows)
        replica = self.server.kind == "replica"
        points = [p for p in failpoints() if p not in LARGE and (replica or p.startswith("mongodb") and p not in TRANSACTION_ONLY)]
        reached = []
        for point, nth in [(p, n) for p in points for n in NTH.get(p, (2,))]:
            database, p = self.fresh(path)
            process, code = p.run(failpoint=f"{point}=kill:{nth}")
            expect(code in (0, -signal.SIGKILL), f"{point}: exit {code}\n{process.text()}")
            expect(code != 0 or point in RARE, f"{point} was not passed {nth} times")
            if code:
                reached.append(point)
                process, code = p.run(failpoint=f"{point}=kill:{nth}")  # and once more, in what the first left
                expect(code in (0, -signal.SIGKILL), f"{point}, again: exit {code}\n{process.text()}")
            p.run_to_end()
            expect(self.documents(database) == wanted, f"{point}: the documents are not those of the uninterrupted run")
            self.expect_records(database)
        return f"{len(set(reached))} of {len(points)} failpoints, {len(reached)} kills"

    @kinds("replica", "standalone")
    def test_server_killed(self):
        rows = self.numbered(40000)
        path = self.events(rows)
        database, p = self.fresh(path)
        process = p.start(available_now=True)
        wait_until("rows have come", lambda: database.kept.estimated_document_count() > 1000, 60, process)
        self.server.kill9()
        time.sleep(1)
        running = process.poll() is None
        self.server.restart()
        code = process.wait(120)
        expect(code == 0, f"exit {code}\n{process.text()}")
        expect(running, "the run was over before the server was killed")
        self.expect_counted(database, rows, "after the server's kill")
        self.expect_records(database)

    def test_outage(self):
        seconds = LONG_OUTAGE_S if self.long else OUTAGE_S
        rows = self.numbered(20000)
        path = self.events(rows[:10000])
        database, at = self.database()
        at["connection.uri"] = self.server.proxied
        between = proxy.Proxy(self.server.port + 1, self.server.port)
        with contextlib.closing(between):
            p = self.pipeline(self.counting(path, at), SHORT_EPOCHS)
            process = p.start()
            wait_until("the first rows are there", lambda: database.kept.estimated_document_count() >= 10000, 60, process)
            between.set("cut")
            self.append(path, rows[10000:])
            time.sleep(seconds)
            expect(process.poll() is None, f"leat ended\n{process.text()}")
            expect(f"127.0.0.1:{self.server.port + 1}" in process.errors(), f"nobody said who does not answer\n{process.text()}")
            between.set("forward")
            wait_until("the others are there", lambda: database.kept.count_documents({}) == len(rows), 90, process)
            process.stop()
        self.expect_counted(database, rows, "after the outage")
        return f"{seconds} s"

    def test_unreachable_stops(self):
        """Ctrl-C ends a run that waits for a server that is silent."""
        database, at = self.database()
        at["connection.uri"] = self.server.proxied
        path = self.events(self.numbered(10))
        with contextlib.closing(proxy.Proxy(self.server.port + 1, self.server.port)) as between:
            between.set("stall")
            p = self.pipeline(self.counting(path, at))
            process = p.start()
            time.sleep(1.5)
            begin = time.monotonic()
            process.process.send_signal(signal.SIGTERM)
            process.wait(20)
        expect(database.kept.count_documents({}) == 0, "rows came through a proxy that passes nothing")
        return f"{time.monotonic() - begin:.1f} s"

    def test_two_leats(self):
        """A copy of the data folder, run beside the first: one of them gives up, and every row is there once."""
        rows = self.numbered(3000)
        path = self.events(rows[:1000])
        database, p = self.fresh(path)
        p.run_to_end()
        other = p.data + "-copy"
        shutil.copytree(p.data, other)
        first = p.start()
        wait_until("the first runs", p.is_running, 30, first)
        self.append(path, rows[1000:2000])
        wait_until("its rows are there", lambda: database.kept.count_documents({}) == 2000, 60, first)
        second, code = p.run(data=other)
        expect(code == EXIT_FIT and "older" in second.errors(), f"the copy: exit {code}\n{second.text()}")
        self.append(path, rows[2000:])
        wait_until("the first goes on", lambda: database.kept.count_documents({}) == 3000, 60, first)
        first.stop()
        self.expect_counted(database, rows, "two leats")

    def test_fenced(self):
        """Two processes on copies that agree with the store: the later one takes the records, the earlier commits nothing more."""
        rows = self.numbered(3000)
        path = self.events(rows[:1000])
        database, p = self.fresh(path)
        p.run_to_end()
        other = p.data + "-copy"
        shutil.copytree(p.data, other)
        first = p.start()
        wait_until("the first runs", p.is_running, 30, first)
        second = p.start(data=other)
        wait_until("the second runs", lambda: p.is_running(other), 30, second)
        self.append(path, rows[1000:])
        wait_until("one gives up", lambda: first.poll() is not None or second.poll() is not None, 60)
        time.sleep(1)
        loser, winner, folder = (first, second, other) if first.poll() is not None else (second, first, p.data)
        expect(loser.returncode == EXIT_FIT, f"the one that gave up: exit {loser.returncode}\n{loser.text()}")
        if winner.poll() is not None:  # each took the records from the other: the folder that agrees with the store goes on
            winner, code = p.run(data=folder)
            folder = p.data if folder == other else other
            expect(code == 0 or p.run(data=folder)[1] == 0, f"neither folder goes on\n{winner.text()}")
        else:
            wait_until("the other goes on", lambda: database.kept.count_documents({}) == 3000, 60, winner)
            winner.stop()
        self.expect_counted(database, rows, "fenced")

    def test_older_folder(self):
        rows = self.numbered(2000)
        path = self.events(rows[:1000])
        database, p = self.fresh(path)
        p.run_to_end()
        shutil.copytree(p.data, p.data + "-old")
        self.append(path, rows[1000:])
        p.run_to_end()
        process, code = p.run(data=p.data + "-old")
        expect(code == EXIT_FIT and "older" in process.errors(), f"exit {code}\n{process.text()}")
        self.expect_counted(database, rows, "the older folder")
        p.run_to_end("--full-refresh-all", data=p.data + "-old")
        self.expect_counted(database, rows, "built anew")

    def test_lanes_change(self):
        rows = self.numbered(3000)
        path = self.events(rows[:1000])
        database, at = self.database()
        settings = SHORT_EPOCHS
        p = self.pipeline(self.counting(path, {**at, "leat.lanes": 2}), settings)
        for lanes, end in ((2, 1000), (4, 2000), (1, 3000)):
            if end > 1000:
                self.append(path, rows[end - 1000:end])
            p.write(self.counting(path, {**at, "leat.lanes": lanes}))
            p.run_to_end()
            self.expect_records(database, lanes)
        self.expect_counted(database, rows, "with other lanes")

    def test_target_not_empty(self):
        database, at = self.database()
        database.per_key.insert_one({"_id": "stranger"})
        rows = self.numbered(100)
        path = self.events(rows)
        process, code = self.pipeline(self.counting(path, at)).run()
        expect(code == EXIT_FIT and "already holds rows" in process.errors(), f"exit {code}\n{process.text()}")
        self.pipeline(self.counting(path, {**at, "leat.replace": "true"})).run_to_end()
        self.expect_counted(database, rows, "emptied")


class Access(Suite):
    @kinds("secured")
    def test_login_and_tls(self):
        rows = self.numbered(200)
        path = self.events(rows)
        database, at = self.database()
        ca = os.path.join(self.server.tls, "ca.pem")
        secret = "hun:ter@2-" + self.server.password
        self.client.admin.command("createUser", "eve", pwd=secret, roles=[{"role": "readWrite", "db": database.name}])
        given = {**at, "connection.uri": f"mongodb://localhost:{self.server.port}/", "user": "eve", "password": "${env:EVE}", "authSource": "admin", "tls": "true", "tlsCAFile": ca}
        self.pipeline(self.counting(path, given), environment={"EVE": secret}).run_to_end()
        self.expect_counted(database, rows, "with TLS and SCRAM")
        wrong, code = self.pipeline(self.counting(path, given), environment={"EVE": "sesame-1234"}).run()
        expect(code not in (0, None) and "LEAT_ACCESS_DENIED" in wrong.errors() and "sesame" not in wrong.text(), f"wrong password: exit {code}\n{wrong.text()}")
        other, code = self.pipeline(self.counting(path, {**given, "database": "elsewhere"}), environment={"EVE": secret}).run()
        expect(code not in (0, None) and "LEAT_ACCESS_DENIED" in other.errors() and "readWrite" in other.errors(), f"no permission: exit {code}\n{other.text()}")
        stranger = {k: v for k, v in given.items() if k != "tlsCAFile"}
        untrusted = self.pipeline(self.counting(path, stranger), environment={"EVE": secret})
        process = untrusted.start(available_now=True)
        wait_until("the certificate is not trusted", lambda: "certificate" in process.errors() or "TLS" in process.errors(), 30)
        process.kill()

    @kinds("secured")
    def test_secrets_stay(self):
        """A password in the URI stands in no message and not in the catalog."""
        path = self.events(self.numbered(10))
        _, at = self.database()
        uri = self.server.uri(password="sesame-5678")
        p = self.pipeline(self.counting(path, {**at, "connection.uri": uri}))
        process, code = p.run()
        expect(code not in (0, None) and "LEAT_ACCESS_DENIED" in process.errors(), f"exit {code}\n{process.text()}")
        expect("sesame" not in process.text(), f"the password is told\n{process.text()}")
