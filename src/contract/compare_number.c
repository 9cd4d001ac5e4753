/*-------------------------------------------------------------------------
 *
 * compare_number.c
 *	  Numbers: an interval, what they are multiples of and what not.
 *
 * Exact decimals of any size, PostgreSQL's numeric.  With a required multiple
 * the candidates are the multiples of the least common one; without, there
 * are infinitely many decimals between two bounds, and one with more digits
 * than a divisor is no multiple of it.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "utils/builtins.h"

#include "contract/compare_formula.h"

/* Multiples tried one after the other before a computed one is tried. */
#define MAX_TRIES 2000

/* Numbers beyond this many decimal digits are not calculated with. */
#define MAX_DIGITS 1000

typedef struct Numbers
{
	MoProver   *p;
	Numeric		low;			/* or NULL */
	Numeric		high;
	bool		low_strict;
	bool		high_strict;
	Numeric		step;			/* what they are multiples of, or NULL */
	MoFormula **literals;
	int			n;
} Numbers;

static bool
too_long(Numeric n)
{
	return VARSIZE(n) > MAX_DIGITS / 2;
}

static void
raise_low(Numbers *s, Numeric n, bool strict)
{
	int			cmp = s->low ? mo_numeric_cmp(n, s->low) : 1;

	if (cmp > 0 || (cmp == 0 && strict))
	{
		s->low = n;
		s->low_strict = strict;
	}
}

static void
lower_high(Numbers *s, Numeric n, bool strict)
{
	int			cmp = s->high ? mo_numeric_cmp(n, s->high) : -1;

	if (cmp < 0 || (cmp == 0 && strict))
	{
		s->high = n;
		s->high_strict = strict;
	}
}

/* Reads the literals; false when their numbers are too long to work with. */
static bool
gather(Numbers *s)
{
	for (int i = 0; i < s->n; i++)
	{
		MoFormula  *f = s->literals[i];

		if (f->kind == MO_F_NUM_MIN)
			raise_low(s, f->number, f->strict);
		else if (f->kind == MO_F_NUM_MAX)
			lower_high(s, f->number, f->strict);
		else if (f->kind == MO_F_NUM_MULTIPLE)
		{
			if (too_long(f->number))
				return false;
			if (!f->negated)
				s->step = s->step ? mo_numeric_op(numeric_lcm, s->step,
												  f->number) : f->number;
			if (s->step && too_long(s->step))
				return false;
		}
	}
	return true;
}

static bool
within(const Numbers *s, Numeric n)
{
	int			cmp;

	if (s->low)
	{
		cmp = mo_numeric_cmp(n, s->low);
		if (cmp < 0 || (cmp == 0 && s->low_strict))
			return false;
	}
	if (s->high)
	{
		cmp = mo_numeric_cmp(n, s->high);
		if (cmp > 0 || (cmp == 0 && s->high_strict))
			return false;
	}
	return true;
}

static bool
satisfies(const Numbers *s, Numeric n, const MoJson **witness)
{
	const MoJson *v;

	if (!within(s, n))
		return false;
	v = mo_json_number(s->p, n);
	for (int i = 0; i < s->n; i++)
		if (mo_formula_holds(s->p, s->literals[i], v) != 1)
			return false;
	*witness = v;
	return true;
}

static Numeric
add(Numeric a, Numeric b)
{
	return mo_numeric_op(numeric_add, a, b);
}

static Numeric
subtract(Numeric a, Numeric b)
{
	return mo_numeric_op(numeric_sub, a, b);
}

/* The smallest multiple of step that is not below n. */
static Numeric
multiple_from(Numeric n, Numeric step)
{
	Numeric		rest = mo_numeric_op(numeric_mod, n, step);
	Numeric		result = subtract(n, rest);

	if (mo_numeric_cmp(result, n) < 0)
		result = add(result, step);
	return result;
}

static Numeric
multiple_upto(Numeric n, Numeric step)
{
	Numeric		result = multiple_from(n, step);

	if (mo_numeric_cmp(result, n) > 0)
		result = subtract(result, step);
	return result;
}

/* Some number is a multiple of the step but of no forbidden divisor. */
static MoVerdictState
multiples_beyond(Numbers *s, const MoJson **witness)
{
	Numeric		period = s->step;
	Numeric		start = s->step;

	for (int i = 0; i < s->n; i++)
	{
		MoFormula  *f = s->literals[i];

		if (f->kind == MO_F_NUM_MULTIPLE && f->negated)
			period = mo_numeric_op(numeric_lcm, period, f->number);
		if (too_long(period))
			return MO_UNKNOWN;
	}
	/* step + k * period leaves the same rests as step itself */
	if (s->low)
		start = add(start, multiple_from(subtract(s->low, start), period));
	else if (s->high)
		start = add(start, multiple_upto(subtract(s->high, start), period));
	for (int i = 0; i < s->n + 16; i++)
	{
		if (satisfies(s, start, witness))
			return MO_WITNESS;
		start = s->low ? add(start, period) : subtract(start, period);
	}
	mo_prover_unsure(s->p, "multipleOf", "too many multiples to try");
	return MO_UNKNOWN;
}

