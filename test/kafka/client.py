# SPDX-License-Identifier: Apache-2.0
"""The independent client: confluent-kafka from PyPI, with its own librdkafka. It produces what leat reads and reads what leat wrote.

Offsets are never guessed: a read begins at the earliest record there is and ends where the broker says the partition ends. A read of what is
committed first waits until no transaction is open (the last stable offset has reached the end), since a broker answers a commit before its
markers are written.
"""
import collections
import threading
import time

from confluent_kafka import (OFFSET_BEGINNING, Consumer, ConsumerGroupTopicPartitions, IsolationLevel, KafkaError, KafkaException, Producer,
                             TopicPartition)
from confluent_kafka.admin import AdminClient, ConfigResource, NewPartitions, NewTopic, OffsetSpec, ResourceType
from harness import Failure, expect, wait_until

Record = collections.namedtuple("Record", "topic partition offset timestamp_ms key value headers")
WAIT_S = 60


def quiet(_error):
    """Broker deaths are what the tests make: the client recovers by itself, and what fails in the end is raised where it is used."""


class Client:
    def __init__(self, brokers, **more):
        self.brokers = brokers
        self.base = {"bootstrap.servers": brokers, "error_cb": quiet, "log_level": 0, **more}
        self.admin = AdminClient(self.base)

    # ---- topics ----

    def create(self, topic, partitions=1, replication=1, **config):
        new = NewTopic(topic, partitions, replication, config={k.replace("_", "."): str(v) for k, v in config.items()})
        end = time.monotonic() + WAIT_S
        while True:
            try:
                self.admin.create_topics([new], operation_timeout=WAIT_S)[topic].result(WAIT_S)
                break
            except KafkaException as e:  # a broker that a busy machine kept from its heartbeat is fenced until the next
                if e.args[0].code() != KafkaError.INVALID_REPLICATION_FACTOR or time.monotonic() > end:
                    raise
                time.sleep(0.2)
        self.wait_for_leaders(topic, partitions)
        return topic

    def wait_for_leaders(self, topic, partitions):
        def led():
            found = self.admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions
            return len(found) == partitions and all(p.leader >= 0 for p in found.values())
        wait_until(f"{topic} has {partitions} partitions with leaders", led, WAIT_S)

    def delete(self, topic):
        self.admin.delete_topics([topic], operation_timeout=WAIT_S)[topic].result(WAIT_S)
        wait_until(f"{topic} is deleted", lambda: topic not in self.admin.list_topics(timeout=WAIT_S).topics, WAIT_S)

    def add_partitions(self, topic, total):
        self.admin.create_partitions([NewPartitions(topic, total)], operation_timeout=WAIT_S)[topic].result(WAIT_S)
        self.wait_for_leaders(topic, total)

    def delete_records(self, topic, before):
        """Retention at work: what lies before these offsets, {partition: offset}, is gone."""
        wanted = [TopicPartition(topic, p, o) for p, o in before.items()]
        for future in self.admin.delete_records(wanted, operation_timeout=WAIT_S).values():
            future.result(WAIT_S)
        wait_until("the log starts later", lambda: all(self.offsets(topic, earliest=True)[p] == o for p, o in before.items()), WAIT_S)

    def configure(self, topic, **config):
        resource = ConfigResource(ResourceType.TOPIC, topic, set_config={k.replace("_", "."): str(v) for k, v in config.items()})
        for future in self.admin.alter_configs([resource]).values():
            future.result(WAIT_S)

    def partitions(self, topic):
        found = self.admin.list_topics(topic, timeout=WAIT_S).topics[topic]
        expect(found.error is None, f"{topic}: {found.error}")
        return sorted(found.partitions)

    def leader(self, topic, partition=0):
        return self.admin.list_topics(topic, timeout=WAIT_S).topics[topic].partitions[partition].leader

    def offsets(self, topic, earliest=False, committed=False):
        """{partition: offset}: the first record, the end, or the last stable offset."""
        spec = OffsetSpec.earliest() if earliest else OffsetSpec.latest()
        level = IsolationLevel.READ_COMMITTED if committed else IsolationLevel.READ_UNCOMMITTED
        wanted = {TopicPartition(topic, p): spec for p in self.partitions(topic)}
        end = time.monotonic() + WAIT_S
        while True:
            try:
                return {t.partition: f.result(WAIT_S).offset for t, f in self.admin.list_offsets(wanted, isolation_level=level).items()}
            except KafkaException:  # no leader yet; or a client that keeps the epoch of one before
                if time.monotonic() > end:
                    raise
                time.sleep(0.1)
                self.admin = AdminClient(self.base)

    def in_transaction(self, topic):
        """Whether a transaction was open on the topic: what is stable fell short of the end and was the same before and after the end was seen."""
        stable, ends = self.offsets(topic, committed=True), self.offsets(topic)
        return ends != stable and self.offsets(topic, committed=True) == stable

    def settle(self, topic, seconds=WAIT_S):
        wait_until(f"{topic}: no transaction is open", lambda: self.offsets(topic, committed=True) == self.offsets(topic), seconds)

    # ---- producing ----

    def produce(self, topic, rows, flush_s=WAIT_S, **config):
        """rows: (partition or None, key, value[, headers[, timestamp_ms]]). Returns Records in the order given, as acknowledged."""
        producer = Producer({**self.base, "linger.ms": 5, **config})
        done = self.send(producer, topic, rows)
        left = producer.flush(flush_s)
        expect(left == 0, f"{left} messages to {topic} were not delivered in {flush_s} s")
        return acknowledged(done)

    @staticmethod
    def send(producer, topic, rows):
        done = []
        for row in rows:
            partition, key, value, headers, at = (tuple(row) + (None, None))[:5]
            slot = [None]
            done.append(slot)
            wanted = (key, value, headers or None)
            more = {"timestamp": at} if at is not None else {}
            if partition is not None:
                more["partition"] = partition
            while True:
                try:
                    producer.produce(topic, value=value, key=key, headers=headers, on_delivery=keep(slot, wanted), **more)
                    break
                except BufferError:
                    producer.poll(0.1)
            producer.poll(0)
        return done

    def transactional(self, transactional_id, **config):
        producer = Producer({**self.base, "transactional.id": transactional_id, "linger.ms": 1, **config})
        producer.init_transactions(WAIT_S)
        return producer

    def transaction(self, producer, topic, rows, commit=True):
        """One transaction; its records, whether committed or (written to the log all the same, then) aborted."""
        producer.begin_transaction()
        done = self.send(producer, topic, rows)
        producer.flush(WAIT_S)
        if commit:
            producer.commit_transaction(WAIT_S)
        else:
            producer.abort_transaction(WAIT_S)
        return acknowledged(done)

    # ---- reading ----

    def read(self, topic, committed=True, settle=True):
        """{partition: [Record …]} of everything there is, in order."""
        if committed and settle:
            self.settle(topic)
        ends = self.offsets(topic, committed=committed)
        found = {p: [] for p in ends}
        for m in self.stream(topic, ends, "read_committed" if committed else "read_uncommitted"):
            found[m.partition()].append(record_of(m))
        return found

    def stream(self, topic, ends, isolation):
        """Every message from the beginning up to these ends; the time allowed is for silence, not for the whole."""
        consumer = Consumer({**self.base, "group.id": "independent", "enable.auto.commit": False, "enable.partition.eof": True,
                             "isolation.level": isolation, "check.crcs": True, "auto.offset.reset": "error",
                             "fetch.message.max.bytes": 16 << 20, "fetch.wait.max.ms": 20})
        try:
            open_partitions = set(ends)
            consumer.list_topics(topic, timeout=WAIT_S)  # with the leaders known, reading begins at once and not after a retry
            consumer.assign([TopicPartition(topic, p, OFFSET_BEGINNING) for p in ends])
            end = time.monotonic() + WAIT_S
            while open_partitions:
                expect(time.monotonic() < end, f"reading {topic}: nothing more of partitions {open_partitions} within {WAIT_S} s")
                for m in consumer.consume(500, 0.02):
                    if m.error() is None:
                        end = time.monotonic() + WAIT_S
                        yield m
                    elif m.error().code() == KafkaError._PARTITION_EOF:
                        if m.offset() >= ends[m.partition()]:
                            open_partitions.discard(m.partition())
                    elif not m.error().retriable():
                        raise Failure(f"reading {topic}: {m.error()}")
        finally:
            consumer.close()

    def values(self, topic, **more):
        return {p: [r.value for r in rows] for p, rows in self.read(topic, **more).items()}

    def identities(self, topic, prefix):
        """{partition: (count, sum, ascending)} of the numbers after `prefix`, without keeping the records: for topics of any size."""
        self.settle(topic)
        found = {p: [0, 0, True, -1] for p in self.offsets(topic)}
        for m in self.stream(topic, self.offsets(topic), "read_committed"):
            state, number = found[m.partition()], int(m.value()[len(prefix):].split(b",", 1)[0])
            state[0], state[1], state[2], state[3] = state[0] + 1, state[1] + number, state[2] and number > state[3], number
        return {p: tuple(s[:3]) for p, s in found.items()}

    def aborted(self, topic):
        """How many records lie in the log that no reader of committed ones will see: decided transactions only."""
        ends = self.offsets(topic, committed=True)

        def below(committed):
            found = self.read(topic, committed=committed, settle=False)
            return sum(r.offset < ends[p] for p, rows in found.items() for r in rows)
        return below(False) - below(True)

    def count(self, topic, **more):
        return sum(len(rows) for rows in self.read(topic, **more).values())

    # ---- groups ----

    def group_offsets(self, group, topic):
        """{partition: offset} of what a group has committed of a topic."""
        found = self.admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(WAIT_S)
        return {t.partition: t.offset for t in found.topic_partitions if t.topic == topic}

    def set_group_offsets(self, group, topic, offsets):
        wanted = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, p, o) for p, o in offsets.items()])
        self.admin.alter_consumer_group_offsets([wanted])[group].result(WAIT_S)


