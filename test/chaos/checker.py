"""Judges what consumers saw against what producers committed.

Knows nothing of mesh_outbox but the names on the wire.  Input:

  events      what committed transactions inserted (the producers' own log
              table, written in the same transactions)
  records     what a read-committed consumer read, from the first offset to
              the end, of every topic, but for:
  ends        records without a value, which end a split transaction
  kafka_tx    (topic, partition) -> {offset: Kafka transaction}, committed
              data records only, read from the broker's log segments
  batches     the ledger's rows
  dead        event ids in the dead letters

The rules, each with its own function; a violation is one line of text.
"""
from collections import Counter, defaultdict, namedtuple

# seq counts the events of one key; it is drawn under a row lock that is held
# until commit, so its order is the commit order of the key.
Event = namedtuple("Event", "event_id tx topic key seq")
# "version" is that of the record's contract.  A control event is an event as
# others are, but for its key, which is none: it has a partition instead, and
# its version is the one in force from there on.
# "part" and "last" are None and False but in transactions that were split.
Record = namedtuple("Record", "topic partition offset key event_id tx seq sequence version part last",
                    defaults=(None, None, False))
# Not an event: says that a split transaction is over.
End = namedtuple("End", "topic partition offset sequence part last")
Batch = namedtuple("Batch", "batch_no first_lsn last_lsn transactions events offsets")

SHOWN = 5       # violations of a kind that are told; the rest are counted


class Violations(list):
    def of(self, kind, lines):
        for line in lines[:SHOWN]:
            self.append(f"{kind}: {line}")
        if len(lines) > SHOWN:
            self.append(f"{kind}: and {len(lines) - SHOWN} more")


