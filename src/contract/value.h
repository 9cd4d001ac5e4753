/*-------------------------------------------------------------------------
 *
 * value.h
 *	  A value inside a jsonb, looked at in place.
 *
 * The compiler reads schemas and the walker reads instances through these
 * views, so that neither ever copies or converts a document.  A view is valid
 * as long as the jsonb it points into.
 *
 * The layout knowledge (JEntry words, offsets, alignment of containers and
 * numerics) is the on-disk format of jsonb, which is the same in all
 * supported servers.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_VALUE_H
#define MO_VALUE_H

#include "utils/jsonb.h"

typedef enum MoKind
{
	MO_NULL,
	MO_BOOLEAN,
	MO_STRING,
	MO_NUMBER,
	MO_ARRAY,
	MO_OBJECT
} MoKind;

typedef struct MoValue
{
	MoKind		kind;
	bool		truth;			/* of a boolean */
	uint32		len;			/* bytes of a string; members or elements */
	const char *data;			/* string bytes, numeric or container */
	const void *entry;			/* identifies the value within its jsonb */
} MoValue;

/* A number's sign, weight and base-10000 digits, where they are stored. */
typedef struct MoNumber
{
	bool		negative;
	int			weight;			/* power of 10000 of the first digit */
	int			ndigits;		/* no leading or trailing zero digits; 0 is 0 */
	const int16 *digits;
} MoNumber;

/* Cursor over an object's members or an array's elements, in jsonb's order. */
typedef struct MoCursor
{
	const JsonbContainer *container;
	const char *base;			/* first byte after the JEntry words */
	uint32		count;
	uint32		next;
	uint32		key_offset;
	uint32		offset;
} MoCursor;

static inline const JsonbContainer *
mo_value_container(const MoValue *v)
{
	return (const JsonbContainer *) v->data;
}

/* Makes the view of one JEntry whose data begins at base + offset. */
static inline void
mo_value_set(MoValue *v, const JEntry *entry, const char *base,
			 uint32 offset, uint32 len)
{
	JEntry		e = *entry;

	v->entry = entry;
	v->data = base + offset;
	v->len = len;
	switch (e & JENTRY_TYPEMASK)
	{
		case JENTRY_ISSTRING:
			v->kind = MO_STRING;
			break;
		case JENTRY_ISNUMERIC:
			v->kind = MO_NUMBER;
			v->data = base + INTALIGN(offset);
			break;
		case JENTRY_ISCONTAINER:
			v->data = base + INTALIGN(offset);
			v->kind = JsonContainerIsObject((const JsonbContainer *) v->data) ?
				MO_OBJECT : MO_ARRAY;
			v->len = JsonContainerSize((const JsonbContainer *) v->data);
			break;
		case JENTRY_ISNULL:
			v->kind = MO_NULL;
			break;
		default:
			v->kind = MO_BOOLEAN;
			v->truth = JBE_ISBOOL_TRUE(e);
			break;
	}
}

static inline void
mo_cursor_begin(MoCursor *c, const MoValue *v)
{
	const JsonbContainer *container = mo_value_container(v);

	c->container = container;
	c->count = v->len;
	c->next = 0;
	c->key_offset = 0;
	if (v->kind == MO_OBJECT)
	{
		c->base = (const char *) &container->children[2 * c->count];
		c->offset = getJsonbOffset(container, c->count);
	}
	else
	{
		c->base = (const char *) &container->children[c->count];
		c->offset = 0;
	}
}

/* Length of the data of entry e, which begins at "offset". */
static inline uint32
mo_entry_length(JEntry e, uint32 offset)
{
	return JBE_HAS_OFF(e) ? JBE_OFFLENFLD(e) - offset : JBE_OFFLENFLD(e);
}

static inline bool
mo_cursor_element(MoCursor *c, MoValue *v)
{
	const JEntry *entry;
	uint32		len;

	if (c->next >= c->count)
		return false;
	entry = &c->container->children[c->next++];
	len = mo_entry_length(*entry, c->offset);
	mo_value_set(v, entry, c->base, c->offset, len);
	c->offset += len;
	return true;
}

static inline bool
mo_cursor_member(MoCursor *c, const char **key, uint32 *keylen, MoValue *v)
{
	const JEntry *entry;
	uint32		len;

	if (c->next >= c->count)
		return false;
	*key = c->base + c->key_offset;
	*keylen = mo_entry_length(c->container->children[c->next], c->key_offset);
	c->key_offset += *keylen;
	entry = &c->container->children[c->count + c->next++];
	len = mo_entry_length(*entry, c->offset);
	mo_value_set(v, entry, c->base, c->offset, len);
	c->offset += len;
	return true;
}

/* jsonb's order of keys: by length, then by bytes. */
static inline int
mo_key_compare(const char *a, uint32 alen, const char *b, uint32 blen)
{
	if (alen != blen)
		return alen < blen ? -1 : 1;
	return memcmp(a, b, alen);
}

static inline bool
mo_key_is(const char *key, uint32 len, const char *name)
{
	return strlen(name) == len && memcmp(key, name, len) == 0;
}

/* value.c */
extern void mo_value_root(const Jsonb *document, MoValue *v);
extern bool mo_value_member(const MoValue *object, const char *key,
							uint32 keylen, MoValue *v, int *position);
extern bool mo_value_get(const MoValue *object, const char *key, MoValue *v);
extern bool mo_value_element(const MoValue *array, uint32 i, MoValue *v);
extern int	mo_value_compare(const MoValue *a, const MoValue *b);
extern char *mo_value_text(const MoValue *v);
extern char *mo_value_cstring(const MoValue *v);
extern Jsonb *mo_value_jsonb(const MoValue *v);
extern void mo_value_jsonbvalue(const MoValue *v, JsonbValue *out);
extern uint32 mo_utf8_length(const char *s, uint32 len);
extern const char *mo_kind_name(MoKind kind);

/* number.c */
extern void mo_number_view(const MoValue *v, MoNumber *n);
extern int	mo_number_compare(const MoNumber *a, const MoNumber *b);
extern bool mo_number_is_integer(const MoNumber *n);
extern bool mo_number_int64(const MoNumber *n, int64 *result);

/* A divisor prepared for mo_number_is_multiple(). */
typedef struct MoDivisor
{
	Numeric		value;
	uint64		coefficient;	/* value = coefficient * 10000^exponent, */
	int			exponent;		/* or coefficient 0: does not fit */
} MoDivisor;

extern void mo_divisor_set(MoDivisor *d, const MoValue *v);
extern bool mo_number_is_multiple(const MoValue *v, const MoDivisor *d);

#endif							/* MO_VALUE_H */
