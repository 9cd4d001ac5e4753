/*-------------------------------------------------------------------------
 *
 * foreign.c
 *	  Which WAL records cannot concern any outbox of this publisher.
 *
 * Called by decode.c for every record, before core's logical decoding sees
 * it, and by plugin.c when a row turns out to be nobody's event.  Owns a table
 * of files (relfilenodes) known to hold no outbox of this publisher; it is
 * this process's own and starts empty, which is always right.  What goes
 * wrong if it is wrong: an event is lost, without a trace.  Hence the
 * argument in full; what decode.c does with the answer is argued there.
 *
 * What the table says.  An entry (file, relation, lsn) says: by the catalog
 * as it was when the row at "lsn" was written, the file was the relation's,
 * and the relation's triggers made it no outbox of this publisher.  It is
 * learned when that row is replayed, from what core shows then.
 *
 * Why it holds later.  For a row of the same file to be an event, one of two
 * things must have happened since "lsn":
 *
 * - The file became another relation's.  Either it was created anew, its
 *	 number free again: that is preceded by XLOG_SMGR_CREATE.  Or relations
 *	 swapped files (VACUUM FULL, CLUSTER, ALTER TABLE): that changes their rows
 *	 of pg_class, which invalidates both relations.
 * - The relation's triggers changed (created, dropped, enabled, altered; also
 *	 by ATTACH PARTITION): core invalidates the relation with each such change.
 *
 * An invalidation is written as XLOG_XACT_INVALIDATIONS at the end of the
 * command, with wal_level = logical, so before the first row that anybody
 * could write under the new state, in the same transaction or in a later one.
 * WAL is read in order: both kinds of record are read before that row.  So
 * every such record is remembered with its LSN, by relation and by file, and
 * an entry counts only while nothing was read about its relation or its file
 * since the row it was learned from.  Invalidations that name no relation
 * concern all.  (A file's number is free again only when its relation was
 * dropped or got another file, which has invalidated it already: either kind
 * of record would do for that.)
 *
 * The third way would be a change of triggers that was written before "lsn"
 * and became visible after it, in a transaction still open at "lsn".  Locks
 * rule it out: whoever changes a table's triggers holds a lock on it, until
 * his end, that conflicts with everybody else's writing to it.  In his own
 * transaction the row at "lsn" is shown the new triggers.
 *
 * What never is in the table: catalogs and TOAST tables, whose rows core never
 * shows to a plugin, and tables used as catalogs.  Nor does it matter that
 * LSNs are remembered by a hash of the OID: a neighbour's news makes us
 * distrust an entry once too often, never too rarely.
 *
 * What is not skipped although the file is foreign.  Some changes depend on
 * each other, and core raises an error when it finds one without the other.
 * They are never taken apart, whatever is learned, forgotten, or decoded again
 * after a restart between them:
 *
 * - rows of speculative insertions (ON CONFLICT), their confirmation, and
 *	 their undoing;
 * - rows with values out of line: the TOAST chunks before them are kept, and
 *	 only the row makes the reorder buffer let go of them.  Of a bulk insert
 *	 (COPY) it is the last record, for all its rows, so that one is kept.
 *
 * Files of other databases need no entry: core drops their changes itself.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/heapam_xlog.h"
#include "access/htup_details.h"
#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog_internal.h"
#include "catalog/catalog.h"
#include "catalog/pg_control.h"
#include "catalog/storage_xlog.h"
#include "miscadmin.h"
#include "storage/sinval.h"
#include "utils/rel.h"

#include "publisher/foreign.h"

/* 144 kB together, touched as they fill. */
#define SETS	1024
#define WAYS	4
#define NEWS	2048

/* Empty while lsn is zero. */
typedef struct ForeignFile
{
	RelFileLocator file;
	Oid			relid;
	XLogRecPtr	lsn;			/* of the newest row it was learned from */
	bool		toasts;			/* has a TOAST table */
} ForeignFile;

struct MoForeign
{
	/* By the file's number; a full set gives up its oldest. */
	ForeignFile files[SETS][WAYS];

	/* Newest record that names an OID, of relation or file, of this hash. */
	XLogRecPtr	news[NEWS];

	/* Newest invalidation of all relations. */
	XLogRecPtr	news_of_all;
};

MoForeign *
mo_foreign_create(MemoryContext context)
{
	return MemoryContextAllocZero(context, sizeof(MoForeign));
}

