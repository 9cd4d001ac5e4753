#!/usr/bin/env python3
"""Runs the official JSON-Schema-Test-Suite against mesh_outbox.

  suite.py SUITE_DIRECTORY CONNECTION_OPTIONS...

The directory is json/ of the source archive of PyPI's jsonschema; the options
are given to psql.  Every file of the two drafts is run.  Prints one line for
each keyword and ends with "N passed, N failed".  What cannot pass is named in
KNOWN, test by test, with its reason, and counted as neither; a named test
that passes is a failure, so that the list stays true.
"""
import collections
import json
import os
import subprocess
import sys

NUL = "jsonb cannot hold \\u0000"
DRAFT_2019 = "refers to draft 2019-09, which is refused by name"

# (draft, file, group, test) -> why it cannot pass
KNOWN = {
    ("draft2020-12", "const", "nul characters in strings",
     "match string with nul"): NUL,
    ("draft2020-12", "const", "nul characters in strings",
     "do not match string lacking nul"): NUL,
    ("draft2020-12", "enum", "nul characters in strings",
     "match string with nul"): NUL,
    ("draft2020-12", "enum", "nul characters in strings",
     "do not match string lacking nul"): NUL,
    ("draft7", "const", "nul characters in strings",
     "match string with nul"): NUL,
    ("draft7", "const", "nul characters in strings",
     "do not match string lacking nul"): NUL,
    ("draft7", "enum", "nul characters in strings",
     "match string with nul"): NUL,
    ("draft7", "enum", "nul characters in strings",
     "do not match string lacking nul"): NUL,
    ("draft2020-12", "optional/cross-draft",
     "refs to historic drafts are processed as historic drafts",
     "first item not a string is valid"): DRAFT_2019,
    ("draft7", "optional/cross-draft",
     "refs to future drafts are processed as future drafts",
     "missing bar is invalid"): DRAFT_2019,
    ("draft7", "optional/cross-draft",
     "refs to future drafts are processed as future drafts",
     "present bar is valid"): DRAFT_2019,
}

BASE = "http://localhost:1234/"
DEFAULT_SCHEMA = {
    "draft2020-12": "https://json-schema.org/draft/2020-12/schema",
    "draft7": "http://json-schema.org/draft-07/schema#",
}

# One call per test, so that an error is an answer like any other.
HELPER = """
CREATE TABLE conformance_case (
    id int PRIMARY KEY, schema text, instance text, formats boolean,
    content boolean);
CREATE FUNCTION conformance_verdict(c conformance_case) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    listed boolean;
    fast boolean;
BEGIN
    listed := NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(
        c.schema::jsonb, c.instance::jsonb, c.formats, c.content));
    IF c.content THEN
        RETURN CASE WHEN listed THEN 'valid' ELSE 'invalid' END;
    END IF;
    BEGIN
        fast := mesh_outbox.is_valid(c.schema::jsonb, c.instance::jsonb,
                                     c.formats);
    EXCEPTION WHEN invalid_parameter_value THEN
        IF SQLERRM !~ 'immutable|is not known' THEN RAISE; END IF;
        fast := listed;
    END;
    IF fast <> listed THEN
        RETURN format('is_valid %s, violations %s', fast, listed);
    END IF;
    RETURN CASE WHEN fast THEN 'valid' ELSE 'invalid' END;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error: ' || replace(SQLERRM, E'\\n', ' ');
END $$;
"""


