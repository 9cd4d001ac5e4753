/*-------------------------------------------------------------------------
 *
 * stream.c
 *	  From decoded transactions to batches.
 *
 * The callbacks of the decoder, in commit order.  They run inside the
 * transaction core opens around each replay; that one holds no xmin, so it
 * may last while a large transaction goes out in parts.
 *
 * A transaction that has no more events and bytes than the settings allow
 * stays whole in one batch, and so in one Kafka transaction.  A larger one is
 * closed off in parts, of which each ends its batch; the last one says that it
 * is the last.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/hsearch.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"

/*
 * A batch takes no further transaction above this share of the limit: three of
 * them are in memory at a time.
 */
#define FULL(limit)		Max((limit) / 4, 1)

/* The parts of a split transaction, but for the first, hold this share of it. */
#define PART(limit)		Max((limit) / 2, 1)

static bool
is_full(const MoBatch *batch)
{
	return batch->nevents >= FULL(mo_guc_max_transaction_events) ||
		batch->bytes >= FULL(mo_guc_max_transaction_size * INT64CONST(1024));
}

/* A transaction is split only above the limit. */
static bool
txn_is_full(const MoPublisher *pub)
{
	const MoBatch *batch = pub->open;
	int64		events = mo_guc_max_transaction_events;
	int64		bytes = mo_guc_max_transaction_size * INT64CONST(1024);

	return batch->nevents - batch->txn_start >= (pub->part > 0 ? PART(events) : events) ||
		batch->txn_bytes >= (pub->part > 0 ? PART(bytes) : bytes);
}

/* ---------------------------------------------------------------------
 * Below the marker
 * ---------------------------------------------------------------------
 */

/*
 * Is this the transaction that the marker names?  Decides mismatch or
 * verified.  If the marker stands inside it, its rows must not be missed:
 * then the stream is taken over here, in the middle of the replay.
 */
static void
verify(MoPublisher *pub, const MoTransaction *txn)
{
	const MoTransaction *m = &pub->committed.txn;

	if (txn->commit_lsn < m->commit_lsn)
		return;
	pub->mismatch = txn->commit_lsn != m->commit_lsn ||
		txn->xid != m->xid || txn->commit_time != m->commit_time;
	pub->verified = !pub->mismatch;
	if (pub->verified && !pub->committed.complete)
		mo_start_own(pub);
}

/* Decides what of the transaction is dealt with already. */
static void
find_place(MoPublisher *pub, const MoTransaction *txn)
{
	const MoPosition *m = &pub->resume;

	pub->txn_skipped = txn->commit_lsn < m->txn.commit_lsn ||
		txn->commit_lsn < pub->start_lsn ||
		(txn->commit_lsn == m->txn.commit_lsn && m->complete);
	if (txn->commit_lsn == m->txn.commit_lsn && !m->complete)
	{
		pub->skip_ordinal = m->ordinal;
		pub->part = m->part;
	}
}

static bool
is_dead_already(MoPublisher *pub, const MoTransaction *txn, int64 ordinal)
{
	MoDeadKey	key = {txn->commit_lsn, ordinal};

	return pub->dead_known != NULL &&
		hash_search(pub->dead_known, &key, HASH_FIND, NULL) != NULL;
}

/* ---------------------------------------------------------------------
 * Callbacks
 * ---------------------------------------------------------------------
 */

static void
begin_batch_part(MoPublisher *pub)
{
	MoBatch    *batch = pub->open;

	batch->txn_start = batch->nevents;
	batch->txn_bytes = 0;
	pub->txn_here = NULL;
}

static void
stream_begin(void *arg, const MoTransaction *txn)
{
	MoPublisher *pub = arg;

	pub->part = 0;
	pub->skip_ordinal = 0;
	pub->last_route = NULL;
	pub->txn_skipped = true;
	if (pub->mode == MO_STREAM_VERIFY)
		verify(pub, txn);
	if (pub->mode == MO_STREAM_VERIFY)
		return;
	find_place(pub, txn);
	if (pub->txn_skipped)
		return;
	if (is_full(pub->open))
		mo_pipeline_submit(pub);
	begin_batch_part(pub);
}

/* The open batch's own copy of the transaction, made at its first event. */
static const MoTransaction *
own_copy(MoPublisher *pub, const MoTransaction *txn)
{
	MoBatch    *batch = pub->open;

	if (pub->txn_here == NULL)
	{
		MoTransaction *copy = mo_batch_alloc(batch, sizeof(MoTransaction));

		*copy = *txn;
		pub->txn_here = copy;
		if (batch->first.commit_lsn == InvalidXLogRecPtr)
		{
			batch->first = *txn;
			batch->opened_at = mo_publisher_ticks();
		}
	}
	return pub->txn_here;
}

