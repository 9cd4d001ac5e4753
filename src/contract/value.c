/*-------------------------------------------------------------------------
 *
 * value.c
 *	  Access to jsonb values in place: members, order, text.
 *
 * What is not hot enough to be inlined from value.h.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/json.h"

#include "contract/value.h"

static const char *const kind_names[] = {
	"null", "boolean", "string", "number", "array", "object"
};

const char *
mo_kind_name(MoKind kind)
{
	return kind_names[kind];
}

/* A scalar document is stored as an array of one element. */
void
mo_value_root(const Jsonb *document, MoValue *v)
{
	const JsonbContainer *c = &document->root;

	if (JsonContainerIsScalar(c))
	{
		mo_value_set(v, &c->children[0], (const char *) &c->children[1], 0,
					 getJsonbLength(c, 0));
		return;
	}
	v->kind = JsonContainerIsObject(c) ? MO_OBJECT : MO_ARRAY;
	v->len = JsonContainerSize(c);
	v->data = (const char *) c;
	v->entry = document;
}

/* Finds a member by binary search; its position is its index in key order. */
bool
mo_value_member(const MoValue *object, const char *key, uint32 keylen,
				MoValue *v, int *position)
{
	const JsonbContainer *c = mo_value_container(object);
	const char *base = (const char *) &c->children[2 * object->len];
	int			low = 0;
	int			high = (int) object->len - 1;

	while (low <= high)
	{
		int			mid = low + (high - low) / 2;
		uint32		offset = getJsonbOffset(c, mid);
		uint32		len = mo_entry_length(c->children[mid], offset);
		int			cmp = mo_key_compare(key, keylen, base + offset, len);

		if (cmp == 0)
		{
			int			i = object->len + mid;

			offset = getJsonbOffset(c, i);
			mo_value_set(v, &c->children[i], base, offset,
						 mo_entry_length(c->children[i], offset));
			if (position)
				*position = mid;
			return true;
		}
		if (cmp < 0)
			high = mid - 1;
		else
			low = mid + 1;
	}
	return false;
}

bool
mo_value_get(const MoValue *object, const char *key, MoValue *v)
{
	return mo_value_member(object, key, strlen(key), v, NULL);
}

bool
mo_value_element(const MoValue *array, uint32 i, MoValue *v)
{
	const JsonbContainer *c = mo_value_container(array);
	uint32		offset;

	if (i >= array->len)
		return false;
	offset = getJsonbOffset(c, i);
	mo_value_set(v, &c->children[i], (const char *) &c->children[array->len],
				 offset, mo_entry_length(c->children[i], offset));
	return true;
}

static int
compare_containers(const MoValue *a, const MoValue *b)
{
	MoCursor	ca;
	MoCursor	cb;
	MoValue		va;
	MoValue		vb;
	const char *ka;
	const char *kb;
	uint32		la;
	uint32		lb;
	int			cmp;

	CHECK_FOR_INTERRUPTS();
	check_stack_depth();
	if (a->len != b->len)
		return a->len < b->len ? -1 : 1;
	mo_cursor_begin(&ca, a);
	mo_cursor_begin(&cb, b);
	if (a->kind == MO_ARRAY)
	{
		while (mo_cursor_element(&ca, &va) && mo_cursor_element(&cb, &vb))
		{
			if ((cmp = mo_value_compare(&va, &vb)) != 0)
				return cmp;
		}
		return 0;
	}
	while (mo_cursor_member(&ca, &ka, &la, &va) &&
		   mo_cursor_member(&cb, &kb, &lb, &vb))
	{
		if ((cmp = mo_key_compare(ka, la, kb, lb)) != 0 ||
			(cmp = mo_value_compare(&va, &vb)) != 0)
			return cmp;
	}
	return 0;
}

/*
 * A total order in which JSON-equal values are equal: 1 and 1.0 are, 0 and
 * false are not, and members were put into key order by jsonb.
 */
int
mo_value_compare(const MoValue *a, const MoValue *b)
{
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	switch (a->kind)
	{
		case MO_NULL:
			return 0;
		case MO_BOOLEAN:
			return (int) a->truth - (int) b->truth;
		case MO_STRING:
			return mo_key_compare(a->data, a->len, b->data, b->len);
		case MO_NUMBER:
			{
				MoNumber	na;
				MoNumber	nb;

				mo_number_view(a, &na);
				mo_number_view(b, &nb);
				return mo_number_compare(&na, &nb);
			}
		case MO_ARRAY:
		case MO_OBJECT:
			return compare_containers(a, b);
	}
	pg_unreachable();
}

/* Code points: all bytes but the continuation bytes. */
uint32
mo_utf8_length(const char *s, uint32 len)
{
	uint32		n = 0;

	for (uint32 i = 0; i < len; i++)
		n += ((unsigned char) s[i] & 0xC0) != 0x80;
	return n;
}

void
mo_value_jsonbvalue(const MoValue *v, JsonbValue *out)
{
	switch (v->kind)
	{
		case MO_NULL:
			out->type = jbvNull;
			break;
		case MO_BOOLEAN:
			out->type = jbvBool;
			out->val.boolean = v->truth;
			break;
		case MO_STRING:
			out->type = jbvString;
			out->val.string.val = unconstify(char *, v->data);
			out->val.string.len = v->len;
			break;
		case MO_NUMBER:
			out->type = jbvNumeric;
			out->val.numeric = (Numeric) v->data;
			break;
		case MO_ARRAY:
		case MO_OBJECT:
			out->type = jbvBinary;
			out->val.binary.data = (JsonbContainer *) v->data;

			/*
			 * Only an estimate for the output buffer, or the length to copy:
			 * the end of the last child says it exactly.
			 */
			{
				const JsonbContainer *c = mo_value_container(v);
				uint32		n = v->kind == MO_OBJECT ? 2 * v->len : v->len;

				out->val.binary.len = offsetof(JsonbContainer, children) +
					n * sizeof(JEntry) +
					(n == 0 ? 0 : getJsonbOffset(c, n - 1) +
					 getJsonbLength(c, n - 1));
			}
			break;
	}
}

Jsonb *
mo_value_jsonb(const MoValue *v)
{
	JsonbValue	jv;

	mo_value_jsonbvalue(v, &jv);
	return JsonbValueToJsonb(&jv);
}

/* The value as JSON text, palloc'd. */
char *
mo_value_text(const MoValue *v)
{
	StringInfoData buf;

	initStringInfo(&buf);
	switch (v->kind)
	{
		case MO_NULL:
			appendStringInfoString(&buf, "null");
			break;
		case MO_BOOLEAN:
			appendStringInfoString(&buf, v->truth ? "true" : "false");
			break;
		case MO_STRING:
			escape_json(&buf, pnstrdup(v->data, v->len));
			break;
		case MO_NUMBER:
			appendStringInfoString(&buf,
								   DatumGetCString(DirectFunctionCall1(numeric_out,
																	   PointerGetDatum(v->data))));
			break;
		case MO_ARRAY:
		case MO_OBJECT:
			{
				JsonbValue	jv;

				mo_value_jsonbvalue(v, &jv);
				(void) JsonbToCString(&buf, jv.val.binary.data,
									  jv.val.binary.len);
				break;
			}
	}
	return buf.data;
}

/* A string's bytes with a terminating zero, palloc'd. */
char *
mo_value_cstring(const MoValue *v)
{
	return pnstrdup(v->data, v->len);
}
