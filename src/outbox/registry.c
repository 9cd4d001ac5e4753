/*-------------------------------------------------------------------------
 *
 * registry.c
 *	  What a backend knows about outboxes and the contracts in force.
 *
 * Called by the check trigger for every row.  Owns, in a memory context of
 * its own below CacheMemoryContext:
 *
 *	  tables	 relation -> its columns, outbox, product, pinned majors
 *	  routes	 (outbox, event type, major) -> the contract in force
 *	  contracts	 id -> compiled schema, key and event time pointers
 *
 * Only answers are kept, never their absence: a contract that is activated in
 * the middle of a transaction is found by its next row, and so is the slot of
 * a publisher that has just become ready.
 *
 * Invalidation.  A change of mesh_outbox.contract, outbox, progress or
 * enforcement_cap makes the whole registry stale; a relcache message for an outbox, its own entry.
 * Plain tables send no relcache message when rows change, so triggers
 * on those tables do (mo_registry_announce_change).  The callback
 * only sets flags, for it may run wherever a lock is taken, also while an
 * entry is being loaded; entries are freed when the next row arrives.
 * That a backend hears of a change in time is the cut-over's business: it
 * holds a lock that conflicts with inserting, and a message is read whenever
 * such a lock is granted.
 *
 * Size is bounded: past REGISTRY_LIMIT the backend starts over.  A working
 * set that large compiles its schemas again and again, which is slow, but a
 * backend that runs the server out of memory is worse.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "catalog/partition.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "fmgr.h"
#include "utils/builtins.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "mesh_outbox.h"
#include "outbox/registry.h"
#include "outbox/violated.h"

/* Bytes: above 10,000 contracts of the usual size (15 fields take 14 kB). */
#define REGISTRY_LIMIT	(256 * 1024 * 1024)

typedef struct RouteKey
{
	int32		outbox_id;
	int32		major;			/* MO_MAJOR_PINNED: as the outbox pins it */
	const char *event_type;
	int			len;
} RouteKey;

typedef struct MoRoute
{
	RouteKey	key;
	const MoContract *contract;
} MoRoute;

typedef struct ContractEntry
{
	int64		contract_id;
	MoContract *contract;
} ContractEntry;

static struct
{
	MemoryContext context;		/* NULL until first used */
	bool		stale;
	uint64		messages;		/* relcache messages seen */
	Size		size;			/* of tables and contracts, about */
	HTAB	   *tables;
	HTAB	   *routes;
	HTAB	   *contracts;
	MoTable    *last_table;		/* most statements insert into one table */
	/* what the content was read from */
	Oid			contract_relid;
	Oid			outbox_relid;
	Oid			progress_relid;
	Oid			cap_relid;
}			registry;

/* Our names of the columns, and the types they must have. */
static const struct
{
	const char *name;
	Oid			type;
}			columns[MO_NCOLUMNS] =
{
	[MO_COLUMN_EVENT_ID] = {"event_id", UUIDOID},
	[MO_COLUMN_EVENT_TYPE] = {"event_type", TEXTOID},
	[MO_COLUMN_MAJOR_VERSION] = {"major_version", INT4OID},
	[MO_COLUMN_KEY] = {"key", TEXTOID},
	[MO_COLUMN_PAYLOAD] = {"payload", JSONBOID},
	[MO_COLUMN_EVENT_TIME] = {"event_time", TIMESTAMPTZOID},
	[MO_COLUMN_HEADERS] = {"headers", JSONBOID},
	[MO_COLUMN_CONTRACT_ID] = {"contract_id", INT8OID},
	[MO_COLUMN_CREATED_AT] = {"created_at", TIMESTAMPTZOID},
	[MO_COLUMN_CORRELATION_ID] = {"correlation_id", TEXTOID},
	[MO_COLUMN_CAUSATION_ID] = {"causation_id", TEXTOID},
	[MO_COLUMN_TRACEPARENT] = {"traceparent", TEXTOID},
};

PG_FUNCTION_INFO_V1(mo_registry_announce_change);

/* ----------------------------------------------------------------
 * Life of the cache
 * ----------------------------------------------------------------
 */

