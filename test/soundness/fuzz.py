#!/usr/bin/env python3
"""Looks for a wrong proof.

    fuzz.py CONNECTION SECONDS SEED

Pairs of schemas are made at random and by mutation of realistic ones.  What
the prover says about a pair is put to the test by others:

- proved: every document of the first must be valid under the second, by
  jsonschema-rs.  1,000 documents: made by generate_examples, by
  hypothesis-jsonschema (for some pairs), and a pool of values that the first
  happens to take;
- refuted: jsonschema-rs must take the counterexample as the prover says;
- is_subschema must agree with itself: A in A, allOf(A, B) in A in anyOf(A, B),
  transitivity, members in another order, definitions moved to $defs;
- patterns: random expressions, on all short strings over a small alphabet;
- readers: documents of P(new) must be in R(old) where that is proved;
- closed contracts: documents of P(old) must be in P(new) where that is proved,
  by the validator's own closed mode, and P(A) in P(A), P(A) in R(A).

Each check is counted; the seed and the number of the round repeat a failure.
"""
import collections
import itertools
import json
import random
import subprocess
import sys
import time

import jsonschema_rs

NAMES = ["a", "b", "c", "kind", "x_1", "id"]
PATTERNS = ["^a", "b$", "^[0-9]+$", "^\\w*$", "^(foo|bar)$", "a.c", "^x_", "[^a]",
            "^[A-Z]{2,4}$", "\\d{2}", "^$", "^a*$", "(ab)+"]
FORMATS = ["uuid", "date", "ipv4", "date-time"]
SCALARS = [None, True, False, 0, 1, 2, 3, -1, 1.5, 10, 0.1, "", "a", "b", "ab", "abc", "foo",
           "12", "2024-02-29", "127.0.0.1", "x_1", "AB"]
