/*-------------------------------------------------------------------------
 *
 * changes_words.c
 *	  Schemas described as a person would describe them.
 *
 * Called by changes.c.  Allocates in the current memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/changes.h"
#include "contract/format.h"

#define MAX_VALUE_WORDS 60

/* Adds what one schema says, and those it applies in place. */
static void
surface_add(MoSurface *s, const MoNode *node, int depth)
{
	MoApply    *apply = node->apply;
	MoValue		v;

	if (depth > 32)
		return;
	s->never |= node->never;
	if (node->types & MO_T_INTEGER)
		s->types &= node->types | (s->types & MO_T_INTEGER);
	else
		s->types &= node->types;
	if ((node->types & MO_T_INTEGER) && !(node->types & MO_T(MO_NUMBER)))
		s->types = (s->types & ~MO_T(MO_NUMBER)) | MO_T_INTEGER;
	if (node->constant)
		s->values = node->constant;
	else if (node->enumeration && s->values == NULL)
		s->values = node->enumeration;
	if (node->origin->schema.kind == MO_OBJECT &&
		mo_value_get(&node->origin->schema, "x-extensible-enum", &v))
		s->extensible = true;
	if (node->string)
		s->string = node->string;
	if (node->number)
		s->number = node->number;
	if (node->array)
		s->array = node->array;
	if (node->object)
		s->objects = lappend(s->objects, node->object);
	if (node->unevaluated_properties)
		s->unevaluated_properties = node->unevaluated_properties;
	if (apply == NULL)
		return;
	if (apply->ref)
		surface_add(s, apply->ref, depth + 1);
	for (int i = 0; i < apply->nall; i++)
		surface_add(s, apply->all[i], depth + 1);
	for (int i = 0; i < apply->nany; i++)
		s->any = lappend(s->any, apply->any[i]);
	for (int i = 0; i < apply->none_of; i++)
		s->one = lappend(s->one, apply->one[i]);
	if (apply->not)
		s->not = apply->not;
	if (apply->condition)
		s->condition = apply->condition;
}

/* Adds what an alternative says that was chosen. */
void
mo_surface_add(MoSurface *s, const MoNode *node)
{
	surface_add(s, node, 0);
	if (s->types & MO_T(MO_NUMBER))
		s->types &= ~MO_T_INTEGER;
}

void
mo_surface_read(MoSurface *s, const MoNode *node)
{
	memset(s, 0, sizeof(MoSurface));
	s->types = MO_T_ANY | MO_T_INTEGER;
	while (node->apply && node->apply->only_ref && node->apply->ref &&
		   node != node->apply->ref)
		node = node->apply->ref;
	s->node = node;
	surface_add(s, node, 0);
	/* an integer is a number already where both are allowed */
	if (s->types & MO_T(MO_NUMBER))
		s->types &= ~MO_T_INTEGER;
}

/* "integer", "string or null"; NULL when every type is allowed. */
static const char *
type_names(uint8 types)
{
	StringInfoData buf;

	if ((types & MO_T_ANY) == MO_T_ANY)
		return NULL;
	initStringInfo(&buf);
	for (int kind = MO_OBJECT + 1; kind >= 0; kind--)
	{
		if (!(types & MO_T(kind)))
			continue;
		if (buf.len > 0)
			appendStringInfoString(&buf, " or ");
		appendStringInfoString(&buf, kind == MO_OBJECT + 1 ? "integer" :
							   mo_kind_name(kind));
	}
	return buf.len > 0 ? buf.data : "impossible";
}

const char *
mo_value_words(const MoValue *v)
{
	char	   *text = mo_value_text(v);

	if (strlen(text) > MAX_VALUE_WORDS)
		strcpy(text + MAX_VALUE_WORDS - 3, "...");
	return text;
}

static const char *
article(const char *word)
{
	return strchr("aeioAEIO", word[0]) != NULL ? "an" : "a";
}

/* The types of the listed values or of the alternatives, if those say. */
static uint8
implied_types(const MoSurface *s)
{
	uint8		types = s->types;
	uint8		alternatives = 0;
	ListCell   *cell;

	if ((types & MO_T_ANY) != MO_T_ANY)
		return types;
	if (s->values)
	{
		types = 0;
		for (int i = 0; i < s->values->count; i++)
			types |= MO_T(s->values->values[i].kind);
		return types;
	}
	foreach(cell, s->one ? s->one : s->any)
	{
		MoSurface	branch;

		check_stack_depth();
		mo_surface_read(&branch, lfirst(cell));
		alternatives |= implied_types(&branch);
	}
	return alternatives ? alternatives : types;
}

/* The type with its format: "integer", "a uuid string", "anything". */
const char *
mo_surface_type(const MoSurface *s)
{
	const char *types = type_names(implied_types(s));

	if (s->never)
		return "nothing";
	if (s->string && s->string->format &&
		(types == NULL || strcmp(types, "string") == 0))
		return psprintf("%s %s string", article(s->string->format->name),
						s->string->format->name);
	if (types == NULL)
		return s->objects != NIL ? "object" : s->array ? "array" : "anything";
	return types;
}

/* The same with the values, where they are listed. */
const char *
mo_surface_words(const MoSurface *s)
{
	StringInfoData buf;

	if (s->values == NULL)
		return mo_surface_type(s);
	initStringInfo(&buf);
	if (s->values->count > 1)
		appendStringInfoString(&buf, "one of ");
	for (int i = 0; i < s->values->count && i < 8; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "",
						 mo_value_words(&s->values->values[i]));
	if (s->values->count > 8)
		appendStringInfo(&buf, " and %d more", s->values->count - 8);
	return buf.data;
}

/* The pointer to the "qty" of any item of "lines" as `lines[].qty`. */
const char *
mo_path_words(const char *path)
{
	StringInfoData buf;

	if (path[0] == '\0')
		return "the document";
	initStringInfo(&buf);
	appendStringInfoChar(&buf, '`');
	for (const char *at = path; *at;)
	{
		const char *end = strchr(at + 1, '/');
		int			length = end ? (int) (end - at - 1) : (int) strlen(at + 1);

		if (length == 1 && at[1] == '*')
			appendStringInfoString(&buf, "[]");
		else
		{
			if (at != path)
				appendStringInfoChar(&buf, '.');
			for (int i = 1; i <= length; i++)
			{
				if (at[i] == '~' && (at[i + 1] == '0' || at[i + 1] == '1'))
					appendStringInfoChar(&buf, at[++i] == '0' ? '~' : '/');
				else
					appendStringInfoChar(&buf, at[i]);
			}
		}
		at += length + 1;
	}
	appendStringInfoChar(&buf, '`');
	return buf.data;
}
