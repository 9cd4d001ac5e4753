/*-------------------------------------------------------------------------
 *
 * record.h
 *	  What deciding about a WAL record takes, and where it is had from.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_RECORD_H
#define MO_RECORD_H

#include "access/xlogreader.h"

#include "compat.h"

/* Points into the reader's memory; nothing there need be aligned. */
typedef struct MoRecord
{
	XLogRecPtr	lsn;
	XLogRecPtr	end;			/* where the next record can begin */
	TransactionId xid;
	TransactionId parent;		/* named by a sub-transaction's first record */
	RmgrId		rmid;
	uint8		info;			/* the resource manager's bits of it */
	RelFileLocator file;		/* of the first block; zero without one */
	const char *tuple;			/* data of the first block */
	Size		tuple_length;
	const char *data;			/* main data */
	Size		length;
} MoRecord;

/* The record that the reader has just read. */
extern void mo_record_take(MoRecord *record, XLogReaderState *reader);

/*
 * The record at "lsn", when all of it is in the page that the reader holds and
 * it is of a simple make.  False: only the reader can tell.  Its checksum is
 * not looked at.
 */
extern bool mo_record_peek(MoRecord *record, const XLogReaderState *reader,
						   XLogRecPtr lsn);

/* Is what was peeked at a whole record that follows on the one at "before"? */
extern bool mo_record_is_sound(const MoRecord *record,
							   const XLogReaderState *reader,
							   XLogRecPtr before);

#endif							/* MO_RECORD_H */
