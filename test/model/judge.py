"""What a starting pair concludes from M, its own WAL and its slot."""
from state import HISTORY, history, progress


def history_finding(cfg, me, inst, m):
    """M (and the dead letter it relies on) must lie in my past."""
    past = history(cfg, me, inst)
    if m.branch not in past:
        return HISTORY
    if m.lsn > inst.flushed:
        return 'M is beyond my flushed WAL'
    if cfg.fork_lsn:
        fork = past[m.branch]
        if m.lsn > fork or cfg.carry_relies and m.relies > fork:
            return 'M, or what it relies on, is beyond my fork'
        if m.relies > inst.flushed:
            return 'M relies on WAL that I do not have'
    return ''


def slot_finding(inst, m):
    if inst.slot > max(m.lsn, progress(inst.wal)[1]):
        return 'S > max(M, P): somebody moved the slot'
    return ''


def identity_finding(cfg, inst, m):
    """The transaction at M must be M's: P knows it, or the WAL behind S shows it."""
    if m.lsn == 0:
        return ''
    p = progress(inst.wal)
    if cfg.unverifiable == 'progress' and p[1] >= m.lsn:
        return '' if p[2:4] == (m.lsn, m.txn) else 'M is not the one my P was written against'
    if m.lsn > inst.slot:
        found = m.lsn <= len(inst.wal) and inst.wal[m.lsn - 1] == m.txn
        return '' if found else 'the transaction at M is not M\'s'
    return 'M cannot be confirmed' if cfg.unverifiable == 'stop' else ''
