/*-------------------------------------------------------------------------
 *
 * compare_solve.c
 *	  Is there a value that satisfies a formula?
 *
 * mo_solve asks it for one kind of value after the other, each time with the
 * formula's view by that kind: literals of one type and clauses over them.
 * The literals alone go to their type's theory, which answers with a witness
 * or says there is none.  A witness that happens to satisfy the clauses too
 * is the answer; otherwise a clause that it breaks is split into its cases.
 * So a clause that the literals already imply is never split.
 *
 * Theories ask about the values inside (members, items) by calling mo_solve
 * again.  A question that is already being asked further out can be taken to
 * have no answer: the smallest witness of the outer question cannot hold a
 * smaller witness of the same question.  What was found on such an
 * assumption is not remembered, unless the assumption was its own.
 *
 * Three-valued throughout: MO_UNKNOWN comes from limits and from predicates
 * that no theory decides, and never turns into MO_EMPTY.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "contract/compare_formula.h"

static MoVerdictState search(MoProver *p, MoFormula *f, MoKind kind,
							 const MoJson **witness);

void
mo_prover_unsure(MoProver *p, const char *keyword, const char *reason)
{
	if (p->reason != NULL)
		return;
	p->reason = MemoryContextStrdup(p->context, reason);
	p->reason_keyword = keyword ? MemoryContextStrdup(p->context, keyword) :
		NULL;
}

static void
stop(MoProver *p, const char *reason)
{
	/* a limit explains more than what was unsure before it */
	p->reason = NULL;
	mo_prover_unsure(p, NULL, reason);
	p->stopped = true;
}

/* Called at every step: false when the search has to end. */
bool
mo_prover_tick(MoProver *p)
{
	CHECK_FOR_INTERRUPTS();
	if (p->stopped)
		return false;
	if ((++p->ticks & 63) != 0)
		return true;
	if (p->deadline != 0 && GetCurrentTimestamp() >= p->deadline)
		stop(p, "the time limit was reached");
	else if ((p->ticks & 1023) == 0 &&
			 MemoryContextMemAllocated(p->context, true) > p->memory_limit)
		stop(p, "the memory limit was reached");
	return !p->stopped;
}

/* Runs "question" and says in *firm whether its answer may be remembered. */
#define FIRMLY(p, firm, question) \
	do { \
		int			outer_ = (p)->assumed; \
		(p)->assumed = PG_INT32_MAX; \
		question; \
		(firm) = (p)->assumed == PG_INT32_MAX && !(p)->stopped; \
		(p)->assumed = Min((p)->assumed, outer_); \
	} while (0)

static MoVerdictState
solve_theory(MoProver *p, MoFormula **literals, int n, MoKind kind,
			 const MoJson **witness)
{
	switch (kind)
	{
		case MO_NUMBER:
			return mo_number_solve(p, literals, n, witness);
		case MO_STRING:
			return mo_string_solve(p, literals, n, witness);
		case MO_ARRAY:
			return mo_array_solve(p, literals, n, witness);
		default:
			return mo_object_solve(p, literals, n, witness);
	}
}

static MoVerdictState
theory(MoProver *p, MoFormulas *literals, MoKind kind, const MoJson **witness)
{
	MoFormula  *all;
	MoVerdictState state;
	bool		firm;

	/* their conjunction is where the answer is remembered */
	all = mo_formula_and(p, literals->items, literals->count);
	if (all == p->falsehood)
		return MO_EMPTY;
	if (all->theory_state != MO_UNSOLVED && literals->count > 0)
	{
		*witness = all->theory_witness;
		return all->theory_state;
	}
	FIRMLY(p, firm,
		   state = solve_theory(p, literals->items, literals->count, kind,
								witness));
	if (state == MO_WITNESS && mo_formula_holds(p, all, *witness) == 0)
		elog(ERROR, "a witness does not satisfy what it was made for");
	if (literals->count > 0 && (firm || state == MO_WITNESS))
	{
		all->theory_state = state;
		all->theory_witness = state == MO_WITNESS ? *witness : NULL;
	}
	return state;
}

/* ---- cases of a clause ---- */

