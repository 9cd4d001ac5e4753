#!/usr/bin/env python3
"""Hostile schemas and documents: an answer or a clear error, never a hang.

  hostile.py CONNINFO

Each case is run in a session of its own with a limit of processor time and of
the backend's memory; the clock only ends what hangs, for how long an answer
takes is also a matter of what else runs here.  A case says which outcomes are
right: a value, or an SQLSTATE.  Cases of the second list run for ever if they
may, and must be cancelled at once by statement_timeout.
"""
import sys

import psycopg

TOO_DEEP = "54001"      # statement_too_complex: also the pattern limits
INVALID = "22023"       # invalid_parameter_value: a refused schema
OUT_OF_RANGE = "22003"
CANCELLED = "57014"
LIMIT_EXCEEDED = "54000"

VALID = "SELECT mesh_outbox.is_valid((%s)::jsonb, (%s)::jsonb)"
LIST = ("SELECT count(*) > 0 FROM mesh_outbox.schema_violations((%s)::jsonb, "
        "(%s)::jsonb)")


def nest(opening, inner, closing, depth):
    return "repeat('%s', %d) || '%s' || repeat('%s', %d)" % (
        opening, depth, inner, closing, depth)


HANGS = 600             # seconds, of the clock

# name, statement, outcomes, seconds, megabytes
CASES = [
    ("document nested 100,000 deep",
     VALID % ("'true'", nest("[", "1", "]", 100000)), {TOO_DEEP}, 2, 100),
    ("document nested 6,000 deep under a recursive schema",
     VALID % ("'{\"items\": {\"$ref\": \"#\"}}'", nest("[", "1", "]", 6000)),
     {True, TOO_DEEP}, 2, 100),
    ("the same, listing violations",
     LIST % ("'{\"items\": {\"$ref\": \"#\"}, \"not\": {\"const\": 1}}'",
             nest("[", "1", "]", 5000)), {True, TOO_DEEP}, 2, 100),
    ("schema nested 3,000 deep in not",
     VALID % (nest('{"not":', "true", "}", 3000), "'1'"),
     {True, False, TOO_DEEP, LIMIT_EXCEEDED}, 2, 100),
    ("schema nested 100,000 deep in items",
     VALID % (nest('{"items":', "true", "}", 100000), "'1'"),
     {TOO_DEEP}, 2, 100),
    ("document of 100 MB", VALID % (
        "'{\"items\": {\"type\": \"object\", \"required\": [\"a\"]}}'",
        "SELECT jsonb_agg(jsonb_build_object('a', i, 'b', repeat('x', 80))) "
        "FROM generate_series(1, 900000) i"), {True}, 30, 1500),
    ("document of 100 MB under tracking", VALID % (
        "'{\"items\": {\"allOf\": [{\"properties\": {\"a\": {}, \"b\": {}}}], "
        "\"unevaluatedProperties\": false}}'",
        "SELECT jsonb_agg(jsonb_build_object('a', i, 'b', repeat('x', 80))) "
        "FROM generate_series(1, 900000) i"), {True}, 30, 1500),
    ("oneOf of 10,000 branches", LIST % (
        "SELECT jsonb_build_object('oneOf', jsonb_agg(jsonb_build_object("
        "'required', jsonb_build_array('p' || i)))) "
        "FROM generate_series(1, 10000) i", "'{}'"), {True}, 5, 200),
    ("reference to itself", VALID % ("'{\"$ref\": \"#\"}'", "'1'"),
     {INVALID}, 1, 50),
    ("references in a circle of 1,000", VALID % (
        "SELECT jsonb_build_object('$ref', '#/$defs/d0', '$defs', "
        "jsonb_object_agg('d' || i, jsonb_build_object('$ref', '#/$defs/d' || "
        "(i + 1) % 1000))) FROM generate_series(0, 999) i", "'1'"),
     {INVALID, TOO_DEEP}, 2, 100),
    ("circle through a dynamic reference", VALID % (
        "'{\"$id\": \"http://x/a\", \"$dynamicAnchor\": \"n\", \"$ref\": \"b\", "
        "\"$defs\": {\"b\": {\"$id\": \"b\", \"$dynamicRef\": \"#n\", "
        "\"$defs\": {\"n\": {\"$dynamicAnchor\": \"n\"}}}}}'", "'1'"),
     {INVALID, LIMIT_EXCEEDED}, 2, 100),
    ("exponential pattern", VALID % (
        "'{\"pattern\": \"^(a+)+$\"}'",
        "to_jsonb(repeat('a', 100) || 'b')"), {TOO_DEEP}, 2, 100),
    ("exponential pattern over names", VALID % (
        "'{\"patternProperties\": {\"^(a|aa)+$\": false}}'",
        "jsonb_build_object(repeat('a', 100) || 'b', 1)"), {TOO_DEEP}, 2, 100),
    ("pattern that needs the square of a long string", VALID % (
        "'{\"pattern\": \"(?:a|x)*[bc]\"}'",
        "to_jsonb(repeat('a', 3000000))"), {TOO_DEEP, False}, 5, 200),
    ("pattern that is a bomb to compile", VALID % (
        "'{\"pattern\": \"((a{1,60000}){1,60000}){1,60000}\"}'", "'1'"),
     {INVALID}, 2, 100),
    ("pattern of 10,000 groups", VALID % (
        "jsonb_build_object('pattern', repeat('(', 10000) || repeat(')', 10000))",
        "'1'"), {INVALID}, 2, 100),
    ("pattern of 1 MB", VALID % (
        "jsonb_build_object('pattern', repeat('[a-z]', 200000))", "'1'"),
     {True, INVALID}, 5, 300),
    ("number 1e1000000", VALID % ("'{}'", "'1e1000000'"), {OUT_OF_RANGE}, 1,
     50),
    ("number 1e131071 under multipleOf", VALID % (
        "'{\"multipleOf\": 0.01}'", "'1e131071'"), {True}, 1, 50),
    ("long number under a long multipleOf", VALID % (
        "jsonb_build_object('multipleOf', (repeat('7', 300))::numeric)",
        "to_jsonb((repeat('3', 100000))::numeric)"), {True, False}, 3, 50),
    ("limits beyond all counting", VALID % (
        "'{\"minLength\": 1e300, \"maxItems\": 1e300, \"minItems\": 4294967296}'",
        "'\"x\"'"), {False}, 1, 50),
    ("empty enum", VALID % ("'{\"enum\": []}'", "'1'"), {False}, 1, 50),
    ("enum of 300,000 values", VALID % (
        "SELECT jsonb_build_object('enum', jsonb_agg(i)) "
        "FROM generate_series(1, 300000) i", "'300000'"), {True}, 5, 400),
    ("required of 100,000 names", LIST % (
        "SELECT jsonb_build_object('required', jsonb_agg('n' || i)) "
        "FROM generate_series(1, 100000) i", "'{}'"), {True}, 5, 400),
    ("uniqueItems over 500,000 items", VALID % (
        "'{\"uniqueItems\": true}'",
        "SELECT jsonb_agg(i) FROM generate_series(1, 500000) i"), {True}, 10,
     600),
    ("object of 200,000 unknown names", LIST % (
        "'{\"properties\": {\"a\": true}, \"additionalProperties\": false}'",
        "SELECT jsonb_object_agg('k' || i, i) FROM generate_series(1, 200000) i"),
     {True}, 10, 500),
    ("50,000 references", VALID % (
        "SELECT jsonb_build_object('$defs', '{\"a\": true}'::jsonb, 'allOf', "
        "jsonb_agg('{\"$ref\": \"#/$defs/a\"}'::jsonb)) "
        "FROM generate_series(1, 50000) i", "'1'"), {True}, 5, 400),
    ("20,000 resources", VALID % (
        "SELECT jsonb_build_object('$defs', jsonb_object_agg('d' || i, "
        "jsonb_build_object('$id', 'http://x/' || i)), '$ref', 'http://x/7') "
        "FROM generate_series(1, 20000) i", "'1'"), {True}, 10, 400),
    ("IRI of 1 MB", VALID % (
        "'{\"format\": \"iri\"}'", "to_jsonb('http://x/' || repeat('é', 500000))"),
     {True}, 2, 200),
    ("host name of 1 MB", VALID % (
        "'{\"format\": \"idn-hostname\"}'", "to_jsonb(repeat('é.', 300000))"),
     {False}, 2, 200),
]

