"""A PostgreSQL server under the harness's thumb: start, stop, kill, copy, and
arm a fault point."""
import os
import re
import shutil
import signal
import subprocess
import sys
import time

import psycopg

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "lib"))
from kafka import PATIENCE_S, free_ports, until                 # noqa: E402

SETTINGS = """\
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
shared_preload_libraries = 'mesh_outbox'
wal_level = logical
max_connections = 40
max_worker_processes = 24
max_prepared_transactions = 20
max_replication_slots = 10
max_wal_senders = 5
shared_buffers = 64MB
logging_collector = off
log_line_prefix = '%m [%p] %b '
log_min_messages = info
wal_keep_size = 256MB
restart_after_crash = on
mesh_outbox.restart_delay = '100ms'
include_if_exists = 'harness.conf'
include_if_exists = 'fault.conf'
"""


class Server:
    def __init__(self, bindir, directory, name):
        self.bindir, self.name = bindir, name
        self.data = os.path.join(directory, name)
        self.logfile = os.path.join(directory, name + ".log")
        self.port = free_ports(1)[0]

    def run(self, program, *args, check=True):
        r = subprocess.run([os.path.join(self.bindir, program), *args],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True)
        if check and r.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(args)}:\n{r.stdout}")
        return r

    def init(self):
        self.run("initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
                 "--locale=C", "--no-sync")
        self.write("postgresql.conf", SETTINGS, "a")
        self.set_port()

    def set_port(self):
        self.write("harness.conf", f"port = {self.port}\n")

    def write(self, name, text, mode="w"):
        with open(os.path.join(self.data, name), mode) as f:
            f.write(text)

    def read(self, name):
        with open(os.path.join(self.data, name)) as f:
            return f.read()

    # ---- life and death

    def start(self):
        """Tries again while the last crash's shared memory is still attached."""
        def up():
            with open(self.logfile, "a") as log:
                r = subprocess.run([os.path.join(self.bindir, "pg_ctl"), "-c", "-D", self.data, "-w",
                                    "-t", str(PATIENCE_S), "start"], stdin=subprocess.DEVNULL,
                                   stdout=log, stderr=log)
            return r.returncode == 0
        until(up, PATIENCE_S, f"start of {self.name}")

    def stop(self, mode="fast"):
        started = time.monotonic()
        self.run("pg_ctl", "-D", self.data, "-m", mode, "-w", "-t", str(PATIENCE_S), "stop")
        return time.monotonic() - started

    def postmaster(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as f:
                pid = int(f.readline())
            os.kill(pid, 0)
            return pid
        except (OSError, ValueError):
            return None

    def kill(self):
        """SIGKILL the postmaster; its children notice by themselves.  It is
        stopped first, so that none is born after they are counted."""
        pid = self.postmaster()
        os.kill(pid, signal.SIGSTOP)
        until(lambda: state(pid) == "T", PATIENCE_S, f"{self.name} to stop")
        children = self.children(pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not any(map(alive, [pid] + children)), PATIENCE_S,
              f"end of {self.name}'s orphans")

    @staticmethod
    def children(pid):
        with open(f"/proc/{pid}/task/{pid}/children") as f:
            return [int(p) for p in f.read().split()]

    def worker(self, kind):
        """Pid of our "publisher" or "scribe" process, or None."""
        pm = self.postmaster()
        if pm is None:
            return None
        for pid in self.children(pm):
            try:
                with open(f"/proc/{pid}/cmdline") as f:
                    title = f.read()
            except OSError:
                continue
            if "mesh_outbox" in title and re.search(rf"\b{kind}\b", title):
                return pid
        return None

    def kill_worker(self, kind, sig=signal.SIGKILL):
        def signalled():
            pid = self.worker(kind)
            try:
                if pid is not None:
                    os.kill(pid, sig)
                return pid
            except ProcessLookupError:
                return None             # it ended just now; another one comes
        return until(signalled, PATIENCE_S, f"a {kind}")

    def connect(self, **kwargs):
        return psycopg.connect(host="127.0.0.1", port=self.port, user="postgres",
                               dbname="postgres", connect_timeout=60, autocommit=True, **kwargs)

    def accepts(self):
        try:
            self.connect().close()
            return True
        except psycopg.Error:
            return False

    def wait_up(self):
        until(self.accepts, PATIENCE_S, f"{self.name} to accept connections")

    def sql(self, query, *args):
        """One statement on a connection of its own; rows, if it has any."""
        with self.connect() as c:
            cur = c.execute(query, args or None)
            return cur.fetchall() if cur.description else None

    def copy(self, other):
        """The other server gets a copy of this one's files, slots included;
        this one must be down."""
        shutil.copytree(self.data, other.data)
        for name in ("postmaster.pid", "postmaster.opts"):
            path = os.path.join(other.data, name)
            if os.path.exists(path):
                os.unlink(path)
        other.set_port()

    # ---- faults and logs

    def reload(self):
        pid = self.postmaster()
        if pid is not None:
            os.kill(pid, signal.SIGHUP)

    def fault(self, text):
        """Arm a fault point ("name:action[:count]"), or disarm with ""."""
        self.write("fault.conf", f"mesh_outbox.fault = '{text}'\n")
        self.reload()

    def log_position(self):
        try:
            return os.path.getsize(self.logfile)
        except OSError:
            return 0

    def log_since(self, position):
        with open(self.logfile, errors="replace") as f:
            f.seek(position)
            return f.read()

    def wait_log(self, pattern, position, seconds=PATIENCE_S):
        until(lambda: re.search(pattern, self.log_since(position)), seconds,
              f"{pattern!r} in {self.name}'s log")


def state(pid):
    """As Linux names it; X for one that is gone."""
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rsplit(")", 1)[1].split()[0]
    except OSError:
        return "X"


def alive(pid):
    return state(pid) not in "ZX"
