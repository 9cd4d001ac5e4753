/*-------------------------------------------------------------------------
 *
 * ecma.h
 *	  What the files of the translation from ECMA-262 to PCRE2 share.
 *
 *	  ecma.c			terms, groups, repetitions, back references
 *	  ecma_class.c		escapes of characters, brackets
 *	  ecma_property.c	Unicode properties
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_ECMA_H
#define MO_ECMA_H

#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

#include "contract/pattern.h"

#define MO_ECMA_NEVER	"(?!)"		/* matches nothing */
#define MAX_GROUPS		1000

typedef struct MoEcmaGroup
{
	bool		capturing;
	bool		lookaround;		/* (?=, (?!, (?<=, (?<! */
	bool		lookbehind;
	int			first_capture;	/* captures opened before this group */
} MoEcmaGroup;

typedef struct MoTranslator
{
	const char *p;
	const char *end;
	StringInfoData out;
	char	   *reason;			/* set once something is wrong */
	int			captures;		/* in the whole expression */
	int			opened;			/* captures opened so far */
	int			depth;
	MoEcmaGroup stack[MAX_GROUPS];
	bool		repeated[MAX_GROUPS];	/* capture n is inside a repetition */
	int			referred[MAX_GROUPS];	/* back references, in order */
	int			nreferred;
	char	   *names[MAX_GROUPS];
} MoTranslator;

static inline bool
mo_ecma_peek(const MoTranslator *t, const char *s)
{
	size_t		n = strlen(s);

	return (size_t) (t->end - t->p) >= n && memcmp(t->p, s, n) == 0;
}

static inline bool
mo_ecma_accept(MoTranslator *t, const char *s)
{
	if (!mo_ecma_peek(t, s))
		return false;
	t->p += strlen(s);
	return true;
}

static inline void
mo_ecma_emit(MoTranslator *t, const char *s)
{
	appendStringInfoString(&t->out, s);
}

static inline bool
mo_ecma_surrogate(uint32 ch)
{
	return ch >= 0xD800 && ch <= 0xDFFF;
}

/* ecma.c */
extern bool mo_ecma_fail(MoTranslator *t, const char *reason);
extern uint32 mo_ecma_next(MoTranslator *t);

/* ecma_class.c: what follows "[" or a backslash */
extern bool mo_ecma_class(MoTranslator *t);
extern bool mo_ecma_class_escape(MoTranslator *t, bool in_class);
extern bool mo_ecma_character(MoTranslator *t, bool in_class, uint32 *ch);

/* ecma_property.c: what follows "\p" or "\P" */
extern bool mo_ecma_property(MoTranslator *t, bool negated);

#endif							/* MO_ECMA_H */
