/*-------------------------------------------------------------------------
 *
 * compare_closed.c
 *	  Reading P: undeclared properties are refused, as a formula.
 *
 * What counts as declared at a place in a document is decided over all the
 * schemas that look at that place, and only those that hold.  A set of frames
 * lists them: schemas that certainly look at the place, and schemas that do
 * on a condition.  While conditions are open, the formula is split on the
 * first of them; once all frames are certain, it says that there are no other
 * names than the declared ones, and the same of the members and items below,
 * each with the frames that look there.  Sets of frames are interned, so that
 * recursion comes back to the same formula.
 *
 * The rules are those of trail.c: schemas under "not" do not count; the names
 * under "if" count whether it holds or not; "contains" lets names count
 * without closing the place; a place where nothing declares names is free.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compare_formula.h"

#define FRAME_MENTION	1		/* its names count, but do not close */
#define FRAME_DECLARED	2		/* an "if" that failed: all its names count */

/* Patterns whose combinations are told apart at one place. */
#define MAX_PATTERNS 6

typedef struct Frame
{
	MoShape    *shape;
	int			how;
	MoFormula  *condition;		/* NULL once it is certain */
} Frame;

typedef struct Frames
{
	int			count;
	int			space;
	Frame	   *items;
	MoFormula  *formula;
} Frames;

/* ---- sets of frames ---- */

static void
add_frame(Frames *set, MoShape *shape, int how, MoFormula *condition)
{
	if (condition != NULL && condition->kind == MO_F_FALSE)
		return;
	if (condition != NULL && condition->kind == MO_F_TRUE)
		condition = NULL;
	for (int i = 0; i < set->count; i++)
		if (set->items[i].shape == shape && set->items[i].how == how &&
			(set->items[i].condition == NULL ||
			 set->items[i].condition == condition))
			return;
	if (set->count == set->space)
	{
		set->space = set->space ? set->space * 2 : 4;
		set->items = set->items ?
			repalloc(set->items, sizeof(Frame) * set->space) :
			palloc(sizeof(Frame) * set->space);
	}
	set->items[set->count].shape = shape;
	set->items[set->count].how = how;
	set->items[set->count++].condition = condition;
}

static int
frame_cmp(const void *a, const void *b)
{
	const Frame *x = a;
	const Frame *y = b;
	uint32		cx = x->condition ? x->condition->id : 0;
	uint32		cy = y->condition ? y->condition->id : 0;

	if (cx != cy)
		return cx < cy ? -1 : 1;
	if (x->shape->id != y->shape->id)
		return x->shape->id < y->shape->id ? -1 : 1;
	return x->how - y->how;
}

/* Does the schema look into objects or arrays at all? */
static bool
looks_inside(const MoShape *shape)
{
	const MoNode *node = shape->node;

	if (node->never || node->bare)
		return false;
	if (!(node->types & (MO_T(MO_OBJECT) | MO_T(MO_ARRAY))))
		return false;
	return node->object || node->array || node->apply ||
		node->unevaluated_properties || node->unevaluated_items;
}

static MoFormula *
frames_formula(MoProver *p, Frames *draft)
{
	MemoryContext old;
	Frames	   *set;
	ListCell   *cell;
	int			n = 0;

	for (int i = 0; i < draft->count; i++)
		if (looks_inside(draft->items[i].shape))
			draft->items[n++] = draft->items[i];
	draft->count = n;
	if (n == 0)
		return p->truth;
	qsort(draft->items, n, sizeof(Frame), frame_cmp);
	foreach(cell, p->frames)
	{
		set = lfirst(cell);
		if (set->count == n &&
			memcmp(set->items, draft->items, sizeof(Frame) * n) == 0)
			return set->formula;
	}
	old = MemoryContextSwitchTo(p->context);
	set = palloc(sizeof(Frames));
	set->count = set->space = n;
	set->items = palloc0(sizeof(Frame) * n);
	memcpy(set->items, draft->items, sizeof(Frame) * n);
	p->frames = lappend(p->frames, set);
	MemoryContextSwitchTo(old);
	set->formula = mo_formula_composite(p, MO_F_CLOSED, NULL, 0, 0, set);
	return set->formula;
}

/* ---- schemas that look at the same place ---- */

static void in_place(MoProver *p, Frames *to, const Frame *frame);

