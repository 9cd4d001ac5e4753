#!/usr/bin/env python3
"""Measures mesh_outbox on a real broker.

drain    one-row transactions piled up while the publisher is paused; from
         resume_publisher to "all published", start of the publisher included
latency  a steady rate of one-row transactions, synchronous_commit = on; from
         the transaction's commit timestamp to the moment a read-committed
         consumer has the event.  The same load runs for --warmup seconds first:
         a broker that has just started compiles its code for a minute, on a
         core that is not its own
"""
import argparse
import os
import statistics
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, "..", "chaos"), os.path.join(HERE, "..", "lib")]
from confluent_kafka import Consumer, TopicPartition            # noqa: E402
from kafka import Cluster, consume, until                       # noqa: E402
from server import Server                                       # noqa: E402

PARTITIONS = 4
CONF = """
shared_buffers = 1GB
max_wal_size = 8GB
checkpoint_timeout = 30min
wal_keep_size = 0
track_commit_timestamp = on
log_min_messages = warning
mesh_outbox.restart_delay = '1s'
"""
SCHEMA = """{"type": "object", "properties": {
 "id": {"type": "string"}, "customer": {"type": "string"}, "amount": {"type": "number"},
 "currency": {"enum": ["EUR", "USD"]}, "note": {"type": "string"}},
 "required": ["id", "customer", "amount", "currency"]}"""
# About 330 bytes as JSON text.
PAYLOAD = ("jsonb_build_object('id', {id}::text, 'customer', 'customer-' || {id} % 1000,"
           " 'amount', {id} % 10000 / 100.0, 'currency', 'EUR', 'note', repeat('n', 240))")


