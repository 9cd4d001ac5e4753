/*-------------------------------------------------------------------------
 *
 * changes_sql.c
 *	  SQL functions about two versions of a contract.
 *
 * check_compatibility brings proof and words together: the prover says what
 * breaks whom, with a document; the diff says what was changed there.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "funcapi.h"
#include "catalog/pg_type.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

#include "compat.h"
#include "contract/changes.h"
#include "contract/compare_int.h"

PG_FUNCTION_INFO_V1(mo_check_compatibility);
PG_FUNCTION_INFO_V1(mo_contract_changes);

/* One of the questions that compatibility consists of. */
typedef struct Direction
{
	const char *name;
	const char *breaks;
	bool		from_new;		/* new documents, old reader */
	bool		to_producer;	/* not a reader but the trigger takes them */
} Direction;

static const Direction forward = {
	"FORWARD", "consumers running today (FORWARD)", true, false
};
static const Direction backward = {
	"BACKWARD", "consumers replaying old events (BACKWARD)", false, false
};
static const Direction producers = {
	"PRODUCERS", "running producers", false, true
};

/* What a compatibility mode asks for. */
typedef struct Mode
{
	bool		forward;
	bool		backward;
	bool		transitive;
} Mode;

static Mode
read_mode(const char *name)
{
	static const struct
	{
		const char *name;
		Mode		mode;
	}			modes[] = {
		{"NONE", {false, false, false}},
		{"BACKWARD", {false, true, false}},
		{"FORWARD", {true, false, false}},
		{"FULL", {true, true, false}},
		{"BACKWARD_TRANSITIVE", {false, true, true}},
		{"FORWARD_TRANSITIVE", {true, false, true}},
		{"FULL_TRANSITIVE", {true, true, true}}
	};

	for (int i = 0; i < lengthof(modes); i++)
		if (strcmp(modes[i].name, name) == 0)
			return modes[i].mode;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid compatibility mode \"%s\"", name),
			 errhint("The modes are NONE, BACKWARD, FORWARD, FULL and the last three with _TRANSITIVE.")));
}

static MoSchema *
compile_producer(Jsonb *schema)
{
	MoReading	reading = {schema, MO_AS_PRODUCER};

	return mo_reading_compile(&reading, true, NULL);
}

/* Two versions as their producers read them. */
static List *
compare(const Direction *direction, const MoReading *old, const MoReading *new)
{
	const MoReading *sub = direction->from_new ? new : old;
	MoReading	super = direction->from_new ? *old : *new;

	if (!direction->to_producer)
		super.kind = MO_AS_READER;
	return mo_compare_parts(sub, &super, true);
}

static void
put(ReturnSetInfo *rsinfo, int width, const char **texts, int json_column,
	Jsonb *json, int int_column, int number)
{
	Datum		values[16];
	bool		nulls[16];

	for (int i = 0; i < width; i++)
	{
		nulls[i] = (texts[i] == NULL);
		if (!nulls[i])
			values[i] = CStringGetTextDatum(texts[i]);
	}
	if (int_column >= 0)
	{
		nulls[int_column] = false;
		values[int_column] = Int32GetDatum(number);
	}
	if (json_column >= 0 && json != NULL)
	{
		nulls[json_column] = false;
		values[json_column] = JsonbPGetDatum(json);
	}
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}

/* Rows for one direction between the new version and one old one. */
static void
check_direction(ReturnSetInfo *rsinfo, const Direction *direction,
				const MoReading *old, const MoReading *new, int version,
				List *changes)
{
	ListCell   *cell;

	foreach(cell, compare(direction, old, new))
	{
		MoComparison *c = lfirst(cell);
		MoChange   *change = NULL;
		const char *texts[11] = {0};
		const char *reason = c->reason;

		if (c->verdict == MO_REFUTED)
			change = mo_changes_find(changes, c->path, c->keyword, c->message);
		if (c->verdict != MO_PROVED && c->kept_closed)
			reason = psprintf("%s; a schema below oneOf, if or not stays closed to its readers",
							  reason);
		texts[0] = direction->name;
		texts[2] = mo_verdict_name(c->verdict);
		texts[3] = c->path;
		texts[4] = c->keyword ? c->keyword : c->undecided_by;
		texts[5] = change ? change->text : NULL;
		texts[6] = c->verdict == MO_PROVED ? NULL : direction->breaks;
		texts[7] = c->message;
		texts[9] = change ? change->allowed : NULL;
		texts[10] = reason;
		put(rsinfo, lengthof(texts), texts, 8, c->witness, 1, version);
	}
}

