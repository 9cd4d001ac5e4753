/*-------------------------------------------------------------------------
 *
 * children.c
 *	  Walks the members of an object and the elements of an array.
 *
 * jsonb keeps an object's members in one fixed order and the compiler keeps
 * the declared names in the same one, so that finding each member's schema,
 * and each required name that is missing, is one merge.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/walk.h"

/* Up to this many elements comparing all pairs beats sorting. */
#define PAIRWISE_MAX	12

static inline bool
walk_child(MoWalk *w, const MoNode *node, const MoValue *child,
		   const char *key, uint32 len, int mode)
{
	MoStep		step = {w->step, key, len};
	int			hops = w->hops;
	bool		ok;

	w->step = &step;
	w->hops = 0;
	ok = mo_walk(w, node, child, mode);
	w->hops = hops;
	w->step = step.up;
	return ok;
}

static bool
missing_property(MoWalk *w, const MoNode *node, const MoValue *v,
				 const MoProperty *property)
{
	return w->collect &&
		mo_violate(w, node, "required", NULL, NULL,
				   "the required property %s is missing",
				   pnstrdup(property->name, property->len));
}

static bool
walk_patterns(MoWalk *w, const MoObjectRules *rules, const char *key,
			  uint32 len, const MoValue *member, int mode, bool *matched)
{
	bool		ok = true;

	for (int i = 0; i < rules->npatterns && (ok || w->collect); i++)
	{
		if (!mo_pattern_matches(rules->patterns[i].pattern, key, len))
			continue;
		*matched = true;
		ok &= walk_child(w, rules->patterns[i].node, member, key, len, mode);
	}
	return ok;
}

static bool
walk_name(MoWalk *w, const MoNode *names, const char *key, uint32 len)
{
	MoValue		name = {MO_STRING, false, len, key, NULL};

	return walk_child(w, names, &name, key, len, 0);
}

/* A member that neither "properties" nor a pattern names. */
static bool
walk_other(MoWalk *w, const MoNode *node, const MoValue *v, const char *key,
		   uint32 len, const MoValue *member, int mode)
{
	const MoObjectRules *rules = node->object;

	if (rules->additional)
	{
		if (rules->additional->never)
			return mo_violate_unknown(w, node, v, "additionalProperties",
									  key, len, member);
		return walk_child(w, rules->additional, member, key, len,
						  MO_CHILD_MODE(mode));
	}
	if ((mode & MO_CLOSED) && rules->declares)
		return mo_violate_unknown(w, node, v, NULL, key, len, member);
	return true;
}

/* Merges the instance's members with the declared names. */
static bool
walk_members(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoObjectRules *rules = node->object;
	const MoProperty *property = rules->properties;
	const MoProperty *end = property + rules->nproperties;
	bool		ok = true;
	MoCursor	cursor;
	MoValue		member;
	const char *key;
	uint32		len;

	mo_cursor_begin(&cursor, v);
	while (mo_cursor_member(&cursor, &key, &len, &member))
	{
		bool		matched = false;

		for (; property < end; property++)
		{
			int			cmp = mo_key_compare(property->name, property->len,
											 key, len);

			if (cmp > 0)
				break;
			if (cmp < 0)
			{
				if (property->required)
					ok = missing_property(w, node, v, property);
			}
			else if (property->node)
			{
				matched = true;
				ok &= walk_child(w, property->node, &member, key, len,
								 MO_CHILD_MODE(mode));
			}
			if (!ok && !w->collect)
				return false;
			if (cmp == 0)
			{
				property++;
				break;
			}
		}
		if (rules->npatterns)
			ok &= walk_patterns(w, rules, key, len, &member,
								MO_CHILD_MODE(mode), &matched);
		if (!matched)
			ok &= walk_other(w, node, v, key, len, &member, mode);
		else if (MO_NOTES(mode) && !rules->additional)
			mo_trail_mark(w, v, cursor.next - 1);
		if (rules->property_names && (ok || w->collect))
			ok &= walk_name(w, rules->property_names, key, len);
		if (!ok && !w->collect)
			return false;
	}
	for (; property < end; property++)
	{
		if (property->required)
			ok = missing_property(w, node, v, property);
	}
	return ok;
}

