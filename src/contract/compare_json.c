/*-------------------------------------------------------------------------
 *
 * compare_json.c
 *	  JSON values for the prover, interned.
 *
 * Schemas, constants and witnesses are all such values.  Interning makes
 * equality a comparison of pointers, which enum, const and uniqueItems need
 * often.  Numbers are equal by value, so 1 and 1.0 are one pointer; the
 * spelling met first stays.  Called by every file of the prover; owns the
 * value table in the prover's context.  The schemas' own recursion depth is
 * bounded by check_stack_depth.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "common/hashfn.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/builtins.h"

#include "compat.h"
#include "contract/compare_int.h"

int
mo_numeric_cmp(Numeric a, Numeric b)
{
	return DatumGetInt32(DirectFunctionCall2(numeric_cmp,
											 NumericGetDatum(a),
											 NumericGetDatum(b)));
}

/* Any of numeric_add, numeric_sub, ... */
Numeric
mo_numeric_op(PGFunction op, Numeric a, Numeric b)
{
	return DatumGetNumeric(DirectFunctionCall2Coll(op, InvalidOid,
												   NumericGetDatum(a),
												   NumericGetDatum(b)));
}

static bool
numeric_is_zero(Numeric n)
{
	Numeric		sign = DatumGetNumeric(DirectFunctionCall1(numeric_sign,
														   NumericGetDatum(n)));

	return DatumGetInt32(DirectFunctionCall1(numeric_int4,
											 NumericGetDatum(sign))) == 0;
}

bool
mo_numeric_is_multiple(Numeric n, Numeric of)
{
	return numeric_is_zero(mo_numeric_op(numeric_mod, n, of));
}

static bool
same_value(const MoJson *a, const MoJson *b)
{
	if (a->hash != b->hash || a->kind != b->kind || a->length != b->length)
		return false;
	switch (a->kind)
	{
		case MO_NULL:
			return true;
		case MO_BOOLEAN:
			return a->boolean == b->boolean;
		case MO_NUMBER:
			return mo_numeric_cmp(a->number, b->number) == 0;
		case MO_STRING:
			return memcmp(a->string, b->string, a->length) == 0;
		case MO_OBJECT:
			if (memcmp(a->names, b->names, sizeof(MoJson *) * a->length) != 0)
				return false;
			/* FALLTHROUGH */
		case MO_ARRAY:
			return memcmp(a->items, b->items,
						  sizeof(MoJson *) * a->length) == 0;
	}
	return false;
}

static uint32
hash_value(const MoJson *v)
{
	uint32		h = murmurhash32(v->kind + 1);

	switch (v->kind)
	{
		case MO_NULL:
			break;
		case MO_BOOLEAN:
			h = hash_combine(h, v->boolean);
			break;
		case MO_NUMBER:
			h = hash_combine(h, DatumGetUInt32(DirectFunctionCall1(hash_numeric,
																   NumericGetDatum(v->number))));
			break;
		case MO_STRING:
			h = hash_combine(h, hash_bytes((const unsigned char *) v->string,
										   v->length));
			break;
		case MO_OBJECT:
			for (int i = 0; i < v->length; i++)
				h = hash_combine(h, v->names[i]->id);
			/* FALLTHROUGH */
		case MO_ARRAY:
			for (int i = 0; i < v->length; i++)
				h = hash_combine(h, v->items[i]->id);
			break;
	}
	return h;
}

static void
grow_table(MoProver *p)
{
	uint32		slots = p->value_slots ? p->value_slots * 2 : 1024;
	MoJson   **table = MemoryContextAllocZero(p->context,
											   slots * sizeof(MoJson *));

	for (uint32 i = 0; i < p->value_slots; i++)
	{
		MoJson    *v = p->value_table[i];

		while (v != NULL)
		{
			MoJson    *next = v->next;

			v->next = table[v->hash & (slots - 1)];
			table[v->hash & (slots - 1)] = v;
			v = next;
		}
	}
	if (p->value_table)
		pfree(p->value_table);
	p->value_table = table;
	p->value_slots = slots;
}

/* The one value equal to the draft, copied into the table when it is new. */
static const MoJson *
intern(MoProver *p, MoJson *draft)
{
	MoJson    *v;
	MemoryContext old;

	if (p->value_count >= p->value_slots)
		grow_table(p);
	draft->hash = hash_value(draft);
	for (v = p->value_table[draft->hash & (p->value_slots - 1)]; v; v = v->next)
		if (same_value(v, draft))
			return v;

	old = MemoryContextSwitchTo(p->context);
	v = palloc(sizeof(MoJson));
	*v = *draft;
	if (v->kind == MO_STRING)
	{
		v->string = pnstrdup(draft->string, draft->length);
		v->chars = pg_mbstrlen_with_len(v->string, v->length);
	}
	else if (v->kind == MO_NUMBER)
	{
		v->number = palloc(VARSIZE(draft->number));
		memcpy(v->number, draft->number, VARSIZE(draft->number));
	}
	else if (v->kind == MO_ARRAY || v->kind == MO_OBJECT)
	{
		Size		bytes = sizeof(MoJson *) * v->length;

		v->items = memcpy(palloc(bytes + 1), draft->items, bytes);
		if (v->kind == MO_OBJECT)
			v->names = memcpy(palloc(bytes + 1), draft->names, bytes);
	}
	MemoryContextSwitchTo(old);
	v->id = ++p->value_count;
	v->next = p->value_table[v->hash & (p->value_slots - 1)];
	p->value_table[v->hash & (p->value_slots - 1)] = v;
	return v;
}

