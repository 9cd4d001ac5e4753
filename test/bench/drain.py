"""How fast a backlog goes, and what it costs: one-row transactions piled up
while the contender is held, one large transaction, and the loop that does
nothing but produce."""
import os

import plot
from contenders import Loop
from kafka import until
from load import one_row_transactions, one_transaction
from measure import Processes, Sampler, watch_drain

DRAIN_TIMEOUT = 1800


def verify(rig, c):
    """A rate counts only if every row put in is in the topic, once."""
    rows = sum(c.server.sql(f"SELECT count(*) FROM {table}")[0][0] for table in c.tables)
    reader = rig.reader(c, "begin")
    until(lambda: reader.count() >= rows, 600, "all events")
    seen, records = reader.stop()
    if records != rows or len(seen) != rows:
        raise RuntimeError(f"{c.label}: {rows} rows, {records} records, {len(seen)} different")


def drained(rig, c, events):
    """Releases a held contender with "events" in its outbox; what it took.

    The rate is that between the first events seen by read-committed consumers
    and the last: how long a JVM or a worker takes to start is a column of its
    own."""
    end = c.end()
    before = end.total()
    processes = Processes(c.pids)
    broker = [rig.broker_cpu()] * 2

    def looked():
        processes.look()
        broker[1] = rig.broker_cpu()

    with Sampler(processes, 0.05):
        c.release()
        curve = watch_drain(end, before, events, looked, DRAIN_TIMEOUT)
    first, last = curve[0], curve[-1]
    seconds, count = last[0] - first[0], last[1] - first[1]
    row = {"events/s": count / seconds if seconds > 0.2 else events / last[0],
           "first event s": first[0], "all s": last[0],
           "CPU µs/event": processes.total_cpu() / events * 1e6,
           "publisher or Connect µs/event": processes.cpu[c.groups[0]] / events * 1e6,
           "broker µs/event": (broker[1] - broker[0]) / events * 1e6,
           "anonymous MB": processes.total_peak()}
    verify(rig, c)
    return row


def in_turn(contenders, run):
    """Another one begins each time."""
    shift = run % len(contenders)
    return contenders[shift:] + contenders[:shift]


def backlog(rig, c, events):
    try:
        c.start()
        c.hold()
        return drained(rig, c, one_row_transactions(c.server, events))
    finally:
        c.stop()


def large(rig, c, events):
    try:
        c.start()
        c.hold()
        return drained(rig, c, one_transaction(c.server, c.select(), events))
    finally:
        c.stop()


def loop(c, events):
    r = c.run(events)
    return {"events/s": events / r["seconds"], "all s": r["seconds"],
            "CPU µs/event": r["cpu"] / events * 1e6, "broker µs/event": r["broker"] / events * 1e6}


CASES = {"one-row transactions": backlog, "one transaction": large}
LOOP = "ready-made records"


def run(rig, contenders, results):
    o = rig.options
    # Once before, unmeasured: a JVM compiles what it has just begun to use.
    for c in contenders:
        rig.say(f"drain: warming up {c.label}")
        if isinstance(c, Loop):
            loop(c, o.warmup_events)
        else:
            backlog(rig, c, o.warmup_events)
    for i in range(o.runs):
        for c in in_turn(contenders, i):
            if isinstance(c, Loop):
                done = {LOOP: loop(c, o.events)}
            else:
                done = {case: measure(rig, c, o.events) for case, measure in CASES.items()
                        if measure is not large or c.large}
            for case, row in done.items():
                rig.say(f"drain {i + 1}/{o.runs}: {c.label}, {case}: {row['events/s']:,.0f} events/s")
                results.add(contender=c.label, case=case, events=o.events, run=i + 1, **row)


def draw(results, about):
    for case, name in zip(CASES, ("drain", "drain-large")):
        rows = results.medians("events/s", case=case) + results.medians("events/s", case=LOOP)
        plot.bars(os.path.join(results.out, f"{name}.svg"),
                  f"Drain of {rows[0][0]['events']:,} events, {case}", "events/s",
                  [(k["contender"], *v) for k, *v in rows], about)
    rows = results.medians("CPU µs/event", case=next(iter(CASES)))
    rows += results.medians("CPU µs/event", case=LOOP)
    plot.bars(os.path.join(results.out, "cpu.svg"),
              "Processor time per event at full rate, broker excluded", "µs",
              [(k["contender"], *v) for k, *v in rows], about)
