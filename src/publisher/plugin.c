/*-------------------------------------------------------------------------
 *
 * plugin.c
 *	  Output plugin: from decoded changes to rows of outboxes.
 *
 * Called by core's logical decoding inside the publisher (decode.c), never by
 * a walsender: a slot made by anybody else with this plugin is refused at
 * start-up, so that nobody reads another domain's events through it.
 *
 * Whether a table is an outbox, whose it is and how its columns are called
 * says its check trigger, which core shows as it was when the row was
 * written: relation->trigdesc comes from the historic catalog.  Nothing is
 * looked up as of now.  What the trigger says is remembered per relation and
 * forgotten at every relcache invalidation of it; the decoding stream carries
 * those in the right places.
 *
 * Control events come as rows too, of one table of the extension: rows, unlike
 * logical messages, can only be written by who has the right to.  They are for
 * the publisher that they name.  The table lives as long as the extension, so
 * its OID of now is its OID of then.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "catalog/pg_trigger.h"
#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "replication/logical.h"
#include "replication/output_plugin.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/rel.h"

#include "compat.h"
#include "mesh_outbox.h"
#include "publisher/foreign.h"
#include "publisher/plugin.h"

/* Decoded changes between two turns of the sink: a millisecond or two. */
#define TURN_CHANGES	1024

/* The columns of an outbox that travel. */
typedef enum OutboxColumn
{
	COL_EVENT_ID,
	COL_EVENT_TYPE,
	COL_KEY,
	COL_PAYLOAD,
	COL_EVENT_TIME,
	COL_HEADERS,
	COL_CORRELATION_ID,
	COL_CAUSATION_ID,
	COL_TRACEPARENT,
	COL_CONTRACT_ID,
	COL_CREATED_AT,
	/* of the table of control events only */
	COL_PARTITION,
	COL_PUBLISHER_ID,
	COL_OUTBOX_ID,
	NUM_COLUMNS
} OutboxColumn;

#define NUM_OUTBOX_COLUMNS COL_PARTITION

/* Name and type; a column of another type is treated as absent. */
static const struct
{
	const char *name;
	Oid			type;
}			columns[NUM_COLUMNS] =
{
	[COL_EVENT_ID] = {"event_id", UUIDOID},
	[COL_EVENT_TYPE] = {"event_type", TEXTOID},
	[COL_KEY] = {"key", TEXTOID},
	[COL_PAYLOAD] = {"payload", JSONBOID},
	[COL_EVENT_TIME] = {"event_time", TIMESTAMPTZOID},
	[COL_HEADERS] = {"headers", JSONBOID},
	[COL_CORRELATION_ID] = {"correlation_id", TEXTOID},
	[COL_CAUSATION_ID] = {"causation_id", TEXTOID},
	[COL_TRACEPARENT] = {"traceparent", TEXTOID},
	[COL_CONTRACT_ID] = {"contract_id", INT8OID},
	[COL_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
	[COL_PARTITION] = {"partition", INT4OID},
	[COL_PUBLISHER_ID] = {"publisher_id", INT4OID},
	[COL_OUTBOX_ID] = {"outbox_id", INT4OID},
};

/* What a relation's trigger says; valid until the relation is invalidated. */
typedef struct TableEntry
{
	Oid			relid;			/* hash key */
	bool		mine;			/* an outbox of this publisher, or … */
	bool		control;		/* … the table of control events */
	int32		outbox_id;
	AttrNumber	attnum[NUM_COLUMNS];	/* 0 = no such column */
} TableEntry;

/*
 * The running decoding's plugin state: the relcache callback cannot be
 * unregistered and gets no pointer that would be safe to keep.
 */
static MoPlugin *active;

/* Set in publishers; every other process is refused. */
static bool trusted = false;

static void plugin_startup(LogicalDecodingContext *ctx,
						   OutputPluginOptions *options, bool is_init);
static void plugin_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn);
static void plugin_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						  Relation relation, ReorderBufferChange *change);
static void plugin_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
						  XLogRecPtr commit_lsn);
