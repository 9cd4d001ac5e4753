"""Where the time goes (profile.sh): one drain, the kernel's accounts of every
thread, and what perf saw on the stack of the publisher's main thread."""
import os
import time

from kafka import until
from load import one_row_transactions
from measure import Processes, threads, watch_drain

# The first whose functions are on the stack has the sample.
STAGES = (
    ("headers", ("mo_envelope_headers", "build_headers", "rd_kafka_headers_new",
                 "rd_kafka_header_add", "rd_kafka_headers_destroy")),
    ("produce", ("mo_producer_produce", "rd_kafka_producev")),
    ("delivery reports", ("mo_producer_service", "take_reports")),
    ("JSON", ("JsonbToCString", "escape_json", "encode_value")),
    ("envelope: key, partition, copies", ("mo_envelope_encode",)),
    ("plan: row, route, place", ("plugin_change", "stream_row", "plugin_begin", "plugin_commit",
                                 "stream_begin", "stream_commit")),
    ("pipeline: calls, state", ("mo_pipeline_advance", "mo_pipeline_submit")),
    ("read WAL", ("XLogReadRecord", "read_page", "XLogReadAhead", "mo_record_peek",
                  "mo_record_is_sound", "mo_foreign_judge")),
    ("decode WAL", ("LogicalDecodingProcessRecord", "ReorderBufferCommit",
                    "ReorderBufferProcessXid", "mo_decode_step", "mo_decode_confirm")),
    ("wait", ("mo_publisher_wait", "WaitEventSetWait")),
)
OTHER = "other"
PERF_S = 180                # unwinding takes a while


def stage(stack):
    return next((name for name, functions in STAGES if any(f in stack for f in functions)), OTHER)


def stages(path):
    """{stage: share} of the samples that perf script printed: a line a frame,
    a blank line after each sample."""
    counts, stack = {}, set()
    with open(path, errors="replace") as f:
        for line in f:
            words = line.split()
            if len(words) > 1:
                stack.add(words[1].split("+")[0].split("@")[0])
            elif not words and stack:
                name = stage(stack)
                counts[name] = counts.get(name, 0) + 1
                stack = set()
    total = sum(counts.values())
    return {name: n / total for name, n in counts.items()}, total


def run(rig, c):
    events = rig.options.events
    stacks = os.path.join(rig.dir, "stacks")
    last = {}
    try:
        c.start()
        c.hold()
        rig.say("profile: filling")
        events = one_row_transactions(c.server, events)
        end = c.end()
        before = end.total()
        processes = Processes(c.pids)
        broker = [rig.broker_cpu()] * 2
        c.release()
        until(lambda: "publisher" in c.pids(), 30, "the publisher")
        publisher = c.pids()["publisher"][0]
        with open(os.path.join(rig.dir, "publisher.pid"), "w") as f:
            f.write(str(publisher))

        def looked():
            processes.look()
            last.update(threads(publisher))
            broker[1] = rig.broker_cpu()
        watch_drain(end, before, events, looked, 1800)
    finally:
        with open(os.path.join(rig.dir, "drained"), "w"):
            pass
        c.stop()
    rig.say("profile: reading stacks")
    deadline = time.monotonic() + PERF_S
    while not os.path.exists(stacks) and time.monotonic() < deadline:
        time.sleep(0.2)
    return events, last, processes, broker[1] - broker[0], stacks


def table(rig, c):
    events, by_thread, processes, broker, stacks = run(rig, c)

    def each(seconds):
        return seconds / events * 1e6

    main = by_thread.pop("main")
    lines = [f"Processor time, {events:,} one-row transactions, {c.label}", "",
             "| | µs per event |", "|---|---|", f"| publisher's main thread | {each(main):.2f} |"]
    shares, samples = stages(stacks) if os.path.exists(stacks) else ({}, 0)
    names = [name for name, _ in STAGES] + [OTHER]
    lines += [f"| … {name} | {each(main) * shares[name]:.2f} |" for name in names if name in shares]
    rest = sorted(by_thread.items(), key=lambda item: -item[1])
    lines += [f"| thread {name} | {each(seconds):.2f} |" for name, seconds in rest
              if each(seconds) >= 0.01]
    lines += [f"| scribe | {each(processes.cpu.get('scribe', 0.0)):.2f} |",
              f"| broker | {each(broker):.2f} |", ""]
    if samples:
        lines.append(f"The main thread's stages are from {samples:,} samples of its stack.")
    else:
        lines.append("perf saw nothing here (see perf.log): no stages within the main thread.")
    return "\n".join(lines) + "\n"
