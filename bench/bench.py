# SPDX-License-Identifier: Apache-2.0
"""bench.py: measures leat beside DuckDB on one file of Nexmark events, and what leat costs when it does nothing.

Speed is events per second of CPU time (user + system): that of the whole process for leat, that of the query alone for DuckDB, whose
start and imports are not counted. Each rate is the median of some runs, each wall time the least of them; the file is read before each of them, so that it
is in the page cache. A timed run waits for an idle machine; where that does not come, it has real-time priority, if it may. Memory is
watched in runs of its own. Before anything is timed the answers of both are compared, row by row. Called by run.sh.
"""
import argparse
import contextlib
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

PERSON = "id BIGINT, name STRING, emailAddress STRING, creditCard STRING, city STRING, state STRING, dateTime TIMESTAMP, extra STRING"
AUCTION = ("id BIGINT, itemName STRING, description STRING, initialBid BIGINT, reserve BIGINT, dateTime TIMESTAMP, expires TIMESTAMP, "
           "seller BIGINT, category BIGINT, extra STRING")
BID = "auction BIGINT, bidder BIGINT, price BIGINT, channel STRING, url STRING, dateTime TIMESTAMP, extra STRING"

# name, the query over `events`, the kind of table that leat keeps of it.
QUERIES = [
    ("filter", "SELECT bid.auction AS auction, bid.price AS price FROM {events} WHERE bid.auction % 123 = 0", "STREAMING TABLE"),
    ("group by integer", "SELECT bid.auction AS auction, count(*) AS bids, max(bid.price) AS top FROM {events} GROUP BY bid.auction", "MATERIALIZED VIEW"),
    ("group by string", "SELECT bid.channel AS channel, count(*) AS bids FROM {events} GROUP BY bid.channel", "MATERIALIZED VIEW"),
]
TARGETS = {"memory_mb": 64, "first_row_ms": 30, "idle_mb": 10, "binary_mb": 4, "threads": 1.6}


def spark_type(fields):
    return "STRUCT<" + ", ".join(": ".join(field.split(" ", 1)) for field in fields.split(", ")) + ">"


def duckdb_type(fields):
    return "STRUCT(" + fields.replace("STRING", "VARCHAR") + ")"


def table_statement(path):
    return (f"CREATE TABLE events (event_type INT, person {spark_type(PERSON)}, auction {spark_type(AUCTION)}, bid {spark_type(BID)})\n"
            f"USING json OPTIONS (path '{path}');\n")


def duckdb_events(path):
    columns = ", ".join(f"{name}: '{kind}'" for name, kind in
                        [("event_type", "INTEGER"), ("person", duckdb_type(PERSON)), ("auction", duckdb_type(AUCTION)), ("bid", duckdb_type(BID))])
    return f"read_json('{path}', format = 'newline_delimited', columns = {{{columns}}})"


def median(values):
    return statistics.median(values)


class Run:
    """What one process used."""

    def __init__(self, cpu_s, wall_s, peak_mb):
        self.cpu_s, self.wall_s, self.peak_mb = cpu_s, wall_s, peak_mb


def peak_mb(pid):
    """Peak resident memory so far; what wait4 tells would count this script's own pages, which the child had before it began."""
    try:
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M).group(1)) / 1024
    except (OSError, AttributeError):
        return 0.0


