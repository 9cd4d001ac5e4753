"""Breadth-first exploration, traces, liveness, and the search for duels."""
import gc
import time
from array import array
from dataclasses import dataclass, field

from promises import good_end, violation
from state import canonical, initial
from world import successors

# States are tuples without cycles: nothing for the collector to find.
gc.disable()


@dataclass
class Result:
    verdict: str = 'holds'        # 'holds', 'cut off', or the violated promise
    states: int = 0
    edges: int = 0
    seconds: float = 0.0
    trace: list = field(default_factory=list)
    steps: set = field(default_factory=set)      # names of all steps taken

    @property
    def holds(self):
        return self.verdict in ('holds', 'cut off')


class Space:
    """The reachable states by number, in breadth-first order."""

    def __init__(self, cfg):
        self.cfg = cfg
        first = canonical(initial(cfg))
        self.number = {first: 0}
        self.states = [first]
        self.parent = array('i', [-1])
        self.into = [array('i')]      # fault-free predecessors
        self.edges = 0
        self.steps = set()
        self.complete = False

    def explore(self, check=violation):
        """Returns (violation, state number), or None when all was seen or the limit is met."""
        cfg, k = self.cfg, 0
        while k < len(self.states):
            for _, step, _, after, fault in successors(cfg, self.states[k]):
                after = canonical(after)
                self.steps.add(step)
                self.edges += 1
                n = self.number.get(after)
                if n is None:
                    n = self.add(after, k)
                    bad = check(cfg, after)
                    if bad:
                        return bad, n
                if not fault and n != k:
                    self.into[n].append(k)
            k += 1
            if len(self.states) > cfg.limit:
                return None
        self.complete = True
        return None

    def add(self, state, parent):
        n = len(self.states)
        self.number[state] = n
        self.states.append(state)
        self.parent.append(parent)
        self.into.append(array('i'))
        return n

    def first_hopeless(self):
        """The nearest state without a fault-free way to a good end, and how many there are."""
        hopeful = bytearray(len(self.states))
        stack = [n for n, s in enumerate(self.states) if good_end(self.cfg, s)]
        for n in stack:
            hopeful[n] = 1
        while stack:
            for p in self.into[stack.pop()]:
                if not hopeful[p]:
                    hopeful[p] = 1
                    stack.append(p)
        hopeless = len(hopeful) - sum(hopeful)
        return (hopeful.index(0) if hopeless else -1), hopeless

    def trace(self, n):
        path = []
        while n >= 0:
            path.append(n)
            n = self.parent[n]
        path.reverse()
        return [self.label(a, self.states[b]) for a, b in zip(path, path[1:])]

    def label(self, n, wanted):
        for who, step, detail, after, fault in successors(self.cfg, self.states[n]):
            if canonical(after) == wanted:
                return describe(who, step, detail, fault)
        raise AssertionError('no such edge')

    def walk_on(self, n):
        """Where a hopeless state ends without faults: one way, as an illustration."""
        seen, labels, state = {n}, [], self.states[n]
        while True:
            for who, step, detail, after, fault in successors(self.cfg, state):
                after = canonical(after)
                if not fault and self.number[after] not in seen:
                    seen.add(self.number[after])
                    labels.append('  then ' + describe(who, step, detail, fault))
                    state = after
                    break
            else:
                return labels


def describe(who, step, detail, fault):
    text = ' '.join(str(x) for x in (who and who + ':', step, detail) if x != '')
    return '! ' + text if fault else '  ' + text


def run(cfg):
    began = time.time()
    space = Space(cfg)
    bad = space.explore()
    result = Result(states=len(space.states), edges=space.edges, steps=space.steps)
    if bad:
        result.verdict, result.trace = bad[0], space.trace(bad[1])
    elif not space.complete:
        result.verdict = 'cut off'
    else:
        n, count = space.first_hopeless()
        if n >= 0:
            s = space.states[n]
            result.verdict = 'no way to a good end from %d states (A %s %s, B %s %s)' % (
                count, s.a.pc, s.a.why, s.b.pc, s.b.why)
            result.trace = space.trace(n) + space.walk_on(n)
    result.seconds = time.time() - began
    return result


# ---- duels ----------------------------------------------------------------------

BACKOFF = ('start_backoff', 'fenced_backoff')


def find_duel(cfg):
    """A fault-free cycle without a back-off step, as labels; None if there is none.

    A back-off is random and grows, so a cycle through one ends by itself.
    """
    began = time.time()
    space = Space(cfg)
    space.explore(check=lambda cfg, state: '')
    if not space.complete:
        raise RuntimeError('the scenario is too large for the duel check')
    ahead = [[] for _ in space.states]
    for n, state in enumerate(space.states):
        for who, step, detail, after, fault in successors(cfg, state):
            m = space.number[canonical(after)]
            if not fault and m != n and not (cfg.random_backoff and step in BACKOFF):
                ahead[n].append(m)
    cycle = find_cycle(ahead)
    result = Result(states=len(space.states), edges=space.edges, steps=space.steps)
    if cycle:
        result.verdict = 'duel of %d steps' % len(cycle)
        ring = cycle + cycle[:1]
        result.trace = space.trace(cycle[0]) + ['  -- from here on for ever --'] + [
            space.label(a, space.states[b]) for a, b in zip(ring, ring[1:])]
    result.seconds = time.time() - began
    return result


def find_cycle(ahead):
    """Depth-first search: the first cycle met, as state numbers."""
    WHITE, GREY, BLACK = 0, 1, 2
    colour = bytearray(len(ahead))
    for root in range(len(ahead)):
        if colour[root] != WHITE:
            continue
        path, todo = [root], [iter(ahead[root])]
        colour[root] = GREY
        while todo:
            for n in todo[-1]:
                if colour[n] == GREY:
                    return path[path.index(n):]
                if colour[n] == WHITE:
                    colour[n] = GREY
                    path.append(n)
                    todo.append(iter(ahead[n]))
                    break
            else:
                colour[path.pop()] = BLACK
                todo.pop()
    return None
