# SPDX-License-Identifier: Apache-2.0
"""kill -9 of leat, at random moments and at every named point of the way to a commit: what is read as committed must not show it.

The measure is computed from the records themselves: every partition of the copy, in order, and the rows and sums in SQLite. An
uninterrupted run has to meet it first.
"""
import glob
import os
import re
import shutil
import signal
import time

from client import Trickle
from harness import ROOT, expect, wait_until
from suite import EPOCH_ROWS, Suite, numbered

# Passed too seldom in a short run for the passage asked for; a run that ends by itself is then no failure.
RARE = {"journal.rotate"}
AT_THE_END = {"journal.rotate"}  # passed on a clean exit too
TEST_KILLS, LONG_KILLS = 30, 1000


def failpoints():
    """Every name in the engine's epochs and stores, from the sources, so that a new one cannot be forgotten."""
    names = set()
    for path in [p for folder in ("stream", "connector/kafka", "connector/sqlite") for p in glob.glob(os.path.join(ROOT, "src", folder, "*.c"))]:
        with open(path, encoding="utf-8") as f:
            names |= set(re.findall(r'failpoint\("([a-z_.]+)"', f.read()))
    return sorted(names)


class Kills(Suite):
    def prepare(self, rows, with_state):
        """A topic, and how long a run over it takes; the uninterrupted run is checked."""
        topic = self.topic("in", 2)
        records = self.fill(topic, rows)
        p, to = self.fresh(topic, with_state)
        begin = time.monotonic()
        p.run_to_end()
        seconds = time.monotonic() - begin
        self.expect_all(p, to, records, with_state, "the uninterrupted run")
        expect(p.running[0].rows_in("copied") == rows, "the uninterrupted run did not read every row")
        return topic, records, seconds

    def fresh(self, topic, with_state):
        to = self.topic("out", 2)
        return self.copying(topic, to, with_state=with_state, settings=[f"leat.epoch.maxRows={EPOCH_ROWS}"]), to

    def expect_all(self, p, to, records, with_state, what):
        self.expect_copied(to, records, what)
        if with_state:
            self.expect_counted(p, records, what)

    def half_done(self, to, records):
        """Whether what is committed is neither nothing nor all."""
        done = sum(self.client.offsets(to, committed=True).values())
        return 0 < done < len(records) * 6 // 7

    def kill_at_random(self, rows, target, with_state):
        topic, records, seconds = self.prepare(rows, with_state)
        p, to = self.fresh(topic, with_state)
        kills = mid_run = ends = 0
        longest = seconds * 0.6  # how fast a run is changes with what else the machine does
        while kills < target or mid_run < target // 4 and kills < target * 4:
            process = p.start(available_now=True)
            time.sleep(self.random.uniform(0.01, longest))
            if process.poll() is None:
                process.kill()
            if process.returncode == -signal.SIGKILL:
                at_work = self.half_done(to, records)
                kills, mid_run, longest = kills + 1, mid_run + at_work, longest if at_work else min(longest * 1.2, 60)
                continue
            expect(process.returncode == 0, lambda: f"exit {process.returncode} after {kills} kills\n{process.text()}")
            self.expect_all(p, to, records, with_state, f"after {kills} kills")
            ends, longest = ends + 1, longest * 0.7
            shutil.rmtree(p.folder)
            p, to = self.fresh(topic, with_state)
        p.run_to_end()
        self.expect_all(p, to, records, with_state, f"after {kills} kills")
        expect(mid_run >= target // 4, f"only {mid_run} of {kills} kills met a run at work")
        return f"{kills} kills, {mid_run} at work, {ends + 1} runs to the end"

    def random_kills(self):
        """What the failpoints leave of the number asked for, half for each pipeline."""
        if self.long:
            return (LONG_KILLS - 4 * len(failpoints())) // 2
        return max(TEST_KILLS - len(failpoints()), 10) // 2

    def test_kill_at_random(self):
        """Kafka → Kafka."""
        return self.kill_at_random(30000, self.random_kills(), with_state=False)

    def test_kill_at_random_with_state(self):
        """Kafka → Kafka and SQLite, rows and a materialized view."""
        return self.kill_at_random(30000, self.random_kills(), with_state=True)

    def test_kill_at_failpoints(self):
        rows, reached, missed = 8000, 0, []
        topic, records, _ = self.prepare(rows, True)
        points = failpoints()
        expect(any(n.startswith("kafka.") for n in points), "the Kafka sink names no point of its commit")
        for name in points:
            for n in (1, 2, 3, 5) if self.long else (2,):
                p, to = self.fresh(topic, True)
                process, code = p.run(failpoint=f"{name}=kill:{n}")
                if code != -signal.SIGKILL:
                    expect(code == 0 and name in RARE, lambda: f"{name}=kill:{n} was not reached: exit {code}\n{process.text()}")
                    missed.append(f"{name}:{n}")
                else:
                    reached += 1
                    expect(name in AT_THE_END or p.count("kept") < rows, f"{name}=kill:{n}: everything was done already")
                p.run_to_end()
                self.expect_all(p, to, records, True, f"{name}=kill:{n}")
                shutil.rmtree(p.folder)
        expect(reached >= len(points) - len(RARE), f"only {reached} of {len(points)} were reached")
        return f"{reached} kills" + (f", not reached: {' '.join(missed)}" if missed else "")

    def test_fail_at_failpoints(self):
        """The same points report a failure instead: the epoch is run again in the living process, or the next start puts it right."""
        rows, lived, ended = 8000, 0, 0
        topic, records, _ = self.prepare(rows, True)
        for name in [n for n in failpoints() if n.startswith(("kafka.", "epoch."))]:
            for n in (1, 2, 3, 5) if self.long else (2,):
                p, to = self.fresh(topic, True)
                process, code = p.run(failpoint=f"{name}=fail:{n}")
                expect(code >= 0, lambda: f"{name}=fail:{n}: died of signal {-code}\n{process.text()}")
                lived += code == 0
                ended += code != 0
                if code:
                    expect("error" in process.errors(), f"{name}=fail:{n}: exit {code} without a word")
                    p.run_to_end()
                self.expect_all(p, to, records, True, f"{name}=fail:{n}")
                shutil.rmtree(p.folder)
        return f"{lived} recovered alive, {ended} on the next start"

    def test_kill_while_following(self):
        """Living runs over a topic that grows, killed and started again under it."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        p, kills = self.copying(topic, to, with_state=True), 0
        with Trickle(self.client, topic, 2, numbered, per_second=2000) as trickle:
            for _ in range(40 if self.long else 4):
                before = p.count("kept")
                process = p.start()
                self.wait_for_rows(p, before + 200, process)
                time.sleep(self.random.uniform(0, 0.3))
                process.kill()
                kills += 1
            records = trickle.finish()
        p.run_to_end()
        self.expect_all(p, to, records, True, f"after {kills} kills")
        return f"{kills} kills, {len(records)} records"

    def test_at_least_once(self):
        """leat.delivery = at-least-once: what is doubled by kills is allowed, what is lost is not."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        records = self.fill(topic, 20000)
        p = self.copying(topic, to, settings=[f"leat.epoch.maxRows={EPOCH_ROWS}"], properties={"leat_delivery": "at-least-once"})
        for n in (2, 5, 3):
            process, code = p.run(failpoint=f"epoch.run=kill:{n}")
            expect(code == -signal.SIGKILL, lambda: f"exit {code}\n{process.text()}")
        p.run_to_end()
        wanted = {(r.partition, r.key, r.value + b"!") for r in records if r.offset % 7 != 3}
        found = [(r.partition, r.key, r.value) for rows in self.client.read(to).values() for r in rows]
        expect(set(found) == wanted, f"{len(wanted - set(found))} are missing, {len(set(found) - wanted)} are wrong")
        return f"3 kills, {len(found) - len(wanted)} of {len(found)} doubled"

    @staticmethod
    def wait_for_rows(p, count, process):
        wait_until(f"{count} rows", lambda: p.count("kept") >= count, 60, process)
