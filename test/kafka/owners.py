# SPDX-License-Identifier: Apache-2.0
"""Two processes on one pipeline: one of them is told so and goes; no row is there twice."""
import shutil

from harness import EXIT_FIT, expect, wait_until
from suite import Suite


class Owners(Suite):
    def test_same_folder(self):
        topic, to = self.topic("in", 2), self.topic("out", 2)
        records = self.fill(topic, 500)
        p = self.copying(topic, to, with_state=True)
        first = p.start()
        wait_until("500 rows", lambda: p.count("kept") == 500, 30, first)
        second, code = p.run(seconds=30)
        expect(code == EXIT_FIT and str(first.pid) in second.errors(), f"exit {code}, the owner is {first.pid}\n{second.text()}")
        records += self.fill(topic, 500, first=500)
        wait_until("1,000 rows", lambda: p.count("kept") == 1000, 30, first)
        first.stop()
        self.expect_copied(to, records, "the first went on")
        self.expect_counted(p, records, "the first went on")
        return "the second is refused with the first one's pid"

    def test_copied_folder(self):
        """Both have the same identity; whoever opens the sink later fences the other."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        records = self.fill(topic, 500)
        p = self.copying(topic, to)
        p.run_to_end()
        copy = p.data + "-copy"
        shutil.copytree(p.data, copy, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
        older = p.start()
        records += self.fill(topic, 100, first=500)
        wait_until("the older works", lambda: older.rows_in("copied") >= 100, 30, older)
        shutil.rmtree(copy)
        shutil.copytree(p.data, copy, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])
        newer = p.start(data=copy)
        wait_until("the newer runs or has ended", lambda: newer.poll() is not None or p.is_running(copy), 30)
        records += self.fill(topic, 300, first=600)
        ended = wait_until("one of the two ends", lambda: older if older.poll() is not None else newer if newer.poll() is not None else None, 60)
        other = newer if ended is older else older
        expect(ended.returncode == EXIT_FIT, f"exit {ended.returncode}\n{ended.text()}")
        expect("fence" in ended.errors().lower() or "another" in ended.errors().lower(), f"it does not say why\n{ended.text()}")
        wait_until("the other goes on", lambda: self.copied(to) >= self.wanted(records), 60, other)
        other.stop()
        self.expect_copied(to, records, "two processes")
        expect(ended is older, f"the newer one ended, not the older\n{ended.text()}")
        # The older folder has fallen behind what its sink remembers.
        behind, code = p.run(seconds=60)
        expect(code == EXIT_FIT and "error" in behind.errors(), f"the folder left behind: exit {code}\n{behind.text()}")
        self.expect_copied(to, records, "the folder left behind is refused")
        return "the older is fenced, exit 5; started again it is refused"

    def copied(self, to):
        return sum(len(rows) for rows in self.client.read(to, settle=False).values())

    @staticmethod
    def wanted(records):
        return sum(r.offset % 7 != 3 for r in records)
