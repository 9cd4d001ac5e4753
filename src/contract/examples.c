/*-------------------------------------------------------------------------
 *
 * examples.c
 *	  Example documents of a schema, and documents that just miss it.
 *
 * A valid document is first made by following the schema, which gives values
 * that people recognise; what the validator does not confirm is dropped, and
 * when following the schema does not get anywhere (conditions, negations) the
 * prover is asked for further documents.  An invalid document is a valid one
 * with a single value changed so that the validator finds exactly one fault.
 * The same seed gives the same documents.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#include "compat.h"
#include "contract/examples.h"

PG_FUNCTION_INFO_V1(mo_generate_examples);

#define MAX_DEPTH 12
#define MAX_EXAMPLES 100000

/* Documents made without a new one before following the schema ends. */
#define TRIES 200

/* Documents asked of the prover, which takes longer for each. */
#define MAX_SOLVED 100

static const MoJson *make(MoMaker *m, const MoNode *node, int depth);

/* ---- following the schema ---- */

/* Chooses among alternatives until none is left to choose. */
static void
choose(MoMaker *m, MoSurface *s, const MoNode *node)
{
	mo_surface_read(s, node);
	for (int rounds = 0; rounds < 8 && (s->one || s->any); rounds++)
	{
		List	   *branches = s->one ? s->one : s->any;
		const MoNode *branch = list_nth(branches,
										mo_maker_below(m, list_length(branches)));

		if (s->one)
			s->one = NIL;
		else
			s->any = NIL;
		mo_surface_add(s, branch);
	}
}

static MoKind
choose_kind(MoMaker *m, const MoSurface *s)
{
	MoKind		kinds[MO_OBJECT + 2];
	int			n = 0;

	/* what the schema says something about, when it leaves the type open */
	if ((s->types & MO_T_ANY) == MO_T_ANY)
	{
		if (s->objects)
			return MO_OBJECT;
		if (s->array)
			return MO_ARRAY;
		if (s->string)
			return MO_STRING;
		if (s->number)
			return MO_NUMBER;
	}
	for (int kind = 0; kind < MO_KINDS; kind++)
		if (s->types & MO_T(kind))
			kinds[n++] = kind;
	if (s->types & MO_T_INTEGER)
		kinds[n++] = MO_NUMBER;
	return n == 0 ? MO_NULL : kinds[mo_maker_below(m, n)];
}

static const MoJson *
make_array(MoMaker *m, const MoSurface *s, int depth)
{
	static const MoArrayRules none = {.max_items = PG_UINT32_MAX};
	const MoArrayRules *rules = s->array ? s->array : &none;
	int64		n = rules->min_items;
	const MoJson **items;
	const MoJson *result;
	int			contains;

	if (depth < MAX_DEPTH)
		n += mo_maker_below(m, 3);
	if (rules->contains)
		n = Max(n, rules->min_contains);
	n = Min(Min(n, rules->max_items), 1000);
	items = palloc(sizeof(MoJson *) * (n + 1));
	contains = rules->contains ? (int) Min(n, rules->min_contains) : 0;
	for (int i = 0; i < n; i++)
	{
		const MoNode *node = i < rules->nprefix ? rules->prefix[i] :
			n - i <= contains ? rules->contains : rules->items;

		items[i] = NULL;
		for (int try = 0; try < 10 && items[i] == NULL; try++)
		{
			items[i] = node ? make(m, node, depth + 1) :
				mo_json_int(m->p, mo_maker_below(m, 100));
			for (int j = 0; j < i && rules->unique && try < 9; j++)
				if (items[j] == items[i])
				{
					items[i] = NULL;
					break;
				}
		}
	}
	result = mo_json_array(m->p, items, n);
	pfree(items);
	return result;
}

typedef struct Members
{
	const MoJson **names;
	const MoJson **values;
	int			count;
	int			space;
} Members;

static void
add_member(Members *all, const MoJson *name, const MoJson *value)
{
	for (int i = 0; i < all->count; i++)
		if (all->names[i] == name)
			return;
	if (all->count == all->space)
	{
		Size		bytes;

		all->space = all->space ? all->space * 2 : 8;
		bytes = sizeof(MoJson *) * all->space;
		all->names = all->names ? repalloc(all->names, bytes) : palloc(bytes);
		all->values = all->values ? repalloc(all->values, bytes) :
			palloc(bytes);
	}
	all->names[all->count] = name;
	all->values[all->count++] = value;
}

static const MoNode *
node_for(const MoSurface *s, const MoProperty *like)
{
	ListCell   *cell;

	foreach(cell, s->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
			if (rules->properties[i].node &&
				mo_key_compare(rules->properties[i].name,
							   rules->properties[i].len,
							   like->name, like->len) == 0)
				return rules->properties[i].node;
	}
	return NULL;
}

