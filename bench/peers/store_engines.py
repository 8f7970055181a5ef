# SPDX-License-Identifier: Apache-2.0
"""store_engines.py: the engine that stores.py measures beside leat: PySpark 3.5 with the Cassandra and MongoDB connectors, fetched by name
and version.

3.5 and not 4: the newest Cassandra connector is for Spark 3.5.
"""
import json
import os
import subprocess
import sys

from peers.engines import Engine, Unavailable, fetch_jars, run_or_unavailable

SPARK = "3.5.7"
CASSANDRA, MONGO = "com.datastax.spark:spark-cassandra-connector_2.12:3.5.1", "org.mongodb.spark:mongo-spark-connector_2.12:10.5.0"
KAFKA = f"org.apache.spark:spark-sql-kafka-0-10_2.12:{SPARK}"
HERE = os.path.dirname(os.path.abspath(__file__))


class SparkStores(Engine):
    name, label = "spark-stores", f"PySpark {SPARK}, connectors of Cassandra 3.5.1 and MongoDB 10.5.0"

    def fetch(self):
        self.python = os.path.join(self.cache, "spark35", "bin", "python")
        ask = [self.python, "-c", "import pyspark; print(pyspark.__version__)"]
        if not os.path.exists(self.python) or subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip() != SPARK:
            run_or_unavailable([sys.executable, "-m", "venv", os.path.join(self.cache, "spark35")], "no environment for Python")
            run_or_unavailable([self.python, "-m", "pip", "install", "--quiet", f"pyspark=={SPARK}"], f"pip could not fetch pyspark {SPARK}")
        jars = os.path.join(self.cache, "spark-stores")
        fetch_jars(jars, [KAFKA, CASSANDRA, MONGO])
        unneeded = ("hadoop-", "scala-library", "scala-reflect", "slf4j-", "lz4-", "snappy-", "spark-tags")  # pyspark has its own
        self.jars = [os.path.join(jars, "lib", name) for name in sorted(os.listdir(os.path.join(jars, "lib"))) if not name.startswith(unneeded)]

    def run_stores(self, spaces, users_select, cassandra_port, uri, topic):
        """[(CPU seconds, wall seconds)] of one run for each of `spaces`, in one session."""
        request = {"brokers": self.brokers, "topic": topic, "jars": ",".join(self.jars), "folder": os.path.join(self.folder, "spark-work"),
                   "cores": self.cores, "cassandra_port": cassandra_port, "uri": uri, "spaces": spaces, "users": users_select}
        os.makedirs(request["folder"], exist_ok=True)
        used = []
        job = [self.python, os.path.join(HERE, "spark_stores_job.py")]
        for line in self.lines(job, json.dumps(request), dict(os.environ, SPARK_LOCAL_IP="127.0.0.1")):
            if line.startswith("{"):
                answer = json.loads(line)
                used.append((answer["cpu_s"], answer["wall_s"]))
        if len(used) != len(spaces):
            raise Unavailable(f"Spark answered {len(used)} of {len(spaces)} runs")
        return used
