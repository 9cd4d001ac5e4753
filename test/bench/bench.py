#!/usr/bin/env python3
"""Measures mesh_outbox on Apache Kafka, beside what else could be used.

drain    a backlog of one-row transactions, and one large transaction
latency  a steady rate, commit to read-committed consumer; rate 0 is idle
memory   the highest anonymous memory: backlog, a large and a wide transaction
growth   cost per event with ever more outboxes, contracts, backlog
insert   INSERTs into an outbox and into a table of the same shape

Contenders take turns within every run, each with a new server and topic; tables
say median and spread.  Everything shares this machine.
"""
import argparse
import os
import signal
import sys
import traceback

from rig import Rig
import drain
import growth
import insert
import latency
import memory
import stages
import report
from contenders import Debezium, Loop, Ours

SCENARIOS = {
    "drain": (drain, "Drain of a backlog"),
    "latency": (latency, "Commit to read-committed consumer"),
    "memory": (memory, "Memory"),
    "growth": (growth, "Growth"),
    "insert": (insert, "INSERT beside a plain table"),
}


def arguments():
    p = argparse.ArgumentParser(usage="test/bench/run.sh [all | SCENARIO ...] [options]",
                                description=__doc__,
                                formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", nargs="*", help="all, or some of " + ", ".join(SCENARIOS))
    p.add_argument("--with-debezium", action="store_true", help="fetch and measure Debezium, too")
    p.add_argument("--runs", type=int, default=5)
    p.add_argument("--events", type=int, default=1_000_000, help="in a drain (%(default)s)")
    p.add_argument("--warmup-events", type=int, default=200_000,
                   help="drained once, unmeasured (%(default)s)")
    p.add_argument("--rates", type=lambda s: [int(x) for x in s.split(",")],
                   default=[0, 100, 1000, 10_000, 50_000], help="events/s, separated by commas; 0 is idle (%(default)s)")
    p.add_argument("--seconds", type=int, default=20, help="of each steady rate (%(default)s)")
    p.add_argument("--warmup", type=int, default=75,
                   help="seconds of load before the first latencies (%(default)s)")
    p.add_argument("--backlogs", type=lambda s: [int(x) for x in s.split(",")],
                   default=[100_000, 1_000_000], help="of growth, separated by commas")
    p.add_argument("--growth-events", type=int, default=400_000,
                   help="with each number of outboxes and contracts (%(default)s)")
    p.add_argument("--wide-mb", type=int, default=1000,
                   help="size of the wide transaction (%(default)s)")
    p.add_argument("--insert-seconds", type=int, default=10, help="(%(default)s)")
    p.add_argument("--profile", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--only", help="contenders whose label has this word")
    p.add_argument("--dir", required=True, help=argparse.SUPPRESS)
    p.add_argument("--bindir", required=True, help=argparse.SUPPRESS)
    p.add_argument("--out", required=True, help="folder of tables, plots, raw figures")
    o = p.parse_args()
    if not o.what or o.what == ["all"]:
        o.what = list(SCENARIOS)
    unknown = [w for w in o.what if w not in SCENARIOS]
    if unknown:
        p.error(f"unknown: {' '.join(unknown)}")
    return o


def contenders(rig, scenario):
    """Who takes part in it."""
    new, old = rig.versions()
    ours = Ours(rig, "ours", f"mesh_outbox, 8 headers, librdkafka {new}", rig.rdkafka, large=True)
    every = [ours]
    if scenario in ("drain", "latency"):
        every.append(Ours(rig, "ours-old", f"mesh_outbox, 8 headers, librdkafka {old}"))
    if scenario == "drain":
        every.insert(1, Ours(rig, "ours-minimal", f"mesh_outbox, 3 headers, librdkafka {new}",
                             rig.rdkafka, "minimal"))
        every += [
            Loop(rig, "loop", "librdkafka alone, 8 headers", 8, 0, rig.rdkafka),
            Loop(rig, "loop-tx", "librdkafka alone, 8 headers, transactions", 8, 50_000, rig.rdkafka)]
    if rig.connect and scenario in ("drain", "latency", "memory"):
        tunings = {"drain": ("rate", "defaults"), "latency": ("latency", "defaults"),
                   "memory": ("rate",)}[scenario]
        names = {"rate": "tuned for rate", "latency": "tuned for latency", "defaults": "defaults"}
        every += [Debezium(rig, f"debezium-{t}", f"Debezium, {names[t]}", t, large=t == "rate")
                  for t in tunings]
    if rig.options.only:
        every = [c for c in every if rig.options.only in c.label]
    return every


def measure(rig, what, about):
    """One scenario.  Whatever stops it, what has been measured is shown."""
    module, title = SCENARIOS[what]
    taking_part = contenders(rig, what)
    results = report.Results(what, title, rig.options.out)
    try:
        module.run(rig, taking_part, results)
        module.draw(results, "; ".join(f"{k}: {v}" for k, v in about))
    finally:
        write(rig, what, report.head(about, taking_part) + "\n" + results.table())


def write(rig, what, text):
    with open(os.path.join(rig.options.out, f"{what}.md"), "w") as f:
        f.write(text)
    print("\n" + text, flush=True)


def main():
    o = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    rig = Rig(o)
    failed = False
    try:
        rig.start()
        about = rig.about()
        if o.profile:
            write(rig, "profile", report.head(about, ()) + "\n"
                  + stages.table(rig, contenders(rig, "profile")[0]))
            o.what = []
        for what in o.what:
            try:
                measure(rig, what, about)
            except (RuntimeError, TimeoutError):
                traceback.print_exc()
                failed = True
        rig.say(f"tables, plots and single runs: {o.out}")
    finally:
        rig.stop()
    return failed


if __name__ == "__main__":
    sys.exit(main())