static const MoJson *
make_object(MoMaker *m, const MoSurface *s, int depth)
{
	Members		all = {0};
	ListCell   *cell;

	foreach(cell, s->objects)
	{
		const MoObjectRules *rules = lfirst(cell);

		for (int i = 0; i < rules->nproperties; i++)
		{
			const MoProperty *p = &rules->properties[i];
			const MoNode *node = node_for(s, p);

			/* the deeper the rarer, so that recursion ends */
			if (!p->required && (depth >= MAX_DEPTH ||
								 mo_maker_below(m, 8) < Min(7, 2 + depth)))
				continue;
			add_member(&all, mo_json_string(m->p, p->name, p->len),
					   node ? make(m, node, depth + 1) :
					   mo_json_int(m->p, mo_maker_below(m, 100)));
		}
	}
	if (!m->closed && mo_maker_below(m, 4) == 0)
		add_member(&all, mo_json_string(m->p, "x_other", 7),
				   mo_json_int(m->p, mo_maker_below(m, 3)));
	return mo_json_object(m->p, all.names, all.values, all.count);
}

static const MoJson *
make(MoMaker *m, const MoNode *node, int depth)
{
	MoSurface	s;
	MoKind		kind;

	check_stack_depth();
	choose(m, &s, node);
	if (s.values && s.values->count > 0)
		return mo_json_read(m->p,
							&s.values->values[mo_maker_below(m, s.values->count)]);
	kind = choose_kind(m, &s);
	if (kind == MO_OBJECT)
		return make_object(m, &s, depth);
	if (kind == MO_ARRAY)
		return make_array(m, &s, depth);
	return mo_maker_scalar(m, &s, kind);
}

/* ---- missing by one keyword ---- */

static const MoJson *
other_scalar(MoMaker *m, const MoJson *v)
{
	switch (mo_maker_below(m, 6))
	{
		case 0:
			return mo_json_null(m->p);
		case 1:
			return mo_json_int(m->p, -1 - mo_maker_below(m, 1000));
		case 2:
			return mo_json_number(m->p, mo_numeric_op(numeric_div,
													  int64_to_numeric(1 + mo_maker_below(m, 1000)),
													  int64_to_numeric(7)));
		case 3:
			return mo_json_string(m->p, "", 0);
		case 4:
			return mo_json_string(m->p, "not what was agreed", 19);
		default:
			return mo_json_bool(m->p, true);
	}
}

static const MoJson *
change_object(MoMaker *m, const MoJson *v, int chosen, const MoJson *changed)
{
	Members		all = {0};

	for (int i = 0; i < v->length; i++)
		if (i != chosen)
			add_member(&all, v->names[i], v->items[i]);
		else if (changed != NULL)
			add_member(&all, v->names[i], changed);
	if (chosen < 0)
		add_member(&all, mo_json_string(m->p, "undeclared", 10),
				   mo_json_bool(m->p, true));
	return mo_json_object(m->p, all.names, all.values, all.count);
}

/* The value with one thing in it changed at random. */
static const MoJson *
spoil(MoMaker *m, const MoJson *v)
{
	const MoJson **items;
	int			chosen;

	check_stack_depth();
	if (v->kind == MO_OBJECT)
	{
		switch (v->length == 0 ? 0 : mo_maker_below(m, 8))
		{
			case 0:
				return change_object(m, v, -1, NULL);
			case 1:
			case 2:
				return change_object(m, v, mo_maker_below(m, v->length), NULL);
			default:
				chosen = mo_maker_below(m, v->length);
				return change_object(m, v, chosen, spoil(m, v->items[chosen]));
		}
	}
	if (v->kind == MO_ARRAY && v->length > 0 && mo_maker_below(m, 4) > 0)
	{
		const MoJson *result;
		int			n = v->length;

		items = palloc(sizeof(MoJson *) * (n + 1));
		memcpy(items, v->items, sizeof(MoJson *) * n);
		chosen = mo_maker_below(m, n);
		if (mo_maker_below(m, 3) == 0)
			items[n++] = items[chosen];
		else
			items[chosen] = spoil(m, items[chosen]);
		result = mo_json_array(m->p, items, n);
		pfree(items);
		return result;
	}
	return other_scalar(m, v);
}

/* ---- the documents ---- */

typedef struct Output
{
	ReturnSetInfo *rsinfo;
	const MoJson **seen;
	uint8	   *is_seen;		/* bit by id of the value */
	uint32		space;
	int			count;
	int			wanted;
} Output;

