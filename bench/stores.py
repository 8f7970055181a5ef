# SPDX-License-Identifier: Apache-2.0
"""stores.py: measures leat's way into Cassandra and MongoDB beside raw clients, and the whole pipeline beside PySpark with its connectors.

Servers are started here, on loopback, with the JVM's full compiler, and ended here. Rows per second are of wall time, the client's start and end
included; a raw client and leat take turns in the same run, each into a table of its own that did not exist before. CPU time is user and system, of
the whole process; what leat costs a row is the difference to the same query into `noop`. Rows are counted in the stores, by their own protocols,
before a figure counts. Called by stores.sh.
"""
import argparse
import contextlib
import datetime
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import kafka as common
from peers import engines, store_engines

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "test/pipeline"))
import look  # noqa: E402
import stores as real  # noqa: E402

MEASURES = ["cassandra", "insert", "upsert", "pipeline"]
SPACE, CQL_BATCH = "bench", 10   # rows of a partition's own are sent so many at a time by the raw client, as by leat
# What is asked (issue 5): share of the raw client's rows a second; µs of CPU a row; the engine's CPU as a share of the servers'.
WANTED_SHARE = {"cassandra": 0.90, "insert": 0.85, "upsert": 0.85}
WANTED_CPU_US = {"cassandra": 1.2, "insert": 1.0, "upsert": 1.5}
WANTED_ENGINE = 0.15
ROWS = ("CREATE TABLE m USING generator OPTIONS (kind 'nexmark', seed '1', partitions '2', numRows '{rows}');\n"
        "CREATE TEMPORARY VIEW r AS SELECT offset * 2 + partition AS id, concat('user ', offset * 2 + partition) AS name, "
        "CAST((offset * 2 + partition) % 100 AS INT) AS age, (offset * 2 + partition) * 0.5D AS score FROM m;\n")
