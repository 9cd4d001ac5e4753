"""What one publisher and its scribe do: the steps of STEPS.md.

`steps` yields (step, detail, kafka, instance) for everything that the pair of
one instance can do next. Where the pair is (`Instance.pc`):

    off → (slot → slot_made →) read → verify → fence0 → fence1 … → read_fenced →
    verify_fenced → claim → claim_wait → run
    fenced → fenced_judge after a _FENCED anywhere, and if M is still mine:
    again0 → again1 … → again_read → claim → claim_wait → run with the batches kept
    stopped: waits for a person
"""
import kafka as broker
from judge import history_finding, identity_finding, slot_finding
from kafka import marker_pending, marker_uncommitted, set_id
from state import (CLOSING, OTHER, OWN, Marker, TxnId, Batch, branch_of, dead_letters,
                   begin, history, is_commit, last_dead_letter, open_prepared, partition,
                   prepared_at, progress)

NOTHING = frozenset()


def steps(cfg, me, kafka, inst, fresh):
    if inst.server != 'U':
        return
    yield from scribe(cfg, me, kafka, inst)
    phase = PHASES.get(inst.pc)
    if phase:
        yield from phase(cfg, me, kafka, inst, fresh)


def stop(inst, why):
    return inst._replace(pc='stopped', why=why, queue=(), asked=(), dead=NOTHING, at=None,
                         next=None, old=None, inc=None, read=None)


def start_over(inst):
    return inst._replace(pc='read', old=None, why='', inc=None, read=None, at=None, next=None,
                         queue=(), asked=(), dead=NOTHING)


def fenced(inst):
    """A running publisher keeps its batches: perhaps only the coordinator lost it."""
    return inst._replace(pc='fenced', read=None)


def in_place(inst):
    return inst.at is not None


# ---- the scribe: works on for a moment when the publisher is gone ---------------

def scribe(cfg, me, kafka, inst):
    if not inst.asked:
        return
    request, wal = inst.asked[0], inst.wal
    kind = request[0]
    if kind in 'Dd':
        key = branch_of(cfg, me) if cfg.bug_dead_key else 'a'
        letter = ('D', request[1], request[2], key)
        if cfg.bug_dead_twice or letter not in wal:
            wal += (letter,)
    elif request[1] > progress(wal)[1]:
        wal += (request,)
    after = inst._replace(wal=wal, flushed=len(wal), asked=inst.asked[1:])
    if in_place(inst) and kind == 'D':
        after = after._replace(dead=inst.dead | {(request[1], request[2])})
    yield ('dead_letter_durable' if kind in 'Dd' else 'progress_durable', request, kafka, after)


def waits_for_scribe(inst):
    # Lower-case requests belong to the scribe of a previous pair (a seeded bug).
    return any(r[0] in 'DPZ' for r in inst.asked)


# ---- start: recovery is the only start ------------------------------------------

def pair_start(cfg, me, kafka, inst, fresh):
    left_over = ()
    if cfg.bug_orphan_scribe:
        left_over = tuple((r[0].lower(),) + r[1:] for r in inst.asked)
    # A slot that no P speaks of is left over from a start that did not get on.
    known = cfg.slot or cfg.bug_slot_no_progress or any(e[0] == 'Z' for e in inst.wal)
    pc, slot = ('read', inst.slot) if inst.slot >= 0 and known else ('slot', -1)
    yield ('pair_start', '', kafka, inst._replace(pc=pc, slot=slot, asked=left_over, why=''))


def slot_create(cfg, me, kafka, inst, fresh):
    if open_prepared(inst.wal[:inst.flushed]) and not cfg.bug_slot_no_wait:
        return
    at = inst.flushed
    yield ('slot_create', at, kafka, inst._replace(pc='slot_made', next=(at, 0)))


def slot_persist(cfg, me, kafka, inst, fresh):
    at = inst.next[0]
    yield ('slot_persist', at, kafka, inst._replace(
        pc='read', slot=at, next=None, asked=inst.asked + (('Z', at, 0, None),)))