/* True the first time that it is asked of a value. */
static bool
is_new(Output *o, const MoJson *v)
{
	uint8		bit = 1 << (v->id % 8);

	if (v->id / 8 >= o->space)
	{
		uint32		space = Max(1024, v->id / 4);
		uint8	   *grown = palloc0(space);

		if (o->is_seen)
		{
			memcpy(grown, o->is_seen, o->space);
			pfree(o->is_seen);
		}
		o->is_seen = grown;
		o->space = space;
	}
	if (o->is_seen[v->id / 8] & bit)
		return false;
	o->is_seen[v->id / 8] |= bit;
	return true;
}

static void
put(Output *o, const MoJson *v, Jsonb *document, const MoViolation *fault)
{
	Datum		values[4];
	bool		nulls[4] = {false, true, true, true};

	values[0] = JsonbPGetDatum(document);
	if (fault)
	{
		nulls[1] = nulls[3] = false;
		nulls[2] = (fault->keyword == NULL);
		values[1] = CStringGetTextDatum(fault->instance_pointer);
		if (fault->keyword)
			values[2] = CStringGetTextDatum(fault->keyword);
		values[3] = CStringGetTextDatum(fault->message);
	}
	tuplestore_putvalues(o->rsinfo->setResult, o->rsinfo->setDesc, values,
						 nulls);
	o->seen[o->count++] = v;
}

static void
make_valid(MoMaker *m, const MoSchema *schema, Output *o)
{
	MoFormula  *f;
	const MoJson *v;
	int			vain = 0;

	while (o->count < o->wanted && vain++ < TRIES)
	{
		Jsonb	   *document;

		if (!mo_prover_tick(m->p))
			return;
		v = make(m, schema->root, 0);
		document = mo_json_to_jsonb(v);
		if (!is_new(o, v) || !mo_schema_is_valid(schema, document))
			continue;
		put(o, v, document, NULL);
		vain = 0;
	}
	f = o->count < o->wanted ? mo_prover_add(m->p, schema) : NULL;
	for (int i = 0; i < MAX_SOLVED && o->count < o->wanted; i++)
	{
		MoFormula  *others = o->count == 0 ? f :
			mo_formula_and2(m->p, f,
							mo_formula_not(m->p,
										   mo_formula_enum(m->p, o->seen,
														   o->count)));
		Jsonb	   *document;

		if (mo_solve(m->p, others, &v) != MO_WITNESS)
			return;
		document = mo_json_to_jsonb(v);
		if (!mo_schema_is_valid(schema, document))
			return;
		put(o, v, document, NULL);
	}
}

static void
make_invalid(MoMaker *m, const MoSchema *schema, Output *o)
{
	const MoJson *base = NULL;
	const MoJson *witness;

	if (mo_solve(m->p, mo_prover_add(m->p, schema), &witness) != MO_WITNESS)
		return;
	for (int i = 0; i < TRIES * o->wanted && o->count < o->wanted; i++)
	{
		Jsonb	   *document;
		List	   *faults;
		const MoJson *v;

		if (!mo_prover_tick(m->p))
			return;
		if (base == NULL || i % 10 == 0)
		{
			base = make(m, schema->root, 0);
			if (!mo_schema_is_valid(schema, mo_json_to_jsonb(base)))
				base = witness;
		}
		v = spoil(m, base);
		document = mo_json_to_jsonb(v);
		faults = mo_schema_violations(schema, document, 2);
		if (is_new(o, v) && list_length(faults) == 1)
			put(o, v, document, linitial(faults));
	}
}

/* generate_examples(schema jsonb, n int, seed bigint, invalid bool, closed bool) */
Datum
mo_generate_examples(PG_FUNCTION_ARGS)
{
	MoReading	reading = {PG_GETARG_JSONB_P(0),
	PG_GETARG_BOOL(4) ? MO_AS_PRODUCER : MO_AS_WRITTEN};
	int			wanted = PG_GETARG_INT32(1);
	MemoryContext context;
	MemoryContext caller;
	MoMaker		m = {0};
	Output		o = {0};
	MoSchema   *schema;

	if (wanted < 0 || wanted > MAX_EXAMPLES)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the number of examples must be between 0 and %d",
						MAX_EXAMPLES)));
	InitMaterializedSRF(fcinfo, 0);
	context = AllocSetContextCreate(CurrentMemoryContext,
									"mesh_outbox examples",
									ALLOCSET_DEFAULT_SIZES);
	caller = MemoryContextSwitchTo(context);
	m.p = mo_prover_create(context);
	m.closed = PG_GETARG_BOOL(4);
	pg_prng_seed(&m.random, (uint64) PG_GETARG_INT64(2));
	schema = mo_reading_compile(&reading, true, NULL);
	o.rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	o.wanted = wanted;
	o.seen = palloc(sizeof(MoJson *) * (wanted + 1));
	if (PG_GETARG_BOOL(3))
		make_invalid(&m, schema, &o);
	else
		make_valid(&m, schema, &o);
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(context);
	return (Datum) 0;
}
