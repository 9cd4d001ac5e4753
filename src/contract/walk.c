/*-------------------------------------------------------------------------
 *
 * walk.c
 *	  Walks an instance against a compiled schema.
 *
 * Called for every checked event, so what a valid value costs is what
 * matters here: nothing is allocated, copied or converted unless the schema
 * asks for evaluation tracking on large values.  The same code collects
 * violations: each check either stops at once or, collecting, goes on.
 *
 * Recursion is bounded by the instance's depth, which the server's own limit
 * on the stack bounds, and by "hops": the number of times in a row a schema
 * was applied to the same value, which only a dynamic reference could make
 * endless (the compiler refuses static cycles).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/walk.h"

#define MAX_HOPS		1000

/* Bytes; where lines are longer, some are asked for twice. */
#define CACHE_LINE		64

static pg_noinline bool
walk_number(MoWalk *w, const MoNode *node, const MoValue *v)
{
	const MoNumberRules *rules = node->number;
	const MoBound *b;
	MoNumber	n;
	bool		ok = true;

	mo_number_view(v, &n);
	if ((b = rules->minimum) && mo_number_compare(&n, &b->number) < 0)
		ok = w->collect ?
			mo_violate(w, node, "minimum", v, NULL, "must be %s %s",
					   mo_sign("≥", ">="), mo_value_text(&b->value)) : false;
	if ((b = rules->maximum) && mo_number_compare(&n, &b->number) > 0)
		ok = w->collect ?
			mo_violate(w, node, "maximum", v, NULL, "must be %s %s",
					   mo_sign("≤", "<="), mo_value_text(&b->value)) : false;
	if ((b = rules->exclusive_minimum) &&
		mo_number_compare(&n, &b->number) <= 0)
		ok = w->collect ?
			mo_violate(w, node, "exclusiveMinimum", v, NULL, "must be > %s",
					   mo_value_text(&b->value)) : false;
	if ((b = rules->exclusive_maximum) &&
		mo_number_compare(&n, &b->number) >= 0)
		ok = w->collect ?
			mo_violate(w, node, "exclusiveMaximum", v, NULL, "must be < %s",
					   mo_value_text(&b->value)) : false;
	if (rules->multiple_of && !mo_number_is_multiple(v, rules->multiple_of))
		ok = w->collect ?
			mo_violate(w, node, "multipleOf", v, NULL,
					   "must be a multiple of %s",
					   mo_value_text(&rules->multiple_of_value)) : false;
	return ok;
}

/*
 * A code point takes one to four bytes, so that most lengths are decided by
 * the number of bytes without counting.
 */
static bool
walk_length(MoWalk *w, const MoNode *node, const MoValue *v)
{
	const MoStringRules *rules = node->string;
	uint32		length;

	if (v->len <= rules->max_length && v->len / 4 >= rules->min_length)
		return true;
	length = mo_utf8_length(v->data, v->len);
	if (length < rules->min_length)
		return mo_violate(w, node, "minLength", v, NULL,
						  "must have at least %u character%s, has %u",
						  rules->min_length,
						  rules->min_length == 1 ? "" : "s", length);
	if (length > rules->max_length)
		return mo_violate(w, node, "maxLength", v, NULL,
						  "must have at most %u character%s, has %u",
						  rules->max_length,
						  rules->max_length == 1 ? "" : "s", length);
	return true;
}

static bool
walk_string(MoWalk *w, const MoNode *node, const MoValue *v)
{
	const MoStringRules *rules = node->string;
	bool		ok = walk_length(w, node, v);

	if (!ok && !w->collect)
		return false;
	if (rules->format && !rules->format->check(v->data, v->len))
		ok = mo_violate(w, node, "format", v, rules->format->hint,
						"is not a valid %s", rules->format->name);
	if (!ok && !w->collect)
		return false;
	if (rules->pattern && !mo_pattern_matches(rules->pattern, v->data, v->len))
		ok = mo_violate(w, node, "pattern", v, NULL,
						"does not match the pattern %s",
						mo_pattern_source(rules->pattern));
	if (rules->encoded_base64 || rules->content_json || rules->content_schema)
		ok &= mo_walk_content(w, node, v);
	return ok;
}

