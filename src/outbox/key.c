/*-------------------------------------------------------------------------
 *
 * key.c
 *	  An event's key, as text and as its place in a roll-out.
 *
 * Called by the check.  A contract that is enforced for some per cent of the
 * keys is enforced for all events of a key or for none, wherever and whenever
 * they are inserted: a reader that follows one order sees one rule.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "fmgr.h"
#include "port/pg_crc32c.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "outbox/key.h"

PG_FUNCTION_INFO_V1(mo_key_bucket_sql);

/*
 * Equal JSON values give equal text: 1.0 and 1 are one number, and must be
 * one key.
 */
text *
mo_key_text(const JsonbValue *value)
{
	switch (value->type)
	{
		case jbvString:
			return cstring_to_text_with_len(value->val.string.val,
											value->val.string.len);
		case jbvNumeric:
			return cstring_to_text(numeric_normalize(value->val.numeric));
		case jbvBool:
			return cstring_to_text(value->val.boolean ? "true" : "false");
		default:
			return NULL;
	}
}

bool
mo_key_equals(const text *a, const text *b)
{
	return VARSIZE_ANY_EXHDR(a) == VARSIZE_ANY_EXHDR(b) &&
		memcmp(VARDATA_ANY(a), VARDATA_ANY(b), VARSIZE_ANY_EXHDR(a)) == 0;
}

Jsonb *
mo_key_document(const text *key)
{
	JsonbValue	value = {.type = jbvString};

	value.val.string.val = VARDATA_ANY(key);
	value.val.string.len = VARSIZE_ANY_EXHDR(key);
	return JsonbValueToJsonb(&value);
}

/*
 * A CRC, because it does not depend on the byte order as hash_bytes() does;
 * mixed, because it is linear and keys are often numbered.
 */
int
mo_key_bucket(const char *key, int len)
{
	pg_crc32c	crc;

	INIT_CRC32C(crc);
	COMP_CRC32C(crc, key, len);
	FIN_CRC32C(crc);
	return murmurhash32(crc) % 100;
}

/* key_bucket(key text) */
Datum
mo_key_bucket_sql(PG_FUNCTION_ARGS)
{
	text	   *key = PG_GETARG_TEXT_PP(0);

	PG_RETURN_INT32(mo_key_bucket(VARDATA_ANY(key), VARSIZE_ANY_EXHDR(key)));
}
