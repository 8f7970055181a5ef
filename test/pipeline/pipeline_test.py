#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole pipeline on real servers: producer.sql → Kafka → users-full.sql → Cassandra, MongoDB and the catalog; its containers.

    pipeline_test.py [--leat build/leat] [--seed N] [--long] [--keep] [NAME ...]        NAME: tests, as printed (all; one with --long only)

What every store has to hold is computed from the topic's messages alone (stores.py). Everything a test waits for is bounded, every test asserts
that what it is about happened. The seed is printed. A server that cannot be had is a skip, and with CI set a failure; a Docker daemon that a
sandbox does not allow to run is a skip there, too, with its reason. Closes with `N passed, N failed, N skipped`.
"""
import argparse
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kafka"))
import containers  # noqa: E402
from harness import PATIENCE, ROOT, Failure, Pipeline, Skip, expect, wait_until  # noqa: E402
from stores import PRODUCER, Servers, Truth, epochs, text_of_full  # noqa: E402

EPOCH_ROWS, BATCH_ROWS, NO_USERS = 1000, 20000, 7
LONG_ONLY = {"demo_live"}  # the same pieces as `demo`, with a terminal
# Commits of stores until the kill, and how many of the three then have the epoch: each run ends the epoch that was cut, by those that lack it.
KILLS_BETWEEN = [(2, 2), (1, 3), (1, 1), (1, 2), (1, 3), (3, 3), (4, 1), (4, 2)]
SECRETS = re.compile(r'"(password|salt|md5|sha1|sha256|username|phone|cell|picture|coordinates|timezone)"')


class Tests:
    def __init__(self, options, root):
        self.options, self.root, self.random = options, root, None
        self.servers, self.cannot, self.running = None, None, []

    # ---- pieces ----

    def real(self):
        """The servers, started when the first test wants them."""
        if self.cannot:
            raise self.cannot
        if self.servers is None:
            self.servers = Servers(self.root)
            try:
                for line in self.servers.start():
                    print(line, flush=True)
            except (Failure, Skip) as e:
                self.cannot = e
                self.servers.close()
                raise
        return self.servers

    def topic(self, name):
        self.real().kafka.script("topic", self.servers.kafka.folder, name, 2)
        return name

    def producer(self, topic, rows, rate):
        with open(PRODUCER, encoding="utf-8") as f:
            text = f.read()
        made = Pipeline(self.options.leat, os.path.join(self.root, f"producer-{topic}"), text, f"brokers={self.servers.brokers}", f"topic={topic}",
                        f"rows={rows}", f"rate={rate}")
        self.running.append(made)
        return made

    def pipeline(self, topic, space, *settings):
        made = Pipeline(self.options.leat, os.path.join(self.root, f"users-{space}"), text_of_full(space), *self.servers.settings(topic), *settings)
        self.running.append(made)
        return made

    def fill(self, topic, rows=BATCH_ROWS):
        """Users without their secrets, and a few messages that are no users."""
        producer = self.producer(topic, rows, 0)
        producer.run_to_end()
        words = "\n".join(["no JSON", "{}", '{"login":{}}', '{"login":null}', "[]", '"user"', "{"][:NO_USERS]) + "\n"
        command = [self.options.leat, "kafka", "produce", topic, "-b", self.servers.brokers]
        out = subprocess.run(command, input=words.encode(), capture_output=True, check=False, timeout=60 * PATIENCE)
        expect(out.returncode == 0, lambda: f"{' '.join(command)}: {out.stderr.decode('utf-8', 'replace')}")
        truth = Truth(self.options.leat, self.servers, topic)
        kept_back = producer.count("leat_dead")
        expect(len(truth.users) + kept_back == rows and truth.dead == NO_USERS,
               f"{len(truth.users)} users, {truth.dead} others, {kept_back} kept back of {rows}")
        leaked = [m for m in truth.messages if SECRETS.search(m)]
        expect(not leaked, lambda: f"a secret left the machine: {leaked[0][:300]}")
        return truth

    def expect_agreed(self, pipeline, space):
        """Every store's record is of one epoch."""
        found = epochs(self.servers, space, pipeline)
        expect(len(set(found.values())) == 1 and found["catalog"] > 0, f"the stores have different epochs: {found}")
        return found["catalog"]

    def end(self):
        for pipeline in self.running:
            pipeline.end_all()
        self.running = []

    def close(self):
        self.end()
        if self.servers:
            self.servers.close()

    # ---- tests ----

    def test_equal(self):
        """An uninterrupted run; a second one adds nothing."""
        topic = self.topic("equal")
        truth = self.fill(topic)
        p = self.pipeline(topic, "equal")
        process = p.run_to_end()
        truth.expect_all(p, "equal", "after one run")
        p.expect_balanced()
        flows = {report["name"]: process.rows_in(report["name"]) for report in process.progress()}
        expect(len(flows) == 5 and set(flows.values()) == {len(truth.messages)}, f"rows read by flow: {flows}")
        ranges = {}
        for report in process.progress():
            ranges.setdefault(report["batchId"], set()).add(str(report["sources"]))
        expect(all(len(found) == 1 for found in ranges.values()), "flows of an epoch have read different ranges")
        epoch = self.expect_agreed(p, "equal")
        p.run_to_end()
        truth.expect_all(p, "equal", "after a second run")
        return f"{len(truth.users)} users in each, {truth.dead} dead, epoch {epoch}"

    def test_kill_between_commits(self):
        """kill -9 after each store's commit, in turn: the stores differ by that one epoch, and the next start puts it right."""
        topic = self.topic("between")
        truth = self.fill(topic)
        p = self.pipeline(topic, "between", f"leat.epoch.maxRows={EPOCH_ROWS}")
        order = []
        for n, wanted in KILLS_BETWEEN:
            process, code = p.run(failpoint=f"epoch.between_commits=kill:{n}")
            expect(code == -signal.SIGKILL, lambda: f"kill:{n} was not reached: exit {code}\n{process.text()}")
            found = epochs(self.servers, "between", p)
            have = [store for store, epoch in found.items() if epoch == max(found.values())]
            expect("catalog" in have and len(have) == wanted, f"kill:{n} after {order}: {found}, {wanted} stores were to have the last epoch")
            order.append(wanted)
        expect(0 < p.read("SELECT sum(users) FROM users_by_nationality")[0][0] < len(truth.users), "everything was done already")
        p.run_to_end()
        truth.expect_all(p, "between", f"after {len(order)} kills between commits")
        self.expect_agreed(p, "between")
        return f"{len(order)} kills; stores that had the last epoch: {' '.join(map(str, order))}"

    def test_kill_at_random(self):
        """Living runs, killed at any moment while the producer, killed once too, goes on."""
        topic, kills = self.topic("random"), 12 if self.options.long else 4
        producer = self.producer(topic, -1, 3000)
        source = producer.start()
        p = self.pipeline(topic, "random")
        for n in range(kills):
            before = self.documents(p)
            process = p.start()
            wait_until("more users", lambda: self.documents(p) > before, 60, process)
            time.sleep(self.random.uniform(0, 0.7))
            process.kill()
            expect(source.poll() is None, lambda: f"the producer ended\n{source.text()}")
            if n == kills // 2:
                source.kill()
                source = producer.start()
        self.stop_producer(producer, source)
        truth = Truth(self.options.leat, self.servers, topic)
        p.run_to_end()
        truth.expect_all(p, "random", f"after {kills} kills")
        self.expect_agreed(p, "random")
        return f"{kills} kills, {len(truth.users)} users in each"

    def test_servers_killed(self):
        """kill -9 of each store's server while users arrive: leat waits, nothing is lost or doubled."""
        topic = self.topic("servers")
        producer = self.producer(topic, -1, 1000)
        source, p = producer.start(), self.pipeline(topic, "servers")
        process = p.start()
        wait_until("the first users", lambda: self.documents(p) > 0, 60, process)
        for server in (self.servers.mongo, self.servers.cassandra, self.servers.kafka) if self.options.long else (self.servers.mongo,):
            server.kill9()
            time.sleep(self.random.uniform(0.2, 1))
            before = self.documents(p)
            server.restart()
            wait_until(f"more users after {server.name} came back", lambda: self.documents(p) > before, 90, process)
        self.stop_producer(producer, source)
        process.stop(60)
        truth = Truth(self.options.leat, self.servers, topic)
        p.run_to_end()
        truth.expect_all(p, "servers", "after the servers' ends")
        self.expect_agreed(p, "servers")
        return f"{len(truth.users)} users in each"

    def documents(self, p):
        """How far the catalog is: cheap to ask."""
        found = p.read("SELECT coalesce(sum(users), 0) FROM users_by_nationality") if p.epoch() else None
        return found[0][0] if found else 0

    def stop_producer(self, producer, source):
        """Its last epoch may stand open: the next start ends it, with rows to make but none more."""
        source.stop(60)
        expect(producer.epoch() > 0, "the producer has sent nothing")

    def test_demo(self):
        """make demo-full ROWS=n as a user runs it: three equal counts, and nothing left running."""
        folder = os.path.join(self.root, "demo")
        command = ["bash", os.path.join(ROOT, "tools/demo-full.sh"), "3000"]
        out = subprocess.run(command, env=dict(os.environ, LEAT=self.options.leat, DEMO_FOLDER=folder), stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300 * PATIENCE, check=False)
        text = out.stdout.decode("utf-8", "replace")
        if out.returncode and "SKIP" in text:
            raise Skip(next(line for line in text.split("\n") if "SKIP" in line))
        expect(out.returncode == 0 and "demo-full: equal: three stores" in text, f"exit {out.returncode}\n{text}")
        counts = [int(n) for n in re.findall(r"^  (?:Cassandra|MongoDB|catalog, sum).*?\s(\d+)   ", text, re.M)]
        expect(len(counts) == 3 and len(set(counts)) == 1 and 2900 < counts[0] <= 3000, f"counts {counts}\n{text}")
        left = [name for name in ("kafka/1", "cassandra/1", "mongo") if os.path.exists(os.path.join(folder, name, "pid"))]
        expect(not left, f"still running: {left}")
        return f"{counts[0]} users in each"

    def test_demo_live(self):
        """make demo-full on a terminal, until Ctrl-C: what was sent by then is everywhere. (--long, or by name.)"""
        folder = os.path.join(self.root, "demo-live")
        pid, terminal = pty.fork()
        if pid == 0:
            os.execvpe("bash", ["bash", os.path.join(ROOT, "tools/demo-full.sh")], dict(os.environ, LEAT=self.options.leat, DEMO_FOLDER=folder))
        said, interrupt_at, end = b"", None, time.monotonic() + 300 * PATIENCE
        while time.monotonic() < end:
            if select.select([terminal], [], [], 0.2)[0]:
                try:
                    said += os.read(terminal, 65536)
                except OSError:  # the other end is closed
                    break
            if interrupt_at is None and re.search(rb"epoch .* rows/s", said):
                interrupt_at = time.monotonic() + 3
            if interrupt_at and time.monotonic() > interrupt_at:
                os.write(terminal, b"\x03")
                interrupt_at = end + 1
        else:
            os.kill(pid, signal.SIGTERM)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        os.close(terminal)
        text = said.decode("utf-8", "replace")
        expect(code == 0 and "demo-full: equal: three stores" in text, f"exit {code}\n{text[-4000:]}")
        return re.search(r"equal: three stores, (.*)", text)[1].strip()

    def test_compose(self):
        return containers.check_compose()

    def test_image(self):
        return containers.check_image(self.options, self.root)


