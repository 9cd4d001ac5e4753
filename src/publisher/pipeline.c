/*-------------------------------------------------------------------------
 *
 * pipeline.c
 *	  Batches to Kafka transactions: transactional ids in turn.
 *
 * At most two batches are in flight, oldest first, each on a lane (a
 * transactional id) of its own.  The younger one is produced while the older
 * commits: after all of the older one's records are delivered, or the two
 * would race for their places in the logs.  It sends its marker only after
 * the older one's marker was taken (of two stored offsets the one appended
 * later wins) and commits only after the older one's commit is known.  If the
 * older one is aborted, so is the younger, before anything is produced again.
 *
 * A batch's way, each step as soon as it is possible:
 *
 *	  NEW -> PRODUCING -> PRODUCED -> MARKING -> MARKED -> COMMITTING -> done
 *	   ^         |            |          |          |          |
 *	   +-- ABORTING <------ FAILED <-----+----------+----------+
 *
 * Between PRODUCED and MARKING the batch's dead letters become durable, here
 * and on every synchronous standby: a marker never passes an event that is
 * neither in Kafka nor recorded.
 *
 * Everything is kept until the commit is known, so an abort, a refused record
 * or a new handle costs no decoding.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"

/* How long a trial's transaction is left open, ms. */
#define TRIAL_MS		500

/* The longest that a batch is filled while there is more to decode, in ms. */
#define FILL_MS			250

static bool
has_room(MoPublisher *pub)
{
	return pub->nflight < lengthof(pub->flight);
}

/* ---------------------------------------------------------------------
 * Dead letters
 * ---------------------------------------------------------------------
 */

static void
ask_dead_letter(MoPublisher *pub, MoBatch *batch, MoEvent *event)
{
	StringInfoData body;
	char		id[40];
	MoDeadLetter letter = {
		.branch = mo_marker_branch_at(&pub->history, event->txn->commit_lsn),
		.commit_lsn = event->txn->commit_lsn,
		.ordinal = event->ordinal,
		.xid = event->txn->xid,
		.commit_time = event->txn->commit_time,
		.outbox_id = event->outbox_id,
		.event_id = mo_envelope_event_id(event, id),
		.event_type = (char *) event->event_type,
		.contract_id = event->contract_id,
		.topic = event->route ? event->route->info.topic : NULL,
		.key = (char *) event->key,
		.payload = (char *) event->record.value,
		.headers = mo_envelope_extra_json(event),
		.reason = (char *) event->dead_reason,
		.detail = (char *) event->dead_detail,
	};

	initStringInfo(&body);
	mo_channel_put_dead_letter(&body, &letter);
	mo_publisher_ask(pub, MO_ASK_DEAD_LETTER, &body);
	MO_FAULT_POINT("dead_letter_ask");
	batch->dead_sequence = ++pub->dead_asked;
	pg_atomic_fetch_add_u64(&pub->slot->dead_letters, 1);
	pfree(body.data);
}

void
mo_pipeline_kill_event(MoPublisher *pub, MoBatch *batch, MoEvent *event,
		   const char *reason, const char *detail)
{
	event->dead = true;
	event->dead_reason = reason;
	event->dead_detail = mo_batch_copy(batch, detail);
	if (!event->closing)
		ask_dead_letter(pub, batch, event);
}

static bool
dead_letters_durable(MoPublisher *pub, const MoBatch *batch)
{
	/* The marker names dead_lsn whether the newest letter is this batch's or not. */
	return pub->dead_done >= batch->dead_sequence &&
		pub->dead_lsn <= mo_decode_standby_flushed();
}

/* ---------------------------------------------------------------------
 * Producing
 * ---------------------------------------------------------------------
 */

void
mo_pipeline_reset_records(MoBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
	{
		batch->events[i].record.offset = -1;
		batch->events[i].record.error = 0;
	}
	batch->next = 0;
}

/*
 * The batch that ends a split transaction says so on its last record; if that
 * one went to the dead letters, on the one before; if all of this part did, on
 * a closing record.
 */
