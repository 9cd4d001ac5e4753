/*-------------------------------------------------------------------------
 *
 * annotation.c
 *	  Reads a schema's annotations (x- keywords, descriptions) per path.
 *
 * Called by schema_annotations() for what is built on contracts: privacy
 * transforms, the catalog, policies.  A path is a JSON Pointer into events in
 * which "*" stands for any element, and for any name that only a pattern or
 * additionalProperties covers.  A schema that refers to itself is followed
 * once: a path that goes round it again would never end.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "miscadmin.h"

#include "contract/compile.h"

typedef struct AnnotationSearch
{
	const char *keyword;
	List	   *found;			/* of MoAnnotation */
	List	   *open;			/* nodes between the root and here */
} AnnotationSearch;

static void search_node(AnnotationSearch *search, const MoNode *node,
						const char *path);

static char *
path_below(const char *path, const char *name, uint32 len)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, path);
	mo_pointer_append(&buf, name, len);
	return buf.data;
}

static void
search_children(AnnotationSearch *search, const MoNode *node, const char *path)
{
	const MoObjectRules *object = node->object;
	const MoArrayRules *array = node->array;
	const char *any = path_below(path, "*", 1);

	for (int i = 0; object && i < object->nproperties; i++)
		search_node(search, object->properties[i].node,
					path_below(path, object->properties[i].name,
							   object->properties[i].len));
	for (int i = 0; object && i < object->npatterns; i++)
		search_node(search, object->patterns[i].node, any);
	if (object)
		search_node(search, object->additional, any);
	search_node(search, node->unevaluated_properties, any);
	for (int i = 0; array && i < array->nprefix; i++)
	{
		char	   *index = psprintf("%d", i);

		search_node(search, array->prefix[i],
					path_below(path, index, strlen(index)));
	}
	if (array)
	{
		search_node(search, array->items, any);
		search_node(search, array->contains, any);
	}
	search_node(search, node->unevaluated_items, any);
}

/* All branches: what holds for some events is an annotation of the path. */
static void
search_in_place(AnnotationSearch *search, const MoApply *apply,
				const char *path)
{
	search_node(search, apply->ref, path);
	search_node(search, apply->dynamic_ref, path);
	for (int i = 0; i < apply->nall; i++)
		search_node(search, apply->all[i], path);
	for (int i = 0; i < apply->nany; i++)
		search_node(search, apply->any[i], path);
	for (int i = 0; i < apply->none_of; i++)
		search_node(search, apply->one[i], path);
	search_node(search, apply->condition, path);
	search_node(search, apply->consequence, path);
	search_node(search, apply->alternative, path);
	for (int i = 0; i < apply->ndependents; i++)
		search_node(search, apply->dependents[i].node, path);
}

static void
search_node(AnnotationSearch *search, const MoNode *node, const char *path)
{
	MoValue		value;

	if (node == NULL || node->origin->schema.kind != MO_OBJECT ||
		list_member_ptr(search->open, node))
		return;
	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (mo_value_get(&node->origin->schema, search->keyword, &value))
	{
		MoAnnotation *annotation = palloc(sizeof(MoAnnotation));

		annotation->path = path;
		annotation->value = mo_value_jsonb(&value);
		search->found = lappend(search->found, annotation);
	}
	search->open = lappend(search->open, unconstify(MoNode *, node));
	search_children(search, node, path);
	if (node->apply)
		search_in_place(search, node->apply, path);
	search->open = list_delete_last(search->open);
}

/* Where a keyword annotates, as MoAnnotation, in the order of the schema. */
List *
mo_schema_annotations(const MoSchema *schema, const char *keyword)
{
	AnnotationSearch search = {keyword, NIL, NIL};

	search_node(&search, schema->root, "");
	return search.found;
}
