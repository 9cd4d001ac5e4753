/*-------------------------------------------------------------------------
 *
 * refuse.c
 *	  The errors that a producer of events may see.
 *
 * Called by the check trigger, always as its last act.  Each error says which
 * event type and contract, where in the payload, what was found and what is
 * allowed, and what to do; programs find schema, table, column and constraint
 * in the error's fields.  The constraint is the violated rule's address:
 * product/event type/version#schema pointer.
 *
 * Errcodes: check_violation for what is wrong with an event,
 * not_null_violation for what it lacks, undefined_object for an event type
 * that nobody declared, object_not_in_prerequisite_state when the contract or
 * the publisher is not ready for it, restrict_violation for changing what has
 * happened.
 *
 * What is wrong with an event is noted in refusals.c too, for the owner of the
 * outbox, who does not see the producer's errors.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/numeric.h"
#include "utils/relcache.h"
#include "utils/timestamp.h"
#include "utils/varlena.h"

#include "mesh_outbox.h"
#include "outbox/refusals.h"
#include "outbox/refuse.h"
#include "outbox/size.h"

/* Longest excerpt of a value in a message, bytes. */
#define EXCERPT_LENGTH	80

/* A name that is at most this far from a known one is a slip of the pen. */
#define MAX_NAME_DISTANCE	4

/* ----------------------------------------------------------------
 * Parts of messages
 * ----------------------------------------------------------------
 */

/* "sales.orders/OrderPlaced 1.2.0" */
static const char *
contract_name(const MoContract *contract)
{
	return psprintf("%s/%s %s", contract->product, contract->event_type,
					contract->version);
}

/* " at /lines/1/qty"; nothing for the whole payload. */
static const char *
place(const char *pointer)
{
	return pointer[0] == '\0' ? "" : psprintf(" at %s", pointer);
}

static const char *
excerpt(const char *text)
{
	int			len = strlen(text);

	if (len <= EXCERPT_LENGTH)
		return text;
	return psprintf("%.*s...", pg_mbcliplen(text, len, EXCERPT_LENGTH), text);
}

/* A string as JSON writes it, shortened; nothing of it if it may be secret. */
static const char *
show_text(const MoContract *contract, const char *text)
{
	if (contract->classified)
		return "a value (redacted)";
	return psprintf("\"%s\"", excerpt(text));
}

static const char *
show_value(const MoContract *contract, const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvNull:
			return "null";
		case jbvBool:
			return value->val.boolean ? "true" : "false";
		case jbvNumeric:
			return contract->classified ? "a number (redacted)" :
				excerpt(numeric_normalize(value->val.numeric));
		case jbvString:
			return show_text(contract, pnstrdup(value->val.string.val,
												value->val.string.len));
		case jbvBinary:
			return JsonContainerIsArray(value->val.binary.data) ?
				"an array" : "an object";
		default:
			return "a value";
	}
}

/* validate() takes the highest major in force, where it is not told which. */
static const char *
version_argument(const MoContract *contract)
{
	int32		highest = contract->major;
	ListCell   *lc;

	foreach(lc, mo_catalog_list_versions(contract->product,
										 contract->event_type))
	{
		const MoContractVersion *version = lfirst(lc);

		if (mo_registry_in_force(version))
			highest = Max(highest, version->major);
	}
	return highest == contract->major ? "" :
		psprintf(", %s", quote_literal_cstr(contract->version));
}

/* What to do about a violation, and how to see the others. */
static int
hint_violations(const MoContract *contract, const char *advice)
{
	return errhint("%s%sSELECT * FROM %s.validate(%s, %s, payload%s) shows all violations.",
				   advice != NULL ? advice : "", advice != NULL ? " " : "",
				   MO_SCHEMA, quote_literal_cstr(contract->product),
				   quote_literal_cstr(contract->event_type),
				   version_argument(contract));
}

/*
 * Which rule is violated, and by what.  A property that nothing declares
 * breaks the contract as a whole, not one keyword of it.
 */
static int
detail_violation(const MoViolation *violation)
{
	const char *rule = "The contract is closed";

	if (violation->keyword != NULL)
		rule = psprintf("Keyword \"%s\" at %s of the schema",
						violation->keyword, violation->schema_pointer);
	if (violation->found == NULL)
		return errdetail("%s.", rule);
	return errdetail("%s; found %s.", rule, violation->found);
}

/* The error's fields for programs. */
static int
err_rule(const MoRefusedRow *row, MoColumn column, const char *rule)
{
	const MoContract *contract = row->contract;

	errtablecol(row->rel, row->table->attnums[column]);
	return err_generic_string(PG_DIAG_CONSTRAINT_NAME,
							  psprintf("%s/%s/%s#%s", contract->product,
									   contract->event_type,
									   contract->version, rule));
}

