#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The http source against a server of ours that behaves, and misbehaves, as servers do.

    http_test.py [--leat build/leat] [--seed N] [--long] [NAME ...]        NAME: tests to run (default: all)

The pipeline is http → from_json → the catalog (SQLite). Each test asserts that what it is about happened. The seed is printed. Closes with
`N passed, N failed, N skipped`.
"""
import argparse
import contextlib
import gzip
import json
import os
import random
import shutil
import signal
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from server import Answer, Server, free_port  # noqa: E402


# Bounds, not measures: machines are busy with other work. At once is less than what a stop would otherwise wait for, half a minute and more.
WAIT_S, AT_ONCE_S = 120, 15


class Failure(Exception):
    pass


class Skip(Exception):
    pass


def expect(condition, what):
    if not condition:
        raise Failure(what)


def document(n):
    return json.dumps({"id": n, "name": f"user {n}", "pad": "x" * (n % 50)})


def array(first, count):
    return ("[" + ",".join(document(n) for n in range(first, first + count)) + "]").encode()


class Case:
    """A folder with a pipeline over one http table."""

    def __init__(self, options):
        self.leat, self.random, self.long = options.leat, random.Random(options.seed), options.long
        self.folder = tempfile.mkdtemp(prefix="leat-http-")
        self.data = os.path.join(self.folder, "leat-data")
        self.servers, self.processes = [], []

    def server(self, answer, tls=None, port=0):
        self.servers.append(Server(answer, tls, port))
        return self.servers[-1]

    def pipeline(self, url, targets=None, **options):
        """Into the table `rows`, or the stores named, {table: store}."""
        given = {"url": url, "interval": "20 ms", **options}
        text = ", ".join(f"`{k}` '{v}'" for k, v in given.items())
        with open(os.path.join(self.folder, "p.sql"), "w", encoding="utf-8") as f:
            f.write(f"CREATE TABLE source USING http OPTIONS ({text});\n")
            for table, store in (targets or {"rows": None}).items():
                f.write(f"CREATE STREAMING TABLE {table} {f'USING {store} ' if store else ''}AS SELECT offset, CAST(value AS STRING) AS text, "
                        "from_json(CAST(value AS STRING), 'id INT').id AS id FROM STREAM source;\n")

    def command(self, *flags):
        return [self.leat, "run", os.path.join(self.folder, "p.sql"), "--data", self.data, *flags]

    def environment(self, more=None):
        environment = {k: v for k, v in os.environ.items() if k.lower() not in ("http_proxy", "https_proxy", "all_proxy", "leat_failpoint")}
        return {**environment, **(more or {})}

    def run(self, *flags, environment=None, timeout=600):
        out = subprocess.run(self.command(*flags), env=self.environment(environment), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             timeout=timeout, check=False)
        return out.returncode, out.stdout.decode("utf-8", "replace")

    def run_well(self, *flags, **more):
        code, text = self.run(*flags, **more)
        expect(code == 0, f"exit {code}:\n{text}")
        return text

    def start(self, *flags, environment=None):
        log = open(os.path.join(self.folder, "log"), "ab")
        p = subprocess.Popen(self.command(*flags), env=self.environment(environment), stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        log.close()
        self.processes.append(p)
        return p

    def log(self):
        with open(os.path.join(self.folder, "log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, p, how=signal.SIGTERM):
        begin = time.monotonic()
        p.send_signal(how)
        p.wait(timeout=WAIT_S)
        return time.monotonic() - begin

    def query(self, text):
        if not os.path.exists(os.path.join(self.data, "leat.db")):
            return []
        with contextlib.closing(sqlite3.connect(f"file:{self.data}/leat.db?mode=ro", uri=True, timeout=10)) as db:
            try:
                return db.execute(text).fetchall()
            except sqlite3.OperationalError:
                return []

    def ids(self):
        return [row[0] for row in self.query("SELECT id FROM rows ORDER BY offset")]

    def dead(self):
        return self.query("SELECT offset, condition, raw FROM leat_dead ORDER BY offset")

    def wait_for(self, what, condition, seconds=WAIT_S):
        end = time.monotonic() + seconds
        while not condition():
            expect(time.monotonic() < end, f"not within {seconds} s: {what}\n{self.log() if os.path.exists(os.path.join(self.folder, 'log')) else ''}")
            time.sleep(0.02)

    def close(self):
        for p in self.processes:
            if p.poll() is None:
                p.kill()
                p.wait()
        for s in self.servers:
            s.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def test_every_document_once(c):
    s = c.server(lambda n, r: Answer(array(n * 10, 10)))
    c.pipeline(s.url + "/events?token=hidden", split="array", numPolls=30)
    c.run_well()
    expect(c.ids() == list(range(300)), f"{len(c.ids())} rows")
    c.run_well("--available-now")  # numPolls counts anew
    expect(c.ids() == list(range(600)), f"{len(c.ids())} rows")


def test_splits(c):
    for split, body, want in (("none", b'{"id":7}', [7]), ("lines", b'{"id":1}\n\n{"id":2}\r\n{"id":3}', [1, 2, 3]),
                              ("results", b'{"info":{},"results":[{"id":4},{"id":5}]}', [4, 5]), ("/data/items", b'{"data":{"items":[{"id":6}]}}', [6])):
        s = c.server(lambda n, r, body=body: Answer(body))
        shutil.rmtree(c.data, ignore_errors=True)
        c.pipeline(s.url, split=split)
        c.run_well("--available-now")
        expect(c.ids() == want and len(s.requests) == 1, f"{split}: {c.ids()}, {len(s.requests)} requests")


def test_broken_json_is_a_dead_row(c):
    s = c.server(lambda n, r: Answer([array(0, 2), b'[{"id":1},{"id"', b'{"id":1}', array(2, 2)][n]))
    c.pipeline(s.url, split="array", numPolls=4)
    c.run_well()
    expect(c.ids() == [0, 1, 2, 3], str(c.ids()))
    dead = c.dead()
    expect([d[0] for d in dead] == [2, 3] and all("MALFORMED" in d[1] for d in dead), str(dead))
    expect(bytes(dead[0][2]) == b'[{"id":1},{"id"' and bytes(dead[1][2]) == b'{"id":1}', str(dead))


def test_request_is_as_told(c):
    s = c.server(lambda n, r: Answer(array(0, 1)))
    with open(os.path.join(c.folder, "secret"), "w", encoding="utf-8") as f:
        f.write("s3cret\n")
    c.pipeline(s.url + "/q?a=1", split="array", method="POST", body='{"ask":1}', user="ada", password="${file:" + os.path.join(c.folder, "secret") + "}",
               **{"header.X-Key": "${env:KEY}", "header.X-Empty": "", "userAgent": "me/1"})
    text = c.run_well("--available-now", environment={"KEY": "k3y"})
    r = s.requests[0]
    expect((r.method, r.path, r.body) == ("POST", "/q?a=1", b'{"ask":1}'), f"{r.method} {r.path} {r.body}")
    expect(r.headers.get("authorization") == "Basic YWRhOnMzY3JldA==" and r.headers.get("x-key") == "k3y" and r.headers.get("x-empty") == "", str(r.headers))
    expect(r.headers.get("content-type") == "application/json" and r.headers.get("user-agent") == "me/1", str(r.headers))
    kept = b""
    for folder, _, names in os.walk(c.data):
        kept += b"".join(open(os.path.join(folder, n), "rb").read() for n in names)
    expect(b"s3cret" not in kept and b"k3y" not in kept and "s3cret" not in text and "k3y" not in text, "a secret was kept")


def test_header_injection_is_refused(c):
    s = c.server(lambda n, r: Answer(array(0, 1)))
    c.pipeline(s.url, **{"header.X-Key": "${env:KEY}"})
    code, text = c.run("--available-now", environment={"KEY": "a\r\nX-More: 1"})
    expect(code != 0 and "is no header" in text and "X-More" not in text and not s.requests, f"{code} {text}")


def test_gzip(c):
    s = c.server(lambda n, r: Answer(gzip.compress(array(0, 50)), headers={"Content-Encoding": "gzip"}))
    c.pipeline(s.url, split="array")
    c.run_well("--available-now")
    expect(c.ids() == list(range(50)) and "gzip" in s.requests[0].headers["accept-encoding"], str(c.ids()))


def test_gzip_bomb(c):
    bomb = gzip.compress(b" " * (200 << 20))
    s = c.server(lambda n, r: Answer(bomb, headers={"Content-Encoding": "gzip"}))
    c.pipeline(s.url, maxBytes="1MB")
    code, text = c.run("--available-now")
    expect(code != 0 and "maxBytes" in text, f"{code} {text}")


def test_huge_body(c):
    def answer(n, r):
        if n == 0:
            return Answer(array(0, 3))
        if n == 1:
            return Answer(b"x" * (3 << 20))
        return Answer(array(3, 3))

    s = c.server(answer)
    c.pipeline(s.url, split="array", maxBytes="1MB", numPolls=2)
    text = c.run_well()
    expect(c.ids() == list(range(6)) and len(s.requests) == 3 and "maxBytes" in text, f"{c.ids()} {text}")


def test_mistakes_fail_at_start(c):
    for status, hint in ((401, "password"), (403, "password"), (404, "url"), (400, "")):
        s = c.server(lambda n, r, status=status: Answer(b"private words", status=status))
        c.pipeline(s.url + "/p?token=hidden")
        code, text = c.run("--available-now")
        expect(code != 0 and f"status {status}" in text and hint in text and "hidden" not in text and "private" not in text, f"{code} {text}")
        expect(len(s.requests) == 1, f"{len(s.requests)} requests")


def test_secrets_of_the_url_are_not_shown(c):
    s = c.server(lambda n, r: Answer(status=404))
    c.pipeline(s.url.replace("://", "://me:word@") + "/${env:KEY}/x?token=hidden")
    code, text = c.run("--available-now", environment={"KEY": "k3y"})
    expect(code != 0 and "/${env:KEY}/x:" in text and not any(w in text for w in ("k3y", "hidden", "word@")), f"{code} {text}")
    expect(s.requests[0].path == "/k3y/x?token=hidden" and "authorization" in s.requests[0].headers, s.requests[0].path)


def test_mistakes_later_are_waited_for(c):
    s = c.server(lambda n, r: Answer(array(0, 2)) if n == 0 else Answer(status=404) if n < 3 else Answer(array(2, 2)))
    c.pipeline(s.url, split="array", numPolls=2)
    text = c.run_well()
    expect(c.ids() == [0, 1, 2, 3] and text.count("status 404") == 1 and "answers again" in text, f"{c.ids()} {text}")


def test_server_errors_are_waited_for(c):
    s = c.server(lambda n, r: Answer(status=[500, 503, 408][n]) if n < 3 else Answer(array(0, 5)))
    c.pipeline(s.url, split="array")
    begin = time.monotonic()
    text = c.run_well("--available-now")
    expect(c.ids() == list(range(5)) and len(s.requests) == 4, str(c.ids()))
    expect(text.count("warning") == 1 and "status 500" in text and time.monotonic() - begin > 1.5, text)


def test_retry_after(c):
    times = []

    def answer(n, r):
        times.append(time.monotonic())
        return Answer(status=429, headers={"Retry-After": "3"}) if n == 0 else Answer(array(0, 1))

    s = c.server(answer)
    c.pipeline(s.url, split="array")
    c.run_well("--available-now")
    expect(c.ids() == [0] and times[1] - times[0] >= 2.9, str(times))


def test_endless_retry_after_can_be_stopped(c):
    s = c.server(lambda n, r: Answer(status=429, headers={"Retry-After": "99999999999"}))
    c.pipeline(s.url)
    p = c.start()
    c.wait_for("a request", lambda: s.requests)
    time.sleep(0.3)
    expect(c.stop(p) < AT_ONCE_S, "it was slow to stop")
    expect(len(s.requests) == 1, "it asked again")


def test_broken_answers_are_asked_again(c):
    def cut(out):
        out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n[{\"id\":99}")

    def garbage_chunks(out):
        out.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n[{\"id\":99}]\r\n0\r\n\r\n")

    def cut_chunks(out):
        out.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n[{\"id\":99}]\r\n")

    def no_http(out):
        out.write(b"[{\"id\":99}]\n")

    def bad_gzip(out):
        out.write(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 11\r\n\r\n[{\"id\":99}]")

    def nothing(out):
        pass

    bad = [cut, garbage_chunks, cut_chunks, no_http, bad_gzip, nothing]
    s = c.server(lambda n, r: bad[n // 2] if n % 2 and n // 2 < len(bad) else Answer(array(n // 2, 1)))
    c.pipeline(s.url, split="array", numPolls=len(bad) + 1)
    text = c.run_well()
    expect(c.ids() == list(range(len(bad) + 1)) and text.count("cannot poll") == len(bad), f"{c.ids()} {text}")


def test_endless_headers(c):
    def endless(out):
        out.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(200000):
            out.write(b"X-%d: %s\r\n" % (i, b"y" * 100))

    s = c.server(lambda n, r: endless)
    c.pipeline(s.url)
    code, text = c.run("--available-now")
    expect(code != 0 and "headers" in text, f"{code} {text}")


def test_slow_answers_time_out(c):
    gone = []

    def drip(out):
        try:
            out.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
            for _ in range(6000):
                out.write(b" ")
                out.flush()
                time.sleep(0.1)
        except OSError:
            gone.append(True)

    s = c.server(lambda n, r: drip if n == 0 else Answer(array(0, 1)))
    c.pipeline(s.url, split="array", timeout="2 s")
    begin = time.monotonic()
    c.run_well("--available-now")
    expect(c.ids() == [0] and 1 < time.monotonic() - begin, f"{c.ids()} after {time.monotonic() - begin} s")
    c.wait_for("the slow answer is given up", lambda: gone)


def test_stops_at_once_within_a_request(c):
    s = c.server(lambda n, r: lambda out: time.sleep(2 * AT_ONCE_S))
    c.pipeline(s.url)
    p = c.start()
    c.wait_for("a request", lambda: s.requests)
    expect(c.stop(p) < AT_ONCE_S, "it was slow to stop")


def test_redirects(c):
    other = c.server(lambda n, r: Answer(array(5, 1)))
    s = c.server(lambda n, r: Answer(status=302, headers={"Location": "/b"}) if r.path == "/a" else Answer(status=301, headers={"Location": other.url + "/c"}))
    c.pipeline(s.url + "/a", split="array", user="u", password="p", **{"header.X-Key": "k"})
    c.run_well("--available-now")
    expect(c.ids() == [5] and [r.path for r in s.requests] == ["/a", "/b"], str(c.ids()))
    expect(s.requests[1].headers.get("x-key") == "k" and "authorization" in s.requests[1].headers, str(s.requests[1].headers))
    expect("x-key" not in other.requests[0].headers and "authorization" not in other.requests[0].headers, "secrets went to another host")


def test_redirects_that_lead_nowhere(c):
    def location(to, status=302):
        return lambda n, r: Answer(status=status, headers={"Location": to})

    for answer, word in ((location("/again"), "maxRedirects"), (location("file:///etc/passwd"), "no http"), (location("ftp://localhost/x"), "no http"), (location("gopher://x"), "no http")):
        s = c.server(answer)
        c.pipeline(s.url)
        code, text = c.run("--available-now")
        expect(code != 0 and word in text and len(s.requests) <= 6, f"{word}: {code} {text} {len(s.requests)}")


def test_conditional_over_restarts(c):
    def answer(n, r):
        version = 1 if n < 5 else 2
        if r.headers.get("if-none-match") == f'"v{version}"':
            return Answer(status=304, headers={"ETag": f'"v{version}"'})
        return Answer(array(version * 10, 2), headers={"ETag": f'"v{version}"', "Last-Modified": "Wed, 21 Oct 2015 07:28:00 GMT"})

    s = c.server(answer)
    c.pipeline(s.url, split="array")
    for _ in range(8):
        c.run_well("--available-now")
    expect(c.ids() == [10, 11, 20, 21] and len(s.requests) == 8, f"{c.ids()} {len(s.requests)}")
    expect(s.requests[1].headers.get("if-modified-since") == "Wed, 21 Oct 2015 07:28:00 GMT", str(s.requests[1].headers))


def make_certificate(folder, name):
    key, certificate = os.path.join(folder, name + ".key"), os.path.join(folder, name + ".pem")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
               "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    try:
        out = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except FileNotFoundError as e:
        raise Skip("there is no openssl command to make a certificate with") from e
    expect(out.returncode == 0, out.stdout.decode())
    return key, certificate


def test_tls(c):
    key, certificate = make_certificate(c.folder, "server")
    client_key, client_certificate = make_certificate(c.folder, "client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    context.load_verify_locations(client_certificate)
    context.verify_mode = ssl.CERT_OPTIONAL
    plain = c.server(lambda n, r: Answer(array(0, 1)))
    s = c.server(lambda n, r: Answer(array(n, 1)) if r.path != "/down" else Answer(status=302, headers={"Location": plain.url}), context)
    c.pipeline(s.url, split="array")
    code, text = c.run("--available-now")
    expect(code != 0 and "certificate" in text and "caFile" in text and not s.requests, f"{code} {text}")
    c.pipeline(s.url, split="array", caFile="server.pem", certFile="client.pem", keyFile="client.key")  # relative to the SQL file
    c.run_well("--available-now")
    expect(c.ids() == [0], str(c.ids()))
    shutil.rmtree(c.data)
    c.pipeline(s.url, split="array", verify="false")
    c.run_well("--available-now")
    expect(c.ids() == [1], str(c.ids()))
    shutil.rmtree(c.data)
    c.pipeline(s.url + "/down", split="array", caFile="server.pem")
    code, text = c.run("--available-now")
    expect(code != 0 and "https to http" in text and not plain.requests, f"{code} {text}")
    context.verify_mode = ssl.CERT_REQUIRED
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    c.pipeline(s.url, split="array", caFile="server.pem", certFile="client.pem", keyFile="client.key")
    c.run_well("--available-now")
    expect(len(c.ids()) == 1, str(c.ids()))


def test_unreachable_and_back(c):
    port = free_port()
    c.pipeline(f"http://127.0.0.1:{port}/x", split="array")
    p = c.start()
    c.wait_for("a warning", lambda: "cannot poll" in c.log())
    time.sleep(1)
    expect(p.poll() is None and c.log().count("cannot poll") == 1, c.log())
    c.server(lambda n, r: Answer(array(n, 1)), port=port)
    c.wait_for("rows", lambda: len(c.ids()) > 3)
    ids = c.ids()
    expect("answers again" in c.log() and ids == list(range(len(ids))), c.log())
    expect(c.stop(p) < AT_ONCE_S, "it was slow to stop")


def test_batch_leaves_nothing(c):
    s = c.server(lambda n, r: Answer(array(n * 3, 3)))
    work = os.path.join(c.folder, "work")
    os.mkdir(work)
    text = f"CREATE TABLE h USING http OPTIONS (url '{s.url}', split 'array'); SELECT count(*) AS n, max(offset) AS o FROM h"
    out = subprocess.run([c.leat, "sql", "--format", "csv", "-q", text], cwd=work, env=c.environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_S, check=False)
    expect(out.returncode == 0 and b"3,2" in out.stdout and len(s.requests) == 1 and not os.listdir(work), f"{out.stdout} {os.listdir(work)}")


def test_killed_between_and_within_polls(c):
    """Killed at any time: what a poll brought is there once and whole, and what the server gave is lost only with an unfinished poll."""
    rounds = 60 if c.long else 12
    s = c.server(lambda n, r: Answer(array(n * 100, 100)))
    c.pipeline(s.url, split="array", interval="1 ms")
    killed = 0
    for _ in range(rounds):
        before = len(s.requests)
        p = c.start("--quiet")
        c.wait_for("requests", lambda before=before: len(s.requests) > before + 2)
        time.sleep(c.random.random() * 0.2)
        c.stop(p, signal.SIGKILL)
        killed += p.returncode == -signal.SIGKILL
    c.run_well("--available-now")
    check_whole_polls(c, s, rounds)
    expect(killed == rounds, f"{killed} of {rounds} were killed")


def check_whole_polls(c, s, rounds):
    rows = c.query("SELECT offset, id FROM rows ORDER BY offset")
    ids = [r[1] for r in rows]
    expect([r[0] for r in rows] == list(range(len(rows))), "offsets are not 0, 1, 2 …")
    expect(len(set(ids)) == len(ids), "a document is there twice")
    expect(ids == sorted(ids), "the order is not the server's")
    polls = {i // 100 for i in ids}
    expect(len(ids) == 100 * len(polls), "a poll is there in part")
    expect(len(s.requests) - len(polls) <= rounds * 2, f"{len(s.requests)} answers, {len(polls)} kept, {rounds} kills")


def test_killed_at_failpoints(c):
    """At each write and sync of the spool."""
    s = c.server(lambda n, r: Answer(array(n * 100, 100)))
    c.pipeline(s.url, split="array", interval="1 ms", numPolls=5)
    kills = 0
    for point in ("spool.write", "spool.sync", "file.sync", "folder.sync"):
        for nth in (1, 2, 3, 4):
            code, _ = c.run("--quiet", environment={"LEAT_FAILPOINT": f"{point}=kill:{nth}"})
            kills += code == -signal.SIGKILL
    c.run_well("--available-now")
    check_whole_polls(c, s, 17)
    expect(kills >= 12, f"{kills} kills")


def test_failed_sync_stops(c):
    s = c.server(lambda n, r: Answer(array(n * 100, 100)))
    c.pipeline(s.url, split="array", interval="1 ms", numPolls=5)
    code, text = c.run("--quiet", environment={"LEAT_FAILPOINT": "spool.sync=fail:3"})
    expect(code != 0 and "spool.sync" in text, f"{code} {text}")
    c.run_well("--quiet")
    check_whole_polls(c, s, 2)


def test_damaged_spool_is_said(c):
    s = c.server(lambda n, r: Answer(array(n * 10, 10)))
    c.pipeline(s.url, split="array")
    c.run_well("--available-now")
    path = os.path.join(c.data, "spool", "source", "0" * 20 + ".spool")
    expect(os.stat(path).st_mode & 0o777 == 0o600, "the spool can be read by others")
    with open(path, "r+b") as f:
        f.seek(300)
        byte = f.read(1)
        f.seek(300)
        f.write(bytes([byte[0] ^ 1]))
    code, text = c.run("--available-now")
    expect(code != 0 and "is damaged at byte" in text and path in text, f"{code} {text}")
    os.unlink(path)
    code, text = c.run("--available-now")
    expect(code != 0 and "LEAT_DATA_LOSS" in text, f"{code} {text}")


def test_spool_stays_small(c):
    body = b"[" + b",".join(b'{"id":%d,"pad":"%s"}' % (i, b"x" * 1000) for i in range(100)) + b"]"
    s = c.server(lambda n, r: Answer(body))
    c.pipeline(s.url, split="array", interval="1 ms", numPolls=60, maxSpoolBytes="1MB", retention="0 s")
    c.run_well()
    folder = os.path.join(c.data, "spool", "source")
    size = sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))
    expect(len(c.ids()) == 6000 and size < 2 << 20, f"{len(c.ids())} rows, {size} bytes")
    expect("0" * 20 + ".spool" not in os.listdir(folder), "the first segment is still there")


def test_full_spool_goes_on_after_a_restart(c):
    """All was read before: the spool over its size must not keep a new run from polling."""
    s = c.server(lambda n, r: Answer(array(n * 3000, 3000)))
    c.pipeline(s.url, split="array", maxSpoolBytes="70000", numPolls=2)
    for _ in range(3):
        c.run_well()
    expect(c.ids() == list(range(18000)), f"{len(c.ids())} rows")


def test_killed_with_a_tiny_spool(c):
    """Epochs of noop need not be on disk before the next one: what the spool drops is what no start asks for again."""
    body = b"[" + b",".join(b'{"id":%d,"pad":"%s"}' % (i, b"x" * 1000) for i in range(100)) + b"]"
    s = c.server(lambda n, r: Answer(body))
    c.pipeline(s.url, split="array", interval="1 ms", maxSpoolBytes="1MB", retention="0 s", targets={"nothing": "noop"})
    folder = os.path.join(c.data, "spool", "source")
    first, kills = "0" * 20 + ".spool", 0
    for _ in range(30 if c.long else 6):
        before = len(s.requests)
        p = c.start("--quiet")
        c.wait_for("polls enough to drop what was read", lambda before=before: len(s.requests) > before + 40 or p.poll() is not None)
        time.sleep(c.random.random() * 0.1)
        expect(p.poll() is None, f"it ended with {p.returncode}: {c.log()}")
        c.stop(p, signal.SIGKILL)
        kills += p.returncode == -signal.SIGKILL
    expect(first not in os.listdir(folder), f"nothing was dropped: {os.listdir(folder)}")
    c.run_well("--available-now")
    expect("LEAT_DATA_LOSS" not in c.log() and "error" not in c.log(), c.log())
    size = sum(os.path.getsize(os.path.join(folder, n)) for n in os.listdir(folder))
    expect(size < 4 << 20, f"{size} bytes")


def test_options_are_checked(c):
    for options, word in (({"url": "ftp://x/y"}, "http://"), ({"url": "http://localhost", "split": "a..b"}, "split"), ({"url": "http://localhost", "body": "x"}, "POST"),
                          ({"url": "http://localhost", "interval": "5"}, "interval"), ({"url": "http://localhost", "maxRedirects": "99"}, "maxRedirects"),
                          ({"url": "http://localhost", "intervall": "1 s"}, "interval"), ({"url": "http://loc alhost/"}, "url")):
        c.pipeline(options.pop("url"), **{"interval": "1 s", **options})
        code, text = c.run("--available-now")
        expect(code != 0 and word in text, f"{options}: {code} {text}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leat", default="build/leat")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    parser.add_argument("--long", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args()
    options.leat = os.path.abspath(options.leat)
    tests = {n[5:]: f for n, f in globals().items() if n.startswith("test_")}
    print(f"seed {options.seed}")
    passed = failed = skipped = 0
    for name in options.names or tests:
        case, begin = Case(options), time.monotonic()
        try:
            tests[name](case)
            passed, word = passed + 1, "ok"
        except Skip as e:
            skipped, word = skipped + 1, f"skipped: {e}"
        except Exception as e:  # a test that breaks has failed
            failed, word = failed + 1, f"FAILED: {e}" if isinstance(e, Failure) else "FAILED\n" + traceback.format_exc()
        finally:
            case.close()
        print(f"{name:40} {time.monotonic() - begin:6.1f} s  {word}", flush=True)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
