/*-------------------------------------------------------------------------
 *
 * refusals.h
 *	  Whose events were refused lately.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_REFUSALS_H
#define MO_REFUSALS_H

#include "datatype/timestamp.h"
#include "storage/lwlock.h"
#include "utils/relcache.h"

/* Kinds of refusals of one server that are remembered, the latest ones. */
#define MO_MAX_REFUSALS		128

/* Longest event type that is remembered whole, with its zero byte. */
#define MO_REFUSED_TYPE_LENGTH	129

/* Kinds are told apart by everything but the count and the times. */
typedef struct MoRefusal
{
	Oid			database;
	Oid			relid;			/* table or partition; InvalidOid: free */
	Oid			role;
	char		event_type[MO_REFUSED_TYPE_LENGTH];
	char		application[NAMEDATALEN];
	char		reason[NAMEDATALEN];
	uint64		count;
	TimestampTz first_at;
	TimestampTz last_at;
} MoRefusal;

typedef struct MoRefusals
{
	LWLock	   *lock;			/* guards the rest */
	MoRefusal	entries[MO_MAX_REFUSALS];
} MoRefusals;

/* "reason" is a word for programs.  Does nothing without shared memory. */
extern void mo_refusals_note(Relation rel, const char *event_type,
							 const char *reason);

#endif							/* MO_REFUSALS_H */
