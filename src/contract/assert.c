/*-------------------------------------------------------------------------
 *
 * assert.c
 *	  Compiles the keywords that say something of a value itself.
 *
 * One function per keyword of the validation, format and content
 * vocabularies, called through the table in keyword.c.  A value of the wrong
 * shape is a fault, and the keyword is then left out of the program.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/compile.h"
#include "contract/format.h"

MoStringRules *
mo_node_string(MoCompiler *c, MoNode *node)
{
	if (node->string == NULL)
	{
		node->string = mo_compile_alloc(c, sizeof(MoStringRules));
		node->string->max_length = PG_UINT32_MAX;
	}
	return node->string;
}

MoNumberRules *
mo_node_number(MoCompiler *c, MoNode *node)
{
	if (node->number == NULL)
		node->number = mo_compile_alloc(c, sizeof(MoNumberRules));
	return node->number;
}

MoArrayRules *
mo_node_array(MoCompiler *c, MoNode *node)
{
	if (node->array == NULL)
	{
		node->array = mo_compile_alloc(c, sizeof(MoArrayRules));
		node->array->max_items = PG_UINT32_MAX;
		node->array->min_contains = 1;
		node->array->max_contains = PG_UINT32_MAX;
	}
	return node->array;
}

MoObjectRules *
mo_node_object(MoCompiler *c, MoNode *node)
{
	if (node->object == NULL)
	{
		node->object = mo_compile_alloc(c, sizeof(MoObjectRules));
		node->object->max_properties = PG_UINT32_MAX;
	}
	return node->object;
}

/*
 * Reads a count.  No value has more than 2^28 parts in jsonb, so a larger
 * limit may be cut to what no value reaches.
 */
static bool
read_count(MoCompiler *c, const MoNode *node, const char *keyword,
		   const MoValue *v, uint32 *count)
{
	MoNumber	n;
	int64		value;

	if (v->kind == MO_NUMBER)
	{
		mo_number_view(v, &n);
		if (mo_number_is_integer(&n) && (!n.negative || n.ndigits == 0))
		{
			*count = mo_number_int64(&n, &value) && value < PG_UINT32_MAX ?
				(uint32) value : PG_UINT32_MAX;
			return true;
		}
	}
	mo_compile_fault(c, node, keyword, NULL,
					 "must be a whole number that is not negative, found %s",
					 mo_value_text(v));
	return false;
}

static uint8
type_bit(const MoValue *v)
{
	if (v->kind != MO_STRING)
		return 0;
	for (MoKind kind = MO_NULL; kind <= MO_OBJECT; kind++)
	{
		if (mo_key_is(v->data, v->len, mo_kind_name(kind)))
			return MO_T(kind);
	}
	return mo_key_is(v->data, v->len, "integer") ? MO_T_INTEGER : 0;
}

static void
unknown_type(MoCompiler *c, const MoNode *node, const MoValue *v)
{
	static const char *const names[] = {
		"string", "integer", "number", "boolean", "object", "array", "null"
	};
	const char *close = v->kind == MO_STRING ?
		mo_closest_name(v->data, v->len, names, lengthof(names)) : NULL;

	mo_compile_fault(c, node, "type",
					 close ? psprintf("Did you mean \"%s\"?", close) : NULL,
					 "%s is not a type; types are string, integer, number, boolean, object, array and null",
					 mo_value_text(v));
}

void
mo_assert_type(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoCursor	cursor;
	MoValue		name;
	uint8		types = 0;

	if (v->kind == MO_STRING)
	{
		types = type_bit(v);
		if (types == 0)
			unknown_type(c, node, v);
	}
	else if (v->kind == MO_ARRAY && v->len > 0)
	{
		mo_cursor_begin(&cursor, v);
		while (mo_cursor_element(&cursor, &name))
		{
			uint8		bit = type_bit(&name);

			if (bit == 0)
				unknown_type(c, node, &name);
			else if (types & bit)
				mo_compile_fault(c, node, "type", NULL,
								 "lists %s twice", mo_value_text(&name));
			types |= bit;
		}
	}
	else
		mo_compile_fault(c, node, "type", NULL,
						 "must be the name of a type, or a list of such names");
	if (types)
		node->types = types;
}

static int
compare_values(const void *a, const void *b)
{
	return mo_value_compare(a, b);
}

