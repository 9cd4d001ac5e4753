/*-------------------------------------------------------------------------
 *
 * scribe.c
 *	  The worker that does a publisher's SQL.
 *
 * It says hello with everything the publisher must know to start, then
 * serves requests in the order in which they come, each in a transaction of
 * its own, and answers when the effect is as durable as the request needs
 * it.  It never waits with a transaction open.
 *
 * It lives as long as its publisher: when that has gone, the channel raises
 * an error after the last request, so nothing that was asked for is lost.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "guc.h"
#include "publisher/channel.h"
#include "publisher/scribe_sql.h"
#include "publisher/worker.h"

/* How long to wait for a contract's row to become visible, ms at a time. */
#define VISIBILITY_STEP 10

/* How often to look for outdated ledger rows, ms. */
#define TRIM_INTERVAL	60000

/*
 * How often to do what the mesh's clock asks for, ms, and each how many times
 * to retire what has reached its sunset, too, for which outboxes are searched.
 */
#define DUE_INTERVAL	60000
#define RETIRE_EVERY	60

/* How long that may keep the publisher waiting, ms. */
#define DUE_TIMEOUT		2000

/*
 * How often to look for events whose retention is over, ms; while there are
 * more than a transaction takes, how long to leave the server alone between.
 */
#define PURGE_INTERVAL	60000
#define PURGE_PAUSE		50
#define PURGE_EVENTS	1000

PGDLLEXPORT void mesh_outbox_scribe_main(Datum slot_index);

static MoPublisherSlot *slot;
static MoChannel *channel;
static int64 last_batch_no;
static TimestampTz trim_at;
static TimestampTz due_at;
static uint64 due_runs;
static TimestampTz purge_at;

/*
 * What wait_ready() waits for: whatever commits from now on is in the stream.
 * Not so while a decision is due or being carried out, for the slot may be
 * gone, and what commits before there is a new one is not.
 */
static void
announce_ready(bool ready)
{
	SpinLockAcquire(&slot->mutex);
	slot->ready = ready;
	SpinLockRelease(&slot->mutex);
	ConditionVariableBroadcast(&slot->dealt_cv);
}

static void
say_lsn(char type, XLogRecPtr lsn)
{
	StringInfoData body;

	initStringInfo(&body);
	pq_sendint64(&body, lsn);
	mo_channel_send(channel, type, &body);
}

static void
say_hello(void)
{
	MoHello		hello;
	StringInfoData body;

	/* Dropped a moment ago; the launcher is about to hear of it. */
	if (!mo_scribe_sql_hello(&hello))
		proc_exit(0);

	last_batch_no = hello.ledger_batch_no;
	announce_ready(hello.slot_is_there && !hello.has_attention &&
				   hello.resume_from[0] == '\0');

	initStringInfo(&body);
	mo_channel_put_hello(&body, &hello);
	mo_channel_send(channel, MO_SAY_HELLO, &body);
}

static void
serve_contract(StringInfo request)
{
	int64		contract_id = pq_getmsgint64(request);
	MoContractInfo info;
	StringInfoData body;

	while (!mo_scribe_sql_contract(contract_id, &info))
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 VISIBILITY_STEP, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}

	initStringInfo(&body);
	mo_channel_put_contract(&body, &info);
	mo_channel_send(channel, MO_SAY_CONTRACT, &body);
}

static void
serve_dead_letter(StringInfo request)
{
	MoDeadLetter letter;
	MoDeadLetterDone done;
	StringInfoData body;

	mo_channel_get_dead_letter(request, &letter);
	done.commit_lsn = letter.commit_lsn;
	done.ordinal = letter.ordinal;
	done.record_lsn = mo_scribe_sql_dead_letter(&letter);
	MO_FAULT_POINT("dead_letter_durable");

	initStringInfo(&body);
	mo_channel_put_dead_letter_done(&body, &done);
	mo_channel_send(channel, MO_SAY_DEAD_LETTER, &body);
}

static void
serve_dead_list(StringInfo request)
{
	MoDeadList	list;
	StringInfoData body;

	mo_scribe_sql_dead_list((XLogRecPtr) pq_getmsgint64(request), &list);
	initStringInfo(&body);
	mo_channel_put_dead_list(&body, &list);
	mo_channel_send(channel, MO_SAY_DEAD_LIST, &body);
}

static void
serve_progress(StringInfo request)
{
	MoProgress	progress;
	XLogRecPtr	record;

	mo_channel_get_progress(request, &progress);
	record = mo_scribe_sql_progress(&progress);
	MO_FAULT_POINT("progress_durable");
	say_lsn(MO_SAY_PROGRESS, record);
}