class Runner:
    def __init__(self, options):
        self.options = options
        self.passed = self.failed = self.skipped = 0

    def run(self, tests, name):
        tests.random = random.Random(f"{self.options.seed} {name}")
        begin, word = time.monotonic(), "ok"
        try:
            note = getattr(tests, "test_" + name)()
        except containers.NoDaemon as e:
            word, note = "skipped", str(e)
        except Skip as e:
            word, note = "FAILED" if os.environ.get("CI") else "skipped", str(e)
        except Failure as e:
            word, note = "FAILED", str(e)
        except Exception:  # of the test itself
            word, note = "FAILED", traceback.format_exc()
        finally:
            tests.end()
        self.passed, self.failed, self.skipped = self.passed + (word == "ok"), self.failed + (word == "FAILED"), self.skipped + (word == "skipped")
        print(f"{word:8}{name:24}{time.monotonic() - begin:6.1f} s   {note}", flush=True)


def main():
    names = [n[5:] for n in vars(Tests) if n.startswith("test_")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default=os.path.join(ROOT, "build/leat"))
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 31))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("--keep", action="store_true", help="leave the folders of the run")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    unknown = set(options.names) - set(names)
    if unknown:
        parser.error(f"there is no test {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    root = tempfile.mkdtemp(prefix="leat-pipeline-")
    os.chmod(root, 0o755)  # the servers do not run as root
    print(f"seed {options.seed}", flush=True)
    runner, tests = Runner(options), Tests(options, root)
    try:
        expect(os.access(options.leat, os.X_OK), f"there is no {options.leat}")
        for name in [n for n in names if (n in options.names if options.names else options.long or n not in LONG_ONLY)]:
            runner.run(tests, name)
    except Failure as e:
        runner.failed += 1
        print(f"FAILED  {e}")
    finally:
        tests.close()
        if options.keep:
            print(f"folders: {root}")
        else:
            shutil.rmtree(root, ignore_errors=True)
    print(f"{runner.passed} passed, {runner.failed} failed, {runner.skipped} skipped")
    return 1 if runner.failed or not runner.passed + runner.skipped else 0


if __name__ == "__main__":
    sys.exit(main())
