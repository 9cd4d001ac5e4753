/*-------------------------------------------------------------------------
 *
 * check.c
 *	  The check: every event meets its contract before it is written.
 *
 * BEFORE ROW trigger of every outbox, ENABLE ALWAYS, so that replication
 * roles do not go round it.  For an INSERT it finds the contract in force,
 * validates the payload where it lies, and stamps what the publisher will
 * need: identity, contract, key, times.  The publisher trusts the stamps and
 * looks nothing up as of another time.  UPDATE, DELETE and TRUNCATE are
 * refused; only retention (rows.c) deletes, without the executor.
 *
 * Arguments of the trigger: outbox id, publisher id (0: nobody publishes),
 * then ours=theirs for each column that has another name in the table.
 *
 * The row is taken apart once and put together once; nothing here runs SQL.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "commands/trigger.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "mesh_outbox.h"
#include "outbox/event_id.h"
#include "outbox/event_time.h"
#include "outbox/headers.h"
#include "outbox/key.h"
#include "outbox/refuse.h"
#include "outbox/registry.h"
#include "outbox/size.h"
#include "outbox/uses.h"
#include "outbox/wake.h"

/* Rules broken by one event that are counted, at most. */
#define MAX_COUNTED_RULES	100

/* The row in work. */
typedef struct Event
{
	MoRefusedRow row;			/* what an error would tell */
	MoTable    *table;
	TimestampTz now;			/* one clock reading serves the whole row */
	bool		in_breach;		/* of its contract, but tolerated */
	MoEnforcement enforcement;	/* the strictest of what it is in breach of */
	List	   *broken;			/* MoViolations that it is in breach of */
} Event;

PG_FUNCTION_INFO_V1(mo_check_event);

/* ----------------------------------------------------------------
 * Columns of the row
 * ----------------------------------------------------------------
 */

static inline bool
is_null(const Event *event, MoColumn column)
{
	return event->table->isnull[event->table->attnums[column] - 1];
}

static inline Datum
get(const Event *event, MoColumn column)
{
	return event->table->values[event->table->attnums[column] - 1];
}

static inline void
stamp(Event *event, MoColumn column, Datum value)
{
	int			i = event->table->attnums[column] - 1;

	event->table->values[i] = value;
	event->table->isnull[i] = false;
}

/* ----------------------------------------------------------------
 * The contract
 * ----------------------------------------------------------------
 */

/* Finds the contract in force and stamps its major version. */
static void
find_contract(Event *event)
{
	MoTable    *table = event->table;
	int32		major = MO_MAJOR_PINNED;
	text	   *type;
	const MoContract *contract = NULL;

	if (is_null(event, MO_COLUMN_EVENT_TYPE))
		mo_refuse_missing(event->row.rel, table, MO_COLUMN_EVENT_TYPE);
	type = DatumGetTextPP(get(event, MO_COLUMN_EVENT_TYPE));

	if (!is_null(event, MO_COLUMN_MAJOR_VERSION))
		major = DatumGetInt32(get(event, MO_COLUMN_MAJOR_VERSION));
	contract = mo_registry_get_contract(table, VARDATA_ANY(type),
										VARSIZE_ANY_EXHDR(type), major);
	if (contract == NULL)
	{
		event->row.event_type = text_to_cstring(type);
		mo_refuse_event_type(&event->row, major);
	}
	event->row.contract = contract;
	event->row.event_type = contract->event_type;
	stamp(event, MO_COLUMN_MAJOR_VERSION, Int32GetDatum(contract->major));
}

/*
 * A rule of the contract, which is not off, is broken: may the row pass all
 * the same?  If it may not, the caller refuses it, and nothing else counts.
 */
static bool
tolerate(Event *event, MoViolation *violation)
{
	const MoContract *contract = event->row.contract;
	MoEnforcement strictness =
		Min(mo_contract_enforcement(contract, event->row.payload),
			mo_anomalies_judge(contract->anomalies,
							   violation->instance_pointer,
							   violation->keyword));

	if (strictness == MO_ENFORCE_ENFORCE)
	{
		mo_registry_count_violation(contract, MO_VIOLATION_REFUSED,
									event->now);
		return false;
	}
	event->enforcement = event->in_breach ?
		Max(event->enforcement, strictness) : strictness;
	event->in_breach = true;
	event->broken = lappend(event->broken, violation);
	return true;
}

