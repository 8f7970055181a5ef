# SPDX-License-Identifier: Apache-2.0
"""Records that no query can take: they go to leat_dead with topic, partition, offset and bytes, and the rest goes on."""
import rawrecords
from harness import expect, expect_same_rows, wait_until
from suite import Suite, on, source, table

BIG_BYTES = 10 << 20


class Poison(Suite):
    @on("one", "old")
    def test_poison(self):
        topic = self.topic("in", 2, max_message_bytes=BIG_BYTES + 4096)
        good = [(i % 2, b"k", b'{"a":%d}' % i) for i in range(200)]
        junk = {"empty": b"", "null": None, "big": b"x" * BIG_BYTES, "utf8": b'{"a":"\xff\xfe"}', "cut": b'{"a":', "text": b"oops",
                "deep": b'{"a":' * 5000, "control": b'{"a":\x00}'}
        rows, kinds = list(good), [None] * len(good)
        for i, (kind, value) in enumerate(junk.items()):
            at = 10 + 20 * i
            rows.insert(at, (i % 2, b"k", value))
            kinds.insert(at, kind)
        records = self.client.produce(topic, rows, **{"message.max.bytes": BIG_BYTES + 4096})
        sql = source("events", self.brokers, subscribe=topic)
        sql += table("parsed", "SELECT partition, offset, from_json(CAST(value AS STRING), 'a INT', map('mode', 'FAILFAST')).a AS a FROM STREAM events")
        sql += table("as_number", "SELECT partition, offset, CAST(CAST(value AS STRING) AS BIGINT) AS a FROM STREAM events "
                                  "WHERE value IS NULL OR NOT CAST(value AS STRING) LIKE '{\"a\":_%}'")
        p = self.pipeline(sql, "leat.epoch.maxRows=50")
        process = p.run_to_end()
        found = p.read("SELECT partition, offset, a FROM parsed WHERE a IS NOT NULL ORDER BY partition, offset")
        wanted = sorted((r.partition, r.offset, int(r.value[5:-1])) for r, kind in zip(records, kinds) if kind is None)
        expect_same_rows(found, wanted, "the good rows")
        dead = p.dead()
        expect(all(d[0] == "events" and d[1].startswith(topic + "-") for d in dead), f"{[d[:4] for d in dead]}")
        places = {(d[1], d[2]): d for d in dead}
        for r, kind in zip(records, kinds):
            place = (f"{r.topic}-{r.partition}", r.offset)
            if kind in (None, "null"):
                expect(place not in places, f"{kind or 'a good row'} at {place} is dead: {places.get(place)}"[:500])
            elif kind in ("big", "utf8", "cut", "text", "deep", "control"):
                expect(place in places, f"{kind} at {place} is not in leat_dead: {sorted(places)}")
                raw = places[place][5]
                raw = raw.encode("utf-8", "surrogateescape") if isinstance(raw, str) else raw
                expect(raw and r.value.startswith(bytes(raw)) and (len(raw) == len(r.value) or len(raw) >= 1000), f"{kind}: raw is {bytes(raw)[:50]!r}")
        p.expect_balanced()
        expect(process.peak_mb < 400, f"{process.peak_mb:.0f} MB at its peak")
        return f"{len(dead)} dead letters of {len(junk)} kinds of junk, {len(wanted)} good rows, {process.peak_mb:.0f} MB at most"

    def test_null_key_and_empty_topic(self):
        """A topic without a record gives no row and no error; then the first arrives."""
        topic = self.topic("in", 3)
        p = self.pipeline(source("events", self.brokers, subscribe=topic) + table("kept", "SELECT key, value, offset FROM STREAM events"))
        p.run_to_end()
        expect(p.count("kept") == 0, "rows of an empty topic")
        process = p.start()
        self.client.produce(topic, [(2, None, b"first")])
        wait_until("the first row", lambda: p.count("kept") == 1, 30, process)
        process.stop()
        expect(p.read("SELECT key, value, offset FROM kept") == [(None, b"first", 0)], p.read("SELECT * FROM kept"))
        return "nothing, then one row"

    def test_damaged_batches(self):
        """A batch that says gzip and is not, and one whose bytes are not those that were written: their offsets are in leat_dead, what follows is read."""
        topics = {"codec": self.topic("codec"), "checksum": self.topic("checksum")}
        good, bad = {}, {}
        for what, topic in topics.items():
            good[what] = self.fill(topic, 100, partitions=1)
            bad[what] = self.fill(topic, 50, partitions=1, first=100, **{"compression.type": "gzip", "linger.ms": 200})
            good[what] += self.fill(topic, 100, partitions=1, first=150)
        self.broker.stop()
        for what, topic in topics.items():
            path = self.broker.segments(topic)[0]
            zipped = [b for b in rawrecords.batches(path) if b.codec == rawrecords.CODECS["gzip"]]
            expect(zipped and zipped[0].first == 100 and zipped[-1].last == 149, f"the broker keeps other batches: {zipped}")
            rawrecords.spoil(path, zipped[0], what == "codec", self.random)
            good[what] += [r for r in bad[what] if r.offset > zipped[0].last]
            bad[what] = [r for r in bad[what] if r.offset <= zipped[0].last]
        self.broker.restart()
        for what, topic in topics.items():
            self.client.wait_for_leaders(topic, 1)
            self.expect_passed_over(topic, good[what], bad[what], what)
        return f"{len(bad['codec'])} and {len(bad['checksum'])} offsets in leat_dead; {sum(map(len, good.values()))} good rows"

    def expect_passed_over(self, topic, good, bad, what):
        p = self.counting(topic)
        p.run_to_end()
        self.expect_counted(p, good, what)
        dead = sorted((d[0], d[1], d[2]) for d in p.dead())
        expect_same_rows(dead, [("events", f"{topic}-0", r.offset) for r in bad], f"{what}: leat_dead")
        p.run_to_end()
        expect(len(p.dead()) == len(dead), f"{what}: a second run found it again")
