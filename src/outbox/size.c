/*-------------------------------------------------------------------------
 *
 * size.c
 *	  How large an event will be as text.
 *
 * Called by the check.  An event travels as text: to Kafka, or whole to the
 * dead letters.  Neither is possible with what a text cannot hold, and one
 * such event would stop its publisher for ever, and with it everybody's
 * events.  jsonb can hide it: 1e131071 takes 12 bytes there.
 *
 * What is small as jsonb cannot come to much and is not looked at.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "access/detoast.h"
#include "access/htup_details.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"
#include "utils/jsonb.h"
#include "utils/memutils.h"
#include "utils/numeric.h"

#include "outbox/size.h"

/* jsonb of up to so many bytes is text of at most about 45 MB. */
#define SMALL_JSONB		4096
#define SMALL_ROW		4096

/* Digits before the point of a number that is not looked at more closely. */
#define COMMON_DIGITS	18
#define COMMON_NUMBER	INT64CONST(1000000000000000000)

/* Sign, point, separator. */
#define AROUND_NUMBER	4

/* Is it between -10^18 and 10^18? */
static bool
is_common(Datum number)
{
	static Numeric least = NULL;
	static Numeric most = NULL;

	if (most == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		least = int64_to_numeric(-COMMON_NUMBER);
		most = int64_to_numeric(COMMON_NUMBER);
		MemoryContextSwitchTo(old);
	}
	return DatumGetBool(DirectFunctionCall2(numeric_lt, number,
											NumericGetDatum(most))) &&
		DatumGetBool(DirectFunctionCall2(numeric_gt, number,
										 NumericGetDatum(least)));
}

static int64
number_size(Numeric value)
{
	Datum		number = NumericGetDatum(value);
	char	   *text;
	int64		size;

	if (is_common(number))
		return COMMON_DIGITS + AROUND_NUMBER +
			DatumGetInt32(DirectFunctionCall1(numeric_scale, number));
	text = DatumGetCString(DirectFunctionCall1(numeric_out, number));
	size = strlen(text) + AROUND_NUMBER;
	pfree(text);
	return size;
}

/* Quotes, separator, and what is escaped: never too little. */
static int64
string_size(const char *text, int length)
{
	int64		size = length + 4;

	for (int i = 0; i < length; i++)
	{
		unsigned char c = text[i];

		if (c < ' ')
			size += strlen("u0000");
		else if (c == '"' || c == '\\')
			size++;
	}
	return size;
}

static int64
value_size(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return string_size(value->val.string.val, value->val.string.len);
		case jbvNumeric:
			return number_size(value->val.numeric);
		default:
			return strlen("false, ");
	}
}

/*
 * Size as text, at least, of a payload that is too large; of others it may be
 * anything below the limit.
 */
int64
mo_size_payload(Jsonb *payload)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	value;
	int64		size = 0;

	if (VARSIZE(payload) <= SMALL_JSONB)
		return VARSIZE(payload);
	it = JsonbIteratorInit(&payload->root);
	while ((token = JsonbIteratorNext(&it, &value, false)) != WJB_DONE &&
		   size <= MO_SIZE_LIMIT)
	{
		CHECK_FOR_INTERRUPTS();
		if (token == WJB_KEY || token == WJB_VALUE || token == WJB_ELEM)
			size += value_size(&value);
		else
			size += strlen("{}");
	}
	return size;
}

/* Bytes of the other columns that may be long, or 0 when the row is small. */
int64
mo_size_columns(HeapTuple row, TupleDesc desc, AttrNumber payload,
				const Datum *values, const bool *nulls)
{
	int64		size = 0;

	/* Compressed in place, it is a megabyte at most. */
	if (row->t_len <= SMALL_ROW && !HeapTupleHasExternal(row))
		return 0;
	for (int i = 0; i < desc->natts; i++)
		if (!nulls[i] && i != payload - 1 &&
			TupleDescAttr(desc, i)->attlen == -1)
			size += toast_raw_datum_size(values[i]);
	return size;
}
