/*-------------------------------------------------------------------------
 *
 * compare_formula.h
 *	  What compare_formula.c and compare_literal.c share, beside compare_int.h.
 *
 *-------------------------------------------------------------------------
 */
#ifndef MO_COMPARE_FORMULA_H
#define MO_COMPARE_FORMULA_H

#include "contract/compare_int.h"

extern MoFormula *mo_formula_intern(MoProver *p, MoFormula *draft);
extern MoKind mo_literal_kind(const MoFormula *f);
extern bool mo_enum_has(const MoFormula *f, const MoJson *value);
extern bool mo_formulas_have(const MoFormula *const *args, int n,
							 const MoFormula *f);

#endif							/* MO_COMPARE_FORMULA_H */
