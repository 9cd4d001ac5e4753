/*-------------------------------------------------------------------------
 *
 * compare_object.c
 *	  Objects: for all names of a kind, for some name of a kind, how many.
 *
 * Every object keyword is one of three statements: all members whose name is
 * in L have a value in S; some member whose name is in L has a value in S
 * ("required" is one with a single name); the number of members.  Names fall
 * into regions that no statement tells apart: each name that occurs in a
 * schema is one of its own, all others are told apart only by the patterns.
 * What a region's members have to satisfy is one question to the prover.
 *
 * "Some" with a single name is forced and comes first, which decides most
 * questions; the others are tried in every region that admits them.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compare_formula.h"

/* Literals about names before their combinations are too many. */
#define MAX_NAME_ATOMS 24
#define MAX_REGIONS 4000

/* Names that no statement tells apart. */
typedef struct Region
{
	const MoJson *name;			/* the only one, or NULL: see names */
	MoFormula  *names;			/* all of them, when they are not listed */
	char	   *signs;			/* truth of each atom, when not listed */
	MoFormulas	parts;			/* what their values satisfy */
	bool		present;		/* a listed name that must be there */
} Region;

/* A member without a name of its own yet. */
typedef struct Slot
{
	Region	   *region;
	MoFormula  *value;
} Slot;

typedef struct Objects
{
	MoProver   *p;
	MoFormula **alls;			/* OBJ_ALL */
	int			nalls;
	MoFormula **somes;			/* negated OBJ_ALL, not forced */
	int			nsomes;
	int64		min;
	int64		max;
	Region	   *listed;			/* in order of the names' id */
	int			nlisted;
	bool		open_done;
	Region	   *open;			/* the names that no schema mentions */
	int			nopen;
	MoFormulas	atoms;			/* about names, see name_holds */
	Slot	   *slots;
	int			nslots;
	int			present;		/* members decided on */
	bool		unsure;			/* something could not be decided */
	const MoJson *found;
} Objects;

/* ---- the names ---- */

static void
collect_names(MoFormula *f, MoFormulas *enums)
{
	if (f->kind == MO_F_ENUM)
		mo_formulas_add(enums, f);
	for (int i = 0; i < f->nargs; i++)
		collect_names(f->args[i], enums);
}

static int
region_cmp(const void *a, const void *b)
{
	uint32		x = ((const Region *) a)->name->id;
	uint32		y = ((const Region *) b)->name->id;

	return x < y ? -1 : x > y;
}

static MoFormula *
name_formula(Objects *o, MoFormula *literal)
{
	return mo_formula_view(o->p, literal->args[0], MO_STRING);
}

static void
list_names(Objects *o, MoFormula **literals, int n)
{
	MoFormulas	enums = {0};
	int			count = 0;

	for (int i = 0; i < n; i++)
		if (literals[i]->kind == MO_F_OBJ_ALL)
			collect_names(name_formula(o, literals[i]), &enums);
	for (int i = 0; i < enums.count; i++)
		count += enums.items[i]->nvalues;
	o->listed = palloc0(sizeof(Region) * (count + 1));
	for (int i = 0; i < enums.count; i++)
		for (int j = 0; j < enums.items[i]->nvalues; j++)
			o->listed[o->nlisted++].name = enums.items[i]->values[j];
	if (o->nlisted > 1)
	{
		qsort(o->listed, o->nlisted, sizeof(Region), region_cmp);
		count = 0;
		for (int i = 1; i < o->nlisted; i++)
			if (o->listed[i].name != o->listed[count].name)
				o->listed[++count].name = o->listed[i].name;
		o->nlisted = count + 1;
	}
	if (enums.items)
		pfree(enums.items);
}

static Region *
listed_region(Objects *o, const MoJson *name)
{
	int			low = 0;
	int			high = o->nlisted - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (o->listed[middle].name == name)
			return &o->listed[middle];
		if (o->listed[middle].name->id < name->id)
			low = middle + 1;
		else
			high = middle - 1;
	}
	return NULL;
}

/* Gives every listed name what the "all" statements ask of its value. */
static void
fill_listed(Objects *o)
{
	for (int i = 0; i < o->nalls; i++)
	{
		MoFormula  *names = name_formula(o, o->alls[i]);
		MoFormula  *value = o->alls[i]->args[1];

		if (names->kind == MO_F_ENUM && !names->negated)
		{
			for (int j = 0; j < names->nvalues; j++)
				mo_formulas_add(&listed_region(o, names->values[j])->parts,
								value);
			continue;
		}
		for (int j = 0; j < o->nlisted; j++)
		{
			int			holds = mo_formula_holds(o->p, names,
												 o->listed[j].name);

			if (holds < 0)
			{
				o->unsure = true;
				mo_prover_unsure(o->p, "patternProperties",
								 "a pattern could not be tried on a name");
			}
			if (holds == 1)
				mo_formulas_add(&o->listed[j].parts, value);
		}
	}
}

