# SPDX-License-Identifier: Apache-2.0
"""A real mongod on loopback, by test/servers/mongo.sh, and databases of it as the independent client sees them."""
import os
import secrets
import signal
import subprocess

import pymongo
from harness import ROOT, Failure, Skip, expect, free_ports

SCRIPT = os.path.join(ROOT, "test/servers/mongo.sh")
START_S, SKIP_STATUS, ANSWER_MS = 900, 77, 60000


class Server:
    """KINDS: replica (a replica set of one; TLS and passwords as well), standalone (no transactions)."""

    def __init__(self, folder, kind):
        self.folder, self.kind, self.port = folder, kind, free_ports(2)
        self.user, self.password = "ada", "pw-" + secrets.token_hex(12)
        self.watcher = None

    def __str__(self):
        return f"MongoDB, {self.kind}"

    @property
    def options(self):
        return "" if self.kind == "standalone" else "?replicaSet=rs0"

    @property
    def secured(self):
        return self.kind == "secured"

    def uri(self, user=None, password=None, host="127.0.0.1", port=None, more=""):
        login = f"{user or self.user}:{password or self.password}@" if self.secured else ""
        options = "&".join(filter(None, [self.options.lstrip("?"), "authSource=admin" if login else "", more]))
        return f"mongodb://{login}{host}:{port or self.port}/" + (f"?{options}" if options else "")

    @property
    def proxied(self):
        """Without the replica set's name: with it clients would find the way around the proxy."""
        return f"mongodb://127.0.0.1:{self.port + 1}/"

    @property
    def tls(self):
        return os.path.join(self.folder, "tls")

    def environment(self):
        environment = dict(os.environ)
        for name in ("MONGO_AUTH", "MONGO_TLS", "MONGO_STANDALONE"):
            environment.pop(name, None)
        if self.secured:
            environment.update(MONGO_AUTH=f"{self.user}:{self.password}", MONGO_TLS="1")
        if self.kind == "standalone":
            environment["MONGO_STANDALONE"] = "1"
        return environment

    def script(self, *arguments, seconds=120):
        try:
            out = subprocess.run(["bash", SCRIPT, *map(str, arguments)], env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.STDOUT, timeout=seconds, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"mongo.sh {' '.join(map(str, arguments))}: not within {seconds} s") from e
        text = out.stdout.decode("utf-8", "replace").strip()
        if out.returncode == SKIP_STATUS:
            raise Skip(text.split("\n")[-1])
        expect(out.returncode == 0, f"mongo.sh {' '.join(map(str, arguments))}: exit {out.returncode}\n{text}")
        return text

    def start(self):
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.watcher = subprocess.Popen(["bash", "-c", 'read -r _; exec bash "$0" kill9 "$1"', SCRIPT, self.folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        return self.script("start", self.folder, self.port, "--setParameter", "enableTestCommands=1", seconds=START_S).split("\n")[0]

    def kill9(self):
        with open(os.path.join(self.folder, "pid"), encoding="ascii") as f:
            os.kill(int(f.read()), signal.SIGKILL)
        self.script("kill9", self.folder)

    def restart(self):
        self.script("restart", self.folder)

    def client(self):
        return pymongo.MongoClient(self.uri(), serverSelectionTimeoutMS=ANSWER_MS, tz_aware=True)

    def close(self):
        if self.watcher is None:
            return
        try:
            self.script("kill9", self.folder)
        finally:
            self.watcher.stdin.close()
            self.watcher.wait(60)
            self.watcher = None
