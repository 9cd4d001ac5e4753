"""What is done to the system, in which order: a function of seed, number of
rounds and the fault points that are compiled in.  Nothing else decides."""
import os
import random
import re
from collections import namedtuple

Round = namedtuple("Round", "kind what amount")

# Faults from outside; weights of the random draw.
WORLD = [
    (Round("kill", "publisher", 0), 6),
    (Round("kill", "scribe", 0), 4),
    (Round("kill", "postmaster", 0), 4),
    (Round("kill", "broker", 0), 3),
    (Round("stop", "broker", 2), 3),
    (Round("stop", "publisher", 2), 2),
    (Round("stop", "scribe", 1), 1),
    (Round("restart", "both", 0), 2),
    (Round("restart", "server", 0), 3),
    (Round("restart", "immediate", 0), 3),
    (Round("fence", "", 0), 3),
    (Round("pause", "", 0), 1),
    (Round("broker and publisher", "", 0), 2),
]
# Once a run at least, and once for every so many rounds.
ONCE = [
    Round("huge", "whole", 3000),
    Round("huge", "split", 12000),
    Round("huge", "dead end", 12000),
    Round("huge", "dead part", 10000),
    Round("clone", "behind", 0),
    Round("clone", "diverged", 0),
]
ONCE_EVERY = 60


def fault_points(tree):
    """The names in the sources that are under test."""
    names = set()
    for folder, _, files in os.walk(os.path.join(tree, "src")):
        for f in files:
            if f.endswith(".c"):
                with open(os.path.join(folder, f)) as src:
                    names |= set(re.findall(r'MO_FAULT_POINT\("([a-z0-9_]+)"\)', src.read()))
    return sorted(names)


def plan(seed, rounds, names):
    """Every named boundary once, then random ones, mixed; the promotion, after
    which another server is the primary, comes last."""
    rng = random.Random(f"plan/{seed}")
    result = [Round("step", n, 1) for n in names]
    for _ in range(1 + rounds // (2 * ONCE_EVERY)):
        result += ONCE
    kinds, weights = zip(*WORLD)
    # Each kind of outside fault at least once, too.
    result += kinds
    while len(result) < rounds - 1:
        if names and rng.random() < 0.4:
            result.append(Round("step", rng.choice(names), rng.choice([1, 1, 2, 3])))
        else:
            result.append(rng.choices(kinds, weights)[0])
    rng.shuffle(result)
    return result + [Round("promote", "synchronous", 0)]
