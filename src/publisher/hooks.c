/*-------------------------------------------------------------------------
 *
 * hooks.c
 *	  What commands of ordinary sessions tell the launcher, and when.
 *
 * What a transaction changed about publishers concerns the launcher when it
 * commits, not before; so it is noted in this backend and delivered from a
 * transaction callback, which is registered once, at server start.
 *
 * Some commands need a database that nobody is connected to, and our workers
 * are: DROP DATABASE (an active replication slot refuses even WITH (FORCE)),
 * RENAME, SET TABLESPACE, and CREATE DATABASE that copies it; and dropping the
 * extension takes away what the workers work with.  Before such a
 * command the database is put on the list of quiet ones, the launcher ends
 * its workers, and at the end of the transaction, however it ends, it is
 * taken off the list and looked at again.  Waiting is bounded: a worker that
 * does not go in time makes the command fail with core's own message.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/acl.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#include "compat.h"
#include "mesh_outbox.h"
#include "publisher/hooks.h"
#include "shmem.h"

/* How long a command waits for workers to go, ms. */
#define QUIET_TIMEOUT	10000

static ProcessUtility_hook_type next_utility = NULL;
static object_access_hook_type next_object_access = NULL;

/* Of the current transaction. */
static bool scan_at_commit = false;
static Oid	other_database = InvalidOid;
static bool scan_all_at_commit = false;
static bool has_quiesced = false;

void
mo_hooks_scan_at_commit(void)
{
	scan_at_commit = mo_shared != NULL;
}

/* ---------------------------------------------------------------------
 * Quiet databases
 * ---------------------------------------------------------------------
 */

static bool
is_quiet(Oid database)
{
	bool		quiet;

	LWLockAcquire(mo_shared->lock, LW_SHARED);
	quiet = mo_shared->scouting != database;
	for (int i = 0; i < MO_MAX_PUBLISHERS && quiet; i++)
		quiet = !mo_shared->slots[i].pair_runs ||
			mo_shared->slots[i].database != database;
	LWLockRelease(mo_shared->lock);
	return quiet;
}

/* Returns when no worker of ours is connected to the database. */
static void
quiesce(Oid database)
{
	TimestampTz deadline;

	if (!mo_shmem_begin_quiet(database))
		return;

	has_quiesced = true;
	mo_shmem_wake_launcher();
	deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), QUIET_TIMEOUT);
	while (!is_quiet(database))
	{
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(),
														   deadline);

		if (left <= 0)
			break;
		(void) ConditionVariableTimedSleep(&mo_shared->workers_cv, left,
										   PG_WAIT_EXTENSION);
	}
	ConditionVariableCancelSleep();
}

static DefElem *
find_option(List *options, const char *name)
{
	ListCell   *cell;

	foreach(cell, options)
	{
		DefElem    *option = lfirst_node(DefElem, cell);

		if (strcmp(option->defname, name) == 0)
			return option;
	}
	return NULL;
}

/*
 * Only for those who may do to the database what follows, so that nobody
 * else can stop it from publishing, be it for a moment.
 */
static void
quiesce_named(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(database) && database != MyDatabaseId &&
		mo_database_ownercheck(database, GetUserId()))
		quiesce(database);
}

static bool
is_template(Oid database)
{
	HeapTuple	tuple = SearchSysCache1(DATABASEOID,
										ObjectIdGetDatum(database));
	bool		result = false;

	if (HeapTupleIsValid(tuple))
	{
		result = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
		ReleaseSysCache(tuple);
	}
	return result;
}

static bool
may_create_databases(void)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID,
										ObjectIdGetDatum(GetUserId()));
	bool		result = superuser();

	if (HeapTupleIsValid(tuple))
	{
		result |= ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	return result;
}

/*
 * Templates may be copied by others than their owners, and whoever is
 * connected to a database may copy it.
 */
static void
quiesce_source(const CreatedbStmt *command)
{
	DefElem    *option = find_option(command->options, "template");
	Oid			database = get_database_oid(option != NULL && option->arg != NULL ?
											defGetString(option) : "template1",
											true);

	if (OidIsValid(database) && may_create_databases() &&
		(is_template(database) ||
		 mo_database_ownercheck(database, GetUserId())))
		quiesce(database);
}

