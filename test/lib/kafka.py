#!/usr/bin/env python3
"""Apache Kafka for tests: a throw-away cluster of one or three brokers.

As a module: Cluster(dir).  As a command, for shell and Perl:

    kafka.py start DIR [BROKERS]       start; prints the bootstrap list
    kafka.py stop DIR                  stop all brokers, hard
    kafka.py up DIR [NODE]             start again what is down (same ports, same data)
    kafka.py signal DIR NODE SIGNAL    e.g. signal DIR 1 STOP; after KILL the broker is gone
    kafka.py create DIR TOPIC PARTITIONS [NAME=VALUE ...]
    kafka.py delete DIR TOPIC
    kafka.py alter DIR TOPIC NAME=VALUE ...  change a topic's settings
    kafka.py wait DIR                  until all brokers answer
    kafka.py consume BOOTSTRAP TOPIC   read-committed, to the end; one JSON object a line
    kafka.py consume-now BOOTSTRAP TOPIC     the same while transactions may be left open
    kafka.py summary BOOTSTRAP TOPIC         the same, counted: one JSON object
    kafka.py uncommitted BOOTSTRAP TOPIC     the same, aborted and open transactions too
    kafka.py offsets BOOTSTRAP GROUP         committed offsets, JSON
    kafka.py secure DIR                start again with rights; prints the address for user clerk (pass-word)
    kafka.py allow DIR KIND NAME OPERATION   give clerk a right; KIND as Kafka calls it, e.g. TOPIC
    kafka.py revoke DIR KIND NAME OPERATION  take it back
    kafka.py drop-group DIR GROUP            forget a group's offsets
    kafka.py set-offset DIR GROUP TOPIC OFFSET  as an administrator does who resets a group
    kafka.py fence BOOTSTRAP ID ...          take transactional ids over

A cluster's whole state is DIR: properties, logs, data, and cluster.json with
the ports.  Everything listens on 127.0.0.1 only.  A broker is ended by the
pid in its own pid file, and only if that process's command line names DIR.
"""
import base64
import fcntl
import json
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time

from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import (AclBinding, AclBindingFilter, AclOperation, AclPermissionType, AdminClient,
                                   AlterConfigOpType, ConfigEntry, ConfigResource, NewTopic, ResourcePatternType,
                                   ResourceType)

