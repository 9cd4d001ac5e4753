"""The checker must catch what it is there to catch: a clean run passes, and
every single fault planted in it is named."""
import os
import random
import struct
import sys
import tempfile
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import segments                                                 # noqa: E402
from checker import (Batch, End, Event, Record, Violations, check, in_parts,    # noqa: E402
                     murmur2)

PARTITIONS = {"a": 3, "b": 2}


class Run:
    """A correct history: transactions of one to six events, published in
    commit order, a few transactions to a Kafka transaction; and now and then
    another version of a topic's contract, announced in its partitions."""

    def __init__(self, seed=1, transactions=200):
        rng = random.Random(seed)
        self.events, self.records, self.batches = [], [], []
        self.kafka_tx = {(t, p): {} for t, n in PARTITIONS.items() for p in range(n)}
        seqs, ends = {}, {place: 0 for place in self.kafka_tx}
        self.versions = {t: 0 for t in PARTITIONS}
        lsn = batch_no = 0
        while lsn < transactions:
            batch_no += 1
            offsets, count, first_lsn = {}, 0, lsn + 1
            for _ in range(rng.randint(1, 4)):
                lsn += 1
                for topic, p, key, seq, n in self.transaction(rng, seqs):
                    e = Event(f"id-{lsn}-{n}", f"tx{lsn}", topic, key, seq)
                    o = ends[topic, p]
                    ends[topic, p] += 1
                    self.events.append(e)
                    self.records.append(Record(topic, p, o, key, e.event_id, e.tx, seq,
                                               f"{lsn:08}-{n:08}", self.versions[topic]))
                    self.kafka_tx[topic, p][o] = (7, batch_no)
                    x = offsets.setdefault(topic, {}).setdefault(str(p), [o, o, 0])
                    x[1] = o
                    x[2] += 1
                    count += 1
            for place in ends:
                ends[place] += 1        # the control record
            self.batches.append(Batch(batch_no, first_lsn, lsn, lsn - first_lsn + 1,
                                      count, offsets))

    def transaction(self, rng, seqs):
        if rng.random() < 0.05:
            topic = rng.choice("ab")
            self.versions[topic] += 1
            return [(topic, p, None, 0, p) for p in range(PARTITIONS[topic])]
        events = []
        for n in range(rng.randint(1, 6)):
            topic = rng.choice("ab")
            key = f"k{rng.randint(1, 12)}"
            seq = seqs[topic, key] = seqs.get((topic, key), 0) + 1
            p = (murmur2(key.encode()) & 0x7fffffff) % PARTITIONS[topic]
            events.append((topic, p, key, seq, n))
        return events

    def judge(self, **more):
        return check(self.events, self.records, self.kafka_tx, self.batches,
                     partitions=PARTITIONS, ledger_complete=True, first_version=0, **more)


