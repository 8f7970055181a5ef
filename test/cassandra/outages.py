# SPDX-License-Identifier: Apache-2.0
"""A server that dies and comes back, a network that is cut, stalls, slices: the process lives through it, loses nothing, doubles nothing."""
import contextlib
import os
import time

from harness import expect, wait_until
from proxy import Proxy
from suite import RECOVERY_S, Suite, Trickle, events

LOG_LINES = 40


class Outages(Suite):
    @contextlib.contextmanager
    def proxy(self):
        proxy = Proxy(self.server.proxy_port, self.server.port)
        try:
            yield proxy
        finally:
            proxy.close()

    def start(self, keyspace, place=None):
        rows = events(0, 1000)
        p = self.counting(keyspace, rows, place=place)
        return rows, p, os.path.join(p.folder, "events.json")

    def expect_survived(self, p, process, keyspace, rows, what):
        self.session = self.server.connect()
        self.wait_for(f"{what}: all {len(rows)} rows", keyspace, "copied", len(rows), process)
        process.stop()
        expect(process.peak_mb <= 300, f"{what}: {process.peak_mb:.0f} MB at its peak")
        self.expect_counted(p, keyspace, rows, what)

    def test_server_killed(self):
        keyspace = self.keyspace()
        rows, p, path = self.start(keyspace)
        with Trickle(path, 1000, 1000) as trickle:
            process = p.start()
            self.wait_for("the first rows", keyspace, "copied", 1200, process)
            for _ in range(5 if self.long else 1):
                epoch = p.epoch()
                self.server.disconnect()
                self.server.kill9()
                self.server.restart()
                wait_until("it goes on", lambda: p.epoch() > epoch + 2, RECOVERY_S, process)
            rows += trickle.finish()
        self.expect_survived(p, process, keyspace, rows, "a killed server")
        return f"{len(rows)} rows, {process.peak_mb:.0f} MB"

    def test_outage(self):
        """Nobody listens for a while; the log says it in a few lines."""
        seconds = 60 if self.long else 10
        keyspace = self.keyspace()
        with self.proxy() as proxy:
            rows, p, path = self.start(keyspace, {**self.place(keyspace), "port": self.server.proxy_port})
            with Trickle(path, 1000, 500) as trickle:
                process = p.start()
                self.wait_for("the first rows", keyspace, "copied", 1100, process)
                proxy.set("cut")
                time.sleep(1)
                cut_at = self.count(keyspace, "copied")
                time.sleep(seconds - 1)
                expect(self.count(keyspace, "copied") <= cut_at + 500, "rows arrive without a network")
                expect(process.poll() is None, f"it ended\n{process.text()}")
                proxy.set("forward")
                self.wait_for("rows arrive again", keyspace, "copied", cut_at + 600, process)
                rows += trickle.finish()
            self.expect_survived(p, process, keyspace, rows, f"an outage of {seconds} s")
            expect(proxy.passed_bytes > 10000, f"{proxy.passed_bytes} bytes went through the proxy")
        lines = [line for line in process.errors().split("\n") if line]
        expect(len(lines) <= LOG_LINES, f"{len(lines)} lines of log\n{process.text()}")
        expect(any("127.0.0.1" in line for line in lines), f"no line names the server\n{process.text()}")
        return f"{seconds} s, {len(rows)} rows, {len(lines)} lines of log"

    def test_started_in_an_outage(self):
        keyspace = self.keyspace()
        with self.proxy() as proxy:
            rows, p, _ = self.start(keyspace, {**self.place(keyspace), "port": self.server.proxy_port})
            proxy.set("cut")
            process = p.start()
            time.sleep(2)
            expect(process.poll() is None, f"it ended\n{process.text()}")
            expect("127.0.0.1" in process.errors(), f"nothing is said about the server\n{process.text()}")
            proxy.set("forward")
            self.expect_survived(p, process, keyspace, rows, "started in an outage")
        return f"{len(rows)} rows"

    def test_bad_network(self):
        """Stalls, resets, delays, single bytes."""
        keyspace = self.keyspace()
        with self.proxy() as proxy:
            rows, p, path = self.start(keyspace, {**self.place(keyspace), "port": self.server.proxy_port})
            with Trickle(path, 1000, 300) as trickle:
                process = p.start()
                self.wait_for("the first rows", keyspace, "copied", 1050, process)
                for mode, delay_ms in [("stall", 0), ("reset", 0), ("slice", 0), ("delay", 80)] * (6 if self.long else 1):
                    proxy.set(mode, delay_ms)
                    time.sleep(self.random.uniform(0.5, 1.5))
                    proxy.set("forward")
                    before = p.epoch()
                    wait_until(f"rows arrive after {mode}", lambda: p.epoch() > before, RECOVERY_S, process)
                expect(proxy.accepted >= 2, f"{proxy.accepted} connections")
                rows += trickle.finish()
            self.expect_survived(p, process, keyspace, rows, "a bad network")
        return f"{len(rows)} rows through {proxy.accepted} connections"

    def test_stopped_in_an_outage(self):
        """SIGTERM while nobody answers: it ends at once, and the next run finishes the epoch."""
        keyspace = self.keyspace()
        with self.proxy() as proxy:
            rows, p, path = self.start(keyspace, {**self.place(keyspace), "port": self.server.proxy_port})
            with Trickle(path, 1000, 500) as trickle:
                process = p.start()
                self.wait_for("the first rows", keyspace, "copied", 1100, process)
                proxy.set("stall")
                time.sleep(0.7)
                begin = time.monotonic()
                process.stop(15)
                took = time.monotonic() - begin
                rows += trickle.finish()
            proxy.set("forward")
            p.run_to_end()
        self.expect_counted(p, keyspace, rows, "stopped in an outage")
        return f"ended after {took:.1f} s, {len(rows)} rows"