def murmur2(data):
    """Kafka's Java client's hash of a key."""
    m, mask = 0x5bd1e995, 0xffffffff
    h = (0x9747b28c ^ len(data)) & mask
    whole = len(data) // 4 * 4
    for i in range(0, whole, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    rest = data[whole:]
    if rest:
        h = (h ^ int.from_bytes(rest, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


def exactly_once(v, events, records, dead):
    """Every committed event once, as a record or as a dead letter; nothing else."""
    seen = Counter(r.event_id for r in records)
    truth = {e.event_id: e for e in events}
    v.of("lost", [f"{e.event_id} {e.topic} key {e.key} seq {e.seq} of {e.tx}"
                  for e in events if e.event_id not in seen and e.event_id not in dead])
    v.of("repeated", [f"{i} {n} times" for i, n in seen.items() if n > 1])
    v.of("never committed", [f"{r.event_id} at {r.topic}/{r.partition}/{r.offset} of {r.tx}"
                             for r in records if r.event_id not in truth])
    v.of("published and dead-lettered", [i for i in dead if i in seen])
    v.of("dead letter of no committed event", [i for i in dead if i not in truth])
    wrong = []
    for r in records:
        e = truth.get(r.event_id)
        if e and (e.topic, e.key, e.seq, e.tx) != (r.topic, r.key, r.seq, r.tx):
            wrong.append(f"{r} is not {e}")
    v.of("changed on the way", wrong)


def in_order(v, records, partitions):
    """Per key commit order; one key, one partition; the sequence never falls."""
    last, home, stream = {}, {}, {}
    order, moved, fell = [], [], []
    for r in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        k = (r.topic, r.key)
        if r.key is not None:
            if k in last and last[k].seq >= r.seq:
                order.append(f"{r.topic}/{r.partition} key {r.key}: seq {r.seq} at offset {r.offset}"
                             f" after seq {last[k].seq} at {last[k].offset}")
            last[k] = r
            if home.setdefault(k, r.partition) != r.partition:
                moved.append(f"{r.topic} key {r.key} in partitions {home[k]} and {r.partition}")
            expected = (murmur2(r.key.encode()) & 0x7fffffff) % partitions[r.topic]
            if expected != r.partition:
                moved.append(f"{r.topic} key {r.key} in {r.partition}, murmur2 says {expected}")
        p = (r.topic, r.partition)
        if r.sequence is not None:
            if p in stream and stream[p].sequence >= r.sequence:
                fell.append(f"{r.topic}/{r.partition}: {r.sequence} at {r.offset}"
                            f" after {stream[p].sequence} at {stream[p].offset}")
            stream[p] = r
    v.of("out of order", order)
    v.of("wrong partition", moved)
    v.of("ce_sequence fell", fell)


def announced(v, records, first):
    """A contract version has its control event in front of its first event, and
    behind the last one of the version before; "first" needed none."""
    in_force, wrong = {}, []
    for r in sorted(records, key=lambda r: (r.topic, r.partition, r.offset)):
        p = (r.topic, r.partition)
        if r.key is None:
            in_force[p] = r.version
        elif r.version != in_force.setdefault(p, first):
            wrong.append(f"{r.topic}/{r.partition}: version {r.version} at {r.offset},"
                         f" where {in_force[p]} was announced")
    v.of("not announced", wrong)


class Union:
    """Union-find over hashable things."""

    def __init__(self):
        self.parent = {}

    def find(self, x):
        root = x
        while self.parent.setdefault(root, root) != root:
            root = self.parent[root]
        while self.parent[x] != root:
            self.parent[x], x = root, self.parent[x]
        return root

    def join(self, a, b):
        self.parent[self.find(a)] = self.find(b)


def whole(v, records, kafka_tx, split_allowed):
    """Each PostgreSQL transaction inside one Kafka transaction.

    Within a partition the broker's log tells directly.  Across partitions
    nothing on disk ties a Kafka transaction's parts together, but the
    PostgreSQL transactions do: parts that share one belong together, and then
    two different Kafka transactions of one partition must never end up as
    one."""
    parts = defaultdict(lambda: defaultdict(set))
    for r in records:
        part = kafka_tx[r.topic, r.partition].get(r.offset)
        if part is not None and r.tx not in split_allowed:
            parts[r.tx][r.topic, r.partition].add(part)
    direct, union = [], Union()
    for tx, places in parts.items():
        nodes = []
        for place, txns in places.items():
            if len(txns) > 1:
                direct.append(f"{tx} in {place[0]}/{place[1]} over Kafka transactions"
                              f" {sorted(txns)}")
            nodes += [(place, t) for t in txns]
        for n in nodes[1:]:
            union.join(nodes[0], n)
    v.of("split", direct)
    groups = defaultdict(lambda: defaultdict(set))
    for node in list(union.parent):
        place, txn = node
        groups[union.find(node)][place].add(txn)
    if not direct:
        v.of("split over partitions",
             [f"{place[0]}/{place[1]}: Kafka transactions {sorted(txns)} are tied by"
              f" PostgreSQL transactions that cross partitions"
              for places in groups.values() for place, txns in places.items() if len(txns) > 1])


def in_parts(v, records, ends, kafka_tx, split):
    """A consumer can tell a split transaction's parts, and when it has all:
    each part in one Kafka transaction of its own, in order, the last record
    says so, and no other does.  "split": transactions that may be."""
    names = {r.tx for r in records if r.part is not None}
    v.of("part of a whole", [f"{tx} has parts" for tx in names - set(split)])
    v.of("part not said", [f"{r.tx} at {r.topic}/{r.partition}/{r.offset}"
                           for r in records if r.tx in names and r.part is None])
    groups = defaultdict(list)
    for r in [r for r in records if r.part is not None] + list(ends):
        groups[r.sequence.split("-")[0]].append(r)
    wrong, mixed = [], []
    for lsn, group in groups.items():
        group.sort(key=lambda r: r.sequence)
        numbers = [r.part for r in group]
        if [r.last for r in group] != [False] * (len(group) - 1) + [True]:
            wrong.append(f"the transaction at {lsn}: {sum(r.last for r in group)} of {len(group)}"
                         f" records say that it ends, the last one {group[-1].last}")
        if numbers != sorted(numbers) or numbers[0] != 1:
            wrong.append(f"the transaction at {lsn} has parts {sorted(set(numbers))}, or not in order")
        of_part, of_txn = defaultdict(set), defaultdict(set)
        for r in group:
            txn = kafka_tx[r.topic, r.partition].get(r.offset)
            of_part[r.topic, r.partition, r.part].add(txn)
            of_txn[r.topic, r.partition, txn].add(r.part)
        mixed += [f"the transaction at {lsn}: {k[0]}/{k[1]} {k[2]}: {sorted(x)}"
                  for d in (of_part, of_txn) for k, x in d.items() if len(x) > 1]
    v.of("end not said", wrong)
    v.of("parts mixed", mixed)


def atomic_view(v, records, kafka_tx):
    """The consumer saw just what the broker's log says was committed."""
    seen = defaultdict(set)
    for r in records:
        seen[r.topic, r.partition].add(r.offset)
    bad = []
    for place, committed in kafka_tx.items():
        for offset in sorted(set(committed) ^ seen[place]):
            bad.append(f"{place[0]}/{place[1]}/{offset} is committed in the log"
                       f" {offset in committed}, seen {offset in seen[place]}")
    v.of("consumer and log differ", bad)


def ledger(v, records, ends, batches, complete):
    """Ledger rows name real offsets, do not overlap, and count events right;
    when "complete", every record is in one."""
    at = defaultdict(dict)
    for r in records:
        at[r.topic, r.partition][r.offset] = r
    other = {(r.topic, r.partition, r.offset) for r in ends}
    covered = defaultdict(set)
    wrong, overlap = [], []
    for b in sorted(batches, key=lambda b: b.batch_no):
        total = 0
        for topic, partitions in b.offsets.items():
            for partition, (first, last, count) in partitions.items():
                place = (topic, int(partition))
                inside = {o for o in at[place] if first <= o <= last}
                total += count
                if len(inside) != count:
                    wrong.append(f"batch {b.batch_no} {topic}/{partition} {first}..{last}:"
                                 f" {count} events, {len(inside)} records")
                if not all(o in at[place] or (*place, o) in other for o in (first, last)):
                    wrong.append(f"batch {b.batch_no} {topic}/{partition}: no record at"
                                 f" {first} or {last}")
                if covered[place] & inside:
                    overlap.append(f"batch {b.batch_no} {topic}/{partition} {first}..{last}")
                covered[place] |= inside
        if total != b.events:
            wrong.append(f"batch {b.batch_no} says {b.events} events, its offsets {total}")
    v.of("ledger wrong", wrong)
    v.of("ledger overlaps", overlap)
    if complete:
        v.of("not in the ledger", [f"{p[0]}/{p[1]}/{o}" for p, records_ in at.items()
                                   for o in records_ if o not in covered[p]])


def check(events, records, kafka_tx, batches, dead=(), partitions=None,
          split_allowed=(), ledger_complete=False, first_version=None, ends=()):
    v = Violations()
    dead = set(dead)
    exactly_once(v, events, records, dead)
    in_order(v, records, partitions)
    announced(v, records, first_version)
    atomic_view(v, [*records, *ends], kafka_tx)
    whole(v, records, kafka_tx, set(split_allowed))
    in_parts(v, records, ends, kafka_tx, split_allowed)
    ledger(v, records, ends, batches, ledger_complete)
    return v
