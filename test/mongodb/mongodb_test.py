#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real MongoDB servers and an independent client.

    mongodb_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--server KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `replica` (a replica set of one), `standalone` (no transactions), `secured` (TLS, passwords); one is up at a time. Everything a test waits
for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the client cannot be had the tests are
skipped and counted; with CI set that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "kafka")]  # harness, driver, proxy
import driver  # noqa: E402

KINDS = ("replica", "standalone", "secured")


def suites():
    import failures
    import large
    import lifecycle
    import values
    return [values.Values, lifecycle.Lifecycle, large.Large, failures.Failures, lifecycle.Access]


def tests_for(kind, options):
    found = []
    for suite in suites():
        for name in sorted(n for n in dir(suite) if n.startswith("test_")):
            if kind in getattr(getattr(suite, name), "kinds", ("replica",)) and (not options.names or name[5:] in options.names):
                found.append((suite, name))
    return found


class Runner(driver.Runner):
    def say(self, word, kind, name, seconds, note):
        print(f"{word:8}{kind:11}{name:29}{seconds:6.1f} s   {note or ''}", flush=True)

    def run_kind(self, kind):
        from server import Server
        tests = tests_for(kind, self.options)
        if tests:
            server = Server(os.path.join(self.root, f"mongo-{kind}"), kind)
            driver.run_suite(tests, kind, server, self, lambda suite: suite(self.options, self.root, server))


if __name__ == "__main__":
    sys.exit(driver.main(os.path.abspath(__file__), __doc__, "server", KINDS, Runner))