def start_read_marker(cfg, me, kafka, inst, fresh):
    if waits_for_scribe(inst):      # a new slot is nothing before its P is durable
        return
    m = marker_uncommitted(kafka)
    yield ('start_read_marker', m, kafka, inst._replace(pc='verify', read=m))


def start_verify(cfg, me, kafka, inst, fresh):
    m = inst.read
    why = history_finding(cfg, me, inst, m)
    if not why and not cfg.first_read_stale:
        why = slot_finding(inst, m)
    if not why and cfg.verify_first:
        known = max(inst.slot, progress(inst.wal)[1] if cfg.first_identity_stale else 0)
        if not cfg.first_read_stale or m.lsn > known:
            why = identity_finding(cfg, inst, m)
    if why:
        yield ('needs_attention', why, kafka, stop(inst, why))
    else:
        yield ('start_verify', '', kafka,
               inst._replace(pc='fence0', old=m.inc, next=m[:2], read=None, why=''))


def fence(i):
    """init_transactions on one id after the other: the last one leads on."""
    def step(cfg, me, kafka, inst, fresh):
        last = i == cfg.ids - 1
        inst = inst._replace(pc='read_fenced' if last else 'fence%d' % (i + 1))
        if cfg.bug_one_fence and i > 0:
            if kafka.ids[i].owner is None:
                kafka = set_id(kafka, i, kafka.ids[i]._replace(owner=me))
            yield ('start_fence_1', 'left out (bug)', kafka, inst)
        elif kafka.ids[i].state != 'C':
            yield (fence_name(i), 'id %d' % i, broker.abort(kafka, i, me), inst)
    return step


def fence_name(i):
    return 'start_fence_0' if i == 0 else 'start_fence_1'


def start_read_marker_fenced(cfg, me, kafka, inst, fresh):
    if not marker_pending(kafka) or cfg.bug_one_fence:
        m = marker_uncommitted(kafka)
        yield ('start_read_marker_fenced', m, kafka, inst._replace(pc='verify_fenced', read=m))


def start_verify_fenced(cfg, me, kafka, inst, fresh):
    m, why = inst.read, ''
    if cfg.recheck:
        why = history_finding(cfg, me, inst, m) or slot_finding(inst, m)
    elif cfg.first_read_stale:
        why = slot_finding(inst, m)
    if not why and cfg.changed == 'stop' and m.inc != inst.old:
        if not (cfg.fenced == 'branch' and m.branch != branch_of(cfg, me)):
            why = OTHER
    if not why and cfg.verify_first:
        why = identity_finding(cfg, inst, m)
    moved = m.inc != inst.old or m[:2] != inst.next
    if not why and cfg.changed == 'restart' and moved:
        yield ('start_backoff', 'M has changed', kafka, start_over(inst))
    elif why:
        yield ('needs_attention', why, kafka, stop(inst, why))
    else:
        old = m.inc if cfg.old_from_fenced else inst.old
        yield ('start_verify_fenced', '', kafka,
               inst._replace(pc='claim', inc=(me, fresh), old=old, next=None))


def claim_send(cfg, me, kafka, inst, fresh):
    if kafka.ids[0].owner != me:
        yield ('claim_send', 'FENCED', kafka, fenced(inst._replace(at=None)))
    elif kafka.ids[0].state == 'E':
        branch = branch_of(cfg, me) if cfg.claim_own_branch else inst.read.branch
        relies = inst.read.relies if cfg.claim_keeps_relies else last_dead_letter(inst.wal)
        m = inst.read._replace(branch=branch, inc=inst.inc, relies=relies)
        kafka = set_id(broker.send_offsets(kafka, 0, m), 0, TxnId(me, 'O', True))
        yield ('claim_send', m, kafka, inst._replace(pc='claim_wait'))


