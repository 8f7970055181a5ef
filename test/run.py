#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tests of leat, group by group.

    run.py check|test|long [GROUP ...]        groups: see GROUPS below; without one, those of the tier

`check`: unit and golden tests on the release build, under a minute. `test`: everything. `long`: the same with kills and fuzzing for an
hour. Prints each group's counts and time, the output of what failed, and last one line: `N passed, N failed, N skipped`. Builds share
object files: build/ (gcc, release), build/asan (clang: address, undefined, fuzzer hooks), build/tsan (clang), build/clang (release flags).
"""
import concurrent.futures
import contextlib
import difflib
import glob
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
JOBS = len(os.sched_getaffinity(0))
BUILD = os.environ.get("BUILD", "build")
ASAN, TSAN, CLANG = f"{BUILD}/asan", f"{BUILD}/tsan", f"{BUILD}/clang"
SANITIZER_ENVIRONMENT = {
    "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:allocator_may_return_null=1:handle_abort=1",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": f"halt_on_error=1:second_deadlock_stack=1:suppressions={ROOT}/test/tsan.supp",
}
TIMEOUT_S = 900
DRIVER_TIMEOUT_S = 3600  # of a test driver: minutes on an idle machine


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def __iadd__(self, other):
        self.passed, self.failed, self.skipped = self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped
        return self

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def run(command, extra=None, timeout=TIMEOUT_S, **more):
    """(exit status, both outputs as text); a process that outlives its time is a failure."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", **SANITIZER_ENVIRONMENT, **(extra or {}))
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "LEAT_FAILPOINT"):
        environment.pop(name, None)
    try:
        out = subprocess.run(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=timeout, check=False, **more)
        return out.returncode, out.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        return 124, (e.stdout or b"").decode("utf-8", "replace") + f"\nstill running after {timeout} s\n"


def show(title, text, lines=60):
    kept = text.rstrip("\n").split("\n")
    cut = len(kept) - lines
    print(f"---- {title}" + (f" (the last {lines} of {len(kept)} lines)" if cut > 0 else ""))
    print("\n".join(kept[-lines:]), flush=True)


def build(folder, *targets, **flags):
    """One pass is one test: it builds without a warning."""
    command = ["make", "-s", f"-j{JOBS}", f"BUILD={folder}", "WERROR=1"] + [f"{k}={v}" for k, v in flags.items()] + list(targets)
    status, text = run(command, timeout=1800)
    if status:
        show(" ".join(command), text)
    return Counts(1, 0) if status == 0 else Counts(0, 1)


def build_release(*targets):
    return build(BUILD, *targets)


def build_asan():
    return build(ASAN, f"{ASAN}/leat", f"{ASAN}/function_examples", "unit", "fuzzers", CC="clang", OPTIMIZE="-O1", SANITIZE="address,undefined,fuzzer-no-link")


def in_parallel(work, items):
    total = Counts()
    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        for counts in pool.map(work, items):
            total += counts
    return total


def unit_test(path, extra=None):
    """A cmocka program: its tests are counted one by one."""
    status, text = run([path], extra)
    passed = sum(int(n) for n in re.findall(r"^\[  PASSED  \] (\d+) test", text, re.M))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] (\d+) test", text, re.M))
    skipped = sum(int(n) for n in re.findall(r"^\[  SKIPPED \] (\d+) test", text, re.M))
    if status and not failed or not passed + failed:
        failed += 1  # died, or tested nothing
    if failed:
        show(f"{path}: exit {status}", text)
    return Counts(passed, failed, skipped)


def unit_names():
    return sorted(os.path.basename(p)[:-2] for p in glob.glob(os.path.join(ROOT, "test/unit/*_test.c")))