class Bench:
    def __init__(self, o):
        self.o = o
        self.cluster = Cluster(os.path.join(o.dir, "kafka"))
        self.server = Server(o.bindir, o.dir, "server")

    def prepare(self):
        os.environ.setdefault("MO_KAFKA_HEAP", "1g")
        self.cluster.create(1)
        self.server.init()
        self.server.write("harness.conf", CONF, "a")
        self.server.start()
        sql = self.server.sql
        sql("CREATE EXTENSION mesh_outbox")
        sql("SELECT mesh_outbox.create_publisher('main', brokers => %s)", self.cluster.bootstrap)
        assert sql("SELECT mesh_outbox.wait_ready('main', '60 s')")[0][0]
        sql("CREATE SCHEMA bench")
        sql("SELECT mesh_outbox.create_domain('bench', owner => 'postgres', description => 'b')")
        sql("SELECT mesh_outbox.create_product('bench.orders', purpose => 'b',"
            " topic => 'bench.orders', partitions => %s)", PARTITIONS)
        sql("SELECT mesh_outbox.propose_contract('bench.orders', 'OrderPlaced', schema => %s,"
            " key => '/id', version => '1.0.0')", SCHEMA)
        sql("SELECT mesh_outbox.activate_contract('bench.orders', 'OrderPlaced', '1.0.0')")
        sql("SELECT mesh_outbox.create_outbox('bench.outbox', product => 'bench.orders')")
        sql("""CREATE PROCEDURE bench.fill(n int, base int) LANGUAGE plpgsql AS $$
            BEGIN
                FOR i IN base + 1 .. base + n LOOP
                    INSERT INTO bench.outbox (event_type, payload) VALUES ('OrderPlaced', %s);
                    COMMIT;
                END LOOP;
            END $$""".replace("%s", PAYLOAD.format(id="i")))
        # The topic exists and the code is warm before anything is measured.
        sql("CALL bench.fill(1000, 0)")
        self.published()

    def published(self, timeout=300):
        assert self.server.sql("SELECT mesh_outbox.wait_published(timeout => %s)",
                               f"{timeout} s")[0][0], "not published in time"

    def worker_cpu(self):
        pid = self.server.sql("SELECT publisher_pid FROM mesh_outbox.publisher_status()")[0][0]
        with open(f"/proc/{pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def peak_memory(self):
        pid = self.server.sql("SELECT publisher_pid FROM mesh_outbox.publisher_status()")[0][0]
        with open(f"/proc/{pid}/status") as f:
            return int(next(x for x in f if x.startswith("RssAnon")).split()[1]) / 1024

    # ---- drain

    def drain(self, run):
        sql = self.server.sql
        sql("SELECT mesh_outbox.pause_publisher('main', reason => 'bench')")
        until(lambda: sql("SELECT state FROM mesh_outbox.publishers")[0][0] == "paused", 30, "pause")
        jobs = 4
        threads = [threading.Thread(target=self.fill, args=(self.o.events // jobs, 10 ** 8 + i * 10 ** 7))
                   for i in range(jobs)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        sql("CHECKPOINT")
        started = time.monotonic()
        sql("SELECT mesh_outbox.resume_publisher('main')")
        self.published()
        seconds = time.monotonic() - started
        events = self.o.events // jobs * jobs
        cpu = self.worker_cpu()
        first, last = sql(
            "SELECT min(published_at), max(published_at) FROM mesh_outbox.batches"
            " WHERE published_at > clock_timestamp() - %s::interval", f"{seconds + 1} s")[0]
        return {"events/s": events / seconds, "seconds": seconds,
                "cpu µs/event": cpu / events * 1e6, "anon MB": self.peak_memory(),
                "ledger window s": (last - first).total_seconds() if first else 0.0}

    def fill(self, n, base):
        with self.server.connect() as c:
            c.execute("SET synchronous_commit = off")
            c.execute(f"CALL bench.fill({n}, {base})")

    # ---- latency

    def load(self, seconds):
        script = os.path.join(self.o.dir, "insert.sql")
        with open(script, "w") as f:
            f.write("\\set id random(1, 1000000000)\n"
                    "INSERT INTO bench.outbox (event_type, payload) VALUES ('OrderPlaced', "
                    + PAYLOAD.format(id=":id") + ");\n")
        subprocess.run([os.path.join(self.o.bindir, "pgbench"), "-n", "-M", "prepared", "-f", script,
                        "-c", "4", "-j", "1", "-R", str(self.o.rate), "-T", str(seconds),
                        "-h", "127.0.0.1", "-p", str(self.server.port), "-U", "postgres", "postgres"],
                       check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def latency(self, run):
        if run == 0 and self.o.warmup > 0:
            self.load(self.o.warmup)
        seen = {}
        stop = threading.Event()
        ready = threading.Event()
        reader = threading.Thread(target=self.read, args=(seen, ready, stop))
        reader.start()
        ready.wait(30)
        since = self.server.sql("SELECT clock_timestamp()")[0][0]
        cpu = self.worker_cpu()
        started = time.monotonic()
        self.load(self.o.seconds)
        took = time.monotonic() - started
        self.published()
        cpu = (self.worker_cpu() - cpu) / took * 100
        # A second of head start for connections and plans is left out.
        rows = self.server.sql(
            "SELECT event_id::text, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
            " FROM bench.outbox WHERE created_at > %s + interval '1 s'", since)
        until(lambda: all(i in seen for i, _ in rows), 30, "the consumer")
        stop.set()
        reader.join()
        ms = sorted((seen[i] - t) * 1000 for i, t in rows)
        return {"rate": len(rows) / (took - 1), "p50 ms": ms[len(ms) // 2],
                "p99 ms": ms[int(len(ms) * .99)], "p99.9 ms": ms[int(len(ms) * .999)],
                "max ms": ms[-1], "publisher CPU %": cpu}

    def read(self, seen, ready, stop):
        c = Consumer({"bootstrap.servers": self.cluster.bootstrap, "group.id": "bench-reader",
                      "isolation.level": "read_committed", "enable.auto.commit": False,
                      "fetch.min.bytes": 1, "fetch.wait.max.ms": 500, "log_level": 0,
                      "fetch.error.backoff.ms": 1, "socket.nagle.disable": True})
        parts = [TopicPartition("bench.orders", p) for p in range(PARTITIONS)]
        for p in parts:
            p.offset = c.get_watermark_offsets(p, timeout=10)[1]
        c.assign(parts)
        c.poll(1)
        ready.set()
        while not stop.is_set():
            m = c.poll(0.1)
            if m is not None and not m.error():
                now = time.time()
                seen[next(v for k, v in m.headers() if k == "ce_id").decode()] = now
        c.close()

    def verify(self):
        """A rate counts only if everything arrived exactly once."""
        seen = [next(v for k, v in m.headers() if k == "ce_id").decode()
                for m in consume(self.cluster.bootstrap, ["bench.orders"], timeout=600)]
        rows = self.server.sql("SELECT count(*) FROM bench.outbox")[0][0]
        if len(seen) != rows or len(set(seen)) != rows:
            sys.exit(f"{rows} rows, {len(seen)} records, {len(set(seen))} different")
        print(f"verified: {rows} rows, each once in the topic")

    def close(self):
        if self.server.postmaster() is not None:
            self.server.stop("immediate")
        self.cluster.stop()


def table(name, runs):
    print(f"\n{name} ({len(runs)} runs)\n\n| | median | lowest | highest |\n|---|---|---|---|")
    for column in runs[0]:
        values = [r[column] for r in runs]
        def show(x):
            return f"{x:,.0f}" if x >= 1000 else f"{x:.2f}"
        print(f"| {column} | {show(statistics.median(values))} | {show(min(values))}"
              f" | {show(max(values))} |")
    sys.stdout.flush()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--runs", type=int, default=3)
    p.add_argument("--events", type=int, default=500_000)
    p.add_argument("--seconds", type=int, default=30)
    p.add_argument("--rate", type=int, default=1000)
    p.add_argument("--warmup", type=int, default=90)
    p.add_argument("what", nargs="*", default=["drain", "latency"])
    for name in ("dir", "bindir"):
        p.add_argument("--" + name, required=True)
    o = p.parse_args()
    bench = Bench(o)
    try:
        bench.prepare()
        for what in o.what:
            title = {"drain": f"drain of {o.events:,} one-row transactions",
                     "latency": f"commit to read-committed consumer at {o.rate:,} events/s"}[what]
            table(title, [getattr(bench, what)(i) for i in range(o.runs)])
        bench.verify()
    finally:
        bench.close()


if __name__ == "__main__":
    main()
