/*-------------------------------------------------------------------------
 *
 * catalog.h
 *	  Reads mesh_outbox's tables as the catalog: newest committed state,
 *	  whatever snapshot the transaction has.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_CATALOG_H
#define MO_CATALOG_H

#include "access/htup.h"
#include "datatype/timestamp.h"
#include "nodes/pg_list.h"
#include "utils/jsonb.h"

typedef enum MoStatus
{
	MO_STATUS_DRAFT,
	MO_STATUS_PROPOSED,
	MO_STATUS_ACTIVE,
	MO_STATUS_DEPRECATED,
	MO_STATUS_RETIRED
} MoStatus;

typedef enum MoEnforcement
{
	MO_ENFORCE_OFF,
	MO_ENFORCE_OBSERVE,
	MO_ENFORCE_QUARANTINE,
	MO_ENFORCE_ENFORCE
} MoEnforcement;

/* What decides which contract is in force. */
typedef struct MoContractVersion
{
	int64		contract_id;
	const char *event_type;
	int32		major;
	int32		minor;
	int32		patch;
	MoStatus	status;
} MoContractVersion;

/* What the check needs of one contract. */
typedef struct MoContractRow
{
	MoContractVersion version;
	const char *product;
	MoEnforcement enforcement;
	int32		rollout;		/* per cent of the keys it is applied to */
	bool		open;
	Jsonb	   *resolved_schema;
	const char *key_pointer;
	const char *event_time_pointer; /* NULL: the event has none */
	Interval   *max_lateness;	/* NULL: any */
	Jsonb	   *key_schema;		/* NULL: any */
	Jsonb	   *headers_schema; /* NULL: any */
	Jsonb	   *anomalies;		/* NULL: none */
} MoContractRow;

typedef struct MoOutboxRow
{
	Oid			relation;
	const char *product;
	Jsonb	   *pinned;			/* event type -> major */
} MoOutboxRow;

/*
 * All results are allocated in the current memory context.  False, or NIL,
 * when there is no such row.
 */
extern bool mo_catalog_get_outbox(int32 outbox_id, MoOutboxRow *row);
/* Is this table registered as an outbox?  False too when nothing can be. */
extern bool mo_catalog_is_outbox(Oid relation);
extern bool mo_catalog_get_contract(int64 contract_id, MoContractRow *row);

/* From a row that need not be in the table; error when it is another's. */
extern void mo_catalog_read_contract(HeapTupleHeader header,
									 MoContractRow *row);

/* enforce, quarantine, … as the catalog and people write it. */
extern const char *mo_catalog_enforcement_word(MoEnforcement enforcement);

/* What no contract of this database is enforced beyond. */
extern MoEnforcement mo_catalog_get_enforcement_cap(void);

/* The versions of one event type; of all the product's when it is NULL. */
extern List *mo_catalog_list_versions(const char *product,
									  const char *event_type);

/*
 * Does this publisher's slot exist, on this server and for this database?
 * Only then is an event that is inserted now part of its stream.
 */
extern bool mo_catalog_publisher_ready(int32 publisher_id);

/* The publisher's name; "?" when it is gone. */
extern const char *mo_catalog_publisher_name(int32 publisher_id);

/* The table mesh_outbox.name; error when the extension is half there. */
extern Oid	mo_catalog_table(const char *name);

#endif							/* MO_CATALOG_H */