static void
serve_ready(StringInfo request)
{
	MoReady		ready;

	mo_channel_get_ready(request, &ready);
	mo_scribe_sql_ready(&ready);
	announce_ready(true);
	mo_channel_send(channel, MO_SAY_READY, NULL);
}

static void
serve_attention(StringInfo request)
{
	MoAttention attention;

	mo_channel_get_attention(request, &attention);
	mo_scribe_sql_attention(&attention);
	announce_ready(attention.what[0] == '\0');
	mo_channel_send(channel, MO_SAY_ATTENTION, NULL);
}

static void
serve_event(StringInfo request)
{
	MoPublisherEvent event;

	mo_channel_get_event(request, &event);
	mo_scribe_sql_event(&event);
}

static void
serve_ledger(StringInfo request)
{
	MoLedgerEntry entry;

	mo_channel_get_ledger(request, &entry);
	mo_scribe_sql_ledger(++last_batch_no, &entry);
	MO_FAULT_POINT("ledger_durable");
}

static void
serve(char type, StringInfo request)
{
	switch (type)
	{
		case MO_ASK_CONTRACT:
			serve_contract(request);
			break;
		case MO_ASK_DEAD_LETTER:
			serve_dead_letter(request);
			break;
		case MO_ASK_DEAD_LIST:
			serve_dead_list(request);
			break;
		case MO_ASK_PROGRESS:
			serve_progress(request);
			break;
		case MO_ASK_READY:
			serve_ready(request);
			break;
		case MO_ASK_ATTENTION:
			serve_attention(request);
			break;
		case MO_ASK_EVENT:
			serve_event(request);
			break;
		case MO_ASK_LEDGER:
			serve_ledger(request);
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("unexpected request \"%c\" from the publisher", type)));
	}
}

/*
 * Deletes outdated ledger rows, a few at a time so that requests are served
 * in between.  Returns how long to wait for more work, ms.
 */
static long
trim_ledger(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= trim_at &&
		(mo_guc_ledger_retention == 0 ||
		 !mo_scribe_sql_trim_ledger(mo_guc_ledger_retention)))
		trim_at = TimestampTzPlusMilliseconds(now, TRIM_INTERVAL);
	return TimestampDifferenceMilliseconds(now, trim_at);
}

/*
 * What the mesh's clock asks for: expired access, sunsets, reviews.  Every
 * publisher's scribe does it, whoever is first.  Returns how long to wait, ms.
 */
static long
do_what_is_due(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= due_at)
	{
		mo_scribe_sql_run_due(due_runs++ % RETIRE_EVERY == 0, DUE_TIMEOUT);
		due_at = TimestampTzPlusMilliseconds(now, DUE_INTERVAL);
	}
	return TimestampDifferenceMilliseconds(now, due_at);
}

/* Returns how long to wait, ms. */
static long
purge_outboxes(void)
{
	TimestampTz now = GetCurrentTimestamp();

	if (now >= purge_at)
	{
		bool		more = mo_scribe_sql_purge(PURGE_EVENTS, DUE_TIMEOUT) == PURGE_EVENTS;

		purge_at = TimestampTzPlusMilliseconds(now,
											   more ? PURGE_PAUSE : PURGE_INTERVAL);
	}
	return TimestampDifferenceMilliseconds(now, purge_at);
}

static void
scribe(int slot_index)
{
	MemoryContext turn = AllocSetContextCreate(TopMemoryContext,
											   "mesh_outbox scribe",
											   ALLOCSET_DEFAULT_SIZES);

	slot = &mo_shared->slots[slot_index];
	MemoryContextSwitchTo(turn);
	mo_scribe_sql_init(slot->publisher_id);
	channel = mo_channel_attach(slot_index);
	say_hello();

	for (;;)
	{
		StringInfoData request;
		char		type;
		long		wait;

		CHECK_FOR_INTERRUPTS();
		/* Perhaps it was the clock that was set: see what that means at once. */
		if (mo_worker_reload())
			due_at = due_runs = purge_at = 0;
		MemoryContextReset(turn);
		if (mo_channel_try_receive(channel, &type, &request))
		{
			serve(type, &request);
			continue;
		}

		wait = Min(trim_ledger(), Min(do_what_is_due(), purge_outboxes()));
		if (wait == 0)
			continue;
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 wait, PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}
}

void
mesh_outbox_scribe_main(Datum slot_index)
{
	mo_worker_run(slot_index, MO_SEAT_SCRIBE, scribe);
}
