/*-------------------------------------------------------------------------
 *
 * decode.c
 *	  A publisher's replication slot, and WAL read through it step by step.
 *
 * Called by the publisher's main thread only.  Owns the acquired slot and the
 * decoding context of the process; both end with it (core releases the slot
 * when the process exits), there is no way back.
 *
 * Decoding happens in this process: no walsender, no protocol.  Two things
 * differ from core's own users.  The page reader never waits: at the end of
 * what may be read XLogReadRecord() returns NULL without an error and can be
 * called again, also in the middle of a record.  (Core's waiting reader naps
 * without looking at the latch, and its non-waiting one writes through
 * private_data, which is the decoding context here.)  And it stops before
 * WAL that a synchronous standby has not flushed: what consumers have seen
 * must survive a failover.
 *
 * The decoding context is made outside any transaction; core opens and aborts
 * one around every replay.
 *
 * Most WAL of most servers is not about outboxes.  Records that foreign.c
 * finds to hold nothing for us are not given to core, which would queue their
 * changes until the end of their transaction, and then open one of its own to
 * look at each.  Most of them are not even read by core, but passed over where
 * they lie (record.c).  That must not change what core says about anything else, nor
 * how far the slot may move, for after a restart nothing is known to be
 * foreign and all is decoded: catalog rows needed for that must still be
 * there.  Hence the rule:
 *
 *	 A transaction is absent while all its records were skipped: core has
 *	 never heard of it.  It is made present, with a base snapshot, as if it
 *	 had made a change just then, before core is given any record of it, save
 *	 its end; and before every XLOG_RUNNING_XACTS.
 *
 * So whenever core is given a record of a transaction, it knows of it what it
 * would know without skipping, less the foreign rows.  And whenever it moves
 * the slot's restart_lsn and catalog_xmin, which it does at
 * XLOG_RUNNING_XACTS only, it knows all transactions that have written.  Their
 * base snapshots may be younger than without skipping, but by less than one
 * such interval, and the xmin of a snapshot is the oldest transaction running
 * at its beginning.  A transaction that is absent at its end had nothing for
 * us and changed no catalog; core passes over the end of one that it does not
 * know, and is not shown a commit that says nothing else.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/rmgr.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogreader.h"
#include "access/xlogutils.h"
#include "miscadmin.h"
#include "replication/decode.h"
#include "replication/logical.h"
#include "replication/reorderbuffer.h"
#include "replication/slot.h"
#include "replication/snapbuild.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/standbydefs.h"
#include "utils/guc.h"
#include "utils/memutils.h"

#include "compat.h"
#include "guc.h"
#include "mesh_outbox.h"
#include "publisher/decode.h"
#include "publisher/foreign.h"
#include "publisher/record.h"

/* When so many transactions are absent, further ones are not skipped. */
#define MAX_ABSENT 256

struct MoDecoder
{
	LogicalDecodingContext *ctx;
	MoPlugin	plugin;
	MoDecodeLimit limit;
	bool		skips;			/* false in tests only */
	TransactionId absent[MAX_ABSENT];	/* top-level ones, in any order */
	int			nabsent;
	int64		skipped;		/* records that core was not given */
};

/* What the page reader may deliver. */
static XLogRecPtr read_limit;

/* ---------------------------------------------------------------------
 * How far may be read
 * ---------------------------------------------------------------------
 */

XLogRecPtr
mo_decode_flushed(void)
{
	return GetFlushRecPtr(NULL);
}

/*
 * The server says where the next record will begin: at the beginning of a
 * page that is behind its header, which nobody has read.
 */
XLogRecPtr
mo_decode_inserted(void)
{
	XLogRecPtr	next = GetXLogInsertRecPtr();

	if (XLogSegmentOffset(next, wal_segment_size) == SizeOfXLogLongPHD)
		return next - SizeOfXLogLongPHD;
	if (next % XLOG_BLCKSZ == SizeOfXLogShortPHD)
		return next - SizeOfXLogShortPHD;
	return next;
}

static bool
has_synchronous_standbys(void)
{
	return max_wal_senders > 0 &&
		SyncRepStandbyNames != NULL && SyncRepStandbyNames[0] != '\0';
}

/*
 * What all synchronous standbys have flushed.  Zero until the first of them
 * has answered since this server started.
 */
XLogRecPtr
mo_decode_standby_flushed(void)
{
	XLogRecPtr	lsn;

	if (!has_synchronous_standbys())
		return mo_decode_flushed();
	LWLockAcquire(SyncRepLock, LW_SHARED);
	lsn = WalSndCtl->lsn[SYNC_REP_WAIT_FLUSH];
	LWLockRelease(SyncRepLock);
	return lsn;
}