/* Relcache callback; "relid" is InvalidOid when anything may have changed. */
static void
forget_relation(Datum arg, Oid relid)
{
	MoTable    *table;

	if (registry.context == NULL)
		return;
	registry.messages++;
	if (!OidIsValid(relid) || relid == registry.contract_relid ||
		relid == registry.outbox_relid || relid == registry.progress_relid ||
		relid == registry.cap_relid)
	{
		registry.stale = true;
		return;
	}
	table = hash_search(registry.tables, &relid, HASH_FIND, NULL);
	if (table != NULL)
		table->valid = false;
}

static uint32
hash_route(const void *key, Size keysize)
{
	const RouteKey *route = key;

	return hash_bytes((const unsigned char *) route->event_type, route->len) ^
		murmurhash32((uint32) route->outbox_id * 31 + (uint32) route->major);
}

static int
compare_routes(const void *a, const void *b, Size keysize)
{
	const RouteKey *x = a;
	const RouteKey *y = b;

	return x->outbox_id != y->outbox_id || x->major != y->major ||
		x->len != y->len || memcmp(x->event_type, y->event_type, x->len) != 0;
}

static HTAB *
create_hash(MemoryContext context, const char *name, Size keysize,
			Size entrysize, HashValueFunc hash, HashCompareFunc match)
{
	HASHCTL		ctl = {
		.keysize = keysize,
		.entrysize = entrysize,
		.hash = hash,
		.match = match,
		.hcxt = context,
	};

	return hash_create(name, 32, &ctl, HASH_ELEM | HASH_CONTEXT |
					   (hash != NULL ? HASH_FUNCTION | HASH_COMPARE :
						HASH_BLOBS));
}

/* An empty registry, in place of what there was. */
static void
start_over(void)
{
	static bool registered = false;
	MemoryContext context;

	if (!registered)
	{
		CacheRegisterRelcacheCallback(forget_relation, (Datum) 0);
		registered = true;
	}
	if (registry.context != NULL)
		MemoryContextDelete(registry.context);
	memset(&registry, 0, sizeof(registry));

	registry.contract_relid = mo_catalog_table("contract");
	registry.outbox_relid = mo_catalog_table("outbox");
	registry.progress_relid = mo_catalog_table("progress");
	registry.cap_relid = mo_catalog_table("enforcement_cap");

	context = AllocSetContextCreate(CacheMemoryContext, "mesh_outbox registry",
									ALLOCSET_DEFAULT_SIZES);
	registry.tables = create_hash(context, "mesh_outbox tables", sizeof(Oid),
								  sizeof(MoTable), NULL, NULL);
	registry.routes = create_hash(context, "mesh_outbox routes",
								  sizeof(RouteKey), sizeof(MoRoute),
								  hash_route, compare_routes);
	registry.contracts = create_hash(context, "mesh_outbox contracts",
									 sizeof(int64), sizeof(ContractEntry),
									 NULL, NULL);
	registry.context = context;
}

/* A new part of the content is complete: keep it. */
static void
adopt_context(MemoryContext context)
{
	MemoryContextSetParent(context, registry.context);
	registry.size += MemoryContextMemAllocated(context, true);
	if (registry.size > REGISTRY_LIMIT)
		registry.stale = true;
}

/*
 * AFTER trigger of the tables that the registry is read from: every backend's
 * registry is stale once this transaction commits, this backend's own at the
 * next command.
 */
Datum
mo_registry_announce_change(PG_FUNCTION_ARGS)
{
	TriggerData *trigdata = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo) ||
		!TRIGGER_FIRED_AFTER(trigdata->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("%s.announce_change() must be called by an AFTER trigger",
						MO_SCHEMA)));
	CacheInvalidateRelcacheByRelid(RelationGetRelid(trigdata->tg_relation));
	return PointerGetDatum(NULL);
}

/* ----------------------------------------------------------------
 * Tables
 * ----------------------------------------------------------------
 */

/*
 * The table's name of one of our columns: an argument of the trigger from the
 * third on says "ours=theirs" where it differs.
 */
static const char *
mapped_name(const Trigger *trigger, const char *ours)
{
	size_t		len = strlen(ours);

	for (int i = 2; i < trigger->tgnargs; i++)
	{
		const char *arg = trigger->tgargs[i];

		if (strncmp(arg, ours, len) == 0 && arg[len] == '=')
			return arg + len + 1;
	}
	return ours;
}

