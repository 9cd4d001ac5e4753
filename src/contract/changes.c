/*-------------------------------------------------------------------------
 *
 * changes.c
 *	  What differs between two versions of a contract.
 *
 * Walks both compiled schemas together and describes every difference where
 * it shows in documents: at a property, an item, the document.  This is the
 * changelog; whether a difference breaks anybody is for the prover to say,
 * and mo_changes_find brings the two together.
 *
 * Called by changes_sql.c.  Allocates in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "contract/changes.h"
#include "contract/format.h"

#define MAX_CHANGES 1000

static void compare(MoChangeWalk *w, const MoNode *old, const MoNode *new);

MoChange *
mo_changes_note(MoChangeWalk *w, const char *keyword, const char *text, const char *allowed)
{
	MoChange   *c = palloc0(sizeof(MoChange));

	c->path = w->path;
	c->keyword = keyword;
	c->text = text;
	c->allowed = allowed;
	if (list_length(w->changes) < MAX_CHANGES)
		w->changes = lappend(w->changes, c);
	return c;
}

static const char *
below(const char *path, const char *token, int length)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%s/", path);
	for (int i = 0; i < length; i++)
	{
		if (token[i] == '~')
			appendStringInfoString(&buf, "~0");
		else if (token[i] == '/')
			appendStringInfoString(&buf, "~1");
		else
			appendStringInfoChar(&buf, token[i]);
	}
	return buf.data;
}

static void
compare_below(MoChangeWalk *w, const char *token, const MoNode *old, const MoNode *new)
{
	const char *path = w->path;

	if (old == NULL || new == NULL)
		return;
	w->path = below(path, token, strlen(token));
	compare(w, old, new);
	w->path = path;
}

/* ---- objects ---- */

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
				p->node->schema.kind != MO_OBJECT ||
				mo_value_compare(&p->node->schema,
								 &property->node->schema) != 0)
				continue;
			renamed = psprintf(added ? "; perhaps %s renamed" :
							   "; perhaps renamed to %s",
							   mo_path_words(below("", p->name, p->len)));
		}
	}
	w->path = below(path, property->name, property->len);
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

	w->path = below(path, new->name, new->len);
	if (!was && is)
		mo_changes_note(w, "required", psprintf("%s is now required", mo_path_words(w->path)),
			 "leave it optional");
	else if (was && !is)
		mo_changes_note(w, "required", psprintf("%s is now optional", mo_path_words(w->path)),
			 "keep it required");
	if (old->node && new->node)
		compare(w, old->node, new->node);
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
		compare_below(w, "{}", old, new);
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
				compare_below(w, psprintf("{%s}", source),
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

static void
compare_objects(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
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
		compare(w, a->property_names, b->property_names);
	else if (a->property_names || b->property_names)
		mo_changes_note(w, "propertyNames",
			 psprintf(b->property_names ? "the names in %s are now restricted" :
					  "the names in %s are no longer restricted", mo_path_words(w->path)),
			 b->property_names ? "leave propertyNames out" :
			 "keep propertyNames");
}

/* ---- arrays ---- */

static void
compare_arrays(MoChangeWalk *w, const MoArrayRules *old, const MoArrayRules *new)
{
	static const MoArrayRules none = {.max_items = PG_UINT32_MAX,
	.max_contains = PG_UINT32_MAX,.min_contains = 1};

	if (old == NULL && new == NULL)
		return;
	old = old ? old : &none;
	new = new ? new : &none;
	mo_changes_limit(w, "minItems", "at least", "items", mo_changes_count(old->min_items, 0),
				  mo_changes_count(new->min_items, 0));
	mo_changes_limit(w, "maxItems", "at most", "items",
				  mo_changes_count(old->max_items, PG_UINT32_MAX),
				  mo_changes_count(new->max_items, PG_UINT32_MAX));
	if (old->unique != new->unique)
		mo_changes_note(w, "uniqueItems",
			 psprintf(new->unique ? "the items of %s must now differ" :
					  "the items of %s need no longer differ", mo_path_words(w->path)),
			 new->unique ? "leave uniqueItems out" : "keep uniqueItems: true");
	for (int i = 0; i < Max(old->nprefix, new->nprefix); i++)
		compare_below(w, psprintf("%d", i),
					  i < old->nprefix ? old->prefix[i] : old->items,
					  i < new->nprefix ? new->prefix[i] : new->items);
	compare_below(w, "*", old->items, new->items);
	if (!old->items != !new->items)
		mo_changes_note(w, "items", psprintf(new->items ? "the items of %s now have a schema" :
								  "the items of %s have no schema any more",
								  mo_path_words(w->path)),
			 new->items ? "leave items out" : "keep items");
	if (old->contains && new->contains)
		compare_below(w, "*", old->contains, new->contains);
	else if (old->contains || new->contains)
		mo_changes_note(w, "contains",
			 psprintf(new->contains ? "%s must now contain a certain item" :
					  "%s need no longer contain a certain item", mo_path_words(w->path)),
			 new->contains ? "leave contains out" : "keep contains");
}

/* ---- alternatives ---- */

/* What an alternative is known by: its title, a constant, its type. */
static const char *
branch_words(const MoNode *node)
{
	MoSurface	s;
	MoValue		title;
	ListCell   *cell;

	mo_surface_read(&s, node);
	if (s.node->schema.kind == MO_OBJECT &&
		mo_value_get(&s.node->schema, "title", &title) &&
		title.kind == MO_STRING)
		return mo_value_words(&title);
	foreach(cell, s.objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
		{
			MoSurface	p;

			if (rules->properties[i].node == NULL)
				continue;
			mo_surface_read(&p, rules->properties[i].node);
			if (p.values && p.values->count == 1)
				return psprintf("%s %s",
								pnstrdup(rules->properties[i].name,
										 rules->properties[i].len),
								mo_value_words(&p.values->values[0]));
		}
	}
	return mo_surface_words(&s);
}

static const MoNode *
find_branch(List *branches, const char *words)
{
	ListCell   *cell;

	foreach(cell, branches)
		if (strcmp(branch_words(lfirst(cell)), words) == 0)
			return lfirst(cell);
	return NULL;
}

static void
compare_branches(MoChangeWalk *w, const char *keyword, List *old, List *new)
{
	ListCell   *cell;

	if (old == NIL && new == NIL)
		return;
	if (old == NIL || new == NIL)
	{
		mo_changes_note(w, keyword, psprintf(new ? "%s now has alternatives (%s)" :
								  "%s has no alternatives any more (%s)",
								  mo_path_words(w->path), keyword), NULL);
		return;
	}
	foreach(cell, old)
	{
		const char *words = branch_words(lfirst(cell));
		const MoNode *other = find_branch(new, words);

		if (other)
			compare(w, lfirst(cell), other);
		else
			mo_changes_note(w, keyword, psprintf("%s: the alternative %s was removed",
									  mo_path_words(w->path), words),
				 "keep the alternative, even if it is no longer sent");
	}
	foreach(cell, new)
	{
		const char *words = branch_words(lfirst(cell));

		if (find_branch(old, words) == NULL)
			mo_changes_note(w, keyword, psprintf("%s: the alternative %s was added",
									  mo_path_words(w->path), words),
				 "publish it as an event type of its own, or in a new major version");
	}
}

static bool
same_schema(const MoNode *a, const MoNode *b)
{
	return a == b || (a && b && mo_value_compare(&a->schema, &b->schema) == 0);
}

/* Does the keyword say the same in both? */
static bool
same_member(const MoNode *a, const MoNode *b, const char *keyword)
{
	MoValue		x;
	MoValue		y;
	bool		in_a = a->schema.kind == MO_OBJECT &&
		mo_value_get(&a->schema, keyword, &x);
	bool		in_b = b->schema.kind == MO_OBJECT &&
		mo_value_get(&b->schema, keyword, &y);

	return in_a == in_b && (!in_a || mo_value_compare(&x, &y) == 0);
}

static void
compare_conditions(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
{
	static const char *const dependencies[] = {
		"dependentRequired", "dependentSchemas", "dependencies"
	};
	const MoApply *a = old->condition ? old->node->apply : NULL;
	const MoApply *b = new->condition ? new->node->apply : NULL;

	if (!same_schema(old->not, new->not))
		mo_changes_note(w, "not", psprintf("what %s must not be has changed", mo_path_words(w->path)),
			 NULL);
	if (!same_schema(old->condition, new->condition) ||
		(a && b && (!same_schema(a->consequence, b->consequence) ||
					!same_schema(a->alternative, b->alternative))))
		mo_changes_note(w, "if", psprintf("the conditions on %s have changed", mo_path_words(w->path)),
			 NULL);
	for (int i = 0; i < lengthof(dependencies); i++)
		if (!same_member(old->node, new->node, dependencies[i]))
			mo_changes_note(w, dependencies[i],
				 psprintf("which properties of %s depend on others has changed",
						  mo_path_words(w->path)),
				 psprintf("keep %s", dependencies[i]));
}

/* ---- what no document shows ---- */

static void
compare_annotations(MoChangeWalk *w, const MoNode *old, const MoNode *new)
{
	static const char *const keywords[] = {
		"title", "description", "default", "examples", "deprecated",
		"readOnly", "writeOnly", "$comment", "x-privacy"
	};

	for (int i = 0; i < lengthof(keywords); i++)
	{
		MoValue		v;
		bool		was = old->schema.kind == MO_OBJECT &&
			mo_value_get(&old->schema, keywords[i], &v);
		bool		is = new->schema.kind == MO_OBJECT &&
			mo_value_get(&new->schema, keywords[i], &v);

		if (same_member(old, new, keywords[i]))
			continue;
		mo_changes_note(w, keywords[i],
			 psprintf("%s: %s was %s", mo_path_words(w->path), keywords[i],
					  !was ? "added" : !is ? "removed" : "changed"),
			 NULL)->annotation = true;
	}
}

/* ---- one schema ---- */

/* True when the types differ so much that nothing below is comparable. */
static bool
compare_types(MoChangeWalk *w, const MoSurface *old, const MoSurface *new)
{
	const char *was = mo_surface_type(old);
	const char *is = mo_surface_type(new);
	const char *name = strrchr(w->path, '/');

	if (strcmp(was, is) == 0)
		return false;
	mo_changes_note(w, old->types != new->types ? "type" : "format",
		 old->never ? psprintf("%s was not allowed, is now %s", mo_path_words(w->path), is) :
		 new->never ? psprintf("%s was %s, is no longer allowed", mo_path_words(w->path),
							   was) :
		 psprintf("%s was %s, is now %s", mo_path_words(w->path), was, is),
		 psprintf("keep it %s; if it must change, add an optional property beside it%s",
				  was, name ? psprintf(", for example %s",
									   mo_path_words(psprintf("%s_v2", name))) : ""));
	return (old->types & new->types & ~MO_T_INTEGER) == 0 &&
		!((old->types | new->types) & MO_T_INTEGER);
}

static bool
seen(MoChangeWalk *w, const MoNode *old, const MoNode *new)
{
	for (int i = 0; i + 1 < list_length(w->pairs); i += 2)
		if (list_nth(w->pairs, i) == old && list_nth(w->pairs, i + 1) == new)
			return true;
	w->pairs = lappend(w->pairs, unconstify(MoNode *, old));
	w->pairs = lappend(w->pairs, unconstify(MoNode *, new));
	return false;
}

static void
compare(MoChangeWalk *w, const MoNode *old, const MoNode *new)
{
	MoSurface	a;
	MoSurface	b;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	mo_surface_read(&a, old);
	mo_surface_read(&b, new);
	if (seen(w, a.node, b.node))
		return;
	compare_annotations(w, a.node, b.node);
	if (compare_types(w, &a, &b))
		return;
	mo_changes_values(w, &a, &b);
	mo_changes_strings(w, a.string, b.string);
	mo_changes_numbers(w, a.number, b.number);
	compare_objects(w, &a, &b);
	compare_arrays(w, a.array, b.array);
	compare_branches(w, "anyOf", a.any, b.any);
	compare_branches(w, "oneOf", a.one, b.one);
	compare_conditions(w, &a, &b);
}

List *
mo_changes_list(const MoSchema *old, const MoSchema *new)
{
	MoChangeWalk w = {.path = ""};

	compare(&w, old->root, new->root);
	list_free(w.pairs);
	return w.changes;
}