# Ends what hangs; a slow machine shared with others must not meet it.
PATIENCE_S = 300
LOG4J = """\
rootLogger.level = warn
rootLogger.appenderRef.stdout.ref = out
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d %p %c: %m%n
"""
PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
default.replication.factor={replicas}
min.insync.replicas={isr}
offsets.topic.replication.factor={replicas}
offsets.topic.num.partitions=5
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={isr}
transaction.state.log.num.partitions=5
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=16777216
controlled.shutdown.enable=false
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
auto.create.topics.enable=false
message.max.bytes=1048576
"""
# A second listener, whose user has the rights that were given.
SECURE = """\
sasl.enabled.mechanisms=PLAIN
listener.name.sasl_plaintext.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_clerk="pass-word";
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS
"""


def _reserve(port, owner):
    """True if the port is the owner's from now on.  Whoever is to listen does
    so later, and a broker that is killed comes back to its port: meanwhile no
    other test may take it.  A reservation lasts as long as its process."""
    folder = os.path.join(tempfile.gettempdir(), f"mesh_outbox-ports-{os.getuid()}")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, str(port)), "a+") as f:
        fcntl.flock(f, fcntl.LOCK_EX)
        f.seek(0)
        holder = f.read()
        if holder and os.path.exists(f"/proc/{holder}"):
            return False
        f.truncate(0)
        f.write(str(owner))
    try:
        with socket.socket() as s:
            s.bind(("127.0.0.1", port))
        return True
    except OSError:
        return False


def free_ports(count, owner=None):
    """Ports nobody listens on or has reserved, below the range that outgoing
    connections take theirs from."""
    ports = []
    while len(ports) < count:
        port = random.randrange(20000, 32000)
        if _reserve(port, owner or os.getpid()):
            ports.append(port)
    return ports


class Cluster:
    def __init__(self, directory):
        self.dir = os.path.abspath(directory)
        self.file = os.path.join(self.dir, "cluster.json")
        self.ports = []
        if os.path.exists(self.file):
            with open(self.file) as f:
                self.ports = json.load(f)["ports"]

    @property
    def nodes(self):
        return range(1, len(self.ports) + 1)

    @property
    def bootstrap(self):
        return ",".join(f"127.0.0.1:{p}" for p in self.ports)

    def _path(self, node, name):
        return os.path.join(self.dir, f"{name}{node}")

    def _jars(self):
        jars = os.environ.get("MO_KAFKA_JARS")
        if not jars or not os.path.isdir(jars):
            sys.exit("MO_KAFKA_JARS names no folder: run test/lib/install.sh kafka")
        return os.path.join(jars, "*")

    def create(self, brokers=1, owner=None):
        """Format and start a new cluster; its ports are the owner's, a process
        that outlives it."""
        os.makedirs(self.dir, exist_ok=True)
        ports = free_ports(2 * brokers, owner)
        self.ports, controllers = ports[:brokers], ports[brokers:]
        voters = ",".join(f"{i}@127.0.0.1:{c}" for i, c in enumerate(controllers, 1))
        with open(os.path.join(self.dir, "log4j2.properties"), "w") as f:
            f.write(LOG4J)
        cluster_id = base64.urlsafe_b64encode(os.urandom(16)).decode().rstrip("=")
        # A leading dash would be taken for an option by the storage tool.
        cluster_id = "m" + cluster_id[1:]
        for node in self.nodes:
            data = self._path(node, "data")
            os.makedirs(data, exist_ok=True)
            with open(self._path(node, "server.properties."), "w") as f:
                f.write(PROPERTIES.format(
                    node=node, voters=voters, port=self.ports[node - 1],
                    controller=controllers[node - 1], data=data,
                    replicas=min(3, brokers), isr=2 if brokers > 1 else 1))
            self._java("kafka.tools.StorageTool", "format", "-t", cluster_id,
                       "-c", self._path(node, "server.properties."))
        with open(self.file, "w") as f:
            json.dump({"ports": self.ports, "id": cluster_id}, f)
        for node in self.nodes:
            self.spawn(node)
        self.wait()
        return self.bootstrap

    def _java(self, *args):
        r = subprocess.run(
            ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             f"-Dlog4j2.configurationFile={self.dir}/log4j2.properties",
             "-cp", self._jars(), *args],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True)
        if r.returncode != 0:
            sys.exit(f"java {args[0]} failed:\n{r.stdout}")

    def spawn(self, node):
        """Start one broker; returns before it answers (see wait)."""
        jvm = os.environ.get("MO_KAFKA_JVM") or "-XX:+UseSerialGC -Xmx" + (
            "1g" if len(self.ports) == 1 else "512m")
        with open(self._path(node, "log."), "a") as log:
            p = subprocess.Popen(
                ["java", *jvm.split(),
                 f"-Dlog4j2.configurationFile={self.dir}/log4j2.properties",
                 "-cp", self._jars(), "kafka.Kafka",
                 self._path(node, "server.properties.")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True)
        with open(self._path(node, "pid."), "w") as f:
            f.write(str(p.pid))
        return p

    def pid(self, node):
        """The broker's process, or None when it is not running."""
        try:
            with open(self._path(node, "pid.")) as f:
                pid = int(f.read())
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                command = f.read()
                # Empty while it is only just becoming java.
                if command and self.dir.encode() not in command:
                    return None
            with open(f"/proc/{pid}/stat") as f:
                state = f.read().rsplit(")", 1)[1].split()[0]
            return None if state in "ZX" else pid
        except (OSError, ValueError):
            return None

    def signal(self, node, sig):
        pid = self.pid(node)
        if pid is None:
            return False
        os.kill(pid, sig)
        return True

    def kill(self, node):
        """SIGKILL, and wait until the process is gone: what is not could
        still be taken for a broker that need not be started."""
        pid = self.pid(node)
        if pid is None:
            return False
        os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(pid, 0)      # ours: reap it
        except ChildProcessError:
            pass
        until(lambda: self.pid(node) is None, PATIENCE_S, "broker's end")
        return True

    def stop(self):
        for node in self.nodes:
            self.kill(node)

    def up(self, node=None):
        for n in self.nodes if node is None else [node]:
            if self.pid(n) is None:
                self.spawn(n)
        self.wait()

    def admin(self):
        return AdminClient({"bootstrap.servers": self.bootstrap,
                            "log_level": 0})

    def wait(self):
        """Until every broker is in the metadata."""
        admin = self.admin()

        def ready():
            for n in self.nodes:
                if self.pid(n) is None:
                    with open(self._path(n, "log.")) as f:
                        sys.exit(f"broker {n} ended:\n" + f.read()[-3000:])
            try:
                return len(admin.list_topics(timeout=10).brokers) == len(self.ports)
            except KafkaException:
                return False
        until(ready, PATIENCE_S, "brokers")

    def secure(self, owner):
        """A cluster of one broker gets a listener with passwords."""
        port = free_ports(1, owner)[0]
        file = self._path(1, "server.properties.")
        more = {"listeners": f",SASL_PLAINTEXT://127.0.0.1:{port}",
                "advertised.listeners": f",SASL_PLAINTEXT://127.0.0.1:{port}",
                "listener.security.protocol.map": ",SASL_PLAINTEXT:SASL_PLAINTEXT"}
        self.kill(1)
        with open(file) as f:
            lines = [line + more.get(line.split("=")[0], "") for line in f.read().splitlines()]
        with open(file, "w") as f:
            f.write("\n".join(lines) + "\n" + SECURE)
        self.up()
        return f"127.0.0.1:{port}"

    def set_right(self, given, kind, name, operation):
        admin = self.admin()
        right = (ResourceType[kind], name, ResourcePatternType.LITERAL, "User:clerk", "*",
                 AclOperation[operation], AclPermissionType.ALLOW)
        if given:
            binding = AclBinding(*right)
            admin.create_acls([binding])[binding].result(PATIENCE_S)
        else:
            binding = AclBindingFilter(*right)
            if len(admin.delete_acls([binding])[binding].result(PATIENCE_S)) != 1:
                sys.exit("there is no such right")

    def create_topic(self, name, partitions, **config):
        admin = self.admin()
        replicas = min(3, len(self.ports))
        admin.create_topics([NewTopic(name, partitions, replicas, config=config)])[name].result(PATIENCE_S)
        until(lambda: name in admin.list_topics(timeout=PATIENCE_S).topics, PATIENCE_S, f"topic {name}")

    def delete_topic(self, name):
        admin = self.admin()
        admin.delete_topics([name])[name].result(PATIENCE_S)
        until(lambda: name not in admin.list_topics(timeout=PATIENCE_S).topics, PATIENCE_S, f"end of topic {name}")


    def alter_topic(self, name, **config):
        entries = [ConfigEntry(n, v, incremental_operation=AlterConfigOpType.SET) for n, v in config.items()]
        resource = ConfigResource(ResourceType.TOPIC, name, incremental_configs=entries)
        admin = self.admin()
        admin.incremental_alter_configs([resource])[resource].result(PATIENCE_S)

    def set_offset(self, group, topic, offset):
        position = ConsumerGroupTopicPartitions(group, [TopicPartition(topic, 0, offset)])
        admin = self.admin()
        admin.alter_consumer_group_offsets([position])[group].result(PATIENCE_S)


