# SPDX-License-Identifier: Apache-2.0
"""Two processes on one pipeline, and data folders older than the store."""
import os
import shutil

from harness import expect, wait_until
from suite import Suite, events, write_rows


class Owners(Suite):
    def test_two_processes(self):
        """The same pipeline from a copy of its folder: the older process finds another's name in the record and ends; the newer one goes on."""
        keyspace = self.keyspace()
        rows = events(0, 500)
        p = self.counting(keyspace, rows)
        path = os.path.join(p.folder, "events.json")
        p.run_to_end()
        copy = os.path.join(p.folder, "copy")
        shutil.copytree(p.data, copy)
        older = p.start()
        wait_until("the first runs", p.is_running, 30, older)
        newer = p.start(data=copy)
        wait_until("the second runs", lambda: p.is_running(copy), 30, newer)
        write_rows(path, events(500, 200), "a")
        code = older.wait(60)
        text = " ".join(older.errors().split())
        expect(code == 5, lambda: f"the older: exit {code}\n{older.text()}")
        expect("LEAT_PRODUCER_FENCED" in text and f"process {newer.pid} on" in text, lambda: older.text())
        self.wait_for("the newer goes on", keyspace, "copied", 700, newer)
        newer.stop()
        expect(self.count(keyspace, "copied") == 700, "rows are missing")
        return "the older ended with 5"

    def test_same_folder(self):
        keyspace = self.keyspace()
        p = self.counting(keyspace, events(0, 100))
        first = p.start()
        wait_until("the first runs", p.is_running, 30, first)
        second, code = p.run()
        expect(code == 5 and str(first.pid) in second.errors(), lambda: f"exit {code}\n{second.text()}")
        first.stop()
        return "refused with the pid"

    def test_older_folder(self):
        """A data folder restored from before: refused with the reason, built anew on demand."""
        keyspace = self.keyspace()
        rows = events(0, 1200)
        p = self.counting(keyspace, rows)
        p.run_to_end()
        copy = os.path.join(p.folder, "older")
        shutil.copytree(p.data, copy)
        rows += events(1200, 1200)
        write_rows(os.path.join(p.folder, "events.json"), rows[1200:], "a")
        p.run_to_end()
        shutil.rmtree(p.data)
        shutil.copytree(copy, p.data)
        self.expect_refused(p, "LEAT_FOLDER_OLDER", "--full-refresh-all", code=5)
        p.run_to_end("--full-refresh-all")
        self.expect_counted(p, keyspace, rows, "built anew")
        self.session.execute(f"TRUNCATE {keyspace}.leat_pipeline")
        self.expect_refused(p, "LEAT_STORE_OLDER", code=5)
        return "refused both ways"