def golden_test(leat, files, extra=None):
    status, text = run([leat, "test", "--quiet"] + files, extra)
    totals = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M)
    counts = Counts(*(int(n) for n in totals[-1])) if totals else Counts(0, 1)
    if status and not counts.failed or not counts.passed + counts.failed + counts.skipped:
        counts.failed += 1
    if counts.failed:
        show(f"{leat} test {' '.join(files)}: exit {status}", text)
    return counts


def golden_files():
    return sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "test/sql/**/*.test"), recursive=True))


def function_examples(folder):
    status, text = run([f"{folder}/function_examples"])
    path = os.path.join(ROOT, folder, "function_examples.test")
    with open(path, "w", encoding="utf-8") as f:
        f.write(text)
    if status:
        show("function_examples", text)
        return Counts(0, 1)
    return golden_test(f"{folder}/leat", [os.path.relpath(path, ROOT)])


def group_unit(_tier):
    total = build_release("all", "unit", f"{BUILD}/function_examples")
    return in_parallel_onto(total, lambda name: unit_test(f"{BUILD}/test/{name}"), unit_names())


def in_parallel_onto(total, work, items):
    total += in_parallel(work, items)
    return total


def group_sql(_tier):
    total = build_release("all", f"{BUILD}/function_examples")
    total += function_examples(BUILD)
    return in_parallel_onto(total, lambda f: golden_test(f"{BUILD}/leat", [f]), golden_files())


def group_examples(_tier):
    """Every file of examples/ checks, offline; the demo's tables add up."""
    total = Counts()
    files = sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(ROOT, "examples/**/*.sql"), recursive=True))
    for path in files:
        for flags in ([], ["--portable"]):
            status, text = run([f"{BUILD}/leat", "check", *flags, path])
            total += Counts(1, 0) if status == 0 else Counts(0, 1)
            if status:
                show(f"leat check {' '.join(flags)} {path}: exit {status}", text)
    if not files:
        show("examples", "no example was found")
        total.failed += 1
    total += all_mistakes_at_once()
    total += demo_adds_up()
    total += json_formats()
    return total


def all_mistakes_at_once():
    """One mistake of each kind: all are reported in one run, with condition, SQLSTATE, place and hint."""
    status, text = run([f"{BUILD}/leat", "check", "test/check/wrong.sql"])
    with open(os.path.join(ROOT, "test/check/wrong.expected"), encoding="utf-8") as f:
        expected = f.read()
    if status == 3 and text == expected:
        return Counts(1, 0)
    show(f"leat check test/check/wrong.sql: exit {status}, expected 3", "".join(difflib.unified_diff(expected.splitlines(True), text.splitlines(True), "expected", "got")))
    return Counts(0, 1)