static void
follow(MoProver *p, Frames *to, MoShape *shape, int how)
{
	Frame		frame = {shape, how, NULL};

	in_place(p, to, &frame);
}

/* Branches count where they hold; all of them under a failed "if". */
static void
branches(MoProver *p, Frames *to, MoShape *from, MoNode **nodes, int count,
		 int how)
{
	for (int i = 0; i < count; i++)
	{
		MoShape    *shape = mo_shape_child(p, from, nodes[i]);

		if (how & FRAME_DECLARED)
			follow(p, to, shape, how);
		else
			add_frame(to, shape, how, mo_shape_formula(p, shape));
	}
}

static void
condition_frames(MoProver *p, Frames *to, const Frame *frame)
{
	const MoApply *apply = frame->shape->node->apply;
	MoShape    *test = mo_shape_child(p, frame->shape, apply->condition);
	MoFormula  *holds = mo_shape_formula(p, test);
	bool		declared = (frame->how & FRAME_DECLARED) != 0;

	if (declared)
		follow(p, to, test, frame->how);
	else
	{
		add_frame(to, test, frame->how, holds);
		add_frame(to, test, frame->how | FRAME_DECLARED,
				  mo_formula_not(p, holds));
	}
	if (apply->consequence)
		add_frame(to, mo_shape_child(p, frame->shape, apply->consequence),
				  frame->how, declared ? NULL : holds);
	if (apply->alternative)
		add_frame(to, mo_shape_child(p, frame->shape, apply->alternative),
				  frame->how, declared ? NULL : mo_formula_not(p, holds));
}

/* Adds the frame and those that it certainly or possibly applies in place. */
static void
in_place(MoProver *p, Frames *to, const Frame *frame)
{
	MoShape    *shape = frame->shape;
	const MoApply *apply = shape->node->apply;
	int			before = to->count;

	check_stack_depth();
	add_frame(to, shape, frame->how, NULL);
	if (apply == NULL || to->count == before)
		return;
	if (apply->ref)
		follow(p, to, mo_shape_child(p, shape, apply->ref), frame->how);
	if (apply->dynamic_ref)
		follow(p, to, mo_shape_dynamic(p, shape), frame->how);
	for (int i = 0; i < apply->nall; i++)
		follow(p, to, mo_shape_child(p, shape, apply->all[i]), frame->how);
	branches(p, to, shape, apply->any, apply->nany, frame->how);
	branches(p, to, shape, apply->one, apply->none_of, frame->how);
	if (apply->condition)
		condition_frames(p, to, frame);
	if (frame->how & FRAME_DECLARED)
		return;
	for (int i = 0; i < apply->ndependents; i++)
	{
		const MoDependency *d = &apply->dependents[i];
		const MoJson *name = mo_json_string(p, d->name.data, d->name.len);
		MoFormula  *absent = mo_formula_names(p, mo_formula_enum(p, &name, 1),
											  p->falsehood);

		if (d->node)
			add_frame(to, mo_shape_child(p, shape, d->node), frame->how,
					  mo_formula_not(p, absent));
	}
}

/* Splits on the first condition that is open; NULL when none is. */
static MoFormula *
split(MoProver *p, const Frames *set, MoKind kind)
{
	MoFormula  *condition = NULL;
	Frames		with = {0};
	Frames		without = {0};

	for (int i = 0; i < set->count && condition == NULL; i++)
		condition = set->items[i].condition;
	if (condition == NULL)
		return NULL;
	for (int i = 0; i < set->count; i++)
	{
		Frame		frame = set->items[i];

		if (frame.condition == NULL)
			add_frame(&without, frame.shape, frame.how, NULL);
		else if (frame.condition != condition)
			add_frame(&without, frame.shape, frame.how, frame.condition);
	}
	for (int i = 0; i < without.count; i++)
		add_frame(&with, without.items[i].shape, without.items[i].how,
				  without.items[i].condition);
	for (int i = 0; i < set->count; i++)
		if (set->items[i].condition == condition)
			in_place(p, &with, &set->items[i]);
	condition = mo_formula_view(p, condition, kind);
	return mo_formula_or2(p,
						  mo_formula_and2(p, condition,
										  frames_formula(p, &with)),
						  mo_formula_and2(p, mo_formula_not(p, condition),
										  frames_formula(p, &without)));
}

/* ---- names and members, all frames certain ---- */

