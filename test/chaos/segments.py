"""Reads Kafka's log segments from disk: which Kafka transaction does a record
belong to, and was it committed?

No consumer shows that; the files do.  Format: record batch v2 (magic 2).  A
transaction of a producer ends, in each partition, at its next control batch.
"""
import glob
import os
import struct

# baseOffset, batchLength, leaderEpoch, magic, crc, attributes, lastOffsetDelta,
# baseTimestamp, maxTimestamp, producerId, producerEpoch, baseSequence, count
HEADER = struct.Struct(">qiibIhiqqqhii")
TRANSACTIONAL, CONTROL = 0x10, 0x20
ABORT, COMMIT = 0, 1


def _varint(data, at):
    value = shift = 0
    while True:
        b = data[at]
        at += 1
        value |= (b & 0x7f) << shift
        if b < 0x80:
            return (value >> 1) ^ -(value & 1), at
        shift += 7


def _control_type(body):
    """The kind of a control batch's single record: ABORT or COMMIT."""
    _, at = _varint(body, 0)            # length
    at += 1                             # attributes
    _, at = _varint(body, at)           # timestamp delta
    _, at = _varint(body, at)           # offset delta
    _, at = _varint(body, at)           # key length
    return struct.unpack_from(">hh", body, at)[1]


def batches(directory):
    """(base offset, last offset, producer id, attributes, body) of a
    partition's segments, in offset order."""
    for name in sorted(glob.glob(os.path.join(directory, "*.log"))):
        with open(name, "rb") as f:
            data = f.read()
        at = 0
        while at + HEADER.size <= len(data):
            h = HEADER.unpack_from(data, at)
            size = 12 + h[1]
            if h[1] <= 0 or at + size > len(data):
                break                   # preallocated or still being written
            yield h[0], h[0] + h[6], h[9], h[5], data[at + HEADER.size:at + size]
            at += size


def committed(directory):
    """{offset: (producer id, offset of its commit)} of the data records that
    are committed; aborted and open ones are left out."""
    result, open_tx = {}, {}
    for first, last, producer, attributes, body in batches(directory):
        if attributes & CONTROL:
            kind = _control_type(body)
            offsets = open_tx.pop(producer, [])
            if kind == COMMIT:
                result.update((o, (producer, first)) for o in offsets)
        elif attributes & TRANSACTIONAL:
            open_tx.setdefault(producer, []).extend(range(first, last + 1))
        else:
            result.update((o, (producer, -1)) for o in range(first, last + 1))
    return result
