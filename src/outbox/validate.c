/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  What the check would say about an event, all of it.
 *
 * Called by mesh_outbox.validate(), which has a payload and wants to know for
 * a person who writes a producer; by the trial of a proposal on stored events
 * and by the retry of dead letters, which have whole rows.  The check itself
 * stops at the first violation it does not tolerate; here all are told, for
 * any version, and without inserting anything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/htup_details.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "compat.h"
#include "outbox/event_time.h"
#include "outbox/headers.h"
#include "outbox/key.h"
#include "outbox/registry.h"

/* Columns of event_violations(); contract_violations() has all but the last. */
#define NCOLUMNS	7

/* An event in the hands of one of the functions below. */
typedef struct Trial
{
	ReturnSetInfo *rsinfo;
	const MoContract *contract;
	Jsonb	   *payload;
	/* what a row has beside it */
	Jsonb	   *headers;		/* NULL: none */
	text	   *key;			/* NULL: not given */
	bool		has_time;		/* "time" is given */
	TimestampTz time;
	bool		has_insertion;	/* "inserted_at" is known */
	TimestampTz inserted_at;
	MoEnforcement enforcement;	/* nothing is taken more strictly */
} Trial;

/* A contract that is no row of the catalog, kept with the call site. */
typedef struct KeptContract
{
	MemoryContext context;
	HeapTupleHeader row;		/* the bytes it was compiled from */
	const MoContract *contract;
} KeptContract;

PG_FUNCTION_INFO_V1(mo_validate_payload);
PG_FUNCTION_INFO_V1(mo_validate_event);
PG_FUNCTION_INFO_V1(mo_validate_event_time);
PG_FUNCTION_INFO_V1(mo_validate_key);

/* ----------------------------------------------------------------
 * Telling
 * ----------------------------------------------------------------
 */

/* What there is to do, or that the contract does not refuse it. */
static const char *
hint_for(const MoViolation *violation, MoEnforcement strictness)
{
	switch (strictness)
	{
		case MO_ENFORCE_OBSERVE:
			return "The contract lets it pass, and counts it.";
		case MO_ENFORCE_QUARANTINE:
			return "The contract takes the event, and does not publish it.";
		default:
			return violation->hint;
	}
}

