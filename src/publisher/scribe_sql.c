/*-------------------------------------------------------------------------
 *
 * scribe_sql.c
 *	  What a scribe does in the database, one short transaction each.
 *
 * search_path is empty in this process, so every name without a schema is
 * pg_catalog's, operators included.  Statements are prepared once and kept;
 * their plans follow changes of the tables by themselves.
 *
 * The process commits with synchronous_commit = local: what the publisher
 * builds upon must be flushed here, and waiting for standbys is the
 * publisher's business, which does not stop for it.  What nothing is built
 * upon (ledger, events) is committed asynchronously.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/table.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/guc.h"
#include "utils/lsyscache.h"
#include "utils/pg_lsn.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "mesh_outbox.h"
#include "publisher/scribe_sql.h"

/* Ledger rows looked at in one step of trimming it. */
#define TRIM_STEP	"1000"

/* Newest ledger rows whose offsets stand for the ends of the topics. */
#define OFFSET_ROWS "1000"

#define MAX_ARGUMENTS 16

typedef enum Statement
{
	SELECT_PUBLISHER,
	SELECT_LEDGER_END,
	SELECT_LEDGER_OFFSETS,
	SELECT_CONTRACT,
	SELECT_DEAD_LETTERS,
	INSERT_DEAD_LETTER,
	UPDATE_PROGRESS,
	INSERT_PROGRESS,
	UPDATE_ATTENTION,
	CLEAR_RESUME_FROM,
	INSERT_EVENT,
	INSERT_BATCH,
	DELETE_BATCHES,
	RUN_DUE,
	PURGE,
	STATEMENTS
} Statement;

