/*-------------------------------------------------------------------------
 *
 * pointer.h
 *	  JSON Pointers (RFC 6901) into jsonb.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_POINTER_H
#define MO_POINTER_H

#include "utils/jsonb.h"

/* One reference token, unescaped. */
typedef struct MoPointerToken
{
	const char *name;
	int			len;
	int32		index;			/* as an array index; -1 when it is none */
} MoPointerToken;

typedef struct MoPointer
{
	const char *text;
	int			ntokens;
	MoPointerToken *tokens;
} MoPointer;

/* Parses a pointer into the current memory context. */
extern MoPointer *mo_pointer_parse(const char *text);

/*
 * The value that the pointer leads to; false when it leads nowhere.  Strings
 * and numbers in "value" point into the document.
 */
extern bool mo_pointer_get(const MoPointer *pointer, Jsonb *document,
						   JsonbValue *value);

#endif							/* MO_POINTER_H */
