# SPDX-License-Identifier: Apache-2.0
"""What another client wrote, leat reads; what leat wrote, another client reads: exactly, with keys, NULLs, headers, codecs and transactions."""
import datetime
import json
import subprocess

from harness import EXIT_CHECK, PATIENCE, expect, expect_same_rows, wait_until
from suite import Suite, on, quoted, sink, source, table

CODECS = ["none", "gzip", "snappy", "lz4", "zstd"]
AT_MS = 1700000000123
EVERYTHING = ("SELECT key, value, topic, partition, offset, CAST(timestamp AS STRING) AS at, timestampType, headers IS NULL AS bare, "
              "transform(headers, h -> concat(h.key, '=', coalesce(hex(h.value), 'NULL'))) AS headers FROM STREAM events")


def shown(timestamp_ms):
    """As Spark casts a timestamp to a string."""
    at = datetime.datetime.fromtimestamp(timestamp_ms // 1000, datetime.timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
    fraction = f"{timestamp_ms % 1000:03d}".rstrip("0")
    return at + ("." + fraction if fraction else "")


def every_kind_of_row(rng, partitions):
    """Keys and values: NULL, empty, text, bytes that are no text; headers: none, one, several with one name, without a value."""
    rows = []
    keys = [None, b"", b"k", "schlüssel".encode(), bytes(range(256))]
    values = [None, b"", b"v", b"\x00", "wert ✓".encode(), b"\xff\xfe\x80", b"x" * 70000, json.dumps({"a": 1}).encode()]
    headers = [None, [("one", b"1")], [("same", b"1"), ("same", b"2"), ("none", None), ("empty", b""), ("bytes", b"\xff\x00")]]
    for i in range(600):
        rows.append((i % partitions, rng.choice(keys), rng.choice(values), rng.choice(headers), AT_MS + rng.randrange(10**9)))
    return rows


class Exchange(Suite):
    @on("one", "old", "three")
    def test_read_everything(self):
        """Two topics of several partitions, all codecs, every kind of row."""
        topics = [self.topic("a", 3), self.topic("b", 2)]
        records = []
        for topic, partitions in zip(topics, (3, 2)):
            for codec in CODECS:
                records += self.client.produce(topic, every_kind_of_row(self.random, partitions), **{"compression.type": codec, "batch.size": 100000})
        sql = source("events", self.brokers, subscribe=",".join(topics), includeHeaders="true") + table("kept", EVERYTHING)
        p = self.pipeline(sql, "leat.epoch.maxRows=700")
        process = p.run_to_end()
        found = p.read("SELECT key, value, topic, partition, offset, at, timestampType, headers FROM kept ORDER BY topic, partition, offset")
        wanted = [(r.key, r.value, r.topic, r.partition, r.offset, shown(r.timestamp_ms), 0, self.header_text(r))
                  for r in sorted(records, key=lambda r: r[:3])]
        found = [(*row[:7], json.loads(row[7]) if row[7] is not None else None) for row in found]
        expect_same_rows(found, wanted, "what leat read")
        bare = p.read("SELECT count(*) FROM kept WHERE bare")[0][0]
        expect(bare == sum(r.headers is None for r in records), f"{bare} rows have no headers")
        expect(len(process.progress()) >= len(records) // 700, "too few epochs")
        p.expect_balanced()
        return f"{len(records)} records, {len(CODECS)} codecs, 5 partitions of 2 topics, {len(process.progress())} epochs"

    @staticmethod
    def header_text(r):
        return None if r.headers is None else [f"{k}={'NULL' if v is None else v.hex().upper()}" for k, v in r.headers]

    @on("one", "old", "three")
    def test_write_everything(self):
        """Key, value, headers and partition arrive as they left; each partition keeps its order."""
        made = 0
        for threads in (1, 4):
            topic, to = self.topic("in", 4), self.topic("out", 4)
            records = self.client.produce(topic, every_kind_of_row(self.random, 4) * 3)
            sql = source("events", self.brokers, subscribe=topic, includeHeaders="true")
            sql += sink("written", self.brokers, "SELECT key, value, headers, partition FROM STREAM events", topic=to)
            p = self.pipeline(sql, "leat.epoch.maxRows=500")
            p.run_to_end("--threads", str(threads))
            found = self.client.read(to)
            for partition, rows in found.items():
                wanted = [(r.key, r.value, r.headers) for r in records if r.partition == partition]
                expect_same_rows([(r.key, r.value, r.headers) for r in rows], wanted, f"{threads} threads, partition {partition}")
                made += len(rows)
        return f"{made} records over 1 and 4 threads"

    def test_write_codecs(self):
        topic = self.topic("in", 2)
        records = self.fill(topic, 3000)
        for codec in CODECS:
            to = self.topic(codec, 2)
            self.copying(topic, to, properties={"kafka_compression_type": codec}).run_to_end()
            self.expect_copied(to, records, codec)
        return f"{len(CODECS)} codecs"

    def test_write_topic_column(self):
        """Rows say themselves where they go; without a partition the key decides, as the Java client's hash does."""
        topic, tos = self.topic("in", 2), [self.topic("a", 3), self.topic("b", 3)]
        records = self.fill(topic, 2000)
        query = f"SELECT key, value, if(offset % 2 = 0, {quoted(tos[0])}, {quoted(tos[1])}) AS topic FROM STREAM events"
        p = self.pipeline(source("events", self.brokers, subscribe=topic) + sink("routed", self.brokers, query))
        p.run_to_end()
        for i, to in enumerate(tos):
            found = self.client.read(to)
            rows = sorted((r.key, r.value) for part in found.values() for r in part)
            expect_same_rows(rows, sorted((r.key, r.value) for r in records if r.offset % 2 == i), to)
            again = self.topic("hash", 3)
            self.client.produce(again, [(None, r.key, r.value) for part in found.values() for r in part], partitioner="murmur2_random")
            mine = {p: {r.key for r in rows} for p, rows in found.items()}
            theirs = {p: {r.key for r in rows} for p, rows in self.client.read(again).items()}
            expect(mine == theirs, f"keys lie in other partitions than Java's: {mine}, not {theirs}")
        return "2 topics; keys in the partitions Java would choose"

    @on("one", "old")
    def test_transactions(self):
        """Committed and aborted ones interleaved with plain messages: what was aborted is not there, unless asked for."""
        topic = self.topic("in", 2)
        a, b = self.client.transactional(f"{topic}-a"), self.client.transactional(f"{topic}-b")
        committed, aborted, n = [], [], 0
        for round_number in range(12):
            rows = [numbered_wide(n + i) for i in range(self.random.randrange(1, 120))]
            n += len(rows)
            keep = self.random.random() < 0.5 or round_number == 0
            keep = keep and round_number != 1
            (committed if keep else aborted).extend(self.client.transaction(self.random.choice((a, b)), topic, rows, commit=keep))
            if round_number % 3 == 0:
                rows = [numbered_wide(n + i) for i in range(20)]
                n += len(rows)
                committed += self.client.produce(topic, rows)
        expect(committed and aborted, "nothing was aborted")
        p = self.counting(topic, settings=["leat.epoch.maxRows=100"])
        p.run_to_end()
        self.expect_counted(p, committed, "read_committed")
        dirty = self.counting(topic, options={"kafka_isolation_level": "read_uncommitted"})
        dirty.run_to_end()
        self.expect_counted(dirty, committed + aborted, "read_uncommitted")
        return f"{len(committed)} committed, {len(aborted)} aborted"

    def test_open_transaction(self):
        """What stands behind an open transaction is not read, and is when it ends."""
        topic = self.topic("in")
        records = self.fill(topic, 100, partitions=1)
        producer = self.client.transactional(topic)
        producer.begin_transaction()
        done = self.client.send(producer, topic, [numbered_wide(i, 1) for i in range(100, 200)])
        producer.flush(30)
        behind = self.fill(topic, 50, partitions=1, first=200)
        p = self.counting(topic)
        process = p.start()
        wait_until("the first 100 rows", lambda: p.count("kept") == 100, 30, process)
        expect(self.client.in_transaction(topic), "no transaction was open")
        producer.commit_transaction(30)
        wait_until("all 250 rows", lambda: p.count("kept") == 250, 30, process)
        process.stop()
        self.expect_counted(p, records + [slot[0] for slot in done] + behind, "after the commit")
        return "100 rows, then 250"

    def test_batch(self):
        """`leat sql` over a Kafka table: once, from here to there."""
        topic = self.topic("in", 2)
        self.fill(topic, 1000)
        ranges = json.dumps({topic: {"0": 100, "1": 200}}), json.dumps({topic: {"0": 150, "1": -1}})
        p = self.pipeline(source("events", self.brokers, subscribe=topic, startingOffsets=ranges[0], endingOffsets=ranges[1]))
        with open(p.file, encoding="utf-8") as f:
            create = f.read()
        code, out, errors = p.ask(create + "SELECT partition, count(*) AS n, min(offset) AS a, max(offset) AS b FROM events GROUP BY partition ORDER BY partition")
        expect(code == 0, f"exit {code}\n{errors}")
        expect("0,50,100,149" in out and "1,300,200,499" in out, out)
        return "350 rows between two sets of offsets"


    def test_sink_mistakes(self):
        """What cannot be written is said before anything is read, by `leat check` too."""
        topic = self.topic("in")
        cases = [("no topic", "SELECT value FROM STREAM events", {}, "topic"), ("no value", "SELECT key FROM STREAM events", {"topic": topic}, "value"),
                 ("a number as value", "SELECT offset AS value FROM STREAM events", {"topic": topic}, "value"),
                 ("a partition that is text", "SELECT value, 'x' AS partition FROM STREAM events", {"topic": topic}, "partition"),
                 ("headers that are text", "SELECT value, 'x' AS headers FROM STREAM events", {"topic": topic}, "headers"),
                 ("an unknown option", "SELECT value FROM STREAM events", {"topic": topic, "leat.delivry": "exactly-once"}, "leat.delivery"),
                 ("an unknown delivery", "SELECT value FROM STREAM events", {"topic": topic, "leat.delivery": "twice"}, "at-least-once")]
        for what, query, properties, word in cases:
            p = self.pipeline(source("events", self.brokers, subscribe=topic) + sink("written", self.brokers, query, **properties))
            out = subprocess.run([self.leat, "check", p.file], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=30 * PATIENCE,
                                 check=False)
            text = out.stdout.decode("utf-8", "replace")
            expect(out.returncode == EXIT_CHECK and word in text and "error" in text, f"{what}: leat check: exit {out.returncode}\n{text}")
        return f"{len(cases)} mistakes"

    def test_rows_refused(self):
        """A row that the topic cannot take is a dead letter; the others arrive."""
        topic, to = self.topic("in", 2), self.topic("out", 2, max_message_bytes=20000)
        good = self.fill(topic, 300)
        self.client.produce(topic, [(0, b"big", b"x" * 60000), (1, b"astray", b"99"), (0, b"nowhere", b"1")])
        query = (f"SELECT key, value, CASE WHEN key = CAST('nowhere' AS BINARY) THEN NULL ELSE {quoted(to)} END AS topic, "
                 "if(key = CAST('astray' AS BINARY), 99, partition) AS partition FROM STREAM events")
        p = self.pipeline(source("events", self.brokers, subscribe=topic) + sink("written", self.brokers, query), "leat.epoch.maxRows=100")
        p.run_to_end()
        found = {q: [(r.key, r.value) for r in rows] for q, rows in self.client.read(to).items()}
        for q in (0, 1):
            expect_same_rows(found[q], [(r.key, r.value) for r in good if r.partition == q], f"partition {q}")
        dead = p.dead()
        expect(len(dead) == 3 and all(d[1].startswith(topic) for d in dead), f"{[d[:5] for d in dead]}")
        return f"{len(dead)} dead letters, {len(good)} rows written"


def numbered_wide(i, partitions=2):
    return i % partitions, b"k%d" % (i % 20), b"%d" % i