/*
 * As tolerate(), for a rule that is not the schema's.  The pointer is NULL
 * when it is about no place in the payload.
 */
static bool
tolerate_rule(Event *event, const MoPointer *pointer, const char *rule)
{
	MoViolation *violation;

	if (event->row.contract->enforcement == MO_ENFORCE_OFF)
		return true;
	violation = palloc0(sizeof(MoViolation));
	violation->instance_pointer = violation->schema_pointer =
		pointer != NULL ? pointer->text : "";
	violation->keyword = rule;
	return tolerate(event, violation);
}

/* An event counts once, whatever is wrong with it, each rule once. */
static void
count_breach(const Event *event)
{
	mo_registry_count_violation(event->row.contract,
								event->enforcement == MO_ENFORCE_QUARANTINE ?
								MO_VIOLATION_QUARANTINED : MO_VIOLATION_OBSERVED,
								event->now);
	mo_registry_count_rules(event->row.contract, event->broken, event->now);
}

/*
 * Goes through what is broken; the first that is not tolerated is told.  An
 * event that breaks more than is looked at may be hiding one.
 */
static void
judge_payload(Event *event)
{
	const MoContract *contract = event->row.contract;
	List	   *violations = mo_schema_violations(contract->schema,
												  event->row.payload,
												  MAX_COUNTED_RULES + 1);
	ListCell   *lc;

	if (violations == NIL)
		elog(ERROR, "contract %lld finds an event both valid and not",
			 (long long) contract->contract_id);
	foreach(lc, violations)
	{
		MoViolation *violation = lfirst(lc);

		if (!tolerate(event, violation))
			mo_refuse_payload(&event->row, violation);
	}
	if (list_length(violations) > MAX_COUNTED_RULES &&
		mo_contract_enforcement(contract, event->row.payload) ==
		MO_ENFORCE_ENFORCE)
	{
		mo_registry_count_violation(contract, MO_VIOLATION_REFUSED,
									event->now);
		mo_refuse_payload(&event->row, llast(violations));
	}
}

static void
check_payload(Event *event)
{
	const MoContract *contract = event->row.contract;
	Jsonb	   *payload;

	if (is_null(event, MO_COLUMN_PAYLOAD))
		mo_refuse_missing(event->row.rel, event->table, MO_COLUMN_PAYLOAD);
	payload = DatumGetJsonbP(get(event, MO_COLUMN_PAYLOAD));
	event->row.payload = payload;

	if (contract->enforcement != MO_ENFORCE_OFF &&
		!mo_schema_is_valid(contract->schema, payload))
		judge_payload(event);
}

/* ----------------------------------------------------------------
 * The stamps
 * ----------------------------------------------------------------
 */

static void
refuse_unequal_key(const Event *event, text *key)
{
	text	   *given = DatumGetTextPP(get(event, MO_COLUMN_KEY));

	if (!mo_key_equals(given, key))
		mo_refuse_other_key(&event->row, text_to_cstring(given),
							text_to_cstring(key));
}

static void
check_promised_key(Event *event, text *key)
{
	const MoContract *contract = event->row.contract;
	Jsonb	   *document;

	if (contract->key_schema == NULL)
		return;
	document = mo_key_document(key);
	if (!mo_schema_is_valid(contract->key_schema, document) &&
		!tolerate_rule(event, contract->key, "key_schema"))
		mo_refuse_key_schema(&event->row,
							 linitial(mo_schema_violations(contract->key_schema,
														   document, 1)));
}

