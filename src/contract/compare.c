/*-------------------------------------------------------------------------
 *
 * compare.c
 *	  One comparison: compile, ask the prover, confirm its witness.
 *
 * A document is only ever given out after the validator itself has taken it
 * for valid under the one schema and invalid under the other; a witness that
 * does not pass makes the verdict undecided and says so.  The prover's memory
 * is a child of the caller's context and is gone when a comparison ends; the
 * result stays in the caller's.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <limits.h>

#include "miscadmin.h"
#include "utils/guc.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "contract/compare_formula.h"

/* One comparison reports so many places, found among so many parts. */
#define MAX_FINDINGS 20
#define MAX_PARTS 400
#define MAX_PART_DEPTH 6

int			mo_guc_compare_timeout = 2000;
int			mo_guc_compare_memory = 262144;

void
mo_compare_init(void)
{
	DefineCustomIntVariable("mesh_outbox.compare_timeout",
							"Sets the time after which a comparison of two schemas ends undecided.",
							"0 means no limit.",
							&mo_guc_compare_timeout,
							2000, 0, 3600000,
							PGC_USERSET, GUC_UNIT_MS,
							NULL, NULL, NULL);
	DefineCustomIntVariable("mesh_outbox.compare_memory",
							"Sets the memory at which a comparison of two schemas ends undecided.",
							NULL,
							&mo_guc_compare_memory,
							262144, 1024, MAX_KILOBYTES,
							PGC_USERSET, GUC_UNIT_KB,
							NULL, NULL, NULL);
}

const char *
mo_verdict_name(MoVerdict verdict)
{
	return verdict == MO_PROVED ? "proved" :
		verdict == MO_REFUTED ? "refuted" : "undecided";
}

/* A prover; its context is the caller's to delete. */
MoProver *
mo_prover_create(MemoryContext context)
{
	MoProver   *p = MemoryContextAllocZero(context, sizeof(MoProver));
	MoFormula	draft = {.kind = MO_F_TRUE};

	p->context = context;
	p->memory_limit = (Size) mo_guc_compare_memory * 1024;
	if (mo_guc_compare_timeout > 0)
		p->deadline = TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
												  mo_guc_compare_timeout);
	p->assumed = PG_INT32_MAX;
	p->truth = mo_formula_intern(p, &draft);
	draft.kind = MO_F_FALSE;
	p->falsehood = mo_formula_intern(p, &draft);
	return p;
}

MoFormula *
mo_prover_add(MoProver *p, const MoSchema *schema)
{
	MoShape    *root;
	MoFormula  *f;

	p->dynamic |= schema->dynamic;
	root = mo_shape_root(p, schema);
	f = mo_shape_formula(p, root);
	if (schema->options.closed)
		f = mo_formula_and2(p, f, mo_closed_formula(p, root));
	return f;
}

/* A copy in the caller's context, which outlives the prover's. */
static MoComparison *
keep(const MoComparison *result, MemoryContext caller)
{
	MemoryContext old = MemoryContextSwitchTo(caller);
	MoComparison *copy = palloc(sizeof(MoComparison));

	*copy = *result;
	copy->reason = pstrdup(result->reason);
	if (result->undecided_by)
		copy->undecided_by = pstrdup(result->undecided_by);
	if (result->witness)
		copy->witness = memcpy(palloc(VARSIZE(result->witness)),
							   result->witness, VARSIZE(result->witness));
	if (result->path)
		copy->path = pstrdup(result->path);
	if (result->keyword)
		copy->keyword = pstrdup(result->keyword);
	if (result->message)
		copy->message = pstrdup(result->message);
	MemoryContextSwitchTo(old);
	return copy;
}

static void
finish(MoProver *p, MemoryContext caller)
{
	MemoryContext context = p->context;

	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
}

static MoProver *
begin(MemoryContext *caller)
{
	MemoryContext context = AllocSetContextCreate(CurrentMemoryContext,
												  "mesh_outbox comparison",
												  ALLOCSET_DEFAULT_SIZES);

	*caller = MemoryContextSwitchTo(context);
	return mo_prover_create(context);
}

