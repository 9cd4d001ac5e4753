/*-------------------------------------------------------------------------
 *
 * strict.c
 *	  What a contract refuses although JSON Schema lets it pass.
 *
 * The specification ignores what it does not know, so that a misspelt keyword
 * checks nothing and nobody notices.  A contract is a promise to others: what
 * would be ignored in silence is a fault of the proposal.  Called by the
 * compiler with the option "contract", for the contract's own schema only,
 * not for documents that it refers to.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compile.h"
#include "contract/format.h"

/* Keywords of older drafts, and how to say the same today. */
static const struct
{
	const char *name;
	const char *hint;
}			outdated[] = {
	{"dependencies", "Since draft 2019-09 it is written dependentRequired (lists of names) or dependentSchemas (schemas)."},
	{"additionalItems", "Since draft 2020-12 the list of schemas is written prefixItems and the schema for the rest items."},
	{"definitions", "Since draft 2019-09 it is written $defs."},
	{"id", "Since draft-06 it is written $id."},
	{"divisibleBy", "Since draft-04 it is written multipleOf."},
	{"extends", "Since draft-04 it is written allOf."},
	{"disallow", "Since draft-04 it is written not."},
	{"nullable", "JSON Schema says \"type\": [\"string\", \"null\"]; nullable is OpenAPI's."},
	{"example", "JSON Schema writes examples, with a list."},
	{"discriminator", "JSON Schema writes oneOf with a const in each alternative; discriminator is OpenAPI's."},
	{"$recursiveRef", "Since draft 2020-12 it is written $dynamicRef."},
	{"$recursiveAnchor", "Since draft 2020-12 it is written $dynamicAnchor."}
};

static void
unknown_keyword(MoCompiler *c, MoNode *node, const char *name)
{
	int			count;
	const MoKeyword *table = mo_keyword_table(&count);
	const char **names = palloc(sizeof(char *) * count);
	const char *close;

	for (int i = 0; i < lengthof(outdated); i++)
	{
		if (strcmp(outdated[i].name, name) == 0)
		{
			mo_compile_fault(c, node, name, outdated[i].hint,
							 "%s is not a keyword of this draft", name);
			return;
		}
	}
	if (mo_keyword_find(name, strlen(name)))
	{
		mo_compile_fault(c, node, name,
						 "The keyword belongs to draft 2020-12; $schema names draft-07.",
						 "%s is not a keyword of this draft", name);
		return;
	}
	for (int i = 0; i < count; i++)
		names[i] = table[i].name;
	close = mo_closest_name(name, strlen(name), names, count);
	mo_compile_fault(c, node, name,
					 close ? psprintf("Did you mean %s?", close) :
					 "Keywords of your own begin with x-.",
					 "unknown keyword %s", name);
}

static void
unknown_format(MoCompiler *c, MoNode *node, const MoValue *v)
{
	int			count;
	const MoFormat *table = mo_format_list(&count);
	const char **names = palloc(sizeof(char *) * count);
	const char *close;

	for (int i = 0; i < count; i++)
		names[i] = table[i].name;
	close = mo_closest_name(v->data, v->len, names, count);
	mo_compile_fault(c, node, "format",
					 close ? psprintf("Did you mean %s?", close) :
					 "Describe a format of your own with pattern.",
					 "unknown format %s", mo_value_text(v));
}

/* Looks at one member of a schema; "keyword" is NULL if it means nothing. */
void
mo_strict_keyword(MoCompiler *c, MoNode *node, const char *name, uint32 len,
				  const MoValue *v, const MoKeyword *keyword)
{
	if (mo_key_is(name, len, MO_ASSERT_CONTENT) &&
		node->origin->keyword != NULL)
		mo_compile_fault(c, node, MO_ASSERT_CONTENT,
						 "It holds for the whole schema.",
						 "counts at the root of the schema only");
	if (len >= 2 && memcmp(name, "x-", 2) == 0)
		return;
	if (keyword == NULL ||
		(node->origin->resource->dialect->draft == MO_DRAFT2020 &&
		 (strcmp(keyword->name, "definitions") == 0 ||
		  strcmp(keyword->name, "dependencies") == 0)))
		unknown_keyword(c, node, pnstrdup(name, len));
	else if (strcmp(keyword->name, "format") == 0 && v->kind == MO_STRING &&
			 mo_format_find(v->data, v->len) == NULL)
		unknown_format(c, node, v);
}