def claim_commit(cfg, me, kafka, inst, fresh):
    if kafka.ids[0].owner != me:
        yield ('claim_commit', 'FENCED', kafka, fenced(inst._replace(at=None)))
        return
    if kafka.ids[0].state == 'O':
        return
    m = inst.read
    if in_place(inst):
        yield ('claim_commit', 'goes on', kafka, inst._replace(
            pc='run', read=None, last_id=len(inst.queue)))
        return
    why = '' if cfg.verify_first else identity_finding(cfg, inst, m)
    if why:
        yield ('needs_attention', why, kafka, stop(inst, why))
        return
    at = (m.lsn, 0) if covers(cfg, m) or m.lsn == 0 else (m.lsn - 1, m.ordinal)
    at = max(at, (inst.slot, 0))
    if cfg.skip_progress:
        at = max(at, (progress(inst.wal)[1], 0))
    dead = dead_letters(inst.wal) if cfg.consult_dead else NOTHING
    yield ('claim_commit', 'runs from %s' % (at,), kafka, inst._replace(
        pc='run', next=at, at=m[:3], read=None, dead=dead | undecodable(cfg, inst),
        queue=(), last_id=0))


def undecodable(cfg, inst):
    """Rows that lie before the first record that decoding reads.

    PostgreSQL keeps restart_lsn behind every open transaction, and a new slot
    waits for the prepared ones, so under the rules nothing is ever missing.
    """
    first = inst.slot if cfg.bug_restart_at_slot else begin(inst.wal)
    return frozenset((e, i) for e in inst.wal if is_commit(e)
                     if 0 < prepared_at(inst.wal, e) <= first
                     for i in range(len(cfg.rows[e])))


def fenced_read_marker(cfg, me, kafka, inst, fresh):
    if not cfg.fenced_read_committed or not marker_pending(kafka):
        m = marker_uncommitted(kafka)
        yield ('fenced_read_marker', m, kafka, inst._replace(pc='fenced_judge', read=m))


def fenced_judge(cfg, me, kafka, inst, fresh):
    m = inst.read
    if m.inc == inst.inc and in_place(inst):
        yield ('fenced_recover', '', kafka, inst._replace(pc='again0', read=None))
    elif m.inc == inst.inc:
        yield ('fenced_backoff', 'the claim is mine, its answer was lost', kafka, start_over(inst))
    else:
        yield judge_other(cfg, me, kafka, inst, m)


def judge_other(cfg, me, kafka, inst, m):
    """M is not of my incarnation: did somebody only pass by, or is the stream another's?"""
    if (cfg.fenced == 'branch' and m.branch != branch_of(cfg, me)
            and m.branch in history(cfg, me, inst)):
        return 'fenced_backoff', 'M belongs to an ancestor branch', kafka, start_over(inst)
    if cfg.fenced in ('seen', 'branch') and m.inc == inst.old:
        return 'fenced_backoff', 'M is of the incarnation found before', kafka, start_over(inst)
    return 'needs_attention', m, kafka, stop(inst, OWN if m.inc[0] == me else OTHER)


# ---- recovery in place: the coordinator timed us out ----------------------------

def again(i):
    def step(cfg, me, kafka, inst, fresh):
        if kafka.ids[i].state != 'C':
            pc = 'again_read' if i == cfg.ids - 1 else 'again%d' % (i + 1)
            yield (fence_name(i), 'id %d' % i, broker.abort(kafka, i, me),
                   inst._replace(pc=pc))
    return step


def again_read(cfg, me, kafka, inst, fresh):
    """Batches that M has reached are committed: their answers were lost."""
    if marker_pending(kafka):
        return
    m = marker_uncommitted(kafka)
    if m.inc != inst.inc and cfg.recover_reread:
        yield judge_other(cfg, me, kafka, inst, m)
        return
    left = [b for b in inst.queue if b.at[:2] > (m.lsn, m.ordinal)]
    # The claim takes id 0, and they take the next ones.
    queue = tuple([b._replace(id=(i + 1) % cfg.ids, stage='n', left=()) for i, b in enumerate(left)])
    yield ('start_read_marker_fenced', m, kafka, inst._replace(
        pc='claim', read=m, at=m[:3], queue=queue, inc=(me, fresh), last_id=0,
        old=m.inc if cfg.recover_owner else inst.old))


# ---- running --------------------------------------------------------------------

def covers(cfg, m):
    """M lies behind its transaction, not inside it (a split one has an inside)."""
    return m[0] > 0 and (m[2] not in cfg.large or m[1] >= len(cfg.rows[m[2]]))


