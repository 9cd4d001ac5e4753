"""Those that are compared.  Each begins a run with a new server, a new topic
and new positions, and goes away with all of it, so that runs do not depend on
one another; the broker and Kafka Connect stay, warm."""
import ctypes
import json
import os
import shutil
import subprocess

from kafka import until
from server import Server

from load import PAYLOAD, SCHEMA, procedure

PARTITIONS = 4
CONF = """
shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 30min
wal_keep_size = 0
track_commit_timestamp = on
log_min_messages = warning
"""


def library_version(path):
    """Of a librdkafka; None is the one that programs find by themselves."""
    library = ctypes.CDLL(os.path.join(path or "", "librdkafka.so.1"))
    library.rd_kafka_version_str.restype = ctypes.c_char_p
    return library.rd_kafka_version_str().decode()


WARM_EVENTS = 100        # that pass through before anything is measured


class Contender:
    groups = ()             # of its own processes, the one that publishes first

    def __init__(self, rig, key, label, large=False):
        """"large": the one of its kind that drains one large transaction, too."""
        self.large = large
        self.rig, self.key, self.label = rig, key, label
        self.server = self.topic = None
        self.tables = []        # that its events are inserted into

    def conf(self):
        return CONF

    def start(self, environment=()):
        number = self.rig.serial()
        self.server = Server(self.rig.bindir, self.rig.dir, f"{self.key}-{number}")
        self.topic = f"bench.{self.key}-{number}"
        self.tables = ["bench.outbox"]
        self.server.init()
        self.server.write("harness.conf", self.conf(), "a")
        saved = {name: os.environ.get(name) for name, _ in environment}
        os.environ.update(environment)
        try:
            self.server.start()
        finally:
            for name, value in saved.items():
                os.environ.pop(name)
                if value is not None:
                    os.environ[name] = value

    def stop(self):
        if self.server is None:
            return
        if self.server.postmaster() is not None:
            self.server.stop("immediate")
        shutil.rmtree(self.server.data, ignore_errors=True)
        if self.topic in self.rig.topics():
            self.rig.cluster.delete_topic(self.topic)
        self.server = None

    def end(self):
        return self.rig.topic_end(self.topic)


