"""One-row INSERT transactions into an outbox, checked and published meanwhile,
and into a table of the same columns and index.  Publisher and broker take their
part of the same processors, so the outbox is measured with the publisher
paused, too.  What the check alone costs, in processor time, insert.sh tells."""
import os
import re
import subprocess

import plot
from drain import in_turn

CLIENTS = (1, 8, 32)
PAUSED = "outbox, publisher paused"
TABLES = {"plain table": "bench.plain", PAUSED: "bench.outbox", "outbox": "bench.outbox"}
PAYLOAD = ('{"id": "17", "customer": "customer-17", "amount": 12.5, "currency": "EUR", "note": "'
           + "n" * 240 + '"}')


def throughput(rig, c, table, clients, commit):
    script = os.path.join(rig.dir, "insert.sql")
    with open(script, "w") as f:
        f.write(f"INSERT INTO {table} (event_type, payload) VALUES ('OrderPlaced', '{PAYLOAD}');\n")
    r = subprocess.run(
        [os.path.join(rig.bindir, "pgbench"), "-n", "-M", "prepared", "-f", script,
         "-c", str(clients), "-j", "2", "-T", str(rig.options.insert_seconds), "-h", "127.0.0.1",
         "-p", str(c.server.port), "-U", "postgres", "postgres"],
        env={**os.environ, "PGOPTIONS": f"-c synchronous_commit={commit}"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=True)
    return float(re.search(r"^tps = ([\d.]+)", r.stdout, re.M).group(1))


def prepare(c):
    sql = c.server.sql
    sql("CREATE TABLE bench.plain (LIKE bench.outbox, PRIMARY KEY (event_id))")
    sql("ALTER TABLE bench.plain ALTER event_id SET DEFAULT gen_random_uuid(),"
        " ALTER event_time SET DEFAULT clock_timestamp(),"
        " ALTER created_at SET DEFAULT clock_timestamp(), ALTER contract_id SET DEFAULT 1")


def measure(rig, c, name, clients, commit):
    if name == PAUSED:
        c.hold()
    tps = throughput(rig, c, TABLES[name], clients, commit)
    if name == PAUSED:
        c.release()
    c.published()
    return tps


def run(rig, contenders, results):
    o = rig.options
    for i in range(o.runs):
        for c in contenders:
            try:
                c.start()
                prepare(c)
                for name in TABLES:
                    measure(rig, c, name, 1, "off")
                for commit in ("on", "off"):
                    for clients in CLIENTS:
                        tps = {name: measure(rig, c, name, clients, commit)
                               for name in in_turn(list(TABLES), i)}
                        part = {name: tps[name] / tps["plain table"] for name in TABLES}
                        for name in TABLES:
                            results.add(contender=name, clients=clients, commit=commit, run=i + 1,
                                        **{"transactions/s": tps[name],
                                           "of the plain table": part[name]})
                        rig.say(f"insert {i + 1}/{o.runs}: {clients} clients, commit {commit}: outbox"
                                f" {part['outbox']:.2f} of the plain table, {part[PAUSED]:.2f} with"
                                " the publisher paused")
            finally:
                c.stop()


def draw(results, about):
    for commit in ("on", "off"):
        rows = results.medians("transactions/s", commit=commit)
        plot.bars(os.path.join(results.out, f"insert-{commit}.svg"),
                  f"One-row INSERT transactions, synchronous_commit = {commit}", "/s",
                  [(f"{k['contender']}, {k['clients']} clients", *v) for k, *v in rows], about)