static bool
walk_requirements(MoWalk *w, const MoNode *node, const MoValue *v)
{
	const MoObjectRules *rules = node->object;
	bool		ok = true;
	MoValue		ignored;

	for (int i = 0; i < rules->nrequirements; i++)
	{
		const MoDependency *d = &rules->requirements[i];

		if (!mo_value_member(v, d->name.data, d->name.len, &ignored, NULL))
			continue;
		for (int j = 0; j < d->required.count; j++)
		{
			const MoValue *name = &d->required.names[j];

			if (mo_value_member(v, name->data, name->len, &ignored, NULL))
				continue;
			if (!w->collect)
				return false;
			ok = mo_violate(w, node, d->keyword, NULL, NULL,
							"%s is required wherever %s is present",
							mo_value_cstring(name),
							mo_value_cstring(&d->name));
		}
	}
	return ok;
}

bool
mo_walk_object(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoObjectRules *rules = node->object;
	bool		ok = true;

	if (v->len < rules->min_properties)
		ok = mo_violate(w, node, "minProperties", NULL, NULL,
						"must have at least %u properties, has %u",
						rules->min_properties, v->len);
	if (v->len > rules->max_properties)
		ok = mo_violate(w, node, "maxProperties", NULL, NULL,
						"must have at most %u properties, has %u",
						rules->max_properties, v->len);
	if (rules->nrequirements && (ok || w->collect))
		ok &= walk_requirements(w, node, v);
	if (!ok && !w->collect)
		return false;
	if (MO_NOTES(mode))
	{
		if (rules->declares && !(mode & MO_MENTION))
			mo_trail_mark(w, v, MO_MARK_DECLARES);
		if (rules->additional)
			mo_trail_mark(w, v, MO_MARK_ALL);
	}
	if (rules->nproperties || rules->npatterns || rules->additional ||
		rules->property_names)
		ok &= walk_members(w, node, v, mode);
	return ok;
}

/* The index of an element view within its array. */
static int
element_index(const MoValue *array, const MoValue *element)
{
	return (const JEntry *) element->entry -
		mo_value_container(array)->children;
}

static int
compare_elements(const void *a, const void *b)
{
	CHECK_FOR_INTERRUPTS();
	return mo_value_compare(a, b);
}

static bool
violate_unique(MoWalk *w, const MoNode *node, const MoValue *v,
			   const MoValue *a, const MoValue *b)
{
	int			i = element_index(v, a);
	int			j = element_index(v, b);

	return mo_violate(w, node, "uniqueItems", a, NULL,
					  "items must be unique, but items %d and %d are equal",
					  Min(i, j), Max(i, j));
}

static bool
walk_unique(MoWalk *w, const MoNode *node, const MoValue *v)
{
	MoValue		small[PAIRWISE_MAX];
	MoValue    *all = small;
	const MoValue *same = NULL;
	MoCursor	cursor;
	uint32		n = 0;
	bool		ok;

	if (v->len < 2)
		return true;
	if (v->len > PAIRWISE_MAX)
		all = MemoryContextAllocHuge(CurrentMemoryContext,
									 sizeof(MoValue) * (Size) v->len);
	mo_cursor_begin(&cursor, v);
	while (n < v->len && mo_cursor_element(&cursor, &all[n]))
		n++;
	if (n > PAIRWISE_MAX)
	{
		qsort(all, n, sizeof(MoValue), compare_elements);
		for (uint32 i = 1; i < n && same == NULL; i++)
		{
			if (mo_value_compare(&all[i - 1], &all[i]) == 0)
				same = &all[i];
		}
		ok = same == NULL || violate_unique(w, node, v, same - 1, same);
		pfree(all);
		return ok;
	}
	for (uint32 i = 1; i < n; i++)
	{
		for (uint32 j = 0; j < i; j++)
		{
			if (mo_value_compare(&all[i], &all[j]) == 0)
				return violate_unique(w, node, v, &all[j], &all[i]);
		}
	}
	return true;
}