/*
 * Page reader that never waits.  The amount is cut at the limit too: the
 * reader keeps what it was given and would walk on in it without asking.
 *
 * A reader that is told of a failure would forget its segment, and next time
 * open the file and read its first page again.
 */
static int
read_page(XLogReaderState *state, XLogRecPtr page, int needed,
		  XLogRecPtr target, char *buffer)
{
	int			count;

	if (page + needed > read_limit)
		return XLREAD_WOULDBLOCK;
	count = read_local_xlog_page(state, page, needed, target, buffer);
	if (count > 0 && page + count > read_limit)
		count = read_limit - page;
	return count;
}

/* ---------------------------------------------------------------------
 * The slot
 * ---------------------------------------------------------------------
 */

void
mo_decode_slot_info(const char *name, MoSlotInfo *info)
{
	ReplicationSlot *slot;

	memset(info, 0, sizeof(*info));
	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	slot = SearchNamedReplicationSlot(name, false);
	if (slot != NULL)
	{
		SpinLockAcquire(&slot->mutex);
		info->exists = true;
		info->usable = slot->data.database == MyDatabaseId &&
			strcmp(NameStr(slot->data.plugin), MO_LIBRARY) == 0 &&
			!mo_compat_slot_invalidated(slot);
		info->confirmed_lsn = slot->data.confirmed_flush;
		info->restart_lsn = slot->data.restart_lsn;
		SpinLockRelease(&slot->mutex);
	}
	LWLockRelease(ReplicationSlotControlLock);
}

/*
 * Servers since 2026-08 decode only with the plugins of a list, which holds
 * core's two.  The list is widened for this process alone, so that nobody
 * else may use the plugin.  Looked up by name: older minors lack it.
 */
static void
allow_plugin(void)
{
	const char *setting = "output_plugin_libraries";

	mo_plugin_trust_process();
	if (GetConfigOption(setting, true, false) != NULL)
		SetConfigOption(setting, MO_LIBRARY, PGC_SUSET, PGC_S_OVERRIDE);
}

XLogRecPtr
mo_decode_create_slot(const char *name)
{
	LogicalDecodingContext *ctx;
	XLogRecPtr	start;

	allow_plugin();
	CheckLogicalDecodingRequirements();

	/* Ephemeral until its start is found: an error leaves nothing behind. */
	mo_compat_slot_create(name, RS_EPHEMERAL);
	ctx = CreateInitDecodingContext(MO_LIBRARY, NIL, false, InvalidXLogRecPtr,
									XL_ROUTINE(.page_read = read_local_xlog_page,
											   .segment_open = wal_segment_open,
											   .segment_close = wal_segment_close),
									NULL, NULL, NULL);
	DecodingContextFindStartpoint(ctx);
	start = MyReplicationSlot->data.confirmed_flush;
	FreeDecodingContext(ctx);
	MO_FAULT_POINT("slot_create");
	ReplicationSlotPersist();
	MO_FAULT_POINT("slot_persist");
	ReplicationSlotRelease();
	return start;
}

void
mo_decode_drop_slot(const char *name)
{
	ReplicationSlotDrop(name, true);
}

bool
mo_decode_slot_is_free(void)
{
	bool		found = false;

	LWLockAcquire(ReplicationSlotControlLock, LW_SHARED);
	for (int i = 0; i < max_replication_slots && !found; i++)
		found = !ReplicationSlotCtl->replication_slots[i].in_use;
	LWLockRelease(ReplicationSlotControlLock);
	return found;
}

/* ---------------------------------------------------------------------
 * Reading
 * ---------------------------------------------------------------------
 */

MoDecoder *
mo_decode_open(const char *slot_name, XLogRecPtr start, int32 publisher_id,
			   Oid check_function, Oid control_table,
			   const MoDecodeSink *sink)
{
	MoDecoder  *decoder = MemoryContextAllocZero(TopMemoryContext,
												 sizeof(MoDecoder));
	char		value[32];

	allow_plugin();
	snprintf(value, sizeof(value), "%d", mo_guc_decoding_work_mem);
	SetConfigOption("logical_decoding_work_mem", value,
					PGC_SUSET, PGC_S_OVERRIDE);

	decoder->skips = mo_guc_skip_foreign;
	decoder->plugin.publisher_id = publisher_id;
	decoder->plugin.check_function = check_function;
	decoder->plugin.control_table = control_table;
	decoder->plugin.sink = sink;
	decoder->plugin.foreign = mo_foreign_create(TopMemoryContext);
	mo_plugin_init(&decoder->plugin, TopMemoryContext);

	mo_compat_slot_acquire(slot_name);
	decoder->ctx = CreateDecodingContext(start, NIL, false,
										 XL_ROUTINE(.page_read = read_page,
													.segment_open = wal_segment_open,
													.segment_close = wal_segment_close),
										 NULL, NULL, NULL);
	decoder->ctx->output_writer_private = &decoder->plugin;
	XLogBeginRead(decoder->ctx->reader, MyReplicationSlot->data.restart_lsn);
	return decoder;
}

