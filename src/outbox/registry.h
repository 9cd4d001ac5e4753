/*-------------------------------------------------------------------------
 *
 * registry.h
 *	  What a backend knows about outboxes and the contracts in force.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_REGISTRY_H
#define MO_REGISTRY_H

#include "commands/trigger.h"
#include "utils/rel.h"

#include "contract/schema.h"
#include "outbox/anomaly.h"
#include "outbox/catalog.h"
#include "outbox/pointer.h"
#include "outbox/violations.h"

/* The columns of an outbox: the check reads or stamps all but the last three. */
typedef enum MoColumn
{
	MO_COLUMN_EVENT_ID,
	MO_COLUMN_EVENT_TYPE,
	MO_COLUMN_MAJOR_VERSION,
	MO_COLUMN_KEY,
	MO_COLUMN_PAYLOAD,
	MO_COLUMN_EVENT_TIME,
	MO_COLUMN_HEADERS,
	MO_COLUMN_CONTRACT_ID,
	MO_COLUMN_CREATED_AT,
	MO_COLUMN_CORRELATION_ID,
	MO_COLUMN_CAUSATION_ID,
	MO_COLUMN_TRACEPARENT
} MoColumn;

#define MO_NCOLUMNS (MO_COLUMN_TRACEPARENT + 1)

/* A contract, ready to be applied. */
typedef struct MoContract
{
	int64		contract_id;
	const char *product;
	const char *event_type;
	const char *version;		/* "1.2.0" */
	int32		major;
	MoEnforcement enforcement;	/* with the database's cap */
	int			rollout;		/* per cent of the keys; others are observed */
	bool		classified;		/* has values that no message may show */
	const MoSchema *schema;
	const MoSchema *headers;	/* NULL: any */
	const MoSchema *key_schema; /* NULL: any */
	const MoPointer *key;
	const MoPointer *event_time;	/* NULL: not in the payload */
	const Interval *max_lateness;	/* NULL: any */
	const MoAnomalies *anomalies;	/* NULL: none */
	MoViolationCounter *counter;	/* NULL: not claimed yet */
} MoContract;

/* contract.c: the contract of that row, in that context. */
extern MoContract *mo_contract_compile(const MoContractRow *row,
									   MemoryContext context);

/* contract.c: how strictly it is applied to an event that is in breach of it. */
extern MoEnforcement mo_contract_enforcement(const MoContract *contract,
											 Jsonb *payload);

/* One table, or partition, that events are inserted into. */
typedef struct MoTable
{
	Oid			relid;			/* hash key */
	bool		valid;
	bool		publisher_ready;
	bool		is_partition;
	int32		outbox_id;
	int32		publisher_id;	/* 0: nobody publishes */
	const char *product;
	Jsonb	   *pinned;			/* event type -> major */
	AttrNumber	attnums[MO_NCOLUMNS];
	/* the row in work, of this table's width */
	Datum	   *values;
	bool	   *isnull;
	struct MoRoute *last_route; /* most tables see few event types */
	/* whose use of it was noted last, and until when that will do: uses.c */
	Oid			noted_role;
	TimestampTz note_again;
	MemoryContext context;		/* owns all of the above but the struct */
} MoTable;

/* In place of a major version: the row names none.  No contract has it. */
#define MO_MAJOR_PINNED		PG_INT32_MIN

/*
 * The table as the trigger finds it.  It and the contracts found stay valid
 * until the next call of this function or the next in this backend.
 */
extern MoTable *mo_registry_get_table(Relation rel, const Trigger *trigger);

/* An event of the contract breaks it. */
extern void mo_registry_count_violation(const MoContract *contract,
										MoViolationKind kind, TimestampTz now);

/* What an event that may pass all the same was wrong with: MoViolations. */
extern void mo_registry_count_rules(const MoContract *contract,
									const List *violations, TimestampTz now);

/* A contract in whatever status; error when there is none of that id. */
extern const MoContract *mo_registry_load_contract(int64 contract_id);

/* Is the publisher's slot there, so that an event inserted now is in it? */
extern bool mo_registry_publisher_ready(MoTable *table);

/* The contract in force, or NULL. */
extern const MoContract *mo_registry_get_contract(MoTable *table,
												  const char *event_type,
												  int len, int32 major);

/* The major that a row without one means; MO_MAJOR_PINNED if not pinned. */
extern int32 mo_registry_pinned_major(const MoTable *table,
									  const char *event_type, int len);

/* Is this version one that events may be checked against? */
extern bool mo_registry_in_force(const MoContractVersion *version);

#endif							/* MO_REGISTRY_H */
