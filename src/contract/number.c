/*-------------------------------------------------------------------------
 *
 * number.c
 *	  Exact numbers: jsonb's numerics compared where they are stored.
 *
 * Called by the walker for every number, and by the compiler for bounds.
 * The stored form of numeric (sign, weight, base-10000 digits without leading
 * and trailing zeros) has been the same since 8.3 and cannot change without
 * breaking pg_upgrade, so comparing it here is safe; it saves a function call
 * and the conversion to the working form of numeric.c for each bound.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#include "compat.h"
#include "contract/value.h"

/* The words of a stored numeric; see the head of numeric.c in the server. */
#define HEADER_SHORT			0x8000
#define HEADER_NEGATIVE			0x4000
#define SHORT_NEGATIVE			0x2000
#define SHORT_WEIGHT_SIGN		0x0040
#define SHORT_WEIGHT			0x003F

#define BASE					10000

void
mo_number_view(const MoValue *v, MoNumber *n)
{
	const char *p = VARDATA_ANY(v->data);
	int			size = VARSIZE_ANY_EXHDR(v->data);
	uint16		header;

	memcpy(&header, p, sizeof(header));
	if (header & HEADER_SHORT)
	{
		n->negative = (header & SHORT_NEGATIVE) != 0;
		n->weight = header & SHORT_WEIGHT;
		if (header & SHORT_WEIGHT_SIGN)
			n->weight |= ~SHORT_WEIGHT;
		n->digits = (const int16 *) (p + sizeof(uint16));
		n->ndigits = (size - sizeof(uint16)) / sizeof(int16);
	}
	else
	{
		int16		weight;

		memcpy(&weight, p + sizeof(uint16), sizeof(weight));
		n->negative = (header & HEADER_NEGATIVE) != 0;
		n->weight = weight;
		n->digits = (const int16 *) (p + 2 * sizeof(uint16));
		n->ndigits = (size - 2 * sizeof(uint16)) / sizeof(int16);
	}
}

static int
compare_magnitude(const MoNumber *a, const MoNumber *b)
{
	int			n = Min(a->ndigits, b->ndigits);

	if (a->weight != b->weight)
		return a->weight < b->weight ? -1 : 1;
	for (int i = 0; i < n; i++)
	{
		if (a->digits[i] != b->digits[i])
			return a->digits[i] < b->digits[i] ? -1 : 1;
	}
	if (a->ndigits == b->ndigits)
		return 0;
	return a->ndigits < b->ndigits ? -1 : 1;
}

int
mo_number_compare(const MoNumber *a, const MoNumber *b)
{
	int			asign = a->ndigits == 0 ? 0 : a->negative ? -1 : 1;
	int			bsign = b->ndigits == 0 ? 0 : b->negative ? -1 : 1;

	if (asign != bsign)
		return asign < bsign ? -1 : 1;
	if (asign == 0)
		return 0;
	return asign * compare_magnitude(a, b);
}

/* 1.0 is an integer: what counts is that no digit stands for a fraction. */
bool
mo_number_is_integer(const MoNumber *n)
{
	return n->ndigits == 0 || n->ndigits <= n->weight + 1;
}

/* Reads an integer that fits; false if it does not, or is none. */
bool
mo_number_int64(const MoNumber *n, int64 *result)
{
	int64		value = 0;

	if (!mo_number_is_integer(n) || n->weight > 3)
		return false;
	for (int i = 0; n->ndigits > 0 && i <= n->weight; i++)
		value = value * BASE + (i < n->ndigits ? n->digits[i] : 0);
	*result = n->negative ? -value : value;
	return true;
}

/*
 * Four base-10000 digits fit the coefficient with room to spare: the
 * remainder times BASE must not overflow 128 bits, and money, percentages and
 * powers of ten all fit.  Anything longer is left to numeric.c.
 */
void
mo_divisor_set(MoDivisor *d, const MoValue *v)
{
	MoNumber	n;

	mo_number_view(v, &n);
	d->value = (Numeric) v->data;
	d->coefficient = 0;
	d->exponent = n.weight - n.ndigits + 1;
	if (n.ndigits > 4)
		return;
	for (int i = 0; i < n.ndigits; i++)
		d->coefficient = d->coefficient * BASE + n.digits[i];
}

/*
 * Is v a multiple of d?  Both are scaled by the power of 10000 that makes d
 * the integer "coefficient"; then v's digits are reduced modulo it from the
 * left, which needs time linear in the digits and never rounds.
 */
bool
mo_number_is_multiple(const MoValue *v, const MoDivisor *d)
{
	MoNumber	n;
	uint64		rest = 0;

	mo_number_view(v, &n);
	if (n.ndigits == 0)
		return true;
	if (d->coefficient == 0)
	{
		bool		failed = false;
		Numeric		mod;

		mod = numeric_mod_opt_error((Numeric) v->data, d->value, &failed);
		if (failed)
			return false;
		mo_number_view(&(MoValue){.kind = MO_NUMBER, .data = (char *) mod}, &n);
		return n.ndigits == 0;
	}

	/*
	 * A multiple would be divisible by 10000 for each digit it has below the
	 * divisor's last one, but its own last digit is not zero.
	 */
	if (n.weight - n.ndigits + 1 < d->exponent)
		return false;
	for (int i = 0; i <= n.weight - d->exponent; i++)
	{
		int16		digit = i < n.ndigits ? n.digits[i] : 0;

		rest = (uint64) (((unsigned __int128) rest * BASE + digit) %
						 d->coefficient);
		if (rest == 0 && i >= n.ndigits)
			break;
	}
	return rest == 0;
}
