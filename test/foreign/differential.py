#!/usr/bin/env python3
"""Decodes the same WAL with and without skipping foreign changes.

A publisher keeps changes of tables that are no outboxes out of the reorder
buffer (src/publisher/foreign.c).  If it ever skips a row of an outbox, an
event is lost without a trace.  So the rows that a publisher would be given are
read here by mo_decode_trial() (src/publisher/decode_trial.c), in the build with
fault points, from slots that see the same transactions:

once       skipping, in one go, so that much is known to be foreign
pieces     skipping, in many pieces, each like a publisher that was just
           started; the slot moves on after some of them
reference  without skipping, in one go

An outbox is here a table with an enabled trigger of demo.check, as in the
plugin; its argument says for whom.  The trigger also writes down what it was
fired for: what of that is committed must be what the reference finds.

cases      what has been done to tables at the wrong moment, with the rows that
           must come out; each table has rows that are nobody's event first
held       a transaction of which everything was skipped, over changes of the
           catalog, VACUUM and a restart
toasted    many foreign rows with values out of line, in one transaction
random     four sessions do what they like to a dozen tables, by a seed

A failure names seed and round; the round alone repeats it.
"""
import argparse
import os
import random
import sys
import time
import uuid

import psycopg

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "chaos"), os.path.join(HERE, "..", "lib")]
from server import Server                                       # noqa: E402

CONF = """
fsync = off
autovacuum = off
max_connections = 20
max_prepared_transactions = 20
logical_decoding_work_mem = '64kB'
mesh_outbox.decoding_work_mem = '64kB'
lock_timeout = '15ms'
deadlock_timeout = '10s'
checkpoint_timeout = '1h'
"""
COLUMNS = ("event_id uuid DEFAULT gen_random_uuid(), event_type text, key text, payload jsonb,"
           " contract_id bigint DEFAULT 1, created_at timestamptz DEFAULT now()")
SETUP = f"""
CREATE SCHEMA demo;
CREATE TABLE demo.truth (event_id uuid, event_type text, at text);
CREATE FUNCTION demo.check() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_ARGV[1] = '1' AND (SELECT relpersistence = 'p' FROM pg_class WHERE oid = TG_RELID) THEN
        INSERT INTO demo.truth VALUES (NEW.event_id, NEW.event_type, TG_RELID::regclass);
    END IF;
    RETURN NEW;
END $$;
CREATE TABLE demo.control ({COLUMNS}, partition int, publisher_id int);
CREATE FUNCTION demo.decode(slot name, publisher int, check_function regprocedure,
    control regclass, upto pg_lsn, confirm boolean) RETURNS SETOF text
    LANGUAGE c STRICT AS 'mesh_outbox', 'mo_decode_trial';
CREATE FUNCTION demo.slot(name) RETURNS pg_lsn
    LANGUAGE c STRICT AS 'mesh_outbox', 'mo_decode_trial_slot';
"""


def trigger(table, publisher=1, more=""):
    return (f"CREATE TRIGGER c BEFORE INSERT ON {table} FOR EACH ROW"
            f" EXECUTE FUNCTION demo.check('7', '{publisher}'{more})")


def row(name, table="T"):
    return f"INSERT INTO {table} (event_type, key) VALUES ('{name}', 'k')"


# Incompressible, so that it is stored out of line, in several chunks.
BIG = ("(SELECT to_jsonb(string_agg(md5(random()::text), '')) FROM generate_series(1, {}))")


def big(name, table="T", size=300):
    return (f"INSERT INTO {table} (event_type, key, payload)"
            f" SELECT '{name}', 'k', {BIG.format(size)}")


TRIGGER = trigger("T")
DROP = "DROP TRIGGER c ON T"