static bool
walk_enum(MoWalk *w, const MoNode *node, const MoEnum *e, const MoValue *v)
{
	int			low = 0;
	int			high = e->count - 1;

	while (low <= high)
	{
		int			mid = (low + high) / 2;
		int			cmp = mo_value_compare(v, &e->values[mid]);

		if (cmp == 0)
			return true;
		if (cmp < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return mo_violate_enum(w, node, e, v);
}

/* Walks without reporting: to find out which branch applies. */
bool
mo_walk_probe(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	bool		collect = w->collect;
	int			start = w->ntrail;
	bool		ok;

	w->collect = false;
	ok = mo_walk(w, node, v, mode);
	w->collect = collect;
	if (!ok)
		w->ntrail = start;
	return ok;
}

/* Where annotations count, every branch must be walked, not only one. */
static bool
walk_any(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoApply *apply = node->apply;
	bool		found = false;

	for (int i = 0; i < apply->nany && (!found || MO_NOTES(mode)); i++)
		found |= mo_walk_probe(w, apply->any[i], v, mode);
	return found ||
		mo_violate_branches(w, node, "anyOf", apply->any, apply->nany, v, mode);
}

static bool
walk_one(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoApply *apply = node->apply;
	int			first = -1;

	for (int i = 0; i < apply->none_of; i++)
	{
		if (!mo_walk_probe(w, apply->one[i], v, mode))
			continue;
		if (first >= 0)
			return mo_violate(w, node, "oneOf", v,
							  "Make the alternatives exclude each other, for example by a const in each.",
							  "matches more than one alternative: oneOf/%d and oneOf/%d",
							  first, i);
		first = i;
	}
	return first >= 0 ||
		mo_violate_branches(w, node, "oneOf", apply->one, apply->none_of, v,
							mode);
}

static bool
walk_condition(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoApply *apply = node->apply;

	if (mo_walk_probe(w, apply->condition, v, mode))
		return apply->consequence == NULL ||
			mo_walk(w, apply->consequence, v, mode);
	if (mode & MO_DEFER)
		mo_trail_declare(w, apply->condition, v);
	return apply->alternative == NULL ||
		mo_walk(w, apply->alternative, v, mode);
}

/* The outermost resource with a dynamic anchor of that name decides. */
static const MoNode *
dynamic_target(const MoWalk *w, const MoApply *apply)
{
	const MoNode *target = apply->dynamic_ref;

	if (apply->dynamic_anchor == NULL)
		return target;
	for (const MoScope *s = w->scope; s; s = s->outer)
	{
		for (const MoAnchor *a = s->resource->anchors; a; a = a->next)
		{
			if (a->dynamic && strcmp(a->name, apply->dynamic_anchor) == 0)
				target = a->node;
		}
	}
	return target;
}

static bool
walk_dependents(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoApply *apply = node->apply;
	bool		ok = true;

	for (int i = 0; i < apply->ndependents && (ok || w->collect); i++)
	{
		const MoDependency *d = &apply->dependents[i];
		MoValue		ignored;

		if (mo_value_member(v, d->name.data, d->name.len, &ignored, NULL))
			ok &= mo_walk(w, d->node, v, mode);
	}
	return ok;
}

static pg_noinline bool
walk_apply(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	const MoApply *apply = node->apply;
	bool		ok = true;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (++w->hops > MAX_HOPS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("more than %d schemas in a row were applied to the same value",
						MAX_HOPS),
				 errdetail("The schema at %s is one of them.",
						   mo_node_pointer(node)),
				 errhint("A reference that leads back to itself must go through properties or items.")));
	if (apply->ref)
		ok = mo_walk(w, apply->ref, v, mode);
	if (apply->dynamic_ref && (ok || w->collect))
		ok &= mo_walk(w, dynamic_target(w, apply), v, mode);
	for (int i = 0; i < apply->nall && (ok || w->collect); i++)
		ok &= mo_walk(w, apply->all[i], v, mode);
	if (apply->nany && (ok || w->collect))
		ok &= walk_any(w, node, v, mode);
	if (apply->none_of && (ok || w->collect))
		ok &= walk_one(w, node, v, mode);
	if (apply->not && (ok || w->collect))
	{
		int			start = w->ntrail;

		if (mo_walk_probe(w, apply->not, v, 0))
			ok = mo_violate(w, node, "not", v, NULL,
							"must not match the schema under \"not\"");
		w->ntrail = start;
	}
	if (apply->condition && (ok || w->collect))
		ok &= walk_condition(w, node, v, mode);
	if (apply->ndependents && v->kind == MO_OBJECT && (ok || w->collect))
		ok &= walk_dependents(w, node, v, mode);
	w->hops--;
	return ok;
}

/* The part of a node that looks at the value's own kind, then in place. */
static bool
walk_keywords(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	bool		ok = true;

	if (node->enumeration)
		ok = walk_enum(w, node, node->enumeration, v);
	if (node->constant && (ok || w->collect))
		ok &= walk_enum(w, node, node->constant, v);
	if (!ok && !w->collect)
		return false;
	switch (v->kind)
	{
		case MO_STRING:
			if (node->string)
				ok &= walk_string(w, node, v);
			break;
		case MO_NUMBER:
			if (node->number)
				ok &= walk_number(w, node, v);
			break;
		case MO_ARRAY:
			if (node->array)
				ok &= mo_walk_array(w, node, v, mode);
			break;
		case MO_OBJECT:
			if (node->object)
				ok &= mo_walk_object(w, node, v, mode);
			break;
		default:
			break;
	}
	if (node->apply && (ok || w->collect))
		ok &= walk_apply(w, node, v, mode);
	return ok;
}

/*
 * A node whose own unevaluated* keyword, or whose deferred reading P, needs
 * to know what was evaluated: walks it with a trail of its own.
 */
static bool
walk_tracked(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	int			start = w->ntrail;
	int			inner = mode | MO_TRACK;
	bool		defers = (mode & MO_CLOSED) != 0 && node->scattered;
	bool		ok;

	if (defers)
		inner = (inner & ~MO_CLOSED) | MO_DEFER;
	ok = walk_keywords(w, node, v, inner);
	if (node->unevaluated_properties && v->kind == MO_OBJECT &&
		(ok || w->collect))
		ok &= mo_trail_unevaluated_properties(w, node, v, start, inner);
	if (node->unevaluated_items && v->kind == MO_ARRAY && (ok || w->collect))
		ok &= mo_trail_unevaluated_items(w, node, v, start, inner);
	if (defers && (ok || w->collect))
		ok &= mo_trail_closed(w, node, v, start);
	if (!MO_NOTES(mode))
		w->ntrail = start;
	return ok;
}

static bool
walk_in_scope(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	if (node->unevaluated ||
		(node->scattered && (mode & MO_CLOSED)))
		return walk_tracked(w, node, v, mode);
	return walk_keywords(w, node, v, mode);
}

/*
 * What few values need is kept out of mo_walk(), which then gets by without
 * variables on the stack.
 */
static pg_noinline bool
is_integer(const MoValue *v)
{
	MoNumber	n;

	if (v->kind != MO_NUMBER)
		return false;
	mo_number_view(v, &n);
	return mo_number_is_integer(&n);
}

static pg_noinline bool
walk_in_new_scope(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	MoScope		scope = {w->scope, node->origin->resource};
	bool		ok;

	w->scope = &scope;
	ok = walk_in_scope(w, node, v, mode);
	w->scope = scope.outer;
	return ok;
}

/* Walks one value against one node; false if it is not valid. */
bool
mo_walk(MoWalk *w, const MoNode *node, const MoValue *v, int mode)
{
	if (unlikely(w->listing && node->classified))
		mo_violation_classify(w);
	if (node->bare)
		return true;
	if (node->never)
		return mo_violate(w, node, NULL, v, NULL, "is not allowed");

	/* After this complaint other keywords would mostly repeat it. */
	if (unlikely((node->types & MO_T(v->kind)) == 0) &&
		!((node->types & MO_T_INTEGER) && is_integer(v)))
		return mo_violate_type(w, node, v);
	if (v->kind >= MO_ARRAY)
	{
		CHECK_FOR_INTERRUPTS();
		check_stack_depth();
	}
	if (unlikely(w->program->dynamic &&
				 w->scope->resource != node->origin->resource))
		return walk_in_new_scope(w, node, v, mode);
	return walk_in_scope(w, node, v, mode);
}

void
mo_walk_begin(MoWalk *w, const MoSchema *schema)
{
	w->program = schema;
	w->scope = NULL;
	w->step = NULL;
	w->collect = false;
	w->limit = 0;
	w->violations = NIL;
	w->listing = false;
	w->classified = NIL;
	w->hops = 0;
	w->trail = w->trail_inline;
	w->ntrail = 0;
	w->trail_size = MO_TRAIL_INLINE;
}

void
mo_walk_end(MoWalk *w)
{
	if (w->trail != w->trail_inline)
		pfree(w->trail);
}

/* Lines that are asked for together arrive together. */
void
mo_schema_prefetch(const MoSchema *schema)
{
	for (int i = 0; i < MO_HOT_BLOCKS && schema->hot[i]; i++)
	{
		for (int at = 0; at < MO_HOT_BLOCK; at += CACHE_LINE)
			__builtin_prefetch(schema->hot[i] + at);
	}
}

bool
mo_schema_is_valid(const MoSchema *schema, Jsonb *instance)
{
	MoWalk		w;
	MoScope		scope = {NULL};
	MoValue		root;
	bool		ok;

	mo_walk_begin(&w, schema);
	if (schema->dynamic)
		scope.resource = schema->root->origin->resource;
	w.scope = &scope;
	mo_value_root(instance, &root);
	ok = mo_walk(&w, schema->root, &root,
				 schema->options.closed ? MO_CLOSED : 0);
	mo_walk_end(&w);
	return ok;
}

List *
mo_schema_violations(const MoSchema *schema, Jsonb *instance, int limit)
{
	MoWalk		w;
	MoScope		scope = {NULL, schema->root->origin->resource};
	MoValue		root;

	mo_walk_begin(&w, schema);
	w.scope = &scope;
	w.collect = true;
	w.listing = true;
	w.limit = limit;
	mo_value_root(instance, &root);
	mo_walk(&w, schema->root, &root, schema->options.closed ? MO_CLOSED : 0);
	mo_walk_end(&w);
	mo_violation_redact(&w);
	return w.violations;
}
