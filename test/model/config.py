"""What a run of the model is made of: rules, scenario, seeded bugs.

The defaults of `Config` are the rules in force (DESIGN section 4). A scenario
overrides the second group, an ablation one field of the first, a seeded bug
one field of the third.
"""
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Config:
    # ---- rules -----------------------------------------------------------
    # After _FENCED, back off and start over (instead of stopping) when M is:
    #   'never'   never
    #   'seen'    of the incarnation that was seen at start
    #   'branch'  that, or of a proper ancestor of my branch
    fenced: str = 'branch'
    fenced_read_committed: bool = True   # isolation of the read after _FENCED
    verify_first: bool = True            # verify before fencing, not after the claim
    first_read_stale: bool = True        # the first read never concludes "M too old"
    recheck: bool = True                 # repeat the checks after fencing
    # M's incarnation changed between the two reads of a start:
    #   ''  ignored;  'stop'  stop;  'restart'  back off, start over
    changed: str = 'restart'
    fork_lsn: bool = True                # history means branch *and* LSN up to the fork
    carry_relies: bool = True            # the marker carries R, its newest dead letter
    skip_progress: bool = True           # recovery skips up to max(M, P), not only M
    # Nothing lies between S and M to verify M against:
    #   'stop'  stop;  'pass'  go on;  'progress'  P must have been written for this M
    unverifiable: str = 'progress'
    consult_dead: bool = True            # recovery loads the dead letters above M
    abort_both: bool = True              # k aborted: k+1 is aborted before k is re-produced
    overlap: bool = True                 # k+1 is produced while k commits
    standby_first: bool = True           # dead letters and P reach the standby before M / S
    closing_record: bool = True          # a split transaction always shows its end
    old_from_fenced: bool = True         # O is read after fencing (else: before)
    claim_own_branch: bool = True        # a claim carries the claimer's branch, not M's
    heartbeat_all: bool = True           # the idle heartbeat uses every id
    first_identity_stale: bool = True    # the first read never concludes "not P's M" either
    recover_owner: bool = True           # a recovery in place takes M's incarnation for O
    recover_reread: bool = True          # … and reads M again after fencing
    claim_keeps_relies: bool = True      # a claim relies on what M relied on, not on more
    offsets_in_order: bool = True        # k+1 sends its marker after k's
    produce_in_order: bool = True        # k+1 is produced after k is delivered everywhere
    random_backoff: bool = True          # back-off is random and grows (duel search only)

    # ---- scenario --------------------------------------------------------
    rows: dict = field(default_factory=dict)   # transaction -> its rows, a letter each:
    #   e an event, p refused by the broker always, t refused at times; '' no event
    parts: dict = field(default_factory=dict)  # transaction -> partition of each row ('0…')
    partitions: int = 1
    ids: int = 2               # transactional ids, taken in turn
    large: tuple = ()          # transactions that are split, one row per Kafka transaction
    base: tuple = ()           # WAL that both instances have
    source_a: tuple = ()       # what then happens on A …
    source_b: tuple = ()       # … and on B. 'x' commits x; ('T','x') PREPARE; ('X','x') ROLLBACK PREPARED
    mode: str = 'single'       # single | clone | async | sync (A has a standby B)
    batch: int = 1             # PostgreSQL transactions per Kafka transaction
    faults: int = 1
    kinds: tuple = ('publisher', 'server', 'timeout', 'abort')
    revivals: int = 0          # how often a dead old primary comes back
    async_commit: bool = False # WAL is flushed later than its commit
    fine: bool = False         # produce, marker and control records are steps of their own
    slot: bool = True          # the slot exists at the beginning
    grow: bool = False         # somebody adds partitions to the topic

    # ---- seeded bugs: each must be caught --------------------------------
    bug_marker_outside: bool = False       # the marker is committed outside the transaction
    bug_slot_early: bool = False           # S runs ahead of M and P
    bug_one_fence: bool = False            # only id 0 is fenced at start
    bug_unflushed: bool = False            # WAL that is not flushed is published
    bug_dead_late: bool = False            # the marker passes a dead letter that is not durable
    bug_progress_in_flight: bool = False   # P covers batches that are not committed
    bug_dead_key: bool = False             # dead letters are keyed by the present branch
    bug_dead_twice: bool = False           # dead letters are not unique
    bug_commit_order: bool = False         # k+1 may commit before k
    bug_orphan_scribe: bool = False        # the old scribe works on beside the new pair
    bug_later_commit_wins: bool = False    # a Kafka in which the later commit wins
    bug_undelivered: bool = False          # commit before every partition has its records
    bug_count_unpinned: bool = False       # the partition is computed from the present count
    bug_prepare_identity: bool = False     # a prepared transaction is identified by its PREPARE
    bug_publish_prepared: bool = False     # events are published at PREPARE
    bug_restart_at_slot: bool = False      # decoding restarts at S, not before open transactions
    bug_slot_no_wait: bool = False         # the slot does not wait for prepared transactions
    bug_slot_no_progress: bool = False     # a slot that no P speaks of is kept

    # ---- exploration -----------------------------------------------------
    limit: int = 3_000_000     # states; a run that reaches it proves safety only so far

    def but(self, **changes):
        return replace(self, **changes)


# The wording that the rules had at first: correct-looking, and it fails in every
# scenario. It is kept to show that the model can tell.
FIRST_WORDING = dict(
    fenced='never', fenced_read_committed=False, verify_first=False, first_read_stale=False,
    recheck=False, changed='', fork_lsn=False, carry_relies=False, skip_progress=False,
    unverifiable='pass', consult_dead=False, abort_both=False, standby_first=False,
    closing_record=False)
