/*-------------------------------------------------------------------------
 *
 * message.c
 *	  The bodies of the messages between a publisher and its scribe.
 *
 * One pair of functions per structure of channel.h; the fields go over in the
 * order in which the structure declares them.  Text is a length and its
 * bytes, NULL is length -1; what a get function returns is palloc'd and does
 * not refer to the message.  A body that is too short is an error from
 * pqformat; both sides are of one library, so that is a bug.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "libpq/pqformat.h"

#include "publisher/channel.h"

static void
put_text(StringInfo buf, const char *text)
{
	int32		length = text ? (int32) strlen(text) : -1;

	pq_sendint32(buf, length);
	if (length > 0)
		appendBinaryStringInfo(buf, text, length);
}

static char *
get_text(StringInfo buf)
{
	int32		length = pq_getmsgint(buf, 4);

	return length < 0 ? NULL
		: pnstrdup(pq_getmsgbytes(buf, length), length);
}

#define put_bool(buf, value)	pq_sendbyte(buf, (value) ? 1 : 0)
#define put_char(buf, value)	pq_sendbyte(buf, value)
#define put_int32(buf, value)	pq_sendint32(buf, (uint32) (value))
#define put_int64(buf, value)	pq_sendint64(buf, (uint64) (value))
#define get_bool(buf)			(pq_getmsgbyte(buf) != 0)
#define get_char(buf)			((char) pq_getmsgbyte(buf))
#define get_int32(buf)			((int32) pq_getmsgint(buf, 4))
#define get_uint32(buf)			((uint32) pq_getmsgint(buf, 4))
#define get_int64(buf)			pq_getmsgint64(buf)
#define get_lsn(buf)			((XLogRecPtr) pq_getmsgint64(buf))

void
mo_channel_put_hello(StringInfo buf, const MoHello *m)
{
	put_int32(buf, m->publisher_id);
	put_text(buf, m->name);
	put_text(buf, m->brokers);
	put_text(buf, m->options);
	put_text(buf, m->slot_name);
	put_text(buf, m->marker_group);
	put_text(buf, m->resume_from);
	put_int64(buf, m->resume_lsn);
	put_int32(buf, m->check_function);
	put_int32(buf, m->control_table);
	put_bool(buf, m->has_progress);
	put_text(buf, m->progress_slot);
	put_int64(buf, m->ready_lsn);
	put_int64(buf, m->progress_lsn);
	put_int64(buf, m->progress_marker_lsn);
	put_int64(buf, m->progress_marker_xid);
	put_int64(buf, m->progress_marker_time);
	put_bool(buf, m->has_attention);
	put_int64(buf, m->ledger_lsn);
	put_int64(buf, m->ledger_batch_no);
	put_text(buf, m->ledger_offsets);
}

void
mo_channel_get_hello(StringInfo buf, MoHello *m)
{
	m->publisher_id = get_int32(buf);
	m->name = get_text(buf);
	m->brokers = get_text(buf);
	m->options = get_text(buf);
	m->slot_name = get_text(buf);
	m->marker_group = get_text(buf);
	m->resume_from = get_text(buf);
	m->resume_lsn = get_lsn(buf);
	m->check_function = get_uint32(buf);
	m->control_table = get_uint32(buf);
	m->has_progress = get_bool(buf);
	m->progress_slot = get_text(buf);
	m->ready_lsn = get_lsn(buf);
	m->progress_lsn = get_lsn(buf);
	m->progress_marker_lsn = get_lsn(buf);
	m->progress_marker_xid = get_int64(buf);
	m->progress_marker_time = get_int64(buf);
	m->has_attention = get_bool(buf);
	m->ledger_lsn = get_lsn(buf);
	m->ledger_batch_no = get_int64(buf);
	m->ledger_offsets = get_text(buf);
}

void
mo_channel_put_contract(StringInfo buf, const MoContractInfo *m)
{
	put_int64(buf, m->contract_id);
	put_bool(buf, m->found);
	put_text(buf, m->product);
	put_text(buf, m->event_type);
	put_text(buf, m->topic);
	put_int32(buf, m->partitions);
	put_int32(buf, m->replication);
	put_text(buf, m->topic_config);
	put_bool(buf, m->structured);
	put_char(buf, m->header_set);
	put_text(buf, m->ce_type);
	put_text(buf, m->ce_source);
	put_text(buf, m->ce_dataschema);
}

void
mo_channel_get_contract(StringInfo buf, MoContractInfo *m)
{
	m->contract_id = get_int64(buf);
	m->found = get_bool(buf);
	m->product = get_text(buf);
	m->event_type = get_text(buf);
	m->topic = get_text(buf);
	m->partitions = get_int32(buf);
	m->replication = get_int32(buf);
	m->topic_config = get_text(buf);
	m->structured = get_bool(buf);
	m->header_set = get_char(buf);
	m->ce_type = get_text(buf);
	m->ce_source = get_text(buf);
	m->ce_dataschema = get_text(buf);
}

void
mo_channel_put_dead_letter(StringInfo buf, const MoDeadLetter *m)
{
	put_text(buf, m->branch);
	put_int64(buf, m->commit_lsn);
	put_int64(buf, m->ordinal);
	put_int32(buf, m->xid);
	put_int64(buf, m->commit_time);
	put_int32(buf, m->outbox_id);
	put_text(buf, m->event_id);
	put_text(buf, m->event_type);
	put_int64(buf, m->contract_id);
	put_text(buf, m->topic);
	put_text(buf, m->key);
	put_text(buf, m->payload);
	put_text(buf, m->headers);
	put_text(buf, m->reason);
	put_text(buf, m->detail);
}

void
mo_channel_get_dead_letter(StringInfo buf, MoDeadLetter *m)
{
	m->branch = get_text(buf);
	m->commit_lsn = get_lsn(buf);
	m->ordinal = get_int64(buf);
	m->xid = get_uint32(buf);
	m->commit_time = get_int64(buf);
	m->outbox_id = get_int32(buf);
	m->event_id = get_text(buf);
	m->event_type = get_text(buf);
	m->contract_id = get_int64(buf);
	m->topic = get_text(buf);
	m->key = get_text(buf);
	m->payload = get_text(buf);
	m->headers = get_text(buf);
	m->reason = get_text(buf);
	m->detail = get_text(buf);
}

void
mo_channel_put_dead_letter_done(StringInfo buf, const MoDeadLetterDone *m)
{
	put_int64(buf, m->commit_lsn);
	put_int64(buf, m->ordinal);
	put_int64(buf, m->record_lsn);
}

void
mo_channel_get_dead_letter_done(StringInfo buf, MoDeadLetterDone *m)
{
	m->commit_lsn = get_lsn(buf);
	m->ordinal = get_int64(buf);
	m->record_lsn = get_lsn(buf);
}

void
mo_channel_put_dead_list(StringInfo buf, const MoDeadList *m)
{
	put_int32(buf, m->n);
	for (int i = 0; i < m->n; i++)
	{
		put_text(buf, m->letters[i].branch);
		put_int64(buf, m->letters[i].commit_lsn);
		put_int64(buf, m->letters[i].ordinal);
	}
	put_int64(buf, m->record_lsn);
}

void
mo_channel_get_dead_list(StringInfo buf, MoDeadList *m)
{
	m->n = get_int32(buf);
	m->letters = palloc(sizeof(MoDeadLetterId) * Max(m->n, 1));
	for (int i = 0; i < m->n; i++)
	{
		m->letters[i].branch = get_text(buf);
		m->letters[i].commit_lsn = get_lsn(buf);
		m->letters[i].ordinal = get_int64(buf);
	}
	m->record_lsn = get_lsn(buf);
}

void
mo_channel_put_progress(StringInfo buf, const MoProgress *m)
{
	put_int64(buf, m->lsn);
	put_int64(buf, m->marker_lsn);
	put_int64(buf, m->marker_xid);
	put_int64(buf, m->marker_time);
}

void
mo_channel_get_progress(StringInfo buf, MoProgress *m)
{
	m->lsn = get_lsn(buf);
	m->marker_lsn = get_lsn(buf);
	m->marker_xid = get_int64(buf);
	m->marker_time = get_int64(buf);
}

void
mo_channel_put_ready(StringInfo buf, const MoReady *m)
{
	put_text(buf, m->slot_name);
	put_int64(buf, m->ready_lsn);
}

void
mo_channel_get_ready(StringInfo buf, MoReady *m)
{
	m->slot_name = get_text(buf);
	m->ready_lsn = get_lsn(buf);
}

void
mo_channel_put_attention(StringInfo buf, const MoAttention *m)
{
	put_text(buf, m->what);
	put_text(buf, m->detail);
	put_text(buf, m->hint);
}

void
mo_channel_get_attention(StringInfo buf, MoAttention *m)
{
	m->what = get_text(buf);
	m->detail = get_text(buf);
	m->hint = get_text(buf);
}

void
mo_channel_put_event(StringInfo buf, const MoPublisherEvent *m)
{
	put_text(buf, m->action);
	put_int64(buf, m->from_lsn);
	put_int64(buf, m->to_lsn);
	put_text(buf, m->detail);
}

void
mo_channel_get_event(StringInfo buf, MoPublisherEvent *m)
{
	m->action = get_text(buf);
	m->from_lsn = get_lsn(buf);
	m->to_lsn = get_lsn(buf);
	m->detail = get_text(buf);
}

void
mo_channel_put_ledger(StringInfo buf, const MoLedgerEntry *m)
{
	put_text(buf, m->incarnation);
	put_int64(buf, m->first_lsn);
	put_int64(buf, m->last_lsn);
	put_int32(buf, m->first_xid);
	put_int32(buf, m->last_xid);
	put_int64(buf, m->transactions);
	put_int64(buf, m->events);
	put_int64(buf, m->bytes);
	put_int64(buf, m->kafka_transactions);
	put_int64(buf, m->first_commit);
	put_int64(buf, m->last_commit);
	put_int64(buf, m->published_at);
	put_text(buf, m->offsets);
}

void
mo_channel_get_ledger(StringInfo buf, MoLedgerEntry *m)
{
	m->incarnation = get_text(buf);
	m->first_lsn = get_lsn(buf);
	m->last_lsn = get_lsn(buf);
	m->first_xid = get_uint32(buf);
	m->last_xid = get_uint32(buf);
	m->transactions = get_int64(buf);
	m->events = get_int64(buf);
	m->bytes = get_int64(buf);
	m->kafka_transactions = get_int64(buf);
	m->first_commit = get_int64(buf);
	m->last_commit = get_int64(buf);
	m->published_at = get_int64(buf);
	m->offsets = get_text(buf);
}