/* $1 is the publisher's id, but where a statement is about none. */
static const struct
{
	int			nargs;
	Oid			types[MAX_ARGUMENTS];
	const char *text;
}			statements[STATEMENTS] =
{
	[SELECT_PUBLISHER] = {3, {INT4OID, INT8OID, OIDOID},
		"SELECT p.name, p.brokers, p.options::text, coalesce(p.resume_from, ''),"
		" to_regprocedure('" MO_SCHEMA "." MO_CHECK_FUNCTION "()')::oid,"
		" g.slot_name::text, g.ready_lsn, g.lsn, g.marker_lsn, g.marker_xid,"
		" g.marker_time, g.attention IS NOT NULL,"
		" to_regclass('mesh_outbox.control_event')::oid, p.resume_lsn,"
		" mesh_outbox.marker_group(p),"
		" EXISTS (SELECT FROM pg_replication_slots AS r"
		"  WHERE r.slot_name = g.slot_name AND r.wal_status <> 'lost')"
		" FROM mesh_outbox.publisher AS p"
		" LEFT JOIN mesh_outbox.progress AS g"
		"  ON g.publisher_id = p.publisher_id"
		"  AND g.system_identifier = $2 AND g.database_oid = $3"
	" WHERE p.publisher_id = $1"},

	[SELECT_LEDGER_END] = {1, {INT4OID},
		"SELECT batch_no, last_lsn FROM mesh_outbox.batch"
	" WHERE publisher_id = $1 ORDER BY batch_no DESC LIMIT 1"},

	/* A decision of a person covers what was lost before it. */
	[SELECT_LEDGER_OFFSETS] = {2, {INT4OID, PG_LSNOID},
		"SELECT jsonb_object_agg(topic, ends)::text FROM ("
		"SELECT topic, jsonb_object_agg(partition, last) AS ends FROM ("
		"SELECT t.key AS topic, p.key AS partition,"
		" max((p.value ->> 1)::bigint) AS last FROM ("
		"SELECT offsets FROM mesh_outbox.batch WHERE publisher_id = $1"
		" AND last_lsn >= $2"
		" AND published_at > coalesce((SELECT max(at)"
		"  FROM mesh_outbox.publisher_event WHERE publisher_id = $1"
		"  AND action LIKE 'resume from %'), '-infinity')"
		" ORDER BY batch_no DESC LIMIT " OFFSET_ROWS ") AS b,"
		" jsonb_each(b.offsets) AS t, jsonb_each(t.value) AS p"
	" GROUP BY 1, 2) AS x GROUP BY 1) AS y"},

	[SELECT_CONTRACT] = {1, {INT8OID},
		"SELECT product, event_type, topic, partitions,"
		" coalesce(replication, 0), topic_config::text,"
		" content_mode = 'structured', header_set,"
		" ce_type, ce_source, ce_dataschema"
	" FROM mesh_outbox.contract WHERE contract_id = $1"},

	[SELECT_DEAD_LETTERS] = {2, {INT4OID, PG_LSNOID},
		"SELECT branch, commit_lsn, ordinal FROM mesh_outbox.dead_letter"
		" WHERE publisher_id = $1 AND commit_lsn >= $2"
	" ORDER BY commit_lsn, ordinal"},

	[INSERT_DEAD_LETTER] = {16, {INT4OID, TEXTOID, PG_LSNOID, INT8OID, XIDOID,
			TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, INT8OID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
		"INSERT INTO mesh_outbox.dead_letter (publisher_id, branch,"
		" commit_lsn, ordinal, xid, commit_time, outbox_id, event_id,"
		" event_type, contract_id, topic, key, payload, headers, reason, detail)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8::uuid, $9, nullif($10, 0),"
		" $11, $12, $13, $14, $15, $16)"
	" ON CONFLICT (publisher_id, branch, commit_lsn, ordinal) DO NOTHING"},

	[UPDATE_PROGRESS] = {5, {INT4OID, PG_LSNOID, PG_LSNOID, INT8OID, INT8OID},
		"UPDATE mesh_outbox.progress SET lsn = $2, marker_lsn = $3,"
		" marker_xid = $4, marker_time = $5, written_at = clock_timestamp()"
	" WHERE publisher_id = $1"},

	[INSERT_PROGRESS] = {5, {INT4OID, INT8OID, OIDOID, TEXTOID, PG_LSNOID},
		"INSERT INTO mesh_outbox.progress (publisher_id, system_identifier,"
		" database_oid, slot_name, ready_lsn, lsn, marker_lsn, marker_xid,"
		" marker_time) VALUES ($1, $2, $3, $4, $5, $5, '0/0', 0, 0)"
		" ON CONFLICT (publisher_id) DO UPDATE SET"
		" (system_identifier, database_oid, slot_name, ready_lsn, lsn,"
		" marker_lsn, marker_xid, marker_time, attention, attention_detail,"
		" attention_hint, attention_since, written_at) ="
		" (excluded.system_identifier, excluded.database_oid,"
		" excluded.slot_name, excluded.ready_lsn, excluded.lsn,"
		" excluded.marker_lsn, excluded.marker_xid, excluded.marker_time,"
	" NULL, NULL, NULL, NULL, clock_timestamp())"},

	[UPDATE_ATTENTION] = {4, {INT4OID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE mesh_outbox.progress SET attention = nullif($2, ''),"
		" attention_detail = nullif($3, ''), attention_hint = nullif($4, ''),"
		" attention_since = CASE WHEN $2 = '' THEN NULL"
		" WHEN attention IS DISTINCT FROM $2 THEN clock_timestamp()"
		" ELSE attention_since END"
	" WHERE publisher_id = $1"},

	[CLEAR_RESUME_FROM] = {1, {INT4OID},
		"UPDATE mesh_outbox.publisher SET resume_from = NULL,"
		" resume_lsn = NULL"
	" WHERE publisher_id = $1 AND resume_from IS NOT NULL"},

	[INSERT_EVENT] = {5, {INT4OID, TEXTOID, PG_LSNOID, PG_LSNOID, TEXTOID},
		"INSERT INTO mesh_outbox.publisher_event"
		" (publisher_id, action, from_lsn, to_lsn, detail)"
	" VALUES ($1, $2, nullif($3, '0/0'), nullif($4, '0/0'), $5)"},

	[INSERT_BATCH] = {15, {INT4OID, INT8OID, TEXTOID, PG_LSNOID, PG_LSNOID,
			XIDOID, XIDOID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
		"INSERT INTO mesh_outbox.batch (publisher_id, batch_no, incarnation,"
		" first_lsn, last_lsn, first_xid, last_xid, transactions, events,"
		" bytes, kafka_transactions, offsets, first_commit, last_commit,"
		" published_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
	" $12::jsonb, $13, $14, $15)"},

	/* The newest row stays: recovery compares the marker with it. */
	[DELETE_BATCHES] = {2, {INT4OID, INT4OID},
		"DELETE FROM mesh_outbox.batch AS d USING ("
		"SELECT batch_no, published_at FROM mesh_outbox.batch"
		" WHERE publisher_id = $1 ORDER BY batch_no LIMIT " TRIM_STEP ") AS o"
		" WHERE d.publisher_id = $1 AND d.batch_no = o.batch_no"
		" AND o.published_at < now() - make_interval(mins => $2)"
		" AND d.batch_no < (SELECT max(batch_no) FROM mesh_outbox.batch"
	" WHERE publisher_id = $1)"},

	[RUN_DUE] = {1, {BOOLOID}, "SELECT count(*) FROM mesh_outbox.run_due($1)"},

	[PURGE] = {2, {INT4OID, INT4OID}, "SELECT mesh_outbox.purge_expired($1, $2)"},
};

static SPIPlanPtr plans[STATEMENTS];
static int32 my_publisher_id;

/* Where results go: the context of whoever asked. */
static MemoryContext caller_context;

/* Arguments of the next statement. */
static int	nargs;
static Datum args[MAX_ARGUMENTS];
static char nulls[MAX_ARGUMENTS + 1];

static void
begin(bool durable)
{
	caller_context = CurrentMemoryContext;
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	if (!durable)
		(void) set_config_option("synchronous_commit", "off", PGC_USERSET,
								 PGC_S_SESSION, GUC_ACTION_LOCAL,
								 true, 0, false);
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
end(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(caller_context);
}

/* Starts a statement's arguments; the first is the publisher. */
static void
arguments(void)
{
	nargs = 0;
	memset(nulls, ' ', sizeof(nulls) - 1);
	args[nargs++] = Int32GetDatum(my_publisher_id);
}

static void
put(Datum value)
{
	Assert(nargs < MAX_ARGUMENTS);
	args[nargs++] = value;
}

static void
put_text(const char *text)
{
	Assert(nargs < MAX_ARGUMENTS);
	if (text == NULL)
		nulls[nargs] = 'n';
	args[nargs++] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

static void
execute(Statement s)
{
	int			result;

	Assert(nargs == statements[s].nargs);
	pgstat_report_activity(STATE_RUNNING, statements[s].text);
	if (plans[s] == NULL)
	{
		SPIPlanPtr	plan = SPI_prepare(statements[s].text, statements[s].nargs,
									   (Oid *) statements[s].types);

		if (plan == NULL || SPI_keepplan(plan) != 0)
			elog(ERROR, "could not prepare \"%s\": %s", statements[s].text,
				 SPI_result_code_string(SPI_result));
		plans[s] = plan;
	}
	result = SPI_execute_plan(plans[s], args, nulls, false, 0);
	if (result < 0)
		elog(ERROR, "could not execute \"%s\": %s", statements[s].text,
			 SPI_result_code_string(result));
}

/* Column of a result row; 0 when it is null. */
static Datum
get(uint64 row, int number)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, number, &null);

	return null ? (Datum) 0 : value;
}

static char *
get_text(uint64 row, int number)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row],
									SPI_tuptable->tupdesc, number);

	return text ? MemoryContextStrdup(caller_context, text) : NULL;
}

