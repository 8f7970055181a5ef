# SPDX-License-Identifier: Apache-2.0
"""The containers: compose.yaml is right, leat's image can be built, is small, runs as nobody special, is healthy, and ends when it is told.

A daemon of our own (root): no bridge, no firewall rules, its own folder and socket, ended by its own process id. Where a base image cannot be
pulled, one is made with debootstrap, once, and kept in cache/. The stage that compiles is left out, which other tests cover, but with
--long, and where this system is no Debian 12; then the image is built from the sources alone.
"""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time

from harness import PATIENCE, ROOT, Failure, expect, wait_until

COMPOSE = os.path.join(ROOT, "examples/users/compose.yaml")
CACHE = os.environ.get("SERVERS_CACHE", os.path.join(ROOT, "cache"))
DEBIAN, PULLED = "bookworm", "debian:12-slim"
IMAGE, BASE, MADE = "leat-test:image", "leat-test:base", "leat-test:made"
ADDED_MB_MAX = 80
SERVICES = {"kafka", "cassandra", "mongodb", "topic", "producer", "pipeline"}
PIPELINE = """
CREATE TABLE m USING generator OPTIONS (kind 'users', seed '1', partitions '2', rowsPerSecond '500');
CREATE STREAMING TABLE users AS SELECT CAST(value AS STRING) AS v FROM STREAM m;
"""


class NoDaemon(Exception):
    """Docker cannot be had, or not run, here; the text says why. A visible skip, also in CI: it is no server that leat speaks to."""


def run(command, seconds=60, environment=None, **more):
    """(exit status, both outputs)"""
    try:
        out = subprocess.run(command, env=dict(os.environ, **(environment or {})), stdin=more.pop("stdin", subprocess.DEVNULL),
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds * PATIENCE, check=False, **more)
        return out.returncode, out.stdout.decode("utf-8", "replace")
    except subprocess.TimeoutExpired as e:
        return 124, f"{' '.join(command)}: not within {seconds * PATIENCE} s\n" + (e.stdout or b"").decode("utf-8", "replace")


def need(*pairs):
    """(command, Debian's package): installs what is missing, where that can be done."""
    packages = [package for command, package in pairs if not shutil.which(command)]
    if packages:
        code, text = run(["bash", os.path.join(ROOT, "tools/deps.sh"), *packages], 300)
        missing = [command for command, _ in pairs if not shutil.which(command)]
        if code or missing:
            raise NoDaemon(f"{', '.join(missing or packages)} cannot be installed: {text.strip().split(chr(10))[-1]}")


# ---- compose.yaml ----

def check_compose():
    """By docker-compose itself, which knows the schema; then what it cannot know."""
    need(("docker-compose", "docker-compose"))
    code, text = run(["docker-compose", "-f", COMPOSE, "config"], 60, {"USERS_PER_SECOND": "123"})
    expect(code == 0, lambda: f"docker-compose config: exit {code}\n{text}")
    code, services = run(["docker-compose", "-f", COMPOSE, "config", "--services"])
    expect(code == 0 and set(services.split()) == SERVICES, f"services {services.split()}")
    expect("rate=123" in text, "USERS_PER_SECOND does not reach the producer")
    images = [line.split("image:")[1].strip() for line in text.split("\n") if "image:" in line]
    expect(len(images) == len(SERVICES), f"images {images}")
    for image in images:
        tag = image.rpartition(":")[2] if ":" in image else ""
        expect(tag.count(".") == 2 and tag.replace(".", "").isdigit(), f"{image}: no tag that stays what it is")
    with open(COMPOSE, encoding="utf-8") as f:
        given = f.read()
    for word in ("service_healthy", "service_completed_successfully", "healthcheck", "volumes"):
        expect(word in given, f"compose.yaml has no {word}")
    opened = [line.strip() for line in text.split("\n") if line.strip().startswith("- ") and "/tcp" in line]
    expect(opened and all(line.startswith("- 127.0.0.1:") for line in opened), f"ports open beyond this machine: {opened}")
    return f"{len(images)} services, {', '.join(sorted(set(images)))}"


# ---- a daemon ----

def root_is_mounted():
    """In a chroot it may be no mount point: Docker mounts it anew for what it does, and cannot."""
    with open("/proc/self/mounts", encoding="utf-8") as f:
        return any(line.split()[1] == "/" for line in f)


def expect_containers(docker):
    """A daemon may start where the kernel or a sandbox lets it run nothing."""
    code, text = docker.attempt("run", "--rm", "--network", "none", BASE, "true")
    if code:
        raise NoDaemon(f"dockerd runs no container here: {text.strip().split(chr(10))[-1]}")

