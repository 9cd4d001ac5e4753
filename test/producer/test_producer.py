"""The producer alone (src/publisher/producer*.c) against librdkafka's embedded
broker and against Apache Kafka.

A session is a process with one producer; several sessions are several
publishers.  What is in the topics is read by another client, the Python one.
Run by run.sh, which builds the module and sets MO_BINDIR and MO_MODULE.
"""
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import psycopg
from confluent_kafka.admin import (AclBinding, AclOperation, AclPermissionType,
                                   ResourcePatternType, ResourceType)

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
import kafka                                                     # noqa: E402
from kafka import PATIENCE_S, Cluster, consume, free_ports, until    # noqa: E402

BINDIR = os.environ["MO_BINDIR"]
MODULE = os.environ["MO_MODULE"]

FUNCTIONS = {
    "create": ("text, text, text", "text"),
    "destroy": ("", "float8"),
    "reset": ("", "void"),
    "check_options": ("text, text", "void"),
    "start": ("int, text", "void"),
    "start_marker": ("int, bigint, text", "void"),
    "await": ("int, int", "text"),
    "begin": ("int", "text"),
    "produce": ("int, text, int, int, int, int", "text"),
    "deliver": ("int, int", "text"),
    "doomed": ("int", "text"),
    "offset": ("int", "bigint"),
    "read_marker": ("bool, int", "text"),
    "ensure_topic": ("text, int, text, int", "text"),
    "topic_id": ("", "text"),
    "knows_topic_ids": ("", "bool"),
    "library": ("", "text"),
    "end_offset": ("text, int, int", "text"),
    "trouble": ("int", "text"),
    "counts": ("", "text"),
    "partition": ("bytea, int", "int"),
    "turns": ("text, int, int, int, int, int", "float8[]"),
}

LONG = 300000           # ms; for what is to happen
# ms; the end of a producer waits for no broker, whose own patience is a minute.
SOON = 20000


class Server:
    def __init__(self, directory):
        self.data = os.path.join(directory, "pg")
        self.log = os.path.join(directory, "pg.log")
        self.port = free_ports(1)[0]

    def run(self, program, *args):
        subprocess.run([os.path.join(BINDIR, program), *args], check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    def start(self):
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres",
                 "-E", "UTF8", "--locale=C", "--no-sync")
        with open(os.path.join(self.data, "postgresql.conf"), "a") as f:
            f.write(f"port = {self.port}\nlisten_addresses = '127.0.0.1'\n"
                    "unix_socket_directories = ''\nfsync = off\n")
        self.run("pg_ctl", "-D", self.data, "-l", self.log, "-w", "start")
        with self.connect() as c:
            for name, (args, result) in FUNCTIONS.items():
                c.execute(f"CREATE FUNCTION test_{name}({args}) RETURNS {result}"
                          f" LANGUAGE C STRICT AS '{MODULE}', 'test_{name}'")

    def connect(self):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres",
                               dbname="postgres", autocommit=True)

    def stop(self):
        self.run("pg_ctl", "-D", self.data, "-m", "fast", "-w", "stop")


class Producer:
    """One session with one producer."""

    def __init__(self, server, bootstrap, ident, **options):
        self.session = server.connect()
        self.bootstrap = self.create(bootstrap, json.dumps(options), ident)

    def __getattr__(self, name):
        def call(*args):
            marks = ", ".join(f"%s::{t.strip()}" for t in FUNCTIONS[name][0].split(",")[:len(args)])
            return self.session.execute(f"SELECT test_{name}({marks})", args).fetchone()[0]
        return call

    def call(self, lane, what, ms=LONG):
        self.start(lane, what)
        return getattr(self, "await")(lane, ms)

    def marker(self, lane, lsn, text, ms=LONG):
        self.start_marker(lane, lsn, text)
        return getattr(self, "await")(lane, ms)

    def end(self, lane, ms=LONG):
        return getattr(self, "await")(lane, ms)

    def close(self):
        self.session.close()


