# SPDX-License-Identifier: Apache-2.0
"""What the suites share: a broker, a client, topics and pipelines with names of their own, and the SQL they are written in."""
import os
import re

from harness import Pipeline, expect, expect_same_rows

EPOCH_ROWS = 1000
MEMORY_MB = 200


def on(*brokers):
    """Which brokers a test is for in `make test`: `one` (the newest, all listeners; without this mark), `old` (the oldest supported), `three`
    nodes. In the long tier what is for `one` is for `old` too."""
    def mark(method):
        method.brokers = brokers
        return method
    return mark


def quoted(text):
    return "'" + str(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def source(name, brokers, **options):
    """CREATE TABLE … USING kafka; `_` in an option's name stands for a dot, `kafka_x_y` for kafka.x.y."""
    given = {"kafka.bootstrap.servers": brokers, "startingOffsets": "earliest", **{k.replace("_", "."): v for k, v in options.items()}}
    listed = ", ".join(f"{quoted(k)} {quoted(v)}" for k, v in given.items() if v is not None)
    return f"CREATE TABLE {name} USING kafka OPTIONS ({listed});\n"


def sink(name, brokers, query, **properties):
    given = {"kafka.bootstrap.servers": brokers, **{k.replace("_", "."): v for k, v in properties.items()}}
    listed = ", ".join(f"{quoted(k)} = {quoted(v)}" for k, v in given.items() if v is not None)
    return f"CREATE STREAMING TABLE {name} USING kafka TBLPROPERTIES ({listed}) AS {query};\n"


def table(name, query):
    return f"CREATE STREAMING TABLE {name} AS {query};\n"


def view(name, query):
    return f"CREATE MATERIALIZED VIEW {name} AS {query};\n"


# Each row once with its place, and state that depends on every row.
KEPT = table("kept", "SELECT topic, partition, offset, CAST(key AS STRING) AS k, CAST(value AS STRING) AS v FROM STREAM events")
PER_KEY = view("per_key", "SELECT CAST(key AS STRING) AS k, count(*) AS n, sum(CAST(CAST(value AS STRING) AS BIGINT)) AS total, max(offset) AS last "
                          "FROM events GROUP BY CAST(key AS STRING)")
COPY_QUERY = "SELECT key, concat(CAST(value AS STRING), '!') AS value, partition FROM STREAM events WHERE offset % 7 != 3"


def numbered(i, partition):
    """Row i of the tests that count: a key of twenty, and a number that is i."""
    return partition, b"k%d" % (i % 20), b"%d" % i


class Suite:
    def __init__(self, options, root, rng, broker, client, kind):
        self.leat, self.long, self.random = options.leat, options.long, rng
        self.root, self.broker, self.client, self.kind = root, broker, client, kind
        self.test, self.made, self.pipelines = "", 0, []

    @property
    def brokers(self):
        return self.broker.direct

    def topic(self, what, partitions=1, **config):
        self.made += 1
        name = re.sub(r"[^a-z0-9]+", "-", f"{self.test}-{what}-{self.made}".lower())
        return self.client.create(name, partitions, 3 if self.broker.nodes == 3 else 1, **config)

    def pipeline(self, sql, *settings, environment=None):
        self.made += 1
        p = Pipeline(self.leat, os.path.join(self.root, f"{self.kind}-{self.test}-{self.made}"), sql, *settings, environment=environment)
        self.pipelines.append(p)
        return p

    def end(self):
        for p in self.pipelines:
            p.end_all()
        self.pipelines = []

    # ---- the pipelines that most tests run, and what they must give ----

    def counting(self, topic, brokers=None, options=None, settings=()):
        """Kafka → SQLite: rows and state."""
        brokers = brokers or self.brokers
        return self.pipeline(source("events", brokers, subscribe=topic, **(options or {})) + KEPT + PER_KEY, *settings)

    def copying(self, topic, to, brokers=None, with_state=False, settings=(), options=None, properties=None):
        """Kafka → Kafka, and with state in SQLite beside it."""
        brokers = brokers or self.brokers
        sql = source("events", brokers, subscribe=topic, **(options or {})) + sink("copied", brokers, COPY_QUERY, topic=to, **(properties or {}))
        return self.pipeline(sql + (KEPT + PER_KEY if with_state else ""), *settings)

    def expect_counted(self, p, records, what):
        """kept and per_key are exactly what these records make."""
        wanted = sorted((r.topic, r.partition, r.offset, r.key.decode(), r.value.decode()) for r in records)
        expect_same_rows(p.read("SELECT topic, partition, offset, k, v FROM kept ORDER BY topic, partition, offset"), wanted, f"{what}: kept")
        state = {}
        for r in records:
            n, total, last = state.get(r.key.decode(), (0, 0, -1))
            state[r.key.decode()] = n + 1, total + int(r.value), max(last, r.offset)
        expect_same_rows(p.read("SELECT k, n, total, last FROM per_key ORDER BY k"), sorted((k, *v) for k, v in state.items()), f"{what}: per_key")
        p.expect_balanced()

    def expect_copied(self, to, records, what):
        """Each partition of `to` holds exactly the copies of the same partition's records, in their order."""
        wanted = {}
        for r in sorted(records, key=lambda r: (r.partition, r.offset)):
            if r.offset % 7 != 3:
                wanted.setdefault(r.partition, []).append((r.key, r.value + b"!"))
        found = {p: [(r.key, r.value) for r in rows] for p, rows in self.client.read(to).items() if rows}
        expect(wanted, f"{what}: nothing was to be copied")
        for partition in sorted(set(found) | set(wanted)):
            expect_same_rows(found.get(partition, []), wanted.get(partition, []), f"{what}: {to}-{partition}")

    def fill(self, topic, count, partitions=2, first=0, **config):
        """`count` numbered rows, and their Records."""
        return self.client.produce(topic, [numbered(i, i % partitions) for i in range(first, first + count)], **config)
