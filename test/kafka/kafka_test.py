#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real Kafka brokers and an independent client.

    kafka_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--broker KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `one` (the newest Kafka, every listener), `old` (the oldest supported), `three` (three nodes); one is up at a time. Everything a test
waits for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the client cannot be had the
tests are skipped and counted; with CI set that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import fcntl
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
from harness import ROOT, Failure, Skip, expect  # noqa: E402

CACHE = os.environ.get("SERVERS_CACHE", os.path.join(ROOT, "cache"))
REQUIREMENTS = os.path.join(HERE, "requirements.txt")
NEWEST, OLDEST = "4.4.0", "3.9.2"
KINDS = {"one": (NEWEST, 1), "three": (NEWEST, 3), "old": (OLDEST, 1)}


def client_python():
    """A Python that has the independent client: a virtual environment in the cache, made once for each version of requirements.txt."""
    with open(REQUIREMENTS, "rb") as f:
        name = f"python-{sys.version_info[0]}.{sys.version_info[1]}-{hashlib.sha256(f.read()).hexdigest()[:12]}"
    folder = os.path.join(CACHE, name)
    python = os.path.join(folder, "bin/python")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(folder, "complete")):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        make_client(folder, python)
        with open(os.path.join(folder, "complete"), "w", encoding="ascii"):
            pass
    return python


def make_client(folder, python):
    """Networks have moments: pip gets three tries, with a line and a pause before the next."""
    problem = problem_of([sys.executable, "-m", "venv", folder])
    for pause_s in (5, 20, 0):
        problem = problem or problem_of([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:",
                                         "--require-hashes", "-r", REQUIREMENTS])
        if not problem:
            return
        if not pause_s or not os.path.exists(python):
            raise Skip(f"the independent client cannot be had: {problem}")
        print(f"the independent client: {problem}; again in {pause_s} s", flush=True)
        time.sleep(pause_s)
        problem = None


def problem_of(command):
    """What the command's last line says where it failed; None where it did not."""
    try:
        out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    last = out.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
    return f"{' '.join(command[1:4])}: {last}" if out.returncode else None


def suites():
    import commands
    import exchange
    import kills
    import lifecycle
    import load
    import offsets
    import outages
    import owners
    import poison
    import security
    return [exchange.Exchange, offsets.Offsets, lifecycle.Lifecycle, poison.Poison, kills.Kills, owners.Owners, security.Security, commands.Commands,
            outages.Outages, load.Load]


def tests_for(kind, options):
    """[(suite, method's name)] of one kind of broker."""
    found = []
    for suite in suites():
        for name in sorted(n for n in dir(suite) if n.startswith("test_")):
            kinds = set(getattr(getattr(suite, name), "brokers", ("one",)))
            if options.long and "one" in kinds:
                kinds.add("old")
            if kind in kinds and (not options.names or name[5:] in options.names):
                found.append((suite, name))
    return found


class Runner:
    def __init__(self, options, root):
        self.options, self.root = options, root
        self.passed = self.failed = self.skipped = 0

    def say(self, word, kind, name, seconds, note):
        print(f"{word:8}{kind:6}{name:34}{seconds:6.1f} s   {note}", flush=True)

    def cannot(self, kind, names, why):
        """A machine that lacks something: a failure where everything has to be there."""
        word = "FAILED" if os.environ.get("CI") else "skipped"
        for name in names:
            self.say(word, kind, name, 0, why)
        if word == "FAILED":
            self.failed += len(names)
        else:
            self.skipped += len(names)

    def run_kind(self, kind):
        from broker import Broker, folder_of
        from client import Client
        tests = tests_for(kind, self.options)
        if not tests:
            return
        version, nodes = KINDS[kind]
        broker = Broker(folder_of(self.root, f"kafka-{kind}"), version, nodes)
        try:
            try:
                print(f"{broker}: {broker.start()}", flush=True)
            except Skip as e:
                self.cannot(kind, [n[5:] for _, n in tests], str(e))
                return
            made = {}
            for suite, name in tests:
                if suite not in made:
                    made[suite] = suite(self.options, self.root, random.Random(), broker, Client(broker.direct), kind)
                self.run_test(made[suite], kind, name)
        except Failure as e:
            self.failed += 1
            self.say("FAILED", kind, str(broker), 0, str(e))
        finally:
            broker.close()

    def run_test(self, suite, kind, name):
        suite.random, suite.test = random.Random(f"{self.options.seed} {kind} {name}"), name[5:]
        begin = time.monotonic()
        try:
            note, word = getattr(suite, name)(), "ok"
            self.passed += 1
        except Skip as e:
            self.cannot(kind, [name[5:]], str(e))
            return
        except Failure as e:
            note, word = str(e), "FAILED"
            self.failed += 1
        except Exception:  # of the test itself
            note, word = traceback.format_exc(), "FAILED"
            self.failed += 1
        finally:
            suite.end()
        self.say(word, kind, name[5:], time.monotonic() - begin, note)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(ROOT, "build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument("--broker", choices=list(KINDS), action="append", help="only brokers of this kind")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    try:
        python = client_python()
        if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
            os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    except Skip as e:
        in_ci = bool(os.environ.get("CI"))
        print(f"{'FAILED' if in_ci else 'skipped':8}everything: {e}\n0 passed, {int(in_ci)} failed, {int(not in_ci)} skipped")
        return int(in_ci)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = tempfile.mkdtemp(prefix="leat-kafka-")
    os.chmod(root, 0o755)  # the broker does not run as root
    print(f"seed {options.seed}", flush=True)
    runner = Runner(options, root)
    try:
        expect(os.access(options.leat, os.X_OK), f"there is no {options.leat}")
        for kind in options.broker or KINDS:
            runner.run_kind(kind)
    except Failure as e:
        runner.failed += 1
        print(f"FAILED  {e}")
    finally:
        if options.keep:
            print(f"folders: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{runner.passed} passed, {runner.failed} failed, {runner.skipped} skipped")
    return 1 if runner.failed or not runner.passed + runner.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
