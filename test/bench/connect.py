"""Kafka Connect, for Debezium: one distributed worker, exactly-once on, driven
through its REST interface on 127.0.0.1."""
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request

from kafka import LOG4J, free_ports, until

WORKER = """\
bootstrap.servers={bootstrap}
group.id=bench-connect
listeners=http://127.0.0.1:{port}
exactly.once.source.support=enabled
key.converter=org.apache.kafka.connect.storage.StringConverter
value.converter=org.apache.kafka.connect.storage.StringConverter
plugin.discovery=only_scan
connector.client.config.override.policy=All
scheduled.rebalance.max.delay.ms=0
config.storage.topic=connect-config
config.storage.replication.factor=1
offset.storage.topic=connect-offsets
offset.storage.replication.factor=1
offset.storage.partitions=5
status.storage.topic=connect-status
status.storage.replication.factor=1
status.storage.partitions=5
"""

# A warning for every measurement that Debezium drops would be its own load.
QUIET = """\
logger.stats.name = io.debezium.metrics.stats
logger.stats.level = error
"""


class Connect:
    def __init__(self, directory, jars, bootstrap, heap):
        self.dir, self.jars, self.bootstrap, self.heap = directory, jars, bootstrap, heap
        self.port = free_ports(1)[0]
        self.log = os.path.join(directory, "connect.log")
        self.process = None

    def start(self):
        if not self.jars or not os.path.isdir(self.jars):
            sys.exit("MO_DEBEZIUM_JARS names no folder: test/bench/run.sh --with-debezium fetches them")
        worker = os.path.join(self.dir, "worker.properties")
        with open(worker, "w") as f:
            f.write(WORKER.format(bootstrap=self.bootstrap, port=self.port))
        log4j = os.path.join(self.dir, "connect-log4j2.properties")
        with open(log4j, "w") as f:
            f.write(LOG4J + QUIET)
        with open(self.log, "a") as log:
            self.process = subprocess.Popen(
                ["java", f"-Xmx{self.heap}", f"-Dlog4j2.configurationFile={log4j}",
                 "-cp", os.path.join(self.jars, "*"),
                 "org.apache.kafka.connect.cli.ConnectDistributed", worker],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        until(lambda: self._listed() is not None, 180, "Kafka Connect")

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def ask(self, method, path, body=None):
        """The answer, or None while there is none."""
        if self.process.poll() is not None:
            raise RuntimeError(f"Kafka Connect ended, see {self.log}")
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=90) as r:
                return json.loads(r.read() or b"{}")
        except urllib.error.HTTPError as e:
            text = e.read().decode(errors="replace")
            # 404, 409: not known yet, or being rebalanced; 503 and 500: starting.
            if e.code in (404, 409, 500, 503):
                return None
            raise RuntimeError(f"{method} {path}: {e.code} {text}") from None
        except (urllib.error.URLError, OSError):
            return None

    def _state(self, name):
        """(connector's, tasks') states."""
        status = self.ask("GET", f"/connectors/{name}/status")
        if status is None:
            return None, []
        for task in status["tasks"]:
            if task["state"] == "FAILED":
                raise RuntimeError(f"Debezium failed: {task['trace'][:3000]}")
        return status["connector"]["state"], [t["state"] for t in status["tasks"]]

    def _listed(self):
        return self.ask("GET", "/connectors")

    def create(self, name, config):
        until(lambda: self.ask("PUT", f"/connectors/{name}/config", config) is not None,
              60, "a connector")
        until(lambda: self._state(name) == ("RUNNING", ["RUNNING"]), 120, "the connector's task")

    def delete(self, name):
        self.ask("DELETE", f"/connectors/{name}")
        def gone():
            listed = self._listed()
            return listed is not None and name not in listed
        until(gone, 60, "the connector's end")

    def stop_connector(self, name):
        until(lambda: self.ask("PUT", f"/connectors/{name}/stop") is not None, 60, "a stop")
        until(lambda: self._state(name) == ("STOPPED", []), 60, "the task's end")

    def resume(self, name):
        """Asks only; the task starts by and by."""
        until(lambda: self.ask("PUT", f"/connectors/{name}/resume") is not None, 60, "a resume")
