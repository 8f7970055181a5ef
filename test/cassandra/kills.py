# SPDX-License-Identifier: Apache-2.0
"""kill -9 of leat, at random moments and at every named point of the way to a commit: the tables must not show it.

The measure is computed from the rows themselves; an uninterrupted run has to meet it first.
"""
import glob
import os
import re
import shutil
import signal
import time

from harness import ROOT, expect
from suite import Suite, events

# Passed too seldom in a short run for the passage asked for; a run that ends by itself is then no failure.
RARE = {"journal.rotate", "cassandra.claim", "cassandra.truncate"}
TEST_KILLS, LONG_KILLS = 14, 1000


def failpoints(*folders):
    """Every name in the sources, so that a new one cannot be forgotten."""
    names = set()
    for path in [p for folder in folders for p in glob.glob(os.path.join(ROOT, "src", folder, "*.c"))]:
        with open(path, encoding="utf-8") as f:
            names |= set(re.findall(r'failpoint\("([a-z_.]+)"', f.read()))
    return sorted(names)


class Kills(Suite):
    def fresh(self, rows, *settings):
        keyspace = self.keyspace()
        return keyspace, self.counting(keyspace, rows, *settings)

    def again(self, keyspace, p, rows, *settings):
        """A new pipeline over the same tables, emptied: making tables takes longer than filling them."""
        shutil.rmtree(p.folder)
        for table in ("copied", "totals"):
            self.session.execute(f"TRUNCATE {keyspace}.{table}")
        return self.counting(keyspace, rows, *settings)

    def run_and_kill(self, p):
        """Half of the time at any moment, half of the time once an epoch more is there. True: it was killed."""
        before = p.epoch()
        process = p.start(available_now=True)
        if self.random.random() < 0.5:
            end = time.monotonic() + 30
            while process.poll() is None and p.epoch() <= before and time.monotonic() < end:
                time.sleep(0.002)
            time.sleep(self.random.uniform(0, 0.1))
        else:
            time.sleep(self.random.uniform(0.02, 0.6))
        if process.poll() is None:
            process.kill()
        expect(process.returncode in (0, -signal.SIGKILL), lambda: f"exit {process.returncode}\n{process.text()}")
        return process.returncode == -signal.SIGKILL

    def test_kill_at_random(self):
        rows, many = events(0, 12000), ["leat.epoch.maxBytes=4000"]  # about 150 epochs
        keyspace, p = self.fresh(rows, *many)
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "the uninterrupted run")
        expect(p.epoch() >= 100, f"only {p.epoch()} epochs")
        p = self.again(keyspace, p, rows, *many)
        target = LONG_KILLS if self.long else TEST_KILLS
        kills = mid_run = ends = 0
        while kills < target:
            if self.run_and_kill(p):
                kills += 1
                mid_run += 0 < self.count(keyspace, "copied") < len(rows)
                continue
            self.expect_counted(p, keyspace, rows, f"after {kills} kills")
            ends += 1
            p = self.again(keyspace, p, rows, *many)
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, f"after {kills} kills")
        expect(mid_run >= target // 4, f"only {mid_run} of {kills} kills met a run at work")
        return f"{kills} kills, {mid_run} at work, {ends + 1} runs to the end"

    def test_kill_at_failpoints(self):
        rows, reached, missed = events(0, 2500), 0, []
        points = failpoints("stream", "connector/cassandra", "connector/sqlite")
        keyspace, p = self.fresh(rows)
        p.run_to_end()
        expect(sum(n.startswith("cassandra.") for n in points) >= 5, f"the sink names too few points: {points}")
        for name in points:
            for n in (1, 2, 3, 4) if self.long else (2,) if not name.startswith("cassandra.") else (1, 3):
                if name == "cassandra.claim" and n > 1:
                    continue
                p = self.again(keyspace, p, rows)
                process, code = p.run(failpoint=f"{name}=kill:{n}")
                if code != -signal.SIGKILL:
                    expect(code == 0 and name in RARE, lambda: f"{name}=kill:{n} was not reached: exit {code}\n{process.text()}")
                    missed.append(f"{name}:{n}")
                else:
                    reached += 1
                p.run_to_end()
                self.expect_counted(p, keyspace, rows, f"{name}=kill:{n}")
        expect(reached >= len(points) - len(RARE), f"only {reached} of {len(points)} were reached")
        return f"{reached} kills" + (f", not reached: {' '.join(missed)}" if missed else "")

    def test_fail_at_failpoints(self):
        """The same points report a failure instead: the epoch is run again in the living process, or the next start puts it right."""
        rows, lived, ended = events(0, 2500), 0, 0
        keyspace, p = self.fresh(rows)
        p.run_to_end()
        for name in failpoints("connector/cassandra"):
            if name == "cassandra.truncate":
                continue
            for n in (1, 2, 3) if self.long else (2,) if name != "cassandra.claim" else (1,):
                p = self.again(keyspace, p, rows)
                process, code = p.run(failpoint=f"{name}=fail:{n}")
                expect(code >= 0, lambda: f"{name}=fail:{n}: died of signal {-code}\n{process.text()}")
                lived += code == 0
                ended += code != 0
                if code:
                    expect("error" in process.errors(), f"{name}=fail:{n}: exit {code} without a word")
                    p.run_to_end()
                self.expect_counted(p, keyspace, rows, f"{name}=fail:{n}")
        expect(lived >= 3, f"only {lived} recovered alive")
        return f"{lived} recovered alive, {ended} on the next start"
