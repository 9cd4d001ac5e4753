/*-------------------------------------------------------------------------
 *
 * compare_build.c
 *	  What a compiled schema says, as a formula.
 *
 * Every keyword becomes a formula and the schema their conjunction.  A
 * reference back to a schema that is being built becomes a variable, which is
 * opened again when a value below is looked at.
 *
 * unevaluatedProperties and unevaluatedItems depend on which subschemas of
 * the same value hold.  mo_shape_evaluates lists what each evaluates and on
 * which condition; the keyword becomes one formula over that list, opened one
 * condition at a time only when a search comes to need it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compare_int.h"
#include "contract/compile.h"
#include "contract/format.h"

static MoFormula *
child_formula(MoProver *p, MoShape *shape, const MoNode *node)
{
	return mo_shape_formula(p, mo_shape_child(p, shape, node));
}

static const MoJson *
name_value(MoProver *p, const MoValue *name)
{
	return mo_json_string(p, name->data, name->len);
}

/* ---- types, constants and bounds ---- */

static void
add_types(MoProver *p, MoFormulas *all, const MoNode *node)
{
	int			mask = node->types & MO_T_ANY;

	if ((node->types & MO_T_INTEGER) && !(mask & MO_T(MO_NUMBER)))
	{
		mask |= MO_T(MO_NUMBER);
		mo_formulas_add(all, mo_formula_number(p, MO_F_NUM_MULTIPLE,
											   int64_to_numeric(1), false));
	}
	mo_formulas_add(all, mo_formula_type(p, mask));
}

static void
add_enum(MoProver *p, MoFormulas *all, const MoEnum *e)
{
	const MoJson **values;

	if (e == NULL)
		return;
	values = palloc(sizeof(MoJson *) * (e->count + 1));
	for (int i = 0; i < e->count; i++)
		values[i] = mo_json_read(p, &e->values[i]);
	mo_formulas_add(all, mo_formula_enum(p, values, e->count));
	pfree(values);
}

static void
add_bound(MoProver *p, MoFormulas *all, const MoBound *bound,
		  MoFormulaKind kind, bool strict)
{
	if (bound != NULL)
		mo_formulas_add(all,
						mo_formula_number(p, kind,
										  (Numeric) bound->value.data,
										  strict));
}

static void
add_number(MoProver *p, MoFormulas *all, const MoNumberRules *rules)
{
	if (rules == NULL)
		return;
	add_bound(p, all, rules->minimum, MO_F_NUM_MIN, false);
	add_bound(p, all, rules->maximum, MO_F_NUM_MAX, false);
	add_bound(p, all, rules->exclusive_minimum, MO_F_NUM_MIN, true);
	add_bound(p, all, rules->exclusive_maximum, MO_F_NUM_MAX, true);
	if (rules->multiple_of != NULL)
		mo_formulas_add(all,
						mo_formula_number(p, MO_F_NUM_MULTIPLE,
										  (Numeric) rules->multiple_of_value.data,
										  false));
}

static void
add_counts(MoProver *p, MoFormulas *all, uint32 min, MoFormulaKind min_kind,
		   uint32 max, MoFormulaKind max_kind)
{
	mo_formulas_add(all, mo_formula_count(p, min_kind, min));
	if (max != PG_UINT32_MAX)
		mo_formulas_add(all, mo_formula_count(p, max_kind, max));
}

/*
 * Asserted content is a predicate of its own that no other one implies: the
 * name of a format that does not exist, so that it stays undecided, but for
 * the same content.  A contentSchema is told from others by its text; with
 * references in it the text says too little, and it is like itself only.
 */
static char *
content_name(const MoStringRules *rules)
{
	const MoNode *schema = rules->content_schema;
	StringInfoData name;
	char	   *text;

	initStringInfo(&name);
	appendStringInfo(&name, "content%s%s",
					 rules->encoded_base64 ? " base64" : "",
					 rules->content_json ? " JSON" : "");
	if (schema == NULL)
		return name.data;
	text = mo_value_text(&schema->origin->schema);
	appendStringInfo(&name, " %s", text);
	if (schema->origin->resource->dialect->draft != MO_DRAFT2020 ||
		strstr(text, "Ref\"") || strstr(text, "ref\""))
		appendStringInfo(&name, " %p", schema);
	return name.data;
}

