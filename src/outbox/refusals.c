/*-------------------------------------------------------------------------
 *
 * refusals.c
 *	  Whose events were refused lately.
 *
 * A refused INSERT leaves no trace in its table, and its error reaches a log
 * that the owner of the outbox may never see.  So refuse.c leaves a note here
 * before it raises the error: which event type, why, which role and which
 * application.  Notes of a kind are counted together; when all entries are
 * taken, the one that has been silent longest makes room.  Shown by the view
 * mesh_outbox.refusals and by doctor().
 *
 * The notes have a lock of their own, so that a client that sends rubbish in
 * a loop does not stand in the publishers' way.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

#include "outbox/refusals.h"
#include "shmem.h"

/* After this long without a refusal of its kind, a count starts again, ms. */
#define FORGET_AFTER	(60 * 60 * 1000)

PG_FUNCTION_INFO_V1(mo_refusals_show);

static bool
is_same_kind(const MoRefusal *a, const MoRefusal *b)
{
	return a->relid == b->relid && a->database == b->database &&
		a->role == b->role &&
		strcmp(a->event_type, b->event_type) == 0 &&
		strcmp(a->application, b->application) == 0 &&
		strcmp(a->reason, b->reason) == 0;
}

/* The entry of this kind, else a free one, else the longest silent one. */
static MoRefusal *
find_entry(MoRefusals *refusals, const MoRefusal *kind)
{
	MoRefusal  *oldest = &refusals->entries[0];

	for (int i = 0; i < MO_MAX_REFUSALS; i++)
	{
		MoRefusal  *entry = &refusals->entries[i];

		if (!OidIsValid(entry->relid) || is_same_kind(entry, kind))
			return entry;
		if (entry->last_at < oldest->last_at)
			oldest = entry;
	}
	return oldest;
}

void
mo_refusals_note(Relation rel, const char *event_type, const char *reason)
{
	MoRefusal	note = {
		.database = MyDatabaseId,
		.relid = RelationGetRelid(rel),
		.role = GetUserId(),
		.last_at = GetCurrentTimestamp(),
	};
	MoRefusal  *entry;

	if (mo_shared == NULL)
		return;
	mo_shmem_copy_text(note.event_type, event_type, sizeof(note.event_type));
	mo_shmem_copy_text(note.application,
					   application_name ? application_name : "",
					   sizeof(note.application));
	mo_shmem_copy_text(note.reason, reason, sizeof(note.reason));
	note.first_at = note.last_at;

	LWLockAcquire(mo_shared->refusals.lock, LW_EXCLUSIVE);
	entry = find_entry(&mo_shared->refusals, &note);
	if (is_same_kind(entry, &note) &&
		!TimestampDifferenceExceeds(entry->last_at, note.last_at,
									FORGET_AFTER))
	{
		note.first_at = entry->first_at;
		note.count = entry->count;
	}
	note.count++;
	*entry = note;
	LWLockRelease(mo_shared->refusals.lock);
}

/* refused_events(): those of this database */
Datum
mo_refusals_show(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;

	InitMaterializedSRF(fcinfo, 0);
	if (mo_shared == NULL)
		return (Datum) 0;
	LWLockAcquire(mo_shared->refusals.lock, LW_SHARED);
	for (int i = 0; i < MO_MAX_REFUSALS; i++)
	{
		const MoRefusal *entry = &mo_shared->refusals.entries[i];
		Datum		values[8];
		bool		nulls[lengthof(values)] = {0};

		if (!OidIsValid(entry->relid) || entry->database != MyDatabaseId)
			continue;
		values[0] = ObjectIdGetDatum(entry->relid);
		values[1] = CStringGetTextDatum(entry->event_type);
		values[2] = CStringGetTextDatum(entry->reason);
		values[3] = ObjectIdGetDatum(entry->role);
		values[4] = CStringGetTextDatum(entry->application);
		values[5] = UInt64GetDatum(entry->count);
		values[6] = TimestampTzGetDatum(entry->first_at);
		values[7] = TimestampTzGetDatum(entry->last_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	LWLockRelease(mo_shared->refusals.lock);
	return (Datum) 0;
}
