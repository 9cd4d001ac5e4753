#!/usr/bin/env python3
"""Judges is_subschema by pairs of schemas whose truth is known.

    run.py CONNECTION CORPUS_DIRECTORY [--verbose]

CORPUS_DIRECTORY may be empty: then only our own pairs (pairs.json) are tried,
and it is said so.

CONNECTION is a libpq string for psql.  One session decides every pair; a
counterexample is confirmed here once more through schema_violations.  Where we
disagree with the corpus, an independent validator (PyPI jsonschema-rs) judges
the document in question: some pairs were made by a program that moved $id,
$anchor or $ref out of reach, and do not say what they are filed under.  Such a
pair counts as "corpus errs", and not as right.  Prints a table by family and
the pairs that are not right; exits with 0 when no proof is wrong, no
counterexample unconfirmed and 95 % of each family decided right.
"""
import collections
import json
import pathlib
import subprocess
import sys

import jsonschema_rs

FAMILIES = ("universal", "nonvalid", "reflexive", "unsatisfiable")


def pairs(root):
    """(family, file, id, sub, super, truth), both directions where known."""
    own = pathlib.Path(__file__).with_name("pairs.json")
    for n, (title, sub, sup, truth) in enumerate(json.loads(own.read_text())):
        yield ("own", "optional/format/pairs.json", "%d: %s" % (n + 1, title), sub, sup, truth)
    for family in FAMILIES if root else ():
        for path in sorted((root / family).rglob("*.json")):
            name = str(path.relative_to(root / family))
            for case in json.loads(path.read_text()):
                tests = case["tests"]
                one, two = case["schema1"], case["schema2"]
                for key, sub, sup in (("s1SubsetEqOfs2", one, two),
                                      ("s2SubsetEqOfs1", two, one)):
                    if key in tests:
                        yield (family, name, "%s%s" % (case["id"], key[1]), sub, sup, tests[key])


def literal(schema):
    return "'" + json.dumps(schema, ensure_ascii=True).replace("'", "''") + "'"


def without_formats(schema):
    """The schema as it reads where formats only annotate."""
    if isinstance(schema, dict):
        return {k: without_formats(v) for k, v in schema.items()
                if k != "format" or not isinstance(v, str)}
    if isinstance(schema, list):
        return [without_formats(v) for v in schema]
    return schema


def query(number, sub, sup, assert_formats):
    flag = "true" if assert_formats else "false"
    plain = (lambda s: s) if assert_formats else without_formats
    # a pair that raises an error must not end the session
    return (
        "\\echo\n"
        f"SELECT jsonb_build_object('n', {number}, 'verdict', verdict, 'reason', reason,\n"
        "  'witness', counterexample, 'keyword', undecided_by, 'confirmed',\n"
        "  counterexample IS NULL\n"
        f"  OR (NOT EXISTS (SELECT FROM mesh_outbox.schema_violations({literal(plain(sub))}, counterexample))\n"
        f"      AND EXISTS (SELECT FROM mesh_outbox.schema_violations({literal(plain(sup))}, counterexample))))\n"
        f"FROM mesh_outbox.is_subschema({literal(sub)}, {literal(sup)}, {flag});\n"
    )


def decide(connection, cases):
    script = "".join(
        query(n, c[3], c[4], c[1].startswith("optional/format/"))
        for n, c in enumerate(cases)
    )
    done = subprocess.run(
        ["psql", "-XqAt", "-d", connection],
        input=script, capture_output=True, text=True,
    )
    answers = {}
    for line in done.stdout.split("\n"):
        if line.startswith("{"):
            answer = json.loads(line)
            answers[answer["n"]] = answer
    if done.returncode != 0:
        sys.exit("psql failed: " + done.stderr[-2000:])
    return answers, done.stderr


def valid(schema, document, assert_formats):
    return jsonschema_rs.is_valid(
        schema, document, draft=jsonschema_rs.Draft202012, validate_formats=assert_formats)


def usable(schema):
    try:
        valid(schema, None, False)
        return True
    except Exception:
        return False


def judge(answer, sub, sup, truth, assert_formats):
    """The column that an answer belongs to."""
    if answer is None:
        # jsonb holds no U+0000: such a pair never reaches the prover
        if "\\u0000" in json.dumps([sub, sup]):
            return "not jsonb"
        return "error" if usable(sub) and usable(sup) else "corpus errs"
    if answer["verdict"] == "undecided":
        return "undecided"
    if not answer["confirmed"]:
        return "unconfirmed"
    if (answer["verdict"] == "proved") == truth:
        return "right"
    if answer["verdict"] == "proved":
        # the corpus has a document in mind: the only one of "sub"
        if "const" in sub and len(sub) == 1 and valid(sup, sub["const"], assert_formats):
            return "corpus errs"
        return "wrong proved"
    document = answer["witness"]
    if valid(sub, document, assert_formats) and not valid(sup, document, assert_formats):
        return "corpus errs"
    return "unconfirmed"


def main():
    root = pathlib.Path(sys.argv[2]) if sys.argv[2] else None
    verbose = "--verbose" in sys.argv
    cases = list(pairs(root))
    answers, errors = decide(sys.argv[1], cases)
    table = collections.defaultdict(collections.Counter)
    undecided = collections.Counter()
    for n, (family, name, label, sub, sup, truth) in enumerate(cases):
        answer = answers.get(n)
        row = table[family]
        row["pairs"] += 1
        kind = judge(answer, sub, sup, truth, name.startswith("optional/format/"))
        if kind == "undecided":
            undecided["%s (%s)" % (name, answer["keyword"] or answer["reason"])] += 1
        row[kind] += 1
        if kind not in ("right", "not jsonb"):
            print("%s: %s/%s #%s" % (kind, family, name, label))
            if verbose:
                print("   ", json.dumps(sub)[:600], "\n    <=", json.dumps(sup)[:600])
                print("   ", json.dumps(answer))
    columns = ("pairs", "right", "undecided", "corpus errs", "wrong proved",
               "unconfirmed", "error", "not jsonb")
    print("%-15s" % "family" + "".join("%*s" % (max(len(c), 6) + 2, c) for c in columns) + "   right")
    passed = failed = 0
    for family in ["own"] + list(FAMILIES if root else ()):
        row = table[family]
        share = row["right"] / max(1, row["pairs"] - row["not jsonb"])
        print("%-15s" % family
              + "".join("%*d" % (max(len(c), 6) + 2, row[c]) for c in columns)
              + "  %5.1f %%" % (100 * share))
        for good in (share >= (1 if family == "own" else 0.95), row["wrong proved"] == 0,
                     row["unconfirmed"] == 0 and row["error"] == 0):
            passed += good
            failed += not good
    for what, count in undecided.most_common():
        print("undecided %4d  %s" % (count, what))
    if not root:
        print("the containment corpus is not here and was left out")
    if verbose and errors:
        print(errors[-3000:])
    print("%d passed, %d failed" % (passed, failed))
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