static void
mark_last_part(MoBatch *batch)
{
	const MoEvent *end;

	if (batch->end_route == NULL)
		return;
	for (int i = batch->nevents - 1; i >= 0; i--)
	{
		MoEvent    *event = &batch->events[i];

		if (event->txn->commit_lsn != batch->last.txn.commit_lsn)
			break;
		if (!event->dead)
		{
			event->last_part = true;
			return;
		}
	}
	end = &batch->events[batch->nevents - 1];
	/* Refused, too: then nothing can say so. */
	if (end->closing)
		return;
	mo_envelope_close(batch, batch->end_route, end->txn, end->ordinal,
					  batch->last.part);
}

/* In turn; one that is repeated while the older one commits keeps off its id. */
static int
next_lane(MoPublisher *pub, const MoBatch *batch)
{
	do
		pub->last_lane = (pub->last_lane + 1) % MO_TRANSACTIONAL_LANES;
	while (batch != pub->flight[0] && pub->last_lane == pub->flight[0]->lane);
	return pub->last_lane;
}

static void
begin_batch(MoPublisher *pub, MoBatch *batch)
{
	MoKafkaError error;

	mark_last_part(batch);
	mo_pipeline_reset_records(batch);
	if (batch->careful)
	{
		batch->next = batch->tried;
		batch->trial_since = mo_publisher_ticks();
	}
	batch->lane = next_lane(pub, batch);
	if (mo_producer_begin(pub->producer, batch->lane, &error))
		batch->state = MO_BATCH_PRODUCING;
	else
		mo_recover(pub);
}

/*
 * May a batch on trial go on?  It has one record under way at a time.  When
 * all have been taken, or when a while has passed, it is aborted: a
 * transaction that lasted for as many round trips as it has records would be
 * timed out, for ever.
 */
static bool
trial_goes_on(MoPublisher *pub, MoBatch *batch)
{
	if (mo_producer_undelivered(pub->producer, batch->lane) > 0)
		return false;
	batch->tried = batch->next;
	if (batch->next < batch->nevents &&
		mo_publisher_ticks() - batch->trial_since <= TRIAL_MS)
		return true;
	batch->state = MO_BATCH_FAILED;
	return false;
}

/* Hands records to the library until all are or its queue is full. */
static void
produce_events(MoPublisher *pub, MoBatch *batch)
{
	MoHeader	headers[MO_MAX_HEADERS];
	MoHeaderSpace space;
	MoKafkaError error;

	for (; batch->next < batch->nevents; batch->next++)
	{
		MoEvent    *event = &batch->events[batch->next];
		MoProduceResult result;

		if (event->dead)
			continue;
		if (batch->careful && !trial_goes_on(pub, batch))
			return;
		result = mo_producer_produce(pub->producer, batch->lane, &event->record,
									 headers,
									 mo_envelope_headers(event, &space, headers),
									 &error);
		if (result == MO_PRODUCE_FULL)
			return;
		if (result == MO_PRODUCE_REFUSED)
		{
			mo_pipeline_kill_event(pub, batch, event, mo_producer_refusal(error.code),
					   error.message);
			/* Another record has to say that its transaction ends here. */
			if (event->last_part)
			{
				batch->state = MO_BATCH_FAILED;
				return;
			}
		}
		else if (result == MO_PRODUCE_FAILED)
		{
			batch->state = MO_BATCH_FAILED;
			return;
		}
	}
	if (batch->careful && !trial_goes_on(pub, batch))
		return;
	MO_FAULT_POINT("batch_produce");
	batch->state = MO_BATCH_PRODUCED;
}

static void
send_marker(MoPublisher *pub, MoBatch *batch)
{
	MoMarker	marker = {
		.position = batch->last,
		.history = pub->history,
		.dead_lsn = pub->dead_lsn,
	};
	char	   *text;

	strlcpy(marker.incarnation, pub->incarnation, sizeof(marker.incarnation));
	text = mo_marker_format(&marker);
	mo_producer_start_send_marker(pub->producer, batch->lane,
								  marker.position.txn.commit_lsn, text);
	pfree(text);
	batch->state = MO_BATCH_MARKING;
}

