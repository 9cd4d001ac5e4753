/*-------------------------------------------------------------------------
 *
 * compare_eval.c
 *	  Does a value satisfy a formula?
 *
 * Used on witnesses of a part of a question, to see whether they answer the
 * whole, and on the members of enumerations.  Answers 1, 0, or -1 when some
 * predicate cannot be decided here.  Formats and patterns are asked of the
 * engine's own checks, so that the prover and the validator agree.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compare_formula.h"
#include "contract/format.h"
#include "contract/language.h"

static int
negate(int verdict)
{
	return verdict < 0 ? -1 : !verdict;
}

/* How many of the formulas hold; -1 when one cannot be told. */
static int
count_holding(MoProver *p, MoFormula **args, int n, const MoJson *v)
{
	int			count = 0;

	for (int i = 0; i < n; i++)
	{
		int			holds = mo_formula_holds(p, args[i], v);

		if (holds < 0)
			return -1;
		count += holds;
	}
	return count;
}

static int
all_hold(MoProver *p, MoFormula **args, int n, const MoJson *v)
{
	int			result = 1;

	for (int i = 0; i < n; i++)
	{
		int			holds = mo_formula_holds(p, args[i], v);

		if (holds == 0)
			return 0;
		if (holds < 0)
			result = -1;
	}
	return result;
}

static int
any_holds(MoProver *p, MoFormula **args, int n, const MoJson *v)
{
	int			result = 0;

	for (int i = 0; i < n; i++)
	{
		int			holds = mo_formula_holds(p, args[i], v);

		if (holds == 1)
			return 1;
		if (holds < 0)
			result = -1;
	}
	return result;
}

/* A pattern or format, on a string. */
int
mo_string_check(MoProver *p, MoFormula *f, const MoJson *v)
{
	if (f->kind == MO_F_STR_FORMAT)
	{
		const MoFormat *format = mo_format_find(f->text, strlen(f->text));

		return format ? format->check(v->string, v->length) : -1;
	}
	if (f->pattern == NULL)
	{
		char	   *reason;

		f->pattern = mo_pattern_compile(f->text, strlen(f->text), p->context,
										&reason);
	}
	if (f->pattern == NULL)
		return -1;
	return mo_pattern_matches(f->pattern, v->string, v->length);
}

static int
items_hold(MoProver *p, MoFormula *f, const MoJson *v)
{
	int			result = 1;

	for (int64 i = f->count; i < v->length && i < f->upto; i++)
	{
		int			holds = mo_formula_holds(p, f->args[0], v->items[i]);

		if (holds == 0)
			return 0;
		if (holds < 0)
			result = -1;
	}
	return result;
}

static int
enough_items_hold(MoProver *p, MoFormula *f, const MoJson *v)
{
	int64		sure = 0;
	int64		possible = 0;

	for (int i = 0; i < v->length; i++)
	{
		int			holds = mo_formula_holds(p, f->args[0], v->items[i]);

		sure += (holds == 1);
		possible += (holds != 0);
	}
	return sure >= f->count ? 1 : possible < f->count ? 0 : -1;
}

static int
items_differ(const MoJson *v)
{
	for (int i = 1; i < v->length; i++)
		for (int j = 0; j < i; j++)
			if (v->items[i] == v->items[j])
				return 0;
	return 1;
}

static int
members_hold(MoProver *p, MoFormula *f, const MoJson *v)
{
	int			result = 1;

	for (int i = 0; i < v->length; i++)
	{
		int			named = mo_formula_holds(p, f->args[0], v->names[i]);
		int			holds;

		if (named == 0)
			continue;
		holds = mo_formula_holds(p, f->args[1], v->items[i]);
		if (holds == 0 && named == 1)
			return 0;
		if (holds != 1)
			result = -1;
	}
	return result;
}

static int
unevaluated_items_hold(MoProver *p, MoFormula *f, const MoJson *v)
{
	int64		from = f->count;
	MoFormulas	contains = {0};
	int			result = 1;

	mo_formulas_add(&contains, f->args[0]);
	mo_formulas_add(&contains, f->args[1]);
	for (int i = 2; i < f->nargs; i += 3)
	{
		int			holds = mo_formula_holds(p, f->args[i], v);

		if (holds < 0)
			return -1;
		if (!holds)
			continue;
		from = Max(from, f->args[i + 1]->kind == MO_F_ARR_MAX ?
				   f->args[i + 1]->count : MO_NO_LIMIT);
		mo_formulas_add(&contains, f->args[i + 2]);
	}
	for (int64 i = from; i < v->length && result == 1; i++)
		result = any_holds(p, contains.items, contains.count, v->items[i]);
	pfree(contains.items);
	return result;
}

