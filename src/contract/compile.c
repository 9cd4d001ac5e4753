/*-------------------------------------------------------------------------
 *
 * compile.c
 *	  Compiles a JSON Schema from jsonb into a program for the walker.
 *
 * Called by mo_schema_compile()'s users and by check_schema.  Every subschema
 * becomes one MoNode, found again by the address of its JEntry within the
 * program's copy of the document; references are noted while the documents
 * are indexed and resolved afterwards, which may load further documents.
 *
 * Everything is allocated in the program's context; an error leaves that
 * context to be deleted by its owner.  A fault in the schema is raised as an
 * error that names its place, or collected when the caller wants them all.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#include "compat.h"
#include "contract/compile.h"

typedef struct NodeEntry
{
	const void *place;			/* MoValue.entry of the subschema */
	MoNode	   *node;
	char		status;
} NodeEntry;

#define SH_PREFIX node
#define SH_ELEMENT_TYPE NodeEntry
#define SH_KEY_TYPE const void *
#define SH_KEY place
#define SH_HASH_KEY(tb, key) ((uint32) (((uintptr_t) (key) >> 2) * 0x9E3779B1U))
#define SH_EQUAL(tb, a, b) ((a) == (b))
#define SH_SCOPE static inline
#define SH_DECLARE
#define SH_DEFINE
#include "lib/simplehash.h"

static void find_cycles(MoCompiler *c);

/*
 * Zeroed memory, as long-lived as the program, for what a walk reads: taken
 * from blocks without headers or rounding, so that it lies close together.
 */
void *
mo_compile_alloc(MoCompiler *c, Size size)
{
	void	   *chunk;

	size = MAXALIGN(size);
	if (size > MO_HOT_BLOCK / 2)
		return MemoryContextAllocZero(c->context, size);
	if (size > c->block_left)
	{
		c->block = MemoryContextAllocZero(c->context, MO_HOT_BLOCK);
		c->block_left = MO_HOT_BLOCK;
		if (c->nblocks < MO_HOT_BLOCKS)
			c->schema->hot[c->nblocks++] = c->block;
	}
	chunk = c->block;
	c->block += size;
	c->block_left -= size;
	return chunk;
}

/* The same for a copy. */
void *
mo_compile_copy(MoCompiler *c, const void *data, Size size)
{
	return memcpy(mo_compile_alloc(c, size), data, size);
}

/*
 * Records or raises a fault of the schema.  The place is the node's pointer
 * and, unless NULL, the keyword below it.
 */
void
mo_compile_fault(MoCompiler *c, const MoNode *node, const char *keyword,
				 const char *hint, const char *format,...)
{
	StringInfoData message;
	StringInfoData place;

	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, format);
		needed = appendStringInfoVA(&message, format, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	initStringInfo(&place);
	if (node)
		appendStringInfoString(&place, mo_node_pointer(node));
	if (keyword)
		mo_pointer_append(&place, keyword, strlen(keyword));

	if (c->collect)
	{
		MoViolation *fault = palloc0(sizeof(MoViolation));

		fault->instance_pointer = place.data;
		fault->schema_pointer = place.data;
		fault->keyword = keyword;
		fault->message = message.data;
		fault->hint = hint;
		c->faults = lappend(c->faults, fault);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 place.len == 0 ?
			 errmsg("invalid JSON Schema: %s", message.data) :
			 errmsg("invalid JSON Schema at %s: %s", place.data, message.data),
			 hint ? errhint("%s", hint) : 0));
}

MoNode *
mo_compile_find(MoCompiler *c, const MoValue *schema)
{
	NodeEntry  *entry = node_lookup(c->nodes, schema->entry);

	return entry ? entry->node : NULL;
}

MoApply *
mo_node_apply(MoCompiler *c, MoNode *node)
{
	if (node->apply == NULL)
		node->apply = mo_compile_alloc(c, sizeof(MoApply));
	return node->apply;
}

/* Notes a reference for resolution after everything has been indexed. */
void
mo_compile_reference(MoCompiler *c, MoNode *node, const char *keyword,
					 const MoValue *v)
{
	MoReference *reference = palloc0(sizeof(MoReference));

	if (v->kind != MO_STRING)
	{
		mo_compile_fault(c, node, keyword, NULL, "must be a string");
		return;
	}
	reference->node = node;
	reference->keyword = keyword;
	reference->written = mo_value_cstring(v);
	reference->next = c->references;
	c->references = reference;
}

/* Does a vocabulary of the node's dialect define this keyword? */
static bool
keyword_applies(const MoKeyword *keyword, const MoNode *node)
{
	const MoDialect *dialect = node->origin->resource->dialect;

	return (keyword->drafts & dialect->draft) != 0 &&
		(keyword->vocabulary & dialect->vocabularies) != 0;
}

