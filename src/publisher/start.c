/*-------------------------------------------------------------------------
 *
 * start.c
 *	  Recovery: from nothing to owning the stream.  There is no other start.
 *
 * The rules, and why each is needed, are in test/model; the step names here
 * are the model's.  In short:
 *
 *	 1. Read the marker M read-uncommitted, which fences nobody.  It may be
 *		older than a commit that was acknowledged, so it may conclude only
 *		that M is not in this server's history or beyond its WAL.
 *	 2. Verify that the transaction at M is M's by decoding up to it, unless P
 *		has passed M.
 *	 3. Fence: init_transactions on every id.  Read M again, read-committed,
 *		and judge all of it, also against P.  A failure here stops without a claim, so that an
 *		owner that was fenced in passing recovers.
 *	 4. Claim: a marker with a new incarnation.
 *	 5. When fenced later: whose marker is it?
 *
 * "Needs attention" means that going on could lose or repeat events: the
 * range in doubt and the calls that decide are shown, nothing is guessed.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/pg_prng.h"
#include "libpq/pqformat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"
#include "publisher/worker.h"

#define BACK_OFF_MS		200

/* ---------------------------------------------------------------------
 * The slot
 * ---------------------------------------------------------------------
 */

/* Records durably that the slot exists and where it starts. */
static void
report_ready(MoPublisher *pub, XLogRecPtr start)
{
	StringInfoData body;
	MoReady		ready = {.slot_name = pub->hello.slot_name,.ready_lsn = start};

	initStringInfo(&body);
	mo_channel_put_ready(&body, &ready);
	mo_publisher_ask_and_wait(pub, MO_ASK_READY, &body, &pub->ready_answer);
}

static XLogRecPtr
create_slot(MoPublisher *pub)
{
	XLogRecPtr	start;

	mo_publisher_set_state(pub, MO_STATE_STARTING,
						   "creating the replication slot; waits for the transactions that run now",
						   NULL);
	start = mo_decode_create_slot(pub->hello.slot_name);
	report_ready(pub, start);
	pub->progress.lsn = start;
	return start;
}

/*
 * Makes sure of the slot and returns its S.  A slot that is gone although it
 * once existed is in doubt: what committed since P and before a new slot's
 * start cannot be decoded any more.
 */
static XLogRecPtr
check_slot(MoPublisher *pub)
{
	MoSlotInfo	info;
	XLogRecPtr	start;

	mo_decode_slot_info(pub->hello.slot_name, &info);
	if (!pub->hello.has_progress)
	{
		/* Left over from a start that did not get as far as saying so. */
		if (info.exists)
			mo_decode_drop_slot(pub->hello.slot_name);
		return create_slot(pub);
	}
	if (info.exists && info.usable)
		return info.confirmed_lsn;

	if (!mo_resume_chosen(pub))
		mo_publisher_need_attention(pub,
									info.exists ? "replication slot is not usable any more" :
									"replication slot is gone",
									psprintf("Slot \"%s\" %s. Events committed after %X/%X may be unpublished, and those committed before a new slot exists cannot be decoded.",
											 pub->hello.slot_name,
											 info.exists ? "was invalidated or belongs to somebody else" :
											 "was dropped",
											 LSN_FORMAT_ARGS(pub->hello.progress_lsn)),
									"To make a new slot and go on: mesh_outbox.resume_publisher(name, start_from => 'now', reason => ...).",
									pub->hello.progress_lsn, mo_decode_flushed());
	if (info.exists)
		mo_decode_drop_slot(pub->hello.slot_name);
	start = create_slot(pub);
	mo_publisher_record(pub, "slot created again", pub->hello.progress_lsn, start,
				 "Events committed in this range were not decoded.");
	return start;
}

/* ---------------------------------------------------------------------
 * The marker
 * ---------------------------------------------------------------------
 */