static void
add_string(MoProver *p, MoFormulas *all, const MoStringRules *rules)
{
	if (rules == NULL)
		return;
	add_counts(p, all, rules->min_length, MO_F_STR_MIN,
			   rules->max_length, MO_F_STR_MAX);
	if (rules->pattern)
		mo_formulas_add(all, mo_formula_text(p, MO_F_STR_PATTERN,
											 mo_pattern_source(rules->pattern)));
	if (rules->format)
		mo_formulas_add(all, mo_formula_text(p, MO_F_STR_FORMAT,
											 rules->format->name));
	if (rules->encoded_base64 || rules->content_json || rules->content_schema)
		mo_formulas_add(all, mo_formula_text(p, MO_F_STR_FORMAT,
											 content_name(rules)));
}

/* ---- arrays ---- */

static MoFormula *
unless_array(MoProver *p, MoFormula *f)
{
	return mo_formula_or2(p, mo_formula_type(p, ~MO_KIND_BIT(MO_ARRAY)), f);
}

static void
add_array(MoProver *p, MoFormulas *all, MoShape *shape)
{
	const MoArrayRules *rules = shape->node->array;

	if (rules == NULL)
		return;
	add_counts(p, all, rules->min_items, MO_F_ARR_MIN,
			   rules->max_items, MO_F_ARR_MAX);
	if (rules->unique)
		mo_formulas_add(all, mo_formula_count(p, MO_F_ARR_UNIQUE, 0));
	for (int i = 0; i < rules->nprefix; i++)
		mo_formulas_add(all,
						mo_formula_items(p, i, i + 1,
										 child_formula(p, shape,
													   rules->prefix[i])));
	if (rules->items)
		mo_formulas_add(all,
						mo_formula_items(p, rules->nprefix, MO_NO_LIMIT,
										 child_formula(p, shape,
													   rules->items)));
	if (rules->contains)
	{
		MoFormula  *item = child_formula(p, shape, rules->contains);

		mo_formulas_add(all, mo_formula_item_count(p, item,
												   rules->min_contains));
		if (rules->max_contains != PG_UINT32_MAX)
			mo_formulas_add(all,
							unless_array(p,
										 mo_formula_not(p,
														mo_formula_item_count(p, item,
																			  (int64) rules->max_contains + 1))));
	}
}

/* ---- objects ---- */

static const MoJson *
property_name(MoProver *p, const MoProperty *property)
{
	return mo_json_string(p, property->name, property->len);
}

/* The names that "properties" and "patternProperties" apply to. */
static MoFormula *
named(MoProver *p, const MoObjectRules *rules)
{
	MoFormulas	names = {0};
	const MoJson **values = palloc(sizeof(MoJson *) *
								   (rules->nproperties + 1));
	int			n = 0;
	MoFormula  *result;

	for (int i = 0; i < rules->nproperties; i++)
		if (rules->properties[i].node)
			values[n++] = property_name(p, &rules->properties[i]);
	mo_formulas_add(&names, mo_formula_enum(p, values, n));
	for (int i = 0; i < rules->npatterns; i++)
		mo_formulas_add(&names,
						mo_formula_text(p, MO_F_STR_PATTERN,
										mo_pattern_source(rules->patterns[i].pattern)));
	result = mo_formula_or(p, names.items, names.count);
	pfree(values);
	return result;
}