static void plugin_stream_abort(LogicalDecodingContext *ctx,
								ReorderBufferTXN *txn, XLogRecPtr abort_lsn);

void
_PG_output_plugin_init(OutputPluginCallbacks *cb)
{
	cb->startup_cb = plugin_startup;
	cb->begin_cb = plugin_begin;
	cb->change_cb = plugin_change;
	cb->commit_cb = plugin_commit;
	cb->stream_abort_cb = plugin_stream_abort;
}

/* Forgets one relation, or all of them when relid is InvalidOid. */
static void
invalidate_table(Datum arg, Oid relid)
{
	HASH_SEQ_STATUS status;
	TableEntry *entry;

	if (active == NULL)
		return;
	if (OidIsValid(relid))
	{
		hash_search(active->tables, &relid, HASH_REMOVE, NULL);
		return;
	}
	hash_seq_init(&status, active->tables);
	while ((entry = hash_seq_search(&status)) != NULL)
		hash_search(active->tables, &entry->relid, HASH_REMOVE, NULL);
}

/* Prepares the state; "context" must live as long as the decoding. */
void
mo_plugin_init(MoPlugin *plugin, MemoryContext context)
{
	static bool registered = false;
	HASHCTL		ctl = {
		.keysize = sizeof(Oid),
		.entrysize = sizeof(TableEntry),
		.hcxt = context,
	};

	plugin->tables = hash_create("mesh_outbox tables", 64, &ctl,
								 HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	plugin->row_context = AllocSetContextCreate(context, "mesh_outbox row",
												ALLOCSET_DEFAULT_SIZES);
	plugin->rows = 0;
	active = plugin;
	if (!registered)
	{
		CacheRegisterRelcacheCallback(invalidate_table, (Datum) 0);
		registered = true;
	}
}

static void
plugin_startup(LogicalDecodingContext *ctx, OutputPluginOptions *options,
			   bool is_init)
{
	options->output_type = OUTPUT_PLUGIN_BINARY_OUTPUT;
	/* Core takes it for wanted since there is a callback for it. */
	ctx->streaming = false;

	if (!trusted)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("output plugin \"%s\" serves the publishers of mesh_outbox only",
						MO_LIBRARY),
				 errhint("Create a publisher with mesh_outbox.create_publisher(), and consume its topics.")));
}

/* Lets this process, a publisher, decode with the plugin. */
void
mo_plugin_trust_process(void)
{
	trusted = true;
}

/* ---------------------------------------------------------------------
 * Tables
 * ---------------------------------------------------------------------
 */

/* The attribute called "name", if it has that type; else 0. */
static AttrNumber
find_column(TupleDesc desc, const char *name, Oid type)
{
	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->atttypid == type &&
			strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	return 0;
}

/* What the table calls our column: an argument "ours=theirs", or the same. */
static const char *
column_name(const Trigger *trigger, const char *ours)
{
	size_t		length = strlen(ours);

	for (int i = 2; i < trigger->tgnargs; i++)
	{
		const char *arg = trigger->tgargs[i];

		if (strncmp(arg, ours, length) == 0 && arg[length] == '=')
			return arg + length + 1;
	}
	return ours;
}

/*
 * The enabled check trigger of a relation, or NULL: not an outbox.
 *
 * VACUUM clears pg_class.relhastriggers in place, when it finds no triggers
 * any more, and then core shows none for the time either when there were
 * some.  pg_trigger itself is as it was.
 */
