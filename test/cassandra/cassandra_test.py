#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real Cassandra servers and the official Python driver.

    cassandra_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--server KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `one` (a node without a login), `login` (login and TLS), `cert` (TLS, and the client's certificate is asked for),
`ring` (three nodes at 127.0.0.1 to 3), `limit` (limits of the server's own), `full` (a disk that fills up); one is up at a time. Everything a test
waits for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the driver cannot be had the
tests are skipped and counted; with CI set that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "kafka")]  # harness, driver, proxy
import driver  # noqa: E402

GUARDRAILS = """
write_consistency_levels_disallowed: [QUORUM]
column_value_size_fail_threshold: 64KiB
data_disk_usage_percentage_warn_threshold: 60
data_disk_usage_percentage_fail_threshold: 70
data_disk_usage_max_disk_size: 20MiB
"""
KINDS = {"one": {}, "login": {"auth": True, "tls": "1"}, "cert": {"tls": "client"}, "ring": {"nodes": 3},
         "limit": {"auth": True, "yaml": GUARDRAILS, "java": "-Dcassandra.disk_usage.monitor_interval_ms=1000"}, "full": {"disk_mb": 160}}


def suites():
    import kills
    import limits
    import login
    import outages
    import owners
    import refusals
    import ring
    import sources
    import tokens
    import values
    import views
    return [values.Values, views.Views, sources.Sources, tokens.Tokens, refusals.Refusals, kills.Kills, owners.Owners, outages.Outages, login.Login, limits.Limits, ring.Ring]


def tests_for(kind, options):
    """[(suite, method's name)] of one kind of server."""
    found = []
    for suite in suites():
        for name in sorted(n for n in dir(suite) if n.startswith("test_")):
            if kind in getattr(getattr(suite, name), "servers", ("one",)) and (not options.names or name[5:] in options.names):
                found.append((suite, name))
    return found


class Runner(driver.Runner):
    def run_kind(self, kind):
        from server import Server
        tests = tests_for(kind, self.options)
        if tests:
            server = Server(os.path.join(self.root, f"cassandra-{kind}"), **KINDS[kind])
            driver.run_suite(tests, kind, server, self, lambda suite: suite(self.options, self.root, random.Random(), server, kind))


if __name__ == "__main__":
    sys.exit(driver.main(os.path.abspath(__file__), __doc__, "server", KINDS, Runner))
