/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  Wakes publishers when the transaction that gave them events commits.
 *
 * Called by the check trigger for each event, and through SQL for control
 * events, which no check sees.  Owns the list of publishers
 * that the current transaction has events for.
 *
 * The list is not taken back when a subtransaction is rolled back: a publisher
 * that is woken for nothing looks at the WAL and sleeps again.  It is dropped
 * at PREPARE TRANSACTION, for the events become visible at COMMIT PREPARED, by
 * whatever session; that command wakes all publishers (publisher/hooks.c).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "fmgr.h"
#include "miscadmin.h"

#include "outbox/wake.h"
#include "shmem.h"

static int32 touched[MO_MAX_PUBLISHERS];
static int	ntouched = 0;

/*
 * XACT_EVENT_COMMIT comes after the commit record is written and the
 * transaction is visible, so the woken publisher finds it.
 */
static void
wake_touched(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_COMMIT:
			for (int i = 0; i < ntouched; i++)
				mo_shmem_wake_publisher(MyDatabaseId, touched[i]);
			ntouched = 0;
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			ntouched = 0;
			break;
		default:
			break;
	}
}

void
mo_wake_at_commit(int32 publisher_id)
{
	static bool registered = false;

	for (int i = 0; i < ntouched; i++)
		if (touched[i] == publisher_id)
			return;

	if (!registered)
	{
		RegisterXactCallback(wake_touched, NULL);
		registered = true;
	}
	/* A server runs no more publishers than this, so others cannot sleep. */
	if (ntouched < lengthof(touched))
		touched[ntouched++] = publisher_id;
}

PG_FUNCTION_INFO_V1(mo_wake_publisher);

Datum
mo_wake_publisher(PG_FUNCTION_ARGS)
{
	mo_wake_at_commit(PG_GETARG_INT32(0));
	PG_RETURN_VOID();
}
