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
 * Called by changes_sql.c and findings.c.  Allocates in the current memory
 * context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "contract/changes.h"
#include "contract/format.h"

#define MAX_CHANGES 1000

typedef struct Walk
{
	List	   *changes;
	List	   *pairs;			/* nodes compared already, old and new in turn */
	const char *path;
} Walk;

static void compare(Walk *w, const MoNode *old, const MoNode *new);

static MoChange *
note(Walk *w, const char *keyword, const char *text, const char *allowed)
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
here(const Walk *w)
{
	return mo_path_words(w->path);
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
compare_below(Walk *w, const char *token, const MoNode *old, const MoNode *new)
{
	const char *path = w->path;

	if (old == NULL || new == NULL)
		return;
	w->path = below(path, token, strlen(token));
	compare(w, old, new);
	w->path = path;
}

/* ---- one bound ---- */

/*
 * A lower or upper limit, NULL where there is none.  "noun" completes "must
 * now have at least 3 ..."; NULL for the value itself.
 */
static void
compare_limit(Walk *w, const char *keyword, bool lower, const char *noun,
			  const char *old, const char *new)
{
	const char *most = lower ? "at least" : "at most";
	const char *verb = noun ? "have" : "be";
	const char *of = noun ? psprintf(" %s", noun) : "";

	if (old == NULL && new == NULL)
		return;
	if (old && new && strcmp(old, new) == 0)
		return;
	if (old == NULL)
		note(w, keyword, psprintf("%s must now %s %s %s%s", here(w), verb,
								  most, new, of),
			 psprintf("leave %s out", keyword));
	else if (new == NULL)
		note(w, keyword, psprintf("%s need no longer %s %s %s%s", here(w),
								  verb, most, old, of),
			 psprintf("keep %s: %s", keyword, old));
	else
		note(w, keyword, psprintf("%s must now %s %s %s%s, was %s", here(w),
								  verb, most, new, of, old),
			 psprintf("keep %s: %s", keyword, old));
}

static const char *
count_words(uint32 count, uint32 none)
{
	return count == none ? NULL : psprintf("%u", count);
}

static const char *
bound_words(const MoBound *bound)
{
	return bound ? mo_value_words(&bound->value) : NULL;
}

/* ---- values, strings, numbers ---- */

static bool
enum_has(const MoEnum *e, const MoValue *v)
{
	for (int i = 0; i < e->count; i++)
		if (mo_value_compare(&e->values[i], v) == 0)
			return true;
	return false;
}

/* The values of one that the other lacks, in words; NULL when none. */
static const char *
missing_values(const MoEnum *of, const MoEnum *in)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < of->count; i++)
		if (!enum_has(in, &of->values[i]))
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "",
							 mo_value_words(&of->values[i]));
	return buf.len > 0 ? buf.data : NULL;
}

static void
compare_values(Walk *w, const MoSurface *old, const MoSurface *new)
{
	const char *gone;
	const char *come;

	if (old->values == NULL && new->values == NULL)
		return;
	if (old->values == NULL)
	{
		note(w, "enum", psprintf("%s may now only be %s", here(w),
								 mo_surface_words(new)),
			 "leave the values open, or list them as x-extensible-enum");
		return;
	}
	if (new->values == NULL)
	{
		note(w, "enum", psprintf("%s may now be any value, was %s", here(w),
								 mo_surface_words(old)),
			 "keep the list of values");
		return;
	}
	gone = missing_values(old->values, new->values);
	come = missing_values(new->values, old->values);
	if (gone)
		note(w, "enum", psprintf("%s may no longer be %s", here(w), gone),
			 psprintf("keep %s in the list, even if it is no longer sent",
					  gone));
	if (come)
		note(w, "enum", psprintf("%s may now also be %s", here(w), come),
			 old->extensible ? NULL :
			 "list the values as x-extensible-enum from the first version on, so that consumers expect new ones");
	if (old->extensible != new->extensible)
		note(w, "x-extensible-enum",
			 psprintf(new->extensible ?
					  "consumers of %s must now expect values that are not listed" :
					  "consumers of %s need no longer expect values that are not listed",
					  here(w)),
			 NULL);
}