bool
mo_start_read_marker(MoPublisher *pub, bool committed, MoMarker *marker)
{
	const MoKafkaError *result;
	XLogRecPtr	lsn;
	const char *text;

	memset(marker, 0, sizeof(*marker));
	mo_producer_start_read_marker(pub->producer, committed);
	result = mo_publisher_await(pub, MO_LANE_CONTROL);
	if (result->status != MO_KAFKA_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not read the marker of publisher \"%s\" from Kafka",
						pub->hello.name),
				 errdetail("%s.", result->message)));
	if (!mo_producer_marker(pub->producer, &lsn, &text))
		return false;
	if (mo_marker_parse(lsn, text, marker))
		return true;

	/* Once a person has decided, it is as good as none; the claim ends it. */
	memset(marker, 0, sizeof(*marker));
	if (mo_resume_chosen(pub))
		return false;
	mo_publisher_need_attention(pub, "marker in Kafka cannot be read",
								psprintf("Group and topic \"%s\" hold an offset that no publisher wrote: \"%s\".",
										 MO_MARKER_TOPIC, text),
								"If the topics still have the events: mesh_outbox.resume_publisher(name, start_from => 'ledger', reason => ...). To skip to new events: from => 'now'.",
								pub->hello.progress_lsn, mo_decode_flushed());
}

static void
prepare_marker_topic(MoPublisher *pub)
{
	MoTopicSpec spec = {.name = MO_MARKER_TOPIC,.partitions = 1,.config = "{}"};

	for (;;)
	{
		const MoKafkaError *result;

		mo_producer_start_ensure_topic(pub->producer, &spec);
		result = mo_publisher_await(pub, MO_LANE_CONTROL);
		if (result->status == MO_KAFKA_OK)
			return;
		mo_publisher_set_state(pub, MO_STATE_WAITING_TOPIC,
							   psprintf("topic \"%s\" does not exist and could not be created: %s",
										MO_MARKER_TOPIC, result->message),
							   "Create it with one partition, or let the publisher's principal create topics.");
		mo_publisher_wait_until(pub, 2000);
	}
}

/* ---------------------------------------------------------------------
 * Fencing and claiming
 * ---------------------------------------------------------------------
 */

void
mo_start_fence(MoPublisher *pub)
{
	for (int lane = 0; lane < MO_TRANSACTIONAL_LANES; lane++)
	{
		const MoKafkaError *result;

		mo_producer_start_init(pub->producer, lane);
		result = mo_publisher_await(pub, lane);
		if (result->status != MO_KAFKA_OK)
			ereport(ERROR,
					(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
					 errmsg("could not take over the transactional ids of publisher \"%s\"",
							pub->hello.name),
					 errdetail("%s.", result->message)));
		if (lane == 0)
			MO_FAULT_POINT("start_fence_0");
		else
			MO_FAULT_POINT("start_fence_1");
	}
}

void
mo_start_fenced(MoPublisher *pub, const MoMarker *marker)
{
	int			limit = BACK_OFF_MS << Min(pub->slot->fenced, 6);

	if (marker == NULL ? !pub->marker_found :
		(strcmp(marker->incarnation, pub->owner) == 0 ||
		 strcmp(marker->incarnation, pub->incarnation) == 0 ||
		 mo_marker_is_ancestor(marker, &pub->history)))
	{
		pub->slot->fenced++;
		MO_FAULT_POINT("fenced_backoff");
		mo_publisher_back_off(pub,
							  50 + (int) pg_prng_uint64_range(&pg_global_prng_state, 0, limit),
							  "another producer took the transactional ids without claiming the stream");
	}
	mo_publisher_need_attention(pub, "another instance publishes this stream",
								marker == NULL ? "The marker has vanished from Kafka." :
								psprintf("Incarnation %s claimed it at %X/%X on timeline %u.",
										 marker->incarnation,
										 LSN_FORMAT_ARGS(marker->position.txn.commit_lsn),
										 marker->history.current),
								"If this server is a copy or an old primary, drop its publisher. If this one is to go on, stop the other first, then mesh_outbox.resume_publisher(name, start_from => 'marker', reason => ...).",
								pub->committed.txn.end_lsn, mo_decode_flushed());
}