/* Branches of contains are probes: what fails them says nothing. */
static bool
walk_contains(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoArrayRules *rules = node->array;
	int			child_mode = MO_CHILD_MODE(mode);
	bool		all = MO_NOTES(mode) || rules->max_contains != PG_UINT32_MAX;
	uint32		count = 0;
	MoCursor	cursor;
	MoValue		element;

	if (child_mode & MO_DEFER)
		child_mode |= MO_MENTION;
	mo_cursor_begin(&cursor, v);
	while ((all || count < rules->min_contains) &&
		   mo_cursor_element(&cursor, &element))
	{
		int			hops = w->hops;

		w->hops = 0;
		if (mo_walk_probe(w, rules->contains, &element, child_mode))
		{
			count++;
			if (rules->contains_evaluates && MO_NOTES(mode))
				mo_trail_mark(w, v, cursor.next - 1);
		}
		w->hops = hops;
	}
	if (count < rules->min_contains)
		return mo_violate(w, node,
						  rules->min_contains == 1 ? "contains" : "minContains",
						  NULL, NULL,
						  "must contain at least %u item%s matching \"contains\", has %u",
						  rules->min_contains,
						  rules->min_contains == 1 ? "" : "s", count);
	if (count > rules->max_contains)
		return mo_violate(w, node, "maxContains", NULL, NULL,
						  "must contain at most %u item%s matching \"contains\", has %u",
						  rules->max_contains,
						  rules->max_contains == 1 ? "" : "s", count);
	return true;
}

static bool
walk_elements(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoArrayRules *rules = node->array;
	MoCursor	cursor;
	MoValue		element;
	bool		ok = true;

	mo_cursor_begin(&cursor, v);
	while (mo_cursor_element(&cursor, &element))
	{
		uint32		i = cursor.next - 1;
		const MoNode *schema = i < rules->nprefix ? rules->prefix[i] :
			rules->items;

		if (schema == NULL)
			break;
		if (i >= rules->nprefix && schema->never)
			return mo_violate(w, node, rules->items_keyword, NULL, NULL,
							  "must have at most %d items, has %u",
							  rules->nprefix, v->len);
		ok &= walk_child(w, schema, &element, NULL, i, MO_CHILD_MODE(mode));
		if (!ok && !w->collect)
			return false;
	}
	return ok;
}

bool
mo_walk_array(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoArrayRules *rules = node->array;
	bool		ok = true;

	if (v->len < rules->min_items)
		ok = mo_violate(w, node, "minItems", NULL, NULL,
						"must have at least %u item%s, has %u",
						rules->min_items, rules->min_items == 1 ? "" : "s",
						v->len);
	if (v->len > rules->max_items)
		ok = mo_violate(w, node, "maxItems", NULL, NULL,
						"must have at most %u item%s, has %u",
						rules->max_items, rules->max_items == 1 ? "" : "s",
						v->len);
	if (!ok && !w->collect)
		return false;
	if (MO_NOTES(mode))
	{
		if (rules->items)
			mo_trail_mark(w, v, MO_MARK_ALL);
		else if (rules->nprefix)
			mo_trail_mark(w, v, MO_MARK_PREFIX - Min(rules->nprefix, v->len));
	}
	if (rules->nprefix || rules->items)
		ok &= walk_elements(w, node, v, mode);
	if (rules->contains && (ok || w->collect))
		ok &= walk_contains(w, node, v, mode);
	if (rules->unique && (ok || w->collect))
		ok &= walk_unique(w, node, v);
	return ok;
}
