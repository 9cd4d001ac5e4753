/*-------------------------------------------------------------------------
 *
 * pattern.h
 *	  ECMA-262 regular expressions, run by PCRE2 with limits.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_PATTERN_H
#define MO_PATTERN_H

#include "lib/stringinfo.h"

typedef struct MoPattern MoPattern;

/*
 * Compiles an expression into "context".  On failure returns NULL and sets
 * *reason (palloc'd) to what is wrong with it, in words.
 */
extern MoPattern *mo_pattern_compile(const char *source, uint32 len,
									 MemoryContext context, char **reason);

/* Is it an ECMA-262 expression that mo_pattern_compile() would take? */
extern bool mo_pattern_check(const char *source, uint32 len, char **reason);

/* Does it match somewhere?  Raises an error when it exceeds the limits. */
extern bool mo_pattern_matches(const MoPattern *pattern,
							   const char *subject, uint32 len);

extern const char *mo_pattern_source(const MoPattern *pattern);

/* ecma.c: translation to PCRE2's syntax; NULL and *reason on failure. */
extern char *mo_ecma_translate(const char *source, uint32 len, char **reason);

#endif							/* MO_PATTERN_H */
