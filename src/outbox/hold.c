/*-------------------------------------------------------------------------
 *
 * hold.c
 *	  Holding on to a table or a type, and to its name.
 *
 * Our management functions run with more rights than whoever calls them, and
 * what they do to a table they do by name: LOCK, ALTER, GRANT and DROP know
 * nothing else.  A schema's owner may rename it at any time, and have another
 * one, with another table, take the name.  So a table is locked by OID here,
 * with its partitions, and the rows of pg_namespace that its names depend on
 * are locked as well: what a regclass is printed as afterwards is that table
 * until the transaction ends.  A type has no lock but that on its row of
 * pg_type; who holds it has looked at the type after the lock, and not before.
 *
 * A row lock, because renaming or dropping a schema or a type takes no other
 * lock on it.  KEY SHARE, which the name's unique index makes conflict with a
 * rename but not with GRANT and REVOKE.
 *
 * The order is everywhere the same: tables first, in the order LOCK TABLE has,
 * then schemas, then types.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/heapam.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/indexing.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "storage/bufmgr.h"
#include "storage/lmgr.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/inval.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(mo_hold_table);
PG_FUNCTION_INFO_V1(mo_hold_schema);
PG_FUNCTION_INFO_V1(mo_hold_type);

/* Where the names of a kind of objects are. */
typedef struct Catalog
{
	Oid			relation;
	Oid			index;			/* on the OID */
	AttrNumber	oid;
	const char *kind;
} Catalog;

static const Catalog schemas = {
	NamespaceRelationId, NamespaceOidIndexId, Anum_pg_namespace_oid, "schema"
};
static const Catalog types = {
	TypeRelationId, TypeOidIndexId, Anum_pg_type_oid, "type"
};

static LOCKMODE
lock_mode(const char *name)
{
	if (strcmp(name, "ACCESS SHARE") == 0)
		return AccessShareLock;
	if (strcmp(name, "SHARE ROW EXCLUSIVE") == 0)
		return ShareRowExclusiveLock;
	if (strcmp(name, "ACCESS EXCLUSIVE") == 0)
		return AccessExclusiveLock;
	elog(ERROR, "unexpected lock mode \"%s\"", name);
}

/* One try; false when somebody changed the row meanwhile. */
static bool
lock_row(const Catalog *catalog, Relation rel, Oid object)
{
	ScanKeyData key;
	SysScanDesc scan;
	HeapTuple	found;
	HeapTupleData row;
	TM_FailureData failure;
	TM_Result	result;
	Buffer		buffer;

	ScanKeyInit(&key, catalog->oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(object));
	scan = systable_beginscan(rel, catalog->index, true, NULL, 1, &key);
	found = systable_getnext(scan);
	if (!HeapTupleIsValid(found))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("%s with OID %u does not exist", catalog->kind,
						object)));
	row.t_self = found->t_self;
	systable_endscan(scan);

	result = heap_lock_tuple(rel, &row, GetCurrentCommandId(false),
							 LockTupleKeyShare, LockWaitBlock, true, &buffer,
							 &failure);
	ReleaseBuffer(buffer);
	/* TM_Invisible: this transaction has written the row itself. */
	return result == TM_Ok || result == TM_Invisible ||
		result == TM_SelfModified;
}

static void
hold_name(const Catalog *catalog, Oid object)
{
	Relation	rel = table_open(catalog->relation, RowShareLock);

	while (!lock_row(catalog, rel, object))
	{
		CHECK_FOR_INTERRUPTS();
		InvalidateCatalogSnapshot();
	}
	table_close(rel, NoLock);
}

/*
 * hold_table(relation regclass, mode text)
 */
Datum
mo_hold_table(PG_FUNCTION_ARGS)
{
	Oid			relid = PG_GETARG_OID(0);
	LOCKMODE	mode = lock_mode(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	List	   *relations;
	ListCell   *cell;

	LockRelationOid(relid, mode);
	if (!SearchSysCacheExists1(RELOID, ObjectIdGetDatum(relid)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table with OID %u does not exist", relid)));
	relations = find_all_inheritors(relid, mode, NULL);
	foreach(cell, relations)
		hold_name(&schemas, get_rel_namespace(lfirst_oid(cell)));

	/* A name that was cached before the locks came may be an old one. */
	AcceptInvalidationMessages();
	PG_RETURN_VOID();
}

/*
 * hold_schema(schema oid)
 */
Datum
mo_hold_schema(PG_FUNCTION_ARGS)
{
	hold_name(&schemas, PG_GETARG_OID(0));
	AcceptInvalidationMessages();
	PG_RETURN_VOID();
}

/*
 * hold_type(type oid)
 */
Datum
mo_hold_type(PG_FUNCTION_ARGS)
{
	hold_name(&types, PG_GETARG_OID(0));
	AcceptInvalidationMessages();
	PG_RETURN_VOID();
}