/* "Not this value", said by its parts so that a theory can use it. */
static MoFormula *
differs_inside(MoProver *p, const MoJson *v)
{
	MoFormulas	cases = {0};
	MoFormula  *result;

	if (v->kind == MO_ARRAY)
	{
		mo_formulas_add(&cases, mo_formula_count(p, MO_F_ARR_MIN,
												 v->length + 1));
		if (v->length > 0)
			mo_formulas_add(&cases, mo_formula_count(p, MO_F_ARR_MAX,
													 v->length - 1));
	}
	else
	{
		mo_formulas_add(&cases, mo_formula_count(p, MO_F_OBJ_MIN,
												 v->length + 1));
		if (v->length > 0)
			mo_formulas_add(&cases, mo_formula_count(p, MO_F_OBJ_MAX,
													 v->length - 1));
	}
	for (int i = 0; i < v->length; i++)
	{
		MoFormula  *same = mo_formula_enum(p, &v->items[i], 1);
		MoFormula  *all;

		if (v->kind == MO_ARRAY)
			all = mo_formula_items(p, i, i + 1, same);
		else
		{
			MoFormula  *name = mo_formula_enum(p, &v->names[i], 1);

			all = mo_formula_names(p, name, same);
			mo_formulas_add(&cases, mo_formula_names(p, name, p->falsehood));
		}
		mo_formulas_add(&cases, mo_formula_not(p, all));
	}
	result = mo_formula_or(p, cases.items, cases.count);
	pfree(cases.items);
	return result;
}

static void
enum_cases(MoProver *p, MoFormula *f, const MoJson *broken_by,
		   MoFormulas *cases)
{
	const MoJson **others = palloc(sizeof(MoJson *) * f->nvalues);
	const MoJson *value = broken_by ? broken_by : f->values[0];
	MoFormula  *rest = p->truth;
	int			n = 0;

	for (int i = 0; i < f->nvalues; i++)
		if (f->values[i] != value)
			others[n++] = f->values[i];
	if (n > 0)
		rest = mo_formula_not(p, mo_formula_enum(p, others, n));
	mo_formulas_add(cases, mo_formula_and2(p, rest,
										   differs_inside(p, value)));
	pfree(others);
}

/* Exactly the i-th of the arguments. */
static MoFormula *
only(MoProver *p, MoFormula *f, int chosen)
{
	MoFormula **parts = palloc(sizeof(MoFormula *) * f->nargs);
	MoFormula  *result;

	for (int i = 0; i < f->nargs; i++)
		parts[i] = i == chosen ? f->args[i] : mo_formula_not(p, f->args[i]);
	result = mo_formula_and(p, parts, f->nargs);
	pfree(parts);
	return result;
}

/*
 * None of them or two of them.  Most branches of a oneOf exclude each other,
 * so those that the rest allows at all are found first.
 */
static void
not_one_cases(MoProver *p, MoFormula *f, MoFormula *rest, MoKind kind,
			  MoFormulas *cases)
{
	MoFormulas	possible = {0};

	mo_formulas_add(cases, only(p, f, -1));
	for (int i = 0; i < f->nargs; i++)
	{
		const MoJson *witness;

		if (search(p, mo_formula_and2(p, rest, f->args[i]), kind,
				   &witness) != MO_EMPTY)
			mo_formulas_add(&possible, f->args[i]);
	}
	for (int i = 1; i < possible.count; i++)
		for (int j = 0; j < i; j++)
			mo_formulas_add(cases, mo_formula_and2(p, possible.items[i],
												   possible.items[j]));
	if (possible.items)
		pfree(possible.items);
}

/* Formulas of which one holds when the clause does, given the rest. */
static void
clause_cases(MoProver *p, MoFormula *clause, MoFormula *rest, MoKind kind,
			 const MoJson *broken_by, MoFormulas *cases)
{
	switch (clause->kind)
	{
		case MO_F_OR:
			for (int i = 0; i < clause->nargs; i++)
				mo_formulas_add(cases, clause->args[i]);
			break;
		case MO_F_ONE:
			for (int i = 0; i < clause->nargs; i++)
				mo_formulas_add(cases, only(p, clause, i));
			break;
		case MO_F_NOTONE:
			not_one_cases(p, clause, rest, kind, cases);
			break;
		case MO_F_ENUM:
			enum_cases(p, clause, broken_by, cases);
			break;
		case MO_F_CLOSED:
			mo_formulas_add(cases, mo_closed_expand(p, clause, kind));
			break;
		default:
			mo_formulas_add(cases, mo_uneval_expand(p, clause));
	}
}

