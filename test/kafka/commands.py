# SPDX-License-Identifier: Apache-2.0
"""`leat kafka`: a first topic and a look inside without other tools. And what a running pipeline says of itself on its control socket."""
import json
import subprocess

from client import Trickle
from harness import EXIT_UNREACHABLE, PATIENCE, expect, expect_same_rows, free_ports, wait_until
from suite import Suite, numbered, on


class Commands(Suite):
    def leat_kafka(self, *arguments, give=b"", code=0, brokers=None):
        command = [self.leat, "kafka", *arguments, "-b", brokers or self.brokers]
        out = subprocess.run(command, input=give, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60 * PATIENCE, check=False)
        text = out.stderr.decode("utf-8", "replace")
        expect(out.returncode == code, f"{' '.join(command[1:])}: exit {out.returncode}\n{text}")
        return out.stdout.decode("utf-8"), text

    @on("one", "old", "three")
    def test_commands(self):
        """A topic made, written and read by leat; the independent client sees the same."""
        topic = "commands-" + self.kind
        self.leat_kafka("topics", "--create", topic, "--partitions", "2")
        expect(self.client.partitions(topic) == [0, 1], "it has not two partitions")
        lines = [f"k{i % 5}=wert {i} ✓" for i in range(500)]
        self.leat_kafka("produce", topic, "--key-separator", "=", "--header", "by=leat", give="\n".join(lines).encode() + b"\n")
        records = [r for rows in self.client.read(topic).values() for r in rows]
        expect_same_rows(sorted((r.key + b"=" + r.value).decode() for r in records), sorted(lines), "what it produced")
        expect(all(r.headers == [("by", b"leat")] for r in records), "headers")
        out, _ = self.leat_kafka("consume", topic, "--format", "json")
        found = [json.loads(line) for line in out.splitlines()]
        expect_same_rows(sorted((f["partition"], f["offset"], f["key"], f["value"]) for f in found),
                         sorted((r.partition, r.offset, r.key.decode(), r.value.decode()) for r in records), "what it consumed")
        out, _ = self.leat_kafka("consume", topic, "--partition", "0", "--from", "-3")
        expect_same_rows(out.splitlines(), [r.value.decode() for r in records if r.partition == 0][-3:], "the last three")
        out, _ = self.leat_kafka("topics", topic)
        expect(topic in out, out)
        self.leat_kafka("topics", "--delete", topic)
        wait_until("the topic is deleted", lambda: topic not in self.client.admin.list_topics(timeout=30).topics, 30)
        return f"{len(lines)} lines there and back"

    def test_commands_unreachable(self):
        port = free_ports(1)
        _, text = self.leat_kafka("topics", "--timeout", "2 s", code=EXIT_UNREACHABLE, brokers=f"127.0.0.1:{port}")
        expect(str(port) in text and len(text.splitlines()) <= 6, text)
        return "one error with the address"

    def test_progress_of_a_run(self):
        """The control socket answers during the run, with offsets that move and end where the topic does."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        p = self.copying(topic, to, with_state=True)
        with Trickle(self.client, topic, 2, numbered, per_second=1000) as trickle:
            process = p.start()
            wait_until("rows arrive", lambda: p.count("kept") > 200, 30, process)
            first = p.control()
            wait_until("more rows arrive", lambda: p.count("kept") > 700, 30, process)
            second = p.control()
            records = trickle.finish()
        wait_until("all rows", lambda: p.count("kept") == len(records), 30, process)
        wait_until("it says so", lambda: p.control()["totals"]["rowsIn"] >= len(records), 30, process)
        last = p.control()
        process.stop()
        expect(first["pid"] == process.pid and {f["name"] for f in last["flows"]} == {"copied", "kept", "per_key"}, f"{first}")
        expect(0 < first["totals"]["rowsIn"] < second["totals"]["rowsIn"] < last["totals"]["rowsIn"], "the rows do not grow")
        for flow in last["flows"]:
            source = flow["sources"][0]
            expect(source["description"] == f"KafkaV2[Subscribe[{topic}]]", source["description"])
            ends = {str(q): o for q, o in self.client.offsets(topic).items()}
            expect(source["endOffset"] == {topic: ends}, f"{flow['name']}: {source['endOffset']}, not {ends}")
        return f"{len(records)} rows followed"
