#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real MongoDB servers and an independent client.

    mongodb_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--server KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `replica` (a replica set of one), `standalone` (no transactions), `secured` (TLS, passwords); one is up at a time. Everything a test waits
for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the client cannot be had the tests are
skipped and counted; with CI set that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kafka"))
import kafka_test  # noqa: E402
from harness import ROOT, Failure, Skip, expect  # noqa: E402

sys.path.insert(0, HERE)  # kafka_test puts its own folder first; a module of ours may have a name of its own

KINDS = ("replica", "standalone", "secured")


def suites():
    import lifecycle
    import values
    return [values.Values, lifecycle.Lifecycle, lifecycle.Access]


def tests_for(kind, options):
    found = []
    for suite in suites():
        for name in sorted(n for n in dir(suite) if n.startswith("test_")):
            if kind in getattr(getattr(suite, name), "kinds", ("replica",)) and (not options.names or name[5:] in options.names):
                found.append((suite, name))
    return found


class Runner(kafka_test.Runner):
    def say(self, word, kind, name, seconds, note):
        print(f"{word:8}{kind:11}{name:29}{seconds:6.1f} s   {note or ''}", flush=True)

    def run_kind(self, kind):
        from server import Server
        tests = tests_for(kind, self.options)
        if not tests:
            return
        server = Server(os.path.join(self.root, f"mongo-{kind}"), kind)
        try:
            try:
                print(f"{server}: {server.start()}", flush=True)
            except Skip as e:
                self.cannot(kind, [n[5:] for _, n in tests], str(e))
                return
            made = {}
            for suite, name in tests:
                if suite not in made:
                    made[suite] = suite(self.options, self.root, server)
                self.run_test(made[suite], kind, name)
        except Failure as e:
            self.failed += 1
            self.say("FAILED", kind, str(server), 0, str(e))
        except Exception:  # of the test program
            self.failed += 1
            self.say("FAILED", kind, str(server), 0, traceback.format_exc())
        finally:
            server.close()


def read_options():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(ROOT, "build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument("--server", choices=KINDS, action="append", help="only servers of this kind")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    return options


def main():
    options = read_options()
    kafka_test.REQUIREMENTS = os.path.join(HERE, "requirements.txt")
    try:
        python = kafka_test.client_python()
        if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
            os.execv(python, [python, os.path.abspath(__file__), *sys.argv[1:]])
    except Skip as e:
        in_ci = bool(os.environ.get("CI"))
        print(f"{'FAILED' if in_ci else 'skipped':8}everything: {e}\n0 passed, {int(in_ci)} failed, {int(not in_ci)} skipped")
        return int(in_ci)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = tempfile.mkdtemp(prefix="leat-mongodb-")
    os.chmod(root, 0o755)  # the server does not run as root
    print(f"seed {options.seed}", flush=True)
    runner, begin = Runner(options, root), time.monotonic()
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
    print(f"{time.monotonic() - begin:.0f} s")
    print(f"{runner.passed} passed, {runner.failed} failed, {runner.skipped} skipped")
    return 1 if runner.failed or not runner.passed + runner.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
