/*-------------------------------------------------------------------------
 *
 * language.h
 *	  Patterns as automata: which strings satisfy several at once.
 *
 * Only what is regular: look-around and back-references make
 * mo_language_compile return NULL.  The alphabet is Unicode without U+0000,
 * which jsonb cannot hold, and without surrogates.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_LANGUAGE_H
#define MO_LANGUAGE_H

#include "postgres.h"

typedef struct MoLanguage MoLanguage;

/* A set of code points as ranges in rising order. */
typedef struct MoCharRange
{
	uint32		low;
	uint32		high;
} MoCharRange;

typedef struct MoCharSet
{
	int			count;
	int			space;
	MoCharRange *ranges;
} MoCharSet;

#define MO_LAST_CHAR 0x10FFFF

/* What may be said about a string in one search. */
typedef struct MoLanguageTerm
{
	const MoLanguage *language;
	bool		negated;
} MoLanguageTerm;

typedef struct MoLanguageQuery
{
	MoLanguageTerm *terms;
	int			nterms;
	int64		min_chars;
	int64		max_chars;
	const char **excluded;		/* strings that are not wanted, UTF-8 */
	int			nexcluded;
	int			max_states;		/* of the product, before giving up */
	bool		(*tick) (void *arg);	/* false: give up */
	bool		(*accept) (void *arg, const char *word, int length);
	void	   *arg;
	int			max_words;		/* offered to accept before giving up */
} MoLanguageQuery;

typedef enum MoLanguageResult
{
	MO_LANGUAGE_EMPTY,			/* no such string exists */
	MO_LANGUAGE_FOUND,			/* accept took one */
	MO_LANGUAGE_UNKNOWN			/* a limit, or accept took none offered */
} MoLanguageResult;

/*
 * The automaton of an ECMA-262 expression that may match anywhere; NULL, and
 * *reason (a constant) when it is not regular or too large.
 */
extern MoLanguage *mo_language_compile(const char *pattern,
									   MemoryContext context,
									   const char **reason);
extern MoLanguageResult mo_language_search(MoLanguageQuery *query);

/* ---- shared by language_*.c ---- */

typedef enum MoStateKind
{
	MO_STATE_CHAR,				/* one of set, then next */
	MO_STATE_SPLIT,				/* next or other, without a character */
	MO_STATE_START,				/* at the start of the string, next */
	MO_STATE_END,
	MO_STATE_BOUNDARY,			/* \b */
	MO_STATE_NO_BOUNDARY,		/* \B */
	MO_STATE_MATCH
} MoStateKind;

typedef struct MoState
{
	MoStateKind kind;
	int			set;			/* index in sets */
	int			next;
	int			other;			/* or -1 */
} MoState;

struct MoLanguage
{
	int			nstates;
	int			space;
	MoState    *states;
	int			start;
	int			nsets;
	MoCharSet **sets;
	bool		boundaries;		/* has \b or \B */
};

extern void mo_charset_add(MoCharSet *set, uint32 low, uint32 high);
extern void mo_charset_close(MoCharSet *set);
extern void mo_charset_invert(MoCharSet *set);
extern bool mo_charset_has(const MoCharSet *set, uint32 c);
extern bool mo_charset_class(MoCharSet *set, char letter);

#endif							/* MO_LANGUAGE_H */
