/*-------------------------------------------------------------------------
 *
 * catalog.c
 *	  Reads mesh_outbox's tables as the catalog.
 *
 * Called by the check's registry (registry.c) when its cache has no answer,
 * by refusals (refuse.c) to explain themselves, and when somebody drops a
 * check (protect.c); never on the fast path.
 *
 * Everything is read by systable scans with the catalog snapshot.  For a
 * table without syscache that snapshot is taken anew for each scan, so also a
 * REPEATABLE READ transaction that began before a contract was activated is
 * held to that contract: the rules for new rows are those in force when the
 * row is inserted, as with a CHECK constraint.  SPI would apply the
 * transaction's old snapshot.  A systable scan also asks for no privilege: a
 * domain's role can insert events without seeing other domains' contracts.
 *
 * Columns are found by name, for an upgrade of the extension may append some.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

#include "mesh_outbox.h"
#include "outbox/catalog.h"

/* A row of one of our tables while it is being read. */
typedef struct CatalogRow
{
	Relation	rel;
	HeapTuple	tuple;
} CatalogRow;

/* "mesh_outbox.name", or InvalidOid. */
static Oid
find_relation(const char *name)
{
	Oid			schema = get_namespace_oid(MO_SCHEMA, true);

	return OidIsValid(schema) ? get_relname_relid(name, schema) : InvalidOid;
}

Oid
mo_catalog_table(const char *name)
{
	Oid			relid = find_relation(name);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table %s.%s does not exist", MO_SCHEMA, name),
				 errhint("Re-create the extension mesh_outbox.")));
	return relid;
}

static AttrNumber
column_number(Relation rel, const char *name)
{
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && strcmp(NameStr(att->attname), name) == 0)
			return att->attnum;
	}
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_COLUMN),
			 errmsg("table %s.%s has no column \"%s\"", MO_SCHEMA,
					RelationGetRelationName(rel), name),
			 errhint("Bring the extension's catalog up to the library: ALTER EXTENSION mesh_outbox UPDATE.")));
	return InvalidAttrNumber;	/* keep the compiler quiet */
}

/*
 * An equality key.  It takes the column's own collation: with the default one
 * of ScanKeyInit (C) a btree of another collation would be descended wrongly.
 */
static void
equal_key(ScanKey key, Relation rel, const char *column, RegProcedure proc,
		  Datum value)
{
	AttrNumber	attnum = column_number(rel, column);
	Oid			collation = TupleDescAttr(RelationGetDescr(rel),
										  attnum - 1)->attcollation;

	ScanKeyEntryInitialize(key, 0, attnum, BTEqualStrategyNumber, InvalidOid,
						   collation, proc, value);
}

/* The datum of a column, valid until the scan's next tuple. */
static Datum
column_datum(const CatalogRow *row, const char *column, bool *isnull)
{
	return heap_getattr(row->tuple, column_number(row->rel, column),
						RelationGetDescr(row->rel), isnull);
}

/* A NOT NULL column. */
static Datum
column_value(const CatalogRow *row, const char *column)
{
	bool		isnull;
	Datum		value = column_datum(row, column, &isnull);

	if (isnull)
		elog(ERROR, "%s.%s.%s is null", MO_SCHEMA,
			 RelationGetRelationName(row->rel), column);
	return value;
}

static char *
column_text(const CatalogRow *row, const char *column)
{
	return TextDatumGetCString(column_value(row, column));
}

static char *
column_text_or_null(const CatalogRow *row, const char *column)
{
	bool		isnull;
	Datum		value = column_datum(row, column, &isnull);

	return isnull ? NULL : TextDatumGetCString(value);
}

static Interval *
column_interval_or_null(const CatalogRow *row, const char *column)
{
	bool		isnull;
	Datum		value = column_datum(row, column, &isnull);
	Interval   *copy;

	if (isnull)
		return NULL;
	copy = palloc(sizeof(Interval));
	*copy = *DatumGetIntervalP(value);
	return copy;
}