/*
 * The end of the WAL of the transaction that has just been committed.  One
 * that found nothing to write relies on what scribes wrote before; that was
 * flushed before it could be seen.
 */
static XLogRecPtr
commit_durably(bool wrote)
{
	end();
	return wrote ? XactLastCommitEnd : GetFlushRecPtr(NULL);
}

void
mo_scribe_sql_init(int32 publisher_id)
{
	my_publisher_id = publisher_id;
	SetConfigOption("synchronous_commit", "local",
					PGC_USERSET, PGC_S_SESSION);
}

static bool
read_publisher(MoHello *hello)
{
	arguments();
	put(Int64GetDatum((int64) GetSystemIdentifier()));
	put(ObjectIdGetDatum(MyDatabaseId));
	execute(SELECT_PUBLISHER);
	if (SPI_processed != 1)
		return false;

	hello->publisher_id = my_publisher_id;
	hello->name = get_text(0, 1);
	hello->brokers = get_text(0, 2);
	hello->options = get_text(0, 3);
	hello->resume_from = get_text(0, 4);
	hello->check_function = DatumGetObjectId(get(0, 5));
	hello->progress_slot = get_text(0, 6);
	hello->has_progress = hello->progress_slot != NULL;
	hello->ready_lsn = DatumGetLSN(get(0, 7));
	hello->progress_lsn = DatumGetLSN(get(0, 8));
	hello->progress_marker_lsn = DatumGetLSN(get(0, 9));
	hello->progress_marker_xid = DatumGetInt64(get(0, 10));
	hello->progress_marker_time = DatumGetInt64(get(0, 11));
	hello->has_attention = DatumGetBool(get(0, 12));
	hello->control_table = DatumGetObjectId(get(0, 13));
	hello->resume_lsn = DatumGetLSN(get(0, 14));
	hello->marker_group = get_text(0, 15);
	hello->slot_is_there = DatumGetBool(get(0, 16));
	return true;
}

