/*-------------------------------------------------------------------------
 *
 * compare_literal.c
 *	  The formulas that stand for one keyword, and a formula's view by type.
 *
 * A literal says something about values of one type only and holds for all
 * others, so asking "which strings satisfy this" makes most of a schema
 * vanish.  mo_formula_view does that: the result speaks about values of the
 * given kind alone, holds no TYPE any more, and its negated bounds are turned
 * into bounds ("not minLength 3" is "maxLength 2").  Views are kept with the
 * formula.
 *
 * A recursive reference is opened by the view; a schema that refers to itself
 * without descending into the value would open for ever and is reported as
 * unsure.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "contract/compare_formula.h"

MoFormula *
mo_formula_var(MoProver *p, MoShape *shape)
{
	MoFormula	draft = {.kind = MO_F_VAR,.shape = shape};

	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_number(MoProver *p, MoFormulaKind kind, Numeric number, bool strict)
{
	MoFormula	draft = {.kind = kind,.number = number,.strict = strict};

	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_count(MoProver *p, MoFormulaKind kind, int64 count)
{
	MoFormula	draft = {.kind = kind,.count = count};
	bool		lower = kind == MO_F_STR_MIN || kind == MO_F_ARR_MIN ||
		kind == MO_F_OBJ_MIN;

	if (lower && count <= 0)
		return p->truth;
	if (!lower && count < 0)
		return mo_formula_type(p, MO_ALL_KINDS &
							   ~MO_KIND_BIT(kind == MO_F_STR_MAX ? MO_STRING :
											kind == MO_F_ARR_MAX ? MO_ARRAY :
											MO_OBJECT));
	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_text(MoProver *p, MoFormulaKind kind, const char *text)
{
	MoFormula	draft = {.kind = kind,.text = text};

	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_items(MoProver *p, int64 from, int64 upto, MoFormula *item)
{
	MoFormula	draft = {.kind = MO_F_ARR_ALL,.count = from,.upto = upto,
		.nargs = 1,.args = &item};

	if (from >= upto || item == p->truth)
		return p->truth;
	if (item == p->falsehood)
		return mo_formula_count(p, MO_F_ARR_MAX, from);
	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_item_count(MoProver *p, MoFormula *item, int64 count)
{
	MoFormula	draft = {.kind = MO_F_ARR_COUNT,.count = count,
		.nargs = 1,.args = &item};

	if (count <= 0)
		return p->truth;
	if (item == p->truth)
		return mo_formula_count(p, MO_F_ARR_MIN, count);
	if (item == p->falsehood)
		return mo_formula_type(p, MO_ALL_KINDS & ~MO_KIND_BIT(MO_ARRAY));
	return mo_formula_intern(p, &draft);
}

MoFormula *
mo_formula_names(MoProver *p, MoFormula *names, MoFormula *value)
{
	MoFormula  *args[2];
	MoFormula	draft = {.kind = MO_F_OBJ_ALL,.nargs = 2,.args = args};

	args[0] = names;
	args[1] = value;
	if (args[0] == p->falsehood || value == p->truth)
		return p->truth;
	if (args[0] == p->truth && value == p->falsehood)
		return mo_formula_count(p, MO_F_OBJ_MAX, 0);
	return mo_formula_intern(p, &draft);
}

/* "If it is an object, it has this member." */
MoFormula *
mo_formula_required(MoProver *p, const MoJson *name)
{
	MoFormula  *absent = mo_formula_names(p, mo_formula_enum(p, &name, 1),
										  p->falsehood);

	return mo_formula_or2(p,
						  mo_formula_type(p, MO_ALL_KINDS &
										  ~MO_KIND_BIT(MO_OBJECT)),
						  mo_formula_not(p, absent));
}

/*
 * "What is not evaluated satisfies args[0]".  args[1] is what is evaluated in
 * any case, then groups follow, each with a condition first: for properties
 * (condition, names), for items (condition, ARR_MAX n or TRUE for all items,
 * contains).  Items have the unconditional prefix in count.
 */