def demo_adds_up():
    """The users example: users = the sum over nationalities, made = users + dead, and a second run adds nothing."""
    folder = tempfile.mkdtemp(prefix="leat-demo-")
    try:
        command = [f"{BUILD}/leat", "run", "examples/users/users.sql", "--data", f"{folder}/data", "--available-now", "--set", "rows=20000", "--set", "rate=0"]
        for _ in range(2):
            status, text = run(command)
            if status:
                show(" ".join(command) + f": exit {status}", text)
                return Counts(0, 1)
        with contextlib.closing(sqlite3.connect(f"{folder}/data/leat.db")) as db:
            users, total, dead, unbalanced = (db.execute(q).fetchone()[0] for q in (
                "select count(*) from user_informations", "select sum(users) from users_by_nationality", "select count(*) from leat_dead",
                "select sum(input - passed - filtered - absorbed - merged - late - dead - null_time) from leat_ledger"))
        if users == total and users + dead == 20000 and 0 < dead < 200 and unbalanced == 0:
            return Counts(1, 0)
        show("examples/users", f"users {users}, sum over nationalities {total}, dead {dead}, unbalanced {unbalanced}")
        return Counts(0, 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def json_formats():
    """A json table's date and timestamp patterns: what fits is read as Spark 4.2 reads it, what does not is a dead row."""
    folder = tempfile.mkdtemp(prefix="leat-json-")
    try:
        with open(f"{folder}/f.jsonl", "w", encoding="utf-8") as f:
            f.write('{"d":"31/01/2024","t":"31.01.2024 10-05","n":1}\n{"d":"2024-01-31","t":"2024-01-31 10:05:00","n":2}\n')
        with open(f"{folder}/f.sql", "w", encoding="utf-8") as f:
            f.write("CREATE TABLE f (d DATE, t TIMESTAMP, n INT) USING json OPTIONS (path 'f.jsonl', dateFormat 'dd/MM/yyyy', timestampFormat 'dd.MM.yyyy HH-mm');\n"
                    "CREATE STREAMING TABLE o AS SELECT * FROM STREAM f;\n")
        status, text = run([f"{BUILD}/leat", "run", f"{folder}/f.sql", "--available-now", "--quiet"])
        found = None
        if status == 0:
            with contextlib.closing(sqlite3.connect(f"{folder}/leat-data/leat.db")) as db:
                found = db.execute("select * from o").fetchall(), db.execute("select offset from leat_dead").fetchall()
        if found == ([("2024-01-31", "2024-01-31 10:05:00", 1)], [(48,)]):
            return Counts(1, 0)
        show(f"json formats: exit {status}", f"{text}\n{found}")
        return Counts(0, 1)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def group_asan(_tier):
    total = build_asan()
    total += function_examples(ASAN)
    total += in_parallel(lambda name: unit_test(f"{ASAN}/test/{name}"), unit_names())
    return in_parallel_onto(total, lambda f: golden_test(f"{ASAN}/leat", [f]), golden_files())


def run_pipeline(leat, threads):
    """A pipeline with several workers under a sanitizer; what it wrote is counted."""
    with tempfile.TemporaryDirectory(prefix="leat-test-") as folder:
        text = os.path.join(folder, "pipeline.sql")
        shutil.copy(os.path.join(ROOT, "test/crash/pipeline.sql"), text)
        status, out = run([leat, "run", text, "--available-now", "--threads", str(threads), "--set", "rows=20000", "--set", "rate=00000", "--set", f"other={folder}/other.db"])
        status2, rows = run([leat, "sql", "--data", os.path.join(folder, "leat-data"), "--format", "csv", "-q", "SELECT count(*) AS n FROM people"])
        good = status == 0 and status2 == 0 and re.search(r"^1\d{4}$", rows, re.M)
        if not good:
            show(f"{leat} run --threads {threads}: exit {status}, then {status2}", out + rows)
        return Counts(1, 0) if good else Counts(0, 1)


def group_tsan(_tier):
    names = [n for n in unit_names() if n.startswith(("base", "exec", "stream", "http", "kafka", "cql_session"))]
    total = build(TSAN, f"{TSAN}/leat", *[f"{TSAN}/test/{n}" for n in names], CC="clang", OPTIMIZE="-O1", SANITIZE="thread")
    total += in_parallel(lambda name: unit_test(f"{TSAN}/test/{name}"), names)
    for threads in (2, 4):
        total += run_pipeline(f"{TSAN}/leat", threads)
    return total


def script(path, *arguments, timeout=DRIVER_TIMEOUT_S):
    """A test program of ours that closes with the line of counts. What it left out is shown, too."""
    command = [sys.executable, path, *arguments]
    status, text = run(command, timeout=timeout)
    totals = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M)
    counts = Counts(*map(int, totals[-1])) if totals else Counts(0, 1)
    if status and not counts.failed:
        counts.failed += 1
    if counts.failed or counts.skipped:
        show(f"{' '.join(command)}: exit {status}", text, 300)
    return counts


def group_differential(tier):
    """Random queries and pipelines against SQLite; one seed, or many."""
    total = build_release("all")
    for seed in range(1, 41 if tier == "long" else 2):
        total += script("test/differential/run.py", f"{BUILD}/leat", "--seed", str(seed), "--queries", "300")
    return total


