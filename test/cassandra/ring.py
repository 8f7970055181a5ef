# SPDX-License-Identifier: Apache-2.0
"""Three nodes: rows go to all, and one that stops is no outage while a quorum answers."""
import os

from harness import expect, wait_until
from suite import RECOVERY_S, Suite, Trickle, events, on

HOSTS = ["127.0.0.1", "127.0.0.2", "127.0.0.3"]


class Ring(Suite):
    @on("ring")
    def test_ring(self):
        keyspace = self.keyspace(replicas=3)
        rows = events(0, 3000)
        p = self.counting(keyspace, rows)
        p.run_to_end()
        self.expect_counted(p, keyspace, rows, "three nodes")
        alone = self.keyspace(replicas=1)
        single = self.counting(alone, rows)
        single.run_to_end()
        self.expect_counted(single, alone, rows, "three nodes, one copy")
        return f"{len(rows)} rows, with three copies and with one"

    @on("ring")
    def test_node_stopped(self):
        """The contact point itself stops, then another is killed after it is back."""
        keyspace = self.keyspace(replicas=3)
        rows = events(0, 1000)
        p = self.counting(keyspace, rows, place={**self.place(keyspace), "host": ",".join(HOSTS)})
        path = os.path.join(p.folder, "events.json")
        self.session = self.server.connect(["127.0.0.2"])
        with Trickle(path, 1000, 400) as trickle:
            process = p.start()
            self.wait_for("the first rows", keyspace, "copied", 1100, process)
            self.server.stop(1)
            epoch = p.epoch()
            wait_until("it goes on without node 1", lambda: p.epoch() > epoch + 3, RECOVERY_S, process)
            self.server.restart(1)
            self.session = self.server.connect(["127.0.0.2"])
            self.server.kill9(3)
            epoch = p.epoch()
            wait_until("it goes on without node 3", lambda: p.epoch() > epoch + 3, RECOVERY_S, process)
            rows += trickle.finish()
            self.wait_for("all rows", keyspace, "copied", len(rows), process)
            process.stop()
        self.expect_counted(p, keyspace, rows, "nodes stopped")
        self.server.restart(3)
        return f"{len(rows)} rows, 1 node stopped, 1 killed"
