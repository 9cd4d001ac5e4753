/*-------------------------------------------------------------------------
 *
 * progress.c
 *	  What follows a committed Kafka transaction: ledger, slot, progress.
 *
 * The slot S never passes max(M, P).  M moves with every batch.  P, a record
 * of PostgreSQL, is written by the scribe only when the stream is idle and
 * other traffic has moved WAL far or long enough: otherwise its own WAL would
 * be the reason to write it again, for ever.  S follows P only when P's
 * record is flushed here and on every synchronous standby.
 *
 * The ledger lags behind on purpose: one row a second at most, sent without
 * waiting for an answer.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "libpq/pqformat.h"
#include "utils/hsearch.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"

/* Foreign WAL after which P is written while idle: bytes, or ms and bytes. */
#define PROGRESS_BYTES		(16 * 1024 * 1024)
#define PROGRESS_MS			10000
#define PROGRESS_MIN_BYTES	(64 * 1024)
#define LEDGER_MS			1000

typedef struct OffsetKey
{
	MoTopic    *topic;
	int64		partition;		/* as wide as the pointer: no padding */
} OffsetKey;

typedef struct OffsetEntry
{
	OffsetKey	key;
	const char *topic;			/* name, of the route */
	int64		first;
	int64		last;
	int64		events;
} OffsetEntry;

/* ---------------------------------------------------------------------
 * Ledger
 * ---------------------------------------------------------------------
 */

static void
ledger_open(MoLedgerSpan *span)
{
	HASHCTL		ctl = {
		.keysize = sizeof(OffsetKey),
		.entrysize = sizeof(OffsetEntry),
		.hcxt = TopMemoryContext,
	};

	memset(&span->entry, 0, sizeof(span->entry));
	span->offsets = hash_create("mesh_outbox ledger offsets", 32, &ctl,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
}

static void
ledger_add_offsets(MoLedgerSpan *span, const MoBatch *batch)
{
	OffsetEntry *entry = NULL;

	for (int i = 0; i < batch->nevents; i++)
	{
		const MoEvent *event = &batch->events[i];
		OffsetKey	key = {event->record.topic, event->record.partition};
		bool		found;

		/* Recovered from the marker alone: the reports were lost. */
		if (event->dead || event->record.offset < 0)
			continue;
		if (entry == NULL || memcmp(&entry->key, &key, sizeof(key)) != 0)
		{
			entry = hash_search(span->offsets, &key, HASH_ENTER, &found);
			if (!found)
			{
				entry->topic = event->route->info.topic;
				entry->first = event->record.offset;
				entry->events = 0;
			}
		}
		entry->last = event->record.offset;
		entry->events += !event->closing;
	}
}

static void
ledger_add(MoPublisher *pub, MoBatch *batch, int64 events)
{
	MoLedgerSpan *span = &pub->ledger;
	MoLedgerEntry *e = &span->entry;

	if (span->offsets == NULL)
		ledger_open(span);
	if (e->kafka_transactions == 0)
	{
		e->first_lsn = batch->first.commit_lsn;
		e->first_xid = batch->first.xid;
		e->first_commit = batch->first.commit_time;
	}
	e->last_lsn = batch->last.txn.commit_lsn;
	e->last_xid = batch->last.txn.xid;
	e->last_commit = batch->last.txn.commit_time;
	e->transactions += batch->transactions;
	e->events += events;
	e->bytes += batch->bytes;
	e->kafka_transactions++;
	e->published_at = GetCurrentTimestamp();
	ledger_add_offsets(span, batch);
}

static int
compare_offsets(const void *a, const void *b)
{
	const OffsetEntry *x = *(OffsetEntry *const *) a;
	const OffsetEntry *y = *(OffsetEntry *const *) b;
	int			by_topic = strcmp(x->topic, y->topic);

	if (by_topic != 0)
		return by_topic;
	return x->key.partition < y->key.partition ? -1 : 1;
}

/* {"topic": {"partition": [first, last, events]}} */
static char *
offsets_json(MoLedgerSpan *span)
{
	StringInfoData buf;
	HASH_SEQ_STATUS status;
	OffsetEntry *entry;
	OffsetEntry **sorted;
	int			n = 0;

	sorted = palloc(sizeof(*sorted) * Max(hash_get_num_entries(span->offsets), 1));
	hash_seq_init(&status, span->offsets);
	while ((entry = hash_seq_search(&status)) != NULL)
		sorted[n++] = entry;
	qsort(sorted, n, sizeof(*sorted), compare_offsets);

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '{');
	for (int i = 0; i < n; i++)
	{
		bool		same = i > 0 && strcmp(sorted[i - 1]->topic, sorted[i]->topic) == 0;

		if (!same)
		{
			appendStringInfoString(&buf, i > 0 ? "}, " : "");
			escape_json(&buf, sorted[i]->topic);
			appendStringInfoString(&buf, ": {");
		}
		appendStringInfo(&buf, "%s\"" INT64_FORMAT "\": [" INT64_FORMAT ", "
						 INT64_FORMAT ", " INT64_FORMAT "]",
						 same ? ", " : "", sorted[i]->key.partition,
						 sorted[i]->first, sorted[i]->last, sorted[i]->events);
	}
	appendStringInfoString(&buf, n > 0 ? "}}" : "}");
	pfree(sorted);
	return buf.data;
}