/* ----------------------------------------------------------------
 * The table
 * ----------------------------------------------------------------
 */

void
mo_refuse_change(Relation rel, const char *command)
{
	ereport(ERROR,
			(errcode(ERRCODE_RESTRICT_VIOLATION),
			 errmsg("cannot %s events of outbox \"%s\"", command,
					RelationGetRelationName(rel)),
			 errdetail("An event is a fact that other domains may have acted upon."),
			 strcmp(command, "update") == 0 ?
			 errhint("Insert a new event that corrects the earlier one.") :
			 errhint("Insert an event that revokes the earlier one; published events are removed by mesh_outbox.purge_events()."),
			 errtable(rel)));
}

void
mo_refuse_unready_publisher(Relation rel, const MoTable *table)
{
	const char *name = mo_catalog_publisher_name(table->publisher_id);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("publisher \"%s\" of outbox \"%s\" is not ready", name,
					RelationGetRelationName(rel)),
			 errdetail("It has no replication slot in this database yet, so the event would never be published."),
			 errhint("SELECT %s.wait_ready(%s) waits for it; the view %s.publishers shows what it waits for, and %s.resume_publisher() starts one that came out of a dump or a copy.",
					 MO_SCHEMA, quote_literal_cstr(name), MO_SCHEMA,
					 MO_SCHEMA),
			 errtable(rel)));
}

void
mo_refuse_unlogged(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("outbox \"%s\" is unlogged", RelationGetRelationName(rel)),
			 errdetail("Its rows never reach the write-ahead log, so the event would never be published."),
			 errhint("ALTER TABLE %s SET LOGGED;",
					 quote_qualified_identifier(get_namespace_name(RelationGetNamespace(rel)),
												RelationGetRelationName(rel))),
			 errtable(rel)));
}

/* A foreign table can only come here as a partition. */
void
mo_refuse_foreign(Relation rel)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("outbox \"%s\" is a foreign table", RelationGetRelationName(rel)),
			 errdetail("Its rows go to another server, so the event would never be published."),
			 errhint("Detach the partition, and attach a table of this server."),
			 errtable(rel)));
}

void
mo_refuse_missing(Relation rel, const MoTable *table, MoColumn column)
{
	AttrNumber	attnum = table->attnums[column];
	const char *name = get_attname(RelationGetRelid(rel), attnum, false);

	ereport(ERROR,
			(errcode(ERRCODE_NOT_NULL_VIOLATION),
			 errmsg("event in outbox \"%s\" has no %s",
					RelationGetRelationName(rel),
					column == MO_COLUMN_PAYLOAD ? "payload" : "event type"),
			 errhint("Give column \"%s\" a value.", name),
			 errtablecol(rel, attnum)));
}

/* ----------------------------------------------------------------
 * The event type
 * ----------------------------------------------------------------
 */

/* The known event type that is written most like this one, or NULL. */
static const char *
nearest_event_type(List *versions, const char *event_type)
{
	const char *nearest = NULL;
	int			best = MAX_NAME_DISTANCE + 1;
	int			len = strlen(event_type);
	ListCell   *lc;

	/* the limit of varstr_levenshtein, and no name is that long */
	if (len > 255)
		return NULL;
	foreach(lc, versions)
	{
		const char *candidate =
			((const MoContractVersion *) lfirst(lc))->event_type;
		int			distance =
			varstr_levenshtein_less_equal(event_type, len, candidate,
										  strlen(candidate), 1, 1, 1,
										  MAX_NAME_DISTANCE, false);

		/* half the name wrong is another name */
		if (distance < best && distance <= len / 2)
		{
			best = distance;
			nearest = candidate;
		}
	}
	return nearest;
}

pg_noreturn static void
refuse_unknown_type(const MoRefusedRow *row)
{
	const char *nearest =
		nearest_event_type(mo_catalog_list_versions(row->table->product,
													NULL), row->event_type);

	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("product %s has no event type \"%s\"",
					row->table->product, excerpt(row->event_type)),
			 nearest != NULL ?
			 errhint("Perhaps you meant \"%s\".", nearest) :
			 errhint("View mesh_outbox.contracts shows the event types; mesh_outbox.propose_contract() declares a new one."),
			 errtablecol(row->rel,
						 row->table->attnums[MO_COLUMN_EVENT_TYPE])));
}

/* "1, 2": the majors that have a version in force; "" when none has. */
static const char *
majors_in_force(List *versions)
{
	StringInfoData text;
	int32		last = MO_MAJOR_PINNED;
	ListCell   *lc;

	initStringInfo(&text);
	foreach(lc, versions)		/* in ascending order, as the index is */
	{
		const MoContractVersion *version = lfirst(lc);

		if (!mo_registry_in_force(version) || version->major == last)
			continue;
		appendStringInfo(&text, "%s%d", text.len > 0 ? ", " : "",
						 version->major);
		last = version->major;
	}
	return text.data;
}