class Ours(Contender):
    header = "ce_id"
    insert = "INSERT INTO bench.outbox (event_type, payload) "
    groups = ("publisher", "scribe")
    settings = "no setting changed; Kafka transactions as large as what has arrived"

    def __init__(self, rig, key, label, rdkafka=None, header_set="standard", **kind):
        super().__init__(rig, key, label, **kind)
        self.rdkafka, self.header_set = rdkafka, header_set

    def conf(self):
        return CONF + "mesh_outbox.restart_delay = '1s'\n"

    def start(self):
        super().start([("LD_LIBRARY_PATH", self.rdkafka)] if self.rdkafka else ())
        sql = self.server.sql
        sql("CREATE EXTENSION mesh_outbox")
        sql("SELECT mesh_outbox.create_publisher('main', brokers => %s)", self.rig.cluster.bootstrap)
        assert sql("SELECT mesh_outbox.wait_ready('main', '60 s')")[0][0]
        sql("CREATE SCHEMA bench")
        sql("SELECT mesh_outbox.create_domain('bench', owner => 'postgres', description => 'b')")
        sql("SELECT mesh_outbox.create_product('bench.orders', purpose => 'b', topic => %s,"
            " partitions => %s, header_set => %s)", self.topic, PARTITIONS, self.header_set)
        sql("SELECT mesh_outbox.propose_contract('bench.orders', 'OrderPlaced', schema => %s,"
            " key => '/id', version => '1.0.0', description => 'a customer placed an order')", SCHEMA)
        sql("SELECT mesh_outbox.activate_contract('bench.orders', 'OrderPlaced', '1.0.0')")
        sql("SELECT mesh_outbox.create_outbox('bench.outbox', product => 'bench.orders')")
        sql(procedure(self.insert + "VALUES ('OrderPlaced', " + PAYLOAD.format(id="i") + ")"))
        # The topic exists before anything is measured.
        sql("CALL bench.fill(%s, 0)", WARM_EVENTS)
        self.published()
        maps = self.maps()
        assert (self.rdkafka in maps) if self.rdkafka else ("/usr/lib" in maps), maps

    def maps(self):
        """Where the publisher has its librdkafka from."""
        with open(f"/proc/{self.pids()['publisher'][0]}/maps") as f:
            found = {os.path.realpath(line.split()[-1]) for line in f if "librdkafka" in line}
        link = os.path.join(self.rdkafka or "", "librdkafka.so.1")
        if self.rdkafka and os.path.realpath(link) in found:
            return self.rdkafka
        return " ".join(sorted(found))

    def published(self, timeout=600):
        assert self.server.sql("SELECT mesh_outbox.wait_published(timeout => %s)",
                               f"{timeout} s")[0][0], "not published in time"

    def hold(self):
        self.server.sql("SELECT mesh_outbox.pause_publisher('main', reason => 'bench')")
        until(lambda: self.server.sql("SELECT state FROM mesh_outbox.publishers")[0][0] == "paused",
              30, "pause")

    def release(self):
        self.server.sql("SELECT mesh_outbox.resume_publisher('main')")

    def pids(self):
        row = self.server.sql("SELECT publisher_pid, scribe_pid FROM mesh_outbox.publisher_status()")[0]
        return {name: [pid] for name, pid in zip(self.groups, row) if pid}

    def select(self, payload=PAYLOAD):
        return (self.insert + "SELECT 'OrderPlaced', " + payload.format(id="g")
                + " FROM generate_series(1, {rows}) g")

    def steady(self):
        return (self.insert + "SELECT 'OrderPlaced', " + PAYLOAD.format(id="(:id + g)")
                + " FROM generate_series(1, :rows) g")

    ids = "event_id"


DEBEZIUM = {
    "defaults": {},
    "rate": {"poll.interval.ms": "10", "max.batch.size": "32768", "max.queue.size": "131072",
             "max.queue.size.in.bytes": "268435456", "producer.override.linger.ms": "20",
             "producer.override.batch.size": "262144"},
    "latency": {"poll.interval.ms": "1", "max.batch.size": "8192", "max.queue.size": "32768",
                "max.queue.size.in.bytes": "268435456", "producer.override.linger.ms": "0",
                "producer.override.batch.size": "262144"},
}


