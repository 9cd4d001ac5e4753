/*-------------------------------------------------------------------------
 *
 * compare_array.c
 *	  Arrays: what holds at which index, how many items, how often.
 *
 * The indexes up to the last one that some statement singles out are looked
 * at one by one, all later ones are alike (the "tail").  "Some item satisfies
 * S" and the counts of "contains" become demands: so many items, at least and
 * at most, of an index range satisfy S.  A demand decides for every item
 * whether it is one of them, and then the item is a question to the prover.
 * An array that satisfies everything can be shortened in its tail to the
 * items that demands need, so only lengths up to that bound are tried.
 *
 * uniqueItems needs different values: a matching between items and values
 * when some item has fewer possible values than there are items.  That it is
 * violated means that two items share a value, tried for every pair.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compare_formula.h"

#define MAX_PREFIX 200
#define MAX_LENGTH 3000
#define MAX_DEMANDS 12
#define MAX_STEPS 20000
#define MAX_DIFFERENT 200

typedef struct Demand
{
	MoFormula  *item;
	int64		from;
	int64		upto;
	int64		need;
	int64		most;
} Demand;

/* One item; or two equal ones. */
typedef struct Place
{
	int			index;
	int			twin;			/* index of an equal item, or -1 */
	MoFormula  *value;			/* what was decided on while searching */
	const MoJson *witness;
} Place;

typedef struct Arrays
{
	MoProver   *p;
	MoFormula **alls;
	int			nalls;
	Demand		demands[MAX_DEMANDS];
	int			ndemands;
	int64		min;
	int64		max;
	bool		unique;
	bool		repeated;		/* uniqueItems is to be violated */
	int			prefix;			/* indexes looked at one by one */
	MoFormula **base;			/* [prefix + 1]: by "all" statements */
	Place	   *places;
	int			nplaces;
	int			length;
	int			steps;
	bool		unsure;
	const MoJson *found;
} Arrays;

static void
give_up(Arrays *a, const char *keyword, const char *reason)
{
	a->unsure = true;
	mo_prover_unsure(a->p, keyword, reason);
}

/* ---- reading the literals ---- */

static Demand *
demand_for(Arrays *a, MoFormula *item, int64 from, int64 upto)
{
	Demand	   *d;

	for (int i = 0; i < a->ndemands; i++)
		if (a->demands[i].item == item && a->demands[i].from == from &&
			a->demands[i].upto == upto)
			return &a->demands[i];
	if (a->ndemands == MAX_DEMANDS)
		return NULL;
	d = &a->demands[a->ndemands++];
	d->item = item;
	d->from = from;
	d->upto = upto;
	d->need = 0;
	d->most = MO_NO_LIMIT;
	return d;
}

static bool
add_demand(Arrays *a, MoFormula *f)
{
	bool		exists = (f->kind == MO_F_ARR_ALL);
	Demand	   *d = demand_for(a,
							   exists ? mo_formula_not(a->p, f->args[0]) :
							   f->args[0],
							   exists ? f->count : 0,
							   exists ? f->upto : MO_NO_LIMIT);

	if (d == NULL)
		return false;
	if (exists)
		d->need = Max(d->need, 1);
	else if (f->negated)
		d->most = Min(d->most, f->count - 1);
	else
		d->need = Max(d->need, f->count);
	return true;
}

static bool
gather(Arrays *a, MoFormula **literals, int n)
{
	int64		last = 0;

	a->alls = palloc(sizeof(MoFormula *) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		MoFormula  *f = literals[i];

		switch (f->kind)
		{
			case MO_F_ARR_MIN:
				a->min = Max(a->min, f->count);
				break;
			case MO_F_ARR_MAX:
				a->max = Min(a->max, f->count);
				break;
			case MO_F_ARR_UNIQUE:
				a->repeated |= f->negated;
				a->unique |= !f->negated;
				break;
			default:
				if (f->kind == MO_F_ARR_ALL)
				{
					last = Max(last, f->count);
					if (f->upto != MO_NO_LIMIT)
						last = Max(last, f->upto);
				}
				if (f->kind == MO_F_ARR_ALL && !f->negated)
					a->alls[a->nalls++] = f;
				else if (!add_demand(a, f))
				{
					give_up(a, "contains", "too many demands on items");
					return false;
				}
		}
	}
	if (Min(last, a->max) > MAX_PREFIX)
	{
		give_up(a, "prefixItems", "too many items are singled out");
		return false;
	}
	a->prefix = (int) Min(last, a->max);
	return true;
}

/* What every item must satisfy; an index that cannot be filled ends it all. */
static void
find_bases(Arrays *a)
{
	a->base = palloc(sizeof(MoFormula *) * (a->prefix + 1));
	for (int i = 0; i <= a->prefix; i++)
	{
		MoFormulas	parts = {0};
		const MoJson *witness;

		for (int j = 0; j < a->nalls; j++)
			if (a->alls[j]->count <= i && i < a->alls[j]->upto)
				mo_formulas_add(&parts, a->alls[j]->args[0]);
		a->base[i] = mo_formula_and(a->p, parts.items, parts.count);
		if (parts.items)
			pfree(parts.items);
		if (i < a->max &&
			mo_solve(a->p, a->base[i], &witness) == MO_EMPTY)
			a->max = i;
	}
}

