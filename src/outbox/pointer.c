/*-------------------------------------------------------------------------
 *
 * pointer.c
 *	  JSON Pointers (RFC 6901) into jsonb.
 *
 * Called by the check for the key and the event time of a payload.  A pointer
 * is parsed once, when its contract is loaded; following it copies nothing.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <ctype.h>

#include "outbox/pointer.h"

/* "0" or digits without a leading zero, below 10^9; else -1. */
static int32
array_index(const char *name, int len)
{
	int32		index = 0;

	if (len == 0 || len > 9 || (name[0] == '0' && len > 1))
		return -1;
	for (int i = 0; i < len; i++)
	{
		if (!isdigit((unsigned char) name[i]))
			return -1;
		index = index * 10 + (name[i] - '0');
	}
	return index;
}

/* Reads the token that starts at "text"; returns the character after it. */
static const char *
parse_token(const char *text, MoPointerToken *token)
{
	char	   *name = palloc(strcspn(text, "/") + 1);
	int			len = 0;

	for (; *text != '\0' && *text != '/'; text++)
	{
		char		c = *text;

		if (c == '~')
		{
			c = text[1] == '0' ? '~' : text[1] == '1' ? '/' : '\0';
			if (c == '\0')
				return NULL;
			text++;
		}
		name[len++] = c;
	}
	name[len] = '\0';
	token->name = name;
	token->len = len;
	token->index = array_index(name, len);
	return text;
}

MoPointer *
mo_pointer_parse(const char *text)
{
	MoPointer  *pointer = palloc0(sizeof(MoPointer));
	const char *at = text;
	int			slashes = 0;

	pointer->text = pstrdup(text);
	for (const char *p = text; *p != '\0'; p++)
		slashes += *p == '/';
	pointer->tokens = palloc(sizeof(MoPointerToken) * (slashes + 1));

	while (at != NULL && *at == '/')
		at = parse_token(at + 1, &pointer->tokens[pointer->ntokens++]);
	if (at == NULL || *at != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a JSON Pointer", text),
				 errhint("A JSON Pointer is empty or starts with \"/\"; \"~\" is written \"~0\" and \"/\" in a name \"~1\".")));
	return pointer;
}

/* One step; false when the container has no such member. */
static bool
follow(JsonbContainer *container, const MoPointerToken *token,
	   JsonbValue *value)
{
	if (JsonContainerIsObject(container))
		return getKeyJsonValueFromContainer(container, token->name,
											token->len, value) != NULL;
	if (JsonContainerIsArray(container) && token->index >= 0 &&
		(uint32) token->index < JsonContainerSize(container))
	{
		JsonbValue *element = getIthJsonbValueFromContainer(container,
															token->index);

		*value = *element;
		pfree(element);
		return true;
	}
	return false;
}

bool
mo_pointer_get(const MoPointer *pointer, Jsonb *document, JsonbValue *value)
{
	/* A scalar document is stored as an array of one element. */
	if (JsonContainerIsScalar(&document->root))
	{
		JsonbValue *scalar;

		if (pointer->ntokens > 0)
			return false;
		scalar = getIthJsonbValueFromContainer(&document->root, 0);
		*value = *scalar;
		pfree(scalar);
		return true;
	}

	value->type = jbvBinary;
	value->val.binary.data = &document->root;
	value->val.binary.len = VARSIZE(document) - VARHDRSZ;
	for (int i = 0; i < pointer->ntokens; i++)
	{
		if (value->type != jbvBinary ||
			!follow(value->val.binary.data, &pointer->tokens[i], value))
			return false;
	}
	return true;
}
