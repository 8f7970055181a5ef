# SPDX-License-Identifier: Apache-2.0
"""What every test of this folder stands on: expectations, bounded waiting, free ports, leat as a process.

Nothing here knows Kafka. Every process is started so that it ends with the test program, however that ends.
"""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

EXIT_DATA, EXIT_CHECK, EXIT_UNREACHABLE, EXIT_FIT = 1, 3, 4, 5
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
# The times that tests allow are those of a machine of their own. What is waited for has an end; how soon is not what is tested.
PATIENCE = 4


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what() if callable(what) else what)


def wait_until(what, happened, seconds=30, alive=None):
    """Polls until `happened()` is true and returns its value; a process that ends meanwhile, or the time, is a failure that names `what`."""
    seconds *= PATIENCE
    end = time.monotonic() + seconds
    while True:
        value = happened()
        if value:
            return value
        expect(alive is None or alive.poll() is None, lambda: f"leat ended with {alive.returncode} before: {what}\n{alive.text()}")
        expect(time.monotonic() < end, lambda: f"not within {seconds} s: {what}" + (f"\n{alive.text()}" if alive else ""))
        time.sleep(0.02)


def free_ports(count, host="127.0.0.1"):
    """The first of `count` consecutive ports that nobody listens on, below those the kernel hands out by itself."""
    for _ in range(200):
        first = random.randrange(20000, 32000 - count)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    s = held.enter_context(socket.socket())
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    s.bind((host, port))
                return first
            except OSError:
                continue
    raise Failure(f"there are no {count} free ports in a row")


def dies_with_us(command):
    """A child that is killed when this program dies, even by kill -9."""
    return ["setpriv", "--pdeathsig", "KILL"] + command if shutil.which("setpriv") else command


