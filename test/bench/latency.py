"""Commit to read-committed consumer at a steady rate, synchronous_commit = on,
and what it costs; rate 0 is doing nothing."""
import os
import time

import plot
from drain import in_turn
from kafka import until
from load import Steady, steady
from measure import Processes, Sampler, settle, wakeups

HEAD_START_S = 1.0          # connections and plans are not measured
BEHIND_S = 180              # the longest that consumers may lag behind


def idle(rig, c, seconds):
    pids = [p for group in c.pids().values() for p in group]
    processes = Processes(c.pids)
    before = sum(map(wakeups, pids))
    time.sleep(seconds)
    processes.look()
    return {"CPU %": processes.total_cpu() / seconds * 100,
            "publisher or Connect %": processes.cpu[c.groups[0]] / seconds * 100,
            "anonymous MB": processes.total_peak(),
            "wake-ups/s": (sum(map(wakeups, pids)) - before) / seconds}


def delivered(rig, c, reader, since):
    """{event: when it came} of all rows inserted since then."""
    total = c.server.sql("SELECT count(*) FROM bench.outbox"
                         " WHERE pg_xact_commit_timestamp(xmin) > %s", since)[0][0]
    try:
        until(lambda: reader.count() >= total, BEHIND_S, f"{c.label}'s last events")
    finally:
        seen, records = reader.stop()
    if records != total or len(seen) != total:
        raise RuntimeError(f"{c.label}: {total} rows, {records} records, {len(seen)} different")
    return seen


def under_load(rig, c, rate, seconds):
    settle(c.end())
    reader = rig.reader(c, "end")
    since = c.server.sql("SELECT clock_timestamp()")[0][0]
    processes = Processes(c.pids)
    broker = rig.broker_cpu()
    started = time.monotonic()
    with Sampler(processes):
        steady(c.server, c.steady(), rate, seconds, rig.dir)
        took = time.monotonic() - started
        broker = rig.broker_cpu() - broker
    seen = delivered(rig, c, reader, since)
    rows = c.server.sql(
        f"SELECT {c.ids}::text, extract(epoch FROM pg_xact_commit_timestamp(xmin))::float8"
        " FROM bench.outbox WHERE pg_xact_commit_timestamp(xmin) > %s + %s::interval",
        since, f"{HEAD_START_S} s")
    ms = sorted((seen[i] - t) * 1000 for i, t in rows)
    return {"events/s": len(rows) / (took - HEAD_START_S),
            "p50 ms": ms[len(ms) // 2], "p99 ms": ms[int(len(ms) * .99)],
            "p99.9 ms": ms[int(len(ms) * .999)], "max ms": ms[-1],
            "CPU %": processes.total_cpu() / took * 100,
            "publisher or Connect %": processes.cpu[c.groups[0]] / took * 100,
            "broker %": broker / took * 100, "anonymous MB": processes.total_peak()}


def run(rig, contenders, results):
    """A broker that has just started compiles its code for a minute, on a core
    that is not its own; so the load runs unmeasured first."""
    o = rig.options
    for i in range(o.runs):
        for c in in_turn(contenders, i):
            try:
                c.start()
                warmup = o.warmup if i == 0 else o.warmup // 5
                if warmup > 0:
                    rig.say(f"latency {i + 1}/{o.runs}: warming up {c.label} for {warmup} s")
                    steady(c.server, c.steady(), 1000, warmup, rig.dir)
                for rate in sorted(o.rates, key=lambda r: r or float("inf")):
                    row = (under_load(rig, c, rate, o.seconds) if rate else
                           idle(rig, c, o.seconds))
                    rig.say(f"latency {i + 1}/{o.runs}: {c.label}, {rate:,}/s: "
                            + ", ".join(f"{k} {row[k]:.1f}" for k in ("p50 ms", "p99 ms", "CPU %")
                                        if k in row))
                    results.add(contender=c.label, rate=rate, run=i + 1, **row)
            finally:
                c.stop()


def draw(results, about):
    for column, name in (("p50 ms", "p50"), ("p99 ms", "p99"), ("CPU %", "cpu")):
        series = {}
        for key, *values in results.medians(column):
            if key["rate"] > 0:
                series.setdefault(key["contender"], []).append((key["rate"], *values))
        if series:
            what = {"p50": "median", "p99": "99th percentile", "cpu": "processor time"}[name]
            plot.lines(os.path.join(results.out, f"latency-{name}.svg"),
                       "Processor time at a steady rate, broker excluded" if name == "cpu"
                       else f"Commit to read-committed consumer, {what}",
                       "events/s", "% of a core" if name == "cpu" else "ms", series, about)
