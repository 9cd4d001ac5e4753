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
 *	 3. Fence: init_transactions on both ids.  Read M again, read-committed,
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

#include <json.h>

#include "common/pg_prng.h"
#include "libpq/pqformat.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "guc.h"
#include "publisher/publisher.h"
#include "publisher/worker.h"

#define BACK_OFF_MS		200
#define HINT_DECIDE \
	"Decide where to go on: mesh_outbox.resume_publisher(name, start_from => 'marker' | 'ledger' | 'now', reason => ...)."

static bool
resuming(const MoPublisher *pub)
{
	return pub->hello.resume_from[0] != '\0';
}

static bool
resuming_from(const MoPublisher *pub, const char *what)
{
	return strcmp(pub->hello.resume_from, what) == 0;
}

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
	pub->ready_answer = false;
	mo_publisher_ask(pub, MO_ASK_READY, &body);
	while (!pub->ready_answer)
		mo_publisher_wait(pub, 1000);
	pfree(body.data);
}

static void
report_event(MoPublisher *pub, const char *action, XLogRecPtr from,
			 XLogRecPtr to, const char *detail)
{
	StringInfoData body;
	MoPublisherEvent event = {
		.action = (char *) action,
		.from_lsn = from,
		.to_lsn = to,
		.detail = (char *) detail,
	};

	initStringInfo(&body);
	mo_channel_put_event(&body, &event);
	mo_publisher_ask(pub, MO_ASK_EVENT, &body);
	pfree(body.data);
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

	if (!resuming(pub))
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
	report_event(pub, "slot created again", pub->hello.progress_lsn, start,
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
	if (!mo_marker_parse(lsn, text, marker))
		mo_publisher_need_attention(pub, "marker in Kafka cannot be read",
									psprintf("Group and topic \"%s\" hold an offset that no publisher wrote: \"%s\".",
											 MO_MARKER_TOPIC, text ? text : ""),
									HINT_DECIDE, pub->hello.progress_lsn,
									mo_decode_flushed());
	return true;
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
 * Judging the marker
 * ---------------------------------------------------------------------
 */

/* Steps 1 and 3: what may be concluded from a read of any isolation. */
static void
check_history(MoPublisher *pub, const MoMarker *m)
{
	const char *why = NULL;

	if (!mo_marker_in_history(m, &pub->history, &why))
		;
	else if (m->position.txn.end_lsn > mo_decode_flushed())
		why = "The marker lies beyond this server's WAL: it was restored from a backup or is a copy that was left behind.";
	else if (m->dead_lsn > mo_decode_flushed())
		why = "The marker relies on a dead letter that this server does not have.";
	if (why != NULL)
		mo_publisher_need_attention(pub, "the marker in Kafka is not in this server's history",
									why,
									"If another server publishes this stream now, drop this publisher. If this server is the one to go on: mesh_outbox.resume_publisher(name, start_from => 'ledger' | 'now', reason => ...).",
									pub->hello.progress_lsn,
									m->position.txn.end_lsn);
}

static void
identity_mismatch(MoPublisher *pub)
{
	mo_publisher_need_attention(pub, "the marker in Kafka is another transaction's",
								psprintf("At %X/%X this server has another transaction than the marker names (xid %u): it is a copy of the server that wrote the marker, or the other way round.",
										 LSN_FORMAT_ARGS(pub->committed.txn.commit_lsn),
										 pub->committed.txn.xid),
								"If this is a copy, drop its publisher. If this server is the one to go on: mesh_outbox.resume_publisher(name, start_from => 'ledger' | 'now', reason => ...).",
								pub->hello.progress_lsn,
								pub->committed.txn.end_lsn);
}

/*
 * Step 3 where P has passed M: M must be the one P was written against.  Not
 * for the first read, which may return the marker before that one, even after
 * its commit was acknowledged.
 */
static void
check_against_progress(MoPublisher *pub)
{
	const MoTransaction *m = &pub->committed.txn;

	if (m->commit_lsn == InvalidXLogRecPtr || !pub->committed.complete ||
		pub->progress.lsn < m->end_lsn)
		return;
	if (pub->progress.marker_lsn != m->commit_lsn ||
		pub->progress.marker_xid != m->xid ||
		pub->progress.marker_time != m->commit_time)
		identity_mismatch(pub);
}

/* Step 3 only: judgements that need the newest marker. */
static void
check_position(MoPublisher *pub, XLogRecPtr slot)
{
	XLogRecPtr	known = Max(pub->committed.txn.end_lsn, pub->progress.lsn);

	if (slot > known)
		mo_publisher_need_attention(pub, "somebody moved the replication slot",
									psprintf("The slot stands at %X/%X, but everything is dealt with up to %X/%X only. Events committed between them cannot be decoded any more.",
											 LSN_FORMAT_ARGS(slot), LSN_FORMAT_ARGS(known)),
									HINT_DECIDE, known, slot);
	if (pub->committed.txn.commit_lsn < pub->hello.ledger_lsn)
		mo_publisher_need_attention(pub, "Kafka has lost the marker, or an older one came back",
									psprintf("The ledger knows of events published up to %X/%X, the marker says %X/%X. The cluster was replaced or restored, or the group's offsets expired.",
											 LSN_FORMAT_ARGS(pub->hello.ledger_lsn),
											 LSN_FORMAT_ARGS(pub->committed.txn.commit_lsn)),
									"If the topics still have the events: mesh_outbox.resume_publisher(name, start_from => 'ledger', reason => ...). To publish what the marker misses again: from => 'marker'.",
									pub->committed.txn.end_lsn,
									pub->hello.ledger_lsn);
}

/* A topic must not end before what the ledger has recorded in it. */
static void
check_partition(MoPublisher *pub, const char *topic, int partition,
				int64 last)
{
	const MoKafkaError *result;
	int64		end;

	mo_producer_start_end_offset(pub->producer, topic, partition);
	result = mo_publisher_await(pub, MO_LANE_CONTROL);
	end = result->status == MO_KAFKA_OK ? mo_producer_end_offset(pub->producer) : 0;
	if (end > last)
		return;
	mo_publisher_need_attention(pub, "a topic has lost events",
								psprintf("Topic \"%s\" partition %d ends at offset " INT64_FORMAT
										 ", the ledger recorded an event at offset " INT64_FORMAT
										 ": it was deleted, created again or restored.",
										 topic, partition, end, last),
								"The ledger (view mesh_outbox.batches) says which events were in it. To go on with new events: mesh_outbox.resume_publisher(name, start_from => 'marker', reason => ...).",
								InvalidXLogRecPtr, pub->committed.txn.end_lsn);
}

static void
check_topics(MoPublisher *pub)
{
	json_object *offsets;

	if (pub->hello.ledger_offsets == NULL)
		return;
	offsets = json_tokener_parse(pub->hello.ledger_offsets);
	if (json_object_is_type(offsets, json_type_object))
	{
		json_object_object_foreach(offsets, topic, partitions)
		{
			json_object_object_foreach(partitions, partition, last)
				check_partition(pub, topic, atoi(partition),
								json_object_get_int64(last));
		}
	}
	json_object_put(offsets);
}

/* ---------------------------------------------------------------------
 * Going on where a person said
 * ---------------------------------------------------------------------
 */

/* A position that no transaction has: between two of them. */
static void
set_made_position(MoPublisher *pub, XLogRecPtr lsn)
{
	memset(&pub->committed, 0, sizeof(pub->committed));
	pub->committed.txn.commit_lsn = lsn - 1;
	pub->committed.txn.end_lsn = lsn;
	pub->committed.complete = true;
}

/* Writes P and waits until it is durable. */
static void
write_progress(MoPublisher *pub, XLogRecPtr lsn)
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
	pub->progress_asked = lsn;
	pub->progress_next = p;
	mo_publisher_ask(pub, MO_ASK_PROGRESS, &body);
	while (pub->progress_asked != InvalidXLogRecPtr)
		mo_publisher_wait(pub, 1000);
	pfree(body.data);
}

/*
 * Takes the position a person chose.  Kafka's marker and this server's own
 * record disagree; both are recorded before the choice takes effect.
 */
static void
take_chosen_position(MoPublisher *pub, bool found, const MoMarker *m,
					 XLogRecPtr slot)
{
	const char *why;
	XLogRecPtr	from = found ? m->position.txn.end_lsn : InvalidXLogRecPtr;
	XLogRecPtr	to;

	if (resuming_from(pub, "now"))
		to = mo_decode_flushed();
	else if (resuming_from(pub, "ledger"))
		to = Max(pub->hello.progress_lsn,
				 pub->hello.ledger_lsn ? pub->hello.ledger_lsn + 1 : InvalidXLogRecPtr);
	else
	{
		if (!found)
			mo_publisher_need_attention(pub, "there is no marker in Kafka to go on from",
										"The group of this publisher has no offset.",
										"mesh_outbox.resume_publisher(name, start_from => 'ledger' | 'now', reason => ...).",
										pub->hello.progress_lsn, mo_decode_flushed());
		if (!mo_marker_in_history(m, &pub->history, &why) ||
			m->position.txn.end_lsn > mo_decode_flushed())
			check_history(pub, m);
		to = m->position.txn.end_lsn;
	}
	to = Max(to, slot);
	report_event(pub, psprintf("resumed from %s", pub->hello.resume_from),
				 from, to, "From the marker found in Kafka to the position chosen.");
	set_made_position(pub, to);
	write_progress(pub, to);
	pub->start_lsn = to;
}

/*
 * Must a position be made up?  A marker inside a split transaction that can
 * still be decoded is better than any: the rest of it follows.
 */
static bool
wants_chosen_position(const MoPublisher *pub, bool found, const MoMarker *m)
{
	if (!resuming(pub) || pub->embedded)
		return false;
	return !(resuming_from(pub, "marker") && found && !m->position.complete &&
			 pub->slot_start <= m->position.txn.commit_lsn);
}

/* ---------------------------------------------------------------------
 * Fencing and claiming
 * ---------------------------------------------------------------------
 */

void
mo_start_fence(MoPublisher *pub)
{
	for (int lane = 0; lane < 2; lane++)
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

	if (marker != NULL &&
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
	pub->dead_list_answer = false;
	mo_publisher_ask(pub, MO_ASK_DEAD_LIST, &body);
	while (!pub->dead_list_answer)
		mo_publisher_wait(pub, 1000);
	pfree(body.data);
}

/* Tells the scribe that nothing is in doubt any more. */
static void
clear_attention(MoPublisher *pub)
{
	StringInfoData body;
	MoAttention none = {.what = "",.detail = "",.hint = ""};

	if (!pub->hello.has_attention && !resuming(pub))
		return;
	initStringInfo(&body);
	mo_channel_put_attention(&body, &none);
	pub->attention_answer = false;
	mo_publisher_ask(pub, MO_ASK_ATTENTION, &body);
	while (!pub->attention_answer)
		mo_publisher_wait(pub, 1000);
	pfree(body.data);
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
	if (resuming(pub))
		return;
	if (found)
	{
		check_history(pub, &m);
		check_against_progress(pub);
	}
	check_position(pub, pub->slot_start);
	check_topics(pub);
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

/* Reads M (step 1) into pub->committed, or decides that there is none. */
static bool
find_marker(MoPublisher *pub, MoMarker *m)
{
	pub->marker_found = mo_start_read_marker(pub, false, m);
	MO_FAULT_POINT("start_read_marker");
	pub->marker_read = m->position;
	strlcpy(pub->owner, m->incarnation, sizeof(pub->owner));
	if (!pub->marker_found && !resuming(pub) &&
		(pub->progress.marker_lsn != 0 || pub->hello.ledger_lsn != 0))
	{
		/* A read-uncommitted "none" cannot be stale: offsets only vanish. */
		mo_publisher_need_attention(pub, "the marker has vanished from Kafka",
									"Events were published before, but the publisher's group has no offset: the cluster was replaced, the group deleted, or its offsets expired.",
									"If the topics still have the events: mesh_outbox.resume_publisher(name, start_from => 'ledger', reason => ...). To skip to new events: from => 'now'.",
									Max(pub->progress.lsn, pub->hello.ledger_lsn),
									mo_decode_flushed());
	}
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
		identity_mismatch(pub);
	if (pub->mode == MO_STREAM_VERIFY)
		mo_start_own(pub);
}

void
mo_start(MoPublisher *pub)
{
	MoMarker	m;
	bool		found = false;

	/* Restarting the server is no decision. */
	if (pub->hello.has_attention && !resuming(pub))
		mo_worker_stop(pub->slot, MO_STATE_NEEDS_ATTENTION,
					   "a decision is due", HINT_DECIDE);
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
	if (wants_chosen_position(pub, found, &m))
		take_chosen_position(pub, found, &m, pub->slot_start);
	else if (found)
	{
		check_history(pub, &m);
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