class Checker(unittest.TestCase):
    def setUp(self):
        self.run_ = Run()

    def caught(self, kind, **more):
        found = self.run_.judge(**more)
        self.assertTrue(any(line.startswith(kind + ":") for line in found),
                        f"no {kind!r} among {list(found)}")

    def controls(self):
        found = [i for i, r in enumerate(self.run_.records) if r.key is None]
        self.assertTrue(found, "no control event in this run")
        return found

    def test_control_lost(self):
        del self.run_.records[self.controls()[1]]
        self.caught("lost")
        self.caught("not announced")

    def test_control_repeated(self):
        self.run_.records.append(self.run_.records[self.controls()[0]]._replace(offset=99999))
        self.caught("repeated")

    def test_control_late(self):
        """It changes places with the event behind it."""
        records = self.run_.records
        for i in self.controls():
            after = [j for j, r in enumerate(records)
                     if (r.topic, r.partition) == (records[i].topic, records[i].partition)
                     and r.offset > records[i].offset and r.key is not None
                     and r.version == records[i].version]
            if after:
                self.swap_offsets(i, min(after, key=lambda j: records[j].offset))
                self.caught("not announced")
                return
        self.fail("no event behind a control event")

    def test_control_early(self):
        """It changes places with the event in front of it."""
        records = self.run_.records
        for i in self.controls():
            before = [j for j, r in enumerate(records)
                      if (r.topic, r.partition) == (records[i].topic, records[i].partition)
                      and r.offset < records[i].offset and r.key is not None]
            if before:
                self.swap_offsets(i, max(before, key=lambda j: records[j].offset))
                self.caught("not announced")
                return
        self.fail("no event in front of a control event")

    def swap_offsets(self, i, j):
        r = self.run_.records
        a, b = r[i], r[j]
        r[i], r[j] = a._replace(offset=b.offset), b._replace(offset=a.offset)

    def same_key_pair(self):
        last = {}
        for i, r in enumerate(self.run_.records):
            if r.key is not None and (r.topic, r.key) in last:
                return last[r.topic, r.key], i
            last[r.topic, r.key] = i

    def test_clean(self):
        for seed in range(5):
            self.assertEqual([], list(Run(seed).judge()))

    def test_lost(self):
        del self.run_.records[17]
        self.caught("lost")

    def test_lost_in_topic_and_log(self):
        r = self.run_.records.pop(17)
        del self.run_.kafka_tx[r.topic, r.partition][r.offset]
        self.caught("lost")

    def test_repeated(self):
        r = self.run_.records[17]
        end = max(x.offset for x in self.run_.records) + 10
        self.run_.records.append(r._replace(offset=end))
        self.run_.kafka_tx[r.topic, r.partition][end] = (7, 999)
        self.caught("repeated")

    def test_rolled_back(self):
        r = self.run_.records[17]
        end = max(x.offset for x in self.run_.records) + 10
        self.run_.records.append(r._replace(offset=end, event_id="id-rolled-back"))
        self.caught("never committed")

    def test_swapped(self):
        self.swap_offsets(*self.same_key_pair())
        self.caught("out of order")

    def test_swapped_other_keys(self):
        """Keys of one partition in another order: no key suffers, but the
        stream does."""
        r = self.run_.records
        for i in range(1, len(r)):
            for j in range(i):
                if (r[i].topic, r[i].partition) == (r[j].topic, r[j].partition) \
                        and None not in (r[i].key, r[j].key) and r[i].key != r[j].key:
                    self.swap_offsets(i, j)
                    self.caught("ce_sequence fell")
                    return
        self.fail("no pair")

    def test_split_in_a_partition(self):
        by_place = {}
        for r in self.run_.records:
            place = (r.tx, r.topic, r.partition)
            if place in by_place:
                self.run_.kafka_tx[r.topic, r.partition][r.offset] = (7, 9999)
                self.caught("split")
                return
            by_place[place] = r
        self.fail("no transaction with two events in a partition")

    def test_split_over_partitions(self):
        """One transaction's second partition arrives with the next Kafka
        transaction: only the ties between partitions show it."""
        run = self.run_
        first = {}
        for r in run.records:
            first.setdefault(r.tx, []).append(r)
        for tx, rs in first.items():
            here = {(r.topic, r.partition) for r in rs}
            if len(here) < 2:
                continue
            place = (rs[-1].topic, rs[-1].partition)
            mine = run.kafka_tx[place][rs[-1].offset]
            later = (mine[0], mine[1] + 1)
            if later not in run.kafka_tx[place].values():
                continue
            moved = [r for r in rs if (r.topic, r.partition) == place]
            saved = dict(run.kafka_tx[place])
            for r in moved:
                run.kafka_tx[place][r.offset] = later
            if any(line.startswith("split") for line in run.judge()):
                return
            run.kafka_tx[place] = saved
        self.fail("no split over partitions was caught")

    def test_split_where_allowed(self):
        by_place = {}
        for r in self.run_.records:
            place = (r.tx, r.topic, r.partition)
            if place in by_place:
                self.run_.kafka_tx[r.topic, r.partition][r.offset] = (7, 9999)
                found = self.run_.judge(split_allowed=[r.tx])
                self.assertEqual([], [x for x in found if x.startswith("split")])
                return
            by_place[place] = r

    def test_wrong_partition(self):
        r = self.run_.records[3]
        other = (r.partition + 1) % PARTITIONS[r.topic]
        self.run_.records[3] = r._replace(partition=other, offset=100000)
        self.caught("wrong partition")

    def test_changed(self):
        self.run_.records[3] = self.run_.records[3]._replace(seq=0)
        self.caught("changed on the way")

    def test_uncommitted_read(self):
        r = self.run_.records[3]
        del self.run_.kafka_tx[r.topic, r.partition][r.offset]
        self.caught("consumer and log differ")

    def test_dead_letter(self):
        r = self.run_.records.pop(17)
        del self.run_.kafka_tx[r.topic, r.partition][r.offset]
        self.assertFalse([x for x in self.run_.judge(dead=[r.event_id]) if x.startswith("lost")])

    def test_dead_letter_and_published(self):
        self.caught("published and dead-lettered", dead=[self.run_.records[5].event_id])

    def test_dead_letter_of_nothing(self):
        self.caught("dead letter of no committed event", dead=["id-none"])

    def test_ledger_offset(self):
        b = self.run_.batches[4]
        topic, parts = next(iter(b.offsets.items()))
        next(iter(parts.values()))[1] += 1
        self.caught("ledger wrong")

    def test_ledger_count(self):
        self.run_.batches[4] = self.run_.batches[4]._replace(events=0)
        self.caught("ledger wrong")

    def test_ledger_twice(self):
        self.run_.batches.append(self.run_.batches[4]._replace(batch_no=9999))
        self.caught("ledger overlaps")

    def test_ledger_missing(self):
        del self.run_.batches[4]
        self.caught("not in the ledger")