/* In draft-07 a $ref hides its neighbours, $id included. */
static bool
is_lone_reference(const MoResource *resource, const MoValue *schema,
				  MoValue *reference)
{
	return resource->dialect->draft == MO_DRAFT7 &&
		mo_value_get(schema, "$ref", reference) &&
		reference->kind == MO_STRING;
}

static void
compile_keywords(MoCompiler *c, MoNode *node)
{
	MoCursor	cursor;
	const char *key;
	uint32		len;
	MoValue		v;

	mo_cursor_begin(&cursor, &node->origin->schema);
	while (mo_cursor_member(&cursor, &key, &len, &v))
	{
		const MoKeyword *keyword = mo_keyword_find(key, len);

		if (keyword && !keyword_applies(keyword, node))
			keyword = NULL;
		if (c->schema->options.contract && !node->origin->resource->external)
			mo_strict_keyword(c, node, key, len, &v, keyword);
		if (keyword && keyword->compile)
			keyword->compile(c, node, &v);
	}
}

/* Fills in what can be said of a node once all its keywords are known. */
static void
finish_node(MoCompiler *c, MoNode *node)
{
	MoApply    *apply = node->apply;
	bool		asserts;

	mo_keyword_finish(c, node);
	asserts = node->never || node->types != MO_T_ANY || node->enumeration ||
		node->constant || node->string || node->number || node->array ||
		node->object || node->unevaluated_items ||
		node->unevaluated_properties;
	node->bare = !asserts && !apply;
	if (apply && apply->only_ref)
		apply->only_ref = !asserts && apply->nall == 0 && apply->nany == 0 &&
			apply->none_of == 0 && !apply->not && !apply->condition &&
			apply->ndependents == 0;
	node->scattered = (apply && !apply->only_ref) ||
		node->unevaluated_items || node->unevaluated_properties ||
		(node->array && node->array->contains) ||
		(node->object &&
		 node->object->npatterns > (node->object->nproperties ? 0 : 1));
}

/*
 * Compiles one subschema, or returns the node it already has.  The resource
 * is the enclosing one; an $id in the schema opens another.
 */
MoNode *
mo_compile_node(MoCompiler *c, const MoValue *schema, MoNode *parent,
				MoResource *resource, const char *keyword,
				const char *token, uint32 token_len)
{
	NodeEntry  *entry;
	MoNode	   *node;
	MoValue		reference;
	bool		found;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	entry = node_insert(c->nodes, schema->entry, &found);
	if (found)
		return entry->node;
	node = entry->node = mo_compile_alloc(c, sizeof(MoNode));
	node->origin = palloc0(sizeof(MoOrigin));
	if (c->last)
		c->last->origin->next = node;
	else
		c->first = node;
	c->last = node;
	node->types = MO_T_ANY;
	node->origin->parent = parent;
	node->origin->keyword = keyword;
	node->origin->token = token;
	node->origin->token_len = token_len;
	node->origin->schema = *schema;
	node->origin->resource = resource;
	if (schema->kind != MO_OBJECT && resource->root == NULL)
		resource->root = node;
	if (schema->kind == MO_BOOLEAN)
	{
		node->never = !schema->truth;
		node->bare = schema->truth;
		return node;
	}
	if (schema->kind != MO_OBJECT)
	{
		mo_compile_fault(c, node, NULL, NULL,
						 "a schema must be an object, true or false, not %s",
						 mo_kind_name(schema->kind));
		return node;
	}
	node->classified = mo_value_get(schema, "x-privacy", &reference);
	c->schema->classified |= node->classified;
	if (is_lone_reference(resource, schema, &reference) && parent != NULL)
	{
		mo_compile_reference(c, node, "$ref", &reference);
		mo_node_apply(c, node)->only_ref = true;
		return node;
	}
	node->origin->resource = mo_resource_enter(c, node, schema, resource);
	if (node->origin->resource->root == NULL)
		node->origin->resource->root = node;
	if (is_lone_reference(node->origin->resource, schema, &reference))
	{
		MoValue		definitions;

		mo_compile_reference(c, node, "$ref", &reference);
		mo_node_apply(c, node)->only_ref = true;
		if (mo_value_get(schema, "definitions", &definitions))
			mo_keyword_find("definitions", strlen("definitions"))->compile(c, node, &definitions);
		return node;
	}
	compile_keywords(c, node);
	finish_node(c, node);
	return node;
}

/* Calls a function for every subschema that has been compiled. */
void
mo_compile_each(MoCompiler *c,
				void (*visitor) (MoCompiler *c, MoNode *node, void *arg),
				void *arg)
{
	for (MoNode *node = c->first; node; node = node->origin->next)
		visitor(c, node, arg);
}