def released_by(cfg, m):
    """How far the slot may follow M."""
    return m[0] if covers(cfg, m) else max(0, m[0] - 1)


def readable(cfg, inst):
    """The page reader's bound."""
    end = len(inst.wal) if cfg.bug_unflushed else inst.flushed
    return min(end, inst.replicated) if cfg.mode == 'sync' else end


def published_as(cfg, wal, lsn):
    """(transaction or None, its LSN) for the WAL entry that ends at lsn + 1"""
    entry = wal[lsn]
    if cfg.bug_publish_prepared:
        if entry[0] == 'T':
            return entry[1], lsn + 1
        if is_commit(entry) and prepared_at(wal, entry):
            return None, 0
    if not is_commit(entry):
        return None, 0
    early = prepared_at(wal, entry) if cfg.bug_prepare_identity else 0
    return entry, early or lsn + 1


def plan(cfg, inst, grown):
    """The next batch: (events, marker position, where planning goes on), or None."""
    lsn, ordinal = inst.next
    events, at, after, taken = [], None, None, 0
    while lsn < readable(cfg, inst):
        txn, ident_lsn = published_as(cfg, inst.wal, lsn)
        rows = cfg.rows[txn] if txn else ''
        live = [i for i in range(ordinal, len(rows)) if (txn, i) not in inst.dead]
        if txn in cfg.large:
            part = plan_part(cfg, inst, txn, rows, live, lsn, ordinal, grown)
            if part:
                return pack(events, at, after) if events else part
        elif live:
            if taken == cfg.batch:
                break
            events += [event(cfg, txn, i, True, grown) for i in live]
            at, taken = (ident_lsn, len(rows), txn), taken + 1
        lsn, ordinal = lsn + 1, 0
        if at:
            after = (lsn, 0)
    return pack(events, at, after) if events else None


def plan_part(cfg, inst, txn, rows, live, lsn, ordinal, grown):
    """One part of a split transaction: a row, or the record that closes it."""
    if live:
        i = live[0]
        last = i == len(rows) - 1
        return pack([event(cfg, txn, i, last, grown)], (lsn + 1, i + 1, txn),
                    (lsn + 1, 0) if last else (lsn, i + 1))
    some = any((txn, i) not in inst.dead for i in range(len(rows)))
    if (cfg.closing_record and rows and some and ordinal < CLOSING - 1
            and (txn, len(rows) - 1) in inst.dead):
        return pack([(txn, CLOSING, True, 0)], (lsn + 1, CLOSING - 1, txn), (lsn + 1, 0))
    return None


def pack(events, at, after):
    return tuple(events), at, after


def event(cfg, txn, i, last, grown):
    p = partition(cfg, txn, i)
    if grown and cfg.bug_count_unpinned:
        p = (p + 1) % cfg.partitions
    return (txn, i, last, p)


def running(cfg, me, kafka, inst, fresh):
    yield from batch_plan(cfg, kafka, inst)
    yield from batch_produce(cfg, me, kafka, inst)
    if cfg.bug_dead_late:
        yield from overtake_dead_letter(cfg, me, kafka, inst)
    yield from batch_commit(cfg, me, kafka, inst)
    yield from heartbeat(cfg, me, kafka, inst)
    yield from progress_ask(cfg, kafka, inst)
    yield from slot_advance(cfg, kafka, inst)


def batch_plan(cfg, kafka, inst):
    queue = inst.queue
    if len(queue) >= (2 if cfg.overlap else 1) or waits_for_scribe(inst):
        return
    if any(b.stage == 'n' for b in queue):
        return
    planned = plan(cfg, inst, kafka.grown)
    if planned:
        events, at, after = planned
        i = next_id(cfg, inst.last_id, queue)
        yield ('batch_plan', (i, events), kafka, inst._replace(
            queue=queue + (Batch(i, events, at, 'n'),), next=after, last_id=i))


def next_id(cfg, last, queue, k=1):
    """In turn; one that is repeated while the older one commits keeps off its id."""
    i = (last + 1) % cfg.ids
    return (i + 1) % cfg.ids if k and queue and i == queue[0].id else i


def swap(queue, k, batch):
    return queue[:k] + (batch,) + queue[k + 1:]