def keep(slot, wanted):
    """A delivery report has no headers: what was sent is kept, the place is the broker's."""
    def on_delivery(error, m):
        slot[0] = error if error else Record(m.topic(), m.partition(), m.offset(), m.timestamp()[1], *wanted)
    return on_delivery


def acknowledged(done):
    for slot in done:
        if not isinstance(slot[0], Record):
            raise Failure(f"a message was not delivered: {slot[0]}")
    return [slot[0] for slot in done]


def record_of(m):
    headers = m.headers()
    return Record(m.topic(), m.partition(), m.offset(), m.timestamp()[1], m.key(), m.value(), headers if headers else None)


class Trickle:
    """Produces at a steady rate in the background until told to stop; what the broker acknowledged is kept, in order, per partition.

    Idempotent, so that a broker's death neither loses nor doubles what is sent. `with` ends it."""

    def __init__(self, client, topic, partitions, make, per_second=500):
        self.client, self.topic, self.partitions, self.make, self.per_second = client, topic, partitions, make, per_second
        self.stopped, self.count, self.done, self.failure = threading.Event(), 0, [], None
        self.thread = threading.Thread(target=self.work, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def work(self):
        try:
            producer = Producer({**self.client.base, "enable.idempotence": True, "linger.ms": 5, "message.timeout.ms": 300000})
            begin = time.monotonic()
            while not self.stopped.is_set():
                due = int((time.monotonic() - begin) * self.per_second)
                if due > self.count:
                    rows = [self.make(i, i % self.partitions) for i in range(self.count, due)]
                    self.done += Client.send(producer, self.topic, rows)
                    self.count = due
                producer.poll(0.01)
            left = producer.flush(2 * WAIT_S)
            expect(left == 0, f"{left} messages were not delivered")
        except (Failure, KafkaException) as e:
            self.failure = e

    def finish(self):
        """All Records, acknowledged."""
        self.stopped.set()
        self.thread.join(3 * WAIT_S)
        expect(not self.thread.is_alive(), "the producer does not end")
        if self.failure:
            raise Failure(f"producing: {self.failure}")
        return self.placed(acknowledged(self.done))

    def placed(self, records):
        """What was sent again after its first answer was lost is acknowledged without an offset; the topic knows it. Values are unique."""
        if all(r.offset is not None for r in records):
            return records
        found = {(r.partition, r.value): r for rows in self.client.read(self.topic).values() for r in rows}
        lost = [r for r in records if (r.partition, r.value) not in found]
        expect(not lost, f"{len(lost)} acknowledged messages are not in {self.topic}, such as {lost[:3]}")
        return [r if r.offset is not None else found[r.partition, r.value] for r in records]

    def __exit__(self, *_):
        self.stopped.set()
        self.thread.join(3 * WAIT_S)
