"""Everything that can happen next: both pairs, PostgreSQL, Kafka and the faults.

`successors` yields (who, step, detail, state, fault). The edges marked as
faults (crashes, promotions, meddling) are what must be survived; the others
alone must lead to a good end from everywhere (see promises.py).
"""
import kafka as broker
from protocol import next_id, released_by, steps
from state import INFINITE, Instance, State, begin, fresh_incarnation, progress

IDLE = ('off', 'slot', 'slot_made', 'stopped', 'read', 'verify', 'fence0', 'fence1', 'fence2',
        'read_fenced', 'verify_fenced', 'claim', 'fenced',
        'fenced_judge', 'again0', 'again1', 'again2', 'again_read')


def successors(cfg, state):
    fresh = fresh_incarnation(state)
    for me in 'AB':
        inst = state.a if me == 'A' else state.b
        if inst.server != 'U':
            continue

        def put(kafka, after, spent=0, me=me):
            a, b = (after, state.b) if me == 'A' else (state.a, after)
            return State(kafka, a, b, state.faults - spent, state.revivals)

        for step, detail, kafka, after in steps(cfg, me, state.kafka, inst, fresh):
            yield me, step, detail, put(kafka, after), False
        for step, detail, after in postgres(cfg, me, inst, state):
            yield me, step, detail, put(state.kafka, after), False
        if state.faults > 0:
            for step, detail, kafka, after in crashes(cfg, me, state.kafka, inst):
                yield me, step, detail, put(kafka, after, 1), True
    for step, detail, kafka, fault in coordinator(cfg, state):
        yield '', step, detail, state._replace(kafka=kafka, faults=state.faults - fault), bool(fault)
    if cfg.grow and not state.kafka.grown:
        yield '', 'topic_grow', '', state._replace(kafka=state.kafka._replace(grown=True)), True
    if cfg.mode in ('async', 'sync'):
        yield from failover(cfg, state)
    if cfg.mode == 'clone' and state.faults > 0 and 'lost' in cfg.kinds:
        for me in 'AB':
            inst = state.a if me == 'A' else state.b
            if inst.server == 'U':
                gone = switch_off(inst)._replace(server='D', asked=())
                left = state._replace(faults=state.faults - 1)
                yield me, 'instance_lost', '', (
                    left._replace(a=gone) if me == 'A' else left._replace(b=gone)), True


def postgres(cfg, me, inst, state):
    source = cfg.source_a if me == 'A' else cfg.source_b
    if inst.taken < len(source):
        entry = source[inst.taken]
        wal = inst.wal + (entry,)
        if entry[0] == 'T':
            step, detail = 'source_prepare', entry[1]
        elif entry[0] == 'X':
            step, detail = 'source_rollback_prepared', entry[1]
        elif ('T', entry) in inst.wal:
            step, detail = 'source_commit_prepared', entry
        else:
            step, detail = 'source_commit', entry
        yield step, detail, inst._replace(
            wal=wal, flushed=inst.flushed if cfg.async_commit else len(wal),
            taken=inst.taken + 1)
    if inst.flushed < len(inst.wal):
        yield 'wal_flush', len(inst.wal), inst._replace(flushed=len(inst.wal))
    if cfg.mode == 'sync' and me == 'A' and state.b.server == 'N':
        if inst.replicated < inst.flushed:
            yield ('standby_flush', inst.replicated + 1,
                   inst._replace(replicated=inst.replicated + 1))


def switch_off(inst):
    """The pair is gone; what the scribe was asked may still happen for a moment."""
    return inst._replace(pc='off', old=None, inc=None, read=None, at=None, next=None, queue=(),
                         dead=frozenset(), last_id=0, why='')


