"""The scenarios, and what is expected of each rule and each seeded bug in them.

A case is (name, scenario, changes, expected): expected is the beginning of the
verdict, 'holds' where the rules must hold.
"""
from config import FIRST_WORDING, Config

ONE = dict(a1='e', a2='ee', a3='', a4='p', a5='e', b2='e', b3='e', b4='')

SCENARIOS = {
    # One instance: crashes, time-outs, aborts, a refused event (a4).
    'one': dict(rows=ONE, base=('a1',), source_a=('a2', 'a3', 'a4'), faults=2),
    'batches': dict(rows=ONE, base=('a1', 'a2'), source_a=('a4', 'a5'), batch=2, faults=2),
    'large': dict(rows=dict(a1='ep', a2='e', a3='pe'), base=('a1',), source_a=('a2', 'a3'),
                  large=('a1', 'a3')),
    'moody': dict(rows=dict(a1='e', a2='t', a3='e'), base=('a1', 'a2'), source_a=('a3',),
                  faults=2),
    'moody_foreign': dict(rows=dict(a1='e', a2='t', a3='', a4='e'), base=('a1', 'a2'),
                          source_a=('a3',), faults=2),
    'async_commit': dict(rows=ONE, base=('a1',), source_a=('a2', 'a5'), async_commit=True),
    'fine': dict(rows=dict(a1='e', a2='e', a3='e'), base=('a1', 'a2', 'a3'), fine=True),
    # More ids than batches in flight: the next one is not the one that just committed.
    'three_ids': dict(rows=ONE, base=('a1', 'a2'), source_a=('a4', 'a5'), ids=3),
    'three_ids_fine': dict(rows=dict(a1='e', a2='e', a3='e', a4='e'), ids=3, fine=True,
                           base=('a1', 'a2', 'a3', 'a4')),
    'three_ids_clone': dict(rows=ONE, base=('a1',), source_a=('a2',), source_b=('b2',), ids=3,
                            mode='clone', faults=0, overlap=False),
    # A copy of the data directory against the same Kafka.
    'clone': dict(rows=ONE, base=('a1',), source_a=('a2',), source_b=('b2',), mode='clone',
                  faults=0),
    'clone_faults': dict(rows=ONE, base=('a1',), source_a=('a2',), source_b=('b2',),
                         mode='clone', kinds=('publisher', 'timeout', 'lost')),
    'clone_foreign': dict(rows=dict(a1='', a2='', a3='e', b2='', b3='', b4='e'),
                          source_a=('a3',), source_b=('b2', 'b4'), mode='clone',
                          kinds=('publisher',), overlap=False),
    # A standby is promoted; the old primary dies, goes on or comes back.
    'async': dict(rows=ONE, base=('a1',), source_a=('a5',), source_b=('b2',), mode='async',
                  faults=0, revivals=1),
    'async_dead': dict(rows=dict(a1='p', a2='e', b2='e'), source_a=('a1', 'a2'),
                       source_b=('b2',), mode='async', faults=0, overlap=False),
    'async_foreign': dict(rows=dict(a1='e', a2='', b2='e'), base=('a1',), source_a=('a2',),
                          source_b=('b2',), mode='async', faults=0, overlap=False),
    'async_faults': dict(rows=dict(a1='e', a2='e', b2='e'), base=('a1',), source_a=('a2',),
                         source_b=('b2',), mode='async', kinds=('publisher', 'timeout'),
                         overlap=False),
    'sync': dict(rows=ONE, base=('a1',), source_a=('a5',), source_b=('b2',), mode='sync',
                 faults=0, revivals=1),
    'sync_dead': dict(rows=dict(a1='p', a2='e', b2='e'), source_a=('a1', 'a2'),
                      source_b=('b2',), mode='sync', faults=0, overlap=False),
    'sync_foreign': dict(rows=dict(a1='e', a2='', b2='e'), base=('a1',), source_a=('a2',),
                         source_b=('b2',), mode='sync', faults=0, overlap=False),
    # Several partitions: a1 and a3 lie on both, a2 on the second only.
    'partitions': dict(rows=dict(a1='ee', a2='e', a3='ee'),
                       parts=dict(a1='01', a2='1', a3='10'), partitions=2, fine=True,
                       base=('a1', 'a2'), source_a=('a3',)),
    'partitions_refused': dict(rows=dict(a1='ee', a2='pe', a3='e'),
                               parts=dict(a1='01', a2='01', a3='0'), partitions=2, fine=True,
                               base=('a1', 'a2'), source_a=('a3',),
                               kinds=('publisher', 'timeout', 'abort')),
    'partitions_large': dict(rows=dict(a1='epe', a2='ep'), parts=dict(a1='011', a2='10'),
                             partitions=2, fine=True, large=('a1', 'a2'), base=('a1',),
                             source_a=('a2',), kinds=('publisher', 'abort')),
    'partitions_clone': dict(rows=dict(a1='ee', a2='e', b2='e'), parts=dict(a1='01', a2='1'),
                             partitions=2, fine=True, base=('a1',), source_a=('a2',),
                             source_b=('b2',), mode='clone', faults=0, overlap=False),
    'topic_grows': dict(rows=dict(a1='e', a2='ee'), parts=dict(a2='00'), partitions=2,
                        base=('a1',), source_a=('a2',), grow=True),
    # Two-phase commit: a1 is prepared before, committed or rolled back after.
    'prepared': dict(rows=dict(a1='ee', a2='e', a3='e', a4='e'), base=(('T', 'a1'), 'a2'),
                     source_a=(('T', 'a4'), 'a1', ('X', 'a4'), 'a3'), faults=1),
    'prepared_batches': dict(rows=dict(a1='e', a2='p', a3='e'), base=(('T', 'a1'),), batch=2,
                             source_a=('a2', 'a1', 'a3'), faults=2),
    'prepared_slot': dict(rows=dict(a1='e', a2='e', a3='e'), base=(('T', 'a1'), 'a2'),
                          source_a=('a1', 'a3'), slot=False, faults=1),
    'prepared_async': dict(rows=dict(a1='e', a2='e', b2='e'), base=(('T', 'a1'),),
                           source_a=('a2', 'a1'), source_b=('a1', 'b2'), mode='async', faults=0,
                           overlap=False),
    'prepared_sync': dict(rows=dict(a1='e', a2='e', b2='e'), base=(('T', 'a1'),),
                          source_a=('a2', 'a1'), source_b=('a2', 'a1', 'b2'), mode='sync', faults=0,
                          overlap=False),
}