static MoEnum *
make_enum(MoCompiler *c, const MoValue *v, bool is_const)
{
	MoEnum	   *e = mo_compile_alloc(c, sizeof(MoEnum));
	MoCursor	cursor;

	e->written = *v;
	e->is_const = is_const;
	e->values = mo_compile_alloc(c, sizeof(MoValue) *
								 (is_const ? 1 : Max(v->len, 1)));
	if (is_const)
	{
		e->values[0] = *v;
		e->count = 1;
		return e;
	}
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_element(&cursor, &e->values[e->count]))
		e->count++;
	qsort(e->values, e->count, sizeof(MoValue), compare_values);
	for (int i = 0; i < e->count; i++)
	{
		MoValue    *value = &e->values[i];

		if (value->kind == MO_STRING)
			value->data = mo_compile_copy(c, value->data, value->len);
	}
	return e;
}

void
mo_assert_const(MoCompiler *c, MoNode *node, const MoValue *v)
{
	node->constant = make_enum(c, v, true);
}

void
mo_assert_enum(MoCompiler *c, MoNode *node, const MoValue *v)
{
	if (v->kind != MO_ARRAY)
	{
		mo_compile_fault(c, node, "enum", NULL, "must be a list of values");
		return;
	}
	node->enumeration = make_enum(c, v, false);
}

static MoBound *
make_bound(MoCompiler *c, MoNode *node, const char *keyword, const MoValue *v)
{
	MoBound    *bound = mo_compile_alloc(c, sizeof(MoBound));

	if (v->kind != MO_NUMBER)
	{
		mo_compile_fault(c, node, keyword, NULL, "must be a number, found %s",
						 mo_value_text(v));
		return NULL;
	}
	bound->value = *v;
	mo_number_view(v, &bound->number);
	bound->number.digits = mo_compile_copy(c, bound->number.digits,
										   sizeof(int16) *
										   bound->number.ndigits);
	return bound;
}

void
mo_assert_minimum(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_number(c, node)->minimum = make_bound(c, node, "minimum", v);
}

void
mo_assert_maximum(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_number(c, node)->maximum = make_bound(c, node, "maximum", v);
}

void
mo_assert_exclusive_minimum(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_number(c, node)->exclusive_minimum =
		make_bound(c, node, "exclusiveMinimum", v);
}

void
mo_assert_exclusive_maximum(MoCompiler *c, MoNode *node, const MoValue *v)
{
	mo_node_number(c, node)->exclusive_maximum =
		make_bound(c, node, "exclusiveMaximum", v);
}

void
mo_assert_multiple_of(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoNumber	n;

	if (v->kind == MO_NUMBER)
	{
		mo_number_view(v, &n);
		if (n.ndigits > 0 && !n.negative)
		{
			MoNumberRules *rules = mo_node_number(c, node);

			rules->multiple_of = mo_compile_alloc(c, sizeof(MoDivisor));
			rules->multiple_of_value = *v;
			mo_divisor_set(rules->multiple_of, v);
			return;
		}
	}
	mo_compile_fault(c, node, "multipleOf", NULL,
					 "must be a number greater than 0, found %s",
					 mo_value_text(v));
}

void
mo_assert_min_length(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "minLength", v, &mo_node_string(c, node)->min_length);
}

void
mo_assert_max_length(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "maxLength", v, &mo_node_string(c, node)->max_length);
}

void
mo_assert_pattern(MoCompiler *c, MoNode *node, const MoValue *v)
{
	char	   *reason;
	MoPattern  *pattern;

	if (v->kind != MO_STRING)
	{
		mo_compile_fault(c, node, "pattern", NULL, "must be a string");
		return;
	}
	pattern = mo_pattern_compile(v->data, v->len, c->context, &reason);
	if (pattern == NULL)
		mo_compile_fault(c, node, "pattern", NULL,
						 "is not a usable ECMA-262 regular expression: %s",
						 reason);
	else
		mo_node_string(c, node)->pattern = pattern;
}

/* An unknown format annotates; a contract refuses it (strict.c). */
void
mo_assert_format(MoCompiler *c, MoNode *node, const MoValue *v)
{
	const MoFormat *format;

	if (v->kind != MO_STRING)
	{
		mo_compile_fault(c, node, "format", NULL, "must be a string");
		return;
	}
	format = mo_format_find(v->data, v->len);
	if (format && (c->schema->options.assert_formats ||
				   node->origin->resource->dialect->assert_formats))
		mo_node_string(c, node)->format = format;
}

