/*-------------------------------------------------------------------------
 *
 * record.c
 *	  What deciding about a WAL record takes, and where it is had from.
 *
 * Called by decode.c.  Owns nothing: a record is shown where it lies.
 *
 * Core's reader checks, decodes and copies each record before anybody may
 * look at it.  For a record that is then passed over that is most of the
 * work.  So records are looked at first in the page that the reader has read
 * and checked, in place.  Only the plain ones: a record that goes on in the
 * next page, holds an image of a page, or has anything in it that is not known
 * here is left to the reader.  So is one that is damaged: it says what is
 * wrong.  What is passed over was checked as the reader would have done, by
 * length, by checksum, and by its link to the record before it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "access/xlogrecord.h"
#include "port/pg_crc32c.h"

#include "publisher/record.h"

void
mo_record_take(MoRecord *record, XLogReaderState *reader)
{
	memset(&record->file, 0, sizeof(record->file));
	record->lsn = reader->ReadRecPtr;
	record->end = reader->EndRecPtr;
	record->xid = XLogRecGetXid(reader);
	record->parent = XLogRecGetTopXid(reader);
	record->rmid = XLogRecGetRmid(reader);
	record->info = XLogRecGetInfo(reader) & ~XLR_INFO_MASK;
	record->tuple = NULL;
	record->tuple_length = 0;
	if (XLogRecHasBlockRef(reader, 0))
	{
		XLogRecGetBlockTag(reader, 0, &record->file, NULL, NULL);
		record->tuple = XLogRecGetBlockData(reader, 0, &record->tuple_length);
	}
	record->data = XLogRecGetData(reader);
	record->length = XLogRecGetDataLen(reader);
}

/* ---------------------------------------------------------------------
 * In the reader's page
 * ---------------------------------------------------------------------
 */

/* Where the page that the reader holds begins. */
static XLogRecPtr
held_page(const XLogReaderState *reader)
{
	XLogRecPtr	page;

	XLogSegNoOffsetToRecPtr(reader->seg.ws_segno, reader->segoff,
							wal_segment_size, page);
	return page;
}

static const XLogRecord *
in_page(const XLogReaderState *reader, XLogRecPtr lsn)
{
	return (const XLogRecord *) (reader->readBuf + lsn % XLOG_BLCKSZ);
}

/*
 * All of the record at "lsn", or NULL if the reader does not hold it.  At the
 * beginning of a page is its header, which the reader alone passes over.
 */
static const XLogRecord *
find_record(const XLogReaderState *reader, XLogRecPtr lsn)
{
	XLogRecPtr	page = held_page(reader);
	const XLogRecord *found = in_page(reader, lsn);

	if (lsn <= page || lsn + SizeOfXLogRecord > page + reader->readLen ||
		found->xl_tot_len < SizeOfXLogRecord ||
		lsn + found->xl_tot_len > page + reader->readLen)
		return NULL;
	return found;
}

/* Takes a field of the record's header; false if the record ends before. */
static inline bool
take_field(const char **from, const char *end, void *field, Size size)
{
	if ((Size) (end - *from) < size)
		return false;
	memcpy(field, *from, size);
	*from += size;
	return true;
}

/*
 * The reference to a block, behind its number.  Returns false for one with an
 * image.
 */
static inline bool
take_block(const char **from, const char *end, RelFileLocator *file,
		   uint16 *length)
{
	uint8		flags;
	BlockNumber block;

	return take_field(from, end, &flags, sizeof(flags)) &&
		(flags & BKPBLOCK_HAS_IMAGE) == 0 &&
		take_field(from, end, length, sizeof(*length)) &&
		((flags & BKPBLOCK_SAME_REL) != 0 ||
		 take_field(from, end, file, sizeof(*file))) &&
		take_field(from, end, &block, sizeof(block));
}

/*
 * The references to blocks, and the length of the main data.  Returns where
 * the data of the blocks begins, or NULL for a record of another make;
 * "length" is that of all data.
 */
static const char *
take_references(MoRecord *record, const char *from, const char *end,
				Size *length)
{
	*length = 0;
	while ((Size) (end - from) > *length)
	{
		uint8		id = *(const uint8 *) from++;
		RelFileLocator other;
		uint16		block_length;
		uint8		short_length;
		uint32		long_length;
		RepOriginId origin;

		switch (id)
		{
			case XLR_BLOCK_ID_DATA_SHORT:
				if (!take_field(&from, end, &short_length, sizeof(short_length)))
					return NULL;
				record->length = short_length;
				*length += short_length;
				return from;
			case XLR_BLOCK_ID_DATA_LONG:
				if (!take_field(&from, end, &long_length, sizeof(long_length)))
					return NULL;
				record->length = long_length;
				*length += long_length;
				return from;
			case XLR_BLOCK_ID_ORIGIN:
				if (!take_field(&from, end, &origin, sizeof(origin)))
					return NULL;
				break;
			case 0:
				if (!take_block(&from, end, &record->file, &block_length))
					return NULL;
				record->tuple_length = block_length;
				*length += block_length;
				break;
			default:
				if (id > XLR_MAX_BLOCK_ID ||
					!take_block(&from, end, &other, &block_length))
					return NULL;
				*length += block_length;
				break;
		}
	}
	return from;
}

bool
mo_record_peek(MoRecord *record, const XLogReaderState *reader, XLogRecPtr lsn)
{
	const XLogRecord *found = find_record(reader, lsn);
	const char *end;
	const char *data;
	Size		length;

	if (found == NULL)
		return false;
	memset(&record->file, 0, sizeof(record->file));
	record->lsn = lsn;
	record->end = lsn + MAXALIGN(found->xl_tot_len);
	record->xid = found->xl_xid;
	record->parent = InvalidTransactionId;
	record->rmid = found->xl_rmid;
	record->info = found->xl_info & ~XLR_INFO_MASK;
	record->tuple_length = 0;
	record->length = 0;

	end = (const char *) found + found->xl_tot_len;
	data = take_references(record, (const char *) found + SizeOfXLogRecord, end,
						   &length);
	if (data == NULL || (Size) (end - data) != length)
		return false;
	/* Data of the blocks in their order, main data last. */
	record->tuple = record->tuple_length > 0 ? data : NULL;
	record->data = end - record->length;
	return true;
}

bool
mo_record_is_sound(const MoRecord *record, const XLogReaderState *reader,
				   XLogRecPtr before)
{
	const XLogRecord *found = in_page(reader, record->lsn);
	pg_crc32c	crc;

	if (found->xl_prev != before)
		return false;
	INIT_CRC32C(crc);
	COMP_CRC32C(crc, (const char *) found + SizeOfXLogRecord,
				found->xl_tot_len - SizeOfXLogRecord);
	COMP_CRC32C(crc, (const char *) found, offsetof(XLogRecord, xl_crc));
	FIN_CRC32C(crc);
	return EQ_CRC32C(found->xl_crc, crc);
}