static void
resolve_references(MoCompiler *c)
{
	while (c->references != NULL)
	{
		MoReference *reference = c->references;

		CHECK_FOR_INTERRUPTS();
		c->references = reference->next;
		mo_resource_resolve(c, reference);
	}
}

/* Does the schema itself say that content refuses? */
static bool
asks_for_content(MoCompiler *c, Jsonb *document)
{
	MoValue		root;
	MoValue		v;

	mo_value_root(document, &root);
	if (root.kind != MO_OBJECT ||
		!mo_value_get(&root, MO_ASSERT_CONTENT, &v))
		return false;
	if (v.kind != MO_BOOLEAN)
		mo_compile_fault(c, NULL, MO_ASSERT_CONTENT, NULL,
						 "must be true or false");
	return v.kind == MO_BOOLEAN && v.truth;
}

static MoSchema *
compile(MoCompiler *c, Jsonb *document, const MoSchemaOptions *options,
		MemoryContext context)
{
	MemoryContext caller = MemoryContextSwitchTo(context);
	Jsonb	   *copy = palloc(VARSIZE(document));

	if (GetDatabaseEncoding() != PG_UTF8)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("JSON Schema needs a database with encoding UTF8")));

	memcpy(copy, document, VARSIZE(document));
	c->schema = palloc0(sizeof(MoSchema));
	c->schema->options = *options;
	c->schema->context = context;
	c->context = context;
	c->scratch = caller;
	if (asks_for_content(c, copy))
		c->schema->options.assert_content = true;
	c->nodes = node_create(caller, 64, NULL);
	c->schema->root = mo_resource_document(c, copy, NULL, mo_dialect_default(),
										   false)->root;
	resolve_references(c);
	if (c->faults == NIL)
		find_cycles(c);
	if (options->contract && c->faults == NIL)
		mo_strict_required(c);
	node_destroy(c->nodes);
	MemoryContextSwitchTo(caller);
	return c->schema;
}

MoSchema *
mo_schema_compile(Jsonb *schema, const MoSchemaOptions *options,
				  MemoryContext context)
{
	MoCompiler	c = {0};

	return compile(&c, schema, options, context);
}

/*
 * Like mo_schema_compile(), but lists every fault (as MoViolation in
 * "context") instead of raising the first; the program is not to be walked
 * unless the list is empty.
 */
MoSchema *
mo_schema_check(Jsonb *schema, const MoSchemaOptions *options,
				MemoryContext context, List **faults)
{
	MoCompiler	c = {0};
	MoSchema   *program;

	c.collect = true;
	program = compile(&c, schema, options, context);
	*faults = c.faults;
	return program;
}

/*
 * A chain of in-place applicators that comes back to its start would walk the
 * same value for ever.  Depth-first search with the usual three colours; a
 * $dynamicRef is followed to its static target here and bounded by the walker
 * where it leads elsewhere.
 */
typedef struct CycleSearch
{
	MoCompiler *c;
	struct node_hash *grey;
	struct node_hash *black;
} CycleSearch;

static void visit(CycleSearch *search, const MoNode *node);

static void
visit_list(CycleSearch *search, MoNode **nodes, int count)
{
	for (int i = 0; i < count; i++)
		visit(search, nodes[i]);
}

static void
visit(CycleSearch *search, const MoNode *node)
{
	MoApply    *apply;
	bool		found;

	if (node == NULL || node->apply == NULL || search->c->faults != NIL ||
		node_lookup(search->black, node))
		return;
	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	node_insert(search->grey, node, &found);
	if (found)
	{
		mo_compile_fault(search->c, node, NULL,
						 "A schema may refer to itself only below properties or items.",
						 "its references lead back to itself without looking at a smaller value");
		return;
	}
	apply = node->apply;
	visit(search, apply->ref);
	visit(search, apply->dynamic_ref);
	visit_list(search, apply->all, apply->nall);
	visit_list(search, apply->any, apply->nany);
	visit_list(search, apply->one, apply->none_of);
	visit(search, apply->not);
	visit(search, apply->condition);
	visit(search, apply->consequence);
	visit(search, apply->alternative);
	for (int i = 0; i < apply->ndependents; i++)
		visit(search, apply->dependents[i].node);
	node_delete(search->grey, node);
	node_insert(search->black, node, &found);
}

static void
find_cycles(MoCompiler *c)
{
	CycleSearch search = {c};

	search.grey = node_create(c->scratch, 64, NULL);
	search.black = node_create(c->scratch, 64, NULL);
	for (MoNode *node = c->first; node; node = node->origin->next)
		visit(&search, node);
	node_destroy(search.grey);
	node_destroy(search.black);
}
