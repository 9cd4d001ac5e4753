#!/usr/bin/env python3
"""Runs the model: `check.py quick|all|big`, or `check.py SCENARIO [field=value …]`.

The first form prints a line per case and a closing line `N passed, N failed`;
a case passes when its verdict begins with what is expected. The second form
explores one scenario, with fields of Config overridden, and prints the trace
of what it finds.
"""
import ast
import multiprocessing
import os
import re
import sys

from explore import Result, find_duel, run
from scenarios import (ABLATIONS, BIG, DUELS, FIRST, LARGE_ABLATIONS, LARGE_DUELS, RULES,
                       SCENARIOS, SEEDS, config)

QUICK_LIMIT = 10_000     # states; larger scenarios are cut off, and say so
ALL_LIMIT = 5_000_000
BIG_LIMIT = 200_000_000


def cases(what):
    """[(kind, name, scenario, changes, expected, limit)]"""
    limit = {'quick': QUICK_LIMIT, 'all': ALL_LIMIT, 'big': BIG_LIMIT}[what]
    if what == 'big':
        return [('rules',) + c + (limit,) for c in BIG]
    chosen = [('seeded bug',) + c + (ALL_LIMIT,) for c in SEEDS]
    chosen += [('ablation',) + c + (ALL_LIMIT,) for c in ABLATIONS]
    chosen += [('rules',) + c + (limit,) for c in RULES]
    chosen += [('duel',) + c + (ALL_LIMIT,) for c in DUELS]
    if what == 'all':
        chosen += [('ablation',) + c + (limit,) for c in LARGE_ABLATIONS + FIRST]
        chosen += [('duel',) + c + (limit,) for c in LARGE_DUELS]
    return chosen


def judge(case):
    kind, name, scenario, changes, expected, limit = case
    cfg = config(scenario, changes, limit)
    try:
        result = find_duel(cfg) if kind == 'duel' else run(cfg)
    except Exception as error:          # a broken model is a failed case, not a lost one
        result = Result(verdict='error: %r' % error)
    if expected == 'holds':
        passed = result.holds
    elif expected:
        passed = result.verdict.startswith(expected)
    else:
        passed = not result.holds and not result.verdict.startswith('error')
    return case, result, passed


def report(case, result, passed):
    kind, name, scenario = case[:3]
    print('%-4s %-10s %-46s %-18s %8d states %6.1f s  %s' % (
        'ok' if passed else 'FAIL', kind, name, scenario, result.states, result.seconds,
        result.verdict), flush=True)
    if not passed:
        print('     expected: %s' % (case[4] or 'a violation'))
        for line in result.trace:
            print('       ' + line)


def unnamed_or_unused(taken):
    """Steps that STEPS.md does not list, and listed ones that no run took."""
    listed, section = {}, ''
    for line in open(os.path.join(os.path.dirname(os.path.abspath(__file__)), 'STEPS.md')):
        if line.startswith('## '):
            section = line
        elif line.startswith('| `'):
            for name in re.findall('`(.*?)`', line.split('|')[1]):
                listed[name] = 'Outside the model' not in section
    taken = {name for steps in taken for name in steps.split(', ')}
    return sorted((taken - set(listed)) | {n for n, modelled in listed.items()
                                           if modelled and n not in taken})


def run_cases(what):
    failed = passed = states = 0
    taken = set()
    with multiprocessing.Pool(2, maxtasksperchild=1) as pool:
        for case, result, ok in pool.imap(judge, cases(what), chunksize=1):
            report(case, result, ok)
            states += result.states
            taken |= result.steps
            passed, failed = passed + ok, failed + (not ok)
    if what != 'big':
        wrong = unnamed_or_unused(taken)
        print('%-4s %-10s %s' % ('FAIL' if wrong else 'ok', 'names',
                                 'STEPS.md and the model agree' if not wrong else wrong))
        passed, failed = passed + (not wrong), failed + bool(wrong)
    print('%d states' % states)
    print('%d passed, %d failed' % (passed, failed))
    return 1 if failed else 0


def run_one(scenario, overrides):
    changes = {}
    for text in overrides:
        key, value = text.split('=', 1)
        try:
            changes[key] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            changes[key] = value
    result = run(config(scenario, changes))
    print('%s: %s, %d states, %d edges, %.1f s' % (
        scenario, result.verdict, result.states, result.edges, result.seconds))
    for line in result.trace:
        print('  ' + line)
    return 0 if result.holds else 1


def main(arguments):
    what = arguments[0] if arguments else 'quick'
    if what in ('quick', 'all', 'big'):
        return run_cases(what)
    if what in SCENARIOS:
        return run_one(what, arguments[1:])
    print(__doc__)
    print('scenarios: ' + ', '.join(SCENARIOS))
    return 2


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