static Jsonb *
column_jsonb(const CatalogRow *row, const char *column)
{
	return DatumGetJsonbPCopy(column_value(row, column));
}

static Jsonb *
column_jsonb_or_null(const CatalogRow *row, const char *column)
{
	bool		isnull;
	Datum		value = column_datum(row, column, &isnull);

	return isnull ? NULL : DatumGetJsonbPCopy(value);
}

/* Index of a word in a NULL-terminated list that mirrors an enum. */
static int
word_index(const char *const *words, const char *word)
{
	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("unknown word \"%s\" in the catalog of mesh_outbox", word)));
	return -1;					/* keep the compiler quiet */
}

static void
read_version(const CatalogRow *row, MoContractVersion *version)
{
	static const char *const statuses[] =
	{"draft", "proposed", "active", "deprecated", "retired", NULL};

	version->contract_id = DatumGetInt64(column_value(row, "contract_id"));
	version->event_type = column_text(row, "event_type");
	version->major = DatumGetInt32(column_value(row, "major"));
	version->minor = DatumGetInt32(column_value(row, "minor"));
	version->patch = DatumGetInt32(column_value(row, "patch"));
	version->status = word_index(statuses, column_text(row, "status"));
}

static const char *const enforcement_words[] =
{"off", "observe", "quarantine", "enforce", NULL};

static MoEnforcement
read_enforcement(const CatalogRow *row)
{
	return word_index(enforcement_words, column_text(row, "enforcement"));
}

const char *
mo_catalog_enforcement_word(MoEnforcement enforcement)
{
	return enforcement_words[enforcement];
}

static void
read_contract(const CatalogRow *row, void *result)
{
	MoContractRow *contract = result;

	read_version(row, &contract->version);
	contract->product = column_text(row, "product");
	contract->enforcement = read_enforcement(row);
	contract->rollout = DatumGetInt32(column_value(row, "rollout"));
	contract->open = DatumGetBool(column_value(row, "open"));
	contract->resolved_schema = column_jsonb(row, "resolved_schema");
	contract->key_pointer = column_text(row, "key_pointer");
	contract->event_time_pointer = column_text_or_null(row,
													   "event_time_pointer");
	contract->max_lateness = column_interval_or_null(row, "max_lateness");
	contract->key_schema = column_jsonb_or_null(row, "key_schema");
	contract->headers_schema = column_jsonb_or_null(row, "headers_schema");
	contract->anomalies = column_jsonb_or_null(row, "anomalies");
}

static void
read_cap(const CatalogRow *row, void *result)
{
	*(MoEnforcement *) result = read_enforcement(row);
}

static void
read_outbox(const CatalogRow *row, void *result)
{
	MoOutboxRow *outbox = result;

	outbox->relation = DatumGetObjectId(column_value(row, "relation"));
	outbox->product = column_text(row, "product");
	outbox->pinned = column_jsonb(row, "pinned");
}

static void
read_progress(const CatalogRow *row, void *result)
{
	int64		system = DatumGetInt64(column_value(row, "system_identifier"));
	Oid			database = DatumGetObjectId(column_value(row, "database_oid"));

	*(bool *) result = (uint64) system == GetSystemIdentifier() &&
		database == MyDatabaseId;
}

static void
read_name(const CatalogRow *row, void *result)
{
	*(char **) result = column_text(row, "name");
}

/* Finds one row by its primary key and hands it to "read". */
static bool
get_by_key(const char *table, const char *index, const char *column,
		   RegProcedure proc, Datum value,
		   void (*read) (const CatalogRow *row, void *result), void *result)
{
	CatalogRow	row;
	Oid			index_oid = find_relation(index);
	SysScanDesc scan;
	ScanKeyData key;
	bool		found;

	row.rel = table_open(mo_catalog_table(table), AccessShareLock);
	equal_key(&key, row.rel, column, proc, value);
	scan = systable_beginscan(row.rel, index_oid, OidIsValid(index_oid), NULL,
							  1, &key);
	row.tuple = systable_getnext(scan);
	found = HeapTupleIsValid(row.tuple);
	if (found)
		read(&row, result);
	systable_endscan(scan);
	table_close(row.rel, AccessShareLock);
	return found;
}