class Docker:
    """A client that speaks to one daemon; ends the daemon if it is ours."""

    def __init__(self, folder):
        self.folder, self.daemon, self.environment = folder, None, {"DOCKER_BUILDKIT": "1"}
        self.client = next((c for c in ("/usr/bin/docker", shutil.which("docker") or "") if os.access(c, os.X_OK)), None)

    def __call__(self, *arguments, seconds=60, **more):
        code, text = self.attempt(*arguments, seconds=seconds, **more)
        expect(code == 0, lambda: f"docker {' '.join(arguments)}: exit {code}\n{text[-4000:]}")
        return text.strip()

    def attempt(self, *arguments, seconds=60, **more):
        return run([self.client, *arguments], seconds, self.environment, **more)

    def start(self):
        """The daemon that runs already, if we may ask it; else one of our own."""
        if self.client and self.attempt("version", seconds=10)[0] == 0:
            return
        if not root_is_mounted():
            raise NoDaemon("Docker does not run in a chroot whose root is no mount point")
        if os.geteuid() != 0:
            raise NoDaemon("no Docker daemon answers, and only root can start one")
        if not shutil.which("dockerd"):
            need(("dockerd", "docker.io"))
        self.client = next(c for c in ("/usr/bin/docker", shutil.which("docker") or "") if os.access(c, os.X_OK))
        address = f"unix://{self.folder}/sock"
        self.environment["DOCKER_HOST"] = address
        command = ["dockerd", "--data-root", f"{self.folder}/data", "--exec-root", f"{self.folder}/exec", "--pidfile", f"{self.folder}/pid",
                   "-H", address, "--bridge=none", "--iptables=false", "--ip6tables=false"]
        with open(f"{self.folder}/log", "wb") as log:
            self.daemon = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        end = time.monotonic() + 30 * PATIENCE
        while self.attempt("version", seconds=10)[0]:
            if self.daemon.poll() is not None or time.monotonic() > end:
                with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                    why = [line for line in f.read().strip().split("\n") if line]
                raise NoDaemon(f"dockerd does not run here: {why[-1] if why else 'without a word'}")
            time.sleep(0.2)

    def close(self):
        if not self.daemon:
            return
        self.daemon.send_signal(signal.SIGTERM)
        try:
            self.daemon.wait(30 * PATIENCE)
        except subprocess.TimeoutExpired:
            self.daemon.kill()
            self.daemon.wait()
        self.unmount()

    def unmount(self):
        """What a daemon that had to be killed leaves mounted below its folder; else the folder could not be removed."""
        with open("/proc/mounts", encoding="utf-8") as f:
            left = [line.split()[1] for line in f if line.split()[1].startswith(self.folder + "/")]
        for path in sorted(left, reverse=True):
            run(["umount", "-l", path])


# ---- the image ----

def is_debian_12():
    with contextlib.suppress(OSError):
        with open("/etc/os-release", encoding="utf-8") as f:
            return f"VERSION_CODENAME={DEBIAN}" in f.read()
    return False


def debian_mirror():
    """The one this machine's apt uses, where it is a Debian of that name; else debootstrap's own."""
    code, text = run(["apt-get", "indextargets", "--format", "$(CODENAME) $(REPO_URI)"]) if shutil.which("apt-get") else (1, "")
    return next(([line.split()[1]] for line in text.split("\n") if code == 0 and line.startswith(DEBIAN + " ")), [])


def make_base(docker):
    """A base image of Debian 12: pulled, or made with debootstrap."""
    if docker.attempt("pull", "-q", PULLED, seconds=15)[0] == 0:
        docker("tag", PULLED, BASE)
        return "pulled"
    archive = os.path.join(CACHE, f"debian-{DEBIAN}.tar")
    if not os.path.exists(archive):
        need(("debootstrap", "debootstrap"))
        os.makedirs(CACHE, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix="debootstrap-", dir=docker.folder) as tree:
            code, text = run(["debootstrap", "--variant=minbase", DEBIAN, tree, *debian_mirror()], 300)
            if code:
                raise NoDaemon(f"no base image can be pulled, and debootstrap failed: {text.strip().split(chr(10))[-1]}")
            shutil.rmtree(os.path.join(tree, "var/cache/apt"), ignore_errors=True)
            code, text = run(["tar", "-C", tree, "--exclude=./var/lib/apt/lists/*", "--exclude=./usr/share/doc/*", "--exclude=./usr/share/locale/*",
                              "--exclude=./dev/*", "-cf", archive + ".part", "."])
            expect(code == 0, text)
        os.replace(archive + ".part", archive)
    code, text = docker.attempt("import", archive, BASE, seconds=120)
    if code:
        raise NoDaemon(f"dockerd takes no image here: {text.strip().split(chr(10))[-1]}")
    return "made with debootstrap"


def give_binary(docker, leat):
    """An image with the binary that the other tests run, stripped, where the Dockerfile's own stage would have made it."""
    with tempfile.TemporaryDirectory(prefix="made-", dir=docker.folder) as tree:
        where = os.path.join(tree, "made/usr/local/bin")
        os.makedirs(where)
        code, text = run(["strip", "-o", os.path.join(where, "leat"), leat])
        expect(code == 0, text)
        os.chmod(os.path.join(where, "leat"), 0o755)
        code, text = run(["tar", "-C", tree, "-cf", os.path.join(tree, "made.tar"), "made"])
        expect(code == 0, text)
        docker("import", os.path.join(tree, "made.tar"), MADE)


