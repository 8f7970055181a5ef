# SPDX-License-Identifier: Apache-2.0
"""What the drivers of tests against real servers share: the independent client's Python, running and counting tests, options, the last line."""
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

from harness import ROOT, Failure, Skip, expect

CACHE = os.environ.get("SERVERS_CACHE", os.path.join(ROOT, "cache"))


def client_python(requirements):
    """A Python that has the independent client: a virtual environment in the cache, made once for each version of requirements.txt."""
    with open(requirements, "rb") as f:
        name = f"python-{sys.version_info[0]}.{sys.version_info[1]}-{hashlib.sha256(f.read()).hexdigest()[:12]}"
    folder = os.path.join(CACHE, name)
    python = os.path.join(folder, "bin/python")
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, name + ".lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(os.path.join(folder, "complete")):
            return python
        shutil.rmtree(folder, ignore_errors=True)
        make_client(folder, python, requirements)
        with open(os.path.join(folder, "complete"), "w", encoding="ascii"):
            pass
    return python


def make_client(folder, python, requirements):
    """Networks have moments: pip gets three tries, with a line and a pause before the next."""
    problem = problem_of([sys.executable, "-m", "venv", folder])
    for pause_s in (5, 20, 0):
        problem = problem or problem_of([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--only-binary=:all:",
                                         "--require-hashes", "-r", requirements])
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


class Runner:
    """Runs the tests of one kind of server after another. Its users say which there are, and how a server starts (run_kind)."""

    def __init__(self, options, root):
        self.options, self.root = options, root
        self.passed = self.failed = self.skipped = 0

    def say(self, word, kind, name, seconds, note):
        print(f"{word:8}{kind:6}{name:34}{seconds:6.1f} s   {note or ''}", flush=True)

    def cannot(self, kind, names, why):
        """A machine that lacks something: a failure where everything has to be there."""
        word = "FAILED" if os.environ.get("CI") else "skipped"
        for name in names:
            self.say(word, kind, name, 0, why)
        if word == "FAILED":
            self.failed += len(names)
        else:
            self.skipped += len(names)

    def run_test(self, suite, kind, name):
        suite.random, suite.test = random.Random(f"{self.options.seed} {kind} {name}"), name[5:]
        begin = time.monotonic()
        try:
            if hasattr(suite, "begin"):
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


def run_suite(suite_tests, kind, server, runner, make):
    """Starts a server, runs the tests on it, ends it. suite_tests: [(suite, method's name)]; make(suite): one of its objects."""
    begin = time.monotonic()
    try:
        try:
            print(f"{server}: {server.start()}", flush=True)
        except Skip as e:
            runner.cannot(kind, [n[5:] for _, n in suite_tests], str(e))
            return
        made = {}
        for suite, name in suite_tests:
            if suite not in made:
                made[suite] = make(suite)
            runner.run_test(made[suite], kind, name)
    except Failure as e:
        runner.failed += 1
        runner.say("FAILED", kind, str(server), 0, str(e))
    except Exception:  # of the test program
        runner.failed += 1
        runner.say("FAILED", kind, str(server), 0, traceback.format_exc())
    finally:
        server.close()
    print(f"        {kind}: {len(suite_tests)} tests in {time.monotonic() - begin:.0f} s", flush=True)


def read_options(doc, what, kinds):
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(ROOT, "build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument(f"--{what}", dest="kinds", choices=list(kinds), action="append", help=f"only {what}s of this kind")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    return options


def main(program, doc, what, kinds, runner_class):
    """The whole of a driver: options, the client's Python, a folder, all kinds, the counts. Returns the exit status."""
    options = read_options(doc, what, kinds)
    try:
        python = client_python(os.path.join(os.path.dirname(program), "requirements.txt"))
        if os.path.realpath(sys.prefix) != os.path.realpath(os.path.dirname(os.path.dirname(python))):
            os.execv(python, [python, program, *sys.argv[1:]])
    except Skip as e:
        in_ci = bool(os.environ.get("CI"))
        print(f"{'FAILED' if in_ci else 'skipped':8}everything: {e}\n0 passed, {int(in_ci)} failed, {int(not in_ci)} skipped")
        return int(in_ci)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = tempfile.mkdtemp(prefix=f"leat-{os.path.basename(os.path.dirname(program))}-")
    os.chmod(root, 0o755)  # the server does not run as root
    print(f"seed {options.seed}", flush=True)
    runner = runner_class(options, root)
    try:
        expect(os.access(options.leat, os.X_OK), f"there is no {options.leat}")
        for kind in options.kinds or kinds:
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
