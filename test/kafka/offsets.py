# SPDX-License-Identifier: Apache-2.0
"""Where reading begins, what a topic may do meanwhile (grow partitions, lose records, be deleted, be compacted), and what an epoch may hold."""
import glob
import json
import os
import time

from broker import pause
from client import Trickle
from harness import EXIT_DATA, EXIT_FIT, expect, expect_same_rows, wait_until
from suite import Suite, numbered, on, source, table

PLACES = table("places", "SELECT topic, partition, offset FROM STREAM events")
FIND_SOON = {"kafka_metadata_max_age_ms": 500}
BASE_MS = 1700000000000


class Offsets(Suite):
    def places(self, topic_options, *settings):
        return self.pipeline(source("events", self.brokers, **topic_options) + PLACES, *settings)

    @staticmethod
    def found(p):
        return p.read("SELECT topic, partition, offset FROM places ORDER BY topic, partition, offset")

    @staticmethod
    def wanted(records):
        return sorted((r.topic, r.partition, r.offset) for r in records)

    def expect_places(self, options, records, what):
        p = self.places(options)
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(records), what)

    @on("one", "old")
    def test_where_it_begins(self):
        """earliest, JSON with -1 and -2, a timestamp for all, timestamps for each; subscribePattern and assign."""
        topic = self.topic("in", 2)
        records = self.client.produce(topic, [(i % 2, None, b"%d" % i, None, BASE_MS + i * 1000) for i in range(200)])
        part = {p: [r for r in records if r.partition == p] for p in (0, 1)}
        cases = [
            ("earliest", {"startingOffsets": "earliest"}, records),
            ("JSON", {"startingOffsets": json.dumps({topic: {"0": 30, "1": -2}})}, part[0][30:] + part[1]),
            ("JSON latest", {"startingOffsets": json.dumps({topic: {"0": -1, "1": 99}})}, part[1][99:]),
            ("timestamp", {"startingTimestamp": BASE_MS + 100 * 1000}, records[100:]),
            ("timestamps", {"startingOffsetsByTimestamp": json.dumps({topic: {"0": BASE_MS + 150 * 1000, "1": BASE_MS}})},
             [r for r in part[0] if r.timestamp_ms >= BASE_MS + 150 * 1000] + part[1]),
        ]
        for what, options, rows in cases:
            self.expect_places({"subscribe": topic, **options}, rows, what)
        self.expect_places({"subscribePattern": topic[:-1] + "."}, records, "subscribePattern")
        self.expect_places({"assign": json.dumps({topic: [1]})}, part[1], "assign")
        p = self.places({"subscribe": topic, "startingOffsets": "latest"})
        p.run_to_end()
        expect(self.found(p) == [], "latest reads what was there")
        more = self.fill(topic, 10, first=200)
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(more), "latest: what came after the first run")
        return f"{len(cases) + 3} ways"

    def test_timestamp_beyond_the_end(self):
        """Spark's startingOffsetsByTimestampStrategy: an error by default, or the end."""
        topic = self.topic("in")
        self.client.produce(topic, [(0, None, b"old", None, BASE_MS)])
        options = {"subscribe": topic, "startingTimestamp": BASE_MS + 10**9}
        p = self.places(options)
        process, code = p.run()
        expect(code not in (0, None) and code > 0 and f"{topic}" in process.errors(), f"exit {code}\n{process.text()}")
        p = self.places({**options, "startingOffsetsByTimestampStrategy": "latest"})
        p.run_to_end()
        more = self.fill(topic, 5, partitions=1)
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(more), "strategy latest")
        return "an error, or the end"

    def test_latest_and_down(self):
        """What comes while a pipeline that began at the latest is down, is read when it is up again; also if it was killed before any row."""
        topic = self.topic("in", 2)
        self.fill(topic, 100)
        p = self.places({"subscribe": topic, "startingOffsets": "latest"})
        process = p.start()
        wait_until("it has begun", lambda: p.is_running() and self.began(p), 30, process)
        process.kill()
        records = self.fill(topic, 50, first=100)
        process = p.start()
        wait_until("50 rows", lambda: p.count("places") >= 50, 30, process)
        records += self.fill(topic, 50, first=150)
        wait_until("100 rows", lambda: p.count("places") >= 100, 30, process)
        process.stop()
        records += self.fill(topic, 50, first=200)
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(records), "after a kill and a stop")
        return "150 rows came while it was down or up, none before"

    @staticmethod
    def began(p):
        """The first intent, which holds where each partition begins, is in the log."""
        return any(os.path.getsize(f) > 200 for f in glob.glob(os.path.join(p.data, "log", "*.journal")))

    def test_available_now_ends(self):
        """It ends while the topic goes on growing; the next one goes on."""
        topic = self.topic("in", 2)
        first = self.fill(topic, 5000)
        p = self.places({"subscribe": topic}, "leat.epoch.maxRows=500")
        with Trickle(self.client, topic, 2, numbered, per_second=1000) as trickle:
            for _ in range(2):
                before = p.count("places")
                self.wait_for_end(topic, max(before, len(first)) + 100)
                p.run_to_end(seconds=60)
                expect(p.count("places") > before, "a run read nothing")
            self.wait_for_end(topic, p.count("places") + 1)
            records = first + trickle.finish()
        expect(5000 <= p.count("places") < len(records), f"{p.count('places')} rows of {len(records)}")
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(records), "in the end")
        return f"ended twice under way, {len(records)} rows in the end"

    def wait_for_end(self, topic, count):
        """So many records are there by the broker's own word."""
        wait_until(f"the topic holds {count} records", lambda: sum(self.client.offsets(topic).values()) >= count, 30)

    def test_max_offsets_per_trigger(self):
        topic = self.topic("in", 3)
        records = self.fill(topic, 3000, partitions=3)
        p = self.places({"subscribe": topic, "maxOffsetsPerTrigger": "250"})
        process = p.run_to_end()
        epochs = [e["numInputRows"] for e in process.progress("places") if e["numInputRows"]]
        expect(max(epochs) <= 250 and len(epochs) >= 12, f"epochs of {epochs}")
        expect_same_rows(self.found(p), self.wanted(records), "with maxOffsetsPerTrigger")
        return f"{len(epochs)} epochs of {max(epochs)} at most"

    @on("one", "old")
    def test_partitions_and_topics_added(self):
        """New partitions of a topic and new topics of a pattern are found in a living run, from their first record."""
        topic = self.topic("in", 1)
        records = self.fill(topic, 100, partitions=1)
        p = self.places({"subscribePattern": topic + ".*", "startingOffsets": "earliest", **FIND_SOON})
        process = p.start()
        wait_until("100 rows", lambda: p.count("places") == 100, 30, process)
        self.client.add_partitions(topic, 3)
        records += self.client.produce(topic, [(1 + i % 2, None, b"x") for i in range(100)])
        wait_until("the rows of new partitions", lambda: p.count("places") == 200, 60, process)
        other = self.client.create(topic + "-more", 2)
        records += self.fill(other, 100)
        wait_until("the rows of a new topic", lambda: p.count("places") == 300, 60, process)
        process.stop()
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(records), "what was added")
        return "2 partitions, 1 topic"

    # ---- what is gone ----

    def expect_loss(self, change, what, same_run=True):
        """failOnDataLoss: by default the run stops with Spark's condition and keeps what it has; with false it goes on and says so."""
        for fail in (None, "false"):
            topic = self.topic("in", 2)
            records = self.fill(topic, 200)
            p = self.places({"subscribe": topic, "failOnDataLoss": fail, **FIND_SOON})
            p.run_to_end()
            expect(p.count("places") == 200, f"{what}: {p.count('places')} rows at first")
            left = change(topic)
            process, code = p.run(seconds=60)
            if fail is None:
                expect(code in (EXIT_DATA, EXIT_FIT) and "KAFKA_DATA_LOSS" in process.errors() and topic in process.errors(),
                       lambda: f"{what}: exit {code}\n{process.text()}")
                expect_same_rows(self.found(p), self.wanted(records), f"{what}: what it had")
                expect("failOnDataLoss" in process.errors(), lambda: f"{what}: no way out is named\n{process.text()}")
            else:
                expect(code == 0, lambda: f"{what}, failOnDataLoss false: exit {code}\n{process.text()}")
                expect_same_rows(self.found(p), sorted(self.wanted(records) + self.wanted(left)), f"{what}, failOnDataLoss false")
                expect(topic in process.errors(), lambda: f"{what}: not a word about it\n{process.text()}")

    @on("one", "old")
    def test_records_deleted(self):
        """Retention overtook the pipeline while it was down."""
        def change(topic):
            more = self.fill(topic, 400, first=200)
            self.client.delete_records(topic, {0: 250, 1: 300})
            return [r for r in more if r.offset >= {0: 250, 1: 300}[r.partition]]
        self.expect_loss(change, "records deleted")
        return "refused, or passed over with a word"

    def test_topic_made_anew(self):
        """Deleted and made again while the pipeline was down, shorter than it was read."""
        def change(topic):
            self.client.delete(topic)
            self.client.create(topic, 2)
            return self.fill(topic, 60, first=1000)
        self.expect_loss(change, "topic made anew")
        return "refused, or read from its beginning"

    def test_topic_deleted(self):
        def change(topic):
            self.client.delete(topic)
            return []
        topic_errors = []
        for fail in (None, "false"):
            topic = self.topic("in", 2)
            records = self.fill(topic, 200)
            p = self.places({"subscribe": topic, "failOnDataLoss": fail, **FIND_SOON})
            p.run_to_end()
            change(topic)
            process, code = p.run(seconds=60)
            topic_errors.append(code)
            expect(topic in process.errors(), lambda: f"not a word about it\n{process.text()}")
            expect(fail is not None or code > 0, lambda: f"exit {code}\n{process.text()}")
            expect_same_rows(self.found(p), self.wanted(records), "what it had")
        return f"exit {topic_errors[0]}, and {topic_errors[1]} with failOnDataLoss false"

    def test_deleted_under_a_living_run(self):
        """A topic deleted and made anew under a run that goes on, and records deleted ahead of it."""
        for fail in (None, "false"):
            topic = self.topic("in", 1)
            self.fill(topic, 200, partitions=1)
            p = self.places({"subscribe": topic, "failOnDataLoss": fail, **FIND_SOON})
            process = p.start()
            wait_until("200 rows", lambda: p.count("places") == 200, 30, process)
            self.client.delete(topic)
            self.client.create(topic, 1)
            self.fill(topic, 60, partitions=1, first=1000)
            if fail is None:
                wait_until("it ends", lambda: process.poll() is not None, 60)
                expect(process.returncode in (EXIT_DATA, EXIT_FIT) and "KAFKA_DATA_LOSS" in process.errors(), f"exit {process.returncode}\n{process.text()}")
                expect(p.count("places") == 200, f"{p.count('places')} rows")
            else:
                wait_until("the rows of the new topic", lambda: p.count("places") == 260, 60, process)
                process.stop()
        return "stopped, or read on"

    def test_unknown_topic(self):
        p = self.places({"subscribe": "no-such-topic"})
        process, code = p.run(seconds=60)
        expect(code > 0 and "no-such-topic" in process.errors() and "error" in process.errors(), f"exit {code}\n{process.text()}")
        return f"exit {code} with its name"

    def test_compacted(self):
        """Offsets that compaction took are gaps, not losses."""
        topic = self.topic("in", 1, cleanup_policy="compact", segment_ms=100, min_cleanable_dirty_ratio=0.01, max_compaction_lag_ms=200,
                           min_compaction_lag_ms=0, delete_retention_ms=100)
        for i in range(3):
            self.client.produce(topic, [(0, b"k%d" % (n % 50), b"%d" % n) for n in range(i * 1000, i * 1000 + 1000)])
            time.sleep(0.15)  # older than a segment may be

        def compacted():
            self.client.produce(topic, [(0, b"roll", b"0")])
            return self.client.count(topic) < 1500
        wait_until("compaction has begun", compacted, 60)
        self.client.configure(topic, cleanup_policy="delete", retention_ms=-1)
        rows = self.client.read(topic)[0]
        gaps = sum(b.offset - a.offset > 1 for a, b in zip(rows, rows[1:])) + (rows[0].offset > 0)
        expect(gaps > 0, "there is no gap")
        p = self.places({"subscribe": topic}, "leat.epoch.maxRows=40")
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(self.client.read(topic)[0]), "what compaction left")
        p.expect_balanced()
        return f"{len(rows)} of more than 3,000 records, {gaps} gaps"

    def test_group_committed(self):
        """The positions go to a group for whoever watches lags; leat's own never come from it."""
        topic = self.topic("in", 2)
        records = self.fill(topic, 300)
        group = f"watch-{topic}"
        p = self.places({"subscribe": topic, "leat_commitGroup": group})
        process = p.start()
        wait_until("300 rows", lambda: p.count("places") == 300, 30, process)
        wait_until("the group has them", lambda: self.client.group_offsets(group, topic) == {0: 150, 1: 150}, 30, process)
        process.stop()
        self.client.set_group_offsets(group, topic, {0: 10, 1: 10})
        records += self.fill(topic, 50, first=300)
        p.run_to_end()
        expect_same_rows(self.found(p), self.wanted(records), "after somebody moved the group")
        return "committed, and never asked"

    def test_min_offsets_per_trigger(self):
        """An epoch waits for so many rows, or for the delay."""
        topic = self.topic("in", 2)
        records = self.fill(topic, 60)
        p = self.places({"subscribe": topic, "minOffsetsPerTrigger": "100", "maxTriggerDelay": "1h"})
        process = p.start()
        wait_until("it runs", p.is_running, 30, process)
        pause(1.5)
        expect(p.count("places") == 0, f"{p.count('places')} rows of 60 did not wait for 100")
        records += self.fill(topic, 140, first=60)
        wait_until("100 rows of 200", lambda: p.count("places") >= 100, 30, process)
        process.stop()
        p = self.places({"subscribe": topic, "minOffsetsPerTrigger": "1000", "maxTriggerDelay": "2s"})
        process = p.start()
        for more in (0, 7):
            records += self.fill(topic, more, first=len(records))
            wait_until(f"{len(records)} rows, after the delay", lambda: p.count("places") == len(records), 30, process)
        process.stop()
        expect_same_rows(self.found(p), self.wanted(records), "with minOffsetsPerTrigger")
        return "60 waited for 140 more; 200, then 7, for the delay"
