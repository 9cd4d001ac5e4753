/*-------------------------------------------------------------------------
 *
 * validate.c
 *	  What the check would say about a payload, all of it.
 *
 * Called by mesh_outbox.validate(), which finds the contract.  The check
 * itself stops at the first violation; a person who writes a producer wants
 * to see them all, for any version, and without inserting anything.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"

#include "compat.h"
#include "outbox/event_time.h"
#include "outbox/key.h"
#include "outbox/registry.h"

PG_FUNCTION_INFO_V1(mo_validate_payload);

/* What there is to do, or that the contract does not refuse it. */
static const char *
hint_for(const MoContract *contract, const MoViolation *violation)
{
	switch (mo_anomalies_judge(contract->anomalies,
							   violation->instance_pointer,
							   violation->keyword))
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
add_violation(ReturnSetInfo *rsinfo, const MoContract *contract,
			  const MoViolation *violation)
{
	const char *columns[] = {
		violation->instance_pointer, violation->schema_pointer,
		violation->keyword, violation->message, violation->found,
		hint_for(contract, violation)
	};
	Datum		values[lengthof(columns)];
	bool		nulls[lengthof(columns)];

	for (int i = 0; i < lengthof(columns); i++)
	{
		nulls[i] = columns[i] == NULL;
		values[i] = nulls[i] ? (Datum) 0 : CStringGetTextDatum(columns[i]);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* The key is there: is it as its own schema wants it? */
static void
add_key_schema_violations(ReturnSetInfo *rsinfo, const MoContract *contract,
						  const JsonbValue *key)
{
	ListCell   *lc;

	if (contract->key_schema == NULL)
		return;
	foreach(lc, mo_schema_violations(contract->key_schema,
									 mo_key_document(mo_key_text(key)), 0))
	{
		MoViolation *violation = lfirst(lc);

		violation->instance_pointer = contract->key->text;
		violation->keyword = "key_schema";
		if (contract->classified)
			violation->found = NULL;
		add_violation(rsinfo, contract, violation);
	}
}

static void
add_key_violation(ReturnSetInfo *rsinfo, const MoContract *contract,
				  Jsonb *payload)
{
	MoViolation violation = {
		.instance_pointer = contract->key->text,
		.keyword = "key",
	};
	JsonbValue	value;

	if (!mo_pointer_get(contract->key, payload, &value) ||
		value.type == jbvNull)
		violation.message = "the key is missing";
	else if (value.type == jbvBinary)
		violation.message = "the key must be a string, a number or a boolean";
	else
	{
		add_key_schema_violations(rsinfo, contract, &value);
		return;
	}
	add_violation(rsinfo, contract, &violation);
}

static void
add_event_time_violation(ReturnSetInfo *rsinfo, const MoContract *contract,
						 Jsonb *payload)
{
	MoViolation violation = {
		.keyword = "event_time",
		.hint = "A row that has an event time of its own needs none in the payload.",
	};
	JsonbValue	value;
	TimestampTz time;

	if (contract->event_time == NULL)
		return;
	violation.instance_pointer = contract->event_time->text;
	if (!mo_pointer_get(contract->event_time, payload, &value))
		violation.message = "the event time is missing";
	else if (value.type != jbvString ||
			 !mo_event_time_parse(value.val.string.val, value.val.string.len,
								  &time))
		violation.message = "the event time must be an RFC 3339 date-time";
	else
		return;
	add_violation(rsinfo, contract, &violation);
}

/* contract_violations(contract_id bigint, payload jsonb) */
Datum
mo_validate_payload(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Jsonb	   *payload = PG_GETARG_JSONB_P(1);
	const MoContract *contract;
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	contract = mo_registry_load_contract(PG_GETARG_INT64(0));
	foreach(lc, mo_schema_violations(contract->schema, payload, 0))
		add_violation(rsinfo, contract, lfirst(lc));
	add_key_violation(rsinfo, contract, payload);
	add_event_time_violation(rsinfo, contract, payload);
	return (Datum) 0;
}
