#!/usr/bin/env python3
"""What validation alone costs: is_valid on stored rows, net of the scan.

  validate.py CONNINFO

Interleaved runs of the same statement with and without is_valid; the figure
is the difference of the medians of the backend's time on the CPU, which other
work on the machine disturbs less than the clock.  The same documents are given to
jsonschema-rs and jsonschema as Python objects that are parsed already: no
jsonb, no scan, no server.
"""
import json
import statistics
import sys
import time

import jsonschema
import jsonschema_rs
import psycopg

ROWS = 200000
RUNS = 7

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["order_id", "order_number", "customer_id", "placed_at",
                 "currency", "total", "lines"],
    "properties": {
        "order_id": {"type": "string", "format": "uuid"},
        "order_number": {"type": "string", "pattern": "^SO-[0-9]{6}$"},
        "customer_id": {"type": "string", "format": "uuid"},
        "placed_at": {"type": "string", "format": "date-time"},
        "currency": {"enum": ["EUR", "USD", "GBP", "CHF"]},
        "channel": {"enum": ["web", "app", "store"]},
        "total": {"type": "number", "minimum": 0},
        "vat": {"type": "number", "minimum": 0, "maximum": 100},
        "paid": {"type": "boolean"},
        "discount_code": {"type": "string", "maxLength": 20},
        "note": {"type": "string", "maxLength": 500},
        "tags": {"type": "array", "items": {"type": "string"}},
        "shipping": {
            "type": "object", "required": ["city", "country"],
            "properties": {
                "city": {"type": "string", "minLength": 1, "maxLength": 80},
                "zip": {"type": "string", "maxLength": 12},
                "country": {"type": "string", "minLength": 2,
                            "maxLength": 2}}},
        "billing": {
            "type": "object",
            "properties": {"city": {"type": "string"},
                           "country": {"type": "string"}}},
        "lines": {
            "type": "array", "minItems": 1, "maxItems": 100,
            "items": {
                "type": "object", "required": ["sku", "qty", "price"],
                "properties": {
                    "sku": {"type": "string", "minLength": 1,
                            "maxLength": 40},
                    "qty": {"type": "integer", "minimum": 1},
                    "price": {"type": "number", "minimum": 0}}}}},
}


def event(i, lines=1):
    return {
        "order_id": "0191d2c4-7c1e-7b3a-9f1e-%012d" % i,
        "order_number": "SO-%06d" % (i % 1000000),
        "customer_id": "1b4e28ba-2fa1-11d2-883f-0016d3cca427",
        "placed_at": "2026-10-21T10:00:%02dZ" % (i % 60),
        "currency": "EUR", "channel": "web", "total": i % 1000,
        "shipping": {"city": "Vienna", "country": "AT"},
        "lines": [{"sku": "A-1", "qty": 2, "price": 10.5}] * lines}


def on_cpu(connection):
    with open("/proc/%d/schedstat" % connection.info.backend_pid) as f:
        return int(f.read().split()[0]) / 1e9


def timed(connection, statement):
    start = on_cpu(connection)
    connection.execute(statement).fetchall()
    return on_cpu(connection) - start


def net(connection, with_check, without):
    """Median seconds of the two statements, run in turns."""
    pairs = [(timed(connection, with_check), timed(connection, without))
             for _ in range(RUNS)]
    return (statistics.median(p[0] for p in pairs),
            statistics.median(p[1] for p in pairs))


def fill(connection, lines=1, rows=ROWS):
    connection.execute("DROP TABLE IF EXISTS validate_bench")
    connection.execute("CREATE TABLE validate_bench (payload jsonb)")
    with connection.cursor().copy(
            "COPY validate_bench FROM STDIN") as copy:
        for i in range(rows):
            copy.write_row([json.dumps(event(i, lines))])
    connection.execute("VACUUM ANALYZE validate_bench")


def rate(connection, rows):
    check = ("SELECT count(*) FROM validate_bench "
             "WHERE mesh_outbox.is_valid('%s', payload)" %
             json.dumps(SCHEMA).replace("'", "''"))
    scan = "SELECT count(*) FROM validate_bench WHERE payload IS NOT NULL"
    with_check, without = net(connection, check, scan)
    return rows / (with_check - without), with_check, without


def compile_time(connection):
    """A schema of about 400 kB: is_valid over one row compiles it."""
    part = {k: v for k, v in SCHEMA.items() if k != "$schema"}
    big = {"properties": {"p%d" % i: part for i in range(270)}}
    text = json.dumps(big)
    statement = ("SELECT mesh_outbox.is_valid('%s', '{}')" %
                 text.replace("'", "''"))
    parse = "SELECT '%s'::jsonb IS NULL" % text.replace("'", "''")
    whole, parsing = net(connection, statement, parse)
    return len(text), whole - parsing


def others():
    documents = [event(i) for i in range(20000)]
    rust = jsonschema_rs.validator_for(SCHEMA, validate_formats=True)
    start = time.process_time()
    assert all(rust.is_valid(d) for d in documents)
    rust_rate = len(documents) / (time.process_time() - start)
    python = jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.FormatChecker())
    start = time.process_time()
    assert all(python.is_valid(d) for d in documents[:2000])
    return rust_rate, 2000 / (time.process_time() - start)


def main():
    with psycopg.connect(sys.argv[1], autocommit=True) as connection:
        connection.execute("SET max_parallel_workers_per_gather = 0")
        connection.execute("SET jit = off")
        fill(connection)
        per_second, with_check, without = rate(connection, ROWS)
        size = connection.execute(
            "SELECT avg(length(payload::text)) FROM validate_bench"
        ).fetchone()[0]
        print("is_valid, %d rows of %d bytes: %.0f events/s net of the scan "
              "(%.3f s with, %.3f s without)" % (
                  ROWS, size, per_second, with_check, without))
        rust, python = others()
        print("jsonschema-rs from Python, parsed documents: %.0f/s" % rust)
        print("jsonschema from Python, parsed documents: %.0f/s" % python)
        length, seconds = compile_time(connection)
        print("compiling a schema of %d bytes: %.1f ms" % (
            length, seconds * 1000))
        for lines in (1, 10, 100):
            rows = ROWS // (10 * max(1, lines // 10))
            fill(connection, lines, rows)
            per_second, _, _ = rate(connection, rows)
            print("events with %3d lines: %.0f/s, %.0f lines/s" % (
                lines, per_second, per_second * lines))
        connection.execute("DROP TABLE validate_bench")


if __name__ == "__main__":
    main()