static void
add_properties(MoProver *p, MoFormulas *all, MoShape *shape)
{
	const MoObjectRules *rules = shape->node->object;

	for (int i = 0; i < rules->nproperties; i++)
	{
		const MoProperty *property = &rules->properties[i];
		const MoJson *name = property_name(p, property);

		if (property->required)
			mo_formulas_add(all, mo_formula_required(p, name));
		if (property->node)
			mo_formulas_add(all,
							mo_formula_names(p, mo_formula_enum(p, &name, 1),
											 child_formula(p, shape,
														   property->node)));
	}
	for (int i = 0; i < rules->npatterns; i++)
	{
		MoFormula  *names = mo_formula_text(p, MO_F_STR_PATTERN,
											mo_pattern_source(rules->patterns[i].pattern));

		mo_formulas_add(all,
						mo_formula_names(p, names,
										 child_formula(p, shape,
													   rules->patterns[i].node)));
	}
	if (rules->additional)
		mo_formulas_add(all,
						mo_formula_names(p, mo_formula_not(p, named(p, rules)),
										 child_formula(p, shape,
													   rules->additional)));
	if (rules->property_names)
		mo_formulas_add(all,
						mo_formula_names(p,
										 mo_formula_not(p, child_formula(p, shape,
																		 rules->property_names)),
										 p->falsehood));
}

/* "If it is an object, it has no such member." */
static MoFormula *
absent(MoProver *p, const MoValue *name)
{
	const MoJson *value = name_value(p, name);

	return mo_formula_names(p, mo_formula_enum(p, &value, 1), p->falsehood);
}

static void
add_dependencies(MoProver *p, MoFormulas *all, MoShape *shape,
				 const MoDependency *dependencies, int count)
{
	for (int i = 0; i < count; i++)
	{
		const MoDependency *d = &dependencies[i];
		MoFormula  *needs = p->truth;

		for (int j = 0; j < d->required.count; j++)
			needs = mo_formula_and2(p, needs,
									mo_formula_required(p, name_value(p, &d->required.names[j])));
		if (d->node)
			needs = mo_formula_and2(p, needs,
									child_formula(p, shape, d->node));
		mo_formulas_add(all, mo_formula_or2(p, absent(p, &d->name), needs));
	}
}

static void
add_object(MoProver *p, MoFormulas *all, MoShape *shape)
{
	const MoObjectRules *rules = shape->node->object;

	if (rules == NULL)
		return;
	add_counts(p, all, rules->min_properties, MO_F_OBJ_MIN,
			   rules->max_properties, MO_F_OBJ_MAX);
	add_properties(p, all, shape);
	add_dependencies(p, all, shape, rules->requirements, rules->nrequirements);
}

/* ---- schemas applied to the same value ---- */

static void
child_formulas(MoProver *p, MoFormulas *list, MoShape *shape, MoNode **nodes,
			   int count)
{
	for (int i = 0; i < count; i++)
		mo_formulas_add(list, child_formula(p, shape, nodes[i]));
}

static void
add_apply(MoProver *p, MoFormulas *all, MoShape *shape)
{
	const MoApply *apply = shape->node->apply;
	MoFormulas	any = {0};
	MoFormulas	one = {0};

	if (apply == NULL)
		return;
	if (apply->ref)
		mo_formulas_add(all, child_formula(p, shape, apply->ref));
	if (apply->dynamic_ref)
		mo_formulas_add(all, mo_shape_formula(p, mo_shape_dynamic(p, shape)));
	child_formulas(p, all, shape, apply->all, apply->nall);
	child_formulas(p, &any, shape, apply->any, apply->nany);
	child_formulas(p, &one, shape, apply->one, apply->none_of);
	if (any.count > 0)
		mo_formulas_add(all, mo_formula_or(p, any.items, any.count));
	if (one.count > 0)
		mo_formulas_add(all, mo_formula_one(p, one.items, one.count));
	if (apply->not)
		mo_formulas_add(all, mo_formula_not(p, child_formula(p, shape,
															 apply->not)));
	if (apply->condition)
	{
		MoFormula  *test = child_formula(p, shape, apply->condition);

		if (apply->consequence)
			mo_formulas_add(all,
							mo_formula_or2(p, mo_formula_not(p, test),
										   child_formula(p, shape,
														 apply->consequence)));
		if (apply->alternative)
			mo_formulas_add(all,
							mo_formula_or2(p, test,
										   child_formula(p, shape,
														 apply->alternative)));
	}
	add_dependencies(p, all, shape, apply->dependents, apply->ndependents);
}

