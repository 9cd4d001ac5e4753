/*-------------------------------------------------------------------------
 *
 * decode.h
 *	  A publisher's replication slot, and WAL read through it step by step.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_DECODE_H
#define MO_DECODE_H

#include "access/xlogdefs.h"

#include "publisher/plugin.h"

typedef struct MoDecoder MoDecoder;

/* A slot as the server sees it. */
typedef struct MoSlotInfo
{
	bool		exists;
	bool		usable;			/* ours (plugin, database), not invalidated */
	XLogRecPtr	confirmed_lsn;	/* S */
	XLogRecPtr	restart_lsn;	/* WAL is kept from here on */
} MoSlotInfo;

extern void mo_decode_slot_info(const char *name, MoSlotInfo *info);

/*
 * Makes the slot and returns its start: every transaction that commits after
 * it will be decoded.  Waits for the transactions that run now.
 */
extern XLogRecPtr mo_decode_create_slot(const char *name);
extern void mo_decode_drop_slot(const char *name);

/* Might one more be made now?  Also for processes without a database. */
extern bool mo_decode_slot_is_free(void);

/*
 * Acquires the slot and starts reading.  Transactions that committed before
 * "start" are not replayed.  One decoder per process.
 */
extern MoDecoder *mo_decode_open(const char *slot_name, XLogRecPtr start,
								 int32 publisher_id, Oid check_function,
								 Oid control_table, const MoDecodeSink *sink);

/*
 * Passes over foreign WAL records, a page of them at most, and reads the next
 * one, which may replay a transaction into the sink.  False when nothing more
 * may be read now; call again later.
 */
extern bool mo_decode_step(MoDecoder *decoder);

/* Why the last step returned false. */
typedef enum MoDecodeLimit
{
	MO_LIMIT_FLUSHED,			/* the end of flushed WAL */
	MO_LIMIT_STANDBY			/* a synchronous standby has not flushed it */
} MoDecodeLimit;

extern MoDecodeLimit mo_decode_limit(MoDecoder *decoder);

/* End of the last record read or passed over. */
extern XLogRecPtr mo_decode_position(MoDecoder *decoder);

/* Confirms the slot: nothing at or below lsn is asked for again. */
extern void mo_decode_confirm(MoDecoder *decoder, XLogRecPtr lsn);
extern XLogRecPtr mo_decode_restart_lsn(MoDecoder *decoder);

/* End of the last record written, flushed or not. */
extern XLogRecPtr mo_decode_inserted(void);

/* Flushed by this server; and by every synchronous standby, if there are. */
extern XLogRecPtr mo_decode_flushed(void);
extern XLogRecPtr mo_decode_standby_flushed(void);

#ifdef MO_FAULT_POINTS
/* Tests only: a publisher's decoder lives as long as its process. */
extern int64 mo_decode_close(MoDecoder *decoder);
#endif

#endif							/* MO_DECODE_H */
