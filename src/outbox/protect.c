/*-------------------------------------------------------------------------
 *
 * protect.c
 *	  Keeps outboxes from vanishing unseen.
 *
 * An outbox belongs to a role that nobody logs in as, but it can be dropped
 * by others than its owner: by the owner of its schema, directly or with the
 * schema, by DROP OWNED of that role, and by superusers, whose migration tools
 * do not know what an outbox is.  Its registration, and consumers who go on
 * waiting, would be left behind.
 *
 * All these ways have one thing in common: they delete the check trigger, and
 * core tells an object_access_hook of each object it is about to delete while
 * everything is still in the catalogs.  So deletion of the check of a table
 * that is registered is refused.  So is disabling, renaming or replacing it,
 * for then the table is no outbox either.  What passes:
 *
 *	  - our own functions, which ask for rights and forget the registration
 *	  - DROP EXTENSION mesh_outbox CASCADE, which lists the checks it takes
 *		away and leaves the tables (without CASCADE it is refused, with how many
 *		events the outboxes hold); and DROP SCHEMA mesh_outbox CASCADE
 *	  - deletions that core makes for purposes of its own: DETACH PARTITION
 *		takes the check off a table that stays
 *	  - everything, for a superuser who has set protect_outboxes = off
 *
 * An event trigger would do the same for DROP, but runs PL/pgSQL for every
 * dropped object of the database, and can be disabled.  Here a command that
 * deletes no trigger pays for one comparison per object.  DROP DATABASE,
 * pg_dump and pg_upgrade never come here; restoring creates triggers and makes
 * them ENABLE ALWAYS, which passes.  pg_restore --clean drops outboxes and has
 * to say so, with PGOPTIONS.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "catalog/dependency.h"
#include "catalog/objectaccess.h"
#include "catalog/partition.h"
#include "catalog/pg_trigger.h"
#include "commands/extension.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "nodes/parsenodes.h"
#include "tcop/utility.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

#include "compat.h"
#include "guc.h"
#include "mesh_outbox.h"
#include "outbox/catalog.h"
#include "outbox/protect.h"
#include "rights.h"

/* What is done to a trigger. */
typedef enum CheckChange
{
	CHECK_CREATED,				/* in the place of a check, perhaps */
	CHECK_ALTERED,
	CHECK_DROPPED
} CheckChange;

static ProcessUtility_hook_type next_utility = NULL;
static object_access_hook_type next_object_access = NULL;

/* The command that runs takes away the extension. */
static bool drops_extension = false;

/* ---------------------------------------------------------------------
 * Which trigger is it
 * ---------------------------------------------------------------------
 */

static bool
is_check_function(Oid function)
{
	char	   *name = get_func_name(function);
	char	   *schema;

	if (name == NULL || strcmp(name, MO_CHECK_FUNCTION) != 0)
		return false;
	schema = get_namespace_name(get_func_namespace(function));
	return schema != NULL && strcmp(schema, MO_SCHEMA) == 0;
}

static bool
has_our_name(Form_pg_trigger trigger)
{
	return strcmp(NameStr(trigger->tgname), MO_CHECK_TRIGGER) == 0 ||
		strcmp(NameStr(trigger->tgname), MO_TRUNCATE_TRIGGER) == 0;
}

/* Does this change take the check from its table? */
static bool
takes_check(Form_pg_trigger trigger, CheckChange change)
{
	bool		is_check = is_check_function(trigger->tgfoid);

	switch (change)
	{
		case CHECK_CREATED:
			return !is_check && has_our_name(trigger);
		case CHECK_ALTERED:
			return is_check &&
				(trigger->tgenabled != TRIGGER_FIRES_ALWAYS ||
				 !has_our_name(trigger));
		case CHECK_DROPPED:
			break;
	}
	return is_check;
}

/*
 * The table that this change leaves without its check, or InvalidOid.  A
 * change is judged by what it has made of the trigger, which only
 * SnapshotSelf shows.
 */
static Oid
unchecked_table(Oid trigger_oid, CheckChange change)
{
	Relation	rel = table_open(TriggerRelationId, AccessShareLock);
	Oid			table = InvalidOid;
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_trigger_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(trigger_oid));
	scan = systable_beginscan(rel, TriggerOidIndexId, true, SnapshotSelf, 1,
							  &key);
	tuple = systable_getnext(scan);
	if (HeapTupleIsValid(tuple))
	{
		Form_pg_trigger trigger = (Form_pg_trigger) GETSTRUCT(tuple);

		if (takes_check(trigger, change))
			table = trigger->tgrelid;
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return table;
}

/* The registered outbox that a table is, or is a partition of. */
static Oid
registered_outbox(Oid table)
{
	List	   *ancestors;
	Oid			root;

	if (mo_catalog_is_outbox(table))
		return table;
	ancestors = get_partition_ancestors(table);
	if (ancestors == NIL)
		return InvalidOid;
	root = llast_oid(ancestors);
	return mo_catalog_is_outbox(root) ? root : InvalidOid;
}

/* ---------------------------------------------------------------------
 * The refusal
 * ---------------------------------------------------------------------
 */

static char *
table_name(Oid table)
{
	return quote_qualified_identifier(get_namespace_name(get_rel_namespace(table)),
									  get_rel_name(table));
}

