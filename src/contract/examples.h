/*-------------------------------------------------------------------------
 *
 * examples.h
 *	  What examples.c and examples_value.c share.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_EXAMPLES_H
#define MO_EXAMPLES_H

#include "common/pg_prng.h"

#include "contract/changes.h"
#include "contract/compare_int.h"

typedef struct MoMaker
{
	MoProver   *p;
	pg_prng_state random;
	bool		closed;			/* no properties that are not declared */
} MoMaker;

/* A number in [0, n). */
static inline int
mo_maker_below(MoMaker *m, int n)
{
	return n < 2 ? 0 : (int) pg_prng_uint64_range(&m->random, 0, n - 1);
}

/* examples_value.c */
extern const MoJson *mo_maker_scalar(MoMaker *m, const MoSurface *s,
									 MoKind kind);

#endif							/* MO_EXAMPLES_H */