/* ---- the search for one kind of value ---- */

static bool
is_clause(const MoFormula *f, MoKind kind)
{
	switch (f->kind)
	{
		case MO_F_OR:
		case MO_F_ONE:
		case MO_F_NOTONE:
		case MO_F_UNEVAL_ITEMS:
		case MO_F_UNEVAL_PROPS:
		case MO_F_CLOSED:
			return true;
		case MO_F_ENUM:
			return kind == MO_ARRAY || kind == MO_OBJECT;
		default:
			return false;
	}
}

static int
clause_weight(const MoFormula *f)
{
	if (f->kind == MO_F_ENUM)
		return 2;
	return f->kind == MO_F_NOTONE ? f->nargs * 2 : f->nargs;
}

static MoVerdictState
try_values(MoProver *p, MoFormula *f, MoFormula *among,
		   const MoJson **witness)
{
	MoVerdictState state = MO_EMPTY;

	for (int i = 0; i < among->nvalues; i++)
	{
		int			holds = mo_formula_holds(p, f, among->values[i]);

		if (holds == 1)
		{
			*witness = among->values[i];
			return MO_WITNESS;
		}
		if (holds < 0)
		{
			mo_prover_unsure(p, NULL, "a value could not be tried");
			state = MO_UNKNOWN;
		}
	}
	return state;
}

static MoVerdictState
split(MoProver *p, MoFormulas *parts, MoFormula *clause, MoKind kind,
	  const MoJson *broken_by, const MoJson **witness)
{
	MoFormulas	cases = {0};
	MoVerdictState state = MO_EMPTY;
	MoFormula  *rest;
	int			n = 0;

	for (int i = 0; i < parts->count; i++)
		if (parts->items[i] != clause)
			parts->items[n++] = parts->items[i];
	parts->count = n;
	rest = mo_formula_and(p, parts->items, parts->count);
	clause_cases(p, clause, rest, kind, broken_by, &cases);
	for (int i = 0; i < cases.count && state != MO_WITNESS; i++)
	{
		MoVerdictState one = search(p, mo_formula_and2(p, rest,
													   cases.items[i]),
									kind, witness);

		if (one != MO_EMPTY)
			state = one;
	}
	if (cases.items)
		pfree(cases.items);
	return state;
}

/* Solves a conjunction: by its literals first, then by a broken clause. */
static MoVerdictState
solve_parts(MoProver *p, MoFormulas *parts, MoKind kind,
			const MoJson **witness)
{
	MoFormulas	literals = {0};
	MoFormula  *chosen = NULL;
	const MoJson *found = NULL;
	MoVerdictState state;

	for (int i = 0; i < parts->count; i++)
		if (!is_clause(parts->items[i], kind))
			mo_formulas_add(&literals, parts->items[i]);
	state = theory(p, &literals, kind, &found);
	if (literals.items)
		pfree(literals.items);
	if (state == MO_EMPTY)
		return state;
	for (int i = 0; i < parts->count; i++)
	{
		MoFormula  *f = parts->items[i];

		if (!is_clause(f, kind) ||
			(state == MO_WITNESS && mo_formula_holds(p, f, found) == 1))
			continue;
		if (chosen == NULL || clause_weight(f) < clause_weight(chosen))
			chosen = f;
	}
	if (chosen != NULL)
		return split(p, parts, chosen, kind,
					 chosen->kind == MO_F_ENUM && found &&
					 mo_enum_has(chosen, found) ? found : NULL,
					 witness);
	*witness = found;
	return state;
}

static MoVerdictState
search_conjunction(MoProver *p, MoFormula *f, MoKind kind,
				   const MoJson **witness)
{
	MoFormulas	parts = {0};
	MoVerdictState state;

	if (f->kind == MO_F_AND)
		for (int i = 0; i < f->nargs; i++)
			mo_formulas_add(&parts, f->args[i]);
	else if (f->kind != MO_F_TRUE)
		mo_formulas_add(&parts, f);
	for (int i = 0; i < parts.count; i++)
		if (parts.items[i]->kind == MO_F_ENUM && !parts.items[i]->negated)
		{
			state = try_values(p, f, parts.items[i], witness);
			pfree(parts.items);
			return state;
		}
	state = solve_parts(p, &parts, kind, witness);
	if (parts.items)
		pfree(parts.items);
	return state;
}