/* The highest version of a major, whatever its status; NULL if none. */
static const MoContractVersion *
latest_version(List *versions, int32 major)
{
	const MoContractVersion *latest = NULL;
	ListCell   *lc;

	foreach(lc, versions)
	{
		const MoContractVersion *version = lfirst(lc);

		if (major == MO_MAJOR_PINNED || version->major == major)
			latest = version;
	}
	return latest;
}

pg_noreturn static void
refuse_major(const MoRefusedRow *row, int32 major, const char *majors)
{
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("event type %s/%s has no major version %d",
					row->table->product, row->event_type, major),
			 majors[0] != '\0' ?
			 errhint("Major versions in force: %s.", majors) :
			 errhint("No version of it is in force."),
			 errtablecol(row->rel,
						 row->table->attnums[MO_COLUMN_MAJOR_VERSION])));
}

/* Versions of the major exist, but none of them is in force. */
pg_noreturn static void
refuse_status(const MoRefusedRow *row, const MoContractVersion *latest,
			  const char *majors)
{
	bool		retired = latest->status == MO_STATUS_RETIRED;
	const char *version = psprintf("%d.%d.%d", latest->major, latest->minor,
								   latest->patch);

	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("no contract of %s/%s %d.x is in force",
					row->table->product, row->event_type, latest->major),
			 retired ?
			 errdetail("Version %s is retired.", version) :
			 errdetail("Version %s is not active yet.", version),
			 majors[0] != '\0' ?
			 errhint("Major versions in force: %s.", majors) :
			 retired ?
			 errhint("The product's owner no longer offers this event; mesh_outbox.propose_contract() declares a new version.") :
			 errhint("SELECT mesh_outbox.activate_contract(%s, %s, '%s') puts it in force.",
					 quote_literal_cstr(row->table->product),
					 quote_literal_cstr(row->event_type), version),
			 errtablecol(row->rel,
						 row->table->attnums[MO_COLUMN_EVENT_TYPE])));
}

void
mo_refuse_event_type(const MoRefusedRow *row, int32 major)
{
	List	   *versions = mo_catalog_list_versions(row->table->product,
													row->event_type);
	const char *majors = majors_in_force(versions);
	const MoContractVersion *latest;

	mo_refusals_note(row->rel, row->event_type, "event_type");
	if (versions == NIL)
		refuse_unknown_type(row);
	if (major == MO_MAJOR_PINNED)
		major = mo_registry_pinned_major(row->table, row->event_type,
										 strlen(row->event_type));
	latest = latest_version(versions, major);
	if (latest == NULL)
		refuse_major(row, major, majors);
	if (major != MO_MAJOR_PINNED || majors[0] == '\0')
		refuse_status(row, latest, majors);
	ereport(ERROR,
			(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
			 errmsg("event type %s/%s has several major versions in force: %s",
					row->table->product, row->event_type, majors),
			 errhint("Say in column \"%s\" which one the event has.",
					 get_attname(RelationGetRelid(row->rel),
								 row->table->attnums[MO_COLUMN_MAJOR_VERSION],
								 false)),
			 errtablecol(row->rel,
						 row->table->attnums[MO_COLUMN_MAJOR_VERSION])));
}

/* ----------------------------------------------------------------
 * The payload
 * ----------------------------------------------------------------
 */

void
mo_refuse_payload(const MoRefusedRow *row, const MoViolation *first)
{
	mo_refusals_note(row->rel, row->event_type, "payload");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("event \"%s\" breaks contract %s%s: %s", row->event_type,
					contract_name(row->contract),
					place(first->instance_pointer), first->message),
			 detail_violation(first),
			 hint_violations(row->contract, first->hint),
			 err_rule(row, MO_COLUMN_PAYLOAD,
					  first->keyword != NULL ? first->schema_pointer :
					  "closed")));
}

void
mo_refuse_key(const MoRefusedRow *row, const JsonbValue *value)
{
	const char *pointer = row->contract->key->text;

	mo_refusals_note(row->rel, row->event_type, "key");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 value == NULL ?
			 errmsg("event \"%s\" breaks contract %s: it has no key at %s",
					row->event_type, contract_name(row->contract), pointer) :
			 errmsg("event \"%s\" breaks contract %s at %s: the key must be a string, a number or a boolean",
					row->event_type, contract_name(row->contract), pointer),
			 value == NULL ?
			 errdetail("The key says which partition an event goes to, and so which events keep their order.") :
			 errdetail("Found %s.", show_value(row->contract, value)),
			 err_rule(row, MO_COLUMN_PAYLOAD, "key")));
}