static MoVerdictState
solve_multiples(Numbers *s, const MoJson **witness)
{
	bool		down = (s->low == NULL && s->high != NULL);
	Numeric		n = int64_to_numeric(0);

	for (int i = 0; i < s->n; i++)
	{
		MoFormula  *f = s->literals[i];

		if (f->kind == MO_F_NUM_MULTIPLE && f->negated &&
			mo_numeric_is_multiple(s->step, f->number))
			return MO_EMPTY;
	}
	if (satisfies(s, n, witness))
		return MO_WITNESS;
	if (s->low)
		n = multiple_from(s->low, s->step);
	else if (s->high)
		n = multiple_upto(s->high, s->step);
	for (int i = 0; i < MAX_TRIES; i++)
	{
		if (satisfies(s, n, witness))
			return MO_WITNESS;
		n = down ? subtract(n, s->step) : add(n, s->step);
		if (!down && s->high && mo_numeric_cmp(n, s->high) > 0)
			return MO_EMPTY;
		if (!mo_prover_tick(s->p))
			return MO_UNKNOWN;
	}
	return multiples_beyond(s, witness);
}

/* Whole numbers near the bounds: what a person would write. */
static bool
try_whole(Numbers *s, const MoJson **witness)
{
	Numeric		one = int64_to_numeric(1);
	Numeric		n = int64_to_numeric(0);

	if (satisfies(s, n, witness))
		return true;
	if (s->low)
		n = multiple_from(s->low, one);
	else if (s->high)
		n = multiple_upto(s->high, one);
	for (int i = 0; i < 20; i++)
	{
		if (satisfies(s, n, witness))
			return true;
		n = (s->low || !s->high) ? add(n, one) : subtract(n, one);
	}
	return false;
}

static Numeric
half(Numeric n)
{
	static const char *const text = "0.5";
	Numeric		h = DatumGetNumeric(DirectFunctionCall3(numeric_in,
														CStringGetDatum(text),
														ObjectIdGetDatum(InvalidOid),
														Int32GetDatum(-1)));

	return mo_numeric_op(numeric_mul, n, h);
}

static MoVerdictState
solve_decimals(Numbers *s, const MoJson **witness)
{
	Numeric		base;
	Numeric		width = int64_to_numeric(1);
	int			cmp;

	if (s->low && s->high)
	{
		cmp = mo_numeric_cmp(s->low, s->high);
		if (cmp > 0 || (cmp == 0 && (s->low_strict || s->high_strict)))
			return MO_EMPTY;
		if (cmp == 0)
			return satisfies(s, s->low, witness) ? MO_WITNESS : MO_EMPTY;
		width = subtract(s->high, s->low);
		if (mo_numeric_cmp(width, int64_to_numeric(1)) > 0)
			width = int64_to_numeric(1);
	}
	if (try_whole(s, witness))
		return MO_WITNESS;
	base = s->low ? s->low : s->high ? subtract(s->high, width) :
		int64_to_numeric(0);
	if (satisfies(s, base, witness) ||
		(s->high && satisfies(s, s->high, witness)))
		return MO_WITNESS;

	/* each half has a digit more; excluded values are finitely many */
	for (int i = 0; i < MAX_TRIES; i++)
	{
		width = half(width);
		if (satisfies(s, add(base, width), witness))
			return MO_WITNESS;
		if (too_long(width) || !mo_prover_tick(s->p))
			break;
	}
	mo_prover_unsure(s->p, "multipleOf", "too many numbers to try");
	return MO_UNKNOWN;
}

MoVerdictState
mo_number_solve(MoProver *p, MoFormula **literals, int n,
				const MoJson **witness)
{
	Numbers		s = {.p = p,.literals = literals,.n = n};
	int			cmp;

	if (!gather(&s))
	{
		mo_prover_unsure(p, "multipleOf", "a number has too many digits");
		return MO_UNKNOWN;
	}
	if (s.low && s.high)
	{
		cmp = mo_numeric_cmp(s.low, s.high);
		if (cmp > 0 || (cmp == 0 && (s.low_strict || s.high_strict)))
			return MO_EMPTY;
	}
	return s.step ? solve_multiples(&s, witness) :
		solve_decimals(&s, witness);
}
