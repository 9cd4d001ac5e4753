/*-------------------------------------------------------------------------
 *
 * recover.c
 *	  Going on in place: after an aborted batch, after being fenced, with new
 *	  handles.  What needs decoding again needs a new process (start.c).
 *
 * Called by the pipeline, and by the main loop when settings have changed.
 * Batches in flight keep all they need to be produced again.  Waits inside:
 * with "running" off, so that the pipeline does not move meanwhile.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"

#define FIRST_RETRY_MS	50
#define LAST_RETRY_MS	5000

static int64
retry_time(MoPublisher *pub)
{
	int			delay = FIRST_RETRY_MS << Min(pub->failures, 7);

	return mo_publisher_ticks() + Min(delay, LAST_RETRY_MS);
}

/* What the reports of an aborted batch say. */
typedef struct Reports
{
	int			failed;			/* records that were not taken, … */
	int			refused;		/* … and never will be, or their neighbours */
	bool		too_large;		/* one was refused for its set's size */
	bool		no_topic;		/* one found no topic that takes it */
} Reports;

static bool
is_refused(const MoEvent *event)
{
	return !event->dead && event->record.error != 0 &&
		mo_producer_record_verdict(event->record.error) == MO_RECORD_REFUSED;
}

static Reports
read_reports(MoPublisher *pub, MoBatch *batch)
{
	Reports		reports = {0};

	for (int i = 0; i < batch->nevents; i++)
	{
		MoEvent    *event = &batch->events[i];

		if (event->dead || event->record.error == 0)
			continue;
		reports.failed++;
		if (is_refused(event))
		{
			reports.refused++;
			reports.too_large |= mo_producer_is_size(event->record.error);
		}
		else if (!reports.no_topic &&
				 mo_producer_record_verdict(event->record.error) == MO_RECORD_NO_TOPIC)
		{
			reports.no_topic = true;
			mo_publisher_set_state(pub, MO_STATE_WAITING_TOPIC,
								   psprintf("topic \"%s\" cannot be written: %s",
											event->route->info.topic,
											mo_producer_error_text(event->record.error)),
								   "Create the topic again, or let the publisher's principal write to it.");
		}
	}
	return reports;
}

/*
 * Those that were refused alone: none but one was, or a record is larger than
 * message sets of several are, and so made one of its own.  Returns whether
 * there are any.
 */
static bool
kill_guilty(MoPublisher *pub, MoBatch *batch, const Reports *reports)
{
	int64		limit = mo_producer_batch_limit(pub->producer);
	bool		any = false;

	for (int i = 0; i < batch->nevents; i++)
	{
		MoEvent    *event = &batch->events[i];

		if (!is_refused(event) ||
			(reports->refused > 1 &&
			 event->record.key_length + event->record.value_length <= limit))
			continue;
		mo_pipeline_kill_event(pub, batch, event,
							   mo_producer_refusal(event->record.error),
							   mo_producer_error_text(event->record.error));
		any = true;
	}
	return any;
}

/*
 * Looks through the reports of an aborted batch for records that the broker
 * will never take.  The broker refuses whole message sets, with the same
 * error for each record in them: one alone is the culprit, of several any may
 * be innocent.  If it was their size, smaller sets tell; else the records are
 * tried one by one.  Returns false if sets must be smaller.
 */
static bool
judge_records(MoPublisher *pub, MoBatch *batch)
{
	Reports		reports = read_reports(pub, batch);

	/* What a trial ends with is no failure, nor is what it is for. */
	if (reports.refused > 0 || (batch->careful && reports.failed == 0))
		pub->failures = 0;
	if (batch->tried == batch->nevents)
		batch->careful = false;
	if (reports.refused > 0 && !kill_guilty(pub, batch, &reports))
	{
		if (reports.too_large || batch->tried == batch->nevents)
			return false;
		batch->careful = true;
	}
	return true;
}

