/*-------------------------------------------------------------------------
 *
 * envelope.c
 *	  From a decoded row to a CloudEvent: key, value, headers.
 *
 * CloudEvents 1.0, Kafka protocol binding.  Binary mode: the value is the
 * payload, attributes are ce_* headers.  Structured mode: the value is the
 * whole event as JSON.  Encoded once, while the row is decoded; the headers
 * are put together when the event is produced, since whether its transaction
 * is split is known only then.
 *
 * A control event, which announces a contract in every partition of a topic,
 * has its partition given and an empty key: a topic that is compacted takes no
 * record without one.  Its type is its own, its source the product's.
 *
 * Pure but for the route it is given; errors are out-of-memory only.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#include "mesh_outbox.h"
#include "publisher/publisher.h"


/* Text being assembled; reused, so that a steady stream allocates nothing. */
static StringInfo
scratch(void)
{
	static StringInfo buf;

	if (buf == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		buf = makeStringInfo();
		MemoryContextSwitchTo(old);
	}
	/* One huge event must not pin its size for ever. */
	if (buf->maxlen > 4 * 1024 * 1024)
	{
		pfree(buf->data);
		buf->data = MemoryContextAlloc(TopMemoryContext, 1024);
		buf->maxlen = 1024;
	}
	resetStringInfo(buf);
	return buf;
}

static char *
two_digits(char *p, int value)
{
	*p++ = '0' + value / 10;
	*p++ = '0' + value % 10;
	return p;
}

/* RFC 3339 in UTC with microseconds; returns the length. */
static int
format_time(char *out, TimestampTz time)
{
	struct pg_tm tm;
	fsec_t		fsec;
	char	   *p = out;

	if (timestamp2tm(time, NULL, &tm, &fsec, NULL, NULL) != 0 ||
		tm.tm_year < 1 || tm.tm_year > 9999)
		return snprintf(out, 40, "%s", "0001-01-01T00:00:00Z");
	p = two_digits(p, tm.tm_year / 100);
	p = two_digits(p, tm.tm_year % 100);
	*p++ = '-';
	p = two_digits(p, tm.tm_mon);
	*p++ = '-';
	p = two_digits(p, tm.tm_mday);
	*p++ = 'T';
	p = two_digits(p, tm.tm_hour);
	*p++ = ':';
	p = two_digits(p, tm.tm_min);
	*p++ = ':';
	p = two_digits(p, tm.tm_sec);
	*p++ = '.';
	p = two_digits(p, fsec / 10000);
	p = two_digits(p, fsec / 100 % 100);
	p = two_digits(p, fsec % 100);
	*p++ = 'Z';
	*p = '\0';
	return p - out;
}

static int
format_uuid(char *out, const pg_uuid_t *uuid)
{
	static const char hex[] = "0123456789abcdef";
	char	   *p = out;

	for (int i = 0; i < UUID_LEN; i++)
	{
		if (i == 4 || i == 6 || i == 8 || i == 10)
			*p++ = '-';
		*p++ = hex[uuid->data[i] >> 4];
		*p++ = hex[uuid->data[i] & 15];
	}
	*p = '\0';
	return p - out;
}

/*
 * Commit LSN and ordinal as hexadecimal of fixed width: sorts as text in the
 * order of the stream, and its first half groups a PostgreSQL transaction.
 */
static int
format_sequence(char *out, const MoEvent *event)
{
	return snprintf(out, 48, "%016llX-%08llX",
					(unsigned long long) event->txn->commit_lsn,
					(unsigned long long) event->ordinal);
}

static const char *
ce_type(const MoEvent *event)
{
	return event->control ? event->event_type : event->route->info.ce_type;
}

/* NULL: the event is no instance of a contract. */
static const char *
ce_dataschema(const MoEvent *event)
{
	return event->control ? NULL : event->route->info.ce_dataschema;
}

/* ---------------------------------------------------------------------
 * Encoding
 * ---------------------------------------------------------------------
 */

