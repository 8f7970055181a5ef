# SPDX-License-Identifier: Apache-2.0
"""A pipeline's life with its topics: first runs over nothing, tables built anew, targets made anew, markers at the end, several tables."""
import signal
import subprocess
import threading

from confluent_kafka import Consumer
from harness import EXIT_DATA, EXIT_FIT, PATIENCE, expect, expect_same_rows, wait_until
from suite import COPY_QUERY, EPOCH_ROWS, KEPT, PER_KEY, Suite, on, sink, source, table

FIND_SOON = {"kafka_metadata_max_age_ms": 500}
PLACES = table("places", "SELECT topic, partition, offset FROM STREAM events")
OTHER_QUERY = "SELECT key, concat(CAST(value AS STRING), '?') AS value, partition FROM STREAM events WHERE offset % 5 = 1"


class Lifecycle(Suite):
    def places(self, topic, **options):
        return self.pipeline(source("events", self.brokers, subscribe=topic, **options) + PLACES)

    @staticmethod
    def expect_places(p, records, what):
        wanted = sorted((r.topic, r.partition, r.offset) for r in records)
        expect_same_rows(p.read("SELECT topic, partition, offset FROM places ORDER BY topic, partition, offset"), wanted, what)

    def leat_kafka(self, *arguments):
        out = subprocess.run([self.leat, "kafka", *arguments, "-b", self.brokers], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, timeout=60 * PATIENCE, check=False)
        expect(out.returncode == 0, lambda: f"leat kafka {' '.join(arguments)}: exit {out.returncode}\n{out.stderr.decode('utf-8', 'replace')}")
        return out.stdout.decode("utf-8", "replace")

    # ---- the first run ----

    @on("one", "old")
    def test_latest_of_an_empty_topic(self):
        """A first run that finds nothing decides all the same where the table begins: what comes while it is down is read."""
        for how in ("to its end", "stopped"):
            topic = self.topic("in", 2)
            p = self.places(topic, startingOffsets="latest")
            if how == "stopped":
                process = p.start()
                wait_until("it runs", p.is_running, 30, process)
                process.stop()
            else:
                p.run_to_end()
            records = self.fill(topic, 10)
            p.run_to_end()
            self.expect_places(p, records, f"the first run {how}")
        return "10 rows after a run to its end, 10 after one that was stopped"

    # ---- tables built anew, topics made anew ----

    def test_refresh_of_a_topic(self):
        """Refused while the topic holds messages, and nothing has changed then; done as the hint says, it works."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        records = self.fill(topic, 1000)
        p = self.copying(topic, to, with_state=True)
        p.run_to_end()
        records += self.fill(topic, 100, first=1000)
        process, code = p.run("--full-refresh", "copied")
        expect(code == EXIT_FIT and "`copied`" in process.errors() and "--delete" in process.errors(), lambda: f"exit {code}\n{process.text()}")
        expect(p.count("kept") == 1000, f"the refused run wrote {p.count('kept')} rows")
        p.run_to_end()
        self.expect_copied(to, records, "after the refusal")
        self.expect_counted(p, records, "after the refusal")
        process, code = p.run("--full-refresh", "copied")
        expect(code == EXIT_FIT, lambda: f"a second time: exit {code}\n{process.text()}")
        self.leat_kafka("topics", "--delete", to)
        wait_until("the topic is deleted", lambda: to not in self.client.admin.list_topics(timeout=30).topics, 30)
        self.leat_kafka("topics", "--create", to, "--partitions", "2")
        self.client.wait_for_leaders(to, 2)
        p.run_to_end("--full-refresh", "copied")
        self.expect_copied(to, records, "built anew")
        self.expect_counted(p, records, "the others, when one was built anew")
        records += self.fill(topic, 100, first=1100)
        p.run_to_end()
        self.expect_copied(to, records, "and on")
        self.expect_counted(p, records, "and on")
        return "refused twice, then built anew"

    def test_target_made_anew(self):
        """The record went with the topic, and no epoch was open: a warning, and on with what is new."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        self.fill(topic, 500)
        p = self.copying(topic, to)
        p.run_to_end()
        self.client.delete(to)
        self.client.create(to, 2)
        more = self.fill(topic, 300, first=500)
        process = p.run_to_end()
        expect("warning" in process.errors() and "record" in process.errors(), lambda: f"not a word about the record\n{process.text()}")
        self.expect_copied(to, more, "the topic made anew")
        more += self.fill(topic, 100, first=800)
        process = p.run_to_end()
        expect("warning" not in process.errors(), lambda: f"it warns again\n{process.text()}")
        self.expect_copied(to, more, "the run after")
        return "one warning, no row twice"

    def test_made_anew_and_longer(self):
        """A source topic deleted and made anew under a living run, and soon longer than it was read: known by its id."""
        for fail in (None, "false"):
            topic = self.topic("in", 1)
            self.fill(topic, 200, partitions=1)
            p = self.places(topic, failOnDataLoss=fail, **FIND_SOON)
            process = p.start()
            wait_until("200 rows", lambda: p.count("places") == 200, 30, process)
            self.client.delete(topic)
            self.client.create(topic, 1)
            self.fill(topic, 500, partitions=1, first=1000)
            if fail is None:
                wait_until("it ends", lambda: process.poll() is not None, 60)
                expect(process.returncode in (EXIT_DATA, EXIT_FIT) and "KAFKA_DATA_LOSS" in process.errors(),
                       lambda: f"exit {process.returncode}\n{process.text()}")
                continue
            wait_until("the new topic from its beginning", lambda: self.twice(p) >= 200, 60, process)
            process.stop()
            expect(topic in process.errors(), lambda: f"not a word about it\n{process.text()}")
            found = [r[0] for r in p.read("SELECT DISTINCT offset FROM places ORDER BY offset")]
            expect(found == list(range(500)), f"{len(found)} offsets, not 500")
        return "stopped, or read on from its beginning"

    @staticmethod
    def twice(p):
        return p.read("SELECT count(*) - count(DISTINCT offset) FROM places")[0][0]

    # ---- what is no row at the end of a topic ----

    @on("one", "old")
    def test_ends_in_markers(self):
        """--available-now ends where a transaction was aborted, behind its marker, and before one that is open."""
        topic = self.topic("in")
        first = self.topic("markers")
        producer = self.client.transactional(topic)
        rows = [(0, b"k", b"%d" % i) for i in range(50)]
        self.client.transaction(producer, first, rows, commit=False)
        p = self.places(first)
        p.run_to_end(seconds=30)
        expect(p.count("places") == 0, "rows of an aborted transaction, which is all there is")
        records = self.fill(topic, 100, partitions=1)
        self.client.transaction(producer, topic, rows, commit=False)
        p = self.places(topic)
        for _ in range(2):
            p.run_to_end(seconds=30)
            self.expect_places(p, records, "an aborted transaction at the end")
        records += self.client.transaction(producer, topic, rows)
        p.run_to_end(seconds=30)
        self.expect_places(p, records, "a marker at the end")
        producer.begin_transaction()
        done = self.client.send(producer, topic, rows)
        producer.flush(30)
        behind = self.fill(topic, 30, partitions=1)
        expect(self.client.in_transaction(topic), "no transaction was open")
        p.run_to_end(seconds=30)
        self.expect_places(p, records, "before an open transaction")
        # one that is decided while leat looks for the end is read: so is what was committed right before, whose markers are on their way
        commit = threading.Timer(1.5, producer.commit_transaction, (30,))
        commit.start()
        p.run_to_end(seconds=30)
        commit.join()
        self.expect_places(p, records + [slot[0] for slot in done] + behind, "the transaction committed")
        producer.begin_transaction()
        self.client.send(producer, topic, rows)
        producer.flush(30)
        commit = threading.Timer(1.5, producer.commit_transaction, (30,))
        commit.start()
        printed = self.leat_kafka("consume", topic).count("\n")
        commit.join()
        wanted = len(records) + len(done) + len(behind) + len(rows)
        expect(printed == wanted, f"leat kafka consume printed {printed} messages of {wanted}")
        return "aborted, committed, open: it ends at each"

    # ---- several tables ----

    def expect_other(self, to, records, what):
        wanted = {q: [(r.key, r.value + b"?") for r in records if r.partition == q and r.offset % 5 == 1] for q in (0, 1)}
        found = {q: [(r.key, r.value) for r in rows] for q, rows in self.client.read(to).items()}
        for q in (0, 1):
            expect_same_rows(found[q], wanted[q], f"{what}: {to}-{q}")

    def test_several_tables(self):
        """Two topics in one transaction, a file of SQLite and the catalog: kill -9 between and within their commits."""
        topic = self.topic("in", 2)
        records = self.fill(topic, 12000)
        to, other = self.topic("out", 2), self.topic("other", 2)
        sql = source("events", self.brokers, subscribe=topic) + sink("copied", self.brokers, COPY_QUERY, topic=to)
        sql += sink("second", self.brokers, OTHER_QUERY, topic=other) + KEPT + PER_KEY
        sql += "CREATE STREAMING TABLE outside USING sqlite TBLPROPERTIES (path = 'outside.db') AS SELECT partition, offset FROM STREAM events;\n"
        p = self.pipeline(sql, f"leat.epoch.maxRows={EPOCH_ROWS}")
        points = ["kafka.flush=kill:2", "epoch.between_commits=kill:1", "kafka.commit=kill:2", "kafka.recorded=kill:1", "kafka.committed=kill:1",
                  "sqlite.commit=kill:2", "sqlite.commit=kill:1"]
        for point in points:
            before = p.count("kept")
            process, code = p.run(failpoint=point)
            expect(code == -signal.SIGKILL, lambda: f"{point}: exit {code}\n{process.text()}")
            expect(p.count("kept") >= before, f"{point}: rows went")
        expect(p.count("kept") < len(records), "everything was done before the last kill")
        p.run_to_end()
        self.expect_copied(to, records, "the first topic")
        self.expect_other(other, records, "the second topic")
        self.expect_counted(p, records, "the catalog")
        outside = p.read("SELECT partition, offset FROM outside ORDER BY partition, offset", store=f"{p.folder}/outside.db")
        expect_same_rows(outside, sorted((r.partition, r.offset) for r in records), "the other file")
        return f"{len(points)} kills, 5 tables in 3 stores"

    def test_keyless_to_a_compacted_topic(self):
        """A compacted topic takes no message without a key: those are dead rows, soon, and the others arrive."""
        topic, to = self.topic("in", 2), self.topic("out", 2, cleanup_policy="compact")
        good = self.fill(topic, 2000)
        bad = self.client.produce(topic, [(i % 2, None, b"%d" % i) for i in range(500)])
        good += self.fill(topic, 100, first=2000)
        p = self.pipeline(source("events", self.brokers, subscribe=topic) + sink("written", self.brokers, "SELECT key, value, partition FROM STREAM events", topic=to))
        p.run_to_end(seconds=30)
        found = {q: [(r.key, r.value) for r in rows] for q, rows in self.client.read(to).items()}
        for q in (0, 1):
            expect_same_rows(found[q], [(r.key, r.value) for r in good if r.partition == q], f"partition {q}")
        expect_same_rows(sorted((d[1], d[2]) for d in p.dead()), sorted((f"{topic}-{r.partition}", r.offset) for r in bad), "leat_dead")
        return f"{len(bad)} dead letters, {len(good)} rows written"

    # ---- the group ----

    def test_group_with_members(self):
        """Others that join and leave the group which gets the positions do not disturb the reading; when they are gone, it has them again."""
        topic = self.topic("in", 2)
        records = self.fill(topic, 300)
        group = f"members-{topic}"
        p = self.places(topic, leat_commitGroup=group)
        process = p.start()
        wait_until("the group has them", lambda: self.client.group_offsets(group, topic) == {0: 150, 1: 150}, 30, process)
        members = []
        try:
            for n in range(2):
                self.join(members, group, topic)
                records += self.fill(topic, 200, first=len(records))
                wait_until(f"all rows with {n + 1} members", lambda: p.count("places") == len(records), 30, process)
        finally:
            for member in members:
                member.close()
        records += self.fill(topic, 100, first=len(records))
        ends = self.client.offsets(topic)

        def committed():
            return self.client.group_offsets(group, topic) == ends
        wait_until("the group has them again", committed, 60, process)
        process.stop()
        self.expect_places(p, records, "a group with members")
        said = [line for line in process.errors().splitlines() if line.startswith(("warning", "error"))]
        expect(len(said) <= 2, lambda: f"{len(said)} lines about the group\n{process.text()}")
        return f"2 members came and went, {len(records)} rows"

    def join(self, members, group, topic):
        """One more consumer in the group; all of them have partitions then. What they are given to read is of no interest."""
        members.append(Consumer({**self.client.base, "group.id": group, "enable.auto.commit": False, "session.timeout.ms": 6000}))
        members[-1].subscribe([topic])

        def assigned():
            for member in members:
                member.poll(0.05)
            return all(member.assignment() for member in members)
        wait_until(f"{len(members)} members have their partitions", assigned, 30)
