/*-------------------------------------------------------------------------
 *
 * scout.c
 *	  Looks at one database for the launcher: which publishers does it have?
 *
 * A short-lived worker.  It writes what it finds into the publishers' slots,
 * drops replication slots that no publisher owns any more, and says that it
 * is done by setting MoShared.scouted; an error means that it was not, and
 * the launcher sends another one later.
 *
 * What it does is a comparison of what is with what should be, so it does not
 * matter what happened before: a publisher dropped, the extension dropped,
 * a crash in between.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "access/xlog.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/snapmgr.h"

#include "mesh_outbox.h"
#include "publisher/worker.h"
#include "shmem.h"

/*
 * A session that holds a lock on our tables must not keep the launcher from
 * looking at other databases.
 */
#define LOCK_TIMEOUT	"2s"

PGDLLEXPORT void mesh_outbox_scout_main(Datum arg);

/* One row of mesh_outbox.publisher. */
typedef struct Found
{
	int32		publisher_id;
	const char *name;
	bool		paused;
	bool		foreign;
	uint64		config;
} Found;

/*
 * A running pair cannot take over a change of these columns, nor a decision
 * where to go on: one that was left lying until the next start would be taken
 * for an answer to whatever is found then.  The identity changes when another
 * publisher has got the id within one transaction.
 */
#define SELECT_PUBLISHERS \
	"SELECT p.publisher_id, p.name, p.paused," \
	" p.system_identifier <> $1 OR p.database_oid <> $2," \
	" pg_catalog.hashtextextended(p.identity || p.brokers || E'\\x01'" \
	" || p.options::text || E'\\x01' || (SELECT pg_catalog.count(*)" \
	" FROM mesh_outbox.publisher_event AS e WHERE e.publisher_id = p.publisher_id" \
	" AND e.action LIKE 'resume from %'), 0)" \
	" FROM mesh_outbox.publisher AS p"

#define DROP_SLOTS \
	"SELECT s.slot_name, pg_catalog.pg_drop_replication_slot(s.slot_name)" \
	" FROM pg_catalog.pg_replication_slots AS s" \
	" WHERE NOT s.active AND s.database = pg_catalog.current_database()" \
	" AND s.slot_name ~ pg_catalog.format('^mesh_outbox_%s_[0-9]+$', $1)"

#define UNLESS_OWNED \
	" AND NOT EXISTS (SELECT FROM mesh_outbox.publisher AS p" \
	" WHERE s.slot_name = pg_catalog.format('mesh_outbox_%s_%s', $1, p.publisher_id))"

static Datum
column(HeapTuple tuple, int number)
{
	bool		null;

	return SPI_getbinval(tuple, SPI_tuptable->tupdesc, number, &null);
}

static Found *
read_publishers(int *n)
{
	Oid			types[] = {INT8OID, OIDOID};
	Datum		values[] = {
		Int64GetDatum((int64) GetSystemIdentifier()),
		ObjectIdGetDatum(MyDatabaseId)
	};
	Found	   *found;

	if (SPI_execute_with_args(SELECT_PUBLISHERS, 2, types, values, NULL,
							  true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read mesh_outbox.publisher");

	*n = (int) SPI_processed;
	found = palloc(sizeof(Found) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
	{
		HeapTuple	tuple = SPI_tuptable->vals[i];

		found[i].publisher_id = DatumGetInt32(column(tuple, 1));
		found[i].name = TextDatumGetCString(column(tuple, 2));
		found[i].paused = DatumGetBool(column(tuple, 3));
		found[i].foreign = DatumGetBool(column(tuple, 4));
		found[i].config = (uint64) DatumGetInt64(column(tuple, 5));
	}
	return found;
}

static void
write_slot(const Found *found)
{
	MoPublisherSlot *slot = mo_shmem_find(MyDatabaseId, found->publisher_id);

	if (slot == NULL)
		slot = mo_shmem_allocate(MyDatabaseId, found->publisher_id, found->name);
	if (slot == NULL)
	{
		ereport(WARNING,
				(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
				 errmsg("publisher \"%s\" does not start: this server has more than %d publishers",
						found->name, MO_MAX_PUBLISHERS)));
		return;
	}

	SpinLockAcquire(&slot->mutex);
	strlcpy(slot->name, found->name, sizeof(slot->name));
	slot->dropped = false;
	slot->foreign = found->foreign;
	slot->config = found->config;
	slot->pause_requested = found->paused;
	SpinLockRelease(&slot->mutex);
}

static bool
is_found(const MoPublisherSlot *slot, const Found *found, int n)
{
	for (int i = 0; i < n; i++)
		if (found[i].publisher_id == slot->publisher_id)
			return true;
	return false;
}

/* The slots of this database are as the catalog is when this returns. */
static void
write_slots(const Found *found, int n)
{
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	for (int i = 0; i < n; i++)
		write_slot(&found[i]);
	for (int i = 0; i < MO_MAX_PUBLISHERS; i++)
	{
		MoPublisherSlot *slot = &mo_shared->slots[i];

		if (slot->in_use && slot->database == MyDatabaseId &&
			!is_found(slot, found, n))
			slot->dropped = true;
	}
	LWLockRelease(mo_shared->lock);

	mo_shmem_wake_publishers(MyDatabaseId);
}

/*
 * A slot that is still active belongs to a pair that is about to go; the
 * launcher sends the next scout when it has.
 */
static void
drop_orphaned_slots(bool installed)
{
	Oid			types[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(MyDatabaseId)};

	if (SPI_execute_with_args(installed ? DROP_SLOTS UNLESS_OWNED : DROP_SLOTS,
							  1, types, values, NULL,
							  false, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read pg_replication_slots");
	for (uint64 i = 0; i < SPI_processed; i++)
		ereport(LOG,
				(errmsg("dropped replication slot \"%s\", whose publisher does not exist any more",
						SPI_getvalue(SPI_tuptable->vals[i],
									 SPI_tuptable->tupdesc, 1))));
}

static void
look(void)
{
	bool		installed;
	Found	   *found = NULL;
	int			n = 0;

	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	pgstat_report_activity(STATE_RUNNING, "looking for publishers");

	installed = OidIsValid(get_extension_oid(MO_LIBRARY, true));
	if (installed)
		found = read_publishers(&n);
	write_slots(found, n);
	drop_orphaned_slots(installed);

	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_activity(STATE_IDLE, NULL);
}

void
mesh_outbox_scout_main(Datum arg)
{
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	BackgroundWorkerInitializeConnectionByOid(DatumGetObjectId(arg),
											  InvalidOid, 0);
	mo_worker_settings();
	SetConfigOption("lock_timeout", LOCK_TIMEOUT, PGC_SUSET, PGC_S_OVERRIDE);
	look();

	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	mo_shared->scouted = MyDatabaseId;
	LWLockRelease(mo_shared->lock);
	proc_exit(0);
}