def build_image(docker, options):
    how = make_base(docker)
    expect_containers(docker)
    arguments = ["--network", "host", "--build-arg", f"BASE={BASE}"]
    for name in ("http_proxy", "https_proxy", "no_proxy"):
        if name in os.environ:
            arguments += ["--build-arg", name]
    whole = options.long or not is_debian_12()
    if not whole:
        give_binary(docker, options.leat)
        arguments += ["--build-arg", f"BINARY={MADE}"]
    code, text = docker.attempt("build", *arguments, "-t", IMAGE, ROOT, seconds=900 if whole else 240)
    if code and "Temporary failure resolving" in text:
        raise NoDaemon(f"containers reach no network here: {text.strip().split(chr(10))[-1]}")
    expect(code == 0, lambda: f"docker build: exit {code}\n{text[-4000:]}")
    return f"base {how}, " + ("built from the sources" if whole else "with the binary of the other tests")


def size_mb(docker, image):
    return int(docker("image", "inspect", "-f", "{{.Size}}", image)) / 1e6


def check_image(options, root):
    folder = os.path.join(root, "docker")
    os.makedirs(folder)
    docker = Docker(folder)
    try:
        docker.start()
        how = build_image(docker, options)
        added = size_mb(docker, IMAGE) - size_mb(docker, BASE)
        expect(added < ADDED_MB_MAX, f"the image adds {added:.0f} MB to its base")
        return f"{how}; {added:.0f} MB above it; {check_container(docker, folder)}"
    finally:
        with contextlib.suppress(Failure):
            if docker.client:
                docker.attempt("image", "rm", "-f", IMAGE, MADE)
        docker.close()


def check_container(docker, folder):
    """A run in a container as compose.yaml has it: nothing writable but /data, no rights; process 1 is leat and ends on SIGTERM."""
    pipelines = os.path.join(folder, "pipelines")
    os.makedirs(pipelines)
    os.chmod(pipelines, 0o755)
    with open(os.path.join(pipelines, "p.sql"), "w", encoding="utf-8") as f:
        f.write(PIPELINE)
    os.chmod(os.path.join(pipelines, "p.sql"), 0o644)
    for library in ("libcurl.so.4", "libmongoc-1.0.so.0"):
        docker("run", "--rm", "--network", "none", "--entrypoint", "perl", IMAGE, "-e", f"exit(!grep {{ -e }} glob('/usr/lib/*/{library}'))")
    name = f"leat-test-{os.getpid()}"
    docker("run", "-d", "--name", name, "--network", "none", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
           "--tmpfs", "/tmp", "--health-interval", "1s", "-v", f"{pipelines}:/pipelines:ro", IMAGE, "run", "/pipelines/p.sql", "--data", "/data")
    try:
        def state():
            return json.loads(docker("inspect", "-f", "{{json .State}}", name))

        def healthy():
            now = state()
            expect(now["Running"], lambda: f"it ended with {now['ExitCode']}\n{docker('logs', name)}")
            return now["Health"]["Status"] == "healthy"
        wait_until("the container is healthy", healthy, 60)
        who = docker("exec", name, "sh", "-c", "id -u; cat /proc/1/comm; touch /usr/local/bin/x 2>&1 | grep -c 'Read-only'").split()
        expect(who == ["10001", "leat", "1"], f"uid, process 1, read-only: {who}")
        wait_until("rows", lambda: rows(docker, name) > 0, 30)
        begin = time.monotonic()
        docker("stop", "--time", str(30 * PATIENCE), name, seconds=60)
        ended, took = state(), time.monotonic() - begin
        expect(ended["ExitCode"] == 0 and took < 10 * PATIENCE, f"docker stop: exit {ended['ExitCode']} after {took:.1f} s\n{docker('logs', name)}")
        docker("start", name)
        wait_until("the container is healthy again", healthy, 60)
        code, text = docker.attempt("exec", name, "sh", "-c", "LEAT_DATA=/nowhere; export LEAT_DATA; " + health_command(docker))
        expect(code != 0, f"the health check is content without a run: {text}")
        return f"healthy, uid 10001, stopped in {took:.1f} s with exit 0"
    finally:
        docker.attempt("rm", "-f", "-v", name)


def rows(docker, name):
    answer = docker("exec", name, "leat", "sql", "--data", "/data", "--format", "csv", "-q", "SELECT count(*) AS n FROM users")
    return int(answer.split("\n")[-1])


def health_command(docker):
    """The image's own check, as a line for a shell."""
    words = json.loads(docker("image", "inspect", "-f", "{{json .Config.Healthcheck.Test}}", IMAGE))[1:]
    return " ".join("'" + word.replace("'", "'\\''") + "'" for word in words)
