#!/usr/bin/env python3
"""What a publisher costs that has nothing to publish.

traffic  an unrelated table takes rows at a steady rate, in transactions of
         several sizes.  Publisher and scribe on the one side, on the other a
         walsender with pgoutput, subscribed to the outbox only, read the same
         WAL at the same time.  Processor time until both have read all of it.
rest     no traffic at all: processor time and wake-ups of the publisher's main
         thread, its scribe, librdkafka's threads.
memory   anonymous memory of publisher and scribe, by the number of outboxes
         that each had one event and nothing since.

Processor time is that of the kernel's scheduler, in ns, so other load on the
machine matters little.
"""
import argparse
import os
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", d) for d in ("bench", "chaos", "lib")]

from kafka import until                                         # noqa: E402
from load import PAYLOAD, SCHEMA                                # noqa: E402
from measure import anonymous_mb, threads, wakeups              # noqa: E402
from server import Server                                       # noqa: E402

CONF = """
shared_buffers = 256MB
max_wal_size = 8GB
synchronous_commit = off
checkpoint_timeout = 30min
"""
# Pace: what is due after each hundredth of a second; commits as it goes.
LOAD = """
CREATE PROCEDURE bench.load(transaction int, rate int, seconds int) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz := clock_timestamp();
    elapsed float8 := 0;
    done bigint := 0;
BEGIN
    WHILE elapsed < seconds LOOP
        WHILE done < rate * elapsed LOOP
            IF transaction = 1 THEN
                INSERT INTO bench.unrelated (customer, amount, note)
                VALUES ('customer-' || done % 1000, done % 10000, 'a note of some length');
            ELSE
                INSERT INTO bench.unrelated (customer, amount, note)
                SELECT 'customer-' || g % 1000, g % 10000, 'a note of some length'
                FROM generate_series(1, transaction) g;
            END IF;
            COMMIT;
            done := done + transaction;
        END LOOP;
        PERFORM pg_sleep(0.01);
        COMMIT;
        elapsed := extract(epoch FROM clock_timestamp() - started);
    END LOOP;
END $$"""