/* ---- what is evaluated ---- */

static List *
evaluated(List *list, MoFormula *condition, MoFormula *names, int64 upto,
		  MoFormula *contains)
{
	MoEvaluated *e = palloc(sizeof(MoEvaluated));

	e->condition = condition;
	e->names = names;
	e->upto = upto;
	e->contains = contains;
	return lappend(list, e);
}

/* By the schema's own properties and items. */
static List *
evaluates_itself(MoProver *p, MoShape *shape)
{
	const MoNode *node = shape->node;
	List	   *list = NIL;

	if (node->object)
	{
		MoFormula  *names = node->object->additional ? p->truth :
			named(p, node->object);

		if (names != p->falsehood)
			list = evaluated(list, p->truth, names, 0, NULL);
	}
	if (node->array)
	{
		const MoArrayRules *rules = node->array;

		if (rules->items || rules->nprefix > 0)
			list = evaluated(list, p->truth, NULL,
							 rules->items ? MO_NO_LIMIT : rules->nprefix, NULL);
		if (rules->contains && rules->contains_evaluates)
			list = evaluated(list, p->truth, NULL, 0,
							 child_formula(p, shape, rules->contains));
	}
	return list;
}

/* What a schema in the same place evaluates, when the condition holds. */
static List *
evaluates_under(MoProver *p, List *list, MoFormula *condition, MoShape *shape)
{
	ListCell   *cell;

	foreach(cell, mo_shape_evaluates(p, shape))
	{
		MoEvaluated *e = lfirst(cell);

		list = evaluated(list, mo_formula_and2(p, condition, e->condition),
						 e->names, e->upto, e->contains);
	}
	return list;
}

static List *
evaluates_branches(MoProver *p, List *list, MoShape *shape, MoNode **nodes,
				   int count, bool conditional)
{
	for (int i = 0; i < count; i++)
	{
		MoShape    *child = mo_shape_child(p, shape, nodes[i]);

		list = evaluates_under(p, list,
							   conditional ? mo_shape_formula(p, child) :
							   p->truth, child);
	}
	return list;
}

static List *
evaluates_applied(MoProver *p, List *list, MoShape *shape)
{
	const MoApply *apply = shape->node->apply;

	if (apply == NULL)
		return list;
	if (apply->ref)
		list = evaluates_branches(p, list, shape,
								  (MoNode **) &apply->ref, 1, false);
	if (apply->dynamic_ref)
		list = evaluates_under(p, list, p->truth, mo_shape_dynamic(p, shape));
	list = evaluates_branches(p, list, shape, apply->all, apply->nall, false);
	list = evaluates_branches(p, list, shape, apply->any, apply->nany, true);
	list = evaluates_branches(p, list, shape, apply->one, apply->none_of,
							  true);
	if (apply->condition)
	{
		MoShape    *test = mo_shape_child(p, shape, apply->condition);
		MoFormula  *holds = mo_shape_formula(p, test);

		list = evaluates_under(p, list, holds, test);
		if (apply->consequence)
			list = evaluates_under(p, list, holds,
								   mo_shape_child(p, shape,
												  apply->consequence));
		if (apply->alternative)
			list = evaluates_under(p, list, mo_formula_not(p, holds),
								   mo_shape_child(p, shape,
												  apply->alternative));
	}
	for (int i = 0; i < apply->ndependents; i++)
		if (apply->dependents[i].node)
			list = evaluates_under(p, list,
								   mo_formula_not(p, absent(p, &apply->dependents[i].name)),
								   mo_shape_child(p, shape,
												  apply->dependents[i].node));
	return list;
}