def config(scenario, changes=None, limit=None):
    cfg = Config(**SCENARIOS[scenario]).but(**(changes or {}))
    return cfg.but(limit=limit) if limit else cfg


# ---- seeded bugs: every one must be caught -----------------------------------------

SEEDS = [
    ('marker outside the transaction', 'one', dict(bug_marker_outside=True), 'order'),
    ('slot ahead of the marker', 'one', dict(bug_slot_early=True), 'slot'),
    ('second id not fenced', 'one', dict(bug_one_fence=True), 'order'),
    ('unflushed WAL published', 'async_commit', dict(bug_unflushed=True), 'order'),
    ('dead letter after its marker', 'batches', dict(bug_dead_late=True, batch=1), 'order'),
    ('progress covers what is in flight', 'moody', dict(bug_progress_in_flight=True, faults=1),
     'order'),
    ('dead letter filed under the present branch', 'async_dead',
     dict(bug_dead_key=True, consult_dead=False), 'once'),
    ('dead letters not unique', 'one', dict(bug_dead_twice=True, consult_dead=False), 'once'),
    ('commits of the two ids not serial', 'batches', dict(bug_commit_order=True), 'order'),
    ('old scribe outlives its pair', 'moody', dict(bug_orphan_scribe=True), 'order'),
    ('a Kafka in which the later commit wins', 'one', dict(bug_later_commit_wins=True), 'slot'),
    ('commit before all partitions are delivered', 'partitions', dict(bug_undelivered=True),
     'whole'),
    ('partition from the present count', 'topic_grows', dict(bug_count_unpinned=True), 'order'),
    ('prepared transaction known by its PREPARE', 'prepared', dict(bug_prepare_identity=True),
     'slot'),
    ('events published at PREPARE', 'prepared', dict(bug_publish_prepared=True), 'order'),
    ('decoding restarts at the slot', 'prepared', dict(bug_restart_at_slot=True), 'order'),
    ('slot does not wait for a prepared transaction', 'prepared_slot',
     dict(bug_slot_no_wait=True), 'order'),
    ('slot kept although no P speaks of it', 'prepared_slot',
     dict(bug_slot_no_progress=True), 'no way'),
]

# ---- ablations: a rule is left out, and something must fail --------------------------