class Bench:
    def __init__(self, options):
        self.o = options
        self.server = Server(options.bindir, options.dir, "server")
        self.receiver = None

    def start(self):
        self.server.init()
        self.server.write("harness.conf", CONF, "a")
        self.server.start()
        sql = self.server.sql
        sql("CREATE EXTENSION mesh_outbox")
        sql("SELECT mesh_outbox.create_publisher('main', brokers => 'embedded')")
        assert sql("SELECT mesh_outbox.wait_ready('main', '60 s')")[0][0]
        sql("CREATE SCHEMA bench")
        sql("SELECT mesh_outbox.create_domain('bench', owner => 'postgres', description => 'b')")
        sql("SELECT mesh_outbox.create_product('bench.orders', purpose => 'b', partitions => 4)")
        sql("SELECT mesh_outbox.propose_contract('bench.orders', 'OrderPlaced', schema => %s,"
            " key => '/id', version => '1.0.0', description => 'a customer placed an order')", SCHEMA)
        sql("SELECT mesh_outbox.activate_contract('bench.orders', 'OrderPlaced', '1.0.0')")
        self.add_outbox("bench.outbox")
        sql("CREATE TABLE bench.unrelated (id bigserial PRIMARY KEY, customer text,"
            " amount numeric, note text, at timestamptz DEFAULT now())")
        sql(LOAD)

    def stop(self):
        if self.receiver is not None:
            self.receiver.terminate()
            self.receiver.wait()
        if self.server.postmaster() is not None:
            self.server.stop("immediate")

    def add_outbox(self, name):
        sql = self.server.sql
        sql("SELECT mesh_outbox.create_outbox(%s, product => 'bench.orders')", name)
        sql(f"INSERT INTO {name} (event_type, payload) SELECT 'OrderPlaced', "
            + PAYLOAD.format(id="i") + " FROM generate_series(1, 1) i")

    def pids(self):
        return self.server.sql("SELECT publisher_pid, scribe_pid FROM mesh_outbox.publisher_status()")[0]

    def spent(self):
        """Seconds so far, by what spent them."""
        publisher, scribe = self.pids()
        by_thread = threads(publisher)
        spent = {"main thread": by_thread.pop("main"), "scribe": threads(scribe)["main"],
                 "library": sum(s for n, s in by_thread.items() if not n.startswith("rdk:mock"))}
        if self.receiver is not None:
            spent["walsender"] = threads(self.walsender())["main"]
        return spent

    def since(self, before):
        return {name: seconds - before[name] for name, seconds in self.spent().items()}

    # ---- traffic

    def walsender(self):
        return self.server.sql("SELECT pid FROM pg_stat_replication")[0][0]

    def start_walsender(self):
        self.server.sql("CREATE PUBLICATION outbox FOR TABLE bench.outbox")
        self.server.sql("SELECT pg_create_logical_replication_slot('walsender', 'pgoutput')")
        self.receiver = subprocess.Popen(
            [os.path.join(self.o.bindir, "pg_recvlogical"), "-h", "127.0.0.1",
             "-p", str(self.server.port), "-U", "postgres", "-d", "postgres", "--slot", "walsender",
             "-o", "proto_version=1", "-o", "publication_names=outbox", "--start", "-f", "/dev/null"])
        until(lambda: self.server.sql("SELECT pid FROM pg_stat_replication"), 30, "the walsender")

    def all_read(self):
        """Both have read what is written now."""
        end = self.server.sql("SELECT pg_current_wal_flush_lsn()")[0][0]
        until(lambda: self.server.sql(
            "SELECT (SELECT min(sent_lsn) FROM pg_stat_replication) >= %s::pg_lsn"
            " AND (SELECT min(decoded_lsn) FROM mesh_outbox.publisher_status()) >= %s::pg_lsn",
            end, end)[0][0], 300, "publisher and walsender to read all WAL")

    def one_load(self, transaction):
        sql = self.server.sql
        with self.server.connect() as c:
            c.execute("SELECT 1")
            self.all_read()
            first = sql("SELECT last_value FROM bench.unrelated_id_seq")[0][0]
            before, started = self.spent(), time.monotonic()
            c.execute(f"CALL bench.load({transaction}, {self.o.rate}, {self.o.seconds})")
            took = time.monotonic() - started
            self.all_read()
            spent = self.since(before)
        rows = sql("SELECT last_value FROM bench.unrelated_id_seq")[0][0] - first
        own = spent["main thread"] + spent["scribe"]
        ours = own + spent["library"]
        return {"rows/s": rows / took, "publisher µs/row": ours / rows * 1e6,
                "its main thread": spent["main thread"] / rows * 1e6,
                "its scribe": spent["scribe"] / rows * 1e6,
                "walsender µs/row": spent["walsender"] / rows * 1e6,
                "publisher, % of a core": ours / took * 100,
                "walsender, % of a core": spent["walsender"] / took * 100,
                "walsender / publisher": spent["walsender"] / ours,
                "the same without librdkafka's threads": spent["walsender"] / own}

    def traffic(self):
        self.start_walsender()
        sizes = self.o.transactions
        found = {size: [] for size in sizes}
        for size in sizes:
            self.one_load(size)             # not measured: what is new is learned
        for i in range(self.o.runs):
            for size in sizes:
                self.server.sql("TRUNCATE bench.unrelated")
                found[size].append(self.one_load(size))
        for size in sizes:
            table(f"unrelated table, {size:,} row{'s' * (size > 1)} per transaction", found[size])

    # ---- rest

    def rest(self):
        runs = []
        for _ in range(self.o.runs):
            time.sleep(3)
            publisher, scribe = self.pids()
            before, started = self.spent(), time.monotonic()
            waits = switches(publisher), switches(scribe), wakeups(publisher)
            time.sleep(self.o.rest)
            took = time.monotonic() - started
            spent = self.since(before)
            runs.append({
                "main thread, % of a core": spent["main thread"] / took * 100,
                "scribe, % of a core": spent["scribe"] / took * 100,
                "librdkafka's threads, % of a core": spent["library"] / took * 100,
                "main thread, wake-ups/s": (switches(publisher) - waits[0]) / took,
                "scribe, wake-ups/s": (switches(scribe) - waits[1]) / took,
                "all threads of the publisher, wake-ups/s": (wakeups(publisher) - waits[2]) / took})
        table("at rest", runs)

    # ---- memory

    def memory(self):
        rows, last = [], None
        have = 1
        for count in self.o.outboxes:
            while have < count:
                self.add_outbox(f"bench.o{have}")
                have += 1
            assert self.server.sql("SELECT mesh_outbox.wait_published(timeout => '300 s')")[0][0]
            publisher, scribe = (anonymous_mb(pid) for pid in self.pids())
            if last is None:
                each = ""
            else:
                each = f"{(publisher - last[1]) / (count - last[0]) * 1024:.1f}"
            rows.append(f"| {count:,} | {publisher:.1f} | {scribe:.1f} | {each} |")
            last = last or (count, publisher)
        print("\nmemory by idle outboxes\n\n| outboxes | publisher MB | scribe MB | kB each |\n"
              "|---|---|---|---|\n" + "\n".join(rows), flush=True)


def switches(pid):
    """How often the main thread has waited, so far."""
    with open(f"/proc/{pid}/task/{pid}/status") as f:
        return int(next(x for x in f if x.startswith("voluntary_ctxt")).split()[1])


def table(name, runs):
    print(f"\n{name} ({len(runs)} runs)\n\n| | median | lowest | highest |\n|---|---|---|---|")
    for column in runs[0]:
        values = [r[column] for r in runs]
        shown = [f"{x:,.0f}" if x >= 1000 else f"{x:.3f}"
                 for x in (statistics.median(values), min(values), max(values))]
        print(f"| {column} | {' | '.join(shown)} |")
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--dir", required=True)
    p.add_argument("--bindir", required=True)
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--seconds", type=int, default=6)
    p.add_argument("--rate", type=int, default=50_000)
    p.add_argument("--transactions", type=int, nargs="*", default=[1, 10, 100])
    p.add_argument("--rest", type=int, default=20)
    p.add_argument("--outboxes", type=int, nargs="*", default=[1, 100, 1000])
    p.add_argument("what", nargs="*", default=["rest", "memory", "traffic"])
    bench = Bench(p.parse_args())
    try:
        bench.start()
        for what in bench.o.what:
            getattr(bench, what)()
    finally:
        bench.stop()


if __name__ == "__main__":
    main()