static void
put_violation(const Trial *trial, const MoViolation *violation,
			  MoEnforcement strictness)
{
	const char *columns[NCOLUMNS] = {
		violation->instance_pointer, violation->schema_pointer,
		violation->keyword, violation->message, violation->found,
		hint_for(violation, strictness),
		mo_catalog_enforcement_word(Min(strictness, trial->enforcement))
	};
	Datum		values[NCOLUMNS];
	bool		nulls[NCOLUMNS];

	for (int i = 0; i < NCOLUMNS; i++)
	{
		nulls[i] = columns[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(columns[i]);
	}
	tuplestore_putvalues(trial->rsinfo->setResult, trial->rsinfo->setDesc,
						 values, nulls);
}

/* A rule of the contract is broken, which it may take less strictly. */
static void
add_violation(const Trial *trial, const MoViolation *violation)
{
	put_violation(trial, violation,
				  mo_anomalies_judge(trial->contract->anomalies,
									 violation->instance_pointer,
									 violation->keyword));
}

/* Violations of a schema that is not the payload's, under the rule's name. */
static void
add_schema_violations(const Trial *trial, const MoSchema *schema,
					  Jsonb *document, const char *pointer, const char *rule)
{
	ListCell   *lc;

	if (schema == NULL)
		return;
	foreach(lc, mo_schema_violations(schema, document, 0))
	{
		MoViolation *violation = lfirst(lc);

		if (violation->instance_pointer[0] != '\0')
			violation->message = psprintf("%s: %s",
										  violation->instance_pointer,
										  violation->message);
		violation->instance_pointer = pointer;
		violation->keyword = rule;
		if (trial->contract->classified)
			violation->found = NULL;
		add_violation(trial, violation);
	}
}

/* ----------------------------------------------------------------
 * What a payload says
 * ----------------------------------------------------------------
 */

/* The key that the payload has; NULL, and told, when it has none. */
static text *
try_key(const Trial *trial)
{
	const MoContract *contract = trial->contract;
	MoViolation violation = {
		.instance_pointer = contract->key->text,
		.keyword = "key",
	};
	JsonbValue	value;
	text	   *key;

	if (!mo_pointer_get(contract->key, trial->payload, &value) ||
		value.type == jbvNull)
		violation.message = "the key is missing";
	else if (value.type == jbvBinary)
		violation.message = "the key must be a string, a number or a boolean";
	else
	{
		key = mo_key_text(&value);
		add_schema_violations(trial, contract->key_schema,
							  mo_key_document(key), contract->key->text,
							  "key_schema");
		return key;
	}
	add_violation(trial, &violation);
	return NULL;
}

/* Why the payload's event time cannot be read; NULL when it can. */
static const char *
read_event_time(const MoContract *contract, Jsonb *payload, TimestampTz *time)
{
	JsonbValue	value;

	if (!mo_pointer_get(contract->event_time, payload, &value))
		return "the event time is missing";
	if (!mo_event_time_read(&value, time))
		return "the event time must be an RFC 3339 date-time";
	return NULL;
}

/* False, and told, when the payload should have an event time and has not. */
static bool
try_event_time(const Trial *trial, TimestampTz *time)
{
	MoViolation violation = {
		.keyword = "event_time",
		.hint = "A row that has an event time of its own needs none in the payload.",
	};

	violation.message = read_event_time(trial->contract, trial->payload, time);
	if (violation.message == NULL)
		return true;
	violation.instance_pointer = trial->contract->event_time->text;
	add_violation(trial, &violation);
	return false;
}

static void
try_payload(const Trial *trial)
{
	ListCell   *lc;

	foreach(lc, mo_schema_violations(trial->contract->schema, trial->payload, 0))
		add_violation(trial, lfirst(lc));
}

/* contract_violations(contract_id bigint, payload jsonb) */
Datum
mo_validate_payload(PG_FUNCTION_ARGS)
{
	Trial		trial = {
		.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo,
		.payload = PG_GETARG_JSONB_P(1),
		.enforcement = MO_ENFORCE_ENFORCE,
	};
	TimestampTz time;

	InitMaterializedSRF(fcinfo, 0);
	trial.contract = mo_registry_load_contract(PG_GETARG_INT64(0));
	try_payload(&trial);
	(void) try_key(&trial);
	if (trial.contract->event_time != NULL)
		(void) try_event_time(&trial, &time);
	return (Datum) 0;
}

/* contract_event_time(contract_id bigint, payload jsonb) returns timestamptz */
Datum
mo_validate_event_time(PG_FUNCTION_ARGS)
{
	const MoContract *contract =
		mo_registry_load_contract(PG_GETARG_INT64(0));
	TimestampTz time;

	if (contract->event_time == NULL ||
		read_event_time(contract, PG_GETARG_JSONB_P(1), &time) != NULL)
		PG_RETURN_NULL();
	PG_RETURN_TIMESTAMPTZ(time);
}

/* contract_key(contract_id bigint, payload jsonb) returns text */
Datum
mo_validate_key(PG_FUNCTION_ARGS)
{
	const MoContract *contract =
		mo_registry_load_contract(PG_GETARG_INT64(0));
	JsonbValue	value;
	text	   *key;

	key = mo_pointer_get(contract->key, PG_GETARG_JSONB_P(1), &value) ?
		mo_key_text(&value) : NULL;
	if (key == NULL)
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(key);
}

/* ----------------------------------------------------------------
 * What a row says
 * ----------------------------------------------------------------
 */

/* No contract tolerates a key that is not the payload's. */
static void
try_given_key(const Trial *trial, const text *key)
{
	MoViolation violation = {
		.instance_pointer = trial->contract->key->text,
		.keyword = "key",
		.message = "the row's key is not the payload's",
	};

	if (trial->key == NULL || key == NULL ||
		mo_key_equals(trial->key, key))
		return;
	put_violation(trial, &violation, MO_ENFORCE_ENFORCE);
}

/* Nor an event time that no clock can show. */
static void
try_given_time(const Trial *trial)
{
	MoViolation violation = {
		.instance_pointer = "",
		.keyword = "event_time",
		.message = "the event time is infinite or not in the years 1 to 9999",
	};

	if (trial->has_time && !mo_event_time_is_usual(trial->time))
		put_violation(trial, &violation, MO_ENFORCE_ENFORCE);
}

static void
try_lateness(const Trial *trial)
{
	const MoContract *contract = trial->contract;
	MoViolation violation = {
		.instance_pointer = contract->event_time != NULL ?
		contract->event_time->text : "",
		.keyword = "lateness",
		.message = "the event is later than its contract allows",
	};
	TimestampTz time = trial->inserted_at;

	if (trial->has_time)
		time = trial->time;
	else if (contract->event_time != NULL && !try_event_time(trial, &time))
		return;
	if (trial->has_insertion &&
		mo_event_time_is_late(time, trial->inserted_at, contract->max_lateness))
		add_violation(trial, &violation);
}

static void
try_headers(const Trial *trial)
{
	Jsonb	   *headers = trial->headers;
	MoViolation violation = {
		.instance_pointer = "",
		.keyword = "headers",
		.message = headers != NULL ? mo_headers_fault(headers) : NULL,
	};

	if (violation.message != NULL)
		put_violation(trial, &violation, MO_ENFORCE_ENFORCE);
	if (headers == NULL)
		headers = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
													 CStringGetDatum("{}")));
	add_schema_violations(trial, trial->contract->headers, headers, "",
						  "headers");
}