static MoVerdictState
search(MoProver *p, MoFormula *f, MoKind kind, const MoJson **witness)
{
	MoVerdictState state;
	bool		firm;

	check_stack_depth();
	*witness = NULL;
	f = mo_formula_view(p, f, kind);
	if (f == p->falsehood)
		return MO_EMPTY;
	if (!mo_prover_tick(p))
		return MO_UNKNOWN;
	if (f->kind_state[kind] != MO_UNSOLVED)
	{
		*witness = f->kind_witness[kind];
		return f->kind_state[kind];
	}
	p->cases++;
	FIRMLY(p, firm, state = search_conjunction(p, f, kind, witness));
	if (firm || state == MO_WITNESS)
	{
		f->kind_state[kind] = state;
		f->kind_witness[kind] = state == MO_WITNESS ? *witness : NULL;
	}
	return state;
}

MoVerdictState
mo_solve_kind(MoProver *p, MoFormula *f, MoKind kind, const MoJson **witness)
{
	const MoJson *values[2];
	MoFormula  *among;

	if (kind == MO_NULL || kind == MO_BOOLEAN)
	{
		int			n = 0;

		f = mo_formula_view(p, f, kind);
		if (f == p->falsehood)
			return MO_EMPTY;
		if (kind == MO_NULL)
			values[n++] = mo_json_null(p);
		else
		{
			values[n++] = mo_json_bool(p, true);
			values[n++] = mo_json_bool(p, false);
		}
		among = mo_formula_enum(p, values, n);
		return try_values(p, f, among, witness);
	}
	return search(p, f, kind, witness);
}

/* Simple kinds first: their witnesses are the easiest to read. */
static const MoKind order_of_kinds[] = {
	MO_NULL, MO_BOOLEAN, MO_NUMBER, MO_STRING, MO_ARRAY, MO_OBJECT
};

static MoVerdictState
solve_kinds(MoProver *p, MoFormula *f, const MoJson **witness)
{
	MoVerdictState state = MO_EMPTY;

	for (int i = 0; i < MO_KINDS && state != MO_WITNESS; i++)
	{
		MoVerdictState one = mo_solve_kind(p, f, order_of_kinds[i], witness);

		if (one != MO_EMPTY)
			state = one;
	}
	return state;
}

MoVerdictState
mo_solve(MoProver *p, MoFormula *f, const MoJson **witness)
{
	int			outer = p->assumed;
	MoVerdictState state;

	check_stack_depth();
	*witness = NULL;
	if (f == p->falsehood)
		return MO_EMPTY;
	if (f->state != MO_UNSOLVED)
	{
		*witness = f->witness;
		return f->state;
	}
	if (f->depth > 0)
	{
		p->assumed = Min(p->assumed, f->depth);
		return MO_EMPTY;
	}
	if (!mo_prover_tick(p))
		return MO_UNKNOWN;
	p->assumed = PG_INT32_MAX;
	f->depth = ++p->depth;
	state = solve_kinds(p, f, witness);
	/* an assumption about this very question is justified by now */
	if (p->assumed >= f->depth)
		p->assumed = PG_INT32_MAX;
	p->depth--;
	f->depth = 0;
	/* what ended early has not looked everywhere */
	if (p->stopped && state == MO_EMPTY)
		state = MO_UNKNOWN;
	if (state == MO_WITNESS ||
		(p->assumed == PG_INT32_MAX && !p->stopped))
	{
		f->state = state;
		f->witness = state == MO_WITNESS ? *witness : NULL;
	}
	p->assumed = Min(p->assumed, outer);
	return state;
}

/*
 * Up to "wanted" different values; *complete when these are all there are.
 */
int
mo_solve_several(MoProver *p, MoFormula *f, int wanted,
				 const MoJson **values, bool *complete)
{
	int			n = 0;

	*complete = false;
	while (n < wanted)
	{
		MoFormula  *others = n == 0 ? f :
			mo_formula_and2(p, f,
							mo_formula_not(p, mo_formula_enum(p, values, n)));
		MoVerdictState state = mo_solve(p, others, &values[n]);

		if (state != MO_WITNESS)
		{
			*complete = (state == MO_EMPTY);
			break;
		}
		n++;
	}
	return n;
}
