/*-------------------------------------------------------------------------
 *
 * ecma_class.c
 *	  Escapes of characters and sets of characters of ECMA-262.
 *
 * Called by ecma.c.  Every character is written as \x{...}, so that nothing
 * of it can mean something else to PCRE2.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "contract/ecma.h"

/* What \s means: WhiteSpace and LineTerminator of ECMA-262. */
#define SPACES \
	"\\x{9}-\\x{d}\\x{20}\\x{a0}\\x{1680}\\x{2000}-\\x{200a}" \
	"\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}\\x{feff}"
#define NOT_SPACES \
	"\\x{0}-\\x{8}\\x{e}-\\x{1f}\\x{21}-\\x{9f}\\x{a1}-\\x{167f}" \
	"\\x{1681}-\\x{1fff}\\x{200b}-\\x{2027}\\x{202a}-\\x{202e}" \
	"\\x{2030}-\\x{205e}\\x{2060}-\\x{2fff}\\x{3001}-\\x{fefe}" \
	"\\x{ff00}-\\x{10ffff}"

/* Reads exactly n hexadecimal digits; -1 if there are fewer. */
static int
read_hex(MoTranslator *t, int n)
{
	int			value = 0;

	if (t->end - t->p < n)
		return -1;
	for (int i = 0; i < n; i++)
	{
		char		ch = t->p[i];

		if (!isxdigit((unsigned char) ch))
			return -1;
		value = value * 16 + (isdigit((unsigned char) ch) ? ch - '0' :
							  (ch | 0x20) - 'a' + 10);
	}
	t->p += n;
	return value;
}

/* After "\u": four digits, a surrogate pair, or {digits}. */
static bool
read_unicode(MoTranslator *t, uint32 *result)
{
	int			high;
	int			low;
	const char *start;

	if (mo_ecma_accept(t, "{"))
	{
		uint32		value = 0;

		start = t->p;
		while (t->p < t->end && isxdigit((unsigned char) *t->p) &&
			   value <= 0x10FFFF)
			value = value * 16 + read_hex(t, 1);
		if (t->p == start || value > 0x10FFFF || !mo_ecma_accept(t, "}"))
			return mo_ecma_fail(t, "\\u{...} needs a code point in hexadecimal digits");
		*result = value;
		return true;
	}
	high = read_hex(t, 4);
	if (high < 0)
		return mo_ecma_fail(t, "\\u needs four hexadecimal digits");
	*result = high;
	start = t->p;
	if (high >= 0xD800 && high <= 0xDBFF && mo_ecma_accept(t, "\\u"))
	{
		low = read_hex(t, 4);
		if (low >= 0xDC00 && low <= 0xDFFF)
			*result = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00);
		else
			t->p = start;
	}
	return true;
}

/*
 * An escape that stands for one character, after the backslash.  Returns
 * false without setting a reason if the escape is of another sort.
 */
bool
mo_ecma_character(MoTranslator *t, bool in_class, uint32 *ch)
{
	static const char *const controls = "tnvfr";
	static const char values[] = {9, 10, 11, 12, 13};
	char		c = *t->p;
	const char *control = c ? strchr(controls, c) : NULL;

	if (control)
	{
		t->p++;
		*ch = values[control - controls];
		return true;
	}
	if (c == 'b' && in_class)
	{
		t->p++;
		*ch = 8;
		return true;
	}
	if (c == 'c' && t->end - t->p > 1 && isalpha((unsigned char) t->p[1]))
	{
		*ch = t->p[1] & 0x1F;
		t->p += 2;
		return true;
	}
	if (c == '0' && !(t->end - t->p > 1 && isdigit((unsigned char) t->p[1])))
	{
		t->p++;
		*ch = 0;
		return true;
	}
	if (c == 'x')
	{
		int			value;

		t->p++;
		value = read_hex(t, 2);
		if (value < 0)
			return mo_ecma_fail(t, "\\x needs two hexadecimal digits");
		*ch = value;
		return true;
	}
	if (c == 'u')
	{
		t->p++;
		return read_unicode(t, ch);
	}
	if ((unsigned char) c < 128 && ispunct((unsigned char) c) && c != '_')
	{
		t->p++;
		*ch = c;
		return true;
	}
	if (c == '_' || c == ' ')
	{
		t->p++;
		*ch = c;
		return true;
	}
	return false;
}