class Leat:
    """One running `leat`: its output goes to files, so that nothing is lost when it is killed."""

    def __init__(self, command, folder, environment):
        fd, self.out_path = tempfile.mkstemp(prefix="out-", dir=folder)
        fd2, self.err_path = tempfile.mkstemp(prefix="err-", dir=folder)
        self.peak_kb = 0
        with os.fdopen(fd, "wb") as out, os.fdopen(fd2, "wb") as err:
            self.process = subprocess.Popen(dies_with_us(command), env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=err)
        self.pid = self.process.pid

    @property
    def returncode(self):
        return self.process.returncode

    def poll(self):
        self.note_peak()
        return self.process.poll()

    def note_peak(self):
        with contextlib.suppress(OSError, ValueError):
            with open(f"/proc/{self.pid}/status", encoding="ascii", errors="replace") as f:
                found = re.search(r"^VmHWM:\s+(\d+) kB", f.read(), re.M)
            if found:
                self.peak_kb = max(self.peak_kb, int(found[1]))

    @property
    def peak_mb(self):
        self.note_peak()
        return self.peak_kb / 1024

    def wait(self, seconds):
        """Its exit status; one that does not end in time is killed and is a failure."""
        seconds *= PATIENCE
        end = time.monotonic() + seconds
        while self.poll() is None:
            if time.monotonic() > end:
                self.kill()
                raise Failure(f"leat still ran after {seconds} s\n{self.text()}")
            time.sleep(0.01)
        return self.returncode

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        return self.returncode

    def stop(self, seconds=30):
        self.process.send_signal(signal.SIGTERM)
        code = self.wait(seconds)
        expect(code == 0, lambda: f"stopped by SIGTERM: exit {code}\n{self.text()}")

    def text(self):
        return self.errors() + self.progress_text()[-2000:]

    def errors(self):
        with open(self.err_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def progress_text(self):
        with open(self.out_path, encoding="utf-8", errors="replace") as f:
            return f.read()

    def progress(self, flow=None):
        """What `--json` has printed so far, a dictionary an epoch and flow; the last line may not be whole yet."""
        found = []
        for line in self.progress_text().split("\n")[:-1]:
            if line.startswith("{"):
                report = json.loads(line)
                if flow is None or report["name"] == flow:
                    found.append(report)
        return found

    def rows_in(self, flow=None):
        return sum(p["numInputRows"] for p in self.progress(flow))


class Pipeline:
    """A file of SQL in a folder of its own, and its data folder."""

    def __init__(self, leat, folder, sql, *settings, environment=None):
        self.leat, self.folder = leat, folder
        self.file = os.path.join(folder, "pipeline.sql")
        self.data = os.path.join(folder, "leat-data")
        self.settings = list(settings)
        self.more_environment = environment or {}
        self.running = []
        os.makedirs(folder, exist_ok=True)
        self.write(sql)

    def write(self, sql):
        with open(self.file, "w", encoding="utf-8") as f:
            f.write(sql)

    def command(self, *flags, available_now=True, data=None):
        sets = [part for s in self.settings for part in ("--set", s)]
        return [self.leat, "run", self.file, "--data", data or self.data, "--json", *sets, *(["--available-now"] if available_now else []), *flags]

    def environment(self, failpoint=None):
        environment = dict(os.environ, **self.more_environment)
        environment.pop("LEAT_FAILPOINT", None)
        if failpoint:
            environment["LEAT_FAILPOINT"] = failpoint
        return environment

    def start(self, *flags, available_now=False, data=None, failpoint=None):
        process = Leat(self.command(*flags, available_now=available_now, data=data), self.folder, self.environment(failpoint))
        self.running.append(process)
        return process

    def run(self, *flags, seconds=120, **more):
        """(the ended process, its exit status), with --available-now."""
        process = self.start(*flags, available_now=True, **more)
        return process, process.wait(seconds)

    def run_to_end(self, *flags, **more):
        process, code = self.run(*flags, **more)
        expect(code == 0, lambda: f"leat run {' '.join(flags)}: exit {code}\n{process.text()}")
        return process

    def end_all(self):
        for process in self.running:
            if process.poll() is None:
                process.kill()
        self.running = []

    def clear(self):
        self.end_all()
        shutil.rmtree(self.data, ignore_errors=True)

    @property
    def catalog(self):
        return os.path.join(self.data, "leat.db")

    def read(self, query, store=None, data=None):
        """A query over a copy of the store: looking must not change what is looked at."""
        store = store or (os.path.join(data, "leat.db") if data else self.catalog)
        with tempfile.TemporaryDirectory(prefix="look-", dir=self.folder) as copy:
            if not copy_store(store, os.path.join(copy, "db")):
                return []
            with contextlib.closing(sqlite3.connect(os.path.join(copy, "db"))) as db:
                return db.execute(query).fetchall()

    def count(self, table, data=None):
        try:
            return self.read(f"SELECT count(*) FROM {table}", data=data)[0][0]
        except (sqlite3.DatabaseError, IndexError):
            return 0

    def epoch(self):
        try:
            return self.read("SELECT max(epoch) FROM leat_pipeline")[0][0] or 0
        except (sqlite3.DatabaseError, IndexError):
            return 0

    def dead(self):
        return self.read("SELECT source, partition, offset, condition, message, raw FROM leat_dead ORDER BY partition, offset")

    def expect_balanced(self):
        """Every row that went into an operator has exactly one fate."""
        rows, wrong = self.read("SELECT count(*), sum(input != passed + filtered + absorbed + merged + late + dead + null_time) FROM leat_ledger")[0]
        expect(rows > 0 and wrong == 0, f"leat_ledger: {rows} operators, {wrong} out of balance")

    def control(self, request="progress", data=None):
        """What the control socket of a running leat answers; None where nobody does."""
        data = data or self.data
        try:
            folder = os.open(data, os.O_PATH | os.O_DIRECTORY)
        except OSError:
            return None
        try:
            with socket.socket(socket.AF_UNIX) as s:
                s.settimeout(10 * PATIENCE)
                s.connect(f"/proc/self/fd/{folder}/leat.sock")  # the path itself may be too long for an address
                s.sendall(request.encode() + b"\n")
                answer = b""
                while part := s.recv(65536):
                    answer += part
            return json.loads(answer)
        except (OSError, ValueError):
            return None
        finally:
            os.close(folder)

    def is_running(self, data=None):
        answer = self.control(data=data)
        return answer is not None and answer["state"] == "running"

    def ask(self, query, seconds=60):
        """`leat sql` over the data folder, or over an outside table: (exit status, stdout, stderr)."""
        out = subprocess.run([self.leat, "sql", "--data", self.data, "--format", "csv", "-q", query], env=self.environment(), cwd=self.folder,
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds * PATIENCE, check=False)
        return out.returncode, out.stdout.decode("utf-8", "replace"), out.stderr.decode("utf-8", "replace")


def copy_store(store, to, seconds=60):
    """A copy of a living SQLite file as it was at one moment; False where there is none. A checkpoint writes to the file only what is in the
    log too, so the file is copied first and then the log; only a log begun anew on the way, which its header shows, spoils the pair."""
    def log_header():
        with contextlib.suppress(FileNotFoundError):
            with open(store + "-wal", "rb") as f:
                return f.read(32)
        return b""
    end = time.monotonic() + seconds
    while os.path.exists(store):
        header = log_header()
        with contextlib.suppress(FileNotFoundError):
            os.remove(to + "-wal")
        with contextlib.suppress(FileNotFoundError):
            shutil.copy(store, to)
            shutil.copy(store + "-wal", to + "-wal")
        if log_header() == header:
            return os.path.exists(to)
        expect(time.monotonic() < end, f"{store} does not hold still for {seconds} s")
    return False


def expect_same_rows(found, wanted, what):
    """Equal lists; says how many are wrong, missing or in another order, with examples."""
    if found == wanted:
        return
    here, there = sorted(map(repr, found)), sorted(map(repr, wanted))
    if here == there:
        first = next(i for i, (a, b) in enumerate(zip(found, wanted)) if a != b)
        raise Failure(f"{what}: the same {len(wanted)} rows in another order, first at {first}: {found[first]!r}, not {wanted[first]!r}"[:2000])
    counts = {}
    for row in here:
        counts[row] = counts.get(row, 0) + 1
    for row in there:
        counts[row] = counts.get(row, 0) - 1
    more = [r for r, n in counts.items() if n > 0]
    less = [r for r, n in counts.items() if n < 0]
    raise Failure(f"{what}: {len(found)} rows, not {len(wanted)}; {len(more)} are wrong or doubled, such as {more[:3]}; "
                  f"{len(less)} are missing, such as {less[:3]}"[:3000])