static const Trigger *
find_trigger(Relation relation, Oid check_function)
{
	TriggerDesc *desc;

	if (relation->trigdesc == NULL)
		RelationBuildTriggers(relation);
	desc = relation->trigdesc;
	if (desc == NULL || !desc->trig_insert_before_row)
		return NULL;
	for (int i = 0; i < desc->numtriggers; i++)
	{
		const Trigger *trigger = &desc->triggers[i];

		if (trigger->tgfoid == check_function &&
			TRIGGER_FOR_ROW(trigger->tgtype) &&
			TRIGGER_FOR_INSERT(trigger->tgtype) &&
			trigger->tgenabled != TRIGGER_DISABLED &&
			trigger->tgnargs >= 2)
			return trigger;
	}
	return NULL;
}

static TableEntry *
lookup_table(MoPlugin *plugin, Relation relation)
{
	Oid			relid = RelationGetRelid(relation);
	TableEntry *entry;
	const Trigger *trigger;
	bool		found;

	entry = hash_search(plugin->tables, &relid, HASH_ENTER, &found);
	if (found)
		return entry;

	entry->mine = false;
	entry->control = relid == plugin->control_table;
	if (entry->control)
	{
		entry->mine = true;
		entry->outbox_id = 0;
		for (int i = 0; i < NUM_COLUMNS; i++)
			entry->attnum[i] = find_column(RelationGetDescr(relation),
										   columns[i].name, columns[i].type);
		return entry;
	}
	trigger = find_trigger(relation, plugin->check_function);
	if (trigger == NULL || atoi(trigger->tgargs[1]) != plugin->publisher_id)
		return entry;

	entry->mine = true;
	entry->outbox_id = atoi(trigger->tgargs[0]);
	memset(entry->attnum, 0, sizeof(entry->attnum));
	for (int i = 0; i < NUM_OUTBOX_COLUMNS; i++)
		entry->attnum[i] = find_column(RelationGetDescr(relation),
									   column_name(trigger, columns[i].name),
									   columns[i].type);
	return entry;
}

/* ---------------------------------------------------------------------
 * Rows
 * ---------------------------------------------------------------------
 */

/* Values by our numbering; NULL where the row or the table has none. */
static void
deform_row(const TableEntry *entry, TupleDesc desc, HeapTuple tuple,
		   Datum *values, bool *nulls)
{
	Datum	   *all = palloc(desc->natts * sizeof(Datum));
	bool	   *allnulls = palloc(desc->natts * sizeof(bool));

	heap_deform_tuple(tuple, desc, all, allnulls);
	for (int i = 0; i < NUM_COLUMNS; i++)
	{
		AttrNumber	attnum = entry->attnum[i];

		nulls[i] = attnum == 0 || allnulls[attnum - 1];
		values[i] = nulls[i] ? (Datum) 0 : all[attnum - 1];
	}
}

static char *
text_or_null(Datum value, bool null)
{
	return null ? NULL : TextDatumGetCString(value);
}

static void
fill_row(MoRow *row, const Datum *v, const bool *n)
{
	row->partition = n[COL_PARTITION] ? 0 : DatumGetInt32(v[COL_PARTITION]);
	row->contract_id = n[COL_CONTRACT_ID] ? 0 : DatumGetInt64(v[COL_CONTRACT_ID]);
	row->has_event_id = !n[COL_EVENT_ID];
	if (row->has_event_id)
		row->event_id = *DatumGetUUIDP(v[COL_EVENT_ID]);
	row->has_event_time = !n[COL_EVENT_TIME];
	row->event_time = n[COL_EVENT_TIME] ? 0 : DatumGetTimestampTz(v[COL_EVENT_TIME]);
	row->created_at = n[COL_CREATED_AT] ? 0 : DatumGetTimestampTz(v[COL_CREATED_AT]);
	row->event_type = text_or_null(v[COL_EVENT_TYPE], n[COL_EVENT_TYPE]);
	row->key = text_or_null(v[COL_KEY], n[COL_KEY]);
	/* The reorder buffer frees out-of-line values after the callback. */
	row->payload = n[COL_PAYLOAD] ? NULL : DatumGetJsonbP(v[COL_PAYLOAD]);
	row->headers = n[COL_HEADERS] ? NULL : DatumGetJsonbP(v[COL_HEADERS]);
	row->correlation_id = text_or_null(v[COL_CORRELATION_ID], n[COL_CORRELATION_ID]);
	row->causation_id = text_or_null(v[COL_CAUSATION_ID], n[COL_CAUSATION_ID]);
	row->traceparent = text_or_null(v[COL_TRACEPARENT], n[COL_TRACEPARENT]);
}