# Beside the listener that everybody may use: one with passwords and one with
# TLS and passwords.  Who comes through these two has the rights that were
# given to "clerk", and none if there are none.
SECURE = """\
listeners=PLAINTEXT://127.0.0.1:{{port}},CONTROLLER://127.0.0.1:{{controller}},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{ssl}
advertised.listeners=PLAINTEXT://127.0.0.1:{{port}},SASL_PLAINTEXT://127.0.0.1:{sasl},SASL_SSL://127.0.0.1:{ssl}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_clerk="pass-word" user_boss="pass-word";
listener.name.sasl_ssl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_clerk="pass-word" user_boss="pass-word";
ssl.keystore.type=PEM
ssl.keystore.location={directory}/broker.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:boss
"""


def make_certificate():
    """One self-signed certificate for the broker, which is its own CA."""
    key, cert = (os.path.join(directory, n) for n in ("key.pem", "cert.pem"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True,
                   stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    with open(os.path.join(directory, "broker.pem"), "w") as out:
        for name in (key, cert):
            with open(name) as f:
                out.write(f.read())


def setUpModule():
    global directory, server, cluster, sasl, ssl
    directory = tempfile.mkdtemp(prefix="mo-producer-", dir=os.environ.get("MO_TMP"))
    unittest.addModuleCleanup(shutil.rmtree, directory, ignore_errors=True)
    server = Server(directory)
    unittest.addModuleCleanup(server.stop)
    server.start()
    make_certificate()
    sasl, ssl = free_ports(2)
    kept = [line for line in kafka.PROPERTIES.splitlines()
            if not line.startswith(("listeners=", "advertised.", "listener.security."))]
    kafka.PROPERTIES = "\n".join(kept) + "\n" + SECURE.format(
        sasl=sasl, ssl=ssl, directory=directory)
    cluster = Cluster(os.path.join(directory, "kafka"))
    unittest.addModuleCleanup(cluster.stop)
    cluster.create(1)


def values(topic, isolation="read_committed"):
    return [len(m.value()) for m in consume(cluster.bootstrap, [topic], isolation)]


class Base(unittest.TestCase):
    """Each test has its own ids and its own topic, named after it."""

    def setUp(self):
        self.name = self._testMethodName.replace("test_", "")
        self.open = []

    def tearDown(self):
        cluster.signal(1, signal.SIGCONT)
        for p in self.open:
            p.close()

    def producer(self, bootstrap=None, ident=None, **options):
        p = Producer(server, bootstrap or cluster.bootstrap, ident or self.name, **options)
        self.open.append(p)
        return p

    def ready(self, p, topic=True, partitions=3, config="{}"):
        """Topics exist, both ids are ours."""
        self.assertEqual(p.ensure_topic("mo-test.markers", 1, "{}", LONG), "1")
        if topic:
            self.assertEqual(p.ensure_topic(self.name, partitions, config, LONG), str(partitions))
        for lane in (0, 1):
            self.assertEqual(p.call(lane, "init"), "ok")
        return p

    def troubled(self, p, words):
        until(lambda: re.search(words, p.trouble(100) or ""), PATIENCE_S, f"trouble: {words}")

    def ends(self, p, offset):
        """A moment after its commit was acknowledged, a transaction's end is in
        the partitions, too."""
        until(lambda: p.end_offset(self.name, 0, LONG) == offset, PATIENCE_S, f"the end to be {offset}")

    def publish(self, p, lane, n, lsn, size=100):
        """A whole transaction."""
        self.assertEqual(p.begin(lane), "ok")
        self.assertEqual(p.produce(lane, self.name, 3, n, size, 8), "ok")
        self.assertEqual(p.marker(lane, lsn, f"m{lsn}"), "ok")
        self.assertEqual(p.deliver(lane, LONG), "0/0 repeat 0 refused 0 no_topic 0")
        self.assertEqual(p.call(lane, "commit"), "ok")


class Embedded(Base):
    def test_embedded(self):
        p = self.producer("embedded")
        self.assertRegex(p.bootstrap, r"^127\.0\.0\.1:\d+$")
        self.ready(p)
        self.assertEqual(p.read_marker(True, LONG), "none")
        self.publish(p, 0, 10, 100)
        self.publish(p, 1, 5, 200)
        self.assertEqual(p.read_marker(True, LONG), "200 m200")
        self.assertEqual(len(list(consume(p.bootstrap, [self.name], "read_uncommitted"))), 15)
        p.reset()
        for lane in (0, 1):
            self.assertEqual(p.call(lane, "init"), "ok")
        self.assertEqual(p.read_marker(True, LONG), "200 m200")
        self.publish(p, 0, 3, 300)
        self.ends(p, "7")

    def test_embedded_abort(self):
        p = self.ready(self.producer("embedded"))
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 10, 100, 8), "ok")
        self.assertEqual(p.marker(0, 100, "lost"), "ok")
        self.assertEqual(p.call(0, "abort"), "ok")
        self.assertEqual(p.read_marker(True, LONG), "none")


