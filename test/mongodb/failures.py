# SPDX-License-Identifier: Apache-2.0
"""What a server may answer in the middle of an epoch: lost transactions, commits of unknown outcome, cut connections, a primary that steps down.

The answers are made by the server's own `failCommand`, for leat's connections alone; each case asserts that they were given.
"""
import contextlib
import time

import pymongo.errors
from harness import expect, wait_until
from suite import SHORT_EPOCHS, Suite, kinds

LOST, UNKNOWN = ["TransientTransactionError"], ["UnknownTransactionCommitResult"]
REPLICATION = {"code": 64, "codeName": "WriteConcernFailed", "errmsg": "waiting for replication timed out"}
# Commands, what they answer, how often in a row.
CASES = [
    (["commitTransaction"], {"closeConnection": True}, 1),
    (["commitTransaction"], {"closeConnection": True}, 3),
    (["commitTransaction"], {"writeConcernError": REPLICATION}, 2),
    (["commitTransaction"], {"writeConcernError": REPLICATION}, 9),
    (["commitTransaction"], {"errorCode": 251, "errorLabels": LOST}, 1),
    (["commitTransaction"], {"errorCode": 112, "errorLabels": LOST}, 2),
    (["commitTransaction"], {"errorCode": 50, "errorLabels": UNKNOWN}, 2),
    (["commitTransaction"], {"errorCode": 91, "errorLabels": UNKNOWN}, 4),
    (["update"], {"errorCode": 112, "errorLabels": LOST}, 1),
    (["update"], {"errorCode": 112, "errorLabels": LOST}, 5),
    (["update"], {"errorCode": 189}, 3),
    (["update"], {"closeConnection": True}, 2),
    (["insert"], {"errorCode": 257}, 1),
    (["insert"], {"errorCode": 388}, 9),
    (["insert"], {"errorCode": 365, "errorLabels": LOST}, 2),
    (["insert"], {"closeConnection": True}, 1),
    (["insert"], {"writeConcernError": REPLICATION}, 2),
    (["findAndModify"], {"errorCode": 189}, 1),
    (["findAndModify"], {"writeConcernError": REPLICATION}, 1),
    (["find"], {"closeConnection": True}, 1),
    (["insert", "update", "commitTransaction"], {"closeConnection": True}, 4),
]
# Who may not end sessions waits a minute for the server to do it.
LONG_CASES = [(["killSessions"], {"errorCode": 13}, 1)]
STANDALONE = [c for c in CASES if c[0] != ["commitTransaction"]]
ROWS, STEPS = 2000, 3


class Failures(Suite):
    @contextlib.contextmanager
    def failing(self, commands, answer, times, skip=None):
        """The server answers so, a number of times or, after some, always; yields a function that says how many of the answers were given."""
        point = {"configureFailPoint": "failCommand"}
        before = self.client.admin.command({**point, "mode": "off"})["count"]
        self.client.admin.command({**point, "mode": {"times": times} if skip is None else {"skip": skip}, "data": {"failCommands": commands, "appName": "leat", **answer}})
        try:
            yield lambda: self.client.admin.command({**point, "mode": "off"})["count"] - before
        finally:
            self.client.admin.command({**point, "mode": "off"})

    @kinds("replica", "standalone")
    def test_answers(self):
        rows = self.numbered(ROWS)
        path = self.events(rows)
        given = 0
        cases = STANDALONE if self.server.kind == "standalone" else CASES + (LONG_CASES if self.long else [])
        for commands, answer, times in cases:
            database, at = self.database()
            p = self.pipeline(self.counting(path, at), SHORT_EPOCHS)
            if commands == ["killSessions"]:  # they are of a start before this one
                p.run(failpoint="mongodb.commit=kill:2")
            what = f"{commands} {answer} {times} times"
            with self.failing(commands, answer, times) as count:
                process, code = p.run()
                met = count()
            expect(code == 0, lambda w=what, x=process: f"{w}: exit {code}\n{x.text()}")
            expect(met >= 1, f"{what}: no command met it")
            given += met
            self.expect_counted(database, rows, what)
            self.expect_records(database)
            expect(not p.dead(), f"{what}: {p.dead()[:3]}")
            p.expect_balanced()
        return f"{len(cases)} cases, {given} answers"

    def test_half_committed(self):
        """Killed when one lane has committed and another has not, and started with another number of lanes: the epoch is finished with as many as it began
        with, then there are as many as the text says."""
        for before, after in ((2, 4), (4, 1)):
            rows = self.numbered(ROWS)
            path = self.events(rows)
            database, at = self.database()
            p = self.pipeline(self.counting(path, {**at, "leat.lanes": before}), SHORT_EPOCHS)
            with self.failing(["commitTransaction"], {"blockConnection": True, "blockTimeMS": 2000}, 0, skip=1):  # lanes commit in any order
                process = p.start(available_now=True)
                wait_until("a lane has committed", lambda d=database, n=before: self.is_half_committed(d, n), 30, process)
                process.kill()
                p.write(self.counting(path, {**at, "leat.lanes": after}))
                expect(self.is_half_committed(database, before), "the lanes are at one epoch, though one of them was killed in its commit")
            p.run_to_end()
            self.expect_counted(database, rows, f"{before} lanes, then {after}")
            self.append(path, self.numbered(10, len(rows)))
            rows = rows + self.numbered(10, len(rows))
            p.run_to_end()
            self.expect_counted(database, rows, f"{before} lanes, then {after}, and more")
            self.expect_records(database, after)

    @staticmethod
    def is_half_committed(database, lanes):
        """Has some lane an epoch that another has not? One that has committed nothing yet has no record."""
        found = list(database.leat_pipeline.find({"lane": {"$exists": True}}, {"epoch": 1}))
        newest = max((d["epoch"] for d in found), default=0)
        return newest > 0 and 0 < sum(d["epoch"] == newest for d in found) < lanes

    def test_steps_down(self):
        """The primary gives up its place in the middle of transactions, and takes it again."""
        rows = self.numbered(30000)
        path = self.events(rows)
        database, at = self.database()
        p = self.pipeline(self.counting(path, at), SHORT_EPOCHS)
        process = p.start(available_now=True)
        seen = 0
        for _ in range(STEPS):
            wait_until("more rows have come", lambda: self.count(database) > seen + 500, 60, process)
            with contextlib.suppress(pymongo.errors.PyMongoError):
                self.client.admin.command("replSetStepDown", 1, force=True)
            time.sleep(0.5)
            seen = wait_until("there is a primary again", lambda: self.count(database) or 1, 60)
        running = process.poll() is None
        code = process.wait(120)
        expect(code == 0, f"exit {code}\n{process.text()}")
        expect(running, "the run was over before the primary stepped down so often")
        self.expect_counted(database, rows, "after the steps")
        self.expect_records(database)
        return f"{STEPS} times"

    @staticmethod
    def count(database):
        try:
            return database.kept.estimated_document_count()
        except pymongo.errors.PyMongoError:
            return 0