# name, statements, rows that must come out.  T exists and has foreign rows.
CASES = [
    ("becomes an outbox", [TRIGGER, row("a")], "a"),
    ("becomes one in the transaction of its first event", ["BEGIN", TRIGGER, row("a"), "COMMIT"], "a"),
    ("row, trigger and event in one transaction", ["BEGIN", row("x"), TRIGGER, row("a"), "COMMIT"], "a"),
    ("in a sub-transaction", ["BEGIN", row("x"), "SAVEPOINT s", TRIGGER, row("a"), "RELEASE s", row("b"), "COMMIT"], "ab"),
    ("rolled back to a savepoint", ["BEGIN", "SAVEPOINT s", TRIGGER, row("x"), "ROLLBACK TO s", row("y"), "COMMIT", row("z")], ""),
    ("rolled back, then for good", ["BEGIN", TRIGGER, row("x"), "ROLLBACK", row("y"), TRIGGER, row("a")], "a"),
    ("in a prepared transaction", ["BEGIN", row("x"), TRIGGER, row("a"), "PREPARE TRANSACTION 'T'", "COMMIT PREPARED 'T'", row("b")], "ab"),
    ("a prepared transaction rolled back", ["BEGIN", TRIGGER, row("x"), "PREPARE TRANSACTION 'T'", "ROLLBACK PREPARED 'T'", row("y")], ""),
    ("no longer one", [TRIGGER, row("a"), DROP, row("x"), row("y")], "a"),
    ("there and back", [TRIGGER, row("a"), DROP, row("x"), row("y"), TRIGGER, row("b")], "ab"),
    ("disabled and enabled", [TRIGGER, row("a"), "ALTER TABLE T DISABLE TRIGGER c", row("x"), row("y"), "ALTER TABLE T ENABLE ALWAYS TRIGGER c", row("b")], "ab"),
    ("moved to another publisher and back", [TRIGGER, row("a"), DROP, trigger("T", 2), row("x"), row("y"), DROP, TRIGGER, row("b")], "ab"),
    ("other column names", ["ALTER TABLE T ADD kind text", row("x"), trigger("T", 1, ", 'event_type=kind'"), "INSERT INTO T (kind) VALUES ('a')"], "a"),
    ("dropped and made again under its name", ["DROP TABLE T", f"CREATE TABLE T ({COLUMNS})", TRIGGER, row("a")], "a"),
    ("names exchanged", [f"CREATE TABLE T_b ({COLUMNS})", trigger("T_b"), row("a", "T_b"), "BEGIN", "ALTER TABLE T RENAME TO T_c", "ALTER TABLE T_b RENAME TO T", "COMMIT", row("b"), row("x", "T_c")], "ab"),
    ("moved to another schema", [TRIGGER, row("a"), "ALTER TABLE T SET SCHEMA other", row("b", "other.T")], "ab"),
    ("rewritten, then an outbox", ["VACUUM FULL T", row("x"), TRIGGER, row("a"), "VACUUM FULL T", row("b")], "ab"),
    ("rewritten by ALTER TABLE in the transaction", ["BEGIN", row("x"), "ALTER TABLE T ADD extra float DEFAULT random()", TRIGGER, row("a"), "COMMIT", row("b")], "ab"),
    ("truncated", ["TRUNCATE T", row("x"), TRIGGER, row("a"), "TRUNCATE T", row("b")], "ab"),
    ("truncated and made an outbox in one transaction", ["BEGIN", "TRUNCATE T", row("x"), TRIGGER, row("a"), "COMMIT", row("b")], "ab"),
    ("clustered", ["CREATE INDEX T_i ON T (key)", "CLUSTER T USING T_i", row("x"), TRIGGER, row("a")], "a"),
    ("unlogged and logged again", ["ALTER TABLE T SET UNLOGGED", row("x"), "ALTER TABLE T SET LOGGED", row("y"), TRIGGER, row("a")], "a"),
    ("attached to a partitioned outbox", [f"CREATE TABLE T_p ({COLUMNS}) PARTITION BY LIST (key)", trigger("T_p"), "ALTER TABLE T_p ATTACH PARTITION T FOR VALUES IN ('k')", row("a"), row("b", "T_p")], "ab"),
    ("attached and filled in one transaction", [f"CREATE TABLE T_p ({COLUMNS}) PARTITION BY LIST (key)", trigger("T_p"), "BEGIN", row("x"), "ALTER TABLE T_p ATTACH PARTITION T FOR VALUES IN ('k')", row("a", "T_p"), "COMMIT"], "a"),
    ("a partition whose parent becomes an outbox", [f"CREATE TABLE T_p ({COLUMNS}) PARTITION BY LIST (key)", "ALTER TABLE T_p ATTACH PARTITION T FOR VALUES IN ('k')", row("x", "T_p"), trigger("T_p"), row("a", "T_p"), row("b")], "ab"),
    ("detached", [f"CREATE TABLE T_p ({COLUMNS}) PARTITION BY LIST (key)", trigger("T_p"), "ALTER TABLE T_p ATTACH PARTITION T FOR VALUES IN ('k')", row("a"), "ALTER TABLE T_p DETACH PARTITION T", row("x"), row("y")], "a"),
    ("values out of line, foreign and not", [big("x"), big("y"), TRIGGER, big("a"), row("b"), big("c")], "abc"),
    ("its own values out of line behind foreign ones", [f"CREATE TABLE T_o ({COLUMNS})", trigger("T_o"), "BEGIN", big("x"), row("y"), big("a", "T_o"), big("z"), row("b", "T_o"), "COMMIT"], "ab"),
    ("ON CONFLICT", ["CREATE UNIQUE INDEX ON T (event_id)", row("x") + " ON CONFLICT DO NOTHING", TRIGGER, row("a") + " ON CONFLICT DO NOTHING", big("b") + " ON CONFLICT (event_id) DO UPDATE SET key = 'n'"], "ab"),
    ("bulk inserts with values out of line", [("copy", "x", 300), ("copy", "y", 300), "BEGIN", row("z"), ("copy", "w", 50), TRIGGER, ("copy", "a", 2), "COMMIT"], "aa"),
    ("a table used as a catalog", ["ALTER TABLE T SET (user_catalog_table = true)", row("x"), row("y"), TRIGGER, row("a")], "a"),
    ("no longer one, and vacuumed before it is decoded", [TRIGGER, row("a"), DROP, row("x"), "VACUUM T"], "a"),
    ("a large transaction rolled back, with a sub-transaction", [TRIGGER, "BEGIN", "SAVEPOINT s", row("x"), "RELEASE s", ("copy", "y", 500), "ROLLBACK", row("a")], "a"),
    ("dropped before it is decoded", [TRIGGER, row("a"), row("b"), "DROP TABLE T"], "ab"),
    ("foreign updates and deletes", ["UPDATE T SET key = 'n'", "UPDATE T SET key = 'm'", TRIGGER, row("a"), "DELETE FROM T", row("b")], "ab"),
]