class First(Base):
    """Before Kafka: the cluster is fresh, its groups have no coordinator yet."""

    def test_first_use(self):
        """librdkafka forgets a marker that finds no coordinator; we do not."""
        p = self.producer()
        self.assertEqual(p.ensure_topic("mo-test.markers", 1, "{}", LONG), "1")
        self.assertEqual(p.call(0, "init"), "ok")
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.marker(0, 1, "m1"), "ok")
        self.assertEqual(p.call(0, "commit"), "ok")
        self.assertEqual(p.read_marker(True, LONG), "1 m1")


class Options(Base):
    def check(self, options, brokers="127.0.0.1:1"):
        with server.connect() as c:
            c.execute("SELECT test_check_options(%s, %s)", (brokers, json.dumps(options)))

    def refused(self, options, words, **more):
        with self.assertRaisesRegex(psycopg.Error, words) as caught:
            self.check(options, **more)
        return caught.exception

    def test_options(self):
        self.check({"compression.type": "zstd", "linger.ms": 2.5,
                    "enable.ssl.certificate.verification": False})
        e = self.refused({"sasl.kerberos.kinit.cmd": "true"}, "unknown publisher option")
        self.assertIn("compression.type", e.diag.message_detail)
        self.refused({"plugin.library.paths": "/tmp/x.so"}, "unknown publisher option")
        self.refused({"transactional.id": "x"}, "set by mesh_outbox itself")
        self.refused({"linger.ms": "soon"}, 'option "linger.ms" is not accepted')
        self.refused({"linger.ms": [1]}, "must be a string, a number or a boolean")
        self.refused([1], "must be a JSON object")
        self.refused({}, "no brokers", brokers=" ,")
        self.refused({"sasl.password": "secret"}, "must refer to a file")

    def test_secrets(self):
        path = os.path.join(directory, "secret")
        with open(path, "w") as f:
            f.write("hidden-word\n")
        os.chmod(path, 0o644)
        option = {"sasl.password": {"file": path}}
        self.refused(option, "is unsafe")
        os.chmod(path, 0o600)
        self.check(option)
        self.refused({"sasl.password": {"file": path + "x"}}, "could not open file")
        self.refused({"sasl.password": {"file": "relative"}}, "not an absolute path")
        with server.connect() as c:
            c.execute("CREATE ROLE clerk")
            c.execute("SET ROLE clerk")
            with self.assertRaisesRegex(psycopg.Error, "permission denied"):
                c.execute("SELECT test_check_options('b:1', %s)", (json.dumps(option),))
            with self.assertRaisesRegex(psycopg.Error, "permission denied"):
                c.execute("SELECT test_check_options('b:1', '{\"ssl.ca.location\": \"/etc/passwd\"}')")
            c.execute("RESET ROLE")
            c.execute("DROP ROLE clerk")

    def test_partition(self):
        """Figures from Java's own tests of Utils.murmur2."""
        with server.connect() as c:
            for key, h in ((b"21", -973932308), (b"foobar", -790332482),
                           (b"a-little-bit-long-string", -985981536),
                           (b"a-little-bit-longer-string", -1486304829),
                           (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
                           (b"abc", 479470107)):
                got = c.execute("SELECT test_partition(%s, 1000003)", (key,)).fetchone()[0]
                self.assertEqual(got, (h & 0x7fffffff) % 1000003)


class Kafka(Base):
    def test_transactions(self):
        p = self.ready(self.producer())
        self.assertEqual(p.read_marker(True, LONG), "none")
        self.publish(p, 0, 30, 1000)
        self.publish(p, 1, 20, 9223372032865228408)
        self.assertEqual(p.read_marker(True, LONG), "9223372032865228408 m9223372032865228408")
        self.assertEqual(len(values(self.name)), 50)
        # 17 records and two commit records in each partition but the last.
        self.ends(p, "19")
        self.assertEqual(p.offset(0), 11)
        self.assertEqual(p.end_offset("no-such-topic", 0, LONG), "0")

    def test_existing_topic(self):
        cluster.create_topic(self.name, 5)
        p = self.producer()
        self.assertEqual(p.ensure_topic(self.name, 3, "{}", LONG), "5")
        self.assertRegex(p.ensure_topic("bad/name", 3, "{}", LONG), "^refused")
        self.assertRegex(p.ensure_topic("x" * 250, 3, "{}", LONG), "^refused")
        self.assertRegex(p.ensure_topic("c-" + self.name, 3, '{"no.such.setting": 1}', LONG), "^refused")
        self.assertEqual(p.ensure_topic("d-" + self.name, 2, '{"retention.ms": 1000000}', LONG), "2")

    def test_topic_id(self):
        """A topic that was deleted and made again is another one."""
        p = self.producer()
        self.assertRegex(p.library(), r"^2\.[0-9.]+: fit$")
        ids = []
        for _ in (1, 2):
            self.assertEqual(p.ensure_topic(self.name, 1, "{}", LONG), "1")
            ids.append(p.topic_id())
            cluster.delete_topic(self.name)
        if p.knows_topic_ids():
            self.assertNotEqual(*ids)
            self.assertRegex(ids[0], "^[-_+/A-Za-z0-9]{22}$")
        else:
            self.assertEqual(ids, ["", ""])

    def test_abort_and_again(self):
        p = self.ready(self.producer())
        self.publish(p, 1, 3, 1)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 30, 100, 8), "ok")
        self.assertEqual(p.marker(0, 50, "aborted"), "ok")
        self.assertEqual(p.call(0, "abort"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/")
        self.assertEqual(p.read_marker(True, LONG), "1 m1")
        self.publish(p, 0, 30, 51)
        self.assertEqual(len(values(self.name)), 33)

    def test_open_transaction(self):
        """The marker while a transaction with one is open, and after fencing."""
        p = self.ready(self.producer())
        self.publish(p, 0, 3, 10)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 3, 100, 8), "ok")
        self.assertEqual(p.marker(0, 20, "open"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        q = self.producer()
        self.assertEqual(q.read_marker(False, LONG), "10 m10")
        self.assertEqual(q.read_marker(True, 1500), "busy")
        for lane in (0, 1):
            self.assertEqual(q.call(lane, "init"), "ok")
        self.assertEqual(q.read_marker(True, LONG), "10 m10")
        self.assertRegex(p.call(0, "commit"), "^fenced")
        self.assertRegex(p.doomed(0), "^fenced")
        self.assertRegex(p.begin(0), "^fenced")
        self.assertRegex(p.produce(0, self.name, 3, 1, 100, 8), "^FAILED, fenced")
        self.publish(q, 0, 4, 30)
        self.assertEqual(len(values(self.name)), 7)
        self.assertEqual(len(values(self.name, "read_uncommitted")), 10)
        # The fenced one, back to life with new handles, fences in turn.
        p.reset()
        for lane in (0, 1):
            self.assertEqual(p.call(lane, "init"), "ok")
        self.publish(p, 1, 2, 40)
        self.assertEqual(q.begin(1), "ok")          # nothing asked a broker yet
        q.produce(1, self.name, 3, 1, 100, 8)
        self.assertRegex(q.marker(1, 50, "late"), "^fenced")
        self.assertEqual(len(values(self.name)), 9)
        self.assertEqual(p.read_marker(True, LONG), "40 m40")

    def test_too_large(self):
        p = self.ready(self.producer(), config='{"max.message.bytes": 20000}')
        # Larger than message.max.bytes: refused here, harmless.
        self.assertEqual(p.begin(0), "ok")
        self.assertRegex(p.produce(0, self.name, 3, 1, 1100000, 8), "^REFUSED")
        self.assertEqual(p.produce(0, self.name, 3, 3, 100, 8), "ok")
        self.assertEqual(p.marker(0, 10, "m10"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        self.assertEqual(p.call(0, "commit"), "ok")
        # Larger than the topic takes: refused by the broker.
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 1, 30000, 8), "ok")
        self.assertEqual(p.deliver(0, LONG), "0/1 repeat 0 refused 1 no_topic 0")
        self.assertEqual(p.call(0, "abort"), "ok")
        # The next one may fail once more, for nobody's fault.
        for attempt in (1, 2):
            self.assertEqual(p.begin(0), "ok")
            self.assertEqual(p.produce(0, self.name, 3, 4, 100, 8), "ok")
            if p.deliver(0, LONG) == "0/0 repeat 0 refused 0 no_topic 0":
                break
            self.assertRegex(p.deliver(0, LONG), "refused 0 no_topic 0")
            self.assertEqual(p.call(0, "abort"), "ok")
        self.assertEqual(p.marker(0, 20, "m20"), "ok")
        self.assertEqual(p.call(0, "commit"), "ok")
        self.assertEqual(len(values(self.name)), 7)

    def test_no_such_partition(self):
        p = self.ready(self.producer(), partitions=1)
        self.publish(p, 1, 0, 1)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 1, 1, 100, 8), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        self.assertRegex(p.produce(0, self.name, 2, 2, 100, 8), "^FAILED, refused")
        self.assertEqual(p.call(0, "abort"), "ok")

    def test_marker_without_topic(self):
        """No topic, no group: no marker, and no error."""
        p = self.producer(ident="never-" + self.name)
        self.assertEqual(p.read_marker(True, LONG), "none")
        self.assertEqual(p.read_marker(False, LONG), "none")

    def test_stopped_broker(self):
        """Commit, marker and destroy while the broker does not answer."""
        p = self.ready(self.producer(), partitions=3)
        self.publish(p, 1, 3, 1)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 30, 100, 8), "ok")
        self.assertEqual(p.marker(0, 10, "m10"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        cluster.signal(1, signal.SIGSTOP)
        p.start(0, "commit")
        self.assertEqual(p.end(0, 2000), "busy")
        self.troubled(p, "committing")
        cluster.signal(1, signal.SIGCONT)
        self.assertEqual(p.end(0), "ok")
        until(lambda: p.trouble(100) is None, PATIENCE_S, "the end of trouble")
        self.assertEqual(p.read_marker(True, LONG), "10 m10")
        # A marker that needs many tries is one marker.
        self.assertEqual(p.begin(1), "ok")
        self.assertEqual(p.produce(1, self.name, 3, 3, 100, 8), "ok")
        self.assertRegex(p.deliver(1, LONG), "^0/0")
        cluster.signal(1, signal.SIGSTOP)
        p.start_marker(1, 20, "m20")
        self.assertEqual(p.end(1, 2000), "busy")
        cluster.signal(1, signal.SIGCONT)
        self.assertEqual(p.end(1), "ok")
        self.assertEqual(p.call(1, "commit"), "ok")
        self.assertEqual(p.read_marker(True, LONG), "20 m20")
        self.assertEqual(len(values(self.name)), 36)

    def test_end_of_stopped_broker(self):
        """The end is bounded and leaves nothing, with records under way."""
        p = self.producer()
        p.destroy()
        nothing = p.counts()
        p.create(cluster.bootstrap, "{}", self.name)
        self.ready(p)
        self.publish(p, 0, 3, 1)
        self.publish(p, 1, 3, 2)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.begin(1), "ok")
        self.assertEqual(p.produce(1, self.name, 3, 3, 100, 8), "ok")
        self.assertEqual(p.marker(1, 3, "m3"), "ok")
        self.assertRegex(p.deliver(1, LONG), "^0/0")
        cluster.signal(1, signal.SIGSTOP)
        p.start(1, "commit")
        self.assertEqual(p.produce(0, self.name, 3, 3000, 1000, 8), "ok")
        self.assertEqual(p.read_marker(True, 1500), "busy")
        self.assertLess(p.destroy(), SOON)
        self.assertEqual(p.counts(), nothing)

    def test_thread_left_behind(self):
        """send_offsets cannot be interrupted; the process ends all the same."""
        p = self.ready(self.producer())
        pid = p.session.info.backend_pid
        self.publish(p, 0, 3, 1)
        self.assertEqual(p.begin(0), "ok")
        cluster.signal(1, signal.SIGSTOP)
        self.assertEqual(p.produce(0, self.name, 3, 3, 100, 8), "ok")
        p.start_marker(0, 30, "m30")
        self.assertEqual(p.end(0, 1500), "busy")
        self.troubled(p, "sending the marker")
        self.assertLess(p.destroy(), SOON)
        p.close()
        until(lambda: not os.path.exists(f"/proc/{pid}"), PATIENCE_S, "the session's end")
        with open(server.log) as f:
            self.assertNotRegex(f.read(), "terminated by signal|exited with exit code")

    def test_timed_out(self):
        """The coordinator's time-out looks like fencing; new handles mend it."""
        p = self.ready(self.producer(**{"transaction.timeout.ms": 10000}))
        self.publish(p, 0, 3, 1)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 1, 3, 100, 8), "ok")
        self.assertEqual(p.marker(0, 30, "m30"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        # The last stable offset passes them when they are aborted.
        self.ends(p, "6")
        self.assertRegex(p.call(0, "commit"), "^fenced")
        p.reset()
        for lane in (0, 1):
            self.assertEqual(p.call(lane, "init"), "ok")
        self.assertEqual(p.read_marker(True, LONG), "1 m1")
        self.publish(p, 0, 3, 40)

    def test_full_queue(self):
        """More than the library's queue holds; memory stays bounded by it."""
        p = self.ready(self.producer())
        self.publish(p, 0, 250000, 1, 10)
        self.ends(p, "83335")

    def test_reset_under_way(self):
        p = self.ready(self.producer())
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 20000, 1000, 8), "ok")
        p.reset()
        for lane in (0, 1):
            self.assertEqual(p.call(lane, "init"), "ok")
        self.publish(p, 0, 3, 1)
        self.assertEqual(len(values(self.name)), 3)

    def test_reset_at_once(self):
        """Handles go while librdkafka is about to register partitions."""
        p = self.ready(self.producer())
        for n in range(10):
            self.publish(p, 0, 3, 10 + n)
            p.session.execute("SELECT test_begin(0), test_produce(0, %s, 3, 3, 100, 8), test_reset()",
                              (self.name,))
            for lane in (0, 1):
                self.assertEqual(p.call(lane, "init"), "ok")
        self.assertEqual(len(values(self.name)), 30)

    def test_restarted_broker(self):
        p = self.ready(self.producer())
        self.publish(p, 1, 3, 1)
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 30, 100, 8), "ok")
        self.assertEqual(p.marker(0, 10, "m10"), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/0")
        cluster.kill(1)
        p.start(0, "commit")
        self.assertEqual(p.end(0, 3000), "busy")
        self.troubled(p, "refused|down|Disconnected")
        cluster.up()
        self.assertEqual(p.end(0), "ok")
        self.publish(p, 1, 3, 20)
        self.assertEqual(p.read_marker(True, LONG), "20 m20")
        self.assertEqual(len(values(self.name)), 36)

    def test_idle_outage(self):
        """A broker that goes while nothing is asked of it; and costs no CPU."""
        p = self.ready(self.producer())
        self.publish(p, 0, 3, 1)
        pid = p.session.info.backend_pid
        cluster.kill(1)
        until(lambda: p.trouble(200) is not None, PATIENCE_S, "trouble")
        before = cpu(pid)
        p.trouble(4000)
        self.assertLess(cpu(pid) - before, 0.5)
        cluster.up()
        until(lambda: p.trouble(200) is None, PATIENCE_S, "the end of trouble")
        self.publish(p, 1, 3, 2)

    def test_signals(self):
        """PostgreSQL's signal handlers run in the main thread alone."""
        for brokers in (cluster.bootstrap, "embedded"):
            p = self.producer(brokers)
            pid = p.session.info.backend_pid
            threads = [t for t in os.listdir(f"/proc/{pid}/task") if t != str(pid)]
            self.assertGreater(len(threads), 8)
            for t in threads:
                with open(f"/proc/{pid}/task/{t}/status") as f:
                    blocked = int(next(x for x in f if x.startswith("SigBlk")).split()[1], 16)
                for s in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM,
                          signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM):
                    self.assertTrue(blocked & (1 << (s - 1)), f"thread {t}, {s.name}")

    def test_unreachable(self):
        p = self.producer("127.0.0.1:1")
        p.start(0, "init")
        self.assertEqual(p.end(0, 1500), "busy")
        self.troubled(p, "Connection refused|down")
        self.assertLess(p.destroy(), SOON)

    def test_no_leak(self):
        p = self.producer()
        p.destroy()
        first = p.counts()
        for _ in range(100):
            p.create(cluster.bootstrap, "{}", self.name)
            p.destroy()
        self.assertEqual(p.counts(), first)
        p.create("embedded", "{}", self.name)
        p.destroy()
        for _ in range(10):
            p.create("embedded", "{}", self.name)
            self.assertEqual(p.call(0, "init"), "ok")
            p.reset()
            p.destroy()
        self.assertEqual(p.counts(), first)


