#!/usr/bin/env python3
"""Runs a chaos plan (plan.py) against a server and a broker, then judges
(checker.py).  Ends with "N passed, N failed": one for each round that the
system came back from, one for each rule that held at the end.
"""
import argparse
import json
import logging
import os
import re
import signal
import sys
import time
import traceback

import psycopg
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import segments                                                 # noqa: E402
from checker import Batch, End, Event, Record, check                 # noqa: E402
from plan import fault_points, plan                             # noqa: E402
from server import Server, alive                                # noqa: E402
from workload import FIRST_VERSION, TOPICS, Activation, Workload, add_product, setup    # noqa: E402
from kafka import PATIENCE_S, Cluster, consume, group_offsets, until    # noqa: E402

PUBLISHER = "chaos"
STOP_S = 20             # a shutdown waits for nothing; Kafka's patience is a minute
CHAOS_CONF = """
autovacuum_naptime = 5s
max_wal_size = 256MB
mesh_outbox.max_transaction_events = 5000
mesh_outbox.heartbeat_interval = 3s
"""


class Chaos:
    def __init__(self, options):
        self.o = options
        self.cluster = Cluster(os.path.join(options.dir, "kafka"))
        self.server = Server(options.bindir, options.dir, "primary")
        self.workload = Workload(self.server, options.seed)
        self.passed, self.failures = 0, []
        self.orders = self.hits = self.extra = 0
        self.recovery = []
        self.split_allowed, self.poison = set(), 0
        self.reached = set()
        self.others = []        # clones, standbys and former primaries

    # ---- set-up

    def prepare(self):
        os.environ["MO_KAFKA_JVM"] = "-XX:+UseSerialGC -Xmx768m"
        self.cluster.create(1)
        self.server.init()
        self.server.write("harness.conf", CHAOS_CONF, "a")
        self.server.start()
        self.server.sql("CREATE EXTENSION mesh_outbox")
        self.server.sql(
            "SELECT mesh_outbox.create_publisher(%s, brokers => %s, options => %s)",
            PUBLISHER, self.cluster.bootstrap,
            json.dumps({"transaction.timeout.ms": "10000", "socket.timeout.ms": "10000"}))
        self.expect("SELECT mesh_outbox.wait_ready(%s, '5 min')", PUBLISHER)
        setup(self.server)
        self.workload.start()
        self.caught_up()

    def expect(self, query, *args):
        got = self.server.sql(query, *args)[0][0]
        if got is not True:
            raise RuntimeError(f"{query % args if args else query} gave {got}")

    def status(self, server=None):
        rows = (server or self.server).sql(
            "SELECT to_jsonb(p) FROM mesh_outbox.publishers AS p WHERE name = %s", PUBLISHER)
        return rows[0][0] if rows else {}

    def state(self, server=None):
        try:
            return self.status(server).get("state")
        except psycopg.Error:
            return None

    def caught_up(self, seconds=PATIENCE_S):
        """Everything committed up to now is in Kafka."""
        def done():
            try:
                with self.server.connect() as c:
                    return c.execute("SELECT mesh_outbox.wait_published(%s::pg_lsn, '5 s', %s)",
                                     [lsn, PUBLISHER]).fetchone()[0]
            except psycopg.Error:
                return False
        self.server.wait_up()
        lsn = self.server.sql("SELECT pg_current_wal_insert_lsn()::text")[0][0]
        until(done, seconds, f"publication up to {lsn}; status {self.state()}")

    # ---- rounds

    def play(self, number, r):
        started = time.monotonic()
        name = " ".join(str(x) for x in r if x not in ("", 0))
        activation = None
        if self.may_activate(r):
            # Producers' own topics only, one after the other.
            activation = Activation(self.server, f"chaos.{'abc'[number % 3]}")
            activation.start()
        try:
            getattr(self, "do_" + r.kind.replace(" ", "_"))(r.what, r.amount)
            self.cluster.up()
            self.caught_up()
            self.passed += 1
            outcome = "ok"
        except Exception as e:          # a round that failed must not hide the next
            outcome = f"FAILED: {e}"
            self.failures.append(f"round {number} ({name}): {e}")
            if not isinstance(e, (TimeoutError, RuntimeError, psycopg.Error)):
                traceback.print_exc()
            self.rescue()
        if activation is not None:
            activation.join()
        self.recovery.append(time.monotonic() - started)
        print(f"  {number:4} {name:40} {self.recovery[-1]:6.1f} s  {outcome}", flush=True)

    @staticmethod
    def may_activate(r):
        """Rounds that go on in the same server, and lose no position."""
        if r.kind == "step":
            return r.what not in ("needs_attention", "slot_create", "slot_persist")
        return r.kind in ("kill", "stop", "restart", "fence", "broker and publisher")

    def rescue(self):
        """After a failed round: everything up, nothing armed, so that the
        next one means something."""
        print(f"       status: {self.status_text()}", flush=True)
        self.workload.resume()
        self.cluster.signal(1, signal.SIGCONT)
        self.cluster.up()
        if self.server.postmaster() is None:
            self.server.start()
        self.server.write("harness.conf", "synchronous_standby_names = ''\n", "a")
        self.server.fault("")
        self.server.wait_up()
        status = self.status()
        if status["attention"]:
            self.server.sql("SELECT mesh_outbox.resume_publisher(%s, start_from => 'marker',"
                            " reason => 'rescue')", PUBLISHER)
        elif status["paused"]:
            self.server.sql("SELECT mesh_outbox.resume_publisher(%s)", PUBLISHER)

    def status_text(self):
        try:
            return json.dumps({k: v for k, v in self.status().items() if v is not None})
        except psycopg.Error as e:
            return str(e)

    def order(self, point, action, n=1):
        """Arm a point; returns the order's text as the log will show it."""
        self.orders += 1
        text = f"{point}:{action}:{n}:{self.orders}"
        self.server.fault(text)
        return text

    def await_order(self, text, position, seconds=PATIENCE_S):
        self.server.wait_log(r'fault point "\w+" reached: ' + re.escape(text), position, seconds)

    def do_step(self, point, n):
        """Crash directly behind a step of the protocol."""
        position = self.server.log_position()
        stimulus, once = self.stimulus(point)
        text = self.order(point, "crash", 1 if once else n)
        try:
            stimulus()
        except psycopg.OperationalError:
            pass                # the crash came before it had ended
        self.await_order(text, position)
        self.reached.add(point)
        # SIGKILL of one process makes the postmaster start all of them again.
        self.server.wait_log("was terminated by signal 9", position)
        self.server.fault("")
        self.server.wait_up()
        self.after_stimulus(point)
        self.workload.resume()

    def stimulus(self, point):
        """What makes the step happen, and whether just once at a time."""
        if point.startswith(("start_backoff", "fenced_backoff")):
            return (lambda: self.lure(point)), True
        if point.startswith(("start_", "claim_")):
            return self.restart_pair, True
        if point.startswith("fenced_"):
            return self.fence, True
        if point.startswith(("dead_letter_", "batch_abort")):
            return self.poison_event, True
        if point.startswith("progress_"):
            return self.foreign_traffic, True
        if point == "heartbeat":
            return self.idle, True
        if point.startswith("slot_") and point != "slot_advance":
            return self.new_publisher, True
        if point.startswith("topic_"):
            return self.new_product, True
        if point == "needs_attention":
            return self.lose_slot, True
        return (lambda: None), False

    def after_stimulus(self, point):
        if point == "needs_attention":
            self.find_way_out()
        elif point.startswith("slot_") and point != "slot_advance":
            self.drop_publisher()

    def restart_pair(self):
        self.server.kill_worker("publisher", signal.SIGTERM)

    def poison_event(self):
        self.poison += 1
        self.workload.poison(f"poison-{self.poison}")

    def foreign_traffic(self):
        """WAL that holds no event, while no producer works."""
        self.workload.pause()
        self.caught_up()
        self.server.sql("CREATE TABLE IF NOT EXISTS chaos.foreign_traffic (x text)")
        for _ in range(2):
            self.server.sql("INSERT INTO chaos.foreign_traffic"
                            " SELECT repeat('x', 1000) FROM generate_series(1, 2000)")
            self.server.sql("SELECT pg_switch_wal()")

    def idle(self):
        self.workload.pause()

    def new_publisher(self):
        self.server.sql("SELECT mesh_outbox.create_publisher('second', brokers => %s)",
                        self.cluster.bootstrap)

    def drop_publisher(self):
        self.expect("SELECT mesh_outbox.wait_ready('second', '5 min')")
        self.server.sql("SELECT mesh_outbox.drop_publisher('second', lose_events => true, reason => 'it has none')")

    def new_product(self):
        self.extra += 1
        topic = f"chaos.x{self.extra}"
        add_product(self.server, topic, 2)
        TOPICS[topic] = 2

    def lose_slot(self):
        """Somebody drops the slot while all is published and quiet."""
        self.workload.pause()
        self.caught_up()
        armed = self.server.read("fault.conf")
        self.server.stop()
        self.server.write("fault.conf", "shared_preload_libraries = ''\n")
        self.server.start()
        self.server.sql("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        self.server.stop()
        self.server.write("fault.conf", armed)
        self.server.start()

    def find_way_out(self):
        until(lambda: self.state() == "needs attention", PATIENCE_S, "state needs attention")
        self.server.sql("SELECT mesh_outbox.resume_publisher(%s, start_from => 'now',"
                        " reason => 'chaos: all was published')", PUBLISHER)
        self.expect("SELECT mesh_outbox.wait_ready(%s, '5 min')", PUBLISHER)

    # ---- fencing by a stranger that holds the same transactional ids

    def identity(self):
        """The publisher's group; its transactional ids are that, -0 to -3."""
        return self.server.sql(
            "SELECT marker_group FROM mesh_outbox.publishers WHERE name = %s", PUBLISHER)[0][0]

    def stranger(self, group, lane):
        return Producer({"bootstrap.servers": self.cluster.bootstrap, "log_level": 0,
                         "transactional.id": f"{group}-{lane}"})

    def fence(self):
        """Every id fenced, nothing committed: to the publisher this looks as
        if the coordinator had timed it out."""
        self.caught_up()
        self.fence_ids()

    def fence_ids(self):
        group = self.identity()
        for lane in range(4):
            self.stranger(group, lane).init_transactions(PATIENCE_S)

    def do_fence(self, what, amount):
        position = self.server.log_position()
        self.fence()
        self.server.wait_log("(?i)fenced", position)

    def lure(self, point):
        """Somebody else starts at the same time.  start_backoff: his claim
        appears between our two reads.  fenced_backoff: he fences us just
        before our claim, and has not claimed himself."""
        crash = self.server.log_position()
        armed = f"{point}:crash:1:{self.orders}"
        wait = "start_verify" if point == "start_backoff" else "start_verify_fenced"
        position = self.server.log_position()
        held = self.order(wait, "wait")
        self.restart_pair()
        self.await_order(held, position)
        if point == "start_backoff":
            self.foreign_claim()
        else:
            self.fence_ids()
        self.server.fault(armed)
        self.await_order(armed, crash)

    def foreign_claim(self):
        group = self.identity()
        position = group_offsets(self.cluster.bootstrap, group)[0]
        p = self.stranger(group, 0)
        p.init_transactions(PATIENCE_S)
        c = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": group,
                      "log_level": 0})
        metadata = re.sub("incarnation=[0-9a-f]+", "incarnation=" + os.urandom(16).hex(),
                          position["metadata"])
        p.begin_transaction()
        p.send_offsets_to_transaction(
            [TopicPartition(position["topic"], position["partition"], position["offset"],
                            metadata=metadata)], c.consumer_group_metadata(), PATIENCE_S)
        p.commit_transaction(PATIENCE_S)
        c.close()

    # ---- faults from outside

    def do_kill(self, what, amount):
        if what == "broker":
            self.cluster.kill(1)
            self.cluster.up()
        elif what == "postmaster":
            self.server.kill()
            self.server.start()
        else:
            position = self.server.log_position()
            self.server.kill_worker(what)
            self.server.wait_log("was terminated by signal 9", position)

    def do_stop(self, what, seconds):
        """SIGSTOP for a while: the time is the fault, not a wait for something."""
        if what == "broker":
            self.cluster.signal(1, signal.SIGSTOP)
            self.workload.stopping.wait(seconds)
            self.cluster.signal(1, signal.SIGCONT)
        else:
            pid = self.server.kill_worker(what, signal.SIGSTOP)
            self.workload.stopping.wait(seconds)
            os.kill(pid, signal.SIGCONT)

    def do_restart(self, what, amount):
        if what == "both":
            self.cluster.kill(1)
            self.server.stop("immediate")
            self.cluster.up()
        else:
            took = self.server.stop("immediate" if what == "immediate" else "fast")
            if took > STOP_S:
                raise RuntimeError(f"shutdown took {took:.1f} s")
        self.server.start()

    def do_broker_and_publisher(self, what, amount):
        """The publisher starts while there is no broker."""
        self.cluster.kill(1)
        self.server.kill_worker("publisher")
        until(lambda: self.state() == "waiting for broker", PATIENCE_S, "state waiting for broker")
        self.cluster.up()

    def do_pause(self, what, amount):
        self.server.sql("SELECT mesh_outbox.pause_publisher(%s, reason => 'chaos')", PUBLISHER)
        until(lambda: self.state() == "paused", PATIENCE_S, "state paused")
        self.server.sql("SELECT mesh_outbox.resume_publisher(%s)", PUBLISHER)

    def do_huge(self, what, rows):
        """A big transaction, and a crash in the middle of its way to Kafka.
        The last events become dead letters, or all of its last part: parts
        behind the first have 2,500 events."""
        name = f"huge-{what}-{self.orders}"
        if what != "whole":
            self.split_allowed.add(name)
        position = self.server.log_position()
        orders = []
        self.workload.huge(name, rows, lambda: orders.append(self.order("batch_delivered", "crash", 2)),
                           flawed=3 if what.startswith("dead") else 0)
        self.await_order(orders[0], position)
        self.server.fault("")
        self.server.wait_up()

    # ---- second instances

    def do_clone(self, what, amount):
        """A second instance from a copy of the data directory must stop by
        itself and leave the first alone.  "behind" knows less than Kafka;
        "diverged" has committed its own events past the marker first."""
        self.caught_up()
        self.workload.pause()
        self.server.stop("immediate")
        clone = Server(self.o.bindir, self.o.dir, f"clone{self.orders}")
        self.orders += 1
        self.others.append(clone)
        self.server.copy(clone)
        self.server.start()
        self.workload.resume()
        self.caught_up()
        if what == "diverged":
            clone.write("fault.conf", "shared_preload_libraries = ''\n")
            clone.start()
            for i in range(20):
                clone.sql("SELECT chaos.emit(%s, 'chaos.a', 'k3', 200, 100)", f"clone-{i}")
            clone.stop()
            clone.write("fault.conf", "")
        clone.start()
        try:
            until(lambda: self.state(clone) == "needs attention", PATIENCE_S, "the clone to stop")
            self.caught_up()
            until(lambda: self.state(clone) == "needs attention", 5, "the clone to stay so")
        finally:
            clone.stop("immediate")

    def do_promote(self, what, amount):
        """Producers commit synchronously to a standby; the primary dies; the
        standby is promoted with a copy of the slot, as a fail-over tool keeps
        it.  Then the old primary comes back."""
        old, new = self.server, Server(self.o.bindir, self.o.dir, f"standby{self.orders}")
        self.others += [old, new]
        old.run("pg_basebackup", "-h", "127.0.0.1", "-p", str(old.port), "-U", "postgres",
                "-D", new.data, "-c", "fast", "-X", "stream")
        new.set_port()
        new.write("standby.signal", "")
        new.write("harness.conf", CHAOS_CONF + "primary_conninfo = 'host=127.0.0.1 user=postgres"
                  f" application_name=standby port={old.port}'\n", "a")
        new.start()
        old.write("harness.conf", "synchronous_standby_names = 'standby'\n", "a")
        old.reload()
        until(lambda: old.sql("SELECT count(*) FROM pg_stat_replication"
                              " WHERE sync_state = 'sync'")[0][0] == 1, PATIENCE_S, "a synchronous standby")
        self.caught_up()
        # The slot's file goes over while both are quiet, older than the marker
        # will be at the time of the promotion, younger than the backup.
        label = new.read("backup_label.old")
        start = re.search(r"START WAL LOCATION: (\S+)", label).group(1)

        def after_backup():
            old.sql("CHECKPOINT")
            return old.sql("SELECT bool_and(restart_lsn > %s::pg_lsn) FROM pg_replication_slots"
                           " WHERE slot_type = 'logical'", start)[0][0]
        until(after_backup, PATIENCE_S, "the slot to leave the backup behind")
        self.workload.pause()
        self.caught_up()
        new.stop()
        old.sql("CHECKPOINT")
        self.copy_slots(old, new)
        new.start()
        self.workload.resume()
        until(lambda: old.sql("SELECT count(*) FROM pg_stat_replication"
                              " WHERE sync_state = 'sync'")[0][0] == 1, PATIENCE_S, "the standby again")
        before = self.workload.transactions
        until(lambda: self.workload.transactions > before + 100, PATIENCE_S, "more transactions")
        old.kill()
        new.run("pg_ctl", "-D", new.data, "-w", "promote")
        self.server = new
        self.workload.move(new)
        self.caught_up()
        # The revived primary must not fence the new one.
        old.write("harness.conf", "synchronous_standby_names = ''\n", "a")
        old.start()
        try:
            until(lambda: self.state(old) == "needs attention", PATIENCE_S, "the old primary to stop")
            self.caught_up()
        finally:
            old.stop("immediate")

    @staticmethod
    def copy_slots(old, new):
        for slot in os.listdir(os.path.join(old.data, "pg_replslot")):
            source = os.path.join(old.data, "pg_replslot", slot, "state")
            target = os.path.join(new.data, "pg_replslot", slot)
            os.makedirs(target, exist_ok=True)
            with open(source, "rb") as f, open(os.path.join(target, "state"), "wb") as g:
                g.write(f.read())

    # ---- the end

    def finish(self):
        self.workload.resume()
        self.workload.stop()
        self.workload.settle()
        self.caught_up()

    def judge(self):
        events = [Event(str(i), tx, topic, key, seq) for i, tx, topic, key, seq in self.server.sql(
            "SELECT event_id, tx, topic, key, seq FROM chaos.log")]
        announced = [Event(f"{topic}/{p} {version}", f"activation of {topic} {version}", topic, None, 0)
                     for topic, version in self.server.sql(
                         "SELECT product, version FROM mesh_outbox.contracts"
                         " WHERE product LIKE 'chaos.%%' AND activated_at IS NOT NULL AND version <> %s",
                         FIRST_VERSION)
                     for p in range(TOPICS[topic])]
        expected_dead = {str(i) for i, in self.server.sql(
            "SELECT event_id FROM chaos.log WHERE dead")}
        dead = {str(i) for i, in self.server.sql("SELECT event_id FROM mesh_outbox.dead_letters")}
        batches = [Batch(*row) for row in self.server.sql(
            "SELECT batch_no, first_lsn::text, last_lsn::text, transactions, events, offsets"
            " FROM mesh_outbox.batches WHERE publisher = %s", PUBLISHER)]
        existing = self.cluster.admin().list_topics(timeout=PATIENCE_S).topics
        topics = [t for t in TOPICS if t in existing]
        records, ends = [], []
        for m in consume(self.cluster.bootstrap, topics):
            if m.value():
                records.append(record(m))
            else:
                ends.append(end(m))
        kafka_tx = {(t, p): segments.committed(
            os.path.join(self.cluster.dir, "data1", f"{t}-{p}"))
            for t in topics for p in range(TOPICS[t])}
        found = check(events + announced, records, kafka_tx, batches, dead, TOPICS,
                      self.split_allowed, first_version=FIRST_VERSION, ends=ends)
        if dead != expected_dead:
            found.append(f"dead letters: {len(dead)}, expected {len(expected_dead)}")
        print(f"  {len(events)} committed events in {self.workload.transactions} transactions,"
              f" {len(announced)} control events,"
              f" {len(records)} seen, {len(dead)} dead letters, {len(ends)} records that end a"
              f" split transaction, {len(batches)} ledger rows,"
              f" {sum(len(set(x.values())) for x in kafka_tx.values())} Kafka transaction parts")
        return found

    def close(self):
        self.workload.stopping.set()
        for s in [self.server] + self.others:
            if s.postmaster() is not None:
                s.stop("immediate")
        self.cluster.stop()


