/*-------------------------------------------------------------------------
 *
 * scribe_statement.c
 *	  The statements of a scribe: their texts, prepared once and kept.
 *
 * Called by scribe_sql.c alone.  search_path is empty in this process, so
 * every name without a schema is pg_catalog's, operators included.  Plans
 * follow changes of the tables by themselves.
 *
 * One statement at a time: its arguments are put one after the other, it is
 * executed, its rows are looked at, all in one transaction.  Errors leave
 * through the caller, who restarts or aborts the transaction.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "utils/builtins.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

#include "mesh_outbox.h"
#include "publisher/scribe_statement.h"

/* Ledger rows looked at in one step of trimming it. */
#define TRIM_STEP	"1000"

/* Newest ledger rows whose offsets stand for the ends of the topics. */
#define OFFSET_ROWS "1000"

#define MAX_ARGUMENTS 16

/* $1 is the publisher's id, but where a statement is about none. */
static const struct
{
	int			nargs;
	Oid			types[MAX_ARGUMENTS];
	const char *text;
}			statements[MO_STATEMENTS] =
{
	[MO_SELECT_PUBLISHER] = {3, {INT4OID, INT8OID, OIDOID},
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

	[MO_SELECT_LEDGER_END] = {1, {INT4OID},
		"SELECT batch_no, last_lsn FROM mesh_outbox.batch"
	" WHERE publisher_id = $1 ORDER BY batch_no DESC LIMIT 1"},

	/* A decision of a person covers what was lost before it. */
	[MO_SELECT_LEDGER_OFFSETS] = {2, {INT4OID, PG_LSNOID},
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

	[MO_SELECT_CONTRACT] = {1, {INT8OID},
		"SELECT product, event_type, topic, partitions,"
		" coalesce(replication, 0), topic_config::text,"
		" content_mode = 'structured', header_set,"
		" ce_type, ce_source, ce_dataschema"
	" FROM mesh_outbox.contract WHERE contract_id = $1"},

	[MO_SELECT_DEAD_LETTERS] = {2, {INT4OID, PG_LSNOID},
		"SELECT branch, commit_lsn, ordinal FROM mesh_outbox.dead_letter"
		" WHERE publisher_id = $1 AND commit_lsn >= $2"
	" ORDER BY commit_lsn, ordinal"},

	[MO_INSERT_DEAD_LETTER] = {16, {INT4OID, TEXTOID, PG_LSNOID, INT8OID, XIDOID,
			TIMESTAMPTZOID, INT4OID, TEXTOID, TEXTOID, INT8OID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID},
		"INSERT INTO mesh_outbox.dead_letter (publisher_id, branch,"
		" commit_lsn, ordinal, xid, commit_time, outbox_id, event_id,"
		" event_type, contract_id, topic, key, payload, headers, reason, detail)"
		" VALUES ($1, $2, $3, $4, $5, $6, $7, $8::uuid, $9, nullif($10, 0),"
		" $11, $12, $13, $14, $15, $16)"
	" ON CONFLICT (publisher_id, branch, commit_lsn, ordinal) DO NOTHING"},

	[MO_UPDATE_PROGRESS] = {5, {INT4OID, PG_LSNOID, PG_LSNOID, INT8OID, INT8OID},
		"UPDATE mesh_outbox.progress SET lsn = $2, marker_lsn = $3,"
		" marker_xid = $4, marker_time = $5, written_at = clock_timestamp()"
	" WHERE publisher_id = $1"},

	[MO_INSERT_PROGRESS] = {5, {INT4OID, INT8OID, OIDOID, TEXTOID, PG_LSNOID},
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

	[MO_UPDATE_ATTENTION] = {4, {INT4OID, TEXTOID, TEXTOID, TEXTOID},
		"UPDATE mesh_outbox.progress SET attention = nullif($2, ''),"
		" attention_detail = nullif($3, ''), attention_hint = nullif($4, ''),"
		" attention_since = CASE WHEN $2 = '' THEN NULL"
		" WHEN attention IS DISTINCT FROM $2 THEN clock_timestamp()"
		" ELSE attention_since END"
	" WHERE publisher_id = $1"},

	[MO_CLEAR_RESUME_FROM] = {1, {INT4OID},
		"UPDATE mesh_outbox.publisher SET resume_from = NULL,"
		" resume_lsn = NULL"
	" WHERE publisher_id = $1 AND resume_from IS NOT NULL"},

	[MO_INSERT_EVENT] = {5, {INT4OID, TEXTOID, PG_LSNOID, PG_LSNOID, TEXTOID},
		"INSERT INTO mesh_outbox.publisher_event"
		" (publisher_id, action, from_lsn, to_lsn, detail)"
	" VALUES ($1, $2, nullif($3, '0/0'), nullif($4, '0/0'), $5)"},

	[MO_INSERT_BATCH] = {15, {INT4OID, INT8OID, TEXTOID, PG_LSNOID, PG_LSNOID,
			XIDOID, XIDOID, INT8OID, INT8OID, INT8OID, INT8OID, TEXTOID,
	TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID},
		"INSERT INTO mesh_outbox.batch (publisher_id, batch_no, incarnation,"
		" first_lsn, last_lsn, first_xid, last_xid, transactions, events,"
		" bytes, kafka_transactions, offsets, first_commit, last_commit,"
		" published_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
	" $12::jsonb, $13, $14, $15)"},

	/* The newest row stays: recovery compares the marker with it. */
	[MO_DELETE_BATCHES] = {2, {INT4OID, INT4OID},
		"DELETE FROM mesh_outbox.batch AS d USING ("
		"SELECT batch_no, published_at FROM mesh_outbox.batch"
		" WHERE publisher_id = $1 ORDER BY batch_no LIMIT " TRIM_STEP ") AS o"
		" WHERE d.publisher_id = $1 AND d.batch_no = o.batch_no"
		" AND o.published_at < now() - make_interval(mins => $2)"
		" AND d.batch_no < (SELECT max(batch_no) FROM mesh_outbox.batch"
	" WHERE publisher_id = $1)"},

	[MO_RUN_DUE] = {1, {BOOLOID}, "SELECT count(*) FROM mesh_outbox.run_due($1)"},

	[MO_PURGE] = {2, {INT4OID, INT4OID}, "SELECT mesh_outbox.purge_expired($1, $2)"},
};

static SPIPlanPtr plans[MO_STATEMENTS];

/* Where results go: the context of whoever asked. */
static MemoryContext caller_context;

/* Arguments of the next statement. */
static int	nargs;
static Datum args[MAX_ARGUMENTS];
static char nulls[MAX_ARGUMENTS + 1];

void
mo_statement_begin(bool durable)
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

MemoryContext
mo_statement_caller(void)
{
	return caller_context;
}

void
mo_statement_end(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(false);
	pgstat_report_activity(STATE_IDLE, NULL);
	MemoryContextSwitchTo(caller_context);
}

void
mo_statement_start(void)
{
	nargs = 0;
	memset(nulls, ' ', sizeof(nulls) - 1);
}

void
mo_statement_put(Datum value)
{
	Assert(nargs < MAX_ARGUMENTS);
	args[nargs++] = value;
}

void
mo_statement_put_text(const char *text)
{
	Assert(nargs < MAX_ARGUMENTS);
	if (text == NULL)
		nulls[nargs] = 'n';
	args[nargs++] = text ? CStringGetTextDatum(text) : (Datum) 0;
}

void
mo_statement_execute(MoStatement s)
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

Datum
mo_statement_get(uint64 row, int number)
{
	bool		null;
	Datum		value = SPI_getbinval(SPI_tuptable->vals[row],
									  SPI_tuptable->tupdesc, number, &null);

	return null ? (Datum) 0 : value;
}

char *
mo_statement_get_text(uint64 row, int number)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row],
									SPI_tuptable->tupdesc, number);

	return text ? MemoryContextStrdup(caller_context, text) : NULL;
}