pg_noreturn static void
refuse_drop(Oid table, Oid outbox)
{
	char	   *name = table_name(outbox);

	if (table != outbox)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop partition %s of outbox %s or its check",
						table_name(table), name),
				 errdetail("Nothing could be replayed from it afterwards."),
				 errhint("Use mesh_outbox.drop_outbox_partition(%s). A superuser can DETACH it first, or SET %s.protect_outboxes = off.",
						 quote_literal_cstr(table_name(table)),
						 MO_GUC_PREFIX)));
	ereport(ERROR,
			(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
			 errmsg("cannot drop outbox %s or its check", name),
			 errdetail("Nothing could be replayed from it afterwards, and it would stay registered."),
			 errhint("Use mesh_outbox.drop_outbox(%s), or mesh_outbox.detach_outbox() to keep the table. A superuser can SET %s.protect_outboxes = off.",
					 quote_literal_cstr(name), MO_GUC_PREFIX)));
}

pg_noreturn static void
refuse_alter(Oid table)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("cannot alter the check of outbox %s", table_name(table)),
			 errdetail("Rows that it does not look at are no events; its triggers keep their names and are ENABLE ALWAYS."),
			 errhint("mesh_outbox.detach_outbox() makes it an ordinary table. A superuser can SET %s.protect_outboxes = off.",
					 MO_GUC_PREFIX)));
}

static void
check_change(Oid trigger, CheckChange change)
{
	Oid			table;
	Oid			outbox;

	if (!mo_guc_protect_outboxes || drops_extension || mo_rights_acting())
		return;
	table = unchecked_table(trigger, change);
	if (!OidIsValid(table))
		return;
	outbox = registered_outbox(table);
	if (!OidIsValid(outbox))
		return;
	if (change == CHECK_DROPPED)
		refuse_drop(table, outbox);
	refuse_alter(table);
}

/* ---------------------------------------------------------------------
 * Hooks
 * ---------------------------------------------------------------------
 */

static void
object_access(ObjectAccessType access, Oid class_id, Oid object_id,
			  int sub_id, void *arg)
{
	if (next_object_access)
		next_object_access(access, class_id, object_id, sub_id, arg);

	if (class_id != TriggerRelationId)
		return;
	if (access == OAT_POST_CREATE)
		check_change(object_id, CHECK_CREATED);
	else if (access == OAT_POST_ALTER)
		check_change(object_id, CHECK_ALTERED);
	else if (access == OAT_DROP &&
			 (((ObjectAccessDrop *) arg)->dropflags & PERFORM_DELETION_INTERNAL) == 0)
		check_change(object_id, CHECK_DROPPED);
}

static bool
is_extension_drop(Node *command)
{
	DropStmt   *drop = (DropStmt *) command;
	ListCell   *cell;

	if (!IsA(command, DropStmt) ||
		(drop->removeType != OBJECT_EXTENSION &&
		 drop->removeType != OBJECT_SCHEMA))
		return false;
	/* The schema has the extension's name. */
	foreach(cell, drop->objects)
		if (strcmp(strVal(lfirst(cell)), MO_SCHEMA) == 0)
			return true;
	return false;
}

/*
 * Core would name two triggers of each outbox, which says nothing of the
 * events.  Without CASCADE it is refused here, with what is in them.
 */
static void
refuse_extension_drop(void)
{
	char	   *contents;

	if (!OidIsValid(get_extension_oid(MO_LIBRARY, true)))
		return;
	SPI_connect();
	if (SPI_execute("SELECT " MO_SCHEMA ".outbox_contents()", true, 1) != SPI_OK_SELECT ||
		SPI_processed != 1)
		elog(ERROR, "could not look into the outboxes");
	contents = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (contents != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DEPENDENT_OBJECTS_STILL_EXIST),
				 errmsg("cannot drop extension %s because it has outboxes",
						MO_LIBRARY),
				 errdetail_internal("%s", contents),
				 errhint("mesh_outbox.detach_outbox() gives a table back to its domain. DROP EXTENSION %s CASCADE leaves the tables and their rows, which nobody checks or publishes any more, and forgets everything else.",
						 MO_LIBRARY)));
	SPI_finish();
}

/*
 * Commands nest (functions, event triggers).  After an error the flag is left
 * as it was; the next command sets it again before anything looks at it.
 */
static void
process_utility(PlannedStmt *statement, const char *query, bool read_only_tree,
				ProcessUtilityContext context, ParamListInfo params,
				QueryEnvironment *environment, DestReceiver *dest,
				QueryCompletion *completion)
{
	bool		outer = drops_extension;

	drops_extension = is_extension_drop(statement->utilityStmt);
	if (drops_extension &&
		((DropStmt *) statement->utilityStmt)->behavior == DROP_RESTRICT &&
		((DropStmt *) statement->utilityStmt)->removeType == OBJECT_EXTENSION)
		refuse_extension_drop();
	(next_utility ? next_utility : standard_ProcessUtility)
		(statement, query, read_only_tree, context, params, environment,
		 dest, completion);
	drops_extension = outer;
}

void
mo_protect_init(void)
{
	if (!process_shared_preload_libraries_in_progress)
		return;

	next_utility = ProcessUtility_hook;
	ProcessUtility_hook = process_utility;
	next_object_access = object_access_hook;
	object_access_hook = object_access;
}
