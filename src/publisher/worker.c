/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  What publisher and scribe have in common: how they start and end.
 *
 * A worker of a pair owns a seat in its publisher's slot: its pid and latch,
 * and for the publisher the channel's handle.  It takes the seat before it
 * does anything else and gives it up on every way out but SIGKILL, which
 * resets shared memory as a whole.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <signal.h>

#include "libpq/pqsignal.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "postmaster/interrupt.h"
#include "storage/ipc.h"
#include "tcop/tcopprot.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "publisher/worker.h"

/* Gives up the seat; the connection to the database has ended before. */
static void
leave_seat(int code, Datum arg)
{
	MoPublisherSlot *slot = (MoPublisherSlot *) DatumGetPointer(arg);

	SpinLockAcquire(&slot->mutex);
	if (slot->publisher_pid == MyProcPid)
	{
		slot->publisher_pid = 0;
		slot->publisher_latch = NULL;
		slot->channel = DSM_HANDLE_INVALID;
	}
	if (slot->scribe_pid == MyProcPid)
	{
		slot->scribe_pid = 0;
		slot->scribe_latch = NULL;
	}
	SpinLockRelease(&slot->mutex);
	ConditionVariableBroadcast(&slot->dealt_cv);
}

/*
 * False when the launcher has given up this pair before it began; the slot
 * may belong to another pair or publisher by now.
 */
static bool
take_seat(MoPublisherSlot *slot, MoSeat seat, uint64 pair)
{
	bool		ours;

	SpinLockAcquire(&slot->mutex);
	ours = slot->in_use && slot->pair == pair;
	if (ours && seat == MO_SEAT_PUBLISHER)
	{
		slot->publisher_pid = MyProcPid;
		slot->publisher_latch = MyLatch;
		slot->channel = DSM_HANDLE_INVALID;
		slot->unhurried = false;
	}
	else if (ours)
	{
		slot->scribe_pid = MyProcPid;
		slot->scribe_latch = MyLatch;
	}
	SpinLockRelease(&slot->mutex);

	if (ours)
		before_shmem_exit(leave_seat, PointerGetDatum(slot));
	return ours;
}

/*
 * What users set for their sessions, of this database or as the superuser that
 * a worker is, must not stop ours.
 */
void
mo_worker_settings(void)
{
	static const struct
	{
		const char *name;
		const char *value;
	}			settings[] =
	{
		{"role", "none"},
		{"search_path", ""},
		{"session_replication_role", "origin"},
		{"statement_timeout", "0"},
		{"lock_timeout", "0"},
		{"idle_in_transaction_session_timeout", "0"},
		{"transaction_timeout", "0"},	/* since 17; a replay may last */
		{"default_transaction_read_only", "off"},
		{"default_transaction_isolation", "read committed"},
	};

	for (int i = 0; i < lengthof(settings); i++)
		if (GetConfigOption(settings[i].name, true, false) != NULL)
			SetConfigOption(settings[i].name, settings[i].value, PGC_SUSET,
							PGC_S_OVERRIDE);
}

static void
connect_to_database(Oid database)
{
	BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
	mo_worker_settings();
	SetConfigOption("application_name", MyBgworkerEntry->bgw_name,
					PGC_USERSET, PGC_S_SESSION);
	pgstat_report_activity(STATE_IDLE, NULL);
}

/* The error is on top of the stack, its handler outside of any context. */
static void
record_error(MoPublisherSlot *slot)
{
	ErrorData  *error;
	StringInfoData text;

	MemoryContextSwitchTo(TopMemoryContext);
	error = CopyErrorData();
	initStringInfo(&text);
	appendStringInfoString(&text, error->message ? error->message : "unknown error");
	if (error->detail)
		appendStringInfo(&text, " (%s)", error->detail);
	mo_shmem_set_state(slot, MO_STATE_BACKING_OFF, text.data, error->hint);
}

/*
 * The error that ended the pair is the first worker's; the other one only
 * sees that its peer has gone, which is not worth a line in the log.
 */
static void
end_with_error(MoPublisherSlot *slot)
{
	HOLD_INTERRUPTS();
	if (geterrcode() == ERRCODE_CONNECTION_FAILURE)
	{
		FlushErrorState();
		proc_exit(1);
	}
	record_error(slot);
}

void
mo_worker_run(Datum main_arg, MoSeat seat, MoWorkerBody body)
{
	int			slot_index = DatumGetInt32(main_arg);
	MoPublisherSlot *slot = &mo_shared->slots[slot_index];
	uint64		pair;

	/* In this order: a signal must never meet the default handler. */
	pqsignal(SIGHUP, SignalHandlerForConfigReload);
	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();

	memcpy(&pair, MyBgworkerEntry->bgw_extra, sizeof(pair));
	if (!take_seat(slot, seat, pair))
		proc_exit(0);

	PG_TRY();
	{
		connect_to_database(slot->database);
		body(slot_index);
	}
	PG_CATCH();
	{
		end_with_error(slot);
		PG_RE_THROW();
	}
	PG_END_TRY();
	proc_exit(0);
}

void
mo_worker_stop(MoPublisherSlot *slot, MoPublisherState state,
			   const char *error, const char *hint)
{
	mo_shmem_set_state(slot, state, error, hint);
	ereport(LOG,
			(errmsg("publisher \"%s\" stops: %s", slot->name, error),
			 hint ? errhint("%s", hint) : 0));
	proc_exit(1);
}

bool
mo_worker_reload(void)
{
	if (!ConfigReloadPending)
		return false;
	ConfigReloadPending = false;
	ProcessConfigFile(PGC_SIGHUP);
	return true;
}
