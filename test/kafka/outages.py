# SPDX-License-Identifier: Apache-2.0
"""Brokers that die, leaders that move, networks that stall, cut and slice: the process lives through it, loses nothing, doubles nothing.

The producer goes straight to the broker, leat through the proxy where there is one.
"""
import contextlib

from broker import pause
from client import Trickle
from harness import expect, wait_until
from proxy import Proxy
from suite import MEMORY_MB, Suite, numbered, on

RECOVERY_S = 90
LOG_LINES = 40
TRANSACTION_MS = 4000
MOST_DEATHS = 20


class Outages(Suite):
    @contextlib.contextmanager
    def proxy(self):
        proxy = Proxy(*self.broker.proxy_ports)
        try:
            yield proxy
        finally:
            proxy.close()

    def expect_survived(self, p, process, to, records, what):
        """Catches up without a restart, then everything is there once."""
        wait_until(f"{what}: all {len(records)} rows", lambda: p.count("kept") >= len(records), RECOVERY_S, process)
        process.stop()
        expect(process.peak_mb <= MEMORY_MB, f"{what}: {process.peak_mb:.0f} MB at its peak")
        self.expect_counted(p, records, what)
        self.expect_copied(to, records, what)

    def start(self, brokers=None, partitions=2, *settings):
        topic, to = self.topic("in", partitions), self.topic("out", partitions)
        return topic, to, self.copying(topic, to, brokers=brokers, with_state=True, settings=settings)

    def test_broker_killed_in_transaction(self):
        """With state behind it. Back soon, the transaction goes on; back after its time, the coordinator has aborted it and the epoch is run
        again in the living process. That is seen in the log: records that were written and are not committed."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        p = self.copying(topic, to, brokers=self.broker.proxied, with_state=True, settings=["leat.epoch.maxRows=2000"],
                         properties={"kafka_transaction_timeout_ms": TRANSACTION_MS})
        aborted = []
        with self.proxy() as proxy:
            proxy.set("delay", 30)  # a transaction takes several turns: time to hit one
            records = self.fill(topic, 12000)
            process = p.start()
            downs = [0, TRANSACTION_MS / 1000 + 1] * (8 if self.long else 1)
            while downs or aborted[-1] == 0 and len(aborted) < MOST_DEATHS:
                down_s = downs.pop(0) if downs else TRANSACTION_MS / 1000 + 1  # the last one came between two transactions
                before = p.count("kept")
                wait_until("a transaction is open", lambda: p.count("kept") > before and self.client.in_transaction(to), RECOVERY_S, process)
                self.broker.kill9()
                pause(down_s)
                self.broker.restart()
                records += self.fill(topic, 6000, first=len(records))
                before = p.count("kept")
                wait_until("it goes on", lambda: p.count("kept") > before, RECOVERY_S, process)
                aborted.append(self.client.aborted(to))
            proxy.set("forward")
            self.expect_survived(p, process, to, records, f"{len(aborted)} broker deaths")
        expect(aborted[-1] > 0, f"no transaction was aborted: {aborted}")
        return f"{len(aborted)} broker deaths in a transaction, {aborted[-1]} records of aborted ones, {len(records)} rows, {process.peak_mb:.0f} MB"

    @on("one", "old")
    def test_broker_killed_in_run(self):
        topic, to, p = self.start()
        with Trickle(self.client, topic, 2, numbered, per_second=1000) as trickle:
            process = p.start()
            for _ in range(10 if self.long else 1):
                before = p.count("kept")
                wait_until("rows arrive", lambda: p.count("kept") > before + 300, RECOVERY_S, process)
                self.broker.kill9()
                pause(self.random.uniform(0, 1))
                self.broker.restart()
            before = p.count("kept")
            wait_until("rows arrive again", lambda: p.count("kept") > before + 300, RECOVERY_S, process)
            records = trickle.finish()
        self.expect_survived(p, process, to, records, "broker deaths")
        return f"{len(records)} rows, {process.peak_mb:.0f} MB"

    def test_outage(self):
        """Nobody listens for a while; the log says it in a few lines."""
        seconds = 60 if self.long else 10
        topic, to, p = self.start(self.broker.proxied)
        with self.proxy() as proxy, Trickle(self.client, topic, 2, numbered, per_second=2000) as trickle:
            process = p.start()
            wait_until("rows arrive", lambda: p.count("kept") > 500, 60, process)
            proxy.set("cut")
            pause(1)
            cut_at = p.count("kept")
            pause(seconds - 1)
            expect(p.count("kept") <= cut_at + 4000, "rows arrive without a network")
            expect(process.poll() is None, f"it ended\n{process.text()}")
            proxy.set("forward")
            wait_until("rows arrive again", lambda: p.count("kept") > cut_at + 4001, RECOVERY_S, process)
            records = trickle.finish()
            self.expect_survived(p, process, to, records, f"an outage of {seconds} s")
        lines = [line for line in process.errors().split("\n") if line]
        expect(len(lines) <= LOG_LINES, f"{len(lines)} lines of log\n{process.text()}")
        expect(any("127.0.0.1" in line for line in lines), f"no line names the broker\n{process.text()}")
        return f"{seconds} s, {len(records)} rows, {process.peak_mb:.0f} MB, {len(lines)} lines of log"

    def test_started_in_an_outage(self):
        """Nobody listens when it starts: it waits, and works when somebody does."""
        topic, to, p = self.start(self.broker.proxied)
        records = self.fill(topic, 1000)
        with self.proxy() as proxy:
            proxy.set("cut")
            process = p.start()
            pause(3)
            expect(process.poll() is None, f"it ended\n{process.text()}")
            said = [line for line in process.text().split("\n") if line.startswith("warning")]
            expect(1 <= len(said) <= 2, f"{len(said)} lines about one outage\n{process.text()}")
            proxy.set("forward")
            self.expect_survived(p, process, to, records, "started in an outage")
        return f"{len(records)} rows, {len(said)} line(s) about the outage"

    def test_bad_network(self):
        """Stalls, resets, delays, single bytes."""
        topic, to, p = self.start(self.broker.proxied)
        with self.proxy() as proxy, Trickle(self.client, topic, 2, numbered, per_second=300) as trickle:
            process = p.start()
            wait_until("rows arrive", lambda: p.count("kept") > 100, 60, process)
            for mode, delay_ms in [("stall", 0), ("reset", 0), ("slice", 0), ("delay", 80), ("reset", 0), ("stall", 0)] * (6 if self.long else 1):
                proxy.set(mode, delay_ms)
                pause(self.random.uniform(0.5, 3))
                proxy.set("forward")
                before = p.count("kept")
                wait_until(f"rows arrive after {mode}", lambda: p.count("kept") > before, RECOVERY_S, process)
            expect(proxy.accepted >= 4 and proxy.passed_bytes > 10000, f"{proxy.accepted} connections, {proxy.passed_bytes} bytes")
            records = trickle.finish()
            self.expect_survived(p, process, to, records, "a bad network")
        return f"{len(records)} rows through {proxy.accepted} connections, {proxy.passed_bytes >> 10} KB"

    @on("three")
    def test_leader_moved(self):
        """Each node in turn is stopped or killed and comes back."""
        topic, to, p = self.start(None, 3)
        leaders = set()
        with Trickle(self.client, topic, 3, numbered, per_second=1000) as trickle:
            process = p.start()
            wait_until("rows arrive", lambda: p.count("kept") > 300, 60, process)
            for node in (1, 2, 3) if self.long else (1, 2):
                leaders.add(tuple(self.client.leader(t, i) for t in (topic, to) for i in range(3)))
                if node == 1:
                    self.broker.stop(node)
                else:
                    self.broker.kill9(node)
                before = p.count("kept")
                wait_until(f"rows arrive without node {node}", lambda: p.count("kept") > before + 300, RECOVERY_S, process)
                leaders.add(tuple(self.client.leader(t, i) for t in (topic, to) for i in range(3)))
                self.broker.restart(node)
            records = trickle.finish()
        expect(len(leaders) > 1, f"no leader moved: {leaders}")
        self.expect_survived(p, process, to, records, "leaders moved")
        return f"{len(leaders)} sets of leaders, {len(records)} rows, {process.peak_mb:.0f} MB"
