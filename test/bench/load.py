"""What is put into an outbox: a backlog, large transactions, a steady rate."""
import os
import subprocess
import threading

# 330 bytes as JSON text, with a number of nine digits.
PAYLOAD = ("jsonb_build_object('id', {id}::text, 'customer', 'customer-' || {id} % 1000,"
           " 'amount', {id} % 10000 / 100.0, 'currency', 'EUR', 'note', repeat('n', 220))")
SCHEMA = """{"type": "object", "properties": {
 "id": {"type": "string"}, "customer": {"type": "string"}, "amount": {"type": "number"},
 "currency": {"enum": ["EUR", "USD"]}, "note": {"type": "string"}},
 "required": ["id", "customer", "amount", "currency"]}"""
# The most transactions a second: beyond, they get more rows.
MAX_TRANSACTIONS = 2000
# A row of about half a megabyte, hardly compressible.
WIDE_BYTES = 512_000
WIDE = ("jsonb_build_object('id', {id}::text, 'customer', 'c', 'amount', 1, 'currency', 'EUR',"
        f" 'note', (SELECT substr(note, {{id}}::int % 3000 + 1, {WIDE_BYTES}) FROM bench.wide))")
JOBS = 4


def procedure(insert):
    """bench.fill(n, base): n one-row transactions.  "insert" is the statement,
    which may use the variable i."""
    return f"""CREATE OR REPLACE PROCEDURE bench.fill(n int, base int) LANGUAGE plpgsql AS $$
        BEGIN
            FOR i IN base + 1 .. base + n LOOP
                {insert};
                COMMIT;
            END LOOP;
        END $$"""


def one_row_transactions(server, events):
    """A backlog; returns how many there are (a multiple of the sessions)."""
    errors = []

    def fill(job):
        try:
            with server.connect() as c:
                c.execute("SET synchronous_commit = off")
                c.execute(f"CALL bench.fill({events // JOBS}, {(job + 1) * 10 ** 8})")
        except Exception as e:                      # noqa: BLE001: for the caller
            errors.append(e)
    jobs = [threading.Thread(target=fill, args=(i,)) for i in range(JOBS)]
    for j in jobs:
        j.start()
    for j in jobs:
        j.join()
    if errors:
        raise errors[0]
    server.sql("CHECKPOINT")
    return events // JOBS * JOBS


def prepare_wide(server):
    server.sql("CREATE TABLE bench.wide AS SELECT string_agg(md5(n::text), '') AS note"
               f" FROM generate_series(1, {(WIDE_BYTES + 3000) // 32 + 1}) n")


def one_transaction(server, insert_select, rows):
    server.sql(insert_select.format(rows=rows))
    server.sql("CHECKPOINT")
    return rows


def shape(rate):
    """(transactions a second, rows in each)"""
    rows = max(1, -(-rate // MAX_TRANSACTIONS))
    return rate // rows, rows


class Steady:
    """pgbench at a rate, in the background."""

    def __init__(self, server, insert, rate, seconds, directory):
        """"insert" is a statement that uses :id and :rows."""
        transactions, rows = shape(rate)
        script = os.path.join(directory, "steady.sql")
        with open(script, "w") as f:
            f.write(f"\\set id random(1, 1000000000)\n\\set rows {rows}\n{insert};\n")
        self.process = subprocess.Popen(
            [os.path.join(server.bindir, "pgbench"), "-n", "-M", "prepared", "-f", script,
             "-c", "8", "-j", "1", "-R", str(transactions), "-T", str(seconds),
             "-h", "127.0.0.1", "-p", str(server.port), "-U", "postgres", "postgres"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    def wait(self):
        _, err = self.process.communicate()
        if self.process.returncode != 0:
            raise RuntimeError(f"pgbench: {err}")


def steady(*args):
    Steady(*args).wait()
