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

const char *
mo_changes_path(const char *path, const char *token, int length)
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

void
mo_changes_below(MoChangeWalk *w, const char *token, const MoNode *old, const MoNode *new)
{
	const char *path = w->path;

	if (old == NULL || new == NULL)
		return;
	w->path = mo_changes_path(path, token, strlen(token));
	mo_changes_compare(w, old, new);
	w->path = path;
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
		mo_changes_below(w, psprintf("%d", i),
					  i < old->nprefix ? old->prefix[i] : old->items,
					  i < new->nprefix ? new->prefix[i] : new->items);
	mo_changes_below(w, "*", old->items, new->items);
	if (!old->items != !new->items)
		mo_changes_note(w, "items", psprintf(new->items ? "the items of %s now have a schema" :
								  "the items of %s have no schema any more",
								  mo_path_words(w->path)),
			 new->items ? "leave items out" : "keep items");
	if (old->contains && new->contains)
		mo_changes_below(w, "*", old->contains, new->contains);
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
	if (s.node->origin->schema.kind == MO_OBJECT &&
		mo_value_get(&s.node->origin->schema, "title", &title) &&
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
			mo_changes_compare(w, lfirst(cell), other);
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
	return a == b || (a && b && mo_value_compare(&a->origin->schema,
												 &b->origin->schema) == 0);
}

/* Does the keyword say the same in both? */
static bool
same_member(const MoNode *a, const MoNode *b, const char *keyword)
{
	MoValue		x;
	MoValue		y;
	bool		in_a = a->origin->schema.kind == MO_OBJECT &&
		mo_value_get(&a->origin->schema, keyword, &x);
	bool		in_b = b->origin->schema.kind == MO_OBJECT &&
		mo_value_get(&b->origin->schema, keyword, &y);

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

/* Who handles the data must know what it is, not just that something is said. */
static const char *
privacy_words(const char *place, const MoValue *was, const MoValue *is)
{
	if (is == NULL)
		return psprintf("%s is no longer marked as %s", place,
						mo_value_words(was));
	if (was == NULL)
		return psprintf("%s is now marked as %s", place, mo_value_words(is));
	return psprintf("%s is now marked as %s (before: %s)", place,
					mo_value_words(is), mo_value_words(was));
}

static void
compare_annotations(MoChangeWalk *w, const MoNode *old, const MoNode *new)
{
	static const char *const keywords[] = {
		"title", "description", "default", "examples", "deprecated",
		"readOnly", "writeOnly", "$comment", "x-privacy"
	};

	for (int i = 0; i < lengthof(keywords); i++)
	{
		const char *place = mo_path_words(w->path);
		MoValue		a;
		MoValue		b;
		bool		was = old->origin->schema.kind == MO_OBJECT &&
			mo_value_get(&old->origin->schema, keywords[i], &a);
		bool		is = new->origin->schema.kind == MO_OBJECT &&
			mo_value_get(&new->origin->schema, keywords[i], &b);

		if (same_member(old, new, keywords[i]))
			continue;
		mo_changes_note(w, keywords[i],
			 strcmp(keywords[i], "x-privacy") == 0 ?
			 privacy_words(place, was ? &a : NULL, is ? &b : NULL) :
			 psprintf("%s: %s was %s", place, keywords[i],
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

void
mo_changes_compare(MoChangeWalk *w, const MoNode *old, const MoNode *new)
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
	mo_changes_objects(w, &a, &b);
	compare_arrays(w, a.array, b.array);
	compare_branches(w, "anyOf", a.any, b.any);
	compare_branches(w, "oneOf", a.one, b.one);
	compare_conditions(w, &a, &b);
}

List *
mo_changes_list(const MoSchema *old, const MoSchema *new)
{
	MoChangeWalk w = {.path = ""};

	mo_changes_compare(&w, old->root, new->root);
	list_free(w.pairs);
	return w.changes;
}
