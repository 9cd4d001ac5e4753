"""Cost per event and time to the first event with ever more outboxes,
contracts, backlog.  The publisher's only: what more contracts cost the one who
inserts, insert.sh tells."""
import os

import plot
from drain import drained
from load import PAYLOAD, one_row_transactions, procedure

OUTBOXES = (1, 10, 100, 1000)
CONTRACTS = (1, 100, 10_000)


def outboxes(rig, c, count):
    """Events go round all of them."""
    with c.server.connect() as connection:
        for i in range(count):
            connection.execute(f"SELECT mesh_outbox.create_outbox('bench.o{i}',"
                               " product => 'bench.orders')")
            c.tables.append(f"bench.o{i}")
    c.server.sql(procedure(
        f"EXECUTE format('INSERT INTO bench.o%s (event_type, payload) VALUES (''OrderPlaced'', $1)',"
        f" i % {count}) USING {PAYLOAD.format(id='i')}"))
    return rig.options.growth_events


def contracts(rig, c, count):
    """The same contract under ever more names, behind propose_contract()'s
    back: ten thousand proposals would be measured too."""
    columns = [row[0] for row in c.server.sql(
        "SELECT attname FROM pg_attribute WHERE attrelid = 'mesh_outbox.contract'::regclass"
        " AND attnum > 0 AND NOT attisdropped AND attgenerated = ''")]
    other = {"event_type": "'E' || i", "contract_id": "1000000 + i"}
    c.server.sql(
        f"INSERT INTO mesh_outbox.contract ({', '.join(columns)})"
        f" SELECT {', '.join(other.get(name, 'c.' + name) for name in columns)}"
        f" FROM mesh_outbox.contract c, generate_series(0, {count - 1}) i"
        " WHERE c.event_type = 'OrderPlaced'")
    c.server.sql(procedure("INSERT INTO bench.outbox (event_type, payload)"
                           f" VALUES ('E' || i % {count}, {PAYLOAD.format(id='i')})"))
    return rig.options.growth_events


def backlog(rig, c, count):
    return count


def cases(rig):
    return ([("outboxes", outboxes, n) for n in OUTBOXES]
            + [("contracts", contracts, n) for n in CONTRACTS]
            + [("backlog", backlog, n) for n in rig.options.backlogs])


def run(rig, contenders, results):
    o = rig.options
    for i in range(o.runs):
        for c in contenders:
            for case, prepare, count in cases(rig):
                try:
                    c.start()
                    events = prepare(rig, c, count)
                    c.hold()
                    row = drained(rig, c, one_row_transactions(c.server, events))
                finally:
                    c.stop()
                rig.say(f"growth {i + 1}/{o.runs}: {count:,} {case}:"
                        f" {row['CPU µs/event']:.2f} µs/event,"
                        f" first event after {row['first event s']:.2f} s")
                results.add(case=case, count=count, events=events, run=i + 1, **{
                    n: row[n] for n in ("CPU µs/event", "events/s", "first event s",
                                        "anonymous MB")})


def draw(results, about):
    series = {}
    for key, *values in results.medians("CPU µs/event"):
        series.setdefault(key["case"], []).append((key["count"], *values))
    plot.lines(os.path.join(results.out, "growth.svg"),
               "Processor time per event of publisher and scribe", "how many", "µs",
               series, about, log_y=False)