MoFormula *
mo_formula_composite(MoProver *p, MoFormulaKind kind, MoFormula **args,
					 int nargs, int64 count, const void *shape)
{
	MoFormula	draft = {.kind = kind,.shape = shape};
	MoFormula **kept;
	int			group = (kind == MO_F_UNEVAL_ITEMS) ? 3 : 2;
	int			n = 2;
	MoFormula  *result;

	if (kind == MO_F_CLOSED)
		return mo_formula_intern(p, &draft);
	kept = palloc(sizeof(MoFormula *) * (nargs + 2));
	kept[0] = args[0];
	kept[1] = args[1];
	for (int i = 2; i + group <= nargs; i += group)
	{
		if (args[i] == p->falsehood)
			continue;
		if (args[i] != p->truth)
		{
			memcpy(kept + n, args + i, sizeof(MoFormula *) * group);
			n += group;
			continue;
		}
		if (kind == MO_F_UNEVAL_PROPS)
		{
			kept[1] = mo_formula_or2(p, kept[1], args[i + 1]);
			continue;
		}
		count = args[i + 1]->kind == MO_F_ARR_MAX ?
			Max(count, args[i + 1]->count) : MO_NO_LIMIT;
		kept[1] = mo_formula_or2(p, kept[1], args[i + 2]);
	}
	if (kept[0] == p->truth || kept[1] == p->truth || count == MO_NO_LIMIT)
		result = p->truth;
	else if (n == 2 && kind == MO_F_UNEVAL_PROPS)
		result = mo_formula_names(p, mo_formula_not(p, kept[1]), kept[0]);
	else if (n == 2)
		result = mo_formula_items(p, count, MO_NO_LIMIT,
								  mo_formula_or2(p, kept[0], kept[1]));
	else
	{
		draft.nargs = n;
		draft.args = kept;
		draft.count = count;
		result = mo_formula_intern(p, &draft);
	}
	pfree(kept);
	return result;
}

/* ---- the view of one kind of value ---- */

MoKind
mo_literal_kind(const MoFormula *f)
{
	switch (f->kind)
	{
		case MO_F_NUM_MIN:
		case MO_F_NUM_MAX:
		case MO_F_NUM_MULTIPLE:
			return MO_NUMBER;
		case MO_F_STR_MIN:
		case MO_F_STR_MAX:
		case MO_F_STR_PATTERN:
		case MO_F_STR_FORMAT:
			return MO_STRING;
		case MO_F_ARR_MIN:
		case MO_F_ARR_MAX:
		case MO_F_ARR_UNIQUE:
		case MO_F_ARR_ALL:
		case MO_F_ARR_COUNT:
		case MO_F_UNEVAL_ITEMS:
			return MO_ARRAY;
		default:
			return MO_OBJECT;
	}
}

/* The same said positively, where a bound allows it. */
static MoFormula *
positive_bound(MoProver *p, MoFormula *f)
{
	switch (f->kind)
	{
		case MO_F_NUM_MIN:
			return mo_formula_number(p, MO_F_NUM_MAX, f->number, !f->strict);
		case MO_F_NUM_MAX:
			return mo_formula_number(p, MO_F_NUM_MIN, f->number, !f->strict);
		case MO_F_STR_MIN:
			return mo_formula_count(p, MO_F_STR_MAX, f->count - 1);
		case MO_F_ARR_MIN:
			return mo_formula_count(p, MO_F_ARR_MAX, f->count - 1);
		case MO_F_OBJ_MIN:
			return mo_formula_count(p, MO_F_OBJ_MAX, f->count - 1);
		case MO_F_STR_MAX:
			return mo_formula_count(p, MO_F_STR_MIN, f->count + 1);
		case MO_F_ARR_MAX:
			return mo_formula_count(p, MO_F_ARR_MIN, f->count + 1);
		case MO_F_OBJ_MAX:
			return mo_formula_count(p, MO_F_OBJ_MIN, f->count + 1);
		default:
			return f;
	}
}

static MoFormula *
view_enum(MoProver *p, MoFormula *f, MoKind kind)
{
	const MoJson **left = palloc(sizeof(MoJson *) * f->nvalues);
	int			n = 0;
	MoFormula  *result;

	for (int i = 0; i < f->nvalues; i++)
		if (f->values[i]->kind == kind)
			left[n++] = f->values[i];
	if ((kind == MO_NULL && n == 1) || (kind == MO_BOOLEAN && n == 2))
		result = p->truth;
	else
		result = mo_formula_enum(p, left, n);
	pfree(left);
	return f->negated ? mo_formula_not(p, result) : result;
}