# Doubling at each level: 2^60 applications of a schema, unless cancelled.
DOUBLING = (
    "SELECT jsonb_build_object('$ref', '#/$defs/d0', '$defs', jsonb_object_agg("
    "'d' || i, CASE WHEN i < 60 THEN jsonb_build_object('%s', jsonb_build_array("
    "jsonb_build_object('$ref', '#/$defs/d' || i + 1), "
    "jsonb_build_object('$ref', '#/$defs/d' || i + 1))) ELSE '%s'::jsonb END)) "
    "FROM generate_series(0, 60) i")
ENDLESS = [
    ("2^60 schemas in allOf",
     VALID % (DOUBLING % ("allOf", '{"type": "object"}'), "'{}'")),
    ("2^60 schemas in anyOf",
     VALID % (DOUBLING % ("anyOf", '{"minProperties": 1}'), "'{}'")),
    ("2^60 schemas over a scalar",
     VALID % (DOUBLING % ("allOf", '{"minimum": 1}'), "'1'")),
    ("2^60 schemas, looking for undeclared names",
     "SELECT count(*) FROM mesh_outbox.check_schema((SELECT (s || "
     "'{\"required\": [\"q\"]}')::json FROM (%s) t(s)), true)" %
     (DOUBLING % ("allOf", '{"type": "object"}'))),
    ("2^60 schemas, listing violations",
     LIST % (DOUBLING % ("oneOf", '{"type": "integer"}'), "'{}'")),
]