void
mo_recover_aborted(MoPublisher *pub, MoBatch *batch)
{
	bool		small_enough;

	MO_FAULT_POINT("batch_abort");
	pub->failures++;
	pub->retry_at = retry_time(pub);
	small_enough = judge_records(pub, batch);
	mo_pipeline_reset_records(batch);
	batch->state = MO_BATCH_NEW;
	if (!small_enough)
		mo_recover_limit_batches(pub, mo_producer_batch_limit(pub->producer) / 2);
}

/*
 * Ends our own open transactions.  One that has sent its marker keeps the
 * marker from being read until the coordinator times it out, a minute by
 * default; being fenced concerns one id at a time, so the others may still be
 * good.  Fences nobody, and what comes of it does not matter: an abort that
 * Kafka refuses means that the transaction is no longer ours to end.
 */
static void
abort_open(MoPublisher *pub)
{
	for (int i = 0; i < pub->nflight; i++)
	{
		MoBatch    *batch = pub->flight[i];
		const MoKafkaError *result;

		if (batch->state == MO_BATCH_NEW)
			continue;
		result = mo_publisher_await(pub, batch->lane);
		if (batch->state == MO_BATCH_ABORTING ||
			(batch->state == MO_BATCH_COMMITTING &&
			 result->status == MO_KAFKA_OK))
			continue;
		mo_producer_start_abort(pub->producer, batch->lane);
		(void) mo_publisher_await(pub, batch->lane);
	}
}

/* Ends the process unless the marker in Kafka is this incarnation's. */
static void
check_ours(MoPublisher *pub, MoMarker *marker)
{
	bool		found;

	if (pub->embedded)
		return;
	found = mo_start_read_marker(pub, true, marker);
	MO_FAULT_POINT("fenced_read_marker");
	if (!found)
		mo_start_fenced(pub, NULL);
	if (strcmp(marker->incarnation, pub->incarnation) != 0)
		mo_start_fenced(pub, marker);
}

/*
 * Kafka says that somebody else owns an id, or a handle is dead.  If the
 * marker is still ours, the coordinator timed us out or forgot us: new
 * handles, a new claim, and what is left of the batches again.
 */
void
mo_recover(MoPublisher *pub)
{
	MoMarker	marker;
	int			left = 0;

	/* librdkafka says so, too, but of its messages only some are logged. */
	ereport(LOG,
			(errmsg("publisher \"%s\" was fenced, or a handle of librdkafka failed; it makes sure of the stream and goes on",
					pub->hello.name)));
	pub->running = false;
	abort_open(pub);
	check_ours(pub, &marker);
	MO_FAULT_POINT("fenced_recover");
	mo_producer_reset(pub->producer);
	mo_start_fence(pub);
	check_ours(pub, &marker);
	if (!pub->embedded)
	{
		pub->committed = marker.position;
		/* Fenced once more before the new claim, this one is still ours. */
		strlcpy(pub->owner, marker.incarnation, sizeof(pub->owner));
	}

	/* A commit whose answer was lost is found in the marker. */
	for (int i = 0; i < pub->nflight; i++)
	{
		MoBatch    *batch = pub->flight[i];

		if (!pub->embedded && batch->nevents > 0 &&
			mo_position_reached(&batch->last, &pub->committed))
		{
			pub->failures = 0;
			mo_progress_committed(pub, batch);
			mo_batch_reset(batch);
			pub->spare[pub->spare[0] != NULL] = batch;
			continue;
		}
		mo_pipeline_reset_records(batch);
		batch->state = MO_BATCH_NEW;
		pub->flight[left++] = batch;
	}
	pub->nflight = left;
	mo_start_claim(pub, pub->embedded ? pub->dead_lsn : marker.dead_lsn);
	pub->running = true;
}

/*
 * New handles with another setting.  The marker stays where it is; the claim
 * is renewed with it.
 */
void
mo_recover_limit_batches(MoPublisher *pub, int64 limit)
{
	mo_producer_limit_batches(pub->producer, limit);
	ereport(LOG,
			(errmsg("publisher \"%s\" sends at most " INT64_FORMAT " bytes at a time from now on",
					pub->hello.name, limit)));
	mo_recover(pub);
}