static AttrNumber
find_column(Relation rel, const char *theirs, MoColumn column)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);
		Oid			type = columns[column].type;

		if (att->attisdropped || strcmp(NameStr(att->attname), theirs) != 0)
			continue;
		if (att->atttypid == type)
			return att->attnum;
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" of outbox \"%s\" has type %s, not %s",
						theirs, RelationGetRelationName(rel),
						format_type_be(att->atttypid), format_type_be(type)),
				 errtablecol(rel, att->attnum)));
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("outbox \"%s\" has no column \"%s\"",
					RelationGetRelationName(rel), theirs),
			 errhint("Give the column back its name, or attach the outbox again with the new one."),
			 errtable(rel)));
	return InvalidAttrNumber;	/* keep the compiler quiet */
}

/* Is the trigger's table the outbox it claims to be, or a partition of it? */
static void
verify_identity(Relation rel, const MoTable *table, Oid outbox_relid)
{
	if (table->relid == outbox_relid)
		return;
	if (table->is_partition)
	{
		List	   *ancestors = get_partition_ancestors(table->relid);
		bool		found = list_member_oid(ancestors, outbox_relid);

		list_free(ancestors);
		if (found)
			return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is not outbox %d",
					RelationGetRelationName(rel), table->outbox_id),
			 errdetail("Its check trigger names an outbox that is another table, or is no longer there."),
			 errhint("Make it an outbox with mesh_outbox.attach_outbox(), or drop its trigger."),
			 errtable(rel)));
}

/* Fills the entry; "context" is current and becomes the entry's. */
static void
load_table(MoTable *table, Relation rel, const Trigger *trigger)
{
	int			natts = RelationGetDescr(rel)->natts;
	MoOutboxRow row = {0};

	if (trigger->tgnargs < 2)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("trigger \"%s\" lacks the outbox and the publisher as arguments",
						trigger->tgname)));
	table->outbox_id = pg_strtoint32(trigger->tgargs[0]);
	table->publisher_id = pg_strtoint32(trigger->tgargs[1]);
	table->is_partition = rel->rd_rel->relispartition;
	table->publisher_ready = table->publisher_id == 0;
	table->last_route = NULL;

	mo_catalog_get_outbox(table->outbox_id, &row);
	verify_identity(rel, table, row.relation);
	table->product = row.product;
	table->pinned = row.pinned;

	for (int i = 0; i < MO_NCOLUMNS; i++)
		table->attnums[i] =
			find_column(rel, mapped_name(trigger, columns[i].name), i);
	table->values = palloc(sizeof(Datum) * natts);
	table->isnull = palloc(sizeof(bool) * natts);
}

/* Finds or makes the entry; the slow half of mo_registry_get_table. */
static MoTable *
search_table(Relation rel, const Trigger *trigger)
{
	Oid			relid = RelationGetRelid(rel);
	uint64		messages = registry.messages;
	MemoryContext context;
	MemoryContext caller;
	MoTable    *table;
	bool		found;

	table = hash_search(registry.tables, &relid, HASH_ENTER, &found);
	if (found && table->valid)
		return table;
	if (found && table->context != NULL)
		MemoryContextDelete(table->context);
	table->context = NULL;
	table->valid = false;
	table->noted_role = InvalidOid;

	context = AllocSetContextCreate(CurrentMemoryContext, "mesh_outbox table",
									ALLOCSET_SMALL_SIZES);
	caller = MemoryContextSwitchTo(context);
	load_table(table, rel, trigger);
	MemoryContextSwitchTo(caller);
	adopt_context(context);
	table->context = context;
	/* A message that came while we read may have been about what we read. */
	table->valid = registry.messages == messages;
	return table;
}

MoTable *
mo_registry_get_table(Relation rel, const Trigger *trigger)
{
	MoTable    *table = registry.last_table;

	if (registry.context == NULL || registry.stale)
		start_over();
	else if (table != NULL && table->valid &&
			 table->relid == RelationGetRelid(rel))
		return table;

	table = search_table(rel, trigger);
	registry.last_table = table;
	return table;
}

bool
mo_registry_publisher_ready(MoTable *table)
{
	if (!table->publisher_ready)
		table->publisher_ready =
			mo_catalog_publisher_ready(table->publisher_id);
	return table->publisher_ready;
}

/* ----------------------------------------------------------------
 * Contracts
 * ----------------------------------------------------------------
 */