static void
compare_strings(Walk *w, const MoStringRules *old, const MoStringRules *new)
{
	static const MoStringRules none = {.max_length = PG_UINT32_MAX};
	const char *was;
	const char *is;

	old = old ? old : &none;
	new = new ? new : &none;
	compare_limit(w, "minLength", true, "characters",
				  count_words(old->min_length, 0),
				  count_words(new->min_length, 0));
	compare_limit(w, "maxLength", false, "characters",
				  count_words(old->max_length, PG_UINT32_MAX),
				  count_words(new->max_length, PG_UINT32_MAX));
	was = old->pattern ? mo_pattern_source(old->pattern) : NULL;
	is = new->pattern ? mo_pattern_source(new->pattern) : NULL;
	if (was == NULL && is == NULL)
		return;
	if (was == NULL)
		note(w, "pattern", psprintf("%s must now match %s", here(w), is),
			 "leave pattern out");
	else if (is == NULL)
		note(w, "pattern", psprintf("%s need no longer match %s", here(w), was),
			 psprintf("keep pattern: %s", was));
	else if (strcmp(was, is) != 0)
		note(w, "pattern", psprintf("%s must now match %s, was %s", here(w), is,
									was),
			 psprintf("keep pattern: %s", was));
}

static void
compare_numbers(Walk *w, const MoNumberRules *old, const MoNumberRules *new)
{
	static const MoNumberRules none = {0};
	const char *was;
	const char *is;

	old = old ? old : &none;
	new = new ? new : &none;
	compare_limit(w, "minimum", true, NULL, bound_words(old->minimum),
				  bound_words(new->minimum));
	compare_limit(w, "maximum", false, NULL, bound_words(old->maximum),
				  bound_words(new->maximum));
	compare_limit(w, "exclusiveMinimum", true, "more than",
				  bound_words(old->exclusive_minimum),
				  bound_words(new->exclusive_minimum));
	compare_limit(w, "exclusiveMaximum", false, "less than",
				  bound_words(old->exclusive_maximum),
				  bound_words(new->exclusive_maximum));
	was = old->multiple_of ? mo_value_words(&old->multiple_of_value) : NULL;
	is = new->multiple_of ? mo_value_words(&new->multiple_of_value) : NULL;
	if (is && (was == NULL || strcmp(was, is) != 0))
		note(w, "multipleOf",
			 was ? psprintf("%s must now be a multiple of %s, was %s", here(w),
							is, was) :
			 psprintf("%s must now be a multiple of %s", here(w), is),
			 was ? psprintf("keep multipleOf: %s", was) :
			 "leave multipleOf out");
	else if (was && is == NULL)
		note(w, "multipleOf", psprintf("%s need no longer be a multiple of %s",
									   here(w), was),
			 psprintf("keep multipleOf: %s", was));
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
note_lone(Walk *w, const MoProperty *property, const MoSurface *side,
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
	note(w, required ? "required" : "properties",
		 psprintf("%s was %s (%s)%s", here(w), added ? "added" : "removed",
				  property_words(property, required), renamed),
		 required ? (added ? "add it as an optional property" :
					 "keep it, required, until the next major version") :
		 NULL);
	w->path = path;
}

static void
compare_property(Walk *w, const MoProperty *old, bool was, const MoProperty *new,
				 bool is)
{
	const char *path = w->path;

	w->path = below(path, new->name, new->len);
	if (!was && is)
		note(w, "required", psprintf("%s is now required", here(w)),
			 "leave it optional");
	else if (was && !is)
		note(w, "required", psprintf("%s is now optional", here(w)),
			 "keep it required");
	if (old->node && new->node)
		compare(w, old->node, new->node);
	w->path = path;
}

static void
compare_properties(Walk *w, const MoSurface *old, const MoSurface *new)
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
compare_others(Walk *w, const MoNode *old, const MoNode *new)
{
	bool		was_closed = old && old->never;
	bool		is_closed = new && new->never;

	if (!was_closed && is_closed)
		note(w, "additionalProperties",
			 psprintf("%s may no longer have properties that are not named",
					  here(w)),
			 "leave additionalProperties out: producers are held to the named properties anyway");
	else if (was_closed && !is_closed)
		note(w, "additionalProperties",
			 psprintf("%s may now have properties that are not named", here(w)),
			 "name the new properties instead");
	else if (old && new && !is_closed)
		compare_below(w, "*", old, new);
	else if (new && !is_closed && !new->bare)
		note(w, "additionalProperties",
			 psprintf("properties of %s that are not named are now restricted",
					  here(w)),
			 "leave additionalProperties out");
	else if (old && !was_closed && !old->bare)
		note(w, "additionalProperties",
			 psprintf("properties of %s that are not named are no longer restricted",
					  here(w)),
			 "keep additionalProperties");
}

static void
compare_patterns(Walk *w, const MoSurface *old, const MoSurface *new,
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
				note(w, "patternProperties",
					 psprintf(added ? "properties of %s that match %s now have a schema" :
							  "properties of %s that match %s have no schema any more",
							  here(w), source), NULL);
			else if (!added)
				compare_below(w, "*", rules->patterns[i].node, other);
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
compare_objects(Walk *w, const MoSurface *old, const MoSurface *new)
{
	const MoObjectRules *a = first_object(old);
	const MoObjectRules *b = first_object(new);

	if (old->objects == NIL && new->objects == NIL)
		return;
	compare_properties(w, old, new);
	compare_patterns(w, old, new, false);
	compare_patterns(w, new, old, true);
	compare_others(w, other_properties(old), other_properties(new));
	compare_limit(w, "minProperties", true, "properties",
				  count_words(a->min_properties, 0),
				  count_words(b->min_properties, 0));
	compare_limit(w, "maxProperties", false, "properties",
				  count_words(a->max_properties, PG_UINT32_MAX),
				  count_words(b->max_properties, PG_UINT32_MAX));
	if (a->property_names && b->property_names)
		compare(w, a->property_names, b->property_names);
	else if (a->property_names || b->property_names)
		note(w, "propertyNames",
			 psprintf(b->property_names ? "the names in %s are now restricted" :
					  "the names in %s are no longer restricted", here(w)),
			 b->property_names ? "leave propertyNames out" :
			 "keep propertyNames");
}

/* ---- arrays ---- */

static void
compare_arrays(Walk *w, const MoArrayRules *old, const MoArrayRules *new)
{
	static const MoArrayRules none = {.max_items = PG_UINT32_MAX,
	.max_contains = PG_UINT32_MAX,.min_contains = 1};

	if (old == NULL && new == NULL)
		return;
	old = old ? old : &none;
	new = new ? new : &none;
	compare_limit(w, "minItems", true, "items", count_words(old->min_items, 0),
				  count_words(new->min_items, 0));
	compare_limit(w, "maxItems", false, "items",
				  count_words(old->max_items, PG_UINT32_MAX),
				  count_words(new->max_items, PG_UINT32_MAX));
	if (old->unique != new->unique)
		note(w, "uniqueItems",
			 psprintf(new->unique ? "the items of %s must now differ" :
					  "the items of %s need no longer differ", here(w)),
			 new->unique ? "leave uniqueItems out" : "keep uniqueItems: true");
	for (int i = 0; i < Max(old->nprefix, new->nprefix); i++)
		compare_below(w, psprintf("%d", i),
					  i < old->nprefix ? old->prefix[i] : old->items,
					  i < new->nprefix ? new->prefix[i] : new->items);
	compare_below(w, "*", old->items, new->items);
	if (!old->items != !new->items)
		note(w, "items", psprintf(new->items ? "the items of %s now have a schema" :
								  "the items of %s have no schema any more",
								  here(w)),
			 new->items ? "leave items out" : "keep items");
	if (old->contains && new->contains)
		compare_below(w, "*", old->contains, new->contains);
	else if (old->contains || new->contains)
		note(w, "contains",
			 psprintf(new->contains ? "%s must now contain a certain item" :
					  "%s need no longer contain a certain item", here(w)),
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
compare_branches(Walk *w, const char *keyword, List *old, List *new)
{
	ListCell   *cell;

	if (old == NIL && new == NIL)
		return;
	if (old == NIL || new == NIL)
	{
		note(w, keyword, psprintf(new ? "%s now has alternatives (%s)" :
								  "%s has no alternatives any more (%s)",
								  here(w), keyword), NULL);
		return;
	}
	foreach(cell, old)
	{
		const char *words = branch_words(lfirst(cell));
		const MoNode *other = find_branch(new, words);

		if (other)
			compare(w, lfirst(cell), other);
		else
			note(w, keyword, psprintf("%s: the alternative %s was removed",
									  here(w), words),
				 "keep the alternative, even if it is no longer sent");
	}
	foreach(cell, new)
	{
		const char *words = branch_words(lfirst(cell));

		if (find_branch(old, words) == NULL)
			note(w, keyword, psprintf("%s: the alternative %s was added",
									  here(w), words),
				 "publish it as an event type of its own, or in a new major version");
	}
}

static bool
same_schema(const MoNode *a, const MoNode *b)
{
	return a == b || (a && b && mo_value_compare(&a->schema, &b->schema) == 0);
}

static void
compare_conditions(Walk *w, const MoSurface *old, const MoSurface *new)
{
	const MoApply *a = old->condition ? old->node->apply : NULL;
	const MoApply *b = new->condition ? new->node->apply : NULL;

	if (!same_schema(old->not, new->not))
		note(w, "not", psprintf("what %s must not be has changed", here(w)),
			 NULL);
	if (!same_schema(old->condition, new->condition) ||
		(a && b && (!same_schema(a->consequence, b->consequence) ||
					!same_schema(a->alternative, b->alternative))))
		note(w, "if", psprintf("the conditions on %s have changed", here(w)),
			 NULL);
}

/* ---- what no document shows ---- */

static void
compare_annotations(Walk *w, const MoNode *old, const MoNode *new)
{
	static const char *const keywords[] = {
		"title", "description", "default", "examples", "deprecated",
		"readOnly", "writeOnly", "$comment", "x-privacy"
	};

	if (old->schema.kind != MO_OBJECT || new->schema.kind != MO_OBJECT)
		return;
	for (int i = 0; i < lengthof(keywords); i++)
	{
		MoValue		a;
		MoValue		b;
		bool		was = mo_value_get(&old->schema, keywords[i], &a);
		bool		is = mo_value_get(&new->schema, keywords[i], &b);

		if (was == is && (!was || mo_value_compare(&a, &b) == 0))
			continue;
		note(w, keywords[i],
			 psprintf("%s: %s was %s", here(w), keywords[i],
					  !was ? "added" : !is ? "removed" : "changed"),
			 NULL)->annotation = true;
	}
}

/* ---- one schema ---- */

/* True when the types differ so much that nothing below is comparable. */
static bool
compare_types(Walk *w, const MoSurface *old, const MoSurface *new)
{
	const char *was = mo_surface_type(old);
	const char *is = mo_surface_type(new);
	const char *name = strrchr(w->path, '/');

	if (strcmp(was, is) == 0)
		return false;
	note(w, old->types != new->types ? "type" : "format",
		 psprintf("%s was %s, is now %s", here(w), was, is),
		 psprintf("keep it %s; if it must change, add an optional property beside it%s",
				  was, name ? psprintf(", for example %s",
									   mo_path_words(psprintf("%s_v2", name))) : ""));
	return (old->types & new->types & ~MO_T_INTEGER) == 0 &&
		!((old->types | new->types) & MO_T_INTEGER);
}

static bool
seen(Walk *w, const MoNode *old, const MoNode *new)
{
	for (int i = 0; i + 1 < list_length(w->pairs); i += 2)
		if (list_nth(w->pairs, i) == old && list_nth(w->pairs, i + 1) == new)
			return true;
	w->pairs = lappend(w->pairs, unconstify(MoNode *, old));
	w->pairs = lappend(w->pairs, unconstify(MoNode *, new));
	return false;
}

static void
compare(Walk *w, const MoNode *old, const MoNode *new)
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
	compare_values(w, &a, &b);
	compare_strings(w, a.string, b.string);
	compare_numbers(w, a.number, b.number);
	compare_objects(w, &a, &b);
	compare_arrays(w, a.array, b.array);
	compare_branches(w, "anyOf", a.any, b.any);
	compare_branches(w, "oneOf", a.one, b.one);
	compare_conditions(w, &a, &b);
}

List *
mo_changes_list(const MoSchema *old, const MoSchema *new)
{
	Walk		w = {.path = ""};

	compare(&w, old->root, new->root);
	list_free(w.pairs);
	return w.changes;
}

/* ---- which change explains a violation ---- */

/* A path of a document with its array indexes as "*". */
static char *
general_path(const char *path)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const char *at = path; *at;)
	{
		const char *end = strchr(at + 1, '/');
		int			length = end ? (int) (end - at) : (int) strlen(at);

		if (length > 1 && strspn(at + 1, "0123456789") >= length - 1)
			appendStringInfoString(&buf, "/*");
		else
			appendBinaryStringInfo(&buf, at, length);
		at += length;
	}
	return buf.data;
}

static int
explains(const MoChange *c, const char *path, const char *exact,
		 const char *keyword, const char *message)
{
	int			length = strlen(path);
	const char *name = strrchr(c->path, '/');
	bool		same = strcmp(c->path, path) == 0 || strcmp(c->path, exact) == 0;
	bool		named = name != NULL && strstr(message, name + 1) != NULL &&
		strncmp(c->path, path, name - c->path) == 0 &&
		name - c->path == length;

	if (same)
		return keyword && strcmp(c->keyword, keyword) == 0 ? 100 : 90;
	if (named)
		return strcmp(c->keyword, "required") == 0 ||
			strcmp(c->keyword, "properties") == 0 ? 95 : 80;
	/* a change further out, the nearer the better */
	if (strncmp(c->path, path, strlen(c->path)) == 0 &&
		path[strlen(c->path)] == '/')
		return 40 + Min(20, (int) strlen(c->path));
	/* or further in */
	if (strncmp(c->path, path, length) == 0 && c->path[length] == '/')
		return 20;
	return 0;
}

MoChange *
mo_changes_find(List *changes, const char *path, const char *keyword,
				const char *message)
{
	char	   *general = general_path(path);
	MoChange   *best = NULL;
	int			best_score = 0;
	ListCell   *cell;

	foreach(cell, changes)
	{
		MoChange   *c = lfirst(cell);
		int			score = c->annotation ? 0 :
			explains(c, general, path, keyword, message ? message : "");

		if (score > best_score)
		{
			best = c;
			best_score = score;
		}
	}
	pfree(general);
	return best;
}
