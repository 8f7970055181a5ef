# SPDX-License-Identifier: Apache-2.0
"""The three real servers on loopback, by test/servers, and what has to be in them.

What is expected is computed here, from the messages of the topic alone and with nothing of leat's SQL: so a run is compared with the truth and not
with another run. A small watcher ends a server should this program die without doing so.
"""
import collections
import contextlib
import datetime
import json
import os
import shutil
import subprocess
import sys
import threading

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "kafka"))
import look  # noqa: E402
from harness import PATIENCE, ROOT, Failure, Skip, expect, expect_same_rows, free_ports  # noqa: E402

COLUMNS = ["id", "gender", "full_name", "full_address", "domain_email", "birthday", "registered_date", "age", "nationality"]
VIEWS = {"users_by_nationality": "nationality", "users_by_age": "age", "users_by_domain": "domain_email"}
START_S, FETCH_S, STOP_S, SKIP_STATUS, PORT_TRIES = 300, 1200, 120, 77, 5
KEYSPACE, COLLECTION = "user", "user_informations"
FULL = os.path.join(ROOT, "examples/users/users-full.sql")
PRODUCER = os.path.join(ROOT, "examples/users/producer.sql")


class Server:
    """One server in a folder of its own; `ports` are as many in a row as it takes."""

    def __init__(self, name, root, ports, restart=()):
        self.name, self.ports, self.arguments = name, ports, restart
        self.script_path = os.path.join(ROOT, "test/servers", name + ".sh")
        self.folder = os.path.join(root, name)
        self.port = free_ports(ports)
        self.watcher = None

    def script(self, *arguments, seconds=STOP_S):
        command = ["bash", self.script_path, *map(str, arguments)]
        try:
            out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 timeout=seconds * PATIENCE, check=False)
        except subprocess.TimeoutExpired as e:
            raise Failure(f"{' '.join(command)}: not within {seconds * PATIENCE} s\n{(e.stdout or b'').decode('utf-8', 'replace')}") from e
        text = out.stdout.decode("utf-8", "replace").strip()
        if out.returncode == SKIP_STATUS:
            raise Skip(text.split("\n")[-1])
        expect(out.returncode == 0, lambda: f"{' '.join(command)}: exit {out.returncode}\n{text}")
        return text

    def start(self):
        """Skip where this machine cannot have it."""
        self.script("fetch", seconds=FETCH_S)
        for last in [False] * (PORT_TRIES - 1) + [True]:
            try:
                return self.start_here()
            except Failure as e:  # somebody took the port after it was seen free
                self.close()
                if last or "in use" not in str(e):
                    raise
                self.port = free_ports(self.ports)
        raise AssertionError

    def start_here(self):
        shutil.rmtree(self.folder, ignore_errors=True)
        os.makedirs(self.folder)
        os.chmod(self.folder, 0o755)
        self.watcher = subprocess.Popen(["bash", "-c", 'read -r _; exec bash "$0" kill9 "$1"', self.script_path, self.folder], stdin=subprocess.PIPE,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        text = self.script("start", self.folder, self.port, seconds=START_S)
        return next((line for line in text.split("\n") if line.startswith("ready")), text)

    def kill9(self):
        self.script("kill9", self.folder)

    def restart(self):
        self.script("restart", self.folder, *self.arguments, seconds=START_S)

    def close(self):
        with contextlib.suppress(Failure, Skip, OSError):
            self.script("kill9", self.folder)
        if self.watcher:
            self.watcher.kill()
            self.watcher.wait()
            self.watcher.stdin.close()
            self.watcher = None


class Servers:
    def __init__(self, root):
        self.kafka, self.cassandra, self.mongo = Server("kafka", root, 5, (1,)), Server("cassandra", root, 2, (1,)), Server("mongo", root, 1)
        self.all = [self.kafka, self.cassandra, self.mongo]

    def start(self):
        """All at once; the first that cannot be had is the reason that is given."""
        said, failures = {}, {}

        def start(server):
            try:
                said[server.name] = server.start()
            except (Failure, Skip, OSError) as e:
                failures[server.name] = e
        threads = [threading.Thread(target=start, args=(server,)) for server in self.all]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for failure in sorted(failures.values(), key=lambda e: isinstance(e, Skip)):
            raise failure
        return [said[server.name] for server in self.all]

    def close(self):
        for server in self.all:
            server.close()

    @property
    def brokers(self):
        return f"127.0.0.1:{self.kafka.port}"

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self.mongo.port}/?replicaSet=rs0"

    def settings(self, topic):
        return [f"brokers={self.brokers}", f"topic={topic}", "cassandra=127.0.0.1", f"cassandra_port={self.cassandra.port}", f"mongodb={self.uri}"]