def busy_s():
    """CPU time all processes of the machine have used since it started, and what the hypervisor took."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(seconds):
    """Until nine tenths of the machine are idle for a moment, at most so long. False: they were not."""
    end = time.monotonic() + seconds
    while True:
        before, begin = busy_s(), time.monotonic()
        time.sleep(0.25)
        if busy_s() - before < 0.1 * os.cpu_count() * (time.monotonic() - begin):
            return True
        if time.monotonic() >= end:
            return False


def run_measured(command, watch_memory=False):
    """Watching takes a core now and then, so a run is either timed or watched."""
    with tempfile.TemporaryFile() as messages:
        begin, peak = time.monotonic(), 0.0
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=messages)
        while True:
            pid, status, usage = os.wait4(child.pid, os.WNOHANG if watch_memory else 0)
            if pid:
                break
            peak = max(peak, peak_mb(child.pid))
            time.sleep(0.005)
        wall_s = time.monotonic() - begin
        child.returncode = os.waitstatus_to_exitcode(status)
        messages.seek(0)
        text = messages.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} failed:\n{text}")
    return Run(usage.ru_utime + usage.ru_stime, wall_s, peak), text


class Bench:
    def __init__(self, options):
        self.leat = os.path.abspath(options.leat)
        self.events = os.path.abspath(options.events)
        self.folder = tempfile.mkdtemp(dir=os.path.abspath(options.cache))
        self.runs = options.runs
        self.wait_idle_s = options.wait_idle
        self.timed, self.preferred, self.disturbed = 0, 0, 0
        self.duckdb = not options.no_duckdb
        with open(self.events, "rb") as file:
            self.event_count = sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
        self.size_mb = os.path.getsize(self.events) / 1e6

    def file(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    @contextlib.contextmanager
    def quiet(self):
        """What is timed within has the machine for itself as far as that can be had: idle, or by priority (children inherit it)."""
        idle = wait_until_idle(self.wait_idle_s)
        self.timed += 1
        if not idle:
            try:
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(50))
                self.preferred += 1
            except OSError:  # not for everyone
                self.disturbed += 1
        try:
            yield
        finally:
            if os.sched_getscheduler(0) != os.SCHED_OTHER:
                os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))

    def warm(self):
        with open(self.events, "rb", buffering=0) as file:
            while file.read(1 << 20):
                pass

    def print_disturbance(self):
        if self.preferred:
            print(f"  the machine was busy in {self.preferred} of {self.timed} measurements: they had real-time priority")
        if self.disturbed:
            print(f"  the machine was busy in {self.disturbed} of {self.timed} measurements, which shared it: wall times say little")

    # ---- speed ----

    def leat_command(self, name, query, kind, threads):
        text = table_statement(self.events)
        source = "STREAM events" if kind == "STREAMING TABLE" else "events"
        text += f"CREATE {kind} result USING noop AS\n{query.format(events=source)};\n"
        path = self.file(name.replace(" ", "_") + ".sql", text)
        data = os.path.join(self.folder, "data")
        shutil.rmtree(data, ignore_errors=True)
        return [self.leat, "run", path, "--available-now", "--data", data, "--threads", str(threads)]

    def leat_run(self, name, query, kind, threads, watch_memory=False):
        command = self.leat_command(name, query, kind, threads)
        if watch_memory:
            run, ledger = run_measured(command, watch_memory)
        else:
            with self.quiet():
                self.warm()
                run, ledger = run_measured(command)
        if str(self.event_count) not in re.sub(r"[,_ ]", "", ledger):
            sys.exit(f"bench: leat did not read all {self.event_count} events:\n{ledger}")
        return run

    def duckdb_run(self, query):
        """In a process of its own; what it uses is taken around the query."""
        script = ("import duckdb, resource, time, sys\n"
                  "c = duckdb.connect(); c.execute('SET threads = 1'); c.execute('SET preserve_insertion_order = false')\n"
                  "c.execute('SET enable_progress_bar = false')\n"
                  "a = resource.getrusage(resource.RUSAGE_SELF); t = time.monotonic()\n"
                  "rows = c.execute(sys.argv[1]).fetchall()\n"
                  "b = resource.getrusage(resource.RUSAGE_SELF)\n"
                  "print(b.ru_utime + b.ru_stime - a.ru_utime - a.ru_stime, time.monotonic() - t, b.ru_maxrss / 1024)\n")
        # A count of what the query gives, so that no time goes into Python's rows.
        counted = f"SELECT count(*), count(COLUMNS(*)) FROM ({query.format(events=duckdb_events(self.events))})"
        with self.quiet():
            self.warm()
            out = subprocess.run([sys.executable, "-c", script, counted], check=True, capture_output=True, text=True).stdout
        return Run(*map(float, out.splitlines()[-1].split()))

    def compare_answers(self, name, query):
        import duckdb
        ordered = query + " ORDER BY ALL"
        connection = duckdb.connect()
        wanted = connection.execute(ordered.format(events=duckdb_events(self.events)).replace("ORDER BY ALL", "ORDER BY ALL NULLS FIRST")).fetchall()
        wanted = sorted(",".join("" if cell is None else str(cell) for cell in row) for row in wanted)
        path = self.file("answer.sql", table_statement(self.events) + query.format(events="events") + ";\n")
        command = [self.leat, "sql", path, "--format", "csv"]
        got = subprocess.run(command, check=True, capture_output=True, text=True, cwd=self.folder).stdout.splitlines()[1:]
        got = sorted(line.replace("NULL", "") for line in got)
        if got != wanted:
            differing = next((pair for pair in zip(got, wanted) if pair[0] != pair[1]), None)
            sys.exit(f"bench: {name}: leat and DuckDB disagree: {len(got)} and {len(wanted)} rows; first difference: {differing}")
        return len(got)

    def speed(self):
        print(f"{self.event_count:,} Nexmark events, {self.size_mb:,.0f} MB of JSON lines, {self.runs} rounds; million events per CPU-second (least wall time)\n")
        print(f"  {'':18}{'leat':>14}{'leat, 2 threads':>20}{'2 : 1 wall':>12}{'DuckDB, 1 thread':>20}{'leat : DuckDB':>15}{'peak MB':>9}  same answer")
        ok = True
        for name, query, kind in QUERIES:
            rows = f"{self.compare_answers(name, query):,} rows" if self.duckdb else "not compared"
            one, two, other = [], [], []
            for _ in range(self.runs):  # in turn, so that what else the machine does meets all of them
                for _ in range(2):
                    one.append(self.leat_run(name, query, kind, 1))
                    two.append(self.leat_run(name, query, kind, 2))
                if self.duckdb:
                    other.append(self.duckdb_run(query))

            def rate(runs):
                return self.event_count / median([run.cpu_s for run in runs]) / 1e6

            def wall(runs):
                return min(run.wall_s for run in runs)
            speedup = wall(one) / wall(two)
            peak = max(self.leat_run(name, query, kind, threads, watch_memory=True).peak_mb for threads in (1, 2, 2))
            beside = f"{rate(other):11.2f} ({wall(other):4.2f} s)" if other else "-"
            ratio = f"{rate(one) / rate(other):.2f}" if other else "-"
            print(f"  {name:18}{rate(one):6.2f} ({wall(one):4.2f} s){rate(two):12.2f} ({wall(two):4.2f} s){speedup:12.2f}{beside:>20}{ratio:>15}{peak:9.0f}  {rows}", flush=True)
            ok = ok and peak <= TARGETS["memory_mb"] and speedup >= TARGETS["threads"] and (not other or rate(one) >= rate(other))
        self.print_disturbance()
        return ok

    # ---- what it costs to be there ----

    def first_row_ms(self, command):
        """Wall time from the start of the process to its first byte of output."""
        times = []
        with self.quiet():
            for _ in range(max(self.runs, 15)):
                shutil.rmtree(os.path.join(self.folder, "data"), ignore_errors=True)
                begin = time.monotonic()
                child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=self.folder)
                first = child.stdout.read(1)
                times.append((time.monotonic() - begin) * 1000)
                child.kill()
                child.wait()
                child.stdout.close()
                if not first:
                    sys.exit(f"bench: {' '.join(command)} printed nothing")
        return median(times), min(times)

    def idle_mb(self):
        path = self.file("idle.sql", "CREATE TABLE ticks USING rate OPTIONS (rowsPerSecond '1');\n"
                                     "CREATE STREAMING TABLE out USING noop AS SELECT * FROM STREAM ticks;\n")
        child = subprocess.Popen([self.leat, "run", path, "--data", os.path.join(self.folder, "idle"), "--quiet"],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            time.sleep(3)
            before = cpu_s(child.pid)
            time.sleep(2)
            with open(f"/proc/{child.pid}/smaps_rollup", encoding="ascii") as file:
                kilobytes = int(re.search(r"^Anonymous:\s+(\d+)", file.read(), re.M).group(1))
            return kilobytes / 1024, (cpu_s(child.pid) - before) / 2 * 100
        except (OSError, AttributeError) as problem:
            print(f"  (idle memory cannot be read: {problem})")
            return None, None
        finally:
            child.send_signal(signal.SIGTERM)
            child.wait()

    def binary_mb(self):
        path = os.path.join(self.folder, "stripped")
        subprocess.run(["strip", "-o", path, self.leat], check=True)
        return os.path.getsize(path) / 1e6

    def sizes(self):
        console = self.file("console.sql", "CREATE TABLE users USING generator OPTIONS (kind 'users', numRows '10');\n"
                                           "CREATE STREAMING TABLE out USING console AS SELECT offset FROM STREAM users;\n")
        idle, idle_cpu = self.idle_mb()
        lines = [
            ("start to first row, sql -q 'SELECT 1'", self.first_row_ms([self.leat, "sql", "-q", "SELECT 1"]), "ms", TARGETS["first_row_ms"]),
            ("start to first row, a run to the console", self.first_row_ms([self.leat, "run", console, "--data", os.path.join(self.folder, "data")]), "ms", TARGETS["first_row_ms"]),
            ("anonymous memory of an idle pipeline", idle, "MB", TARGETS["idle_mb"]),
            ("stripped binary", self.binary_mb(), "MB", TARGETS["binary_mb"]),
        ]
        print()
        met = True
        for name, value, unit, target in lines:
            least = ""
            if isinstance(value, tuple):
                value, least = value[0], f"   (median; least {value[1]:.1f})"
            if value is not None:
                met = met and value <= target
                print(f"  {name:46}{value:8.1f} {unit}   at most {target} {unit}{least}{'' if value <= target else '   MISSED'}")
        if idle_cpu is not None:
            print(f"  {'CPU of that pipeline (one row a second)':46}{idle_cpu:8.1f} %")
        return met


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leat", required=True)
    parser.add_argument("--events", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--only", choices=["speed", "sizes"])
    parser.add_argument("--no-duckdb", action="store_true")
    parser.add_argument("--wait-idle", type=float, default=2, metavar="SECONDS", help="wait so long at most, before each timed run, for an idle machine")
    options = parser.parse_args()
    bench = Bench(options)
    try:
        met = options.only == "sizes" or bench.speed()
        met = (options.only == "speed" or bench.sizes()) and met
        print("\n" + ("every goal is met" if met else "not every goal is met"))
    finally:
        shutil.rmtree(bench.folder, ignore_errors=True)


if __name__ == "__main__":
    main()
