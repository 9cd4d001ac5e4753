/*-------------------------------------------------------------------------
 *
 * uses.c
 *	  Which roles insert into which outboxes.
 *
 * The audit record says when a right to publish is used.  Its chain is written
 * by one transaction at a time, until that commits: nothing that an INSERT
 * could wait for.  So the check leaves a note here, each backend at most once
 * a minute for a table and a role, and record_uses() (access.sql) takes what
 * is new into the record later, once per grant and day; a scribe calls it
 * every minute.  A crash of the server loses what was noted since.
 *
 * When all entries are taken, the one that was used least lately makes room.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "outbox/uses.h"
#include "shmem.h"

/* How long a backend does not note the same again, ms. */
#define NOTE_INTERVAL	(60 * 1000)

PG_FUNCTION_INFO_V1(mo_uses_show);

/* The entry of this pair, else a free one, else the longest unused one. */
static MoUse *
find_entry(MoUses *uses, const MoUse *pair)
{
	MoUse	   *oldest = &uses->entries[0];

	for (int i = 0; i < MO_MAX_USES; i++)
	{
		MoUse	   *entry = &uses->entries[i];

		if (!OidIsValid(entry->database) ||
			(entry->database == pair->database &&
			 entry->outbox_id == pair->outbox_id &&
			 entry->role == pair->role))
			return entry;
		if (entry->last_at < oldest->last_at)
			oldest = entry;
	}
	return oldest;
}

void
mo_uses_note(MoTable *table, TimestampTz now)
{
	MoUse		use = {
		.database = MyDatabaseId,
		.outbox_id = table->outbox_id,
		.role = GetUserId(),
		.last_at = now,
	};

	if (mo_shared == NULL ||
		(table->noted_role == use.role && now < table->note_again))
		return;
	LWLockAcquire(mo_shared->uses.lock, LW_EXCLUSIVE);
	*find_entry(&mo_shared->uses, &use) = use;
	LWLockRelease(mo_shared->uses.lock);
	table->noted_role = use.role;
	table->note_again = TimestampTzPlusMilliseconds(now, NOTE_INTERVAL);
}

/* outbox_uses(): those of this database */
Datum
mo_uses_show(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (mo_shared == NULL)
		return (Datum) 0;
	LWLockAcquire(mo_shared->uses.lock, LW_SHARED);
	for (int i = 0; i < MO_MAX_USES; i++)
	{
		const MoUse *entry = &mo_shared->uses.entries[i];
		Datum		values[3];
		bool		nulls[lengthof(values)] = {0};

		if (entry->database != MyDatabaseId)
			continue;
		values[0] = Int32GetDatum(entry->outbox_id);
		values[1] = ObjectIdGetDatum(entry->role);
		values[2] = TimestampTzGetDatum(entry->last_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	LWLockRelease(mo_shared->uses.lock);
	return (Datum) 0;
}
