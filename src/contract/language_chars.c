/*-------------------------------------------------------------------------
 *
 * language_chars.c
 *	  Sets of code points, and the classes of ECMA-262.
 *
 * Called by language_regex.c and language_search.c.  Sets are allocated in
 * the caller's memory context.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/language.h"

void
mo_charset_add(MoCharSet *set, uint32 low, uint32 high)
{
	if (set->count == set->space)
	{
		set->space = set->space ? set->space * 2 : 4;
		if (set->ranges == NULL)
			set->ranges = palloc(sizeof(MoCharRange) * set->space);
		else
			set->ranges = repalloc(set->ranges,
								   sizeof(MoCharRange) * set->space);
	}
	set->ranges[set->count].low = low;
	set->ranges[set->count++].high = high;
}

static int
range_cmp(const void *a, const void *b)
{
	uint32		x = ((const MoCharRange *) a)->low;
	uint32		y = ((const MoCharRange *) b)->low;

	return x < y ? -1 : x > y;
}

/* Sorts the ranges and joins those that touch. */
void
mo_charset_close(MoCharSet *set)
{
	int			n = 0;

	if (set->count < 2)
		return;
	qsort(set->ranges, set->count, sizeof(MoCharRange), range_cmp);
	for (int i = 1; i < set->count; i++)
	{
		if (set->ranges[i].low <= set->ranges[n].high + 1)
			set->ranges[n].high = Max(set->ranges[n].high,
									  set->ranges[i].high);
		else
			set->ranges[++n] = set->ranges[i];
	}
	set->count = n + 1;
}

/* Turns a closed set into its complement. */
void
mo_charset_invert(MoCharSet *set)
{
	MoCharSet	inverse = {0};
	uint32		from = 0;

	for (int i = 0; i < set->count; i++)
	{
		if (set->ranges[i].low > from)
			mo_charset_add(&inverse, from, set->ranges[i].low - 1);
		from = set->ranges[i].high + 1;
	}
	if (from <= MO_LAST_CHAR)
		mo_charset_add(&inverse, from, MO_LAST_CHAR);
	if (set->ranges)
		pfree(set->ranges);
	*set = inverse;
}

bool
mo_charset_has(const MoCharSet *set, uint32 c)
{
	int			low = 0;
	int			high = set->count - 1;

	while (low <= high)
	{
		int			middle = (low + high) / 2;

		if (c < set->ranges[middle].low)
			high = middle - 1;
		else if (c > set->ranges[middle].high)
			low = middle + 1;
		else
			return true;
	}
	return false;
}

/* ECMA-262's WhiteSpace and LineTerminator. */
static const MoCharRange spaces[] = {
	{0x09, 0x0D}, {0x20, 0x20}, {0xA0, 0xA0}, {0x1680, 0x1680},
	{0x2000, 0x200A}, {0x2028, 0x2029}, {0x202F, 0x202F}, {0x205F, 0x205F},
	{0x3000, 0x3000}, {0xFEFF, 0xFEFF}
};
static const MoCharRange digits[] = {{'0', '9'}};
static const MoCharRange words[] = {
	{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}
};
static const MoCharRange newlines[] = {
	{'\n', '\n'}, {'\r', '\r'}, {0x2028, 0x2029}
};

static void
add_all(MoCharSet *set, const MoCharRange *ranges, int n, bool inverse)
{
	MoCharSet	part = {0};

	for (int i = 0; i < n; i++)
		mo_charset_add(&part, ranges[i].low, ranges[i].high);
	if (inverse)
		mo_charset_invert(&part);
	for (int i = 0; i < part.count; i++)
		mo_charset_add(set, part.ranges[i].low, part.ranges[i].high);
	pfree(part.ranges);
}

/*
 * Adds the class that a backslash and this letter stand for, or what "."
 * matches; false when the letter names no class.
 */
bool
mo_charset_class(MoCharSet *set, char letter)
{
	switch (letter)
	{
		case 'd':
		case 'D':
			add_all(set, digits, lengthof(digits), letter == 'D');
			return true;
		case 'w':
		case 'W':
			add_all(set, words, lengthof(words), letter == 'W');
			return true;
		case 's':
		case 'S':
			add_all(set, spaces, lengthof(spaces), letter == 'S');
			return true;
		case '.':
			add_all(set, newlines, lengthof(newlines), true);
			return true;
		default:
			return false;
	}
}