/* Numbers the events of the current transaction in the open batch. */
static void
number_part(MoPublisher *pub)
{
	MoBatch    *batch = pub->open;

	pub->part++;
	for (int i = batch->txn_start; i < batch->nevents; i++)
		batch->events[i].part = pub->part;
}

static void
close_part(MoPublisher *pub, const MoTransaction *txn)
{
	MoBatch    *batch = pub->open;

	number_part(pub);
	batch->last.txn = *txn;
	batch->last.ordinal = batch->events[batch->nevents - 1].ordinal;
	batch->last.complete = false;
	batch->last.part = pub->part;
	mo_pipeline_submit(pub);
	begin_batch_part(pub);
}

/* Why the row can never be published; NULL when it can. */
static const char *
refusal(const MoRow *row, const MoRoute *route, const char **detail)
{
	if (row->contract_id == 0)
	{
		*detail = "The row carries no contract: it was written past the check.";
		return "no_contract";
	}
	if (route == NULL)
	{
		*detail = psprintf("There is no contract with id " INT64_FORMAT ".",
						   Abs(row->contract_id));
		return "no_contract";
	}
	if (row->contract_id < 0)
	{
		*detail = "The payload breaks its contract, whose enforcement is \"quarantine\".";
		return "quarantined";
	}
	if (!row->has_event_id || row->payload == NULL)
	{
		*detail = "The row has no event_id or no payload: it was written past the check.";
		return "incomplete";
	}
	if (route->topic == NULL)
	{
		*detail = route->refusal;
		return route->reason;
	}
	if (row->control &&
		(row->partition < 0 || row->partition >= route->info.partitions))
	{
		*detail = psprintf("The topic has no partition %d.", row->partition);
		return "invalid_partition";
	}
	return NULL;
}

static void
stream_row(void *arg, const MoTransaction *txn, const MoRow *row)
{
	MoPublisher *pub = arg;
	MoRoute    *route = NULL;
	MoEvent    *event;
	const char *reason;
	const char *detail = NULL;
	int64		before;

	if (pub->txn_skipped)
		return;
	/* Rows below M count: the end of their transaction may have no topic. */
	if (row->contract_id != 0)
		route = mo_route_find(pub, Abs(row->contract_id));
	if (route != NULL && route->topic != NULL)
		pub->last_route = route;
	if (row->ordinal <= pub->skip_ordinal ||
		is_dead_already(pub, txn, row->ordinal))
		return;
	if (txn_is_full(pub))
		close_part(pub, txn);

	before = pub->open->bytes;
	mo_envelope_encode(pub->open, route, own_copy(pub, txn), row);
	pub->open->txn_bytes += pub->open->bytes - before;
	reason = refusal(row, route, &detail);
	if (reason != NULL)
	{
		event = &pub->open->events[pub->open->nevents - 1];
		event->dead = true;
		event->dead_reason = reason;
		event->dead_detail = mo_batch_copy(pub->open, detail);
	}
}

static void
stream_commit(void *arg, const MoTransaction *txn, int64 rows)
{
	MoPublisher *pub = arg;
	MoBatch    *batch = pub->open;

	if (pub->txn_skipped)
		return;
	if (batch->nevents == batch->txn_start)
	{
		/* Nothing of it here: only a split one has something to end. */
		if (pub->part == 0 || pub->last_route == NULL)
			return;
		mo_envelope_close(batch, pub->last_route, own_copy(pub, txn),
						  rows, pub->part + 1);
	}
	if (pub->part > 0)
		number_part(pub);
	batch->last.txn = *txn;
	batch->last.ordinal = rows;
	batch->last.complete = true;
	batch->last.part = pub->part;
	batch->transactions++;
	if (pub->part > 0)
	{
		/* Ends the batch: nothing comes behind the record that will say so. */
		batch->end_route = pub->last_route;
		mo_pipeline_submit(pub);
	}
}

/*
 * In the middle of a replay.  What is open goes only if none of this
 * transaction is in it.
 */
static void
stream_turn(void *arg)
{
	MoPublisher *pub = arg;
	MoBatch    *batch = pub->open;

	mo_publisher_wait(pub, 0);
	if (!pub->running)
		return;
	mo_progress_tick(pub);
	if (batch->nevents == batch->txn_start && mo_pipeline_is_due(pub))
	{
		mo_pipeline_submit(pub);
		begin_batch_part(pub);
	}
}

void
mo_stream_init(MoPublisher *pub)
{
	pub->sink.arg = pub;
	pub->sink.begin = stream_begin;
	pub->sink.row = stream_row;
	pub->sink.commit = stream_commit;
	pub->sink.turn = stream_turn;
	pub->open = mo_batch_create();
	pub->spare[0] = mo_batch_create();
	pub->spare[1] = mo_batch_create();
}