/* ---- deciding the items one after the other ---- */

static bool
in_range(const Demand *d, int64 index)
{
	return d->from <= index && index < d->upto;
}

/* How many items of the place the demand may count. */
static int
weight(const Demand *d, const Place *place)
{
	return in_range(d, place->index) +
		(place->twin >= 0 && in_range(d, place->twin));
}

static MoFormula *
base_of(const Arrays *a, int index)
{
	return a->base[Min(index, a->prefix)];
}

static bool
still_possible(const Arrays *a, int from)
{
	for (int i = 0; i < a->ndemands; i++)
	{
		int64		left = 0;

		if (a->demands[i].most < 0)
			return false;
		for (int j = from; j < a->nplaces && left < a->demands[i].need; j++)
			left += weight(&a->demands[i], &a->places[j]);
		if (left < a->demands[i].need)
			return false;
	}
	return true;
}

/*
 * The value's formula when the demands in the mask count it.  NULL when the
 * mask makes no sense here.
 */
static MoFormula *
value_for(Arrays *a, const Place *place, int mask)
{
	MoFormula  *parts[MAX_DEMANDS + 2];
	int			n = 0;

	parts[n++] = base_of(a, place->index);
	if (place->twin >= 0)
		parts[n++] = base_of(a, place->twin);
	for (int i = 0; i < a->ndemands; i++)
	{
		Demand	   *d = &a->demands[i];
		bool		counted = (mask >> i) & 1;

		if (weight(d, place) == 0)
		{
			if (counted)
				return NULL;
			continue;
		}
		if (counted && d->need <= 0 && d->most == MO_NO_LIMIT)
			return NULL;
		if (counted)
			parts[n++] = d->item;
		else if (d->most != MO_NO_LIMIT)
			parts[n++] = mo_formula_not(a->p, d->item);
	}
	return mo_formula_and(a->p, parts, n);
}

static void
count_in(Arrays *a, const Place *place, int mask, int sign)
{
	for (int i = 0; i < a->ndemands; i++)
		if ((mask >> i) & 1)
		{
			int			w = weight(&a->demands[i], place) * sign;

			a->demands[i].need -= w;
			if (a->demands[i].most != MO_NO_LIMIT)
				a->demands[i].most -= w;
		}
}

/* ---- different values ---- */

typedef struct Matching
{
	int			n;
	const MoJson ***choices;	/* by place */
	int		   *nchoices;
	const MoJson **taken;		/* values in use */
	int		   *owner;			/* by whom */
	int			ntaken;
	int		   *visited;
	int			round;
} Matching;

static bool
assign(Matching *m, int place)
{
	check_stack_depth();
	for (int i = 0; i < m->nchoices[place]; i++)
	{
		const MoJson *v = m->choices[place][i];
		int			slot = 0;

		while (slot < m->ntaken && m->taken[slot] != v)
			slot++;
		if (slot < m->ntaken && m->visited[slot] == m->round)
			continue;
		if (slot == m->ntaken)
		{
			m->taken[m->ntaken] = v;
			m->owner[m->ntaken++] = place;
			m->visited[slot] = 0;
			return true;
		}
		m->visited[slot] = m->round;
		if (assign(m, m->owner[slot]))
		{
			m->owner[slot] = place;
			return true;
		}
	}
	return false;
}

/* Gives every place a value of its own; false when there are too few. */
static bool
make_different(Arrays *a)
{
	Matching	m = {.n = a->nplaces};
	bool		possible = true;

	if (m.n > MAX_DIFFERENT)
	{
		give_up(a, "uniqueItems", "too many different items");
		return false;
	}
	m.choices = palloc(sizeof(MoJson **) * (m.n + 1));
	m.nchoices = palloc(sizeof(int) * (m.n + 1));
	m.taken = palloc(sizeof(MoJson *) * (m.n * m.n + 1));
	m.owner = palloc(sizeof(int) * (m.n * m.n + 1));
	m.visited = palloc0(sizeof(int) * (m.n * m.n + 1));
	for (int i = 0; i < m.n; i++)
	{
		bool		complete;

		m.choices[i] = palloc(sizeof(MoJson *) * m.n);
		m.nchoices[i] = mo_solve_several(a->p, a->places[i].value, m.n,
										 m.choices[i], &complete);
		if (m.nchoices[i] < m.n && !complete)
			a->unsure = true;
	}
	for (int i = 0; i < m.n && possible; i++)
	{
		m.round = i + 1;
		possible = assign(&m, i);
	}
	for (int i = 0; i < m.ntaken && possible; i++)
		a->places[m.owner[i]].witness = m.taken[i];
	return possible;
}