def psql(options, script):
    run = subprocess.run(
        ["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1", *options],
        input=script, capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(run.stderr)
    return run.stdout


def quote(text):
    return "'" + text.replace("'", "''") + "'"


def dump(value):
    """JSON with big numbers as they are, which the loader keeps as text."""
    return json.dumps(value, ensure_ascii=False, cls=Exact)


class Number(float):
    """A number that remembers how it was written."""

    def __new__(cls, text):
        self = super().__new__(cls, text)
        self.text = text
        return self

    def __repr__(self):
        return self.text


class Exact(json.JSONEncoder):
    def iterencode(self, o, _one_shot=False):
        return iter([encode(o)])


def encode(o):
    if isinstance(o, Number):
        return o.text
    if isinstance(o, dict):
        return "{" + ",".join(json.dumps(k, ensure_ascii=False) + ":" +
                              encode(v) for k, v in o.items()) + "}"
    if isinstance(o, list):
        return "[" + ",".join(encode(v) for v in o) + "]"
    return json.dumps(o, ensure_ascii=False)


def load(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f, parse_float=Number, parse_int=Number)


def remotes(suite):
    """(uri, text) of each document under remotes/ that the drafts use."""
    root = os.path.join(suite, "remotes")
    for directory, _, files in sorted(os.walk(root)):
        for name in sorted(files):
            path = os.path.join(directory, name)
            relative = os.path.relpath(path, root)
            yield BASE + relative.replace(os.sep, "/"), dump(load(path))


def cases(suite, draft):
    root = os.path.join(suite, "tests", draft)
    for directory, _, files in sorted(os.walk(root)):
        for name in sorted(files):
            path = os.path.join(directory, name)
            keyword = os.path.relpath(path, root)[:-len(".json")]
            for group in load(path):
                schema = group["schema"]
                if isinstance(schema, dict) and "$schema" not in schema and \
                        draft == "draft7":
                    schema = {"$schema": DEFAULT_SCHEMA[draft], **schema}
                for test in group["tests"]:
                    yield (keyword, group["description"],
                           test["description"], schema, test["data"],
                           test["valid"])


def prepare(suite, options):
    script = [HELPER, "BEGIN;"]
    for uri, text in remotes(suite):
        script.append("SELECT mesh_outbox.register_schema(%s, %s::json);" %
                      (quote(uri), quote(text)))
    script.append("COMMIT;")
    psql(options, "\n".join(script))


def run(suite, draft, options):
    script = ["TRUNCATE conformance_case;"]
    tests = list(cases(suite, draft))
    for i, (keyword, _, _, schema, data, _) in enumerate(tests):
        formats = keyword.startswith("optional/format/")
        content = keyword == "optional/content"
        script.append("INSERT INTO conformance_case VALUES (%d, %s, %s, %s, %s);"
                      % (i, quote(dump(schema)), quote(dump(data)), formats,
                         content))
    script.append("SELECT conformance_verdict(c) FROM conformance_case c "
                  "ORDER BY id;")
    answers = psql(options, "\n".join(script)).splitlines()
    if len(answers) != len(tests):
        sys.exit("%d answers for %d tests" % (len(answers), len(tests)))
    return zip(tests, answers)


def main():
    suite, options = sys.argv[1], sys.argv[2:]
    total = collections.Counter()
    prepare(suite, options)
    for draft in ("draft2020-12", "draft7"):
        table = collections.OrderedDict()
        failures = []
        for (keyword, group, test, _, _, valid), answer in \
                run(suite, draft, options):
            counts = table.setdefault(keyword, collections.Counter())
            good = answer == ("valid" if valid else "invalid")
            reason = KNOWN.get((draft, keyword, group, test))
            if reason and not good:
                counts["known"] += 1
                print("cannot pass: %s %s: %s: %s (%s)" %
                      (draft, keyword, group, test, reason))
            elif good and not reason:
                counts["passed"] += 1
            else:
                counts["failed"] += 1
                failures.append("FAILED %s %s: %s: %s: expected %s, got %s" % (
                    draft, keyword, group, test,
                    "valid" if valid else "invalid", answer))
        print("\n%-40s %7s %7s %12s" % (draft, "passed", "failed",
                                        "cannot pass"))
        for keyword, counts in table.items():
            print("%-40s %7d %7d %12s" % (keyword, counts["passed"],
                                          counts["failed"],
                                          counts["known"] or ""))
            total.update(counts)
        required = collections.Counter()
        for keyword, counts in table.items():
            if "/" not in keyword:
                required.update(counts)
        print("%-40s %7d %7d %12s" % ("required, in all", required["passed"],
                                      required["failed"],
                                      required["known"] or ""))
        for line in failures:
            print(line)
    print("%d passed, %d failed" % (total["passed"], total["failed"]))
    sys.exit(1 if total["failed"] else 0)


if __name__ == "__main__":
    main()
