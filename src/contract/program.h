/*-------------------------------------------------------------------------
 *
 * program.h
 *	  A compiled schema, as the compiler leaves it and the walker reads it.
 *
 * Private to src/contract.  One MoNode stands for one subschema.  Its
 * keywords are sorted by the kind of instance they look at, so that walking a
 * value touches only what can refuse it; everything points into the program's
 * own memory context, which also holds a copy of every schema document.
 *
 * A backend may use thousands of contracts in turn, so that a walk finds
 * little in the processor's cache: its cost is then the number of cache lines
 * that it touches, and whether the next is beside the last.  Nodes, rules and
 * tables of names therefore lie side by side in the order of compilation,
 * which is that of the walk, with names, bounds and the strings of enums; what
 * only messages need lies elsewhere.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PROGRAM_H
#define MO_PROGRAM_H

#include "contract/pattern.h"
#include "contract/schema.h"
#include "contract/value.h"

typedef struct MoNode MoNode;
typedef struct MoResource MoResource;
typedef struct MoFormat MoFormat;
typedef struct MoDialect MoDialect;

/* Bits of MoNode.types; an integer is a number that passes MO_T_INTEGER. */
#define MO_T(kind)		(1 << (kind))
#define MO_T_INTEGER	(1 << (MO_OBJECT + 1))
#define MO_T_ANY		(MO_T(MO_OBJECT + 1) - 1)

/* "enum" and "const": values in the order of mo_value_compare(). */
typedef struct MoEnum
{
	bool		is_const;
	int			count;
	MoValue    *values;
	MoValue		written;		/* the array as written, for messages */
} MoEnum;

typedef struct MoStringRules
{
	uint32		min_length;		/* code points */
	uint32		max_length;		/* PG_UINT32_MAX: no limit */
	MoPattern  *pattern;
	const MoFormat *format;		/* asserted; NULL if only annotated */
	bool		encoded_base64; /* contentEncoding, where asserted */
	bool		content_json;	/* contentMediaType, where asserted */
	MoNode	   *content_schema;
} MoStringRules;

/* One of minimum, maximum, exclusiveMinimum, exclusiveMaximum. */
typedef struct MoBound
{
	MoValue		value;
	MoNumber	number;
} MoBound;

typedef struct MoNumberRules
{
	MoBound    *minimum;
	MoBound    *maximum;
	MoBound    *exclusive_minimum;
	MoBound    *exclusive_maximum;
	MoDivisor  *multiple_of;
	MoValue		multiple_of_value;
} MoNumberRules;

typedef struct MoArrayRules
{
	uint32		min_items;
	uint32		max_items;
	bool		unique;
	int			nprefix;
	MoNode	  **prefix;
	bool		prefix_is_items;	/* draft-07 spells prefixItems "items" */
	MoNode	   *items;			/* what follows the prefix */
	const char *items_keyword;
	MoNode	   *contains;
	uint32		min_contains;
	uint32		max_contains;
	bool		contains_evaluates; /* since 2020-12 */
} MoArrayRules;

/* A name that "properties" or "required" mentions. */
typedef struct MoProperty
{
	const char *name;
	uint32		len;
	bool		required;
	MoNode	   *node;			/* NULL: only required */
} MoProperty;

typedef struct MoPatternProperty
{
	MoPattern  *pattern;
	MoNode	   *node;
} MoPatternProperty;

typedef struct MoNames
{
	int			count;
	MoValue    *names;			/* strings */
} MoNames;

/* dependentRequired, dependentSchemas and both forms of "dependencies". */
typedef struct MoDependency
{
	const char *keyword;
	MoValue		name;
	MoNode	   *node;			/* or NULL, and */
	MoNames		required;
} MoDependency;

typedef struct MoObjectRules
{
	uint32		min_properties;
	uint32		max_properties;
	int			nproperties;
	MoProperty *properties;		/* in key order */
	int			nrequired;
	int			npatterns;
	MoPatternProperty *patterns;
	MoNode	   *additional;
	MoNode	   *property_names;
	int			nrequirements;	/* dependencies that only require names */
	MoDependency *requirements;
	bool		declares;		/* names some property: reading P applies */
} MoObjectRules;

/* Keywords that apply other schemas to the same value. */
typedef struct MoApply
{
	MoNode	   *ref;
	MoNode	   *dynamic_ref;	/* statically resolved target */
	const char *dynamic_anchor; /* to look for in the dynamic scope, or NULL */
	int			nall;
	MoNode	  **all;
	int			nany;
	MoNode	  **any;
	int			none_of;		/* branches of oneOf */
	MoNode	  **one;
	MoNode	   *not;
	MoNode	   *condition;		/* if */
	MoNode	   *consequence;	/* then */
	MoNode	   *alternative;	/* else */
	int			ndependents;
	MoDependency *dependents;
	bool		only_ref;		/* $ref without neighbours: a plain jump */
} MoApply;

/* Where a node stands in its schema: wanted by messages and compilers. */
typedef struct MoOrigin
{
	MoResource *resource;
	MoValue		schema;

	/* The path is put together only when it is wanted. */
	MoNode	   *parent;
	const char *keyword;		/* of the parent */
	const char *token;			/* name or index below the keyword, or NULL */
	uint32		token_len;
	MoNode	   *next;			/* compiled after this one */
} MoOrigin;

/* What every walk reads comes first. */
struct MoNode
{
	uint8		types;
	bool		never;			/* the schema "false" */
	bool		scattered;		/* see below */
	bool		bare;			/* the schema "true", or says nothing */
	bool		classified;		/* marked x-privacy: never show its values */
	bool		unevaluated;	/* has one of the unevaluated* keywords */
	MoEnum	   *enumeration;
	MoEnum	   *constant;
	MoStringRules *string;
	MoNumberRules *number;
	MoArrayRules *array;
	MoObjectRules *object;
	MoApply    *apply;
	MoOrigin   *origin;
	MoNode	   *unevaluated_properties;
	MoNode	   *unevaluated_items;
};

/*
 * "scattered": an instance location at or below this node may be reached by
 * more than one schema, so that reading P can be decided only after all of
 * them have been walked (see trail.c).
 */

typedef struct MoAnchor
{
	const char *name;
	bool		dynamic;
	MoNode	   *node;
	struct MoAnchor *next;
} MoAnchor;

/* A schema resource: a document, or a part of it with an $id of its own. */
struct MoResource
{
	const char *uri;			/* absolute, without fragment */
	const char *alias;			/* what it was loaded by, or NULL */
	const MoDialect *dialect;
	MoNode	   *root;
	MoAnchor   *anchors;
	MoValue		document;		/* root value of the resource */
	bool		external;		/* came from the registry or is built in */
	MoResource *next;
};

/* What walks read is in blocks of this many bytes; so many are remembered. */
#define MO_HOT_BLOCK	2048
#define MO_HOT_BLOCKS	3

struct MoSchema
{
	MoSchemaOptions options;
	bool		dynamic;		/* some $dynamicRef needs the dynamic scope */
	bool		classified;		/* some node is marked x-privacy */
	MoNode	   *root;
	const char *hot[MO_HOT_BLOCKS]; /* the first blocks; NULL: no more */
	MemoryContext context;
	MoResource *resources;
};

/* violation.c, used by walker and compiler */
extern char *mo_node_pointer(const MoNode *node);
extern void mo_pointer_append(StringInfo buf, const char *token, uint32 len);
extern const char *mo_closest_name(const char *name, uint32 len,
								   const char *const *candidates, int count);

#endif							/* MO_PROGRAM_H */
