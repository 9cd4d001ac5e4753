#!/usr/bin/env python3
"""Random schemas and documents: our verdict against two independent ones.

  differential.py CONNINFO SECONDS [SEED] [PAIRS]

Generates schemas of both drafts with documents that are near to what they
describe, and compares mesh_outbox with PyPI's jsonschema (Python, given exact
numbers) and jsonschema-rs (Rust).  Runs until SECONDS have passed or PAIRS
are compared.  A difference is shrunk and printed with its seed, unless one
of the reasons in explain() applies, which are counted by name.
"""
import collections
import decimal
import json
import math
import random
import re
import sys
import time

import jsonschema
import jsonschema_rs
import psycopg
from jsonschema import validators

DOCUMENTS_PER_SCHEMA = 12
NAMES = ["a", "b", "c", "ab", "é", "a/b", "x~y", "", "long_name"]
WORDS = ["", "a", "b", "ab", "abc", "aab", "é", "😀", "x1", "2026", "null"]
PATTERNS = ["^a", "b$", "^[a-c]*$", "a+b", "^$", "\\d", "^\\w+$", "(a|é)",
            "^.$", "[^a]", "^a{2,3}", "(?=a)", "😀"]
NUMBERS = ["0", "1", "-1", "2", "3", "1.0", "2.5", "0.5", "1e2", "100",
           "-0.25", "0.1", "0.30", "1e-3", "9007199254740993",
           "12345678901234567890", "0.07"]
TYPES = ["null", "boolean", "string", "number", "integer", "array", "object"]
DRAFTS = {
    "2020": "https://json-schema.org/draft/2020-12/schema",
    "7": "http://json-schema.org/draft-07/schema#",
}


