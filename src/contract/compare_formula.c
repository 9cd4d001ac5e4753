/*-------------------------------------------------------------------------
 *
 * compare_formula.c
 *	  Formulas over JSON values: interning and the Boolean connectives.
 *
 * Formulas are interned, so that two schemas that say the same in the same
 * way are the same pointer, "A and not A" vanishes where it is built, and
 * what was once found out about a formula is found again.  A conjunction is
 * kept flat, sorted by id, with types and enumerations merged and its
 * clauses reduced by the other conjuncts; a disjunction is stored as the
 * complement of a conjunction, so both have one normal form.
 *
 * Called by every file of the prover.  Owns the formula table.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "contract/compare_formula.h"

void
mo_formulas_add(MoFormulas *list, MoFormula *f)
{
	if (list->count == list->space)
	{
		list->space = list->space ? list->space * 2 : 8;
		if (list->items == NULL)
			list->items = palloc(sizeof(MoFormula *) * list->space);
		else
			list->items = repalloc(list->items,
								   sizeof(MoFormula *) * list->space);
	}
	list->items[list->count++] = f;
}

static bool
same_formula(const MoFormula *a, const MoFormula *b)
{
	if (a->hash != b->hash || a->kind != b->kind ||
		a->negated != b->negated || a->strict != b->strict ||
		a->mask != b->mask || a->nargs != b->nargs ||
		a->nvalues != b->nvalues || a->count != b->count ||
		a->upto != b->upto || a->shape != b->shape)
		return false;
	if ((a->number == NULL) != (b->number == NULL) ||
		(a->text == NULL) != (b->text == NULL))
		return false;
	if (a->number && mo_numeric_cmp(a->number, b->number) != 0)
		return false;
	if (a->text && strcmp(a->text, b->text) != 0)
		return false;
	if (a->nargs > 0 &&
		memcmp(a->args, b->args, sizeof(MoFormula *) * a->nargs) != 0)
		return false;
	return a->nvalues == 0 ||
		memcmp(a->values, b->values, sizeof(MoJson *) * a->nvalues) == 0;
}

static uint32
hash_formula(const MoFormula *f)
{
	uint32		h = murmurhash32(f->kind * 4 + f->negated * 2 + f->strict);

	h = hash_combine(h, f->mask);
	h = hash_combine(h, murmurhash32((uint32) f->count));
	h = hash_combine(h, murmurhash32((uint32) f->upto));
	h = hash_combine(h, (uint32) ((uintptr_t) f->shape >> 4));
	if (f->number)
		h = hash_combine(h, DatumGetUInt32(DirectFunctionCall1(hash_numeric,
															   NumericGetDatum(f->number))));
	if (f->text)
		h = hash_combine(h, hash_bytes((const unsigned char *) f->text,
									   strlen(f->text)));
	for (int i = 0; i < f->nargs; i++)
		h = hash_combine(h, f->args[i]->id);
	for (int i = 0; i < f->nvalues; i++)
		h = hash_combine(h, f->values[i]->id);
	return h;
}

static void
grow_table(MoProver *p)
{
	uint32		slots = p->formula_slots ? p->formula_slots * 2 : 1024;
	MoFormula **table = MemoryContextAllocZero(p->context,
											   slots * sizeof(MoFormula *));

	for (uint32 i = 0; i < p->formula_slots; i++)
	{
		MoFormula  *f = p->formula_table[i];

		while (f != NULL)
		{
			MoFormula  *next = f->next;

			f->next = table[f->hash & (slots - 1)];
			table[f->hash & (slots - 1)] = f;
			f = next;
		}
	}
	if (p->formula_table)
		pfree(p->formula_table);
	p->formula_table = table;
	p->formula_slots = slots;
}

/* The one formula equal to the draft; its arrays are copied when it is new. */
MoFormula *
mo_formula_intern(MoProver *p, MoFormula *draft)
{
	MoFormula  *f;
	MemoryContext old;

	if (p->formula_count >= p->formula_slots)
		grow_table(p);
	draft->hash = hash_formula(draft);
	for (f = p->formula_table[draft->hash & (p->formula_slots - 1)]; f;
		 f = f->next)
		if (same_formula(f, draft))
			return f;

	old = MemoryContextSwitchTo(p->context);
	f = palloc(sizeof(MoFormula));
	*f = *draft;
	if (f->nargs > 0)
		f->args = memcpy(palloc(sizeof(MoFormula *) * f->nargs), draft->args,
						 sizeof(MoFormula *) * f->nargs);
	if (f->nvalues > 0)
		f->values = memcpy(palloc(sizeof(MoJson *) * f->nvalues),
						   draft->values, sizeof(MoJson *) * f->nvalues);
	if (f->number)
		f->number = memcpy(palloc(VARSIZE(f->number)), draft->number,
						   VARSIZE(f->number));
	if (f->text)
		f->text = pstrdup(draft->text);
	MemoryContextSwitchTo(old);
	f->id = ++p->formula_count;
	f->next = p->formula_table[f->hash & (p->formula_slots - 1)];
	p->formula_table[f->hash & (p->formula_slots - 1)] = f;
	return f;
}

