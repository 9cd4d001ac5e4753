/*-------------------------------------------------------------------------
 *
 * declared.c
 *	  Which properties a schema declares, and where it says what of them.
 *
 * Called by declared_properties() for what is built on contracts: what a
 * consumer relies on, the dictionary, policies, the catalog.  References are
 * followed as the validator follows them.
 *
 * A schema that refers to itself declares properties without end; those that
 * are reached without going round more than once are found.  Schemas that all
 * refer to each other have more ways through them than anybody could list:
 * the shortest are found, so many at most.
 *
 * What allOf, $ref and their like say of a property is always said of it; what
 * stands in a branch (anyOf, oneOf, then, else, dependentSchemas) is said of
 * it at times; what stands under "if" only asks.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "contract/compile.h"

/* Properties that are found, and schemas that are looked at for them. */
#define MAX_DECLARED	10000
#define MAX_VISITS		100000

/* Times that one schema may stand on the way to a property. */
#define MAX_ROUNDS		2

/* How far what a schema says counts; the weaker of two holds. */
typedef enum Said
{
	SAID_ALWAYS,
	SAID_AT_TIMES,
	SAID_NOTHING
} Said;

typedef struct Visit
{
	const MoNode *node;
	const char *path;
	Said		said;
	const struct Visit *from;	/* on whose way it lies; NULL: the root */
} Visit;

typedef struct Declaration
{
	const char *path;
	const MoNode *node;
	Said		said;
	int			order;
} Declaration;

typedef struct Search
{
	Visit	   *visits;			/* a queue; they refer to each other */
	int			nvisits;
	Declaration *found;
	int			nfound;
} Search;

static void
visit(Search *search, const MoNode *node, const char *path, Said said,
	  const Visit *from)
{
	int			rounds = 0;

	if (node == NULL || search->nvisits == MAX_VISITS)
		return;
	for (const Visit *v = from; v; v = v->from)
		rounds += v->node == node;
	if (rounds < MAX_ROUNDS)
		search->visits[search->nvisits++] = (Visit) {node, path, said, from};
}

static void
declare(Search *search, const MoProperty *property, const Visit *from)
{
	StringInfoData path;

	if (property->node == NULL || search->nfound == MAX_DECLARED)
		return;
	initStringInfo(&path);
	appendStringInfoString(&path, from->path);
	mo_pointer_append(&path, property->name, property->len);
	search->found[search->nfound] =
		(Declaration) {path.data, property->node, from->said, search->nfound};
	search->nfound++;
	visit(search, property->node, path.data, from->said, from);
}

static void
visit_in_place(Search *search, const MoApply *apply, const Visit *from)
{
	Said		branch = Max(from->said, SAID_AT_TIMES);

	visit(search, apply->ref, from->path, from->said, from);
	visit(search, apply->dynamic_ref, from->path, from->said, from);
	for (int i = 0; i < apply->nall; i++)
		visit(search, apply->all[i], from->path, from->said, from);
	for (int i = 0; i < apply->nany; i++)
		visit(search, apply->any[i], from->path, branch, from);
	for (int i = 0; i < apply->none_of; i++)
		visit(search, apply->one[i], from->path, branch, from);
	visit(search, apply->condition, from->path, SAID_NOTHING, from);
	visit(search, apply->consequence, from->path, branch, from);
	visit(search, apply->alternative, from->path, branch, from);
	for (int i = 0; i < apply->ndependents; i++)
		visit(search, apply->dependents[i].node, from->path, branch, from);
}

static int
compare_declarations(const void *a, const void *b)
{
	const Declaration *x = a;
	const Declaration *y = b;
	int			result = strcmp(x->path, y->path);

	if (result == 0)
		result = (int) x->said - (int) y->said;
	return result != 0 ? result : x->order - y->order;
}

/*
 * All that is said of a value wherever the schema applies, as one object:
 * its own keywords, and those of what it refers to and includes.
 */
static Jsonb *
whole_text(const MoNode *node, List *open)
{
	Jsonb	   *text = mo_value_jsonb(&node->origin->schema);
	List	   *included = NIL;
	ListCell   *lc;

	if (node->apply == NULL || list_member_ptr(open, node))
		return text;
	check_stack_depth();
	open = lappend(list_copy(open), unconstify(MoNode *, node));
	if (node->apply->ref)
		included = lappend(included, node->apply->ref);
	for (int i = 0; i < node->apply->nall; i++)
		included = lappend(included, node->apply->all[i]);
	foreach(lc, included)
	{
		Jsonb	   *other = whole_text(lfirst(lc), open);

		if (JB_ROOT_IS_OBJECT(other))
			text = DatumGetJsonbP(DirectFunctionCall2(jsonb_concat,
													  JsonbPGetDatum(other),
													  JsonbPGetDatum(text)));
	}
	return text;
}

/* One property from its declarations, the strongest first. */
static MoDeclared *
make_declared(const Declaration *first, int n)
{
	MoDeclared *declared = palloc0(sizeof(MoDeclared));

	declared->pointer = first->path;
	declared->always = first->said == SAID_ALWAYS;
	declared->schema = whole_text(first->node, NIL);
	for (int i = 0; i < n && first[i].said == first->said; i++)
	{
		if (first->said != SAID_NOTHING)
			declared->places = lappend(declared->places,
									   mo_node_pointer(first[i].node));
	}
	return declared;
}

List *
mo_schema_declared(const MoSchema *schema)
{
	Search		search = {
		.visits = palloc(sizeof(Visit) * MAX_VISITS),
		.found = palloc(sizeof(Declaration) * MAX_DECLARED)
	};
	List	   *result = NIL;

	visit(&search, schema->root, "", SAID_ALWAYS, NULL);
	for (int i = 0; i < search.nvisits; i++)
	{
		const Visit *at = &search.visits[i];

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; at->node->object && j < at->node->object->nproperties; j++)
			declare(&search, &at->node->object->properties[j], at);
		if (at->node->apply)
			visit_in_place(&search, at->node->apply, at);
	}
	qsort(search.found, search.nfound, sizeof(Declaration), compare_declarations);
	for (int i = 0, n; i < search.nfound; i += n)
	{
		for (n = 1; i + n < search.nfound &&
			 strcmp(search.found[i].path, search.found[i + n].path) == 0;)
			n++;
		result = lappend(result, make_declared(&search.found[i], n));
	}
	pfree(search.visits);
	return result;
}