bool
mo_catalog_get_outbox(int32 outbox_id, MoOutboxRow *row)
{
	return get_by_key("outbox", "outbox_pkey", "outbox_id", F_INT4EQ,
					  Int32GetDatum(outbox_id), read_outbox, row);
}

static void
read_nothing(const CatalogRow *row, void *result)
{
}

bool
mo_catalog_is_outbox(Oid relation)
{
	return OidIsValid(find_relation("outbox")) &&
		get_by_key("outbox", "outbox_relation_key", "relation", F_OIDEQ,
				   ObjectIdGetDatum(relation), read_nothing, NULL);
}

bool
mo_catalog_get_contract(int64 contract_id, MoContractRow *row)
{
	return get_by_key("contract", "contract_pkey", "contract_id", F_INT8EQ,
					  Int64GetDatum(contract_id), read_contract, row);
}

void
mo_catalog_read_contract(HeapTupleHeader header, MoContractRow *contract)
{
	HeapTupleData tuple = {
		.t_len = HeapTupleHeaderGetDatumLength(header),
		.t_data = header,
	};
	CatalogRow	row = {.tuple = &tuple};

	row.rel = table_open(mo_catalog_table("contract"), AccessShareLock);
	if (HeapTupleHeaderGetTypeId(header) != row.rel->rd_rel->reltype)
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("this is no row of %s.contract", MO_SCHEMA)));
	read_contract(&row, contract);
	table_close(row.rel, AccessShareLock);
}

MoEnforcement
mo_catalog_get_enforcement_cap(void)
{
	MoEnforcement cap = MO_ENFORCE_ENFORCE;

	get_by_key("enforcement_cap", "enforcement_cap_pkey", "singleton",
			   F_BOOLEQ, BoolGetDatum(true), read_cap, &cap);
	return cap;
}

bool
mo_catalog_publisher_ready(int32 publisher_id)
{
	bool		here;

	return get_by_key("progress", "progress_pkey", "publisher_id", F_INT4EQ,
					  Int32GetDatum(publisher_id), read_progress, &here) &&
		here;
}

const char *
mo_catalog_publisher_name(int32 publisher_id)
{
	char	   *name = "?";

	get_by_key("publisher", "publisher_pkey", "publisher_id", F_INT4EQ,
			   Int32GetDatum(publisher_id), read_name, &name);
	return name;
}

List *
mo_catalog_list_versions(const char *product, const char *event_type)
{
	List	   *versions = NIL;
	CatalogRow	row;
	Oid			index_oid;
	SysScanDesc scan;
	ScanKeyData keys[2];

	row.rel = table_open(mo_catalog_table("contract"), AccessShareLock);
	index_oid =
		find_relation("contract_product_event_type_major_minor_patch_key");
	equal_key(&keys[0], row.rel, "product", F_TEXTEQ,
			  CStringGetTextDatum(product));
	if (event_type != NULL)
		equal_key(&keys[1], row.rel, "event_type", F_TEXTEQ,
				  CStringGetTextDatum(event_type));
	scan = systable_beginscan(row.rel, index_oid, OidIsValid(index_oid), NULL,
							  event_type != NULL ? 2 : 1, keys);
	while (HeapTupleIsValid(row.tuple = systable_getnext(scan)))
	{
		MoContractVersion *version = palloc(sizeof(MoContractVersion));

		read_version(&row, version);
		versions = lappend(versions, version);
	}
	systable_endscan(scan);
	table_close(row.rel, AccessShareLock);
	return versions;
}