static const MoNode *
property_node(const MoObjectRules *rules, const MoJson *name)
{
	for (int i = 0; i < rules->nproperties; i++)
		if (rules->properties[i].node &&
			mo_key_compare(rules->properties[i].name, rules->properties[i].len,
						   name->string, name->length) == 0)
			return rules->properties[i].node;
	return NULL;
}

static void
add_child(MoProver *p, Frames *to, const Frame *frame, const MoNode *node)
{
	follow(p, to, mo_shape_child(p, frame->shape, node), frame->how);
}

/*
 * The frames that look at a member: "name" if it is one that a schema names,
 * else any for which exactly the marked patterns match.
 */
static void
member_frames(MoProver *p, Frames *to, const Frame *frame,
			  const MoJson *name, MoFormulas *patterns, int matching)
{
	const MoNode *node = frame->shape->node;
	const MoObjectRules *rules = node->object;
	bool		only_one = (frame->how & FRAME_DECLARED) != 0;
	const MoNode *property;
	bool		matched = false;

	if (rules == NULL)
	{
		if (node->unevaluated_properties)
			add_child(p, to, frame, node->unevaluated_properties);
		return;
	}
	property = name ? property_node(rules, name) : NULL;
	if (property)
	{
		add_child(p, to, frame, property);
		matched = true;
	}
	for (int i = 0; i < rules->npatterns && !(matched && only_one); i++)
	{
		const char *source = mo_pattern_source(rules->patterns[i].pattern);

		for (int j = 0; j < patterns->count; j++)
			if (((matching >> j) & 1) &&
				strcmp(patterns->items[j]->text, source) == 0)
			{
				add_child(p, to, frame, rules->patterns[i].node);
				matched = true;
				break;
			}
	}
	if (!matched && rules->additional)
		add_child(p, to, frame, rules->additional);
	else if (!matched && node->unevaluated_properties)
		add_child(p, to, frame, node->unevaluated_properties);
}

static MoFormula *
members_formula(MoProver *p, const Frames *set, const MoJson *name,
				MoFormulas *patterns, int matching)
{
	Frames		below = {0};

	for (int i = 0; i < set->count; i++)
		member_frames(p, &below, &set->items[i], name, patterns, matching);
	return frames_formula(p, &below);
}

/* All names and patterns that the frames mention. */
static void
gather_names(MoProver *p, const Frames *set, const MoJson ***names,
			 int *count, MoFormulas *patterns)
{
	int			space = 1;

	for (int i = 0; i < set->count; i++)
		if (set->items[i].shape->node->object)
			space += set->items[i].shape->node->object->nproperties;
	*names = palloc(sizeof(MoJson *) * space);
	*count = 0;
	for (int i = 0; i < set->count; i++)
	{
		const MoObjectRules *rules = set->items[i].shape->node->object;

		for (int j = 0; rules && j < rules->nproperties; j++)
			if (rules->properties[j].node)
				(*names)[(*count)++] = mo_json_string(p, rules->properties[j].name,
													  rules->properties[j].len);
		for (int j = 0; rules && j < rules->npatterns; j++)
		{
			MoFormula  *f = mo_formula_text(p, MO_F_STR_PATTERN,
											mo_pattern_source(rules->patterns[j].pattern));
			bool		known = false;

			for (int k = 0; k < patterns->count; k++)
				known |= patterns->items[k] == f;
			if (!known)
				mo_formulas_add(patterns, f);
		}
	}
}

/* What lies below the members, as far as it has to be closed itself. */
static void
close_members(MoProver *p, const Frames *set, const MoJson **names,
			  int count, MoFormulas *patterns, MoFormulas *all)
{
	MoFormula  *others = p->truth;

	if (patterns->count > MAX_PATTERNS)
	{
		mo_prover_unsure(p, "patternProperties",
						 "too many patterns at one place of a closed contract");
		p->stopped = true;
		return;
	}
	for (int i = 0; i < count; i++)
	{
		int			matching = 0;

		for (int j = 0; j < patterns->count; j++)
			if (mo_formula_holds(p, patterns->items[j], names[i]) == 1)
				matching |= 1 << j;
		mo_formulas_add(all,
						mo_formula_names(p, mo_formula_enum(p, &names[i], 1),
										 members_formula(p, set, names[i],
														 patterns, matching)));
	}
	if (count > 0)
		others = mo_formula_not(p, mo_formula_enum(p, names, count));
	for (int mask = 0; mask < (1 << patterns->count); mask++)
	{
		MoFormula  *region = others;
		MoFormula  *below = members_formula(p, set, NULL, patterns, mask);

		if (below == p->truth)
			continue;
		for (int j = 0; j < patterns->count; j++)
			region = mo_formula_and2(p, region, (mask >> j) & 1 ?
									 patterns->items[j] :
									 mo_formula_not(p, patterns->items[j]));
		mo_formulas_add(all, mo_formula_names(p, region, below));
	}
}

