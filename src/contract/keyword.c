/*-------------------------------------------------------------------------
 *
 * keyword.c
 *	  The table of keywords, and the compilation of those that hold schemas.
 *
 * Called by compile.c for each member of a schema.  Keywords that work
 * together (properties, patternProperties and additionalProperties; if, then
 * and else; the three of contains) meet in the same rules structure, and the
 * walker decides what a lone one means.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/compile.h"

static MoNode *
compile_schema(MoCompiler *c, MoNode *node, const char *keyword,
			   const MoValue *v)
{
	return mo_compile_node(c, v, node, node->origin->resource, keyword,
						   NULL, 0);
}

/* Compiles a non-empty list of schemas; NULL and *count 0 after a fault. */
static MoNode **
compile_list(MoCompiler *c, MoNode *node, const char *keyword,
			 const MoValue *v, int *count)
{
	MoNode	  **list;
	MoCursor	cursor;
	MoValue		element;

	*count = 0;
	if (v->kind != MO_ARRAY || v->len == 0)
	{
		mo_compile_fault(c, node, keyword, NULL,
						 "must be a list of at least one schema");
		return NULL;
	}
	list = mo_compile_alloc(c, sizeof(MoNode *) * v->len);
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_element(&cursor, &element))
	{
		char	   *token = psprintf("%d", *count);

		list[(*count)++] = mo_compile_node(c, &element, node,
										   node->origin->resource, keyword,
										   token, strlen(token));
	}
	return list;
}

static bool
require_object(MoCompiler *c, MoNode *node, const char *keyword,
			   const MoValue *v)
{
	if (v->kind == MO_OBJECT)
		return true;
	mo_compile_fault(c, node, keyword, NULL,
					 "must be an object whose members are schemas");
	return false;
}

static void
compile_anchor(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_resource_anchor(c, node, "$anchor", v);
}

static void
compile_dynamic_anchor(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_resource_anchor(c, node, "$dynamicAnchor", v);
}

static void
compile_ref(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_apply(c, node)->only_ref = true;
	mo_compile_reference(c, node, "$ref", v);
}

/* Comes after $ref, which is shorter, in the order of jsonb's keys. */
static void
compile_dynamic_ref(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_apply(c, node)->only_ref = false;
	mo_compile_reference(c, node, "$dynamicRef", v);
}

static void
compile_definitions_of(MoCompiler *c, MoNode *node, const char *keyword,
					   const MoValue *v)
{
	MoCursor	cursor;
	const char *name;
	uint32		len;
	MoValue		schema;

	if (!require_object(c, node, keyword, v))
		return;
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_member(&cursor, &name, &len, &schema))
		mo_compile_node(c, &schema, node, node->origin->resource, keyword,
						name, len);
}

static void
compile_defs(MoCompiler *c, MoNode *node, const MoValue *v)
{
	compile_definitions_of(c, node, "$defs", v);
}

static void
compile_definitions(MoCompiler *c, MoNode *node, const MoValue *v)
{
	compile_definitions_of(c, node, "definitions", v);
}

static void
compile_all_of(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoApply    *apply = mo_node_apply(c, node);

	apply->all = compile_list(c, node, "allOf", v, &apply->nall);
}

static void
compile_any_of(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoApply    *apply = mo_node_apply(c, node);

	apply->any = compile_list(c, node, "anyOf", v, &apply->nany);
}

static void
compile_one_of(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoApply    *apply = mo_node_apply(c, node);

	apply->one = compile_list(c, node, "oneOf", v, &apply->none_of);
}

static void
compile_not(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_apply(c, node)->not = compile_schema(c, node, "not", v);
}

static void
compile_if(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_apply(c, node)->condition = compile_schema(c, node, "if", v);
}

static void
compile_then(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoNode	   *then = compile_schema(c, node, "then", v);
	MoValue		condition;

	if (mo_value_get(&node->origin->schema, "if", &condition))
		mo_node_apply(c, node)->consequence = then;
}

static void
compile_else(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoNode	   *alternative = compile_schema(c, node, "else", v);
	MoValue		condition;

	if (mo_value_get(&node->origin->schema, "if", &condition))
		mo_node_apply(c, node)->alternative = alternative;
}

