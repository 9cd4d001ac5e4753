/*-------------------------------------------------------------------------
 *
 * fault.c
 *	  Fault points: a test orders a crash or a wait at a named step.
 *
 * Compiled in with -DMO_FAULT_POINTS only.  The setting mesh_outbox.fault is
 * an order, NAME:ACTION[:N[:LABEL]].  When a process passes the step NAME for
 * the N-th time since it first saw the order (1 when N is missing), it logs
 *
 *	  fault point "NAME" reached: ORDER
 *
 * and then crash kills the process with SIGKILL, wait holds it until the
 * setting changes.
 *
 * A crash takes shared memory with it, and the setting is still there when
 * the successor passes the same step.  So that it does not die as well, an
 * order is written into a file in the data directory before it is carried
 * out, and carried out once; LABEL makes an equal order a new one.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "guc.h"

#ifdef MO_FAULT_POINTS

#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/guc.h"
#include "utils/wait_event.h"

#define DONE_FILE "mesh_outbox.fault_done"

typedef struct Order
{
	char		text[256];		/* the setting it was read from */
	char		name[64];
	char		action[16];
	int			passings;		/* still to go until it is due */
} Order;

static Order order;

/*
 * Reads the setting again when it has changed since the last passing.  An
 * order that was given before an event was inserted must be known when that
 * event passes, so a reload that is asked for is not left until the process
 * comes round to it; there it is served once more.
 */
static bool
read_order(void)
{
	const char *setting;

	if (ConfigReloadPending)
		ProcessConfigFile(PGC_SIGHUP);
	setting = mo_guc_fault ? mo_guc_fault : "";
	if (strcmp(setting, order.text) != 0)
	{
		memset(&order, 0, sizeof(order));
		strlcpy(order.text, setting, sizeof(order.text));
		order.passings = 1;
		if (setting[0] != '\0' &&
			sscanf(setting, "%63[^:]:%15[^:]:%d",
				   order.name, order.action, &order.passings) < 2)
			elog(WARNING, "mesh_outbox.fault \"%s\" is not NAME:ACTION[:N]",
				 setting);
	}
	return order.name[0] != '\0';
}

static bool
already_done(void)
{
	char		done[256] = "";
	FILE	   *file = AllocateFile(DONE_FILE, "r");

	if (file == NULL)
		return false;
	if (fgets(done, sizeof(done), file) == NULL)
		done[0] = '\0';
	FreeFile(file);
	return strcmp(done, order.text) == 0;
}

static void
note_done(void)
{
	FILE	   *file = AllocateFile(DONE_FILE, "w");

	if (file == NULL || fputs(order.text, file) < 0 || fflush(file) != 0)
		elog(PANIC, "could not write file \"%s\": %m", DONE_FILE);
	FreeFile(file);
}

/* A reload is served here, since the order can be lifted in no other way. */
static void
wait_for_change(void)
{
	char		waiting_for[256];

	strlcpy(waiting_for, order.text, sizeof(waiting_for));
	while (mo_guc_fault && strcmp(mo_guc_fault, waiting_for) == 0)
	{
		CHECK_FOR_INTERRUPTS();
		if (ConfigReloadPending)
		{
			ConfigReloadPending = false;
			ProcessConfigFile(PGC_SIGHUP);
			continue;
		}
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_EXIT_ON_PM_DEATH, -1,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
	}

	/* The latch may have been set for a reason of the caller's, too. */
	SetLatch(MyLatch);
}

void
mo_fault_point(const char *name)
{
	if (!read_order() || strcmp(name, order.name) != 0 ||
		order.passings <= 0 || --order.passings > 0 || already_done())
		return;

	elog(LOG, "fault point \"%s\" reached: %s", name, order.text);
	note_done();
	if (strcmp(order.action, "crash") == 0)
		kill(getpid(), SIGKILL);
	else
		wait_for_change();
}

#endif							/* MO_FAULT_POINTS */