/* ---------------------------------------------------------------------
 * The table
 * ---------------------------------------------------------------------
 */

/* Was nothing read about relation or file since "lsn"? */
static bool
no_news_since(const MoForeign *foreign, const RelFileLocator *file, Oid relid,
			  XLogRecPtr lsn)
{
	return foreign->news_of_all < lsn &&
		foreign->news[relid % NEWS] < lsn &&
		foreign->news[MO_FILE_NUMBER(*file) % NEWS] < lsn;
}

static const ForeignFile *
find_file(const MoForeign *foreign, const RelFileLocator *file)
{
	const ForeignFile *set = foreign->files[MO_FILE_NUMBER(*file) % SETS];

	for (int i = 0; i < WAYS; i++)
		if (set[i].lsn != InvalidXLogRecPtr &&
			RelFileLocatorEquals(set[i].file, *file))
			return no_news_since(foreign, file, set[i].relid, set[i].lsn) ?
				&set[i] : NULL;
	return NULL;
}

void
mo_foreign_learn(MoForeign *foreign, const RelFileLocator *file,
				 Relation relation, XLogRecPtr lsn)
{
	ForeignFile *set = foreign->files[MO_FILE_NUMBER(*file) % SETS];
	ForeignFile *place = set;

	/* Rows are replayed long after they were read: there may be news since. */
	if (RelationIsAccessibleInLogicalDecoding(relation) ||
		!no_news_since(foreign, file, RelationGetRelid(relation), lsn))
		return;
	for (int i = 0; i < WAYS; i++)
	{
		if (set[i].lsn != InvalidXLogRecPtr &&
			RelFileLocatorEquals(set[i].file, *file))
		{
			place = &set[i];
			break;
		}
		if (set[i].lsn < place->lsn)
			place = &set[i];
	}
	place->file = *file;
	place->relid = RelationGetRelid(relation);
	place->lsn = lsn;
	place->toasts = OidIsValid(relation->rd_rel->reltoastrelid);
}

/* ---------------------------------------------------------------------
 * Records that say something about relations or files
 * ---------------------------------------------------------------------
 */

static void
note_oid(MoForeign *foreign, Oid oid, XLogRecPtr lsn)
{
	foreign->news[oid % NEWS] = lsn;
}

static void
note_invalidations(MoForeign *foreign, const MoRecord *record)
{
	const char *next = record->data + MinSizeOfXactInvals;
	const char *end = record->data + record->length;
	SharedInvalidationMessage msg;

	for (; next + sizeof(msg) <= end; next += sizeof(msg))
	{
		memcpy(&msg, next, sizeof(msg));
		if (msg.id != SHAREDINVALRELCACHE_ID)
			continue;
		if (OidIsValid(msg.rc.relId))
			note_oid(foreign, msg.rc.relId, record->lsn);
		else
			foreign->news_of_all = record->lsn;
	}
}

/*
 * Whatever fork is created, of whatever database: the number counts.  What is
 * shorter than that is no record: it was peeked at before its checksum was.
 */
static void
note_created(MoForeign *foreign, const MoRecord *record)
{
	xl_smgr_create create;

	if (record->length < sizeof(create))
		return;
	memcpy(&create, record->data, sizeof(create));
	note_oid(foreign, MO_FILE_NUMBER(MO_CREATED_FILE(&create)), record->lsn);
}

/* ---------------------------------------------------------------------
 * Changes of rows
 * ---------------------------------------------------------------------
 */

typedef enum FileOwner
{
	OWNER_UNKNOWN,				/* perhaps an outbox */
	OWNER_FOREIGN,
	OWNER_FOREIGN_TOASTS,		/* foreign, and has a TOAST table */
	OWNER_ELSEWHERE				/* in another database */
} FileOwner;

static FileOwner
owner_of(const MoForeign *foreign, const MoRecord *record)
{
	const ForeignFile *known;

	/* Shared catalogs are in no database, and everybody's. */
	if (MO_FILE_DATABASE(record->file) != MyDatabaseId)
		return OidIsValid(MO_FILE_DATABASE(record->file)) ? OWNER_ELSEWHERE :
			OWNER_UNKNOWN;
	known = find_file(foreign, &record->file);
	if (known == NULL)
		return OWNER_UNKNOWN;
	return known->toasts ? OWNER_FOREIGN_TOASTS : OWNER_FOREIGN;
}

