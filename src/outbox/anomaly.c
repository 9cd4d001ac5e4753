/*-------------------------------------------------------------------------
 *
 * anomaly.c
 *	  What a contract does about some of its rules, when they are broken.
 *
 * A contract may name rules that are only observed, or that put an event into
 * quarantine, while all others refuse it.  Its column "anomalies" has an array
 * of objects with "path" (a JSON Pointer, in which * stands for any step),
 * "rule" (a keyword, as the view violated_rules names it; any if it is not
 * there) and "action"; draft_contract() has checked them.  The first one that
 * fits decides.  Called when an event is in breach, and by validate().
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "outbox/anomaly.h"
#include "outbox/pointer.h"
#include "outbox/violated.h"

typedef struct Anomaly
{
	MoPointer  *path;
	const char *rule;			/* NULL: any */
	MoEnforcement action;
} Anomaly;

struct MoAnomalies
{
	int			n;
	Anomaly		list[FLEXIBLE_ARRAY_MEMBER];
};

/* A string member, palloc'd; NULL when there is none. */
static char *
member(JsonbContainer *object, const char *name)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(object, name, strlen(name),
									 &value) == NULL ||
		value.type != jbvString)
		return NULL;
	return pnstrdup(value.val.string.val, value.val.string.len);
}

static MoEnforcement
action_named(const char *word)
{
	if (strcmp(word, "observe") == 0)
		return MO_ENFORCE_OBSERVE;
	if (strcmp(word, "quarantine") == 0)
		return MO_ENFORCE_QUARANTINE;
	return MO_ENFORCE_ENFORCE;
}

MoAnomalies *
mo_anomalies_parse(Jsonb *array)
{
	MoAnomalies *anomalies;
	int			n;

	if (array == NULL)
		return NULL;
	n = JB_ROOT_COUNT(array);
	anomalies = palloc(offsetof(MoAnomalies, list) + sizeof(Anomaly) * n);
	anomalies->n = n;
	for (int i = 0; i < n; i++)
	{
		Anomaly    *anomaly = &anomalies->list[i];
		JsonbValue *element = getIthJsonbValueFromContainer(&array->root, i);
		JsonbContainer *object = element->val.binary.data;

		anomaly->path = mo_pointer_parse(member(object, "path"));
		anomaly->rule = member(object, "rule");
		anomaly->action = action_named(member(object, "action"));
	}
	return anomalies;
}

static bool
fits_path(const MoPointer *pattern, const MoPointer *place)
{
	if (pattern->ntokens != place->ntokens)
		return false;
	for (int i = 0; i < pattern->ntokens; i++)
		if (strcmp(pattern->tokens[i].name, "*") != 0 &&
			strcmp(pattern->tokens[i].name, place->tokens[i].name) != 0)
			return false;
	return true;
}

MoEnforcement
mo_anomalies_judge(const MoAnomalies *anomalies, const char *place,
				   const char *rule)
{
	MoPointer  *pointer;

	if (anomalies == NULL)
		return MO_ENFORCE_ENFORCE;
	if (rule == NULL)
		rule = MO_UNKNOWN_PROPERTY;
	pointer = mo_pointer_parse(place);
	for (int i = 0; i < anomalies->n; i++)
	{
		const Anomaly *anomaly = &anomalies->list[i];

		if ((anomaly->rule == NULL || strcmp(anomaly->rule, rule) == 0) &&
			fits_path(anomaly->path, pointer))
			return anomaly->action;
	}
	return MO_ENFORCE_ENFORCE;
}