void
mo_assert_content_encoding(MoCompiler *c, MoNode *node, const MoValue *v)
{
	if (v->kind != MO_STRING)
		mo_compile_fault(c, node, "contentEncoding", NULL, "must be a string");
	else if (!c->schema->options.assert_content)
		return;
	else if (mo_key_is(v->data, v->len, "base64"))
		mo_node_string(c, node)->encoded_base64 = true;
	else if (c->schema->options.contract)
		mo_compile_fault(c, node, "contentEncoding",
						 "Describe it with pattern, or do not assert content.",
						 "%s cannot be checked, only base64",
						 mo_value_text(v));
}

void
mo_assert_content_media_type(MoCompiler *c, MoNode *node, const MoValue *v)
{
	if (v->kind != MO_STRING)
		mo_compile_fault(c, node, "contentMediaType", NULL,
						 "must be a string");
	else if (c->schema->options.assert_content &&
			 mo_key_is(v->data, v->len, "application/json"))
		mo_node_string(c, node)->content_json = true;
}

void
mo_assert_min_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "minItems", v, &mo_node_array(c, node)->min_items);
}

void
mo_assert_max_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "maxItems", v, &mo_node_array(c, node)->max_items);
}

void
mo_assert_unique_items(MoCompiler *c, MoNode *node, const MoValue *v)
{
	if (v->kind != MO_BOOLEAN)
		mo_compile_fault(c, node, "uniqueItems", NULL,
						 "must be true or false");
	else if (v->truth)
		mo_node_array(c, node)->unique = true;
}

void
mo_assert_min_contains(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "minContains", v,
			   &mo_node_array(c, node)->min_contains);
}

void
mo_assert_max_contains(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "maxContains", v,
			   &mo_node_array(c, node)->max_contains);
}

void
mo_assert_min_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "minProperties", v,
			   &mo_node_object(c, node)->min_properties);
}

void
mo_assert_max_properties(MoCompiler *c, MoNode *node, const MoValue *v)
{
	read_count(c, node, "maxProperties", v,
			   &mo_node_object(c, node)->max_properties);
}

/* Reads a list of unique names, sorted into key order; false after a fault. */
bool
mo_assert_names(MoCompiler *c, MoNode *node, const char *keyword,
				const MoValue *v, MoNames *names)
{
	MoCursor	cursor;
	MoValue		name;

	names->count = 0;
	if (v->kind != MO_ARRAY)
	{
		mo_compile_fault(c, node, keyword, NULL,
						 "must be a list of property names");
		return false;
	}
	names->names = palloc(sizeof(MoValue) * Max(v->len, 1));
	mo_cursor_begin(&cursor, v);
	while (mo_cursor_element(&cursor, &name))
	{
		if (name.kind != MO_STRING)
		{
			mo_compile_fault(c, node, keyword, NULL,
							 "must list property names, found %s",
							 mo_value_text(&name));
			return false;
		}
		names->names[names->count++] = name;
	}
	qsort(names->names, names->count, sizeof(MoValue), compare_values);
	for (int i = 1; i < names->count; i++)
	{
		if (mo_value_compare(&names->names[i - 1], &names->names[i]) == 0)
		{
			mo_compile_fault(c, node, keyword, NULL, "lists %s twice",
							 mo_value_text(&names->names[i]));
			return false;
		}
	}
	return true;
}

/*
 * Merges the names into the properties, which jsonb gave in the same order;
 * mo_keyword_finish() calls it after "properties" has been compiled.
 */
void
mo_assert_required(MoCompiler *c, MoNode *node, const MoValue *v)
{
	MoObjectRules *rules = mo_node_object(c, node);
	MoProperty *merged;
	MoNames		names;
	int			n = 0;
	int			i = 0;

	if (!mo_assert_names(c, node, "required", v, &names))
		return;
	merged = palloc0(sizeof(MoProperty) *
					 Max(names.count + rules->nproperties, 1));
	for (int j = 0; j < names.count; j++)
	{
		const MoValue *name = &names.names[j];
		int			cmp = -1;

		while (i < rules->nproperties &&
			   (cmp = mo_key_compare(rules->properties[i].name,
									 rules->properties[i].len,
									 name->data, name->len)) < 0)
			merged[n++] = rules->properties[i++];
		if (i < rules->nproperties && cmp == 0)
			merged[n] = rules->properties[i++];
		else
		{
			merged[n].name = name->data;
			merged[n].len = name->len;
		}
		merged[n++].required = true;
	}
	while (i < rules->nproperties)
		merged[n++] = rules->properties[i++];
	if (rules->properties)
		pfree(rules->properties);
	pfree(names.names);
	rules->properties = merged;
	rules->nproperties = n;
	rules->nrequired = names.count;
}
