"""What all runs share: the broker, Kafka Connect if wanted, and where things
are."""
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "chaos"), os.path.join(HERE, "..", "lib")]

from kafka import Cluster                                       # noqa: E402

from connect import Connect                                     # noqa: E402
from contenders import PARTITIONS, library_version              # noqa: E402
from measure import Reader, TopicEnd, cpu_seconds               # noqa: E402

CONNECT_HEAP = "2g"


class Rig:
    def __init__(self, options):
        self.dir, self.bindir, self.options = options.dir, options.bindir, options
        self.stage = os.path.join(options.dir, "stage")
        self.rdkafka = os.path.join(options.dir, "rdkafka")
        self.cluster = Cluster(os.path.join(options.dir, "kafka"))
        self.connect = self._admin = None
        self.started = time.monotonic()
        self.begun = 0

    def start(self):
        self.cluster.create(1)
        self._admin = self.cluster.admin()
        if self.options.with_debezium:
            self.say("starting Kafka Connect")
            self.connect = Connect(self.dir, os.environ["MO_DEBEZIUM_JARS"],
                                   self.cluster.bootstrap, CONNECT_HEAP)
            self.connect.start()

    def stop(self):
        if self.connect:
            self.connect.stop()
        self.cluster.stop()

    def say(self, what):
        """Progress, apart from the results."""
        seconds = int(time.monotonic() - self.started)
        print(f"[{seconds // 60:3d}:{seconds % 60:02d}] {what}", file=sys.stderr, flush=True)

    def serial(self):
        """A number for a server, a topic, a connector that no other had: what
        Kafka Connect stores of a connector outlives it."""
        self.begun += 1
        return self.begun

    def topics(self):
        return self._admin.list_topics(timeout=20).topics

    def topic_end(self, topic):
        return TopicEnd(self._admin, topic, PARTITIONS)

    def reader(self, contender, place):
        return Reader(self.stage, self.cluster.bootstrap, contender.topic, PARTITIONS,
                      contender.header, os.path.join(self.dir, "read"), place)

    def broker_cpu(self):
        return cpu_seconds(self.cluster.pid(1))

    def versions(self):
        """Of librdkafka: the one given, the system's."""
        return library_version(self.rdkafka), library_version(None)

    def about(self):
        """[(what, value)]: without these a figure says nothing."""
        with open("/proc/cpuinfo") as f:
            model = re.search(r"model name\s*: (.*)", f.read()).group(1)
        with open("/proc/meminfo") as f:
            memory = int(f.readline().split()[1]) / 1024 ** 2
        postgres = subprocess.run([os.path.join(self.bindir, "postgres"), "-V"],
                                  stdout=subprocess.PIPE, text=True, check=True).stdout.split()[2]
        java = subprocess.run(["java", "-version"], stderr=subprocess.PIPE, text=True,
                              check=True).stderr.split('"')[1]
        about = [
            ("machine", f"{os.cpu_count()} cores ({model}), {memory:.0f} GiB, Linux"
                        f" {os.uname().release}; server, publisher, broker, generator and"
                        " consumer share it"),
            ("PostgreSQL", postgres + ", shared_buffers 1 GB, max_wal_size 8 GB"),
            ("Apache Kafka", f"{os.environ['MO_KAFKA']}, one broker, Java {java} with"
                             f" {' '.join(os.environ['MO_KAFKA_JVM'].split())};"
                             f" {PARTITIONS} partitions, acks=all"),
            ("librdkafka", "{}; the system's is {}".format(*self.versions())),
            ("events", "330-byte jsonb payloads, JSON Schema checked (not so Debezium's),"
                       " key, exactly-once on"),
        ]
        if self.connect:
            jars = os.listdir(os.environ["MO_DEBEZIUM_JARS"])

            def version(name):
                return next(m.group(1) for j in jars
                            if (m := re.match(rf"{name}-(\d.*)\.jar$", j)))
            about.append(("Debezium", f"{version('debezium-connector-postgres')} on Kafka Connect"
                                      f" {version('connect-runtime')}, heap {CONNECT_HEAP},"
                                      " pgoutput, Outbox Event Router, one worker"))
        return about
