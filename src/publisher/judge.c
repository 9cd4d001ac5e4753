/*-------------------------------------------------------------------------
 *
 * judge.c
 *	  Is the marker in Kafka one that this server may go on from?
 *
 * Called by recovery (start.c), which says which judgement is sound after
 * which read: one that is read-uncommitted may be older than a commit that
 * was acknowledged.  A judgement returns when there is nothing against going
 * on, and ends the process in state "needs attention" when there is.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <json.h>

#include "utils/memutils.h"

#include "publisher/publisher.h"

/* Steps 1 and 3: what may be concluded from a read of any isolation. */
void
mo_judge_history(MoPublisher *pub, const MoMarker *m)
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

void
mo_judge_mismatch(MoPublisher *pub)
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
void
mo_judge_progress(MoPublisher *pub)
{
	const MoTransaction *m = &pub->committed.txn;

	if (m->commit_lsn == InvalidXLogRecPtr || !pub->committed.complete ||
		pub->progress.lsn < m->end_lsn)
		return;
	if (pub->progress.marker_lsn != m->commit_lsn ||
		pub->progress.marker_xid != m->xid ||
		pub->progress.marker_time != m->commit_time)
		mo_judge_mismatch(pub);
}

/* Step 3 only: judgements that need the newest marker. */
void
mo_judge_position(MoPublisher *pub, XLogRecPtr slot)
{
	XLogRecPtr	known = Max(pub->committed.txn.end_lsn, pub->progress.lsn);

	if (!pub->marker_found &&
		(pub->progress.marker_lsn != 0 || pub->hello.ledger_lsn != 0))
		mo_publisher_need_attention(pub, "the marker has vanished from Kafka",
									"Events were published before, but the publisher's group has no offset: the cluster was replaced, the group deleted, or its offsets expired.",
									"If the topics still have the events: mesh_outbox.resume_publisher(name, start_from => 'ledger', reason => ...). To skip to new events: from => 'now'.",
									Max(pub->progress.lsn, pub->hello.ledger_lsn),
									mo_decode_flushed());
	if (slot > known)
		mo_publisher_need_attention(pub, "somebody moved the replication slot",
									psprintf("The slot stands at %X/%X, but everything is dealt with up to %X/%X only. Events committed between them cannot be decoded any more.",
											 LSN_FORMAT_ARGS(slot), LSN_FORMAT_ARGS(known)),
									MO_HINT_DECIDE, known, slot);
	if (pub->committed.txn.commit_lsn < pub->hello.ledger_lsn)
		mo_publisher_need_attention(pub, "Kafka has lost the marker, or an older one came back",
									psprintf("The ledger knows of events published up to %X/%X, the marker says %X/%X. The cluster was replaced or restored, or the group's offsets expired.",
											 LSN_FORMAT_ARGS(pub->hello.ledger_lsn),
											 LSN_FORMAT_ARGS(pub->committed.txn.commit_lsn)),
									"If the topics still have the events: mesh_outbox.resume_publisher(name, start_from => 'ledger', reason => ...). To publish what the marker misses again: from => 'marker'.",
									pub->committed.txn.end_lsn,
									pub->hello.ledger_lsn);
}

/* Of each partition in the ledger: its last offset there, its end in Kafka. */
typedef struct LedgerEnds
{
	MoLogEnd   *ends;
	int64	   *last;
	int			n;
} LedgerEnds;

static int
count_ends(json_object *offsets)
{
	int			n = 0;

	json_object_object_foreach(offsets, topic, partitions)
	{
		(void) topic;
		n += json_object_object_length(partitions);
	}
	return n;
}

/*
 * {"topic": {"partition": last offset}}; the topics' names stay the object's.
 * The control lane writes into it, also when an error has ended what is done
 * here, so it lives as long as the process.
 */
static LedgerEnds
list_ends(json_object *offsets)
{
	int			n = count_ends(offsets);
	LedgerEnds	list = {
		.ends = MemoryContextAllocZero(TopMemoryContext, sizeof(MoLogEnd) * Max(n, 1)),
		.last = palloc(sizeof(int64) * Max(n, 1)),
	};

	json_object_object_foreach(offsets, topic, partitions)
	{
		json_object_object_foreach(partitions, partition, last)
		{
			list.ends[list.n].topic = topic;
			list.ends[list.n].partition = atoi(partition);
			list.last[list.n++] = json_object_get_int64(last);
		}
	}
	return list;
}

/* A topic must not end before what the ledger has recorded in it. */
static void
judge_end(MoPublisher *pub, const MoLogEnd *log, int64 last)
{
	if (log->end > last)
		return;
	mo_publisher_need_attention(pub, "a topic has lost events",
								psprintf("Topic \"%s\" partition %d ends at offset " INT64_FORMAT
										 ", the ledger recorded an event at offset " INT64_FORMAT
										 ": it was deleted, created again or restored.",
										 log->topic, log->partition, log->end, last),
								"The ledger (view mesh_outbox.batches) says which events were in it. To go on with new events: mesh_outbox.resume_publisher(name, start_from => 'marker', reason => ...).",
								InvalidXLogRecPtr, pub->committed.txn.end_lsn);
}

static void
judge_ends(MoPublisher *pub, const LedgerEnds *list)
{
	const MoKafkaError *result;

	mo_producer_start_log_ends(pub->producer, list->ends, list->n);
	result = mo_publisher_await(pub, MO_LANE_CONTROL);
	if (result->status != MO_KAFKA_OK)
		ereport(ERROR,
				(errcode(ERRCODE_EXTERNAL_ROUTINE_EXCEPTION),
				 errmsg("could not find out where the topics of publisher \"%s\" end",
						pub->hello.name),
				 errdetail("%s.", result->message),
				 errhint("The publisher's principal needs DESCRIBE on its topics.")));
	for (int i = 0; i < list->n; i++)
		judge_end(pub, &list->ends[i], list->last[i]);
	pfree(list->ends);
}

void
mo_judge_topics(MoPublisher *pub)
{
	json_object *offsets;

	if (pub->hello.ledger_offsets == NULL)
		return;
	offsets = json_tokener_parse(pub->hello.ledger_offsets);
	if (json_object_is_type(offsets, json_type_object))
	{
		LedgerEnds	list = list_ends(offsets);

		judge_ends(pub, &list);
	}
	json_object_put(offsets);
}