class Generator:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.draft = "2020" if self.r.random() < 0.75 else "7"
        self.anchors = []

    def scalar(self):
        kind = self.r.random()
        if kind < 0.35:
            return self.r.choice(WORDS)
        if kind < 0.75:
            return number(self.r.choice(NUMBERS))
        return self.r.choice([None, True, False])

    def document(self, depth=3):
        kind = self.r.random()
        if depth == 0 or kind < 0.4:
            return self.scalar()
        if kind < 0.65:
            return [self.document(depth - 1)
                    for _ in range(self.r.randrange(4))]
        return {self.r.choice(NAMES): self.document(depth - 1)
                for _ in range(self.r.randrange(5))}

    def names(self):
        return self.r.sample(NAMES, self.r.randrange(1, 4))

    def count(self):
        return self.r.randrange(4)

    def reference(self):
        return self.r.choice(["#/$defs/p", "#/$defs/q", "#/$defs/r", "#",
                              "#anchor"])

    def keywords(self, depth):
        sub = lambda: self.schema(depth - 1)
        subs = lambda: [sub() for _ in range(self.r.randrange(1, 4))]
        named = lambda: {n: sub() for n in self.names()}
        num = lambda: number(self.r.choice(NUMBERS))
        table = {
            "type": lambda: self.r.choice(TYPES) if self.r.random() < .6
            else self.r.sample(TYPES, 3),
            "enum": lambda: [self.document(1) for _ in range(3)],
            "const": lambda: self.document(2),
            "minimum": num, "maximum": num,
            "exclusiveMinimum": num, "exclusiveMaximum": num,
            "multipleOf": lambda: number(self.r.choice(
                ["1", "2", "3", "0.5", "0.1", "0.01", "2.5", "100"])),
            "minLength": self.count, "maxLength": self.count,
            "pattern": lambda: self.r.choice(PATTERNS),
            "minItems": self.count, "maxItems": self.count,
            "uniqueItems": lambda: self.r.random() < .8,
            "minProperties": self.count, "maxProperties": self.count,
            "required": self.names,
        }
        if depth > 0:
            table.update({
                "properties": named,
                "patternProperties": lambda: {
                    p: sub() for p in self.r.sample(PATTERNS, 2)},
                "additionalProperties": sub, "propertyNames": sub,
                "items": sub, "contains": sub, "allOf": subs,
                "anyOf": subs, "oneOf": subs, "not": sub, "if": sub,
                "then": sub, "else": sub,
            })
            if self.draft == "2020":
                table.update({
                    "prefixItems": subs, "minContains": self.count,
                    "maxContains": self.count,
                    "dependentSchemas": named,
                    "dependentRequired": lambda: {
                        n: self.names() for n in self.names()},
                    "unevaluatedProperties": sub, "unevaluatedItems": sub,
                    "$ref": self.reference,
                    "$dynamicRef": lambda: self.r.choice(["#node", "#leaf"]),
                })
            else:
                table.update({
                    "additionalItems": sub,
                    "dependencies": lambda: {
                        n: self.names() if self.r.random() < .5 else sub()
                        for n in self.names()},
                    "$ref": lambda: self.r.choice(
                        ["#/definitions/p", "#/definitions/q", "#"]),
                })
        return table

    def schema(self, depth):
        if self.r.random() < 0.08:
            return self.r.random() < 0.7
        table = self.keywords(depth)
        structure = [k for k in table if k in (
            "properties", "items", "allOf", "anyOf", "oneOf", "prefixItems",
            "unevaluatedProperties", "unevaluatedItems", "contains", "if",
            "then", "else", "$ref", "dependentSchemas")]
        chosen = set()
        for _ in range(self.r.randrange(1, 5)):
            pool = structure if structure and self.r.random() < .5 \
                else list(table)
            chosen.add(self.r.choice(sorted(pool)))
        if "$ref" in chosen and self.r.random() < .5:
            chosen.discard("$ref")
        return {k: table[k]() for k in sorted(chosen)}

    def root(self):
        schema = self.schema(3)
        if not isinstance(schema, dict):
            schema = {"items": schema}
        schema["$schema"] = DRAFTS[self.draft]
        if self.draft == "2020":
            schema["$defs"] = {
                "p": self.schema(1), "q": self.schema(1),
                "r": {"$anchor": "anchor", "properties": {
                    "a": self.schema(1), "b": {"$dynamicRef": "#node"}}},
                "leaf": {"$dynamicAnchor": "leaf", "type": "integer"},
                "other": {"$id": "http://example.com/other",
                          "$dynamicAnchor": "node",
                          "properties": {"c": {"$dynamicRef": "#node"}}},
            }
            schema["$dynamicAnchor"] = "node"
        else:
            schema["definitions"] = {"p": self.schema(1), "q": self.schema(1)}
        if "$ref" in schema and self.draft == "7":
            del schema["$ref"]
        return schema

    def near(self, schema, depth=4):
        """A document that has something to do with the schema."""
        if depth == 0 or not isinstance(schema, dict) or \
                self.r.random() < 0.15:
            return self.document(2)
        if "const" in schema and self.r.random() < .6:
            return schema["const"]
        if "enum" in schema and self.r.random() < .6:
            return self.r.choice(schema["enum"])
        for k in ("allOf", "anyOf", "oneOf"):
            if k in schema and self.r.random() < .4:
                return self.near(self.r.choice(schema[k]), depth - 1)
        if any(k in schema for k in (
                "properties", "required", "patternProperties",
                "unevaluatedProperties", "dependentSchemas")):
            result = {}
            for name, child in schema.get("properties", {}).items():
                if self.r.random() < .8:
                    result[name] = self.near(child, depth - 1)
            for name in schema.get("required", []):
                if self.r.random() < .8:
                    result.setdefault(name, self.document(1))
            if self.r.random() < .4:
                result[self.r.choice(NAMES)] = self.document(1)
            return result
        if any(k in schema for k in ("items", "prefixItems", "contains",
                                     "unevaluatedItems")):
            result = []
            prefix = schema.get("prefixItems", [])
            for child in prefix if isinstance(prefix, list) else []:
                result.append(self.near(child, depth - 1))
            for k in ("items", "contains"):
                if isinstance(schema.get(k), (dict, bool)):
                    for _ in range(self.r.randrange(3)):
                        result.append(self.near(schema[k], depth - 1))
            return result
        return self.document(2)


def number(text):
    return decimal.Decimal(text) if re.search("[.e]", text) else int(text)


