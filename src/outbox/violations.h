/*-------------------------------------------------------------------------
 *
 * violations.h
 *	  How often the payloads of a contract's events break it.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_VIOLATIONS_H
#define MO_VIOLATIONS_H

#include "datatype/timestamp.h"
#include "port/atomics.h"

/* Contracts of one server whose events were ever in breach. */
#define MO_MAX_VIOLATED		1024

/* What became of an event in breach of its contract. */
typedef enum MoViolationKind
{
	MO_VIOLATION_REFUSED,		/* enforce */
	MO_VIOLATION_QUARANTINED,
	MO_VIOLATION_OBSERVED
} MoViolationKind;

#define MO_NVIOLATION_KINDS (MO_VIOLATION_OBSERVED + 1)

/*
 * A contract is told by the table it is in as well, for the ids start again
 * when the extension is re-created.  Claimed under MoShared.lock, never freed.
 */
typedef struct MoViolationCounter
{
	Oid			database;
	Oid			contract_relid; /* InvalidOid: the slot is free */
	int64		contract_id;
	pg_atomic_uint64 counts[MO_NVIOLATION_KINDS];
	pg_atomic_uint64 last_at;	/* TimestampTz */
} MoViolationCounter;

extern void mo_violations_init(MoViolationCounter *counters);

/*
 * The counter of a contract; NULL without shared memory, or when as many
 * others have one.
 */
extern MoViolationCounter *mo_violations_claim(Oid contract_relid,
											   int64 contract_id);

/* Not undone by a rollback: a refused event never commits. */
extern void mo_violations_count(MoViolationCounter *counter,
								MoViolationKind kind, TimestampTz now);

#endif							/* MO_VIOLATIONS_H */
