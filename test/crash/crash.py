#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What kill -9, damage, old copies and second starts do to a pipeline: its tables must not show it.

    crash.py [--leat build/leat] [--seed N] [--long] [NAME ...]        NAME: tests to run (default: all), as printed

The measure is one uninterrupted run of pipeline.sql: afterwards every user table of both SQLite files must hold the same rows, and
leat_dead too but for epoch and at. Each test asserts that what it is about happened (the process did die, the damage was met). The
seed is printed. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
EXIT_FIT = 5
# A slow machine gets smaller epochs, down to 1,024 rows. With no more than that every run cuts alike, and its sums of doubles are the same.
EPOCH_ROWS = 1000
STOP_S = 120  # a bound, not a measure: machines are busy with other work
FAILPOINTS = ["journal.write", "journal.sync", "journal.synced", "journal.rotate", "epoch.intent", "epoch.run", "epoch.between_commits",
              "sqlite.begin", "sqlite.commit", "file.write", "file.sync", "file.rename", "folder.sync"]
# These are passed fewer than three times in a short run.
FAILPOINTS_RARE = {"journal.rotate", "file.rename", "file.write", "file.sync", "folder.sync"}


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


class Pipeline:
    """A copy of pipeline.sql in a folder of its own, with its data folder and its second store."""

    def __init__(self, leat, folder, rows):
        self.leat, self.folder, self.rows = leat, folder, rows
        self.file = os.path.join(folder, "pipeline.sql")
        self.data = os.path.join(folder, "leat-data")
        os.makedirs(folder)
        shutil.copy(os.path.join(HERE, "pipeline.sql"), self.file)

    # uuid() depends on its place in the text after ${…}: every rate has five digits. The last --set of a name counts.
    def command(self, *flags, available_now=True):
        base = [self.leat, "run", self.file, "--quiet", "--set", "leat.seed=7", "--set", f"leat.epoch.maxRows={EPOCH_ROWS}", "--set", f"rows={self.rows}", "--set", "rate=00000"]
        return base + (["--available-now"] if available_now else []) + list(flags)

    @staticmethod
    def environment(failpoint):
        environment = dict(os.environ)
        environment.pop("LEAT_FAILPOINT", None)
        if failpoint:
            environment["LEAT_FAILPOINT"] = failpoint
        return environment

    def run(self, *flags, failpoint=None, **more):
        out = subprocess.run(self.command(*flags, **more), env=self.environment(failpoint), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=300, check=False)
        return out.returncode, out.stdout.decode("utf-8", "replace")

    def start(self, *flags, **more):
        return subprocess.Popen(self.command(*flags, **more), env=self.environment(None), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def run_to_end(self, *flags, **more):
        code, text = self.run(*flags, **more)
        expect(code == 0, f"leat run {' '.join(flags)}: exit {code}\n{text}")

    def clear(self):
        for name in os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if name == "pipeline.sql":
                continue
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)

    def edit(self, old, new):
        with open(self.file, encoding="utf-8") as f:
            text = f.read()
        expect(old in text, f"pipeline.sql has no {old!r}")
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(text.replace(old, new))

    def save(self, to):
        shutil.rmtree(to, ignore_errors=True)
        shutil.copytree(self.folder, to, ignore=lambda _, names: [n for n in names if n.endswith(".sock")])

    def restore(self, saved, only=None):
        """Puts a saved copy back, at the same paths: whole, or one entry of the folder."""
        for name in [only] if only else os.listdir(self.folder):
            path = os.path.join(self.folder, name)
            if os.path.isdir(path):
                shutil.rmtree(path)
            elif os.path.exists(path):
                os.remove(path)
            if only and "/" not in only:
                for rest in ("-wal", "-shm"):
                    if os.path.exists(path + rest):
                        os.remove(path + rest)
        for name in [only] if only else os.listdir(saved):
            source, path = os.path.join(saved, name), os.path.join(self.folder, name)
            if os.path.isdir(source):
                shutil.copytree(source, path)
            else:
                shutil.copy(source, path)

    def stores(self):
        return [os.path.join(self.data, "leat.db"), os.path.join(self.folder, "other.db")]

    def read(self, store, query):
        """A query over a copy: looking must not change what is looked at."""
        with tempfile.TemporaryDirectory(prefix="leat-crash-") as copy:
            for rest in ("", "-wal"):
                if os.path.exists(store + rest):
                    shutil.copy(store + rest, os.path.join(copy, "db" + rest))
            if not os.path.exists(os.path.join(copy, "db")):
                return []
            db = sqlite3.connect(os.path.join(copy, "db"))
            try:
                return db.execute(query).fetchall()
            finally:
                db.close()

    def epochs(self):
        """The last epoch in each store; 0 where there is none."""
        found = []
        for store in self.stores():
            try:
                rows = self.read(store, "SELECT max(epoch) FROM leat_pipeline")
            except sqlite3.DatabaseError:
                rows = []
            found.append(rows[0][0] or 0 if rows else 0)
        return found

    def people(self):
        try:
            return self.read(self.stores()[0], "SELECT count(*) FROM people")[0][0]
        except (sqlite3.DatabaseError, IndexError):
            return 0

    def contents(self, but=()):
        """Every user table with its rows sorted, doubles to the last bit, and the dead letters."""
        tables = {}
        for store in self.stores():
            names = [n for n, in self.read(store, "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
            for name in names:
                key = f"{os.path.basename(store)}:{name}"
                if name == "leat_dead":
                    columns = [c[1] for c in self.read(store, "PRAGMA table_info(leat_dead)") if c[1] not in ("epoch", "at")]
                    quoted = ", ".join('"' + c + '"' for c in columns)
                    tables[key] = sorted(map(repr, self.read(store, f"SELECT {quoted} FROM leat_dead")))
                elif not name.startswith(("leat_", "sqlite_")) and name not in but:
                    tables[key] = sorted(map(repr, self.read(store, f'SELECT * FROM "{name}"')))
        return tables


def rounded(tables):
    """Where epochs were cut at other places, rows of several partitions meet in another order, and sums of doubles differ in the last bits."""
    return {name: sorted(re.sub(r"-?\d+\.\d{5,}(e-?\d+)?", lambda m: f"{float(m[0]):.9g}", row) for row in rows) for name, rows in tables.items()}


def expect_same(found, wanted, what):
    expect(set(found) == set(wanted), f"{what}: tables {sorted(found)}, not {sorted(wanted)}")
    for name, rows in wanted.items():
        if found[name] == rows:
            continue
        here, there = set(found[name]), set(rows)
        more, less = sorted(here - there), sorted(there - here)
        raise Failure(f"{what}: {name} has {len(found[name])} rows, not {len(rows)}; {len(more)} are wrong, such as {more[:2]}; {len(less)} are missing, such as {less[:2]}")


class Suite:
    def __init__(self, leat, root, rng, long):
        self.leat, self.root, self.random, self.long = leat, root, rng, long
        self.references, self.count = {}, 0

    def pipeline(self, rows):
        self.count += 1
        return Pipeline(self.leat, os.path.join(self.root, f"p{self.count}"), rows)

    def reference(self, rows):
        if rows not in self.references:
            p = self.pipeline(rows)
            begin = time.monotonic()
            p.run_to_end()
            seconds = time.monotonic() - begin
            contents = p.contents()
            people, dead = len(contents["leat.db:people"]), len(contents["leat.db:leat_dead"])
            expect(people + dead == rows, f"{people} people and {dead} dead letters are not {rows} messages")
            expect(dead > 0 and len(contents["other.db:people_elsewhere"]) > 0, "the reference is empty")
            expect(min(p.epochs()) >= rows // EPOCH_ROWS, f"too few epochs to be cut into: {p.epochs()}")
            self.references[rows] = contents, seconds
        return self.references[rows]

    # ---- kills ----

    def test_kill_at_random(self):
        rows = 60000
        wanted, seconds = self.reference(rows)
        p = self.pipeline(rows)
        kills, mid_run, ends, longest = 0, 0, 0, seconds / 4
        target = 400 if self.long else 20
        while kills < target or mid_run < target // 4 and kills < target * 4:
            process = p.start()
            time.sleep(self.random.uniform(0.005, longest))
            process.kill()
            text = process.communicate()[0].decode("utf-8", "replace")
            if process.returncode == -signal.SIGKILL:
                at_work = 0 < max(p.epochs()) and p.people() < rows * 0.98
                # How fast a run is changes with what else the machine does.
                kills, mid_run, longest = kills + 1, mid_run + at_work, longest if at_work else min(longest * 1.2, 60)
                continue
            expect(process.returncode == 0, f"exit {process.returncode} after {kills} kills\n{text}")
            expect_same(p.contents(), wanted, f"after {kills} kills")
            p.clear()
            ends, longest = ends + 1, longest * 0.7
        p.run_to_end()
        expect_same(p.contents(), wanted, f"after {kills} kills")
        expect(mid_run >= target // 4, f"only {mid_run} of {kills} kills met a run at work")
        return f"{kills} kills, {mid_run} at work, {ends + 1} runs to the end"

    def test_failpoints_kill(self):
        return self.failpoints("kill")

    def test_failpoints_fail(self):
        return self.failpoints("fail")

    def failpoints(self, kind):
        rows = 6000
        wanted, _ = self.reference(rows)
        reached, missed = 0, []
        for name in FAILPOINTS:
            for n in (1, 2, 3):
                p = self.pipeline(rows)
                point = f"{name}={kind}:{n}"
                code, text = p.run(failpoint=point)
                if kind == "kill" and code != -signal.SIGKILL:
                    expect(code == 0 and n > 1 and name in FAILPOINTS_RARE, f"{point} was not reached: exit {code}\n{text}")
                    missed.append(f"{name}:{n}")
                else:
                    reached += 1
                expect(code >= 0 or kind == "kill", f"{point}: died with signal {-code}\n{text}")
                if kind == "fail" and code:
                    expect("error" in text, f"{point}: exit {code} without a word")
                code, text = p.run()
                expect(code == 0, f"{point}: the next run: exit {code}\n{text}")
                expect_same(p.contents(), wanted, point)
                shutil.rmtree(p.folder)
        expect(reached >= len(FAILPOINTS), f"only {reached} were reached")
        return f"{reached} reached" + (f", not: {' '.join(missed)}" if missed else "")

    def test_kill_twice_between_commits(self):
        rows = 10000
        wanted, _ = self.reference(rows)
        p = self.pipeline(rows)
        # Passed after each store's commit: of a fresh epoch the first passage is between the two, of a recovered one only the second store commits.
        for n in (1, 2, 2, 2):
            code, text = p.run(failpoint=f"epoch.between_commits=kill:{n}")
            expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
            first, second = p.epochs()
            expect(first == second + 1, f"the stores do not differ by one epoch: {first}, {second}")
        p.run_to_end()
        expect_same(p.contents(), wanted, "between commits")
        return "4 kills with the catalog one epoch ahead"

    # ---- damage ----

    def damaged_folders(self, rows):
        """Two pipelines: one killed at work, one ended."""
        for point in ("epoch.between_commits=kill:3", "journal.synced=kill:4", None):
            p = self.pipeline(rows)
            code, text = p.run(failpoint=point)
            expect(code == (-signal.SIGKILL if point else 0), f"{point}: exit {code}\n{text}")
            saved = p.folder + ".saved"
            p.save(saved)
            yield p, saved

    def expect_refused_or_same(self, p, wanted, what, seen):
        code, text = p.run()
        seen[code] = seen.get(code, 0) + 1
        if code == 0:
            expect_same(p.contents(), wanted, what)
        else:
            expect(code == EXIT_FIT and "error" in text and len(text) > 40, f"{what}: exit {code}\n{text}")

    def test_log_byte_flipped(self):
        rows, seen = 5000, {}
        wanted, _ = self.reference(rows)
        for p, saved in self.damaged_folders(rows):
            names = ["pipeline"] + ["log/" + n for n in sorted(os.listdir(os.path.join(p.data, "log")))]
            sizes = [os.path.getsize(os.path.join(p.data, n)) for n in names]
            for i in range(600 if self.long else 70):
                # Every file is met often, whatever its size; its first bytes more often than the rest.
                pick = i % len(names)
                at = self.random.randrange(min(sizes[pick], 80) if self.random.random() < 0.3 else sizes[pick])
                bit = 1 << self.random.randrange(8)
                with open(os.path.join(p.data, names[pick]), "r+b") as f:
                    f.seek(at)
                    byte = f.read(1)[0]
                    f.seek(at)
                    f.write(bytes([byte ^ bit]))
                self.expect_refused_or_same(p, wanted, f"{names[pick]} byte {at} bit {bit}", seen)
                p.restore(saved)
        expect(seen.get(EXIT_FIT, 0) > 20, f"hardly any damage was met: {seen}")
        return f"{seen.get(EXIT_FIT, 0)} refused, {seen.get(0, 0)} harmless"

    def test_log_cut(self):
        rows, seen = 5000, {}
        wanted, _ = self.reference(rows)
        for p, saved in self.damaged_folders(rows):
            for name in ["pipeline"] + ["log/" + n for n in sorted(os.listdir(os.path.join(p.data, "log")))]:
                path = os.path.join(p.data, name)
                size = os.path.getsize(path)
                cuts = {0, 1, 39, 40, 41, 60, size - 1, size - 2, size - 21} | {self.random.randrange(size) for _ in range(200 if self.long else 8)}
                for at in sorted(c for c in cuts if 0 <= c < size):
                    with open(path, "r+b") as f:
                        f.truncate(at)
                    self.expect_refused_or_same(p, wanted, f"{name} cut at {at} of {size}", seen)
                    p.restore(saved)
        expect(seen.get(EXIT_FIT, 0) > 10, f"hardly any cut was met: {seen}")
        return f"{seen.get(EXIT_FIT, 0)} refused, {seen.get(0, 0)} harmless"

    def test_log_file_missing(self):
        rows, seen = 5000, {}
        wanted, _ = self.reference(rows)
        for p, saved in self.damaged_folders(rows):
            for name in ["pipeline", "log"] + ["log/" + n for n in sorted(os.listdir(os.path.join(p.data, "log")))]:
                path = os.path.join(p.data, name)
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
                self.expect_refused_or_same(p, wanted, f"without {name}", seen)
                p.restore(saved)
        return f"{seen.get(EXIT_FIT, 0)} refused, {seen.get(0, 0)} harmless"

    # ---- copies ----

    def two_moments(self):
        """A pipeline killed early and saved, then killed later: the folder of the early moment is an older copy."""
        p = self.pipeline(20000)
        code, text = p.run(failpoint="epoch.run=kill:3")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        saved, early = p.folder + ".saved", p.epochs()
        p.save(saved)
        code, text = p.run(failpoint="epoch.run=kill:5")
        expect(code == -signal.SIGKILL and min(p.epochs()) > max(early) > 0, f"exit {code}, epochs {early} then {p.epochs()}\n{text}")
        return p, saved

    def expect_refused(self, p, words, what):
        before = p.contents()
        code, text = p.run()
        expect(code == EXIT_FIT, f"{what}: exit {code}\n{text}")
        expect(all(w in text for w in words), f"{what}: the message lacks one of {words}:\n{text}")
        expect_same(p.contents(), before, f"{what}: refused, and yet")

    def test_folder_older(self):
        p, saved = self.two_moments()
        p.restore(saved, "leat-data")
        self.expect_refused(p, ["LEAT_FOLDER_OLDER", "other.db"], "the folder of an earlier moment")
        return "refused"

    def test_log_older(self):
        p, saved = self.two_moments()
        p.restore(saved, "leat-data/log")
        self.expect_refused(p, ["LEAT_FOLDER_OLDER", "leat.db"], "the log of an earlier moment")
        return "refused"

    def test_store_older(self):
        p, saved = self.two_moments()
        p.restore(saved, "other.db")
        self.expect_refused(p, ["LEAT_STORE_OLDER", "other.db"], "a store of an earlier moment")
        return "refused"

    def test_store_lost(self):
        p, _ = self.two_moments()
        for rest in ("", "-wal", "-shm"):
            if os.path.exists(os.path.join(p.folder, "other.db" + rest)):
                os.remove(os.path.join(p.folder, "other.db" + rest))
        code, text = p.run()
        expect(code == EXIT_FIT and "LEAT_STORE_OLDER" in text, f"exit {code}\n{text}")
        return "refused"

    def test_whole_copy_goes_on(self):
        wanted, _ = self.reference(20000)
        p, saved = self.two_moments()
        p.restore(saved)
        p.run_to_end()
        expect_same(p.contents(), wanted, "folder and stores of one moment")
        return "folder and stores of one moment go on"

    def test_full_refresh_all_after_restore(self):
        wanted, _ = self.reference(20000)
        p, saved = self.two_moments()
        p.restore(saved, "leat-data")
        p.run_to_end("--full-refresh-all")
        expect_same(p.contents(), wanted, "--full-refresh-all")
        return "the way out that the message names works"

    # ---- starts and stops ----

    def test_two_on_one_folder(self):
        p = self.pipeline(1000000)
        first = p.start("--set", "rate=02000", available_now=False)
        try:
            self.wait_for(lambda: p.people() > 0, first)
            code, text = p.run()
            expect(code == EXIT_FIT and str(first.pid) in text, f"the second: exit {code}\n{text}")
        finally:
            first.send_signal(signal.SIGTERM)
            text = first.communicate(timeout=STOP_S)[0].decode("utf-8", "replace")
        expect(first.returncode == 0, f"SIGTERM: exit {first.returncode}\n{text}")
        return "the second names the first one's pid"

    @staticmethod
    def wait_for(happened, process, seconds=120):
        end = time.monotonic() + seconds
        while not happened():
            expect(process.poll() is None, "it ended before anything happened")
            expect(time.monotonic() < end, "nothing happened")
            time.sleep(0.02)

    def test_interrupt_and_go_on(self):
        rows = 60000
        wanted, _ = self.reference(rows)
        p = self.pipeline(rows)
        for sign in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
            before = p.people()
            process = p.start("--set", "rate=02000", available_now=False)
            self.wait_for(lambda: p.people() > before, process)
            process.send_signal(sign)
            text = process.communicate(timeout=STOP_S)[0].decode("utf-8", "replace")
            expect(process.returncode == 0, f"exit {process.returncode}\n{text}")
            first, second = p.epochs()
            # an epoch without rows, which event time alone calls for, may have nothing for the other store
            expect(first - 1 <= second <= first, f"the stores stopped at {first} and {second}")
            expect(before < p.people() < rows * 0.95, f"{p.people()} rows: not in the middle")
        p.run_to_end()
        expect_same(rounded(p.contents()), rounded(wanted), "after three clean stops")
        return "3 clean stops"

    def test_second_run(self):
        wanted, _ = self.reference(10000)
        p = self.pipeline(10000)
        p.run_to_end()
        epochs = p.epochs()
        p.run_to_end()
        expect_same(p.contents(), wanted, "a second run over nothing new")
        return f"{epochs[0]} epochs, then none that counts"

    def test_pid_one(self):
        if os.geteuid() != 0 or not shutil.which("unshare"):
            raise Skip("needs root and unshare")
        p = self.pipeline(60000)
        wanted, _ = self.reference(60000)
        probe = subprocess.run(["unshare", "--pid", "--fork", "true"], stderr=subprocess.DEVNULL, check=False)
        if probe.returncode:
            raise Skip("no PID namespaces here")
        process = subprocess.Popen(["unshare", "--pid", "--fork"] + p.command("--set", "rate=02000", available_now=False),
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.wait_for(lambda: p.people() > 0, process)
        with open(f"/proc/{process.pid}/task/{process.pid}/children", encoding="ascii") as f:
            child = int(f.read().split()[0])
        os.kill(child, signal.SIGTERM)
        text = process.communicate(timeout=STOP_S)[0].decode("utf-8", "replace")
        expect(process.returncode == 0, f"SIGTERM as PID 1: exit {process.returncode}\n{text}")
        expect(0 < p.people() < 57000, f"{p.people()} rows: not in the middle")
        p.run_to_end()
        expect_same(rounded(p.contents()), rounded(wanted), "after a stop as PID 1")
        return "SIGTERM as PID 1 ends it cleanly"

    # ---- changes ----

    def test_view_added(self):
        rows = 20000
        wanted, _ = self.reference(rows)
        p = self.pipeline(rows)
        view = ("CREATE MATERIALIZED VIEW overall AS\n"
                "SELECT count(*) AS users, avg(latitude) AS latitude, count(DISTINCT domain) AS domains FROM users;\n")
        p.edit(view, "")
        code, text = p.run(failpoint="epoch.run=kill:5")
        expect(code == -signal.SIGKILL and min(p.epochs()) > 2, f"exit {code}, epochs {p.epochs()}\n{text}")
        p.edit("CREATE MATERIALIZED VIEW top_domains", view + "\nCREATE MATERIALIZED VIEW top_domains")
        code, text = p.run(failpoint="epoch.run=kill:4")  # killed once more while it catches up
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        p.run_to_end()
        expect_same(p.contents(), wanted, "a view added on the second run")
        return "equals its query over everything"

    def test_view_removed(self):
        wanted, _ = self.reference(10000)
        p = self.pipeline(10000)
        code, text = p.run(failpoint="epoch.run=kill:3")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        p.edit("CREATE MATERIALIZED VIEW overall AS\nSELECT count(*) AS users, avg(latitude) AS latitude, count(DISTINCT domain) AS domains FROM users;\n", "")
        p.run_to_end()
        wanted = {k: v for k, v in wanted.items() if not k.endswith(":overall")}
        expect_same(p.contents(but=["overall"]), wanted, "a view removed on the second run")
        return "the others go on"

    def test_query_changed(self):
        p = self.pipeline(10000)
        code, text = p.run(failpoint="epoch.run=kill:3")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        p.edit("min(born) AS oldest", "max(born) AS oldest")
        code, text = p.run()
        expect(code == EXIT_FIT and "by_nationality" in text and "--full-refresh" in text, f"exit {code}\n{text}")
        p.run_to_end("--full-refresh", "by_nationality")
        born = p.read(p.stores()[0], "SELECT nationality, max(born) FROM people GROUP BY nationality ORDER BY 1")
        found = p.read(p.stores()[0], "SELECT nationality, oldest FROM by_nationality ORDER BY 1")
        expect(found == born and born, f"{found[:3]}, not {born[:3]}")
        return "refused with the flow's name; --full-refresh builds it anew"

    def test_file_changed(self):
        """A file that an open epoch has begun to read must be what it was; appended lines are no change."""
        p = self.pipeline(1)
        events = os.path.join(p.folder, "events.jsonl")
        rows = [f'{{"id":{i},"name":"n{i}"}}\n' for i in range(5000)]
        with open(p.file, "w", encoding="utf-8") as f:
            f.write("CREATE TABLE events (id INT, name STRING) USING json OPTIONS (path 'events.jsonl');\n"
                    "CREATE STREAMING TABLE kept AS SELECT id, name FROM STREAM events;\n")

        def write(lines):
            with open(events, "w", encoding="utf-8") as f:
                f.writelines(lines)

        write(rows)
        code, text = p.run(failpoint="epoch.run=kill:1")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        for changed in ([rows[0].replace("n0", "m0")] + rows[1:], rows[:100]):
            write(changed)
            code, text = p.run()
            expect(code == EXIT_FIT and "events.jsonl" in text, f"exit {code}\n{text}")
        write(rows + ['{"id":5000,"name":"n5000"}\n'])
        p.run_to_end()
        with contextlib.closing(sqlite3.connect(os.path.join(p.data, "leat.db"))) as db:
            found = db.execute("SELECT count(*), count(DISTINCT id), sum(name = 'n' || id) FROM kept").fetchone()
        expect(found == (5001, 5001, 5001), f"{found}")
        return "refused while an epoch is open; appended lines are read"

    def test_static_side_changed(self):
        """A table that a join reads whole must be the same while an epoch is open; between epochs it may change."""
        p = self.pipeline(1)
        with open(p.file, "w", encoding="utf-8") as f:
            f.write("CREATE TABLE made USING generator OPTIONS (kind 'nexmark', numRows '4000');\n"
                    "CREATE TABLE labels (k BIGINT, label STRING) USING json OPTIONS (path 'labels.jsonl');\n"
                    "CREATE STREAMING TABLE labelled AS SELECT offset, label FROM STREAM made JOIN labels ON offset % 2 = k;\n")

        def write(*labels):
            with open(os.path.join(p.folder, "labels.jsonl"), "w", encoding="utf-8") as f:
                f.writelines(f'{{"k":{k},"label":"{label}"}}\n' for k, label in enumerate(labels))

        write("even", "odd")
        code, text = p.run(failpoint="epoch.run=kill:2")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        write("even", "strange")
        code, text = p.run()
        expect(code == EXIT_FIT and "LEAT_STATIC_CHANGED" in text, f"exit {code}\n{text}")
        write("even", "odd")
        p.run_to_end()
        with contextlib.closing(sqlite3.connect(os.path.join(p.data, "leat.db"))) as db:
            found = db.execute("SELECT label, count(*), count(DISTINCT offset) FROM labelled GROUP BY label ORDER BY 1").fetchall()
        expect(found == [("even", 2000, 2000), ("odd", 2000, 2000)], f"{found}")
        write("even", "strange")
        p.run_to_end()  # no epoch is open: it may change
        return "refused while an epoch is open"

    def test_moved(self):
        """The pipeline with its folder, files and stores, moved after a crash and called by another path."""
        p = self.pipeline(1)
        events = os.path.join(p.folder, "events.jsonl")
        with open(p.file, "w", encoding="utf-8") as f:
            f.write("CREATE TABLE events (id INT) USING json OPTIONS (path './events.jsonl');\n"
                    "CREATE STREAMING TABLE kept AS SELECT id FROM STREAM events;\n"
                    "CREATE STREAMING TABLE beside USING sqlite TBLPROPERTIES (path = 'beside.db') AS SELECT id FROM STREAM events;\n")
        with open(events, "w", encoding="utf-8") as f:
            f.writelines(f'{{"id":{i}}}\n' for i in range(3000))
            f.write("{not json\n")
        code, text = p.run(failpoint="epoch.between_commits=kill:1")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        moved = p.folder + " moved"
        os.rename(p.folder, moved)
        p.folder, p.file, p.data = moved, os.path.join(moved, "pipeline.sql"), os.path.join(moved, "leat-data")
        p.run_to_end()
        with open(os.path.join(moved, "events.jsonl"), "a", encoding="utf-8") as f:
            f.write('{"id":3000}\n')
        p.run_to_end("--data", os.path.join(moved, ".", "leat-data"))
        for store, table in ((os.path.join(p.data, "leat.db"), "kept"), (os.path.join(moved, "beside.db"), "beside")):
            with contextlib.closing(sqlite3.connect(store)) as db:
                found = db.execute(f"SELECT count(*), count(DISTINCT id) FROM {table}").fetchone()
            expect(found == (3001, 3001), f"{table}: {found}")
        with contextlib.closing(sqlite3.connect(os.path.join(p.data, "leat.db"))) as db:
            dead = db.execute("SELECT source, partition, condition, CAST(raw AS TEXT) FROM leat_dead").fetchall()
        expect(dead == [("events", "events.jsonl", "MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION", "{not json")], f"{dead}")
        return "goes on; the malformed line is a dead row"

    def test_look_changed(self):
        wanted, _ = self.reference(10000)
        p = self.pipeline(10000)
        code, text = p.run(failpoint="epoch.run=kill:3")
        expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
        p.edit("CREATE MATERIALIZED VIEW by_nationality AS", "-- a comment\nCREATE MATERIALIZED VIEW by_nationality TBLPROPERTIES ('leat.chart' = 'bar')\n  AS")
        p.run_to_end()
        expect_same(p.contents(), wanted, "a look and a comment changed")
        return "comments and looks are no change"

    def test_full_refresh(self):
        wanted, _ = self.reference(10000)
        for name in ("by_nationality", "top_domains", "elsewhere_by_domain", "people"):
            p = self.pipeline(10000)
            p.run_to_end()
            store = p.stores()[1 if name == "elsewhere_by_domain" else 0]
            db = sqlite3.connect(store)
            column = db.execute(f"PRAGMA table_info({name})").fetchall()[0][1]
            gone = db.execute(f"DELETE FROM {name} WHERE rowid % 2 = 0").rowcount
            db.execute(f"UPDATE {name} SET {column} = 'broken' WHERE rowid = 1")
            db.commit()
            db.close()
            expect(gone > 0, f"{name} was not touched")
            code, text = p.run("--full-refresh", name, failpoint="epoch.run=kill:2")
            expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
            p.run_to_end()
            found = p.contents()
            expect_same(found, wanted, f"--full-refresh {name}")
            with contextlib.closing(sqlite3.connect(p.stores()[0])) as db:
                read, = db.execute("SELECT sum(input) FROM leat_ledger WHERE flow = 'people' AND operator = 'Scan'").fetchone()
            expect(name == "people" or read == 10000, f"--full-refresh {name}: the ledger of `people` says {read} rows of 10000")
        return "4 tables built anew, each killed on the way"

    def test_full_refresh_of_open_epoch(self):
        wanted, _ = self.reference(10000)
        for point in ("epoch.run=kill:3", "epoch.between_commits=kill:5", "journal.synced=kill:4"):
            p = self.pipeline(10000)
            code, text = p.run(failpoint=point)
            expect(code == -signal.SIGKILL, f"exit {code}\n{text}")
            p.run_to_end("--full-refresh", "by_nationality", "--full-refresh", "people_elsewhere")
            expect_same(p.contents(), wanted, f"{point}, then --full-refresh")
        return "what was open is finished first"

    def test_threads(self):
        rows = 20000
        wanted, _ = self.reference(rows)
        for threads in (1, 2, 4):
            p = self.pipeline(rows)
            p.run_to_end("--threads", str(threads))
            expect_same(p.contents(), wanted, f"{threads} threads")
        for epoch_rows in (700, 60000):
            p = self.pipeline(rows)
            p.run_to_end("--threads", "3", "--set", f"leat.epoch.maxRows={epoch_rows}")
            expect_same(rounded(p.contents()), rounded(wanted), f"epochs of {epoch_rows} rows")
        return "1, 2, 4 threads: doubles to the last bit; two other sizes of epochs: to 9 digits"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(HERE, "../../build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    names = [n for n in dir(Suite) if n.startswith("test_") and (not options.names or n[5:] in options.names)]
    root = tempfile.mkdtemp(prefix="leat-crash-")
    print(f"seed {options.seed}", flush=True)
    passed = failed = skipped = 0
    try:
        suite = Suite(os.path.abspath(options.leat), root, random.Random(options.seed), options.long)
        for name in names:
            suite.random = random.Random(f"{options.seed} {name}")
            begin = time.monotonic()
            try:
                note, word = getattr(suite, name)(), "ok"
                passed += 1
            except Skip as e:
                note, word = str(e), "skipped"
                skipped += 1
            except Failure as e:
                note, word = str(e), "FAILED"
                failed += 1
            except Exception:  # of the test itself
                note, word = traceback.format_exc(), "FAILED"
                failed += 1
            print(f"{word:8}{name[5:]:32}{time.monotonic() - begin:6.1f} s   {note}", flush=True)
    finally:
        if options.keep:
            print(f"folders: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