def group_crash(tier):
    total = build_release("all")
    total += script("test/crash/crash.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []), timeout=7200 if tier == "long" else DRIVER_TIMEOUT_S)
    return total


def group_streaming(tier):
    """Event time: every case against what a real Spark answered, and random streams against the batch query."""
    total = build_release("all")
    total += script("test/streaming/streaming_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []))
    return total


def group_inspect(_tier):
    """A data folder read without owning it: state, checkpoints, and whether a changed text may go on."""
    total = build_release("all")
    total += script("test/inspect/inspect_test.py", "--leat", f"{BUILD}/leat")
    return total


def group_control(_tier):
    """The socket of a running pipeline, and a sink that does not answer."""
    total = build_release("all")
    total += script("test/control/control.py", "--leat", f"{BUILD}/leat")
    return total


def group_http(tier):
    """A polled URL whose server misbehaves in every way."""
    total = build_release("all")
    total += script("test/http/http_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []))
    return total


def group_kafka(tier):
    """Real brokers. What a machine cannot have is skipped, in sight and counted; with CI set it is a failure."""
    total = build_release("all")
    total += script("test/kafka/kafka_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []), timeout=4 * 3600 if tier == "long" else DRIVER_TIMEOUT_S)
    return total


def group_cassandra(tier):
    """A real Cassandra, alone and three nodes."""
    total = build_release("all", f"{BUILD}/cql_tool")
    total += script("test/cassandra/cassandra_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []), timeout=4 * 3600 if tier == "long" else DRIVER_TIMEOUT_S)
    return total


def group_mongodb(tier):
    """A real MongoDB: replica set, alone, with TLS and passwords."""
    total = build_release("all")
    total += script("test/mongodb/mongodb_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []), timeout=4 * 3600 if tier == "long" else DRIVER_TIMEOUT_S)
    return total


def group_pipeline(tier):
    """Kafka, Cassandra and MongoDB together; the demonstration, compose.yaml, the image (where Docker runs)."""
    total = build_release("all")
    total += script("test/pipeline/pipeline_test.py", "--leat", f"{BUILD}/leat", *(["--long"] if tier == "long" else []))
    return total


def fuzz(name, seconds, seed):
    corpus, found = os.path.join(ROOT, ASAN, "corpus", name), os.path.join(ROOT, ASAN, "found", name)
    seeds = make_seeds(name)
    os.makedirs(corpus, exist_ok=True)
    os.makedirs(found, exist_ok=True)
    command = [f"{ASAN}/fuzz/{name}", f"-max_total_time={seconds}", f"-seed={seed}", "-timeout=20", "-rss_limit_mb=2048", "-max_len=16384", "-print_final_stats=1",
               f"-artifact_prefix={found}/", corpus, seeds]
    status, text = run(command, timeout=seconds + 300)
    executed = re.search(r"stat::number_of_executed_units: (\d+)", text)
    good = status == 0 and executed and int(executed.group(1)) > 100
    if not good:
        show(f"{' '.join(command)}: exit {status}", text)
    return Counts(1, 0) if good else Counts(0, 1)


def make_seeds(name):
    """What the tests already hold, one input a file; the first byte chooses options."""
    folder = os.path.join(ROOT, ASAN, "seeds", name)
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    inputs = []
    texts = [open(os.path.join(ROOT, f), encoding="utf-8", errors="replace").read() for f in golden_files()]
    if name == "fuzz_sql":
        texts += [open(p, encoding="utf-8").read() for p in glob.glob(os.path.join(ROOT, "examples/**/*.sql"), recursive=True)]
        inputs = [q for t in texts for q in re.findall(r"^(?:query|statement)\n((?:.+\n)+)", t, re.M)][:2000] + texts[-3:]
    elif name == "fuzz_json":
        inputs = [j for t in texts for j in re.findall(r"'([\[{][^'\n]*[\]}])'", t)][:2000]
    elif name == "fuzz_log":
        inputs = log_seeds()
    for i, text in enumerate(inputs):
        body = text if isinstance(text, bytes) else b"\x00" + text.encode("utf-8", "replace")
        with open(os.path.join(folder, f"{i:05d}"), "wb") as f:
            f.write(body)
    return folder


def log_seeds():
    """A log that a run made: as files, and its records one after the other."""
    with tempfile.TemporaryDirectory(prefix="leat-test-") as folder:
        sql = os.path.join(folder, "seed.sql")
        with open(sql, "w", encoding="utf-8") as f:
            f.write("CREATE TABLE m USING generator OPTIONS (numRows '500', partitions '2');\n"
                    "CREATE MATERIALIZED VIEW v AS SELECT partition, count(*) AS n FROM m GROUP BY partition;\n")
        data = os.path.join(folder, "d")
        run([f"{BUILD}/leat", "run", sql, "--data", data, "--available-now", "--quiet"])
        newest = sorted(glob.glob(data + "/log/*.journal"))
        if not newest:
            return []
        journal = open(newest[-1], "rb").read()
        snapshot = open(newest[-1].replace(".journal", ".snapshot"), "rb").read()
        seeds = [b"\x00" + len(snapshot).to_bytes(4, "little") + snapshot + journal]
        for image in (journal, snapshot):
            at, records = 40, b""
            while at + 20 <= len(image):
                length = int.from_bytes(image[at + 4:at + 8], "little")
                payload = image[at + 20:at + 20 + length]
                if length < 65536:
                    records += image[at:at + 1] + length.to_bytes(2, "little") + payload
                at += 20 + length
            seeds.append(b"\x01" + records)
        return seeds


def group_fuzz(tier):
    seed = os.environ.get("FUZZ_SEED", "0" if tier == "long" else "1")  # 0: another one each time
    seconds = int(os.environ.get("FUZZ_SECONDS", "1200" if tier == "long" else "20"))
    total = build_asan()
    total += build_release("all")
    names = sorted(os.path.basename(p)[:-2] for p in glob.glob(os.path.join(ROOT, "test/fuzz/fuzz_*.c")))
    with concurrent.futures.ThreadPoolExecutor(len(names)) as pool:
        for counts in pool.map(lambda n: fuzz(n, seconds, seed), names):
            total += counts
    return total


def group_clang(_tier):
    return build(CLANG, "all", CC="clang")


def group_tidy(_tier):
    status, text = run([sys.executable, "tools/tidy.py"])
    if status:
        show("tidy", text)
    return Counts(1, 0) if status == 0 else Counts(0, 1)


GROUPS = {"unit": group_unit, "sql": group_sql, "examples": group_examples, "tidy": group_tidy, "clang": group_clang, "asan": group_asan,
          "tsan": group_tsan, "differential": group_differential, "crash": group_crash, "streaming": group_streaming, "inspect": group_inspect, "control": group_control,
          "http": group_http, "kafka": group_kafka, "mongodb": group_mongodb, "cassandra": group_cassandra,
          "pipeline": group_pipeline, "fuzz": group_fuzz}
TIERS = {"check": ["unit", "sql", "examples"], "test": list(GROUPS), "long": list(GROUPS)}


def main():
    arguments = sys.argv[1:] or ["test"]
    if arguments[0] not in TIERS or any(g not in GROUPS for g in arguments[1:]):
        print(__doc__, file=sys.stderr)
        return 2
    total, begin = Counts(), time.monotonic()
    for name in arguments[1:] or TIERS[arguments[0]]:
        at = time.monotonic()
        try:
            counts = GROUPS[name](arguments[0])
        except OSError as e:
            show(name, str(e))
            counts = Counts(0, 1)
        total += counts
        print(f"{name:10} {time.monotonic() - at:7.1f} s   {counts}", flush=True)
    print(f"{'all':10} {time.monotonic() - begin:7.1f} s")
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