static void
undecided(MoProver *p, MoComparison *result)
{
	result->verdict = MO_UNDECIDED;
	result->witness = NULL;
	result->reason = p->reason ? p->reason : "no case decided it";
	result->undecided_by = p->reason_keyword;
}

/*
 * The witness as jsonb, when the validator takes it for a document of every
 * schema in the first list.
 */
static Jsonb *
confirm(const MoJson *witness, MoSchema **schemas, int n)
{
	Jsonb	   *document = mo_json_to_jsonb(witness);

	for (int i = 0; i < n; i++)
		if (!mo_schema_is_valid(schemas[i], document))
			return NULL;
	return document;
}

static void
refute(MoProver *p, MoComparison *result, const MoJson *witness,
	   MoSchema *sub, MoSchema *super)
{
	Jsonb	   *document = confirm(witness, &sub, 1);
	List	   *violations = NIL;
	MoViolation *first;

	if (document)
		violations = mo_schema_violations(super, document, 1);
	if (violations == NIL)
	{
		p->reason = NULL;
		mo_prover_unsure(p, NULL, psprintf("the validator does not confirm the counterexample %s",
										   JsonbToCString(NULL, &mo_json_to_jsonb(witness)->root, 100)));
		undecided(p, result);
		return;
	}
	first = linitial(violations);
	result->verdict = MO_REFUTED;
	result->reason = psprintf("counterexample found after %llu cases and confirmed by the validator",
							  (unsigned long long) p->cases);
	result->witness = document;
	result->path = first->instance_pointer;
	result->keyword = first->keyword;
	result->message = first->message;
}

static void
decide(MoProver *p, MoComparison *result, MoFormula *f, MoSchema *sub,
	   MoSchema *super)
{
	const MoJson *witness;
	MoVerdictState state = mo_solve(p, f, &witness);

	if (p->stopped && state == MO_EMPTY)
		state = MO_UNKNOWN;
	switch (state)
	{
		case MO_EMPTY:
			result->verdict = MO_PROVED;
			result->reason = f == p->falsehood ?
				"the first schema contains what the second says" :
				psprintf("no document satisfies the first and breaks the second: %llu cases closed",
						 (unsigned long long) p->cases);
			break;
		case MO_WITNESS:
			refute(p, result, witness, sub, super);
			break;
		default:
			undecided(p, result);
	}
}

MoComparison *
mo_compare_subset(const MoReading *sub, const MoReading *super,
				  bool assert_formats)
{
	MemoryContext caller;
	MoProver   *p = begin(&caller);
	MoComparison result = {0};
	MoSchema   *a = mo_reading_compile(sub, assert_formats, NULL);
	MoSchema   *b = mo_reading_compile(super, assert_formats,
									   &result.kept_closed);
	MoFormula  *f = mo_prover_add(p, a);
	MoComparison *kept;

	f = mo_formula_and2(p, f, mo_formula_not(p, mo_prover_add(p, b)));
	decide(p, &result, f, a, b);
	kept = keep(&result, caller);
	finish(p, caller);
	return kept;
}

/*
 * The parts of a schema that can be broken one without the other: conjuncts,
 * also those below members and items.
 */
static void
split_parts(MoProver *p, MoFormula *f, MoFormulas *parts, int depth)
{
	MoFormulas	inner = {0};

	check_stack_depth();
	if (parts->count >= MAX_PARTS)
		return;
	if (f->kind == MO_F_AND)
	{
		for (int i = 0; i < f->nargs; i++)
			split_parts(p, f->args[i], parts, depth);
		return;
	}
	if ((f->kind == MO_F_CLOSED && !f->negated) && depth < MAX_PART_DEPTH)
	{
		MoFormula  *members = mo_formula_view(p, f, MO_OBJECT);

		if (members != f && members->kind == MO_F_AND)
		{
			split_parts(p, members, parts, depth);
			split_parts(p, mo_formula_view(p, f, MO_ARRAY), parts, depth);
			return;
		}
	}
	if (f->negated || depth >= MAX_PART_DEPTH ||
		(f->kind != MO_F_OBJ_ALL && f->kind != MO_F_ARR_ALL))
	{
		mo_formulas_add(parts, f);
		return;
	}
	split_parts(p, f->args[f->nargs - 1], &inner, depth + 1);
	for (int i = 0; i < inner.count; i++)
		mo_formulas_add(parts, f->kind == MO_F_OBJ_ALL ?
						mo_formula_names(p, f->args[0], inner.items[i]) :
						mo_formula_items(p, f->count, f->upto,
										 inner.items[i]));
	if (inner.items)
		pfree(inner.items);
}

