# SPDX-License-Identifier: Apache-2.0
"""A real Cassandra on loopback, by test/servers/cassandra.sh: one node without a login, one with login and TLS, or a ring of three.

A small watcher ends the nodes should this program die without doing so.
"""
import contextlib
import os
import random
import signal
import socket
import ssl
import subprocess

from cassandra import ConsistencyLevel
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile
from cassandra.policies import WhiteListRoundRobinPolicy
from cassandra.query import tuple_factory
from harness import ROOT, Failure, Skip, expect

SCRIPT = os.environ.get("CASSANDRA_SCRIPT", os.path.join(ROOT, "test/servers/cassandra.sh"))
START_S, SKIP_STATUS = 300, 77
VERSION = "5.0.9"


def free_port():
    """Two ports in a row that are free at three addresses: for clients, and for the nodes among themselves."""
    for _ in range(200):
        port = random.randrange(20000, 29990)
        with contextlib.ExitStack() as held:
            try:
                for host in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
                    for p in (port, port + 1, port + 2):
                        s = held.enter_context(socket.socket())
                        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                        s.bind((host, p))
                return port
            except OSError:
                continue
    raise Failure("there are no three free ports in a row")


class Server:
    def __init__(self, folder, nodes=1, auth=False, tls="", yaml="", java="", disk_mb=0):
        self.folder, self.nodes, self.auth, self.tls_kind, self.yaml, self.java, self.disk_mb = folder, nodes, auth, tls, yaml, java, disk_mb
        self.port = free_port()
        self.watcher, self.cluster = None, None

    def __str__(self):
        return f"Cassandra {VERSION}, {self.nodes} node{'s' if self.nodes > 1 else ''}{', login' if self.auth else ''}{', TLS' if self.tls_kind else ''}" \
            + (', limits' if self.yaml else '') + (f', {self.disk_mb} MB of disk' if self.disk_mb else '')

    @property
    def proxy_port(self):
        return self.port + 2

    @property
    def tls(self):
        return os.path.join(self.folder, "tls")

    def environment(self):
        return dict(os.environ, CASSANDRA_NODES=str(self.nodes), CASSANDRA_AUTH="1" if self.auth else "", CASSANDRA_TLS=self.tls_kind, CASSANDRA_SYNC="batch",
                    CASSANDRA_YAML=self.yaml, JAVA_TOOL_OPTIONS=f"{os.environ.get('JAVA_TOOL_OPTIONS', '')} {self.java}".strip(),
                    CASSANDRA_HEAP=os.environ.get("CASSANDRA_HEAP", "384m" if self.nodes > 1 else "512m"))

    def script(self, *arguments, seconds=60):
        try:
            out = subprocess.run(["bash", SCRIPT, *map(str, arguments)], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"cassandra.sh {' '.join(map(str, arguments))}: not within {seconds} s\n{(e.stdout or b'').decode('utf-8', 'replace')}") from e
        text = out.stdout.decode("utf-8", "replace").strip()
        if out.returncode == SKIP_STATUS:
            raise Skip(text.split("\n")[-1])
        expect(out.returncode == 0, f"cassandra.sh {' '.join(map(str, arguments))}: exit {out.returncode}\n{text}")
        return text

    def start(self):
        """Skip where the machine cannot have it."""
        os.makedirs(self.folder, exist_ok=True)
        os.chmod(self.folder, 0o755)
        self.make_disk()
        command = 'read -r _; bash "$0" kill9 "$1"; [ -z "$2" ] || umount -l "$2"'
        self.watcher = subprocess.Popen(["bash", "-c", command, SCRIPT, self.folder, self.disk if self.disk_mb else ""], env=self.environment(), stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        text = self.script("start", self.folder, self.port, VERSION, seconds=START_S)
        return next((line for line in text.split("\n") if line.startswith("ready")), text)

    @property
    def disk(self):
        return os.path.join(self.folder, "1", "data")

    def make_disk(self):
        """A small disk for the data of node 1, in memory: only root may have one."""
        if not self.disk_mb:
            return
        os.makedirs(self.disk, exist_ok=True)
        out = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.disk_mb}m", "tmpfs", self.disk], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT, check=False)
        if out.returncode:
            raise Skip(f"a disk that can be full is a tmpfs, which cannot be mounted here: {out.stdout.decode('utf-8', 'replace').strip()}")

    def pid(self, node=1):
        with open(os.path.join(self.folder, str(node), "pid"), encoding="ascii") as f:
            return int(f.read())

    def kill9(self, node=1):
        """At once: no script between the decision and the signal."""
        os.kill(self.pid(node), signal.SIGKILL)
        self.script("kill9", self.folder, node)

    def restart(self, node=1):
        return self.script("restart", self.folder, node, seconds=180)

    def stop(self, *node):
        return self.script("stop", self.folder, *node, seconds=180)

    def connect(self, hosts=None):
        """A session of the official driver, rows as tuples. Only the hosts named: what it is told of others may be down."""
        hosts = hosts or ["127.0.0.1"]
        profile = ExecutionProfile(load_balancing_policy=WhiteListRoundRobinPolicy(hosts), row_factory=tuple_factory, request_timeout=60,
                                   consistency_level=ConsistencyLevel.LOCAL_QUORUM)
        login = PlainTextAuthProvider("cassandra", "cassandra") if self.auth else None
        secure = None
        if self.tls_kind in ("only", "client"):
            secure = ssl.create_default_context(cafile=os.path.join(self.tls, "ca.pem"))
            secure.check_hostname = False
            secure.load_cert_chain(os.path.join(self.tls, "client.pem"), os.path.join(self.tls, "client.key"))
        self.disconnect()
        self.cluster = Cluster(hosts, port=self.port, execution_profiles={EXEC_PROFILE_DEFAULT: profile}, auth_provider=login, ssl_context=secure, protocol_version=5,
                               connect_timeout=20, control_connection_timeout=20, schema_event_refresh_window=-1, topology_event_refresh_window=-1,
                               status_event_refresh_window=-1)
        return self.cluster.connect()

    def disconnect(self):
        if self.cluster:
            self.cluster.shutdown()
            self.cluster = None

    def close(self):
        self.disconnect()
        with contextlib.suppress(Failure, Skip, OSError):
            self.script("kill9", self.folder)
        if self.disk_mb:
            subprocess.run(["umount", "-l", self.disk], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        if self.watcher:
            self.watcher.kill()
            self.watcher.wait()
            self.watcher.stdin.close()
            self.watcher = None
