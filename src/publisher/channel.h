/*-------------------------------------------------------------------------
 *
 * channel.h
 *	  What a publisher and its scribe say to each other, and how.
 *
 * The publisher runs no SQL, the scribe all of it.  They share one dynamic
 * shared memory segment with two shm_mq queues, created by the publisher and
 * announced in its MoPublisherSlot.  A message is a type byte and a body
 * written with pqformat.  Requests are answered in the order they were sent.
 * When either process goes, the other sees its queue detached and goes too:
 * the pair lives and dies together.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_CHANNEL_H
#define MO_CHANNEL_H

#include "access/xlogdefs.h"
#include "datatype/timestamp.h"
#include "lib/stringinfo.h"

typedef struct MoChannel MoChannel;

/* Publisher → scribe. */
#define MO_ASK_CONTRACT		'C' /* int64 contract_id */
#define MO_ASK_DEAD_LETTER	'D' /* MoDeadLetter */
#define MO_ASK_PROGRESS		'P' /* MoProgress */
#define MO_ASK_READY		'R' /* MoReady: the slot was created */
#define MO_ASK_LEDGER		'L' /* MoLedgerEntry; not answered */
#define MO_ASK_ATTENTION	'A' /* MoAttention; answered when durable */
#define MO_ASK_EVENT		'E' /* MoPublisherEvent; not answered */
#define MO_ASK_DEAD_LIST	'B' /* int64 LSN: dead letters with commit_lsn >= it */

/* Scribe → publisher. */
#define MO_SAY_HELLO		'h' /* MoHello; first message, unasked */
#define MO_SAY_CONTRACT		'c' /* MoContractInfo */
#define MO_SAY_DEAD_LETTER	'd' /* MoDeadLetterDone */
#define MO_SAY_PROGRESS		'p' /* int64 LSN: end of the P record's WAL, flushed */
#define MO_SAY_READY		'r' /* empty */
#define MO_SAY_ATTENTION	'a' /* empty */
#define MO_SAY_DEAD_LIST	'b' /* MoDeadList */

/* What the publisher must know to start.  Strings are palloc'd by the reader. */
typedef struct MoHello
{
	int32		publisher_id;
	char	   *name;
	char	   *brokers;
	char	   *options;		/* JSON text: librdkafka properties */
	char	   *slot_name;
	char	   *marker_group;	/* also begins the transactional ids */
	char	   *resume_from;	/* "", "marker", "ledger" or "now" */
	XLogRecPtr	resume_lsn;		/* end of WAL when that was decided */
	Oid			check_function; /* OID of mesh_outbox.check_event() */
	Oid			control_table;	/* OID of mesh_outbox.control_event */
	bool		slot_is_there;	/* and not invalidated; stays with the scribe */
	bool		has_progress;	/* the rest is zero without it */
	char	   *progress_slot;	/* slot name at that time */
	XLogRecPtr	ready_lsn;
	XLogRecPtr	progress_lsn;	/* P */
	XLogRecPtr	progress_marker_lsn;
	int64		progress_marker_xid;
	int64		progress_marker_time;
	bool		has_attention;
	XLogRecPtr	ledger_lsn;		/* last_lsn of the newest ledger row, or 0;
								 * of rows of this slot, as the offsets */
	int64		ledger_batch_no;	/* of the newest ledger row, or 0 */
	char	   *ledger_offsets; /* JSON: highest last offset per topic and
								 * partition in the newest ledger rows */
} MoHello;

/* A contract as the wire needs it; all immutable. */
typedef struct MoContractInfo
{
	int64		contract_id;
	bool		found;
	char	   *product;
	char	   *event_type;
	char	   *topic;
	int32		partitions;
	int32		replication;	/* 0 = broker's default */
	char	   *topic_config;	/* JSON text */
	bool		structured;		/* CloudEvents structured mode */
	char		header_set;		/* 'm'inimal, 's'tandard, 'f'ull */
	char	   *ce_type;
	char	   *ce_source;
	char	   *ce_dataschema;
} MoContractInfo;

/* NULL strings mean SQL NULL. */
typedef struct MoDeadLetter
{
	char	   *branch;
	XLogRecPtr	commit_lsn;
	int64		ordinal;
	TransactionId xid;
	TimestampTz commit_time;
	int32		outbox_id;
	char	   *event_id;
	char	   *event_type;
	int64		contract_id;	/* 0 = none */
	char	   *topic;
	char	   *key;
	char	   *payload;
	char	   *headers;
	char	   *reason;
	char	   *detail;
} MoDeadLetter;