/*
 * Rows from before the slot may have come with a copy of another database, or
 * through pg_upgrade: their numbers are taken, but Kafka is not to be compared
 * with them.
 */
static void
read_ledger(MoHello *hello)
{
	arguments();
	execute(SELECT_LEDGER_END);
	if (SPI_processed > 0)
	{
		XLogRecPtr	last_lsn = DatumGetLSN(get(0, 2));

		hello->ledger_batch_no = DatumGetInt64(get(0, 1));
		if (hello->has_progress && last_lsn >= hello->ready_lsn)
			hello->ledger_lsn = last_lsn;
	}
	if (!hello->has_progress)
		return;
	arguments();
	put(LSNGetDatum(hello->ready_lsn));
	execute(SELECT_LEDGER_OFFSETS);
	hello->ledger_offsets = get_text(0, 1);
}

bool
mo_scribe_sql_hello(MoHello *hello)
{
	bool		exists;

	memset(hello, 0, sizeof(MoHello));
	begin(true);
	exists = read_publisher(hello);
	if (exists)
		read_ledger(hello);
	hello->slot_name = MemoryContextStrdup(caller_context,
										   psprintf(MO_LIBRARY "_%u_%d", MyDatabaseId, my_publisher_id));
	end();
	return exists;
}

/*
 * Is there a row of the contract that the last snapshot did not show?  A
 * transaction is in the WAL, and so may have been decoded, a moment before
 * snapshots take it for committed; with a synchronous standby that moment
 * lasts as long as the standby is away.
 */
static bool
is_being_committed(int64 contract_id)
{
	Relation	relation = table_open(get_relname_relid("contract",
														get_namespace_oid(MO_SCHEMA, false)),
									  AccessShareLock);
	SnapshotData dirty;
	ScanKeyData key;
	SysScanDesc scan;
	bool		exists;

	InitDirtySnapshot(dirty);
	ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT8EQ,
				Int64GetDatum(contract_id));
	scan = systable_beginscan(relation, mo_compat_primary_key_index(relation),
							  true, &dirty, 1, &key);
	exists = HeapTupleIsValid(systable_getnext(scan));
	systable_endscan(scan);
	table_close(relation, AccessShareLock);
	return exists;
}

static void
read_contract(MoContractInfo *info)
{
	info->found = true;
	info->product = get_text(0, 1);
	info->event_type = get_text(0, 2);
	info->topic = get_text(0, 3);
	info->partitions = DatumGetInt32(get(0, 4));
	info->replication = DatumGetInt32(get(0, 5));
	info->topic_config = get_text(0, 6);
	info->structured = DatumGetBool(get(0, 7));
	info->header_set = get_text(0, 8)[0];
	info->ce_type = get_text(0, 9);
	info->ce_source = get_text(0, 10);
	info->ce_dataschema = get_text(0, 11);
}

bool
mo_scribe_sql_contract(int64 contract_id, MoContractInfo *info)
{
	bool		settled = true;

	memset(info, 0, sizeof(MoContractInfo));
	info->contract_id = contract_id;

	begin(true);
	nargs = 0;
	put(Int64GetDatum(contract_id));
	execute(SELECT_CONTRACT);
	if (SPI_processed > 0)
		read_contract(info);
	else
		settled = !is_being_committed(contract_id);
	end();
	return settled;
}

XLogRecPtr
mo_scribe_sql_dead_letter(const MoDeadLetter *letter)
{
	bool		wrote;

	begin(true);
	arguments();
	put_text(letter->branch);
	put(LSNGetDatum(letter->commit_lsn));
	put(Int64GetDatum(letter->ordinal));
	put(TransactionIdGetDatum(letter->xid));
	put(TimestampTzGetDatum(letter->commit_time));
	put(Int32GetDatum(letter->outbox_id));
	put_text(letter->event_id);
	put_text(letter->event_type);
	put(Int64GetDatum(letter->contract_id));
	put_text(letter->topic);
	put_text(letter->key);
	put_text(letter->payload);
	put_text(letter->headers);
	put_text(letter->reason);
	put_text(letter->detail);
	execute(INSERT_DEAD_LETTER);
	wrote = SPI_processed > 0;
	return commit_durably(wrote);
}

void
mo_scribe_sql_dead_list(XLogRecPtr from, MoDeadList *list)
{
	begin(true);
	arguments();
	put(LSNGetDatum(from));
	execute(SELECT_DEAD_LETTERS);

	list->n = (int32) SPI_processed;
	list->letters = MemoryContextAlloc(caller_context,
									   sizeof(MoDeadLetterId) * Max(list->n, 1));
	for (int i = 0; i < list->n; i++)
	{
		list->letters[i].branch = get_text(i, 1);
		list->letters[i].commit_lsn = DatumGetLSN(get(i, 2));
		list->letters[i].ordinal = DatumGetInt64(get(i, 3));
	}
	list->record_lsn = commit_durably(false);
}