/* ---- names that are not listed ---- */

static bool
is_connective(const MoFormula *f)
{
	return f->kind == MO_F_AND || f->kind == MO_F_OR ||
		f->kind == MO_F_ONE || f->kind == MO_F_NOTONE;
}

static void
collect_atoms(Objects *o, MoFormula *f)
{
	MoFormula  *base = f->negated ? mo_formula_not(o->p, f) : f;

	if (is_connective(f))
	{
		for (int i = 0; i < f->nargs; i++)
			collect_atoms(o, f->args[i]);
		return;
	}
	if (f->kind == MO_F_TRUE || f->kind == MO_F_FALSE || f->kind == MO_F_ENUM)
		return;
	for (int i = 0; i < o->atoms.count; i++)
		if (o->atoms.items[i] == base)
			return;
	mo_formulas_add(&o->atoms, base);
}

/* Is an unlisted name with these truths of the atoms in the set? */
static bool
name_holds(Objects *o, MoFormula *f, const char *signs)
{
	MoFormula  *base;
	int			count = 0;

	if (f->kind == MO_F_TRUE || f->kind == MO_F_FALSE)
		return f->kind == MO_F_TRUE;
	if (f->kind == MO_F_ENUM)
		return f->negated;
	if (is_connective(f))
	{
		for (int i = 0; i < f->nargs; i++)
			count += name_holds(o, f->args[i], signs);
		return f->kind == MO_F_AND ? count == f->nargs :
			f->kind == MO_F_OR ? count > 0 :
			(count == 1) == (f->kind == MO_F_ONE);
	}
	base = f->negated ? mo_formula_not(o->p, f) : f;
	for (int i = 0; i < o->atoms.count; i++)
		if (o->atoms.items[i] == base)
			return signs[i] != f->negated;
	elog(ERROR, "unknown statement about a name");
	return false;
}

static void
add_open_region(Objects *o, MoFormula *names, const char *signs)
{
	Region	   *region;

	if (o->nopen == 0)
		o->open = palloc0(sizeof(Region) * 4);
	else if (o->nopen >= 4 && (o->nopen & (o->nopen - 1)) == 0)
		o->open = repalloc(o->open, sizeof(Region) * o->nopen * 2);
	region = &o->open[o->nopen++];
	memset(region, 0, sizeof(Region));
	region->names = names;
	region->signs = memcpy(palloc(o->atoms.count + 1), signs,
						   o->atoms.count);
	for (int i = 0; i < o->nalls; i++)
		if (name_holds(o, name_formula(o, o->alls[i]), signs))
			mo_formulas_add(&region->parts, o->alls[i]->args[1]);
}

/* Every combination of the atoms that some name has. */
static void
combine_atoms(Objects *o, MoFormula *names, char *signs, int i)
{
	const MoJson *name;
	MoVerdictState state = mo_solve_kind(o->p, names, MO_STRING, &name);

	check_stack_depth();
	if (state == MO_EMPTY)
		return;
	if (o->nopen >= MAX_REGIONS || !mo_prover_tick(o->p))
	{
		o->unsure = true;
		mo_prover_unsure(o->p, "patternProperties",
						 "too many combinations of name patterns");
		return;
	}
	if (i == o->atoms.count)
	{
		add_open_region(o, names, signs);
		return;
	}
	signs[i] = 0;
	combine_atoms(o, mo_formula_and2(o->p, names,
									 mo_formula_not(o->p, o->atoms.items[i])),
				  signs, i + 1);
	signs[i] = 1;
	combine_atoms(o, mo_formula_and2(o->p, names, o->atoms.items[i]), signs,
				  i + 1);
}

static void
make_open(Objects *o)
{
	MoFormula  *names = o->p->truth;
	const MoJson **listed;
	char	   *signs;

	if (o->open_done)
		return;
	o->open_done = true;
	for (int i = 0; i < o->nalls; i++)
		collect_atoms(o, name_formula(o, o->alls[i]));
	for (int i = 0; i < o->nsomes; i++)
		collect_atoms(o, name_formula(o, o->somes[i]));
	if (o->atoms.count > MAX_NAME_ATOMS)
	{
		o->unsure = true;
		mo_prover_unsure(o->p, "patternProperties", "too many name patterns");
		return;
	}
	listed = palloc(sizeof(MoJson *) * (o->nlisted + 1));
	for (int i = 0; i < o->nlisted; i++)
		listed[i] = o->listed[i].name;
	if (o->nlisted > 0)
		names = mo_formula_not(o->p, mo_formula_enum(o->p, listed,
													 o->nlisted));
	pfree(listed);
	signs = palloc0(o->atoms.count + 1);
	combine_atoms(o, names, signs, 0);
	pfree(signs);
}