typedef struct MoDeadLetterDone
{
	XLogRecPtr	commit_lsn;
	int64		ordinal;
	XLogRecPtr	record_lsn;		/* R: end of its own WAL, flushed */
} MoDeadLetterDone;

/* Those that exist, as far as the publisher must know them. */
typedef struct MoDeadLetterId
{
	char	   *branch;
	XLogRecPtr	commit_lsn;
	int64		ordinal;
} MoDeadLetterId;

typedef struct MoDeadList
{
	int32		n;
	MoDeadLetterId *letters;
	XLogRecPtr	record_lsn;		/* R: all of them lie below it, flushed */
} MoDeadList;

typedef struct MoProgress
{
	XLogRecPtr	lsn;
	XLogRecPtr	marker_lsn;
	int64		marker_xid;
	int64		marker_time;
} MoProgress;

typedef struct MoReady
{
	char	   *slot_name;
	XLogRecPtr	ready_lsn;		/* becomes ready_lsn and lsn of the row */
} MoReady;

typedef struct MoAttention
{
	char	   *what;			/* "" clears it, and publisher.resume_from */
	char	   *detail;
	char	   *hint;
} MoAttention;

typedef struct MoPublisherEvent
{
	char	   *action;
	XLogRecPtr	from_lsn;
	XLogRecPtr	to_lsn;
	char	   *detail;
} MoPublisherEvent;

typedef struct MoLedgerEntry
{
	char	   *incarnation;
	XLogRecPtr	first_lsn;
	XLogRecPtr	last_lsn;
	TransactionId first_xid;
	TransactionId last_xid;
	int64		transactions;
	int64		events;
	int64		bytes;
	int64		kafka_transactions;
	TimestampTz first_commit;
	TimestampTz last_commit;
	TimestampTz published_at;
	char	   *offsets;		/* JSON text as in mesh_outbox.batch.offsets */
} MoLedgerEntry;

/*
 * Opening.  Both return when the other side has come and raise an error when
 * it does not (ERRCODE_CONNECTION_FAILURE).
 */
extern MoChannel *mo_channel_create(int slot_index);
extern MoChannel *mo_channel_attach(int slot_index);

/*
 * Sends one message, waiting for room if it must; interrupts are served, and
 * a vanished peer is an error (ERRCODE_CONNECTION_FAILURE).  A NULL body is
 * an empty one.  Messages that arrive meanwhile are kept for receiving, so
 * two senders never wait for each other.
 */
extern void mo_channel_send(MoChannel *channel, char type, StringInfo body);

/*
 * The next message or false when there is none.  The body stays valid until
 * the next call on the channel, sending included.  A vanished peer is an error,
 * after its last message.
 */
extern bool mo_channel_try_receive(MoChannel *channel, char *type,
								   StringInfo body);

/* The same, but waits on the latch until there is one. */
extern void mo_channel_receive(MoChannel *channel, char *type,
							   StringInfo body);

/* One pair of functions per structure, in message.c. */
extern void mo_channel_put_hello(StringInfo buf, const MoHello *m);
extern void mo_channel_get_hello(StringInfo buf, MoHello *m);
extern void mo_channel_put_contract(StringInfo buf, const MoContractInfo *m);
extern void mo_channel_get_contract(StringInfo buf, MoContractInfo *m);
extern void mo_channel_put_dead_letter(StringInfo buf, const MoDeadLetter *m);
extern void mo_channel_get_dead_letter(StringInfo buf, MoDeadLetter *m);
extern void mo_channel_put_dead_letter_done(StringInfo buf, const MoDeadLetterDone *m);
extern void mo_channel_get_dead_letter_done(StringInfo buf, MoDeadLetterDone *m);
extern void mo_channel_put_dead_list(StringInfo buf, const MoDeadList *m);
extern void mo_channel_get_dead_list(StringInfo buf, MoDeadList *m);
extern void mo_channel_put_progress(StringInfo buf, const MoProgress *m);
extern void mo_channel_get_progress(StringInfo buf, MoProgress *m);
extern void mo_channel_put_ready(StringInfo buf, const MoReady *m);
extern void mo_channel_get_ready(StringInfo buf, MoReady *m);
extern void mo_channel_put_attention(StringInfo buf, const MoAttention *m);
extern void mo_channel_get_attention(StringInfo buf, MoAttention *m);
extern void mo_channel_put_event(StringInfo buf, const MoPublisherEvent *m);
extern void mo_channel_get_event(StringInfo buf, MoPublisherEvent *m);
extern void mo_channel_put_ledger(StringInfo buf, const MoLedgerEntry *m);
extern void mo_channel_get_ledger(StringInfo buf, MoLedgerEntry *m);

#endif							/* MO_CHANNEL_H */