/* Both bounds only grow; asking again is needed at the end only. */
static void
refresh_limit(MoDecoder *decoder)
{
	XLogRecPtr	flushed = mo_decode_flushed();

	read_limit = mo_decode_standby_flushed();
	decoder->limit = MO_LIMIT_STANDBY;
	if (read_limit >= flushed)
	{
		read_limit = flushed;
		decoder->limit = MO_LIMIT_FLUSHED;
	}
}

/* ---------------------------------------------------------------------
 * What core need not see
 * ---------------------------------------------------------------------
 */

/* The newest are looked at first: mostly it is the last one. */
static int
find_absent(const MoDecoder *decoder, TransactionId xid)
{
	int			i = decoder->nabsent - 1;

	while (i >= 0 && decoder->absent[i] != xid)
		i--;
	return i;
}

/* True if it was absent. */
static bool
forget_absent(MoDecoder *decoder, TransactionId xid)
{
	int			i = find_absent(decoder, xid);

	if (i < 0)
		return false;
	decoder->absent[i] = decoder->absent[--decoder->nabsent];
	return true;
}

/* Core does nothing for a transaction that has a base snapshot. */
static void
make_present(MoDecoder *decoder, TransactionId xid, XLogRecPtr lsn)
{
	SnapBuildProcessChange(decoder->ctx->snapshot_builder, xid, lsn);
}

/*
 * Core wants to hear of transactions in the order of their LSNs, no two of
 * them equal.  The record is longer than it names transactions.
 */
static void
make_all_present(MoDecoder *decoder)
{
	for (int i = 0; i < decoder->nabsent; i++)
		make_present(decoder, decoder->absent[i],
					 decoder->ctx->reader->ReadRecPtr + i);
	decoder->nabsent = 0;
}

/* Commit or abort of the transaction whose record it is. */
static bool
is_end(const MoRecord *record)
{
	uint8		operation = record->info & XLOG_XACT_OPMASK;

	return record->rmid == RM_XACT_ID &&
		(operation == XLOG_XACT_COMMIT || operation == XLOG_XACT_ABORT);
}

static bool
is_running_xacts(const MoRecord *record)
{
	return record->rmid == RM_STANDBY_ID && record->info == XLOG_RUNNING_XACTS;
}

/*
 * The commit of an absent transaction.  One that has invalidations or
 * sub-transactions is for core to look at.
 */
static bool
is_absent_commit(const MoDecoder *decoder, const MoRecord *record)
{
	uint32		xinfo = 0;

	if (record->rmid != RM_XACT_ID ||
		(record->info & XLOG_XACT_OPMASK) != XLOG_XACT_COMMIT)
		return false;
	if (record->info & XLOG_XACT_HAS_INFO)
	{
		if (record->length < MinSizeOfXactCommit + sizeof(xinfo))
			return false;
		memcpy(&xinfo, record->data + MinSizeOfXactCommit, sizeof(xinfo));
	}
	return (xinfo & (XACT_XINFO_HAS_INVALS | XACT_XINFO_HAS_SUBXACTS)) == 0 &&
		find_absent(decoder, record->xid) >= 0;
}

/*
 * Can core do without the record?  The first one of a sub-transaction names
 * its parent, which core must not miss.
 */
static bool
is_needless(MoDecoder *decoder, const MoRecord *record)
{
	bool		foreign = mo_foreign_judge(decoder->plugin.foreign, record);

	return (foreign || is_absent_commit(decoder, record)) &&
		!TransactionIdIsValid(record->parent) &&
		SnapBuildCurrentState(decoder->ctx->snapshot_builder) == SNAPBUILD_CONSISTENT;
}

