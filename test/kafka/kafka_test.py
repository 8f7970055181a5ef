#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""leat against real Kafka brokers and an independent client.

    kafka_test.py [--leat build/leat] [--seed N] [--long] [--keep] [--broker KIND] [NAME ...]        NAME: tests, as printed (default: all)

Kinds: `one` (the newest Kafka, every listener), `old` (the oldest supported), `three` (three nodes); one is up at a time. Everything a test
waits for is bounded, every test asserts that what it is about happened. The seed is printed. Where a server or the client cannot be had the
tests are skipped and counted; with CI set that is a failure. Closes with `N passed, N failed, N skipped`.
"""
import os
import random
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import driver  # noqa: E402

NEWEST, OLDEST = "4.4.0", "3.9.2"
KINDS = {"one": (NEWEST, 1), "three": (NEWEST, 3), "old": (OLDEST, 1)}


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


class Runner(driver.Runner):
    def run_kind(self, kind):
        from broker import Broker, folder_of
        from client import Client
        tests = tests_for(kind, self.options)
        if not tests:
            return
        broker = Broker(folder_of(self.root, f"kafka-{kind}"), *KINDS[kind])
        driver.run_suite(tests, kind, broker, self, lambda suite: suite(self.options, self.root, random.Random(), broker, Client(broker.direct), kind))


if __name__ == "__main__":
    sys.exit(driver.main(os.path.abspath(__file__), __doc__, "broker", KINDS, Runner))