/* Also after an error and on the way out of a terminated backend. */
static void
end_quiet(void)
{
	if (has_quiesced)
		mo_shmem_end_quiet();
	has_quiesced = false;
}

/* ---------------------------------------------------------------------
 * Commands
 * ---------------------------------------------------------------------
 */

static void
before_command(Node *command)
{
	switch (nodeTag(command))
	{
		case T_DropdbStmt:
			quiesce_named(castNode(DropdbStmt, command)->dbname);
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, command)->renameType == OBJECT_DATABASE)
				quiesce_named(castNode(RenameStmt, command)->subname);
			break;
		case T_AlterDatabaseStmt:
			if (find_option(castNode(AlterDatabaseStmt, command)->options,
							"tablespace"))
				quiesce_named(castNode(AlterDatabaseStmt, command)->dbname);
			break;
		case T_CreatedbStmt:
			quiesce_source(castNode(CreatedbStmt, command));
			break;
		default:
			break;
	}
}

/*
 * A database that may have come with publishers, or into reach.  The command
 * is not committed yet, so this is another note.
 */
static void
scan_other_at_commit(const char *name)
{
	Oid			database = get_database_oid(name, true);

	if (OidIsValid(other_database) && other_database != database)
		scan_all_at_commit = true;
	other_database = database;
}

static void
after_command(Node *command)
{
	switch (nodeTag(command))
	{
		case T_CreatedbStmt:
			scan_other_at_commit(castNode(CreatedbStmt, command)->dbname);
			break;
		case T_AlterDatabaseStmt:
			scan_other_at_commit(castNode(AlterDatabaseStmt, command)->dbname);
			break;
		case T_TransactionStmt:
			if (castNode(TransactionStmt, command)->kind == TRANS_STMT_COMMIT_PREPARED)
				mo_shmem_wake_publishers(MyDatabaseId);
			break;
		default:
			break;
	}
}

static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	Node	   *command = statement->utilityStmt;
	bool		ours = mo_shared != NULL && !RecoveryInProgress();

	if (ours)
		before_command(command);
	(next_utility ? next_utility : standard_ProcessUtility)
		(statement, query, read_only_tree, context, params, environment,
		 dest, completion);
	if (ours)
		after_command(command);
}

/*
 * However the extension goes (DROP EXTENSION, DROP SCHEMA, DROP OWNED), its
 * workers go first, or they would stumble over what is missing.  A scribe may
 * be waiting for a lock that this command holds; it is told to go all the
 * same.
 */
static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id,
			  int sub_id, void *arg)
{
	if (next_object_access)
		next_object_access(access, class_id, object_id, sub_id, arg);

	if (access == OAT_DROP && class_id == ExtensionRelationId)
	{
		char	   *name = get_extension_name(object_id);

		if (name != NULL && strcmp(name, MO_LIBRARY) == 0 && mo_shared != NULL)
		{
			quiesce(MyDatabaseId);
			mo_hooks_scan_at_commit();
		}
	}
}

/* ---------------------------------------------------------------------
 * The end of a transaction
 * ---------------------------------------------------------------------
 */

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
deliver_notes(void)
{
	if (scan_at_commit)
		mo_shmem_request_scan(MyDatabaseId, true);
	if (scan_all_at_commit)
		mo_shmem_request_scan(InvalidOid, false);
	else if (OidIsValid(other_database))
		mo_shmem_request_scan(other_database, false);
}

static void
forget_notes(void)
{
	scan_at_commit = scan_all_at_commit = false;
	other_database = InvalidOid;
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
			deliver_notes();
			forget_notes();
			end_quiet();
			break;
		case XACT_EVENT_ABORT:
		case XACT_EVENT_PREPARE:
			forget_notes();
			end_quiet();
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

	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_object_access = object_access_hook;
	object_access_hook = object_access;
	RegisterXactCallback(end_of_transaction, NULL);
}