static MoReadingKind
producer_reading(bool open)
{
	return open ? MO_AS_WRITTEN : MO_AS_PRODUCER;
}

/* The elements of an argument that is an array without nulls. */
static int
read_array(ArrayType *array, Oid type, Datum **elements)
{
	int16		length;
	bool		by_value;
	char		align;
	int			n;

	if (array_contains_nulls(array))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("an earlier version must not be null")));
	get_typlenbyvalalign(type, &length, &by_value, &align);
	deconstruct_array(array, type, length, by_value, align, elements, NULL, &n);
	return n;
}

/*
 * check_compatibility(old jsonb[], new jsonb, compatibility text, open bool,
 *					   old_open bool[])
 */
Datum
mo_check_compatibility(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MoReading	new = {PG_GETARG_JSONB_P(1), producer_reading(PG_GETARG_BOOL(3))};
	Mode		mode = read_mode(text_to_cstring(PG_GETARG_TEXT_PP(2)));
	Datum	   *olds;
	Datum	   *opens;
	int			n = read_array(PG_GETARG_ARRAYTYPE_P(0), JSONBOID, &olds);
	int			nopens = read_array(PG_GETARG_ARRAYTYPE_P(4), BOOLOID, &opens);

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < n && (i == 0 || mode.transitive); i++)
	{
		MoReading	old = {DatumGetJsonbP(olds[i]), new.kind};
		List	   *changes = mo_changes_list(compile_producer(old.schema),
											  compile_producer(new.schema));

		if (i < nopens)
			old.kind = producer_reading(DatumGetBool(opens[i]));
		if (mode.forward)
			check_direction(rsinfo, &forward, &old, &new, i + 1, changes);
		if (mode.backward)
			check_direction(rsinfo, &backward, &old, &new, i + 1, changes);
		if (i == 0)
			check_direction(rsinfo, &producers, &old, &new, i + 1, changes);
	}
	return (Datum) 0;
}

/* Marks the changes that break a consumer; true when some finding has none. */
static bool
mark_breaking(List *changes, const Direction *direction, const MoReading *old,
			  const MoReading *new)
{
	bool		unexplained = false;
	ListCell   *cell;

	foreach(cell, compare(direction, old, new))
	{
		MoComparison *c = lfirst(cell);
		MoChange   *change = NULL;

		if (c->verdict == MO_PROVED)
			continue;
		if (c->verdict == MO_REFUTED)
			change = mo_changes_find(changes, c->path, c->keyword, c->message);
		if (change)
			change->breaking = true;
		else
			unexplained = true;
	}
	return unexplained;
}

/* contract_changes(old jsonb, new jsonb, old_open bool, open bool) */
Datum
mo_contract_changes(PG_FUNCTION_ARGS)
{
	MoReading	old = {PG_GETARG_JSONB_P(0), producer_reading(PG_GETARG_BOOL(2))};
	MoReading	new = {PG_GETARG_JSONB_P(1), producer_reading(PG_GETARG_BOOL(3))};
	List	   *changes = mo_changes_list(compile_producer(old.schema),
										  compile_producer(new.schema));
	bool		unexplained = false;
	ListCell   *cell;

	InitMaterializedSRF(fcinfo, 0);
	unexplained |= mark_breaking(changes, &forward, &old, &new);
	unexplained |= mark_breaking(changes, &backward, &old, &new);
	foreach(cell, changes)
	{
		MoChange   *c = lfirst(cell);
		const char *texts[4];

		texts[0] = c->path;
		texts[1] = c->keyword;
		texts[2] = c->text;
		texts[3] = c->annotation ? "patch" :
			c->breaking || unexplained ? "major" : "minor";
		put((ReturnSetInfo *) fcinfo->resultinfo, lengthof(texts), texts, -1,
			NULL, -1, 0);
	}
	return (Datum) 0;
}