static int
unevaluated_members_hold(MoProver *p, MoFormula *f, const MoJson *v)
{
	MoFormulas	names = {0};
	int			result = 1;

	mo_formulas_add(&names, f->args[1]);
	for (int i = 2; i < f->nargs; i += 2)
	{
		int			holds = mo_formula_holds(p, f->args[i], v);

		if (holds < 0)
			return -1;
		if (holds)
			mo_formulas_add(&names, f->args[i + 1]);
	}
	for (int i = 0; i < v->length && result == 1; i++)
	{
		int			done = any_holds(p, names.items, names.count,
									 v->names[i]);

		result = (done == 1) ? 1 :
			mo_formula_holds(p, f->args[0], v->items[i]);
		if (done < 0 && result == 0)
			result = -1;
	}
	pfree(names.items);
	return result;
}

static int
number_holds(const MoFormula *f, const MoJson *v)
{
	int			cmp;

	if (f->kind == MO_F_NUM_MULTIPLE)
		return mo_numeric_is_multiple(v->number, f->number);
	cmp = mo_numeric_cmp(v->number, f->number);
	if (f->kind == MO_F_NUM_MIN)
		return f->strict ? cmp > 0 : cmp >= 0;
	return f->strict ? cmp < 0 : cmp <= 0;
}

/* A literal as it is without its negation, on a value of its kind. */
static int
literal_holds(MoProver *p, MoFormula *f, const MoJson *v)
{
	switch (f->kind)
	{
		case MO_F_NUM_MIN:
		case MO_F_NUM_MAX:
		case MO_F_NUM_MULTIPLE:
			return number_holds(f, v);
		case MO_F_STR_MIN:
			return v->chars >= f->count;
		case MO_F_STR_MAX:
			return v->chars <= f->count;
		case MO_F_STR_PATTERN:
		case MO_F_STR_FORMAT:
			return mo_string_check(p, f, v);
		case MO_F_ARR_MIN:
		case MO_F_OBJ_MIN:
			return v->length >= f->count;
		case MO_F_ARR_MAX:
		case MO_F_OBJ_MAX:
			return v->length <= f->count;
		case MO_F_ARR_UNIQUE:
			return items_differ(v);
		case MO_F_ARR_ALL:
			return items_hold(p, f, v);
		case MO_F_ARR_COUNT:
			return enough_items_hold(p, f, v);
		case MO_F_OBJ_ALL:
			return members_hold(p, f, v);
		case MO_F_UNEVAL_ITEMS:
			return unevaluated_items_hold(p, f, v);
		case MO_F_UNEVAL_PROPS:
			return unevaluated_members_hold(p, f, v);
		default:
			elog(ERROR, "unexpected formula kind %d", f->kind);
			return -1;
	}
}

int
mo_formula_holds(MoProver *p, MoFormula *f, const MoJson *v)
{
	int			n;

	check_stack_depth();
	switch (f->kind)
	{
		case MO_F_TRUE:
			return 1;
		case MO_F_FALSE:
			return 0;
		case MO_F_AND:
			return all_hold(p, f->args, f->nargs, v);
		case MO_F_OR:
			return any_holds(p, f->args, f->nargs, v);
		case MO_F_ONE:
		case MO_F_NOTONE:
			n = count_holding(p, f->args, f->nargs, v);
			return n < 0 ? -1 : (n == 1) == (f->kind == MO_F_ONE);
		case MO_F_TYPE:
			return (f->mask & MO_KIND_BIT(v->kind)) != 0;
		case MO_F_ENUM:
			return mo_enum_has(f, v) != f->negated;
		case MO_F_VAR:
			/* the view is already negated where the formula is */
			return mo_formula_holds(p, mo_formula_view(p, f, v->kind), v);
		case MO_F_CLOSED:
			if (v->kind != MO_ARRAY && v->kind != MO_OBJECT)
				return !f->negated;
			return mo_formula_holds(p, mo_closed_expand(p, f, v->kind), v);
		default:
			if (mo_literal_kind(f) != v->kind)
				return !f->negated;
			n = literal_holds(p, f, v);
			return f->negated ? negate(n) : n;
	}
}