/* \d \D \w \W \s \S \p \P, after the backslash, outside or inside brackets. */
bool
mo_ecma_class_escape(MoTranslator *t, bool in_class)
{
	char		c = *t->p;

	switch (c)
	{
		case 'd':
		case 'D':
		case 'w':
		case 'W':
			/* Without PCRE2_UCP these are ASCII, as ECMA-262 wants. */
			appendStringInfo(&t->out, "\\%c", c);
			break;
		case 's':
			mo_ecma_emit(t, in_class ? SPACES : "[" SPACES "]");
			break;
		case 'S':
			mo_ecma_emit(t, in_class ? NOT_SPACES : "[" NOT_SPACES "]");
			break;
		case 'p':
		case 'P':
			t->p++;
			return mo_ecma_property(t, c == 'P');
		default:
			return false;
	}
	t->p++;
	return true;
}

/* One end of a class range; *is_set for \d and its kin, already emitted. */
static bool
read_class_atom(MoTranslator *t, uint32 *ch, bool *is_set)
{
	*is_set = false;
	if (!mo_ecma_accept(t, "\\"))
	{
		*ch = mo_ecma_next(t);
		return true;
	}
	if (t->p >= t->end)
		return mo_ecma_fail(t, "\\ at the end of the expression");
	if (mo_ecma_character(t, true, ch))
		return true;
	if (t->reason)
		return false;
	*is_set = true;
	if (mo_ecma_class_escape(t, true))
		return true;
	return mo_ecma_fail(t, psprintf("\\%c means nothing in brackets", *t->p));
}

/* Surrogates are not characters, so a range must go around them. */
static void
emit_range(MoTranslator *t, uint32 low, uint32 high)
{
	if (low < 0xD800 && high > 0xDFFF)
	{
		emit_range(t, low, 0xD7FF);
		emit_range(t, 0xE000, high);
		return;
	}
	if (mo_ecma_surrogate(low))
		low = 0xE000;
	if (mo_ecma_surrogate(high))
		high = 0xD7FF;
	if (low > high)
		return;
	appendStringInfo(&t->out, "\\x{%x}", low);
	if (high > low)
		appendStringInfo(&t->out, "-\\x{%x}", high);
}

/* After "[". */
bool
mo_ecma_class(MoTranslator *t)
{
	bool		negated = mo_ecma_accept(t, "^");
	int			start = t->out.len;
	int			content;

	mo_ecma_emit(t, negated ? "[^" : "[");
	content = t->out.len;
	while (!mo_ecma_accept(t, "]"))
	{
		uint32		low;
		uint32		high;
		bool		low_is_set;
		bool		high_is_set;

		if (t->p >= t->end)
			return mo_ecma_fail(t, "[ without ]");
		if (!read_class_atom(t, &low, &low_is_set))
			return false;
		if (!mo_ecma_peek(t, "-") || mo_ecma_peek(t, "-]"))
		{
			if (!low_is_set)
				emit_range(t, low, low);
			continue;
		}
		t->p++;
		if (t->p >= t->end)
			return mo_ecma_fail(t, "[ without ]");
		if (!read_class_atom(t, &high, &high_is_set))
			return false;
		if (low_is_set || high_is_set)
			return mo_ecma_fail(t, "a range in brackets needs single characters at both ends");
		if (low > high)
			return mo_ecma_fail(t, "a range in brackets is in the wrong order");
		emit_range(t, low, high);
	}
	if (t->out.len > content)
	{
		mo_ecma_emit(t, "]");
		return true;
	}

	/* [] matches nothing and [^] everything; PCRE2 reads them otherwise. */
	t->out.len = start;
	t->out.data[start] = '\0';
	mo_ecma_emit(t, negated ? "[\\x{0}-\\x{10ffff}]" : MO_ECMA_NEVER);
	return true;
}
