/*-------------------------------------------------------------------------
 *
 * resource.c
 *	  Schema resources: $id, anchors, documents, and what references mean.
 *
 * A reference is resolved against the base URI of its resource.  Documents
 * that are not part of the schema come from three places, never from the
 * network: the meta-schemas built into the library, the schemas registered in
 * the catalog, and what the load hook knows (terms).
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "contract/compile.h"

/* The base of a schema that has no $id; nothing can be registered under it. */
#define DEFAULT_BASE		"mesh-outbox:/schema"

/* Set by the catalog side; NULL where there is no catalog (fuzzing). */
MoSchemaLoader mo_schema_load_hook = NULL;

MoResource *
mo_resource_add(MoCompiler *c, const char *uri, const MoDialect *dialect,
				const MoValue *document, bool external)
{
	MoResource *resource = palloc0(sizeof(MoResource));

	resource->uri = uri;
	resource->dialect = dialect;
	resource->document = *document;
	resource->external = external;
	resource->next = c->schema->resources;
	c->schema->resources = resource;
	return resource;
}

/* Indexes a whole document, which must stay where it is in memory. */
MoResource *
mo_resource_document(MoCompiler *c, Jsonb *document, const char *uri,
					 const MoDialect *dialect, bool external)
{
	MoResource *resource;
	MoValue		root;

	mo_value_root(document, &root);
	resource = mo_resource_add(c, uri ? uri : DEFAULT_BASE, dialect, &root,
							   external);
	resource->alias = uri;
	mo_compile_node(c, &root, NULL, resource, NULL, NULL, 0);
	return resource;
}

static const MoDialect *
declared_dialect(MoCompiler *c, const MoNode *node, const MoValue *schema,
				 const MoDialect *inherited)
{
	const MoDialect *dialect;
	MoValue		v;

	if (!mo_value_get(schema, "$schema", &v))
		return inherited;
	if (v.kind != MO_STRING)
	{
		mo_compile_fault(c, node, "$schema", NULL, "must be a string");
		return inherited;
	}
	dialect = mo_dialect_find(c, mo_value_cstring(&v), node);
	return dialect ? dialect : inherited;
}

/*
 * The URI that an $id names, or NULL where it names none: draft-07 also
 * spells anchors "$id": "#name".
 */
static char *
identified_uri(MoCompiler *c, MoNode *node, const MoValue *schema,
			   MoResource *outer, MoDraft draft)
{
	MoValue		v;
	char	   *uri;
	char	   *fragment;

	if (!mo_value_get(schema, "$id", &v))
		return NULL;
	if (v.kind != MO_STRING)
	{
		mo_compile_fault(c, node, "$id", NULL, "must be a string");
		return NULL;
	}
	if (draft == MO_DRAFT7 && v.len > 0 && v.data[0] == '#')
		return NULL;
	uri = mo_uri_resolve(outer->uri, mo_value_cstring(&v));
	if (uri == NULL)
	{
		mo_compile_fault(c, node, "$id", NULL, "must be a URI reference");
		return NULL;
	}
	fragment = strchr(uri, '#');
	if (fragment && fragment[1] != '\0' && draft == MO_DRAFT2020)
		mo_compile_fault(c, node, "$id", "Write the fragment as $anchor.",
						 "must not have a fragment");
	if (fragment)
		*fragment = '\0';
	return uri;
}

/* The resource a schema's keywords belong to: outer, or one it opens. */
MoResource *
mo_resource_enter(MoCompiler *c, const MoNode *node, const MoValue *schema,
				  MoResource *outer)
{
	bool		is_root = outer->root == NULL;
	MoNode	   *place = unconstify(MoNode *, node);
	const MoDialect *dialect = outer->dialect;
	MoValue		v;
	char	   *uri;

	if (is_root)
	{
		outer->dialect = declared_dialect(c, node, schema, dialect);
		uri = identified_uri(c, place, schema, outer, outer->dialect->draft);
		if (uri)
			outer->uri = uri;
	}
	else
	{
		uri = identified_uri(c, place, schema, outer, dialect->draft);
		if (uri)
		{
			bool		external = outer->external;

			dialect = declared_dialect(c, node, schema, dialect);
			outer = mo_resource_add(c, uri, dialect, schema, external);
			outer->root = place;
		}
	}
	if (outer->dialect->draft == MO_DRAFT7 &&
		mo_value_get(schema, "$id", &v) && v.kind == MO_STRING &&
		v.len > 1 && v.data[0] == '#')
	{
		place->origin->resource = outer;
		v.data++;
		v.len--;
		mo_resource_anchor(c, place, "$id", &v);
	}
	return outer;
}