/* One try; false when the transaction had to be aborted. */
static bool
try_claim(MoPublisher *pub, const char *text)
{
	MoKafkaError error;
	const MoKafkaError *result;

	if (!mo_producer_begin(pub->producer, 0, &error))
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not begin a Kafka transaction: %s", error.message)));
	mo_producer_start_send_marker(pub->producer, 0,
								  pub->committed.txn.commit_lsn, text);
	result = mo_publisher_await(pub, 0);
	if (result->status == MO_KAFKA_OK)
	{
		mo_producer_start_commit(pub->producer, 0);
		MO_FAULT_POINT("claim_send");
		result = mo_publisher_await(pub, 0);
	}
	if (result->status == MO_KAFKA_OK)
	{
		MO_FAULT_POINT("claim_commit");
		pub->marker_found = true;
		return true;
	}
	if (result->status == MO_KAFKA_ABORT)
	{
		mo_producer_start_abort(pub->producer, 0);
		if (mo_publisher_await(pub, 0)->status == MO_KAFKA_OK)
			return false;
	}
	if (result->status == MO_KAFKA_FENCED || result->status == MO_KAFKA_FATAL)
	{
		MoMarker	marker;
		bool		found = mo_start_read_marker(pub, true, &marker);

		MO_FAULT_POINT("fenced_read_marker");
		mo_start_fenced(pub, found ? &marker : NULL);
	}
	ereport(ERROR,
			(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
			 errmsg("could not claim the stream of publisher \"%s\"",
					pub->hello.name),
			 errdetail("%s.", result->message)));
	return false;
}

/*
 * Claims the stream at the position that Kafka's marker has, relying on the
 * same dead letters as that one: newer ones may not be on a standby yet.
 */
void
mo_start_claim(MoPublisher *pub, XLogRecPtr relies_on)
{
	MoMarker	marker = {
		.position = pub->committed,
		.history = pub->history,
		.dead_lsn = relies_on,
	};
	char	   *text;

	mo_marker_new_incarnation(marker.incarnation);
	strlcpy(pub->incarnation, marker.incarnation, sizeof(pub->incarnation));
	text = mo_marker_format(&marker);
	while (!try_claim(pub, text))
		mo_publisher_wait_until(pub, BACK_OFF_MS);
	pfree(text);
	pub->last_lane = 0;
	pub->heartbeat_at = GetCurrentTimestamp();
}

/* Dead letters at or above M: never produced again. */
static void
load_dead_letters(MoPublisher *pub)
{
	StringInfoData body;

	initStringInfo(&body);
	pq_sendint64(&body, pub->committed.txn.commit_lsn);
	mo_publisher_ask_and_wait(pub, MO_ASK_DEAD_LIST, &body,
							  &pub->dead_list_answer);
}

/* Tells the scribe that nothing is in doubt any more. */
static void
clear_attention(MoPublisher *pub)
{
	StringInfoData body;
	MoAttention none = {.what = "",.detail = "",.hint = ""};

	if (!pub->hello.has_attention && !mo_resume_chosen(pub))
		return;
	initStringInfo(&body);
	mo_channel_put_attention(&body, &none);
	mo_publisher_ask_and_wait(pub, MO_ASK_ATTENTION, &body,
							  &pub->attention_answer);
}

/* Step 3's second look: the same marker as before, and all of the checks. */
static void
look_again(MoPublisher *pub)
{
	MoMarker	m;
	bool		found;

	found = mo_start_read_marker(pub, true, &m);
	MO_FAULT_POINT("start_read_marker_fenced");
	if (found != pub->marker_found ||
		(found && (strcmp(m.incarnation, pub->owner) != 0 ||
				   memcmp(&m.position, &pub->marker_read, sizeof(m.position)) != 0)))
		mo_publisher_back_off(pub,
							  50 + (int) pg_prng_uint64_range(&pg_global_prng_state, 0, BACK_OFF_MS),
							  "the marker moved while the stream was taken over");
	if (mo_resume_chosen(pub))
		return;
	if (found)
	{
		mo_judge_history(pub, &m);
		mo_judge_progress(pub);
	}
	mo_judge_position(pub, pub->slot_start);
	mo_judge_topics(pub);
	MO_FAULT_POINT("start_verify_fenced");
}