static MoFormula *
close_object(MoProver *p, const Frames *set)
{
	MoFormulas	all = {0};
	MoFormulas	patterns = {0};
	const MoJson **names;
	int			count;
	bool		declares = false;
	bool		open = false;
	MoFormula  *declared;

	gather_names(p, set, &names, &count, &patterns);
	for (int i = 0; i < set->count; i++)
	{
		const MoNode *node = set->items[i].shape->node;

		declares |= node->object && node->object->declares &&
			!(set->items[i].how & FRAME_MENTION);
		open |= (node->object && node->object->additional) ||
			(node->unevaluated_properties != NULL &&
			 !(set->items[i].how & FRAME_DECLARED));
	}
	if (declares && !open)
	{
		declared = mo_formula_enum(p, names, count);
		for (int i = 0; i < patterns.count; i++)
			declared = mo_formula_or2(p, declared, patterns.items[i]);
		mo_formulas_add(&all,
						mo_formula_names(p, mo_formula_not(p, declared),
										 p->falsehood));
	}
	close_members(p, set, names, count, &patterns, &all);
	return mo_formula_and(p, all.items, all.count);
}

/* ---- items ---- */

static void
item_frames(MoProver *p, Frames *to, const Frame *frame, int index)
{
	const MoNode *node = frame->shape->node;
	const MoArrayRules *rules = node->array;
	bool		declared = (frame->how & FRAME_DECLARED) != 0;

	if (rules && index < rules->nprefix && !declared)
		add_child(p, to, frame, rules->prefix[index]);
	else if (rules && rules->items)
		add_child(p, to, frame, rules->items);
	else if (node->unevaluated_items && !declared)
		add_child(p, to, frame, node->unevaluated_items);
	if (rules && rules->contains && !declared)
	{
		MoShape    *shape = mo_shape_child(p, frame->shape, rules->contains);

		add_frame(to, shape, frame->how | FRAME_MENTION,
				  mo_shape_formula(p, shape));
	}
}

static MoFormula *
close_array(MoProver *p, const Frames *set)
{
	MoFormulas	all = {0};
	int			prefix = 0;

	for (int i = 0; i < set->count; i++)
		if (set->items[i].shape->node->array)
			prefix = Max(prefix, set->items[i].shape->node->array->nprefix);
	for (int index = 0; index <= prefix; index++)
	{
		Frames		below = {0};

		for (int i = 0; i < set->count; i++)
			item_frames(p, &below, &set->items[i], index);
		mo_formulas_add(&all,
						mo_formula_items(p, index,
										 index == prefix ? MO_NO_LIMIT :
										 index + 1,
										 frames_formula(p, &below)));
	}
	return mo_formula_and(p, all.items, all.count);
}

/* ---- entry ---- */

/* "The document has no undeclared names", for the schema's documents. */
MoFormula *
mo_closed_formula(MoProver *p, MoShape *root)
{
	Frames		set = {0};

	follow(p, &set, root, 0);
	return frames_formula(p, &set);
}

/* Are there conditions to split on?  Then it is opened only when needed. */
bool
mo_closed_is_open(const MoFormula *f)
{
	const Frames *set = f->shape;

	for (int i = 0; i < set->count; i++)
		if (set->items[i].condition != NULL)
			return true;
	return false;
}

/* One step of what the formula says of objects or of arrays. */
MoFormula *
mo_closed_expand(MoProver *p, MoFormula *f, MoKind kind)
{
	MoFormula **opened = &f->opened[kind == MO_OBJECT];
	const Frames *set = f->shape;

	if (*opened == NULL)
	{
		MoFormula  *result = split(p, set, kind);

		if (result == NULL)
			result = kind == MO_OBJECT ? close_object(p, set) :
				close_array(p, set);
		*opened = f->negated ? mo_formula_not(p, result) : result;
	}
	return *opened;
}