/* Anchors are NCNames: what may stand in a fragment without escaping. */
static bool
is_anchor_name(const char *s, uint32 len)
{
	for (uint32 i = 0; i < len; i++)
	{
		bool		letter = (s[i] >= 'A' && s[i] <= 'Z') ||
			(s[i] >= 'a' && s[i] <= 'z') || s[i] == '_';
		bool		other = (s[i] >= '0' && s[i] <= '9') || s[i] == '-' ||
			s[i] == '.';

		if (!letter && (i == 0 || !other))
			return false;
	}
	return len > 0;
}

static MoAnchor *
find_anchor(const MoResource *resource, const char *name)
{
	for (MoAnchor *a = resource->anchors; a; a = a->next)
	{
		if (strcmp(a->name, name) == 0)
			return a;
	}
	return NULL;
}

void
mo_resource_anchor(MoCompiler *c, MoNode *node, const char *keyword,
				   const MoValue *v)
{
	MoResource *resource = node->origin->resource;
	MoAnchor   *anchor;

	if (v->kind != MO_STRING)
	{
		mo_compile_fault(c, node, keyword, NULL, "must be a string");
		return;
	}
	if (resource->dialect->draft == MO_DRAFT2020 &&
		!is_anchor_name(v->data, v->len))
	{
		mo_compile_fault(c, node, keyword, NULL,
						 "must be a name of letters, digits, \"-\", \"_\" and \".\" that begins with a letter or \"_\"");
		return;
	}
	anchor = palloc0(sizeof(MoAnchor));
	anchor->name = mo_value_cstring(v);
	anchor->dynamic = strcmp(keyword, "$dynamicAnchor") == 0;
	anchor->node = node;
	if (find_anchor(resource, anchor->name) &&
		find_anchor(resource, anchor->name)->node != node)
		mo_compile_fault(c, node, keyword, NULL,
						 "the anchor \"%s\" is already taken in this schema",
						 anchor->name);
	anchor->next = resource->anchors;
	resource->anchors = anchor;
}

static MoResource *
find_resource(MoCompiler *c, const char *uri)
{
	for (MoResource *r = c->schema->resources; r; r = r->next)
	{
		if (strcmp(r->uri, uri) == 0 || (r->alias && strcmp(r->alias, uri) == 0))
			return r;
	}
	return NULL;
}

/* Finds a document outside the schema; NULL if nobody knows the URI. */
Jsonb *
mo_resource_load(MoCompiler *c, const char *uri)
{
	const char *text = mo_metaschema_text(uri);

	if (text)
		return DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												  CStringGetDatum(text)));
	if (c->schema->options.immutable || mo_schema_load_hook == NULL)
		return NULL;
	return mo_schema_load_hook(uri);
}

/* Unescapes one token of a JSON Pointer in place, returning its length. */
static uint32
unescape_token(char *token)
{
	char	   *out = token;

	for (char *in = token; *in; in++)
	{
		if (in[0] == '~' && (in[1] == '0' || in[1] == '1'))
			*out++ = *++in == '0' ? '~' : '/';
		else
			*out++ = *in;
	}
	*out = '\0';
	return out - token;
}

static bool
step_into(const MoValue *v, char *token, MoValue *child)
{
	uint32		len = unescape_token(token);

	if (v->kind == MO_OBJECT)
		return mo_value_member(v, token, len, child, NULL);
	if (v->kind != MO_ARRAY || len == 0 || len > 9 ||
		strspn(token, "0123456789") != len ||
		(token[0] == '0' && len > 1))
		return false;
	return mo_value_element(v, atoi(token), child);
}

/*
 * Follows a JSON Pointer from the root of a resource.  What it leads to need
 * not be a place where a keyword expects a schema, and is then compiled as
 * one with the base URI of the nearest schema around it.
 */