static void
compile_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoObjectRules *rules;
	MoCursor	cursor;
	MoValue		schema;
	MoProperty *property;

	if (!require_object(c, node, "properties", v))
		return;
	rules = mo_node_object(c, node);
	rules->properties = palloc0(sizeof(MoProperty) * Max(v->len, 1));
	property = rules->properties;
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_member(&cursor, &property->name, &property->len, &schema))
	{
		property->node = mo_compile_node(c, &schema, node,
										 node->origin->resource, "properties",
										 property->name, property->len);
		rules->declares = true;
		if (++rules->nproperties < v->len)
			property++;
	}
}

static void
compile_pattern_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoObjectRules *rules;
	MoCursor	cursor;
	MoValue		schema;
	const char *name;
	uint32		len;

	if (!require_object(c, node, "patternProperties", v))
		return;
	rules = mo_node_object(c, node);
	rules->patterns = mo_compile_alloc(c, sizeof(MoPatternProperty) *
									   Max(v->len, 1));
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_member(&cursor, &name, &len, &schema))
	{
		char	   *reason;
		MoPattern  *pattern = mo_pattern_compile(name, len, c->context,
												 &reason);
		MoNode	   *target = mo_compile_node(c, &schema, node,
											 node->origin->resource,
											 "patternProperties", name, len);

		if (pattern == NULL)
		{
			mo_compile_fault(c, node, "patternProperties", NULL,
							 "\"%s\" is not a usable ECMA-262 regular expression: %s",
							 pnstrdup(name, len), reason);
			continue;
		}
		rules->patterns[rules->npatterns].pattern = pattern;
		rules->patterns[rules->npatterns++].node = target;
		rules->declares = true;
	}
}

static void
compile_additional_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_object(c, node)->additional =
		compile_schema(c, node, "additionalProperties", v);
}

static void
compile_property_names(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_object(c, node)->property_names =
		compile_schema(c, node, "propertyNames", v);
}

static void
add_requirement(MoCompiler *c, MoNode *node, const char *keyword,
				const MoValue *name, const MoValue *list, int room)
{
	MoObjectRules *rules = mo_node_object(c, node);
	MoDependency *d;

	if (rules->requirements == NULL)
		rules->requirements = palloc0(sizeof(MoDependency) * room);
	d = &rules->requirements[rules->nrequirements];
	d->keyword = keyword;
	d->name = *name;
	if (mo_assert_names(c, node, keyword, list, &d->required))
		rules->nrequirements++;
}

static void
add_dependent(MoCompiler *c, MoNode *node, const char *keyword,
			  const MoValue *name, const MoValue *schema, int room)
{
	MoApply    *apply = mo_node_apply(c, node);
	MoDependency *d;

	if (apply->dependents == NULL)
		apply->dependents = palloc0(sizeof(MoDependency) * room);
	d = &apply->dependents[apply->ndependents++];
	d->keyword = keyword;
	d->name = *name;
	d->node = mo_compile_node(c, schema, node, node->origin->resource, keyword,
							  name->data, name->len);
}

/* The three keywords differ in which of the two forms they take. */
static void
compile_dependencies_of(MoCompiler *c, MoNode *node, const char *keyword,
						const MoValue *v, bool lists, bool schemas)
{
	MoCursor	cursor;
	MoValue		name = {MO_STRING};
	MoValue		member;

	if (v->kind != MO_OBJECT)
	{
		mo_compile_fault(c, node, keyword, NULL, "must be an object");
		return;
	}
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_member(&cursor, &name.data, &name.len, &member))
	{
		if (lists && (member.kind == MO_ARRAY || !schemas))
			add_requirement(c, node, keyword, &name, &member, v->len);
		else
			add_dependent(c, node, keyword, &name, &member, v->len);
	}
}

static void
compile_dependent_required(MoCompiler *c, MoNode *node, const MoValue *v)
{
	compile_dependencies_of(c, node, "dependentRequired", v, true, false);
}

static void
compile_dependent_schemas(MoCompiler *c, MoNode *node, const MoValue *v)
{
	compile_dependencies_of(c, node, "dependentSchemas", v, false, true);
}

static void
compile_dependencies(MoCompiler *c, MoNode *node, const MoValue *v)
{
	compile_dependencies_of(c, node, "dependencies", v, true, true);
}

static void
compile_prefix_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoArrayRules *rules = mo_node_array(c, node);

	rules->prefix = compile_list(c, node, "prefixItems", v, &rules->nprefix);
}