class Secure(Base):
    def password(self, word):
        path = os.path.join(directory, self.name)
        with open(path, "w") as f:
            f.write(word + "\n")
        os.chmod(path, 0o600)
        return {"file": path}

    def options(self, user, word, **more):
        return {"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN",
                "sasl.username": user, "sasl.password": self.password(word), **more}

    def test_tls_and_password(self):
        more = {"security.protocol": "sasl_ssl", "ssl.ca.location": directory + "/cert.pem"}
        p = self.ready(self.producer(f"127.0.0.1:{ssl}", **self.options("boss", "pass-word", **more)))
        self.publish(p, 0, 3, 1)
        self.assertEqual(p.read_marker(True, LONG), "1 m1")
        cluster.signal(1, signal.SIGSTOP)
        p.start(0, "init")              # nonsense, but it has to end
        p.close()

    def test_wrong_password(self):
        p = self.producer(f"127.0.0.1:{sasl}", **self.options("boss", "wrong-word"))
        p.start(0, "init")
        self.assertEqual(p.end(0, 3000), "busy")
        self.troubled(p, "(?i)authentication")
        p.close()
        with open(server.log) as f:
            self.assertNotIn("wrong-word", f.read())

    def test_no_rights(self):
        p = self.producer(f"127.0.0.1:{sasl}", **self.options("clerk", "pass-word"))
        self.assertRegex(p.ensure_topic(self.name, 1, "{}", LONG), "^refused: .*auth")
        self.assertRegex(p.end_offset(self.name, 0, LONG), "^refused: .*auth")
        self.assertRegex(p.read_marker(True, LONG), "^refused: .*auth")
        self.assertRegex(p.call(0, "init"), "^refused: .*auth")

    def test_some_rights(self):
        """Everything but the right to write to the topic, or to the group."""
        self.ready(self.producer())
        marker = self.name + "-x"
        allow(ResourceType.TRANSACTIONAL_ID, "*", AclOperation.ALL)
        allow(ResourceType.TOPIC, "mo-test.markers", AclOperation.ALL)
        allow(ResourceType.TOPIC, self.name, AclOperation.DESCRIBE)
        allow(ResourceType.GROUP, "mo-test-" + marker, AclOperation.ALL)
        p = self.producer(f"127.0.0.1:{sasl}", marker, **self.options("clerk", "pass-word"))
        self.assertEqual(p.call(0, "init"), "ok")
        self.assertEqual(p.ensure_topic(self.name, 3, "{}", LONG), "3")
        self.assertEqual(p.begin(0), "ok")
        self.assertEqual(p.produce(0, self.name, 3, 3, 100, 8), "ok")
        self.assertRegex(p.deliver(0, LONG), "^0/3")
        self.assertRegex(p.doomed(0), "^refused: .*auth")
        # The broker knows of no transaction to abort; 2.0 takes that as fatal.
        self.assertRegex(p.call(0, "abort"), "^(ok$|fatal: .*invalid state)")
        p.reset()
        self.assertEqual(p.call(0, "init"), "ok")
        q = self.producer(f"127.0.0.1:{sasl}", self.name, **self.options("clerk", "pass-word"))
        self.assertEqual(q.call(0, "init"), "ok")
        self.assertEqual(q.begin(0), "ok")
        self.assertRegex(q.marker(0, 1, "m1"), "^refused: .*auth")
        self.assertEqual(q.call(0, "abort"), "ok")


def allow(kind, name, operation):
    """Gives clerk a right."""
    binding = AclBinding(kind, name, ResourcePatternType.LITERAL, "User:clerk", "*",
                         operation, AclPermissionType.ALLOW)
    admin = cluster.admin()
    admin.create_acls([binding])[binding].result(PATIENCE_S)


def cpu(pid):
    """Seconds of CPU that a process has used."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    unittest.main(verbosity=2)
