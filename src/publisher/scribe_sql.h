/*-------------------------------------------------------------------------
 *
 * scribe_sql.h
 *	  What a scribe does in the database, one short transaction each.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_SCRIBE_SQL_H
#define MO_SCRIBE_SQL_H

#include "publisher/channel.h"

/* Once, before anything else. */
extern void mo_scribe_sql_init(int32 publisher_id);

/*
 * Results live in the caller's memory context.  An LSN that is returned is
 * the end of the transaction's WAL, and that WAL is flushed.
 */
extern bool mo_scribe_sql_hello(MoHello *hello);	/* false: there is no such
													 * publisher any more */

/*
 * False when the contract's row exists but is not visible yet: whoever wrote
 * it is just committing, and the caller is to ask again shortly.
 */
extern bool mo_scribe_sql_contract(int64 contract_id, MoContractInfo *info);

extern XLogRecPtr mo_scribe_sql_dead_letter(const MoDeadLetter *letter);
extern void mo_scribe_sql_dead_list(XLogRecPtr from, MoDeadList *list);
extern XLogRecPtr mo_scribe_sql_progress(const MoProgress *progress);
extern void mo_scribe_sql_ready(const MoReady *ready);
extern void mo_scribe_sql_attention(const MoAttention *attention);
extern void mo_scribe_sql_event(const MoPublisherEvent *event);
extern void mo_scribe_sql_ledger(int64 batch_no, const MoLedgerEntry *entry);

/* Deletes some outdated ledger rows; true when there may be more. */
extern bool mo_scribe_sql_trim_ledger(int minutes);

/*
 * Does what the mesh's clock asks for.  What goes wrong is logged and left
 * for the next time: it is not the publisher's business.
 */
extern void mo_scribe_sql_run_due(bool retire, int timeout_ms);

/*
 * Deletes events whose product's retention is over from this publisher's
 * outboxes; returns how many.  Errors as above.
 */
extern int64 mo_scribe_sql_purge(int max_events, int timeout_ms);

#endif							/* MO_SCRIBE_SQL_H */