def crashes(cfg, me, kafka, inst):
    if inst.pc in ('stopped', 'off'):
        return
    if 'publisher' in cfg.kinds:
        yield 'crash_publisher', '', kafka, switch_off(inst)
    if 'server' in cfg.kinds:
        wal = inst.wal[:inst.flushed]
        source = cfg.source_a if me == 'A' else cfg.source_b
        taken = sum(1 for e in wal if e in source)
        slots = [-1] if inst.slot < 0 else range(min(begin(wal), inst.slot), inst.slot + 1)
        for slot in slots:
            yield ('crash_server', 'slot falls back to %d' % slot, kafka, switch_off(inst)._replace(
                asked=(), slot=slot, wal=wal, flushed=len(wal), taken=taken))
    if 'abort' in cfg.kinds and inst.pc == 'run':
        for k, b in enumerate(inst.queue):
            if b.stage in 'ap' and kafka.ids[b.id].owner == me:
                yield 'fault_abort, batch_abort', 'id %d' % b.id, *batch_abort(cfg, me, kafka, inst, k)


def batch_abort(cfg, me, kafka, inst, k):
    """The protocol's answer to an abortable error: abort, keep, produce again."""
    queue, last = list(inst.queue), inst.last_id
    for j in range(k, len(queue)):
        b = queue[j]
        if j > k and not cfg.abort_both:
            break
        if b.stage in 'ap' and kafka.ids[b.id].owner == me:
            kafka = broker.abort(kafka, b.id, me)
        elif b.stage != 'n':
            continue
        last = next_id(cfg, last, queue, j)
        queue[j] = b._replace(id=last, stage='n', left=())
    return kafka, inst._replace(queue=tuple(queue), last_id=last)


def coordinator(cfg, state):
    """yields (step, detail, kafka, faults spent)"""
    kafka = state.kafka
    for i, t in enumerate(kafka.ids):
        if t.state == 'C':
            for where in t.left:
                yield ('kafka_complete', 'id %d, %s' % (i, where),
                       broker.complete(cfg, kafka, i, where), 0)
        if t.state != 'O':
            continue
        if t.wire:
            yield 'kafka_decide', 'id %d' % i, broker.decide(cfg, kafka, i), 0
        elif orphan(state, i):
            yield 'kafka_abort_orphan', 'id %d' % i, broker.abort(kafka, i, None), 0
        if state.faults > 0 and 'timeout' in cfg.kinds:
            yield 'fault_timeout', 'id %d' % i, broker.abort(kafka, i, None), 1


def orphan(state, i):
    """Nobody will end this transaction, so the coordinator will."""
    inst = state.a if state.kafka.ids[i].owner == 'A' else state.b
    return inst.server != 'U' or inst.pc in IDLE or all(b.id != i for b in inst.queue)


def failover(cfg, state):
    a, b = state.a, state.b
    if b.server == 'N':
        first = a.replicated if cfg.mode == 'sync' else len(cfg.base)
        last = a.replicated if cfg.mode == 'sync' else a.flushed
        for lsn in range(first, last + 1):
            yield from promotion(cfg, state, lsn)
    elif a.server == 'U':
        gone = switch_off(a)._replace(server='D', asked=())
        yield 'A', 'primary_lost', '', state._replace(a=gone), True
    elif state.revivals > 0:
        yield ('A', 'revival', '', state._replace(
            a=a._replace(server='U'), revivals=state.revivals - 1), True)


def promotion(cfg, state, lsn):
    a = state.a
    wal = a.wal[:lsn]
    # An entry of B's source that A's WAL brought along has happened already:
    # a transaction prepared on A may be committed on either side of the fork.
    source = cfg.source_b
    taken = 0
    while taken < len(source) and source[taken] in wal:
        taken += 1
    for slot in {s for s in (0, a.slot) if s <= lsn}:
        # S passed M only after P was on the standby that receives the slot.
        if cfg.standby_first:
            m = broker.marker_decided(state.kafka)
            if slot > max(released_by(cfg, m), progress(wal)[1]):
                continue
        b = Instance('U', wal + (('F', lsn),), lsn + 1, taken, slot, INFINITE, 'off', None, None,
                     None, None, None, (), (), frozenset(), 0, '')
        where = 'at LSN %d with slot %d' % (lsn, slot)
        yield 'B', 'promotion', where + ', A goes on', state._replace(b=b), True
        gone = switch_off(a)._replace(server='D', asked=())
        yield 'B', 'promotion', where + ', A is gone', state._replace(a=gone, b=b), True