static bool
is_among(const MoFormulas *list, const MoFormula *f)
{
	for (int i = 0; i < list->count; i++)
		if (list->items[i] == f)
			return true;
	return false;
}

static bool
already_found(List *found, const MoComparison *c)
{
	ListCell   *cell;

	foreach(cell, found)
	{
		MoComparison *other = lfirst(cell);

		if (other->verdict != c->verdict)
			continue;
		if (c->verdict != MO_REFUTED ||
			(strcmp(other->path, c->path) == 0 &&
			 strcmp(other->message, c->message) == 0))
			return true;
	}
	return false;
}

List *
mo_compare_parts(const MoReading *sub, const MoReading *super,
				 bool assert_formats)
{
	MemoryContext caller;
	MoProver   *p = begin(&caller);
	MoComparison whole = {0};
	MoSchema   *a = mo_reading_compile(sub, assert_formats, NULL);
	MoSchema   *b = mo_reading_compile(super, assert_formats,
									   &whole.kept_closed);
	MoFormula  *f = mo_prover_add(p, a);
	MoFormula  *g = mo_prover_add(p, b);
	MoFormulas	parts = {0};
	MoFormulas	given = {0};
	List	   *found = NIL;

	decide(p, &whole, mo_formula_and2(p, f, mo_formula_not(p, g)), a, b);
	if (whole.verdict != MO_PROVED)
	{
		split_parts(p, f, &given, 0);
		split_parts(p, g, &parts, 0);
	}
	for (int i = 0; i < parts.count && list_length(found) < MAX_FINDINGS; i++)
	{
		MoComparison part = {.kept_closed = whole.kept_closed};
		MemoryContext old;

		if (is_among(&given, parts.items[i]))
			continue;
		decide(p, &part,
			   mo_formula_and2(p, f, mo_formula_not(p, parts.items[i])), a, b);
		if (part.verdict == MO_PROVED || already_found(found, &part))
			continue;
		old = MemoryContextSwitchTo(caller);
		found = lappend(found, keep(&part, caller));
		MemoryContextSwitchTo(old);
	}
	MemoryContextSwitchTo(caller);
	if (found == NIL)
		found = list_make1(keep(&whole, caller));
	finish(p, caller);
	return found;
}

MoComparison *
mo_compare_satisfy(const MoReading *schemas, int n, bool assert_formats)
{
	MemoryContext caller;
	MoProver   *p = begin(&caller);
	MoComparison result = {0};
	MoSchema  **compiled = palloc(sizeof(MoSchema *) * n);
	MoFormula  *f = p->truth;
	MoComparison *kept;
	const MoJson *witness;
	MoVerdictState state;

	for (int i = 0; i < n; i++)
	{
		compiled[i] = mo_reading_compile(&schemas[i], assert_formats,
										 NULL);
		f = mo_formula_and2(p, f, mo_prover_add(p, compiled[i]));
	}
	state = mo_solve(p, f, &witness);
	if (p->stopped && state == MO_EMPTY)
		state = MO_UNKNOWN;
	switch (state)
	{
		case MO_EMPTY:
			result.verdict = MO_REFUTED;
			result.reason = psprintf("no document satisfies it: %llu cases closed",
									 (unsigned long long) p->cases);
			break;
		case MO_WITNESS:
			result.verdict = MO_PROVED;
			result.reason = "the validator confirms a document";
			result.witness = confirm(witness, compiled, n);
			if (result.witness != NULL)
				break;
			p->reason = NULL;
			mo_prover_unsure(p, NULL, "the validator does not confirm the document that was found");
			/* FALLTHROUGH */
		default:
			undecided(p, &result);
	}
	kept = keep(&result, caller);
	finish(p, caller);
	return kept;
}