List *
mo_shape_evaluates(MoProver *p, MoShape *shape)
{
	MemoryContext old;
	List	   *list;

	if (shape->evaluates_done || shape->evaluating)
		return shape->evaluates;
	check_stack_depth();
	old = MemoryContextSwitchTo(p->context);
	shape->evaluating = true;
	list = evaluates_applied(p, evaluates_itself(p, shape), shape);
	if (shape->node->unevaluated_properties)
		list = evaluated(list, p->truth, p->truth, 0, NULL);
	if (shape->node->unevaluated_items)
		list = evaluated(list, p->truth, NULL, MO_NO_LIMIT, NULL);
	shape->evaluating = false;
	shape->evaluates = list;
	shape->evaluates_done = true;
	MemoryContextSwitchTo(old);
	return list;
}

/* ---- unevaluatedProperties, unevaluatedItems ---- */

static MoFormula *
unevaluated(MoProver *p, MoShape *shape, const MoNode *rest, bool items)
{
	List	   *list = evaluates_applied(p, evaluates_itself(p, shape), shape);
	MoFormulas	args = {0};
	ListCell   *cell;

	mo_formulas_add(&args, child_formula(p, shape, rest));
	mo_formulas_add(&args, p->falsehood);
	foreach(cell, list)
	{
		MoEvaluated *e = lfirst(cell);

		if ((e->names == NULL) != items)
			continue;
		mo_formulas_add(&args, e->condition);
		if (!items)
		{
			mo_formulas_add(&args, e->names);
			continue;
		}
		mo_formulas_add(&args, e->upto == MO_NO_LIMIT ? p->truth :
						mo_formula_count(p, MO_F_ARR_MAX, e->upto));
		mo_formulas_add(&args, e->contains ? e->contains : p->falsehood);
	}
	return mo_formula_composite(p, items ? MO_F_UNEVAL_ITEMS :
								MO_F_UNEVAL_PROPS,
								args.items, args.count, 0, NULL);
}

/*
 * The formula with its first condition decided: what is not evaluated is
 * fewer when the condition holds, so the positive formula may take that for
 * granted only where it holds, and the negated one only where it does not.
 */
MoFormula *
mo_uneval_expand(MoProver *p, MoFormula *f)
{
	MoFormula **args = palloc(sizeof(MoFormula *) * f->nargs);
	MoFormula  *condition = f->args[2];
	MoFormula  *with;
	MoFormula  *without;

	memcpy(args, f->args, sizeof(MoFormula *) * f->nargs);
	args[2] = p->truth;
	with = mo_formula_composite(p, f->kind, args, f->nargs, f->count, NULL);
	args[2] = p->falsehood;
	without = mo_formula_composite(p, f->kind, args, f->nargs, f->count,
								   NULL);
	pfree(args);
	if (!f->negated)
		return mo_formula_or2(p, without,
							  mo_formula_and2(p, condition, with));
	return mo_formula_or2(p, mo_formula_not(p, with),
						  mo_formula_and2(p, mo_formula_not(p, condition),
										  mo_formula_not(p, without)));
}

/* ---- the whole schema ---- */

static MoFormula *
build(MoProver *p, MoShape *shape)
{
	const MoNode *node = shape->node;
	MoFormulas	all = {0};
	MoFormula  *result;

	if (node->never)
		return p->falsehood;
	if (node->bare)
		return p->truth;
	add_types(p, &all, node);
	add_enum(p, &all, node->enumeration);
	add_enum(p, &all, node->constant);
	add_string(p, &all, node->string);
	add_number(p, &all, node->number);
	add_array(p, &all, shape);
	add_object(p, &all, shape);
	add_apply(p, &all, shape);
	if (node->unevaluated_properties)
		mo_formulas_add(&all, unevaluated(p, shape,
										  node->unevaluated_properties,
										  false));
	if (node->unevaluated_items)
		mo_formulas_add(&all, unevaluated(p, shape, node->unevaluated_items,
										  true));
	result = mo_formula_and(p, all.items, all.count);
	if (all.items)
		pfree(all.items);
	return result;
}

MoFormula *
mo_shape_formula(MoProver *p, MoShape *shape)
{
	if (shape->formula != NULL)
		return shape->formula;
	if (shape->building)
		return mo_formula_var(p, shape);
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	shape->building = true;
	shape->formula = build(p, shape);
	shape->building = false;
	return shape->formula;
}
