# SPDX-License-Identifier: Apache-2.0
"""Epochs that are too large for one transaction: written in parts, killed between them, refused, and met by a process that slept meanwhile."""
import contextlib
import shutil
import signal

from harness import EXIT_FIT, expect, expect_same_rows, wait_until
from suite import Suite, kinds, table, view

ROWS, PAD, LANES = 12000, "x" * 600, 2


class Large(Suite):
    """`kept` is upserted by key, `log` inserted, `per_key` a view: all three in each lane's transactions."""

    def wide(self, path, options):
        return (self.source(path, "id BIGINT, k STRING, v BIGINT, pad STRING") + table("kept", "SELECT id, k, v, pad FROM STREAM events", key="id", **options) +
                table("log", "SELECT id, v, pad FROM STREAM events", **options) +
                view("per_key", "SELECT k, count(*) AS n, sum(v) AS total FROM events GROUP BY k HAVING sum(v) % 3 <> 0", **options))

    @staticmethod
    def padded(count, first=0, add=0):
        return [{**r, "v": r["v"] + add, "pad": PAD} for r in Suite.numbered(count, first)]

    def transactions(self):
        status = self.client.admin.command("serverStatus")["transactions"]
        return status["totalCommitted"], status["totalAborted"]

    @staticmethod
    def documents(database):
        return [sorted(map(repr, database[name].find())) for name in ("kept", "log", "per_key")]

    def expect_wide(self, database, rows, what):
        """`rows` as they came: the last of an id is kept, all are in the log."""
        last = {r["id"]: r["v"] for r in rows}
        expect_same_rows(sorted((d["_id"], d["v"]) for d in database.kept.find()), sorted(last.items()), f"{what}: kept")
        expect_same_rows(sorted((d["id"], d["v"]) for d in database.log.find()), sorted((r["id"], r["v"]) for r in rows), f"{what}: log")
        expect_same_rows(sorted((d["k"], d["n"], d["total"]) for d in database.per_key.find()), self.per_key(rows), f"{what}: per_key")

    def test_parts(self):
        """Nothing is written twice: every transaction that is begun is committed, several a lane and epoch."""
        rows = self.padded(ROWS)
        database, at = self.database()
        p = self.pipeline(self.wide(self.events(rows), at))
        committed, aborted = self.transactions()
        p.run_to_end()
        self.expect_wide(database, rows, "in parts")
        epochs = self.expect_records(database)
        committed, aborted = (now - then for now, then in zip(self.transactions(), (committed, aborted)))
        expect(aborted == 0 and committed > LANES * epochs, f"{committed} transactions were committed and {aborted} aborted in {epochs} epochs")
        p.expect_balanced()
        return f"{committed} transactions in {epochs} epochs"

    def test_killed_between_parts(self):
        rows = self.padded(ROWS)
        path = self.events(rows)
        database, at = self.database()
        self.pipeline(self.wide(path, at)).run_to_end()
        wanted, kills = self.documents(database), 0
        for nth in (1, 2, 3):
            database, at = self.database()
            p = self.pipeline(self.wide(path, at))
            for _ in range(2):
                process, code = p.run(failpoint=f"mongodb.part=kill:{nth}")
                expect(code in (0, -signal.SIGKILL), f"exit {code}\n{process.text()}")
                kills += code != 0
            p.run_to_end()
            expect(self.documents(database) == wanted, f"killed after part {nth}: the documents are not those of the uninterrupted run")
            self.expect_records(database)
        expect(kills >= 4, f"only {kills} of 6 runs came to be killed")
        return f"{kills} kills"

    @kinds("replica", "standalone")
    def test_refused_in_a_late_part(self):
        """A document that is refused when parts are there already: one dead row each, told once, and everything else is there once."""
        rows = self.padded(ROWS)
        database, at = self.database()
        bad = {ROWS - 7, ROWS - 3}
        for name in ("kept", "log"):
            database.create_collection(name, validator={"id": {"$nin": sorted(bad)}})
        p = self.pipeline(self.wide(self.events(rows), at))
        p.run_to_end()
        good = [r for r in rows if r["id"] not in bad]
        for name in ("kept", "log"):
            expect_same_rows(sorted((d["id"], d["v"]) for d in database[name].find()), [(r["id"], r["v"]) for r in good], name)
        dead = [r[3] for r in p.dead()]
        expect(dead == ["LEAT_DOCUMENT_REFUSED"] * 4, f"dead: {dead}")
        self.expect_records(database)
        p.expect_balanced()

    def test_sleeper(self):
        """A process is stopped in the middle of a large epoch, another on a copy of its folder finishes it and writes newer rows; when the first
        wakes up it gives up, and none of its older rows lands on a newer one."""
        first, second = self.padded(3 * ROWS), self.padded(3 * ROWS, add=1000000)
        path = self.events(self.padded(10))
        database, at = self.database()
        p = self.pipeline(self.wide(path, at))
        p.run_to_end()
        self.append(path, first[10:])
        sleeper = p.start(available_now=True)
        with contextlib.ExitStack() as awake:
            awake.callback(sleeper.process.send_signal, signal.SIGCONT)
            wait_until("a part is there", lambda: database.kept.estimated_document_count() > 1000, 60, sleeper)
            sleeper.process.send_signal(signal.SIGSTOP)
            expect(database.kept.estimated_document_count() < len(first), "the epoch was over before it was stopped")
            other = p.data + "-copy"
            shutil.copytree(p.data, other, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
            self.append(path, second)
            p.run_to_end(data=other)
            self.expect_wide(database, first + second, "the copy")
        code = sleeper.wait(60)
        expect(code == EXIT_FIT, f"the sleeper: exit {code}\n{sleeper.text()}")
        self.expect_wide(database, first + second, "after the sleeper")
