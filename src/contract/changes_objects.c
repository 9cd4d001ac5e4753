/*-------------------------------------------------------------------------
 *
 * changes_objects.c
 *	  What has changed about the properties of an object, in words.
 *
 * Called by changes.c for each pair of schemas, and calls it for what lies
 * below.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "contract/changes.h"

static const MoProperty *
find_property(const MoSurface *s, const MoProperty *like)
{
	const MoProperty *found = NULL;
	ListCell   *cell;

	foreach(cell, s->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
			if (mo_key_compare(rules->properties[i].name,
							   rules->properties[i].len,
							   like->name, like->len) == 0 &&
				(found == NULL || found->node == NULL))
				found = &rules->properties[i];
	}
	return found;
}

static bool
is_required(const MoSurface *s, const MoProperty *like)
{
	ListCell   *cell;

	foreach(cell, s->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
			if (rules->properties[i].required &&
				mo_key_compare(rules->properties[i].name,
							   rules->properties[i].len,
							   like->name, like->len) == 0)
				return true;
	}
	return false;
}

static const char *
property_words(const MoProperty *property, bool required)
{
	MoSurface	s;

	if (property->node == NULL)
		return required ? "required" : "optional";
	mo_surface_read(&s, property->node);
	return psprintf("%s, %s", required ? "required" : "optional",
					mo_surface_words(&s));
}

/* A property that one side alone has; says so if it looks like a new name. */
static void
note_lone(MoChangeWalk *w, const MoProperty *property, const MoSurface *side,
		  const MoSurface *other, bool added)
{
	const char *path = w->path;
	bool		required = is_required(side, property);
	const char *renamed = "";
	ListCell   *cell;

	foreach(cell, other->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties && property->node; i++)
		{
			const MoProperty *p = &rules->properties[i];

			if (p->node == NULL || find_property(side, p) != NULL ||
				p->node->origin->schema.kind != MO_OBJECT ||
				mo_value_compare(&p->node->origin->schema,
								 &property->node->origin->schema) != 0)
				continue;
			renamed = psprintf(added ? "; perhaps %s renamed" :
							   "; perhaps renamed to %s",
							   mo_path_words(mo_changes_path("", p->name, p->len)));
		}
	}
	w->path = mo_changes_path(path, property->name, property->len);
	mo_changes_note(w, required ? "required" : "properties",
		 psprintf("%s was %s (%s)%s", mo_path_words(w->path), added ? "added" : "removed",
				  property_words(property, required), renamed),
		 required ? (added ? "add it as an optional property" :
					 "keep it, required, until the next major version") :
		 NULL);
	w->path = path;
}

static void
compare_property(MoChangeWalk *w, const MoProperty *old, bool was, const MoProperty *new,
				 bool is)
{
	const char *path = w->path;

	w->path = mo_changes_path(path, new->name, new->len);
	if (!was && is)
		mo_changes_note(w, "required", psprintf("%s is now required", mo_path_words(w->path)),
			 "leave it optional");
	else if (was && !is)
		mo_changes_note(w, "required", psprintf("%s is now optional", mo_path_words(w->path)),
			 "keep it required");
	if (old->node && new->node)
		mo_changes_compare(w, old->node, new->node);
	w->path = path;
}