/* The key comes from the payload; one that is given must be the same. */
static void
stamp_key(Event *event)
{
	JsonbValue	value;
	bool		found = mo_pointer_get(event->row.contract->key,
									   event->row.payload, &value) &&
		value.type != jbvNull;
	text	   *key = found ? mo_key_text(&value) : NULL;

	if (key == NULL)
	{
		if (!tolerate_rule(event, event->row.contract->key, "key"))
			mo_refuse_key(&event->row, found ? &value : NULL);
		return;
	}
	if (is_null(event, MO_COLUMN_KEY))
		stamp(event, MO_COLUMN_KEY, PointerGetDatum(key));
	else
		refuse_unequal_key(event, key);
	check_promised_key(event, key);
}

/* Reads the event time from the payload; false when it is not there. */
static bool
read_event_time(Event *event, TimestampTz *time)
{
	JsonbValue	value;
	bool		found = mo_pointer_get(event->row.contract->event_time,
									   event->row.payload, &value);

	if (found && mo_event_time_read(&value, time))
		return true;
	if (!tolerate_rule(event, event->row.contract->event_time, "event_time"))
		mo_refuse_event_time(&event->row, found ? &value : NULL);
	return false;
}

/* An event may come late, but not later than its contract says. */
static void
check_lateness(Event *event, TimestampTz time)
{
	const MoContract *contract = event->row.contract;

	if (mo_event_time_is_late(time, event->now, contract->max_lateness) &&
		!tolerate_rule(event, contract->event_time, "lateness"))
		mo_refuse_late(&event->row, time);
}

/* A time that came with the row; refused if no consumer could read it. */
static TimestampTz
given_time(Event *event, MoColumn column)
{
	TimestampTz time = DatumGetTimestampTz(get(event, column));

	if (!mo_event_time_is_usual(time))
		mo_refuse_time(&event->row, column, time);
	return time;
}

/* When it happened: as given, else as the payload says, else now. */
static void
stamp_event_time(Event *event)
{
	TimestampTz time = event->now;

	if (!is_null(event, MO_COLUMN_EVENT_TIME))
		time = given_time(event, MO_COLUMN_EVENT_TIME);
	else
	{
		if (event->row.contract->event_time != NULL)
			read_event_time(event, &time);
		stamp(event, MO_COLUMN_EVENT_TIME, TimestampTzGetDatum(time));
	}
	check_lateness(event, time);
}

static void
stamp_event_id(Event *event)
{
	pg_uuid_t  *id;

	if (!is_null(event, MO_COLUMN_EVENT_ID))
		return;
	id = palloc(sizeof(pg_uuid_t));
	mo_event_id_generate(event->now, id);
	stamp(event, MO_COLUMN_EVENT_ID, UUIDPGetDatum(id));
}

/*
 * When it was inserted.  In a partition a value that is there stays: the row
 * was routed by it, perhaps, and must not move to another partition now.
 */
static void
stamp_created_at(Event *event)
{
	if (event->table->is_partition && !is_null(event, MO_COLUMN_CREATED_AT))
		(void) given_time(event, MO_COLUMN_CREATED_AT);
	else
		stamp(event, MO_COLUMN_CREATED_AT, TimestampTzGetDatum(event->now));
}

/* Negative: the row goes to the dead letters instead of the topic. */
static void
stamp_contract(Event *event)
{
	const MoContract *contract = event->row.contract;
	bool		quarantined = event->in_breach &&
		event->enforcement == MO_ENFORCE_QUARANTINE;

	stamp(event, MO_COLUMN_CONTRACT_ID,
		  Int64GetDatum(quarantined ? -contract->contract_id :
						contract->contract_id));
}

/* ----------------------------------------------------------------
 * Headers
 * ----------------------------------------------------------------
 */

static void
check_headers(const Event *event)
{
	const char *fault;

	if (is_null(event, MO_COLUMN_HEADERS))
		return;
	fault = mo_headers_fault(DatumGetJsonbP(get(event, MO_COLUMN_HEADERS)));
	if (fault != NULL)
		mo_refuse_headers(&event->row,
						  psprintf("%c%s.", pg_toupper(fault[0]), fault + 1));
}