static void
compile_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoArrayRules *rules = mo_node_array(c, node);

	if (v->kind == MO_ARRAY &&
		node->origin->resource->dialect->draft == MO_DRAFT7)
	{
		if (v->len > 0)
			rules->prefix = compile_list(c, node, "items", v, &rules->nprefix);
		rules->prefix_is_items = true;
		return;
	}
	if (v->kind == MO_ARRAY)
	{
		mo_compile_fault(c, node, "items",
						 "Since draft 2020-12 a list of schemas by position is written prefixItems, and items is one schema for the rest.",
						 "must be one schema, found a list");
		return;
	}
	rules->items = compile_schema(c, node, "items", v);
	rules->items_keyword = "items";
}

/* Means something only beside a list in "items", in draft-07. */
static void
compile_additional_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoNode	   *rest = compile_schema(c, node, "additionalItems", v);
	MoValue		items;

	if (mo_value_get(&node->origin->schema, "items", &items) &&
		items.kind == MO_ARRAY)
	{
		mo_node_array(c, node)->items = rest;
		mo_node_array(c, node)->items_keyword = "additionalItems";
	}
}

static void
compile_contains(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoArrayRules *rules = mo_node_array(c, node);

	rules->contains = compile_schema(c, node, "contains", v);
	rules->contains_evaluates =
		node->origin->resource->dialect->draft == MO_DRAFT2020;
}

static void
compile_unevaluated_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	node->unevaluated = true;
	node->unevaluated_items = compile_schema(c, node, "unevaluatedItems", v);
}

static void
compile_unevaluated_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	node->unevaluated = true;
	node->unevaluated_properties =
		compile_schema(c, node, "unevaluatedProperties", v);
}

static void
compile_content_schema(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoNode	   *schema = compile_schema(c, node, "contentSchema", v);

	if (c->schema->options.assert_content)
		mo_node_string(c, node)->content_schema = schema;
}

#define BOTH		(MO_DRAFT7 | MO_DRAFT2020)
#define ONLY7		MO_DRAFT7
#define ONLY2020	MO_DRAFT2020