XLogRecPtr
mo_scribe_sql_progress(const MoProgress *progress)
{
	begin(true);
	arguments();
	put(LSNGetDatum(progress->lsn));
	put(LSNGetDatum(progress->marker_lsn));
	put(Int64GetDatum(progress->marker_xid));
	put(Int64GetDatum(progress->marker_time));
	execute(UPDATE_PROGRESS);
	if (SPI_processed != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("publisher %d has no row in mesh_outbox.progress",
						my_publisher_id)));
	return commit_durably(true);
}

void
mo_scribe_sql_ready(const MoReady *ready)
{
	begin(true);
	arguments();
	put(Int64GetDatum((int64) GetSystemIdentifier()));
	put(ObjectIdGetDatum(MyDatabaseId));
	put_text(ready->slot_name);
	put(LSNGetDatum(ready->ready_lsn));
	execute(INSERT_PROGRESS);
	end();
}

void
mo_scribe_sql_attention(const MoAttention *attention)
{
	begin(true);
	arguments();
	put_text(attention->what);
	put_text(attention->detail);
	put_text(attention->hint);
	execute(UPDATE_ATTENTION);
	if (attention->what[0] == '\0')
	{
		arguments();
		execute(CLEAR_RESUME_FROM);
	}
	end();
}

void
mo_scribe_sql_event(const MoPublisherEvent *event)
{
	begin(false);
	arguments();
	put_text(event->action);
	put(LSNGetDatum(event->from_lsn));
	put(LSNGetDatum(event->to_lsn));
	put_text(event->detail);
	execute(INSERT_EVENT);
	end();
}

void
mo_scribe_sql_ledger(int64 batch_no, const MoLedgerEntry *entry)
{
	begin(false);
	arguments();
	put(Int64GetDatum(batch_no));
	put_text(entry->incarnation);
	put(LSNGetDatum(entry->first_lsn));
	put(LSNGetDatum(entry->last_lsn));
	put(TransactionIdGetDatum(entry->first_xid));
	put(TransactionIdGetDatum(entry->last_xid));
	put(Int64GetDatum(entry->transactions));
	put(Int64GetDatum(entry->events));
	put(Int64GetDatum(entry->bytes));
	put(Int64GetDatum(entry->kafka_transactions));
	put_text(entry->offsets);
	put(TimestampTzGetDatum(entry->first_commit));
	put(TimestampTzGetDatum(entry->last_commit));
	put(TimestampTzGetDatum(entry->published_at));
	execute(INSERT_BATCH);
	end();
}

bool
mo_scribe_sql_trim_ledger(int minutes)
{
	bool		more;

	begin(false);
	arguments();
	put(Int32GetDatum(minutes));
	execute(DELETE_BATCHES);
	more = SPI_processed > 0;
	end();
	return more;
}

/*
 * Calls a function with the arguments that are put already, and returns its
 * bigint; 0 if it failed or took too long, which is logged.
 */
static int64
call_in_time(Statement s, int timeout_ms)
{
	MemoryContext caller = CurrentMemoryContext;
	volatile int64 result = 0;

	PG_TRY();
	{
		begin(true);
		enable_timeout_after(STATEMENT_TIMEOUT, timeout_ms);
		execute(s);
		result = DatumGetInt64(get(0, 1));
		disable_timeout(STATEMENT_TIMEOUT, false);
		end();
	}
	PG_CATCH();
	{
		/* The time limit must not strike while this is cleaned up. */
		HOLD_INTERRUPTS();
		disable_timeout(STATEMENT_TIMEOUT, false);
		QueryCancelPending = false;
		EmitErrorReport();
		AbortCurrentTransaction();
		MemoryContextSwitchTo(caller);
		FlushErrorState();
		pgstat_report_activity(STATE_IDLE, NULL);
		RESUME_INTERRUPTS();
		result = 0;
	}
	PG_END_TRY();
	return result;
}

void
mo_scribe_sql_run_due(bool retire, int timeout_ms)
{
	nargs = 0;
	put(BoolGetDatum(retire));
	(void) call_in_time(RUN_DUE, timeout_ms);
}

int64
mo_scribe_sql_purge(int max_events, int timeout_ms)
{
	arguments();
	put(Int32GetDatum(max_events));
	return call_in_time(PURGE, timeout_ms);
}