const MoJson *
mo_json_null(MoProver *p)
{
	MoJson		draft = {.kind = MO_NULL};

	return intern(p, &draft);
}

const MoJson *
mo_json_bool(MoProver *p, bool boolean)
{
	MoJson		draft = {.kind = MO_BOOLEAN,.boolean = boolean};

	return intern(p, &draft);
}

const MoJson *
mo_json_number(MoProver *p, Numeric number)
{
	MoJson		draft = {.kind = MO_NUMBER,.number = number};

	return intern(p, &draft);
}

const MoJson *
mo_json_int(MoProver *p, int64 number)
{
	return mo_json_number(p, int64_to_numeric(number));
}

const MoJson *
mo_json_string(MoProver *p, const char *s, int length)
{
	MoJson		draft = {.kind = MO_STRING,.string = s,.length = length};

	return intern(p, &draft);
}

const MoJson *
mo_json_array(MoProver *p, const MoJson **items, int n)
{
	MoJson		draft = {.kind = MO_ARRAY,.items = items,.length = n};

	return intern(p, &draft);
}

typedef struct Member
{
	const MoJson *name;
	const MoJson *value;
} Member;

static int
member_cmp(const void *a, const void *b)
{
	uint32		x = ((const Member *) a)->name->id;
	uint32		y = ((const Member *) b)->name->id;

	return x < y ? -1 : x > y;
}

/* Names must differ; the order they come in does not matter. */
const MoJson *
mo_json_object(MoProver *p, const MoJson **names, const MoJson **values,
				int n)
{
	Member	   *members = palloc(sizeof(Member) * (n + 1));
	const MoJson **sorted = palloc(sizeof(MoJson *) * 2 * (n + 1));
	MoJson		draft = {.kind = MO_OBJECT,.length = n};
	const MoJson *result;

	for (int i = 0; i < n; i++)
	{
		members[i].name = names[i];
		members[i].value = values[i];
	}
	qsort(members, n, sizeof(Member), member_cmp);
	for (int i = 0; i < n; i++)
	{
		sorted[i] = members[i].name;
		sorted[n + 1 + i] = members[i].value;
	}
	draft.names = sorted;
	draft.items = sorted + n + 1;
	result = intern(p, &draft);
	pfree(members);
	pfree(sorted);
	return result;
}

static const MoJson *
read_members(MoProver *p, const MoValue *v)
{
	const MoJson **names = palloc(sizeof(MoJson *) * (v->len + 1));
	const MoJson **items = palloc(sizeof(MoJson *) * (v->len + 1));
	const MoJson *result;
	MoCursor	cursor;
	MoValue		item;
	const char *key;
	uint32		keylen;
	int			n = 0;

	check_stack_depth();
	CHECK_FOR_INTERRUPTS();
	mo_cursor_begin(&cursor, v);
	if (v->kind == MO_OBJECT)
	{
		while (mo_cursor_member(&cursor, &key, &keylen, &item))
		{
			names[n] = mo_json_string(p, key, keylen);
			items[n++] = mo_json_read(p, &item);
		}
		result = mo_json_object(p, names, items, n);
	}
	else
	{
		while (mo_cursor_element(&cursor, &item))
			items[n++] = mo_json_read(p, &item);
		result = mo_json_array(p, items, n);
	}
	pfree(names);
	pfree(items);
	return result;
}

const MoJson *
mo_json_read(MoProver *p, const MoValue *v)
{
	switch (v->kind)
	{
		case MO_NULL:
			return mo_json_null(p);
		case MO_BOOLEAN:
			return mo_json_bool(p, v->truth);
		case MO_NUMBER:
			return mo_json_number(p, (Numeric) v->data);
		case MO_STRING:
			return mo_json_string(p, v->data, v->len);
		default:
			return read_members(p, v);
	}
}

static JsonbValue *
push_value(JsonbParseState **state, const MoJson *v, JsonbIteratorToken how)
{
	JsonbValue	jv;
	JsonbValue *result;

	check_stack_depth();
	memset(&jv, 0, sizeof(jv));
	switch (v->kind)
	{
		case MO_NULL:
			jv.type = jbvNull;
			break;
		case MO_BOOLEAN:
			jv.type = jbvBool;
			jv.val.boolean = v->boolean;
			break;
		case MO_NUMBER:
			jv.type = jbvNumeric;
			jv.val.numeric = v->number;
			break;
		case MO_STRING:
			jv.type = jbvString;
			jv.val.string.val = unconstify(char *, v->string);
			jv.val.string.len = v->length;
			break;
		case MO_ARRAY:
			pushJsonbValue(state, WJB_BEGIN_ARRAY, NULL);
			for (int i = 0; i < v->length; i++)
				push_value(state, v->items[i], WJB_ELEM);
			return pushJsonbValue(state, WJB_END_ARRAY, NULL);
		case MO_OBJECT:
			pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
			for (int i = 0; i < v->length; i++)
			{
				push_value(state, v->names[i], WJB_KEY);
				push_value(state, v->items[i], WJB_VALUE);
			}
			return pushJsonbValue(state, WJB_END_OBJECT, NULL);
	}
	if (*state == NULL)
	{
		/* a document that is one scalar: the caller wraps it */
		result = palloc(sizeof(JsonbValue));
		*result = jv;
		return result;
	}
	return pushJsonbValue(state, how, &jv);
}

Jsonb *
mo_json_to_jsonb(const MoJson *value)
{
	JsonbParseState *state = NULL;

	return JsonbValueToJsonb(push_value(&state, value, WJB_ELEM));
}