def full_marker(cfg, me, inst, batch):
    return Marker(*batch.at, branch_of(cfg, me), inst.inc, last_dead_letter(inst.wal))


def batch_produce(cfg, me, kafka, inst):
    if waits_for_scribe(inst):
        return
    for k, b in enumerate(inst.queue):
        if b.stage == 'c' or b.stage == 'p' and not b.left:
            continue
        if cfg.standby_first and cfg.mode == 'sync':
            if last_dead_letter(inst.wal) > inst.replicated:
                return
        if kafka.ids[b.id].owner != me:
            yield ('batch_produce', 'FENCED on id %d' % b.id, kafka, fenced(inst))
            return
        if b.stage == 'n':
            if kafka.ids[b.id].state == 'E':
                yield from produce_new(cfg, me, kafka, inst, k, b)
            return
        for p in b.left:
            left = tuple(x for x in b.left if x != p)
            yield ('batch_produce' if left else 'batch_delivered', 'partition %d' % p,
                   broker.append(kafka, p, b.events, b.id),
                   inst._replace(queue=swap(inst.queue, k, b._replace(left=left))))
        if b.stage == 'a':
            if not cfg.offsets_in_order or all(x.stage in 'pc' for x in inst.queue[:k]):
                yield ('batch_send_offsets', (b.id, b.at),
                       broker.send_offsets(kafka, b.id, full_marker(cfg, me, inst, b)),
                       inst._replace(queue=swap(inst.queue, k, b._replace(stage='p'))))
        if cfg.produce_in_order and b.left:
            return


def produce_new(cfg, me, kafka, inst, k, b):
    refusable = [e for e in b.events if e[1] != CLOSING and cfg.rows[e[0]][e[1]] in 'pt']
    if refusable:
        yield dead_letter_ask(cfg, me, kafka, inst, refusable[0])
    if any(cfg.rows[e[0]][e[1]] == 'p' for e in refusable):
        return
    opened = set_id(kafka, b.id, TxnId(me, 'O'))
    if cfg.fine:
        left = tuple(sorted({e[3] for e in b.events}))
        first, left = left[0], left[1:]
        yield ('batch_produce' if left else 'batch_delivered', 'partition %d' % first,
               broker.append(opened, first, b.events, b.id),
               inst._replace(queue=swap(inst.queue, k, b._replace(stage='a', left=left))))
        return
    for p in range(cfg.partitions):
        opened = broker.append(opened, p, b.events, b.id)
    marker = full_marker(cfg, me, inst, b)
    if cfg.bug_marker_outside:
        rest = tuple([r for r in opened.offsets if r[0] != -1])
        opened = opened._replace(offsets=rest + ((-1, marker),))
    else:
        opened = broker.send_offsets(opened, b.id, marker)
    yield ('batch_produce, batch_send_offsets', (b.id, b.events), opened,
           inst._replace(queue=swap(inst.queue, k, b._replace(stage='p'))))


def dead_letter_ask(cfg, me, kafka, inst, refused):
    """Abort what is open, give the event to the scribe, plan again from there.

    A batch whose commit is on the wire keeps its fate.
    """
    sent = tuple([x for x in inst.queue if x.stage == 'c'])
    unsent = [x for x in inst.queue if x.stage != 'c']
    for x in unsent:
        if x.stage in 'ap' and kafka.ids[x.id].owner == me:
            kafka = broker.abort(kafka, x.id, me)
    first = unsent[0].events[0]
    ordinal = first[1] if first[0] in cfg.large and first[1] != CLOSING else 0
    dead = inst.dead | {refused[:2]} if cfg.bug_dead_late else inst.dead
    return ('dead_letter_ask', refused, kafka, inst._replace(
        queue=sent, next=(inst.wal.index(first[0]), ordinal), dead=dead,
        asked=inst.asked + (('D',) + refused[:2],)))