/* The conditions are about the same value: view them too. */
static MoFormula *
view_uneval(MoProver *p, MoFormula *f, MoKind kind)
{
	MoFormula **args = palloc(sizeof(MoFormula *) * f->nargs);
	int			group = (f->kind == MO_F_UNEVAL_ITEMS) ? 3 : 2;
	MoFormula  *result;

	memcpy(args, f->args, sizeof(MoFormula *) * f->nargs);
	for (int i = 2; i < f->nargs; i += group)
		args[i] = mo_formula_view(p, f->args[i], kind);
	result = mo_formula_composite(p, f->kind, args, f->nargs, f->count,
								  f->shape);
	pfree(args);
	return f->negated ? mo_formula_not(p, result) : result;
}

static MoFormula *
view_connective(MoProver *p, MoFormula *f, MoKind kind)
{
	MoFormula **args = palloc(sizeof(MoFormula *) * f->nargs);
	MoFormula  *result;

	for (int i = 0; i < f->nargs; i++)
		args[i] = mo_formula_view(p, f->args[i], kind);
	if (f->kind == MO_F_AND)
		result = mo_formula_and(p, args, f->nargs);
	else if (f->kind == MO_F_OR)
		result = mo_formula_or(p, args, f->nargs);
	else
		result = mo_formula_one(p, args, f->nargs);
	pfree(args);
	return f->kind == MO_F_NOTONE ? mo_formula_not(p, result) : result;
}

static MoFormula *
view_literal(MoProver *p, MoFormula *f, MoKind kind)
{
	if (f->kind == MO_F_CLOSED)
	{
		if (kind != MO_OBJECT && kind != MO_ARRAY)
			return f->negated ? p->falsehood : p->truth;
		return mo_closed_is_open(f) ? f :
			mo_formula_view(p, mo_closed_expand(p, f, kind), kind);
	}
	if (mo_literal_kind(f) != kind)
		return f->negated ? p->falsehood : p->truth;
	if (f->kind == MO_F_UNEVAL_ITEMS || f->kind == MO_F_UNEVAL_PROPS)
		return view_uneval(p, f, kind);
	if (f->negated)
	{
		MoFormula  *positive = positive_bound(p, f);

		/* a bound that cannot be met comes back as a TYPE without kind */
		return positive->kind == MO_F_TYPE ? p->falsehood : positive;
	}
	return f;
}

static MoFormula *
view_variable(MoProver *p, MoFormula *f, MoKind kind)
{
	MoFormula  *meaning = mo_shape_formula(p, unconstify(MoShape *,
														 (const MoShape *) f->shape));

	if (f->negated)
		meaning = mo_formula_not(p, meaning);
	return mo_formula_view(p, meaning, kind);
}

static MoFormula *
compute_view(MoProver *p, MoFormula *f, MoKind kind)
{
	switch (f->kind)
	{
		case MO_F_TRUE:
		case MO_F_FALSE:
			return f;
		case MO_F_TYPE:
			return (f->mask & MO_KIND_BIT(kind)) ? p->truth : p->falsehood;
		case MO_F_ENUM:
			return view_enum(p, f, kind);
		case MO_F_AND:
		case MO_F_OR:
		case MO_F_ONE:
		case MO_F_NOTONE:
			return view_connective(p, f, kind);
		case MO_F_VAR:
			return view_variable(p, f, kind);
		default:
			return view_literal(p, f, kind);
	}
}

MoFormula *
mo_formula_view(MoProver *p, MoFormula *f, MoKind kind)
{
	MoFormula  *view = f->view[kind];

	if (view != NULL)
		return view;
	check_stack_depth();
	if (f->viewing & MO_KIND_BIT(kind))
	{
		mo_prover_unsure(p, "$ref", "a reference leads back to itself at the same place");
		p->stopped = true;
		return p->falsehood;
	}
	f->viewing |= MO_KIND_BIT(kind);
	view = compute_view(p, f, kind);
	f->viewing &= ~MO_KIND_BIT(kind);
	/* a negation made on the way may have left a negated bound */
	if (view != f)
		view = mo_formula_view(p, view, kind);
	f->view[kind] = view;
	return view;
}
