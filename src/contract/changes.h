/*-------------------------------------------------------------------------
 *
 * changes.h
 *	  What differs between two versions of a contract, in words.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_CHANGES_H
#define MO_CHANGES_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"

#include "contract/program.h"

typedef struct MoChange
{
	const char *path;			/* JSON Pointer into documents; "*": any item */
	const char *keyword;
	const char *text;			/* "`qty` must now be at least 1" */
	const char *allowed;		/* smallest change that breaks nobody; or NULL */
	bool		annotation;		/* touches no document */
	bool		breaking;		/* set by who compared the two */
} MoChange;

/* Both are to be compiled as written. */
extern List *mo_changes_list(const MoSchema *old, const MoSchema *new);

/* The change that explains a violation at that place; NULL if none does. */
extern MoChange *mo_changes_find(List *changes, const char *path,
								 const char *keyword, const char *message);

/* ---- shared by changes_*.c ---- */

typedef struct MoChangeWalk
{
	List	   *changes;
	List	   *pairs;			/* nodes compared already, old and new in turn */
	const char *path;
} MoChangeWalk;

/*
 * What the schemas that apply to one value say together, as far as it can be
 * said in words.
 */
typedef struct MoSurface
{
	bool		never;
	uint8		types;
	const MoEnum *values;		/* enum or const */
	bool		extensible;		/* values are those of x-extensible-enum */
	const MoStringRules *string;
	const MoNumberRules *number;
	const MoArrayRules *array;
	const MoNode *unevaluated_properties;
	List	   *objects;		/* of MoObjectRules */
	List	   *any;			/* of MoNode */
	List	   *one;
	const MoNode *not;
	const MoNode *condition;
	const MoNode *node;			/* the schema itself, for annotations */
} MoSurface;

/* changes.c */
extern MoChange *mo_changes_note(MoChangeWalk *w, const char *keyword,
								 const char *text, const char *allowed);

/* The place of a member or element of "path". */
extern const char *mo_changes_path(const char *path, const char *token,
								   int length);
extern void mo_changes_compare(MoChangeWalk *w, const MoNode *old,
							   const MoNode *new);

/* Compares what lies at a member; not when one side has nothing there. */
extern void mo_changes_below(MoChangeWalk *w, const char *token,
							 const MoNode *old, const MoNode *new);

/* changes_objects.c */
extern void mo_changes_objects(MoChangeWalk *w, const MoSurface *old,
							   const MoSurface *new);

/* changes_words.c */

extern void mo_surface_read(MoSurface *s, const MoNode *node);
extern void mo_surface_add(MoSurface *s, const MoNode *node);
extern const char *mo_surface_words(const MoSurface *s);
extern const char *mo_surface_type(const MoSurface *s);
extern const char *mo_path_words(const char *path);
extern const char *mo_value_words(const MoValue *v);

/* changes_values.c */
extern void mo_changes_limit(MoChangeWalk *w, const char *keyword,
							 const char *most, const char *noun,
							 const char *old, const char *new);
extern const char *mo_changes_count(uint32 count, uint32 none);
extern void mo_changes_values(MoChangeWalk *w, const MoSurface *old,
							  const MoSurface *new);
extern void mo_changes_strings(MoChangeWalk *w, const MoStringRules *old,
							   const MoStringRules *new);
extern void mo_changes_numbers(MoChangeWalk *w, const MoNumberRules *old,
							   const MoNumberRules *new);

#endif							/* MO_CHANGES_H */