static void
ledger_send(MoPublisher *pub)
{
	MoLedgerSpan *span = &pub->ledger;
	StringInfoData body;

	span->entry.incarnation = pub->incarnation;
	span->entry.offsets = offsets_json(span);
	initStringInfo(&body);
	mo_channel_put_ledger(&body, &span->entry);
	mo_publisher_ask(pub, MO_ASK_LEDGER, &body);
	MO_FAULT_POINT("ledger_ask");
	pfree(body.data);
	pfree(span->entry.offsets);
	hash_destroy(span->offsets);
	span->offsets = NULL;
	span->sent_at = GetCurrentTimestamp();
}

/* ---------------------------------------------------------------------
 * Slot and progress
 * ---------------------------------------------------------------------
 */

static void
confirm(MoPublisher *pub, XLogRecPtr lsn)
{
	if (pub->decoder == NULL || lsn <= pub->slot->slot_lsn)
		return;
	mo_decode_confirm(pub->decoder, lsn);
	MO_FAULT_POINT("slot_advance");
	SpinLockAcquire(&pub->slot->mutex);
	pub->slot->slot_lsn = lsn;
	SpinLockRelease(&pub->slot->mutex);
}

static void
set_dealt(MoPublisher *pub, XLogRecPtr lsn)
{
	bool		moved;

	SpinLockAcquire(&pub->slot->mutex);
	moved = lsn > pub->slot->dealt_lsn;
	if (moved)
		pub->slot->dealt_lsn = lsn;
	SpinLockRelease(&pub->slot->mutex);
	if (moved)
		ConditionVariableBroadcast(&pub->slot->dealt_cv);
}

static void
set_caught_up(MoPublisher *pub)
{
	TimestampTz now = GetCurrentTimestamp();

	SpinLockAcquire(&pub->slot->mutex);
	pub->slot->caught_up_at = now;
	SpinLockRelease(&pub->slot->mutex);
}

/* A batch's Kafka transaction is committed. */
void
mo_progress_committed(MoPublisher *pub, MoBatch *batch)
{
	int64		events = 0;
	bool		complete = batch->last.complete;

	pub->heartbeat_at = GetCurrentTimestamp();
	if (batch->nevents == 0)
	{
		MO_FAULT_POINT("heartbeat");
		return;
	}
	for (int i = 0; i < batch->nevents; i++)
		events += !batch->events[i].dead && !batch->events[i].closing;
	ledger_add(pub, batch, events);
	pg_atomic_fetch_add_u64(&pub->slot->transactions, batch->transactions);
	pg_atomic_fetch_add_u64(&pub->slot->events, events);
	pg_atomic_fetch_add_u64(&pub->slot->bytes, batch->bytes);
	pg_atomic_fetch_add_u64(&pub->slot->kafka_transactions, 1);

	SpinLockAcquire(&pub->slot->mutex);
	pub->slot->marker_lsn = batch->last.txn.commit_lsn;
	pub->slot->last_commit_time = batch->last.txn.commit_time;
	pub->slot->last_publish_time = pub->heartbeat_at;
	pub->slot->fenced = 0;
	SpinLockRelease(&pub->slot->mutex);

	/* Inside a split transaction neither the slot nor anybody may go on. */
	if (complete)
	{
		confirm(pub, batch->last.txn.end_lsn);
		set_dealt(pub, batch->last.txn.end_lsn);
	}
}

