"""What is measured, from the outside: processor time and memory of processes,
the end of a topic as read-committed consumers see it, and when each event got
to one."""
import os
import subprocess
import threading
import time

from confluent_kafka import IsolationLevel, TopicPartition
from confluent_kafka.admin import OffsetSpec

TICKS = os.sysconf("SC_CLK_TCK")
SETTLED_S = 1.0             # a drain has ended when nothing came for so long


def cpu_seconds(pid):
    """Of all threads, ended ones too."""
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def anonymous_mb(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(next(x for x in f if x.startswith("RssAnon")).split()[1]) / 1024


def wakeups(pid):
    """How often its threads have waited, so far."""
    total = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/status") as f:
            total += int(next(x for x in f if x.startswith("voluntary_ctxt")).split()[1])
    return total


def threads(pid):
    """Processor time by thread name; the main thread is "main"."""
    seconds = {}
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/comm") as f:
            name = "main" if task == str(pid) else f.read().strip()
        with open(f"/proc/{pid}/task/{task}/schedstat") as f:
            seconds[name] = seconds.get(name, 0.0) + int(f.read().split()[0]) / 1e9
    return seconds


class Processes:
    """Groups of processes, {name: [pid]}: processor time and memory since
    some moment.  A process that began later counts from its own beginning."""

    def __init__(self, groups):
        self.cpu = {}
        self.peak = {}
        self.find = groups
        self.first = {pid: cpu_seconds(pid) for pids in groups().values() for pid in pids}

    def look(self):
        for name, pids in self.find().items():
            try:
                self.cpu[name] = sum(cpu_seconds(p) - self.first.get(p, 0.0) for p in pids)
                self.peak[name] = max(self.peak.get(name, 0.0), sum(map(anonymous_mb, pids)))
            except (OSError, StopIteration):
                continue            # it ended just now; the last look stands

    def total_cpu(self):
        return sum(self.cpu.values())

    def total_peak(self):
        """Of groups: each one's own highest, whenever that was."""
        return sum(self.peak.values())


class Sampler:
    """Looks at processes until stopped, for their highest memory."""

    def __init__(self, processes, interval=0.2):
        self.processes, self.interval = processes, interval
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while not self.end.wait(self.interval):
            self.processes.look()

    def __enter__(self):
        self.processes.look()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        self.thread.join()
        self.processes.look()


class TopicEnd:
    """Last stable offsets of a topic, summed up: what read-committed consumers
    can see.  Counts end markers of transactions, too."""

    def __init__(self, admin, topic, partitions):
        self.admin = admin
        self.wanted = {TopicPartition(topic, p): OffsetSpec.latest() for p in range(partitions)}

    def offsets(self):
        got = self.admin.list_offsets(self.wanted, isolation_level=IsolationLevel.READ_COMMITTED,
                                      request_timeout=20)
        return {tp.partition: f.result().offset for tp, f in got.items()}

    def total(self):
        return sum(self.offsets().values())


def settle(end, timeout=180):
    """Waits until nothing more comes."""
    started = changed = time.monotonic()
    last = end.total()
    while time.monotonic() - changed < SETTLED_S:
        time.sleep(0.1)
        now = end.total()
        if now != last:
            last, changed = now, time.monotonic()
        if time.monotonic() - started > timeout:
            raise TimeoutError(f"events still come after {timeout} s")


def watch_drain(end, before, events, looked, timeout, interval=0.05):
    """Follows the topic from "before" until "events" more are there and
    nothing has come for a while.  Returns [(seconds, events)] from the first
    one seen; "looked" is called whenever something has come, so that what it
    measures ends with the last event."""
    started = changed = time.monotonic()
    curve = []
    while True:
        now = time.monotonic()
        count = end.total() - before
        if count > (curve[-1][1] if curve else 0):
            looked()
            curve.append((now - started, count))
            changed = now
        if curve and curve[-1][1] >= events and now - changed > SETTLED_S:
            return curve
        if now - started > timeout:
            raise TimeoutError(f"{curve[-1][1] if curve else 0} of {events} events"
                               f" in {timeout} s")
        time.sleep(interval)


class Reader:
    """A read-committed consumer (stage.c) that notes when each event came."""
    LINE = 36 + 1 + 16 + 1

    def __init__(self, stage, bootstrap, topic, partitions, header, path, place):
        self.path = path
        self.process = subprocess.Popen(
            [stage, "read", bootstrap, topic, str(partitions), header, path, place],
            stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "ready\n":
            raise RuntimeError("the reader did not start")

    def count(self):
        return os.path.getsize(self.path) // self.LINE

    def stop(self):
        """{event id: seconds since 1970}, and how many records there were."""
        self.process.terminate()
        if self.process.wait(60) != 0:
            raise RuntimeError("the reader failed")
        seen, records = {}, 0
        with open(self.path) as f:
            for line in f:
                seen.setdefault(line[:36], int(line[37:]) / 1e6)
                records += 1
        os.unlink(self.path)
        return seen, records
