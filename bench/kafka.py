# SPDX-License-Identifier: Apache-2.0
"""kafka.py: measures leat on topics of a real broker, beside what the client library alone costs and, with --peers, beside Spark and Flink.

The broker is started here, on loopback, and ended here. Topics are filled once a run, with the generator's messages (same seed, same bytes).
Speed is events per second of CPU time, user and system, of the whole process of leat, from its start to its exit; each rate is the median of
some runs, each wall time the least of them. Answers are compared by count and checksum before a figure counts. Called by kafka.sh.
"""
import argparse
import contextlib
import datetime
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time

from peers import engines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PARTITIONS, SHORT_COUNT, RATE, LEAT_SECONDS_MAX = 2, 10_000, 1000, 300
MEASURES = ["users", "filter", "kafka", "sqlite", "latency", "memory"]
# What is asked of leat (issue 4): at least, aim. Rates: events or rows a second; latency: ms above the floor; memory: MB.
WANTED = {"users": (700e3, 2e6), "filter": (1.5e6, 5e6), "kafka": (1.2e6, 4e6), "sqlite": (300e3, 1e6), "latency": (5, 1), "memory": (200, 64)}
BID = "SELECT from_json(CAST(value AS STRING), 'bid STRUCT<auction: BIGINT, price: BIGINT>') AS r FROM STREAM messages"
NINE_AS_TEXT = "concat_ws('|', id, gender, full_name, full_address, domain_email, birthday, registered_date, age, nationality) AS value"


def tell(text):
    print("bench:", text, file=sys.stderr, flush=True)


def free_port_base(count=10):
    """The first of consecutive ports that nobody listens on, below those the kernel hands out by itself."""
    for _ in range(200):
        first = random.randrange(20000, 32000 - count)
        with contextlib.ExitStack() as held:
            try:
                for port in range(first, first + count):
                    held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                return first
            except OSError:
                continue
    sys.exit("bench: there are no free ports in a row")


class Broker:
    """One node, by test/servers/kafka.sh, with the JVM's full compiler."""

    def __init__(self, folder, version):
        self.script_path = os.environ.get("KAFKA_SCRIPT", os.path.join(ROOT, "test/servers/kafka.sh"))
        self.folder, self.version, self.port = folder, version, free_port_base()
        self.brokers = f"127.0.0.1:{self.port}"
        os.makedirs(folder)
        os.chmod(folder, 0o755)
        tell(f"starting Kafka {version} …")
        self.script("start", folder, self.port, version)

    def script(self, *arguments):
        environment = dict(os.environ, KAFKA_JIT="full", KAFKA_HEAP="512m")
        out = subprocess.run(["bash", self.script_path, *map(str, arguments)], env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, timeout=300, check=False)
        if out.returncode != 0:
            sys.exit(f"bench: {self.script_path} {arguments[0]}: {out.stdout.decode(errors='replace').strip()}")

    def topic(self, name, partitions=PARTITIONS):
        self.script("topic", self.folder, name, partitions)
        return name

    def pid(self):
        with open(os.path.join(self.folder, "1", "pid"), encoding="ascii") as file:
            return int(file.read())

    def close(self):
        self.script("kill9", self.folder)