void
mo_progress_ask(MoPublisher *pub, XLogRecPtr lsn)
{
	StringInfoData body;
	MoProgress	p = {
		.lsn = lsn,
		.marker_lsn = pub->committed.txn.commit_lsn,
		.marker_xid = pub->committed.txn.xid,
		.marker_time = pub->committed.txn.commit_time,
	};

	initStringInfo(&body);
	mo_channel_put_progress(&body, &p);
	pub->progress_next = p;
	pub->progress_asked = lsn;
	mo_publisher_ask(pub, MO_ASK_PROGRESS, &body);
	pfree(body.data);
}

/*
 * Nothing is in flight and everything readable is decoded: all up to here is
 * dealt with.
 */
void
mo_progress_idle(MoPublisher *pub)
{
	XLogRecPtr	here = mo_decode_position(pub->decoder);
	XLogRecPtr	known = Max(pub->progress.lsn, pub->committed.txn.end_lsn);
	XLogRecPtr	foreign;

	set_dealt(pub, here);
	/* Behind a standby's limit there may be more. */
	if (mo_decode_limit(pub->decoder) == MO_LIMIT_FLUSHED)
		set_caught_up(pub);
	if (pub->progress_asked != InvalidXLogRecPtr || here <= known)
		return;
	foreign = here - Max(known, pub->progress_record);
	if (here < pub->progress_record || foreign < PROGRESS_MIN_BYTES)
		return;
	if (foreign >= PROGRESS_BYTES ||
		TimestampDifferenceExceeds(pub->progress_at, GetCurrentTimestamp(),
								   PROGRESS_MS))
	{
		pub->progress_at = GetCurrentTimestamp();
		mo_progress_ask(pub, here);
		MO_FAULT_POINT("progress_ask");
	}
}

/* The slot may follow P when P's record cannot be lost in a failover. */
static void
follow_progress(MoPublisher *pub)
{
	if (pub->progress.lsn > pub->slot->slot_lsn &&
		pub->progress_record != InvalidXLogRecPtr &&
		pub->progress_record <= mo_decode_standby_flushed())
		confirm(pub, pub->progress.lsn);
}

/* ---------------------------------------------------------------------
 * From time to time
 * ---------------------------------------------------------------------
 */

static void
warn_of_retained_wal(MoPublisher *pub)
{
	uint64		limit = (uint64) mo_guc_retained_wal_warning * 1024 * 1024;
	uint64		retained = mo_decode_flushed() - mo_decode_restart_lsn(pub->decoder);

	if (limit == 0 || retained < limit)
	{
		pub->wal_warned_at = 0;
		return;
	}
	/* Once at the limit, then at every doubling. */
	if (pub->wal_warned_at != 0 && retained < 2 * pub->wal_warned_at)
		return;
	pub->wal_warned_at = retained;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("publisher \"%s\" makes the server keep " UINT64_FORMAT " MB of WAL",
					pub->hello.name, retained / (1024 * 1024)),
			 errdetail("State: %s.", mo_shmem_state_name(pub->slot->state)),
			 errhint("See mesh_outbox.publishers; WAL is released when the publisher goes on or is dropped.")));
}

void
mo_progress_publish_status(MoPublisher *pub)
{
	SpinLockAcquire(&pub->slot->mutex);
	if (pub->decoder != NULL)
		pub->slot->decoded_lsn = mo_decode_position(pub->decoder);
	pub->slot->marker_lsn = pub->committed.txn.commit_lsn;
	pub->slot->progress_lsn = pub->progress.lsn;
	SpinLockRelease(&pub->slot->mutex);
}

/* Cheap when there is nothing to do: called at every turn of the main loop. */
void
mo_progress_tick(MoPublisher *pub)
{
	TimestampTz now = GetCurrentTimestamp();

	/* A row never ends inside a transaction: one may go on behind it. */
	if (pub->ledger.offsets != NULL && pub->committed.complete &&
		TimestampDifferenceExceeds(pub->ledger.sent_at, now, LEDGER_MS))
		ledger_send(pub);
	follow_progress(pub);
	if (mo_guc_heartbeat_interval > 0 && pub->heartbeats_due == 0 &&
		TimestampDifferenceExceeds(pub->heartbeat_at, now,
								   mo_guc_heartbeat_interval * 1000))
		pub->heartbeats_due = MO_TRANSACTIONAL_LANES;	/* one on each id */
	warn_of_retained_wal(pub);
	mo_progress_publish_status(pub);
}
