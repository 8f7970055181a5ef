# SPDX-License-Identifier: Apache-2.0
"""spark_stores_job.py: users-full.sql as one writes it for Spark: a topic into Cassandra, MongoDB and three aggregates.

Standard input: {"brokers", "topic", "jars", "folder", "cores", "cassandra_port", "uri", "spaces": [keyspace and database of each run], "users": the
SELECT over `messages`}. Standard output: {"cpu_s", "wall_s"} a run. Both stores are written by one foreachBatch, with the batch kept in memory; each
aggregate is a query of its own (complete mode, into memory), which reads the topic again, as structured streaming does. Keyspaces and tables are made
beforehand: the connector makes none. The id is MongoDB's _id, too: by any other field each row would be looked for in the whole collection.
Called by store_engines.py, in an environment that has pyspark.
"""
import json
import os
import sys
import time

from pyspark.sql import SparkSession

TABLE = "user_informations"
COLUMNS = [("id", "text PRIMARY KEY"), ("gender", "text"), ("full_name", "text"), ("full_address", "text"), ("domain_email", "text"),
           ("birthday", "text"),
           ("registered_date", "text"), ("age", "bigint"), ("nationality", "text")]


def used_cpu_s(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def make_tables(spark, spaces):
    connector = spark._jvm.com.datastax.spark.connector.cql.CassandraConnector.apply(spark._jsparkSession.sparkContext().getConf())
    session = connector.openSession()
    for space in spaces:
        session.execute(f"CREATE KEYSPACE IF NOT EXISTS {space} WITH replication = {{'class': 'SimpleStrategy', 'replication_factor': 1}}")
        session.execute(f"CREATE TABLE {space}.{TABLE} ({', '.join(f'{name} {kind}' for name, kind in COLUMNS)})")
    session.close()


def run(spark, request, space):
    messages = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", request["brokers"]).option("subscribe", request["topic"])
                .option("startingOffsets", "earliest").load())
    messages.createOrReplaceTempView("messages")
    spark.sql(request["users"]).createOrReplaceTempView("users")

    def write(batch, _number):
        batch.persist()
        batch.write.format("org.apache.spark.sql.cassandra").mode("append").options(keyspace=space, table=TABLE).save()
        (batch.withColumn("_id", batch["id"]).write.format("mongodb").mode("append").option("connection.uri", request["uri"]).option("database", space).option("collection", TABLE)
         .option("operationType", "replace").save())
        batch.unpersist()

    def start(frame, name):
        place = os.path.join(request["folder"], f"checkpoint-{space}-{name}")
        return frame.writeStream.trigger(availableNow=True).option("checkpointLocation", place)
    queries = [start(spark.sql("SELECT * FROM users"), "stores").foreachBatch(write).start()]
    for column in ("nationality", "age", "domain_email"):
        frame = spark.sql(f"SELECT {column}, count(*) AS users FROM users GROUP BY {column}")
        queries.append(start(frame, column).format("memory").queryName(f"by_{column}_{space}").outputMode("complete").start())
    for query in queries:
        query.awaitTermination()


def main():
    request = json.load(sys.stdin)
    spark = (SparkSession.builder.master(f"local[{request['cores']}]").config("spark.ui.enabled", "false").config("spark.driver.memory", "3g")
             .config("spark.sql.session.timeZone", "UTC").config("spark.sql.ansi.enabled", "false").config("spark.jars", request["jars"])
             .config("spark.sql.shuffle.partitions", request["cores"]).config("spark.local.dir", request["folder"])
             .config("spark.sql.warehouse.dir", os.path.join(request["folder"], "warehouse"))
             .config("spark.cassandra.connection.host", "127.0.0.1")
             .config("spark.cassandra.connection.port", request["cassandra_port"]).getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    pids = ["self", spark._jvm.java.lang.ProcessHandle.current().pid()]
    make_tables(spark, request["spaces"])
    for space in request["spaces"]:
        cpu_s, begin = used_cpu_s(pids), time.monotonic()
        run(spark, request, space)
        print(json.dumps({"cpu_s": used_cpu_s(pids) - cpu_s, "wall_s": time.monotonic() - begin}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