def busy_s():
    """CPU time all processes of the machine have used since it started, and what the hypervisor took."""
    with open("/proc/stat", encoding="ascii") as file:
        fields = [int(field) for field in file.readline().split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def wait_until_idle(seconds):
    """Until nine tenths of the machine are idle for a second, at most so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        before = busy_s()
        time.sleep(1)
        if busy_s() - before < 0.1 * os.cpu_count():
            return


class Run:
    """What one process used."""

    def __init__(self, cpu_s, wall_s, peak_mb, messages):
        self.cpu_s, self.wall_s, self.peak_mb, self.messages = cpu_s, wall_s, peak_mb, messages


def peak_mb(pid):
    """Peak resident memory so far; what wait4 tells would count this script's own pages, which the child had before it began."""
    with contextlib.suppress(OSError, AttributeError):
        with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as file:
            return int(re.search(r"^VmHWM:\s+(\d+)", file.read(), re.M).group(1)) / 1024
    return 0.0


def run_measured(command, broker_pid):
    begin, peak, busy, broker_s = time.monotonic(), 0.0, busy_s(), engines.used_cpu_s(broker_pid)
    with tempfile.TemporaryFile() as messages:
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages)
        try:
            while True:
                pid, status, usage = os.wait4(child.pid, os.WNOHANG)
                if pid:
                    break
                if time.monotonic() - begin > LEAT_SECONDS_MAX:
                    sys.exit(f"bench: {' '.join(command)} still ran after {LEAT_SECONDS_MAX} s")
                peak = max(peak, peak_mb(child.pid))
                time.sleep(0.01)
            child.returncode = os.waitstatus_to_exitcode(status)
        finally:
            if child.returncode is None:
                child.kill()
                child.wait()
        wall_s = time.monotonic() - begin
        messages.seek(0)
        text = messages.read().decode(errors="replace")
    if child.returncode != 0:
        sys.exit(f"bench: {' '.join(command)} ended with {child.returncode}:\n{text}")
    cpu_s = usage.ru_utime + usage.ru_stime
    run = Run(cpu_s, wall_s, peak, text)
    run.others_s = max(0.0, busy_s() - busy - cpu_s - (engines.used_cpu_s(broker_pid) - broker_s))
    return run


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.leat = os.path.abspath(options.leat)
        self.broker = Broker(os.path.join(folder, "broker"), options.version)
        self.counts = {"users": 200_000 if options.quick else 1_000_000, "nexmark": 600_000 if options.quick else 3_000_000,
                       "small": 10_000_000 if options.full else 200_000 if options.quick else 1_000_000}
        with open(os.path.join(ROOT, "examples/users/users.sql"), encoding="utf-8") as file:
            self.users_select = re.search(r"CREATE TEMPORARY VIEW users AS\n(.*?);\n", file.read(), re.S).group(1)
        self.results = {name: {} for name in MEASURES}   # measure → who → text, and `leat` → what it comes to
        self.peak_mb, self.client = 0.0, None
        self.others_s, self.wall_s = 0.0, 0.0            # CPU time of other processes than leat and the broker while leat ran; how long that was
        self.answer = {}                                 # query → (rows, checksum) as leat has it

    def program(self, name, *arguments, **more):
        command = [os.path.join(self.options.programs, name), *map(str, arguments)]
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600, **more)
        if out.returncode != 0:
            sys.exit(f"bench: {' '.join(command)}: {out.stderr.strip()}")
        return json.loads(out.stdout)

    def fill(self):
        wanted = {kind for kind, measures in {"users": {"users", "sqlite"}, "nexmark": {"filter", "kafka"}, "small": {"memory"}}.items()
                  if measures & set(self.options.only)}
        for kind in sorted(wanted):
            begin = time.monotonic()
            size = self.program("fill", self.broker.brokers, self.broker.topic(kind), kind, self.counts[kind])
            if kind != "small" and self.options.peers:
                self.program("fill", self.broker.brokers, self.broker.topic(f"{kind}-short"), kind, SHORT_COUNT)
            tell(f"topic {kind}: {self.counts[kind]:,} messages, {size / 1e6:,.0f} MB, in {time.monotonic() - begin:.1f} s")

    # ---- leat ----

    def file(self, name, topic, statements):
        text = (f"CREATE TABLE messages USING kafka OPTIONS ('kafka.bootstrap.servers' '{self.broker.brokers}', subscribe '{topic}', "
                f"startingOffsets 'earliest');\n{statements}")
        path = os.path.join(self.folder, name + ".sql")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        return path

    def leat_run(self, name, topic, statements):
        path, data = self.file(name, topic, statements), os.path.join(self.folder, f"{name}-data")
        shutil.rmtree(data, ignore_errors=True)
        wait_until_idle(self.options.wait_idle)
        run = run_measured([self.leat, "run", path, "--available-now", "--data", data], self.broker.pid())
        self.others_s, self.wall_s = self.others_s + run.others_s, self.wall_s + run.wall_s
        read = re.search(r"Scan\s+in (\d+)", run.messages)
        if not read or int(read.group(1)) != self.counts[topic]:
            sys.exit(f"bench: {name}: leat did not read all {self.counts[topic]} messages:\n{run.messages}")
        self.peak_mb = max(self.peak_mb, run.peak_mb)
        run.data = data
        return run

    def sink(self, out, delivery="exactly-once"):
        return f"USING kafka TBLPROPERTIES ('kafka.bootstrap.servers' = '{self.broker.brokers}', topic = '{out}', 'leat.delivery' = '{delivery}')"

    def note(self, measure, runs, count):
        rate = count / statistics.median(run.cpu_s for run in runs)
        wall = min(run.wall_s for run in runs)
        at_least, aim = WANTED[measure]
        value = count / wall if measure == "sqlite" else rate
        self.results[measure]["leat"] = f"{rate / 1e6:.2f} M ({wall:.2f} s, {count / wall / 1e6:.2f} M/s)"
        self.results[measure]["verdict"] = "aim" if value >= aim else "ok" if value >= at_least else "UNDER"
        each = ", ".join(f"{count / run.cpu_s / 1e6:.2f} ({100 * run.others_s / run.wall_s / os.cpu_count():.0f} % others)" for run in runs)
        tell(f"{measure}: leat {self.results[measure]['leat']}; each run: {each}")

    def users_view(self):
        return f"CREATE TEMPORARY VIEW users AS\n{self.users_select};\n"

    def measure_users(self):
        text = self.users_view() + "CREATE STREAMING TABLE result USING noop AS SELECT * FROM STREAM users;\n"
        self.note("users", [self.leat_run("users", "users", text) for _ in range(self.options.runs)], self.counts["users"])
        self.floor("users", "users", "fetch")

    def measure_filter(self):
        text = ("CREATE STREAMING TABLE result USING noop AS SELECT r.bid.auction AS auction, r.bid.price AS price "
                f"FROM ({BID}) WHERE r.bid.auction % 123 = 0;\n")
        self.note("filter", [self.leat_run("filter", "nexmark", text) for _ in range(self.options.runs)], self.counts["nexmark"])
        self.floor("filter", "nexmark", "fetch")
        self.floor("filter", "nexmark", "filter")

    def measure_kafka(self):
        runs, wanted = [], self.floor("kafka", "nexmark", "filter")
        for number in range(self.options.runs):
            out = self.broker.topic(f"out-leat-{number}")
            text = (f"CREATE STREAMING TABLE result {self.sink(out)} AS SELECT to_json(named_struct('auction', r.bid.auction, 'price', r.bid.price)) "
                    f"AS value FROM ({BID}) WHERE r.bid.auction % 123 = 0;\n")
            runs.append(self.leat_run("kafka", "nexmark", text))
            self.answer["filter"] = self.expect_same("leat", "filter", out, (wanted["rows"], wanted["checksum"]))
        self.note("kafka", runs, self.counts["nexmark"])

    def measure_sqlite(self):
        runs = []
        for _ in range(self.options.runs):
            text = self.users_view() + "CREATE STREAMING TABLE user_informations AS SELECT * FROM STREAM users;\n"
            runs.append(self.leat_run("sqlite", "users", text))
            with contextlib.closing(sqlite3.connect(os.path.join(runs[-1].data, "leat.db"))) as catalog:
                rows, ids = catalog.execute("SELECT count(*), count(DISTINCT id) FROM user_informations").fetchone()
            if rows != self.counts["users"] or ids != rows:
                sys.exit(f"bench: sqlite: {rows} rows with {ids} ids of {self.counts['users']}")
        self.note("sqlite", runs, self.counts["users"])

    def measure_memory(self):
        peaks = {}
        for name, sink, value in [("noop", "USING noop", "r.bid.auction AS auction"),
                                  ("kafka", self.sink(self.broker.topic("out-memory")), "to_json(named_struct('auction', r.bid.auction)) AS value")]:
            text = f"CREATE STREAMING TABLE result {sink} AS SELECT {value} FROM ({BID}) WHERE r.bid.auction % 123 = 0;\n"
            run = self.leat_run(f"memory-{name}", "small", text)
            peaks[name] = run.peak_mb
            tell(f"memory: lag of {self.counts['small']:,} into {name}: {run.peak_mb:.0f} MB, {run.wall_s:.1f} s")
        worst, (at_least, aim) = max(peaks.values()), WANTED["memory"]
        self.results["memory"]["leat"] = f"{worst:.0f} MB (noop {peaks['noop']:.0f}, kafka {peaks['kafka']:.0f}; {self.peak_mb:.0f} in any run)"
        self.results["memory"]["verdict"] = "aim" if worst <= aim else "ok" if worst <= at_least else "UNDER"

    # ---- latency ----

    def measure_once(self, send, receive):
        seconds, warm_up = (5, 2) if self.options.quick else (20, 5)
        wait_until_idle(self.options.wait_idle)
        return self.program("latency", "measure", self.broker.brokers, send, receive, RATE, seconds, warm_up)

    def measure_latency(self):
        topics = {name: self.broker.topic(name, 1) for name in ("raw", "relay-in", "relay-out", "leat-in", "leat-out")}
        raw = self.measure_once(topics["raw"], topics["raw"])
        relay_command = [os.path.join(self.options.programs, "latency"), "relay", self.broker.brokers, topics["relay-in"], topics["relay-out"]]
        with subprocess.Popen(relay_command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
            child.stdout.readline()
            relay = self.measure_once(topics["relay-in"], topics["relay-out"])
            child.stdin.close()
        path = self.file("latency", topics["leat-in"], f"CREATE STREAMING TABLE result {self.sink(topics['leat-out'], 'at-least-once')} AS "
                         "SELECT to_json(r) AS value FROM (SELECT from_json(CAST(value AS STRING), 'n BIGINT, due BIGINT') AS r FROM STREAM messages);\n")
        with tempfile.TemporaryFile() as messages:
            command = [self.leat, "run", path, "--data", os.path.join(self.folder, "latency-data"), "--quiet"]
            child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=messages)
            try:
                mine = self.measure_once(topics["leat-in"], topics["leat-out"])
            finally:
                child.send_signal(signal.SIGTERM)
                code = child.wait(30)
                messages.seek(0)
                if code != 0:
                    tell(f"leat ended with {code}: {messages.read().decode(errors='replace')[-2000:]}")
        again = self.measure_once(topics["raw"], topics["raw"])
        floor = min(raw["p99_ms"], again["p99_ms"])
        above, (at_least, aim) = mine["p99_ms"] - floor, WANTED["latency"]

        def text(m):
            return f"p50 {m['p50_ms']:.2f}, p99 {m['p99_ms']:.2f}, p99.9 {m['p999_ms']:.2f} ms"
        self.results["latency"] = {"leat": text(mine), "verdict": "aim" if above <= aim else "ok" if above <= at_least else "UNDER",
                                   "fetch": "raw loop, before: " + text(raw) + "; after: " + text(again), "filter": "relay in C: " + text(relay)}
        tell(f"latency: leat {text(mine)}; raw loop {text(raw)}; after {text(again)}; relay {text(relay)}")

    # ---- floors and peers ----

    def floor(self, measure, topic, mode):
        runs = []
        for _ in range(self.options.runs):
            wait_until_idle(self.options.wait_idle)
            runs.append(self.program("floor", mode, self.broker.brokers, topic))
        if any(run["messages"] != self.counts[topic] for run in runs):
            sys.exit(f"bench: the C loop read {[run['messages'] for run in runs]} of {self.counts[topic]} messages of {topic}")
        rate, wall = self.counts[topic] / statistics.median(run["cpu_s"] for run in runs), min(run["wall_s"] for run in runs)
        self.results[measure][mode] = f"{rate / 1e6:.2f} M ({wall:.2f} s)"
        self.client = runs[-1]["client"]
        return runs[-1]

    def expect_same(self, who, query, topic, wanted):
        found = self.program("floor", "answer", self.broker.brokers, topic)
        got = (found["rows"], found["checksum"])
        if wanted and got != wanted:
            sys.exit(f"bench: {query}: {who} gives {got[0]} rows, checksum {got[1]}; wanted were {wanted[0]}, {wanted[1]}")
        return got

    def users_answer(self):
        """The nine columns as one text a row, written by leat: what the others must give too."""
        out = self.broker.topic("answer-leat-users")
        text = self.users_view() + f"CREATE STREAMING TABLE result {self.sink(out)} AS SELECT {NINE_AS_TEXT} FROM STREAM users;\n"
        self.leat_run("users-answer", "users", text)
        return self.expect_same("leat", "users", out, None)

    def peer(self, engine):
        """Each query twice over the whole topic, the second counting, and once over a short one; the difference is free of what a query costs by
        itself. Then its answers are compared."""
        jobs, plan = [], [("users", "users", "users"), ("filter", "filter", "nexmark"), ("kafka", "filter answer", "nexmark")]
        plan = [p for p in plan if p[0] in self.options.only]
        outs = {}
        for measure, query, topic in plan:
            for turn, name in enumerate([topic, topic, f"{topic}-short"]):
                out = self.broker.topic(f"out-{engine.name}-{turn}") if measure == "kafka" else None
                outs[measure] = out if turn == 1 else outs.get(measure)
                jobs.append((query, name, out))
        if "users" in self.options.only:
            jobs.append(("users answer", "users", self.broker.topic(f"answer-{engine.name}-users")))
        used = engine.run(jobs, self.users_select)
        for number, (measure, _, topic) in enumerate(plan):
            (cpu_s, wall_s), (short_cpu_s, _) = used[3 * number + 1], used[3 * number + 2]
            rate = (self.counts[topic] - SHORT_COUNT) / max(cpu_s - short_cpu_s, 1e-3)
            self.results[measure][engine.name] = f"{rate / 1e6:.3f} M ({wall_s:.2f} s)"
        if "kafka" in self.options.only:
            self.expect_same(engine.label, "filter", outs["kafka"], self.answer["filter"])
        if "users" in self.options.only:
            self.expect_same(engine.label, "users", f"answer-{engine.name}-users", self.answer["users"])
        tell(f"{engine.label}: answers equal leat's")

    def run_peers(self):
        if "users" in self.options.only:
            self.answer["users"] = self.users_answer()
        for kind in (engines.Spark, engines.Flink):
            engine = kind(self.broker.brokers, os.path.abspath(self.options.cache), self.folder, os.cpu_count())
            try:
                engine.fetch()
                self.peer(engine)
            except engines.Unavailable as why:
                tell(f"no {engine.label}: {why}")
                for result in self.results.values():
                    result.setdefault(engine.name, "not to be had")

    # ---- the table ----

    def print_table(self, load_before):
        users, events, small = (f"{self.counts[kind]:,}" for kind in ("users", "nexmark", "small"))
        lines = {"users": (f"{users} users, nine columns → noop", "700 k", "2 M"), "filter": (f"{events} Nexmark events, filter → noop", "1.5 M", "5 M"),
                 "kafka": ("the same filter, Kafka → Kafka, JSON, exactly once", "1.2 M", "4 M"),
                 "sqlite": (f"{users} users, nine columns → embedded SQLite (asked: rows/s of wall time)", "300 k", "1 M"),
                 "latency": (f"one record at a time, {RATE:,}/s, Kafka → leat → Kafka", "floor + 5 ms", "floor + 1 ms"),
                 "memory": (f"memory, draining {small} messages", "200 MB", "64 MB")}
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            model = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
        now = datetime.datetime.now(datetime.timezone.utc)
        print(f"{now:%Y-%m-%d %H:%M} UTC, {model.group(1) if model else 'an unnamed processor'}, {os.cpu_count()} cores shared with the broker, "
              f"Kafka {self.options.version}, librdkafka {self.client or 'unknown'}, {self.options.runs} runs each; "
              f"load average {load_before:.1f} before, {os.getloadavg()[0]:.1f} after; other processes had "
              f"{100 * self.others_s / max(self.wall_s, 1e-9) / os.cpu_count():.0f} % of the machine while leat ran\n")
        print("Events per second of CPU time (median), wall time (least) in brackets.\n")
        print(f"| what | leat | at least | aim | | floor: librdkafka alone | floor: loop in C | Spark {engines.SPARK} | Flink {engines.FLINK} |")
        print("|---|---|---|---|---|---|---|---|---|")
        for measure in [m for m in MEASURES if m in self.options.only]:
            result = self.results[measure]
            name, at_least, aim = lines[measure]
            cells = [name, result["leat"], at_least, aim, result["verdict"], *(result.get(who, "–") for who in ("fetch", "filter", "spark", "flink"))]
            print("| " + " | ".join(cells) + " |")
        under = [measure for measure in MEASURES if self.results[measure].get("verdict") == "UNDER"]
        print("\n" + (f"under what is asked: {', '.join(under)}" if under else "everything that is asked holds"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leat", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--version", default="4.4.0")
    parser.add_argument("--runs", type=int)
    parser.add_argument("--quick", action="store_true", help="small topics, one run each")
    parser.add_argument("--full", action="store_true", help="a lag of ten million messages")
    parser.add_argument("--peers", action="store_true", help="Spark and Flink too, fetched by name")
    parser.add_argument("--wait-idle", type=float, default=5, metavar="SECONDS", help="wait so long at most, before each run, for an idle machine")
    parser.add_argument("--only", default=",".join(MEASURES))
    options = parser.parse_args()
    options.only = options.only.split(",")
    options.runs = options.runs or (1 if options.quick else 3)
    unknown = set(options.only) - set(MEASURES)
    if unknown:
        parser.error(f"--only knows {', '.join(MEASURES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    folder = tempfile.mkdtemp(prefix="kafka-", dir=os.path.abspath(options.cache))
    os.chmod(folder, 0o755)
    bench = None
    try:
        bench = Bench(options, folder)
        bench.fill()
        for measure in options.only:
            getattr(bench, f"measure_{measure}")()
        if options.peers:
            bench.run_peers()
        bench.print_table(load)
    finally:
        if bench:
            bench.broker.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
