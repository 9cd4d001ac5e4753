/*-------------------------------------------------------------------------
 *
 * key.h
 *	  An event's key, as text and as its place in a roll-out.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_KEY_H
#define MO_KEY_H

#include "utils/jsonb.h"

/* The text of a key; NULL when the value is no scalar, or null. */
extern text *mo_key_text(const JsonbValue *value);

extern bool mo_key_equals(const text *a, const text *b);

/* A key as consumers find it, for validation: a JSON string. */
extern Jsonb *mo_key_document(const text *key);

/* 0 to 99, the same for equal keys on every server. */
extern int	mo_key_bucket(const char *key, int len);

#endif							/* MO_KEY_H */