/* The row's own headers: an object of strings; anything else is its JSON. */
static void
copy_headers(MoBatch *batch, MoEvent *event, Jsonb *headers)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	v;
	MoHeader   *out;
	const char *name = NULL;

	if (headers == NULL || !JB_ROOT_IS_OBJECT(headers) || JB_ROOT_COUNT(headers) == 0)
		return;
	out = mo_batch_alloc(batch, sizeof(MoHeader) * JB_ROOT_COUNT(headers));
	event->extra = out;

	it = JsonbIteratorInit(&headers->root);
	while ((token = JsonbIteratorNext(&it, &v, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
			name = pnstrdup(v.val.string.val, v.val.string.len);
		else if (token == WJB_VALUE && event->nextra < MO_MAX_ROW_HEADERS)
		{
			char	   *text;

			if (v.type == jbvString)
				text = pnstrdup(v.val.string.val, v.val.string.len);
			else
				text = JsonbToCString(NULL, &JsonbValueToJsonb(&v)->root, 0);
			out->name = mo_batch_copy(batch, name);
			out->value = mo_batch_copy(batch, text);
			out->length = strlen(text);
			out++;
			event->nextra++;
		}
	}
}

static void
append_attribute(StringInfo buf, const char *name, const char *value)
{
	if (value == NULL)
		return;
	appendStringInfo(buf, ",\"%s\":", name);
	escape_json(buf, value);
}

/* The whole event as JSON (CloudEvents JSON format). */
static void
append_structured(StringInfo buf, const MoEvent *event, Jsonb *payload)
{
	const MoContractInfo *info = &event->route->info;
	char		text[48];

	format_uuid(text, &event->event_id);
	appendStringInfo(buf, "{\"specversion\":\"1.0\",\"id\":\"%s\"", text);
	append_attribute(buf, "source", info->ce_source);
	append_attribute(buf, "type", ce_type(event));
	format_time(text, event->event_time);
	append_attribute(buf, "time", text);
	append_attribute(buf, "dataschema", ce_dataschema(event));
	append_attribute(buf, "datacontenttype", "application/json");
	format_sequence(text, event);
	append_attribute(buf, "sequence", text);
	append_attribute(buf, "partitionkey", event->key);
	append_attribute(buf, "correlationid", event->correlation_id);
	append_attribute(buf, "causationid", event->causation_id);
	append_attribute(buf, "traceparent", event->traceparent);
	appendStringInfoString(buf, ",\"data\":");
	(void) JsonbToCString(buf, &payload->root, VARSIZE(payload));
	appendStringInfoChar(buf, '}');
}

static void
encode_value(MoBatch *batch, MoEvent *event, Jsonb *payload)
{
	StringInfo	buf = scratch();
	char	   *copy;

	if (payload == NULL)
		return;
	if (event->route != NULL && event->route->info.structured)
		append_structured(buf, event, payload);
	else
		(void) JsonbToCString(buf, &payload->root, VARSIZE(payload));
	copy = mo_batch_alloc(batch, buf->len + 1);
	memcpy(copy, buf->data, buf->len + 1);
	event->record.value = copy;
	event->record.value_length = buf->len;
}

static void
encode_key(MoBatch *batch, MoEvent *event, const MoRow *row)
{
	const MoRoute *route = event->route;

	event->key = mo_batch_copy(batch, row->key);
	if (event->key != NULL)
	{
		event->record.key = event->key;
		event->record.key_length = strlen(event->key);
	}
	else if (row->control)
		event->record.key = "";
	if (route == NULL || route->topic == NULL)
		return;
	event->record.topic = route->topic;
	if (row->control)
		event->record.partition = row->partition;
	else if (event->key != NULL)
		event->record.partition =
			mo_producer_partition(event->record.key,
								  event->record.key_length,
								  route->info.partitions);
	else
		event->record.partition =
			mo_producer_partition(&event->event_id, UUID_LEN,
								  route->info.partitions);
}

/*
 * Adds a row to the batch as an event.  Without a route it is kept for the
 * dead letters only.
 */
void
mo_envelope_encode(MoBatch *batch, const MoRoute *route,
				   const MoTransaction *txn, const MoRow *row)
{
	MoEvent    *event = mo_batch_add(batch);

	event->route = route;
	event->txn = txn;
	event->ordinal = row->ordinal;
	event->outbox_id = row->outbox_id;
	event->control = row->control;
	event->contract_id = Abs(row->contract_id);
	if (row->has_event_id)
		event->event_id = row->event_id;
	event->event_time = row->has_event_time ? row->event_time : txn->commit_time;
	event->created_at = row->created_at;
	event->event_type = mo_batch_copy(batch, row->event_type);
	event->correlation_id = mo_batch_copy(batch, row->correlation_id);
	event->causation_id = mo_batch_copy(batch, row->causation_id);
	event->traceparent = mo_batch_copy(batch, row->traceparent);
	copy_headers(batch, event, row->headers);
	encode_key(batch, event, row);
	encode_value(batch, event, row->payload);
	batch->bytes += event->record.key_length + event->record.value_length;
}

/* Text of the event's id in "out", or NULL when the row had none. */
char *
mo_envelope_event_id(const MoEvent *event, char *out)
{
	static const pg_uuid_t none;

	if (memcmp(&event->event_id, &none, UUID_LEN) == 0)
		return NULL;
	format_uuid(out, &event->event_id);
	return out;
}

/* The row's own headers as a JSON object, or NULL when it had none. */
char *
mo_envelope_extra_json(const MoEvent *event)
{
	StringInfoData buf;

	if (event->nextra == 0)
		return NULL;
	initStringInfo(&buf);
	for (int i = 0; i < event->nextra; i++)
	{
		appendStringInfoChar(&buf, i == 0 ? '{' : ',');
		escape_json(&buf, event->extra[i].name);
		appendStringInfoChar(&buf, ':');
		escape_json(&buf, event->extra[i].value);
	}
	appendStringInfoChar(&buf, '}');
	return buf.data;
}

/*
 * Adds the record that ends a split transaction whose last part has no event
 * left to say so.  It has no CloudEvents attributes: it is not an event.  Its
 * key is empty, for the reason that a control event's is.
 */
void
mo_envelope_close(MoBatch *batch, const MoRoute *route,
				  const MoTransaction *txn, int64 ordinal, int32 part)
{
	MoEvent    *event = mo_batch_add(batch);

	event->route = route;
	event->txn = txn;
	event->ordinal = ordinal;
	event->closing = true;
	event->part = part;
	event->last_part = true;
	event->record.topic = route->topic;
	event->record.partition = 0;
	event->record.key = "";
	event->record.value = "";
}

/* ---------------------------------------------------------------------
 * Headers
 * ---------------------------------------------------------------------
 */

static inline void
add(MoHeader **h, const char *name, const char *value, int length)
{
	(*h)->name = name;
	(*h)->value = value;
	(*h)->length = length;
	(*h)++;
}

static inline void
add_text(MoHeader **h, const char *name, const char *value)
{
	if (value != NULL)
		add(h, name, value, strlen(value));
}

static void
add_standard(MoHeader **h, const MoEvent *event, MoHeaderSpace *space)
{
	const MoContractInfo *info = &event->route->info;

	add_text(h, "ce_specversion", "1.0");
	add_text(h, "ce_source", info->ce_source);
	add(h, "ce_time", space->time, format_time(space->time, event->event_time));
	add_text(h, "ce_dataschema", ce_dataschema(event));
	add(h, "ce_sequence", space->sequence,
		format_sequence(space->sequence, event));
	add_text(h, "ce_correlationid", event->correlation_id);
	add_text(h, "ce_causationid", event->causation_id);
	add_text(h, "ce_traceparent", event->traceparent);
	if (info->header_set != 'f')
		return;
	add_text(h, "ce_subject", event->key);
	add_text(h, "ce_partitionkey", event->key);
	if (event->created_at != 0)
		add(h, "ce_recordedtime", space->recorded,
			format_time(space->recorded, event->created_at));
}

/*
 * Part number and end of a split transaction.  A whole transaction has
 * neither header.
 */
static void
add_parts(MoHeader **h, const MoEvent *event, MoHeaderSpace *space)
{
	if (event->part == 0)
		return;
	add(h, "mesh_outbox_part", space->part,
		snprintf(space->part, sizeof(space->part), "%d", event->part));
	if (event->last_part)
		add(h, "mesh_outbox_last_part", "true", 4);
}

/* The headers of an event; fewer than MO_MAX_HEADERS.  Valid as "space" is. */
int
mo_envelope_headers(const MoEvent *event, MoHeaderSpace *space,
					MoHeader *headers)
{
	const MoContractInfo *info = &event->route->info;
	MoHeader   *h = headers;

	if (event->closing)
	{
		add(&h, "mesh_outbox_sequence", space->sequence,
			format_sequence(space->sequence, event));
		add_parts(&h, event, space);
		return h - headers;
	}
	if (info->structured)
		add_text(&h, "content-type", "application/cloudevents+json; charset=UTF-8");
	else
	{
		add_text(&h, "content-type", "application/json");
		add(&h, "ce_id", space->id, format_uuid(space->id, &event->event_id));
		add_text(&h, "ce_type", ce_type(event));
		if (info->header_set != 'm')
			add_standard(&h, event, space);
	}
	add_parts(&h, event, space);
	for (int i = 0; i < event->nextra; i++)
		*h++ = event->extra[i];
	return h - headers;
}
