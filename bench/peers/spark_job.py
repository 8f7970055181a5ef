# SPDX-License-Identifier: Apache-2.0
"""spark_job.py: runs structured streaming queries in one Spark session, one after the other, and says what each has used.

Standard input: {"brokers": …, "jars": …, "folder": …, "cores": N, "jobs": [{"topic", "sql", "out" (null: noop)}]}. The text of `sql` reads the
view `messages`. Standard output: {"cpu_s", "wall_s", "rows"} a job, one JSON line each. CPU time is that of this process and of the JVM,
user and system, from before the query's start to after its end. Called by engines.py, in an environment that has pyspark.
"""
import json
import os
import sys
import time

from pyspark.sql import SparkSession


def used_cpu_s(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def main():
    request = json.load(sys.stdin)
    spark = (SparkSession.builder.master(f"local[{request['cores']}]").config("spark.ui.enabled", "false")
             .config("spark.driver.memory", "2g").config("spark.sql.session.timeZone", "UTC").config("spark.jars", request["jars"])
             .config("spark.local.dir", request["folder"]).config("spark.sql.warehouse.dir", os.path.join(request["folder"], "warehouse"))
             .getOrCreate())
    spark.sparkContext.setLogLevel("ERROR")
    pids = ["self", spark._jvm.java.lang.ProcessHandle.current().pid()]
    for number, job in enumerate(request["jobs"]):
        messages = (spark.readStream.format("kafka").option("kafka.bootstrap.servers", request["brokers"]).option("subscribe", job["topic"])
                    .option("startingOffsets", "earliest").load())
        messages.createOrReplaceTempView("messages")
        cpu_s, begin = used_cpu_s(pids), time.monotonic()
        checkpoint = os.path.join(request["folder"], f"checkpoint-{number}")
        writer = spark.sql(job["sql"]).writeStream.trigger(availableNow=True).option("checkpointLocation", checkpoint)
        if job["out"]:
            writer = writer.format("kafka").option("kafka.bootstrap.servers", request["brokers"]).option("topic", job["out"])
        else:
            writer = writer.format("noop")
        query = writer.start()
        query.awaitTermination()
        rows = sum(int(p["numInputRows"]) for p in query.recentProgress)
        print(json.dumps({"cpu_s": used_cpu_s(pids) - cpu_s, "wall_s": time.monotonic() - begin, "rows": rows}), flush=True)
    spark.stop()


if __name__ == "__main__":
    main()
