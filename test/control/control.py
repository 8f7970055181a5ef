#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket of a running pipeline: what it answers, and what strangers on it cannot do.

    control.py [--leat build/leat] [NAME ...]        NAME: tests to run (default: all), as printed

Each test runs a pipeline of its own in a folder of its own. What is asserted of the pipeline is asked before and after: rows go on coming
in. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import traceback

STOP_S = 120  # a bound, not a measure: machines are busy with other work

PIPELINE = """
CREATE TABLE m USING generator OPTIONS (kind 'users', seed '1', partitions '2', rowsPerSecond '{rate}', numRows '{rows}');
CREATE STREAMING TABLE users AS SELECT CAST(value AS STRING) AS v FROM STREAM m;
CREATE MATERIALIZED VIEW per_partition AS SELECT partition, count(*) AS n FROM m GROUP BY partition;
"""


class Failure(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


class Run:
    """A pipeline that runs, and its socket, which is reached however long the folder's path is."""

    def __init__(self, leat, folder, data="leat-data", rows=-1, rate=2000, flags=()):
        self.leat, self.folder, self.data = leat, folder, os.path.join(folder, data)
        self.path = os.path.join(self.data, "leat.sock")
        self.rows, self.rate, self.flags = rows, rate, list(flags)
        self.process = None

    def start(self):
        text = os.path.join(self.folder, "p.sql")
        with open(text, "w", encoding="utf-8") as f:
            f.write(PIPELINE.format(rows=self.rows, rate=self.rate))
        self.log = open(os.path.join(self.folder, "log"), "ab")
        self.process = subprocess.Popen([self.leat, "run", text, "--data", self.data, "--quiet", *self.flags], stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        return self

    def output(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def connect(self, timeout=60):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(timeout)
        folder, until = os.open(self.data, os.O_PATH | os.O_DIRECTORY), time.monotonic() + timeout
        try:
            while True:
                try:
                    s.connect(f"/proc/self/fd/{folder}/leat.sock")
                    return s
                except BlockingIOError:  # the queue is full
                    expect(time.monotonic() < until, f"not let in after {timeout} s")
                    time.sleep(0.01)
        except BaseException:
            s.close()
            raise
        finally:
            os.close(folder)

    def ask(self, request=b"progress\n"):
        with self.connect() as s:
            s.sendall(request)
            return json.loads(read_all(s))

    def await_rows(self, more_than=0, seconds=120):
        """The answer in which more rows were read than that; it must come."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            expect(self.process.poll() is None, f"leat ended with {self.process.returncode}:\n{self.output()}")
            with contextlib.suppress(OSError):
                answer = self.ask()
                if answer["totals"]["rowsIn"] > more_than:
                    return answer
            time.sleep(0.02)
        raise Failure(f"no more than {more_than} rows after {seconds} s:\n{self.output()}")

    def stop(self, number=signal.SIGINT):
        if self.process and self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(STOP_S) if self.process else 0
        self.log.close()
        return code


def read_all(s):
    data = b""
    while True:
        try:
            part = s.recv(65536)
        except ConnectionResetError:
            return data
        if not part:
            return data
        data += part


def test_progress(leat, folder):
    """What Spark's StreamingQueryProgress holds, for every flow, with offsets that move; ping; what is no request."""
    run = Run(leat, folder).start()
    first = run.await_rows()
    second = run.await_rows(first["totals"]["rowsIn"])
    ping = run.ask(b"ping\n")
    mode = os.stat(run.path).st_mode
    wrong = run.ask(b"stop\n")
    expect(run.stop() == 0, f"Ctrl-C: exit {run.process.returncode}")
    expect(stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o600, f"mode of the socket: {mode:o}")
    expect(second["pid"] == ping["pid"] == run.process.pid, "pid")
    expect(re.fullmatch(r"[0-9a-f]{8}-[0-9a-f-]{27}", second["id"]) and second["id"] == first["id"] == ping["id"], "pipeline id")
    expect(second["state"] == "running" and second["waiting"] is None and second["version"], "state and version")
    expect(second["uptimeMs"] >= first["uptimeMs"] and second["epoch"] > 0 and second["stateBytes"] > 0, "uptime, epoch, state")
    expect({f["name"] for f in second["flows"]} == {"users", "per_partition"}, f"flows: {[f['name'] for f in second['flows']]}")
    for flow in second["flows"]:
        expect({"id", "runId", "name", "timestamp", "batchId", "numInputRows", "inputRowsPerSecond", "processedRowsPerSecond", "durationMs", "sources",
                "sink"} <= set(flow), f"fields of a flow: {sorted(flow)}")
        source = flow["sources"][0]
        expect(sum(source["endOffset"]["users"].values()) - sum(source["startOffset"]["users"].values()) == flow["numInputRows"], "offsets and rows of an epoch")
    expect("error" in wrong and "progress" in wrong["error"], f"an unknown request: {wrong}")
    expect(not os.path.lexists(run.path), "the socket is still there after a clean end")


def test_available_now(leat, folder):
    """The socket is there while it runs and gone when it ends by itself."""
    run = Run(leat, folder, rows=6000, rate=2000, flags=["--available-now"]).start()
    seen = run.await_rows()
    expect(seen["totals"]["rowsIn"] <= 6000, "more rows than there are")
    expect(run.process.wait(STOP_S) == 0, run.output())
    expect(not os.path.lexists(run.path), "the socket is still there")
    run.log.close()


def test_hostile(leat, folder):
    """No line, half a line, too long a line, bytes, silence, who does not read, who leaves at once: the pipeline goes on."""
    run = Run(leat, folder).start()
    before = run.await_rows()
    for data in (b"", b"\n", b"\0\n", b"progress", bytes(range(256)) * 8, b"\xff" * 4094 + b"\n", b"x" * 100000, b"progress\n" * 1000, b'{"a":1}\n'):
        with run.connect() as s:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                s.sendall(data)
                s.shutdown(socket.SHUT_WR)
            answer = read_all(s)
        expect(not answer or isinstance(json.loads(answer), dict), f"after {data[:20]!r}: {answer[:200]!r}")
    with run.connect() as s:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            s.sendall(b"x" * 5000)
        expect("4,095" in read_all(s).decode(), "a line that is too long is not said")
    for _ in range(200):  # asks and does not wait for the answer
        with run.connect() as s:
            s.sendall(b"progress\n")
    slow = run.connect()
    for c in b"pro":
        slow.sendall(bytes([c]))
        time.sleep(0.05)
    slow.sendall(b"gress\n")
    expect(json.loads(read_all(slow))["totals"]["rowsIn"] > 0, "a line in pieces")
    slow.close()
    after = run.await_rows(before["totals"]["rowsIn"])
    expect(after["totals"]["rowsDead"] == 0, "dead rows")
    expect(run.stop() == 0, f"exit {run.process.returncode}")


def test_crowd(leat, folder):
    """100 connections at once are all answered; 100 that say nothing do not keep a hundred-and-first out, and are sent away."""
    run = Run(leat, folder).start()
    run.await_rows()
    answers, tries = [], 0
    while len(answers) < 100 and tries < 10:  # on a busy machine one may be slower to ask than a crowd is given
        crowd = []
        for _ in range(100 - len(answers)):
            crowd.append(run.connect())
            with contextlib.suppress(BrokenPipeError):
                crowd[-1].sendall(b"progress\n")
        answers += [json.loads(said) for said in map(read_all, crowd) if said]
        for s in crowd:
            s.close()
        tries += 1
    expect(len(answers) == 100 and all(a["flows"] for a in answers), f"{len(answers)} of 100 were answered")
    idle = [run.connect() for _ in range(100)]
    began = time.monotonic()  # five seconds for each of seven crowds would be 35
    answer = run.ask()
    waited = time.monotonic() - began
    expect(waited < 25, f"a crowd of idle clients delayed an answer by {waited:.1f} s")
    first = answer["totals"]["rowsIn"]
    for s in idle:
        expect(read_all(s) == b"", "an answer to nothing")
        s.close()
    run.await_rows(first)
    descriptors = len(os.listdir(f"/proc/{run.process.pid}/fd"))
    expect(descriptors < 60, f"{descriptors} open files are left")
    expect(run.stop() == 0, f"exit {run.process.returncode}")


def test_kill_and_start(leat, folder):
    """After kill -9 the socket's file is still there and nobody answers; the next run takes its place."""
    run = Run(leat, folder).start()
    first = run.await_rows()
    run.stop(signal.SIGKILL)
    expect(os.path.lexists(run.path), "kill -9 left no socket: this test tests nothing")
    try:
        run.connect().close()
        raise Failure("somebody answers on a dead run's socket")
    except ConnectionRefusedError:
        pass
    again = Run(leat, folder).start()
    second = again.await_rows()
    expect(second["pid"] == again.process.pid and second["id"] == first["id"] and second["runId"] != first["runId"], "identity after a crash")
    expect(again.stop() == 0 and not os.path.lexists(run.path), "a clean end after a crash")


def test_second_run(leat, folder):
    """A second leat on the folder is refused and leaves the first one's socket alone."""
    run = Run(leat, folder).start()
    run.await_rows()
    second = subprocess.run([leat, "run", os.path.join(folder, "p.sql"), "--data", run.data], stdin=subprocess.DEVNULL, capture_output=True, timeout=STOP_S, check=False)
    expect(second.returncode == 5, f"the second run: exit {second.returncode}")
    expect(run.ask()["pid"] == run.process.pid, "the first one's socket is gone")
    expect(run.stop() == 0, f"exit {run.process.returncode}")


def test_long_path(leat, folder):
    """A folder whose path does not fit an address."""
    run = Run(leat, folder, data="/".join(["d" * 60] * 4) + "/leat-data").start()
    expect(len(run.path) > 108, "the path fits")
    run.await_rows()
    expect(run.stop() == 0 and not os.path.lexists(run.path), "a clean end")
    expect("control socket" not in run.output(), run.output())


def test_no_socket(leat, folder):
    """Where the socket cannot be made there is one warning, and the pipeline runs."""
    run = Run(leat, folder, rows=2000, rate=0, flags=["--available-now"])
    os.makedirs(run.path)
    os.chmod(run.data, 0o700)
    shutil.rmtree(run.path)
    run.start()
    expect(run.process.wait(STOP_S) == 0, run.output())
    run.log.close()
    os.makedirs(run.path)  # in a data folder that is one by now
    run.start()
    expect(run.process.wait(STOP_S) == 0, run.output())
    run.log.close()
    expect(run.output().count("no control socket") == 1 and "is not a socket" in run.output(), run.output())
    expect(os.path.isdir(run.path), "what is no socket was removed")


def test_waiting(leat, folder):
    """A store that does not let leat write: the answer says for whom it waits and since when, one line says so, and one that it goes on."""
    run = Run(leat, folder).start()
    run.await_rows()
    with contextlib.closing(sqlite3.connect(os.path.join(run.data, "leat.db"), isolation_level=None, timeout=30)) as db:
        db.execute("BEGIN IMMEDIATE")
        until, answer = time.monotonic() + STOP_S, run.ask()
        while answer["state"] != "waiting" and time.monotonic() < until:
            time.sleep(0.1)
            answer = run.ask()
        db.execute("ROLLBACK")
    expect(answer["state"] == "waiting" and answer["waiting"]["attempts"] > 0 and "leat.db" in answer["waiting"]["message"], f"it does not say that it waits: {answer}")
    after = run.await_rows(answer["totals"]["rowsIn"])
    while after["state"] != "running" and time.monotonic() < until:
        after = run.ask()
    expect(after["state"] == "running" and after["waiting"] is None, f"it does not say that it goes on: {after}")
    expect(run.stop() == 0, f"exit {run.process.returncode}")
    expect(run.output().count("leat.db") == 1, f"more than one line for one outage:\n{run.output()}")


TESTS = [test_progress, test_available_now, test_hostile, test_crowd, test_kill_and_start, test_second_run, test_long_path, test_no_socket,
         test_waiting]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leat", default="build/leat")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    leat, passed, failed = os.path.abspath(options.leat), 0, 0
    for test in TESTS:
        name = test.__name__[len("test_"):]
        if options.names and name not in options.names:
            continue
        folder, began = tempfile.mkdtemp(prefix="leat-control-"), time.monotonic()
        children = []
        start = Run.start
        try:
            Run.start = lambda self, start=start, children=children: children.append(self) or start(self)
            test(leat, folder)
            passed += 1
            print(f"{name:16} {time.monotonic() - began:6.1f} s", flush=True)
        except Exception as e:  # a failure of one test is no reason not to run the others
            failed += 1
            print(f"{name:16} failed: {e}", flush=True)
            if not isinstance(e, Failure):
                traceback.print_exc(file=sys.stdout)
        finally:
            Run.start = start
            for run in children:
                if run.process and run.process.poll() is None:
                    run.process.kill()
                    run.process.wait()
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
