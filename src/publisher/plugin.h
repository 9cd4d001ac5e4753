/*-------------------------------------------------------------------------
 *
 * plugin.h
 *	  What the output plugin hands to the publisher.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PLUGIN_H
#define MO_PLUGIN_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "utils/jsonb.h"
#include "utils/uuid.h"

/* A committed transaction.  Its identity is commit_lsn. */
typedef struct MoTransaction
{
	XLogRecPtr	commit_lsn;		/* start of the commit record */
	XLogRecPtr	end_lsn;		/* end of it: what the slot is confirmed with */
	TransactionId xid;
	TimestampTz commit_time;
} MoTransaction;

/*
 * A row of an outbox, or a control event.  Everything it points to is gone
 * when the callback returns.  NULL pointers are SQL NULLs.
 */
typedef struct MoRow
{
	int64		ordinal;		/* 1, 2, … within its transaction */
	int32		outbox_id;		/* 0 for a control event */
	int64		contract_id;	/* 0 = NULL; negative: quarantined under -id */
	bool		control;		/* event_type is its whole ce_type */
	int32		partition;		/* of a control event */
	bool		has_event_id;
	pg_uuid_t	event_id;
	bool		has_event_time;
	TimestampTz event_time;
	TimestampTz created_at;		/* 0 = NULL */
	char	   *event_type;
	char	   *key;
	Jsonb	   *payload;
	Jsonb	   *headers;
	char	   *correlation_id;
	char	   *causation_id;
	char	   *traceparent;
} MoRow;

/*
 * Called in commit order, inside the transaction core opens around each
 * replay: no catalog access of one's own, no SQL.  An error leaves through
 * the decoder.
 */
typedef struct MoDecodeSink
{
	void	   *arg;
	void		(*begin) (void *arg, const MoTransaction *txn);
	void		(*row) (void *arg, const MoTransaction *txn, const MoRow *row);
	void		(*commit) (void *arg, const MoTransaction *txn, int64 rows);

	/*
	 * Now and then in a long replay, whose rows may all be nobody's events:
	 * what else there is to do must not wait for its end.  NULL = nothing.
	 */
	void		(*turn) (void *arg);
} MoDecodeSink;

/* State of one decoding; made by decode.c, given to the plugin's callbacks. */
typedef struct MoPlugin
{
	int32		publisher_id;
	Oid			check_function; /* whose triggers make a table an outbox */
	Oid			control_table;	/* mesh_outbox.control_event */
	const MoDecodeSink *sink;
	struct MoForeign *foreign;	/* is told whose rows are nobody's events */

	/* private to plugin.c */
	struct HTAB *tables;		/* relid → what its trigger says */
	MoTransaction txn;
	int64		rows;
	int64		changes;		/* since the start, of all transactions */
	MemoryContext row_context;
} MoPlugin;

extern void mo_plugin_trust_process(void);
extern void mo_plugin_init(MoPlugin *plugin, MemoryContext context);

#endif							/* MO_PLUGIN_H */