class Parts(unittest.TestCase):
    """A transaction of six events in three parts, which an empty record may end."""

    def setUp(self):
        self.records = [Record("a", 0, n, "k", f"id-{n}", "big", n, f"07-{n:03}", None, 1 + n // 2, n == 5)
                        for n in range(6)]
        self.ends = []
        self.kafka_tx = {("a", 0): {n: (7, n // 2) for n in range(7)}}

    def found(self, split=("big",)):
        v = Violations()
        in_parts(v, self.records, self.ends, self.kafka_tx, split)
        return v

    def caught(self, kind, **more):
        self.assertTrue(any(line.startswith(kind + ":") for line in self.found(**more)), self.found(**more))

    def end_apart(self):
        """The last event is a dead letter."""
        r = self.records.pop()
        self.ends.append(End("a", 0, 6, r.sequence, 3, True))
        self.kafka_tx["a", 0][6] = (7, 2)

    def test_clean(self):
        self.assertEqual([], self.found())
        self.end_apart()
        self.assertEqual([], self.found())

    def test_no_end(self):
        self.records[5] = self.records[5]._replace(last=False)
        self.caught("end not said")

    def test_no_end_apart(self):
        self.end_apart()
        self.ends.clear()
        self.caught("end not said")

    def test_early_end(self):
        self.records[3] = self.records[3]._replace(last=True)
        self.caught("end not said")

    def test_first_part_missing(self):
        del self.records[:2]
        self.caught("end not said")

    def test_no_part(self):
        self.records[2] = self.records[2]._replace(part=None)
        self.caught("part not said")

    def test_not_to_be_split(self):
        self.caught("part of a whole", split=())

    def test_part_over_kafka_transactions(self):
        self.kafka_tx["a", 0][3] = (7, 9)
        self.caught("parts mixed")

    def test_parts_in_one_kafka_transaction(self):
        self.kafka_tx["a", 0].update({4: (7, 1), 5: (7, 1)})
        self.caught("parts mixed")


class Segments(unittest.TestCase):
    """A hand-made segment: two producers interleaved, a commit, an abort, an
    open end."""

    @staticmethod
    def batch(base, count, producer, control=None):
        attributes = segments.TRANSACTIONAL
        body = b"x" * 9 * count
        if control is not None:
            attributes |= segments.CONTROL
            body = bytes([2 * 16, 0, 0, 0, 2 * 4]) + struct.pack(">hh", 0, control) + b"\0" * 8
        head = segments.HEADER.pack(base, segments.HEADER.size - 12 + len(body), 0, 2, 0,
                                    attributes, count - 1, 0, 0, producer, 0, 0, count)
        return head + body

    def test_committed(self):
        data = b"".join([
            self.batch(0, 2, 1), self.batch(2, 3, 2), self.batch(5, 1, 1, segments.COMMIT),
            self.batch(6, 1, 2), self.batch(7, 1, 2, segments.ABORT),
            self.batch(8, 1, 2), self.batch(9, 1, 2, segments.COMMIT),
            self.batch(10, 4, 1)]) + b"\0" * 200
        with tempfile.TemporaryDirectory() as d:
            with open(os.path.join(d, "00000000000000000000.log"), "wb") as f:
                f.write(data)
            self.assertEqual({0: (1, 5), 1: (1, 5), 8: (2, 9)}, segments.committed(d))


class Murmur(unittest.TestCase):
    def test_java(self):
        """Values of Kafka's own UtilsTest."""
        for text, value in [(b"21", -973932308), (b"foobar", -790332482),
                            (b"a-little-bit-long-string", -985981536),
                            (b"a-little-bit-longer-string", -1486304829),
                            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
                            (b"abc", 479470107)]:
            self.assertEqual(value & 0xffffffff, murmur2(text), text)


if __name__ == "__main__":
    unittest.main()