/* Every place has its formula: make the array. */
static bool
assemble(Arrays *a)
{
	const MoJson **items = palloc(sizeof(MoJson *) * (a->length + 1));

	if (a->unique && !make_different(a))
		return false;
	for (int i = 0; i < a->nplaces; i++)
	{
		items[a->places[i].index] = a->places[i].witness;
		if (a->places[i].twin >= 0)
			items[a->places[i].twin] = a->places[i].witness;
	}
	a->found = mo_json_array(a->p, items, a->length);
	pfree(items);
	return true;
}

/*
 * Decides the places from the i-th on.  Tail items are interchangeable, so
 * their masks need only fall.
 */
static bool
decide(Arrays *a, int i, int highest)
{
	Place	   *place = &a->places[i];
	bool		done = false;

	check_stack_depth();
	if (++a->steps > MAX_STEPS || !mo_prover_tick(a->p))
	{
		give_up(a, "contains", "too many ways to arrange the items");
		return false;
	}
	if (!still_possible(a, i))
		return false;
	if (i == a->nplaces)
		return assemble(a);
	if (place->index < a->prefix || place->twin >= 0)
		highest = (1 << a->ndemands) - 1;
	for (int mask = highest; mask >= 0 && !done; mask--)
	{
		MoFormula  *value = value_for(a, place, mask);
		MoVerdictState state;

		if (value == NULL)
			continue;
		state = mo_solve(a->p, value, &place->witness);
		if (state == MO_UNKNOWN)
			a->unsure = true;
		if (state != MO_WITNESS)
			continue;
		place->value = value;
		count_in(a, place, mask, 1);
		done = decide(a, i + 1,
					  place->index < a->prefix || place->twin >= 0 ?
					  (1 << a->ndemands) - 1 : mask);
		count_in(a, place, mask, -1);
	}
	return done;
}

/* ---- lengths and equal pairs ---- */

static bool
try_places(Arrays *a, int length, int first, int second)
{
	a->length = length;
	a->nplaces = 0;
	if (first >= 0)
	{
		a->places[a->nplaces].index = first;
		a->places[a->nplaces++].twin = second;
	}
	for (int i = 0; i < length; i++)
		if (i != first && i != second)
		{
			a->places[a->nplaces].index = i;
			a->places[a->nplaces++].twin = -1;
		}
	return decide(a, 0, (1 << a->ndemands) - 1);
}

static bool
try_length(Arrays *a, int length)
{
	if (!a->repeated)
		return try_places(a, length, -1, -1);
	/* in the tail one pair is like another */
	for (int i = 0; i < length && i <= a->prefix; i++)
		for (int j = i + 1; j < length && j <= Max(a->prefix, i + 1); j++)
			if (try_places(a, length, i, j))
				return true;
	return false;
}

/* The length up to which a longer array can be shortened. */
static int64
longest_needed(const Arrays *a)
{
	int64		n = a->prefix + (a->repeated ? 2 : 0);

	for (int i = 0; i < a->ndemands; i++)
		n += Min(a->demands[i].need, MO_NO_LIMIT / MAX_DEMANDS / 4);
	return Min(a->max, Max(a->min, n));
}

/* Is there an index at which each demand could be met at all? */
static bool
demands_possible(Arrays *a)
{
	for (int i = 0; i < a->ndemands; i++)
	{
		Demand	   *d = &a->demands[i];
		bool		possible = d->need <= 0;

		for (int j = 0; j <= a->prefix && j < a->max && !possible; j++)
		{
			const MoJson *witness;

			/* the last one stands for the tail, which a range may begin in */
			if (!(j == a->prefix ? d->upto > j : in_range(d, j)))
				continue;
			possible = mo_solve(a->p, mo_formula_and2(a->p, a->base[j],
													  d->item),
								&witness) != MO_EMPTY;
		}
		if (!possible)
			return false;
	}
	return true;
}

MoVerdictState
mo_array_solve(MoProver *p, MoFormula **literals, int n,
			   const MoJson **witness)
{
	Arrays		a = {.p = p,.max = MO_NO_LIMIT};
	int64		longest;

	if (!gather(&a, literals, n))
		return a.min > a.max ? MO_EMPTY : MO_UNKNOWN;
	if (a.min > a.max || (a.unique && a.repeated))
		return MO_EMPTY;
	find_bases(&a);
	if (a.min > a.max || !demands_possible(&a))
		return MO_EMPTY;
	longest = longest_needed(&a);
	if (longest > MAX_LENGTH)
	{
		mo_prover_unsure(p, "minItems", "the array would be too long");
		return MO_UNKNOWN;
	}
	a.places = palloc0(sizeof(Place) * (longest + 1));
	for (int length = (int) a.min; length <= longest; length++)
		if (try_length(&a, length))
		{
			*witness = a.found;
			return MO_WITNESS;
		}
	return a.unsure ? MO_UNKNOWN : MO_EMPTY;
}