/* From the cache or the catalog; the registry is up to date. */
static const MoContract *
load_contract(int64 contract_id)
{
	ContractEntry *entry;
	MoContract *contract;
	MoContractRow row;
	MemoryContext context;

	entry = hash_search(registry.contracts, &contract_id, HASH_FIND, NULL);
	if (entry != NULL)
		return entry->contract;

	if (!mo_catalog_get_contract(contract_id, &row))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("contract %lld does not exist",
						(long long) contract_id)));
	context = AllocSetContextCreate(CurrentMemoryContext,
									"mesh_outbox contract",
									ALLOCSET_SMALL_SIZES);
	contract = mo_contract_compile(&row, context);
	adopt_context(context);
	entry = hash_search(registry.contracts, &contract_id, HASH_ENTER, NULL);
	entry->contract = contract;
	return contract;
}

void
mo_registry_count_violation(const MoContract *contract, MoViolationKind kind,
							TimestampTz now)
{
	MoContract *mine = unconstify(MoContract *, contract);

	if (mine->counter == NULL)
		mine->counter = mo_violations_claim(registry.contract_relid,
											contract->contract_id);
	if (mine->counter != NULL)
		mo_violations_count(mine->counter, kind, now);
}

void
mo_registry_count_rules(const MoContract *contract, const List *violations,
						TimestampTz now)
{
	mo_violated_count(registry.contract_relid, contract->contract_id,
					  violations, now);
}

const MoContract *
mo_registry_load_contract(int64 contract_id)
{
	if (registry.context == NULL || registry.stale)
		start_over();
	return load_contract(contract_id);
}

bool
mo_registry_in_force(const MoContractVersion *version)
{
	return version->status == MO_STATUS_ACTIVE ||
		version->status == MO_STATUS_DEPRECATED;
}

static bool
is_later(const MoContractVersion *a, const MoContractVersion *b)
{
	return a->minor != b->minor ? a->minor > b->minor : a->patch > b->patch;
}

int32
mo_registry_pinned_major(const MoTable *table, const char *event_type, int len)
{
	JsonbValue	value;

	if (getKeyJsonValueFromContainer(&table->pinned->root, event_type, len,
									 &value) == NULL ||
		value.type != jbvNumeric)
		return MO_MAJOR_PINNED;
	return numeric_int4_opt_error(value.val.numeric, NULL);
}

/*
 * The highest version in force of a major; NULL when there is none.  A row
 * that means the pinned major of a type that is not pinned gets the only
 * major in force; when there are several, the row has to say which.
 */
static const MoContractVersion *
choose_version(List *versions, int32 major)
{
	const MoContractVersion *best = NULL;
	ListCell   *lc;

	foreach(lc, versions)
	{
		const MoContractVersion *version = lfirst(lc);

		if (!mo_registry_in_force(version) ||
			(major != MO_MAJOR_PINNED && version->major != major))
			continue;
		if (best != NULL && best->major != version->major)
			return NULL;
		if (best == NULL || is_later(version, best))
			best = version;
	}
	return best;
}

/* Finds the way to a contract that is not in the cache of routes. */
static MoRoute *
load_route(const MoTable *table, RouteKey *key)
{
	char	   *event_type = pnstrdup(key->event_type, key->len);
	int32		major = key->major;
	const MoContractVersion *version;
	const MoContract *contract;
	MoRoute    *route;

	if (major == MO_MAJOR_PINNED)
		major = mo_registry_pinned_major(table, key->event_type, key->len);
	version = choose_version(mo_catalog_list_versions(table->product,
													  event_type), major);
	if (version == NULL)
		return NULL;

	contract = load_contract(version->contract_id);
	key->event_type = contract->event_type; /* lives as long as the route */
	route = hash_search(registry.routes, key, HASH_ENTER, NULL);
	route->contract = contract;
	return route;
}

const MoContract *
mo_registry_get_contract(MoTable *table, const char *event_type, int len,
						 int32 major)
{
	RouteKey	key = {table->outbox_id, major, event_type, len};
	MoRoute    *route = table->last_route;

	if (route != NULL && compare_routes(&route->key, &key, sizeof(key)) == 0)
		return route->contract;

	route = hash_search(registry.routes, &key, HASH_FIND, NULL);
	if (route == NULL)
		route = load_route(table, &key);
	if (route == NULL)
		return NULL;
	table->last_route = route;
	mo_schema_prefetch(route->contract->schema);
	return route->contract;
}
