/*-------------------------------------------------------------------------
 *
 * headers.c
 *	  Can what a row has as headers be sent?
 *
 * Called by the check, which refuses what cannot, and by those who ask what
 * it would say.  What a contract asks of headers is a schema of its own.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "mesh_outbox.h"
#include "outbox/headers.h"

/* Names that the publisher itself gives to headers, in any case. */
static bool
is_reserved(const char *name)
{
	return pg_strncasecmp(name, "ce_", strlen("ce_")) == 0 ||
		pg_strncasecmp(name, MO_LIBRARY "_", strlen(MO_LIBRARY "_")) == 0 ||
		pg_strcasecmp(name, "content-type") == 0;
}

static const char *
header_fault(const JsonbValue *name, const JsonbValue *value)
{
	const char *text = pnstrdup(name->val.string.val, name->val.string.len);

	if (text[0] == '\0')
		return "a header has an empty name";
	if (is_reserved(text))
		return psprintf("the name \"%s\" is reserved for the publisher", text);
	if (value->type != jbvString)
		return psprintf("the value of \"%s\" is not a string", text);
	return NULL;
}

const char *
mo_headers_fault(Jsonb *headers)
{
	JsonbIterator *it;
	JsonbValue	name;
	JsonbValue	value;
	const char *fault = NULL;

	if (!JB_ROOT_IS_OBJECT(headers))
		return "they are not an object";
	if (JB_ROOT_COUNT(headers) > MO_MAX_ROW_HEADERS)
		return psprintf("there are more than %d", MO_MAX_ROW_HEADERS);
	it = JsonbIteratorInit(&headers->root);
	(void) JsonbIteratorNext(&it, &name, true); /* enters the object */
	while (fault == NULL && JsonbIteratorNext(&it, &name, true) == WJB_KEY)
	{
		(void) JsonbIteratorNext(&it, &value, true);
		fault = header_fault(&name, &value);
	}
	return fault;
}