void
mo_start_own(MoPublisher *pub)
{
	XLogRecPtr	relies_on = pub->dead_lsn;

	MO_FAULT_POINT("start_verify");
	mo_start_fence(pub);
	if (!pub->embedded)
		look_again(pub);
	load_dead_letters(pub);
	mo_start_claim(pub, relies_on);
	clear_attention(pub);
	pub->resume = pub->committed;
	pub->mode = MO_STREAM_RUN;
	pub->running = true;
	mo_publisher_set_state(pub, MO_STATE_STREAMING, NULL, NULL);
}

/* ---------------------------------------------------------------------
 * The whole of it
 * ---------------------------------------------------------------------
 */

/* Step 1; false when there is no M, or none yet: the read may be stale. */
static bool
find_marker(MoPublisher *pub, MoMarker *m)
{
	pub->marker_found = mo_start_read_marker(pub, false, m);
	MO_FAULT_POINT("start_read_marker");
	pub->marker_read = m->position;
	strlcpy(pub->owner, m->incarnation, sizeof(pub->owner));
	return pub->marker_found;
}

static void
open_decoder(MoPublisher *pub)
{
	pub->decoder = mo_decode_open(pub->hello.slot_name, InvalidXLogRecPtr,
								  pub->hello.publisher_id,
								  pub->hello.check_function,
								  pub->hello.control_table, &pub->sink);
}

/* Step 2 by decoding; takes the stream over when it gets there. */
static void
verify_by_decoding(MoPublisher *pub)
{
	pub->mode = MO_STREAM_VERIFY;
	while (pub->mode == MO_STREAM_VERIFY && !pub->verified && !pub->mismatch &&
		   mo_decode_position(pub->decoder) <= pub->committed.txn.commit_lsn)
	{
		mo_publisher_wait(pub, 0);
		if (!mo_decode_step(pub->decoder))
			mo_publisher_wait(pub, 1000);
	}
	if (!pub->verified)
		mo_judge_mismatch(pub);
	if (pub->mode == MO_STREAM_VERIFY)
		mo_start_own(pub);
}

void
mo_start(MoPublisher *pub)
{
	MoMarker	m;
	bool		found = false;

	/* Restarting the server is no decision. */
	if (pub->hello.has_attention && !mo_resume_chosen(pub))
		mo_worker_stop(pub->slot, MO_STATE_NEEDS_ATTENTION,
					   "a decision is due", MO_HINT_DECIDE);
	mo_marker_own_history(&pub->history);
	pub->progress.lsn = pub->hello.progress_lsn;
	pub->progress.marker_lsn = pub->hello.progress_marker_lsn;
	pub->progress.marker_xid = pub->hello.progress_marker_xid;
	pub->progress.marker_time = pub->hello.progress_marker_time;
	pub->slot_start = check_slot(pub);
	prepare_marker_topic(pub);

	/* The beginning of all: a claim before the first event says this too. */
	memset(&m, 0, sizeof(m));
	pub->committed.complete = true;
	if (!pub->embedded)
		found = find_marker(pub, &m);
	pub->start_lsn = Max(pub->slot_start, pub->progress.lsn);
	if (mo_resume_makes_position(pub, found, &m))
		mo_resume_take_position(pub, found, &m, pub->slot_start);
	else if (found)
	{
		mo_judge_history(pub, &m);
		pub->committed = m.position;
		pub->dead_lsn = m.dead_lsn;
		if (m.position.txn.end_lsn > pub->progress.lsn &&
			(!m.position.complete || m.position.txn.end_lsn > pub->slot_start))
		{
			open_decoder(pub);
			verify_by_decoding(pub);
			return;
		}
	}
	mo_start_own(pub);
	open_decoder(pub);
}
