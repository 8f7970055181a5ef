#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real Cassandra servers and the official Python driver.

    cassandra_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--server KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `one` (a node without a login), `login` (login and TLS), `ring` (three nodes at 127.0.0.1 to 3); one is up at a time. Everything a test
waits for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the driver cannot be had the
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
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "kafka")]  # harness, proxy
from harness import ROOT, Failure, Skip, expect  # noqa: E402

CACHE = os.environ.get("SERVERS_CACHE", os.path.join(ROOT, "cache"))
REQUIREMENTS = os.path.join(HERE, "requirements.txt")
KINDS = {"one": {}, "login": {"auth": True, "tls": "1"}, "ring": {"nodes": 3}}


def driver_python():
    """A Python that has the driver: a virtual environment in the cache, made once for each version of requirements.txt."""
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
        for command in ([sys.executable, "-m", "venv", folder],
                        [python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:", "--require-hashes",
                         "-r", REQUIREMENTS]):
            try:
                out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
            except (OSError, subprocess.TimeoutExpired) as e:
                raise Skip(f"the driver cannot be had: {e}") from e
            if out.returncode:
                last = out.stdout.decode("utf-8", "replace").strip().split("\n")[-1]
                raise Skip(f"the driver cannot be had: {' '.join(command[1:4])}: {last}")
        with open(os.path.join(folder, "complete"), "w", encoding="ascii"):
            pass
    return python


def suites():
    import kills
    import login
    import outages
    import owners
    import refusals
    import ring
    import sources
    import values
    import views
    return [values.Values, views.Views, sources.Sources, refusals.Refusals, kills.Kills, owners.Owners, outages.Outages, login.Login, ring.Ring]


def tests_for(kind, options):
    """[(suite, method's name)] of one kind of server."""
    found = []
    for suite in suites():
        for name in sorted(n for n in dir(suite) if n.startswith("test_")):
            if kind in getattr(getattr(suite, name), "servers", ("one",)) and (not options.names or name[5:] in options.names):
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
        from server import Server
        tests = tests_for(kind, self.options)
        if not tests:
            return
        server = Server(os.path.join(self.root, f"cassandra-{kind}"), **KINDS[kind])
        begin = time.monotonic()
        try:
            try:
                print(f"{server}: {server.start()}", flush=True)
            except Skip as e:
                self.cannot(kind, [n[5:] for _, n in tests], str(e))
                return
            made = {}
            for suite, name in tests:
                if suite not in made:
                    made[suite] = suite(self.options, self.root, random.Random(), server, kind)
                self.run_test(made[suite], kind, name)
        except Failure as e:
            self.failed += 1
            self.say("FAILED", kind, str(server), 0, str(e))
        finally:
            server.close()
        print(f"        {kind}: {len(tests)} tests in {time.monotonic() - begin:.0f} s", flush=True)

    def run_test(self, suite, kind, name):
        suite.random = random.Random(f"{self.options.seed} {kind} {name}")
        begin = time.monotonic()
        try:
            suite.begin(name[5:])
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
    parser.add_argument("--server", choices=list(KINDS), action="append", help="only servers of this kind")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    try:
        python = driver_python()
        if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
            os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    except Skip as e:
        in_ci = bool(os.environ.get("CI"))
        print(f"{'FAILED' if in_ci else 'skipped':8}everything: {e}\n0 passed, {int(in_ci)} failed, {int(not in_ci)} skipped")
        return int(in_ci)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = tempfile.mkdtemp(prefix="leat-cassandra-")
    os.chmod(root, 0o755)  # the server does not run as root
    print(f"seed {options.seed}", flush=True)
    runner = Runner(options, root)
    try:
        expect(os.access(options.leat, os.X_OK), f"there is no {options.leat}")
        for kind in options.server or KINDS:
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