/* Keeps account of what core is not told; false if it cannot. */
static bool
skip(MoDecoder *decoder, const MoRecord *record)
{
	TransactionId xid = record->xid;

	if (is_end(record))
		(void) forget_absent(decoder, xid);
	else if (TransactionIdIsValid(xid) &&
			 find_absent(decoder, xid) < 0 &&
			 !ReorderBufferXidHasBaseSnapshot(decoder->ctx->reorder, xid))
	{
		if (decoder->nabsent == MAX_ABSENT)
			return false;
		decoder->absent[decoder->nabsent++] = xid;
	}
	decoder->skipped++;
	return true;
}

/*
 * Core is to be given the record.  A parent is made present for its
 * sub-transactions' sake: with that none of those is ever taken for absent.
 */
static void
prepare_for_core(MoDecoder *decoder, const MoRecord *record)
{
	if (is_running_xacts(record))
		make_all_present(decoder);
	if (TransactionIdIsValid(record->parent))
	{
		(void) forget_absent(decoder, record->parent);
		make_present(decoder, record->parent, record->lsn);
	}
	else if (TransactionIdIsValid(record->xid) &&
			 forget_absent(decoder, record->xid) && !is_end(record))
		make_present(decoder, record->xid, record->lsn);
}

static void
process_record(MoDecoder *decoder)
{
	MoRecord	record;

	if (decoder->skips)
	{
		mo_record_take(&record, decoder->ctx->reader);
		if (is_needless(decoder, &record) && skip(decoder, &record))
			return;
		prepare_for_core(decoder, &record);
	}
	LogicalDecodingProcessRecord(decoder->ctx, decoder->ctx->reader);
}

/*
 * Passes over what can be skipped in the page that the reader holds, and lets
 * the reader go on behind it: from there it checks, as ever, that the next
 * record names the one before it.  (Before its first record it has none.)
 */
static void
skip_in_page(MoDecoder *decoder)
{
	XLogReaderState *reader = decoder->ctx->reader;
	XLogRecPtr	before = reader->DecodeRecPtr;
	XLogRecPtr	next = reader->EndRecPtr;
	MoRecord	record;

	if (!decoder->skips || before == InvalidXLogRecPtr)
		return;
	while (mo_record_peek(&record, reader, next) &&
		   is_needless(decoder, &record) &&
		   mo_record_is_sound(&record, reader, before) &&
		   skip(decoder, &record))
	{
		before = next;
		next = record.end;
	}
	if (next == reader->EndRecPtr)
		return;
	XLogBeginRead(reader, next);
	reader->DecodeRecPtr = before;
}

bool
mo_decode_step(MoDecoder *decoder)
{
	XLogReaderState *reader = decoder->ctx->reader;
	XLogRecord *record;
	char	   *error = NULL;
	MemoryContext old;

	skip_in_page(decoder);
	if (reader->EndRecPtr >= read_limit)
	{
		refresh_limit(decoder);
		if (reader->EndRecPtr >= read_limit)
			return false;
	}
	/* What reader and decoding keep, they allocate in the current context. */
	old = MemoryContextSwitchTo(decoder->ctx->context);
	record = XLogReadRecord(reader, &error);
	if (record == NULL && error == NULL)
	{
		/* The record, or its page, ends beyond the limit we had. */
		refresh_limit(decoder);
		record = XLogReadRecord(reader, &error);
	}
	if (error != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("could not read WAL at %X/%X: %s",
						LSN_FORMAT_ARGS(reader->EndRecPtr), error)));
	if (record != NULL)
		process_record(decoder);
	MemoryContextSwitchTo(old);
	return record != NULL;
}

MoDecodeLimit
mo_decode_limit(MoDecoder *decoder)
{
	return decoder->limit;
}

XLogRecPtr
mo_decode_position(MoDecoder *decoder)
{
	return decoder->ctx->reader->EndRecPtr;
}

/*
 * Core never moves the position backwards.  Marking the slot dirty makes the
 * next checkpoint save it; without that 15 would forget it at a clean stop
 * and decode all of it again.
 */
void
mo_decode_confirm(MoDecoder *decoder, XLogRecPtr lsn)
{
	if (lsn <= MyReplicationSlot->data.confirmed_flush)
		return;
	LogicalConfirmReceivedLocation(lsn);
	ReplicationSlotMarkDirty();
}

XLogRecPtr
mo_decode_restart_lsn(MoDecoder *decoder)
{
	return MyReplicationSlot->data.restart_lsn;
}

#ifdef MO_FAULT_POINTS
int64
mo_decode_close(MoDecoder *decoder)
{
	FreeDecodingContext(decoder->ctx);
	ReplicationSlotRelease();
	return decoder->skipped;
}
#endif
