/*-------------------------------------------------------------------------
 *
 * guc.c
 *	  The settings: what each means, its unit and its limits.
 *
 * All but the last two are read by the workers only, so they belong to the
 * configuration file and take effect at a reload.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "utils/guc.h"

#include "guc.h"
#include "mesh_outbox.h"

int			mo_guc_max_transaction_events = 50000;
int			mo_guc_max_transaction_size = 16 * 1024;
int			mo_guc_decoding_work_mem = 16 * 1024;
int			mo_guc_retained_wal_warning = 1024;
int			mo_guc_heartbeat_interval = 3600;
int			mo_guc_ledger_retention = 7 * 24 * 60;
int			mo_guc_restart_delay = 1000;
int			mo_guc_topic_timeout = 30;
bool		mo_guc_protect_outboxes = true;

static void
define_int(const char *name, const char *description, const char *detail,
		   int *variable, int min, int max, int unit)
{
	DefineCustomIntVariable(name, description, detail, variable, *variable,
							min, max, PGC_SIGHUP, unit, NULL, NULL, NULL);
}

/*
 * The upper limit of a Kafka transaction's size keeps a batch, of which two
 * are in memory at a time, far below what a worker may use.
 */
static void
define_limits(void)
{
	define_int(MO_GUC_PREFIX ".max_transaction_events",
			   "Sets the maximum number of events in one Kafka transaction.",
			   "A larger PostgreSQL transaction is split; the headers of its events say so.",
			   &mo_guc_max_transaction_events, 1, 1000000, 0);

	define_int(MO_GUC_PREFIX ".max_transaction_size",
			   "Sets the maximum size of the events in one Kafka transaction.",
			   "A larger PostgreSQL transaction is split; the headers of its events say so.",
			   &mo_guc_max_transaction_size, 64, 1024 * 1024, GUC_UNIT_KB);

	define_int(MO_GUC_PREFIX ".decoding_work_mem",
			   "Sets the memory a publisher uses for decoding before it spills to disk.",
			   "Takes the place of logical_decoding_work_mem in publishers.",
			   &mo_guc_decoding_work_mem, 64, MAX_KILOBYTES, GUC_UNIT_KB);
}

static void
define_times(void)
{
	define_int(MO_GUC_PREFIX ".heartbeat_interval",
			   "Sets the time after which an idle publisher renews its position in Kafka.",
			   "Must be well below the broker's offsets.retention.minutes and transactional.id.expiration.ms.",
			   &mo_guc_heartbeat_interval, 1, 24 * 3600, GUC_UNIT_S);

	define_int(MO_GUC_PREFIX ".ledger_retention",
			   "Sets how long the ledger of published batches is kept.",
			   "Zero keeps it for ever.",
			   &mo_guc_ledger_retention, 0, INT_MAX / 60, GUC_UNIT_MIN);

	define_int(MO_GUC_PREFIX ".topic_timeout",
			   "Sets how long a publisher waits for a topic that the brokers refuse.",
			   "After that its events become dead letters, and the stream goes on.",
			   &mo_guc_topic_timeout, 0, 24 * 3600, GUC_UNIT_S);

	define_int(MO_GUC_PREFIX ".restart_delay",
			   "Sets the time before a publisher is started again after an error.",
			   "It doubles with each further error, up to one minute.",
			   &mo_guc_restart_delay, 100, 60000, GUC_UNIT_MS);

	define_int(MO_GUC_PREFIX ".retained_wal_warning",
			   "Sets the amount of WAL kept for a publisher above which a warning is logged.",
			   "Zero turns the warning off.",
			   &mo_guc_retained_wal_warning, 0, MAX_KILOBYTES, GUC_UNIT_MB);
}

/*
 * Read by mesh_outbox.present() alone, through current_setting().  Superusers
 * only: whoever sets it decides when notices and sunsets end.
 */
static void
define_clock(void)
{
	static char *clock;

	DefineCustomStringVariable(MO_GUC_PREFIX ".clock",
							   "Sets the time by which notices and sunsets are measured.",
							   "For rehearsals and tests; empty means the present.",
							   &clock, "", PGC_SUSET, GUC_NOT_IN_SAMPLE,
							   NULL, NULL, NULL);
}

static void
define_protection(void)
{
	DefineCustomBoolVariable(MO_GUC_PREFIX ".protect_outboxes",
							 "Refuses to drop outboxes, or their checks, by other means than mesh_outbox's functions.",
							 NULL, &mo_guc_protect_outboxes, true,
							 PGC_SUSET, 0, NULL, NULL, NULL);
}

#ifdef MO_FAULT_POINTS
char	   *mo_guc_fault = NULL;
bool		mo_guc_skip_foreign = true;

static void
define_fault(void)
{
	DefineCustomBoolVariable(MO_GUC_PREFIX ".skip_foreign",
							 "Keeps changes of foreign tables out of the reorder buffer; for tests.",
							 NULL, &mo_guc_skip_foreign, true,
							 PGC_SUSET, GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
	DefineCustomStringVariable(MO_GUC_PREFIX ".fault",
							   "Makes a process crash or wait at a named step; for tests.",
							   "NAME:crash or NAME:wait, then optionally :N for the N-th passing and :LABEL to tell orders apart.",
							   &mo_guc_fault, "", PGC_SIGHUP,
							   GUC_NOT_IN_SAMPLE, NULL, NULL, NULL);
}
#endif

void
mo_guc_init(void)
{
	define_limits();
	define_times();
	define_clock();
	define_protection();
#ifdef MO_FAULT_POINTS
	define_fault();
#endif
	MarkGUCPrefixReserved(MO_GUC_PREFIX);
}