class Session:
    """One connection; a failed statement ends its transaction."""

    def __init__(self, server):
        self.c = server.connect()
        self.errors = {}
        self.done = 0

    def run(self, statement):
        try:
            if isinstance(statement, tuple):
                self.copy(*statement[1:])
            else:
                self.c.execute(statement)
            self.done += 1
            return True
        except psycopg.Error as e:
            self.errors[e.sqlstate] = str(e).split("\n")[0]
            if self.c.info.transaction_status == psycopg.pq.TransactionStatus.INERROR:
                self.c.execute("ROLLBACK")
            return False

    def copy(self, name, rows, table, wide=(1, 7)):
        """The first "wide[0]" of each "wide[1]" rows have values out of line.
        A volatile default would make single inserts of it: event_id is given."""
        with self.c.cursor().copy(f"COPY {table} (event_id, event_type, key, payload) FROM STDIN") as copy:
            for i in range(rows):
                value = random.Random(i).randbytes(4000).hex() if i % wide[1] < wide[0] else i
                copy.write_row((uuid.uuid4(), name, "k", f'"{value}"'))

    def in_transaction(self):
        return self.c.info.transaction_status != psycopg.pq.TransactionStatus.IDLE


class Trial:
    def __init__(self, o):
        self.o = o
        self.server = Server(o.bindir, o.dir, "server")
        self.passed = self.failed = 0
        self.skipped = 0

    def prepare(self):
        self.server.init()
        self.server.write("harness.conf", CONF, "a")
        self.server.start()
        self.boss = self.server.connect()
        self.boss.execute("SET lock_timeout = '10s'")
        self.boss.execute(SETUP)

    def check(self, what, ok, *details):
        if ok:
            self.passed += 1
            return
        self.failed += 1
        print("FAILED:", what)
        for d in details:
            print("   ", d)
        sys.stdout.flush()

    # ---- slots

    def make_slots(self, *names):
        for name in names:
            self.boss.execute("SELECT demo.slot(%s)", (name,))
        self.seen = {name: {} for name in names}

    def drop_slots(self):
        for name in self.seen:
            self.boss.execute("SELECT pg_drop_replication_slot(%s)", (name,))

    def decode(self, what, slot, confirm=True):
        """Reads a slot to the end: by commit LSN, the rows of a transaction.
        What was read before must come out the same again."""
        found = {}
        with self.server.connect() as c:
            c.execute("SET mesh_outbox.skip_foreign = %s" %
                      ("off" if slot == "reference" else "on"))
            try:
                lines = [r[0] for r in c.execute(
                    "SELECT demo.decode(%s, 1, 'demo.check()', 'demo.control',"
                    " pg_current_wal_flush_lsn(), %s)", (slot, confirm))]
            except psycopg.Error as e:
                self.check(f"{what}: {slot} could not be decoded", False, e)
                return {}
        *rows, last = lines
        skipped, self.memory = map(int, last.split()[1::2])
        self.skipped += skipped
        for line in rows:
            lsn, text = line.split(" ", 1)
            found.setdefault(lsn, []).append(text)
        for lsn, texts in found.items():
            old = self.seen[slot].setdefault(lsn, texts)
            if old != texts:
                self.check(f"{what}: {slot}: the transaction at {lsn} again", False, old, texts)
        return found

    def compare(self, what):
        reference = self.seen["reference"]
        for slot, found in self.seen.items():
            lost = {k: v for k, v in reference.items() if found.get(k) != v}
            more = {k: v for k, v in found.items() if reference.get(k) != v}
            self.check(f"{what}: {slot} differs from the reference", not lost and not more,
                       "reference:", lost, f"{slot}:", more)

    def compare_truth(self, what):
        found = {t.split()[4] for texts in self.seen["reference"].values() for t in texts}
        fired = {str(i): rest for i, *rest in self.boss.execute("SELECT * FROM demo.truth")}
        lost = [fired[i] for i in fired.keys() - found]
        self.check(f"{what}: rows of outboxes that were not decoded", not lost, lost)
        self.check(f"{what}: rows that were decoded for no trigger", found <= fired.keys(),
                   found - fired.keys())

    # ---- cases

    def one_case(self, number, name, statements, expected):
        table = f"case_{number}"
        s = Session(self.server)
        self.make_slots("once", "reference")

        def named(x):
            if isinstance(x, tuple):
                return (*x, table)
            for old in ("_leaf", "_p", "_b", "_c", "_i", "_o"):
                x = x.replace(f"T{old} ", f"{table}{old} ").replace(f"T{old}(", f"{table}{old}(")
                x = x.removesuffix(f"T{old}") + (f"{table}{old}" if x.endswith(f"T{old}") else "")
            words = x.replace("'T'", f"'{table}'").replace("other.T ", f"other.{table} ").split(" ")
            return " ".join(table if w == "T" else w for w in words)

        for statement in [f"CREATE TABLE T ({COLUMNS})", row("old"), row("older"), *statements]:
            if not s.run(named(statement)):
                self.check(f"case {name}: {statement}", False, s.errors)
        s.c.close()
        for slot in self.seen:
            self.decode(f"case {name}", slot)
            got = "".join(t.split()[5] for texts in self.seen[slot].values() for t in texts)
            self.check(f"case {name}: {slot}", got == expected, f"{got} instead of {expected}")
        self.compare(f"case {name}")
        self.drop_slots()

    def cases(self):
        self.boss.execute("CREATE SCHEMA other")
        for number, (name, statements, expected) in enumerate(CASES):
            self.one_case(number, name, statements, expected)

    # ---- held

    def held(self):
        """After a restart all is decoded, so what an absent transaction's rows
        need of the catalog must be kept: "old" changes it, and it is older
        than all that runs at the end; "hold" keeps restart_lsn from moving
        beyond the rows, but is no reason to keep anything of the catalog."""
        run = self.boss.execute
        run(f"CREATE TABLE held ({COLUMNS})")
        run(f"CREATE TABLE held_o ({COLUMNS})")
        run("CREATE TABLE locked ()")
        run(trigger("held_o"))
        self.make_slots("pieces")
        old, hold, long = (Session(self.server) for _ in range(3))
        old.run("BEGIN")
        old.run("SELECT txid_current()")
        run(row("old", "held"))
        run("CHECKPOINT")
        hold.run("BEGIN")
        hold.run("LOCK TABLE locked IN ACCESS EXCLUSIVE MODE")
        long.run("BEGIN")
        long.run(row("x", "held"))
        # A row of pg_class that no lock protects.
        old.run("GRANT SELECT ON held TO PUBLIC")
        old.run("COMMIT")
        for _ in range(2):
            run("CHECKPOINT")
        self.decode("held", "pieces")
        run("VACUUM pg_class")
        long.run(row("a", "held_o"))
        long.run("COMMIT")
        hold.run("COMMIT")
        self.decode("held", "pieces")
        got = [t.split()[5] for texts in self.seen["pieces"].values() for t in texts]
        self.check("held: the event of a long transaction", got == ["a"], got)
        for s in (old, hold, long):
            self.check("held: statements", not s.errors, s.errors)
            s.c.close()
        self.drop_slots()

    # ---- toasted

    def toasted(self):
        """TOAST chunks of a transaction must go when their row has passed."""
        run = self.boss.execute
        run(f"CREATE TABLE toasted ({COLUMNS})")
        run(row("old", "toasted"))
        for what, fill in (
                ("rows", f"INSERT INTO toasted (event_type, payload) SELECT 'x', p.payload"
                         f" FROM generate_series(1, 4000), (SELECT {BIG.format(300)} AS payload) p"),
                ("COPY", ("copy", "x", 10000, "toasted")),
                # Each bulk insert ends with records of which no row is wide.
                ("COPY, in part", ("copy", "x", 140000, "toasted", (7, 700)))):
            self.make_slots("once", "reference")
            run(row("learn", "toasted"))
            s = Session(self.server)
            s.run(fill)
            self.check("toasted: statements", not s.errors, s.errors)
            s.c.close()
            used = {}
            for slot in self.seen:
                self.decode("toasted", slot)
                used[slot] = self.memory
            self.check(f"toasted, {what}: memory, kB", used["once"] < used["reference"] + 2048, used)
            self.drop_slots()

    # ---- random

    def random_round(self, number):
        rng = random.Random(self.o.seed * 1000003 + number)
        what = f"seed {self.o.seed}, round {number}"
        self.boss.execute("DROP SCHEMA IF EXISTS r CASCADE")
        self.boss.execute("CREATE SCHEMA r")
        self.boss.execute("TRUNCATE demo.truth")
        for i in range(8):
            self.boss.execute(f"CREATE TABLE r.t{i} ({COLUMNS})")
            if rng.random() < 0.3:
                self.boss.execute(trigger(f"r.t{i}"))
        for i in range(2):
            self.boss.execute(f"CREATE TABLE r.p{i} ({COLUMNS}) PARTITION BY LIST (key)")
            self.boss.execute(f"CREATE TABLE r.p{i}l PARTITION OF r.p{i} FOR VALUES IN ('k', 'n')")
        self.make_slots("once", "pieces", "reference")
        sessions = [Session(self.server) for _ in range(4)]
        actor = Actor(rng, f"g{self.o.seed}_{number}_")
        for _ in range(self.o.steps):
            s = rng.choice(sessions)
            actor.act(s)
            if rng.random() < 0.03:
                self.boss.execute("CHECKPOINT")
            if rng.random() < 0.03:
                self.decode(what, "pieces", rng.random() < 0.7)
        for s in sessions:
            if s.in_transaction():
                s.run(rng.choice(["COMMIT", "ROLLBACK"]))
        for gid in actor.prepared:
            sessions[0].run(rng.choice([f"COMMIT PREPARED '{gid}'", f"ROLLBACK PREPARED '{gid}'"]))
        for slot in self.seen:
            self.decode(what, slot)
        self.compare(what)
        self.compare_truth(what)
        self.events += sum(len(t) for t in self.seen["reference"].values())
        for s in sessions:
            self.statements += s.done
            for code, text in s.errors.items():
                self.errors.setdefault(code, text)
            s.c.close()
        self.drop_slots()

    def random(self):
        self.events = self.statements = 0
        self.errors = {}
        self.skipped = 0
        rounds = 0
        first = self.o.round if self.o.round is not None else 0
        end = time.monotonic() + self.o.seconds
        while self.failed < 10:
            self.random_round(first + rounds)
            rounds += 1
            if self.o.round is not None or time.monotonic() > end:
                break
        print(f"seed {self.o.seed}: {rounds} rounds, {self.statements} statements,"
              f" {self.events} events, {self.skipped} records skipped")
        if self.o.verbose:
            for code, text in sorted(self.errors.items()):
                print("   refused:", code, text)
        self.check("random: events came out", self.events > 10 * rounds, self.events)
        self.check("random: records were skipped", self.skipped > 100 * rounds, self.skipped)


