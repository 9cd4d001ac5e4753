/*-------------------------------------------------------------------------
 *
 * schema.h
 *	  JSON Schema compiled to a program, and instances walked against it.
 *
 * The interface between the contract engine and its users (the check
 * trigger, the SQL functions, compatibility).  Knows neither Kafka nor WAL.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_SCHEMA_H
#define MO_SCHEMA_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

/* A compiled schema; lives in the memory context it was compiled in. */
typedef struct MoSchema MoSchema;

typedef struct MoSchemaOptions
{
	bool		assert_formats; /* "format" refuses, instead of annotating */
	bool		contract;		/* apply the stricter rules of a contract */
	bool		closed;			/* reading P: undeclared properties refused */
	bool		immutable;		/* references into the catalog are an error */
	bool		assert_content; /* contentEncoding and its kin refuse */
} MoSchemaOptions;

/* One way in which an instance breaks a schema. */
typedef struct MoViolation
{
	const char *instance_pointer;	/* JSON Pointer, "" is the whole document */
	const char *schema_pointer; /* where the violated keyword stands */
	const char *keyword;
	const char *message;		/* "must be >= 1", no place in it */
	const char *found;			/* offending value, shortened; or NULL */
	const char *hint;			/* or NULL */
} MoViolation;

/*
 * Compiles a schema; errors (ERRCODE_INVALID_PARAMETER_VALUE and the like)
 * name the JSON Pointer of the faulty keyword.
 */
extern MoSchema *mo_schema_compile(Jsonb *schema,
								   const MoSchemaOptions *options,
								   MemoryContext context);

/*
 * Is the instance valid?  The fast path: allocates nothing that outlives the
 * call and stops at the first violation.
 */
extern bool mo_schema_is_valid(const MoSchema *schema, Jsonb *instance);

/*
 * An instance will be checked against this schema next, and the last one was
 * not: begins to bring it into the processor's cache.
 */
extern void mo_schema_prefetch(const MoSchema *schema);

/*
 * The violations, as a List of MoViolation in the current memory context:
 * at most "limit" of them, all when limit is 0.  NIL means valid.
 */
extern List *mo_schema_violations(const MoSchema *schema, Jsonb *instance,
								  int limit);

/* A keyword's value at a path of the instance; "*" in it stands for any. */
typedef struct MoAnnotation
{
	const char *path;
	Jsonb	   *value;
} MoAnnotation;

extern List *mo_schema_annotations(const MoSchema *schema,
								   const char *keyword);

/* A property that a schema declares, by its JSON Pointer into instances. */
typedef struct MoDeclared
{
	const char *pointer;
	bool		always;			/* whatever the document is otherwise */
	Jsonb	   *schema;			/* what is said first, with what it refers to */

	/*
	 * JSON Pointers to the schemas that say something: all of them hold if
	 * "always", else one or the other.  With the URI of its document before it
	 * where that is not the schema itself.
	 */
	List	   *places;
} MoDeclared;

extern List *mo_schema_declared(const MoSchema *schema);

/*
 * Finds a schema that is not part of the one being compiled, by absolute URI
 * (a registered schema, "term:customer_id"); NULL if there is none.  Set by
 * the catalog side.  Called in the memory context of the program.
 */
typedef Jsonb *(*MoSchemaLoader) (const char *uri);
extern MoSchemaLoader mo_schema_load_hook;

/* Makes registered schemas known to the compiler; called once at load. */
extern void mo_registry_init(void);

#endif							/* MO_SCHEMA_H */
