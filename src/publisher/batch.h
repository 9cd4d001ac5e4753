/*-------------------------------------------------------------------------
 *
 * batch.h
 *	  Events encoded for Kafka and kept until they are committed there.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_BATCH_H
#define MO_BATCH_H

#include "publisher/plugin.h"
#include "publisher/producer.h"

struct MoRoute;

/* A place in the stream: what a marker says is dealt with up to it. */
typedef struct MoPosition
{
	MoTransaction txn;
	int64		ordinal;		/* last row of txn that is dealt with */
	bool		complete;		/* the whole transaction is */
	int32		part;			/* number of its last part; 0 = not split */
} MoPosition;

/* One event; all it points to lies in its batch. */
typedef struct MoEvent
{
	MoRecord	record;			/* what is produced; first: reports point here */
	const struct MoRoute *route;	/* NULL when it has no contract */
	const MoTransaction *txn;
	int64		ordinal;
	int32		outbox_id;
	int64		contract_id;	/* as stamped, without the quarantine's sign */
	int32		part;			/* part of a split transaction; 0 = whole */
	bool		last_part;		/* no event of its transaction follows */
	bool		dead;			/* goes to the dead letters, not to Kafka */
	bool		closing;		/* not an event: ends a split transaction */
	bool		control;		/* event_type is its whole ce_type */
	pg_uuid_t	event_id;
	TimestampTz event_time;
	TimestampTz created_at;
	const char *event_type;
	const char *key;			/* of the row; record.key is the same bytes */
	const char *traceparent;
	const char *correlation_id;
	const char *causation_id;
	const MoHeader *extra;		/* the row's own headers */
	int			nextra;
	const char *dead_reason;	/* a word; NULL when not dead */
	const char *dead_detail;	/* a sentence */
} MoEvent;

typedef enum MoBatchState
{
	MO_BATCH_NEW,				/* nothing sent, or all of it aborted */
	MO_BATCH_PRODUCING,
	MO_BATCH_PRODUCED,			/* all records handed over */
	MO_BATCH_MARKING,			/* the marker is on its way */
	MO_BATCH_MARKED,
	MO_BATCH_COMMITTING,
	MO_BATCH_FAILED,			/* must be aborted as soon as its lane is free */
	MO_BATCH_ABORTING
} MoBatchState;

typedef struct MoBatch
{
	MoEvent    *events;
	int			nevents;
	int			capacity;
	int64		bytes;			/* keys and values */
	int64		transactions;	/* that end in it */
	MoTransaction first;		/* of the first transaction in it */
	int64		opened_at;		/* ticks; when its first event was added */
	MoPosition	last;
	const struct MoRoute *end_route;	/* of a record that would end a split
										 * transaction; NULL = none is split */

	/* the transaction now added to it */
	int			txn_start;		/* index of its first event here */
	int64		txn_bytes;

	/* in flight */
	MoBatchState state;
	int			lane;
	int			next;			/* event to produce next */
	bool		careful;		/* on trial, one record at a time, to find a
								 * culprit; not to be committed */
	int			tried;			/* the events before this one have been taken
								 * alone, or are dead */
	int64		trial_since;	/* ticks */
	uint64		dead_sequence;	/* request of its last dead letter */

	/* memory: chunks, reused */
	struct Chunk *chunks;		/* in use, newest first */
	struct Chunk *spare;		/* empty ones */
	char	   *free;
	char	   *end;
} MoBatch;

extern MoBatch *mo_batch_create(void);
extern void mo_batch_reset(MoBatch *batch);
extern void *mo_batch_alloc(MoBatch *batch, Size size);
extern char *mo_batch_copy(MoBatch *batch, const char *text);	/* NULL → NULL */
extern MoEvent *mo_batch_add(MoBatch *batch);

/* Is a at or before b in the stream? */
extern bool mo_position_reached(const MoPosition *a, const MoPosition *b);

#endif							/* MO_BATCH_H */