class Actor:
    """What a session may do next, by chance.  Not dropping tables that are
    used as catalogs: core cannot decode their rows any more ("could not find
    pg_class entry")."""

    def __init__(self, rng, gids):
        self.rng = rng
        self.gids = gids
        self.n = 0
        self.prepared = []
        rows = [(10, self.insert), (4, self.insert_many), (2, self.toasted), (3, self.copy),
                (2, self.upsert), (3, self.update), (1, self.delete), (1, self.truncate),
                (2, self.nested)]
        tables = [(5, self.add_trigger), (3, self.drop_trigger), (2, self.switch_trigger),
                  (2, self.retarget), (1, self.create), (1, self.drop), (1, self.exchange),
                  (1, self.rewrite), (1, self.harmless), (1, self.partition), (1, self.temporary)]
        self.rows = [f for weight, f in rows for _ in range(weight)]
        self.tables = [f for weight, f in tables for _ in range(weight)]
        self.alone = [self.maintain, self.finish_prepared]

    def act(self, s):
        r = self.rng
        chance = r.random()
        if s.in_transaction() and chance < 0.25:
            self.transaction_control(s)
        elif not s.in_transaction() and chance < 0.35:
            s.run("BEGIN")
        elif not s.in_transaction() and chance < 0.42:
            r.choice(self.alone)(s)
        elif chance < 0.80:
            r.choice(self.rows)(s)
        else:
            r.choice(self.tables)(s)

    def table(self):
        return self.rng.choice([f"r.t{i}" for i in range(8)] + ["r.p0", "r.p1", "r.p0l", "r.p1l"])

    def plain(self):
        return f"r.t{self.rng.randrange(8)}"

    def name(self):
        self.n += 1
        return f"e{self.n}"

    def transaction_control(self, s):
        choice = self.rng.randrange(12)
        if choice < 5:
            s.run("COMMIT")
        elif choice < 6:
            s.run("ROLLBACK")
        elif choice < 8:
            s.run("SAVEPOINT s")
        elif choice < 9:
            s.run("ROLLBACK TO s")
        elif choice < 10:
            s.run("RELEASE s")
        else:
            gid = self.gids + str(self.n)
            if gid not in self.prepared and s.run(f"PREPARE TRANSACTION '{gid}'"):
                self.prepared.append(gid)
            self.n += 1

    def finish_prepared(self, s):
        if self.prepared:
            gid = self.prepared.pop(self.rng.randrange(len(self.prepared)))
            s.run(self.rng.choice([f"COMMIT PREPARED '{gid}'", f"ROLLBACK PREPARED '{gid}'"]))

    # ---- rows

    def insert(self, s):
        s.run(row(self.name(), self.table()))

    def insert_many(self, s):
        s.run(f"INSERT INTO {self.table()} (event_type, key) SELECT '{self.name()}' || g, 'k'"
              f" FROM generate_series(1, {self.rng.randint(2, 40)}) g")

    def toasted(self, s):
        s.run(big(self.name(), self.table(), self.rng.randint(50, 600)))

    def copy(self, s):
        s.run(("copy", self.name(), self.rng.randint(1, 300), self.table(),
               self.rng.choice([(1, 7), (0, 1)])))

    def upsert(self, s):
        table = self.plain()
        s.run(f"CREATE UNIQUE INDEX IF NOT EXISTS {table[2:]}_u ON {table} (event_id)")
        s.run(self.rng.choice([row(self.name(), table), big(self.name(), table, 100)])
              + " ON CONFLICT (event_id) DO UPDATE SET key = 'n'")

    def update(self, s):
        what = self.rng.choice(["key = 'n'", "key = 'k'", f"payload = {BIG.format(100)}",
                                "event_type = event_type || '.'"])
        s.run(f"UPDATE {self.table()} SET {what} WHERE random() < 0.2")

    def delete(self, s):
        s.run(f"DELETE FROM {self.table()} WHERE random() < 0.3")

    def truncate(self, s):
        s.run(f"TRUNCATE {self.table()}")

    def nested(self, s):
        """Sub-transactions, some of them undone."""
        table, other = self.table(), self.table()
        s.run(f"""DO $$ BEGIN FOR i IN 1..{self.rng.randint(1, 5)} LOOP
            BEGIN {row(self.name(), table)}; {row(self.name(), other)};
                IF i % 2 = {self.rng.randrange(2)} THEN RAISE 'undo'; END IF;
            EXCEPTION WHEN raise_exception THEN NULL; END; END LOOP; END $$""")

    # ---- tables

    def add_trigger(self, s):
        s.run(trigger(self.table(), self.rng.choice([1, 1, 1, 2]),
                      self.rng.choice(["", "", ", 'event_type=key'"])))

    def drop_trigger(self, s):
        s.run(f"DROP TRIGGER c ON {self.table()}")

    def switch_trigger(self, s):
        s.run(f"ALTER TABLE {self.table()} "
              + self.rng.choice(["DISABLE", "ENABLE", "ENABLE ALWAYS"]) + " TRIGGER c")

    def retarget(self, s):
        table = self.table()
        s.run(trigger(table, self.rng.choice([1, 2])).replace("CREATE", "CREATE OR REPLACE"))

    def create(self, s):
        s.run(f"CREATE TABLE {self.plain()} ({COLUMNS})")

    def drop(self, s):
        table = self.plain()
        s.run(f"DROP TABLE {table}")
        if self.rng.random() < 0.7:
            s.run(f"CREATE TABLE {table} ({COLUMNS})")

    def exchange(self, s):
        a, b = self.plain()[2:], self.plain()[2:]
        own = not s.in_transaction()
        if own:
            s.run("BEGIN")
        if s.run(f"ALTER TABLE r.{a} RENAME TO swapped") and s.run(f"ALTER TABLE r.{b} RENAME TO {a}"):
            s.run(f"ALTER TABLE r.swapped RENAME TO {b}")
        if own and s.in_transaction():
            s.run("COMMIT")

    def rewrite(self, s):
        table = self.plain()
        s.run(f"ALTER TABLE {table} " + self.rng.choice(
            [f"ADD x{self.n} float DEFAULT random()", "ALTER created_at TYPE timestamptz USING now()",
             "SET UNLOGGED", "SET LOGGED", "SET ACCESS METHOD heap"]))
        self.n += 1

    def harmless(self, s):
        """Invalidates a table, but changes nothing about its rows."""
        table = self.table()
        s.run(self.rng.choice([f"ANALYZE {table}", f"GRANT SELECT ON {table} TO PUBLIC",
                               f"COMMENT ON TABLE {table} IS 'x{self.n}'",
                               f"ALTER TABLE {table} SET (autovacuum_enabled = off)",
                               f"CREATE INDEX ON {table} (key)"]))

    def partition(self, s):
        table, parent = self.plain(), f"r.p{self.rng.randrange(2)}"
        if self.rng.random() < 0.5:
            s.run(f"ALTER TABLE {parent} DETACH PARTITION {self.rng.choice([table, parent + 'l'])}")
        elif self.rng.random() < 0.5:
            s.run(f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES IN ('v{self.n}')")
        else:
            s.run(f"ALTER TABLE {parent} ATTACH PARTITION {parent}l FOR VALUES IN ('k', 'n')")

    def temporary(self, s):
        s.run(f"CREATE TEMPORARY TABLE tmp{self.n} AS SELECT g FROM generate_series(1, 10) g")
        self.n += 1

    def maintain(self, s):
        table = self.table()
        s.run(self.rng.choice([f"VACUUM {table}", f"VACUUM FULL {table}", "VACUUM pg_class",
                               "VACUUM FULL pg_class", "VACUUM FULL pg_trigger", "VACUUM pg_attribute",
                               f"CREATE INDEX CONCURRENTLY ON {table} (event_type)",
                               f"REINDEX TABLE {table}"]))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--dir", required=True)
    p.add_argument("--bindir", required=True)
    p.add_argument("--seconds", type=float, default=45)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--round", type=int)
    p.add_argument("--steps", type=int, default=300)
    p.add_argument("--verbose", action="store_true")
    t = Trial(p.parse_args())
    t.prepare()
    try:
        if t.o.round is None:
            t.cases()
            t.held()
            t.toasted()
        t.random()
    finally:
        t.server.stop("immediate")
    print(f"{t.passed} passed, {t.failed} failed")
    return 1 if t.failed else 0


if __name__ == "__main__":
    sys.exit(main())
