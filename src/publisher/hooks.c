/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  What commands of ordinary sessions tell the launcher, and when.
 *
 * What a transaction changed about publishers concerns the launcher when it
 * commits, not before; so it is noted in this backend and delivered from a
 * transaction callback, which is registered once, at server start.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "miscadmin.h"

#include "publisher/hooks.h"
#include "shmem.h"

static bool scan_at_commit = false;

void
mo_hooks_scan_at_commit(void)
{
	scan_at_commit = mo_shared != NULL;
}

/*
 * A note does not survive PREPARE TRANSACTION, and nobody prepares such a
 * transaction on purpose: better refused than noticed late.
 */
static void
refuse_prepare(void)
{
	if (scan_at_commit)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("cannot PREPARE a transaction that has changed mesh_outbox publishers")));
}

static void
end_of_transaction(XactEvent event, void *arg)
{
	switch (event)
	{
		case XACT_EVENT_PRE_PREPARE:
			refuse_prepare();
			break;
		case XACT_EVENT_COMMIT:
			if (scan_at_commit)
				mo_shmem_request_scan(MyDatabaseId, true);
			scan_at_commit = false;
			break;
		case XACT_EVENT_ABORT:
			scan_at_commit = false;
			break;
		default:
			break;
	}
}

void
mo_hooks_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	RegisterXactCallback(end_of_transaction, NULL);
}
