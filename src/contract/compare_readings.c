/*-------------------------------------------------------------------------
 *
 * compare_readings.c
 *	  A contract as its producers are held to it, and as its readers take it.
 *
 * Reading P is an option of the compiler.  Reading R is the program as
 * written, without each "no other properties" (additionalProperties or
 * unevaluatedProperties false) at a schema that is reached from the root
 * through monotone applicators only: there, letting more pass lets more pass
 * on the whole.  Below "not", "if", "oneOf" or a "contains" with a maximum it
 * could also refuse more, so the schema stays as written, and the caller is
 * told.  The program is ours alone, so it is changed in place, which lets the
 * validator confirm witnesses in the same reading.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/hsearch.h"

#include "contract/compare_int.h"

#define REACHED_MONOTONE	1
#define REACHED_OTHERWISE	2

typedef struct Reached
{
	MoNode	   *node;			/* hash key */
	int			how;
} Reached;

typedef struct Opening
{
	const MoSchema *schema;
	HTAB	   *reached;
} Opening;

static void visit(Opening *o, MoNode *node, int how);

static void
visit_all(Opening *o, MoNode **nodes, int count, int how)
{
	for (int i = 0; i < count; i++)
		visit(o, nodes[i], how);
}

static void
visit_apply(Opening *o, const MoApply *apply, int how)
{
	visit(o, apply->ref, how);
	visit(o, apply->dynamic_ref, how);
	visit_all(o, apply->all, apply->nall, how);
	visit_all(o, apply->any, apply->nany, how);
	visit_all(o, apply->one, apply->none_of, REACHED_OTHERWISE);
	visit(o, apply->not, REACHED_OTHERWISE);
	visit(o, apply->condition, REACHED_OTHERWISE);
	visit(o, apply->consequence, how);
	visit(o, apply->alternative, how);
	for (int i = 0; i < apply->ndependents; i++)
		visit(o, apply->dependents[i].node, how);
	if (apply->dynamic_anchor == NULL)
		return;
	/* whichever of them it leads to */
	for (MoResource *r = o->schema->resources; r; r = r->next)
		for (MoAnchor *a = r->anchors; a; a = a->next)
			if (a->dynamic && strcmp(a->name, apply->dynamic_anchor) == 0)
				visit(o, a->node, how);
}

static void
visit(Opening *o, MoNode *node, int how)
{
	Reached    *entry;
	bool		found;

	if (node == NULL)
		return;
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	entry = hash_search(o->reached, &node, HASH_ENTER, &found);
	if (!found)
		entry->how = 0;
	if (entry->how & how)
		return;
	entry->how |= how;
	if (node->apply)
		visit_apply(o, node->apply, how);
	visit(o, node->unevaluated_properties, how);
	visit(o, node->unevaluated_items, how);
	if (node->object)
	{
		for (int i = 0; i < node->object->nproperties; i++)
			visit(o, node->object->properties[i].node, how);
		for (int i = 0; i < node->object->npatterns; i++)
			visit(o, node->object->patterns[i].node, how);
		visit(o, node->object->additional, how);
	}
	if (node->array)
	{
		visit_all(o, node->array->prefix, node->array->nprefix, how);
		visit(o, node->array->items, how);
		visit(o, node->array->contains,
			  node->array->max_contains == PG_UINT32_MAX ? how :
			  REACHED_OTHERWISE);
	}
}

/* Drops "no other properties" where that is sound; true if one had to stay. */
static bool
open_nodes(Opening *o)
{
	HASH_SEQ_STATUS status;
	Reached    *entry;
	bool		kept = false;

	hash_seq_init(&status, o->reached);
	while ((entry = hash_seq_search(&status)) != NULL)
	{
		MoNode	   *node = entry->node;
		bool		additional = node->object && node->object->additional &&
			node->object->additional->never;
		bool		unevaluated = node->unevaluated_properties &&
			node->unevaluated_properties->never;

		if (!additional && !unevaluated)
			continue;
		if (entry->how & REACHED_OTHERWISE)
		{
			kept = true;
			continue;
		}
		if (additional)
			node->object->additional = NULL;
		if (unevaluated)
			node->unevaluated_properties = NULL;
	}
	return kept;
}

/*
 * Compiles a schema for a reading, in the current memory context.
 * *kept_closed (may be NULL) says whether a reader's schema stayed closed
 * somewhere.
 */
MoSchema *
mo_reading_compile(const MoReading *reading, bool assert_formats,
				   bool *kept_closed)
{
	MoSchemaOptions options = {
		.assert_formats = assert_formats,
		.closed = reading->kind == MO_AS_PRODUCER
	};
	MoSchema   *schema = mo_schema_compile(reading->schema, &options,
										   CurrentMemoryContext);

	if (reading->kind == MO_AS_READER)
	{
		HASHCTL		control = {.keysize = sizeof(MoNode *),
			.entrysize = sizeof(Reached),.hcxt = CurrentMemoryContext};
		Opening		o = {schema};
		bool		kept;

		o.reached = hash_create("mesh_outbox schemas reached", 256, &control,
								HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
		visit(&o, schema->root, REACHED_MONOTONE);
		kept = open_nodes(&o);
		hash_destroy(o.reached);
		if (kept_closed)
			*kept_closed = kept;
	}
	return schema;
}
