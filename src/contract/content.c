/*-------------------------------------------------------------------------
 *
 * content.c
 *	  contentEncoding, contentMediaType and contentSchema, asserted.
 *
 * By the specification these three only annotate; a contract may ask that
 * they refuse.  Known are base64 and application/json.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/base64.h"
#include "mb/pg_wchar.h"
#include "utils/builtins.h"
#include "utils/fmgrprotos.h"

#include "compat.h"
#include "contract/compile.h"
#include "contract/walk.h"

/* RFC 4648 base64 with padding and without line breaks. */
static bool
is_base64(const char *s, uint32 len)
{
	uint32		padding = 0;

	if (len % 4 != 0)
		return false;
	while (padding < 2 && padding < len && s[len - 1 - padding] == '=')
		padding++;
	for (uint32 i = 0; i < len - padding; i++)
	{
		char		ch = s[i];

		if (!((ch >= 'A' && ch <= 'Z') || (ch >= 'a' && ch <= 'z') ||
			  (ch >= '0' && ch <= '9') || ch == '+' || ch == '/'))
			return false;
	}
	return true;
}

bool
mo_walk_content(MoWalk *w, const MoNode *node, const MoValue *v)
{
	const MoStringRules *rules = node->string;
	char	   *text;
	Jsonb	   *document;
	MoValue		root;

	if (rules->encoded_base64)
	{
		char	   *decoded;
		int			len = -1;

		if (!is_base64(v->data, v->len))
			return mo_violate(w, node, "contentEncoding", v, NULL,
							  "is not base64");
		decoded = palloc(pg_b64_dec_len(v->len) + 1);
		len = mo_compat_b64_decode(v->data, v->len, decoded,
								   pg_b64_dec_len(v->len));
		if (len < 0)
			return mo_violate(w, node, "contentEncoding", v, NULL,
							  "is not base64");
		decoded[len] = '\0';
		if (strlen(decoded) != len || !pg_verifymbstr(decoded, len, true))
			return !(rules->content_json || rules->content_schema) ||
				mo_violate(w, node, "contentMediaType", v, NULL,
						   "does not contain text");
		text = decoded;
	}
	else
		text = mo_value_cstring(v);
	if (!rules->content_json)
		return true;
	if (!mo_json_text_is_valid(cstring_to_text(text)))
		return mo_violate(w, node, "contentMediaType", v, NULL,
						  "does not contain valid JSON");
	if (rules->content_schema == NULL)
		return true;
	document = DatumGetJsonbP(DirectFunctionCall1(jsonb_in,
												  CStringGetDatum(text)));
	mo_value_root(document, &root);
	return mo_walk(w, rules->content_schema, &root, 0);
}
