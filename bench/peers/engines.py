# SPDX-License-Identifier: Apache-2.0
"""engines.py: Spark and Flink on the topics of the Kafka benchmark, in SQL of their own, fetched by name and version.

Each engine runs a list of jobs in one process, so that the JVM is warm for the later ones, and returns (cpu_s, wall_s) for each. A job is
(query, topic, out): query one of `users`, `users answer`, `filter`; out a topic, or None for a sink that drops its rows. CPU time is user
and system time of the whole process tree. What is fetched stays in the cache folder.
"""
import json
import os
import shutil
import subprocess
import sys
import threading
import time

SPARK, SPARK_KAFKA = "4.2.0", "org.apache.spark:spark-sql-kafka-0-10_2.13:4.2.0"
FLINK, FLINK_KAFKA = "2.3.0", "org.apache.flink:flink-sql-connector-kafka:5.0.0-2.2"
FLINK_JARS = [f"org.apache.flink:{name}:{FLINK}" for name in ("flink-sql-client", "flink-sql-gateway", "flink-clients", "flink-connector-base",
                                                               "flink-table-planner-loader", "flink-table-runtime", "flink-python",
                                                               "flink-json")] + [FLINK_KAFKA, "org.slf4j:slf4j-nop:1.7.36"]
JOB_SECONDS_MAX = 300
HERE = os.path.dirname(os.path.abspath(__file__))


class Unavailable(Exception):
    """An engine that cannot be had; the text says what was tried."""


def run_or_unavailable(command, what):
    out = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=900)
    if out.returncode != 0:
        raise Unavailable(f"{what}: {' '.join(command[:4])} …: {out.stdout.decode(errors='replace').strip()[-400:]}")


def fetch_jars(folder, coordinates):
    """Copies the artifacts and all they need at run time into the folder, by Maven."""
    wanted = "\n".join(coordinates)
    mark = os.path.join(folder, "complete")
    if os.path.exists(mark) and open(mark, encoding="utf-8").read() == wanted:
        return
    if not shutil.which("mvn"):
        raise Unavailable("mvn is not installed")
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    dependencies = "".join("<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>".format(*c.split(":"))
                           for c in coordinates)
    pom = os.path.join(folder, "pom.xml")
    with open(pom, "w", encoding="utf-8") as file:
        file.write('<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion><groupId>local</groupId>'
                   f"<artifactId>jars</artifactId><version>1</version><dependencies>{dependencies}</dependencies></project>")
    run_or_unavailable(["mvn", "-B", "-q", "-f", pom, "dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}/lib"],
                       f"Maven could not fetch {', '.join(coordinates)}")
    with open(mark, "w", encoding="utf-8") as file:
        file.write(wanted)


def used_cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Engine:
    """A child process that answers a line a job; one that is silent too long is killed."""

    def __init__(self, brokers, cache, folder, cores):
        self.brokers, self.cache, self.folder, self.cores = brokers, cache, folder, cores

    def lines(self, command, given, environment=None):
        log_path = os.path.join(self.folder, f"{self.name}.log")
        with open(log_path, "wb") as log:
            child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, env=environment, cwd=self.folder)
        self.child = child
        heard = [time.monotonic()]
        done = threading.Event()

        def watch():
            while not done.wait(1):
                if time.monotonic() - heard[0] > JOB_SECONDS_MAX:
                    child.kill()
                    return
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            child.stdin.write(given.encode())
            child.stdin.close()
            for line in child.stdout:
                heard[0] = time.monotonic()
                yield line.decode(errors="replace").rstrip("\n")
            if child.wait() != 0:
                with open(log_path, encoding="utf-8", errors="replace") as log:
                    raise RuntimeError(f"{self.name} ended with {child.returncode}:\n{log.read()[-2000:]}")
        finally:
            done.set()
            if child.poll() is None:
                child.kill()
                child.wait()


