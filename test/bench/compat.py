#!/usr/bin/env python3
"""Times is_subschema and check_compatibility; see compat.sh.

    compat.py CONNECTION [CORPUS]

Times are the server's own (clock_timestamp around the call), so neither psql
nor parsing the statement counts; compiling the schemas does.
"""
import json
import pathlib
import subprocess
import sys


def literal(value):
    return "'" + json.dumps(value, ensure_ascii=True).replace("'", "''") + "'::jsonb"


def contract(fields, extra=0, changed=False):
    """A realistic contract: formats, enums, nested objects, an array."""
    kinds = [
        {"type": "string", "format": "uuid"}, {"type": "integer", "minimum": 0},
        {"type": "string", "maxLength": 80}, {"enum": ["new", "paid", "sent", "lost"]},
        {"type": "string", "format": "date-time"}, {"type": "number", "multipleOf": 0.01},
        {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}, {"type": ["string", "null"]},
        {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string"}}, "required": ["id"]},
        {"type": "array", "items": {"type": "object", "properties": {"sku": {"type": "string"}, "qty": {"type": "integer"}},
                                    "required": ["sku"]}, "minItems": 1},
    ]
    properties = {"field_%02d" % i: kinds[i % len(kinds)] for i in range(fields)}
    for i in range(extra):
        properties["extra_%02d" % i] = {"type": "string"}
    if changed:
        properties["field_00"] = {"type": "integer"}
    return {"type": "object", "properties": properties,
            "required": ["field_%02d" % i for i in range(0, fields, 3)]}


def large(kilobytes, changed):
    """One definition after the other, each used by the next."""
    defs = {}
    size = 0
    n = 0
    while size < kilobytes * 1024:
        part = contract(12, changed=changed and n == 40)
        if n > 0:
            part["properties"]["next"] = {"$ref": "#/$defs/d%d" % (n - 1)}
        defs["d%d" % n] = part
        size += len(json.dumps(part))
        n += 1
    return {"$defs": defs, "$ref": "#/$defs/d%d" % (n - 1)}


TIMER = """
CREATE FUNCTION pg_temp.timed(call text, OUT ms float8, OUT verdict text) LANGUAGE plpgsql AS $$
DECLARE
    started timestamptz;
    taken   float8;
BEGIN
    DEALLOCATE ALL;
    FOR i IN 1 .. 3 LOOP
        EXECUTE 'PREPARE c AS SELECT min(verdict) FROM ' || call;
        started := clock_timestamp();
        EXECUTE 'EXECUTE c' INTO verdict;
        taken := extract(epoch FROM clock_timestamp() - started) * 1000;
        ms := least(ms, taken);
        DEALLOCATE c;
    END LOOP;
END $$;
"""


def run(connection, calls):
    """Milliseconds of each call, three times, the best of them, and its verdict."""
    script = [TIMER]
    for call in calls:
        script.append("SELECT ms, verdict FROM pg_temp.timed(%s);\n" % ("'" + call.replace("'", "''") + "'"))
    done = subprocess.run(["psql", "-XqAt", "-F\t", "-d", connection],
                          input="".join(script), capture_output=True, text=True)
    rows = [line.split("\t") for line in done.stdout.split("\n") if "\t" in line]
    return [(float(ms), verdict) for ms, verdict in rows if ms]


def report(title, rows):
    times = sorted(ms for ms, _ in rows)
    verdicts = {}
    for _, verdict in rows:
        word = verdict.split(" ")[0]
        verdicts[word] = verdicts.get(word, 0) + 1
    print("%-44s %6d %9.3f %9.3f %9.3f   %s" % (
        title, len(times), times[len(times) // 2], times[min(len(times) - 1, int(len(times) * 0.99))], times[-1],
        ", ".join("%d %s" % (n, w) for w, n in sorted(verdicts.items()))))
    return times


def main():
    connection = sys.argv[1]
    corpus = sys.argv[2] if len(sys.argv) > 2 else ""
    failed = 0
    print("%-44s %6s %9s %9s %9s" % ("", "pairs", "median", "p99", "longest"))
    if corpus:
        calls = []
        for path in sorted(pathlib.Path(corpus).rglob("*.json")):
            for case in json.loads(path.read_text()):
                if "\\u0000" not in json.dumps(case):
                    calls.append("mesh_outbox.is_subschema(%s, %s)" % (literal(case["schema1"]), literal(case["schema2"])))
        report("containment corpus", run(connection, calls))
    for title, call in (("is_subschema", "mesh_outbox.is_subschema(%s, %s)"),
                        ("check_compatibility, three directions", "mesh_outbox.check_compatibility(%s, %s)")):
        for fields in (10, 30, 50):
            old = contract(fields)
            pairs = [(old, old), (old, contract(fields, extra=1)), (old, contract(fields, changed=True)),
                     (contract(fields, extra=5), old)]
            times = report("%s, %d fields" % (title, fields),
                           run(connection, [call % (literal(a), literal(b)) for a, b in pairs]))
            if title == "is_subschema" and times[-1] > 5:
                failed += 1
    rows = run(connection, ["mesh_outbox.is_subschema(%s, %s)" % (literal(large(400, False)), literal(large(400, changed)))
                            for changed in (False, True)])
    times = report("is_subschema, 400 kB", rows)
    if len(times) < 2 or times[-1] > 2500:
        failed += 1
    print("limits: 5 ms up to 50 fields, the time limit for 400 kB: %s" % ("met" if failed == 0 else "NOT met"))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