def until(condition, seconds, what):
    """Poll a condition against a deadline; returns what it gave."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.05)
    return value


def _text(b):
    """Bytes as JSON can carry them: text, or hex when not UTF-8."""
    if b is None:
        return None
    try:
        return b.decode()
    except UnicodeDecodeError:
        return {"hex": b.hex()}


def _consumer(bootstrap, isolation):
    return Consumer({
        "bootstrap.servers": bootstrap, "group.id": "mesh-outbox-test-reader",
        "enable.auto.commit": False, "isolation.level": isolation,
        "enable.partition.eof": True, "log_level": 0,
        "fetch.wait.max.ms": 20, "auto.offset.reset": "error",
    })


def _await_ends(bootstrap, parts):
    """Until no transaction is open in these partitions.  A commit is
    acknowledged when the coordinator has it; the partitions learn of it a
    moment later, and until then read-committed consumers do not see it."""
    committed, all_of_it = (_consumer(bootstrap, "read_" + x) for x in ("committed", "uncommitted"))
    try:
        for p in parts:
            until(lambda: committed.get_watermark_offsets(p, timeout=PATIENCE_S)[1]
                  == all_of_it.get_watermark_offsets(p, timeout=PATIENCE_S)[1],
                  PATIENCE_S, f"the end of the transactions in {p.topic}/{p.partition}")
    finally:
        committed.close()
        all_of_it.close()


def consume(bootstrap, topics, isolation="read_committed", timeout=PATIENCE_S, settled=True):
    """Every record of the topics up to the end as it is now, per partition in
    offset order.  Under read_committed the end is the last stable offset: an
    open transaction hides what lies behind its first record.  It is waited for,
    unless "settled" is false."""
    c = _consumer(bootstrap, isolation)
    try:
        parts = []
        for t in topics:
            md = c.list_topics(t, timeout=PATIENCE_S).topics[t]
            if md.error:
                raise KafkaException(md.error)
            parts += [TopicPartition(t, p, 0) for p in md.partitions]
        for p in parts:
            p.offset = c.get_watermark_offsets(p, timeout=PATIENCE_S)[0]
        if settled and isolation == "read_committed":
            _await_ends(bootstrap, parts)
        c.assign(parts)
        left = {(p.topic, p.partition) for p in parts}
        deadline = time.monotonic() + timeout
        while left:
            for m in c.consume(5000, 0.2):
                if m.error():
                    if m.error().code() == KafkaError._PARTITION_EOF:
                        left.discard((m.topic(), m.partition()))
                        continue
                    raise KafkaException(m.error())
                yield m
            if time.monotonic() > deadline:
                raise TimeoutError(f"no end of {sorted(left)} in {timeout} s")
    finally:
        c.close()


def as_json(m):
    return json.dumps({
        "topic": m.topic(), "partition": m.partition(), "offset": m.offset(),
        "timestamp": m.timestamp()[1], "key": _text(m.key()), "value": _text(m.value()),
        "headers": [[k, _text(v)] for k, v in (m.headers() or [])],
    })


def summary(bootstrap, topics):
    """Counts where the records themselves would be too many."""
    ids, parts, last = set(), {}, {}
    records = fell = last_parts = 0
    for m in consume(bootstrap, topics):
        h = dict(m.headers() or [])
        records += 1
        ids.add(h.get("ce_id"))
        part = h.get("mesh_outbox_part", b"").decode()
        parts[part] = parts.get(part, 0) + 1
        last_parts += "mesh_outbox_last_part" in h
        place = (m.topic(), m.partition())
        fell += last.get(place, b"") >= h["ce_sequence"]
        last[place] = h["ce_sequence"]
    return {"records": records, "ids": len(ids), "fell": fell, "parts": parts,
            "last_parts": last_parts}


def group_offsets(bootstrap, group):
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    r = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group].result(PATIENCE_S)
    return [{"topic": p.topic, "partition": p.partition, "offset": p.offset,
             "metadata": p.metadata} for p in r.topic_partitions]


def main(argv):
    if len(argv) < 2:
        sys.exit(__doc__)
    command, where, rest = argv[0], argv[1], argv[2:]
    if command in ("consume", "consume-now", "uncommitted"):
        isolation = "read_uncommitted" if command == "uncommitted" else "read_committed"
        for m in consume(where, rest, isolation, settled=command == "consume"):
            print(as_json(m))
        return
    if command == "summary":
        print(json.dumps(summary(where, rest)))
        return
    if command == "offsets":
        print(json.dumps(group_offsets(where, rest[0])))
        return
    if command == "fence":
        for name in rest:
            Producer({"bootstrap.servers": where, "log_level": 0,
                      "transactional.id": name}).init_transactions(PATIENCE_S)
        return
    cluster = Cluster(where)
    if command == "start":
        print(cluster.create(int(rest[0]) if rest else 1, owner=os.getppid()))
    elif command == "stop":
        cluster.stop()
    elif command == "up":
        cluster.up(int(rest[0]) if rest else None)
    elif command == "wait":
        cluster.wait()
    elif command == "signal":
        node, sig = int(rest[0]), getattr(signal, "SIG" + rest[1])
        if not (cluster.kill(node) if sig == signal.SIGKILL else cluster.signal(node, sig)):
            sys.exit(f"broker {rest[0]} is not running")
    elif command == "create":
        cluster.create_topic(rest[0], int(rest[1]), **dict(r.split("=", 1) for r in rest[2:]))
    elif command == "delete":
        cluster.delete_topic(rest[0])
    elif command == "alter":
        cluster.alter_topic(rest[0], **dict(r.split("=", 1) for r in rest[1:]))
    elif command == "secure":
        print(cluster.secure(owner=os.getppid()))
    elif command in ("allow", "revoke"):
        cluster.set_right(command == "allow", *rest)
    elif command == "set-offset":
        cluster.set_offset(rest[0], rest[1], int(rest[2]))
    elif command == "drop-group":
        cluster._java("org.apache.kafka.tools.consumer.group.ConsumerGroupCommand",
                      "--bootstrap-server", cluster.bootstrap, "--delete", "--group", rest[0])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
