"""The highest anonymous memory: at steady rates, with one transaction of many
rows, with one of wide rows."""
import os

import plot
from drain import drained, in_turn
from latency import under_load
from load import PAYLOAD, WIDE, WIDE_BYTES, one_transaction, prepare_wide, steady
from measure import settle


def many_rows(rig, c):
    c.hold()
    return drained(rig, c, one_transaction(c.server, c.select(PAYLOAD), rig.options.events))


def wide_rows(rig, c):
    prepare_wide(c.server)
    c.hold()
    rows = max(1, rig.options.wide_mb * 1_000_000 // WIDE_BYTES)
    return drained(rig, c, one_transaction(c.server, c.select(WIDE), rows))


def cases(rig):
    """{what: function}"""
    o = rig.options
    found = {}
    for rate in o.rates:
        if rate:
            found[f"{rate:,} events/s"] = lambda rig, c, rate=rate: under_load(
                rig, c, rate, o.seconds)
    found[f"one transaction, {o.events:,} rows"] = many_rows
    found[f"one transaction, {o.wide_mb:,} MB in rows of {WIDE_BYTES // 1000} kB"] = wide_rows
    return found


def run(rig, contenders, results):
    o = rig.options
    for i in range(o.runs):
        for c in in_turn(contenders, i):
            for case, function in cases(rig).items():
                try:
                    c.start()
                    steady(c.server, c.steady(), 1000, 2, rig.dir)
                    settle(c.end())
                    row = function(rig, c)
                finally:
                    c.stop()
                rig.say(f"memory {i + 1}/{o.runs}: {c.label}, {case}:"
                        f" {row['anonymous MB']:.0f} MB")
                results.add(contender=c.label, case=case, run=i + 1,
                            **{"anonymous MB": row["anonymous MB"], "events/s": row["events/s"]})


def draw(results, about):
    for i, case in enumerate(dict.fromkeys(r["case"] for r in results.rows)):
        rows = results.medians("anonymous MB", case=case)
        plot.bars(os.path.join(results.out, f"memory-{i + 1}.svg"),
                  f"Highest anonymous memory, {case}", "MB",
                  [(k["contender"], *v) for k, *v in rows], about)