/* ---------------------------------------------------------------------
 * Failing
 * ---------------------------------------------------------------------
 */

/* This batch and every younger one with an open transaction must go. */
static void
fail_from(MoPublisher *pub, int index)
{
	for (int i = index; i < pub->nflight; i++)
		if (pub->flight[i]->state != MO_BATCH_NEW &&
			pub->flight[i]->state != MO_BATCH_ABORTING)
			pub->flight[i]->state = MO_BATCH_FAILED;
}

/* ---------------------------------------------------------------------
 * Advancing
 * ---------------------------------------------------------------------
 */

static void
committed(MoPublisher *pub)
{
	MoBatch    *batch = pub->flight[0];

	MO_FAULT_POINT("batch_commit_acked");
	pub->committed = batch->last;
	pub->failures = 0;
	mo_progress_committed(pub, batch);
	mo_batch_reset(batch);
	pub->spare[pub->spare[0] != NULL] = batch;
	pub->nflight--;
	pub->flight[0] = pub->flight[1];
}

/* Is a batch being aborted, or waiting to be produced again? */
static bool
is_unwinding(MoPublisher *pub)
{
	for (int i = 0; i < pub->nflight; i++)
		if (pub->flight[i]->state == MO_BATCH_FAILED ||
			pub->flight[i]->state == MO_BATCH_ABORTING)
			return true;
	return false;
}

/* All of it is in the logs: what is produced from now on comes behind it. */
static bool
is_delivered(MoPublisher *pub, const MoBatch *batch)
{
	return batch->state >= MO_BATCH_PRODUCED &&
		batch->state <= MO_BATCH_COMMITTING &&
		mo_producer_undelivered(pub->producer, batch->lane) == 0 &&
		mo_producer_failed(pub->producer, batch->lane) == 0;
}

static bool
may_begin(MoPublisher *pub, int index)
{
	if (is_unwinding(pub))
		return false;
	if (index > 0 && !is_delivered(pub, pub->flight[0]))
		return false;
	return pub->failures == 0 || mo_publisher_ticks() >= pub->retry_at;
}

/*
 * Would a batch that is submitted now begin now?  Until then it is better
 * left open: what is decoded meanwhile goes with it and not with the next.
 */
bool
mo_pipeline_is_ready(MoPublisher *pub)
{
	return has_room(pub) && may_begin(pub, pub->nflight);
}

/*
 * Has the open batch been filled for long enough, though there is more to
 * decode?  What comes may be other tables' rows for minutes.
 */
bool
mo_pipeline_is_due(MoPublisher *pub)
{
	return pub->open->nevents > 0 &&
		mo_publisher_ticks() - pub->open->opened_at >= FILL_MS &&
		mo_pipeline_is_ready(pub);
}

static void
tell_refused(MoPublisher *pub, const MoKafkaError *error)
{
	mo_publisher_set_state(pub, MO_STATE_WAITING_BROKER, error->message,
						   "The publisher's principal needs WRITE on its transactional ids and topics, and READ on its group.");
}

/*
 * Aborts a batch.  When a right is missing, its records do not say so and the
 * abort may fail for want of a transaction; the transaction's error does.
 */
static void
abort_batch(MoPublisher *pub, MoBatch *batch)
{
	MoKafkaError error;

	if (mo_producer_doomed(pub->producer, batch->lane, &error) &&
		error.status == MO_KAFKA_REFUSED)
		tell_refused(pub, &error);
	mo_producer_start_abort(pub->producer, batch->lane);
	batch->state = MO_BATCH_ABORTING;
}

/* The end of a lane's call: true when it was a success. */
static bool
call_succeeded(MoPublisher *pub, int index)
{
	const MoKafkaError *result = mo_producer_result(pub->producer,
													pub->flight[index]->lane);

	switch (result->status)
	{
		case MO_KAFKA_OK:
			return true;
		case MO_KAFKA_FENCED:
		case MO_KAFKA_FATAL:
			mo_recover(pub);
			return false;
		case MO_KAFKA_REFUSED:
			tell_refused(pub, result);
			fail_from(pub, index);
			return false;
		case MO_KAFKA_ABORT:
			fail_from(pub, index);
			return false;
	}
	return false;
}

