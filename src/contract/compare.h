/*-------------------------------------------------------------------------
 *
 * compare.h
 *	  Comparing schemas: verdicts that are proved, or refuted by a document.
 *
 * Used by the SQL functions and by the checks of a proposed contract.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_COMPARE_H
#define MO_COMPARE_H

#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef enum MoVerdict
{
	MO_PROVED,
	MO_REFUTED,
	MO_UNDECIDED
} MoVerdict;

/* How a schema is to be read (DESIGN section 8). */
typedef enum MoReadingKind
{
	MO_AS_WRITTEN,
	MO_AS_PRODUCER,				/* P: closed */
	MO_AS_READER				/* R: open */
} MoReadingKind;

typedef struct MoReading
{
	Jsonb	   *schema;
	MoReadingKind kind;
} MoReading;

typedef struct MoComparison
{
	MoVerdict	verdict;
	const char *reason;			/* how it was found, or why it was not */
	const char *undecided_by;	/* keyword that stayed undecided, or NULL */
	Jsonb	   *witness;		/* a document; NULL when there is none */
	const char *path;			/* where it breaks the other schema, */
	const char *keyword;		/* by what, */
	const char *message;		/* and in words */
	bool		kept_closed;	/* a schema stayed closed to its reader */
} MoComparison;

/* Settings mesh_outbox.compare_timeout (ms) and compare_memory (kB). */
extern int	mo_guc_compare_timeout;
extern int	mo_guc_compare_memory;

extern void mo_compare_init(void);	/* from _PG_init */

/*
 * Is every document of "sub" one of "super"?  Proved, or refuted with a
 * witness that the validator takes for one and not for the other.
 */
extern MoComparison *mo_compare_subset(const MoReading *sub,
									   const MoReading *super,
									   bool assert_formats);

/*
 * The same, but when it is refuted with one comparison for every part of
 * "super" that some document of "sub" breaks: a List of MoComparison.
 */
extern List *mo_compare_parts(const MoReading *sub, const MoReading *super,
							  bool assert_formats);

/*
 * Is there a document of all the schemas?  Proved means there is one (the
 * witness), refuted that there is none.
 */
extern MoComparison *mo_compare_satisfy(const MoReading *schemas, int n,
										bool assert_formats);
extern const char *mo_verdict_name(MoVerdict verdict);

#endif							/* MO_COMPARE_H */
