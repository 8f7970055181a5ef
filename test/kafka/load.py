# SPDX-License-Identifier: Apache-2.0
"""A lag drained from cold in bounded memory."""
from harness import expect
from suite import MEMORY_MB, Suite, sink, source

PIECE = 100000


class Load(Suite):
    def test_lag(self):
        """Small messages, Kafka → Kafka, exactly once: counted and summed on the other side, whatever their number."""
        count, partitions = 10_000_000 if self.long else 300_000, 4
        topic, to = self.topic("in", partitions), self.topic("out", partitions)
        for first in range(0, count, PIECE):
            rows = [(i % partitions, None, b'{"id":%d,"name":"user %d"}' % (i, i % 977)) for i in range(first, min(first + PIECE, count))]
            self.client.produce(topic, rows, **{"compression.type": "lz4", "linger.ms": 50, "queue.buffering.max.messages": PIECE})
        sql = source("events", self.brokers, subscribe=topic)
        sql += sink("copied", self.brokers, "SELECT value, partition FROM STREAM events WHERE partition < 3 OR offset % 2 = 0", topic=to)
        p = self.pipeline(sql)
        process = p.run_to_end(seconds=3600 if self.long else 120)
        ends = self.client.offsets(topic)
        expect(sum(ends.values()) == count and process.rows_in("copied") == count, f"{process.rows_in('copied')} rows of {sum(ends.values())}")
        epochs = len(process.progress("copied"))
        expect(epochs > 1, "everything in one epoch")
        expect(process.peak_mb <= MEMORY_MB, f"{process.peak_mb:.0f} MB at its peak")
        found = self.client.identities(to, b'{"id":')
        wanted = {q: (range(q, count, partitions) if q < 3 else range(q, count, 2 * partitions)) for q in range(partitions)}
        for q, ids in wanted.items():
            expect(found[q] == (len(ids), sum(ids), True), f"partition {q}: (count, sum, ascending) is {found[q]}, not {(len(ids), sum(ids), True)}")
        return f"{count} messages in {epochs} epochs, {process.peak_mb:.0f} MB"