/*
 * One step of one batch; false when it must wait.  May pop the batch or
 * rebuild the whole flight, so the caller looks at everything again.
 */
static bool
advance_batch(MoPublisher *pub, int index)
{
	MoBatch    *batch = pub->flight[index];
	MoProducer *producer = pub->producer;
	bool		busy = batch->state > MO_BATCH_PRODUCED &&
		mo_producer_busy(producer, batch->lane);

	if (batch->state >= MO_BATCH_PRODUCING && batch->state <= MO_BATCH_MARKED &&
		mo_producer_failed(producer, batch->lane) > 0)
	{
		fail_from(pub, index);
		return true;
	}
	switch (batch->state)
	{
		case MO_BATCH_NEW:
			if (!may_begin(pub, index))
				return false;
			MO_FAULT_POINT("batch_plan");
			begin_batch(pub, batch);
			return true;
		case MO_BATCH_PRODUCING:
			produce_events(pub, batch);
			return batch->state != MO_BATCH_PRODUCING;
		case MO_BATCH_PRODUCED:
			if (!dead_letters_durable(pub, batch) ||
				(index > 0 && pub->flight[0]->state < MO_BATCH_MARKED))
				return false;
			send_marker(pub, batch);
			return true;
		case MO_BATCH_MARKING:
			if (busy)
				return false;
			if (call_succeeded(pub, index))
			{
				MO_FAULT_POINT("batch_send_offsets");
				batch->state = MO_BATCH_MARKED;
			}
			return true;
		case MO_BATCH_MARKED:
			if (index > 0 || mo_producer_undelivered(producer, batch->lane) > 0)
				return false;
			MO_FAULT_POINT("batch_delivered");
			mo_producer_start_commit(producer, batch->lane);
			MO_FAULT_POINT("batch_commit_send");
			batch->state = MO_BATCH_COMMITTING;
			return true;
		case MO_BATCH_COMMITTING:
			if (busy)
				return false;
			if (call_succeeded(pub, index))
				committed(pub);
			return true;
		case MO_BATCH_FAILED:
			if (busy)
				return false;
			abort_batch(pub, batch);
			return true;
		case MO_BATCH_ABORTING:
			if (busy)
				return false;
			if (mo_producer_result(producer, batch->lane)->status != MO_KAFKA_OK)
			{
				mo_recover(pub);
				return true;
			}
			if (mo_producer_undelivered(producer, batch->lane) > 0)
				return false;
			mo_recover_aborted(pub, batch);
			return true;
	}
	return false;
}

bool
mo_pipeline_advance(MoPublisher *pub)
{
	bool		any = false;
	bool		moved;

	if (!pub->running)
		return false;
	do
	{
		moved = false;
		for (int i = 0; i < pub->nflight && !moved; i++)
			moved = advance_batch(pub, i);
		any |= moved;
	} while (moved);
	return any;
}

/* Sends the dead letters that were known when their rows were decoded. */
static void
ask_dead_letters(MoPublisher *pub, MoBatch *batch)
{
	for (int i = 0; i < batch->nevents; i++)
		if (batch->events[i].dead)
			ask_dead_letter(pub, batch, &batch->events[i]);
}

void
mo_pipeline_submit(MoPublisher *pub)
{
	MoBatch    *batch = pub->open;

	while (!has_room(pub))
		mo_publisher_wait(pub, 1000);
	batch->state = MO_BATCH_NEW;
	ask_dead_letters(pub, batch);
	pub->flight[pub->nflight++] = batch;

	/* With at most two in flight one spare is always left. */
	pub->open = pub->spare[1] != NULL ? pub->spare[1] : pub->spare[0];
	if (pub->spare[1] != NULL)
		pub->spare[1] = NULL;
	else
		pub->spare[0] = NULL;
	(void) mo_pipeline_advance(pub);
}
