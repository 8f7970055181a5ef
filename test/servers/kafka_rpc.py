#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Administers the Kafka brokers of kafka.sh by the raw protocol, with the standard library alone: no JVM starts for every step.

    kafka_rpc.py PORT[,PORT...] COMMAND ...      the plain listeners on 127.0.0.1; the first that answers is asked

    ready NODES [CLUSTER]                        exit 0 when so many brokers are registered and there is a controller
    describe [TOPIC ...]                         brokers and partitions
    leader TOPIC                                 a line for each partition: partition and the id of its leader
    offsets TOPIC                                a line for each partition: partition, first offset, next offset
    create TOPIC PARTITIONS REPLICAS [SETTING=VALUE ...]      waits for the leaders
    delete TOPIC                                 waits until it is gone
    add-partitions TOPIC TOTAL
    delete-records TOPIC PARTITION BEFORE        the first offset becomes BEFORE
    move TOPIC PARTITION NODE                    makes NODE the leader: first replica, then elected; waits for it
    describe-group GROUP                         state, members, and the committed offsets with their metadata
    versions                                     the requests the broker takes: key:lowest-highest

Kafka 3.9 and 4.4 take all the request versions used here. Exit 1 with one line says what failed.
"""
import socket
import struct
import sys
import time

EARLIEST, LATEST = -2, -1
METADATA, LIST_OFFSETS, OFFSET_FETCH, FIND_COORDINATOR, DESCRIBE_GROUPS, API_VERSIONS = 3, 2, 9, 10, 15, 18
CREATE_TOPICS, DELETE_TOPICS, DELETE_RECORDS, CREATE_PARTITIONS, ELECT_LEADERS, ALTER_REASSIGNMENTS = 19, 20, 21, 37, 43, 45
ERRORS = {3: "unknown topic or partition", 5: "leader not available", 6: "not the leader", 15: "coordinator not available", 16: "not the coordinator",
          17: "invalid topic name", 36: "topic exists", 37: "invalid number of partitions", 38: "invalid number of replicas",
          39: "invalid replica assignment", 1: "offset out of range", 80: "preferred leader not available", 84: "election not needed",
          85: "no reassignment in progress"}
COORDINATOR_NOT_AVAILABLE, TOPIC_EXISTS, ELECTION_NOT_NEEDED = 15, 36, 84
TIMEOUT_S, WAIT_S, BROKER_MS = 30, 120, 25000


class Failure(Exception):
    pass


def check(error, what, message=None):
    if error:
        raise Failure(f"{what}: {message or ERRORS.get(error, 'error')} ({error})")


def string(text):
    raw = text.encode()
    return struct.pack(">h", len(raw)) + raw


def compact_string(text):
    raw = text.encode()
    return varint(len(raw) + 1) + raw


def varint(value):
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes(out + bytes([value]))


def array(items):
    items = list(items)
    return struct.pack(">i", len(items)) + b"".join(items)


def compact_array(items):
    items = list(items)
    return varint(len(items) + 1) + b"".join(items)


class Reader:
    """Takes values off the front of an answer."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, code):
        value, = struct.unpack_from(">" + code, self.data, self.at)
        self.at += struct.calcsize(">" + code)
        return value

    def int16(self):
        return self.number("h")

    def int32(self):
        return self.number("i")

    def int64(self):
        return self.number("q")

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Failure("the answer ends too soon")
        self.at += size
        return self.data[self.at - size:self.at]

    def string(self):
        size = self.int16()
        return None if size < 0 else self.take(size).decode()

    def bytes(self):
        size = self.int32()
        return None if size < 0 else self.take(size)

    def varint(self):
        value = shift = 0
        while True:
            byte = self.number("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    def compact_string(self):
        size = self.varint()
        return None if size == 0 else self.take(size - 1).decode()

    def skip_tags(self):
        for _ in range(self.varint()):
            self.varint()
            self.take(self.varint())

    def array(self, read):
        return [read() for _ in range(self.int32())]

    def compact_array(self, read):
        return [read() for _ in range(self.varint() - 1)]


def receive(connection, size):
    data = b""
    while len(data) < size:
        part = connection.recv(size - len(data))
        if not part:
            raise EOFError("the broker closed the connection")
        data += part
    return data


def call(port, key, version, body, flexible=False):
    """Sends one request on a connection of its own; a Reader at the start of the answer's body."""
    with socket.create_connection(("127.0.0.1", port), TIMEOUT_S) as connection:
        message = struct.pack(">hhi", key, version, 7) + string("kafka_rpc") + (b"\0" if flexible else b"") + body
        connection.sendall(struct.pack(">i", len(message)) + message)
        size, = struct.unpack(">i", receive(connection, 4))
        answer = Reader(receive(connection, size))
    answer.int32()
    if flexible:
        answer.skip_tags()
    return answer


class Cluster:
    def __init__(self, ports):
        self.ports = ports
        self.brokers, self.controller, self.id, self.topics = {}, -1, None, {}

    def call(self, *request, **more):
        """Asks the first broker that answers."""
        for port in self.ports:
            try:
                return call(port, *request, **more)
            except (OSError, EOFError) as e:
                last = e
        raise last

    def refresh(self, topics=None):
        answer = self.call(METADATA, 4, (struct.pack(">i", -1) if topics is None else array(map(string, topics))) + b"\0")

        def broker():
            node, host, port = answer.int32(), answer.string(), answer.int32()
            answer.string()
            return node, (host, port)

        def partition():
            error, index, leader = answer.int16(), answer.int32(), answer.int32()
            return index, {"error": error, "leader": leader, "replicas": answer.array(answer.int32), "in_sync": answer.array(answer.int32)}

        def topic():
            error, name = answer.int16(), answer.string()
            answer.number("b")
            return name, (error, dict(sorted(answer.array(partition))))
        answer.int32()
        self.brokers = dict(answer.array(broker))
        self.id, self.controller = answer.string(), answer.int32()
        self.topics = dict(answer.array(topic))
        return self

    def partitions(self, name):
        error, partitions = self.refresh([name]).topics[name]
        check(error, f"topic {name}")
        return partitions

    def partition(self, name, index):
        partitions = self.partitions(name)
        if index not in partitions:
            raise Failure(f"topic {name} has no partition {index}")
        return partitions[index]

    def port_of(self, node):
        if node not in self.brokers:
            raise Failure(f"node {node} is not there (nodes: {', '.join(map(str, sorted(self.brokers)))})")
        return self.brokers[node][1]


def wait(what, condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise Failure(f"{what}: not so after {WAIT_S} s")
        time.sleep(0.05)


def ready(cluster, nodes, cluster_id=None):
    cluster.refresh([])
    if len(cluster.brokers) < int(nodes) or cluster.controller < 0 or cluster_id not in (None, cluster.id):
        raise Failure("not ready")


def describe(cluster, *topics):
    cluster.refresh(list(topics) or None)
    print("cluster", cluster.id, "controller", cluster.controller)
    for node, (host, port) in sorted(cluster.brokers.items()):
        print(f"broker {node} {host}:{port}")
    for name, (error, partitions) in sorted(cluster.topics.items()):
        print(f"topic {name}" + (f" {ERRORS.get(error, 'error')} ({error})" if error else ""))
        for index, p in partitions.items():
            print(f"  partition {index} leader {p['leader']} replicas {p['replicas']} in sync {p['in_sync']}")


def leader(cluster, topic):
    for index, partition in cluster.partitions(topic).items():
        print(index, partition["leader"])


def one_offset(cluster, topic, index, node, when):
    body = struct.pack(">i", -1) + array([string(topic) + array([struct.pack(">iq", index, when)])])
    answer = call(cluster.port_of(node), LIST_OFFSETS, 1, body)

    def partition():
        _, error, _, offset = answer.int32(), answer.int16(), answer.int64(), answer.int64()
        check(error, f"offsets of {topic}, partition {index}")
        return offset
    return answer.array(lambda: (answer.string(), answer.array(partition)))[0][1][0]


def offsets(cluster, topic):
    for index, p in cluster.partitions(topic).items():
        print(index, *(one_offset(cluster, topic, index, p["leader"], when) for when in (EARLIEST, LATEST)))


def has_leaders(cluster, topic, count):
    error, partitions = cluster.refresh([topic]).topics[topic]
    return not error and len(partitions) == count and all(p["leader"] >= 0 for p in partitions.values())


def create(cluster, topic, partitions, replicas, *settings):
    pairs = [setting.partition("=") for setting in settings]
    body = array([string(topic) + struct.pack(">ihi", int(partitions), int(replicas), 0) + array(string(name) + string(value) for name, _, value in pairs)])
    answer = cluster.call(CREATE_TOPICS, 2, body + struct.pack(">i?", BROKER_MS, False))
    answer.int32()
    for error, message in answer.array(lambda: (answer.string(), answer.int16(), answer.string())[1:]):
        check(error, f"create {topic}", ERRORS[TOPIC_EXISTS] if error == TOPIC_EXISTS else message)
    wait(f"leaders of {topic}", lambda: has_leaders(cluster, topic, int(partitions)))


def delete(cluster, topic):
    answer = cluster.call(DELETE_TOPICS, 1, array([string(topic)]) + struct.pack(">i", BROKER_MS))
    answer.int32()
    for _, error in answer.array(lambda: (answer.string(), answer.int16())):
        check(error, f"delete {topic}")
    wait(f"{topic} gone", lambda: topic not in cluster.refresh().topics)


def add_partitions(cluster, topic, total):
    body = array([string(topic) + struct.pack(">ii", int(total), -1)]) + struct.pack(">i?", BROKER_MS, False)
    answer = cluster.call(CREATE_PARTITIONS, 0, body)
    answer.int32()
    for _, error, message in answer.array(lambda: (answer.string(), answer.int16(), answer.string())):
        check(error, f"add-partitions {topic}", message)
    wait(f"leaders of {topic}", lambda: has_leaders(cluster, topic, int(total)))


def delete_records(cluster, topic, partition, before):
    node = cluster.partition(topic, int(partition))["leader"]
    body = array([string(topic) + array([struct.pack(">iq", int(partition), int(before))])]) + struct.pack(">i", BROKER_MS)
    answer = call(cluster.port_of(node), DELETE_RECORDS, 0, body)
    answer.int32()
    for _, results in answer.array(lambda: (answer.string(), answer.array(lambda: (answer.int32(), answer.int64(), answer.int16())))):
        for _, _, error in results:
            check(error, f"delete-records {topic}, partition {partition}")


def reassign(cluster, topic, index, replicas):
    partition = struct.pack(">i", index) + compact_array(struct.pack(">i", node) for node in replicas) + b"\0"
    body = struct.pack(">i", BROKER_MS) + compact_array([compact_string(topic) + compact_array([partition]) + b"\0"]) + b"\0"
    answer = cluster.call(ALTER_REASSIGNMENTS, 0, body, flexible=True)

    def result():
        _, error, message = answer.int32(), answer.int16(), answer.compact_string()
        answer.skip_tags()
        check(error, f"move {topic}, partition {index}", message)
    answer.int32()
    error, message = answer.int16(), answer.compact_string()
    check(error, f"move {topic}", message)
    answer.compact_array(lambda: (answer.compact_string(), answer.compact_array(result), answer.skip_tags()))


def elect(cluster, topic, index):
    """Makes the first replica the leader."""
    body = b"\0" + array([string(topic) + array([struct.pack(">i", index)])]) + struct.pack(">i", BROKER_MS)
    answer = cluster.call(ELECT_LEADERS, 1, body)
    answer.int32()
    check(answer.int16(), f"elect {topic}")
    for _, results in answer.array(lambda: (answer.string(), answer.array(lambda: (answer.int32(), answer.int16(), answer.string())))):
        for _, error, message in results:
            check(0 if error == ELECTION_NOT_NEEDED else error, f"elect {topic}, partition {index}", message)


def move(cluster, topic, partition, node):
    index, node = int(partition), int(node)
    old = cluster.partition(topic, index)["replicas"]
    cluster.port_of(node)
    new = ([node] + [n for n in old if n != node])[:len(old)]
    reassign(cluster, topic, index, new)

    def is_placed():
        p = cluster.partition(topic, index)
        return p["replicas"] == new and node in p["in_sync"]
    wait(f"replicas of {topic}, partition {index}", is_placed)
    if cluster.partition(topic, index)["leader"] != node:
        elect(cluster, topic, index)
    wait(f"leader of {topic}, partition {index}", lambda: cluster.partition(topic, index)["leader"] == node)
    print(index, node)


def coordinator_port(cluster, group):
    """The first question makes the broker create the topic of the groups; until that is there it has no answer."""
    end = time.monotonic() + WAIT_S
    while True:
        answer = cluster.call(FIND_COORDINATOR, 1, string(group) + b"\0")
        answer.int32()
        error, message = answer.int16(), answer.string()
        if error != COORDINATOR_NOT_AVAILABLE or time.monotonic() > end:
            check(error, f"coordinator of group {group}", message)
            answer.int32()
            answer.string()
            return answer.int32()
        time.sleep(0.05)


def describe_group(cluster, group):
    port = coordinator_port(cluster, group)
    answer = call(port, DESCRIBE_GROUPS, 1, array([string(group)]))
    answer.int32()

    def member():
        member_id, client, host = answer.string(), answer.string(), answer.string()
        answer.bytes()
        answer.bytes()
        return member_id, client, host

    def description():
        error, _, state, _, assignor = answer.int16(), answer.string(), answer.string(), answer.string(), answer.string()
        return error, state, assignor, answer.array(member)
    for error, state, assignor, members in answer.array(description):
        check(error, f"group {group}")
        print(f"group {group} state {state}" + (f" assignor {assignor}" if assignor else ""))
        for member_id, client, host in members:
            print(f"  member {member_id} client {client} host {host}")
    answer = call(port, OFFSET_FETCH, 2, string(group) + struct.pack(">i", -1))

    def committed():
        return answer.int32(), answer.int64(), answer.string(), answer.int16()
    topics = answer.array(lambda: (answer.string(), answer.array(committed)))
    check(answer.int16(), f"offsets of group {group}")
    for topic, partitions in sorted(topics):
        for index, offset, metadata, error in sorted(partitions):
            check(error, f"offsets of group {group}")
            print(f"  offset {topic} {index} {offset}" + (f" {metadata}" if metadata else ""))


def versions(cluster):
    answer = cluster.call(API_VERSIONS, 0, b"")
    check(answer.int16(), "versions")
    print(" ".join("%d:%d-%d" % v for v in answer.array(lambda: (answer.int16(), answer.int16(), answer.int16()))))


COMMANDS = {f.__name__.replace("_", "-"): f for f in (ready, describe, leader, offsets, create, delete, add_partitions, delete_records, move,
                                                      describe_group, versions)}


def main(arguments):
    if len(arguments) < 2 or arguments[1] not in COMMANDS:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    try:
        COMMANDS[arguments[1]](Cluster([int(p) for p in arguments[0].split(",")]), *arguments[2:])
    except (Failure, OSError, EOFError, struct.error, TypeError, ValueError) as e:
        print(f"kafka_rpc: {e}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