static int
formula_cmp(const void *a, const void *b)
{
	uint32		x = (*(MoFormula *const *) a)->id;
	uint32		y = (*(MoFormula *const *) b)->id;

	return x < y ? -1 : x > y;
}

static int
value_cmp(const void *a, const void *b)
{
	uint32		x = (*(const MoJson *const *) a)->id;
	uint32		y = (*(const MoJson *const *) b)->id;

	return x < y ? -1 : x > y;
}

MoFormula *
mo_formula_enum(MoProver *p, const MoJson **values, int n)
{
	const MoJson **sorted = palloc(sizeof(MoJson *) * (n + 1));
	MoFormula	draft = {.kind = MO_F_ENUM};
	MoFormula  *f;

	if (n == 0)
		return p->falsehood;
	memcpy(sorted, values, sizeof(MoJson *) * n);
	qsort(sorted, n, sizeof(MoJson *), value_cmp);
	draft.nvalues = 1;
	for (int i = 1; i < n; i++)
		if (sorted[i] != sorted[draft.nvalues - 1])
			sorted[draft.nvalues++] = sorted[i];
	draft.values = sorted;
	f = mo_formula_intern(p, &draft);
	pfree(sorted);
	return f;
}

bool
mo_enum_has(const MoFormula *f, const MoJson *value)
{
	int			low = 0;
	int			high = f->nvalues - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (f->values[middle] == value)
			return true;
		if (f->values[middle]->id < value->id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return false;
}

MoFormula *
mo_formula_type(MoProver *p, int mask)
{
	MoFormula	draft = {.kind = MO_F_TYPE,.mask = mask & MO_ALL_KINDS};

	if (draft.mask == 0)
		return p->falsehood;
	if (draft.mask == MO_ALL_KINDS)
		return p->truth;
	return mo_formula_intern(p, &draft);
}

/* ---- conjunction ---- */

/* What becomes of a conjunction while it is put in normal form. */
typedef struct Conjunction
{
	MoFormulas	rest;
	int			mask;			/* types allowed so far */
	MoFormula  *among;			/* ENUM, or NULL */
	const MoJson **except;		/* values excluded by negated ENUMs */
	int			nexcept;
	bool		empty;			/* found contradictory */
} Conjunction;

static void
add_among(MoProver *p, Conjunction *c, MoFormula *f)
{
	const MoJson **both;
	int			n = 0;

	if (c->among == NULL)
	{
		c->among = f;
		return;
	}
	both = palloc(sizeof(MoJson *) * f->nvalues);
	for (int i = 0; i < f->nvalues; i++)
		if (mo_enum_has(c->among, f->values[i]))
			both[n++] = f->values[i];
	c->among = mo_formula_enum(p, both, n);
	c->empty |= (n == 0);
	pfree(both);
}

static void
add_except(Conjunction *c, MoFormula *f)
{
	Size		bytes = sizeof(MoJson *) * (c->nexcept + f->nvalues);

	c->except = c->except ? repalloc(c->except, bytes) : palloc(bytes);
	memcpy(c->except + c->nexcept, f->values,
		   sizeof(MoJson *) * f->nvalues);
	c->nexcept += f->nvalues;
}

static void
add_conjunct(MoProver *p, Conjunction *c, MoFormula *f)
{
	switch (f->kind)
	{
		case MO_F_TRUE:
			break;
		case MO_F_FALSE:
			c->empty = true;
			break;
		case MO_F_AND:
			for (int i = 0; i < f->nargs && !c->empty; i++)
				add_conjunct(p, c, f->args[i]);
			break;
		case MO_F_TYPE:
			c->mask &= f->mask;
			c->empty |= (c->mask == 0);
			break;
		case MO_F_ENUM:
			if (f->negated)
				add_except(c, f);
			else
				add_among(p, c, f);
			break;
		default:
			mo_formulas_add(&c->rest, f);
	}
}

/* Types and exclusions can be applied to an enumeration at once. */
static void
settle_values(MoProver *p, Conjunction *c)
{
	if (c->among != NULL)
	{
		const MoJson **left = palloc(sizeof(MoJson *) * c->among->nvalues);
		int			n = 0;

		for (int i = 0; i < c->among->nvalues; i++)
		{
			const MoJson *v = c->among->values[i];
			bool		keep = (c->mask & MO_KIND_BIT(v->kind)) != 0;

			for (int j = 0; j < c->nexcept && keep; j++)
				keep = c->except[j] != v;
			if (keep)
				left[n++] = v;
		}
		if (n == 0)
			c->empty = true;
		else
			mo_formulas_add(&c->rest, mo_formula_enum(p, left, n));
		pfree(left);
		return;
	}
	if (c->mask != MO_ALL_KINDS)
		mo_formulas_add(&c->rest, mo_formula_type(p, c->mask));
	if (c->nexcept > 0)
	{
		const MoJson **left = palloc(sizeof(MoJson *) * c->nexcept);
		int			n = 0;

		for (int i = 0; i < c->nexcept; i++)
			if (c->mask & MO_KIND_BIT(c->except[i]->kind))
				left[n++] = c->except[i];
		if (n > 0)
			mo_formulas_add(&c->rest,
							mo_formula_not(p, mo_formula_enum(p, left, n)));
		pfree(left);
	}
}

bool
mo_formulas_have(const MoFormula *const *args, int n, const MoFormula *f)
{
	int			low = 0;
	int			high = n - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (args[middle] == f)
			return true;
		if (args[middle]->id < f->id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return false;
}

static bool
list_has(const MoFormulas *list, const MoFormula *f)
{
	return mo_formulas_have((const MoFormula *const *) list->items,
							list->count, f);
}

static void
sort_unique(MoFormulas *list)
{
	int			n = 0;

	if (list->count < 2)
		return;
	qsort(list->items, list->count, sizeof(MoFormula *), formula_cmp);
	for (int i = 1; i < list->count; i++)
		if (list->items[i] != list->items[n])
			list->items[++n] = list->items[i];
	list->count = n + 1;
}

/*
 * What the clause says beside the other conjuncts: TRUE when one of them is a
 * member of it, without the members that one of them contradicts.
 */
static MoFormula *
reduce_clause(MoProver *p, const MoFormulas *list, MoFormula *clause)
{
	MoFormula **left = palloc(sizeof(MoFormula *) * clause->nargs);
	MoFormula  *result = clause;
	int			n = 0;

	for (int i = 0; i < clause->nargs; i++)
	{
		MoFormula  *d = clause->args[i];

		if (list_has(list, d))
		{
			pfree(left);
			return p->truth;
		}
		if (d->complement == NULL || !list_has(list, d->complement))
			left[n++] = d;
	}
	if (n < clause->nargs)
		result = mo_formula_or(p, left, n);
	pfree(left);
	return result;
}

/* The conjunction with its clauses reduced; NULL when none changes. */
static MoFormula *
reduce_clauses(MoProver *p, const MoFormulas *list)
{
	MoFormula **reduced = palloc(sizeof(MoFormula *) * (list->count + 1));
	MoFormula  *result = NULL;
	bool		changed = false;

	for (int i = 0; i < list->count; i++)
	{
		reduced[i] = list->items[i];
		if (reduced[i]->kind == MO_F_OR)
			reduced[i] = reduce_clause(p, list, reduced[i]);
		changed |= reduced[i] != list->items[i];
	}
	/* once more with less; ends, as clauses only get shorter */
	if (changed)
		result = mo_formula_and(p, reduced, list->count);
	pfree(reduced);
	return result;
}

MoFormula *
mo_formula_and(MoProver *p, MoFormula **args, int n)
{
	Conjunction c = {.mask = MO_ALL_KINDS};
	MoFormula  *result = NULL;
	MoFormula	draft = {.kind = MO_F_AND};

	check_stack_depth();
	for (int i = 0; i < n && !c.empty; i++)
		add_conjunct(p, &c, args[i]);
	if (!c.empty)
		settle_values(p, &c);
	sort_unique(&c.rest);
	for (int i = 0; i < c.rest.count && !c.empty; i++)
	{
		MoFormula  *f = c.rest.items[i];

		if (f->complement != NULL && list_has(&c.rest, f->complement))
			c.empty = true;
	}
	if (!c.empty)
		result = reduce_clauses(p, &c.rest);
	if (c.empty)
		result = p->falsehood;
	else if (result == NULL && c.rest.count == 0)
		result = p->truth;
	else if (result == NULL && c.rest.count == 1)
		result = c.rest.items[0];
	else if (result == NULL)
	{
		draft.nargs = c.rest.count;
		draft.args = c.rest.items;
		result = mo_formula_intern(p, &draft);
	}
	if (c.rest.items)
		pfree(c.rest.items);
	if (c.except)
		pfree(c.except);
	return result;
}

MoFormula *
mo_formula_or(MoProver *p, MoFormula **args, int n)
{
	MoFormula **negated = palloc(sizeof(MoFormula *) * (n + 1));
	MoFormula  *result;

	for (int i = 0; i < n; i++)
		negated[i] = mo_formula_not(p, args[i]);
	result = mo_formula_not(p, mo_formula_and(p, negated, n));
	pfree(negated);
	return result;
}

MoFormula *
mo_formula_and2(MoProver *p, MoFormula *a, MoFormula *b)
{
	MoFormula  *args[2] = {a, b};

	return mo_formula_and(p, args, 2);
}

MoFormula *
mo_formula_or2(MoProver *p, MoFormula *a, MoFormula *b)
{
	MoFormula  *args[2] = {a, b};

	return mo_formula_or(p, args, 2);
}

/* ---- negation ---- */

static MoFormula *
make_complement(MoProver *p, MoFormula *f)
{
	MoFormula	draft;
	MoFormulas	args = {0};
	MoFormula  *result;

	switch (f->kind)
	{
		case MO_F_TRUE:
			return p->falsehood;
		case MO_F_FALSE:
			return p->truth;
		case MO_F_TYPE:
			return mo_formula_type(p, ~f->mask);
		case MO_F_AND:
		case MO_F_OR:
			for (int i = 0; i < f->nargs; i++)
				mo_formulas_add(&args, mo_formula_not(p, f->args[i]));
			sort_unique(&args);
			memset(&draft, 0, sizeof(draft));
			draft.kind = (f->kind == MO_F_AND) ? MO_F_OR : MO_F_AND;
			draft.nargs = args.count;
			draft.args = args.items;
			result = mo_formula_intern(p, &draft);
			pfree(args.items);
			return result;
		default:
			memset(&draft, 0, sizeof(draft));
			draft.kind = f->kind;
			draft.negated = !f->negated;
			if (f->kind == MO_F_ONE || f->kind == MO_F_NOTONE)
			{
				draft.negated = false;
				draft.kind = (f->kind == MO_F_ONE) ? MO_F_NOTONE : MO_F_ONE;
			}
			draft.strict = f->strict;
			draft.mask = f->mask;
			draft.nargs = f->nargs;
			draft.args = f->args;
			draft.nvalues = f->nvalues;
			draft.values = f->values;
			draft.number = f->number;
			draft.count = f->count;
			draft.upto = f->upto;
			draft.text = f->text;
			draft.shape = f->shape;
			return mo_formula_intern(p, &draft);
	}
}

MoFormula *
mo_formula_not(MoProver *p, MoFormula *f)
{
	check_stack_depth();
	if (f->complement == NULL)
	{
		MoFormula  *c = make_complement(p, f);

		f->complement = c;
		c->complement = f;
	}
	return f->complement;
}

/* ---- exactly one ---- */

MoFormula *
mo_formula_one(MoProver *p, MoFormula **args, int n)
{
	MoFormulas	once = {0};
	MoFormulas	never = {0};	/* those that must not hold */
	MoFormulas	all = {0};
	MoFormula	draft = {.kind = MO_F_ONE};
	bool		truth = false;
	MoFormula  *result;

	for (int i = 0; i < n; i++)
	{
		if (args[i]->kind == MO_F_TRUE && truth)
			return p->falsehood;
		truth |= args[i]->kind == MO_F_TRUE;
		if (args[i]->kind != MO_F_TRUE && args[i]->kind != MO_F_FALSE)
			mo_formulas_add(&all, args[i]);
	}
	if (all.count > 1)
		qsort(all.items, all.count, sizeof(MoFormula *), formula_cmp);
	for (int i = 0; i < all.count; i++)
	{
		bool		twice = (i > 0 && all.items[i - 1] == all.items[i]) ||
			(i + 1 < all.count && all.items[i + 1] == all.items[i]);

		if (truth || twice)
			mo_formulas_add(&never, mo_formula_not(p, all.items[i]));
		else
			mo_formulas_add(&once, all.items[i]);
	}
	if (truth)
		result = p->truth;
	else if (once.count == 0)
		result = p->falsehood;
	else if (once.count == 1)
		result = once.items[0];
	else
	{
		draft.nargs = once.count;
		draft.args = once.items;
		result = mo_formula_intern(p, &draft);
	}
	mo_formulas_add(&never, result);
	return mo_formula_and(p, never.items, never.count);
}