/* Does the keyword apply its schema to the same value? */
static bool
is_in_place(const char *keyword)
{
	static const char *const in_place[] = {
		"allOf", "anyOf", "oneOf", "if", "then", "else", "dependentSchemas",
		"dependencies"
	};

	for (int i = 0; keyword && i < lengthof(in_place); i++)
	{
		if (strcmp(keyword, in_place[i]) == 0)
			return true;
	}
	return false;
}

static bool declares(const MoNode *node, const MoProperty *name);

static bool
list_declares(MoNode **nodes, int count, const MoProperty *name)
{
	for (int i = 0; i < count; i++)
	{
		if (declares(nodes[i], name))
			return true;
	}
	return false;
}

/* Does a node, or a schema that it applies in place, declare the name? */
static bool
declares(const MoNode *node, const MoProperty *name)
{
	const MoObjectRules *rules = node ? node->object : NULL;
	const MoApply *apply = node ? node->apply : NULL;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (node == NULL)
		return false;
	if (node->unevaluated_properties && !node->unevaluated_properties->never)
		return true;
	if (rules && rules->additional && !rules->additional->never)
		return true;
	for (int i = 0; rules && i < rules->nproperties; i++)
	{
		if (rules->properties[i].node &&
			mo_key_compare(rules->properties[i].name, rules->properties[i].len,
						   name->name, name->len) == 0)
			return true;
	}
	for (int i = 0; rules && i < rules->npatterns; i++)
	{
		if (mo_pattern_matches(rules->patterns[i].pattern, name->name,
							   name->len))
			return true;
	}
	if (apply == NULL)
		return false;
	if (declares(apply->ref, name) || declares(apply->dynamic_ref, name) ||
		list_declares(apply->all, apply->nall, name) ||
		list_declares(apply->any, apply->nany, name) ||
		list_declares(apply->one, apply->none_of, name) ||
		declares(apply->condition, name) ||
		declares(apply->consequence, name) ||
		declares(apply->alternative, name))
		return true;
	for (int i = 0; i < apply->ndependents; i++)
	{
		if (declares(apply->dependents[i].node, name))
			return true;
	}
	return false;
}

/* The outermost node that looks at the same value as this one. */
static const MoNode *
top_in_place(const MoNode *node)
{
	while (node->origin->parent && is_in_place(node->origin->keyword))
		node = node->origin->parent;
	return node;
}

typedef struct RequiredSearch
{
	const MoNode *target;		/* the node whose referrers are wanted */
	const MoProperty *name;
	bool		found;
} RequiredSearch;

static void
search_referrer(MoCompiler *c, MoNode *node, void *arg)
{
	RequiredSearch *search = arg;

	if (!search->found && node->apply &&
		(node->apply->ref == search->target ||
		 node->apply->dynamic_ref == search->target))
		search->found = declares(top_in_place(node), search->name);
}

/* Does "not" lie above, which turns "required" into its opposite? */
static bool
is_negated(const MoNode *node)
{
	for (; node->origin->parent; node = node->origin->parent)
	{
		if (strcmp(node->origin->keyword, "not") == 0)
			return true;
	}
	return false;
}

static void
check_required(MoCompiler *c, MoNode *node, void *arg)
{
	const MoObjectRules *rules = node->object;

	if (rules == NULL || rules->nrequired == 0 ||
		node->origin->resource->external || is_negated(node))
		return;
	for (int i = 0; i < rules->nproperties; i++)
	{
		const MoProperty *name = &rules->properties[i];
		RequiredSearch search = {top_in_place(node), name, false};

		if (!name->required || name->node || declares(search.target, name))
			continue;
		mo_compile_each(c, search_referrer, &search);
		if (!search.found)
			mo_compile_fault(c, node, "required",
							 "Declare it under properties, with true if any value will do.",
							 "%s is required, but nothing declares it",
							 pnstrdup(name->name, name->len));
	}
}

/* Refuses required names that nothing declares, once references are known. */
void
mo_strict_required(MoCompiler *c)
{
	mo_compile_each(c, check_required, NULL);
}