/* ---- values ---- */

static MoFormula *
region_value(Objects *o, const Region *region, MoFormula *also)
{
	MoFormula **args = palloc(sizeof(MoFormula *) * (region->parts.count + 1));
	MoFormula  *result;

	if (region->parts.count > 0)
		memcpy(args, region->parts.items,
			   sizeof(MoFormula *) * region->parts.count);
	args[region->parts.count] = also;
	result = mo_formula_and(o->p, args, region->parts.count + 1);
	pfree(args);
	return result;
}

static MoVerdictState
solve_value(Objects *o, MoFormula *value, const MoJson **witness)
{
	MoVerdictState state = mo_solve(o->p, value, witness);

	if (state == MO_UNKNOWN)
		o->unsure = true;
	return state;
}

/* ---- putting the object together ---- */

typedef struct Members
{
	const MoJson **names;
	const MoJson **values;
	int			count;
} Members;

static void
add_member(Members *m, const MoJson *name, const MoJson *value)
{
	m->names[m->count] = name;
	m->values[m->count++] = value;
}

static bool
add_listed(Objects *o, Members *m, bool present)
{
	for (int i = 0; i < o->nlisted; i++)
	{
		const MoJson *value;

		if (o->listed[i].present != present ||
			(!present && m->count + o->nslots >= o->min))
			continue;
		if (solve_value(o, region_value(o, &o->listed[i], o->p->truth),
						&value) == MO_WITNESS)
			add_member(m, o->listed[i].name, value);
		else if (present)
			return false;
	}
	return true;
}

/*
 * Names for the members in one region, and further ones when the object has
 * not enough.  False when the region has too few names.
 */
static bool
add_open(Objects *o, Members *m, Region *region, int missing)
{
	const MoJson *filler = NULL;
	const MoJson **names;
	bool		complete;
	int			wanted = 0;
	int			got;
	int			used = 0;

	for (int i = 0; i < o->nslots; i++)
		wanted += o->slots[i].region == region;
	if (missing > 0 &&
		solve_value(o, region_value(o, region, o->p->truth),
					&filler) != MO_WITNESS)
		missing = 0;
	if (wanted + missing == 0)
		return true;
	names = palloc(sizeof(MoJson *) * (wanted + missing));
	got = mo_solve_several(o->p, mo_formula_and2(o->p, region->names,
												 mo_formula_type(o->p, MO_KIND_BIT(MO_STRING))),
						   wanted + missing, names, &complete);
	if (got < wanted + missing && !complete)
		o->unsure = true;
	for (int i = 0; i < o->nslots && got >= wanted; i++)
	{
		const MoJson *value;

		if (o->slots[i].region != region)
			continue;
		if (solve_value(o, o->slots[i].value, &value) != MO_WITNESS)
			return false;
		add_member(m, names[used++], value);
	}
	while (used >= wanted && used < got)
		add_member(m, names[used++], filler);
	pfree(names);
	return got >= wanted;
}

static bool
assemble(Objects *o)
{
	Members		m = {0};
	int64		space = o->nlisted + o->nslots + Min(o->min, 4096) + 1;
	int64		missing;
	bool		open_needed = o->nslots > 0;

	m.names = palloc(sizeof(MoJson *) * space);
	m.values = palloc(sizeof(MoJson *) * space);
	if (!add_listed(o, &m, true))
		return false;
	add_listed(o, &m, false);
	missing = o->min - m.count - o->nslots;
	if (missing > 4096)
	{
		o->unsure = true;
		mo_prover_unsure(o->p, "minProperties", "minProperties is too large");
		return false;
	}
	if (missing > 0 || open_needed)
	{
		make_open(o);
		for (int i = 0; i < o->nopen; i++)
		{
			int			before = m.count;
			int			slots = 0;

			for (int j = 0; j < o->nslots; j++)
				slots += o->slots[j].region == &o->open[i];
			if (!add_open(o, &m, &o->open[i], Max(missing, 0)))
				return false;
			missing -= m.count - before - slots;
		}
	}
	if (m.count < o->min || m.count > o->max)
		return false;
	o->found = mo_json_object(o->p, m.names, m.values, m.count);
	return true;
}

/* ---- "some" statements that leave a choice ---- */

static bool place(Objects *o, int i);

static bool
place_listed(Objects *o, int i, Region *region, MoFormula *value)
{
	bool		was_present = region->present;
	const MoJson *witness;
	bool		done = false;

	if (!was_present && o->present >= o->max)
		return false;
	mo_formulas_add(&region->parts, value);
	region->present = true;
	o->present += !was_present;
	if (solve_value(o, region_value(o, region, o->p->truth),
					&witness) == MO_WITNESS)
		done = place(o, i + 1);
	o->present -= !was_present;
	region->present = was_present;
	region->parts.count--;
	return done;
}

