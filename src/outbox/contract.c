/*-------------------------------------------------------------------------
 *
 * contract.c
 *	  From a contract's row to what the check applies.
 *
 * Called by the registry, which keeps the result, and by validate.c, which
 * applies versions that are not there yet.  Everything is allocated in the
 * context given; after an error that is the caller's to delete.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "outbox/key.h"
#include "outbox/registry.h"

static void
describe_load(void *arg)
{
	const MoContractRow *row = arg;

	errcontext("loading contract %s/%s %d.%d.%d", row->product,
			   row->version.event_type, row->version.major,
			   row->version.minor, row->version.patch);
}

/* Does the schema mark any value as personal or secret? */
static bool
is_classified(Jsonb *schema)
{
	static const char mark[] = "x-privacy";
	JsonbIterator *it = JsonbIteratorInit(&schema->root);
	JsonbValue	value;
	JsonbIteratorToken token;

	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE)
		if (token == WJB_KEY && value.val.string.len == strlen(mark) &&
			memcmp(value.val.string.val, mark, strlen(mark)) == 0)
			return true;
	return false;
}

static MoContract *
compile(const MoContractRow *row, MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	MoContract *contract = palloc0(sizeof(MoContract));
	MoSchemaOptions options = {
		.assert_formats = true,
		.contract = true,
		.closed = !row->open,
		.immutable = true,
	};

	contract->contract_id = row->version.contract_id;
	contract->product = pstrdup(row->product);
	contract->event_type = pstrdup(row->version.event_type);
	contract->version = psprintf("%d.%d.%d", row->version.major,
								 row->version.minor, row->version.patch);
	contract->major = row->version.major;
	contract->enforcement = Min(row->enforcement,
								mo_catalog_get_enforcement_cap());
	contract->rollout = row->rollout;
	contract->classified = is_classified(row->resolved_schema);
	contract->key = mo_pointer_parse(row->key_pointer);
	if (row->event_time_pointer != NULL)
		contract->event_time = mo_pointer_parse(row->event_time_pointer);
	if (row->max_lateness != NULL)
	{
		Interval   *max_lateness = palloc(sizeof(Interval));

		*max_lateness = *row->max_lateness;
		contract->max_lateness = max_lateness;
	}
	contract->anomalies = mo_anomalies_parse(row->anomalies);
	MemoryContextSwitchTo(caller);
	contract->schema = mo_schema_compile(row->resolved_schema, &options,
										 context);
	if (row->key_schema != NULL)
		contract->key_schema = mo_schema_compile(row->key_schema, &options,
												 context);
	if (row->headers_schema != NULL)
	{
		/* others may add headers: a contract names those it needs */
		options.closed = false;
		contract->headers = mo_schema_compile(row->headers_schema, &options,
											  context);
	}
	return contract;
}

MoContract *
mo_contract_compile(const MoContractRow *row, MemoryContext context)
{
	ErrorContextCallback callback = {
		.previous = error_context_stack,
		.callback = describe_load,
		.arg = unconstify(MoContractRow *, row),
	};
	MoContract *contract;

	error_context_stack = &callback;
	contract = compile(row, context);
	error_context_stack = callback.previous;
	return contract;
}

/*
 * Outside the share of the keys that it is rolled out to, it is observed; an
 * event without a key is in the first share.
 */
MoEnforcement
mo_contract_enforcement(const MoContract *contract, Jsonb *payload)
{
	JsonbValue	value;
	text	   *key;

	if (contract->rollout == 100 || contract->enforcement <= MO_ENFORCE_OBSERVE)
		return contract->enforcement;
	key = mo_pointer_get(contract->key, payload, &value) ?
		mo_key_text(&value) : NULL;
	return (key == NULL ? 0 :
			mo_key_bucket(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key))) <
		contract->rollout ? contract->enforcement : MO_ENFORCE_OBSERVE;
}