def encode(o):
    if isinstance(o, decimal.Decimal):
        return str(o)
    if isinstance(o, dict):
        return "{" + ",".join(json.dumps(k) + ":" + encode(v)
                              for k, v in o.items()) + "}"
    if isinstance(o, list):
        return "[" + ",".join(encode(v) for v in o) + "]"
    return json.dumps(o)


# jsonschema with exact numbers: 1.0 given as a Decimal is an integer, and
# a value is compared by what it is, not by how it is written.
def is_integer(_, v):
    if isinstance(v, bool):
        return False
    return isinstance(v, int) or (
        isinstance(v, decimal.Decimal) and v == v.to_integral_value())


def is_number(_, v):
    return isinstance(v, (int, decimal.Decimal)) and not isinstance(v, bool)


def multiple_of(_, divisor, instance, __):
    if is_number(None, instance):
        with decimal.localcontext(decimal.Context(prec=200)):
            if decimal.Decimal(instance) % decimal.Decimal(divisor) != 0:
                yield jsonschema.ValidationError("multipleOf")


def exact(base):
    checker = base.TYPE_CHECKER.redefine("integer", is_integer) \
        .redefine("number", is_number)
    return validators.extend(base, {"multipleOf": multiple_of},
                             type_checker=checker)


EXACT = {"2020": exact(jsonschema.Draft202012Validator),
         "7": exact(jsonschema.Draft7Validator)}


def python_verdict(draft, schema, document):
    # A panic of its compiled part is no Exception.
    try:
        return EXACT[draft](schema).is_valid(document)
    except BaseException as e:
        return "error: " + type(e).__name__


def rust_validator(draft, schema):
    try:
        return jsonschema_rs.validator_for(
            json.loads(encode(schema)), validate_formats=False)
    except Exception as e:
        return "error: " + str(e).splitlines()[0]


def rust_verdict(validator, document):
    if isinstance(validator, str):
        return validator
    try:
        return validator.is_valid(json.loads(encode(document)))
    except BaseException as e:
        return "error: " + type(e).__name__


HELPER = """
CREATE OR REPLACE FUNCTION pg_temp.verdicts(schema jsonb, documents jsonb)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text := '';
    document jsonb;
    fast boolean;
    listed boolean;
BEGIN
    FOR document IN SELECT jsonb_array_elements(documents) LOOP
        fast := mesh_outbox.is_valid(schema, document, false);
        listed := NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(
            schema, document, false));
        result := result || CASE WHEN fast <> listed THEN '!'
                                 WHEN fast THEN 't' ELSE 'f' END;
    END LOOP;
    RETURN result;
EXCEPTION WHEN OTHERS THEN
    RETURN 'error: ' || SQLERRM;
END $$
"""


def our_verdicts(connection, schema, documents):
    row = connection.execute(
        "SELECT pg_temp.verdicts(%s::jsonb, %s::jsonb)",
        (encode(schema), encode(documents))).fetchone()[0]
    if row.startswith("error"):
        return [row] * len(documents)
    return [{"t": True, "f": False}.get(c, "fast and listing walk differ")
            for c in row]


def walk(o):
    yield o
    for v in o.values() if isinstance(o, dict) else \
            o if isinstance(o, list) else []:
        yield from walk(v)


def uses(schema, *keywords):
    return any(isinstance(s, dict) and any(k in s for k in keywords)
               for s in walk(schema))


def explain(schema, document, ours, python, rust):
    """Why the verdicts may differ, or None.  Ours must agree with one."""
    if isinstance(ours, str) and "lead back to itself" in ours:
        return "endless reference: refused here, recursion there"
    if isinstance(python, str) and ours == rust:
        return "jsonschema raises " + python[len("error: "):]
    if isinstance(rust, str) and ours == python:
        return "jsonschema-rs does not compile or walk it"
    inexact = any(isinstance(v, (decimal.Decimal, int)) and
                  not isinstance(v, bool) and
                  (isinstance(v, decimal.Decimal) or abs(v) > 2 ** 53)
                  for v in [*walk(schema), *walk(document)])
    if ours == python and inexact:
        return "jsonschema-rs counts with binary floating point"
    if ours == rust and uses(schema, "unevaluatedItems",
                             "unevaluatedProperties"):
        return "jsonschema evaluates unevaluated* by its own search"
    if ours == rust and uses(schema, "$dynamicRef"):
        return "jsonschema resolves $dynamicRef otherwise"
    if ours == rust and uses(schema, "uniqueItems", "enum", "const"):
        return "jsonschema compares with Python's equality"
    return None


