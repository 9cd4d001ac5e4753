/*-------------------------------------------------------------------------
 *
 * violations.c
 *	  How often the payloads of a contract's events break it.
 *
 * Counted by the check, in shared memory, from the start of the server:
 * a rollback does not undo a count, for the events that are refused are those
 * whose transactions fail.  Shown by the view mesh_outbox.violations.  A team
 * that introduces a contract reads there, under enforcement "observe", when it
 * is safe to go on to "enforce".
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/timestamp.h"

#include "outbox/catalog.h"
#include "outbox/violations.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(mo_violations_show);

void
mo_violations_init(MoViolationCounter *counters)
{
	for (int i = 0; i < MO_MAX_VIOLATED; i++)
	{
		counters[i].contract_relid = InvalidOid;
		for (int k = 0; k < MO_NVIOLATION_KINDS; k++)
			pg_atomic_init_u64(&counters[i].counts[k], 0);
		pg_atomic_init_u64(&counters[i].last_at, 0);
	}
}

/* The contract's counter, or the first free one, or NULL. */
static MoViolationCounter *
find_counter(Oid contract_relid, int64 contract_id)
{
	for (int i = 0; i < MO_MAX_VIOLATED; i++)
	{
		MoViolationCounter *counter = &mo_shared->violations[i];

		if (!OidIsValid(counter->contract_relid) ||
			(counter->contract_relid == contract_relid &&
			 counter->contract_id == contract_id &&
			 counter->database == MyDatabaseId))
			return counter;
	}
	return NULL;
}

MoViolationCounter *
mo_violations_claim(Oid contract_relid, int64 contract_id)
{
	MoViolationCounter *counter;

	if (mo_shared == NULL)
		return NULL;
	LWLockAcquire(mo_shared->lock, LW_EXCLUSIVE);
	counter = find_counter(contract_relid, contract_id);
	if (counter != NULL)
	{
		counter->database = MyDatabaseId;
		counter->contract_relid = contract_relid;
		counter->contract_id = contract_id;
	}
	LWLockRelease(mo_shared->lock);
	return counter;
}

void
mo_violations_count(MoViolationCounter *counter, MoViolationKind kind,
					TimestampTz now)
{
	pg_atomic_fetch_add_u64(&counter->counts[kind], 1);
	pg_atomic_write_u64(&counter->last_at, (uint64) now);
}

/* violation_counters(): those of this database's contracts */
Datum
mo_violations_show(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			contract_relid = mo_catalog_table("contract");

	InitMaterializedSRF(fcinfo, 0);
	if (mo_shared == NULL)
		return (Datum) 0;
	LWLockAcquire(mo_shared->lock, LW_SHARED);
	for (int i = 0; i < MO_MAX_VIOLATED; i++)
	{
		MoViolationCounter *counter = &mo_shared->violations[i];
		Datum		values[2 + MO_NVIOLATION_KINDS];
		bool		nulls[lengthof(values)] = {0};

		if (counter->contract_relid != contract_relid ||
			counter->database != MyDatabaseId)
			continue;
		values[0] = Int64GetDatum(counter->contract_id);
		for (int k = 0; k < MO_NVIOLATION_KINDS; k++)
			values[1 + k] =
				UInt64GetDatum(pg_atomic_read_u64(&counter->counts[k]));
		/* a TimestampTz, which is 64 bits as well */
		values[1 + MO_NVIOLATION_KINDS] =
			UInt64GetDatum(pg_atomic_read_u64(&counter->last_at));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	LWLockRelease(mo_shared->lock);
	return (Datum) 0;
}
