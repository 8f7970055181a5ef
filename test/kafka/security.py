# SPDX-License-Identifier: Apache-2.0
"""Passwords and certificates: what fits works, what does not is one clear error, and no secret is anywhere in what leat says or keeps."""
import os
import subprocess

from broker import OTHER_HOST
from harness import EXIT_UNREACHABLE, PATIENCE, Failure, expect, wait_until
from suite import Suite, on

MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]


class Security(Suite):
    def pipeline_with(self, topic, to, options, environment):
        options = dict(options)
        address = options.pop("address")
        p = self.copying(topic, to, brokers=address, with_state=True, options=options, properties=options)
        p.more_environment = environment
        return p

    def sasl(self, mechanism, password="${env:KAFKA_PASSWORD}", **more):
        return {"address": self.broker.address(4), "kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": mechanism,
                "kafka_ssl_ca_location": os.path.join(self.broker.tls, "ca.pem"), "kafka_sasl_username": self.broker.user,
                "kafka_sasl_password": password, **more}

    def certificate(self, who="client", **more):
        files = {name: os.path.join(self.broker.tls, name) for name in ("ca.pem", f"{who}.pem", f"{who}.key")}
        return {"address": self.broker.address(3), "kafka_security_protocol": "SSL",
                "kafka_ssl_ca_location": files["ca.pem"], "kafka_ssl_certificate_location": files[f"{who}.pem"],
                "kafka_ssl_key_location": files[f"{who}.key"], **more}

    def expect_no_secret(self, p, secrets):
        """In no output and no file that the pipeline made, whatever the case of what was said about it."""
        texts = {}
        for command in (["check", p.file], ["check", "--portable", p.file], ["sql", "--data", p.data, "-q", "SELECT * FROM leat_catalog"],
                        ["sql", "--data", p.data, "-q", "SHOW TABLES"]):
            out = subprocess.run([p.leat, *command], env=p.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                 timeout=60 * PATIENCE, check=False)
            texts[" ".join(command[:2])] = out.stdout
        for folder, _, names in os.walk(p.folder):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path) and name not in ("pipeline.sql", "password"):
                    with open(path, "rb") as f:
                        texts[name] = f.read()
        expect(len(texts) >= 6, f"only {sorted(texts)} were looked at")
        for what, data in texts.items():
            for secret in secrets:
                expect(secret.encode() not in data and secret.encode("utf-16-le") not in data, f"a secret is in {what}")
        return len(texts)

    @on("one", "old")
    def test_what_fits(self):
        topic = self.topic("in", 2)
        records, looked = self.fill(topic, 300), 0
        password = {"KAFKA_PASSWORD": self.broker.password}
        plain = self.sasl("PLAIN", address=self.broker.address(2), kafka_security_protocol="SASL_PLAINTEXT")
        plain.pop("kafka_ssl_ca_location")
        cases = [(f"SASL_SSL {m}", self.sasl(m), password) for m in MECHANISMS] + [
            ("SASL_PLAINTEXT PLAIN", plain, password), ("SSL with a certificate", self.certificate(), {}),
            ("Java's names", self.javas_names(), password)]
        for what, options, environment in cases:
            to = self.topic("out", 2)
            p = self.pipeline_with(topic, to, options, environment)
            p.run_to_end("-v")
            self.expect_copied(to, records, what)
            self.expect_counted(p, records, what)
            looked += self.expect_no_secret(p, [self.broker.password])
        return f"{len(cases)} ways, {looked} texts looked through"

    def javas_names(self):
        jaas = f'org.apache.kafka.common.security.scram.ScramLoginModule required username="{self.broker.user}" password="${{env:KAFKA_PASSWORD}}";'
        return {"address": self.broker.address(4), "kafka_security_protocol": "SASL_SSL", "kafka_sasl_mechanism": "SCRAM-SHA-512",
                "kafka_sasl_jaas_config": jaas, "kafka_ssl_truststore_type": "PEM",
                "kafka_ssl_truststore_location": os.path.join(self.broker.tls, "ca.pem")}

    def test_password_in_file(self):
        topic, to = self.topic("in", 2), self.topic("out", 2)
        records = self.fill(topic, 100)
        path = os.path.join(self.root, "password")
        with open(path, "w", encoding="utf-8") as f:
            f.write(self.broker.password + "\n")
        p = self.pipeline_with(topic, to, self.sasl("SCRAM-SHA-256", "${file:" + path + "}"), {})
        p.run_to_end("-v")
        self.expect_copied(to, records, "a password in a file")
        return f"{self.expect_no_secret(p, [self.broker.password])} texts looked through"

    @on("one", "old")
    def test_what_does_not_fit(self):
        """Each is an error within half a minute: it says what is wrong and where, in a few lines."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        self.fill(topic, 10)
        wrong = "not-" + self.broker.password[::-1]
        ca = self.broker.other_authority()
        cases = [(f"wrong password, {m}", self.sasl(m), wrong, ("auth",)) for m in MECHANISMS] + [
            ("wrong user", self.sasl("SCRAM-SHA-256", kafka_sasl_username="nobody"), self.broker.password, ("auth",)),
            ("wrong authority", self.sasl("PLAIN", kafka_ssl_ca_location=ca), self.broker.password, ("certificate",)),
            ("wrong name", self.sasl("PLAIN", address=self.broker.address(7, OTHER_HOST), kafka_security_protocol="SSL"), "", ("certificate", "name")),
            ("a stranger's certificate", self.certificate("stranger"), "", ("certificate", "ssl")),
            ("no certificate", {k: v for k, v in self.certificate().items() if "certificate" not in k and "key" not in k}, "", ("certificate", "ssl")),
        ]
        codes, problems = {}, []
        for what, options, password, words in cases:
            p = self.pipeline_with(topic, to, options, {"KAFKA_PASSWORD": password})
            try:
                code = self.expect_refused(p, words)
                codes[code] = codes.get(code, 0) + 1
                if password:
                    self.expect_no_secret(p, [password])
            except Failure as e:
                problems.append(f"{what}: {e}"[:1200])
        expect(not problems, "\n".join(problems))
        expect(self.client.count(to) == 0, "something was written")
        return f"{len(cases)} refused, exit codes {codes}"

    def test_no_tls(self):
        """A plain client at a TLS listener cannot know: it waits, and says what it may be."""
        topic, to = self.topic("in", 2), self.topic("out", 2)
        p = self.pipeline_with(topic, to, self.sasl("PLAIN", kafka_security_protocol="SASL_PLAINTEXT"), {"KAFKA_PASSWORD": self.broker.password})
        process = p.start()
        wait_until("it says why", lambda: "security.protocol" in process.errors() and self.broker.address(4) in process.errors(), 20, process)
        process.kill()
        self.expect_no_secret(p, [self.broker.password])
        return "it names security.protocol"

    @staticmethod
    def expect_refused(p, words):
        process, code = p.run(seconds=30)
        text = process.errors()
        expect(code > 0, f"exit {code}\n{text}")
        expect(any(w in text.lower() for w in words), f"it does not say {' or '.join(words)}\n{text}")
        expect("127.0.0." in text, f"it does not say where\n{text}")
        expect(len([line for line in text.split("\n") if line]) <= 15, f"a wall of lines\n{text}")
        return code

    def test_missing_variable(self):
        topic, to = self.topic("in"), self.topic("out")
        p = self.pipeline_with(topic, to, self.sasl("PLAIN", "${env:NOT_SET_ANYWHERE}"), {})
        process, code = p.run(seconds=30)
        expect(code > 0 and code != EXIT_UNREACHABLE and "NOT_SET_ANYWHERE" in process.errors(), f"exit {code}\n{process.text()}")
        return f"exit {code} with the variable's name"