tell = common.tell


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder, self.leat = options, folder, os.path.abspath(options.leat)
        os.environ.update(CASSANDRA_JIT="full", CASSANDRA_HEAP="1g", KAFKA_JIT="full", KAFKA_HEAP="512m", MONGO_CACHE_GB="1")
        self.servers = real.Servers(folder)
        self.rows = options.rows or (100_000 if options.quick else 1_000_000)
        self.users = options.users or (100_000 if options.quick else 1_000_000)
        self.results, self.baseline, self.others_s, self.wall_s = {}, None, 0.0, 0.0

    def start(self):
        for line in self.servers.start():
            tell(line)
        self.pids = {server.name: self.pid(server) for server in self.servers.all}

    def pid(self, server):
        path = os.path.join(server.folder, *(() if server.name == "mongo" else ("1",)), "pid")
        with open(path, encoding="ascii") as file:
            return int(file.read())

    def servers_cpu(self):
        return {name: engines.used_cpu_s(pid) for name, pid in self.pids.items()}

    def program(self, name, *arguments):
        command = [os.path.join(self.options.programs, name), *map(str, arguments)]
        common.wait_until_idle(self.options.wait_idle)
        before = self.servers_cpu()
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=900)
        if out.returncode != 0:
            sys.exit(f"bench: {' '.join(command)}: {out.stderr.strip()}")
        answer = json.loads(out.stdout.strip().split("\n")[-1])
        answer["servers_cpu_s"] = {name: cpu - before[name] for name, cpu in self.servers_cpu().items()}
        return answer

    def leat_run(self, name, text, *settings):
        """One run in a new data folder; `servers_cpu_s` is what the servers used meanwhile."""
        path, data = os.path.join(self.folder, name + ".sql"), os.path.join(self.folder, name + "-data")
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        shutil.rmtree(data, ignore_errors=True)
        common.wait_until_idle(self.options.wait_idle)
        before = self.servers_cpu()
        sets = [part for setting in settings for part in ("--set", setting)]
        run = common.run_measured([self.leat, "run", path, "--available-now", "--data", data, *sets], self.pids["kafka"])
        run.servers_cpu_s = {server: cpu - before[server] for server, cpu in self.servers_cpu().items()}
        run.others_s = max(0.0, run.others_s - run.servers_cpu_s["cassandra"] - run.servers_cpu_s["mongo"])
        self.others_s, self.wall_s, run.data = self.others_s + run.others_s, self.wall_s + run.wall_s, data
        return run

    def expect_count(self, who, store, table, wanted):
        count = look.count_cassandra if store == "cassandra" else look.count_mongodb
        port = self.servers.cassandra.port if store == "cassandra" else self.servers.mongo.port
        found = count(port, SPACE, table, "id")
        if found != (wanted, wanted):
            sys.exit(f"bench: {who}: {found[0]} rows with {found[1]} ids in {store}, not {wanted}")

    def drop(self, store, table):
        """What was counted makes room; a dropped table is not compacted beside the next run."""
        if store == "cassandra":
            with contextlib.closing(look.Cassandra(self.servers.cassandra.port)) as server:
                list(server.rows(f'DROP TABLE "{SPACE}"."{table}"'))
        else:
            with contextlib.closing(look.Mongo(self.servers.mongo.port)) as server:
                server.call(SPACE, {"drop": table})

    # ---- one store ----

    def noop_cpu(self):
        """Of the same query without a store: source, projection, epochs, log."""
        if self.baseline is None:
            text = ROWS.format(rows=self.rows) + "CREATE STREAMING TABLE t USING noop AS SELECT * FROM STREAM r;\n"
            self.baseline = statistics.median(self.leat_run("noop", text).cpu_s for _ in range(3))
            tell(f"noop: {1e6 * self.baseline / self.rows:.2f} µs of CPU a row")
        return self.baseline

    def sink(self, measure, table):
        if measure == "cassandra":
            return (f"USING cassandra TBLPROPERTIES (host = '127.0.0.1', port = '{self.servers.cassandra.port}', keyspace = '{SPACE}', "
                    f"`table` = '{table}', key = 'id', 'leat.create' = 'true')")
        key = ", key = 'id'" if measure == "upsert" else ""
        return f"USING mongodb TBLPROPERTIES ('connection.uri' = '{self.servers.uri}', database = '{SPACE}', collection = '{table}'{key})"

    def raw(self, measure, table):
        if measure == "cassandra":
            where = ["--host", "127.0.0.1", "--port", self.servers.cassandra.port]
            answer = self.program("cql_tool", *where, "load", f"{SPACE}.{table}", self.rows, CQL_BATCH)
            return dict(answer, wall_s=answer["seconds"], cpu_s=answer["client_cpu_us_per_row"] * self.rows / 1e6)
        return self.program("mongo_raw", measure, self.servers.uri, SPACE, table, self.rows)

    def measure_store(self, measure):
        store = "cassandra" if measure == "cassandra" else "mongo"
        shown = "cassandra" if measure == "cassandra" else "mongodb"
        self.noop_cpu()
        raws, runs = [], []
        for turn in range(self.options.runs + 1):  # the first of each warms the server's compiler up
            table = f"raw_{measure}_{turn}"
            raws.append(self.raw(measure, table))
            self.expect_count("the raw client", shown, table, self.rows)
            self.drop(store, table)
            table = f"leat_{measure}_{turn}"
            text = ROWS.format(rows=self.rows) + f"CREATE STREAMING TABLE t {self.sink(measure, table)} AS SELECT * FROM STREAM r;\n"
            runs.append(self.leat_run(measure, text))
            self.expect_count("leat", shown, table, self.rows)
            self.drop(store, table)
            tell(f"{measure} {turn}: raw {self.rows / raws[-1]['wall_s']:,.0f} rows/s, leat {self.rows / runs[-1].wall_s:,.0f} rows/s; server "
                 f"{raws[-1]['servers_cpu_s'][store] / raws[-1]['wall_s']:.2f} and {runs[-1].servers_cpu_s[store] / runs[-1].wall_s:.2f} cores")
        raws, runs = raws[1:], runs[1:]
        raw_rate, rate = (self.rows / statistics.median(walls) for walls in ([r["wall_s"] for r in raws], [r.wall_s for r in runs]))
        cpu = (statistics.median(r.cpu_s for r in runs) - self.noop_cpu()) / self.rows * 1e6
        self.results[measure] = {
            "raw": raw_rate, "leat": rate, "share": rate / raw_rate, "cpu_us": cpu,
            "whole_us": statistics.median(r.cpu_s for r in runs) / self.rows * 1e6,
            "raw_cpu_us": statistics.median(r["cpu_s"] for r in raws) / self.rows * 1e6,
            "server_cores": statistics.median(r.servers_cpu_s[store] / r.wall_s for r in runs), "peak_mb": max(r.peak_mb for r in runs)}

    # ---- the pipeline ----

    def fill_users(self):
        self.servers.kafka.script("topic", self.servers.kafka.folder, "users", 2)
        command = [os.path.join(self.options.programs, "fill"), self.servers.brokers, "users", "users", str(self.users)]
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=600)
        if out.returncode != 0:
            sys.exit(f"bench: {' '.join(command)}: {out.stderr.strip()}")

    def measure_pipeline(self):
        self.fill_users()
        runs = []
        for turn in range(self.options.runs + 1):
            space = f"{SPACE}_{turn}"
            run = self.leat_run("pipeline", real.text_of_full(space), *self.servers.settings("users"))
            counts = (look.count_cassandra(self.servers.cassandra.port, space, real.COLLECTION, "id"),
                      look.count_mongodb(self.servers.mongo.port, space, real.COLLECTION, "id"))
            if set(counts) != {(self.users, self.users)}:
                sys.exit(f"bench: pipeline: rows and ids {counts}, not {self.users}")
            runs.append(run)
            tell(f"pipeline {turn}: {self.users / run.wall_s:,.0f} users/s; leat {run.cpu_s:.1f} s of CPU, servers "
                 + ", ".join(f"{name} {cpu:.1f}" for name, cpu in run.servers_cpu_s.items()))
        runs = runs[1:]
        median = sorted(runs, key=lambda r: r.cpu_s / sum(r.servers_cpu_s.values()))[len(runs) // 2]
        self.results["pipeline"] = {"leat": self.users / statistics.median(r.wall_s for r in runs), "cpu_s": median.cpu_s,
                                    "servers": median.servers_cpu_s, "engine": median.cpu_s / sum(median.servers_cpu_s.values()), "peak_mb": max(r.peak_mb for r in runs)}

    def measure_peer(self):
        """PySpark with its connectors, the second of two runs; the first warms it up."""
        peer = store_engines.SparkStores(self.servers.brokers, os.path.abspath(self.options.cache), self.folder, os.cpu_count())
        try:
            peer.fetch()
            spaces = [f"spark_{turn}" for turn in range(2)]
            before = self.servers_cpu()
            used = peer.run_stores(spaces, self.users_select(), self.servers.cassandra.port, self.servers.uri, "users")
            after = self.servers_cpu()
            for space in spaces:
                counts = (look.count_cassandra(self.servers.cassandra.port, space, real.COLLECTION, "id"),
                          look.count_mongodb(self.servers.mongo.port, space, real.COLLECTION, "id"))
                if set(counts) != {(self.users, self.users)}:
                    sys.exit(f"bench: {peer.label}: rows and ids {counts}, not {self.users}")
            cpu_s, wall_s = used[-1]
            servers = sum(after.values()) - sum(before.values())
            self.results["peer"] = {"label": peer.label, "leat": self.users / wall_s, "cpu_s": cpu_s, "engine": sum(c for c, _ in used) / servers}
            tell(f"{peer.label}: {self.users / wall_s:,.0f} users/s, {cpu_s:.1f} s of CPU")
        except engines.Unavailable as why:
            tell(f"no {peer.label}: {why}")
            self.results["peer"] = {"label": peer.label, "why": str(why)}

    @staticmethod
    def users_select():
        with open(real.FULL, encoding="utf-8") as file:
            return re.search(r"CREATE TEMPORARY VIEW users AS\n(.*?);\n", file.read(), re.S).group(1)

    # ---- the table ----

    def print_table(self, load_before):
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            model = re.search(r"^model name\s*: (.*)$", file.read(), re.M)
        others = 100 * self.others_s / max(self.wall_s, 1e-9) / os.cpu_count()
        now = datetime.datetime.now(datetime.timezone.utc)
        print(f"{now:%Y-%m-%d %H:%M} UTC, {model.group(1) if model else 'an unnamed processor'}, {os.cpu_count()} cores shared with the "
              f"servers, Kafka 4.4.0, Cassandra 5.0.9, MongoDB 8.2.0, {self.options.runs} runs each after one to warm up; load average {load_before:.1f} before, "
              f"{os.getloadavg()[0]:.1f} after; other processes had {others:.0f} % of the machine while leat ran\n")
        under = []
        names = {"cassandra": f"{self.rows:,} rows of four columns → Cassandra", "insert": f"{self.rows:,} documents → MongoDB, insert",
                 "upsert": f"{self.rows:,} documents → MongoDB, upsert by key"}
        if set(names) & set(self.results):
            print("| what | leat, rows/s | raw client, rows/s | share | at least | | CPU a row above noop (whole process; raw client) | at most | | "
                  "server, cores | memory |")
            print("|---|---|---|---|---|---|---|---|---|---|---|")
        for measure in [m for m in names if m in self.results]:
            r = self.results[measure]
            verdicts = ["ok" if r["share"] >= WANTED_SHARE[measure] else "UNDER", "ok" if r["cpu_us"] <= WANTED_CPU_US[measure] else "OVER"]
            under += [measure] * (verdicts != ["ok", "ok"])
            cells = [names[measure], f"{r['leat']:,.0f}", f"{r['raw']:,.0f}", f"{100 * r['share']:.0f} %", f"{100 * WANTED_SHARE[measure]:.0f} %", verdicts[0],
                     f"{r['cpu_us']:.2f} µs ({r['whole_us']:.2f}; {r['raw_cpu_us']:.2f})", f"{WANTED_CPU_US[measure]} µs", verdicts[1],
                     f"{r['server_cores']:.2f}", f"{r['peak_mb']:.0f} MB"]
            print("| " + " | ".join(cells) + " |")
        if "pipeline" in self.results:
            r = self.results["pipeline"]
            verdict = "ok" if r["engine"] <= WANTED_ENGINE else "OVER"
            under += ["pipeline"] * (verdict != "ok")
            print(f"\n| {self.users:,} users, Kafka → Cassandra + MongoDB + three views | users/s | engine's CPU | servers' CPU | engine / servers "
                  "| at most | |")
            print("|---|---|---|---|---|---|---|")
            each = ", ".join(f"{name} {cpu:.1f}" for name, cpu in r["servers"].items())
            print(f"| leat | {r['leat']:,.0f} | {r['cpu_s']:.1f} s | {sum(r['servers'].values()):.1f} s ({each}) | "
                  f"{100 * r['engine']:.0f} % | {100 * WANTED_ENGINE:.0f} % | {verdict} |")
            peer = self.results.get("peer")
            if peer and "why" in peer:
                print(f"| {peer['label']} | not to be had | | | | | |")
            elif peer:
                print(f"| {peer['label']} | {peer['leat']:,.0f} | {peer['cpu_s']:.1f} s | | {100 * peer['engine']:.0f} % | | |")
        print("\n" + (f"not what is asked: {', '.join(under)}" if under else "everything that is asked holds"))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--leat", required=True)
    parser.add_argument("--cache", required=True)
    parser.add_argument("--programs", required=True)
    parser.add_argument("--runs", type=int)
    parser.add_argument("--rows", type=int, help="rows of the lines that measure one store")
    parser.add_argument("--users", type=int, help="users of the pipeline")
    parser.add_argument("--quick", action="store_true", help="a tenth of the rows, one run each")
    parser.add_argument("--peers", action="store_true", help="PySpark with its connectors too, fetched by name")
    parser.add_argument("--wait-idle", type=float, default=5, metavar="SECONDS", help="wait so long at most, before each run, for an idle machine")
    parser.add_argument("--only", default=",".join(MEASURES))
    options = parser.parse_args()
    options.only = options.only.split(",")
    options.runs = options.runs or (1 if options.quick else 3)
    if set(options.only) - set(MEASURES):
        parser.error(f"--only knows {', '.join(MEASURES)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    load = os.getloadavg()[0]
    folder = tempfile.mkdtemp(prefix="leat-stores-")
    os.chmod(folder, 0o755)
    bench = Bench(options, folder)
    try:
        bench.start()
        for measure in options.only:
            if measure == "pipeline":
                bench.measure_pipeline()
            else:
                bench.measure_store(measure)
        if options.peers and "pipeline" in options.only:
            bench.measure_peer()
        bench.print_table(load)
    except (real.Failure, real.Skip) as e:
        sys.exit(f"bench: {e}")
    finally:
        bench.servers.close()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