static void
compare_properties(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
{
	ListCell   *cell;

	foreach(cell, old->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
		{
			const MoProperty *p = &rules->properties[i];
			const MoProperty *other = find_property(new, p);

			if (find_property(old, p) != p)
				continue;
			if (other == NULL)
				note_lone(w, p, old, new, false);
			else
				compare_property(w, p, is_required(old, p), other,
								 is_required(new, other));
		}
	}
	foreach(cell, new->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
			if (find_property(new, &rules->properties[i]) ==
				&rules->properties[i] &&
				find_property(old, &rules->properties[i]) == NULL)
				note_lone(w, &rules->properties[i], new, old, true);
	}
}

/* The schema of properties that are not named, explicit ones only. */
static const MoNode *
other_properties(const MoSurface *s)
{
	ListCell   *cell;

	foreach(cell, s->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		if (rules->additional)
			return rules->additional;
	}
	return s->unevaluated_properties;
}

static void
compare_others(MoChangeWalk *w, const MoNode *old, const MoNode *new)
{
	bool		was_closed = old && old->never;
	bool		is_closed = new && new->never;

	if (!was_closed && is_closed)
		mo_changes_note(w, "additionalProperties",
			 psprintf("%s may no longer have properties that are not named",
					  mo_path_words(w->path)),
			 "leave additionalProperties out: producers are held to the named properties anyway");
	else if (was_closed && !is_closed)
		mo_changes_note(w, "additionalProperties",
			 psprintf("%s may now have properties that are not named", mo_path_words(w->path)),
			 "name the new properties instead");
	else if (old && new && !is_closed && !(old->bare || new->bare))
		mo_changes_below(w, "{}", old, new);
	else if (new && new->bare && !(old && old->bare))
		mo_changes_note(w, "additionalProperties",
			 psprintf("producers may now add properties to %s that are not named",
					  mo_path_words(w->path)),
			 "name the new properties instead");
	else if (old && old->bare && new == NULL)
		mo_changes_note(w, "additionalProperties",
			 psprintf("producers may no longer add properties to %s that are not named",
					  mo_path_words(w->path)),
			 "keep additionalProperties: true");
	else if (new && !is_closed && !new->bare)
		mo_changes_note(w, "additionalProperties",
			 psprintf("properties of %s that are not named are now restricted",
					  mo_path_words(w->path)),
			 "leave additionalProperties out");
	else if (old && !was_closed && !old->bare)
		mo_changes_note(w, "additionalProperties",
			 psprintf("properties of %s that are not named are no longer restricted",
					  mo_path_words(w->path)),
			 "keep additionalProperties");
}

static void
compare_patterns(MoChangeWalk *w, const MoSurface *old, const MoSurface *new,
				 bool added)
{
	ListCell   *cell;
	ListCell   *inner;

	foreach(cell, old->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->npatterns; i++)
		{
			const char *source = mo_pattern_source(rules->patterns[i].pattern);
			const MoNode *other = NULL;

			foreach(inner, new->objects)
			{
				const MoObjectRules *r = lfirst(inner);

				for (int j = 0; j < r->npatterns; j++)
					if (strcmp(mo_pattern_source(r->patterns[j].pattern),
							   source) == 0)
						other = r->patterns[j].node;
			}
			if (other == NULL)
				mo_changes_note(w, "patternProperties",
					 psprintf(added ? "properties of %s that match %s now have a schema" :
							  "properties of %s that match %s have no schema any more",
							  mo_path_words(w->path), source), NULL);
			else if (!added)
				mo_changes_below(w, psprintf("{%s}", source),
							  rules->patterns[i].node, other);
		}
	}
}

static const MoObjectRules *
first_object(const MoSurface *s)
{
	static const MoObjectRules none = {.max_properties = PG_UINT32_MAX};

	return s->objects ? linitial(s->objects) : &none;
}

void
mo_changes_objects(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
{
	const MoObjectRules *a = first_object(old);
	const MoObjectRules *b = first_object(new);

	if (old->objects == NIL && new->objects == NIL)
		return;
	compare_properties(w, old, new);
	compare_patterns(w, old, new, false);
	compare_patterns(w, new, old, true);
	compare_others(w, other_properties(old), other_properties(new));
	mo_changes_limit(w, "minProperties", "at least", "properties",
				  mo_changes_count(a->min_properties, 0),
				  mo_changes_count(b->min_properties, 0));
	mo_changes_limit(w, "maxProperties", "at most", "properties",
				  mo_changes_count(a->max_properties, PG_UINT32_MAX),
				  mo_changes_count(b->max_properties, PG_UINT32_MAX));
	if (a->property_names && b->property_names)
		mo_changes_compare(w, a->property_names, b->property_names);
	else if (a->property_names || b->property_names)
		mo_changes_note(w, "propertyNames",
			 psprintf(b->property_names ? "the names in %s are now restricted" :
					  "the names in %s are no longer restricted", mo_path_words(w->path)),
			 b->property_names ? "leave propertyNames out" :
			 "keep propertyNames");
}
