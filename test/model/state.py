"""The state: Kafka, two PostgreSQL instances with their pairs, and budgets.

Everything is a tuple, so that a state can be a key. A WAL is a tuple of
entries and an LSN is an index into it plus one (0: before everything):

    'a1'                      commit (or COMMIT PREPARED) of source transaction a1
    ('T', 'a1'), ('X', 'a1')  PREPARE and ROLLBACK PREPARED of it
    ('D', txn, ordinal, key)  a dead letter; key is the branch it is filed under
    ('P', lsn, M.lsn, M.txn)  the progress P, and the M it was written against
    ('Z', lsn, 0, None)       the first P, written when the slot is created
    ('F', lsn)                promotion: the branch 'b' begins here
"""
from typing import NamedTuple, Optional

INFINITE = 99
CLOSING = 99        # the ordinal of a closing record


class Marker(NamedTuple):
    lsn: int                  # commit LSN of the last transaction published
    ordinal: int              # rows of it that are published (matters when it is split)
    txn: Optional[str]        # stands for its xid and commit time
    branch: str               # the writer's own branch
    inc: tuple                # the writer's incarnation: (instance, number)
    relies: int               # R: LSN of the newest dead letter it relies on


class TxnId(NamedTuple):
    """A transactional id at its coordinator."""
    owner: Optional[str]      # who called init_transactions last
    state: str                # E empty, O open, C commit decided
    wire: bool = False        # a commit request is on the wire, or was left there by a crash
    left: tuple = ()          # C: where the control record is still missing


class Kafka(NamedTuple):
    log: tuple                # per partition: ((event, id or -1 when committed), …) as appended
    offsets: tuple            # the marker's partition: ((id or -1, Marker), …) as appended
    ids: tuple
    grown: bool               # the topic has more partitions than the product


class Batch(NamedTuple):
    id: int
    events: tuple             # ((txn, ordinal, last of its transaction, partition), …)
    at: tuple                 # marker position: (lsn, ordinal, txn)
    stage: str                # n new, a open, p marker sent, c commit sent
    left: tuple = ()          # partitions that lack its records


class Instance(NamedTuple):
    server: str               # U up, D dead, N not promoted yet
    wal: tuple
    flushed: int              # LSN
    taken: int                # source steps that have happened
    slot: int                 # S; -1: no slot
    replicated: int           # LSN flushed by the synchronous standby
    pc: str                   # where the pair is, see protocol.py
    old: Optional[tuple]      # O: the incarnation found at start
    inc: Optional[tuple]      # my incarnation
    read: Optional[Marker]    # M as read during a start
    at: Optional[tuple]       # position of the last marker known to be committed
    next: Optional[tuple]     # (lsn, ordinal) where planning goes on
    queue: tuple              # batches planned and not known to be committed
    asked: tuple              # what the scribe was asked and has not done
    dead: frozenset           # events known to be dead letters
    last_id: int              # transactional id of the last batch
    why: str                  # why it stopped


class State(NamedTuple):
    kafka: Kafka
    a: Instance
    b: Instance
    faults: int
    revivals: int


NO_MARKER = Marker(0, 0, None, 'a', ('0', 0), 0)

# Reasons that the judgement of a final state looks at.
OTHER = 'another incarnation owns the stream'
OWN = 'an unknown incarnation of mine owns the stream'
HISTORY = 'M is not in my history'


# ---- the WAL -----------------------------------------------------------------

def progress(wal):
    for entry in reversed(wal):
        if entry[0] in 'PZ':
            return entry
    return ('P', 0, 0, None)


def begin(wal):
    """Where the publisher's promise begins: at the slot's first position."""
    for entry in reversed(wal):
        if entry[0] == 'Z':
            return entry[1]
    return 0


def dead_letters(wal):
    return frozenset((e[1], e[2]) for e in wal if e[0] == 'D')


def last_dead_letter(wal):
    for i in range(len(wal), 0, -1):
        if wal[i - 1][0] == 'D':
            return i
    return 0


def is_commit(entry):
    return isinstance(entry, str)


def prepared_at(wal, txn):
    """LSN of the transaction's PREPARE, 0 if it had none."""
    entry = ('T', txn)
    return wal.index(entry) + 1 if entry in wal else 0


def open_prepared(wal):
    """Transactions that are prepared and neither committed nor rolled back."""
    return [e[1] for e in wal if e[0] == 'T' and e[1] not in wal and ('X', e[1]) not in wal]


def partition(cfg, txn, ordinal):
    where = cfg.parts.get(txn)
    return int(where[ordinal]) if where else 0


# ---- branches ----------------------------------------------------------------

def branch_of(cfg, name):
    return 'b' if name == 'B' and cfg.mode in ('async', 'sync') else 'a'


def history(cfg, name, inst):
    """branch -> highest LSN of it that belongs to this instance's past"""
    if branch_of(cfg, name) == 'b':
        fork = next(e for e in inst.wal if e[0] == 'F')
        return {'a': fork[1], 'b': INFINITE}
    return {'a': INFINITE}


# ---- the first state, and states that differ in names only --------------------

def initial(cfg):
    wal = tuple(cfg.base)
    ids = (TxnId(None, 'E'),) * cfg.ids
    kafka = Kafka(((),) * cfg.partitions, ((-1, NO_MARKER),), ids, False)
    a = Instance('U', wal, len(wal), 0, 0 if cfg.slot else -1,
                 len(wal) if cfg.mode == 'sync' else INFINITE,
                 'off', None, None, None, None, None, (), (), frozenset(), 0, '')
    b = a if cfg.mode == 'clone' else a._replace(server='N', wal=(), flushed=0)
    return State(kafka, a, b, cfg.faults, cfg.revivals)


def canonical(state):
    """Number incarnations by first appearance: their values mean nothing."""
    names = {}

    def rename(inc):
        if inc is not None and inc not in names:
            names[inc] = (inc[0], sum(1 for x in names if x[0] == inc[0]))
        return names.get(inc)

    def instance(i):
        if i.old is None and i.inc is None and i.read is None:
            return i
        old, inc = rename(i.old), rename(i.inc)
        read = i.read and i.read._replace(inc=rename(i.read.inc))
        return i._replace(old=old, inc=inc, read=read)

    offsets = tuple([(src, m._replace(inc=rename(m.inc))) for src, m in state.kafka.offsets])
    return State(state.kafka._replace(offsets=offsets), instance(state.a), instance(state.b),
                 state.faults, state.revivals)


def fresh_incarnation(state):
    used = [0] + [m.inc[1] + 1 for _, m in state.kafka.offsets]
    for inst in (state.a, state.b):
        used += [x[1] + 1 for x in (inst.old, inst.inc, inst.read and inst.read.inc) if x]
    return max(used)
