/*-------------------------------------------------------------------------
 *
 * decode_trial.c
 *	  Decoding in an ordinary backend, for test/foreign.
 *
 * Compiled in with -DMO_FAULT_POINTS only; the test creates the SQL function
 * itself.  Shows what a publisher would be given from a slot, without Kafka:
 * so two slots that stand at the same place, one read with skipping foreign
 * changes and one without (mesh_outbox.skip_foreign), can be compared.  Every
 * call begins like a publisher that was just started.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#ifdef MO_FAULT_POINTS

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/pg_lsn.h"
#include "utils/resowner.h"
#include "utils/uuid.h"

#include "publisher/decode.h"

/* The highest at the end of a replay, of all in this process. */
static Size memory;

PG_FUNCTION_INFO_V1(mo_decode_trial);
PG_FUNCTION_INFO_V1(mo_decode_trial_slot);

static void
put_line(ReturnSetInfo *info, char *line)
{
	Datum		value = CStringGetTextDatum(line);
	bool		null = false;

	tuplestore_putvalues(info->setResult, info->setDesc, &value, &null);
}

static void
trial_begin(void *arg, const MoTransaction *txn)
{
}

static void
trial_row(void *arg, const MoTransaction *txn, const MoRow *row)
{
	Datum		id = UUIDPGetDatum(&row->event_id);

	put_line(arg, psprintf("%X/%X %u %d " INT64_FORMAT " %d %s %s %s %s",
						   LSN_FORMAT_ARGS(txn->commit_lsn), txn->xid,
						   row->control, row->ordinal, row->outbox_id,
						   row->has_event_id ?
						   DatumGetCString(DirectFunctionCall1(uuid_out, id)) : "-",
						   row->event_type ? row->event_type : "-",
						   row->key ? row->key : "-",
						   row->payload == NULL ? "-" :
						   JsonbToCString(NULL, &row->payload->root,
										  VARSIZE(row->payload))));
}

/* What the transaction that is replayed keeps is held until after this. */
static void
trial_commit(void *arg, const MoTransaction *txn, int64 rows)
{
	memory = Max(memory, MemoryContextMemAllocated(TopMemoryContext, true));
}

/*
 * mo_decode_trial(slot name, publisher_id int, check_function regprocedure,
 * control_table regclass, upto pg_lsn, confirm boolean) RETURNS SETOF text:
 * a line for each row, and a last one that says how many records were skipped
 * and how much memory was in use.
 */
Datum
mo_decode_trial(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *info = (ReturnSetInfo *) fcinfo->resultinfo;
	ResourceOwner owner = CurrentResourceOwner;
	XLogRecPtr	upto = PG_GETARG_LSN(4);
	MoDecodeSink sink = {info, trial_begin, trial_row, trial_commit, NULL};
	MoDecoder  *decoder;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	memory = 0;
	InvalidateSystemCaches();
	decoder = mo_decode_open(NameStr(*PG_GETARG_NAME(0)), InvalidXLogRecPtr,
							 PG_GETARG_INT32(1), PG_GETARG_OID(2),
							 PG_GETARG_OID(3), &sink);
	while (mo_decode_position(decoder) < upto && mo_decode_step(decoder))
		CHECK_FOR_INTERRUPTS();
	if (PG_GETARG_BOOL(5))
		mo_decode_confirm(decoder, mo_decode_position(decoder));
	CurrentResourceOwner = owner;
	put_line(info, psprintf("skipped " INT64_FORMAT " kB %zu",
							mo_decode_close(decoder), memory / 1024));
	InvalidateSystemCaches();
	return (Datum) 0;
}

/* mo_decode_trial_slot(slot name): makes a slot for the above. */
Datum
mo_decode_trial_slot(PG_FUNCTION_ARGS)
{
	PG_RETURN_LSN(mo_decode_create_slot(NameStr(*PG_GETARG_NAME(0))));
}

#endif							/* MO_FAULT_POINTS */
