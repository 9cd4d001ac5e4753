/*-------------------------------------------------------------------------
 *
 * violated.c
 *	  Which rules of their contracts events break, and how often.
 *
 * Counted by the check for events that it lets pass all the same (observe,
 * quarantine), in shared memory, from the start of the server; shown by the
 * view mesh_outbox.violated_rules.  A rule is named by its place in the
 * schema, never by the place in the document: that may be made of data, and
 * there is no end of such places.
 *
 * When all entries are taken, the rule that was broken longest ago goes.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include "contract/schema.h"
#include "outbox/catalog.h"
#include "outbox/violated.h"
#include "shmem.h"

PG_FUNCTION_INFO_V1(mo_violated_show);

static bool
is_same_rule(const MoViolatedRule *a, const MoViolatedRule *b)
{
	return a->contract_id == b->contract_id &&
		a->contract_relid == b->contract_relid &&
		a->database == b->database &&
		strcmp(a->rule, b->rule) == 0 && strcmp(a->place, b->place) == 0;
}

/* The rule's entry, else a free one, else the one broken longest ago. */
static MoViolatedRule *
find_entry(MoViolatedRules *rules, const MoViolatedRule *rule)
{
	MoViolatedRule *oldest = &rules->entries[0];

	for (int i = 0; i < MO_MAX_VIOLATED_RULES; i++)
	{
		MoViolatedRule *entry = &rules->entries[i];

		if (!OidIsValid(entry->contract_relid) || is_same_rule(entry, rule))
			return entry;
		if (entry->last_at < oldest->last_at)
			oldest = entry;
	}
	return oldest;
}

static void
count_rule(MoViolatedRules *rules, MoViolatedRule *rule)
{
	MoViolatedRule *entry = find_entry(rules, rule);

	if (is_same_rule(entry, rule))
	{
		rule->first_at = entry->first_at;
		rule->events = entry->events;
	}
	rule->events++;
	*entry = *rule;
}

/* Without those that repeat one: several elements of an array break it. */
static List *
distinct_rules(const List *violations)
{
	List	   *distinct = NIL;
	ListCell   *lc;

	foreach(lc, violations)
	{
		const MoViolation *violation = lfirst(lc);
		bool		repeated = false;
		ListCell   *kept;

		foreach(kept, distinct)
		{
			const MoViolation *other = lfirst(kept);

			repeated |= strcmp(other->schema_pointer,
							   violation->schema_pointer) == 0;
		}
		if (!repeated)
			distinct = lappend(distinct, lfirst(lc));
	}
	return distinct;
}

void
mo_violated_count(Oid contract_relid, int64 contract_id,
				  const List *violations, TimestampTz now)
{
	List	   *distinct;
	ListCell   *lc;

	if (mo_shared == NULL)
		return;
	distinct = distinct_rules(violations);
	LWLockAcquire(mo_shared->violated.lock, LW_EXCLUSIVE);
	foreach(lc, distinct)
	{
		const MoViolation *violation = lfirst(lc);
		MoViolatedRule rule = {
			.database = MyDatabaseId,
			.contract_relid = contract_relid,
			.contract_id = contract_id,
			.first_at = now,
			.last_at = now,
		};

		mo_shmem_copy_text(rule.place, violation->schema_pointer,
						   sizeof(rule.place));
		/* a property that nothing declares breaks no keyword */
		mo_shmem_copy_text(rule.rule, violation->keyword != NULL ?
						   violation->keyword : MO_UNKNOWN_PROPERTY,
						   sizeof(rule.rule));
		count_rule(&mo_shared->violated, &rule);
	}
	LWLockRelease(mo_shared->violated.lock);
}

/* violated_places(): those of this database's contracts */
Datum
mo_violated_show(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Oid			contract_relid = mo_catalog_table("contract");

	InitMaterializedSRF(fcinfo, 0);
	if (mo_shared == NULL)
		return (Datum) 0;
	LWLockAcquire(mo_shared->violated.lock, LW_SHARED);
	for (int i = 0; i < MO_MAX_VIOLATED_RULES; i++)
	{
		const MoViolatedRule *entry = &mo_shared->violated.entries[i];
		Datum		values[6];
		bool		nulls[lengthof(values)] = {0};

		if (entry->contract_relid != contract_relid ||
			entry->database != MyDatabaseId)
			continue;
		values[0] = Int64GetDatum(entry->contract_id);
		values[1] = CStringGetTextDatum(entry->place);
		values[2] = CStringGetTextDatum(entry->rule);
		values[3] = UInt64GetDatum(entry->events);
		values[4] = TimestampTzGetDatum(entry->first_at);
		values[5] = TimestampTzGetDatum(entry->last_at);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc,
							 values, nulls);
	}
	LWLockRelease(mo_shared->violated.lock);
	return (Datum) 0;
}
