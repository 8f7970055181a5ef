# SPDX-License-Identifier: Apache-2.0
"""A real Kafka on loopback, by test/servers/kafka.sh: one node with every kind of listener, or three plain ones.

    BASE     PLAINTEXT              what the independent client uses          (a node of three: BASE + 10 · (node − 1))
    +1       controller
    +2 +3 +4 SASL_PLAINTEXT, SSL (client certificates required), SASL_SSL
    +5 +6    PLAINTEXT again, advertised at +6, where our proxy listens: what goes in there never finds the way around it
    +7       SSL at 127.0.0.2: the certificate is for another name

A small watcher ends the nodes should this program die without doing so.
"""
import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import time

from harness import ROOT, Failure, Skip, expect, free_ports, wait_until

SCRIPT = os.environ.get("KAFKA_SCRIPT", os.path.join(ROOT, "test/servers/kafka.sh"))
# kafka.sh gives a server three minutes, and Maven, which fetches it, several tries.
START_S, FETCH_S, STOP_S, SKIP_STATUS = 300, 1200, 120, 77
PORT_TRIES = 5
OTHER_HOST = "127.0.0.2"


class Broker:
    def __init__(self, folder, version, nodes=1):
        self.folder, self.version, self.nodes = folder, version, nodes
        self.base = free_ports(10 * nodes)
        self.user, self.password = "ada", "pw-" + secrets.token_hex(12)
        self.watcher = None

    def __str__(self):
        return f"Kafka {self.version}, {self.nodes} node{'s' if self.nodes > 1 else ''}"

    @property
    def direct(self):
        return ",".join(f"127.0.0.1:{self.base + 10 * i}" for i in range(self.nodes))

    def address(self, offset, host="127.0.0.1"):
        return f"{host}:{self.base + offset}"

    @property
    def proxied(self):
        return self.address(6)

    @property
    def proxy_ports(self):
        return self.base + 6, self.base + 5

    @property
    def tls(self):
        return os.path.join(self.folder, "tls")

    def environment(self):
        environment = dict(os.environ, KAFKA_NODES=str(self.nodes), KAFKA_HEAP=os.environ.get("KAFKA_HEAP", "256m"))
        # Records of years ago must not fall to retention; what tests delete they delete by name.
        settings = {"log.retention.ms": -1, "log.cleaner.backoff.ms": 200, "transaction.abort.timed.out.transaction.cleanup.interval.ms": 500}
        if self.nodes == 1:
            environment.update(KAFKA_SASL=f"{self.user}:{self.password}", KAFKA_TLS="1")
            names = [("PLAINTEXT", 0), ("SASL_PLAINTEXT", 2), ("SSL", 3), ("SASL_SSL", 4)]
            plain = ",".join(f"{n}://{self.address(o)}" for n, o in names)
            misnamed = f"MISNAMED://{self.address(7, OTHER_HOST)}"
            protocols = ",".join(f"{n}:{n}" for n, _ in names)
            settings |= {
                "listeners": f"{plain},PROXIED://{self.address(5)},{misnamed},CONTROLLER://{self.address(1)}",
                "advertised.listeners": f"{plain},PROXIED://{self.address(6)},{misnamed}",
                "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{protocols},PROXIED:PLAINTEXT,MISNAMED:SSL",
                "listener.name.ssl.ssl.client.auth": "required",
                "ssl.truststore.type": "PEM",
                "ssl.truststore.location": os.path.join(self.tls, "ca.pem"),
            }
        given = environment.get("KAFKA_PROPS", "")
        environment["KAFKA_PROPS"] = " ".join([f"{k}={v}" for k, v in settings.items()] + ([given] if given else []))
        return environment

    def script(self, *arguments, seconds=STOP_S):
        try:
            out = subprocess.run(["bash", SCRIPT, *map(str, arguments)], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"kafka.sh {' '.join(map(str, arguments))}: not within {seconds} s\n{(e.stdout or b'').decode('utf-8', 'replace')}") from e
        text = out.stdout.decode("utf-8", "replace").strip()
        if out.returncode == SKIP_STATUS:
            raise Skip(text.split("\n")[-1])
        expect(out.returncode == 0, f"kafka.sh {' '.join(map(str, arguments))}: exit {out.returncode}\n{text}")
        return text

    def start(self):
        """Skip where the machine cannot have it."""
        if not os.path.exists(SCRIPT):
            raise Skip(f"there is no {SCRIPT}")
        self.script("fetch", self.version, seconds=FETCH_S)
        tries = 1
        while True:
            try:
                return self.start_here()
            except Failure as e:  # somebody took a port after it was seen free
                self.close()
                if "in use" not in str(e) or tries == PORT_TRIES:
                    raise
                tries, self.base = tries + 1, free_ports(10 * self.nodes)

    def start_here(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.watch()
        text = self.script("start", self.folder, self.base, self.version, seconds=START_S)
        return next((line for line in text.split("\n") if line.startswith("ready")), text)

    def watch(self):
        """A shell that blocks on a pipe which only this program holds open."""
        command = 'read -r _; exec bash "$0" kill9 "$1"'
        self.watcher = subprocess.Popen(["bash", "-c", command, SCRIPT, self.folder], env=self.environment(), stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def pid(self, node=1):
        with open(os.path.join(self.folder, str(node), "pid"), encoding="ascii") as f:
            return int(f.read())

    def kill9(self, node=1):
        """At once: no script between the decision and the signal."""
        os.kill(self.pid(node), signal.SIGKILL)
        self.script("kill9", self.folder, node)

    def restart(self, node=1):
        return self.script("restart", self.folder, node, seconds=START_S)

    def stop(self, *node):
        return self.script("stop", self.folder, *node, seconds=STOP_S)

    def close(self):
        with contextlib.suppress(Failure, Skip, OSError):
            self.script("kill9", self.folder)
        if self.watcher:
            self.watcher.kill()
            self.watcher.wait()
            self.watcher.stdin.close()
            self.watcher = None

    def other_authority(self):
        """A certificate authority that signed nothing here."""
        path = os.path.join(self.tls, "other-ca.pem")
        if not os.path.exists(path):
            openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30", "-subj", "/CN=other",
                    "-keyout", os.path.join(self.tls, "other-ca.key"), "-out", path)
        return path

    def segments(self, topic, partition=0, node=1):
        """The log files of a partition, oldest first; only to be touched while the node is down."""
        folder = os.path.join(self.folder, str(node), "data", f"{topic}-{partition}")
        return sorted(os.path.join(folder, n) for n in os.listdir(folder) if n.endswith(".log"))


def openssl(*arguments):
    out = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=60)
    expect(out.returncode == 0, lambda: f"openssl {arguments[0]}: {out.stdout.decode('utf-8', 'replace')}")


def wait_down(broker, node=1, seconds=30):
    pid = broker.pid(node)
    wait_until(f"node {node} is gone", lambda: not os.path.exists(f"/proc/{pid}"), seconds)


def folder_of(root, name):
    path = os.path.join(root, name)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    os.chmod(path, 0o755)
    return path


def pause(seconds):
    """Where a length of time is the thing tested (an outage): never to wait for something."""
    time.sleep(seconds)