def overtake_dead_letter(cfg, me, kafka, inst):
    """Seeded bug: publish on while the dead letter is only queued."""
    if inst.queue or not inst.asked or inst.asked[0][0] != 'D':
        return
    planned = plan(cfg, inst, kafka.grown)
    i = (inst.last_id + 1) % cfg.ids
    if not planned or kafka.ids[i] != TxnId(me, 'E'):
        return
    events, at, after = planned
    if any(cfg.rows[e[0]][e[1]] in 'pt' for e in events):
        return
    b = Batch(i, events, at, 'c')
    for p in range(cfg.partitions):
        kafka = broker.append(kafka, p, events, i)
    kafka = broker.send_offsets(kafka, i, full_marker(cfg, me, inst, b))
    yield ('batch_commit_send', 'before the dead letter is durable (bug)',
           set_id(kafka, i, TxnId(me, 'O', True)),
           inst._replace(queue=(b,), next=after, last_id=i))


def batch_commit(cfg, me, kafka, inst):
    queue = inst.queue
    for k in (0, 1) if cfg.bug_commit_order else (0,):
        if k >= len(queue) or queue[k].stage not in 'pc':
            continue
        b = queue[k]
        if b.stage == 'p' and (not b.left or cfg.bug_undelivered):
            if kafka.ids[b.id].owner != me:
                yield ('batch_commit_send', 'FENCED on id %d' % b.id, kafka, fenced(inst))
            else:
                yield ('batch_commit_send', 'id %d' % b.id, set_id(kafka, b.id, TxnId(me, 'O', True)),
                       inst._replace(queue=swap(queue, k, b._replace(stage='c', left=()))))
        elif b.stage == 'c':
            if kafka.ids[b.id].owner != me:
                yield ('batch_commit_acked', 'FENCED on id %d' % b.id, kafka, fenced(inst))
            elif kafka.ids[b.id].state != 'O':
                yield ('batch_commit_acked', b.events, kafka, inst._replace(
                    queue=queue[:k] + queue[k + 1:], at=b.at))


def heartbeat(cfg, me, kafka, inst):
    """Only its finding matters here: an idle owner learns that it was fenced."""
    if inst.queue or waits_for_scribe(inst) or plan(cfg, inst, kafka.grown):
        return
    lost = kafka.ids[0].owner != me or (
        cfg.heartbeat_all and any(t.owner != me for t in kafka.ids))
    if lost:
        yield ('heartbeat', 'FENCED', kafka, fenced(inst))


def progress_ask(cfg, kafka, inst):
    if waits_for_scribe(inst) or inst.queue and not cfg.bug_progress_in_flight:
        return
    lsn = inst.next[0] if inst.next[1] == 0 else 0
    if not inst.queue and plan(cfg, inst, kafka.grown) is None:
        lsn = readable(cfg, inst)
    # Never because of its own WAL: that would be an endless heartbeat.
    while lsn > 0 and not is_commit(inst.wal[lsn - 1]):
        lsn -= 1
    m, p = inst.at, progress(inst.wal)[1]
    if lsn > max(m[0], p, released_by(cfg, m)) or lsn == m[0] and not covers(cfg, m) and lsn > p:
        yield ('progress_ask', lsn, kafka,
               inst._replace(asked=inst.asked + (('P', lsn, m[0], m[2]),)))


def slot_advance(cfg, kafka, inst):
    p = progress(inst.wal)[1]
    if cfg.standby_first and cfg.mode == 'sync':
        if any(e[0] == 'P' for e in inst.wal[inst.replicated:]):
            p = 0
    target = max(released_by(cfg, inst.at), p)
    if cfg.bug_slot_early:
        target = max(target, inst.next[0])
    if target > inst.slot:
        yield ('slot_advance', target, kafka, inst._replace(slot=target))


PHASES = {
    'off': pair_start, 'slot': slot_create, 'slot_made': slot_persist,
    'read': start_read_marker, 'verify': start_verify,
    'fence0': fence(0), 'fence1': fence(1), 'fence2': fence(2),
    'read_fenced': start_read_marker_fenced, 'verify_fenced': start_verify_fenced,
    'claim': claim_send, 'claim_wait': claim_commit, 'fenced': fenced_read_marker,
    'fenced_judge': fenced_judge, 'again0': again(0), 'again1': again(1), 'again2': again(2),
    'again_read': again_read, 'run': running,
}