/* The headers that the contract asks for; no headers are an empty object. */
static void
check_promised_headers(Event *event)
{
	const MoSchema *schema = event->row.contract->headers;
	Datum		headers;
	const MoViolation *first;

	if (schema == NULL)
		return;
	headers = is_null(event, MO_COLUMN_HEADERS) ?
		DirectFunctionCall1(jsonb_in, CStringGetDatum("{}")) :
		get(event, MO_COLUMN_HEADERS);
	if (mo_schema_is_valid(schema, DatumGetJsonbP(headers)) ||
		tolerate_rule(event, NULL, "headers"))
		return;
	first = linitial(mo_schema_violations(schema, DatumGetJsonbP(headers), 1));
	mo_refuse_headers(&event->row,
					  psprintf("The contract's schema of headers is broken%s%s: %s.",
							   first->instance_pointer[0] != '\0' ? " at " : "",
							   first->instance_pointer, first->message));
}

/* What nobody could publish nor keep as a dead letter must not be written. */
static void
check_size(const Event *event, HeapTuple given)
{
	const MoTable *table = event->table;

	if (mo_size_payload(event->row.payload) +
		mo_size_columns(given, RelationGetDescr(event->row.rel),
						table->attnums[MO_COLUMN_PAYLOAD],
						table->values, table->isnull) > MO_SIZE_LIMIT)
		mo_refuse_size(&event->row);
}

/* ----------------------------------------------------------------
 * The trigger
 * ----------------------------------------------------------------
 */

static HeapTuple
form_row(const Event *event, TupleDesc desc, HeapTuple given)
{
	HeapTuple	row = heap_form_tuple(desc, event->table->values,
									  event->table->isnull);

	row->t_data->t_ctid = given->t_data->t_ctid;
	row->t_self = given->t_self;
	row->t_tableOid = given->t_tableOid;
	return row;
}

static HeapTuple
check_insert(const TriggerData *trigdata)
{
	Relation	rel = trigdata->tg_relation;
	MoTable    *table = mo_registry_get_table(rel, trigdata->tg_trigger);
	Event		event = {
		.row = {.rel = rel, .table = table},
		.table = table,
		.now = GetCurrentTimestamp(),
	};

	if (table->publisher_id != 0 && !RelationIsPermanent(rel))
		mo_refuse_unlogged(rel);
	if (rel->rd_rel->relkind == RELKIND_FOREIGN_TABLE)
		mo_refuse_foreign(rel);
	if (!table->publisher_ready && !mo_registry_publisher_ready(table))
		mo_refuse_unready_publisher(rel, table);

	heap_deform_tuple(trigdata->tg_trigtuple, RelationGetDescr(rel),
					  table->values, table->isnull);
	find_contract(&event);
	check_payload(&event);
	check_size(&event, trigdata->tg_trigtuple);
	check_headers(&event);
	check_promised_headers(&event);
	stamp_key(&event);
	stamp_event_time(&event);
	stamp_event_id(&event);
	stamp_created_at(&event);
	stamp_contract(&event);
	if (event.in_breach)
		count_breach(&event);

	mo_uses_note(table, event.now);
	if (table->publisher_id != 0)
		mo_wake_at_commit(table->publisher_id);
	return form_row(&event, RelationGetDescr(rel), trigdata->tg_trigtuple);
}

Datum
mo_check_event(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_BEFORE(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s.%s() must be called by a BEFORE trigger",
						MO_SCHEMA, MO_CHECK_FUNCTION)));

	if (TRIGGER_FIRED_BY_TRUNCATE(trigdata->tg_event))
		mo_refuse_change(trigdata->tg_relation, "truncate");
	if (!TRIGGER_FIRED_FOR_ROW(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s.%s() must be called for each row", MO_SCHEMA,
						MO_CHECK_FUNCTION)));
	if (TRIGGER_FIRED_BY_UPDATE(trigdata->tg_event))
		mo_refuse_change(trigdata->tg_relation, "update");
	if (TRIGGER_FIRED_BY_DELETE(trigdata->tg_event))
		mo_refuse_change(trigdata->tg_relation, "delete");
	return PointerGetDatum(check_insert(trigdata));
}
