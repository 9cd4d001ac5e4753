/*-------------------------------------------------------------------------
 *
 * walk.h
 *	  What the files of the walker share.
 *
 *	  walk.c		a value against a node: scalars, in-place applicators
 *	  children.c	members and elements
 *	  trail.c		what has been evaluated: unevaluated*, reading P
 *	  violation.c	saying what is wrong
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_WALK_H
#define MO_WALK_H

#include "contract/format.h"
#include "contract/program.h"

/*
 * How a location is walked.
 *
 * TRACK: the schema around this one wants to know which members or elements
 * are evaluated here.  CLOSED: reading P, and only this schema looks at this
 * location, so that undeclared names are refused on the spot.  DEFER: reading
 * P, but others look too; what is declared goes to the trail, here and below,
 * and the node that began deferring decides.  MENTION: with DEFER, names
 * count as declared without making the location closed (contains).
 */
#define MO_TRACK		0x01
#define MO_CLOSED		0x02
#define MO_DEFER		0x04
#define MO_MENTION		0x08

/* What the mode of a location becomes one level further down. */
#define MO_CHILD_MODE(mode)	((mode) & (MO_CLOSED | MO_DEFER | MO_MENTION))
#define MO_NOTES(mode)		(((mode) & (MO_TRACK | MO_DEFER)) != 0)

/* A step from a value to its member or element, innermost first. */
typedef struct MoStep
{
	const struct MoStep *up;
	const char *key;			/* NULL: element */
	uint32		len;			/* of the key, or the element's index */
} MoStep;

/* A schema resource that was entered, innermost first ($dynamicRef). */
typedef struct MoScope
{
	const struct MoScope *outer;
	const MoResource *resource;
} MoScope;

/*
 * The trail: one entry for each member or element that a successful schema
 * evaluated, in the order of evaluation.  Leaving a branch that failed cuts
 * the trail back to where the branch began, as in a logic program.
 */
#define MO_MARK_ALL			(-1)	/* everything at the location */
#define MO_MARK_DECLARES	(-2)	/* names were declared at the location */
#define MO_MARK_PREFIX		(-3)	/* minus n: the first n elements */

typedef struct MoMark
{
	const JsonbContainer *container;
	int			index;
} MoMark;

#define MO_TRAIL_INLINE 64

typedef struct MoWalk
{
	const MoSchema *program;
	const MoScope *scope;
	const MoStep *step;
	bool		collect;		/* go on after a violation, and list it */
	int			limit;			/* of the list; 0 is none */
	List	   *violations;
	bool		listing;		/* violations are wanted, also while probing */
	List	   *classified;		/* places (char *) that no message may show */
	int			hops;			/* applications in place, see walk.c */
	MoMark	   *trail;
	int			ntrail;
	int			trail_size;
	MoMark		trail_inline[MO_TRAIL_INLINE];
} MoWalk;

/* walk.c */
extern bool mo_walk(MoWalk *w, const MoNode *node, const MoValue *v, int mode);
extern bool mo_walk_probe(MoWalk *w, const MoNode *node, const MoValue *v,
						  int mode);
extern void mo_walk_begin(MoWalk *w, const MoSchema *schema);
extern void mo_walk_end(MoWalk *w);

/* children.c */
extern bool mo_walk_object(MoWalk *w, const MoNode *node, const MoValue *v,
						   int mode);
extern bool mo_walk_array(MoWalk *w, const MoNode *node, const MoValue *v,
						  int mode);

/* content.c */
extern bool mo_walk_content(MoWalk *w, const MoNode *node, const MoValue *v);

/* trail.c */
extern void mo_trail_mark(MoWalk *w, const MoValue *v, int index);
extern bool mo_trail_unevaluated_properties(MoWalk *w, const MoNode *node,
											const MoValue *v, int start,
											int mode);
extern bool mo_trail_unevaluated_items(MoWalk *w, const MoNode *node,
									   const MoValue *v, int start, int mode);
extern bool mo_trail_closed(MoWalk *w, const MoNode *node, const MoValue *v,
							int start);
extern void mo_trail_declare(MoWalk *w, const MoNode *node, const MoValue *v);

/* violation.c: each returns false, so that it can be returned */
extern bool mo_violate(MoWalk *w, const MoNode *node, const char *keyword,
					   const MoValue *v, const char *hint,
					   const char *format,...) pg_attribute_printf(6, 7);
extern bool mo_violate_type(MoWalk *w, const MoNode *node, const MoValue *v);
extern bool mo_violate_enum(MoWalk *w, const MoNode *node, const MoEnum *e,
							const MoValue *v);
extern bool mo_violate_unknown(MoWalk *w, const MoNode *node,
							   const MoValue *object, const char *keyword,
							   const char *name, uint32 len,
							   const MoValue *v);
extern bool mo_violate_branches(MoWalk *w, const MoNode *node,
								const char *keyword, MoNode **branches,
								int count, const MoValue *v, int mode);
extern const char *mo_walk_place(const MoWalk *w);
extern const char *mo_sign(const char *sign, const char *ascii);
extern void mo_violation_classify(MoWalk *w);
extern void mo_violation_redact(MoWalk *w);

#endif							/* MO_WALK_H */
