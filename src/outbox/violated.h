/*-------------------------------------------------------------------------
 *
 * violated.h
 *	  Which rules of their contracts events break, and how often.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_VIOLATED_H
#define MO_VIOLATED_H

#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "storage/lwlock.h"

/* Rules of one server that are remembered, the latest broken ones. */
#define MO_MAX_VIOLATED_RULES	1024

/* Longest place in a schema that is remembered whole, with its zero byte. */
#define MO_VIOLATED_PLACE_LENGTH	192

/* In place of a keyword: the property is not declared anywhere. */
#define MO_UNKNOWN_PROPERTY	"unknown property"

/* A rule is told apart by everything but the count and the times. */
typedef struct MoViolatedRule
{
	Oid			database;
	Oid			contract_relid; /* InvalidOid: free */
	int64		contract_id;
	char		place[MO_VIOLATED_PLACE_LENGTH];
	char		rule[NAMEDATALEN];
	uint64		events;
	TimestampTz first_at;
	TimestampTz last_at;
} MoViolatedRule;

typedef struct MoViolatedRules
{
	LWLock	   *lock;			/* guards the rest */
	MoViolatedRule entries[MO_MAX_VIOLATED_RULES];
} MoViolatedRules;

/*
 * One event broke these rules (a List of MoViolation; each counts once).
 * Does nothing without shared memory.  Not undone by a rollback.
 */
extern void mo_violated_count(Oid contract_relid, int64 contract_id,
							  const List *violations, TimestampTz now);

#endif							/* MO_VIOLATED_H */