class Spark(Engine):
    name, label = "spark", f"Spark {SPARK}"

    def fetch(self):
        python = os.path.join(self.cache, "spark", "bin", "python")
        ask = [python, "-c", "import pyspark; print(pyspark.__version__)"]
        if not os.path.exists(python) or subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() != SPARK:
            run_or_unavailable([sys.executable, "-m", "venv", os.path.join(self.cache, "spark")], "no environment for Python")
            run_or_unavailable([python, "-m", "pip", "install", "--quiet", f"pyspark=={SPARK}"], f"pip could not fetch pyspark {SPARK}")
        jars = os.path.join(self.cache, "spark-kafka")
        fetch_jars(jars, [SPARK_KAFKA])
        unneeded = ("hadoop-", "scala-library", "slf4j-", "lz4-", "snappy-")  # pyspark has its own
        names = [name for name in sorted(os.listdir(os.path.join(jars, "lib"))) if not name.startswith(unneeded)]
        self.python, self.jars = python, ",".join(os.path.join(jars, "lib", name) for name in names)

    def sql(self, query, users_select):
        if query == "users":
            return users_select
        if query == "users answer":
            nine = "id, gender, full_name, full_address, domain_email, birthday, registered_date, age, nationality"
            return f"SELECT concat_ws('|', {nine}) AS value FROM ({users_select})"
        bids = "SELECT from_json(CAST(value AS STRING), 'bid STRUCT<auction: BIGINT, price: BIGINT>') AS r FROM messages"
        columns = "r.bid.auction AS auction, r.bid.price AS price"
        if query == "filter answer":
            columns = "to_json(named_struct('auction', r.bid.auction, 'price', r.bid.price)) AS value"
        return f"SELECT {columns} FROM ({bids}) WHERE r.bid.auction % 123 = 0"

    def run(self, jobs, users_select):
        request = {"brokers": self.brokers, "jars": self.jars, "folder": os.path.join(self.folder, "spark-work"), "cores": self.cores,
                   "jobs": [{"topic": topic, "sql": self.sql(query, users_select), "out": out} for query, topic, out in jobs]}
        os.makedirs(request["folder"], exist_ok=True)
        used = []
        for line in self.lines([self.python, os.path.join(HERE, "spark_job.py")], json.dumps(request), dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")):
            if line.startswith("{"):
                answer = json.loads(line)
                used.append((answer["cpu_s"], answer["wall_s"]))
        if len(used) != len(jobs):
            raise RuntimeError(f"Spark answered {len(used)} of {len(jobs)} jobs")
        return used


class Flink(Engine):
    name, label = "flink", f"Flink {FLINK}"
    USERS = ("gender STRING, name ROW<title STRING, `first` STRING, `last` STRING>, location ROW<street ROW<`number` INT, name STRING>, city STRING, "
             "state STRING, country STRING, postcode STRING>, email STRING, login ROW<uuid STRING>, dob ROW<`date` TIMESTAMP_LTZ(3), age INT>, "
             "registered ROW<`date` TIMESTAMP_LTZ(3), age INT>, nat STRING")
    NINE = [("id", "login.uuid"), ("gender", "gender"), ("full_name", "CONCAT(name.`first`, ' ', name.`last`)"),
            ("full_address", "CONCAT_WS(', ', CAST(location.street.`number` AS STRING), location.street.name, location.city, location.state, location.country, "
                             "location.postcode)"),
            ("domain_email", "SPLIT_INDEX(email, '@', 1)"), ("birthday", "DATE_FORMAT(dob.`date`, 'yyyy-MM-dd')"),
            ("registered_date", "DATE_FORMAT(registered.`date`, 'yyyy-MM-dd')"),
            ("age", "TIMESTAMPDIFF(DAY, CAST(dob.`date` AS DATE), CURRENT_DATE) / 365"), ("nationality", "nat")]
    OPENS = ["java.base/java." + p for p in ("lang", "lang.invoke", "lang.reflect", "io", "net", "nio", "util", "util.concurrent", "util.concurrent.atomic",
                                             "util.concurrent.locks", "text", "time")]

    def fetch(self):
        if not shutil.which("java"):
            raise Unavailable("java is not installed")
        self.jars = os.path.join(self.cache, "flink")
        fetch_jars(self.jars, FLINK_JARS)

    def source(self, name, columns, topic):
        return (f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{self.brokers}', "
                "'properties.group.id' = 'flink', 'scan.startup.mode' = 'earliest-offset', 'scan.bounded.mode' = 'latest-offset', 'format' = 'json', "
                "'json.timestamp-format.standard' = 'ISO-8601');\n")

    def sink(self, name, columns, topic, form, number):
        if topic is None:
            return f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ('connector' = 'blackhole');\n"
        return (f"CREATE TEMPORARY TABLE {name} ({columns}) WITH ('connector' = 'kafka', 'topic' = '{topic}', 'properties.bootstrap.servers' = '{self.brokers}', "
                f"'format' = '{form}', 'sink.delivery-guarantee' = 'exactly-once', 'sink.transactional-id-prefix' = 'flink-{os.getpid()}-{number}', "
                "'properties.transaction.timeout.ms' = '600000');\n")

    def statements(self, number, query, topic, out):
        source, sink = f"source{number}", f"sink{number}"
        if query.startswith("filter"):
            return (self.source(source, "bid ROW<auction BIGINT, price BIGINT>", topic) + self.sink(sink, "auction BIGINT, price BIGINT", out, "json", number) +
                    f"INSERT INTO {sink} SELECT bid.auction AS auction, bid.price AS price FROM {source} WHERE MOD(bid.auction, 123) = 0;\n")
        if query == "users":
            kinds = ", ".join(f"{name} {'BIGINT' if name == 'age' else 'STRING'}" for name, _ in self.NINE)
            return (self.source(source, self.USERS, topic) + self.sink(sink, kinds, out, "json", number) +
                    f"INSERT INTO {sink} SELECT {', '.join(f'{text} AS {name}' for name, text in self.NINE)} FROM {source};\n")
        texts = ", ".join(f"CAST({text} AS STRING)" if name == "age" else text for name, text in self.NINE)
        return (self.source(source, self.USERS, topic) + self.sink(sink, "`value` STRING", out, "raw", number) +
                f"INSERT INTO {sink} SELECT CONCAT_WS('|', {texts}) FROM {source};\n")

    def run(self, jobs, _users_select):
        settings = {"execution.target": "local", "execution.runtime-mode": "streaming", "parallelism.default": str(self.cores), "table.dml-sync": "true",
                    "table.local-time-zone": "UTC", "pipeline.object-reuse": "true", "execution.checkpointing.interval": "10 s",
                    "taskmanager.numberOfTaskSlots": str(self.cores), "rest.bind-port": "0", "rest.address": "127.0.0.1"}
        text = "".join(f"SET '{name}' = '{value}';\n" for name, value in settings.items())
        text += "".join(self.statements(number, *job) for number, job in enumerate(jobs))
        path = os.path.join(self.folder, "flink.sql")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        configuration = os.path.join(self.folder, "flink-conf")
        os.makedirs(configuration, exist_ok=True)
        with open(os.path.join(configuration, "config.yaml"), "w", encoding="utf-8") as file:
            file.write("rest.bind-address: 127.0.0.1\n")
        opens = [f"--add-opens={package}=ALL-UNNAMED" for package in self.OPENS]
        command = ["java", "-Xmx2g", *opens, "-cp", os.path.join(self.jars, "lib", "*"), "org.apache.flink.table.client.SqlClient", "embedded", "-f", path]
        environment = dict(os.environ, FLINK_CONF_DIR=configuration)
        used, mark, output = [], None, []
        for line in self.lines(command, "", environment):  # the client's echo of a statement ends where its answer begins, on one line
            output.append(line)
            if "Complete execution of the SQL update statement" in line:
                used.append((used_cpu_s(self.child.pid) - mark[0], time.monotonic() - mark[1]))
            elif "Execute statement succeeded" in line:
                mark = (used_cpu_s(self.child.pid), time.monotonic())
        if len(used) != len(jobs):
            raise RuntimeError(f"Flink finished {len(used)} of {len(jobs)} jobs:\n" + "\n".join(output)[-2000:])
        return used