static bool
place_open(Objects *o, int i, Region *region, MoFormula *value)
{
	const MoJson *witness;
	bool		done = false;

	/* the same member may serve several statements */
	for (int j = 0; j < o->nslots && !done; j++)
	{
		MoFormula  *before = o->slots[j].value;

		if (o->slots[j].region != region)
			continue;
		o->slots[j].value = mo_formula_and2(o->p, before, value);
		if (solve_value(o, o->slots[j].value, &witness) == MO_WITNESS)
			done = place(o, i + 1);
		o->slots[j].value = before;
	}
	if (done || o->present >= o->max)
		return done;
	o->slots[o->nslots].region = region;
	o->slots[o->nslots].value = region_value(o, region, value);
	if (solve_value(o, o->slots[o->nslots].value, &witness) == MO_WITNESS)
	{
		o->nslots++;
		o->present++;
		done = place(o, i + 1);
		o->present--;
		o->nslots--;
	}
	return done;
}

/* Finds members for the "some" statements from the i-th on. */
static bool
place(Objects *o, int i)
{
	MoFormula  *names;
	MoFormula  *value;
	bool		done = false;

	check_stack_depth();
	if (!mo_prover_tick(o->p))
	{
		o->unsure = true;
		return false;
	}
	if (i == o->nsomes)
		return assemble(o);
	names = name_formula(o, o->somes[i]);
	value = mo_formula_not(o->p, o->somes[i]->args[1]);
	for (int j = 0; j < o->nlisted && !done; j++)
	{
		int			holds = mo_formula_holds(o->p, names, o->listed[j].name);

		if (holds < 0)
			o->unsure = true;
		if (holds == 1)
			done = place_listed(o, i, &o->listed[j], value);
	}
	/* a list of names has no others */
	if (done || (names->kind == MO_F_ENUM && !names->negated))
		return done;
	make_open(o);
	for (int j = 0; j < o->nopen && !done; j++)
		if (name_holds(o, names, o->open[j].signs))
			done = place_open(o, i, &o->open[j], value);
	return done;
}

/* ---- entry ---- */

static bool
is_forced(Objects *o, MoFormula *literal)
{
	MoFormula  *names = name_formula(o, literal);

	return names->kind == MO_F_ENUM && !names->negated && names->nvalues == 1;
}

static void
gather(Objects *o, MoFormula **literals, int n)
{
	o->alls = palloc(sizeof(MoFormula *) * (n + 1));
	o->somes = palloc(sizeof(MoFormula *) * (n + 1));
	o->slots = palloc(sizeof(Slot) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		MoFormula  *f = literals[i];

		if (f->kind == MO_F_OBJ_MIN)
			o->min = Max(o->min, f->count);
		else if (f->kind == MO_F_OBJ_MAX)
			o->max = Min(o->max, f->count);
		else if (!f->negated)
			o->alls[o->nalls++] = f;
		else if (!is_forced(o, f))
			o->somes[o->nsomes++] = f;
	}
}

/* The members that must be there; false when one of them cannot be. */
static bool
force(Objects *o, MoFormula **literals, int n)
{
	for (int i = 0; i < n; i++)
	{
		Region	   *region;

		if (literals[i]->kind != MO_F_OBJ_ALL || !literals[i]->negated ||
			!is_forced(o, literals[i]))
			continue;
		region = listed_region(o, name_formula(o, literals[i])->values[0]);
		mo_formulas_add(&region->parts,
						mo_formula_not(o->p, literals[i]->args[1]));
		o->present += !region->present;
		region->present = true;
	}
	if (o->present > o->max || o->min > o->max)
		return false;
	for (int i = 0; i < o->nlisted; i++)
	{
		const MoJson *witness;

		if (o->listed[i].present &&
			solve_value(o, region_value(o, &o->listed[i], o->p->truth),
						&witness) == MO_EMPTY)
			return false;
	}
	return true;
}

MoVerdictState
mo_object_solve(MoProver *p, MoFormula **literals, int n,
				const MoJson **witness)
{
	Objects		o = {.p = p,.max = MO_NO_LIMIT};
	bool		names_unsure;

	gather(&o, literals, n);
	list_names(&o, literals, n);
	fill_listed(&o);
	names_unsure = o.unsure;
	if (!force(&o, literals, n))
		return names_unsure ? MO_UNKNOWN : MO_EMPTY;
	if (place(&o, 0))
	{
		*witness = o.found;
		return MO_WITNESS;
	}
	return o.unsure ? MO_UNKNOWN : MO_EMPTY;
}