def text_of_full(space):
    """users-full.sql, with another keyspace and database, so that tests do not meet in one."""
    with open(FULL, encoding="utf-8") as f:
        text = f.read()
    for given in (f"keyspace = '{KEYSPACE}'", f"database = '{KEYSPACE}'"):
        expect(text.count(given) == 1, f"users-full.sql has no {given}")
        text = text.replace(given, given.replace(f"'{KEYSPACE}'", f"'{space}'"))
    return text


def user_of(value, today):
    """The nine columns of a message; None where it is no user."""
    try:
        r = json.loads(value)
        identity = r["login"]["uuid"]
    except (ValueError, TypeError, KeyError):
        return None
    if identity is None:
        return None
    place = r["location"]
    address = [place["street"]["number"], place["street"]["name"], place["city"], place["state"], place["country"], place["postcode"]]
    born = datetime.date.fromisoformat(r["dob"]["date"][:10])
    return (identity, r["gender"], f"{r['name']['first']} {r['name']['last']}", ", ".join(str(part) for part in address if part is not None),
            r["email"].split("@")[-1], str(born), r["registered"]["date"][:10], (today - born).days // 365, r["nat"])


def today_utc():
    return datetime.datetime.now(datetime.timezone.utc).date()


class Truth:
    """What the messages of a topic come to."""

    def __init__(self, leat, servers, topic):
        command = [leat, "kafka", "consume", topic, "-b", servers.brokers, "--timeout", "60 s"]
        out = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=120 * PATIENCE)
        expect(out.returncode == 0, lambda: f"{' '.join(command)}: exit {out.returncode}\n{out.stderr.decode('utf-8', 'replace')}")
        self.servers, self.messages = servers, out.stdout.decode("utf-8", "replace").split("\n")[:-1]
        self.today = today_utc()
        found = [user_of(message, self.today) for message in self.messages]
        self.dead = sum(user is None for user in found)
        self.users = sorted(user for user in found if user is not None)
        expect(len({user[0] for user in self.users}) == len(self.users), "the producer gave a user twice")

    def without_age_if_midnight(self, rows):
        """current_date() is of the epoch: where the day has changed since, the ages are not compared."""
        if self.today == today_utc():
            return sorted(rows)
        return sorted(row[:7] + (None,) + row[8:] for row in rows)

    def expect_cassandra(self, space, what):
        names = ", ".join(f'"{name}"' for name in COLUMNS)
        with contextlib.closing(look.Cassandra(self.servers.cassandra.port)) as server:
            found = list(server.rows(f'SELECT {names} FROM "{space}"."{COLLECTION}"'))
        expect_same_rows(self.without_age_if_midnight(found), self.without_age_if_midnight(self.users), f"Cassandra {what}")

    def expect_mongo(self, space, what):
        with contextlib.closing(look.Mongo(self.servers.mongo.port)) as server:
            documents = list(server.documents(space, COLLECTION))
        found = [tuple(document.get(name) for name in COLUMNS) for document in documents]
        expect_same_rows(self.without_age_if_midnight(found), self.without_age_if_midnight(self.users), f"MongoDB {what}")
        expect(len({json.dumps(d["_id"], default=repr) for d in documents}) == len(documents), f"MongoDB {what}: an _id is there twice")

    def expect_catalog(self, pipeline, what):
        for view, column in VIEWS.items():
            if column == "age" and self.today != today_utc():
                continue
            at = COLUMNS.index(column)
            wanted = sorted(collections.Counter(user[at] for user in self.users).items())
            expect_same_rows(sorted(pipeline.read(f"SELECT {column}, users FROM {view}")), wanted, f"{view} {what}")
        expect(pipeline.count("leat_dead") == self.dead, lambda: f"{what}: {pipeline.count('leat_dead')} rows in leat_dead, not {self.dead}")

    def expect_all(self, pipeline, space, what):
        expect(self.users, "the topic is empty")
        self.expect_cassandra(space, what)
        self.expect_mongo(space, what)
        self.expect_catalog(pipeline, what)


def epochs(servers, space, pipeline):
    """The epoch of each store's record: {catalog, cassandra, mongodb}; 0 where there is none yet."""
    with contextlib.closing(look.Cassandra(servers.cassandra.port)) as server:
        cassandra = [row[0] for row in server.rows_or_none(f'SELECT epoch FROM "{space}".leat_pipeline')]
    with contextlib.closing(look.Mongo(servers.mongo.port)) as server:
        mongo = [document["epoch"] for document in server.documents(space, "leat_pipeline") if "epoch" in document]  # one names collections instead
    return {"catalog": pipeline.epoch(), "cassandra": max((e for e in cassandra if e), default=0), "mongodb": max(mongo, default=0)}