static MoNode *
node_at_pointer(MoCompiler *c, MoResource *resource, const char *pointer)
{
	char	   *rest = pstrdup(pointer + 1);
	MoValue		v = resource->document;
	MoNode	   *around = resource->root;
	const char *below = pointer + 1;

	for (;;)
	{
		char	   *slash = strchr(rest, '/');
		MoValue		child;
		MoNode	   *node;

		if (slash)
			*slash = '\0';
		if (!step_into(&v, rest, &child))
			return NULL;
		v = child;
		node = mo_compile_find(c, &v);
		if (slash == NULL)
			break;
		below += (slash + 1) - rest;
		rest = slash + 1;
		if (node)
			around = node;
	}
	if (around == NULL)
		return NULL;
	if (around == resource->root)
		below = pointer + 1;
	return mo_compile_node(c, &v, around, around->origin->resource,
						   pstrdup(below), NULL, 0);
}

static MoNode *
find_target(MoCompiler *c, MoReference *reference, MoResource *resource,
			const char *fragment, bool *dynamic)
{
	MoAnchor   *anchor;

	*dynamic = false;
	if (fragment[0] == '\0')
		return resource->root;
	if (fragment[0] == '/')
		return node_at_pointer(c, resource, fragment);
	anchor = find_anchor(resource, fragment);
	if (anchor == NULL)
		return NULL;
	for (MoAnchor *a = anchor; a; a = a->next)
		*dynamic |= a->dynamic && strcmp(a->name, fragment) == 0;
	return anchor->node;
}

static MoResource *
resource_of(MoCompiler *c, MoReference *reference, const char *uri)
{
	MoResource *resource = find_resource(c, uri);
	Jsonb	   *document;

	if (resource)
		return resource;
	document = mo_resource_load(c, uri);
	if (document)
		return mo_resource_document(c, document, pstrdup(uri),
									reference->node->origin->resource->dialect,
									true);
	if (c->schema->options.immutable)
		mo_compile_fault(c, reference->node, reference->keyword,
						 "Use schema_violations(), which is not immutable, or put the schema below $defs with its $id.",
						 "\"%s\" refers outside the schema, which an immutable function may not follow",
						 reference->written);
	else if (strncmp(uri, DEFAULT_BASE, strlen("mesh-outbox:")) == 0)
		mo_compile_fault(c, reference->node, reference->keyword,
						 "Give the schema an absolute $id, or write the reference as an absolute URI.",
						 "\"%s\" is relative, and the schema has no $id to resolve it against",
						 reference->written);
	else
		mo_compile_fault(c, reference->node, reference->keyword,
						 "References are never fetched from the network. Register the schema with mesh_outbox.register_schema().",
						 "no schema is registered as \"%s\"", uri);
	return NULL;
}

/* Resolves one reference and enters its target into the node. */
void
mo_resource_resolve(MoCompiler *c, MoReference *reference)
{
	MoNode	   *node = reference->node;
	char	   *uri = mo_uri_resolve(node->origin->resource->uri,
									 reference->written);
	char	   *fragment;
	MoResource *resource;
	MoNode	   *target;
	bool		dynamic;

	if (uri == NULL)
	{
		mo_compile_fault(c, node, reference->keyword, NULL,
						 "\"%s\" is not a URI reference", reference->written);
		return;
	}
	fragment = strchr(uri, '#');
	if (fragment)
		*fragment++ = '\0';
	else
		fragment = "";
	resource = resource_of(c, reference, uri);
	if (resource == NULL)
		return;
	fragment = mo_uri_decode(fragment);
	target = find_target(c, reference, resource, fragment, &dynamic);
	if (target == NULL)
	{
		mo_compile_fault(c, node, reference->keyword, NULL,
						 fragment[0] == '/' ?
						 "\"%s\" points to nothing" :
						 "there is no anchor for \"%s\"",
						 reference->written);
		return;
	}
	if (strcmp(reference->keyword, "$ref") == 0)
		node->apply->ref = target;
	else
	{
		node->apply->dynamic_ref = target;
		if (dynamic)
		{
			node->apply->dynamic_anchor = fragment;
			c->schema->dynamic = true;
		}
	}
}