ABLATIONS = [
    ('O from the first read', 'one', dict(fenced='seen', changed='', old_from_fenced=False),
     'no way'),
    ('fenced: always stop', 'one', dict(fenced='never'), 'no way'),
    ('split transaction without a closing record', 'large', dict(closing_record=False), 'no way'),
    ('nothing to verify M with: stop', 'one', dict(unverifiable='stop'), 'no way'),
    ('dead letters not consulted', 'moody', dict(consult_dead=False), 'order'),
    ('k+1 not aborted with k', 'one', dict(abort_both=False), 'order'),
    ('first read concludes that M is too old', 'one', dict(first_read_stale=False), 'no way'),
    ('first read judged against P', 'one', dict(first_identity_stale=False), 'no way'),
    ('markers of k and k+1 unordered', 'fine', dict(offsets_in_order=False), 'slot'),
    ('k+1 produced before k is delivered', 'partitions', dict(produce_in_order=False), 'order'),
    ('marker without R', 'async_dead', dict(carry_relies=False), 'order'),
]

LARGE_ABLATIONS = [
    ('heartbeat on one id', 'clone', dict(heartbeat_all=False), 'no way'),
    ('recovery in place does not read M again', 'clone', dict(recover_reread=False), 'order'),
    ('recovery in place keeps the old O', 'clone', dict(recover_owner=False), 'no way'),
    ('second id not fenced, clone', 'clone', dict(bug_one_fence=True), 'order'),
    ('O from the first read', 'clone_faults',
     dict(fenced='seen', changed='', old_from_fenced=False), 'no way'),
    ('fenced: always stop', 'clone', dict(fenced='never'), 'no way'),
    ('fenced: always stop', 'async', dict(fenced='never'), 'no way'),
    ('fenced: only the seen incarnation', 'async', dict(fenced='seen'), 'no way'),
    ('verify after the claim', 'clone', dict(verify_first=False), 'no way'),
    ('incarnation change stops', 'clone_faults', dict(changed='stop'), 'no way'),
    ('history without the fork LSN', 'async_dead', dict(fork_lsn=False), 'order'),
    ('M unverified when nothing was skipped', 'clone_foreign', dict(unverifiable='pass'),
     'order'),
    ('dead letters and P local only', 'sync_dead', dict(standby_first=False), 'no way'),
    ('dead letters and P local only', 'sync_foreign', dict(standby_first=False), 'no way'),
]

# A start without the random pause: two starters fence each other for ever.
DUELS = [
    ('two starters', 'clone', dict(source_a=(), source_b=(), overlap=False), 'holds'),
    ('two starters, pause not random', 'clone',
     dict(source_a=(), source_b=(), overlap=False, random_backoff=False), 'duel'),
]

LARGE_DUELS = [
    ('two starters', 'clone', {}, 'holds'),
    ('two starters', 'async_foreign', {}, 'holds'),
    ('two starters', 'sync_foreign', {}, 'holds'),
]

FIRST = [('first wording', s, FIRST_WORDING, '') for s in ('one', 'large', 'moody', 'clone',
                                                           'async', 'sync')]

RULES = [('the rules', s, {}, 'holds') for s in SCENARIOS]

# Far more faults: hours, tens of GB. By hand.
BIG = [
    ('3 faults', 'one', dict(faults=3), 'holds'),
    ('3 faults, 5 transactions', 'one', dict(faults=3, source_a=('a2', 'a3', 'a4', 'a5')),
     'holds'),
    ('3 faults', 'batches', dict(faults=3), 'holds'),
    ('2 faults', 'large', dict(faults=2), 'holds'),
    ('3 faults', 'moody_foreign', dict(faults=3), 'holds'),
    ('2 faults', 'clone_faults', dict(faults=2, overlap=False), 'holds'),
    ('all faults', 'clone_faults',
     dict(kinds=('publisher', 'server', 'timeout', 'abort', 'lost')), 'holds'),
    ('1 fault', 'async', dict(faults=1, overlap=False), 'holds'),
    ('1 fault', 'async_dead', dict(faults=1), 'holds'),
    ('1 fault', 'async_foreign', dict(faults=1), 'holds'),
    ('1 fault', 'sync', dict(faults=1, overlap=False), 'holds'),
    ('1 fault', 'sync_dead', dict(faults=1), 'holds'),
    ('1 fault', 'sync_foreign', dict(faults=1), 'holds'),
    ('2 faults', 'partitions', dict(faults=2), 'holds'),
    ('2 faults', 'partitions_refused', dict(faults=2), 'holds'),
    ('1 fault', 'partitions_clone', dict(faults=1), 'holds'),
    ('2 faults', 'prepared', dict(faults=2), 'holds'),
    ('3 faults', 'prepared_batches', dict(faults=3), 'holds'),
    ('1 fault', 'prepared_async', dict(faults=1), 'holds'),
    ('1 fault', 'prepared_sync', dict(faults=1), 'holds'),
]