/* The contract is compiled once for rows that are the same, byte by byte. */
static const MoContract *
contract_of_row(FmgrInfo *flinfo, HeapTupleHeader row)
{
	KeptContract *kept = flinfo->fn_extra;
	Size		size = VARSIZE(row);
	MoContractRow read;
	MemoryContext context;
	HeapTupleHeader copy;

	if (kept != NULL && VARSIZE(kept->row) == size &&
		memcmp(kept->row, row, size) == 0)
		return kept->contract;
	context = AllocSetContextCreate(CurrentMemoryContext,
									"mesh_outbox tried contract",
									ALLOCSET_SMALL_SIZES);
	mo_catalog_read_contract(row, &read);
	copy = memcpy(MemoryContextAlloc(context, size), row, size);
	if (kept == NULL)
		kept = MemoryContextAllocZero(flinfo->fn_mcxt, sizeof(KeptContract));
	flinfo->fn_extra = NULL;	/* an error leaves nothing half done */
	if (kept->context != NULL)
		MemoryContextDelete(kept->context);
	kept->contract = mo_contract_compile(&read, context);
	kept->row = copy;
	kept->context = context;
	MemoryContextSetParent(context, flinfo->fn_mcxt);
	flinfo->fn_extra = kept;
	return kept->contract;
}

/*
 * event_violations(contract contract, payload jsonb, headers jsonb, key text,
 *					event_time timestamptz, inserted_at timestamptz,
 *					as_enforced boolean)
 */
Datum
mo_validate_event(PG_FUNCTION_ARGS)
{
	Trial		trial = {
		.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo,
		.enforcement = MO_ENFORCE_ENFORCE,
	};

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(6))
		return (Datum) 0;
	trial.contract = contract_of_row(fcinfo->flinfo,
									 PG_GETARG_HEAPTUPLEHEADER(0));
	trial.payload = PG_GETARG_JSONB_P(1);
	trial.headers = PG_ARGISNULL(2) ? NULL : PG_GETARG_JSONB_P(2);
	trial.key = PG_ARGISNULL(3) ? NULL : PG_GETARG_TEXT_PP(3);
	trial.has_time = !PG_ARGISNULL(4);
	if (trial.has_time)
		trial.time = PG_GETARG_TIMESTAMPTZ(4);
	trial.has_insertion = !PG_ARGISNULL(5);
	if (trial.has_insertion)
		trial.inserted_at = PG_GETARG_TIMESTAMPTZ(5);
	if (PG_GETARG_BOOL(6))
		trial.enforcement = mo_contract_enforcement(trial.contract,
													trial.payload);
	try_payload(&trial);
	try_headers(&trial);
	try_given_key(&trial, try_key(&trial));
	try_given_time(&trial);
	try_lateness(&trial);
	return (Datum) 0;
}
