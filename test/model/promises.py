"""What must be true in every state, and what counts as a good end.

Safety, in every reachable state (`violation`):
  order     what a read-committed consumer sees of a partition is, for at least
            one instance, its events of that partition in commit order: nothing
            skipped, repeated, foreign, or published and dead-lettered at once;
            for an instance that owns the stream, for that very instance
  whole     a transaction is decided as a whole (unless it is a split one)
  once      no dead letter is recorded twice
  slot      S never passes max(M, P), nor the middle of a split transaction

Liveness, without further faults (`good_end` must be reachable from everywhere):
  an owner runs and has dealt with everything, or everyone stopped for a reason
  that the state justifies.
"""
from kafka import decided, marker_decided, marker_pending, marker_uncommitted, visible
from protocol import covers
from state import CLOSING, HISTORY, OTHER, begin, dead_letters, is_commit, partition, progress


def judge_log(cfg, seen, wal):
    """(in order?, complete?, why not) of all partitions' visible events"""
    dead = dead_letters(wal)
    first = begin(wal)
    due = [(e, i) for e in wal[first:] if is_commit(e) for i in range(len(cfg.rows[e]))]
    complete = True
    for p in range(cfg.partitions):
        here = [x for x in due if partition(cfg, *x) == p] if cfg.partitions > 1 else due
        ok, all_there, why = judge_partition(seen[p], here, dead)
        if not ok:
            return False, False, why
        complete = complete and all_there
    return True, complete, ''


def judge_partition(seen, due, dead):
    k = 0
    for event in seen:
        if event[1] == CLOSING:
            continue
        key = event[:2]
        if key in dead:
            return False, False, '%s.%d is published and a dead letter' % key
        if key not in due:
            return False, False, '%s.%d does not belong here' % key
        if key in due[:k]:
            return False, False, '%s.%d is repeated or out of order' % key
        while due[k] != key:
            if due[k] not in dead:
                return False, False, '%s.%d is missing before %s.%d' % (due[k] + key)
            k += 1
        k += 1
    return True, all(x in dead for x in due[k:]), ''


def violation(cfg, state):
    kafka, a, b = state.kafka, state.a, state.b
    seen = [visible(kafka, p) for p in range(cfg.partitions)]
    judged = {'A': judge_log(cfg, seen, a.wal)}
    if b.server != 'N':
        judged['B'] = judge_log(cfg, seen, b.wal)
    if not any(j[0] for j in judged.values()):
        return 'order: ' + '; '.join('%s: %s' % (n, j[2]) for n, j in judged.items())
    m = marker_decided(kafka)
    for me, inst in (('A', a), ('B', b)):
        if inst.server != 'U':
            continue
        letters = [e[:3] for e in inst.wal if e[0] == 'D']
        if len(letters) != len(set(letters)):
            return 'once: dead letter recorded twice on ' + me
        if inst.pc == 'run' and m.inc == inst.inc:
            if not judged[me][0]:
                return 'order: %s owns the stream but %s' % (me, judged[me][2])
            p = progress(inst.wal)[1]
            if inst.slot > max(m.lsn, p):
                return 'slot: %s has S=%d > max(M=%d, P=%d)' % (me, inst.slot, m.lsn, p)
            if inst.slot == m.lsn and inst.slot > p and not covers(cfg, m):
                return 'slot: S covers an unfinished split transaction'
    return not_whole(cfg, state, seen)


def not_whole(cfg, state, seen):
    started = {e[0] for part in seen for e in part} - set(cfg.large)
    if not started:
        return ''
    known = decided(state.kafka) | dead_letters(state.a.wal) | dead_letters(state.b.wal)
    for txn in started:
        missing = [i for i in range(len(cfg.rows[txn])) if (txn, i) not in known]
        if missing:
            return 'whole: %s is visible without its rows %s' % (txn, missing)
    return ''


def finished(cfg, me, state):
    """This instance owns the stream and has dealt with everything."""
    kafka, inst = state.kafka, state.a if me == 'A' else state.b
    if inst.server != 'U' or inst.pc != 'run' or inst.queue or inst.asked:
        return False
    if marker_pending(kafka) or any(t.owner != me or t.state == 'C' for t in kafka.ids):
        return False
    source = cfg.source_a if me == 'A' else cfg.source_b
    if inst.taken < len(source) or inst.flushed < len(inst.wal):
        return False
    if marker_uncommitted(kafka).inc != inst.inc:
        return False
    seen = [visible(kafka, p) for p in range(cfg.partitions)]
    in_order, complete, _ = judge_log(cfg, seen, inst.wal)
    if not (in_order and complete):
        return False
    flat = [e for part in seen for e in part]
    for txn in cfg.large:
        parts = [e for e in flat if e[0] == txn]
        if txn in inst.wal and parts and not any(e[2] for e in parts):
            return False
    return True


def good_end(cfg, state):
    if finished(cfg, 'A', state) or finished(cfg, 'B', state):
        return True
    up = [(n, i) for n, i in (('A', state.a), ('B', state.b)) if i.server == 'U']
    if any(i.pc != 'stopped' for _, i in up):
        return False
    if marker_pending(state.kafka) or any(t.state != 'E' for t in state.kafka.ids):
        return False
    return all(justified(cfg, state, me, inst, len(up)) for me, inst in up)


def justified(cfg, state, me, inst, up):
    """It stopped because the stream is really not its own."""
    other = state.b if me == 'A' else state.a
    failover = cfg.mode in ('async', 'sync')
    seen = [visible(state.kafka, p) for p in range(cfg.partitions)]
    m, wal = marker_uncommitted(state.kafka), inst.wal
    if not judge_log(cfg, seen, wal)[0]:
        return True
    if m.lsn > 0 and (m.lsn > len(wal) or wal[m.lsn - 1] != m.txn):
        return True
    if cfg.carry_relies and m.relies > 0 and (m.relies > len(wal) or wal[m.relies - 1][0] != 'D'):
        return True
    # An old primary may stop for the new one, which judges for itself.
    if failover and me == 'A' and other.server != 'N' and inst.why in (OTHER, HISTORY):
        if other.server == 'D' or up == 2:
            return True
    return inst.why == OTHER and other.server != 'U' and not (failover and me == 'B')