/* Is the row for this publisher? */
static bool
is_addressed(const MoPlugin *plugin, const TableEntry *entry,
			 const Datum *values, const bool *nulls)
{
	return !entry->control ||
		(!nulls[COL_PUBLISHER_ID] &&
		 DatumGetInt32(values[COL_PUBLISHER_ID]) == plugin->publisher_id);
}

static void
plugin_begin(LogicalDecodingContext *ctx, ReorderBufferTXN *txn)
{
	MoPlugin   *plugin = ctx->output_writer_private;

	plugin->txn.commit_lsn = txn->final_lsn;
	plugin->txn.end_lsn = txn->end_lsn;
	plugin->txn.xid = txn->xid;
	plugin->txn.commit_time = txn->xact_time.commit_time;
	plugin->rows = 0;
	plugin->sink->begin(plugin->sink->arg, &plugin->txn);
}

/* In the rows' context: what the sink leaves behind would pile up in core's. */
static void
take_turn(MoPlugin *plugin)
{
	MemoryContext old = MemoryContextSwitchTo(plugin->row_context);

	plugin->sink->turn(plugin->sink->arg);
	MemoryContextSwitchTo(old);
	MemoryContextReset(plugin->row_context);
}

static void
plugin_change(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
			  Relation relation, ReorderBufferChange *change)
{
	MoPlugin   *plugin = ctx->output_writer_private;
	TableEntry *entry;
	MemoryContext old;
	Datum		values[NUM_COLUMNS];
	bool		nulls[NUM_COLUMNS];
	MoRow		row;

	if (++plugin->changes % TURN_CHANGES == 0 && plugin->sink->turn != NULL)
		take_turn(plugin);
	entry = lookup_table(plugin, relation);
	if (!entry->mine)
	{
		mo_foreign_learn(plugin->foreign, mo_compat_change_file(change),
						 relation, change->lsn);
		return;
	}

	/*
	 * An event is an INSERT; its check refuses UPDATE, and a DELETE is
	 * retention's.
	 */
	if (change->action != REORDER_BUFFER_CHANGE_INSERT ||
		change->data.tp.newtuple == NULL)
		return;

	old = MemoryContextSwitchTo(plugin->row_context);
	deform_row(entry, RelationGetDescr(relation),
			   mo_compat_change_tuple(change->data.tp.newtuple),
			   values, nulls);
	if (is_addressed(plugin, entry, values, nulls))
	{
		row.ordinal = ++plugin->rows;
		row.outbox_id = entry->outbox_id;
		row.control = entry->control;
		/* A dead letter that is tried again is an event of its outbox. */
		if (entry->control && !nulls[COL_OUTBOX_ID])
		{
			row.outbox_id = DatumGetInt32(values[COL_OUTBOX_ID]);
			row.control = false;
		}
		fill_row(&row, values, nulls);
		plugin->sink->row(plugin->sink->arg, &plugin->txn, &row);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(plugin->row_context);
}

static void
plugin_commit(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
			  XLogRecPtr commit_lsn)
{
	MoPlugin   *plugin = ctx->output_writer_private;

	plugin->sink->commit(plugin->sink->arg, &plugin->txn, plugin->rows);
}

/*
 * Nothing is ever streamed.  But 18 drops what it has of a large transaction
 * when it finds it aborted, then takes its sub-transactions for streamed, and
 * reports their end: without this callback, by an error.
 */
static void
plugin_stream_abort(LogicalDecodingContext *ctx, ReorderBufferTXN *txn,
					XLogRecPtr abort_lsn)
{
}