void
mo_refuse_other_key(const MoRefusedRow *row, const char *given,
					const char *expected)
{
	mo_refusals_note(row->rel, row->event_type, "key");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("key of event \"%s\" differs from its payload's",
					row->event_type),
			 errdetail("Given %s, but contract %s takes the key from %s, which is %s.",
					   show_text(row->contract, given),
					   contract_name(row->contract),
					   row->contract->key->text,
					   show_text(row->contract, expected)),
			 errhint("Leave column \"%s\" out: it is filled from the payload.",
					 get_attname(RelationGetRelid(row->rel),
								 row->table->attnums[MO_COLUMN_KEY], false)),
			 err_rule(row, MO_COLUMN_KEY, "key")));
}

/* What a key is like may be told only where nothing is classified. */
void
mo_refuse_key_schema(const MoRefusedRow *row, const MoViolation *first)
{
	mo_refusals_note(row->rel, row->event_type, "key_schema");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("event \"%s\" breaks contract %s at %s: as a key, it %s",
					row->event_type, contract_name(row->contract),
					row->contract->key->text, first->message),
			 first->found == NULL || row->contract->classified ?
			 errdetail("Keyword \"%s\" at %s of the key's schema.",
					   first->keyword, first->schema_pointer) :
			 errdetail("Keyword \"%s\" at %s of the key's schema; found %s.",
					   first->keyword, first->schema_pointer, first->found),
			 hint_violations(row->contract, first->hint),
			 err_rule(row, MO_COLUMN_KEY, "key_schema")));
}

void
mo_refuse_event_time(const MoRefusedRow *row, const JsonbValue *value)
{
	const char *pointer = row->contract->event_time->text;

	mo_refusals_note(row->rel, row->event_type, "event_time");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 value == NULL ?
			 errmsg("event \"%s\" breaks contract %s: it has no event time at %s",
					row->event_type, contract_name(row->contract), pointer) :
			 errmsg("event \"%s\" breaks contract %s at %s: the event time must be an RFC 3339 date-time",
					row->event_type, contract_name(row->contract), pointer),
			 value == NULL ? 0 : errdetail("Found %s.", show_value(row->contract, value)),
			 errhint("Write it as \"2026-03-01T09:30:00Z\", or give column \"%s\" a value.",
					 get_attname(RelationGetRelid(row->rel),
								 row->table->attnums[MO_COLUMN_EVENT_TIME],
								 false)),
			 err_rule(row, MO_COLUMN_PAYLOAD, "event_time")));
}

void
mo_refuse_time(const MoRefusedRow *row, MoColumn column, TimestampTz time)
{
	const char *rule = column == MO_COLUMN_EVENT_TIME ? "event_time" :
		"created_at";

	mo_refusals_note(row->rel, row->event_type, rule);
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg(TIMESTAMP_NOT_FINITE(time) ?
					"%s of event \"%s\" is infinite" :
					"%s of event \"%s\" is not in the years 1 to 9999",
					column == MO_COLUMN_EVENT_TIME ? "event time" : rule,
					row->event_type),
			 errhint("Leave the column out: it is filled with the current time."),
			 err_rule(row, column, rule)));
}

void
mo_refuse_late(const MoRefusedRow *row, TimestampTz time)
{
	Datum		allowed = DirectFunctionCall1(interval_out,
											  IntervalPGetDatum(row->contract->max_lateness));

	mo_refusals_note(row->rel, row->event_type, "lateness");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("event \"%s\" breaks contract %s: it comes too late",
					row->event_type, contract_name(row->contract)),
			 errdetail("It happened at %s; the contract allows %s until it is inserted.",
					   timestamptz_to_str(time), DatumGetCString(allowed)),
			 err_rule(row, MO_COLUMN_EVENT_TIME, "lateness")));
}

void
mo_refuse_size(const MoRefusedRow *row)
{
	mo_refusals_note(row->rel, row->event_type, "size");
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("event \"%s\" is larger than %d MB as text",
					row->event_type, MO_SIZE_LIMIT_MB),
			 errdetail("It could neither be published nor be kept as a dead letter."),
			 errhint("Brokers take 1 MB unless told otherwise: keep the data elsewhere, and publish where it is."),
			 err_rule(row, MO_COLUMN_PAYLOAD, "size")));
}

void
mo_refuse_headers(const MoRefusedRow *row, const char *detail)
{
	mo_refusals_note(row->rel, row->event_type, "headers");
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("headers of event \"%s\" are not usable",
					row->event_type),
			 errdetail_internal("%s", detail),
			 errhint("Headers are an object of strings, as in {\"tenant\": \"acme\"}."),
			 err_rule(row, MO_COLUMN_HEADERS, "headers")));
}