def part(headers):
    return int(headers["mesh_outbox_part"]) if "mesh_outbox_part" in headers else None


def end(m):
    headers = {k: v.decode() for k, v in m.headers()}
    return End(m.topic(), m.partition(), m.offset(), headers["mesh_outbox_sequence"],
               part(headers), "mesh_outbox_last_part" in headers)


def record(m):
    headers = {k: v.decode() for k, v in m.headers()}
    body = json.loads(m.value())
    if "mesh_outbox_control" in headers:
        topic, version = m.topic(), body["version"]
        return Record(topic, m.partition(), m.offset(), None, f"{topic}/{m.partition()} {version}",
                      f"activation of {topic} {version}", 0, headers["ce_sequence"], version)
    return Record(m.topic(), m.partition(), m.offset(), m.key().decode(), headers["ce_id"],
                  body["tx"], body["seq"], headers.get("ce_sequence"),
                  headers["ce_dataschema"].rsplit(":", 1)[1],
                  part(headers), "mesh_outbox_last_part" in headers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--only", help="rounds of this kind only, e.g. 'step claim_commit'")
    parser.add_argument("--show", action="store_true", help="print the plan and stop")
    parser.add_argument("--keep", action="store_true")
    for name in ("dir", "tree", "bindir"):
        parser.add_argument("--" + name, required=True)
    options = parser.parse_args()
    # Broken connections are what this is about.
    logging.getLogger("psycopg").setLevel(logging.CRITICAL)
    names = fault_points(options.tree)
    rounds = plan(options.seed, options.rounds, names)
    if options.only:
        rounds = [r for r in rounds if " ".join(map(str, r)).startswith(options.only)]
    if options.show:
        for i, r in enumerate(rounds, 1):
            print(i, *r)
        return
    print(f"  seed {options.seed}, {len(rounds)} rounds, {len(names)} fault points", flush=True)
    chaos = Chaos(options)
    found = []
    try:
        chaos.prepare()
        for number, r in enumerate(rounds, 1):
            chaos.play(number, r)
        chaos.finish()
        found = chaos.judge()
    except Exception as e:
        traceback.print_exc()
        found.append(f"the run broke off: {e}")
    finally:
        chaos.close()
    if not options.only:
        found += [f"fault point {n} was never reached" for n in names if n not in chaos.reached]
    for line in chaos.failures + found:
        print("  " + line)
    if chaos.recovery:
        r = sorted(chaos.recovery)
        print(f"  recovery: median {r[len(r) // 2]:.1f} s, longest {r[-1]:.1f} s;"
              f" producers met {sum(t.failures for t in chaos.workload.threads)} errors")
    # The verdict over the whole run counts as one more.
    failed = len(chaos.failures) + (1 if found else 0)
    print(f"{chaos.passed + (0 if found else 1)} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
