"""The broker's side: transactions, control records, what a consumer can see.

Checked against Apache Kafka's sources and a running 4.3: among the committed
offsets of one group and partition the one *appended* later counts, whatever
the order of the commits. A commit is decided at the coordinator and reaches
each partition by a control record of its own, in any order; until all are
written, the transactional id answers CONCURRENT_TRANSACTIONS. An abort is one
step here: splitting it would delay consumers and change nothing else.
"""
from state import NO_MARKER, TxnId

MARKERS = 'm'       # the marker's partition in TxnId.left


def set_id(kafka, i, value):
    return kafka._replace(ids=kafka.ids[:i] + (value,) + kafka.ids[i + 1:])


def append(kafka, p, events, i):
    log = list(kafka.log)
    log[p] += tuple((e, i) for e in events if e[3] == p)
    return kafka._replace(log=tuple(log))


def send_offsets(kafka, i, marker):
    return kafka._replace(offsets=kafka.offsets + ((i, marker),))


def abort(kafka, i, owner):
    log = tuple([tuple([r for r in part if r[1] != i]) for part in kafka.log])
    offsets = tuple([r for r in kafka.offsets if r[0] != i])
    return set_id(kafka._replace(log=log, offsets=offsets), i, TxnId(owner, 'E'))


def decide(cfg, kafka, i):
    left = tuple(range(cfg.partitions)) + (MARKERS,) if cfg.fine else ('all',)
    return set_id(kafka, i, TxnId(kafka.ids[i].owner, 'C', False, left))


def complete(cfg, kafka, i, where):
    """Write the control record of id i to one partition (or to all at once)."""
    log, offsets = kafka.log, kafka.offsets
    if where != MARKERS:
        log = tuple([tuple([(e, -1 if src == i else src) for e, src in part])
                     if where in ('all', p) else part for p, part in enumerate(log)])
    if where in ('all', MARKERS):
        offsets = _materialise(cfg, offsets, i)
    left = tuple(x for x in kafka.ids[i].left if x != where)
    owner = kafka.ids[i].owner
    value = TxnId(owner, 'C', False, left) if left else TxnId(owner, 'E')
    return set_id(kafka._replace(log=log, offsets=offsets), i, value)


def _materialise(cfg, offsets, i):
    if cfg.bug_later_commit_wins:
        mine = [m for src, m in offsets if src == i]
        rest = [r for r in offsets if r[0] not in (i, -1)]
        return tuple(([(-1, mine[0])] if mine else [r for r in offsets if r[0] == -1]) + rest)
    now = [(-1 if src == i else src, m) for src, m in offsets]
    last = max((k for k, r in enumerate(now) if r[0] == -1), default=-1)
    return tuple([r for k, r in enumerate(now) if r[0] != -1 or k == last])


def marker_uncommitted(kafka):
    """M as a read-uncommitted fetch returns it: what is materialised now."""
    found = NO_MARKER
    for src, m in kafka.offsets:
        if src == -1:
            found = m
    return found


def marker_decided(kafka):
    """M as it will be when every decided commit is complete."""
    found = NO_MARKER
    for src, m in kafka.offsets:
        if src == -1 or kafka.ids[src].state == 'C':
            found = m
    return found


def marker_pending(kafka):
    """A read-committed fetch waits as long as this is true."""
    return any(src >= 0 for src, _ in kafka.offsets)


def visible(kafka, p):
    """What a read-committed consumer has of a partition: all below its LSO."""
    seen = []
    for event, src in kafka.log[p]:
        if src != -1:
            break
        seen.append(event)
    return seen


def decided(kafka):
    """Events whose commit is decided, visible already or not."""
    return {e[:2] for part in kafka.log for e, src in part
            if src == -1 or kafka.ids[src].state == 'C'}