def smaller(o):
    """All ways to take one part out of a JSON value."""
    if isinstance(o, dict):
        for k in list(o):
            if k != "$schema":
                yield {n: v for n, v in o.items() if n != k}
        for k in o:
            for s in smaller(o[k]):
                yield {**o, k: s}
    elif isinstance(o, list):
        for i in range(len(o)):
            yield o[:i] + o[i + 1:]
        for i, v in enumerate(o):
            for s in smaller(v):
                yield o[:i] + [s] + o[i + 1:]


def compare(connection, draft, schema, document):
    ours = our_verdicts(connection, schema, [document])[0]
    python = python_verdict(draft, schema, document)
    rust = rust_verdict(rust_validator(draft, schema), document)
    return ours, python, rust


def unexplained(schema, document, verdicts):
    ours, python, rust = verdicts
    return not (ours == python == rust) and \
        explain(schema, document, ours, python, rust) is None


def still_differs(schema, document, verdicts, was_error):
    """Shrinking must not turn a wrong verdict into an invalid schema."""
    return isinstance(verdicts[0], str) == was_error and \
        unexplained(schema, document, verdicts)


def shrink(connection, draft, schema, document):
    deadline = time.time() + 20
    was_error = isinstance(compare(connection, draft, schema, document)[0],
                           str)
    progress = True
    while progress and time.time() < deadline:
        progress = False
        for candidate in smaller(schema):
            if still_differs(candidate, document, compare(
                    connection, draft, candidate, document), was_error):
                schema, progress = candidate, True
                break
        for candidate in smaller(document):
            if still_differs(schema, candidate, compare(
                    connection, draft, schema, candidate), was_error):
                document, progress = candidate, True
                break
    return schema, document


def main():
    conninfo, seconds = sys.argv[1], float(sys.argv[2])
    seed = int(sys.argv[3]) if len(sys.argv) > 3 else \
        random.SystemRandom().randrange(10 ** 9)
    wanted = int(sys.argv[4]) if len(sys.argv) > 4 else math.inf
    sys.setrecursionlimit(3000)
    print("seed %d" % seed)
    end = time.time() + seconds
    counts = collections.Counter()
    reasons = collections.Counter()
    with psycopg.connect(conninfo, autocommit=True) as connection:
        connection.execute(HELPER)
        while time.time() < end and counts["pairs"] < wanted and \
                counts["unexplained"] < 20:
            generator = Generator(seed)
            schema = generator.root()
            documents = [generator.near(schema)
                         for _ in range(DOCUMENTS_PER_SCHEMA)]
            ours = our_verdicts(connection, schema, documents)
            rust = rust_validator(generator.draft, schema)
            for document, verdict in zip(documents, ours):
                counts["pairs"] += 1
                counts["valid"] += verdict is True
                verdicts = (verdict,
                            python_verdict(generator.draft, schema, document),
                            rust_verdict(rust, document))
                if verdicts[0] == verdicts[1] == verdicts[2]:
                    continue
                reason = explain(schema, document, *verdicts)
                if reason:
                    reasons[reason] += 1
                    continue
                counts["unexplained"] += 1
                s, d = shrink(connection, generator.draft, schema, document)
                print("DIFFERENCE seed %d\n  schema   %s\n  document %s\n"
                      "  ours %s, jsonschema %s, jsonschema-rs %s" % (
                          (seed, encode(s), encode(d)) + compare(
                              connection, generator.draft, s, d)))
                break
            seed += 1
    print("%d pairs, %d of them valid" % (counts["pairs"], counts["valid"]))
    for reason, n in reasons.most_common():
        print("explained: %7d  %s" % (n, reason))
    print("%d passed, %d failed" % (counts["pairs"] - counts["unexplained"],
                                    counts["unexplained"]))
    sys.exit(1 if counts["unexplained"] else 0)


if __name__ == "__main__":
    main()