POOL = SCALARS + [
    [], [1], [1, 1], [1, 2], ["a"], ["a", 1], [None], [[1]], [1, "a", 2], [{"a": 1}], [1, 2, 3],
    {}, {"a": 1}, {"a": "a"}, {"b": 1}, {"a": 1, "b": 2}, {"a": {}, "c": []}, {"x_1": 1},
    {"kind": "a", "a": 1}, {"kind": "b", "b": "b"}, {"id": 1, "a": None}, {"z": 1},
    {"a": {"a": 1}}, {"a": {"b": {"a": {}}}}, {"a": 1, "b": 2, "c": 3, "z": 4},
]
ORDER = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "format": "uuid"},
        "customer": {"type": "object", "properties": {"id": {"type": "integer"}, "name": {"type": "string", "maxLength": 40}},
                     "required": ["id"]},
        "status": {"enum": ["new", "paid", "sent"]},
        "total": {"type": "number", "minimum": 0, "multipleOf": 0.01},
        "lines": {"type": "array", "minItems": 1, "items": {
            "type": "object", "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2,4}$"},
                                             "qty": {"type": "integer", "minimum": 1}},
            "required": ["sku", "qty"]}},
        "placed": {"type": "string", "format": "date-time"},
        "note": {"type": ["string", "null"]},
    },
    "required": ["order_id", "lines"],
}
PAYMENT = {
    "oneOf": [
        {"type": "object", "properties": {"kind": {"const": "card"}, "last4": {"type": "string", "pattern": "^[0-9]{4}$"}},
         "required": ["kind", "last4"]},
        {"type": "object", "properties": {"kind": {"const": "iban"}, "iban": {"type": "string", "minLength": 15}},
         "required": ["kind", "iban"]},
    ]
}
TREE = {
    "$defs": {"node": {"type": "object", "properties": {
        "value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        "required": ["value"]}},
    "$ref": "#/$defs/node",
}
SHORT_STRINGS = ["".join(s) for n in range(5) for s in itertools.product("ab1_ -\n", repeat=n)] + [
    "aaaaa", "a1b_ a", "abababab"]
# jsonschema-rs reads "." and \b as Unicode, not as ECMA-262 does; with these our own engine is the judge
OTHER_STRINGS = ["".join(s) for n in range(4) for s in itertools.product("a1\u00e9\u2028\r", repeat=n)] + ["\U0001f432"]
REALISTIC = [ORDER, PAYMENT, TREE]


class Maker:
    """Random schemas of a small vocabulary, so that they have much in common."""

    def __init__(self, rng):
        self.rng = rng

    def chance(self, p):
        return self.rng.random() < p

    def schema(self, depth):
        r = self.rng
        if depth <= 0 or self.chance(0.08):
            return r.choice([True, {}, {"type": "integer"}, {"type": "string"}, {"const": r.choice(SCALARS)},
                             {"type": r.sample(["null", "boolean", "number", "string"], 2)}, False])
        kind = r.choice(["number", "string", "array", "object", "object", "combined", "values"])
        out = getattr(self, kind)(depth)
        if self.chance(0.15):
            out.update(self.combined(depth))
        return out

    def number(self, depth):
        r = self.rng
        out = {"type": r.choice(["number", "integer"])} if self.chance(0.8) else {}
        for key in ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"):
            if self.chance(0.3):
                out[key] = r.choice([0, 1, 2, 3, 5, 1.5, -1, 10])
        if self.chance(0.25):
            out["multipleOf"] = r.choice([1, 2, 3, 0.5, 6, 0.1])
        return out

    def string(self, depth):
        r = self.rng
        out = {"type": "string"} if self.chance(0.8) else {}
        if self.chance(0.3):
            out["minLength"] = r.randint(0, 4)
        if self.chance(0.3):
            out["maxLength"] = r.randint(0, 5)
        if self.chance(0.4):
            out["pattern"] = r.choice(PATTERNS)
        if self.chance(0.1):
            out["format"] = r.choice(FORMATS)
        return out

    def array(self, depth):
        r = self.rng
        out = {"type": "array"} if self.chance(0.8) else {}
        if self.chance(0.4):
            out["items"] = self.schema(depth - 1)
        if self.chance(0.3):
            out["prefixItems"] = [self.schema(depth - 1) for _ in range(r.randint(1, 2))]
        if self.chance(0.25):
            out["minItems"] = r.randint(0, 3)
        if self.chance(0.25):
            out["maxItems"] = r.randint(0, 4)
        if self.chance(0.2):
            out["uniqueItems"] = self.chance(0.8)
        if self.chance(0.25):
            out["contains"] = self.schema(depth - 1)
            if self.chance(0.4):
                out["minContains"] = r.randint(0, 2)
            if self.chance(0.4):
                out["maxContains"] = r.randint(0, 3)
        if self.chance(0.1):
            out["unevaluatedItems"] = self.schema(depth - 2)
        return out

    def object(self, depth):
        r = self.rng
        out = {"type": "object"} if self.chance(0.8) else {}
        if self.chance(0.8):
            out["properties"] = {n: self.schema(depth - 1) for n in r.sample(NAMES, r.randint(1, 3))}
        if self.chance(0.4):
            out["required"] = r.sample(NAMES, r.randint(1, 2))
        if self.chance(0.3):
            out["additionalProperties"] = r.choice([False, False, True, self.schema(depth - 1)])
        if self.chance(0.2):
            out["patternProperties"] = {r.choice(PATTERNS): self.schema(depth - 1)}
        if self.chance(0.1):
            out["propertyNames"] = self.string(depth - 1)
        if self.chance(0.12):
            out["minProperties"] = r.randint(0, 3)
        if self.chance(0.12):
            out["maxProperties"] = r.randint(0, 3)
        if self.chance(0.08):
            out["dependentRequired"] = {r.choice(NAMES): r.sample(NAMES, 1)}
        if self.chance(0.06):
            out["dependentSchemas"] = {r.choice(NAMES): self.schema(depth - 1)}
        if self.chance(0.1):
            out["unevaluatedProperties"] = self.schema(depth - 2)
        return out

    def combined(self, depth):
        r = self.rng
        which = r.choice(["anyOf", "oneOf", "allOf", "not", "if"])
        if which == "not":
            return {"not": self.schema(depth - 1)}
        if which == "if":
            return {"if": self.schema(depth - 1), "then": self.schema(depth - 1), "else": self.schema(depth - 1)}
        return {which: [self.schema(depth - 1) for _ in range(r.randint(1, 3))]}

    def values(self, depth):
        if self.chance(0.3):
            return {"const": self.rng.choice(POOL)}
        return {"enum": self.rng.sample(SCALARS, self.rng.randint(1, 4))}

    def places(self, schema, out):
        """Dicts in the schema that are schemas themselves."""
        if not isinstance(schema, dict):
            return out
        out.append(schema)
        for key in ("properties", "patternProperties", "$defs", "dependentSchemas"):
            for sub in schema.get(key, {}).values():
                self.places(sub, out)
        for key in ("items", "contains", "additionalProperties", "not", "if", "then", "else",
                    "unevaluatedProperties", "unevaluatedItems", "propertyNames"):
            self.places(schema.get(key), out)
        for key in ("anyOf", "oneOf", "allOf", "prefixItems"):
            for sub in schema.get(key, []):
                self.places(sub, out)
        return out

    def mutate(self, schema):
        schema = json.loads(json.dumps(schema))
        for _ in range(self.rng.randint(1, 3)):
            places = self.places(schema, [])
            if places:
                self.mutate_one(self.rng.choice(places))
        return schema

    def mutate_one(self, place):
        r = self.rng
        key = r.choice(list(place) or ["type"])
        action = r.randrange(6)
        value = place.get(key)
        if key in ("$ref", "$defs"):
            return
        if action == 0:
            place.pop(key, None)
        elif action == 1 and isinstance(value, (int, float)) and not isinstance(value, bool):
            place[key] = max(0.5 if key == "multipleOf" else 0, value + r.choice([-1, 1, 2]))
        elif action == 2 and isinstance(value, list) and key in ("enum", "required") and value:
            if self.chance(0.5) and len(value) > 1:
                value.pop(r.randrange(len(value)))
            else:
                extra = r.choice(NAMES if key == "required" else SCALARS)
                if not any(type(v) is type(extra) and v == extra for v in value):
                    value.append(extra)
        elif action == 3 and "properties" in place:
            place["properties"][r.choice(NAMES)] = self.schema(1)
        elif action == 4:
            place.update({"integer": {"type": "number"}, "number": {"type": ["number", "null"]}}.get(
                place.get("type") if isinstance(place.get("type"), str) else None, {}))
        else:
            more = self.schema(1)
            place.update(more if isinstance(more, dict) and self.chance(0.3) else {})

    def mutate_safe(self, schema):
        out = self.mutate(schema)
        return out if self.usable(out) else schema

    @staticmethod
    def usable(schema):
        try:
            jsonschema_rs.meta.validate(schema if isinstance(schema, bool) else
                                        dict(schema, **{"$schema": "https://json-schema.org/draft/2020-12/schema"}))
            jsonschema_rs.Draft202012Validator(schema)
            return True
        except Exception:
            return False


def literal(value):
    return "'" + json.dumps(value, ensure_ascii=True).replace("'", "''") + "'"


def ask(connection, statements):
    """Runs statements that each give one jsonb; None where one failed."""
    script = []
    for n, statement in enumerate(statements):
        script.append("SELECT jsonb_build_array(%d, (%s));\n" % (n, statement))
    done = subprocess.run(["psql", "-XqAt", "-d", connection], input="".join(script),
                          capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit("psql failed: " + done.stderr[-3000:])
    answers = [None] * len(statements)
    for line in done.stdout.split("\n"):
        if line.startswith("["):
            n, answer = json.loads(line)
            answers[n] = answer
    return answers, done.stderr


def subset(sub, sup):
    return ("SELECT to_jsonb(s) FROM mesh_outbox.is_subschema(%s, %s) AS s"
            % (literal(sub), literal(sup)))


def examples(schema, n, seed, closed):
    return ("SELECT coalesce(jsonb_agg(example), '[]') FROM mesh_outbox.generate_examples(%s, %d, %d, false, %s)"
            % (literal(schema), n, seed, "true" if closed else "false"))


def from_hypothesis(schema, n):
    """Documents by another hand; none when it cannot make them."""
    import warnings
    import hypothesis
    from hypothesis_jsonschema import from_schema
    found = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")

            @hypothesis.settings(max_examples=n, database=None, deadline=None, derandomize=True,
                                 phases=[hypothesis.Phase.generate],
                                 suppress_health_check=list(hypothesis.HealthCheck))
            @hypothesis.given(from_schema(schema))
            def collect(document):
                found.append(document)

            collect()
    except Exception:
        pass
    return found


class Fuzz:
    def __init__(self, connection, seed):
        self.connection = connection
        self.seed = seed
        self.counts = collections.Counter()
        self.undecided = collections.Counter()
        self.failures = []

    def fail(self, what, **details):
        self.counts["failures"] += 1
        self.failures.append(what)
        print("FAILURE (seed %d, round %d): %s" % (self.seed, self.round, what))
        for key, value in details.items():
            print("   %s: %s" % (key, json.dumps(value)[:2000]))
        sys.stdout.flush()

    def judge_proved(self, sub, sup, documents, origin):
        takes = jsonschema_rs.Draft202012Validator(sub, validate_formats=True).is_valid
        wanted = jsonschema_rs.Draft202012Validator(sup, validate_formats=True).is_valid
        for document in documents:
            self.counts["documents tried"] += 1
            if takes(document) and not wanted(document):
                self.fail("wrong proof, by a document from " + origin, sub=sub, super=sup, document=document)
                return

    def judge_refuted(self, sub, sup, document):
        if (not jsonschema_rs.Draft202012Validator(sub, validate_formats=True).is_valid(document)
                or jsonschema_rs.Draft202012Validator(sup, validate_formats=True).is_valid(document)):
            self.fail("a counterexample that another validator does not confirm",
                      sub=sub, super=sup, document=document)

    def patterns(self, rng):
        """Expressions against each other, tried on all short strings."""
        def expression(depth):
            if depth == 0 or rng.random() < 0.2:
                return rng.choice(["a", "b", "1", "_", " ", "\\u00e9", ".", "\\d", "\\w", "\\s", "\\W", "\\b", "\\B",
                                   "[ab]", "[^a]", "[\\w-]", "[^\\s1]", "^", "$", "\\u2028?", "\\D"])
            inner = expression(depth - 1)
            return rng.choice([
                lambda: inner + expression(depth - 1), lambda: "(" + inner + "|" + expression(depth - 1) + ")",
                lambda: "(?:" + inner + ")*", lambda: "(?:" + inner + ")?", lambda: "(?:" + inner + "){1,2}",
                lambda: "(?:" + inner + ")+?", lambda: "^" + inner, lambda: inner + "$", lambda: "^" + inner + "$",
            ])()
        found = []
        while len(found) < 40:
            p, q = expression(3), expression(3)
            if rng.random() < 0.5:
                q = rng.choice([p + "?" if p.endswith(")") else p, "(" + p + "|" + q + ")", p.replace("^", ""), p.replace("a", "\\w")])
            if all(map(Maker.usable, ({"pattern": p}, {"pattern": q}))):
                found.append(({"type": "string", "pattern": p}, {"pattern": q}))
        answers, errors = ask(self.connection, [subset(p, q) for p, q in found])
        proved = [pair for pair, answer in zip(found, answers) if answer and answer["verdict"] == "proved"]
        wrong, _ = ask(self.connection, [
            "SELECT jsonb_agg(d) FROM jsonb_array_elements(%s) AS d WHERE mesh_outbox.is_valid(%s, d) AND NOT mesh_outbox.is_valid(%s, d)"
            % (literal(OTHER_STRINGS), literal(p), literal(q)) for p, q in proved])
        for (p, q), documents in zip(proved, wrong):
            if documents:
                self.fail("wrong proof about patterns", sub=p, super=q, documents=documents[:5])
        for (p, q), answer in zip(found, answers):
            if answer is None:
                # what engines read differently, ours refuses
                self.counts["patterns refused"] += 1
            elif answer["verdict"] == "proved":
                self.counts["patterns proved"] += 1
                self.judge_proved(p, q, SHORT_STRINGS, "all short strings")
            elif answer["verdict"] == "refuted":
                self.counts["patterns refuted"] += 1
                if answer["counterexample"].isascii() and "\r" not in answer["counterexample"]:
                    self.judge_refuted(p, q, answer["counterexample"])
            else:
                self.counts["patterns undecided"] += 1

    def readers(self, rng, triples):
        """P(new) against R(old), where R is easy to say: nothing non-monotone."""
        def opened(schema):
            if isinstance(schema, dict):
                return {k: opened(v) for k, v in schema.items()
                        if k not in ("additionalProperties", "unevaluatedProperties") or v is not False}
            return [opened(v) for v in schema] if isinstance(schema, list) else schema
        pairs = [(a, b) for a, b, _ in triples
                 if not any('"%s"' % k in json.dumps(a) for k in ("not", "if", "oneOf", "maxContains", "const", "enum"))]
        answers, _ = ask(self.connection, [
            "SELECT to_jsonb(c) FROM mesh_outbox.check_compatibility(%s, %s, 'FORWARD') AS c WHERE direction = 'FORWARD' LIMIT 1"
            % (literal(a), literal(b)) for a, b in pairs])
        proved = [pair for pair, answer in zip(pairs, answers) if answer and answer["verdict"] == "proved"]
        self.counts["reader proofs tried"] += len(proved)
        wrong, _ = ask(self.connection, [
            "SELECT jsonb_agg(d) FROM (SELECT example FROM mesh_outbox.generate_examples(%s, 100, 1, false, true)"
            " UNION ALL SELECT jsonb_array_elements(%s)) AS e(d)"
            " WHERE NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(%s, d, closed => true))"
            " AND EXISTS (SELECT FROM mesh_outbox.schema_violations(%s, d))"
            % (literal(b), literal(POOL), literal(b), literal(opened(a))) for a, b in proved])
        for (a, b), documents in zip(proved, wrong):
            if documents:
                self.fail("wrong proof about a reader", old=a, new=b, documents=documents[:3])

    def one_round(self, number):
        self.round = number
        rng = random.Random(self.seed * 1000003 + number)
        maker = Maker(rng)
        triples = []
        while len(triples) < 25:
            a = rng.choice(REALISTIC) if maker.chance(0.4) else maker.schema(3)
            a = maker.mutate(a) if maker.chance(0.5) else a
            b = maker.mutate(a)
            c = maker.mutate(b) if maker.chance(0.8) else maker.schema(3)
            if all(map(maker.usable, (a, b, c))):
                triples.append((a, b, c))
        self.literal_pairs(rng, triples)
        self.closed_pairs(rng, triples)
        self.readers(rng, triples)
        self.patterns(rng)

    def literal_pairs(self, rng, triples):
        pairs = []
        for a, b, c in triples:
            ref = {"$defs": {"it": a}, "$ref": "#/$defs/it"} if isinstance(a, dict) and "$defs" not in a else a
            turned = json.loads(json.dumps(a))
            if isinstance(turned, dict):
                turned = dict(reversed(list(turned.items())))
            pairs += [(a, b), (b, a), (b, c), (a, c),
                      (a, a), (a, {"anyOf": [a, b]}), ({"allOf": [a, b]}, a), (ref, turned)]
        # references move when a schema is put below another
        for n in range(0, len(pairs), 8):
            if "#/$defs/node" in json.dumps(pairs[n:n + 8]):
                pairs[n + 5:n + 8] = [pairs[n + 4]] * 3
        answers, errors = ask(self.connection, [subset(s, t) for s, t in pairs])
        wanted = []
        for n, ((sub, sup), answer) in enumerate(zip(pairs, answers)):
            if answer is None:
                self.fail("an error: " + errors[-300:], sub=sub, super=sup)
                continue
            self.counts[answer["verdict"]] += 1
            if answer["verdict"] == "undecided":
                self.undecided[answer["undecided_by"] or answer["reason"]] += 1
            if n % 8 >= 4 and answer["verdict"] == "refuted":
                self.fail("does not agree with itself", sub=sub, super=sup, answer=answer)
            elif answer["verdict"] == "refuted":
                self.judge_refuted(sub, sup, answer["counterexample"])
            elif answer["verdict"] == "proved" and n % 8 < 4:
                wanted.append((sub, sup))
        for n in range(0, len(pairs), 8):
            ab, bc, ac = answers[n], answers[n + 2], answers[n + 3]
            if ab and bc and ac and ab["verdict"] == bc["verdict"] == "proved" and ac["verdict"] == "refuted":
                self.fail("not transitive", a=pairs[n][0], b=pairs[n][1], c=pairs[n + 2][1])
        made, _ = ask(self.connection, [examples(sub, 900, rng.randrange(1 << 30), False) for sub, _ in wanted])
        for n, ((sub, sup), documents) in enumerate(zip(wanted, made)):
            self.judge_proved(sub, sup, documents or [], "generate_examples")
            self.judge_proved(sub, sup, POOL, "the pool")
            if n % 10 == 0:
                self.judge_proved(sub, sup, from_hypothesis(sub, 60), "hypothesis-jsonschema")

    def closed_pairs(self, rng, triples):
        statements = []
        for a, b, _ in triples:
            for old, new in ((a, b), (a, a)):
                statements.append(
                    "SELECT jsonb_agg(to_jsonb(c)) FROM mesh_outbox.check_compatibility(%s, %s, 'FULL') AS c"
                    % (literal(old), literal(new)))
        answers, errors = ask(self.connection, statements)
        later = []
        for n, rows in enumerate(answers):
            a, b, _ = triples[n // 2]
            if rows is None:
                self.fail("an error: " + errors[-300:], old=a, new=b if n % 2 == 0 else a)
                continue
            for row in rows:
                self.counts["closed " + row["verdict"]] += 1
                if row["verdict"] == "undecided" and "does not confirm" in row["reason"]:
                    self.fail("the validator reads a closed contract otherwise", old=a,
                              new=b if n % 2 == 0 else a, answer=row)
                if n % 2 == 1 and row["verdict"] == "refuted":
                    self.fail("a contract is not compatible with itself", schema=a, answer=row)
                if n % 2 == 0 and row["verdict"] == "proved" and row["direction"] == "PRODUCERS":
                    later.append((a, b))
        checks = []
        for a, b in later:
            checks.append(
                "SELECT jsonb_agg(e.example) FROM mesh_outbox.generate_examples(%s, 60, %d, false, true) AS e"
                " WHERE EXISTS (SELECT FROM mesh_outbox.schema_violations(%s, e.example, closed => true))"
                % (literal(a), rng.randrange(1 << 30), literal(b)))
            checks.append(
                "SELECT jsonb_agg(d) FROM jsonb_array_elements(%s) AS d"
                " WHERE NOT EXISTS (SELECT FROM mesh_outbox.schema_violations(%s, d, closed => true))"
                " AND EXISTS (SELECT FROM mesh_outbox.schema_violations(%s, d, closed => true))"
                % (literal(POOL), literal(a), literal(b)))
        wrong, _ = ask(self.connection, checks)
        self.counts["closed proofs tried"] += len(later)
        for n, documents in enumerate(wrong):
            if documents:
                self.fail("wrong proof about closed contracts", old=later[n // 2][0], new=later[n // 2][1],
                          documents=documents[:3])


def main():
    connection, seconds, seed = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    fuzz = Fuzz(connection, seed)
    end = time.monotonic() + seconds
    number = int(sys.argv[4]) if len(sys.argv) > 4 else 0
    only = len(sys.argv) > 4
    while time.monotonic() < end and len(fuzz.failures) < 20:
        fuzz.one_round(number)
        number += 1
        if only:
            break
    for what, count in sorted(fuzz.counts.items()):
        print("%8d %s" % (count, what))
    for what, count in fuzz.undecided.most_common(12):
        print("%8d undecided: %s" % (count, what))
    print("seed %d, %d rounds" % (seed, number))
    checked = fuzz.counts["proved"] + fuzz.counts["refuted"] + fuzz.counts["closed proofs tried"] + \
        fuzz.counts["reader proofs tried"] + fuzz.counts["patterns proved"] + fuzz.counts["patterns refuted"]
    print("%d passed, %d failed" % (checked, len(fuzz.failures)))
    return 1 if fuzz.failures or checked == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