def run(conninfo, statement, timeout):
    """(outcome, seconds of processor time, megabytes of growth)"""
    with psycopg.connect(conninfo, autocommit=True) as connection:
        pid = connection.info.backend_pid
        before = peak_memory(pid)
        connection.execute("SET statement_timeout = %d" % (timeout * 1000))
        start = processor_time(pid)
        try:
            outcome = connection.execute(statement).fetchone()[0]
        except psycopg.OperationalError as e:
            outcome = e.sqlstate or "connection lost: " + str(e)
        except psycopg.Error as e:
            outcome = e.sqlstate
        if connection.closed:
            return outcome, 0, 0
        return outcome, processor_time(pid) - start, peak_memory(pid) - before


def processor_time(pid):
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


def peak_memory(pid):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) / 1024
    raise RuntimeError("no VmHWM in /proc/%d/status" % pid)


def main():
    passed = failed = 0
    rows = [(name, sql, outcomes, seconds, mb, HANGS)
            for name, sql, outcomes, seconds, mb in CASES]
    rows += [(name, sql, {CANCELLED}, 1, 200, 0.3) for name, sql in ENDLESS]
    for name, sql, outcomes, limit, memory, timeout in rows:
        outcome, seconds, grown = run(sys.argv[1], sql, timeout)
        good = outcome in outcomes and seconds <= limit + 1 and grown <= memory
        passed += good
        failed += not good
        print("%-52s %-8s %6.2f s %6.0f MB%s" % (
            name, outcome, seconds, grown,
            "" if good else "  FAILED: wanted %s in %s s and %d MB" % (
                sorted(map(str, outcomes)), limit, memory)))
    print("%d passed, %d failed" % (passed, failed))
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