/* In jsonb's key order (length, then bytes), for bsearch. */
static const MoKeyword keywords[] = {
	{"if", BOTH, MO_V_APPLICATOR, compile_if},
	{"$id", BOTH, MO_V_CORE, NULL},
	{"not", BOTH, MO_V_APPLICATOR, compile_not},
	{"$ref", BOTH, MO_V_CORE, compile_ref},
	{"else", BOTH, MO_V_APPLICATOR, compile_else},
	{"enum", BOTH, MO_V_VALIDATION, mo_assert_enum},
	{"then", BOTH, MO_V_APPLICATOR, compile_then},
	{"type", BOTH, MO_V_VALIDATION, mo_assert_type},
	{"$defs", ONLY2020, MO_V_CORE, compile_defs},
	{"allOf", BOTH, MO_V_APPLICATOR, compile_all_of},
	{"anyOf", BOTH, MO_V_APPLICATOR, compile_any_of},
	{"const", BOTH, MO_V_VALIDATION, mo_assert_const},
	{"items", BOTH, MO_V_APPLICATOR, compile_items},
	{"oneOf", BOTH, MO_V_APPLICATOR, compile_one_of},
	{"title", BOTH, MO_V_METADATA, NULL},
	{"format", BOTH, MO_V_FORMAT, mo_assert_format},
	{"$anchor", ONLY2020, MO_V_CORE, compile_anchor},
	{"$schema", BOTH, MO_V_CORE, NULL},
	{"default", BOTH, MO_V_METADATA, NULL},
	{"maximum", BOTH, MO_V_VALIDATION, mo_assert_maximum},
	{"minimum", BOTH, MO_V_VALIDATION, mo_assert_minimum},
	{"pattern", BOTH, MO_V_VALIDATION, mo_assert_pattern},
	{"$comment", BOTH, MO_V_CORE, NULL},
	{"contains", BOTH, MO_V_APPLICATOR, compile_contains},
	{"examples", BOTH, MO_V_METADATA, NULL},
	{"maxItems", BOTH, MO_V_VALIDATION, mo_assert_max_items},
	{"minItems", BOTH, MO_V_VALIDATION, mo_assert_min_items},
	{"readOnly", BOTH, MO_V_METADATA, NULL},
	{"required", BOTH, MO_V_VALIDATION, NULL},
	{"maxLength", BOTH, MO_V_VALIDATION, mo_assert_max_length},
	{"minLength", BOTH, MO_V_VALIDATION, mo_assert_min_length},
	{"writeOnly", BOTH, MO_V_METADATA, NULL},
	{"deprecated", ONLY2020, MO_V_METADATA, NULL},
	{"multipleOf", BOTH, MO_V_VALIDATION, mo_assert_multiple_of},
	{"properties", BOTH, MO_V_APPLICATOR, compile_properties},
	{"$dynamicRef", ONLY2020, MO_V_CORE, compile_dynamic_ref},
	{"$vocabulary", ONLY2020, MO_V_CORE, NULL},
	{"definitions", BOTH, MO_V_CORE, compile_definitions},
	{"description", BOTH, MO_V_METADATA, NULL},
	{"maxContains", ONLY2020, MO_V_VALIDATION, mo_assert_max_contains},
	{"minContains", ONLY2020, MO_V_VALIDATION, mo_assert_min_contains},
	{"prefixItems", ONLY2020, MO_V_APPLICATOR, compile_prefix_items},
	{"uniqueItems", BOTH, MO_V_VALIDATION, mo_assert_unique_items},
	{"dependencies", BOTH, MO_V_APPLICATOR, compile_dependencies},
	{"contentSchema", ONLY2020, MO_V_CONTENT, compile_content_schema},
	{"maxProperties", BOTH, MO_V_VALIDATION, mo_assert_max_properties},
	{"minProperties", BOTH, MO_V_VALIDATION, mo_assert_min_properties},
	{"propertyNames", BOTH, MO_V_APPLICATOR, compile_property_names},
	{"$dynamicAnchor", ONLY2020, MO_V_CORE, compile_dynamic_anchor},
	{"additionalItems", ONLY7, MO_V_APPLICATOR, compile_additional_items},
	{"contentEncoding", BOTH, MO_V_CONTENT, mo_assert_content_encoding},
	{"contentMediaType", BOTH, MO_V_CONTENT, mo_assert_content_media_type},
	{"dependentSchemas", ONLY2020, MO_V_APPLICATOR, compile_dependent_schemas},
	{"exclusiveMaximum", BOTH, MO_V_VALIDATION, mo_assert_exclusive_maximum},
	{"exclusiveMinimum", BOTH, MO_V_VALIDATION, mo_assert_exclusive_minimum},
	{"unevaluatedItems", ONLY2020, MO_V_UNEVALUATED, compile_unevaluated_items},
	{"dependentRequired", ONLY2020, MO_V_VALIDATION, compile_dependent_required},
	{"patternProperties", BOTH, MO_V_APPLICATOR, compile_pattern_properties},
	{"additionalProperties", BOTH, MO_V_APPLICATOR, compile_additional_properties},
	{"unevaluatedProperties", ONLY2020, MO_V_UNEVALUATED, compile_unevaluated_properties}
};

const MoKeyword *
mo_keyword_table(int *count)
{
	*count = lengthof(keywords);
	return keywords;
}

const MoKeyword *
mo_keyword_find(const char *name, uint32 len)
{
	int			low = 0;
	int			high = lengthof(keywords) - 1;

	while (low <= high)
	{
		int			mid = (low + high) / 2;
		int			cmp = mo_key_compare(name, len, keywords[mid].name,
										 strlen(keywords[mid].name));

		if (cmp == 0)
			return &keywords[mid];
		if (cmp < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return NULL;
}

/* Moves the table of properties to what walks read, with the names. */
static void
settle_properties(MoCompiler *c, MoObjectRules *rules)
{
	MoProperty *properties = mo_compile_copy(c, rules->properties,
											 sizeof(MoProperty) *
											 rules->nproperties);

	for (int i = 0; i < rules->nproperties; i++)
		properties[i].name = mo_compile_copy(c, properties[i].name,
											 properties[i].len);
	pfree(rules->properties);
	rules->properties = properties;
}

/*
 * What needs all keywords of the node: "required" is merged into the
 * properties, and the extensible enum of a contract is closed in reading P.
 */
void
mo_keyword_finish(MoCompiler *c, MoNode *node)
{
	const MoDialect *dialect = node->origin->resource->dialect;
	MoValue		v;

	if ((dialect->vocabularies & MO_V_VALIDATION) &&
		mo_value_get(&node->origin->schema, "required", &v))
		mo_assert_required(c, node, &v);
	if (node->object && node->object->nproperties > 0)
		settle_properties(c, node->object);
	if (c->schema->options.closed && node->enumeration == NULL &&
		mo_value_get(&node->origin->schema, "x-extensible-enum", &v) &&
		v.kind == MO_ARRAY)
		mo_assert_enum(c, node, &v);
}
