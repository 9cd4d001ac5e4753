"""Producers with known content.

Every event carries the transaction's name, its key and the key's own counter,
and the same facts go into a plain table in the same transaction: what that
table holds at the end is what was committed.  The counter is drawn under a
row lock that lasts until commit, so it is the commit order of the key.
"""
import random
import threading
import time

import psycopg

from kafka import PATIENCE_S

TOPICS = {"chaos.a": 4, "chaos.b": 3, "chaos.c": 1, "chaos.d": 2}   # topic -> partitions
KEYS = 20
# Takes flawed events, which become dead letters.
QUARANTINED = "chaos.d"
FLAWED = 0.3
# The broker refuses what is larger; also a request of many small messages,
# which is the harder case: nothing in it is to blame.
LIMITS = {"chaos.b": 50000}
POISON = 60000          # bytes; for chaos.b

SETUP = """
CREATE SCHEMA chaos;
CREATE TABLE chaos.log (tx text, topic text, key text, seq bigint, event_id uuid,
                        dead boolean);
CREATE TABLE chaos.key (topic text, key text, seq bigint NOT NULL DEFAULT 0,
                        PRIMARY KEY (topic, key)) WITH (fillfactor = 50);
CREATE FUNCTION chaos.emit(tx text, t text, k text, n bigint, pad int, flawed boolean DEFAULT false)
RETURNS void
LANGUAGE plpgsql AS $$
DECLARE base bigint;
BEGIN
    UPDATE chaos.key SET seq = seq + n WHERE topic = t AND key = k RETURNING seq - n INTO base;
    EXECUTE format($q$
        WITH i AS (INSERT INTO %I.%I (event_type, payload)
                   SELECT 'ThingHappened',
                          jsonb_build_object('tx', $1, 'key', $3, 'seq', $4 + g, 'flawed', $7,
                                             'pad', (SELECT coalesce(string_agg(md5(random()::text), ''), '')
                                                     FROM generate_series(1, $6 / 32) WHERE g > 0))
                   FROM generate_series(1, $5) g RETURNING event_id, payload)
        INSERT INTO chaos.log SELECT $1, $2, $3, (payload->>'seq')::bigint, event_id,
                                     $6 > 50000 OR $7
        FROM i$q$, 'chaos', 'out_' || split_part(t, '.', 2))
    USING tx, t, k, base, n, pad, flawed;
END $$;
"""

SCHEMA = """{"type": "object",
 "properties": {"tx": {"type": "string"}, "key": {"type": "string"},
                "seq": {"type": "integer", "minimum": 1}, "pad": {"type": "string"},
                "flawed": {"const": false}},
 "required": ["tx", "key", "seq"]}"""
FIRST_VERSION = "1.0.0"


def setup(server):
    server.sql(SETUP)
    server.sql("SELECT mesh_outbox.create_domain('chaos', owner => 'postgres',"
               " description => 'faults and their aftermath')")
    for topic, partitions in TOPICS.items():
        add_product(server, topic, partitions)


def add_product(server, topic, partitions):
    server.sql("SELECT mesh_outbox.create_product(%s, purpose => 'chaos', topic => %s,"
               " partitions => %s, topic_config => jsonb_build_object('max.message.bytes', %s::text))",
               topic, topic, partitions, str(LIMITS.get(topic, 900000)))
    server.sql("SELECT mesh_outbox.propose_contract(%s, 'ThingHappened', schema => %s,"
               " key => '/key', version => %s, description => 'a thing happened')", topic, SCHEMA, FIRST_VERSION)
    server.sql("SELECT mesh_outbox.activate_contract(%s, 'ThingHappened', %s)", topic, FIRST_VERSION)
    if topic == QUARANTINED:
        server.sql("SELECT mesh_outbox.set_enforcement(%s, 'ThingHappened', %s, 'quarantine', reason => 'chaos')",
                   topic, FIRST_VERSION)
    # Every new version is like the one before; nothing is to be found out.
    server.sql("SELECT mesh_outbox.set_change_rules(%s, trial_events => 0)", topic)
    server.sql("SELECT mesh_outbox.create_outbox(%s, product => %s)",
               "chaos.out_" + topic.split(".")[1], topic)
    server.sql("INSERT INTO chaos.key SELECT %s, 'k' || g FROM generate_series(1, %s) g",
               topic, KEYS)