class Debezium(Contender):
    """The outbox pattern as its documentation has it: Outbox Event Router,
    exactly-once on, payload and key as text."""
    header = "id"
    insert = "INSERT INTO bench.outbox (id, aggregatetype, aggregateid, type, payload) "
    groups = ("Connect", "walsender")
    ids = "id"

    def __init__(self, rig, key, label, tuning, **kind):
        super().__init__(rig, key, label, **kind)
        self.tuning, self.name = tuning, None

    @property
    def settings(self):
        own = {"extended.headers.enabled": "false", **DEBEZIUM[self.tuning]}
        return "2 headers; " + ", ".join(f"{k}={v}" for k, v in own.items())

    def start(self):
        super().start()
        sql = self.server.sql
        sql("CREATE SCHEMA bench")
        sql("CREATE SEQUENCE bench.ids CACHE 100")
        sql("""CREATE TABLE bench.outbox (
                id uuid PRIMARY KEY, aggregatetype varchar(255) NOT NULL,
                aggregateid varchar(255) NOT NULL, type varchar(255) NOT NULL, payload jsonb)""")
        sql("CREATE PUBLICATION bench FOR TABLE bench.outbox WITH (publish = 'insert')")
        self.rig.cluster.create_topic(self.topic, PARTITIONS)
        sql(procedure(self.insert + "VALUES (" + self.row("i", PAYLOAD) + ")"))
        self.name = self.topic.replace(".", "-")
        self.rig.connect.create(self.name, self.connector())
        before = self.end().total()
        sql("CALL bench.fill(%s, 0)", WARM_EVENTS)
        until(lambda: self.end().total() >= before + WARM_EVENTS, 120, "Debezium's first events")

    def connector(self):
        return {
            "connector.class": "io.debezium.connector.postgresql.PostgresConnector",
            "exactly.once.support": "required", "transaction.boundary": "poll",
            "database.hostname": "127.0.0.1", "database.port": str(self.server.port),
            "database.user": "postgres", "database.password": "-", "database.dbname": "postgres",
            "topic.prefix": self.name, "plugin.name": "pgoutput",
            "slot.name": self.name.replace("-", "_"),
            "publication.name": "bench", "publication.autocreate.mode": "disabled",
            "table.include.list": "bench.outbox", "snapshot.mode": "no_data",
            "tombstones.on.delete": "false",
            # Its last walsender may have the slot for a moment; else it waits 10 s.
            "slot.retry.delay.ms": "500",
            # Else three more headers on each record.
            "extended.headers.enabled": "false",
            "transforms": "outbox",
            "transforms.outbox.type": "io.debezium.transforms.outbox.EventRouter",
            "transforms.outbox.route.topic.replacement": "${routedByValue}",
            "transforms.outbox.table.fields.additional.placement": "type:header:eventType",
            **DEBEZIUM[self.tuning]}

    def stop(self):
        if self.name is not None:
            self.hold()
            self.rig.connect.delete(self.name)
            self.name = None
        super().stop()

    def hold(self):
        self.rig.connect.stop_connector(self.name)
        # The walsender keeps the slot for a moment after Connect has let go.
        until(lambda: not self.server.sql(
            "SELECT 1 FROM pg_replication_slots WHERE active UNION ALL"
            " SELECT 1 FROM pg_stat_replication"), 60, "the end of Debezium's replication")

    def release(self):
        self.rig.connect.resume(self.name)

    def walsenders(self):
        return [row[0] for row in self.server.sql("SELECT pid FROM pg_stat_replication")]

    def pids(self):
        return {"Connect": [self.rig.connect.process.pid], "walsender": self.walsenders()}

    def row(self, number, payload):
        """Ids grow, as UUIDs of version 7 do, so that the index stays cheap."""
        return ("('00000000-0000-7000-8000-' || lpad(to_hex(nextval('bench.ids')), 12, '0'))::uuid,"
                f" '{self.topic}', ({number})::text, 'OrderPlaced', " + payload.format(id=number))

    def select(self, payload=PAYLOAD):
        return (self.insert + "SELECT " + self.row("g", payload)
                + " FROM generate_series(1, {rows}) g")

    def steady(self):
        return (self.insert + "SELECT " + self.row("(:id + g)", PAYLOAD)
                + " FROM generate_series(1, :rows) g")


class Loop:
    """librdkafka alone: the records made already, no PostgreSQL (stage.c)."""
    settings = "the publisher's librdkafka settings; records ready made"

    def __init__(self, rig, key, label, headers, batch, rdkafka=None):
        self.rig, self.key, self.label = rig, key, label
        self.headers, self.batch, self.rdkafka = headers, batch, rdkafka

    def run(self, events):
        topic = f"bench.{self.key}-{self.rig.serial()}"
        self.rig.cluster.create_topic(topic, PARTITIONS)
        environment = dict(os.environ)
        if self.rdkafka:
            environment["LD_LIBRARY_PATH"] = self.rdkafka
        broker = self.rig.broker_cpu()
        r = subprocess.run(
            [self.rig.stage, "produce", self.rig.cluster.bootstrap, topic, str(PARTITIONS),
             str(events), str(self.headers), str(self.batch)],
            env=environment, stdout=subprocess.PIPE, text=True, check=True)
        broker = self.rig.broker_cpu() - broker
        self.rig.cluster.delete_topic(topic)
        return {**json.loads(r.stdout), "broker": broker}