/* The flags of a change are a byte of its main data. */
static bool
read_flags(const MoRecord *record, Size offset, uint8 *flags)
{
	if (record->length <= offset)
		return false;
	*flags = record->data[offset];
	return true;
}

/* Has the new row of an insert or update a value out of line? */
static bool
has_external(const MoRecord *record)
{
	xl_heap_header header;

	if (record->tuple == NULL || record->tuple_length < SizeOfHeapHeader)
		return true;
	memcpy(&header, record->tuple, SizeOfHeapHeader);
	return (header.t_infomask & HEAP_HASEXTERNAL) != 0;
}

/* One without a tuple is of a kind that we do not know. */
static bool
judge_insert(const MoRecord *record)
{
	uint8		flags;

	return read_flags(record, offsetof(xl_heap_insert, flags), &flags) &&
		(flags & XLH_INSERT_CONTAINS_NEW_TUPLE) &&
		!(flags & XLH_INSERT_IS_SPECULATIVE) && !has_external(record);
}

static bool
judge_update(const MoRecord *record)
{
	uint8		flags;

	return read_flags(record, offsetof(xl_heap_update, flags), &flags) &&
		(flags & XLH_UPDATE_CONTAINS_NEW_TUPLE) && !has_external(record);
}

static bool
judge_delete(const MoRecord *record)
{
	uint8		flags;

	return read_flags(record, offsetof(xl_heap_delete, flags), &flags) &&
		(flags & XLH_DELETE_IS_SUPER) == 0;
}

static bool
judge_multi_insert(const MoForeign *foreign, const MoRecord *record)
{
	FileOwner	owner = owner_of(foreign, record);
	uint8		flags;

	if (owner == OWNER_UNKNOWN || owner == OWNER_ELSEWHERE)
		return owner == OWNER_ELSEWHERE;
	return owner != OWNER_FOREIGN_TOASTS ||
		(read_flags(record, offsetof(xl_heap_multi_insert, flags), &flags) &&
		 (flags & XLH_INSERT_LAST_IN_MULTI) == 0);
}

static bool
judge_heap(const MoForeign *foreign, const MoRecord *record)
{
	uint8		operation = record->info & XLOG_HEAP_OPMASK;
	FileOwner	owner;

	switch (operation)
	{
		case XLOG_HEAP_LOCK:
			return true;
		case XLOG_HEAP_INSERT:
		case XLOG_HEAP_UPDATE:
		case XLOG_HEAP_HOT_UPDATE:
		case XLOG_HEAP_DELETE:
			break;
		default:
			return false;
	}
	owner = owner_of(foreign, record);
	if (owner == OWNER_UNKNOWN || owner == OWNER_ELSEWHERE)
		return owner == OWNER_ELSEWHERE;
	if (operation == XLOG_HEAP_INSERT)
		return judge_insert(record);
	if (operation == XLOG_HEAP_DELETE)
		return judge_delete(record);
	return judge_update(record);
}

static bool
judge_heap2(const MoForeign *foreign, const MoRecord *record)
{
	switch (record->info & XLOG_HEAP_OPMASK)
	{
		case XLOG_HEAP2_MULTI_INSERT:
			return judge_multi_insert(foreign, record);
		case XLOG_HEAP2_NEW_CID:
		case XLOG_HEAP2_REWRITE:
			return false;
		default:
			/* Pruning, freezing, visibility, row locks. */
			return true;
	}
}

/* ---------------------------------------------------------------------
 * All records
 * ---------------------------------------------------------------------
 */

bool
mo_foreign_judge(MoForeign *foreign, const MoRecord *record)
{
	switch (record->rmid)
	{
		case RM_HEAP_ID:
			return judge_heap(foreign, record);
		case RM_HEAP2_ID:
			return judge_heap2(foreign, record);
		case RM_XACT_ID:
			if ((record->info & XLOG_XACT_OPMASK) == XLOG_XACT_INVALIDATIONS)
				note_invalidations(foreign, record);
			return false;
		case RM_SMGR_ID:
			if (record->info == XLOG_SMGR_CREATE)
				note_created(foreign, record);
			return true;
		case RM_XLOG_ID:
			/* Images of pages only; others move the snapshot builder. */
			return record->info == XLOG_FPI ||
				record->info == XLOG_FPI_FOR_HINT;
		default:
			/* Indexes, sequences and so on: nothing is decoded of them. */
			return record->rmid <= RM_MAX_BUILTIN_ID &&
				RmgrTable[record->rmid].rm_decode == NULL;
	}
}