class Producer(threading.Thread):
    """One connection, one transaction after the other, whatever happens."""

    def __init__(self, workload, number, seed):
        super().__init__(daemon=True)
        self.workload, self.number = workload, number
        self.rng = random.Random(f"{seed}/{number}")
        self.count = self.failures = 0
        self.error = None
        self.parked = threading.Event()

    def run(self):
        conn = None
        w = self.workload
        while not w.stopping.is_set():
            if not w.running.is_set():
                self.parked.set()
                w.running.wait(0.05)
                continue
            self.parked.clear()
            try:
                if conn is None:
                    conn = w.server().connect()
                    self.resolve(conn)
                self.transaction(conn)
                # A pace, so that two cores are left for those under test.
                w.stopping.wait(self.rng.expovariate(1 / w.pace))
            except psycopg.Error as e:
                # The server went away, or says why it cannot now.  What is
                # committed is in the log table; nothing is done again.
                self.failures += 1
                self.error = e
                if conn is not None:
                    conn.close()
                conn = None
                w.stopping.wait(0.1)
        self.parked.set()
        if conn is not None:
            conn.close()

    def resolve(self, conn):
        """End our prepared transactions that a crash left, as their gid says."""
        for gid, in conn.execute("SELECT gid FROM pg_prepared_xacts WHERE gid LIKE %s",
                                 [f"p{self.number}:%"]).fetchall():
            self.finish(conn, gid)

    @staticmethod
    def finish(conn, gid):
        verb = "COMMIT" if gid.split(":")[1] == "c" else "ROLLBACK"
        try:
            conn.execute(f"{verb} PREPARED '{gid}'")
        except psycopg.errors.UndefinedObject:
            pass                        # done before the connection broke

    def emit(self, conn, tx, keys):
        for topic, key in keys:
            conn.execute("SELECT chaos.emit(%s, %s, %s, %s, %s, %s)",
                         [tx, topic, key, self.rng.choice([1, 1, 1, 2, 5]),
                          self.rng.choice([0, 32, 200, 3000]),
                          topic == QUARANTINED and self.rng.random() < FLAWED])

    def keys(self, most=4):
        """Sorted: all transactions lock in the same order."""
        rng = self.rng
        return sorted({(rng.choice(list(TOPICS)), f"k{rng.randint(1, KEYS)}")
                       for _ in range(rng.randint(1, most))})

    def transaction(self, conn):
        self.count += 1
        rng = self.rng
        tx = f"p{self.number}-{self.count}"
        kind = rng.choices(["plain", "rollback", "savepoint", "prepared", "many"],
                           [10, 2, 3, 2, 1])[0]
        keys = self.keys()
        if kind == "prepared":
            gid = f"p{self.number}:{rng.choice('ccr')}:{self.count}"
            conn.execute("BEGIN")
            self.emit(conn, tx, keys)
            conn.execute(f"PREPARE TRANSACTION '{gid}'")
            self.workload.stopping.wait(rng.uniform(0, 0.1))
            self.finish(conn, gid)
            return
        with conn.transaction(force_rollback=kind == "rollback"):
            if kind == "savepoint":
                self.emit(conn, tx, keys[:1])
                with conn.transaction(force_rollback=True):
                    self.emit(conn, tx + "-undone", keys)
                with conn.transaction():
                    self.emit(conn, tx, keys[1:])
            elif kind == "many":
                self.emit(conn, tx, self.keys(25))
            else:
                self.emit(conn, tx, keys)


class Activation(threading.Thread):
    """Puts another version of a topic's contract into force, if it can before
    something happens to its connection."""

    def __init__(self, server, topic):
        super().__init__(daemon=True)
        self.server, self.topic = server, topic

    def run(self):
        try:
            with self.server.connect() as c:
                pending = c.execute(
                    "SELECT version FROM mesh_outbox.contracts WHERE product = %s AND status = 'proposed'",
                    [self.topic]).fetchone() or c.execute(
                    "SELECT mesh_outbox.propose_contract(%s, 'ThingHappened', schema => %s, key => '/key',"
                    " compatibility => 'NONE', description => 'a thing happened')", [self.topic, SCHEMA]).fetchone()
                c.execute("CALL mesh_outbox.cut_over(%s, 'ThingHappened', %s, timeout => '10 s')",
                          [self.topic, pending[0]])
        except psycopg.Error:
            pass            # the catalog knows which versions came into force


class Workload:
    def __init__(self, server, seed, producers=4, pace=0.04):
        self._server = server
        self.pace = pace
        self.stopping, self.running = threading.Event(), threading.Event()
        self.running.set()
        self.threads = [Producer(self, i, seed) for i in range(1, producers + 1)]

    def server(self):
        return self._server

    def move(self, server):
        """Producers go to another server (after a promotion)."""
        self._server = server

    def start(self):
        for t in self.threads:
            t.start()

    def pause(self):
        """Returns when no producer is inside a transaction."""
        self.running.clear()
        for t in self.threads:
            t.parked.clear()
        for t in self.threads:
            if not t.parked.wait(PATIENCE_S):
                raise TimeoutError(f"producer {t.number} does not end its transaction: {t.error}")

    def resume(self):
        self.running.set()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(PATIENCE_S)
            if t.is_alive():
                raise TimeoutError(f"producer {t.number} does not stop")

    def settle(self):
        """Ends what crashes left prepared."""
        with self._server.connect() as c:
            for gid, in c.execute("SELECT gid FROM pg_prepared_xacts").fetchall():
                Producer.finish(c, gid)

    def huge(self, name, rows, before_commit, flawed=0):
        """So many rows, and behind them so many that become dead letters."""
        with self._server.connect() as c:
            c.execute("BEGIN")
            c.execute("SELECT chaos.emit(%s, 'chaos.d', 'k1', %s, 64)", [name, rows])
            if flawed:
                c.execute("SELECT chaos.emit(%s, 'chaos.d', 'k2', %s, 64, true)", [name, flawed])
            before_commit()
            try:
                c.execute("COMMIT")
            except psycopg.OperationalError:
                pass                    # the log table knows whether it did

    def poison(self, name, topic="chaos.b", key="k2"):
        """Three good events with one between them that no broker takes."""
        try:
            with self._server.connect() as c, c.transaction():
                for pad in (10, POISON, 10):
                    c.execute("SELECT chaos.emit(%s, %s, %s, 1, %s)", [name, topic, key, pad])
        except psycopg.OperationalError:
            pass                        # ordinary traffic met the fault first

    @property
    def transactions(self):
        return sum(t.count for t in self.threads)
