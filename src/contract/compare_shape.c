/*-------------------------------------------------------------------------
 *
 * compare_shape.c
 *	  Compiled subschemas together with the dynamic scope they are met in.
 *
 * The prover reads schemas as the compiler of schema.h left them, references
 * resolved.  Only $dynamicRef is still open there: its target depends on the
 * resources passed on the way.  A shape is therefore a node and, for every
 * dynamic anchor's name, the first resource on the way that defines it; a
 * schema without $dynamicRef has one empty scope.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"

#include "contract/compare_int.h"

static uint32
shape_hash(const MoNode *node, const MoAnchors *scope)
{
	return hash_combine(murmurhash32((uint32) ((uintptr_t) node >> 3)),
						murmurhash32((uint32) ((uintptr_t) scope >> 3)));
}

static void
grow_table(MoProver *p)
{
	uint32		slots = p->shape_slots ? p->shape_slots * 2 : 256;
	MoShape   **table = MemoryContextAllocZero(p->context,
											   slots * sizeof(MoShape *));

	for (uint32 i = 0; i < p->shape_slots; i++)
	{
		MoShape    *s = p->shape_table[i];

		while (s != NULL)
		{
			MoShape    *next = s->next;
			uint32		slot = shape_hash(s->node, s->scope) & (slots - 1);

			s->next = table[slot];
			table[slot] = s;
			s = next;
		}
	}
	if (p->shape_table)
		pfree(p->shape_table);
	p->shape_table = table;
	p->shape_slots = slots;
}

static MoShape *
find_shape(MoProver *p, const MoNode *node, const MoAnchors *scope)
{
	MoShape    *s;
	uint32		slot;

	if (p->shape_count >= p->shape_slots)
		grow_table(p);
	slot = shape_hash(node, scope) & (p->shape_slots - 1);
	for (s = p->shape_table[slot]; s; s = s->next)
		if (s->node == node && s->scope == scope)
			return s;
	s = MemoryContextAllocZero(p->context, sizeof(MoShape));
	s->node = node;
	s->scope = scope;
	s->id = ++p->shape_count;
	s->next = p->shape_table[slot];
	p->shape_table[slot] = s;
	return s;
}

static const MoAnchor *
scope_find(const MoAnchors *scope, const char *name)
{
	for (int i = 0; i < scope->count; i++)
		if (strcmp(scope->anchors[i]->name, name) == 0)
			return scope->anchors[i];
	return NULL;
}

static const MoAnchors *
intern_scope(MoProver *p, const MoAnchor **anchors, int count)
{
	MemoryContext old;
	MoAnchors    *scope;
	ListCell   *cell;

	foreach(cell, p->scopes)
	{
		scope = lfirst(cell);
		if (scope->count == count &&
			memcmp(scope->anchors, anchors, sizeof(MoAnchor *) * count) == 0)
			return scope;
	}
	old = MemoryContextSwitchTo(p->context);
	scope = palloc(sizeof(MoAnchors));
	scope->count = count;
	scope->anchors = palloc(sizeof(MoAnchor *) * (count + 1));
	memcpy(scope->anchors, anchors, sizeof(MoAnchor *) * count);
	p->scopes = lappend(p->scopes, scope);
	MemoryContextSwitchTo(old);
	return scope;
}

static int
anchor_cmp(const void *a, const void *b)
{
	uintptr_t	x = (uintptr_t) *(const MoAnchor *const *) a;
	uintptr_t	y = (uintptr_t) *(const MoAnchor *const *) b;

	return x < y ? -1 : x > y;
}

/* The scope after entering the resource: what was met first stays. */
static const MoAnchors *
enter(MoProver *p, const MoAnchors *scope, const MoResource *resource)
{
	int			space = scope->count;
	const MoAnchor **anchors;
	int			n = scope->count;

	for (MoAnchor *a = resource->anchors; a; a = a->next)
		space += a->dynamic;
	if (space == scope->count)
		return scope;
	anchors = palloc(sizeof(MoAnchor *) * space);
	memcpy(anchors, scope->anchors, sizeof(MoAnchor *) * n);
	for (MoAnchor *a = resource->anchors; a; a = a->next)
		if (a->dynamic && scope_find(scope, a->name) == NULL)
			anchors[n++] = a;
	qsort(anchors, n, sizeof(MoAnchor *), anchor_cmp);
	scope = intern_scope(p, anchors, n);
	pfree(anchors);
	return scope;
}

MoShape *
mo_shape_root(MoProver *p, const MoSchema *schema)
{
	const MoAnchors *scope = intern_scope(p, NULL, 0);

	if (schema->dynamic)
		scope = enter(p, scope, schema->root->origin->resource);
	return find_shape(p, schema->root, scope);
}

/*
 * A subschema of "from", or what its $ref leads to.  Without a $dynamicRef
 * anywhere the scope is empty and stays so.
 */
MoShape *
mo_shape_child(MoProver *p, const MoShape *from, const MoNode *node)
{
	const MoAnchors *scope = from->scope;

	if (scope->count > 0 || p->dynamic)
		scope = enter(p, scope, node->origin->resource);
	return find_shape(p, node, scope);
}

/* Where the $dynamicRef of this schema leads. */
MoShape *
mo_shape_dynamic(MoProver *p, const MoShape *from)
{
	const MoApply *apply = from->node->apply;
	const MoAnchor *anchor = NULL;

	if (apply->dynamic_anchor != NULL)
		anchor = scope_find(from->scope, apply->dynamic_anchor);
	return mo_shape_child(p, from, anchor ? anchor->node : apply->dynamic_ref);
}
